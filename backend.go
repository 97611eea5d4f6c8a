package clerkauth

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net/http"
	"time"

	"github.com/clerk/clerk-sdk-go/v2"

	"github.com/clerkauth/clerkauth/internal/clerkapi"
	"github.com/clerkauth/clerkauth/internal/keyset"
)

// secretRefused logs that Clerk rejected the secret key of that variable with 401. It is
// called where the public key set is used instead, too.
func (a *core) secretRefused(variable string) {
	a.notices.Tell(noticeSecretKey, slog.LevelError, reasons[ErrSecretKeyInvalid].operator,
		"variable", variable, "reason", ErrSecretKeyInvalid)
}

// secretForeign logs that the secret key belongs to another instance than the
// publishable key or JWTKey.
func (a *core) secretForeign() {
	message := "the secret key belongs to another instance than the publishable key and is not used: copy both from the API keys page of one instance"
	if a.jwtKey != nil {
		message = "the secret key belongs to another instance than JWTKey, or that key was withdrawn; the secret key is not used: copy both from the API keys page of one instance"
	}
	a.notices.Tell(noticeForeignSecret, slog.LevelError, message, "variable", "CLERK_SECRET_KEY", "reason", ErrSecretKeyInvalid)
}

// secretSource returns source, which needs the secret key, with a log entry for each time
// that the key is rejected.
func (a *core) secretSource(source keyset.Source) keyset.Source {
	return func(ctx context.Context) ([]byte, error) {
		body, err := source(ctx)
		if unauthorized(err) {
			a.secretRefused("CLERK_SECRET_KEY")
		}
		return body, err
	}
}

// unauthorized reports whether err is Clerk's response to a secret key that it does not
// accept.
func unauthorized(err error) bool {
	var response *clerkapi.Error
	return errors.As(err, &response) && response.Status == http.StatusUnauthorized
}

// provenSecret returns nil if the secret key is known to belong to the instance whose
// tokens are accepted. Until then no response of the Backend API may authenticate anyone,
// and the error says why. See [keyset.Set.Prove] for the requests that it causes.
func (a *core) provenSecret(ctx context.Context) *Error {
	err := a.keys.Prove(ctx)
	var away *keyset.UnavailableError
	switch {
	case err == nil:
		return nil
	case errors.Is(err, keyset.ErrForeign):
		a.secretForeign()
		return newError(ErrSecretKeyInvalid, nil)
	case !errors.As(err, &away):
		return newError(ErrBackendUnavailable, err) // the error of ctx
	case away.Public:
		a.notices.Tell(noticePublicKeySet, slog.LevelError,
			"opaque credentials and API keys are rejected until the public key set was fetched once, or a session token was verified: this host must be reachable",
			"host", a.frontendHost)
		return unavailableFor(ErrKeysUnavailable, away)
	case unauthorized(away):
		return unavailableFor(ErrSecretKeyInvalid, away)
	default:
		return unavailableFor(ErrBackendUnavailable, away)
	}
}

func unavailableFor(reason Reason, away *keyset.UnavailableError) *Error {
	e := newError(reason, away)
	e.RetryAfter = away.RetryAfter
	return e
}

// checkInstance returns [ErrSecretKeyInvalid] if the secret key belongs to another
// instance, so that no request is sent with it. It waits for at most half of a request's
// time to find that out; the other half is left for the request itself.
func (a *core) checkInstance(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(ctx, clerkapi.Timeout/2)
	defer cancel()
	if a.keys.Foreign(ctx) {
		a.secretForeign()
		return newError(ErrSecretKeyInvalid, nil)
	}
	return nil
}

