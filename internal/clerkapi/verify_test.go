package clerkapi

import (
	"errors"
	"io"
	"net/http"
	"net/http/httptest"
	"net/url"
	"slices"
	"strings"
	"testing"
	"time"
)

// respond returns a Verifier of a server with that response.
func respond(t *testing.T, k Kind, status int, body string) (*Verifier, *http.Request) {
	t.Helper()
	var got http.Request
	srv := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		sent, _ := io.ReadAll(r.Body)
		got = *r
		got.Body = io.NopCloser(strings.NewReader(string(sent)))
		w.Header().Set("Retry-After", "7")
		w.WriteHeader(status)
		_, _ = io.WriteString(w, body)
	}))
	t.Cleanup(srv.Close)
	base, err := url.Parse(srv.URL)
	if err != nil {
		t.Fatal(err)
	}
	return NewVerifier(k, srv.Client().Transport, base, "sk_test_1"), &got
}

func TestVerify(t *testing.T) {
	for k, c := range map[Kind]struct{ object, path, sent string }{
		APIKey:     {"api_key", "/api_keys/verify", `{"secret":"ak_1"}`},
		M2MToken:   {"machine_to_machine_token", "/m2m_tokens/verify", `{"token":"ak_1"}`},
		OAuthToken: {"clerk_idp_oauth_access_token", "/oauth_applications/access_tokens/verify", `{"access_token":"ak_1"}`},
	} {
		body := `{"object":"` + c.object + `","id":"id_1","subject":"user_1","name":"n","client_id":"c","scopes":["a","","b"],` +
			`"claims":{"x":1},"aud":"https://a.example","revoked":false,"expired":true,"expiration":null,"created_at":1790000000000}`
		v, got := respond(t, k, 200, body)
		credential, err := v.Verify(t.Context(), "ak_1")
		if err != nil {
			t.Fatalf("%s: %v", c.object, err)
		}
		sent, _ := io.ReadAll(got.Body)
		if got.Method != http.MethodPost || got.URL.Path != c.path || string(sent) != c.sent || got.Header.Get("Authorization") != "Bearer sk_test_1" {
			t.Errorf("%s: %s %s %s", c.object, got.Method, got.URL, sent)
		}
		if credential.Mismatched || credential.Revoked || !credential.Expired || credential.ID != "id_1" || credential.Subject != "user_1" ||
			!slices.Equal(credential.Scopes, []string{"a", "b"}) || !slices.Equal(credential.Audience, []string{"https://a.example"}) ||
			!credential.ExpiresAt.IsZero() || !credential.IssuedAt.Equal(time.Unix(1790000000, 0)) {
			t.Errorf("%s: %+v", c.object, credential)
		}
		if (credential.Name != "") != (k == APIKey) || (credential.ClientID != "") != (k == OAuthToken) || (credential.Claims == nil) != (k == OAuthToken) {
			t.Errorf("%s: %+v", c.object, credential)
		}
	}
}

func TestVerifyErrors(t *testing.T) {
	const good = `"object":"api_key","id":"id_1","subject":"user_1"`
	for name, c := range map[string]struct {
		status   int
		body     string
		response bool
		notFound bool
	}{
		"not found":             {404, `{"errors":[{"code":"api_key_not_found"}]}`, true, true},
		"another server's 404":  {404, `not found`, true, false},
		"unauthorized":          {401, `{"errors":[{"code":"clerk_key_invalid"}]}`, true, false},
		"failing":               {500, ``, true, false},
		"without expired":       {200, `{` + good + `,"revoked":false}`, true, false},
		"null for a boolean":    {200, `{` + good + `,"revoked":null,"expired":false}`, true, false},
		"text for a boolean":    {200, `{` + good + `,"revoked":"false","expired":false}`, true, false},
		"a name in other case":  {200, `{` + good + `,"revoked":false,"expired":false,"Subject":"user_2"}`, true, false},
		"a name twice":          {200, `{` + good + `,"revoked":false,"expired":false,"subject":"user_2"}`, true, false},
		"no object":             {200, `[]`, true, false},
		"longer than the limit": {200, strings.Repeat(" ", maxCredential+1), false, false},
	} {
		v, _ := respond(t, APIKey, c.status, c.body)
		_, err := v.Verify(t.Context(), "ak_1")
		var response *Error
		if err == nil || errors.As(err, &response) != c.response {
			t.Errorf("%s: %v", name, err)
		} else if c.response && (response.Status != c.status || response.NotFound != c.notFound) {
			t.Errorf("%s: %+v", name, response)
		}
	}
}
