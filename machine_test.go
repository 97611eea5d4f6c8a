package clerkauth_test

import (
	"errors"
	"fmt"
	"net/http"
	"net/http/httptest"
	"reflect"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/clerkauth/clerkauth"
	"github.com/clerkauth/clerkauth/clerkauthtest"
)

// machineRig is a rig with machine credentials of every kind.
type machineRig struct {
	*rig
	user       *clerkauthtest.User
	here, peer *clerkauthtest.Machine // we, and who calls us
	key        *clerkauthtest.Credential
	m2m        *clerkauthtest.Credential
	oauth      *clerkauthtest.Credential
}

func newMachineRig(tb testing.TB, change ...func(*clerkauth.Config)) *machineRig {
	tb.Helper()
	r := &machineRig{rig: newRig(tb, append([]func(*clerkauth.Config){acceptAll}, change...)...)}
	r.user = r.srv.CreateUser("owner@example.com")
	r.here, r.peer = r.srv.CreateMachine("here"), r.srv.CreateMachine("peer")
	r.key = r.srv.CreateAPIKey(r.user, "reports:read", "reports:write")
	r.m2m = r.peer.Token(r.here)
	r.oauth = r.srv.CreateOAuthToken(r.user, "client_1", "notes:read")
	return r
}

// forAll is a route for everybody who is somebody.
var forAll = clerkauth.AnyOf(clerkauth.SignedIn, clerkauth.Token(clerkauth.APIKey), clerkauth.Token(clerkauth.M2MToken), clerkauth.Token(clerkauth.OAuthToken))

// TestKindsInEachOthersPlace: each kind of credential opens the routes that ask for
// it and no other, whatever else the program accepts, and is verified nowhere else.
func TestKindsInEachOthersPlace(t *testing.T) {
	r := newMachineRig(t)
	credentials := map[string]string{
		"session": r.jane.Token(), "API key": r.key.Token, "API key JWT": r.key.JWT(), "M2M": r.m2m.Token, "M2M JWT": r.m2m.JWT(),
		"OAuth": r.oauth.Token, "OAuth JWT": r.oauth.JWT(), "template": r.jane.TemplateToken("x", nil), "nothing": "",
	}
	opens := map[string][]string{ // which credentials open a route
		"session": {"session"}, "API key": {"API key", "API key JWT"}, "M2M": {"M2M", "M2M JWT"}, "OAuth": {"OAuth", "OAuth JWT"},
		"any": {"session", "API key", "API key JWT", "M2M", "M2M JWT", "OAuth", "OAuth JWT"},
	}
	routes := map[string]clerkauth.Access{
		"session": clerkauth.SignedIn, "API key": clerkauth.Token(clerkauth.APIKey), "M2M": clerkauth.Token(clerkauth.M2MToken),
		"OAuth": clerkauth.Token(clerkauth.OAuthToken), "any": forAll,
	}
	calls := map[string]clerkauthtest.Endpoint{"API key": clerkauthtest.APIKeyVerify, "M2M": clerkauthtest.M2MVerify, "OAuth": clerkauthtest.OAuthVerify}
	for route, access := range routes {
		for name, token := range credentials {
			for _, identify := range []bool{false, true} {
				auth := newAuthFor(t, r.srv, acceptAll) // nothing is remembered
				guard := auth.Require(access)
				if identify {
					guard = func(h http.Handler) http.Handler { return auth.Handler(auth.Require(access)(h)) }
				}
				before, asked := r.srv.Requests(clerkauthtest.TokenVerify), r.srv.Requests(calls[name])
				got := ask(guard, bearer(token))
				want := slices.Contains(opens[route], name)
				if got.entered != want || want != (got.status == 200) || !want && got.status != 401 {
					t.Errorf("%s at a route for %s (identify %v): %v", name, route, identify, got)
				}
				if reason := got.reason(); !want && reason != string(clerkauth.ErrTokenType) && name != "nothing" {
					t.Errorf("%s at a route for %s: %s", name, route, reason)
				}
				made := r.srv.Requests(clerkauthtest.TokenVerify) - before
				if opaque := calls[name] != 0; opaque && want != (r.srv.Requests(calls[name])-asked == 1) || made > 1 || !want && made != 0 {
					t.Errorf("%s at a route for %s: %d calls", name, route, made)
				}
			}
		}
	}
}

