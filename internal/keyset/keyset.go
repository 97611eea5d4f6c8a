// Package keyset keeps the public keys of one Clerk instance: fetched when they
// are first needed, refreshed ahead of their time, kept through an outage for a
// bounded while, and never asked for more often than the world deserves because
// somebody sends tokens with invented key ids.
//
// It starts no goroutine that outlives a fetch, so there is nothing to close.
package keyset

import (
	"context"
	"crypto/rsa"
	"errors"
	"fmt"
	"log/slog"
	"math/rand/v2"
	"slices"
	"sync"
	"sync/atomic"
	"time"
)

// What decides how fresh keys are. All ages count from the moment a fetch was
// begun, never from a key's use.
const (
	// TTL is how long a set is taken as it is: Clerk's own figure. A key that
	// was withdrawn is refused at the latest after this.
	TTL = 5 * time.Minute
	// refreshAfter is the age at which the next request causes a refresh
	// without waiting for it.
	refreshAfter = 4 * time.Minute
	// MaxStale is how long keys stay usable while every refresh fails.
	MaxStale = time.Hour
	// UnknownInterval is the least time between two fetches caused by tokens
	// that no key fits.
	UnknownInterval = 30 * time.Second
	// justFetched is the age up to which a set cannot have missed a new key.
	justFetched = time.Second
	// FetchTimeout bounds a fetch, whoever waits for it or does not.
	FetchTimeout = 5 * time.Second

	minBackoff = time.Second
	maxBackoff = 30 * time.Second
	maxAsked   = 5 * time.Minute // longest Retry-After that is honoured
)

// ErrUnknownKey says that the instance has no key of that id.
var ErrUnknownKey = errors.New("no key of this id")

// UnavailableError says that keys could not be had, which says nothing about the
// token that asked for one.
type UnavailableError struct {
	Cause      error
	RetryAfter time.Duration // when it is worth trying again; at least a second
}

func (e *UnavailableError) Error() string { return fmt.Sprintf("keys are unavailable: %v", e.Cause) }

func (e *UnavailableError) Unwrap() error { return e.Cause }

// Source fetches the body of a JSON Web Key Set. It must end when ctx does.
type Source func(ctx context.Context) ([]byte, error)

// Set is the key set of one instance. Make it with New.
type Set struct {
	source Source
	now    func() time.Time
	log    *slog.Logger

	current atomic.Pointer[snapshot]
	// retryAt is the moment, in Unix nanoseconds, before which no refresh is
	// tried; 0 after a good fetch. Atomic, so that the fast path reads no lock.
	retryAt atomic.Int64
	flying  atomic.Bool

	mu        sync.Mutex
	flight    *flight
	failures  int       // since the last good fetch
	lastErr   error     // of the last fetch, if it failed
	unknownAt time.Time // when the last fetch began that an unknown key caused or met
}

// snapshot is one set as it was fetched; it is never changed.
type snapshot struct {
	keys map[string]*rsa.PublicKey
	at   time.Time
}

// fresh tells whether s can be used without asking. A clock that went back
// makes an age negative, and nothing can be said of such a set.
func (s *snapshot) fresh(now time.Time) bool {
	age := s.age(now)
	return age >= 0 && age < TTL
}

func (s *snapshot) age(now time.Time) time.Duration {
	if s == nil {
		return -1
	}
	return now.Sub(s.at)
}

// usable returns the key of that id, if s may still be relied upon while
// refreshes fail.
func (s *snapshot) usable(kid string, now time.Time) *rsa.PublicKey {
	if age := s.age(now); age < 0 || age >= MaxStale {
		return nil
	}
	return s.keys[kid]
}

// flight is one fetch, shared by all who wait for it.
type flight struct {
	began time.Time
	kids  []string // that are waited for, as many as maxKids; guarded by Set.mu
	done  chan struct{}
	err   error // valid after done
}

