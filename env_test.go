package clerkauth_test

import (
	"fmt"
	"log/slog"
	"strings"
	"testing"

	"bytes"

	"github.com/clerkauth/clerkauth"
	"github.com/clerkauth/clerkauth/internal/testkit"
)

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

func TestFromEnvUnderFrontEndNames(t *testing.T) {
	one, two := testkit.PublishableKey("test", "one.example$"), testkit.PublishableKey("test", "two.example$")
	const plain, next, vite, expo, public = "CLERK_PUBLISHABLE_KEY", "NEXT_PUBLIC_CLERK_PUBLISHABLE_KEY", "VITE_CLERK_PUBLISHABLE_KEY", "EXPO_PUBLIC_CLERK_PUBLISHABLE_KEY", "PUBLIC_CLERK_PUBLISHABLE_KEY"
	none := func(*clerkauth.Config) {}
	issuers := func(c *clerkauth.Config) { c.Issuers = []string{"https://clerk.example.com"} }
	for what, c := range map[string]struct {
		env    map[string]string
		change func(*clerkauth.Config)
		key    string   // that FromEnv gives
		fails  string   // New's error; "": none
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
			failure := ""
			if _, err := clerkauth.New(config); err != nil {
				failure = err.Error()
			}
			if c.fails == "" && failure != "" || !strings.Contains(failure, c.fails) {
				t.Errorf("New returned %q, want %q", failure, c.fails)
			}
			if warned := strings.Contains(log.String(), "level=WARN"); warned != (c.logs != "") || !strings.Contains(log.String(), c.logs) {
				t.Errorf("log is %q", log.String())
			}
			for _, value := range c.never {
				if strings.Contains(failure+log.String(), value) {
					t.Errorf("a key is quoted: %s", failure+log.String())
				}
			}
		})
	}
}

// TestFrontEndKeyAddsNoIssuer: if Issuers are named, a front end's publishable key
// in the environment adds none.
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
