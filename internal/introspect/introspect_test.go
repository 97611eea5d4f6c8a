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

func size(s string) int { return len(s) }

func key(i int) Key { return Key{byte(i), byte(i >> 8)} }

// newVerifier returns a Verifier with caches of that size.
func newVerifier(now func() time.Time, entries, bytes int) *Verifier[string] {
	v := New(now, size)
	v.valid, v.failed = newCache[valid[string]](entries, bytes), newCache[failed](entries, entries)
	return v
}

// bubble runs a test in virtual time, with a Verifier that caches three results and a
// count of its calls.
func bubble(t *testing.T, f func(*testing.T, *Verifier[string], *atomic.Int64)) {
	t.Helper()
	synctest.Test(t, func(t *testing.T) {
		f(t, newVerifier(time.Now, 3, 100), new(atomic.Int64))
	})
}

// goodFor returns a Fetch that takes that long and whose result is valid for ttl.
func goodFor(calls *atomic.Int64, ttl, takes time.Duration) Fetch[string] {
	return func(context.Context) (string, time.Time, error) {
		began := time.Now()
		calls.Add(1)
		time.Sleep(takes)
		return "jane", began.Add(ttl), nil
	}
}

func TestResultsAreCachedUntilTheyExpire(t *testing.T) {
	bubble(t, func(t *testing.T, v *Verifier[string], calls *atomic.Int64) {
		fetch := goodFor(calls, 30*time.Second, time.Second)
		for i, want := range []int64{1, 1, 1, 2} {
			if name, err := v.Verify(t.Context(), key(1), nil, fetch); name != "jane" || err != nil || calls.Load() != want {
				t.Errorf("%d: %q, %v, %d calls", i, name, err, calls.Load())
			}
			time.Sleep(10 * time.Second)
		}
	})
}

func TestInvalidIsCached(t *testing.T) {
	bubble(t, func(t *testing.T, v *Verifier[string], calls *atomic.Int64) {
		no := errors.New("no")
		fetch := func(context.Context) (string, time.Time, error) {
			calls.Add(1)
			return "jane", time.Now().Add(time.Hour), &Failure{Outcome: Invalid, Reason: no}
		}
		for i, want := range []int64{1, 1, 1, 2} {
			if name, err := v.Verify(t.Context(), key(1), nil, fetch); name != "" || !errors.Is(err, no) || calls.Load() != want {
				t.Errorf("%d: %q, %v, %d calls", i, name, err, calls.Load())
			}
			time.Sleep(2 * time.Second)
		}
		// A credential that was valid becomes invalid.
		if _, err := v.Verify(t.Context(), key(2), nil, goodFor(calls, 0, 0)); err != nil {
			t.Fatal(err)
		}
		for range 2 {
			if _, err := v.Verify(t.Context(), key(2), nil, fetch); !errors.Is(err, no) {
				t.Error(err)
			}
		}
	})
}

// TestInconclusiveIsOfOneCredential: an inconclusive response is cached for that
// credential alone. A credential that was valid before still counts as seen.
func TestInconclusiveIsOfOneCredential(t *testing.T) {
	bubble(t, func(t *testing.T, v *Verifier[string], calls *atomic.Int64) {
		inconclusive := errors.New("inconclusive")
		if _, err := v.Verify(t.Context(), key(1), nil, goodFor(calls, 0, 0)); err != nil {
			t.Fatal(err)
		}
		calls.Store(0)
		fetch := func(context.Context) (string, time.Time, error) {
			calls.Add(1)
			return "jane", time.Now().Add(time.Hour), &Failure{Outcome: Inconclusive, Reason: inconclusive}
		}
		for i, want := range []int64{1, 1, 1, 2} {
			if name, err := v.Verify(t.Context(), key(1), nil, fetch); name != "" || !errors.Is(err, inconclusive) || calls.Load() != want {
				t.Errorf("%d: %q, %v, %d calls", i, name, err, calls.Load())
			}
			if name, err := v.Verify(t.Context(), key(2), nil, goodFor(new(atomic.Int64), 0, 0)); name != "jane" || err != nil {
				t.Error(name, err)
			}
			time.Sleep(2 * time.Second)
		}
		time.Sleep(5 * time.Second)
		v.release(v.entered(&v.unseen), &Failure{RateLimited, inconclusive, time.Minute})
		if name, err := v.Verify(t.Context(), key(1), nil, goodFor(calls, 0, 0)); name != "jane" || err != nil {
			t.Error(name, err)
		}
	})
}

