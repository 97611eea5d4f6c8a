package route

import (
	"path"
	"strings"
)

// The forms of this file are looked up for guarding rules only. Routers serve them for a
// path, but do not take them for the path itself.

// maxShort is how many segments at either end of a path with an empty segment are used.
// Realistic routes have fewer.
const maxShort = 16

// shortened returns what some routers serve for a path that has an empty segment: a
// wildcard that reaches it ends the match, and wildcards get the last segments of the path,
// whatever is in between. These are what precedes the empty segment, every end of the path,
// and a beginning and an end that together are as long as the match.
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
	front := strings.Count(s[:empty], "/") // the segments before the empty one
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

// extension returns where to cut the last name of a path to remove its extension, at its
// last and at its first dot, and the end that follows then: a slash, if the path ends in
// one. A cut of 0 means that there is none. Some routers ignore what follows a dot, so
// guarding rules are looked up without it.
func extension(s string) (cuts [2]int, end string) {
	name := strings.TrimSuffix(s, "/")
	end = s[len(name):]
	start := strings.LastIndexByte(name, '/') + 1
	first := strings.IndexByte(name[start:], '.')
	if first < 0 {
		return cuts, end
	}
	// The rest may end in more dots and spaces, which stripDots removes.
	trim := func(i int) int { return max(start, len(strings.TrimRight(name[:i], ". "))) }
	cuts[0], cuts[1] = trim(strings.LastIndexByte(name, '.')), trim(start+first)
	if cuts[0] == cuts[1] {
		cuts[1] = 0
	}
	return cuts, end
}

// upward returns what a path is without its extension, if its last name is then a dot
// segment: /a/b/...json is /a/b/.., which is /a.
func upward(s string) (string, bool) {
	name := strings.TrimSuffix(s, "/")
	start := strings.LastIndexByte(name, '/') + 1
	if !strings.HasPrefix(name[start:], "...") || strings.LastIndexByte(name, '.') != start+2 {
		return "", false
	}
	return path.Clean(name[:start+2]), true
}

// without appends s[:cut] and end to b.
func without(b []byte, s string, cut int, end string) []byte {
	if b = append(b, s[:cut]...); s[cut-1] == '/' {
		return b // the name is empty, and the slash before it is the end
	}
	return append(b, end...)
}
