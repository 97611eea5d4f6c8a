package clerkauthtest_test

import (
	"crypto/sha256"
	"encoding/base64"
	"encoding/json"
	"io"
	"net/http"
	"net/url"
	"strings"
	"testing"
	"time"

	"github.com/clerkauth/clerkauth"
	"github.com/clerkauth/clerkauth/clerkauthtest"
)

// oauthClient is an OAuth client without a library.
type oauthClient struct {
	*testing.T
	srv    *clerkauthtest.Server
	id     string
	secret string
}

const (
	oauthCallback = "http://127.0.0.1:4000/callback"
	oauthVerifier = "a-verifier-that-is-long-enough-for-RFC-7636"
)

func challengeOf(verifier string) string {
	digest := sha256.Sum256([]byte(verifier))
	return base64.RawURLEncoding.EncodeToString(digest[:])
}

func (c *oauthClient) send(method, path, contentType, body string) (*http.Response, map[string]any) {
	c.Helper()
	req, err := http.NewRequestWithContext(c.Context(), method, c.srv.URL+path, strings.NewReader(body))
	if err != nil {
		c.Fatal(err)
	}
	if contentType != "" {
		req.Header.Set("Content-Type", contentType)
	}
	resp, err := c.srv.Transport().RoundTrip(req)
	if err != nil {
		c.Fatal(err)
	}
	defer resp.Body.Close()
	text, err := io.ReadAll(resp.Body)
	if err != nil {
		c.Fatal(err)
	}
	var answer map[string]any
	_ = json.Unmarshal(text, &answer)
	return resp, answer
}

// authorize sends the user to the server and returns the parameters of the redirect
// back.
func (c *oauthClient) authorize(changes ...string) url.Values {
	c.Helper()
	q := url.Values{
		"client_id": {c.id}, "redirect_uri": {oauthCallback}, "response_type": {"code"}, "state": {"s"}, "scope": {"read write"},
		"code_challenge": {challengeOf(oauthVerifier)}, "code_challenge_method": {"S256"},
	}
	for i := 0; i < len(changes); i += 2 {
		q.Set(changes[i], changes[i+1])
	}
	resp, _ := c.send("GET", "/oauth/authorize?"+q.Encode(), "", "")
	back, err := url.Parse(resp.Header.Get("Location"))
	if err != nil || resp.StatusCode != http.StatusFound {
		return nil
	}
	return back.Query()
}

// token sends a token request.
func (c *oauthClient) token(changes ...string) (int, map[string]any) {
	c.Helper()
	form := url.Values{
		"grant_type": {"authorization_code"}, "client_id": {c.id}, "redirect_uri": {oauthCallback}, "code_verifier": {oauthVerifier},
	}
	if c.secret != "" {
		form.Set("client_secret", c.secret)
	}
	for i := 0; i < len(changes); i += 2 {
		form.Set(changes[i], changes[i+1])
	}
	resp, answer := c.send("POST", "/oauth/token", "application/x-www-form-urlencoded", form.Encode())
	return resp.StatusCode, answer
}

func newOAuthClient(t *testing.T) (*oauthClient, *clerkauthtest.User) {
	t.Helper()
	srv := clerkauthtest.NewServer(t)
	c := &oauthClient{T: t, srv: srv}
	resp, client := c.send("POST", "/oauth/register", "application/json", `{"client_name":"x","redirect_uris":["`+oauthCallback+`"],"token_endpoint_auth_method":"none"}`)
	id, ok := client["client_id"].(string)
	if resp.StatusCode != http.StatusCreated || !ok || client["client_secret"] != nil {
		t.Fatal(resp.Status, client)
	}
	c.id = id
	return c, srv.CreateUser("jane@example.com")
}

func TestAuthorizationServerMetadata(t *testing.T) {
	c, _ := newOAuthClient(t)
	for _, path := range []string{"/.well-known/oauth-authorization-server", "/.well-known/openid-configuration"} {
		resp, about := c.send("GET", path, "", "")
		if resp.StatusCode != 200 || about["issuer"] != c.srv.URL || resp.Header.Get("Access-Control-Allow-Origin") != "*" {
			t.Errorf("%s: %s %v", path, resp.Status, about)
		}
		for _, name := range []string{"authorization_endpoint", "token_endpoint", "registration_endpoint", "jwks_uri"} {
			if to, ok := about[name].(string); !ok || !strings.HasPrefix(to, c.srv.URL+"/") {
				t.Errorf("%s is %v", name, about[name])
			}
		}
	}
	if n := c.srv.Requests(clerkauthtest.OAuth); n != 3 {
		t.Errorf("%d requests", n)
	}
}

