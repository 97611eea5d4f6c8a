package clerkauth_test

import (
	"net/http/httptest"
	"strings"
	"testing"

	"crypto/tls"
	"net/http"
	"net/url"
	"slices"

	"github.com/clerkauth/clerkauth"
	"github.com/clerkauth/clerkauth/internal/testkit"
)

// TestAccountPortal: the host of the sign-in pages is derived from the publishable
// key.
func TestAccountPortal(t *testing.T) {
	for host, want := range map[string]string{
		"clerk.example.com":                   "https://accounts.example.com/sign-in",
		"funny-dolphin-42.clerk.accounts.dev": "https://funny-dolphin-42.accounts.dev/sign-in",
		"foo-bar-13.clerk.accountsstage.dev":  "https://foo-bar-13.accountsstage.dev/sign-in",
		"clerk.clerk.example.com":             "https://accounts.clerk.example.com/sign-in",
	} {
		c := testkit.Config()
		c.SecretKey = clerkauth.Secret{}
		c.PublishableKey = testkit.PublishableKey("live", host+"$")
		a, err := clerkauth.New(c)
		if err != nil {
			t.Fatal(err)
		}
		r := httptest.NewRequest("GET", "/", nil)
		r.Host = "evil.example"
		if got := a.SignInURL(r); got != want {
			t.Errorf("%s: %s, want %s", host, got, want)
		}
	}
}

// TestPagesAreSentToSignIn: GET and HEAD requests for documents are redirected to
// sign-in unless they carry a bearer token. In development, a browser without a cookie that
// it is known by is sent through a handshake first, where it can be: a GET of what it says
// is a document.
func TestPagesAreSentToSignIn(t *testing.T) {
	r := testkit.NewRig(t)
	for what, c := range map[string]struct {
		method, dest, accept, authorization string
		page                                bool
		unknown                             int // the status for an unknown browser
	}{
		"document":             {"GET", "document", "", "", true, 307},
		"iframe":               {"GET", "iframe", "*/*", "", true, 307},
		"HEAD":                 {"HEAD", "document", "text/html", "", true, 303},
		"old browser":          {"GET", "", "text/html,application/xhtml+xml,*/*;q=0.8", "", true, 307},
		"html among others":    {"GET", "", "application/json, text/html;q=0.1", "", true, 303},
		"basic authentication": {"GET", "document", "", "Basic eDp5", true, 307},
		"POST":                 {"POST", "document", "text/html", "", false, 401},
		"PUT":                  {"PUT", "document", "text/html", "", false, 401},
		"OPTIONS":              {"OPTIONS", "document", "text/html", "", false, 401},
		"fetch":                {"GET", "empty", "text/html", "", false, 401},
		"image":                {"GET", "image", "text/html", "", false, 401},
		"script":               {"GET", "script", "*/*", "", false, 401},
		"curl":                 {"GET", "", "*/*", "", false, 401},
		"json":                 {"GET", "", "application/json", "", false, 401},
		"nothing":              {"GET", "", "", "", false, 401},
		"bad bearer":           {"GET", "document", "text/html", "Bearer x", false, 401},
		"machine":              {"GET", "document", "text/html", "Bearer ak_x", false, 401},
		"two credentials":      {"GET", "document", "text/html", "two", false, 401},
	} {
		request := func(req *http.Request) {
			req.Method, req.Host = c.method, "app.example.com"
			for name, value := range map[string]string{"Sec-Fetch-Dest": c.dest, "Accept": c.accept, "Authorization": c.authorization} {
				if value != "" {
					req.Header.Set(name, value)
				}
			}
			if c.authorization == "two" {
				req.Header["Authorization"] = []string{"Basic x", "Basic y"}
			}
		}
		if got := testkit.Serve(r.Auth.Require(), request); got.Status != c.unknown || got.Entered {
			t.Errorf("%s, of an unknown browser: %v", what, got)
		}
		got := testkit.Serve(r.Auth.Require(), request, testkit.KnownBrowser)
		if c.page != (got.Status == 303) || !c.page && got.Status != 401 || got.Entered || got.Header.Get("Cache-Control") != "no-store" {
			t.Errorf("%s: %v", what, got)
		}
		if c.page != (got.Header.Get("Location") != "") || c.page == (got.Header.Get("WWW-Authenticate") != "") {
			t.Errorf("%s: %v", what, got.Header)
		}
	}
	testkit.WantReply(t, testkit.Serve(r.Auth.Require(clerkauth.Role("owner")), testkit.AsPage, testkit.Bearer(r.Jane.Token())), 403, clerkauth.ErrForbidden)
}

// TestReturnURL: pages are redirected to the sign-in page with a return URL of this
// site.
func TestReturnURL(t *testing.T) {
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
		if err != nil || got.Status != 303 {
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

// TestNoSignInPage: without a publishable key there is no account portal to redirect
// to.
func TestNoSignInPage(t *testing.T) {
	a, err := clerkauth.New(clerkauth.Config{Issuers: []string{"https://clerk.example.com"}, JWTKey: testkit.PEM(), InsecureAnyParty: true})
	if err != nil {
		t.Fatal(err)
	}
	r := httptest.NewRequest("GET", "/", nil)
	r.Header.Set("Sec-Fetch-Dest", "document")
	if got := status(t, a.Require(), r); got != 401 || a.SignInURL(r) != "" || a.SignUpURL(r) != "" {
		t.Errorf("%d, %q, %q", got, a.SignInURL(r), a.SignUpURL(r))
	}
	if _, err := a.Protect(clerkauth.Rules{"/{$}": clerkauth.Public}); err != nil {
		t.Error(err)
	}
}
