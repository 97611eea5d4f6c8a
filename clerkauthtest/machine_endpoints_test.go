package clerkauthtest_test

import (
	"encoding/json"
	"errors"
	"net/http"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/clerk/clerk-sdk-go/v2"
	"github.com/clerk/clerk-sdk-go/v2/apikey"
	"github.com/clerk/clerk-sdk-go/v2/m2m_token"
	"github.com/clerk/clerk-sdk-go/v2/machine"

	"github.com/clerkauth/clerkauth"
	"github.com/clerkauth/clerkauth/clerkauthtest"
)

// sdk returns a configuration of clerk-sdk-go's clients, with the version that they
// prefix to paths or without.
func sdk(srv *clerkauthtest.Server, version, key string) *clerk.ClientConfig {
	config := &clerk.ClientConfig{}
	config.HTTPClient = &http.Client{Transport: srv.Transport()}
	config.URL = clerk.String(srv.URL + version)
	config.Key = clerk.String(key)
	return config
}

var versions = []string{"", "/v1"}

// wantStatus fails the test unless err is clerk-sdk-go's error for a response in
// Clerk's form with that status; 0 is no error.
func wantStatus(t *testing.T, what string, err error, want int) {
	t.Helper()
	var theirs *clerk.APIErrorResponse
	if want == 0 && err == nil {
		return
	}
	if !errors.As(err, &theirs) || len(theirs.Errors) != 1 || theirs.HTTPStatusCode != want {
		t.Errorf("%s: %v, want %d", what, err, want)
	}
}

func must[T any](t *testing.T) func(T, error) T {
	return func(value T, err error) T {
		t.Helper()
		if err != nil {
			t.Fatal(err)
		}
		return value
	}
}

