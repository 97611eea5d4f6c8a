package catalogue

import (
	"fmt"
	"net/http"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/clerkauth/clerkauth/clerkauthtest"
	"github.com/clerkauth/clerkauth/internal/testkit"
)

// These rows test what a browser brings back from Clerk's Frontend API.
var _ = addRows(rows{
	"123/handshake_cookie_directives": func(t *testing.T) {
		t.Run("characters and names", bothKinds(malformedDirectives))
		t.Run("foreign cookies", bothKinds(foreignDirectives))
		t.Run("domains", directiveDomains)
		t.Run("refresh", directivesOfRefresh)
	},
	"124/odd_handshake_tokens": func(t *testing.T) {
		t.Run("tokens", bothKinds(oddHandshakeTokens))
		t.Run("sessions inside", bothKinds(oddSessionsInside))
		t.Run("replayed", bothKinds(replayedHandshakes))
	},
	"125/handshake_alg_none": bothKinds(handshakeAlgorithms),
	"126/handshake_by_query": handshakeByQuery,
})

const sessionHeader = `{"alg":"RS256","typ":"JWT","kid":"` + testkit.KeyID + `","cat":"cl_B7d4PD111AAA"}`

// handshakeToken returns a handshake token with these directives.
func (b *browserRig) handshakeToken(directives ...string) string {
	return b.signed(sessionHeader, testkit.JSON(map[string]any{"handshake": directives}))
}

func (b *browserRig) signed(header, payload string) string {
	return b.Server.SignRaw([]byte(header), []byte(payload))
}

// brings adds a handshake token or a nonce to a request: in a cookie in production, and in
// the query in development.
func (b *browserRig) brings(name, value string) func(*http.Request) {
	return func(r *http.Request) {
		if !b.production() {
			query := r.URL.Query()
			query.Set(name, value)
			r.URL.RawQuery = query.Encode()
			r.RequestURI = r.URL.RequestURI()
			return
		}
		line := name + "=" + value
		if rest := r.Header.Get("Cookie"); rest != "" {
			line = rest + "; " + line
		}
		r.Header.Set("Cookie", line)
	}
}

// forms returns how a browser brings the result of a handshake with these directives.
func (b *browserRig) forms(directives ...string) map[string]func(*http.Request) {
	b.Server.Answer(clerkauthtest.HandshakePayload, 200, "application/json", testkit.JSON(map[string]any{"directives": directives}))
	return map[string]func(*http.Request){
		"nonce": func(r *http.Request) { // it is exchanged once
			b.brings("__clerk_handshake_nonce", fmt.Sprint("n", b.payloads.made.Add(1)))(r)
		},
		"token": b.brings("__clerk_handshake", b.handshakeToken(directives...)),
	}
}

// known returns the cookies of a browser that was signed in and has lost its session.
func (b *browserRig) known() cookies { return cookiesOf(b.Jane).plain().without("__session") }

// received is what becomes of a request that brings a session: in development the browser
// goes to the same URL without it first.
func (b *browserRig) received() string {
	if b.production() {
		return "in"
	}
	return "back"
}

