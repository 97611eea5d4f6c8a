package clerkauth

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"io"
	"log/slog"
	"net/http"
	"strconv"
	"strings"
	"time"

	"github.com/clerkauth/clerkauth/event"
	"github.com/clerkauth/clerkauth/internal/plain"
)

const (
	// handlerDeadline is how long after a request the context of its handlers ends.
	// Svix waits 15 s for a response.
	handlerDeadline = 14 * time.Second
	// answerGrace is how long handlers may take to return after that.
	answerGrace = 250 * time.Millisecond
	// deliveryRetryAfter is the Retry-After of a delivery in flight, in seconds: by
	// then, the handler's context has ended.
	deliveryRetryAfter = 15
	// maxDelivery is the largest body in bytes. Svix recommends payloads below 20 kB and
	// sends at most 1 MiB.
	maxDelivery = 1 << 20
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
	w.core.on(t.Name(), func(ctx context.Context, raw *event.Raw) error {
		e, err := t.Decode(raw)
		if err != nil {
			return plain.New(err) // redelivered: a later version of event may read it
		}
		return handle(ctx, e)
	})
}

func (w *webhook) on(name string, handle eventHandler) {
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.handlers[name] != nil {
		panic("clerkauth: On: there is a handler of " + name + " already")
	}
	w.handlers[name] = handle
}

// OnAny registers handle for every event, also of types that this version of package
// event does not know. It is called after the handler for the event's type, if there is
// one, has succeeded. If handle fails, both are called again when Svix redelivers the
// event; otherwise see [On]. OnAny panics if handle is nil, or if it was called before.
func (w *Webhook) OnAny(handle func(context.Context, *event.Raw) error) {
	w.core.mu.Lock()
	defer w.core.mu.Unlock()
	if w.core.any != nil || handle == nil {
		panic("clerkauth: OnAny: there is a handler of any event already, or none is given")
	}
	w.core.any = handle
}

