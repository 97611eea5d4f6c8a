package catalogue

import (
	"bytes"
	"log/slog"
	"maps"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"github.com/clerkauth/clerkauth"
	"github.com/clerkauth/clerkauth/clerkauthtest"
	"github.com/clerkauth/clerkauth/internal/testkit"
)

// These rows test the subject and the audience of a credential.
var _ = addRows(rows{
	"262/subject_of_another_kind": subjectsAreOfTheKind,
	"265/token_naming_another_resource": func(t *testing.T) {
		t.Run("audiences", audiencesInsideAndOutside)
		t.Run("paths", resourcesByReadings)
		t.Run("guards", audiencesAtEachGuard)
		t.Run("among other checks", audienceAmongOthers)
		t.Run("log", missingAudienceIsTold)
	},
})

// subjectsAreOfTheKind: the subject of a credential has to be of its kind, in both
// forms.
func subjectsAreOfTheKind(t *testing.T) {
	r := testkit.NewMachineRig(t)
	owners := map[string][]string{"ak_": {"user_1", "org_1"}, "mt_": {"mch_1"}, "oat_": {"user_1"}}
	of := map[string]*clerkauthtest.Credential{"ak_": r.APIKey, "mt_": r.M2M, "oat_": r.OAuth}
	for prefix, good := range eachKind {
		for _, subject := range []string{"user_1", "org_1", "mch_1", "user_", "org_", "mch_", "USER_1", "user1", "sess_1", "ins_1", "client_1", "1", "xuser_1"} {
			answer := maps.Clone(good)
			answer["subject"] = subject
			r.Server.Answer(clerkauthtest.TokenVerify, 200, "application/json", testkit.JSON(answer))
			for form, token := range map[string]string{"opaque": prefix + "x", "JWT": of[prefix].JWT(clerkauthtest.WithClaim("sub", subject))} {
				want := false
				for _, owner := range owners[prefix] {
					want = want || owner == subject
				}
				kind := clerkauth.Token(of[prefix].Kind)
				if got := testkit.Serve(testkit.NewAuth(t, r.Server, testkit.AcceptAll).Require(kind), testkit.Bearer(token)); got.Entered != want || !want && got.Status != 401 {
					t.Errorf("%s %s for %s: %v", form, prefix, subject, got)
				}
			}
		}
	}
}

// TestProofOfPossessionIsNotSkipped: an opaque credential that is bound to a key is
// rejected, because callers are not required to prove possession of the key.
func TestProofOfPossessionIsNotSkipped(t *testing.T) {
	r := testkit.NewMachineRig(t)
	for prefix, good := range eachKind {
		for _, cnf := range []any{map[string]any{"jkt": "x"}, map[string]any{"x5t#S256": "x"}, map[string]any{}, nil, "", "x", 0, false, []any{}} {
			for _, where := range []string{"answer", "claims"} {
				answer := maps.Clone(good)
				if where == "answer" {
					answer["cnf"] = cnf
				} else {
					answer["claims"] = map[string]any{"cnf": cnf}
				}
				r.Server.Answer(clerkauthtest.TokenVerify, 200, "application/json", testkit.JSON(answer))
				if got := testkit.Serve(testkit.NewAuth(t, r.Server, testkit.AcceptAll).Require(testkit.AnyCredential), testkit.Bearer(prefix+"x")); got.Entered || got.Status != 401 {
					t.Errorf("%s with %v in its %s: %v", prefix, cnf, where, got)
				}
			}
		}
	}
}

// oauthFor returns OAuth tokens with that audience, in both forms; with nil they
// have none.
func oauthFor(r *testkit.MachineRig, audience any) map[string]string {
	c := r.Server.CreateOAuthToken(r.User, "client_1", "notes:read")
	answer := goodAnswer("clerk_idp_oauth_access_token", r.User.ID)
	answer["id"], answer["scopes"] = c.ID, []string{"notes:read"}
	jwt := c.JWT()
	if audience != nil {
		answer["aud"] = audience
		jwt = c.JWT(clerkauthtest.WithClaim("aud", audience))
	}
	r.Server.Answer(clerkauthtest.OAuthVerify, 200, "application/json", testkit.JSON(answer))
	return map[string]string{"opaque": c.Token, "JWT": jwt}
}

