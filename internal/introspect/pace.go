package introspect

import "time"

const (
	// firstRate is how many calls a second a pace begins with.
	firstRate = 8
	// maxRate is where it ends.
	maxRate = 100
)

// pace is how fast it is asked about unseen credentials, of which most may be made
// up. It begins with firstRate calls a second: all of them at once in the first, and
// evenly spread as long as more are wanted. Each second in which more were wanted, and
// in which nobody said that there are too many, adds one; whoever says so halves them.
// A credential that turns out to be good gives its call back, and earns one more: many
// good ones that come at once, as after a start, do not wait for long.
type pace struct {
	rate   int       // calls a second, at least 1
	next   time.Time // when there may be one
	earned int       // that there may be beside these
	began  time.Time // the second that is looked at
	wanted bool      // more calls, in this second
	fresh  bool      // no more were wanted in the second before
	slowed time.Time // when there were too many last
}

// room returns how long there may be no call: 0 if there may be one.
func (p *pace) room(now time.Time) time.Duration {
	if passed := now.Sub(p.began); passed >= time.Second {
		if p.wanted && p.slowed.Before(p.began) {
			p.rate = min(p.rate+1, maxRate)
		}
		p.fresh = !p.wanted || passed >= 2*time.Second
		if p.began = p.began.Add(time.Second); p.fresh {
			p.began = now
		}
		p.wanted = false
	}
	wait := p.next.Sub(now)
	if p.earned > 0 || wait <= 0 {
		return 0
	}
	p.wanted = true
	return wait
}

// take counts a call, for which there was room.
func (p *pace) take(now time.Time) {
	switch {
	case p.next.After(now):
		p.earned--
	case p.fresh:
		p.fresh, p.earned, p.next = false, max(p.earned, p.rate-1), now.Add(time.Second)
	default:
		p.next = now.Add(p.gap())
	}
}

// gap is how far calls are apart.
func (p *pace) gap() time.Duration { return time.Second/time.Duration(p.rate) + 1 }

// good says that a call was about a good credential.
func (p *pace) good() {
	if p.earned < unseenPlaces {
		p.earned = min(p.earned+2, unseenPlaces)
	}
}

// slow says that there are too many calls. Several answers may say so of one moment.
func (p *pace) slow(now time.Time) {
	p.earned, p.fresh, p.wanted = 0, false, true
	if now.Sub(p.slowed) >= time.Second {
		p.rate, p.slowed = max(p.rate/2, 1), now
	}
	p.next = now.Add(p.gap())
}
