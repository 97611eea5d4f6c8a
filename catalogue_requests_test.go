package clerkauth_test

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
)

// twoHostLines: net/http refuses them before any handler; this holds it to that.
func twoHostLines(t *testing.T) {
	s := newSite(t)
	for _, hosts := range [][]string{{"Host: app.example.com", "Host: evil.example"}, {"Host: evil.example", "Host: app.example.com"}, {"Host: app.example.com", "Host: app.example.com"}, {}} {
		got := exchange(t, s.server, request("GET /", append(hosts, "Authorization: Bearer "+s.jane.Token())...))
		if len(got) != 1 || got[0].status != 400 || got[0].entered {
			t.Errorf("%q: %v", hosts, got)
		}
	}
	wantReply(t, s.send(t, "GET /", "Authorization: Bearer TOKEN"), 200, "")
}

// credentialNamedInConnection: the guard stands before the proxy. One behind it,
// for which the proxy took the credential away, lets nobody in.
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
	front := &site{rig: s.rig, server: newWire(t, s.auth.Require().Func(func(w http.ResponseWriter, r *http.Request) {
		proxied.Add(1)
		proxy.ServeHTTP(w, r)
	}))}
	for _, name := range []string{"Authorization", "authorization", "X-Clerk-Auth-Token, Authorization"} {
		wantReply(t, front.send(t, "GET /", "Connection: "+name), 401, clerkauth.ErrTokenMissing)
		if n := proxied.Swap(0); n != 0 {
			t.Errorf("Connection: %s: nobody was let through", name)
		}
		wantReply(t, front.send(t, "GET /", "Authorization: Bearer TOKEN", "Connection: "+name), 401, clerkauth.ErrTokenMissing)
		if n := proxied.Swap(0); n != 1 {
			t.Errorf("Connection: %s: a good caller was refused before the proxy", name)
		}
	}
	wantReply(t, front.send(t, "GET /", "Authorization: Bearer TOKEN"), 200, "")
}

// overriddenMethods: rules are the router's, and it looks at the wire.
func overriddenMethods(t *testing.T) {
	r := newRig(t)
	mux := http.NewServeMux()
	mux.HandleFunc("GET /x", func(w http.ResponseWriter, _ *http.Request) { fmt.Fprint(w, "public") })
	mux.Handle("DELETE /x", r.auth.Require(clerkauth.Role("admin")).Func(hello))
	mux.Handle("POST /x", r.auth.Require(clerkauth.Role("owner")).Func(hello))
	s := &site{rig: r, server: newWire(t, r.auth.Handler(mux))}
	for _, override := range []string{"GET", "DELETE", "POST"} {
		headers := []string{"X-HTTP-Method-Override: " + override, "X-HTTP-Method: " + override, "X-Method-Override: " + override}
		for _, target := range []string{"/x", "/x?_method=" + override} {
			if got := s.send(t, "GET "+target, headers...); got.body != "public" {
				t.Errorf("GET for %s: %v", override, got)
			}
			wantReply(t, s.send(t, "DELETE "+target, headers...), 401, clerkauth.ErrTokenMissing)
			headers := append(headers, "Authorization: Bearer TOKEN")
			wantReply(t, s.send(t, "DELETE "+target, headers...), 200, "")
			wantReply(t, s.send(t, "POST "+target, headers...), 403, clerkauth.ErrForbidden)
		}
	}
}

func oddMethods(t *testing.T) {
	r := newRig(t)
	mux := http.NewServeMux()
	mux.Handle("/any", r.auth.Require().Func(hello))
	mux.Handle("GET /get", r.auth.Require().Func(hello))
	s := &site{rig: r, server: newWire(t, mux)}
	for method, of := range map[string]int{"GET": 200, "HEAD": 200, "get": 405, "FOO": 405, "TRACE": 405, "POST": 405, "GET2": 405, "PRI": 405} {
		for path, want := range map[string]int{"/any": 200, "/get": of} {
			signedOut := 401
			if want == 405 {
				signedOut = 405
			}
			if got := s.send(t, method+" "+path); got.status != signedOut || got.entered {
				t.Errorf("%s %s, signed out: %v", method, path, got)
			}
			got := s.send(t, method+" "+path, "Authorization: Bearer TOKEN")
			if got.status != want || got.entered != (want == 200 && method != "HEAD") {
				t.Errorf("%s %s, signed in: %v", method, path, got)
			}
		}
	}
}

