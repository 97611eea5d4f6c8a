package route

import (
	"errors"
	"net/url"
	"strings"
)

// Matcher is a list of patterns that requests are matched with. On ordinary
// paths it answers as Clerk's createRouteMatcher does. It is safe for concurrent
// use.
type Matcher struct {
	patterns []*Pattern
	any, all trie
	methods  map[string]bool
}

// NewMatcher parses patterns. A list without any is an error: a guard that
// matches nothing guards nothing.
func NewMatcher(patterns ...string) (*Matcher, error) {
	m := &Matcher{any: trie{folded: true}, methods: map[string]bool{}}
	var errs []error
	if len(patterns) == 0 {
		errs = append(errs, errors.New("no patterns: name at least one"))
	}
	for i, text := range patterns {
		p, err := Parse(text)
		if err != nil {
			errs = append(errs, err)
			continue
		}
		m.patterns = append(m.patterns, p)
		m.methods[p.method] = p.method != ""
		m.any.insert(p, int32(i))
		m.all.insert(p, int32(i))
	}
	if len(errs) > 0 {
		return nil, errors.Join(errs...)
	}
	return m, nil
}

// Any reports whether some reading of the path matches some pattern, with ASCII
// letters in either case and one slash more at the end or not: guard with this.
// A pattern for a method is also for those that neither HTTP nor a pattern
// knows. With a *[Refusal] it is true.
func (m *Matcher) Any(method, host string, u *url.URL) (bool, error) {
	if err := refuse(method, u); err != nil {
		return true, err
	}
	if ordinary(u) {
		return m.some(u.Path, method, host, extraSlash), nil
	}
	list, err := Readings(u)
	if err != nil {
		return true, err
	}
	for _, path := range list {
		if m.some(path, method, host, emptySegment) {
			return true, nil
		}
	}
	return false, nil
}

// All reports whether every reading of the path matches some pattern as it is
// written (in Clerk's grammar, with one slash more at the end or not): open with
// this. With a *[Refusal] it is false.
func (m *Matcher) All(method, host string, u *url.URL) (bool, error) {
	if err := refuse(method, u); err != nil {
		return false, err
	}
	if ordinary(u) {
		return m.one(u.Path, method, host), nil
	}
	list, err := Readings(u)
	if err != nil {
		return false, err
	}
	for _, path := range list {
		if !m.one(path, method, host) {
			return false, nil
		}
	}
	return true, nil
}

// some reports whether a pattern matches path, at worst as loosely as worst.
func (m *Matcher) some(path, method, host string, worst match) bool {
	var room [16]hit
	var text [128]byte
	b := append(text[:0], path...)
	lowerBytes(b)
	host = lower(withoutPort(host))
	odd := !isStandard(method) && !m.methods[method]
	for _, h := range m.any.find(b, room[:0]) {
		p := m.patterns[h.id]
		if h.fit <= worst && (odd || takesMethod(p.method, method)) &&
			(p.host == "" || p.host == strings.TrimSuffix(host, ".")) {
			return true
		}
	}
	return false
}

// one reports whether a pattern matches path as it is written.
func (m *Matcher) one(path, method, host string) bool {
	var room [16]hit
	var text [128]byte
	for _, h := range m.all.find(append(text[:0], path...), room[:0]) {
		p := m.patterns[h.id]
		fits := h.fit == exact || h.fit == extraSlash && p.clerk
		if fits && takesMethod(p.method, method) && (p.host == "" || p.host == withoutPort(host)) {
			return true
		}
	}
	return false
}
