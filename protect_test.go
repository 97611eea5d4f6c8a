package clerkauth_test

import (
	"context"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"github.com/clerkauth/clerkauth"
	"github.com/clerkauth/clerkauth/clerkauthtest"
	"github.com/clerkauth/clerkauth/internal/testkit"
)

// TestProtect checks the rules that the documentation gives.
func TestProtect(t *testing.T) {
	g := testkit.NewPathGuard(t, clerkauth.Rules{
		"/{$}":                     clerkauth.Public,
		"POST /api/webhooks/clerk": clerkauth.Public,
		"/admin/{rest...}":         clerkauth.Role("org:owner"),
		"/dashboard(.*)":           clerkauth.SignedIn,
		"GET /things/{id}":         clerkauth.SignedIn,
		"DELETE /things/{id}":      clerkauth.Role("org:owner"),
	}, nil)
	for _, c := range []struct {
		method, target      string
		anonymous, signedIn int
	}{
		{"GET", "/", 204, 204},
		{"GET", "/nothing", 401, 204}, // signed in by default
		{"POST", "/api/webhooks/clerk", 204, 204},
		{"GET", "/api/webhooks/clerk", 401, 204},
		{"PATCH", "/api/webhooks/clerk", 401, 204},
		{"GET", "/admin/x", 401, 403},
		{"GET", "/admin", 401, 403}, // routers redirect it, or trim the slash
		{"GET", "/dashboard/x", 401, 204},
		{"GET", "/dashboardx", 401, 204},
		{"GET", "/things/1", 401, 204},
		{"HEAD", "/things/1", 401, 204},
		{"DELETE", "/things/1", 401, 403},
		{"get", "/things/1", 401, 403}, // every server reads it as one of these methods
		{"FOO", "/things/1", 401, 403},
		{"TRACE", "/things/1", 401, 403},
		{"PUT", "/things/1", 401, 403},
	} {
		if got := g.Raw(t, c.method, c.target, false); got != c.anonymous {
			t.Errorf("%s %s, anonymous: %d, want %d", c.method, c.target, got, c.anonymous)
		}
		if got := g.Raw(t, c.method, c.target, true); got != c.signedIn {
			t.Errorf("%s %s, signed in: %d, want %d", c.method, c.target, got, c.signedIn)
		}
	}
	// Only method and target count.
	for _, header := range []string{"X-Original-URL: /", "X-Rewrite-URL: /", "X-Forwarded-Uri: /", "X-Forwarded-Prefix: /", "X-Forwarded-Path: /",
		"X-HTTP-Method-Override: GET", "X-Middleware-Subrequest: middleware", "Referer: /"} {
		if got := g.Raw(t, "GET", "/admin/x?_method=POST&path=/", false, header); got != 401 {
			t.Errorf("%s: %d", header, got)
		}
	}
}

