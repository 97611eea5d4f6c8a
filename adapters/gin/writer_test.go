package clerkgin_test

import (
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"github.com/gin-gonic/gin"

	clerkgin "github.com/clerkauth/clerkauth/adapters/gin"
	"github.com/clerkauth/clerkauth/internal/adaptertest"
)

// start serves an engine with Identify and these handlers at GET /, the first of which are
// before it, and returns its address and a header line with the cookies of a session that
// has to be refreshed.
func start(t *testing.T, before gin.HandlerFunc, handlers ...gin.HandlerFunc) (base, cookies string) {
	t.Helper()
	_, srv := adaptertest.NewApp(t)
	cookies = adaptertest.Cookies(srv.SignIn(srv.CreateUser("jane@example.com")))
	srv.Advance(2 * time.Minute)
	config := srv.Config()
	config.AuthorizedParties, config.InsecureAnyParty = nil, true
	auth := adaptertest.NewAuth(t, config)
	gin.SetMode(gin.ReleaseMode)
	r := gin.New()
	r.Use(before, clerkgin.Identify(auth))
	r.GET("/", append(handlers[:len(handlers)-1:len(handlers)-1], clerkgin.Require(auth), handlers[len(handlers)-1])...)
	server := httptest.NewServer(r)
	t.Cleanup(server.Close)
	return server.URL, cookies
}

// renewed reports whether a response has the headers of a guarded one that refreshes a
// session, each once.
func renewed(h http.Header) bool {
	return strings.Join(h["Vary"], ";") == "Accept, Authorization, Cookie" && strings.Join(h["Cache-Control"], ";") == "no-store" && len(h["Set-Cookie"]) == 3
}

// public sets headers as if everybody got the same.
func public(c *gin.Context) {
	c.Header("Cache-Control", "public, max-age=60")
	c.Header("Vary", "Accept")
}

// wrapping is a writer that says nothing of what it wraps, such as one that compresses.
type wrapping struct{ gin.ResponseWriter }

// TestHeadersWhoeverWrites: the headers are there if a middleware outside of the guards
// writes the response, or one between them wraps the writer.
func TestHeadersWhoeverWrites(t *testing.T) {
	nothing := func(*gin.Context) {}
	rendersErrors := func(c *gin.Context) {
		c.Next()
		if len(c.Errors) > 0 {
			public(c)
			c.JSON(200, c.Errors.JSON())
		}
	}
	wraps := func(c *gin.Context) { c.Writer = wrapping{c.Writer} }
	say := func(c *gin.Context) { public(c); c.String(200, "hello") }
	for name, test := range map[string]struct {
		before   gin.HandlerFunc
		handlers []gin.HandlerFunc
	}{
		"the handler":              {nothing, []gin.HandlerFunc{say}},
		"the handler's own Write":  {nothing, []gin.HandlerFunc{func(c *gin.Context) { public(c); _, _ = c.Writer.Write([]byte("x")) }}},
		"the handler's own status": {nothing, []gin.HandlerFunc{func(c *gin.Context) { public(c); c.Status(200); c.Writer.WriteHeaderNow() }}},
		"the handler, by http": {nothing, []gin.HandlerFunc{func(c *gin.Context) {
			public(c)
			http.ServeContent(c.Writer, c.Request, "", time.Time{}, strings.NewReader("x"))
		}}},
		"a flush":                      {nothing, []gin.HandlerFunc{func(c *gin.Context) { public(c); c.Writer.Flush() }}},
		"headers after the status":     {nothing, []gin.HandlerFunc{func(c *gin.Context) { c.Status(200); public(c) }}},
		"nobody":                       {nothing, []gin.HandlerFunc{public}},
		"a middleware that renders":    {rendersErrors, []gin.HandlerFunc{func(c *gin.Context) { _ = c.Error(io.EOF) }}},
		"a writer around the guards":   {wraps, []gin.HandlerFunc{say}},
		"a writer between the guards":  {nothing, []gin.HandlerFunc{wraps, say}},
		"a writer between, and nobody": {nothing, []gin.HandlerFunc{wraps, public}},
	} {
		base, cookies := start(t, test.before, test.handlers...)
		resp, body := adaptertest.Send(t, base, "GET", "/", []string{cookies, "Sec-Fetch-Dest: document"}, "")
		if resp.StatusCode != 200 || !renewed(resp.Header) {
			t.Errorf("%s: %d %q, Vary %q, Cache-Control %q, %d cookies", name, resp.StatusCode, body, resp.Header["Vary"], resp.Header["Cache-Control"], len(resp.Header["Set-Cookie"]))
		}
	}
}

// TestWriter: gin's writer works as without a guard.
func TestWriter(t *testing.T) {
	var status, size int
	base, cookies := start(t, func(c *gin.Context) {
		c.Next()
		status, size = c.Writer.Status(), c.Writer.Size()
	}, func(c *gin.Context) {
		w := c.Writer
		if w.Written() || w.Size() != -1 || w.Pusher() != nil || w.CloseNotify() == nil {
			t.Error("it has begun, or lacks something")
		}
		if err := http.NewResponseController(w).SetWriteDeadline(time.Now().Add(time.Minute)); err != nil {
			t.Error(err)
		}
		c.String(200, "hello")
		if !w.Written() || w.Size() != 5 || w.Status() != 200 {
			t.Error("it has not begun")
		}
	})
	if adaptertest.Send(t, base, "GET", "/", []string{cookies}, ""); status != 200 || size != 5 {
		t.Errorf("outside: status %d, size %d", status, size)
	}
}

// TestWebsocket: nothing is added to the answer to a websocket's handshake, whether a
// library writes it before it takes the connection over or after.
func TestWebsocket(t *testing.T) {
	const answer = "HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\r\n"
	for name, handler := range map[string]gin.HandlerFunc{
		"before": func(c *gin.Context) {
			c.Header("Connection", "Upgrade")
			c.Header("Upgrade", "websocket")
			c.Writer.WriteHeader(http.StatusSwitchingProtocols)
			c.Writer.WriteHeaderNow()
			conn, _, err := c.Writer.Hijack()
			if err != nil {
				t.Error(err)
				return
			}
			conn.Close()
		},
		"after": func(c *gin.Context) {
			conn, _, err := c.Writer.Hijack()
			if err != nil {
				t.Error(err)
				return
			}
			defer conn.Close()
			_, _ = io.WriteString(conn, answer)
		},
	} {
		base, cookies := start(t, func(*gin.Context) {}, handler)
		resp, _ := adaptertest.Send(t, base, "GET", "/", []string{cookies, "Connection: Upgrade", "Upgrade: websocket", "Origin: " + base}, "")
		if h := resp.Header; resp.StatusCode != 101 || h.Get("Vary")+h.Get("Cache-Control")+h.Get("Set-Cookie") != "" {
			t.Errorf("%s: %d, Vary %q", name, resp.StatusCode, h["Vary"])
		}
	}
}
