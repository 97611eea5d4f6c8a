package clerkfiber_test

import (
	"bufio"
	"context"
	"crypto/tls"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/gofiber/fiber/v3"
	fibercors "github.com/gofiber/fiber/v3/middleware/cors"
	"github.com/gofiber/fiber/v3/middleware/recover"
	"github.com/valyala/fasthttp"

	"github.com/clerkauth/clerkauth"
	clerkfiber "github.com/clerkauth/clerkauth/adapters/fiber"
	"github.com/clerkauth/clerkauth/internal/adaptertest"
)

func TestRules(t *testing.T) {
	adaptertest.Run(t, adaptertest.Framework{
		Serve:   serve,
		Require: func(auth *clerkauth.Authenticator, demands ...clerkauth.Access) { clerkfiber.Require(auth, demands...) },
	})
}

// serve starts a, as adaptertest.App says, and returns its address.
func serve(t *testing.T, a adaptertest.App) string {
	return "http://" + listen(t, newFiber(a, fiber.Config{}), nil)
}

// listen serves until the test ends.
func listen(t *testing.T, f *fiber.App, config *tls.Config) string {
	t.Helper()
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	address := listener.Addr().String()
	if config != nil {
		listener = tls.NewListener(listener, config)
	}
	done := make(chan error, 1)
	started := make(chan struct{})
	f.Hooks().OnListen(func(fiber.ListenData) error { close(started); return nil })
	go func() { done <- f.Listener(listener, fiber.ListenConfig{DisableStartupMessage: true}) }()
	<-started
	t.Cleanup(func() {
		if err := f.Shutdown(); err != nil {
			t.Error(err)
		}
		if err := <-done; err != nil {
			t.Error(err)
		}
	})
	return address
}

func newFiber(a adaptertest.App, config fiber.Config) *fiber.App {
	f := fiber.New(config)
	f.Use(recover.New())
	if a.CORS {
		f.Use(fibercors.New(fibercors.Config{AllowOrigins: []string{adaptertest.Origin}}))
	}
	if a.Identify {
		f.Use("*", clerkfiber.Identify(a.Auth))
	}
	guard := func(demands ...clerkauth.Access) fiber.Handler { return clerkfiber.Require(a.Auth, demands...) }
	answer := func(c fiber.Ctx) error { return c.SendString(a.Witness.Say(c.Context(), c.Params("slug"))) }
	later := func(c fiber.Ctx) error {
		c.Set("X-Later", clerkauth.FromContext(c.Context()).UserID)
		return c.Next()
	}
	forge := func(c fiber.Ctx) error {
		c.SetContext(adaptertest.Forged(c.Context()))
		return c.Next()
	}
	admin, slug := clerkauth.Role("org:admin"), clerkauth.OrganizationParam("slug")
	f.Get("/", answer)
	f.Get("/dashboard", guard(), later, answer)
	f.Delete("/orgs/:slug", guard(admin, slug), answer)
	f.Post("/invoices", guard(adaptertest.Invoices), answer)
	f.Get("/forged", forge, guard(), answer)
	f.Get("/panic", guard(), func(fiber.Ctx) error { panic("a handler's") })
	admins := f.Group("/admin", guard(admin))
	admins.Get("/users", answer)
	admins.Get("/*", answer)
	f.Group("/orgs/:slug", guard(slug)).Get("/x", answer)
	return f
}

// dump is what a guard is told of a request.
func dump(r *http.Request) string {
	header := r.Header.Clone()
	if cookies := header["Cookie"]; cookies != nil {
		header["Cookie"] = []string{strings.Join(cookies, "; ")} // fasthttp's are one line (RFC 9113 section 8.2.3 allows it)
	}
	header.Del("Content-Length") // fasthttp has it where there is no body
	return fmt.Sprintf("%s %#v %q %s %s %d.%d %q tls=%v", r.Method, *r.URL, r.RequestURI, r.Host, r.Proto, r.ProtoMajor, r.ProtoMinor,
		header, r.TLS != nil)
}

