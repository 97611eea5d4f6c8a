package clerkauthtest

import (
	"slices"
	"strings"
	"time"
)

// The resources of the Frontend API differ from those of the Backend API: a user's private
// metadata is not in them, and everything that belongs to a session is embedded in it.

type object = map[string]any

// clientResource returns a client with its session, whose token is for the pages of party.
// It is null for a nil client.
func (s *Server) clientResource(c *client, party string) any {
	if c == nil {
		return nil
	}
	s.mu.Lock()
	session := c.live()
	resource := object{
		"object":                       "client",
		"id":                           c.id,
		"sessions":                     []any{},
		"sign_in":                      nil,
		"sign_up":                      nil,
		"last_active_session_id":       nil,
		"last_authentication_strategy": nil,
		"cookie_expires_at":            nil, // the browser need not come back to renew it
		"captcha_bypass":               false,
		"created_at":                   c.createdAt.UnixMilli(),
		"updated_at":                   c.updatedAt.UnixMilli(),
	}
	s.mu.Unlock()
	if session != nil {
		resource["sessions"] = []any{s.sessionResource(session, party)}
		resource["last_active_session_id"] = session.ID
	}
	return resource
}

// sessionResource returns a session with a new token for the pages of party, or without one
// if it has ended.
func (s *Server) sessionResource(session *Session, party string) object {
	token, ok := session.mint(forParty(party))
	now := s.Now()
	s.mu.Lock()
	defer s.mu.Unlock()
	backend := session.resource()
	resource := object{
		"object":                      "session",
		"id":                          session.ID,
		"status":                      backend.Status,
		"expire_at":                   backend.ExpireAt,
		"abandon_at":                  backend.AbandonAt,
		"last_active_at":              now.UnixMilli(),
		"last_active_organization_id": orNull(backend.LastActiveOrganizationID),
		"actor":                       nil,
		"tasks":                       nil,
		"factor_verification_age":     session.agesAt(now),
		"user":                        session.User.frontendResource(),
		"public_user_data":            session.User.publicData(),
		"last_active_token":           nil,
		"created_at":                  backend.CreatedAt,
		"updated_at":                  backend.UpdatedAt,
	}
	if backend.Actor != nil {
		resource["actor"] = backend.Actor
	}
	if session.pending {
		resource["tasks"] = []any{object{"key": "choose-organization"}}
	}
	if ok {
		resource["last_active_token"] = tokenResource(token)
	}
	return resource
}

func tokenResource(token string) object { return object{"object": "token", "jwt": token} }

// frontendResource returns a user as the user may see themselves. The caller of it and of
// the functions below holds mu.
func (u *User) frontendResource() object {
	backend := u.resource()
	memberships := []any{}
	for _, m := range u.memberships() {
		memberships = append(memberships, m.frontendResource())
	}
	return object{
		"object":                      "user",
		"id":                          u.ID,
		"external_id":                 nil,
		"username":                    nil,
		"first_name":                  backend.FirstName,
		"last_name":                   backend.LastName,
		"image_url":                   "",
		"has_image":                   false,
		"primary_email_address_id":    backend.PrimaryEmailAddressID,
		"primary_phone_number_id":     backend.PrimaryPhoneNumberID,
		"primary_web3_wallet_id":      nil,
		"email_addresses":             backend.EmailAddresses,
		"phone_numbers":               backend.PhoneNumbers,
		"web3_wallets":                []any{},
		"passkeys":                    []any{},
		"external_accounts":           []any{},
		"enterprise_accounts":         []any{},
		"organization_memberships":    memberships,
		"password_enabled":            false,
		"two_factor_enabled":          false,
		"totp_enabled":                false,
		"backup_code_enabled":         false,
		"delete_self_enabled":         true,
		"create_organization_enabled": true,
		"create_organizations_limit":  nil,
		"public_metadata":             u.public,
		"unsafe_metadata":             u.unsafe,
		"legal_accepted_at":           nil,
		"last_sign_in_at":             milli(u.lastSignInAt),
		"created_at":                  backend.CreatedAt,
		"updated_at":                  backend.UpdatedAt,
	}
}

// milli returns t in milliseconds, or null if it is zero.
func milli(t time.Time) any {
	if t.IsZero() {
		return nil
	}
	return t.UnixMilli()
}

// publicData returns what the members of an organization see of a user.
func (u *User) publicData() object {
	return object{
		"first_name": orNull(u.firstName),
		"last_name":  orNull(u.lastName),
		"image_url":  "",
		"has_image":  false,
		"identifier": u.identifier(),
		"user_id":    u.ID,
		"username":   nil,
	}
}

// memberships returns the user's memberships, in the order in which they were created.
func (u *User) memberships() []*membership {
	return slices.DeleteFunc(slices.Clone(u.srv.memberships), func(m *membership) bool { return m.user != u })
}

func (m *membership) frontendResource() object {
	o := m.organization
	return object{
		"object":           "organization_membership",
		"id":               m.id,
		"role":             m.role,
		"role_name":        strings.TrimPrefix(m.role, "org:"),
		"permissions":      nonNil(unique(o.roles[m.role], m.permissions)),
		"public_metadata":  object{},
		"public_user_data": m.user.publicData(),
		"organization": object{
			"object":                    "organization",
			"id":                        o.ID,
			"name":                      o.Slug,
			"slug":                      o.Slug,
			"image_url":                 "",
			"has_image":                 false,
			"public_metadata":           object{},
			"members_count":             o.members(),
			"pending_invitations_count": 0,
			"max_allowed_memberships":   5,
			"admin_delete_enabled":      true,
			"created_at":                o.createdAt.UnixMilli(),
			"updated_at":                o.createdAt.UnixMilli(),
		},
		"created_at": m.createdAt.UnixMilli(),
		"updated_at": m.createdAt.UnixMilli(),
	}
}
