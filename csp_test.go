package clerkauth_test

import (
	"encoding/base64"
	"fmt"
	"html/template"
	"io"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"testing"

	"github.com/clerkauth/clerkauth"
	"github.com/clerkauth/clerkauth/internal/testkit"
)

// newPolicy returns the middleware for c, of an instance whose Frontend API is at
// clerk.example.com.
func newPolicy(t *testing.T, c clerkauth.CSP, change ...func(*clerkauth.Config)) clerkauth.Middleware {
	t.Helper()
	config := testkit.Config()
	for _, f := range change {
		f(&config)
	}
	auth, err := clerkauth.New(config)
	if err != nil {
		t.Fatal(err)
	}
	policy, err := auth.ContentSecurityPolicy(c)
	if err != nil {
		t.Fatal(err)
	}
	return policy
}

// directives returns a policy's directives by name.
func directives(policy string) map[string]string {
	all := map[string]string{}
	for part := range strings.SplitSeq(policy, "; ") {
		name, values, _ := strings.Cut(part, " ")
		all[name] = values
	}
	return all
}

func TestContentSecurityPolicy(t *testing.T) {
	const enforced, reported = "Content-Security-Policy", "Content-Security-Policy-Report-Only"
	for what, c := range map[string]struct {
		csp       clerkauth.CSP
		change    func(*clerkauth.Config)
		header    string
		want      map[string]string // a source of each directive
		endpoints string
	}{
		"zero": {header: enforced, want: map[string]string{
			"default-src": "'self'", "connect-src": "https://clerk.example.com", "script-src": "https://clerk.example.com", "img-src": "https://img.clerk.com",
			"frame-src": "https://challenges.cloudflare.com", "style-src": "'unsafe-inline'", "worker-src": "blob:", "form-action": "'self'",
		}},
		"a proxy elsewhere": {
			change: func(c *clerkauth.Config) { c.Browser.ProxyURL = "https://proxy.example.com/__clerk" },
			header: enforced, want: map[string]string{"connect-src": "https://proxy.example.com", "script-src": "https://proxy.example.com"},
		},
		"a proxy of the application's own": {
			change: func(c *clerkauth.Config) { c.Browser.ProxyURL = "/__clerk" },
			header: enforced, want: map[string]string{"connect-src": "https://app.example.com", "script-src": "https://clerk.example.com"},
		},
		"the Frontend API elsewhere": {
			change: func(c *clerkauth.Config) { c.FrontendURL = "http://127.0.0.1:4000/x" },
			header: enforced, want: map[string]string{"connect-src": "http://127.0.0.1:4000", "script-src": "http://127.0.0.1:4000"},
		},
		"redirects to the Frontend API after a form": {
			header: enforced, want: map[string]string{"form-action": "https://clerk.example.com"},
		},
		"a satellite": {
			change: func(c *clerkauth.Config) {
				c.Browser.Satellite, c.Browser.Domain, c.Browser.SignInURL = true, "example.net", "https://app.example.com/in"
				c.AuthorizedParties = []string{"https://www.example.net"}
			},
			header: enforced, want: map[string]string{"connect-src": "https://clerk.example.net", "form-action": "https://clerk.example.com"},
		},
		"redirects to the sign-in page after a form": {
			header: enforced, want: map[string]string{"form-action": "https://accounts.example.com"},
		},
		"redirects to a sign-in page elsewhere": {
			change: func(c *clerkauth.Config) {
				c.Browser.SignInURL, c.Browser.SignUpURL = "https://login.example.com/in", "/up"
			},
			header: enforced, want: map[string]string{"form-action": "https://login.example.com"},
		},
		"report only": {
			csp:    clerkauth.CSP{ReportOnly: true, ReportTo: "https://reports.example.com/csp?key=1"},
			header: reported, want: map[string]string{"report-to": "csp-endpoint"},
			endpoints: `csp-endpoint="https://reports.example.com/csp?key=1"`,
		},
		"directives": {
			csp:    clerkauth.CSP{Directives: map[string][]string{"font-src": {"self", "data:"}, "img-src": {"none"}}},
			header: enforced, want: map[string]string{"font-src": "data:", "img-src": "'none'"},
		},
	} {
		t.Run(what, func(t *testing.T) {
			change := func(*clerkauth.Config) {}
			if c.change != nil {
				change = c.change
			}
			got := testkit.Serve(newPolicy(t, c.csp, change))
			if got.Status != 200 || !got.Entered || len(got.Header[c.header]) != 1 || len(got.Header[enforced])+len(got.Header[reported]) != 1 {
				t.Fatalf("%d %v", got.Status, got.Header)
			}
			policy := directives(got.Header.Get(c.header))
			for name, source := range c.want {
				if !slices.Contains(strings.Fields(policy[name]), source) {
					t.Errorf("%s: %q, want %q", name, policy[name], source)
				}
			}
			if got.Header.Get("Reporting-Endpoints") != c.endpoints || got.Header.Get("Cache-Control") != "" || strings.Contains(got.Header.Get(c.header), "nonce") {
				t.Error(got.Header)
			}
		})
	}
}

