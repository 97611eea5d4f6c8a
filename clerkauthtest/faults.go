package clerkauthtest

import (
	"fmt"
	"net/http"
)

// Endpoint is one or more of the instance's endpoints; they are combined by |.
type Endpoint uint

// Endpoints.
const (
	// BackendJWKS is GET /v1/jwks.
	BackendJWKS Endpoint = 1 << iota
	// FrontendJWKS is GET /.well-known/jwks.json.
	FrontendJWKS
	// Users is GET /v1/users/{id}.
	Users
	// Sessions is GET /v1/sessions/{id}.
	Sessions
	// SessionTokens is POST /v1/sessions/{id}/tokens, with a template or
	// without.
	SessionTokens
	// APIKeyVerify is POST /api_keys/verify. This and what follows is also below
	// /v1.
	APIKeyVerify
	// M2MVerify is POST /m2m_tokens/verify.
	M2MVerify
	// OAuthVerify is POST /oauth_applications/access_tokens/verify.
	OAuthVerify
	// APIKeys is everything else below /api_keys, /m2m_tokens and /machines.
	APIKeys
	// OAuth is the authorization server.
	OAuth
	backendOther
	frontendOther

	// JWKS is both of the endpoints that serve the key set.
	JWKS = BackendJWKS | FrontendJWKS
	// TokenVerify is all of the endpoints that verify machine credentials.
	TokenVerify = APIKeyVerify | M2MVerify | OAuthVerify
	// Backend is everything below /v1, and what is there without it, too.
	Backend = BackendJWKS | Users | Sessions | SessionTokens | TokenVerify | APIKeys | backendOther
	// Frontend is everything else.
	Frontend = FrontendJWKS | OAuth | frontendOther
)

// What Fail can do beside answering with a status.
const (
	// Hang never answers.
	Hang = -1 - iota
	// SlowBody sends the answer's body at a byte a second.
	SlowBody
	// Garbage answers 200 with what is not JSON, as a captive portal does.
	Garbage
	// Cut ends the connection in the middle of the answer's body.
	Cut
	// Redirect redirects to where the right answer is: who follows gets it.
	Redirect
)

// Fail makes endpoints fail from now on: with an HTTP status, or in the way of one
// of the constants Hang, SlowBody, Garbage, Cut and Redirect. A status from 400 on
// comes with an error in Clerk's form, a lower one with the right answer's body.
func (s *Server) Fail(endpoints Endpoint, how int) {
	if how < Redirect || how > Hang && (how < 200 || how > 599) {
		panic(fmt.Sprintf("clerkauthtest: %d is neither a status nor one of the constants", how))
	}
	s.each(endpoints, func(e Endpoint) {
		s.faults[e] = how
		delete(s.answers, e)
	})
}

// given is what is answered in the place of the right answer.
type given struct {
	status int // 0: nothing is
	header http.Header
	body   string
}

// Answer makes endpoints answer exactly that from now on, whoever asks and for
// what. It takes the place of Fail, and Fail that of it. Without a contentType,
// there is none in the answer.
func (s *Server) Answer(endpoints Endpoint, status int, contentType, body string) {
	if status < 200 || status > 599 {
		panic(fmt.Sprintf("clerkauthtest: %d is no status of an answer", status))
	}
	header := http.Header{"Content-Type": nil} // so that net/http does not guess
	if contentType != "" {
		header.Set("Content-Type", contentType)
	}
	s.each(endpoints, func(e Endpoint) {
		s.answers[e] = given{status, header, body}
		delete(s.faults, e)
	})
}

// RetryAfter makes endpoints send a Retry-After header whenever they answer with
// a status from 400 on.
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

// Requests returns how many requests there were to endpoints, answered or not.
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

// note counts a request and returns what is to happen to it.
func (s *Server) note(e Endpoint) (how, retryAfter int, instead given) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.requests[e]++
	return s.faults[e], s.retryAfter[e], s.answers[e]
}

// errorCodes are Clerk's codes for what it answers with a status.
var errorCodes = map[int]string{
	http.StatusUnauthorized:        "clerk_key_invalid",
	http.StatusNotFound:            "resource_not_found",
	http.StatusUnprocessableEntity: "form_param_value_invalid",
	http.StatusTooManyRequests:     "too_many_requests",
}

const garbage = "<!DOCTYPE html><html><head><title>Welcome to the hotel's network</title></head></html>\n"
