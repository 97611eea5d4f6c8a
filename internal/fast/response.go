package fast

import (
	"net/http"
	"slices"

	"github.com/clerkauth/clerkauth/internal/response"
)

// Response is an http.ResponseWriter that writes to fasthttp's response. Its header is
// written by Send.
type Response struct {
	// Hidden reports whether the response is the framework's own for an unknown path.
	// The library calls NotFound instead of writing a refusal that
	// clerkauth.Config.HideUnauthorized hides.
	Hidden bool

	to     body
	header http.Header
	added  *Headers
}

type body interface {
	SetStatusCode(status int)
	AppendBody(p []byte)
}

// NewResponse returns a Response that writes to a *fasthttp.Response. What the library adds
// to responses goes to added, which may be nil.
func NewResponse(to body, added *Headers) *Response {
	return &Response{to: to, header: http.Header{}, added: added}
}

// Header returns the header that Send writes.
func (w *Response) Header() http.Header { return w.header }

// WriteHeader sets the status.
func (w *Response) WriteHeader(status int) { w.to.SetStatusCode(status) }

// Write appends p to the body.
func (w *Response) Write(p []byte) (int, error) {
	w.to.AppendBody(p)
	return len(p), nil
}

// NotFound sets Hidden.
func (w *Response) NotFound() { w.Hidden = true }

// Unwrap returns the writer through which [response.Of] finds the Headers.
func (w *Response) Unwrap() http.ResponseWriter {
	if w.added == nil {
		return nil
	}
	return w.added.out.ResponseWriter()
}

// ResponseHeader is what is used of a *fasthttp.ResponseHeader.
type ResponseHeader interface {
	StatusCode() int
	VisitAll(func(name, value []byte))
	Add(name, value string)
	Del(name string)
}

// Send writes the header. It appends to Vary and to Set-Cookie, and replaces every other
// header.
func (w *Response) Send(to ResponseHeader) {
	for name, lines := range w.header {
		if name != "Set-Cookie" && name != "Vary" {
			to.Del(name)
		}
		for _, line := range lines {
			to.Add(name, line)
		}
	}
}

// Headers is what the library adds to one response. fasthttp writes headers after all
// handlers have returned, so there is a moment to add them: Apply.
type Headers struct {
	out    response.Writer
	header http.Header // of the response, during Apply
}

// NewHeaders returns Headers that add nothing yet.
func NewHeaders() *Headers {
	h := &Headers{header: http.Header{}}
	h.out.Init(carrier{h})
	return h
}

// Apply adds the headers, once each if it is called again. Those of a websocket's
// handshake are left alone.
func (h *Headers) Apply(to ResponseHeader) {
	if to.StatusCode() == http.StatusSwitchingProtocols {
		return
	}
	h.header = http.Header{}
	spelled := map[string][]string{} // the names, which need not be canonical
	to.VisitAll(func(name, value []byte) {
		canonical := http.CanonicalHeaderKey(string(name))
		h.header[canonical] = append(h.header[canonical], string(value))
		spelled[canonical] = append(spelled[canonical], string(name))
	})
	before := h.header.Clone()
	h.out.Apply()
	for name, lines := range before {
		if after := h.header[name]; len(after) < len(lines) || !slices.Equal(after[:len(lines)], lines) {
			for _, spelling := range spelled[name] {
				to.Del(spelling)
			}
			before[name] = nil
		}
	}
	for name, lines := range h.header {
		for _, line := range lines[len(before[name]):] {
			to.Add(name, line)
		}
	}
}

// carrier is the http.ResponseWriter of a [response.Writer], of which only Apply is used.
type carrier struct{ h *Headers }

func (c carrier) Header() http.Header       { return c.h.header }
func (carrier) Write(p []byte) (int, error) { return len(p), nil }
func (carrier) WriteHeader(int)             {}
