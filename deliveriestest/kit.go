package deliveriestest

import (
	"context"
	"errors"
	"testing"

	"github.com/clerkauth/clerkauth"
)

// kit is one test with its stores. The second is the first where there is no peer.
type kit struct {
	*testing.T
	ctx           context.Context
	suite         suite
	first, second clerkauth.Deliveries
}

var errHandler = errors.New("the handler failed")

// store returns one store for even numbers and the other for odd ones.
func (k *kit) store(n int) clerkauth.Deliveries {
	if n%2 == 0 {
		return k.first
	}
	return k.second
}

// runs holds that a delivery is handled, and remembered or released as it should.
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

// tells holds that a copy is answered without being handled, in both stores.
func (k *kit) tells(what, id string, want error) {
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

// flight is a delivery whose handler waits until it is told what to return.
type flight struct {
	k      *kit
	finish chan error
	result chan error
}

// takeOff starts a delivery and returns when its handler runs. The handler does not
// care about its context, unless heed.
func (k *kit) takeOff(ctx context.Context, store clerkauth.Deliveries, id string, heed bool) *flight {
	k.Helper()
	f := &flight{k, make(chan error, 1), make(chan error, 1)}
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

// land has the handler return err, and returns what Once returned.
func (f *flight) land(err error) error {
	f.finish <- err
	return f.landed()
}

func (f *flight) landed() error {
	f.k.Helper()
	select {
	case err := <-f.result:
		return err
	case <-f.k.ctx.Done():
		f.k.Fatal("Once does not return, although its handler did")
		return nil
	}
}
