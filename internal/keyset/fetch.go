package keyset

import (
	"context"
	"crypto/rsa"
	"errors"
	"math/rand/v2"
	"time"
)

// fetch is one refresh of the set, over all sources, shared by all who wait for it.
type fetch struct {
	began time.Time
	first chan struct{} // closed when the keys of the first source are in use
	done  chan struct{}
	err   error // valid after done

	// Guarded by Set.mu.
	need      need
	needRead  bool // need was read; what is added to it after that has no effect
	firstRead bool // the first source has responded
	charged   bool // to the budget for tokens that no key fits
}

// maxKids bounds the key ids in a need. Beyond it, some of them are taken to be unknown.
const maxKids = 1024

// await returns the key that find finds once the first source, or all of them, have
// responded to f, and nil if there is none. After limit, unless it is 0, it returns what
// find finds by then.
func (s *Set) await(ctx context.Context, f *fetch, limit time.Duration, find func(*snapshot, time.Time) *rsa.PublicKey) (*rsa.PublicKey, error) {
	var over <-chan time.Time
	if limit > 0 {
		timer := time.NewTimer(limit)
		defer timer.Stop()
		over = timer.C
	}
	for first := f.first; ; first = nil {
		select {
		case <-first:
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

// start starts a fetch. It has a context of its own, so that it goes on if its first
// caller leaves. The caller holds mu.
func (s *Set) start(now time.Time) *fetch {
	f := &fetch{began: now, first: make(chan struct{}), done: make(chan struct{})}
	s.fetch = f
	s.fetching.Store(true)
	go func() {
		ctx, cancel := context.WithTimeout(context.Background(), fetchTimeout)
		defer cancel()
		r := result{err: errors.New("fetching the key set ended early")}
		defer func() { s.finish(f, r) }() // also if a source ends its goroutine
		r = s.pair.refresh(ctx, now, func() need { return s.readNeed(f) }, func(keys map[string]servedKey, err error) {
			s.publishFirst(f, keys, err)
		})
	}()
	return f
}

// publishFirst makes the keys of f's first source the set.
func (s *Set) publishFirst(f *fetch, keys map[string]servedKey, err error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	f.firstRead = true
	s.publish(keys, f.began, err)
	close(f.first)
}

// readNeed returns the need of f, to which nothing may be added after that.
func (s *Set) readNeed(f *fetch) need {
	s.mu.Lock()
	defer s.mu.Unlock()
	f.needRead, f.firstRead = true, true
	return f.need
}

// publish makes keys the set. The caller holds mu. After errUnusable the set is not
// good; after any other error its age stays as it was.
func (s *Set) publish(keys map[string]servedKey, at time.Time, err error) {
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

// finish ends f. It logs a failure after it has released mu, so that only those who wait
// for f wait for the log.
func (s *Set) finish(f *fetch, r result) {
	defer close(f.done)
	failures, delay := s.record(f, r)
	switch {
	case failures == 0:
	case errors.Is(r.err, errUnusable):
		s.log.Error("clerkauth: the key set of the instance holds no usable key: all earlier keys are withdrawn, and no token is accepted",
			"failures", failures, "next_try", delay)
	default:
		s.log.Warn("clerkauth: fetching the keys of the instance failed", "error", r.err, "failures", failures, "next_try", delay)
	}
}

// record publishes the result of f. It returns how many fetches have failed in a row, and
// for how long none will be started.
func (s *Set) record(f *fetch, r result) (failures int, delay time.Duration) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.fetch = nil
	s.fetching.Store(false)
	now := s.now()
	if r.keys != nil {
		s.publish(r.keys, f.began, r.err)
	}
	if f.need.compare {
		s.proof.note(now, s.pair.verdict(), r)
	}
	if f.err = r.err; r.err == nil {
		s.failures, s.lastErr = 0, nil
		s.retryAt.Store(0)
		unknown := f.need.more
		for _, kid := range f.need.kids {
			if r.keys[kid].key == nil {
				unknown = true
				s.unknown.missed(kid)
			}
		}
		if unknown && !f.charged {
			s.unknown.spend(f.began) // it would have been fetched for the unknown id alone
		}
		return 0, 0
	}
	s.failures++
	s.lastErr = r.err
	delay = backoff(s.failures)
	var later interface{ RetryAfter() time.Duration }
	if errors.As(r.err, &later) {
		delay = max(delay, min(later.RetryAfter(), maxRetryAfter))
	}
	s.retryAt.Store(now.Add(delay).UnixNano())
	return s.failures, delay
}

// backoff returns the delay after the nth failure in a row: it doubles, with jitter so
// that many servers do not retry at the same moment.
func backoff(n int) time.Duration {
	d := maxBackoff
	if n < 6 {
		d = min(minBackoff<<(n-1), maxBackoff)
	}
	return d/2 + rand.N(d/2) //nolint:gosec // jitter needs no unpredictable numbers
}
