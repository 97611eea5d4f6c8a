package response

import (
	"io"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"testing"
	"testing/iotest"
	"time"
)

// recorder is a response writer that has a header map and nothing else.
type recorder struct{ header http.Header }

func (r *recorder) Header() http.Header       { return r.header }
func (*recorder) Write(b []byte) (int, error) { return len(b), nil }
func (*recorder) WriteHeader(int)             {}
func (*recorder) Flush()                      {}

// protocols are those of net/http's server, and of its response writers.
var protocols = []string{"HTTP/1", "HTTP/1 with TLS", "HTTP/2"}

// newServer returns a server of handle behind a Writer with what add says.
func newServer(t *testing.T, protocol string, add func(*Writer), handle http.HandlerFunc) *httptest.Server {
	t.Helper()
	server := httptest.NewUnstartedServer(http.HandlerFunc(func(rw http.ResponseWriter, r *http.Request) {
		var w Writer
		w.Init(rw)
		add(&w)
		handle(w.ResponseWriter(), r)
		w.Finish()
	}))
	if protocol == "HTTP/1" {
		server.Start()
	} else {
		server.EnableHTTP2 = protocol == "HTTP/2"
		server.StartTLS()
	}
	t.Cleanup(server.Close)
	server.Client().CheckRedirect = func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }
	return server
}

// get answers one request by handle, and returns the response with its body.
func get(t *testing.T, protocol string, add func(*Writer), handle http.HandlerFunc) (*http.Response, string) {
	t.Helper()
	server := newServer(t, protocol, add, handle)
	response, err := server.Client().Get(server.URL)
	if err != nil {
		t.Fatal(err)
	}
	defer response.Body.Close()
	body, err := io.ReadAll(response.Body)
	if err != nil {
		t.Fatal(err)
	}
	return response, string(body)
}

// everything adds each kind of header.
func everything(w *Writer) {
	w.Vary("Authorization, Cookie")
	w.SetCookie([]string{"a=1; Path=/", "b=2; Path=/, x"})
	w.SetHeader("x-clerk-auth-status", "signed-in")
	w.Guard()
}

func has(t *testing.T, what string, h http.Header, vary, control string) {
	t.Helper()
	if !slices.Equal(h["Vary"], []string{vary}) || !slices.Equal(h["Cache-Control"], []string{control}) ||
		!slices.Equal(h["Set-Cookie"], []string{"own=1", "a=1; Path=/", "b=2; Path=/, x"}) || !slices.Equal(h["X-Clerk-Auth-Status"], []string{"signed-in"}) {
		t.Errorf("%s: %v", what, h)
	}
}

// TestHeaders: however a handler begins its response, the headers are there, once.
func TestHeaders(t *testing.T) {
	for what, write := range map[string]http.HandlerFunc{
		"nothing":      func(http.ResponseWriter, *http.Request) {},
		"Write":        func(w http.ResponseWriter, _ *http.Request) { _, _ = w.Write([]byte("x")) },
		"Write twice":  func(w http.ResponseWriter, _ *http.Request) { _, _ = w.Write(nil); _, _ = w.Write([]byte("x")) },
		"WriteHeader":  func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(http.StatusNotFound) },
		"not modified": func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(http.StatusNotModified) },
		"no content":   func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(http.StatusNoContent) },
		"WriteString":  func(w http.ResponseWriter, _ *http.Request) { _, _ = io.WriteString(w, "x") },
		"Copy": func(w http.ResponseWriter, _ *http.Request) {
			_, _ = io.Copy(w, io.LimitReader(strings.NewReader("x"), 1))
		},
		"Copy of nothing": func(w http.ResponseWriter, _ *http.Request) {
			_, _ = io.Copy(w, io.LimitReader(strings.NewReader(""), 1))
		},
		"Flush": func(w http.ResponseWriter, _ *http.Request) { w.(http.Flusher).Flush() },
		"Copy that fails, then an error": func(w http.ResponseWriter, _ *http.Request) {
			_, _ = io.Copy(w, iotest.ErrReader(io.ErrUnexpectedEOF))
			w.Header().Set("Vary", "Accept")
			w.Header().Set("Cache-Control", "public")
			w.Header().Set("Set-Cookie", "own=1")
			http.Error(w, "x", http.StatusInternalServerError)
		},
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
		"redirect": func(w http.ResponseWriter, r *http.Request) { http.Redirect(w, r, "/x", http.StatusSeeOther) },
		"error":    func(w http.ResponseWriter, _ *http.Request) { http.Error(w, "x", http.StatusTeapot) },
	} {
		for _, protocol := range protocols {
			response, _ := get(t, protocol, everything, func(w http.ResponseWriter, r *http.Request) {
				w.Header().Set("Vary", "Accept")
				w.Header().Set("Cache-Control", "public, max-age=60")
				w.Header().Set("Set-Cookie", "own=1")
				write(w, r)
			})
			has(t, what+", "+protocol, response.Header, "Accept, Authorization, Cookie", "no-store")
		}
	}
}