// malformedDirectives: characters that no header has, or a session cookie that is not
// exactly one, void the whole handshake, and the request goes on without it.
func malformedDirectives(b *browserRig) {
	good := "__session=" + b.Jane.Token(clerkauthtest.WithoutParty()) + "; Path=/"
	token := b.Jane.Token(clerkauthtest.WithoutParty())
	for name, directives := range map[string][]string{
		"CRLF": {good, "__client_uat=1\r\nSet-Cookie: x=y"}, "CR": {good + "\r"}, "LF": {"__client_uat=1\nx", good}, "NUL": {good, "__client_uat=1\x00"},
		"not Latin-1": {good, "__client_uat=1; Path=/ā"}, "a snowman": {"__client_uat=☃", good},
		"a longer name": {good, "__sessionx=" + token}, "a space": {good, "__session =" + token}, "another suffix": {good, "__session_AAAAAAAA=" + token},
		"no equals sign": {good, "__session"}, "a bracket": {good, "__session[]=" + token}, "an attribute": {good, "__session; Path=/"},
		"a dash": {good, "__session-x=" + token}, "a foreign one with CRLF": {good, "x=y\r\nLocation: https://evil.example"}, "a foreign one with NUL": {"x=\x00", good},
	} {
		for form, edit := range b.forms(directives...) {
			what, got := b.outcome(testkit.AsUnknownPage, b.known().send, edit)
			if what != "handshake "+noSession {
				b.t.Errorf("%s by %s: %s", name, form, what)
			}
			for _, line := range got.Header["Set-Cookie"] {
				if !strings.HasPrefix(line, "__clerk_redirect_count=") {
					b.t.Errorf("%s by %s: %q", name, form, line)
				}
			}
			// Who has a session keeps it.
			if what, got := b.outcome(testkit.AsUnknownPage, cookiesOf(b.Jane).send, edit); what != "in" || len(got.Header["Set-Cookie"]) > 0 {
				b.t.Errorf("%s by %s, signed in: %s %q", name, form, what, got.Header["Set-Cookie"])
			}
		}
	}
	for name, directives := range map[string][]string{
		"alone": {good}, "with the suffix": {"__session" + b.suffix + "=" + token}, "the last counts": {"__sessionx=1", good}, "Latin-1": {good + "; Comment=caf\u00e9"},
		"empty": {good, ""},
	} {
		for form, edit := range b.forms(directives...) {
			if what, _ := b.outcome(testkit.AsUnknownPage, b.known().send, edit); what != b.received() {
				b.t.Errorf("%s by %s: %s", name, form, what)
			}
		}
	}
}

// foreignDirectives: of a good handshake, only Clerk's own cookies are passed on, as they
// are.
func foreignDirectives(b *browserRig) {
	good := "__session=" + b.Jane.Token(clerkauthtest.WithoutParty()) + "; Path=/; SameSite=Lax"
	keep := []string{
		good, "__client_uat=17; Path=/; Domain=example.com", "__refresh" + b.suffix + "=rt; HttpOnly", "__client_uat" + b.suffix + "=17",
		"__clerk_db_jwt=dvb_1; Expires=Fri, 30 Nov 2029 00:00:00 GMT", "__clerk_handshake_nonce=; Max-Age=0",
	}
	drop := []string{
		"x=y", "sid=evil; Path=/", "", "=", "=__session=x", "csrf_token=x", "__Host-session=x", "__Secure-x=y", "session=x", "__cf_bm=x", "client_uat=1", "__cli=x", "__clerk=x",
		"__client_uat;=x", "__client uat=1", "__client_uat\t=1", "__clerk_é=1",
		"__client_uat=1; Domain=evil.com", "__client_uat=1; domain = evil.com", "__client_uat=1; DOMAIN=ple.com", "__client_uat=1; Domain=com", "__client_uat=1; Domain=.com",
		"__client_uat=1; Domain=xexample.com", "__client_uat=1; Domain=other.example.com", "__client_uat=1; Domain=sub.app.example.com", "__client_uat=1; Domain=example.com; Domain=evil.com",
		"__client_uat=1; Domain=localhost", "__client_uat=1; Domain=example.com.", "__client_uat=1; Domain=https://example.com",
	}
	all := append(slices.Clone(drop), keep...)
	for form, edit := range b.forms(all...) {
		what, got := b.outcome(testkit.AsUnknownPage, b.known().send, edit)
		if lines := got.Header["Set-Cookie"]; what != b.received() || !slices.Equal(lines, keep) {
			b.t.Errorf("%s: %s\n%q, want\n%q", form, what, lines, keep)
		}
	}
	// With a session for somewhere else, nothing of a handshake is believed.
	for form, edit := range b.forms("__session=" + b.Jane.Token(clerkauthtest.WithoutParty()) + "; Domain=evil.com") {
		if what, got := b.outcome(testkit.AsUnknownPage, b.known().send, edit); what != "handshake "+noSession || len(got.Header["Set-Cookie"]) != 1 {
			b.t.Errorf("%s of another domain: %s %q", form, what, got.Header["Set-Cookie"])
		}
	}
}