const (
	mcp   = "https://api.example.com/mcp"
	notes = "https://api.example.com/notes"
)

// described returns a MachineRig and the middleware that describes resources to the
// guards of its Authenticator.
func described(t *testing.T, change func(*clerkauth.Config), resources ...clerkauth.Resource) (*testkit.MachineRig, clerkauth.Middleware) {
	t.Helper()
	r := testkit.NewMachineRig(t, func(c *clerkauth.Config) {
		if change != nil {
			change(c)
		}
	})
	describe, err := r.Auth.ResourceMetadata(resources...)
	if err != nil {
		t.Fatal(err)
	}
	return r, describe
}

// at sets the target of a request, as a client writes it.
func at(target string) func(*http.Request) {
	return func(r *http.Request) {
		u := httptest.NewRequest(http.MethodGet, target, nil).URL
		r.URL, r.RequestURI = u, target
	}
}

// audiencesInsideAndOutside: inside a resource an OAuth token has to name that
// resource, outside of all the audiences of the route, in both forms, alone and
// beside sessions.
func audiencesInsideAndOutside(t *testing.T) {
	token := clerkauth.Token(clerkauth.OAuthToken)
	forNotes := clerkauth.Token(clerkauth.OAuthToken, clerkauth.Audience(notes))
	type want = map[string]bool // by the case's name
	audiences := []struct {
		name string
		aud  any
	}{
		{"ours", mcp}, {"ours with a slash", mcp + "/"}, {"two slashes", mcp + "//"}, {"a list", []string{notes, mcp}}, {"another", notes}, {"others", []string{notes, "https://x.example.com"}},
		{"none", nil}, {"empty", ""}, {"an empty list", []string{}}, {"a number", 7}, {"an object", map[string]any{mcp: true}}, {"a list with a number", []any{mcp, 7}},
		{"another case", "https://API.example.com/mcp"}, {"below", mcp + "/x"}, {"above", "https://api.example.com"}, {"another scheme", "http://api.example.com/mcp"}, {"a port", "https://api.example.com:443/mcp"},
		{"configured", "urn:api"}, {"configured and ours", []string{"urn:api", mcp}},
	}
	configured := func(c *clerkauth.Config) { c.Audience = []string{"urn:api"} }
	one := clerkauth.Resource{URL: mcp}
	loose := clerkauth.Resource{URL: mcp, InsecureAnyAudience: true}
	ours := want{"ours": true, "ours with a slash": true, "a list": true, "configured and ours": true}
	another := want{"a list": true, "another": true, "others": true}
	everything := want{}
	for _, c := range audiences {
		everything[c.name] = true
	}
	for name, c := range map[string]struct {
		change   func(*clerkauth.Config)
		resource clerkauth.Resource
		path     string
		access   clerkauth.Access
		allows   want
	}{
		"inside":                     {nil, one, "/mcp", token, ours},
		"below":                      {nil, one, "/mcp/sse", token, ours},
		"with a slash":               {nil, clerkauth.Resource{URL: mcp + "/"}, "/mcp", token, ours},
		"beside sessions":            {nil, one, "/mcp", clerkauth.AnyOf(clerkauth.SignedIn, token), ours},
		"beside Public":              {nil, one, "/mcp", clerkauth.AnyOf(clerkauth.Public, token), ours},
		"with a scope":               {nil, one, "/mcp", clerkauth.Token(clerkauth.OAuthToken, clerkauth.Scope("notes:read")), ours},
		"in the place of Config":     {configured, one, "/mcp", token, ours},
		"and another one":            {nil, one, "/mcp", forNotes, want{"a list": true}},
		"outside":                    {nil, one, "/other", token, nil},
		"outside, beside sessions":   {nil, one, "/mcpx", clerkauth.AnyOf(clerkauth.SignedIn, token), nil},
		"outside, beside Public":     {nil, one, "/other", clerkauth.AnyOf(clerkauth.Public, token), nil},
		"outside, for Config":        {configured, one, "/other", token, nil},
		"outside, for another":       {nil, one, "/other", forNotes, another},
		"outside, for ours":          {nil, one, "/other", clerkauth.Token(clerkauth.OAuthToken, clerkauth.Audience(mcp+"/")), ours},
		"outside, for one of two":    {nil, one, "/other", clerkauth.Token(clerkauth.OAuthToken, clerkauth.AnyOf(clerkauth.Audience("urn:api"), clerkauth.Audience(notes))), want{"a list": true, "another": true, "others": true, "configured": true, "configured and ours": true}},
		"outside, for both":          {nil, one, "/other", clerkauth.Token(clerkauth.OAuthToken, clerkauth.Audience("urn:api"), clerkauth.Audience(mcp)), want{"configured and ours": true}},
		"outside, both are required": {configured, one, "/other", clerkauth.Token(clerkauth.OAuthToken, clerkauth.Audience(mcp)), want{"configured and ours": true}},
		"outside, for it or Public":  {nil, one, "/other", clerkauth.AnyOf(clerkauth.Public, forNotes), another},
		"loose":                      {nil, loose, "/mcp", token, everything},
		"loose, but configured":      {configured, loose, "/mcp", token, want{"configured": true, "configured and ours": true}},
		"loose, but for another":     {nil, loose, "/mcp", forNotes, another},
	} {
		for _, audience := range audiences {
			r, describe := described(t, c.change, c.resource)
			for form, credential := range oauthFor(r, audience.aud) {
				for order, guard := range map[string]clerkauth.Middleware{
					"alone": r.Auth.Require(c.access),
					"inner": func(h http.Handler) http.Handler { return r.Auth.Handler(r.Auth.Require(c.access)(h)) },
					"twice": func(h http.Handler) http.Handler { return r.Auth.Require(c.access)(r.Auth.Require(c.access)(h)) },
				} {
					got := testkit.Serve(func(h http.Handler) http.Handler { return describe(guard(h)) }, testkit.Bearer(credential), at(c.path))
					if got.Entered != c.allows[audience.name] || !got.Entered && got.Status != 401 {
						t.Errorf("%s, %s for %s, %s: %v", name, form, audience.name, order, got)
					}
				}
			}
		}
	}
	// Without a described resource only Config.Audience is required; resources do not
	// affect other kinds.
	for _, audience := range audiences {
		r := testkit.NewMachineRig(t, configured)
		for form, credential := range oauthFor(r, audience.aud) {
			if got := testkit.Serve(r.Auth.Require(token), testkit.Bearer(credential)); got.Entered != (audience.name == "configured" || audience.name == "configured and ours") {
				t.Errorf("no resources, %s for %s: %v", form, audience.name, got)
			}
		}
	}
	r, describe := described(t, nil, one)
	for _, path := range []string{"/mcp", "/other"} {
		for _, token := range []string{r.APIKey.Token, r.APIKey.JWT(), r.M2M.Token, r.M2M.JWT(), r.Jane.Token()} {
			if got := testkit.Serve(func(h http.Handler) http.Handler { return describe(r.Auth.Require(testkit.AnyCredential)(h)) }, testkit.Bearer(token), at(path)); !got.Entered {
				t.Errorf("%s: %v", path, got)
			}
		}
	}
	machine := clerkauth.Token(clerkauth.M2MToken, clerkauth.Audience(r.Here.ID))
	for token, want := range map[string]bool{r.M2M.JWT(): true, r.M2M.JWT(clerkauthtest.WithClaim("aud", "mch_other")): false, r.M2M.Token: false} {
		if got := testkit.Serve(r.Auth.Require(machine), testkit.Bearer(token)); got.Entered != want || !want && got.Status != 401 {
			t.Errorf("a machine's audience: %v", got)
		}
	}
}

