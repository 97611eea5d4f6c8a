package catalogue

import (
	"fmt"
	"net/http"
	"net/http/httputil"
	"net/url"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/clerkauth/clerkauth"
	"github.com/clerkauth/clerkauth/clerkauthtest"
	"github.com/clerkauth/clerkauth/internal/testkit"
)

// These rows test hosts, methods and bodies of requests, and the content of
// refusals.
var _ = addRows(rows{
	"141/two_host_lines":                 twoHostLines,
	"142/credential_named_in_connection": credentialNamedInConnection,
	"143/method_override": func(t *testing.T) {
		t.Run("handlers", overriddenMethods)
		for _, method := range []string{"GET", "DELETE", "POST", "OPTIONS"} {
			t.Run("rules for "+method, func(t *testing.T) {
				rulesHearNothingOf(t, "X-HTTP-Method-Override: "+method, "X-HTTP-Method: "+method, "X-Method-Override: "+method, "?_method="+method)
			})
		}
	},
	"144/odd_methods": func(t *testing.T) {
		t.Run("handlers", unusualMethods)
		t.Run("rules", unusualMethodsInRules)
	},
	"145/cors_preflight": func(t *testing.T) {
		t.Run("handlers", preflight)
		t.Run("rules", func(t *testing.T) {
			rulesHearNothingOf(t, "Origin: https://app.example.com", "Access-Control-Request-Method: GET", "Access-Control-Request-Headers: authorization")
		})
	},
	"146/options_star":        optionsStar,
	"147/bodies_and_upgrades": bodies,
	"148/smuggled_requests":   smuggledRequests,
	"149/what_refusals_say":   whatRefusalsSay,
})

// twoHostLines: net/http rejects such requests before any handler; this pins that.
func twoHostLines(t *testing.T) {
	s := newSite(t)
	for _, hosts := range [][]string{{"Host: app.example.com", "Host: evil.example"}, {"Host: evil.example", "Host: app.example.com"}, {"Host: app.example.com", "Host: app.example.com"}, {}} {
		got := testkit.Exchange(t, s.server, request("GET /", append(hosts, "Authorization: Bearer "+s.Jane.Token())...))
		if len(got) != 1 || got[0].Status != 400 || got[0].Entered {
			t.Errorf("%q: %v", hosts, got)
		}
	}
	testkit.WantReply(t, s.send(t, "GET /", "Authorization: Bearer TOKEN"), 200, "")
}

// credentialNamedInConnection: a guard in front of the proxy sees the credential.
// One behind it, whose credential the proxy removed, refuses the caller.
func credentialNamedInConnection(t *testing.T) {
	s := newSite(t)
	origin, err := url.Parse(s.server.URL)
	if err != nil {
		t.Fatal(err)
	}
	transport := &http.Transport{}
	t.Cleanup(transport.CloseIdleConnections)
	proxy := &httputil.ReverseProxy{Rewrite: func(r *httputil.ProxyRequest) { r.SetURL(origin) }, Transport: transport}
	var proxied atomic.Int64
	front := &site{Rig: s.Rig, server: testkit.NewServer(t, s.Auth.Require().Func(func(w http.ResponseWriter, r *http.Request) {
		proxied.Add(1)
		proxy.ServeHTTP(w, r)
	}))}
	for _, name := range []string{"Authorization", "authorization", "X-Clerk-Auth-Token, Authorization"} {
		testkit.WantReply(t, front.send(t, "GET /", "Connection: "+name), 401, clerkauth.ErrTokenMissing)
		if n := proxied.Swap(0); n != 0 {
			t.Errorf("Connection: %s: an anonymous caller was let through", name)
		}
		testkit.WantReply(t, front.send(t, "GET /", "Authorization: Bearer TOKEN", "Connection: "+name), 401, clerkauth.ErrTokenMissing)
		if n := proxied.Swap(0); n != 1 {
			t.Errorf("Connection: %s: a good caller was refused before the proxy", name)
		}
	}
	testkit.WantReply(t, front.send(t, "GET /", "Authorization: Bearer TOKEN"), 200, "")
}

