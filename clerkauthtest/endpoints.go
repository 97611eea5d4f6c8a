package clerkauthtest

import (
	"bytes"
	"cmp"
	"encoding/json"
	"io"
	"net/http"
	"strconv"
	"strings"
	"time"

	"github.com/clerk/clerk-sdk-go/v2"
)

// route is the handler of a pattern of the mux.
type route struct {
	endpoint Endpoint
	http.HandlerFunc
}

func (s *Server) routes() {
	s.mux.Handle("GET /v1/jwks", route{BackendJWKS, s.backend(s.serveKeySet)})
	s.mux.Handle("GET /.well-known/jwks.json", route{FrontendJWKS, s.serveKeySet})
	s.mux.Handle("GET /v1/users/{id}", route{Users, s.backend(s.serveUser)})
	s.mux.Handle("GET /v1/sessions/{id}", route{Sessions, s.backend(s.serveSession)})
	s.mux.Handle("POST /v1/sessions/{id}/revoke", route{Sessions, s.backend(s.revokeSession)})
	s.mux.Handle("POST /v1/sessions/{id}/refresh", route{SessionRefresh, s.backend(s.refresh)})
	s.mux.Handle("GET /v1/clients/handshake_payload", route{HandshakePayload, s.backend(s.servePayload)})
	s.mux.Handle("POST /v1/sessions/{id}/tokens", route{SessionTokens, s.backend(s.serveToken)})
	s.mux.Handle("POST /v1/sessions/{id}/tokens/{template}", route{SessionTokens, s.backend(s.serveToken)})
	s.mux.Handle("POST /v1/users/{id}/ban", route{Users, s.backend(s.ban((*User).Ban))})
	s.mux.Handle("POST /v1/users/{id}/unban", route{Users, s.backend(s.ban((*User).Unban))})
	s.mux.Handle("POST /v1/testing_tokens", route{TestingTokens, s.backend(s.createTestingToken)})
	s.frontendRoutes()
	s.pageRoutes()
	s.memberRoutes()
	s.machineRoutes()
	s.oauthRoutes()
	s.mux.Handle("/v1/", route{backendOther, s.backend(notFound)})
	s.mux.Handle("/", route{frontendOther, notFound})
}

// answer is a whole response, which is sent later.
type answer struct {
	status int
	header http.Header
	body   bytes.Buffer
	how    int // Hang, SlowBody or Cut; otherwise it is sent as it is
}

func (a *answer) Header() http.Header { return a.header }

func (a *answer) WriteHeader(status int) { a.status = status }

func (a *answer) Write(p []byte) (int, error) { return a.body.Write(p) }

// answer returns the response to r. It neither waits nor changes r.
func (s *Server) answer(r *http.Request) *answer {
	r = r.WithContext(r.Context())
	r.Method = cmp.Or(r.Method, http.MethodGet) // a client may leave it empty
	r.Method = methodOf(r)
	r.Body = drain(r.Body)
	a := &answer{status: http.StatusOK, header: make(http.Header)}
	handler, _ := s.mux.Handler(r)
	to, ok := handler.(route)
	if !ok { // the mux would redirect to a clean path, and Clerk does not
		to = route{frontendOther, notFound}
	}
	how, retryAfter, instead := s.note(to.endpoint)
	if how == Redirect && r.URL.Query().Has(redirected) {
		how = 0
	}
	switch {
	case instead.status != 0:
		a.status, a.header = instead.status, instead.header.Clone()
		a.body.WriteString(instead.body)
	case how == Redirect:
		query := strings.TrimPrefix(r.URL.RawQuery+"&"+redirected, "&")
		a.header.Set("Location", s.URL+r.URL.EscapedPath()+"?"+query)
		a.status = http.StatusTemporaryRedirect
	case how == Garbage:
		a.header.Set("Content-Type", "text/html; charset=utf-8")
		a.body.WriteString(garbage)
	case how >= http.StatusBadRequest:
		writeError(a, how)
	case !ok:
		notFound(a, r)
	default:
		s.mux.ServeHTTP(a, r) // not handler, because the mux sets the path values
		if how > 0 {
			a.status = how
		} else {
			a.how = how
		}
	}
	a.header.Set("Date", s.Now().UTC().Format(http.TimeFormat))
	if retryAfter > 0 && a.status >= http.StatusBadRequest {
		a.header.Set("Retry-After", strconv.Itoa(retryAfter))
	}
	if a.status == http.StatusNoContent || a.status == http.StatusNotModified {
		a.body.Reset()
	}
	return a
}

// redirected is the query of the URL that Redirect redirects to.
const redirected = "redirected"

