package catalogue

import (
	"bytes"
	"context"
	"crypto/fips140"
	"errors"
	"log/slog"
	"net/http"
	"os"
	"os/exec"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/clerk/clerk-sdk-go/v2"
	"github.com/clerk/clerk-sdk-go/v2/user"

	"github.com/clerkauth/clerkauth"
	"github.com/clerkauth/clerkauth/clerkauthtest"
	"github.com/clerkauth/clerkauth/internal/testkit"
)

// These rows test the configuration.
var _ = addRows(rows{
	"254/what_ClerkConfig_returns": clerkConfigIsACopy,
	"273/API_and_proxy_URLs":       apiAndProxyURLs,
	"274/two_texts_for_parties":    testkit.Bubble(twoTextsForParties),
	"275/native_apps_alone":        testkit.Bubble(nativeAppsAlone),
	"281/FIPS_mode":                fipsMode,
})

func clerkConfigIsACopy(t *testing.T) {
	r := testkit.NewRig(t)
	who, err := r.Auth.VerifyToken(t.Context(), r.Jane.Token())
	if err != nil {
		t.Fatal(err)
	}
	c := r.Auth.ClerkConfig()
	c.HTTPClient.Timeout = 1
	c.HTTPClient.Transport = testkit.RoundTripFunc(func(*http.Request) (*http.Response, error) { return nil, errors.New("replaced") })
	c.HTTPClient.CheckRedirect = nil
	*c.URL, *c.Key = "https://evil.example", "sk_test_replaced"
	c.URL, c.Key = clerk.String("https://evil.example"), nil
	if _, err := user.NewClient(r.Auth.ClerkConfig()).Get(t.Context(), who.UserID); err != nil {
		t.Errorf("Get: %v", err)
	}
	if _, err := r.Auth.GetToken(t.Context(), who, ""); err != nil {
		t.Errorf("GetToken: %v", err)
	}
	again := r.Auth.ClerkConfig()
	if again.HTTPClient == r.Auth.ClerkConfig().HTTPClient || again.URL == r.Auth.ClerkConfig().URL || again.Key == r.Auth.ClerkConfig().Key {
		t.Error("something is shared")
	}
	if again.HTTPClient.Timeout != 5*time.Second || again.HTTPClient.CheckRedirect == nil {
		t.Errorf("%+v", again.HTTPClient)
	}
}

