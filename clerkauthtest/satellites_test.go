package clerkauthtest_test

import (
	"net/http"
	"net/url"
	"strings"
	"testing"
	"time"

	"github.com/clerkauth/clerkauth/clerkauthtest"
	"github.com/clerkauth/clerkauth/internal/testkit"
)

// withSatellite returns the options of an instance in production with a satellite.
func withSatellite() []clerkauthtest.Option {
	return append(live(), clerkauthtest.Satellites("other.test"))
}

func TestSatelliteInProduction(t *testing.T) {
	srv := clerkauthtest.NewServer(t, withSatellite()...)
	primary := &application{srv: srv, base: "https://app.example.com", production: true}
	satellite := &application{srv: srv, base: "https://sat.other.test", production: true, satellite: "clerk.other.test"}
	p := newPerson(t, srv, primary, satellite)
	user := srv.CreateUser("jane+clerk_test@example.com")
	const ask = "https://sat.other.test/page?a=b&__clerk_synced=false"

	if on := p.get(ask); sessionOf(t, srv, on) != nil || on.url.Query().Get("__clerk_synced") != "true" || on.url.Query().Get("a") != "b" {
		t.Errorf("signed out: %s %s", on.url, on.body)
	}
	p.signIn(p.get(srv.SignInURL()+"?redirect_url=https://app.example.com/"), user.Email)
	on := p.get(ask)
	claims := sessionOf(t, srv, on)
	if claims["sub"] != user.ID || on.url.Query().Get("__clerk_synced") != "true" {
		t.Errorf("signed in: %s %s", on.url, on.body)
	}
	if p.hops != 5 { // handshake, sync, link, handshake, page
		t.Errorf("%d redirects", p.hops)
	}
	if again := p.get("https://sat.other.test/"); p.hops != 0 || sessionOf(t, srv, again)["sid"] != claims["sid"] {
		t.Errorf("later: %d redirects, %s", p.hops, again.body)
	}
	if p.get(ask); p.hops != 2 {
		t.Errorf("a second time: %d redirects", p.hops)
	}
	for _, c := range p.http.Jar.Cookies(mustURL(t, "https://www.other.test")) {
		if !strings.HasPrefix(c.Name, "__client_uat") {
			t.Errorf("the domain has %s", c.Name)
		}
	}
	p.fill(p.get(srv.AccountURL()), "/sign-out")
	if on := p.get(ask); sessionOf(t, srv, on) != nil {
		t.Errorf("signed out again: %s", on.body)
	}

	page := p.get("https://clerk.other.test/v1/client/sync?redirect_url=" + url.QueryEscape("https://sat.other.test/js?c=d"))
	if page.url.String() != "https://sat.other.test/js?c=d&__clerk_synced=true" {
		t.Errorf("what ClerkJS begins ends at %s", page.url)
	}
}

func TestSatelliteInDevelopment(t *testing.T) {
	srv := clerkauthtest.NewServer(t, clerkauthtest.Origin("http://localhost:8080"))
	satellite := &application{srv: srv, base: "http://127.0.0.1:9999"}
	p := newPerson(t, srv, &application{srv: srv, base: "http://localhost:8080"}, satellite)
	user := srv.CreateUser("jane+clerk_test@example.com")
	ask := func() seen {
		return p.get(srv.SignInURL() + "?__clerk_redirect_url=" + url.QueryEscape("http://127.0.0.1:9999/page?a=b&__clerk_synced=false"))
	}
	if on := ask(); sessionOf(t, srv, on) != nil || on.url.Query().Get("__clerk_synced") != "true" {
		t.Errorf("signed out: %s %s", on.url, on.body)
	}
	p.signIn(p.get(srv.SignInURL()), user.Email)
	if on := ask(); sessionOf(t, srv, on)["sub"] != user.ID || on.url.Query().Get("a") != "b" || p.hops > 4 {
		t.Errorf("signed in: %s %s after %d redirects", on.url, on.body, p.hops)
	}
	for _, target := range hostile {
		resp := browse(t, srv, http.MethodGet, "/sign-in?__clerk_redirect_url="+url.QueryEscape(target))
		if resp.StatusCode != 200 || resp.Header.Get("Location") != "" {
			t.Errorf("%q: %s", target, resp.Status)
		}
	}
	if resp := browse(t, srv, http.MethodGet, "/v1/client/sync?redirect_url=http://localhost/"); resp.StatusCode != 404 {
		t.Errorf("sync: %s", resp.Status)
	}
}

func TestSyncRefuses(t *testing.T) {
	srv := clerkauthtest.NewServer(t, append(withSatellite(), clerkauthtest.Satellites("third.test"))...)
	session := signIn(srv)
	at := func(host, path string, query ...string) response {
		values := url.Values{}
		for i := 0; i < len(query); i += 2 {
			values.Set(query[i], query[i+1])
		}
		return send(t, srv, http.MethodGet, path+"?"+values.Encode(), "", func(r *http.Request) {
			r.URL.Host = host
			r.Host = host
			if host == "clerk.example.com" {
				r.Header.Set("Cookie", clientCookie(session))
			}
		})
	}
	const here = "https://sat.other.test/"
	refused := func(what string, resp response) {
		t.Helper()
		if resp.StatusCode != 400 || len(resp.Cookies()) > 0 || resp.Header.Get("Location") != "" {
			t.Errorf("%s: %s %v", what, resp.Status, resp.Header)
		}
	}
	for _, target := range append(hostile, "https://app.example.com/", "http://sat.other.test/", "https://sat.third.test/", "http://localhost/") {
		refused("to "+target, at("clerk.example.com", "/v1/client/sync", "link_domain", "clerk.other.test", "redirect_url", target))
		refused("from the satellite to "+target, at("clerk.other.test", "/v1/client/sync", "redirect_url", target))
	}
	for _, host := range []string{"", "evil.example", "clerk.example.com", "other.test", "clerk.evil.example", "clerk.third.test"} {
		refused("for "+host, at("clerk.example.com", "/v1/client/sync", "link_domain", host, "redirect_url", here))
	}
	token := func() string {
		location, err := at("clerk.example.com", "/v1/client/sync", "link_domain", "clerk.other.test", "redirect_url", here).Location()
		if err != nil {
			t.Fatal(err)
		}
		return location.Query().Get("__clerk_token")
	}
	link := func(host, token, to string) response {
		return at(host, "/v1/client/link", "__clerk_token", token, "redirect_url", to)
	}
	for _, target := range hostile {
		refused("link to "+target, link("clerk.other.test", token(), target))
	}
	refused("at another satellite", link("clerk.third.test", token(), "https://sat.third.test/"))
	refused("at the primary host", link("clerk.example.com", token(), here))
	refused("a guess", link("clerk.other.test", "guess", here))
	once := token()
	if resp := link("clerk.other.test", once, here); resp.StatusCode != 307 || len(resp.Cookies()) != 3 {
		t.Errorf("%s %v", resp.Status, resp.Header)
	}
	refused("a second time", link("clerk.other.test", once, here))
	late := token()
	srv.Advance(time.Minute)
	refused("a minute later", link("clerk.other.test", late, here))
	for _, domain := range []string{"", "localhost", "clerk.other.test", "https://other.test", "other.test:8080"} {
		testkit.MustPanic(t, domain, func() { clerkauthtest.Satellites(domain) })
	}
}
