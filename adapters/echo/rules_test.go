package clerkecho_test

// This file is the same in every adapter of a framework that speaks HTTP, but
// for its first line; TestSameRules holds it to that. What is special about the
// framework is beside it, in the file that has serve.

import (
	"bufio"
	"bytes"
	"context"
	"fmt"
	"io"
	"maps"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/clerkauth/clerkauth"
	"github.com/clerkauth/clerkauth/clerkauthtest"
)

// app says what serve puts together: these routes, each of whose handlers answers
// with what witness says, after a middleware that recovers from panics.
//
//	GET /               public
//	GET /dashboard      signed in; behind the guard stands a middleware that writes X-Later
//	DELETE /orgs/{slug} role org:admin in the organization of that slug
//	POST /invoices      permission org:invoices:create
//	GET /forged         signed in; before the guard somebody puts forged() in the context
//	GET /panic          signed in; the handler panics
//	GET /admin/users    in a group for the role org:admin, as are the next
//	GET /admin/{rest}   anything below
//	GET /orgs/{slug}/x  in a group for the organization of that slug
type app struct {
	auth     *clerkauth.Authenticator
	witness  *witness
	identify bool // Identify stands before all routes
	cors     bool // and before that the framework's own CORS middleware, for cors
}

const cors = "https://app.example.com"

// forged is what somebody who is not the library says about the caller.
func forged(ctx context.Context) context.Context {
	return clerkauth.NewContext(ctx, clerkauth.Auth{UserID: "user_forged", OrgID: "org_1", OrgRole: "org:admin"})
}

// witness is in every handler, and keeps what it saw there.
type witness struct {
	mu   sync.Mutex
	seen []sight
}

type sight struct {
	ctx  context.Context
	user string
}

// say notes that a handler was reached and returns what it answers.
func (w *witness) say(ctx context.Context, slug string) string {
	who := clerkauth.FromContext(ctx)
	w.mu.Lock()
	defer w.mu.Unlock()
	w.seen = append(w.seen, sight{ctx, strings.Clone(who.UserID)})
	return fmt.Sprintf("user=%s org=%s slug=%s err=%v", who.UserID, who.OrgSlug, slug, who.Err())
}

// take returns what was seen since it was asked last.
func (w *witness) take() []sight {
	w.mu.Lock()
	defer w.mu.Unlock()
	seen := w.seen
	w.seen = nil
	return seen
}

// serveNetHTTP is serve for net/http and the library alone: what every adapter
// is compared with.
func serveNetHTTP(t *testing.T, a app) string {
	mux, auth := http.NewServeMux(), a.auth
	answer := func(w http.ResponseWriter, r *http.Request) {
		fmt.Fprint(w, a.witness.say(r.Context(), r.PathValue("slug")))
	}
	later := func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("X-Later", clerkauth.FromContext(r.Context()).UserID)
		answer(w, r)
	}
	forge := func(next http.Handler) http.HandlerFunc {
		return func(w http.ResponseWriter, r *http.Request) { next.ServeHTTP(w, r.WithContext(forged(r.Context()))) }
	}
	admin, slug := clerkauth.Role("org:admin"), clerkauth.OrganizationParam("slug")
	mux.HandleFunc("GET /{$}", answer)
	mux.Handle("GET /dashboard", auth.Require().Func(later))
	mux.Handle("DELETE /orgs/{slug}", auth.Require(admin, slug).Func(answer))
	mux.Handle("POST /invoices", auth.Require(clerkauth.Permission("org:invoices:create")).Func(answer))
	mux.Handle("GET /forged", forge(auth.Require().Func(answer)))
	mux.Handle("GET /admin/{rest...}", auth.Require(admin).Func(answer))
	mux.Handle("GET /orgs/{slug}/x", auth.Require(slug).Func(answer))
	var handler http.Handler = mux
	if a.identify {
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
	good, plain := bearer(admin), bearer(member)
	expired := bearer(admin, clerkauthtest.ExpiresIn(-time.Minute), clerkauthtest.WithoutClaim("iat"), clerkauthtest.WithoutClaim("nbf"))
	const bad, key, basic = "Authorization: Bearer e30", "Authorization: Bearer ak_1", "Authorization: Basic YTpi"
	const page = "Accept: text/html"
	return []request{
		{"anybody reaches what is public", "GET", "/", nil, 200},
		{"who is signed in is known there", "GET", "/", []string{good}, 200},
		{"another scheme is no credential", "GET", "/", []string{basic}, 200},
		{"a bad token is refused even there", "GET", "/", []string{bad}, 401},
		{"and so are two tokens", "GET", "/", []string{good, plain}, 401},
		{"nobody reaches what is for users", "GET", "/dashboard", nil, 401},
		{"a person is sent to sign in", "GET", "/dashboard", []string{page}, 307},
		{"but not away from an API", "POST", "/invoices", []string{page}, 401},
		{"users reach it", "GET", "/dashboard", []string{good}, 200},
		{"in any case of the header's name", "GET", "/dashboard", []string{"aUTHORIZATION" + strings.TrimPrefix(good, "Authorization")}, 200},
		{"bad tokens do not", "GET", "/dashboard", []string{bad}, 401},
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
		{"a group is for admins", "GET", "/admin/users", []string{good}, 200},
		{"not for members", "GET", "/admin/users", []string{plain}, 403},
		{"not for nobody", "GET", "/admin/users", nil, 401},
		{"nor is anything below", "GET", "/admin/a/b", nil, 401},
		{"a group knows the path's organization", "GET", "/orgs/acme/x", []string{plain}, 200},
		{"and another", "GET", "/orgs/other/x", []string{good}, 403},
	}
}

