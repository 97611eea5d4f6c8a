package clerkauth

import (
	"net/http"
	"time"
)

// Reason is why a caller was refused, in Clerk's own words where Clerk has them. Its
// constants are sentinels: errors.Is(err, clerkauth.ErrTokenExpired).
type Reason string

// Error returns the reason itself.
func (r Reason) Error() string { return string(r) }

// Classes of refusals. To errors.Is, an error with any of the reasons below is also one
// of its class.
const (
	// ErrUnauthenticated indicates a caller whose identity is not established. Status 401.
	ErrUnauthenticated Reason = "unauthenticated"
	// ErrForbidden indicates a caller who is known and not allowed. Status 403.
	ErrForbidden Reason = "forbidden"
	// ErrUnavailable indicates that keys, the Backend API or a check's own store cannot
	// be reached, which says nothing about the caller. Status 503.
	ErrUnavailable Reason = "unavailable"
	// ErrConfiguration indicates a call that needs configuration which is absent.
	// Status 500.
	ErrConfiguration Reason = "configuration"
	// ErrRequestTarget indicates a path or a host that programs read differently.
	// Status 400.
	ErrRequestTarget Reason = "request-path-ambiguous"
	// ErrWebhook indicates a webhook delivery that is not authentic or not well formed.
	// Status 400.
	ErrWebhook Reason = "webhook-not-authentic"
)

// Reasons for which a caller is unauthenticated.
const (
	// ErrTokenMissing indicates a request without a credential.
	ErrTokenMissing Reason = "session-token-and-uat-missing"
	// ErrTokenInvalid indicates a credential that is not in the one accepted form, or an
	// opaque one that Clerk does not know, or no longer.
	ErrTokenInvalid Reason = "token-invalid"
	// ErrTokenType indicates a token of a kind that is not accepted here.
	ErrTokenType Reason = "token-type-mismatch"
	// ErrTokenAlgorithm indicates a token that is not signed with RS256.
	ErrTokenAlgorithm Reason = "token-invalid-algorithm"
	// ErrTokenSignature indicates a signature that is not by the key it names.
	ErrTokenSignature Reason = "token-invalid-signature"
	// ErrTokenClaims indicates a claim that is missing, of a wrong type, out of range, or
	// of a value that is never accepted.
	ErrTokenClaims Reason = "token-verification-failed"
	// ErrTokenParty indicates an azp that is not an authorized party, or missing.
	ErrTokenParty Reason = "token-invalid-authorized-parties"
	// ErrTokenIssuer indicates an iss that is not this instance's.
	ErrTokenIssuer Reason = "token-invalid-issuer"
	// ErrTokenExpired indicates that exp has passed.
	ErrTokenExpired Reason = "token-expired"
	// ErrTokenEarly indicates that nbf has not come.
	ErrTokenEarly Reason = "token-not-active-yet"
	// ErrTokenFuture indicates that iat has not come.
	ErrTokenFuture Reason = "token-iat-in-the-future"
	// ErrUnknownKey indicates that the instance has no key with the token's key id.
	ErrUnknownKey Reason = "jwk-kid-mismatch"
	// ErrSessionPending indicates a session with a task still to complete; see
	// [Config.AllowPending].
	ErrSessionPending Reason = "session-pending"
)

// Reasons for which a caller is forbidden.
const (
	// ErrReverification indicates a caller who has to verify their sign-in again.
	ErrReverification Reason = "reverification-required"
	// ErrScope indicates a machine credential that lacks a scope.
	ErrScope Reason = "insufficient-scope"
	// ErrCrossSite indicates a request that another site's page may have caused, with a
	// credential that browsers send by themselves; see [Config.Credential].
	ErrCrossSite Reason = "cross-site-request"
)

// Reasons why a decision is unavailable.
const (
	// ErrKeysUnavailable indicates that the instance's keys cannot be fetched.
	ErrKeysUnavailable Reason = "jwk-remote-failed-to-load"
	// ErrSecretKeyInvalid indicates a secret key that Clerk does not accept.
	ErrSecretKeyInvalid Reason = "secret-key-invalid"
	// ErrBackendUnavailable indicates that the Backend API, which verifies opaque
	// credentials, cannot be reached, fails, or is under too many requests already.
	ErrBackendUnavailable Reason = "unexpected-error"
)

// reasonInfo is what follows from a reason.
type reasonInfo struct {
	class    Reason
	status   int
	text     string // what callers are told: it names no key, claim or other value
	operator string // what an operator should look at, where it may be a mistake of theirs
}

const clockIsWrong = "tokens are from the future: synchronize this machine's clock with a time server"