// TestWhatNobodyAsksForIsNotVerified: not on public routes, not twice, and not where
// a credential of that kind is of no use.
func TestWhatNobodyAsksForIsNotVerified(t *testing.T) {
	r := newMachineRig(t, func(c *clerkauth.Config) { c.Machines.CacheTTL = clerkauth.AskEveryTime })
	tokens := []string{r.key.Token, r.m2m.Token, r.oauth.Token, "ak_unknown"}
	for name, access := range map[string]clerkauth.Access{"public": clerkauth.Public, "public or admins": clerkauth.AnyOf(clerkauth.Public, clerkauth.Role("admin"))} {
		for _, token := range tokens {
			if got := ask(r.auth.Require(access), bearer(token)); !got.entered {
				t.Errorf("%s: %v", name, got)
			}
		}
	}
	mux := r.auth.NewServeMux()
	mux.HandleFunc("/", clerkauth.Public, func(http.ResponseWriter, *http.Request) {})
	for _, token := range tokens {
		w, req := httptest.NewRecorder(), httptest.NewRequest(http.MethodGet, "/", nil)
		bearer(token)(req)
		if mux.ServeHTTP(w, req); w.Code != 200 {
			t.Error(w.Code)
		}
	}
	// What a mux answers by itself asks for what the routes there ask for.
	beside := r.auth.NewServeMux()
	beside.HandleFunc("GET /admin/users", clerkauth.SignedIn, func(http.ResponseWriter, *http.Request) {})
	beside.HandleFunc("GET /reports", clerkauth.Token(clerkauth.OAuthToken), func(http.ResponseWriter, *http.Request) {})
	for _, path := range []string{"/admin/users", "/reports", "/reports/"} {
		w, req := httptest.NewRecorder(), httptest.NewRequest(http.MethodPost, path, nil)
		r.key.Authorize(req)
		if beside.ServeHTTP(w, req); w.Code != 401 {
			t.Errorf("POST %s: %d", path, w.Code)
		}
	}
	if n := r.srv.Requests(clerkauthtest.Backend); n != 0 {
		t.Errorf("%d calls", n)
	}
	guard := r.auth.Require(forAll)
	if got := ask(func(h http.Handler) http.Handler { return guard(guard(r.auth.Handler(guard(h)))) }, bearer(r.key.Token)); !got.entered || r.srv.Requests(clerkauthtest.TokenVerify) != 1 {
		t.Errorf("%v, %d calls", got, r.srv.Requests(clerkauthtest.TokenVerify))
	}
	// What is wrong with a session is of no interest where none is asked for.
	r.srv.Fail(clerkauthtest.JWKS, 503)
	for name, token := range map[string]string{"a session": r.jane.Token(), "one that has expired": r.jane.Token(clerkauthtest.ExpiresIn(-time.Hour)), "what is no token": "x"} {
		if got := ask(r.auth.Require(clerkauth.Token(clerkauth.APIKey)), bearer(token)); got.status != 401 || got.reason() != string(clerkauth.ErrTokenType) {
			t.Errorf("%s: %v", name, got)
		}
	}
}

// TestAcceptIsACeiling: what Config.Accept leaves out is not verified, whatever a
// route asks for.
func TestAcceptIsACeiling(t *testing.T) {
	r := newMachineRig(t)
	credentials := map[clerkauth.TokenType][]string{
		clerkauth.SessionToken: {r.jane.Token()}, clerkauth.APIKey: {r.key.Token, r.key.JWT()},
		clerkauth.M2MToken: {r.m2m.Token, r.m2m.JWT()}, clerkauth.OAuthToken: {r.oauth.Token, r.oauth.JWT()},
	}
	for only := range credentials {
		auth := newAuthFor(t, r.srv, func(c *clerkauth.Config) { c.Accept = []clerkauth.TokenType{only} })
		for kind, tokens := range credentials {
			for _, token := range tokens {
				before := r.srv.Requests(clerkauthtest.TokenVerify)
				got := ask(auth.Require(forAll), bearer(token))
				if got.entered != (kind == only) || kind != only && (got.reason() != string(clerkauth.ErrTokenType) || r.srv.Requests(clerkauthtest.TokenVerify) != before) {
					t.Errorf("%s where %s is accepted: %v", kind, only, got)
				}
				if got := ask(auth.Handler, bearer(token)); !got.entered {
					t.Errorf("%s, only identified: %v", kind, got)
				}
			}
		}
		_, err := auth.VerifyToken(t.Context(), r.jane.Token())
		if (err == nil) != (only == clerkauth.SessionToken) {
			t.Errorf("VerifyToken where %s is accepted: %v", only, err)
		}
		for kind := range credentials {
			access := clerkauth.Token(kind)
			if kind == clerkauth.SessionToken {
				access = clerkauth.SignedIn
			}
			if kind == only {
				auth.Require(access)
			} else {
				mustPanic(t, fmt.Sprintf("%s where %s is accepted", kind, only), func() { auth.Require(access) })
			}
		}
		// The mux needs no sessions to say that something is not there.
		mux := auth.NewServeMux()
		access := clerkauth.Token(only)
		if only == clerkauth.SessionToken {
			access = clerkauth.SignedIn
		}
		mux.HandleFunc("GET /things", access, func(http.ResponseWriter, *http.Request) {})
		for token, want := range map[string]int{"": 401, credentials[only][0]: 405} {
			w, req := httptest.NewRecorder(), httptest.NewRequest(http.MethodPost, "/things", nil)
			bearer(token)(req)
			if mux.ServeHTTP(w, req); w.Code != want {
				t.Errorf("POST, where %s is accepted: %d, want %d", only, w.Code, want)
			}
		}
	}
	if nilIs := newAuthFor(t, r.srv, func(c *clerkauth.Config) { c.Accept = nil }); ask(nilIs.Require(forAll), bearer(r.key.Token)).entered || !ask(nilIs.Require(forAll), bearer(r.jane.Token())).entered {
		t.Error("nil is not sessions alone")
	}
}

