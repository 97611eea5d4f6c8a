package clerkauthtest

import (
	"cmp"
	"encoding/json"
	"net/http"
	"slices"
	"strings"
	"time"

	"github.com/clerk/clerk-sdk-go/v2"
	"github.com/clerk/clerk-sdk-go/v2/apikey"
	"github.com/clerk/clerk-sdk-go/v2/m2m_token"
	"github.com/clerk/clerk-sdk-go/v2/machine"

	"github.com/clerkauth/clerkauth"
)

// machineRoutes adds what the Backend API says about machines. Clerk's SDKs differ
// in whether they put the version before these paths.
func (s *Server) machineRoutes() {
	for _, version := range []string{"", "/v1"} {
		handle := func(method, path string, e Endpoint, h http.HandlerFunc) {
			s.mux.Handle(method+" "+version+path, route{e, h})
		}
		handle("POST", "/api_keys/verify", APIKeyVerify, s.backend(s.verifyAPIKey))
		handle("POST", "/m2m_tokens/verify", M2MVerify, s.verifyM2M)
		handle("POST", "/oauth_applications/access_tokens/verify", OAuthVerify, s.backend(s.verifyOAuth))
		handle("POST", "/api_keys", Machines, s.backend(s.createAPIKey))
		handle("GET", "/api_keys", Machines, s.backend(s.listAPIKeys))
		handle("GET", "/api_keys/{id}", Machines, s.backend(s.withAPIKey(nil)))
		handle("PATCH", "/api_keys/{id}", Machines, s.backend(s.withAPIKey(updateAPIKey)))
		handle("DELETE", "/api_keys/{id}", Machines, s.backend(s.deleteAPIKey))
		handle("GET", "/api_keys/{id}/secret", Machines, s.backend(s.serveAPIKeySecret))
		handle("POST", "/api_keys/{id}/revoke", Machines, s.backend(s.withAPIKey(revoke)))
		handle("POST", "/m2m_tokens", Machines, s.createM2M)
		handle("POST", "/m2m_tokens/{id}/revoke", Machines, s.backend(s.revokeM2M))
		handle("POST", "/machines", Machines, s.backend(s.createMachine))
		handle("GET", "/machines/{id}", Machines, s.backend(s.serveMachine))
	}
}

// apiKey is c as Clerk shows it. The caller holds mu.
func (c *Credential) apiKey(now time.Time) clerk.APIKey {
	return clerk.APIKey{
		Object:           "api_key",
		ID:               c.ID,
		Type:             "api_key",
		Subject:          c.Subject,
		Name:             c.name,
		Claims:           c.rawClaims(),
		Scopes:           c.shownScopes(),
		Revoked:          c.revoked,
		RevocationReason: c.reason,
		Expired:          c.expired(now),
		Expiration:       c.shownExpiration(),
		CreatedAt:        c.createdAt.UnixMilli(),
		UpdatedAt:        c.updatedAt.UnixMilli(),
	}
}

// m2mToken is c as Clerk shows it. The caller holds mu.
func (c *Credential) m2mToken(now time.Time) clerk.M2MToken {
	return clerk.M2MToken{
		Object:           "machine_to_machine_token",
		ID:               c.ID,
		Subject:          c.Subject,
		Claims:           c.rawClaims(),
		Scopes:           c.shownScopes(),
		Revoked:          c.revoked,
		RevocationReason: c.reason,
		Expired:          c.expired(now),
		Expiration:       c.shownExpiration(),
		CreatedAt:        c.createdAt.UnixMilli(),
		UpdatedAt:        c.updatedAt.UnixMilli(),
	}
}

// oauthToken is c as Clerk shows it. The caller holds mu.
func (c *Credential) oauthToken(now time.Time) any {
	shown := map[string]any{
		"object":            "clerk_idp_oauth_access_token",
		"id":                c.ID,
		"client_id":         c.clientID,
		"type":              "oauth:access_token",
		"subject":           c.Subject,
		"scopes":            c.shownScopes(),
		"revoked":           c.revoked,
		"revocation_reason": c.reason,
		"expired":           c.expired(now),
		"expiration":        c.shownExpiration(),
		"created_at":        c.createdAt.UnixMilli(),
		"updated_at":        c.updatedAt.UnixMilli(),
	}
	if len(c.audience) > 0 {
		shown["aud"] = c.audience
	}
	return shown
}

func (c *Credential) rawClaims() json.RawMessage {
	if c.claims == nil {
		return json.RawMessage("null")
	}
	return mustJSON(c.claims)
}

func (c *Credential) shownScopes() []string { return append([]string{}, c.scopes...) }

func (c *Credential) shownExpiration() *int64 {
	if c.expiration.IsZero() {
		return nil
	}
	ms := c.expiration.UnixMilli()
	return &ms
}

