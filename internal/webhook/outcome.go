package webhook

import (
	"context"
	"net/http"

	"github.com/clerkauth/clerkauth/event"
	"github.com/clerkauth/clerkauth/internal/plain"
)

// Result is how a request ended.
type Result string

// The results of a request, which clerkauth.WebhookResult explains.
const (
	Handled       Result = "handled"
	Duplicate     Result = "duplicate"
	Ignored       Result = "ignored"
	InFlight      Result = "in-flight"
	Refused       Result = "refused"
	HandlerFailed Result = "handler-failed"
	StoreFailed   Result = "store-failed"
	Late          Result = "late"
)

// Outcome is the outcome of a request.
type Outcome struct {
	Result Result
	Status int
	// Type is the event's type and DeliveryID the svix-id, or "" if the request was
	// refused.
	Type, DeliveryID string
}

// of returns the outcome for raw, with the status of the response.
func (result Result) of(raw *event.Raw) Outcome {
	o := Outcome{Result: result, Status: http.StatusServiceUnavailable, Type: raw.Type, DeliveryID: raw.DeliveryID}
	switch result {
	case Handled, Duplicate, Ignored:
		o.Status = http.StatusNoContent
	case HandlerFailed:
		o.Status = http.StatusInternalServerError
	}
	return o
}

// observed calls Observe. A panic of it is logged and does not change the response.
func (e *Endpoint) observed(ctx context.Context, o Outcome) {
	defer func() {
		if v := recover(); v != nil {
			e.log.ErrorContext(ctx, "clerkauth: webhook Observe failed", "error", plain.Describe(plain.Panic(v)))
		}
	}()
	e.observe(ctx, o)
}
