package catalogue

import (
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"net/http/httptest"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/clerk/clerk-sdk-go/v2"

	"github.com/clerkauth/clerkauth"
	"github.com/clerkauth/clerkauth/clerkauthtest"
	"github.com/clerkauth/clerkauth/internal/testkit"
)

// These rows test which claims are read, in which version, and the cost of reading
// them.
var _ = addRows(rows{
	"251/claims_of_versions":            claimsOfVersions,
	"255/forged_tokens_cost_little":     forgedTokensCostLittle,
	"264/confirmation_in_a_jwt":         boundJWTs,
	"270/roles_have_one_spelling":       rolesHaveOneSpelling,
	"271/custom_claims_that_are_unlike": customClaims,
})

// granting returns claims that grant rights to a user and in an organization, under
// the names of both versions.
func granting(r tokenRow, more ...string) []string {
	now := strconv.FormatInt(r.srv.Now().Unix(), 10)
	return append([]string{
		"org_id", `"org_9"`, "org_slug", `"nine"`, "org_role", `"org:admin"`, "org_permissions", `["org:reports:read"]`,
		"fea", `"o:reports,u:beta,uo:shared"`, "pla", `"o:pro,u:free"`, "fva", `[0,0]`, "iat", now,
	}, more...)
}

// holds requires a token to be accepted, and to meet exactly the given ones of the
// requirements, in Has and at guards.
func (r tokenRow) holds(what, token string, requirements []clerkauth.Access, met ...clerkauth.Access) clerkauth.Auth {
	r.t.Helper()
	who := r.accepts(what, token)
	wanted := map[string]bool{}
	for _, requirement := range met {
		wanted[requirement.String()] = true
	}
	for _, requirement := range requirements {
		want := wanted[requirement.String()]
		if w := r.static.answers(token, requirement); who.Has(requirement) != want || (w.Code == http.StatusOK) != want || !want && w.Code != http.StatusForbidden {
			r.t.Errorf("%s: %s: Has is %v, status %d, want %v", what, requirement, who.Has(requirement), w.Code, want)
		}
	}
	return who
}

func claimsOfVersions(t *testing.T) {
	r := newTokenRow(t)
	role, permission, age := clerkauth.Role("admin"), clerkauth.Permission("org:reports:read"), clerkauth.Reverified(clerkauth.FirstFactor, time.Hour)
	reports, beta, shared, orgShared := clerkauth.Feature("reports"), clerkauth.Feature("beta"), clerkauth.Feature("shared"), clerkauth.Feature("org:shared")
	pro, free := clerkauth.Plan("pro"), clerkauth.Plan("free")
	all := []clerkauth.Access{role, permission, age, reports, beta, shared, orgShared, pro, free}
	org := `{"id":"org_1","slg":"one","rol":"admin","per":"read","fpm":"1"}`
	const none = "an organization"

	// A token of an unknown version grants nothing.
	for _, v := range []string{`3`, `"2"`, `"1"`, `0`, `-1`, `1.5`, `2.5`, `true`, `[2]`, `{}`, `""`, `1e400`} {
		who := r.holds("v "+v, r.claims(granting(r, "o", org, "v", v)...), all)
		if who.OrgID != "" || who.OrgSlug != "" || who.OrgRole != "" || len(who.Permissions()) != 0 {
			t.Errorf("v %s: %+v", v, who)
		}
		// Claims that restrict are read.
		with := func(namesAndValues ...string) string {
			return r.claims(granting(r, append(namesAndValues, "v", v)...)...)
		}
		r.refuses("v "+v+", azp", with("azp", `"https://other.example"`), clerkauth.ErrTokenParty)
		r.refuses("v "+v+", cnf", with("cnf", `{"jkt":"x"}`), clerkauth.ErrTokenClaims)
		r.refuses("v "+v+", unknown sts", with("sts", `"ended"`), clerkauth.ErrTokenClaims)
		r.ignores("v "+v+", sts", with("sts", `"pending"`), clerkauth.ErrSessionPending)
		payload := tokenPart(with(), 1)
		r.refuses("v "+v+", cat", r.srv.SignRaw(r.keyID(`{"alg":"RS256","kid":"$kid","cat":"cl_unknown"}`), payload), clerkauth.ErrTokenType)
		r.refuses("v "+v+", typ", r.srv.SignRaw(r.keyID(`{"alg":"RS256","kid":"$kid","typ":"JOSE"}`), payload), clerkauth.ErrTokenInvalid)
		if who := r.holds("v "+v+", act", with("act", `{"sub":"user_2"}`), []clerkauth.Access{clerkauth.NotImpersonated}); who.Actor.ID != "user_2" {
			t.Errorf("v %s: actor %q", v, who.Actor.ID)
		}
	}

	// In version 2 no claim of an organization counts without its id.
	for _, o := range []string{
		none, `"org_1"`, `null`, `[]`, `7`, `true`, `""`, `{}`, `{"id":7}`, `{"id":null}`, `{"id":""}`, `{"id":["org_1"]}`, `{"ID":"org_1"}`,
		`{"id":"org 1"}`, `{"id":"org_1\n"}`, `{"id":{"id":"org_1"}}`, `{"rol":"admin"}`, `{"id":7,"rol":"admin","slg":"one","per":"read","fpm":"1"}`,
		`[{"id":"org_1"}]`,
	} {
		claims := granting(r, "v", `2`)
		if o != none {
			claims = append(claims, "o", o)
		}
		who := r.holds("o "+o, r.claims(claims...), all, age, beta, shared, free)
		if who.OrgID != "" || who.OrgSlug != "" || who.OrgRole != "" || len(who.Permissions()) != 0 {
			t.Errorf("o %s: %+v", o, who)
		}
	}
	r.holds("control", r.claims(granting(r, "o", org, "v", `2`)...), all, all...)

	// Version 1 has its organization in these claims.
	v1 := r.claims(granting(r, "v", `1`)...)
	r.holds("version 1", v1, all, all...)
	r.holds("version null", r.claims(granting(r, "v", `null`)...), all, all...)
	r.holds("version 1, no organization", r.claims(granting(r, "v", `1`)[2:]...), all, age, reports, beta, shared, orgShared, pro, free)

	// Ages count from oiat, also without iat.
	ago := func(d time.Duration) string { return strconv.FormatInt(r.srv.Now().Add(-d).Unix(), 10) }
	without := func(oiat string) string {
		token := r.token(clerkauthtest.WithoutClaim("iat"), clerkauthtest.WithClaim("fva", []int{50, -1}))
		return r.srv.SignRaw(r.header(oiat), tokenPart(token, 1))
	}
	r.holds("oiat in time", without(`,"oiat":`+ago(9*time.Minute)), []clerkauth.Access{age}, age)
	r.holds("oiat too late", without(`,"oiat":`+ago(11*time.Minute)), []clerkauth.Access{age})
	r.holds("neither", without(``), []clerkauth.Access{age})
}

