package clerkauthtest

import (
	"fmt"
	"net/http"
)

// Endpoint is a set of the instance's endpoints. Sets are combined with |.
type Endpoint uint

// The endpoints of an instance.
const (
	// BackendJWKS is GET /v1/jwks.
	BackendJWKS Endpoint = 1 << iota
	// FrontendJWKS is GET /.well-known/jwks.json.
	FrontendJWKS
	// Users is everything below /v1/users.
	Users
	// Sessions is GET /v1/sessions/{id} and POST /v1/sessions/{id}/revoke.
	Sessions
	// SessionTokens is POST /v1/sessions/{id}/tokens, with a template or
	// without.
	SessionTokens
	// SessionRefresh is POST /v1/sessions/{id}/refresh.
	SessionRefresh
	// Handshake is GET /v1/client/handshake, where browsers are sent, with
	// /v1/client/sync and /v1/client/link for satellites.
	Handshake
	// DevBrowser is POST /v1/dev_browser.
	DevBrowser
	// ClientTokens is POST /v1/client/sessions/{id}/tokens, where pages get session tokens.
	ClientTokens
	// Client is everything else below /v1/client.
	Client
	// AccountPages are the pages where people sign in and out, such as /sign-in.
	AccountPages
	// TestingTokens is POST /v1/testing_tokens.
	TestingTokens
	// HandshakePayload is GET /v1/clients/handshake_payload.
	HandshakePayload
	// APIKeyVerify is POST /api_keys/verify. This endpoint and the next three are also
	// served under /v1.
	APIKeyVerify
	// M2MVerify is POST /m2m_tokens/verify.
	M2MVerify
	// OAuthVerify is POST /oauth_applications/access_tokens/verify.
	OAuthVerify
	// APIKeys is everything else below /api_keys, /m2m_tokens and /machines.
	APIKeys
	// Organizations is everything below /v1/organizations.
	Organizations
	// OAuth is the authorization server.
	OAuth
	backendOther
	frontendOther

	// JWKS is both of the endpoints that serve the key set.
	JWKS = BackendJWKS | FrontendJWKS
	// TokenVerify is all of the endpoints that verify machine credentials.
	TokenVerify = APIKeyVerify | M2MVerify | OAuthVerify
	// Backend is everything else under /v1, with or without that prefix.
	Backend = BackendJWKS | Users | Organizations | Sessions | SessionTokens | SessionRefresh | HandshakePayload | TestingTokens | TokenVerify | APIKeys | backendOther
	// Frontend is what browsers and clients of the authorization server use.
	Frontend = FrontendJWKS | Handshake | DevBrowser | ClientTokens | Client | AccountPages | OAuth | frontendOther
)

// Failures for [Server.Fail] that are not an HTTP status.
const (
	// Hang never responds.
	Hang = -1 - iota
	// SlowBody sends the body of the response at a byte a second.
	SlowBody
	// Garbage responds with 200 and a body that is not JSON, as a captive portal does.
	Garbage
	// Cut closes the connection in the middle of the body.
	Cut
	// Redirect redirects to a URL with the correct response.
	Redirect
)

// Fail makes endpoints fail from now on: with an HTTP status, or as Hang, SlowBody,
// Garbage, Cut or Redirect. The body is an error in Clerk's form for a status of 400 and
// above, and that of the correct response for a lower one.
func (s *Server) Fail(endpoints Endpoint, how int) {
	if how < Redirect || how > Hang && (how < 200 || how > 599) {
		panic(fmt.Sprintf("clerkauthtest: %d is neither a status nor one of the constants", how))
	}
	s.each(endpoints, func(e Endpoint) {
		s.faults[e] = how
		delete(s.answers, e)
	})
}

// response replaces the correct response, unless its status is 0.
type response struct {
	status int
	header http.Header
	body   string
}

// Answer makes endpoints send exactly this response to every request from now on. Of
// Answer and Fail, the last call counts. The response has no Content-Type if contentType
// is "".
func (s *Server) Answer(endpoints Endpoint, status int, contentType, body string) {
	if status < 200 || status > 599 {
		panic(fmt.Sprintf("clerkauthtest: %d is not the status of a response", status))
	}
	header := http.Header{"Content-Type": nil} // so that net/http does not guess
	if contentType != "" {
		header.Set("Content-Type", contentType)
	}
	s.each(endpoints, func(e Endpoint) {
		s.answers[e] = response{status, header, body}
		delete(s.faults, e)
	})
}

// RetryAfter makes endpoints send a Retry-After header with every status of 400 and
// above.
func (s *Server) RetryAfter(endpoints Endpoint, seconds int) {
	s.each(endpoints, func(e Endpoint) { s.retryAfter[e] = seconds })
}

// Heal undoes Fail, Answer and RetryAfter.
func (s *Server) Heal(endpoints Endpoint) {
	s.each(endpoints, func(e Endpoint) {
		delete(s.faults, e)
		delete(s.answers, e)
		delete(s.retryAfter, e)
	})
}

// Requests returns how many requests endpoints have received, whether they responded or
// not.
func (s *Server) Requests(endpoints Endpoint) int {
	n := 0
	s.each(endpoints, func(e Endpoint) { n += s.requests[e] })
	return n
}

// each calls f for every single endpoint in endpoints, under mu.
func (s *Server) each(endpoints Endpoint, f func(Endpoint)) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for e := BackendJWKS; e <= frontendOther; e <<= 1 {
		if endpoints&e != 0 {
			f(e)
		}
	}
}

// note counts a request and returns how to respond to it.
func (s *Server) note(e Endpoint) (how, retryAfter int, instead response) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.requests[e]++
	return s.faults[e], s.retryAfter[e], s.answers[e]
}

// errorCodes are the codes of Clerk's errors, by status.
var errorCodes = map[int]string{
	http.StatusBadRequest:          "form_param_format_invalid",
	http.StatusUnauthorized:        "clerk_key_invalid",
	http.StatusNotFound:            "resource_not_found",
	http.StatusUnprocessableEntity: "form_param_value_invalid",
	http.StatusTooManyRequests:     "too_many_requests",
}

const garbage = "<!DOCTYPE html><html><head><title>Welcome to the hotel's network</title></head></html>\n"
