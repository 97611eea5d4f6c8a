package event

import (
	"encoding/json"

	"github.com/clerk/clerk-sdk-go/v2"
)

// Deleted identifies an object that was deleted.
type Deleted struct {
	ID         string  `json:"id"`
	Object     string  `json:"object"`      // its kind: user, organization, role, …
	Slug       *string `json:"slug"`        // of an organization
	ExternalID *string `json:"external_id"` // the application's own id of a user
	Deleted    bool    `json:"deleted"`
}

// Session is a session with its user.
type Session struct {
	clerk.Session
	User *User `json:"user"` // nil if Clerk does not send it
}

// Email is an email message.
type Email struct {
	ID                string          `json:"id"`
	Object            string          `json:"object"`
	Slug              *string         `json:"slug"` // of the template: verification_code, invitation, …
	FromEmailName     string          `json:"from_email_name"`
	ReplyToEmailName  *string         `json:"reply_to_email_name"`
	ToEmailAddress    string          `json:"to_email_address"`
	EmailAddressID    *string         `json:"email_address_id"`
	UserID            *string         `json:"user_id"`
	Subject           string          `json:"subject"`
	Body              string          `json:"body"` // HTML
	BodyPlain         *string         `json:"body_plain"`
	Status            string          `json:"status"`
	Data              json.RawMessage `json:"data"`               // the values in the template, such as otp_code, which is a secret
	DeliveredByClerk  bool            `json:"delivered_by_clerk"` // otherwise the application has to send it
	SuppressionReason *string         `json:"suppression_reason"`
}

// SMS is a text message.
type SMS struct {
	ID               string          `json:"id"`
	Object           string          `json:"object"`
	Slug             *string         `json:"slug"` // of the template
	FromPhoneNumber  string          `json:"from_phone_number"`
	ToPhoneNumber    string          `json:"to_phone_number"`
	PhoneNumberID    *string         `json:"phone_number_id"`
	UserID           *string         `json:"user_id"`
	Message          string          `json:"message"`
	Status           string          `json:"status"`
	Data             json.RawMessage `json:"data"`               // the values in the template, such as otp_code, which is a secret
	DeliveredByClerk bool            `json:"delivered_by_clerk"` // otherwise the application has to send it
	CreatedAt        int64           `json:"created_at_ms"`
}
