package introspect

import (
	"container/list"
	"time"
)

const (
	// unseenSlots and seenSlots are how many calls run at a time.
	unseenSlots, seenSlots = 24, 32
	// maxPending is how many calls may wait for a slot at a time.
	maxPending = 1024
)

// queue bounds the calls that run at a time, and holds those that wait for a slot. It
// is guarded by the Verifier's mutex.
type queue struct {
	slots, running int
	pending        list.List // of chan struct{}, each closed when its call may run; the oldest first
	rate           *rate     // nil: as many as there are slots for
	timed          bool      // a timer will call advance

	reason error     // why calls are paused
	until  time.Time // when they are no longer
	long   bool      // so long that no call waits for it
}

// delay returns for how long no further call may run: 0 if one may, less than 0 if a
// slot has to be released first.
func (q *queue) delay(now time.Time) time.Duration {
	if left := q.until.Sub(now); left > 0 {
		return left
	}
	if q.running >= q.slots {
		return -1
	}
	if q.rate != nil {
		return q.rate.delay(now)
	}
	return 0
}

// take takes a slot, for which there was no delay.
func (q *queue) take(now time.Time) {
	q.running++
	if q.rate != nil {
		q.rate.take(now)
	}
}

// pause pauses calls for d, unless they are paused for longer.
func (q *queue) pause(now time.Time, d time.Duration, reason error) {
	if until := now.Add(d); until.After(q.until) {
		q.reason, q.until, q.long = reason, until, d > patience
	}
}

// busy returns the error for a call that cannot run.
func (q *queue) busy(now time.Time) *Busy {
	if left := q.until.Sub(now); left > 0 {
		return &Busy{Cause: q.reason, RetryAfter: left}
	}
	return &Busy{RetryAfter: time.Second}
}

// acquire takes a slot of q, and waits for one until latest. Its error is a *Busy.
func (v *Verifier[T]) acquire(q *queue, latest time.Time) error {
	v.mu.Lock()
	now := time.Now()
	if q.pending.Len() == 0 && q.delay(now) == 0 {
		q.take(now)
		v.mu.Unlock()
		return nil
	}
	if q.pending.Len() >= maxPending || q.long && q.until.After(now) || !now.Before(latest) {
		defer v.mu.Unlock()
		return q.busy(now)
	}
	turn := make(chan struct{})
	place := q.pending.PushBack(turn)
	v.advance(q)
	v.mu.Unlock()

	timer := time.NewTimer(latest.Sub(now))
	defer timer.Stop()
	select {
	case <-turn:
		return nil
	case <-timer.C:
	}
	v.mu.Lock()
	defer v.mu.Unlock()
	select {
	case <-turn:
		return nil // at the last moment
	default:
		q.pending.Remove(place)
		return q.busy(time.Now())
	}
}

// release gives back a slot of q, and adjusts both queues to the error of its call.
func (v *Verifier[T]) release(q *queue, err error) {
	v.mu.Lock()
	defer v.mu.Unlock()
	q.running--
	now := time.Now()
	if err == nil && q.rate != nil {
		q.rate.reward()
	}
	switch f := failureOf(err); f.Outcome {
	case RateLimited:
		v.unseen.pause(now, f.RetryAfter, f.Reason)
		v.unseen.rate.halve(now)
	case Unauthorized:
		v.unseen.pause(now, pauseUnseen, f.Reason)
		v.seen.pause(now, pauseSeen, f.Reason)
	}
	v.advance(q)
}

// advance lets pending calls run as far as they may. The caller holds mu.
func (v *Verifier[T]) advance(q *queue) {
	now := time.Now()
	for q.pending.Len() > 0 {
		delay := q.delay(now)
		if delay > 0 && !q.timed {
			q.timed = true
			time.AfterFunc(delay, func() {
				v.mu.Lock()
				defer v.mu.Unlock()
				q.timed = false
				v.advance(q)
			})
		}
		if delay != 0 {
			return
		}
		q.take(now)
		if turn, ok := q.pending.Remove(q.pending.Front()).(chan struct{}); ok {
			close(turn)
		}
	}
}
