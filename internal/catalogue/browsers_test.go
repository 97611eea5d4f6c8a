package catalogue

import (
	"io"
	"log/slog"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"

	"github.com/clerkauth/clerkauth"
	"github.com/clerkauth/clerkauth/clerkauthtest"
	"github.com/clerkauth/clerkauth/internal/testkit"
)

// browserRig is a Rig whose callers are browsers, and whose responses say why somebody is
// not signed in.
type browserRig struct {
	*testkit.Rig
	t      *testing.T
	suffix string // of the names of cookies, with its underscore
	// payloads are the results of handshakes that nonces of the test stand for.
	payloads *payloads
}

// payloads is a transport to an instance that knows some nonces more.
type payloads struct {
	http.RoundTripper
	made       atomic.Int64
	directives sync.Map // by nonce
}

func (p *payloads) RoundTrip(r *http.Request) (*http.Response, error) {
	resp, err := p.RoundTripper.RoundTrip(r) // which counts it
	if list, ok := p.directives.LoadAndDelete(r.URL.Query().Get("nonce")); ok && err == nil && r.URL.Path == "/v1/clients/handshake_payload" {
		_ = resp.Body.Close()
		body := strings.NewReader(testkit.JSON(map[string]any{"directives": list}))
		return testkit.Answering(http.StatusOK, http.Header{"Content-Type": {"application/json"}}, body).RoundTrip(r)
	}
	return resp, err
}

// newBrowserRig returns the rig of an instance in production, or in development.
func newBrowserRig(t *testing.T, production bool, change ...func(*clerkauth.Config)) *browserRig {
	t.Helper()
	options := []clerkauthtest.Option{clerkauthtest.InMemory(), clerkauthtest.SigningKey(testkit.KeyID, testkit.Key())}
	if production {
		options = append(options, clerkauthtest.Production("clerk.example.com"))
	}
	return browserRigOf(t, clerkauthtest.NewServer(t, options...), change...)
}

func browserRigOf(t *testing.T, srv *clerkauthtest.Server, change ...func(*clerkauth.Config)) *browserRig {
	t.Helper()
	b := &browserRig{t: t, payloads: &payloads{RoundTripper: srv.Transport()}}
	b.Rig = &testkit.Rig{Server: srv}
	b.Auth = b.authenticator(change...)
	b.Jane = srv.SignIn(srv.CreateUser("jane@example.com"), clerkauthtest.InOrganization("acme", "org:admin"))
	for _, pair := range cookiesOf(b.Jane) {
		if rest, ok := strings.CutPrefix(pair, "__session_"); ok {
			suffix, _, _ := strings.Cut(rest, "=")
			b.suffix = "_" + suffix
		}
	}
	return b
}

// authenticator returns another Authenticator for the instance.
func (b *browserRig) authenticator(change ...func(*clerkauth.Config)) *clerkauth.Authenticator {
	b.t.Helper()
	return testkit.NewAuth(b.t, b.Server, append([]func(*clerkauth.Config){func(c *clerkauth.Config) {
		c.Browser.DebugHeaders, c.Transport = true, b.payloads
	}}, change...)...)
}

// by returns b with another Authenticator.
func (b *browserRig) by(change ...func(*clerkauth.Config)) *browserRig {
	own := *b
	own.Rig = &testkit.Rig{Server: b.Server, Auth: b.authenticator(change...), Jane: b.Jane}
	return &own
}

// logTo makes an Authenticator log everything to w.
func logTo(w io.Writer) func(*clerkauth.Config) {
	return func(c *clerkauth.Config) {
		c.Logger = slog.New(slog.NewTextHandler(w, &slog.HandlerOptions{Level: slog.LevelDebug}))
	}
}

// bothKinds runs f for an instance in production and for one in development.
func bothKinds(f func(b *browserRig), change ...func(*clerkauth.Config)) func(*testing.T) {
	return func(t *testing.T) {
		for name, production := range map[string]bool{"production": true, "development": false} {
			t.Run(name, func(t *testing.T) { f(newBrowserRig(t, production, change...)) })
		}
	}
}

// cookies are those of a request, as name=value.
type cookies []string

// cookiesOf returns the cookies of a browser with that session.
func cookiesOf(s *clerkauthtest.Session, opts ...clerkauthtest.TokenOption) cookies {
	r := &http.Request{Header: http.Header{}}
	s.SetCookies(r, opts...)
	return strings.Split(r.Header.Get("Cookie"), "; ")
}

