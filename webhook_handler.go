package clerkauth

import (
	"context"
	"net/http"

	"github.com/clerkauth/clerkauth/event"
	"github.com/clerkauth/clerkauth/internal/plain"
)

// On registers handle for events of type t:
//
//	clerkauth.On(hooks, event.UserCreated, func(ctx context.Context, e *event.Event[clerk.User]) error { … })
//
// If handle returns nil, the delivery is acknowledged and not handled again. If it
// returns an error or panics, Svix redelivers the event, up to eight deliveries within
// 28 hours, so handlers must be idempotent: handle may be called again after it did half
// of its work. If a process dies in a handler, another one calls it again, and only what
// was written in the transaction of a store that has one is undone. Use e.DeliveryID as
// an idempotency key for effects elsewhere.
//
// The context is canceled after 14 seconds, and when Svix closes the connection. Pass it
// on to whatever handle calls: as long as handle returns when its context ends, it is
// never called concurrently for one delivery. A handler that runs on is not waited for;
// the delivery stays in flight while it runs, or while the store's lease lasts, and is
// handled if it returns nil. Because a handler may outlive the request, its context has
// none of the values in the request's context.
//
// Events may arrive out of order: compare the payload's updated_at with what is stored.
//
// On panics if handle is nil, or if there is a handler for t already. It is safe for
// concurrent use.
func On[T any](w *Webhook, t event.Type[T], handle func(context.Context, *event.Event[T]) error) {
	if t.Name() == "" || handle == nil {
		panic("clerkauth: On: there is no type or no handler")
	}
	first := w.core.On(t.Name(), func(ctx context.Context, raw *event.Raw) error {
		e, err := t.Decode(raw)
		if err != nil {
			return plain.New(err) // redelivered: a later version of event may read it
		}
		return handle(ctx, e)
	})
	if !first {
		panic("clerkauth: On: there is a handler of " + t.Name() + " already")
	}
}

// OnAny registers handle for every event, also of types that this version of package
// event does not know. It is called after the handler for the event's type, if there is
// one, has succeeded. If handle fails, both are called again when Svix redelivers the
// event; otherwise see [On]. OnAny panics if handle is nil, or if it was called before.
func (w *Webhook) OnAny(handle func(context.Context, *event.Raw) error) {
	if handle == nil || !w.core.OnAny(handle) {
		panic("clerkauth: OnAny: there is a handler of any event already, or none is given")
	}
}

// ServeHTTP handles a delivery. The status is
//
//   - 204 if the delivery was handled, now or before, or if there is no handler for it;
//   - 400 if it is not authentic or not well formed;
//   - 405 for methods other than POST, and 413 for bodies larger than 1 MiB;
//   - 500 if a handler failed;
//   - 503 with Retry-After if another copy of it is being handled, a handler runs past
//     its deadline, or the store fails.
//
// Svix redelivers what is not answered with 2xx. The body is verified as it was
// received: it is not decompressed, whatever its headers say. Set
// http.Server.ReadTimeout to limit how slowly it may arrive.
func (w *Webhook) ServeHTTP(rw http.ResponseWriter, r *http.Request) { w.core.ServeHTTP(rw, r) }
