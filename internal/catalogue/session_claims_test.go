package catalogue

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/clerkauth/clerkauth"
	"github.com/clerkauth/clerkauth/clerkauthtest"
	"github.com/clerkauth/clerkauth/internal/testkit"
)

// These rows test the form of a payload and the rights that a session grants.
var _ = addRows(rows{
	"67/duplicate_claims":          claimDuplicates,
	"68/payload_not_an_object":     claimNotAnObject,
	"69/deep_or_wide_payload":      claimDeepAndWide,
	"70/pending_session":           claimStatus,
	"71/old_claims_in_new_version": claimNoOrganization,
	"72/odd_versions":              claimVersions,
	"73/odd_permission_masks":      claimMasks,
	"74/user_feature_first":        claimUserFeatureFirst,
	"75/odd_features":              claimFeatures,
	"76/empty_role":                claimNoRole,
	"77/odd_organization":          claimMalformedOrganization,
	"78/odd_factor_ages":           claimFactorAges,
	"79/impersonated_session":      claimActor,
	"80/no_session_id": func(t *testing.T) {
		r := newTokenRow(t)
		r.refuses("no sid", r.token(clerkauthtest.WithoutClaim("sid")), clerkauth.ErrTokenClaims)
		claimRefused(r, clerkauth.ErrTokenClaims, "sid", `""`, `null`, `7`, `["sess_1"]`, `{}`, `true`, `"sess_1\n"`, `"`+strings.Repeat("s", 257)+`"`)
	},
})

// claimMembers signs the claims of a valid token with members around them.
func claimMembers(r tokenRow, before, behind string) string {
	payload := string(r.payload())
	return r.srv.SignRaw(r.header(""), []byte("{"+before+payload[1:len(payload)-1]+behind+"}"))
}

// claimDuplicates: duplicates of claims that decide the kind or the issuer are found
// before a key is fetched, all others after the signature is verified.
func claimDuplicates(t *testing.T) {
	r := newTokenRow(t)
	refuses := func(members ...string) {
		for _, member := range members {
			r.refuses(member+" before", claimMembers(r, member+",", ""), clerkauth.ErrTokenInvalid)
			r.refuses(member+" behind", claimMembers(r, "", ","+member), clerkauth.ErrTokenInvalid)
		}
	}
	refuses(`"sub":"user_2"`, `"su\u0062":"user_2"`, `"\u0073\u0075\u0062":"user_2"`, `"sub":null`, `"sid":"sess_2"`, `"iss":"https://clerk.evil.com"`,
		`"\u0069ss":"`+r.srv.Issuer()+`"`, `"jti":1,"jti":"ak_1"`)
	r.fetched(0)
	refuses(`"exp":1`, `"x":1,"x":1`, `"x":{"y":1,"y":2}`, `"x":[{"y":1,"\u0079":2}]`, `"o":{"id":"org_1","id":"org_2"}`, `"o":{"id":"org_1","\u0069d":"org_2"}`)
	r.fetched(1)
	for _, member := range []string{`"SUB":"user_2"`, `"Sub":"user_2"`, `"ſub":"user_2"`, `"\u017fub":"user_2"`, `"sub ":"user_2"`,
		`"sub\u0000":"user_2"`, `"x":{"sub":"user_2"}`} {
		for _, token := range []string{claimMembers(r, member+",", ""), claimMembers(r, "", ","+member)} {
			if who := r.accepts(member, token); who.UserID != r.session.User.ID {
				t.Errorf("%s: it is %s who is signed in", member, who.UserID)
			}
		}
	}
	for _, member := range []string{`,"SUB":"user_2"`, `,"ſub":"user_2"`} {
		payload := tokenPart(r.token(clerkauthtest.WithoutClaim("sub")), 1)
		r.refuses("instead: "+member, r.srv.SignRaw(r.header(""), append(payload[:len(payload)-1], member+"}"...)), clerkauth.ErrTokenClaims)
	}
}

