package response

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"net/http/httptrace"
	"net/http/httputil"
	"net/textproto"
	"net/url"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync/atomic"
	"testing"
	"time"
)

// shape returns the interfaces that w has.
func shape(w http.ResponseWriter) string {
	var is []string
	add := func(name string, ok bool) {
		if ok {
			is = append(is, name)
		}
	}
	_, ok := w.(http.Flusher)
	add("Flusher", ok)
	_, ok = w.(http.Hijacker)
	add("Hijacker", ok)
	_, ok = w.(io.ReaderFrom)
	add("ReaderFrom", ok)
	_, ok = w.(io.StringWriter)
	add("StringWriter", ok)
	_, ok = w.(http.Pusher)
	add("Pusher", ok)
	return strings.Join(is, " ")
}

// hijacking and pushing are response writers as other middleware has them.
type (
	hijacking struct {
		http.ResponseWriter
		err error
	}
	pushing struct {
		*httptest.ResponseRecorder
		pushed *string
	}
)

func (h hijacking) Flush()                                       { h.ResponseWriter.(http.Flusher).Flush() }
func (h hijacking) Hijack() (net.Conn, *bufio.ReadWriter, error) { return nil, nil, h.err }

func (p pushing) Push(target string, _ *http.PushOptions) error {
	*p.pushed = target
	return nil
}

// TestShapes: a handler can do what it can do with the server's writer.
func TestShapes(t *testing.T) {
	for _, protocol := range protocols {
		get(t, protocol, everything, func(w http.ResponseWriter, _ *http.Request) {
			if got, want := shape(w), shape(w.(interface{ Unwrap() http.ResponseWriter }).Unwrap()); got != want {
				t.Errorf("%s: %s, want %s", protocol, got, want)
			}
		})
	}
	for _, c := range []struct {
		rw   http.ResponseWriter
		want string
	}{
		{httptest.NewRecorder(), "Flusher StringWriter Pusher"},
		{hijacking{httptest.NewRecorder(), nil}, "Flusher Hijacker ReaderFrom StringWriter"},
		{struct{ http.ResponseWriter }{httptest.NewRecorder()}, "StringWriter"},
	} {
		var w Writer
		w.Init(c.rw)
		if got := shape(w.ResponseWriter()); got != c.want {
			t.Errorf("%T: %s, want %s", c.rw, got, c.want)
		}
	}
}

// TestOf: the Writer is found from each of its shapes, and from what says that it wraps one.
func TestOf(t *testing.T) {
	for _, rw := range []http.ResponseWriter{httptest.NewRecorder(), hijacking{httptest.NewRecorder(), nil}, struct{ http.ResponseWriter }{httptest.NewRecorder()}} {
		var w Writer
		w.Init(rw)
		if Of(w.ResponseWriter()) != &w || Of(rw) != nil || Of(hijacking{w.ResponseWriter(), nil}) != nil ||
			Of(unwrapping{unwrapping{w.ResponseWriter()}}) != &w || Of(unwrapping{rw}) != nil {
			t.Errorf("%T", rw)
		}
	}
}

type unwrapping struct{ http.ResponseWriter }

func (u unwrapping) Unwrap() http.ResponseWriter { return u.ResponseWriter }

// TestUnsupported: a call that the server's writer does not support is not the beginning of
// the response.
func TestUnsupported(t *testing.T) {
	least := func() http.ResponseWriter { return struct{ http.ResponseWriter }{httptest.NewRecorder()} }
	for name, c := range map[string]struct {
		rw   http.ResponseWriter
		call func(http.ResponseWriter) error
	}{
		"flush": {least(), func(w http.ResponseWriter) error { return http.NewResponseController(w).Flush() }},
		"hijack": {hijacking{httptest.NewRecorder(), http.ErrNotSupported}, func(w http.ResponseWriter) error {
			_, _, err := w.(http.Hijacker).Hijack()
			return err
		}},
		"no hijacker": {least(), func(w http.ResponseWriter) error { _, _, err := http.NewResponseController(w).Hijack(); return err }},
		"push":        {httptest.NewRecorder(), func(w http.ResponseWriter) error { return w.(http.Pusher).Push("/", nil) }},
	} {
		var w Writer
		w.Init(c.rw)
		w.Vary("Cookie")
		if err := c.call(w.ResponseWriter()); !errors.Is(err, http.ErrNotSupported) {
			t.Errorf("%s: %v", name, err)
		}
		c.rw.Header().Set("Vary", "Accept")
		w.Finish()
		if got := c.rw.Header().Get("Vary"); got != "Accept, Cookie" {
			t.Errorf("%s: %q", name, got)
		}
	}
}

