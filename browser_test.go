package clerkauth_test

import (
	"errors"
	"fmt"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"net/url"
	"strings"
	"testing"
	"time"

	"github.com/clerkauth/clerkauth"
	"github.com/clerkauth/clerkauth/clerkauthtest"
	"github.com/clerkauth/clerkauth/internal/testkit"
)

// document makes a request one of a browser for a page.
func document(r *http.Request) {
	r.Header.Set("Sec-Fetch-Dest", "document")
	r.Header.Set("Accept", "text/html")
}

// browse sends a request with cookies of a session through a guard.
func browse(a *clerkauth.Authenticator, session *clerkauthtest.Session, edits ...func(*http.Request)) testkit.Reply {
	return testkit.Serve(a.Require(), append([]func(*http.Request){func(r *http.Request) {
		r.Host = "app.example.com"
		document(r)
		session.SetCookies(r)
	}}, edits...)...)
}

func TestCookiesIdentify(t *testing.T) {
	srv := clerkauthtest.NewServer(t, clerkauthtest.InMemory())
	a := testkit.NewAuth(t, srv)
	jane := srv.SignIn(srv.CreateUser("jane@example.com"))
	got := browse(a, jane)
	testkit.WantReply(t, got, 200, "")
	if vary, cache := got.Header.Get("Vary"), got.Header.Get("Cache-Control"); vary != "Authorization, Cookie" || cache != "private" {
		t.Errorf("Vary %q, Cache-Control %q", vary, cache)
	}
	off := testkit.NewAuth(t, srv, func(c *clerkauth.Config) { c.Browser.Disabled = true })
	testkit.WantReply(t, browse(off, jane, func(r *http.Request) { r.Header.Del("Accept"); r.Header.Del("Sec-Fetch-Dest") }), 401, clerkauth.ErrTokenMissing)
}

// TestCrossSite: a page of another site cannot act with the user's cookies.
func TestCrossSite(t *testing.T) {
	srv := clerkauthtest.NewServer(t, clerkauthtest.InMemory())
	a := testkit.NewAuth(t, srv)
	jane := srv.SignIn(srv.CreateUser("jane@example.com"))
	post := func(r *http.Request) {
		r.Method = http.MethodPost
		r.Header.Set("Sec-Fetch-Site", "cross-site")
		r.Header.Set("Origin", "https://evil.example")
	}
	testkit.WantReply(t, browse(a, jane, post), 403, clerkauth.ErrCrossSite)
	upgrade := func(r *http.Request) {
		r.Header.Set("Upgrade", "websocket")
		r.Header.Set("Origin", "https://evil.example")
	}
	testkit.WantReply(t, browse(a, jane, upgrade), 403, clerkauth.ErrCrossSite)
	own := func(r *http.Request) {
		post(r)
		r.Header.Set("Sec-Fetch-Site", "same-origin")
		r.Header.Set("Origin", "https://app.example.com")
	}
	testkit.WantReply(t, browse(a, jane, own), 200, "")

	// Nor where users count as signed in who have a task left.
	pending := srv.SignIn(srv.CreateUser("mary@example.com"), clerkauthtest.Pending())
	lenient := testkit.NewAuth(t, srv, func(c *clerkauth.Config) { c.AllowPending = true })
	testkit.WantReply(t, browse(lenient, pending), 200, "")
	testkit.WantReply(t, browse(lenient, pending, post), 403, clerkauth.ErrCrossSite)
	testkit.WantReply(t, browse(lenient, pending, upgrade), 403, clerkauth.ErrCrossSite)

	// On public routes the handler runs without the user.
	var who clerkauth.Auth
	h := a.Handler(http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) { who = clerkauth.FromContext(r.Context()) }))
	r := httptest.NewRequest(http.MethodPost, "/callback", nil)
	r.Host = "app.example.com"
	jane.SetCookies(r)
	post(r)
	h.ServeHTTP(httptest.NewRecorder(), r)
	if who.SignedIn() || who.Err() == nil {
		t.Errorf("%v: %v", who, who.Err())
	}
}

