package browser

import (
	"net/url"
	"slices"
	"strings"
)

// pair is a parameter of a query.
type pair struct{ name, value string }

// parse reads a query as the URL standard does (application/x-www-form-urlencoded): it has
// no malformed ones.
func parse(query string) []pair {
	var pairs []pair
	for part := range strings.SplitSeq(query, "&") {
		if part == "" {
			continue
		}
		name, value, _ := strings.Cut(part, "=")
		pairs = append(pairs, pair{unescape(name), unescape(value)})
	}
	return pairs
}

// first returns the first parameter of that name, and whether there is one.
func first(pairs []pair, name string) (string, bool) {
	for _, p := range pairs {
		if p.name == name {
			return p.value, true
		}
	}
	return "", false
}

// unescape decodes a name or value; what is not an encoding stands for itself.
func unescape(s string) string {
	if !strings.ContainsAny(s, "+%") {
		return s
	}
	b := make([]byte, 0, len(s))
	for i := 0; i < len(s); i++ {
		switch c := s[i]; c {
		case '+':
			b = append(b, ' ')
		case '%':
			if decoded, ok := hexByte(s, i); ok {
				b = append(b, decoded)
				i += 2
				continue
			}
			b = append(b, c)
		default:
			b = append(b, c)
		}
	}
	return strings.ToValidUTF8(string(b), "\ufffd")
}

// encode writes parameters in the one form of the URL standard.
func encode(pairs []pair) string {
	var b strings.Builder
	for i, p := range pairs {
		if i > 0 {
			b.WriteByte('&')
		}
		b.WriteString(escape(p.name))
		b.WriteByte('=')
		b.WriteString(escape(p.value))
	}
	return b.String()
}

const hexDigits = "0123456789ABCDEF"

func escape(s string) string {
	var b strings.Builder
	for _, c := range []byte(s) {
		switch {
		case c == ' ':
			b.WriteByte('+')
		case c >= 'a' && c <= 'z', c >= 'A' && c <= 'Z', c >= '0' && c <= '9', c == '*', c == '-', c == '.', c == '_':
			b.WriteByte(c)
		default:
			b.WriteString("%" + string(hexDigits[c>>4]) + string(hexDigits[c&15]))
		}
	}
	return b.String()
}

// without returns a query without the parameters of these names.
func without(query string, names ...string) string {
	return encode(slices.DeleteFunc(parse(query), func(p pair) bool { return slices.Contains(names, p.name) }))
}

// strip is without, but leaves a query that has none of the parameters as it is written.
func strip(query string, names ...string) string {
	if !slices.ContainsFunc(parse(query), func(p pair) bool { return slices.Contains(names, p.name) }) {
		return query
	}
	return without(query, names...)
}

// publicURL returns the request's URL with that query. Its parts are joined and never
// resolved, so that no path names another host.
func (f *Facts) publicURL(query string) string {
	if query != "" {
		query = "?" + query
	}
	path := escapePath(f.Path)
	if !strings.HasPrefix(path, "/") { // it is *, or of a request that was made up
		path = "/" + path
	}
	return f.Public + path + query
}

// escapePath encodes what the URL standard does not leave in a path, and backslashes,
// which it takes for slashes.
func escapePath(path string) string {
	var b strings.Builder
	for _, c := range []byte(path) {
		if c <= ' ' || c >= 0x7f || strings.IndexByte("\"#<>?\\^`{}", c) >= 0 {
			b.WriteString("%" + string(hexDigits[c>>4]) + string(hexDigits[c&15]))
		} else {
			b.WriteByte(c)
		}
	}
	return b.String()
}

// origin returns the origin of a URL as browsers write it, "" if it has none.
func origin(s string) string {
	u, err := url.Parse(s)
	if err != nil || u.Host == "" || u.Scheme != "http" && u.Scheme != "https" {
		return ""
	}
	host := strings.ToLower(u.Host)
	if port := u.Port(); port == "" || u.Scheme == "https" && port == "443" || u.Scheme == "http" && port == "80" {
		host = strings.TrimSuffix(host, ":"+port)
	}
	return u.Scheme + "://" + host
}
