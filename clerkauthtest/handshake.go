package clerkauthtest

import (
	"net/http"
	"net/url"
	"time"
)

// Names of the result of a handshake, as a query parameter in development and as a cookie
// in production.
const (
	handshakeToken = "__clerk_handshake" //nolint:gosec // a name
	handshakeNonce = "__clerk_handshake_nonce"
)

// handshakeLifetime is how long the result of a handshake waits for the application.
const handshakeLifetime = time.Minute

// payload is the result of a handshake that a nonce stands for.
type payload struct {
	directives []string
	expires    time.Time
}

// handshake sends a browser back to the application with the cookies that it should have
// there. Its query has redirect_url, format (nonce or token) and, to change the active
// organization first, organization_id; suffixed_cookies is not read, because cookies are
// written in both forms, as ClerkJS does.
func (s *Server) handshake(w http.ResponseWriter, r *http.Request) {
	q := r.URL.Query()
	to, ok := s.redirectURL(q.Get("redirect_url"))
	if !ok {
		writeError(w, http.StatusBadRequest)
		return
	}
	if s.needsSync(r) {
		here := endpointAt(s.satelliteHost(r), r.URL.Path, q)
		s.startSync(w, s.satelliteHost(r), here.String())
		return
	}
	if to.Query().Get(synced) == "false" {
		to = withParam(to, synced, "true") // or ClerkJS asks once more
	}
	s.mu.Lock()
	c := s.browser(r)
	if c == nil && !s.production {
		c = s.newClient() // for its dev browser, without which the application asks again
	}
	if session := c.live(); session != nil && q.Has("organization_id") {
		session.activate(q.Get("organization_id")) // otherwise it stays as it is
	}
	s.mu.Unlock()
	s.finishHandshake(w, c, to, s.cookieDomain(r), q.Get("format") == "nonce")
}

// finishHandshake redirects to an application of that domain, with the directives for c.
func (s *Server) finishHandshake(w http.ResponseWriter, c *client, to *url.URL, domain string, nonce bool) {
	name := handshakeToken
	if nonce {
		name = handshakeNonce
	}
	result := http.Cookie{Name: name, HttpOnly: true, SameSite: http.SameSiteLaxMode}
	if s.production {
		result.Domain = domain
	}
	l := s.directives(c, domain, s.production && to.Scheme == "https")
	if s.production {
		l.add(result) // without a value: the application removes it when it has been read
	}
	var value string
	if nonce {
		value = s.keepPayload(l.lines)
	} else {
		value = s.signHandshake(l.lines)
	}
	if s.production {
		result.Value, result.Path, result.Secure = value, "/", l.secure
		result.MaxAge = int(handshakeLifetime / time.Second)
		w.Header().Add("Set-Cookie", result.String())
	} else {
		to = withParam(to, name, value)
	}
	redirect(w, http.StatusTemporaryRedirect, to)
}

// signHandshake returns directives as a token. It does not expire, as those of Clerk do
// not.
func (s *Server) signHandshake(directives []string) string {
	s.mu.Lock()
	header := s.header(categorySession) // which handshakes share
	key := s.signing.private
	s.mu.Unlock()
	return sign(key, header, map[string]any{"handshake": directives})
}

// keepPayload keeps directives for the application's request to the Backend API, and
// returns the nonce that names them.
func (s *Server) keepPayload(directives []string) (nonce string) {
	nonce = randomText()
	now := s.Now()
	s.mu.Lock()
	defer s.mu.Unlock()
	s.payloads[nonce] = payload{directives, now.Add(handshakeLifetime)}
	return nonce
}

// servePayload serves the directives that a nonce stands for, to the first who asks.
func (s *Server) servePayload(w http.ResponseWriter, r *http.Request) {
	nonce := r.URL.Query().Get("nonce")
	s.mu.Lock()
	p, ok := s.payloads[nonce]
	delete(s.payloads, nonce)
	s.mu.Unlock()
	if !ok || !s.Now().Before(p.expires) {
		notFound(w, r)
		return
	}
	writeJSON(w, http.StatusOK, map[string]any{"directives": p.directives})
}

// redirect redirects to a URL that [Server.redirectURL] has returned.
func redirect(w http.ResponseWriter, status int, to *url.URL) {
	w.Header().Set("Cache-Control", "no-store")
	w.Header().Set("Location", to.String())
	w.WriteHeader(status)
}
