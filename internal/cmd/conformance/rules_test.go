package main

import (
	"crypto/rand"
	"crypto/rsa"
	"crypto/x509"
	"encoding/base64"
	"encoding/json"
	"encoding/pem"
	"fmt"
	"strings"
	"testing"
)

const (
	testNow     = 1790000000000
	testHeader  = `{"alg":"RS256","typ":"JWT","kid":"k1"}`
	testPayload = `{"iss":"https://clerk.example.com","sub":"user_1","sid":"sess_1","exp":1790000050,"iat":1790000000,"azp":"https://a.test"}`
)

// bench makes cases with tokens that it signs.
type bench struct {
	key *rsa.PrivateKey
	pem string
}

func newBench(t *testing.T) *bench {
	t.Helper()
	key, err := rsa.GenerateKey(rand.Reader, 2048)
	if err != nil {
		t.Fatal(err)
	}
	der, err := x509.MarshalPKIXPublicKey(&key.PublicKey)
	if err != nil {
		t.Fatal(err)
	}
	return &bench{key, string(pem.EncodeToMemory(&pem.Block{Type: "PUBLIC KEY", Bytes: der}))}
}

func (b *bench) token(t *testing.T, header, payload string) string {
	t.Helper()
	token, err := sign(b.key, []byte(header), []byte(payload))
	if err != nil {
		t.Fatal(err)
	}
	return token
}

// jwks returns the Backend API's response with the bench's key, with more members.
func (b *bench) jwks(kid, more string) []bapiAnswer {
	n := base64.RawURLEncoding.EncodeToString(b.key.N.Bytes())
	body := fmt.Sprintf(`{"keys":[{"kty":"RSA","kid":%q,"n":%q,"e":"AQAB"%s}]}`, kid, n, more)
	return []bapiAnswer{{Method: "GET", Path: "/v1/jwks", Status: 200, ContentType: "application/json", Body: json.RawMessage(body)}}
}

// newCase returns a case that both accept, with more options.
func (b *bench) newCase(authorization string, options map[string]any) *authCase {
	c := &authCase{ID: "x", Now: testNow, Options: map[string]any{
		"publishableKey": "pk_live_Y2xlcmsuZXhhbXBsZS5jb20k", "secretKey": "sk_live_x", "jwtKey": b.pem, "apiUrl": "{{BAPI}}",
	}}
	for name, value := range options {
		c.Options[name] = value
	}
	c.Request.Method, c.Request.URL = "GET", "https://app.example.com/"
	c.Request.Headers = map[string][]string{"host": {"app.example.com"}}
	if authorization != "" {
		c.Request.Headers["authorization"] = []string{authorization}
	}
	return c
}

// decideAll decides cases in their order.
func decideAll(t *testing.T, cases ...*authCase) []*answer {
	t.Helper()
	decide := openAuthenticate(library, corpusFile{Name: "authenticate.json"})
	answers := make([]*answer, len(cases))
	for i, c := range cases {
		raw, err := json.Marshal(map[string]any{
			"id": c.ID, "now": c.Now, "options": c.Options, "bapi": c.BAPI, "scope": c.Scope,
			"request": map[string]any{"method": c.Request.Method, "url": c.Request.URL, "headers": c.Request.Headers},
		})
		if err != nil {
			t.Fatal(err)
		}
		d, err := decide(raw)
		if err != nil {
			t.Fatal(err)
		}
		answers[i] = d.(*answer)
	}
	return answers
}

