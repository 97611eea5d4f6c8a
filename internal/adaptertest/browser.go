package adaptertest

import (
	"fmt"
	"maps"
	"net/http"
	"net/http/httptest"
	"net/url"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/clerkauth/clerkauth"
	"github.com/clerkauth/clerkauth/clerkauthtest"
)

// SetHeaders calls add for each header in a query such as Vary=Accept&Cache-Control=public.
func SetHeaders(query string, add func(name, value string)) {
	values, _ := url.ParseQuery(query)
	for name, lines := range values {
		for _, line := range lines {
			add(name, line)
		}
	}
}

// Cookies returns a header line with the cookies that a browser with the session sends.
func Cookies(s *clerkauthtest.Session) string {
	req := httptest.NewRequest(http.MethodGet, "/", nil)
	s.SetCookies(req)
	return "Cookie: " + req.Header.Get("Cookie")
}

// browserRequest is a request of a browser's, and what the response must be.
type browserRequest struct {
	request
	vary, control string // Vary, sorted, and Cache-Control
	cookies       int    // how many lines of Set-Cookie
	with          string // another header that is there
}

// Responses to requests with and without a caller.
const varies = "Authorization, Cookie"

// browserRequests returns the requests that browsersLikeNetHTTP makes. Those for the
// paths /headers, /unchecked and /sign-out are for apps with Identify.
func browserRequests(srv *clerkauthtest.Server) []browserRequest {
	jane := srv.CreateUser("jane@example.com")
	expired := Cookies(srv.SignIn(jane))
	srv.Advance(2 * time.Minute)
	good, leaving := Cookies(srv.SignIn(jane)), Cookies(srv.SignIn(jane))
	const document, fetch = "Sec-Fetch-Dest: document", "Sec-Fetch-Dest: empty"
	const same, cross = "Sec-Fetch-Site: same-origin", "Sec-Fetch-Site: cross-site"
	const visitor = "Cookie: __clerk_db_jwt=dvb_1; __client_uat=0"
	return []browserRequest{
		{request{"page, first visit", "GET", "/guarded", []string{document}, 307}, varies, "no-store", 1, "Location"},
		{request{"public page, first visit", "GET", "/headers", []string{document}, 307}, varies, "no-store", 1, "Location"},
		{request{"page, signed out", "GET", "/guarded", []string{document, visitor}, 303}, varies, "no-store", 0, "Location"},
		{request{"fragment, signed out", "GET", "/guarded", []string{fetch, visitor, "HX-Request: true"}, 401}, varies, "no-store", 0, "Hx-Redirect"},
		{request{"public page, signed out", "GET", "/headers", []string{document, visitor}, 200}, varies, "private", 0, ""},
		{request{"page, signed in", "GET", "/guarded", []string{document, good}, 200}, varies, "private", 0, ""},
		{request{"fetch, signed in", "GET", "/guarded", []string{fetch, good}, 200}, varies, "private", 0, ""},
		{request{"form", "POST", "/form", []string{document, good, same}, 200}, varies, "private", 0, ""},
		{request{"form of another site", "POST", "/form", []string{document, good, cross}, 403}, varies, "no-store", 0, ""},
		{request{"form, signed out", "POST", "/form", []string{document, visitor, same}, 401}, varies, "no-store", 0, "Www-Authenticate"},

		{request{"refreshed", "GET", "/guarded", []string{document, expired}, 200}, varies, "no-store", 3, ""},
		{request{"refreshed, public", "GET", "/headers", []string{document, expired}, 200}, varies, "no-store", 3, ""},
		{request{"refreshed, other cookies", "GET", "/guarded?Set-Cookie=a%3D1&Set-Cookie=b%3D2&Cache-Control=public", []string{document, expired}, 200}, varies, "no-store", 5, ""},
		{request{"refreshed, stream", "GET", "/stream?Cache-Control=public", []string{document, expired}, 200}, varies, "no-store", 3, ""},
		{request{"refreshed, empty", "GET", "/empty?Cache-Control=public", []string{document, expired}, 204}, varies, "no-store", 3, ""},
		{request{"refreshed, error", "GET", "/error?Cache-Control=public", []string{document, expired}, 418}, varies, "no-store", 3, ""},

		{request{"Vary is added to", "GET", "/guarded?Vary=Accept", []string{good}, 200}, "Accept, " + varies, "private", 0, ""},
		{request{"Vary is added to once", "GET", "/headers?Vary=cookie", []string{good}, 200}, "Authorization, cookie", "private", 0, ""},
		{request{"Vary is everything", "GET", "/headers?Vary=*", []string{good}, 200}, "*", "private", 0, ""},
		{request{"guarded, public", "GET", "/guarded?Cache-Control=public,s-maxage%3D9,max-age%3D9", []string{good}, 200}, varies, "private, max-age=9", 0, ""},
		{request{"guarded, public stream", "GET", "/stream?Cache-Control=public&Vary=Accept", []string{good}, 200}, "Accept, " + varies, "private", 0, ""},
		{request{"guarded, public and empty", "GET", "/empty?Cache-Control=public&Vary=Accept", []string{good}, 204}, "Accept, " + varies, "private", 0, ""},
		{request{"guarded, public error", "GET", "/error?Cache-Control=public&Vary=Accept", []string{good}, 418}, "Accept, " + varies, "private", 0, ""},
		{request{"guarded, for a CDN", "GET", "/guarded?Cdn-Cache-Control=max-age%3D9", []string{good}, 200}, varies, "private", 0, ""},
		{request{"guarded, no-store", "GET", "/guarded?Cache-Control=no-store", []string{good}, 200}, varies, "no-store", 0, ""},
		{request{"open, public", "GET", "/headers?Cache-Control=public", []string{good}, 200}, varies, "public", 0, ""},
		{request{"open, max-age", "GET", "/headers?Cache-Control=max-age%3D9", []string{good}, 200}, varies, "max-age=9", 0, ""},
		{request{"open, nothing", "GET", "/headers", nil, 200}, varies, "private", 0, ""},
		{request{"unchecked", "GET", "/unchecked?Cache-Control=public", []string{good}, 200}, "", "public", 0, ""},
		{request{"unchecked, nothing", "GET", "/unchecked", []string{expired}, 200}, "", "", 0, ""},

		{request{"sign-out by another site", "POST", "/sign-out", []string{document, leaving, cross}, 403}, varies, "no-store", 0, ""},
		{request{"sign-out", "POST", "/sign-out", []string{document, leaving, same}, 303}, varies, "no-store", 7, "Clear-Site-Data"},
		{request{"sign-out, signed out", "POST", "/sign-out", []string{document, visitor, same}, 303}, varies, "no-store", 5, "Clear-Site-Data"},
	}
}

