// Package introspect asks somebody else about credentials, and remembers for a
// while what was said: what RFC 7662 calls introspection, kept affordable.
//
// One credential is asked about by one call at a time, whoever waits for it; the
// number of calls at a time is bounded, and who comes beyond it is told so at
// once; answers are kept by a digest of the credential, never by itself, for as
// long as they may be believed, and their number is bounded.
package introspect

import (
	"context"
	"errors"
	"sync"
	"time"
)

// Key is a digest of a credential.
type Key [32]byte

// Ask asks about one credential. It returns what it is and until when that may be
// repeated, or a [Refusal], or another error if nobody could tell.
type Ask[T any] func(ctx context.Context) (value T, until time.Time, err error)

// Recall looks for an answer where others may have left one. It is cheap, and need
// not know any.
type Recall[T any] func(ctx context.Context) (value T, until time.Time, ok bool)

// Refusal is the answer that a credential is not good. It is remembered.
type Refusal struct{ Reason error }

func (r *Refusal) Error() string { return "credential is refused: " + r.Reason.Error() }

// Unwrap returns the reason.
func (r *Refusal) Unwrap() error { return r.Reason }

// Busy says that nothing was asked, because too much is being asked already or
// because asking is of no use before a while.
type Busy struct {
	Cause      error // why it is of no use; nil if there is too much
	RetryAfter time.Duration
}

func (b *Busy) Error() string {
	if b.Cause != nil {
		return "not asking for a while: " + b.Cause.Error()
	}
	return "too many questions at a time"
}

// Unwrap returns the cause.
func (b *Busy) Unwrap() error { return b.Cause }

// Limits bound what a Desk does.
type Limits struct {
	// Calls is how many calls there are at a time, of which Strangers at most are
	// about credentials that were never found good: who makes up credentials does
	// not keep those out that have been let in before.
	Calls, Strangers int
	// Recalls is how many questions there are at a time to a [Recall]. Those beyond
	// it do without.
	Recalls int
	// Timeout ends a call.
	Timeout time.Duration
	// Remembered is how many good credentials are remembered, and how many bad
	// ones; Bytes how much the good ones may take.
	Remembered, Bytes int
	// Refused is how long a refusal is remembered.
	Refused time.Duration
	// RefusedPerSecond is how many strangers a second may be asked about in vain
	// before others have to wait, after RefusedAtOnce of them: refused, or with no
	// answer at all.
	RefusedPerSecond, RefusedAtOnce float64
	// Probe is how often a regular is asked about during a pause.
	Probe time.Duration
}

// Desk is where questions are asked. It is safe for concurrent use; its calls end
// with their timeout, and there is nothing to close.
type Desk[T any] struct {
	limits Limits
	now    func() time.Time
	size   func(T) int

	mu        sync.Mutex
	good      *memory[good[T]]
	bad       *memory[bad]
	calls     map[Key]*call[T]
	asking    int     // calls that ask
	strangers int     // of these, about strangers
	recalling int     // calls that only recall
	refusals  float64 // and failures about strangers, that are not made up for by time yet
	refusedAt time.Time
	paused    *Busy
	pausedTo  time.Time
	probedAt  time.Time
}

type good[T any] struct {
	value    T
	at, till time.Time
}

type bad struct {
	err      error
	at, till time.Time
}

type call[T any] struct {
	done     chan struct{}
	asks     bool // it has one of the places of those who ask
	stranger bool
	value    T
	err      error
}

// New returns a Desk; size tells how many bytes a value takes.
func New[T any](limits Limits, now func() time.Time, size func(T) int) *Desk[T] {
	return &Desk[T]{
		limits: limits,
		now:    now,
		size:   size,
		good:   newMemory[good[T]](limits.Remembered, limits.Bytes),
		bad:    newMemory[bad](limits.Remembered, limits.Remembered),
		calls:  make(map[Key]*call[T]),
	}
}

// Tell returns what is known about the credential with that digest, recalls it, or
// asks. recall may be nil. It waits no longer than ctx, whose end does not end the
// call: others may wait for it, too.
func (d *Desk[T]) Tell(ctx context.Context, key Key, recall Recall[T], ask Ask[T]) (T, error) {
	d.mu.Lock()
	value, known, err := d.known(key)
	if known {
		d.mu.Unlock()
		return value, err
	}
	c := d.calls[key]
	if c == nil {
		_, seen := d.good.get(key)
		c = &call[T]{done: make(chan struct{}), stranger: !seen}
		if recall != nil && d.recalling < d.limits.Recalls {
			d.recalling++
		} else if recall, err = nil, d.admit(c); err != nil {
			d.mu.Unlock()
			return value, err
		}
		d.calls[key] = c
		go d.run(c, key, recall, ask)
	}
	d.mu.Unlock()
	select {
	case <-c.done:
		return c.value, c.err
	case <-ctx.Done():
		return value, context.Cause(ctx)
	}
}

