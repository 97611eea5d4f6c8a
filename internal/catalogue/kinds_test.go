package catalogue

import (
	"strings"
	"testing"
	"time"

	"github.com/clerkauth/clerkauth"
	"github.com/clerkauth/clerkauth/clerkauthtest"
	"github.com/clerkauth/clerkauth/internal/testkit"
)

// TestKindsInEachOthersPlace puts a token of each kind into every place where a token is
// read: in each place, the kind that belongs there is the only one that does anything.
func TestKindsInEachOthersPlace(t *testing.T) {
	for _, production := range []bool{true, false} {
		for _, change := range []func(*clerkauth.Config){func(*clerkauth.Config) {}, testkit.AcceptAll} {
			b := newBrowserRig(t, production, change)
			tokens := b.oneOfEachKind()
			own := b.by(change, fromOwnHeader)
			expired := cookiesOf(b.Jane, issued(time.Hour)[1:]...).with("__client_uat=1", "__client_uat"+b.suffix+"=1")
			for place, c := range map[string]struct {
				belongs string
				what    func(token string) (string, testkit.Reply)
				want    string
			}{
				"the Authorization header": {"session", func(token string) (string, testkit.Reply) { return b.outcome(asScript, testkit.Bearer(token)) }, "in"},
				"__session": {"session", func(token string) (string, testkit.Reply) {
					return b.outcome(testkit.AsUnknownPage, b.known().with("__session="+token).send)
				}, "in"},
				"Config.Credential": {"session", func(token string) (string, testkit.Reply) { return own.outcome(asScript, setHeader(ownHeader, token)) }, "in"},
				"__clerk_handshake": {"handshake", func(token string) (string, testkit.Reply) {
					return b.outcome(testkit.AsUnknownPage, b.known().send, b.brings("__clerk_handshake", token))
				}, b.received()},
				"a handshake's session": {"session", func(token string) (string, testkit.Reply) {
					return b.outcome(testkit.AsUnknownPage, b.known().send, b.brings("__clerk_handshake", b.handshakeToken("__session="+token)))
				}, b.received()},
				"a refreshed session": {"session", func(token string) (string, testkit.Reply) {
					b.Server.Answer(clerkauthtest.SessionRefresh, 200, "application/json", testkit.JSON(map[string]any{"object": "cookies", "cookies": []string{"__session=" + token}}))
					return b.outcome(testkit.AsUnknownPage, expired.send)
				}, "in"},
			} {
				for kind, token := range tokens {
					what, got := c.what(token)
					if kind == c.belongs {
						if what != c.want {
							t.Errorf("production %v, %s in %s: %s, want %s", production, kind, place, what, c.want)
						}
						continue
					}
					if strings.HasPrefix(what, "in") || what == "back" {
						t.Errorf("production %v, %s in %s: %s", production, kind, place, what)
					}
					for _, line := range got.Header["Set-Cookie"] {
						if !strings.HasPrefix(line, "__clerk_redirect_count=") {
							t.Errorf("production %v, %s in %s: %q", production, kind, place, line)
						}
					}
				}
			}
			if n := b.Server.Requests(clerkauthtest.TokenVerify); n != 0 {
				t.Errorf("production %v: %d credentials were sent to the Backend API", production, n)
			}
		}
	}
}

// oneOfEachKind returns a valid token of each kind that an instance issues.
func (b *browserRig) oneOfEachKind() map[string]string {
	user := b.Server.CreateUser("owner@example.com")
	here, peer := b.Server.CreateMachine("here"), b.Server.CreateMachine("peer")
	key, m2m, oauth := b.Server.CreateAPIKey(user, "x"), peer.Token(here), b.Server.CreateOAuthToken(user, "client_1", "x")
	session := b.Jane.Token()
	return map[string]string{
		"session": session, "handshake": b.handshakeToken("__session="+session, "__client_uat=1"), "template": b.Jane.TemplateToken("x", map[string]any{
			"sid": b.Jane.ID, "handshake": []string{"__session=" + session}, "azp": "https://app.example.com"}),
		"API key": key.Token, "API key as a JWT": key.JWT(), "M2M": m2m.Token, "M2M as a JWT": m2m.JWT(), "OAuth": oauth.Token, "OAuth as a JWT": oauth.JWT(),
	}
}

