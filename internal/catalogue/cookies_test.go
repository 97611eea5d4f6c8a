package catalogue

import (
	"encoding/base64"
	"fmt"
	"net/http"
	"runtime"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/clerkauth/clerkauth"
	"github.com/clerkauth/clerkauth/clerkauthtest"
	"github.com/clerkauth/clerkauth/internal/testkit"
)

// These rows test which cookies are read, and how.
var _ = addRows(rows{
	"106/two_session_cookies":              bothKinds(twoSessionCookies),
	"107/tossed_session_cookie":            tossedSessionCookie,
	"108/session_cookies_of_two_instances": bothKinds(cookiesOfTwoInstances),
	"109/foreign_unsuffixed_cookie":        bothKinds(foreignUnsuffixedCookie),
	"110/undecodable_unsuffixed_cookie":    bothKinds(undecodableUnsuffixedCookie),
	"111/which_cookie_counts":              whichCookieCounts,
	"112/forged_iat_selects_cookie":        bothKinds(forgedIssuedAt),
	"113/odd_client_uat":                   bothKinds(oddClientUAT),
	"114/session_older_than_client_uat":    bothKinds(sessionOlderThanClient),
	"115/redirect_loop_counter":            bothKinds(redirectLoopCounter),
	"116/quoted_cookie_value":              bothKinds(quotedCookieValue),
	"117/encoded_cookie_value":             bothKinds(encodedCookieValue),
	"118/odd_cookie_names":                 bothKinds(oddCookieNames),
	"119/thousands_of_cookies":             thousandsOfCookies,
	"120/machine_credential_in_cookie":     machineCredentialInCookie,
})

const noSession = "client-uat-but-no-session-token"

// inLines sends one cookie in each line.
func (c cookies) inLines(r *http.Request) { r.Header["Cookie"] = c }

// twoSessionCookies: a cookie that a subdomain or a neighbor on the network has planted
// never signs in, and neither does the one beside it. Where nobody would be signed in, the
// first counts.
func twoSessionCookies(b *browserRig) {
	mallory := b.Server.SignIn(b.Server.CreateUser("mallory@example.com"))
	good := cookiesOf(b.Jane).plain()
	first, own := good.without("__session"), good.get("__session")
	for name, other := range map[string]string{
		"of another user": mallory.Token(), "another of the same session": b.Jane.Token(), "garbage": "evil", "empty": "",
		"forged": b.Jane.Token(clerkauthtest.SignedBy(testkit.OtherKey())), "an API key": "ak_0123456789abcdef",
	} {
		for order, both := range map[string]cookies{
			"behind": append(first.with(), "__session="+own, "__session="+other), "before": append(first.with(), "__session="+other, "__session="+own),
		} {
			want := "handshake " + noSession
			if order == "before" { // the flow runs with the first
				want = map[string]string{
					"garbage": "out token-invalid", "an API key": "out token-invalid", "forged": "out token-invalid-signature",
				}[name]
				if want == "" {
					want = "handshake " + noSession
				}
			}
			asScript := strings.Replace(want, "handshake", "out", 1)
			for lines, edit := range map[string]func(*http.Request){"one line": both.send, "lines": both.inLines} {
				if got := b.page(nil, edit); got != want {
					b.t.Errorf("%s, %s, %s: %s, want %s", name, order, lines, got, want)
				}
				if got := b.script(nil, edit); got != asScript {
					b.t.Errorf("%s, %s, %s, for a script: %s, want %s", name, order, lines, got, asScript)
				}
			}
			// On public routes nobody is signed in.
			if got := testkit.Serve(b.Auth.Require(clerkauth.Public), asScriptWith(both)...); !strings.HasPrefix(got.Body, "hello  ") {
				b.t.Errorf("%s, %s, on a public route: %v", name, order, got)
			}
		}
	}
	// What is equal is one; where those with the suffix count, the others do not.
	for name, all := range map[string]cookies{
		"equal":                     append(good.with(), "__session="+own),
		"equal, encoded":            append(good.with(), "__session="+strings.ReplaceAll(own, ".", "%2E")),
		"not those that count":      append(cookiesOf(b.Jane), "__session=evil"),
		"with the suffix of others": append(good.with(), "__session_AAAAAAAA=evil", "__session_AAAAAAAA="+mallory.Token()),
	} {
		if got := b.page(all); got != "in" {
			b.t.Errorf("%s: %s", name, got)
		}
	}
	suffixed := append(cookiesOf(b.Jane), "__session"+b.suffix+"="+mallory.Token())
	if got := b.page(suffixed); got != "handshake "+noSession {
		b.t.Errorf("two with the suffix: %s", got)
	}
	// A refresh does not sign in, either. A pending session stays one.
	expired := cookiesOf(b.Jane)
	b.Server.Advance(2 * time.Minute)
	if got := b.page(append(expired, "__session"+b.suffix+"=evil")); got != "handshake "+noSession {
		b.t.Errorf("refreshed: %s", got)
	}
	if got := b.page(expired); got != "in" {
		b.t.Errorf("refreshed, one: %s", got)
	}
	pending := b.Server.SignIn(b.Jane.User, clerkauthtest.Pending())
	if got := b.page(append(cookiesOf(pending).plain(), "__session="+own)); got != "out session-pending" {
		b.t.Errorf("pending: %s", got)
	}
}