// TestPush: a push reaches the server. Clients that disable it get the server's error.
func TestPush(t *testing.T) {
	var target string
	var w Writer
	w.Init(pushing{httptest.NewRecorder(), &target})
	if err := w.ResponseWriter().(http.Pusher).Push("/app.js", nil); err != nil || target != "/app.js" {
		t.Error(target, err)
	}
	get(t, "HTTP/2", everything, func(w http.ResponseWriter, _ *http.Request) {
		if err := w.(http.Pusher).Push("/app.js", nil); !errors.Is(err, http.ErrNotSupported) {
			t.Error(err)
		}
	})
}

// TestHijack: a connection that the handler takes over carries what the handler writes and
// nothing else.
func TestHijack(t *testing.T) {
	for name, hijack := range map[string]func(http.ResponseWriter) (net.Conn, *bufio.ReadWriter, error){
		"Hijacker": func(w http.ResponseWriter) (net.Conn, *bufio.ReadWriter, error) { return w.(http.Hijacker).Hijack() },
		"controller": func(w http.ResponseWriter) (net.Conn, *bufio.ReadWriter, error) {
			return http.NewResponseController(w).Hijack()
		},
	} {
		response, body := get(t, "HTTP/1", everything, func(w http.ResponseWriter, _ *http.Request) {
			conn, buffer, err := hijack(w)
			if err != nil {
				t.Error(err)
				return
			}
			defer conn.Close()
			fmt.Fprintf(buffer, "HTTP/1.1 200 OK\r\nContent-Length: 2\r\nConnection: close\r\nX-Headers: %d\r\n\r\nhi", len(w.Header()))
			_ = buffer.Flush()
		})
		if body != "hi" || len(response.Header) != 2 || response.Header.Get("X-Headers") != "0" {
			t.Error(name, body, response.Header)
		}
	}
}

// TestInformational: informational responses have none of the headers, and the response
// after them has all.
func TestInformational(t *testing.T) {
	for _, protocol := range protocols {
		server := newServer(t, protocol, everything, func(w http.ResponseWriter, _ *http.Request) {
			w.Header().Set("Link", "</app.css>; rel=preload")
			w.WriteHeader(http.StatusEarlyHints)
			w.WriteHeader(http.StatusProcessing)
			w.Header().Set("Set-Cookie", "own=1")
			w.WriteHeader(http.StatusOK)
		})
		var informed []string
		trace := &httptrace.ClientTrace{Got1xxResponse: func(code int, h textproto.MIMEHeader) error {
			informed = append(informed, fmt.Sprint(code, h))
			return nil
		}}
		request, err := http.NewRequestWithContext(httptrace.WithClientTrace(t.Context(), trace), http.MethodGet, server.URL, nil)
		if err != nil {
			t.Fatal(err)
		}
		response, err := server.Client().Do(request)
		if err != nil {
			t.Fatal(err)
		}
		response.Body.Close()
		if want := []string{"103 map[Link:[</app.css>; rel=preload]]", "102 map[Link:[</app.css>; rel=preload]]"}; !slices.Equal(informed, want) {
			t.Errorf("%s: %q", protocol, informed)
		}
		has(t, protocol, response.Header, "Authorization, Cookie", "no-store")
	}
}

