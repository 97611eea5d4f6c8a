package main

import (
	"context"
	"errors"
	"time"

	"github.com/clerkauth/clerkauth"
)

// job is a message of a queue that everybody may write to. It carries the credential of
// the caller who asks for the report. A session token is valid for a minute, so it suits
// short queues; programs use an API key.
type job struct {
	Token  string `json:"token"`
	Report string `json:"report"`
}

// outcome is the result of taking a message.
type outcome struct {
	by    string        // who asked for the report, if it was written
	retry time.Duration // deliver the message again after that
	drop  error         // why never to deliver it again
}

// mayWrite is required of callers who ask for a report.
var mayWrite = clerkauth.AnyOf(clerkauth.SignedIn, clerkauth.Token(clerkauth.APIKey, clerkauth.Scope("reports:write")))

// take handles a message when it is taken from the queue. An outage says nothing about
// the credential, so the message is delivered again; a credential that is not valid, or no
// longer, will not become so.
func take(ctx context.Context, auth *clerkauth.Authenticator, j job) outcome {
	ctx, err := auth.CheckToken(ctx, j.Token, mayWrite)
	var refusal *clerkauth.Error
	switch {
	case errors.Is(err, clerkauth.ErrUnavailable) && errors.As(err, &refusal):
		return outcome{retry: max(refusal.RetryAfter, time.Second)}
	case err != nil:
		return outcome{drop: err}
	}
	return outcome{by: clerkauth.FromContext(ctx).Subject}
}
