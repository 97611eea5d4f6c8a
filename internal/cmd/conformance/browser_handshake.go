package main

import (
	"encoding/json"
	"maps"
	"net/http"
	"regexp"
	"slices"
	"strings"

	"github.com/clerkauth/clerkauth"
)

// returning resolves the nonce or the token with which a browser returns from a
// handshake. It returns false if there is none that is good: the flow goes on.
func (b *browser) returning() (ruling, bool) {
	nonce, token := b.query.get(nonceCookie), b.query.get(handshakeCookie)
	if b.on("unused-handshake") {
		if !b.get() && !strings.EqualFold(b.Request.Method, http.MethodHead) {
			return ruling{}, false
		}
		if b.production() {
			nonce, token = "", ""
		}
	}
	if nonce == "" {
		nonce = b.jar.get(nonceCookie)
	}
	if token == "" {
		token = b.jar.get(handshakeCookie)
	}
	if b.on("unused-handshake") && !b.navigation() && b.jar.get(loopCookie) == "" {
		nonce = ""
	}
	if b.strange() || b.crossSite() {
		return ruling{}, false
	}
	switch {
	case nonce+token != "" && b.speculative():
		return refuse(clerkauth.ErrBackendUnavailable), true
	case nonce != "":
		return b.byNonce()
	case token != "":
		return b.byToken(token)
	default:
		return ruling{}, false
	}
}

// byNonce asks the Backend API for the directives of a nonce.
func (b *browser) byNonce() (ruling, bool) {
	a := find(b.BAPI, http.MethodGet, "/v1/clients/handshake_payload")
	var payload struct {
		Directives []any `json:"directives"`
	}
	malformed := json.Unmarshal(a.body(), &payload) != nil || slices.ContainsFunc(payload.Directives, notText)
	b.exchanged = true
	inQuery := b.query.get(nonceCookie) != "" && !b.production()
	switch away := unreachable(a.Status) || a.Status/100 == 2 && malformed; {
	case away && !inQuery && b.on("outage-refused"):
		return refuse(clerkauth.ErrBackendUnavailable), true
	case a.Status/100 != 2 && !inQuery && b.query.get(handshakeCookie) == "" && b.on("handshake-once"):
		return refuse("session-token-missing"), true
	case a.Status/100 != 2, away && b.on("outage-refused"):
		return b.obey(nil)
	}
	return b.obey(payload.Directives)
}

// unreachable reports whether a status of the Backend API says that it is away, or that
// there were too many calls.
func unreachable(status int) bool {
	return status == 0 || status/100 == 5 || status == http.StatusTooManyRequests
}

// byToken verifies a handshake token. In development the SDK throws if it is bad.
func (b *browser) byToken(token string) (ruling, bool) {
	t := b.asHandshake(token)
	reason := t.sdkHandshake()
	if b.visit != nil {
		b.visit(t)
	}
	if other, ok := b.decide(t); ok {
		reason = other
	}
	if late := t.handshakeRefused(); reason == "" && b.on("unused-handshake") {
		reason = late
	}
	switch {
	case reason != "" && reason != clerkauth.ErrBackendUnavailable && !b.production():
		return ruling{outcome: outcomeRefuse, reason: reason, silent: t.sdkHandshake() != ""}, true
	case reason != "":
		return ruling{}, false
	}
	list, _ := t.p["handshake"].([]any)
	return b.obey(list)
}

// sdkHandshake returns the SDK's reason to reject a handshake token, of which it reads no
// claim but the list.
func (r *reading) sdkHandshake() clerkauth.Reason {
	if r.decodes && r.foreign() {
		return clerkauth.ErrTokenInvalid
	}
	return r.sdkAuthentic()
}

// handshakeRefused returns our reason to reject a handshake token whose other claims, if it
// has them, are out of date or name another issuer.
func (r *reading) handshakeRefused() clerkauth.Reason {
	iss, hasIssuer := r.p["iss"]
	own, _ := keyIssuer(r.text("publishableKey"))
	if hasIssuer && iss != own && iss != "https://"+r.ownFrontendAPI() && !slices.ContainsFunc(r.list("issuer"), func(s string) bool { return s == iss }) {
		return clerkauth.ErrTokenIssuer
	}
	times := *r
	times.p = maps.Clone(r.p)
	if _, has := times.p["exp"]; !has && times.p != nil {
		times.p["exp"] = json.Number("253402300799")
	}
	return times.sdkJudgesTimes()
}

var forbiddenInHeaders = regexp.MustCompile(`[\r\n\x00]|[^\x00-\x{ff}]`)