// directiveDomains: a cookie is for the host or for a domain above it that somebody has
// registered.
func directiveDomains(t *testing.T) {
	b := newBrowserRig(t, true, testkit.AnyParty)
	for host, domains := range map[string]map[string]bool{
		"app.example.com":        {"app.example.com": true, "example.com": true, ".example.com": true, "EXAMPLE.com": true, " example.com ": true, "com": false, ".com": false, "app.example.com.evil.com": false, "..example.com": false, ".": false},
		"app.example.com:8443":   {"example.com": true, "app.example.com": true, "example.com:8443": false},
		"APP.Example.com":        {"example.com": true},
		"shop.example.co.uk":     {"example.co.uk": true, "co.uk": false, ".co.uk": false, "uk": false},
		"me.github.io":           {"me.github.io": true, "github.io": false, "io": false},
		"a.b.me.github.io":       {"b.me.github.io": true, "me.github.io": true, "github.io": false},
		"app.vercel.app":         {"vercel.app": false, "app.vercel.app": true},
		"x.s3.amazonaws.com":     {"s3.amazonaws.com": false},
		"localhost":              {"localhost": true, "": false},
		"127.0.0.1":              {"127.0.0.1": true, "0.0.1": false, "1": false},
		"intranet":               {"intranet": true, "net": false},
		"co.uk":                  {"co.uk": true},
		"app.example.com.evil.x": {"example.com": false},
	} {
		for domain, kept := range domains {
			line := "__client_uat=5; Domain=" + domain
			for form, edit := range b.forms("__session="+b.Jane.Token(clerkauthtest.WithoutParty()), line) {
				what, got := b.outcome(testkit.AsUnknownPage, b.known().send, edit, func(r *http.Request) { r.Host = host })
				if what != "in" || slices.Contains(got.Header["Set-Cookie"], line) != kept {
					t.Errorf("%s, Domain=%q by %s: %s %q, want it kept: %v", host, domain, form, what, got.Header["Set-Cookie"], kept)
				}
			}
		}
	}
}

// directivesOfRefresh: what Clerk returns for a refresh is read by the same rules.
func directivesOfRefresh(t *testing.T) {
	b := newBrowserRig(t, true)
	expired := cookiesOf(b.Jane)
	b.Server.Advance(2 * time.Minute)
	good := "__session=" + b.Jane.Token() + "; Path=/"
	mallory := b.Server.SignIn(b.Server.CreateUser("mallory@example.com"))
	for name, c := range map[string]struct {
		lines []string
		code  string // "": signed in
	}{
		"good":            {[]string{"x=y", good, "__client_uat=1; Domain=evil.com"}, ""},
		"CRLF":            {[]string{good, "__client_uat=1\r\nx: y"}, "unexpected-sdk-error"},
		"a longer name":   {[]string{good, "__sessionx=1"}, "unexpected-sdk-error"},
		"nothing":         {[]string{}, "unexpected-sdk-error"},
		"no session":      {[]string{"__client_uat=1"}, "invalid-session-token"},
		"another user's":  {[]string{"__session=" + mallory.Token()}, "invalid-session-token"},
		"another session": {[]string{"__session=" + b.Server.SignIn(b.Jane.User).Token()}, "invalid-session-token"},
		"forged":          {[]string{"__session=" + b.Jane.Token(clerkauthtest.SignedBy(testkit.OtherKey()))}, "invalid-session-token"},
		"expired":         {[]string{"__session=" + b.Jane.Token(clerkauthtest.ExpiresIn(-time.Hour))}, "invalid-session-token"},
		"a template's":    {[]string{"__session=" + b.Jane.TemplateToken("x", nil)}, "invalid-session-token"},
		"a handshake":     {[]string{"__session=" + b.handshakeToken(good)}, "invalid-session-token"},
		"an API key":      {[]string{"__session=ak_0123456789abcdef"}, "invalid-session-token"},
	} {
		b.Server.Answer(clerkauthtest.SessionRefresh, 200, "application/json", testkit.JSON(map[string]any{"object": "cookies", "cookies": c.lines}))
		what, got := b.outcome(testkit.AsUnknownPage, expired.send)
		lines := got.Header["Set-Cookie"]
		if c.code == "" {
			if what != "in" || !slices.Equal(lines, []string{good}) || got.Header.Get("Cache-Control") != "no-store" {
				t.Errorf("%s: %s %q", name, what, lines)
			}
			continue
		}
		if what != "handshake session-token-expired-refresh-"+c.code || len(lines) != 1 {
			t.Errorf("%s: %s %q, want %s", name, what, lines, c.code)
		}
		if got := b.script(expired); got != "out session-token-expired-refresh-"+c.code {
			t.Errorf("%s for a script: %s", name, got)
		}
	}
}