// resourcesByReadings: a request is inside every resource that any reading of its
// path is in, behind a router that accepts every path.
func resourcesByReadings(t *testing.T) {
	root := "https://api.example.com"
	guarded := clerkauth.Token(clerkauth.OAuthToken)
	for target, in := range map[string][]string{
		"/mcp": {mcp}, "/mcp/": {mcp}, "/MCP": {mcp}, "/Mcp/x": {mcp}, "/mcp;x": {mcp}, "/mcp;x=1/y": {mcp}, "/mcp.": {mcp}, "/mcp./": {mcp}, "/%6dcp": {mcp}, "/%256dcp": {mcp}, "//mcp": {mcp},
		"/./mcp": {mcp}, "/mcp/../mcp": {mcp}, "/mcp%2fx": {mcp}, `/mcp%5cx`: {mcp},
		"/x/..%2fmcp": {mcp}, "/x/../mcp": {mcp}, "/x/..;/mcp": {mcp}, "/mcp%20": {mcp},
		"/notes/..%2fmcp": {mcp, notes}, "/mcp/../notes": {mcp, notes}, "/NOTES/%2e%2e/mcp": {mcp, notes},
		"/mcp/v2": {mcp + "/v2"}, "/mcp/v2/x": {mcp + "/v2"}, "/mcp/V2./x": {mcp, mcp + "/v2"}, "/mcp/v2/..": {mcp, mcp + "/v2"}, "/mcp/v2/..%2fx": {mcp, mcp + "/v2"},
		"/": nil, "/x": nil, "/mcpx": nil, "/xmcp": nil, "/x/mcp": nil, "/mcp-x": nil, "/m/cp": nil, "/m%63": nil,
	} {
		for _, withRoot := range []bool{false, true} {
			resources := []clerkauth.Resource{{URL: mcp}, {URL: notes}, {URL: mcp + "/v2"}}
			if withRoot {
				resources = append(resources, clerkauth.Resource{URL: root})
			}
			r, describe := described(t, nil, resources...)
			guard := func(h http.Handler) http.Handler { return describe(r.Auth.Require(guarded)(h)) }
			for audience, inside := range map[string]func(string) bool{mcp: is(mcp), notes: is(notes), mcp + "/v2": is(mcp + "/v2"), root: is(root)} {
				for form, token := range oauthFor(r, audience) {
					want := len(in) > 0
					for _, resource := range in {
						want = want && inside(resource)
					}
					got := testkit.Serve(guard, testkit.Bearer(token), at(target))
					switch {
					case !withRoot && got.Entered != want, withRoot && got.Entered && len(in) > 0 && !want, withRoot && len(in) == 0 && got.Entered != (audience == root):
						t.Errorf("%s (root %v), %s for %s: %v, want %v", target, withRoot, form, audience, got, want)
					}
				}
			}
			// A token for all of these resources opens the path.
			all := append([]string{root + "/"}, in...)
			for form, token := range oauthFor(r, all) {
				if got := testkit.Serve(guard, testkit.Bearer(token), at(target)); got.Entered != (withRoot || len(in) > 0) {
					t.Errorf("%s (root %v), %s for all of them: %v", target, withRoot, form, got)
				}
			}
		}
	}
	// A path without a common reading is in no resource.
	r, describe := described(t, nil, clerkauth.Resource{URL: mcp})
	guard := func(h http.Handler) http.Handler { return describe(r.Auth.Require(guarded)(h)) }
	for _, target := range []string{"/mcp%00", "/mcp/%ff", "/" + strings.Repeat("%61", 30_000)} {
		for form, token := range oauthFor(r, mcp) {
			if got := testkit.Serve(guard, testkit.Bearer(token), at(target)); got.Entered || got.Status != 400 {
				t.Errorf("%s, %s: %v", target, form, got)
			}
		}
		if got := testkit.Serve(func(h http.Handler) http.Handler { return describe(r.Auth.Require()(h)) }, testkit.Bearer(r.Jane.Token()), at(target)); !got.Entered {
			t.Errorf("%s, a session: %v", target, got)
		}
	}
}