// maxKids is how many waiting ids are looked up when a fetch lands. Where there are
// more, unknown ones are taken to be among them.
const maxKids = 1024

// New returns an empty set that fills itself from source.
func New(source Source, now func() time.Time, log *slog.Logger) *Set {
	// The monotonic clock stands still while a machine is suspended; keys do not
	// stay trusted for that long.
	wall := func() time.Time { return now().Round(0) }
	return &Set{source: source, now: wall, log: log}
}

// Key returns the key of that id. While the set is fresh a known key is returned
// at once and without a lock; otherwise it waits for a fetch, no longer than ctx.
//
// Errors are ErrUnknownKey, *UnavailableError, or that of ctx.
func (s *Set) Key(ctx context.Context, kid string) (*rsa.PublicKey, error) {
	now := s.now()
	if set := s.current.Load(); set.fresh(now) {
		if key, ok := set.keys[kid]; ok {
			if set.age(now) >= refreshAfter {
				s.refreshAhead(now)
			}
			return key, nil
		}
	}
	return s.fetchKey(ctx, kid, now)
}

// Replaced returns the key of that id if it is another than old after asking
// the source, which it does no more often than for unknown keys: an instance may
// publish a new key under an old id.
func (s *Set) Replaced(ctx context.Context, kid string, old *rsa.PublicKey) (*rsa.PublicKey, bool) {
	now := s.now()
	s.mu.Lock()
	set := s.current.Load()
	key := set.usable(kid, now)
	if key == nil || same(key, old) {
		if age := set.age(now); age >= 0 && age < justFetched {
			s.mu.Unlock()
			return nil, false
		}
		f := s.unknownFlight(now)
		s.mu.Unlock()
		if f == nil || wait(ctx, f) != nil || f.err != nil {
			return nil, false
		}
		key = s.current.Load().usable(kid, now)
	} else {
		s.mu.Unlock()
	}
	return key, key != nil && !same(key, old)
}

