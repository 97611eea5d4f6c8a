package clerkauthtest

import (
	"net"
	"net/http"
)

// Serve is ListenAndServe with a listener.
func (s *Session) Serve(listener net.Listener, h http.Handler) error { return s.serve(listener, h) }
