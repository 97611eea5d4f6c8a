package keyset

import (
	"context"
	"errors"
	"time"
)

// attempts are the attempts to compare both sources.
type attempts struct {
	failures int // in a row
	retryAt  time.Time
	err      *UnavailableError // of the last one
}

// note records the result of an attempt.
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
	return left <= 0 || left > maxRetryAfter // set before the clock went back
}

// Prove returns nil if the Backend API's set is known to belong to the same instance as
// the public set or the pinned key, or if there is nothing to compare it with. Otherwise
// it returns [ErrForeign], an [*UnavailableError] while that is not known, or the error of
// ctx.
//
// The first call waits until both sets were compared; concurrent calls share that fetch.
// Once the comparison succeeded, calls cause no fetch. While it fails, fetches back off as
// after any failure.
func (s *Set) Prove(ctx context.Context) error { return s.prove(ctx, false) }

// Foreign reports whether the Backend API's set is known to belong to another instance.
// It waits as Prove does, but for the first attempt to compare alone: it returns false
// while attempts fail.
func (s *Set) Foreign(ctx context.Context) bool {
	return errors.Is(s.prove(ctx, true), ErrForeign)
}

// prove is Prove, or, if lenient, what Foreign needs of it.
func (s *Set) prove(ctx context.Context, lenient bool) error {
	// A fetch that is under way may have to be followed by another. The caller waits for
	// both no longer than for one.
	late := time.NewTimer(fetchTimeout)
	defer late.Stop()
	for {
		switch s.pair.verdict() {
		case common:
			return nil
		case foreign:
			s.refreshAhead(s.now()) // the secret key may have been corrected
			return ErrForeign
		}
		f, wait, err := s.proofFetch(s.now(), lenient)
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

// proofFetch returns the fetch that will compare the sources and whether to wait for it;
// if not, err is the result for now.
func (s *Set) proofFetch(now time.Time, lenient bool) (f *fetch, wait bool, err error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	// While the public set cannot be fetched, a token of the instance's own issuer that
	// a key of the Backend API has verified stands for it.
	stands := (s.witnessed.Load() || lenient) && s.proof.failures > 0
	switch {
	case s.fetch == nil && s.proof.failures > 0 && !s.proof.due(now):
		err = s.proof.err
	case s.fetch == nil && s.backingOff(now):
		err = s.unavailable(now)
	default:
		if f = s.fetch; f == nil {
			f = s.start(now)
		}
		if !f.needRead {
			f.need.compare = true
		}
		wait = true
	}
	if stands {
		return nil, false, nil
	}
	return f, wait, err
}

// Witness records that the key with that id has verified a token of the instance's own
// issuer, which [Set.Prove] accepts while the public set cannot be fetched.
func (s *Set) Witness(kid string) {
	if s.pair.verdict() != undecided || s.witnessed.Load() {
		return
	}
	if set := s.current.Load(); set != nil && set.keys[kid].backend {
		s.witnessed.Store(true)
	}
}
