package fapiproxy

import (
	"bufio"
	"bytes"
	"compress/gzip"
	"context"
	"errors"
	"fmt"
	"io"
	"log"
	"net"
	"net/http"
	"net/http/httptest"
	"net/netip"
	"net/url"
	"runtime"
	"strconv"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/clerkauth/clerkauth/internal/clerkapi"
)

const secret = "sk_test_0123456789abcdefghijklmnopqrstuvwxyz"

// fixture is a proxy in front of a Frontend API.
type fixture struct {
	server *httptest.Server
	client *http.Client
	mu     sync.Mutex
	failed []error
}

func (f *fixture) failures() []error {
	f.mu.Lock()
	defer f.mu.Unlock()
	return f.failed
}

func parse(t testing.TB, s string) *url.URL {
	t.Helper()
	u, err := url.Parse(s)
	if err != nil {
		t.Fatal(err)
	}
	return u
}

// config returns a configuration for the Frontend API at target.
func (f *fixture) config(t testing.TB, target string, transport http.RoundTripper) Config {
	return Config{
		Target: parse(t, target), URL: parse(t, "https://app.example.com/__clerk"), Secret: secret, Transport: transport,
		Client: func(*http.Request) netip.Addr { return netip.Addr{} },
		Check:  func(context.Context) error { return nil },
		Failed: func(err error) {
			f.mu.Lock()
			defer f.mu.Unlock()
			f.failed = append(f.failed, err)
		},
	}
}

func newFixture(t testing.TB, api http.HandlerFunc) *fixture {
	t.Helper()
	f := &fixture{}
	start := func(h http.Handler) *httptest.Server {
		s := httptest.NewUnstartedServer(h)
		s.Config.ErrorLog = log.New(io.Discard, "", 0)
		s.Start()
		t.Cleanup(s.Close)
		return s
	}
	transport := &http.Transport{}
	frontend := start(api)
	f.server = start(New(f.config(t, frontend.URL, transport))(http.NotFoundHandler()))
	t.Cleanup(transport.CloseIdleConnections) // before the servers, which wait for connections
	f.client = f.server.Client()
	f.client.Transport.(*http.Transport).DisableCompression = true
	return f
}

func (f *fixture) do(t testing.TB, method, target string, body io.Reader) *http.Response {
	t.Helper()
	r, err := http.NewRequestWithContext(t.Context(), method, f.server.URL+target, body)
	if err != nil {
		t.Fatal(err)
	}
	resp, err := f.client.Do(r)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = resp.Body.Close() })
	return resp
}

// TestStreamsResponses: a part of a response arrives before the next is sent, whatever its
// type and length.
func TestStreamsResponses(t *testing.T) {
	next := make(chan struct{})
	f := newFixture(t, func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Content-Type", r.Header.Get("Accept"))
		if r.URL.RawQuery != "" {
			w.Header().Set("Content-Length", r.URL.RawQuery)
		}
		for i := range 3 {
			_, _ = fmt.Fprintf(w, "data: %d\n", i)
			_ = http.NewResponseController(w).Flush()
			<-next
		}
	})
	for target, kind := range map[string]string{"/x": "text/event-stream", "/y": "application/json", "/z?24": "text/plain"} {
		r, err := http.NewRequestWithContext(t.Context(), http.MethodGet, f.server.URL+"/__clerk"+target, nil)
		if err != nil {
			t.Fatal(err)
		}
		r.Header.Set("Accept", kind)
		resp, err := f.client.Do(r)
		if err != nil {
			t.Fatal(err)
		}
		lines := bufio.NewReader(resp.Body)
		for i := range 3 {
			want := fmt.Sprintf("data: %d\n", i)
			if line, err := lines.ReadString('\n'); line != want || err != nil {
				t.Fatalf("%s: %q, %v, want %q", kind, line, err, want)
			}
			next <- struct{}{}
		}
		if rest, err := io.ReadAll(lines); len(rest) > 0 || err != nil {
			t.Errorf("%s: %q, %v", kind, rest, err)
		}
		_ = resp.Body.Close()
	}
}

