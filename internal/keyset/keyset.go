// Package keyset keeps the public keys of one Clerk instance: fetched when they
// are first needed, refreshed ahead of their time, kept through an outage for a
// bounded while, and asked for at a bounded rate however many tokens with invented
// key ids arrive.
//
// It starts no goroutine that outlives a fetch, so there is nothing to close.
package keyset

import (
	"context"
	"crypto/rsa"
	"errors"
	"fmt"
	"log/slog"
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
	// patience is how long those whose key is known wait for a refresh of a set that
	// is too old. After that the known key serves, until MaxStale.
	patience = 500 * time.Millisecond
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
// token that asked for one. A fetch is one refresh, over all sources.
type UnavailableError struct {
	Cause      error
	RetryAfter time.Duration // when it is worth trying again; at least a second
	Public     bool          // it is the public set that could not be had
}

func (e *UnavailableError) Error() string { return fmt.Sprintf("keys are unavailable: %v", e.Cause) }

func (e *UnavailableError) Unwrap() error { return e.Cause }

// Source fetches the body of a JSON Web Key Set. It must end when ctx does.
type Source func(ctx context.Context) ([]byte, error)

// Set is the key set of one instance. Make it with New.
type Set struct {
	pair *pair
	now  func() time.Time
	log  *slog.Logger

	current atomic.Pointer[snapshot]
	// retryAt is the moment, in Unix nanoseconds, before which no refresh is
	// tried; 0 after a good fetch. Atomic, so that the fast path reads no lock.
	retryAt   atomic.Int64
	flying    atomic.Bool
	witnessed atomic.Bool // see Witness

	mu       sync.Mutex
	flight   *flight
	failures int    // since the last good fetch
	lastErr  error  // of the last fetch, if it failed
	unknown  budget // for tokens that no key fits
	proof    attempts
}

// snapshot is one set as it was fetched; it is never changed.
type snapshot struct {
	keys map[string]held
	at   time.Time // when the fetch began; zero if there is no good set
}

// fresh reports whether s can be used without asking. A clock that went back
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

// usable returns the key of that id, if it may still be relied upon while
// refreshes fail.
func (s *snapshot) usable(kid string, now time.Time) *rsa.PublicKey {
	if s == nil {
		return nil
	}
	if h := s.keys[kid]; h.usable(now) {
		return h.key
	}
	return nil
}

// New returns an empty set that fills itself from the sources.
func New(from Sources, now func() time.Time, log *slog.Logger) *Set {
	// The monotonic clock stands still while a machine is suspended; keys do not
	// stay trusted for that long.
	wall := func() time.Time { return now().Round(0) }
	return &Set{pair: newPair(from, log), now: wall, log: log}
}

// Key returns the key of that id. While the set is fresh a known key is returned
// at once and without a lock; otherwise it waits for a fetch, no longer than ctx.
//
// Errors are ErrUnknownKey, *UnavailableError, or that of ctx.
func (s *Set) Key(ctx context.Context, kid string) (*rsa.PublicKey, error) {
	now := s.now()
	if set := s.current.Load(); set.fresh(now) {
		if key := set.usable(kid, now); key != nil {
			if set.age(now) >= refreshAfter {
				s.refreshAhead(now)
			}
			return key, nil
		}
	}
	return s.fetchKey(ctx, kid, now)
}

// Held returns the key of that id if the set holds it now, and nil otherwise. It asks
// nobody.
func (s *Set) Held(kid string) *rsa.PublicKey { return s.current.Load().usable(kid, s.now()) }

// Replaced returns the key of that id if it is another than old after asking
// the source, which it does no more often than for unknown keys: an instance may
// publish a new key under an old id.
func (s *Set) Replaced(ctx context.Context, kid string, old *rsa.PublicKey) (*rsa.PublicKey, bool) {
	now := s.now()
	another := func(set *snapshot, now time.Time) *rsa.PublicKey {
		if key := set.usable(kid, now); key != nil && !same(key, old) {
			return key
		}
		return nil
	}
	s.mu.Lock()
	set := s.current.Load()
	if key := another(set, now); key != nil {
		s.mu.Unlock()
		return key, true
	}
	if age := set.age(now); age >= 0 && age < justFetched {
		s.mu.Unlock()
		return nil, false
	}
	f := s.unknownFlight(now, kid)
	if f != nil {
		s.unknown.missed(kid) // whatever is under it now does not fit
	}
	s.mu.Unlock()
	if f == nil {
		return nil, false
	}
	key, err := s.await(ctx, f, 0, another)
	return key, err == nil && key != nil
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
	named := func(set *snapshot, now time.Time) *rsa.PublicKey { return set.usable(kid, now) }
	for again := false; ; again = true {
		f, late, known, err := s.join(kid, now)
		if f == nil {
			return known, err
		}
		var wait time.Duration
		if known != nil {
			wait = min(patience-now.Sub(f.began), patience) // the clock may have gone back
			if wait <= 0 {
				return known, nil
			}
		}
		key, err := s.await(ctx, f, wait, named)
		if key != nil || err != nil {
			return key, err
		}
		now = s.now()
		if late && f.err == nil && !again {
			continue // f had been answered before this token came
		}
		return nil, s.missing(f, now)
	}
}

// join returns the fetch that a token of that key id has to wait for, and whether
// its first source had been read already; or no fetch, and the answer. A known key
// is returned with a fetch as well.
func (s *Set) join(kid string, now time.Time) (f *flight, late bool, known *rsa.PublicKey, err error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	set := s.current.Load()
	known = set.usable(kid, now)
	switch {
	case set.fresh(now) && known != nil: // another request has just fetched it
		return nil, false, known, nil
	case set.fresh(now):
		if f = s.unknownFlight(now, kid); f == nil {
			return nil, false, nil, s.unknownErr(now)
		}
	case s.flight != nil:
		f = s.flight
	case s.backingOff(now):
		if known != nil {
			return nil, false, known, nil
		}
		return nil, false, nil, s.unavailable(now)
	default:
		f = s.start(now)
	}
	// While refreshes fail, those whose key is known do not pay for each try.
	if known != nil && s.failures > 0 {
		return nil, false, known, nil
	}
	if len(f.asks.kids) < maxKids {
		f.asks.kids = append(f.asks.kids, kid)
	} else {
		f.asks.many = true
	}
	return f, f.read, known, nil
}

// missing returns the error for an id that is not there after f.
func (s *Set) missing(f *flight, now time.Time) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	if f.err != nil {
		return s.unavailable(now)
	}
	return s.unknownErr(now)
}

// unknownErr returns the error for an id that the set does not hold. The caller
// holds mu.
func (s *Set) unknownErr(now time.Time) error {
	if s.failures > 0 {
		return s.unavailable(now)
	}
	return ErrUnknownKey
}

// unknownFlight returns the fetch that a token without a fitting key may wait
// for: the one under way, or a new one if there is one left for such tokens, or
// none. The caller holds mu.
func (s *Set) unknownFlight(now time.Time, kid string) *flight {
	switch {
	case s.flight != nil:
		return s.flight
	case s.backingOff(now), !s.unknown.take(now, kid):
		return nil
	default:
		f := s.start(now)
		f.paid = true
		return f
	}
}

// backingOff reports whether it is too early to try again after a failure. A moment
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
