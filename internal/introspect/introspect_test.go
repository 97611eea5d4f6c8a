package introspect

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"
)

var limits = Limits{Calls: 4, Strangers: 2, Timeout: 3 * time.Second, Remembered: 3, Refused: 5 * time.Second}

func key(i int) Key { return Key{byte(i), byte(i >> 8)} }

// bubble runs a test in virtual time, with a Desk and a count of its calls.
func bubble(t *testing.T, f func(*testing.T, *Desk[string], *atomic.Int64)) {
	t.Helper()
	synctest.Test(t, func(t *testing.T) {
		f(t, New[string](limits, time.Now), new(atomic.Int64))
	})
}

// good asks about a credential that is good for so long.
func goodFor(calls *atomic.Int64, ttl, takes time.Duration) Ask[string] {
	return func(context.Context) (string, time.Time, error) {
		asked := time.Now()
		calls.Add(1)
		time.Sleep(takes)
		return "jane", asked.Add(ttl), nil
	}
}

func TestAnswersAreRepeatedUntilTheyMayNot(t *testing.T) {
	bubble(t, func(t *testing.T, d *Desk[string], calls *atomic.Int64) {
		ask := goodFor(calls, 30*time.Second, time.Second)
		for i, want := range []int64{1, 1, 1, 2} {
			if v, err := d.Tell(t.Context(), key(1), ask); v != "jane" || err != nil || calls.Load() != want {
				t.Errorf("%d: %q, %v, %d calls", i, v, err, calls.Load())
			}
			time.Sleep(10 * time.Second)
		}
	})
}

func TestRefusalsAreRepeatedForAWhile(t *testing.T) {
	bubble(t, func(t *testing.T, d *Desk[string], calls *atomic.Int64) {
		no := errors.New("no")
		ask := func(context.Context) (string, time.Time, error) {
			calls.Add(1)
			return "jane", time.Now().Add(time.Hour), &Refusal{no}
		}
		for i, want := range []int64{1, 1, 1, 2} {
			if v, err := d.Tell(t.Context(), key(1), ask); v != "" || !errors.Is(err, no) || calls.Load() != want {
				t.Errorf("%d: %q, %v, %d calls", i, v, err, calls.Load())
			}
			time.Sleep(2 * time.Second)
		}
		// One that was good is not, from the moment when that is known.
		if _, err := d.Tell(t.Context(), key(2), goodFor(calls, 0, 0)); err != nil {
			t.Fatal(err)
		}
		for range 2 {
			if _, err := d.Tell(t.Context(), key(2), ask); !errors.Is(err, no) {
				t.Error(err)
			}
		}
	})
}

func TestFailuresAreNotRemembered(t *testing.T) {
	bubble(t, func(t *testing.T, d *Desk[string], calls *atomic.Int64) {
		for _, ask := range []Ask[string]{
			func(context.Context) (string, time.Time, error) {
				return "jane", time.Now().Add(time.Hour), errors.New("away")
			},
			func(context.Context) (string, time.Time, error) { panic("odd") },
			func(ctx context.Context) (string, time.Time, error) { <-ctx.Done(); return "", time.Time{}, ctx.Err() },
		} {
			began := time.Now()
			if _, err := d.Tell(t.Context(), key(1), ask); err == nil {
				t.Error("it did not fail")
			}
			if took := time.Since(began); took > limits.Timeout {
				t.Errorf("it took %v", took)
			}
		}
		if v, err := d.Tell(t.Context(), key(1), goodFor(calls, time.Hour, 0)); v != "jane" || err != nil {
			t.Error(v, err)
		}
	})
}

func TestOneCallForAllWhoWait(t *testing.T) {
	bubble(t, func(t *testing.T, d *Desk[string], calls *atomic.Int64) {
		first, cancel := context.WithCancel(t.Context())
		ask := goodFor(calls, time.Minute, 2*time.Second)
		var wg sync.WaitGroup
		wg.Go(func() {
			if _, err := d.Tell(first, key(1), ask); !errors.Is(err, context.Canceled) {
				t.Error(err)
			}
		})
		synctest.Wait()
		for range 1000 {
			wg.Go(func() {
				if v, err := d.Tell(t.Context(), key(1), ask); v != "jane" || err != nil {
					t.Error(v, err)
				}
			})
		}
		synctest.Wait()
		cancel() // the one who asked first goes away, the call goes on
		wg.Wait()
		if calls.Load() != 1 {
			t.Errorf("%d calls", calls.Load())
		}
	})
}