func apiAndProxyURLs(t *testing.T) {
	build := func(change func(*clerkauth.Config)) error {
		c := testkit.Config()
		c.Logger = slog.New(slog.DiscardHandler)
		change(&c)
		_, err := clerkauth.New(c)
		return err
	}
	for _, c := range []struct{ api, use string }{
		{"https://api.clerk.com/v1", `"https://api.clerk.com"`}, {"https://api.clerk.com/v1/", `"https://api.clerk.com"`},
		{"https://api.clerk.com/V1", `"https://api.clerk.com"`}, {"https://api.clerk.com//v1//", `"https://api.clerk.com"`},
		{"https://proxy.example/clerk/v1", `"https://proxy.example/clerk"`}, {"http://127.0.0.1:8080/v1", `"http://127.0.0.1:8080"`},
	} {
		if err := build(func(f *clerkauth.Config) { f.BackendURL = c.api }); err == nil || !strings.Contains(err.Error(), c.use) || !strings.Contains(err.Error(), "/v1") {
			t.Errorf("%s: %v", c.api, err)
		}
		t.Setenv("CLERK_API_URL", c.api)
		if got := clerkauth.FromEnv().BackendURL; got != c.api {
			t.Errorf("FromEnv: %s", got)
		}
	}
	for _, api := range []string{"https://api.clerk.com", "https://api.clerk.com/", "https://proxy.example/clerk", "https://v1.example", "https://api.example/av1"} {
		if err := build(func(f *clerkauth.Config) { f.BackendURL = api }); err != nil {
			t.Errorf("%s: %v", api, err)
		}
	}
	parties := func(list ...string) func(*clerkauth.Config) {
		return func(c *clerkauth.Config) { c.AuthorizedParties = list }
	}
	for what, c := range map[string]struct {
		proxy   string
		change  func(*clerkauth.Config)
		message string // "": it is accepted
	}{
		"absolute":                 {"https://app.example.com/__clerk", parties("https://app.example.com"), ""},
		"absolute, another host":   {"https://clerk.example.org", parties("https://app.example.com"), ""},
		"relative, one party":      {"/__clerk", parties("https://app.example.com"), ""},
		"relative, one of the web": {"/__clerk", parties("https://app.example.com", "capacitor://localhost"), ""},
		"relative, with an origin": {"/__clerk", func(c *clerkauth.Config) {
			c.Browser.PublicOrigin = "https://www.example.com"
			c.AuthorizedParties = append(c.AuthorizedParties, "https://b.example")
		}, ""},
		"relative, two parties":       {"/__clerk", parties("https://app.example.com", "https://b.example"), "PublicOrigin"},
		"relative, no party":          {"/__clerk", func(c *clerkauth.Config) { c.AuthorizedParties, c.InsecureAnyParty = nil, true }, "PublicOrigin"},
		"plain http":                  {"http://app.example.com/__clerk", parties("https://app.example.com"), "https"},
		"another server by its path":  {"//evil.example/__clerk", parties("https://app.example.com"), "ProxyURL"},
		"a host alone":                {"app.example.com/__clerk", parties("https://app.example.com"), `"https://app.example.com"`},
		"credentials":                 {"https://a:b@app.example.com", parties("https://app.example.com"), "without credentials"},
		"a query":                     {"/__clerk?x", parties("https://app.example.com"), "without credentials, query"},
		"dots":                        {"/a/../__clerk", parties("https://app.example.com"), "clean"},
		"capitals":                    {"https://APP.example.com/__clerk", parties("https://app.example.com"), "lower-case"},
		"in quotes":                   {`"/__clerk"`, parties("https://app.example.com"), "quotation mark"},
		"relative, origin that's not": {"/__clerk", func(c *clerkauth.Config) { c.Browser.PublicOrigin = "app.example.com" }, "ProxyURL"},
	} {
		err := build(func(f *clerkauth.Config) { c.change(f); f.Browser.ProxyURL = c.proxy })
		if c.message == "" && err != nil || c.message != "" && (err == nil || !strings.Contains(err.Error(), c.message) || !strings.Contains(err.Error(), "ProxyURL")) {
			t.Errorf("%s: %v", what, err)
		}
	}
	t.Setenv("CLERK_PROXY_URL", "/__clerk")
	if got := clerkauth.FromEnv().Browser.ProxyURL; got != "/__clerk" {
		t.Errorf("FromEnv: %q", got)
	}
	// An issuer beside the key's host; keys are fetched from the latter alone.
	for _, proxy := range []string{"https://app.example.com/__clerk", "/__clerk", "/__clerk/"} {
		r := testkit.NewRig(t, func(c *clerkauth.Config) { c.SecretKey = clerkauth.Secret{}; c.Browser.ProxyURL = proxy })
		issuer := func(iss string) string { return r.Jane.Token(clerkauthtest.WithClaim("iss", iss)) }
		r.Want(t, r.Jane.Token(), 200, "")
		r.Want(t, issuer("https://app.example.com/__clerk"), 200, "")
		r.Want(t, issuer("https://app.example.com/__clerk/"), 401, clerkauth.ErrTokenIssuer)
		r.Want(t, issuer("https://app.example.com"), 401, clerkauth.ErrTokenIssuer)
	}
}

func twoTextsForParties(t *testing.T) {
	r := testkit.NewRig(t)
	texts := map[string]string{}
	for what, token := range map[string]string{
		"missing": r.Jane.Token(clerkauthtest.WithoutClaim("azp")), "wrong": r.Jane.Token(clerkauthtest.WithClaim("azp", "https://evil.example")),
	} {
		_, err := r.Auth.VerifyToken(t.Context(), token)
		if !errors.Is(err, clerkauth.ErrTokenParty) || strings.Contains(err.Error(), "evil") {
			t.Fatalf("%s: %v", what, err)
		}
		texts[what] = err.Error()
		texts[what+" body"] = r.Want(t, token, 401, clerkauth.ErrTokenParty).Body
	}
	if texts["missing"] == texts["wrong"] || !strings.Contains(texts["missing"], "MissingParty") || strings.Contains(texts["wrong"], "MissingParty") {
		t.Errorf("%q", texts)
	}
	if texts["missing body"] != texts["wrong body"] {
		t.Errorf("a caller is told which: %q", texts)
	}
	var logged bytes.Buffer
	r = testkit.NewRig(t, logging(&logged))
	for range 100 {
		r.Want(t, r.Jane.Token(clerkauthtest.WithoutClaim("azp")), 401, clerkauth.ErrTokenParty)
	}
	if logCount(&logged, "MissingParty") != 1 || logCount(&logged, "AuthorizedParties") != 0 {
		t.Errorf("log is %q", logged.String())
	}
	for azp, differs := range map[string]string{
		"https://app.example.com:8443": "port", "http://app.example.com": "scheme", "https://www.app.example.com": "www.", "https://example.com": "host",
		"http://www.app.example.com:1": "scheme, www., port", "https://app.example.com/": "form", "app.example.com": "form", "": "form", "https://app.example.com.": "host",
	} {
		_, err := r.Auth.VerifyToken(t.Context(), r.Jane.Token(clerkauthtest.WithClaim("azp", azp)))
		if err == nil || !strings.HasSuffix(err.Error(), "differs in: "+differs) {
			t.Errorf("%q: %v, want %s", azp, err, differs)
		}
	}
}

