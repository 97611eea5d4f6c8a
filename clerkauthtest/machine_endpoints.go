package clerkauthtest

import (
	"encoding/json"
	"errors"
	"io"
	"net/http"
	"slices"
	"time"

	"github.com/clerk/clerk-sdk-go/v2"
	"github.com/clerk/clerk-sdk-go/v2/m2m_token"
	"github.com/clerk/clerk-sdk-go/v2/machine"

	"github.com/clerkauth/clerkauth"
)

// machineRoutes adds the endpoints for machine credentials. Clerk serves them with and
// without the version in the path, and its SDKs differ in which they call.
func (s *Server) machineRoutes() {
	for _, version := range []string{"", "/v1"} {
		handle := func(method, path string, endpoint Endpoint, handler http.HandlerFunc) {
			s.mux.Handle(method+" "+version+path, route{endpoint, handler})
		}
		handle("POST", "/api_keys/verify", APIKeyVerify, s.backend(s.verifyAPIKey))
		handle("POST", "/m2m_tokens/verify", M2MVerify, s.verifyM2M)
		handle("POST", "/oauth_applications/access_tokens/verify", OAuthVerify, s.backend(s.verifyOAuth))
		handle("POST", "/api_keys", APIKeys, s.backend(s.createAPIKey))
		handle("GET", "/api_keys", APIKeys, s.backend(s.listAPIKeys))
		handle("GET", "/api_keys/{id}", APIKeys, s.backend(s.serveAPIKey))
		handle("PATCH", "/api_keys/{id}", APIKeys, s.backend(s.updateAPIKey))
		handle("DELETE", "/api_keys/{id}", APIKeys, s.backend(s.deleteAPIKey))
		handle("POST", "/api_keys/{id}/revoke", APIKeys, s.backend(s.revoke(clerkauth.APIKey)))
		handle("GET", "/api_keys/{id}/secret", APIKeys, s.backend(s.serveSecret))
		handle("POST", "/m2m_tokens", APIKeys, s.createM2M)
		handle("POST", "/m2m_tokens/{id}/revoke", APIKeys, s.backend(s.revoke(clerkauth.M2MToken)))
		handle("POST", "/machines", APIKeys, s.backend(s.addMachine))
		handle("GET", "/machines/{id}", APIKeys, s.backend(s.serveMachine))
	}
}

// read decodes a request's body, which may be empty. If that fails, it writes an error and
// returns false.
func read(w http.ResponseWriter, r *http.Request, params any) bool {
	if err := json.NewDecoder(r.Body).Decode(params); err != nil && !errors.Is(err, io.EOF) {
		writeError(w, http.StatusUnprocessableEntity)
		return false
	}
	return true
}

// seconds returns the lifetime in a request, or otherwise if there is none.
func seconds(n *int64, otherwise time.Duration) (lifetime time.Duration, ok bool) {
	switch {
	case n == nil:
		return otherwise, true
	case *n < 1 || *n > maxLifetime:
		return 0, false
	default:
		return time.Duration(*n) * time.Second, true
	}
}

// claimsIn decodes custom claims: an object or nothing.
func claimsIn(data json.RawMessage) (claims map[string]any, ok bool) {
	return claims, len(data) == 0 || json.Unmarshal(data, &claims) == nil
}

// caller returns the machine whose secret key is in r, or nil.
func (s *Server) caller(r *http.Request) *Machine {
	return s.machine(func(m *Machine) bool { return r.Header.Get("Authorization") == "Bearer "+m.SecretKey })
}

func (s *Server) verifyAPIKey(w http.ResponseWriter, r *http.Request) {
	var params struct{ Secret string }
	if read(w, r, &params) {
		s.verify(w, r, clerkauth.APIKey, params.Secret, nil)
	}
}

// verifyM2M also accepts the secret keys of machines, which find only tokens for them.
func (s *Server) verifyM2M(w http.ResponseWriter, r *http.Request) {
	by := s.caller(r)
	verify := func(w http.ResponseWriter, r *http.Request) {
		var params struct{ Token string }
		if read(w, r, &params) {
			s.verify(w, r, clerkauth.M2MToken, params.Token, by)
		}
	}
	if by == nil {
		verify = s.backend(verify)
	}
	verify(w, r)
}

