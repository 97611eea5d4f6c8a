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

// serveNetHTTP is Framework.Serve for net/http and the library alone: what every
// adapter is compared with.
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
	var handler http.Handler = mux
	if a.Identify {
		handler = auth.Handler(mux)
	}
	server := httptest.NewServer(handler)
	t.Cleanup(server.Close)
	return server.URL
}

// request is one to be made of both; header lines are as on the wire.
type request struct {
	rule   string
	method string
	path   string
	header []string
	status int
}

// requests are the ones that tell one rule from another.
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
		{"anybody reaches what is public", "GET", "/", nil, 200},
		{"who is signed in is known there", "GET", "/", []string{good}, 200},
		{"another scheme is no credential", "GET", "/", []string{basic}, 200},
		{"a bad token is refused even there", "GET", "/", []string{bad}, 401},
		{"a credential of somebody else's is not", "GET", "/", []string{other}, 200},
		{"but two tokens are", "GET", "/", []string{good, plain}, 401},
		{"nobody reaches what is for users", "GET", "/dashboard", nil, 401},
		{"a person is sent to sign in", "GET", "/dashboard", []string{page}, 307},
		{"but not away from an API", "POST", "/invoices", []string{page}, 401},
		{"users reach it", "GET", "/dashboard", []string{good}, 200},
		{"in any case of the header's name", "GET", "/dashboard", []string{"aUTHORIZATION" + strings.TrimPrefix(good, "Authorization")}, 200},
		{"credentials of somebody else's do not", "GET", "/dashboard", []string{other}, 401},
		{"nor bad tokens", "GET", "/dashboard", []string{bad}, 401},
		{"nor expired ones", "GET", "/dashboard", []string{expired}, 401},
		{"nor of machines", "GET", "/dashboard", []string{key}, 401},
		{"nor two tokens", "GET", "/dashboard", []string{good, plain}, 401},
		{"nor one twice", "GET", "/dashboard", []string{good, good}, 401},
		{"nor a good one after a bad one", "GET", "/dashboard", []string{bad, good}, 401},
		{"nor a good one before another scheme", "GET", "/dashboard", []string{good, basic}, 401},
		{"nor one beside a name in another case", "GET", "/dashboard", []string{good, "authorization: x"}, 401},
		{"an identity that others made is not believed", "GET", "/forged", nil, 401},
		{"and hidden by the real one", "GET", "/forged", []string{plain}, 200},
		{"admins may", "DELETE", "/orgs/acme", []string{good}, 200},
		{"by id, too", "DELETE", "/orgs/" + acme, []string{good}, 200},
		{"in another organization they may not", "DELETE", "/orgs/other", []string{good}, 403},
		{"members may not", "DELETE", "/orgs/acme", []string{plain}, 403},
		{"nobody may", "DELETE", "/orgs/acme", nil, 401},
		{"a permission lets in", "POST", "/invoices", []string{good}, 200},
		{"its lack does not", "POST", "/invoices", []string{plain}, 403},
		{"an API key lets in", "POST", "/invoices", []string{machine("invoices:create")}, 200},
		{"without its scope it does not", "POST", "/invoices", []string{machine("invoices:read")}, 403},
		{"nor does one that Clerk does not know", "POST", "/invoices", []string{key}, 401},
		{"a group is for admins", "GET", "/admin/users", []string{good}, 200},
		{"not for members", "GET", "/admin/users", []string{plain}, 403},
		{"not for nobody", "GET", "/admin/users", nil, 401},
		{"nor is anything below", "GET", "/admin/a/b", nil, 401},
		{"a group knows the path's organization", "GET", "/orgs/acme/x", []string{plain}, 200},
		{"and another", "GET", "/orgs/other/x", []string{good}, 403},
	}
}

// send makes r of the server at base.
func send(t *testing.T, base string, r request) (*http.Response, string) {
	t.Helper()
	return Send(t, base, r.method, r.path, r.header, "")
}

// likeNetHTTP makes every request of a server in the framework and of one in
// net/http, which must not differ: not in who reaches a handler, nor in what is
// answered to those who do not.
func likeNetHTTP(t *testing.T, f Framework) {
	configs := map[string]func(*clerkauthtest.Server, *clerkauth.Config){
		"plain":        func(*clerkauthtest.Server, *clerkauth.Config) {},
		"sign-in page": func(_ *clerkauthtest.Server, c *clerkauth.Config) { c.Browser.SignInURL = "/sign-in" },
		"keys are away": func(srv *clerkauthtest.Server, c *clerkauth.Config) {
			srv.Fail(clerkauthtest.JWKS, 503)
			now := srv.Now()
			c.Now = func() time.Time { return now } // Retry-After is the same for both
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
						continue // nothing of ours is there
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

// ownAnswer is an ErrorHandler that writes what the library would not, and tells
// what request it was given.
func ownAnswer(w http.ResponseWriter, r *http.Request, err *clerkauth.Error) {
	w.Header().Add("X-Own", "1")
	w.Header().Add("X-Own", "2")
	w.Header().Set("Content-Type", "text/x-own")
	w.WriteHeader(http.StatusTeapot)
	fmt.Fprintf(w, "%s %s %s %s %d: %s", r.Method, r.URL, r.RequestURI, r.Proto, len(r.Header["Authorization"]), err.Reason)
	fmt.Fprint(w, ".")
}

// silence is an ErrorHandler that writes nothing at all.
func silence(http.ResponseWriter, *http.Request, *clerkauth.Error) {}

// comparable returns what has to be the same in two answers: all headers of a
// refusal, and ours in others. Lines of one name are joined.
func comparable(resp *http.Response, theirs, ours string) map[string]string {
	header := make(map[string]string)
	for name, lines := range resp.Header {
		switch name {
		case "Date", "Content-Length", "Server":
			continue // they have no say in whether
		case "Content-Type":
			if resp.StatusCode == http.StatusOK {
				continue
			}
		}
		header[name] = strings.ReplaceAll(strings.Join(lines, ", "), ours, theirs)
	}
	return header
}
