package clerkauth_test

import (
	"errors"
	"fmt"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"bufio"
	"bytes"

	"github.com/clerkauth/clerkauth"
	"github.com/clerkauth/clerkauth/clerkauthtest"
	"github.com/clerkauth/clerkauth/internal/testkit"
)

// showing wraps next in a handler that writes the caller, and why there is none.
func showing(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		who := clerkauth.FromContext(r.Context())
		fmt.Fprintf(w, "%s|%v|%v", who.UserID, who.SignedIn(), who.Err())
		if next != nil {
			next.ServeHTTP(w, r)
		}
	})
}

// public returns Handler around a handler without requirements.
func public(r *testkit.Rig) clerkauth.Middleware {
	return func(next http.Handler) http.Handler { return r.Auth.Handler(showing(next)) }
}

func TestMiddlewareFitsWhereFunctionsDo(t *testing.T) {
	r := testkit.NewRig(t)
	var plain func(http.Handler) http.Handler = r.Auth.Require()
	var identify clerkauth.Middleware = r.Auth.Handler
	for _, h := range []http.Handler{plain(http.HandlerFunc(testkit.Hello)), r.Auth.Require().Func(testkit.Hello), identify.Func(testkit.Hello), identify(r.Auth.Require().Func(testkit.Hello))} {
		req := httptest.NewRequest(http.MethodGet, "/", nil)
		r.Jane.Authorize(req)
		w := httptest.NewRecorder()
		h.ServeHTTP(w, req)
		if w.Code != 200 || !strings.Contains(w.Body.String(), r.Jane.User.ID) {
			t.Errorf("%d %s", w.Code, w.Body)
		}
	}
}

func TestHandlerLetsCallersWithoutCredentialThrough(t *testing.T) {
	r := testkit.NewRig(t)
	for what, edit := range map[string]func(*http.Request){
		"nothing": testkit.Bearer(""), "another scheme": func(r *http.Request) { r.SetBasicAuth("a", "b") }, "a page": testkit.AsPage,
	} {
		if got := testkit.Serve(public(r), edit); got.Status != 200 || !strings.HasPrefix(got.Body, "|false|<nil>") {
			t.Errorf("%s: %v", what, got)
		}
	}
	// A session cookie that is none is no credential either, but worth an Err.
	got := testkit.Serve(public(r), testkit.KnownBrowser, func(r *http.Request) { r.AddCookie(&http.Cookie{Name: "__session", Value: "x.y.z"}) })
	if got.Status != 200 || !strings.HasPrefix(got.Body, "|false|clerkauth: ") || !strings.Contains(got.Body, "session-token-but-no-client-uat") {
		t.Errorf("a cookie: %v", got)
	}
	if n := r.Fetches(); n != 0 {
		t.Errorf("%d fetches for anonymous callers", n)
	}
}

func TestBadBearerIsRefusedEverywhere(t *testing.T) {
	r := testkit.NewRig(t)
	for what, token := range map[string]string{
		"garbage": "x.y.z", "expired": r.Jane.Token(clerkauthtest.WithClaim("exp", 1)), "another key's": r.Jane.Token(clerkauthtest.SignedBy(testkit.OtherKey())), "an unknown key's": testkit.WithKeyID(r.Jane.Token(), "ins_x"),
		"a template's": r.Jane.TemplateToken("x", nil), "of no issuer": r.Jane.Token(clerkauthtest.WithoutClaim("iss")), "without a party": r.Jane.Token(clerkauthtest.WithoutParty()),
	} {
		for _, wrap := range []clerkauth.Middleware{r.Auth.Handler, r.Auth.Require(clerkauth.Public), r.Auth.Require(), r.Identified(), r.Identified(clerkauth.Public)} {
			if got := testkit.Serve(wrap, testkit.Bearer(token)); got.Status != 401 || got.Entered {
				t.Errorf("%s: %v", what, got)
			}
			want := 401
			if what == "expired" {
				want = 307 // a handshake renews it
			}
			if got := testkit.Serve(wrap, testkit.Bearer(token), testkit.AsPage); got.Status != want || got.Entered {
				t.Errorf("%s, for a page: %v", what, got)
			}
		}
	}
}

