package catalogue

import (
	"errors"
	"fmt"
	"net/http"
	"net/http/httptest"
	"net/url"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/clerkauth/clerkauth"
	"github.com/clerkauth/clerkauth/clerkauthtest"
	"github.com/clerkauth/clerkauth/internal/testkit"
)

const otherUser = "handshake session-token-iat-before-client-uat"

// restarted requires a handshake that takes the place of an attacker's: none of its cookies
// are set, nothing of it comes back, and the browser says for a minute that it asked.
func (b *browserRig) restarted(what string, got testkit.Reply, secrets ...string) {
	b.t.Helper()
	if name := b.name(got); name != otherUser {
		b.t.Errorf("%s: %s, want %s", what, name, otherUser)
		return
	}
	lines := got.Header["Set-Cookie"]
	if len(lines) != 1 || !strings.HasPrefix(lines[0], "__clerk_redirect_count=1;") || !strings.Contains(lines[0], "Max-Age=60") {
		b.t.Errorf("%s: %q", what, lines)
	}
	to, err := url.Parse(got.Header.Get("Location"))
	if err != nil {
		b.t.Fatal(err)
	}
	back, err := url.Parse(to.Query().Get("redirect_url"))
	if err != nil || back.Host != "app.example.com" {
		b.t.Errorf("%s: back to %s", what, back)
	}
	for _, name := range []string{"__clerk_handshake", "__clerk_handshake_nonce", "__clerk_help", "__clerk_db_jwt", "__dev_session"} {
		if slices.ContainsFunc(back.Query()[name], func(value string) bool { return value != "" }) {
			b.t.Errorf("%s: back to %s", what, back)
		}
	}
	for _, secret := range secrets {
		if strings.Contains(to.String(), secret) {
			b.t.Errorf("%s: %s is sent on in %s", what, secret, to)
		}
	}
}

// TestLoginCSRF: an attacker makes a victim, who is signed in, follow a link with the result
// of the attacker's own handshake.
func TestLoginCSRF(t *testing.T) {
	for _, production := range []bool{false, true} {
		b := newBrowserRig(t, production)
		mallory := b.Server.SignIn(b.Server.CreateUser("mallory@example.com"))
		malloryIn := "back"
		if production {
			malloryIn = "in as " + mallory.User.ID
		}
		fresh := cookiesOf(b.Jane)
		link := func() map[string]func(*http.Request) {
			token := b.handshakeToken("__client_uat=1; Path=/", "__session="+mallory.Token(clerkauthtest.WithoutParty())+"; Path=/")
			links := map[string]func(*http.Request){"token": b.brings("__clerk_handshake", token), "nonce": b.brings("__clerk_handshake_nonce", b.nonceFor(mallory))}
			if !production {
				links["token and more"] = func(r *http.Request) {
					r.URL.RawQuery = "x=1&__clerk_help=1&__dev_session=x&__clerk_db_jwt=dvb_evil&__clerk_handshake=" + token
					r.RequestURI = r.URL.RequestURI()
				}
				links["twice"] = func(r *http.Request) {
					r.URL.RawQuery = "__clerk_handshake=" + token + "&__clerk%5fhandshake_nonce=" + "&__clerk_handshake=" + token
					r.RequestURI = r.URL.RequestURI()
				}
			}
			return links
		}
		follow := func(c cookies, edits ...func(*http.Request)) map[string]testkit.Reply {
			replies := map[string]testkit.Reply{}
			for form, edit := range link() {
				_, replies[form] = b.outcome(append([]func(*http.Request){testkit.AsUnknownPage, c.send, edit}, edits...)...)
			}
			return replies
		}
		who := fmt.Sprintf("production %v, ", production)
		for form, got := range follow(fresh) {
			b.restarted(who+"fresh, "+form, got)
		}
		for form, got := range follow(fresh.plain()) {
			b.restarted(who+"fresh without suffix, "+form, got)
		}
		for form, got := range follow(fresh, setHeader("Sec-Fetch-Dest", "iframe")) {
			b.restarted(who+"in a frame, "+form, got)
		}
		// A browser that was sent to a handshake brings its own result back: the user has
		// signed in as somebody else.
		for form, got := range follow(fresh.with("__clerk_redirect_count=1")) {
			if name := b.name(got); name != malloryIn {
				t.Errorf("%safter a handshake, %s: %s", who, form, name)
			}
		}
		// A script and an image set nothing.
		for form, got := range follow(fresh, asScript) {
			if name := b.name(got); strings.HasPrefix(name, "in as") || slices.ContainsFunc(got.Header["Set-Cookie"], func(line string) bool {
				return strings.HasPrefix(line, "__session") || strings.HasPrefix(line, "__client")
			}) {
				t.Errorf("%sby a script, %s: %s %q", who, form, name, got.Header["Set-Cookie"])
			}
		}
		// The same user, in another session.
		again := b.Server.SignIn(b.Jane.User)
		own := b.brings("__clerk_handshake", b.handshakeToken("__session="+again.Token(clerkauthtest.WithoutParty())))
		if what, _ := b.outcome(testkit.AsUnknownPage, fresh.send, own); what != b.received() {
			t.Errorf("%sanother session of the user: %s", who, what)
		}
		// A bearer token is who the caller is; nothing of the link is looked at.
		calls := b.calls()
		for form, got := range follow(fresh, testkit.Bearer(b.Jane.Token())) {
			if name := b.name(got); name != "in" || len(got.Header["Set-Cookie"]) > 0 {
				t.Errorf("%sbeside a bearer, %s: %s", who, form, name)
			}
		}
		if b.calls() != calls {
			t.Errorf("%sbeside a bearer: %d calls", who, b.calls()-calls)
		}
		// A cookie that is not genuine proves no user, and a visitor who is not signed in can
		// be signed in by a link, as with Clerk's own SDKs.
		for name, c := range map[string]cookies{"forged": fresh.plain().with("__session=" + b.Jane.Token(clerkauthtest.SignedBy(testkit.OtherKey()))), "garbage": fresh.plain().with("__session=x"), "nobody": b.known(), "no cookies": nil} {
			for form, got := range follow(c) {
				if what := b.name(got); what != malloryIn {
					t.Errorf("%s%s, %s: %s", who, name, form, what)
				}
			}
		}
		// An expired session says whose it was, with and without a refresh token.
		b.Server.Advance(2 * time.Minute)
		for name, c := range map[string]cookies{"expired": fresh, "expired, no refresh token": fresh.without("__refresh" + b.suffix), "expired, without suffix": fresh.plain()} {
			for form, got := range follow(c) {
				b.restarted(who+name+", "+form, got)
			}
		}
		if n := b.Server.Requests(clerkauthtest.SessionRefresh); n != 0 {
			t.Errorf("%s%d refreshes", who, n)
		}
	}
}

