package clerkauth_test

import (
	"log/slog"
	"math/rand/v2"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"errors"

	"github.com/clerkauth/clerkauth"
	"github.com/clerkauth/clerkauth/clerkauthtest"
	"github.com/clerkauth/clerkauth/internal/testkit"
)

// status returns the status of r's response behind guard.
func status(t *testing.T, guard clerkauth.Middleware, r *http.Request) int {
	t.Helper()
	rec := httptest.NewRecorder()
	guard.Func(func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(http.StatusNoContent) }).ServeHTTP(rec, r)
	return rec.Code
}

func TestAccessStrings(t *testing.T) {
	for want, access := range map[string]clerkauth.Access{
		"public":                                  clerkauth.Public,
		"signed in":                               clerkauth.SignedIn,
		"not impersonated":                        clerkauth.NotImpersonated,
		"role org:admin":                          clerkauth.Role("org:admin"),
		"permission org:a:read":                   clerkauth.Permission("org:a:read"),
		"feature org:a":                           clerkauth.Feature("org:a"),
		"plan pro":                                clerkauth.Plan("pro"),
		"reverified strict_mfa":                   clerkauth.ReverifiedStrictMFA,
		"reverified strict":                       clerkauth.ReverifiedStrict,
		"reverified moderate":                     clerkauth.ReverifiedModerate,
		"reverified lax":                          clerkauth.ReverifiedLax,
		"reverified first_factor within 5m0s":     clerkauth.Reverified(clerkauth.FirstFactor, 5*time.Minute),
		"organization in path parameter slug":     clerkauth.OrganizationParam("slug"),
		"check owner":                             clerkauth.CheckFunc("owner", testkit.Predicate(func(clerkauth.Auth) bool { return true })),
		"role a and (plan b or plan c)":           clerkauth.AllOf(clerkauth.Role("a"), clerkauth.AnyOf(clerkauth.Plan("b"), clerkauth.Plan("c"))),
		"(role a and plan b) or not impersonated": clerkauth.AnyOf(clerkauth.AllOf(clerkauth.Role("a"), clerkauth.Plan("b")), clerkauth.NotImpersonated),
	} {
		if got := access.String(); got != want {
			t.Errorf("got %q, want %q", got, want)
		}
	}
}

// TestImpossibleAccessPanics: an Access that can never be satisfied panics at
// registration, in every place that takes one and at every depth.
func TestImpossibleAccessPanics(t *testing.T) {
	a := testkit.NewAuth(t, clerkauthtest.NewServer(t, clerkauthtest.InMemory()))
	impossible := map[string]clerkauth.Access{
		"nil":                     nil,
		"empty role":              clerkauth.Role(""),
		"blank role":              clerkauth.Role(" "),
		"prefix alone":            clerkauth.Role("org:org:"),
		"empty permission":        clerkauth.Permission(""),
		"permission prefix":       clerkauth.Permission("org:"),
		"empty feature":           clerkauth.Feature(""),
		"feature scope alone":     clerkauth.Feature("org:"),
		"feature scope malformed": clerkauth.Feature("x:a"),
		"feature three pieces":    clerkauth.Feature("o:a:b"),
		"empty plan":              clerkauth.Plan(""),
		"level unknown":           clerkauth.Reverified("none", time.Minute),
		"age zero":                clerkauth.Reverified(clerkauth.FirstFactor, 0),
		"age negative":            clerkauth.Reverified(clerkauth.FirstFactor, -time.Minute),
		"empty parameter":         clerkauth.OrganizationParam(""),
		"nameless check":          clerkauth.CheckFunc("", testkit.Predicate(func(clerkauth.Auth) bool { return true })),
		"check without func":      clerkauth.CheckFunc("x", nil),
		"all of nothing":          clerkauth.AllOf(),
		"any of nothing":          clerkauth.AnyOf(),
		"public plus one":         clerkauth.Public + 9,
		"public minus one":        clerkauth.Public - 1,
	}
	panics := func(f func()) (p any) {
		defer func() { p = recover() }()
		f()
		return nil
	}
	handler := http.NotFoundHandler()
	for name, access := range impossible {
		for where, f := range map[string]func(){
			"Require":       func() { a.Require(access) },
			"Require two":   func() { a.Require(clerkauth.SignedIn, access) },
			"AllOf":         func() { a.Require(clerkauth.AllOf(clerkauth.SignedIn, access)) },
			"AnyOf":         func() { a.Require(clerkauth.AnyOf(clerkauth.SignedIn, access)) },
			"nested":        func() { a.Require(clerkauth.AnyOf(clerkauth.SignedIn, clerkauth.AllOf(clerkauth.SignedIn, access))) },
			"ServeMux":      func() { a.NewServeMux().Handle("GET /x", access, handler) },
			"ServeMux func": func() { a.NewServeMux().HandleFunc("GET /x", access, handler.ServeHTTP) },
		} {
			if p, ok := panics(f).(string); !ok || !strings.HasPrefix(p, "clerkauth: ") {
				t.Errorf("%s in %s: panic %v", name, where, p)
			}
		}
		if _, err := a.Protect(clerkauth.Rules{"/x": access}); err == nil || !strings.Contains(err.Error(), `rule "/x"`) {
			t.Errorf("%s in Protect: %v", name, err)
		}
	}
}

