package main

import (
	"encoding/json"
	"slices"
	"strings"
	"testing"

	"github.com/clerkauth/clerkauth"
)

// TestRulesFollowFromInputs: the reasons that a rule permits depend on a case's
// inputs alone, not on what the library does with it.
func TestRulesFollowFromInputs(t *testing.T) {
	b := newBench(t)
	const (
		key      = `{"object":"api_key","id":"ak_1","subject":"user_1","revoked":false,"expired":false}`
		m2m      = `{"object":"machine_to_machine_token","id":"mt_1","subject":"mch_1","revoked":false,"expired":false}`
		notFound = `{"errors":[{"code":"api_key_not_found"}]}`
	)
	opaque := func(credential string, status int, body string) *authCase {
		c := b.newCase("Bearer "+credential, map[string]any{"acceptsToken": "any"})
		for _, path := range verifyPaths {
			c.BAPI = append(c.BAPI, bapiAnswer{Method: "POST", Path: path, Status: status, ContentType: "application/json", Body: json.RawMessage(body)})
		}
		return c
	}
	session := func(from, to string) *authCase {
		return b.newCase("Bearer "+b.token(t, testHeader, strings.Replace(testPayload, from, to, 1)), nil)
	}
	other := newBench(t)
	forged := func(from, to string) *authCase {
		return b.newCase("Bearer "+other.token(t, testHeader, strings.Replace(testPayload, from, to, 1)), nil)
	}
	replaced := strings.NewReplacer

	for _, c := range []struct {
		name  string
		input *authCase
		rule  string
		want  clerkauth.Reason // "" if the rule does not apply
	}{
		{"no subject", session("user_1", ""), "subject-required", clerkauth.ErrTokenClaims},
		{"no subject, forged", forged("user_1", ""), "subject-required", ""},
		{"another issuer", session("clerk.example", "clerk.other"), "issuer-enforced", clerkauth.ErrTokenIssuer},
		{"another issuer's", forged("clerk.example", "clerk.other"), "issuer-enforced", ""},
		{"another issuer's, unsigned", forged("clerk.example", "clerk.other"), "foreign-bearer", clerkauth.ErrTokenIssuer},
		{"ours, forged", forged("", ""), "foreign-bearer", ""},
		{"issuer of another type", forged(`"https://clerk.example.com"`, "7"), "foreign-bearer", ""},
		{"bound", session(`"azp"`, `"cnf":null,"azp"`), "cnf-refused", clerkauth.ErrTokenClaims},
		{"not bound", session("", ""), "cnf-refused", ""},

		{"answer without revoked", opaque("ak_1", 200, replaced(`"revoked":false,`, "").Replace(key)), "answer-form", clerkauth.ErrBackendUnavailable},
		{"answer with null", opaque("ak_1", 200, replaced(`"expired":false`, `"expired":null`).Replace(key)), "answer-form", clerkauth.ErrBackendUnavailable},
		{"answer with a name in another case", opaque("ak_1", 200, replaced("{", `{"Revoked":true,`).Replace(key)), "answer-form", clerkauth.ErrBackendUnavailable},
		{"whole answer", opaque("ak_1", 200, key), "answer-form", ""},
		{"machine without a subject", opaque("mt_1", 200, replaced(`"subject":"mch_1",`, "").Replace(m2m)), "answer-ids", clerkauth.ErrTokenInvalid},
		{"machine", opaque("mt_1", 200, m2m), "answer-ids", ""},
		{"API key of a machine", opaque("ak_1", 200, replaced("user_1", "mch_1").Replace(key)), "machine-subject", clerkauth.ErrTokenClaims},
		{"API key of an organization", opaque("ak_1", 200, replaced("user_1", "org_1").Replace(key)), "machine-subject", ""},
		{"API key of a prefix", opaque("ak_1", 200, replaced("user_1", "user_").Replace(key)), "machine-subject", clerkauth.ErrTokenClaims},
		{"bound answer", opaque("ak_1", 200, replaced("{", `{"cnf":{},`).Replace(key)), "answer-cnf", clerkauth.ErrTokenClaims},
		{"bound by its claims", opaque("ak_1", 200, replaced("{", `{"claims":{"cnf":1},`).Replace(key)), "answer-cnf", clerkauth.ErrTokenClaims},
		{"not found", opaque("ak_1", 404, notFound), "answer-status", clerkauth.ErrTokenInvalid},
		{"not found by an unknown code", opaque("ak_1", 404, `{"errors":[{"code":"x"}]}`), "answer-status", clerkauth.ErrBackendUnavailable},
		{"not found by no code", opaque("ak_1", 404, `{"errors":[]}`), "answer-status", clerkauth.ErrBackendUnavailable},
		{"another error", opaque("ak_1", 500, `{}`), "answer-status", ""},
	} {
		t.Run(c.name, func(t *testing.T) {
			for _, rule := range rules {
				if rule.name != c.rule {
					continue
				}
				got := rule.answers(newReading(c.input, &sdkKeys{}))
				if c.want == "" && len(got) > 0 || c.want != "" && !slices.Contains(got, c.want) {
					t.Errorf("%s lets us answer %q, want %q", rule.name, got, c.want)
				}
				return
			}
			t.Errorf("there is no rule %s", c.rule)
		})
	}
}