// TestRestartedHandshake follows the redirects of a victim in development: they end at the
// application, with the victim.
func TestRestartedHandshake(t *testing.T) {
	b := newBrowserRig(t, false)
	mallory := b.Server.SignIn(b.Server.CreateUser("mallory@example.com"))
	c := newClient(b, cookiesOf(b.Jane))
	got := c.visit("/page?x=1&__clerk_handshake=" + b.handshakeToken("__session="+mallory.Token(clerkauthtest.WithoutParty())))
	if got.Status != 200 || !strings.Contains(got.Body, b.Jane.User.ID) || c.hops > 3 || c.last != "/page?x=1" {
		t.Errorf("after %d redirects at %s: %v", c.hops, c.last, got)
	}
}

// client is a browser with cookies that follows redirects between the application and the
// Frontend API.
type client struct {
	b       *browserRig
	cookies cookies
	hops    int
	last    string // the request target of the last response
	own     cookies
	// merge is whether a gateway joins the lines of Set-Cookie.
	merge bool
	// replicas serve its requests in turn, if there are any.
	replicas []*browserRig
}

func newClient(b *browserRig, c cookies) *client { return &client{b: b, cookies: c} }

// visit requests a document of the application, and follows up to ten redirects.
func (c *client) visit(target string) testkit.Reply {
	c.b.t.Helper()
	c.hops = 0
	for range 10 {
		c.last = target
		by := c.b
		if n := len(c.replicas); n > 0 {
			by = c.replicas[c.hops%n]
		}
		got := testkit.Serve(by.Auth.Require(), testkit.AsUnknownPage, c.cookies.send, at(target))
		if lines := got.Header["Set-Cookie"]; c.merge && len(lines) > 1 {
			got.Header.Set("Set-Cookie", strings.Join(lines, ", "))
		}
		c.cookies = c.keep(c.cookies, got.Header)
		if got.Status != http.StatusTemporaryRedirect {
			return got
		}
		c.hops++
		to, err := url.Parse(got.Header.Get("Location"))
		if err != nil {
			c.b.t.Fatal(err)
		}
		if "https://"+to.Host == c.b.Server.Issuer() {
			r, _ := http.NewRequest(http.MethodGet, to.String(), nil)
			c.own.send(r)
			resp, err := c.b.Server.Transport().RoundTrip(r)
			if err != nil {
				c.b.t.Fatal(err)
			}
			_ = resp.Body.Close()
			c.own = c.keep(c.own, resp.Header)
			c.cookies = c.keep(c.cookies, onlyDomain(resp.Header))
			if to, err = resp.Location(); err != nil {
				c.b.t.Fatalf("the Frontend API: %s", resp.Status)
			}
		}
		if to.Host != "app.example.com" {
			c.b.t.Fatalf("sent to %s", to)
		}
		target = to.RequestURI()
	}
	c.b.t.Errorf("%d redirects", c.hops)
	return testkit.Reply{}
}

// keep returns jar with the cookies of a response.
func (c *client) keep(jar cookies, h http.Header) cookies {
	for _, cookie := range (&http.Response{Header: h}).Cookies() {
		jar = jar.without(cookie.Name)
		if cookie.MaxAge >= 0 && (cookie.Expires.IsZero() || cookie.Expires.After(c.b.Server.Now())) && cookie.Value != "" {
			jar = append(jar, cookie.Name+"="+cookie.Value)
		}
	}
	return jar
}

