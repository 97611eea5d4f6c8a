package clerkauth_test

import (
	"errors"
	"net/http"
	"sync/atomic"
	"testing"
	"time"

	"github.com/clerk/clerk-sdk-go/v2"
	"github.com/clerk/clerk-sdk-go/v2/user"

	"github.com/clerkauth/clerkauth"
	"github.com/clerkauth/clerkauth/clerkauthtest"
	"github.com/clerkauth/clerkauth/internal/testkit"
)

// TestBackendFaults: GetToken and the SDK's clients end in time, and their errors
// name the fault.
func TestBackendFaults(t *testing.T) {
	for name, c := range map[string]struct {
		how    int
		status int // of the SDK's error; 0: none of its own
		is     error
		takes  time.Duration
	}{
		"hang":     {clerkauthtest.Hang, 0, clerkauth.ErrUnavailable, 5 * time.Second},
		"slow":     {clerkauthtest.SlowBody, 0, clerkauth.ErrUnavailable, 5 * time.Second},
		"garbage":  {clerkauthtest.Garbage, 0, clerkauth.ErrUnavailable, 0},
		"cut":      {clerkauthtest.Cut, 0, clerkauth.ErrUnavailable, 0},
		"redirect": {clerkauthtest.Redirect, 0, clerkauth.ErrUnavailable, 0},
		"500":      {500, 500, clerkauth.ErrUnavailable, 0},
		"503":      {503, 503, clerkauth.ErrUnavailable, 0},
		"429":      {429, 429, clerkauth.ErrUnavailable, 0},
		"401":      {401, 401, nil, 0},
		"404":      {404, 404, nil, 0},
		"422":      {422, 422, nil, 0},
	} {
		testkit.Bubble(func(t *testing.T) {
			r := testkit.NewRig(t)
			who, err := r.Auth.VerifyToken(t.Context(), r.Jane.Token())
			if err != nil {
				t.Fatal(err)
			}
			r.Server.Fail(clerkauthtest.Users|clerkauthtest.SessionTokens, c.how)
			start := time.Now()
			token, err := r.Auth.GetToken(t.Context(), who, "")
			if took := time.Since(start); token != "" || err == nil || took != c.takes {
				t.Errorf("%s: GetToken: %q, %v after %v", name, token, err, took)
			}
			var answer *clerk.APIErrorResponse
			if c.is != nil && !errors.Is(err, c.is) || c.is == nil && (!errors.As(err, &answer) || answer.HTTPStatusCode != c.status) {
				t.Errorf("%s: GetToken: %v", name, err)
			}
			start = time.Now()
			_, err = user.NewClient(r.Auth.ClerkConfig()).Get(t.Context(), r.Jane.User.ID)
			if took := time.Since(start); err == nil || took != c.takes || c.status != 0 && (!errors.As(err, &answer) || answer.HTTPStatusCode != c.status) {
				t.Errorf("%s: Get: %v after %v", name, err, took)
			}
			if n := r.Server.Requests(clerkauthtest.Users | clerkauthtest.SessionTokens); n != 2 {
				t.Errorf("%s: %d requests, want one each", name, n)
			}
			r.Server.Heal(clerkauthtest.Backend)
			if token, err = r.Auth.GetToken(t.Context(), who, ""); err != nil || token == "" {
				t.Errorf("%s: healed: %v", name, err)
			}
		})(t)
	}
}

func TestGetTokenWithoutMeans(t *testing.T) {
	r := testkit.NewRig(t)
	withoutKey := testkit.NewAuth(t, r.Server, func(c *clerkauth.Config) { c.SecretKey = clerkauth.Secret{} })
	jane, err := withoutKey.VerifyToken(t.Context(), r.Jane.Token())
	if err != nil {
		t.Fatal(err)
	}
	another, unnamed := jane, jane
	another.SessionID, unnamed.UserID = "sess_1", "user_1"
	for what, c := range map[string]struct {
		auth *clerkauth.Authenticator
		who  clerkauth.Auth
		is   error
	}{
		"signed out":      {r.Auth, clerkauth.Auth{}, clerkauth.ErrUnauthenticated},
		"no session":      {r.Auth, clerkauth.Auth{UserID: "user_1"}, clerkauth.ErrUnauthenticated},
		"a machine":       {r.Auth, clerkauth.Auth{UserID: "user_1", SessionID: "sess_1", TokenType: "api_key"}, clerkauth.ErrUnauthenticated},
		"by hand":         {r.Auth, clerkauth.Auth{UserID: jane.UserID, SessionID: jane.SessionID}, clerkauth.ErrUnauthenticated},
		"another session": {r.Auth, another, clerkauth.ErrUnauthenticated},
		"another user":    {r.Auth, unnamed, clerkauth.ErrUnauthenticated},
		"no secret key":   {withoutKey, jane, clerkauth.ErrConfiguration},
	} {
		if token, err := c.auth.GetToken(t.Context(), c.who, ""); token != "" || !errors.Is(err, c.is) {
			t.Errorf("%s: %q, %v", what, token, err)
		}
	}
	if n := r.Server.Requests(clerkauthtest.Backend); n != 0 {
		t.Errorf("%d requests", n)
	}
}

// TestSecretIsForOneHost: when another host is the target of a redirect, the secret
// key is not sent there. The connections are real.
func TestSecretIsForOneHost(t *testing.T) {
	var reached atomic.Int64
	evil := testkit.NewServer(t, http.HandlerFunc(func(http.ResponseWriter, *http.Request) { reached.Add(1) }))
	for _, status := range []int{301, 302, 303, 307, 308} {
		var requests atomic.Int64
		r := testkit.NewRig(t)
		backend := testkit.NewServer(t, http.HandlerFunc(func(w http.ResponseWriter, req *http.Request) {
			if req.Header.Get("Authorization") == "Bearer "+r.Server.SecretKey() {
				requests.Add(1)
			}
			http.Redirect(w, req, evil.URL+req.URL.Path, status)
		}))
		transport := &http.Transport{}
		auth := testkit.NewAuth(t, r.Server, func(c *clerkauth.Config) {
			c.BackendURL, c.FrontendURL, c.Transport = backend.URL, backend.URL, transport
		})
		jane, err := r.Auth.VerifyToken(t.Context(), r.Jane.Token())
		if err != nil {
			t.Fatal(err)
		}
		_, err1 := auth.VerifyToken(t.Context(), r.Jane.Token())
		_, err2 := auth.GetToken(t.Context(), jane, "")
		_, err3 := user.NewClient(auth.ClerkConfig()).Get(t.Context(), "user_1")
		_, err4 := user.NewClient(auth.ClerkConfig()).Create(t.Context(), &user.CreateParams{})
		if err1 == nil || err2 == nil || err3 == nil || err4 == nil || requests.Load() != 4 || reached.Load() != 0 {
			t.Errorf("%d: %v, %v, %v, %v; %d requests, %d to the other host", status, err1, err2, err3, err4, requests.Load(), reached.Load())
		}
		// A client that is given a URL of another host does not connect to it either.
		config := auth.ClerkConfig()
		config.URL = clerk.String(evil.URL)
		if _, err := user.NewClient(config).Get(t.Context(), "user_1"); err == nil || reached.Load() != 0 {
			t.Errorf("%v; the other host got %d requests", err, reached.Load())
		}
		transport.CloseIdleConnections()
	}
}