func (s *Server) verifyOAuth(w http.ResponseWriter, r *http.Request) {
	var params struct {
		AccessToken string `json:"access_token"`
	}
	if read(w, r, &params) {
		s.verify(w, r, clerkauth.OAuthToken, params.AccessToken, nil)
	}
}

// verify serves the credential with that kind and token, if it is for the calling machine.
// by is nil if the caller is not a machine.
func (s *Server) verify(w http.ResponseWriter, r *http.Request, kind clerkauth.TokenType, token string, by *Machine) {
	s.serveCredential(w, r, func(c *Credential) bool {
		return c.Kind == kind && c.Token == token &&
			(by == nil || slices.Contains(c.scopes, by.ID)) &&
			(s.showEnded || !c.revoked && !c.expired())
	}, nil)
}

// serveCredential serves the credential for which is returns true, after calling change
// unless that is nil. Both are called with mu held.
func (s *Server) serveCredential(w http.ResponseWriter, r *http.Request, is func(*Credential) bool, change func(*Credential)) {
	s.mu.Lock()
	defer s.mu.Unlock()
	i := slices.IndexFunc(s.credentials, is)
	if i < 0 {
		notFound(w, r)
		return
	}
	c := s.credentials[i]
	if change != nil {
		change(c)
		c.updatedAt = s.Now()
	}
	writeJSON(w, http.StatusOK, c.resource())
}

// inPath matches the credential of that kind whose id is in the path.
func inPath(r *http.Request, kind clerkauth.TokenType) func(*Credential) bool {
	return func(c *Credential) bool { return c.Kind == kind && c.ID == r.PathValue("id") }
}

func (s *Server) revoke(kind clerkauth.TokenType) http.HandlerFunc {
	return func(w http.ResponseWriter, r *http.Request) {
		var params struct {
			Reason *string `json:"revocation_reason"`
		}
		if read(w, r, &params) {
			s.serveCredential(w, r, inPath(r, kind), func(c *Credential) { c.revoked, c.reason = true, params.Reason })
		}
	}
}

// createM2M creates a token of the calling machine, for all machines that it may call.
func (s *Server) createM2M(w http.ResponseWriter, r *http.Request) {
	by := s.caller(r)
	if by == nil {
		writeError(w, http.StatusUnauthorized)
		return
	}
	var params m2m_token.CreateParams
	if !read(w, r, &params) {
		return
	}
	c := by.credential()
	lifetime, ok := seconds(params.SecondsUntilExpiration, by.ttl)
	c.expiration = c.createdAt.Add(lifetime)
	if params.Claims != nil && ok {
		c.claims, ok = claimsIn(*params.Claims)
	}
	format := "opaque"
	if params.TokenFormat != nil {
		format = *params.TokenFormat
	}
	if !ok || format != "opaque" && format != "jwt" {
		writeError(w, http.StatusUnprocessableEntity)
		return
	}
	s.mu.Lock()
	for _, receiver := range by.receivers() {
		c.scopes = append(c.scopes, receiver.ID)
	}
	created := clerk.M2MTokenWithToken{M2MToken: c.m2mToken(), Token: c.Token}
	s.mu.Unlock()
	if format == "jwt" {
		created.Token = c.JWT()
	}
	c.add()
	writeJSON(w, http.StatusOK, created)
}

func (s *Server) addMachine(w http.ResponseWriter, r *http.Request) {
	var params machine.CreateParams
	if !read(w, r, &params) {
		return
	}
	ttl, ok := seconds(params.DefaultTokenTTL, m2mLifetime)
	if !ok || params.Name == "" {
		writeError(w, http.StatusUnprocessableEntity)
		return
	}
	m := s.createMachine(params.Name, ttl, nonNil(params.ScopedMachines))
	writeJSON(w, http.StatusOK, clerk.MachineWithScopedMachinesAndSecretKey{
		MachineWithScopedMachines: m.resource(), SecretKey: m.SecretKey,
	})
}

func (s *Server) serveMachine(w http.ResponseWriter, r *http.Request) {
	m := s.machine(func(m *Machine) bool { return m.ID == r.PathValue("id") })
	if m == nil {
		notFound(w, r)
		return
	}
	writeJSON(w, http.StatusOK, m.resource())
}
