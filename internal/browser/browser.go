// Package browser decides what becomes of a browser's request: whether its session is
// signed in or signed out, or whether the server has to do something first, such as
// verifying a token, refreshing an expired one, or sending the browser through Clerk's
// Frontend API to renew its cookies (a handshake).
//
// [Read] reads the facts of a request. [Resolve] is a pure function: it returns the next
// step, and is called again with what that step has found until the step is final. It
// makes no call, looks at no clock, and trusts no token that was not verified.
package browser

// Settings are what the configuration says about browsers. They do not change, and are
// safe for concurrent use.
type Settings struct {
	Production bool
	// Suffix is that of the names of the instance's cookies; see [Suffix].
	Suffix string
	// Host is the host of the Frontend API as session tokens name it in iss.
	Host string
	// Frontend is the URL at which browsers reach the Frontend API, without a slash at
	// its end.
	Frontend string
	// Accounts is the origin of the instance's account portal, "" if there is none.
	Accounts string

	Satellite bool
	AutoSync  bool
	// SignInURL is the primary application's page, for satellites in development.
	SignInURL string
	// NoNonce asks for handshakes that need no call to the Backend API.
	NoNonce bool
	// Satellites are the origins to which a primary application sends browsers back.
	Satellites []string

	Organizations Organizations
}

// The cookies and query parameters of Clerk's browser flows.
const (
	cookieSession    = "__session"
	cookieClientUAT  = "__client_uat"
	cookieRefresh    = "__refresh"
	cookieDevBrowser = "__clerk_db_jwt"
	cookieHandshake  = "__clerk_handshake"
	cookieNonce      = "__clerk_handshake_nonce"
	cookieRedirects  = "__clerk_redirect_count"

	paramDevBrowser       = "__clerk_db_jwt"
	paramLegacyDevBrowser = "__dev_session"
	paramHandshake        = "__clerk_handshake"
	paramNonce            = "__clerk_handshake_nonce"
	paramHelp             = "__clerk_help"
	paramSynced           = "__clerk_synced"
	paramRedirectURL      = "__clerk_redirect_url"
)

// The reasons of Clerk's SDKs that this package gives by itself.
const (
	ReasonTokenInvalid     = "token-invalid"
	ReasonTokenType        = "token-type-mismatch" //nolint:gosec // it is a name
	ReasonExpired          = "token-expired"
	ReasonEarly            = "token-not-active-yet"
	ReasonFuture           = "token-iat-in-the-future"
	ReasonCrossSite        = "cross-site-request"
	ReasonSessionMissing   = "session-token-missing"
	ReasonNothing          = "session-token-and-uat-missing"
	ReasonNoClientUAT      = "session-token-but-no-client-uat"
	ReasonNoSession        = "client-uat-but-no-session-token"
	ReasonOutdated         = "session-token-iat-before-client-uat"
	ReasonExpiredRefresh   = "session-token-expired-refresh-" // and why it was not refreshed
	ReasonSessionEarly     = "session-token-nbf"
	ReasonSessionFuture    = "session-token-iat-in-the-future"
	ReasonDevBrowser       = "dev-browser-missing"
	ReasonDevBrowserSync   = "dev-browser-sync"
	ReasonSatellite        = "satellite-needs-syncing"
	ReasonPrimaryResponds  = "primary-responds-to-syncing"
	ReasonPrimarySync      = "primary-domain-cross-origin-sync"
	ReasonOrganization     = "active-organization-mismatch"
	ReasonUnavailable      = "unexpected-error"
	reasonNonGET           = "non-eligible-non-get"
	reasonNoRefreshCookie  = "non-eligible-no-refresh-cookie"
	reasonMissingSessionID = "expired-session-token-missing-sid-claim"
	reasonNoSuchSession    = "resource_not_found"
	reasonBackend          = "unexpected-bapi-error"
	reasonNoCookies        = "unexpected-sdk-error"
	reasonNewTokenInvalid  = "invalid-session-token"
)

// Action is what a [Step] says is to be done.
type Action uint8

const (
	// SignedOut is final: the caller is anonymous, for Reason.
	SignedOut Action = iota
	// SignedIn is final: the caller is whom the token in Of was verified for, or that
	// session is pending.
	SignedIn
	// Redirect is final: the response is a redirect to Location, for Reason. If that is
	// "", the caller is also whom the token in Of was verified for.
	Redirect
	// Unavailable is final: nothing can be said about the caller, because Clerk cannot be
	// reached.
	Unavailable
	// Postpone is final: the browser has requested a page before the user goes there,
	// and must request it again then.
	Postpone

	// Verify asks to verify Token as a session token, and to set the finding named by Of.
	Verify
	// VerifyHandshake asks to verify Token as a handshake token, and to set
	// Findings.Handshake.
	VerifyHandshake
	// FetchHandshake asks the Backend API for what the nonce in Token stands for, and to
	// set Findings.Handshake.
	FetchHandshake
	// Refresh asks the Backend API for new cookies in exchange for Token, which has
	// expired, of the session with the id Session, and to set Findings.Refresh.
	Refresh
)

// Token is which session token a [Step] is about.
type Token uint8

const (
	// Presented is the token in the session cookie, or in the Authorization header.
	Presented Token = iota
	// Received is the token in the directives of a handshake.
	Received
	// Refreshed is the token in the response to a refresh.
	Refreshed
)

// Step is what is to be done next about a request.
type Step struct {
	Action Action
	Reason string
	Of     Token
	// Token is what is to be verified, fetched or refreshed.
	Token   string
	Session string
	// Lenient asks to verify with a tolerance of a day for clocks that differ.
	Lenient bool
	// Location is where a browser is sent.
	Location string
	// SetCookies are lines of Set-Cookie, verbatim.
	SetCookies []string
}

// Verdict is what verifying a session token has found.
type Verdict struct {
	// Reason is why it is refused, "" if it is valid. It is valid but for its expiry if
	// this is ReasonExpired.
	Reason string
	// Pending is whether it is valid, and its session has a task left.
	Pending bool
	// NoUser is whether it is valid but authenticates no user, because the session is pending.
	NoUser bool
	// Away is whether it could not be verified, because keys cannot be fetched.
	Away bool
	// The claims of a token whose signature is valid.
	User, Session  string
	OrgID, OrgSlug string
	HasIssuedAt    bool
}

// valid reports whether the token says who the caller is.
func (v *Verdict) valid() bool { return v.Reason == "" && !v.Away }

// genuine reports whether the token is valid but for its expiry.
func (v *Verdict) genuine() bool { return !v.Away && (v.Reason == "" || v.Reason == ReasonExpired) }

// Handshake is what a handshake token says, or what a nonce stands for.
type Handshake struct {
	// Reason is why the token is refused, "" if it is not.
	Reason string
	// Away is whether Clerk could not be reached.
	Away bool
	// Refused is whether Clerk does not know the nonce, or not any longer.
	Refused bool
	// Directives are lines of Set-Cookie.
	Directives []string
	// Malformed is whether the list of directives has something else than text.
	Malformed bool
}

// Renewal is the outcome of a refresh.
type Renewal struct {
	// Code is why there are no new cookies, "" if there are.
	Code string
	// Away is whether that is because Clerk cannot be reached.
	Away bool
	// Cookies are lines of Set-Cookie.
	Cookies []string
}

// Findings are what the steps so far have found. A nil pointer has not been asked for.
type Findings struct {
	Tokens    [3]*Verdict // by Token
	Handshake *Handshake
	Refresh   *Renewal
	// Lenient is whether Received was verified with a tolerance for clocks.
	Lenient bool
}