// TestGrantingRulesRequireGoodTokens: the rules for what the SDK refuses and the
// library accepts apply to good tokens alone.
func TestGrantingRulesRequireGoodTokens(t *testing.T) {
	b, other := newBench(t), newBench(t)
	escaped := strings.ReplaceAll(b.pem, "\n", `\n`)
	for _, by := range []*bench{b, other} {
		token := by.token(t, testHeader, testPayload)
		for name, c := range map[string]*authCase{
			"bearer-case":      b.newCase("bearer "+token, nil),
			"no-secret-needed": b.newCase("Bearer "+token, map[string]any{"secretKey": ""}),
			"jwt-key-forms":    b.newCase("Bearer "+token, map[string]any{"jwtKey": escaped}),
		} {
			for _, rule := range rules {
				if rule.name != name {
					continue
				}
				got := slices.Contains(rule.answers(newReading(c, &sdkKeys{})), letIn)
				if got != (by == b) {
					t.Errorf("%s lets in by a good signature %v: %v", name, by == b, got)
				}
			}
		}
	}
}

// TestHasRules: if has() returns false, the rule is the one whose property the case
// has.
func TestHasRules(t *testing.T) {
	const (
		org  = `{"iat":1790000000,"v":2,"o":{"id":"org_1","rol":"admin"},"fea":"o:reports,u:export","fva":[5,5]}`
		none = `{"iat":1790000000,"v":2,"fea":"o:reports,u:export,uo:both","pla":"o:pro"}`
	)
	for _, c := range []struct{ claims, params, want string }{
		{org, `{"feature":"reports"}`, ""},
		{org, `{"permission":"org:reports:read"}`, ""},
		{org, `{"role":"admin"}`, ""},
		{org, `{"role":"org:"}`, "whole-names"},
		{org, `{"feature":"u:export:x"}`, "whole-names"},
		{org, `{"reverification":"strict"}`, ""},
		{strings.Replace(org, "1790000000", "1789999600", 1), `{"reverification":"strict"}`, "fva-ageing"},
		{strings.Replace(org, "1790000000", "1789999600", 1), `{"role":"admin"}`, ""},
		{strings.Replace(org, `"org_1"`, "7", 1), `{"feature":"reports"}`, "organization-needed"},
		{none, `{"feature":"reports"}`, "organization-needed"},
		{none, `{"feature":"o:reports"}`, "organization-needed"},
		{none, `{"feature":"org:both"}`, "organization-needed"},
		{none, `{"plan":"pro"}`, "organization-needed"},
		{none, `{"feature":"both"}`, ""},
		{none, `{"feature":"export"}`, ""},
		{none, `{"feature":"user:export"}`, ""},
		{none, `{"feature":"nothing"}`, ""},
		{none, `{}`, ""},
		{strings.Replace(none, `"v":2`, `"v":1`, 1), `{"feature":"reports"}`, ""},
		{strings.Replace(none, `"v":2`, `"v":3`, 1), `{"feature":"reports"}`, "known-version"},
		{strings.Replace(none, `"v":2`, `"sts":"x"`, 1), `{"feature":"reports"}`, "unknown-status"},
	} {
		query := &hasCase{Claims: json.RawMessage(c.claims)}
		if err := json.Unmarshal([]byte(c.params), &query.Params); err != nil {
			t.Fatal(err)
		}
		if got := (hasDecision{query: query, now: testNow}).rule(); got != c.want {
			t.Errorf("%s of %s: %q, want %q", c.params, c.claims, got, c.want)
		}
	}
}

// TestMatcherJudge compares made-up results of Any and All.
func TestMatcherJudge(t *testing.T) {
	for _, c := range []struct {
		name string
		ours matched
		sdk  string
		want class
	}{
		{"both", matched{Any: true, All: true, oneWay: true}, "true", agree},
		{"neither", matched{oneWay: true}, "false", agree},
		{"All alone", matched{All: true}, "true", unexplained},
		{"All opens more", matched{Any: true, All: true}, "false", laxer},
		{"All opens a query's path", matched{Any: true, All: true, opens: ruleWholeTarget, rule: ruleAnyReading}, "false", stricter},
		{"All opens less of an unusual path", matched{Any: true}, "true", agree},
		{"All opens less of a plain path", matched{Any: true, oneWay: true}, "true", unexplained},
		{"guards less", matched{}, "true", laxer},
		{"guards more, by a rule", matched{Any: true, rule: ruleAnyReading}, "false", stricter},
		{"guards more", matched{Any: true}, "false", unexplained},
		{"refuses, by a rule", matched{Refused: true, rule: ruleGrammar}, "true", stricter},
		{"refuses", matched{Refused: true}, "true", unexplained},
		{"both refuse", matched{Refused: true}, `{"throws":{}}`, agree},
		{"goes on", matched{}, `{"throws":{}}`, laxer},
	} {
		if v, err := c.ours.compare(json.RawMessage(c.sdk)); err != nil || v.class != c.want {
			t.Errorf("%s: %v, %v, want %v", c.name, v.class, err, c.want)
		}
	}
	for pattern, want := range map[string]bool{
		"/dashboard": false, "/dashboard(.*)": false, "(.*)": false, "/a/:id": false, "/a/:id/b/:other*": false, "/file.json": false,
		"": true, "/": true, "/a/": true, "/a//b": true, "/a(b)": true, "/:a/:a": true, "/a|b": true, "a": true, "/%41": true,
	} {
		if unusual(pattern) != want {
			t.Errorf("%q is unusual: %v", pattern, !want)
		}
	}
}