// TestRequestIsAsInNetHTTP sends the same bytes to fiber and to net/http. What the
// two tell a guard must not differ, and what net/http has no request for must
// reach no handler.
func TestRequestIsAsInNetHTTP(t *testing.T) {
	_, srv := adaptertest.NewApp(t)
	token := srv.SignIn(srv.CreateUser("jane@example.com")).Token()
	config := srv.Config()
	config.ErrorHandler = func(w http.ResponseWriter, r *http.Request, err *clerkauth.Error) {
		w.WriteHeader(err.Status)
		fmt.Fprint(w, dump(r))
	}
	auth := adaptertest.NewAuth(t, config)
	nobody := clerkauth.CheckFunc("nobody", func(context.Context, clerkauth.Auth) (bool, error) { return false, nil })
	netHTTP := httptest.NewServer(auth.Require(nobody).Func(func(http.ResponseWriter, *http.Request) {}))
	defer netHTTP.Close()
	for name, config := range map[string]fiber.Config{
		"default": {}, "immutable": {Immutable: true}, "header names as they came": {DisableHeaderNormalizing: true}, "unescaped": {UnescapePath: true},
	} {
		f := fiber.New(config)
		f.Use("*", clerkfiber.Require(auth, nobody))
		f.All("/*", func(c fiber.Ctx) error { return c.SendString("reached") })
		address := listen(t, f, nil)
		for _, message := range []string{
			"GET / HTTP/1.1\nHost: app.example.com",
			"GET /a?b=c%20d&e HTTP/1.1\nHost: app.example.com:8080",
			"DELETE //a//b/../%2e%2e/%2f;c?d HTTP/1.1\nHost: a",
			"GET http://other.example/a HTTP/1.1\nHost: app.example.com",
			"GET http://other.example HTTP/1.1\nHost: app.example.com",
			"GET / HTTP/1.0\nHost: a",
			"HEAD / HTTP/1.1\nHost: a",
			"GET / HTTP/1.1\nhost: a\nACCEPT: b\nx-y_z: c\nX-Y_Z: d\nUser-Agent: e\nContent-Type: f\nReferer: ",
			"GET / HTTP/1.1\nHost: a\nCookie: b=c; d=e\nCookie: b=f",
			"GET / HTTP/1.1\nHost: a\nAuthorization: Bearer " + token,
			"GET / HTTP/1.1\nHost: a\nauthorization: Bearer " + token,
			"GET / HTTP/1.1\nHost: a\nAuthorization: Bearer " + token + "\nAuthorization: Bearer " + token,
			"GET / HTTP/1.1\nHost: a\nAuthorization: Bearer " + token + "\naUTHORIZATION: ",
			"GET / HTTP/1.1\nHost: a\nAuthorization: Bearer\t" + token,
			"GET / HTTP/1.1\nHost: a\nAuthorization:   Bearer " + token + "  ",
			"GET / HTTP/1.1\nHost: a\nAuthorization : Bearer " + token,
			"GET / HTTP/1.1\nHost: a\nAuthori zation: Bearer " + token,
			"GET /%zz HTTP/1.1\nHost: a",
			"GET /% HTTP/1.1\nHost: a",
			"GET a/b HTTP/1.1\nHost: a",
			"GET http://[ HTTP/1.1\nHost: a",
		} {
			message = strings.ReplaceAll(message, "\n", "\r\n") + "\r\nConnection: close\r\n\r\n"
			want, wantBody := sendRaw(t, netHTTP.Listener.Addr().String(), message)
			got, gotBody := sendRaw(t, address, message)
			if want.StatusCode == http.StatusBadRequest {
				wantBody, gotBody = "", strings.ReplaceAll(gotBody, "Bad Request", "")
			}
			if got.StatusCode != want.StatusCode || gotBody != wantBody && got.StatusCode != http.StatusBadRequest {
				t.Errorf("%s: %.80q:\ngot  %d %s\nwant %d %s", name, message, got.StatusCode, gotBody, want.StatusCode, wantBody)
			}
		}
	}
}

// sendRaw sends a message as it is.
func sendRaw(t *testing.T, address, message string) (*http.Response, string) {
	t.Helper()
	conn, err := net.Dial("tcp", address)
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	return exchange(t, conn, bufio.NewReader(conn), message)
}