// TestComposedRefusals: a composed Access responds for the requirement that decided.
func TestComposedRefusals(t *testing.T) {
	srv := clerkauthtest.NewServer(t, clerkauthtest.InMemory())
	a := testkit.NewAuth(t, srv)
	jane := srv.CreateUser("jane@example.com")
	member := srv.SignIn(jane, clerkauthtest.InOrganization("acme", "org:member"), clerkauthtest.FactorAges(45, -1))
	yes, no := clerkauth.Role("org:member"), clerkauth.Role("org:admin")
	old := clerkauth.ReverifiedStrict
	for name, c := range map[string]struct {
		access              clerkauth.Access
		signedIn, anonymous int
		reverification      bool
	}{
		"all met":                          {clerkauth.AllOf(yes, clerkauth.SignedIn), 204, 401, false},
		"one not met":                      {clerkauth.AllOf(yes, no), 403, 401, false},
		"any met":                          {clerkauth.AnyOf(no, yes), 204, 401, false},
		"none met":                         {clerkauth.AnyOf(no, clerkauth.Plan("pro")), 403, 401, false},
		"public beside a role":             {clerkauth.AllOf(clerkauth.Public, yes), 204, 401, false},
		"public or a role":                 {clerkauth.AnyOf(clerkauth.Public, no), 204, 204, false},
		"old sign-in":                      {clerkauth.AllOf(yes, old), 403, 401, true},
		"old sign-in, and no right anyway": {clerkauth.AllOf(no, old), 403, 401, false},
		"old sign-in or no right":          {clerkauth.AnyOf(no, old), 403, 401, true},
		"old sign-in or a right":           {clerkauth.AnyOf(old, yes), 204, 401, false},
	} {
		r := httptest.NewRequest("GET", "/", nil)
		if got := status(t, a.Require(c.access), r); got != c.anonymous {
			t.Errorf("%s, anonymous: %d, want %d", name, got, c.anonymous)
		}
		member.Authorize(r)
		rec := httptest.NewRecorder()
		a.Require(c.access).Func(func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(204) }).ServeHTTP(rec, r)
		if rec.Code != c.signedIn || strings.Contains(rec.Body.String(), "reverification-error") != c.reverification {
			t.Errorf("%s: %d %s, want %d", name, rec.Code, rec.Body, c.signedIn)
		}
	}
}

