package clerkauth

import (
	"context"
	"errors"
	"sync"
	"time"
)

// Deliveries remembers which webhook deliveries were handled, by an id that all
// copies of a delivery share. [NewWebhook] keeps them in memory if it is given
// none; several replicas of a program need a store that they share. Package
// deliveriestest holds what every implementation has to pass.
//
// Svix gives a message the same svix-id at every endpoint that it is sent to. So
// that no endpoint takes what another handled for its own, a Webhook adds a dot and a
// fingerprint of its secret to the svix-id, unless the store is an
// [EndpointDeliveries]: ids are at most 160 letters, digits, dots, hyphens and
// underscores. While there are two secrets, Once is called for each of them, one
// inside the other.
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
	//   - If handle returns an error, panics or ends its goroutine, id is released
	//     before Once returns, so that the next copy is handled; the error is
	//     returned, wrapped or not, and the panic goes on.
	//   - ErrHandled and ErrInFlight are returned, wrapped or not, at once and
	//     without a call of handle. A copy of a delivery in flight is never made
	//     to wait for it, and never told that it was handled.
	//   - While handle runs, id stays claimed, even if ctx ends and handle does not
	//     care. The claim of a process that died runs out by itself, after a lease
	//     of 60 seconds if it has one; a store with leases renews them while handle
	//     runs, or ends handle's context before the lease does. It ends that context,
	//     too, when it finds that the claim was lost.
	//   - A lease counts from before it was asked for. A store does not call handle
	//     when it learns of its claim after that may have run out.
	//   - ctx, or one derived from it, is handle's. That it ended keeps no store
	//     from releasing or remembering.
	//   - Any other error means that the store failed, either before handle was
	//     called or in remembering what it did; the delivery will come again. A
	//     store never calls handle without having claimed id.
	Once(ctx context.Context, id string, handle func(context.Context) error) error
}

// EndpointDeliveries is a [Deliveries] that knows which endpoint handled what. Two
// endpoints that are given one table or prefix by mistake find out: the second to
// claim a delivery gets [ErrOtherEndpoint], its sender 503 until the mistake is
// mended, and the operator a line in the log. The stores for PostgreSQL and Redis are
// of this kind.
type EndpointDeliveries interface {
	Deliveries

	// ForEndpoint returns the store as an endpoint uses it that has these
	// fingerprints, one for each of its secrets. What it handles is remembered with
	// all of them. Once with the svix-id of a delivery that was handled returns
	// ErrHandled if it was remembered with one of them, or with none, and
	// ErrOtherEndpoint otherwise: so an endpoint is known while its secret is
	// rotated, as long as the old one stands beside the new. Fingerprints are made of
	// letters and digits, and say nothing about the secret.
	ForEndpoint(fingerprints []string) Deliveries
}

// ErrOtherEndpoint indicates a delivery that was handled, or is being handled, by an
// endpoint with other secrets, which shares the store. See [EndpointDeliveries].
var ErrOtherEndpoint = errors.New("clerkauth: another endpoint remembers its deliveries in the same store: give each a table or prefix of its own")

// What [Deliveries.Once] answers for copies of a delivery. They are no failures.
var (
	// ErrHandled: the delivery was handled before.
	ErrHandled = errors.New("clerkauth: the delivery was handled before")
	// ErrInFlight: another copy of the delivery is being handled, and may fail.
	ErrInFlight = errors.New("clerkauth: another copy of the delivery is being handled")
)

const (
	// rememberFor is how long a handled delivery is remembered. Svix's last attempt
	// comes 27 h 35 min after its first.
	rememberFor = 36 * time.Hour
	// maxRemembered bounds the memory of a Webhook without a store, to some 20 MB.
	maxRemembered = 100_000
)

// memoryDeliveries is the Deliveries of one process. Its claims need no lease: they
// end with the process.
type memoryDeliveries struct {
	now func() time.Time
	max int

	mu     sync.Mutex
	claims map[string]bool // true: handled, false: in flight
	done   []doneDelivery  // the handled, oldest first
}

type doneDelivery struct {
	id string
	at time.Time
}

func newMemoryDeliveries(now func() time.Time) *memoryDeliveries {
	return &memoryDeliveries{now: now, max: maxRemembered, claims: make(map[string]bool)}
}

func (m *memoryDeliveries) Once(ctx context.Context, id string, handle func(context.Context) error) error {
	if err := m.claim(id); err != nil {
		return err
	}
	handled := false
	defer func() { m.settle(id, handled) }() // whatever handle does
	if err := handle(ctx); err != nil {
		return err
	}
	handled = true
	return nil
}

func (m *memoryDeliveries) claim(id string) error {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.forget()
	if handled, known := m.claims[id]; handled {
		return ErrHandled
	} else if known {
		return ErrInFlight
	}
	m.claims[id] = false
	return nil
}

func (m *memoryDeliveries) settle(id string, handled bool) {
	m.mu.Lock()
	defer m.mu.Unlock()
	if !handled {
		delete(m.claims, id)
		return
	}
	m.claims[id] = true
	m.done = append(m.done, doneDelivery{id, m.now()})
	m.forget()
}

// forget drops handled deliveries that are too old or too many. What is in flight
// is not among them.
func (m *memoryDeliveries) forget() {
	for len(m.done) > 0 && (len(m.done) > m.max || m.now().Sub(m.done[0].at) > rememberFor) {
		delete(m.claims, m.done[0].id)
		m.done[0] = doneDelivery{}
		m.done = m.done[1:]
	}
}
