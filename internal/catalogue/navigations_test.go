package catalogue

import (
	"net/http"
	"testing"
	"time"

	"github.com/clerkauth/clerkauth"
	"github.com/clerkauth/clerkauth/clerkauthtest"
	"github.com/clerkauth/clerkauth/internal/testkit"
)

const (
	acceptHTML = "text/html,application/xhtml+xml,application/xml;q=0.9,image/avif,image/webp,image/apng,*/*;q=0.8,application/signed-exchange;v=b3;q=0.7"
	sameOrigin = "https://app.example.com"
)

// TestWhatBrowsersSend: what becomes of the requests that a browser makes, by the headers
// that Chromium was seen to send. A page may be sent through a handshake and to the sign-in
// page, a script's request and a form get an answer that they can read, and what is
// requested before the user goes there changes nothing.
func TestWhatBrowsersSend(t *testing.T) {
	navigate := func(site, dest string) []string {
		return []string{"Sec-Fetch-Site", site, "Sec-Fetch-Mode", "navigate", "Sec-Fetch-Dest", dest, "Accept", acceptHTML, "Upgrade-Insecure-Requests", "1"}
	}
	fetch := func(mode, dest, accept string, more ...string) []string {
		return append([]string{"Sec-Fetch-Site", "same-origin", "Sec-Fetch-Mode", mode, "Sec-Fetch-Dest", dest, "Accept", accept}, more...)
	}
	with := func(headers []string, more ...string) []string {
		return append(headers[:len(headers):len(headers)], more...)
	}
	const page, script, htmx, later = "page", "script", "htmx", "later"
	for name, c := range map[string]struct {
		method  string
		headers []string
		is      string
	}{
		"address bar":                  {"GET", navigate("none", "document"), page},
		"reload":                       {"GET", with(navigate("none", "document"), "Cache-Control", "max-age=0"), page},
		"hard reload":                  {"GET", with(navigate("none", "document"), "Cache-Control", "no-cache", "Pragma", "no-cache"), page},
		"location.reload":              {"GET", with(navigate("same-origin", "document"), "Referer", sameOrigin+"/x"), page},
		"link":                         {"GET", with(navigate("same-origin", "document"), "Referer", sameOrigin+"/x", "Sec-Fetch-User", "?1"), page},
		"link from a subdomain":        {"GET", with(navigate("same-site", "document"), "Referer", "https://blog.example.com/"), page},
		"link from another site":       {"GET", with(navigate("cross-site", "document"), "Referer", "https://other.example/"), page},
		"back, after a handshake":      {"GET", navigate("cross-site", "document"), page},
		"form that gets":               {"GET", with(navigate("same-origin", "document"), "Referer", sameOrigin+"/x"), page},
		"frame":                        {"GET", with(navigate("same-origin", "iframe"), "Referer", sameOrigin+"/x"), page},
		"no secure context":            {"GET", []string{"Accept", acceptHTML}, page},
		"HEAD":                         {"HEAD", navigate("none", "document"), "head"},
		"form that posts":              {"POST", with(navigate("same-origin", "document"), "Origin", sameOrigin), script},
		"reload of a posted form":      {"POST", with(navigate("same-origin", "document"), "Origin", sameOrigin, "Cache-Control", "max-age=0"), script},
		"fetch":                        {"GET", fetch("cors", "empty", "*/*"), script},
		"fetch of HTML":                {"GET", fetch("cors", "empty", "text/html"), script},
		"fetch that posts":             {"POST", fetch("cors", "empty", "*/*", "Origin", sameOrigin), script},
		"fetch, no secure context":     {"GET", []string{"Accept", "*/*"}, script},
		"JSON, no secure context":      {"GET", []string{"Accept", "application/json, text/plain, */*"}, script},
		"EventSource":                  {"GET", fetch("cors", "empty", "text/event-stream", "Cache-Control", "no-cache"), script},
		"websocket":                    {"GET", []string{"Connection", "Upgrade", "Upgrade", "websocket", "Origin", sameOrigin}, script},
		"link rel=prefetch":            {"GET", fetch("no-cors", "empty", acceptHTML, "Sec-Purpose", "prefetch"), script},
		"image":                        {"GET", fetch("no-cors", "image", "image/avif,image/webp,*/*;q=0.8"), script},
		"script":                       {"GET", fetch("no-cors", "script", "*/*"), script},
		"worker":                       {"GET", fetch("same-origin", "worker", "*/*"), script},
		"beacon":                       {"POST", fetch("no-cors", "empty", "*/*", "Origin", sameOrigin, "Content-Type", "text/plain;charset=UTF-8"), script},
		"htmx 2":                       {"GET", fetch("cors", "empty", "*/*", "Hx-Request", "true", "Hx-Current-Url", sameOrigin+"/here"), htmx},
		"htmx 4":                       {"GET", fetch("same-origin", "empty", "text/html", "Hx-Request", "true", "Hx-Current-Url", sameOrigin+"/here"), htmx},
		"htmx, boosted":                {"GET", fetch("cors", "empty", "*/*", "Hx-Request", "true", "Hx-Boosted", "true", "Hx-Current-Url", sameOrigin+"/here"), htmx},
		"htmx that posts":              {"POST", fetch("cors", "empty", "*/*", "Hx-Request", "true", "Hx-Current-Url", sameOrigin+"/here", "Origin", sameOrigin), htmx},
		"htmx 4, no secure context":    {"GET", []string{"Accept", "text/html", "Hx-Request", "true", "Hx-Current-Url", sameOrigin + "/here"}, htmx},
		"speculation rules, prefetch":  {"GET", with(navigate("none", "document"), "Sec-Purpose", "prefetch"), later},
		"speculation rules, prerender": {"GET", with(navigate("none", "document"), "Sec-Purpose", "prefetch;prerender"), later},
		"a program":                    {"GET", nil, script},
		"curl":                         {"GET", []string{"Accept", "*/*", "User-Agent", "curl/8"}, script},
	} {
		t.Run(name, func(t *testing.T) {
			edit := func(r *http.Request) {
				r.Host, r.Method = "app.example.com", c.method
				for i := 0; i < len(c.headers); i += 2 {
					r.Header.Set(c.headers[i], c.headers[i+1])
				}
			}
			for kind, production := range map[string]bool{"production": true, "development": false} {
				b := newBrowserRig(t, production)
				good := cookiesOf(b.Jane)
				fromElsewhere := c.is == page && name == "link from another site" || name == "link from a subdomain" // see row 161
				if what, got := b.outcome(edit, good.send); what != "in" && !(fromElsewhere && what == "handshake primary-domain-cross-origin-sync") {
					t.Errorf("%s, signed in: %s %v", kind, what, got)
				}
				// Signed out, but known: a sign-in page for people, an answer for programs.
				signedOut := map[string]int{page: 303, "head": 303, script: 401, htmx: 401, later: 303}[c.is]
				what, got := b.outcome(edit, cookies{"__clerk_db_jwt=db"}.send)
				if got.Status != signedOut || (got.Header.Get("Location") != "") != (signedOut == 303) || (got.Header.Get("HX-Redirect") != "") != (c.is == htmx) {
					t.Errorf("%s, signed out: %s %d %v", kind, what, got.Status, got.Header)
				}
				// A handshake is worth a page's while alone.
				handshake := map[string]int{page: 307, "head": 303, script: 401, htmx: 401, later: 503}[c.is]
				what, got = b.outcome(edit, b.known().send)
				if got.Status != handshake || (len(got.Header["Set-Cookie"]) > 0) != (handshake == 307) || got.Header.Get("Cache-Control") != "no-store" {
					t.Errorf("%s, no session: %s %d %v", kind, what, got.Status, got.Header)
				}
				if open := testkit.Serve(b.Auth.Require(clerkauth.Public), edit, b.known().send); open.Status != map[int]int{307: 307, 503: 503}[handshake] && (!open.Entered || handshake == 307 || handshake == 503) {
					t.Errorf("%s, no session, on a public route: %v", kind, open)
				}
				// Nothing is used up for a page that the user may never see.
				nonce := b.brings("__clerk_handshake_nonce", b.nonceFor(b.Jane))
				calls := b.calls()
				if what, got = b.outcome(edit, b.known().send, nonce); c.is == later && (got.Status != 503 || len(got.Header["Set-Cookie"]) > 0 || b.calls() != calls || got.Header.Get("Cache-Control") != "no-store") {
					t.Errorf("%s, a nonce: %s %d, %d calls, %v", kind, what, got.Status, b.calls()-calls, got.Header)
				}
				expired := cookiesOf(b.Jane, issued(time.Hour)[1:]...).with("__client_uat=1", "__client_uat"+b.suffix+"=1")
				before := b.Server.Requests(clerkauthtest.SessionRefresh)
				what, got = b.outcome(edit, expired.send)
				refreshes := b.Server.Requests(clerkauthtest.SessionRefresh) - before
				switch {
				case c.is == later && (got.Status != 503 || refreshes != 0):
					t.Errorf("%s, expired: %s, %d refreshes", kind, what, refreshes)
				case c.method == "GET" && c.is != later && (what != "in" && !fromElsewhere || refreshes != 1):
					t.Errorf("%s, expired: %s, %d refreshes", kind, what, refreshes)
				case c.method != "GET" && (got.Entered || refreshes != 0):
					t.Errorf("%s, expired: %s, %d refreshes", kind, what, refreshes)
				}
			}
		})
	}
}
