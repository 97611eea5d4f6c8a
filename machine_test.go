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
	"github.com/clerkauth/clerkauth/internal/testkit"
)

// TestKindsInEachOthersPlace: each kind of credential opens the routes that ask for
// it and no other, whatever else the program accepts, and is verified nowhere else.
func TestKindsInEachOthersPlace(t *testing.T) {
	r := testkit.NewMachineRig(t)
	credentials := map[string]string{
		"session": r.Jane.Token(), "API key": r.APIKey.Token, "API key JWT": r.APIKey.JWT(), "M2M": r.M2M.Token, "M2M JWT": r.M2M.JWT(),
		"OAuth": r.OAuth.Token, "OAuth JWT": r.OAuth.JWT(), "template": r.Jane.TemplateToken("x", nil), "nothing": "",
	}
	opens := map[string][]string{ // which credentials open a route
		"session": {"session"}, "API key": {"API key", "API key JWT"}, "M2M": {"M2M", "M2M JWT"}, "OAuth": {"OAuth", "OAuth JWT"},
		"any": {"session", "API key", "API key JWT", "M2M", "M2M JWT", "OAuth", "OAuth JWT"},
	}
	routes := map[string]clerkauth.Access{
		"session": clerkauth.SignedIn, "API key": clerkauth.Token(clerkauth.APIKey), "M2M": clerkauth.Token(clerkauth.M2MToken),
		"OAuth": clerkauth.Token(clerkauth.OAuthToken), "any": testkit.AnyCredential,
	}
	calls := map[string]clerkauthtest.Endpoint{"API key": clerkauthtest.APIKeyVerify, "M2M": clerkauthtest.M2MVerify, "OAuth": clerkauthtest.OAuthVerify}
	for route, access := range routes {
		for name, token := range credentials {
			for _, identify := range []bool{false, true} {
				auth := testkit.NewAuth(t, r.Server, testkit.AcceptAll) // nothing is remembered
				guard := auth.Require(access)
				if identify {
					guard = func(h http.Handler) http.Handler { return auth.Handler(auth.Require(access)(h)) }
				}
				before, asked := r.Server.Requests(clerkauthtest.TokenVerify), r.Server.Requests(calls[name])
				got := testkit.Serve(guard, testkit.Bearer(token))
				want := slices.Contains(opens[route], name)
				if got.Entered != want || want != (got.Status == 200) || !want && got.Status != 401 {
					t.Errorf("%s at a route for %s (identify %v): %v", name, route, identify, got)
				}
				if reason := got.Reason(); !want && reason != string(clerkauth.ErrTokenType) && name != "nothing" {
					t.Errorf("%s at a route for %s: %s", name, route, reason)
				}
				made := r.Server.Requests(clerkauthtest.TokenVerify) - before
				if opaque := calls[name] != 0; opaque && want != (r.Server.Requests(calls[name])-asked == 1) || made > 1 || !want && made != 0 {
					t.Errorf("%s at a route for %s: %d calls", name, route, made)
				}
			}
		}
	}
}

