package clerkauth

// Conditions that an operator has to correct: those that look like invalid credentials,
// request by request, and do not end by themselves.
const (
	noticeSecretKey     = iota // Clerk rejects the secret key
	noticeMachineCache         // the MachineCache fails
	noticeForeignSecret        // the secret key belongs to another instance
	noticePublicKeySet         // the public key set cannot be compared with the secret key's
	noticeClock                // this machine's clock or Clerk's is wrong
	noticeIssuer               // tokens of the instance have another issuer
	noticeUnknownKey           // no token is signed with a key of the instance
	noticeNoParty              // tokens have no azp
	noticeParty                // tokens have an azp that is not configured
	noticeNoToken              // callers send the text of a missing value for a token
	noticeNoAudience           // OAuth tokens have no audience
	noticeUndescribed          // a route outside of all described resources accepts OAuth tokens
	noticeFrontendProxy        // the Frontend API fails behind FrontendAPIProxy
	noticeReflected            // a response to FrontendAPIProxy contains the secret key
	noticeCount
)
