package browser

import (
	"net/http"
	"net/url"
	"slices"
	"strings"
)

// domains decides where a session is shared by several domains, and in development, where
// browsers that refuse cookies of other sites are told apart by a token of their own. It
// reports whether that decides about the request.
func (r *resolution) domains() (step Step, decided bool) {
	f, s := r.f, r.s
	if s.Satellite && f.Document && f.Method == http.MethodGet && f.synced != "true" {
		known := f.Session != "" || f.ClientUAT != 0
		switch {
		case f.synced == "false", !known && s.AutoSync:
			return r.askPrimary(), true
		case !known:
			return signedOut(ReasonNothing), true
		}
	}
	switch {
	case s.Production:
		return Step{}, false
	case !s.Satellite && f.redirectURL != "":
		return r.answerSatellite(), true
	case f.queryDevBrowser:
		return r.begin(ReasonDevBrowserSync), true
	case f.DevBrowser == "":
		return r.begin(ReasonDevBrowser), true
	}
	return Step{}, false
}

// askPrimary sends the browser of a satellite for the session on the primary domain: in
// production through the Frontend API, in development through the primary application.
func (r *resolution) askPrimary() Step {
	if r.s.Production {
		return r.begin(ReasonSatellite)
	}
	if step, ok := r.canRedirect(ReasonSatellite); !ok {
		return step
	}
	query := strip(r.f.Query, paramHandshake, paramNonce, paramHelp)
	return r.redirect(ReasonSatellite, redirectsAge, withQuery(r.s.SignInURL, func(pairs []pair) []pair {
		return append(pairs, pair{paramRedirectURL, r.f.publicURL(query)})
	}))
}

// answerSatellite sends a browser back to the satellite that sent it, with the token that
// stands for its session in development. It goes to satellites of the configuration alone.
func (r *resolution) answerSatellite() Step {
	target := r.f.redirectURL
	u, err := url.Parse(target)
	if err != nil || u.User != nil || !slices.Contains(r.s.Satellites, origin(target)) {
		return signedOut(ReasonPrimaryResponds)
	}
	if step, ok := r.canRedirect(ReasonPrimaryResponds); !ok {
		return step
	}
	return r.redirect(ReasonPrimaryResponds, redirectsAge, withQuery(target, func(pairs []pair) []pair {
		if r.f.DevBrowser != "" {
			pairs = append(pairs, pair{paramDevBrowser, r.f.DevBrowser})
		}
		return set(pairs, paramSynced, "true")
	}))
}

// set sets a parameter where its first value is, or at the end, and removes others of it.
func set(pairs []pair, name, value string) []pair {
	at := slices.IndexFunc(pairs, func(p pair) bool { return p.name == name })
	if at < 0 {
		return append(pairs, pair{name, value})
	}
	pairs[at].value = value
	rest := slices.DeleteFunc(pairs[at+1:], func(p pair) bool { return p.name == name })
	return pairs[:at+1+len(rest)]
}

// withQuery returns an absolute URL with its query changed.
func withQuery(address string, change func([]pair) []pair) string {
	u, err := url.Parse(address)
	if err != nil {
		return address // the configuration was checked
	}
	u.RawQuery = encode(change(parse(u.RawQuery)))
	return u.String()
}

// needsPrimarySync reports whether a browser with a session comes to the primary
// application from another site, where its session may have changed. It does not if it
// comes from Clerk's own pages.
func (r *resolution) needsPrimarySync() bool {
	f, s := r.f, r.s
	from := origin(f.Referer)
	if s.Satellite || f.Method != http.MethodGet || !f.Document || f.Redirects != 0 || f.Public == "" || from == "" || from == f.Public {
		return false
	}
	_, host, _ := strings.Cut(from, "://")
	_, frontend, _ := strings.Cut(s.Frontend, "://")
	frontend, _, _ = strings.Cut(frontend, "/")
	return host != frontend && from != s.Accounts && (s.Production || !accountPortal(host))
}

// The suffixes of the hosts of development instances.
var (
	portalSuffixes       = []string{".accounts.dev", ".accountsstage.dev", ".accounts.lclclerk.com"}
	legacyPortalSuffixes = []string{".lcl.dev", ".lclstage.dev", ".lclclerk.com"}
)

// accountPortal reports whether host is the account portal of a development instance.
func accountPortal(host string) bool {
	return slices.ContainsFunc(portalSuffixes, func(suffix string) bool {
		return strings.HasSuffix(host, suffix) && !strings.HasSuffix(host, ".clerk"+suffix)
	}) || strings.HasPrefix(host, "accounts.") && slices.ContainsFunc(legacyPortalSuffixes, func(suffix string) bool {
		return strings.HasSuffix(host, suffix)
	})
}