func asScriptWith(c cookies) []func(*http.Request) { return []func(*http.Request){asScript, c.send} }

// tossedSessionCookie: a page of another subdomain sets its own user's token for the whole
// domain. It names the page that it was issued to. Where that is not looked at, because any
// party is accepted or the token has none and cookies may lack it, it signs its user in, as
// documented.
func tossedSessionCookie(t *testing.T) {
	b := newBrowserRig(t, true)
	mallory := b.Server.SignIn(b.Server.CreateUser("mallory@example.com"))
	tossed := func(opts ...clerkauthtest.TokenOption) cookies { return cookiesOf(mallory, opts...) }
	const refused = "out token-invalid-authorized-parties"
	for _, azp := range []any{"https://blog.example.com", "https://app.example.com.evil.com", "http://app.example.com", "https://app.example.com/", "", nil, []string{"https://app.example.com"}} {
		c := tossed(clerkauthtest.WithClaim("azp", azp))
		if page, script := b.page(c), b.script(c); page != refused || script != refused {
			t.Errorf("azp %v: %s, %s", azp, page, script)
		}
	}
	for name, c := range map[string]struct {
		change func(*clerkauth.Config)
		want   string
	}{
		"missing, refused":      {func(c *clerkauth.Config) { c.MissingParty = clerkauth.RefuseMissing }, refused},
		"missing, header alone": {func(c *clerkauth.Config) { c.MissingParty = clerkauth.AllowMissingFromHeader }, refused},
		"missing, allowed":      {func(*clerkauth.Config) {}, "in as " + mallory.User.ID},
		"any party":             {testkit.AnyParty, "in as " + mallory.User.ID},
	} {
		if got := b.by(c.change).page(tossed(clerkauthtest.WithoutParty())); got != c.want {
			t.Errorf("%s: %s, want %s", name, got, c.want)
		}
	}
	// Beside the user's own cookie it does not replace them.
	both := append(cookiesOf(b.Jane), "__session"+b.suffix+"="+mallory.Token(clerkauthtest.WithoutParty()))
	if got := b.page(both); got != "handshake "+noSession {
		t.Errorf("beside the user's own: %s", got)
	}
}

// otherInstance returns the cookies, with and without suffix, of a user of another instance
// on the same domain.
func otherInstance(t *testing.T) cookies {
	other := newBrowserRig(t, false)
	return cookiesOf(other.Jane)
}

