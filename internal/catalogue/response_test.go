package catalogue

import (
	"fmt"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/clerkauth/clerkauth"
	"github.com/clerkauth/clerkauth/clerkauthtest"
	"github.com/clerkauth/clerkauth/internal/testkit"
)

var _ = addRows(rows{
	"279/handler_overwrites_vary": func(t *testing.T) {
		t.Run("headers", func(t *testing.T) { bothKinds(handlerOverwritesHeaders)(t) })
		t.Run("cookies", handlerOverwritesCookies)
		t.Run("streams", headersOfStreams)
	},
})

// nested returns guards three deep, of which the outermost is on every route.
func nested(a *clerkauth.Authenticator) map[string]clerkauth.Middleware {
	three := func(outer, middle, inner clerkauth.Middleware) clerkauth.Middleware {
		return func(h http.Handler) http.Handler { return outer(middle(inner(h))) }
	}
	protect, err := a.Protect(clerkauth.Rules{"/{rest...}": clerkauth.SignedIn})
	if err != nil {
		panic(err)
	}
	return map[string]clerkauth.Middleware{
		"Require": a.Require(), "Handler, Require": func(h http.Handler) http.Handler { return a.Handler(a.Require()(h)) },
		"Handler, Protect, Require": three(a.Handler, protect, a.Require()), "Require three times": three(a.Require(), a.Require(clerkauth.SignedIn), a.Require(clerkauth.Role("org:admin"))),
		"Handler three times":   three(a.Handler, a.Handler, a.Handler),
		"behind TimeoutHandler": three(a.Handler, func(h http.Handler) http.Handler { return http.TimeoutHandler(h, time.Minute, "") }, a.Require()),
		"mux": func(h http.Handler) http.Handler {
			m := a.NewServeMux()
			m.Handle("/", clerkauth.SignedIn, a.Require()(h))
			return a.Handler(m)
		},
	}
}

// handlerOverwritesHeaders: whatever a handler does to the header map, every name of ours is
// in Vary once, in one line, and no shared cache may keep the response.
func handlerOverwritesHeaders(b *browserRig) {
	good := cookiesOf(b.Jane)
	for guards, wrap := range nested(b.Auth) {
		guarded := guards != "Handler three times"
		for name, c := range map[string]struct {
			handler func(h http.Header)
			vary    []string // names, sorted
			cache   string   // behind a guard
		}{
			"nothing":       {func(http.Header) {}, []string{"Authorization", "Cookie"}, "private"},
			"Set":           {func(h http.Header) { h.Set("Vary", "Accept-Encoding") }, []string{"Accept-Encoding", "Authorization", "Cookie"}, "private"},
			"Set of a list": {func(h http.Header) { h.Set("Vary", "Accept-Encoding, Origin") }, []string{"Accept-Encoding", "Authorization", "Cookie", "Origin"}, "private"},
			"Add of ours":   {func(h http.Header) { h.Add("Vary", "cookie"); h.Add("Vary", "Origin") }, []string{"Authorization", "Origin", "cookie"}, "private"},
			"a star":        {func(h http.Header) { h.Set("Vary", "*") }, []string{"*"}, "private"},
			"Del":           {func(h http.Header) { h.Del("Vary"); h.Del("Cache-Control") }, []string{"Authorization", "Cookie"}, "private"},
			"all cleared":   {func(h http.Header) { clear(h) }, []string{"Authorization", "Cookie"}, "private"},
			"public":        {func(h http.Header) { h.Set("Cache-Control", "public, max-age=60, s-maxage=600") }, []string{"Authorization", "Cookie"}, "private, max-age=60"},
			"two lines":     {func(h http.Header) { h["Cache-Control"] = []string{"max-age=60", "PUBLIC"} }, []string{"Authorization", "Cookie"}, "private, max-age=60"},
			"no-store":      {func(h http.Header) { h.Set("Cache-Control", "no-store") }, []string{"Authorization", "Cookie"}, "no-store"},
			"malformed":     {func(h http.Header) { h.Set("Cache-Control", `public="`) }, []string{"Authorization", "Cookie"}, "no-store"},
			"for CDNs": {func(h http.Header) {
				h.Set("CDN-Cache-Control", "max-age=60")
				h.Set("Surrogate-Control", "max-age=60")
			}, []string{"Authorization", "Cookie"}, "private"},
		} {
			for _, when := range []string{"WriteHeader", "Write", "nothing"} {
				h := wrap(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
					c.handler(w.Header())
					switch when {
					case "WriteHeader":
						w.WriteHeader(http.StatusAccepted)
					case "Write":
						fmt.Fprint(w, "x")
					}
				}))
				r := httptest.NewRequest(http.MethodGet, "/x", nil)
				testkit.AsUnknownPage(r)
				good.send(r)
				w := httptest.NewRecorder()
				h.ServeHTTP(w, r)
				got := w.Result().Header
				names := strings.Split(strings.ReplaceAll(strings.Join(got["Vary"], ","), " ", ""), ",")
				slices.Sort(names)
				if !slices.Equal(names, c.vary) {
					b.t.Errorf("%s, %s, %s: Vary %q, want %q", guards, name, when, got["Vary"], c.vary)
				}
				if cache := strings.Join(got["Cache-Control"], ", "); guarded && cache != c.cache {
					b.t.Errorf("%s, %s, %s: Cache-Control %q, want %q", guards, name, when, cache, c.cache)
				}
				if guarded && (got["Cdn-Cache-Control"] != nil || got["Surrogate-Control"] != nil) {
					b.t.Errorf("%s, %s, %s: %v", guards, name, when, got)
				}
			}
		}
	}
	// The handler of an open route has the word.
	for set, want := range map[string]string{"": "private", "public, max-age=60": "public, max-age=60", "max-age=5": "max-age=5", "no-store": "no-store"} {
		h := b.Auth.Handler(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
			if set != "" {
				w.Header().Set("Cache-Control", set)
			}
		}))
		w := httptest.NewRecorder()
		h.ServeHTTP(w, httptest.NewRequest(http.MethodGet, "/", nil))
		if got := strings.Join(w.Header()["Cache-Control"], ", "); got != want {
			b.t.Errorf("an open route that sets %q: %q", set, got)
		}
	}
	// What says why nobody is signed in is said once.
	for guards, wrap := range nested(b.Auth) {
		r := httptest.NewRequest(http.MethodGet, "/x", nil)
		asScript(r)
		w := httptest.NewRecorder()
		wrap(http.HandlerFunc(testkit.Hello)).ServeHTTP(w, r)
		for _, name := range []string{"X-Clerk-Auth-Status", "X-Clerk-Auth-Reason", "X-Clerk-Auth-Message", "Vary", "Cache-Control"} {
			if len(w.Result().Header[name]) != 1 {
				b.t.Errorf("%s: %s: %q", guards, name, w.Result().Header[name])
			}
		}
	}
}

