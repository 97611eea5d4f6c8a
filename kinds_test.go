package clerkauth_test

import (
	"fmt"
	"net/http"
	"net/http/httptest"
	"slices"
	"testing"
	"time"

	"github.com/clerkauth/clerkauth"
	"github.com/clerkauth/clerkauth/clerkauthtest"
	"github.com/clerkauth/clerkauth/internal/testkit"
)

// TestKindsInEachOthersPlace: each kind of credential opens the routes that require
// it and no others, whatever else Config.Accept holds, and is verified nowhere else.
func TestKindsInEachOthersPlace(t *testing.T) {
	r := testkit.NewMachineRig(t)
	credentials := map[string]string{
		"session": r.Jane.Token(), "API key": r.APIKey.Token, "API key JWT": r.APIKey.JWT(), "M2M": r.M2M.Token, "M2M JWT": r.M2M.JWT(),
		"OAuth": r.OAuth.Token, "OAuth JWT": r.OAuth.JWT(), "template": r.Jane.TemplateToken("x", nil), "nothing": "",
	}
	opens := map[string][]string{ // which credentials open a route
		"session": {"session"}, "API key": {"API key", "API key JWT"}, "M2M": {"M2M", "M2M JWT"}, "OAuth": {"OAuth", "OAuth JWT"},
		"any": {"session", "API key", "API key JWT", "M2M", "M2M JWT", "OAuth", "OAuth JWT"},
	}
	routes := map[string]clerkauth.Access{
		"session": clerkauth.SignedIn, "API key": clerkauth.Token(clerkauth.APIKey), "M2M": clerkauth.Token(clerkauth.M2MToken),
		"OAuth": clerkauth.Token(clerkauth.OAuthToken), "any": testkit.AnyCredential,
	}
	calls := map[string]clerkauthtest.Endpoint{"API key": clerkauthtest.APIKeyVerify, "M2M": clerkauthtest.M2MVerify, "OAuth": clerkauthtest.OAuthVerify}
	for route, access := range routes {
		for name, token := range credentials {
			for _, identify := range []bool{false, true} {
				auth := testkit.NewAuth(t, r.Server, testkit.AcceptAll) // nothing is remembered
				guard := auth.Require(access)
				if identify {
					guard = func(h http.Handler) http.Handler { return auth.Handler(auth.Require(access)(h)) }
				}
				before, verified := r.Server.Requests(clerkauthtest.TokenVerify), r.Server.Requests(calls[name])
				got := testkit.Serve(guard, testkit.Bearer(token))
				want := slices.Contains(opens[route], name)
				if got.Entered != want || want != (got.Status == 200) || !want && got.Status != 401 {
					t.Errorf("%s at a route for %s (identify %v): %v", name, route, identify, got)
				}
				if reason := got.Reason(); !want && reason != string(clerkauth.ErrTokenType) && name != "nothing" {
					t.Errorf("%s at a route for %s: %s", name, route, reason)
				}
				made := r.Server.Requests(clerkauthtest.TokenVerify) - before
				if opaque := calls[name] != 0; opaque && want != (r.Server.Requests(calls[name])-verified == 1) || made > 1 || !want && made != 0 {
					t.Errorf("%s at a route for %s: %d calls", name, route, made)
				}
			}
		}
	}
}

