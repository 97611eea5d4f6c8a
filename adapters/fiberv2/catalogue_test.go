package clerkfiber_test

import (
	"bytes"
	"context"
	"fmt"
	"net"
	"net/http"
	"strings"
	"sync"
	"testing"

	"github.com/gofiber/fiber/v2"
	"github.com/gofiber/fiber/v2/middleware/adaptor"
	"github.com/valyala/fasthttp"

	"github.com/clerkauth/clerkauth"
	clerkfiber "github.com/clerkauth/clerkauth/adapters/fiberv2"
	"github.com/clerkauth/clerkauth/clerkauthtest"
	"github.com/clerkauth/clerkauth/event"
	"github.com/clerkauth/clerkauth/internal/adaptertest"
)

// TestCatalogue holds the rows of the catalogue that are about fiber.
func TestCatalogue(t *testing.T) {
	t.Run("row=277/context_copied_by_reflection", copiedByReflection)
	t.Run("row=294/wildcard_glued_to_a_prefix", gluedWildcards)
	t.Run("row=295/reused_request_memory", webhooksOutliveTheirRequests)
}

// copiedByReflection puts the library's own middleware behind fiber's adaptor for net/http,
// which copies what is in its context to c.Context() by reflection. Guards behind it
// believe that identity for its credential alone.
func copiedByReflection(t *testing.T) {
	a, srv := adaptertest.NewApp(t)
	other := adaptertest.NewAuth(t, srv.Config())
	jane, john := srv.CreateUser("jane@example.com"), srv.CreateUser("john@example.com")
	janes, johns := adaptertest.Bearer(srv.SignIn(jane, clerkauthtest.InOrganization("acme", "org:admin"))), adaptertest.Bearer(srv.SignIn(john))
	swap := func(line string) fiber.Handler {
		return func(c *fiber.Ctx) error {
			c.Request().Header.Set("Authorization", strings.TrimPrefix(line, "Authorization: "))
			return c.Next()
		}
	}
	identify, admin := adaptor.HTTPMiddleware(a.Auth.Handler), adaptor.HTTPMiddleware(a.Auth.Require(clerkauth.Role("org:admin")))
	signedIn := adaptor.HTTPMiddleware(a.Auth.Require())
	type key struct{}
	within := adaptor.HTTPMiddleware(func(next http.Handler) http.Handler {
		return a.Auth.Handler(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			next.ServeHTTP(w, r.WithContext(context.WithValue(r.Context(), key{}, "kept")))
		}))
	})
	f := newApp(fiber.Config{})
	answer := func(c *fiber.Ctx) error { return c.SendString(a.Witness.Say(c.Context(), "")) }
	f.Get("/identified", identify, func(c *fiber.Ctx) error {
		_, credential, _ := strings.Cut(c.Get("Authorization"), ".")
		c.Context().VisitUserValuesAll(func(key, value any) {
			if text := fmt.Sprintf("%v %+v %#v", value, value, value); credential != "" && strings.Contains(text, credential) {
				t.Errorf("%T prints the credential: %s", value, text)
			}
		})
		return answer(c)
	})
	f.Get("/within", within, func(c *fiber.Ctx) error {
		if c.Context().Value(key{}) != "kept" {
			t.Error("the other value is lost")
		}
		return answer(c)
	})
	f.Get("/guarded", admin, answer)
	f.Get("/both", identify, admin, answer)
	f.Get("/other", identify, adaptor.HTTPMiddleware(other.Require()), answer)
	f.Get("/swapped", identify, swap(johns), signedIn, answer)
	f.Get("/spoiled", identify, swap(janes[:len(janes)-8]+"AAAAAAAA"), signedIn, answer)
	f.Get("/dropped", identify, func(c *fiber.Ctx) error { c.Request().Header.Del("Authorization"); return c.Next() }, signedIn, answer)
	f.Get("/adapter", identify, clerkfiber.Require(a.Auth), func(c *fiber.Ctx) error {
		return c.SendString(a.Witness.Say(c.UserContext(), ""))
	})
	address := listen(t, f, nil)
	conn, err := net.Dial("tcp", address) // one connection, so that all requests are in the same memory
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	for _, test := range []struct {
		path, header string
		status       int
		user         string
	}{
		{"/identified", janes, 200, jane.ID},
		{"/identified", "X-Other: 1", 200, ""},
		{"/identified", johns, 200, john.ID},
		{"/identified", "Authorization: Bearer e30.e.e30", 401, ""},
		{"/identified", "Authorization: Bearer cron-secret", 200, ""},
		{"/within", janes, 200, jane.ID},
		{"/within", "X-Other: 1", 200, ""},
		{"/guarded", janes, 200, jane.ID},
		{"/guarded", johns, 403, ""},
		{"/guarded", "X-Other: 1", 401, ""},
		{"/both", janes, 200, jane.ID},
		{"/both", "X-Other: 1\r\nX-Other: 2\r\n" + janes + "\r\nX-Other: 3", 200, jane.ID},
		{"/both", johns, 403, ""},
		{"/both", johns + "\r\n" + janes, 200, jane.ID}, // of several lines the adaptor hands over the last
		{"/both", janes + "\r\n" + johns, 403, ""},
		{"/other", janes, 200, jane.ID},
		{"/swapped", janes, 200, john.ID},
		{"/spoiled", janes, 401, ""},
		{"/spoiled", johns, 401, ""},
		{"/dropped", janes, 401, ""},
		{"/adapter", janes, 200, jane.ID},
	} {
		resp, body := adaptertest.SendOn(t, conn, test.path, test.header)
		user := ""
		seen := a.Witness.Take()
		for _, sight := range seen {
			user = sight.User
		}
		if resp.StatusCode != test.status || (len(seen) == 1) != (test.status == 200) || user != test.user {
			t.Errorf("%s with %.30q: status %d, user %q, %d handlers reached: %s", test.path, test.header, resp.StatusCode, user, len(seen), body)
		}
	}
}

