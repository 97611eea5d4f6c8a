package live

import (
	"encoding/base64"
	"encoding/json"
	"fmt"
	"maps"
	"math/rand/v2"
	"net/http"
	"net/http/httptest"
	"net/url"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/clerkauth/clerkauth/clerkauthtest"
)

// request is a request to an application. It is the same for both sides but for
// nonces, which are valid once: both get their own in the place of nonceHere.
type request struct {
	on      *instance
	now     int64 // in milliseconds
	method  string
	path    string
	query   [][2]string
	headers [][2]string // without Cookie
	cookies [][2]string
	nonceOf *user // whose nonce nonceHere stands for; nil if there is none
	traits  traits
}

const nonceHere = "NONCE"

// traits are what rules have to know about a request that cannot be read off it without
// verifying something.
type traits struct {
	withoutIssuedAt bool // there is a token without iat
	foreign         bool // there is a token of another instance
	otherParty      bool // there is a token without azp, or with another one
	refused         bool // the handshake token is not valid, or its time has passed
}

// generator draws requests.
type generator struct {
	*rand.Rand
	t         *testing.T
	instances []*instance
}

func newGenerator(t *testing.T, seed uint64) *generator {
	return &generator{rand.New(rand.NewPCG(seed, 0)), t, newInstances(t)} //nolint:gosec // it has to be repeatable
}

// of returns one of the weights by its index, with a probability in proportion to it.
func (g *generator) of(weights ...int) int {
	sum := 0
	for _, w := range weights {
		sum += w
	}
	n := g.IntN(sum)
	for i, w := range weights {
		if n -= w; n < 0 {
			return i
		}
	}
	panic("unreachable")
}

func (g *generator) percent(n int) bool { return g.IntN(100) < n }

func oneOf[T any](g *generator, list ...T) T { return list[g.IntN(len(list))] }

// drawing is a request that is being drawn.
type drawing struct {
	*generator
	*request
	kit    *kit
	second time.Time // the clock, but for its milliseconds
	user   *user
}

// draw draws request number n. Clocks only go forward.
func (g *generator) draw(n int) *request {
	on := oneOf(g, g.instances...)
	d := &drawing{generator: g, request: &request{on: on, method: http.MethodGet}, kit: on.kit, second: start.Add(time.Duration(n+60) * 97 * time.Second)}
	d.now = d.second.UnixMilli() + oneOf[int64](g, 0, 0, -1, 1, 300)
	d.user = d.kit.users[g.of(6, 4, 2, 1)]
	d.drawDestination()
	d.drawURL()
	d.drawSession()
	d.drawHandshake()
	d.drawAuthorization()
	g.Shuffle(len(d.cookies), func(i, j int) { d.cookies[i], d.cookies[j] = d.cookies[j], d.cookies[i] })
	return d.request
}

func (d *drawing) header(name, value string) { d.headers = append(d.headers, [2]string{name, value}) }
func (d *drawing) cookie(name, value string) { d.cookies = append(d.cookies, [2]string{name, value}) }
func (d *drawing) param(name, value string)  { d.query = append(d.query, [2]string{name, value}) }

