package clerkauth

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net/http"
	"net/url"
	"regexp"
	"time"

	"github.com/clerk/clerk-sdk-go/v2"
	"github.com/clerk/clerk-sdk-go/v2/session"

	"github.com/clerkauth/clerkauth/internal/keyset"
)

const (
	// backendTimeout bounds every call to Clerk.
	backendTimeout = 5 * time.Second
	// backendVersion is the version of the Backend API that is spoken.
	backendVersion = "2026-05-12"
	userAgent      = "clerkauth-go"
)

// newClient returns a client for the host of base alone: no redirect is followed
// and no other host is reached, because requests carry the secret key.
func newClient(transport http.RoundTripper, base *url.URL) *http.Client {
	return &http.Client{
		Transport:     oneHost{transport, base},
		CheckRedirect: keyset.NoRedirect,
		Timeout:       backendTimeout,
	}
}

// oneHost is a transport to one host.
type oneHost struct {
	next http.RoundTripper
	base *url.URL
}

func (t oneHost) RoundTrip(r *http.Request) (*http.Response, error) {
	if t.base == nil || r.URL.Scheme != t.base.Scheme || r.URL.Host != t.base.Host {
		return nil, errors.New("request is for another host than the configured one")
	}
	return t.next.RoundTrip(r)
}

// secretRefused is called when Clerk answered 401 to the secret key that is
// configured by that variable: also where the public key set stands in for what that
// key would have been used for.
func (a *core) secretRefused(variable string) {
	a.notices.tell(noticeSecretKey, slog.LevelError, "Clerk does not accept the secret key: it was revoked, or is of another place than the publishable key; copy it again from the API keys page of the instance in Clerk's dashboard",
		"variable", variable, "reason", ErrSecretKeyInvalid)
}

// watched is a source of keys that needs the secret key.
func (a *core) watched(s keyset.Source) keyset.Source {
	return func(ctx context.Context) ([]byte, error) {
		body, err := s(ctx)
		var answer *keyset.StatusError
		if errors.As(err, &answer) && answer.Status == http.StatusUnauthorized {
			a.secretRefused("CLERK_SECRET_KEY")
		}
		return body, err
	}
}

// secretForeign is called when the secret key has turned out to be of another
// instance than the publishable key, or than JWTKey, and while that lasts.
func (a *core) secretForeign() {
	message := "the secret key is of another instance than the publishable key, and is not used: copy both from the API keys page of one instance"
	if a.jwtKey != nil {
		message = "the secret key is of another instance than JWTKey, or that key was withdrawn; the secret key is not used: copy both from the API keys page of one instance"
	}
	a.notices.tell(noticeForeignSecret, slog.LevelError, message, "variable", "CLERK_SECRET_KEY", "reason", ErrSecretKeyInvalid)
}

