package event

import (
	"encoding/json"
	"errors"

	"github.com/clerk/clerk-sdk-go/v2"
)

// Organization is an organization.
type Organization struct {
	clerk.Organization
	LastActiveAt *int64 `json:"last_active_at"`
}

// OrganizationMembership is a membership with its organization and member.
type OrganizationMembership struct {
	clerk.OrganizationMembership
	Organization   *Organization   `json:"organization"`
	PublicUserData *PublicUserData `json:"public_user_data"` // nil if Clerk does not send it
}

// PublicUserData is what members of an organization see of each other.
type PublicUserData struct {
	clerk.OrganizationMembershipPublicUserData
	Banned        bool `json:"banned"`
	Deprovisioned bool `json:"deprovisioned"`
}

// DeletedMembership is a membership as it was before its deletion.
type DeletedMembership struct {
	OrganizationMembership
	Deleted bool `json:"deleted"` // may be false: Clerk may leave it out
}

// OrganizationDomain is a domain with its organization.
type OrganizationDomain struct {
	clerk.OrganizationDomain
	Verification            *DomainVerification           `json:"verification"`
	AffiliationVerification *DomainVerification           `json:"affiliation_verification"`
	OwnershipVerification   *DomainVerification           `json:"ownership_verification"`
	PublicOrganizationData  *clerk.PublicOrganizationData `json:"public_organization_data"` // nil if Clerk does not send it
}

// DomainVerification is the state of a domain's verification.
type DomainVerification struct {
	clerk.OrganizationDomainVerification
	VerifiedAt *int64 `json:"verified_at"`
}

// OrganizationInvitation is an invitation with the user who sent it.
type OrganizationInvitation struct {
	clerk.OrganizationInvitation
	InviterID         *string                                     `json:"inviter_id"`          // nil if no user sent it
	PublicInviterData *clerk.OrganizationMembershipPublicUserData `json:"public_inviter_data"` // nil if no user sent it
	Data              *InvitationData                             `json:"data"`                // nil if Clerk does not send it
}

// InvitationData is the data of an invitation.
type InvitationData struct {
	PublicOrganizationData *clerk.PublicOrganizationData `json:"public_organization_data"`
}

// AcceptedInvitation is an invitation with the user who accepted it.
type AcceptedInvitation struct {
	OrganizationInvitation
	UserID string `json:"user_id"`
}

// UnmarshalJSON decodes a membership. The embedded one gets the same organization and
// member.
func (m *OrganizationMembership) UnmarshalJSON(text []byte) error {
	type fields OrganizationMembership
	err := json.Unmarshal(text, (*fields)(m))
	m.OrganizationMembership.Organization, m.OrganizationMembership.PublicUserData = nil, nil
	if m.Organization != nil {
		m.OrganizationMembership.Organization = &m.Organization.Organization
	}
	if m.PublicUserData != nil {
		m.OrganizationMembership.PublicUserData = &m.PublicUserData.OrganizationMembershipPublicUserData
	}
	return err
}

// UnmarshalJSON decodes a membership, and whether it was deleted.
func (m *DeletedMembership) UnmarshalJSON(text []byte) error {
	err := json.Unmarshal(text, &m.OrganizationMembership)
	return errors.Join(err, json.Unmarshal(text, &struct {
		Deleted *bool `json:"deleted"`
	}{&m.Deleted}))
}

// UnmarshalJSON decodes a domain. The embedded one gets the same verification.
func (d *OrganizationDomain) UnmarshalJSON(text []byte) error {
	type fields OrganizationDomain
	err := json.Unmarshal(text, (*fields)(d))
	d.OrganizationDomain.Verification = nil
	if d.Verification != nil {
		d.OrganizationDomain.Verification = &d.Verification.OrganizationDomainVerification
	}
	return err
}