// TestVary: every name is there once, in one line, with what the handler and other guards
// say.
func TestVary(t *testing.T) {
	for _, c := range []struct {
		there, add, want []string
	}{
		{nil, nil, nil},
		{[]string{"Accept"}, nil, []string{"Accept"}},
		{nil, []string{"Authorization"}, []string{"Authorization"}},
		{nil, []string{"Authorization, Cookie"}, []string{"Authorization, Cookie"}},
		{nil, []string{"Authorization, Cookie", "Authorization, Cookie", "Cookie"}, []string{"Authorization, Cookie"}},
		{nil, []string{"Authorization", "Authorization, Cookie", "Origin"}, []string{"Authorization, Cookie, Origin"}},
		{[]string{""}, []string{"Authorization, Cookie"}, []string{"Authorization, Cookie"}},
		{[]string{"Accept-Encoding"}, []string{"Authorization, Cookie"}, []string{"Accept-Encoding, Authorization, Cookie"}},
		{[]string{"Accept", "", "Origin"}, []string{"Authorization, Cookie"}, []string{"Accept, Origin, Authorization, Cookie"}},
		{[]string{"cookie"}, []string{"Authorization, Cookie"}, []string{"cookie, Authorization"}},
		{[]string{"COOKIE ,Accept,authorization"}, []string{"Authorization, Cookie"}, []string{"COOKIE ,Accept,authorization"}},
		{[]string{"Accept", "Authorization", "Cookie"}, []string{"Authorization, Cookie"}, []string{"Accept", "Authorization", "Cookie"}},
		{[]string{"X-Cookie"}, []string{"Cookie"}, []string{"X-Cookie, Cookie"}},
		{[]string{"*"}, []string{"Authorization, Cookie"}, []string{"*"}},
		{[]string{"Accept, *"}, []string{"Authorization, Cookie"}, []string{"Accept, *"}},
		{nil, []string{"*"}, []string{"*"}},
		{nil, []string{"*", "Authorization, Cookie"}, []string{"*"}},
		{[]string{"Accept"}, []string{"*"}, []string{"Accept, *"}},
	} {
		there := slices.Clone(c.there)
		h := http.Header{}
		if there != nil {
			h["Vary"] = there
		}
		var w Writer
		w.Init(&recorder{header: h})
		for _, names := range c.add {
			w.Vary(names)
		}
		w.Apply()
		w.Finish()
		if !slices.Equal(h["Vary"], c.want) || !slices.Equal(there, c.there) {
			t.Errorf("%q and %q: %q, want %q", c.there, c.add, h["Vary"], c.want)
		}
	}
}