// TestStreamsRequests: a part of a request arrives before the next is sent.
func TestStreamsRequests(t *testing.T) {
	arrived := make(chan string)
	f := newFixture(t, func(_ http.ResponseWriter, r *http.Request) {
		for in := bufio.NewReader(r.Body); ; {
			line, err := in.ReadString('\n')
			if err != nil {
				return
			}
			arrived <- line
		}
	})
	in, out := io.Pipe()
	go func() {
		defer func() { _ = out.Close() }()
		for i := range 3 {
			want := fmt.Sprintf("part %d\n", i)
			_, _ = io.WriteString(out, want)
			if got := <-arrived; got != want {
				t.Errorf("%q, want %q", got, want)
			}
		}
	}()
	if resp := f.do(t, http.MethodPost, "/__clerk/v1/client", in); resp.StatusCode != 200 {
		t.Errorf("%d", resp.StatusCode)
	}
}

// zeros is an endless body.
type zeros struct{}

func (zeros) Read(b []byte) (int, error) { clear(b); return len(b), nil }

// TestSizes: bodies of 100 MB pass in both directions, and no more than a part of them is in
// memory.
func TestSizes(t *testing.T) {
	const size = 100 << 20
	f := newFixture(t, func(w http.ResponseWriter, r *http.Request) {
		n, _ := io.Copy(io.Discard, r.Body)
		if w.Header().Set("X-Received", strconv.FormatInt(n, 10)); r.Method == http.MethodGet {
			w.Header().Set("Content-Length", strconv.Itoa(size))
			_, _ = io.CopyN(w, zeros{}, size)
		}
	})
	var before, after runtime.MemStats
	runtime.ReadMemStats(&before)
	up := f.do(t, http.MethodPost, "/__clerk/v1/me/profile_image", io.LimitReader(zeros{}, size))
	down := f.do(t, http.MethodGet, "/__clerk/npm/x", nil)
	n, err := io.Copy(io.Discard, down.Body)
	runtime.ReadMemStats(&after)
	if up.Header.Get("X-Received") != strconv.Itoa(size) || n != size || err != nil || down.ContentLength != size {
		t.Errorf("up %s, down %d of %d, %v", up.Header.Get("X-Received"), n, down.ContentLength, err)
	}
	if allocated := after.TotalAlloc - before.TotalAlloc; allocated > 8<<20 {
		t.Errorf("%d bytes allocated", allocated)
	}
}

// TestResponses: bodies are as the Frontend API sends them.
func TestResponses(t *testing.T) {
	var packed bytes.Buffer
	z := gzip.NewWriter(&packed)
	_, _ = io.WriteString(z, "hello")
	_ = z.Close()
	f := newFixture(t, func(w http.ResponseWriter, r *http.Request) {
		switch r.URL.Path {
		case "/gzip": // although it was not accepted
			w.Header().Set("Content-Encoding", "gzip")
			_, _ = w.Write(packed.Bytes())
		case "/empty":
			w.WriteHeader(http.StatusNoContent)
		case "/unchanged":
			w.Header().Set("Etag", `"a"`)
			w.WriteHeader(http.StatusNotModified)
		case "/error":
			http.Error(w, `{"errors":[]}`, http.StatusUnprocessableEntity)
		default:
			w.Header().Set("Content-Length", "5")
			_, _ = io.WriteString(w, "hello")
		}
	})
	for _, c := range []struct {
		method, path string
		status       int
		length       int64
		body         string
	}{
		{http.MethodGet, "/gzip", 200, int64(packed.Len()), packed.String()},
		{http.MethodGet, "/empty", 204, 0, ""},
		{http.MethodGet, "/unchanged", 304, -1, ""},
		{http.MethodGet, "/error", 422, 14, "{\"errors\":[]}\n"},
		{http.MethodGet, "/", 200, 5, "hello"},
		{http.MethodHead, "/", 200, 5, ""},
	} {
		resp := f.do(t, c.method, "/__clerk"+c.path, nil)
		body, err := io.ReadAll(resp.Body)
		if resp.StatusCode != c.status || string(body) != c.body || err != nil || c.length >= 0 && resp.ContentLength != c.length {
			t.Errorf("%s %s: %d, %d bytes, %q, %v", c.method, c.path, resp.StatusCode, resp.ContentLength, body, err)
		}
		if got := resp.Header.Get("Content-Encoding") == "gzip"; got != (c.path == "/gzip") {
			t.Errorf("%s: Content-Encoding: gzip is %v", c.path, got)
		}
	}
	if failed := f.failures(); len(failed) > 0 {
		t.Errorf("failed: %v", failed)
	}
}