func cookiesOfTwoInstances(b *browserRig) {
	theirs, ours := otherInstance(b.t), cookiesOf(b.Jane)
	suffixed := func(c cookies) cookies { return c.without("__session", "__client_uat", "__clerk_db_jwt") }
	for name, c := range map[string]cookies{
		"ours without suffix": append(ours.plain(), suffixed(theirs)...),
		"both with suffix":    append(suffixed(ours), suffixed(theirs)...),
		"theirs first":        append(suffixed(theirs), ours...),
	} {
		if got := b.page(c); got != "in" {
			b.t.Errorf("%s: %s", name, got)
		}
	}
	known := cookies{}
	if !b.production() {
		known = cookies{"__clerk_db_jwt=db"}
	}
	for name, c := range map[string]cookies{"theirs with suffix": append(known, suffixed(theirs)...), "ours in their place": append(known, strings.Split(strings.ReplaceAll(strings.Join(suffixed(ours), "; "), b.suffix, "_AAAAAAAA"), "; ")...)} {
		if got := b.page(c); got != "out session-token-and-uat-missing" {
			b.t.Errorf("%s: %s", name, got)
		}
	}
	if calls := b.calls(); calls != 0 {
		b.t.Errorf("%d calls", calls)
	}
}

func (b *browserRig) production() bool {
	return strings.HasPrefix(b.Server.PublishableKey(), "pk_live_")
}

func foreignUnsuffixedCookie(b *browserRig) {
	theirs, ours := otherInstance(b.t), cookiesOf(b.Jane)
	foreign := ours.with("__session=" + theirs.get("__session"))
	if got := b.page(foreign); got != "in" {
		b.t.Errorf("beside ours: %s", got)
	}
	if got := b.page(foreign.with("__client_uat=0")); got != "in" {
		b.t.Errorf("beside ours, signed out there: %s", got)
	}
	// Alone it says nothing about this instance.
	for _, c := range []cookies{foreign.without("__session"+b.suffix, "__client_uat"+b.suffix)} {
		if got := b.script(c); got != "out session-token-and-uat-missing" {
			b.t.Errorf("alone: %s", got)
		}
	}
	// Nor does its issuer, which anybody could write, decide more than which cookie is verified.
	forged := unsigned(`{"iss":"https://evil.example","sub":"` + b.Jane.User.ID + `","iat":4000000000}`)
	if got := b.page(ours.with("__session=" + forged)); got != "in" {
		b.t.Errorf("forged: %s", got)
	}
}

// unsigned returns a token with that payload that nobody has signed.
func unsigned(payload string) string {
	enc := base64.RawURLEncoding
	return enc.EncodeToString([]byte(`{"alg":"RS256","typ":"JWT","kid":"`+testkit.KeyID+`"}`)) + "." + enc.EncodeToString([]byte(payload)) + "." + enc.EncodeToString(make([]byte, 256))
}

func undecodableUnsuffixedCookie(b *browserRig) {
	ours := cookiesOf(b.Jane)
	for session, want := range map[string]string{
		// It is of no other instance, and counts.
		"x": "out token-invalid", "a.b.c": "out token-invalid", "..": "out token-invalid", "null": "out token-invalid", strings.Repeat("a", 20<<10): "out token-invalid",
		unsigned(`{"sub":"user_1","iat":4000000000}`): "out token-invalid-signature", unsigned(`{"iss":null,"iat":4000000000}`): "out token-invalid-signature",
		unsigned(`{"iss":"","iat":4000000000}`): "out token-invalid-issuer", unsigned(`[]`): "out token-invalid",
		// It is of another one, whatever that is.
		unsigned(`{"iss":{},"iat":4000000000}`): "in", unsigned(`{"iss":7}`): "in", unsigned(`{"iss":["` + b.Server.Issuer() + `"]}`): "in", unsigned(`{"iss":true}`): "in",
	} {
		if got := b.page(ours.with("__session=" + session)); got != want {
			b.t.Errorf("%.60q: %s, want %s", session, got, want)
		}
	}
	b.fetchedNothingButKeys()
}

// fetchedNothingButKeys requires that nothing made the server call the Backend API for a browser.
func (b *browserRig) fetchedNothingButKeys() {
	b.t.Helper()
	if calls := b.calls(); calls != 0 {
		b.t.Errorf("%d calls", calls)
	}
}

