package keyset

import (
	"context"
	"errors"
	"time"
)

// attempts are those to find out whether both sources are of one instance.
type attempts struct {
	failures int // in a row
	retryAt  time.Time
	err      *UnavailableError // of the last one
}

// note records what an attempt came to.
func (a *attempts) note(now time.Time, v verdict, r result) {
	if v != undecided {
		*a = attempts{}
		return
	}
	a.failures++
	delay := backoff(a.failures)
	a.retryAt = now.Add(delay)
	a.err = &UnavailableError{Cause: r.backendErr, RetryAfter: max(delay, time.Second)}
	if r.backendErr == nil {
		a.err.Cause, a.err.Public = r.publicErr, true
	}
	if a.err.Cause == nil {
		a.err.Cause = errors.New("a key set holds no usable key")
	}
}

// due reports whether it is time for another attempt.
func (a *attempts) due(now time.Time) bool {
	left := a.retryAt.Sub(now)
	return left <= 0 || left > maxAsked // so far ahead only if the clock went back
}

// Prove returns nil if the Backend API's set is known to be of the instance whose
// public set, or pinned key, there is, or if there is nothing to compare it with.
// Otherwise it returns ErrForeign, an *UnavailableError while it is not known, or
// ctx's error.
//
// The first call waits for both sets to be compared, together with all others, and
// no call causes a fetch once it is decided. While it cannot be, fetches are as far
// apart as after other failures.
func (s *Set) Prove(ctx context.Context) error { return s.prove(ctx, false) }

// Foreign reports whether the Backend API's set is known to be of another instance.
// It waits as Prove does, but only for the first comparison: where that could not be
// made, it does not say so.
func (s *Set) Foreign(ctx context.Context) bool {
	return errors.Is(s.prove(ctx, true), ErrForeign)
}

// prove is Prove. Who is lenient does not wait for more than one attempt.
func (s *Set) prove(ctx context.Context, lenient bool) error {
	// A fetch that is under way may have to be followed by another one: both together
	// hold nobody up for longer than one.
	late := time.NewTimer(FetchTimeout)
	defer late.Stop()
	for {
		switch s.pair.verdict() {
		case common:
			return nil
		case foreign:
			s.refreshAhead(s.now()) // what was a mistake of the moment may be over
			return ErrForeign
		}
		f, wait, err := s.proofFlight(s.now(), lenient)
		if !wait {
			return err
		}
		select {
		case <-f.done:
		case <-ctx.Done():
			return context.Cause(ctx)
		case <-late.C:
			return &UnavailableError{Cause: context.DeadlineExceeded, RetryAfter: time.Second, Public: true}
		}
	}
}

// proofFlight returns the fetch that is to decide, or whether there is none to wait
// for and the answer for now.
func (s *Set) proofFlight(now time.Time, lenient bool) (f *flight, wait bool, err error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	// A token of the issuer that a key of the Backend API has verified stands for
	// the public set while that cannot be had.
	stands := (s.witnessed.Load() || lenient) && s.proof.failures > 0
	switch {
	case s.flight == nil && s.proof.failures > 0 && !s.proof.due(now):
		err = s.proof.err
	case s.flight == nil && s.backingOff(now):
		err = s.unavailable(now)
	default:
		if f = s.flight; f == nil {
			f = s.start(now)
		}
		if !f.asked {
			f.asks.compare = true
		}
		wait = true
	}
	if stands {
		return nil, false, nil
	}
	return f, wait, err
}

// Witness is called when a key of that id has verified a token of the instance's own
// issuer.
func (s *Set) Witness(kid string) {
	if s.pair.verdict() != undecided || s.witnessed.Load() {
		return
	}
	if set := s.current.Load(); set != nil && set.keys[kid].backend {
		s.witnessed.Store(true)
	}
}
