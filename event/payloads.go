package event

import (
	"encoding/json"

	"github.com/clerk/clerk-sdk-go/v2"
)

// Deleted is what is left of something that was deleted.
type Deleted struct {
	ID         string  `json:"id"`
	Object     string  `json:"object"`      // what it was: user, organization, role, …
	Slug       *string `json:"slug"`        // an organization's
	ExternalID *string `json:"external_id"` // your own id of a user
	Deleted    bool    `json:"deleted"`
}

// DeletedMembership is a membership that ended, as it was.
type DeletedMembership struct {
	clerk.OrganizationMembership
	Deleted bool `json:"deleted"` // Clerk may leave it out, though it is deleted
}

// Session is a session with its user.
type Session struct {
	clerk.Session
	User *clerk.User `json:"user"` // nil if Clerk does not tell
}

// OrganizationDomain is a domain with its organization.
type OrganizationDomain struct {
	clerk.OrganizationDomain
	PublicOrganizationData *clerk.PublicOrganizationData `json:"public_organization_data"` // nil if Clerk does not tell
}

// OrganizationInvitation is an invitation with who invites.
type OrganizationInvitation struct {
	clerk.OrganizationInvitation
	InviterID *string `json:"inviter_id"` // the user's; nil if it was no user
}

// AcceptedInvitation is an invitation with who accepted it.
type AcceptedInvitation struct {
	OrganizationInvitation
	UserID string `json:"user_id"`
}

// Email is an email message.
type Email struct {
	ID                string          `json:"id"`
	Object            string          `json:"object"`
	Slug              *string         `json:"slug"` // which template: verification_code, invitation, …
	FromEmailName     string          `json:"from_email_name"`
	ReplyToEmailName  *string         `json:"reply_to_email_name"`
	ToEmailAddress    string          `json:"to_email_address"`
	EmailAddressID    *string         `json:"email_address_id"`
	UserID            *string         `json:"user_id"`
	Subject           string          `json:"subject"`
	Body              string          `json:"body"` // HTML
	BodyPlain         *string         `json:"body_plain"`
	Status            string          `json:"status"`
	Data              json.RawMessage `json:"data"`               // what the template was filled with, such as otp_code: a secret
	DeliveredByClerk  bool            `json:"delivered_by_clerk"` // false: sending it is yours
	SuppressionReason *string         `json:"suppression_reason"`
}

// SMS is a text message.
type SMS struct {
	ID               string          `json:"id"`
	Object           string          `json:"object"`
	Slug             *string         `json:"slug"` // which template
	FromPhoneNumber  string          `json:"from_phone_number"`
	ToPhoneNumber    string          `json:"to_phone_number"`
	PhoneNumberID    *string         `json:"phone_number_id"`
	UserID           *string         `json:"user_id"`
	Message          string          `json:"message"`
	Status           string          `json:"status"`
	Data             json.RawMessage `json:"data"`               // what the template was filled with, such as otp_code: a secret
	DeliveredByClerk bool            `json:"delivered_by_clerk"` // false: sending it is yours
}
