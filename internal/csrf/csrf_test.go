package csrf

import (
	"net/http"
	"net/http/httptest"
	"net/netip"
	"testing"

	"github.com/clerkauth/clerkauth/internal/weburl"
)

// TestCrossSite: requests that change state, and those for websockets, are of another site
// unless they come from this server's own host or a trusted origin.
func TestCrossSite(t *testing.T) {
	const trusted = "https://app.example.com"
	p := New([]string{trusted, "", "not an origin"}, weburl.Proxies{netip.MustParsePrefix("10.0.0.0/8")})
	for _, c := range []struct {
		what           string
		method, origin string
		site           string // Sec-Fetch-Site
		edit           func(*http.Request)
		want           bool
	}{
		{"a page is read", "GET", "", "cross-site", nil, false},
		{"not a browser", "POST", "", "", nil, false},
		{"a form of this server", "POST", "https://api.example.com", "same-origin", nil, false},
		{"a form of another site", "POST", "https://evil.example", "cross-site", nil, true},
		{"a form of another site, without fetch metadata", "POST", "https://evil.example", "", nil, true},
		{"a form of a trusted origin", "POST", trusted, "cross-site", nil, false},
		{"a websocket of this server", "GET", "https://api.example.com", "", upgrade, false},
		{"a websocket of a trusted origin", "GET", trusted, "", upgrade, false},
		{"a websocket of another site", "GET", "https://evil.example", "", upgrade, true},
		{"a websocket without Origin", "GET", "", "", upgrade, true},
		{"a websocket with an empty Origin", "GET", "", "", func(r *http.Request) { upgrade(r); r.Header["Origin"] = []string{""} }, true},
		{"a websocket with two Origins", "GET", trusted, "", func(r *http.Request) { upgrade(r); r.Header.Add("Origin", trusted) }, true},
		{"no Host", "GET", "https://evil.example", "", func(r *http.Request) { r.Host = "" }, true},
		{"behind a trusted proxy", "GET", "https://www.example.com", "", forwarded("10.0.0.1:1"), false},
		{"behind an unknown proxy", "GET", "https://www.example.com", "", forwarded("192.0.2.1:1"), true},
	} {
		r := httptest.NewRequest(c.method, "https://api.example.com/", nil)
		if c.origin != "" {
			r.Header.Set("Origin", c.origin)
		}
		if c.site != "" {
			r.Header.Set("Sec-Fetch-Site", c.site)
		}
		if c.edit != nil {
			c.edit(r)
		}
		host := r.Host
		if got := p.CrossSite(r); got != c.want {
			t.Errorf("%s: %v", c.what, got)
		}
		if r.Host != host {
			t.Errorf("%s: the request was changed", c.what)
		}
	}
}

func upgrade(r *http.Request) { r.Header.Set("Upgrade", "websocket") }

// forwarded edits a request for a websocket that comes from a proxy at that address.
func forwarded(address string) func(*http.Request) {
	return func(r *http.Request) {
		upgrade(r)
		r.RemoteAddr = address
		r.Header.Set("X-Forwarded-Host", "www.example.com")
	}
}
