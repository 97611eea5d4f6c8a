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

var limits = Limits{Answers: 3, Bytes: 100}

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

// TestOutagesAreOfOneCredential: an answer that says nothing is repeated for a while
// to those who present that credential, and says nothing about others; one that was
// good before is asked about as such afterwards.
func TestOutagesAreOfOneCredential(t *testing.T) {
	bubble(t, func(t *testing.T, d *Desk[string], calls *atomic.Int64) {
		odd := errors.New("odd")
		if _, err := d.Tell(t.Context(), key(1), nil, goodFor(calls, 0, 0)); err != nil {
			t.Fatal(err)
		}
		calls.Store(0)
		ask := func(context.Context) (string, time.Time, error) {
			calls.Add(1)
			return "jane", time.Now().Add(time.Hour), &Outage{odd}
		}
		for i, want := range []int64{1, 1, 1, 2} {
			if v, err := d.Tell(t.Context(), key(1), nil, ask); v != "" || !errors.Is(err, odd) || calls.Load() != want {
				t.Errorf("%d: %q, %v, %d calls", i, v, err, calls.Load())
			}
			if v, err := d.Tell(t.Context(), key(2), nil, goodFor(new(atomic.Int64), 0, 0)); v != "jane" || err != nil {
				t.Error(v, err)
			}
			time.Sleep(2 * time.Second)
		}
		time.Sleep(5 * time.Second)
		d.leave(d.entered(&d.unseen), &TooMany{odd, time.Minute})
		if v, err := d.Tell(t.Context(), key(1), nil, goodFor(calls, 0, 0)); v != "jane" || err != nil {
			t.Error(v, err)
		}
	})
}

// entered takes a place in l.
func (d *Desk[T]) entered(l *lane) *lane {
	d.mu.Lock()
	defer d.mu.Unlock()
	l.taken++
	return l
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
			if took := time.Since(began); took > Timeout {
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

// TestCallsAreBounded: unseen credentials wait for few places, those that were seen
// for places of their own, and who cannot wait any longer is told so.
func TestCallsAreBounded(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		d, calls := New(Limits{100, 10_000}, time.Now, size), new(atomic.Int64)
		for i := range 100 {
			if _, err := d.Tell(t.Context(), key(i), nil, goodFor(new(atomic.Int64), 0, 0)); err != nil {
				t.Fatal(err)
			}
		}
		var busy, good atomic.Int64
		var wg sync.WaitGroup
		tell := func(k Key, takes time.Duration) {
			wg.Go(func() {
				_, err := d.Tell(t.Context(), k, nil, goodFor(calls, 0, takes))
				var b *Busy
				switch {
				case err == nil:
					good.Add(1)
				case errors.As(err, &b) && b.RetryAfter > 0:
					busy.Add(1)
				default:
					t.Error(err)
				}
			})
		}
		for i := range 2000 {
			tell(key(1000+i), 3*time.Second)
		}
		synctest.Wait()
		if calls.Load() != unseenPlaces || busy.Load() != 2000-unseenPlaces-maxWaiting {
			t.Errorf("%d calls, %d told that it is too much", calls.Load(), busy.Load())
		}
		for i := range 100 {
			tell(key(i), 900*time.Millisecond)
		}
		synctest.Wait()
		if calls.Load() != unseenPlaces+seenPlaces {
			t.Errorf("%d calls", calls.Load())
		}
		wg.Wait()
		// Of those that were seen, two rounds more begin within the time that there is.
		if calls.Load() != unseenPlaces+3*seenPlaces || good.Load() != calls.Load() || good.Load()+busy.Load() != 2100 {
			t.Errorf("%d calls, %d good, %d busy", calls.Load(), good.Load(), busy.Load())
		}
		tell(key(5000), 0) // and it is over
		wg.Wait()
		if good.Load() != calls.Load() || d.unseen.taken != 0 || d.seen.taken != 0 || d.unseen.waiting.Len() != 0 || len(d.calls) != 0 {
			t.Errorf("%d and %d are left", d.unseen.taken, d.seen.taken)
		}
	})
}

