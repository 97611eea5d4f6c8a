package exchange

import (
	"context"
	"fmt"
	"sync"
	"testing"
	"testing/synctest"
	"time"
)

// TestExchangesAreBounded: whoever makes up nonces does not open a connection with each, and
// nobody waits for long.
func TestExchangesAreBounded(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var e Group
		var mu sync.Mutex
		var wg sync.WaitGroup
		running, most, away := 0, 0, 0
		began := time.Now()
		for i := range 5 * maxCalls {
			wg.Go(func() {
				outcome := e.Share(t.Context(), Nonces, fmt.Sprint(i), time.Now(), func() Outcome {
					mu.Lock()
					running++
					most = max(most, running)
					mu.Unlock()
					time.Sleep(2 * time.Second)
					mu.Lock()
					running--
					mu.Unlock()
					return Outcome{Lines: []string{"a=b"}}
				})
				mu.Lock()
				defer mu.Unlock()
				if outcome.Away {
					away++
				}
			})
		}
		synctest.Wait()
		called := false
		if e.Share(t.Context(), Refreshes, "x", time.Now(), func() Outcome { called = true; return Outcome{} }); !called {
			t.Error("a refresh waits for nonces")
		}
		wg.Wait()
		if took := time.Since(began); most != maxCalls || away != 2*maxCalls || took > 2*patience {
			t.Errorf("%d calls at a time, %d given up, after %v", most, away, took)
		}
	})
}

// TestExchangesAreShared: one call for several requests, none of which waits for longer than
// its client does.
func TestExchangesAreShared(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var e Group
		calls := 0
		share := func(ctx context.Context) Outcome {
			return e.Share(ctx, Refreshes, "x", time.Now(), func() Outcome {
				calls++
				time.Sleep(4 * time.Second)
				return Outcome{Lines: []string{"a=b"}}
			})
		}
		var wg sync.WaitGroup
		for range 3 {
			wg.Go(func() {
				if got := share(t.Context()); len(got.Lines) != 1 {
					t.Error(got)
				}
			})
		}
		synctest.Wait()
		ctx, cancel := context.WithTimeout(t.Context(), time.Second)
		defer cancel()
		if got := share(ctx); !got.Away {
			t.Errorf("%v for a client that has gone", got)
		}
		wg.Wait()
		if calls != 1 {
			t.Errorf("%d calls", calls)
		}
	})
}

// TestRefusedExchanges: what Clerk has refused is not sent again for a minute; an outage
// refuses nothing.
func TestRefusedExchanges(t *testing.T) {
	for _, kind := range []string{Nonces, Refreshes} {
		var e Group
		now, calls := time.Now(), 0
		share := func(secret string, answer Outcome) Outcome {
			return e.Share(t.Context(), kind, secret, now, func() Outcome { calls++; return answer })
		}
		for range 1000 {
			if got := share("x", Outcome{Code: "no"}); got.Code != "no" || got.Away {
				t.Fatal(got)
			}
		}
		if now = now.Add(refusedFor); calls != 1 {
			t.Errorf("%s: %d calls", kind, calls)
		}
		share("x", Outcome{Code: "down", Away: true})
		if share("x", Outcome{Lines: []string{"a=b"}}); calls != 3 {
			t.Errorf("%s: %d calls after the minute and an outage", kind, calls)
		}
		for i := range 2 * maxRefused {
			share(fmt.Sprint(i), Outcome{Code: "no"})
		}
		if len(e.refused) > maxRefused {
			t.Errorf("%s: %d remembered", kind, len(e.refused))
		}
	}
}

// TestExchangePanics: a transport that panics leaves nothing behind.
func TestExchangePanics(t *testing.T) {
	var e Group
	for range 2 * maxCalls {
		func() {
			defer func() { _ = recover() }()
			e.Share(t.Context(), Nonces, "x", time.Now(), func() Outcome { panic("transport") })
		}()
	}
	if got := e.Share(t.Context(), Nonces, "x", time.Now(), func() Outcome { return Outcome{Code: "no"} }); got.Code != "no" {
		t.Error(got)
	}
}