// reasons is the one table of reasons.
var reasons = map[Reason]reasonInfo{
	ErrUnauthenticated: {ErrUnauthenticated, 401, "sign in first", ""},
	ErrTokenMissing:    {ErrUnauthenticated, 401, "send a token as Authorization: Bearer", ""},
	ErrTokenInvalid:    {ErrUnauthenticated, 401, "the credential is malformed, unknown or revoked", ""},
	ErrTokenType:       {ErrUnauthenticated, 401, "a token of this kind is not accepted here", ""},
	ErrTokenAlgorithm:  {ErrUnauthenticated, 401, "the token is not signed with RS256", ""},
	ErrTokenSignature:  {ErrUnauthenticated, 401, "the token's signature does not match", ""},
	ErrTokenClaims:     {ErrUnauthenticated, 401, "the token lacks a claim or has one that cannot be accepted", ""},
	ErrTokenParty: {ErrUnauthenticated, 401, "the token was issued to a party that is not authorized here",
		"tokens were issued to a party that is not in AuthorizedParties: add the origin of those pages, as the address bar shows it"},
	ErrTokenIssuer: {ErrUnauthenticated, 401, "the token is of another instance",
		"tokens signed with keys of this instance have another issuer: if its Frontend API is behind a proxy or a domain of yours, set Browser.ProxyURL (CLERK_PROXY_URL) or add the issuer to Issuers"},
	ErrTokenExpired: {ErrUnauthenticated, 401, "the token has expired; get a fresh one", ""},
	ErrTokenEarly:   {ErrUnauthenticated, 401, "the token is not active yet; check the clocks", clockIsWrong},
	ErrTokenFuture:  {ErrUnauthenticated, 401, "the token was issued in the future; check the clocks", clockIsWrong},
	ErrUnknownKey: {ErrUnauthenticated, 401, "the token is signed with a key that this instance does not have",
		"no token is signed with a key of this instance: compare the publishable and secret keys with those of the front end"},
	ErrSessionPending: {ErrUnauthenticated, 401, "the session has a task to complete first", ""},

	ErrForbidden:      {ErrForbidden, 403, "you are signed in, but not allowed to do this", ""},
	ErrReverification: {ErrForbidden, 403, "verify your sign-in again first", ""},
	ErrScope:          {ErrForbidden, 403, "the credential lacks a scope for this", ""},
	ErrCrossSite:      {ErrForbidden, 403, "the request came from another site", ""},

	ErrUnavailable:        {ErrUnavailable, 503, "this cannot be answered at the moment; try again", ""},
	ErrKeysUnavailable:    {ErrUnavailable, 503, "tokens cannot be verified at the moment; try again", ""},
	ErrBackendUnavailable: {ErrUnavailable, 503, "the credential cannot be verified at the moment; try again", ""},
	ErrSecretKeyInvalid: {ErrUnavailable, 503, "tokens cannot be verified until the server's secret key is corrected",
		"Clerk rejects the secret key: it was revoked, or does not belong to the instance of the publishable key; copy it again from the API keys page of the instance in Clerk's dashboard"},

	ErrConfiguration: {ErrConfiguration, 500, "the server lacks configuration for this", ""},
	ErrRequestTarget: {ErrRequestTarget, 400, "the request does not name one path on one host", ""},
	ErrWebhook:       {ErrWebhook, 400, "the delivery is not authentic", ""},
}

// info returns what follows from r. Reasons that are not in the table are those of browser
// flows, for which a caller is unauthenticated.
func (r Reason) info() reasonInfo {
	if info, ok := reasons[r]; ok {
		return info
	}
	return reasons[ErrUnauthenticated]
}

// class returns the class of refusals that r belongs to.
func (r Reason) class() Reason { return r.info().class }

// Error is a refusal: the reason and the status of a request that was not handled. It
// holds no token, secret or claim value. It is an error of its Reason and of that
// reason's class to errors.Is.
type Error struct {
	// Reason is one of the constants of that type.
	Reason Reason
	// Status is the HTTP status of the response.
	Status int
	// RetryAfter is when it is worth trying again, where Status is 503.
	RetryAfter time.Duration
	// Requirement describes the requirement that refused, as its Access prints, for
	// [Config.ErrorHandler] and callers of [Authenticator.Check]; "" where none did. It is
	// for logs, and not sent to callers by default.
	Requirement string `json:"-"`

	by        *policy // what Requirement describes
	cause     error
	challenge string // see Challenge
	header    http.Header
}

// newError returns a refusal with what the table of reasons says.
func newError(reason Reason, cause error) *Error {
	info := reason.info()
	e := &Error{Reason: reason, Status: info.status, cause: cause}
	if info.class == ErrUnavailable {
		e.RetryAfter = time.Second
	}
	return e
}

// own returns a copy of e to hand out: what is done to it changes nothing of ours.
func (e *Error) own() *Error {
	own := *e
	return &own
}

// because returns a copy of e with a cause. It costs less than newError.
func (e *Error) because(cause error) *Error {
	own := e.own()
	own.cause = cause
	return own
}

// describe sets the Requirement of e, and returns e.
func (e *Error) describe() *Error {
	if e.by != nil {
		e.Requirement = e.by.String()
	}
	return e
}

// Error returns what went wrong and the reason's code.
func (e *Error) Error() string {
	s := "clerkauth: " + e.Reason.info().text + " (" + string(e.Reason) + ")"
	if e.cause != nil {
		s += ": " + e.cause.Error()
	}
	return s
}

// Challenge returns the value of WWW-Authenticate that belongs to a refusal returned by
// [Authenticator.Check], with the parameters of RFC 6750 section 3; "" if there is none.
func (e *Error) Challenge() string { return e.challenge }

// Header returns the headers that belong on the response to a refusal returned by
// [Authenticator.Check]: what [State.Header] returns, and the Challenge as
// WWW-Authenticate. If there is a Location among them, Status is 307. It may be nil.
func (e *Error) Header() http.Header {
	h := e.header.Clone()
	if e.challenge != "" && h != nil {
		h.Set("WWW-Authenticate", e.challenge)
	}
	return h
}

// Unwrap returns the cause of e, such as the error of a context, or nil.
func (e *Error) Unwrap() error { return e.cause }

// Is reports whether target is the reason of e or that reason's class.
func (e *Error) Is(target error) bool {
	return target == e.Reason || target == e.Reason.class()
}
