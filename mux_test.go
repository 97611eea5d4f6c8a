package clerkauth_test

import (
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"github.com/clerkauth/clerkauth"
	"github.com/clerkauth/clerkauth/clerkauthtest"
	"github.com/clerkauth/clerkauth/internal/testkit"
)

func noContent(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(http.StatusNoContent) }

// newMux returns a mux with public and guarded routes, and a session that meets the
// requirements of all but one.
func newMux(t *testing.T) (*clerkauth.ServeMux, *clerkauthtest.Session) {
	t.Helper()
	srv := clerkauthtest.NewServer(t, clerkauthtest.InMemory())
	mux := testkit.NewAuth(t, srv).NewServeMux()
	mux.HandleFunc("GET /{$}", clerkauth.Public, noContent)
	mux.HandleFunc("GET /public/", clerkauth.Public, noContent)
	mux.HandleFunc("GET /dashboard/", clerkauth.SignedIn, noContent)
	mux.HandleFunc("GET /account", clerkauth.SignedIn, noContent)
	mux.HandleFunc("DELETE /orgs/{slug}", clerkauth.AllOf(clerkauth.Role("org:admin"), clerkauth.OrganizationParam("slug")), deleteOrg)
	mux.Handle("/files/", clerkauth.Role("org:member"), http.NotFoundHandler())
	return mux, srv.SignIn(srv.CreateUser("jane@example.com"), clerkauthtest.InOrganization("acme", "org:admin"))
}

// TestServeMux compares the status for anonymous and signed-in callers with that of
// http.ServeMux.
func TestServeMux(t *testing.T) {
	mux, session := newMux(t)
	for _, c := range []struct {
		method, target      string
		anonymous, signedIn int
	}{
		{"GET", "/", 204, 204},
		{"HEAD", "/", 204, 204},
		{"POST", "/", 405, 405},
		{"GET", "/public/x", 204, 204},
		{"GET", "/public", testkit.RedirectStatus, testkit.RedirectStatus}, // a redirect, and nothing is guarded there
		{"GET", "/nothing", 404, 404},
		{"GET", "/dashboard/x", 401, 204},
		{"HEAD", "/dashboard/x", 401, 204},
		// http.ServeMux's own responses reveal nothing to anonymous callers.
		{"GET", "/dashboard", 401, testkit.RedirectStatus},
		{"GET", "//dashboard/x", 401, testkit.RedirectStatus},
		{"GET", "/x/../dashboard/", 401, testkit.RedirectStatus},
		{"GET", "/public/%2e%2e/dashboard/", 204, 204}, // the mux has it under /public/
		{"POST", "/dashboard/x", 401, 405},
		{"POST", "/account", 401, 405},
		{"GET", "/account/x", 401, 404},
		{"GET", "/Account", 401, 404},
		{"GET", "/orgs", 401, 404},
		{"GET", "/orgs/acme", 401, 405},
		{"DELETE", "/orgs/acme", 401, 200},
		{"DELETE", "/orgs/other", 401, 403},
		{"GET", "/files/x", 401, 403},
		{"CONNECT", "/dashboard/x", 400, 400},
		{"CONNECT", "//x", 400, 400},
		{"CONNECT", "/nothing", 400, 400},
	} {
		for _, signedIn := range []bool{false, true} {
			r := httptest.NewRequest("GET", c.target, nil)
			r.Method = c.method
			want := c.anonymous
			if signedIn {
				session.Authorize(r)
				want = c.signedIn
			}
			rec := httptest.NewRecorder()
			mux.ServeHTTP(rec, r)
			if rec.Code != want {
				t.Errorf("%s %s, signed in %v: %d, want %d", c.method, c.target, signedIn, rec.Code, want)
			}
			if !signedIn && want == 401 && (rec.Header().Get("Location") != "" || rec.Header().Get("Allow") != "") {
				t.Errorf("%s %s: anonymous callers receive %v", c.method, c.target, rec.Header())
			}
		}
	}
}

func TestServeMuxKnowsCallersOnPublicRoutes(t *testing.T) {
	srv := clerkauthtest.NewServer(t, clerkauthtest.InMemory())
	mux := testkit.NewAuth(t, srv).NewServeMux()
	var got string
	mux.HandleFunc("GET /{$}", clerkauth.Public, func(_ http.ResponseWriter, r *http.Request) { got = clerkauth.FromContext(r.Context()).UserID })
	jane := srv.CreateUser("jane@example.com")
	r := httptest.NewRequest("GET", "/", nil)
	srv.SignIn(jane).Authorize(r)
	mux.ServeHTTP(httptest.NewRecorder(), r)
	if got != jane.ID {
		t.Errorf("got %q", got)
	}
	r.Header.Set("Authorization", "Bearer b.a.d")
	rec := httptest.NewRecorder()
	mux.ServeHTTP(rec, r)
	if rec.Code != 401 {
		t.Errorf("a bad token on a public route: %d", rec.Code)
	}
}

func TestServeMuxTable(t *testing.T) {
	mux, _ := newMux(t)
	var out strings.Builder
	if err := mux.WriteTable(&out); err != nil {
		t.Fatal(err)
	}
	const want = `METHOD  PATTERN       ACCESS                                                  HANDLER
GET     /account      signed in                                               clerkauth_test.noContent
GET     /dashboard/   signed in                                               clerkauth_test.noContent
*       /files/       role org:member                                         http.NotFound
DELETE  /orgs/{slug}  role org:admin and organization in path parameter slug  clerkauth_test.deleteOrg
GET     /public/      public                                                  clerkauth_test.noContent
GET     /{$}          public                                                  clerkauth_test.noContent
`
	if out.String() != want {
		t.Errorf("got:\n%s\nwant:\n%s", out.String(), want)
	}
}

// TestServeMuxPanicsWhereServeMuxDoes registers invalid patterns on both.
func TestServeMuxPanicsWhereServeMuxDoes(t *testing.T) {
	a := testkit.NewAuth(t, clerkauthtest.NewServer(t, clerkauthtest.InMemory()))
	panics := func(f func()) (did bool) {
		defer func() { did = recover() != nil }()
		f()
		return false
	}
	for _, patterns := range [][]string{
		{""}, {"GET"}, {"GET "}, {"x"}, {"/{"}, {"/{}"}, {"/{a}/{a}"}, {"/{a...}/x"}, {"/a{b}"}, {"/{$}/x"}, {"G T /"}, {"/x", "/x"}, {"GET /x", "GET /x"},
		{"/{a}/x", "/x/{a}"}, {"GET /a/", "/a/{b...}"}, {"/ok"}, {"GET  /ok"}, {"GET\t/ok"}, {"example.com/ok"}, {"GET example.com/ok"}, {"/a/{b}", "/a/c"}, {"/", "/{$}"},
	} {
		std, ours := http.NewServeMux(), a.NewServeMux()
		for _, p := range patterns {
			want := panics(func() { std.HandleFunc(p, noContent) })
			if got := panics(func() { ours.HandleFunc(p, clerkauth.SignedIn, noContent) }); got != want {
				t.Errorf("%q of %q: panics %v, http.ServeMux %v", p, patterns, got, want)
			}
		}
	}
	if !panics(func() { a.NewServeMux().Handle("/x", clerkauth.SignedIn, nil) }) || !panics(func() { a.NewServeMux().HandleFunc("/x", clerkauth.SignedIn, nil) }) {
		t.Error("a nil handler was taken")
	}
}

// TestServeMuxPanics: Handle panics where http.ServeMux does, and on a parameter
// that the pattern does not have.
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
