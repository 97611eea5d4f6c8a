package route

import (
	"errors"
	"net/url"
)

// Matcher matches requests with a list of patterns. On ordinary paths its results are those
// of Clerk's createRouteMatcher: extensions are part of a path, and a pattern that ends in
// a slash matches paths that do. It is safe for concurrent use.
type Matcher struct {
	patterns []*Pattern
	any, all trie
	methods  map[string]bool // that patterns name
	hosts    bool            // some pattern names a host
}

// NewMatcher parses patterns. It rejects an empty list, because a guard that matches
// nothing guards nothing.
func NewMatcher(patterns ...string) (*Matcher, error) {
	m := &Matcher{any: trie{folded: true}, methods: map[string]bool{}}
	var errs []error
	if len(patterns) == 0 {
		errs = append(errs, errors.New("no patterns: name at least one"))
	}
	for i, text := range patterns {
		p, err := parse(text, true)
		if err != nil {
			errs = append(errs, err)
			continue
		}
		m.patterns = append(m.patterns, p)
		m.methods[p.method] = p.method != ""
		m.hosts = m.hosts || p.host.name != ""
		m.any.insert(p, int32(i))
		m.all.insert(p, int32(i))
	}
	if len(errs) > 0 {
		return nil, errors.Join(errs...)
	}
	return m, nil
}

// Any reports whether some reading of the path matches some pattern, ignoring the case of
// letters and one slash at the end. Use it to guard. A pattern with a method also matches
// methods that are neither HTTP's nor named by a pattern, and one with a host that has no
// port matches every port. If the error is not nil, a *[Refusal], the result is true.
func (m *Matcher) Any(method, host string, u *url.URL) (bool, error) {
	q, err := m.host(method, host, u)
	if err != nil {
		return true, err
	}
	if ordinary(u) {
		return m.some(u.Path, method, &q, extraSlash), nil
	}
	list, err := Readings(u)
	if err != nil {
		return true, err
	}
	for _, path := range list {
		if m.some(path, method, &q, emptySegment) {
			return true, nil
		}
		for _, short := range shortened(path) {
			if m.some(short, method, &q, emptySegment) {
				return true, nil
			}
		}
	}
	return false, nil
}

// All reports whether every reading of path and host matches some pattern exactly; a
// pattern in Clerk's grammar may lack one slash at the end. Use it to open. If the error is
// not nil, a *[Refusal], the result is false.
func (m *Matcher) All(method, host string, u *url.URL) (bool, error) {
	q, err := m.host(method, host, u)
	if err != nil {
		return false, err
	}
	if ordinary(u) {
		return m.one(u.Path, method, &q), nil
	}
	list, err := Readings(u)
	if err != nil {
		return false, err
	}
	for _, path := range list {
		if !m.one(path, method, &q) {
			return false, nil
		}
	}
	return true, nil
}

// host returns the host of a request, or a *[Refusal].
func (m *Matcher) host(method, host string, u *url.URL) (q hostQuery, err error) {
	if err = check(method, host, u); err == nil && m.hosts {
		q, err = newHostQuery(host, u)
	}
	return q, err
}

// some reports whether a pattern matches path at least as closely as worst.
func (m *Matcher) some(path, method string, host *hostQuery, worst match) bool {
	var room [16]hit
	var text [128]byte
	b := foldBytes(append(text[:0], path...))
	unknown := !isStandard(method) && !m.methods[method]
	for _, h := range m.any.find(b, room[:0]) {
		p := m.patterns[h.id]
		some, _ := host.guards(p.host)
		if some && h.fit <= worst && (unknown || takesMethod(p.method, method)) {
			return true
		}
	}
	return false
}

// one reports whether a pattern matches path exactly.
func (m *Matcher) one(path, method string, host *hostQuery) bool {
	var room [16]hit
	var text [128]byte
	for _, h := range m.all.find(append(text[:0], path...), room[:0]) {
		p := m.patterns[h.id]
		fits := h.fit == exact || h.fit == extraSlash && p.clerk
		if fits && takesMethod(p.method, method) && host.opens(p.host) {
			return true
		}
	}
	return false
}
