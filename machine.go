package clerkauth

import (
	"context"
	"encoding/json"
	"errors"
	"slices"
	"strings"
	"time"

	"github.com/clerkauth/clerkauth/internal/claims"
	"github.com/clerkauth/clerkauth/internal/clerkapi"
	"github.com/clerkauth/clerkauth/internal/clerkkey"
)

// machine is a verified machine credential, however it was verified. It is what
// caches hold, so it holds no credential.
type machine struct {
	Type      TokenType       `json:"type"`
	ID        string          `json:"id"`
	Subject   string          `json:"subject"`
	Name      string          `json:"name,omitempty"`
	ClientID  string          `json:"client_id,omitempty"`
	Scopes    []string        `json:"scopes"`
	Claims    json.RawMessage `json:"claims,omitempty"`
	Audience  []string        `json:"audience,omitempty"`
	IssuedAt  time.Time       `json:"issued_at,omitzero"`
	ExpiresAt time.Time       `json:"expires_at,omitzero"`

	actor *claims.Actor // of a JWT
	who   *Auth         // who presents it, if that is kept
}

// remembered returns m with the identity of who presents it, which is the same each
// time.
func (m *machine) remembered(now func() time.Time) *machine {
	who := m.auth(now)
	m.who = &who
	return m
}

// size is about how many bytes m takes.
func (m *machine) size() int {
	n := 1024 + len(m.ID) + len(m.Subject) + len(m.Name) + len(m.ClientID) + 2*len(m.Claims)
	for _, list := range [][]string{m.Scopes, m.Audience} {
		for _, s := range list {
			n += 16 + len(s)
		}
	}
	return n
}

// auth returns who presents m.
func (m *machine) auth(now func() time.Time) Auth {
	who := Auth{
		TokenType: m.Type,
		Subject:   m.Subject,
		TokenID:   m.ID,
		KeyName:   m.Name,
		ClientID:  m.ClientID,
		IssuedAt:  m.IssuedAt,
		ExpiresAt: m.ExpiresAt,
		Actor:     newActor(m.actor),
		proof:     newProof(facts{payload: string(m.Claims), scopes: m.Scopes, audience: m.Audience, now: now}),
	}
	if len(m.Claims) == 0 {
		who.proof.payload = "null" // it was created without claims
	}
	switch {
	case m.Type == M2MToken:
		who.MachineID = m.Subject
	case strings.HasPrefix(m.Subject, "user_"):
		who.UserID = m.Subject
	case strings.HasPrefix(m.Subject, "org_"):
		who.OrgID = m.Subject
	}
	return who
}

// verifyMachine verifies a machine credential, of a kind that the route takes.
func (a *core) verifyMachine(ctx context.Context, u *unverified) (Auth, *Error) {
	verify := a.verifyMachineToken
	if u.opaque {
		verify = a.verifyOpaque
	}
	m, err := verify(ctx, u)
	if err != nil {
		return Auth{}, err
	}
	if reason := a.judgeMachine(m); reason != "" {
		return Auth{}, newError(reason, nil)
	}
	if m.who != nil {
		return *m.who, nil
	}
	return m.auth(a.now), nil
}

// owners are what the ids begin with that credentials of a kind may be for.
var owners = map[TokenType][]string{APIKey: {"user_", "org_"}, M2MToken: {"mch_"}, OAuthToken: {"user_"}}

// ownedBy reports whether a credential of that kind may be for subject, whatever its
// form.
func ownedBy(kind TokenType, subject string) bool {
	return slices.ContainsFunc(owners[kind], func(prefix string) bool {
		return len(subject) > len(prefix) && strings.HasPrefix(subject, prefix)
	})
}