func nativeAppsAlone(t *testing.T) {
	build := func(parties []string, missing clerkauth.MissingParty, noCookies bool) error {
		c := testkit.Config()
		c.AuthorizedParties, c.MissingParty, c.Browser.Disabled = parties, missing, noCookies
		_, err := clerkauth.New(c)
		return err
	}
	for _, missing := range []clerkauth.MissingParty{clerkauth.RefuseMissing, clerkauth.AllowMissingFromCookie, clerkauth.AllowMissing, clerkauth.AllowMissingFromHeader} {
		for _, noCookies := range []bool{true, false} {
			if err := build(nil, missing, noCookies); (err == nil) != (missing == clerkauth.AllowMissingFromHeader && noCookies) {
				t.Errorf("nil, %d, Browser.Disabled %v: %v", missing, noCookies, err)
			}
			if err := build([]string{}, missing, noCookies); err == nil || !strings.Contains(err.Error(), "AuthorizedParties") {
				t.Errorf("empty, %d: %v", missing, err)
			}
		}
	}
	if err := build(nil, clerkauth.AllowMissingFromHeader, false); err == nil || !strings.Contains(err.Error(), "Browser.Disabled") {
		t.Errorf("with cookies: %v", err)
	}
	r := testkit.NewRig(t, func(c *clerkauth.Config) {
		c.AuthorizedParties, c.MissingParty, c.Browser.Disabled = nil, clerkauth.AllowMissingFromHeader, true
	})
	if got := testkit.Serve(r.Auth.Require(), testkit.AsUnknownPage, func(req *http.Request) { r.Jane.SetCookies(req, clerkauthtest.WithoutParty()) }); got.Status != 303 {
		t.Errorf("a browser: %v", got)
	}
	r.Want(t, r.Jane.Token(clerkauthtest.WithoutClaim("azp")), 200, "")
	for _, azp := range []any{"https://app.example.com", "", nil, 7, "capacitor://localhost"} {
		r.Want(t, r.Jane.Token(clerkauthtest.WithClaim("azp", azp)), 401, clerkauth.ErrTokenParty)
	}
	for _, list := range []string{",", " ", " , "} {
		t.Setenv("CLERK_AUTHORIZED_PARTIES", list)
		c := testkit.Config()
		c.AuthorizedParties, c.MissingParty, c.Browser.Disabled = clerkauth.FromEnv().AuthorizedParties, clerkauth.AllowMissingFromHeader, true
		if _, err := clerkauth.New(c); err == nil {
			t.Errorf("%q is taken for no list at all", list)
		}
	}
}

// fipsMode runs this row again in a process that may use FIPS 140-3 approved
// algorithms alone.
func fipsMode(t *testing.T) {
	if !fips140.Enforced() {
		self, err := os.Executable()
		if err != nil {
			t.Fatal(err)
		}
		ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
		defer cancel()
		again := exec.CommandContext(ctx, self, "-test.run", "^TestCatalogue$/^row=281$", "-test.v")
		again.Env = append(slices.DeleteFunc(os.Environ(), func(v string) bool { return strings.HasPrefix(v, "GODEBUG=") }), "GODEBUG=fips140=only")
		out, err := again.CombinedOutput()
		if err != nil || !strings.Contains(string(out), "real keys verify in FIPS mode") {
			t.Errorf("%v: %s", err, out)
		}
		return
	}
	r := testkit.NewMachineRig(t)
	r.Want(t, r.Jane.Token(), 200, "")
	r.Want(t, r.Jane.Token(clerkauthtest.SignedBy(testkit.OtherKey())), 401, clerkauth.ErrTokenSignature)
	for _, token := range []string{r.APIKey.Token, r.M2M.Token, r.OAuth.Token, r.APIKey.JWT(), r.M2M.JWT(), r.OAuth.JWT()} {
		testkit.WantReply(t, testkit.Serve(r.Auth.Require(testkit.AnyCredential), testkit.Bearer(token)), 200, "")
	}
	// The suffix of cookies is a SHA-1, which is not approved, and protects nothing.
	for _, production := range []bool{true, false} {
		b := newBrowserRig(t, production)
		own := cookiesOf(b.Jane).without("__session", "__client_uat", "__clerk_db_jwt")
		if got := b.page(own); got != "in" {
			t.Errorf("cookies with the suffix: %s", got)
		}
		for form, edit := range b.forms("__session" + b.suffix + "=" + b.Jane.Token()) {
			if what, _ := b.outcome(testkit.AsUnknownPage, b.known().send, edit); what != b.received() {
				t.Errorf("a handshake by %s: %s", form, what)
			}
		}
		b.Server.Advance(2 * time.Minute)
		if got := b.page(own); got != "in" {
			t.Errorf("refreshed: %s", got)
		}
	}
	static := testkit.NewRig(t, func(c *clerkauth.Config) {
		c.JWTKey, c.SecretKey = testkit.PEM(), clerkauth.NewSecret("sk_test_1") // short
	})
	static.Want(t, static.Jane.Token(), 401, clerkauth.ErrTokenSignature)
	t.Log("real keys verify in FIPS mode")
}
