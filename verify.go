package clerkauth

import (
	"context"
	"errors"
	"strings"
	"time"

	"github.com/clerkauth/clerkauth/internal/claims"
	"github.com/clerkauth/clerkauth/internal/compact"
	"github.com/clerkauth/clerkauth/internal/keyset"
)

// carrier is how a credential came to us.
type carrier int

const (
	fromHeader carrier = iota + 1
	fromCookie
)

// kind is what a credential claims to be. It is found out before anything is
// verified, and decides only who verifies it: no kind is accepted in the place
// of another.
type kind int

const (
	kindSession kind = iota + 1
	kindMachine      // an API key, machine-to-machine or OAuth token
	kindForeign      // a JWT of the instance's key that is no session: of a template, or of an unknown category
)

// Clerk's token categories, in the header member cat.
const (
	categorySession = "cl_B7d4PD111AAA" // session and handshake tokens
	categoryM2M     = "cl_B7d4PD333AAA" // machine-to-machine tokens
	categoryIgnore  = "cl_I7d4PD111III" // the instance does not tell
)

// unverified is a JWT that has been read and classified.
type unverified struct {
	raw    string
	token  compact.Token
	claims claims.Payload
}

// classify tells what a credential claims to be: by its prefix, its typ, cat and
// sub. Unknown categories are foreign, so that a kind of token that Clerk will
// invent is not a session. An error is of what is no token at all.
func classify(credential string) (kind, unverified, error) {
	for _, prefix := range []string{"ak_", "mt_", "oat_"} {
		if strings.HasPrefix(credential, prefix) {
			return kindMachine, unverified{}, nil
		}
	}
	token, err := compact.Parse(credential)
	if err != nil {
		return 0, unverified{}, newError(ErrTokenInvalid, nil)
	}
	payload, err := claims.Parse(token.Payload)
	if err != nil {
		return 0, unverified{}, newError(ErrTokenInvalid, nil)
	}
	u := unverified{credential, token, payload}
	h := &token.Header
	switch {
	case strings.HasPrefix(payload.Subject(), "mch_"), h.Category == categoryM2M,
		h.Type == "at+jwt", h.Type == "application/at+jwt":
		return kindMachine, u, nil
	case h.HasCat && h.Category != categorySession && h.Category != categoryIgnore:
		return kindForeign, u, nil
	case h.HasType && h.Type != "JWT":
		return 0, unverified{}, newError(ErrTokenInvalid, nil)
	}
	return kindSession, u, nil
}

// verifySession verifies a session token and returns who it is for. The
// signature comes first: nothing is said about claims that anybody could have
// written.
func (a *core) verifySession(ctx context.Context, u *unverified, from carrier) (Auth, error) {
	if err := a.verifySignature(ctx, &u.token); err != nil {
		return Auth{}, err
	}
	s := u.claims.ReadSession()
	if reason := a.judge(s, from, a.now()); reason != "" {
		return Auth{}, newError(reason, nil)
	}
	p := &proof{token: u.raw, payload: u.token.Payload, claims: s, now: a.now}
	// The ages of factors are those of when the first token of this lineage was
	// minted, which its header tells where it differs from iat.
	if s.IssuedAt.Is == claims.Present {
		p.since = time.Unix(s.IssuedAt.Unix, 0)
	}
	if first := u.token.Header.OrigIAT; first > 0 && (p.since.IsZero() || first < float64(s.IssuedAt.Unix)) {
		p.since = time.Unix(int64(min(first, float64(s.ExpiresAt.Unix))), 0)
	}
	who := newAuth(p)
	if s.Status == claims.StatusPending && !a.allowPending {
		err := newError(ErrSessionPending, nil)
		return Auth{SessionStatus: SessionPending, err: err}, err
	}
	return who, nil
}

// verifySignature checks the algorithm, finds the key and verifies.
func (a *core) verifySignature(ctx context.Context, t *compact.Token) error {
	if t.CheckAlgorithm() != nil {
		return newError(ErrTokenAlgorithm, nil)
	}
	key := a.jwtKey
	if key == nil {
		if t.Header.KeyID == "" {
			return newError(ErrUnknownKey, nil)
		}
		var err error
		if key, err = a.keys.Key(ctx, t.Header.KeyID); err != nil {
			return keyError(err)
		}
	}
	err := t.Verify(key)
	if err != nil && a.jwtKey == nil {
		// The instance may have published another key under the same id.
		if newer, ok := a.keys.Replaced(ctx, t.Header.KeyID, key); ok {
			err = t.Verify(newer)
		}
	}
	if err != nil {
		return newError(ErrTokenSignature, nil)
	}
	return nil
}

// keyError puts an error of the key set into our words.
func keyError(err error) *Error {
	if errors.Is(err, keyset.ErrUnknownKey) {
		return newError(ErrUnknownKey, nil)
	}
	reason := ErrKeysUnavailable
	var status *keyset.StatusError
	if errors.As(err, &status) && status.Code == "clerk_key_invalid" {
		reason = ErrSecretKeyInvalid
	}
	e := newError(reason, err)
	var away *keyset.UnavailableError
	if errors.As(err, &away) {
		e.RetryAfter = away.RetryAfter
	}
	return e
}

// judge applies the rules for a session's claims, in the order in which Clerk's
// SDKs do, so that the same reason is given: sub, aud, azp, iss, exp, nbf, iat;
// then what only we demand.
func (a *core) judge(s *claims.Session, from carrier, now time.Time) Reason {
	switch {
	case s.Subject == "":
		return ErrTokenClaims
	case !a.checkAudience(s):
		return ErrTokenClaims
	case !a.parties.check(s, from):
		return ErrTokenParty
	case !a.checkIssuer(s):
		return ErrTokenIssuer
	case s.ExpiresAt.Is != claims.Present:
		return ErrTokenClaims
	case !time.Unix(s.ExpiresAt.Unix, 0).After(now.Add(-a.skew)):
		return ErrTokenExpired
	case s.NotBefore.Is == claims.Odd:
		return ErrTokenClaims
	case time.Unix(s.NotBefore.Unix, 0).After(now.Add(a.skew)):
		return ErrTokenEarly
	case s.IssuedAt.Is == claims.Odd:
		return ErrTokenClaims
	case time.Unix(s.IssuedAt.Unix, 0).After(now.Add(a.skew)):
		return ErrTokenFuture
	case s.NotBefore.Unix > s.ExpiresAt.Unix || s.IssuedAt.Unix > s.ExpiresAt.Unix:
		return ErrTokenClaims // it was never valid
	case s.SessionID == "" || s.StatusIs == claims.Odd:
		return ErrTokenClaims
	default:
		return ""
	}
}

// VerifyToken verifies a session token that came by other ways than HTTP, such
// as a queue or a websocket's first message. It is judged as a bearer token is;
// [Auth.ExpiresAt] tells for how long the answer holds. The error is an *[Error]:
// a caller to be refused ([ErrUnauthenticated]), or keys that could not be had
// ([ErrUnavailable]).
func (a *Authenticator) VerifyToken(ctx context.Context, token string) (Auth, error) {
	if token == "" {
		return Auth{}, newError(ErrTokenMissing, nil)
	}
	k, u, err := classify(token)
	if err != nil {
		return Auth{}, err
	}
	if k != kindSession {
		return Auth{}, newError(ErrTokenType, nil)
	}
	who, err := a.core.verifySession(ctx, &u, fromHeader)
	if err != nil {
		return Auth{}, err
	}
	return who, nil
}