// handlersOf returns the handlers for events of that type, in the order of their calls.
func (w *webhook) handlersOf(name string) []eventHandler {
	w.mu.RLock()
	defer w.mu.RUnlock()
	var list []eventHandler
	for _, h := range []eventHandler{w.handlers[name], w.any} {
		if h != nil {
			list = append(list, h)
		}
	}
	return list
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
func (w *Webhook) ServeHTTP(rw http.ResponseWriter, r *http.Request) {
	if r.Body != nil {
		defer r.Body.Close()
	}
	o := w.core.receive(rw, r)
	w.core.observed(r.Context(), o)
	status, h := o.Status, rw.Header()
	h.Set("Cache-Control", "no-store")
	h.Set("X-Content-Type-Options", "nosniff")
	switch status {
	case http.StatusNoContent:
		rw.WriteHeader(status)
		return
	case http.StatusMethodNotAllowed:
		h.Set("Allow", http.MethodPost)
	case http.StatusServiceUnavailable:
		h.Set("Retry-After", strconv.Itoa(deliveryRetryAfter))
	}
	// A forger learns nothing from the body that the status does not say.
	writeJSON(rw, status, "application/problem+json", map[string]any{
		"type": "about:blank", "title": http.StatusText(status), "status": status,
	})
}

// receive handles r and returns the outcome, whose status is the response's.
func (w *webhook) receive(rw http.ResponseWriter, r *http.Request) WebhookOutcome {
	refused := WebhookOutcome{Result: WebhookRefused, Status: http.StatusBadRequest}
	if r.Method != http.MethodPost {
		refused.Status = http.StatusMethodNotAllowed
		return refused
	}
	deadline := time.Now().Add(handlerDeadline)
	if r.ContentLength > maxDelivery {
		refused.Status = http.StatusRequestEntityTooLarge
		return refused
	}
	d, why := w.read(r.Header)
	if why != "" {
		w.refuse(r.Context(), why)
		return refused
	}
	var body []byte
	if r.Body != nil {
		var err error
		body, err = io.ReadAll(http.MaxBytesReader(rw, r.Body, maxDelivery))
		if tooLarge := (*http.MaxBytesError)(nil); errors.As(err, &tooLarge) {
			refused.Status = http.StatusRequestEntityTooLarge
			return refused
		}
		if err != nil && !errors.Is(err, http.ErrBodyReadAfterClose) {
			w.refuse(r.Context(), whyCut)
			return refused
		}
	}
	if why := w.verify(d, body); why != "" {
		switch {
		case len(body) == 0 && r.ContentLength > 0:
			why = whyRead
		case len(body) == 0:
			why = whyEmpty
		case json.Valid(body):
			why = whyJSON
		}
		w.refuse(r.Context(), why)
		return refused
	}
	e, err := event.Parse(body)
	if err != nil {
		w.refuse(r.Context(), whyNoEvent)
		return refused
	}
	e.DeliveryID = strings.Clone(d.id) // some servers reuse the memory of a request
	handlers := w.handlersOf(e.Type)
	if len(handlers) == 0 {
		return WebhookIgnored.of(e)
	}
	return w.deliver(r.Context(), deadline, e, handlers).of(e)
}

// Why a delivery is refused. Callers are not told.
const (
	whyClock     = "it is too old or from the future: check the clock"
	whySignature = "no signature matches: check the secret, and that nothing changes the body on its way"
	whyJSON      = "no signature matches, and the body is well-formed JSON: check the secret, which may be of another endpoint, and that nothing decoded and re-encoded the body"
	whyEmpty     = "its body is empty: check that no middleware reads it first"
	whyRead      = "its body is empty, although it has a Content-Length: something read it first"
	whyCut       = "the body ended early"
	whyNoEvent   = "it is authentic, but not an event"
)

// refuse logs a refusal, and warns of conditions that last until an operator acts.
func (w *webhook) refuse(ctx context.Context, why string) {
	w.log.DebugContext(ctx, "clerkauth: webhook delivery refused", "why", why)
	switch why {
	case whyClock:
		w.notices.Tell(noticeWebhookClock, slog.LevelWarn, "webhook deliveries are refused because their timestamps are more than 5 minutes away: check this machine's clock")
	case whySignature:
		w.notices.Tell(noticeWebhookSignature, slog.LevelWarn, "webhook deliveries are refused because no signature matches: check that WebhookConfig.Secrets holds the signing secret of this endpoint, whsec_…, and that nothing in front of the Webhook decodes, reformats or changes the body")
	case whyJSON:
		w.notices.Tell(noticeWebhookSignature, slog.LevelWarn, "webhook deliveries are refused because no signature matches their bodies, which are well-formed JSON: either WebhookConfig.Secrets holds the signing secret, whsec_…, of another endpoint, or something in front of the Webhook decodes and re-encodes, or otherwise changes the body")
	case whyRead:
		w.notices.Tell(noticeWebhookBody, slog.LevelWarn, "webhook deliveries are refused because their body is empty, although they have a Content-Length: a middleware reads or closes the body before the Webhook does; mount the Webhook outside of middleware that logs, parses or decodes bodies")
	case whyEmpty:
		w.notices.Tell(noticeWebhookBody, slog.LevelWarn, "webhook deliveries are refused because their body is empty: check that no middleware reads or closes the body before the Webhook does")
	case whyCut:
		w.notices.Tell(noticeWebhookBody, slog.LevelWarn, "webhook deliveries are refused because their body ends early: check http.Server.ReadTimeout, and proxies that cut or change bodies")
	case whyNoEvent:
		w.notices.Tell(noticeWebhookBody, slog.LevelWarn, "webhook deliveries are refused because they are authentic, but not events of Clerk: check which application sends to this endpoint")
	}
}

// deliver handles e and returns the result, or WebhookLate if there is none in time.
//
// Handlers run in a goroutine of their own, because they cannot be stopped: one that is
// late goes on, and keeps its claim on the delivery, so that no other runs beside it.
// As it may outlive the request, its context has none of the request's values, which
// some servers reuse for another request; it is canceled with the request's.
func (w *webhook) deliver(request context.Context, deadline time.Time, e *event.Raw, handlers []eventHandler) WebhookResult {
	if request.Err() != nil || !time.Now().Before(deadline) {
		return WebhookLate // no response would be received
	}
	limited, cancel := context.WithDeadline(context.Background(), deadline)
	ctx, hangUp := context.WithCancelCause(limited)
	answer := make(chan WebhookResult, 1)
	go func() {
		defer cancel()
		defer hangUp(nil)
		result := WebhookHandlerFailed
		defer func() { answer <- result }() // even if the store panics or exits
		defer func() {
			if v := recover(); v != nil {
				w.logFailure(ctx, e, "store", plain.Panic(v))
			}
		}()
		result = w.once(ctx, e, handlers)
	}()
	late := time.NewTimer(time.Until(deadline) + answerGrace)
	defer late.Stop()
	gone := request.Done()
	for {
		select {
		case result := <-answer:
			return result
		case <-gone:
			hangUp(context.Cause(request))
			gone = nil
		case <-late.C:
			w.log.WarnContext(ctx, "clerkauth: webhook handler or store runs past its deadline", "type", e.Type, "delivery", e.DeliveryID)
			return WebhookLate
		}
	}
}

// once calls the store's Once. The result depends on which calls were made, not only on
// what the store returned, so that nothing is acknowledged that no handler completed.
func (w *webhook) once(ctx context.Context, e *event.Raw, handlers []eventHandler) WebhookResult {
	var failure error
	called, completed, late := false, false, false
	err := w.claim(ctx, e.DeliveryID, w.scopes, func(ctx context.Context) error {
		if ctx.Err() != nil {
			late = true // the claim may have run out, and the response was sent
			return context.Cause(ctx)
		}
		called = true
		failure = call(ctx, e, handlers)
		completed = failure == nil
		return failure
	})
	switch {
	case failure != nil:
		w.logFailure(ctx, e, "handler", failure)
		return WebhookHandlerFailed
	case completed && err == nil:
		return WebhookHandled
	case !called && !late && errors.Is(err, ErrHandled):
		return WebhookDuplicate
	case !called && !late && errors.Is(err, ErrInFlight):
		return WebhookInFlight
	case late:
		w.log.WarnContext(ctx, "clerkauth: webhook store claimed a delivery too late to handle it", "type", e.Type, "delivery", e.DeliveryID)
		return WebhookLate
	case errors.Is(err, ErrOtherEndpoint):
		w.notices.Tell(noticeWebhookEndpoint, slog.LevelError, "webhook deliveries are refused because another endpoint with other secrets remembers its own in the same store: give each endpoint a table or prefix of its own, and keep the old secret beside the new for 36 hours when it is rotated")
		w.reportError(ctx, e, err)
		return WebhookStoreFailed
	case err == nil:
		err = plain.New(errors.New("it neither called the handler nor returned an error"))
	case called && (errors.Is(err, ErrHandled) || errors.Is(err, ErrInFlight)):
		err = plain.Wrap("it called the handler, and said that it did not", err)
	}
	w.logFailure(ctx, e, "store", err)
	return WebhookStoreFailed
}

// call calls handlers until one fails. It recovers panics, before they reach the store.
// Each handler gets its own copy of the event.
func call(ctx context.Context, e *event.Raw, handlers []eventHandler) (err error) {
	defer func() {
		if v := recover(); v != nil {
			err = plain.Panic(v)
		}
	}()
	for _, h := range handlers {
		if err := h(ctx, ownEvent(e)); err != nil {
			return err
		}
	}
	return nil
}

// ownEvent returns a copy that shares no memory with e.
func ownEvent(e *event.Raw) *event.Raw {
	own := *e
	own.Data, own.JSON = bytes.Clone(e.Data), bytes.Clone(e.JSON)
	return &own
}

// logFailure logs which delivery failed, and of err what may be logged: its text may
// quote the payload. OnError gets all of it.
func (w *webhook) logFailure(ctx context.Context, e *event.Raw, who string, err error) {
	w.log.LogAttrs(ctx, slog.LevelError, "clerkauth: webhook "+who+" failed",
		slog.String("type", e.Type), slog.String("delivery", e.DeliveryID), slog.String("error", plain.Describe(err)))
	w.reportError(ctx, e, err)
}

// reportError calls OnError, and logs it if that panics.
func (w *webhook) reportError(ctx context.Context, e *event.Raw, err error) {
	defer func() {
		if v := recover(); v != nil {
			w.log.ErrorContext(ctx, "clerkauth: webhook OnError failed", "error", plain.Describe(plain.Panic(v)))
		}
	}()
	w.onError(ctx, ownEvent(e), err)
}
