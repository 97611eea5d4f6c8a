package clerkauth_test

import (
	"bufio"
	"bytes"
	"fmt"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"testing"

	"github.com/clerkauth/clerkauth"
	"github.com/clerkauth/clerkauth/clerkauthtest"
	"github.com/clerkauth/clerkauth/internal/testkit"
)

// FuzzRequest hands any bytes that are a request to a server. TOKEN in them stands
// for a good token, so that it is known who may come in: who sends one
// Authorization header with just that, and does not CONNECT.
func FuzzRequest(f *testing.F) {
	r := testkit.NewRig(f)
	token := r.Jane.Token(testkit.LongLived)
	for _, seed := range []string{
		"GET / HTTP/1.1\r\nHost: app.example.com\r\n\r\n",
		"GET / HTTP/1.1\r\nHost: app.example.com\r\nAuthorization: Bearer TOKEN\r\n\r\n",
		"GET /guarded?x=1 HTTP/1.1\r\nHost: app.example.com\r\nAccept: text/html\r\nSec-Fetch-Dest: document\r\n\r\n",
		"HEAD //evil.example/x HTTP/1.1\r\nHost: evil.example\r\nAccept: text/html\r\n\r\n",
		"POST /public/ HTTP/1.1\r\nHost: a\r\nauthorization: bearer TOKEN\r\nContent-Length: 5\r\n\r\n12345",
		"GET / HTTP/1.1\r\nHost: a\r\nAuthorization: Bearer TOKEN\r\nAuthorization: Bearer TOKEN\r\n\r\n",
		"GET / HTTP/1.1\r\nHost: a\r\nAuthorization: Bearer  TOKEN\r\n\r\n",
		"GET / HTTP/1.1\r\nHost: a\r\nAuthorization: Bearer TOKEN.\r\n\r\n",
		"GET / HTTP/1.1\r\nHost: a\r\nAuthorization: Bearer eyJhbGciOiJub25lIn0.e30.\r\n\r\n",
		"GET / HTTP/1.1\r\nHost: a\r\nAuthorization: Bearer ak_x\r\nCookie: __session=TOKEN\r\n\r\n",
		"GET http://evil.example/../%2e%2e/x HTTP/1.1\r\nHost: app.example.com\r\nAccept: text/html\r\n\r\n",
		"CONNECT //x HTTP/1.1\r\nHost: a\r\nAuthorization: Bearer TOKEN\r\n\r\n", "OPTIONS * HTTP/1.1\r\nHost: a\r\n\r\n", "CONNECT a:1 HTTP/1.1\r\n\r\n", "GET http:x HTTP/1.0\r\nAccept: text/html\r\n\r\n",
		"foo /public/../ HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\nExpect: 100-continue\r\n\r\n0\r\n\r\n", "GET /%2f%5c HTTP/1.1\r\nHost: a@b\r\nAccept: text/html\r\n\r\n",
	} {
		f.Add([]byte(seed))
	}
	entered := false
	enter := func(w http.ResponseWriter, r *http.Request) { entered = true; testkit.Hello(w, r) }
	mux := http.NewServeMux()
	mux.Handle("/", r.Auth.Require().Func(enter))
	mux.Handle("/admin/{rest...}", r.Auth.Require(clerkauth.Role("admin")).Func(enter))
	mux.Handle("PUT /put", r.Auth.Require(clerkauth.Role("admin")).Func(enter))
	mux.HandleFunc("/public/", func(w http.ResponseWriter, r *http.Request) { fmt.Fprint(w, clerkauth.FromContext(r.Context()).UserID) })
	hidden := testkit.NewAuth(f, r.Server, func(c *clerkauth.Config) { c.HideUnauthorized = true })
	handlers := map[string]http.Handler{
		"guard": r.Auth.Require().Func(enter), "mux": mux, "identified mux": r.Auth.Handler(mux),
		"nobody": r.Auth.Require(clerkauth.Role("owner")).Func(enter), "hidden": hidden.Require().Func(enter),
	}
	statuses := []int{200, 307, 400, 401, 403, 404, 405, 503}
	f.Fuzz(func(t *testing.T, raw []byte) {
		req, err := http.ReadRequest(bufio.NewReader(bytes.NewReader(bytes.ReplaceAll(raw, []byte("TOKEN"), []byte(token)))))
		if err != nil {
			return
		}
		lines := req.Header["Authorization"]
		good := req.Method != http.MethodConnect && len(lines) == 1 && len(lines[0]) > 7 && strings.EqualFold(lines[0][:7], "Bearer ") && lines[0][7:] == token
		for name, h := range handlers {
			entered = false
			w := httptest.NewRecorder()
			h.ServeHTTP(w, req.Clone(req.Context()))
			if entered && (!good || name == "nobody") || !entered && good && (name == "guard" || name == "hidden") {
				t.Errorf("%s: reached: %v, status %d", name, entered, w.Code)
			}
			if !slices.Contains(statuses, w.Code) && (w.Code != testkit.RedirectStatus || !strings.Contains(name, "mux")) {
				t.Errorf("%s: status %d", name, w.Code)
			}
			if !good && req.Method != http.MethodConnect && strings.Contains(w.Body.String(), r.Jane.User.ID) {
				t.Errorf("%s: taken for somebody: %s", name, w.Body)
			}
		}
	})
}

