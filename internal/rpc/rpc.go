// Package rpc is shared by the adapters for RPC frameworks: rules by procedure, and
// the part of a refusal that callers may see.
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

// Guard authorizes calls of procedures by rules. It is immutable and safe for
// concurrent use.
type Guard struct {
	auth  *clerkauth.Authenticator
	rules map[string]clerkauth.Access
}

// NewGuard returns a Guard for rules by the full names of procedures: /service/method.
// Procedures without a rule require [clerkauth.SignedIn]. NewGuard panics, naming the
// adapter, if a name has another form or if an Access is nil or can never be satisfied.
func NewGuard(adapter string, auth *clerkauth.Authenticator, rules map[string]clerkauth.Access) *Guard {
	for procedure, access := range rules {
		if parts := strings.Split(procedure, "/"); len(parts) != 3 || parts[0] != "" || parts[1] == "" || parts[2] == "" {
			panic(fmt.Sprintf("%s: invalid procedure %q: the form is /service/method", adapter, procedure))
		}
		if err := auth.Validate(access); err != nil {
			panic(fmt.Sprintf("%s: %q: %v", adapter, procedure, err))
		}
	}
	return &Guard{auth, maps.Clone(rules)} // callers may change theirs
}

// Check is [clerkauth.Authenticator.Check] for a call of procedure with header. As the call
// has no host, cookies among them count only inside of [clerkauth.Authenticator.Handler].
func (g *Guard) Check(ctx context.Context, procedure string, header http.Header) (context.Context, error) {
	access, ok := g.rules[procedure]
	if !ok {
		access = clerkauth.SignedIn
	}
	r := &http.Request{Method: http.MethodPost, URL: &url.URL{Path: procedure}, Header: header}
	return g.auth.Check(r.WithContext(ctx), access)
}

// Refusal is a refusal as an adapter sends it: with its reason and when to retry, and
// without its cause.
type Refusal struct {
	*clerkauth.Error
	Hidden     bool              // respond as for a procedure that does not exist
	Reason     string            // in upper snake case, for an ErrorInfo
	Metadata   map[string]string // of the ErrorInfo: the reason unchanged
	RetryDelay time.Duration     // at least a second if Status is 503, otherwise zero
}

// RefusalOf returns the Refusal for an error of [Guard.Check], or nil if err is not a
// [clerkauth.Error].
func RefusalOf(err error) *Refusal {
	var refusal *clerkauth.Error
	if !errors.As(err, &refusal) {
		return nil
	}
	reason := string(refusal.Reason)
	sent := &Refusal{
		Error:    refusal,
		Hidden:   refusal.Status == http.StatusNotFound,
		Reason:   strings.ToUpper(strings.ReplaceAll(reason, "-", "_")),
		Metadata: map[string]string{"reason": reason},
	}
	if refusal.Status == http.StatusServiceUnavailable {
		sent.RetryDelay = max(refusal.RetryAfter, time.Second)
	}
	return sent
}

// WithoutCause returns an error with the reason alone, whose text may be sent to the
// caller.
func (r *Refusal) WithoutCause() *clerkauth.Error { return &clerkauth.Error{Reason: r.Error.Reason} }
