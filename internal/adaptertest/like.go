package adaptertest

import (
	"fmt"
	"maps"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"github.com/clerkauth/clerkauth"
	"github.com/clerkauth/clerkauth/clerkauthtest"
)

// serveNetHTTP is Framework.Serve for net/http without an adapter, with which adapters
// are compared.
func serveNetHTTP(t *testing.T, a App) string {
	mux, auth := http.NewServeMux(), a.Auth
	answer := func(w http.ResponseWriter, r *http.Request) {
		fmt.Fprint(w, a.Witness.Say(r.Context(), r.PathValue("slug")))
	}
	later := func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("X-Later", clerkauth.FromContext(r.Context()).UserID)
		answer(w, r)
	}
	forge := func(next http.Handler) http.HandlerFunc {
		return func(w http.ResponseWriter, r *http.Request) { next.ServeHTTP(w, r.WithContext(Forged(r.Context()))) }
	}
	admin, slug := clerkauth.Role("org:admin"), clerkauth.OrganizationParam("slug")
	mux.HandleFunc("GET /{$}", answer)
	mux.Handle("GET /dashboard", auth.Require().Func(later))
	mux.Handle("DELETE /orgs/{slug}", auth.Require(admin, slug).Func(answer))
	mux.Handle("POST /invoices", auth.Require(Invoices).Func(answer))
	mux.Handle("GET /forged", forge(auth.Require().Func(answer)))
	mux.Handle("GET /admin/{rest...}", auth.Require(admin).Func(answer))
	mux.Handle("GET /orgs/{slug}/x", auth.Require(slug).Func(answer))
	headers := func(answer http.HandlerFunc) http.HandlerFunc {
		return func(w http.ResponseWriter, r *http.Request) {
			SetHeaders(r.URL.RawQuery, w.Header().Add)
			answer(w, r)
		}
	}
	mux.HandleFunc("GET /headers", headers(answer))
	mux.Handle("GET /unchecked", auth.Require(clerkauth.Unchecked).Func(headers(answer)))
	mux.Handle("GET /guarded", auth.Require()(auth.Require().Func(headers(answer))))
	mux.Handle("GET /stream", auth.Require().Func(headers(func(w http.ResponseWriter, r *http.Request) {
		answer(w, r)
		_ = http.NewResponseController(w).Flush()
		answer(w, r)
	})))
	mux.Handle("GET /empty", auth.Require().Func(headers(func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(http.StatusNoContent) })))
	mux.Handle("GET /error", auth.Require().Func(headers(func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(http.StatusTeapot) })))
	mux.Handle("POST /form", auth.Require().Func(answer))
	mux.HandleFunc("POST /sign-out", func(w http.ResponseWriter, r *http.Request) {
		if auth.SignOut(w, r) {
			w.Header().Set("Location", "/")
			w.WriteHeader(http.StatusSeeOther)
		}
	})
	var handler http.Handler = mux
	if a.Identify {
		handler = auth.Handler(mux)
	}
	server := httptest.NewServer(handler)
	t.Cleanup(server.Close)
	return server.URL
}

// request is a request to make; header lines are as on the wire.
type request struct {
	rule   string
	method string
	path   string
	header []string
	status int
}