// refusedHandshake is what becomes of a document whose handshake token is refused: in
// production the request goes on as if it were not there, and in development the browser is
// signed out.
func (b *browserRig) refusedHandshake(reason string) string {
	if b.production() {
		return "handshake " + noSession
	}
	return "out " + reason
}

func oddHandshakeTokens(b *browserRig) {
	good := "__session=" + b.Jane.Token(clerkauthtest.WithoutParty())
	payload := func(members string) string {
		return b.signed(sessionHeader, `{"handshake":[`+testkit.JSON(good)+`]`+members+`}`)
	}
	other := newBrowserRig(b.t, b.production())
	now := b.Server.Now().Unix()
	seconds := func(d int64) string { return testkit.JSON(now + d) }
	for name, c := range map[string]struct{ token, want string }{
		"no times":                  {payload(``), b.received()},
		"times that hold":           {payload(`,"iat":` + seconds(-9) + `,"nbf":` + seconds(-9) + `,"exp":` + seconds(60)), b.received()},
		"of our issuer":             {payload(`,"iss":"` + b.Server.Issuer() + `"`), b.received()},
		"no category":               {b.signed(`{"alg":"RS256","typ":"JWT","kid":"`+testkit.KeyID+`"}`, `{"handshake":[`+testkit.JSON(good)+`]}`), b.received()},
		"expired":                   {payload(`,"exp":` + seconds(-60)), b.refusedHandshake("token-expired")},
		"early":                     {payload(`,"nbf":` + seconds(600)), b.refusedHandshake("token-not-active-yet")},
		"of the future":             {payload(`,"iat":` + seconds(600)), b.refusedHandshake("token-iat-in-the-future")},
		"exp of another type":       {payload(`,"exp":"` + seconds(60) + `"`), b.refusedHandshake("token-verification-failed")},
		"bound to a key":            {payload(`,"cnf":{"jkt":"x"}`), b.refusedHandshake("token-verification-failed")},
		"twice":                     {payload(`,"handshake":[]`), b.refusedHandshake("token-invalid")},
		"of another issuer":         {payload(`,"iss":"https://clerk.evil.example"`), b.refusedHandshake("token-invalid-issuer")},
		"of another instance":       {other.Server.SignRaw([]byte(`{"alg":"RS256","typ":"JWT","kid":"ins_other"}`), []byte(`{"handshake":[`+testkit.JSON(good)+`]}`)), b.refusedHandshake("jwk-kid-mismatch")},
		"a template's":              {b.Jane.TemplateToken("x", map[string]any{"handshake": []string{good}}), b.refusedHandshake("token-invalid")},
		"a template's category":     {b.signed(strings.Replace(sessionHeader, "111AAA", "222AAA", 1), `{"handshake":[`+testkit.JSON(good)+`]}`), b.refusedHandshake("token-invalid")},
		"a machine's":               {b.signed(strings.Replace(sessionHeader, "111AAA", "333AAA", 1), `{"handshake":[`+testkit.JSON(good)+`]}`), b.refusedHandshake("token-invalid")},
		"an access token":           {b.signed(`{"alg":"RS256","typ":"at+jwt","kid":"`+testkit.KeyID+`"}`, `{"handshake":[`+testkit.JSON(good)+`]}`), b.refusedHandshake("token-invalid")},
		"a changed signature":       {payload(``) + "AAAA", b.refusedHandshake("token-invalid-signature")},
		"signature of another":      {strings.Join(append(strings.Split(payload(``), ".")[:2], strings.Split(payload(`,"x":1`), ".")[2]), "."), b.refusedHandshake("token-invalid-signature")},
		"garbage":                   {"a.b.c", b.refusedHandshake("token-invalid")},
		"one word":                  {"x", b.refusedHandshake("token-invalid")},
		"an API key":                {"ak_0123456789abcdef", b.refusedHandshake("token-invalid")},
		"too long":                  {b.handshakeToken(strings.Repeat("x", 20<<10)), b.refusedHandshake("token-invalid")},
		"an item that is no text":   {b.signed(sessionHeader, `{"handshake":[`+testkit.JSON(good)+`,7]}`), "handshake " + noSession},
		"an item that is null":      {b.signed(sessionHeader, `{"handshake":[null,`+testkit.JSON(good)+`]}`), "handshake " + noSession},
		"not an array":              {b.signed(sessionHeader, `{"handshake":"x"}`), b.nobody()},
		"an object":                 {b.signed(sessionHeader, `{"handshake":{"0":`+testkit.JSON(good)+`}}`), b.nobody()},
		"null":                      {b.signed(sessionHeader, `{"handshake":null}`), b.nobody()},
		"none":                      {b.signed(sessionHeader, `{}`), b.nobody()},
		"a session token":           {b.Jane.Token(), b.nobody()},
		"one name in another case":  {b.signed(sessionHeader, `{"Handshake":[`+testkit.JSON(good)+`]}`), b.nobody()},
		"a thousand, and a session": {b.handshakeToken(append(slices.Repeat([]string{"x=y"}, 300), good)...), b.received()},
	} {
		what, got := b.outcome(testkit.AsUnknownPage, b.known().send, b.brings("__clerk_handshake", c.token))
		if what != c.want {
			b.t.Errorf("%s: %s, want %s", name, what, c.want)
		}
		ours := slices.DeleteFunc(got.Header["Set-Cookie"], func(line string) bool { return strings.HasPrefix(line, "__clerk_redirect_count=") })
		if (len(ours) > 0) != (c.want == b.received()) {
			b.t.Errorf("%s: %q", name, ours)
		}
		if location := got.Header.Get("Location"); strings.Contains(location, c.token) && c.token != "x" || strings.Contains(location, "__clerk_handshake") {
			b.t.Errorf("%s: it is sent on, to %s", name, location)
		}
	}
	b.fetchedNothingButKeys()
}

