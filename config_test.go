package clerkauth_test

import (
	"encoding/base64"
	"encoding/json"
	"fmt"
	"log/slog"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"github.com/clerkauth/clerkauth"
	"github.com/clerkauth/clerkauth/internal/testkit"
)

func TestNewAccepts(t *testing.T) {
	for name, change := range map[string]func(*clerkauth.Config){
		"both keys":     func(*clerkauth.Config) {},
		"no secret key": func(c *clerkauth.Config) { c.SecretKey = clerkauth.Secret{} },
		"test keys": func(c *clerkauth.Config) {
			c.PublishableKey, c.SecretKey = testkit.PublishableKey("test", "a.b$"), clerkauth.NewSecret("sk_test_x")
		},
		"legacy secret key":      func(c *clerkauth.Config) { c.SecretKey = clerkauth.NewSecret("live_abc") },
		"padded publishable key": func(c *clerkauth.Config) { c.PublishableKey = "pk_live_YS5iJA=="; c.SecretKey = clerkauth.Secret{} },
		"JWTKey alone":           func(c *clerkauth.Config) { c.SecretKey = clerkauth.Secret{}; c.JWTKey = testkit.PEM() },
		"issuer for publishable": func(c *clerkauth.Config) { c.PublishableKey = ""; c.Issuers = []string{"https://clerk.example.com"} },
		"any party":              func(c *clerkauth.Config) { c.AuthorizedParties = nil; c.InsecureAnyParty = true },
		"largest skew":           func(c *clerkauth.Config) { c.ClockSkew = 5 * time.Minute },
		"no skew":                func(c *clerkauth.Config) { c.ClockSkew = clerkauth.NoClockSkew },
		"http loopback":          func(c *clerkauth.Config) { c.BackendURL, c.FrontendURL = "http://127.0.0.1:1", "http://localhost:1" },
		"party with port": func(c *clerkauth.Config) {
			c.AuthorizedParties = []string{"http://localhost:3000", "https://[::1]:8443"}
		},
		"party of a native wrapper": func(c *clerkauth.Config) {
			c.AuthorizedParties = []string{"capacitor://localhost", "chrome-extension://abcdef"}
		},
		"punycode party": func(c *clerkauth.Config) { c.AuthorizedParties = []string{"https://xn--pp-fka.example"} },
		"own sign-in page": func(c *clerkauth.Config) {
			c.Browser.SignInURL, c.Browser.SignUpURL = "/sign-in", "https://app.example.com/sign-up?x=1"
		},
	} {
		c := testkit.Config()
		change(&c)
		if _, err := clerkauth.New(c); err != nil {
			t.Errorf("%s: %v", name, err)
		}
	}
}

