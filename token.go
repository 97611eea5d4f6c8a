package clerkauth

import (
	"errors"
	"fmt"
	"slices"
	"strings"
)

// Token asks for a machine credential of that kind, [APIKey], [M2MToken] or
// [OAuthToken], for which every check holds: [Scope], [Audience], [CheckFunc] and
// [OrganizationParam] (of an organization's API key), and what [AllOf] and [AnyOf]
// make of them. Without checks, any good credential of the kind will do.
//
//	clerkauth.AnyOf(clerkauth.SignedIn, clerkauth.Token(clerkauth.APIKey, clerkauth.Scope("reports:write")))
//
// Credentials of a kind that no Token on a route names, or that [Config.Accept]
// leaves out, are not verified there, and let nobody in.
func Token(kind TokenType, checks ...Access) Access {
	t := token{name: kind, kind: tokenTypes[kind], checks: slices.Clone(checks)}
	for _, check := range checks {
		walk(check, func(part Access) {
			switch part := part.(type) {
			case scope:
				if !slices.Contains(t.scopes, string(part)) {
					t.scopes = append(t.scopes, string(part))
				}
			case audience:
				t.audiences = append(t.audiences, string(part))
			}
		})
	}
	t.wrong = t.mistake()
	return t
}

type token struct {
	name      TokenType
	kind      kind
	checks    allOf
	scopes    []string // that the checks name
	audiences []string // that the checks name
	wrong     error    // why it can never be met
}

// String returns the kind and what is asked of it, such as
// "api_key with scope reports:write".
func (t token) String() string {
	if len(t.checks) == 0 {
		return string(t.name)
	}
	return string(t.name) + " with " + t.checks.String()
}

func (t token) verify() error { return t.wrong }

// mistake tells what is wrong with what is asked for.
func (t token) mistake() error {
	if t.kind == 0 || t.kind == kindSession {
		return fmt.Errorf("token kind %q is none of APIKey, M2MToken and OAuthToken", string(t.name))
	}
	if len(t.checks) == 0 {
		return nil
	}
	return t.checks.verify()
}

func (t token) check(q query) verdict {
	if t.wrong != nil || q.who.TokenType != t.name {
		return verdict{outcome: signedOut}
	}
	q.token = true
	v := t.checks.check(q)
	if len(v.scopes) > 0 {
		v.scopes = t.scopes // all that it takes (RFC 6750 section 3.1)
	}
	return v
}

func (t token) callers(bool) kinds { return t.kind.set() }

// Scope asks that a machine credential has that scope, compared exactly (RFC 6749
// section 3.3). It stands in a [Token] and nowhere else, because a scope of one kind
// says nothing about another; see [Auth.HasScope] for handlers.
func Scope(name string) Access { return scope(name) }

type scope string

// String returns "scope " and its name.
func (s scope) String() string { return "scope " + string(s) }

func (s scope) verify() error {
	if !validScope(string(s)) {
		return fmt.Errorf("scope %q is none: it must be visible ASCII without space, quote and backslash", string(s))
	}
	return nil
}

// validScope tells whether s is a scope-token (RFC 6749 section 3.3).
func validScope(s string) bool {
	return s != "" && !strings.ContainsFunc(s, func(c rune) bool { return c <= ' ' || c > '~' || c == '"' || c == '\\' })
}

func (s scope) check(q query) verdict {
	switch {
	case !q.token || !q.who.machine():
		return verdict{outcome: signedOut}
	case s.verify() != nil || !q.who.HasScope(string(s)):
		return verdict{outcome: forbidden, scopes: []string{string(s)}}
	default:
		return verdict{outcome: allowed}
	}
}

func (s scope) callers(inToken bool) kinds {
	if !inToken {
		return 0
	}
	return machines
}

// Audience requires that a machine credential was issued for the resource with that
// URL (RFC 8707): that its audience holds the URL, one trailing slash aside. Like
// [Scope], it stands in a [Token] and nowhere else. The audience of a JWT is its aud
// claim; opaque OAuth tokens have one if Clerk tells it, other opaque credentials have
// none.
//
// Inside of a resource that [Authenticator.ResourceMetadata] describes, the
// resource's own URL is required of OAuth tokens without it.
func Audience(url string) Access { return audience(url) }

type audience string

// String returns "audience " and the URL.
func (u audience) String() string { return "audience " + string(u) }

func (u audience) verify() error {
	if u == "" || strings.ContainsFunc(string(u), func(c rune) bool { return c <= ' ' || c == 0x7f }) {
		return fmt.Errorf("audience %q is none: it must be a URL", string(u))
	}
	return nil
}

func (u audience) check(q query) verdict {
	switch {
	case !q.token || !q.who.machine():
		return verdict{outcome: signedOut}
	case u.verify() != nil || !isFor(q.who, string(u)):
		return verdict{outcome: signedOut, audience: true}
	default:
		return verdict{outcome: allowed}
	}
}

func (u audience) callers(inToken bool) kinds { return scope("").callers(inToken) }

// reach returns the kinds of callers of whom somebody could meet a, or an error if a
// part of it can be met by nobody. inToken is for what is asked about a machine.
func reach(a Access, inToken bool) (kinds, error) {
	var some kinds
	switch a := a.(type) {
	case allOf:
		some = everyone
		for _, part := range a {
			of, err := reach(part, inToken)
			if err != nil {
				return 0, err
			}
			some &= of
		}
	case anyOf:
		for _, part := range a {
			of, err := reach(part, inToken)
			if err != nil {
				return 0, err
			}
			some |= of
		}
	case token:
		some = a.kind.set()
		if len(a.checks) > 0 {
			of, err := reach(a.checks, true)
			if err != nil {
				return 0, err
			}
			some &= of
		}
	default:
		some = a.callers(inToken)
	}
	if inToken {
		some &= machines
	}
	if some == 0 {
		return 0, errUnmeetable(a)
	}
	return some, nil
}

func errUnmeetable(a Access) error {
	return fmt.Errorf("%s: no caller is all of this: a machine is no user, and a scope or an audience stands in a Token", a)
}

// named returns the kinds of machine credentials that a asks for by name.
func named(a Access) kinds {
	var all kinds
	walk(a, func(part Access) {
		if t, ok := part.(token); ok {
			all |= t.kind.set()
		}
	})
	return all
}

// possible tells why nobody could ever meet a, nil if somebody could.
func possible(a Access) error {
	if err := verifyEach([]Access{a}); err != nil {
		return err
	}
	_, err := reach(a, false)
	return err
}

// takes returns the kinds of credentials that a route with access verifies: those
// that it has a use for, as far as they are accepted at all.
func (a *core) takes(access Access) kinds {
	some, err := reach(access, false)
	if err != nil {
		return 0
	}
	// Public has a use for everybody, but asks for no machine.
	return some & a.accept & (named(access) | kindSession.set())
}

// errNotAccepted is what is wrong with an access that only credentials could meet
// which [Config.Accept] leaves out.
var errNotAccepted = errors.New("it needs a kind of credential that Config.Accept leaves out")

// admits tells why nobody could ever meet access here, nil if somebody could.
func (a *core) admits(access Access) error {
	if err := possible(access); err != nil {
		return err
	}
	if !open(access) && a.takes(access) == 0 {
		return fmt.Errorf("%s: %w", access, errNotAccepted)
	}
	if left := named(access) &^ a.accept; left != 0 {
		a.log.Warn("clerkauth: a route asks for credentials that Config.Accept leaves out; they will be refused", "access", access.String())
	}
	return nil
}
