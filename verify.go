package clerkauth

import (
	"context"
	"errors"
	"time"

	"github.com/clerkauth/clerkauth/internal/claims"
	"github.com/clerkauth/clerkauth/internal/clerkapi"
	"github.com/clerkauth/clerkauth/internal/keyset"
)

// A session token is verified in three steps: its signature, which may need a key to be
// fetched; its claims, as they are read whoever presents them and whenever; and their
// judgement, in judge.go.

// sessionFindings are what verifying a session token has found. Of a pending session, who
// has the status beside the error.
type sessionFindings struct {
	who    Auth
	claims *claims.Session // nil unless its signature is valid
	err    *Error
}

// verifySession verifies a session token. If lenient, it tolerates clocks that differ by a
// day.
func (a *core) verifySession(ctx context.Context, u *unverified, from carrier, lenient bool) sessionFindings {
	if err := a.verifySignature(ctx, u); err != nil {
		return sessionFindings{err: err}
	}
	f, err := a.readSession(u)
	if err != nil {
		return sessionFindings{err: err}
	}
	now := a.now()
	judge := &a.rules
	if lenient {
		own := a.rules
		own.skew = 24 * time.Hour
		judge = &own
	}
	reason, fault := judge.judgeSession(f.claims, from, now)
	switch reason {
	case "", ErrSessionPending:
		a.operator.sawVerified(now)
		if a.jwtKey == nil { // otherwise no key of the set has verified it
			a.keys.Witness(u.token.Header.KeyID)
		}
	case ErrTokenParty:
		a.refusedParty(fault)
		return sessionFindings{claims: f.claims, err: newError(reason, fault.err())}
	default:
		a.refused(reason)
		return sessionFindings{claims: f.claims, err: newError(reason, nil)}
	}
	if reason == ErrSessionPending {
		err := newError(reason, nil)
		return sessionFindings{Auth{SessionStatus: SessionPending, err: err}, f.claims, err}
	}
	if !f.claims.Understood() {
		// What the session may do in its organization is written in a form that this
		// version cannot read.
		return sessionFindings{claims: f.claims, err: newError(ErrBackendUnavailable, errNotUnderstood)}
	}
	return sessionFindings{who: newAuth(newProof(f)), claims: f.claims}
}

// errNotUnderstood is the cause of refusing a token whose claims about an organization
// have another form than Clerk's documents say.
var errNotUnderstood = errors.New("the claims about the organization have an unknown form")

// readSession reads what a session token says whose signature is good. The result is
// never changed, and depends on neither the carrier nor the time.
func (a *core) readSession(u *unverified) (facts, *Error) {
	payload, list, err := a.readPayload(u, make(claims.Payload, 0, 24))
	if err != nil {
		return facts{}, err
	}
	s := list.ReadSession()
	f := facts{payload: payload, claims: s, now: a.now}
	// The ages of factors are those of when the first token of this lineage was
	// minted, which its header tells where it differs from iat.
	if s.IssuedAt.Is == claims.Present {
		f.since = time.Unix(s.IssuedAt.Unix, 0)
	}
	if first := u.token.Header.OrigIAT; first > 0 && (f.since.IsZero() || first < float64(s.IssuedAt.Unix)) {
		f.since = time.Unix(int64(min(first, float64(s.ExpiresAt.Unix))), 0)
	}
	return f, nil
}

// readPayload returns the payload of a JWT whose signature is good, and the claims in
// it, appended to buf.
func (a *core) readPayload(u *unverified, buf claims.Payload) (string, claims.Payload, *Error) {
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

// verifySignature verifies that a JWT is of this instance. It comes first: nothing is
// said about claims that anybody could have written, but for an issuer that is not
// ours, for which no key is looked up.
func (a *core) verifySignature(ctx context.Context, u *unverified) *Error {
	t := &u.token
	if u.hints.Issuer == claims.OtherIssuer {
		a.refusedIssuer(t)
		return newError(ErrTokenIssuer, nil)
	}
	if t.CheckAlgorithm() != nil {
		return newError(ErrTokenAlgorithm, nil)
	}
	if a.jwtKey != nil {
		if t.Verify(a.jwtKey) != nil {
			return newError(ErrTokenSignature, nil)
		}
		return nil
	}
	if t.Header.KeyID == "" {
		return newError(ErrUnknownKey, nil)
	}
	key, err := a.keys.Key(ctx, t.Header.KeyID)
	if err != nil {
		refusal := keyError(err)
		a.refused(refusal.Reason)
		return refusal
	}
	if t.Verify(key) == nil {
		return nil
	}
	// The instance may have published another key under the same id.
	if newer, ok := a.keys.Replaced(ctx, t.Header.KeyID, key); ok && t.Verify(newer) == nil {
		return nil
	}
	return newError(ErrTokenSignature, nil)
}

// keyError returns the refusal for an error of the key set.
func keyError(err error) *Error {
	if errors.Is(err, keyset.ErrUnknownKey) {
		return newError(ErrUnknownKey, nil)
	}
	reason := ErrKeysUnavailable
	var status *clerkapi.Error
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

// VerifyToken verifies a session token that did not come by HTTP, such as one in a queue
// or in a websocket's first message, by the rules for bearer tokens. The result holds
// until [Auth.ExpiresAt]. The error is an *[Error]: of class [ErrUnauthenticated], or
// [ErrUnavailable] if keys cannot be fetched.
func (a *Authenticator) VerifyToken(ctx context.Context, token string) (Auth, error) {
	if token == "" {
		return Auth{}, newError(ErrTokenMissing, nil)
	}
	u, err := a.core.classify(token)
	if err == nil && u.kind == kindUnrelated {
		err = u.err
	}
	if err != nil {
		return Auth{}, err
	}
	if u.kind != kindSession || !a.core.accept.has(kindSession) {
		return Auth{}, newError(ErrTokenType, nil)
	}
	found := a.core.verifySession(ctx, &u, fromHeader, false)
	if found.err != nil {
		return Auth{}, found.err
	}
	return found.who, nil
}
