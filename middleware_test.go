package clerkauth_test

import (
	"crypto/tls"
	"errors"
	"fmt"
	"net/http"
	"net/http/httptest"
	"net/url"
	"slices"
	"strings"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/clerkauth/clerkauth"
	"github.com/clerkauth/clerkauth/clerkauthtest"
	"github.com/clerkauth/clerkauth/internal/testkit"
)

// showing is a handler that says who is calling, and why he is not known.
func showing(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		who := clerkauth.FromContext(r.Context())
		fmt.Fprintf(w, "%s|%v|%v", who.UserID, who.SignedIn(), who.Err())
		if next != nil {
			next.ServeHTTP(w, r)
		}
	})
}

// public returns Handler around a handler that is not guarded.
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
		"nothing": testkit.Bearer(""), "another scheme": func(r *http.Request) { r.SetBasicAuth("a", "b") }, "a cookie": func(r *http.Request) { r.AddCookie(&http.Cookie{Name: "__session", Value: "x.y.z"}) }, "a page": testkit.AsPage,
	} {
		if got := testkit.Serve(public(r), edit); got.Status != 200 || !strings.HasPrefix(got.Body, "|false|<nil>") {
			t.Errorf("%s: %v", what, got)
		}
	}
	if n := r.Fetches(); n != 0 {
		t.Errorf("%d fetches for nobody", n)
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
			if got := testkit.Serve(wrap, testkit.Bearer(token), testkit.AsPage); got.Status != 401 || got.Entered { // a browser would send no bearer token
				t.Errorf("%s, for a page: %v", what, got)
			}
		}
	}
}

func TestMachineCredentialsWaitAndAreNobody(t *testing.T) {
	r := testkit.NewRig(t)
	r.Server.Fail(clerkauthtest.JWKS, 500) // nothing is asked about them
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

// TestWorkIsDoneOnce: inside of Handler nothing is verified again, though the token
// has expired meanwhile.
func TestWorkIsDoneOnce(t *testing.T) { testkit.Bubble(workIsDoneOnce)(t) }

func workIsDoneOnce(t *testing.T) {
	r := testkit.NewRig(t)
	var looks atomic.Int64 // fetches look, too
	r.Auth = testkit.NewAuth(t, r.Server, func(c *clerkauth.Config) { c.Now = func() time.Time { looks.Add(1); return r.Server.Now() } })
	token := r.Jane.Token()
	testkit.WantReply(t, testkit.Serve(r.Auth.Require(), testkit.Bearer(token)), 200, "")
	synctest.Wait() // the fetch has landed
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
				t.Errorf("Authenticate says %+v", who)
			}
			next.ServeHTTP(w, req)
		}))
	}, testkit.Bearer(token)), 200, "")
	if looks.Load() != alone || alone == 0 {
		t.Errorf("the clock was looked at %d times, and %d times without Handler", looks.Load(), alone)
	}
	testkit.WantReply(t, testkit.Serve(r.Identified(), testkit.Bearer(token)), 401, clerkauth.ErrTokenExpired)
}