// oddMethodsInRules: HEAD is for who may GET, and a method that no rule of a path
// names is for who may do the most there.
func oddMethodsInRules(t *testing.T) {
	r := newRig(t)
	protect, err := r.auth.Protect(clerkauth.Rules{
		"GET /open": clerkauth.Public, "POST /open": clerkauth.Role("org:owner"), "DELETE /open": clerkauth.SignedIn,
		"GET /own": clerkauth.SignedIn, "POST /own": clerkauth.Role("org:owner"),
	})
	if err != nil {
		t.Fatal(err)
	}
	s := &site{rig: r, server: newWire(t, protect(http.HandlerFunc(hello)))}
	for method, c := range map[string]struct{ open, openIn, own, ownIn int }{
		"GET": {200, 200, 401, 200}, "HEAD": {200, 200, 401, 200}, "POST": {401, 403, 401, 403}, "DELETE": {401, 200, 401, 403},
		"get": {401, 403, 401, 403}, "FOO": {401, 403, 401, 403}, "TRACE": {401, 403, 401, 403}, "PUT": {401, 403, 401, 403}, "HEAD2": {401, 403, 401, 403},
	} {
		for target, want := range map[string][2]int{"/open": {c.open, c.openIn}, "/own": {c.own, c.ownIn}} {
			if got := s.send(t, method+" "+target); got.status != want[0] || got.entered != (want[0] == 200 && method != "HEAD") {
				t.Errorf("%s %s, signed out: %v, want %d", method, target, got, want[0])
			}
			if got := s.send(t, method+" "+target, "Authorization: Bearer TOKEN"); got.status != want[1] || got.entered != (want[1] == 200 && method != "HEAD") {
				t.Errorf("%s %s, signed in: %v, want %d", method, target, got, want[1])
			}
		}
	}
}

// preflight: a preflight carries no credential and gets no further than anybody.
func preflight(t *testing.T) {
	s := newSite(t)
	asks := []string{"Origin: https://app.example.com", "Access-Control-Request-Method: GET", "Access-Control-Request-Headers: authorization"}
	for n := range len(asks) + 1 {
		got := wantReply(t, s.send(t, "OPTIONS /admin", asks[:n]...), 401, clerkauth.ErrTokenMissing)
		for name := range got.header {
			if strings.HasPrefix(name, "Access-Control-") {
				t.Errorf("it is answered with %s", name)
			}
		}
	}
	wantReply(t, s.send(t, "OPTIONS /admin", append(asks, "Authorization: Bearer TOKEN")...), 200, "")
}

// optionsStar: net/http answers it itself; no guard and no handler hear of it.
func optionsStar(t *testing.T) {
	s := newSite(t)
	for _, authorization := range []string{"Authorization: Bearer TOKEN", "Authorization: Bearer x", "X: x"} {
		if got := s.send(t, "OPTIONS *", authorization); got.status != 200 || got.body != "" {
			t.Errorf("%s: %v", authorization, got)
		}
	}
	wantReply(t, s.send(t, "OPTIONS /"), 401, clerkauth.ErrTokenMissing)
}

func bodies(t *testing.T) {
	s := newSite(t)
	good := "Authorization: Bearer " + s.jane.Token()
	host := "Host: app.example.com"
	for what, c := range map[string]struct {
		headers []string
		body    string
	}{
		"expected": {[]string{"Expect: 100-continue", "Content-Length: 5"}, "12345"},
		"chunked":  {[]string{"Transfer-Encoding: chunked"}, "2\r\n12\r\n3\r\n345\r\n0\r\n\r\n"},
		"plain":    {[]string{"Content-Length: 5"}, "12345"},
	} {
		got := exchange(t, s.server, request("POST /", append(c.headers, host, good)...)+c.body)
		if what == "expected" && len(got) == 2 && got[0].status == 100 {
			got = got[1:]
		}
		if len(got) != 1 || got[0].status != 200 || !strings.HasSuffix(got[0].body, "POST 12345") {
			t.Errorf("%s: %v", what, got)
		}
		// The guard answers before the body is sent, and never asks for it.
		sent := c.body
		if what == "expected" {
			sent = ""
		}
		got = exchange(t, s.server, request("POST /", append(c.headers, host)...)+sent)
		if len(got) != 1 || got[0].status != 401 {
			t.Errorf("%s, signed out: %v", what, got)
		}
	}
	upgrade := []string{host, "Upgrade: websocket", "Connection: Upgrade", "Sec-WebSocket-Version: 13", "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ=="}
	wantReply(t, exchange(t, s.server, request("GET /", upgrade...))[0], 401, clerkauth.ErrTokenMissing)
	wantReply(t, exchange(t, s.server, request("GET /", append(upgrade, good)...))[0], 200, "")
}