func is(a string) func(string) bool { return func(b string) bool { return a == b } }

// audienceAmongOthers: an audience in one branch of a Token does not refuse a caller
// who meets another branch, in both forms.
func audienceAmongOthers(t *testing.T) {
	r := testkit.NewMachineRig(t)
	of := map[clerkauth.TokenType]*clerkauthtest.Credential{clerkauth.APIKey: r.APIKey, clerkauth.OAuthToken: r.OAuth}
	scopes := map[clerkauth.TokenType]clerkauth.Access{clerkauth.APIKey: clerkauth.Scope("reports:read"), clerkauth.OAuthToken: clerkauth.Scope("notes:read")}
	named := clerkauth.Audience(mcp)
	for kind, c := range of {
		has, lacks := scopes[kind], clerkauth.Scope("admin")
		for form, token := range map[string]string{"opaque": c.Token, "JWT": c.JWT()} {
			for _, tc := range []struct {
				checks []clerkauth.Access
				want   bool
			}{
				{[]clerkauth.Access{clerkauth.AnyOf(named, has)}, true},
				{[]clerkauth.Access{clerkauth.AnyOf(clerkauth.AllOf(named, has), has)}, true},
				{[]clerkauth.Access{clerkauth.AnyOf(named, lacks)}, false},
				{[]clerkauth.Access{clerkauth.AnyOf(named, clerkauth.Audience(notes))}, false},
				{[]clerkauth.Access{has, clerkauth.AnyOf(clerkauth.AllOf(named, has), clerkauth.Audience(notes))}, false},
				{[]clerkauth.Access{clerkauth.AnyOf(named, has), named}, false},
			} {
				access := clerkauth.Token(kind, tc.checks...)
				if got := testkit.Serve(r.Auth.Require(access), testkit.Bearer(token)); got.Entered != tc.want {
					t.Errorf("%s, %s: %v, want %v", access, form, got, tc.want)
				}
			}
		}
	}
}

