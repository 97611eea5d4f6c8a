// Package nostore keeps responses out of shared caches.
package nostore

import (
	"bufio"
	"io"
	"net"
	"net/http"
	"strings"
)

// Set sets Cache-Control to no-store, unless it keeps shared caches from storing the
// response already: it has no-store, or it has private and not public.
func Set(h http.Header) {
	var private, public bool
	for _, line := range h["Cache-Control"] {
		if strings.Contains(line, `"`) {
			public = true // private="field" is about that field alone, and what is quoted is not a directive
			break
		}
		for part := range strings.SplitSeq(line, ",") {
			switch strings.ToLower(strings.TrimSpace(part)) {
			case "no-store":
				return
			case "private":
				private = true
			case "public":
				public = true
			}
		}
	}
	if !private || public {
		h.Set("Cache-Control", "no-store")
	}
}

// Writer returns w with a function that the caller has to call when the handler is done.
// Set is called for the headers before they are written, whatever the handler set. The
// writer is a Flusher, a Hijacker, a ReaderFrom and a StringWriter if w is all of
// these, as that of HTTP/1 is; else a Flusher and a Pusher if w is both, as that of
// HTTP/2 is; else a Flusher if w is one. Everything else is left to Unwrap, except that
// [http.MaxBytesReader] cannot close the connection through it.
func Writer(w http.ResponseWriter) (http.ResponseWriter, func()) {
	inner := &writer{ResponseWriter: w}
	_, flushes := w.(http.Flusher)
	_, hijacks := w.(http.Hijacker)
	_, reads := w.(io.ReaderFrom)
	_, texts := w.(io.StringWriter)
	pusher, pushes := w.(http.Pusher)
	switch {
	case flushes && hijacks && reads && texts:
		return &http1{flusher{inner}}, inner.apply
	case flushes && pushes:
		return &http2{flusher{inner}, pusher}, inner.apply
	case flushes:
		return &flusher{inner}, inner.apply
	}
	return inner, inner.apply
}

type writer struct {
	http.ResponseWriter
	written bool // the headers are
}

func (w *writer) apply() {
	if !w.written {
		Set(w.Header())
	}
}

func (w *writer) Unwrap() http.ResponseWriter { return w.ResponseWriter }

func (w *writer) WriteHeader(status int) {
	w.apply()
	w.written = w.written || status >= 200 || status == http.StatusSwitchingProtocols
	w.ResponseWriter.WriteHeader(status)
}

func (w *writer) begin() {
	w.apply()
	w.written = true
}

func (w *writer) Write(b []byte) (int, error) {
	w.begin()
	return w.ResponseWriter.Write(b)
}

func (w *writer) WriteString(s string) (int, error) {
	w.begin()
	return io.WriteString(w.ResponseWriter, s)
}

func (w *writer) FlushError() error {
	w.apply()
	err := http.NewResponseController(w.ResponseWriter).Flush()
	w.written = w.written || err == nil // not if it is not supported
	return err
}

type flusher struct{ *writer }

func (w flusher) Flush() { _ = w.FlushError() } // Flush has no error

type http1 struct{ flusher }

func (w *http1) Hijack() (net.Conn, *bufio.ReadWriter, error) {
	return http.NewResponseController(w.ResponseWriter).Hijack()
}

func (w *http1) ReadFrom(r io.Reader) (int64, error) {
	w.begin()
	return io.Copy(w.ResponseWriter, r)
}

type http2 struct {
	flusher
	http.Pusher
}