// forgedTokensCostLittle: a token signed without a key of the instance makes the
// server allocate a bounded amount, whatever it contains.
func forgedTokensCostLittle(t *testing.T) {
	const most = 8 << 10
	r := newTokenRow(t)
	members := func(n int, name, value string) string {
		var list strings.Builder
		for i := range n {
			fmt.Fprintf(&list, `,"`+name+`":`+value, i)
		}
		return list.String()
	}
	nested := func(n int) string { return strings.Repeat("[", n) + strings.Repeat("]", n) }
	header := func(more string) string { return string(r.header(more)) }
	payload := func(more string) string {
		p := string(r.payload())
		return p[:len(p)-1] + more + "}"
	}
	instead := func(claim, value string) string {
		return string(tokenPart(r.claims(claim, value), 1))
	}
	forge := func(header, payload string) string {
		text := tokenBase64([]byte(header)) + "." + tokenBase64([]byte(payload))
		return text + "." + tokenBase64(make([]byte, r.srv.Key().Size()))
	}
	long := strings.Repeat("x", 11_000)
	escaped := strings.Repeat(`\u0061`, 1_800)
	ours := header("")
	forged := map[string]string{
		"plain":                        forge(ours, payload("")),
		"unknown kid":                  forge(strings.ReplaceAll(ours, r.srv.KeyID(), "ins_unknown"), payload("")),
		"unknown kid, long":            forge(strings.ReplaceAll(ours, r.srv.KeyID(), "ins_unknown"), payload(`,"x":"`+long+`"`)),
		"long text":                    forge(ours, payload(`,"x":"`+long+`"`)),
		"escaped text":                 forge(ours, payload(`,"x":"`+escaped+`"`)),
		"escaped name":                 forge(ours, payload(`,"`+escaped+`":0`)),
		"escaped iss":                  forge(ours, instead("iss", `"`+escaped+`"`)),
		"escaped sub":                  forge(ours, instead("sub", `"mch_`+escaped+`"`)),
		"escaped jti":                  forge(ours, instead("jti", `"ak_`+escaped+`"`)),
		"thousand claims":              forge(ours, payload(members(1_000, "%d", "0"))),
		"thousand escaped names":       forge(ours, payload(members(800, `\u0061%d`, "0"))),
		"wide within":                  forge(ours, payload(`,"x":{"y":0`+members(1_000, "%d", "0")+`}`)),
		"many objects":                 forge(ours, payload(`,"x":[{}`+strings.Repeat(`,{"y":{}}`, 1_000)+`]`)),
		"deep":                         forge(ours, payload(`,"x":`+nested(63))),
		"too deep":                     forge(ours, payload(`,"x":`+nested(5_000))),
		"thousand header members, row": forge(header(members(1_400, "%d", "0")), payload("")),
		"members of a header":          forge(header(members(28, "%d", `"x"`)), payload("")),
		"long header":                  forge(header(`,"x":"`+strings.Repeat("x", 3_900)+`"`), payload(`,"x":"`+long[:7_000]+`"`)),
		"escaped header names":         forge(header(members(28, strings.Repeat(`\u0061`, 20)+"%d", "0")), payload("")),
		"escaped header name":          forge(header(`,"`+strings.Repeat(`\u0061`, 600)+`":0`), payload("")),
		"escaped kid":                  forge(`{"alg":"RS256","kid":"`+strings.Repeat(`\u0061`, 600)+`"}`, payload("")),
		"long number":                  forge(header(`,"oiat":1`+strings.Repeat("0", 3_800)), payload("")),
		"long header, nested":          forge(header(`,"x":{"y":[`+strings.Repeat(`"x",`, 900)+`0]}`), payload("")),
		"long signature":               tokenBase64([]byte(ours)) + "." + tokenBase64([]byte(payload(""))) + "." + tokenBase64([]byte(long)),
		"another algorithm":            forge(strings.Replace(ours, "RS256", "HS256", 1), payload(`,"x":"`+long+`"`)),
		"another issuer":               forge(ours, strings.Replace(payload(`,"x":"`+long+`"`), r.srv.Issuer(), "https://other.example", 1)),
		"not JSON":                     forge(ours, `{"x":"`+long+`"`),
		"not base64":                   tokenBase64([]byte(ours)) + "." + strings.Repeat("A", 12_000) + "=.AAAA",
		"parts":                        strings.Repeat("a.", 8_000),
		"one part":                     strings.Repeat("a", 16<<10),
		"a megabyte":                   strings.Repeat("a", 1<<20),
		"a megabyte of dots":           strings.Repeat(".", 1<<20),
	}
	for what, token := range forged {
		if len(token) > 16<<10 && !strings.Contains(what, "megabyte") && what != "thousand header members, row" {
			t.Errorf("%s: %d bytes are too many to be looked at", what, len(token))
		}
		req := tokenRequest(token)
		for _, v := range []tokenVerifier{r.warm, r.static} {
			if who, err := v.auth.VerifyToken(t.Context(), token); err == nil {
				t.Errorf("%s: %s: %v is let in", v.by, what, who)
			}
			for way, do := range map[string]func(){
				"VerifyToken":  func() { _, _ = v.auth.VerifyToken(t.Context(), token) },
				"Authenticate": func() { v.auth.Authenticate(req) },
			} {
				if n := tokenAllocated(do); n > most {
					t.Errorf("%s: %s: %s allocates %d bytes", v.by, what, way, n)
				}
			}
		}
	}
	r.accepts("as much, signed", r.srv.SignRaw(r.header(members(27, "%d", "0")), []byte(payload(members(1_000, "%d", "0")))))
}

