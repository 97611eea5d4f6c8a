package introspect

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"
)

var limits = Limits{
	Calls: 4, Strangers: 2, Recalls: 5, Timeout: 3 * time.Second, Remembered: 3, Bytes: 100, Refused: 5 * time.Second,
	RefusedPerSecond: 10, RefusedAtOnce: 2000, Probe: time.Second,
}

func size(s string) int { return len(s) }

func key(i int) Key { return Key{byte(i), byte(i >> 8)} }

// bubble runs a test in virtual time, with a Desk and a count of its calls.
func bubble(t *testing.T, f func(*testing.T, *Desk[string], *atomic.Int64)) {
	t.Helper()
	synctest.Test(t, func(t *testing.T) {
		f(t, New(limits, time.Now, size), new(atomic.Int64))
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
			if v, err := d.Tell(t.Context(), key(1), nil, ask); v != "jane" || err != nil || calls.Load() != want {
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
			if v, err := d.Tell(t.Context(), key(1), nil, ask); v != "" || !errors.Is(err, no) || calls.Load() != want {
				t.Errorf("%d: %q, %v, %d calls", i, v, err, calls.Load())
			}
			time.Sleep(2 * time.Second)
		}
		// One that was good is not, from the moment when that is known.
		if _, err := d.Tell(t.Context(), key(2), nil, goodFor(calls, 0, 0)); err != nil {
			t.Fatal(err)
		}
		for range 2 {
			if _, err := d.Tell(t.Context(), key(2), nil, ask); !errors.Is(err, no) {
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
			if _, err := d.Tell(t.Context(), key(1), nil, ask); err == nil {
				t.Error("it did not fail")
			}
			if took := time.Since(began); took > limits.Timeout {
				t.Errorf("it took %v", took)
			}
		}
		if v, err := d.Tell(t.Context(), key(1), nil, goodFor(calls, time.Hour, 0)); v != "jane" || err != nil {
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
			if _, err := d.Tell(first, key(1), nil, ask); !errors.Is(err, context.Canceled) {
				t.Error(err)
			}
		})
		synctest.Wait()
		for range 1000 {
			wg.Go(func() {
				if v, err := d.Tell(t.Context(), key(1), nil, ask); v != "jane" || err != nil {
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
			if _, err := d.Tell(t.Context(), key(i), nil, goodFor(calls, 0, 0)); err != nil {
				t.Fatal(err)
			}
		}
		slow := goodFor(calls, 0, time.Second)
		var busy atomic.Int64
		var wg sync.WaitGroup
		tell := func(k Key) {
			wg.Go(func() {
				_, err := d.Tell(t.Context(), k, nil, slow)
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
		if _, err := d.Tell(t.Context(), key(1), nil, goodFor(calls, time.Minute, 0)); err != nil {
			t.Fatal(err)
		}
		d.Pause(10*time.Second, cause)
		time.Sleep(4 * time.Second)
		var b *Busy
		if _, err := d.Tell(t.Context(), key(2), nil, goodFor(calls, 0, 0)); !errors.As(err, &b) || !errors.Is(err, cause) || b.RetryAfter != 6*time.Second {
			t.Error(err, b)
		}
		if _, err := d.Tell(t.Context(), key(1), nil, goodFor(calls, 0, 0)); err != nil {
			t.Errorf("what is known is not told: %v", err)
		}
		d.Pause(time.Second, errors.New("less")) // a longer one goes on
		time.Sleep(5 * time.Second)
		if _, err := d.Tell(t.Context(), key(2), nil, goodFor(calls, 0, 0)); !errors.Is(err, cause) {
			t.Error(err)
		}
		time.Sleep(time.Second)
		if _, err := d.Tell(t.Context(), key(2), nil, goodFor(calls, 0, 0)); err != nil {
			t.Error(err)
		}
	})
}

// TestRegularsAreProbed: during a pause, those who were good are asked about now and
// then, because the pause may be the fault of others.
func TestRegularsAreProbed(t *testing.T) {
	bubble(t, func(t *testing.T, d *Desk[string], calls *atomic.Int64) {
		ask := goodFor(calls, 0, 0)
		if _, err := d.Tell(t.Context(), key(1), nil, ask); err != nil {
			t.Fatal(err)
		}
		calls.Store(0)
		d.Pause(10*time.Second, errors.New("slow down"))
		good := 0
		for range 90 {
			if _, err := d.Tell(t.Context(), key(1), nil, ask); err == nil {
				good++
			}
			time.Sleep(100 * time.Millisecond)
		}
		if good != 9 || calls.Load() != 9 {
			t.Errorf("%d of 90 in 9 s, %d calls", good, calls.Load())
		}
	})
}

// TestRefusalsAreRationed: who makes up credentials has fewer and fewer of them asked
// about, and regulars do not notice.
func TestRefusalsAreRationed(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		rationed := limits
		rationed.RefusedAtOnce = 5
		d, calls := New(rationed, time.Now, size), new(atomic.Int64)
		regular := goodFor(new(atomic.Int64), 0, 0)
		if _, err := d.Tell(t.Context(), key(1), nil, regular); err != nil {
			t.Fatal(err)
		}
		refuse := func(context.Context) (string, time.Time, error) {
			if calls.Add(1)%2 == 0 {
				return "", time.Time{}, errors.New("no answer")
			}
			return "", time.Time{}, &Refusal{errors.New("no")}
		}
		for i := range 1000 { // in 10 s
			_, _ = d.Tell(t.Context(), key(1000+i), nil, refuse)
			if _, err := d.Tell(t.Context(), key(1), nil, regular); err != nil {
				t.Fatal(err)
			}
			time.Sleep(10 * time.Millisecond)
		}
		if n := calls.Load(); n < 100 || n > 110 {
			t.Errorf("%d of 1000 were asked about", n)
		}
		time.Sleep(time.Minute)
		if _, err := d.Tell(t.Context(), key(5000), nil, refuse); calls.Load() > 112 || err == nil || errors.As(err, new(*Busy)) {
			t.Error(err)
		}
	})
}

// TestRecallComesFirst: what others know is found however much is being asked, takes
// no place of those who ask, and is bounded by itself.
func TestRecallComesFirst(t *testing.T) {
	bubble(t, func(t *testing.T, d *Desk[string], calls *atomic.Int64) {
		known := func(context.Context) (string, time.Time, bool) {
			time.Sleep(time.Second)
			return "jane", time.Now().Add(time.Hour), true
		}
		unknown := func(context.Context) (string, time.Time, bool) { return "", time.Time{}, false }
		slow := goodFor(calls, 0, 3*time.Second)
		var wg sync.WaitGroup
		for i := range 2 {
			wg.Go(func() { _, _ = d.Tell(t.Context(), key(i), unknown, slow) })
		}
		synctest.Wait()
		d.Pause(time.Hour, errors.New("slow down"))
		var good, busy atomic.Int64
		for i := range 10 {
			wg.Go(func() {
				switch v, err := d.Tell(t.Context(), key(100+i), known, slow); {
				case err == nil && v == "jane":
					good.Add(1)
				default:
					busy.Add(1)
				}
			})
		}
		wg.Wait()
		if calls.Load() != 2 || good.Load() != 5 || busy.Load() != 5 {
			t.Errorf("%d calls, %d recalled, %d busy", calls.Load(), good.Load(), busy.Load())
		}
		if d.asking != 0 || d.recalling != 0 || d.strangers != 0 || len(d.calls) != 0 {
			t.Errorf("%d %d %d %d are left", d.asking, d.recalling, d.strangers, len(d.calls))
		}
		if _, err := d.Tell(t.Context(), key(200), func(context.Context) (string, time.Time, bool) { panic("odd") }, slow); !errors.Is(err, errPanic) || d.recalling != 0 {
			t.Error(err, d.recalling)
		}
		var b *Busy
		if _, err := d.Tell(t.Context(), key(201), unknown, slow); !errors.As(err, &b) || d.recalling != 0 || d.asking != 0 {
			t.Error(err, d.recalling, d.asking)
		}
	})
}

// TestBytesAreBounded: large answers push others out, and one that is too large is
// not remembered.
func TestBytesAreBounded(t *testing.T) {
	bubble(t, func(t *testing.T, d *Desk[string], _ *atomic.Int64) {
		for i, n := range []int{40, 40, 40, 101} {
			value := strings.Repeat("x", n)
			v, err := d.Tell(t.Context(), key(i), nil, func(context.Context) (string, time.Time, error) { return value, time.Now().Add(time.Hour), nil })
			if v != value || err != nil {
				t.Error(len(v), err)
			}
			if want := []int{1, 2, 2, 2}[i]; len(d.good.places) != want || d.good.size != 40*want {
				t.Errorf("%d: %d answers of %d bytes", i, len(d.good.places), d.good.size)
			}
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
			_, _ = d.Tell(t.Context(), key(i), nil, goodFor(calls, time.Hour, 0))
		}
		for i := range 1000 {
			_, _ = d.Tell(t.Context(), key(100+i), nil, refuse)
		}
		if good, bad := len(d.good.places), len(d.bad.places); good != 3 || bad != 3 || d.bad.order.Len() != 3 || len(d.calls) != 0 {
			t.Errorf("%d good, %d bad", good, bad)
		}
		_, _ = d.Tell(t.Context(), key(3), nil, goodFor(calls, time.Hour, 0))
		calls.Store(0)
		for i, want := range []int64{1, 1, 1, 1} { // the first was forgotten, and pushes out the second
			_, _ = d.Tell(t.Context(), key([]int{2, 3, 3, 0}[i]), nil, goodFor(calls, time.Hour, 0))
			if i == 3 && calls.Load() != want {
				t.Errorf("%d calls", calls.Load())
			}
		}
	})
}

// TestClockGoesBack: what was said in a future is not repeated.
func TestClockGoesBack(t *testing.T) {
	now := time.Unix(1_800_000_000, 0)
	d := New(limits, func() time.Time { return now }, size)
	var calls atomic.Int64
	ask := func(context.Context) (string, time.Time, error) {
		return fmt.Sprint(calls.Add(1)), now.Add(30 * time.Second), nil
	}
	_, _ = d.Tell(t.Context(), key(1), nil, ask)
	d.Pause(time.Second, errors.New("slow down"))
	now = now.Add(-time.Hour)
	if v, err := d.Tell(t.Context(), key(1), nil, ask); v != "2" || err != nil {
		t.Error(v, err)
	}
}