// TestHeaderInFront: what middleware in front has set stays, whatever informational
// responses come first.
func TestHeaderInFront(t *testing.T) {
	f := newFixture(t, func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Link", "</x>; rel=preload")
		w.WriteHeader(http.StatusEarlyHints)
		w.Header().Del("Link")
		w.Header().Add("Set-Cookie", "__client=b")
	})
	shared := []string{"app=a"}
	h := f.server.Config.Handler
	f.server.Config.Handler = http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		w.Header()["Set-Cookie"] = shared[:1:1]
		h.ServeHTTP(w, r)
	})
	resp := f.do(t, http.MethodGet, "/__clerk/v1/client", nil)
	if got := resp.Header["Set-Cookie"]; len(got) != 2 || got[0] != "app=a" || got[1] != "__client=b" || resp.Header["Link"] != nil {
		t.Errorf("%v", resp.Header)
	}
}

// TestClientLeaves: the request to the Frontend API ends with the client's, before and
// after the response has begun.
func TestClientLeaves(t *testing.T) {
	for _, begun := range []bool{false, true} {
		arrived, ended := make(chan struct{}), make(chan struct{})
		f := newFixture(t, func(w http.ResponseWriter, r *http.Request) {
			if begun {
				_, _ = io.WriteString(w, "x")
				_ = http.NewResponseController(w).Flush()
			}
			close(arrived)
			<-r.Context().Done()
			close(ended)
		})
		ctx, leave := context.WithCancel(t.Context())
		r, err := http.NewRequestWithContext(ctx, http.MethodGet, f.server.URL+"/__clerk/v1/client", nil)
		if err != nil {
			t.Fatal(err)
		}
		go func() {
			if resp, err := f.client.Do(r); err == nil {
				_, _ = io.Copy(io.Discard, resp.Body)
				_ = resp.Body.Close()
			}
		}()
		<-arrived
		leave()
		select {
		case <-ended:
		case <-time.After(10 * time.Second):
			t.Fatalf("begun %v: the request goes on", begun)
		}
		if failed := f.failures(); len(failed) > 0 {
			t.Errorf("begun %v: failed: %v", begun, failed)
		}
	}
}

// TestCutResponse: a response that ends early ends early for the client, too.
func TestCutResponse(t *testing.T) {
	f := newFixture(t, func(w http.ResponseWriter, _ *http.Request) {
		_, _ = io.WriteString(w, "half")
		_ = http.NewResponseController(w).Flush()
		panic(http.ErrAbortHandler)
	})
	resp := f.do(t, http.MethodGet, "/__clerk/v1/client", nil)
	if body, err := io.ReadAll(resp.Body); string(body) != "half" || err == nil {
		t.Errorf("%q, %v", body, err)
	}
}

// TestTooLarge: a limit in front is the client's error.
func TestTooLarge(t *testing.T) {
	f := newFixture(t, func(_ http.ResponseWriter, r *http.Request) { _, _ = io.Copy(io.Discard, r.Body) })
	f.server.Config.Handler = http.MaxBytesHandler(f.server.Config.Handler, 10)
	for _, body := range []io.Reader{strings.NewReader("more than ten bytes"), io.LimitReader(zeros{}, 1<<20)} {
		if resp := f.do(t, http.MethodPost, "/__clerk/v1/client", body); resp.StatusCode != http.StatusRequestEntityTooLarge {
			t.Errorf("%d", resp.StatusCode)
		}
	}
	if failed := f.failures(); len(failed) > 0 {
		t.Errorf("failed: %v", failed)
	}
}

