package catalogue

import (
	"log/slog"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"testing"

	"github.com/clerkauth/clerkauth"
	"github.com/clerkauth/clerkauth/internal/testkit"
)

// These rows test where browsers are sent. Each target stands in every place that a caller
// can write to: the request's path and query, Referer, the page that htmx says it is on, the
// URL to which a primary application sends the browsers of satellites back in development,
// and in the configuration.
var _ = addRows(rows{
	"150/scheme_relative_redirect":    redirectsTo("//evil.com", "///evil.com", "////evil.com", "//evil.com/x", "///evil.com/..", "//app.example.com@evil.com"),
	"151/backslash_redirect":          redirectsTo(`/\evil.com`, `\\evil.com`, `/\/evil.com`, `\/evil.com`, `https:\\evil.com`, `/\\\evil.com`, `https:/\evil.com`, `/%5cevil.com`),
	"152/malformed_scheme_redirect":   redirectsTo("https:evil.com", "http:/evil.com", "https:///evil.com", "https:////evil.com", "HTTPS:evil.com", "https://", "https:", "//"),
	"153/script_redirect":             redirectsTo("javascript:alert(1)", "JaVaScRiPt:alert(1)", "data:text/html,x", "vbscript:x", "blob:https://app.example.com/x", "java\tscript:alert(1)", " javascript:alert(1)", "file:///etc/passwd", "ftp://app.example.com/", "about:blank"),
	"154/userinfo_redirect":           redirectsTo("https://app.example.com@evil.com/", "https://app.example.com:443@evil.com", "https://evil.com#@app.example.com", "https://evil.com?app.example.com", "https://a:b@satellite.example.com/", "https://satellite.example.com@evil.com", `https://evil.com\@satellite.example.com`),
	"155/lookalike_redirect":          redirectsTo("https://app.example.com.evil.com", "https://evilapp.example.com", "https://satellite.example.com.", "https://satellite.example.com:8443", "http://satellite.example.com", "https://satellite.example.com.evil.com", "https://sаtellite.example.com", "https://satellite%2eexample.com", "https://satellite.example.com%00.evil.com", "https://[satellite.example.com]"),
	"156/header_injection_redirect":   redirectsTo("/ok%0d%0aSet-Cookie:%20a=b", "/ok\r\nX-Evil: y", "/ok\x00", "https://satellite.example.com/\r\nX-Evil: y", "/ok%00", "/\u010d\u010a"),
	"157/control_bytes_redirect":      redirectsTo("/\t/evil.com", "/%09/evil.com", " //evil.com", "\u00a0//evil.com", "\t//evil.com", "/\n/evil.com", "ht\ntps://evil.com", "\x01https://evil.com", "https:/\t/evil.com"),
	"158/dot_segment_redirect":        redirectsTo("/..//evil.com", "/.//evil.com", "/a/..//evil.com", "/%2e%2e//evil.com", "/%2e//evil.com", "/a/%2e%2e//evil.com", `/..\\evil.com`, "/a/b/../../..//evil.com"),
	"159/repeated_redirect_parameter": repeatedRedirectParameter,
	"160/redirect_from_request_path":  redirectFromRequestPath,
	"161/accounts_referrer":           accountsReferrer,
	"162/host_in_publishable_key":     hostInPublishableKey,
})

const satelliteOrigin = "https://satellite.example.com"