// drain reads a request's body: only then does a server notice that the client closed the
// connection.
func drain(body io.Reader) io.ReadCloser {
	if body == nil {
		return http.NoBody
	}
	data, _ := io.ReadAll(io.LimitReader(body, 1<<20)) // a body that is cut off is not valid JSON
	return io.NopCloser(bytes.NewReader(data))
}

// backend wraps an endpoint of the Backend API, which requires the secret key.
func (s *Server) backend(next http.HandlerFunc) http.HandlerFunc {
	return func(w http.ResponseWriter, r *http.Request) {
		if r.Header.Get("Authorization") != "Bearer "+s.secret {
			writeError(w, http.StatusUnauthorized)
			return
		}
		next(w, r)
	}
}

func (s *Server) serveKeySet(w http.ResponseWriter, _ *http.Request) {
	w.Header().Set("Content-Type", "application/json")
	_, _ = w.Write(s.publicKeys())
}

func (s *Server) serveUser(w http.ResponseWriter, r *http.Request) {
	s.mu.Lock()
	defer s.mu.Unlock()
	u := s.users[r.PathValue("id")]
	if u == nil {
		notFound(w, r)
		return
	}
	writeJSON(w, http.StatusOK, u.resource())
}

// ban returns the handler of an endpoint that bans a user or lifts the ban.
func (s *Server) ban(change func(*User)) http.HandlerFunc {
	return func(w http.ResponseWriter, r *http.Request) {
		s.mu.Lock()
		u := s.users[r.PathValue("id")]
		s.mu.Unlock()
		if u != nil {
			change(u)
		}
		s.serveUser(w, r)
	}
}

func (s *Server) serveSession(w http.ResponseWriter, r *http.Request) {
	s.mu.Lock()
	defer s.mu.Unlock()
	session := s.sessions[r.PathValue("id")]
	if session == nil {
		notFound(w, r)
		return
	}
	writeJSON(w, http.StatusOK, session.resource())
}

// serveToken issues a token. As a server requests it, it has no azp.
func (s *Server) serveToken(w http.ResponseWriter, r *http.Request) {
	name := r.PathValue("template")
	s.mu.Lock()
	session := s.sessions[r.PathValue("id")]
	_, hasTemplate := s.templates[name]
	s.mu.Unlock()
	if session == nil || name != "" && !hasTemplate {
		notFound(w, r)
		return
	}
	params := struct {
		Seconds int64 `json:"expires_in_seconds"`
	}{int64(lifetime / time.Second)}
	err := json.NewDecoder(r.Body).Decode(&params)
	if err != nil && err != io.EOF || params.Seconds < 30 || params.Seconds > maxLifetime {
		writeError(w, http.StatusUnprocessableEntity)
		return
	}
	d := draft{template: name, lifetime: time.Duration(params.Seconds) * time.Second}
	WithoutParty()(&d)
	token, ok := session.mint(&d)
	if !ok {
		notFound(w, r)
		return
	}
	writeJSON(w, http.StatusOK, clerk.SessionToken{Object: "token", JWT: token})
}

// createTestingToken issues a token with which tests pass Clerk's bot protection, for an
// hour. Nothing here asks for one.
func (s *Server) createTestingToken(w http.ResponseWriter, _ *http.Request) {
	now := s.Now()
	writeJSON(w, http.StatusOK, clerk.TestingToken{
		Object:    "testing_token",
		Token:     strconv.FormatInt(now.Unix(), 10) + "-" + randomText(),
		ExpiresAt: now.Add(time.Hour).Unix(),
	})
}

// maxLifetime is the longest lifetime that can be requested, in seconds: ten years.
const maxLifetime = 315_360_000

func notFound(w http.ResponseWriter, _ *http.Request) { writeError(w, http.StatusNotFound) }

// writeError writes an error in Clerk's form.
func writeError(w http.ResponseWriter, status int) {
	code := errorCodes[status]
	if code == "" {
		code = "internal_clerk_error"
	}
	writeCode(w, status, code, http.StatusText(status))
}

// writeCode is like writeError, with a code and a text of its own.
func writeCode(w http.ResponseWriter, status int, code, text string) {
	writeJSON(w, status, map[string]any{
		"errors":         []clerk.Error{{Code: code, Message: text, LongMessage: text}},
		"clerk_trace_id": randomText(),
	})
}

func writeJSON(w http.ResponseWriter, status int, value any) {
	w.Header().Set("Content-Type", "application/json")
	w.WriteHeader(status)
	_, _ = w.Write(mustJSON(value))
}