// exchange sends a message and reads the answer.
func exchange(t *testing.T, conn net.Conn, from *bufio.Reader, message string) (*http.Response, string) {
	t.Helper()
	if err := conn.SetDeadline(time.Now().Add(30 * time.Second)); err != nil {
		t.Fatal(err)
	}
	if _, err := io.WriteString(conn, message); err != nil {
		t.Fatal(err)
	}
	method, _, _ := strings.Cut(message, " ")
	resp, err := http.ReadResponse(from, &http.Request{Method: method})
	if err != nil {
		t.Fatalf("%.80q: %v", message, err)
	}
	defer resp.Body.Close()
	body, err := io.ReadAll(resp.Body)
	if err != nil {
		t.Fatal(err)
	}
	return resp, string(body)
}

// TestRequestIsACopy keeps requests and looks at them again when fasthttp has used
// their memory for others.
func TestRequestIsACopy(t *testing.T) {
	_, srv := adaptertest.NewApp(t)
	type kept struct {
		r    *http.Request
		then string
	}
	var all []kept // one connection: one request at a time
	look := func(r *http.Request) string { return dump(r) + r.PathValue("slug") + r.RemoteAddr }
	config := srv.Config()
	config.ErrorHandler = func(w http.ResponseWriter, r *http.Request, _ *clerkauth.Error) {
		all = append(all, kept{r, strings.Clone(look(r))})
		w.WriteHeader(http.StatusForbidden)
	}
	f := fiber.New()
	f.All("/orgs/:slug", clerkfiber.Require(adaptertest.NewAuth(t, config)), func(fiber.Ctx) error { return nil })
	conn, err := net.Dial("tcp", listen(t, f, nil))
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	reader := bufio.NewReader(conn)
	for i := range 10 {
		c := strings.Repeat(string(rune('a'+i)), 8)
		exchange(t, conn, reader, fmt.Sprintf("%s /orgs/%s?%s HTTP/1.1\r\nHost: %s\r\nX-%s: %s\r\nCookie: %s=%s\r\nAuthorization: %s\r\n\r\n",
			[]string{"GET", "PUT"}[i%2], c, c, c, c, c, c, c, c))
	}
	if len(all) != 10 {
		t.Fatalf("%d requests were seen", len(all))
	}
	for _, k := range all {
		if now := look(k.r); now != k.then {
			t.Errorf("the request has become\n%s\nfrom\n%s", now, k.then)
		}
	}
}

// TestTLS shows that a guard knows that it speaks https, and sends people back to
// there.
func TestTLS(t *testing.T) {
	_, srv := adaptertest.NewApp(t)
	secure := httptest.NewUnstartedServer(nil) // for its certificate
	secure.StartTLS()
	defer secure.Close()
	config := srv.Config()
	config.AuthorizedParties, config.InsecureAnyParty = nil, true
	f := fiber.New()
	f.Get("/dashboard", clerkfiber.Require(adaptertest.NewAuth(t, config)), func(fiber.Ctx) error { return nil })
	address := listen(t, f, secure.TLS)
	client := secure.Client()
	client.CheckRedirect = func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }
	req, err := http.NewRequest("GET", "https://"+address+"/dashboard", nil)
	if err != nil {
		t.Fatal(err)
	}
	req.Header.Set("Accept", "text/html")
	resp, err := client.Do(req)
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	defer client.CloseIdleConnections()
	to, err := resp.Location()
	if err != nil {
		t.Fatal(err)
	}
	if back := to.Query().Get("redirect_url"); resp.StatusCode != 307 || back != "https://"+address+"/dashboard" {
		t.Errorf("status %d, way back %q", resp.StatusCode, back)
	}
}

// TestRouterOptions asks in odd ways of apps that read paths in every way that
// fiber has.
func TestRouterOptions(t *testing.T) {
	for name, config := range map[string]fiber.Config{
		"case counts":      {CaseSensitive: true},
		"slashes count":    {StrictRouting: true},
		"unescaped":        {UnescapePath: true},
		"all of these":     {CaseSensitive: true, StrictRouting: true, UnescapePath: true},
		"immutable":        {Immutable: true},
		"headers as given": {DisableHeaderNormalizing: true},
	} {
		t.Run(name, func(t *testing.T) {
			a, _ := adaptertest.NewApp(t)
			base := "http://" + listen(t, newFiber(a, config), nil)
			for _, path := range []string{"/admin/users", "//admin/users", "/admin//users", "/admin/users/", "/x/../admin/users", "/ADMIN/users",
				"/%61dmin/users", "/admin%2fusers", "/admin%2Fusers", "/admin/%2e%2e/admin/users", "//dashboard", "/./dashboard", "/dashboard%2f",
				"/Admin/", "/admin", "/admin%00/users", "/admin%3fusers", "/%2fadmin/users", "/orgs%2facme/x", "/orgs/%2f/x", "/orgs/acme%2fx"} {
				adaptertest.Send(t, base, "GET", path, nil, "")
				if seen := a.Witness.Take(); len(seen) > 0 {
					t.Errorf("%s reached a handler", path)
				}
			}
		})
	}
}