// nobody is what becomes of a document with a handshake that has no session.
func (b *browserRig) nobody() string {
	if b.production() {
		return "out session-token-missing"
	}
	return "back session-token-missing"
}

// oddSessionsInside: the session in a handshake is verified like any other. Development
// tolerates clocks that differ by a day.
func oddSessionsInside(b *browserRig) {
	goesOn := "handshake " + noSession
	inDevelopment := func(what string) string {
		if b.production() {
			return goesOn
		}
		return what
	}
	noParty := clerkauthtest.WithoutParty()
	other := newBrowserRig(b.t, false) // another issuer
	for name, c := range map[string]struct{ session, want string }{
		"good":                {b.Jane.Token(noParty), b.received()},
		"with our party":      {b.Jane.Token(), b.received()},
		"an hour too old":     {b.Jane.Token(noParty, clerkauthtest.ExpiresIn(-time.Hour)), goesOn}, // exp before iat
		"expired":             {b.Jane.Token(issued(time.Hour)...), inDevelopment("back")},
		"expired for days":    {b.Jane.Token(issued(48 * time.Hour)...), goesOn},
		"early":               {b.Jane.Token(issued(-time.Hour)...), inDevelopment("back")},
		"another party's":     {b.Jane.Token(clerkauthtest.WithClaim("azp", "https://evil.example")), goesOn},
		"forged":              {b.Jane.Token(noParty, clerkauthtest.SignedBy(testkit.OtherKey())), goesOn},
		"of another instance": {other.Jane.Token(noParty), goesOn},
		"a template's":        {b.Jane.TemplateToken("x", map[string]any{"sid": b.Jane.ID}), goesOn},
		"a handshake":         {b.handshakeToken("__session=" + b.Jane.Token(noParty)), goesOn},
		"a machine's":         {b.Jane.Token(noParty, clerkauthtest.WithClaim("sub", "mch_1")), goesOn},
		"an API key":          {"ak_0123456789abcdef", goesOn},
		"garbage":             {"x", goesOn},
		"empty":               {"", b.nobody()},
		"quoted":              {`"` + b.Jane.Token(noParty) + `"`, goesOn},
		"in percents":         {strings.ReplaceAll(b.Jane.Token(noParty), ".", "%2E"), goesOn},
	} {
		for form, edit := range b.forms("__client_uat=1", "__session="+c.session+"; Path=/") {
			what, got := b.outcome(testkit.AsUnknownPage, b.known().send, edit)
			if what != c.want {
				b.t.Errorf("%s by %s: %s, want %s", name, form, what, c.want)
			}
			if sent := slices.Contains(got.Header["Set-Cookie"], "__client_uat=1"); sent != (c.want != goesOn) {
				b.t.Errorf("%s by %s: %q", name, form, got.Header["Set-Cookie"])
			}
		}
	}
}

