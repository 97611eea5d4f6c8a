package main

import (
	"encoding/json"
	"strings"
	"testing"
)

// TestBrowserRules: a rule of the browser flows is named if a request has its property, and
// not if it has a similar one.
func TestBrowserRules(t *testing.T) {
	b := newBench(t)
	const (
		suffix   = "_naoXFJnI"
		document = "document"
	)
	claims := func(replacements ...string) string {
		return b.token(t, testHeader, strings.NewReplacer(replacements...).Replace(testPayload))
	}
	good, later := claims(), claims("1790000050", "1789999960", "1790000000", "1789999900")
	handshake := func(more string, lines ...string) string {
		return b.token(t, testHeader, `{"handshake":`+string(encode(t, lines))+more+`}`)
	}
	other := claims("user_1", "user_2", "sess_1", "sess_2")
	development := map[string]any{
		"publishableKey": "pk_test_ZnVubnktZG9scGhpbi00Mi5jbGVyay5hY2NvdW50cy5kZXYk", "secretKey": "sk_test_x",
	}
	inDevelopment := claims("clerk.example.com", "funny-dolphin-42.clerk.accounts.dev")
	refresh := func(body string, status int) []bapiAnswer {
		return []bapiAnswer{{Method: "POST", Path: "/v1/sessions/sess_1/refresh", Status: status, ContentType: "application/json", Body: json.RawMessage(body)}}
	}
	renewed := func(token string, more ...string) []bapiAnswer {
		return refresh(`{"object":"cookies","cookies":`+string(encode(t, append([]string{"__session=" + token + "; Path=/"}, more...)))+`}`, 200)
	}
	signedIn := "__client_uat=1789999000; __session=" + good
	expired := "__client_uat=1789999000; __refresh" + suffix + "=r; __session=" + later

	odd := claims("1790000050", "1789999960", "1790000000", "1789999900", "sess_1", "x")
	features := "__client_uat=1789999000; __session=" + claims(`"azp"`, `"v":2,"o":{"id":"org_1"},"fea":7,"azp"`)

	for _, c := range []struct {
		name, cookie  string
		edit          func(*authCase)
		outcome, rule string
	}{
		{"signed in", signedIn, nil, "in", ""},
		{"no session", "__client_uat=1789999000", nil, "redirect", ""},
		{"an API request", "__client_uat=1789999000", header("sec-fetch-dest", "empty"), "refuse", ""},

		{"the Origin is the primary application's", "__client_uat" + suffix + "=1; x=", of(option("isSatellite", true, "domain", "sat.test", "signInUrl", "https://primary.test/"), header("origin", "https://primary.test")), "redirect", "origin-unread"},
		{"null for a session", "__client_uat=1; __session=" + b.token(t, testHeader, "null"), nil, "refuse", ""},
		{"null beside what starts a handshake", "__client_uat=1789999000; __session" + suffix + "=" + b.token(t, testHeader, "null") + "; __client_uat" + suffix + "=0", nil, "redirect", "null-payload"},

		{"a handshake", "__clerk_handshake=" + handshake("", "__session="+good), nil, "in", ""},
		{"a handshake by POST", "__clerk_handshake=" + handshake("", "__session="+good), method("POST"), "refuse", "unused-handshake"},
		{"a handshake in the query", "", target("/?__clerk_handshake=" + handshake("", "__session="+good)), "refuse", "unused-handshake"},
		{"a handshake out of date", "__clerk_handshake=" + handshake(`,"exp":1789990000`, "__session="+good), nil, "refuse", "unused-handshake"},
		{"a handshake of another issuer", "__clerk_handshake=" + handshake(`,"iss":"https://x.test"`, "__session="+good), nil, "refuse", "unused-handshake"},
		{"a cookie that begins like a session's", "__clerk_handshake=" + handshake("", "__session="+good, "__sessionx="+good), nil, "refuse", "session-directive"},
		{"a session for another host", "__clerk_handshake=" + handshake("", "__session="+good+"; Domain=other.test"), nil, "refuse", "session-directive"},
		{"a session for a parent", "__clerk_handshake=" + handshake("", "__session="+good+"; Domain=example.com"), nil, "in", ""},
		{"a template's token", "__clerk_handshake=" + handshake("", "__session="+b.token(t, strings.Replace(testHeader, "{", `{"cat":"cl_B7d4PD222AAA",`, 1), testPayload)), nil, "refuse", "session-category"},
		{"another user's session", signedIn + "; __clerk_handshake=" + handshake("", "__session="+other), nil, "redirect", "login-csrf"},
		{"another user's session, asked for", signedIn + "; __clerk_redirect_count=1; __clerk_handshake=" + handshake("", "__session="+other), nil, "in", ""},
		{"the same user's session", signedIn + "; __clerk_handshake=" + handshake("", "__session="+good), nil, "in", ""},
		{"a cookie of the application's", "__clerk_handshake=" + handshake("", "__session="+good, "theme=dark"), nil, "in", "own-cookies"},
		{"a handshake in a cookie in development", "__clerk_db_jwt=db; __clerk_handshake=" + handshake("", "__session="+inDevelopment), options(development), "redirect", "handshake-once"},
		{"a handshake in a query in development", "__clerk_db_jwt=db", of(options(development), target("/?__clerk_handshake="+handshake("", "__session="+inDevelopment))), "redirect", ""},

		{"a satellite", "__clerk_db_jwt=db", of(options(development), target("/?__clerk_redirect_url=https%3A%2F%2Fsat.example.net%2F")), "redirect", ""},
		{"an unknown satellite", "__clerk_db_jwt=db", of(options(development), target("/?__clerk_redirect_url=https%3A%2F%2Fx.test%2F")), "refuse", "known-satellites"},
		{"no satellite's URL", "__clerk_db_jwt=db", of(options(development), target("/?__clerk_redirect_url=%2Fx")), "refuse", ""},

		{"no iat", "__client_uat=1789999000; __session=" + claims(`"iat":1790000000,`, ""), nil, "redirect", "iat-required"},
		{"two sessions", signedIn + "; __session=" + other, nil, "redirect", "one-session-cookie"},
		{"one session twice", signedIn + "; __session=" + good, nil, "in", ""},
		{"two sessions, the other not chosen", signedIn + "; __session" + suffix + "=" + other, nil, "in", ""},
		{"three redirects", "__client_uat=1; __clerk_redirect_count=3", nil, "refuse", ""},
		{"four redirects", "__client_uat=1; __clerk_redirect_count=4", nil, "refuse", "loop-guard"},
		{"fewer than none", "__client_uat=1; __clerk_redirect_count=-3", nil, "redirect", "loop-guard"},
		{"another host", "__client_uat=1", option("authorizedParties", []any{"https://other.test"}), "refuse", "own-origin"},
		{"its own host", "__client_uat=1", option("authorizedParties", []any{"https://app.example.com"}), "redirect", ""},
		{"a form of another site", signedIn, of(method("POST"), header("origin", "https://x.test")), "refuse", "cross-site"},
		{"a form of its own", signedIn, of(method("POST"), header("origin", "https://app.example.com")), "in", ""},
		{"htmx", "__client_uat=1", of(header("sec-fetch-dest", "", "accept", "text/html", "hx-request", "true")), "refuse", "navigations"},
		{"no fetch metadata", "__client_uat=1", of(header("sec-fetch-dest", "", "accept", "text/html")), "redirect", ""},
		{"a prefetch", "__client_uat=1", header("sec-purpose", "prefetch"), "refuse", "speculation"},
		{"a prefetch of a session", signedIn, header("sec-purpose", "prefetch"), "in", ""},
		{"a fragment", "__client_uat=1", target("/#x"), "redirect", "no-fragment"},
		{"two proxies", "__client_uat=1", header("x-forwarded-host", "a.test, b.test"), "redirect", "public-url"},
		{"one proxy", "__client_uat=1", header("x-forwarded-host", "a.test"), "redirect", ""},
		{"a host in the path", "__client_uat=1", of(target("//x.test/"), header("x-forwarded-host", "a.test")), "redirect", "public-url"},
		{"the help of a handshake", "__client_uat=1", target("/?__clerk_help=1"), "redirect", "clean-return"},

		{"refreshed", expired, bapi(renewed(good)), "in", ""},
		{"refreshed for another user", expired, bapi(renewed(other)), "redirect", "same-session"},
		{"refreshed with a cookie of the application's", expired, bapi(renewed(good, "theme=dark")), "in", "own-cookies"},
		{"refreshed for a token beside", expired, of(bapi(renewed(good)), header("authorization", "Bearer "+claims("1790000050", "1789999960", "1790000000", "1789999901"))), "redirect", "bearer-refresh"},
		{"not refreshed", expired, bapi(refresh(`{"errors":[{"code":"expired"}]}`, 400)), "redirect", ""},
		{"not refreshed for an odd reason", expired, bapi(refresh(`{"errors":[{"code":"a b"}]}`, 400)), "redirect", "known-codes"},
		{"an outage", expired, of(bapi(refresh(`{}`, 500)), header("sec-fetch-dest", "empty")), "refuse", "outage-refused"},
		{"an outage for a document", expired, bapi(refresh(`{}`, 500)), "redirect", ""},
		{"refreshed by an odd id", strings.ReplaceAll(expired, later, odd), bapi([]bapiAnswer{{
			Method: "POST", Path: "/v1/sessions/x/refresh", Status: 200, ContentType: "application/json",
			Body: encode(t, map[string]any{"cookies": []string{"__session=" + good}}),
		}}), "redirect", "session-ids"},
		{"odd features", features, nil, "refuse", ""},
		{"odd features, from another site", features, header("referer", "https://x.test/"), "refuse", "auth-object"},
	} {
		t.Run(c.name, func(t *testing.T) {
			input := b.newCase("", nil)
			input.Request.Headers["sec-fetch-dest"] = []string{document}
			if c.cookie != "" {
				input.Request.Headers["cookie"] = []string{c.cookie}
			}
			if c.edit != nil {
				c.edit(input)
			}
			if a := decideAll(t, input)[0]; a.Outcome != c.outcome || a.Rule != c.rule {
				t.Errorf("%s (%s) by rule %q, want %s by %q", a.Outcome, a.Reason, a.Rule, c.outcome, c.rule)
			}
		})
	}
}

// The following return changes of a case.

func of(edits ...func(*authCase)) func(*authCase) {
	return func(c *authCase) {
		for _, edit := range edits {
			edit(c)
		}
	}
}

func method(m string) func(*authCase) { return func(c *authCase) { c.Request.Method = m } }

func target(path string) func(*authCase) {
	return func(c *authCase) { c.Request.URL = "https://app.example.com" + path }
}

// header sets headers; "" removes one.
func header(pairs ...string) func(*authCase) {
	return func(c *authCase) {
		for i := 0; i < len(pairs); i += 2 {
			if c.Request.Headers[pairs[i]] = []string{pairs[i+1]}; pairs[i+1] == "" {
				delete(c.Request.Headers, pairs[i])
			}
		}
	}
}

func option(pairs ...any) func(*authCase) {
	return func(c *authCase) {
		for i := 0; i < len(pairs); i += 2 {
			c.Options[pairs[i].(string)] = pairs[i+1]
		}
	}
}

func options(all map[string]any) func(*authCase) {
	return func(c *authCase) {
		for name, value := range all {
			c.Options[name] = value
		}
	}
}

func bapi(answers []bapiAnswer) func(*authCase) { return func(c *authCase) { c.BAPI = answers } }