// TestWhatNobodyAsksForIsNotVerified: not on public routes, not twice, and not where
// a credential of that kind is of no use.
func TestWhatNobodyAsksForIsNotVerified(t *testing.T) {
	r := testkit.NewMachineRig(t, func(c *clerkauth.Config) { c.Machines.CacheTTL = clerkauth.AskEveryTime })
	tokens := []string{r.APIKey.Token, r.M2M.Token, r.OAuth.Token, "ak_unknown"}
	for name, access := range map[string]clerkauth.Access{"public": clerkauth.Public, "public or admins": clerkauth.AnyOf(clerkauth.Public, clerkauth.Role("admin"))} {
		for _, token := range tokens {
			if got := testkit.Serve(r.Auth.Require(access), testkit.Bearer(token)); !got.Entered {
				t.Errorf("%s: %v", name, got)
			}
		}
	}
	mux := r.Auth.NewServeMux()
	mux.HandleFunc("/", clerkauth.Public, func(http.ResponseWriter, *http.Request) {})
	for _, token := range tokens {
		w, req := httptest.NewRecorder(), httptest.NewRequest(http.MethodGet, "/", nil)
		testkit.Bearer(token)(req)
		if mux.ServeHTTP(w, req); w.Code != 200 {
			t.Error(w.Code)
		}
	}
	// What a mux answers by itself asks for what the routes there ask for.
	beside := r.Auth.NewServeMux()
	beside.HandleFunc("GET /admin/users", clerkauth.SignedIn, func(http.ResponseWriter, *http.Request) {})
	beside.HandleFunc("GET /reports", clerkauth.Token(clerkauth.OAuthToken), func(http.ResponseWriter, *http.Request) {})
	for _, path := range []string{"/admin/users", "/reports", "/reports/"} {
		w, req := httptest.NewRecorder(), httptest.NewRequest(http.MethodPost, path, nil)
		r.APIKey.Authorize(req)
		if beside.ServeHTTP(w, req); w.Code != 401 {
			t.Errorf("POST %s: %d", path, w.Code)
		}
	}
	if n := r.Server.Requests(clerkauthtest.Backend); n != 0 {
		t.Errorf("%d calls", n)
	}
	guard := r.Auth.Require(testkit.AnyCredential)
	if got := testkit.Serve(func(h http.Handler) http.Handler { return guard(guard(r.Auth.Handler(guard(h)))) }, testkit.Bearer(r.APIKey.Token)); !got.Entered || r.Server.Requests(clerkauthtest.TokenVerify) != 1 {
		t.Errorf("%v, %d calls", got, r.Server.Requests(clerkauthtest.TokenVerify))
	}
	// What is wrong with a session is of no interest where none is asked for.
	r.Server.Fail(clerkauthtest.JWKS, 503)
	for name, token := range map[string]string{"a session": r.Jane.Token(), "one that has expired": r.Jane.Token(clerkauthtest.ExpiresIn(-time.Hour)), "what is no token": "x"} {
		if got := testkit.Serve(r.Auth.Require(clerkauth.Token(clerkauth.APIKey)), testkit.Bearer(token)); got.Status != 401 || got.Reason() != string(clerkauth.ErrTokenType) {
			t.Errorf("%s: %v", name, got)
		}
	}
}

// TestAcceptIsACeiling: what Config.Accept leaves out is not verified, whatever a
// route asks for.
func TestAcceptIsACeiling(t *testing.T) {
	r := testkit.NewMachineRig(t)
	credentials := map[clerkauth.TokenType][]string{
		clerkauth.SessionToken: {r.Jane.Token()}, clerkauth.APIKey: {r.APIKey.Token, r.APIKey.JWT()},
		clerkauth.M2MToken: {r.M2M.Token, r.M2M.JWT()}, clerkauth.OAuthToken: {r.OAuth.Token, r.OAuth.JWT()},
	}
	for only := range credentials {
		auth := testkit.NewAuth(t, r.Server, func(c *clerkauth.Config) { c.Accept = []clerkauth.TokenType{only} })
		for kind, tokens := range credentials {
			for _, token := range tokens {
				before := r.Server.Requests(clerkauthtest.TokenVerify)
				got := testkit.Serve(auth.Require(testkit.AnyCredential), testkit.Bearer(token))
				if got.Entered != (kind == only) || kind != only && (got.Reason() != string(clerkauth.ErrTokenType) || r.Server.Requests(clerkauthtest.TokenVerify) != before) {
					t.Errorf("%s where %s is accepted: %v", kind, only, got)
				}
				if got := testkit.Serve(auth.Handler, testkit.Bearer(token)); !got.Entered {
					t.Errorf("%s, only identified: %v", kind, got)
				}
			}
		}
		_, err := auth.VerifyToken(t.Context(), r.Jane.Token())
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
				testkit.MustPanic(t, fmt.Sprintf("%s where %s is accepted", kind, only), func() { auth.Require(access) })
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
			testkit.Bearer(token)(req)
			if mux.ServeHTTP(w, req); w.Code != want {
				t.Errorf("POST, where %s is accepted: %d, want %d", only, w.Code, want)
			}
		}
	}
	if nilIs := testkit.NewAuth(t, r.Server, func(c *clerkauth.Config) { c.Accept = nil }); testkit.Serve(nilIs.Require(testkit.AnyCredential), testkit.Bearer(r.APIKey.Token)).Entered || !testkit.Serve(nilIs.Require(testkit.AnyCredential), testkit.Bearer(r.Jane.Token())).Entered {
		t.Error("nil is not sessions alone")
	}
}

