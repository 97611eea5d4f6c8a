package clerkauth

import (
	"encoding/base64"
	"errors"
	"fmt"
	"net/http"
	"regexp"
	"strconv"
	"strings"
	"time"

	svix "github.com/svix/svix-webhooks/go"
)

// WebhookConfig says which deliveries of Clerk's webhooks are authentic.
type WebhookConfig struct {
	// Secrets are the endpoint's signing secrets, whsec_…: one, or the new and
	// the old while it is being rotated.
	Secrets []string

	// Now is the clock. Nil means time.Now.
	Now func() time.Time
}

const (
	// webhookTolerance is how far a delivery's timestamp may be from now, either
	// way (Standard Webhooks, and Svix's own figure).
	webhookTolerance = 5 * time.Minute
	// minWebhookKey is the shortest key in bytes that Standard Webhooks allows.
	minWebhookKey = 24
	// maxSignatures is how many signatures of a delivery are looked at.
	maxSignatures = 32
)

// Webhook verifies deliveries of Clerk's webhooks, which Svix signs. Make it
// with [NewWebhook]; it is safe for concurrent use.
type Webhook struct {
	// Behind a pointer, so that printing whatever holds a Webhook shows an
	// address.
	core *webhook
}

type webhook struct {
	verifiers []*svix.Webhook
	now       func() time.Time
}

// NewWebhook returns a Webhook for c, or every mistake in c joined in one error.
func NewWebhook(c WebhookConfig) (*Webhook, error) {
	w := &webhook{now: c.Now}
	if w.now == nil {
		w.now = time.Now
	}
	var wrong mistakes
	if len(c.Secrets) == 0 {
		wrong.add("Secrets", errors.New("there is none: set CLERK_WEBHOOK_SIGNING_SECRET"))
	}
	for i, secret := range c.Secrets {
		verifier, err := newVerifier(secret)
		wrong.add(fmt.Sprintf("Secrets[%d]", i), err)
		w.verifiers = append(w.verifiers, verifier)
	}
	if err := errors.Join(wrong...); err != nil {
		return nil, fmt.Errorf("clerkauth: webhook configuration: %w", err)
	}
	return &Webhook{w}, nil
}

func newVerifier(secret string) (*svix.Webhook, error) {
	text, ok := strings.CutPrefix(secret, "whsec_")
	if !ok {
		return nil, errors.New("it must look like whsec_…")
	}
	key, err := base64.StdEncoding.Strict().DecodeString(text)
	if err != nil || strings.ContainsAny(text, "\r\n") {
		return nil, errors.New("what follows its prefix is not base64")
	}
	if len(key) < minWebhookKey {
		return nil, fmt.Errorf("its key is shorter than %d bytes", minWebhookKey)
	}
	return svix.NewWebhookRaw(key)
}

var (
	deliveryID   = regexp.MustCompile(`\A[A-Za-z0-9_-]{1,128}\z`) // no dot: it separates what is signed
	deliveryTime = regexp.MustCompile(`\A[1-9][0-9]{0,11}\z`)     // one spelling a moment
)

// Verify tells whether body is a delivery that Svix signed for this endpoint
// within the last five minutes, judged by the svix-id, svix-timestamp and
// svix-signature headers. Body must be the bytes as they came: not decoded, not
// parsed, not formatted. The error is an *[Error] with [ErrWebhook], and does not
// say more, because it would help who forges.
func (w *Webhook) Verify(header http.Header, body []byte) error {
	id, okID := single(header, "Svix-Id")
	stamp, okStamp := single(header, "Svix-Timestamp")
	signatures, okSignature := single(header, "Svix-Signature")
	if !okID || !okStamp || !okSignature ||
		!deliveryID.MatchString(id) || !deliveryTime.MatchString(stamp) || strings.Count(signatures, " ") >= maxSignatures {
		return newError(ErrWebhook, nil)
	}
	seconds, err := strconv.ParseInt(stamp, 10, 64)
	if err != nil {
		return newError(ErrWebhook, nil)
	}
	if away := w.core.now().Sub(time.Unix(seconds, 0)); away.Truncate(time.Second).Abs() > webhookTolerance {
		return newError(ErrWebhook, nil)
	}
	// Svix falls back to other header names and takes what stands behind a
	// second comma for nothing: it is shown what has been checked alone.
	checked := http.Header{"Svix-Id": {id}, "Svix-Timestamp": {stamp}, "Svix-Signature": {wellFormed(signatures)}}
	for _, verifier := range w.core.verifiers {
		if verifier.VerifyIgnoringTimestamp(body, checked) == nil {
			return nil
		}
	}
	return newError(ErrWebhook, nil)
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
