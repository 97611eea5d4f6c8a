package clerkauth

import (
	"context"
	"net/http"

	"github.com/clerkauth/clerkauth/event"
	"github.com/clerkauth/clerkauth/internal/plain"
)

// WebhookResult is what became of a webhook request. Its values are fit for labels
// of a metric.
type WebhookResult string

// The results of a webhook request.
const (
	// WebhookHandled: handlers were called and succeeded, and that is remembered.
	WebhookHandled WebhookResult = "handled"
	// WebhookDuplicate: the delivery was handled before.
	WebhookDuplicate WebhookResult = "duplicate"
	// WebhookIgnored: there is no handler for events of that type.
	WebhookIgnored WebhookResult = "ignored"
	// WebhookInFlight: another copy of the delivery is being handled.
	WebhookInFlight WebhookResult = "in-flight"
	// WebhookRefused: the request is not an authentic delivery.
	WebhookRefused WebhookResult = "refused"
	// WebhookHandlerFailed: a handler returned an error or panicked.
	WebhookHandlerFailed WebhookResult = "handler-failed"
	// WebhookStoreFailed: the Deliveries failed, before a handler was called or in
	// remembering what it did, or belongs to another endpoint.
	WebhookStoreFailed WebhookResult = "store-failed"
	// WebhookLate: a handler or the Deliveries did not finish before the deadline, or
	// the request came too late to begin. What comes of it later is not observed.
	WebhookLate WebhookResult = "late"
)

// WebhookOutcome is what [WebhookConfig.Observe] is told about a request.
type WebhookOutcome struct {
	Result WebhookResult
	// Status is the status of the answer.
	Status int
	// Type is the event's type, and DeliveryID the svix-id; "" if it was refused.
	// Types may be ones that package event does not know.
	Type, DeliveryID string
}

// of returns the outcome of e with that result, and the status that answers it.
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

// observed calls Observe, whose mistakes are nothing to the sender.
func (w *webhook) observed(ctx context.Context, o WebhookOutcome) {
	defer func() {
		if v := recover(); v != nil {
			w.log.ErrorContext(ctx, "clerkauth: webhook Observe failed", "error", plain.Describe(newPanicError(v)))
		}
	}()
	w.observe(ctx, o)
}
