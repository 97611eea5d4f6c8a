package clerkauthtest_test

import (
	"net/http"
	"net/http/cookiejar"
	"net/http/httptest"
	"net/url"
	"strings"
	"testing"
	"time"

	"github.com/clerkauth/clerkauth"
	"github.com/clerkauth/clerkauth/clerkauthtest"
	"github.com/clerkauth/clerkauth/internal/testkit"
)

// TestConfigServesBrowsers: a server with the instance's configuration, and nothing else,
// signs browsers in, renews their sessions and notices that they have ended.
func TestConfigServesBrowsers(t *testing.T) {
	for name, opts := range map[string][]clerkauthtest.Option{
		"refresh":    nil,
		"handshakes": {clerkauthtest.WithoutRefreshTokens()},
	} {
		t.Run(name, func(t *testing.T) {
			listener := httptest.NewUnstartedServer(nil)
			origin := "http://" + strings.Replace(listener.Listener.Addr().String(), "127.0.0.1", "localhost", 1)
			srv := clerkauthtest.NewServer(t, append(opts, clerkauthtest.Origin(origin))...)
			listener.Config.Handler = testkit.NewAuth(t, srv, func(c *clerkauth.Config) { c.JWTKey = "" }).Require().Func(testkit.Hello)
			listener.Start()
			defer listener.Close()
			user := srv.CreateUser("jane+clerk_test@example.com")

			p := newBrowser(t)
			page := p.get(origin + "/dashboard?a=b")
			if page.url.Path != "/sign-in" || page.url.Query().Get("redirect_url") != origin+"/dashboard?a=b" {
				t.Fatalf("at first: %s after %d redirects", page.url, p.hops)
			}
			in := p.signIn(page, user.Email)
			if in.url.String() != origin+"/dashboard?a=b" || !strings.Contains(in.body, user.ID) {
				t.Fatalf("signed in: %d %s %s", in.status, in.url, in.body)
			}
			if again := p.get(origin + "/"); p.hops != 0 || !strings.Contains(again.body, user.ID) {
				t.Errorf("the next page: %d redirects, %s", p.hops, again.body)
			}
			srv.Advance(2 * time.Minute)
			p.pause(origin)
			if later := p.get(origin + "/"); !strings.Contains(later.body, user.ID) || (p.hops == 0) != (name == "refresh") {
				t.Errorf("two minutes later: %d redirects, %s %s", p.hops, later.url, later.body)
			}
			p.pause(origin)
			account := p.get(srv.AccountURL() + "?" + url.Values{"redirect_url": {origin + "/"}}.Encode())
			if out := p.fill(account, "/sign-out"); out.url.Path != "/sign-in" || out.status != 200 {
				t.Errorf("signed out: %d %s", out.status, out.url)
			}
			if out := p.get(origin + "/"); out.url.Path != "/sign-in" {
				t.Errorf("later: %d %s after %d redirects: %s", out.status, out.url, p.hops, out.body)
			}
		})
	}
}

// pause forgets the count of redirects, as a browser does after two seconds: handshakes of
// a test follow each other faster than those of a person.
func (p *person) pause(origin string) {
	p.t.Helper()
	p.http.Jar.SetCookies(mustURL(p.t, origin), []*http.Cookie{{Name: "__clerk_redirect_count", MaxAge: -1}})
}

// document makes requests look like navigations.
type document struct{ http.RoundTripper }

func (d document) RoundTrip(r *http.Request) (*http.Response, error) {
	r = r.Clone(r.Context())
	r.Header.Set("Sec-Fetch-Dest", "document")
	r.Header.Set("Accept", "text/html")
	return d.RoundTripper.RoundTrip(r)
}

// newBrowser returns a person whose browser uses the network.
func newBrowser(t *testing.T) *person {
	t.Helper()
	jar, err := cookiejar.New(nil)
	if err != nil {
		t.Fatal(err)
	}
	p := &person{t: t}
	transport := new(http.Transport)
	t.Cleanup(transport.CloseIdleConnections)
	p.http = &http.Client{Jar: jar, Transport: document{transport}, CheckRedirect: p.follow}
	return p
}