// entered takes a slot of q.
func (v *Verifier[T]) entered(q *queue) *queue {
	v.mu.Lock()
	defer v.mu.Unlock()
	q.running++
	return q
}

func TestMissingResponsesAreNotCached(t *testing.T) {
	bubble(t, func(t *testing.T, v *Verifier[string], calls *atomic.Int64) {
		for _, fetch := range []Fetch[string]{
			func(context.Context) (string, time.Time, error) {
				return "jane", time.Now().Add(time.Hour), errors.New("away")
			},
			func(context.Context) (string, time.Time, error) { panic("broken") },
			func(ctx context.Context) (string, time.Time, error) { <-ctx.Done(); return "", time.Time{}, ctx.Err() },
		} {
			began := time.Now()
			if _, err := v.Verify(t.Context(), key(1), nil, fetch); err == nil {
				t.Error("it did not fail")
			}
			if took := time.Since(began); took > timeout {
				t.Errorf("it took %v", took)
			}
		}
		if name, err := v.Verify(t.Context(), key(1), nil, goodFor(calls, time.Hour, 0)); name != "jane" || err != nil {
			t.Error(name, err)
		}
	})
}

func TestOneCallForAllWhoWait(t *testing.T) {
	bubble(t, func(t *testing.T, v *Verifier[string], calls *atomic.Int64) {
		first, cancel := context.WithCancel(t.Context())
		fetch := goodFor(calls, time.Minute, 2*time.Second)
		var wg sync.WaitGroup
		wg.Go(func() {
			if _, err := v.Verify(first, key(1), nil, fetch); !errors.Is(err, context.Canceled) {
				t.Error(err)
			}
		})
		synctest.Wait()
		for range 1000 {
			wg.Go(func() {
				if name, err := v.Verify(t.Context(), key(1), nil, fetch); name != "jane" || err != nil {
					t.Error(name, err)
				}
			})
		}
		synctest.Wait()
		cancel() // the first caller leaves, the call goes on
		wg.Wait()
		if calls.Load() != 1 {
			t.Errorf("%d calls", calls.Load())
		}
	})
}