// boundJWTs: proof of possession of a key is not supported, so a token that is bound
// to a key is rejected, whatever the binding.
func boundJWTs(t *testing.T) {
	r := newTokenRow(t)
	cnf := []string{`{"jkt":"0ZcOCORZNYy-DWpqq30jZyJGHTN0d2HglBV3uiguA4I"}`, `{"x5t#S256":"x"}`, `{}`, `null`, `""`, `"x"`, `[]`, `7`, `false`}
	for _, value := range cnf {
		r.refuses("cnf "+value, r.claims("cnf", value), clerkauth.ErrTokenClaims)
	}
	r.refuses("escaped name", claimMembers(r, `"c\u006ef":null,`, ""), clerkauth.ErrTokenClaims)
	r.accepts("another name", r.claims("CNF", `{}`))
	r.accepts("within another claim", r.claims("x", `{"cnf":{}}`))

	kinds := []clerkauth.TokenType{clerkauth.M2MToken, clerkauth.OAuthToken, clerkauth.APIKey}
	auth := testkit.NewAuth(t, r.srv, func(c *clerkauth.Config) { c.Accept = kinds })
	jwt := func(kind clerkauth.TokenType, more string) string {
		header, sub, jti := `{"alg":"RS256","kid":"$kid"}`, "mch_1", "mt_1"
		switch kind {
		case clerkauth.OAuthToken:
			header, sub, jti = `{"alg":"RS256","kid":"$kid","typ":"at+jwt"}`, "user_1", "oat_1"
		case clerkauth.APIKey:
			sub, jti = "user_1", "ak_1"
		}
		payload := fmt.Sprintf(`{"iss":%q,"sub":%q,"jti":%q,"exp":%s%s}`, r.srv.Issuer(), sub, jti, claimSeconds(time.Hour), more)
		return r.srv.SignRaw(r.keyID(header), []byte(payload))
	}
	answers := func(token string, kind clerkauth.TokenType) *httptest.ResponseRecorder {
		return tokenVerifier{auth: auth}.answers(token, clerkauth.Token(kind))
	}
	for _, kind := range kinds {
		if w := answers(jwt(kind, ""), kind); w.Code != http.StatusOK {
			t.Errorf("control: %s: %d %s", kind, w.Code, w.Body)
		}
		for _, value := range cnf {
			if w := answers(jwt(kind, `,"cnf":`+value), kind); w.Code != http.StatusUnauthorized || !strings.Contains(w.Body.String(), string(clerkauth.ErrTokenClaims)) {
				t.Errorf("%s with cnf %s: %d %s", kind, value, w.Code, w.Body)
			}
		}
	}
}

