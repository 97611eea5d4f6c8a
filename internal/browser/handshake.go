package browser

import (
	"fmt"
	"math"
	"net"
	"net/http"
	"slices"
	"strconv"
	"strings"

	"golang.org/x/net/publicsuffix"
)

// apiVersion is the version of Clerk's APIs that handshakes ask for.
const apiVersion = "2026-05-12"

// maxRedirects is how often a browser is sent through handshakes before it gets a
// response.
const maxRedirects = 3

// Lifetimes in seconds of the cookie that counts them.
const (
	redirectsAge = 2
	// restartAge is that of a handshake that takes the place of another one, which the
	// user may have to wait for.
	restartAge = 60
)

// begin sends the browser through a handshake, if it can be sent anywhere: it has to
// request a document, not to have been redirected too often already, and its URL has to be
// known. Otherwise it is signed out for that reason.
func (r *resolution) begin(reason string) Step {
	if step, ok := r.canRedirect(reason); !ok {
		return step
	}
	return r.redirect(reason, redirectsAge, r.handshakeURL(reason))
}

// canRedirect reports whether the browser can be sent elsewhere. If not, it returns the
// step to take for that reason instead.
func (r *resolution) canRedirect(reason string) (Step, bool) {
	f := r.f
	switch {
	case f.Method != http.MethodGet, !f.Navigation, f.Redirects >= maxRedirects, f.Public == "":
		return signedOut(reason), false
	case f.Speculative:
		return Step{Action: Postpone, Reason: reason}, false
	}
	return Step{}, true
}

// redirect sends the browser to location, and counts that for so many seconds.
func (r *resolution) redirect(reason string, age int, location string) Step {
	return Step{Action: Redirect, Reason: reason, Location: location, SetCookies: []string{r.f.counted(age)}}
}

// counted returns the line of Set-Cookie that counts one more redirect, for so many
// seconds.
func (f *Facts) counted(age int) string {
	count := int(max(0, math.Floor(f.Redirects))) + 1
	return fmt.Sprintf("%s=%d; SameSite=Lax; HttpOnly; Max-Age=%d", cookieRedirects, count, age)
}

// handshakeURL returns the URL of the Frontend API that renews a browser's cookies and
// sends it back. What a request brought along of another handshake is not sent back: it
// would be resolved again.
func (r *resolution) handshakeURL(reason string) string {
	f := r.f
	back := f.publicURL(encode(slices.DeleteFunc(parse(f.Query), func(p pair) bool {
		switch p.name {
		case paramDevBrowser, paramLegacyDevBrowser:
			return true
		case paramHandshake, paramNonce, paramHelp:
			return f.carries(p.name)
		}
		return false
	})))
	query := []pair{
		{"redirect_url", back},
		{"__clerk_api_version", apiVersion},
		{"suffixed_cookies", strconv.FormatBool(f.Suffixed)},
		{"__clerk_hs_reason", reason},
	}
	if !r.s.NoNonce {
		query = append(query, pair{"format", "nonce"})
	}
	switch {
	case f.Session != "":
		query = append(query, pair{"__session", f.Session})
	case f.Bearer != "":
		query = append(query, pair{"__session", f.Bearer})
	}
	if !r.s.Production && f.DevBrowser != "" {
		query = append(query, pair{paramDevBrowser, f.DevBrowser})
	}
	if target, ok := r.s.Organizations.target(f.Path); ok {
		query = append(query, pair{"organization_id", target.id + target.slug})
	}
	return r.s.Frontend + "/v1/client/handshake?" + encode(query)
}

// carries reports whether a parameter of the query has a value.
func (f *Facts) carries(name string) bool {
	return slices.ContainsFunc(parse(f.Query), func(p pair) bool { return p.name == name && p.value != "" })
}

// handshake resolves a handshake that the browser comes back from, and reports whether
// that decides about the request.
func (r *resolution) handshake() (step Step, decided bool) {
	f, s, found := r.f, r.s, r.found
	nonce, token := f.presentedHandshake(s.Production)
	if nonce == "" && token == "" {
		return Step{}, false
	}
	if f.Speculative {
		return Step{Action: Postpone, Reason: ReasonUnavailable}, true
	}
	h := found.Handshake
	switch {
	case h == nil && nonce != "":
		return Step{Action: FetchHandshake, Token: nonce}, true
	case h == nil:
		return Step{Action: VerifyHandshake, Token: token}, true
	case h.Away && (nonce == "" || s.Production || f.queryNonce == ""):
		return Step{Action: Unavailable, Reason: ReasonUnavailable}, true
	case h.Reason != "" && s.Production:
		return Step{}, false
	case h.Reason != "":
		return signedOut(h.Reason), true
	case h.Malformed:
		return Step{}, false
	}
	cookies, session, ok := r.directives(h.Directives)
	if !ok {
		return Step{}, false
	}
	v := found.Tokens[Received]
	switch {
	case session == "":
		return r.received(Step{Reason: ReasonSessionMissing, SetCookies: cookies}), true
	case v == nil:
		return Step{Action: Verify, Of: Received, Token: session}, true
	case v.Away:
		return Step{Action: Unavailable, Reason: v.Reason}, true
	case v.Reason != "" && !s.Production && !found.Lenient && clockReason(v.Reason):
		return Step{Action: Verify, Of: Received, Token: session, Lenient: true}, true
	case !v.valid():
		return Step{}, false
	}
	if !v.NoUser && f.Session != "" && !f.Redirected {
		// This browser did not ask for the handshake just now. Whoever made it follow a
		// link must not replace its user by another one.
		own := found.Tokens[Presented]
		switch {
		case own == nil:
			return Step{Action: Verify, Of: Presented, Token: f.Session}, true
		case own.Away:
			return Step{Action: Unavailable, Reason: own.Reason}, true
		case own.genuine() && own.User != v.User:
			if step, ok := r.canRedirect(ReasonOutdated); !ok {
				return step, true
			}
			return r.redirect(ReasonOutdated, restartAge, r.handshakeURL(ReasonOutdated)), true
		}
	}
	return r.received(r.signIn(v, Step{Of: Received, SetCookies: cookies})), true
}