// TestCallsAreBounded: unseen credentials share a few slots, seen ones have slots of
// their own, and calls that cannot wait fail as Busy.
func TestCallsAreBounded(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		v, calls := newVerifier(time.Now, 100, 10_000), new(atomic.Int64)
		for i := range 100 {
			if _, err := v.Verify(t.Context(), key(i), nil, goodFor(new(atomic.Int64), 0, 0)); err != nil {
				t.Fatal(err)
			}
		}
		var busy, good atomic.Int64
		var wg sync.WaitGroup
		tell := func(k Key, takes time.Duration) {
			wg.Go(func() {
				_, err := v.Verify(t.Context(), k, nil, goodFor(calls, 0, takes))
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
		if calls.Load() != unseenSlots || busy.Load() != 2000-unseenSlots-maxPending {
			t.Errorf("%d calls, %d Busy", calls.Load(), busy.Load())
		}
		for i := range 100 {
			tell(key(i), 900*time.Millisecond)
		}
		synctest.Wait()
		if calls.Load() != unseenSlots+seenSlots {
			t.Errorf("%d calls", calls.Load())
		}
		wg.Wait()
		// For seen credentials two more rounds of calls begin in time.
		if calls.Load() != unseenSlots+3*seenSlots || good.Load() != calls.Load() || good.Load()+busy.Load() != 2100 {
			t.Errorf("%d calls, %d good, %d busy", calls.Load(), good.Load(), busy.Load())
		}
		tell(key(5000), 0) // all slots are free again
		wg.Wait()
		if good.Load() != calls.Load() || v.unseen.running != 0 || v.seen.running != 0 || v.unseen.pending.Len() != 0 || len(v.calls) != 0 {
			t.Errorf("%d and %d are left", v.unseen.running, v.seen.running)
		}
	})
}

// flood verifies perSecond made-up credentials a second for that long, and returns
// the number of calls in each second.
func flood(t *testing.T, v *Verifier[string], perSecond int, lasts time.Duration, fetch func() error) []int {
	t.Helper()
	var mu sync.Mutex
	var wg sync.WaitGroup
	began := time.Now()
	count := make([]int, int((lasts+timeout)/time.Second))
	for i := range int(lasts/time.Second) * perSecond {
		wg.Go(func() {
			_, _ = v.Verify(t.Context(), Key{1, byte(i), byte(i >> 8), byte(i >> 16)}, nil, func(context.Context) (string, time.Time, error) {
				mu.Lock()
				defer mu.Unlock()
				count[time.Since(began)/time.Second]++
				return "", time.Time{}, fetch()
			})
		})
		time.Sleep(time.Second / time.Duration(perSecond))
	}
	wg.Wait()
	return count
}

// TestRate: unseen credentials cause 8 calls in the first second and one more in
// each second after it, and about half as many after a response of too many
// requests.
func TestRate(t *testing.T) {
	bubble(t, func(t *testing.T, v *Verifier[string], _ *atomic.Int64) {
		no := func() error { return &Failure{Outcome: Invalid, Reason: errors.New("no")} }
		count := flood(t, v, 100, 20*time.Second, no)
		for i, n := range count[:20] {
			if n < 7+i || n > 8+i {
				t.Errorf("%d calls in second %d", n, i)
			}
		}
		time.Sleep(time.Hour) // without calls the rate does not rise
		rate := v.unseen.rate.perSecond
		if count := flood(t, v, 100, time.Second, no); count[0] > rate+2 || rate > 32 {
			t.Errorf("%d calls in the first second after an hour, at a rate of %d", count[0], rate)
		}
		time.Sleep(time.Minute)
		rate = v.unseen.rate.perSecond
		for range 5 { // at one moment
			v.release(v.entered(&v.unseen), &Failure{RateLimited, errors.New("slow down"), 3 * time.Second})
		}
		if got := v.unseen.rate.perSecond; got != rate/2 {
			t.Errorf("%d a second were too many, now there are %d", rate, got)
		}
		count = flood(t, v, 100, 6*time.Second, no)
		if count[0]+count[1]+count[2] != 0 || count[3] > rate/2+2 || count[3] < rate/2 {
			t.Errorf("%d and then %d calls, at a rate that was %d", count[:3], count[3:6], rate)
		}
		for range 10 {
			time.Sleep(2 * time.Second)
			v.release(v.entered(&v.unseen), &Failure{RateLimited, errors.New("slow down"), time.Second})
		}
		if got := v.unseen.rate.perSecond; got != 1 {
			t.Errorf("the least is %d a second", got)
		}
	})
}

// TestValidOnesAreNotLimited: many valid credentials may arrive at once.
func TestValidOnesAreNotLimited(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		v := newVerifier(time.Now, 10_000, 1<<20)
		var wg sync.WaitGroup
		for i := range 2000 { // in 4 s
			wg.Go(func() {
				if _, err := v.Verify(t.Context(), key(i), nil, goodFor(new(atomic.Int64), time.Hour, 20*time.Millisecond)); err != nil {
					t.Error(i, err)
				}
			})
			time.Sleep(2 * time.Millisecond)
		}
		wg.Wait()
	})
}

