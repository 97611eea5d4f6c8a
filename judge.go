package clerkauth

import (
	"slices"
	"time"

	"github.com/clerkauth/clerkauth/internal/claims"
)

// carrier is how a credential came to us.
type carrier int

const (
	fromHeader carrier = iota + 1
	fromCookie
)

// rules are what a configuration accepts of a verified credential. Judging by them
// depends on nothing but their arguments.
type rules struct {
	issuers      []string
	audience     []string
	parties      parties
	skew         time.Duration
	allowPending bool
	machineID    string
}

// judge applies the rules for the claims that all kinds of tokens have, in the order in
// which Clerk's SDKs do, so that the same reason is given: sub, aud, azp, iss, exp, nbf,
// iat; then what only we require. party reports whether azp is accepted.
func (u *rules) judge(r *claims.Registered, party bool, now time.Time) Reason {
	switch {
	case r.Subject == "":
		return ErrTokenClaims
	case !u.acceptsAudience(r.AudienceIs, r.Audience):
		return ErrTokenClaims
	case !party:
		return ErrTokenParty
	case !slices.Contains(u.issuers, r.Issuer): // two instances may have keys of one id
		return ErrTokenIssuer
	case r.ExpiresAt.Is != claims.Present:
		return ErrTokenClaims
	case !time.Unix(r.ExpiresAt.Unix, 0).After(now.Add(-u.skew)):
		return ErrTokenExpired
	case r.NotBefore.Is == claims.Malformed:
		return ErrTokenClaims
	case time.Unix(r.NotBefore.Unix, 0).After(now.Add(u.skew)):
		return ErrTokenEarly
	case r.IssuedAt.Is == claims.Malformed:
		return ErrTokenClaims
	case time.Unix(r.IssuedAt.Unix, 0).After(now.Add(u.skew)):
		return ErrTokenFuture
	case r.NotBefore.Unix > r.ExpiresAt.Unix || r.IssuedAt.Unix > r.ExpiresAt.Unix:
		return ErrTokenClaims // it was never valid
	case r.Bound:
		return ErrTokenClaims // what it is bound to is not verified (RFC 8705 section 3, RFC 9449 section 6)
	default:
		return ""
	}
}

// judgeSession returns why a session token is rejected, "" if it is not; fault is what
// is wrong with its azp, where that is the reason.
func (u *rules) judgeSession(s *claims.Session, from carrier, now time.Time) (reason Reason, fault partyFault) {
	fault = u.parties.check(s, from)
	reason = u.judge(&s.Registered, fault == 0, now)
	switch {
	case reason != "":
	case s.SessionID == "" || s.StatusIs == claims.Malformed:
		reason = ErrTokenClaims
	case s.Status == claims.StatusPending && !u.allowPending:
		reason = ErrSessionPending
	}
	return reason, fault
}

// judgeMachineToken returns why a JWT of a machine is rejected, "" if it is not. Whom
// it was issued to is not considered: azp is of browsers. The audience of an OAuth token
// is left to the decision, because which is required depends on the route.
func (u *rules) judgeMachineToken(of kind, m *claims.Machine, now time.Time) Reason {
	registered := m.Registered
	if of == kindOAuth {
		registered.AudienceIs, registered.Audience = claims.Present, u.audience
	}
	if reason := u.judge(&registered, true, now); reason != "" {
		return reason
	}
	if m.ScopesIs == claims.Malformed {
		return ErrTokenClaims
	}
	return ""
}

// judgeMachine returns why a machine credential is rejected, "" if it is not, whoever
// verified it. It is called each time, also for what was remembered.
func (u *rules) judgeMachine(m *machine) Reason {
	switch {
	case !claims.UsableID(m.ID) || !claims.UsableID(m.Subject):
		return ErrTokenClaims
	case !ownedBy(m.Type, m.Subject):
		return ErrTokenClaims
	case m.Type == M2MToken && u.machineID != "" && !slices.Contains(m.Scopes, u.machineID):
		return ErrTokenParty // it is for other machines
	default:
		return ""
	}
}

// acceptsAudience reports whether one of a token's audiences is one of ours, where any
// is required (RFC 7519 section 4.1.3).
func (u *rules) acceptsAudience(is claims.Presence, audience []string) bool {
	if len(u.audience) == 0 {
		return true
	}
	return is == claims.Present &&
		slices.ContainsFunc(audience, func(aud string) bool { return slices.Contains(u.audience, aud) })
}
