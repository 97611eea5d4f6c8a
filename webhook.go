package clerkauth

import (
	"context"
	"encoding/base64"
	"errors"
	"fmt"
	"log/slog"
	"net/http"
	"os"
	"regexp"
	"strconv"
	"strings"
	"sync"
	"time"

	svix "github.com/svix/svix-webhooks/go"

	"github.com/clerkauth/clerkauth/event"
	"github.com/clerkauth/clerkauth/internal/notice"
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

const (
	// webhookTolerance is by how many seconds a delivery's timestamp may differ from
	// now, as in the Standard Webhooks specification and at Svix.
	webhookTolerance = 5 * 60
	// maxSignatures is how many signatures a delivery may have.
	maxSignatures = 32
)

// Webhook is an [http.Handler] for Clerk's webhooks, which Svix delivers. It verifies
// and decodes each delivery, and calls the functions registered with [On] and
// [Webhook.OnAny] once for it. Make one with [NewWebhook]. It is safe for concurrent
// use and need not be closed.
type Webhook struct {
	// core is a pointer, so that printing a struct that holds a Webhook prints an
	// address.
	core *webhook
}

type webhook struct {
	verifiers  []*svix.Webhook
	deliveries Deliveries
	scopes     []string // suffixes of the ids that are passed to deliveries: see remember
	onError    func(context.Context, *event.Raw, error)
	observe    func(context.Context, WebhookOutcome)
	log        *slog.Logger
	notices    *notice.Log
	now        func() time.Time

	mu       sync.RWMutex // guards the fields below
	handlers map[string]eventHandler
	any      eventHandler
}

type eventHandler func(context.Context, *event.Raw) error

// NewWebhook returns a Webhook for c. The error joins everything that is wrong with c.
func NewWebhook(c WebhookConfig) (*Webhook, error) {
	w := &webhook{onError: c.OnError, observe: c.Observe, log: c.Logger, now: c.Now, handlers: make(map[string]eventHandler)}
	if w.now == nil {
		w.now = time.Now
	}
	if w.log == nil {
		w.log = slog.Default()
	}
	w.notices = notice.New(w.log, w.now, noticeCount)
	if w.onError == nil {
		w.onError = func(context.Context, *event.Raw, error) {}
	}
	if w.observe == nil {
		w.observe = func(context.Context, WebhookOutcome) {}
	}
	var wrong mistakes
	if len(c.Secrets) == 0 {
		wrong.add("Secrets", errors.New("there is none: set "+webhookVariable+" to the endpoint's signing secret, whsec_…"))
	}
	var fingerprints []string
	for i, secret := range c.Secrets {
		key, err := parseWebhookSecret(secret.reveal())
		if err != nil {
			wrong.add(fmt.Sprintf("Secrets[%d]", i), err)
			continue
		}
		verifier, err := svix.NewWebhookRaw(key)
		wrong.add(fmt.Sprintf("Secrets[%d]", i), err)
		w.verifiers = append(w.verifiers, verifier)
		fingerprints = append(fingerprints, endpointFingerprint(key))
	}
	if err := errors.Join(wrong...); err != nil {
		return nil, fmt.Errorf("clerkauth: webhook configuration: %w", err)
	}
	w.remember(c.Deliveries, fingerprints)
	return &Webhook{w}, nil
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
	d, why := w.core.read(header)
	if why == "" {
		why = w.core.verify(d, body)
	}
	if why != "" {
		return newError(ErrWebhook, nil)
	}
	return nil
}

// delivery holds the headers of a delivery, each in the one spelling that is accepted.
type delivery struct{ id, timestamp, signatures string }

var (
	deliveryID   = regexp.MustCompile(`\A[A-Za-z0-9_-]{1,128}\z`) // no dot, which separates the parts that are signed
	deliveryTime = regexp.MustCompile(`\A[1-9][0-9]{0,11}\z`)     // without leading zeros
)

// read reads the headers. If why is not "", they are refused; it is for the operator
// alone.
func (w *webhook) read(header http.Header) (d delivery, why string) {
	id, okID := single(header, "Svix-Id")
	stamp, okStamp := single(header, "Svix-Timestamp")
	signatures, okSignature := single(header, "Svix-Signature")
	if !okID || !okStamp || !okSignature {
		return d, "a header is missing or repeated"
	}
	if !deliveryID.MatchString(id) || !deliveryTime.MatchString(stamp) || strings.Count(signatures, " ") >= maxSignatures {
		return d, "a header is not as Svix writes it"
	}
	seconds, err := strconv.ParseInt(stamp, 10, 64)
	if err != nil {
		return d, "a header is not as Svix writes it"
	}
	if age := w.now().Unix() - seconds; age > webhookTolerance || age < -webhookTolerance {
		return d, whyClock
	}
	return delivery{id, stamp, wellFormed(signatures)}, ""
}

// verify verifies the signature of a delivery. See read for why.
func (w *webhook) verify(d delivery, body []byte) (why string) {
	// The Svix library falls back to other header names, and ignores what follows a
	// second comma, so it gets only what read has checked.
	checked := http.Header{"Svix-Id": {d.id}, "Svix-Timestamp": {d.timestamp}, "Svix-Signature": {d.signatures}}
	for _, verifier := range w.verifiers {
		if verifier.VerifyIgnoringTimestamp(body, checked) == nil {
			return ""
		}
	}
	return whySignature
}

// wellFormed returns the version 1 signatures in a list that have the form of one.
func wellFormed(signatures string) string {
	var kept []string
	for s := range strings.SplitSeq(signatures, " ") {
		if text, ok := strings.CutPrefix(s, "v1,"); ok && len(text) == base64.StdEncoding.EncodedLen(32) && !strings.Contains(text, ",") {
			kept = append(kept, s)
		}
	}
	return strings.Join(kept, " ")
}

// single returns the value of a header, if it has exactly one. Programs disagree on which
// of several wins.
func single(h http.Header, name string) (string, bool) {
	if lines := h[name]; len(lines) == 1 {
		return lines[0], true
	}
	return "", false
}