// plain returns c without those that have a suffix, and without a refresh token.
func (c cookies) plain() cookies {
	return slices.DeleteFunc(slices.Clone(c), func(pair string) bool {
		name, _, _ := strings.Cut(pair, "=")
		return !slices.Contains([]string{"__session", "__client_uat", "__clerk_db_jwt"}, name)
	})
}

// without returns c without the cookies of these names.
func (c cookies) without(names ...string) cookies {
	return slices.DeleteFunc(slices.Clone(c), func(pair string) bool {
		name, _, _ := strings.Cut(pair, "=")
		return slices.Contains(names, name)
	})
}

// with returns c with these pairs in the place of others of the same names.
func (c cookies) with(pairs ...string) cookies {
	for _, pair := range pairs {
		name, _, _ := strings.Cut(pair, "=")
		c = c.without(name)
	}
	return append(c, pairs...)
}

func (c cookies) get(name string) string {
	for _, pair := range c {
		if n, value, _ := strings.Cut(pair, "="); n == name {
			return value
		}
	}
	return ""
}

// send adds c to a request, in one line.
func (c cookies) send(r *http.Request) {
	if len(c) > 0 {
		r.Header.Set("Cookie", strings.Join(c, "; "))
	}
}

// asScript makes a request one of a script of the application's own page.
func asScript(r *http.Request) {
	r.Host = "app.example.com"
	r.Header.Set("Accept", "*/*")
	for name, value := range map[string]string{"Dest": "empty", "Mode": "cors", "Site": "same-origin"} {
		r.Header.Set("Sec-Fetch-"+name, value)
	}
}

// page sends a request for a document and returns what became of it.
func (b *browserRig) page(c cookies, edits ...func(*http.Request)) string {
	b.t.Helper()
	what, _ := b.outcome(append([]func(*http.Request){testkit.AsUnknownPage, c.send}, edits...)...)
	return what
}

// script sends a script's request and returns what became of it.
func (b *browserRig) script(c cookies, edits ...func(*http.Request)) string {
	b.t.Helper()
	what, _ := b.outcome(append([]func(*http.Request){asScript, c.send}, edits...)...)
	return what
}

// outcome sends a request through a guard and returns what became of it: "in", for Jane,
// or "in as …", "handshake …", "back" to its own URL after a handshake, "out …" with a
// reason, or the status and reason.
func (b *browserRig) outcome(edits ...func(*http.Request)) (string, testkit.Reply) {
	b.t.Helper()
	got := testkit.Serve(b.Auth.Require(), edits...)
	return b.name(got), got
}

func (b *browserRig) name(got testkit.Reply) string {
	b.t.Helper()
	if got.Entered != (got.Status == http.StatusOK) {
		b.t.Errorf("%d, handler reached: %v", got.Status, got.Entered)
	}
	why := got.Header.Get("X-Clerk-Auth-Reason")
	location := got.Header.Get("Location")
	to, err := url.Parse(location)
	if err != nil {
		b.t.Errorf("Location %q", location)
	}
	if got.Status != http.StatusOK && got.Header.Get("Cache-Control") != "no-store" || !strings.Contains(got.Header.Get("Vary"), "Cookie") && got.Header.Get("Vary") != "*" {
		b.t.Errorf("%d with %v", got.Status, got.Header)
	}
	switch {
	case got.Entered:
		if who := strings.Fields(got.Body)[1]; who != b.Jane.User.ID {
			return "in as " + who
		}
		return "in"
	case got.Status == http.StatusTemporaryRedirect && strings.HasPrefix(location, b.Server.Issuer()+"/v1/client/handshake?"):
		if hs := to.Query().Get("__clerk_hs_reason"); hs != why {
			b.t.Errorf("a handshake for %q, signed out for %q", hs, why)
		}
		return "handshake " + why
	case got.Status == http.StatusTemporaryRedirect && strings.HasPrefix(location, "https://app.example.com/"):
		return strings.TrimSpace("back " + why)
	case got.Status == http.StatusSeeOther, got.Status == http.StatusUnauthorized:
		return "out " + why
	default:
		return strings.TrimSpace(http.StatusText(got.Status) + " " + got.Reason())
	}
}

// suffixedCookies returns whether a handshake asks for cookies with the suffix.
func suffixedCookies(got testkit.Reply) string {
	to, _ := url.Parse(got.Header.Get("Location"))
	return to.Query().Get("suffixed_cookies")
}

// calls returns how many requests the Backend API has received for browsers.
func (b *browserRig) calls() int {
	return b.Server.Requests(clerkauthtest.HandshakePayload | clerkauthtest.SessionRefresh)
}
