package keyset

import "time"

// budget bounds the fetches that are caused by tokens which no key fits: a burst,
// and one more each UnknownInterval. The last one of a burst is kept for ids that
// were not looked for lately, so that a client that repeats one bad token does not
// delay a key that was rotated in.
type budget struct {
	spent  int       // of the burst
	refill time.Time // when spent last became less, or began to be more than 0
	recent map[string]struct{}
}

const (
	// UnknownBurst is how many fetches may be caused at once by tokens that no key
	// fits.
	UnknownBurst = 3
	// UnknownInterval is the time after which such tokens may cause one more.
	UnknownInterval = 30 * time.Second
	// maxRecent is how many ids are remembered that were looked for.
	maxRecent = 256
)

// take reports whether a fetch for kid may begin, and counts it.
func (b *budget) take(now time.Time, kid string) bool {
	b.earn(now)
	_, again := b.recent[kid]
	left := UnknownBurst - b.spent
	if left < 1 || again && left < 2 {
		return false
	}
	b.spend(now)
	return true
}

// spend counts a fetch, if there is one left.
func (b *budget) spend(now time.Time) {
	b.earn(now)
	if b.spent == 0 {
		b.refill = now
	}
	b.spent = min(b.spent+1, UnknownBurst)
}

// earn gives back one fetch for each interval that has passed.
func (b *budget) earn(now time.Time) {
	since := now.Sub(b.refill)
	switch n := int64(since / UnknownInterval); {
	case since < 0: // the clock went back: nothing is known of what has passed
		b.refill = now
	case n >= int64(b.spent):
		b.spent = 0
	default:
		b.spent -= int(n)
		b.refill = b.refill.Add(time.Duration(n) * UnknownInterval)
	}
}

// missed remembers that kid was looked for and not found.
func (b *budget) missed(kid string) {
	if b.recent == nil || len(b.recent) >= maxRecent {
		b.recent = map[string]struct{}{}
	}
	b.recent[kid] = struct{}{}
}
