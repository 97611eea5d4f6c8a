// Package introspect asks an authorization server about credentials, and caches
// what it said: what RFC 7662 calls introspection, kept affordable.
//
// There is one call at a time about one credential, whoever waits for it. Calls
// about credentials that were found good before have places of their own, which
// those about unseen ones never take; calls about unseen ones are paced as well.
// Answers are kept by a digest of the credential, never by itself, for as long as
// they may be repeated, and their number and size are bounded.
package introspect

import (
	"context"
	"errors"
	"sync"
	"time"
)

const (
	// Timeout is how long a call may take, with the time that it waits for its turn.
	Timeout = 3 * time.Second
	// Remembered is how long it is remembered that a credential is refused, or that
	// nothing can be learned about it.
	Remembered = 5 * time.Second
	// patience is how long a call may wait for its turn: some time has to be left for
	// the answer.
	patience = 2500 * time.Millisecond
	// firstRetry is after how long a call is made again for which there were too many,
	// and half of how long after that once more. Of unseen credentials, it has its turn
	// no earlier than all others.
	firstRetry = 250 * time.Millisecond
)

// Key is a digest of a credential.
type Key [32]byte

// Ask asks about one credential. It returns what it is and until when that may be
// repeated, or one of the errors [Refusal], [Outage], [TooMany] and [Closed], or
// another error if there was no answer.
type Ask[T any] func(ctx context.Context) (value T, until time.Time, err error)

// Recall looks for an answer where others may have left one. It bounds its own
// time and work, and need not find any.
type Recall[T any] func() (value T, until time.Time, ok bool)

// Refusal is the answer that a credential is not good. It is remembered.
type Refusal struct{ Reason error }

func (r *Refusal) Error() string { return "credential is refused: " + r.Reason.Error() }

// Unwrap returns the reason.
func (r *Refusal) Unwrap() error { return r.Reason }

// Outage is an answer that says nothing about the credential, nor about others. It
// is remembered for that credential alone.
type Outage struct{ Reason error }

func (o *Outage) Error() string { return "nothing is known about the credential: " + o.Reason.Error() }

// Unwrap returns the reason.
func (o *Outage) Unwrap() error { return o.Reason }

// TooMany is the answer that there are too many calls. Unseen credentials are not
// asked about for RetryAfter, and at half the pace after it. The call is made again
// while there is time.
type TooMany struct {
	Reason     error
	RetryAfter time.Duration
}

func (t *TooMany) Error() string { return "too many calls: " + t.Reason.Error() }

// Unwrap returns the reason.
func (t *TooMany) Unwrap() error { return t.Reason }

// Closed is the answer that whoever asks is not let in: it is of no use to go on
// asking for a while, which may be shorter for credentials that were seen.
type Closed struct {
	Reason       error
	Unseen, Seen time.Duration
}

func (c *Closed) Error() string { return "asking is refused: " + c.Reason.Error() }

// Unwrap returns the reason.
func (c *Closed) Unwrap() error { return c.Reason }

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

// Limits bound the memory of a Desk: how many good answers it keeps, and how many
// refusals, and how many bytes of good ones.
type Limits struct{ Answers, Bytes int }

// Desk is where questions are asked. It is safe for concurrent use; its calls end
// with their timeout, and there is nothing to close.
type Desk[T any] struct {
	now  func() time.Time
	size func(T) int

	mu           sync.RWMutex
	good         *memory[good[T]]
	bad          *memory[bad]
	calls        map[Key]*call[T]
	unseen, seen lane // calls about credentials that were not, or were, found good before
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
	done  chan struct{}
	value T
	err   error
}

// New returns a Desk; size tells how many bytes a value takes. now is the clock by
// which answers grow old.
func New[T any](limits Limits, now func() time.Time, size func(T) int) *Desk[T] {
	return &Desk[T]{
		now:    now,
		size:   size,
		good:   newMemory[good[T]](limits.Answers, limits.Bytes),
		bad:    newMemory[bad](limits.Answers, limits.Answers),
		calls:  make(map[Key]*call[T]),
		unseen: lane{places: unseenPlaces, pace: &pace{rate: firstRate}},
		seen:   lane{places: seenPlaces},
	}
}

// Known returns what is remembered about the credential with that digest, if
// anything is that may still be repeated.
func (d *Desk[T]) Known(key Key) (value T, known bool, err error) {
	d.mu.RLock()
	defer d.mu.RUnlock()
	return d.known(key)
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
		l := &d.unseen
		if _, seen := d.good.get(key); seen {
			l = &d.seen
		}
		c = &call[T]{done: make(chan struct{})}
		d.calls[key] = c
		go d.run(c, l, key, recall, ask)
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

var errPanic = errors.New("asking about a credential panicked")

// run recalls or asks, and remembers the answer. A panic on what came back is a
// failure of that call, not the end of the server.
func (d *Desk[T]) run(c *call[T], l *lane, key Key, recall Recall[T], ask Ask[T]) {
	var until time.Time
	c.err = errPanic
	defer func() {
		_ = recover() //nolint:errcheck // what was panicked with may hold the credential
		d.settle(c, key, until)
	}()
	latest := time.Now().Add(patience)
	ctx, cancel := context.WithTimeout(context.Background(), Timeout)
	defer cancel()
	if recall != nil {
		if value, till, ok := recall(); ok {
			c.value, until, c.err = value, till, nil
			return
		}
	}
	for again := firstRetry; ; again *= 2 {
		if err := d.enter(l, latest); err != nil {
			c.err = err
			return
		}
		value, till, err := d.inTurn(ctx, l, ask)
		var tooMany *TooMany
		if errors.As(err, &tooMany) && time.Until(latest) > again && (l == &d.seen || tooMany.RetryAfter <= patience) {
			time.Sleep(again)
			continue
		}
		if c.err = err; err == nil {
			c.value, until = value, till
		}
		return
	}
}

// inTurn asks, and leaves the place that was entered.
func (d *Desk[T]) inTurn(ctx context.Context, l *lane, ask Ask[T]) (value T, till time.Time, err error) {
	err = errPanic
	defer func() { d.leave(l, err) }()
	return ask(ctx)
}

// settle ends c for all who wait for it, and remembers what came of it.
func (d *Desk[T]) settle(c *call[T], key Key, until time.Time) {
	d.mu.Lock()
	defer d.mu.Unlock()
	defer close(c.done)
	delete(d.calls, key)
	now := d.now()
	var refusal *Refusal
	var outage *Outage
	switch {
	case c.err == nil:
		d.bad.drop(key)
		d.good.put(key, good[T]{c.value, now, until}, d.size(c.value))
	case errors.As(c.err, &refusal):
		d.good.drop(key)
		d.bad.put(key, bad{c.err, now, now.Add(Remembered)}, 1)
	case errors.As(c.err, &outage):
		d.bad.put(key, bad{c.err, now, now.Add(Remembered)}, 1)
	}
}
