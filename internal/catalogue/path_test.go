package catalogue

import (
	"fmt"
	"net/http"
	"net/http/httptest"
	"net/url"
	"strings"
	"testing"

	"github.com/clerkauth/clerkauth"
	"github.com/clerkauth/clerkauth/clerkauthtest"
	"github.com/clerkauth/clerkauth/internal/testkit"
)

// These rows test paths, on a server with rules by path.
var _ = addRows(rows{
	"163/repeated_slashes":            wants(401, "//admin/users", "///admin///users", "/admin//users"),
	"164/dot_segments":                wants(401, "/./admin/users", "/admin/./users", "/admin/users/."),
	"165/parent_segments":             wants(401, "/x/../admin/users", "/public/../admin/users", "/public/x/../../admin/users", "/../admin/users"),
	"166/encoded_parent_segments":     wants(401, "/public/%2e%2e/admin/users", "/public/.%2e/admin/users", "/public/%2E%2E/%61dmin/users"),
	"167/encoded_slash_behind_parent": wants(401, "/public/..%2fadmin/users", "/public%2f..%2fadmin%2fusers"),
	"168/encoded_letters":             wants(401, "/%61dmin/users", "/%61%64%6d%69%6e/users", "/adm%69n/user%73"),
	"169/encoded_slashes":             wants(401, "/admin%2fusers", "/%2fadmin/users", "/admin/users%2f"),
	"170/backslashes_in_path":         wants(401, "/admin%5cusers", `/admin\users`, "/public/..%5cadmin"),
	"171/path_parameters":             wants(401, "/admin;x/users", "/admin/..;/users", "/public/..;/admin/users", "/admin/users;jsessionid=1"),
	"172/trailing_dots_and_spaces": func(t *testing.T) {
		wants(401, "/admin/users.", "/admin./users", "/admin/users%20", "/admin%20/users")(t)
		wants(400, "/admin/users%09")(t)
	},
	// net/http itself rejects a raw NUL.
	"173/controls_in_path": wants(400, "/admin/users%00", "/admin%00/users", "/admin%0a/users", "/public/%00", "/public/\x00"),
	"174/other_letter_case": func(t *testing.T) {
		wants(401, "/ADMIN/users", "/Admin/Users", "/adm%C4%B1n", "/adm\u0130n")(t)
		wants(401, "/PUBLIC/index", "/Public")(t) // a public rule opens exactly its own paths
	},
	"175/unicode_lookalikes": wants(401, "/%EF%BD%81dmin", "/admin%EF%BC%8Fusers", "/a\u0300dmin", "/\u00e0dmin"),
	"176/double_encoding":    wants(401, "/%2561dmin/users", "/public/%252e%252e/admin"),
	"177/overlong_utf8":      wants(400, "/%c0%ae%c0%ae/admin", "/admin%c0%afusers", "/%ff", "/public/%ff"),
	"178/malformed_escapes":  wants(400, "/admin%", "/admin%zz", "/%u0061dmin", "/public/%zz"),
	"179/invalid_raw_path":   wants(401, "/public%2f|/../admin/users", `/public%2fx/../admin/a\b`),
	"180/absolute_form": func(t *testing.T) {
		wants(401, "http://evil.example/admin/users", "http://evil.example//admin")(t)
		wants(204, "http://evil.example/public/index")(t) // the host does not matter
	},
	"181/opaque_targets_and_connect": func(t *testing.T) {
		wants(400, "http:admin/users", "*")(t)
		g := testkit.NewPathGuard(t, adminAndPublic, nil)
		for _, target := range []string{"host:443", "//admin/users", "/public/../admin", "/public/index"} {
			if got := g.Raw(t, "CONNECT", target, true); got != 400 {
				t.Errorf("CONNECT %s: %d", target, got)
			}
		}
	},
	"182/siblings_of_a_prefix": func(t *testing.T) {
		// In both grammars, siblings are not in a segment's subtree.
		g := testkit.NewPathGuard(t, clerkauth.Rules{"/{rest...}": clerkauth.Public, "/admin/{rest...}": clerkauth.SignedIn, "/panel(.*)": clerkauth.SignedIn}, nil)
		for target, want := range map[string]int{"/administrator": 204, "/admin-public": 204, "/admins/x": 204, "/admin/x": 401,
			"/panel": 401, "/panel/x": 401, "/panels": 401, "/pane": 204} {
			if got := g.Raw(t, "GET", target, false); got != want {
				t.Errorf("%s: %d, want %d", target, got, want)
			}
		}
	},
	"183/malformed_patterns": func(t *testing.T) {
		a := testkit.NewAuth(t, clerkauthtest.NewServer(t, clerkauthtest.InMemory()))
		for _, pattern := range []string{"admin", "/admin/", "/admin*", "^/admin", "", "/a{", "/:id(", "/{a}(.*)", "/x/../y", "/a b", "GET", "GET /", "/((?!x).*)", "/[a-z]+("} {
			if _, err := a.Protect(clerkauth.Rules{pattern: clerkauth.SignedIn}); err == nil || !strings.Contains(err.Error(), fmt.Sprintf("%q", pattern)) {
				t.Errorf("rule %q: %v", pattern, err)
			}
			// A matcher replaces createRouteMatcher, where a trailing slash is part of the
			// path.
			if _, err := clerkauth.NewMatcher(pattern); err == nil && !strings.HasSuffix(pattern, "/") {
				t.Errorf("matcher %q was accepted", pattern)
			}
		}
		if _, err := clerkauth.NewMatcher(); err == nil {
			t.Error("an empty matcher was accepted")
		}
	},
	"184/wildcards_and_line_terminators": func(t *testing.T) {
		// Wildcards match line terminators and other unusual characters, at any length;
		// paths with control characters are rejected.
		g := testkit.NewPathGuard(t, clerkauth.Rules{"/a(.*)": clerkauth.Role("org:member"), "/{rest...}": clerkauth.Public}, nil)
		long := "/a/" + strings.Repeat("x", 10<<10)
		for target, want := range map[string]int{"/a/%E2%80%A8x": 401, "/a/%E2%80%A9": 401, "/a/%0ax": 400, "/a/%0Dx": 400, long: 401, "/b": 204} {
			if got := g.Raw(t, "GET", target, false); got != want {
				t.Errorf("%.20s: %d, want %d", target, got, want)
			}
		}
	},
	"185/guard_around_strip_prefix": func(t *testing.T) {
		strip := func(h http.Handler) http.Handler { return http.StripPrefix("/app", h) }
		// A guard inside StripPrefix sees paths without the prefix; one outside sees it.
		inside := testkit.NewPathGuard(t, adminAndPublic, strip)
		outside := testkit.NewPathGuard(t, adminAndPublic, nil, clerkauth.Mount("/app"))
		forgotten := testkit.NewPathGuard(t, adminAndPublic, nil)
		for target, want := range map[string][3]int{
			"/app/public/index":          {204, 204, 401},
			"/app/admin/users":           {401, 401, 401},
			"/app/public/../admin":       {401, 401, 401},
			"/app/public/%2e%2e/admin/x": {401, 401, 401},
			"/app/../public/index":       {404, 401, 401}, // StripPrefix itself responds with 404
		} {
			for i, g := range []testkit.PathGuard{inside, outside, forgotten} {
				if got := g.Raw(t, "GET", target, false); got != want[i] && !(i == 0 && got == 401) {
					t.Errorf("%s, set-up %d: %d, want %d", target, i, got, want[i])
				}
			}
		}
	},
	"186/rewrite_before_the_guard": func(t *testing.T) {
		// A guard behind a rewrite sees the rewritten path.
		g := testkit.NewPathGuard(t, adminAndPublic, func(h http.Handler) http.Handler {
			return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
				r.URL.Path = strings.Replace(r.URL.Path, "/old/", "/admin/", 1)
				h.ServeHTTP(w, r)
			})
		})
		if got := g.Raw(t, "GET", "/old/users", false); got != 401 {
			t.Errorf("%d", got)
		}
	},
	"187/redirect_below_guarded_routes": func(t *testing.T) {
		r := testkit.NewRig(t)
		mux, session := r.Auth.NewServeMux(), r.Jane
		mux.HandleFunc("GET /dashboard/", clerkauth.SignedIn, testkit.NoContent)
		mux.HandleFunc("GET /account", clerkauth.SignedIn, testkit.NoContent)
		for target, want := range map[string]int{"/dashboard": testkit.RedirectStatus, "/account/x": 404} {
			for _, signedIn := range []bool{false, true} {
				r := httptest.NewRequest("GET", target, nil)
				status := 401
				if signedIn {
					session.Authorize(r)
					status = want
				}
				rec := httptest.NewRecorder()
				mux.ServeHTTP(rec, r)
				if rec.Code != status {
					t.Errorf("%s, signed in %v: %d, want %d", target, signedIn, rec.Code, status)
				}
			}
		}
	},
	// A spelling that not every router decodes is not the public path for all of them.
	"188/open_rule_within_guarded_subtree": func(t *testing.T) {
		g := testkit.NewPathGuard(t, clerkauth.Rules{"/admin/{rest...}": clerkauth.SignedIn, "/admin/health": clerkauth.Public}, nil)
		for target, want := range map[string]int{"/admin/health": 204, "/admin/health/": 401, "/admin/healthz": 401, "/admin/x": 401,
			"/admin/health/../x": 401, "/admin/x/../health": 401, "//admin/health": 401, "/admin/%68ealth": 401, "/admin/health%2f..%2fx": 401} {
			if got := g.Raw(t, "GET", target, false); got != want {
				t.Errorf("%s: %d, want %d", target, got, want)
			}
		}
	},
	// A target with too many readings is rejected quickly.
	"242/path_with_too_many_readings": func(t *testing.T) {
		srv := clerkauthtest.NewServer(t, clerkauthtest.InMemory())
		protect, err := testkit.NewAuth(t, srv).Protect(adminAndPublic)
		if err != nil {
			t.Fatal(err)
		}
		h := protect(http.HandlerFunc(testkit.NoContent))
		for _, piece := range []string{"%2f", "/..", ";", "/a;b%2f..", "%252e%252e%252f", "/%2e", `\..`} {
			for _, prefix := range []string{"/public/", "/admin/", "/"} {
				r := httptest.NewRequest("GET", "/", nil)
				u, err := url.ParseRequestURI(prefix + strings.Repeat(piece, 64<<10/len(piece)))
				if err != nil {
					t.Fatalf("%q does not parse", piece)
				}
				r.URL = u
				rec := httptest.NewRecorder()
				h.ServeHTTP(rec, r)
				if rec.Code != 400 && rec.Code != 401 {
					t.Errorf("%s and many %q: %d", prefix, piece, rec.Code)
				}
			}
		}
	},
	"244/connect_with_empty_segment": func(t *testing.T) {
		srv := clerkauthtest.NewServer(t, clerkauthtest.InMemory())
		a := testkit.NewAuth(t, srv)
		reads := func(_ http.ResponseWriter, r *http.Request) { _ = r.PathValue("b") }
		std := http.NewServeMux()
		std.Handle("/{a}/{b}", a.Require(clerkauth.Public).Func(reads))
		ours := a.NewServeMux()
		ours.HandleFunc("/{a}/{b}", clerkauth.Public, reads)
		params := http.NewServeMux()
		params.Handle("/{a}/{b}", a.Require(clerkauth.OrganizationParam("b")).Func(reads))
		for _, h := range []http.Handler{std, ours, params, a.Handler(std)} {
			r := httptest.NewRequest("GET", "/", nil)
			r.Method, r.URL.Path = "CONNECT", "//x"
			rec := httptest.NewRecorder()
			h.ServeHTTP(rec, r)
			if rec.Code != 400 {
				t.Errorf("%d, want 400", rec.Code)
			}
		}
	},
})

var adminAndPublic = clerkauth.Rules{
	"/admin":            clerkauth.Role("org:admin"),
	"/admin/{rest...}":  clerkauth.Role("org:admin"),
	"/public":           clerkauth.Public,
	"/public/{rest...}": clerkauth.Public,
}

// wants returns a row: anonymous callers receive that status for each target. If it
// is 401, the admin receives 204, so that the status is due to the rule.
func wants(status int, targets ...string) func(*testing.T) {
	return func(t *testing.T) {
		g := testkit.NewPathGuard(t, adminAndPublic, nil)
		if got := g.Raw(t, "GET", "/public/index", false); got != 204 {
			t.Fatalf("a public path: %d", got)
		}
		for _, target := range targets {
			if got := g.Raw(t, "GET", target, false); got != status {
				t.Errorf("%q: %d, want %d", target, got, status)
			}
			if status == 401 {
				if got := g.Raw(t, "GET", target, true); got != 204 {
					t.Errorf("%q for the admin: %d", target, got)
				}
			}
		}
	}
}
