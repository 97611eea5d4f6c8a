package deliveriestest

import (
	"context"
	"errors"
	"fmt"
	"runtime"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"github.com/clerkauth/clerkauth"
)

func handledOnce(k *kit) {
	id := newID()
	k.runs("the first copy", k.first, id, nil)
	for range 3 {
		k.returns("a copy of what was handled", id, clerkauth.ErrHandled)
	}
}

func idsApart(k *kit) {
	id := newID()
	for _, other := range []string{id, id + "0", id[:len(id)-1], strings.ToLower(id), id + "_", id + "-",
		id + strings.Repeat("x", 128-len(id)), id + strings.Repeat("x", 127-len(id)) + "y",
		id + ".0123456789abcdef", id + ".0123456789abcdee", id + strings.Repeat("x", 128-len(id)) + ".0123456789abcdef"} {
		k.runs(fmt.Sprintf("%d characters", len(other)), k.first, other, nil)
		k.returns("its copy", other, clerkauth.ErrHandled)
	}
}

func inFlight(k *kit) {
	id := newID()
	f := k.begin(k.ctx, k.first, id, false)
	k.returns("a copy in flight", id, clerkauth.ErrInFlight)
	k.returns("another", id, clerkauth.ErrInFlight)
	k.runs("another delivery meanwhile", k.second, newID(), nil)
	if err := f.end(nil); err != nil {
		k.Fatal(err)
	}
	k.returns("a copy after it", id, clerkauth.ErrHandled)
}

func failureReleases(k *kit) {
	id := newID()
	for n := range 3 {
		k.runs("a copy that fails", k.store(n), id, errHandler)
	}
	f := k.begin(k.ctx, k.first, id, false)
	k.returns("a copy in flight after failures", id, clerkauth.ErrInFlight)
	if err := f.end(errHandler); !errors.Is(err, errHandler) {
		k.Fatal(err)
	}
	k.runs("a copy after failures", k.second, id, nil)
	k.returns("a copy after it", id, clerkauth.ErrHandled)
}

func ownErrors(k *kit) {
	for _, err := range []error{clerkauth.ErrHandled, clerkauth.ErrInFlight, context.Canceled, context.DeadlineExceeded} {
		id := newID()
		k.runs("a handler returns an error of ours", k.first, id, err)
		k.runs("a copy after it", k.second, id, nil)
	}
}

func panicReleases(k *kit) {
	id := newID()
	thrown := new(int)
	func() {
		defer func() {
			if got := recover(); got != any(thrown) {
				k.Errorf("the panic went on as %v", got)
			}
		}()
		err := k.first.Once(k.ctx, id, func(context.Context) error { panic(thrown) })
		k.Errorf("the panic was swallowed: %v", err)
	}()
	k.runs("a copy after a panic", k.second, id, nil)
	k.returns("a copy after it", id, clerkauth.ErrHandled)
}

func goexitReleases(k *kit) {
	id := newID()
	gone := make(chan struct{})
	go func() {
		defer close(gone)
		_ = k.first.Once(k.ctx, id, func(context.Context) error {
			runtime.Goexit()
			return nil
		})
	}()
	<-gone
	k.runs("a copy after the end of a goroutine", k.second, id, nil)
}

type contextKey struct{}

func contextArrives(k *kit) {
	ctx, cancel := context.WithCancelCause(context.WithValue(k.ctx, contextKey{}, "value"))
	defer cancel(nil)
	err := k.first.Once(ctx, newID(), func(ctx context.Context) error {
		if ctx.Value(contextKey{}) != "value" {
			k.Error("the context's values are gone")
		}
		if ctx.Err() != nil {
			k.Error("the context has ended before the handler did")
		}
		cancel(errHandler)
		select {
		case <-ctx.Done():
		case <-k.ctx.Done():
			k.Error("the end of the context does not arrive")
		}
		return ctx.Err()
	})
	if !errors.Is(err, context.Canceled) {
		k.Error(err)
	}
}

func cancelReleases(k *kit) {
	id := newID()
	ctx, cancel := context.WithCancel(k.ctx)
	f := k.begin(ctx, k.first, id, true)
	cancel()
	if err := f.wait(); err == nil {
		k.Fatal("Once returned nil, although its handler failed")
	}
	k.runs("a copy after it", k.second, id, nil)
}

func overrunKeepsClaim(k *kit) {
	id := newID()
	ctx, cancel := context.WithCancel(k.ctx)
	f := k.begin(ctx, k.first, id, false)
	cancel()
	for range 3 {
		k.returns("a copy while the handler runs on", id, clerkauth.ErrInFlight)
	}
	if err := f.end(errHandler); err == nil {
		k.Fatal("Once returned nil, although its handler failed")
	}
	k.runs("a copy after it", k.second, id, nil)
	k.returns("a copy after that", id, clerkauth.ErrHandled)
}

func lateSuccess(k *kit) {
	id := newID()
	ctx, cancel := context.WithCancel(k.ctx)
	f := k.begin(ctx, k.first, id, false)
	cancel()
	if err := f.end(nil); err == nil {
		k.returns("a copy of what was handled late", id, clerkauth.ErrHandled)
	} else {
		k.runs("a copy of what could not be remembered", k.second, id, nil)
	}
}

