package clerkauth

import (
	"context"
	"encoding/base64"
	"errors"
	"fmt"
	"log/slog"
	"net/http"
	"regexp"
	"strconv"
	"strings"
	"sync"
	"time"

	svix "github.com/svix/svix-webhooks/go"

	"github.com/clerkauth/clerkauth/event"
)

// WebhookConfig says which deliveries of Clerk's webhooks are authentic, and what
// becomes of them.
type WebhookConfig struct {
	// Secrets are the endpoint's signing secrets, whsec_…: one, or the new and
	// the old while it is being rotated. Svix signs with both for 24 hours; keep
	// both for 36, so that what was handled before is known for as long as it may
	// come again.
	Secrets []Secret

	// Deliveries remembers which deliveries were handled. Nil remembers them in
	// memory, the last 100,000 for 36 hours: enough for a program of which one
	// process runs. A store belongs to one endpoint; see [EndpointDeliveries] for
	// what happens when two share one.
	Deliveries Deliveries

	// OnError is called with what a handler returned or that it panicked, and with
	// what the store failed with. The delivery will come again. Nil ignores them.
	OnError func(context.Context, *event.Raw, error)

	// Observe is called once for every request with what became of it, for
	// metrics, in the request's goroutine and with its context, just before the
	// answer is sent: it must not block. Nil observes nothing.
	Observe func(context.Context, WebhookOutcome)

	// Logger gets the type and id of deliveries that fail, and the kind of error
	// with its SQLSTATE or Redis error code, but not its text, which may quote a
	// payload: see OnError. Each refusal is logged at debug level; refusals that
	// look like a wrong secret, a wrong clock or a body that was read or changed
	// before are logged as warnings, at most once a minute with a count. Nil means
	// slog.Default().
	Logger *slog.Logger

	// Now is the clock by which timestamps are judged. Nil means time.Now.
	Now func() time.Time
}

const (
	// webhookTolerance is how many seconds a delivery's timestamp may be from now,
	// either way (Standard Webhooks, and Svix's own figure).
	webhookTolerance = 5 * 60
	// maxSignatures is how many signatures of a delivery are looked at.
	maxSignatures = 32
)

// Webhook receives Clerk's webhooks, which Svix delivers: it verifies, decodes and
// handles each delivery once. Make it with [NewWebhook], say with [On] and
// [Webhook.OnAny] what is to be done, and serve it; it is safe for concurrent use.
type Webhook struct {
	// Behind a pointer, so that printing whatever holds a Webhook shows an
	// address.
	core *webhook
}

type webhook struct {
	verifiers  []*svix.Webhook
	deliveries Deliveries
	scopes     []string // suffixes of the ids that the store is given: see once
	onError    func(context.Context, *event.Raw, error)
	observe    func(context.Context, WebhookOutcome)
	log        *slog.Logger
	notices    *notices
	now        func() time.Time

	mu       sync.RWMutex // guards what follows
	handlers map[string]eventHandler
	any      eventHandler
}

type eventHandler func(context.Context, *event.Raw) error

// NewWebhook returns a Webhook for c, or every mistake in c joined in one error.
func NewWebhook(c WebhookConfig) (*Webhook, error) {
	w := &webhook{onError: c.OnError, observe: c.Observe, log: c.Logger, now: c.Now, handlers: make(map[string]eventHandler)}
	if w.now == nil {
		w.now = time.Now
	}
	if w.log == nil {
		w.log = slog.Default()
	}
	w.notices = newNotices(w.log, w.now)
	if w.onError == nil {
		w.onError = func(context.Context, *event.Raw, error) {}
	}
	if w.observe == nil {
		w.observe = func(context.Context, WebhookOutcome) {}
	}
	var wrong mistakes
	if len(c.Secrets) == 0 {
		wrong.add("Secrets", errors.New("there is none: set CLERK_WEBHOOK_SIGNING_SECRET"))
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

// Verify tells whether body is a delivery that Svix signed for this endpoint
// within the last five minutes, judged by the svix-id, svix-timestamp and
// svix-signature headers. Body must be the bytes as they came: not decoded, not
// parsed, not formatted. The error is an *[Error] with [ErrWebhook], and does not
// say more, because it would help who forges.
//
// It is for deliveries that come some other way than by HTTP: [Webhook.ServeHTTP]
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

// delivery is what the headers of a delivery say, in the one spelling of each that
// is accepted.
type delivery struct{ id, timestamp, signatures string }

var (
	deliveryID   = regexp.MustCompile(`\A[A-Za-z0-9_-]{1,128}\z`) // no dot: it separates what is signed
	deliveryTime = regexp.MustCompile(`\A[1-9][0-9]{0,11}\z`)     // one spelling a moment
)

// read reads the headers, or tells an operator, and nobody else, what is wrong with
// them.
func (w *webhook) read(header http.Header) (d delivery, why string) {
	id, okID := single(header, "Svix-Id")
	stamp, okStamp := single(header, "Svix-Timestamp")
	signatures, okSignature := single(header, "Svix-Signature")
	if !okID || !okStamp || !okSignature {
		return d, "a header is missing, or stands there twice"
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

// verify tells what is wrong with a body, as read does.
func (w *webhook) verify(d delivery, body []byte) (why string) {
	// Svix falls back to other header names and takes what stands behind a
	// second comma for nothing: it is shown what has been checked alone.
	checked := http.Header{"Svix-Id": {d.id}, "Svix-Timestamp": {d.timestamp}, "Svix-Signature": {d.signatures}}
	for _, verifier := range w.verifiers {
		if verifier.VerifyIgnoringTimestamp(body, checked) == nil {
			return ""
		}
	}
	return whySignature
}

// wellFormed leaves only version 1 signatures of one spelling in a list.
func wellFormed(signatures string) string {
	var kept []string
	for s := range strings.SplitSeq(signatures, " ") {
		if text, ok := strings.CutPrefix(s, "v1,"); ok && len(text) == base64.StdEncoding.EncodedLen(32) && !strings.Contains(text, ",") {
			kept = append(kept, s)
		}
	}
	return strings.Join(kept, " ")
}

// single returns the one line of a header; more than one could mean another to
// whoever reads it next.
func single(h http.Header, name string) (string, bool) {
	if lines := h[name]; len(lines) == 1 {
		return lines[0], true
	}
	return "", false
}
