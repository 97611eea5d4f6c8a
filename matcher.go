package clerkauth

import (
	"fmt"
	"net/http"

	"github.com/clerkauth/clerkauth/internal/route"
)

// Matcher reports whether a request matches one of a list of patterns, in the grammar
// of [http.ServeMux] or of Clerk's createRouteMatcher; see [Rules] for both. On ordinary
// paths its results are those of createRouteMatcher: a pattern that ends in / matches
// that path only, and extensions are part of a path, so that a guard for /admin is not
// one for /admin.json. Make one with [NewMatcher]. It is safe for concurrent use.
//
// Servers interpret paths in more than one way: decoded or not, cleaned or not. They
// interpret hosts, for patterns that name one, with or without the port, in any case,
// with or without a trailing dot. Any and All differ in which interpretations have to
// match. Neither accounts for what [Authenticator.Protect] does not account for.
type Matcher struct{ routes *route.Matcher }

// NewMatcher returns a Matcher for patterns. The error joins everything that is wrong
// with them.
func NewMatcher(patterns ...string) (*Matcher, error) {
	m, err := route.NewMatcher(patterns...)
	if err != nil {
		return nil, fmt.Errorf("clerkauth: matcher: %w", err)
	}
	return &Matcher{m}, nil
}

// Any reports whether some interpretation of the path and host of r matches, ignoring
// the case of letters. Use it to guard: it matches whatever All does, and also requests
// that [Authenticator.Protect] refuses with 400.
func (m *Matcher) Any(r *http.Request) bool {
	matched, err := m.routes.Any(r.Method, r.Host, r.URL)
	return matched || err != nil
}

// All reports whether every interpretation of the path and host of r matches exactly.
// Use it to open: it matches no request that [Authenticator.Protect] refuses with 400,
// and no Host with a port that the pattern does not name.
func (m *Matcher) All(r *http.Request) bool {
	matched, err := m.routes.All(r.Method, r.Host, r.URL)
	return matched && err == nil
}
