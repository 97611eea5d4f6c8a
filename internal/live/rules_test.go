package live

import (
	"fmt"
	"math"
	"net/http"
	"net/url"
	"slices"
	"strconv"
	"strings"

	"github.com/clerkauth/clerkauth"
)

// rule is an intended difference between our decisions and the SDK's. It reads the request
// alone, so that none excuses a library that decides wrongly.
type rule struct {
	name, why string
	// instead returns the request as we take it, nil if the rule says nothing about it.
	// The SDK's decision about that is then the one to compare ours with.
	instead func(*request) *request
	// lenient is whether ours may be more than the SDK's about the request itself.
	lenient bool
	// became returns what we make of the SDK's decision.
	became func(*request, decision) decision
	// answers returns the reasons that we may give where the SDK grants more, or gives
	// another.
	answers func(*request) []clerkauth.Reason
}

// when returns answers that are the same for all requests with a property.
func when(property func(*request) bool, answers ...clerkauth.Reason) func(*request) []clerkauth.Reason {
	return func(r *request) []clerkauth.Reason {
		if !property(r) {
			return nil
		}
		return answers
	}
}

var rules = []rule{
	{name: "one-session-cookie", why: "a session cookie with two values signs nobody in",
		answers: when(ambiguous, "client-uat-but-no-session-token")},
	{name: "login-csrf", why: "a handshake that was not started here does not replace another user's session",
		answers: when(replacesUser, "session-token-iat-before-client-uat")},
	{name: "speculation", why: "a document that is fetched before the user goes there has no side effect",
		answers: when(func(r *request) bool { return r.header("sec-purpose") != "" }, clerkauth.ErrBackendUnavailable)},
	{name: "cross-site", why: "cookies do not identify the sender of what another site's page may have caused",
		answers: when(crossSite, clerkauth.ErrCrossSite)},
	{name: "known-satellites", why: "only configured satellites are answered",
		answers: when(unknownSatellite, "primary-responds-to-syncing")},
	{name: "iat-required", why: "a session token says when it was issued",
		answers: when(func(r *request) bool { return r.traits.withoutIssuedAt }, "session-token-iat-before-client-uat")},
	{name: "scheme-required", why: "a single word is a malformed credential, whether it is a scheme or a token",
		answers: when(func(r *request) bool {
			return r.header("authorization") != "" && !strings.Contains(r.header("authorization"), " ")
		}, clerkauth.ErrTokenInvalid)},
	{name: "foreign-bearer", why: "the issuer of a token is checked before a key is looked up",
		answers: when(func(r *request) bool { return r.traits.foreign }, clerkauth.ErrTokenIssuer)},
	{name: "party-required", why: "a token was issued for pages of this application, or in a navigation",
		answers: when(func(r *request) bool { return r.traits.otherParty && r.on.options["authorizedParties"] == nil }, clerkauth.ErrTokenParty)},
	{name: "bearer-refresh", why: "a refresh is for the session of the request's own token",
		answers: when(func(r *request) bool { return r.header("authorization") != "" && hasSession(r) }, "session-token-expired-refresh-non-eligible-no-refresh-cookie")},
	{name: "sync-after-refresh", why: "a session that was refreshed is of the organization that the path names, too",
		answers: when(hasRefresh, "active-organization-mismatch")},

	{name: "unused-handshake", why: "a handshake is resolved on GET and HEAD, a nonce on navigations or in a handshake of ours, in production from the cookie",
		instead: withoutUnused, lenient: true},
	{name: "unused-handshake", why: "none that is out of date",
		answers: when(func(r *request) bool { return r.traits.refused }, clerkauth.ErrTokenExpired),
		instead: func(r *request) *request {
			if !r.traits.refused {
				return nil
			}
			c := *r
			c.drop("__clerk_handshake")
			c.traits.refused = false
			return &c
		}, lenient: true},
	{name: "bearer-case", why: "the scheme is case-insensitive (RFC 9110 section 11.1)",
		instead: bearerAsWritten, lenient: true},
	{name: "navigations", why: "neither an upgrade of a connection nor a fragment for htmx can follow a redirect",
		instead: notNavigation, lenient: true},
	{name: "loop-guard", why: "three or more redirects are a loop, and their number is a natural one",
		instead: naturalLoops},
	{name: "loop-guard", why: "in development the result of a handshake in a cookie, which no redirect takes out of the URL, is one more redirect",
		became: countCleanUps},
	{name: "clean-return", why: "the browser does not return with the handshake that failed",
		became: func(_ *request, d decision) decision { return clean(d) }},
}

func (r *request) header(name string) string { v, _ := get(r.headers, name); return v }
func (r *request) param(name string) string  { v, _ := get(r.query, name); return v }
func (r *request) has(cookie string) bool    { _, ok := get(r.cookies, cookie); return ok }

// ambiguous reports whether a session cookie has two values.
func ambiguous(r *request) bool {
	for _, c := range r.cookies {
		first, _ := get(r.cookies, c[0])
		decoded, _ := url.PathUnescape(c[1])
		if other, _ := url.PathUnescape(first); strings.HasPrefix(c[0], "__session") && decoded != other {
			return true
		}
	}
	return false
}

// replacesUser reports whether the request brings the result of a handshake that it does
// not say to have started, and a session.
func replacesUser(r *request) bool {
	nonce, token := r.returns()
	return (nonce || token) && !r.has("__clerk_redirect_count") && hasSession(r)
}

// hasSession reports whether the request has a session cookie.
func hasSession(r *request) bool {
	return slices.ContainsFunc(r.cookies, func(c [2]string) bool { return strings.HasPrefix(c[0], "__session") })
}

