package clerkauth

import (
	"context"
	"errors"
	"fmt"
	"testing"
	"time"
)

// NewMemoryDeliveries returns the store of a Webhook without Deliveries. It
// remembers at most that many handled deliveries.
func NewMemoryDeliveries(now func() time.Time, most int) Deliveries {
	m := newMemoryDeliveries(now)
	m.max = most
	return m
}

func once(t *testing.T, d Deliveries, id string) error {
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
	d := NewMemoryDeliveries(func() time.Time { return now }, 3)
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
		if known := errors.Is(err, ErrHandled); known != (n >= 2) {
			t.Errorf("delivery %d of 5, of which 3 are remembered: %v", n, err)
		}
	}
	if err := once(t, d, "flying"); !errors.Is(err, ErrInFlight) {
		t.Errorf("what is in flight was forgotten: %v", err)
	}
	now = now.Add(-time.Hour) // the clock is set back
	if err := once(t, d, "4"); !errors.Is(err, ErrHandled) {
		t.Error(err)
	}
	now = now.Add(38 * time.Hour)
	if err := once(t, d, "flying"); !errors.Is(err, ErrInFlight) {
		t.Errorf("what is in flight was forgotten in time: %v", err)
	}
	if err := once(t, d, "4"); err != nil {
		t.Errorf("after 36 hours: %v", err)
	}
	close(release)
	if err := <-finished; err != nil {
		t.Fatal(err)
	}
	if err := once(t, d, "flying"); !errors.Is(err, ErrHandled) {
		t.Error(err)
	}
}
