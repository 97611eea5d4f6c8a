package clerkauthtest_test

import (
	"context"
	"encoding/json"
	"errors"
	"io"
	"net/http"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/clerk/clerk-sdk-go/v2"
	"github.com/clerk/clerk-sdk-go/v2/session"
	"github.com/clerk/clerk-sdk-go/v2/user"

	"github.com/clerkauth/clerkauth"
	"github.com/clerkauth/clerkauth/clerkauthtest"
	"github.com/clerkauth/clerkauth/internal/testkit"
)

func TestKeys(t *testing.T) {
	srv := clerkauthtest.NewServer(t, clerkauthtest.InMemory())
	session := signIn(srv)
	first, firstKey := srv.KeyID(), srv.Key()
	old := session.Token()

	added := srv.AddKey()
	if added == first || srv.KeyID() != added || srv.Key() == firstKey {
		t.Error("the added key does not sign")
	}
	auth := testkit.NewAuth(t, srv)
	mustVerify(t, auth, old)
	mustVerify(t, auth, session.Token())

	srv.WithdrawKey(first)
	auth = testkit.NewAuth(t, srv)
	refused(t, auth, old, clerkauth.ErrUnknownKey)
	refused(t, auth, session.Token(clerkauthtest.SignedBy(firstKey), clerkauthtest.WithKeyID(first)), clerkauth.ErrUnknownKey)
	mustVerify(t, auth, session.Token())

	before := session.Token()
	srv.ReplaceKey()
	if srv.KeyID() != added {
		t.Error("the replaced key has another id")
	}
	auth = testkit.NewAuth(t, srv)
	refused(t, auth, before, clerkauth.ErrTokenSignature)
	mustVerify(t, auth, session.Token())

	srv.RotateKeys()
	if srv.KeyID() == added {
		t.Error("the rotated key has the old id")
	}
	auth = testkit.NewAuth(t, srv)
	refused(t, auth, before, clerkauth.ErrUnknownKey)
	mustVerify(t, auth, session.Token())
	mustVerify(t, testkit.NewAuth(t, srv, func(c *clerkauth.Config) { c.JWTKey = srv.JWTKey() }), session.Token())

	srv.AddKey()
	srv.WithdrawKey(srv.KeyID())
	refused(t, testkit.NewAuth(t, srv), session.Token(), clerkauth.ErrUnknownKey)
}

func TestSetKeySet(t *testing.T) {
	srv := clerkauthtest.NewServer(t, clerkauthtest.InMemory())
	token := signIn(srv).Token()
	srv.SetKeySet([]byte(`{"keys":[]}`))
	refused(t, testkit.NewAuth(t, srv), token, clerkauth.ErrKeysUnavailable)
	for _, path := range []string{"/v1/jwks", "/.well-known/jwks.json"} {
		if resp := call(t, srv, http.MethodGet, path, ""); resp.body != `{"keys":[]}` {
			t.Errorf("%s: %s", path, resp.body)
		}
	}
	srv.SetKeySet(nil)
	mustVerify(t, testkit.NewAuth(t, srv), token)
}

// response is a response whose body has been read.
type response struct {
	*http.Response
	body string
	err  error // of reading the body
}

// call sends a request with the secret key.
func call(t *testing.T, srv *clerkauthtest.Server, method, path, body string, edits ...func(*http.Request)) response {
	t.Helper()
	req, err := http.NewRequestWithContext(t.Context(), method, srv.URL+path, strings.NewReader(body))
	if err != nil {
		t.Fatal(err)
	}
	req.Header.Set("Authorization", "Bearer "+srv.SecretKey())
	for _, edit := range edits {
		edit(req)
	}
	resp, err := srv.Transport().RoundTrip(req)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = resp.Body.Close() }()
	data, err := io.ReadAll(resp.Body)
	return response{resp, string(data), err}
}

