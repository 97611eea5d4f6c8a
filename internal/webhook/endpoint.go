// Package webhook is an endpoint for Clerk's webhooks, which Svix delivers. It reads and
// verifies deliveries, calls the handlers of each once, and writes the responses.
package webhook

import (
	"context"
	"log/slog"
	"net/http"
	"sync"
	"time"

	"github.com/clerkauth/clerkauth/event"
	"github.com/clerkauth/clerkauth/internal/notice"
)

// Config configures an Endpoint. Keys and Errors are required.
type Config struct {
	// Keys are the endpoint's keys: one, or the new and the old one while it is rotated.
	Keys []Key

	// Deliveries remembers which deliveries were handled. Defaults to a Memory.
	Deliveries Deliveries

	// PerEndpoint says that Deliveries tells endpoints apart, so that it gets the id of
	// a delivery as it is. Otherwise it gets the id with the fingerprint of a key.
	PerEndpoint bool

	// Errors are what Deliveries returns for copies of a delivery.
	Errors Errors

	// OnError is called with the errors of handlers and of Deliveries. Defaults to
	// nothing.
	OnError func(context.Context, *event.Raw, error)

	// Observe is called once for every request, before the response is sent. Defaults to
	// nothing.
	Observe func(context.Context, Outcome)

	// Logger is for the operator. Defaults to slog.Default().
	Logger *slog.Logger

	// Now is the clock that timestamps are compared with. Defaults to time.Now.
	Now func() time.Time
}

// Handler handles an event. It must be idempotent.
type Handler func(context.Context, *event.Raw) error

// Endpoint is an http.Handler for deliveries. It is safe for concurrent use.
type Endpoint struct {
	keys       []Key
	deliveries Deliveries
	scopes     []string // suffixes of the ids that are passed to deliveries: see claim
	errs       Errors
	onError    func(context.Context, *event.Raw, error)
	observe    func(context.Context, Outcome)
	log        *slog.Logger
	notices    *notice.Log
	now        func() time.Time

	mu       sync.RWMutex // guards the fields below
	handlers map[string]Handler
	any      Handler
}

// New returns an Endpoint without handlers.
func New(c Config) *Endpoint {
	e := &Endpoint{keys: c.Keys, errs: c.Errors, onError: c.OnError, observe: c.Observe, log: c.Logger, now: c.Now, handlers: make(map[string]Handler)}
	if e.now == nil {
		e.now = time.Now
	}
	if e.log == nil {
		e.log = slog.Default()
	}
	e.notices = notice.New(e.log, e.now, noticeCount)
	if e.onError == nil {
		e.onError = func(context.Context, *event.Raw, error) {}
	}
	if e.observe == nil {
		e.observe = func(context.Context, Outcome) {}
	}
	e.remember(c.Deliveries, c.PerEndpoint)
	return e
}

// On registers the handler of events of a type. It reports whether there was none.
func (e *Endpoint) On(name string, handle Handler) bool {
	e.mu.Lock()
	defer e.mu.Unlock()
	if e.handlers[name] != nil {
		return false
	}
	e.handlers[name] = handle
	return true
}

// OnAny registers the handler of every event, which is called after that of its type. It
// reports whether there was none.
func (e *Endpoint) OnAny(handle Handler) bool {
	e.mu.Lock()
	defer e.mu.Unlock()
	if e.any != nil {
		return false
	}
	e.any = handle
	return true
}

// handlersOf returns the handlers for events of that type, in the order of their calls.
func (e *Endpoint) handlersOf(name string) []Handler {
	e.mu.RLock()
	defer e.mu.RUnlock()
	var list []Handler
	for _, h := range []Handler{e.handlers[name], e.any} {
		if h != nil {
			list = append(list, h)
		}
	}
	return list
}

// Verify reports whether body is a delivery that Svix signed for this endpoint lately.
func (e *Endpoint) Verify(header http.Header, body []byte) bool {
	h, why := readHeaders(header, e.now())
	return why == "" && verify(e.keys, h, body)
}