// handlerOverwritesCookies: a refresh's cookies are set once however many guards there are,
// verbatim, beside the handler's own, and nothing stores the response.
func handlerOverwritesCookies(t *testing.T) {
	b := newBrowserRig(t, true)
	good := cookiesOf(b.Jane)
	b.Server.Advance(2 * time.Minute)
	lines := []string{"__session=" + b.Jane.Token() + "; Path=/; Expires=Fri, 30 Nov 2029 00:00:00 GMT", "__client_uat=1; Domain=example.com;SameSite=lax"}
	b.Server.Answer(clerkauthtest.SessionRefresh, 200, "application/json", testkit.JSON(map[string]any{"object": "cookies", "cookies": lines}))
	for guards, wrap := range nested(b.Auth) {
		for name, c := range map[string]struct {
			handler func(h http.Header)
			more    []string
		}{
			"nothing":      {func(http.Header) {}, nil},
			"Add":          {func(h http.Header) { h.Add("Set-Cookie", "own=1") }, []string{"own=1"}},
			"Set":          {func(h http.Header) { h.Set("Set-Cookie", "own=1") }, []string{"own=1"}},
			"Del":          {func(h http.Header) { h.Del("Set-Cookie") }, nil},
			"cleared":      {func(h http.Header) { clear(h) }, nil},
			"public":       {func(h http.Header) { h.Set("Cache-Control", "public, max-age=60") }, nil},
			"a page's own": {func(h http.Header) { h.Set("Cache-Control", "private, max-age=60") }, nil},
		} {
			calls := b.calls()
			r := httptest.NewRequest(http.MethodGet, "/x", nil)
			testkit.AsUnknownPage(r)
			good.send(r)
			w := httptest.NewRecorder()
			wrap(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { c.handler(w.Header()); fmt.Fprint(w, "x") })).ServeHTTP(w, r)
			got, want := slices.Sorted(slices.Values(w.Result().Header["Set-Cookie"])), slices.Sorted(slices.Values(append(slices.Clone(lines), c.more...)))
			if w.Code != 200 || !slices.Equal(got, want) || strings.Join(w.Result().Header["Cache-Control"], ", ") != "no-store" {
				t.Errorf("%s, %s: %d %q %q, want %q", guards, name, w.Code, w.Result().Header["Cache-Control"], got, want)
			}
			if calls = b.calls() - calls; calls != 1 {
				t.Errorf("%s, %s: %d calls", guards, name, calls)
			}
		}
	}
}

// headersOfStreams: on connections of both versions of HTTP, headers are there at the first
// flush, and trailers stay trailers.
func headersOfStreams(t *testing.T) {
	b := newBrowserRig(t, true)
	guard := nested(b.Auth)["Handler, Protect, Require"]
	server := testkit.NewServer(t, guard(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Vary", "Accept")
		w.Header().Set("Trailer", "X-Sum")
		if r.URL.Path == "/flush" {
			_ = http.NewResponseController(w).Flush()
		}
		if r.URL.Path == "/informational" {
			w.WriteHeader(http.StatusEarlyHints)
		}
		fmt.Fprint(w, "x")
		w.Header().Set("X-Sum", "1")
	})))
	one := server.Client()
	for version, client := range map[int]*http.Client{1: one, 2: testkit.HTTP2Client(t)} {
		for _, path := range []string{"/", "/flush", "/informational"} {
			r, err := http.NewRequest(http.MethodGet, server.URL+path, nil)
			if err != nil {
				t.Fatal(err)
			}
			r.Host = "app.example.com"
			cookiesOf(b.Jane).send(r)
			resp, err := client.Do(r)
			if err != nil {
				t.Fatal(err)
			}
			buf := make([]byte, 10)
			for _, err = resp.Body.Read(buf); err == nil; _, err = resp.Body.Read(buf) {
			}
			_ = resp.Body.Close()
			if resp.StatusCode != 200 || resp.ProtoMajor != version || !slices.Equal(resp.Header["Vary"], []string{"Accept, Authorization, Cookie"}) || resp.Header.Get("Cache-Control") != "private" || resp.Trailer.Get("X-Sum") != "1" {
				t.Errorf("HTTP/%d %s: %s %v %v", version, path, resp.Status, resp.Header, resp.Trailer)
			}
		}
	}
}