// forgedIssuedAt: an unsigned cookie may change which cookies count, and then is the one
// that is verified.
func forgedIssuedAt(b *browserRig) {
	ours := cookiesOf(b.Jane)
	const forever = 32_503_680_000 // the year 3000
	claims := fmt.Sprintf(`{"iss":%q,"sub":%q,"sid":%q,"azp":"https://app.example.com","iat":%d,"nbf":0,"exp":%d}`, b.Server.Issuer(), b.Jane.User.ID, b.Jane.ID, forever, forever+60)
	for name, session := range map[string]string{
		"unsigned": unsigned(claims), "signed by another": b.Jane.Token(clerkauthtest.SignedBy(testkit.OtherKey()), clerkauthtest.WithClaim("iat", forever)),
	} {
		for _, uat := range []string{ours.get("__client_uat"), "1"} {
			if got := b.page(ours.with("__session="+session, "__client_uat="+uat)); got != "out token-invalid-signature" {
				b.t.Errorf("%s, client_uat %s: %s", name, uat, got)
			}
		}
		if got := b.page(ours.with("__session="+session, "__client_uat=0")); got != "in" {
			b.t.Errorf("%s, signed out without suffix: %s", name, got)
		}
	}
	b.fetchedNothingButKeys()
}

// oddClientUAT: the integer at its beginning counts, as parseInt reads it, or 0.
func oddClientUAT(b *browserRig) {
	good := cookiesOf(b.Jane).plain()
	const missing, outdated = "handshake session-token-but-no-client-uat", "handshake session-token-iat-before-client-uat"
	for uat, want := range map[string]string{
		"0": missing, "-0": missing, "": missing, "abc": missing, "NaN": missing, "Infinity": missing, "0x": missing, "+": missing, ".5": missing, "%30": missing, "٣": missing,
		"-1": "in", "1": "in", "1e99": "in", "12abc": "in", " 12": "in", "%2012": "in", "+12": "in", "0x10": "in", "12.9": "in", "1;x": "in", "00012": "in",
		"9999999999": outdated, "99999999999999999999": outdated, strings.Repeat("9", 400): outdated, "0xffffffffffff": outdated, "%39999999999": outdated,
	} {
		if got := b.page(good.with("__client_uat=" + uat)); got != want {
			b.t.Errorf("%.40q: %s, want %s", uat, got, want)
		}
		if want, got := strings.Replace(want, "handshake", "out", 1), b.script(good.with("__client_uat="+uat)); got != want {
			b.t.Errorf("%.40q for a script: %s, want %s", uat, got, want)
		}
	}
	for want, pair := range map[string][]string{missing: {"__client_uat=0", "__client_uat=1"}, "in": {"__client_uat=1", "__client_uat=0"}} {
		if got := b.page(append(good.without("__client_uat"), pair...)); got != want {
			b.t.Errorf("%q: %s, want the first to count", pair, got)
		}
	}
	// A session is not made of it.
	for uat, want := range map[string]string{"1": "handshake " + noSession, "9999999999": "handshake " + noSession, "-5": "handshake " + noSession, "0": "out session-token-and-uat-missing", "x": "out session-token-and-uat-missing"} {
		if got := b.page(good.without("__session").with("__client_uat=" + uat)); got != want {
			b.t.Errorf("%q alone: %s, want %s", uat, got, want)
		}
	}
}

func sessionOlderThanClient(b *browserRig) {
	now := b.Server.Now().Unix()
	for difference, older := range map[int64]bool{1: true, 5: true, 3600: true, 1 << 31: true, 0: false, -1: false, -3600: false} {
		c := cookiesOf(b.Jane, clerkauthtest.WithClaim("iat", now)).with("__client_uat="+strconv.FormatInt(now+difference, 10), "__client_uat"+b.suffix+"="+strconv.FormatInt(now+difference, 10))
		want := "in"
		if older {
			want = "session-token-iat-before-client-uat"
			if got := b.page(c, setHeader("Sec-Fetch-Dest", "iframe")); got != "handshake "+want {
				b.t.Errorf("%d in a frame: %s", difference, got)
			}
			if got := b.script(c); got != "out "+want {
				b.t.Errorf("%d for a script: %s", difference, got)
			}
			if got := b.page(c, func(r *http.Request) { r.Method = http.MethodPost }); got != "out "+want {
				b.t.Errorf("%d posted: %s", difference, got)
			}
			want = "handshake " + want
		}
		if got := b.page(c); got != want {
			b.t.Errorf("%d: %s, want %s", difference, got, want)
		}
	}
	// One without a time of issue is as old as can be, but has to be verified first.
	undated := clerkauthtest.WithoutClaim("iat")
	if got := b.page(cookiesOf(b.Jane, undated)); got != "handshake session-token-iat-before-client-uat" {
		b.t.Errorf("undated: %s", got)
	}
	if got := b.page(cookiesOf(b.Jane, undated, clerkauthtest.SignedBy(testkit.OtherKey()))); got != "out token-invalid-signature" {
		b.t.Errorf("undated and forged: %s", got)
	}
}