// refreshAhead starts a refresh unless one is under way or was tried just now.
func (s *Set) refreshAhead(now time.Time) {
	if s.flying.Load() || s.backingOff(now) {
		return
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.flight == nil && s.current.Load().age(now) >= refreshAfter {
		s.start(now)
	}
}

// fetchKey is Key where the set alone cannot answer.
func (s *Set) fetchKey(ctx context.Context, kid string, now time.Time) (*rsa.PublicKey, error) {
	s.mu.Lock()
	set := s.current.Load()
	stale := set.usable(kid, now)
	var f *flight
	switch {
	case set.fresh(now):
		if stale != nil { // another request has just fetched it
			s.mu.Unlock()
			return stale, nil
		}
		if f = s.unknownFlight(now); f == nil {
			defer s.mu.Unlock()
			if s.failures > 0 {
				return nil, s.unavailable(now)
			}
			return nil, ErrUnknownKey
		}
	case s.flight != nil:
		f = s.flight
	case s.backingOff(now):
		defer s.mu.Unlock()
		if stale != nil {
			return stale, nil
		}
		return nil, s.unavailable(now)
	default:
		f = s.start(now)
	}
	// While refreshes fail, those whose key is known do not pay for each try.
	if stale != nil && s.failures > 0 {
		s.mu.Unlock()
		return stale, nil
	}
	if len(f.kids) < maxKids {
		f.kids = append(f.kids, kid)
	}
	s.mu.Unlock()

	if err := wait(ctx, f); err != nil {
		return nil, err
	}
	now = s.now()
	if f.err != nil {
		if key := s.current.Load().usable(kid, now); key != nil {
			return key, nil
		}
		s.mu.Lock()
		defer s.mu.Unlock()
		return nil, s.unavailable(now)
	}
	if key := s.current.Load().usable(kid, now); key != nil {
		return key, nil
	}
	return nil, ErrUnknownKey
}

// unknownFlight returns the fetch that a token without a fitting key may wait
// for: the one under way, or a new one if the last such was long enough ago, or
// none. The caller holds mu.
func (s *Set) unknownFlight(now time.Time) *flight {
	since := now.Sub(s.unknownAt)
	switch {
	case s.flight != nil:
		return s.flight
	case since >= 0 && since < UnknownInterval, s.backingOff(now):
		return nil
	default:
		s.unknownAt = now
		return s.start(now)
	}
}

// backingOff tells whether it is too early to try again after a failure. A moment
// further away than any delay is of a clock that has gone back since.
func (s *Set) backingOff(now time.Time) bool {
	left := s.retryAt.Load() - now.UnixNano()
	return left > 0 && left <= int64(maxAsked)
}

// unavailable returns the error for now. The caller holds mu.
func (s *Set) unavailable(now time.Time) error {
	after := time.Unix(0, s.retryAt.Load()).Sub(now)
	return &UnavailableError{Cause: s.lastErr, RetryAfter: min(max(after, time.Second), maxAsked)}
}

// wait waits for f no longer than ctx.
func wait(ctx context.Context, f *flight) error {
	select {
	case <-f.done:
		return nil
	case <-ctx.Done():
		return context.Cause(ctx)
	}
}

// start begins a fetch. It is nobody's in particular: who asked first may go
// away, and it ends by itself. The caller holds mu.
func (s *Set) start(now time.Time) *flight {
	f := &flight{began: now, done: make(chan struct{})}
	s.flight = f
	s.flying.Store(true)
	go func() {
		ctx, cancel := context.WithTimeout(context.Background(), FetchTimeout)
		defer cancel()
		var keys map[string]*rsa.PublicKey
		err := errors.New("fetching the key set ended early")
		defer func() { s.land(f, keys, err) }() // also if a source ends its goroutine
		keys, err = s.fetch(ctx)
	}()
	return f
}

// fetch asks the source. A panic on what came back is a failed fetch, not the
// end of the server.
func (s *Set) fetch(ctx context.Context) (keys map[string]*rsa.PublicKey, err error) {
	defer func() {
		if recover() != nil {
			keys, err = nil, errors.New("reading the key set panicked")
		}
	}()
	body, err := s.source(ctx)
	if err != nil {
		return nil, err
	}
	keys, odd, err := parseSet(body)
	if len(odd) > 0 {
		s.log.Warn("clerkauth: keys of the instance's key set are not used",
			"keys", len(odd), "first_place", odd[0].place, "first_reason", odd[0].reason)
	}
	return keys, err
}

// land ends f: a good set replaces the old one whole, a failure leaves it.
func (s *Set) land(f *flight, keys map[string]*rsa.PublicKey, err error) {
	defer close(f.done)
	// Those who do not wait for f are not held up by the log.
	if failures, delay := s.settle(f, keys, err); failures > 0 {
		s.log.Warn("clerkauth: fetching the instance's keys failed", "error", err, "failures", failures, "next_try", delay)
	}
}

// settle is land without the log. It returns how many fetches have failed in a
// row, and how long none will be tried.
func (s *Set) settle(f *flight, keys map[string]*rsa.PublicKey, err error) (failures int, delay time.Duration) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.flight = nil
	s.flying.Store(false)
	if f.err = err; err == nil {
		s.current.Store(&snapshot{keys: keys, at: f.began})
		s.failures, s.lastErr = 0, nil
		s.retryAt.Store(0)
		unknown := func(kid string) bool { return keys[kid] == nil }
		if s.unknownAt.Before(f.began) && (len(f.kids) == maxKids || slices.ContainsFunc(f.kids, unknown)) {
			s.unknownAt = f.began // it has answered for the next unknown ids as well
		}
		return 0, 0
	}
	s.failures++
	s.lastErr = err
	delay = backoff(s.failures)
	var status *StatusError
	if errors.As(err, &status) {
		delay = max(delay, min(status.RetryAfter, maxAsked))
	}
	s.retryAt.Store(s.now().Add(delay).UnixNano())
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