func rolesHaveOneSpelling(t *testing.T) {
	r := newTokenRow(t)
	for role, want := range map[string]string{
		`"admin"`: "org:admin", `"org:admin"`: "org:admin", `"org:org:admin"`: "org:admin", `"member"`: "org:member", `"boss"`: "org:boss",
		`"\u006frg:boss"`: "org:boss", `"Org:x"`: "org:Org:x", `"org:"`: "", `"org:org:"`: "", `""`: "", `null`: "", `7`: "", `["admin"]`: "",
	} {
		for _, v := range []string{"", `1`} {
			claims := []string{"org_id", `"org_1"`, "org_role", role, "v", v}
			token := r.srv.SignRaw(r.header(""), tokenPart(r.session.Token(clerkauthtest.ExpiresIn(time.Hour), clerkauthtest.Version1(),
				clerkauthtest.WithClaim("org_id", "org_1"), clerkauthtest.WithClaim("org_role", json.RawMessage(role))), 1))
			if v != "" {
				token = r.claims(claims...)
			}
			who := r.accepts("org_role "+role, token)
			if who.OrgRole != want {
				t.Errorf("org_role %s: %q, want %q", role, who.OrgRole, want)
			}
			for role, met := range map[string]bool{"admin": want == "org:admin", "org:admin": want == "org:admin", "boss": want == "org:boss"} {
				if who.Has(clerkauth.Role(role)) != met {
					t.Errorf("org_role of version %q: Has(%s) is %v", v, role, !met)
				}
			}
			r.static.auth.Handler(http.HandlerFunc(func(_ http.ResponseWriter, req *http.Request) {
				claims, _ := clerk.SessionClaimsFromContext(req.Context())
				if claims == nil || claims.ActiveOrganizationRole != want || claims.HasRole("org:admin") != (want == "org:admin") {
					t.Errorf("org_role %s: clerk-sdk-go sees %+v", role, claims)
				}
			})).ServeHTTP(httptest.NewRecorder(), tokenRequest(token))
		}
	}
	if who := r.accepts("version 2", r.claims("o", `{"id":"org_1","rol":"admin"}`)); who.OrgRole != "org:admin" {
		t.Errorf("version 2: %q", who.OrgRole)
	}
}

// customClaims: see also the tests of ClaimsAs.
func customClaims(t *testing.T) {
	r := newTokenRow(t)
	who := r.static.accepts("names alike", r.claims("tier", `"gold"`, "TIER", `"iron"`, "Email", `{"a":1,"A":2}`))
	if claims, err := clerkauth.ClaimsAs[map[string]any](who); err != nil || claims["tier"] != "gold" || claims["TIER"] != "iron" {
		t.Errorf("a map: %v, %v", claims, err)
	}
	if claims, err := clerkauth.ClaimsAs[json.RawMessage](who); err != nil || !strings.Contains(string(claims), `"TIER":"iron"`) {
		t.Errorf("raw: %s, %v", claims, err)
	}
	if claims, err := clerkauth.ClaimsAs[struct{ Sub string }](who); err != nil || claims.Sub != who.UserID {
		t.Errorf("another claim: %v, %v", claims, err)
	}
	if claims, err := clerkauth.ClaimsAs[struct{ Email json.RawMessage }](who); err != nil || len(claims.Email) == 0 {
		t.Errorf("what holds them: %v, %v", claims, err)
	}
	if claims, err := clerkauth.ClaimsAs[struct{ Tier string }](who); !errors.Is(err, clerkauth.ErrTokenClaims) || claims.Tier != "" {
		t.Errorf("what they would both fill: %v, %v", claims, err)
	}
	if claims, err := clerkauth.ClaimsAs[struct{ Email struct{ A int } }](who); !errors.Is(err, clerkauth.ErrTokenClaims) {
		t.Errorf("what they would both fill, within: %v, %v", claims, err)
	}
}