// TestCalls: Check reads no cookie of a call that has no host, unless the call is inside of
// a request that the Authenticator has authenticated with the same cookies.
func TestCalls(t *testing.T) {
	srv := clerkauthtest.NewServer(t, clerkauthtest.InMemory())
	a, other := testkit.NewAuth(t, srv), testkit.NewAuth(t, srv)
	jane, john := srv.SignIn(srv.CreateUser("jane@example.com")), srv.SignIn(srv.CreateUser("john@example.com"))
	for _, c := range []struct {
		what   string
		around *clerkauth.Authenticator
		of     *clerkauthtest.Session // whose cookies the call has
		site   string
		want   error
	}{
		{"nothing around", nil, jane, "same-origin", clerkauth.ErrTokenMissing},
		{"the same cookies", a, jane, "same-origin", nil},
		{"from another site", a, jane, "cross-site", clerkauth.ErrCrossSite},
		{"other cookies", a, john, "same-origin", clerkauth.ErrTokenMissing},
		{"another Authenticator", other, jane, "same-origin", clerkauth.ErrTokenMissing},
	} {
		r := httptest.NewRequest(http.MethodPost, "/", nil)
		r.Host = "app.example.com"
		r.Header.Set("Sec-Fetch-Site", c.site)
		call := &http.Request{Method: http.MethodPost, URL: &url.URL{Path: "/shop.v1.Shop/Refund"}, Header: r.Header.Clone()}
		jane.SetCookies(r)
		if call.Header.Set("Cookie", r.Header.Get("Cookie")); c.of != jane {
			call.Header.Del("Cookie")
			c.of.SetCookies(call)
		}
		reached := false
		h := http.Handler(http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) {
			reached = true
			ctx, err := a.Check(call.WithContext(r.Context()))
			if !errors.Is(err, c.want) || (clerkauth.FromContext(ctx).UserID == jane.User.ID) != (err == nil || c.around != nil && c.site == "same-origin") {
				t.Errorf("%s: %v, want %v", c.what, err, c.want)
			}
		}))
		if c.around != nil {
			h = c.around.Handler(h)
		}
		if h.ServeHTTP(httptest.NewRecorder(), r); !reached {
			t.Errorf("%s: not reached", c.what)
		}
	}
}

// TestExpiredCookie: the server refreshes an expired session by itself, and otherwise sends
// the browser through a handshake.
func TestExpiredCookie(t *testing.T) {
	srv := clerkauthtest.NewServer(t, clerkauthtest.InMemory())
	a := testkit.NewAuth(t, srv)
	jane := srv.SignIn(srv.CreateUser("jane@example.com"))
	r := httptest.NewRequest(http.MethodGet, "/dashboard", nil)
	r.Host = "app.example.com"
	document(r)
	jane.SetCookies(r)
	srv.Advance(2 * time.Minute)
	w := httptest.NewRecorder()
	a.Require().Func(testkit.Hello).ServeHTTP(w, r)
	if w.Code != 200 || len(w.Header()["Set-Cookie"]) == 0 || w.Header().Get("Cache-Control") != "no-store" {
		t.Errorf("refreshed: %d %v", w.Code, w.Header())
	}
	srv.Fail(clerkauthtest.SessionRefresh, 503)
	w = httptest.NewRecorder()
	a.Require().Func(testkit.Hello).ServeHTTP(w, r)
	if location := w.Header().Get("Location"); w.Code != 307 || !strings.Contains(location, "/v1/client/handshake?") {
		t.Errorf("not refreshed: %d %s", w.Code, location)
	}
	r.Header.Set("Sec-Fetch-Dest", "empty")
	w = httptest.NewRecorder()
	a.Require().Func(testkit.Hello).ServeHTTP(w, r)
	if w.Code != 503 || w.Header().Get("Retry-After") == "" {
		t.Errorf("an outage: %d", w.Code)
	}
}

