package catalogue

import (
	"net/http"
	"strings"
	"time"

	"github.com/clerkauth/clerkauth"
	"github.com/clerkauth/clerkauth/clerkauthtest"
	"github.com/clerkauth/clerkauth/internal/testkit"
)

// These rows test cookies beside a token, and cookies that a page of another site makes a
// browser send.
var _ = addRows(rows{
	"121/cookie_beside_header": bothKinds(cookieBesideHeader),
	"122/cross_site_post":      bothKinds(crossSitePost),
})

// cookieBesideHeader: a token in the header is who the caller is, and no cookie takes its
// place. Other schemes are not Clerk's.
func cookieBesideHeader(b *browserRig) {
	mallory := b.Server.SignIn(b.Server.CreateUser("mallory@example.com"))
	good := cookiesOf(b.Jane)
	header := func(value string) func(*http.Request) { return setHeader("Authorization", value) }
	expired := mallory.Token(issued(time.Hour)[1:]...)
	key := b.Server.CreateAPIKey(b.Jane.User, "x").Token
	for name, c := range map[string]struct {
		value        string
		page, script string
	}{
		"valid":                {"Bearer " + mallory.Token(), "in as " + mallory.User.ID, "in as " + mallory.User.ID},
		"forged":               {"Bearer " + mallory.Token(clerkauthtest.SignedBy(testkit.OtherKey())), "out token-invalid-signature", "out token-invalid-signature"},
		"another party's":      {"Bearer " + mallory.Token(clerkauthtest.WithClaim("azp", "https://evil.example")), "out token-invalid-authorized-parties", "out token-invalid-authorized-parties"},
		"expired":              {"Bearer " + expired, "handshake session-token-expired-refresh-non-eligible-no-refresh-cookie", "out session-token-expired-refresh-non-eligible-no-refresh-cookie"},
		"garbage":              {"Bearer x.y.z", "out token-invalid", "out token-invalid"},
		"one word":             {good.get("__session"), "out token-invalid", "out token-invalid"},
		"the scheme alone":     {"Bearer", "out token-invalid", "out token-invalid"},
		"two spaces":           {"Bearer  " + mallory.Token(), "out token-invalid", "out token-invalid"},
		"an API key":           {"Bearer " + key, "out token-type-mismatch", "out token-type-mismatch"},
		"of somebody else":     {"Bearer ghp_0123456789", "out token-invalid", "out token-invalid"},
		"a handshake":          {"Bearer " + b.handshakeToken("__session="+mallory.Token()), "out token-verification-failed", "out token-verification-failed"},
		"Basic":                {"Basic dXNlcjpw", "in", "in"},
		"another scheme":       {"Token " + mallory.Token(), "in", "in"},
		"empty":                {"", "in", "in"},
		"DPoP with the cookie": {"DPoP " + mallory.Token(), "in", "in"},
	} {
		if got := b.page(good, header(c.value)); got != c.page {
			b.t.Errorf("%s, a page: %s, want %s", name, got, c.page)
		}
		if got := b.script(good, header(c.value)); got != c.script {
			b.t.Errorf("%s, a script: %s, want %s", name, got, c.script)
		}
		open := testkit.Serve(b.Auth.Require(clerkauth.Public), append(asScriptWith(good), header(c.value))...)
		if strings.Contains(open.Body, b.Jane.User.ID) != (c.script == "in") {
			b.t.Errorf("%s, on a public route: %v", name, open)
		}
	}
	two := func(r *http.Request) {
		r.Header["Authorization"] = []string{"Bearer " + mallory.Token(), "Basic x"}
	}
	if got := b.script(good, two); got != "out token-invalid" {
		b.t.Errorf("two lines: %s", got)
	}
	// An expired one is never exchanged for the cookie's session, nor with its refresh token.
	b.fetchedNothingButKeys()
}

