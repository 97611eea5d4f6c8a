package catalogue

import (
	"fmt"
	"net/http"
	"strings"
	"testing"

	"github.com/clerkauth/clerkauth"
	"github.com/clerkauth/clerkauth/clerkauthtest"
	"github.com/clerkauth/clerkauth/internal/testkit"
)

// These rows test the key and the kind of token that a header names, and the
// header's form.
var _ = addRows(rows{
	"16/no_key_id":                   headerNoKeyID,
	"17/long_key_id":                 headerLongKeyID,
	"18/hostile_key_id":              headerHostileKeyID,
	"19/key_id_lookalikes":           headerAlikeKeyID,
	"20/no_typ":                      headerNoType,
	"21/odd_typ":                     headerTypes,
	"22/access_token_as_session":     headerAccessTokens,
	"23/opaque_token_as_session":     headerMachineTokens,
	"24/machine_category_as_session": headerMachineCategory,
	"25/template_token_as_session":   headerTemplates,
	"26/unknown_category":            headerCategories,
	"27/machine_token_as_session":    headerMachineJWT,
	"28/header_not_an_object":        headerNotAnObject,
	"29/deep_or_wide_header":         headerDeepAndWide,
})

// headerNoKeyID: JWTKey is the only key, so no key id is required.
func headerNoKeyID(t *testing.T) {
	r := newTokenRow(t)
	for _, member := range []string{``, `,"kid":""`, `,"kid":null`, `,"kid":7`, `,"kid":["a"]`, `,"kid":["$kid"]`} {
		token := r.under(`{"alg":"RS256"` + member + `}`)
		r.cold.refuses("kid"+member, token, clerkauth.ErrUnknownKey)
		r.warm.refuses("kid"+member, token, clerkauth.ErrUnknownKey)
		r.static.accepts("kid"+member, token)
	}
	r.fetched(0)
	r.accepts("control", r.under(`{"alg":"RS256","kid":"$kid"}`))
}

func headerLongKeyID(t *testing.T) {
	r := newTokenRow(t)
	for _, n := range []int{257, 3 << 10, 4 << 10, 1 << 20} {
		why := clerkauth.ErrUnknownKey
		token := r.token(clerkauthtest.WithKeyID(strings.Repeat("k", n)))
		if n >= 4<<10 { // the header is too long
			why = clerkauth.ErrTokenInvalid
			r.static.refuses("kid", token, why)
		} else {
			r.static.accepts("kid", token)
		}
		r.cold.refuses("kid", token, why)
		r.warm.refuses("kid", token, why)
	}
	r.fetched(0)
	r.cold.refuses("a kid that may be one", r.token(clerkauthtest.WithKeyID(strings.Repeat("k", 256))), clerkauth.ErrUnknownKey)
	r.fetched(unknownBurst - 1) // the last one is reserved for other ids
	r.accepts("control", r.token())
}

// headerHostileKeyID: such a key id is looked up like any other, which causes one
// burst of fetches at most.
func headerHostileKeyID(t *testing.T) {
	headerUnknownKeyIDs(t, "../../../dev/null", "/proc/self/environ", "' OR 1=1--", "|id", "\r\nX: y", "%00", "\x00", "__proto__", "constructor")
}

func headerAlikeKeyID(t *testing.T) {
	kid := tokenServer().KeyID()
	headerUnknownKeyIDs(t, strings.ToUpper(kid), strings.ToLower(kid), kid+" ", " "+kid, kid+"\u200b", kid+"\x00", kid[:len(kid)-1])
}

func headerUnknownKeyIDs(t *testing.T, kids ...string) {
	r := newTokenRow(t)
	for _, kid := range kids {
		token := r.token(clerkauthtest.WithKeyID(kid))
		r.cold.refuses("kid "+kid, token, clerkauth.ErrUnknownKey)
		r.warm.refuses("kid "+kid, token, clerkauth.ErrUnknownKey)
		r.static.accepts("kid "+kid, token)
		_, err := r.cold.auth.VerifyToken(t.Context(), token)
		for _, text := range []string{err.Error(), r.cold.log.String(), r.warm.log.String()} {
			if strings.Contains(text, kid) {
				t.Errorf("%q is quoted: %q", kid, text)
			}
		}
	}
	r.fetched(unknownBurst)
	r.accepts("control", r.token())
}