// TestSetCookie: lines of Set-Cookie are appended as they are, in their order, once for
// all guards that ask for them.
func TestSetCookie(t *testing.T) {
	first := append(make([]string, 0, 8), "a=1; Path=/", "b=%2C, x", "a=1; Path=/")
	own := append(make([]string, 0, 8), "own=1")
	h := http.Header{"Set-Cookie": own}
	var w Writer
	w.Init(&recorder{header: h})
	w.SetCookie(nil)
	if w.Apply(); len(h["Set-Cookie"]) != 1 || len(h) != 1 {
		t.Error(h) // there is nothing to add
	}
	w.SetCookie(first)
	w.SetCookie([]string{"b=%2C, x", "c=3"}) // another Authenticator's
	w.Apply()
	w.SetCookie(slices.Clone(first))
	w.SetCookie([]string{"d=4"})
	h["Set-Cookie"] = slices.DeleteFunc(h["Set-Cookie"], func(line string) bool { return line == "c=3" })
	w.Finish()
	if got, want := h["Set-Cookie"], []string{"own=1", "a=1; Path=/", "b=%2C, x", "a=1; Path=/", "c=3", "d=4"}; !slices.Equal(got, want) {
		// c=3 is there again, after what stood before it
		t.Errorf("%q", got)
	}
	if h.Get("Cache-Control") != "no-store" {
		t.Error(h)
	}
	if rest := first[:8][3:]; slices.ContainsFunc(rest, func(s string) bool { return s != "" }) {
		t.Errorf("written into memory of the caller: %q", rest)
	}
}

// TestReplaceCookies: what earlier calls said is not added, unless it is in the header
// already.
func TestReplaceCookies(t *testing.T) {
	for _, applied := range []bool{false, true} {
		h := http.Header{"Set-Cookie": {"own=1"}}
		var w Writer
		w.Init(&recorder{header: h})
		w.SetCookie([]string{"a=1"})
		if applied {
			w.Apply()
		}
		w.ReplaceCookies([]string{"a=; Max-Age=0", "b=; Max-Age=0"})
		w.Finish()
		want := []string{"own=1", "a=1", "a=; Max-Age=0", "b=; Max-Age=0"}
		if !applied {
			want = slices.Delete(want, 1, 2)
		}
		if !slices.Equal(h["Set-Cookie"], want) || h.Get("Cache-Control") != "no-store" {
			t.Errorf("%v: %v", applied, h)
		}
	}
}

// TestWritten: what comes after the headers, or after a hijack, changes nothing.
func TestWritten(t *testing.T) {
	for name, write := range map[string]func(http.ResponseWriter){
		"WriteHeader": func(w http.ResponseWriter) { w.WriteHeader(http.StatusOK) },
		"Write":       func(w http.ResponseWriter) { _, _ = w.Write([]byte("x")) },
		"WriteString": func(w http.ResponseWriter) { _, _ = io.WriteString(w, "x") },
		"ReadFrom":    func(w http.ResponseWriter) { _, _ = w.(io.ReaderFrom).ReadFrom(strings.NewReader("x")) },
		"Flush":       func(w http.ResponseWriter) { w.(http.Flusher).Flush() },
	} {
		h := http.Header{}
		var w Writer
		w.Init(hijacking{&recorder{header: h}, nil})
		w.Vary("Authorization")
		write(w.ResponseWriter())
		everything(&w)
		w.NoStore()
		h.Set("X-Trailer", "x")
		w.Apply()
		w.Finish()
		if len(h) != 3 || h.Get("Vary") != "Authorization" || h.Get("Cache-Control") != "private" || h.Get("X-Trailer") != "x" {
			t.Errorf("%s: %v", name, h)
		}
	}
	for name, write := range map[string]func(http.ResponseWriter){
		"Hijack":              func(w http.ResponseWriter) { _, _, _ = w.(http.Hijacker).Hijack() },
		"Switching Protocols": func(w http.ResponseWriter) { w.WriteHeader(http.StatusSwitchingProtocols) },
	} {
		h := http.Header{}
		var w Writer
		w.Init(hijacking{&recorder{header: h}, nil})
		everything(&w)
		write(w.ResponseWriter())
		w.Finish()
		if len(h) != 0 {
			t.Errorf("%s: %v", name, h)
		}
	}
}

