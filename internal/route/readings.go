package route

import (
	"net/url"
	"path"
	"strings"
	"unicode/utf8"
)

// Refusal is why a request is refused whatever the rules are, with 400: programs disagree
// on what its target is.
type Refusal struct{ reason string }

func (r *Refusal) Error() string { return "request refused: " + r.reason }

var (
	errConnect  = &Refusal{"CONNECT asks for a tunnel, not for a path"}
	errTarget   = &Refusal{"its target is not a path that begins with /"}
	errControl  = &Refusal{"its path holds a control character"}
	errUTF8     = &Refusal{"its path is not UTF-8"}
	errReadings = &Refusal{"its path can be read in too many ways"}
)

const (
	// maxReadings is how many readings a path may have. Ordinary paths have one, and
	// paths that are escaped too often a dozen.
	maxReadings = 64
	// maxBytes is how long all readings together may be. It bounds the work for long
	// paths that were made to have many.
	maxBytes = 64 << 10
)

// Readings returns the forms in which a program behind a guard may see the path of a
// request target: the decoded and the encoded form that net/http offers, and what results
// when these are decoded again, cleaned, and stripped of what some file systems and servers
// ignore, in any order and any number of times. The first one is u.Path. The query, the
// fragment and the host are not looked at. The error is a *[Refusal].
func Readings(u *url.URL) ([]string, error) {
	s, err := seeds(u)
	if err != nil || ordinary(u) {
		return s, err
	}
	return closed(s)
}

// check refuses a request if its target is not a path, or names another host than host. The
// error is a *[Refusal].
func check(method, host string, u *url.URL) error {
	if err := checkTarget(method, u); err != nil {
		return err
	}
	return checkHosts(host, u)
}

// checkTarget refuses a method and target that do not request a path.
func checkTarget(method string, u *url.URL) error {
	switch {
	case method == "CONNECT":
		return errConnect
	case u == nil || u.Opaque != "" || u.Path == "" || u.Path[0] != '/' || u.RawPath != "" && u.RawPath[0] != '/':
		return errTarget
	}
	return nil
}

// plain holds the characters that no step of closed depends on.
var plain = func() (set [256]bool) {
	for c := range set {
		set[c] = isAlphanumeric(byte(c)) || strings.IndexByte("-_~@:,=+&$", byte(c)) >= 0
	}
	return set
}()

// ordinary reports whether the only reading of u is u.Path. It allocates nothing, and it is
// true for nearly all requests.
func ordinary(u *url.URL) bool {
	if u.RawPath != "" {
		return false
	}
	before := byte('x') // the path begins with a slash: checkTarget
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

// seeds returns the forms that net/http offers. Each router uses one of them: ServeMux and
// gorilla Path or EscapedPath, gin Path, chi and echo RawPath if it is set. EscapedPath
// ignores a RawPath that is not a valid encoding, while chi and echo do not, so both are
// readings.
//
// Without a RawPath, EscapedPath is the canonical encoding of Path. It has the same slashes
// and dots, so it is not a reading of its own.
func seeds(u *url.URL) ([]string, error) {
	if err := checkTarget("", u); err != nil {
		return nil, err
	}
	list := []string{u.Path}
	if u.RawPath != "" {
		list, _ = add(list, u.RawPath)
		list, _ = add(list, u.EscapedPath())
		// A target has no fragment (RFC 9112 section 3.2), but net/http accepts "#", and
		// fasthttp cuts the path there.
		if i := strings.IndexByte(u.RawPath, '#'); i >= 0 {
			list, _ = add(list, u.RawPath[:i])
		}
	}
	return list, nil
}

// steps are what a program may do to a path before it uses it.
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

// closed adds to list what any number of steps makes of its elements.
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

// checkReading refuses control characters and invalid UTF-8.
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

// decode decodes percent-encoding once, as net/url does for Path. Invalid encodings stay, as
// they do where segments are decoded one by one.
func decode(s string) string { return unescape(s, false) }

// decodeSegments is decode except for encoded slashes. ServeMux, and routers that decode
// parameters after they match, see two segments in /%61/b%2Fc.
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

// clean removes dot segments (RFC 3986 section 5.2.4) and double slashes, as browsers,
// net/http and gin do. A path that ends in a slash or in a dot segment then ends in a slash.
func clean(s string) string {
	c := path.Clean(s)
	if c != "/" && (strings.HasSuffix(s, "/") || strings.HasSuffix(s, "/.") || strings.HasSuffix(s, "/..")) {
		c += "/"
	}
	return c
}

// goClean is path.Clean, which chi's CleanPath and file servers use. It keeps a slash at the
// end if that is all that would be removed: tries match with and without it.
func goClean(s string) string {
	if c := path.Clean(s); c+"/" != s {
		return c
	}
	return s
}

// collapse replaces repeated slashes by one, and keeps dots.
func collapse(s string) string {
	for strings.Contains(s, "//") {
		s = strings.ReplaceAll(s, "//", "/")
	}
	return s
}

// dropEmpty removes everything before an empty segment: some routers take what follows it
// for the whole path.
func dropEmpty(s string) string {
	if i := strings.Index(s, "//"); i >= 0 {
		return s[i+1:]
	}
	return s
}

// eachSegment applies f to every segment.
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

// stripParameters removes a segment's parameters, as in /a;v=1 (RFC 3986 section 3.3).
func stripParameters(segment string) string {
	before, _, _ := strings.Cut(segment, ";")
	return before
}

// stripDots removes dots and spaces from the end of a name.
func stripDots(segment string) string {
	if segment == "." || segment == ".." {
		return segment
	}
	return strings.TrimRight(segment, ". ")
}
