package weburl

import (
	"net/url"
	"strings"
	"testing"
)

// mistake reports whether err is wrong: it has to contain want, or be nil if want is
// "".
func mistake(err error, want string) bool {
	if want == "" {
		return err != nil
	}
	return err == nil || !strings.Contains(err.Error(), want)
}

func TestParseBase(t *testing.T) {
	for s, want := range map[string]string{
		"https://api.clerk.com":           "",
		"https://api.clerk.com/x/":        "",
		"https://api.clerk.com:8443":      "",
		"http://localhost:1":              "",
		"http://127.0.0.1":                "",
		"http://[::1]:80":                 "",
		"http://api.clerk.com":            "it must be https",
		"http://localhost.evil.example":   "it must be https",
		"http://10.0.0.1":                 "it must be https",
		"api.clerk.com":                   `such as "https://api.clerk.com"`,
		"localhost:3000":                  `such as "http://localhost:3000"`,
		"ftp://api.clerk.com":             "absolute https URL",
		"//api.clerk.com":                 "absolute https URL",
		"https://":                        "absolute https URL",
		"":                                "it is empty",
		"https://api.clerk.com\n":         "ends in a line break",
		"https://api.clerk.com?":          "without credentials, query and fragment",
		"https://api.clerk.com?x":         "without credentials, query and fragment",
		"https://api.clerk.com#x":         "without credentials, query and fragment",
		"https://user@api.clerk.com":      "without credentials, query and fragment",
		"https://user:pass@api.clerk.com": "without credentials, query and fragment",
	} {
		if _, err := ParseBase(s); mistake(err, want) {
			t.Errorf("ParseBase(%q): %v, want %q", s, err, want)
		}
	}
}

func TestParseIdentifier(t *testing.T) {
	for s, want := range map[string]string{
		"http://docs.example.com/x":  "",
		"https://docs.example.com":   "",
		"ftp://docs.example.com":     "absolute https URL",
		"http://docs.example.com?x":  "without credentials",
		"http://a:b@docs.example.co": "without credentials",
	} {
		if _, err := ParseIdentifier(s); mistake(err, want) {
			t.Errorf("ParseIdentifier(%q): %v, want %q", s, err, want)
		}
	}
}

func TestCheckIssuer(t *testing.T) {
	for s, want := range map[string]string{
		"https://clerk.example.com":      "",
		"http://clerk.example.com":       "",
		"https://example.com/__clerk":    "",
		"https://clerk.example.com/":     "must not end in a slash",
		"clerk.example.com":              `"https://clerk.example.com"`,
		"https://clerk.example.com?x=/y": "without credentials",
	} {
		if err := CheckIssuer(s); mistake(err, want) {
			t.Errorf("CheckIssuer(%q): %v, want %q", s, err, want)
		}
	}
}

func TestParseBackend(t *testing.T) {
	for s, want := range map[string]string{
		"https://api.clerk.com":       "",
		"https://api.clerk.com/proxy": "",
		"https://api.clerk.com/v10":   "",
		"https://api.clerk.com/v1":    `use "https://api.clerk.com"`,
		"https://api.clerk.com/V1/":   `use "https://api.clerk.com"`,
		"https://x.example/clerk/v1":  `use "https://x.example/clerk"`,
		"http://api.clerk.com/v1":     "it must be https",
	} {
		if _, err := ParseBackend(s); mistake(err, want) {
			t.Errorf("ParseBackend(%q): %v, want %q", s, err, want)
		}
	}
	if _, err := ParseBackend("https://api.clerk.com/sk_live_abc/v1"); err == nil || strings.Contains(err.Error(), "sk_live_abc") {
		t.Errorf("what may be a secret: %v", err)
	}
}