// TestRequiringMoreNeverAllowsMore: over random callers and requirements, adding to
// an AllOf or taking from an AnyOf never turns a refusal into a pass, and the whole
// agrees with a truth table over its parts.
func TestRequiringMoreNeverAllowsMore(t *testing.T) {
	srv := clerkauthtest.NewServer(t, clerkauthtest.InMemory())
	a := testkit.NewAuth(t, srv, func(c *clerkauth.Config) { c.Now = srv.Now })
	jane := srv.CreateUser("jane@example.com")
	random := rand.New(rand.NewPCG(1, 2))
	callers := []clerkauth.Auth{{}}
	for range 40 {
		var options []clerkauthtest.SessionOption
		if random.IntN(2) == 0 {
			options = append(options, clerkauthtest.InOrganization("acme", "org:"+testkit.Pick(random, "admin", "member"), "org:a:"+testkit.Pick(random, "read", "write")))
		}
		if random.IntN(2) == 0 {
			options = append(options, clerkauthtest.Plans(testkit.Pick(random, "u:pro", "u:free")))
		}
		if random.IntN(3) == 0 {
			options = append(options, clerkauthtest.ImpersonatedBy("user_support"))
		}
		options = append(options, clerkauthtest.FactorAges(random.IntN(90), random.IntN(90)-1))
		who, err := a.VerifyToken(t.Context(), srv.SignIn(jane, options...).Token())
		if err != nil {
			t.Fatal(err)
		}
		callers = append(callers, who)
	}
	single := []clerkauth.Access{
		clerkauth.SignedIn, clerkauth.NotImpersonated, clerkauth.Role("org:admin"), clerkauth.Role("member"), clerkauth.Permission("org:a:read"),
		clerkauth.Permission("org:a:write"), clerkauth.Plan("pro"), clerkauth.Plan("user:free"), clerkauth.ReverifiedStrict, clerkauth.ReverifiedModerate,
		clerkauth.CheckFunc("never", testkit.Predicate(func(clerkauth.Auth) bool { return false })),
	}
	guard := func(access clerkauth.Access, who clerkauth.Auth) bool { return who.Has(access) }
	passes := 0
	for range 5000 {
		who := callers[random.IntN(len(callers))]
		list := make([]clerkauth.Access, 1+random.IntN(4))
		every, some := true, false
		for i := range list {
			list[i] = single[random.IntN(len(single))]
			met := guard(list[i], who)
			every, some = every && met, some || met
		}
		all, anyOf := guard(clerkauth.AllOf(list...), who), guard(clerkauth.AnyOf(list...), who)
		if all != every || anyOf != some || who.Has(list...) != every {
			t.Fatalf("%v: all %v (want %v), any %v (want %v)", list, all, every, anyOf, some)
		}
		more := single[random.IntN(len(single))]
		if guard(clerkauth.AllOf(append(list, more)...), who) && !all {
			t.Fatalf("requiring %v as well allows what %v does not", more, list)
		}
		if len(list) > 1 && guard(clerkauth.AnyOf(list[1:]...), who) && !anyOf {
			t.Fatalf("dropping from %v allows more", list)
		}
		if nested := guard(clerkauth.AllOf(clerkauth.AnyOf(list...), more), who); nested && (!anyOf || !guard(more, who)) {
			t.Fatalf("nested requirements allow more")
		}
		if all {
			passes++
		}
	}
	if passes < 200 {
		t.Errorf("only %d passes: the callers are too poor to prove anything", passes)
	}
}

func TestNotImpersonatedRejectsMalformedActors(t *testing.T) {
	srv := clerkauthtest.NewServer(t, clerkauthtest.InMemory())
	a := testkit.NewAuth(t, srv)
	jane := srv.SignIn(srv.CreateUser("jane@example.com"))
	for act, want := range map[any]int{nil: 204, "user_support": 403, 7: 403, true: 403} {
		var options []clerkauthtest.TokenOption
		if act != nil {
			options = append(options, clerkauthtest.WithClaim("act", act))
		}
		r := httptest.NewRequest("GET", "/", nil)
		jane.Authorize(r, options...)
		if got := status(t, a.Require(clerkauth.NotImpersonated), r); got != want {
			t.Errorf("act %v: %d, want %d", act, got, want)
		}
	}
	r := httptest.NewRequest("GET", "/", nil)
	jane.Authorize(r, clerkauthtest.WithClaim("act", map[string]any{}))
	if got := status(t, a.Require(clerkauth.NotImpersonated), r); got != 403 {
		t.Errorf("act without sub: %d", got)
	}
}

// TestOrganizationParam: a role in one organization grants nothing in another.
func TestOrganizationParam(t *testing.T) {
	srv := clerkauthtest.NewServer(t, clerkauthtest.InMemory())
	a := testkit.NewAuth(t, srv)
	acme := srv.CreateOrganization("acme")
	jane := srv.CreateUser("jane@example.com")
	inAcme := srv.SignIn(jane, clerkauthtest.InOrganization("acme", "org:admin"))
	alone := srv.SignIn(jane)
	mux := http.NewServeMux()
	guard := a.Require(clerkauth.Role("org:admin"), clerkauth.OrganizationParam("org"))
	mux.Handle("GET /orgs/{org}/{rest...}", guard.Func(func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(204) }))
	mux.Handle("GET /no-parameter", guard.Func(func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(204) }))
	for path, want := range map[string]int{
		"/orgs/acme/": 204, "/orgs/" + acme.ID + "/x": 204, "/orgs/%61cme/": 204,
		"/orgs/other/": 403, "/orgs/Acme/": 403, "/orgs/acme%20/": 403, "/orgs/acme%2Fx/": 403, "/no-parameter": 403,
	} {
		for _, session := range []*clerkauthtest.Session{inAcme, alone} {
			r := httptest.NewRequest("GET", path, nil)
			session.Authorize(r)
			rec := httptest.NewRecorder()
			mux.ServeHTTP(rec, r)
			if session == alone && rec.Code != 403 || session == inAcme && rec.Code != want {
				t.Errorf("%s: %d, want %d", path, rec.Code, want)
			}
		}
	}
	if who, _ := a.VerifyToken(t.Context(), inAcme.Token()); who.Has(clerkauth.OrganizationParam("org")) {
		t.Error("without a request there is no parameter")
	}
}