// code returns the code of an error in Clerk's form, and fails the test if it has
// another form.
func (r response) code(t *testing.T) string {
	t.Helper()
	var answer map[string]any
	if err := json.Unmarshal([]byte(r.body), &answer); err != nil {
		t.Fatalf("%v in %s", err, r.body)
	}
	list, _ := answer["errors"].([]any)
	if len(list) != 1 || answer["clerk_trace_id"] == "" || answer["clerk_trace_id"] == nil {
		t.Fatalf("body is %s", r.body)
	}
	first, _ := list[0].(map[string]any)
	for _, member := range []string{"code", "message", "long_message"} {
		if s, _ := first[member].(string); s == "" {
			t.Errorf("no %s in %s", member, r.body)
		}
	}
	return first["code"].(string)
}

func TestEndpoints(t *testing.T) {
	for name, opts := range map[string][]clerkauthtest.Option{
		"loopback":  nil,
		"in memory": {clerkauthtest.InMemory()},
	} {
		t.Run(name, func(t *testing.T) {
			srv := clerkauthtest.NewServer(t, opts...)
			session := signIn(srv)
			for _, c := range []struct {
				method, path string
				status       int
				endpoint     clerkauthtest.Endpoint
			}{
				{"GET", "/v1/jwks", 200, clerkauthtest.BackendJWKS},
				{"GET", "/.well-known/jwks.json", 200, clerkauthtest.FrontendJWKS},
				{"GET", "/v1/users/" + session.User.ID, 200, clerkauthtest.Users},
				{"GET", "/v1/users/user_none", 404, clerkauthtest.Users},
				{"GET", "/v1/sessions/" + session.ID, 200, clerkauthtest.Sessions},
				{"GET", "/v1/sessions/sess_none", 404, clerkauthtest.Sessions},
				{"POST", "/v1/sessions/" + session.ID + "/tokens", 200, clerkauthtest.SessionTokens},
				{"POST", "/v1/sessions/" + session.ID + "/tokens/none", 404, clerkauthtest.SessionTokens},
				{"POST", "/v1/sessions/sess_none/tokens", 404, clerkauthtest.SessionTokens},
				{"POST", "/v1/jwks", 404, clerkauthtest.Backend},
				{"GET", "/v1/none", 404, clerkauthtest.Backend},
				{"GET", "/none", 404, clerkauthtest.Frontend},
				{"GET", "/v1//jwks", 404, clerkauthtest.Frontend},
				{"GET", "/", 404, clerkauthtest.Frontend},
			} {
				before := srv.Requests(c.endpoint)
				resp := call(t, srv, c.method, c.path, "")
				if resp.StatusCode != c.status || resp.Header.Get("Content-Type") != "application/json" {
					t.Errorf("%s %s: %s, %s", c.method, c.path, resp.Status, resp.Header.Get("Content-Type"))
				}
				if resp.StatusCode == 404 && resp.code(t) != "resource_not_found" {
					t.Errorf("%s %s: %s", c.method, c.path, resp.body)
				}
				if n := srv.Requests(c.endpoint); n != before+1 {
					t.Errorf("%s %s: %d requests, %d before", c.method, c.path, n, before)
				}
			}
			if n := srv.Requests(clerkauthtest.Backend | clerkauthtest.Frontend); n != 14 {
				t.Errorf("%d requests in all", n)
			}
		})
	}
}

func TestBackendRequiresTheSecretKey(t *testing.T) {
	srv := clerkauthtest.NewServer(t, clerkauthtest.InMemory())
	session := signIn(srv)
	refused(t, testkit.NewAuth(t, srv, func(c *clerkauth.Config) {
		c.SecretKey = clerkauth.NewSecret("sk_test_another")
		c.PublishableKey, c.FrontendURL, c.Issuers = "", "", []string{srv.Issuer()}
	}), session.Token(), clerkauth.ErrSecretKeyInvalid)

	for _, path := range []string{"/v1/jwks", "/v1/users/" + session.User.ID, "/v1/sessions/" + session.ID, "/v1/none"} {
		for _, value := range []string{"", "Bearer", "Bearer sk_test_another", srv.SecretKey()} {
			req, err := http.NewRequestWithContext(t.Context(), http.MethodGet, srv.URL+path, nil)
			if err != nil {
				t.Fatal(err)
			}
			if value != "" {
				req.Header.Set("Authorization", value)
			}
			resp, err := srv.Transport().RoundTrip(req)
			if err != nil {
				t.Fatal(err)
			}
			body, _ := io.ReadAll(resp.Body)
			if resp.StatusCode != 401 || (response{body: string(body)}).code(t) != "clerk_key_invalid" {
				t.Errorf("%s: %s, %s", path, resp.Status, body)
			}
		}
	}
}

