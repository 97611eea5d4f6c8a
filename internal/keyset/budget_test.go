package keyset

import (
	"fmt"
	"testing"
	"time"
)

func TestBudget(t *testing.T) {
	start := time.Unix(1790000000, 0)
	b := &budget{}
	take := func(after time.Duration, kid string, want bool) {
		t.Helper()
		if got := b.take(start.Add(after), kid); got != want {
			t.Fatalf("after %v, %s: %v", after, kid, got)
		}
	}
	for i := range unknownBurst {
		take(0, fmt.Sprint(i), true)
	}
	take(0, "x", false)
	take(unknownInterval-1, "x", false)
	take(unknownInterval, "x", true)
	take(unknownInterval, "y", false)
	take(time.Hour, "y", true) // an hour accumulates at most a burst
	b.missed("y")
	take(time.Hour, "y", true)
	take(time.Hour, "y", false) // the last one is reserved for others
	take(time.Hour, "z", true)
	take(time.Hour, "u", false)
	take(time.Hour-time.Minute, "u", false) // a clock that goes back adds nothing
	take(time.Hour-time.Minute+unknownInterval, "u", true)
	for i := range 10 * maxRecent {
		b.missed(fmt.Sprint(i))
	}
	if len(b.recent) > maxRecent {
		t.Errorf("%d ids are remembered", len(b.recent))
	}
}
