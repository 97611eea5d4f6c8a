package catalogue

import (
	"fmt"
	"net/http"
	"net/http/httptest"
	"net/url"
	"strings"
	"sync/atomic"
	"testing"

	"github.com/clerkauth/clerkauth"
	"github.com/clerkauth/clerkauth/clerkauthtest"
	"github.com/clerkauth/clerkauth/internal/testkit"
)

// These rows test effects of a request's bytes, so they send raw bytes.
var _ = addRows(rows{
	"127/two_authorization_headers": twoAuthorizationLines,
	"128/authorization_schemes":     authorizationSchemes,
	"129/folded_authorization":      foldedAuthorization,
	"130/space_before_colon":        spaceBeforeColon,
	"131/credentials_elsewhere":     credentialsElsewhere,
	"132/clerk_state_headers": headersWithoutEffect("X-Clerk-Auth-Status: signed-in", "X-Clerk-Auth-Token: TOKEN", "X-Clerk-Auth-Signature: 00", "X-Clerk-Auth-Reason: x",
		"X-Clerk-Request-Data: eyJ9", "X-Clerk-Clerk-Url: https://evil.example/", "X-Clerk-Redirect-To: true"),
	"133/middleware_skip_headers": headersWithoutEffect("X-Middleware-Subrequest: middleware:middleware:middleware:middleware:middleware", "X-Middleware-Subrequest: src/middleware",
		"X-Middleware-Next: 1", "X-Middleware-Rewrite: /public/", "X-Middleware-Override-Headers: authorization"),
	"134/rewritten_url_headers": headersWithoutEffect("X-Original-URL: /public/", "X-Rewrite-URL: /public/", "X-Forwarded-Uri: /public/", "X-Forwarded-Prefix: /public", "X-Forwarded-Path: /public"),
	"135/underscore_headers":    headersWithoutEffect("X_Forwarded_Host: evil.example", "X_Forwarded_User: admin", "x_clerk_auth_status: signed-in", "X-Forwarded-User: admin", "Authorization_: Bearer TOKEN"),
	"136/forwarded_hosts": func(t *testing.T) {
		t.Run("way back", forwardedHosts)
		t.Run("rules", func(t *testing.T) {
			rulesHearNothingOf(t, "X-Forwarded-Host: public.example", "X-Host: public.example")
		})
	},
	"137/forwarded_schemes": forwardedSchemes,
	"138/forwarded_header": func(t *testing.T) {
		t.Run("way back", forwarded)
		t.Run("rules", func(t *testing.T) { rulesHearNothingOf(t, "Forwarded: host=public.example") })
	},
	"139/foreign_hosts": foreignHosts,
	"140/absolute_request_target": func(t *testing.T) {
		t.Run("way back", absoluteForm)
		t.Run("rules", rulesReadTheHostOnce)
	},
})

// site is a server on loopback. Everything except /public/ is guarded, and Handler
// wraps all of it.
type site struct {
	*testkit.Rig
	server   *httptest.Server
	location atomic.Value // of the last response
}

func newSite(t *testing.T, change ...func(*clerkauth.Config)) *site {
	t.Helper()
	s := &site{Rig: testkit.NewRig(t, change...)}
	mux := http.NewServeMux()
	mux.Handle("/", s.Auth.Require().Func(testkit.Hello))
	mux.HandleFunc("/public/", func(w http.ResponseWriter, r *http.Request) {
		fmt.Fprintf(w, "public %q", clerkauth.FromContext(r.Context()).UserID)
	})
	handler := s.Auth.Handler(mux)
	s.server = testkit.NewServer(t, http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		handler.ServeHTTP(w, r)
		s.location.Store(w.Header().Get("Location"))
	}))
	return s
}

// request returns the bytes of a request that is the last one of its connection.
func request(line string, headers ...string) string {
	return line + " HTTP/1.1\r\n" + strings.Join(append(headers, "Connection: close"), "\r\n") + "\r\n\r\n"
}

