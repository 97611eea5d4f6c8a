package catalogue

import (
	"fmt"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"github.com/clerkauth/clerkauth"
	"github.com/clerkauth/clerkauth/internal/testkit"
)

// sharedCache is a cache in front of a server, as RFC 9111 describes one that several users
// share. It stores what it may, and what says nothing for as long as it likes (section
// 4.2.2).
type sharedCache struct {
	next    http.Handler
	entries map[string][]cached
	hits    int
	noVary  bool // it is broken: Vary is not looked at
}

type cached struct {
	request  http.Header
	response *httptest.ResponseRecorder
}

func (c *sharedCache) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	for _, e := range c.entries[r.URL.String()] {
		if c.selects(e, r) {
			c.hits++
			for name, lines := range e.response.Header() {
				w.Header()[name] = lines
			}
			w.WriteHeader(e.response.Code)
			_, _ = w.Write(e.response.Body.Bytes())
			return
		}
	}
	got := httptest.NewRecorder()
	c.next.ServeHTTP(got, r)
	control := strings.ToLower(strings.Join(got.Header()["Cache-Control"], ","))
	storable := !strings.Contains(control, "no-store") && !strings.Contains(control, "private") &&
		// Section 3.5.
		(r.Header.Get("Authorization") == "" || strings.Contains(control, "public") || strings.Contains(control, "s-maxage"))
	if r.Method == http.MethodGet && storable {
		c.entries[r.URL.String()] = append(c.entries[r.URL.String()], cached{r.Header.Clone(), got})
	}
	for name, lines := range got.Header() {
		w.Header()[name] = lines
	}
	w.WriteHeader(got.Code)
	_, _ = w.Write(got.Body.Bytes())
}

// selects reports whether e may be the response to r (section 4.1).
func (c *sharedCache) selects(e cached, r *http.Request) bool {
	if c.noVary {
		return true
	}
	for _, line := range e.response.Header()["Vary"] {
		for name := range strings.SplitSeq(line, ",") {
			if name = http.CanonicalHeaderKey(strings.TrimSpace(name)); name == "*" || strings.Join(e.request[name], ", ") != strings.Join(r.Header[name], ", ") {
				return false
			}
		}
	}
	return true
}

