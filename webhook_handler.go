package clerkauth

import (
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
// delivery twice at a time, if it returns when its context ends.
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
			return plainError{err} // Clerk's mistake or ours: a later version may read it
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
	status := w.core.receive(rw, r)
	h := rw.Header()
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

// receive returns the status that answers r.
func (w *webhook) receive(rw http.ResponseWriter, r *http.Request) int {
	if r.Method != http.MethodPost {
		return http.StatusMethodNotAllowed
	}
	deadline := time.Now().Add(handlerDeadline)
	if r.ContentLength > maxDelivery {
		return http.StatusRequestEntityTooLarge
	}
	d, why := w.read(r.Header)
	if why != "" {
		return w.refuse(r.Context(), why)
	}
	var body []byte
	if r.Body != nil {
		var err error
		body, err = io.ReadAll(http.MaxBytesReader(rw, r.Body, maxDelivery))
		if tooLarge := (*http.MaxBytesError)(nil); errors.As(err, &tooLarge) {
			return http.StatusRequestEntityTooLarge
		}
		if err != nil {
			return w.refuse(r.Context(), "the body ended early")
		}
	}
	if why := w.verify(d, body); why != "" {
		return w.refuse(r.Context(), why)
	}
	e, err := event.Parse(body)
	if err != nil {
		return w.refuse(r.Context(), "it is authentic, but no event")
	}
	e.DeliveryID = d.id
	handlers := w.handlersOf(e.Type)
	if len(handlers) == 0 {
		return http.StatusNoContent
	}
	return w.deliver(r.Context(), deadline, e, handlers)
}

func (w *webhook) refuse(ctx context.Context, why string) int {
	w.log.DebugContext(ctx, "clerkauth: webhook delivery refused", "why", why)
	return http.StatusBadRequest
}

// deliver has e handled and returns the status that tells what came of it, or that
// nothing did in time. What is begun goes on then, with its claim on the delivery,
// in a goroutine of its own: it cannot be stopped, and must not be joined by another.
func (w *webhook) deliver(ctx context.Context, deadline time.Time, e *event.Raw, handlers []eventHandler) int {
	ctx, cancel := context.WithDeadline(ctx, deadline)
	if ctx.Err() != nil {
		cancel()
		return http.StatusServiceUnavailable // nobody would hear what came of it
	}
	answer := make(chan int, 1)
	go func() {
		defer cancel()
		status := http.StatusInternalServerError
		defer func() { answer <- status }() // whatever a handler or store does
		defer func() {
			if v := recover(); v != nil {
				w.logFailure(ctx, e, "store", newPanicError(v))
			}
		}()
		status = w.once(ctx, e, handlers)
	}()
	late := time.NewTimer(time.Until(deadline) + answerGrace)
	defer late.Stop()
	select {
	case status := <-answer:
		return status
	case <-late.C:
		w.log.WarnContext(ctx, "clerkauth: webhook handler or store runs past its deadline", "type", e.Type, "delivery", e.DeliveryID)
		return http.StatusServiceUnavailable
	}
}

// once asks the store and judges by what was called, not only by what it returns:
// nothing is acknowledged that no handler completed.
func (w *webhook) once(ctx context.Context, e *event.Raw, handlers []eventHandler) int {
	var failure error
	called, completed := false, false
	err := w.deliveries.Once(ctx, e.DeliveryID, func(ctx context.Context) error {
		called = true
		failure = call(ctx, e, handlers)
		completed = failure == nil
		return failure
	})
	switch {
	case failure != nil:
		w.logFailure(ctx, e, "handler", failure)
		return http.StatusInternalServerError
	case completed && err == nil, !called && errors.Is(err, ErrHandled):
		return http.StatusNoContent
	case !called && errors.Is(err, ErrInFlight):
		return http.StatusServiceUnavailable
	case err == nil:
		err = plainError{errors.New("it neither called the handler nor said why")}
	}
	w.logFailure(ctx, e, "store", err)
	return http.StatusServiceUnavailable
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
		own := *e
		if err := h(ctx, &own); err != nil {
			return err
		}
	}
	return nil
}

// logFailure tells the operator which delivery failed and why, as far as that holds
// nothing of the payload, and OnError the rest.
func (w *webhook) logFailure(ctx context.Context, e *event.Raw, who string, err error) {
	w.log.LogAttrs(ctx, slog.LevelError, "clerkauth: webhook "+who+" failed",
		slog.String("type", e.Type), slog.String("delivery", e.DeliveryID), slog.String("error", describe(err)))
	defer func() {
		if v := recover(); v != nil {
			w.log.ErrorContext(ctx, "clerkauth: webhook OnError failed", "error", describe(newPanicError(v)))
		}
	}()
	own := *e
	w.onError(ctx, &own, err)
}

// describe returns the text of an error of ours, and the types of another: its text
// may quote a payload.
func describe(err error) string {
	if plain, ok := err.(plainError); ok { //nolint:errorlint // a wrapped one has text that is not ours
		return plain.Error()
	}
	var types []string
	for ; err != nil; err = errors.Unwrap(err) {
		types = append(types, fmt.Sprintf("%T", err))
	}
	return strings.Join(types, ": ")
}

// plainError is an error whose text holds no values.
type plainError struct{ error }

func (e plainError) Unwrap() error { return e.error }

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
			return plainError{fmt.Errorf("panic of type %T at %s", v, where)}
		}
	}
}
