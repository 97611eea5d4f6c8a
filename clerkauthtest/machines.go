package clerkauthtest

import (
	"cmp"
	"crypto/rand"
	"maps"
	"net/http"
	"slices"
	"strings"
	"time"

	"github.com/clerkauth/clerkauth"
)

// Owner is whom an API key acts for: a *[User] or an *[Organization].
type Owner interface{ subject() string }

func (u *User) subject() string { return u.ID }

func (o *Organization) subject() string { return o.ID }

// Machine is a machine of the instance: a program that calls others, and is called.
type Machine struct {
	ID        string // mch_…
	Name      string
	SecretKey string // ak_…

	srv       *Server
	createdAt time.Time
}

// CreateMachine creates a machine.
func (s *Server) CreateMachine(name string) *Machine {
	m := &Machine{ID: "mch_" + rand.Text(), Name: name, SecretKey: "ak_" + rand.Text(), srv: s, createdAt: s.Now()}
	s.mu.Lock()
	defer s.mu.Unlock()
	s.machines[m.ID] = m
	return m
}

// Credential is a machine credential: an API key, a machine-to-machine token or an
// OAuth access token.
type Credential struct {
	Kind    clerkauth.TokenType
	ID      string // Clerk's id of it, which is no secret
	Subject string // whom it is for: user_…, org_… or mch_…
	Token   string // what is presented: ak_…, mt_… or oat_…

	srv      *Server
	name     string // of an API key
	clientID string // of an OAuth token
	scopes   []string
	claims   map[string]any
	audience []string // of an OAuth token

	createdAt, updatedAt time.Time
	expiration           time.Time // zero: never
	revoked              bool
	reason               *string // of the revocation
}

// prefixes begin ids and tokens.
var prefixes = map[clerkauth.TokenType]string{clerkauth.APIKey: "ak_", clerkauth.M2MToken: "mt_", clerkauth.OAuthToken: "oat_"}

// newCredential creates a credential that lives for so long; 0 is for ever.
func (s *Server) newCredential(kind clerkauth.TokenType, subject string, scopes []string, lifetime time.Duration) *Credential {
	c := &Credential{
		Kind:    kind,
		ID:      prefixes[kind] + rand.Text(),
		Subject: subject,
		Token:   prefixes[kind] + rand.Text() + rand.Text(),
		srv:     s,
		scopes:  slices.Clone(scopes),
	}
	c.createdAt = s.Now()
	c.updatedAt = c.createdAt
	if lifetime > 0 {
		c.expiration = c.createdAt.Add(lifetime)
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	s.credentials[c.Token] = c
	return c
}

// APIKey creates an API key that acts for owner and has these scopes. It never
// expires.
func (s *Server) APIKey(owner Owner, scopes ...string) *Credential {
	c := s.newCredential(clerkauth.APIKey, owner.subject(), scopes, 0)
	c.name = "key " + c.ID
	return c
}

// m2mLifetime and oauthLifetime are Clerk's.
const (
	m2mLifetime   = time.Hour
	oauthLifetime = 24 * time.Hour
)

// Token creates a token with which m calls these machines, for an hour.
func (m *Machine) Token(to ...*Machine) *Credential {
	scopes := make([]string, len(to))
	for i, other := range to {
		scopes[i] = other.ID
	}
	return m.srv.newCredential(clerkauth.M2MToken, m.ID, scopes, m2mLifetime)
}

// OAuthToken creates an access token with which that OAuth client acts for user,
// within these scopes, for a day.
func (s *Server) OAuthToken(user *User, clientID string, scopes ...string) *Credential {
	c := s.newCredential(clerkauth.OAuthToken, user.ID, scopes, oauthLifetime)
	c.clientID = clientID
	return c
}

// Authorize puts the credential into req, as a bearer token.
func (c *Credential) Authorize(req *http.Request) { req.Header.Set("Authorization", "Bearer "+c.Token) }

// Revoke ends a credential before it expires. Its JWTs are good until then.
func (s *Server) Revoke(c *Credential) { c.change(func() { c.revoked = true }) }

// Expire makes a credential one that has just expired.
func (s *Server) Expire(c *Credential) { c.SetExpiration(s.Now().Add(-time.Second)) }

// SetExpiration sets when the credential expires. The zero time is never.
func (c *Credential) SetExpiration(at time.Time) { c.change(func() { c.expiration = at }) }

// SetClaims sets the claims that the credential was created with.
func (c *Credential) SetClaims(claims map[string]any) {
	c.change(func() { c.claims = maps.Clone(claims) })
}

// SetAudience sets whom an OAuth token is for.
func (c *Credential) SetAudience(audience ...string) {
	c.change(func() { c.audience = slices.Clone(audience) })
}

func (c *Credential) change(f func()) {
	now := c.srv.Now()
	c.srv.mu.Lock()
	defer c.srv.mu.Unlock()
	f()
	c.updatedAt = now
}

// ShowEnded makes the instance answer with a credential that was revoked or has
// expired, and say so in the answer. Without it, such a credential is not found.
func (s *Server) ShowEnded() {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.showEnded = true
}

// expired tells whether the credential has. The caller holds mu.
func (c *Credential) expired(now time.Time) bool {
	return !c.expiration.IsZero() && !c.expiration.After(now)
}

// JWT mints the credential as a JWT, good for as long as the credential is, or an
// hour if that is for ever. Clerk issues no API key in this form.
func (c *Credential) JWT(opts ...TokenOption) string {
	d := draft{}
	for _, option := range opts {
		option(&d)
	}
	now := c.srv.Now()
	c.srv.mu.Lock()
	defer c.srv.mu.Unlock()
	if d.lifetime == 0 {
		d.lifetime = time.Hour
		if !c.expiration.IsZero() {
			d.lifetime = c.expiration.Sub(now)
		}
	}
	header, claims := c.srv.header(""), c.srv.registered(c.Subject, now, d.lifetime)
	delete(header, "cat")
	delete(claims, "azp") // nobody's page has to do with it
	claims["jti"] = c.ID
	switch c.Kind {
	case clerkauth.M2MToken:
		header["cat"] = categoryM2M
		claims["scopes"] = strings.Join(c.scopes, " ")
		claims["aud"] = c.shownScopes()
		maps.Copy(claims, c.claims)
	case clerkauth.OAuthToken:
		header["typ"] = "at+jwt"
		claims["client_id"] = c.clientID
		claims["scope"] = strings.Join(c.scopes, " ")
		if len(c.audience) > 0 {
			claims["aud"] = c.audience
		}
	default:
		claims["scopes"] = c.shownScopes()
		maps.Copy(claims, c.claims)
	}
	for _, change := range d.edits {
		change(header, claims)
	}
	return sign(cmp.Or(d.key, c.srv.signing.private), header, claims)
}
