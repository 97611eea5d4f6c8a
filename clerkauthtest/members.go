package clerkauthtest

import (
	"net/http"
	"slices"
	"strconv"
	"time"
)

// membership is a user's membership in an organization.
type membership struct {
	id           string // orgmem_…
	user         *User
	organization *Organization
	role         string   // with its prefix
	permissions  []string // in addition to the role's
	createdAt    time.Time
}

// AddMember makes user a member with that role, or changes the role and permissions of a
// member; permissions are in addition to the role's. [InOrganization] does the same.
// Sessions do not change: which organization is active, and with which role, is set when
// a user signs in.
func (o *Organization) AddMember(user *User, role string, permissions ...string) {
	checkPermissions(permissions)
	role = withOrg(role)
	o.srv.mu.Lock()
	defer o.srv.mu.Unlock()
	o.addMember(user, role, permissions)
}

// addMember is AddMember. The caller holds mu.
func (o *Organization) addMember(user *User, role string, permissions []string) {
	m := o.member(user)
	if m == nil {
		m = &membership{id: "orgmem_" + randomText(), user: user, organization: o, createdAt: o.srv.Now()}
		o.srv.memberships = append(o.srv.memberships, m)
	}
	m.role, m.permissions = role, slices.Clone(permissions)
}

// member returns the user's membership, or nil. The caller holds mu.
func (o *Organization) member(user *User) *membership {
	i := slices.IndexFunc(o.srv.memberships, func(m *membership) bool { return m.organization == o && m.user == user })
	if i < 0 {
		return nil
	}
	return o.srv.memberships[i]
}

// members returns the number of members. The caller holds mu.
func (o *Organization) members() int64 {
	var n int64
	for _, m := range o.srv.memberships {
		if m.organization == o {
			n++
		}
	}
	return n
}

func (s *Server) memberRoutes() {
	handle := func(pattern string, endpoint Endpoint, h http.HandlerFunc) {
		s.mux.Handle(pattern, route{endpoint, s.backend(h)})
	}
	handle("GET /v1/users/{id}/organization_memberships", Users, s.listOfUser)
	handle("GET /v1/organizations/{id}", Organizations, s.serveOrganization)
	handle("GET /v1/organizations/{id}/memberships", Organizations, s.listOfOrganization)
}

// findOrganization returns the organization with that id or slug, or nil. The caller holds
// mu.
func (s *Server) findOrganization(idOrSlug string) *Organization {
	if o := s.organizations[idOrSlug]; o != nil {
		return o
	}
	for _, o := range s.organizations {
		if o.ID == idOrSlug {
			return o
		}
	}
	return nil
}

func (s *Server) serveOrganization(w http.ResponseWriter, r *http.Request) {
	s.mu.Lock()
	defer s.mu.Unlock()
	o := s.findOrganization(r.PathValue("id"))
	if o == nil {
		notFound(w, r)
		return
	}
	resource := o.resource()
	if r.URL.Query().Get("include_members_count") == "true" {
		n := o.members()
		resource.MembersCount = &n
	}
	writeJSON(w, http.StatusOK, resource)
}

func (s *Server) listOfUser(w http.ResponseWriter, r *http.Request) {
	s.mu.Lock()
	defer s.mu.Unlock()
	u := s.users[r.PathValue("id")]
	if u == nil {
		notFound(w, r)
		return
	}
	s.listMemberships(w, r, func(m *membership) bool { return m.user == u })
}

func (s *Server) listOfOrganization(w http.ResponseWriter, r *http.Request) {
	s.mu.Lock()
	defer s.mu.Unlock()
	o := s.findOrganization(r.PathValue("id"))
	if o == nil {
		notFound(w, r)
		return
	}
	query := r.URL.Query()
	has := func(name, value string) bool { return len(query[name]) == 0 || slices.Contains(query[name], value) }
	s.listMemberships(w, r, func(m *membership) bool {
		return m.organization == o && has("user_id", m.user.ID) && has("role", m.role) && has("email_address", m.user.Email)
	}, "user_id", "role", "email_address")
}

// listMemberships writes a page of the memberships that are wanted, the newest first. What
// a query asks for beside the page and these filters is refused: a test must not take a
// list for one that is filtered. The caller holds mu.
func (s *Server) listMemberships(w http.ResponseWriter, r *http.Request, wanted func(*membership) bool, filters ...string) {
	query := r.URL.Query()
	for name := range query {
		if !slices.Contains([]string{"limit", "offset", "paginated"}, name) && !slices.Contains(filters, name) {
			writeError(w, http.StatusUnprocessableEntity)
			return
		}
	}
	limit, offset := 10, 0
	for name, n := range map[string]*int{"limit": &limit, "offset": &offset} {
		if !query.Has(name) {
			continue
		}
		var err error
		if *n, err = strconv.Atoi(query.Get(name)); err != nil || *n < 0 || name == "limit" && (*n < 1 || *n > 500) {
			writeError(w, http.StatusUnprocessableEntity)
			return
		}
	}
	page, total := []any{}, 0
	for _, m := range slices.Backward(s.memberships) {
		if !wanted(m) {
			continue
		}
		if total >= offset && len(page) < limit {
			page = append(page, m.resource())
		}
		total++
	}
	writeJSON(w, http.StatusOK, map[string]any{"data": page, "total_count": total})
}
