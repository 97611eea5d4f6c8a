package introspect

import (
	"container/list"
	"errors"
	"time"
)

const (
	// unseenPlaces and seenPlaces are how many calls there are at a time.
	unseenPlaces, seenPlaces = 24, 32
	// maxWaiting is how many calls may wait for a place, or for the pace, at a time.
	maxWaiting = 1024
)

// lane is a bounded number of calls at a time, and the calls that wait to be among
// them. It is guarded by the Desk's mutex.
type lane struct {
	places, taken int
	waiting       list.List // of chan struct{}, closed when it is their turn; the oldest first
	pace          *pace     // nil: as many as there are places for
	alarmed       bool      // serve will be called when time has passed

	shut  error // why nothing is asked until then
	until time.Time
	long  bool // nobody waits for that
}

// room returns how long there is no room for one more call, as far as that is a
// matter of time: 0 if there is room, less if a place has to be left first.
func (l *lane) room(now time.Time) time.Duration {
	if left := l.until.Sub(now); left > 0 {
		return left
	}
	if l.taken >= l.places {
		return -1
	}
	if l.pace != nil {
		return l.pace.room(now)
	}
	return 0
}

func (l *lane) take(now time.Time) {
	l.taken++
	if l.pace != nil {
		l.pace.take(now)
	}
}

// close keeps the lane from asking for so long, unless it is closed for longer.
func (l *lane) close(now time.Time, after time.Duration, why error) {
	if until := now.Add(after); until.After(l.until) {
		l.shut, l.until, l.long = why, until, after > patience
	}
}

// busy returns what those are told who cannot be served.
func (l *lane) busy(now time.Time) *Busy {
	if left := l.until.Sub(now); left > 0 {
		return &Busy{Cause: l.shut, RetryAfter: left}
	}
	return &Busy{RetryAfter: time.Second}
}

// enter takes a place in l, and waits for one until latest.
func (d *Desk[T]) enter(l *lane, latest time.Time) error {
	d.mu.Lock()
	now := time.Now()
	if l.waiting.Len() == 0 && l.room(now) == 0 {
		l.take(now)
		d.mu.Unlock()
		return nil
	}
	if l.waiting.Len() >= maxWaiting || l.long && l.until.After(now) || !now.Before(latest) {
		defer d.mu.Unlock()
		return l.busy(now)
	}
	turn := make(chan struct{})
	place := l.waiting.PushBack(turn)
	d.serve(l)
	d.mu.Unlock()

	timer := time.NewTimer(latest.Sub(now))
	defer timer.Stop()
	select {
	case <-turn:
		return nil
	case <-timer.C:
	}
	d.mu.Lock()
	defer d.mu.Unlock()
	select {
	case <-turn:
		return nil // at the last moment
	default:
		l.waiting.Remove(place)
		return l.busy(time.Now())
	}
}

// leave gives a place back, and draws its conclusions from what came of the call.
func (d *Desk[T]) leave(l *lane, err error) {
	d.mu.Lock()
	defer d.mu.Unlock()
	l.taken--
	now := time.Now()
	var tooMany *TooMany
	var closed *Closed
	switch {
	case err == nil && l.pace != nil:
		l.pace.good()
	case errors.As(err, &tooMany):
		d.unseen.close(now, tooMany.RetryAfter, tooMany.Reason)
		d.unseen.pace.slow(now)
	case errors.As(err, &closed):
		d.unseen.close(now, closed.Unseen, closed.Reason)
		d.seen.close(now, closed.Seen, closed.Reason)
	}
	d.serve(l)
}

// serve gives those who wait their turn, as far as there is room. The caller holds
// mu.
func (d *Desk[T]) serve(l *lane) {
	now := time.Now()
	for l.waiting.Len() > 0 {
		after := l.room(now)
		if after > 0 && !l.alarmed {
			l.alarmed = true
			time.AfterFunc(after, func() {
				d.mu.Lock()
				defer d.mu.Unlock()
				l.alarmed = false
				d.serve(l)
			})
		}
		if after != 0 {
			return
		}
		l.take(now)
		if turn, ok := l.waiting.Remove(l.waiting.Front()).(chan struct{}); ok {
			close(turn)
		}
	}
}