// drawDestination draws what the request is for, as browsers and programs say it.
func (d *drawing) drawDestination() {
	fetch := func(dest, mode, site string) {
		d.header("sec-fetch-dest", dest)
		d.header("sec-fetch-mode", mode)
		d.header("sec-fetch-site", site)
	}
	const html = "text/html,application/xhtml+xml,application/xml;q=0.9,*/*;q=0.8"
	switch d.of(36, 6, 10, 8, 5, 5, 8, 3, 3, 3, 3, 3, 3) {
	case 0: // a page
		fetch("document", "navigate", oneOf(d.generator, "none", "same-origin", "cross-site"))
		d.header("accept", html)
	case 1: // a frame
		fetch("iframe", "navigate", "cross-site")
		d.header("accept", html)
	case 2: // a script
		fetch("empty", "cors", "same-origin")
		d.header("accept", "*/*")
	case 3: // a page of an insecure context
		d.header("accept", html)
	case 4: // a program
		d.header("accept", oneOf(d.generator, "*/*", "application/json", "application/json, text/html"))
	case 5: // nothing said
	case 6: // a form
		d.method = http.MethodPost
		if d.percent(30) {
			fetch("document", "navigate", "cross-site")
			// For a satellite the origin of its SignInURL makes the SDK throw, as if the
			// configuration was wrong.
			d.header("origin", oneOf(d.generator, "https://evil.example", "https://other.example.com", "null"))
		} else {
			fetch("document", "navigate", "same-origin")
			d.header("origin", d.on.origin)
		}
		d.header("accept", html)
	case 7: // an API
		d.method = oneOf(d.generator, http.MethodPut, http.MethodDelete, http.MethodPatch, http.MethodOptions)
		d.header("accept", "application/json")
	case 8:
		d.method = http.MethodHead
		if d.percent(50) {
			fetch("document", "navigate", "none")
		}
		d.header("accept", html)
	case 9: // a page that is fetched ahead
		fetch("document", "navigate", "same-origin")
		d.header("accept", html)
		d.header("sec-purpose", oneOf(d.generator, "prefetch", "prefetch;prerender"))
	case 10: // a fragment for htmx
		d.header("hx-request", "true")
		d.header("accept", oneOf(d.generator, "text/html", "text/html, */*", "*/*"))
		if d.percent(50) {
			fetch("empty", "cors", "same-origin")
		}
	case 11: // a websocket
		d.header("upgrade", "websocket")
		d.header("connection", "Upgrade")
		d.header("origin", oneOf(d.generator, d.on.origin, d.on.origin, "https://evil.example"))
		if d.percent(50) {
			fetch("websocket", "websocket", "same-origin")
		}
	case 12: // a part of a page
		fetch(oneOf(d.generator, "image", "script", "style", "object", "embed", "frame"), "no-cors", "same-origin")
		d.header("accept", oneOf(d.generator, "*/*", html))
	}
	if referer := oneOf(d.generator, "", "", d.on.origin+"/from", "https://other.example/page", "https://other.example/page", "https://accounts.example.com/sign-in",
		strings.Replace(d.kit.Issuer(), ".clerk.", ".", 1)+"/sign-in", d.kit.Issuer()+"/v1", "http://app.example.com/", "nonsense"); referer != "" {
		d.header("referer", referer)
	}
}

// drawURL draws the target of the request and the parameters that are not a handshake's.
func (d *drawing) drawURL() {
	d.path = oneOf(d.generator, "/", "/", "/dashboard", "/a%20b/c", "/orgs/acme", "/orgs/acme/members", "/orgs/globex", "/orgs/Acme/", "/ORGS/acme", "/me", "/me/settings",
		"/o/org_unknown", "/o/"+d.organization(), "/o/"+d.organization()+"/members")
	for range d.of(6, 3, 1) {
		d.param(oneOf(d.generator, "x", "q", "page"), oneOf(d.generator, "", "1", "a b", "é", "1+1", "a/b?c&d"))
	}
	if d.percent(12) || d.on.satellite && d.percent(40) {
		d.param("__clerk_synced", oneOf(d.generator, "true", "true", "false", "false", "", "maybe"))
	}
	if d.percent(5) {
		d.param("__clerk_redirect_url", oneOf(d.generator, "https://satellite.localhost/page?a=1", "https://satellite.localhost/page?__clerk_synced=false",
			"https://evil.example/", "https://satellite.localhost.evil.example/", "https://a@satellite.localhost/", "/relative", ""))
	}
	if d.percent(5) {
		d.param(oneOf(d.generator, "__clerk_db_jwt", "__clerk_db_jwt", "__dev_session", "__clerk_help"), oneOf(d.generator, d.user.cookies["__clerk_db_jwt"], "dvb_unknown", ""))
	}
}

// organization returns the id of an organization that is active for somebody.
func (d *drawing) organization() string { return d.kit.users[1].session.Organization.ID }