// crossSitePost: a page of another site can make a browser post a form, and open a
// websocket, with the user's cookies. What only reads is answered.
func crossSitePost(b *browserRig) {
	good := cookiesOf(b.Jane)
	at := func(method string, headers ...string) func(*http.Request) {
		return func(r *http.Request) {
			r.Host, r.Method = "app.example.com", method
			for i := 0; i < len(headers); i += 2 {
				r.Header.Set(headers[i], headers[i+1])
			}
		}
	}
	const evil, site, origin = "https://evil.example", "Sec-Fetch-Site", "Origin"
	for name, c := range map[string]struct {
		edit func(*http.Request)
		in   bool
	}{
		"own form":                    {at("POST", site, "same-origin", origin, "https://app.example.com"), true},
		"own form, no Sec-Fetch":      {at("POST", origin, "https://app.example.com"), true},
		"a program":                   {at("POST"), true},
		"typed, posted again":         {at("POST", site, "none"), true},
		"another site's form":         {at("POST", site, "cross-site", origin, evil), false},
		"a subdomain's form":          {at("POST", site, "same-site", origin, "https://blog.example.com"), false},
		"without Origin":              {at("POST", site, "cross-site"), false},
		"without Sec-Fetch":           {at("POST", origin, evil), false},
		"a sandboxed frame":           {at("POST", site, "cross-site", origin, "null"), false},
		"a sandboxed frame, old":      {at("POST", origin, "null"), false},
		"another port":                {at("POST", origin, "https://app.example.com:8443"), false},
		"a lookalike":                 {at("POST", origin, "https://app.example.com.evil.example"), false},
		"PUT":                         {at("PUT", site, "cross-site", origin, evil), false},
		"DELETE":                      {at("DELETE", site, "cross-site", origin, evil), false},
		"an unknown method":           {at("FOO", site, "cross-site", origin, evil), false},
		"a beacon":                    {at("POST", site, "cross-site", "Sec-Fetch-Mode", "no-cors", origin, evil), false},
		"an overridden method":        {at("POST", site, "cross-site", origin, evil, "X-HTTP-Method-Override", "GET"), false},
		"a link":                      {at("GET", site, "cross-site"), true},
		"an image":                    {at("GET", site, "cross-site", "Sec-Fetch-Dest", "image", "Sec-Fetch-Mode", "no-cors"), true},
		"a websocket":                 {at("GET", "Upgrade", "websocket", "Connection", "Upgrade", origin, "https://app.example.com"), true},
		"another site's websocket":    {at("GET", "Upgrade", "websocket", "Connection", "Upgrade", origin, evil), false},
		"a websocket, no Origin":      {at("GET", "Upgrade", "websocket", "Connection", "Upgrade"), false},
		"a websocket, null":           {at("GET", "Upgrade", "websocket", "Connection", "Upgrade", origin, "null"), false},
		"a subdomain's websocket":     {at("GET", "Upgrade", "websocket", "Connection", "Upgrade", origin, "https://blog.example.com"), false},
		"another site's, HEAD":        {at("HEAD", site, "cross-site"), true},
		"another upgrade":             {at("GET", "Upgrade", "h2c", origin, evil), false},
		"a websocket in another case": {at("GET", "Upgrade", "WebSocket", origin, evil), false},
	} {
		got := testkit.Serve(b.Auth.Require(), good.send, c.edit)
		if c.in {
			testkit.WantReply(b.t, got, 200, "")
		} else if testkit.WantReply(b.t, got, 403, clerkauth.ErrCrossSite); b.t.Failed() {
			b.t.Fatal(name)
		}
		// On public routes it is anonymous, and is not told to sign in.
		open := testkit.Serve(b.Auth.Require(clerkauth.Public), good.send, c.edit)
		if open.Status != 200 || strings.Contains(open.Body, b.Jane.User.ID) != c.in && !strings.Contains(open.Body, "HEAD") {
			b.t.Errorf("%s, on a public route: %v", name, open)
		}
		// A token in the header is not sent by itself.
		if got := testkit.Serve(b.Auth.Require(), good.send, c.edit, testkit.Bearer(b.Jane.Token())); !got.Entered {
			b.t.Errorf("%s, with a bearer token: %v", name, got)
		}
	}
	// Nothing of the browser's is used up or set either.
	b.Server.Advance(2 * time.Minute)
	got := testkit.Serve(b.Auth.Require(), good.send, at("POST", site, "cross-site", origin, evil))
	if got.Status == 200 || len(got.Header["Set-Cookie"]) > 0 {
		b.t.Errorf("expired: %v", got)
	}
	b.fetchedNothingButKeys()
}