// TestRules: a rule is named if a case has its property, and not if it has a similar
// one.
func TestRules(t *testing.T) {
	b := newBench(t)
	good := b.token(t, testHeader, testPayload)
	with := func(members string) string {
		return b.token(t, testHeader, testPayload[:len(testPayload)-1]+","+members+"}")
	}
	replaced := func(from, to string) string { return b.token(t, testHeader, strings.Replace(testPayload, from, to, 1)) }
	header := func(members string) string {
		return b.token(t, testHeader[:len(testHeader)-1]+","+members+"}", testPayload)
	}

	for _, c := range []struct {
		name, authorization string
		options             map[string]any
		outcome, rule       string
	}{
		{"nothing unusual", "Bearer " + good, nil, "in", ""},
		{"no credential", "", nil, "refuse", ""},
		{"padding", "Bearer " + good + "==", nil, "refuse", "strict-base64"},
		{"garbage with padding", "Bearer x.y=", nil, "refuse", ""},
		{"extensions", "Bearer " + header(`"crit":["exp"]`), nil, "refuse", "crit-refused"},
		{"a key inside", "Bearer " + header(`"jku":"https://x.test"`), nil, "refuse", "no-embedded-keys"},
		{"unknown member", "Bearer " + header(`"foo":1`), nil, "in", ""},
		{"one name twice", "Bearer " + with(`"a":{"b":1,"b":2}`), nil, "refuse", "unique-names"},
		{"one name in two objects", "Bearer " + with(`"a":{"b":1},"c":[{"b":2},"b"]`), nil, "in", ""},
		{"lone surrogate", "Bearer " + with(`"a":"\ud800"`), nil, "refuse", "strict-utf8"},
		{"surrogate pair", "Bearer " + with(`"a":"\ud83d\udc0e \\ud800"`), nil, "in", ""},
		{"invalid UTF-8", "Bearer " + with("\"a\":\"\xff\""), nil, "refuse", "strict-utf8"},
		{"byte order mark", "Bearer " + b.token(t, testHeader, "\ufeff"+testPayload), nil, "refuse", "strict-utf8"},
		{"deep", "Bearer " + with(`"a":`+strings.Repeat("[", 70)+strings.Repeat("]", 70)), nil, "refuse", "json-depth"},
		{"wide", "Bearer " + with(`"a":[`+strings.Repeat("[],", 70)+"0]"), nil, "in", ""},
		{"long", "Bearer " + with(`"a":"`+strings.Repeat("x", 16<<10)+`"`), nil, "refuse", "token-size"},
		{"no object", "Bearer " + b.token(t, testHeader, "[1]"), nil, "refuse", "json-object"},
		{"no json", "Bearer " + b.token(t, testHeader, "{"), nil, "refuse", ""},
		{"no signature", "Bearer " + good[:strings.LastIndex(good, ".")+1], nil, "refuse", "empty-signature"},

		{"other case of the scheme", "bEARER " + good, nil, "in", "bearer-case"},
		{"no scheme", good, nil, "refuse", "scheme-required"},
		{"something behind it", "Bearer " + good + " x", nil, "refuse", "one-space"},
		{"two spaces", "Bearer  " + good, nil, "refuse", ""},
		{"a machine's", "Bearer mt_1", nil, "refuse", "opaque-kind"},

		{"no subject", "Bearer " + replaced("user_1", ""), nil, "refuse", "subject-required"},
		{"subject of another type", "Bearer " + replaced(`"user_1"`, "7"), nil, "refuse", ""},
		{"no session", "Bearer " + replaced(`"sess_1"`, "7"), nil, "refuse", "session-id-required"},
		{"issued after the end", "Bearer " + replaced(`"exp":1790000050,"iat":1790000000`, `"exp":1790000001,"iat":1790000004`), nil, "refuse", "claim-range"},
		{"no end", "Bearer " + replaced(`"exp":1790000050,`, ""), nil, "refuse", ""},
		{"expired", "Bearer " + replaced("1790000050", "1789999990"), nil, "refuse", ""},
		{"another issuer", "Bearer " + replaced("clerk.example", "clerk.other"), nil, "refuse", "issuer-enforced"},
		{"another issuer, one configured", "Bearer " + replaced("clerk.example", "clerk.other"), map[string]any{"issuer": "https://clerk.example.com"}, "refuse", ""},
		{"the one issuer configured", "Bearer " + replaced("clerk.example", "clerk.other"), map[string]any{"issuer": "https://clerk.other.com"}, "in", ""},
		{"the key's issuer, not configured", "Bearer " + good, map[string]any{"issuer": "https://clerk.other.com"}, "refuse", ""},
		{"unknown status", "Bearer " + with(`"sts":"revoked"`), nil, "refuse", "unknown-status"},
		{"pending", "Bearer " + with(`"sts":"pending"`), nil, "refuse", ""},
		{"no audience", "Bearer " + good, map[string]any{"audience": "api"}, "refuse", "audience-enforced"},
		{"another audience", "Bearer " + with(`"aud":"x"`), map[string]any{"audience": "api"}, "refuse", ""},
		{"part of a party", "Bearer " + good, map[string]any{"authorizedParties": "https://a.test.example"}, "refuse", "party-exact"},
		{"another party", "Bearer " + good, map[string]any{"authorizedParties": []any{"https://b.test"}}, "refuse", ""},
		{"unknown version", "Bearer " + with(`"v":3,"org_id":"org_1"`), nil, "in", "known-version"},
		{"role of another type", "Bearer " + with(`"org_id":"org_1","org_role":7`), nil, "in", "claim-types"},
		{"an organization", "Bearer " + with(`"org_id":"org_1","org_role":"org:x"`), nil, "in", ""},
		{"names that differ in case", "Bearer " + with(`"Sub":"x"`), nil, "in", "decodable-claims"},

		{"no secret key", "Bearer " + good, map[string]any{"secretKey": ""}, "in", "no-secret-needed"},
		{"no secret key, no token", "Bearer x", map[string]any{"secretKey": ""}, "refuse", ""},
		{"no publishable key", "Bearer " + good, map[string]any{"publishableKey": ""}, "refuse", ""},
		{"keys of two instances", "Bearer " + good, map[string]any{"secretKey": "sk_test_x"}, "refuse", "config-at-start"},
		{"party with a path", "Bearer " + good, map[string]any{"authorizedParties": []any{"https://a.test/"}}, "refuse", "exact-origins"},
		{"too much skew", "Bearer " + good, map[string]any{"clockSkewInMs": 600000}, "refuse", "skew-range"},
		{"key that is none", "Bearer " + good, map[string]any{"jwtKey": "x"}, "refuse", "key-forms"},
		{"key with escaped breaks", "Bearer " + good, map[string]any{"jwtKey": strings.ReplaceAll(b.pem, "\n", `\n`)}, "in", "jwt-key-forms"},
		{"unknown option", "Bearer " + good, map[string]any{"headerType": "JWT"}, "refuse", "typed-options"},
		{"satellite", "Bearer " + good, map[string]any{"isSatellite": true, "domain": "x.test", "signInUrl": "https://y.test"}, "in", ""},
	} {
		t.Run(c.name, func(t *testing.T) {
			a := decideAll(t, b.newCase(c.authorization, c.options))[0]
			if a.Outcome != c.outcome || a.Rule != c.rule {
				t.Errorf("%s (%s) by rule %q, want %s by %q", a.Outcome, a.Reason, a.Rule, c.outcome, c.rule)
			}
		})
	}
}