// TestAuthorizationServerInBrowsers: preflight requests of a client in a browser
// receive a CORS response.
func TestAuthorizationServerInBrowsers(t *testing.T) {
	c, _ := newOAuthClient(t)
	for _, path := range []string{"/.well-known/oauth-authorization-server", "/.well-known/openid-configuration", "/oauth/register", "/oauth/token"} {
		resp, _ := c.send("OPTIONS", path, "", "")
		h := resp.Header
		if resp.StatusCode != 204 || h.Get("Access-Control-Allow-Origin") != "*" || !strings.Contains(h.Get("Access-Control-Allow-Methods"), "POST") ||
			!strings.Contains(h.Get("Access-Control-Allow-Headers"), "Authorization") {
			t.Errorf("%s: %s %v", path, resp.Status, h)
		}
	}
}

// TestRegistration: the authentication methods of RFC 7591 are accepted, and no
// others.
func TestRegistration(t *testing.T) {
	c, _ := newOAuthClient(t)
	for method, want := range map[string]string{"": "client_secret_basic", "none": "none", "client_secret_post": "client_secret_post", "private_key_jwt": ""} {
		resp, client := c.send("POST", "/oauth/register", "application/json", `{"redirect_uris":["`+oauthCallback+`"],"token_endpoint_auth_method":"`+method+`"}`)
		if want == "" {
			if resp.StatusCode != 400 || client["error"] != "invalid_client_metadata" {
				t.Errorf("%q: %s %v", method, resp.Status, client)
			}
			continue
		}
		if _, secret := client["client_secret"]; resp.StatusCode != 201 || client["token_endpoint_auth_method"] != want || secret != (want != "none") {
			t.Errorf("%q: %s %v", method, resp.Status, client)
		}
	}
}

// TestCodeFlow: the user's consent leads to tokens that guards accept, in both
// forms, for clients with and without a secret.
func TestCodeFlow(t *testing.T) {
	c, jane := newOAuthClient(t)
	config := c.srv.Config()
	config.Accept = []clerkauth.TokenType{clerkauth.OAuthToken}
	config.Audience = []string{"https://api.example.com/mcp"}
	auth, err := clerkauth.New(config)
	if err != nil {
		t.Fatal(err)
	}
	verified := func(token any) clerkauth.Auth {
		req, _ := http.NewRequestWithContext(t.Context(), "GET", "/", nil)
		text, _ := token.(string)
		req.Header.Set("Authorization", "Bearer "+text)
		ctx, err := auth.Check(req, clerkauth.Token(clerkauth.OAuthToken, clerkauth.Scope("read")))
		if err != nil {
			t.Error(err)
		}
		return clerkauth.FromContext(ctx)
	}
	app := c.srv.CreateOAuthApplication(oauthCallback)
	confidential := &oauthClient{T: t, srv: c.srv, id: app.ClientID, secret: app.ClientSecret}
	for name, client := range map[string]*oauthClient{"public": c, "confidential": confidential} {
		for _, scopes := range [][]string{nil, {"read"}} {
			c.srv.Consent(jane, scopes...)
			back := client.authorize("resource", "https://api.example.com/mcp")
			if back.Get("code") == "" || back.Get("state") != "s" || back.Get("iss") != c.srv.URL || back.Has("error") {
				t.Fatalf("%s: %v", name, back)
			}
			status, tokens := client.token("code", back.Get("code"))
			who := verified(tokens["access_token"])
			if status != 200 || tokens["token_type"] != "Bearer" || who.UserID != jane.ID || who.ClientID != client.id || who.HasScope("write") != (scopes == nil) {
				t.Errorf("%s: %d %v %+v", name, status, tokens, who)
			}
			refresh, _ := tokens["refresh_token"].(string)
			status, again := client.token("grant_type", "refresh_token", "refresh_token", refresh)
			if verified(again["access_token"]).UserID != jane.ID || status != 200 || again["access_token"] == tokens["access_token"] {
				t.Errorf("%s: %d %v", name, status, again)
			}
			if status, answer := client.token("grant_type", "refresh_token", "refresh_token", refresh); status != 400 || answer["error"] != "invalid_grant" {
				t.Errorf("%s: a refresh token is good twice: %d %v", name, status, answer)
			}
		}
	}
	c.srv.JWTAccessTokens()
	back := c.authorize("resource", "https://api.example.com/mcp")
	_, tokens := c.token("code", back.Get("code"))
	if access, _ := tokens["access_token"].(string); strings.Count(access, ".") != 2 || verified(access).UserID != jane.ID {
		t.Errorf("%v", tokens)
	}
}