// known returns what is remembered about key and may still be said. A moment in the
// future is of a clock that has gone back since. The caller holds mu.
func (d *Desk[T]) known(key Key) (value T, known bool, err error) {
	now := d.now()
	if g, ok := d.good.get(key); ok && !now.Before(g.at) && now.Before(g.till) {
		return g.value, true, nil
	}
	if b, ok := d.bad.get(key); ok && !now.Before(b.at) && now.Before(b.till) {
		return value, true, b.err
	}
	return value, false, nil
}

// admit lets c ask, if there may be one more. The caller holds mu.
func (d *Desk[T]) admit(c *call[T]) error {
	now := d.now()
	if left := d.pausedTo.Sub(now); d.paused != nil && left > 0 && left <= d.paused.RetryAfter {
		since := now.Sub(d.probedAt)
		if c.stranger || since >= 0 && since < d.limits.Probe || d.asking >= d.limits.Calls {
			return &Busy{Cause: d.paused.Cause, RetryAfter: left}
		}
		d.probedAt = now
	}
	if d.asking >= d.limits.Calls || c.stranger && (d.strangers >= d.limits.Strangers || d.floodedWith(now)) {
		return &Busy{RetryAfter: time.Second}
	}
	c.asks = true
	d.asking++
	if c.stranger {
		d.strangers++
	}
	return nil
}

// floodedWith tells whether there were more refusals than there may be. The caller
// holds mu.
func (d *Desk[T]) floodedWith(now time.Time) bool {
	if passed := now.Sub(d.refusedAt); passed != 0 {
		// A clock that went back makes up for everything.
		if d.refusals -= passed.Seconds() * d.limits.RefusedPerSecond; d.refusals < 0 || passed < 0 {
			d.refusals = 0
		}
		d.refusedAt = now
	}
	return d.refusals >= d.limits.RefusedAtOnce
}

// Pause keeps the Desk from asking about strangers for so long, because of cause, and
// from asking more than a few times about others. A longer pause goes on.
func (d *Desk[T]) Pause(after time.Duration, cause error) {
	d.mu.Lock()
	defer d.mu.Unlock()
	now := d.now()
	if left := d.pausedTo.Sub(now); d.paused != nil && left > after && left <= d.paused.RetryAfter {
		return
	}
	d.paused, d.pausedTo = &Busy{Cause: cause, RetryAfter: after}, now.Add(after)
}

var errPanic = errors.New("asking about a credential panicked")

// run recalls or asks, and remembers the answer. A panic on what came back is a
// failure of that call, not the end of the server.
func (d *Desk[T]) run(c *call[T], key Key, recall Recall[T], ask Ask[T]) {
	var until time.Time
	c.err = errPanic
	defer func() {
		_ = recover() //nolint:errcheck // what was panicked with may hold the credential
		d.settle(c, key, until)
	}()
	if recall != nil {
		ctx, cancel := context.WithTimeout(context.Background(), d.limits.Timeout)
		defer cancel()
		value, till, ok := recall(ctx)
		if ok {
			c.value, until, c.err = value, till, nil
			return
		}
		d.mu.Lock()
		err := d.admit(c)
		if err == nil {
			d.recalling--
		}
		d.mu.Unlock()
		if err != nil {
			c.err = err
			return
		}
	}
	ctx, cancel := context.WithTimeout(context.Background(), d.limits.Timeout)
	defer cancel()
	value, till, err := ask(ctx)
	if c.err = err; err == nil {
		c.value, until = value, till
	}
}

func (d *Desk[T]) settle(c *call[T], key Key, until time.Time) {
	d.mu.Lock()
	defer d.mu.Unlock()
	defer close(c.done)
	delete(d.calls, key)
	if c.asks {
		d.asking--
	} else {
		d.recalling--
	}
	if c.asks && c.stranger {
		d.strangers--
	}
	now := d.now()
	var refusal *Refusal
	switch {
	case c.err == nil:
		d.bad.drop(key)
		d.good.put(key, good[T]{c.value, now, until}, d.size(c.value))
	case errors.As(c.err, &refusal):
		d.good.drop(key)
		d.bad.put(key, bad{c.err, now, now.Add(d.limits.Refused)}, 1)
	}
	if c.err != nil && c.asks && c.stranger {
		d.floodedWith(now)
		d.refusals++
	}
}
