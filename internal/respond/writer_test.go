package respond

import (
	"net/http"
	"net/http/httptest"
	"testing"
)

// TestWriter: a handler that sets no status responds with that of the Writer, whatever
// else it does.
func TestWriter(t *testing.T) {
	for name, c := range map[string]struct {
		handler func(http.ResponseWriter)
		want    int
	}{
		"nothing":     {func(http.ResponseWriter) {}, 401},
		"a body":      {func(w http.ResponseWriter) { _, _ = w.Write([]byte("x")) }, 401},
		"a flush":     {func(w http.ResponseWriter) { _ = http.NewResponseController(w).Flush() }, 401},
		"a status":    {func(w http.ResponseWriter) { w.WriteHeader(http.StatusTeapot) }, 418},
		"early hints": {func(w http.ResponseWriter) { w.WriteHeader(http.StatusEarlyHints) }, 401},
	} {
		final := &statuses{ResponseRecorder: httptest.NewRecorder()}
		w := NewWriter(final, http.StatusUnauthorized)
		c.handler(w)
		w.Begin()
		if got := final.sent[len(final.sent)-1]; got != c.want {
			t.Errorf("%s: %v, want %d at the end", name, final.sent, c.want)
		}
	}
}

// statuses records every status, informational ones included.
type statuses struct {
	*httptest.ResponseRecorder
	sent []int
}

func (s *statuses) WriteHeader(status int) { s.sent = append(s.sent, status) }
