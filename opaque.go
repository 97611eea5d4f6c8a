package clerkauth

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net/http"
	"strings"
	"time"

	"github.com/clerkauth/clerkauth/internal/claims"
	"github.com/clerkauth/clerkauth/internal/clerkapi"
	"github.com/clerkauth/clerkauth/internal/introspect"
)

const (
	// defaultMachineTTL is the default of MachineConfig.CacheTTL.
	defaultMachineTTL = 30 * time.Second
	// minPause and maxPause bound how long calls pause after Clerk has limited their
	// rate, whatever its Retry-After says.
	minPause = time.Second
	maxPause = time.Minute
)

// opaque verifies opaque credentials, which say nothing about themselves, with Clerk's
// Backend API.
type opaque struct {
	now    func() time.Time
	ttl    time.Duration               // 0: results are not cached
	shared *introspect.Shared[machine] // nil: there is none
	by     [kindForeign]*opaqueVerifier
}

// opaqueVerifier verifies credentials of one kind with a secret key, and caches the
// results. Each kind has its own, so that made-up credentials of one kind use up no limit
// of another.
type opaqueVerifier struct {
	variable string // the environment variable of the secret key
	instance bool   // the secret key is the instance's, not a machine's
	api      *clerkapi.Verifier
	keys     *introspect.Keys
	cache    *introspect.Verifier[*machine]
}

// opaqueKinds are the kinds of credentials that may be opaque.
var opaqueKinds = map[kind]clerkapi.Kind{
	kindAPIKey: clerkapi.APIKey, kindM2M: clerkapi.M2MToken, kindOAuth: clerkapi.OAuthToken,
}

func newOpaque(a *core, c Config) *opaque {
	// The monotonic clock stops while a machine is suspended, but results age all the
	// same.
	o := &opaque{
		ttl: max(cmp.Or(c.Machines.CacheTTL, defaultMachineTTL), 0),
		now: func() time.Time { return a.now().Round(0) },
	}
	if a.backend == nil {
		return o // BackendURL is invalid: New returns an error
	}
	for k, name := range opaqueKinds {
		variable, secret := "CLERK_SECRET_KEY", c.SecretKey
		if k == kindM2M && !c.Machines.SecretKey.IsZero() {
			variable, secret = "CLERK_MACHINE_SECRET_KEY", c.Machines.SecretKey
		}
		if secret.IsZero() {
			continue
		}
		o.by[k] = &opaqueVerifier{
			variable: variable,
			instance: secret == c.SecretKey,
			api:      clerkapi.NewVerifier(name, a.transport, a.backend, secret.reveal()),
			keys:     introspect.NewKeys(secret.reveal()),
			cache:    introspect.New(o.now, (*machine).size),
		}
	}
	if c.Machines.Cache != nil {
		o.shared = introspect.NewShared[machine](c.Machines.Cache, o.now, func(err error) {
			a.notices.Tell(noticeMachineCache, slog.LevelWarn, "Machines.Cache failed; credentials are verified with Clerk instead", "error", err)
		})
	}
	return o
}

// verifyOpaque verifies an opaque credential: by a cached result or with Clerk.
func (a *core) verifyOpaque(ctx context.Context, u *unverified) (*machine, *Error) {
	by := a.opaque.by[u.kind]
	if by == nil {
		return nil, newError(ErrTokenType, nil) // without a secret key, only JWTs are accepted
	}
	if !clerkapi.MayBeCredential(u.raw) {
		return nil, newError(ErrTokenInvalid, nil)
	}
	if by.instance {
		if err := a.provenSecret(ctx); err != nil {
			return nil, err
		}
	}
	key := by.keys.Digest(u.raw)
	m, cached, err := by.cache.Cached(key)
	if !cached {
		m, err = a.introspect(ctx, u, by, key)
	}
	if err != nil {
		return nil, opaqueError(err)
	}
	if !m.ExpiresAt.IsZero() && !m.ExpiresAt.After(a.opaque.now()) {
		return nil, newError(ErrTokenExpired, nil)
	}
	return m, nil
}