func TestMachineCredentialsAreAnonymousUntilRequired(t *testing.T) {
	r := testkit.NewRig(t)
	r.Server.Fail(clerkauthtest.JWKS, 500) // they cause no request
	for what, token := range map[string]string{
		"API key": "ak_x", "machine-to-machine": "mt_x", "OAuth": "oat_x", "machine-to-machine JWT": r.Jane.Token(clerkauthtest.WithClaim("sub", "mch_1")), "OAuth JWT": r.Jane.Token(clerkauthtest.WithHeader("typ", "at+jwt")),
	} {
		got := testkit.Serve(public(r), testkit.Bearer(token))
		if got.Status != 200 || !strings.HasPrefix(got.Body, "|false|") || !strings.Contains(got.Body, string(clerkauth.ErrTokenType)) {
			t.Errorf("%s: %v", what, got)
		}
		testkit.WantReply(t, testkit.Serve(r.Identified(), testkit.Bearer(token)), 401, clerkauth.ErrTokenType)
		testkit.WantReply(t, testkit.Serve(r.Auth.Require(clerkauth.Public), testkit.Bearer(token)), 200, "")
	}
	if n := r.Server.Requests(clerkauthtest.Backend | clerkauthtest.Frontend); n != 0 {
		t.Errorf("%d requests", n)
	}
}

// TestWorkIsDoneOnce: inside Handler nothing is verified again, even if the token
// has expired in between.
func TestWorkIsDoneOnce(t *testing.T) { testkit.Bubble(workIsDoneOnce)(t) }

func workIsDoneOnce(t *testing.T) {
	r := testkit.NewRig(t)
	var looks atomic.Int64 // fetches look, too
	r.Auth = testkit.NewAuth(t, r.Server, func(c *clerkauth.Config) { c.Now = func() time.Time { looks.Add(1); return r.Server.Now() } })
	token := r.Jane.Token()
	testkit.WantReply(t, testkit.Serve(r.Auth.Require(), testkit.Bearer(token)), 200, "")
	synctest.Wait() // the fetch has completed
	looks.Store(0)
	testkit.WantReply(t, testkit.Serve(r.Auth.Require(), testkit.Bearer(token)), 200, "")
	alone := looks.Load()
	looks.Store(0)
	testkit.WantReply(t, testkit.Serve(func(next http.Handler) http.Handler {
		for range 5 {
			next = r.Auth.Require(clerkauth.Role("admin"))(r.Auth.Handler(next))
		}
		return r.Auth.Handler(http.HandlerFunc(func(w http.ResponseWriter, req *http.Request) {
			r.Server.Advance(time.Hour)
			if who := r.Auth.Authenticate(req).Auth(); who.UserID != r.Jane.User.ID {
				t.Errorf("Authenticate returned %+v", who)
			}
			next.ServeHTTP(w, req)
		}))
	}, testkit.Bearer(token)), 200, "")
	if looks.Load() != alone || alone == 0 {
		t.Errorf("the clock was looked at %d times, and %d times without Handler", looks.Load(), alone)
	}
	testkit.WantReply(t, testkit.Serve(r.Identified(), testkit.Bearer(token)), 401, clerkauth.ErrTokenExpired)
}

// TestEachAuthenticatorBelievesItself: two Authenticators around one handler, in
// both orders, each accept only their own identity. Row 203 of the catalogue covers
// other values in a context.
func TestEachAuthenticatorBelievesItself(t *testing.T) {
	one, two := testkit.NewRig(t), testkit.NewRig(t)
	for _, c := range []struct {
		token  string
		status int
	}{{one.Jane.Token(), 401}, {two.Jane.Token(), 401}, {"", 401}} {
		for _, outer := range []*testkit.Rig{one, two} {
			inner := map[*testkit.Rig]*testkit.Rig{one: two, two: one}[outer]
			testkit.WantReply(t, testkit.Serve(func(next http.Handler) http.Handler { return outer.Auth.Require()(inner.Auth.Require()(next)) }, testkit.Bearer(c.token)), c.status, "")
		}
	}
	same := testkit.NewAuth(t, one.Server) // of one instance, and yet another
	got := testkit.Serve(func(next http.Handler) http.Handler {
		return one.Auth.Handler(same.Require()(one.Auth.Require()(next)))
	}, testkit.Bearer(one.Jane.Token()))
	if testkit.WantReply(t, got, 200, ""); one.Fetches() != 2 {
		t.Errorf("%d fetches", one.Fetches())
	}
}

