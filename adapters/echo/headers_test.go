package clerkecho_test

import (
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"github.com/labstack/echo/v5"
	"github.com/labstack/echo/v5/middleware"

	clerkecho "github.com/clerkauth/clerkauth/adapters/echo"
	"github.com/clerkauth/clerkauth/internal/adaptertest"
)

// start serves a handler at GET / behind Identify, the middleware and a guard, and returns
// its address and a header line with the cookies of a session that has to be refreshed.
func start(t *testing.T, handler echo.HandlerFunc, between ...echo.MiddlewareFunc) (base, cookies string) {
	t.Helper()
	_, srv := adaptertest.NewApp(t)
	cookies = adaptertest.Cookies(srv.SignIn(srv.CreateUser("jane@example.com")))
	srv.Advance(2 * time.Minute)
	config := srv.Config()
	config.AuthorizedParties, config.InsecureAnyParty = nil, true
	auth := adaptertest.NewAuth(t, config)
	e := echo.New()
	e.HTTPErrorHandler = func(c *echo.Context, _ error) {
		public(c)
		_ = c.String(200, "an error")
	}
	e.Use(middleware.Recover(), clerkecho.Identify(auth))
	e.GET("/", handler, append(between, clerkecho.Require(auth))...)
	server := httptest.NewServer(e)
	t.Cleanup(server.Close)
	return server.URL, cookies
}

// public sets headers as if everybody got the same.
func public(c *echo.Context) {
	c.Response().Header().Set("Cache-Control", "public, max-age=60")
	c.Response().Header().Set("Vary", "Accept")
}

// TestHeadersWhoeverWrites: the headers are there if echo's error handler writes the
// response, a function of Before changes them, or a middleware between the guards wraps
// the writer.
func TestHeadersWhoeverWrites(t *testing.T) {
	say := func(c *echo.Context) error { public(c); return c.String(200, "hello") }
	before := func(next echo.HandlerFunc) echo.HandlerFunc {
		return func(c *echo.Context) error {
			if res, err := echo.UnwrapResponse(c.Response()); err == nil {
				res.Before(func() { public(c) })
			}
			return next(c)
		}
	}
	for name, test := range map[string]struct {
		handler echo.HandlerFunc
		between []echo.MiddlewareFunc
	}{
		"the handler": {say, nil},
		"the handler, by http": {func(c *echo.Context) error {
			public(c)
			http.ServeContent(c.Response(), c.Request(), "", time.Time{}, strings.NewReader("x"))
			return nil
		}, nil},
		"a flush":                 {func(c *echo.Context) error { public(c); return http.NewResponseController(c.Response()).Flush() }, nil},
		"a function of Before":    {func(c *echo.Context) error { return c.String(200, "hello") }, []echo.MiddlewareFunc{before}},
		"nobody":                  {func(c *echo.Context) error { public(c); return nil }, nil},
		"the error handler":       {func(*echo.Context) error { return io.EOF }, nil},
		"recovery from a panic":   {func(*echo.Context) error { panic("a handler's") }, nil},
		"a writer between":        {say, []echo.MiddlewareFunc{middleware.Gzip()}},
		"a writer between, error": {func(*echo.Context) error { return io.EOF }, []echo.MiddlewareFunc{middleware.Gzip()}},
	} {
		base, cookies := start(t, test.handler, test.between...)
		resp, _ := adaptertest.Send(t, base, "GET", "/", []string{cookies, "Accept-Encoding: gzip", "Sec-Fetch-Dest: document"}, "")
		h := resp.Header
		vary := strings.ReplaceAll(strings.Join(h["Vary"], ", "), "Accept-Encoding, ", "") // of Gzip
		if resp.StatusCode != 200 || !strings.Contains(vary, "Authorization, Cookie") || strings.Count(vary, "Cookie") != 1 ||
			strings.Join(h["Cache-Control"], ";") != "no-store" || len(h["Set-Cookie"]) != 3 {
			t.Errorf("%s: %d, Vary %q, Cache-Control %q, %d cookies", name, resp.StatusCode, h["Vary"], h["Cache-Control"], len(h["Set-Cookie"]))
		}
	}
}

// TestWebsocket: nothing is added to the answer to a websocket's handshake.
func TestWebsocket(t *testing.T) {
	base, cookies := start(t, func(c *echo.Context) error {
		conn, _, err := http.NewResponseController(c.Response()).Hijack()
		if err != nil {
			return err
		}
		defer conn.Close()
		_, err = io.WriteString(conn, "HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\r\n")
		return err
	})
	resp, _ := adaptertest.Send(t, base, "GET", "/", []string{cookies, "Connection: Upgrade", "Upgrade: websocket", "Origin: " + base}, "")
	if h := resp.Header; resp.StatusCode != 101 || h.Get("Vary")+h.Get("Cache-Control")+h.Get("Set-Cookie") != "" {
		t.Errorf("%d, Vary %q", resp.StatusCode, h["Vary"])
	}
}
