package browser

import (
	"net"
	"net/http"
	"strings"

	"golang.org/x/net/publicsuffix"
)

// ExpireCookies returns lines of Set-Cookie that remove the instance's cookies from the
// sender of r, whether they were set for this host or for a domain above it: they are
// different cookies to a browser, and one that is left would bring the session back. The
// lines are for the cookies in r, and for those of a session in any case.
func (s *Settings) ExpireCookies(r *http.Request, public string) []string {
	var j jar
	j.read(r.Header["Cookie"], s.Suffix)
	domains := append([]string{""}, domainsOf(public)...)
	var lines []string
	for at := range 2 * slots {
		name := cookieNames[at%slots]
		if at >= slots {
			name += "_" + s.Suffix
		}
		_, known := find(name, s.Suffix)
		if always := at%slots == session || at%slots == clientUAT; !known || !always && !j.there[at] {
			continue
		}
		for _, domain := range domains {
			c := http.Cookie{ //nolint:gosec // it removes a cookie that had these attributes
				Name: name, Path: "/", Domain: domain, MaxAge: -1, Secure: strings.HasPrefix(public, "https://"),
				HttpOnly: at%slots == refresh, SameSite: http.SameSiteLaxMode,
			}
			lines = append(lines, c.String())
		}
	}
	return lines
}

// cookieNames are the names of the slots, without a suffix.
var cookieNames = [slots]string{
	session: cookieSession, clientUAT: cookieClientUAT, devBrowser: cookieDevBrowser, refresh: cookieRefresh,
	handshake: cookieHandshake, nonce: cookieNonce, redirects: cookieRedirects,
}

// domainsOf returns the domains for which a server of that origin can set cookies: its
// host, and the domains above it that are not public suffixes.
func domainsOf(public string) (domains []string) {
	_, host, _ := strings.Cut(public, "://")
	if name, _, err := net.SplitHostPort(host); err == nil {
		host = name
	}
	if net.ParseIP(strings.Trim(host, "[]")) != nil {
		return nil
	}
	for strings.Contains(host, ".") {
		if suffix, _ := publicsuffix.PublicSuffix(host); suffix == host {
			break
		}
		domains = append(domains, host)
		_, host, _ = strings.Cut(host, ".")
	}
	return domains
}
