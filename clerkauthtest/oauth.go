package clerkauthtest

import (
	"crypto/sha256"
	"crypto/subtle"
	"encoding/base64"
	"encoding/json"
	"net"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"time"
)

// OAuthApplication is a registered OAuth client.
type OAuthApplication struct {
	ClientID     string
	ClientSecret string // "" for a public client, which uses PKCE only

	redirects []string
}

// CreateOAuthApplication creates a confidential client with these redirect URLs.
func (s *Server) CreateOAuthApplication(redirectURIs ...string) *OAuthApplication {
	return s.newApplication(randomText(), redirectURIs)
}

func (s *Server) newApplication(secret string, redirects []string) *OAuthApplication {
	a := &OAuthApplication{ClientID: "client_" + randomText(), ClientSecret: secret, redirects: slices.Clone(redirects)}
	s.mu.Lock()
	defer s.mu.Unlock()
	s.oauth.applications[a.ClientID] = a
	return a
}

// Consent sets the user who grants clients authorization, and which scopes they grant at
// most: all that are requested, if none is given. Access is denied before Consent is
// called, and if user is nil.
func (s *Server) Consent(user *User, scopes ...string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.oauth.user, s.oauth.grants = user, slices.Clone(scopes)
}

// JWTAccessTokens issues access tokens as JWTs (RFC 9068) from now on, instead of opaque
// ones.
func (s *Server) JWTAccessTokens() {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.oauth.jwt = true
}

// authorization is the authorization server's state, guarded by Server.mu.
type authorization struct {
	applications map[string]*OAuthApplication // by client id
	user         *User
	grants       []string
	jwt          bool
	codes        map[string]grant // by code
	refreshes    map[string]grant // by refresh token
}

// grant is a user's authorization of a client.
type grant struct {
	application *OAuthApplication
	user        *User
	scopes      []string
	redirect    string
	challenge   string
	resource    string
	issuedAt    time.Time
}

const codeLifetime = time.Minute

func newAuthorization() authorization {
	return authorization{
		applications: make(map[string]*OAuthApplication),
		codes:        make(map[string]grant),
		refreshes:    make(map[string]grant),
	}
}

func (s *Server) oauthRoutes() {
	handle := func(pattern string, h http.HandlerFunc) {
		s.mux.Handle(pattern, route{OAuth, func(w http.ResponseWriter, r *http.Request) {
			w.Header().Set("Access-Control-Allow-Origin", "*") // clients run in browsers, too
			w.Header().Set("Cache-Control", "no-store")
			h(w, r)
		}})
	}
	for _, path := range []string{"/.well-known/oauth-authorization-server", "/.well-known/openid-configuration", "/oauth/register", "/oauth/token"} {
		handle("OPTIONS "+path, preflight)
	}
	handle("GET /.well-known/oauth-authorization-server", s.serveMetadata)
	handle("GET /.well-known/openid-configuration", s.serveMetadata)
	handle("POST /oauth/register", s.register)
	handle("GET /oauth/authorize", s.authorize)
	handle("POST /oauth/token", s.token)
}

// preflight responds to the preflight request of a browser.
func preflight(w http.ResponseWriter, _ *http.Request) {
	w.Header().Set("Access-Control-Allow-Methods", "GET, POST")
	w.Header().Set("Access-Control-Allow-Headers", "Authorization, *") // the star does not cover Authorization
	w.WriteHeader(http.StatusNoContent)
}

// serveMetadata serves the metadata of the authorization server (RFC 8414).
func (s *Server) serveMetadata(w http.ResponseWriter, _ *http.Request) {
	writeJSON(w, http.StatusOK, map[string]any{
		"issuer":                                         s.URL,
		"authorization_endpoint":                         s.URL + "/oauth/authorize",
		"token_endpoint":                                 s.URL + "/oauth/token",
		"registration_endpoint":                          s.URL + "/oauth/register",
		"jwks_uri":                                       s.URL + "/.well-known/jwks.json",
		"response_types_supported":                       []string{"code"},
		"response_modes_supported":                       []string{"query"},
		"grant_types_supported":                          []string{"authorization_code", "refresh_token"},
		"code_challenge_methods_supported":               []string{"S256"},
		"token_endpoint_auth_methods_supported":          []string{"none", "client_secret_basic", "client_secret_post"},
		"subject_types_supported":                        []string{"public"},
		"id_token_signing_alg_values_supported":          []string{"RS256"},
		"authorization_response_iss_parameter_supported": true,
	})
}

// register is dynamic client registration (RFC 7591).
func (s *Server) register(w http.ResponseWriter, r *http.Request) {
	var client struct {
		Name      string   `json:"client_name"`
		Redirects []string `json:"redirect_uris"`
		Method    string   `json:"token_endpoint_auth_method"`
	}
	if json.NewDecoder(r.Body).Decode(&client) != nil || len(client.Redirects) == 0 {
		oauthError(w, "invalid_redirect_uri")
		return
	}
	secret := randomText()
	switch client.Method {
	case "":
		client.Method = "client_secret_basic" // RFC 7591 section 2
	case "none":
		secret = ""
	case "client_secret_basic", "client_secret_post":
	default:
		oauthError(w, "invalid_client_metadata")
		return
	}
	a := s.newApplication(secret, client.Redirects)
	answer := map[string]any{
		"client_id":                  a.ClientID,
		"client_id_issued_at":        s.Now().Unix(),
		"client_name":                client.Name,
		"redirect_uris":              client.Redirects,
		"token_endpoint_auth_method": client.Method,
		"grant_types":                []string{"authorization_code", "refresh_token"},
		"response_types":             []string{"code"},
	}
	if secret != "" {
		answer["client_secret"] = secret
		answer["client_secret_expires_at"] = 0
	}
	writeJSON(w, http.StatusCreated, answer)
}

