package clerkauth

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net/http"
	"runtime/debug"

	"github.com/clerkauth/clerkauth/internal/plain"
)

// CheckFunc requires that holds returns true for the caller: a signed-in user, or,
// in a [Token], a machine. String returns "check " and the name.
//
// False is a refusal, 403. An error or a panic says nothing about the caller: the
// answer is 503, unless another branch of an [AnyOf] allows the caller. Unless the
// request was canceled it is logged, with the error's type and code but not its text,
// which may quote what it was about; [Config.ErrorHandler] finds the error itself with
// errors.Is and errors.As. The context is the request's.
//
// Checks run last, in the order in which they are written, and only while the
// outcome depends on them: never for a caller who is refused or allowed whatever
// they return.
func CheckFunc(name string, holds func(context.Context, Auth) (bool, error)) Access {
	if holds == nil {
		return newCheck(&check{name: name})
	}
	return newCheck(&check{name: name, holds: func(ctx context.Context, _ *http.Request, who Auth) (bool, error) { return holds(ctx, who) }})
}

// CheckRequest is like [CheckFunc] for checks of the request, such as of its path values
// or of a header. It is never met without a request, as in [Auth.Has]. holds must
// not read the body.
func CheckRequest(name string, holds func(*http.Request, Auth) (bool, error)) Access {
	if holds == nil {
		return newCheck(&check{name: name})
	}
	return newCheck(&check{name: name, ofRequest: true, holds: func(_ context.Context, r *http.Request, who Auth) (bool, error) { return holds(r, who) }})
}

func newCheck(c *check) Access {
	p := policy{op: opCheck, name: c.name, checks: []*check{c}, wrong: checkName("check", c.name, c.name)}
	if p.wrong == nil && c.holds == nil {
		p.wrong = fmt.Errorf("check %s has no function", c.name)
	}
	return compile(p)
}

// check is a check of the application's.
type check struct {
	name      string
	ofRequest bool // it is about a request, too
	holds     func(context.Context, *http.Request, Auth) (bool, error)
}

// errCheckPanicked is the error of a check that panicked.
var errCheckPanicked = errors.New("a check panicked")

// run returns the answer of c about a caller, or the error for which it has none.
func (c *check) run(ctx context.Context, log *slog.Logger, r *http.Request, who Auth) (met bool, err error) {
	defer func() {
		if p := recover(); p != nil {
			met, err = false, errCheckPanicked
			// What was panicked with may hold what it was about.
			log.Error("clerkauth: a check panicked; the caller gets 503", "check", c.name, "type", fmt.Sprintf("%T", p), "stack", string(debug.Stack()))
		}
	}()
	if r != nil && c.ofRequest {
		r = r.WithContext(ctx)
	}
	if met, err = c.holds(ctx, r, who); err != nil && ctx.Err() == nil {
		log.Error("clerkauth: a check failed; the caller gets 503 unless another way lets them in", "check", c.name, "error", plain.Describe(err))
	}
	return met, err
}

// checkError is the cause of a refusal by a check that failed. It does not quote the
// error, which may hold what it was about.
type checkError struct{ err error }

func (e checkError) Error() string { return "a check failed" }

func (e checkError) Unwrap() error { return e.err }
