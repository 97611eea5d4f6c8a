package webhook_test

import (
	"context"
	"errors"
	"fmt"
	"sync/atomic"
	"testing"
	"time"

	"github.com/clerkauth/clerkauth"
	"github.com/clerkauth/clerkauth/deliveriestest"
	"github.com/clerkauth/clerkauth/internal/webhook"
)

// newMemory returns a Memory of at most so many deliveries with the errors of clerkauth.
func newMemory(now func() time.Time, most int) clerkauth.Deliveries {
	return webhook.NewMemory(now, most, webhook.Errors{Handled: clerkauth.ErrHandled, InFlight: clerkauth.ErrInFlight})
}

func TestDeliveriesInMemory(t *testing.T) {
	var offset atomic.Int64
	start := time.Now()
	open := func(*testing.T) clerkauth.Deliveries {
		return newMemory(func() time.Time { return start.Add(time.Duration(offset.Load())) }, 100_000)
	}
	deliveriestest.Run(t, open, deliveriestest.Lease(10*time.Millisecond), deliveriestest.Later(func(_ *testing.T, _ clerkauth.Deliveries, d time.Duration) { offset.Add(int64(d)) }))
}

func once(t *testing.T, d clerkauth.Deliveries, id string) error {
	t.Helper()
	called := false
	err := d.Once(t.Context(), id, func(context.Context) error {
		called = true
		return nil
	})
	if called != (err == nil) {
		t.Fatalf("%s: called: %t, Once: %v", id, called, err)
	}
	return err
}

// TestDeliveriesInMemoryAreBounded: beyond the bound, the oldest deliveries are
// forgotten.
func TestDeliveriesInMemoryAreBounded(t *testing.T) {
	now := time.Now()
	d := newMemory(func() time.Time { return now }, 3)
	inFlight, release := make(chan struct{}), make(chan struct{})
	finished := make(chan error)
	go func() {
		finished <- d.Once(t.Context(), "flying", func(context.Context) error {
			close(inFlight)
			<-release
			return nil
		})
	}()
	<-inFlight
	for n := range 5 {
		if err := once(t, d, fmt.Sprint(n)); err != nil {
			t.Fatal(err)
		}
	}
	for n := range 5 {
		err := d.Once(t.Context(), fmt.Sprint(n), func(context.Context) error { return errors.New("not handled") })
		if known := errors.Is(err, clerkauth.ErrHandled); known != (n >= 2) {
			t.Errorf("delivery %d of 5, of which 3 are remembered: %v", n, err)
		}
	}
	if err := once(t, d, "flying"); !errors.Is(err, clerkauth.ErrInFlight) {
		t.Errorf("what is in flight was forgotten: %v", err)
	}
	now = now.Add(-time.Hour) // the clock is set back
	if err := once(t, d, "4"); !errors.Is(err, clerkauth.ErrHandled) {
		t.Error(err)
	}
	now = now.Add(38 * time.Hour)
	if err := once(t, d, "flying"); !errors.Is(err, clerkauth.ErrInFlight) {
		t.Errorf("what is in flight was forgotten in time: %v", err)
	}
	if err := once(t, d, "4"); err != nil {
		t.Errorf("after 36 hours: %v", err)
	}
	close(release)
	if err := <-finished; err != nil {
		t.Fatal(err)
	}
	if err := once(t, d, "flying"); !errors.Is(err, clerkauth.ErrHandled) {
		t.Error(err)
	}
}