func claimNotAnObject(t *testing.T) {
	r := newTokenRow(t)
	good := string(r.payload())
	with := func(member string) string { return "{" + member + good[1:] }
	for _, payload := range []string{
		`[]`, `null`, `"x"`, `1`, ` `, `[` + good + `]`, good + `x`, good + `{}`, good + good, good + ",", good + "\x00", "\ufeff" + good,
		good[:len(good)-1], with("\"x\":\"\xff\","), with("\"\xff\":1,"), with("\"x\":\"\n\","), with(`"x":"\ud800",`), with(`"\udc00":1,`),
		with(`"x":"\ud800\u0041",`), with(`,`), with(`"x":1 `),
	} {
		r.refuses(payload, r.srv.SignRaw(r.header(""), []byte(payload)), clerkauth.ErrTokenInvalid)
	}
	r.fetched(0)
	r.accepts("control", r.srv.SignRaw(r.header(""), []byte(" "+good+"\r\n")))
}

func claimDeepAndWide(t *testing.T) {
	r := newTokenRow(t)
	deep := func(n int) string { return strings.Repeat("[", n) + strings.Repeat("]", n) }
	wide := func(n int) string {
		var object bytes.Buffer
		for i := range n {
			fmt.Fprintf(&object, `,"%d":0`, i)
		}
		return "{" + object.String()[1:] + "}"
	}
	for what, value := range map[string]string{
		"deep": deep(10_001), "deep in a short token": deep(5_000), "a level too deep": deep(64),
		"objects too deep": strings.Repeat(`{"x":`, 64) + "0" + strings.Repeat("}", 64),
		"long string":      `"` + strings.Repeat("x", 1<<20) + `"`, "wide": wide(50_000), "long list": "[0" + strings.Repeat(",0", 1<<20) + "]",
	} {
		r.refuses(what, r.claims("x", value), clerkauth.ErrTokenInvalid)
	}
	r.fetched(0)
	for what, value := range map[string]string{"deep": deep(63), "long string": `"` + strings.Repeat("x", 10<<10) + `"`, "wide": wide(1_000)} {
		r.accepts(what, r.claims("x", value))
	}
}

// claimStatus: a pending session is anonymous on a public route unless AllowPending
// is set.
func claimStatus(t *testing.T) {
	r := newTokenRow(t)
	pending := r.srv.SignIn(r.session.User, clerkauthtest.Pending()).Token()
	r.ignores("pending", pending, clerkauth.ErrSessionPending)
	r.ignores("pending by its claim alone", r.claims("sts", `"pending"`), clerkauth.ErrSessionPending)
	claimRefused(r, clerkauth.ErrTokenClaims, "sts", `""`, `null`, `"revoked"`, `"ended"`, `"PENDING"`, `"pending "`, `"Active"`, `7`, `["active"]`, `{}`)
	r.accepts("none", r.token(clerkauthtest.WithoutClaim("sts")))

	r = newTokenRow(t, func(c *clerkauth.Config) { c.AllowPending = true })
	if who := r.accepts("pending, where that is allowed", pending); who.SessionStatus != clerkauth.SessionPending {
		t.Errorf("status %q", who.SessionStatus)
	}
	claimRefused(r, clerkauth.ErrTokenClaims, "sts", `"revoked"`, `null`)
}

// claimVersion1 are claims of an organization under their names of version 1.
var claimVersion1 = []string{"org_id", `"org_9"`, "org_slug", `"nine"`, "org_role", `"org:admin"`, "org_permissions", `["org:a:read"]`}

// claimRights requires a token to grant exactly these rights.
func claimRights(r tokenRow, what, token, org, role string, permissions ...string) {
	r.t.Helper()
	who := r.accepts(what, token)
	if who.OrgID != org || who.OrgRole != role || !slices.Equal(who.Permissions(), permissions) {
		r.t.Errorf("%s: %q %q %q, want %q %q %q", what, who.OrgID, who.OrgRole, who.Permissions(), org, role, permissions)
	}
	if org == "" && who.OrgSlug != "" {
		r.t.Errorf("%s: slug %q of no organization", what, who.OrgSlug)
	}
	for _, tc := range []struct {
		requirement clerkauth.Access
		met         bool
	}{
		{clerkauth.Role("org:admin"), role == "org:admin"}, {clerkauth.Permission("org:a:read"), slices.Contains(permissions, "org:a:read")},
		{clerkauth.Permission("org:a:manage"), slices.Contains(permissions, "org:a:manage")},
	} {
		if w := r.static.answers(token, tc.requirement); w.Code == http.StatusOK != tc.met || !tc.met && w.Code != http.StatusForbidden || who.Has(tc.requirement) != tc.met {
			r.t.Errorf("%s: %v: %d, Has is %v", what, tc.requirement, w.Code, who.Has(tc.requirement))
		}
	}
}

