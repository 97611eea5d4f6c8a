package main

import (
	"fmt"
	"math"
	"net/http"
	"net/url"
	"slices"
	"strings"

	"github.com/clerkauth/clerkauth"
)

// ruling is a decision about a browser's request: the SDK's or, with rules, ours.
type ruling struct {
	outcome  string
	reason   clerkauth.Reason
	location string
	cookies  []string // Set-Cookie lines
	session  *reading // whose token lets the caller in
	pending  bool     // whose user has a task left
	silent   bool     // a refusal for which the SDK gives no reason
}

// world says which of the rules hold in a run of the browser flows. Without any they are
// the SDK's.
type world struct {
	on func(rule string) bool
	// decide returns the decision of a rule about a token, or false if it has none.
	decide func(*reading) (clerkauth.Reason, bool)
	// visit, if not nil, is called with every token that is verified.
	visit func(*reading)
}

// browser runs the flows of a request whose session may be in cookies.
type browser struct {
	*reading
	world

	jar                          cookies
	url                          address
	query                        params
	suffixed                     bool   // the suffixed cookies are used
	suffix                       string // of an instance's cookies
	session, refresh, devBrowser string
	uat, loops                   float64
	nonce                        bool // handshakes end with one
	exchanged                    bool // one was
}

// browse returns the decision about a case in a world.
func (r *reading) browse(w world) ruling {
	secret := r.text("secretKey") != ""
	r = r.changed(w.on)
	b := &browser{reading: r, world: w, jar: r.readCookies(), url: r.sdkURL(), suffix: cookieSuffix(r.text("publishableKey"))}
	if w.on("public-url") {
		b.url = r.publicURL()
	}
	if w.on("no-fragment") {
		b.url.fragment = ""
	}
	b.query = parseParams(b.url.query)
	b.nonce = secret
	suffixed, throws := r.suffixed(b.jar, w.on("null-payload"))
	if r.flow == flowThrows || throws || r.badPattern() {
		return ruling{outcome: outcomeRefuse, silent: true}
	}
	b.suffixed = suffixed
	b.session, b.refresh = b.cookie(sessionCookie), b.jar.get(refreshCookie+b.suffix)
	b.uat, b.loops = parseInt(b.cookie(uatCookie)), number(b.jar.get(loopCookie))
	b.devBrowser = b.query.get(devBrowserCookie)
	if b.devBrowser == "" {
		b.devBrowser = b.cookie(devBrowserCookie)
	}
	if r.flow == flowSession {
		return b.fromHeader()
	}
	return b.fromCookies()
}

// cookie returns the cookie of that name with or without the suffix.
func (b *browser) cookie(name string) string { return b.jar.get(b.chosen(name)) }

func (b *browser) chosen(name string) string {
	if b.suffixed {
		return name + b.suffix
	}
	return name
}

// header returns the value of a header, "" if it is absent.
func (b *browser) header(name string) string { return joined(b.Request.Headers[name], ", ") }

func (b *browser) get() bool { return strings.EqualFold(b.Request.Method, http.MethodGet) }

// verify returns the reason to reject a token as a session's.
func (b *browser) verify(s *reading) clerkauth.Reason {
	if b.visit != nil {
		b.visit(s)
	}
	if reason, ok := b.decide(s); ok {
		return reason
	}
	return s.sdkVerifies()
}

func (b *browser) fromHeader() ruling {
	s := b.as(b.token)
	if reason := b.verify(s); reason != "" {
		return b.failed(reason, s)
	}
	return b.in(s, ruling{})
}

// in lets the caller in by a verified token, with the cookies and the location of of.
func (b *browser) in(s *reading, of ruling) ruling {
	of.outcome, of.session = outcomeIn, s
	switch {
	case s.sdkThrows() && b.on("auth-object"):
		return ruling{outcome: outcomeRefuse, reason: clerkauth.ErrBackendUnavailable}
	case of.location != "":
		of.outcome = outcomeRedirect
	case s.p["sts"] == "pending":
		of.outcome, of.pending, of.silent = outcomeRefuse, true, true
	}
	return of
}

// byCookie lets the caller in by a token that the cookies have led to, unless another site
// may have caused the request or the session cookie has two values.
func (b *browser) byCookie(s *reading, of ruling) ruling {
	switch {
	case s.p["sts"] == "pending":
	case b.crossSite():
		return refuse(clerkauth.ErrCrossSite)
	case b.ambiguous():
		return b.handshake("client-uat-but-no-session-token", nil)
	}
	return b.in(s, of)
}

