package clerkauth

import (
	"context"
	"net/http"

	"github.com/clerkauth/clerkauth/event"
	"github.com/clerkauth/clerkauth/internal/plain"
)

// WebhookResult is how a webhook request ended. Its values are suitable as the label of
// a metric.
type WebhookResult string

// The results of a webhook request.
const (
	// WebhookHandled means that handlers succeeded, and that this is remembered.
	WebhookHandled WebhookResult = "handled"
	// WebhookDuplicate means that the delivery was handled before.
	WebhookDuplicate WebhookResult = "duplicate"
	// WebhookIgnored means that there is no handler for events of this type.
	WebhookIgnored WebhookResult = "ignored"
	// WebhookInFlight means that another copy of the delivery is being handled.
	WebhookInFlight WebhookResult = "in-flight"
	// WebhookRefused means that the request is not an authentic delivery.
	WebhookRefused WebhookResult = "refused"
	// WebhookHandlerFailed means that a handler returned an error or panicked.
	WebhookHandlerFailed WebhookResult = "handler-failed"
	// WebhookStoreFailed means that the Deliveries failed before a handler was called or
	// after it returned, or that they belong to another endpoint.
	WebhookStoreFailed WebhookResult = "store-failed"
	// WebhookLate means that a handler or the Deliveries did not finish before the
	// deadline, or that it was too late to begin. How it ends later is not observed.
	WebhookLate WebhookResult = "late"
)

// WebhookOutcome is the outcome of a webhook request, for [WebhookConfig.Observe].
type WebhookOutcome struct {
	Result WebhookResult
	// Status is the status of the response.
	Status int
	// Type is the event's type and DeliveryID the svix-id, or "" if the request was
	// refused. Package event may not know the type.
	Type, DeliveryID string
}

// of returns the outcome for e, with the status of the response.
func (result WebhookResult) of(e *event.Raw) WebhookOutcome {
	o := WebhookOutcome{Result: result, Status: http.StatusServiceUnavailable, Type: e.Type, DeliveryID: e.DeliveryID}
	switch result {
	case WebhookHandled, WebhookDuplicate, WebhookIgnored:
		o.Status = http.StatusNoContent
	case WebhookHandlerFailed:
		o.Status = http.StatusInternalServerError
	}
	return o
}

// observed calls Observe. A panic of it is logged and does not change the response.
func (w *webhook) observed(ctx context.Context, o WebhookOutcome) {
	defer func() {
		if v := recover(); v != nil {
			w.log.ErrorContext(ctx, "clerkauth: webhook Observe failed", "error", plain.Describe(plain.Panic(v)))
		}
	}()
	w.observe(ctx, o)
}
