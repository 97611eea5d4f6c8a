package clerkauth

import (
	"context"
	"errors"
	"time"

	"github.com/clerkauth/clerkauth/internal/claims"
	"github.com/clerkauth/clerkauth/internal/jws"
	"github.com/clerkauth/clerkauth/internal/keyset"
)

// carrier is how a credential came to us.
type carrier int

const (
	fromHeader carrier = iota + 1
	fromCookie
)

// verifySession verifies a session token and returns who it is for.
func (a *core) verifySession(ctx context.Context, u *unverified, from carrier) (Auth, error) {
	payload, list, err := a.verifyJWT(ctx, u, make(claims.Payload, 0, 24))
	if err != nil {
		return Auth{}, err
	}
	s := list.ReadSession()
	now := a.now()
	var fault partyFault
	reason := a.judge(&s.Registered, now, func() bool {
		fault = a.parties.check(s, from)
		return fault == 0
	})
	if reason == "" && (s.SessionID == "" || s.StatusIs == claims.Malformed) {
		reason = ErrTokenClaims
	}
	switch reason {
	case "":
		a.operator.sawVerified(now)
		if a.jwtKey == nil { // otherwise no key of the set has verified it
			a.keys.Witness(u.token.Header.KeyID)
		}
	case ErrTokenParty:
		a.refusedParty(fault)
		return Auth{}, newError(reason, fault.err())
	default:
		a.refused(reason)
		return Auth{}, newError(reason, nil)
	}
	p := newProof(facts{payload: payload, claims: s, now: a.now})
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

// verifyJWT returns the payload of a JWT of this instance, and the claims in it,
// appended to buf. The signature comes first: nothing is said about claims that
// anybody could have written, but for an issuer that is not ours, for which no key is
// looked up.
func (a *core) verifyJWT(ctx context.Context, u *unverified, buf claims.Payload) (string, claims.Payload, error) {
	if u.hints.Issuer == claims.OtherIssuer {
		a.refusedIssuer(&u.token)
		return "", nil, newError(ErrTokenIssuer, nil)
	}
	if err := a.verifySignature(ctx, &u.token); err != nil {
		return "", nil, err
	}
	payload, err := u.token.Text()
	if err != nil {
		return "", nil, newError(ErrTokenInvalid, nil)
	}
	list, err := claims.Parse(payload, buf)
	// What was decided by hints has to hold of the claims.
	if err != nil || list.Hints(a.issuers) != u.hints {
		return "", nil, newError(ErrTokenInvalid, nil)
	}
	return payload, list, nil
}

// verifySignature checks the algorithm, finds the key and verifies.
func (a *core) verifySignature(ctx context.Context, t *jws.Token) error {
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
			refusal := keyError(err)
			a.refused(refusal.Reason)
			return refusal
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

// judge applies the rules for the claims that all kinds of tokens have, in the
// order in which Clerk's SDKs do, so that the same reason is given: sub, aud, azp,
// iss, exp, nbf, iat; then what only we demand.
func (a *core) judge(r *claims.Registered, now time.Time, party func() bool) Reason {
	switch {
	case r.Subject == "":
		return ErrTokenClaims
	case !a.checkAudience(r.AudienceIs, r.Audience):
		return ErrTokenClaims
	case !party():
		return ErrTokenParty
	case !a.checkIssuer(r.Issuer):
		return ErrTokenIssuer
	case r.ExpiresAt.Is != claims.Present:
		return ErrTokenClaims
	case !time.Unix(r.ExpiresAt.Unix, 0).After(now.Add(-a.skew)):
		return ErrTokenExpired
	case r.NotBefore.Is == claims.Malformed:
		return ErrTokenClaims
	case time.Unix(r.NotBefore.Unix, 0).After(now.Add(a.skew)):
		return ErrTokenEarly
	case r.IssuedAt.Is == claims.Malformed:
		return ErrTokenClaims
	case time.Unix(r.IssuedAt.Unix, 0).After(now.Add(a.skew)):
		return ErrTokenFuture
	case r.NotBefore.Unix > r.ExpiresAt.Unix || r.IssuedAt.Unix > r.ExpiresAt.Unix:
		return ErrTokenClaims // it was never valid
	case r.Bound:
		return ErrTokenClaims // what it is bound to is not verified (RFC 8705 section 3, RFC 9449 section 6)
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
	u, err := a.core.classify(token)
	if err != nil {
		return Auth{}, err
	}
	if u.kind == kindUnrelated {
		return Auth{}, u.err
	}
	if u.kind != kindSession || !a.core.accept.has(kindSession) {
		return Auth{}, newError(ErrTokenType, nil)
	}
	who, err := a.core.verifySession(ctx, &u, fromHeader)
	if err != nil {
		return Auth{}, err
	}
	return who, nil
}
