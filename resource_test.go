package clerkauth_test

import (
	"encoding/json"
	"maps"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"testing"

	"github.com/clerkauth/clerkauth"
	"github.com/clerkauth/clerkauth/internal/testkit"
)

// TestResourceMetadata: each resource's metadata is served at the path that RFC
// 9728, section 3.1, derives from its URL, whether that ends in a slash or not, and
// nowhere else.
func TestResourceMetadata(t *testing.T) {
	r := testkit.NewRig(t, func(c *clerkauth.Config) { c.FrontendURL = "" })
	issuer := r.Server.Issuer()
	describe, err := r.Auth.ResourceMetadata(
		clerkauth.Resource{URL: "https://api.example.com"},
		clerkauth.Resource{URL: "https://api.example.com/mcp", Scopes: []string{"notes:read", "notes:write"}, Name: "Notes", Documentation: "https://example.com/docs"},
		clerkauth.Resource{URL: "https://api.example.com/mcp/v2", AuthorizationServers: []string{"https://login.example.com"}},
		clerkauth.Resource{URL: "https://api.example.com/slash/"},
	)
	if err != nil {
		t.Fatal(err)
	}
	h := describe(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(http.StatusTeapot) }))
	const wellKnown = "/.well-known/oauth-protected-resource"
	all := map[string]map[string]any{
		wellKnown: {"resource": "https://api.example.com", "authorization_servers": []any{issuer}, "bearer_methods_supported": []any{"header"}},
		wellKnown + "/mcp": {
			"resource": "https://api.example.com/mcp", "authorization_servers": []any{issuer}, "bearer_methods_supported": []any{"header"},
			"scopes_supported": []any{"notes:read", "notes:write"}, "resource_name": "Notes", "resource_documentation": "https://example.com/docs",
		},
		wellKnown + "/mcp/v2": {"resource": "https://api.example.com/mcp/v2", "authorization_servers": []any{"https://login.example.com"}, "bearer_methods_supported": []any{"header"}},
		wellKnown + "/slash/": {"resource": "https://api.example.com/slash/", "authorization_servers": []any{issuer}, "bearer_methods_supported": []any{"header"}},
		wellKnown + "//":      nil, wellKnown + "/slash//": nil, wellKnown + "/mcp/v3": nil, "/mcp" + wellKnown: nil, "/": nil, "/mcp": nil,
	}
	for served, same := range map[string]string{"": "/", "/mcp": "/mcp/", "/slash/": "/slash"} {
		all[wellKnown+same] = all[wellKnown+served]
	}
	for path, want := range all {
		w := httptest.NewRecorder()
		h.ServeHTTP(w, httptest.NewRequest(http.MethodGet, path, nil))
		if want == nil {
			if w.Code != http.StatusTeapot {
				t.Errorf("%s: %d", path, w.Code)
			}
			continue
		}
		var got map[string]any
		if err := json.Unmarshal(w.Body.Bytes(), &got); err != nil || w.Code != 200 || w.Header().Get("Content-Type") != "application/json" ||
			w.Header().Get("Access-Control-Allow-Origin") != "*" || w.Header().Get("Access-Control-Allow-Credentials") != "" {
			t.Errorf("%s: %d %v %v", path, w.Code, w.Header(), err)
		}
		if !maps.EqualFunc(got, want, func(a, b any) bool { x, _ := json.Marshal(a); y, _ := json.Marshal(b); return string(x) == string(y) }) {
			t.Errorf("%s: %v\nwant %v", path, got, want)
		}
	}
	for method, want := range map[string]int{"HEAD": 200, "OPTIONS": 204, "POST": 405, "DELETE": 405, "QUERY": 405} {
		w := httptest.NewRecorder()
		req := httptest.NewRequest(method, wellKnown+"/mcp", nil)
		req.Header.Set("Access-Control-Request-Headers", "mcp-protocol-version")
		h.ServeHTTP(w, req)
		if w.Code != want || want == 405 && w.Header().Get("Allow") != "GET, HEAD, OPTIONS" || method == "OPTIONS" && w.Header().Get("Access-Control-Allow-Headers") == "" {
			t.Errorf("%s: %d %v", method, w.Code, w.Header())
		}
	}
}

func TestInvalidResources(t *testing.T) {
	r := testkit.NewRig(t)
	for what, resources := range map[string][]clerkauth.Resource{
		"none":               nil,
		"no URL":             {{}},
		"a path":             {{URL: "/mcp"}},
		"plain http":         {{URL: "http://api.example.com/mcp"}},
		"a fragment":         {{URL: "https://api.example.com/mcp#x"}},
		"a query":            {{URL: "https://api.example.com/mcp?x=1"}},
		"credentials":        {{URL: "https://jane:x@api.example.com/mcp"}},
		"a quote":            {{URL: `https://api.example.com/m"cp`}},
		"an escape":          {{URL: "https://api.example.com/m%2Fcp"}},
		"a line break":       {{URL: "https://api.example.com/mcp\r\nX: y"}},
		"twice":              {{URL: "https://api.example.com/mcp"}, {URL: "https://api.example.com/mcp"}},
		"an empty scope":     {{URL: "https://api.example.com/mcp", Scopes: []string{""}}},
		"a scope with space": {{URL: "https://api.example.com/mcp", Scopes: []string{"a b"}}},
		"a scope in quotes":  {{URL: "https://api.example.com/mcp", Scopes: []string{`"a"`}}},
		"a server":           {{URL: "https://api.example.com/mcp", AuthorizationServers: []string{"login"}}},
		"documentation":      {{URL: "https://api.example.com/mcp", Documentation: "javascript:alert(1)"}},
	} {
		if _, err := r.Auth.ResourceMetadata(resources...); err == nil {
			t.Errorf("%s: no error", what)
		}
	}
	if _, err := r.Auth.ResourceMetadata(clerkauth.Resource{URL: "http://127.0.0.1:8080/mcp"}); err != nil {
		t.Error(err) // the control
	}
	// All errors are reported at once.
	_, err := r.Auth.ResourceMetadata(clerkauth.Resource{URL: "/mcp"}, clerkauth.Resource{URL: "/notes"})
	if err == nil || !strings.Contains(err.Error(), `"/mcp"`) || !strings.Contains(err.Error(), `"/notes"`) {
		t.Error(err)
	}
}

