package keyset

import (
	"context"
	"crypto/rsa"
	"errors"
	"math/rand/v2"
	"time"
)

// flight is one fetch, shared by all who wait for it.
type flight struct {
	began time.Time
	asks  asks          // guarded by Set.mu
	asked bool          // whether what is in asks has been read; guarded by Set.mu
	read  bool          // whether the first source has answered; guarded by Set.mu
	paid  bool          // by the budget for tokens that no key fits
	early chan struct{} // closed when the first source has answered
	done  chan struct{}
	err   error // valid after done
}

// maxKids is how many waiting ids are looked up when a fetch lands. Where there are
// more, unknown ones are taken to be among them.
const maxKids = 1024

// await returns the key that find finds as soon as the first source, or all of them,
// have answered f; nil if there is none. With a limit, it takes what there is after
// that.
func (s *Set) await(ctx context.Context, f *flight, limit time.Duration, find func(*snapshot, time.Time) *rsa.PublicKey) (*rsa.PublicKey, error) {
	var over <-chan time.Time
	if limit > 0 {
		timer := time.NewTimer(limit)
		defer timer.Stop()
		over = timer.C
	}
	for early := f.early; ; early = nil {
		select {
		case <-early:
		case <-f.done:
			return find(s.current.Load(), s.now()), nil
		case <-over:
		case <-ctx.Done():
			return nil, context.Cause(ctx)
		}
		if key := find(s.current.Load(), s.now()); key != nil {
			return key, nil
		}
	}
}

// start begins a fetch. It is nobody's in particular: who asked first may go
// away, and it ends by itself. The caller holds mu.
func (s *Set) start(now time.Time) *flight {
	f := &flight{began: now, early: make(chan struct{}), done: make(chan struct{})}
	s.flight = f
	s.flying.Store(true)
	go func() {
		ctx, cancel := context.WithTimeout(context.Background(), FetchTimeout)
		defer cancel()
		r := result{err: errors.New("fetching the key set ended early")}
		defer func() { s.land(f, r) }() // also if a source ends its goroutine
		r = s.pair.refresh(ctx, now, func() asks { return s.expected(f) }, func(keys map[string]held, err error) {
			s.hear(f, keys, err)
		})
	}()
	return f
}

// hear makes what f's first source has answered the set.
func (s *Set) hear(f *flight, keys map[string]held, err error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	f.read = true
	s.publish(keys, f.began, err)
	close(f.early)
}

// expected returns what those who wait for f ask for. Who comes later is late.
func (s *Set) expected(f *flight) asks {
	s.mu.Lock()
	defer s.mu.Unlock()
	f.asked, f.read = true, true
	return f.asks
}

// publish makes keys the set; the caller holds mu. After an error that says nothing about them they are
// as old as they were; after errUnusable there is no good set.
func (s *Set) publish(keys map[string]held, at time.Time, err error) {
	switch before := s.current.Load(); {
	case errors.Is(err, errUnusable):
		at = time.Time{}
	case err != nil && before == nil:
		return
	case err != nil:
		at = before.at
	}
	s.current.Store(&snapshot{keys: keys, at: at})
}

// land ends f: a good set replaces the old one whole, a failure leaves it.
func (s *Set) land(f *flight, r result) {
	defer close(f.done)
	// Those who do not wait for f are not held up by the log.
	failures, delay := s.settle(f, r)
	switch {
	case failures == 0:
	case errors.Is(r.err, errUnusable):
		s.log.Error("clerkauth: the instance's key set holds no key that can be used: the keys before it are withdrawn, and no token is accepted",
			"failures", failures, "next_try", delay)
	default:
		s.log.Warn("clerkauth: fetching the instance's keys failed", "error", r.err, "failures", failures, "next_try", delay)
	}
}

// settle is land without the log. It returns how many fetches have failed in a
// row, and how long none will be tried.
func (s *Set) settle(f *flight, r result) (failures int, delay time.Duration) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.flight = nil
	s.flying.Store(false)
	now := s.now()
	if r.keys != nil {
		s.publish(r.keys, f.began, r.err)
	}
	if f.asks.compare {
		s.proof.note(now, s.pair.verdict(), r)
	}
	if f.err = r.err; r.err == nil {
		s.failures, s.lastErr = 0, nil
		s.retryAt.Store(0)
		met := f.asks.many
		for _, kid := range f.asks.kids {
			if r.keys[kid].key == nil {
				met = true
				s.unknown.missed(kid)
			}
		}
		if met && !f.paid {
			s.unknown.spend(f.began) // it has answered for the next unknown ids as well
		}
		return 0, 0
	}
	s.failures++
	s.lastErr = r.err
	delay = backoff(s.failures)
	var status *StatusError
	if errors.As(r.err, &status) {
		delay = max(delay, min(status.RetryAfter, maxAsked))
	}
	s.retryAt.Store(now.Add(delay).UnixNano())
	return s.failures, delay
}

// backoff returns how long to wait after the nth failure in a row: doubling,
// with jitter, so that many servers do not come back at one moment.
func backoff(n int) time.Duration {
	d := maxBackoff
	if n < 6 {
		d = min(minBackoff<<(n-1), maxBackoff)
	}
	return d/2 + rand.N(d/2) //nolint:gosec // jitter is no secret
}