// TestNonce: the nonce is new in each response, the context's and the policy's are
// one, and nothing in a request has an influence on it.
func TestNonce(t *testing.T) {
	strict := newPolicy(t, clerkauth.CSP{Strict: true})
	seen := map[string]bool{}
	page := func(inner *string) http.HandlerFunc {
		return func(_ http.ResponseWriter, r *http.Request) { *inner = clerkauth.Nonce(r.Context()) }
	}
	for range 100 {
		var nonce string
		w, r := httptest.NewRecorder(), httptest.NewRequest(http.MethodGet, "/?nonce=AAAA", nil)
		for _, name := range []string{"X-Nonce", "Nonce", "Content-Security-Policy", "Content-Security-Policy-Report-Only"} {
			r.Header.Set(name, "script-src 'nonce-AAAAAAAAAAAAAAAAAAAAAA=='")
		}
		strict(page(&nonce)).ServeHTTP(w, r)
		random, err := base64.StdEncoding.DecodeString(nonce)
		if err != nil || len(random) != 16 || seen[nonce] {
			t.Fatalf("%q: %v", nonce, err)
		}
		seen[nonce] = true
		script := strings.Fields(directives(w.Header().Get("Content-Security-Policy"))["script-src"])
		if !slices.Contains(script, "'nonce-"+nonce+"'") || !slices.Contains(script, "'strict-dynamic'") || slices.Contains(script, "'unsafe-inline'") ||
			strings.Contains(fmt.Sprint(w.Header()), "AAAA") || r.Header.Get("X-Nonce") == nonce {
			t.Errorf("%s: %v", nonce, w.Header())
		}
	}

	// One inside another uses the same nonce, and the policy stays one.
	var outer, inner string
	w := httptest.NewRecorder()
	strict.Func(func(w http.ResponseWriter, r *http.Request) {
		outer = clerkauth.Nonce(r.Context())
		newPolicy(t, clerkauth.CSP{Strict: true, ReportTo: "/reports"})(page(&inner)).ServeHTTP(w, r)
	}).ServeHTTP(w, httptest.NewRequest(http.MethodGet, "/", nil))
	if h := w.Header(); outer == "" || outer != inner || len(h["Content-Security-Policy"]) != 1 || strings.Count(h.Get("Content-Security-Policy"), "nonce-") != 1 ||
		h.Get("Reporting-Endpoints") != `csp-endpoint="/reports"` {
		t.Errorf("%q %q %v", outer, inner, h)
	}

	nonce := "x"
	newPolicy(t, clerkauth.CSP{})(page(&nonce)).ServeHTTP(httptest.NewRecorder(), httptest.NewRequest(http.MethodGet, "/", nil))
	if nonce != "" {
		t.Errorf("without Strict: %q", nonce)
	}
}

// TestNonceIsNotShared: a response with a nonce is not stored by a shared cache,
// whatever the handler and the middleware around it set, before or after.
func TestNonceIsNotShared(t *testing.T) {
	for _, c := range []struct {
		outer, inner, want string
		lenient            string // without Strict
	}{
		{"", "", "no-store", ""},
		{"public, max-age=60", "", "no-store", "public, max-age=60"},
		{"private", "", "private", "private"},
		{"private", "public", "no-store", "public"},
		{"", "public, max-age=60", "no-store", "public, max-age=60"},
		{"", "max-age=60", "no-store", "max-age=60"},
		{"", "private, max-age=60", "private, max-age=60", "private, max-age=60"},
		{"public", "private", "private", "private"},
	} {
		for _, write := range []bool{true, false} {
			for strict, want := range map[bool]string{true: c.want, false: c.lenient} {
				policy := newPolicy(t, clerkauth.CSP{Strict: strict})
				server := testkit.NewServer(t, http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
					if c.outer != "" {
						w.Header().Set("Cache-Control", c.outer)
					}
					policy.Func(func(w http.ResponseWriter, _ *http.Request) {
						if c.inner != "" {
							w.Header().Set("Cache-Control", c.inner)
						}
						if write {
							_, _ = io.WriteString(w, "x")
						}
					}).ServeHTTP(w, r)
				}))
				response, err := server.Client().Get(server.URL)
				if err != nil {
					t.Fatal(err)
				}
				if got := response.Header.Get("Cache-Control"); got != want {
					t.Errorf("%+v, strict %v, write %v: %q", c, strict, write, got)
				}
				response.Body.Close()
			}
		}
	}
}

