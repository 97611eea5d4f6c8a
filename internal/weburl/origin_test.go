package weburl

import (
	"slices"
	"testing"
)

func TestCheckOrigin(t *testing.T) {
	for s, want := range map[string]string{
		"https://app.example.com":           "",
		"http://localhost:3000":             "",
		"https://[::1]:8443":                "",
		"https://xn--pp-fka.example":        "",
		"https://my_host.example":           "",
		"capacitor://localhost":             "",
		"chrome-extension://abcdef":         "",
		"":                                  "it is empty",
		"null":                              "nobody answers for",
		"*":                                 "there are no wildcards",
		"*.example.com":                     "there are no wildcards",
		"https://*.example.com":             "wildcard",
		"app.example.com":                   `use "https://app.example.com"`,
		"App.example.com/x":                 `use "https://app.example.com"`,
		"localhost:3000":                    `use "http://localhost:3000"`,
		"my.localhost:3000":                 `use "http://my.localhost:3000"`,
		"[::1]:3000":                        `use "http://[::1]:3000"`,
		"https://app.example.com/":          `use "https://app.example.com"`,
		"https://app.example.com/x":         `use "https://app.example.com"`,
		"https://app.example.com?x":         `use "https://app.example.com"`,
		"https://app.example.com#x":         `use "https://app.example.com"`,
		"https://a@app.example.com":         `use "https://app.example.com"`,
		"HTTPS://app.example.com":           "an origin is lower-case",
		"https://APP.example.com":           "an origin is lower-case",
		"https://app.example.com:":          `use "https://app.example.com"`,
		"https://app.example.com:443":       `use "https://app.example.com"`,
		"http://app.example.com:80":         `use "http://app.example.com"`,
		"http://app.example.com:443":        "",
		"https://app.example.com:0":         "its port",
		"https://app.example.com:0443":      "its port",
		"https://app.example.com:65536":     "its port",
		"https://app.example.com.":          "trailing dot",
		"https://\u0430pp.example":          "punycode",
		"https://a.example;b":               "not an origin",
		"https://a.example https://b.co":    "separate origins by commas",
		`["https://a.example"]`:             "it is JSON",
		"sk_live_abc":                       "it looks like a key",
		"sk_live_abc\n":                     "ends in a line break",
		"https://user:sk_live_x@a.example/": `use "https://a.example"`,
	} {
		if err := CheckOrigin(s); mistake(err, want) {
			t.Errorf("CheckOrigin(%q): %v, want %q", s, err, want)
		}
	}
}

func TestWeb(t *testing.T) {
	origins := []string{"https://a.example", "capacitor://localhost", "http://localhost:3000", "httpx://b", ""}
	if got, want := Web(origins), []string{"https://a.example", "http://localhost:3000"}; !slices.Equal(got, want) {
		t.Errorf("Web = %q, want %q", got, want)
	}
}

func TestHost(t *testing.T) {
	for origin, want := range map[string]string{"": "", "https://a.example": "a.example", "http://[::1]:3000": "[::1]:3000"} {
		if got := Host(origin); got != want {
			t.Errorf("Host(%q) = %q, want %q", origin, got, want)
		}
	}
}

func TestOrigins(t *testing.T) {
	got := Origins([]string{"https://clerk.example.com", "https://app.example.com/__clerk", "https://clerk.example.com/x", ":"})
	if want := []string{"https://clerk.example.com", "https://app.example.com"}; !slices.Equal(got, want) {
		t.Errorf("%q, want %q", got, want)
	}
}
