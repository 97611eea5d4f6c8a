package clerkauth_test

import (
	"bytes"
	"crypto/rsa"
	"crypto/x509"
	"encoding/pem"
	"fmt"
	"log/slog"
	"math/big"
	"strings"
	"testing"

	"github.com/clerkauth/clerkauth"
	"github.com/clerkauth/clerkauth/internal/testkit"
)

// configure returns what New says about a good configuration with a change, and what
// it logs.
func configure(change func(*clerkauth.Config)) (said, logged string) {
	var log bytes.Buffer
	c := testkit.Config()
	c.Logger = slog.New(slog.NewTextHandler(&log, nil))
	change(&c)
	if _, err := clerkauth.New(c); err != nil {
		said = err.Error()
	}
	return said, log.String()
}

// TestConfigurationMessages holds what is said about inputs that people really have:
// what to do about each.
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
		change func(*clerkauth.Config)
		says   string
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
		if said, _ := configure(c.change); !strings.Contains(said, c.says) {
			t.Errorf("%s: %q does not say %q", what, said, c.says)
		}
	}
	// A warning is enough for what may be meant.
	said, logged := configure(setParties("https://app.example.com", "http://app.example.com"))
	if said != "" || !strings.Contains(logged, "level=WARN") || !strings.Contains(logged, "http://app.example.com") {
		t.Errorf("plain http: %q, %q", said, logged)
	}
	for what, change := range map[string]func(*clerkauth.Config){
		"https": setParties("https://app.example.com", "capacitor://localhost"),
		"a test instance": func(c *clerkauth.Config) {
			c.PublishableKey, c.SecretKey = testkit.PublishableKey("test", "a.b$"), clerkauth.NewSecret("sk_test_x")
			c.AuthorizedParties = []string{"http://localhost:3000"}
		},
	} {
		if said, logged := configure(change); said+logged != "" {
			t.Errorf("%s: %q, %q", what, said, logged)
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

// TestMessagesQuoteNoSecret puts secrets, whole and deformed, into every field that
// takes text.
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
			said, logged := configure(func(c *clerkauth.Config) { set(c, form) })
			if said != "" {
				met++
			}
			if i := strings.Index(said+logged, core); i >= 0 {
				t.Errorf("%s = %q: %s", field, form, said+logged)
			}
			if fold := strings.ToLower(core); strings.Contains(strings.ToLower(said+logged), fold) {
				t.Errorf("%s = %q, in another case: %s", field, form, said+logged)
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

func TestFromEnvUnderFrontEndNames(t *testing.T) {
	one, two := testkit.PublishableKey("test", "one.example$"), testkit.PublishableKey("test", "two.example$")
	const plain, next, vite, expo, public = "CLERK_PUBLISHABLE_KEY", "NEXT_PUBLIC_CLERK_PUBLISHABLE_KEY", "VITE_CLERK_PUBLISHABLE_KEY", "EXPO_PUBLIC_CLERK_PUBLISHABLE_KEY", "PUBLIC_CLERK_PUBLISHABLE_KEY"
	none := func(*clerkauth.Config) {}
	issuers := func(c *clerkauth.Config) { c.Issuers = []string{"https://clerk.example.com"} }
	for what, c := range map[string]struct {
		env    map[string]string
		change func(*clerkauth.Config)
		key    string   // that FromEnv gives
		says   string   // New's error; "": none
		logs   string   // a warning
		never  []string // in either
	}{
		"next":                   {map[string]string{next: one}, none, one, "", "", nil},
		"vite":                   {map[string]string{vite: one}, none, one, "", "", nil},
		"expo":                   {map[string]string{expo: one}, none, one, "", "", nil},
		"public":                 {map[string]string{public: one}, none, one, "", "", nil},
		"two that agree":         {map[string]string{next: one, public: one}, none, one, "", "", nil},
		"two that differ":        {map[string]string{next: one, vite: two}, none, "", next + " and " + vite + " differ", "", []string{one, two}},
		"differ, and one chosen": {map[string]string{next: one, vite: two}, func(c *clerkauth.Config) { c.PublishableKey = two }, "", "", "", nil},
		"differ, and issuers":    {map[string]string{next: one, vite: two}, issuers, "", "", "", nil},
		"plain wins":             {map[string]string{plain: one, next: two}, none, one, "", next, []string{two}},
		"plain wins, agreed":     {map[string]string{plain: one, next: one}, none, one, "", "", nil},
		"plain wins, two differ": {map[string]string{plain: one, next: one, vite: two}, none, one, "", vite, nil},
		"beside JWTKey":          {map[string]string{next: one, "CLERK_JWT_KEY": testkit.PEM()}, none, "", "beside CLERK_JWT_KEY, " + next + " is not used", "", nil},
		"JWTKey and issuers":     {map[string]string{next: one, "CLERK_JWT_KEY": testkit.PEM()}, issuers, "", "", "", nil},
		"malformed":              {map[string]string{next: `"` + one + `"`}, none, `"` + one + `"`, "PublishableKey (" + next + "): it must look like", "", nil},
		"replaced by hand":       {map[string]string{next: one}, func(c *clerkauth.Config) { c.PublishableKey = two }, one, "", "", nil},
		"cleared by hand":        {map[string]string{next: one}, func(c *clerkauth.Config) { c.PublishableKey = "" }, one, "it is missing", "", nil},
	} {
		t.Run(what, func(t *testing.T) {
			for _, name := range []string{plain, next, vite, expo, public, "CLERK_JWT_KEY", "CLERK_SECRET_KEY", "CLERK_AUTHORIZED_PARTIES"} {
				t.Setenv(name, "")
			}
			for name, value := range c.env {
				t.Setenv(name, value)
			}
			config := clerkauth.FromEnv()
			if config.PublishableKey != c.key {
				t.Errorf("FromEnv gives %q", config.PublishableKey)
			}
			var log bytes.Buffer
			config.AuthorizedParties = []string{"https://app.example.com"}
			config.SecretKey = clerkauth.NewSecret("sk_test_x")
			config.Logger = slog.New(slog.NewTextHandler(&log, nil))
			c.change(&config)
			said := ""
			if _, err := clerkauth.New(config); err != nil {
				said = err.Error()
			}
			if c.says == "" && said != "" || !strings.Contains(said, c.says) {
				t.Errorf("New says %q, want %q", said, c.says)
			}
			if warned := strings.Contains(log.String(), "level=WARN"); warned != (c.logs != "") || !strings.Contains(log.String(), c.logs) {
				t.Errorf("log is %q", log.String())
			}
			for _, value := range c.never {
				if strings.Contains(said+log.String(), value) {
					t.Errorf("a key is quoted: %s", said+log.String())
				}
			}
		})
	}
}

// TestFrontEndKeyAddsNoIssuer: where the issuers are named, a front end's key that
// happens to be in the environment is not trusted beside them.
func TestFrontEndKeyAddsNoIssuer(t *testing.T) {
	r, other := testkit.NewRig(t), testkit.NewRig(t)
	t.Setenv("CLERK_PUBLISHABLE_KEY", "")
	t.Setenv("CLERK_JWT_KEY", "")
	t.Setenv("VITE_CLERK_PUBLISHABLE_KEY", other.Server.PublishableKey())
	for _, issuers := range [][]string{nil, {r.Server.Issuer()}} {
		c := clerkauth.FromEnv()
		c.Issuers, c.JWTKey, c.AuthorizedParties = issuers, r.Server.JWTKey(), []string{r.Server.Origin()}
		if issuers == nil {
			c.JWTKey, c.FrontendURL, c.Transport = "", other.Server.URL, other.Server.Transport()
		}
		auth, err := clerkauth.New(c)
		if err != nil {
			t.Fatal(err)
		}
		who, err := auth.VerifyToken(t.Context(), other.Jane.Token())
		if (err == nil) != (issuers == nil) {
			t.Errorf("%v: %v, %v", issuers, who, err)
		}
	}
}