// overriddenMethods: the method is that of the request line, as for the router.
func overriddenMethods(t *testing.T) {
	r := testkit.NewRig(t)
	mux := http.NewServeMux()
	mux.HandleFunc("GET /x", func(w http.ResponseWriter, _ *http.Request) { fmt.Fprint(w, "public") })
	mux.Handle("DELETE /x", r.Auth.Require(clerkauth.Role("admin")).Func(testkit.Hello))
	mux.Handle("POST /x", r.Auth.Require(clerkauth.Role("owner")).Func(testkit.Hello))
	s := &site{Rig: r, server: testkit.NewServer(t, r.Auth.Handler(mux))}
	for _, override := range []string{"GET", "DELETE", "POST"} {
		headers := []string{"X-HTTP-Method-Override: " + override, "X-HTTP-Method: " + override, "X-Method-Override: " + override}
		for _, target := range []string{"/x", "/x?_method=" + override} {
			if got := s.send(t, "GET "+target, headers...); got.Body != "public" {
				t.Errorf("GET for %s: %v", override, got)
			}
			testkit.WantReply(t, s.send(t, "DELETE "+target, headers...), 401, clerkauth.ErrTokenMissing)
			headers := append(headers, "Authorization: Bearer TOKEN")
			testkit.WantReply(t, s.send(t, "DELETE "+target, headers...), 200, "")
			testkit.WantReply(t, s.send(t, "POST "+target, headers...), 403, clerkauth.ErrForbidden)
		}
	}
}

func unusualMethods(t *testing.T) {
	r := testkit.NewRig(t)
	mux := http.NewServeMux()
	mux.Handle("/any", r.Auth.Require().Func(testkit.Hello))
	mux.Handle("GET /get", r.Auth.Require().Func(testkit.Hello))
	s := &site{Rig: r, server: testkit.NewServer(t, mux)}
	for method, of := range map[string]int{"GET": 200, "HEAD": 200, "get": 405, "FOO": 405, "TRACE": 405, "POST": 405, "GET2": 405, "PRI": 405} {
		for path, want := range map[string]int{"/any": 200, "/get": of} {
			signedOut := 401
			if want == 405 {
				signedOut = 405
			}
			if got := s.send(t, method+" "+path); got.Status != signedOut || got.Entered {
				t.Errorf("%s %s, signed out: %v", method, path, got)
			}
			got := s.send(t, method+" "+path, "Authorization: Bearer TOKEN")
			if got.Status != want || got.Entered != (want == 200 && method != "HEAD") {
				t.Errorf("%s %s, signed in: %v", method, path, got)
			}
		}
	}
}

// unusualMethodsInRules: HEAD requires what GET requires, and a method that no rule
// of a path names requires the strictest rule of that path.
func unusualMethodsInRules(t *testing.T) {
	r := testkit.NewRig(t)
	protect, err := r.Auth.Protect(clerkauth.Rules{
		"GET /open": clerkauth.Public, "POST /open": clerkauth.Role("org:owner"), "DELETE /open": clerkauth.SignedIn,
		"GET /own": clerkauth.SignedIn, "POST /own": clerkauth.Role("org:owner"),
	})
	if err != nil {
		t.Fatal(err)
	}
	s := &site{Rig: r, server: testkit.NewServer(t, protect(http.HandlerFunc(testkit.Hello)))}
	for method, c := range map[string]struct{ open, openIn, own, ownIn int }{
		"GET": {200, 200, 401, 200}, "HEAD": {200, 200, 401, 200}, "POST": {401, 403, 401, 403}, "DELETE": {401, 200, 401, 403},
		"get": {401, 403, 401, 403}, "FOO": {401, 403, 401, 403}, "TRACE": {401, 403, 401, 403}, "PUT": {401, 403, 401, 403}, "HEAD2": {401, 403, 401, 403},
	} {
		for target, want := range map[string][2]int{"/open": {c.open, c.openIn}, "/own": {c.own, c.ownIn}} {
			if got := s.send(t, method+" "+target); got.Status != want[0] || got.Entered != (want[0] == 200 && method != "HEAD") {
				t.Errorf("%s %s, signed out: %v, want %d", method, target, got, want[0])
			}
			if got := s.send(t, method+" "+target, "Authorization: Bearer TOKEN"); got.Status != want[1] || got.Entered != (want[1] == 200 && method != "HEAD") {
				t.Errorf("%s %s, signed in: %v, want %d", method, target, got, want[1])
			}
		}
	}
}