// drawSession draws the cookies of a session: with the suffix, without it or both, of one
// session, of different ones or parts of one.
func (d *drawing) drawSession() {
	token := d.token()
	uat := d.uat(token)
	plain, suffixed := true, true
	switch d.of(10, 60, 8, 8, 14) {
	case 0:
		plain, suffixed = false, false
	case 2:
		suffixed = false
	case 3:
		plain = false
	}
	out := d.percent(6) // of another instance on the same host, or by an old version of ClerkJS
	switch {
	case plain && out:
		d.sessionCookies("", token, "0")
	case plain:
		d.sessionCookies("", token, uat)
	}
	switch {
	case out:
		token = d.mint(d.user, oneOf[time.Duration](d.generator, 10, 59, 60, 61, 65, 70)*time.Second)
	case d.percent(20):
		token = d.token()
		uat = d.uat(token)
	}
	if suffixed {
		d.sessionCookies(d.kit.suffix(), token, uat)
	}
	name := "__refresh" + d.kit.suffix()
	switch d.of(35, 45, 5, 10) {
	case 1:
		d.cookie(name, d.user.cookies[name])
	case 2:
		d.cookie(name, "garbage")
	case 3:
		d.cookie(name, oneOf(d.generator, d.kit.users...).cookies[name])
	}
	if count := []string{"", "1", "2", "3", "0", "4", "12", "2.5", "-1", "0x3", "three", "1e9"}[d.of(68, 10, 5, 5, 1, 3, 1, 2, 1, 1, 1, 1)]; count != "" {
		d.cookie("__clerk_redirect_count", count)
	}
	if d.percent(30) {
		d.cookie(oneOf(d.generator, "theme", "__session_other000", "__client_uat_other000", "session", "__SESSION"), oneOf(d.generator, "dark", "1"))
	}
}

// sessionCookies adds __session, __client_uat and in development __clerk_db_jwt, with a
// suffix or without.
func (d *drawing) sessionCookies(suffix, token, uat string) {
	if d.percent(90) && token != "" {
		if d.percent(5) {
			token = strings.ReplaceAll(token, ".", "%2E")
		}
		d.cookie("__session"+suffix, token)
		switch d.of(92, 3, 3, 2) {
		case 1:
			d.cookie("__session"+suffix, d.token())
		case 2:
			d.cookie("__session"+suffix, token)
		case 3:
			d.cookie("__session"+suffix, "garbage")
		}
	}
	if d.percent(92) && uat != "absent" {
		d.cookie("__client_uat"+suffix, uat)
		if d.percent(3) {
			d.cookie("__client_uat"+suffix, d.uat(token))
		}
	}
	if !d.kit.production && d.percent(90) || d.percent(4) {
		d.cookie("__clerk_db_jwt"+suffix, []string{d.user.cookies["__clerk_db_jwt"], "dvb_unknown", ""}[d.of(90, 7, 3)])
	}
}

// uat draws a value of __client_uat: when the session began, or another one, such as about
// when the token was issued.
func (d *drawing) uat(token string) string {
	switch d.of(68, 8, 6, 4, 6, 10) {
	case 0:
		return fmt.Sprint(start.Unix())
	case 1:
		var claims struct{ IAT int64 }
		if parts := strings.Split(token, "."); len(parts) == 3 {
			payload, _ := base64.RawURLEncoding.DecodeString(parts[1])
			_ = json.Unmarshal(payload, &claims)
		}
		return fmt.Sprint(claims.IAT + oneOf[int64](d.generator, -1, 0, 0, 1))
	case 2:
		return "0"
	case 3:
		return "absent"
	case 4:
		return fmt.Sprint(d.second.Unix() + oneOf[int64](d.generator, -60, -20, 0, 5, 1000))
	default:
		return oneOf(d.generator, "", "00", "12abc", "abc", "-5", "1e9", "0x10", "0x7fffffff", " 12", "12.9", "99999999999", "Infinity", "%30")
	}
}

// token draws a session token.
func (d *drawing) token() string {
	u := d.user
	if d.percent(7) {
		u = oneOf(d.generator, d.kit.users...) // perhaps another user's
	}
	age := time.Duration(d.IntN(50)) * time.Second
	var options []clerkauthtest.TokenOption
	switch d.of(52, 14, 10, 6, 3, 15) {
	case 1: // expired
		age = time.Duration(66+d.IntN(3600)) * time.Second
	case 2: // about to expire, with the tolerance for clocks and without
		age = oneOf[time.Duration](d.generator, 65, 65, 64, 66, 60, 59, 61) * time.Second
	case 3: // of the future
		age = -oneOf[time.Duration](d.generator, 4, 5, 6, 14, 15, 16, 60) * time.Second
	case 4:
		options = append(options, clerkauthtest.Version1())
	case 5:
		return d.badToken(u)
	}
	return d.mint(u, age, options...)
}