// TestMachineRules is TestRules for machine credentials.
func TestMachineRules(t *testing.T) {
	b := newBench(t)
	const (
		m2mHeader   = `{"alg":"RS256","typ":"JWT","cat":"cl_B7d4PD333AAA","kid":"k1"}`
		m2m         = `{"iss":"https://clerk.example.com","sub":"mch_1","jti":"mt_1","exp":1790000050,"scopes":"mch_2 mch_3"}`
		oauthHeader = `{"alg":"RS256","typ":"at+jwt","kid":"k1"}`
		oauth       = `{"iss":"https://clerk.example.com","sub":"user_1","jti":"oat_1","exp":1790000050,"scope":"a b"}`
		key         = `{"object":"api_key","id":"ak_1","subject":"user_1","scopes":["a"],"revoked":false,"expired":false,"expiration":null}`
		json200     = "application/json"
	)
	token := func(header, payload, from, to string) string {
		return "Bearer " + b.token(t, strings.Replace(header, from, to, 1), strings.Replace(payload, from, to, 1))
	}
	answered := func(from, to string) bapiAnswer {
		return bapiAnswer{Status: 200, ContentType: json200, Body: json.RawMessage(strings.Replace(key, from, to, 1))}
	}
	asText := func(contentType, text string) bapiAnswer {
		return bapiAnswer{Status: 200, ContentType: contentType, Body: encode(t, text)}
	}
	failed := func(status int, text string) bapiAnswer {
		a := asText(json200, text)
		a.Status = status
		return a
	}
	list := func(kinds ...any) []any { return kinds }

	for _, c := range []struct {
		name, authorization string
		accepts             any
		answered            bapiAnswer
		outcome, rule       string
		tokenType           nullable
	}{
		{"API key", "Bearer ak_1", "api_key", answered("", ""), "in", "", "api_key"},
		{"API key among others", "Bearer ak_1", "any", answered("", ""), "in", "", "api_key"},
		{"API key not listed", "Bearer ak_1", list("m2m_token"), answered("", ""), "refuse", "", ""},
		{"API key where another is required", "Bearer ak_1", "m2m_token", answered("", ""), "refuse", "", "m2m_token"},
		{"API key beside what is no kind", "Bearer ak_1", list("x", "api_key"), answered("", ""), "in", "", "api_key"},
		{"no kind", "Bearer ak_1", "x", answered("", ""), "refuse", "typed-options", ""},
		{"no kinds", "Bearer ak_1", []any{}, answered("", ""), "refuse", "typed-options", ""},
		{"a session's is required", "Bearer ak_1", "session_token", answered("", ""), "refuse", "opaque-kind", "session_token"},
		{"nothing", "", "api_key", answered("", ""), "refuse", "missing-token", "api_key"},
		{"nothing, of a list", "", list("api_key"), answered("", ""), "refuse", "missing-token", ""},
		{"nothing, where cookies would do", "", "any", answered("", ""), "refuse", "", "session_token"},
		{"no scheme", "ak_1", "api_key", answered("", ""), "refuse", "scheme-required", "api_key"},
		{"two spaces behind", "Bearer ak_1  x", "api_key", answered("", ""), "refuse", "one-space", "api_key"},
		{"prefix alone", "Bearer ak_", "api_key", answered("", ""), "refuse", "opaque-form", "api_key"},
		{"two dots", "Bearer ak_1.a.b", "api_key", answered("", ""), "refuse", "opaque-form", "api_key"},

		{"revoked", "Bearer ak_1", "api_key", answered(`"revoked":false`, `"revoked":true`), "refuse", "answer-flags", "api_key"},
		{"expired", "Bearer ak_1", "api_key", answered(`"expired":false`, `"expired":true`), "refuse", "answer-flags", "api_key"},
		{"expiration past", "Bearer ak_1", "api_key", answered(`n":null`, `n":1790000000000`), "refuse", "answer-flags", "api_key"},
		{"expiration to come", "Bearer ak_1", "api_key", answered(`n":null`, `n":1790000000001`), "in", "", "api_key"},
		{"another object", "Bearer ak_1", "api_key", answered(`"api_key"`, `"x"`), "refuse", "answer-object", "api_key"},
		{"no id", "Bearer ak_1", "api_key", answered(`"ak_1"`, "null"), "refuse", "answer-ids", "api_key"},
		{"no subject", "Bearer ak_1", "api_key", answered(`"user_1"`, "null"), "refuse", "", "api_key"},
		{"not found, by an unknown code", "Bearer ak_1", "api_key", failed(404, `{"errors":[{"code":"x"}]}`), "refuse", "answer-status", "api_key"},
		{"scopes of another type", "Bearer ak_1", "api_key", answered(`["a"]`, `"a"`), "refuse", "answer-form", "api_key"},
		{"no scopes", "Bearer ak_1", "api_key", answered(`["a"]`, `null`), "in", "", "api_key"},
		{"one name twice", "Bearer ak_1", "api_key", answered(`{`, `{"id":"ak_2",`), "refuse", "answer-form", "api_key"},
		{"text", "Bearer mt_1", "m2m_token", asText("text/plain", "x"), "refuse", "answer-form", "m2m_token"},
		{"broken", "Bearer ak_1", "api_key", asText(json200, "{"), "refuse", "", "api_key"},
		{"with a charset", "Bearer ak_1", "api_key", asText(json200+"; charset=utf-8", key), "in", "json-charset", "api_key"},
		{"no content", "Bearer mt_1", "m2m_token", failed(204, ""), "refuse", "", "m2m_token"},
		{"another object's subject", "Bearer oat_1", "oauth_token", answered("", ""), "refuse", "answer-object", "oauth_token"},
		{"of a machine that is none", "Bearer mt_1", "m2m_token", answered(`"api_key"`, `"machine_to_machine_token"`), "refuse", "machine-subject", "m2m_token"},
		{"our key is bad", "Bearer ak_1", "api_key", failed(401, `{"errors":[]}`), "refuse", "", "api_key"},
		{"our key is bad, without a body", "Bearer ak_1", "api_key", failed(401, ""), "refuse", "answer-status", "api_key"},
		{"not found", "Bearer ak_1", "api_key", failed(404, `{"errors":[{"code":"resource_not_found"}]}`), "refuse", "", "api_key"},
		{"not found, and no error", "Bearer ak_1", "api_key", failed(404, `{}`), "refuse", "answer-status", "api_key"},
		{"limited", "Bearer ak_1", "api_key", failed(429, `{}`), "refuse", "", "api_key"},
		{"down", "Bearer ak_1", "api_key", bapiAnswer{}, "refuse", "", "api_key"},

		{"M2M JWT", token(m2mHeader, m2m, "", ""), "m2m_token", bapiAnswer{}, "in", "", "m2m_token"},
		{"of another category", token(m2mHeader, m2m, "333AAA", "111AAA"), "any", bapiAnswer{}, "refuse", "", "m2m_token"},
		{"of a user", token(m2mHeader, m2m, "mch_1", "user_1"), "any", bapiAnswer{}, "refuse", "kind-by-claims", "session_token"},
		{"without an id", token(m2mHeader, m2m, `"mt_1"`, "7"), "m2m_token", bapiAnswer{}, "refuse", "token-id-required", "m2m_token"},
		{"of another issuer", token(m2mHeader, m2m, "clerk.", "x."), "m2m_token", bapiAnswer{}, "refuse", "issuer-enforced", "m2m_token"},
		{"expired JWT", token(m2mHeader, m2m, "1790000050", "1789999995"), "m2m_token", bapiAnswer{}, "refuse", "precise-reason", "m2m_token"},
		{"no end", token(m2mHeader, m2m, "1790000050", `"x"`), "m2m_token", bapiAnswer{}, "refuse", "", "m2m_token"},
		{"unknown algorithm", token(m2mHeader, m2m, "RS256", "none"), "m2m_token", bapiAnswer{}, "refuse", "precise-reason", "m2m_token"},
		{"space between two", token(m2mHeader, m2m, "mch_2 ", "mch_2  "), "m2m_token", bapiAnswer{}, "in", "scope-words", "m2m_token"},
		{"scopes null", token(m2mHeader, m2m, `"mch_2 mch_3"`, "null"), "m2m_token", bapiAnswer{}, "refuse", "scope-types", "m2m_token"},
		{"scopes a number", token(m2mHeader, m2m, `"mch_2 mch_3"`, "7"), "m2m_token", bapiAnswer{}, "refuse", "", "m2m_token"},
		{"OAuth JWT", token(oauthHeader, oauth, "", ""), list("oauth_token"), bapiAnswer{}, "in", "", "oauth_token"},
		{"scp a text", token(oauthHeader, oauth, "scope", "scp"), "oauth_token", bapiAnswer{}, "in", "", "oauth_token"},
		{"with a category", token(oauthHeader, oauth, `{"alg"`, `{"cat":"x","alg"`), "oauth_token", bapiAnswer{}, "refuse", "oauth-category", "oauth_token"},
		{"of an organization", token(oauthHeader, oauth, "user_1", "org_1"), "oauth_token", bapiAnswer{}, "refuse", "machine-subject", "oauth_token"},
		{"JWT for another kind", token(oauthHeader, oauth, "", ""), "api_key", bapiAnswer{}, "refuse", "", "api_key"},
		{"session", "Bearer " + b.token(t, testHeader, testPayload), "any", bapiAnswer{}, "in", "", "session_token"},
		{"session where none will do", "Bearer " + b.token(t, testHeader, testPayload), "api_key", bapiAnswer{}, "refuse", "", "api_key"},
		{"extensions where no session will do", token(m2mHeader, m2m, `{"alg"`, `{"crit":[],"alg"`), "m2m_token", bapiAnswer{}, "refuse", "crit-refused", "m2m_token"},
	} {
		t.Run(c.name, func(t *testing.T) {
			input := b.newCase(c.authorization, map[string]any{"acceptsToken": c.accepts})
			for _, path := range verifyPaths {
				c.answered.Method, c.answered.Path = "POST", path
				input.BAPI = append(input.BAPI, c.answered)
			}
			a := decideAll(t, input)[0]
			if a.Outcome != c.outcome || a.Rule != c.rule || a.TokenType != c.tokenType {
				t.Errorf("%s (%s) of %q by rule %q, want %s of %q by %q", a.Outcome, a.Reason, a.TokenType, a.Rule, c.outcome, c.tokenType, c.rule)
			}
		})
	}
}

