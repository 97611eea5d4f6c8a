package catalogue

import (
	"fmt"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/clerkauth/clerkauth"
	"github.com/clerkauth/clerkauth/clerkauthtest"
	"github.com/clerkauth/clerkauth/internal/testkit"
)

// model is an Access with an independent statement of whom it allows, derived from
// its meaning and not from how it is checked.
type model struct {
	clerkauth.Access
	allows func(caller) bool
	names  []clerkauth.TokenType // kinds of machines that a Token in it names
	public bool                  // it allows anonymous callers
}

// caller is a caller with known rights.
type caller struct {
	name   string
	token  string
	kind   clerkauth.TokenType // "" if anonymous
	admin  bool
	scopes []string
}

// randomModel returns a random Access of at most that depth; of is the kind of
// machine that it applies to inside a Token, "" outside.
func randomModel(r *rand.Rand, depth int, of clerkauth.TokenType) model {
	if depth == 0 || r.IntN(3) == 0 {
		return randomLeaf(r, of)
	}
	if of == "" && r.IntN(3) == 0 {
		kind := []clerkauth.TokenType{clerkauth.APIKey, clerkauth.M2MToken, clerkauth.OAuthToken}[r.IntN(3)]
		var checks []clerkauth.Access
		var parts []model
		for range r.IntN(3) {
			part := randomModel(r, depth-1, kind)
			parts = append(parts, part)
			checks = append(checks, part.Access)
		}
		return model{clerkauth.Token(kind, checks...), func(c caller) bool {
			return c.kind == kind && !slices.ContainsFunc(parts, func(m model) bool { return !m.allows(c) })
		}, []clerkauth.TokenType{kind}, false}
	}
	parts := []model{randomModel(r, depth-1, of), randomModel(r, depth-1, of)}
	accesses := []clerkauth.Access{parts[0].Access, parts[1].Access}
	names := append(slices.Clone(parts[0].names), parts[1].names...)
	if r.IntN(2) == 0 {
		return model{clerkauth.AllOf(accesses...), func(c caller) bool { return parts[0].allows(c) && parts[1].allows(c) }, names, parts[0].public && parts[1].public}
	}
	return model{clerkauth.AnyOf(accesses...), func(c caller) bool { return parts[0].allows(c) || parts[1].allows(c) }, names, parts[0].public || parts[1].public}
}

func randomLeaf(r *rand.Rand, of clerkauth.TokenType) model {
	scope := []string{"a", "b"}[r.IntN(2)]
	leaves := []model{
		{clerkauth.Scope(scope), func(c caller) bool { return of != "" && slices.Contains(c.scopes, scope) }, nil, false},
		{clerkauth.SignedIn, func(c caller) bool { return c.kind == clerkauth.SessionToken }, nil, false},
		{clerkauth.Role("admin"), func(c caller) bool { return c.admin }, nil, false},
		{clerkauth.Public, func(caller) bool { return true }, nil, true},
		{clerkauth.CheckFunc("kind", testkit.Predicate(func(who clerkauth.Auth) bool { return who.TokenType != "" })), func(c caller) bool {
			if of != "" {
				return c.kind == of
			}
			return c.kind == clerkauth.SessionToken
		}, nil, false},
	}
	return leaves[r.IntN(len(leaves))]
}

// TestAccessAgreesWithAModel: for random requirements on users and machines, exactly
// the callers that the model allows enter, credentials of a kind that no Token names
// are not verified, and only what allows no caller is rejected at registration.
func TestAccessAgreesWithAModel(t *testing.T) {
	r := testkit.NewMachineRig(t)
	callers := []caller{{name: "anonymous"}, {name: "member", token: r.Server.SignIn(r.User).Token(clerkauthtest.ExpiresIn(time.Hour)), kind: clerkauth.SessionToken},
		{name: "admin", token: r.Jane.Token(clerkauthtest.ExpiresIn(time.Hour)), kind: clerkauth.SessionToken, admin: true}}
	for _, scopes := range [][]string{nil, {"a"}, {"a", "b"}} {
		key, oauth, m2m := r.Server.CreateAPIKey(r.User, scopes...), r.Server.CreateOAuthToken(r.User, "client_1", scopes...), r.Peer.Token()
		for _, c := range []*clerkauthtest.Credential{key, oauth, m2m} {
			of := scopes
			jwt := c.JWT()
			if c == m2m {
				jwt, of = c.JWT(clerkauthtest.WithClaim("scopes", strings.Join(scopes, " "))), nil
			}
			callers = append(callers, caller{fmt.Sprint(c.Kind, of), c.Token, c.Kind, false, of}, caller{fmt.Sprint(c.Kind, " JWT", scopes), jwt, c.Kind, false, scopes})
		}
	}
	random := rand.New(rand.NewPCG(1, 2)) //nolint:gosec // the same each time
	possible := 0
	var before clerkauth.Access // another valid requirement
	for range 4000 {
		m := randomModel(random, 3, "")
		allowed := 0
		for _, c := range callers {
			if m.allows(c) {
				allowed++
			}
		}
		guard := func() (guard clerkauth.Middleware) {
			defer func() {
				if recover() != nil {
					guard = nil
				}
			}()
			return r.Auth.Require(m.Access)
		}()
		if guard == nil {
			continue // at least a part of it can never be satisfied
		}
		if allowed == 0 {
			t.Logf("%s allows none of the callers", m)
		}
		possible++
		more := r.Auth.Require(clerkauth.SignedIn)
		if before != nil {
			func() {
				defer func() { _ = recover() }()
				more = r.Auth.Require(m.Access, before)
			}()
		}
		before = m.Access
		for _, c := range callers {
			machine := c.kind != "" && c.kind != clerkauth.SessionToken
			// A machine of a kind that the route does not name is anonymous there.
			want := m.allows(c)
			if machine && !slices.Contains(m.names, c.kind) {
				want = m.public
			}
			if got := testkit.Serve(guard, testkit.Bearer(c.token)); got.Entered != want {
				t.Fatalf("%s: %s: %v, want %v", m, c.name, got, want)
			} else if !got.Entered && c.kind != clerkauth.SessionToken && testkit.Serve(more, testkit.Bearer(c.token)).Entered {
				t.Fatalf("%s refuses %s; with more required, it allows it", m, c.name)
			}
		}
	}
	if possible < 1000 {
		t.Errorf("only %d were possible", possible)
	}
}