// TestRefreshRefused: a browser with an expired refresh token is signed out.
// Only a 401 about the secret key is the operator's fault.
func TestRefreshRefused(t *testing.T) {
	var logged strings.Builder
	srv := clerkauthtest.NewServer(t, clerkauthtest.InMemory())
	a := testkit.NewAuth(t, srv, func(c *clerkauth.Config) { c.Logger = slog.New(slog.NewTextHandler(&logged, nil)) })
	jane, joe := srv.SignIn(srv.CreateUser("jane@example.com")), srv.SignIn(srv.CreateUser("joe@example.com"))
	r := httptest.NewRequest(http.MethodGet, "/dashboard", nil)
	r.Host = "app.example.com"
	r.Header.Set("Sec-Fetch-Dest", "empty")
	joe.SetCookies(r) // the first of two cookies counts: this refresh token is joe's
	refresh := r.Header["Cookie"]
	r.Header.Del("Cookie")
	jane.SetCookies(r)
	for part := range strings.SplitSeq(refresh[0], "; ") {
		if strings.HasPrefix(part, "__refresh_") {
			r.Header["Cookie"][0] = part + "; " + r.Header["Cookie"][0]
		}
	}
	srv.Advance(2 * time.Minute)
	serve := func() int {
		w := httptest.NewRecorder()
		a.Require().Func(testkit.Hello).ServeHTTP(w, r)
		return w.Code
	}
	if got := serve(); got != 401 || strings.Contains(logged.String(), "CLERK_SECRET_KEY") {
		t.Errorf("the refresh token of another session: %d\n%s", got, &logged)
	}
	srv.Fail(clerkauthtest.SessionRefresh, 401)
	r.Header.Del("Cookie") // what Clerk has refused is not sent again
	srv.Advance(-2 * time.Minute)
	joe.SetCookies(r)
	srv.Advance(2 * time.Minute)
	if got := serve(); got != 503 || !strings.Contains(logged.String(), "CLERK_SECRET_KEY") {
		t.Errorf("the secret key is refused: %d\n%s", got, &logged)
	}
}

// TestOutageOfNonces: while Clerk cannot say what a nonce stands for, the answer is 503. In
// development, where the nonce is in the URL, a redirect takes it out first.
func TestOutageOfNonces(t *testing.T) {
	for name, opts := range map[string][]clerkauthtest.Option{
		"development": {clerkauthtest.InMemory()}, "production": {clerkauthtest.InMemory(), clerkauthtest.Production("clerk.example.com")},
	} {
		srv := clerkauthtest.NewServer(t, opts...)
		a := testkit.NewAuth(t, srv)
		get := func(nonce string) *httptest.ResponseRecorder {
			r := httptest.NewRequest(http.MethodGet, "/p?__clerk_handshake_nonce="+nonce, nil)
			r.Host = "app.example.com"
			document(r)
			r.AddCookie(&http.Cookie{Name: "__clerk_handshake_nonce", Value: nonce})
			w := httptest.NewRecorder()
			a.Require().Func(testkit.Hello).ServeHTTP(w, r)
			return w
		}
		for _, status := range []int{401, 429, 500, 503} {
			srv.Fail(clerkauthtest.HandshakePayload, status)
			w := get(fmt.Sprint(status))
			if name == "development" {
				if w.Code != 307 || w.Header().Get("Location") != "https://app.example.com/p" {
					t.Errorf("%s: %d from Clerk: %d %v", name, status, w.Code, w.Header())
				}
				continue
			}
			if w.Code != 503 || w.Header().Get("Retry-After") == "" || w.Header().Get("Location") != "" {
				t.Errorf("%s: %d from Clerk: %d %v", name, status, w.Code, w.Header())
			}
		}
		srv.Fail(clerkauthtest.HandshakePayload, 404)
		if w := get("stale"); w.Code == 503 || w.Header().Get("Location") == "" {
			t.Errorf("%s: a stale nonce: %d %v", name, w.Code, w.Header())
		}
	}
}

