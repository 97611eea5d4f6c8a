package clerkauthtest_test

import (
	"net/http"
	"net/http/httptest"
	"sync"
	"testing"
	"time"

	"github.com/clerk/clerk-sdk-go/v2/apikey"

	"github.com/clerkauth/clerkauth"
	"github.com/clerkauth/clerkauth/clerkauthtest"
	"github.com/clerkauth/clerkauth/internal/testkit"
)

// anyToken returns a handler that accepts every kind of machine credential and
// stores the caller in who.
func anyToken(t *testing.T, srv *clerkauthtest.Server, who *clerkauth.Auth) http.Handler {
	t.Helper()
	kinds := []clerkauth.TokenType{clerkauth.APIKey, clerkauth.M2MToken, clerkauth.OAuthToken}
	auth := testkit.NewAuth(t, srv, func(c *clerkauth.Config) {
		c.Accept = kinds
		c.Machines.CacheTTL = clerkauth.AskEveryTime
	})
	var tokens []clerkauth.Access
	for _, kind := range kinds {
		tokens = append(tokens, clerkauth.Token(kind))
	}
	return auth.Require(clerkauth.AnyOf(tokens...)).Func(func(_ http.ResponseWriter, r *http.Request) {
		*who = clerkauth.FromContext(r.Context())
	})
}

// present returns the status of handler's response to a bearer token.
func present(handler http.Handler, authorize func(*http.Request)) int {
	req := httptest.NewRequest(http.MethodGet, "/", nil)
	authorize(req)
	w := httptest.NewRecorder()
	handler.ServeHTTP(w, req)
	return w.Code
}

// credentials returns one credential of every kind and owner.
func credentials(srv *clerkauthtest.Server) []*clerkauthtest.Credential {
	jane := srv.CreateUser("jane@example.com")
	return []*clerkauthtest.Credential{
		srv.CreateAPIKey(jane, "read", "write"),
		srv.CreateAPIKey(srv.CreateOrganization("acme")),
		srv.CreateMachine("billing").Token(srv.CreateMachine("ledger")),
		srv.CreateOAuthToken(jane, "client_1", "profile", "email"),
	}
}

func TestCredentialsAreAccepted(t *testing.T) {
	for name, opts := range map[string][]clerkauthtest.Option{
		"loopback":  nil,
		"in memory": {clerkauthtest.InMemory()},
	} {
		t.Run(name, func(t *testing.T) {
			srv := clerkauthtest.NewServer(t, opts...)
			var who clerkauth.Auth
			handler := anyToken(t, srv, &who)
			for _, c := range credentials(srv) {
				for form, authorize := range map[string]func(*http.Request){
					"opaque": c.Authorize,
					"JWT":    func(r *http.Request) { r.Header.Set("Authorization", "Bearer "+c.JWT()) },
				} {
					who = clerkauth.Auth{}
					if status := present(handler, authorize); status != http.StatusOK || who.TokenType != c.Kind || who.Subject != c.Subject || who.TokenID != c.ID {
						t.Errorf("%s as %s: %d, and it is %s %s of %s", c.Kind, form, status, who.TokenType, who.TokenID, who.Subject)
					}
				}
				srv.Revoke(c)
				if status := present(handler, c.Authorize); status != http.StatusUnauthorized {
					t.Errorf("%s after Revoke: %d", c.Kind, status)
				}
			}
			if n := srv.Requests(clerkauthtest.TokenVerify); n != 8 {
				t.Errorf("%d requests, want 8", n)
			}
		})
	}
}

