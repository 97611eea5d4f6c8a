package clerkauthtest

import (
	"encoding/json"
	"net/http"
	"net/url"
	"slices"

	"github.com/go-jose/go-jose/v4"
)

// refresh issues a new token of a session to an application that has the expired one and
// the browser's refresh token. Refresh tokens are not rotated: the requests of a page that
// arrive together bring the same one.
func (s *Server) refresh(w http.ResponseWriter, r *http.Request) {
	var params struct {
		Format        string
		ExpiredToken  string `json:"expired_token"`
		RefreshToken  string `json:"refresh_token"`
		RequestOrigin string `json:"request_origin"`
	}
	if !read(w, r, &params) {
		return
	}
	s.mu.Lock()
	session := s.sessions[r.PathValue("id")]
	s.mu.Unlock()
	origin, err := url.Parse(params.RequestOrigin)
	switch {
	case session == nil:
		notFound(w, r)
	case params.Format != "cookie" || err != nil || origin.Host == "":
		writeError(w, http.StatusUnprocessableEntity)
	case session.refreshToken == "" || params.RefreshToken != session.refreshToken:
		writeCode(w, http.StatusUnauthorized, "refresh_token_invalid", "The refresh token is not that of the session.")
	case s.sessionID(params.ExpiredToken) != session.ID:
		writeCode(w, http.StatusUnauthorized, "expired_token_invalid", "The expired token is not of the session.")
	default:
		d := draft{lifetime: lifetime}
		WithClaim("azp", params.RequestOrigin)(&d)
		token, ok := session.mint(&d)
		if !ok {
			writeCode(w, http.StatusUnauthorized, "session_not_active", "The session has ended.")
			return
		}
		l := s.setCookies("", s.production && origin.Scheme == "https")
		l.session(token, session.refreshToken)
		writeJSON(w, http.StatusOK, map[string]any{"object": "cookies", "cookies": l.lines})
	}
}

// sessionID returns the sid of a token that the instance has signed, expired or not, or "".
func (s *Server) sessionID(token string) string {
	jws, err := jose.ParseSignedCompact(token, []jose.SignatureAlgorithm{jose.RS256})
	if err != nil {
		return ""
	}
	s.mu.Lock()
	keys := slices.Clone(s.keys)
	s.mu.Unlock()
	for _, key := range keys {
		payload, err := jws.Verify(&key.private.PublicKey)
		var claims struct{ SID string }
		if err == nil && json.Unmarshal(payload, &claims) == nil {
			return claims.SID
		}
	}
	return ""
}

// revokeSession ends a session, as an application or somebody in the dashboard does.
func (s *Server) revokeSession(w http.ResponseWriter, r *http.Request) {
	s.mu.Lock()
	if session := s.sessions[r.PathValue("id")]; session != nil && session.ended == "" {
		session.ended = "revoked"
	}
	s.mu.Unlock()
	s.serveSession(w, r)
}