// TestSharedCache: between two users, a shared cache shows nobody what is another's: a page,
// a redirect, a refusal or a cookie, on guarded routes and on open ones, by cookie and by
// header, whatever the handler says about guarded ones.
func TestSharedCache(t *testing.T) {
	for _, production := range []bool{true, false} {
		b := newBrowserRig(t, production)
		john := b.Server.SignIn(b.Server.CreateUser("john@example.com"))
		jane := cookiesOf(b.Jane)
		expired := cookiesOf(b.Jane, issued(time.Hour)[1:]...).with("__client_uat=1", "__client_uat"+b.suffix+"=1")
		callers := map[string]func(*http.Request){
			"Jane": jane.send, "John": cookiesOf(john).send, "Jane, refreshed": expired.send, "nobody": func(*http.Request) {}, "no session": b.known().send,
			"Jane's program": testkit.Bearer(b.Jane.Token()), "John's program": testkit.Bearer(john.Token()), "a forger": testkit.Bearer("x.y.z"),
		}
		users := map[string]string{"Jane": b.Jane.User.ID, "John": john.User.ID}
		for route, guard := range map[string]clerkauth.Middleware{"guarded": b.Auth.Require(), "Handler": b.Auth.Handler, "Public": b.Auth.Require(clerkauth.Public), "Optional": b.Auth.Require(clerkauth.Optional)} {
			for _, control := range []string{"", "max-age=60", "public, max-age=60", "s-maxage=600"} {
				if control != "" && route != "guarded" {
					continue // the handler's own word: see below
				}
				for _, noVary := range []bool{false, true} {
					cache := &sharedCache{entries: map[string][]cached{}, noVary: noVary}
					cache.next = guard(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
						if control != "" {
							w.Header().Set("Cache-Control", control)
						}
						fmt.Fprintf(w, "page of %q", clerkauth.FromContext(r.Context()).UserID)
					}))
					for range 2 { // in two orders
						for caller, edit := range callers {
							r := httptest.NewRequest(http.MethodGet, "/page", nil)
							testkit.AsUnknownPage(r)
							edit(r)
							w := httptest.NewRecorder()
							cache.ServeHTTP(w, r)
							for name, id := range users {
								if strings.Contains(fmt.Sprint(w.Header(), w.Body), id) && !strings.HasPrefix(caller, name) {
									t.Errorf("%s, Cache-Control %q, Vary ignored %v: %s sees %s's page", route, control, noVary, caller, name)
								}
							}
							if strings.Contains(fmt.Sprint(w.Header()["Set-Cookie"]), "__session") && caller != "Jane, refreshed" {
								t.Errorf("%s, Cache-Control %q: %s gets Jane's cookies", route, control, caller)
							}
							if route == "guarded" && strings.HasPrefix(caller, "J") && w.Code != 200 {
								t.Errorf("%s, Cache-Control %q: %s gets %d", route, control, caller, w.Code)
							}
						}
					}
					if cache.hits > 0 {
						t.Errorf("%s, Cache-Control %q: %d answers were shared", route, control, cache.hits)
					}
				}
			}
		}
	}
	// An open route that says public means it: it shows the same to all, and the cache tells
	// them apart by Vary. A cache or gateway that strips Vary breaks what such a route shows
	// to users: it must leave public out, or show the same to all.
	b := newBrowserRig(t, true)
	john := b.Server.SignIn(b.Server.CreateUser("john@example.com"))
	for _, stripsVary := range []bool{false, true} {
		cache := &sharedCache{entries: map[string][]cached{}, noVary: stripsVary}
		cache.next = b.Auth.Handler(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			w.Header().Set("Cache-Control", "public, max-age=60")
			fmt.Fprintf(w, "page of %q", clerkauth.FromContext(r.Context()).UserID)
		}))
		see := func(s cookies) string {
			r := httptest.NewRequest(http.MethodGet, "/page", nil)
			testkit.AsUnknownPage(r)
			s.send(r)
			w := httptest.NewRecorder()
			cache.ServeHTTP(w, r)
			return w.Body.String()
		}
		see(cookiesOf(b.Jane))
		if leaked := strings.Contains(see(cookiesOf(john)), b.Jane.User.ID); leaked != stripsVary {
			t.Errorf("public on an open route, Vary stripped %v: leaked %v", stripsVary, leaked)
		}
	}
}

// TestGatewayMergesSetCookie: a gateway that joins lines of Set-Cookie by commas, as it may
// with other headers (RFC 9110 section 5.3), leaves a browser the first cookie alone. After
// a handshake its session and its client's time disagree then, and it is sent through
// another one, three times at most.
func TestGatewayMergesSetCookie(t *testing.T) {
	b := newBrowserRig(t, false)
	c := newClient(b, nil)
	c.merge = true
	got := c.visit("/page")
	if got.Status != http.StatusSeeOther || c.hops > 7 {
		t.Errorf("after %d redirects: %v", c.hops, got)
	}
}

// TestReplicas: two servers of one instance decide alike while keys are rotated, and a
// handshake that one has begun, another ends.
func TestReplicas(t *testing.T) {
	for _, production := range []bool{true, false} {
		b := newBrowserRig(t, production)
		replicas := []*browserRig{b, b.by()}
		both := func(what string, c cookies, want string) {
			t.Helper()
			for i, r := range replicas {
				if got := r.page(c); got != want {
					t.Errorf("production %v, %s, replica %d: %s, want %s", production, what, i, got, want)
				}
			}
		}
		old := cookiesOf(b.Jane)
		both("before", old, "in")
		kid := b.Server.KeyID()
		b.Server.RotateKeys()
		both("old key, after", old, "in")
		both("new key", cookiesOf(b.Jane), "in")
		b.Server.WithdrawKey(kid)
		b.Server.Advance(10 * time.Minute)
		both("new key, the old one withdrawn", cookiesOf(b.Jane), "in")
		c := newClient(b, nil)
		c.replicas = replicas
		if got := c.visit("/page?x=1"); got.Status != http.StatusSeeOther && got.Status != http.StatusUnauthorized || c.hops > 3 {
			t.Errorf("production %v: after %d redirects %v", production, c.hops, got)
		}
	}
}
