package respond

import "net/http"

// Writer is a ResponseWriter with a status for a handler that sets none, so that a refusal
// does not become a 200.
type Writer struct {
	http.ResponseWriter
	status int
	begun  bool
}

// NewWriter returns a Writer that responds with status to what a handler writes. Begin has
// to be called after the handler.
func NewWriter(w http.ResponseWriter, status int) *Writer {
	return &Writer{ResponseWriter: w, status: status}
}

// Begin sends the status, unless another one was sent.
func (w *Writer) Begin() {
	if !w.begun {
		w.WriteHeader(w.status)
	}
}

// WriteHeader sends the handler's own status.
func (w *Writer) WriteHeader(status int) {
	w.begun = w.begun || status >= 200 || status == http.StatusSwitchingProtocols
	w.ResponseWriter.WriteHeader(status)
}

// Write writes the body, after the status.
func (w *Writer) Write(b []byte) (int, error) {
	w.Begin()
	return w.ResponseWriter.Write(b)
}

// FlushError is what [http.ResponseController] calls.
func (w *Writer) FlushError() error {
	w.Begin()
	return http.NewResponseController(w.ResponseWriter).Flush()
}

// Unwrap gives [http.ResponseController] everything else.
func (w *Writer) Unwrap() http.ResponseWriter { return w.ResponseWriter }
