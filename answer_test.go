package clerkauth_test

import (
	"encoding/json"
	"strings"
	"testing"

	"github.com/clerkauth/clerkauth"
	"github.com/clerkauth/clerkauth/clerkauthtest"
	"github.com/clerkauth/clerkauth/internal/testkit"
)

// FuzzAnswer: whatever the Backend API answers about a key, the key is let in if and
// only if the answer says in so many words that it is good.
func FuzzAnswer(f *testing.F) {
	const good = `{"object":"api_key","id":"ak_1","subject":"user_1","scopes":["a"],"claims":{"x":1},"revoked":false,"expired":false,"expiration":null,"created_at":1}`
	for _, seed := range []string{good, "", "null", "[]", "{}", strings.Replace(good, "false", "true", 1), strings.Replace(good, "null", "1", 1), strings.Replace(good, "null", "99999999999999", 1), good + "x", `{"id":"ak_2",` + good[1:]} {
		f.Add(200, seed)
		f.Add(404, seed)
	}
	srv := clerkauthtest.NewServer(f, clerkauthtest.InMemory(), clerkauthtest.SigningKey(testkit.KeyID, testkit.Key()))
	f.Fuzz(func(t *testing.T, status int, body string) {
		if status < 200 || status > 599 {
			return
		}
		srv.Answer(clerkauthtest.APIKeyVerify, status, "application/json", body)
		got := testkit.Serve(testkit.NewAuth(t, srv, testkit.AcceptAll).Require(clerkauth.Token(clerkauth.APIKey)), testkit.Bearer("ak_fuzz"))
		var said struct {
			Object, ID, Subject string
			Revoked, Expired    *bool
			Expiration          *int64
		}
		is := func(b *bool, want bool) bool { return b != nil && *b == want }
		// It may be let in only if another reader finds it good, too.
		readable := json.Unmarshal([]byte(body), &said) == nil
		ok := readable && status < 300 && said.Object == "api_key" && said.ID != "" && said.Subject != "" && is(said.Revoked, false) && is(said.Expired, false) &&
			(said.Expiration == nil || *said.Expiration > srv.Now().UnixMilli())
		if got.Entered && !ok || got.Status != 200 && got.Status != 401 && got.Status != 503 || body == good && status == 200 && !got.Entered {
			t.Errorf("%d %q: %v", status, body, got)
		}
	})
}