// redirectLoopCounter: a number as JavaScript reads it. At three, or what is more, nobody
// is redirected any more.
func redirectLoopCounter(b *browserRig) {
	outdated := cookiesOf(b.Jane).without("__session", "__session"+b.suffix)
	for count, next := range map[string]string{ // "": no redirect
		"3": "", "4": "", "99": "", "1e9": "", "3.0": "", "0x3": "", "0b11": "", "0o7": "", "Infinity": "", "1e400": "", " 3 ": "", "%33": "", "3.5": "", strings.Repeat("9", 400): "",
		"": "1", "0": "1", "1": "2", "2": "3", "2.5": "3", "2.9999": "3", "-1": "1", "-Infinity": "1", "-1e9": "1", "NaN": "1", "abc": "1", "3abc": "1", "1_0": "1", "0x": "1", "3,3": "1", "null": "1", "٣": "1",
	} {
		c := outdated.with("__clerk_redirect_count=" + count)
		what, got := b.outcome(testkit.AsUnknownPage, c.send)
		var counted []string
		for _, cookie := range (&http.Response{Header: got.Header}).Cookies() {
			if cookie.Name == "__clerk_redirect_count" && cookie.HttpOnly && cookie.SameSite == http.SameSiteLaxMode && cookie.MaxAge == 2 {
				counted = append(counted, cookie.Value)
			}
		}
		switch {
		case next == "" && (what != "out "+noSession || len(got.Header["Set-Cookie"]) > 0):
			b.t.Errorf("%.30q: %s %v", count, what, got.Header)
		case next != "" && (what != "handshake "+noSession || strings.Join(counted, ",") != next):
			b.t.Errorf("%.30q: %s, counted %q, want %s", count, what, counted, next)
		}
	}
	// It is the browser's word, and the first one counts.
	if got := b.page(append(outdated, "__clerk_redirect_count=3", "__clerk_redirect_count=0")); got != "out "+noSession {
		b.t.Errorf("twice: %s", got)
	}
	if got := b.page(cookiesOf(b.Jane).with("__clerk_redirect_count=3")); got != "in" {
		b.t.Errorf("signed in: %s", got)
	}
}

// quotedCookieValue: quotes are part of a value (RFC 6265 section 5.4), and of no token.
func quotedCookieValue(b *browserRig) {
	good := cookiesOf(b.Jane).plain()
	token := good.get("__session")
	for _, value := range []string{`"` + token + `"`, `"` + token, token + `"`, `'` + token + `'`, `""`, `"`, `%22` + token + `%22`} {
		for _, name := range []string{"__session", "__session" + b.suffix} {
			c := good.with(name + "=" + value)
			if name != "__session" {
				c = c.without("__session").with("__client_uat"+b.suffix+"=1", "__clerk_db_jwt"+b.suffix+"=db")
			}
			if got := b.page(c); got != "out token-invalid" {
				b.t.Errorf("%s of %.20q: %s", name, value, got)
			}
		}
	}
	if got := b.page(good.with(`__client_uat="1"`)); got != "handshake session-token-but-no-client-uat" {
		b.t.Errorf("client_uat: %s", got)
	}
}

