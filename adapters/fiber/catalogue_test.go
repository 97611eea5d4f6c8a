package clerkfiber_test

import (
	"bytes"
	"context"
	"slices"
	"sync"
	"testing"

	"github.com/gofiber/fiber/v3"
	"github.com/valyala/fasthttp"

	clerkfiber "github.com/clerkauth/clerkauth/adapters/fiber"
	"github.com/clerkauth/clerkauth/clerkauthtest"
	"github.com/clerkauth/clerkauth/event"
	"github.com/clerkauth/clerkauth/internal/adaptertest"
)

// TestCatalogue holds the rows of the catalogue that are about fiber.
func TestCatalogue(t *testing.T) {
	t.Run("row=294/wildcard_glued_to_a_prefix", gluedWildcards)
	t.Run("row=295/reused_request_memory", webhooksOutliveTheirRequests)
}

// gluedWildcards shows what a guard at a prefix covers, /files and /files/… alone, and
// that a guard at the route covers what the route does.
func gluedWildcards(t *testing.T) {
	a, _ := adaptertest.NewApp(t)
	guard := clerkfiber.Require(a.Auth)
	answer := func(c fiber.Ctx) error { return c.SendString(a.Witness.Say(c.Context(), "")) }
	below := []string{"/files", "/files/", "/files/report.pdf", "/files/a/b", "/files?x=1", "/FILES/report.pdf"}
	glued := []string{"/filesreport.pdf", "/files%2Freport.pdf", "/files%2freport.pdf", "/files-x", "/files;x", "/files.json"}
	for _, place := range []struct {
		name           string
		route          func(*fiber.App)
		covers, misses []string
	}{
		{`Use("/files", guard)`, func(f *fiber.App) { f.Use("/files", guard); f.Get("/files*", answer) }, below, glued},
		{`Group("/files", guard)`, func(f *fiber.App) { f.Group("/files", guard); f.Get("/files*", answer) }, below, glued},
		{`Get("/files*", guard)`, func(f *fiber.App) { f.Get("/files*", guard, answer) }, slices.Concat(below, glued), nil},
		{`Get("/files+", guard)`, func(f *fiber.App) { f.Get("/files+", guard, answer) }, slices.Concat(below, glued), nil},
		{`Get("/files:name", guard)`, func(f *fiber.App) { f.Get("/files:name", guard, answer) }, glued, nil},
		{`Use("/files", guard) and Get("/files/*")`, func(f *fiber.App) { f.Use("/files", guard); f.Get("/files/*", answer) }, slices.Concat(below, glued), nil},
	} {
		for _, config := range []fiber.Config{{}, {UnescapePath: true}} {
			f := fiber.New(config)
			place.route(f)
			base := "http://" + listen(t, f, nil)
			for _, target := range place.covers {
				if adaptertest.Send(t, base, "GET", target, nil, ""); len(a.Witness.Take()) > 0 {
					t.Errorf("%s: %s reaches the handler", place.name, target)
				}
			}
			for _, target := range place.misses {
				// Decoded, this one is below the prefix.
				if config.UnescapePath && bytes.HasPrefix([]byte(target), []byte("/files%")) {
					continue
				}
				if adaptertest.Send(t, base, "GET", target, nil, ""); len(a.Witness.Take()) == 0 {
					t.Errorf("%s: %s does not reach the handler any more: the README may say less", place.name, target)
				}
			}
		}
	}
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
	f := fiber.New()
	f.Post("/webhooks/clerk", clerkfiber.Webhook(hooks))
	f.Post("/other", func(c fiber.Ctx) error { return c.SendString(string(c.Body())) })
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