// issued returns what makes a token one that was issued so long ago and lived a minute.
func issued(ago time.Duration) []clerkauthtest.TokenOption {
	at := time.Now().Add(-ago).Unix()
	return []clerkauthtest.TokenOption{clerkauthtest.WithoutParty(),
		clerkauthtest.WithClaim("iat", at), clerkauthtest.WithClaim("nbf", at-10), clerkauthtest.WithClaim("exp", at+60)}
}

// replayedHandshakes: a token that is brought twice sets the same cookies twice, and no
// others. A nonce is for once.
func replayedHandshakes(b *browserRig) {
	line := "__session=" + b.Jane.Token(clerkauthtest.WithoutParty())
	token := b.brings("__clerk_handshake", b.handshakeToken(line))
	for range 3 {
		if what, got := b.outcome(testkit.AsUnknownPage, b.known().send, token); what != b.received() || !slices.Equal(got.Header["Set-Cookie"], []string{line}) {
			b.t.Errorf("%s %q", what, got.Header["Set-Cookie"])
		}
	}
	b.Server.Heal(clerkauthtest.HandshakePayload)
	calls := b.calls()
	nonce := b.brings("__clerk_handshake_nonce", b.nonceFor(b.Jane))
	if what, _ := b.outcome(testkit.AsUnknownPage, b.known().send, nonce); what != b.received() {
		b.t.Errorf("the first time: %s", what)
	}
	for range 3 {
		if what, got := b.outcome(testkit.AsUnknownPage, b.known().send, nonce); what != b.nobody() || len(got.Header["Set-Cookie"]) > 0 {
			b.t.Errorf("again: %s %q", what, got.Header["Set-Cookie"])
		}
	}
	if calls := b.calls() - calls; calls != 1 {
		b.t.Errorf("%d calls", calls)
	}
	// When the session has expired, so has what a token in production says.
	b.Server.Advance(time.Hour)
	want := "handshake " + noSession
	if !b.production() {
		want = "back"
	}
	if what, _ := b.outcome(testkit.AsUnknownPage, b.known().send, token); what != want {
		b.t.Errorf("an hour later: %s", what)
	}
}

// nonceFor returns a nonce that stands, once, for a new session token of s.
func (b *browserRig) nonceFor(s *clerkauthtest.Session) string {
	nonce := fmt.Sprint("nonce", b.payloads.made.Add(1))
	b.payloads.directives.Store(nonce, []string{"__session=" + s.Token(clerkauthtest.WithoutParty())})
	return nonce
}