// TestMachineOptions tests the options that are needed to verify machine
// credentials.
func TestMachineOptions(t *testing.T) {
	b := newBench(t)
	token := "Bearer " + b.token(t, `{"alg":"RS256"}`, `{"iss":"https://clerk.example.com","sub":"mch_1","jti":"mt_1","exp":1790000050}`)
	for _, c := range []struct {
		name          string
		options       map[string]any
		outcome, rule string
	}{
		{"no secret key", map[string]any{"acceptsToken": "m2m_token", "secretKey": ""}, "in", "no-secret-needed"},
		{"a machine's alone", map[string]any{"acceptsToken": "m2m_token", "secretKey": "", "machineSecretKey": "ak_x"}, "in", ""},
		{"a machine's alone, in a list", map[string]any{"acceptsToken": []any{"m2m_token"}, "secretKey": "", "machineSecretKey": "ak_x"}, "in", "no-secret-needed"},
		{"a machine's that is none", map[string]any{"acceptsToken": "m2m_token", "machineSecretKey": "sk_x"}, "refuse", "config-at-start"},
		{"no publishable key", map[string]any{"acceptsToken": "m2m_token", "publishableKey": ""}, "refuse", "instance-named"},
		{"no publishable key, in a list", map[string]any{"acceptsToken": []any{"m2m_token"}, "publishableKey": ""}, "refuse", ""},
		{"API keys without a secret key", map[string]any{"acceptsToken": "api_key", "secretKey": ""}, "refuse", ""},
		{"a party", map[string]any{"acceptsToken": "m2m_token", "authorizedParties": []any{"https://a.test"}}, "in", ""},
		{"a satellite", map[string]any{"acceptsToken": "m2m_token", "isSatellite": true}, "in", ""},
		{"a satellite for several kinds", map[string]any{"acceptsToken": "any", "isSatellite": true, "domain": "x.test", "signInUrl": "https://y.test"}, "in", ""},
		{"another version", map[string]any{"acceptsToken": "m2m_token", "apiVersion": "v2"}, "in", ""},
		{"another version of keys", map[string]any{"acceptsToken": "m2m_token", "apiVersion": "v2", "jwtKey": nil}, "refuse", "typed-options"},
		{"an audience", map[string]any{"acceptsToken": "m2m_token", "audience": "b"}, "refuse", "audience-enforced"},
	} {
		t.Run(c.name, func(t *testing.T) {
			if a := decideAll(t, b.newCase(token, c.options))[0]; a.Outcome != c.outcome || a.Rule != c.rule {
				t.Errorf("%s (%s) by rule %q, want %s by %q", a.Outcome, a.Reason, a.Rule, c.outcome, c.rule)
			}
		})
	}
}