// manyCopies sends all copies but one while that one is handled, then all of them again.
func manyCopies(k *kit) {
	id := newID()
	var calls, completed, flown, answered atomic.Int32
	told := make(chan struct{}) // closed when all but one were told that one is in flight
	answer := func() {
		if int(answered.Add(1)) == k.suite.copies {
			close(told)
		}
	}
	answer() // the one that is handled
	wave := func(handle func(context.Context) error, result func(error)) {
		var copies sync.WaitGroup
		for n := range k.suite.copies {
			copies.Go(func() { result(k.store(n).Once(k.ctx, id, handle)) })
		}
		copies.Wait()
	}
	wave(func(context.Context) error {
		calls.Add(1)
		select {
		case <-told:
		case <-k.ctx.Done():
			k.Errorf("copies of a delivery in flight wait for it: %d were told", flown.Load())
		}
		completed.Add(1)
		return nil
	}, func(err error) {
		switch {
		case errors.Is(err, clerkauth.ErrInFlight):
			flown.Add(1)
			answer()
		case err != nil:
			k.Errorf("a copy in flight is told %v", err)
			answer()
		case completed.Load() != 1:
			k.Error("a copy is told that it was handled before it is")
		}
	})
	wave(func(context.Context) error {
		calls.Add(1)
		return nil
	}, func(err error) {
		if !errors.Is(err, clerkauth.ErrHandled) {
			k.Errorf("a copy of what was handled is told %v", err)
		}
	})
	if calls.Load() != 1 || completed.Load() != 1 || int(flown.Load()) != k.suite.copies-1 {
		k.Errorf("%d calls, %d completed, %d copies told that one is in flight", calls.Load(), completed.Load(), flown.Load())
	}
}

// manyFailures sends waves of copies to a handler that fails three times. It must not run
// twice at a time, and success must not be reported early.
func manyFailures(k *kit) {
	const failures = 3
	id := newID()
	var running, calls, completed atomic.Int32
	for k.ctx.Err() == nil && completed.Load() == 0 {
		var copies sync.WaitGroup
		for n := range min(k.suite.copies, 50) {
			copies.Go(func() {
				err := k.store(n).Once(k.ctx, id, func(context.Context) error {
					if running.Add(1) != 1 {
						k.Error("two copies are handled at a time")
					}
					defer running.Add(-1)
					runtime.Gosched()
					if calls.Add(1) <= failures {
						return errHandler
					}
					completed.Add(1)
					return nil
				})
				if (err == nil || errors.Is(err, clerkauth.ErrHandled)) && completed.Load() == 0 {
					k.Error("a copy is told that it was handled before it is")
				}
				if err != nil && !errors.Is(err, clerkauth.ErrHandled) && !errors.Is(err, clerkauth.ErrInFlight) && !errors.Is(err, errHandler) {
					k.Error(err)
				}
			})
		}
		copies.Wait()
	}
	if calls.Load() != failures+1 || completed.Load() != 1 {
		k.Errorf("%d calls, %d completed", calls.Load(), completed.Load())
	}
	k.returns("a copy after it", id, clerkauth.ErrHandled)
}

func manyDeliveries(k *kit) {
	const deliveries, copies = 50, 4
	var calls [deliveries]atomic.Int32
	var all sync.WaitGroup
	for d := range deliveries {
		id := newID()
		for n := range copies {
			all.Go(func() {
				err := k.store(n).Once(k.ctx, id, func(context.Context) error {
					calls[d].Add(1)
					return nil
				})
				if err != nil && !errors.Is(err, clerkauth.ErrHandled) && !errors.Is(err, clerkauth.ErrInFlight) {
					k.Error(err)
				}
			})
		}
	}
	all.Wait()
	for d := range calls {
		if n := calls[d].Load(); n != 1 {
			k.Errorf("a delivery was handled %d times", n)
		}
	}
}

func crash(k *kit) {
	id, other := newID(), newID()
	k.suite.leave(k.T, k.first, id)
	k.returns("a copy of what a process died over", id, clerkauth.ErrInFlight)
	k.runs("another delivery", k.second, other, nil)
	k.suite.expire(k.T, k.first, id)
	k.runs("a copy after the lease", k.second, id, nil)
	k.returns("a copy after it", id, clerkauth.ErrHandled)
	k.returns("a copy of the other", other, clerkauth.ErrHandled)
}

func remembered(k *kit) {
	id, failed := newID(), newID()
	k.runs("the first copy", k.first, id, nil)
	k.runs("one that fails", k.first, failed, errHandler)
	for range 2 {
		k.suite.pass(k.T, k.first, 18*time.Hour-time.Minute)
		k.runs("another delivery", k.first, newID(), nil) // what forgets may do so now
		k.returns("a copy within 36 hours", id, clerkauth.ErrHandled)
	}
	k.runs("what failed", k.second, failed, nil)
}

func outage(k *kit) {
	before, id := newID(), newID()
	k.runs("a delivery before the outage", k.first, before, nil)
	heal := k.suite.cut(k.T, k.first)
	for _, id := range []string{before, id} {
		err := k.first.Once(k.ctx, id, func(context.Context) error {
			k.Error("a handler was called during an outage")
			return nil
		})
		if err == nil || errors.Is(err, clerkauth.ErrHandled) || errors.Is(err, clerkauth.ErrInFlight) {
			k.Errorf("during an outage Once returned %v", err)
		}
	}
	heal()
	k.runs("a delivery after the outage", k.first, id, nil)
	k.returns("a copy of it", id, clerkauth.ErrHandled)
	k.returns("a copy of what was handled before the outage", before, clerkauth.ErrHandled)
}
