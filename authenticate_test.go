package clerkauth_test

import (
	"errors"
	"net/http"
	"net/http/httptest"
	"testing"

	"github.com/clerkauth/clerkauth"
	"github.com/clerkauth/clerkauth/clerkauthtest"
	"github.com/clerkauth/clerkauth/internal/testkit"
)

// TestAuthenticateDecidesAndWritesNothing: Authenticate decides as the middleware
// does and writes no response.
func TestAuthenticateDecidesAndWritesNothing(t *testing.T) {
	r := testkit.NewRig(t)
	for token, reason := range map[string]clerkauth.Reason{
		r.Jane.Token(): "", "": clerkauth.ErrTokenMissing, "x": clerkauth.ErrTokenInvalid, "ak_x": clerkauth.ErrTokenType, r.Jane.Token(clerkauthtest.WithClaim("exp", 1)): clerkauth.ErrTokenExpired,
		r.Jane.Token(clerkauthtest.WithClaim("sts", "pending")): clerkauth.ErrSessionPending,
	} {
		req := httptest.NewRequest(http.MethodGet, "/", nil)
		testkit.Bearer(token)(req)
		state := r.Auth.Authenticate(req)
		if who := state.Auth(); who.SignedIn() != (reason == "") || reason == "" && (state.Err() != nil || who.UserID != r.Jane.User.ID) || reason != "" && !errors.Is(state.Err(), reason) {
			t.Errorf("%v: %+v, %v", reason, who, state.Err())
		}
		if reason != "" && reason != clerkauth.ErrTokenMissing && !errors.Is(state.Auth().Err(), reason) {
			t.Errorf("%v: Auth().Err() is %v", reason, state.Auth().Err())
		}
		if state.Header().Get("Vary") != "Authorization" {
			t.Errorf("%v: %v", reason, state.Header())
		}
		ctx, err := r.Auth.Check(req)
		if who := clerkauth.FromContext(ctx); who.SignedIn() != (reason == "") || reason != "" && !errors.Is(err, reason) || reason == "" && err != nil {
			t.Errorf("%v: Check: %+v, %v", reason, who, err)
		}
		_, err = r.Auth.VerifyToken(t.Context(), token)
		if reason != "" && !errors.Is(err, reason) || reason == "" && err != nil {
			t.Errorf("%v: VerifyToken: %v", reason, err)
		}
	}
}
