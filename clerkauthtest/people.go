package clerkauthtest

import (
	"context"
	"encoding/json"
	"fmt"
	"maps"
	"net/http"
	"slices"
	"strings"
	"time"

	"github.com/clerkauth/clerkauth"
)

// Organization is an organization of the instance.
type Organization struct {
	ID   string // org_…
	Slug string

	srv             *Server
	createdAt       time.Time
	roles           map[string][]string // role with its prefix → permissions
	features, plans []string            // with their scope
}

// CreateOrganization creates an organization, or returns the one with that slug.
func (s *Server) CreateOrganization(slug string) *Organization {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.organization(slug)
}

// organization is CreateOrganization. The caller holds mu.
func (s *Server) organization(slug string) *Organization {
	o, ok := s.organizations[slug]
	if !ok {
		o = &Organization{ID: "org_" + randomText(), Slug: slug, srv: s, createdAt: s.Now(), roles: make(map[string][]string)}
		s.organizations[slug] = o
	}
	return o
}

// SetRole sets the permissions, such as org:invoices:create, of members with that role.
// Tokens of their sessions contain them from now on.
func (o *Organization) SetRole(role string, permissions ...string) {
	checkPermissions(permissions)
	o.srv.mu.Lock()
	defer o.srv.mu.Unlock()
	o.roles[withOrg(role)] = slices.Clone(permissions)
}

// SetFeatures sets the features, such as reports, of the organization's plan.
func (o *Organization) SetFeatures(features ...string) {
	scoped := ofOrg(features)
	o.srv.mu.Lock()
	defer o.srv.mu.Unlock()
	o.features = scoped
}

// SetPlans sets the organization's plans, such as pro.
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
	Organization *Organization // the active organization, or nil; browsers may change it

	srv             *Server
	client          *client
	refreshToken    string   // "": none
	role            string   // with its prefix
	permissions     []string // in addition to the role's
	features, plans []string // with their scopes
	actorID         string
	custom          map[string]json.RawMessage // claims
	pending         bool
	ended           string // how, in Clerk's words: ended, revoked; "" if it has not
	ages            [2]int // of the factors, in minutes, when the user signed in
	signedInAt      time.Time
}

// SessionOption configures a session.
type SessionOption func(*Session)

// InOrganization sets the active organization, and the user's role and permissions in
// it; permissions are in addition to the role's. The organization is created if there is
// none with that slug, and the user becomes a member.
func InOrganization(slug, role string, permissions ...string) SessionOption {
	checkPermissions(permissions)
	role = withOrg(role)
	return func(s *Session) {
		s.Organization = s.srv.organization(slug)
		s.role = role
		s.permissions = slices.Clone(permissions)
		s.Organization.addMember(s.User, role, permissions)
	}
}

// Features adds features with their scope, u for the user and o for the active
// organization: "u:beta", "o:reports".
func Features(features ...string) SessionOption {
	checkScoped(features)
	return func(s *Session) { s.features = append(s.features, features...) }
}

// Plans adds plans with their scope, as Features does.
func Plans(plans ...string) SessionOption {
	checkScoped(plans)
	return func(s *Session) { s.plans = append(s.plans, plans...) }
}

// Claims adds custom claims to the session's tokens, as the instance's settings for
// session tokens do: a value that encoding/json marshals to an object. Claims that Clerk
// sets itself are invalid; see [WithClaim] for tokens that Clerk would not issue.
func Claims(claims any) SessionOption {
	var custom map[string]json.RawMessage
	if err := json.Unmarshal(mustObject("claims", claims), &custom); err != nil {
		panic(err) // it is an object
	}
	for name := range custom {
		if slices.Contains(ownClaims, name) {
			panic("clerkauthtest: the claim " + name + " is Clerk's own")
		}
	}
	return func(s *Session) {
		if s.custom == nil {
			s.custom = make(map[string]json.RawMessage)
		}
		maps.Copy(s.custom, custom)
	}
}

// ownClaims are the claims of session tokens that no setting changes.
var ownClaims = []string{"iss", "sub", "azp", "iat", "nbf", "exp", "jti", "sid", "sts", "fva", "act", "v", "o", "fea", "pla",
	"org_id", "org_slug", "org_role", "org_permissions"}

// Pending makes the session pending: the user has a task to complete first.
func Pending() SessionOption { return func(s *Session) { s.pending = true } }

// ImpersonatedBy sets the actor, who acts in the user's name.
func ImpersonatedBy(actorID string) SessionOption { return func(s *Session) { s.actorID = actorID } }

// FactorAges sets how many minutes before the sign-in the factors were verified; -1 is a
// factor that the user does not have. Defaults to 0 and -1. Ages grow as time passes.
func FactorAges(first, second int) SessionOption {
	if first < -1 || second < -1 {
		panic("clerkauthtest: an age is not less than -1")
	}
	return func(s *Session) { s.ages = [2]int{first, second} }
}

// SignIn creates a session of user, in a browser of its own. It panics if user is banned: Clerk does not let
// them.
func (s *Server) SignIn(user *User, opts ...SessionOption) *Session {
	s.mu.Lock()
	defer s.mu.Unlock()
	if user.banned {
		panic("clerkauthtest: a banned user cannot sign in")
	}
	session := s.signIn(user)
	for _, option := range opts {
		option(session)
	}
	return session
}

// signIn creates a session of user in a browser of its own. The caller holds mu.
func (s *Server) signIn(user *User) *Session {
	session := &Session{ID: "sess_" + randomText(), User: user, srv: s, client: s.newClient(), ages: [2]int{0, -1}, signedInAt: s.Now()}
	if !s.noRefresh {
		session.refreshToken = randomText() + randomText()
	}
	session.client.session = session
	user.lastSignInAt = session.signedInAt
	s.sessions[session.ID] = session
	return session
}

// SignOut ends the session: no tokens of it are issued any more. Those that were issued
// are valid until they expire.
func (s *Session) SignOut() {
	s.srv.mu.Lock()
	defer s.srv.mu.Unlock()
	if s.ended == "" {
		s.ended = "ended"
	}
}

// Authorize sets the Authorization header of req to a new token of the session.
func (s *Session) Authorize(req *http.Request, opts ...TokenOption) {
	req.Header.Set("Authorization", "Bearer "+s.Token(opts...))
}

// Auth returns the caller that auth finds in a new token of the session, with its
// permissions, claims and everything else. It is for tests of handlers alone:
//
//	ctx := clerkauth.NewContext(t.Context(), session.Auth(auth))
//
// It panics if auth does not accept the token.
func (s *Session) Auth(auth *clerkauth.Authenticator, opts ...TokenOption) clerkauth.Auth {
	who, err := auth.VerifyToken(context.Background(), s.Token(opts...))
	if err != nil {
		panic(fmt.Sprintf("clerkauthtest: the session's token is not accepted: %v", err))
	}
	return who
}

// status returns the session's status in Clerk's words. The caller holds mu.
func (s *Session) status() string {
	switch {
	case s.ended != "":
		return s.ended
	case s.pending:
		return "pending"
	default:
		return "active"
	}
}

// allPermissions returns the permissions of the role and of the session, in this order
// and once each. There is an active organization, and the caller holds mu.
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