// ClerkConfig returns a configuration for the clients of clerk-sdk-go, with the secret
// key, the Backend API's URL and the transport of a, and a timeout of 5 seconds. The
// package-level key of that SDK is neither used nor set. Each call returns a new
// configuration, which may be changed.
//
//	user.NewClient(auth.ClerkConfig()).Get(ctx, who.UserID)
//
// Without a secret key, Clerk rejects every call of such a client with 401. If the secret
// key belongs to another instance than the publishable key, calls fail with
// [ErrSecretKeyInvalid] and are not sent. The first call waits for up to 2.5 seconds until
// the key sets of both were compared; if they cannot be, it is sent.
func (a *Authenticator) ClerkConfig() *clerk.ClientConfig {
	c := &clerk.ClientConfig{}
	c.HTTPClient = clerkapi.HTTPClient(clerkapi.Checked(a.core.transport, a.core.checkInstance), a.core.backend)
	c.URL = clerk.String(a.core.backend.JoinPath("v1").String())
	c.Key = clerk.String(a.core.secret.reveal())
	return c
}

// GetTokenOption configures [Authenticator.GetToken]. See [Lifetime].
type GetTokenOption func(*tokenOptions)

type tokenOptions struct {
	lifetime time.Duration
	wrong    error
}

// maxLifetime is the longest lifetime of a token that Clerk creates: ten years.
const maxLifetime = 315_360_000 * time.Second

// Lifetime returns an option for a token that expires after d, in whole seconds, ten years
// at most. Defaults to the template's lifetime, or that of session tokens.
func Lifetime(d time.Duration) GetTokenOption {
	return func(o *tokenOptions) {
		o.lifetime = d
		if d < time.Second || d > maxLifetime || d%time.Second != 0 {
			o.wrong = fmt.Errorf("a token's lifetime must be whole seconds, from 1 to %d", maxLifetime/time.Second)
		}
	}
}

// GetToken requests a token for the caller's session from the Backend API: one of the
// JWT template with that name, or a session token if template is empty.
//
// It requires a secret key and a signed-in caller with a verified session. Its error is
// [ErrUnauthenticated] without such a session, [ErrConfiguration] without a
// secret key, if an option is invalid or if template has characters that no name has,
// [ErrSecretKeyInvalid] if the secret key belongs to another instance, [ErrUnavailable] if
// the Backend API cannot be reached, fails or limits the rate, and wraps the SDK's
// [clerk.APIErrorResponse] if it rejects the request.
func (a *Authenticator) GetToken(ctx context.Context, who Auth, template string, options ...GetTokenOption) (string, error) {
	var o tokenOptions
	for _, option := range options {
		if option != nil {
			option(&o)
		}
	}
	if o.wrong != nil {
		return "", newError(ErrConfiguration, o.wrong)
	}
	// The verified claims decide, not what a handler may have written into who.
	verified := who.session()
	if !who.SignedIn() || verified.SessionID == "" || verified.SessionID != who.SessionID || verified.Subject != who.UserID {
		return "", newError(ErrUnauthenticated, nil)
	}
	if a.core.secret.IsZero() {
		return "", newError(ErrConfiguration, errors.New("there is no secret key"))
	}
	// The SDK joins both into the path of the request.
	if !clerkapi.ValidName(who.SessionID) || template != "" && !clerkapi.ValidName(template) {
		return "", newError(ErrConfiguration, errors.New("a session id or template name has characters other than letters, digits, - and _"))
	}
	token, err := clerkapi.CreateToken(ctx, a.ClerkConfig(), who.SessionID, template, o.lifetime)
	var own *Error
	var rejected *clerkapi.RejectedError
	switch {
	case err == nil:
		return token, nil
	case errors.As(err, &own):
		return "", own
	case errors.As(err, &rejected):
		return "", fmt.Errorf("clerkauth: %w", rejected)
	case errors.Is(err, clerkapi.ErrNoToken):
		return "", newError(ErrUnavailable, err)
	case ctx.Err() != nil:
		return "", newError(ErrUnavailable, context.Cause(ctx))
	default: // err may quote the response
		return "", newError(ErrUnavailable, errors.New("backend api cannot be reached or fails"))
	}
}
