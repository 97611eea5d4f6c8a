package event

import "github.com/clerk/clerk-sdk-go/v2"

// Users. FullUser returns what clerk.User lacks.
var (
	UserCreated = newType[clerk.User]("user.created")
	UserUpdated = newType[clerk.User]("user.updated")
	UserDeleted = newType[Deleted]("user.deleted")
)

// Sessions. A session is ended by signing out of it, removed by signing out of all
// sessions of a client, and revoked by an administrator or from another device. A pending
// session has a task to complete first.
var (
	SessionCreated = newType[Session]("session.created")
	SessionPending = newType[Session]("session.pending")
	SessionEnded   = newType[Session]("session.ended")
	SessionRemoved = newType[Session]("session.removed")
	SessionRevoked = newType[Session]("session.revoked")
)

// Messages, whether Clerk or the application delivers them.
var (
	EmailCreated = newType[Email]("email.created")
	SMSCreated   = newType[SMS]("sms.created")
)

// Organizations, and what belongs to them.
var (
	OrganizationCreated = newType[Organization]("organization.created")
	OrganizationUpdated = newType[Organization]("organization.updated")
	OrganizationDeleted = newType[Deleted]("organization.deleted")

	OrganizationDomainCreated = newType[OrganizationDomain]("organizationDomain.created")
	OrganizationDomainUpdated = newType[OrganizationDomain]("organizationDomain.updated")
	OrganizationDomainDeleted = newType[Deleted]("organizationDomain.deleted")

	OrganizationMembershipCreated = newType[OrganizationMembership]("organizationMembership.created")
	OrganizationMembershipUpdated = newType[OrganizationMembership]("organizationMembership.updated")
	OrganizationMembershipDeleted = newType[DeletedMembership]("organizationMembership.deleted")

	OrganizationInvitationCreated  = newType[OrganizationInvitation]("organizationInvitation.created")
	OrganizationInvitationAccepted = newType[AcceptedInvitation]("organizationInvitation.accepted")
	OrganizationInvitationRevoked  = newType[OrganizationInvitation]("organizationInvitation.revoked")
)

// Roles and permissions.
var (
	RoleCreated = newType[clerk.OrganizationRole]("role.created")
	RoleUpdated = newType[clerk.OrganizationRole]("role.updated")
	RoleDeleted = newType[Deleted]("role.deleted")

	PermissionCreated = newType[clerk.OrganizationPermission]("permission.created")
	PermissionUpdated = newType[clerk.OrganizationPermission]("permission.updated")
	PermissionDeleted = newType[Deleted]("permission.deleted")
)

// The waitlist.
var (
	WaitlistEntryCreated = newType[clerk.WaitlistEntry]("waitlistEntry.created")
	WaitlistEntryUpdated = newType[clerk.WaitlistEntry]("waitlistEntry.updated")
)

// Billing. Payloads have the member names of API version 2025-11-10.
var (
	PaymentAttemptCreated = newType[PaymentAttempt]("paymentAttempt.created")
	PaymentAttemptUpdated = newType[PaymentAttempt]("paymentAttempt.updated")

	SubscriptionCreated = newType[Subscription]("subscription.created")
	SubscriptionUpdated = newType[Subscription]("subscription.updated")
	SubscriptionActive  = newType[Subscription]("subscription.active")
	SubscriptionPastDue = newType[Subscription]("subscription.pastDue")

	SubscriptionItemCreated         = newType[SubscriptionItem]("subscriptionItem.created")
	SubscriptionItemUpdated         = newType[SubscriptionItem]("subscriptionItem.updated")
	SubscriptionItemActive          = newType[SubscriptionItem]("subscriptionItem.active")
	SubscriptionItemCanceled        = newType[SubscriptionItem]("subscriptionItem.canceled")
	SubscriptionItemUpcoming        = newType[SubscriptionItem]("subscriptionItem.upcoming")
	SubscriptionItemEnded           = newType[SubscriptionItem]("subscriptionItem.ended")
	SubscriptionItemAbandoned       = newType[SubscriptionItem]("subscriptionItem.abandoned")
	SubscriptionItemIncomplete      = newType[SubscriptionItem]("subscriptionItem.incomplete")
	SubscriptionItemPastDue         = newType[SubscriptionItem]("subscriptionItem.pastDue")
	SubscriptionItemFreeTrialEnding = newType[SubscriptionItem]("subscriptionItem.freeTrialEnding")
)