// verify answers with the credential of that kind and token, if there is one that
// has not ended.
func (s *Server) verify(w http.ResponseWriter, r *http.Request, kind clerkauth.TokenType, token string, by *Machine) {
	now := s.Now()
	s.mu.Lock()
	defer s.mu.Unlock()
	c := s.credentials[token]
	switch {
	case c == nil, c.Kind != kind, by != nil && !slices.Contains(c.scopes, by.ID),
		!s.showEnded && (c.revoked || c.expired(now)):
		notFound(w, r)
	case kind == clerkauth.APIKey:
		writeJSON(w, http.StatusOK, c.apiKey(now))
	case kind == clerkauth.M2MToken:
		writeJSON(w, http.StatusOK, c.m2mToken(now))
	default:
		writeJSON(w, http.StatusOK, c.oauthToken(now))
	}
}

// read reads a request's body; without one, params stay as they are.
func read(w http.ResponseWriter, r *http.Request, params any) bool {
	if err := json.NewDecoder(r.Body).Decode(params); err != nil && r.ContentLength != 0 {
		writeError(w, http.StatusUnprocessableEntity)
		return false
	}
	return true
}

func (s *Server) verifyAPIKey(w http.ResponseWriter, r *http.Request) {
	var params apikey.VerifyParams
	if read(w, r, &params) {
		s.verify(w, r, clerkauth.APIKey, params.Secret, nil)
	}
}

// verifyM2M takes a machine's secret key, too: it finds the tokens for itself then.
func (s *Server) verifyM2M(w http.ResponseWriter, r *http.Request) {
	by := s.caller(r)
	if by == nil && r.Header.Get("Authorization") != "Bearer "+s.secret {
		writeError(w, http.StatusUnauthorized)
		return
	}
	var params m2m_token.VerifyParams
	if read(w, r, &params) {
		s.verify(w, r, clerkauth.M2MToken, params.Token, by)
	}
}

func (s *Server) verifyOAuth(w http.ResponseWriter, r *http.Request) {
	var params struct {
		AccessToken string `json:"access_token"`
	}
	if read(w, r, &params) {
		s.verify(w, r, clerkauth.OAuthToken, params.AccessToken, nil)
	}
}

// caller returns the machine whose secret key is in r.
func (s *Server) caller(r *http.Request) *Machine {
	key, ok := strings.CutPrefix(r.Header.Get("Authorization"), "Bearer ak_")
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, m := range s.machines {
		if ok && m.SecretKey == "ak_"+key {
			return m
		}
	}
	return nil
}

func (s *Server) createAPIKey(w http.ResponseWriter, r *http.Request) {
	var params apikey.CreateParams
	if !read(w, r, &params) {
		return
	}
	if params.Subject == nil || params.Name == nil {
		writeError(w, http.StatusUnprocessableEntity)
		return
	}
	c := s.newCredential(clerkauth.APIKey, *params.Subject, params.Scopes, 0)
	s.mu.Lock()
	defer s.mu.Unlock()
	c.name = *params.Name
	if params.SecondsUntilExpiration != nil {
		c.expiration = c.createdAt.Add(time.Duration(*params.SecondsUntilExpiration) * time.Second)
	}
	_ = json.Unmarshal(params.Claims, &c.claims)
	writeJSON(w, http.StatusOK, clerk.APIKeyWithSecret{APIKey: c.apiKey(c.createdAt), Secret: c.Token})
}

func (s *Server) listAPIKeys(w http.ResponseWriter, r *http.Request) {
	now, query := s.Now(), r.URL.Query()
	s.mu.Lock()
	defer s.mu.Unlock()
	list := []*clerk.APIKey{}
	for _, c := range s.credentials {
		ended := c.revoked || c.expired(now)
		if c.Kind == clerkauth.APIKey && c.Subject == query.Get("subject") && (!ended || query.Get("include_invalid") == "true") {
			key := c.apiKey(now)
			list = append(list, &key)
		}
	}
	slices.SortFunc(list, func(a, b *clerk.APIKey) int { return cmp.Compare(a.ID, b.ID) })
	writeJSON(w, http.StatusOK, clerk.APIKeyList{APIKeys: list, TotalCount: int64(len(list))})
}

// byID returns the credential of that id. The caller holds mu.
func (s *Server) byID(kind clerkauth.TokenType, id string) *Credential {
	for _, c := range s.credentials {
		if c.Kind == kind && c.ID == id {
			return c
		}
	}
	return nil
}

