package clerkauth

import (
	"context"
	"errors"
	"testing"
	"time"

	"github.com/clerkauth/clerkauth/internal/claims"
)

// testUser and testMachine return callers as they are after authentication.
func testUser(change func(*claims.Session)) State {
	s := &claims.Session{
		Registered: claims.Registered{Subject: "user_1", ExpiresAt: claims.Time{Unix: 2_000_000_000, Is: claims.Present}},
		SessionID:  "sess_1", Org: claims.Org{ID: "org_1", Slug: "acme", Role: "org:member"}, Ages: claims.Ages{First: 1, Second: -1, Known: true},
	}
	if change != nil {
		change(s)
	}
	return State{who: newAuth(newProof(facts{claims: s, since: time.Unix(1_790_000_000, 0)})), bearer: true}
}

func testMachine(of TokenType, subject string, scopes, audience []string) State {
	m := &machine{Type: of, ID: "x_1", Subject: subject, Scopes: scopes, Audience: audience}
	return State{who: m.auth(time.Now), bearer: true, machine: &machineCredential{verified: true}}
}

// TestDecisionIsPure: the decision about a caller needs no key, server or clock, and
// calls none of the application's checks.
func TestDecisionIsPure(t *testing.T) {
	now := time.Unix(1_790_000_000, 0).Add(5 * time.Minute)
	called := func(context.Context, Auth) (bool, error) { t.Error("a decision has called a check"); return true, nil }
	first, second := CheckFunc("first", called), CheckFunc("second", called)
	check := func(a Access) *check { return a.policy().checks[0] }
	away := errors.New("away")
	type given struct {
		check Access
		met   bool
		err   error
	}
	user, member := testUser(nil), testUser(func(s *claims.Session) { s.Org.Role = "org:admin" })
	impersonated := testUser(func(s *claims.Session) { s.Acted = true })
	key := testMachine(APIKey, "user_1", []string{"a", "b"}, nil)
	oauth := testMachine(OAuthToken, "user_1", []string{"a"}, []string{"https://api.example.com"})
	invalid, elsewhere := rejected(newError(ErrTokenExpired, nil)), anonymously(newError(ErrTokenIssuer, nil))
	away503 := anonymously(newError(ErrKeysUnavailable, nil))
	all := everyone
	for name, c := range map[string]struct {
		caller State
		access Access
		given  []given
		accept kinds
		want   Reason // "" if allowed
		next   Access
	}{
		"public, anonymous":                 {State{}, Public, nil, all, "", nil},
		"public, invalid token":             {invalid, Public, nil, all, ErrTokenExpired, nil},
		"public, foreign token":             {elsewhere, Public, nil, all, "", nil},
		"public, keys away":                 {away503, Public, nil, all, "", nil},
		"signed in, anonymous":              {State{}, SignedIn, nil, all, ErrTokenMissing, nil},
		"signed in, user":                   {user, SignedIn, nil, all, "", nil},
		"signed in, foreign token":          {elsewhere, SignedIn, nil, all, ErrTokenIssuer, nil},
		"signed in, keys away":              {away503, SignedIn, nil, all, ErrKeysUnavailable, nil},
		"signed in, machine":                {key, SignedIn, nil, all, ErrTokenType, nil},
		"role, member":                      {user, Role("admin"), nil, all, ErrForbidden, nil},
		"role, admin":                       {member, Role("org:admin"), nil, all, "", nil},
		"not impersonated":                  {user, NotImpersonated, nil, all, "", nil},
		"impersonated":                      {impersonated, NotImpersonated, nil, all, ErrForbidden, nil},
		"fresh":                             {user, Reverified(FirstFactor, time.Hour), nil, all, "", nil},
		"stale":                             {user, Reverified(FirstFactor, 6*time.Minute), nil, all, ErrReverification, nil},
		"stale and forbidden":               {user, AllOf(Reverified(FirstFactor, time.Minute), Role("admin")), nil, all, ErrForbidden, nil},
		"stale or forbidden":                {user, AnyOf(Role("admin"), Reverified(FirstFactor, time.Minute)), nil, all, ErrReverification, nil},
		"key, with scope":                   {key, Token(APIKey, Scope("a")), nil, all, "", nil},
		"key, without scope":                {key, Token(APIKey, Scope("a"), Scope("c")), nil, all, ErrScope, nil},
		"key, other kind":                   {key, Token(M2MToken), nil, all, ErrTokenType, nil},
		"key of the active org":             {key, Token(APIKey, OrganizationParam("org")), nil, all, ErrForbidden, nil},
		"user, machines only":               {user, Token(APIKey), nil, all, ErrTokenType, nil},
		"expired, machines only":            {invalid, Token(APIKey), nil, all, ErrTokenType, nil},
		"oauth, audience":                   {oauth, Token(OAuthToken, Audience("https://api.example.com/")), nil, all, "", nil},
		"oauth, other audience":             {oauth, Token(OAuthToken, Audience("https://other.example.com")), nil, all, ErrTokenClaims, nil},
		"oauth, one of two audiences":       {oauth, AnyOf(Token(OAuthToken, Audience("https://other.example.com")), Token(OAuthToken, Scope("a"))), nil, all, "", nil},
		"check, anonymous":                  {State{}, first, nil, all, ErrTokenMissing, nil},
		"check, not answered":               {user, first, nil, all, "", first},
		"check, met":                        {user, first, []given{{first, true, nil}}, all, "", nil},
		"check, not met":                    {user, first, []given{{first, false, nil}}, all, ErrForbidden, nil},
		"check, failed":                     {user, first, []given{{first, true, away}}, all, ErrUnavailable, nil},
		"checks in order":                   {user, AllOf(first, second), nil, all, "", first},
		"the second after the first":        {user, AllOf(first, second), []given{{first, true, nil}}, all, "", second},
		"no second after a no":              {user, AllOf(first, second), []given{{first, false, nil}}, all, ErrForbidden, nil},
		"no second after a failure of all":  {user, AllOf(first, second), []given{{first, false, away}}, all, ErrUnavailable, nil},
		"a second after a failure of any":   {user, AnyOf(first, second), []given{{first, false, away}}, all, "", second},
		"in by the second, the first away":  {user, AnyOf(first, second), []given{{first, false, away}, {second, true, nil}}, all, "", nil},
		"out by the second, the first away": {user, AnyOf(first, second), []given{{first, false, away}, {second, false, nil}}, all, ErrUnavailable, nil},
		"no check once a part is met":       {member, AnyOf(first, Role("admin")), nil, all, "", nil},
		"no check once a part is refused":   {user, AllOf(first, Role("admin")), nil, all, ErrForbidden, nil},
		"a check twice is called once":      {user, AnyOf(AllOf(first, Role("admin")), AllOf(first, SignedIn)), []given{{first, false, nil}}, all, ErrForbidden, nil},
	} {
		t.Run(name, func(t *testing.T) {
			p := c.access.policy()
			if err := p.validate(c.accept); err != nil {
				t.Fatal(err)
			}
			e := evaluation{policy: p, who: c.caller.who, now: now, accept: c.accept}
			for _, g := range c.given {
				e.answer(check(g.check), g.met, g.err)
			}
			for range 2 {
				d := decide(&c.caller, &e)
				switch {
				case c.next != nil:
					if d.check != check(c.next) || d.refusal != nil {
						t.Errorf("%+v, want the check %v", d, c.next)
					}
				case d.check != nil:
					t.Errorf("next is the check %s", d.check.name)
				case c.want == "" && d.refusal != nil, c.want != "" && (d.refusal == nil || d.refusal.Reason != c.want):
					t.Errorf("%v, want %q", d.refusal, c.want)
				}
			}
		})
	}
}
