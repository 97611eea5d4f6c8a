package clerkauth

import (
	"context"
	"errors"
)

// Deliveries remembers which webhook deliveries were handled, by an id that all copies
// of a delivery share. It must be safe for concurrent use. By default a [Webhook]
// remembers them in memory; replicas of a program need a store that they share.
// Package deliveriestest tests implementations.
//
// Svix uses one svix-id for all endpoints that it sends a message to. To keep endpoints
// apart, a Webhook appends a dot and a fingerprint of its secret to the svix-id, unless
// the store is an [EndpointDeliveries]: ids are at most 160 letters, digits, dots,
// hyphens and underscores. While there are two secrets, Once is called for both, one
// call inside the other.
type Deliveries interface {
	// Once calls handle unless id was handled before (ErrHandled) or is being
	// handled (ErrInFlight). An error or panic of handle releases id. handle's
	// context may carry the store's transaction.
	//
	// In full, for any number of goroutines and processes:
	//
	//   - Once returns nil if and only if handle returned nil and id is remembered
	//     as handled, which it is for at least 36 hours from then: Svix stops
	//     sending after 28.
	//   - If handle returns an error, panics or exits its goroutine, id is released
	//     before Once returns, so that the next copy is handled. The error is
	//     returned, wrapped or not, and the panic propagates.
	//   - ErrHandled and ErrInFlight are returned, wrapped or not, at once and
	//     without a call of handle. A copy of a delivery in flight never waits for
	//     it, and never gets ErrHandled.
	//   - While handle runs, id stays claimed, even if ctx ends and handle ignores
	//     that. The claim of a process that died expires, after a lease of 60 seconds
	//     if the store has leases. Such a store renews a lease while handle runs, or
	//     cancels handle's context before it expires, and also when the claim is lost.
	//   - A lease begins before it is requested. A store does not call handle if it
	//     learns of its claim when the lease may have expired.
	//   - ctx, or a context derived from it, is passed to handle. A store releases and
	//     remembers ids even if ctx has ended.
	//   - Any other error means that the store failed, before handle was called or
	//     after it returned; Svix redelivers the event. A store never calls handle
	//     without having claimed id.
	Once(ctx context.Context, id string, handle func(context.Context) error) error
}

// EndpointDeliveries is a [Deliveries] that remembers which endpoint handled what, and so
// detects two endpoints that use one table or prefix by mistake: the second to claim a
// delivery gets [ErrOtherEndpoint], its responses are 503 until the configuration is
// corrected, and an error is logged. The stores for PostgreSQL and Redis implement it.
type EndpointDeliveries interface {
	Deliveries

	// ForEndpoint returns the store for an endpoint with these fingerprints, one for
	// each of its secrets. What the endpoint handles is remembered with all of them.
	// For the svix-id of a delivery that was handled, Once returns ErrHandled if it is
	// remembered with one of them, or with none, and ErrOtherEndpoint otherwise. So an
	// endpoint is recognized while its secret is rotated, as long as the old secret is
	// configured beside the new one. Fingerprints consist of letters and digits, and
	// disclose nothing about the secret.
	ForEndpoint(fingerprints []string) Deliveries
}

// ErrOtherEndpoint indicates that a delivery was handled, or is being handled, by an
// endpoint with other secrets that uses the same store. See [EndpointDeliveries].
var ErrOtherEndpoint = errors.New("clerkauth: another endpoint remembers its deliveries in the same store: give each a table or prefix of its own")

// Errors of [Deliveries.Once] for copies of a delivery. They are not failures.
var (
	// ErrHandled indicates that the delivery was handled before.
	ErrHandled = errors.New("clerkauth: the delivery was handled before")
	// ErrInFlight indicates that another copy of the delivery is being handled. It may
	// still fail.
	ErrInFlight = errors.New("clerkauth: another copy of the delivery is being handled")
)
