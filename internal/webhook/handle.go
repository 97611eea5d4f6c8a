package webhook

import (
	"bytes"
	"context"
	"errors"
	"log/slog"
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
)

// handle handles raw and returns the result, or Late if there is none in time.
//
// Handlers run in a goroutine of their own, because they cannot be stopped: one that is
// late goes on, and keeps its claim on the delivery, so that no other runs beside it.
// As it may outlive the request, its context has none of the request's values, which
// some servers reuse for another request; it is canceled with the request's.
func (e *Endpoint) handle(request context.Context, deadline time.Time, raw *event.Raw, handlers []Handler) Result {
	if request.Err() != nil || !time.Now().Before(deadline) {
		return Late // no response would be received
	}
	limited, cancel := context.WithDeadline(context.Background(), deadline)
	ctx, hangUp := context.WithCancelCause(limited)
	answer := make(chan Result, 1)
	go func() {
		defer cancel()
		defer hangUp(nil)
		result := HandlerFailed
		defer func() { answer <- result }() // even if the store panics or exits
		defer func() {
			if v := recover(); v != nil {
				e.logFailure(ctx, raw, "store", plain.Panic(v))
			}
		}()
		result = e.once(ctx, raw, handlers)
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
			e.log.WarnContext(ctx, "clerkauth: webhook handler or store runs past its deadline", "type", raw.Type, "delivery", raw.DeliveryID)
			return Late
		}
	}
}

// once calls the store's Once. The result depends on which calls were made, not only on
// what the store returned, so that nothing is acknowledged that no handler completed.
func (e *Endpoint) once(ctx context.Context, raw *event.Raw, handlers []Handler) Result {
	var failure error
	called, completed, late := false, false, false
	err := e.claim(ctx, raw.DeliveryID, e.scopes, func(ctx context.Context) error {
		if ctx.Err() != nil {
			late = true // the claim may have run out, and the response was sent
			return context.Cause(ctx)
		}
		called = true
		failure = call(ctx, raw, handlers)
		completed = failure == nil
		return failure
	})
	switch {
	case failure != nil:
		e.logFailure(ctx, raw, "handler", failure)
		return HandlerFailed
	case completed && err == nil:
		return Handled
	case !called && !late && errors.Is(err, e.errs.Handled):
		return Duplicate
	case !called && !late && errors.Is(err, e.errs.InFlight):
		return InFlight
	case late:
		e.log.WarnContext(ctx, "clerkauth: webhook store claimed a delivery too late to handle it", "type", raw.Type, "delivery", raw.DeliveryID)
		return Late
	case errors.Is(err, e.errs.OtherEndpoint):
		e.notices.Tell(noticeEndpoint, slog.LevelError, "webhook deliveries are refused because another endpoint with other secrets remembers its own in the same store: give each endpoint a table or prefix of its own, and keep the old secret beside the new for 36 hours when it is rotated")
		e.reportError(ctx, raw, err)
		return StoreFailed
	case err == nil:
		err = plain.New(errors.New("it neither called the handler nor returned an error"))
	case called && (errors.Is(err, e.errs.Handled) || errors.Is(err, e.errs.InFlight)):
		err = plain.Wrap("it called the handler, and said that it did not", err)
	}
	e.logFailure(ctx, raw, "store", err)
	return StoreFailed
}

// call calls handlers until one fails. It recovers panics, before they reach the store.
// Each handler gets its own copy of the event.
func call(ctx context.Context, raw *event.Raw, handlers []Handler) (err error) {
	defer func() {
		if v := recover(); v != nil {
			err = plain.Panic(v)
		}
	}()
	for _, h := range handlers {
		if err := h(ctx, ownEvent(raw)); err != nil {
			return err
		}
	}
	return nil
}

// ownEvent returns a copy that shares no memory with raw.
func ownEvent(raw *event.Raw) *event.Raw {
	own := *raw
	own.Data, own.JSON = bytes.Clone(raw.Data), bytes.Clone(raw.JSON)
	return &own
}

// logFailure logs which delivery failed, and of err what may be logged: its text may
// quote the payload. OnError gets all of it.
func (e *Endpoint) logFailure(ctx context.Context, raw *event.Raw, who string, err error) {
	e.log.LogAttrs(ctx, slog.LevelError, "clerkauth: webhook "+who+" failed",
		slog.String("type", raw.Type), slog.String("delivery", raw.DeliveryID), slog.String("error", plain.Describe(err)))
	e.reportError(ctx, raw, err)
}

// reportError calls OnError, and logs it if that panics.
func (e *Endpoint) reportError(ctx context.Context, raw *event.Raw, err error) {
	defer func() {
		if v := recover(); v != nil {
			e.log.ErrorContext(ctx, "clerkauth: webhook OnError failed", "error", plain.Describe(plain.Panic(v)))
		}
	}()
	e.onError(ctx, ownEvent(raw), err)
}