// FuzzHeaders: no headers beside Authorization let anybody in who is refused
// without them, or make somebody else of who is let in.
func FuzzHeaders(f *testing.F) {
	r := testkit.NewRig(f)
	good := r.Jane.Token(testkit.LongLived)
	expired := r.Jane.Token(clerkauthtest.WithClaim("exp", r.Server.Now().Unix()-3600), clerkauthtest.WithoutClaim("iat"), clerkauthtest.WithoutClaim("nbf"))
	for _, seed := range []string{
		"", "Accept: text/html\nSec-Fetch-Dest: document", "Cookie: __session=TOKEN; __client_uat=1", "X-Clerk-Auth-Status: signed-in\nX-Clerk-Auth-Token: TOKEN",
		"X-Middleware-Subrequest: middleware:middleware", "X-Forwarded-Host: evil\nX-Forwarded-Proto: https\nForwarded: host=evil", "X-Original-URL: /public\nX-Rewrite-URL: /public",
		"Proxy-Authorization: Bearer TOKEN", "X-HTTP-Method-Override: OPTIONS", "Origin: https://app.example.com\nAccess-Control-Request-Method: GET", "Connection: Authorization, close",
		"Authorization_: Bearer TOKEN", "X-Authorization: Bearer TOKEN", "Authorization : Bearer TOKEN", "Upgrade: websocket\nConnection: Upgrade", "Host: app.example.com", "Expect: 100-continue",
		"Sec-WebSocket-Protocol: bearer, TOKEN", "authorization\x00: Bearer TOKEN", "Content-Type: application/x-www-form-urlencoded", ": x", "If-None-Match: *\nRange: bytes=0-1",
	} {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, text string) {
		headers := func(req *http.Request) {
			for line := range strings.SplitSeq(strings.ReplaceAll(text, "TOKEN", good), "\n") {
				name, value, _ := strings.Cut(line, ":")
				if http.CanonicalHeaderKey(name) != "Authorization" {
					req.Header.Add(name, strings.TrimSpace(value))
				}
			}
		}
		for what, c := range map[string]struct {
			token  string
			demand clerkauth.Access
		}{
			"nobody": {"", clerkauth.SignedIn}, "garbage": {"x", clerkauth.SignedIn}, "expired": {expired, clerkauth.SignedIn}, "a machine": {"ak_x", clerkauth.SignedIn},
			"wrong role": {good, clerkauth.Role("owner")}, "stale": {good, clerkauth.Reverified(clerkauth.FirstFactor, 1)},
		} {
			for _, wrap := range []clerkauth.Middleware{
				r.Auth.Require(c.demand), func(next http.Handler) http.Handler { return r.Auth.Handler(r.Auth.Require(c.demand)(next)) },
			} {
				if got := testkit.Serve(wrap, testkit.Bearer(c.token), headers); got.Entered || got.Status != 401 && got.Status != 403 && got.Status != 307 {
					t.Errorf("%s: %v", what, got)
				}
			}
		}
		if got := testkit.Serve(r.Auth.Require(clerkauth.Role("admin")), testkit.Bearer(good), headers); !got.Entered || !strings.Contains(got.Body, r.Jane.User.ID) {
			t.Errorf("the good: %v", got)
		}
	})
}
