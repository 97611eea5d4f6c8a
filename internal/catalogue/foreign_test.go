package catalogue

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"errors"
	"fmt"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"github.com/go-jose/go-jose/v4"

	"github.com/clerkauth/clerkauth"
	"github.com/clerkauth/clerkauth/clerkauthtest"
	"github.com/clerkauth/clerkauth/internal/testkit"
)

// These rows test bearer tokens of other issuers.
var _ = addRows(rows{
	"269/credentials_of_somebody_else": foreignCredentials,
})

// foreignCredentials: callers with such a token are anonymous on public routes, with
// the reason in Err, and refused by guards. No key is looked up.
func foreignCredentials(t *testing.T) {
	r := newTokenRow(t)

	// Text without three parts is not a JWT, and without one of Clerk's prefixes not an
	// opaque credential.
	for _, credential := range []string{
		"ghp_16C7e42F292c6912E7710c838347Ae178B4a", "cron-secret", "s3cr3t!#$%&'()*+-/:;<=>?@[]^_`{|}~\"\\", "x", "a.b", "a.b.c.d", "xoxb-1-2", "glpat-x", "whsec_x", "eyJhbGciOiJSUzI1NiJ9",
		"ak", "ak-x", "AK_x", "oat", "Oat_x", "mt-x", "skx", "sk-x", "SK_live_x", "pk", "x_ak_1", "undefined", "null", "0", ".", "...", strings.Repeat("x", 16<<10),
	} {
		r.ignores(credential, credential, clerkauth.ErrTokenInvalid)
	}

	for credential, explained := range map[string]bool{"undefined": true, "null": true, "Undefined": true, "undefined!": false, "x": false} {
		if err := r.static.auth.Authenticate(tokenRequest(credential)).Err(); strings.Contains(err.Error(), "before it had a token") != explained {
			t.Errorf("%s: %v", credential, err)
		}
	}

	// A JWT of another issuer, with any algorithm and any key.
	curve, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	const other = "https://other.example.com"
	payload := tokenPart(r.token(clerkauthtest.WithClaim("iss", other)), 1)
	sign := func(alg jose.SignatureAlgorithm, key any, payload []byte) string {
		signer, err := jose.NewSigner(jose.SigningKey{Algorithm: alg, Key: key}, (&jose.SignerOptions{}).WithType("JWT").WithHeader("kid", "other"))
		if err != nil {
			t.Fatal(err)
		}
		jws, err := signer.Sign(payload)
		if err != nil {
			t.Fatal(err)
		}
		token, err := jws.CompactSerialize()
		if err != nil {
			t.Fatal(err)
		}
		return token
	}
	keys := map[jose.SignatureAlgorithm]any{
		jose.RS256: tokenAttacker(), jose.RS512: tokenAttacker(), jose.PS256: tokenAttacker(), jose.ES256: curve, jose.HS256: []byte(strings.Repeat("k", 32)),
	}
	for alg, key := range keys {
		r.ignores("other issuer, "+string(alg), sign(alg, key, payload), clerkauth.ErrTokenIssuer)
		r.ignores("other issuer and nothing else, "+string(alg), sign(alg, key, []byte(`{"iss":"`+other+`"}`)), clerkauth.ErrTokenIssuer)
	}
	h, p, s := compactParts(r.srv.SignRaw(r.header(""), payload))
	r.ignoresAll(map[string]string{
		"other issuer, our key":             h + "." + p + "." + s,
		"other issuer, our kid, not signed": h + "." + p + "." + tokenBase64(make([]byte, 256)),
		"other issuer, no algorithm":        tokenBase64([]byte(`{}`)) + "." + p + "." + s,
		"other issuer, alg none":            tokenBase64([]byte(`{"alg":"none"}`)) + "." + p + ".",
		"other issuer, long signature":      h + "." + p + "." + tokenBase64(make([]byte, 4<<10)),
		"other issuer, expired":             sign(jose.ES256, curve, []byte(`{"iss":"`+other+`","exp":1}`)),
		"other issuer, malformed claims":    sign(jose.ES256, curve, []byte(`{"iss":"`+other+`","sub":7,"sid":[],"azp":{},"jti":"ak_1"}`)),
		"other issuer, escaped":             sign(jose.ES256, curve, []byte(`{"\u0069ss":"\u0068ttps:\/\/other.example.com"}`)),
		"other issuer, x5t":                 r.srv.SignRaw(r.header(`,"x5t":"x"`), payload),
		"other issuer, crit and jku":        r.srv.SignRaw(r.header(`,"crit":["x"],"jku":"https://other.example.com"`), payload),
		"empty issuer":                      sign(jose.ES256, curve, []byte(`{"iss":""}`)),
		"issuer that begins as ours":        sign(jose.ES256, curve, []byte(`{"iss":"`+r.srv.Issuer()+`/"}`)),
		"our issuer within another claim":   sign(jose.ES256, curve, []byte(`{"iss":"`+other+`","x":{"iss":"`+r.srv.Issuer()+`"}}`)),
	}, clerkauth.ErrTokenIssuer)
	r.fetched(0)

	// Any other invalid token is rejected on every route.
	good := r.token()
	refused := map[clerkauth.Reason]map[string]string{
		clerkauth.ErrTokenInvalid: {
			"space": "ghp_x y", "space before": " ghp_x", "space behind": "ghp_x ", "control": "ghp_x\x01", "tab": "ghp\tx", "not ASCII": "ghp_\u00e9", "two by a comma": "ghp_x,ghp_y",
			"delete": "ghp_\x7f", "too long": strings.Repeat("x", 16<<10+1), "a megabyte": strings.Repeat(".", 1<<20),
			"secret key": "sk_live_x", "secret key of a test": "sk_test_x", "publishable key": "pk_test_Y2xlcmsuZXhhbXBsZS5jb20k",
			"three parts": "a.b.c", "two dots": "..", "header is not JSON": tokenBase64([]byte("x")) + "." + p + "." + s,
			"payload is not JSON":        h + "." + tokenBase64([]byte(`{"iss":"`+other+`"`)) + "." + s,
			"payload is no object":       h + "." + tokenBase64([]byte(`["`+other+`"]`)) + "." + s,
			"payload is no base64":       h + "." + p + "=." + s,
			"signature is no base64":     h + "." + p + "." + s + "=",
			"issuer twice":               h + "." + tokenBase64([]byte(`{"iss":"`+other+`","iss":"`+other+`"}`)) + "." + s,
			"issuer twice, ours first":   h + "." + tokenBase64([]byte(`{"iss":"`+r.srv.Issuer()+`","\u0069ss":"`+other+`"}`)) + "." + s,
			"issuer twice, ours behind":  h + "." + tokenBase64([]byte(`{"iss":"`+other+`","iss":"`+r.srv.Issuer()+`"}`)) + "." + s,
			"not UTF-8":                  h + "." + tokenBase64([]byte(`{"iss":"`+other+"\xff"+`"}`)) + "." + s,
			"lone surrogate":             h + "." + tokenBase64([]byte(`{"iss":"`+other+`\ud800"}`)) + "." + s,
			"too deep":                   h + "." + tokenBase64([]byte(`{"iss":"`+other+`","x":`+strings.Repeat("[", 64)+strings.Repeat("]", 64)+`}`)) + "." + s,
			"other issuer, unknown type": r.srv.SignRaw(r.keyID(`{"alg":"RS256","kid":"$kid","typ":"JOSE"}`), payload),
			"our issuer, crit":           r.with(`,"crit":["x"]`),
			"our issuer, x5t":            r.with(`,"x5t":"x"`),
			"no issuer, jku":             r.srv.SignRaw(r.header(`,"jku":"https://other.example.com"`), []byte(`{}`)),
		},
		clerkauth.ErrTokenAlgorithm: {
			"our issuer, ES256": sign(jose.ES256, curve, r.payload()), "our issuer, HS256": sign(jose.HS256, keys[jose.HS256], r.payload()),
			"no issuer, ES256": sign(jose.ES256, curve, []byte(`{}`)), "issuer of another type": sign(jose.ES256, curve, []byte(`{"iss":["`+other+`"]}`)),
			"issuer null": sign(jose.ES256, curve, []byte(`{"iss":null}`)),
		},
		clerkauth.ErrTokenType: {
			"template":               r.session.TemplateToken("x", nil),
			"template, other issuer": r.srv.SignRaw(r.keyID(`{"alg":"RS256","kid":"$kid","cat":"cl_B7d4PD222AAA"}`), payload),
		},
	}
	for why, tokens := range refused {
		r.refusesAll(tokens, why)
	}
	r.fetched(0)
	for _, lines := range [][]string{{"Bearer ghp_x", "Bearer ghp_y"}, {"Bearer ghp_x", "Basic eDp5"}, {"Bearer ghp_x", ""}, {"Bearer  ghp_x"}, {"Bearer\tghp_x"}} {
		w := httptest.NewRecorder()
		req := httptest.NewRequest(http.MethodGet, "/", nil)
		req.Header["Authorization"] = lines
		r.static.auth.Handler(http.NotFoundHandler()).ServeHTTP(w, req)
		if w.Code != http.StatusUnauthorized {
			t.Errorf("%q: %d", lines, w.Code)
		}
	}

	// Callers are anonymous: they have no rights and no claims.
	for _, token := range []string{"ghp_x", h + "." + p + "." + s} {
		r.each(func(v tokenVerifier) { foreignIsAnonymous(t, v.auth, token) })
	}
	// A machine's JWT is of its kind, whoever issued it; there is no key for it.
	auth := testkit.NewAuth(t, r.srv, func(c *clerkauth.Config) {
		c.Accept = []clerkauth.TokenType{clerkauth.SessionToken, clerkauth.M2MToken}
	})
	machine := tokenVerifier{t: t, by: "machines", auth: auth, log: new(testkit.Log)}
	token := r.srv.SignRaw(r.keyID(`{"alg":"RS256","kid":"$kid"}`), []byte(`{"sub":"mch_1","jti":"mt_1","iss":"`+other+`","exp":`+claimSeconds(0)+`}`))
	machine.ignores("machine's of another issuer", token, clerkauth.ErrTokenType)
	if w := machine.answers(token, clerkauth.Token(clerkauth.M2MToken)); w.Code != http.StatusUnauthorized || !strings.Contains(w.Body.String(), string(clerkauth.ErrTokenIssuer)) {
		t.Errorf("machine's of another issuer: %d %s", w.Code, w.Body)
	}
	r.fetched(0)
	r.accepts("control", good)
}