// TestTrailers: trailers arrive, declared before or not.
func TestTrailers(t *testing.T) {
	for _, protocol := range protocols {
		for _, write := range []bool{true, false} {
			response, _ := get(t, protocol, everything, func(w http.ResponseWriter, _ *http.Request) {
				w.Header().Set("Trailer", "X-Sum")
				w.Header().Set("Set-Cookie", "own=1")
				if write {
					_, _ = io.WriteString(w, "x")
					_ = http.NewResponseController(w).Flush()
				}
				w.Header().Set("X-Sum", "1")
				w.Header().Set(http.TrailerPrefix+"X-More", "2")
			})
			has(t, protocol, response.Header, "Authorization, Cookie", "no-store")
			if write && (len(response.Trailer) != 2 || response.Trailer.Get("X-Sum") != "1" || response.Trailer.Get("X-More") != "2") {
				t.Errorf("%s: %v", protocol, response.Trailer)
			}
		}
	}
}

// TestEvents: server-sent events arrive when they are flushed, the headers with the first.
func TestEvents(t *testing.T) {
	for _, protocol := range protocols {
		next := make(chan struct{})
		server := newServer(t, protocol, everything, func(w http.ResponseWriter, _ *http.Request) {
			w.Header().Set("Content-Type", "text/event-stream")
			w.Header().Set("Cache-Control", "no-cache")
			w.Header().Set("Set-Cookie", "own=1")
			for i := range 3 {
				fmt.Fprintf(w, "data: %d\n\n", i)
				w.(http.Flusher).Flush()
				<-next
			}
		})
		response, err := server.Client().Get(server.URL)
		if err != nil {
			t.Fatal(err)
		}
		has(t, protocol, response.Header, "Authorization, Cookie", "no-store")
		body := bufio.NewReader(response.Body)
		for i := range 3 {
			line, err := body.ReadString('\n')
			if want := fmt.Sprintf("data: %d\n", i); line != want || err != nil {
				t.Fatal(protocol, line, err)
			}
			_, _ = body.ReadString('\n')
			next <- struct{}{}
		}
		response.Body.Close()
	}
}

// listener counts the calls of ReadFrom of its connections, by which the server sends files
// without copying them.
type listener struct {
	net.Listener
	reads *atomic.Int32
}

type connection struct {
	*net.TCPConn
	reads *atomic.Int32
}

func (l listener) Accept() (net.Conn, error) {
	conn, err := l.Listener.Accept()
	if err != nil {
		return nil, err
	}
	return connection{conn.(*net.TCPConn), l.reads}, nil
}

func (c connection) ReadFrom(r io.Reader) (int64, error) {
	if limited, ok := r.(*io.LimitedReader); ok {
		if _, ok := limited.R.(*os.File); ok {
			c.reads.Add(1)
		}
	}
	return c.TCPConn.ReadFrom(r)
}

// TestFile: http.ServeContent hands the file itself to the connection.
func TestFile(t *testing.T) {
	name := filepath.Join(t.TempDir(), "x.txt")
	if err := os.WriteFile(name, []byte(strings.Repeat("x", 1<<20)), 0o600); err != nil {
		t.Fatal(err)
	}
	var reads atomic.Int32
	server := httptest.NewUnstartedServer(http.HandlerFunc(func(rw http.ResponseWriter, r *http.Request) {
		var w Writer
		w.Init(rw)
		everything(&w)
		w.ResponseWriter().Header().Set("Set-Cookie", "own=1")
		http.ServeFile(w.ResponseWriter(), r, name)
		w.Finish()
	}))
	server.Listener = listener{server.Listener, &reads}
	server.Start()
	defer server.Close()
	response, err := server.Client().Get(server.URL)
	if err != nil {
		t.Fatal(err)
	}
	defer response.Body.Close()
	if body, err := io.ReadAll(response.Body); len(body) != 1<<20 || err != nil || reads.Load() != 1 {
		t.Error(len(body), err, reads.Load())
	}
	has(t, "file", response.Header, "Authorization, Cookie", "no-store")

	// Not modified, and a part.
	for name, status := range map[string]int{"If-Modified-Since": http.StatusNotModified, "Range": http.StatusPartialContent} {
		request, _ := http.NewRequestWithContext(t.Context(), http.MethodGet, server.URL, nil)
		request.Header.Set(name, map[string]string{"If-Modified-Since": response.Header.Get("Last-Modified"), "Range": "bytes=1-2"}[name])
		part, err := server.Client().Do(request)
		if err != nil || part.StatusCode != status {
			t.Fatal(part, err)
		}
		part.Body.Close()
		has(t, name, part.Header, "Authorization, Cookie", "no-store")
	}
}

