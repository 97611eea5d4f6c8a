package main

import (
	"context"
	"net"
	"net/http"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/clerkauth/clerkauth"
	"github.com/clerkauth/clerkauth/clerkauthtest"
	"github.com/clerkauth/clerkauth/internal/example/exampletest"
)

func TestLocalInstance(t *testing.T) { exampletest.Local(t, run) }

// TestProgram runs the demonstration in virtual time.
func TestProgram(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		clerk := clerkauthtest.NewServer(t, clerkauthtest.InMemory(), clerkauthtest.Origin("http://app.example.com"))
		listener := newPipe()
		var out strings.Builder
		if err := demonstrate(t.Context(), &out, clerk, listener, listener.dial); err != nil || strings.Count(out.String(), "ok ") != 39 {
			t.Errorf("%v, %d ok\n%s", err, strings.Count(out.String(), "ok "), out.String())
		}
	})
}

// TestCanFail: what is not as expected is reported.
func TestCanFail(t *testing.T) {
	var out strings.Builder
	d := &demo{out: &out}
	d.expect("a token", "expired", "valid")
	d.expect("nothing expected", "anything", "")
	d.expect("a token", "valid", "valid")
	if d.failed != 2 || strings.Count(out.String(), "FAILED") != 2 {
		t.Errorf("%d\n%s", d.failed, out.String())
	}
}

// TestSilentClientsAreDisconnected: a client of the chat that sends no token in time, or no
// new one, does not stay.
func TestSilentClientsAreDisconnected(t *testing.T) {
	for name, c := range map[string]struct {
		tokens int
		after  time.Duration
	}{
		"no token":     {0, renewal},
		"no new token": {1, time.Minute + renewal},
		"one new":      {2, time.Minute + renewal},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				clerk := clerkauthtest.NewServer(t, clerkauthtest.InMemory(), clerkauthtest.Origin("http://app.example.com"))
				auth, err := clerkauth.New(configure(clerk.Config()))
				if err != nil {
					t.Fatal(err)
				}
				listener := newPipe()
				defer serve(newServer(auth), listener)()
				conn, err := (&demo{clerk: clerk, dial: listener.dial, host: "app.example.com"}).openChat(t.Context())
				if err != nil {
					t.Fatal(err)
				}
				defer conn.Close()
				session := clerk.SignIn(clerk.CreateUser("jane@example.com"))
				for range c.tokens {
					if got := say(conn, message{Token: session.Token()}); !strings.Contains(got, session.User.ID) {
						t.Fatal(got)
					}
				}
				began := time.Now()
				if _, _, err := conn.ReadMessage(); err == nil || time.Since(began) != c.after {
					t.Errorf("%v after %v", err, time.Since(began))
				}
			})
		})
	}
}

// TestRequest: an event becomes the request that a server would have got.
func TestRequest(t *testing.T) {
	e := event{
		RawPath: "//orgs/a%2Fb", RawQueryString: "x=1&y=%20", Cookies: []string{"a=1", "b=2"},
		Headers: map[string]string{"content-type": "text/plain"}, Body: "aGVsbG8=", IsBase64Encoded: true,
	}
	e.RequestContext.DomainName, e.RequestContext.HTTP.Method, e.RequestContext.HTTP.SourceIP = "api.example.com", "PUT", "192.0.2.1"
	var seen *http.Request
	var body [8]byte
	h := http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		seen = r
		n, _ := r.Body.Read(body[:])
		http.SetCookie(w, &http.Cookie{Name: "c", Value: "3"})
		w.Header().Add("Vary", "A")
		w.Header().Add("Vary", "B")
		w.WriteHeader(http.StatusTeapot)
		w.WriteHeader(http.StatusOK)
		w.Write(body[:n])
	})
	out, err := function(h)(t.Context(), e)
	if err != nil || out.StatusCode != http.StatusTeapot || out.Headers["Vary"] != "A, B" || len(out.Cookies) != 1 || out.Body != e.Body {
		t.Errorf("%+v, %v", out, err)
	}
	if u := seen.URL; seen.Method != "PUT" || u.Host != "" || u.Path != "//orgs/a/b" || u.EscapedPath() != e.RawPath || u.Query().Get("y") != " " {
		t.Errorf("%s %#v", seen.Method, u)
	}
	if seen.Host != "api.example.com" || seen.Header.Get("Cookie") != "a=1; b=2" || seen.Header.Get("Content-Type") != "text/plain" || seen.RemoteAddr != "192.0.2.1:0" {
		t.Errorf("%+v", seen)
	}
	for name, change := range map[string]func(*event){
		"no path":    func(e *event) { e.RawPath = "orgs" },
		"no method":  func(e *event) { e.RequestContext.HTTP.Method = "P T" },
		"not base64": func(e *event) { e.Body = "!" },
	} {
		broken := e
		change(&broken)
		if out, err := function(h)(t.Context(), broken); err != nil || out.StatusCode != http.StatusBadRequest {
			t.Errorf("%s: %+v, %v", name, out, err)
		}
	}
}

// pipe is a listener in memory, which works in a bubble of testing/synctest.
type pipe struct {
	conns  chan net.Conn
	closed chan struct{}
}

func newPipe() *pipe { return &pipe{make(chan net.Conn), make(chan struct{})} }

func (p *pipe) dial(ctx context.Context, _, _ string) (net.Conn, error) {
	client, server := net.Pipe()
	select {
	case p.conns <- server:
		return client, nil
	case <-p.closed:
		return nil, net.ErrClosed
	case <-ctx.Done():
		return nil, ctx.Err()
	}
}

func (p *pipe) Accept() (net.Conn, error) {
	select {
	case c := <-p.conns:
		return c, nil
	case <-p.closed:
		return nil, net.ErrClosed
	}
}

func (p *pipe) Close() error   { close(p.closed); return nil }
func (p *pipe) Addr() net.Addr { return &net.UnixAddr{Name: "pipe"} }