// provenSecret returns nil once the secret key is known to be of the instance that
// tokens are accepted from, and until then why nothing that the Backend API says may
// let anybody in. See [keyset.Set.Prove] for what that costs.
func (a *core) provenSecret(ctx context.Context) *Error {
	err := a.keys.Prove(ctx)
	var away *keyset.UnavailableError
	var refused *keyset.StatusError
	switch {
	case err == nil:
		return nil
	case errors.Is(err, keyset.ErrForeign):
		a.secretForeign()
		return newError(ErrSecretKeyInvalid, nil)
	case !errors.As(err, &away):
		return newError(ErrBackendUnavailable, err) // the caller has gone away
	case away.Public:
		a.notices.tell(noticePublicKeySet, slog.LevelError,
			"opaque credentials and API keys are refused until the public key set was fetched once, or a session token has come: this host must be reachable",
			"host", a.frontendHost)
		return unavailableFor(ErrKeysUnavailable, away)
	case errors.As(err, &refused) && refused.Status == http.StatusUnauthorized:
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

// ownInstance is a transport of requests with the secret key. None is sent with one
// that is of another instance. A request waits for half of its time to find that out:
// the other half is its own, if the public key set hangs.
type ownInstance struct {
	next http.RoundTripper
	core *core
}

func (t ownInstance) RoundTrip(r *http.Request) (*http.Response, error) {
	ctx, cancel := context.WithTimeout(r.Context(), backendTimeout/2)
	defer cancel()
	if t.core.keys.Foreign(ctx) {
		t.core.secretForeign()
		if r.Body != nil {
			_ = r.Body.Close()
		}
		return nil, newError(ErrSecretKeyInvalid, nil)
	}
	return t.next.RoundTrip(r)
}

// ClerkConfig returns a configuration for the clients of clerk-sdk-go, with our
// secret key, deadline and transport; the package-level key of that SDK is
// neither used nor set. Each call returns a configuration of its own: what is changed
// in it changes nothing here.
//
//	user.NewClient(auth.ClerkConfig()).Get(ctx, who.UserID)
//
// Without a secret key every call of such a client answers 401. With one that is of
// another instance than the publishable key, calls fail with [ErrSecretKeyInvalid]
// and are not sent; for that, the first call waits until the key sets of both were
// compared. Where they cannot be, calls are sent.
func (a *Authenticator) ClerkConfig() *clerk.ClientConfig {
	client := newClient(ownInstance{a.core.transport, a.core}, a.core.backend)
	c := &clerk.ClientConfig{}
	c.HTTPClient = client
	c.URL = clerk.String(a.core.backend.JoinPath("v1").String())
	c.Key = clerk.String(a.core.secret.reveal())
	return c
}

var pathWord = regexp.MustCompile(`\A[A-Za-z0-9_-]+\z`)

// GetToken asks the Backend API for a token of the caller's session: of the JWT
// template of that name, or, if template is empty, a session token.
//
// It needs a secret key and a signed-in session. Its errors are
// [ErrUnauthenticated] for who has no session, [ErrConfiguration] without a
// secret key or with a name that no template has, [ErrUnavailable] if the Backend API cannot be reached or fails,
// and the SDK's [clerk.APIErrorResponse] where it refuses.
func (a *Authenticator) GetToken(ctx context.Context, who Auth, template string) (string, error) {
	// Whose token it is decides what was verified, not what a handler wrote into who.
	verified := who.session()
	if !who.SignedIn() || verified.SessionID == "" || verified.SessionID != who.SessionID || verified.Subject != who.UserID {
		return "", newError(ErrUnauthenticated, nil)
	}
	if a.core.secret.IsZero() {
		return "", newError(ErrConfiguration, errors.New("there is no secret key"))
	}
	// The SDK joins both into a path.
	if !pathWord.MatchString(who.SessionID) || template != "" && !pathWord.MatchString(template) {
		return "", newError(ErrConfiguration, errors.New("a session id or template name holds more than letters, digits, - and _"))
	}
	token, err := session.NewClient(a.ClerkConfig()).CreateToken(ctx, &session.CreateTokenParams{ID: who.SessionID, TemplateName: template})
	if err != nil {
		var own *Error
		if errors.As(err, &own) {
			return "", own
		}
		var answer *clerk.APIErrorResponse
		if errors.As(err, &answer) && answer.HTTPStatusCode < http.StatusInternalServerError &&
			answer.HTTPStatusCode != http.StatusTooManyRequests {
			return "", refusedByBackend{answer}
		}
		cause := errors.New("backend api cannot be reached or failed")
		if ctx.Err() != nil {
			cause = context.Cause(ctx)
		}
		return "", newError(ErrUnavailable, cause)
	}
	if token.JWT == "" {
		return "", newError(ErrUnavailable, errors.New("backend api answered without a token"))
	}
	return token.JWT, nil
}

// refusedByBackend wraps the SDK's error without its text, which quotes the whole
// answer.
type refusedByBackend struct{ answer *clerk.APIErrorResponse }

func (e refusedByBackend) Error() string {
	return fmt.Sprintf("clerkauth: backend api refused to mint a token: status %d", e.answer.HTTPStatusCode)
}

func (e refusedByBackend) Unwrap() error { return e.answer }
