package webhook

import (
	"context"
	"errors"
)

// Deliveries remembers which deliveries were handled. clerkauth.Deliveries says what Once
// has to do.
type Deliveries interface {
	Once(ctx context.Context, id string, handle func(context.Context) error) error
}

// Errors are what the Once of Deliveries returns, wrapped or not, without calling handle.
type Errors struct {
	Handled       error // the delivery was handled before
	InFlight      error // another copy of it is being handled
	OtherEndpoint error // another endpoint uses the same store
}

// remember sets what remembers the deliveries of e, and how it keeps them apart from those
// of other endpoints.
func (e *Endpoint) remember(deliveries Deliveries, perEndpoint bool) {
	e.deliveries, e.scopes = deliveries, []string{""}
	if perEndpoint {
		return
	}
	if deliveries == nil {
		e.deliveries = NewMemory(e.now, maxRemembered, e.errs) // never shared
		return
	}
	e.scopes = nil
	for _, f := range Fingerprints(e.keys) {
		e.scopes = append(e.scopes, "."+f) // unambiguous: no svix-id has a dot
	}
}

// claim calls Once for the delivery in every scope, nested. So what was handled while the
// endpoint had one secret is recognized while it has two, and later with the other one
// alone.
func (e *Endpoint) claim(ctx context.Context, id string, scopes []string, handle func(context.Context) error) error {
	if len(scopes) == 1 {
		return e.deliveries.Once(ctx, id+scopes[0], handle)
	}
	before, called := false, false
	err := e.deliveries.Once(ctx, id+scopes[0], func(ctx context.Context) error {
		err := e.claim(ctx, id, scopes[1:], func(ctx context.Context) error {
			called = true
			return handle(ctx)
		})
		if before = !called && errors.Is(err, e.errs.Handled); before {
			return nil // so that it is remembered in this scope, too
		}
		return err
	})
	if err == nil && before {
		return e.errs.Handled
	}
	return err
}