// TestMachineIdentity: what a handler sees of a machine, in both forms.
func TestMachineIdentity(t *testing.T) {
	r := testkit.NewMachineRig(t)
	acme := r.Server.CreateOrganization("acme")
	orgKey := r.Server.CreateAPIKey(acme)
	r.APIKey.SetClaims(map[string]any{"tier": "gold"})
	r.APIKey.SetExpiration(r.Server.Now().Add(time.Hour))
	r.M2M.SetClaims(map[string]any{"tier": "gold"})
	type custom struct{ Tier string }
	for name, c := range map[string]struct {
		token, subject, userID, orgID, machineID, clientID, id, tier string
		scopes                                                       []string
		expires                                                      bool
	}{
		"API key":            {r.APIKey.Token, r.User.ID, r.User.ID, "", "", "", r.APIKey.ID, "gold", []string{"reports:read", "reports:write"}, true},
		"API key JWT":        {r.APIKey.JWT(), r.User.ID, r.User.ID, "", "", "", r.APIKey.ID, "gold", []string{"reports:read", "reports:write"}, true},
		"organization":       {orgKey.Token, acme.ID, "", acme.ID, "", "", orgKey.ID, "", nil, false},
		"organization's JWT": {orgKey.JWT(), acme.ID, "", acme.ID, "", "", orgKey.ID, "", nil, true},
		"M2M":                {r.M2M.Token, r.Peer.ID, "", "", r.Peer.ID, "", r.M2M.ID, "gold", []string{r.Here.ID}, true},
		"M2M JWT":            {r.M2M.JWT(), r.Peer.ID, "", "", r.Peer.ID, "", r.M2M.ID, "gold", []string{r.Here.ID}, true},
		"OAuth":              {r.OAuth.Token, r.User.ID, r.User.ID, "", "", "client_1", r.OAuth.ID, "", []string{"notes:read"}, true},
		"OAuth JWT":          {r.OAuth.JWT(), r.User.ID, r.User.ID, "", "", "client_1", r.OAuth.ID, "", []string{"notes:read"}, true},
	} {
		var who clerkauth.Auth
		guard := r.Auth.Handler(r.Auth.Require(testkit.AnyCredential).Func(func(_ http.ResponseWriter, req *http.Request) { who = clerkauth.FromContext(req.Context()) }))
		req := httptest.NewRequest(http.MethodGet, "/", nil)
		testkit.Bearer(c.token)(req)
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
		if _, err := r.Auth.GetToken(t.Context(), who, ""); !errors.Is(err, clerkauth.ErrUnauthenticated) {
			t.Errorf("%s: %v", name, err)
		}
	}
}