// send sends a request with these header lines, in which TOKEN stands for a valid
// token.
func (s *site) send(t *testing.T, line string, headers ...string) testkit.Reply {
	t.Helper()
	raw := request(line, append([]string{"Host: app.example.com"}, headers...)...)
	replies := testkit.Exchange(t, s.server, strings.ReplaceAll(raw, "TOKEN", s.Jane.Token()))
	if len(replies) != 1 {
		t.Fatalf("%s %q: %d replies", line, headers, len(replies))
	}
	return replies[0]
}

// anonymous fails the test unless a request is anonymous: refused where a user is
// required, and without a user elsewhere.
func (s *site) anonymous(t *testing.T, headers ...string) {
	t.Helper()
	testkit.WantReply(t, s.send(t, "GET /", headers...), 401, clerkauth.ErrTokenMissing)
	if got := s.send(t, "GET /public/", headers...); got.Status != 200 || got.Body != `public ""` {
		t.Errorf("%q: %v", headers, got)
	}
}

func twoAuthorizationLines(t *testing.T) {
	s := newSite(t)
	good, bad, client := s.Jane.Token(), s.Jane.Token(clerkauthtest.SignedBy(testkit.OtherKey())), testkit.HTTP2Client(t)
	for _, lines := range [][]string{
		{good}, {good, bad}, {bad, good}, {good, good}, {"", good}, {good, ""},
	} {
		want := 200
		if len(lines) > 1 {
			want = 401
		}
		var headers []string
		r, err := http.NewRequest(http.MethodGet, s.server.URL, nil)
		if err != nil {
			t.Fatal(err)
		}
		for _, token := range lines {
			headers = append(headers, "Authorization: Bearer "+token)
			r.Header.Add("Authorization", "Bearer "+token)
		}
		for _, path := range []string{"/", "/public/"} {
			if got := s.send(t, "GET "+path, headers...); got.Status != want || want == 401 && got.Reason() != "token-invalid" {
				t.Errorf("%d lines, %s: %v", len(lines), path, got)
			}
		}
		resp, err := client.Do(r)
		if err != nil {
			t.Fatal(err)
		}
		_ = resp.Body.Close()
		if resp.StatusCode != want || resp.ProtoMajor != 2 {
			t.Errorf("%d lines, %s: %s", len(lines), resp.Proto, resp.Status)
		}
	}
}

// authorizationSchemes: Clerk's JavaScript accepts "Bearer" in this spelling alone,
// and a bare value as a token. This package accepts any case (RFC 9110 section 11.1)
// and exactly one space, and refuses a bare value. Cookies count beside other schemes alone.
func authorizationSchemes(t *testing.T) {
	s := newSite(t)
	browser := httptest.NewRequest(http.MethodGet, "/", nil)
	s.Jane.SetCookies(browser)
	cookies := "Cookie: " + browser.Header.Get("Cookie")
	for _, value := range []string{"Bearer TOKEN", "bearer TOKEN", "BEARER TOKEN", "bEaReR TOKEN", " Bearer TOKEN "} {
		testkit.WantReply(t, s.send(t, "GET /", "Authorization: "+value), 200, "")
	}
	for _, value := range []string{"", " ", "Token TOKEN", "Basic dXNlcjpw", "Basic TOKEN", "Bear TOKEN", "Bearerx TOKEN"} {
		s.anonymous(t, "Authorization: "+value)
		if got := s.send(t, "GET /", "Authorization: "+value, cookies); got.Status != 200 || !strings.Contains(got.Body, s.Jane.User.ID) {
			t.Errorf("%q beside cookies: %v", value, got)
		}
	}
	for _, value := range []string{
		"Bearer", "Bearer ", "BearerTOKEN", "Bearer:TOKEN", "TOKEN", "Negotiate", "Basic", "Basic  TOKEN", "undefined",
		"Bearer  TOKEN", "Bearer\tTOKEN", "Bearer \tTOKEN", "Bearer\t TOKEN", "Bearer TOKEN, Basic x", "Bearer TOKEN,TOKEN", "Bearer TOKEN TOKEN", "Bearer ,TOKEN", "Bearer \"TOKEN\"", "Bearer \u00a0TOKEN", "Bearer ak_x, Basic x", "Bearer ak_x ak_y", "Bearer ak_\u00e9",
	} {
		for _, path := range []string{"/", "/public/"} {
			testkit.WantReply(t, s.send(t, "GET "+path, "Authorization: "+value), 401, clerkauth.ErrTokenInvalid)
			testkit.WantReply(t, s.send(t, "GET "+path, "Authorization: "+value, cookies), 401, clerkauth.ErrTokenInvalid)
		}
	}
}