// hasRefresh reports whether the request has a session cookie and a refresh cookie.
func hasRefresh(r *request) bool {
	return hasSession(r) && slices.ContainsFunc(r.cookies, func(c [2]string) bool { return strings.HasPrefix(c[0], "__refresh_") })
}

// unknownSatellite reports whether a satellite asks for the session that is none of the
// configuration's.
func unknownSatellite(r *request) bool {
	u, err := url.Parse(r.param("__clerk_redirect_url"))
	return err != nil || u.User != nil || !slices.Contains(r.on.satellites, u.Scheme+"://"+u.Host)
}

// returns reports whether the request brings a nonce or a token of a handshake.
func (r *request) returns() (nonce, token bool) {
	return r.param("__clerk_handshake_nonce") != "" || r.has("__clerk_handshake_nonce"), r.param("__clerk_handshake") != "" || r.has("__clerk_handshake")
}

// crossSite reports whether a page of another site may have caused a request that changes
// state or opens a connection.
func crossSite(r *request) bool {
	safe := slices.Contains([]string{http.MethodGet, http.MethodHead, http.MethodOptions}, r.method)
	return (!safe || r.header("upgrade") != "") && (r.header("sec-fetch-site") == "cross-site" || r.header("origin") != "" && r.header("origin") != r.on.origin)
}

// navigates reports whether the request is one for a document that a browser shows.
func (r *request) navigates() bool {
	switch dest := r.header("sec-fetch-dest"); {
	case r.header("upgrade") != "":
		return false
	case dest != "":
		return dest == "document" || dest == "iframe"
	default:
		return strings.HasPrefix(r.header("accept"), "text/html") && r.header("hx-request") == ""
	}
}

// withoutUnused returns the request without the results of handshakes that are not
// resolved.
func withoutUnused(r *request) *request {
	nonce, token := r.returns()
	if !nonce && !token {
		return nil
	}
	c := *r
	switch {
	case r.method != http.MethodGet && r.method != http.MethodHead, crossSite(r):
		c.drop("__clerk_handshake", "__clerk_handshake_nonce")
		return &c
	case r.on.kit.production:
		c.query = without(c.query, "__clerk_handshake", "__clerk_handshake_nonce")
	}
	if !r.navigates() && !r.has("__clerk_redirect_count") {
		c.drop("__clerk_handshake_nonce")
	}
	if len(c.query) == len(r.query) && len(c.cookies) == len(r.cookies) {
		return nil
	}
	return &c
}

// drop removes parameters and cookies.
func (r *request) drop(names ...string) {
	r.query, r.cookies = without(r.query, names...), without(r.cookies, names...)
}

func bearerAsWritten(r *request) *request {
	scheme, rest, ok := strings.Cut(r.header("authorization"), " ")
	if !ok || scheme == "Bearer" || !strings.EqualFold(scheme, "Bearer") {
		return nil
	}
	c := *r
	c.headers = replaced(r.headers, "authorization", "Bearer "+rest)
	return &c
}

func notNavigation(r *request) *request {
	if r.header("upgrade") == "" && (r.header("hx-request") == "" || r.header("sec-fetch-dest") != "") {
		return nil
	}
	c := *r
	c.headers = append(without(r.headers, "sec-fetch-dest"), [2]string{"sec-fetch-dest", "empty"})
	return &c
}

func naturalLoops(r *request) *request {
	text, _ := get(r.cookies, "__clerk_redirect_count")
	natural := strconv.Itoa(min(3, r.loops()))
	if text == "" || natural == text {
		return nil
	}
	c := *r
	c.cookies = replaced(r.cookies, "__clerk_redirect_count", natural)
	return &c
}

// countCleanUps returns a redirect that takes the result of a handshake out of the URL as one
// that counts, where that is not in the URL, and after three of them no redirect.
func countCleanUps(r *request, d decision) decision {
	nonce, token := r.returns()
	n := r.loops()
	switch {
	case r.on.kit.production || !nonce && !token || r.param("__clerk_handshake")+r.param("__clerk_handshake_nonce") != "" ||
		d.outcome != redirect || strings.Contains(d.location, "/v1/client/handshake?"):
	case n >= 3:
		d.outcome, d.location = d.before, ""
	default:
		d.setCookie = append(slices.Clone(d.setCookie), fmt.Sprintf("__clerk_redirect_count=%d; SameSite=Lax; HttpOnly; Max-Age=2", n+1))
	}
	return d
}

// loops returns the number of redirects before the request: a natural one.
func (r *request) loops() int {
	text, _ := get(r.cookies, "__clerk_redirect_count")
	if n, err := strconv.ParseInt(text, 0, 64); err == nil {
		return int(max(0, n)) // it may be hexadecimal
	}
	n, _ := strconv.ParseFloat(text, 64)
	return int(math.Max(0, math.Floor(n)))
}

// clean returns a redirect to the Frontend API from which the browser does not return
// with the result of a handshake that is no longer good.
func clean(d decision) decision {
	location, err := url.Parse(d.location)
	if err != nil {
		return d
	}
	query := location.Query()
	name := "redirect_url"
	if !query.Has(name) {
		name = "__clerk_redirect_url" // of a satellite in development
	}
	back, err := url.Parse(query.Get(name))
	if err != nil || !query.Has(name) {
		return d
	}
	back.RawQuery = strings.Join(slices.DeleteFunc(strings.Split(back.RawQuery, "&"), func(pair string) bool {
		name, _, _ := strings.Cut(pair, "=")
		return slices.Contains([]string{"__clerk_handshake", "__clerk_handshake_nonce", "__clerk_help"}, name)
	}), "&")
	query.Set(name, back.String())
	location.RawQuery = query.Encode()
	d.location = location.String()
	return d
}