func TestNewRefuses(t *testing.T) {
	secret := func(s string) func(*clerkauth.Config) {
		return func(c *clerkauth.Config) { c.SecretKey = clerkauth.NewSecret(s) }
	}
	publishable := func(s string) func(*clerkauth.Config) {
		return func(c *clerkauth.Config) { c.PublishableKey = s }
	}
	party := func(s string) func(*clerkauth.Config) {
		return func(c *clerkauth.Config) { c.AuthorizedParties = []string{s} }
	}
	for name, tc := range map[string]struct {
		change func(*clerkauth.Config)
		says   string
	}{
		"publishable key missing":         {publishable(""), "PublishableKey: it is missing"},
		"secret as publishable key":       {publishable("sk_live_abc"), "PublishableKey: it is a secret key"},
		"publishable as secret key":       {secret(testkit.PublishableKey("live", "clerk.example.com$")), "SecretKey: it is a publishable key"},
		"machine key as secret key":       {secret("ak_abc"), "SecretKey: it is a machine's key"},
		"live with test":                  {secret("sk_test_abc"), "sk_test key, the publishable key is a pk_live key"},
		"test with live":                  {publishable(testkit.PublishableKey("test", "a.b$")), "sk_live key, the publishable key is a pk_test key"},
		"secret key of no kind":           {secret("abc"), "SecretKey: it must look like"},
		"secret key with line break":      {secret("sk_live_a\nb"), "SecretKey: it holds a space"},
		"publishable without prefix":      {publishable("abc"), "it must look like"},
		"publishable of no kind":          {publishable("pk_prod_YS5iJA"), "it must look like"},
		"publishable cut":                 {publishable("pk_live_"), "it must look like"},
		"publishable with fourth piece":   {publishable("pk_live_YS5iJA_x"), "it must look like"},
		"publishable not base64":          {publishable("pk_live_!!!"), "not base64"},
		"publishable url-safe":            {publishable("pk_live_YS5i-A"), "not base64"},
		"publishable with space":          {publishable(" pk_live_YS5iJA"), "it must look like"},
		"publishable with line break":     {publishable("pk_live_YS5i\nJA"), "not base64"},
		"publishable with much padding":   {publishable("pk_live_YS5iJA==="), "not base64"},
		"publishable with little padding": {publishable("pk_live_YS5iJA="), "not base64"},
		"publishable without dollar":      {publishable("pk_live_YS5i"), "does not hold the host"},
		"publishable without dot":         {publishable("pk_live_bm9kb3Qk"), "does not hold the host"},
		"publishable with two dollars":    {publishable("pk_live_YS5iJCQ"), "does not hold the host"},
		"publishable with text behind":    {publishable("pk_live_YS5iJHg"), "does not hold the host"},
		"publishable with path":           {publishable(testkit.PublishableKey("live", "evil.com/..$")), "does not hold the host"},
		"publishable with credentials":    {publishable(testkit.PublishableKey("live", "a@evil.com$")), "does not hold the host"},
		"publishable with header":         {publishable(testkit.PublishableKey("live", "evil.com\r\nx: y$")), "does not hold the host"},
		"no parties":                      {func(c *clerkauth.Config) { c.AuthorizedParties = nil }, "AuthorizedParties: it is missing"},
		"empty parties":                   {func(c *clerkauth.Config) { c.AuthorizedParties = []string{} }, "AuthorizedParties: it is missing"},
		"parties and any party":           {func(c *clerkauth.Config) { c.InsecureAnyParty = true }, "InsecureAnyParty: it contradicts"},
		"party empty":                     {party(""), "not an origin"},
		"party null":                      {party("null"), "not an origin"},
		"party star":                      {party("*"), "not an origin"},
		"party host alone":                {party("app.example.com"), "not an origin"},
		"party wildcard":                  {party("https://*.example.com"), "wildcard"},
		"party with slash":                {party("https://app.example.com/"), `use "https://app.example.com"`},
		"party with path":                 {party("https://app.example.com/x"), `use "https://app.example.com"`},
		"party with query":                {party("https://app.example.com?x"), `use "https://app.example.com"`},
		"party with credentials":          {party("https://a@app.example.com"), `use "https://app.example.com"`},
		"party with default port":         {party("https://app.example.com:443"), `use "https://app.example.com"`},
		"party with default http port":    {party("http://app.example.com:80"), `use "http://app.example.com"`},
		"party in capitals":               {party("https://APP.example.com"), "lower-case"},
		"party scheme in capitals":        {party("HTTPS://app.example.com"), `use "https://app.example.com"`},
		"party with a long port":          {party("https://app.example.com:99999"), "its port"},
		"party with port zero":            {party("https://app.example.com:0"), "its port"},
		"party with a zero before":        {party("https://app.example.com:0443"), "its port"},
		"secret key of a prefix":          {secret("sk_test_"), "the rest is missing"},
		"secret key of an old prefix":     {secret("test_"), "the rest is missing"},
		"party with trailing dot":         {party("https://app.example.com."), "trailing dot"},
		"party not ASCII":                 {party("https://аpp.example"), "punycode"},
		"party with space":                {party(" https://app.example.com"), "not an origin"},
		"missing party out of range":      {func(c *clerkauth.Config) { c.MissingParty = 9 }, "MissingParty"},
		"skew negative":                   {func(c *clerkauth.Config) { c.ClockSkew = -time.Second }, "ClockSkew"},
		"skew too large":                  {func(c *clerkauth.Config) { c.ClockSkew = 5*time.Minute + 1 }, "ClockSkew"},
		"skew of all time":                {func(c *clerkauth.Config) { c.ClockSkew = 1<<63 - 1 }, "ClockSkew"},
		"no audience at all":              {func(c *clerkauth.Config) { c.Audience = []string{} }, "Audience"},
		"empty audience":                  {func(c *clerkauth.Config) { c.Audience = []string{"api", ""} }, "Audience"},
		"issuer no URL":                   {func(c *clerkauth.Config) { c.Issuers = []string{"clerk.example.com"} }, "Issuers"},
		"issuer with slash":               {func(c *clerkauth.Config) { c.Issuers = []string{"https://clerk.example.com/"} }, "Issuers"},
		"JWTKey garbage":                  {func(c *clerkauth.Config) { c.JWTKey = "garbage" }, "JWTKey"},
		"backend http":                    {func(c *clerkauth.Config) { c.BackendURL = "http://api.clerk.com" }, "BackendURL"},
		"backend with query":              {func(c *clerkauth.Config) { c.BackendURL = "https://api.clerk.com?x" }, "BackendURL"},
		"backend no URL":                  {func(c *clerkauth.Config) { c.BackendURL = "api.clerk.com" }, "BackendURL"},
		"frontend with credentials":       {func(c *clerkauth.Config) { c.FrontendURL = "https://a:b@clerk.example.com" }, "FrontendURL"},
		"sign-in page scheme-relative":    {func(c *clerkauth.Config) { c.Browser.SignInURL = "//evil.example" }, "SignInURL"},
		"sign-in page with backslash":     {func(c *clerkauth.Config) { c.Browser.SignInURL = `/\evil.example` }, "SignInURL"},
		"sign-up page javascript":         {func(c *clerkauth.Config) { c.Browser.SignUpURL = "javascript:alert(1)" }, "SignUpURL"},
		"public origin with path":         {func(c *clerkauth.Config) { c.Browser.PublicOrigin = "https://app.example.com/x" }, "PublicOrigin"},
		"issuers alone give no keys": {func(c *clerkauth.Config) {
			*c = clerkauth.Config{Issuers: []string{"https://clerk.example.com"}, InsecureAnyParty: true}
		}, "no way to get keys"},
	} {
		c := testkit.Config()
		tc.change(&c)
		a, err := clerkauth.New(c)
		if err == nil || a != nil || !strings.Contains(err.Error(), tc.says) {
			t.Errorf("%s: error %v does not say %q", name, err, tc.says)
		}
		if err != nil && strings.Contains(err.Error(), "sk_live_a") {
			t.Errorf("%s: the error holds the secret", name)
		}
	}
}

