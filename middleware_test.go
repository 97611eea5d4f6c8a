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

// public is Handler around a handler that is not guarded.
func (r *rig) public(next http.Handler) http.Handler { return r.auth.Handler(showing(next)) }

func TestMiddlewareFitsWhereFunctionsDo(t *testing.T) {
	r := newRig(t)
	var plain func(http.Handler) http.Handler = r.auth.Require()
	var identify clerkauth.Middleware = r.auth.Handler
	for _, h := range []http.Handler{plain(http.HandlerFunc(hello)), r.auth.Require().Func(hello), identify.Func(hello), identify(r.auth.Require().Func(hello))} {
		req := httptest.NewRequest(http.MethodGet, "/", nil)
		r.jane.Authorize(req)
		w := httptest.NewRecorder()
		h.ServeHTTP(w, req)
		if w.Code != 200 || !strings.Contains(w.Body.String(), r.jane.User.ID) {
			t.Errorf("%d %s", w.Code, w.Body)
		}
	}
}

func TestHandlerLetsCallersWithoutCredentialThrough(t *testing.T) {
	r := newRig(t)
	for what, edit := range map[string]func(*http.Request){
		"nothing": bearer(""), "another scheme": func(r *http.Request) { r.SetBasicAuth("a", "b") }, "a cookie": func(r *http.Request) { r.AddCookie(&http.Cookie{Name: "__session", Value: "x.y.z"}) }, "a page": asPage,
	} {
		if got := ask(r.public, edit); got.status != 200 || !strings.HasPrefix(got.body, "|false|<nil>") {
			t.Errorf("%s: %v", what, got)
		}
	}
	if n := r.fetches(); n != 0 {
		t.Errorf("%d fetches for nobody", n)
	}
}

func TestBadBearerIsRefusedEverywhere(t *testing.T) {
	r := newRig(t)
	for what, token := range map[string]string{
		"garbage": "x.y.z", "expired": r.jane.Token(claim("exp", 1)), "another key's": r.jane.Token(clerkauthtest.SignedBy(strangeKey())), "an unknown key's": withKeyID(r.jane.Token(), "ins_x"),
		"a template's": r.jane.TemplateToken("x", nil), "of no issuer": r.jane.Token(clerkauthtest.WithoutClaim("iss")), "without a party": r.jane.Token(clerkauthtest.WithoutParty()),
	} {
		for _, wrap := range []clerkauth.Middleware{r.auth.Handler, r.auth.Require(clerkauth.Public), r.auth.Require(), r.identified(), r.identified(clerkauth.Public)} {
			if got := ask(wrap, bearer(token)); got.status != 401 || got.entered {
				t.Errorf("%s: %v", what, got)
			}
			if got := ask(wrap, bearer(token), asPage); got.status != 401 || got.entered { // a browser would send no bearer token
				t.Errorf("%s, for a page: %v", what, got)
			}
		}
	}
}

func TestMachineCredentialsWaitAndAreNobody(t *testing.T) {
	r := newRig(t)
	r.srv.Fail(clerkauthtest.JWKS, 500) // nothing is asked about them
	for what, token := range map[string]string{
		"API key": "ak_x", "machine-to-machine": "mt_x", "OAuth": "oat_x", "machine-to-machine JWT": r.jane.Token(claim("sub", "mch_1")), "OAuth JWT": r.jane.Token(clerkauthtest.WithHeader("typ", "at+jwt")),
	} {
		got := ask(r.public, bearer(token))
		if got.status != 200 || !strings.HasPrefix(got.body, "|false|") || !strings.Contains(got.body, string(clerkauth.ErrTokenType)) {
			t.Errorf("%s: %v", what, got)
		}
		wantReply(t, ask(r.identified(), bearer(token)), 401, clerkauth.ErrTokenType)
		wantReply(t, ask(r.auth.Require(clerkauth.Public), bearer(token)), 200, "")
	}
	if n := r.srv.Requests(clerkauthtest.Backend | clerkauthtest.Frontend); n != 0 {
		t.Errorf("%d requests", n)
	}
}