func clockReason(reason string) bool {
	return reason == ReasonExpired || reason == ReasonEarly || reason == ReasonFuture
}

// presentedHandshake returns the nonce and the handshake token that are resolved. In
// production they come in cookies, which the Frontend API has set on this domain; what is
// in a query may come from an attacker's link. In development they come in the query.
func (f *Facts) presentedHandshake(production bool) (nonce, token string) {
	if f.Method != http.MethodGet && f.Method != http.MethodHead || f.Public == "" || f.CrossSite {
		return "", ""
	}
	nonce, token = f.Nonce, f.Handshake
	if !production && f.queryNonce != "" {
		nonce = f.queryNonce
	}
	if !production && f.queryHandshake != "" {
		token = f.queryHandshake
	}
	if !f.Navigation && !f.Redirected {
		nonce = "" // the request of a script; resolving it is a call to Clerk
	}
	return nonce, token
}

// received ends a handshake. In development a redirect takes it out of the URL.
func (r *resolution) received(step Step) Step {
	if r.s.Production || step.Action == Redirect || step.Action == Postpone {
		return step
	}
	if r.f.queryHandshake == "" && r.f.queryNonce == "" {
		// It came in a cookie, which the browser may send again. A nonce is refused then.
		switch nonce, _ := r.f.presentedHandshake(false); {
		case r.found.Handshake.Refused, r.f.Redirects >= maxRedirects:
			return step
		case nonce == "":
			step.SetCookies = append(step.SetCookies, r.f.counted(redirectsAge))
		}
	}
	step.Action = Redirect
	step.Location = r.f.publicURL(without(r.f.Query, paramHandshake, paramHelp, paramDevBrowser, paramNonce))
	return step
}

// directives returns those lines of Set-Cookie that may be sent to the browser, and the
// session token in them, which is that of the last one that sets it. It reports false if
// none may be: a character that no header has, or a cookie whose name only begins like
// that of the session, would be read differently by others, and a session that is not for
// this server says nothing about it.
func (r *resolution) directives(lines []string) (cookies []string, session string, ok bool) {
	last, complete := cookieSession, true
	for _, line := range lines {
		if !headerValue(line) {
			return nil, "", false
		}
		if name, _, assigned := nameAndValue(line); strings.HasPrefix(name, cookieSession) {
			last, complete = name, assigned && domainAllowed(line, r.f.Public)
		}
	}
	if !complete || last != cookieSession && last != cookieSession+"_"+r.s.Suffix {
		return nil, "", false
	}
	for _, line := range lines {
		name, value, assigned := nameAndValue(line)
		if !assigned || !clerkCookie(name) || !domainAllowed(line, r.f.Public) {
			continue
		}
		cookies = append(cookies, line)
		if strings.HasPrefix(name, cookieSession) {
			session = value
		}
	}
	return cookies, session, true
}

// headerValue reports whether a line is of characters that a header may have.
func headerValue(line string) bool {
	for _, c := range line {
		if c > 0xff || c == '\r' || c == '\n' || c == 0 {
			return false
		}
	}
	return true
}

// nameAndValue splits the cookie in a line of Set-Cookie as Clerk's SDKs do: nothing is
// trimmed, and a value ends at the next equals sign. It reports whether there is one.
func nameAndValue(line string) (name, value string, assigned bool) {
	cookie, _, _ := strings.Cut(line, ";")
	name, value, assigned = strings.Cut(cookie, "=")
	value, _, _ = strings.Cut(value, "=")
	return name, value, assigned
}

// clerkCookie reports whether a cookie of that name is one that Clerk sets.
func clerkCookie(name string) bool {
	for _, prefix := range []string{cookieSession, "__client", cookieRefresh, "__clerk_", "__dev_session"} {
		if strings.HasPrefix(name, prefix) {
			return strings.Trim(name, "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789_-") == ""
		}
	}
	return false
}

// domainAllowed reports whether a line of Set-Cookie names no Domain, or this server's host
// or a domain above it that is not a public suffix.
func domainAllowed(line, public string) bool {
	host := strings.ToLower(origin(public))
	_, host, _ = strings.Cut(host, "://")
	host, _, _ = strings.Cut(host, ":")
	for attribute := range strings.SplitSeq(line, ";") {
		name, value, _ := strings.Cut(attribute, "=")
		if !strings.EqualFold(strings.TrimSpace(name), "Domain") {
			continue
		}
		domain := strings.ToLower(strings.TrimPrefix(strings.TrimSpace(value), "."))
		switch suffix, _ := publicsuffix.PublicSuffix(domain); {
		case domain == host:
		case net.ParseIP(host) != nil, !strings.Contains(domain, "."), !strings.HasSuffix(host, "."+domain), suffix == domain:
			return false
		}
	}
	return true
}
