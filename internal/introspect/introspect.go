// Package introspect verifies opaque credentials with an authorization server (RFC 7662
// calls that introspection), caches the results, and bounds the load on the server.
//
// There is one call at a time for a credential, shared by all who wait for it. Calls for
// credentials that were valid before run in slots of their own, which calls for unseen
// credentials never take; the latter are limited in their rate as well. Results are
// cached under a digest of the credential, never under the credential itself, and the
// number and size of them are bounded.
package introspect

import (
	"context"
	"errors"
	"sync"
	"time"
)

const (
	// timeout bounds a call, including the time in which it waits for a slot.
	timeout = 3 * time.Second
	// Remembered is how long a failure is cached that is Invalid or Inconclusive.
	Remembered = 5 * time.Second
	// patience is how long a call may wait for a slot: some time has to be left for
	// the response.
	patience = 2500 * time.Millisecond
	// firstRetry is the time after which a call is repeated that was RateLimited, and
	// maxRetry that for each further time: often enough that a credential which was valid
	// before outlasts a limit that others use up. A call for an unseen credential still
	// waits for its slot after that.
	firstRetry = 250 * time.Millisecond
	maxRetry   = 500 * time.Millisecond
	// pauseUnseen and pauseSeen are how long no call is made after one was Unauthorized:
	// for unseen credentials, and for those that were valid before.
	pauseUnseen = 5 * time.Second
	pauseSeen   = time.Second
)

// Key is a digest of a credential.
type Key [32]byte

// Fetch asks the server about one credential. It returns the result and the time until
// which that may be reused. Its error is a [*Failure], or another error if the server
// did not respond.
type Fetch[T any] func(ctx context.Context) (value T, until time.Time, err error)

// Lookup looks for a result in a cache that others share. It bounds its own time and
// work.
type Lookup[T any] func() (value T, until time.Time, ok bool)

// Verifier verifies credentials of one kind. It is safe for concurrent use and need not
// be closed: its calls end with their timeout.
type Verifier[T any] struct {
	now  func() time.Time
	size func(T) int

	mu           sync.RWMutex
	valid        *cache[valid[T]]
	failed       *cache[failed]
	calls        map[Key]*call[T]
	unseen, seen queue // calls for credentials that were not, or were, valid before
}

const (
	// maxEntries bounds the valid and the failed credentials that are cached, each.
	maxEntries = 10_000
	// maxBytes bounds the size of the valid ones.
	maxBytes = 16 << 20
)

// valid is the result for a valid credential, and from when until when it is reused.
type valid[T any] struct {
	value    T
	at, till time.Time
}

// failed is the failure of another, and from when until when it is reused.
type failed struct {
	err      error
	at, till time.Time
}

type call[T any] struct {
	done  chan struct{}
	value T
	err   error
}

// New returns a Verifier. size returns how many bytes a value takes. now is the clock by
// which results expire.
func New[T any](now func() time.Time, size func(T) int) *Verifier[T] {
	return &Verifier[T]{
		now:    now,
		size:   size,
		valid:  newCache[valid[T]](maxEntries, maxBytes),
		failed: newCache[failed](maxEntries, maxEntries),
		calls:  make(map[Key]*call[T]),
		unseen: queue{slots: unseenSlots, rate: &rate{perSecond: firstRate}},
		seen:   queue{slots: seenSlots},
	}
}

// Cached returns the cached result for the credential with that digest. ok reports
// whether there is one that may still be reused.
func (v *Verifier[T]) Cached(key Key) (value T, ok bool, err error) {
	v.mu.RLock()
	defer v.mu.RUnlock()
	return v.cached(key)
}

// Verify returns the cached result for the credential with that digest, or else that of
// lookup, which may be nil, or else that of fetch. Its error is that of fetch, or a
// [*Busy]. It returns when ctx ends, which does not end the call: others may wait for
// it.
func (v *Verifier[T]) Verify(ctx context.Context, key Key, lookup Lookup[T], fetch Fetch[T]) (T, error) {
	v.mu.Lock()
	value, ok, err := v.cached(key)
	if ok {
		v.mu.Unlock()
		return value, err
	}
	c := v.calls[key]
	if c == nil {
		q := &v.unseen
		if _, seen := v.valid.get(key); seen {
			q = &v.seen
		}
		c = &call[T]{done: make(chan struct{})}
		v.calls[key] = c
		go v.run(c, q, key, lookup, fetch)
	}
	v.mu.Unlock()
	select {
	case <-c.done:
		return c.value, c.err
	case <-ctx.Done():
		return value, context.Cause(ctx)
	}
}

// cached is Cached for a caller that holds mu. A result of the future was cached before
// the clock went back.
func (v *Verifier[T]) cached(key Key) (value T, ok bool, err error) {
	now := v.now()
	if r, ok := v.valid.get(key); ok && !now.Before(r.at) && now.Before(r.till) {
		return r.value, true, nil
	}
	if r, ok := v.failed.get(key); ok && !now.Before(r.at) && now.Before(r.till) {
		return value, true, r.err
	}
	return value, false, nil
}

var errPanic = errors.New("verifying a credential panicked")

// run looks up or fetches the result of c, and caches it. A panic, on what a server
// responded with, fails this call alone.
func (v *Verifier[T]) run(c *call[T], q *queue, key Key, lookup Lookup[T], fetch Fetch[T]) {
	var until time.Time
	c.err = errPanic
	defer func() {
		_ = recover() //nolint:errcheck // what was panicked with may hold the credential
		v.finish(c, key, until)
	}()
	latest := time.Now().Add(patience)
	ctx, cancel := context.WithTimeout(context.Background(), timeout)
	defer cancel()
	if lookup != nil {
		if value, till, ok := lookup(); ok {
			c.value, until, c.err = value, till, nil
			return
		}
	}
	for retry := firstRetry; ; retry = maxRetry {
		if err := v.acquire(q, latest); err != nil {
			c.err = err
			return
		}
		value, till, err := v.fetch(ctx, q, fetch)
		f := failureOf(err)
		if f.Outcome == RateLimited && time.Until(latest) > retry && (q == &v.seen || f.RetryAfter <= patience) {
			time.Sleep(retry)
			continue
		}
		if c.err = err; err == nil {
			c.value, until = value, till
		}
		return
	}
}

// fetch calls fetch in a slot of q that was acquired, and releases it.
func (v *Verifier[T]) fetch(ctx context.Context, q *queue, fetch Fetch[T]) (value T, till time.Time, err error) {
	err = errPanic
	defer func() { v.release(q, err) }()
	return fetch(ctx)
}

// finish ends c for all who wait for it, and caches its result.
func (v *Verifier[T]) finish(c *call[T], key Key, until time.Time) {
	v.mu.Lock()
	defer v.mu.Unlock()
	defer close(c.done)
	delete(v.calls, key)
	now := v.now()
	if c.err == nil {
		v.failed.remove(key)
		v.valid.put(key, valid[T]{c.value, now, until}, v.size(c.value))
		return
	}
	switch failureOf(c.err).Outcome {
	case Invalid:
		v.valid.remove(key)
		v.failed.put(key, failed{c.err, now, now.Add(Remembered)}, 1)
	case Inconclusive:
		v.failed.put(key, failed{c.err, now, now.Add(Remembered)}, 1)
	}
}