// TestMachineIdentity: what a handler sees of a machine, in both forms.
func TestMachineIdentity(t *testing.T) {
	r := newMachineRig(t)
	acme := r.srv.CreateOrganization("acme")
	orgKey := r.srv.CreateAPIKey(acme)
	r.key.SetClaims(map[string]any{"tier": "gold"})
	r.key.SetExpiration(r.srv.Now().Add(time.Hour))
	r.m2m.SetClaims(map[string]any{"tier": "gold"})
	type custom struct{ Tier string }
	for name, c := range map[string]struct {
		token, subject, userID, orgID, machineID, clientID, id, tier string
		scopes                                                       []string
		expires                                                      bool
	}{
		"API key":            {r.key.Token, r.user.ID, r.user.ID, "", "", "", r.key.ID, "gold", []string{"reports:read", "reports:write"}, true},
		"API key JWT":        {r.key.JWT(), r.user.ID, r.user.ID, "", "", "", r.key.ID, "gold", []string{"reports:read", "reports:write"}, true},
		"organization":       {orgKey.Token, acme.ID, "", acme.ID, "", "", orgKey.ID, "", nil, false},
		"organization's JWT": {orgKey.JWT(), acme.ID, "", acme.ID, "", "", orgKey.ID, "", nil, true},
		"M2M":                {r.m2m.Token, r.peer.ID, "", "", r.peer.ID, "", r.m2m.ID, "gold", []string{r.here.ID}, true},
		"M2M JWT":            {r.m2m.JWT(), r.peer.ID, "", "", r.peer.ID, "", r.m2m.ID, "gold", []string{r.here.ID}, true},
		"OAuth":              {r.oauth.Token, r.user.ID, r.user.ID, "", "", "client_1", r.oauth.ID, "", []string{"notes:read"}, true},
		"OAuth JWT":          {r.oauth.JWT(), r.user.ID, r.user.ID, "", "", "client_1", r.oauth.ID, "", []string{"notes:read"}, true},
	} {
		var who clerkauth.Auth
		guard := r.auth.Handler(r.auth.Require(forAll).Func(func(_ http.ResponseWriter, req *http.Request) { who = clerkauth.FromContext(req.Context()) }))
		req := httptest.NewRequest(http.MethodGet, "/", nil)
		bearer(c.token)(req)
		w := httptest.NewRecorder()
		guard.ServeHTTP(w, req)
		if w.Code != 200 || who.Subject != c.subject || who.UserID != c.userID || who.OrgID != c.orgID || who.MachineID != c.machineID ||
			who.ClientID != c.clientID || who.TokenID != c.id || who.SessionID != "" || who.SignedIn() || who.Err() != nil {
			t.Errorf("%s: %d %+v", name, w.Code, who)
		}
		if got := who.Scopes(); len(got) != len(c.scopes) || len(got) > 0 && !reflect.DeepEqual(got, c.scopes) || who.HasScope(c.scopes...) != (len(c.scopes) > 0) ||
			who.HasScope(append(c.scopes, "other")...) || who.HasScope() {
			t.Errorf("%s: scopes %q", name, got)
		}
		if who.ExpiresAt.IsZero() == c.expires || who.IssuedAt.IsZero() {
			t.Errorf("%s: from %v to %v", name, who.IssuedAt, who.ExpiresAt)
		}
		if claims, err := clerkauth.ClaimsAs[custom](who); err != nil || claims.Tier != c.tier {
			t.Errorf("%s: claims %+v, %v", name, claims, err)
		}
		if kind := clerkauth.Token(who.TokenType); !who.Has(kind) || len(c.scopes) > 0 && !who.Has(clerkauth.Token(who.TokenType, clerkauth.Scope(c.scopes[0]))) || who.Has(clerkauth.Token(who.TokenType, clerkauth.Scope("other"))) {
			t.Errorf("%s: it does not have what it has", name)
		}
		// It is no user.
		if who.Has(clerkauth.SignedIn) || who.Has(clerkauth.NotImpersonated) || who.Has(clerkauth.Role("admin")) || who.Permissions() != nil {
			t.Errorf("%s: it has what users have", name)
		}
		if _, err := r.auth.GetToken(t.Context(), who, ""); !errors.Is(err, clerkauth.ErrUnauthenticated) {
			t.Errorf("%s: %v", name, err)
		}
	}
}