// foldedAuthorization: net/http joins folded lines by a space.
func foldedAuthorization(t *testing.T) {
	s := newSite(t)
	token := s.Jane.Token()
	for _, fold := range []string{"\r\n ", "\r\n\t", "\n "} {
		got := s.send(t, "GET /", "Authorization: Bearer "+token[:40]+fold+token[40:])
		testkit.WantReply(t, got, 401, clerkauth.ErrTokenInvalid)
	}
	testkit.WantReply(t, s.send(t, "GET /", "Authorization: Bearer "+token), 200, "")
}

// spaceBeforeColon: net/http rejects it before any handler; this pins that.
func spaceBeforeColon(t *testing.T) {
	s := newSite(t)
	for _, header := range []string{"Authorization : Bearer TOKEN", "Authorization\t: Bearer TOKEN", " Authorization: Bearer TOKEN"} {
		if got := s.send(t, "GET /", header); got.Status != 400 || got.Entered {
			t.Errorf("%q: %v", header, got)
		}
	}
	testkit.WantReply(t, s.send(t, "GET /", "Authorization:Bearer TOKEN"), 200, "")
}

func credentialsElsewhere(t *testing.T) {
	s := newSite(t)
	for _, header := range []string{
		"Proxy-Authorization: Bearer TOKEN", "X-Authorization: Bearer TOKEN", "X-Access-Token: TOKEN", "X-Forwarded-Authorization: Bearer TOKEN",
		"Cookie: session=TOKEN", "Sec-WebSocket-Protocol: bearer, TOKEN", "Authentication: Bearer TOKEN",
	} {
		s.anonymous(t, header)
	}
	// The cookie of a session is none without those that Clerk sets beside it.
	for _, cookie := range []string{"__session=TOKEN", "__session=TOKEN; __client_uat=1", "__session=TOKEN; __clerk_db_jwt=db", "__session=TOKEN; __client_uat=0; __clerk_db_jwt=db", "__client_uat=1; __clerk_db_jwt=db"} {
		if got := s.send(t, "GET /", "Cookie: "+cookie); got.Status != 401 {
			t.Errorf("%s: %v", cookie, got)
		}
		if got := s.send(t, "GET /public/", "Cookie: "+cookie); got.Status != 200 || got.Body != `public ""` {
			t.Errorf("%s: %v", cookie, got)
		}
	}
	testkit.WantReply(t, s.send(t, "GET /", "Cookie: __session=TOKEN; __client_uat=1; __clerk_db_jwt=db"), 200, "")
	for _, query := range []string{"access_token", "token", "__session", "__clerk_session", "jwt"} {
		testkit.WantReply(t, s.send(t, "GET /?"+query+"=TOKEN"), 401, clerkauth.ErrTokenMissing)
	}
	form := "access_token=" + s.Jane.Token()
	raw := request("POST /", "Host: app.example.com", "Content-Type: application/x-www-form-urlencoded", fmt.Sprint("Content-Length: ", len(form))) + form
	testkit.WantReply(t, testkit.Exchange(t, s.server, raw)[0], 401, clerkauth.ErrTokenMissing)
	testkit.WantReply(t, s.send(t, "GET /", "Authorization: Bearer TOKEN"), 200, "")
}

