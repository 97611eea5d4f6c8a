package clerkauth

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"runtime/debug"

	"github.com/clerkauth/clerkauth/internal/plain"
)

// CheckFunc requires that holds returns true for the caller: a signed-in user, or,
// in a [Token], a machine. It prints as name.
//
// False is a refusal, 403. An error or a panic says nothing about the caller: the
// answer is 503, unless another branch of an [AnyOf] lets the caller in, and it is
// logged, unless the request was canceled. The context is the request's.
//
// Checks run last, in the order in which they are written, and only while the
// outcome depends on them: never for a caller who is refused or let in whatever
// they say.
func CheckFunc(name string, holds func(context.Context, Auth) (bool, error)) Access {
	c := &check{demand: newDemand("check", name, nil), label: name, ask: holds}
	c.inToken = true
	c.holds = func(q query) bool {
		if met, asked := q.checks[c]; asked {
			return met
		}
		return q.assume == allowed
	}
	if c.wrong == nil && holds == nil {
		c.wrong = fmt.Errorf("check %s has no function", name)
	}
	return c
}

// check is a check of the application's.
type check struct {
	demand
	label string
	ask   func(context.Context, Auth) (bool, error)
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

// open reports whether c has not been asked and could let the caller in.
func (c *check) open(q query) bool {
	_, asked := q.checks[c]
	return !asked && c.demand.check(q.assuming(allowed)).outcome == allowed
}

// errCheckPanicked is the error of a check that panicked.
var errCheckPanicked = errors.New("a check panicked")

// run asks c about a caller.
func (c *check) run(ctx context.Context, log *slog.Logger, who Auth) (met bool, err error) {
	defer func() {
		if p := recover(); p != nil {
			met, err = false, errCheckPanicked
			// What was panicked with may hold what it was about.
			log.Error("clerkauth: a check panicked; the caller gets 503", "check", c.label, "type", fmt.Sprintf("%T", p), "stack", string(debug.Stack()))
		}
	}()
	if met, err = c.ask(ctx, who); err != nil && ctx.Err() == nil {
		log.Error("clerkauth: a check failed; the caller gets 503 unless another way lets them in", "check", c.label, "error", plain.Describe(err))
	}
	return met, err
}

// checkError is the cause of a refusal by a check that failed. It does not quote the
// error, which may hold what it was about.
type checkError struct{ err error }

func (e checkError) Error() string { return "a check failed" }

func (e checkError) Unwrap() error { return e.err }
