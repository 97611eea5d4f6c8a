package fapiproxy

import (
	"strings"
	"testing"
)

// newProxy returns a proxy at /auth/__clerk for target.
func newProxy(t testing.TB, target string) *proxy {
	t.Helper()
	u := parse(t, "https://app.example.com/auth/__clerk")
	return &proxy{Config: Config{Target: parse(t, target), URL: u}, mount: u.Path, base: strings.TrimRight(target, "/")}
}

// TestTarget: a path is appended to that of the Frontend API.
func TestTarget(t *testing.T) {
	p := newProxy(t, "http://127.0.0.1:8080/base/")
	for rest, want := range map[string]string{
		"":              "http://127.0.0.1:8080/base/",
		"/":             "http://127.0.0.1:8080/base/",
		"/v1/client":    "http://127.0.0.1:8080/base/v1/client",
		"/@x:y":         "http://127.0.0.1:8080/base/@x:y",
		"/..":           "",
		"/v1/%2e%2e/x":  "",
		"//evil/x":      "",
		"/%zz":          "",
		"/\u00fc\u0001": "",
	} {
		u, err := p.target(rest, "")
		if want == "" && err == nil || want != "" && (err != nil || u.String() != want) {
			t.Errorf("%q: %v, %v, want %q", rest, u, err, want)
		}
	}
}

// TestLocation: what is below the path of the Frontend API is below that of the proxy.
func TestLocation(t *testing.T) {
	p := newProxy(t, "https://frontend.example/base")
	from := parse(t, "https://frontend.example/base/v1/client")
	for location, want := range map[string]string{
		"https://frontend.example/base/v1/x":    "https://app.example.com/auth/__clerk/v1/x",
		"https://frontend.example/base":         "https://app.example.com/auth/__clerk",
		"https://frontend.example/base/a%2Fb?c": "https://app.example.com/auth/__clerk/a%2Fb?c",
		"me":                                    "https://app.example.com/auth/__clerk/v1/me",
		"https://frontend.example/basement":     "https://frontend.example/basement",
		"https://frontend.example/v1/x":         "https://frontend.example/v1/x",
		"https://other.example/base/v1":         "https://other.example/base/v1",
	} {
		if got := p.location(from, location); got != want {
			t.Errorf("%s: %s, want %s", location, got, want)
		}
	}
}

// FuzzTarget: no path changes the host, and none leaves the path of the Frontend API.
func FuzzTarget(f *testing.F) {
	for _, rest := range []string{"/v1/client", "//evil.example", `/\evil`, "/..%2f", "/%2e%2e/", "/@evil:80", "/a?b#c", "/%25%32%65"} {
		f.Add(rest, "a=b c")
	}
	p := newProxy(f, "https://frontend.example/base")
	f.Fuzz(func(t *testing.T, rest, query string) {
		if rest != "" && rest[0] != '/' {
			return
		}
		u, err := p.target(rest, query)
		if err != nil {
			return
		}
		again := parse(t, u.String())
		if again.Host != "frontend.example" || again.Scheme != "https" || again.User != nil || !strings.HasPrefix(again.JoinPath().Path, "/base") ||
			!strings.HasPrefix(u.RequestURI(), "/base/") || strings.ContainsAny(u.RequestURI(), " \r\n\t#\x00") {
			t.Errorf("%q, %q: %s", rest, query, u)
		}
	})
}
