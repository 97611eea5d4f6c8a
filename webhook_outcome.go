package clerkauth

import (
	"context"

	"github.com/clerkauth/clerkauth/internal/webhook"
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

// observer returns a function that calls observe, or nil if that is nil.
func observer(observe func(context.Context, WebhookOutcome)) func(context.Context, webhook.Outcome) {
	if observe == nil {
		return nil
	}
	return func(ctx context.Context, o webhook.Outcome) {
		observe(ctx, WebhookOutcome{Result: WebhookResult(o.Result), Status: o.Status, Type: o.Type, DeliveryID: o.DeliveryID})
	}
}
