package clerkauth

import (
	"context"
	"log/slog"
	"slices"
	"time"

	"github.com/clerkauth/clerkauth/internal/claims"
)

// TokenType is the kind of credential that a caller presented.
type TokenType string

// Kinds of credentials, for [Config.Accept] and [Token].
const (
	// SessionToken is the JWT of a user's session.
	SessionToken TokenType = "session_token"
	// APIKey is a key that a user or an organization has made: ak_….
	APIKey TokenType = "api_key"
	// M2MToken is what one machine presents to another: mt_… or a JWT.
	M2MToken TokenType = "m2m_token"
	// OAuthToken is an access token that a user has granted to an OAuth client:
	// oat_… or a JWT.
	OAuthToken TokenType = "oauth_token" //nolint:gosec // it is a name
)

// Values of [Auth.SessionStatus]. A session token that names no status has none;
// it is of an active session.
const (
	SessionActive  = "active"
	SessionPending = "pending"
)

// Auth is the caller of a request. It is a value: what one handler changes in its copy no
// other sees. The zero value is an anonymous caller.
type Auth struct {
	TokenType TokenType

	// Subject is the owner of the credential: the user of a session, the user or
	// organization of an API key, the machine of a machine-to-machine token, the user who
	// granted an OAuth token.
	Subject string

	UserID        string // user_…; of a machine credential, if its subject is a user
	SessionID     string // sess_…
	SessionStatus string // SessionActive, SessionPending, or "" where the token names none

	// The active organization; all three are empty where there is none. OrgRole
	// has its prefix: org:admin. An organization's API key has its OrgID alone.
	OrgID, OrgSlug, OrgRole string

	// Actor is who acts in the user's name: in an impersonated session, or with an OAuth
	// token that an agent uses. It is the zero Actor if no one does.
	Actor Actor

	// TokenID is the credential's own id: its jti, or Clerk's id of an opaque one, which
	// is not the credential itself. It stays the same for the life of an API key, and
	// may be logged. Some session tokens have none.
	TokenID string
	// Of machine credentials: the name of an API key, the machine that sends a
	// machine-to-machine token (mch_…), the client that was granted an OAuth token.
	KeyName, MachineID, ClientID string

	// When the credential was issued and when it expires; zero where that is not known,
	// as of an API key that never expires.
	IssuedAt, ExpiresAt time.Time

	proof *proof // what was verified; nil for an Auth made by hand
	err   *Error
}

// proof is what stands behind an Auth. It is shared by all copies and never changed.
// It is behind one pointer more, because fmt follows the first where a verb does not
// fit.
type proof struct{ *facts }

// facts are the verified token and what it grants.
type facts struct {
	payload string          // the claims as they were written
	claims  *claims.Session // nil for a machine
	scopes  []string        // of a machine

	// audience is whom a machine's credential is for, as far as it says so in a form
	// that can be read.
	audience []string
	// since is when the ages in fva were counted; zero if the token does not say.
	since time.Time
	now   func() time.Time
}

// newProof returns the proof of f, in one piece of memory.
func newProof(f facts) *proof {
	both := &struct {
		proof
		of facts
	}{of: f}
	both.proof.facts = &both.of
	return &both.proof
}

// newAuth returns the identity in a session token that has been verified.
func newAuth(p *proof) Auth {
	s := p.claims
	who := Auth{
		TokenType:     SessionToken,
		Subject:       s.Subject,
		UserID:        s.Subject,
		SessionID:     s.SessionID,
		SessionStatus: s.Status,
		OrgID:         s.Org.ID,
		OrgSlug:       s.Org.Slug,
		OrgRole:       s.Org.Role,
		Actor:         newActor(s.Acting),
		ExpiresAt:     time.Unix(s.ExpiresAt.Unix, 0),
		proof:         p,
	}
	if claims.UsableID(s.TokenID) {
		who.TokenID = s.TokenID
	}
	if s.IssuedAt.Is == claims.Present {
		who.IssuedAt = time.Unix(s.IssuedAt.Unix, 0)
	}
	return who
}

// SignedIn reports whether the caller is a user with a session. A machine is never
// signed in, even if it acts for a user.
func (a Auth) SignedIn() bool {
	return a.UserID != "" && (a.TokenType == SessionToken || a.TokenType == "")
}