// TestRateLimited: the call for a credential that was valid before is repeated,
// calls for other seen ones continue, and those for unseen ones wait until
// RetryAfter.
func TestRateLimited(t *testing.T) {
	bubble(t, func(t *testing.T, v *Verifier[string], calls *atomic.Int64) {
		cause := errors.New("slow down")
		if _, err := v.Verify(t.Context(), key(1), nil, goodFor(calls, 0, 0)); err != nil {
			t.Fatal(err)
		}
		limited := func(after time.Duration) Fetch[string] {
			calls.Store(0)
			return func(context.Context) (string, time.Time, error) {
				if calls.Add(1) == 1 {
					return "", time.Time{}, &Failure{RateLimited, cause, after}
				}
				return "jane", time.Now(), nil
			}
		}
		for k, least := range map[Key]time.Duration{key(1): firstRetry, key(2): time.Second} {
			began := time.Now()
			if name, err := v.Verify(t.Context(), k, nil, limited(time.Second)); name != "jane" || err != nil || calls.Load() != 2 || time.Since(began) < least {
				t.Errorf("%q, %v, %d calls in %v", name, err, calls.Load(), time.Since(began))
			}
			time.Sleep(2 * time.Second)
		}
		always := func(context.Context) (string, time.Time, error) {
			calls.Add(1)
			return "", time.Time{}, &Failure{RateLimited, cause, time.Minute}
		}
		calls.Store(0)
		began := time.Now()
		if _, err := v.Verify(t.Context(), key(1), nil, always); !errors.Is(err, cause) || calls.Load() != 6 || time.Since(began) > timeout {
			t.Errorf("%v, %d calls in %v", err, calls.Load(), time.Since(began))
		}
		time.Sleep(2 * time.Minute)
		var b *Busy
		if _, err := v.Verify(t.Context(), key(3), nil, limited(10*time.Second)); !errors.Is(err, cause) || calls.Load() != 1 {
			t.Error(err, calls.Load())
		}
		time.Sleep(4 * time.Second)
		if _, err := v.Verify(t.Context(), key(3), nil, goodFor(calls, 0, 0)); !errors.As(err, &b) || !errors.Is(err, cause) || b.RetryAfter != 6*time.Second {
			t.Error(err, b)
		}
		for range 100 {
			if _, err := v.Verify(t.Context(), key(1), nil, goodFor(calls, 0, 0)); err != nil {
				t.Error(err)
			}
		}
		v.release(v.entered(&v.unseen), &Failure{RateLimited, errors.New("less"), time.Second}) // a longer pause continues
		time.Sleep(5 * time.Second)
		if _, err := v.Verify(t.Context(), key(3), nil, goodFor(calls, 0, 0)); !errors.Is(err, cause) {
			t.Error(err)
		}
		time.Sleep(time.Second)
		if _, err := v.Verify(t.Context(), key(3), nil, goodFor(calls, 0, 0)); err != nil {
			t.Error(err)
		}
	})
}