// TestTimeoutHandler: http.TimeoutHandler works inside and outside, and its response has
// the headers too. Guards in a handler that it no longer waits for change nothing.
func TestTimeoutHandler(t *testing.T) {
	const patient, hasty = time.Minute, time.Millisecond
	for _, protocol := range protocols {
		for _, timeout := range []time.Duration{patient, hasty} {
			status := map[time.Duration]int{patient: http.StatusOK, hasty: http.StatusServiceUnavailable}[timeout]

			// Inside.
			var all *Writer
			done := make(chan struct{})
			response, _ := get(t, protocol, func(w *Writer) { all = w; everything(w) }, func(w http.ResponseWriter, r *http.Request) {
				w.Header().Set("Set-Cookie", "own=1")
				http.TimeoutHandler(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
					defer close(done)
					if timeout == hasty {
						<-r.Context().Done()
					}
					everything(all)
					w.Header().Set("Vary", "Accept")
				}), timeout, "").ServeHTTP(w, r)
			})
			<-done
			vary := map[time.Duration]string{patient: "Accept, Authorization, Cookie", hasty: "Authorization, Cookie"}[timeout]
			has(t, protocol+", inside", response.Header, vary, "no-store")
			if response.StatusCode != status {
				t.Error(response.Status)
			}

			// Outside.
			outside := http.TimeoutHandler(http.HandlerFunc(func(rw http.ResponseWriter, r *http.Request) {
				var w Writer
				w.Init(rw)
				everything(&w)
				if timeout == hasty {
					<-r.Context().Done()
				}
				w.ResponseWriter().Header().Set("Set-Cookie", "own=1")
				_, _ = io.WriteString(w.ResponseWriter(), "x")
				w.Finish()
			}), timeout, "")
			response, _ = get(t, protocol, func(*Writer) {}, func(w http.ResponseWriter, r *http.Request) {
				outside.ServeHTTP(w.(interface{ Unwrap() http.ResponseWriter }).Unwrap(), r)
			})
			if response.StatusCode != status {
				t.Error(response.Status)
			}
			if timeout == patient {
				has(t, protocol+", outside", response.Header, "Authorization, Cookie", "no-store")
			}
		}
	}
}

// TestReverseProxy: a reverse proxy behind a Writer streams, keeps the headers and
// trailers of its backend, and upgrades connections.
func TestReverseProxy(t *testing.T) {
	backend := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.Header.Get("Upgrade") != "" {
			conn, buffer, err := http.NewResponseController(w).Hijack()
			if err != nil {
				t.Error(err)
				return
			}
			defer conn.Close()
			_, _ = buffer.WriteString("HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: echo\r\n\r\n")
			_ = buffer.Flush()
			line, _ := buffer.ReadString('\n')
			_, _ = buffer.WriteString(line)
			_ = buffer.Flush()
			return
		}
		w.Header().Set("Trailer", "X-Sum")
		w.Header().Set("Set-Cookie", "own=1")
		w.Header().Set("Vary", "Accept")
		w.Header().Set("Cache-Control", "public")
		_, _ = io.WriteString(w, "x")
		_ = http.NewResponseController(w).Flush()
		w.Header().Set("X-Sum", "1")
	}))
	defer backend.Close()
	target, err := url.Parse(backend.URL)
	if err != nil {
		t.Fatal(err)
	}
	proxy := &httputil.ReverseProxy{FlushInterval: -1, Rewrite: func(r *httputil.ProxyRequest) { r.SetURL(target) }}
	for _, protocol := range protocols {
		response, body := get(t, protocol, everything, proxy.ServeHTTP)
		has(t, protocol, response.Header, "Accept, Authorization, Cookie", "no-store")
		if body != "x" || response.Trailer.Get("X-Sum") != "1" {
			t.Error(protocol, body, response.Trailer)
		}
	}

	server := newServer(t, "HTTP/1", everything, proxy.ServeHTTP)
	request, _ := http.NewRequestWithContext(t.Context(), http.MethodGet, server.URL, nil)
	request.Header.Set("Connection", "Upgrade")
	request.Header.Set("Upgrade", "echo")
	response, err := server.Client().Do(request)
	if err != nil {
		t.Fatal(err)
	}
	conn, ok := response.Body.(io.ReadWriteCloser)
	if !ok || response.StatusCode != http.StatusSwitchingProtocols || len(response.Header) != 2 {
		t.Fatal(response.Status, response.Header)
	}
	defer conn.Close()
	_, _ = io.WriteString(conn, "hello\n")
	if line, err := bufio.NewReader(conn).ReadString('\n'); line != "hello\n" {
		t.Error(line, err)
	}
}

