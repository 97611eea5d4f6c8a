package clerkauthtest

import (
	"net/http"
	"slices"
	"strings"
	"time"
)

// User is a user of the instance.
type User struct {
	ID    string // user_…
	Email string

	createdAt time.Time
}

// CreateUser creates a user.
func (s *Server) CreateUser(email string) *User {
	u := &User{ID: "user_" + randomText(), Email: email, createdAt: s.Now()}
	s.mu.Lock()
	defer s.mu.Unlock()
	s.users[u.ID] = u
	return u
}

// Organization is an organization of the instance.
type Organization struct {
	ID   string // org_…
	Slug string

	srv             *Server
	roles           map[string][]string // role with its prefix → permissions
	features, plans []string            // with their scope
}

// CreateOrganization creates an organization, or returns the one of that slug.
func (s *Server) CreateOrganization(slug string) *Organization {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.organization(slug)
}

// organization is CreateOrganization for who holds mu.
func (s *Server) organization(slug string) *Organization {
	o, ok := s.organizations[slug]
	if !ok {
		o = &Organization{ID: "org_" + randomText(), Slug: slug, srv: s, roles: make(map[string][]string)}
		s.organizations[slug] = o
	}
	return o
}

// SetRole says which permissions, such as org:invoices:create, members of that
// role have. The tokens of their sessions say so from now on.
func (o *Organization) SetRole(role string, permissions ...string) {
	checkPermissions(permissions)
	o.srv.mu.Lock()
	defer o.srv.mu.Unlock()
	o.roles[withOrg(role)] = slices.Clone(permissions)
}

// SetFeatures says which features, such as reports, the organization's plan has.
func (o *Organization) SetFeatures(features ...string) {
	scoped := ofOrg(features)
	o.srv.mu.Lock()
	defer o.srv.mu.Unlock()
	o.features = scoped
}

// SetPlans says on which plans, such as pro, the organization is.
func (o *Organization) SetPlans(plans ...string) {
	scoped := ofOrg(plans)
	o.srv.mu.Lock()
	defer o.srv.mu.Unlock()
	o.plans = scoped
}

// Session is a user's session.
type Session struct {
	ID           string // sess_…
	User         *User
	Organization *Organization // the active one; nil without

	srv             *Server
	role            string   // with its prefix
	permissions     []string // beside those of the role
	features, plans []string // with their scopes
	actorID         string
	pending, ended  bool
	ages            [2]int // of the factors, in minutes, when the user signed in
	signedInAt      time.Time
}

// SessionOption says what is special about a session.
type SessionOption func(*Session)

// InOrganization makes the organization of that slug the active one, in which the
// user has that role, and these permissions beside the role's. It is created if
// there is none.
func InOrganization(slug, role string, permissions ...string) SessionOption {
	checkPermissions(permissions)
	role = withOrg(role)
	return func(s *Session) {
		s.Organization = s.srv.organization(slug)
		s.role = role
		s.permissions = slices.Clone(permissions)
	}
}

// Features gives a session features with their scope, u for the user's and o for
// the active organization's: "u:beta", "o:reports".
func Features(features ...string) SessionOption {
	checkScoped(features)
	return func(s *Session) { s.features = append(s.features, features...) }
}

// Plans gives a session plans with their scope, as Features does features.
func Plans(plans ...string) SessionOption {
	checkScoped(plans)
	return func(s *Session) { s.plans = append(s.plans, plans...) }
}

// Pending leaves the user a task to do before the session is active.
func Pending() SessionOption { return func(s *Session) { s.pending = true } }

// ImpersonatedBy makes it a session in which the actor of that id acts in the
// user's name.
func ImpersonatedBy(actorID string) SessionOption { return func(s *Session) { s.actorID = actorID } }

// FactorAges says how many minutes before signing in the factors were verified,
// -1 being a factor that the user does not have. Without it, the first was
// verified at sign-in, and there is no second. Ages grow as time passes.
func FactorAges(first, second int) SessionOption {
	if first < -1 || second < -1 {
		panic("clerkauthtest: an age is not less than -1")
	}
	return func(s *Session) { s.ages = [2]int{first, second} }
}

// SignIn begins a session of user.
func (s *Server) SignIn(user *User, opts ...SessionOption) *Session {
	session := &Session{ID: "sess_" + randomText(), User: user, srv: s, ages: [2]int{0, -1}, signedInAt: s.Now()}
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, option := range opts {
		option(session)
	}
	s.sessions[session.ID] = session
	return session
}

// SignOut ends the session: there are no more tokens of it. Those that were
// minted are good until they expire.
func (s *Session) SignOut() {
	s.srv.mu.Lock()
	defer s.srv.mu.Unlock()
	s.ended = true
}

// Authorize puts a fresh token of the session into req, as a bearer token.
func (s *Session) Authorize(req *http.Request, opts ...TokenOption) {
	req.Header.Set("Authorization", "Bearer "+s.Token(opts...))
}

// status is what Clerk calls the session's state. The caller holds mu.
func (s *Session) status() string {
	switch {
	case s.ended:
		return "ended"
	case s.pending:
		return "pending"
	default:
		return "active"
	}
}

// allPermissions are those of the role and of the session, in this order and once
// each. There is an active organization, and the caller holds mu.
func (s *Session) allPermissions() []string {
	return unique(s.Organization.roles[s.role], s.permissions)
}

func withOrg(role string) string {
	role = strings.TrimPrefix(role, "org:")
	if role == "" {
		panic("clerkauthtest: a role is not empty")
	}
	return "org:" + role
}

func ofOrg(slugs []string) []string {
	scoped := make([]string, len(slugs))
	for i, slug := range slugs {
		scoped[i] = "o:" + strings.TrimPrefix(slug, "o:")
	}
	checkScoped(scoped)
	return scoped
}

func checkScoped(list []string) {
	for _, element := range list {
		scope, slug, _ := strings.Cut(element, ":")
		if !slices.Contains([]string{"u", "o", "uo", "ou"}, scope) || slug == "" || strings.ContainsAny(slug, ", ") {
			panic("clerkauthtest: " + element + " must be a scope (u, o), a colon and a slug")
		}
	}
}

func checkPermissions(permissions []string) {
	for _, p := range permissions {
		feature, name := splitPermission(p)
		if feature == "" || name == "" || !strings.HasPrefix(p, "org:") || strings.ContainsAny(p, ", ") {
			panic("clerkauthtest: " + p + " must look like org:invoices:create")
		}
	}
}

// splitPermission returns the feature and the name in org:<feature>:<name>.
func splitPermission(permission string) (feature, name string) {
	feature, name, _ = strings.Cut(strings.TrimPrefix(permission, "org:"), ":")
	return feature, name
}

// unique returns the elements of lists, once each and in order.
func unique(lists ...[]string) []string {
	var all []string
	for _, element := range slices.Concat(lists...) {
		if !slices.Contains(all, element) {
			all = append(all, element)
		}
	}
	return all
}
