package catalogue

import (
	"net/http"
	"net/netip"
	"strings"
	"testing"

	"github.com/clerkauth/clerkauth"
	"github.com/clerkauth/clerkauth/internal/testkit"
)

var _ = addRows(rows{
	"136/forwarded_hosts_of_trusted_proxies": func(t *testing.T) {
		t.Run("return URL", hostsOfTrustedProxies)
		t.Run("own origin", originBehindTrustedProxies)
	},
	"137/forwarded_schemes_of_trusted_proxies": schemesOfTrustedProxies,
	"138/forwarded_header_of_trusted_proxies":  forwardedByTrustedProxies,
})

// behind trusts proxies at these addresses.
func behind(prefixes ...string) func(*clerkauth.Config) {
	return func(c *clerkauth.Config) {
		for _, s := range prefixes {
			c.Browser.TrustedProxies = append(c.Browser.TrustedProxies, netip.MustParsePrefix(s))
		}
	}
}

// loopback is where requests of the tests come from.
var loopback = behind("127.0.0.0/8", "::1/128")

// sentBack is the return URL for each header, with two authorized parties and with
// InsecureAnyParty.
type sentBack map[string]struct{ parties, anyParty string }

// behindProxies sends page requests for an unknown host through a trusted proxy, which adds
// each of these headers.
func behindProxies(t *testing.T, all sentBack) {
	t.Helper()
	parties := newSite(t, loopback, func(c *clerkauth.Config) {
		c.AuthorizedParties = append(c.AuthorizedParties, "https://www.example.com:8443", "http://plain.example.com")
	})
	anyParty := newSite(t, loopback, testkit.AnyParty)
	public := newSite(t, loopback, testkit.AnyParty, func(c *clerkauth.Config) { c.Browser.PublicOrigin = "https://public.example.com" })
	for header, want := range all {
		raw := request("GET /x?y=1", "Host: internal", page, header)
		for s, want := range map[*site]string{parties: want.parties, anyParty: want.anyParty, public: "https://public.example.com"} {
			if want != "" {
				want += "/x?y=1"
			}
			if got := s.returnURL(t, raw); got != want {
				t.Errorf("%.200q: sent back to %q, want %q", header, got, want)
			}
		}
	}
}

// hostsOfTrustedProxies: the last entry counts, if it is well formed and an authorized
// party's.
func hostsOfTrustedProxies(t *testing.T) {
	behindProxies(t, sentBack{
		"X-Forwarded-Host: app.example.com":                                                         {"https://app.example.com", "http://app.example.com"},
		"X-Forwarded-Host: evil.com, APP.example.com":                                               {"https://app.example.com", "http://app.example.com"},
		"X-Forwarded-Host: evil.com\r\nX-Forwarded-Host: app.example.com":                           {"https://app.example.com", "http://app.example.com"},
		"X-Forwarded-Host: www.example.com:8443\r\nX-Forwarded-Port: 1\r\nX-Forwarded-Proto: https": {"https://www.example.com:8443", "https://www.example.com:8443"},
		"X-Forwarded-Host: plain.example.com:80":                                                    {"http://plain.example.com", "http://plain.example.com"},
		"X-Forwarded-Host: other.example":                                                           {"", "http://other.example"},
		"X-Forwarded-Host: app.example.com:8443":                                                    {"", "http://app.example.com:8443"},
		"X-Forwarded-Host: app.example.com, evil.com/..":                                            {"", "http://internal"},
		"X-Forwarded-Host: evil.com@app.example.com":                                                {"", "http://internal"},
		"X-Forwarded-Host: app.example.com:99999":                                                   {"", "http://internal"},
		"X-Forwarded-Host: [::1":                                                                    {"", "http://internal"},
		"X-Forwarded-Host: app.example.com, ":                                                       {"", "http://internal"},
		"X-Forwarded-Host: " + strings.Repeat("evil", 2560):                                         {"", "http://internal"},
		"X-Forwarded-Server: app.example.com":                                                       {"", "http://internal"},
		"X_Forwarded_Host: app.example.com":                                                         {"", "http://internal"},
	})
	// A Host that is a party's does not stand in for a forwarded one that is none's.
	s := newSite(t, loopback)
	if got := s.returnURL(t, request("GET /x", "Host: app.example.com", page, "X-Forwarded-Host: other.example")); got != "" {
		t.Errorf("sent back to %q", got)
	}
}

func schemesOfTrustedProxies(t *testing.T) {
	behindProxies(t, sentBack{
		"X-Forwarded-Proto: https":                                                {"", "https://internal"},
		"X-Forwarded-Proto: http, HTTPS":                                          {"", "https://internal"},
		"X-Forwarded-Proto: https, http":                                          {"", "http://internal"},
		"X-Forwarded-Proto: javascript":                                           {"", "http://internal"},
		"X-Forwarded-Proto: https://evil/":                                        {"", "http://internal"},
		"X-Forwarded-Proto: https, wss":                                           {"", "http://internal"},
		"X-Forwarded-Proto: http\r\nX-Forwarded-Host: app.example.com":            {"https://app.example.com", "http://app.example.com"},
		"X-Forwarded-Proto: https\r\nX-Forwarded-Host: plain.example.com":         {"", "https://plain.example.com"},
		"X-Forwarded-Proto: https\r\nX-Forwarded-Host: app.example.com:443":       {"https://app.example.com", "https://app.example.com"},
		"X-Forwarded-Ssl: on\r\nX-Forwarded-Scheme: https\r\nFront-End-Https: on": {"", "http://internal"},
	})
}

