package keyset

import "time"

// budget limits the fetches for tokens that no key fits: a burst, and one more each
// unknownInterval. The last one of a burst is kept for key ids that were not missed
// lately, so that a client that repeats one bad token does not delay the use of a new key.
type budget struct {
	spent  int                 // of the burst
	refill time.Time           // when spent last became less, or more than 0
	recent map[string]struct{} // ids that were missed
}

const (
	// unknownBurst is how many fetches there may be at once.
	unknownBurst = 3
	// unknownInterval is the time after which there may be one more.
	unknownInterval = 30 * time.Second
	// maxRecent bounds the ids that are remembered.
	maxRecent = 256
)

// take reports whether a fetch for kid may start, and if so, counts it.
func (b *budget) take(now time.Time, kid string) bool {
	b.earn(now)
	_, again := b.recent[kid]
	left := unknownBurst - b.spent
	if left < 1 || again && left < 2 {
		return false
	}
	b.spend(now)
	return true
}

// spend counts a fetch.
func (b *budget) spend(now time.Time) {
	b.earn(now)
	if b.spent == 0 {
		b.refill = now
	}
	b.spent = min(b.spent+1, unknownBurst)
}

// earn gives back one fetch for each interval that has passed.
func (b *budget) earn(now time.Time) {
	since := now.Sub(b.refill)
	switch n := int64(since / unknownInterval); {
	case since < 0: // the clock went back
		b.refill = now
	case n >= int64(b.spent):
		b.spent = 0
	default:
		b.spent -= int(n)
		b.refill = b.refill.Add(time.Duration(n) * unknownInterval)
	}
}

// missed remembers that no key with the id kid fits.
func (b *budget) missed(kid string) {
	if b.recent == nil || len(b.recent) >= maxRecent {
		b.recent = map[string]struct{}{}
	}
	b.recent[kid] = struct{}{}
}