// mint returns a token that was issued some time ago.
func (d *drawing) mint(u *user, age time.Duration, options ...clerkauthtest.TokenOption) string {
	d.kit.at(d.second.Add(-age))
	return u.session.Token(append([]clerkauthtest.TokenOption{clerkauthtest.WithClaim("azp", d.on.origin)}, options...)...)
}

func (d *drawing) badToken(u *user) string {
	token := d.mint(u, oneOf[time.Duration](d.generator, 0, 80)*time.Second)
	header, rest, _ := strings.Cut(token, ".")
	payload, signature, _ := strings.Cut(rest, ".")
	switch d.of(4, 4, 3, 3, 2, 2, 2, 2, 3, 2, 2) {
	case 0:
		return oneOf(d.generator, "garbage", "a.b.c", "null", "..", "%%%", header+".e30.AA")
	case 1: // changed
		return header + "." + payload + "." + strings.Repeat("A", 5) + signature[5:]
	case 2:
		return header + "." + payload[:len(payload)-4] + "." + signature
	case 3:
		return d.mint(u, 0, clerkauthtest.SignedBy(d.kit.stranger))
	case 4:
		return d.mint(u, 0, clerkauthtest.WithKeyID("ins_unknown"), clerkauthtest.SignedBy(d.kit.stranger))
	case 5:
		d.kit.at(d.second)
		return u.session.TemplateToken("template", map[string]any{"azp": d.on.origin, "role": "x"})
	case 6: // with a category of a machine's token, or one that leaves it open
		return d.mint(u, 0, clerkauthtest.WithHeader("cat", oneOf(d.generator, "cl_B7d4PD333AAA", "cl_I7d4PD111III", "cl_unknown", "")))
	case 7:
		d.traits.withoutIssuedAt = true
		return d.mint(u, 0, clerkauthtest.WithoutClaim("iat"))
	case 8: // of another instance
		d.traits.foreign = true
		d.kit.other.at(d.second)
		return d.kit.other.users[0].session.Token()
	case 9:
		d.traits.otherParty = true
		return d.mint(u, 0, clerkauthtest.WithClaim("azp", oneOf(d.generator, "https://evil.example", "http://app.example.com")))
	default:
		d.traits.otherParty = true
		return d.mint(u, 0, clerkauthtest.WithoutParty())
	}
}

// drawHandshake draws the result of a handshake, in the query or in cookies.
func (d *drawing) drawHandshake() {
	if d.percent(70) {
		return
	}
	u := d.user
	if d.percent(20) {
		u = oneOf(d.generator, d.kit.users...)
	}
	place := func(name, value string) {
		if d.percent(90) != d.kit.production {
			d.param(name, value)
		} else {
			d.cookie(name, value)
		}
	}
	if d.percent(50) {
		switch d.of(80, 10, 10) {
		case 0:
			d.nonceOf = u
			place("__clerk_handshake_nonce", nonceHere)
		case 1:
			place("__clerk_handshake_nonce", "unknown")
		case 2: // too old
			d.kit.at(d.second.Add(-2 * time.Minute))
			place("__clerk_handshake_nonce", d.kit.handshake(d.t, d.on, u, "nonce"))
		}
		if d.percent(90) {
			return
		}
	}
	place("__clerk_handshake", d.handshakeToken(u))
}