// foreignIsAnonymous requires handlers of public routes to see an anonymous caller
// with a reason.
func foreignIsAnonymous(t *testing.T, auth *clerkauth.Authenticator, token string) {
	t.Helper()
	mux := auth.NewServeMux()
	reached := 0
	see := func(_ http.ResponseWriter, r *http.Request) {
		reached++
		who := clerkauth.FromContext(r.Context())
		var e *clerkauth.Error
		if who.SignedIn() || who.UserID != "" || who.Subject != "" || who.TokenType != "" || who.Has(clerkauth.SignedIn) || len(who.Scopes()) > 0 ||
			!errors.As(who.Err(), &e) || e.Status != http.StatusUnauthorized {
			t.Errorf("%.20s: the handler sees %+v, %v", token, who, who.Err())
		}
		if claims, err := clerkauth.ClaimsAs[map[string]any](who); err == nil {
			t.Errorf("%.20s: claims %v", token, claims)
		}
	}
	mux.HandleFunc("GET /open", clerkauth.Public, see)
	mux.HandleFunc("GET /users", clerkauth.SignedIn, see)
	mux.HandleFunc("GET /either", clerkauth.AnyOf(clerkauth.Public, clerkauth.Role("admin")), see)
	protect, err := auth.Protect(clerkauth.Rules{"/open": clerkauth.Public, "/either": clerkauth.Public, "/{rest...}": clerkauth.SignedIn})
	if err != nil {
		t.Fatal(err)
	}
	for name, h := range map[string]http.Handler{"mux": mux, "Protect": protect.Func(see), "Handler": auth.Handler(mux)} {
		for path, want := range map[string]int{"/open": 200, "/either": 200, "/users": 401} {
			reached = 0
			req := tokenRequest(token)
			req.URL.Path = path
			w := httptest.NewRecorder()
			if h.ServeHTTP(w, req); w.Code != want || (reached > 0) != (want == 200) {
				t.Errorf("%s: %s: %d, %s", name, path, w.Code, fmt.Sprint(w.Body))
			}
		}
	}
}
