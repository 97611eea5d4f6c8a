package browsertest

import (
	"context"
	"net/http"
	"net/http/httptest"
	"net/http/httputil"
	"net/url"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/chromedp/cdproto/network"

	"github.com/clerkauth/clerkauth"
	"github.com/clerkauth/clerkauth/clerkauthtest"
	"github.com/clerkauth/clerkauth/examples/web/internal/site"
)

// world is the site, with a local Clerk instance.
type world struct {
	browser context.Context
	clerk   *clerkauthtest.Server
	base    string // of the site
}

// newClerk returns an instance with two users, who are both in acme, and jane also in
// birch.
func newClerk(t *testing.T, options ...clerkauthtest.Option) *clerkauthtest.Server {
	t.Helper()
	clerk := clerkauthtest.NewServer(t, options...)
	jane := clerk.CreateUser(janesEmail, clerkauthtest.Name("Jane", "Doe"))
	john := clerk.CreateUser(johnsEmail, clerkauthtest.Name("John", "Roe"))
	acme, birch := clerk.CreateOrganization("acme"), clerk.CreateOrganization("birch")
	acme.AddMember(jane, "org:admin")
	acme.AddMember(john, "org:member")
	birch.AddMember(jane, "org:member")
	return clerk
}

const (
	janesEmail = "jane+clerk_test@example.com"
	johnsEmail = "john+clerk_test@example.com"
	code       = "424242"
)

// listen starts a server for a handler that is not known yet.
func listen(t *testing.T) (*httptest.Server, *late) {
	t.Helper()
	h := new(late)
	server := httptest.NewServer(h)
	t.Cleanup(server.Close)
	return server, h
}

// late is a handler that is set later.
type late struct {
	mu sync.Mutex
	h  http.Handler
}

func (l *late) set(h http.Handler) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.h = h
}

func (l *late) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	l.mu.Lock()
	h := l.h
	l.mu.Unlock()
	if h == nil {
		h = http.NotFoundHandler()
	}
	h.ServeHTTP(w, r)
}

// named returns the URL of a server on loopback with another host name.
func named(server *httptest.Server, host string) string {
	return strings.Replace(server.URL, "127.0.0.1", host, 1)
}

// newSite returns the site for an application of the instance at base.
func newSite(t *testing.T, clerk *clerkauthtest.Server, base string, htmx []byte, change func(*clerkauth.Config)) http.Handler {
	t.Helper()
	config := clerk.Config()
	config.AuthorizedParties = []string{base}
	config.MissingParty = clerkauth.RefuseMissing
	site.Configure(&config)
	if change != nil {
		change(&config)
	}
	auth, err := clerkauth.New(config)
	if err != nil {
		t.Fatal(err)
	}
	h, err := site.New(auth, htmx)
	if err != nil {
		t.Fatal(err)
	}
	return h
}

// development returns the site at localhost, with an instance in development.
func development(t *testing.T, s suite, htmx []byte, options ...clerkauthtest.Option) *world {
	t.Helper()
	server, handler := listen(t)
	base := named(server, "localhost")
	clerk := newClerk(t, append(options, clerkauthtest.Origin(base))...)
	handler.set(newSite(t, clerk, base, htmx, nil))
	return &world{browser: s.browser, clerk: clerk, base: base}
}

// production returns the site at https://app.example.test, with an instance in production
// at clerk.example.test.
func production(t *testing.T, s suite, options ...clerkauthtest.Option) *world {
	t.Helper()
	const base = "https://app.example.test"
	clerk := newClerk(t, append(options, clerkauthtest.Origin(base), clerkauthtest.Production("clerk.example.test"))...)
	app := newSite(t, clerk, base, nil, func(c *clerkauth.Config) {
		c.FrontendURL = ""
		c.Transport = redirected{clerk}
		c.Browser.SignInURL, c.Browser.SignUpURL = "https://clerk.example.test/sign-in", "https://clerk.example.test/sign-up"
	})
	target, err := url.Parse(clerk.URL)
	if err != nil {
		t.Fatal(err)
	}
	frontend := &httputil.ReverseProxy{Transport: clerk.Transport(), Rewrite: func(r *httputil.ProxyRequest) {
		r.SetURL(target)
		r.Out.Host = r.In.Host
	}}
	s.secure.set(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if strings.HasPrefix(r.Host, "clerk.") {
			frontend.ServeHTTP(w, r)
			return
		}
		app.ServeHTTP(w, r)
	}))
	return &world{browser: s.browser, clerk: clerk, base: base}
}

// redirected is the transport to an instance under its names in production.
type redirected struct{ clerk *clerkauthtest.Server }

func (t redirected) RoundTrip(r *http.Request) (*http.Response, error) {
	target, err := url.Parse(t.clerk.URL)
	if err != nil {
		return nil, err
	}
	r = r.Clone(r.Context())
	r.URL.Scheme, r.URL.Host = target.Scheme, target.Host
	return t.clerk.Transport().RoundTrip(r)
}

// signIn signs a user in on the site's dashboard.
func (b *tab) signIn(email string) {
	b.t.Helper()
	b.open(b.base + "/")
	b.click("nav a.button")
	b.enter(email)
	b.shows("/dashboard", "Hello")
}

// signOut signs out in development, where the home page then makes the browser known to the
// instance again, as a new one.
func (b *tab) signOut() {
	b.t.Helper()
	b.most++
	b.click("header form button")
	b.most--
	b.shows("/", "Sign in")
}

// enter signs a user in on the sign-in page.
func (b *tab) enter(email string) {
	b.t.Helper()
	b.shows("/sign-in", "local stand-in")
	b.click(`button[value="` + email + `"]`)
	b.fill("input[name=code]", code)
	b.click("form button")
}

// later makes time pass: for the instance and the site, and for the cookie that counts
// redirects, which Chromium times by its own clock.
func (b *tab) later(d time.Duration) {
	b.t.Helper()
	b.clerk.Advance(d)
	u, err := url.Parse(b.base)
	if err != nil {
		b.t.Fatal(err)
	}
	for _, host := range []string{u.Hostname(), "127.0.0.1"} {
		b.do("later", call(network.DeleteCookies, network.DeleteCookiesParams{Name: "__clerk_redirect_count", Domain: host}))
	}
}
