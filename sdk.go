package clerkauth

import (
	"context"
	"encoding/json"
	"math"

	"github.com/clerk/clerk-sdk-go/v2"

	"github.com/clerkauth/clerkauth/internal/claims"
)

// sdkClaimsKey is the key under which clerk-sdk-go looks for session claims in a
// context. It is not exported, so we let the SDK ask a context that remembers.
var sdkClaimsKey = func() any {
	asked := &askedKey{Context: context.Background()}
	clerk.SessionClaimsFromContext(asked)
	return asked.key
}()

type askedKey struct {
	context.Context
	key any
}

func (a *askedKey) Value(key any) any {
	a.key = key
	return nil
}

// canonicalClaims is a session as clerk-sdk-go reads it: registered names once
// each, the organization as we resolved it from whichever version the token has.
type canonicalClaims struct {
	Issuer         string          `json:"iss,omitempty"`
	Subject        string          `json:"sub"`
	Audience       []string        `json:"aud,omitempty"`
	Expiry         int64           `json:"exp"`
	NotBefore      *int64          `json:"nbf,omitempty"`
	IssuedAt       *int64          `json:"iat,omitempty"`
	ID             string          `json:"jti,omitempty"`
	Version        int             `json:"v,omitempty"`
	SessionID      string          `json:"sid"`
	Party          string          `json:"azp,omitempty"`
	OrgID          string          `json:"org_id,omitempty"`
	OrgSlug        string          `json:"org_slug,omitempty"`
	OrgRole        string          `json:"org_role,omitempty"`
	OrgPermissions []string        `json:"org_permissions,omitempty"`
	Actor          json.RawMessage `json:"act,omitempty"`
	Ages           [2]int64        `json:"fva"`
}

// sessionClaims returns the claims that clerk.SessionClaimsFromContext answers
// with: those of a signed-in user's verified token, nil for anybody else. They
// are made when first asked for.
func (c *identity) sessionClaims() *clerk.SessionClaims {
	who := c.state.who
	if !who.SignedIn() || who.proof == nil || who.proof.claims == nil {
		return nil
	}
	c.sdkOnce.Do(func() {
		text, err := json.Marshal(canonical(who))
		if err != nil {
			return
		}
		var out clerk.SessionClaims
		if json.Unmarshal(text, &out) == nil {
			c.sdk = &out
		}
	})
	return c.sdk
}

func canonical(who Auth) canonicalClaims {
	s := who.proof.claims
	out := canonicalClaims{
		Issuer:         s.Issuer,
		Subject:        who.UserID,
		Audience:       s.Audience,
		Expiry:         s.ExpiresAt.Unix,
		ID:             s.TokenID,
		Version:        s.Version,
		SessionID:      who.SessionID,
		Party:          s.Party,
		OrgID:          who.OrgID,
		OrgSlug:        who.OrgSlug,
		OrgRole:        who.OrgRole,
		OrgPermissions: s.Permissions(),
		Actor:          json.RawMessage(s.Actor),
		Ages:           [2]int64{-1, -1},
	}
	if s.NotBefore.Is == claims.Present {
		out.NotBefore = &s.NotBefore.Unix
	}
	if s.IssuedAt.Is == claims.Present {
		out.IssuedAt = &s.IssuedAt.Unix
	}
	if s.Ages.Known {
		out.Ages = [2]int64{wholeMinutes(s.Ages.First), wholeMinutes(s.Ages.Second)}
	}
	return out
}

// wholeMinutes rounds an age up, which is the direction that asks for more, and
// keeps it where an int64 holds it.
func wholeMinutes(age float64) int64 { return int64(min(math.Ceil(age), math.MaxInt32)) }