// TestTokenAccess: what can be asked of a machine, how it prints, and what nobody
// could ever meet.
func TestTokenAccess(t *testing.T) {
	r := testkit.NewMachineRig(t)
	write := clerkauth.Token(clerkauth.APIKey, clerkauth.Scope("reports:write"))
	owns := clerkauth.CheckFunc("owner", testkit.Predicate(func(who clerkauth.Auth) bool { return who.UserID == r.User.ID }))
	acmeKey := r.Server.CreateAPIKey(r.Server.CreateOrganization("acme"), "reports:write")
	weak := r.Server.CreateAPIKey(r.User, "reports:writes", "Reports:Write", "reports")
	jane := r.Jane.Token()
	for _, c := range []struct {
		access clerkauth.Access
		prints string
		admits []string
		denies map[string]int
	}{
		{clerkauth.Token(clerkauth.APIKey), "api_key", []string{r.APIKey.Token, weak.Token}, map[string]int{jane: 401}},
		{write, "api_key with scope reports:write", []string{r.APIKey.Token, acmeKey.Token}, map[string]int{weak.Token: 403, jane: 401}},
		{
			clerkauth.AnyOf(clerkauth.SignedIn, write), "signed in or (api_key with scope reports:write)",
			[]string{jane, r.APIKey.Token}, map[string]int{weak.Token: 403, "": 401, r.OAuth.Token: 401},
		},
		{
			clerkauth.AnyOf(clerkauth.Token(clerkauth.APIKey, clerkauth.Scope("reports:write")), clerkauth.Token(clerkauth.OAuthToken)), "(api_key with scope reports:write) or oauth_token",
			[]string{r.OAuth.Token, r.APIKey.Token}, map[string]int{weak.Token: 403, jane: 401},
		},
		{
			clerkauth.Token(clerkauth.APIKey, clerkauth.AnyOf(clerkauth.Scope("a"), clerkauth.Scope("reports:read"))), "api_key with (scope a or scope reports:read)",
			[]string{r.APIKey.Token}, map[string]int{weak.Token: 403},
		},
		{clerkauth.Token(clerkauth.APIKey, owns), "api_key with check owner", []string{r.APIKey.Token}, map[string]int{acmeKey.Token: 403, jane: 401}},
		{clerkauth.AnyOf(owns, write), "check owner or (api_key with scope reports:write)", []string{r.APIKey.Token, acmeKey.Token}, map[string]int{weak.Token: 403, jane: 403}},
		{clerkauth.AnyOf(clerkauth.Public, write), "public or (api_key with scope reports:write)", []string{"", jane, r.APIKey.Token, weak.Token}, map[string]int{"ak_unknown": 401}},
	} {
		if c.access.String() != c.prints {
			t.Errorf("it prints as %q, want %q", c.access, c.prints)
		}
		guard := r.Auth.Require(c.access)
		for _, token := range c.admits {
			if got := testkit.Serve(guard, testkit.Bearer(token)); !got.Entered {
				t.Errorf("%s: %v", c.access, got)
			}
		}
		for token, status := range c.denies {
			if got := testkit.Serve(guard, testkit.Bearer(token)); got.Entered || got.Status != status {
				t.Errorf("%s: %v, want %d", c.access, got, status)
			}
		}
	}
	// An organization's key is for that organization.
	mux := http.NewServeMux()
	mux.Handle("/orgs/{id}", r.Auth.Require(clerkauth.Token(clerkauth.APIKey, clerkauth.OrganizationParam("id"))).Func(func(http.ResponseWriter, *http.Request) {}))
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
		testkit.MustPanic(t, what, func() { r.Auth.Require(access) })
		if _, err := r.Auth.Protect(clerkauth.Rules{"/x": access}); err == nil {
			t.Errorf("Protect: %s: no error", what)
		}
		req := httptest.NewRequest(http.MethodGet, "/", nil)
		testkit.Bearer(r.APIKey.Token)(req)
		if _, err := r.Auth.Check(req, access); !errors.Is(err, clerkauth.ErrForbidden) {
			t.Errorf("Check: %s: %v", what, err)
		}
	}
}

