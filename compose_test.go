package clerkauth_test

import (
	"log/slog"
	"math/rand/v2"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"github.com/clerkauth/clerkauth"
	"github.com/clerkauth/clerkauth/clerkauthtest"
	"github.com/clerkauth/clerkauth/internal/testkit"
)

// status sends a request with those rights through a guard.
func status(t *testing.T, guard clerkauth.Middleware, r *http.Request) int {
	t.Helper()
	rec := httptest.NewRecorder()
	guard.Func(func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(http.StatusNoContent) }).ServeHTTP(rec, r)
	return rec.Code
}

func TestAccessPrintsWhatItAsksFor(t *testing.T) {
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

// TestImpossibleAccessPanics: what nobody could ever meet is a mistake in the
// program, in every place that takes an Access, however deep it is.
func TestImpossibleAccessPanics(t *testing.T) {
	a := testkit.NewAuth(t, clerkauthtest.NewServer(t, clerkauthtest.InMemory()))
	impossible := map[string]clerkauth.Access{
		"nil":                  nil,
		"empty role":           clerkauth.Role(""),
		"blank role":           clerkauth.Role(" "),
		"prefix alone":         clerkauth.Role("org:org:"),
		"empty permission":     clerkauth.Permission(""),
		"permission prefix":    clerkauth.Permission("org:"),
		"empty feature":        clerkauth.Feature(""),
		"feature scope alone":  clerkauth.Feature("org:"),
		"feature scope odd":    clerkauth.Feature("x:a"),
		"feature three pieces": clerkauth.Feature("o:a:b"),
		"empty plan":           clerkauth.Plan(""),
		"level odd":            clerkauth.Reverified("none", time.Minute),
		"age zero":             clerkauth.Reverified(clerkauth.FirstFactor, 0),
		"age negative":         clerkauth.Reverified(clerkauth.FirstFactor, -time.Minute),
		"empty parameter":      clerkauth.OrganizationParam(""),
		"nameless check":       clerkauth.CheckFunc("", testkit.Predicate(func(clerkauth.Auth) bool { return true })),
		"check without func":   clerkauth.CheckFunc("x", nil),
		"all of nothing":       clerkauth.AllOf(),
		"any of nothing":       clerkauth.AnyOf(),
		"public plus one":      clerkauth.Public + 9,
		"public minus one":     clerkauth.Public - 1,
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

// TestServeMuxPanics: on what http.ServeMux panics, and on a parameter that the
// pattern does not have.
func TestServeMuxPanics(t *testing.T) {
	a := testkit.NewAuth(t, clerkauthtest.NewServer(t, clerkauthtest.InMemory()))
	own := clerkauth.OrganizationParam("slug")
	handler := http.NotFoundHandler()
	for name, c := range map[string]struct {
		pattern string
		access  clerkauth.Access
		handler http.Handler
		panics  bool
	}{
		"no handler":             {"/x", clerkauth.Public, nil, true},
		"a nil function":         {"/x", clerkauth.Public, http.HandlerFunc(nil), true},
		"no pattern":             {"", clerkauth.Public, handler, true},
		"half a wildcard":        {"/{x", clerkauth.Public, handler, true},
		"the parameter":          {"GET /orgs/{slug}", own, handler, false},
		"in a longer path":       {"/orgs/{slug}/x/{y}", own, handler, false},
		"the rest":               {"/orgs/{slug...}", own, handler, false},
		"misspelt":               {"GET /orgs/{slgu}", own, handler, true},
		"a part of it":           {"/orgs/{slug2}", own, handler, true},
		"not there":              {"/orgs/slug", own, handler, true},
		"not there, with more":   {"/orgs", clerkauth.AllOf(clerkauth.SignedIn, clerkauth.AnyOf(own, own)), handler, true},
		"not there, in a choice": {"/orgs", clerkauth.AnyOf(clerkauth.SignedIn, clerkauth.AllOf(clerkauth.SignedIn, own)), handler, false},
		"an empty choice":        {"/orgs/{slug}", clerkauth.AnyOf(), handler, true},
	} {
		func() {
			defer func() {
				if p := recover(); (p != nil) != c.panics {
					t.Errorf("%s: panic %v", name, p)
				}
			}()
			a.NewServeMux().Handle(c.pattern, c.access, c.handler)
		}()
	}
}

// TestComposedRefusals: the answer is that of the demand that matters.
func TestComposedRefusals(t *testing.T) {
	srv := clerkauthtest.NewServer(t, clerkauthtest.InMemory())
	a := testkit.NewAuth(t, srv)
	jane := srv.CreateUser("jane@example.com")
	member := srv.SignIn(jane, clerkauthtest.InOrganization("acme", "org:member"), clerkauthtest.FactorAges(45, -1))
	yes, no := clerkauth.Role("org:member"), clerkauth.Role("org:admin")
	old := clerkauth.ReverifiedStrict
	for name, c := range map[string]struct {
		access             clerkauth.Access
		signedIn, stranger int
		reverification     bool
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
		if got := status(t, a.Require(c.access), r); got != c.stranger {
			t.Errorf("%s, stranger: %d, want %d", name, got, c.stranger)
		}
		member.Authorize(r)
		rec := httptest.NewRecorder()
		a.Require(c.access).Func(func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(204) }).ServeHTTP(rec, r)
		if rec.Code != c.signedIn || strings.Contains(rec.Body.String(), "reverification-error") != c.reverification {
			t.Errorf("%s: %d %s, want %d", name, rec.Code, rec.Body, c.signedIn)
		}
	}
}

// TestAskingMoreNeverAllowsMore: over random callers and random demands, adding
// to an AllOf or taking from an AnyOf never turns a refusal into a pass, and the
// whole agrees with a truth table over the single answers.
func TestAskingMoreNeverAllowsMore(t *testing.T) {
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
			t.Fatalf("asking for %v, too, allows what %v does not", more, list)
		}
		if len(list) > 1 && guard(clerkauth.AnyOf(list[1:]...), who) && !anyOf {
			t.Fatalf("dropping from %v allows more", list)
		}
		if nested := guard(clerkauth.AllOf(clerkauth.AnyOf(list...), more), who); nested && (!anyOf || !guard(more, who)) {
			t.Fatalf("nested demands allow more")
		}
		if all {
			passes++
		}
	}
	if passes < 200 {
		t.Errorf("only %d passes: the callers are too poor to prove anything", passes)
	}
}

func TestNotImpersonatedKnowsOddActors(t *testing.T) {
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

// TestOrganizationParam: a role in one organization opens nothing of another.
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
	asked := 0
	check := func(result func(clerkauth.Auth) bool) clerkauth.Access {
		return clerkauth.CheckFunc("mine", testkit.Predicate(func(who clerkauth.Auth) bool { asked++; return result(who) }))
	}
	r := httptest.NewRequest("GET", "/", nil)
	if got := status(t, a.Require(check(func(clerkauth.Auth) bool { return true })), r); got != 401 || asked != 0 {
		t.Errorf("a stranger: %d, the check was asked %d times", got, asked)
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
