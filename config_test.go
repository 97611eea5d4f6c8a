package clerkauth_test

import (
	"encoding/base64"
	"encoding/json"
	"fmt"
	"log/slog"
	"net/netip"
	"strings"
	"testing"
	"time"

	"bytes"
	"crypto/rsa"
	"crypto/x509"
	"encoding/pem"
	"math/big"

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
		"trusted proxies": func(c *clerkauth.Config) {
			c.Browser.TrustedProxies = []netip.Prefix{netip.MustParsePrefix("10.0.0.0/8"), netip.MustParsePrefix("2001:db8::1/128")}
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
	proxies := func(prefixes ...string) func(*clerkauth.Config) {
		return func(c *clerkauth.Config) {
			for _, s := range prefixes {
				p, _ := netip.ParsePrefix(s) // the zero value if it is invalid
				c.Browser.TrustedProxies = append(c.Browser.TrustedProxies, p)
			}
		}
	}
	for name, tc := range map[string]struct {
		change  func(*clerkauth.Config)
		message string
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
		"proxies, every address":          {proxies("0.0.0.0/0"), "TrustedProxies 0.0.0.0/0: it is every address"},
		"proxies, every IPv6 address":     {proxies("10.0.0.0/8", "::/0"), "TrustedProxies ::/0"},
		"proxies, an address in a subnet": {proxies("10.1.2.3/8"), "use 10.0.0.0/8 for all of it, or 10.1.2.3/32"},
		"proxies, invalid":                {proxies("10.0.0.0/33"), "TrustedProxies invalid Prefix"},
		"issuers alone give no keys": {func(c *clerkauth.Config) {
			*c = clerkauth.Config{Issuers: []string{"https://clerk.example.com"}, InsecureAnyParty: true}
		}, "no way to get keys"},
	} {
		c := testkit.Config()
		tc.change(&c)
		a, err := clerkauth.New(c)
		if err == nil || a != nil || !strings.Contains(err.Error(), tc.message) {
			t.Errorf("%s: error %v does not contain %q", name, err, tc.message)
		}
		if err != nil && strings.Contains(err.Error(), "sk_live_a") {
			t.Errorf("%s: the error holds the secret", name)
		}
	}
}

func TestNewReportsAllErrorsAtOnce(t *testing.T) {
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

// TestSecretsDoNotPrint: no way of printing a Config shows a secret.
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
		t.Error("the output does not mention the secret")
	}
}

// TestConfigPrintsNoMisplacedKey: a secret key in the field of the publishable key
// is not printed, nor one in any field that holds a public value.
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

// configure returns the error text of New for a valid configuration with a change,
// and what was logged.
func configure(change func(*clerkauth.Config)) (failure, logged string) {
	var log bytes.Buffer
	c := testkit.Config()
	c.Logger = slog.New(slog.NewTextHandler(&log, nil))
	change(&c)
	if _, err := clerkauth.New(c); err != nil {
		failure = err.Error()
	}
	return failure, log.String()
}