// TestKeyRules replays changes of keys, in the order of a scope.
func TestKeyRules(t *testing.T) {
	b := newBench(t)
	header := func(kid string) string { return "Bearer " + b.token(t, `{"alg":"RS256","kid":"`+kid+`"}`, testPayload) }
	down := []bapiAnswer{{Method: "GET", Path: "/v1/jwks"}}
	type step struct {
		kid           string
		after         int64 // milliseconds
		bapi          []bapiAnswer
		outcome, rule string
	}
	for name, steps := range map[string][]step{
		"outage":        {{"k1", 0, down, "refuse", "outage-reason"}},
		"unusable":      {{"k1", 0, b.jwks("k1", `,"alg":"PS256"`), "refuse", "jwk-usable"}},
		"unknown":       {{"k2", 0, b.jwks("k1", ""), "refuse", ""}},
		"prototype":     {{"constructor", 0, b.jwks("k1", ""), "refuse", "kid-prototype"}},
		"cached":        {{"k1", 0, b.jwks("k1", ""), "in", ""}, {"k1", 1000, down, "in", ""}},
		"fetched again": {{"k1", 0, b.jwks("k1", ""), "in", ""}, {"k2", 1000, b.jwks("k2", ""), "in", ""}},
		"withdrawn": {
			{"k1", 0, b.jwks("k1", ""), "in", ""}, {"k2", 1000, b.jwks("k2", ""), "in", ""},
			{"k1", 2000, b.jwks("k2", ""), "refuse", "withdrawn-keys"},
		},
		"fetched too often": {
			{"k2", 0, b.jwks("k1", ""), "refuse", ""}, {"k2", 1000, b.jwks("k1", ""), "refuse", ""},
			{"k2", 2000, b.jwks("k2", ""), "refuse", "fetch-limit"},
		},
		// The refresh ahead of time is under way when its request is decided, and has
		// ended before the next one.
		"refreshed ahead": {
			{"k1", 0, b.jwks("k1", ""), "in", ""}, {"k1", 250_000, b.jwks("k2", ""), "in", ""},
			{"k1", 250_001, b.jwks("k2", ""), "refuse", "withdrawn-keys"},
		},
	} {
		t.Run(name, func(t *testing.T) {
			for range 20 { // to find races
				var cases []*authCase
				for _, s := range steps {
					c := b.newCase(header(s.kid), map[string]any{"jwtKey": nil, "clockSkewInMs": 300_000})
					c.Now, c.BAPI, c.Scope = testNow+s.after, s.bapi, "s"
					cases = append(cases, c)
				}
				for i, a := range decideAll(t, cases...) {
					if a.Outcome != steps[i].outcome || a.Rule != steps[i].rule {
						t.Fatalf("step %d: %s (%s) by rule %q, want %s by %q", i, a.Outcome, a.Reason, a.Rule, steps[i].outcome, steps[i].rule)
					}
				}
			}
		})
	}
}