// headersWithoutEffect sends each of these headers alone and all together, without a
// credential, with an invalid and with a valid one, and requires the same responses
// as without them.
func headersWithoutEffect(headers ...string) func(*testing.T) {
	return func(t *testing.T) {
		s := newSite(t)
		sets := [][]string{headers}
		for _, h := range headers {
			sets = append(sets, []string{h})
		}
		for _, set := range sets {
			s.anonymous(t, set...)
			testkit.WantReply(t, s.send(t, "GET /", append([]string{"Authorization: Bearer x"}, set...)...), 401, clerkauth.ErrTokenInvalid)
			got := s.send(t, "GET /", append([]string{"Authorization: Bearer TOKEN"}, set...)...)
			if testkit.WantReply(t, got, 200, ""); !strings.Contains(got.Body, s.Jane.User.ID) {
				t.Errorf("%q: %s", set, got.Body)
			}
		}
		rulesHearNothingOf(t, headers...)
	}
}

// returnURL returns the redirect_url of the response to a page request, which has to
// be a redirect to the account portal without a trace of evil.
func (s *site) returnURL(t *testing.T, raw string) string {
	t.Helper()
	got := testkit.Exchange(t, s.server, raw)
	if len(got) != 1 || got[0].Status != 303 {
		t.Fatalf("%q: %v", raw, got)
	}
	return s.checkLocation(t, raw, got[0].Header.Get("Location"), got[0].Body)
}

func (s *site) checkLocation(t *testing.T, what, location, body string) string {
	t.Helper()
	u, err := url.Parse(location)
	if err != nil || u.Scheme != "https" || u.Host != strings.Replace(strings.TrimPrefix(s.Server.Issuer(), "https://"), ".clerk.", ".", 1) || u.Path != "/sign-in" ||
		strings.Contains(location+body, "evil") {
		t.Errorf("%q: sent to %s", what, location)
		return ""
	}
	return u.Query().Get("redirect_url")
}

// page are the header lines of a page request by a browser that the instance knows.
const page = "Accept: text/html\r\nCookie: __clerk_db_jwt=db"

// unmoved sends a page request with each of these headers, and requires the return
// URL to be that of the request: nothing that it passed is a trusted proxy.
func unmoved(t *testing.T, headers ...string) {
	t.Helper()
	for want, s := range map[string]*site{
		"https://app.example.com/x?y=1":  newSite(t),
		"http://app.example.com/x?y=1":   newSite(t, testkit.AnyParty, behind("10.0.0.0/8", "2001:db8::/32")),
		"https://www.example.com/x?y=1":  newSite(t, func(c *clerkauth.Config) { c.Browser.PublicOrigin = "https://www.example.com" }),
		"https://www2.example.com/x?y=1": newSite(t, testkit.AnyParty, func(c *clerkauth.Config) { c.Browser.PublicOrigin = "https://www2.example.com" }),
	} {
		for _, header := range append(headers, "X-Other: x") {
			if got := s.returnURL(t, request("GET /x?y=1", "Host: app.example.com", page, header)); got != want {
				t.Errorf("%q: sent back to %s, want %s", header, got, want)
			}
		}
	}
}

func forwardedHosts(t *testing.T) {
	unmoved(t, "X-Forwarded-Host: evil.com", "X-Forwarded-Host: a, evil.com", "X-Forwarded-Host: evil.com/..", "X-Forwarded-Host: evil.com@app", "X-Forwarded-Host: app:99999",
		"X-Forwarded-Host: [::1", "X-Forwarded-Host: ", "X-Forwarded-Host: "+strings.Repeat("evil", 2560), "X-Forwarded-Port: 666", "X-Forwarded-Server: evil", "X-Host: evil")
}

func forwardedSchemes(t *testing.T) {
	unmoved(t, "X-Forwarded-Proto: javascript", "X-Forwarded-Proto: https, http", "X-Forwarded-Proto: HTTPS", "X-Forwarded-Proto: https://evil/", "X-Forwarded-Scheme: ftp", "X-Forwarded-Ssl: on")
}

func forwarded(t *testing.T) {
	unmoved(t, "Forwarded: host=evil;proto=https", "Forwarded: for=1.2.3.4;host=evil\r\nX-Forwarded-Host: evil\r\nX-Forwarded-Proto: https")
}

