package weburl

import (
	"errors"
	"net/url"
	"slices"
	"strings"
)

// CheckPage returns an error unless s is a page that browsers can be sent to: an
// absolute http or https URL, or a path on this server that no browser takes for
// another host.
func CheckPage(s string) error {
	u, err := url.Parse(s)
	switch {
	case err != nil || strings.ContainsFunc(s, func(c rune) bool { return c <= ' ' || c == '\\' || c == 0x7f }):
		return errors.New("it is not a URL")
	case u.Scheme == "" && u.Host == "" && strings.HasPrefix(s, "/") && !strings.HasPrefix(s, "//"):
		return nil
	case (u.Scheme == "https" || u.Scheme == "http") && ValidHost(strings.ToLower(u.Host)) && u.User == nil:
		return nil
	}
	return errors.New("it must be an absolute http or https URL, or a path that begins with one slash")
}

// OwnPage returns the URL of a page that CheckPage accepts if it is a path on this server,
// and nil otherwise.
func OwnPage(page string) *url.URL {
	u, err := url.Parse(page)
	if err != nil || u.Host != "" || u.Path == "" {
		return nil
	}
	return u
}

// Site holds the origins under which browsers know this server. The zero value knows
// none. It does not change, and is safe for concurrent use.
type Site struct {
	Public  string   // the one origin, if it is configured
	Origins []string // otherwise, the origins that a request may name
	AnyHost bool     // and whether a request may name any other
}

// Origin returns this server's origin for a request that came over TLS or not and has
// that Host, or "" if the host is none of this server's: callers choose it.
func (s Site) Origin(tls bool, host string) string {
	if s.Public != "" {
		return s.Public
	}
	scheme := "http"
	if tls {
		scheme = "https"
	}
	host = strings.ToLower(host)
	own := scheme + "://" + host
	if slices.Contains(s.Origins, own) {
		return own
	}
	// Behind a proxy that terminates TLS, requests come in plain http.
	if secure := "https://" + host; slices.Contains(s.Origins, secure) {
		return secure
	}
	if s.AnyHost && ValidHost(host) {
		return own
	}
	return ""
}

// maxReturn is the length in bytes of the longest return URL. Browsers and servers
// limit the length of a URL that holds it.
const maxReturn = 2048

// Return returns the URL of a request's target at origin, to return a browser to, or
// "" if origin is "" or the target has no usable path. Its parts are set one by one and
// never resolved, so that no path can name another host.
func Return(origin string, target *url.URL) string {
	if origin == "" || target.Opaque != "" || !strings.HasPrefix(target.Path, "/") {
		return ""
	}
	scheme, host, _ := strings.Cut(origin, "://")
	u := url.URL{Scheme: scheme, Host: host, Path: target.Path, RawPath: target.RawPath, RawQuery: target.RawQuery}
	if s := u.String(); len(s) <= maxReturn {
		return s
	}
	return ""
}

// Page returns a page that CheckPage accepts, with path appended to its own and the
// return URL, unless that is "", as its redirect_url parameter. For "" it returns "".
func Page(page, path, returnURL string) string {
	u, err := url.Parse(page)
	if err != nil || page == "" {
		return page
	}
	u.Path += path
	if returnURL != "" {
		q := u.Query()
		q.Set("redirect_url", returnURL)
		u.RawQuery = q.Encode()
	}
	return u.String()
}