// machine reports whether the caller is the bearer of a machine credential.
func (a *Auth) machine() bool {
	switch a.TokenType {
	case APIKey, M2MToken, OAuthToken:
		return true
	default:
		return false
	}
}

// Err returns the *[Error] explaining why a caller who presented a credential is not
// signed in. It is nil for callers who are signed in and for those who presented
// nothing. On a public route it is [ErrUnavailable] if keys could not be fetched.
func (a Auth) Err() error {
	if a.err == nil {
		return nil
	}
	return a.err.own()
}

// Has reports whether the caller meets every one of the given requirements. Without
// any, it returns false. A machine can meet a [Token]; for its scopes see
// [Auth.HasScope].
//
//	who.Has(clerkauth.Permission("org:invoices:create"))
//
// A [CheckFunc] gets context.Background(), and counts as not met if it fails. Use
// [Authenticator.Check] where a deadline matters.
func (a Auth) Has(requirements ...Access) bool {
	if len(requirements) == 0 || !a.SignedIn() && !a.machine() {
		return false
	}
	checked := false
	for _, requirement := range requirements {
		p := policyOf(requirement)
		if len(p.checks) == 0 && !a.meets(p) {
			return false
		}
		checked = checked || len(p.checks) > 0
	}
	return !checked || a.meets(required(requirements))
}

// meets reports whether the caller meets p.
func (a Auth) meets(p *policy) bool {
	if p.wrong != nil {
		return false
	}
	e := evaluation{policy: p, who: a}
	if p.timed && a.proof != nil {
		e.now = a.proof.now()
	}
	for {
		v, check, _ := e.settle()
		if check == nil {
			return v.outcome == allowed
		}
		met, err := check.run(context.Background(), slog.Default(), nil, a)
		e.answer(check, met, err)
	}
}

// HasScope reports whether a machine credential has every one of the given scopes.
// Without any, it returns false, as it does for a session: for what a user may do see
// [Auth.Has].
func (a Auth) HasScope(scopes ...string) bool {
	if len(scopes) == 0 || !a.machine() || a.proof == nil {
		return false
	}
	return !slices.ContainsFunc(scopes, func(s string) bool { return !slices.Contains(a.proof.scopes, s) })
}

// Scopes returns the scopes of a machine credential, in its own order. Those of a
// machine-to-machine token are the machines that it is for.
func (a Auth) Scopes() []string {
	if a.proof == nil {
		return nil
	}
	return slices.Clone(a.proof.scopes)
}

// Permissions returns the permissions in the active organization, such as
// org:invoices:create, in the token's order.
func (a Auth) Permissions() []string {
	return slices.Clone(a.session().Permissions())
}

// LogValue returns ids and kinds, and nothing else of what a credential says.
func (a Auth) LogValue() slog.Value {
	var attrs []slog.Attr
	for _, id := range []struct{ name, value string }{
		{"token_type", string(a.TokenType)}, {"subject", a.Subject}, {"user_id", a.UserID}, {"session_id", a.SessionID}, {"session_status", a.SessionStatus},
		{"org_id", a.OrgID}, {"actor_id", a.Actor.ID},
		{"token_id", a.TokenID}, {"machine_id", a.MachineID}, {"client_id", a.ClientID},
	} {
		if id.value != "" {
			attrs = append(attrs, slog.String(id.name, id.value))
		}
	}
	return slog.GroupValue(attrs...)
}

// session returns the verified claims; those of a machine, and of an Auth made by
// hand, are empty.
func (a Auth) session() *claims.Session {
	if a.proof == nil || a.proof.claims == nil {
		return &claims.Session{}
	}
	return a.proof.claims
}

// identityKey is the context key for *identity. It is unexported so that other packages
// cannot overwrite it.
type identityKey struct{}

// FromContext returns the caller. Outside this package's middleware, and for anonymous
// callers, it is the zero Auth, but for its [Auth.Err].
func FromContext(ctx context.Context) Auth {
	if id, ok := ctx.Value(identityKey{}).(*identity); ok {
		return id.state.who
	}
	return Auth{}
}

// NewContext returns a context in which FromContext returns who, for tests of handlers.
// It opens no guard: [Authenticator.Require] believes only what its own Authenticator
// has verified. UserID is enough for a user, and OrgID beside OrgRole for a role. Session
// claims for clerk-sdk-go are in it only for an Auth that was verified.
func NewContext(ctx context.Context, who Auth) context.Context {
	return newIdentity(ctx, State{who: who})
}
