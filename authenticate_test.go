package clerkauth_test

import (
	"errors"
	"net/http"
	"net/http/httptest"
	"strings"
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
		if state.Header().Get("Vary") != "Authorization, Cookie" {
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

// TestAuthorizationBesideCookies: an Authorization header of a single word is refused on
// every route, whatever cookies there are; an empty one and one of another scheme leave
// them alone.
func TestAuthorizationBesideCookies(t *testing.T) {
	r := testkit.NewRig(t)
	good := r.Jane.Token()
	cookies := func(req *http.Request) { r.Jane.SetCookies(req) }
	for line, want := range map[string]int{
		"Bearer": 401, "Bearer ": 401, "bearer  ": 401, "Basic": 401, "Basic ": 401, "Basic  eDp5": 401, good: 401, "Bearer\t" + good: 401, "Bearer\t " + good: 401, " ": 401,
		"Bearer x.y.z": 401, "": 200, "Basic eDp5": 200, "Bearerx y": 200, "Bearer " + good: 200,
	} {
		set := func(req *http.Request) { req.Header["Authorization"] = []string{line} }
		for _, guard := range []clerkauth.Middleware{r.Auth.Require(), r.Identified(), r.Auth.Handler} {
			reason := clerkauth.ErrTokenInvalid
			if want == 200 {
				reason = ""
			}
			got := testkit.WantReply(t, testkit.Serve(guard, cookies, set), want, reason)
			if got.Entered && !strings.Contains(got.Body, r.Jane.User.ID) {
				t.Errorf("%q: %v", line, got)
			}
		}
	}
}