// TestCarriersAgree: the claims of a session are judged alike in a cookie and in a header,
// but for an azp that is missing, and a time that a handshake may set right.
func TestCarriersAgree(t *testing.T) {
	now := time.Now().Unix()
	variations := map[string][]any{
		"azp": {"https://app.example.com", "https://evil.example", "", nil, 7, []string{"https://app.example.com"}},
		"iss": {nil, "https://clerk.evil.example", 7},
		"aud": {"api", "other", []string{"x", "api"}, []any{}, nil, 7},
		"exp": {now + 60, now - 600, nil, "x", now},
		"nbf": {now - 10, now + 600, nil, "x"},
		"iat": {now, now + 600, "x", now - 30},
		"sts": {"active", "pending", "revoked", nil, 7},
		"sub": {nil, "", "mch_1", "user_1"},
		"sid": {nil, "", "sess_x", 7},
		"o":   {map[string]any{"id": "org_1", "rol": "admin", "slg": "a"}, map[string]any{"id": "org_1", "fpm": 1}, 7, nil, map[string]any{}},
		"fea": {"o:a", "a", 7},
		"cnf": {map[string]any{"jkt": "x"}},
		"v":   {1, 3, nil, "2"},
	}
	names := []string{"azp", "iss", "aud", "exp", "nbf", "iat", "sts", "sub", "sid", "o", "fea", "cnf", "v"}
	for missing := clerkauth.RefuseMissing; missing <= clerkauth.AllowMissing; missing++ {
		for _, audience := range [][]string{nil, {"api"}} {
			b := newBrowserRig(t, true, func(c *clerkauth.Config) { c.MissingParty, c.Audience = missing, audience })
			check := func(opts ...clerkauthtest.TokenOption) {
				t.Helper()
				token := b.Jane.Token(opts...)
				header, inHeader := b.outcome(asScript, testkit.Bearer(token))
				cookie, inCookie := b.outcome(asScript, cookies{"__client_uat" + b.suffix + "=1", "__session" + b.suffix + "=" + token}.send)
				if header != cookie || inHeader.Entered != inCookie.Entered || inHeader.Status != inCookie.Status {
					claims := strings.Split(token, ".")[1]
					t.Errorf("MissingParty %d, audience %q: by header %s (%d), by cookie %s (%d), of %s", missing, audience, header, inHeader.Status, cookie, inCookie.Status, claims)
				}
			}
			for _, name := range names {
				for _, value := range variations[name] {
					check(clerkauthtest.WithClaim(name, value))
					for _, other := range names {
						if other != name {
							check(clerkauthtest.WithClaim(name, value), clerkauthtest.WithClaim(other, variations[other][len(other)%len(variations[other])]))
						}
					}
				}
				if name != "iat" && (name != "azp" || missing == clerkauth.RefuseMissing || missing == clerkauth.AllowMissing) {
					check(clerkauthtest.WithoutClaim(name))
				}
			}
			// The two exceptions.
			without := b.Jane.Token(clerkauthtest.WithoutParty())
			for in, got := range map[bool]string{
				missing == clerkauth.AllowMissing || missing == clerkauth.AllowMissingFromHeader: b.script(nil, testkit.Bearer(without)),
			} {
				if audience == nil && (got == "in") != in {
					t.Errorf("MissingParty %d, no azp in a header: %s", missing, got)
				}
			}
			cookie := b.script(cookies{"__client_uat=1", "__session=" + without})
			if in := missing == clerkauth.AllowMissing || missing == clerkauth.AllowMissingFromCookie; audience == nil && (cookie == "in") != in {
				t.Errorf("MissingParty %d, no azp in a cookie: %s", missing, cookie)
			}
		}
	}
}