// browsersLikeNetHTTP sends requests of browsers to a server in the framework and to one
// in net/http. The responses have the same headers, which are those that the table says.
func browsersLikeNetHTTP(t *testing.T, f Framework) {
	for _, identify := range []bool{true, false} {
		t.Run(fmt.Sprintf("identify=%v", identify), func(t *testing.T) {
			srv := clerkauthtest.NewServer(t)
			config := srv.Config()
			config.Accept = []clerkauth.TokenType{clerkauth.SessionToken, clerkauth.APIKey}
			config.Browser.SignInURL, config.AuthorizedParties, config.InsecureAnyParty = "/sign-in", nil, true
			a := App{Auth: NewAuth(t, config), Witness: &Witness{}, Identify: identify}
			ours, theirs := f.Serve(t, a), serveNetHTTP(t, a)
			for _, r := range browserRequests(srv) {
				path, _, _ := strings.Cut(r.path, "?")
				if path == "/unchecked" && identify || path == "/headers" && !identify {
					continue // Identify's headers are on all responses, and only on those
				}
				want, _ := send(t, theirs, r.request)
				wantSeen := len(a.Witness.Take())
				got, _ := send(t, ours, r.request)
				gotSeen := len(a.Witness.Take())
				if got.StatusCode != r.status || want.StatusCode != r.status || gotSeen != wantSeen {
					t.Errorf("%s: status %d and %d, handlers reached: %d and %d", r.rule, got.StatusCode, want.StatusCode, gotSeen, wantSeen)
				}
				vary := strings.Split(got.Header.Get("Vary"), ", ")
				slices.Sort(vary)
				h := got.Header
				if path == "/sign-out" && !identify {
					r.vary = h.Get("Vary") // nothing there depends on who asks
				}
				if strings.Join(vary, ", ") != r.vary || strings.Join(h["Cache-Control"], ", ") != r.control || len(h["Set-Cookie"]) != r.cookies || r.with != "" && h.Get(r.with) == "" {
					t.Errorf("%s: header %q", r.rule, likeness(got, theirs, ours))
				}
				if g, w := likeness(got, theirs, ours), likeness(want, theirs, theirs); !maps.EqualFunc(g, w, slices.Equal) {
					t.Errorf("%s: header %q\ninstead of %q", r.rule, g, w)
				}
			}
		})
	}
}

var tokens = regexp.MustCompile(`eyJ[\w.-]+|Expires=[^;]+`)

// likeness returns the headers that must be the same in both responses, line by line. The
// tokens in them, and the server's address ours, are replaced.
func likeness(resp *http.Response, theirs, ours string) map[string][]string {
	header := resp.Header.Clone()
	for _, name := range []string{"Date", "Content-Length", "Server", "Content-Type"} {
		header.Del(name) // set by the server, or by the handler
	}
	address := strings.NewReplacer(ours, theirs, url.QueryEscape(ours), url.QueryEscape(theirs))
	for _, lines := range header {
		for i, line := range lines {
			lines[i] = tokens.ReplaceAllString(address.Replace(line), "…")
		}
	}
	return header
}