// requests returns the requests that likeNetHTTP and hiddenIsTheFrameworksNotFound make.
func requests(srv *clerkauthtest.Server) []request {
	jane, john := srv.CreateUser("jane@example.com"), srv.CreateUser("john@example.com")
	admin := srv.SignIn(jane, clerkauthtest.InOrganization("acme", "org:admin", "org:invoices:create"))
	member := srv.SignIn(john, clerkauthtest.InOrganization("acme", "org:member"))
	acme := srv.CreateOrganization("acme").ID
	good, plain := Bearer(admin), Bearer(member)
	expired := Bearer(admin, clerkauthtest.ExpiresIn(-time.Minute), clerkauthtest.WithoutClaim("iat"), clerkauthtest.WithoutClaim("nbf"))
	machine := func(scope string) string { return "Authorization: Bearer " + srv.CreateAPIKey(jane, scope).Token }
	const bad, key, basic = "Authorization: Bearer e30.e.e30", "Authorization: Bearer ak_1", "Authorization: Basic YTpi"
	const page, other = "Accept: text/html", "Authorization: Bearer cron-secret"
	return []request{
		{"public, no credential", "GET", "/", nil, 200},
		{"public, signed in", "GET", "/", []string{good}, 200},
		{"public, another scheme", "GET", "/", []string{basic}, 200},
		{"public, invalid token", "GET", "/", []string{bad}, 401},
		{"public, credential of another issuer", "GET", "/", []string{other}, 200},
		{"public, two tokens", "GET", "/", []string{good, plain}, 401},
		{"signed in required, no credential", "GET", "/dashboard", nil, 401},
		{"signed in required, page in a browser", "GET", "/dashboard", []string{page}, 303},
		{"POST is not a page", "POST", "/invoices", []string{page}, 401},
		{"signed in required, signed in", "GET", "/dashboard", []string{good}, 200},
		{"header name in another case", "GET", "/dashboard", []string{"aUTHORIZATION" + strings.TrimPrefix(good, "Authorization")}, 200},
		{"signed in required, credential of another issuer", "GET", "/dashboard", []string{other}, 401},
		{"signed in required, invalid token", "GET", "/dashboard", []string{bad}, 401},
		{"signed in required, expired token", "GET", "/dashboard", []string{expired}, 401},
		{"signed in required, API key", "GET", "/dashboard", []string{key}, 401},
		{"two tokens", "GET", "/dashboard", []string{good, plain}, 401},
		{"the same token twice", "GET", "/dashboard", []string{good, good}, 401},
		{"invalid token before a valid one", "GET", "/dashboard", []string{bad, good}, 401},
		{"valid token before another scheme", "GET", "/dashboard", []string{good, basic}, 401},
		{"valid token beside a header name in another case", "GET", "/dashboard", []string{good, "authorization: x"}, 401},
		{"identity of NewContext, no credential", "GET", "/forged", nil, 401},
		{"identity of NewContext, replaced by the verified one", "GET", "/forged", []string{plain}, 200},
		{"role and organization", "DELETE", "/orgs/acme", []string{good}, 200},
		{"role and organization by id", "DELETE", "/orgs/" + acme, []string{good}, 200},
		{"role in another organization", "DELETE", "/orgs/other", []string{good}, 403},
		{"role missing", "DELETE", "/orgs/acme", []string{plain}, 403},
		{"role required, no credential", "DELETE", "/orgs/acme", nil, 401},
		{"permission", "POST", "/invoices", []string{good}, 200},
		{"permission missing", "POST", "/invoices", []string{plain}, 403},
		{"API key", "POST", "/invoices", []string{machine("invoices:create")}, 200},
		{"API key, scope missing", "POST", "/invoices", []string{machine("invoices:read")}, 403},
		{"API key that Clerk does not know", "POST", "/invoices", []string{key}, 401},
		{"group, role", "GET", "/admin/users", []string{good}, 200},
		{"group, role missing", "GET", "/admin/users", []string{plain}, 403},
		{"group, no credential", "GET", "/admin/users", nil, 401},
		{"group, wildcard, no credential", "GET", "/admin/a/b", nil, 401},
		{"group, organization of the path", "GET", "/orgs/acme/x", []string{plain}, 200},
		{"group, another organization", "GET", "/orgs/other/x", []string{good}, 403},
	}
}

// send sends r to the server at base.
func send(t *testing.T, base string, r request) (*http.Response, string) {
	t.Helper()
	return Send(t, base, r.method, r.path, r.header, "")
}

