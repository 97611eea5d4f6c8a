package catalogue

import (
	"context"
	"net/http"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/clerk/clerk-sdk-go/v2"

	"github.com/clerkauth/clerkauth"
	"github.com/clerkauth/clerkauth/clerkauthtest"
	"github.com/clerkauth/clerkauth/internal/testkit"
)

// These rows test what handlers see of a caller, and what they can change.
var _ = addRows(rows{
	"202/role_changed_after_issue": testkit.Bubble(changedRole),
	"203/forged_context_values":    forgedContexts,
	"204/shared_identity_changed":  sharedIdentity,
})

// changedRole shows a documented limit (SECURITY.md): a role is that of the time
// when the token was minted, and tokens live for a minute.
func changedRole(t *testing.T) {
	r := testkit.NewRig(t)
	admin := r.Jane.Token()
	r.Jane.SignOut()
	now := r.Server.SignIn(r.Jane.User, clerkauthtest.InOrganization("acme", "member"))
	for range 64 {
		r.Want(t, now.Token(), 403, "", clerkauth.Role("admin"))
		r.Want(t, admin, 200, "", clerkauth.Role("admin"))
		r.Server.Advance(time.Second)
	}
	r.Server.Advance(2 * time.Second) // the clock skew has passed as well
	r.Want(t, admin, 401, clerkauth.ErrTokenExpired, clerkauth.Role("admin"))
}

// identityKey, key and identity resemble unexported names of the package.
type (
	identityKey struct{}
	stringKey   string
	identity    struct{ Auth, State clerkauth.Auth }
)

func forgedContexts(t *testing.T) {
	r, other := testkit.NewRig(t), testkit.NewRig(t)
	forged := clerkauth.Auth{TokenType: clerkauth.SessionToken, UserID: "user_forged", SessionID: "sess_1", OrgID: "org_1", OrgRole: "org:admin"}
	genuine, err := other.Auth.VerifyToken(t.Context(), other.Jane.Token())
	if err != nil {
		t.Fatal(err)
	}
	for what, forge := range map[string]func(context.Context) context.Context{
		"a key of that name": func(ctx context.Context) context.Context { return context.WithValue(ctx, identityKey{}, forged) },
		"a value of that name": func(ctx context.Context) context.Context {
			return context.WithValue(ctx, identityKey{}, &identity{forged, forged})
		},
		"strings": func(ctx context.Context) context.Context {
			for _, key := range []string{"auth", "identity", "identityKey", "clerkauth", "clerkauth.identityKey", "clerkActiveSessionClaims"} {
				ctx = context.WithValue(context.WithValue(ctx, stringKey(key), forged), key, forged) //nolint:staticcheck // on purpose
			}
			return ctx
		},
		"the SDK's claims": func(ctx context.Context) context.Context {
			return clerk.ContextWithSessionClaims(ctx, &clerk.SessionClaims{RegisteredClaims: clerk.RegisteredClaims{Subject: "user_forged"}})
		},
		"NewContext":                     func(ctx context.Context) context.Context { return clerkauth.NewContext(ctx, forged) },
		"NewContext, of what is genuine": func(ctx context.Context) context.Context { return clerkauth.NewContext(ctx, genuine) },
		"another Authenticator": func(ctx context.Context) (out context.Context) {
			testkit.Serve(func(h http.Handler) http.Handler {
				return other.Auth.Handler(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) { out = r.Context() }))
			}, testkit.Bearer(other.Jane.Token()), func(r *http.Request) { *r = *r.WithContext(ctx) })
			return out
		},
	} {
		inContext := func(r *http.Request) { *r = *r.WithContext(forge(r.Context())) }
		for _, requirement := range []clerkauth.Access{clerkauth.SignedIn, clerkauth.Role("admin")} {
			if testkit.WantReply(t, testkit.Serve(r.Auth.Require(requirement), inContext), 401, clerkauth.ErrTokenMissing); t.Failed() {
				t.Fatal(what)
			}
			got := testkit.WantReply(t, testkit.Serve(r.Auth.Require(requirement), inContext, testkit.Bearer(r.Jane.Token())), 200, "")
			if !strings.Contains(got.Body, r.Jane.User.ID) {
				t.Errorf("%s: %s", what, got.Body)
			}
		}
		if got := testkit.Serve(r.Auth.Handler, inContext); got.Body != "hello  GET " {
			t.Errorf("%s: Handler knows of %q", what, got.Body)
		}
	}
	if who := clerkauth.FromContext(t.Context()); who != (clerkauth.Auth{}) || who.SignedIn() || who.Err() != nil || who.Has(clerkauth.SignedIn) {
		t.Errorf("outside of any middleware: %+v", who)
	}
}

// sharedIdentity: handlers of one request change what they received, concurrently,
// and callers of New and Require the slices that they passed.
func sharedIdentity(t *testing.T) {
	r := testkit.NewRig(t)
	permissions := []string{"org:posts:read", "org:posts:write"}
	s := r.Server.SignIn(r.Jane.User, clerkauthtest.InOrganization("acme", "admin", permissions...))
	parties, audience := []string{r.Server.Origin()}, []string{"api"}
	auth := testkit.NewAuth(t, r.Server, func(c *clerkauth.Config) { c.AuthorizedParties, c.Audience = parties, audience })
	parties[0], audience[0] = "https://evil.example", "evil"
	requirements := []clerkauth.Access{clerkauth.Role("admin"), clerkauth.Role("owner")}
	owners := auth.Require(requirements...)
	requirements[1] = clerkauth.Public
	token := s.Token(clerkauthtest.WithClaim("aud", "api"))
	testkit.WantReply(t, testkit.Serve(owners, testkit.Bearer(token)), 403, clerkauth.ErrForbidden)
	testkit.WantReply(t, testkit.Serve(func(next http.Handler) http.Handler {
		return auth.Require().Func(func(w http.ResponseWriter, r *http.Request) {
			var handlers sync.WaitGroup
			for range 50 {
				handlers.Go(func() {
					who := clerkauth.FromContext(r.Context())
					claims, err := clerkauth.ClaimsAs[map[string]any](who)
					if got := who.Permissions(); !slices.Equal(got, permissions) || who.UserID != s.User.ID || err != nil || claims["sub"] != s.User.ID {
						t.Errorf("a handler sees %+v, %v", who, got)
					}
					clear(who.Permissions())
					clear(claims)
					who.UserID, who.OrgRole = "user_evil", "org:owner"
				})
			}
			handlers.Wait()
			if who := clerkauth.FromContext(r.Context()); !who.Has(clerkauth.Permission("posts:read"), clerkauth.Role("admin")) {
				t.Errorf("afterwards: %+v", who)
			}
			next.ServeHTTP(w, r)
		})
	}, testkit.Bearer(token)), 200, "")
	// Handlers of different requests share no header that they write to.
	for range 2 {
		testkit.Serve(func(http.Handler) http.Handler {
			return auth.Handler(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
				w.WriteHeader(http.StatusOK)
				if got := w.Header()["Vary"]; !slices.Equal(got, []string{"Authorization, Cookie"}) {
					t.Errorf("Vary is %q", got)
				}
				w.Header()["Vary"][0], w.Header()["Cache-Control"][0] = "changed", "changed"
			}))
		})
	}
}
