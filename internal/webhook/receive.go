package webhook

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"strconv"
	"strings"
	"time"

	"github.com/clerkauth/clerkauth/event"
)

const (
	// retryAfter is the Retry-After of a delivery in flight, in seconds: by then, the
	// context of its handlers has ended.
	retryAfter = 15
	// maxBody is the largest body in bytes. Svix recommends payloads below 20 kB and
	// sends at most 1 MiB.
	maxBody = 1 << 20
)

// ServeHTTP handles a delivery.
func (e *Endpoint) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	if r.Body != nil {
		defer r.Body.Close()
	}
	o := e.receive(w, r)
	e.observed(r.Context(), o)
	h := w.Header()
	h.Set("Cache-Control", "no-store")
	h.Set("X-Content-Type-Options", "nosniff")
	switch o.Status {
	case http.StatusNoContent:
		w.WriteHeader(o.Status)
		return
	case http.StatusMethodNotAllowed:
		h.Set("Allow", http.MethodPost)
	case http.StatusServiceUnavailable:
		h.Set("Retry-After", strconv.Itoa(retryAfter))
	}
	// A forger learns nothing from the body that the status does not say.
	h.Set("Content-Type", "application/problem+json")
	h.Del("Content-Length")
	w.WriteHeader(o.Status)
	fmt.Fprintf(w, `{"status":%d,"title":%q,"type":"about:blank"}`+"\n", o.Status, http.StatusText(o.Status))
}

// receive handles r and returns the outcome, whose status is the response's.
func (e *Endpoint) receive(w http.ResponseWriter, r *http.Request) Outcome {
	refused := Outcome{Result: Refused, Status: http.StatusBadRequest}
	if r.Method != http.MethodPost {
		refused.Status = http.StatusMethodNotAllowed
		return refused
	}
	deadline := time.Now().Add(handlerDeadline)
	if r.ContentLength > maxBody {
		refused.Status = http.StatusRequestEntityTooLarge
		return refused
	}
	h, why := readHeaders(r.Header, e.now())
	if why != "" {
		e.refuse(r.Context(), why)
		return refused
	}
	var body []byte
	if r.Body != nil {
		var err error
		body, err = io.ReadAll(http.MaxBytesReader(w, r.Body, maxBody))
		if tooLarge := (*http.MaxBytesError)(nil); errors.As(err, &tooLarge) {
			refused.Status = http.StatusRequestEntityTooLarge
			return refused
		}
		if err != nil && !errors.Is(err, http.ErrBodyReadAfterClose) {
			e.refuse(r.Context(), whyCut)
			return refused
		}
	}
	if !verify(e.keys, h, body) {
		why := whySignature
		switch {
		case len(body) == 0 && r.ContentLength > 0:
			why = whyRead
		case len(body) == 0:
			why = whyEmpty
		case json.Valid(body):
			why = whyJSON
		}
		e.refuse(r.Context(), why)
		return refused
	}
	raw, err := event.Parse(body)
	if err != nil {
		e.refuse(r.Context(), whyNoEvent)
		return refused
	}
	raw.DeliveryID = strings.Clone(h.id) // some servers reuse the memory of a request
	handlers := e.handlersOf(raw.Type)
	if len(handlers) == 0 {
		return Ignored.of(raw)
	}
	return e.handle(r.Context(), deadline, raw, handlers).of(raw)
}
