package clerkauth

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net/http"
	"os"
	"strings"
	"time"

	"github.com/clerkauth/clerkauth/event"
	"github.com/clerkauth/clerkauth/internal/clerkkey"
	"github.com/clerkauth/clerkauth/internal/webhook"
)

// WebhookConfig configures a [Webhook]. Secrets is required; [WebhookFromEnv] reads them.
type WebhookConfig struct {
	// Secrets are the endpoint's signing secrets, whsec_…: one, or the new and the old
	// one while it is rotated. Svix signs with both for 24 hours. Keep both for 36
	// hours, so that redeliveries of what was handled under the old one are recognized.
	Secrets []Secret

	// Deliveries remembers which deliveries were handled. Defaults to memory that holds
	// the last 100,000 deliveries for 36 hours, which is enough for a program that runs
	// as one process. A store belongs to one endpoint; see [EndpointDeliveries] for what
	// happens if two share one.
	Deliveries Deliveries

	// OnError is called with the error of a handler that failed or panicked, and with
	// the errors of Deliveries. Svix redelivers the event. Defaults to nothing.
	OnError func(context.Context, *event.Raw, error)

	// Observe is called once for every request with its outcome, for metrics. It is
	// called in the request's goroutine with the request's context, just before the
	// response is sent, so it must not block. Defaults to nothing.
	Observe func(context.Context, WebhookOutcome)

	// Logger receives the type and id of deliveries that fail, and the type of the error
	// with its SQLSTATE or Redis error code, but not its text, which may quote a
	// payload: see OnError. Every refusal is logged at debug level. Refusals that look
	// like a wrong secret, a wrong clock, or a body that was read or changed are logged
	// as warnings with a count, at most once a minute. Defaults to slog.Default().
	Logger *slog.Logger

	// Now is the clock that timestamps are compared with. Defaults to time.Now.
	Now func() time.Time
}

const webhookVariable = "CLERK_WEBHOOK_SIGNING_SECRET"

// WebhookFromEnv returns a configuration with the signing secret in the environment
// variable CLERK_WEBHOOK_SIGNING_SECRET, or with several, separated by commas: the new and
// the old one while it is rotated. White space around them is ignored. [NewWebhook] checks
// them, and returns an error if the variable is unset or blank.
func WebhookFromEnv() WebhookConfig {
	var c WebhookConfig
	for secret := range strings.SplitSeq(os.Getenv(webhookVariable), ",") {
		if secret = strings.TrimSpace(secret); secret != "" {
			c.Secrets = append(c.Secrets, NewSecret(secret))
		}
	}
	return c
}

// Webhook is an [http.Handler] for Clerk's webhooks, which Svix delivers. It verifies
// and decodes each delivery, and calls the functions registered with [On] and
// [Webhook.OnAny] once for it. Make one with [NewWebhook]. It is safe for concurrent
// use and need not be closed.
type Webhook struct {
	// core is a pointer, so that printing a struct that holds a Webhook prints an
	// address.
	core *webhook.Endpoint
}

// NewWebhook returns a Webhook for c. The error joins everything that is wrong with c.
func NewWebhook(c WebhookConfig) (*Webhook, error) {
	var wrong mistakes
	if len(c.Secrets) == 0 {
		wrong.add("Secrets", errors.New("there is none: set "+webhookVariable+" to the endpoint's signing secret, whsec_…"))
	}
	var keys []webhook.Key
	for i, secret := range c.Secrets {
		field := fmt.Sprintf("Secrets[%d]", i)
		text, err := clerkkey.ParseWebhook(secret.reveal())
		if err != nil {
			wrong.add(field, err)
			continue
		}
		key, err := webhook.NewKey(text)
		wrong.add(field, err)
		keys = append(keys, key)
	}
	if err := errors.Join(wrong...); err != nil {
		return nil, fmt.Errorf("clerkauth: webhook configuration: %w", err)
	}
	inner := webhook.Config{
		Keys:       keys,
		Deliveries: c.Deliveries,
		Errors:     webhook.Errors{Handled: ErrHandled, InFlight: ErrInFlight, OtherEndpoint: ErrOtherEndpoint},
		OnError:    c.OnError,
		Observe:    observer(c.Observe),
		Logger:     c.Logger,
		Now:        c.Now,
	}
	if store, ok := c.Deliveries.(EndpointDeliveries); ok {
		inner.Deliveries, inner.PerEndpoint = store.ForEndpoint(webhook.Fingerprints(keys)), true
	}
	return &Webhook{webhook.New(inner)}, nil
}

// Verify returns nil if body is a delivery that Svix signed for this endpoint, and whose
// timestamp is within 5 minutes of now. It reads the svix-id, svix-timestamp and
// svix-signature headers. The body must be unchanged: neither decoded, nor parsed, nor
// formatted. The error is an *[Error] with [ErrWebhook]; it does not say what is wrong,
// which would help a forger.
//
// It is for deliveries that are received otherwise than by HTTP. [Webhook.ServeHTTP]
// verifies by itself.
func (w *Webhook) Verify(header http.Header, body []byte) error {
	if !w.core.Verify(header, body) {
		return newError(ErrWebhook, nil)
	}
	return nil
}
