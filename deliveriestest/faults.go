package deliveriestest

import (
	"context"
	"errors"
	"runtime"
	"sync"
	"time"

	"github.com/clerkauth/clerkauth"
)

// releasesAtOnce sends the next copy as soon as Once has returned, many times: a release
// that has not ended would block it, or remove its claim.
func releasesAtOnce(k *kit) {
	const rounds = 100
	for _, how := range []struct {
		name string
		fail func(id string)
	}{
		{"an error", func(id string) { k.runs("a copy that fails", k.first, id, errHandler) }},
		{"a panic", func(id string) {
			defer func() { _ = recover() }()
			_ = k.first.Once(k.ctx, id, func(context.Context) error { panic(errHandler) })
		}},
		{"the end of its context", func(id string) {
			ctx, cancel := context.WithCancel(k.ctx)
			_ = k.first.Once(ctx, id, func(context.Context) error { cancel(); return errHandler })
			cancel()
		}},
		{"the end of its goroutine", func(id string) {
			var gone sync.WaitGroup
			gone.Go(func() {
				_ = k.first.Once(k.ctx, id, func(context.Context) error { runtime.Goexit(); return nil })
			})
			gone.Wait()
		}},
	} {
		for range rounds / 4 {
			id := newID()
			how.fail(id)
			err := k.second.Once(k.ctx, id, func(context.Context) error {
				runtime.Gosched()
				k.returns("a copy in flight after "+how.name, id, clerkauth.ErrInFlight)
				return nil
			})
			if err != nil {
				k.Fatalf("a copy right after %s: Once returned %v", how.name, err)
			}
			k.returns("a copy after it", id, clerkauth.ErrHandled)
		}
	}
}

// outlastsLease runs a handler for longer than the lease: the claim stays, or the
// handler's context ends before the claim does.
func outlastsLease(k *kit) {
	id := newID()
	var own context.Context // the handler's
	up, finish, result := make(chan struct{}), make(chan error, 1), make(chan error, 1)
	go func() {
		result <- k.first.Once(k.ctx, id, func(ctx context.Context) error {
			own = ctx
			close(up)
			return <-finish
		})
	}()
	select {
	case <-up:
	case err := <-result:
		k.Fatalf("a new delivery was not handled: %v", err)
	}
	over := time.Now().Add(3 * k.suite.lease)
	handledElsewhere := false
	for time.Now().Before(over) && own.Err() == nil {
		err := k.second.Once(k.ctx, id, func(context.Context) error {
			handledElsewhere = true
			if own.Err() == nil {
				k.Errorf("a copy is handled while the handler runs: its claim ran out within %v, and its context did not end", 3*k.suite.lease)
			}
			return errHandler
		})
		if !handledElsewhere && !errors.Is(err, clerkauth.ErrInFlight) {
			k.Errorf("a copy while the handler runs is told %v", err)
		}
		if handledElsewhere || k.Failed() {
			break
		}
		k.pause(k.suite.lease / 20)
	}
	finish <- nil
	err := <-result
	switch {
	case err == nil:
		k.returns("a copy of what was handled", id, clerkauth.ErrHandled)
	case own.Err() == nil && !handledElsewhere:
		k.Errorf("Once returned %v, although its handler returned nil and was not told to end", err)
	}
}

// pause waits for d, or until the test's deadline.
func (k *kit) pause(d time.Duration) {
	select {
	case <-time.After(d):
	case <-k.ctx.Done():
	}
}

