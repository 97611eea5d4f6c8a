package clerkauth

import (
	"net/http"
	"time"
)

// Reason says why a caller was not let in, in Clerk's own words where Clerk has
// them. Its constants are sentinels: errors.Is(err, clerkauth.ErrTokenExpired).
type Reason string

// Error returns the reason itself.
func (r Reason) Error() string { return string(r) }

// Kinds of refusals. An error with any of the reasons below is one of these to
// errors.Is as well.
const (
	// ErrUnauthenticated: who is calling is not known. 401.
	ErrUnauthenticated Reason = "unauthenticated"
	// ErrForbidden: the caller is known and may not do this. 403.
	ErrForbidden Reason = "forbidden"
	// ErrUnavailable: keys or the Backend API cannot be reached, which says
	// nothing about the caller. 503.
	ErrUnavailable Reason = "unavailable"
	// ErrConfiguration: what was asked for needs configuration that is not
	// there. 500.
	ErrConfiguration Reason = "configuration"
	// ErrRequestTarget indicates a path or a host that programs read differently. 400.
	ErrRequestTarget Reason = "request-path-ambiguous"
	// ErrWebhook: a webhook delivery is not authentic or not well formed. 400.
	ErrWebhook Reason = "webhook-not-authentic"
)

// Reasons for which a caller is unauthenticated.
const (
	// ErrTokenMissing: there is no credential.
	ErrTokenMissing Reason = "session-token-missing"
	// ErrTokenInvalid: the credential is not a token in the one accepted form, or an
	// opaque one that Clerk does not know, or no longer.
	ErrTokenInvalid Reason = "token-invalid"
	// ErrTokenType: the token is of a kind that is not accepted here.
	ErrTokenType Reason = "token-type-mismatch"
	// ErrTokenAlgorithm: the token is not signed with RS256.
	ErrTokenAlgorithm Reason = "token-invalid-algorithm"
	// ErrTokenSignature: the signature is not by the key it names.
	ErrTokenSignature Reason = "token-invalid-signature"
	// ErrTokenClaims: a claim is missing, of a wrong type, out of range, or of
	// a value that is never accepted.
	ErrTokenClaims Reason = "token-verification-failed"
	// ErrTokenParty: azp is not an authorized party, or missing.
	ErrTokenParty Reason = "token-invalid-authorized-parties"
	// ErrTokenIssuer: iss is not this instance.
	ErrTokenIssuer Reason = "token-invalid-issuer"
	// ErrTokenExpired: exp has passed.
	ErrTokenExpired Reason = "token-expired"
	// ErrTokenEarly: nbf has not come.
	ErrTokenEarly Reason = "token-not-active-yet"
	// ErrTokenFuture: iat has not come.
	ErrTokenFuture Reason = "token-iat-in-the-future"
	// ErrUnknownKey: the instance has no key of the token's key id.
	ErrUnknownKey Reason = "jwk-kid-mismatch"
	// ErrSessionPending: the session has a task still to do; see
	// [Config.AllowPending].
	ErrSessionPending Reason = "session-pending"
)

// Reasons for which a caller is forbidden.
const (
	// ErrReverification: the caller has to verify again who he is.
	ErrReverification Reason = "reverification-required"
	// ErrScope: the machine credential lacks a scope.
	ErrScope Reason = "insufficient-scope"
)

// Reasons for which an answer is unavailable.
const (
	// ErrKeysUnavailable: the instance's keys cannot be had.
	ErrKeysUnavailable Reason = "jwk-remote-failed-to-load"
	// ErrSecretKeyInvalid: Clerk does not know the secret key.
	ErrSecretKeyInvalid Reason = "secret-key-invalid"
	// ErrBackendUnavailable: the Backend API, which has to be asked about an opaque
	// credential, cannot be reached, fails, or is being asked too much already.
	ErrBackendUnavailable Reason = "unexpected-error"
)

