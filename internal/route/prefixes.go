package route

import (
	"net/url"
	"strings"
)

// Prefixes are the first segments of patterns of [net/http.ServeMux], up to the first
// wildcard, each with a set, as bits. The zero value is empty. It is not safe for
// concurrent use with Add.
type Prefixes[S ~uint8] struct {
	sets    map[string]S
	longest int // in bytes: no longer piece of a path is looked up
}

// Add adds the prefix of a pattern, and set to what it has already.
func (p *Prefixes[S]) Add(pattern string, set S) {
	path, _, _ := strings.Cut(pattern[strings.IndexByte(pattern, '/'):], "{")
	if decoded, err := url.PathUnescape(path); err == nil {
		path = decoded
	}
	path = Fold(strings.TrimRight(path, "/"))
	if p.sets == nil {
		p.sets = make(map[string]S)
	}
	p.sets[path] |= set
	p.longest = max(p.longest, len(path))
}

// Below reports whether some reading of u's path is below one of the prefixes, as one
// that cannot be read may be, and returns the sets of all of those.
func (p *Prefixes[S]) Below(u *url.URL) (all S, below bool) {
	readings, err := Readings(u)
	if err != nil {
		return 0, true
	}
	for _, path := range readings {
		path = Fold(path)
		for i := 0; i <= min(len(path), p.longest); i++ {
			if i == len(path) || path[i] == '/' {
				set, ok := p.sets[path[:i]]
				all, below = all|set, below || ok
			}
		}
	}
	return all, below
}
