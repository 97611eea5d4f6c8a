package clerkauth

import (
	"fmt"
	"net/http"

	"github.com/clerkauth/clerkauth/internal/route"
)

// Matcher reports whether a request's path matches one of a list of patterns, in
// the grammar of [http.ServeMux] or of Clerk's createRouteMatcher; see [Rules] for
// both. On ordinary paths it answers as that one does: a pattern that ends in / is
// for this path alone, and a path is matched with its extension, so that a guard
// for /admin is none for /admin.json. It does not change, and is safe for
// concurrent use.
//
// A path can be read in more than one way: encoded or not, cleaned or not; and so
// can a host, for patterns that name one: with its port or without, in other case,
// with a dot at its end. Any and All say which of the readings count, and what a
// Matcher does not see is what [Authenticator.Protect] does not see.
type Matcher struct{ routes *route.Matcher }

// NewMatcher returns a Matcher, or every mistake in patterns joined in one error.
func NewMatcher(patterns ...string) (*Matcher, error) {
	m, err := route.NewMatcher(patterns...)
	if err != nil {
		return nil, fmt.Errorf("clerkauth: matcher: %w", err)
	}
	return &Matcher{m}, nil
}

// Any reports whether some reading of the path and host of r matches, in either
// case of letters. Guard with it: whatever All matches, Any does, and it is also
// true for requests that [Authenticator.Protect] refuses with 400.
func (m *Matcher) Any(r *http.Request) bool {
	matched, err := m.routes.Any(r.Method, r.Host, r.URL)
	return matched || err != nil
}

// All reports whether every reading of the path and host of r matches, exactly.
// Open with it: it is false for requests that [Authenticator.Protect] refuses with
// 400, and for a Host with a port where the pattern names it without.
func (m *Matcher) All(r *http.Request) bool {
	matched, err := m.routes.All(r.Method, r.Host, r.URL)
	return matched && err == nil
}