// TestConfigurationMessages: for each input that is common in practice, the error
// says how to mend it.
func TestConfigurationMessages(t *testing.T) {
	publishable, secret := testkit.PublishableKey("live", "clerk.example.com$"), "sk_live_abcdefghijklmnopqrstuvwxyz"
	setKey := func(key string) func(*clerkauth.Config) {
		return func(c *clerkauth.Config) { c.PublishableKey = key }
	}
	setSecret := func(key string) func(*clerkauth.Config) {
		return func(c *clerkauth.Config) { c.SecretKey = clerkauth.NewSecret(key) }
	}
	setMachine := func(key string) func(*clerkauth.Config) {
		return func(c *clerkauth.Config) { c.Machines.SecretKey = clerkauth.NewSecret(key) }
	}
	setPEM := func(text string) func(*clerkauth.Config) {
		return func(c *clerkauth.Config) { c.JWTKey = text }
	}
	setParties := func(list ...string) func(*clerkauth.Config) {
		return func(c *clerkauth.Config) { c.AuthorizedParties = list }
	}
	setIssuer := func(s string) func(*clerkauth.Config) {
		return func(c *clerkauth.Config) { c.Issuers = []string{s} }
	}
	setAPI := func(s string) func(*clerkauth.Config) {
		return func(c *clerkauth.Config) { c.BackendURL = s }
	}
	for what, c := range map[string]struct {
		change  func(*clerkauth.Config)
		message string
	}{
		"no publishable key, a secret key": {setKey(""), "API keys page"},
		"no key at all": {func(c *clerkauth.Config) { c.PublishableKey, c.SecretKey = "", clerkauth.Secret{} },
			"PublishableKey: it is missing: set CLERK_PUBLISHABLE_KEY, or name the Issuers"},

		"key in quotes":              {setKey(`"` + publishable + `"`), "PublishableKey: it must look like pk_live_… or pk_test_…: it begins with a quotation mark: write it without quotes"},
		"key in single quotes":       {setKey(`'` + publishable + `'`), "begins with a quotation mark"},
		"key in typographic quotes":  {setKey("\u201c" + publishable + "\u201d"), "begins with a quotation mark"},
		"key with a quote behind":    {setKey(publishable + `"`), "ends with a quotation mark"},
		"key with a line break":      {setKey(publishable + "\n"), "it ends in a line break: remove that"},
		"key with CRLF":              {setKey(publishable + "\r\n"), "ends in a line break"},
		`key with a literal \n`:      {setKey(publishable + `\n`), "ends in a line break"},
		"key with a space behind":    {setKey(publishable + " "), "begins or ends with a space"},
		"key with a space before":    {setKey(" " + publishable), "begins or ends with a space"},
		"key with its variable":      {setKey("CLERK_PUBLISHABLE_KEY=" + publishable), "begins with a variable's name"},
		"key exported":               {setKey("export CLERK_PUBLISHABLE_KEY=" + publishable), "begins with a variable's name"},
		"key with a byte order mark": {setKey("\ufeff" + publishable), "byte order mark"},
		"key not filled in":          {setKey("${CLERK_PUBLISHABLE_KEY}"), "nothing was filled in"},
		"key of a placeholder":       {setKey("pk_live_..."), "placeholder"},
		"key cut":                    {setKey(publishable[:len(publishable)-4]), "copy it again, all of it"},
		"key cut in its base64":      {setKey(publishable[:len(publishable)-3]), "copy it again, all of it"},
		"key of another product":     {setKey("pk_abc"), "API keys page"},
		"keys swapped": {func(c *clerkauth.Config) { c.PublishableKey, c.SecretKey = secret, clerkauth.NewSecret(publishable) },
			"SecretKey: it is a publishable key; use the sk_ key"},
		"a secret key for the key": {setKey(secret), "PublishableKey: it is a secret key"},
		"a machine's for the key":  {setKey("ak_abc"), "PublishableKey: it is a machine's secret key"},

		"secret in quotes":             {setSecret(`"` + secret + `"`), "SecretKey: it must look like sk_live_… or sk_test_…: it begins with a quotation mark"},
		"secret with a line break":     {setSecret(secret + "\n"), "ends in a line break"},
		"secret with a break within":   {setSecret(secret[:12] + "\n" + secret[12:]), "copy it again"},
		"secret as a header":           {setSecret("Bearer " + secret), "begins with Bearer"},
		"secret with its variable":     {setSecret("CLERK_SECRET_KEY=" + secret), "begins with a variable's name"},
		"secret of its prefix":         {setSecret("sk_live_"), "copy it again"},
		"secret of a placeholder":      {setSecret("sk_live_\u2022\u2022\u2022"), "copy it again"},
		"secret of dots":               {setSecret("sk_live_..."), "placeholder"},
		"secret with a quote behind":   {setSecret(secret + `"`), "ends with a quotation mark"},
		"machine's for the secret":     {setSecret("ak_abc"), "use the instance's sk_ key"},
		"machine's secret in quotes":   {setMachine(`"ak_abc"`), "Machines.SecretKey: it must look like ak_…: it is the machine's, not the instance's: it begins with a quotation mark"},
		"machine's secret, a break":    {setMachine("ak_abc\n"), "ends in a line break"},
		"the instance's for a machine": {setMachine(secret), "it is the machine's, not the instance's"},
		"secret of a test instance":    {setSecret("sk_test_abc"), "different instances"},

		"PEM in quotes":          {setPEM(`"` + strings.TrimSpace(testkit.PEM()) + `"`), "JWTKey: it is not one PEM block and nothing else: it begins with a quotation mark"},
		"PEM cut":                {setPEM(testkit.PEM()[:100]), "copy it again, from BEGIN PUBLIC KEY to END PUBLIC KEY"},
		"PEM not filled in":      {setPEM("${CLERK_JWT_KEY}"), "nothing was filled in"},
		"publishable key as PEM": {setPEM(publishable), "set CLERK_PUBLISHABLE_KEY to it"},
		"secret key as PEM":      {setPEM(secret), "set CLERK_SECRET_KEY to it"},
		"JSON for PEM":           {setPEM(`{"kty":"RSA"}`), "use the PEM form"},
		"PEM of 8193 bits":       {setPEM(hugePEM(t)), "JWTKey: its modulus has 8193 bits, not 2048 to 8192"},

		"party without a scheme, port": {setParties("localhost:3000"), `use "http://localhost:3000"`},
		"party of an address":          {setParties("127.0.0.1:3000"), `use "http://127.0.0.1:3000"`},
		"party without a scheme":       {setParties("example.com"), `use "https://example.com"`},
		"party without one, a path":    {setParties("example.com/app"), `use "https://example.com"`},
		"party without one, a port":    {setParties("app.example.com:8443"), `use "https://app.example.com:8443"`},
		"party in capitals":            {setParties("Example.com"), `use "https://example.com"`},
		"party of a star":              {setParties("*"), "there are no wildcards; list each origin"},
		"party of a wildcard":          {setParties("https://*.example.com"), "wildcard"},
		"party of a wildcard host":     {setParties("*.example.com"), "there are no wildcards"},
		"parties by spaces":            {setParties("https://a.example https://b.example"), "separate origins by commas"},
		"parties by semicolons":        {setParties("https://a.example;https://b.example"), "separate origins by commas"},
		"parties by commas in one":     {setParties("https://a.example,https://b.example"), "separate origins by commas"},
		"parties in JSON":              {setParties(`["https://a.example"]`), "it is JSON; write the origins alone, separated by commas"},
		"parties in JSON, split":       {setParties(`["https://a.example"`, `"https://b.example"]`), "it is JSON"},
		"party in quotes":              {setParties(`"https://a.example"`), "begins with a quotation mark"},
		"party with a line break":      {setParties("https://a.example\n"), "ends in a line break"},
		"party of null":                {setParties("null"), "nobody answers for"},
		"party of nothing":             {setParties(""), "it is empty"},
		"party not filled in":          {setParties("$APP_URL"), "nothing was filled in"},
		"no party":                     {setParties(), "set CLERK_AUTHORIZED_PARTIES"},

		"API URL with a version": {setAPI("https://api.clerk.com/v1"), `BackendURL: it must not end in /v1, which is added to it: use "https://api.clerk.com"`},
		"API URL, no scheme":     {setAPI("api.clerk.com"), `"https://api.clerk.com"`},
		"API URL in quotes":      {setAPI(`"https://api.clerk.com"`), "begins with a quotation mark"},
		"API URL, line break":    {setAPI("https://api.clerk.com\n"), "ends in a line break"},
		"issuer, no scheme":      {setIssuer("clerk.example.com"), `"https://clerk.example.com"`},
	} {
		if failure, _ := configure(c.change); !strings.Contains(failure, c.message) {
			t.Errorf("%s: %q does not contain %q", what, failure, c.message)
		}
	}
	// A warning is enough for a value that may be intended.
	failure, logged := configure(setParties("https://app.example.com", "http://app.example.com"))
	if failure != "" || !strings.Contains(logged, "level=WARN") || !strings.Contains(logged, "http://app.example.com") {
		t.Errorf("plain http: %q, %q", failure, logged)
	}
	for what, change := range map[string]func(*clerkauth.Config){
		"https": setParties("https://app.example.com", "capacitor://localhost"),
		"a test instance": func(c *clerkauth.Config) {
			c.PublishableKey, c.SecretKey = testkit.PublishableKey("test", "a.b$"), clerkauth.NewSecret("sk_test_x")
			c.AuthorizedParties = []string{"http://localhost:3000"}
		},
	} {
		if failure, logged := configure(change); failure+logged != "" {
			t.Errorf("%s: %q, %q", what, failure, logged)
		}
	}
}