func refuse(reason clerkauth.Reason) ruling { return ruling{outcome: outcomeRefuse, reason: reason} }

// fromCookies decides by the cookies, in the SDK's order.
func (b *browser) fromCookies() ruling {
	if done, ok := b.returning(); ok {
		return done
	}
	has := b.session != "" || b.uat != 0
	document := b.header("sec-fetch-dest") == "document" && b.get()
	if synced := b.query.get("__clerk_synced"); b.satellite() && document && synced != "true" {
		switch {
		case b.Options["satelliteAutoSync"] != true && !has && synced != "false":
			return refuse("session-token-and-uat-missing")
		case !has || synced == "false":
			return b.handshake("satellite-needs-syncing", b.primarySignIn)
		}
	}
	if back := b.query.get("__clerk_redirect_url"); !b.production() && !b.satellite() && back != "" {
		target, ok := parseAddress(back)
		switch {
		case b.on("known-satellites") && (!ok || !slices.Contains(syncTargets, target.origin()) || target.user != ""):
			return refuse("primary-responds-to-syncing")
		case !ok:
			return ruling{outcome: outcomeRefuse, silent: true}
		default:
			return b.handshake("primary-responds-to-syncing", func() string { return b.syncedBack(target) })
		}
	}
	switch {
	case !b.production() && hasParam(b.query, devBrowserCookie):
		return b.handshake("dev-browser-sync", nil)
	case !b.production() && b.devBrowser == "":
		return b.handshake("dev-browser-missing", nil)
	case b.uat == 0 && b.session == "":
		return refuse("session-token-and-uat-missing")
	case b.uat == 0:
		return b.handshake("session-token-but-no-client-uat", nil)
	case b.session == "":
		return b.handshake("client-uat-but-no-session-token", nil)
	}
	return b.fromSession()
}

func hasParam(p params, name string) bool {
	return slices.ContainsFunc(p, func(pair [2]string) bool { return pair[0] == name })
}

// fromSession decides by the session cookie.
func (b *browser) fromSession() ruling {
	s := b.as(b.session)
	iat, hasIAT := s.number("iat")
	switch {
	case !s.decodes:
		return refuse(b.verify(s))
	case s.otherType():
		return refuse(clerkauth.ErrTokenType)
	case hasIAT && iat < b.uat:
		return b.handshake("session-token-iat-before-client-uat", nil)
	}
	if reason := b.verify(s); reason != "" {
		return b.failed(reason, s)
	}
	if b.on("auth-object") && s.sdkThrows() && s.p["sts"] != "pending" {
		return refuse(clerkauth.ErrBackendUnavailable)
	}
	if !hasIAT && b.on("iat-required") {
		return b.handshake("session-token-iat-before-client-uat", nil)
	}
	document := b.header("sec-fetch-dest") == "document" && b.get()
	if !b.satellite() && document && b.loops == 0 && b.crossOrigin() {
		return b.handshake("primary-domain-cross-origin-sync", nil)
	}
	if s.sdkThrows() && s.p["sts"] != "pending" {
		return refuse(clerkauth.ErrBackendUnavailable)
	}
	if b.otherOrganization(s) && b.loops < 3 && !b.crossSite() {
		if away := b.handshake("active-organization-mismatch", nil); away.outcome == outcomeRedirect {
			return away
		}
	}
	return b.byCookie(s, ruling{})
}

// ambiguous reports whether the chosen session cookie has several values.
func (b *browser) ambiguous() bool {
	values := b.jar[b.chosen(sessionCookie)]
	return b.on("one-session-cookie") && slices.ContainsFunc(values, func(v string) bool { return v != values[0] })
}

// eligible reports whether a handshake may be started for the request.
func (b *browser) eligible() bool { return b.get() && b.navigation() && !b.strange() }

// navigation reports whether a browser requests a document.
func (b *browser) navigation() bool {
	switch b.header("sec-fetch-dest") {
	case "document", "iframe":
		return true
	case "":
		other := b.on("navigations") && (b.header("upgrade") != "" || b.header("hx-request") == "true")
		return strings.HasPrefix(b.header("accept"), "text/html") && !other
	default:
		return false
	}
}

