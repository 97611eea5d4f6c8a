// Package keyset caches the public keys of one Clerk instance. Keys are fetched when
// they are first needed, refreshed before they expire, and kept during an outage for a
// limited time. Tokens with made-up key ids cause fetches at a limited rate only.
//
// The package makes no requests: its sources do. It starts no goroutine that outlives a
// fetch, so there is nothing to close.
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

// How fresh keys are. Ages count from when a fetch began, never from a key's use.
const (
	// ttl is how long a set is used without a fetch, as in Clerk's SDKs, and so how
	// long a withdrawn key may go unnoticed.
	ttl = 5 * time.Minute
	// refreshAfter is the age from which a request starts a refresh without waiting for
	// it.
	refreshAfter = 4 * time.Minute
	// maxStale is how long a key stays usable while every refresh fails.
	maxStale = time.Hour
	// patience is how long a request whose key is known waits for the refresh of a set
	// that has expired. After that it uses the known key, until maxStale.
	patience = 500 * time.Millisecond
	// justFetched is the age below which a set is not fetched again for a key that was
	// replaced.
	justFetched = time.Second
	// fetchTimeout bounds a fetch.
	fetchTimeout = 5 * time.Second

	minBackoff    = time.Second
	maxBackoff    = 30 * time.Second
	maxRetryAfter = 5 * time.Minute // the longest that a source may ask to wait
)

// ErrUnknownKey indicates that the instance has no key with that id.
var ErrUnknownKey = errors.New("no key of this id")

// UnavailableError indicates that the keys could not be fetched, which says nothing
// about the token that needs one.
type UnavailableError struct {
	Cause      error
	RetryAfter time.Duration // until the next fetch; at least a second
	Public     bool          // it is the public set that could not be fetched
}

func (e *UnavailableError) Error() string { return fmt.Sprintf("keys are unavailable: %v", e.Cause) }

func (e *UnavailableError) Unwrap() error { return e.Cause }

// Source fetches the body of a JSON Web Key Set. It must return when ctx ends. If its
// error has a method RetryAfter() time.Duration, it is not called again for that long, or
// for 5 minutes if that is less.
type Source func(ctx context.Context) ([]byte, error)

// Set is the key set of one instance. It is created with [New] and safe for concurrent
// use.
type Set struct {
	pair *pair
	now  func() time.Time
	log  *slog.Logger

	current atomic.Pointer[snapshot]
	// retryAt is the time, in Unix nanoseconds, before which no fetch is started; 0
	// after one that succeeded. It is atomic, so that the fast path takes no lock.
	retryAt   atomic.Int64
	fetching  atomic.Bool
	witnessed atomic.Bool // see Witness

	mu       sync.Mutex
	fetch    *fetch
	failures int    // since the last fetch that succeeded
	lastErr  error  // of the last fetch, if it failed
	unknown  budget // for tokens that no key fits
	proof    attempts
}

// snapshot is the set as of one fetch. It is immutable.
type snapshot struct {
	keys map[string]servedKey
	at   time.Time // when the fetch began; zero if there is no good set
}

// fresh reports whether s can be used without a fetch. A negative age, after the clock
// went back, says nothing: such a set is not fresh.
func (s *snapshot) fresh(now time.Time) bool {
	age := s.age(now)
	return age >= 0 && age < ttl
}

func (s *snapshot) age(now time.Time) time.Duration {
	if s == nil {
		return -1
	}
	return now.Sub(s.at)
}

// usable returns the key with that id, and nil if there is none or if it is older than
// maxStale.
func (s *snapshot) usable(kid string, now time.Time) *rsa.PublicKey {
	if s == nil {
		return nil
	}
	if k := s.keys[kid]; k.usable(now) {
		return k.key
	}
	return nil
}

// New returns an empty Set that is filled from the sources.
func New(from Sources, now func() time.Time, log *slog.Logger) *Set {
	// The monotonic clock stops while a machine is suspended, but keys age all the same.
	wall := func() time.Time { return now().Round(0) }
	return &Set{pair: newPair(from, log), now: wall, log: log}
}