// preflight: a preflight carries no credential and is treated as an anonymous
// request.
func preflight(t *testing.T) {
	s := newSite(t)
	headers := []string{"Origin: https://app.example.com", "Access-Control-Request-Method: GET", "Access-Control-Request-Headers: authorization"}
	for n := range len(headers) + 1 {
		got := testkit.WantReply(t, s.send(t, "OPTIONS /admin", headers[:n]...), 401, clerkauth.ErrTokenMissing)
		for name := range got.Header {
			if strings.HasPrefix(name, "Access-Control-") {
				t.Errorf("it is answered with %s", name)
			}
		}
	}
	testkit.WantReply(t, s.send(t, "OPTIONS /admin", append(headers, "Authorization: Bearer TOKEN")...), 200, "")
}

// optionsStar: net/http itself responds; no guard and no handler is called.
func optionsStar(t *testing.T) {
	s := newSite(t)
	for _, authorization := range []string{"Authorization: Bearer TOKEN", "Authorization: Bearer x", "X: x"} {
		if got := s.send(t, "OPTIONS *", authorization); got.Status != 200 || got.Body != "" {
			t.Errorf("%s: %v", authorization, got)
		}
	}
	testkit.WantReply(t, s.send(t, "OPTIONS /"), 401, clerkauth.ErrTokenMissing)
}

func bodies(t *testing.T) {
	s := newSite(t)
	good := "Authorization: Bearer " + s.Jane.Token()
	host := "Host: app.example.com"
	for what, c := range map[string]struct {
		headers []string
		body    string
	}{
		"expected": {[]string{"Expect: 100-continue", "Content-Length: 5"}, "12345"},
		"chunked":  {[]string{"Transfer-Encoding: chunked"}, "2\r\n12\r\n3\r\n345\r\n0\r\n\r\n"},
		"plain":    {[]string{"Content-Length: 5"}, "12345"},
	} {
		got := testkit.Exchange(t, s.server, request("POST /", append(c.headers, host, good)...)+c.body)
		if what == "expected" && len(got) == 2 && got[0].Status == 100 {
			got = got[1:]
		}
		if len(got) != 1 || got[0].Status != 200 || !strings.HasSuffix(got[0].Body, "POST 12345") {
			t.Errorf("%s: %v", what, got)
		}
		// The guard responds before the body is sent, without 100 Continue.
		sent := c.body
		if what == "expected" {
			sent = ""
		}
		got = testkit.Exchange(t, s.server, request("POST /", append(c.headers, host)...)+sent)
		if len(got) != 1 || got[0].Status != 401 {
			t.Errorf("%s, signed out: %v", what, got)
		}
	}
	upgrade := []string{host, "Upgrade: websocket", "Connection: Upgrade", "Sec-WebSocket-Version: 13", "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ=="}
	testkit.WantReply(t, testkit.Exchange(t, s.server, request("GET /", upgrade...))[0], 401, clerkauth.ErrTokenMissing)
	testkit.WantReply(t, testkit.Exchange(t, s.server, request("GET /", append(upgrade, good)...))[0], 200, "")
}

// smuggledRequests: a second request in a body is authenticated by itself, although
// the first one of the connection had a credential.
func smuggledRequests(t *testing.T) {
	s := newSite(t)
	good, second := "Authorization: Bearer "+s.Jane.Token(), request("GET /admin", "Host: app.example.com")
	for what, c := range map[string]struct {
		headers []string
		first   int
	}{
		"both lengths":           {[]string{"Content-Length: 5", "Transfer-Encoding: chunked"}, 200}, // chunked counts (RFC 9112 section 6.3)
		"both lengths, swapped":  {[]string{"Transfer-Encoding: chunked", "Content-Length: 5"}, 200},
		"xchunked":               {[]string{"Transfer-Encoding: xchunked"}, 501},
		"chunked twice":          {[]string{"Transfer-Encoding: chunked", "Transfer-Encoding: chunked"}, 501},
		"identity":               {[]string{"Transfer-Encoding: chunked, identity", "Content-Length: 5"}, 501},
		"two content lengths":    {[]string{"Content-Length: 5", "Content-Length: 6"}, 400},
		"content length of sign": {[]string{"Content-Length: +5"}, 400},
		"control":                {[]string{"Content-Length: 5"}, 200},
	} {
		raw := "POST / HTTP/1.1\r\nHost: app.example.com\r\n" + good + "\r\n" + strings.Join(c.headers, "\r\n") + "\r\n\r\n" + "0\r\n\r\n" + second
		got := testkit.Exchange(t, s.server, raw)
		if len(got) == 0 || got[0].Status != c.first {
			t.Errorf("%s: %v, want %d", what, got, c.first)
		}
		for _, g := range got[min(1, len(got)):] {
			if g.Entered {
				t.Errorf("%s: the second request got through: %v", what, g)
			}
		}
	}
}

