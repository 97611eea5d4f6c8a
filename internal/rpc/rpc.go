// Package rpc is what the adapters for RPC frameworks share: rules by procedure, and
// what a caller is told of a refusal.
package rpc

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"net/http"
	"net/url"
	"strings"
	"time"

	"github.com/clerkauth/clerkauth"
)

// ErrorDomain is the domain of the ErrorInfo in refusals.
const ErrorDomain = "github.com/clerkauth/clerkauth"

// Guard decides who may call which procedures.
type Guard struct {
	auth  *clerkauth.Authenticator
	rules map[string]clerkauth.Access
}

// NewGuard returns a Guard for rules, by the full names of procedures: /service/method.
// Those without a rule are for [clerkauth.SignedIn]. It panics, naming the adapter, on a
// name of another form and on an Access that is nil or that no caller could ever meet.
func NewGuard(adapter string, auth *clerkauth.Authenticator, rules map[string]clerkauth.Access) *Guard {
	for procedure, access := range rules {
		if parts := strings.Split(procedure, "/"); len(parts) != 3 || parts[0] != "" || parts[1] == "" || parts[2] == "" {
			panic(fmt.Sprintf("%s: %q is not like /service/method", adapter, procedure))
		}
		if err := auth.Validate(access); err != nil {
			panic(fmt.Sprintf("%s: %q: %v", adapter, procedure, err))
		}
	}
	return &Guard{auth, maps.Clone(rules)} // no rule is changed while it is in use
}

// Check is [clerkauth.Authenticator.Check] for a call of procedure with these headers.
func (g *Guard) Check(ctx context.Context, procedure string, header http.Header) (context.Context, error) {
	access, ok := g.rules[procedure]
	if !ok {
		access = clerkauth.SignedIn
	}
	r := &http.Request{Method: http.MethodPost, URL: &url.URL{Path: procedure}, Header: header}
	return g.auth.Check(r.WithContext(ctx), access)
}

// Refusal is what a caller is told of a refusal: the reason and when to retry, and
// nothing of the cause.
type Refusal struct {
	*clerkauth.Error
	Hidden     bool              // the answer is that of a procedure that is not there
	Reason     string            // in upper snake case, as an ErrorInfo has it
	Metadata   map[string]string // the reason as it is
	RetryDelay time.Duration     // where Status is 503
}

// RefusalOf returns what a caller is told of an error of [Guard.Check]; nil of others.
func RefusalOf(err error) *Refusal {
	var refusal *clerkauth.Error
	if !errors.As(err, &refusal) {
		return nil
	}
	reason := string(refusal.Reason)
	told := &Refusal{
		Error:    refusal,
		Hidden:   refusal.Status == http.StatusNotFound,
		Reason:   strings.ToUpper(strings.ReplaceAll(reason, "-", "_")),
		Metadata: map[string]string{"reason": reason},
	}
	if refusal.Status == http.StatusServiceUnavailable {
		told.RetryDelay = max(refusal.RetryAfter, time.Second)
	}
	return told
}

// WithoutCause returns the error for a caller.
func (r *Refusal) WithoutCause() *clerkauth.Error { return &clerkauth.Error{Reason: r.Error.Reason} }
