package clerkauthtest

import (
	"maps"
	"net/http"
	"slices"
	"strings"
	"time"

	"github.com/clerkauth/clerkauth"
)

// Owner is the owner of an API key: a *[User] or an *[Organization].
type Owner interface{ subject() string }

func (u *User) subject() string { return u.ID }

func (o *Organization) subject() string { return o.ID }

// Credential is a machine credential: an API key, a machine-to-machine token or an
// OAuth access token.
type Credential struct {
	Kind    clerkauth.TokenType
	ID      string // ak_…, mt_… or oat_…; not secret
	Subject string // user_…, org_… or mch_…
	Token   string // the secret that a caller presents, with the same prefix

	srv                  *Server
	name                 string // of an API key
	description          *string
	createdBy            *string
	clientID             string // of an OAuth token
	scopes               []string
	claims               map[string]any
	audience             []string // of an OAuth token
	createdAt, updatedAt time.Time
	expiration           time.Time // zero if it does not expire
	revoked              bool
	reason               *string // of the revocation
}

// prefixes are the beginnings of ids and tokens.
var prefixes = map[clerkauth.TokenType]string{
	clerkauth.APIKey:     "ak_",
	clerkauth.M2MToken:   "mt_",
	clerkauth.OAuthToken: "oat_",
}

const oauthLifetime = 24 * time.Hour // Clerk's

// newCredential returns a credential that expires after lifetime, or never if that is 0.
// The instance does not know it before add.
func (s *Server) newCredential(kind clerkauth.TokenType, subject string, scopes []string, lifetime time.Duration) *Credential {
	now := s.Now()
	c := &Credential{
		Kind:      kind,
		ID:        prefixes[kind] + randomText(),
		Subject:   subject,
		Token:     prefixes[kind] + randomText() + randomText(),
		srv:       s,
		scopes:    slices.Clone(scopes),
		createdAt: now,
		updatedAt: now,
	}
	if lifetime > 0 {
		c.expiration = now.Add(lifetime)
	}
	return c
}

func (c *Credential) add() *Credential {
	c.srv.mu.Lock()
	defer c.srv.mu.Unlock()
	c.srv.credentials = append(c.srv.credentials, c)
	return c
}

// CreateAPIKey creates an API key of owner, which does not expire.
func (s *Server) CreateAPIKey(owner Owner, scopes ...string) *Credential {
	c := s.newCredential(clerkauth.APIKey, owner.subject(), scopes, 0)
	c.name = "key of " + c.Subject
	return c.add()
}

// CreateOAuthToken creates an access token with which an OAuth client acts for user. It
// expires after a day.
func (s *Server) CreateOAuthToken(user *User, clientID string, scopes ...string) *Credential {
	c := s.newCredential(clerkauth.OAuthToken, user.ID, scopes, oauthLifetime)
	c.clientID = clientID
	return c.add()
}

// Authorize sets the Authorization header of req to the credential.
func (c *Credential) Authorize(req *http.Request) {
	req.Header.Set("Authorization", "Bearer "+c.Token)
}

// Revoke revokes the credential. Its JWTs are valid until they expire.
func (s *Server) Revoke(c *Credential) {
	s.check(c)
	c.change(func() { c.revoked = true })
}

// Expire puts the credential's expiration into the past.
func (s *Server) Expire(c *Credential) {
	s.check(c)
	c.SetExpiration(s.Now().Add(-time.Second))
}

func (s *Server) check(c *Credential) {
	if c.srv != s {
		panic("clerkauthtest: " + c.ID + " is of another instance")
	}
}

// SetExpiration sets when the credential expires: never, if t is zero.
func (c *Credential) SetExpiration(t time.Time) { c.change(func() { c.expiration = t }) }

// SetClaims sets the custom claims. OAuth tokens have none.
func (c *Credential) SetClaims(claims map[string]any) {
	c.change(func() { c.claims = maps.Clone(claims) })
}

// SetAudience sets the audience of an OAuth token. Credentials of other kinds have none of
// their own; that of a machine-to-machine token in JWT form is its scopes.
func (c *Credential) SetAudience(aud ...string) { c.change(func() { c.audience = slices.Clone(aud) }) }

// change calls f under mu.
func (c *Credential) change(f func()) {
	c.srv.mu.Lock()
	defer c.srv.mu.Unlock()
	f()
	c.updatedAt = c.srv.Now()
}

// ShowEnded sets whether the verification endpoints return credentials that are revoked
// or expired, marked as such. Defaults to false: they are not found.
func (s *Server) ShowEnded(show bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.showEnded = show
}

// expired reports whether the credential has expired. The caller holds mu.
func (c *Credential) expired() bool {
	return !c.expiration.IsZero() && !c.expiration.After(c.srv.Now())
}

// JWT issues the credential as a JWT. It expires with the credential, or in an hour if
// that does not expire.
func (c *Credential) JWT(opts ...TokenOption) string {
	now := c.srv.Now()
	c.srv.mu.Lock()
	d := draft{lifetime: c.lifetime(now)}
	for _, option := range opts {
		option(&d)
	}
	header, claims := c.prepare(now, d.lifetime)
	key := c.srv.signing.private
	c.srv.mu.Unlock()
	return d.sign(key, header, claims)
}

// lifetime returns how long a JWT that is issued now is valid, in whole seconds. The
// caller holds mu.
func (c *Credential) lifetime(now time.Time) time.Duration {
	if c.expiration.IsZero() {
		return time.Hour
	}
	return time.Duration(c.expiration.Unix()-now.Unix()) * time.Second
}

// prepare returns what Clerk would sign. The caller holds mu.
func (c *Credential) prepare(now time.Time, lifetime time.Duration) (header, claims map[string]any) {
	header = c.srv.header(categoryM2M)
	registered := c.srv.registered(c.Subject, now, lifetime)
	registered["jti"] = c.ID
	delete(registered, "azp") // no page requests it
	switch c.Kind {
	case clerkauth.M2MToken:
		registered["scopes"] = strings.Join(c.scopes, " ")
		registered["aud"] = nonNil(c.scopes)
	case clerkauth.OAuthToken:
		header["typ"] = "at+jwt"
		delete(header, "cat")
		registered["client_id"] = c.clientID
		registered["scope"] = strings.Join(c.scopes, " ")
		if len(c.audience) > 0 {
			registered["aud"] = slices.Clone(c.audience)
		}
	default:
		delete(header, "cat")
		delete(registered, "nbf")
		registered["scopes"] = nonNil(c.scopes)
	}
	claims = make(map[string]any)
	maps.Copy(claims, c.claims)
	maps.Copy(claims, registered) // custom claims do not replace them
	return header, claims
}

// nonNil returns a copy of list that is not nil, so that it is a list in JSON.
func nonNil(list []string) []string { return append([]string{}, list...) }
