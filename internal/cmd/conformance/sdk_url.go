package main

import (
	"net"
	"net/url"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"unicode/utf8"
)

// address is a URL as the WHATWG standard reads it, as far as the SDK needs that.
type address struct {
	scheme, user, host string // the host with a port other than the scheme's own
	path               string
	query, fragment    string // each with the character before it, unless it is empty
}

func (u address) String() string {
	return u.scheme + "://" + u.user + u.host + u.path + u.query + u.fragment
}

// origin returns the URL's origin, "null" for a scheme without one.
func (u address) origin() string {
	if defaultPorts[u.scheme] == "" {
		return "null"
	}
	return u.scheme + "://" + u.host
}

// defaultPorts are the special schemes that have an origin.
var defaultPorts = map[string]string{"http": "80", "https": "443", "ws": "80", "wss": "443", "ftp": "21"}

var urlPattern = regexp.MustCompile(`(?s)\A([A-Za-z][A-Za-z0-9+.-]*):[/\\]{2}([^/\\?#]*)([^?#]*)(\?[^#]*)?(#.*)?\z`)

// parseAddress parses an absolute URL whose path is in its normal form.
func parseAddress(s string) (address, bool) {
	m := urlPattern.FindStringSubmatch(s)
	if m == nil {
		return address{}, false
	}
	u := address{scheme: strings.ToLower(m[1]), path: m[3], query: m[4], fragment: m[5]}
	authority := m[2]
	if i := strings.LastIndexByte(authority, '@'); i >= 0 {
		u.user, authority = authority[:i+1], authority[i+1:]
	}
	u.host = authority
	port, special := defaultPorts[u.scheme]
	if special {
		u.host = strings.TrimSuffix(strings.ToLower(authority), ":"+port)
		u.path = "/" + strings.TrimPrefix(strings.ReplaceAll(u.path, `\`, "/"), "/")
	}
	u.host = strings.TrimSuffix(u.host, ":")
	return u, goodHost(u.host) && (u.host != "" || !special)
}

// goodHost reports whether a host has neither a forbidden character nor a bad port.
func goodHost(host string) bool {
	name, port := host, ""
	if h, p, err := net.SplitHostPort(host); err == nil {
		name, port = h, p
	}
	n, err := strconv.Atoi(port)
	return !strings.ContainsAny(strings.Trim(name, "[]"), " \t#/<>?@[]\\^|%") && (port == "" || err == nil && n >= 0 && n < 1<<16)
}

// sdkURL returns the public URL of a request as the SDK derives it: from the first of
// the forwarded hosts and schemes, with the target resolved as a reference.
func (c *authCase) sdkURL() address {
	href := c.Request.Href
	if href == "" {
		href = c.Request.URL
	}
	own, _ := parseAddress(href)
	first := func(name string) (string, bool) {
		lines, ok := c.Request.Headers[name]
		return strings.Split(joined(lines, ", "), ",")[0], ok
	}
	host, forwarded := first("x-forwarded-host")
	if !forwarded {
		host = joined(c.Request.Headers["host"], ", ")
	}
	scheme, ok := first("x-forwarded-proto")
	if !ok {
		scheme = own.scheme
	}
	origin := scheme + "://" + host
	if host == "" || scheme == "" || origin == own.origin() {
		return own
	}
	base, ok := parseAddress(origin)
	if !ok {
		return own
	}
	if strings.HasPrefix(own.path, "//") { // it names another host
		if taken, ok := parseAddress(base.scheme + ":" + own.path + own.query); ok {
			return taken
		}
		return own
	}
	return address{scheme: base.scheme, user: base.user, host: base.host, path: own.path, query: own.query}
}

// joined returns the value of a header with these lines, as a fetch Headers object has it.
func joined(lines []string, by string) string {
	trimmed := make([]string, len(lines))
	for i, line := range lines {
		trimmed[i] = strings.Trim(line, " \t\r\n")
	}
	return strings.Trim(strings.Join(trimmed, by), " \t\r\n")
}

// params are the parameters of a query, in their order.
type params [][2]string

func parseParams(query string) (p params) {
	for pair := range strings.SplitSeq(strings.TrimPrefix(query, "?"), "&") {
		if pair == "" {
			continue
		}
		name, value, _ := strings.Cut(pair, "=")
		p = append(p, [2]string{formDecode(name), formDecode(value)})
	}
	return p
}

// formDecode decodes application/x-www-form-urlencoded as browsers do: what is not an
// escape stands for itself.
func formDecode(s string) string {
	var b []byte
	for i := 0; i < len(s); i++ {
		switch {
		case s[i] == '+':
			b = append(b, ' ')
		case s[i] == '%' && i+2 < len(s) && isHex(s[i+1]) && isHex(s[i+2]):
			n, _ := strconv.ParseUint(s[i+1:i+3], 16, 8)
			b = append(b, byte(n))
			i += 2
		default:
			b = append(b, s[i])
		}
	}
	return strings.ToValidUTF8(string(b), string(utf8.RuneError))
}

func isHex(c byte) bool {
	return c >= '0' && c <= '9' || c >= 'a' && c <= 'f' || c >= 'A' && c <= 'F'
}

func (p params) get(name string) string {
	for _, pair := range p {
		if pair[0] == name {
			return pair[1]
		}
	}
	return ""
}

func (p params) without(names ...string) params {
	return slices.DeleteFunc(slices.Clone(p), func(pair [2]string) bool { return slices.Contains(names, pair[0]) })
}

// set gives the first parameter of that name the value, and removes the others.
func (p params) set(name, value string) params {
	i := slices.IndexFunc(p, func(pair [2]string) bool { return pair[0] == name })
	if i < 0 {
		return append(slices.Clone(p), [2]string{name, value})
	}
	rest := append(slices.Clone(p[:i]), [2]string{name, value})
	return append(rest, p[i+1:].without(name)...)
}

// String returns the query with its question mark, or "".
func (p params) String() string {
	if len(p) == 0 {
		return ""
	}
	pairs := make([]string, len(p))
	for i, pair := range p {
		pairs[i] = formEncode(pair[0]) + "=" + formEncode(pair[1])
	}
	return "?" + strings.Join(pairs, "&")
}

// formEncode is url.QueryEscape with the set of characters of the WHATWG standard.
func formEncode(s string) string {
	return strings.NewReplacer("~", "%7E", "%2A", "*").Replace(url.QueryEscape(s))
}
