package live

import (
	"crypto/rand"
	"crypto/rsa"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"net/url"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/clerkauth/clerkauth"
	"github.com/clerkauth/clerkauth/clerkauthtest"
)

// kit is a local instance of Clerk and the browsers that know it.
type kit struct {
	*clerkauthtest.Server
	production bool
	users      []*user
	// other is an instance whose tokens are foreign here.
	other *kit
	// stranger signs tokens that pretend to be of the instance.
	stranger *rsa.PrivateKey
}

// user is somebody who has signed in to a kit.
type user struct {
	session *clerkauthtest.Session
	cookies map[string]string // what a browser with the session sends
	client  string            // the __client cookie of a browser where the user is signed in
}

// at sets the kit's clock.
func (k *kit) at(now time.Time) { k.Advance(now.Sub(k.Now())) }

func newKit(t *testing.T, production bool) *kit {
	t.Helper()
	options := []clerkauthtest.Option{clerkauthtest.Origin("https://app.example.com")}
	if production {
		options = append(options, clerkauthtest.Production("clerk.example.com"), clerkauthtest.Satellites("example.net"))
	}
	k := &kit{Server: clerkauthtest.NewServer(t, options...), production: production}
	k.at(start)
	var err error
	if k.stranger, err = rsa.GenerateKey(rand.Reader, 2048); err != nil {
		t.Fatal(err)
	}
	k.CreateOrganization("globex")
	acme := clerkauthtest.InOrganization("acme", "org:admin", "org:invoices:create", "org:invoices:read")
	k.add(t, "jane")
	k.add(t, "joe", acme, clerkauthtest.Features("o:reports", "u:beta"), clerkauthtest.Plans("u:pro"))
	k.add(t, "ann", clerkauthtest.ImpersonatedBy("user_actor"), clerkauthtest.FactorAges(3, -1))
	k.add(t, "tom", acme, clerkauthtest.Pending())
	return k
}

func (k *kit) add(t *testing.T, name string, options ...clerkauthtest.SessionOption) {
	t.Helper()
	email := name + "+clerk_test@example.com"
	u := &user{session: k.SignIn(k.CreateUser(email), options...), cookies: map[string]string{}}
	r := httptest.NewRequest(http.MethodGet, "/", nil)
	u.session.SetCookies(r)
	for _, c := range r.Cookies() {
		u.cookies[c.Name] = c.Value
	}
	form := url.Values{"identifier": {email}, "code": {"424242"}}
	r, err := http.NewRequest(http.MethodPost, k.SignInURL(), strings.NewReader(form.Encode()))
	if err != nil {
		t.Fatal(err)
	}
	r.Header.Set("Content-Type", "application/x-www-form-urlencoded")
	for _, c := range k.send(t, r).Cookies() {
		if c.Name == "__client" {
			u.client = c.Value
		}
	}
	if u.client == "" {
		t.Fatal("the sign-in page has not set __client")
	}
	k.users = append(k.users, u)
}

// send sends a request to the kit, and follows no redirect.
func (k *kit) send(t *testing.T, r *http.Request) *http.Response {
	t.Helper()
	resp, err := k.Transport().RoundTrip(r)
	if err != nil {
		t.Fatal(err)
	}
	_ = resp.Body.Close()
	return resp
}

// suffix returns the suffix of the names of the kit's cookies, with its underscore.
func (k *kit) suffix() string {
	for name := range k.users[0].cookies {
		if end, ok := strings.CutPrefix(name, "__session_"); ok {
			return "_" + end
		}
	}
	panic("there is no session cookie with a suffix")
}

// follow sends the user's browser to the Frontend API, where an application has redirected
// it to, and returns what it brings back: the parameters that were added to the URL, or
// the cookies that were set.
func (k *kit) follow(t *testing.T, location string, u *user) (back *url.URL, cookies map[string]string) {
	t.Helper()
	to, err := url.Parse(location)
	if err != nil {
		t.Fatal(err)
	}
	r, err := http.NewRequest(http.MethodGet, k.URL+to.RequestURI(), nil)
	if err != nil {
		t.Fatal(err)
	}
	r.Host = to.Host
	if u != nil {
		r.AddCookie(&http.Cookie{Name: "__client", Value: u.client})
	}
	resp := k.send(t, r)
	if back, err = resp.Location(); err != nil {
		t.Fatalf("%s for %s", resp.Status, location)
	}
	cookies = map[string]string{}
	for _, c := range resp.Cookies() {
		cookies[c.Name] = c.Value
	}
	return back, cookies
}