func bearer(s *clerkauthtest.Session, opts ...clerkauthtest.TokenOption) string {
	return "Authorization: Bearer " + s.Token(opts...)
}

// TestLikeNetHTTP makes every request of a server in the framework and of one in
// net/http, which must not differ: not in who reaches a handler, nor in what is
// answered to those who do not.
func TestLikeNetHTTP(t *testing.T) {
	configs := map[string]func(*clerkauthtest.Server, *clerkauth.Config){
		"plain":        func(*clerkauthtest.Server, *clerkauth.Config) {},
		"hidden":       func(_ *clerkauthtest.Server, c *clerkauth.Config) { c.HideUnauthorized = true },
		"sign-in page": func(_ *clerkauthtest.Server, c *clerkauth.Config) { c.SignInURL = "/sign-in" },
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
				configure(srv, &config)
				a := app{auth: newAuth(t, config), witness: &witness{}, identify: identify}
				ours, theirs := serve(t, a), serveNetHTTP(t, a)
				for _, r := range requests(srv) {
					if !identify && r.path == "/" {
						continue // nothing of ours is there
					}
					want, wantBody := send(t, theirs, r)
					wantSeen := a.witness.take()
					got, gotBody := send(t, ours, r)
					gotSeen := a.witness.take()
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

func newAuth(t *testing.T, config clerkauth.Config) *clerkauth.Authenticator {
	t.Helper()
	auth, err := clerkauth.New(config)
	if err != nil {
		t.Fatal(err)
	}
	return auth
}

// send makes a request on a connection of its own, with the header lines and the
// target as they are given.
func send(t *testing.T, base string, r request) (*http.Response, string) {
	t.Helper()
	address := strings.TrimPrefix(base, "http://")
	conn, err := net.Dial("tcp", address)
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	if err := conn.SetDeadline(time.Now().Add(30 * time.Second)); err != nil {
		t.Fatal(err)
	}
	var b bytes.Buffer
	fmt.Fprintf(&b, "%s %s HTTP/1.1\r\nHost: %s\r\nConnection: close\r\n", r.method, r.path, address)
	for _, line := range r.header {
		b.WriteString(line + "\r\n")
	}
	b.WriteString("\r\n")
	if _, err := conn.Write(b.Bytes()); err != nil {
		t.Fatal(err)
	}
	resp, err := http.ReadResponse(bufio.NewReader(conn), &http.Request{Method: r.method})
	if err != nil {
		t.Fatalf("%s %s: %v", r.method, r.path, err)
	}
	defer resp.Body.Close()
	body, err := io.ReadAll(resp.Body)
	if err != nil {
		t.Fatalf("%s %s: %v", r.method, r.path, err)
	}
	return resp, string(body)
}

// newApp returns an app with Identify, and the instance whose users it serves.
func newApp(t *testing.T) (app, *clerkauthtest.Server) {
	srv := clerkauthtest.NewServer(t)
	return app{auth: newAuth(t, srv.Config()), witness: &witness{}, identify: true}, srv
}

func TestImpossibleAccessPanicsAtRegistration(t *testing.T) {
	a, _ := newApp(t)
	for name, demands := range map[string][]clerkauth.Access{
		"nil":              {nil},
		"nil among others": {clerkauth.SignedIn, nil},
		"empty role":       {clerkauth.Role("")},
		"any of none":      {clerkauth.AnyOf()},
	} {
		t.Run(name, func(t *testing.T) {
			defer func() {
				if recover() == nil {
					t.Error("it did not panic")
				}
			}()
			require(a.auth, demands...)
		})
	}
}

// TestPathsAreNotCompared asks for what is guarded in ways in which programs
// disagree. Whatever the framework's router makes of them, the guard stands
// behind it.
func TestPathsAreNotCompared(t *testing.T) {
	a, srv := newApp(t)
	base := serve(t, a)
	jane := srv.CreateUser("jane@example.com")
	admin := bearer(srv.SignIn(jane, clerkauthtest.InOrganization("acme", "org:admin")))
	member := bearer(srv.SignIn(jane, clerkauthtest.InOrganization("acme", "org:member")))
	reached := 0
	for _, path := range []string{"/admin/users", "//admin/users", "/admin//users", "/admin/users/", "/admin/users//", "/ADMIN/users",
		"/x/../admin/users", "/./admin/users", "/admin/./users", "/admin/x/../users", "/%2e%2e/admin/users", "/admin/%2e%2e/admin/users",
		"/%61dmin/users", "/admin%2fusers", "/admin%2Fusers", "/admin%252fusers", "/admin%5cusers", "/admin\\users", "\\admin\\users",
		"/admin/users%00", "/admin/users%20", "/admin/users;a=b", "/admin;/users", "/admin/users?a=/", "/admin/users?a#b", "/admin/%75sers",
		"/admin/users%2f..%2f..%2f", "/admin/..;/admin/users", "/public/..%2fadmin/users", "http://evil.example/admin/users",
		"http://evil.example//admin/users", "/admin/\xc3\xbcsers", "/admin/%c3%28", "/admin/users.json", "/admin/", "/admin", "/admin/%",
		"*", "admin/users", "/dashboard", "//dashboard", "/dashboard/", "/./dashboard", "/%64ashboard", "/dashboard%2f", "/DASHBOARD"} {
		for _, method := range []string{"GET", "HEAD", "POST", "OPTIONS", "CONNECT", "get"} {
			for _, r := range []request{{path: path}, {path: path, header: []string{member}}, {path: path, header: []string{admin}}} {
				r.method = method
				resp, _ := send(t, base, r)
				seen := a.witness.take()
				allowed := len(r.header) > 0 && (r.header[0] == admin || strings.Contains(strings.ToLower(path), "ashboard"))
				switch {
				case allowed:
					reached += len(seen)
				case len(seen) > 0:
					t.Errorf("%s %s reached a handler, status %d", method, path, resp.StatusCode)
				}
			}
		}
	}
	if reached < 15 {
		t.Errorf("with a token, %d reached a handler: this shows little", reached)
	}
}

func TestCORSLetsPreflightsAloneThrough(t *testing.T) {
	a, srv := newApp(t)
	a.cors = true
	base := serve(t, a)
	session := srv.SignIn(srv.CreateUser("jane@example.com"), clerkauthtest.InOrganization("acme", "org:admin"))
	const origin, asks = "Origin: " + cors, "Access-Control-Request-Method: "
	for _, r := range []request{
		{"a preflight is answered", "OPTIONS", "/dashboard", []string{origin, asks + "GET", "Access-Control-Request-Headers: authorization"}, 204},
		{"of a group, too", "OPTIONS", "/admin/users", []string{origin, asks + "GET"}, 204},
		{"and for other methods", "OPTIONS", "/orgs/acme", []string{origin, asks + "DELETE"}, 204},
		{"what it asks for is guarded", "GET", "/dashboard", []string{origin}, 401},
		{"what looks like a preflight is", "GET", "/dashboard", []string{origin, asks + "GET"}, 401},
		{"for pages, too", "GET", "/dashboard", []string{origin, "Accept: text/html"}, 307},
		{"users pass", "GET", "/dashboard", []string{origin, bearer(session)}, 200},
	} {
		resp, _ := send(t, base, r)
		if seen := len(a.witness.take()); resp.StatusCode != r.status || (seen > 0) != (r.status == 200) {
			t.Errorf("%s: status %d, handlers reached: %d", r.rule, resp.StatusCode, seen)
		}
		if got := resp.Header.Get("Access-Control-Allow-Origin"); got != cors {
			t.Errorf("%s: Access-Control-Allow-Origin = %q", r.rule, got)
		}
		vary := strings.Join(resp.Header["Vary"], ", ")
		if !strings.Contains(vary, "Origin") || r.method != "OPTIONS" && !strings.Contains(vary, "Authorization") {
			t.Errorf("%s: Vary = %q", r.rule, vary)
		}
	}
}

func TestPanicsAreTheFrameworks(t *testing.T) {
	a, srv := newApp(t)
	base := serve(t, a)
	token := bearer(srv.SignIn(srv.CreateUser("jane@example.com")))
	for _, r := range []request{
		{"who may not come in meets no panic", "GET", "/panic", nil, 401},
		{"a panic behind the guard is recovered from", "GET", "/panic", []string{token}, 500},
		{"and the server goes on", "GET", "/dashboard", []string{token}, 200},
	} {
		if resp, _ := send(t, base, r); resp.StatusCode != r.status {
			t.Errorf("%s: status %d", r.rule, resp.StatusCode)
		}
	}
}

// TestCallersAreNotMixedUp has many callers at once, on connections that all of
// them use, and looks again at what handlers saw after they have returned.
func TestCallersAreNotMixedUp(t *testing.T) {
	a, srv := newApp(t)
	base := serve(t, a)
	const callers, times = 24, 25
	client := &http.Client{Transport: &http.Transport{MaxIdleConnsPerHost: 4, MaxConnsPerHost: 4}}
	defer client.CloseIdleConnections()
	var group sync.WaitGroup
	for i := range callers {
		slug := fmt.Sprintf("org-%d", i)
		user := srv.CreateUser(slug + "@example.com")
		session := srv.SignIn(user, clerkauthtest.InOrganization(slug, "org:member"))
		token := session.Token()
		group.Go(func() {
			for range times {
				req, err := http.NewRequest("GET", base+"/orgs/"+slug+"/x", nil)
				if err != nil {
					t.Error(err)
					return
				}
				req.Header.Set("Authorization", "Bearer "+token)
				resp, err := client.Do(req)
				if err != nil {
					t.Error(err)
					return
				}
				body, err := io.ReadAll(resp.Body)
				resp.Body.Close()
				if want := fmt.Sprintf("user=%s org=%s slug=%s err=<nil>", user.ID, slug, slug); err != nil || string(body) != want {
					t.Errorf("%s answered %q, %v instead of %q", slug, body, err, want)
				}
			}
		})
	}
	group.Wait()
	seen := a.witness.take()
	if len(seen) != callers*times {
		t.Errorf("handlers were reached %d times", len(seen))
	}
	count := make(map[string]int)
	for _, s := range seen {
		who := clerkauth.FromContext(s.ctx)
		count[who.UserID]++
		if who.UserID != s.user || who.SessionID == "" || !strings.HasPrefix(who.OrgSlug, "org-") {
			t.Errorf("afterwards %s is %s in %q", s.user, who.UserID, who.OrgSlug)
		}
	}
	if len(count) != callers {
		t.Errorf("%d callers were seen: %v", len(count), count)
	}
}

func TestSameRules(t *testing.T) {
	own, err := os.ReadFile("rules_test.go")
	if err != nil {
		t.Fatal(err)
	}
	others, err := filepath.Glob(filepath.Join("..", "*", "rules_test.go"))
	if err != nil {
		t.Fatal(err)
	}
	for _, path := range others {
		other, err := os.ReadFile(path)
		if err != nil {
			t.Fatal(err)
		}
		_, a, _ := bytes.Cut(own, []byte("\n"))
		_, b, _ := bytes.Cut(other, []byte("\n"))
		if !bytes.Equal(a, b) {
			t.Errorf("%s differs", path)
		}
	}
}