// browserHost returns the host to which a browser at https://app.example.com goes for a
// Location, by the rules of the URL Standard: control characters at the ends are stripped,
// tabs and line breaks everywhere, backslashes are slashes, and any number of slashes may
// follow the scheme. It returns a scheme that is not of the web with its colon.
func browserHost(location string) string {
	s := strings.TrimFunc(location, func(c rune) bool { return c <= ' ' })
	s = strings.NewReplacer("\t", "", "\r", "", "\n", "", `\`, "/").Replace(s)
	scheme, rest, ok := strings.Cut(s, ":")
	if ok && !strings.ContainsAny(scheme, "/?#") && scheme != "" {
		if lower := strings.ToLower(scheme); lower != "https" && lower != "http" {
			return lower + ":"
		}
		s = "//" + strings.TrimLeft(rest, "/")
	}
	if !strings.HasPrefix(s, "//") {
		return "app.example.com"
	}
	host := strings.TrimLeft(s, "/")
	if end := strings.IndexAny(host, "/?#"); end >= 0 {
		host = host[:end]
	}
	return strings.ToLower(host[strings.LastIndex(host, "@")+1:])
}

// ownTarget requires a response to send a browser nowhere but to this application, to Clerk,
// or to a configured page, and what it names as return URLs there, too.
func (b *browserRig) ownTarget(what string, got testkit.Reply) {
	b.t.Helper()
	_, frontend, _ := strings.Cut(b.Server.Issuer(), "://")
	own := []string{"app.example.com", frontend, strings.Replace(frontend, ".clerk.", ".", 1), strings.Replace(frontend, "clerk.", "accounts.", 1), "satellite.example.com", "primary.example.com"}
	for _, name := range []string{"Location", "HX-Redirect"} {
		for _, target := range got.Header[http.CanonicalHeaderKey(name)] {
			if !slices.Contains(own, browserHost(target)) || strings.ContainsFunc(target, func(c rune) bool { return c <= ' ' || c == 0x7f || c == '\\' }) {
				b.t.Errorf("%s: %s is %q", what, name, target)
			}
			u, err := url.Parse(target)
			if err != nil {
				b.t.Errorf("%s: %s is %q", what, name, target)
				continue
			}
			for _, param := range []string{"redirect_url", "__clerk_redirect_url"} {
				for _, back := range u.Query()[param] {
					if param == "redirect_url" && browserHost(back) != "app.example.com" {
						b.t.Errorf("%s: sent back to %q", what, back)
					}
				}
			}
		}
	}
	for name := range got.Header {
		if strings.Contains(name, "Evil") {
			b.t.Errorf("%s: header %s", what, name)
		}
	}
}

// redirectsTo returns the test of a row whose targets are none of this application's.
func redirectsTo(targets ...string) func(*testing.T) {
	return func(t *testing.T) {
		for name, production := range map[string]bool{"production": true, "development": false} {
			b := newBrowserRig(t, production, func(c *clerkauth.Config) { c.Browser.Satellites = []string{satelliteOrigin} })
			known := cookies{"__clerk_db_jwt=db"}
			for _, target := range targets {
				for who, c := range map[string]cookies{"nobody": nil, "a known browser": known, "no session": b.known(), "Jane": cookiesOf(b.Jane)} {
					query := func(name string) func(*http.Request) {
						return func(r *http.Request) {
							r.URL.RawQuery = name + "=" + url.QueryEscape(target)
							r.RequestURI = r.URL.RequestURI()
						}
					}
					places := map[string]func(*http.Request){
						"__clerk_redirect_url": query("__clerk_redirect_url"), "redirect_url": query("redirect_url"), "__clerk_synced": query("__clerk_synced"), "after_sign_in_url": query("after_sign_in_url"),
						"Referer": setHeader("Referer", target), "HX-Current-URL": func(r *http.Request) {
							r.Header = http.Header{"Hx-Request": {"true"}, "Hx-Current-Url": {target}, "Cookie": {strings.Join(c, "; ")}}
						},
					}
					if strings.HasPrefix(target, "/") {
						// As handlers that rewrite paths leave it, and as it was sent.
						places["path"] = func(r *http.Request) { r.URL = &url.URL{Path: target}; r.RequestURI = "" }
						places["sent path"] = func(r *http.Request) { r.URL = &url.URL{Path: target}; r.RequestURI = target }
						places["raw path"] = func(r *http.Request) {
							r.URL = &url.URL{Path: strings.NewReplacer("%5c", `\`, "%2e", ".", "%09", "\t", "%0d", "\r", "%0a", "\n", "%00", "\x00", "%20", " ").Replace(target), RawPath: target}
							r.RequestURI = ""
						}
					}
					for place, edit := range places {
						_, got := b.outcome(testkit.AsUnknownPage, c.send, edit)
						b.ownTarget(name+", "+who+", "+place+" "+target, got)
						if to := browserHost(got.Header.Get("Location")); place == "__clerk_redirect_url" && to == "satellite.example.com" {
							t.Errorf("%s: %q is taken for the satellite's: %s", name, target, got.Header.Get("Location"))
						}
					}
				}
				configuredTarget(t, target)
			}
			// What is the satellite's own is gone back to.
			what, got := b.outcome(testkit.AsUnknownPage, known.send, func(r *http.Request) {
				r.URL.RawQuery = "__clerk_redirect_url=" + url.QueryEscape(satelliteOrigin+"/page?x=1")
				r.RequestURI = r.URL.RequestURI()
			})
			if location := got.Header.Get("Location"); (location == satelliteOrigin+"/page?x=1&__clerk_db_jwt=db&__clerk_synced=true") != !production {
				t.Errorf("%s, the satellite: %s %s", name, what, location)
			}
		}
	}
}

// configuredTarget: what is no URL of the web's, or no origin, is an error at start.
func configuredTarget(t *testing.T, target string) {
	t.Helper()
	host := browserHost(target)
	u, err := url.Parse(target)
	plain := err == nil && (u.Scheme == "https" || u.Scheme == "http") && u.Host != "" && u.User == nil && u.Host == host && !strings.HasSuffix(host, "%00")
	for field, set := range map[string]func(*clerkauth.BrowserConfig){
		"SignInURL":    func(c *clerkauth.BrowserConfig) { c.SignInURL = target },
		"SignUpURL":    func(c *clerkauth.BrowserConfig) { c.SignUpURL = target },
		"PublicOrigin": func(c *clerkauth.BrowserConfig) { c.PublicOrigin = target },
		"Satellites":   func(c *clerkauth.BrowserConfig) { c.Satellites = []string{target} },
		"ProxyURL":     func(c *clerkauth.BrowserConfig) { c.ProxyURL = target },
	} {
		c := testkit.Config()
		c.Logger = slog.New(slog.DiscardHandler)
		set(&c.Browser)
		a, err := clerkauth.New(c)
		if err != nil {
			continue
		}
		if plain && (field == "SignInURL" || field == "SignUpURL" || u.Path == "" && u.RawQuery == "" && u.Fragment == "" || field == "ProxyURL") {
			continue // a URL like any other, which the operator may mean
		}
		// A path of this server's: no browser may take it for another host.
		r, _ := http.NewRequest(http.MethodGet, "https://app.example.com/x", nil)
		for _, to := range []string{a.SignInURL(r), a.SignUpURL(r)} {
			if host := browserHost(to); host != "app.example.com" && host != "accounts.example.com" {
				t.Errorf("%s %q is accepted, and sends to %q", field, target, to)
			}
		}
		if field != "SignInURL" && field != "SignUpURL" && field != "ProxyURL" {
			t.Errorf("%s %q is accepted", field, target)
		}
	}
}

// repeatedRedirectParameter: the first counts, and no other is sent on as one of ours.
func repeatedRedirectParameter(t *testing.T) {
	b := newBrowserRig(t, false, func(c *clerkauth.Config) { c.Browser.Satellites = []string{satelliteOrigin} })
	known := cookies{"__clerk_db_jwt=db"}
	evil, own := url.QueryEscape("https://evil.com/"), url.QueryEscape(satelliteOrigin+"/page")
	with := func(query string) func(*http.Request) {
		return func(r *http.Request) { r.URL.RawQuery = query; r.RequestURI = r.URL.RequestURI() }
	}
	for query, to := range map[string]string{
		"__clerk_redirect_url=" + own + "&__clerk_redirect_url=" + evil:                                      satelliteOrigin + "/page?__clerk_db_jwt=db&__clerk_synced=true",
		"__clerk_redirect_url=" + evil + "&__clerk_redirect_url=" + own:                                      "",
		"__clerk_redirect_url[]=" + own:                                                                      "",
		"__clerk_redirect_url%5B%5D=" + evil:                                                                 "",
		"__clerk_redirect_url=&__clerk_redirect_url=" + evil:                                                 "",
		"__clerk_redirect_url=" + url.QueryEscape(satelliteOrigin+"/?__clerk_redirect_url="+evil):            satelliteOrigin + "/?__clerk_redirect_url=https%3A%2F%2Fevil.com%2F&__clerk_db_jwt=db&__clerk_synced=true",
		"__clerk_redirect_url=" + url.QueryEscape(satelliteOrigin+"/?__clerk_synced=false&__clerk_synced=x"): satelliteOrigin + "/?__clerk_synced=true&__clerk_db_jwt=db",
		"__CLERK_REDIRECT_URL=" + own:                                                                        "", "__clerk%5fredirect_url=" + own: satelliteOrigin + "/page?__clerk_db_jwt=db&__clerk_synced=true",
		"__clerk_redirect_url=" + strings.Repeat("x", 100<<10): "", "__clerk_redirect_url": "", "__clerk_redirect_url=" + evil + ";" + own: "",
	} {
		_, got := b.outcome(testkit.AsUnknownPage, known.send, with(query))
		b.ownTarget(query[:min(len(query), 60)], got)
		location := got.Header.Get("Location")
		if to == "" && browserHost(location) == "satellite.example.com" || to != "" && location != to {
			t.Errorf("%.80s: sent to %.200s, want %q", query, location, to)
		}
	}
	// redirect_url and the like are the application's own, and stay in the return URL.
	for _, query := range []string{"redirect_url=" + evil, "redirect_url=" + evil + "&redirect_url=" + evil, "redirect_url[]=" + evil, "redirect_url=" + url.QueryEscape("https://app.example.com/?redirect_url="+evil)} {
		for who, c := range map[string]cookies{"known": known, "unknown": nil} {
			_, got := b.outcome(testkit.AsUnknownPage, c.send, with(query))
			b.ownTarget(query, got)
			u, _ := url.Parse(got.Header.Get("Location"))
			back, err := url.Parse(u.Query().Get("redirect_url"))
			if list := u.Query()["redirect_url"]; len(list) != 1 || err != nil || back.Host != "app.example.com" || back.Query().Encode() != must(url.ParseQuery(query)).Encode() {
				t.Errorf("%s, %s: %s", query, who, u)
			}
		}
	}
	// A URL that is too long is left out of the sign-in page's.
	_, got := b.outcome(testkit.AsUnknownPage, known.send, with("x="+strings.Repeat("y", 100<<10)))
	if location := got.Header.Get("Location"); got.Status != http.StatusSeeOther || len(location) > 4<<10 {
		t.Errorf("100 KiB: %d, %d bytes", got.Status, len(location))
	}
}

func must[T any](v T, err error) T {
	if err != nil {
		panic(err)
	}
	return v
}

// redirectFromRequestPath: a request target that begins with two slashes names no host.
func redirectFromRequestPath(t *testing.T) {
	b := newBrowserRig(t, false)
	server := testkit.NewServer(t, b.Auth.Require().Func(testkit.Hello))
	for target, path := range map[string]string{
		"//evil.com/x": "//evil.com/x", "///evil.com": "///evil.com", "//evil.com/..": "//evil.com/..", "/.//evil.com": "/.//evil.com", "//evil.com:80/@app": "//evil.com:80/@app",
		"//user:pw@evil.com/": "//user:pw@evil.com/", `/\evil.com`: "/%5Cevil.com", "/%2F%2Fevil.com": "/%2F%2Fevil.com", "//evil.com?x=//evil.com": "//evil.com?x=", "/@evil.com": "/@evil.com", "/:80@evil.com": "/:80@evil.com",
		"/.evil.com": "/.evil.com", "/x#@evil.com": "/x",
	} {
		for who, cookie := range map[string]string{"a handshake": "X: x", "sign-in": "Cookie: __clerk_db_jwt=db"} {
			replies := testkit.Exchange(t, server, request("GET "+target, "Host: app.example.com", "Accept: text/html", cookie))
			if len(replies) != 1 || replies[0].Header.Get("Location") == "" {
				t.Errorf("%s: %v", target, replies)
				continue
			}
			b.ownTarget(target, replies[0])
			u, _ := url.Parse(replies[0].Header.Get("Location"))
			if back := u.Query().Get("redirect_url"); !strings.HasPrefix(back, "https://app.example.com"+path) {
				t.Errorf("%s, %s: back to %s", target, who, back)
			}
		}
	}
}

// accountsReferrer: a browser that comes from another site may have another session there.
// Only the instance's own pages are known not to change it.
func accountsReferrer(t *testing.T) {
	const sync = "handshake primary-domain-cross-origin-sync"
	for _, production := range []bool{true, false} {
		b := newBrowserRig(t, production)
		good := cookiesOf(b.Jane)
		for referer, want := range map[string][2]string{ // in production and in development
			"https://accounts.attacker.com/": {sync, sync}, "https://accounts.example.com.evil.com/": {sync, sync}, "https://accounts.example.org/": {sync, sync},
			"https://foo.accounts.dev/": {sync, "in"}, "https://foo.accountsstage.dev/x": {sync, "in"}, "https://foo.clerk.accounts.dev/": {sync, sync}, "https://accounts.dev/": {sync, sync},
			"https://accounts.foo.lcl.dev/": {sync, "in"}, "https://foo.lcl.dev/": {sync, sync}, "https://foo.accounts.dev.evil.com/": {sync, sync}, "https://evil.com/?accounts.dev": {sync, sync},
			"https://accounts.example.com/sign-in": {"in", sync}, "http://accounts.example.com/": {sync, sync}, "https://accounts.example.com:8443/": {sync, sync}, "https://ACCOUNTS.example.com/": {"in", sync},
			"https://user@accounts.example.com/": {"in", sync}, "https://clerk.example.com/": {"in", sync},
			b.Server.Issuer() + "/v1/client/handshake": {"in", "in"}, "https://app.example.com/": {"in", "in"}, "https://app.example.com:443/x": {"in", "in"}, "http://app.example.com/": {sync, sync},
			"": {"in", "in"}, "null": {"in", "in"}, "about:client": {"in", "in"}, "garbage": {"in", "in"}, "//accounts.attacker.com/": {"in", "in"}, "https://": {"in", "in"}, "https://app.example.com@evil.com/": {sync, sync},
			"android-app://com.example/": {"in", "in"},
		} {
			wanted := want[1]
			if production {
				wanted = want[0]
			}
			if got := b.page(good, setHeader("Referer", referer)); got != wanted {
				t.Errorf("production %v, Referer %s: %s, want %s", production, referer, got, wanted)
			}
			for name, edit := range map[string]func(*http.Request){"a script": asScript, "a frame": setHeader("Sec-Fetch-Dest", "iframe"), "an old browser": func(r *http.Request) { r.Header.Del("Sec-Fetch-Dest") }} {
				if got := b.page(good, setHeader("Referer", referer), edit); got != "in" {
					t.Errorf("production %v, Referer %s, %s: %s", production, referer, name, got)
				}
			}
			if got := b.page(good.with("__clerk_redirect_count=1"), setHeader("Referer", referer)); got != "in" {
				t.Errorf("production %v, Referer %s, after a handshake: %s", production, referer, got)
			}
		}
	}
}

// hostInPublishableKey: the key is where the Frontend API's host comes from.
func hostInPublishableKey(t *testing.T) {
	for _, kind := range []string{"live", "test"} {
		for content, ok := range map[string]bool{
			"clerk.example.com$": true, "happy-fox-1.clerk.accounts.dev$": true,
			"evil.com/..$": false, "a@evil.com$": false, "evil.com": false, "evil.com$$": false, "evil.com$x": false, "evil.com\r\n$": false, "evil.com\n$": false, "$": false, "": false, "evil$": false,
			"evil.com/$": false, "evil.com?$": false, "evil.com#$": false, `evil.com\$`: false, " evil.com$": false, "evil.com $": false, "https://evil.com$": false, "//evil.com$": false,
			"evil..com$": false, ".evil.com$": false, "evil.com.$": false, "-$": false, "ev\x00il.com$": false, "ev%2fil.com$": false, "évil.com$": false, "*.evil.com$": false, "[::1]$": false,
			"evil.com:999999$": false, "evil.com:$": false, "evil.com,clerk.example.com$": false,
		} {
			c := testkit.Config()
			c.Logger = slog.New(slog.DiscardHandler)
			c.PublishableKey = testkit.PublishableKey(kind, content)
			c.SecretKey = clerkauth.NewSecret("sk_" + kind + "_abc")
			if _, err := clerkauth.New(c); (err == nil) != ok {
				t.Errorf("%s %.40q: %v", kind, content, err)
			}
		}
	}
	good := testkit.PublishableKey("live", "clerk.example.com$")
	for _, key := range []string{" " + good, good + "\n", good + "\r\nx", good + "$", strings.Replace(good, "live", "prod", 1), strings.Replace(good, "pk_", "sk_", 1), "pk_live_", "pk_live_!!!", good + "_x", `"` + good + `"`} {
		c := testkit.Config()
		c.Logger = slog.New(slog.DiscardHandler)
		c.PublishableKey = key
		if _, err := clerkauth.New(c); err == nil {
			t.Errorf("%q is accepted", key)
		}
	}
}