// flood asks about made-up credentials, perSecond times a second for so long, and
// returns in how many calls each second.
func flood(t *testing.T, d *Desk[string], perSecond int, lasts time.Duration, ask func() error) []int {
	t.Helper()
	var mu sync.Mutex
	var wg sync.WaitGroup
	began := time.Now()
	count := make([]int, int((lasts+Timeout)/time.Second))
	for i := range int(lasts/time.Second) * perSecond {
		wg.Go(func() {
			_, _ = d.Tell(t.Context(), Key{1, byte(i), byte(i >> 8), byte(i >> 16)}, nil, func(context.Context) (string, time.Time, error) {
				mu.Lock()
				defer mu.Unlock()
				count[time.Since(began)/time.Second]++
				return "", time.Time{}, ask()
			})
		})
		time.Sleep(time.Second / time.Duration(perSecond))
	}
	wg.Wait()
	return count
}

// TestPace: it is asked about 8 unseen credentials in the first second, and about one
// more in each second that is no other's; about half as many when that was too much.
func TestPace(t *testing.T) {
	bubble(t, func(t *testing.T, d *Desk[string], _ *atomic.Int64) {
		no := func() error { return &Refusal{errors.New("no")} }
		count := flood(t, d, 100, 20*time.Second, no)
		for i, n := range count[:20] {
			if n < 7+i || n > 8+i {
				t.Errorf("%d calls in second %d", n, i)
			}
		}
		time.Sleep(time.Hour) // nobody asks: that says nothing about how much may be asked
		rate := d.unseen.pace.rate
		if count := flood(t, d, 100, time.Second, no); count[0] > rate+2 || rate > 32 {
			t.Errorf("%d calls in the first second after an hour, at a rate of %d", count[0], rate)
		}
		time.Sleep(time.Minute)
		rate = d.unseen.pace.rate
		for range 5 { // of one moment
			d.leave(d.entered(&d.unseen), &TooMany{errors.New("slow down"), 3 * time.Second})
		}
		if got := d.unseen.pace.rate; got != rate/2 {
			t.Errorf("%d a second were too many, now there are %d", rate, got)
		}
		count = flood(t, d, 100, 6*time.Second, no)
		if count[0]+count[1]+count[2] != 0 || count[3] > rate/2+2 || count[3] < rate/2 {
			t.Errorf("%d and then %d calls, at a rate that was %d", count[:3], count[3:6], rate)
		}
		for range 10 {
			time.Sleep(2 * time.Second)
			d.leave(d.entered(&d.unseen), &TooMany{errors.New("slow down"), time.Second})
		}
		if got := d.unseen.pace.rate; got != 1 {
			t.Errorf("the least is %d a second", got)
		}
	})
}

// TestGoodOnesAreNotPaced: many credentials that are good may come at once.
func TestGoodOnesAreNotPaced(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		d := New(Limits{10_000, 1 << 20}, time.Now, size)
		var wg sync.WaitGroup
		for i := range 2000 { // in 4 s
			wg.Go(func() {
				if _, err := d.Tell(t.Context(), key(i), nil, goodFor(new(atomic.Int64), time.Hour, 20*time.Millisecond)); err != nil {
					t.Error(i, err)
				}
			})
			time.Sleep(2 * time.Millisecond)
		}
		wg.Wait()
	})
}

