package route

import (
	"path"
	"strings"
)

// The forms of this file are looked up for rules that guard, and for those alone:
// what routers serve for a path that they do not take for the path itself.

// maxShort is how many segments of either end of a path with an empty segment are
// looked at. A route of more is nothing that people write.
const maxShort = 16

// shortened returns what some routers serve for a path that has an empty segment:
// a wildcard that meets it ends the match, and wildcards get the last segments of
// the path, whatever is in between. Rules that guard are looked up for what is in
// front of the empty segment, for every end of the path, and for the beginning
// and the end that are together as long as the match.
func shortened(s string) []string {
	empty := strings.Index(s, "//")
	if empty < 0 {
		return nil
	}
	var list []string // list[i] has i+1 segments
	for i := len(s) - 1; i > 0 && len(list) < maxShort; i-- {
		if s[i] == '/' {
			list = append(list, s[i:])
		}
	}
	ends := list
	list = append(list, s[:empty+1])
	front := strings.Count(s[:empty], "/") // segments before the empty one
	for i, n := 1, 1; i <= empty && n <= maxShort; i++ {
		if s[i] == '/' {
			if rest := front + 1 - n; rest <= len(ends) {
				list = append(list, s[:i]+ends[rest-1])
			}
			n++
		}
	}
	return list
}

// extension returns where the last name of a path is to be cut to be without an
// extension, at its last and at its first dot, and what comes behind it then: a
// slash, if the path ends in one. 0 is nowhere. Some routers drop what is behind
// a dot, so rules that guard are looked up without it.
func extension(s string) (cuts [2]int, end string) {
	name := strings.TrimSuffix(s, "/")
	end = s[len(name):]
	start := strings.LastIndexByte(name, '/') + 1
	first := strings.IndexByte(name[start:], '.')
	if first < 0 {
		return cuts, end
	}
	// What is left may end in more of what stripDots cuts off.
	trim := func(i int) int { return max(start, len(strings.TrimRight(name[:i], ". "))) }
	cuts[0], cuts[1] = trim(strings.LastIndexByte(name, '.')), trim(start+first)
	if cuts[0] == cuts[1] {
		cuts[1] = 0
	}
	return cuts, end
}

// upward returns what is left of a path whose last name without its extension is a
// step upward: /a/b/...json is /a/b/.. then, which is /a.
func upward(s string) (string, bool) {
	name := strings.TrimSuffix(s, "/")
	start := strings.LastIndexByte(name, '/') + 1
	if !strings.HasPrefix(name[start:], "...") || strings.LastIndexByte(name, '.') != start+2 {
		return "", false
	}
	return path.Clean(name[:start+2]), true
}

// without appends s, cut there, to b.
func without(b []byte, s string, cut int, end string) []byte {
	if b = append(b, s[:cut]...); s[cut-1] == '/' {
		return b // nothing is left of the name, and its slash is that of the end
	}
	return append(b, end...)
}