// TestCheckRedirects: hidden routes renew sessions as others do, or their users would get 404 a
// minute after they signed in.
func TestCheckRedirects(t *testing.T) {
	for _, hide := range []bool{false, true} {
		srv := clerkauthtest.NewServer(t, clerkauthtest.InMemory())
		a := testkit.NewAuth(t, srv, func(c *clerkauth.Config) { c.HideUnauthorized = hide })
		r := httptest.NewRequest(http.MethodGet, "/dashboard", nil)
		r.Host = "app.example.com"
		document(r)
		testkit.KnownBrowser(r)
		r.AddCookie(&http.Cookie{Name: "__client_uat", Value: "1"})
		var refusal *clerkauth.Error
		if _, err := a.Check(r); !errors.As(err, &refusal) || refusal.Status != 307 || refusal.Header().Get("Location") == "" {
			t.Errorf("hidden %v: %v", hide, err)
		}
		r.Header.Set("Sec-Fetch-Dest", "empty")
		want := map[bool]int{false: 401, true: 404}[hide]
		if _, err := a.Check(r); !errors.As(err, &refusal) || refusal.Status != want || refusal.Header().Get("Location") != "" {
			t.Errorf("hidden %v, not a page: %v", hide, err)
		}
	}
}

// TestSignOut ends the session at Clerk, and here.
func TestSignOut(t *testing.T) {
	srv := clerkauthtest.NewServer(t, clerkauthtest.InMemory())
	a := testkit.NewAuth(t, srv)
	jane := srv.SignIn(srv.CreateUser("jane@example.com"))
	h := a.Handler(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if a.SignOut(w, r) {
			http.Redirect(w, r, "/", http.StatusSeeOther)
		}
	}))
	serve := func(method, site string) *httptest.ResponseRecorder {
		r := httptest.NewRequest(method, "/sign-out", nil)
		r.Host = "app.example.com"
		r.Header.Set("Sec-Fetch-Site", site)
		jane.SetCookies(r)
		w := httptest.NewRecorder()
		h.ServeHTTP(w, r)
		return w
	}
	if w := serve("GET", "same-origin"); w.Code != 405 || w.Header().Get("Allow") == "" || len(w.Header()["Set-Cookie"]) > 0 {
		t.Errorf("GET: %d %v", w.Code, w.Header())
	}
	if w := serve("POST", "cross-site"); w.Code != 403 || len(w.Header()["Set-Cookie"]) > 0 {
		t.Errorf("another site: %d %v", w.Code, w.Header())
	}
	w := serve("POST", "same-origin")
	if w.Code != 303 || w.Header().Get("Cache-Control") != "no-store" {
		t.Errorf("%d %v", w.Code, w.Header())
	}
	left := map[string]bool{}
	for _, c := range w.Result().Cookies() {
		left[c.Name] = left[c.Name] || c.MaxAge >= 0
	}
	for _, name := range []string{"__session", "__client_uat", "__clerk_db_jwt"} {
		if kept, there := left[name]; kept || !there {
			t.Errorf("%s: removed %v, kept %v", name, there, kept)
		}
	}
	if _, err := func() (s string, err error) {
		defer func() {
			if p := recover(); p != nil {
				err = fmt.Errorf("%v", p)
			}
		}()
		return jane.Token(), nil
	}(); err == nil {
		t.Error("the session has not ended")
	}
}

// TestSignOutOfAnOddSession: a malformed sid never becomes part of a path of the Backend API.
func TestSignOutOfAnOddSession(t *testing.T) {
	srv := clerkauthtest.NewServer(t, clerkauthtest.InMemory())
	a := testkit.NewAuth(t, srv)
	jane := srv.SignIn(srv.CreateUser("jane@example.com"))
	var requests []*http.Request
	for _, sid := range []string{"..", ".", "a/../../users/user_1", "sess_1?x=", "sess_", "", jane.ID} {
		r := httptest.NewRequest(http.MethodPost, "/sign-out", nil)
		r.Host = "app.example.com"
		jane.SetCookies(r, clerkauthtest.WithClaim("sid", sid))
		requests = append(requests, r)
	}
	a.Authenticate(requests[0])  // so that there are keys
	srv.Advance(2 * time.Minute) // of other tokens sid is checked earlier
	for i, r := range requests {
		before := srv.Requests(clerkauthtest.Backend)
		w := httptest.NewRecorder()
		if !a.SignOut(w, r) || len(w.Header()["Set-Cookie"]) == 0 {
			t.Errorf("request %d: %d %v", i, w.Code, w.Header())
		}
		calls := srv.Requests(clerkauthtest.Backend) - before
		if revoked := i == len(requests)-1; (calls > 0) != revoked {
			t.Errorf("request %d: %d calls", i, calls)
		}
	}
}