func TestClerkSDK(t *testing.T) {
	for name, opts := range map[string][]clerkauthtest.Option{
		"loopback":  nil,
		"in memory": {clerkauthtest.InMemory()},
	} {
		t.Run(name, func(t *testing.T) {
			srv := clerkauthtest.NewServer(t, opts...)
			auth := testkit.NewAuth(t, srv)
			s := signIn(srv, clerkauthtest.InOrganization("acme", "admin"), clerkauthtest.ImpersonatedBy("user_support"))
			ctx := t.Context()

			jane, err := user.NewClient(auth.ClerkConfig()).Get(ctx, s.User.ID)
			if err != nil {
				t.Fatal(err)
			}
			if jane.ID != s.User.ID || len(jane.EmailAddresses) != 1 ||
				jane.EmailAddresses[0].EmailAddress != s.User.Email ||
				jane.EmailAddresses[0].ID != *jane.PrimaryEmailAddressID || jane.CreatedAt == 0 {
				t.Errorf("user is %+v", jane)
			}
			sess, err := session.NewClient(auth.ClerkConfig()).Get(ctx, s.ID)
			if err != nil {
				t.Fatal(err)
			}
			if sess.UserID != s.User.ID || sess.Status != "active" || sess.LastActiveOrganizationID != s.Organization.ID ||
				string(sess.Actor) != `{"sub":"user_support"}` || sess.ExpireAt <= sess.CreatedAt {
				t.Errorf("session is %+v", sess)
			}

			who := mustVerify(t, auth, s.Token())
			token, err := auth.GetToken(ctx, who, "")
			if err != nil {
				t.Fatal(err)
			}
			refused(t, auth, token, clerkauth.ErrTokenParty) // the Backend API's tokens have no party
			again := mustVerify(t, testkit.NewAuth(t, srv, func(c *clerkauth.Config) {
				c.MissingParty = clerkauth.AllowMissingFromHeader
			}), token)
			if again.SessionID != s.ID || again.OrgSlug != "acme" {
				t.Errorf("token is for %+v", again)
			}

			srv.CreateTemplate("my-template", map[string]any{"role": "user"})
			token, err = auth.GetToken(ctx, who, "my-template")
			if err != nil {
				t.Fatal(err)
			}
			claims := claimsOf(t, srv, token)
			if claims["role"] != "user" || claims["sub"] != s.User.ID || claims["azp"] != nil {
				t.Errorf("claims are %v", claims)
			}
			refused(t, auth, token, clerkauth.ErrTokenType)

			seconds := int64(300)
			long, err := session.NewClient(auth.ClerkConfig()).CreateToken(ctx, &session.CreateTokenParams{ID: s.ID, ExpiresInSeconds: &seconds})
			if err != nil {
				t.Fatal(err)
			}
			claims = claimsOf(t, srv, long.JWT)
			if claims["exp"].(float64)-claims["iat"].(float64) != 300 {
				t.Errorf("claims are %v", claims)
			}
			seconds = 1
			_, err = session.NewClient(auth.ClerkConfig()).CreateToken(ctx, &session.CreateTokenParams{ID: s.ID, ExpiresInSeconds: &seconds})
			wantAnswer(t, err, 422, "form_param_value_invalid")

			s.SignOut()
			_, err = auth.GetToken(ctx, who, "")
			wantAnswer(t, err, 404, "resource_not_found")
			if sess, err = session.NewClient(auth.ClerkConfig()).Get(ctx, s.ID); err != nil || sess.Status != "ended" {
				t.Errorf("after signing out: %+v, %v", sess, err)
			}
		})
	}
}