// verifyMachineToken verifies a JWT of a machine with the instance's keys.
func (a *core) verifyMachineToken(ctx context.Context, u *unverified) (*machine, *Error) {
	h := &u.token.Header
	var scopes []claims.ScopeClaim // the first one that is there counts
	var fits bool
	switch u.kind {
	case kindM2M:
		scopes = []claims.ScopeClaim{{Name: "scopes", TextOnly: true}, {Name: "aud"}}
		fits = (!h.HasCat || h.Category == categoryM2M) && (!h.HasType || h.Type == "JWT")
	case kindOAuth:
		scopes = []claims.ScopeClaim{{Name: "scp"}, {Name: "scope", TextOnly: true}}
		fits = !h.HasCat || h.Category == categoryIgnore
	case kindAPIKey:
		scopes = []claims.ScopeClaim{{Name: "scopes"}}
		fits = true // see classify
	}
	if !fits {
		return nil, newError(ErrTokenInvalid, nil)
	}
	if err := a.verifySignature(ctx, u); err != nil {
		return nil, err
	}
	payload, list, err := a.readPayload(u, nil)
	if err != nil {
		return nil, err
	}
	c := list.ReadMachine(scopes...)
	if u.kind == kindOAuth && slices.Contains(c.Audience, "") {
		c.AudienceIs = claims.Malformed // not even in part
	}
	now := a.now()
	if reason := a.judgeMachineToken(u.kind, c, now); reason != "" {
		a.refused(reason)
		return nil, newError(reason, nil)
	}
	a.operator.sawVerified(now)
	m := &machine{
		Type:      u.kind.name(),
		ID:        c.TokenID,
		Subject:   c.Subject,
		ClientID:  c.ClientID,
		Scopes:    c.Scopes,
		Claims:    json.RawMessage(payload),
		ExpiresAt: time.Unix(c.ExpiresAt.Unix, 0),
		actor:     c.Acting,
	}
	if c.AudienceIs == claims.Present {
		m.Audience = c.Audience
	}
	if c.IssuedAt.Is == claims.Present {
		m.IssuedAt = time.Unix(c.IssuedAt.Unix, 0)
	}
	return m, nil
}

// configureMachines checks and applies the configuration of machine credentials.
func (a *core) configureMachines(c Config, wrong *mistakes) {
	a.accept = newAccept(c.Accept, wrong)
	a.machineID = c.Machines.ID
	if c.Machines.ID != "" && (!strings.HasPrefix(c.Machines.ID, "mch_") || !clerkapi.ValidName(c.Machines.ID)) {
		wrong.add("Machines.ID", errors.New("it must look like mch_…"))
	}
	if !c.Machines.SecretKey.IsZero() {
		wrong.add("Machines.SecretKey", clerkkey.CheckMachineSecret(c.Machines.SecretKey.reveal()))
	}
	if a.accept.has(kindAPIKey) && c.SecretKey.IsZero() {
		wrong.add("Accept", errors.New("API keys are verified by the Backend API, which requires a SecretKey: set CLERK_SECRET_KEY"))
	}
	if c.Machines.CacheTTL < 0 && c.Machines.CacheTTL != AskEveryTime || c.Machines.CacheTTL > maxMachineTTL {
		wrong.add("Machines.CacheTTL", errors.New("it must be AskEveryTime or from 0 to "+maxMachineTTL.String()))
	}
	a.opaque = newOpaque(a, c)
}

// tellOfOpaque says at the start which credentials are refused for want of a secret
// key: that is fine where all of them are JWTs, and puzzling elsewhere.
func (a *core) tellOfOpaque(c Config) {
	if a.accept.has(kindOAuth) && c.SecretKey.IsZero() {
		a.log.Info("clerkauth: OAuth tokens are accepted as JWTs alone; opaque ones (oat_…) need a SecretKey: set CLERK_SECRET_KEY")
	}
	if a.accept.has(kindM2M) && c.SecretKey.IsZero() && c.Machines.SecretKey.IsZero() {
		a.log.Info("clerkauth: machine-to-machine tokens are accepted as JWTs alone; opaque ones (mt_…) need a secret key: set CLERK_MACHINE_SECRET_KEY")
	}
}
