package clerkauth

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"runtime"
	"strconv"
	"strings"
	"time"

	"github.com/clerkauth/clerkauth/event"
	"github.com/clerkauth/clerkauth/internal/plain"
)

const (
	// handlerDeadline is when a handler's context ends, counted from the request:
	// Svix waits 15 s for an answer.
	handlerDeadline = 14 * time.Second
	// answerGrace is what is left to handlers whose context has ended.
	answerGrace = 250 * time.Millisecond
	// deliveryRetryAfter is what the sender is told to wait, in seconds: nothing
	// is in flight for longer, and stores come back.
	deliveryRetryAfter = 15
	// maxDelivery is the largest body in bytes. Svix advises 20 kB, and sends no
	// more than 1 MiB.
	maxDelivery = 1 << 20
)

// On has handle called with the events of type t:
//
//	clerkauth.On(hooks, event.UserCreated, func(ctx context.Context, e *event.Event[clerk.User]) error { … })
//
// If it returns nil, the delivery is acknowledged and never handled again. If it
// returns an error or panics, Svix is told so and sends it again, eight times in all
// within 28 hours: a handler must bear to be called again after it did half its
// work. Its context ends after 14 s, or when Svix hangs up; a handler that goes on is
// waited for by no one, but the delivery is in flight for as long as it runs, or as
// the store's lease lasts, and handled if it returns nil. It is never called for one
// delivery twice at a time, if it returns when its context ends: what a handler calls
// should be given that context. Because a handler may outlive its request, its context
// has none of the values that middleware put into the request's.
//
// A process that dies in a handler leaves behind what the handler did until then, and
// another calls it again: only what is written in the transaction of a store that has
// one is undone. Use e.DeliveryID as the idempotency key of what is done elsewhere.
//
// Events may overtake each other: what is written should be compared with what is
// there, by the payload's updated_at.
//
// A second On for a type panics, as http.ServeMux does: that is a mistake in the
// program, and so is a nil handle.
func On[T any](w *Webhook, t event.Type[T], handle func(context.Context, *event.Event[T]) error) {
	if t.Name() == "" || handle == nil {
		panic("clerkauth: On: there is no type or no handler")
	}
	w.core.on(t.Name(), func(ctx context.Context, raw *event.Raw) error {
		e, err := t.Decode(raw)
		if err != nil {
			return plain.New(err) // Clerk's mistake or ours: a later version may read it
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

// OnAny has handle called with every event, after the handler of its type, if there
// is one and it succeeded, and with events of types that this version of package
// event does not know. What [On] says about handlers goes for the two together: if
// this one fails, both are called again. A second OnAny panics.
func (w *Webhook) OnAny(handle func(context.Context, *event.Raw) error) {
	w.core.mu.Lock()
	defer w.core.mu.Unlock()
	if w.core.any != nil || handle == nil {
		panic("clerkauth: OnAny: there is a handler of any event already, or none is given")
	}
	w.core.any = handle
}

// handlersOf returns the handlers that an event of that type is for, in order.
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

// ServeHTTP receives a delivery. It answers
//
//   - 204 when the delivery was handled, now or before, or is nobody's event;
//   - 400 when it is not authentic or not well formed, whatever is wrong with it;
//   - 405 for methods other than POST, and 413 for bodies beyond 1 MiB;
//   - 500 when a handler failed, and 503 with Retry-After when another copy is being
//     handled, a handler runs past its deadline, or the store is away.
//
// Svix sends again what was answered with anything but 2xx. The body is verified as
// it came: it is not decompressed, and whatever media type it claims to be, it is
// not parsed before. What limits how slowly it may come is http.Server.ReadTimeout.
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
	// Who forges learns nothing here that a status does not tell.
	writeJSON(rw, status, "application/problem+json", map[string]any{
		"type": "about:blank", "title": http.StatusText(status), "status": status,
	})
}

// receive returns what became of r.
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
		if len(body) == 0 {
			why = whyEmpty
		}
		w.refuse(r.Context(), why)
		return refused
	}
	e, err := event.Parse(body)
	if err != nil {
		w.refuse(r.Context(), whyNoEvent)
		return refused
	}
	e.DeliveryID = strings.Clone(d.id) // a server may use a request's memory again
	handlers := w.handlersOf(e.Type)
	if len(handlers) == 0 {
		return WebhookIgnored.of(e)
	}
	return w.deliver(r.Context(), deadline, e, handlers).of(e)
}

// Why a delivery is refused, for the operator alone.
const (
	whyClock     = "it is too old or from the future: check the clock"
	whySignature = "no signature matches: check the secret, and that nothing changes the body on its way"
	whyEmpty     = "its body is empty: check that nothing reads it before"
	whyCut       = "the body ended early"
	whyNoEvent   = "it is authentic, but no event"
)

// refuse logs a refusal, and warns of what lasts if nobody does anything about it.
func (w *webhook) refuse(ctx context.Context, why string) {
	w.log.DebugContext(ctx, "clerkauth: webhook delivery refused", "why", why)
	switch why {
	case whyClock:
		w.notices.tell(noticeWebhookClock, slog.LevelWarn, "webhook deliveries are refused because their timestamps are more than 5 minutes away: check this machine's clock")
	case whySignature:
		w.notices.tell(noticeWebhookSignature, slog.LevelWarn, "webhook deliveries are refused because no signature matches: check that WebhookConfig.Secrets holds the signing secret of this endpoint, whsec_…, and that nothing in front of the Webhook decodes, reformats or changes the body")
	case whyEmpty:
		w.notices.tell(noticeWebhookBody, slog.LevelWarn, "webhook deliveries are refused because their body is empty: check that no middleware reads or closes the body before the Webhook does")
	case whyCut:
		w.notices.tell(noticeWebhookBody, slog.LevelWarn, "webhook deliveries are refused because their body ends early: check http.Server.ReadTimeout, and proxies that cut or change bodies")
	case whyNoEvent:
		w.notices.tell(noticeWebhookBody, slog.LevelWarn, "webhook deliveries are refused because they are authentic, but not events of Clerk: check which application sends to this endpoint")
	}
}

// deliver has e handled and returns what came of it, or that nothing did in time.
// What is begun goes on then, with its claim on the delivery, in a goroutine of its
// own: it cannot be stopped, and must not be joined by another. Because it may
// outlive the request, its context holds no values of the request's, which a server
// may use again for another; it ends with the request's while that is answered.
func (w *webhook) deliver(request context.Context, deadline time.Time, e *event.Raw, handlers []eventHandler) WebhookResult {
	if request.Err() != nil || !time.Now().Before(deadline) {
		return WebhookLate // nobody would hear what came of it
	}
	limited, cancel := context.WithDeadline(context.Background(), deadline)
	ctx, hangUp := context.WithCancelCause(limited)
	answer := make(chan WebhookResult, 1)
	go func() {
		defer cancel()
		defer hangUp(nil)
		result := WebhookHandlerFailed
		defer func() { answer <- result }() // whatever a handler or store does
		defer func() {
			if v := recover(); v != nil {
				w.logFailure(ctx, e, "store", newPanicError(v))
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

// once asks the store and judges by what was called, not only by what it returns:
// nothing is acknowledged that no handler completed.
func (w *webhook) once(ctx context.Context, e *event.Raw, handlers []eventHandler) WebhookResult {
	var failure error
	called, completed, late := false, false, false
	err := w.claim(ctx, e.DeliveryID, w.scopes, func(ctx context.Context) error {
		if ctx.Err() != nil {
			late = true // the claim may have run out, and nobody waits
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
		w.notices.tell(noticeWebhookEndpoint, slog.LevelError, "webhook deliveries are refused because another endpoint with other secrets remembers its own in the same store: give each endpoint a table or prefix of its own, and keep the old secret beside the new for 36 hours when it is rotated")
		w.tellError(ctx, e, err)
		return WebhookStoreFailed
	case err == nil:
		err = plain.New(errors.New("it neither called the handler nor said why"))
	case called && (errors.Is(err, ErrHandled) || errors.Is(err, ErrInFlight)):
		err = plain.Wrap("it called the handler, and said that it did not", err)
	}
	w.logFailure(ctx, e, "store", err)
	return WebhookStoreFailed
}

// call calls handlers until one fails. A panic becomes an error here, before it
// gets to a store. Each gets an event of its own.
func call(ctx context.Context, e *event.Raw, handlers []eventHandler) (err error) {
	defer func() {
		if v := recover(); v != nil {
			err = newPanicError(v)
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

// logFailure logs which delivery failed and why, as far as that holds nothing of
// the payload, and gives OnError the rest.
func (w *webhook) logFailure(ctx context.Context, e *event.Raw, who string, err error) {
	w.log.LogAttrs(ctx, slog.LevelError, "clerkauth: webhook "+who+" failed",
		slog.String("type", e.Type), slog.String("delivery", e.DeliveryID), slog.String("error", plain.Describe(err)))
	w.tellError(ctx, e, err)
}

func (w *webhook) tellError(ctx context.Context, e *event.Raw, err error) {
	defer func() {
		if v := recover(); v != nil {
			w.log.ErrorContext(ctx, "clerkauth: webhook OnError failed", "error", plain.Describe(newPanicError(v)))
		}
	}()
	w.onError(ctx, ownEvent(e), err)
}

// newPanicError tells of a panic where it was and of what type, not with what value,
// which may quote a payload.
func newPanicError(v any) error {
	where := "an unknown place"
	callers := make([]uintptr, 64)
	frames := runtime.CallersFrames(callers[:runtime.Callers(1, callers)])
	for panicking := false; ; {
		f, more := frames.Next()
		switch {
		case f.Function == "runtime.gopanic":
			panicking = true
		case panicking && !strings.HasPrefix(f.Function, "runtime."):
			where = fmt.Sprintf("%s:%d", f.File, f.Line)
			more = false
		}
		if !more {
			return plain.New(fmt.Errorf("panic of type %T at %s", v, where))
		}
	}
}
