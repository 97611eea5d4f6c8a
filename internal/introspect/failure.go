package introspect

import (
	"errors"
	"time"
)

// Outcome is what a response without a result means for the calls after it.
type Outcome int

const (
	// Invalid means that the credential is not valid. Cached for [Remembered].
	Invalid Outcome = iota + 1
	// Inconclusive means that the response says nothing about the credential, nor about others.
	// Cached for [Remembered], for that credential alone.
	Inconclusive
	// RateLimited means that there are too many calls. There are none for unseen credentials for
	// RetryAfter, and half as many after it. The call is repeated while there is time.
	RateLimited
	// Unauthorized means that the server rejects the caller itself. There are no calls for 5 s, for
	// credentials that were valid before for 1 s.
	Unauthorized
)

// Failure is the error of a [Fetch] to which the server responded without a result.
type Failure struct {
	Outcome    Outcome
	Reason     error
	RetryAfter time.Duration // of RateLimited alone
}

func (f *Failure) Error() string { return "credential is not verified: " + f.Reason.Error() }

// Unwrap returns Reason.
func (f *Failure) Unwrap() error { return f.Reason }

// failureOf returns the failure in err, or one of no outcome if the server did not
// respond or err is nil.
func failureOf(err error) Failure {
	if err == nil {
		return Failure{}
	}
	var f *Failure
	if errors.As(err, &f) {
		return *f
	}
	return Failure{}
}

// Busy is the error for a credential for which no call was made, because too many wait
// already or because calls are paused.
type Busy struct {
	Cause      error // why calls are paused; nil if too many wait
	RetryAfter time.Duration
}

func (b *Busy) Error() string {
	if b.Cause != nil {
		return "calls are paused: " + b.Cause.Error()
	}
	return "too many calls"
}

// Unwrap returns Cause.
func (b *Busy) Unwrap() error { return b.Cause }