// TestPanic: nothing is added after a panic. What recovers answers by itself.
func TestPanic(t *testing.T) {
	rw := httptest.NewRecorder()
	func() {
		defer func() { _ = recover() }()
		var w Writer
		w.Init(rw)
		everything(&w)
		func(http.ResponseWriter) { panic("x") }(w.ResponseWriter())
		w.Finish()
	}()
	if len(rw.Header()) != 0 {
		t.Error(rw.Header())
	}
}

// TestMemory: no response shares memory with another, and what a handler appends to a
// value or writes into it is in its own response alone.
func TestMemory(t *testing.T) {
	for range 2 {
		h := http.Header{}
		var w Writer
		w.Init(&recorder{header: h})
		w.Vary("Authorization, Cookie")
		w.Apply()
		if h.Get("Vary") != "Authorization, Cookie" || h.Get("Cache-Control") != "private" {
			t.Fatal(h)
		}
		h["Vary"] = append(h["Vary"], "Accept")
		h["Cache-Control"] = append(h["Cache-Control"], "max-age=1")
		if h["Cache-Control"][0] != "private" {
			t.Error(h)
		}
		h["Vary"][0], h["Cache-Control"][0] = "x", "x"
	}
}

// TestAllocations: a response costs no allocation but for what is merged with the
// handler's.
func TestAllocations(t *testing.T) {
	for _, c := range []struct {
		name string
		add  func(*Writer)
		set  func(http.Header)
		most float64
	}{
		{"anonymous", func(*Writer) {}, nil, 0},
		{"guarded", (*Writer).Guard, nil, 0},
		{"refused", (*Writer).NoStore, nil, 0},
		{"names that are there", (*Writer).Guard, func(h http.Header) { h["Vary"] = []string{"Authorization, Cookie"} }, 1},
		{"private", (*Writer).Guard, func(h http.Header) { h["Cache-Control"] = []string{"private, max-age=60"} }, 1},
		{"other names", (*Writer).Guard, func(h http.Header) { h["Vary"] = []string{"Accept-Encoding"} }, 2},
		{"public", (*Writer).Guard, func(h http.Header) { h["Cache-Control"] = []string{"public, max-age=60"} }, 2},
	} {
		h, body := http.Header{}, []byte("x")
		rw := &recorder{header: h}
		all := new(Writer)
		got := testing.AllocsPerRun(100, func() {
			clear(h)
			*all = Writer{} //nolint:govet // it is not locked
			all.Init(rw)
			all.Vary("Authorization, Cookie")
			c.add(all)
			if c.set != nil {
				c.set(h) // one allocation
			}
			w := all.ResponseWriter()
			w.WriteHeader(http.StatusOK)
			_, _ = w.Write(body)
			all.Finish()
		})
		if got > c.most {
			t.Errorf("%s: %v allocations, want %v", c.name, got, c.most)
		}
	}
}

func BenchmarkWriter(b *testing.B) {
	for name, set := range map[string]func(http.Header){
		"nothing set": func(http.Header) {},
		"page": func(h http.Header) {
			h["Content-Type"], h["Content-Length"] = []string{"text/html"}, []string{"1"}
			h["Vary"], h["Cache-Control"] = []string{"Accept-Encoding"}, []string{"public, max-age=60"}
		},
	} {
		b.Run(name, func(b *testing.B) {
			b.ReportAllocs()
			h := http.Header{}
			rw := &recorder{header: h}
			for b.Loop() {
				clear(h)
				set(h)
				all := new(Writer)
				all.Init(rw)
				all.Vary("Authorization, Cookie")
				all.Guard()
				w := all.ResponseWriter()
				w.WriteHeader(http.StatusOK)
				_, _ = w.Write(nil)
				all.Finish()
			}
		})
	}
}