// forwardedByTrustedProxies: the last element of RFC 7239 counts, unless X-Forwarded-*
// contradict it.
func forwardedByTrustedProxies(t *testing.T) {
	const ours = "https://app.example.com"
	behindProxies(t, sentBack{
		"Forwarded: for=192.0.2.1;host=app.example.com;proto=https":                                 {ours, ours},
		`Forwarded: For="[2001:db8::1]:4711"; Host="app.example.com:443" ;Proto=HTTPS`:              {ours, ours},
		"Forwarded: host=evil;proto=http, host=app.example.com;proto=https":                         {ours, ours},
		"Forwarded: for=\"\r\nForwarded: host=app.example.com;proto=https":                          {ours, ours},
		`Forwarded: for=", host=app.example.com;proto=https`:                                        {"", "http://internal"},
		`Forwarded: host="evil/..";proto=javascript`:                                                {"", "http://internal"},
		"Forwarded: host=app.example.com;host=evil":                                                 {"", "http://internal"},
		"Forwarded: host=other.example;proto=https":                                                 {"", "https://other.example"},
		"Forwarded: host=app.example.com;proto=https\r\nX-Forwarded-Host: evil":                     {"", "http://internal"},
		"Forwarded: host=evil;proto=https\r\nX-Forwarded-Proto: https":                              {"", "http://internal"},
		"Forwarded: for=192.0.2.1\r\nX-Forwarded-Proto: https\r\nX-Forwarded-Host: app.example.com": {ours, ours},
	})
}

// originBehindTrustedProxies: pages of the host that a trusted proxy forwards are this
// server's own.
func originBehindTrustedProxies(t *testing.T) {
	r := testkit.NewMachineRig(t, fromOwnHeader, testkit.AnyParty, behind("10.0.0.0/8"))
	const public = "app.example.org"
	for name, c := range map[string]struct {
		peer, header, value string
		origin              string
		in                  bool
	}{
		"forwarded":                 {"10.0.0.1:1", "X-Forwarded-Host", public, "https://" + public, true},
		"RFC 7239":                  {"10.0.0.1:1", "Forwarded", "host=" + public, "https://" + public, true},
		"another page":              {"10.0.0.1:1", "X-Forwarded-Host", public, "https://evil.example", false},
		"a page of the inner host":  {"10.0.0.1:1", "X-Forwarded-Host", public, "https://internal", false},
		"nothing forwarded":         {"10.0.0.1:1", "X-Other", public, "https://internal", true},
		"malformed":                 {"10.0.0.1:1", "X-Forwarded-Host", public + "/", "https://" + public, false},
		"malformed, null":           {"10.0.0.1:1", "X-Forwarded-Host", "null", "null", false},
		"not trusted":               {"192.0.2.1:1", "X-Forwarded-Host", public, "https://" + public, false},
		"not trusted, its own host": {"192.0.2.1:1", "X-Forwarded-Host", public, "https://internal", true},
		"an address in a header":    {"10.0.0.1", "X-Forwarded-Host", public, "https://" + public, false},
	} {
		request := func(edit func(*http.Request)) []func(*http.Request) {
			return []func(*http.Request){own(r.Jane.Token()), setHeader(c.header, c.value), setHeader("Origin", c.origin), func(r *http.Request) {
				r.RemoteAddr, r.Host = c.peer, "internal"
			}, edit}
		}
		for what, edit := range map[string]func(*http.Request){
			"POST":      func(r *http.Request) { r.Method = http.MethodPost },
			"websocket": setHeader("Upgrade", "websocket"),
		} {
			var host string
			inner := func(next http.Handler) http.Handler {
				return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) { host = r.Host; next.ServeHTTP(w, r) })
			}
			got := testkit.Serve(func(next http.Handler) http.Handler { return r.Auth.Require()(inner(next)) }, request(edit)...)
			if c.in {
				if testkit.WantReply(t, got, 200, ""); host != "internal" {
					t.Errorf("%s: the handler sees the host %q", name, host)
				}
			} else if got.Status != 403 || got.Reason() != string(clerkauth.ErrCrossSite) {
				t.Errorf("%s, %s: %v", name, what, got)
			}
		}
		cross := append(request(func(r *http.Request) { r.Method = http.MethodPost }), setHeader("Sec-Fetch-Site", "cross-site"))
		if got := testkit.Serve(r.Auth.Require(), cross...); got.Status != 403 {
			t.Errorf("%s, from another site: %v", name, got)
		}
	}
}