func TestProtectRefusesContradictions(t *testing.T) {
	a := testkit.NewAuth(t, clerkauthtest.NewServer(t, clerkauthtest.InMemory()))
	for name, rules := range map[string]clerkauth.Rules{
		"one language twice":          {"/a/{x}": clerkauth.SignedIn, "/a/:y": clerkauth.Public},
		"neither contains the other":  {"/{a}/x": clerkauth.SignedIn, "/x/{b}": clerkauth.Public},
		"public with siblings":        {"/docs(.*)": clerkauth.Public},
		"public in disguise":          {"/docs(.*)": clerkauth.AnyOf(clerkauth.SignedIn, clerkauth.Public)},
		"trailing slash":              {"/a/": clerkauth.SignedIn},
		"parameter behind the router": {"/orgs/{slug}": clerkauth.AllOf(clerkauth.SignedIn, clerkauth.OrganizationParam("slug"))},
		"both grammars":               {"/{a}/:b": clerkauth.SignedIn},
		"impossible":                  {"/a": clerkauth.Role("")},
		"nil":                         {"/a": nil},
	} {
		if m, err := a.Protect(rules); err == nil || m != nil {
			t.Errorf("%s: accepted", name)
		}
	}
	if _, err := a.Protect(clerkauth.Rules{"/a": clerkauth.SignedIn}, clerkauth.Mount("app")); err == nil {
		t.Error("a mount that is no path was accepted")
	}
	own := testkit.NewAuth(t, clerkauthtest.NewServer(t, clerkauthtest.InMemory()), func(c *clerkauth.Config) { c.Browser.SignInURL = "/sign-in" })
	if _, err := own.Protect(clerkauth.Rules{"/{$}": clerkauth.Public}); err == nil || !strings.Contains(err.Error(), "SignInURL /sign-in") {
		t.Errorf("a guarded sign-in page: %v", err)
	}
	if _, err := own.Protect(clerkauth.Rules{"/sign-in": clerkauth.Public}); err != nil {
		t.Error(err)
	}
	hosted := testkit.NewAuth(t, clerkauthtest.NewServer(t, clerkauthtest.InMemory()), func(c *clerkauth.Config) {
		c.Browser.SignInURL, c.Browser.PublicOrigin = "/sign-in", "https://www.example.com"
	})
	for pattern, ok := range map[string]bool{"www.example.com/sign-in": true, "docs.example.com/sign-in": false} {
		if _, err := hosted.Protect(clerkauth.Rules{pattern: clerkauth.Public}); (err == nil) != ok {
			t.Errorf("a sign-in page under a host, %s: %v", pattern, err)
		}
	}
	if _, err := a.Protect(nil); err != nil {
		t.Errorf("no rules mean signed in everywhere: %v", err)
	}
}

func TestProtectIdentifies(t *testing.T) {
	srv := clerkauthtest.NewServer(t, clerkauthtest.InMemory())
	a := testkit.NewAuth(t, srv)
	protect, err := a.Protect(clerkauth.Rules{"/{$}": clerkauth.Public})
	if err != nil {
		t.Fatal(err)
	}
	jane := srv.CreateUser("jane@example.com")
	var got string
	h := protect.Func(func(_ http.ResponseWriter, r *http.Request) { got = clerkauth.FromContext(r.Context()).UserID })
	for _, target := range []string{"/", "/x"} {
		got = ""
		r := httptest.NewRequest("GET", target, nil)
		srv.SignIn(jane).Authorize(r)
		h.ServeHTTP(httptest.NewRecorder(), r)
		if got != jane.ID {
			t.Errorf("%s: %q", target, got)
		}
	}
	r := httptest.NewRequest("GET", "/", nil)
	r.Header.Set("Authorization", "Bearer b.a.d")
	rec := httptest.NewRecorder()
	h.ServeHTTP(rec, r)
	if rec.Code != 401 {
		t.Errorf("a bad token on a public path: %d", rec.Code)
	}
}

// TestProtectAllocatesNothing: looking up rules does not allocate. What Protect allocates
// is what Handler allocates for the same request.
func TestProtectAllocatesNothing(t *testing.T) {
	auth := testkit.NewAuth(t, clerkauthtest.NewServer(t, clerkauthtest.InMemory()))
	protect, err := auth.Protect(clerkauth.Rules{"/a/{id}": clerkauth.Public, "/b/{rest...}": clerkauth.Role("admin")})
	if err != nil {
		t.Fatal(err)
	}
	next := http.HandlerFunc(func(http.ResponseWriter, *http.Request) {})
	allocations := func(h http.Handler) float64 {
		w, r := httptest.NewRecorder(), httptest.NewRequest("GET", "/a/42", nil)
		return testing.AllocsPerRun(50, func() { h.ServeHTTP(w, r) })
	}
	if n, handler := allocations(protect(next)), allocations(auth.Handler(next)); n > handler {
		t.Errorf("%v allocations, and Handler %v", n, handler)
	}
}