// gluedWildcards: a guard at a prefix covers every path that begins with it, so what a
// wildcard glued to it serves, too.
func gluedWildcards(t *testing.T) {
	a, _ := adaptertest.NewApp(t)
	guard := clerkfiber.Require(a.Auth)
	answer := func(c *fiber.Ctx) error { return c.SendString(a.Witness.Say(c.UserContext(), "")) }
	targets := []string{"/files", "/files/", "/files/report.pdf", "/files/a/b", "/files?x=1", "/FILES/report.pdf",
		"/filesreport.pdf", "/files%2Freport.pdf", "/files%2freport.pdf", "/files-x", "/files;x", "/files.json", "/%66iles.json"}
	for _, route := range []string{"/files*", "/files+", "/files:name", "/files-:name", "/files/*"} {
		for place, add := range map[string]func(*fiber.App){
			"Use, then the route":   func(f *fiber.App) { f.Use("/files", guard).Get(route, answer) },
			"Group, then the route": func(f *fiber.App) { f.Group("/files", guard); f.Get(route, answer) },
			"at the route":          func(f *fiber.App) { f.Get(route, guard, answer) },
			"open":                  func(f *fiber.App) { f.Get(route, answer) },
		} {
			for _, config := range []fiber.Config{{}, {StrictRouting: true}, {CaseSensitive: true, UnescapePath: true}} {
				f := newApp(config)
				add(f)
				handle, reached := f.Handler(), 0
				for _, target := range targets {
					get(handle, target)
					reached += len(a.Witness.Take())
				}
				if (reached > 0) != (place == "open") {
					t.Errorf("%s %s: %d of %d reach the handler", place, route, reached, len(targets))
				}
			}
		}
	}
}

// get makes a request without a connection.
func get(handle fasthttp.RequestHandler, target string) {
	var ctx fasthttp.RequestCtx
	ctx.Request.Header.SetMethod("GET")
	ctx.Request.Header.SetRequestURI(target)
	ctx.Request.Header.SetHost("a")
	handle(&ctx)
}

// webhooksOutliveTheirRequests has a handler go on while fasthttp uses the memory of its
// request for others.
func webhooksOutliveTheirRequests(t *testing.T) {
	srv := clerkauthtest.NewServer(t)
	hooks := adaptertest.NewHooks(t, srv)
	jane := srv.CreateUser("jane@example.com")
	delivery := srv.NewDelivery("user.created", jane)
	var group sync.WaitGroup
	goOn := make(chan struct{})
	hooks.OnAny(func(ctx context.Context, e *event.Raw) error {
		before, id := bytes.Clone(e.JSON), e.DeliveryID
		want := []byte(id)
		group.Go(func() {
			<-goOn
			if !bytes.Equal(e.JSON, before) || !bytes.Equal([]byte(id), want) {
				t.Error("the event has changed")
			}
			_ = ctx.Value("request")
			_ = ctx.Err()
		})
		return nil
	})
	f := newApp(fiber.Config{})
	f.Post("/webhooks/clerk", clerkfiber.Webhook(hooks))
	f.Post("/other", func(c *fiber.Ctx) error { return c.SendString(string(c.Body())) })
	handle := f.Handler()

	var ctx fasthttp.RequestCtx
	send := func(target string, header map[string][]string, body []byte) int {
		ctx.Request.Reset()
		ctx.Response.Reset()
		ctx.ResetUserValues()
		ctx.Request.Header.SetMethod("POST")
		ctx.Request.Header.SetRequestURI(target)
		ctx.Request.Header.SetHost("a")
		for name, lines := range header {
			ctx.Request.Header.Set(name, lines[0])
		}
		ctx.Request.SetBody(body)
		handle(&ctx)
		return ctx.Response.StatusCode()
	}
	r := delivery.Request("http://a/webhooks/clerk")
	var body bytes.Buffer
	if _, err := body.ReadFrom(r.Body); err != nil {
		t.Fatal(err)
	}
	if status := send("/webhooks/clerk", r.Header, body.Bytes()); status != 204 {
		t.Fatalf("status %d", status)
	}
	close(goOn)
	for range 100 {
		if status := send("/other", map[string][]string{"Svix-Id": {"msg_of_another"}}, bytes.Repeat([]byte("x"), body.Len())); status != 200 {
			t.Fatalf("status %d", status)
		}
	}
	group.Wait()
	if status := send("/webhooks/clerk", r.Header, body.Bytes()); status != 204 {
		t.Errorf("a copy: status %d", status)
	}
	if status := send("/webhooks/clerk", r.Header, body.Bytes()[1:]); status != 400 {
		t.Errorf("another body: status %d", status)
	}
}
