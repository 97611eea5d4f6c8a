package response

import (
	"net/http"
	"strings"
)

// cache is what a response needs of Cache-Control. The greater is the stricter.
type cache uint8

const (
	untouched            cache = iota // the handler's
	open                              // private if the handler set nothing
	guarded                           // private
	noStoreUnlessPrivate              // private by the handler's word, or no-store
	noStore                           // no-store
)

// control returns the Cache-Control that lines become, and whether that is another one.
func (c cache) control(lines []string) (value string, other bool) {
	has := read(lines)
	switch c {
	case untouched:
		return "", false
	case open:
		return "private", !has.any
	case guarded:
		switch {
		case has.malformed:
			return "no-store", true // whatever was meant
		case (has.private || has.noStore) && !has.shared:
			return "", false
		}
		return unshared(lines, has.noStore), true
	case noStoreUnlessPrivate:
		return "no-store", has.malformed || has.shared || !has.private && !has.noStore
	default:
		return "no-store", has.malformed || has.shared || !has.noStore
	}
}

// directives are those of Cache-Control that are about storing (RFC 9111 section 5.2.2).
type directives struct {
	any       bool
	malformed bool
	shared    bool // public or s-maxage
	private   bool // not only for named fields
	noStore   bool // also for caches that know must-understand
}

func read(lines []string) (has directives) {
	understood := false
	for _, line := range lines {
		for line != "" {
			directive, rest, ok := next(line)
			if !ok {
				return directives{any: true, malformed: true}
			}
			line = rest
			name, _, _ := strings.Cut(directive, "=")
			switch {
			case directive == "":
				continue
			case isShared(name):
				has.shared = true
			case strings.EqualFold(directive, "private"):
				has.private = true
			case strings.EqualFold(directive, "no-store"):
				has.noStore = true
			case strings.EqualFold(name, "must-understand"):
				understood = true // they ignore no-store (section 5.2.2.3)
			}
			has.any = true
		}
	}
	has.noStore = has.noStore && !understood
	return has
}

// isShared reports whether shared caches may store responses because of that directive.
func isShared(name string) bool {
	return strings.EqualFold(name, "public") || strings.EqualFold(name, "s-maxage")
}

// unshared returns the directives in lines without those for shared caches, with private
// for all fields unless there is a no-store.
func unshared(lines []string, noStore bool) string {
	kept := make([]string, 0, 8) // on the stack
	if !noStore {
		kept = append(kept, "private")
	}
	for _, line := range lines {
		for line != "" {
			var directive string
			directive, line, _ = next(line)
			name, _, _ := strings.Cut(directive, "=")
			if directive != "" && !isShared(name) && !strings.EqualFold(name, "private") {
				kept = append(kept, directive)
			}
		}
	}
	return strings.Join(kept, ", ")
}

// next returns the first element of a list of directives, "" if it is empty, and the
// elements after it. ok is false if it is not a directive: a token, or a token with "="
// and a token or quoted string.
func next(list string) (directive, rest string, ok bool) {
	list = strings.TrimLeft(list, " \t")
	n := token(list)
	if n > 0 && n < len(list) && list[n] == '=' {
		argument := token(list[n+1:])
		if argument == 0 {
			argument = quoted(list[n+1:])
		}
		if argument == 0 {
			return "", "", false
		}
		n += 1 + argument
	}
	rest = strings.TrimLeft(list[n:], " \t")
	if rest != "" && rest[0] != ',' {
		return "", "", false
	}
	return list[:n], strings.TrimPrefix(rest, ","), true
}

// token returns the length of the token that s begins with (RFC 9110 section 5.6.2).
func token(s string) int {
	for i := range len(s) {
		c := s[i]
		if !('a' <= c && c <= 'z' || 'A' <= c && c <= 'Z' || '0' <= c && c <= '9' || strings.IndexByte("!#$%&'*+-.^_`|~", c) >= 0) {
			return i
		}
	}
	return len(s)
}

// quoted returns the length of the quoted string that s begins with (RFC 9110 section
// 5.6.4), 0 if there is none.
func quoted(s string) int {
	if s == "" || s[0] != '"' {
		return 0
	}
	for i := 1; i < len(s); i++ {
		switch c := s[i]; {
		case c == '"':
			return i + 1
		case c < ' ' && c != '\t' || c == 0x7f:
			return 0
		case c == '\\':
			i++
			if i < len(s) && (s[i] < ' ' && s[i] != '\t' || s[i] == 0x7f) {
				return 0
			}
		}
	}
	return 0
}

// dropTargeted removes the headers that some caches obey instead of Cache-Control: those
// of RFC 9213, such as CDN-Cache-Control, and what there was before.
func dropTargeted(h http.Header) {
	for name := range h {
		switch {
		case strings.HasSuffix(name, "-Cache-Control"),
			name == "Surrogate-Control", name == "Edge-Control", name == "X-Accel-Expires":
			delete(h, name)
		}
	}
}