func claimNoOrganization(t *testing.T) {
	r := newTokenRow(t)
	claimRights(r, "version 2", r.claims(claimVersion1...), "", "")
	claimRights(r, "version 2 and its own", r.claims(append(claimVersion1, "o", `{"id":"org_1","rol":"member"}`)...), "org_1", "org:member")
	claimRights(r, "control", r.claims(append(claimVersion1, "v", "1")...), "org_9", "org:admin", "org:a:read")
}

// claimVersions: Clerk's JavaScript reads unknown versions as version 1. In such a
// token the organization's claims may have another meaning, so they are not read.
func claimVersions(t *testing.T) {
	r := newTokenRow(t)
	both := append(claimVersion1, "o", `{"id":"org_1","rol":"member","per":"manage","fpm":"1"}`, "fea", `"o:a"`, "v")
	for _, v := range []string{`2`, `2.0`, `2e0`, `0.2e1`} {
		claimRights(r, "v "+v, r.claims(append(both, v)...), "org_1", "org:member", "org:a:manage")
	}
	for _, v := range []string{`1`, `1.0`, `null`} {
		claimRights(r, "v "+v, r.claims(append(both, v)...), "org_9", "org:admin", "org:a:read")
	}
	for _, v := range []string{`"2"`, `"1"`, `3`, `-1`, `0`, `1.5`, `2.5`, `[2]`, `{}`, `true`, `""`, `1e400`} {
		claimRights(r, "v "+v, r.claims(append(both, v)...), "", "")
	}
	none := r.session.Token(clerkauthtest.Version1(), clerkauthtest.WithClaim("org_id", "org_9"), clerkauthtest.WithClaim("org_role", "org:admin"),
		clerkauthtest.WithClaim("o", map[string]string{"id": "org_1", "rol": "member"}))
	claimRights(r, "no v", none, "org_9", "org:admin")
}

// claimUnknown requires a token to be refused, because its claims about an organization
// have a form that is not Clerk's: in a header and in a cookie.
func claimUnknown(r tokenRow, what, token string) {
	r.t.Helper()
	r.each(func(v tokenVerifier) {
		if who, err := v.auth.VerifyToken(r.t.Context(), token); who.SignedIn() || !errors.Is(err, clerkauth.ErrBackendUnavailable) {
			r.t.Errorf("%s: %s: VerifyToken: %v", v.by, what, err)
		}
		cookies := func(req *http.Request) {
			for name, value := range map[string]string{"__session": token, "__client_uat": "1", "__clerk_db_jwt": "db"} {
				req.AddCookie(&http.Cookie{Name: name, Value: value})
			}
		}
		for carrier, edit := range map[string]func(*http.Request){"header": testkit.Bearer(token), "cookie": cookies} {
			for _, required := range []clerkauth.Access{clerkauth.SignedIn, clerkauth.Role("org:admin"), clerkauth.Permission("org:a:read"), clerkauth.Feature("a")} {
				if got := testkit.Serve(v.auth.Require(required), edit); got.Status != http.StatusServiceUnavailable || got.Reason() != string(clerkauth.ErrBackendUnavailable) || got.Entered {
					r.t.Errorf("%s: %s in a %s: %v: %v", v.by, what, carrier, required, got)
				}
			}
			if got := testkit.Serve(v.auth.Handler, edit); got.Status != http.StatusOK || strings.Contains(got.Body, "user_") {
				r.t.Errorf("%s: %s in a %s, without a guard: %v", v.by, what, carrier, got)
			}
		}
	})
}