func headerNoType(t *testing.T) {
	r := newTokenRow(t)
	r.accepts("no typ", r.token(clerkauthtest.WithoutHeader("typ")))
	r.accepts("control", r.token())
}

func headerTypes(t *testing.T) {
	r := newTokenRow(t)
	header := func(typ string) string { return `{"alg":"RS256","kid":"$kid","typ":` + typ + `}` }
	for _, typ := range []string{
		`"jwt"`, `"application/jwt"`, `"JOSE"`, `"JWT+JSON"`, `""`, `null`, `["JWT"]`, `"JWT\u0000"`, `"JWT "`, `"AT+JWT"`, `7`, `{}`,
	} {
		r.refuses("typ "+typ, r.under(header(typ)), clerkauth.ErrTokenInvalid)
	}
	r.fetched(0)
	r.accepts("control", r.under(header(`"JWT"`)))
}

// headerAccessTokens: a machine's credential is anonymous where no route accepts its
// kind; see also the rows that follow.
func headerAccessTokens(t *testing.T) {
	r := newTokenRow(t)
	for _, typ := range []string{"at+jwt", "application/at+jwt"} {
		r.ignores(typ, r.token(clerkauthtest.WithHeader("typ", typ)), clerkauth.ErrTokenType)
	}
	r.fetched(0)
	r.accepts("control", r.token())
}

// headerMachineTokens: a token with the prefix of an opaque machine credential is
// one, even if a valid session token follows the prefix.
func headerMachineTokens(t *testing.T) {
	r := newTokenRow(t)
	for _, prefix := range []string{"ak_", "mt_", "oat_"} {
		for _, rest := range []string{"", "a", "2zXn6k1QvM0pLr8TdYwB4cJhUfE", r.token(), strings.Repeat("x", 1<<20)} {
			r.ignores(prefix+rest[:min(len(rest), 8)], prefix+rest, clerkauth.ErrTokenType)
		}
	}
	for _, prefix := range []string{"AK_", "ak-", "xak_"} {
		r.refuses(prefix, prefix+r.token(), clerkauth.ErrTokenInvalid)
	}
	r.fetched(0)
	r.accepts("control", r.token())
}

func headerMachineCategory(t *testing.T) {
	r := newTokenRow(t)
	r.ignores("category of a machine", r.token(clerkauthtest.WithHeader("cat", "cl_B7d4PD333AAA")), clerkauth.ErrTokenType)
	r.fetched(0)
	r.accepts("control", r.token(clerkauthtest.WithHeader("cat", "cl_B7d4PD111AAA")))
}

// headerTemplates: the author of a template chooses its claims, so none of them make
// it a session.
func headerTemplates(t *testing.T) {
	r := newTokenRow(t)
	claims := map[string]any{"sid": r.session.ID, "org_id": "org_12345678", "org_role": "org:admin", "fva": []int{0, 0},
		"handshake": []string{"__session=12345678"}}
	r.refuses("template", r.session.TemplateToken("mine", claims), clerkauth.ErrTokenType)
	r.refuses("category of a template", r.token(clerkauthtest.WithHeader("cat", "cl_B7d4PD222AAA")), clerkauth.ErrTokenType)
	r.fetched(0)
	r.accepts("control", r.token())
}

func headerCategories(t *testing.T) {
	r := newTokenRow(t)
	header := func(cat string) string { return `{"alg":"RS256","kid":"$kid","typ":"JWT"` + cat + `}` }
	for _, cat := range []string{`""`, `7`, `null`, `"cl_unknown"`, `["cl_B7d4PD111AAA"]`, `"cl_b7d4pd111aaa"`, `"cl_B7d4PD111AAA "`} {
		r.refuses("cat "+cat, r.under(header(`,"cat":`+cat)), clerkauth.ErrTokenType)
	}
	r.fetched(0)
	r.accepts("no cat", r.under(header(``)))
	r.accepts("cat that tells nothing", r.under(header(`,"cat":"cl_I7d4PD111III"`)))
	r.accepts("control", r.under(header(`,"cat":"cl_B7d4PD111AAA"`)))
}

