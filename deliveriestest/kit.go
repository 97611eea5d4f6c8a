package deliveriestest

import (
	"context"
	"errors"
	"testing"

	"github.com/clerkauth/clerkauth"
)

// kit is one test with its stores. Without a peer, second is first.
type kit struct {
	*testing.T
	ctx           context.Context
	suite         suite
	first, second clerkauth.Deliveries
}

var errHandler = errors.New("the handler failed")

// store returns the first store for even numbers and the second for odd ones.
func (k *kit) store(n int) clerkauth.Deliveries {
	if n%2 == 0 {
		return k.first
	}
	return k.second
}

// runs fails the test unless a delivery is handled with that result, and Once returns it.
func (k *kit) runs(what string, store clerkauth.Deliveries, id string, result error) {
	k.Helper()
	calls := 0
	err := store.Once(k.ctx, id, func(context.Context) error {
		calls++
		return result
	})
	if calls != 1 {
		k.Fatalf("%s: the handler was called %d times, want once; Once returned %v", what, calls, err)
	}
	if result == nil && err != nil || result != nil && !errors.Is(err, result) {
		k.Fatalf("%s: Once returned %v, and the handler %v", what, err, result)
	}
	for _, untrue := range []error{clerkauth.ErrHandled, clerkauth.ErrInFlight} {
		if errors.Is(err, untrue) && !errors.Is(result, untrue) {
			k.Fatalf("%s: Once called the handler, and says %v", what, err)
		}
	}
}

// returns fails the test unless both stores return want without calling the handler.
func (k *kit) returns(what, id string, want error) {
	k.Helper()
	for n := range 2 {
		err := k.store(n).Once(k.ctx, id, func(context.Context) error {
			k.Errorf("%s: the handler was called", what)
			return errHandler
		})
		if !errors.Is(err, want) || errors.Is(err, clerkauth.ErrHandled) && errors.Is(err, clerkauth.ErrInFlight) {
			k.Fatalf("%s: Once returned %v, want %v", what, err, want)
		}
	}
}

// call is a delivery whose handler waits for what to return.
type call struct {
	k      *kit
	finish chan error
	result chan error
}

// begin starts a delivery and returns when its handler runs. The handler ignores the
// end of its context unless heed is true.
func (k *kit) begin(ctx context.Context, store clerkauth.Deliveries, id string, heed bool) *call {
	k.Helper()
	f := &call{k, make(chan error, 1), make(chan error, 1)}
	k.Cleanup(func() { close(f.finish) }) // for tests that fail
	up := make(chan struct{})
	go func() {
		f.result <- store.Once(ctx, id, func(ctx context.Context) error {
			close(up)
			if !heed {
				return <-f.finish
			}
			select {
			case err := <-f.finish:
				return err
			case <-ctx.Done():
				return ctx.Err()
			}
		})
	}()
	select {
	case <-up:
	case err := <-f.result:
		k.Fatalf("a new delivery was not handled: %v", err)
	case <-k.ctx.Done():
		k.Fatal("a new delivery waits")
	}
	return f
}

// end makes the handler return err, and returns what Once returned.
func (f *call) end(err error) error {
	f.finish <- err
	return f.wait()
}

func (f *call) wait() error {
	f.k.Helper()
	select {
	case err := <-f.result:
		return err
	case <-f.k.ctx.Done():
		f.k.Fatal("Once does not return, although its handler did")
		return nil
	}
}