// claimMasks: white space around a mask is trimmed, as in Clerk's JavaScript. A token
// with a mask that is not a string is refused.
func claimMasks(t *testing.T) {
	r := newTokenRow(t)
	token := func(fpm string) string {
		return r.claims("o", `{"id":"org_1","rol":"admin","per":"read","fpm":`+fpm+`}`, "fea", `"o:a"`)
	}
	for _, fpm := range []string{`"1"`, `"3"`, `"1180591620717411303425"`, `"001"`, `" 3"`, `"1,1"`, `"5,garbage"`} {
		claimRights(r, "fpm "+fpm, token(fpm), "org_1", "org:admin", "org:a:read")
	}
	for _, fpm := range []string{
		`"0"`, `"2"`, `"1180591620717411303424"`, `"-1"`, `"+1"`, `"0x3"`, `"0b1"`, `"0o1"`, `"1e3"`, `"1e0"`, `"1.0"`, `"1_1"`, `"1 1"`, `""`,
		`","`, `",1"`, `"١"`, `"１"`, `null`,
		`"` + strings.Repeat("4", 9_000) + `"`,
	} {
		claimRights(r, "fpm "+fpm[:min(len(fpm), 30)], token(fpm), "org_1", "org:admin")
	}
	for _, fpm := range []string{`1`, `3`, `["1"]`, `{}`, `true`} {
		claimUnknown(r, "fpm "+fpm, token(fpm))
	}
}

func claimUserFeatureFirst(t *testing.T) {
	r := newTokenRow(t)
	token := func(fea, fpm string) string {
		return r.claims("o", `{"id":"org_1","rol":"admin","per":"read,manage","fpm":"`+fpm+`"}`, "fea", `"`+fea+`"`)
	}
	claimRights(r, "user's first", token("u:x,o:a", "3"), "org_1", "org:admin", "org:a:read", "org:a:manage")
	claimRights(r, "user's between", token("o:b,u:x,o:a", "0,2"), "org_1", "org:admin", "org:a:manage")
	claimRights(r, "of both", token("u:x,uo:b,o:a", "0,1"), "org_1", "org:admin", "org:a:read")
	claimRights(r, "user's alone", token("u:a", "3"), "org_1", "org:admin")
}

// claimFeatures: Clerk's JavaScript throws at a feature without a colon beside an
// organization, and here the token is refused. The feature is everything behind the first
// colon.
func claimFeatures(t *testing.T) {
	r := newTokenRow(t)
	token := func(fea string) string {
		return r.claims("o", `{"id":"org_1","rol":"admin","per":"read","fpm":"1"}`, "fea", fea)
	}
	for fea, permissions := range map[string][]string{
		`"o:a"`: {"org:a:read"}, `"uo:a"`: {"org:a:read"}, `"ou:a"`: {"org:a:read"}, `" o:a "`: {"org:a:read"}, `"foo:b,o:a"`: {"org:a:read"},
		`"o:a:b"`: {"org:a:b:read"}, `"o:"`: {"org::read"}, `"` + strings.Repeat("o:a,", 2_000) + `o:b"`: {"org:a:read"},
		`"foo:a"`: nil, `":a"`: nil, `"u:a"`: nil, `"O:a"`: nil, `"oo:a"`: nil, `"o :a"`: nil, `"uou:a"`: nil, `"org:a"`: nil, `""`: nil, `null`: nil,
	} {
		claimRights(r, "fea "+fea[:min(len(fea), 20)], token(fea), "org_1", "org:admin", permissions...)
	}
	for _, fea := range []string{`"a"`, `"u:a,b"`, `"o:a,b"`, `"b,o:a"`, `"o:a,"`, `"o：a"`, `","`, `" "`, `7`, `["o:a"]`, `{}`, `true`} {
		claimUnknown(r, "fea "+fea, token(fea))
	}
	for fea, met := range map[string]bool{`"u:a"`: true, `"o:a"`: true, `"foo:a"`: false, `"O:a"`: false, `":a"`: false, `"o:a:b"`: false} {
		if w := r.static.answers(token(fea), clerkauth.Feature("a")); w.Code == http.StatusOK != met || !met && w.Code != http.StatusForbidden {
			t.Errorf("fea %s: feature a: %d", fea, w.Code)
		}
	}
	for _, fea := range []string{`"a"`, `"u:a,b"`, `["u:a"]`} { // without an organization
		if w := r.static.answers(r.claims("fea", fea), clerkauth.Feature("a")); w.Code != http.StatusForbidden && fea != `"u:a,b"` {
			t.Errorf("fea %s: feature a: %d", fea, w.Code)
		}
	}
	before := r.srv.Requests(clerkauthtest.JWKS)
	r.refuses("too many", token(`"`+strings.Repeat("o:a,", 10_000)+`o:b"`), clerkauth.ErrTokenInvalid)
	if r.srv.Requests(clerkauthtest.JWKS) != before {
		t.Error("keys were fetched for a token that is too long")
	}
}