// handshakeToken draws the result of a handshake as a token.
func (d *drawing) handshakeToken(u *user) string {
	header := map[string]any{"alg": "RS256", "typ": "JWT", "kid": d.kit.KeyID(), "cat": "cl_B7d4PD111AAA"}
	lines := func(token string) []string {
		return []string{
			"__client_uat=" + fmt.Sprint(start.Unix()) + "; Path=/; SameSite=Lax",
			"__session=" + token + "; Path=/; SameSite=Lax", "__session" + d.kit.suffix() + "=" + token + "; Path=/; SameSite=Lax",
		}
	}
	token := d.mint(u, 0, clerkauthtest.WithoutParty())
	claims := map[string]any{"handshake": lines(token)}
	switch d.of(40, 8, 6, 6, 6, 6, 6, 6, 6, 6) {
	case 0:
		d.kit.at(d.second)
		return d.kit.handshake(d.t, d.on, u, "token")
	case 1: // nobody is signed in
		claims["handshake"] = []string{"__client_uat=0; Path=/", "__session=; Path=/; Max-Age=0"}
	case 2: // late
		claims["handshake"] = lines(d.mint(u, oneOf[time.Duration](d.generator, 70, 3600)*time.Second, clerkauthtest.WithoutParty()))
	case 3:
		claims["handshake"] = lines(d.mint(u, 0, clerkauthtest.SignedBy(d.kit.stranger)))
	case 4: // with claims that handshakes need not have
		claims["exp"], claims["iat"], claims["iss"] = d.second.Unix()+60, d.second.Unix(), d.kit.Issuer()
	case 5:
		d.traits.refused = true
		claims["exp"] = d.second.Unix() - 60
	case 6:
		d.traits.refused = true
		signature := d.kit.other.Sign(header, claims)
		return signature
	case 7:
		d.traits.refused = true
		return oneOf(d.generator, "garbage", "a.b.c", token+"A")
	case 8: // another kind of token
		d.traits.refused = true
		return token
	case 9:
		claims["handshake"] = []string{}
	}
	return d.kit.Sign(header, claims)
}

func (d *drawing) drawAuthorization() {
	if d.percent(80) {
		return
	}
	switch d.of(60, 12, 14, 14) {
	case 0:
		d.header("authorization", "Bearer "+d.token())
	case 1:
		d.header("authorization", oneOf(d.generator, "bearer ", "BEARER ")+d.token())
	case 2:
		d.header("authorization", oneOf(d.generator, "Basic amFuZTpzZWNyZXQ=", "Digest username=jane", "Token "+d.token()))
	case 3:
		d.header("authorization", oneOf(d.generator, "Bearer", "garbage", d.token()))
	}
}

// get returns the first value of that name, and whether there is one.
func get(list [][2]string, name string) (string, bool) {
	for _, pair := range list {
		if pair[0] == name {
			return pair[1], true
		}
	}
	return "", false
}

// without returns the list without pairs of these names.
func without(list [][2]string, names ...string) [][2]string {
	return slices.DeleteFunc(slices.Clone(list), func(pair [2]string) bool { return slices.Contains(names, pair[0]) })
}

// replaced returns the list with another value in the pairs of that name.
func replaced(list [][2]string, name, value string) [][2]string {
	list = slices.Clone(list)
	for i := range list {
		if list[i][0] == name {
			list[i][1] = value
		}
	}
	return list
}

// url returns the URL of the request with a nonce.
func (r *request) url(nonce string) string {
	target := r.on.origin + r.path
	separator := "?"
	for _, pair := range r.query {
		target += separator + url.QueryEscape(pair[0]) + "=" + url.QueryEscape(strings.ReplaceAll(pair[1], nonceHere, nonce))
		separator = "&"
	}
	return target
}

// allHeaders returns the headers of the request with a nonce.
func (r *request) allHeaders(nonce string) [][2]string {
	all := append([][2]string{{"host", strings.TrimPrefix(r.on.origin, "https://")}}, r.headers...)
	var pairs []string
	for _, c := range r.cookies {
		pairs = append(pairs, c[0]+"="+strings.ReplaceAll(c[1], nonceHere, nonce))
	}
	if len(pairs) > 0 {
		all = append(all, [2]string{"cookie", strings.Join(pairs, "; ")})
	}
	return all
}

// toHTTP returns the request as a server has it.
func (r *request) toHTTP(nonce string) *http.Request {
	req := httptest.NewRequest(r.method, r.url(nonce), nil)
	req.RequestURI = strings.TrimPrefix(r.url(nonce), r.on.origin)
	for _, h := range r.allHeaders(nonce)[1:] {
		req.Header.Add(h[0], h[1])
	}
	return req
}

// toSDK returns the request as a question.
func (r *request) toSDK(nonce string) question {
	return question{Options: maps.Clone(r.on.options), Now: r.now, Method: r.method, URL: r.url(nonce), Headers: r.allHeaders(nonce)}
}