func TestParseProxy(t *testing.T) {
	parties := []string{"capacitor://localhost", "https://app.example.com"}
	for _, c := range []struct {
		proxy, public string
		parties       []string
		want          Proxy
		wrong         string
	}{
		{"https://example.com/__clerk", "", nil, Proxy{"https://example.com/__clerk", true}, ""},
		{"https://example.com/__clerk//", "", nil, Proxy{}, "clean"},
		{"https://example.com/__clerk/", "", nil, Proxy{"https://example.com/__clerk", true}, ""},
		{"http://localhost:3000/__clerk", "", nil, Proxy{"http://localhost:3000/__clerk", false}, ""},
		{"/__clerk", "https://www.example.com", parties, Proxy{"https://www.example.com/__clerk", true}, ""},
		{"/__clerk", "", parties, Proxy{"https://app.example.com/__clerk", true}, ""},
		{"/__clerk", "", []string{"http://localhost:3000"}, Proxy{"http://localhost:3000/__clerk", false}, ""},
		{"/__clerk", "", append(parties, "https://b.example"), Proxy{}, "nothing says of which origin"},
		{"/__clerk", "", nil, Proxy{}, "nothing says of which origin"},
		{"/__clerk", "https://www.example.com/", parties, Proxy{}, "an origin has no path"},
		{"//evil.example/__clerk", "https://www.example.com", parties, Proxy{}, "absolute https URL"},
		{"__clerk", "", parties, Proxy{}, "absolute https URL"},
		{"http://example.com/__clerk", "", nil, Proxy{}, "it must be https"},
		{"https://EXAMPLE.com", "", nil, Proxy{}, "lower-case ASCII"},
		{"https://example.com.", "", nil, Proxy{}, "lower-case ASCII"},
		{"https://example.com/a/../b", "", nil, Proxy{}, "clean"},
		{"/a//b", "https://www.example.com", nil, Proxy{}, "clean"},
	} {
		got, err := ParseProxy(c.proxy, c.public, c.parties)
		if mistake(err, c.wrong) || got != c.want {
			t.Errorf("ParseProxy(%q, %q, %q) = %+v, %v; want %+v, %q", c.proxy, c.public, c.parties, got, err, c.want, c.wrong)
		}
	}
}

func TestParseResource(t *testing.T) {
	const plainly = "written plainly"
	for s, want := range map[string]string{
		"https://api.example.com":          "",
		"https://api.example.com/":         "",
		"https://api.example.com/mcp":      "",
		"https://api.example.com/a/b.c/":   "",
		"https://API.example.com/mcp":      "",
		"http://127.0.0.1:8080/mcp":        "",
		"http://api.example.com":           "it must be https",
		"https://api.example.com/a//b":     plainly,
		"https://api.example.com/a/../b":   plainly,
		"https://api.example.com/.":        plainly,
		"https://api.example.com/a%20b":    plainly,
		"https://api.example.com/%61":      plainly,
		"https://api.example.com/a b":      plainly,
		"https://api.example.com/mcp?":     "without credentials",
		"https://api.example.com/mcp#":     plainly,
		"HTTPS://api.example.com":          plainly,
		"https://api.example.com./mcp":     plainly,
		"https://b\u00fccher.example/mcp":  plainly,
		"https://api.example.com/b\u00fcc": plainly,
	} {
		if _, err := ParseResource(s); mistake(err, want) {
			t.Errorf("ParseResource(%q): %v, want %q", s, err, want)
		}
	}
}

func TestWellKnown(t *testing.T) {
	for resource, want := range map[string]string{
		"https://api.example.com":       "https://api.example.com/.well-known/x",
		"https://api.example.com/":      "https://api.example.com/.well-known/x",
		"https://api.example.com/mcp":   "https://api.example.com/.well-known/x/mcp",
		"http://localhost:8080/a/mcp/":  "http://localhost:8080/.well-known/x/a/mcp/",
		"https://API.example.com:8/mcp": "https://API.example.com:8/.well-known/x/mcp",
	} {
		u, err := url.Parse(resource)
		if err != nil {
			t.Fatal(err)
		}
		if got := WellKnown("/.well-known/x", u).String(); got != want {
			t.Errorf("WellKnown(%s) = %s, want %s", resource, got, want)
		}
	}
}

func TestSameResource(t *testing.T) {
	for _, c := range []struct {
		a, b string
		want bool
	}{
		{"https://api.example.com/mcp", "https://api.example.com/mcp", true},
		{"https://api.example.com/mcp", "https://api.example.com/mcp/", true},
		{"https://api.example.com/mcp", "https://api.example.com/mcp//", false},
		{"https://api.example.com/mcp", "https://api.example.com/MCP", false},
		{"https://api.example.com/mcp", "https://api.example.com/mcp/x", false},
		{"https://api.example.com/mcp", "", false},
	} {
		if got := SameResource(c.a, c.b); got != c.want || SameResource(c.b, c.a) != got {
			t.Errorf("SameResource(%q, %q) = %v", c.a, c.b, got)
		}
	}
}
