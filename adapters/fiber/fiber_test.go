package clerkfiber_test

import (
	"bufio"
	"context"
	"crypto/tls"
	"fmt"
	"maps"
	"net"
	"net/http"
	"slices"
	"strings"
	"testing"

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

func TestFastRules(t *testing.T) {
	options := map[string]fiber.Config{
		"default": {}, "immutable": {Immutable: true}, "header names as they came": {DisableHeaderNormalizing: true}, "unescaped": {UnescapePath: true},
	}
	adaptertest.RunFast(t, adaptertest.Fast{
		Serve: func(t *testing.T, option string, config *tls.Config, auth *clerkauth.Authenticator, requirements ...clerkauth.Access) string {
			f, answer := fiber.New(options[option]), func(c fiber.Ctx) error { return c.SendString("reached") }
			f.Get("/open", answer)
			f.All("/orgs/:slug", clerkfiber.Require(auth, requirements...), answer)
			f.Use("*", clerkfiber.Require(auth, requirements...))
			f.All("/*", answer)
			return listen(t, f, config)
		},
		Options: slices.Sorted(maps.Keys(options)),
		Webhook: func(t *testing.T, hooks *clerkauth.Webhook, streams bool) string {
			f := fiber.New(fiber.Config{StreamRequestBody: streams})
			f.All("/webhooks/clerk", clerkfiber.Webhook(hooks))
			return listen(t, f, nil)
		},
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

	headers := func(c fiber.Ctx) error {
		adaptertest.SetHeaders(string(c.Request().URI().QueryString()), c.Response().Header.Add)
		return c.Next()
	}
	f.Get("/headers", headers, answer)
	f.Get("/unchecked", guard(clerkauth.Unchecked), headers, answer)
	f.Get("/guarded", guard(), guard(), headers, answer)
	f.Get("/stream", guard(), headers, func(c fiber.Ctx) error {
		ctx := c.Context()
		return c.SendStreamWriter(func(w *bufio.Writer) {
			for range 2 {
				_, _ = w.WriteString(a.Witness.Say(ctx, ""))
				_ = w.Flush()
			}
		})

	})
	f.Get("/empty", guard(), headers, func(c fiber.Ctx) error { return c.SendStatus(204) })
	f.Get("/error", guard(), headers, func(fiber.Ctx) error { return fiber.ErrTeapot })
	f.Post("/form", guard(), answer)
	f.Post("/sign-out", func(c fiber.Ctx) error {
		if !clerkfiber.SignOut(a.Auth, c) {
			return nil
		}
		return c.Redirect().Status(fiber.StatusSeeOther).To("/")
	})
	return f
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
// has set: refusals replace them, but for Vary and cookies, to which both add, and
// responses of guarded routes are kept out of shared caches.
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
		{"private, max-age=60", []string{token}, 200},
		{"no-store", nil, 401},
	} {
		resp, _ := adaptertest.Send(t, base, "GET", "/", test.header, "")
		line := func(name string) string { return strings.Join(slices.Sorted(slices.Values(resp.Header[name])), ", ") }
		vary := slices.Sorted(slices.Values(strings.Split(line("Vary"), ", ")))
		if resp.StatusCode != test.status || line("Cache-Control") != test.cacheControl || !slices.Equal(vary, []string{"Accept", "Authorization", "Cookie", "Origin"}) ||
			line("X-Other") != "1" || !strings.HasPrefix(line("Set-Cookie"), "a=b;") || strings.HasSuffix(line("Set-Cookie"), ", c=d") != (test.status == 401) {
			t.Errorf("%d %q", resp.StatusCode, resp.Header)
		}
	}
}

// TestContext shows that the context of handlers is the one that was there, with
// the caller in it, and that fiber's own context holds an anonymous one.
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
