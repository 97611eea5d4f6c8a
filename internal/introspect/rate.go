package introspect

import "time"

const (
	// firstRate is the rate, in calls a second, that a limit begins with.
	firstRate = 8
	// maxRate is the highest.
	maxRate = 100
)

// rate limits the calls for unseen credentials, most of which may be made up. It begins
// with firstRate calls a second: all of them at once in the first, evenly spread while
// more are waiting. Each second in which more were waiting, and no response was
// RateLimited, adds one call; such a response halves the rate. A call for a credential
// that turns out to be valid does not count, and earns one more, so that many valid ones
// that arrive at once, as after a restart, do not wait for long.
type rate struct {
	perSecond int       // at least 1
	next      time.Time // when a call may run
	earned    int       // calls that may run before that
	began     time.Time // the second that is being counted
	wanted    bool      // more calls were waiting, in this second
	fresh     bool      // none were in the second before
	halved    time.Time // when the rate was halved last
}

// delay returns for how long no call may run, 0 if one may.
func (r *rate) delay(now time.Time) time.Duration {
	if passed := now.Sub(r.began); passed >= time.Second {
		if r.wanted && r.halved.Before(r.began) {
			r.perSecond = min(r.perSecond+1, maxRate)
		}
		r.fresh = !r.wanted || passed >= 2*time.Second
		if r.began = r.began.Add(time.Second); r.fresh {
			r.began = now
		}
		r.wanted = false
	}
	wait := r.next.Sub(now)
	if r.earned > 0 || wait <= 0 {
		return 0
	}
	r.wanted = true
	return wait
}

// take counts a call, for which there was no delay.
func (r *rate) take(now time.Time) {
	switch {
	case r.next.After(now):
		r.earned--
	case r.fresh:
		r.fresh, r.earned, r.next = false, max(r.earned, r.perSecond-1), now.Add(time.Second)
	default:
		r.next = now.Add(r.interval())
	}
}

// interval returns the time between calls that are evenly spread.
func (r *rate) interval() time.Duration { return time.Second/time.Duration(r.perSecond) + 1 }

// reward is called after a call for a credential that turned out to be valid.
func (r *rate) reward() {
	if r.earned < unseenSlots {
		r.earned = min(r.earned+2, unseenSlots)
	}
}

// halve is called after a response that was RateLimited. Several within a second halve
// the rate once.
func (r *rate) halve(now time.Time) {
	r.earned, r.fresh, r.wanted = 0, false, true
	if now.Sub(r.halved) >= time.Second {
		r.perSecond, r.halved = max(r.perSecond/2, 1), now
	}
	r.next = now.Add(r.interval())
}