// TestChallenge: a refused caller learns what was wrong and what is required, in the
// form of RFC 6750, section 3, and RFC 9728, section 5.1.
func TestChallenge(t *testing.T) {
	r := testkit.NewRig(t, testkit.AcceptAll)
	describe, err := r.Auth.ResourceMetadata(clerkauth.Resource{URL: "https://api.example.com/mcp"}, clerkauth.Resource{URL: "https://api.example.com/mcp/deep"})
	if err != nil {
		t.Fatal(err)
	}
	oauth := func(claims map[string]any) string {
		now := r.Server.Now().Unix()
		all := map[string]any{"iss": r.Server.Issuer(), "sub": "user_1", "jti": "oat_1", "client_id": "client_1", "exp": now + 60, "iat": now, "scope": "notes:read", "aud": "https://api.example.com/mcp"}
		maps.Copy(all, claims)
		return r.Server.Sign(map[string]any{"alg": "RS256", "kid": r.Server.KeyID(), "typ": "at+jwt"}, all)
	}
	const (
		document = `resource_metadata="https://api.example.com/.well-known/oauth-protected-resource/mcp"`
		invalid  = `error="invalid_token", error_description=`
		lacking  = `error="insufficient_scope", error_description="the credential lacks a scope for this"`
	)
	write := clerkauth.Token(clerkauth.OAuthToken, clerkauth.Scope("notes:read"), clerkauth.Scope("notes:write"))
	for name, c := range map[string]struct {
		access clerkauth.Access
		path   string
		token  string
		status int
		want   string
	}{
		"nothing":           {write, "/mcp", "", 401, `Bearer scope="notes:read notes:write", ` + document},
		"below":             {write, "/mcp/sse", "", 401, `Bearer scope="notes:read notes:write", ` + document},
		"another resource":  {write, "/mcp/deep/x", "", 401, `Bearer scope="notes:read notes:write", ` + strings.Replace(document, "/mcp", "/mcp/deep", 1)},
		"beside":            {write, "/mcpx", "", 401, `Bearer scope="notes:read notes:write"`},
		"no scope required": {clerkauth.Token(clerkauth.OAuthToken), "/mcp", "", 401, "Bearer " + document},
		"a session's route": {clerkauth.SignedIn, "/mcp", "", 401, "Bearer " + document},
		"expired":           {write, "/mcp", oauth(map[string]any{"exp": 1}), 401, `Bearer ` + invalid + `"the token has expired; get a fresh one", scope="notes:read notes:write", ` + document},
		"wrong kind":        {write, "/mcp", r.Jane.Token(), 401, `Bearer ` + invalid + `"a token of this kind is not accepted here", scope="notes:read notes:write", ` + document},
		"lacks a scope":     {write, "/mcp", oauth(nil), 403, `Bearer ` + lacking + `, scope="notes:read notes:write", ` + document},
		"either":            {clerkauth.AnyOf(clerkauth.Role("owner"), write), "/mcp", oauth(nil), 403, `Bearer ` + lacking + `, scope="notes:read notes:write", ` + document},
		"lacks a role":      {clerkauth.AnyOf(clerkauth.Role("owner"), write), "/mcp", r.Jane.Token(), 403, ""},
		"good":              {write, "/mcp", oauth(map[string]any{"scope": "notes:read notes:write"}), 200, ""},
	} {
		t.Run(name, func(t *testing.T) {
			entered := false
			h := describe(r.Auth.Handler(r.Auth.Require(c.access)(http.HandlerFunc(func(http.ResponseWriter, *http.Request) { entered = true }))))
			w, req := httptest.NewRecorder(), httptest.NewRequest(http.MethodPost, c.path, nil)
			testkit.Bearer(c.token)(req)
			h.ServeHTTP(w, req)
			var want []string
			if c.want != "" {
				want = []string{c.want}
			}
			if got := w.Header()["Www-Authenticate"]; w.Code != c.status || entered != (c.status == 200) || !slices.Equal(got, want) {
				t.Errorf("%d %q\nwant %d %q\n%s", w.Code, got, c.status, want, w.Body)
			}
		})
	}
	// A page that no session can open is not redirected to sign-in.
	got := testkit.Serve(r.Auth.Require(write), testkit.AsPage)
	if got.Status != 401 {
		t.Error(got)
	}
}