// TestUnauthorized: calls pause for every credential.
func TestUnauthorized(t *testing.T) {
	bubble(t, func(t *testing.T, v *Verifier[string], calls *atomic.Int64) {
		if _, err := v.Verify(t.Context(), key(1), nil, goodFor(calls, 0, 0)); err != nil {
			t.Fatal(err)
		}
		calls.Store(0)
		fetch := func(context.Context) (string, time.Time, error) {
			calls.Add(1)
			return "", time.Time{}, &Failure{Outcome: Unauthorized, Reason: errors.New("no entry")}
		}
		for i := range 95 { // in 9.5 s
			ctx, cancel := context.WithTimeout(t.Context(), 50*time.Millisecond)
			if _, err := v.Verify(ctx, key(2+i), nil, fetch); err == nil {
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
		for range 5 { // each waits for its turn
			_, _ = v.Verify(t.Context(), key(1), nil, fetch)
		}
		if n := calls.Load(); n != 5 {
			t.Errorf("%d calls", n)
		}
	})
}

// TestLookupComesFirst: a lookup in the shared cache waits for no slot and takes
// none.
func TestLookupComesFirst(t *testing.T) {
	bubble(t, func(t *testing.T, v *Verifier[string], calls *atomic.Int64) {
		known := func() (string, time.Time, bool) {
			time.Sleep(time.Second)
			return "jane", time.Now().Add(time.Hour), true
		}
		slow := goodFor(calls, 0, 3*time.Second)
		var wg sync.WaitGroup
		for i := range unseenSlots {
			wg.Go(func() { _, _ = v.Verify(t.Context(), key(i), nil, slow) })
		}
		synctest.Wait()
		for i := range 1000 {
			wg.Go(func() {
				if name, err := v.Verify(t.Context(), key(100+i), known, slow); name != "jane" || err != nil {
					t.Error(name, err)
				}
			})
		}
		wg.Wait()
		if _, err := v.Verify(t.Context(), key(2000), func() (string, time.Time, bool) { panic("broken") }, slow); !errors.Is(err, errPanic) {
			t.Error(err)
		}
		none := func() (string, time.Time, bool) { return "", time.Time{}, false }
		if name, err := v.Verify(t.Context(), key(2001), none, goodFor(calls, 0, 0)); name != "jane" || err != nil {
			t.Error(name, err)
		}
	})
}

// TestBytesAreBounded: large results evict others, and one that is too large is not
// cached.
func TestBytesAreBounded(t *testing.T) {
	bubble(t, func(t *testing.T, v *Verifier[string], _ *atomic.Int64) {
		for i, n := range []int{40, 40, 40, 101} {
			value := strings.Repeat("x", n)
			name, err := v.Verify(t.Context(), key(i), nil, func(context.Context) (string, time.Time, error) { return value, time.Now().Add(time.Hour), nil })
			if name != value || err != nil {
				t.Error(len(name), err)
			}
			if want := []int{1, 2, 2, 2}[i]; len(v.valid.entries) != want || v.valid.size != 40*want {
				t.Errorf("%d: %d results of %d bytes", i, len(v.valid.entries), v.valid.size)
			}
		}
	})
}

// TestEntriesAreBounded: the oldest are evicted, valid and failed ones apart.
func TestEntriesAreBounded(t *testing.T) {
	bubble(t, func(t *testing.T, v *Verifier[string], calls *atomic.Int64) {
		refuse := func(context.Context) (string, time.Time, error) {
			return "", time.Time{}, &Failure{Outcome: Invalid, Reason: errors.New("no")}
		}
		for i := range 3 {
			_, _ = v.Verify(t.Context(), key(i), nil, goodFor(calls, time.Hour, 0))
		}
		for i := range 1000 {
			_, _ = v.Verify(t.Context(), key(100+i), nil, refuse)
		}
		if good, bad := len(v.valid.entries), len(v.failed.entries); good != 3 || bad != 3 || v.failed.order.Len() != 3 || len(v.calls) != 0 {
			t.Errorf("%d good, %d bad", good, bad)
		}
		_, _ = v.Verify(t.Context(), key(3), nil, goodFor(calls, time.Hour, 0))
		calls.Store(0)
		for i, want := range []int64{1, 1, 1, 1} { // the first was evicted, and evicts the second
			_, _ = v.Verify(t.Context(), key([]int{2, 3, 3, 0}[i]), nil, goodFor(calls, time.Hour, 0))
			if i == 3 && calls.Load() != want {
				t.Errorf("%d calls", calls.Load())
			}
		}
	})
}

// TestClockGoesBack: a result from the future is not reused.
func TestClockGoesBack(t *testing.T) {
	now := time.Unix(1_800_000_000, 0)
	v := newVerifier(func() time.Time { return now }, 3, 100)
	var calls atomic.Int64
	fetch := func(context.Context) (string, time.Time, error) {
		return fmt.Sprint(calls.Add(1)), now.Add(30 * time.Second), nil
	}
	_, _ = v.Verify(t.Context(), key(1), nil, fetch)
	now = now.Add(-time.Hour)
	if name, err := v.Verify(t.Context(), key(1), nil, fetch); name != "2" || err != nil {
		t.Error(name, err)
	}
}