func TestNewNamesAllMistakesAtOnce(t *testing.T) {
	_, err := clerkauth.New(clerkauth.Config{
		PublishableKey: "sk_live_abc", SecretKey: clerkauth.NewSecret("pk_live_abc"), JWTKey: "x", ClockSkew: -2,
		AuthorizedParties: []string{"https://app.example.com/", "*"}, BackendURL: "ftp://x", Browser: clerkauth.BrowserConfig{SignInURL: "//x"},
	})
	if err == nil {
		t.Fatal("no error")
	}
	for _, field := range []string{"PublishableKey", "SecretKey", "JWTKey", "ClockSkew", `"https://app.example.com/"`, `"*"`, "BackendURL", "SignInURL"} {
		if !strings.Contains(err.Error(), field) {
			t.Errorf("%s is not named in: %v", field, err)
		}
	}
	if got := strings.Count(err.Error(), "\n"); got != 7 {
		t.Errorf("%d lines, want one a mistake:\n%v", got+1, err)
	}
}

func TestFromEnv(t *testing.T) {
	for name, value := range map[string]string{
		"CLERK_PUBLISHABLE_KEY": testkit.PublishableKey("test", "a.b$"), "CLERK_SECRET_KEY": "sk_test_1", "CLERK_JWT_KEY": strings.ReplaceAll(testkit.PEM(), "\n", `\n`),
		"CLERK_API_URL": "https://api.example.com", "CLERK_SIGN_IN_URL": "/in", "CLERK_SIGN_UP_URL": "/up",
		"CLERK_AUTHORIZED_PARTIES": " https://a.example , https://b.example,",
	} {
		t.Setenv(name, value)
	}
	c := clerkauth.FromEnv()
	if c.PublishableKey != testkit.PublishableKey("test", "a.b$") || c.SecretKey.IsZero() || c.BackendURL != "https://api.example.com" ||
		c.Browser.SignInURL != "/in" || c.Browser.SignUpURL != "/up" || fmt.Sprint(c.AuthorizedParties) != "[https://a.example https://b.example]" {
		t.Errorf("FromEnv() = %+v", c)
	}
	if _, err := clerkauth.New(c); err != nil {
		t.Error(err)
	}
}

