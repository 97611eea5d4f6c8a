package clerkauthtest

import (
	"net"
	"net/http"
)

// Serve is ListenAndServe with a listener.
func (s *Session) Serve(listener net.Listener, h http.Handler) error { return s.serve(listener, h) }

// ClientSecret returns the value of the __client cookie of the session's browser.
func (s *Session) ClientSecret() string { return s.client.secret }

// DevBrowser returns the dev browser of the session's browser.
func (s *Session) DevBrowser() string { return s.client.devBrowser }

// SuffixOf returns the suffix of the names of cookies.
func SuffixOf(publishableKey string) string { return suffixOf(publishableKey) }