// audiencesAtEachGuard: each guard decides for its own route and path, whatever a
// guard around it has decided.
func audiencesAtEachGuard(t *testing.T) {
	r, describe := described(t, nil, clerkauth.Resource{URL: mcp}, clerkauth.Resource{URL: notes})
	token := clerkauth.Token(clerkauth.OAuthToken)
	naming := func(url string) clerkauth.Access {
		return clerkauth.Token(clerkauth.OAuthToken, clerkauth.Audience(url))
	}
	strip := func(h http.Handler) http.Handler { return http.StripPrefix("/mcp", h) }
	require := r.Auth.Require
	for name, c := range map[string]struct {
		layers   []clerkauth.Middleware
		path     string
		audience any
		want     bool
	}{
		"described behind the guard":        {[]clerkauth.Middleware{require(token), describe}, "/mcp", mcp, false},
		"described between two guards":      {[]clerkauth.Middleware{require(naming(mcp)), describe, require(token)}, "/mcp", mcp, true},
		"between two guards, for another":   {[]clerkauth.Middleware{require(naming(notes)), describe, require(token)}, "/mcp", notes, false},
		"the prefix is stripped":            {[]clerkauth.Middleware{describe, strip, require(token)}, "/mcp/x", mcp, true},
		"it is stripped, for another":       {[]clerkauth.Middleware{describe, strip, require(token)}, "/mcp/notes", notes, false},
		"described again when stripped":     {[]clerkauth.Middleware{describe, strip, describe, require(token)}, "/mcp/notes", mcp, false},
		"described again, for the inner":    {[]clerkauth.Middleware{describe, strip, describe, require(token)}, "/mcp/notes", notes, false},
		"described again, for both":         {[]clerkauth.Middleware{describe, strip, describe, require(token)}, "/mcp/notes", []string{mcp, notes}, true},
		"the outer one names it":            {[]clerkauth.Middleware{describe, require(naming("urn:x")), require(token)}, "/other", "urn:x", false},
		"the inner one names it":            {[]clerkauth.Middleware{describe, require(token), require(naming("urn:x"))}, "/other", "urn:x", false},
		"both name it":                      {[]clerkauth.Middleware{describe, require(naming("urn:x")), require(naming("urn:x"))}, "/other", "urn:x", true},
		"they name two":                     {[]clerkauth.Middleware{describe, require(naming("urn:x")), require(naming("urn:y"))}, "/other", "urn:x", false},
		"they name two, and it is for both": {[]clerkauth.Middleware{describe, require(naming("urn:x")), require(naming("urn:y"))}, "/other", []string{"urn:x", "urn:y"}, true},
		"public, then for it":               {[]clerkauth.Middleware{describe, require(clerkauth.Public), require(naming("urn:x"))}, "/other", "urn:x", true},
		"for it, then for none":             {[]clerkauth.Middleware{describe, require(naming("urn:x")), require(clerkauth.AnyOf(clerkauth.Public, token))}, "/other", "urn:x", false},
		"not wrapped at all":                {[]clerkauth.Middleware{require(token)}, "/mcp", mcp, false},
		"not wrapped, for it":               {[]clerkauth.Middleware{require(naming(mcp))}, "/mcp", mcp, true},
		"Protect":                           {[]clerkauth.Middleware{describe, protect(t, r, clerkauth.Rules{"/{rest...}": token})}, "/mcp", mcp, true},
		"Protect, for another":              {[]clerkauth.Middleware{describe, protect(t, r, clerkauth.Rules{"/{rest...}": token})}, "/mcp", notes, false},
		"Protect, outside":                  {[]clerkauth.Middleware{describe, protect(t, r, clerkauth.Rules{"/{rest...}": token})}, "/x", mcp, false},
	} {
		for form, credential := range oauthFor(r, c.audience) {
			got := testkit.Serve(func(h http.Handler) http.Handler {
				for i := len(c.layers) - 1; i >= 0; i-- {
					h = c.layers[i](h)
				}
				return h
			}, testkit.Bearer(credential), at(c.path))
			if got.Entered != c.want || !c.want && got.Status != 401 {
				t.Errorf("%s, %s: %v", name, form, got)
			}
		}
	}
	// Another Authenticator's routes have no described resources.
	other := testkit.NewAuth(t, r.Server, testkit.AcceptAll)
	for path, want := range map[string]bool{"/mcp": false, "/other": true} {
		for form, credential := range oauthFor(r, notes) {
			if got := testkit.Serve(func(h http.Handler) http.Handler { return describe(other.Require(token)(h)) }, testkit.Bearer(credential), at(path)); got.Entered != want {
				t.Errorf("another Authenticator at %s, %s: %v", path, form, got)
			}
		}
	}
}

