package main

import (
	"net/http"
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/rs/cors"

	"github.com/clerkauth/clerkauth"
	"github.com/clerkauth/clerkauth/clerkauthtest"
	"github.com/clerkauth/clerkauth/internal/testkit"
)

// TestDiscoveryInABrowser: a client in a page of another origin, which knows only the
// server's URL, finds out where to get a token.
func TestDiscoveryInABrowser(t *testing.T) {
	clerk, base := server(t)
	config, auth := clerk.Config(), testkit.NewAuth(t, clerk, func(c *clerkauth.Config) { c.Accept = []clerkauth.TokenType{clerkauth.OAuthToken} })
	handler, err := newServer(auth, base)
	if err != nil {
		t.Fatal(err)
	}
	page := testkit.Page{Origin: "https://inspector.example", Server: handler}
	header := map[string]string{"Content-Type": "application/json", "Mcp-Protocol-Version": "2025-06-18", "Authorization": "Bearer oat_expired"}
	got, err := page.Fetch(http.MethodPost, base+"/mcp", header)
	at := regexp.MustCompile(`resource_metadata="([^"]+)"`).FindStringSubmatch(got.Header.Get("WWW-Authenticate"))
	if err != nil || got.Status != 401 || at == nil {
		t.Fatalf("%v, %v", got, err)
	}
	delete(header, "Authorization")
	for _, target := range []string{at[1], at[1] + "/", base + "/.well-known/oauth-protected-resource"} {
		got, err = page.Fetch(http.MethodGet, target, header)
		if err != nil || got.Status != 200 || !strings.Contains(got.Body, config.FrontendURL) {
			t.Errorf("%s: %v, %v", target, got, err)
		}
	}
	// Clients of the first version of the protocol look here, and go on if it is not there.
	if got, err = page.Fetch(http.MethodGet, base+"/.well-known/oauth-authorization-server", header); err != nil || got.Status != 404 {
		t.Errorf("%v, %v", got, err)
	}
}

// TestCORSAroundEverything: with rs/cors outside, pages of the application's origin can
// read every answer, whichever way requests are authorized, and pages of other origins
// none. Inside of a guard it comes too late.
func TestCORSAroundEverything(t *testing.T) {
	const app = "https://app.example.com"
	clerk := clerkauthtest.NewServer(t, clerkauthtest.InMemory())
	auth := testkit.NewAuth(t, clerk)
	session := clerk.SignIn(clerk.CreateUser("jane@example.com"), clerkauthtest.InOrganization("acme", "org:member"))
	hello := http.HandlerFunc(testkit.Hello)
	protect, err := auth.Protect(clerkauth.Rules{"/admin": clerkauth.Role("org:admin"), "/{$}": clerkauth.Public})
	if err != nil {
		t.Fatal(err)
	}
	guarded := http.NewServeMux()
	guarded.Handle("/", hello)
	guarded.Handle("/me", auth.Require()(hello))
	guarded.Handle("/admin", auth.Require(clerkauth.Role("org:admin"))(hello))
	mux := auth.NewServeMux()
	mux.Handle("/{$}", clerkauth.Public, hello)
	mux.Handle("/me", clerkauth.SignedIn, hello)
	mux.Handle("/admin", clerkauth.Role("org:admin"), hello)

	around := cors.New(cors.Options{
		AllowedOrigins: []string{app},
		AllowedMethods: []string{http.MethodGet, http.MethodPost, http.MethodDelete},
		AllowedHeaders: []string{"Authorization", "Content-Type"},
		ExposedHeaders: []string{"WWW-Authenticate", "Retry-After"},
	}).Handler
	good, expired := session.Token(), session.Token(clerkauthtest.ExpiresIn(-time.Hour))
	for name, server := range map[string]http.Handler{"Handler": auth.Handler(guarded), "mux": mux, "Protect": protect(hello)} {
		ours := testkit.Page{Origin: app, Server: around(server)}
		for _, c := range []struct {
			method, path, token string
			want                int
			challenge           string
		}{
			{"GET", "/", "", 200, ""},
			{"GET", "/me", "", 401, "Bearer"},
			{"DELETE", "/me", good, 200, ""},
			{"GET", "/me", expired, 401, `error="invalid_token"`},
			{"GET", "/", expired, 401, `error="invalid_token"`},
			{"POST", "/admin", good, 403, ""},
		} {
			header := map[string]string{"Content-Type": "application/json"}
			if c.token != "" {
				header["Authorization"] = "Bearer " + c.token
			}
			got, err := ours.Fetch(c.method, c.path, header)
			challenge := got.Header.Get("WWW-Authenticate")
			if err != nil || got.Status != c.want || !strings.Contains(challenge, c.challenge) || (c.challenge == "") != (challenge == "") || c.want > 200 && got.Reason() == "" {
				t.Errorf("%s: %s %s: %d %q %s, %v", name, c.method, c.path, got.Status, challenge, got.Body, err)
			}
			theirs := testkit.Page{Origin: "https://evil.example", Server: around(server)}
			if got, err := theirs.Fetch(c.method, c.path, header); err == nil {
				t.Errorf("%s: %s %s: another site reads %v", name, c.method, c.path, got)
			}
		}
		// Without CORS, and with it inside, a page learns nothing but that it failed.
		for order, server := range map[string]http.Handler{"without": server, "inside": auth.Require()(around(server))} {
			page := testkit.Page{Origin: app, Server: server}
			if got, err := page.Fetch(http.MethodGet, "/me", map[string]string{"Authorization": "Bearer " + good}); err == nil {
				t.Errorf("%s, %s: %v", name, order, got)
			}
		}
	}
	// What is down is told apart from what is refused.
	clerk.Fail(clerkauthtest.JWKS, 503)
	down := testkit.Page{Origin: app, Server: around(testkit.NewAuth(t, clerk).Require()(hello))}
	if got, err := down.Fetch(http.MethodGet, "/me", map[string]string{"Authorization": "Bearer " + good}); err != nil || got.Status != 503 || got.Header.Get("Retry-After") == "" {
		t.Errorf("%v, %v", got, err)
	}
}