// TestTokenAccess: what can be asked of a machine, how it prints, and what nobody
// could ever meet.
func TestTokenAccess(t *testing.T) {
	r := newMachineRig(t)
	write := clerkauth.Token(clerkauth.APIKey, clerkauth.Scope("reports:write"))
	owns := clerkauth.CheckFunc("owner", holding(func(who clerkauth.Auth) bool { return who.UserID == r.user.ID }))
	acmeKey := r.srv.CreateAPIKey(r.srv.CreateOrganization("acme"), "reports:write")
	weak := r.srv.CreateAPIKey(r.user, "reports:writes", "Reports:Write", "reports")
	jane := r.jane.Token()
	for _, c := range []struct {
		access clerkauth.Access
		prints string
		admits []string
		denies map[string]int
	}{
		{clerkauth.Token(clerkauth.APIKey), "api_key", []string{r.key.Token, weak.Token}, map[string]int{jane: 401}},
		{write, "api_key with scope reports:write", []string{r.key.Token, acmeKey.Token}, map[string]int{weak.Token: 403, jane: 401}},
		{
			clerkauth.AnyOf(clerkauth.SignedIn, write), "signed in or (api_key with scope reports:write)",
			[]string{jane, r.key.Token}, map[string]int{weak.Token: 403, "": 401, r.oauth.Token: 401},
		},
		{
			clerkauth.AnyOf(clerkauth.Token(clerkauth.APIKey, clerkauth.Scope("reports:write")), clerkauth.Token(clerkauth.OAuthToken)), "(api_key with scope reports:write) or oauth_token",
			[]string{r.oauth.Token, r.key.Token}, map[string]int{weak.Token: 403, jane: 401},
		},
		{
			clerkauth.Token(clerkauth.APIKey, clerkauth.AnyOf(clerkauth.Scope("a"), clerkauth.Scope("reports:read"))), "api_key with (scope a or scope reports:read)",
			[]string{r.key.Token}, map[string]int{weak.Token: 403},
		},
		{clerkauth.Token(clerkauth.APIKey, owns), "api_key with check owner", []string{r.key.Token}, map[string]int{acmeKey.Token: 403, jane: 401}},
		{clerkauth.AnyOf(owns, write), "check owner or (api_key with scope reports:write)", []string{r.key.Token, acmeKey.Token}, map[string]int{weak.Token: 403, jane: 403}},
		{clerkauth.AnyOf(clerkauth.Public, write), "public or (api_key with scope reports:write)", []string{"", jane, r.key.Token, weak.Token}, map[string]int{"ak_unknown": 401}},
	} {
		if c.access.String() != c.prints {
			t.Errorf("it prints as %q, want %q", c.access, c.prints)
		}
		guard := r.auth.Require(c.access)
		for _, token := range c.admits {
			if got := ask(guard, bearer(token)); !got.entered {
				t.Errorf("%s: %v", c.access, got)
			}
		}
		for token, status := range c.denies {
			if got := ask(guard, bearer(token)); got.entered || got.status != status {
				t.Errorf("%s: %v, want %d", c.access, got, status)
			}
		}
	}
	// An organization's key is for that organization.
	mux := http.NewServeMux()
	mux.Handle("/orgs/{id}", r.auth.Require(clerkauth.Token(clerkauth.APIKey, clerkauth.OrganizationParam("id"))).Func(func(http.ResponseWriter, *http.Request) {}))
	for path, want := range map[string]int{"/orgs/" + acmeKey.Subject: 200, "/orgs/org_other": 403} {
		w, req := httptest.NewRecorder(), httptest.NewRequest(http.MethodGet, path, nil)
		acmeKey.Authorize(req)
		if mux.ServeHTTP(w, req); w.Code != want {
			t.Errorf("%s: %d", path, w.Code)
		}
	}

	for what, access := range map[string]clerkauth.Access{
		"a session as a token":       clerkauth.Token(clerkauth.SessionToken),
		"no kind":                    clerkauth.Token(""),
		"an unknown kind":            clerkauth.Token("api-key"),
		"a scope alone":              clerkauth.Scope("a"),
		"an empty scope":             clerkauth.Token(clerkauth.APIKey, clerkauth.Scope("")),
		"two scopes in one":          clerkauth.Token(clerkauth.APIKey, clerkauth.Scope("a b")),
		"a nil check":                clerkauth.Token(clerkauth.APIKey, nil),
		"a role of a machine":        clerkauth.Token(clerkauth.APIKey, clerkauth.Role("admin")),
		"a session of a machine":     clerkauth.Token(clerkauth.APIKey, clerkauth.SignedIn),
		"a sign-in of a machine":     clerkauth.Token(clerkauth.APIKey, clerkauth.ReverifiedStrict),
		"two kinds at once":          clerkauth.AllOf(clerkauth.Token(clerkauth.APIKey), clerkauth.Token(clerkauth.OAuthToken)),
		"one kind within another":    clerkauth.Token(clerkauth.APIKey, clerkauth.Token(clerkauth.OAuthToken)),
		"a user that is a machine":   clerkauth.AllOf(clerkauth.SignedIn, clerkauth.Token(clerkauth.APIKey)),
		"a scope of a user":          clerkauth.AllOf(clerkauth.SignedIn, clerkauth.Scope("a")),
		"a scope beside a user":      clerkauth.AnyOf(clerkauth.SignedIn, clerkauth.Scope("a")),
		"an impossible part of any":  clerkauth.AnyOf(clerkauth.SignedIn, clerkauth.AllOf(clerkauth.Role("a"), clerkauth.Token(clerkauth.APIKey))),
		"a scope beside its token":   clerkauth.AllOf(clerkauth.Token(clerkauth.APIKey), clerkauth.Scope("a")),
		"a scope or a token":         clerkauth.AnyOf(clerkauth.Token(clerkauth.APIKey), clerkauth.Scope("a")),
		"a scope or public":          clerkauth.AnyOf(clerkauth.Public, clerkauth.Scope("a")),
		"a role or a scope":          clerkauth.Token(clerkauth.APIKey, clerkauth.AnyOf(clerkauth.Role("admin"), clerkauth.Scope("a"))),
		"a check of sessions beside": clerkauth.AllOf(clerkauth.Token(clerkauth.APIKey), owns),
	} {
		mustPanic(t, what, func() { r.auth.Require(access) })
		if _, err := r.auth.Protect(clerkauth.Rules{"/x": access}); err == nil {
			t.Errorf("Protect: %s: no error", what)
		}
		req := httptest.NewRequest(http.MethodGet, "/", nil)
		bearer(r.key.Token)(req)
		if _, err := r.auth.Check(req, access); !errors.Is(err, clerkauth.ErrForbidden) {
			t.Errorf("Check: %s: %v", what, err)
		}
	}
}