// wantAnswer fails the test unless err is this response of the Backend API.
func wantAnswer(t *testing.T, err error, status int, code string) {
	t.Helper()
	var answer *clerk.APIErrorResponse
	if !errors.As(err, &answer) {
		t.Errorf("error is %v", err)
	} else if answer.HTTPStatusCode != status || len(answer.Errors) != 1 || answer.Errors[0].Code != code || answer.TraceID == "" {
		t.Errorf("answer is %v", answer)
	}
}

func TestFailWithStatus(t *testing.T) {
	for name, opts := range map[string][]clerkauthtest.Option{
		"loopback":  nil,
		"in memory": {clerkauthtest.InMemory()},
	} {
		t.Run(name, func(t *testing.T) { testFailWithStatus(t, clerkauthtest.NewServer(t, opts...)) })
	}
}

func testFailWithStatus(t *testing.T, srv *clerkauthtest.Server) {
	for status, code := range map[int]string{
		401: "clerk_key_invalid", 404: "resource_not_found", 429: "too_many_requests", 500: "internal_clerk_error", 503: "internal_clerk_error",
	} {
		srv.Fail(clerkauthtest.JWKS, status)
		srv.RetryAfter(clerkauthtest.BackendJWKS, 7)
		for path, after := range map[string]string{"/v1/jwks": "7", "/.well-known/jwks.json": ""} {
			resp := call(t, srv, "GET", path, "")
			if resp.StatusCode != status || resp.code(t) != code || resp.Header.Get("Retry-After") != after {
				t.Errorf("%s: %s, Retry-After %q, %s", path, resp.Status, resp.Header.Get("Retry-After"), resp.body)
			}
		}
	}
	healthy := call(t, srv, "GET", "/v1/users/user_none", "")
	if healthy.StatusCode != 404 {
		t.Errorf("another endpoint: %s", healthy.Status)
	}
	refused(t, testkit.NewAuth(t, srv), signIn(srv).Token(), clerkauth.ErrUnavailable)

	srv.Heal(clerkauthtest.FrontendJWKS)
	mustVerify(t, testkit.NewAuth(t, srv), signIn(srv).Token())
	srv.Heal(clerkauthtest.JWKS)
	resp := call(t, srv, "GET", "/v1/jwks", "")
	if resp.StatusCode != 200 || resp.Header.Get("Retry-After") != "" {
		t.Errorf("after Heal: %s, %v", resp.Status, resp.Header)
	}
	right := resp.body
	srv.Fail(clerkauthtest.JWKS, 503)
	if resp := call(t, srv, "GET", "/v1/jwks", ""); resp.Header.Get("Retry-After") != "" {
		t.Errorf("Retry-After has not been healed: %v", resp.Header)
	}
	for status, body := range map[int]string{206: right, 204: "", 304: ""} {
		srv.Fail(clerkauthtest.JWKS, status)
		if resp := call(t, srv, "GET", "/v1/jwks", ""); resp.StatusCode != status || resp.body != body {
			t.Errorf("%d: %s, %s", status, resp.Status, resp.body)
		}
	}
	srv.Fail(clerkauthtest.Backend, 500)
	for _, path := range []string{"/v1/jwks", "/v1/users/u", "/v1/sessions/s", "/v1/none"} {
		if resp := call(t, srv, "GET", path, ""); resp.StatusCode != 500 {
			t.Errorf("%s: %s", path, resp.Status)
		}
	}
}