// outageInFlight makes the memory unreachable while handlers run. What Once returns for
// them must be true.
func outageInFlight(k *kit) {
	for _, heals := range []string{"before the handler ends", "after it"} {
		for _, result := range []error{nil, errHandler} {
			if result != nil && heals == "before the handler ends" {
				continue
			}
			id := newID()
			f := k.begin(k.ctx, k.first, id, false)
			heal := k.suite.cut(k.T, k.first)
			if heals == "before the handler ends" {
				heal()
			}
			f.finish <- result
			if heals == "after it" {
				select {
				case err := <-f.result:
					f.result <- err
				case <-time.After(k.suite.lease / 2): // it tries again
				}
				heal()
			}
			err := f.wait()
			switch {
			case result != nil && err == nil:
				k.Errorf("an outage that ends %s: Once returned nil, and the handler %v", heals, result)
			case err == nil:
				k.returns("a copy of what Once says is remembered, in spite of an outage that ends "+heals, id, clerkauth.ErrHandled)
			case errors.Is(err, clerkauth.ErrHandled) || errors.Is(err, clerkauth.ErrInFlight):
				k.Errorf("an outage that ends %s: Once called the handler, and says %v", heals, err)
			default:
				k.eventually("a copy of what failed in an outage", id)
			}
		}
	}
}

// eventually fails the test unless a delivery is handled once its claim has expired. If
// the lease is not known, it does not wait for that.
func (k *kit) eventually(what, id string) {
	k.Helper()
	over := time.Now().Add(3 * k.suite.lease)
	for k.ctx.Err() == nil && (k.suite.leaseSet || time.Now().Before(over)) {
		err := k.second.Once(k.ctx, id, func(context.Context) error { return nil })
		if err == nil || errors.Is(err, clerkauth.ErrHandled) {
			k.returns(what, id, clerkauth.ErrHandled)
			return
		}
		k.pause(k.suite.lease / 20)
	}
	if k.suite.leaseSet {
		k.Errorf("%s: it is never handled", what)
	}
}

// lostInFlight removes a claim while its handler runs, and handles another copy. The end
// of the first must not affect the claim of the second.
func lostInFlight(k *kit) {
	for _, result := range []error{nil, errHandler} {
		id := newID()
		f := k.begin(k.ctx, k.first, id, false)
		k.suite.forget(k.T, k.first, id)
		var ended error
		err := k.second.Once(k.ctx, id, func(context.Context) error {
			ended = f.end(result)
			if ended == nil {
				k.Error("Once returned nil, although its claim was lost to a copy that may fail")
			}
			// What was another's claim is so still.
			err := k.first.Once(k.ctx, id, func(context.Context) error {
				k.Errorf("a copy is handled beside another, whose claim the end of a lost one took away")
				return errHandler
			})
			if !errors.Is(err, clerkauth.ErrInFlight) {
				k.Errorf("after a lost claim has ended, a copy of what is in flight is told %v", err)
			}
			return errHandler
		})
		if errors.Is(err, clerkauth.ErrInFlight) { // the claim was made again at once
			ended = f.end(result)
			if result == nil && ended == nil {
				k.returns("a copy of what was handled", id, clerkauth.ErrHandled)
				continue
			}
		} else if !errors.Is(err, errHandler) {
			k.Errorf("a copy of what has lost its claim: Once returned %v", err)
		}
		k.runs("a copy after both failed", k.first, id, nil)
	}
}

// lateClaim delays the response to a claim until the claim has expired.
func lateClaim(k *kit) {
	id := newID()
	resume := k.suite.hold(k.T, k.first)
	called := false
	result := make(chan error, 1)
	go func() {
		result <- k.first.Once(k.ctx, id, func(context.Context) error {
			called = true
			// It may have claimed the delivery again.
			err := k.second.Once(k.ctx, id, func(context.Context) error {
				k.Error("a handler was called by a claim that had run out: a copy is handled at the same time")
				return errHandler
			})
			if !errors.Is(err, clerkauth.ErrInFlight) {
				k.Errorf("a copy is told %v", err)
			}
			return errHandler
		})
	}()
	k.pause(k.suite.lease + k.suite.lease/2)
	resume()
	err := <-result
	if !called && (err == nil || errors.Is(err, clerkauth.ErrHandled)) {
		k.Errorf("Once returned %v for what nobody has handled", err)
	}
	k.eventually("a copy after a late claim", id)
}