// handshakeAlgorithms: what is true of session tokens is true of handshake tokens.
func handshakeAlgorithms(b *browserRig) {
	good := `{"handshake":[` + testkit.JSON("__session="+b.Jane.Token(clerkauthtest.WithoutParty())) + `]}`
	for header, reason := range map[string]string{
		`{"alg":"none"}`: "token-invalid-algorithm", `{"alg":"NONE","kid":"` + testkit.KeyID + `"}`: "token-invalid-algorithm", `{"alg":"rs256","kid":"` + testkit.KeyID + `"}`: "token-invalid-algorithm",
		`{"alg":"HS256","kid":"` + testkit.KeyID + `"}`: "token-invalid-algorithm", `{"alg":"RS512","kid":"` + testkit.KeyID + `"}`: "token-invalid-algorithm", `{"typ":"JWT","kid":"` + testkit.KeyID + `"}`: "token-invalid-algorithm",
		`{"alg":["RS256"],"kid":"` + testkit.KeyID + `"}`: "token-invalid-algorithm", `{"alg":"RS256"}`: "jwk-kid-mismatch", `{"alg":"RS256","kid":"ins_unknown"}`: "jwk-kid-mismatch",
		`{"alg":"RS256","kid":"` + testkit.KeyID + `","crit":["x"],"x":1}`: "token-invalid", `{"alg":"RS256","alg":"none","kid":"` + testkit.KeyID + `"}`: "token-invalid",
		`{"alg":"RS256","kid":"` + testkit.KeyID + `","jku":"https://evil.example"}`: "token-invalid",
	} {
		token := b.signed(header, good)
		parts := strings.Split(token, ".")
		for form, token := range map[string]string{"signed": token, "no signature": parts[0] + "." + parts[1] + "."} {
			what, got := b.outcome(testkit.AsUnknownPage, b.known().send, b.brings("__clerk_handshake", token))
			want := b.refusedHandshake(reason)
			if form == "no signature" && !b.production() {
				want, what = "out", strings.Fields(what)[0]
			}
			if what != want || len(got.Header["Set-Cookie"]) > 1 {
				b.t.Errorf("%s, %s: %s %q, want %s", header, form, what, got.Header["Set-Cookie"], want)
			}
		}
	}
}

// handshakeByQuery: in production a query is anybody's link.
func handshakeByQuery(t *testing.T) {
	var log testkit.Log
	b := newBrowserRig(t, true, logTo(&log))
	mallory := b.Server.SignIn(b.Server.CreateUser("mallory@example.com"))
	token, nonce := b.handshakeToken("__session="+mallory.Token(clerkauthtest.WithoutParty())), b.nonceFor(mallory)
	for name, c := range map[string]cookies{"nothing": nil, "no session": b.known(), "a session": cookiesOf(b.Jane), "redirected": b.known().with("__clerk_redirect_count=1")} {
		for _, query := range []string{"__clerk_handshake=" + token, "__clerk_handshake_nonce=" + nonce, "__clerk_db_jwt=dvb_evil", "__clerk_handshake=" + token + "&__clerk_handshake_nonce=" + nonce + "&__clerk_help=1&__dev_session=x",
			"__clerk%5Fhandshake=" + token, "x=1&__clerk_handshake_nonce=" + nonce, "__clerk_redirect_url=https%3A%2F%2Fevil.example&__clerk_synced=false"} {
			want, _ := b.outcome(testkit.AsUnknownPage, c.send)
			for _, method := range []string{http.MethodGet, http.MethodHead} {
				what, got := b.outcome(testkit.AsUnknownPage, c.send, func(r *http.Request) {
					r.Method = method
					r.URL.RawQuery = query
					r.RequestURI = r.URL.RequestURI()
				})
				if what != want && method == http.MethodGet || strings.Contains(what, mallory.User.ID) {
					t.Errorf("%s, %.40s: %s, want %s", name, query, what, want)
				}
				if location := got.Header.Get("Location"); strings.Contains(location, token) || strings.Contains(location, nonce) {
					t.Errorf("%s, %.40s: sent on to %s", name, query, location)
				}
			}
		}
	}
	b.fetchedNothingButKeys()
	if out := log.String(); strings.Contains(out, token) || strings.Contains(out, nonce) {
		t.Errorf("logged: %s", out)
	}
	// In a cookie, which only the instance's own domain can set, the nonce is one.
	if what, _ := b.outcome(testkit.AsUnknownPage, b.brings("__clerk_handshake_nonce", nonce)); what != "in as "+mallory.User.ID {
		t.Errorf("in a cookie: %s", what)
	}
}