// kind returns the kind of refusal that r belongs to.
func (r Reason) kind() Reason {
	switch r {
	case ErrForbidden, ErrReverification, ErrScope:
		return ErrForbidden
	case ErrUnavailable, ErrKeysUnavailable, ErrSecretKeyInvalid, ErrBackendUnavailable:
		return ErrUnavailable
	case ErrConfiguration, ErrWebhook, ErrRequestTarget:
		return r
	default:
		return ErrUnauthenticated
	}
}

// details are what a caller is told. They name no key, claim or other value.
var details = map[Reason]string{
	ErrUnauthenticated:    "sign in first",
	ErrForbidden:          "you are signed in, but not allowed to do this",
	ErrUnavailable:        "this cannot be answered at the moment; try again",
	ErrConfiguration:      "the server lacks configuration for this",
	ErrRequestTarget:      "the request does not name one path on one host",
	ErrWebhook:            "the delivery is not authentic",
	ErrTokenMissing:       "send a token as Authorization: Bearer",
	ErrTokenInvalid:       "the credential is malformed, unknown or revoked",
	ErrTokenType:          "a token of this kind is not accepted here",
	ErrTokenAlgorithm:     "the token is not signed with RS256",
	ErrTokenSignature:     "the token's signature does not match",
	ErrTokenClaims:        "the token lacks a claim or has one that cannot be accepted",
	ErrTokenParty:         "the token was issued to a party that is not authorized here",
	ErrTokenIssuer:        "the token is of another instance",
	ErrTokenExpired:       "the token has expired; get a fresh one",
	ErrTokenEarly:         "the token is not active yet; check the clocks",
	ErrTokenFuture:        "the token was issued in the future; check the clocks",
	ErrUnknownKey:         "the token is signed with a key that this instance does not have",
	ErrSessionPending:     "the session has a task to complete first",
	ErrReverification:     "verify your sign-in again first",
	ErrScope:              "the credential lacks a scope for this",
	ErrBackendUnavailable: "the credential cannot be verified at the moment; try again",
	ErrKeysUnavailable:    "tokens cannot be verified at the moment; try again",
	ErrSecretKeyInvalid:   "tokens cannot be verified until the server's secret key is corrected",
}

// Error is a refusal: what a handler wrapped by this package did not get to see.
// It holds no token, secret or claim value.
type Error struct {
	// Reason says why; see its constants.
	Reason Reason
	// Status is the HTTP status that answers it.
	Status int
	// RetryAfter tells when it is worth trying again, where Status is 503.
	RetryAfter time.Duration

	cause     error
	challenge string          // see Challenge
	reverify  *reverification // what was asked for, where Reason is ErrReverification
	scopes    []string        // what was asked for, where Reason is ErrScope
}

func newError(reason Reason, cause error) *Error {
	e := &Error{Reason: reason, cause: cause}
	switch reason.kind() {
	case ErrForbidden:
		e.Status = http.StatusForbidden
	case ErrUnavailable:
		e.Status = http.StatusServiceUnavailable
		e.RetryAfter = time.Second
	case ErrConfiguration:
		e.Status = http.StatusInternalServerError
	case ErrWebhook, ErrRequestTarget:
		e.Status = http.StatusBadRequest
	default:
		e.Status = http.StatusUnauthorized
	}
	return e
}

// Error returns what went wrong and the reason's code.
func (e *Error) Error() string {
	s := "clerkauth: " + details[e.Reason] + " (" + string(e.Reason) + ")"
	if e.cause != nil {
		s += ": " + e.cause.Error()
	}
	return s
}

// Challenge returns the value of WWW-Authenticate that belongs to a refusal returned by
// [Authenticator.Check], with the parameters of RFC 6750 section 3; "" if there is none.
func (e *Error) Challenge() string { return e.challenge }

// Unwrap returns what caused e, such as the error of a context; nil if nothing
// else did.
func (e *Error) Unwrap() error { return e.cause }

// Is tells whether e has the reason target, or is of that kind.
func (e *Error) Is(target error) bool {
	return target == e.Reason || target == e.Reason.kind()
}
