package response

import (
	"bufio"
	"io"
	"net"
	"net/http"
)

// ResponseWriter returns what the handler writes to. It has one of three shapes:
//
//   - Flusher, Hijacker, ReaderFrom and StringWriter, as that of HTTP/1, if the writer of
//     Init is a Flusher and a Hijacker;
//   - Flusher, Pusher and StringWriter, as that of HTTP/2, if it is a Flusher. A Push that
//     it has not got returns [http.ErrNotSupported], as with clients that disable it;
//   - StringWriter otherwise.
//
// Each has Unwrap and FlushError, so [http.ResponseController] reaches everything. What is
// lost is that [http.MaxBytesReader] tells the server to close the connection, because the
// method for that is not exported: the rest of a body that is too large is read up to the
// limit of the server, 256 KiB, first. [http.MaxBytesHandler] outside of a Writer does it.
func (w *Writer) ResponseWriter() http.ResponseWriter {
	_, flushes := w.rw.(http.Flusher)
	_, hijacks := w.rw.(http.Hijacker)
	// Each shape is one pointer, which an interface holds without an allocation.
	switch {
	case flushes && hijacks:
		return http1{flusher{plain{w}}}
	case flushes:
		return http2{flusher{plain{w}}}
	}
	return plain{w}
}

// plain hides the methods of Writer from handlers.
type plain struct{ w *Writer }

func (p plain) Header() http.Header { return p.w.rw.Header() }

func (p plain) Unwrap() http.ResponseWriter { return p.w.rw }

func (p plain) WriteHeader(status int) {
	switch {
	case status == http.StatusSwitchingProtocols:
		p.w.end()
	case status < 100 || status > 199:
		p.w.apply(true)
	}
	p.w.rw.WriteHeader(status)
}

func (p plain) Write(b []byte) (int, error) {
	p.w.apply(true)
	return p.w.rw.Write(b)
}

func (p plain) WriteString(s string) (int, error) {
	p.w.apply(true)
	return io.WriteString(p.w.rw, s)
}

// FlushError is what [http.ResponseController] calls.
func (p plain) FlushError() error {
	p.w.apply(false)
	err := http.NewResponseController(p.w.rw).Flush()
	if err == nil { // it is supported
		p.w.end()
	}
	return err
}

type flusher struct{ plain }

func (f flusher) Flush() { _ = f.FlushError() } // Flush has no error

type http1 struct{ flusher }

func (h http1) Hijack() (net.Conn, *bufio.ReadWriter, error) {
	conn, buffer, err := http.NewResponseController(h.w.rw).Hijack()
	if err == nil {
		h.w.end()
	}
	return conn, buffer, err
}

// ReadFrom passes r itself on, because the server sends files with sendfile(2).
func (h http1) ReadFrom(r io.Reader) (n int64, err error) {
	h.w.apply(false)
	if to, ok := h.w.rw.(io.ReaderFrom); ok {
		n, err = to.ReadFrom(r)
	} else {
		n, err = io.Copy(h.w.rw, r)
	}
	if n > 0 {
		h.w.end()
	}
	return n, err
}

type http2 struct{ flusher }

func (h http2) Push(target string, opts *http.PushOptions) error {
	if pusher, ok := h.w.rw.(http.Pusher); ok {
		return pusher.Push(target, opts)
	}
	return http.ErrNotSupported
}

// Of returns the Writer that rw is the ResponseWriter of, or that of a writer which rw
// wraps, as its method Unwrap says; nil if there is none.
func Of(rw http.ResponseWriter) *Writer {
	for {
		switch at := rw.(type) {
		case plain:
			return at.w
		case http1:
			return at.w
		case http2:
			return at.w
		case interface{ Unwrap() http.ResponseWriter }:
			rw = at.Unwrap()
		default:
			return nil
		}
	}
}
