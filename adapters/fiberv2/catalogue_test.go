package clerkfiber_test

import (
	"bytes"
	"context"
	"sync"
	"testing"

	"github.com/gofiber/fiber/v2"
	"github.com/valyala/fasthttp"

	clerkfiber "github.com/clerkauth/clerkauth/adapters/fiberv2"
	"github.com/clerkauth/clerkauth/clerkauthtest"
	"github.com/clerkauth/clerkauth/event"
	"github.com/clerkauth/clerkauth/internal/adaptertest"
)

// TestCatalogue holds the rows of the catalogue that are about fiber.
func TestCatalogue(t *testing.T) {
	t.Run("row=294/wildcard_glued_to_a_prefix", gluedWildcards)
	t.Run("row=295/reused_request_memory", webhooksOutliveTheirRequests)
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