func claimNoRole(t *testing.T) {
	r := newTokenRow(t)
	for _, org := range []string{`{"id":"org_1","rol":""}`, `{"id":"org_1"}`, `{"id":"org_1","rol":null}`, `{"id":"org_1","rol":7}`,
		`{"id":"org_1","rol":["admin"]}`, `{"id":"org_1","ROL":"admin"}`, `{"id":"org_1","role":"admin"}`} {
		token := r.claims("o", org)
		claimRights(r, "o "+org, token, "org_1", "")
		for _, role := range []string{"admin", "org:", "", "member"} {
			if who := r.static.accepts("control", token); who.Has(clerkauth.Role(role)) {
				t.Errorf("%s: it has role %q", org, role)
			}
		}
	}
	for _, role := range []string{"", "org:", "org:org:", " "} {
		func() {
			defer func() {
				if recover() == nil {
					t.Errorf("role %q can be required", role)
				}
			}()
			r.static.auth.Require(clerkauth.Role(role))
		}()
	}
	claimRights(r, "control", r.claims("o", `{"id":"org_1","rol":"admin"}`), "org_1", "org:admin")
}

func claimMalformedOrganization(t *testing.T) {
	r := newTokenRow(t)
	for _, org := range []string{
		`[]`, `"org_1"`, `null`, `7`, `true`, `{}`, `{"id":7,"rol":"admin"}`, `{"id":null,"rol":"admin"}`, `{"id":"","rol":"admin"}`,
		`{"rol":"admin"}`, `{"ID":"org_1","rol":"admin"}`, `{"id":["org_1"],"rol":"admin"}`,
		`[{"id":"org_1","rol":"admin"}]`, `{"id":"org_1\n","rol":"admin"}`, `{"id":7,"slg":"acme","rol":"admin","per":"read","fpm":"1"}`,
	} {
		claimRights(r, "o "+org, r.claims("o", org, "fea", `"o:a"`), "", "")
	}
	claimRights(r, "control", r.claims("o", `{"id":"org_1","rol":"admin","per":"read","fpm":"1"}`, "fea", `"o:a"`), "org_1", "org:admin", "org:a:read")
}

