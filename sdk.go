package clerkauth

import (
	"github.com/clerk/clerk-sdk-go/v2"

	"github.com/clerkauth/clerkauth/internal/sdkclaims"
)

// sessionClaims returns the claims for clerk.SessionClaimsFromContext: those of a
// signed-in user's verified token, or nil for every other caller. They are computed at
// the first call.
func (c *identity) sessionClaims() *clerk.SessionClaims {
	who := c.state.who
	if !who.SignedIn() || who.proof == nil || who.proof.claims == nil {
		return nil
	}
	c.sdkOnce.Do(func() {
		c.sdk = sdkclaims.Of(who.proof.claims, sdkclaims.Caller{
			UserID: who.UserID, SessionID: who.SessionID, OrgID: who.OrgID, OrgSlug: who.OrgSlug, OrgRole: who.OrgRole,
		})
	})
	return c.sdk
}