// introspect verifies a credential for which this process has no cached result.
func (a *core) introspect(ctx context.Context, u *unverified, by *opaqueVerifier, key introspect.Key) (*machine, error) {
	o := a.opaque
	var lookup introspect.Lookup[*machine]
	if o.shared != nil && o.ttl > 0 {
		lookup = func() (*machine, time.Time, bool) {
			m, began, ok := o.shared.Get(by.keys, key)
			if !ok || m.Type != u.kind.name() {
				return nil, time.Time{}, false
			}
			until := began.Add(o.ttl)
			return m.remembered(a.now), until, until.After(o.now())
		}
	}
	raw := strings.Clone(u.raw) // the call may outlive the request, whose memory some servers reuse
	return by.cache.Verify(ctx, key, lookup, func(ctx context.Context) (*machine, time.Time, error) {
		began := o.now()
		m, err := a.fetchCredential(ctx, u.kind, raw, by)
		if err != nil {
			return nil, time.Time{}, err
		}
		m.remembered(a.now)
		until := began.Add(o.ttl)
		if !m.ExpiresAt.IsZero() && m.ExpiresAt.Before(until) {
			until = m.ExpiresAt
		}
		now := o.now()
		if began.After(now) { // the clock went back, and the age of the result is unknown
			return m, now, nil
		}
		if until.After(now) {
			o.shared.Put(by.keys, key, *m, began, until)
		}
		return m, until, nil
	})
}

// opaqueError returns the *Error for an error of [introspect.Verifier].
func opaqueError(err error) *Error {
	var own *Error
	var busy *introspect.Busy
	switch {
	case errors.As(err, &busy):
		e := newError(ErrBackendUnavailable, nil)
		if errors.As(busy.Cause, &own) {
			e = newError(own.Reason, nil)
		}
		e.RetryAfter = busy.RetryAfter
		return e
	case errors.As(err, &own):
		return own
	default:
		return newError(ErrBackendUnavailable, err)
	}
}

// fetchCredential verifies a credential with the Backend API. Only an object of Clerk's,
// or a 404 in the form of its errors, is a result. A 401 is about the secret key, a 429
// about the number of calls, and a 5xx about Clerk; any other response is inconclusive.
func (a *core) fetchCredential(ctx context.Context, k kind, credential string, by *opaqueVerifier) (*machine, error) {
	c, err := by.api.Verify(ctx, credential)
	if err == nil {
		return newMachine(k, c, a.opaque.now())
	}
	var response *clerkapi.Error
	if !errors.As(err, &response) {
		return nil, newError(ErrBackendUnavailable, err)
	}
	switch status := response.Status; {
	case response.NotFound:
		return nil, invalidCredential(ErrTokenInvalid)
	case status == http.StatusUnauthorized:
		a.secretRefused(by.variable)
		return nil, &introspect.Failure{Outcome: introspect.Unauthorized, Reason: newError(ErrSecretKeyInvalid, nil)}
	case status == http.StatusTooManyRequests:
		why := newError(ErrBackendUnavailable, response)
		why.RetryAfter = min(max(response.RetryAfter(), minPause), maxPause)
		return nil, &introspect.Failure{Outcome: introspect.RateLimited, Reason: why, RetryAfter: why.RetryAfter}
	case status >= http.StatusInternalServerError:
		return nil, newError(ErrBackendUnavailable, response)
	default:
		why := newError(ErrBackendUnavailable, fmt.Errorf("%w, which says nothing about the credential", response))
		why.RetryAfter = introspect.Remembered
		return nil, &introspect.Failure{Outcome: introspect.Inconclusive, Reason: why}
	}
}

// newMachine returns the machine credential that Clerk describes. It rejects one that is
// revoked or expired, whatever the status of the response, one of another kind, and one
// that requires a proof which is not verified here (RFC 8705 section 3, RFC 9449
// section 6).
func newMachine(k kind, c *clerkapi.Credential, now time.Time) (*machine, error) {
	switch {
	case c.Mismatched || c.Revoked || !claims.UsableID(c.ID) || !claims.UsableID(c.Subject):
		return nil, invalidCredential(ErrTokenInvalid)
	case c.Expired || !c.ExpiresAt.IsZero() && !c.ExpiresAt.After(now):
		return nil, invalidCredential(ErrTokenExpired)
	case c.Bound:
		return nil, invalidCredential(ErrTokenClaims)
	}
	return &machine{
		Type:      k.name(),
		ID:        c.ID,
		Subject:   c.Subject,
		Name:      c.Name,
		ClientID:  c.ClientID,
		Scopes:    c.Scopes,
		Claims:    c.Claims,
		Audience:  c.Audience,
		IssuedAt:  c.IssuedAt,
		ExpiresAt: c.ExpiresAt,
	}, nil
}

func invalidCredential(reason Reason) error {
	return &introspect.Failure{Outcome: introspect.Invalid, Reason: newError(reason, nil)}
}
