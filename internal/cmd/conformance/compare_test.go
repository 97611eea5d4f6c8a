package main

import (
	"encoding/json"
	"testing"
)

// TestJudge compares made-up answers that lead to each class.
func TestJudge(t *testing.T) {
	const (
		signedInAs = `{"status":"signed-in","reason":null,"tokenType":"session_token","headers":{},"auth":{"isAuthenticated":true,"userId":"user_1",
			"orgId":"org_1","orgRole":"org:admin","orgPermissions":["org:a:b","org:a:c"],"sessionStatus":null}}`
		signedOut = `{"status":"signed-out","reason":"token-invalid","tokenType":"session_token","headers":{}}`
		redirect  = `{"status":"handshake","reason":"dev-browser-missing","tokenType":"session_token",
			"headers":{"location":["https://x.test/v1/client/handshake?a=1&b=2"],"set-cookie":["c=1"]},"auth":null}`
		throws    = `{"throws":{"name":"Error","message":"no"}}`
		unknown   = `{"status":"signed-in","reason":null,"tokenType":"m2m_token","headers":{},"auth":{"isAuthenticated":true,"tokenType":"m2m_token"}}`
		ofMachine = `{"status":"signed-in","reason":null,"tokenType":"m2m_token","headers":{},"auth":{"isAuthenticated":true,"id":"mt_1","subject":"mch_1",
			"scopes":["mch_2"],"claims":{"a":1}}}`
		listed     = `{"status":"signed-out","reason":"token-type-mismatch","tokenType":null,"headers":{}}`
		authThrows = `{"status":"signed-in","reason":null,"tokenType":"session_token","headers":{},"auth":{"throws":{"name":"TypeError"}}}`
		pending    = `{"status":"signed-in","reason":null,"tokenType":"session_token","headers":{},"auth":{"isAuthenticated":false,"sessionStatus":"pending"}}`
	)
	in := func(rule, userID, role string, permissions ...string) *answer {
		return &answer{Outcome: outcomeIn, TokenType: "session_token", Rule: rule, excuses: effectsOf(rule), Auth: map[string]any{
			"isAuthenticated": true, "userId": userID, "orgId": "org_1", "orgRole": role, "orgPermissions": permissions,
		}}
	}
	all := []string{"org:a:b", "org:a:c"}
	refuse := func(rule string, reason nullable) *answer {
		return &answer{Outcome: outcomeRefuse, Reason: reason, TokenType: "session_token", Rule: rule, excuses: effectsOf(rule)}
	}
	to := func(rule, location string, cookies ...string) *answer {
		return &answer{
			Outcome: outcomeRedirect, Reason: "dev-browser-missing", TokenType: "session_token", Rule: rule, excuses: effectsOf(rule),
			Location: nullable(location), SetCookie: cookies,
		}
	}
	minimal := &answer{Outcome: outcomeIn, TokenType: "session_token", Auth: map[string]any{"isAuthenticated": true, "userId": "user_1"}}
	cookie := in("", "user_1", "org:admin", all...)
	cookie.SetCookie = []string{"c=1"}
	known := func(rule string) *answer {
		return &answer{Outcome: outcomeIn, TokenType: "m2m_token", Rule: rule, excuses: effectsOf(rule), Auth: map[string]any{
			"isAuthenticated": true, "id": "mt_1", "subject": "mch_1", "scopes": []string{"mch_2"},
		}}
	}
	machine := in("", "user_1", "org:admin", all...)
	machine.TokenType = "api_key"

	for _, c := range []struct {
		name string
		ours *answer
		sdk  string
		want class
	}{
		{"same identity", in("", "user_1", "org:admin", all...), signedInAs, agree},
		{"same identity in another order", in("", "user_1", "org:admin", "org:a:c", "org:a:b"), signedInAs, unexplained},
		{"same refusal", refuse("", "token-invalid"), signedOut, agree},
		{"same redirect", to("", "https://x.test/v1/client/handshake?b=2&a=1", "c=1"), redirect, agree},
		{"sdk gives no reason", refuse("", "session-pending"), pending, agree},
		{"sdk throws", refuse("", reasonConfiguration), throws, agree},
		{"sdk throws at the identity, nothing granted", minimal, authThrows, agree},
		{"sdk throws at the identity, refused", refuse("", "token-verification-failed"), authThrows, agree},

		{"another reason by a rule", refuse("strict-base64", "token-invalid-signature"), signedOut, sameRefusal},
		{"another reason without a rule", refuse("", "token-invalid-signature"), signedOut, unexplained},
		{"another reason by a rule about more", refuse("stale-keys", "token-invalid-signature"), signedOut, unexplained},
		{"another reason by a name that is none", refuse("no-such-rule", "token-invalid-signature"), signedOut, unexplained},

		{"refused by a rule", refuse("strict-base64", "token-invalid"), signedInAs, stricter},
		{"refused without a rule", refuse("", "token-invalid"), signedInAs, unexplained},
		{"refused by a rule about reasons", refuse("outage-reason", "token-invalid"), signedInAs, unexplained},
		{"refused instead of redirected by a rule", refuse("strict-base64", "token-invalid"), redirect, stricter},
		{"refused instead of redirected", refuse("", "token-expired"), redirect, unexplained},
		{"fewer permissions by a rule", in("claim-types", "user_1", "org:admin", "org:a:b"), signedInAs, stricter},
		{"fewer permissions by a rule about claims", in("decodable-claims", "user_1", "org:admin", "org:a:b"), signedInAs, unexplained},
		{"fewer permissions without a rule", in("", "user_1", "org:admin", "org:a:b"), signedInAs, unexplained},
		{"no role by a rule", in("claim-types", "user_1", "", all...), signedInAs, stricter},

		{"let in", in("", "user_1", "org:admin"), signedOut, laxer},
		{"let in by a rule that does not say so", in("issuer-enforced", "user_1", "org:admin"), signedOut, laxer},
		{"let in by a rule that allows it", in("bearer-case", "user_1", "org:admin"), signedOut, stricter},
		{"let in where the sdk throws", in("", "user_1", "org:admin"), throws, laxer},
		{"let in where the session is pending", in("", "user_1", "org:admin"), pending, laxer},
		{"let in instead of redirected", in("", "user_1", "org:admin"), redirect, laxer},
		{"redirected instead of refused", to("strict-base64", "https://x.test/"), signedOut, laxer},
		{"redirected where the sdk throws", to("", "https://x.test/"), throws, unexplained},
		{"one permission more", in("claim-types", "user_1", "org:admin", "org:a:b", "org:a:x"), signedInAs, laxer},
		{"another role", in("claim-types", "user_1", "org:owner", all...), signedInAs, laxer},
		{"an organization where the sdk throws at it", in("claim-types", "user_1", "org:admin"), authThrows, laxer},

		{"a machine without its claims by a rule", known("decodable-claims"), ofMachine, stricter},
		{"a machine without its claims", known(""), ofMachine, unexplained},
		{"a machine that the sdk lets in unknown", known(""), unknown, laxer},
		{"a machine that the sdk lets in unknown, by a rule", known("json-charset"), unknown, stricter},
		{"a machine at whom the sdk throws", known(""), authThrows, laxer},
		{"a machine at whom the sdk throws, by a rule", known("json-charset"), authThrows, stricter},
		{"a kind that is not listed", &answer{Outcome: outcomeRefuse, Reason: "token-type-mismatch"}, listed, agree},
		{"a kind that is not listed, called by it", refuse("", "token-type-mismatch"), listed, unexplained},

		{"another user", in("claim-types", "user_2", "org:admin", all...), signedInAs, unexplained},
		{"another token type", machine, signedInAs, unexplained},
		{"a cookie of ours", cookie, signedInAs, unexplained},
		{"another location", to("", "https://y.test/v1/client/handshake?a=1&b=2", "c=1"), redirect, unexplained},
		{"another query", to("", "https://x.test/v1/client/handshake?a=1", "c=1"), redirect, unexplained},
		{"another cookie", to("", "https://x.test/v1/client/handshake?a=1&b=2", "c=2"), redirect, unexplained},
	} {
		t.Run(c.name, func(t *testing.T) {
			v, err := c.ours.compare(json.RawMessage(c.sdk))
			if err != nil {
				t.Fatal(err)
			}
			if v.class != c.want {
				t.Errorf("it is %v (%s), want %v", v.class, v.detail, c.want)
			}
		})
	}
}

func TestHasJudge(t *testing.T) {
	for _, c := range []struct {
		allow bool
		sdk   string
		want  class
	}{
		{true, "true", agree},
		{false, "false", agree},
		{false, `{"throws":{"name":"Error"}}`, agree},
		{false, "true", unexplained},
		{true, "false", laxer},
		{true, `{"throws":{"name":"Error"}}`, laxer},
	} {
		d := hasDecision{Allow: c.allow, query: &hasCase{Claims: json.RawMessage("{}")}}
		if v, err := d.compare(json.RawMessage(c.sdk)); err != nil || v.class != c.want {
			t.Errorf("ours %v and %s: %v, %v, want %v", c.allow, c.sdk, v.class, err, c.want)
		}
	}
}