func TestOutageIsNotTheCallersFault(t *testing.T) {
	r := testkit.NewRig(t)
	r.Server.Fail(clerkauthtest.JWKS, 503)
	r.Server.RetryAfter(clerkauthtest.JWKS, 17)
	token := r.Jane.Token()
	for _, requirements := range [][]clerkauth.Access{{}, {clerkauth.Role("admin")}, {clerkauth.ReverifiedStrict}} {
		for _, edit := range []func(*http.Request){testkit.Bearer(""), testkit.AsPage} {
			got := testkit.WantReply(t, testkit.Serve(r.Identified(requirements...), testkit.Bearer(token), edit), 503, clerkauth.ErrKeysUnavailable)
			if got.Header.Get("Retry-After") != "17" || got.Header.Get("Cache-Control") != "no-store" || got.Header.Get("WWW-Authenticate") != "" {
				t.Errorf("%v", got.Header)
			}
		}
	}
	for _, wrap := range []clerkauth.Middleware{public(r), func(next http.Handler) http.Handler { return r.Auth.Require(clerkauth.Public)(showing(next)) }} {
		if got := testkit.Serve(wrap, testkit.Bearer(token)); got.Status != 200 || !strings.HasPrefix(got.Body, "|false|clerkauth: ") || !strings.Contains(got.Body, string(clerkauth.ErrKeysUnavailable)) {
			t.Errorf("%v", got)
		}
	}
}

func TestPendingSessionsAreSignedOut(t *testing.T) {
	r := testkit.NewRig(t)
	token := r.Server.SignIn(r.Jane.User, clerkauthtest.Pending()).Token()
	testkit.WantReply(t, testkit.Serve(r.Identified(), testkit.Bearer(token)), 401, clerkauth.ErrSessionPending)
	testkit.Serve(func(http.Handler) http.Handler {
		return r.Auth.Handler(http.HandlerFunc(func(w http.ResponseWriter, req *http.Request) {
			who := clerkauth.FromContext(req.Context())
			if who.SignedIn() || who.UserID != "" || who.SessionID != "" || who.SessionStatus != clerkauth.SessionPending || !errors.Is(who.Err(), clerkauth.ErrSessionPending) {
				t.Errorf("%+v", who)
			}
		}))
	}, testkit.Bearer(token))
	r.Auth = testkit.NewAuth(t, r.Server, func(c *clerkauth.Config) { c.AllowPending = true })
	testkit.WantReply(t, testkit.Serve(r.Identified(), testkit.Bearer(token)), 200, "")
	testkit.WantReply(t, testkit.Serve(r.Identified(), testkit.Bearer(r.Jane.Token(clerkauthtest.WithClaim("sts", "ended")))), 401, clerkauth.ErrTokenClaims)
}