// TestContentSecurityPolicyAdded: a policy of outer middleware is added to, without a
// change to the slice that it may share among responses, and that of the handler stays.
func TestContentSecurityPolicyAdded(t *testing.T) {
	shared := []string{"default-src 'none'; frame-ancestors 'none'; report-to other"}
	policy := newPolicy(t, clerkauth.CSP{ReportTo: "/reports"})
	for range 2 {
		w := httptest.NewRecorder()
		w.Header()["Content-Security-Policy"] = shared
		w.Header()["Content-Security-Policy-Report-Only"] = []string{"default-src 'none'"}
		policy.Func(testkit.NoContent).ServeHTTP(w, httptest.NewRequest(http.MethodGet, "/", nil))
		got := directives(w.Header().Get("Content-Security-Policy"))
		if len(w.Header()["Content-Security-Policy"]) != 1 || got["default-src"] != "'none'" || got["frame-ancestors"] != "'none'" || got["img-src"] != "https://img.clerk.com" ||
			got["report-to"] != "other" || w.Header().Get("Reporting-Endpoints") != "" || w.Header().Get("Content-Security-Policy-Report-Only") != "default-src 'none'" {
			t.Error(w.Header())
		}
		if !slices.Equal(shared, []string{"default-src 'none'; frame-ancestors 'none'; report-to other"}) {
			t.Error(shared)
		}
	}
	w := httptest.NewRecorder()
	policy.Func(func(w http.ResponseWriter, _ *http.Request) { w.Header().Set("Content-Security-Policy", "sandbox") }).
		ServeHTTP(w, httptest.NewRequest(http.MethodGet, "/", nil))
	if got := w.Header()["Content-Security-Policy"]; !slices.Equal(got, []string{"sandbox"}) {
		t.Error(got)
	}
}

// TestInvalidContentSecurityPolicy: everything that is wrong is reported at once.
func TestInvalidContentSecurityPolicy(t *testing.T) {
	auth, err := clerkauth.New(testkit.Config())
	if err != nil {
		t.Fatal(err)
	}
	policy, err := auth.ContentSecurityPolicy(clerkauth.CSP{
		Strict: true,
		Directives: map[string][]string{
			"image-src": {"self"}, "img-src": {"a;script-src *", "b\r\nSet-Cookie:"}, "font-src": {"sk_live_" + strings.Repeat("a", 40) + ";"}, "script-src": {"none"},
		},
		ReportTo: "reports",
	})
	if policy != nil || err == nil {
		t.Fatal(err)
	}
	for _, want := range []string{`Directives "image-src"`, `Directives "img-src"`, `"a;script-src *"`, "line breaks", `Directives "font-src"`, "Strict", "ReportTo"} {
		if !strings.Contains(err.Error(), want) {
			t.Errorf("%v\nwant %s", err, want)
		}
	}
	if strings.Contains(err.Error(), "sk_live_a") {
		t.Error(err)
	}

	config := testkit.Config()
	config.PublishableKey, config.Issuers = "", []string{"https://clerk.example.com"}
	if auth, err = clerkauth.New(config); err != nil {
		t.Fatal(err)
	}
	if policy, err := auth.ContentSecurityPolicy(clerkauth.CSP{}); policy != nil || err == nil || !strings.Contains(err.Error(), "publishable key") {
		t.Error(err)
	}
	config.FrontendURL = "https://clerk.example.com,x;y"
	if auth, err = clerkauth.New(config); err == nil {
		if policy, err := auth.ContentSecurityPolicy(clerkauth.CSP{}); policy != nil || err == nil {
			t.Error(err)
		}
	}
}

// TestContentSecurityPolicyChange: what the caller does to its Directives afterwards
// changes no policy.
func TestContentSecurityPolicyChange(t *testing.T) {
	own := map[string][]string{"font-src": {"data:"}}
	policy := newPolicy(t, clerkauth.CSP{Directives: own})
	own["font-src"][0], own["media-src"] = "*", []string{"*"}
	if got := testkit.Serve(policy).Header.Get("Content-Security-Policy"); directives(got)["font-src"] != "data:" || strings.Contains(got, "media-src") {
		t.Error(got)
	}
}

func ExampleAuthenticator_ContentSecurityPolicy() {
	auth, err := clerkauth.New(clerkauth.Config{
		PublishableKey:    "pk_live_Y2xlcmsuZXhhbXBsZS5jb20k",
		AuthorizedParties: []string{"https://app.example.com"},
	})
	if err != nil {
		panic(err)
	}
	policy, err := auth.ContentSecurityPolicy(clerkauth.CSP{
		Strict:     true,
		Directives: map[string][]string{"font-src": {"self", "https://fonts.example.com"}},
	})
	if err != nil {
		panic(err)
	}
	page := template.Must(template.New("page").Parse(`<script nonce="{{.}}" src="/app.js"></script>`))
	handler := policy.Func(func(w http.ResponseWriter, r *http.Request) {
		_ = page.Execute(w, clerkauth.Nonce(r.Context()))
	})

	w := httptest.NewRecorder()
	handler.ServeHTTP(w, httptest.NewRequest(http.MethodGet, "/", nil))
	for part := range strings.SplitSeq(w.Header().Get("Content-Security-Policy"), "; ") {
		if strings.HasPrefix(part, "font-src") || strings.HasPrefix(part, "worker-src") {
			fmt.Println(part)
		}
	}
	fmt.Println(w.Header().Get("Cache-Control"))
	// Output:
	// font-src 'self' https://fonts.example.com
	// worker-src 'self' blob:
	// no-store
}