// Key returns the key with that id. While the set is fresh, a known key is returned at
// once and without a lock; otherwise Key waits for a fetch until ctx ends.
//
// Its error is [ErrUnknownKey], an [*UnavailableError], or that of ctx.
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

// Cached returns the key with that id if the set holds it now, and nil otherwise. It
// causes no fetch.
func (s *Set) Cached(kid string) *rsa.PublicKey { return s.current.Load().usable(kid, s.now()) }

// Replaced returns the key with that id if it differs from old, because an instance may
// publish a new key under an old id. It fetches the set if need be, at the rate that
// applies to unknown keys.
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
	f := s.unknownFetch(now, kid)
	if f != nil {
		s.unknown.missed(kid) // the key under it does not fit
	}
	s.mu.Unlock()
	if f == nil {
		return nil, false
	}
	key, err := s.await(ctx, f, 0, another)
	return key, err == nil && key != nil
}

// refreshAhead starts a fetch if the set is due for one, unless one is under way or
// failed just now.
func (s *Set) refreshAhead(now time.Time) {
	if s.fetching.Load() || s.backingOff(now) {
		return
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.fetch == nil && s.current.Load().age(now) >= refreshAfter {
		s.start(now)
	}
}

// fetchKey is Key for an id that the set does not hold, or no longer fresh.
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
			continue // the keys of f may be older than this token
		}
		return nil, s.missing(f, now)
	}
}

// join returns the fetch that a token with that key id has to wait for, whether its first
// source has responded already, and the key if it is known. It returns no fetch if known
// and err are the result.
func (s *Set) join(kid string, now time.Time) (f *fetch, late bool, known *rsa.PublicKey, err error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	set := s.current.Load()
	known = set.usable(kid, now)
	switch {
	case set.fresh(now) && known != nil: // fetched since the caller looked
		return nil, false, known, nil
	case set.fresh(now):
		if f = s.unknownFetch(now, kid); f == nil {
			return nil, false, nil, s.unknownErr(now)
		}
	case s.fetch != nil:
		f = s.fetch
	case s.backingOff(now):
		if known != nil {
			return nil, false, known, nil
		}
		return nil, false, nil, s.unavailable(now)
	default:
		f = s.start(now)
	}
	// While fetches fail, requests whose key is known do not wait for each of them.
	if known != nil && s.failures > 0 {
		return nil, false, known, nil
	}
	if len(f.need.kids) < maxKids {
		f.need.kids = append(f.need.kids, kid)
	} else {
		f.need.more = true
	}
	return f, f.firstRead, known, nil
}

// missing returns the error for an id that the set does not hold after f.
func (s *Set) missing(f *fetch, now time.Time) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	if f.err != nil {
		return s.unavailable(now)
	}
	return s.unknownErr(now)
}

// unknownErr returns the error for an id that the set does not hold: while fetches fail,
// a new key may have been missed. The caller holds mu.
func (s *Set) unknownErr(now time.Time) error {
	if s.failures > 0 {
		return s.unavailable(now)
	}
	return ErrUnknownKey
}

// unknownFetch returns the fetch that a token without a fitting key may wait for: the one
// under way, a new one if the budget allows it, or nil. The caller holds mu.
func (s *Set) unknownFetch(now time.Time, kid string) *fetch {
	switch {
	case s.fetch != nil:
		return s.fetch
	case s.backingOff(now), !s.unknown.take(now, kid):
		return nil
	default:
		f := s.start(now)
		f.charged = true
		return f
	}
}

// backingOff reports whether it is too early for a fetch after a failure. A time further
// ahead than any delay was set before the clock went back.
func (s *Set) backingOff(now time.Time) bool {
	left := s.retryAt.Load() - now.UnixNano()
	return left > 0 && left <= int64(maxRetryAfter)
}

// unavailable returns the error while fetches fail. The caller holds mu.
func (s *Set) unavailable(now time.Time) error {
	after := time.Unix(0, s.retryAt.Load()).Sub(now)
	return &UnavailableError{Cause: s.lastErr, RetryAfter: min(max(after, time.Second), maxRetryAfter)}
}