// foreignHosts: the page lists 400, as net/http responds to some of these; here a
// page on an unknown Host is redirected to sign-in without a return URL, so that
// nothing of it is reflected. With InsecureAnyParty any valid host is accepted.
func foreignHosts(t *testing.T) {
	parties, anyParty := newSite(t), newSite(t, testkit.AnyParty)
	public := newSite(t, func(c *clerkauth.Config) { c.Browser.PublicOrigin = "https://www.example.com" })
	back := func(s *site, host string) string {
		raw := request("GET /x", "Host: "+host, page)
		if got := testkit.Exchange(t, s.server, raw); len(got) == 1 && got[0].Status == 400 && !strings.Contains(got[0].Body, "evil") {
			return "400"
		}
		return s.returnURL(t, raw)
	}
	for _, host := range []string{"evil.com", "a/b", "a@evil", "evil:99999", "", "app.example.com.evil.com", "app.example.com:443", "app.example.com.", "evilapp.example.com", "[::1]"} {
		if got := back(parties, host); got != "" && got != "400" {
			t.Errorf("Host %q: sent back to %s", host, got)
		}
		if got := back(public, host); got != "https://www.example.com/x" && got != "400" {
			t.Errorf("Host %q, with a PublicOrigin: sent back to %s", host, got)
		}
	}
	for _, host := range []string{"app.example.com", "APP.example.com"} {
		if got := back(parties, host); got != "https://app.example.com/x" {
			t.Errorf("Host %q: sent back to %q", host, got)
		}
	}
	for _, host := range []string{"a/b", "a@b", "a?b", "a#b", "", "a b", "[::1", `a\b`, "a:b", "a,b", "a%2fb", "a;b", "a..b", "[::1%25x]", "\"a\""} {
		if got := back(anyParty, host); got != "" && got != "400" {
			t.Errorf("Host %q, with InsecureAnyParty: sent back to %q", host, got)
		}
	}
	for _, host := range []string{"other.example", "other.example:99999", "[::1]:80"} {
		if got := back(anyParty, host); got != "http://"+host+"/x" {
			t.Errorf("Host %q, with InsecureAnyParty: sent back to %q", host, got)
		}
	}
}

func absoluteForm(t *testing.T) {
	s := newSite(t)
	for _, c := range []struct{ target, host, want string }{
		{"/x", "app.example.com", "https://app.example.com/x"},
		{"http://evil.example/x", "app.example.com", ""}, // RFC 9112 section 3.2.2: the target's host counts
		{"http://app.example.com/x", "evil.example", "https://app.example.com/x"},
		{"http://user:evil@app.example.com/x", "app.example.com", "https://app.example.com/x"},
	} {
		if got := s.returnURL(t, request("GET "+c.target, "Host: "+c.host, page)); got != c.want {
			t.Errorf("%s, Host %s: sent back to %q, want %q", c.target, c.host, got, c.want)
		}
	}
	for _, c := range []struct{ path, authority, want string }{
		{"/x", "app.example.com", "https://app.example.com/x"},
		{"http://evil.example/x", "app.example.com", "https://app.example.com/x"}, // of the target only the path counts
		{"/x", "evil.example", ""},
		{"http://app.example.com/x", "evil.example", ""},
	} {
		s.location.Store("")
		body := testkit.ExchangeHTTP2(t, s.server, [][2]string{
			{":method", "GET"}, {":scheme", "http"}, {":authority", c.authority}, {":path", c.path}, {"accept", "text/html"}, {"cookie", "__clerk_db_jwt=db"},
		})
		location, _ := s.location.Load().(string)
		if body == "" && location == "" && !strings.HasPrefix(c.path, "/") {
			continue // from Go 1.27 on net/http itself rejects an absolute :path
		}
		if got := s.checkLocation(t, c.path, location, body); got != c.want || body == "" {
			t.Errorf("HTTP/2: %s, :authority %s: sent back to %q, want %q", c.path, c.authority, got, c.want)
		}
	}
}