func TestAPIKeysOfClerkSDK(t *testing.T) {
	for _, version := range versions {
		t.Run("version "+version, func(t *testing.T) {
			srv := clerkauthtest.NewServer(t, clerkauthtest.InMemory())
			keys, ctx := apikey.NewClient(sdk(srv, version, srv.SecretKey())), t.Context()
			jane := srv.CreateUser("jane@example.com")
			created := must[*clerk.APIKeyWithSecret](t)(keys.Create(ctx, &apikey.CreateParams{
				Name: clerk.String("ci"), Subject: &jane.ID, Description: clerk.String("for CI"), CreatedBy: &jane.ID,
				Scopes: []string{"read"}, Claims: json.RawMessage(`{"team":"core"}`), SecondsUntilExpiration: clerk.Int64(60),
			}))
			key := created.APIKey
			if key.Object != "api_key" || key.Type != "api_key" || key.Name != "ci" || key.Subject != jane.ID || *key.CreatedBy != jane.ID ||
				*key.Description != "for CI" || string(key.Claims) != `{"team":"core"}` || !slices.Equal(key.Scopes, []string{"read"}) ||
				*key.Expiration != key.CreatedAt+60_000 || !strings.HasPrefix(key.ID, "ak_") || !strings.HasPrefix(created.Secret, "ak_") || key.ID == created.Secret {
				t.Errorf("created %+v, %s", key, created.Secret)
			}
			if secret := must[*apikey.APIKeySecret](t)(keys.GetSecret(ctx, key.ID)); secret.Secret != created.Secret {
				t.Errorf("secret is %s", secret.Secret)
			}
			verify := func() (*clerk.APIKey, error) {
				return keys.Verify(ctx, &apikey.VerifyParams{Secret: created.Secret})
			}
			for what, get := range map[string]func() (*clerk.APIKey, error){
				"get": func() (*clerk.APIKey, error) { return keys.Get(ctx, key.ID) }, "verify": verify,
			} {
				if got := must[*clerk.APIKey](t)(get()); got.ID != key.ID || got.Name != "ci" || *got.Expiration != *key.Expiration {
					t.Errorf("%s: %+v", what, got)
				}
			}

			srv.Advance(time.Second)
			updated := must[*clerk.APIKey](t)(keys.Update(ctx, key.ID, &apikey.UpdateParams{
				Scopes: []string{"write"}, Description: clerk.String("for CD"), Claims: json.RawMessage(`{}`), SecondsUntilExpiration: clerk.Int64(120),
			}))
			if !slices.Equal(updated.Scopes, []string{"write"}) || *updated.Description != "for CD" || string(updated.Claims) != "{}" ||
				*updated.Expiration <= *key.Expiration || updated.UpdatedAt <= key.UpdatedAt || updated.CreatedAt != key.CreatedAt {
				t.Errorf("updated %+v", updated)
			}

			srv.CreateAPIKey(srv.CreateOrganization("acme"))
			second := srv.CreateAPIKey(jane)
			list := func(invalid string) []string {
				answer := must[*clerk.APIKeyList](t)(keys.List(ctx, &apikey.ListParams{Subject: &jane.ID, IncludeInvalid: &invalid}))
				ids := []string{}
				for _, k := range answer.APIKeys {
					ids = append(ids, k.ID)
				}
				if answer.TotalCount != int64(len(ids)) {
					t.Errorf("%d of %d are listed", len(ids), answer.TotalCount)
				}
				return ids
			}
			if got := list("false"); !slices.Equal(got, []string{key.ID, second.ID}) {
				t.Errorf("listed %v", got)
			}
			revoked := must[*clerk.APIKey](t)(keys.Revoke(ctx, key.ID, &apikey.RevokeParams{RevocationReason: clerk.String("leaked")}))
			if !revoked.Revoked || *revoked.RevocationReason != "leaked" {
				t.Errorf("revoked %+v", revoked)
			}
			_, err := verify()
			wantStatus(t, "verify what is revoked", err, 404)
			if got := list("false"); !slices.Equal(got, []string{second.ID}) {
				t.Errorf("listed %v after a revocation", got)
			}
			if got := list("true"); len(got) != 2 {
				t.Errorf("listed %v with what is invalid", got)
			}
			if gone := must[*clerk.DeletedResource](t)(keys.Delete(ctx, key.ID)); gone.ID != key.ID || !gone.Deleted {
				t.Errorf("deleted %+v", gone)
			}
			_, err = keys.Get(ctx, key.ID)
			wantStatus(t, "get", err, 404)
			_, err = keys.GetSecret(ctx, key.ID)
			wantStatus(t, "get secret", err, 404)
			_, err = keys.Delete(ctx, key.ID)
			wantStatus(t, "delete", err, 404)
			_, err = keys.Update(ctx, key.ID, &apikey.UpdateParams{})
			wantStatus(t, "update", err, 404)
			_, err = keys.Update(ctx, second.ID, &apikey.UpdateParams{Subject: &jane.ID})
			wantStatus(t, "update the subject", err, 422)
			for what, params := range map[string]*apikey.CreateParams{
				"no name":    {Subject: &jane.ID},
				"no subject": {Name: clerk.String("ci")},
				"no owner":   {Name: clerk.String("ci"), Subject: clerk.String("mch_1")},
				"no claims":  {Name: clerk.String("ci"), Subject: &jane.ID, Claims: json.RawMessage(`"x"`)},
				"no time":    {Name: clerk.String("ci"), Subject: &jane.ID, SecondsUntilExpiration: clerk.Int64(0)},
			} {
				_, err := keys.Create(ctx, params)
				wantStatus(t, what, err, 422)
			}
		})
	}
}