func protect(t *testing.T, r *testkit.MachineRig, rules clerkauth.Rules) clerkauth.Middleware {
	t.Helper()
	protect, err := r.Auth.Protect(rules)
	if err != nil {
		t.Fatal(err)
	}
	return protect
}

// missingAudienceIsTold: tokens without an audience look like an error of the
// caller, so the log says what to set; a token for another audience is not logged.
func missingAudienceIsTold(t *testing.T) {
	var logged bytes.Buffer
	r, describe := described(t, func(c *clerkauth.Config) { c.Logger = slog.New(slog.NewTextHandler(&logged, nil)) }, clerkauth.Resource{URL: mcp})
	guard := func(h http.Handler) http.Handler {
		return describe(r.Auth.Require(clerkauth.Token(clerkauth.OAuthToken))(h))
	}
	refused := func(audience any, path string) string {
		logged.Reset()
		for _, token := range oauthFor(r, audience) {
			if got := testkit.Serve(guard, testkit.Bearer(token), at(path)); got.Status != 401 || got.Reason() != string(clerkauth.ErrTokenClaims) || strings.Contains(logged.String(), token) {
				t.Error(got)
			}
		}
		return logged.String()
	}
	if text := refused(notes, "/mcp"); text != "" {
		t.Errorf("another's is told: %s", text)
	}
	for path, words := range map[string][]string{"/mcp": {"InsecureAnyAudience", "RFC 8707"}, "/other": {"Audience(", "oauth_token"}} {
		text := refused(nil, path)
		for _, word := range words {
			if strings.Count(text, "level=WARN") != 1 || !strings.Contains(text, word) {
				t.Errorf("%s: log is %q", path, text)
			}
		}
		if text := refused(nil, path); text != "" {
			t.Errorf("%s: it is told twice: %q", path, text)
		}
	}
}