// FuzzBrowser: no request is authenticated without the one token that verifies, and no
// redirect leads to an origin that is not the application's or Clerk's.
func FuzzBrowser(f *testing.F) {
	srv := clerkauthtest.NewServer(f, clerkauthtest.InMemory())
	a := testkit.NewAuth(f, srv)
	jane := srv.SignIn(srv.CreateUser("jane@example.com"))
	genuine := httptest.NewRequest(http.MethodGet, "/", nil)
	jane.SetCookies(genuine)
	session, err := genuine.Cookie("__session")
	if err != nil {
		f.Fatal(err)
	}
	token := session.Value
	f.Add("GET", "/", "", "document", "", "")
	f.Add("GET", "/x?__clerk_handshake=a.b.c&__clerk_synced=false", "__client_uat=1; __session=a.b.c", "document", "", "https://evil.example/")
	f.Add("POST", "//evil.example/x?__clerk_redirect_url=https%3A%2F%2Fevil.example", "__clerk_db_jwt=db; __clerk_redirect_count=-1", "", "text/html", "")
	f.Add("GET", `/\evil.example`, genuine.Header.Get("Cookie"), "iframe", "", "")
	f.Add("HEAD", "/p?__clerk_handshake_nonce=n", "__clerk_redirect_count=Infinity; __clerk_handshake_nonce=x", "empty", "", "")
	f.Fuzz(func(t *testing.T, method, target, cookies, dest, accept, referer string) {
		u, err := url.ParseRequestURI(target)
		if err != nil || method == "" || strings.ContainsAny(method+cookies+dest+accept+referer, "\r\n\x00") {
			return
		}
		r := &http.Request{Method: method, URL: u, RequestURI: target, Host: "app.example.com", Body: http.NoBody, Header: http.Header{
			"Cookie": {cookies}, "Sec-Fetch-Dest": {dest}, "Accept": {accept}, "Referer": {referer},
		}, Proto: "HTTP/1.1", ProtoMajor: 1, ProtoMinor: 1}
		for range 5 {
			w := httptest.NewRecorder()
			a.Require().Func(testkit.Hello).ServeHTTP(w, r)
			if w.Code == 200 && !carries(cookies, token) {
				t.Fatalf("let in by %q", cookies)
			}
			location := w.Header().Get("Location")
			if location == "" {
				return
			}
			to, err := url.Parse(location)
			own := err == nil && (to.Host == "app.example.com" || "https://"+to.Host == srv.Issuer() || strings.HasSuffix(to.Host, ".accounts.dev"))
			if !own || to.Scheme != "https" {
				t.Fatalf("redirected to %q", location)
			}
			if w.Code != http.StatusTemporaryRedirect {
				return
			}
			if to.Host == "app.example.com" {
				r.URL, r.RequestURI = to, to.RequestURI()
			}
			for _, c := range w.Result().Cookies() {
				r.Header.Set("Cookie", c.Name+"="+c.Value+"; "+r.Header.Get("Cookie"))
			}
		}
		t.Fatalf("redirected five times: %q", r.Header)
	})
}

// carries reports whether a cookie has that value, as it is or percent-encoded.
func carries(cookies, value string) bool {
	for part := range strings.SplitSeq(cookies, ";") {
		_, got, _ := strings.Cut(part, "=")
		got = strings.Trim(got, " \t")
		if decoded, err := url.PathUnescape(got); got == value || err == nil && decoded == value {
			return true
		}
	}
	return false
}