func TestCallsAreBounded(t *testing.T) {
	bubble(t, func(t *testing.T, d *Desk[string], calls *atomic.Int64) {
		for i := range 3 { // regulars
			if _, err := d.Tell(t.Context(), key(i), goodFor(calls, 0, 0)); err != nil {
				t.Fatal(err)
			}
		}
		slow := goodFor(calls, 0, time.Second)
		var busy atomic.Int64
		var wg sync.WaitGroup
		tell := func(k Key) {
			wg.Go(func() {
				_, err := d.Tell(t.Context(), k, slow)
				var b *Busy
				if errors.As(err, &b) && b.RetryAfter > 0 {
					busy.Add(1)
				} else if err != nil {
					t.Error(err)
				}
			})
		}
		calls.Store(0)
		for i := range 100 {
			tell(key(1000 + i))
		}
		synctest.Wait()
		if calls.Load() != int64(limits.Strangers) || busy.Load() != 98 {
			t.Errorf("%d calls, %d told that it is too much", calls.Load(), busy.Load())
		}
		for i := range 3 {
			tell(key(i)) // strangers do not keep regulars out; all together are bounded
		}
		synctest.Wait()
		if calls.Load() != int64(limits.Calls) || busy.Load() != 99 {
			t.Errorf("%d calls, %d told that it is too much", calls.Load(), busy.Load())
		}
		wg.Wait()
		tell(key(5000)) // and it is over
		wg.Wait()
		if busy.Load() != 99 {
			t.Error("it stays busy")
		}
	})
}

func TestPause(t *testing.T) {
	bubble(t, func(t *testing.T, d *Desk[string], calls *atomic.Int64) {
		cause := errors.New("slow down")
		if _, err := d.Tell(t.Context(), key(1), goodFor(calls, time.Minute, 0)); err != nil {
			t.Fatal(err)
		}
		d.Pause(10*time.Second, cause)
		time.Sleep(4 * time.Second)
		var b *Busy
		if _, err := d.Tell(t.Context(), key(2), goodFor(calls, 0, 0)); !errors.As(err, &b) || !errors.Is(err, cause) || b.RetryAfter != 6*time.Second {
			t.Error(err, b)
		}
		if _, err := d.Tell(t.Context(), key(1), goodFor(calls, 0, 0)); err != nil {
			t.Errorf("what is known is not told: %v", err)
		}
		time.Sleep(6 * time.Second)
		if _, err := d.Tell(t.Context(), key(2), goodFor(calls, 0, 0)); err != nil {
			t.Error(err)
		}
	})
}

// TestMemoryIsBounded: the oldest go, of the good and of the bad apart.
func TestMemoryIsBounded(t *testing.T) {
	bubble(t, func(t *testing.T, d *Desk[string], calls *atomic.Int64) {
		refuse := func(context.Context) (string, time.Time, error) {
			return "", time.Time{}, &Refusal{errors.New("no")}
		}
		for i := range 3 {
			_, _ = d.Tell(t.Context(), key(i), goodFor(calls, time.Hour, 0))
		}
		for i := range 1000 {
			_, _ = d.Tell(t.Context(), key(100+i), refuse)
		}
		if good, bad := len(d.good.places), len(d.bad.places); good != 3 || bad != 3 || d.bad.order.Len() != 3 || len(d.calls) != 0 {
			t.Errorf("%d good, %d bad", good, bad)
		}
		_, _ = d.Tell(t.Context(), key(3), goodFor(calls, time.Hour, 0))
		calls.Store(0)
		for i, want := range []int64{1, 1, 1, 1} { // the first was forgotten, and pushes out the second
			_, _ = d.Tell(t.Context(), key([]int{2, 3, 3, 0}[i]), goodFor(calls, time.Hour, 0))
			if i == 3 && calls.Load() != want {
				t.Errorf("%d calls", calls.Load())
			}
		}
	})
}

// TestClockGoesBack: what was said in a future is not repeated.
func TestClockGoesBack(t *testing.T) {
	now := time.Unix(1_800_000_000, 0)
	d := New[string](limits, func() time.Time { return now })
	var calls atomic.Int64
	ask := func(context.Context) (string, time.Time, error) {
		return fmt.Sprint(calls.Add(1)), now.Add(30 * time.Second), nil
	}
	_, _ = d.Tell(t.Context(), key(1), ask)
	d.Pause(time.Second, errors.New("slow down"))
	now = now.Add(-time.Hour)
	if v, err := d.Tell(t.Context(), key(1), ask); v != "2" || err != nil {
		t.Error(v, err)
	}
}