// FuzzRequest serves arbitrary bytes that parse as a request. TOKEN in them stands
// for a valid token; a request enters if it has exactly one Authorization header with just
// that, and is not a CONNECT. It may enter by a cookie that has the token if it has no
// Authorization header, or one of another scheme.
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
		"GET / HTTP/1.1\r\nHost: app.example.com\r\nCookie: __session=TOKEN; __client_uat=1; __clerk_db_jwt=x\r\n\r\n",
		"GET / HTTP/1.1\r\nHost: app.example.com\r\nAuthorization: Basic eDp5\r\nCookie: __session=TOKEN; __client_uat=1; __clerk_db_jwt=x\r\n\r\n",
		"GET / HTTP/1.1\r\nHost: app.example.com\r\nAuthorization: Bearer\r\nCookie: __session=TOKEN; __client_uat=1; __clerk_db_jwt=x\r\n\r\n",
		"POST / HTTP/1.1\r\nHost: app.example.com\r\nSec-Fetch-Site: cross-site\r\nCookie: __session=TOKEN; __client_uat=1; __clerk_db_jwt=x\r\n\r\n",
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
		"no role": r.Auth.Require(clerkauth.Role("owner")).Func(enter), "hidden": hidden.Require().Func(enter),
	}
	statuses := []int{200, 303, 307, 400, 401, 403, 404, 405, 503}
	f.Fuzz(func(t *testing.T, raw []byte) {
		req, err := http.ReadRequest(bufio.NewReader(bytes.NewReader(bytes.ReplaceAll(raw, []byte("TOKEN"), []byte(token)))))
		if err != nil {
			return
		}
		lines := req.Header["Authorization"]
		good := req.Method != http.MethodConnect && len(lines) == 1 && len(lines[0]) > 7 && strings.EqualFold(lines[0][:7], "Bearer ") && lines[0][7:] == token
		allowed := good || req.Method != http.MethodConnect && (len(lines) == 0 || len(lines) == 1 && (lines[0] == "" || strings.Contains(lines[0], " ") && !strings.EqualFold(lines[0][:min(7, len(lines[0]))], "Bearer "))) &&
			strings.Contains(strings.Join(req.Header["Cookie"], ";"), token)
		for name, h := range handlers {
			entered = false
			w := httptest.NewRecorder()
			h.ServeHTTP(w, req.Clone(req.Context()))
			if entered && (!allowed || name == "no role") || !entered && good && (name == "guard" || name == "hidden") {
				t.Errorf("%s: reached: %v, status %d", name, entered, w.Code)
			}
			if !slices.Contains(statuses, w.Code) && (w.Code != testkit.RedirectStatus || !strings.Contains(name, "mux")) {
				t.Errorf("%s: status %d", name, w.Code)
			}
			if !allowed && req.Method != http.MethodConnect && strings.Contains(w.Body.String(), r.Jane.User.ID) {
				t.Errorf("%s: taken for a user: %s", name, w.Body)
			}
		}
	})
}

// FuzzHeaders: headers other than Authorization neither let in a caller who is
// refused without them, nor change who the caller is; cookies neither, beside a bearer
// token.
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
		bearer := true
		headers := func(req *http.Request) {
			for line := range strings.SplitSeq(strings.ReplaceAll(text, "TOKEN", good), "\n") {
				name, value, _ := strings.Cut(line, ":")
				if key := http.CanonicalHeaderKey(name); key != "Authorization" && (bearer || key != "Cookie") {
					req.Header.Add(name, strings.TrimSpace(value))
				}
			}
		}
		for what, c := range map[string]struct {
			token  string
			access clerkauth.Access
		}{
			"anonymous": {"", clerkauth.SignedIn}, "garbage": {"x", clerkauth.SignedIn}, "expired": {expired, clerkauth.SignedIn}, "a machine": {"ak_x", clerkauth.SignedIn},
			"wrong role": {good, clerkauth.Role("owner")}, "stale": {good, clerkauth.Reverified(clerkauth.FirstFactor, 1)},
		} {
			bearer = c.token != ""
			for _, wrap := range []clerkauth.Middleware{
				r.Auth.Require(c.access), func(next http.Handler) http.Handler { return r.Auth.Handler(r.Auth.Require(c.access)(next)) },
			} {
				if got := testkit.Serve(wrap, testkit.Bearer(c.token), headers); got.Entered || !slices.Contains([]int{303, 307, 401, 403, 503}, got.Status) {
					t.Errorf("%s: %v", what, got)
				}
			}
		}
		bearer = true
		if got := testkit.Serve(r.Auth.Require(clerkauth.Role("admin")), testkit.Bearer(good), headers); !got.Entered || !strings.Contains(got.Body, r.Jane.User.ID) {
			t.Errorf("the good: %v", got)
		}
	})
}