// encodedCookieValue: a value is percent-decoded once. What comes out of it separates
// nothing.
func encodedCookieValue(b *browserRig) {
	good := cookiesOf(b.Jane).plain()
	token := good.get("__session")
	all := func(s string) string {
		var e strings.Builder
		for _, c := range []byte(s) {
			fmt.Fprintf(&e, "%%%02x", c)
		}
		return e.String()
	}
	for name, session := range map[string]string{"dots": strings.ReplaceAll(token, ".", "%2E"), "in lower case": strings.ReplaceAll(token, ".", "%2e"), "all": all(token)} {
		if got := b.page(good.with("__session=" + session)); got != "in" {
			b.t.Errorf("%s: %s", name, got)
		}
	}
	for name, session := range map[string]string{
		"twice": strings.ReplaceAll(token, ".", "%252E"), "malformed": strings.Replace(token, ".", "%2", 1), "malformed beside": token + "%zz", "not UTF-8": token + "%ff",
		"a delimiter": token + "%3B%20__client_uat%3D1", "an equals sign": token + "%3D", "a comma": token + ",x", "a backslash": token + `\`, "a space": token + "%20", "NUL": token + "%00",
		"CRLF": token + "%0d%0a", "inner space": strings.Replace(token, ".", " .", 1), "plus": strings.ReplaceAll(token, "_", "+") + "+", "overlong": strings.Replace(token, ".", "%c0%ae", 1),
	} {
		if got := b.page(good.with("__session=" + session)); got != "out token-invalid" {
			b.t.Errorf("%s: %s", name, got)
		}
	}
	// No cookie comes out of another one.
	smuggled := good.without("__client_uat").with("__session=" + token + "%3B%20__client_uat%3D1")
	if got := b.page(smuggled.with("x=1%3B__client_uat=1")); got != "handshake session-token-but-no-client-uat" {
		b.t.Errorf("smuggled: %s", got)
	}
	if got := b.page(good.without("__session").with("x=%3B __session=" + token)); got != "handshake "+noSession {
		b.t.Errorf("in another: %s", got)
	}
	if got := b.page(good.without("__session").with("__ses%73ion=" + token)); got != "handshake "+noSession {
		b.t.Errorf("in a name: %s", got)
	}
}

// oddCookieNames: names are exact, but for spaces and tabs around them.
func oddCookieNames(b *browserRig) {
	good := cookiesOf(b.Jane).plain()
	token, rest := good.get("__session"), good.without("__session")
	raw := func(line string) func(*http.Request) {
		return func(r *http.Request) { r.Header.Set("Cookie", strings.Join(rest, "; ")+"; "+line) }
	}
	for _, name := range []string{"__Session", "__SESSION", "__session[]", "$__session", "=__session", "__session\u00a0", "__session\v", "__ſession", "__session_", "__session__", "_session", "__session_x",
		"__session" + strings.ToUpper(b.suffix) + "x", `"__session"`, "__Host-__session", "__session\x00", "__session.", ""} {
		if got := b.page(nil, raw(name+"="+token)); got != "handshake "+noSession {
			b.t.Errorf("%q: %s", name, got)
		}
		if got := b.page(nil, raw("__session="+token+"; "+name+"=evil")); got != "in" {
			b.t.Errorf("%q beside it: %s", name, got)
		}
	}
	for _, name := range []string{"__session ", " __session", "\t__session\t", "  __session  "} {
		if got := b.page(nil, raw(name+"="+token)); got != "in" {
			b.t.Errorf("%q: %s", name, got)
		}
		for _, line := range []string{"__session=" + token + ";" + name + "=evil", name + "=" + b.Jane.Token() + ";__session=" + token} {
			if got := b.page(nil, raw(line)); got != "handshake "+noSession {
				b.t.Errorf("%q is a second one: %s", name, got)
			}
		}
	}
	for _, line := range []string{"__session", "__session;" + token, "; ; =; ==; ", "__session : " + token, "__session%3D" + token} {
		if got := b.page(nil, raw(line)); got != "handshake "+noSession {
			b.t.Errorf("%.30q: %s", line, got)
		}
	}
}

// thousandsOfCookies: reading them is linear and calls nobody. net/http refuses headers of
// a megabyte by itself.
func thousandsOfCookies(t *testing.T) {
	b := newBrowserRig(t, true)
	server := testkit.NewServer(t, b.Auth.Require().Func(testkit.Hello))
	good := cookiesOf(b.Jane)
	b.page(good) // fetches the keys
	many := func(n int, pair string) cookies {
		c := make(cookies, n)
		for i := range c {
			c[i] = strings.ReplaceAll(pair, "#", strconv.Itoa(i))
		}
		return c
	}
	for name, c := range map[string]struct {
		cookies cookies
		status  int
	}{
		"3,001 of others":        {many(3_001, "a#=b"), 401},
		"3,001, and a session":   {append(many(3_001, "a#=b"), good...), 200},
		"3,001 of one name":      {many(3_001, "__session=#"), 401},
		"3,001 suffixes":         {many(3_001, "__session_#=#"), 401},
		"64 KiB of one":          {cookies{"__session=" + strings.Repeat("a.", 32<<10), "__client_uat=1"}, 401},
		"64 KiB of percents":     {cookies{"__session=" + strings.Repeat("%25", 21<<10), "__client_uat=1"}, 401},
		"64 KiB of delimiters":   {cookies{strings.Repeat(";=", 32<<10)}, 401},
		"64 KiB of digits":       {cookies{"__client_uat=" + strings.Repeat("9", 64<<10), "__clerk_redirect_count=" + strings.Repeat("9", 64<<10)}, 401},
		"2 MiB":                  {cookies{"a=" + strings.Repeat("b", 2<<20)}, 431},
		"a megabyte of cookies":  {many(200_000, "a#=b"), 431},
		"as many as fit, a line": {many(100_000, "a=b"), 401},
	} {
		raw := request("GET /", "Host: app.example.com", "Cookie: "+strings.Join(c.cookies, ";"))
		if got := testkit.Exchange(t, server, raw); len(got) != 1 || got[0].Status != c.status || got[0].Entered != (c.status == 200) {
			t.Errorf("%s: %.300v, want %d", name, got, c.status)
		}
	}
	b.fetchedNothingButKeys()
	// Memory does not grow with the square of what is sent.
	allocated := func(n int) uint64 {
		c := many(n, "__session=#%41")
		var before, after runtime.MemStats
		runtime.ReadMemStats(&before)
		b.page(c)
		runtime.ReadMemStats(&after)
		return after.TotalAlloc - before.TotalAlloc
	}
	allocated(1)
	if small, large := allocated(500), allocated(5_000); large > 20*small+64<<10 {
		t.Errorf("500 cookies allocate %d bytes, and 5,000 allocate %d", small, large)
	}
}

// machineCredentialInCookie: machines have no cookies, and asking Clerk about one would let
// anybody's pages make calls.
func machineCredentialInCookie(t *testing.T) {
	for _, production := range []bool{true, false} {
		b := newBrowserRig(t, production, testkit.AcceptAll)
		user := b.Server.CreateUser("owner@example.com")
		here, peer := b.Server.CreateMachine("here"), b.Server.CreateMachine("peer")
		key, m2m, oauth := b.Server.CreateAPIKey(user, "x"), peer.Token(here), b.Server.CreateOAuthToken(user, "client_1", "x")
		good := cookiesOf(b.Jane).plain()
		for token, want := range map[string]string{
			key.Token: "token-invalid", m2m.Token: "token-invalid", oauth.Token: "token-invalid", "ak_": "token-invalid", "mt_x": "token-invalid", "oat_x": "token-invalid",
			m2m.JWT(): "token-type-mismatch", oauth.JWT(): "token-type-mismatch",
		} {
			for _, access := range []clerkauth.Access{clerkauth.SignedIn, clerkauth.Token(clerkauth.APIKey), testkit.AnyCredential} {
				guard := b.Auth.Require(access)
				got := testkit.Serve(guard, asScriptWith(good.with("__session="+token))...)
				if got.Status != 401 || got.Entered {
					t.Errorf("%.12s for %v: %v", token, access, got)
				}
			}
			if got := b.page(good.with("__session=" + token)); got != "out "+want {
				t.Errorf("%.12s: %s, want %s", token, got, want)
			}
		}
		if n := b.Server.Requests(clerkauthtest.TokenVerify); n != 0 {
			t.Errorf("%d calls", n)
		}
	}
}
