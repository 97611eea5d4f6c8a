package clerkauthtest

import (
	"net/url"
	"slices"
	"strings"
)

// redirectURL parses a URL that somebody else chose and to which the instance may send
// browsers: on loopback, of the application, or in production on https below the domain of
// the application or of a satellite.
func (s *Server) redirectURL(raw string) (*url.URL, bool) {
	u, err := url.Parse(raw)
	if err != nil || u.User != nil || u.Scheme != "http" && u.Scheme != "https" {
		return nil, false
	}
	host := strings.ToLower(u.Hostname())
	switch {
	case loopback(host), strings.HasSuffix(host, ".localhost"), originOf(u) == s.origin:
		return u, true
	case s.production && u.Scheme == "https":
		return u, slices.ContainsFunc(s.domains(), func(domain string) bool { return within(host, domain) })
	default:
		return nil, false
	}
}

// domains returns the domain of the application in production, and those of its satellites.
func (s *Server) domains() []string { return append([]string{domainOf(s.host)}, s.satellites...) }

// domainOf returns the domain that cookies of a Frontend API's host are for: clerk. is
// below it.
func domainOf(host string) string { return strings.TrimPrefix(host, "clerk.") }

// within reports whether host is domain or below it.
func within(host, domain string) bool { return host == domain || strings.HasSuffix(host, "."+domain) }

func originOf(u *url.URL) string { return u.Scheme + "://" + strings.ToLower(u.Host) }

// withParam returns u with one value of a query parameter. The rest of the query stays as
// it is: an application may depend on its spelling.
func withParam(u *url.URL, name, value string) *url.URL {
	kept := slices.DeleteFunc(strings.Split(u.RawQuery, "&"), func(pair string) bool {
		key, _, _ := strings.Cut(pair, "=")
		unescaped, err := url.QueryUnescape(key)
		return pair == "" || err == nil && unescaped == name
	})
	changed := *u
	changed.RawQuery = strings.Join(append(kept, name+"="+url.QueryEscape(value)), "&")
	return &changed
}