func TestCredentialJWT(t *testing.T) {
	srv := clerkauthtest.NewServer(t, clerkauthtest.InMemory())
	jane, ledger, mailer := srv.CreateUser("jane@example.com"), srv.CreateMachine("ledger"), srv.CreateMachine("mailer")
	key := srv.CreateAPIKey(jane, "read", "write")
	m2m := srv.CreateMachine("billing").Token(ledger, mailer)
	oauth := srv.CreateOAuthToken(jane, "client_1", "profile", "email")
	oauth.SetAudience("https://api.example.com")
	m2m.SetExpiration(srv.Now().Add(5 * time.Minute))
	for _, c := range []*clerkauthtest.Credential{key, m2m} {
		c.SetClaims(map[string]any{"team": "core", "sub": "user_other"})
	}
	for _, c := range []struct {
		credential     *clerkauthtest.Credential
		lifetime       int64
		header, claims map[string]any
	}{
		{key, 3600, map[string]any{"typ": "JWT"}, map[string]any{"scopes": []string{"read", "write"}, "team": "core"}},
		{m2m, 300, map[string]any{"typ": "JWT", "cat": "cl_B7d4PD333AAA"}, map[string]any{
			"scopes": ledger.ID + " " + mailer.ID, "aud": []string{ledger.ID, mailer.ID}, "team": "core",
		}},
		{oauth, 86400, map[string]any{"typ": "at+jwt"}, map[string]any{
			"client_id": "client_1", "scope": "profile email", "aud": []string{"https://api.example.com"},
		}},
	} {
		token := c.credential.JWT()
		header, claims := decoded(t, token)
		claimsOf(t, srv, token) // verifies the signature
		c.header["alg"], c.header["kid"] = "RS256", srv.KeyID()
		same(t, "header", header, c.header)
		iat, _ := claims["iat"].(float64)
		if d := srv.Now().Unix() - int64(iat); d < 0 || d > 5 {
			t.Errorf("%s: iat is %d s ago", c.credential.Kind, d)
		}
		exp, _ := claims["exp"].(float64)
		if d := int64(exp-iat) - c.lifetime; d < -5 || d > 0 {
			t.Errorf("%s: it is good for %v s, want %d", c.credential.Kind, exp-iat, c.lifetime)
		}
		c.claims["iss"], c.claims["sub"], c.claims["jti"] = srv.Issuer(), c.credential.Subject, c.credential.ID
		c.claims["iat"], c.claims["exp"] = iat, exp
		if c.credential != key {
			c.claims["nbf"] = iat - 10
		}
		same(t, string(c.credential.Kind), claims, c.claims)
	}
}

func TestCredentialJWTOptions(t *testing.T) {
	srv := clerkauthtest.NewServer(t, clerkauthtest.InMemory())
	other := clerkauthtest.NewServer(t, clerkauthtest.InMemory())
	for _, c := range credentials(srv) {
		token := c.JWT(
			clerkauthtest.WithClaim("extra", 1), clerkauthtest.WithoutClaim("jti"), clerkauthtest.WithHeader("cty", "x"),
			clerkauthtest.WithoutHeader("typ"), clerkauthtest.ExpiresIn(-time.Minute),
			clerkauthtest.SignedBy(other.Key()), clerkauthtest.WithKeyID("ins_other"))
		header, _ := decoded(t, token)
		claims := claimsOf(t, other, token)
		if claims["extra"] != 1.0 || claims["jti"] != nil || header["cty"] != "x" || header["typ"] != nil || header["kid"] != "ins_other" ||
			claims["exp"].(float64) != claims["iat"].(float64)-60 {
			t.Errorf("%s: %v, %v", c.Kind, header, claims)
		}
		srv.Expire(c)
		if claims := claimsOf(t, srv, c.JWT()); claims["exp"].(float64) >= claims["iat"].(float64) {
			t.Errorf("%s: it has expired, and its JWT has not: %v", c.Kind, claims)
		}
	}
}

func TestCredentialsAtOnce(t *testing.T) {
	srv := clerkauthtest.NewServer(t, clerkauthtest.InMemory())
	keys := apikey.NewClient(sdk(srv, "", srv.SecretKey()))
	list := credentials(srv)
	var all sync.WaitGroup
	for _, c := range list {
		all.Go(func() { c.SetClaims(map[string]any{"team": "core"}) })
		all.Go(func() { c.SetAudience("https://api.example.com") })
		all.Go(func() { srv.Revoke(c) })
		all.Go(func() { srv.Expire(c) })
		all.Go(func() { c.JWT() })
		all.Go(func() { srv.CreateMachine("mailer").Token() })
		all.Go(func() { srv.ShowEnded(true) })
		all.Go(func() {
			_, err := keys.List(t.Context(), &apikey.ListParams{Subject: &c.Subject})
			wantStatus(t, "list", err, 0)
		})
	}
	all.Wait()
}