// withAPIKey answers with the API key in the path, after change.
func (s *Server) withAPIKey(change func(*Credential, *http.Request) bool) http.HandlerFunc {
	return func(w http.ResponseWriter, r *http.Request) {
		now := s.Now()
		s.mu.Lock()
		defer s.mu.Unlock()
		c := s.byID(clerkauth.APIKey, r.PathValue("id"))
		switch {
		case c == nil:
			notFound(w, r)
		case change != nil && !change(c, r):
			writeError(w, http.StatusUnprocessableEntity)
		default:
			if change != nil {
				c.updatedAt = now
			}
			writeJSON(w, http.StatusOK, c.apiKey(now))
		}
	}
}

func updateAPIKey(c *Credential, r *http.Request) bool {
	var params apikey.UpdateParams
	if json.NewDecoder(r.Body).Decode(&params) != nil {
		return false
	}
	if params.Scopes != nil {
		c.scopes = params.Scopes
	}
	if params.Claims != nil {
		_ = json.Unmarshal(params.Claims, &c.claims)
	}
	if params.SecondsUntilExpiration != nil {
		c.expiration = c.srv.Now().Add(time.Duration(*params.SecondsUntilExpiration) * time.Second)
	}
	return true
}

func revoke(c *Credential, r *http.Request) bool {
	var params apikey.RevokeParams
	_ = json.NewDecoder(r.Body).Decode(&params)
	c.revoked, c.reason = true, params.RevocationReason
	return true
}

func (s *Server) deleteAPIKey(w http.ResponseWriter, r *http.Request) {
	s.mu.Lock()
	defer s.mu.Unlock()
	c := s.byID(clerkauth.APIKey, r.PathValue("id"))
	if c == nil {
		notFound(w, r)
		return
	}
	delete(s.credentials, c.Token)
	writeJSON(w, http.StatusOK, clerk.DeletedResource{Object: "api_key", ID: c.ID, Deleted: true})
}

func (s *Server) serveAPIKeySecret(w http.ResponseWriter, r *http.Request) {
	s.mu.Lock()
	defer s.mu.Unlock()
	c := s.byID(clerkauth.APIKey, r.PathValue("id"))
	if c == nil {
		notFound(w, r)
		return
	}
	writeJSON(w, http.StatusOK, apikey.APIKeySecret{Secret: c.Token})
}

// createM2M makes a token of the machine that asks, for all others: every machine
// may call every other here.
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
	var others []*Machine
	s.mu.Lock()
	for _, m := range s.machines {
		if m != by {
			others = append(others, m)
		}
	}
	s.mu.Unlock()
	slices.SortFunc(others, func(a, b *Machine) int { return cmp.Compare(a.ID, b.ID) })
	c := by.Token(others...)
	if params.SecondsUntilExpiration != nil {
		c.SetExpiration(c.createdAt.Add(time.Duration(*params.SecondsUntilExpiration) * time.Second))
	}
	if params.Claims != nil {
		var claims map[string]any
		_ = json.Unmarshal(*params.Claims, &claims)
		c.SetClaims(claims)
	}
	token := c.Token
	if params.TokenFormat != nil && *params.TokenFormat == "jwt" {
		token = c.JWT()
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	writeJSON(w, http.StatusOK, clerk.M2MTokenWithToken{M2MToken: c.m2mToken(c.createdAt), Token: token})
}

func (s *Server) revokeM2M(w http.ResponseWriter, r *http.Request) {
	now := s.Now()
	s.mu.Lock()
	defer s.mu.Unlock()
	c := s.byID(clerkauth.M2MToken, r.PathValue("id"))
	if c == nil {
		notFound(w, r)
		return
	}
	revoke(c, r)
	writeJSON(w, http.StatusOK, c.m2mToken(now))
}

func (s *Server) createMachine(w http.ResponseWriter, r *http.Request) {
	var params machine.CreateParams
	if !read(w, r, &params) {
		return
	}
	m := s.CreateMachine(params.Name)
	writeJSON(w, http.StatusOK, clerk.MachineWithScopedMachinesAndSecretKey{
		MachineWithScopedMachines: m.resource(), SecretKey: m.SecretKey,
	})
}

func (s *Server) serveMachine(w http.ResponseWriter, r *http.Request) {
	s.mu.Lock()
	m := s.machines[r.PathValue("id")]
	s.mu.Unlock()
	if m == nil {
		notFound(w, r)
		return
	}
	writeJSON(w, http.StatusOK, m.resource())
}

// resource is m as Clerk shows it.
func (m *Machine) resource() clerk.MachineWithScopedMachines {
	return clerk.MachineWithScopedMachines{
		Machine: clerk.Machine{
			Object:          "machine",
			ID:              m.ID,
			Name:            m.Name,
			DefaultTokenTTL: int64(m2mLifetime / time.Second),
			CreatedAt:       m.createdAt.UnixMilli(),
			UpdatedAt:       m.createdAt.UnixMilli(),
		},
		ScopedMachines: []*clerk.Machine{},
	}
}