// TestMachinesDoNotPrint: no value that users get hold of prints a credential or a
// claim, with any verb, fitting or not.
func TestMachinesDoNotPrint(t *testing.T) {
	r := newMachineRig(t)
	r.key.SetClaims(map[string]any{"private": "a claim's value"})
	for _, token := range []string{r.key.Token, r.key.JWT(), r.oauth.Token, r.m2m.JWT(), "ak_unknown", r.jane.Token(clerkauthtest.WithClaim("private", "a claim's value"))} {
		req := httptest.NewRequest(http.MethodGet, "/", nil)
		bearer(token)(req)
		ctx, err := r.auth.Check(req, forAll)
		var inside any
		r.auth.Handler(http.HandlerFunc(func(_ http.ResponseWriter, q *http.Request) { inside = q.Context() })).ServeHTTP(httptest.NewRecorder(), req)
		state := r.auth.Authenticate(req)
		for _, v := range []any{state, &state, state.Auth(), state.Err(), ctx, inside, err, clerkauth.FromContext(ctx), []any{state, ctx}, *r.auth, forAll} {
			for _, verb := range []string{"%v", "%+v", "%#v", "%s", "%q", "%x", "%d", "%t", "%p"} {
				shown := fmt.Sprintf(verb, v)
				for _, secret := range []string{token, fmt.Sprintf("%x", token), "a claim's value", fmt.Sprint([]byte("a claim's value"))[1:], fmt.Sprintf("%x", "a claim's value")} {
					if strings.Contains(shown, strings.TrimSuffix(secret, "]")) {
						t.Errorf("%s of a %T shows %.12s", verb, v, secret)
					}
				}
			}
		}
	}
}