// onlyDomain returns the Set-Cookie lines that are for the application's host as well.
func onlyDomain(h http.Header) http.Header {
	return http.Header{"Set-Cookie": slices.DeleteFunc(slices.Clone(h["Set-Cookie"]), func(line string) bool { return !strings.Contains(line, "Domain=") })}
}

// TestStaleNonce: a nonce that Clerk refuses is sent to it once, whoever brings it how often.
func TestStaleNonce(t *testing.T) {
	for _, production := range []bool{true, false} {
		var clock atomic.Int64 // seconds
		start := time.Now()
		b := newBrowserRig(t, production, func(c *clerkauth.Config) {
			c.Now = func() time.Time { return start.Add(time.Duration(clock.Load()) * time.Second) }
		})
		nonce := b.brings("__clerk_handshake_nonce", "stale")
		want := "out session-token-missing"
		if !production {
			want = "back session-token-missing"
		}
		var requests sync.WaitGroup
		for range 50 {
			requests.Go(func() {
				for range 20 {
					if what, got := b.outcome(testkit.AsUnknownPage, b.known().send, nonce); what != want || len(got.Header["Set-Cookie"]) > 0 {
						t.Errorf("%s %q, want %s", what, got.Header["Set-Cookie"], want)
					}
				}
			})
		}
		requests.Wait()
		if calls := b.calls(); calls != 1 {
			t.Errorf("production %v: 1,000 requests made %d calls", production, calls)
		}
		// A minute later its cookie has gone, and it is asked about again.
		clock.Store(59)
		b.outcome(testkit.AsUnknownPage, nonce)
		if calls := b.calls(); calls != 1 {
			t.Errorf("after 59 s: %d calls", calls)
		}
		clock.Store(61)
		b.outcome(testkit.AsUnknownPage, nonce)
		if calls := b.calls(); calls != 2 {
			t.Errorf("after 61 s: %d calls", calls)
		}
		// The request of a script or a form makes no call at all, unless this browser was
		// redirected.
		before := b.calls()
		other := b.brings("__clerk_handshake_nonce", "another")
		b.outcome(asScript, b.known().send, other)
		b.outcome(testkit.AsUnknownPage, b.known().send, other, func(r *http.Request) { r.Method = http.MethodPost })
		if calls := b.calls() - before; calls != 0 {
			t.Errorf("a script and a form: %d calls", calls)
		}
		b.outcome(asScript, b.known().with("__clerk_redirect_count=1").send, other)
		if calls := b.calls() - before; calls != 1 {
			t.Errorf("a script of a browser that was redirected: %d calls", calls)
		}
	}
}

// TestNonceInAnOutage: what Clerk could not be asked about is not remembered. Nobody is
// told to sign in, and nobody is let in.
func TestNonceInAnOutage(t *testing.T) {
	for _, production := range []bool{true, false} {
		for _, how := range []int{500, 503, 429, clerkauthtest.Garbage, clerkauthtest.Redirect, 401} {
			b := newBrowserRig(t, production)
			b.page(cookiesOf(b.Jane)) // fetches the keys
			b.Server.Fail(clerkauthtest.HandshakePayload, how)
			nonce := b.brings("__clerk_handshake_nonce", "n")
			for i := range 2 {
				what, got := b.outcome(testkit.AsUnknownPage, b.known().send, nonce)
				open := testkit.Serve(b.Auth.Require(clerkauth.Public), testkit.AsUnknownPage, b.known().send, nonce)
				if len(got.Header["Set-Cookie"])+len(open.Header["Set-Cookie"]) > 0 {
					t.Errorf("production %v, %d: %v", production, how, got.Header)
				}
				if production && (what != "Service Unavailable unexpected-error" || got.Header.Get("Retry-After") == "" || open.Status != 200 || !strings.HasPrefix(open.Body, "hello  ")) {
					t.Errorf("%d, the %d. time: %s %v, on a public route %v", how, i+1, what, got.Header, open)
				}
				if !production && (!strings.HasPrefix(what, "back") || open.Status != 307) {
					t.Errorf("development, %d: %s, on a public route %v", how, what, open)
				}
			}
			if calls := b.calls(); calls < 4 {
				t.Errorf("production %v, %d: it is remembered: %d calls", production, how, calls)
			}
			b.Server.Heal(clerkauthtest.HandshakePayload)
			if what, _ := b.outcome(testkit.AsUnknownPage, b.known().send, b.brings("__clerk_handshake_nonce", b.nonceFor(b.Jane))); what != b.received() {
				t.Errorf("production %v, after %d: %s", production, how, what)
			}
			b.Server.Fail(clerkauthtest.HandshakePayload, how)
			r := httptest.NewRequest(http.MethodGet, "/x", nil)
			for _, edit := range []func(*http.Request){testkit.AsUnknownPage, b.known().send, nonce} {
				edit(r)
			}
			if err := b.Auth.Authenticate(r).Err(); err == nil || production && !errors.Is(err, clerkauth.ErrBackendUnavailable) {
				t.Errorf("production %v, %d: Err is %v", production, how, err)
			}
		}
	}
}