// authorize is the authorization endpoint (RFC 6749 section 4.1.1). It redirects to a URL
// that the client has registered, and to no other.
func (s *Server) authorize(w http.ResponseWriter, r *http.Request) {
	q, now := r.URL.Query(), s.Now()
	s.mu.Lock()
	defer s.mu.Unlock()
	a := s.oauth.applications[q.Get("client_id")]
	redirect, err := url.Parse(q.Get("redirect_uri"))
	if a == nil || err != nil || !slices.ContainsFunc(a.redirects, func(known string) bool { return sameRedirect(known, redirect) }) {
		oauthError(w, "invalid_request")
		return
	}
	answer := redirect.Query()
	answer.Set("iss", s.URL) // RFC 9207
	if q.Has("state") {
		answer.Set("state", q.Get("state"))
	}
	switch {
	case q.Get("response_type") != "code":
		answer.Set("error", "unsupported_response_type")
	case q.Get("code_challenge") == "" || q.Get("code_challenge_method") != "S256":
		answer.Set("error", "invalid_request")
	case s.oauth.user == nil:
		answer.Set("error", "access_denied")
	default:
		scopes := strings.Fields(q.Get("scope"))
		if len(s.oauth.grants) > 0 {
			scopes = slices.DeleteFunc(scopes, func(scope string) bool { return !slices.Contains(s.oauth.grants, scope) })
		}
		code := randomText()
		s.oauth.codes[code] = grant{a, s.oauth.user, scopes, q.Get("redirect_uri"), q.Get("code_challenge"), q.Get("resource"), now}
		answer.Set("code", code)
	}
	redirect.RawQuery = answer.Encode()
	http.Redirect(w, r, redirect.String(), http.StatusFound) //nolint:gosec // it is one that the client has registered
}

// sameRedirect reports whether a redirect URL is a registered one: whether they are equal,
// the port of a loopback address aside (RFC 8252 section 7.3).
func sameRedirect(known string, redirect *url.URL) bool {
	k, err := url.Parse(known)
	if err != nil || redirect.Fragment != "" {
		return false
	}
	if ip := net.ParseIP(k.Hostname()); ip != nil && ip.IsLoopback() && k.Scheme == "http" && k.Hostname() == redirect.Hostname() {
		same := *redirect
		same.Host = k.Host
		return same.String() == known
	}
	return redirect.String() == known
}

// token is the token endpoint (RFC 6749 section 5). Codes and refresh tokens can be used
// once.
func (s *Server) token(w http.ResponseWriter, r *http.Request) {
	if r.ParseForm() != nil {
		oauthError(w, "invalid_request")
		return
	}
	now := s.Now()
	s.mu.Lock()
	a := s.client(r)
	var g grant
	var ok bool
	switch r.PostForm.Get("grant_type") {
	case "authorization_code":
		code := r.PostForm.Get("code")
		g, ok = s.oauth.codes[code]
		delete(s.oauth.codes, code)
		ok = ok && now.Sub(g.issuedAt) <= codeLifetime && g.redirect == r.PostForm.Get("redirect_uri") && provesCode(g.challenge, r.PostForm.Get("code_verifier"))
	case "refresh_token":
		refresh := r.PostForm.Get("refresh_token")
		g, ok = s.oauth.refreshes[refresh]
		delete(s.oauth.refreshes, refresh)
	default:
		s.mu.Unlock()
		oauthError(w, "unsupported_grant_type")
		return
	}
	jwt := s.oauth.jwt
	s.mu.Unlock()
	switch {
	case a == nil:
		oauthError(w, "invalid_client")
		return
	case !ok || g.application != a:
		oauthError(w, "invalid_grant")
		return
	}
	c := s.CreateOAuthToken(g.user, a.ClientID, g.scopes...)
	if g.resource != "" {
		c.SetAudience(g.resource) // RFC 8707
	}
	access, refresh := c.Token, randomText()
	if jwt {
		access = c.JWT()
	}
	s.mu.Lock()
	s.oauth.refreshes[refresh] = g
	s.mu.Unlock()
	writeJSON(w, http.StatusOK, map[string]any{
		"access_token":  access,
		"token_type":    "Bearer",
		"expires_in":    int(oauthLifetime / time.Second),
		"refresh_token": refresh,
		"scope":         strings.Join(g.scopes, " "),
	})
}

// client returns the client that sent r, or nil if it is not authenticated. The caller
// holds mu.
func (s *Server) client(r *http.Request) *OAuthApplication {
	id, secret, ok := r.BasicAuth()
	if ok { // both are form-encoded before (RFC 6749 section 2.3.1)
		id, _ = url.QueryUnescape(id)
		secret, _ = url.QueryUnescape(secret)
	} else {
		id, secret = r.PostForm.Get("client_id"), r.PostForm.Get("client_secret")
	}
	a := s.oauth.applications[id]
	if a == nil || subtle.ConstantTimeCompare([]byte(a.ClientSecret), []byte(secret)) != 1 {
		return nil
	}
	return a
}

// provesCode reports whether challenge was made from verifier (RFC 7636 section 4.6).
func provesCode(challenge, verifier string) bool {
	digest := sha256.Sum256([]byte(verifier))
	return len(verifier) >= 43 && subtle.ConstantTimeCompare([]byte(base64.RawURLEncoding.EncodeToString(digest[:])), []byte(challenge)) == 1
}

// oauthError writes an error in the form of RFC 6749 section 5.2.
func oauthError(w http.ResponseWriter, code string) {
	status := http.StatusBadRequest
	if code == "invalid_client" {
		status = http.StatusUnauthorized
	}
	writeJSON(w, status, map[string]string{"error": code})
}