// TestNestedGuards: a machine that an outer guard let in is nobody to an inner one
// that does not ask for its kind, and each guard asks its own question.
func TestNestedGuards(t *testing.T) {
	r := newMachineRig(t)
	either := clerkauth.AnyOf(clerkauth.SignedIn, clerkauth.Token(clerkauth.APIKey))
	for name, c := range map[string]struct {
		inner  clerkauth.Access
		status int
	}{
		"the same":     {either, 200},
		"a session":    {clerkauth.SignedIn, 401},
		"another kind": {clerkauth.Token(clerkauth.OAuthToken), 401},
		"a scope":      {clerkauth.Token(clerkauth.APIKey, clerkauth.Scope("reports:read")), 200},
		"a lost scope": {clerkauth.Token(clerkauth.APIKey, clerkauth.Scope("reports:delete")), 403},
		"anybody":      {clerkauth.Public, 200},
		"other kinds":  {clerkauth.AnyOf(clerkauth.SignedIn, clerkauth.Token(clerkauth.OAuthToken, clerkauth.Scope("reports:read"))), 401},
	} {
		got := ask(func(h http.Handler) http.Handler { return r.auth.Require(either)(r.auth.Require(c.inner)(h)) }, bearer(r.key.Token))
		if got.status != c.status || got.entered != (c.status == 200) {
			t.Errorf("%s: %v", name, got)
		}
		got = ask(func(h http.Handler) http.Handler { return r.auth.Handler(r.auth.Require(c.inner)(h)) }, bearer(r.key.Token))
		if got.status != c.status {
			t.Errorf("%s, behind Handler: %v", name, got)
		}
	}
	// Another Authenticator's machine is nobody's.
	other := newMachineRig(t)
	got := ask(func(h http.Handler) http.Handler { return r.auth.Require(either)(other.auth.Require(either)(h)) }, bearer(r.key.Token))
	if got.entered || got.status != 401 {
		t.Error(got)
	}
	// Nor is one made by hand.
	forged := func(h http.Handler) http.Handler {
		return http.HandlerFunc(func(w http.ResponseWriter, req *http.Request) {
			h.ServeHTTP(w, req.WithContext(clerkauth.NewContext(req.Context(), clerkauth.Auth{TokenType: clerkauth.APIKey, Subject: "user_1", TokenID: "ak_1"})))
		})
	}
	if got := ask(func(h http.Handler) http.Handler { return forged(r.auth.Require(either)(h)) }); got.entered {
		t.Error(got)
	}
}

// TestMachinesAndWhatIsHidden: what a machine may not know of is not there for it,
// and nothing is asked about a request that names no path.
func TestMachinesAndWhatIsHidden(t *testing.T) {
	r := newMachineRig(t, func(c *clerkauth.Config) { c.HideUnauthorized = true })
	guard := r.auth.Require(clerkauth.Token(clerkauth.APIKey, clerkauth.Scope("reports:delete")))
	for name, token := range map[string]string{"without a scope": r.key.Token, "another kind": r.oauth.Token, "unknown": "ak_unknown", "nothing": "", "a session": r.jane.Token()} {
		if got := ask(guard, bearer(token)); got.status != 404 || got.header.Get("WWW-Authenticate") != "" {
			t.Errorf("%s: %v", name, got)
		}
	}
	before := r.srv.Requests(clerkauthtest.TokenVerify)
	got := ask(guard, bearer("ak_first"), func(req *http.Request) { req.Method = http.MethodConnect })
	if got.status != 404 || r.srv.Requests(clerkauthtest.TokenVerify) != before {
		t.Error(got)
	}
}
