package clerkfiber_test

import (
	"bufio"
	"fmt"
	"io"
	"strings"
	"testing"
	"time"

	"github.com/gofiber/fiber/v3"
	"github.com/gofiber/fiber/v3/middleware/recover"

	clerkfiber "github.com/clerkauth/clerkauth/adapters/fiber"
	"github.com/clerkauth/clerkauth/internal/adaptertest"
)

// start serves a handler at GET / behind Identify, other middleware and a guard, and
// returns its address and a header line with the cookies of a session that has to be
// refreshed.
func start(t *testing.T, config fiber.Config, handler fiber.Handler) (base, cookies string) {
	t.Helper()
	_, srv := adaptertest.NewApp(t)
	cookies = adaptertest.Cookies(srv.SignIn(srv.CreateUser("jane@example.com")))
	srv.Advance(2 * time.Minute)
	options := srv.Config()
	options.AuthorizedParties, options.InsecureAnyParty = nil, true
	auth := adaptertest.NewAuth(t, options)
	config.ErrorHandler = func(c fiber.Ctx, _ error) error { return c.Status(200).SendString("an error") }
	f := fiber.New(config)
	f.Use(recover.New())
	f.Use("*", clerkfiber.Identify(auth))
	f.Get("/", clerkfiber.Require(auth), handler)
	return "http://" + listen(t, f, nil), cookies
}

// public sets headers as if everybody got the same.
func public(c fiber.Ctx) {
	c.Set("Cache-Control", "public, max-age=60")
	c.Set("Vary", "Accept")
}

// TestHeadersWhoeverWrites: the headers are there if the app's error handler writes the
// response, after an error or a panic, if it is a stream, and however the handler spells
// its own.
func TestHeadersWhoeverWrites(t *testing.T) {
	spelled := fiber.Config{DisableHeaderNormalizing: true}
	for name, test := range map[string]struct {
		config  fiber.Config
		handler fiber.Handler
	}{
		"the handler": {fiber.Config{}, func(c fiber.Ctx) error { public(c); return c.SendString("hello") }},
		"a stream":    {fiber.Config{}, func(c fiber.Ctx) error { public(c); return c.SendStream(strings.NewReader("hello")) }},
		"a writer of streams": {fiber.Config{}, func(c fiber.Ctx) error {
			public(c)
			c.RequestCtx().SetBodyStreamWriter(func(w *bufio.Writer) { _, _ = w.WriteString("hello") })
			return nil
		}},
		"nobody":            {fiber.Config{}, func(c fiber.Ctx) error { public(c); return nil }},
		"the error handler": {fiber.Config{}, func(c fiber.Ctx) error { public(c); return io.EOF }},
		"recovery":          {fiber.Config{}, func(c fiber.Ctx) error { public(c); panic("a handler's") }},
		"names as they came": {spelled, func(c fiber.Ctx) error {
			c.Response().Header.Add("cache-control", "public")
			c.Response().Header.Add("VARY", "Accept")
			return c.SendString("hello")
		}},
		"its own cookie of that name": {fiber.Config{}, func(c fiber.Ctx) error {
			public(c)
			c.Cookie(&fiber.Cookie{Name: "__session", Value: "own"})
			c.Response().Header.DelCookie("__session")
			return c.SendString("hello")
		}},
	} {
		base, cookies := start(t, test.config, test.handler)
		resp, _ := adaptertest.Send(t, base, "GET", "/", []string{cookies, "Sec-Fetch-Dest: document"}, "")
		h := resp.Header
		if resp.StatusCode != 200 || strings.Join(h["Vary"], ";") != "Accept, Authorization, Cookie" || strings.Join(h["Cache-Control"], ";") != "no-store" || len(h["Set-Cookie"]) != 3 {
			t.Errorf("%s: %d, Vary %q, Cache-Control %q, %d cookies", name, resp.StatusCode, h["Vary"], h["Cache-Control"], len(h["Set-Cookie"]))
		}
	}
}

// TestWebsocket: nothing is added to the answer to a websocket's handshake.
func TestWebsocket(t *testing.T) {
	base, cookies := start(t, fiber.Config{}, func(c fiber.Ctx) error {
		c.Set("Connection", "Upgrade")
		c.Set("Upgrade", "websocket")
		return c.SendStatus(fiber.StatusSwitchingProtocols)
	})
	resp, _ := adaptertest.Send(t, base, "GET", "/", []string{cookies, "Connection: Upgrade", "Upgrade: websocket", "Origin: " + base}, "")
	if h := resp.Header; resp.StatusCode != 101 || h.Get("Vary")+h.Get("Cache-Control")+h.Get("Set-Cookie") != "" {
		t.Errorf("%d, Vary %q", resp.StatusCode, h["Vary"])
	}
}

// TestLocalsPrintNoToken: what is in fiber's locals prints no cookie that the response has.
func TestLocalsPrintNoToken(t *testing.T) {
	base, cookies := start(t, fiber.Config{}, func(c fiber.Ctx) error {
		n := 0
		c.RequestCtx().VisitUserValuesAll(func(_, value any) {
			n++
			if text := fmt.Sprintf("%v %+v %#v", value, value, value); strings.Contains(text, "eyJ") {
				t.Errorf("%T prints a token", value)
			}
		})
		return c.SendString(fmt.Sprint(n > 0))
	})
	if _, body := adaptertest.Send(t, base, "GET", "/", []string{cookies, "Sec-Fetch-Dest: document"}, ""); body != "true" {
		t.Error(body)
	}
}