// TestPlacesThatGuardEverything puts a guard where the README says that it guards
// every route behind it, and asks in ways in which fiber finds some routes without
// the handlers of a prefix.
func TestPlacesThatGuardEverything(t *testing.T) {
	a, _ := adaptertest.NewApp(t)
	guard := clerkfiber.Require(a.Auth)
	for place, route := range map[string]func(*fiber.App) fiber.Router{
		`Use("*", guard)`:             func(f *fiber.App) fiber.Router { return f.Use("*", guard) },
		`Group("*", guard)`:           func(f *fiber.App) fiber.Router { f.Group("*", guard); return f },
		`Group("/admin", guard)`:      func(f *fiber.App) fiber.Router { return f.Group("/admin", guard) },
		`Group("/orgs/:slug", guard)`: func(f *fiber.App) fiber.Router { return f.Group("/orgs/:slug", guard) },
	} {
		for _, path := range []string{"/", "/*", "*", "/:a?", "/+", "/:a?/:b?", "/users"} {
			for _, config := range []fiber.Config{{}, {StrictRouting: true}, {CaseSensitive: true, UnescapePath: true}} {
				f := fiber.New(config)
				route(f).All(path, func(c fiber.Ctx) error { return c.SendString(a.Witness.Say(c.Context(), "")) })
				handle := f.Handler()
				for _, target := range slices.Concat(skipping, []string{"/admin", "/admin/", "/admin//", "/ADMIN/", "/admin/users", "//admin/", "/admin?",
					"/admin%2f", "/orgs/a", "/orgs//", "/orgs/a/", "/orgs/:slug", "/orgs/%2f", "admin/x", "/users", "//users/"}) {
					var ctx fasthttp.RequestCtx
					ctx.Request.Header.SetMethod("GET")
					ctx.Request.Header.SetRequestURI(target)
					ctx.Request.Header.SetHost("a")
					handle(&ctx)
					if len(a.Witness.Take()) > 0 {
						t.Errorf("%s, then %q: %q reached the handler", place, path, target)
					}
				}
			}
		}
	}
}

// skipping are targets for which fiber does not run what Use has at no path.
var skipping = []string{"//", "///", "x", "a/b", "?a", "*"}

// TestUseAtNoPathIsSkipped is why the README warns of it. Should it fail with a
// newer fiber, the warning may go.
func TestUseAtNoPathIsSkipped(t *testing.T) {
	a, _ := adaptertest.NewApp(t)
	f := fiber.New()
	f.Use(clerkfiber.Require(a.Auth))
	f.Get("/*", func(c fiber.Ctx) error { return c.SendString(a.Witness.Say(c.Context(), "")) })
	base := "http://" + listen(t, f, nil)
	for _, target := range skipping {
		if adaptertest.Send(t, base, "GET", target, nil, ""); len(a.Witness.Take()) == 0 {
			t.Errorf("%q does not reach the handler any more", target)
		}
	}
}