func TestMachinesOfClerkSDK(t *testing.T) {
	for _, version := range versions {
		t.Run("version "+version, func(t *testing.T) {
			srv := clerkauthtest.NewServer(t, clerkauthtest.InMemory())
			ctx, ours := t.Context(), sdk(srv, version, srv.SecretKey())
			machines := machine.NewClient(ours)
			ledger, other := srv.CreateMachine("ledger"), srv.CreateMachine("other")
			billing := must[*clerk.MachineWithScopedMachinesAndSecretKey](t)(machines.Create(ctx, &machine.CreateParams{
				Name: "billing", ScopedMachines: []string{ledger.ID}, DefaultTokenTTL: clerk.Int64(300),
			}))
			got := must[*clerk.MachineWithScopedMachines](t)(machines.Get(ctx, billing.ID))
			if got.ID != billing.ID || got.Object != "machine" || got.Name != "billing" || got.DefaultTokenTTL != 300 ||
				len(got.ScopedMachines) != 1 || got.ScopedMachines[0].ID != ledger.ID || !strings.HasPrefix(billing.SecretKey, "ak_") {
				t.Errorf("machine is %+v", got)
			}
			_, err := machines.Get(ctx, "mch_none")
			wantStatus(t, "get", err, 404)
			_, err = machines.Create(ctx, &machine.CreateParams{})
			wantStatus(t, "create without a name", err, 422)

			theirs := m2m_token.NewClient(sdk(srv, version, billing.SecretKey))
			claims := json.RawMessage(`{"batch":7}`)
			created := must[*clerk.M2MTokenWithToken](t)(theirs.Create(ctx, &m2m_token.CreateParams{Claims: &claims}))
			if created.Object != "machine_to_machine_token" || created.Subject != billing.ID || !strings.HasPrefix(created.Token, "mt_") ||
				!slices.Equal(created.Scopes, []string{ledger.ID}) || string(created.Claims) != `{"batch":7}` || *created.Expiration != created.CreatedAt+300_000 {
				t.Errorf("created %+v", created)
			}
			for who, c := range map[string]struct {
				key    string
				status int
			}{
				"the receiver": {ledger.SecretKey, 0},
				"the instance": {srv.SecretKey(), 0},
				"another":      {other.SecretKey, 404},
				"the sender":   {billing.SecretKey, 404},
				"unknown":      {"ak_none", 401},
			} {
				token, err := m2m_token.NewClient(sdk(srv, version, c.key)).Verify(ctx, &m2m_token.VerifyParams{Token: created.Token})
				wantStatus(t, who, err, c.status)
				if c.status == 0 && (token.ID != created.ID || token.Subject != billing.ID) {
					t.Errorf("%s: %+v", who, token)
				}
			}
			_, err = m2m_token.NewClient(ours).Create(ctx, &m2m_token.CreateParams{})
			wantStatus(t, "create with the instance's key", err, 401)
			_, err = theirs.Create(ctx, &m2m_token.CreateParams{TokenFormat: clerk.String("paseto")})
			wantStatus(t, "create in no form", err, 422)
			_, err = theirs.Revoke(ctx, created.ID, &m2m_token.RevokeParams{})
			wantStatus(t, "revoke with a machine's key", err, 401)

			revoked := must[*clerk.M2MToken](t)(m2m_token.NewClient(ours).Revoke(ctx, created.ID, &m2m_token.RevokeParams{RevocationReason: clerk.String("leaked")}))
			if !revoked.Revoked || *revoked.RevocationReason != "leaked" {
				t.Errorf("revoked %+v", revoked)
			}
			_, err = m2m_token.NewClient(ours).Verify(ctx, &m2m_token.VerifyParams{Token: created.Token})
			wantStatus(t, "verify what is revoked", err, 404)

			jwt := must[*clerk.M2MTokenWithToken](t)(theirs.Create(ctx, &m2m_token.CreateParams{
				TokenFormat: clerk.String("jwt"), SecondsUntilExpiration: clerk.Int64(30),
			}))
			if all := claimsOf(t, srv, jwt.Token); all["jti"] != jwt.ID || all["exp"] != float64(*jwt.Expiration/1000) || all["scopes"] != ledger.ID {
				t.Errorf("claims are %v", all)
			}
		})
	}
}