func hugePEM(t *testing.T) string {
	t.Helper()
	der, err := x509.MarshalPKIXPublicKey(&rsa.PublicKey{N: new(big.Int).SetBit(big.NewInt(1), 8192, 1), E: 65537})
	if err != nil {
		t.Fatal(err)
	}
	return string(pem.EncodeToMemory(&pem.Block{Type: "PUBLIC KEY", Bytes: der}))
}

// TestMessagesQuoteNoSecret: a secret in any field that takes text, whole or
// deformed, appears in no message.
func TestMessagesQuoteNoSecret(t *testing.T) {
	const core = "Zq7Xw9DoNotQuoteMe"
	fields := map[string]func(*clerkauth.Config, string){
		"PublishableKey":       func(c *clerkauth.Config, s string) { c.PublishableKey = s },
		"SecretKey":            func(c *clerkauth.Config, s string) { c.SecretKey = clerkauth.NewSecret(s) },
		"Machines.SecretKey":   func(c *clerkauth.Config, s string) { c.Machines.SecretKey = clerkauth.NewSecret(s) },
		"JWTKey":               func(c *clerkauth.Config, s string) { c.JWTKey = s },
		"AuthorizedParties":    func(c *clerkauth.Config, s string) { c.AuthorizedParties = []string{s} },
		"Issuers":              func(c *clerkauth.Config, s string) { c.Issuers = []string{s} },
		"BackendURL":           func(c *clerkauth.Config, s string) { c.BackendURL = s },
		"FrontendURL":          func(c *clerkauth.Config, s string) { c.FrontendURL = s },
		"Browser.ProxyURL":     func(c *clerkauth.Config, s string) { c.Browser.ProxyURL = s },
		"Browser.PublicOrigin": func(c *clerkauth.Config, s string) { c.Browser.PublicOrigin = s },
		"Browser.SignInURL":    func(c *clerkauth.Config, s string) { c.Browser.SignInURL = s },
		"Browser.SignUpURL":    func(c *clerkauth.Config, s string) { c.Browser.SignUpURL = s },
		"Machines.ID":          func(c *clerkauth.Config, s string) { c.Machines.ID = s },
	}
	var forms []string
	for _, key := range []string{"sk_live_" + core, "sk_test_" + core, "live_" + core, "ak_" + core, "whsec_" + core,
		"-----BEGIN PRIVATE KEY-----\n" + core + "\n-----END PRIVATE KEY-----\n"} {
		forms = append(forms, key, `"`+key+`"`, "'"+key, key+"\n", key+`\n`, " "+key, key+" ", "Bearer "+key, "CLERK_SECRET_KEY="+key,
			key+","+key, `["`+key+`"]`, "${"+key+"}", "https://"+key, "https://user:"+key+"@example.com", "https://"+key+"@example.com/", "https://api.clerk.com/"+key+"/v1",
			"https://api.clerk.com/"+key+"?x", key+"\u00a0", "\ufeff"+key, key+"...", key[:8]+"\n"+key[8:], "//"+key, "/"+key+"/../x")
	}
	met := 0
	for field, set := range fields {
		for _, form := range forms {
			failure, logged := configure(func(c *clerkauth.Config) { set(c, form) })
			if failure != "" {
				met++
			}
			if i := strings.Index(failure+logged, core); i >= 0 {
				t.Errorf("%s = %q: %s", field, form, failure+logged)
			}
			if fold := strings.ToLower(core); strings.Contains(strings.ToLower(failure+logged), fold) {
				t.Errorf("%s = %q, in another case: %s", field, form, failure+logged)
			}
		}
	}
	if met < len(fields)*len(forms)/2 {
		t.Errorf("only %d of %d are mistakes", met, len(fields)*len(forms))
	}
	for _, variable := range []string{"CLERK_PUBLISHABLE_KEY", "NEXT_PUBLIC_CLERK_PUBLISHABLE_KEY", "CLERK_JWT_KEY", "CLERK_AUTHORIZED_PARTIES", "CLERK_API_URL", "CLERK_PROXY_URL"} {
		t.Run(variable, func(t *testing.T) {
			t.Setenv(variable, "sk_live_"+core)
			t.Setenv("VITE_CLERK_PUBLISHABLE_KEY", "sk_test_"+core)
			var log bytes.Buffer
			c := clerkauth.FromEnv()
			c.Logger = slog.New(slog.NewTextHandler(&log, nil))
			_, err := clerkauth.New(c)
			if s := fmt.Sprint(err) + log.String() + fmt.Sprintf("%+v %#v", c, c); err == nil || strings.Contains(s, core) {
				t.Error(s)
			}
		})
	}
}