func TestAuthorizationRefusals(t *testing.T) {
	c, jane := newOAuthClient(t)
	if back := c.authorize(); back.Get("error") != "access_denied" || back.Has("code") {
		t.Errorf("without consent: %v", back)
	}
	c.srv.Consent(jane)
	for name, changes := range map[string][]string{
		"an unknown client":         {"client_id", "client_x"},
		"another redirect":          {"redirect_uri", "https://evil.example/callback"},
		"another path":              {"redirect_uri", "http://127.0.0.1:4000/other"},
		"another host for loopback": {"redirect_uri", "http://localhost:4000/callback"},
		"a fragment":                {"redirect_uri", oauthCallback + "#x"},
	} {
		if back := c.authorize(changes...); back != nil {
			t.Errorf("%s: the user is sent to %v", name, back)
		}
	}
	if back := c.authorize("redirect_uri", "http://127.0.0.1:5000/callback"); back.Get("code") == "" {
		t.Error("the port of a loopback address is held against the client")
	}
	for name, c2 := range map[string]struct {
		changes []string
		want    string
	}{
		"no challenge":     {[]string{"code_challenge", ""}, "invalid_request"},
		"a plain one":      {[]string{"code_challenge_method", "plain"}, "invalid_request"},
		"an implicit flow": {[]string{"response_type", "token"}, "unsupported_response_type"},
	} {
		if back := c.authorize(c2.changes...); back.Get("error") != c2.want || back.Has("code") {
			t.Errorf("%s: %v", name, back)
		}
	}
	app := c.srv.CreateOAuthApplication(oauthCallback)
	for name, c2 := range map[string]struct {
		changes []string
		want    string
	}{
		"another verifier": {[]string{"code_verifier", oauthVerifier + "x"}, "invalid_grant"},
		"no verifier":      {[]string{"code_verifier", ""}, "invalid_grant"},
		"another redirect": {[]string{"redirect_uri", "http://127.0.0.1:5000/callback"}, "invalid_grant"},
		"another client":   {[]string{"client_id", app.ClientID, "client_secret", app.ClientSecret}, "invalid_grant"},
		"no secret":        {[]string{"client_id", app.ClientID}, "invalid_client"},
		"a wrong secret":   {[]string{"client_id", app.ClientID, "client_secret", "x"}, "invalid_client"},
		"a made-up code":   {[]string{"code", "x"}, "invalid_grant"},
		"another grant":    {[]string{"grant_type", "password"}, "unsupported_grant_type"},
	} {
		code := c.authorize().Get("code")
		if status, answer := c.token(append([]string{"code", code}, c2.changes...)...); status < 400 || answer["error"] != c2.want || answer["access_token"] != nil {
			t.Errorf("%s: %d %v", name, status, answer)
		}
	}
	code := c.authorize().Get("code")
	if status, _ := c.token("code", code); status != 200 {
		t.Error(status)
	}
	if status, _ := c.token("code", code); status != 400 {
		t.Error("a code is good twice")
	}
	late := c.authorize().Get("code")
	c.srv.Advance(61 * time.Second)
	if status, _ := c.token("code", late); status != 400 {
		t.Error("a code is good after a minute")
	}
	if resp, _ := c.send("POST", "/oauth/register", "application/json", `{"redirect_uris":[]}`); resp.StatusCode != 400 {
		t.Error(resp.Status)
	}
}