// likeNetHTTP sends every request to a server in the framework and to one in net/http.
// They must not differ in which requests reach a handler, nor in their responses.
func likeNetHTTP(t *testing.T, f Framework) {
	configs := map[string]func(*clerkauthtest.Server, *clerkauth.Config){
		"plain":        func(*clerkauthtest.Server, *clerkauth.Config) {},
		"sign-in page": func(_ *clerkauthtest.Server, c *clerkauth.Config) { c.Browser.SignInURL = "/sign-in" },
		"keys unavailable": func(srv *clerkauthtest.Server, c *clerkauth.Config) {
			srv.Fail(clerkauthtest.JWKS, 503)
			now := srv.Now()
			c.Now = func() time.Time { return now } // for the same Retry-After
		},
		"own answers":    func(_ *clerkauthtest.Server, c *clerkauth.Config) { c.ErrorHandler = ownAnswer },
		"silent answers": func(_ *clerkauthtest.Server, c *clerkauth.Config) { c.ErrorHandler = silence },
	}
	for name, configure := range configs {
		for _, identify := range []bool{true, false} {
			t.Run(fmt.Sprintf("%s/identify=%v", name, identify), func(t *testing.T) {
				srv := clerkauthtest.NewServer(t)
				config := srv.Config()
				config.Accept = []clerkauth.TokenType{clerkauth.SessionToken, clerkauth.APIKey}
				configure(srv, &config)
				a := App{Auth: NewAuth(t, config), Witness: &Witness{}, Identify: identify}
				ours, theirs := f.Serve(t, a), serveNetHTTP(t, a)
				for _, r := range requests(srv) {
					if !identify && r.path == "/" {
						continue // public, and without Identify not the library's
					}
					want, wantBody := send(t, theirs, r)
					wantSeen := a.Witness.Take()
					got, gotBody := send(t, ours, r)
					gotSeen := a.Witness.Take()
					if len(gotSeen) != len(wantSeen) {
						t.Errorf("%s: %d handlers were reached instead of %d", r.rule, len(gotSeen), len(wantSeen))
					}
					if name == "plain" && (got.StatusCode != r.status || (len(gotSeen) > 0) != (r.status == 200)) {
						t.Errorf("%s: status %d, handlers reached: %d", r.rule, got.StatusCode, len(gotSeen))
					}
					if got.StatusCode != want.StatusCode || gotBody != wantBody {
						t.Errorf("%s: got %d %q\ninstead of %d %q", r.rule, got.StatusCode, gotBody, want.StatusCode, wantBody)
					}
					if g, w := comparable(got, theirs, ours), comparable(want, theirs, theirs); !maps.Equal(g, w) {
						t.Errorf("%s: header %q\ninstead of %q", r.rule, g, w)
					}
				}
			})
		}
	}
}

// ownAnswer is an ErrorHandler whose response differs from the library's and describes
// the request that it received.
func ownAnswer(w http.ResponseWriter, r *http.Request, err *clerkauth.Error) {
	w.Header().Add("X-Own", "1")
	w.Header().Add("X-Own", "2")
	w.Header().Set("Content-Type", "text/x-own")
	w.WriteHeader(http.StatusTeapot)
	fmt.Fprintf(w, "%s %s %s %s %d: %s", r.Method, r.URL, r.RequestURI, r.Proto, len(r.Header["Authorization"]), err.Reason)
	fmt.Fprint(w, ".")
}

// silence is an ErrorHandler that writes nothing.
func silence(http.ResponseWriter, *http.Request, *clerkauth.Error) {}

// comparable returns the headers that must be the same in both responses: those that the
// library sets, and all others but for Content-Type where a handler responded. Lines of
// one name are joined, and the server's address ours is replaced by theirs.
func comparable(resp *http.Response, theirs, ours string) map[string]string {
	header := make(map[string]string)
	for name, lines := range resp.Header {
		switch name {
		case "Date", "Content-Length", "Server":
			continue // set by the server, not by handlers
		case "Content-Type":
			if resp.StatusCode == http.StatusOK {
				continue
			}
		}
		header[name] = strings.ReplaceAll(strings.Join(lines, ", "), ours, theirs)
	}
	return header
}