func TestVerifyOAuth(t *testing.T) {
	srv := clerkauthtest.NewServer(t, clerkauthtest.InMemory())
	c := srv.CreateOAuthToken(srv.CreateUser("jane@example.com"), "client_1", "profile", "email")
	verify := func() map[string]any {
		t.Helper()
		resp := call(t, srv, "POST", "/v1/oauth_applications/access_tokens/verify", `{"access_token":"`+c.Token+`"}`)
		var answer map[string]any
		if err := json.Unmarshal([]byte(resp.body), &answer); err != nil || resp.StatusCode != 200 {
			t.Fatalf("%s: %s", resp.Status, resp.body)
		}
		return answer
	}
	answer := verify()
	created, _ := answer["created_at"].(float64)
	if d := srv.Now().Unix() - int64(created); d < 0 || d > 5 {
		t.Errorf("created %d s ago", d)
	}
	want := map[string]any{
		"object": "clerk_idp_oauth_access_token", "id": c.ID, "client_id": "client_1", "type": "oauth:access_token",
		"subject": c.Subject, "scopes": []string{"profile", "email"}, "revoked": false, "revocation_reason": nil, "expired": false,
		"expiration": created + 24*60*60, "created_at": created, "updated_at": created,
	}
	same(t, "answer", answer, want)
	c.SetAudience("https://api.example.com")
	if aud, _ := verify()["aud"].([]any); len(aud) != 1 || aud[0] != "https://api.example.com" {
		t.Errorf("aud is %v", aud)
	}
}

// verifications are the endpoints that verify credentials, with a body for each.
var verifications = []struct {
	kind     clerkauth.TokenType
	endpoint clerkauthtest.Endpoint
	path     string
	member   string
}{
	{clerkauth.APIKey, clerkauthtest.APIKeyVerify, "/api_keys/verify", "secret"},
	{clerkauth.M2MToken, clerkauthtest.M2MVerify, "/m2m_tokens/verify", "token"},
	{clerkauth.OAuthToken, clerkauthtest.OAuthVerify, "/oauth_applications/access_tokens/verify", "access_token"},
}

func TestEnded(t *testing.T) {
	srv := clerkauthtest.NewServer(t, clerkauthtest.InMemory())
	for name, end := range map[string]func(*clerkauthtest.Credential){"revoked": srv.Revoke, "expired": srv.Expire} {
		for _, c := range credentials(srv) {
			for _, v := range verifications {
				if v.kind != c.Kind {
					if resp := call(t, srv, "POST", v.path, `{"`+v.member+`":"`+c.Token+`"}`); resp.StatusCode != 404 {
						t.Errorf("%s is a %s: %s", c.Kind, v.kind, resp.Status)
					}
					continue
				}
				verify := func(status int, body string) {
					t.Helper()
					resp := call(t, srv, "POST", v.path, `{"`+v.member+`":"`+c.Token+`"}`)
					if resp.StatusCode != status || !strings.Contains(resp.body, body) {
						t.Errorf("%s that is %s: %s, %s", c.Kind, name, resp.Status, resp.body)
					}
				}
				verify(200, `"`+name+`":false`)
				end(c)
				verify(404, `"resource_not_found"`)
				srv.ShowEnded(true)
				verify(200, `"`+name+`":true`)
				srv.ShowEnded(false)
				verify(404, `"resource_not_found"`)
			}
		}
	}
	c := srv.CreateAPIKey(srv.CreateUser("jane@example.com"))
	c.SetExpiration(srv.Now().Add(time.Minute))
	for _, want := range []int{200, 404} {
		if resp := call(t, srv, "POST", "/api_keys/verify", `{"secret":"`+c.Token+`"}`); resp.StatusCode != want {
			t.Errorf("%s, want %d", resp.Status, want)
		}
		srv.Advance(time.Minute)
	}
	other := clerkauthtest.NewServer(t, clerkauthtest.InMemory())
	for name, mistake := range map[string]func(){
		"Revoke": func() { other.Revoke(c) },
		"Expire": func() { other.Expire(c) },
		"Answer": func() { srv.Answer(clerkauthtest.TokenVerify, 99, "", "") },
	} {
		func() {
			defer func() {
				if recover() == nil {
					t.Errorf("%s: no panic", name)
				}
			}()
			mistake()
		}()
	}
}

