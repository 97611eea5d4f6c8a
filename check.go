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
// answer is 503, unless another branch of an [AnyOf] lets the caller in. Unless the
// request was canceled it is logged, with the error's type and code but not its text,
// which may quote what it was about; [Config.ErrorHandler] finds the error itself with
// errors.Is and errors.As. The context is the request's.
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