// headerMachineJWT: a machine's token is no session's, in a cookie neither.
func headerMachineJWT(t *testing.T) {
	r := newTokenRow(t)
	machine := r.token(clerkauthtest.WithClaim("sub", "mch_12345678"), clerkauthtest.WithoutHeader("cat"))
	r.ignores("subject is a machine", machine, clerkauth.ErrTokenType)
	cookie := func(token string) func(*http.Request) {
		return func(req *http.Request) {
			r.session.SetCookies(req)
			req.Header.Set("Cookie", strings.ReplaceAll(req.Header.Get("Cookie"), "__session", "__other")+"; __session="+token)
			for _, c := range req.Cookies() { // with the suffix, too
				if suffix, ok := strings.CutPrefix(c.Name, "__other_"); ok {
					req.AddCookie(&http.Cookie{Name: "__session_" + suffix, Value: token})
				}
			}
		}
	}
	r.each(func(v tokenVerifier) {
		got := testkit.WantReply(t, testkit.Serve(v.auth.Require(), cookie(machine)), 401, clerkauth.ErrTokenType)
		if s := tokenLeak(fmt.Sprint(got), machine); s != "" {
			t.Errorf("%s: the response contains %q", v.by, s)
		}
		if got := testkit.Serve(v.auth.Handler, cookie(machine)); got.Status != 200 || strings.Contains(got.Body, "mch_") {
			t.Errorf("%s: a public route: %v", v.by, got)
		}
	})
	r.fetched(0)
	r.each(func(v tokenVerifier) {
		testkit.WantReply(t, testkit.Serve(v.auth.Require(), cookie(r.token())), 200, "")
	})
	r.accepts("control", r.token(clerkauthtest.WithClaim("sub", "user_mch_12345678"), clerkauthtest.WithoutHeader("cat")))
}

func headerNotAnObject(t *testing.T) {
	r := newTokenRow(t)
	good := string(r.header(""))
	for _, header := range []string{
		`[]`, `null`, `"x"`, `1`, ``, ` `, `{`, `[` + good + `]`, good + ` {}`, good + good, good + `garbage`, good + "\x00", "\ufeff" + good,
		string(r.header(`,"x":"\ud800"`)), string(r.header(`,"x":"\udc00\ud800"`)), string(r.header(",\"x\":\"\xff\"")), string(r.header(",\"\xff\":1")),
		string(r.header(`,`)), string(r.header(`,"x":01`)), string(r.header(`,'x':1`)), string(r.header(`,"x":NaN`)), string(r.header("/**/")),
	} {
		r.refuses(header, r.srv.SignRaw([]byte(header), r.payload()), clerkauth.ErrTokenInvalid)
	}
	r.fetched(0)
	r.accepts("control", r.with(`,"x":"\ud83d\ude00"`))
}

// headerDeepAndWide: a header has at most 4 KiB and 32 members at all depths, four
// of which are its own. Finding duplicate names is cheap.
func headerDeepAndWide(t *testing.T) {
	r := newTokenRow(t)
	deep := func(n int) string { return `,"x":` + strings.Repeat("[", n) + strings.Repeat("]", n) }
	wide := func(n int) string {
		var members strings.Builder
		for i := range n {
			members.WriteString(`,"` + string(rune('a'+i%26)) + strings.Repeat("x", 1+i/26) + `":0`)
		}
		return members.String()
	}
	for what, members := range map[string]string{
		"deep": deep(20_000), "deep in a short token": deep(5_000), "a level too deep": deep(64),
		"wide": strings.Repeat(`,"x":0`, 100_000), "wide and unique": wide(2_000),
		"a member too wide": wide(29), "a member too wide, within": `,"x":{` + wide(28)[1:] + `}`, "too long": `,"x":"` + strings.Repeat("x", 4<<10) + `"`,
		"twice within": `,"x":[{"y":0},{"y":0,"\u0079":0}]`,
	} {
		r.refuses(what, r.with(members), clerkauth.ErrTokenInvalid)
	}
	r.fetched(0)
	r.accepts("deep enough", r.with(deep(63)))
	r.accepts("wide enough", r.with(wide(28)))
	r.accepts("wide enough, within", r.with(`,"x":{`+wide(27)[1:]+`}`))
	r.accepts("long enough", r.with(`,"x":"`+strings.Repeat("x", 4<<10-len(r.header(`,"x":""`)))+`"`))
}