// TestMaxBytesReader: a body that is too large is refused with the same error. The server
// closes the connection only if http.MaxBytesReader has its own writer.
func TestMaxBytesReader(t *testing.T) {
	for _, c := range []struct {
		outside, closes bool
	}{{false, false}, {true, true}} {
		server := newServer(t, "HTTP/1", everything, func(w http.ResponseWriter, r *http.Request) {
			own := w
			if c.outside {
				own = w.(interface{ Unwrap() http.ResponseWriter }).Unwrap()
			}
			_, err := io.ReadAll(http.MaxBytesReader(own, r.Body, 1))
			var tooLarge *http.MaxBytesError
			if !errors.As(err, &tooLarge) {
				t.Error(err)
			}
			w.WriteHeader(http.StatusRequestEntityTooLarge)
		})
		response, err := server.Client().Post(server.URL, "text/plain", strings.NewReader("xxxx"))
		if err != nil {
			t.Fatal(err)
		}
		response.Body.Close()
		if response.StatusCode != http.StatusRequestEntityTooLarge || response.Close != c.closes {
			t.Errorf("%+v: %s, closes: %v", c, response.Status, response.Close)
		}
	}
}

// TestResponseController: the controls of the server's writer are reached.
func TestResponseController(t *testing.T) {
	for _, protocol := range protocols {
		get(t, protocol, everything, func(w http.ResponseWriter, _ *http.Request) {
			c := http.NewResponseController(w)
			own := http.NewResponseController(w.(interface{ Unwrap() http.ResponseWriter }).Unwrap())
			for name, errs := range map[string][2]error{
				"SetReadDeadline":  {c.SetReadDeadline(time.Now().Add(time.Minute)), own.SetReadDeadline(time.Now().Add(time.Minute))},
				"SetWriteDeadline": {c.SetWriteDeadline(time.Now().Add(time.Minute)), own.SetWriteDeadline(time.Now().Add(time.Minute))},
				"EnableFullDuplex": {c.EnableFullDuplex(), own.EnableFullDuplex()},
				"Flush":            {c.Flush(), own.Flush()},
			} {
				if !errors.Is(errs[0], errs[1]) {
					t.Errorf("%s: %s: %v, want %v", protocol, name, errs[0], errs[1])
				}
			}
		})
	}
}

// TestCanceled: a client that goes away changes nothing about the Writer.
func TestCanceled(t *testing.T) {
	for _, protocol := range protocols {
		begun, done := make(chan struct{}), make(chan struct{})
		server := newServer(t, protocol, everything, func(w http.ResponseWriter, r *http.Request) {
			defer close(done)
			close(begun)
			<-r.Context().Done()
			_, _ = io.WriteString(w, "x")
			_ = http.NewResponseController(w).Flush()
		})
		ctx, cancel := context.WithCancel(t.Context())
		request, _ := http.NewRequestWithContext(ctx, http.MethodGet, server.URL, nil)
		go func() { <-begun; cancel() }()
		if _, err := server.Client().Do(request); !errors.Is(err, context.Canceled) { //nolint:bodyclose // there is none
			t.Error(err)
		}
		<-done
	}
}
