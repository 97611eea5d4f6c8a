package event

import (
	"encoding/json"

	"github.com/clerk/clerk-sdk-go/v2"
)

// User is a user with every field that Clerk sends. The payload of UserCreated and
// UserUpdated is its embedded clerk.User, which lacks some of them. A handler gets the
// others from FullUser, or has a User as payload:
//
//	clerkauth.On(hooks, event.Custom[event.User]("user.created"), func(ctx context.Context, e *event.Event[event.User]) error { … })
//
// The lists of the embedded clerk.User point into those of the User.
type User struct {
	clerk.User
	ExternalAccounts        []*ExternalAccount        `json:"external_accounts"`
	SAMLAccounts            []*SAMLAccount            `json:"saml_accounts"`
	EnterpriseAccounts      []*EnterpriseAccount      `json:"enterprise_accounts"`
	OrganizationMemberships []*OrganizationMembership `json:"organization_memberships,omitempty"`
	Deprovisioned           bool                      `json:"deprovisioned"` // by the user's directory
	BypassClientTrust       bool                      `json:"bypass_client_trust"`
	SCIM                    *SCIM                     `json:"scim"` // nil if the user is of no directory
}

// SCIM says which directory a user was provisioned by.
type SCIM struct {
	DirectoryID      string  `json:"directory_id"`
	DirectoryEnabled bool    `json:"directory_enabled"`
	ExternalID       *string `json:"external_id"` // the directory's own id of the user
}

// ExternalAccount is an account at a social provider.
type ExternalAccount struct {
	clerk.ExternalAccount
	EmailAddressVerified *bool `json:"email_address_verified"` // nil if the provider does not say
}

// SAMLAccount is an account at a SAML identity provider.
type SAMLAccount struct {
	clerk.SAMLAccount
	// Connection is the connection as JSON, which Clerk's schema does not describe.
	// SAMLConnection is nil if it has another form.
	Connection json.RawMessage `json:"saml_connection"`
}

// EnterpriseAccount is an account at an enterprise's identity provider.
type EnterpriseAccount struct {
	clerk.EnterpriseAccount
	// Connection is the connection as JSON, which Clerk's schema does not describe.
	// EnterpriseConnection is nil if it has another form.
	Connection json.RawMessage `json:"enterprise_connection"`
}

// FullUser returns the payload of e with the fields that clerk.User lacks. The error is
// ErrMalformed if one of these does not fit its field, or if e holds no JSON.
func FullUser(e *Event[clerk.User]) (*User, error) {
	full, err := Custom[User](e.Type).Decode(&e.Raw)
	if err != nil {
		return nil, err
	}
	return &full.Data, nil
}

// PrimaryEmail returns the user's primary email address: the one whose id is the
// user's primary_email_address_id. It returns "" if there is none, as for users who
// sign in with a phone number or a username. The other addresses may be unverified.
func PrimaryEmail(u clerk.User) string {
	if u.PrimaryEmailAddressID == nil {
		return ""
	}
	for _, address := range u.EmailAddresses {
		if address != nil && address.ID == *u.PrimaryEmailAddressID {
			return address.EmailAddress
		}
	}
	return ""
}

// UnmarshalJSON decodes a user, including the lists of the embedded clerk.User.
func (u *User) UnmarshalJSON(text []byte) error {
	type fields User
	err := json.Unmarshal(text, (*fields)(u))
	u.User.ExternalAccounts = within(u.ExternalAccounts, func(a *ExternalAccount) *clerk.ExternalAccount { return &a.ExternalAccount })
	u.User.SAMLAccounts = within(u.SAMLAccounts, func(a *SAMLAccount) *clerk.SAMLAccount { return &a.SAMLAccount })
	u.User.EnterpriseAccounts = within(u.EnterpriseAccounts, func(a *EnterpriseAccount) *clerk.EnterpriseAccount { return &a.EnterpriseAccount })
	u.User.OrganizationMemberships = within(u.OrganizationMemberships, func(m *OrganizationMembership) *clerk.OrganizationMembership { return &m.OrganizationMembership })
	return err
}

// UnmarshalJSON decodes an account, and its connection if that has the form that the SDK
// expects.
func (a *SAMLAccount) UnmarshalJSON(text []byte) error {
	type fields SAMLAccount
	err := json.Unmarshal(text, (*fields)(a))
	read(a.Connection, &a.SAMLConnection)
	return err
}

// UnmarshalJSON decodes an account, and its connection if that has the form that the SDK
// expects.
func (a *EnterpriseAccount) UnmarshalJSON(text []byte) error {
	type fields EnterpriseAccount
	err := json.Unmarshal(text, (*fields)(a))
	read(a.Connection, &a.EnterpriseConnection)
	return err
}

// within returns the embedded value of each element, which may be nil.
func within[T, E any](list []*T, embedded func(*T) *E) []*E {
	if list == nil {
		return nil
	}
	out := make([]*E, len(list))
	for i, element := range list {
		if element != nil {
			out[i] = embedded(element)
		}
	}
	return out
}