// TestOtherHeaders shows what a guard does to headers that a middleware before it
// has set: refusals replace them, but for Vary and cookies, to which both add.
func TestOtherHeaders(t *testing.T) {
	a, srv := adaptertest.NewApp(t)
	token := adaptertest.Bearer(srv.SignIn(srv.CreateUser("jane@example.com")))
	config := srv.Config()
	config.ErrorHandler = func(w http.ResponseWriter, _ *http.Request, err *clerkauth.Error) {
		http.SetCookie(w, &http.Cookie{Name: "c", Value: "d"})
		w.WriteHeader(err.Status)
	}
	f := fiber.New()
	f.Use(func(c fiber.Ctx) error {
		for _, line := range []string{"Cache-Control: public", "Cache-Control: max-age=60", "Vary: Origin", "Vary: Accept", "X-Other: 1"} {
			name, value, _ := strings.Cut(line, ": ")
			c.Response().Header.Add(name, value)
		}
		c.Cookie(&fiber.Cookie{Name: "a", Value: "b"})
		return c.Next()
	}, clerkfiber.Identify(a.Auth))
	f.Get("/", clerkfiber.Require(adaptertest.NewAuth(t, config)), func(c fiber.Ctx) error { return c.SendString("ok") })
	base := "http://" + listen(t, f, nil)
	for _, test := range []struct {
		cacheControl string
		header       []string
		status       int
	}{
		{"max-age=60, public", []string{token}, 200},
		{"no-store", nil, 401},
	} {
		resp, _ := adaptertest.Send(t, base, "GET", "/", test.header, "")
		line := func(name string) string { return strings.Join(slices.Sorted(slices.Values(resp.Header[name])), ", ") }
		if resp.StatusCode != test.status || line("Cache-Control") != test.cacheControl || line("Vary") != "Accept, Origin, Authorization" ||
			line("X-Other") != "1" || !strings.HasPrefix(line("Set-Cookie"), "a=b;") || strings.HasSuffix(line("Set-Cookie"), ", c=d") != (test.status == 401) {
			t.Errorf("%d %q", resp.StatusCode, resp.Header)
		}
	}
}

// TestContext shows that the context of handlers is the one that was there, with
// the caller in it, and that fiber's own, asked by mistake, names nobody.
func TestContext(t *testing.T) {
	a, srv := adaptertest.NewApp(t)
	type key struct{}
	f := fiber.New()
	f.Use(func(c fiber.Ctx) error {
		c.SetContext(context.WithValue(c.Context(), key{}, "kept"))
		return c.Next()
	})
	f.Get("/", clerkfiber.Require(a.Auth), func(c fiber.Ctx) error {
		return c.SendString(fmt.Sprintf("%v %v %v", c.Context().Value(key{}), clerkauth.FromContext(c.Context()).SignedIn(), clerkauth.FromContext(c).SignedIn()))
	})
	base := "http://" + listen(t, f, nil)
	token := adaptertest.Bearer(srv.SignIn(srv.CreateUser("jane@example.com")))
	if _, body := adaptertest.Send(t, base, "GET", "/", []string{token}, ""); body != "kept true false" {
		t.Error(body)
	}
}

// TestMalformedRequests shows which requests that net/http refuses fasthttp serves, and
// that a guard refuses them.
func TestMalformedRequests(t *testing.T) {
	a, _ := adaptertest.NewApp(t)
	f := fiber.New()
	answer := func(c fiber.Ctx) error { return c.SendString(a.Witness.Say(c.Context(), "")) }
	f.Get("/open", answer)
	f.Get("/guarded", clerkfiber.Require(a.Auth, clerkauth.Public), answer)
	address := listen(t, f, nil)
	for rule, head := range map[string]string{
		"two hosts":                 "HTTP/1.1\r\nHost: a\r\nhost: b\r\n",
		"no host":                   "HTTP/1.1\r\n",
		"a space in a name":         "HTTP/1.1\r\nHost: a\r\nX Y: 1\r\n",
		"a version that is unheard": "HTTP/9.9\r\nHost: a\r\n",
	} {
		for path, status := range map[string]int{"/open": 200, "/guarded": 400} {
			conn, err := net.Dial("tcp", address)
			if err != nil {
				t.Fatal(err)
			}
			if err := conn.SetDeadline(time.Now().Add(30 * time.Second)); err != nil {
				t.Fatal(err)
			}
			fmt.Fprintf(conn, "GET %s %sConnection: close\r\n\r\n", path, head)
			resp, err := http.ReadResponse(bufio.NewReader(conn), nil)
			if err != nil {
				t.Fatalf("%s: %v", rule, err)
			}
			resp.Body.Close()
			conn.Close()
			if resp.StatusCode != status {
				t.Errorf("%s: %s answers %d", rule, path, resp.StatusCode)
			}
		}
	}
}