// TestMachinesDoNotPrint: no value that users get hold of prints a credential or a
// claim, with any verb, fitting or not.
func TestMachinesDoNotPrint(t *testing.T) {
	r := testkit.NewMachineRig(t)
	r.APIKey.SetClaims(map[string]any{"private": "a claim's value"})
	for _, token := range []string{r.APIKey.Token, r.APIKey.JWT(), r.OAuth.Token, r.M2M.JWT(), "ak_unknown", r.Jane.Token(clerkauthtest.WithClaim("private", "a claim's value"))} {
		req := httptest.NewRequest(http.MethodGet, "/", nil)
		testkit.Bearer(token)(req)
		ctx, err := r.Auth.Check(req, testkit.AnyCredential)
		var inside any
		r.Auth.Handler(http.HandlerFunc(func(_ http.ResponseWriter, q *http.Request) { inside = q.Context() })).ServeHTTP(httptest.NewRecorder(), req)
		state := r.Auth.Authenticate(req)
		for _, v := range []any{state, &state, state.Auth(), state.Err(), ctx, inside, err, clerkauth.FromContext(ctx), []any{state, ctx}, *r.Auth, testkit.AnyCredential} {
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
	r := testkit.NewMachineRig(t)
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
		got := testkit.Serve(func(h http.Handler) http.Handler { return r.Auth.Require(either)(r.Auth.Require(c.inner)(h)) }, testkit.Bearer(r.APIKey.Token))
		if got.Status != c.status || got.Entered != (c.status == 200) {
			t.Errorf("%s: %v", name, got)
		}
		got = testkit.Serve(func(h http.Handler) http.Handler { return r.Auth.Handler(r.Auth.Require(c.inner)(h)) }, testkit.Bearer(r.APIKey.Token))
		if got.Status != c.status {
			t.Errorf("%s, behind Handler: %v", name, got)
		}
	}
	// Another Authenticator's machine is nobody's.
	other := testkit.NewMachineRig(t)
	got := testkit.Serve(func(h http.Handler) http.Handler { return r.Auth.Require(either)(other.Auth.Require(either)(h)) }, testkit.Bearer(r.APIKey.Token))
	if got.Entered || got.Status != 401 {
		t.Error(got)
	}
	// Nor is one made by hand.
	forged := func(h http.Handler) http.Handler {
		return http.HandlerFunc(func(w http.ResponseWriter, req *http.Request) {
			h.ServeHTTP(w, req.WithContext(clerkauth.NewContext(req.Context(), clerkauth.Auth{TokenType: clerkauth.APIKey, Subject: "user_1", TokenID: "ak_1"})))
		})
	}
	if got := testkit.Serve(func(h http.Handler) http.Handler { return forged(r.Auth.Require(either)(h)) }); got.Entered {
		t.Error(got)
	}
}

// TestMachinesAndWhatIsHidden: what a machine may not know of is not there for it,
// and nothing is asked about a request that names no path.
func TestMachinesAndWhatIsHidden(t *testing.T) {
	r := testkit.NewMachineRig(t, func(c *clerkauth.Config) { c.HideUnauthorized = true })
	guard := r.Auth.Require(clerkauth.Token(clerkauth.APIKey, clerkauth.Scope("reports:delete")))
	for name, token := range map[string]string{"without a scope": r.APIKey.Token, "another kind": r.OAuth.Token, "unknown": "ak_unknown", "nothing": "", "a session": r.Jane.Token()} {
		if got := testkit.Serve(guard, testkit.Bearer(token)); got.Status != 404 || got.Header.Get("WWW-Authenticate") != "" {
			t.Errorf("%s: %v", name, got)
		}
	}
	before := r.Server.Requests(clerkauthtest.TokenVerify)
	got := testkit.Serve(guard, testkit.Bearer("ak_first"), func(req *http.Request) { req.Method = http.MethodConnect })
	if got.Status != 404 || r.Server.Requests(clerkauthtest.TokenVerify) != before {
		t.Error(got)
	}
}