// TestSilence: a Frontend API that does not respond, or a client that stops in the middle of
// its body, is given up; neither a slow upload nor a response that pauses is.
func TestSilence(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		const wait = clerkapi.Patience - time.Second
		f := &fixture{}
		var last context.Context
		api := roundTrip(func(r *http.Request) (*http.Response, error) {
			last = r.Context()
			if r.Body != nil && r.URL.Path != "/duplex" {
				if _, err := io.Copy(io.Discard, r.Body); err != nil {
					return nil, err
				}
			}
			if r.URL.Path == "/silent" {
				<-r.Context().Done()
			}
			if r.Context().Err() != nil {
				return nil, r.Context().Err()
			}
			in, out := io.Pipe()
			go func() {
				if r.URL.Path == "/duplex" {
					_, _ = r.Body.Read(make([]byte, 1))
				}
				select {
				case <-time.After(2 * clerkapi.Patience):
					_, _ = io.WriteString(out, "late")
					_ = out.Close()
				case <-r.Context().Done():
					_ = out.CloseWithError(r.Context().Err())
				}
			}()
			return &http.Response{StatusCode: 200, Header: http.Header{}, Body: in, ContentLength: -1}, nil
		})
		h := New(f.config(t, "https://frontend.example", api))(nil)
		serve := func(path string, body io.Reader) *httptest.ResponseRecorder {
			w := httptest.NewRecorder()
			h.ServeHTTP(w, httptest.NewRequest(http.MethodPost, "/__clerk"+path, body))
			if last.Err() == nil {
				t.Errorf("%s: the request has not ended", path)
			}
			return w
		}
		began := time.Now()
		if w := serve("/silent", nil); w.Code != http.StatusBadGateway || time.Since(began) != clerkapi.Patience {
			t.Errorf("silent: %d after %v", w.Code, time.Since(began))
		}
		if failed := f.failures(); len(failed) != 1 || !errors.Is(failed[0], clerkapi.ErrSilent) {
			t.Errorf("failed: %v", failed)
		}
		if w := serve("/slow", &pausing{left: 5, pause: wait}); w.Code != 200 || w.Body.String() != "late" {
			t.Errorf("slow: %d %s", w.Code, w.Body)
		}
		if w := serve("/duplex", strings.NewReader("body")); w.Code != 200 || w.Body.String() != "late" {
			t.Errorf("duplex: %d %s", w.Code, w.Body)
		}
		stopped, _ := io.Pipe()
		began = time.Now()
		go func() {
			time.Sleep(clerkapi.Patience + time.Second)
			_ = stopped.CloseWithError(io.ErrUnexpectedEOF) // as a server does when the handler is done
		}()
		if w := serve("/stopped", stopped); w.Code != http.StatusBadGateway {
			t.Errorf("stopped: %d after %v", w.Code, time.Since(began))
		}
	})
}

type roundTrip func(*http.Request) (*http.Response, error)

func (f roundTrip) RoundTrip(r *http.Request) (*http.Response, error) { return f(r) }

// pausing is a body that pauses before each byte.
type pausing struct {
	left  int
	pause time.Duration
}

func (p *pausing) Read(b []byte) (int, error) {
	if p.left == 0 {
		return 0, io.EOF
	}
	time.Sleep(p.pause)
	p.left--
	return copy(b, "x"), nil
}

// TestUnreachable: the client learns nothing of why.
func TestUnreachable(t *testing.T) {
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	_ = listener.Close()
	f := &fixture{}
	transport := &http.Transport{}
	t.Cleanup(transport.CloseIdleConnections)
	w := httptest.NewRecorder()
	New(f.config(t, "http://"+listener.Addr().String(), transport))(nil).ServeHTTP(w, httptest.NewRequest(http.MethodGet, "/__clerk/v1/client", nil))
	const want = `{"errors":[{"code":"proxy_request_failed","message":"the Frontend API cannot be reached"}]}` + "\n"
	if w.Code != http.StatusBadGateway || w.Body.String() != want || w.Header().Get("Cache-Control") != "no-store" || len(f.failures()) != 1 {
		t.Errorf("%d %s %v, failed: %v", w.Code, w.Body, w.Header(), f.failures())
	}
}