func TestMachineEndpoints(t *testing.T) {
	for name, opts := range map[string][]clerkauthtest.Option{
		"loopback":  nil,
		"in memory": {clerkauthtest.InMemory()},
	} {
		t.Run(name, func(t *testing.T) {
			srv := clerkauthtest.NewServer(t, opts...)
			for _, version := range versions {
				for _, v := range verifications {
					path, body := version+v.path, `{"`+v.member+`":"none"}`
					verify := func(what string, status int) {
						t.Helper()
						before, all := srv.Requests(v.endpoint), srv.Requests(clerkauthtest.Backend)
						resp := call(t, srv, "POST", path, body)
						if resp.StatusCode != status || srv.Requests(v.endpoint) != before+1 || srv.Requests(clerkauthtest.Backend) != all+1 {
							t.Errorf("%s %s: %s, want %d, and %d requests more", path, what, resp.Status, status, srv.Requests(v.endpoint)-before)
						}
					}
					verify("as it is", 404)
					srv.Fail(clerkauthtest.TokenVerify, http.StatusServiceUnavailable)
					verify("after Fail", 503)
					srv.Answer(v.endpoint, http.StatusAccepted, "text/plain", "as you say")
					verify("after Answer", 202)
					srv.Fail(v.endpoint, http.StatusTooManyRequests)
					verify("after Fail again", 429)
					srv.Heal(clerkauthtest.TokenVerify)
					verify("after Heal", 404)
					if resp := call(t, srv, "POST", path, "{"); resp.StatusCode != 422 {
						t.Errorf("%s with what is no JSON: %s", path, resp.Status)
					}
				}
				before := srv.Requests(clerkauthtest.APIKeys)
				for _, to := range []string{"POST /api_keys", "GET /api_keys", "GET /api_keys/ak_1", "PATCH /api_keys/ak_1", "DELETE /api_keys/ak_1",
					"POST /api_keys/ak_1/revoke", "GET /api_keys/ak_1/secret", "POST /m2m_tokens", "POST /m2m_tokens/mt_1/revoke", "POST /machines", "GET /machines/mch_1"} {
					method, path, _ := strings.Cut(to, " ")
					req, err := http.NewRequestWithContext(t.Context(), method, srv.URL+version+path, http.NoBody)
					if err != nil {
						t.Fatal(err)
					}
					req.Header.Set("Authorization", "Bearer sk_test_another")
					resp, err := srv.Transport().RoundTrip(req)
					if err != nil {
						t.Fatal(err)
					}
					_ = resp.Body.Close()
					if resp.StatusCode != 401 {
						t.Errorf("%s: %s", to, resp.Status)
					}
				}
				if n := srv.Requests(clerkauthtest.APIKeys) - before; n != 11 {
					t.Errorf("%d requests, want 11", n)
				}
			}
			if n := srv.Requests(clerkauthtest.Frontend); n != 0 {
				t.Errorf("%d requests to the Frontend API", n)
			}
		})
	}
}

func TestAnswer(t *testing.T) {
	for name, opts := range map[string][]clerkauthtest.Option{
		"loopback":  nil,
		"in memory": {clerkauthtest.InMemory()},
	} {
		t.Run(name, func(t *testing.T) {
			srv := clerkauthtest.NewServer(t, opts...)
			for _, contentType := range []string{"application/json; charset=utf-8", ""} {
				srv.Answer(clerkauthtest.APIKeyVerify, http.StatusTeapot, contentType, `{"object":"api_key"}`)
				resp := call(t, srv, "POST", "/api_keys/verify", "")
				if resp.StatusCode != http.StatusTeapot || resp.Header.Get("Content-Type") != contentType || resp.body != `{"object":"api_key"}` {
					t.Errorf("%s, %q: %s", resp.Status, resp.Header.Get("Content-Type"), resp.body)
				}
			}
			if resp := call(t, srv, "POST", "/m2m_tokens/verify", ""); resp.StatusCode != 404 {
				t.Errorf("another endpoint: %s", resp.Status)
			}
			srv.Heal(clerkauthtest.APIKeyVerify)
			if resp := call(t, srv, "POST", "/api_keys/verify", ""); resp.StatusCode != 404 {
				t.Errorf("after Heal: %s", resp.Status)
			}
		})
	}
}
