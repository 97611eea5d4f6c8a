package clerkauth_test

import (
	"fmt"
	"log"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/clerkauth/clerkauth"
	"github.com/clerkauth/clerkauth/clerkauthtest"
	"github.com/clerkauth/clerkauth/internal/testkit"
)

// TestFrontendAPIProxyFetchesNoKeys: keys come from Clerk's own hosts, also in the program
// that is the proxy.
func TestFrontendAPIProxyFetchesNoKeys(t *testing.T) {
	var mu sync.Mutex
	var called []string
	r := testkit.NewRig(t, func(c *clerkauth.Config) {
		next := c.Transport
		c.FrontendURL, c.Browser.ProxyURL = "", "https://app.example.com/__clerk"
		c.Transport = testkit.RoundTripFunc(func(r *http.Request) (*http.Response, error) {
			mu.Lock()
			called = append(called, r.URL.Host+r.URL.Path)
			mu.Unlock()
			return next.RoundTrip(r)
		})
	})
	if _, err := r.Auth.FrontendAPIProxy(); err != nil {
		t.Fatal(err)
	}
	r.Want(t, r.Jane.Token(), 200, "")
	host := strings.TrimPrefix(r.Server.Issuer(), "https://")
	if len(called) == 0 || slices.ContainsFunc(called, func(s string) bool { return !strings.HasPrefix(s, host+"/") }) {
		t.Errorf("called %q", called)
	}
}

// TestFrontendAPIProxyTarget: FrontendURL, with its path, replaces Clerk's host.
func TestFrontendAPIProxyTarget(t *testing.T) {
	for frontend, want := range map[string]string{
		"":                             "https://frontend-api.clerk.dev/v1/client",
		"https://frontend.example":     "https://frontend.example/v1/client",
		"https://frontend.example/x/":  "https://frontend.example/x/v1/client",
		"http://127.0.0.1:1":           "http://127.0.0.1:1/v1/client",
		"https://FRONTEND.example:443": "https://FRONTEND.example:443/v1/client",
	} {
		var sent string
		a := testkit.NewRig(t, func(c *clerkauth.Config) {
			c.FrontendURL, c.Browser.ProxyURL, c.BackendURL = frontend, "/__clerk/", "https://api.example"
			c.Transport = testkit.RoundTripFunc(func(r *http.Request) (*http.Response, error) {
				if r.Header.Get("Clerk-Secret-Key") == "" {
					return nil, http.ErrServerClosed // of keys
				}
				sent = r.URL.String()
				return testkit.Answering(http.StatusOK, http.Header{}, http.NoBody).RoundTrip(r)
			})
		}).Auth
		proxy, err := a.FrontendAPIProxy()
		if err != nil {
			t.Fatal(err)
		}
		w := httptest.NewRecorder()
		proxy(http.NotFoundHandler()).ServeHTTP(w, httptest.NewRequest(http.MethodGet, "/__clerk/v1/client", nil))
		if w.Code != http.StatusOK || sent != want {
			t.Errorf("%q: %d, sent to %q, want %q", frontend, w.Code, sent, want)
		}
	}
}

// TestFrontendAPIProxyHandshake: an expired session is renewed by a handshake that goes
// through the proxy, and not through the guard.
func TestFrontendAPIProxyHandshake(t *testing.T) {
	const origin = "https://app.example.com"
	srv := clerkauthtest.NewServer(t, clerkauthtest.InMemory(), clerkauthtest.WithoutRefreshTokens())
	auth := testkit.NewAuth(t, srv, func(c *clerkauth.Config) {
		c.Browser.ProxyURL, c.MissingParty = "/__clerk", clerkauth.AllowMissingFromCookie
	})
	proxy, err := auth.FrontendAPIProxy()
	if err != nil {
		t.Fatal(err)
	}
	h := proxy(auth.Require().Func(testkit.Hello))
	user := srv.CreateUser("jane@example.com")
	cookies := map[string]string{}
	last := httptest.NewRequest(http.MethodGet, origin, nil)
	srv.SignIn(user).SetCookies(last)
	for _, c := range last.Cookies() {
		cookies[c.Name] = c.Value
	}
	srv.Advance(2 * time.Minute)

	var visited []string
	for target := origin + "/dashboard"; ; {
		r := httptest.NewRequest(http.MethodGet, target, nil)
		testkit.AsPage(r)
		for name, value := range cookies {
			r.AddCookie(&http.Cookie{Name: name, Value: value})
		}
		w := httptest.NewRecorder()
		h.ServeHTTP(w, r)
		visited = append(visited, r.URL.Path)
		for _, c := range w.Result().Cookies() {
			if cookies[c.Name] = c.Value; c.MaxAge < 0 {
				delete(cookies, c.Name)
			}
		}
		if w.Code != http.StatusTemporaryRedirect || len(visited) > 6 {
			if w.Code != http.StatusOK || !strings.Contains(w.Body.String(), user.ID) {
				t.Errorf("%d %s", w.Code, w.Body)
			}
			break
		}
		target = w.Header().Get("Location")
		if !strings.HasPrefix(target, origin+"/") {
			t.Fatalf("sent to %s", target)
		}
	}
	if want := []string{"/dashboard", "/__clerk/v1/client/handshake", "/dashboard", "/dashboard"}; !slices.Equal(visited, want) {
		t.Errorf("visited %q, want %q", visited, want)
	}
}

// The proxy answers below its path, and passes on the rest.
func ExampleAuthenticator_FrontendAPIProxy() {
	srv, err := clerkauthtest.Start()
	if err != nil {
		log.Fatal(err)
	}
	defer srv.Close()
	config := srv.Config()
	config.Browser.ProxyURL = "/__clerk"
	auth, err := clerkauth.New(config)
	if err != nil {
		log.Fatal(err)
	}
	mux := http.NewServeMux()
	mux.HandleFunc("GET /{$}", func(w http.ResponseWriter, _ *http.Request) { fmt.Fprint(w, "home") })
	proxy, err := auth.FrontendAPIProxy()
	if err != nil {
		log.Fatal(err)
	}
	handler := proxy(auth.Handler(mux))

	for _, path := range []string{"/", "/__clerk/.well-known/jwks.json", "/__clerk/../", "/__clerks"} {
		rec := httptest.NewRecorder()
		handler.ServeHTTP(rec, httptest.NewRequest("GET", path, nil))
		fmt.Println(path, rec.Code)
	}
	// Output:
	// / 200
	// /__clerk/.well-known/jwks.json 200
	// /__clerk/../ 400
	// /__clerks 404
}