// TestWorkIsDoneOnce: inside of Handler nothing is verified again, though the token
// has expired meanwhile.
func TestWorkIsDoneOnce(t *testing.T) { bubble(t, workIsDoneOnce) }

func workIsDoneOnce(t *testing.T) {
	r := newRig(t)
	var looks atomic.Int64 // fetches look, too
	r.auth = newAuthFor(t, r.srv, func(c *clerkauth.Config) { c.Now = func() time.Time { looks.Add(1); return r.srv.Now() } })
	token := r.jane.Token()
	wantReply(t, ask(r.auth.Require(), bearer(token)), 200, "")
	synctest.Wait() // the fetch has landed
	looks.Store(0)
	wantReply(t, ask(r.auth.Require(), bearer(token)), 200, "")
	alone := looks.Load()
	looks.Store(0)
	wantReply(t, ask(func(next http.Handler) http.Handler {
		for range 5 {
			next = r.auth.Require(clerkauth.Role("admin"))(r.auth.Handler(next))
		}
		return r.auth.Handler(http.HandlerFunc(func(w http.ResponseWriter, req *http.Request) {
			r.srv.Advance(time.Hour)
			if who := r.auth.Authenticate(req).Auth(); who.UserID != r.jane.User.ID {
				t.Errorf("Authenticate says %+v", who)
			}
			next.ServeHTTP(w, req)
		}))
	}, bearer(token)), 200, "")
	if looks.Load() != alone || alone == 0 {
		t.Errorf("the clock was looked at %d times, and %d times without Handler", looks.Load(), alone)
	}
	wantReply(t, ask(r.identified(), bearer(token)), 401, clerkauth.ErrTokenExpired)
}

// TestEachAuthenticatorBelievesItself: two of them around one handler, in both
// orders. Row 203 of the catalogue has what others may put into a context.
func TestEachAuthenticatorBelievesItself(t *testing.T) {
	one, two := newRig(t), newRig(t)
	for _, c := range []struct {
		token  string
		status int
	}{{one.jane.Token(), 401}, {two.jane.Token(), 401}, {"", 401}} {
		for _, outer := range []*rig{one, two} {
			inner := map[*rig]*rig{one: two, two: one}[outer]
			wantReply(t, ask(func(next http.Handler) http.Handler { return outer.auth.Require()(inner.auth.Require()(next)) }, bearer(c.token)), c.status, "")
		}
	}
	same := newAuthFor(t, one.srv) // of one instance, and yet another
	got := ask(func(next http.Handler) http.Handler {
		return one.auth.Handler(same.Require()(one.auth.Require()(next)))
	}, bearer(one.jane.Token()))
	if wantReply(t, got, 200, ""); one.fetches() != 2 {
		t.Errorf("%d fetches", one.fetches())
	}
}

func TestOutageIsNotTheCallersFault(t *testing.T) {
	r := newRig(t)
	r.srv.Fail(clerkauthtest.JWKS, 503)
	r.srv.RetryAfter(clerkauthtest.JWKS, 17)
	token := r.jane.Token()
	for _, demands := range [][]clerkauth.Access{{}, {clerkauth.Role("admin")}, {clerkauth.ReverifiedStrict}} {
		for _, edit := range []func(*http.Request){bearer(""), asPage} {
			got := wantReply(t, ask(r.identified(demands...), bearer(token), edit), 503, clerkauth.ErrKeysUnavailable)
			if got.header.Get("Retry-After") != "17" || got.header.Get("Cache-Control") != "no-store" || got.header.Get("WWW-Authenticate") != "" {
				t.Errorf("%v", got.header)
			}
		}
	}
	for _, wrap := range []clerkauth.Middleware{r.public, func(next http.Handler) http.Handler { return r.auth.Require(clerkauth.Public)(showing(next)) }} {
		if got := ask(wrap, bearer(token)); got.status != 200 || !strings.HasPrefix(got.body, "|false|clerkauth: ") || !strings.Contains(got.body, string(clerkauth.ErrKeysUnavailable)) {
			t.Errorf("%v", got)
		}
	}
}

