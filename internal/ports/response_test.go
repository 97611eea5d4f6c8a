package ports

import (
	"bufio"
	"context"
	"net"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"github.com/coder/websocket"
	gorilla "github.com/gorilla/websocket"

	"github.com/clerkauth/clerkauth/internal/response"
)

// logging is a response writer of other middleware: a Flusher and a Hijacker, and nothing
// else.
type logging struct{ http.ResponseWriter }

func (l logging) Flush() { l.ResponseWriter.(http.Flusher).Flush() }

func (l logging) Hijack() (net.Conn, *bufio.ReadWriter, error) {
	return l.ResponseWriter.(http.Hijacker).Hijack()
}

// unwrapping leaves everything to Unwrap.
type unwrapping struct{ http.ResponseWriter }

func (u unwrapping) Unwrap() http.ResponseWriter { return u.ResponseWriter }

// TestWebsocketUpgrade: servers of both common packages upgrade connections behind the
// library's response writer, inside of other middleware's too. The client gets what that
// package writes, without headers of ours, unless the upgrade is refused.
func TestWebsocketUpgrade(t *testing.T) {
	type wrap = func(http.ResponseWriter) http.ResponseWriter
	outside := map[string]wrap{
		"the server":    func(w http.ResponseWriter) http.ResponseWriter { return w },
		"a logger":      func(w http.ResponseWriter) http.ResponseWriter { return logging{w} },
		"an unwrapping": func(w http.ResponseWriter) http.ResponseWriter { return unwrapping{w} },
	}
	upgrader := gorilla.Upgrader{}
	for name, handler := range map[string]http.HandlerFunc{
		"coder": func(w http.ResponseWriter, r *http.Request) {
			conn, err := websocket.Accept(w, r, nil)
			if err != nil {
				return
			}
			defer func() { _ = conn.CloseNow() }()
			kind, message, err := conn.Read(r.Context())
			if err == nil {
				err = conn.Write(r.Context(), kind, message)
			}
			if err != nil {
				t.Error(err)
			}
			_, _, _ = conn.Read(r.Context())
		},
		"gorilla": func(w http.ResponseWriter, r *http.Request) {
			conn, err := upgrader.Upgrade(w, r, nil)
			if err != nil {
				return
			}
			defer func() { _ = conn.Close() }()
			kind, message, err := conn.ReadMessage()
			if err == nil {
				err = conn.WriteMessage(kind, message)
			}
			if err != nil {
				t.Error(err)
			}
			_, _, _ = conn.ReadMessage()
		},
	} {
		for around, wrap := range outside {
			if name == "gorilla" && around == "an unwrapping" {
				continue // it asks the outermost writer alone, with or without us
			}
			server := httptest.NewServer(http.HandlerFunc(func(rw http.ResponseWriter, r *http.Request) {
				var w response.Writer
				w.Init(wrap(rw))
				w.Vary("Authorization, Cookie")
				w.SetCookie([]string{"a=1; Path=/"})
				w.Guard()
				handler(w.ResponseWriter(), r)
				w.Finish()
			}))
			echo(t, name+" in "+around, server.URL)

			refused, err := http.Get(server.URL)
			if err != nil {
				t.Fatal(err)
			}
			refused.Body.Close()
			if h := refused.Header; h.Get("Vary") != "Authorization, Cookie" || h.Get("Cache-Control") != "no-store" || h.Get("Set-Cookie") != "a=1; Path=/" {
				t.Errorf("%s in %s: %s %v", name, around, refused.Status, h)
			}
			server.Close()
		}
	}
}

// echo tests that the server at that URL sends back a message, and that the response to
// the upgrade has none of the library's headers.
func echo(t *testing.T, name, url string) {
	t.Helper()
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	conn, upgraded, err := websocket.Dial(ctx, strings.Replace(url, "http", "ws", 1), nil) //nolint:bodyclose // it is the connection
	if err != nil {
		t.Errorf("%s: %v", name, err)
		return
	}
	defer func() { _ = conn.CloseNow() }()
	for _, header := range []string{"Vary", "Cache-Control", "Set-Cookie"} {
		if got := upgraded.Header[header]; got != nil {
			t.Errorf("%s: %s: %q", name, header, got)
		}
	}
	if err := conn.Write(ctx, websocket.MessageText, []byte("hello")); err != nil {
		t.Error(err)
	}
	if _, message, err := conn.Read(ctx); err != nil || string(message) != "hello" {
		t.Errorf("%s: %q %v", name, message, err)
	}
}
