package nostore

import (
	"bufio"
	"errors"
	"io"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"testing"
	"time"
)

func TestSet(t *testing.T) {
	for _, c := range []struct {
		there []string
		kept  bool
	}{
		{nil, false},
		{[]string{""}, false},
		{[]string{"max-age=60"}, false},
		{[]string{"no-cache"}, false},
		{[]string{"public"}, false},
		{[]string{"public, max-age=60"}, false},
		{[]string{"private, public"}, false},
		{[]string{"private", "Public"}, false},
		{[]string{`private="Set-Cookie"`}, false},
		{[]string{`private, x="a"`}, false},
		{[]string{`x="a, no-store, b"`}, false},
		{[]string{"private=x"}, false},
		{[]string{"xprivate"}, false},
		{[]string{"private"}, true},
		{[]string{" PRIVATE ,max-age=60"}, true},
		{[]string{"max-age=60", "private"}, true},
		{[]string{"private, no-store"}, true},
		{[]string{"No-Store, max-age=0"}, true},
	} {
		h := http.Header{"Cache-Control": c.there}
		Set(h)
		want := []string{"no-store"}
		if c.kept {
			want = c.there
		}
		if !slices.Equal(h["Cache-Control"], want) {
			t.Errorf("%q: %q", c.there, h["Cache-Control"])
		}
	}
}

// serve answers one request with handle behind Writer, on HTTP/1 or HTTP/2.
func serve(t *testing.T, http2 bool, handle http.HandlerFunc) *http.Response {
	t.Helper()
	server := httptest.NewUnstartedServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		w, done := Writer(w)
		defer done()
		handle(w, r)
	}))
	server.EnableHTTP2 = http2
	server.StartTLS()
	t.Cleanup(server.Close)
	response, err := server.Client().Get(server.URL)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { response.Body.Close() })
	return response
}

// TestWriter: however a handler begins its response, its public does not stand.
func TestWriter(t *testing.T) {
	for what, write := range map[string]http.HandlerFunc{
		"nothing":         func(http.ResponseWriter, *http.Request) {},
		"Write":           func(w http.ResponseWriter, _ *http.Request) { _, _ = w.Write([]byte("x")) },
		"WriteHeader":     func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(http.StatusNotFound) },
		"WriteString":     func(w http.ResponseWriter, _ *http.Request) { _, _ = io.WriteString(w, "x") },
		"Copy":            func(w http.ResponseWriter, _ *http.Request) { _, _ = io.Copy(w, strings.NewReader("x")) },
		"Flush":           func(w http.ResponseWriter, _ *http.Request) { w.(http.Flusher).Flush() },
		"ReadFrom nobody": func(w http.ResponseWriter, _ *http.Request) { _, _ = io.Copy(w, strings.NewReader("")) },
		"controller": func(w http.ResponseWriter, _ *http.Request) {
			if err := http.NewResponseController(w).Flush(); err != nil {
				panic(err)
			}
		},
		"early hints": func(w http.ResponseWriter, _ *http.Request) {
			w.WriteHeader(http.StatusEarlyHints)
			w.Header().Set("Cache-Control", "public")
			_, _ = w.Write([]byte("x"))
		},
		"file": func(w http.ResponseWriter, r *http.Request) {
			http.ServeContent(w, r, "x.txt", time.Time{}, strings.NewReader("x"))
		},
		"error": func(w http.ResponseWriter, _ *http.Request) { http.Error(w, "x", http.StatusTeapot) },
	} {
		for _, http2 := range []bool{false, true} {
			public := serve(t, http2, func(w http.ResponseWriter, r *http.Request) {
				w.Header().Set("Cache-Control", "public, max-age=60")
				write(w, r)
			})
			if got := public.Header["Cache-Control"]; !slices.Equal(got, []string{"no-store"}) {
				t.Errorf("%s, %s: %q", what, public.Proto, got)
			}
			if what == "error" || what == "early hints" {
				continue // they set or remove it themselves
			}
			private := serve(t, http2, func(w http.ResponseWriter, r *http.Request) {
				w.Header().Set("Cache-Control", "private, max-age=60")
				write(w, r)
			})
			if got := private.Header["Cache-Control"]; !slices.Equal(got, []string{"private, max-age=60"}) {
				t.Errorf("%s, %s: %q", what, private.Proto, got)
			}
		}
	}
}

// TestShapes: the writer can do what the server's can.
func TestShapes(t *testing.T) {
	shape := func(w http.ResponseWriter) string {
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
	for _, http2 := range []bool{false, true} {
		serve(t, http2, func(w http.ResponseWriter, _ *http.Request) {
			unwrapped := w.(interface{ Unwrap() http.ResponseWriter }).Unwrap()
			if got, want := shape(w), shape(unwrapped); got != want {
				t.Errorf("%s, want %s", got, want)
			}
		})
	}
	// Outside a server there is less.
	recorder, _ := Writer(httptest.NewRecorder())
	plain, done := Writer(struct{ http.ResponseWriter }{httptest.NewRecorder()})
	if got := shape(recorder) + ", " + shape(plain); got != "Flusher StringWriter, StringWriter" {
		t.Error(got)
	}
	// A flush that is not supported is not the beginning of the response.
	if err := http.NewResponseController(plain).Flush(); !errors.Is(err, http.ErrNotSupported) {
		t.Error(err)
	}
	plain.Header().Set("Cache-Control", "public")
	done()
	if got := plain.Header().Get("Cache-Control"); got != "no-store" {
		t.Error(got)
	}
}

// TestHijack: a connection that the handler has taken over carries what the handler
// writes alone.
func TestHijack(t *testing.T) {
	response := serve(t, false, func(w http.ResponseWriter, _ *http.Request) {
		conn, buffer, err := w.(http.Hijacker).Hijack()
		if err != nil {
			t.Error(err)
			return
		}
		defer conn.Close()
		write(buffer, "HTTP/1.1 200 OK\r\nContent-Length: 2\r\nConnection: close\r\n\r\nhi")
	})
	body, err := io.ReadAll(response.Body)
	if err != nil || string(body) != "hi" || response.Header.Get("Cache-Control") != "" {
		t.Error(string(body), response.Header, err)
	}
}

func write(to *bufio.ReadWriter, text string) {
	_, _ = to.WriteString(text)
	_ = to.Flush()
}