func TestPendingSessionsAreSignedOut(t *testing.T) {
	r := newRig(t)
	token := r.srv.SignIn(r.jane.User, clerkauthtest.Pending()).Token()
	wantReply(t, ask(r.identified(), bearer(token)), 401, clerkauth.ErrSessionPending)
	ask(func(http.Handler) http.Handler {
		return r.auth.Handler(http.HandlerFunc(func(w http.ResponseWriter, req *http.Request) {
			who := clerkauth.FromContext(req.Context())
			if who.SignedIn() || who.UserID != "" || who.SessionID != "" || who.SessionStatus != clerkauth.SessionPending || !errors.Is(who.Err(), clerkauth.ErrSessionPending) {
				t.Errorf("%+v", who)
			}
		}))
	}, bearer(token))
	r.auth = newAuthFor(t, r.srv, func(c *clerkauth.Config) { c.AllowPending = true })
	wantReply(t, ask(r.identified(), bearer(token)), 200, "")
	wantReply(t, ask(r.identified(), bearer(r.jane.Token(claim("sts", "ended")))), 401, clerkauth.ErrTokenClaims)
}

// TestPagesAreSentToSignIn: GET and HEAD documents of who sent no bearer token.
func TestPagesAreSentToSignIn(t *testing.T) {
	r := newRig(t)
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
		got := ask(r.auth.Require(), func(req *http.Request) {
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
		if c.page != (got.status == 307) || !c.page && got.status != 401 || got.entered || got.header.Get("Cache-Control") != "no-store" {
			t.Errorf("%s: %v", what, got)
		}
		if c.page != (got.header.Get("Location") != "") || c.page == (got.header.Get("WWW-Authenticate") != "") {
			t.Errorf("%s: %v", what, got.header)
		}
	}
	wantReply(t, ask(r.auth.Require(clerkauth.Role("owner")), asPage, bearer(r.jane.Token())), 403, clerkauth.ErrForbidden)
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
		"any party":           {anyParty, "/x", "any.example:81", true, portal, "https://any.example:81/x"},
		"any party, no TLS":   {anyParty, "/x", "any.example:81", false, portal, "http://any.example:81/x"},
		"http party": {func(c *clerkauth.Config) {
			c.AuthorizedParties = []string{"http://localhost:3000", "capacitor://localhost"}
		}, "/x", "localhost:3000", false, portal, "http://localhost:3000/x"},
		"native party alone": {func(c *clerkauth.Config) { c.AuthorizedParties = []string{"capacitor://localhost"} }, "/x", "localhost", false, portal, ""},
	} {
		config := valid()
		if c.change != nil {
			c.change(&config)
		}
		auth, err := clerkauth.New(config)
		if err != nil {
			t.Fatal(err)
		}
		var req *http.Request
		got := ask(auth.Require(), asPage, func(r *http.Request) {
			u, err := url.ParseRequestURI(c.target)
			if err != nil {
				t.Fatal(err)
			}
			if r.URL, r.Host = u, c.host; c.tls {
				r.TLS = &tls.ConnectionState{}
			}
			req = r
		})
		location, err := url.Parse(got.header.Get("Location"))
		if err != nil || got.status != 307 {
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
		if got.header.Get("Location") != auth.SignInURL(req) {
			t.Errorf("%s: SignInURL is %s", what, auth.SignInURL(req))
		}
		if up := auth.SignUpURL(req); !strings.HasPrefix(up, "https://accounts.example.com/sign-up") || (c.wayBack != "") != strings.Contains(up, "redirect_url="+url.QueryEscape(c.wayBack)) {
			t.Errorf("%s: SignUpURL is %s", what, up)
		}
	}
}