// obey follows the directives of a handshake: Set-Cookie lines. It returns false if they
// are malformed or the session in them is bad.
func (b *browser) obey(directives []any) (ruling, bool) {
	lines, session, ok := b.read(directives)
	if !ok {
		return ruling{}, false
	}
	if session == "" {
		of := b.returned(lines)
		if of.reason = "session-token-missing"; of.location != "" {
			of.outcome = outcomeRedirect
		}
		return of, true
	}
	s := b.as(session)
	reason := b.verify(s)
	if !b.production() && slices.Contains([]clerkauth.Reason{clerkauth.ErrTokenExpired, clerkauth.ErrTokenEarly, clerkauth.ErrTokenFuture}, reason) {
		reason = b.verify(s.withSkew(24 * 60 * 60 * 1000))
	}
	if reason != "" || s.otherType() && b.on("session-category") {
		return ruling{}, false
	}
	if b.anothersSession(s) {
		restart := b.handshake("session-token-iat-before-client-uat", nil)
		if restart.outcome == outcomeRedirect {
			restart.cookies = []string{b.counted(60)}
		}
		return restart, true
	}
	return b.in(s, b.returned(lines)), true
}

// read returns the Set-Cookie lines of a handshake and the session token in them, or false
// if they are malformed.
func (b *browser) read(directives []any) (lines []string, session string, ok bool) {
	named := true
	for _, d := range directives {
		line, isText := d.(string)
		if !isText || forbiddenInHeaders.MatchString(strings.Trim(line, " \t\r\n")) {
			return nil, "", false
		}
		lines = append(lines, line)
		if strings.HasPrefix(line, sessionCookie) {
			session = cookieValue(line)
			named = (strings.HasPrefix(line, sessionCookie+"=") || strings.HasPrefix(line, sessionCookie+b.suffix+"=")) && b.ownDomain(line)
		}
	}
	return lines, session, named || !b.on("session-directive")
}

// cookieValue returns the value in a Set-Cookie line up to the next equals sign, or what
// is no token where it has none.
func cookieValue(line string) string {
	pair, _, _ := strings.Cut(line, ";")
	return append(strings.Split(pair, "="), "undefined")[1]
}

// returned returns how a handshake ends: with these Set-Cookie lines and, in development,
// with a redirect to the URL without the handshake.
func (b *browser) returned(lines []string) ruling {
	of := ruling{outcome: outcomeRefuse, cookies: lines}
	if b.on("own-cookies") {
		of.cookies = b.ownCookies(lines)
	}
	if b.production() {
		return of
	}
	if b.on("handshake-once") && b.query.get(handshakeCookie) == "" && b.query.get(nonceCookie) == "" {
		if b.loops >= 3 {
			return of
		}
		if !b.exchanged {
			of.cookies = append(of.cookies, b.counted(2))
		}
	}
	back := b.url
	back.query = b.query.without(handshakeCookie, "__clerk_help", devBrowserCookie, nonceCookie).String()
	of.location = back.String()
	return of
}

// withSkew returns the reading of the token with another clock skew.
func (r *reading) withSkew(ms float64) *reading {
	c, s := *r.authCase, *r
	c.Options = maps.Clone(c.Options)
	c.Options["clockSkewInMs"] = ms
	s.authCase = &c
	return &s
}

// anothersSession reports whether the browser has the session of a user other than that
// of a handshake which this application has not started.
func (b *browser) anothersSession(new *reading) bool {
	if !b.on("login-csrf") || b.jar.get(loopCookie) != "" || new.p["sts"] == "pending" || b.session == "" {
		return false
	}
	old := b.as(b.session)
	if reason := old.sdkVerifies(); reason != "" && reason != clerkauth.ErrTokenExpired {
		return false
	}
	return old.p["sub"] != new.p["sub"]
}

// ownCookie matches the names of Clerk's cookies, with and without a suffix.
var ownCookie = regexp.MustCompile(`\A(__session|__client|__refresh|__clerk_|__dev_session)[A-Za-z0-9_-]*\z`)

// ownCookies returns the Set-Cookie lines of Clerk's cookies for this host.
func (b *browser) ownCookies(lines []string) (own []string) {
	for _, line := range lines {
		name, attributes, _ := strings.Cut(line, "=")
		if ownCookie.MatchString(name) && b.ownDomain(attributes) {
			own = append(own, line)
		}
	}
	return own
}

// ownDomain reports whether every Domain attribute is the host or a parent of it that is
// no public suffix.
func (b *browser) ownDomain(attributes string) bool {
	for attribute := range strings.SplitSeq(attributes, ";") {
		name, domain, _ := strings.Cut(attribute, "=")
		if !strings.EqualFold(strings.Trim(name, " \t"), "Domain") {
			continue
		}
		domain = strings.ToLower(strings.TrimPrefix(strings.Trim(domain, " \t"), "."))
		host, _, _ := strings.Cut(b.url.host, ":")
		if domain != "" && domain != host && (!strings.HasSuffix(host, "."+domain) || !strings.Contains(domain, ".")) {
			return false
		}
	}
	return true
}
