package route

import (
	"net/url"
	"path"
	"strings"
	"unicode/utf8"
)

// Refusal is why a request target is not looked at any further. Such a request
// is to be answered with 400, whatever the rules say: no two programs agree on
// what it asks for.
type Refusal struct{ reason string }

func (r *Refusal) Error() string { return "request refused: " + r.reason }

var (
	errConnect  = &Refusal{"CONNECT asks for a tunnel, not for a path"}
	errTarget   = &Refusal{"its target is no path that begins with /"}
	errControl  = &Refusal{"its path holds a control character"}
	errUTF8     = &Refusal{"its path is not UTF-8"}
	errReadings = &Refusal{"its path can be read in too many ways"}
)

const (
	// maxReadings is how many forms of one path are looked at. Ordinary ones
	// have one, paths of people who escape too much have a dozen.
	maxReadings = 64
	// maxBytes is how long all forms together may be: it bounds the work for a
	// long path that was made to have many.
	maxBytes = 64 << 10
)

// Readings returns the forms in which something behind a guard might see the
// path of a request target: the decoded and the encoded form that net/http
// offers, and what comes of them when they are decoded again, cleaned, and
// stripped of what some file systems and servers ignore, in any order and any
// number of times. The first is u.Path. Query, fragment and host play no part.
func Readings(u *url.URL) ([]string, error) {
	s, err := seeds(u)
	if err != nil || ordinary(u) {
		return s, err
	}
	return closed(s)
}

// Refuse reports why a request is refused before any rule is looked at: its
// target is no path, or names another host than host. The error is a *[Refusal].
func Refuse(method, host string, u *url.URL) error {
	if err := refuse(method, u); err != nil {
		return err
	}
	return checkHosts(host, u)
}

// refuse reports why a method or target is no request for a path.
func refuse(method string, u *url.URL) error {
	switch {
	case method == "CONNECT":
		return errConnect
	case u == nil || u.Opaque != "" || u.Path == "" || u.Path[0] != '/' || u.RawPath != "" && u.RawPath[0] != '/':
		return errTarget
	}
	return nil
}

// plain holds the characters that no step of closed looks at.
var plain = func() (set [256]bool) {
	for c := range set {
		set[c] = isAlphanumeric(byte(c)) || strings.IndexByte("-_~@:,=+&$", byte(c)) >= 0
	}
	return set
}()

// ordinary reports whether the only reading of u is u.Path. Nearly all requests
// are of this kind, and telling them costs no allocation.
func ordinary(u *url.URL) bool {
	if u.RawPath != "" {
		return false
	}
	before := byte('x') // the path begins with a slash, refuse has seen to that
	for i := range len(u.Path) {
		c := u.Path[i]
		switch {
		case plain[c]:
		case c == '.':
		case c == '/' && before != '/' && before != '.':
		default:
			return false
		}
		before = c
	}
	return before != '.'
}

// seeds returns the forms that net/http hands out. A router looks at one of
// them: ServeMux and gorilla at Path or EscapedPath, gin at Path, chi and echo
// at RawPath if it is set. EscapedPath drops a RawPath that it finds badly
// encoded while chi and echo do not, so both count.
//
// Without a RawPath, EscapedPath is the canonical encoding of Path. It has the
// same slashes and dots, so it is no reading of its own.
func seeds(u *url.URL) ([]string, error) {
	if err := refuse("", u); err != nil {
		return nil, err
	}
	list := []string{u.Path}
	if u.RawPath != "" {
		list, _ = add(list, u.RawPath)
		list, _ = add(list, u.EscapedPath())
		// A target has no fragment (RFC 9112 section 3.2), net/http lets "#" pass
		// all the same, and fasthttp cuts the path there.
		if i := strings.IndexByte(u.RawPath, '#'); i >= 0 {
			list, _ = add(list, u.RawPath[:i])
		}
	}
	return list, nil
}

