package clerkauthtest

import (
	"encoding/json"
	"time"

	"github.com/clerk/clerk-sdk-go/v2"

	"github.com/clerkauth/clerkauth"
)

// resource returns the credential in the form of Clerk's API. The caller of it and of the
// functions below holds mu.
func (c *Credential) resource() any {
	switch c.Kind {
	case clerkauth.APIKey:
		return c.apiKey()
	case clerkauth.M2MToken:
		return c.m2mToken()
	default:
		return c.oauthToken()
	}
}

func (c *Credential) apiKey() clerk.APIKey {
	return clerk.APIKey{
		Object:           "api_key",
		ID:               c.ID,
		Type:             "api_key",
		Subject:          c.Subject,
		Name:             c.name,
		Description:      c.description,
		Claims:           c.rawClaims(),
		Scopes:           nonNil(c.scopes),
		Revoked:          c.revoked,
		RevocationReason: c.reason,
		Expired:          c.expired(),
		Expiration:       c.expirationMilli(),
		CreatedBy:        c.createdBy,
		CreatedAt:        c.createdAt.UnixMilli(),
		UpdatedAt:        c.updatedAt.UnixMilli(),
	}
}

func (c *Credential) m2mToken() clerk.M2MToken {
	return clerk.M2MToken{
		Object:           "machine_to_machine_token",
		ID:               c.ID,
		Subject:          c.Subject,
		Claims:           c.rawClaims(),
		Scopes:           nonNil(c.scopes),
		Revoked:          c.revoked,
		RevocationReason: c.reason,
		Expired:          c.expired(),
		Expiration:       c.expirationMilli(),
		CreatedAt:        c.createdAt.UnixMilli(),
		UpdatedAt:        c.updatedAt.UnixMilli(),
	}
}

// oauthToken is a map, because clerk-sdk-go has no type for it. Unlike those of other
// resources, its times are in seconds.
func (c *Credential) oauthToken() map[string]any {
	var expiration any
	if !c.expiration.IsZero() {
		expiration = c.expiration.Unix()
	}
	resource := map[string]any{
		"object":            "clerk_idp_oauth_access_token",
		"id":                c.ID,
		"client_id":         c.clientID,
		"type":              "oauth:access_token",
		"subject":           c.Subject,
		"scopes":            nonNil(c.scopes),
		"revoked":           c.revoked,
		"revocation_reason": c.reason,
		"expired":           c.expired(),
		"expiration":        expiration,
		"created_at":        c.createdAt.Unix(),
		"updated_at":        c.updatedAt.Unix(),
	}
	if len(c.audience) > 0 {
		resource["aud"] = c.audience
	}
	return resource
}

func (c *Credential) rawClaims() json.RawMessage {
	if c.claims == nil {
		return json.RawMessage("null")
	}
	return mustJSON(c.claims)
}

func (c *Credential) expirationMilli() *int64 {
	if c.expiration.IsZero() {
		return nil
	}
	at := c.expiration.UnixMilli()
	return &at
}

// resource returns the machine in the form of Clerk's API, with those that it may call.
func (m *Machine) resource() clerk.MachineWithScopedMachines {
	m.srv.mu.Lock()
	defer m.srv.mu.Unlock()
	shown := clerk.MachineWithScopedMachines{Machine: *m.machine(), ScopedMachines: []*clerk.Machine{}}
	for _, receiver := range m.receivers() {
		shown.ScopedMachines = append(shown.ScopedMachines, receiver.machine())
	}
	return shown
}

func (m *Machine) machine() *clerk.Machine {
	return &clerk.Machine{
		Object:          "machine",
		ID:              m.ID,
		Name:            m.Name,
		DefaultTokenTTL: int64(m.ttl / time.Second),
		CreatedAt:       m.createdAt.UnixMilli(),
		UpdatedAt:       m.createdAt.UnixMilli(),
	}
}
