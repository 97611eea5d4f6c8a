package weburl

import (
	"net/url"
	"strings"
	"testing"
)

func TestCheckPage(t *testing.T) {
	for s, want := range map[string]string{
		"/sign-in":                      "",
		"/sign-in?x=1#y":                "",
		"https://accounts.example.com":  "",
		"https://Example.com/sign-in":   "",
		"http://localhost:3000/sign-in": "",
		"//evil.example":                "absolute",
		`/\evil.example`:                "not a URL",
		"/a b":                          "not a URL",
		"/a\tb":                         "not a URL",
		"/a\x7fb":                       "not a URL",
		"sign-in":                       "absolute",
		"":                              "absolute",
		"javascript:alert(1)":           "absolute",
		"ftp://example.com":             "absolute",
		"https:///x":                    "absolute",
		"https://user@example.com":      "absolute",
		"https://example.com.":          "absolute",
		"https://b\u00fccher.example":   "absolute",
	} {
		if err := CheckPage(s); mistake(err, want) {
			t.Errorf("CheckPage(%q): %v, want %q", s, err, want)
		}
	}
}

func TestOwnPage(t *testing.T) {
	for page, want := range map[string]string{
		"": "", "/sign-in?x=1": "/sign-in", "https://app.example.com/sign-in": "", "https://app.example.com": "",
	} {
		got := ""
		if u := OwnPage(page); u != nil {
			got = u.Path
		}
		if got != want {
			t.Errorf("OwnPage(%q) has the path %q, want %q", page, got, want)
		}
	}
}

func TestSiteOrigin(t *testing.T) {
	listed := Site{Origins: []string{"https://app.example.com", "http://localhost:3000", "http://both.example", "https://both.example"}}
	public := Site{Public: "https://www.example.com", Origins: listed.Origins, AnyHost: true}
	anyHost := Site{AnyHost: true}
	for _, c := range []struct {
		site Site
		tls  bool
		host string
		want string
	}{
		{Site{}, true, "app.example.com", ""},
		{listed, true, "app.example.com", "https://app.example.com"},
		{listed, false, "app.example.com", "https://app.example.com"}, // behind a proxy that terminates TLS
		{listed, true, "APP.example.com", "https://app.example.com"},
		{listed, false, "localhost:3000", "http://localhost:3000"},
		{listed, true, "localhost:3000", ""},
		{listed, false, "both.example", "http://both.example"},
		{listed, true, "both.example", "https://both.example"},
		{listed, true, "app.example.com:443", ""},
		{listed, true, "app.example.com.", ""},
		{listed, true, "evil.example", ""},
		{listed, true, "", ""},
		{public, false, "evil.example", "https://www.example.com"},
		{anyHost, false, "evil.example:80", "http://evil.example:80"},
		{anyHost, true, "Evil.example", "https://evil.example"},
		{anyHost, true, "evil.example/x", ""},
		{anyHost, true, "user@evil.example", ""},
		{anyHost, true, "", ""},
	} {
		if got := c.site.Origin(c.tls, c.host); got != c.want {
			t.Errorf("%+v.Origin(%v, %q) = %q, want %q", c.site, c.tls, c.host, got, c.want)
		}
	}
}

func TestReturn(t *testing.T) {
	const origin = "https://app.example.com"
	long := "/" + strings.Repeat("x", maxReturn-len(origin)-1)
	for _, c := range []struct{ origin, target, want string }{
		{origin, "/", origin + "/"},
		{origin, "/x?y=1&z", origin + "/x?y=1&z"},
		{origin, "/a%2Fb", origin + "/a%2Fb"},
		{origin, "//evil.example/x", origin + "//evil.example/x"},
		{origin, "/\\evil.example", origin + "/%5Cevil.example"},
		{origin, "http://evil.example/x", origin + "/x"},
		{origin, "*", ""},
		{"", "/x", ""},
		{origin, long, origin + long},
		{origin, long + "x", ""},
	} {
		u, err := url.ParseRequestURI(c.target)
		if err != nil {
			t.Fatal(err)
		}
		if got := Return(c.origin, u); got != c.want {
			t.Errorf("Return(%q, %.40q) = %.60q, want %.60q", c.origin, c.target, got, c.want)
		}
	}
	for _, u := range []*url.URL{{Opaque: "//evil.example/x"}, {Path: "x"}, {}, {Scheme: "mailto", Opaque: "a@b"}} {
		if got := Return(origin, u); got != "" {
			t.Errorf("Return(%+v) = %q", u, got)
		}
	}
}

func TestPage(t *testing.T) {
	for _, c := range []struct{ page, path, back, want string }{
		{"", "", "https://a.example/", ""},
		{"/sign-in", "", "", "/sign-in"},
		{"/sign-in", "/tasks", "", "/sign-in/tasks"},
		{"/sign-in?x=1", "", "https://a.example/?y=1&z", "/sign-in?redirect_url=https%3A%2F%2Fa.example%2F%3Fy%3D1%26z&x=1"},
		{"https://accounts.example.com/sign-in?redirect_url=x", "/tasks", "https://a.example/", "https://accounts.example.com/sign-in/tasks?redirect_url=https%3A%2F%2Fa.example%2F"},
	} {
		if got := Page(c.page, c.path, c.back); got != c.want {
			t.Errorf("Page(%q, %q, %q) = %q, want %q", c.page, c.path, c.back, got, c.want)
		}
	}
}