// handshake returns the result of a handshake for the user's browser: a nonce or a token.
func (k *kit) handshake(t *testing.T, on *instance, u *user, format string) string {
	t.Helper()
	host := strings.TrimPrefix(k.Issuer(), "https://")
	if k.production && on.satellite {
		host = "clerk.example.net"
	}
	name := "__clerk_handshake"
	if format == "nonce" {
		name += "_nonce"
	}
	query := url.Values{"redirect_url": {on.origin + "/"}, "format": {format}}
	back, cookies := k.follow(t, "https://"+host+"/v1/client/handshake?"+query.Encode(), u)
	if value := back.Query().Get(name) + cookies[name]; value != "" {
		return value
	}
	t.Fatalf("the handshake has no %s", name)
	return ""
}

// instance is an application of a kit: the same configuration for both sides.
type instance struct {
	name       string
	kit        *kit
	origin     string
	satellite  bool
	satellites []string // of the configuration
	auth       *clerkauth.Authenticator
	options    map[string]any // of the SDK
	now        atomic.Int64   // the clock of auth, in milliseconds
}

// start is when the clocks of the instances begin.
var start = time.Date(2030, 1, 1, 0, 0, 0, 0, time.UTC)

// newInstances returns applications of a development instance and of one in production,
// primary ones and satellites.
func newInstances(t *testing.T) []*instance {
	t.Helper()
	development, production := newKit(t, false), newKit(t, true)
	development.other, production.other = production, development
	organizations := clerkauth.OrganizationSync{
		Organizations: []string{"/orgs/:slug", "/orgs/:slug/(.*)", "/o/:id", "/o/:id/(.*)"},
		Personal:      []string{"/me", "/me/(.*)"},
	}
	var all []*instance
	add := func(name string, k *kit, origin string, browser clerkauth.BrowserConfig) {
		all = append(all, newInstance(t, name, k, origin, browser))
	}
	// The SDK either requires an azp or reads none. The one in these two requires it.
	for _, k := range []*kit{development, production} {
		i := newInstance(t, "with parties", k, "https://app.example.com", clerkauth.BrowserConfig{}, func(c *clerkauth.Config) { c.MissingParty = clerkauth.RefuseMissing })
		i.options["authorizedParties"] = []string{"https://app.example.com"}
		all = append(all, i)
	}
	add("development", development, "https://app.example.com", clerkauth.BrowserConfig{Satellites: []string{"https://satellite.localhost"}})
	add("development with organizations", development, "https://app.example.com", clerkauth.BrowserConfig{Organizations: organizations})
	add("production", production, "https://app.example.com", clerkauth.BrowserConfig{})
	add("production with organizations", production, "https://app.example.com", clerkauth.BrowserConfig{Organizations: organizations})
	for _, automatic := range []bool{false, true} {
		name := ""
		if automatic {
			name = ", synchronized"
		}
		satellite := clerkauth.BrowserConfig{Satellite: true, SatelliteAutoSync: automatic, SignInURL: "https://app.example.com/sign-in"}
		satellite.Domain = "satellite.localhost"
		add("satellite in development"+name, development, "https://satellite.localhost", satellite)
		satellite.Domain = "example.net"
		add("satellite in production"+name, production, "https://app.example.net", satellite)
	}
	return all
}

func newInstance(t *testing.T, name string, k *kit, origin string, browser clerkauth.BrowserConfig, changes ...func(*clerkauth.Config)) *instance {
	t.Helper()
	i := &instance{name: name, kit: k, origin: origin, satellite: browser.Satellite, satellites: browser.Satellites}
	config := k.Config()
	config.FrontendURL = "" // browsers are sent to the host in the publishable key
	config.AuthorizedParties = []string{origin}
	config.Browser = browser
	config.Now = func() time.Time { return time.UnixMilli(i.now.Load()) }
	config.Logger = slog.New(slog.DiscardHandler)
	for _, change := range changes {
		change(&config)
	}
	var err error
	if i.auth, err = clerkauth.New(config); err != nil {
		t.Fatal(err)
	}
	i.options = map[string]any{
		"client": map[string]any{"publishableKey": k.PublishableKey(), "secretKey": k.SecretKey(), "apiUrl": k.URL},
	}
	if browser.Satellite {
		i.options["isSatellite"], i.options["satelliteAutoSync"] = true, browser.SatelliteAutoSync
		i.options["domain"], i.options["signInUrl"] = browser.Domain, browser.SignInURL
	}
	if o := browser.Organizations; len(o.Organizations) > 0 {
		i.options["organizationSyncOptions"] = map[string]any{"organizationPatterns": o.Organizations, "personalAccountPatterns": o.Personal}
	}
	return i
}