// TestAudienceAccess: an Audience is valid inside a Token alone, may not be empty,
// and prints.
func TestAudienceAccess(t *testing.T) {
	r := testkit.NewMachineRig(t)
	if got := clerkauth.Token(clerkauth.OAuthToken, clerkauth.Audience(mcp), clerkauth.Scope("a")).String(); got != "oauth_token with audience "+mcp+" and scope a" {
		t.Errorf("it prints as %q", got)
	}
	for what, access := range map[string]clerkauth.Access{
		"alone":           clerkauth.Audience(mcp),
		"empty":           clerkauth.Token(clerkauth.OAuthToken, clerkauth.Audience("")),
		"two in one":      clerkauth.Token(clerkauth.OAuthToken, clerkauth.Audience(mcp+" "+notes)),
		"of a user":       clerkauth.AllOf(clerkauth.SignedIn, clerkauth.Audience(mcp)),
		"or a user":       clerkauth.AnyOf(clerkauth.SignedIn, clerkauth.Audience(mcp)),
		"beside a token":  clerkauth.AllOf(clerkauth.Token(clerkauth.OAuthToken), clerkauth.Audience(mcp)),
		"or Public":       clerkauth.AnyOf(clerkauth.Public, clerkauth.Audience(mcp)),
		"beside a scope":  clerkauth.AllOf(clerkauth.Scope("a"), clerkauth.Audience(mcp)),
		"a control":       clerkauth.Token(clerkauth.OAuthToken, clerkauth.Audience("https://x\r\n")),
		"in a session":    clerkauth.Token(clerkauth.SessionToken, clerkauth.Audience(mcp)),
		"or a role in it": clerkauth.Token(clerkauth.OAuthToken, clerkauth.AnyOf(clerkauth.Role("admin"), clerkauth.Audience(mcp))),
	} {
		testkit.MustPanic(t, what, func() { r.Auth.Require(access) })
	}
	var who clerkauth.Auth
	for form, token := range oauthFor(r, []string{notes, mcp}) {
		guard := r.Auth.Require(testkit.AnyCredential).Func(func(_ http.ResponseWriter, req *http.Request) { who = clerkauth.FromContext(req.Context()) })
		w, req := httptest.NewRecorder(), httptest.NewRequest(http.MethodGet, "/", nil)
		testkit.Bearer(token)(req)
		guard.ServeHTTP(w, req)
		has := func(url string) bool { return who.Has(clerkauth.Token(clerkauth.OAuthToken, clerkauth.Audience(url))) }
		if !has(mcp) || !has(notes+"/") || has("https://api.example.com") || who.Has(clerkauth.Audience(mcp)) || (clerkauth.Auth{TokenType: clerkauth.OAuthToken}).Has(clerkauth.Token(clerkauth.OAuthToken, clerkauth.Audience(mcp))) {
			t.Errorf("%s: %+v", form, who)
		}
	}
}