// TestTooMany: it is asked again about who was good before, at once about others, and
// about unseen ones when the time has come.
func TestTooMany(t *testing.T) {
	bubble(t, func(t *testing.T, d *Desk[string], calls *atomic.Int64) {
		cause := errors.New("slow down")
		if _, err := d.Tell(t.Context(), key(1), nil, goodFor(calls, 0, 0)); err != nil {
			t.Fatal(err)
		}
		limited := func(after time.Duration) Ask[string] {
			calls.Store(0)
			return func(context.Context) (string, time.Time, error) {
				if calls.Add(1) == 1 {
					return "", time.Time{}, &TooMany{cause, after}
				}
				return "jane", time.Now(), nil
			}
		}
		for k, least := range map[Key]time.Duration{key(1): firstRetry, key(2): time.Second} {
			began := time.Now()
			if v, err := d.Tell(t.Context(), k, nil, limited(time.Second)); v != "jane" || err != nil || calls.Load() != 2 || time.Since(began) < least {
				t.Errorf("%q, %v, %d calls in %v", v, err, calls.Load(), time.Since(began))
			}
			time.Sleep(2 * time.Second)
		}
		always := func(context.Context) (string, time.Time, error) {
			calls.Add(1)
			return "", time.Time{}, &TooMany{cause, time.Minute}
		}
		calls.Store(0)
		began := time.Now()
		if _, err := d.Tell(t.Context(), key(1), nil, always); !errors.Is(err, cause) || calls.Load() != 4 || time.Since(began) > Timeout {
			t.Errorf("%v, %d calls in %v", err, calls.Load(), time.Since(began))
		}
		time.Sleep(2 * time.Minute)
		var b *Busy
		if _, err := d.Tell(t.Context(), key(3), nil, limited(10*time.Second)); !errors.Is(err, cause) || calls.Load() != 1 {
			t.Error(err, calls.Load())
		}
		time.Sleep(4 * time.Second)
		if _, err := d.Tell(t.Context(), key(3), nil, goodFor(calls, 0, 0)); !errors.As(err, &b) || !errors.Is(err, cause) || b.RetryAfter != 6*time.Second {
			t.Error(err, b)
		}
		for range 100 {
			if _, err := d.Tell(t.Context(), key(1), nil, goodFor(calls, 0, 0)); err != nil {
				t.Error(err)
			}
		}
		d.leave(d.entered(&d.unseen), &TooMany{errors.New("less"), time.Second}) // a longer pause goes on
		time.Sleep(5 * time.Second)
		if _, err := d.Tell(t.Context(), key(3), nil, goodFor(calls, 0, 0)); !errors.Is(err, cause) {
			t.Error(err)
		}
		time.Sleep(time.Second)
		if _, err := d.Tell(t.Context(), key(3), nil, goodFor(calls, 0, 0)); err != nil {
			t.Error(err)
		}
	})
}

// TestClosed: who is not let in asks no more for a while, about anybody.
func TestClosed(t *testing.T) {
	bubble(t, func(t *testing.T, d *Desk[string], calls *atomic.Int64) {
		if _, err := d.Tell(t.Context(), key(1), nil, goodFor(calls, 0, 0)); err != nil {
			t.Fatal(err)
		}
		calls.Store(0)
		ask := func(context.Context) (string, time.Time, error) {
			calls.Add(1)
			return "", time.Time{}, &Closed{errors.New("no entry"), 5 * time.Second, time.Second}
		}
		for i := range 95 { // in 9.5 s
			d2, cancel := context.WithTimeout(t.Context(), 50*time.Millisecond)
			if _, err := d.Tell(d2, key(2+i), nil, ask); err == nil {
				t.Error("it is good")
			}
			cancel()
			time.Sleep(100 * time.Millisecond)
		}
		if n := calls.Load(); n != 2 {
			t.Errorf("%d calls about unseen ones in 9.5 s", n)
		}
		time.Sleep(time.Second)
		calls.Store(0)
		for range 5 { // of which each waits until it may
			_, _ = d.Tell(t.Context(), key(1), nil, ask)
		}
		if n := calls.Load(); n != 5 {
			t.Errorf("%d calls", n)
		}
	})
}

// TestRecallComesFirst: what others know is found however much is being asked, and
// takes no place of those who ask.
func TestRecallComesFirst(t *testing.T) {
	bubble(t, func(t *testing.T, d *Desk[string], calls *atomic.Int64) {
		known := func() (string, time.Time, bool) {
			time.Sleep(time.Second)
			return "jane", time.Now().Add(time.Hour), true
		}
		slow := goodFor(calls, 0, 3*time.Second)
		var wg sync.WaitGroup
		for i := range unseenPlaces {
			wg.Go(func() { _, _ = d.Tell(t.Context(), key(i), nil, slow) })
		}
		synctest.Wait()
		for i := range 1000 {
			wg.Go(func() {
				if v, err := d.Tell(t.Context(), key(100+i), known, slow); v != "jane" || err != nil {
					t.Error(v, err)
				}
			})
		}
		wg.Wait()
		if _, err := d.Tell(t.Context(), key(2000), func() (string, time.Time, bool) { panic("odd") }, slow); !errors.Is(err, errPanic) {
			t.Error(err)
		}
		none := func() (string, time.Time, bool) { return "", time.Time{}, false }
		if v, err := d.Tell(t.Context(), key(2001), none, goodFor(calls, 0, 0)); v != "jane" || err != nil {
			t.Error(v, err)
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
	now = now.Add(-time.Hour)
	if v, err := d.Tell(t.Context(), key(1), nil, ask); v != "2" || err != nil {
		t.Error(v, err)
	}
}
