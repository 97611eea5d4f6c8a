package fapiproxy

import (
	"errors"
	"fmt"
	"net/url"
	"strings"
	"unicode/utf8"
)

var errTarget = errors.New("path has more than one reading")

// target returns the URL that a request is sent to. Texts are joined and parsed again, and
// nothing is resolved, so that //evil.example in rest stays a path. The host is compared
// nevertheless.
func (p *proxy) target(rest, query string) (*url.URL, error) {
	if rest == "" {
		rest = "/"
	}
	if !plain(rest) {
		return nil, errTarget
	}
	u, err := url.Parse(p.base + rest)
	if err != nil || u.Scheme != p.Target.Scheme || u.Host != p.Target.Host || u.User != nil || u.Opaque != "" || u.Fragment != "" {
		return nil, errTarget
	}
	u.RawQuery = escapeQuery(query)
	return u, nil
}

// plain reports whether every server reads the escaped path in the same way, decoded once or
// twice, cleaned or not.
func plain(path string) bool {
	decoded, err := url.PathUnescape(path)
	if err != nil || !utf8.ValidString(decoded) || strings.Count(decoded, "/") != strings.Count(path, "/") ||
		strings.ContainsFunc(decoded, func(c rune) bool { return c < ' ' || c == 0x7f || c == '\\' || c == '%' || c == '?' || c == '#' }) {
		return false
	}
	segments := strings.Split(decoded[1:], "/")
	for i, segment := range segments {
		name, _, _ := strings.Cut(segment, ";") // which some servers remove
		if name == "." || name == ".." || name == "" && i < len(segments)-1 {
			return false
		}
	}
	return true
}

// escapeQuery escapes what must not be in a request line. HTTP/2 brings it as it is.
func escapeQuery(query string) string {
	var escaped strings.Builder
	for _, c := range []byte(query) {
		if c <= ' ' || c >= 0x7f || c == '#' {
			fmt.Fprintf(&escaped, "%%%02X", c)
		} else {
			escaped.WriteByte(c)
		}
	}
	return escaped.String()
}

// location returns a Location of a response to the request for target as browsers should
// see it: what is at the Frontend API is at the proxy for them.
func (p *proxy) location(target *url.URL, location string) string {
	u, err := target.Parse(location)
	if err != nil || u.User != nil || u.Opaque != "" || !sameHost(u, p.Target) {
		return location
	}
	rest, below := strings.CutPrefix(u.EscapedPath(), strings.TrimRight(p.Target.EscapedPath(), "/"))
	if !below || rest != "" && rest[0] != '/' {
		return location
	}
	u.Scheme, u.Host = p.URL.Scheme, p.URL.Host
	u.RawPath = p.mount + rest
	if u.Path, err = url.PathUnescape(u.RawPath); err != nil {
		return location
	}
	return u.String()
}

// sameHost reports whether both are on one host, whatever the scheme, which a server behind
// another one may not know.
func sameHost(u, v *url.URL) bool {
	return strings.EqualFold(u.Hostname(), v.Hostname()) && port(u) == port(v)
}

// port returns the port of u, or "" for that of its scheme.
func port(u *url.URL) string {
	if p := u.Port(); u.Scheme == "https" && p != "443" || u.Scheme == "http" && p != "80" {
		return p
	}
	return ""
}