func TestFailOtherwise(t *testing.T) {
	for name, opts := range map[string][]clerkauthtest.Option{
		"loopback":  nil,
		"in memory": {clerkauthtest.InMemory()},
	} {
		t.Run(name, func(t *testing.T) {
			srv := clerkauthtest.NewServer(t, opts...)
			right := call(t, srv, "GET", "/v1/jwks", "").body
			token := signIn(srv).Token()

			srv.Fail(clerkauthtest.JWKS, clerkauthtest.Garbage)
			resp := call(t, srv, "GET", "/v1/jwks", "")
			if resp.StatusCode != 200 || json.Valid([]byte(resp.body)) {
				t.Errorf("Garbage: %s, %s", resp.Status, resp.body)
			}
			refused(t, testkit.NewAuth(t, srv), token, clerkauth.ErrKeysUnavailable)

			srv.Fail(clerkauthtest.JWKS, clerkauthtest.Cut)
			resp = call(t, srv, "GET", "/v1/jwks", "")
			if resp.StatusCode != 200 || !errors.Is(resp.err, io.ErrUnexpectedEOF) ||
				resp.body != right[:len(right)/2] || resp.ContentLength != int64(len(right)) {
				t.Errorf("Cut: %s, %v, %d of %d bytes", resp.Status, resp.err, len(resp.body), resp.ContentLength)
			}
			refused(t, testkit.NewAuth(t, srv), token, clerkauth.ErrKeysUnavailable)

			srv.Fail(clerkauthtest.JWKS, clerkauthtest.Redirect)
			before := srv.Requests(clerkauthtest.BackendJWKS)
			refused(t, testkit.NewAuth(t, srv), token, clerkauth.ErrKeysUnavailable)
			if n := srv.Requests(clerkauthtest.BackendJWKS); n != before+1 {
				t.Errorf("Redirect: %d requests", n-before)
			}
			// A client that follows the redirect receives the keys.
			client := &http.Client{Transport: srv.Transport()}
			followed, err := client.Get(srv.URL + "/.well-known/jwks.json")
			if err != nil {
				t.Fatal(err)
			}
			defer func() { _ = followed.Body.Close() }()
			body, err := io.ReadAll(followed.Body)
			if err != nil || string(body) != right {
				t.Errorf("Redirect: %s, %v", body, err)
			}
		})
	}
}

// TestHang runs in virtual time: only the deadlines of clerkauth end the requests.
func TestHang(t *testing.T) {
	for name, how := range map[string]int{"Hang": clerkauthtest.Hang, "SlowBody": clerkauthtest.SlowBody} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				srv := clerkauthtest.NewServer(t, clerkauthtest.InMemory())
				auth := testkit.NewAuth(t, srv)
				token := signIn(srv).Token()
				srv.Fail(clerkauthtest.JWKS, how)
				start := time.Now()
				refused(t, auth, token, clerkauth.ErrKeysUnavailable)
				if d := time.Since(start); d != 5*time.Second {
					t.Errorf("it took %v", d)
				}
				// The caller's own deadline is respected.
				ctx, cancel := context.WithTimeout(t.Context(), time.Second)
				defer cancel()
				req, err := http.NewRequestWithContext(ctx, http.MethodGet, srv.URL+"/.well-known/jwks.json", nil)
				if err != nil {
					t.Fatal(err)
				}
				start = time.Now()
				resp, err := srv.Transport().RoundTrip(req)
				if err == nil {
					_, err = io.ReadAll(resp.Body)
				}
				if !errors.Is(err, context.DeadlineExceeded) || time.Since(start) != time.Second {
					t.Errorf("%v after %v", err, time.Since(start))
				}
				// The Frontend API alone suffices in the remaining time.
				srv.Heal(clerkauthtest.FrontendJWKS)
				time.Sleep(time.Minute)
				mustVerify(t, testkit.NewAuth(t, srv), signIn(srv).Token())
			})
		})
	}
}

func TestSlowBody(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		srv := clerkauthtest.NewServer(t, clerkauthtest.InMemory())
		right := call(t, srv, "GET", "/v1/jwks", "").body
		srv.Fail(clerkauthtest.BackendJWKS, clerkauthtest.SlowBody)
		start := time.Now()
		resp := call(t, srv, "GET", "/v1/jwks", "")
		if resp.body != right || resp.err != nil {
			t.Errorf("%s, %v", resp.body, resp.err)
		}
		if d := time.Since(start); d != time.Duration(len(right))*time.Second {
			t.Errorf("%d bytes took %v", len(right), d)
		}
	})
}