func TestCheckFunc(t *testing.T) {
	srv := clerkauthtest.NewServer(t, clerkauthtest.InMemory())
	var logged strings.Builder
	a := testkit.NewAuth(t, srv, func(c *clerkauth.Config) { c.Logger = slog.New(slog.NewTextHandler(&logged, nil)) })
	jane := srv.CreateUser("jane@example.com")
	session := srv.SignIn(jane)
	calls := 0
	check := func(result func(clerkauth.Auth) bool) clerkauth.Access {
		return clerkauth.CheckFunc("mine", testkit.Predicate(func(who clerkauth.Auth) bool { calls++; return result(who) }))
	}
	r := httptest.NewRequest("GET", "/", nil)
	if got := status(t, a.Require(check(func(clerkauth.Auth) bool { return true })), r); got != 401 || calls != 0 {
		t.Errorf("an anonymous caller: %d, %d calls of the check", got, calls)
	}
	session.Authorize(r)
	for want, result := range map[int]func(clerkauth.Auth) bool{
		204: func(who clerkauth.Auth) bool { return who.UserID == jane.ID },
		403: func(clerkauth.Auth) bool { return false },
	} {
		if got := status(t, a.Require(check(result)), r); got != want {
			t.Errorf("%d, want %d", got, want)
		}
	}
	if got := status(t, a.Require(check(func(who clerkauth.Auth) bool { panic("secret of " + who.UserID) })), r); got != 503 {
		t.Errorf("a check that panics: %d", got)
	}
	if log := logged.String(); !strings.Contains(log, "check panicked") || strings.Contains(log, jane.ID) {
		t.Errorf("log: %s", log)
	}
}

// TestTokenAccess: requirements on machine credentials, how they print, and which
// can never be satisfied.
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
		allows []string
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
		for _, token := range c.allows {
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

func TestRequirePanicsAtRegistration(t *testing.T) {
	r := testkit.NewRig(t)
	for what, requirements := range map[string][]clerkauth.Access{
		"nil": {nil}, "nil among others": {clerkauth.SignedIn, nil}, "empty role": {clerkauth.Role("")}, "blank role": {clerkauth.Role("  ")}, "prefix alone": {clerkauth.Role("org:")},
		"empty permission": {clerkauth.Permission("")}, "permission of a prefix": {clerkauth.Permission("org:org:")}, "empty feature": {clerkauth.Feature("")}, "feature of a scope": {clerkauth.Feature("user:")},
		"empty plan": {clerkauth.Plan("")}, "plan of an unknown scope": {clerkauth.Plan("x:pro")}, "plan of two scopes": {clerkauth.Plan("u:o:pro")},
		"no level": {clerkauth.Reverified("", time.Minute)}, "unknown level": {clerkauth.Reverified("third_factor", time.Minute)}, "no age": {clerkauth.Reverified(clerkauth.FirstFactor, 0)},
		"negative age": {clerkauth.Reverified(clerkauth.FirstFactor, -time.Minute)}, "one that is bad": {clerkauth.Public, clerkauth.Role("")}, "none of any": {clerkauth.AnyOf()}, "none of all": {clerkauth.AllOf()}, "no function": {clerkauth.CheckFunc("x", nil)}, "no parameter": {clerkauth.OrganizationParam("")},
		"less than Public": {clerkauth.Public - 1}, "more than NotAgent": {clerkauth.NotAgent + 1}, "less than strict": {clerkauth.ReverifiedStrictMFA - 1}, "more than lax": {clerkauth.ReverifiedLax + 1},
	} {
		testkit.MustPanic(t, what, func() { r.Auth.Require(requirements...) })
	}
	testkit.MustPanic(t, "no handler", func() { r.Auth.Require()(nil) })
	for _, requirements := range [][]clerkauth.Access{nil, {clerkauth.Public}, {clerkauth.Role("admin"), clerkauth.Permission("a:b"), clerkauth.Feature("user:a"), clerkauth.Plan("org:a"), clerkauth.ReverifiedLax}} {
		r.Auth.Require(requirements...) // the control
	}
}
