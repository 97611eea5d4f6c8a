// Package sdkclaims makes the session claims that handlers written for clerk-sdk-go find in
// a request's context.
package sdkclaims

import (
	"context"
	"encoding/json"
	"math"

	"github.com/clerk/clerk-sdk-go/v2"

	"github.com/clerkauth/clerkauth/internal/claims"
)

// Key is the context key of clerk-sdk-go's session claims. The SDK does not export it, so
// it is recorded when the SDK looks for it.
var Key = func() any {
	recorder := &keyRecorder{Context: context.Background()}
	clerk.SessionClaimsFromContext(recorder)
	return recorder.key
}()

// keyRecorder is a context that records the key of the last lookup.
type keyRecorder struct {
	context.Context
	key any
}

func (k *keyRecorder) Value(key any) any {
	k.key = key
	return nil
}

// canonicalClaims are a session's claims as clerk-sdk-go unmarshals them: each
// registered name once, and the organization in one form for both token versions.
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

// Caller is whom the claims are about.
type Caller struct{ UserID, SessionID, OrgID, OrgSlug, OrgRole string }

// Of returns the claims of a session whose token was verified, or nil if they do not fit
// into the SDK's type.
func Of(s *claims.Session, who Caller) *clerk.SessionClaims {
	text, err := json.Marshal(canonical(s, who))
	if err != nil {
		return nil
	}
	var out clerk.SessionClaims
	if json.Unmarshal(text, &out) != nil {
		return nil
	}
	return &out
}

// canonical returns the claims of a verified session.
func canonical(s *claims.Session, who Caller) canonicalClaims {
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

// wholeMinutes rounds an age up, so that no sign-in looks more recent than it is, and
// limits it to what an int64 holds.
func wholeMinutes(age float64) int64 { return int64(min(math.Ceil(age), math.MaxInt32)) }
