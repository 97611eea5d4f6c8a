package clerkauth

import (
	"context"
	"log/slog"
	"net/http"
)

// decide tells why access is refused, nil if it is not. Afterwards s is what it was
// decided about: a machine's credential is verified first if access has a use for it,
// and its bearer is anonymous if not. Every guard asks it.
func (a *core) decide(s *State, access Access, r *http.Request) *Error {
	if r.Method == http.MethodConnect {
		// http.ServeMux does not clean its target, and what a wildcard of its
		// matched may not be there.
		return newError(ErrRequestTarget, nil)
	}
	if s.machine != nil {
		a.choose(r.Context(), s, a.takes(access))
	}
	if s.who.machine() {
		if err := a.judgeAudience(s, access, r); err != nil {
			return err
		}
	}
	return a.ask(s, access, r)
}

// ask asks access about the caller in s.
func (a *core) ask(s *State, access Access, r *http.Request) *Error {
	if s.bearer && s.machine == nil && s.err != nil && !open(access) && !a.takes(access).has(kindSession) {
		return newError(ErrTokenType, nil) // whatever else may be wrong with it
	}
	if s.bad {
		return s.err
	}
	v, failed := examine(r.Context(), a.log, access, query{who: s.who, request: r})
	if failed != nil {
		return newError(ErrUnavailable, checkError{failed})
	}
	switch v.outcome {
	case allowed:
		return nil
	case stale:
		err := newError(ErrReverification, nil)
		err.reverify = v.reverify
		return err
	case signedOut:
		switch {
		case s.err != nil:
			return s.err
		case v.audience:
			return newError(ErrTokenClaims, nil)
		case s.bearer:
			return newError(ErrTokenType, nil) // a good one, of another kind
		default:
			return newError(ErrUnauthenticated, nil)
		}
	default:
		if len(v.scopes) > 0 {
			err := newError(ErrScope, nil)
			err.scopes = v.scopes
			return err
		}
		return newError(ErrForbidden, nil)
	}
}

// examine returns the verdict of access about the caller in q, and runs the checks
// that it depends on. The error is that of a check without which there is no verdict.
func examine(ctx context.Context, log *slog.Logger, access Access, q query) (verdict, error) {
	q.assume = forbidden
	v := access.check(q)
	if v.outcome == allowed || v.outcome == access.check(q.assuming(allowed)).outcome {
		return v, nil
	}
	var failed error
	worst := signedOut // outcomes from here down make no difference
	for c := undecided(access, q, worst, allowed); c != nil; c = undecided(access, q, worst, allowed) {
		met, err := c.run(ctx, log, q.who)
		if err != nil {
			// It is not known what it would have said: all that counts from here on is
			// whether the caller is let in without it.
			failed, worst = err, stale
		}
		if q.checks == nil {
			q.checks = make(map[*check]bool)
		}
		q.checks[c] = met && err == nil
	}
	if v = access.check(q); v.outcome == allowed {
		failed = nil
	}
	return v, failed
}

// undecided returns the first check in access, in the order written, that has not
// been asked and on which the outcome depends; nil if there is none. Outcomes up to
// low are as good as low, and those from high on as good as high.
func undecided(access Access, q query, low, high outcome) *check {
	switch a := access.(type) {
	case *check:
		if a.open(q) {
			return a
		}
	case token:
		if a.wrong == nil && q.who.TokenType == a.name {
			q.token = true
			return undecided(a.checks, q, low, high)
		}
	case allOf: // the worst counts: none can be better than the best of the others
		for i, part := range a {
			bound := high
			for j, other := range a {
				if i != j {
					bound = min(bound, other.check(q.assuming(allowed)).outcome)
				}
			}
			if c := undecidedWithin(part, q, low, bound); c != nil {
				return c
			}
		}
	case anyOf: // the best counts
		for i, part := range a {
			bound := low
			for j, other := range a {
				if i != j {
					bound = max(bound, other.check(q.assuming(forbidden)).outcome)
				}
			}
			if c := undecidedWithin(part, q, bound, high); c != nil {
				return c
			}
		}
	}
	return nil
}

// undecidedWithin is undecided for a part whose outcome may differ between low and
// high.
func undecidedWithin(part Access, q query, low, high outcome) *check {
	within := func(o outcome) outcome { return max(low, min(o, high)) }
	if low >= high || within(part.check(q.assuming(forbidden)).outcome) == within(part.check(q.assuming(allowed)).outcome) {
		return nil
	}
	return undecided(part, q, low, high)
}

// assuming returns q for checks that have not been asked and come to o.
func (q query) assuming(o outcome) query {
	q.assume = o
	return q
}