// whatRefusalsSay: a refusal contains no credential, key or claim, and what a client
// needs to know.
func whatRefusalsSay(t *testing.T) {
	s := newSite(t)
	mux := http.NewServeMux()
	mux.Handle("/owners", s.Auth.Require(clerkauth.Role("owner")).Func(testkit.Hello))
	mux.Handle("/strict", s.Auth.Require(clerkauth.ReverifiedStrict).Func(testkit.Hello))
	mux.Handle("/", s.Auth.Require().Func(testkit.Hello))
	s.server = testkit.NewServer(t, s.Auth.Handler(mux))
	outage := newSite(t)
	outage.Server.Fail(clerkauthtest.JWKS, 500)
	good := s.Jane.Token()
	for what, c := range map[string]struct {
		site      *site
		line      string
		token     string
		status    int
		challenge string
	}{
		"no token":       {s, "GET /", "", 401, "Bearer"},
		"garbage":        {s, "GET /", "x.y.z", 401, "invalid_token"},
		"expired":        {s, "GET /", s.Jane.Token(clerkauthtest.ExpiresIn(-time.Hour), clerkauthtest.WithoutClaim("iat"), clerkauthtest.WithoutClaim("nbf")), 401, "invalid_token"},
		"unknown key":    {s, "GET /", testkit.WithKeyID(good, "ins_of_another"), 401, "invalid_token"},
		"bad signature":  {s, "GET /", s.Jane.Token(clerkauthtest.SignedBy(testkit.OtherKey())), 401, "invalid_token"},
		"foreign party":  {s, "GET /", s.Jane.Token(clerkauthtest.WithClaim("azp", "https://party.example")), 401, "invalid_token"},
		"foreign issuer": {s, "GET /", s.Jane.Token(clerkauthtest.WithClaim("iss", "https://issuer.example")), 401, "invalid_token"},
		"machine":        {s, "GET /", "ak_0123456789abcdef", 401, "invalid_token"},
		"wrong role":     {s, "GET /owners", good, 403, ""},
		"stale":          {s, "GET /strict", s.Jane.Token(clerkauthtest.WithClaim("fva", []int{99999, 99999})), 403, ""},
		"page":           {s, "GET /page", "", 303, ""},
		"outage":         {outage, "GET /", outage.Jane.Token(), 503, ""},
	} {
		headers := []string{"X: x"}
		if c.token != "" {
			headers = []string{"Authorization: Bearer " + c.token}
		}
		if c.status == 303 {
			headers = append(headers, page)
		}
		got := c.site.send(t, c.line, headers...)
		challenge := got.Header.Get("WWW-Authenticate")
		if got.Status != c.status || got.Entered || got.Header.Get("Cache-Control") != "no-store" || got.Header.Get("Vary") != "Authorization, Cookie" {
			t.Errorf("%s: %v", what, got)
		}
		if c.challenge == "" && challenge != "" || !strings.HasPrefix(challenge, "Bearer") && c.challenge != "" || !strings.Contains(challenge, c.challenge) {
			t.Errorf("%s: WWW-Authenticate is %q", what, challenge)
		}
		if after := got.Header.Get("Retry-After"); (after != "") != (c.status == 503) {
			t.Errorf("%s: Retry-After is %q", what, after)
		}
		response := fmt.Sprint(got.Header, got.Body)
		for _, secret := range append(strings.Split(c.token, "."), c.site.Server.SecretKey(), testkit.KeyID, c.site.Jane.User.ID, c.site.Jane.ID, "ins_of", "acme", "99999", "party.example", "issuer.example") {
			if len(secret) > 1 && strings.Contains(response, secret) {
				t.Errorf("%s: the response contains %q:\n%s", what, secret, response)
			}
		}
	}
}