func claimFactorAges(t *testing.T) {
	at := claimNow()
	r := newTokenRow(t, tokenClock(at))
	now := strconv.FormatInt(at.Unix(), 10)
	token := func(fva string) string { return r.claims("iat", now, "fva", fva) }
	check := func(what, token string, level clerkauth.ReverificationLevel, met bool) {
		t.Helper()
		requirement := clerkauth.Reverified(level, 10*time.Minute)
		if who := r.accepts(what, token); who.Has(requirement) != met {
			t.Errorf("%s: %s: Has is %v", what, level, !met)
		}
		w := r.static.answers(token, requirement)
		var body struct {
			Error struct{ Type, Reason string } `json:"clerk_error"`
		}
		switch _ = json.Unmarshal(w.Body.Bytes(), &body); {
		case met && w.Code != http.StatusOK:
			t.Errorf("%s: %s: %d", what, level, w.Code)
		case !met && (w.Code != http.StatusForbidden || body.Error.Reason != "reverification-error" || body.Error.Type != "forbidden"):
			t.Errorf("%s: %s: %d %s", what, level, w.Code, w.Body)
		}
	}
	levels := []clerkauth.ReverificationLevel{clerkauth.FirstFactor, clerkauth.SecondFactor, clerkauth.MultiFactor}
	for fva, met := range map[string][3]bool{
		`null`: {}, `[]`: {}, `[1]`: {}, `[1,2,3]`: {}, `["1","2"]`: {}, `[-1,-1]`: {}, `[-2,0]`: {}, `[0,-2]`: {}, `[1e400,0]`: {},
		`[0,1e400]`: {}, `[0,null]`: {}, `[-0.5,0]`: {}, `[0,-1.5]`: {}, `7`: {}, `"0,0"`: {}, `{"0":0,"1":0}`: {}, `[[0],[0]]`: {},
		// Fractions are ages as well.
		`[0.5,0]`: {true, true, true}, `[9.9,9.9]`: {true, true, true}, `[10,10]`: {}, `[10,0]`: {false, true, false},
		`[0,10]`: {true, false, false}, `[1e308,1e308]`: {},
		`[0,-1]`: {true, true, true}, `[9,-1]`: {true, true, true}, `[10,-1]`: {}, `[-1,0]`: {false, true, false},
	} {
		for i, level := range levels {
			check("fva "+fva, token(fva), level, met[i])
		}
	}
	check("no fva", r.token(clerkauthtest.WithoutClaim("fva")), clerkauth.FirstFactor, false)

	// The ages count from when the token was minted or, if oiat is earlier, from when
	// the first token of its lineage was.
	ago := func(d time.Duration) string { return strconv.FormatInt(at.Add(-d).Unix(), 10) }
	aged := func(member, iat string) string {
		return r.srv.SignRaw(r.header(member), tokenPart(r.claims("iat", iat, "fva", `[5,-1]`), 1))
	}
	early, late := ago(299*time.Second), ago(300*time.Second)
	check("in time", aged("", early), clerkauth.FirstFactor, true)
	check("too late", aged("", late), clerkauth.FirstFactor, false)
	check("in time for its line", aged(`,"oiat":`+early, ago(0)), clerkauth.FirstFactor, true)
	check("too late for its line", aged(`,"oiat":`+late, ago(0)), clerkauth.FirstFactor, false)
	for _, oiat := range []string{early, ago(0), ago(-time.Hour), `1e300`, `1e400`, `0`, `-1`, `null`, `"` + early + `"`} {
		check("too late, oiat "+oiat, aged(`,"oiat":`+oiat, late), clerkauth.FirstFactor, false)
	}
	check("no iat", r.token(clerkauthtest.WithoutClaim("iat")), clerkauth.FirstFactor, false)
}

// claimActor: NotImpersonated rejects an act claim of any form.
func claimActor(t *testing.T) {
	r := newTokenRow(t)
	check := func(what, token, actor string, acted bool) {
		t.Helper()
		who := r.accepts(what, token)
		if who.Actor.ID != actor || who.UserID != r.session.User.ID {
			t.Errorf("%s: actor %q, user %q", what, who.Actor.ID, who.UserID)
		}
		want := http.StatusOK
		if acted {
			want = http.StatusForbidden
		}
		if w := r.static.answers(token, clerkauth.NotImpersonated); who.Has(clerkauth.NotImpersonated) == acted || w.Code != want {
			t.Errorf("%s: not impersonated: %d", what, w.Code)
		}
	}
	for act, actor := range map[string]string{
		`{"sub":"user_2"}`: "user_2", `{"sub":"user_2","x":1}`: "user_2", `{"x":{"sub":"user_2"},"sub":"user_3"}`: "user_3",
		`{}`: "", `{"sub":""}`: "", `{"sub":7}`: "", `{"SUB":"user_2"}`: "", `"user_2"`: "", `["user_2"]`: "", `null`: "", `true`: "",
	} {
		check("act "+act, r.claims("act", act), actor, true)
	}
	check("of the instance", r.srv.SignIn(r.session.User, clerkauthtest.ImpersonatedBy("user_2")).Token(), "user_2", true)
	check("control", r.token(), "", false)
}