// TestUnneededCredentialsAreNotVerified: machine credentials are not verified on
// public routes, nor twice, nor where their kind is not accepted.
func TestUnneededCredentialsAreNotVerified(t *testing.T) {
	r := testkit.NewMachineRig(t, func(c *clerkauth.Config) { c.Machines.CacheTTL = clerkauth.AskEveryTime })
	tokens := []string{r.APIKey.Token, r.M2M.Token, r.OAuth.Token, "ak_unknown"}
	for name, access := range map[string]clerkauth.Access{"public": clerkauth.Public, "public or admins": clerkauth.AnyOf(clerkauth.Public, clerkauth.Role("admin"))} {
		for _, token := range tokens {
			if got := testkit.Serve(r.Auth.Require(access), testkit.Bearer(token)); !got.Entered {
				t.Errorf("%s: %v", name, got)
			}
		}
	}
	mux := r.Auth.NewServeMux()
	mux.HandleFunc("/", clerkauth.Public, func(http.ResponseWriter, *http.Request) {})
	for _, token := range tokens {
		w, req := httptest.NewRecorder(), httptest.NewRequest(http.MethodGet, "/", nil)
		testkit.Bearer(token)(req)
		if mux.ServeHTTP(w, req); w.Code != 200 {
			t.Error(w.Code)
		}
	}
	// A mux's own responses require what the routes at that path require.
	beside := r.Auth.NewServeMux()
	beside.HandleFunc("GET /admin/users", clerkauth.SignedIn, func(http.ResponseWriter, *http.Request) {})
	beside.HandleFunc("GET /reports", clerkauth.Token(clerkauth.OAuthToken), func(http.ResponseWriter, *http.Request) {})
	for _, path := range []string{"/admin/users", "/reports", "/reports/"} {
		w, req := httptest.NewRecorder(), httptest.NewRequest(http.MethodPost, path, nil)
		r.APIKey.Authorize(req)
		if beside.ServeHTTP(w, req); w.Code != 401 {
			t.Errorf("POST %s: %d", path, w.Code)
		}
	}
	if n := r.Server.Requests(clerkauthtest.Backend); n != 0 {
		t.Errorf("%d calls", n)
	}
	guard := r.Auth.Require(testkit.AnyCredential)
	if got := testkit.Serve(func(h http.Handler) http.Handler { return guard(guard(r.Auth.Handler(guard(h)))) }, testkit.Bearer(r.APIKey.Token)); !got.Entered || r.Server.Requests(clerkauthtest.TokenVerify) != 1 {
		t.Errorf("%v, %d calls", got, r.Server.Requests(clerkauthtest.TokenVerify))
	}
	// An invalid session is not reported where no session is accepted.
	r.Server.Fail(clerkauthtest.JWKS, 503)
	for name, token := range map[string]string{"a session": r.Jane.Token(), "one that has expired": r.Jane.Token(clerkauthtest.ExpiresIn(-time.Hour)), "what is no token": "x"} {
		if got := testkit.Serve(r.Auth.Require(clerkauth.Token(clerkauth.APIKey)), testkit.Bearer(token)); got.Status != 401 || got.Reason() != string(clerkauth.ErrTokenType) {
			t.Errorf("%s: %v", name, got)
		}
	}
}

// TestAcceptIsACeiling: a kind that Config.Accept leaves out is not verified,
// whatever a route requires.
func TestAcceptIsACeiling(t *testing.T) {
	r := testkit.NewMachineRig(t)
	credentials := map[clerkauth.TokenType][]string{
		clerkauth.SessionToken: {r.Jane.Token()}, clerkauth.APIKey: {r.APIKey.Token, r.APIKey.JWT()},
		clerkauth.M2MToken: {r.M2M.Token, r.M2M.JWT()}, clerkauth.OAuthToken: {r.OAuth.Token, r.OAuth.JWT()},
	}
	for only := range credentials {
		auth := testkit.NewAuth(t, r.Server, func(c *clerkauth.Config) { c.Accept = []clerkauth.TokenType{only} })
		for kind, tokens := range credentials {
			for _, token := range tokens {
				before := r.Server.Requests(clerkauthtest.TokenVerify)
				got := testkit.Serve(auth.Require(testkit.AnyCredential), testkit.Bearer(token))
				if got.Entered != (kind == only) || kind != only && (got.Reason() != string(clerkauth.ErrTokenType) || r.Server.Requests(clerkauthtest.TokenVerify) != before) {
					t.Errorf("%s where %s is accepted: %v", kind, only, got)
				}
				if got := testkit.Serve(auth.Handler, testkit.Bearer(token)); !got.Entered {
					t.Errorf("%s, only identified: %v", kind, got)
				}
			}
		}
		_, err := auth.VerifyToken(t.Context(), r.Jane.Token())
		if (err == nil) != (only == clerkauth.SessionToken) {
			t.Errorf("VerifyToken where %s is accepted: %v", only, err)
		}
		for kind := range credentials {
			access := clerkauth.Token(kind)
			if kind == clerkauth.SessionToken {
				access = clerkauth.SignedIn
			}
			if kind == only {
				auth.Require(access)
			} else {
				testkit.MustPanic(t, fmt.Sprintf("%s where %s is accepted", kind, only), func() { auth.Require(access) })
			}
		}
		// A mux's own responses do not require a session where none is accepted.
		mux := auth.NewServeMux()
		access := clerkauth.Token(only)
		if only == clerkauth.SessionToken {
			access = clerkauth.SignedIn
		}
		mux.HandleFunc("GET /things", access, func(http.ResponseWriter, *http.Request) {})
		for token, want := range map[string]int{"": 401, credentials[only][0]: 405} {
			w, req := httptest.NewRecorder(), httptest.NewRequest(http.MethodPost, "/things", nil)
			testkit.Bearer(token)(req)
			if mux.ServeHTTP(w, req); w.Code != want {
				t.Errorf("POST, where %s is accepted: %d, want %d", only, w.Code, want)
			}
		}
	}
	if nilIs := testkit.NewAuth(t, r.Server, func(c *clerkauth.Config) { c.Accept = nil }); testkit.Serve(nilIs.Require(testkit.AnyCredential), testkit.Bearer(r.APIKey.Token)).Entered || !testkit.Serve(nilIs.Require(testkit.AnyCredential), testkit.Bearer(r.Jane.Token())).Entered {
		t.Error("nil is not sessions alone")
	}
}
