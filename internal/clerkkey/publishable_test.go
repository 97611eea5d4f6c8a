package clerkkey

import (
	"encoding/base64"
	"strings"
	"testing"
)

func TestParsePublishable(t *testing.T) {
	encode := func(prefix, text string) string {
		return prefix + base64.RawStdEncoding.EncodeToString([]byte(text))
	}
	padded := "pk_test_" + base64.StdEncoding.EncodeToString([]byte("clerk.example.com$"))
	for key, want := range map[string]struct {
		of    Instance
		fails string
	}{
		encode("pk_live_", "clerk.example.com$"):        {Instance{true, "clerk.example.com"}, ""},
		encode("pk_test_", "clerk.example.com$"):        {Instance{false, "clerk.example.com"}, ""},
		padded:                                          {Instance{false, "clerk.example.com"}, ""},
		encode("pk_dev_", "clerk.example.com$"):         {Instance{}, "must look like"},
		encode("pk_live_", "clerk.example.com"):         {Instance{}, "host"},
		encode("pk_live_", "clerk.example.com$x"):       {Instance{}, "host"},
		encode("pk_live_", "clerk.example.com/x$"):      {Instance{}, "host"},
		encode("pk_live_", "clerk.example.com$") + "\n": {Instance{}, "base64"},
		"pk_live_":  {Instance{}, "must look like"},
		"pk_live_!": {Instance{}, "base64"},
		"sk_live_x": {Instance{}, "secret key"},
		"ak_x":      {Instance{}, "machine's"},
		"":          {Instance{}, "empty"},
	} {
		of, err := ParsePublishable(key)
		if of != want.of || (err != nil) != (want.fails != "") || err != nil && !strings.Contains(err.Error(), want.fails) {
			t.Errorf("%q: %+v, %v, want %+v, %q", key, of, err, want.of, want.fails)
		}
		if err != nil && len(key) > 8 && strings.Contains(err.Error(), key) {
			t.Errorf("%v quotes the key", err)
		}
	}
}

func TestAccountsURL(t *testing.T) {
	for host, want := range map[string]string{
		"clerk.example.com":           "https://accounts.example.com",
		"one.clerk.accounts.dev":      "https://one.accounts.dev",
		"one.clerk.accountsstage.dev": "https://one.accountsstage.dev",
		"clerk.clerk.accounts.dev":    "https://clerk.accounts.dev",
		"clerk.example.com:8443":      "https://accounts.example.com:8443",
	} {
		if got := (Instance{Host: host}).AccountsURL(); got != want {
			t.Errorf("%s: %s, want %s", host, got, want)
		}
	}
}