// BenchmarkProtect measures the rules beside a look-up in an http.ServeMux with the
// same patterns.
func BenchmarkProtect(b *testing.B) {
	rules, mux := clerkauth.Rules{}, http.NewServeMux()
	for i := range 50 {
		pattern := "/api/v1/" + string(rune('a'+i%26)) + strings.Repeat("x", i/26) + "/{id}"
		rules[pattern] = clerkauth.Public
		mux.HandleFunc(pattern, testkit.NoContent)
	}
	srv := clerkauthtest.NewServer(b, clerkauthtest.InMemory())
	protect, err := testkit.NewAuth(b, srv).Protect(rules)
	if err != nil {
		b.Fatal(err)
	}
	h := protect(http.HandlerFunc(func(http.ResponseWriter, *http.Request) {}))
	r := httptest.NewRequest("GET", "/api/v1/mx/42", nil)
	b.Run("Protect", func(b *testing.B) {
		w := httptest.NewRecorder()
		b.ReportAllocs()
		for b.Loop() {
			h.ServeHTTP(w, r)
		}
	})
	b.Run("http.ServeMux", func(b *testing.B) {
		b.ReportAllocs()
		for b.Loop() {
			mux.Handler(r)
		}
	})
}

// TestRulesThatNoneCanMeetTogether: a path whose interpretations meet rules for different
// kinds of callers is refused as each of the rules would, not as forbidden.
func TestRulesThatNoneCanMeetTogether(t *testing.T) {
	r := testkit.NewMachineRig(t)
	protect, err := r.Auth.Protect(clerkauth.Rules{"/api/{rest...}": clerkauth.Token(clerkauth.APIKey)})
	if err != nil {
		t.Fatal(err)
	}
	for name, c := range map[string]struct {
		token  string
		reason clerkauth.Reason
	}{"none": {"", clerkauth.ErrTokenMissing}, "an API key": {r.APIKey.Token, clerkauth.ErrTokenType}, "a session": {r.Jane.Token(), clerkauth.ErrTokenType}} {
		for _, path := range []string{"//api/x", "/api//x", "/y/../api/x"} {
			got := testkit.Serve(protect, testkit.Bearer(c.token), func(r *http.Request) { r.URL.Path = path })
			if testkit.WantReply(t, got, 401, c.reason); !strings.HasPrefix(got.Header.Get("WWW-Authenticate"), "Bearer") {
				t.Errorf("%s to %s: %v", name, path, got)
			}
		}
	}
	testkit.WantReply(t, testkit.Serve(protect, testkit.Bearer(r.APIKey.Token), func(r *http.Request) { r.URL.Path = "/api/x" }), 200, "")
}

// TestManyChecks: as many checks as a path's rules have are made, in order.
func TestManyChecks(t *testing.T) {
	r := testkit.NewRig(t)
	calls, refuses := 0, -1
	list := func() (checks []clerkauth.Access) {
		for range 40 {
			checks = append(checks, clerkauth.CheckFunc("many", func(context.Context, clerkauth.Auth) (bool, error) {
				calls++
				return calls != refuses, nil
			}))
		}
		return checks
	}
	protect, err := r.Auth.Protect(clerkauth.Rules{"/a/{rest...}": clerkauth.AllOf(list()...), "/b/{rest...}": clerkauth.AllOf(list()...)})
	if err != nil {
		t.Fatal(err)
	}
	for refuses = range 82 {
		calls = 0
		want, most := 200, 80
		if refuses >= 1 && refuses <= 80 {
			want, most = 403, refuses
		}
		got := testkit.Serve(protect, testkit.Bearer(r.Jane.Token()), func(r *http.Request) { r.URL.Path = "/a/../b/x" })
		if got.Status != want || calls != most {
			t.Errorf("check %d refuses: %v after %d calls", refuses, got, calls)
		}
	}
}