// smuggledRequests: whatever net/http takes for a second request is judged alone,
// though the first one of the connection was somebody's.
func smuggledRequests(t *testing.T) {
	s := newSite(t)
	good, second := "Authorization: Bearer "+s.jane.Token(), request("GET /admin", "Host: app.example.com")
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
		got := exchange(t, s.server, raw)
		if len(got) == 0 || got[0].status != c.first {
			t.Errorf("%s: %v, want %d", what, got, c.first)
		}
		for _, g := range got[min(1, len(got)):] {
			if g.entered {
				t.Errorf("%s: the second request got through: %v", what, g)
			}
		}
	}
}

// whatRefusalsSay: nothing of a credential, a key or a claim, and what a client
// needs to know.
func whatRefusalsSay(t *testing.T) {
	s := newSite(t)
	mux := http.NewServeMux()
	mux.Handle("/owners", s.auth.Require(clerkauth.Role("owner")).Func(hello))
	mux.Handle("/strict", s.auth.Require(clerkauth.ReverifiedStrict).Func(hello))
	mux.Handle("/", s.auth.Require().Func(hello))
	s.server = newWire(t, s.auth.Handler(mux))
	outage := newSite(t)
	outage.srv.Fail(clerkauthtest.JWKS, 500)
	good := s.jane.Token()
	for what, c := range map[string]struct {
		site      *site
		line      string
		token     string
		status    int
		challenge string
	}{
		"no token":       {s, "GET /", "", 401, "Bearer"},
		"garbage":        {s, "GET /", "x.y.z", 401, "invalid_token"},
		"expired":        {s, "GET /", s.jane.Token(clerkauthtest.ExpiresIn(-time.Hour), clerkauthtest.WithoutClaim("iat"), clerkauthtest.WithoutClaim("nbf")), 401, "invalid_token"},
		"unknown key":    {s, "GET /", withKeyID(good, "ins_of_another"), 401, "invalid_token"},
		"bad signature":  {s, "GET /", s.jane.Token(clerkauthtest.SignedBy(strangeKey())), 401, "invalid_token"},
		"foreign party":  {s, "GET /", s.jane.Token(clerkauthtest.WithClaim("azp", "https://party.example")), 401, "invalid_token"},
		"foreign issuer": {s, "GET /", s.jane.Token(clerkauthtest.WithClaim("iss", "https://issuer.example")), 401, "invalid_token"},
		"machine":        {s, "GET /", "ak_0123456789abcdef", 401, "invalid_token"},
		"wrong role":     {s, "GET /owners", good, 403, ""},
		"stale":          {s, "GET /strict", s.jane.Token(clerkauthtest.WithClaim("fva", []int{99999, 99999})), 403, ""},
		"page":           {s, "GET /page", "", 307, ""},
		"outage":         {outage, "GET /", outage.jane.Token(), 503, ""},
	} {
		headers := []string{"X: x"}
		if c.token != "" {
			headers = []string{"Authorization: Bearer " + c.token}
		}
		if c.status == 307 {
			headers = append(headers, page)
		}
		got := c.site.send(t, c.line, headers...)
		challenge := got.header.Get("WWW-Authenticate")
		if got.status != c.status || got.entered || got.header.Get("Cache-Control") != "no-store" || got.header.Get("Vary") != "Authorization" {
			t.Errorf("%s: %v", what, got)
		}
		if c.challenge == "" && challenge != "" || !strings.HasPrefix(challenge, "Bearer") && c.challenge != "" || !strings.Contains(challenge, c.challenge) {
			t.Errorf("%s: WWW-Authenticate is %q", what, challenge)
		}
		if after := got.header.Get("Retry-After"); (after != "") != (c.status == 503) {
			t.Errorf("%s: Retry-After is %q", what, after)
		}
		said := fmt.Sprint(got.header, got.body)
		for _, secret := range append(strings.Split(c.token, "."), c.site.srv.SecretKey(), rigKeyID, c.site.jane.User.ID, c.site.jane.ID, "ins_of", "acme", "99999", "party.example", "issuer.example") {
			if len(secret) > 1 && strings.Contains(said, secret) {
				t.Errorf("%s: the answer holds %q:\n%s", what, secret, said)
			}
		}
	}
}
