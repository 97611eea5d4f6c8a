package introspect

import "time"

const (
	// firstRate is how many calls a second a pace begins with.
	firstRate = 8
	// maxRate is where it ends.
	maxRate = 100
)

// pace is how fast it is asked about unseen credentials, of which most may be made
// up. It begins with firstRate calls a second. Each second that used them up, and
// in which nobody said that there are too many, adds one; whoever says so halves
// them. A credential that turns out to be good gives its call back, and earns one
// more: many good ones that come at once, as after a start, are not kept waiting.
type pace struct {
	rate   int       // calls a second, at least 1
	left   int       // of them, in this second
	began  time.Time // this second
	slowed time.Time // when there were too many last
	spent  bool      // the calls of this second were used up
}

// room returns how long there may be no call: 0 if there may be one.
func (p *pace) room(now time.Time) time.Duration {
	if passed := now.Sub(p.began); passed >= time.Second {
		if p.spent && p.slowed.Before(p.began) {
			p.rate = min(p.rate+1, maxRate)
		}
		p.left, p.spent = max(p.left, p.rate), false
		if p.began = p.began.Add(time.Second); passed >= 2*time.Second {
			p.began = now
		}
	}
	if p.left > 0 {
		return 0
	}
	p.spent = true
	return time.Second - now.Sub(p.began)
}

// good says that a call was about a good credential.
func (p *pace) good() {
	if most := max(p.rate, unseenPlaces); p.left < most {
		p.left = min(p.left+2, most)
	}
}

// slow says that there are too many calls. Several answers may say so of one moment.
func (p *pace) slow(now time.Time) {
	p.left = 0
	if now.Sub(p.slowed) >= time.Second {
		p.rate, p.slowed = max(p.rate/2, 1), now
	}
}
