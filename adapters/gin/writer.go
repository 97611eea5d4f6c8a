package clerkgin

import (
	"net/http"

	"github.com/gin-gonic/gin"

	"github.com/clerkauth/clerkauth/internal/response"
)

// writer is gin's writer, with the headers that the library adds when they are written:
// later than with net/http, because gin's WriteHeader writes nothing yet.
type writer struct {
	gin.ResponseWriter
	out response.Writer
}

// Unwrap returns the writer through which [response.Of] finds out.
func (w *writer) Unwrap() http.ResponseWriter { return w.out.ResponseWriter() }

func (w *writer) WriteHeaderNow() {
	add(w, &w.out)
	w.ResponseWriter.WriteHeaderNow()
}

func (w *writer) Write(b []byte) (int, error) {
	add(w, &w.out)
	return w.ResponseWriter.Write(b)
}

func (w *writer) WriteString(s string) (int, error) {
	add(w, &w.out)
	return w.ResponseWriter.WriteString(s)
}

func (w *writer) Flush() {
	add(w, &w.out)
	w.ResponseWriter.Flush()
}

// add adds the headers of out, unless those of w are written, or are a websocket's.
func add(w gin.ResponseWriter, out *response.Writer) {
	if !w.Written() && w.Status() != http.StatusSwitchingProtocols {
		out.Apply()
	}
}