// handshake sends the browser to location, or to the Frontend API if it is nil. Requests
// that cannot follow a redirect, and loops, are refused.
func (b *browser) handshake(reason clerkauth.Reason, location func() string) ruling {
	loop := b.loops == 3 || b.loops >= 3 && b.on("loop-guard")
	switch {
	case !b.eligible() || loop:
		return refuse(reason)
	case b.speculative():
		return refuse(clerkauth.ErrBackendUnavailable)
	}
	to := ruling{outcome: outcomeRedirect, reason: reason}
	if location != nil {
		to.location = location()
	} else {
		to.location = b.handshakeURL(reason)
	}
	to.cookies = []string{b.counted(2)}
	return to
}

// counted returns the Set-Cookie line that counts the redirects, for so many seconds.
func (b *browser) counted(seconds int) string {
	before := b.loops
	if b.on("loop-guard") {
		before = math.Max(0, math.Floor(before))
	}
	return fmt.Sprintf("%s=%s; SameSite=Lax; HttpOnly; Max-Age=%d", loopCookie, asNumber(before+1), seconds)
}

// speculative reports whether a browser requests a document before the user goes there.
func (b *browser) speculative() bool {
	return b.on("speculation") && b.navigation() && strings.Contains(b.header("sec-purpose"), "prefetch")
}

// handshakeURL returns the URL of the Frontend API that starts a handshake.
func (b *browser) handshakeURL(reason clerkauth.Reason) string {
	back := b.url
	dropped := []string{devBrowserCookie, "__dev_session"}
	for _, name := range []string{handshakeCookie, nonceCookie, "__clerk_help"} {
		if b.on("clean-return") && slices.ContainsFunc(b.query, func(p [2]string) bool { return p[0] == name && p[1] != "" }) {
			dropped = append(dropped, name)
		}
	}
	back.query = b.query.without(dropped...).String()
	session := b.session
	if session == "" {
		session = b.token
	}
	query := params{
		{"redirect_url", back.String()}, {"__clerk_api_version", "2026-05-12"}, {"suffixed_cookies", asBool(b.suffixed)},
		{"__clerk_hs_reason", string(reason)},
	}
	if b.nonce {
		query = append(query, [2]string{"format", "nonce"})
	}
	if session != "" {
		query = append(query, [2]string{sessionCookie, session})
	}
	if !b.production() && b.devBrowser != "" {
		query = append(query, [2]string{devBrowserCookie, b.devBrowser})
	}
	if target := b.organization(); target != nil {
		query = append(query, [2]string{"organization_id", target.name()})
	}
	return b.frontendAPI() + "v1/client/handshake" + query.String()
}

func asBool(v bool) string {
	if v {
		return "true"
	}
	return "false"
}

// frontendAPI returns the base URL of the Frontend API as browsers reach it.
func (b *browser) frontendAPI() string {
	base := b.text("proxyUrl")
	switch {
	case base == "":
		base = b.ownFrontendAPI()
	case strings.HasPrefix(base, "/"):
		base = b.url.origin() + base
	}
	if !strings.HasPrefix(base, "http") {
		base = "https://" + base
	}
	u, err := url.Parse(strings.TrimRight(base, "/") + "/")
	if err != nil {
		return base
	}
	return u.ResolveReference(&url.URL{Path: "./"}).String()
}

// primarySignIn returns where a satellite sends browsers.
func (b *browser) primarySignIn() string {
	if b.production() {
		return b.handshakeURL("satellite-needs-syncing")
	}
	back := b.url
	if rest := b.query.without(handshakeCookie, nonceCookie, "__clerk_help"); b.on("clean-return") && len(rest) < len(b.query) {
		back.query = rest.String()
	}
	u, _ := parseAddress(b.text("signInUrl"))
	u.query = append(parseParams(u.query), [2]string{"__clerk_redirect_url", back.String()}).String()
	return u.String()
}

// syncTargets are the satellites that the runner configures.
var syncTargets = []string{"https://sat.example.net"}

// syncedBack returns where a primary application sends browsers back.
func (b *browser) syncedBack(to address) string {
	query := parseParams(to.query)
	if b.devBrowser != "" {
		query = append(query, [2]string{devBrowserCookie, b.devBrowser})
	}
	to.query = query.set("__clerk_synced", "true").String()
	return to.String()
}