// steps are what a program may do to a path before it looks at it.
var steps = [...]func(string) string{
	decode,
	decodeSegments,
	clean,
	goClean,
	collapse,
	dropEmpty,
	func(s string) string { return strings.ReplaceAll(s, `\`, "/") }, // Windows, browsers
	func(s string) string { return eachSegment(s, stripParameters) }, // servlet containers
	func(s string) string { return eachSegment(s, stripDots) },       // Windows
}

// closed adds to list what any number of steps makes of its members.
func closed(list []string) ([]string, error) {
	size := 0
	for i := 0; i < len(list); i++ {
		if err := checkReading(list[i]); err != nil {
			return nil, err
		}
		if size += len(list[i]); size > maxBytes {
			return nil, errReadings
		}
		for _, step := range steps {
			var ok bool
			if list, ok = add(list, step(list[i])); !ok {
				return nil, errReadings
			}
		}
	}
	return list, nil
}

func checkReading(s string) error {
	for i := range len(s) {
		if s[i] < 0x20 || s[i] == 0x7f {
			return errControl
		}
	}
	if !utf8.ValidString(s) {
		return errUTF8
	}
	return nil
}

// add appends s to list unless it is there. It reports whether there was room.
func add(list []string, s string) ([]string, bool) {
	for _, have := range list {
		if have == s {
			return list, true
		}
	}
	return append(list, s), len(list) < maxReadings
}

// decode undoes percent-encoding once, as net/url does for Path; what is no
// encoding stays, as it does where segments are decoded one by one.
func decode(s string) string { return unescape(s, false) }

// decodeSegments does the same but for encoded slashes. ServeMux, and routers
// that decode a parameter behind the match, see /%61/b%2Fc as two segments.
func decodeSegments(s string) string { return unescape(s, true) }

func unescape(s string, keepSlash bool) string {
	i := strings.IndexByte(s, '%')
	if i < 0 {
		return s
	}
	b := []byte(s[:i])
	for ; i < len(s); i++ {
		if s[i] == '%' && i+2 < len(s) {
			hi, lo := unhex(s[i+1]), unhex(s[i+2])
			if c := byte(hi<<4 | lo); hi >= 0 && lo >= 0 && !(keepSlash && c == '/') {
				b = append(b, c)
				i += 2
				continue
			}
		}
		b = append(b, s[i])
	}
	return string(b)
}

func unhex(c byte) int {
	switch {
	case '0' <= c && c <= '9':
		return int(c - '0')
	case 'a' <= c && c <= 'f':
		return int(c-'a') + 10
	case 'A' <= c && c <= 'F':
		return int(c-'A') + 10
	}
	return -1
}

// clean removes dot segments (RFC 3986 section 5.2.4) and double slashes: what
// browsers, net/http and gin do. A path that ended in a slash, or in a dot
// segment, ends in one.
func clean(s string) string {
	c := path.Clean(s)
	if c != "/" && (strings.HasSuffix(s, "/") || strings.HasSuffix(s, "/.") || strings.HasSuffix(s, "/..")) {
		c += "/"
	}
	return c
}

// goClean is path.Clean, which chi's CleanPath and file servers use. A slash at
// the end is kept if it is all that would go: rules see to that, see trie.
func goClean(s string) string {
	if c := path.Clean(s); c+"/" != s {
		return c
	}
	return s
}

// collapse makes double slashes one, and leaves dots alone.
func collapse(s string) string {
	for strings.Contains(s, "//") {
		s = strings.ReplaceAll(s, "//", "/")
	}
	return s
}

// dropEmpty removes all before an empty segment: some routers take what is behind
// it for the whole path.
func dropEmpty(s string) string {
	if i := strings.Index(s, "//"); i >= 0 {
		return s[i+1:]
	}
	return s
}

func eachSegment(s string, f func(string) string) string {
	if !strings.ContainsAny(s, ";. ") {
		return s
	}
	segments := strings.Split(s, "/")
	for i := range segments {
		segments[i] = f(segments[i])
	}
	return strings.Join(segments, "/")
}

// stripParameters cuts a segment's parameters off, /a;v=1 (RFC 3986 section
// 3.3).
func stripParameters(segment string) string {
	before, _, _ := strings.Cut(segment, ";")
	return before
}

// stripDots cuts trailing dots and spaces off a name.
func stripDots(segment string) string {
	if segment == "." || segment == ".." {
		return segment
	}
	return strings.TrimRight(segment, ". ")
}
