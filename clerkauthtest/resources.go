package clerkauthtest

import (
	"encoding/json"
	"strings"
	"time"

	"github.com/clerk/clerk-sdk-go/v2"

	"github.com/clerkauth/clerkauth"
)

// resource returns the user in the form of Clerk's API. The caller of it and of the
// functions below holds mu.
func (u *User) resource() clerk.User {
	createdAt, updatedAt := u.createdAt.UnixMilli(), u.updatedAt.UnixMilli()
	resource := clerk.User{
		Object:             "user",
		ID:                 u.ID,
		FirstName:          orNull(u.firstName),
		LastName:           orNull(u.lastName),
		EmailAddresses:     []*clerk.EmailAddress{},
		PhoneNumbers:       []*clerk.PhoneNumber{},
		Web3Wallets:        []*clerk.Web3Wallet{},
		Passkeys:           []*clerk.Passkey{},
		ExternalAccounts:   []*clerk.ExternalAccount{},
		SAMLAccounts:       []*clerk.SAMLAccount{},
		EnterpriseAccounts: []*clerk.EnterpriseAccount{},
		PublicMetadata:     u.public,
		PrivateMetadata:    u.private,
		UnsafeMetadata:     u.unsafe,
		Banned:             u.banned,
		CreatedAt:          createdAt,
		UpdatedAt:          updatedAt,
	}
	if !u.lastSignInAt.IsZero() {
		at := u.lastSignInAt.UnixMilli()
		resource.LastSignInAt = &at
	}
	if u.Email != "" {
		id := "idn_" + u.ID[len("user_"):]
		resource.PrimaryEmailAddressID = &id
		resource.EmailAddresses = append(resource.EmailAddresses, &clerk.EmailAddress{
			Object:       "email_address",
			ID:           id,
			EmailAddress: u.Email,
			Verification: verifiedBy("email_code"),
			LinkedTo:     []*clerk.LinkedIdentification{},
			CreatedAt:    createdAt,
			UpdatedAt:    createdAt,
		})
	}
	if u.Phone != "" {
		id := "idn_P" + u.ID[len("user_"):]
		resource.PrimaryPhoneNumberID = &id
		resource.PhoneNumbers = append(resource.PhoneNumbers, &clerk.PhoneNumber{
			Object:       "phone_number",
			ID:           id,
			PhoneNumber:  u.Phone,
			Verification: verifiedBy("phone_code"),
			LinkedTo:     []*clerk.LinkedIdentification{},
			BackupCodes:  []string{},
			CreatedAt:    createdAt,
			UpdatedAt:    createdAt,
		})
	}
	return resource
}

func verifiedBy(strategy string) *clerk.Verification {
	return &clerk.Verification{Object: "verification_otp", Status: "verified", Strategy: strategy}
}

func orNull(s string) *string {
	if s == "" {
		return nil
	}
	return &s
}

func (s *Session) resource() clerk.Session {
	const week = 7 * 24 * time.Hour // Clerk's default
	resource := clerk.Session{
		Object:       "session",
		ID:           s.ID,
		ClientID:     s.client.id,
		UserID:       s.User.ID,
		Status:       s.status(),
		LastActiveAt: s.signedInAt.UnixMilli(),
		ExpireAt:     s.signedInAt.Add(week).UnixMilli(),
		AbandonAt:    s.signedInAt.Add(4 * week).UnixMilli(),
		CreatedAt:    s.signedInAt.UnixMilli(),
		UpdatedAt:    s.signedInAt.UnixMilli(),
	}
	if s.Organization != nil {
		resource.LastActiveOrganizationID = s.Organization.ID
	}
	if s.actorID != "" {
		resource.Actor = mustJSON(map[string]any{"sub": s.actorID})
	}
	return resource
}

func (o *Organization) resource() *clerk.Organization {
	return &clerk.Organization{
		Object:          "organization",
		ID:              o.ID,
		Name:            o.Slug,
		Slug:            o.Slug,
		PublicMetadata:  json.RawMessage("{}"),
		PrivateMetadata: json.RawMessage("{}"),
		CreatedAt:       o.createdAt.UnixMilli(),
		UpdatedAt:       o.createdAt.UnixMilli(),
	}
}

func (m *membership) resource() clerk.OrganizationMembership {
	permissions := nonNil(unique(m.organization.roles[m.role], m.permissions))
	return clerk.OrganizationMembership{
		Object:          "organization_membership",
		ID:              m.id,
		Organization:    m.organization.resource(),
		Permissions:     permissions,
		PublicMetadata:  json.RawMessage("{}"),
		PrivateMetadata: json.RawMessage("{}"),
		Role:            m.role,
		RoleName:        strings.TrimPrefix(m.role, "org:"),
		CreatedAt:       m.createdAt.UnixMilli(),
		UpdatedAt:       m.createdAt.UnixMilli(),
		PublicUserData: &clerk.OrganizationMembershipPublicUserData{
			UserID:     m.user.ID,
			FirstName:  orNull(m.user.firstName),
			LastName:   orNull(m.user.lastName),
			Identifier: m.user.identifier(),
		},
	}
}

// resource returns the credential in the form of Clerk's API.
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