// TestEachAuthenticatorBelievesItself: two of them around one handler, in both
// orders. Row 203 of the catalogue has what others may put into a context.
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
	for _, demands := range [][]clerkauth.Access{{}, {clerkauth.Role("admin")}, {clerkauth.ReverifiedStrict}} {
		for _, edit := range []func(*http.Request){testkit.Bearer(""), testkit.AsPage} {
			got := testkit.WantReply(t, testkit.Serve(r.Identified(demands...), testkit.Bearer(token), edit), 503, clerkauth.ErrKeysUnavailable)
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

// TestPagesAreSentToSignIn: GET and HEAD documents of who sent no bearer token.
func TestPagesAreSentToSignIn(t *testing.T) {
	r := testkit.NewRig(t)
	for what, c := range map[string]struct {
		method, dest, accept, authorization string
		page                                bool
	}{
		"document":             {"GET", "document", "", "", true},
		"iframe":               {"GET", "iframe", "*/*", "", true},
		"HEAD":                 {"HEAD", "document", "text/html", "", true},
		"old browser":          {"GET", "", "text/html,application/xhtml+xml,*/*;q=0.8", "", true},
		"html among others":    {"GET", "", "application/json, text/html;q=0.1", "", true},
		"basic authentication": {"GET", "document", "", "Basic eDp5", true},
		"POST":                 {"POST", "document", "text/html", "", false},
		"PUT":                  {"PUT", "document", "text/html", "", false},
		"OPTIONS":              {"OPTIONS", "document", "text/html", "", false},
		"fetch":                {"GET", "empty", "text/html", "", false},
		"image":                {"GET", "image", "text/html", "", false},
		"script":               {"GET", "script", "*/*", "", false},
		"curl":                 {"GET", "", "*/*", "", false},
		"json":                 {"GET", "", "application/json", "", false},
		"nothing":              {"GET", "", "", "", false},
		"bad bearer":           {"GET", "document", "text/html", "Bearer x", false},
		"machine":              {"GET", "document", "text/html", "Bearer ak_x", false},
		"two credentials":      {"GET", "document", "text/html", "two", false},
	} {
		got := testkit.Serve(r.Auth.Require(), func(req *http.Request) {
			req.Method, req.Host = c.method, "app.example.com"
			for name, value := range map[string]string{"Sec-Fetch-Dest": c.dest, "Accept": c.accept, "Authorization": c.authorization} {
				if value != "" {
					req.Header.Set(name, value)
				}
			}
			if c.authorization == "two" {
				req.Header["Authorization"] = []string{"Basic x", "Basic y"}
			}
		})
		if c.page != (got.Status == 307) || !c.page && got.Status != 401 || got.Entered || got.Header.Get("Cache-Control") != "no-store" {
			t.Errorf("%s: %v", what, got)
		}
		if c.page != (got.Header.Get("Location") != "") || c.page == (got.Header.Get("WWW-Authenticate") != "") {
			t.Errorf("%s: %v", what, got.Header)
		}
	}
	testkit.WantReply(t, testkit.Serve(r.Auth.Require(clerkauth.Role("owner")), testkit.AsPage, testkit.Bearer(r.Jane.Token())), 403, clerkauth.ErrForbidden)
}

// TestWayBack: where pages are sent to, and back from.
func TestWayBack(t *testing.T) {
	set := func(signIn string) func(*clerkauth.Config) {
		return func(c *clerkauth.Config) { c.Browser.SignInURL = signIn }
	}
	portal := "https://accounts.example.com/sign-in"
	for what, c := range map[string]struct {
		change            func(*clerkauth.Config)
		target, host      string
		tls               bool
		location, wayBack string
	}{
		"our host":            {nil, "/a/b?c=d&e=%20f", "app.example.com", false, portal, "https://app.example.com/a/b?c=d&e=%20f"},
		"with TLS":            {nil, "/", "app.example.com", true, portal, "https://app.example.com/"},
		"in capitals":         {nil, "/", "App.Example.COM", false, portal, "https://app.example.com/"},
		"another host":        {nil, "/", "evil.example", false, portal, ""},
		"another port":        {nil, "/", "app.example.com:8443", false, portal, ""},
		"no host":             {nil, "/", "", false, portal, ""},
		"two slashes":         {nil, "//evil.example/x", "app.example.com", false, portal, "https://app.example.com//evil.example/x"},
		"three slashes":       {nil, "///evil.example", "app.example.com", false, portal, "https://app.example.com///evil.example"},
		"backslash":           {nil, "/%5cevil.example", "app.example.com", false, portal, "https://app.example.com/%5cevil.example"},
		"escaped slash":       {nil, "/a%2Fb", "app.example.com", false, portal, "https://app.example.com/a%2Fb"},
		"line break":          {nil, "/a%0d%0aSet-Cookie:%20x=y", "app.example.com", false, portal, "https://app.example.com/a%0d%0aSet-Cookie:%20x=y"},
		"a query of its own":  {nil, "/?redirect_url=https://evil.example", "app.example.com", false, portal, "https://app.example.com/?redirect_url=https://evil.example"},
		"own page":            {set("/sign-in"), "/x", "app.example.com", false, "/sign-in", "https://app.example.com/x"},
		"own page, host":      {set("https://www.example.com/in?theme=dark&redirect_url=x"), "/x", "app.example.com", false, "https://www.example.com/in?theme=dark", "https://app.example.com/x"},
		"own page, evil host": {set("/sign-in"), "/x", "evil.example", false, "/sign-in", ""},
		"public origin":       {func(c *clerkauth.Config) { c.Browser.PublicOrigin = "https://public.example" }, "/x", "evil.example", false, portal, "https://public.example/x"},
		"any party":           {testkit.AnyParty, "/x", "any.example:81", true, portal, "https://any.example:81/x"},
		"any party, no TLS":   {testkit.AnyParty, "/x", "any.example:81", false, portal, "http://any.example:81/x"},
		"http party": {func(c *clerkauth.Config) {
			c.AuthorizedParties = []string{"http://localhost:3000", "capacitor://localhost"}
		}, "/x", "localhost:3000", false, portal, "http://localhost:3000/x"},
		"native party alone": {func(c *clerkauth.Config) { c.AuthorizedParties = []string{"capacitor://localhost"} }, "/x", "localhost", false, portal, ""},
	} {
		config := testkit.Config()
		if c.change != nil {
			c.change(&config)
		}
		auth, err := clerkauth.New(config)
		if err != nil {
			t.Fatal(err)
		}
		var req *http.Request
		got := testkit.Serve(auth.Require(), testkit.AsPage, func(r *http.Request) {
			u, err := url.ParseRequestURI(c.target)
			if err != nil {
				t.Fatal(err)
			}
			if r.URL, r.Host = u, c.host; c.tls {
				r.TLS = &tls.ConnectionState{}
			}
			req = r
		})
		location, err := url.Parse(got.Header.Get("Location"))
		if err != nil || got.Status != 307 {
			t.Fatalf("%s: %v", what, got)
		}
		query := location.Query()
		if back := query["redirect_url"]; c.wayBack == "" && back != nil && query.Get("redirect_url") != "x" || c.wayBack != "" && !slices.Equal(back, []string{c.wayBack}) {
			t.Errorf("%s: sent back to %q, want %q", what, back, c.wayBack)
		}
		query.Del("redirect_url")
		if location.RawQuery = query.Encode(); location.String() != c.location {
			t.Errorf("%s: sent to %s, want %s", what, location, c.location)
		}
		if got.Header.Get("Location") != auth.SignInURL(req) {
			t.Errorf("%s: SignInURL is %s", what, auth.SignInURL(req))
		}
		if up := auth.SignUpURL(req); !strings.HasPrefix(up, "https://accounts.example.com/sign-up") || (c.wayBack != "") != strings.Contains(up, "redirect_url="+url.QueryEscape(c.wayBack)) {
			t.Errorf("%s: SignUpURL is %s", what, up)
		}
	}
}