// TestAccountPortal shows the host that sign-in pages are derived from.
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

// TestSecretsDoNotPrint holds what prints against the secret itself.
func TestSecretsDoNotPrint(t *testing.T) {
	const secret = "sk_live_do_not_print_me"
	c := testkit.Config()
	c.SecretKey = clerkauth.NewSecret(secret)
	a, err := clerkauth.New(c)
	if err != nil {
		t.Fatal(err)
	}
	var out strings.Builder
	loggers := []*slog.Logger{slog.New(slog.NewTextHandler(&out, nil)), slog.New(slog.NewJSONHandler(&out, nil))}
	h := testkit.NewUnexported(c, a)
	for _, v := range []any{c, &c, a, *a, c.SecretKey, &c.SecretKey, h, &h, []any{h}, map[string]any{"h": h}, a.ClerkConfig(), struct{ C *clerkauth.Config }{&c}} {
		for _, verb := range []string{"%v", "%+v", "%#v", "%s", "%q", "%x", "%d"} {
			fmt.Fprintf(&out, verb+"\n", v)
		}
		b, err := json.Marshal(v)
		fmt.Fprintln(&out, string(b), err)
		for _, l := range loggers {
			l.Info("x", "v", v)
		}
	}
	for _, form := range []string{secret, "do_not_print", fmt.Sprintf("%x", secret), base64.StdEncoding.EncodeToString([]byte(secret))} {
		if i := strings.Index(out.String(), form); i >= 0 {
			t.Errorf("a secret was printed: …%s", out.String()[max(0, i-80):i+40])
		}
	}
	if !strings.Contains(out.String(), "[redacted]") {
		t.Error("nothing says that there is a secret")
	}
}

// TestConfigPrintsNoMisplacedKey: a secret key in the publishable key's place is not
// shown either, nor what may stand in the place of a public one.
func TestConfigPrintsNoMisplacedKey(t *testing.T) {
	c := clerkauth.Config{PublishableKey: "sk_test_mislaid", JWTKey: "sk_test_mislaid", AuthorizedParties: []string{"https://app.example.com"}}
	for _, verb := range []string{"%v", "%+v", "%#v", "%s", "%q", "%x", "%d"} {
		for _, value := range []any{c, &c, []clerkauth.Config{c}, struct{ C clerkauth.Config }{c}} {
			if printed := fmt.Sprintf(verb, value); strings.Contains(printed, "mislaid") || !strings.Contains(printed, "app.example.com") {
				t.Errorf("%s of %T: %s", verb, value, printed)
			}
		}
	}
}