func TestRuleTable(t *testing.T) {
	seen := map[string]bool{}
	for _, r := range rules {
		if r.name == "" || r.why == "" || r.effects == 0 || r.answers == nil || seen[r.name] {
			t.Errorf("rule %q is not whole, or not the only one of its name", r.name)
		}
		seen[r.name] = true
	}
	for _, r := range browserRules {
		if r.name == "" || r.why == "" || seen[r.name] {
			t.Errorf("rule %q is not whole, or not the only one of its name", r.name)
		}
		seen[r.name] = true
	}
	for _, name := range []string{"bearer-case", "json-charset", "stale-keys", "jwt-key-forms", "no-secret-needed"} {
		if effectsOf(name)&effectMore == 0 {
			t.Errorf("rule %q does not allow more", name)
		}
		delete(seen, name)
	}
	for name := range seen {
		if effectsOf(name)&effectMore != 0 {
			t.Errorf("rule %q allows more, which is not for it", name)
		}
	}
}

// TestRequest: requests are as a server would receive them.
func TestRequest(t *testing.T) {
	c := (&bench{}).newCase("Bearer \u00e9", nil)
	c.Request.URL = "https://app.example.com/a%2Fb?x=1#fragment"
	c.Request.Method = "get"
	c.Request.Headers["cookie"] = []string{"a=1", "b=2"}
	r, err := httpRequest(c)
	if err != nil {
		t.Fatal(err)
	}
	if r.Method != "GET" || r.Host != "app.example.com" || r.URL.String() != "/a%2Fb?x=1" || r.TLS == nil {
		t.Errorf("request is %s %s of %s", r.Method, r.URL, r.Host)
	}
	if got := r.Header["Authorization"][0]; got != "Bearer \xe9" {
		t.Errorf("authorization is %q", got)
	}
	if len(r.Header["Cookie"]) != 2 {
		t.Errorf("cookie is %q", r.Header["Cookie"])
	}
	for name, spoil := range map[string]func(*authCase){
		"escape": func(c *authCase) { c.Request.URL = "https://app.example.com/%zz" },
		"hosts":  func(c *authCase) { c.Request.Headers["host"] = []string{"a.test", "b.test"} },
		"value":  func(c *authCase) { c.Request.Headers["x"] = []string{"a\nb"} },
		"method": func(c *authCase) { c.Request.Method = "G T" },
	} {
		c := (&bench{}).newCase("", nil)
		spoil(c)
		if _, err := httpRequest(c); err == nil {
			t.Errorf("%s: net/http would answer 400", name)
		}
	}
}
