package catalogue

import (
	"context"
	"encoding/json"
	"errors"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/clerkauth/clerkauth"
	"github.com/clerkauth/clerkauth/clerkauthtest"
	"github.com/clerkauth/clerkauth/internal/testkit"
)

var _ = addRows(rows{
	"280/actors_that_are_agents":       actorsThatAreAgents,
	"283/custom_claim_requirements":    customClaimRequirements,
	"284/optional_and_unchecked":       optionalAndUnchecked,
	"284/readings_that_disagree":       openReadingsThatDisagree,
	"284/outer_handler":                openRoutesBehindHandler,
	"284/request_checks_elsewhere":     requestChecksElsewhere,
	"284/the_requirement_that_refused": requirementThatRefused,
})

// actorsThatAreAgents: an agent is told from a person, wherever in the chain it is, and a
// claim that cannot be read is no person.
func actorsThatAreAgents(t *testing.T) {
	r := testkit.NewMachineRig(t)
	claim := clerkauthtest.WithClaim
	person := map[string]any{"sub": "user_2"}
	agent := map[string]any{"sub": "agt_1", "type": "agent"}
	for name, c := range map[string]struct {
		act               any
		id, kind          string
		chain             int
		impersonated, one bool // one: an agent acts
	}{
		"no actor":             {nil, "", "", 0, false, false},
		"a person":             {person, "user_2", "", 0, true, false},
		"a person, typed":      {map[string]any{"sub": "user_2", "type": "user"}, "user_2", "user", 0, true, false},
		"an agent":             {agent, "agt_1", "agent", 0, true, true},
		"an agent's agent":     {map[string]any{"sub": "agt_2", "type": "agent", "act": agent}, "agt_2", "agent", 1, true, true},
		"a person, for agents": {map[string]any{"sub": "user_2", "act": map[string]any{"sub": "user_3", "act": agent}}, "user_2", "", 2, true, true},
		"a person's person":    {map[string]any{"sub": "user_2", "act": person}, "user_2", "", 1, true, false},
		"type of a number":     {map[string]any{"sub": "user_2", "type": 7}, "user_2", "", 0, true, true},
		"act in act malformed": {map[string]any{"sub": "user_2", "act": "user_3"}, "user_2", "", 1, true, true},
		"a string":             {"user_2", "", "", 0, true, true},
		"a type of its own":    {map[string]any{"sub": "user_2", "type": "Agent"}, "user_2", "Agent", 0, true, true},
		"a bot":                {map[string]any{"sub": "user_2", "type": "bot"}, "user_2", "bot", 0, true, true},
		"malformed, then type": {json.RawMessage(`{"act":["agent"],"sub":"user_2","type":"user"}`), "user_2", "user", 1, true, true},
		"null, then type":      {json.RawMessage(`{"act":null,"type":"user"}`), "", "user", 1, true, true},
		"an empty object":      {map[string]any{}, "", "", 0, true, false},
		"a list":               {[]any{person}, "", "", 0, true, true},
	} {
		var options []clerkauthtest.TokenOption
		if c.act != nil {
			options = append(options, claim("act", c.act))
		}
		token := r.Jane.Token(options...)
		who, err := r.Auth.VerifyToken(t.Context(), token)
		if err != nil {
			t.Fatalf("%s: %v", name, err)
		}
		if who.Actor.ID != c.id || who.Actor.Type != c.kind || len(who.Actor.Chain()) != c.chain {
			t.Errorf("%s: %+v behind %v", name, who.Actor, who.Actor.Chain())
		}
		if (who.Actor != clerkauth.Actor{}) != (c.act != nil) {
			t.Errorf("%s: somebody acts, or nobody: %+v", name, who.Actor)
		}
		for requirement, met := range map[clerkauth.Access]bool{clerkauth.NotImpersonated: !c.impersonated, clerkauth.NotAgent: !c.one, clerkauth.SignedIn: true} {
			want := http.StatusOK
			if !met {
				want = http.StatusForbidden
			}
			r.Want(t, token, want, "", requirement)
			if who.Has(requirement) != met {
				t.Errorf("%s: Has(%v) is %t", name, requirement, !met)
			}
		}
	}
	oauth := r.Server.CreateOAuthToken(r.User, "client_1")
	oauth.SetClaims(map[string]any{"act": agent})
	token := oauth.JWT(clerkauthtest.WithClaim("act", agent))
	var who clerkauth.Auth
	h := r.Auth.Require(clerkauth.Token(clerkauth.OAuthToken)).Func(func(_ http.ResponseWriter, r *http.Request) { who = clerkauth.FromContext(r.Context()) })
	testkit.Serve(func(http.Handler) http.Handler { return h }, testkit.Bearer(token))
	if who.Actor.ID != "agt_1" || !who.Actor.Agent() {
		t.Errorf("an OAuth token's actor: %+v", who)
	}
}

// customClaimRequirements: a claim is met by exactly one of the strings, and by nothing
// else; what has a requirement of its own, and what users write, cannot be required.
func customClaimRequirements(t *testing.T) {
	r := testkit.NewMachineRig(t)
	admin := clerkauth.Claim("metadata.role", "admin", "owner")
	dotted := clerkauth.ClaimPath([]string{"https://example.com/role"}, "admin")
	deep := clerkauth.ClaimPath([]string{"a", "b.c", "d"}, "x")
	claim := clerkauthtest.WithClaim
	role := func(v any) clerkauthtest.TokenOption { return claim("metadata", map[string]any{"role": v}) }
	for name, c := range map[string]struct {
		access clerkauth.Access
		token  []clerkauthtest.TokenOption
		met    bool
	}{
		"the value":              {admin, []clerkauthtest.TokenOption{role("admin")}, true},
		"another of them":        {admin, []clerkauthtest.TokenOption{role("owner")}, true},
		"another value":          {admin, []clerkauthtest.TokenOption{role("member")}, false},
		"other case":             {admin, []clerkauthtest.TokenOption{role("Admin")}, false},
		"with a space":           {admin, []clerkauthtest.TokenOption{role("admin ")}, false},
		"no claim":               {admin, nil, false},
		"null":                   {admin, []clerkauthtest.TokenOption{role(nil)}, false},
		"a number":               {clerkauth.Claim("metadata.role", "7"), []clerkauthtest.TokenOption{role(7)}, false},
		"a boolean":              {clerkauth.Claim("metadata.role", "true"), []clerkauthtest.TokenOption{role(true)}, false},
		"a list":                 {admin, []clerkauthtest.TokenOption{role([]string{"admin"})}, false},
		"an object":              {admin, []clerkauthtest.TokenOption{role(map[string]any{"admin": "admin"})}, false},
		"the parent is a string": {admin, []clerkauthtest.TokenOption{claim("metadata", "admin")}, false},
		"the parent is a list":   {admin, []clerkauthtest.TokenOption{claim("metadata", []any{map[string]any{"role": "admin"}})}, false},
		"a member with a dot":    {admin, []clerkauthtest.TokenOption{claim("metadata.role", "admin")}, false},
		"name in other case":     {admin, []clerkauthtest.TokenOption{claim("Metadata", map[string]any{"role": "admin"})}, false},
		"a name with dots":       {dotted, []clerkauthtest.TokenOption{claim("https://example.com/role", "admin")}, true},
		"its dots as a path":     {dotted, []clerkauthtest.TokenOption{claim("https://example", map[string]any{"com/role": "admin"})}, false},
		"deep":                   {deep, []clerkauthtest.TokenOption{claim("a", map[string]any{"b.c": map[string]any{"d": "x"}})}, true},
		"not as deep":            {deep, []clerkauthtest.TokenOption{claim("a", map[string]any{"b.c": "x"})}, false},
		"an unknown version":     {admin, []clerkauthtest.TokenOption{role("admin"), claim("v", 3)}, false},
		"version 1":              {admin, []clerkauthtest.TokenOption{role("admin"), clerkauthtest.Version1()}, true},
		"beside a role":          {clerkauth.AllOf(admin, clerkauth.Role("admin")), []clerkauthtest.TokenOption{role("admin")}, true},
		"or a role":              {clerkauth.AnyOf(admin, clerkauth.Role("admin")), nil, true},
	} {
		want := http.StatusOK
		if !c.met {
			want = http.StatusForbidden
		}
		t.Run(name, func(t *testing.T) { r.Want(t, r.Jane.Token(c.token...), want, "", c.access) })
	}
	r.Want(t, "", http.StatusUnauthorized, clerkauth.ErrTokenMissing, admin)
	if (clerkauth.Auth{UserID: "user_1"}).Has(admin) {
		t.Error("an Auth made by hand has a claim")
	}

	// Of a machine, in its Token.
	tenant := clerkauth.Token(clerkauth.APIKey, clerkauth.Claim("tenant", "acme"))
	for claimed, want := range map[string]int{"acme": 200, "other": 403} {
		key := r.Server.CreateAPIKey(r.User)
		key.SetClaims(map[string]any{"tenant": claimed})
		r.Want(t, key.Token, want, "", tenant)
	}
	r.Want(t, r.Jane.Token(claim("tenant", "acme")), 401, clerkauth.ErrTokenType, tenant)

	for name, access := range map[string]func() clerkauth.Access{
		"sub":             func() clerkauth.Access { return clerkauth.Claim("sub", "user_1") },
		"o.rol":           func() clerkauth.Access { return clerkauth.Claim("o.rol", "admin") },
		"org_role":        func() clerkauth.Access { return clerkauth.Claim("org_role", "org:admin") },
		"fva":             func() clerkauth.Access { return clerkauth.Claim("fva", "0") },
		"azp":             func() clerkauth.Access { return clerkauth.Claim("azp", "https://app.example.com") },
		"act.sub":         func() clerkauth.Access { return clerkauth.Claim("act.sub", "user_1") },
		"scope":           func() clerkauth.Access { return clerkauth.Token(clerkauth.APIKey, clerkauth.Claim("scope", "a")) },
		"unsafe_metadata": func() clerkauth.Access { return clerkauth.Claim("unsafe_metadata.role", "admin") },
		"deeper unsafe":   func() clerkauth.Access { return clerkauth.Claim("user.unsafe_metadata.role", "admin") },
		"unsafeMetadata":  func() clerkauth.Access { return clerkauth.ClaimPath([]string{"unsafeMetadata", "role"}, "admin") },
		"no name":         func() clerkauth.Access { return clerkauth.Claim("", "admin") },
		"an empty name":   func() clerkauth.Access { return clerkauth.Claim("metadata..role", "admin") },
		"no path":         func() clerkauth.Access { return clerkauth.ClaimPath(nil, "admin") },
		"no value":        func() clerkauth.Access { return clerkauth.Claim("metadata.role") },
		"an empty value":  func() clerkauth.Access { return clerkauth.Claim("metadata.role", "admin", "") },
	} {
		testkit.MustPanic(t, name, func() { r.Auth.Require(access()) })
		testkit.MustPanic(t, name+", among others", func() {
			r.Auth.NewServeMux().HandleFunc("/", clerkauth.AnyOf(clerkauth.SignedIn, access()), testkit.NoContent)
		})
		if _, err := r.Auth.Protect(clerkauth.Rules{"/x": access()}); err == nil {
			t.Errorf("%s is a rule", name)
		}
	}
}

// optionalAndUnchecked: what Public, Optional and Unchecked make of each credential, in all
// ways to guard a handler; the latter two stand alone.
func optionalAndUnchecked(t *testing.T) {
	r := testkit.NewMachineRig(t)
	good, expired := r.Jane.Token(), r.Jane.Token(clerkauthtest.ExpiresIn(-time.Hour))
	away := testkit.NewAuth(t, r.Server, func(c *clerkauth.Config) {
		c.Transport = testkit.RoundTripFunc(func(*http.Request) (*http.Response, error) { return nil, errors.New("away") })
	})
	for name, c := range map[string]struct {
		auth                        *clerkauth.Authenticator
		token                       string
		public, optional, unchecked int
		user                        bool // Public and Optional know the user
		err                         error
	}{
		"no credential":    {r.Auth, "", 200, 200, 200, false, nil},
		"a good one":       {r.Auth, good, 200, 200, 200, true, nil},
		"an expired one":   {r.Auth, expired, 401, 200, 200, false, clerkauth.ErrTokenExpired},
		"a broken one":     {r.Auth, good + "x", 401, 200, 200, false, clerkauth.ErrTokenInvalid},
		"a machine's":      {r.Auth, r.APIKey.Token, 200, 200, 200, false, clerkauth.ErrTokenType},
		"of another party": {r.Auth, "cron-secret", 200, 200, 200, false, clerkauth.ErrTokenInvalid},
		"keys away":        {away, good, 200, 200, 200, false, clerkauth.ErrUnavailable},
	} {
		for access, want := range map[clerkauth.Access]int{clerkauth.Public: c.public, clerkauth.Optional: c.optional, clerkauth.Unchecked: c.unchecked} {
			for way, guard := range guardsOf(t, c.auth, access) {
				var who clerkauth.Auth
				entered := false
				got := testkit.Serve(func(http.Handler) http.Handler {
					return guard(http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) { entered, who = true, clerkauth.FromContext(r.Context()) }))
				}, testkit.Bearer(c.token))
				if got.Status != want || entered != (want == 200) {
					t.Errorf("%s, %v by %s: %v", name, access, way, got)
				}
				switch {
				case !entered:
				case access == clerkauth.Unchecked:
					if who != (clerkauth.Auth{}) || got.Header.Get("Vary") != "" {
						t.Errorf("%s, %v by %s: %+v, Vary %q", name, access, way, who, got.Header.Get("Vary"))
					}
				case who.SignedIn() != c.user, !errors.Is(who.Err(), c.err):
					t.Errorf("%s, %v by %s: %+v, %v", name, access, way, who, who.Err())
				}
			}
		}
	}
	// They stand alone.
	for _, open := range []clerkauth.Access{clerkauth.Optional, clerkauth.Unchecked} {
		for _, access := range []clerkauth.Access{
			clerkauth.AllOf(open), clerkauth.AnyOf(open), clerkauth.AllOf(open, clerkauth.SignedIn), clerkauth.AnyOf(clerkauth.SignedIn, open),
			clerkauth.AllOf(clerkauth.AnyOf(open, clerkauth.Public), clerkauth.SignedIn), clerkauth.Token(clerkauth.APIKey, open),
		} {
			testkit.MustPanic(t, access.String(), func() { r.Auth.Require(access) })
		}
		testkit.MustPanic(t, "two requirements", func() { r.Auth.Require(open, clerkauth.SignedIn) })
		if got := testkit.Serve(r.Auth.Require(open), func(r *http.Request) { r.Method = http.MethodConnect }); got.Status != 400 {
			t.Errorf("CONNECT to %v: %v", open, got)
		}
	}
}

// guardsOf returns all ways to put an access in front of a handler.
func guardsOf(t *testing.T, auth *clerkauth.Authenticator, access clerkauth.Access) map[string]clerkauth.Middleware {
	t.Helper()
	return map[string]clerkauth.Middleware{
		"Require": auth.Require(access),
		"ServeMux": func(next http.Handler) http.Handler {
			mux := auth.NewServeMux()
			mux.Handle("/", access, next)
			return mux
		},
		"Protect": func(next http.Handler) http.Handler {
			protect, err := auth.Protect(clerkauth.Rules{"/{rest...}": access})
			if err != nil {
				t.Fatal(err)
			}
			return protect(next)
		},
		"Check": func(next http.Handler) http.Handler {
			return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
				ctx, err := auth.Check(r, access)
				var refusal *clerkauth.Error
				if errors.As(err, &refusal) {
					w.WriteHeader(refusal.Status)
					return
				}
				next.ServeHTTP(w, r.WithContext(ctx))
			})
		},
	}
}

// openReadingsThatDisagree: where a path is read in several ways, the strictest rule of
// all counts.
func openReadingsThatDisagree(t *testing.T) {
	r := testkit.NewRig(t)
	expired := r.Jane.Token(clerkauthtest.ExpiresIn(-time.Hour))
	protect, err := r.Auth.Protect(clerkauth.Rules{
		"/unchecked": clerkauth.Unchecked, "/optional": clerkauth.Optional, "/public": clerkauth.Public, "/guarded": clerkauth.SignedIn, "/{rest...}": clerkauth.Unchecked,
	})
	if err != nil {
		t.Fatal(err)
	}
	for path, want := range map[string]int{
		"/unchecked": 200, "/optional": 200, "/public": 401, "/guarded": 401, "/other": 200,
		"/x/../public": 401, "/x/%2e%2e/public": 401, "/x/../guarded": 401, "/x/../optional": 200, "/x/../unchecked": 200, "//guarded": 401, "/public/../guarded": 401,
	} {
		got := testkit.Serve(protect, testkit.Bearer(expired), func(r *http.Request) {
			r.URL.Path, r.URL.RawPath = strings.ReplaceAll(path, "%2e", "."), ""
			if strings.Contains(path, "%") {
				r.URL.RawPath = path
			}
		})
		if got.Status != want {
			t.Errorf("%s: %v, want %d", path, got, want)
		}
	}
}

// openRoutesBehindHandler: Handler decides first, what is nested decides anew.
func openRoutesBehindHandler(t *testing.T) {
	r := testkit.NewRig(t)
	good, expired := r.Jane.Token(), r.Jane.Token(clerkauthtest.ExpiresIn(-time.Hour))
	inside := func(outer, inner clerkauth.Middleware) clerkauth.Middleware {
		return func(next http.Handler) http.Handler { return outer(inner(next)) }
	}
	unchecked, optional, signedIn, public := r.Auth.Require(clerkauth.Unchecked), r.Auth.Require(clerkauth.Optional), r.Auth.Require(), r.Auth.Require(clerkauth.Public)
	for name, c := range map[string]struct {
		guard         clerkauth.Middleware
		good, expired int
		user          bool
	}{
		"Unchecked in Handler":  {inside(r.Auth.Handler, unchecked), 200, 401, false},
		"Optional in Handler":   {inside(r.Auth.Handler, optional), 200, 401, true},
		"SignedIn in Unchecked": {inside(unchecked, signedIn), 200, 401, true},
		"Unchecked in SignedIn": {inside(signedIn, unchecked), 200, 401, false},
		"SignedIn in both":      {inside(r.Auth.Handler, inside(unchecked, signedIn)), 200, 401, true},
		"SignedIn in Optional":  {inside(optional, signedIn), 200, 401, true},
		"Public in Optional":    {inside(optional, public), 200, 401, true},
		"Optional in Optional":  {inside(optional, optional), 200, 200, true},
		"Optional in Unchecked": {inside(unchecked, optional), 200, 200, true},
	} {
		if got := testkit.Serve(c.guard, testkit.Bearer(good)); got.Status != c.good || strings.Contains(got.Body, r.Jane.User.ID) != c.user {
			t.Errorf("%s: %v", name, got)
		}
		if got := testkit.Serve(c.guard, testkit.Bearer(expired)); got.Status != c.expired || strings.Contains(got.Body, r.Jane.User.ID) {
			t.Errorf("%s, expired: %v", name, got)
		}
	}
}

// requestChecksElsewhere: a check of the request gets it, and is not met without one.
func requestChecksElsewhere(t *testing.T) {
	r := testkit.NewRig(t)
	calls := 0
	own := clerkauth.CheckRequest("own header", func(req *http.Request, who clerkauth.Auth) (bool, error) {
		calls++
		if req.Header.Get("X-Fails") != "" {
			return true, errors.New("away")
		}
		return req.Header.Get("X-User") == who.UserID, nil
	})
	header := func(name, value string) func(*http.Request) {
		return func(r *http.Request) { r.Header.Set(name, value) }
	}
	for name, c := range map[string]struct {
		edits []func(*http.Request)
		want  int
		calls int
	}{
		"met":              {[]func(*http.Request){testkit.Bearer(r.Jane.Token()), header("X-User", r.Jane.User.ID)}, 200, 1},
		"not met":          {[]func(*http.Request){testkit.Bearer(r.Jane.Token()), header("X-User", "user_2")}, 403, 1},
		"failed":           {[]func(*http.Request){testkit.Bearer(r.Jane.Token()), header("X-Fails", "1")}, 503, 1},
		"without a caller": {[]func(*http.Request){header("X-User", "")}, 401, 0},
	} {
		calls = 0
		if got := testkit.Serve(r.Auth.Require(own), c.edits...); got.Status != c.want || calls != c.calls {
			t.Errorf("%s: %v, %d calls", name, got, calls)
		}
	}
	calls = 0
	who, err := r.Auth.VerifyToken(t.Context(), r.Jane.Token())
	if err != nil {
		t.Fatal(err)
	}
	if who.Has(own) || who.Has(clerkauth.AllOf(clerkauth.SignedIn, own)) || !who.Has(clerkauth.AnyOf(own, clerkauth.SignedIn)) || calls != 0 {
		t.Errorf("without a request it is met, or asked %d times", calls)
	}
	testkit.MustPanic(t, "no function", func() { r.Auth.Require(clerkauth.CheckRequest("own header", nil)) })
	testkit.MustPanic(t, "no name", func() {
		r.Auth.Require(clerkauth.CheckRequest(" ", func(*http.Request, clerkauth.Auth) (bool, error) { return true, nil }))
	})
}

// requirementThatRefused: an ErrorHandler and Check are told which requirement refused,
// the caller is not.
func requirementThatRefused(t *testing.T) {
	r := testkit.NewMachineRig(t)
	check := clerkauth.CheckFunc("paid", func(context.Context, clerkauth.Auth) (bool, error) { return false, nil })
	for want, c := range map[string]struct {
		access clerkauth.Access
		token  string
	}{
		"role owner":                     {clerkauth.AllOf(clerkauth.SignedIn, clerkauth.Role("owner"), check), r.Jane.Token()},
		"check paid":                     {clerkauth.AllOf(clerkauth.Role("admin"), check), r.Jane.Token()},
		`claim tier "x"`:                 {clerkauth.Claim("tier", "x"), r.Jane.Token()},
		"signed in":                      {clerkauth.SignedIn, ""},
		"api_key with scope admin:write": {clerkauth.Token(clerkauth.APIKey, clerkauth.Scope("admin:write")), r.APIKey.Token},
	} {
		var told string
		auth := testkit.NewAuth(t, r.Server, testkit.AcceptAll, func(c *clerkauth.Config) {
			c.ErrorHandler = func(w http.ResponseWriter, _ *http.Request, err *clerkauth.Error) { told = err.Requirement }
		})
		testkit.Serve(auth.Require(c.access), testkit.Bearer(c.token))
		if told != want {
			t.Errorf("%v: %q", c.access, told)
		}
		req, _ := http.NewRequest(http.MethodGet, "/", nil)
		testkit.Bearer(c.token)(req)
		_, err := auth.Check(req, c.access)
		var refusal *clerkauth.Error
		if !errors.As(err, &refusal) || refusal.Requirement != want || strings.Contains(refusal.Error(), want) {
			t.Errorf("Check(%v): %+v", c.access, refusal)
		}
		if text, err := json.Marshal(refusal); err != nil || strings.Contains(string(text), "equirement") {
			t.Errorf("%v: as JSON %s, %v", c.access, text, err)
		}
		if got := testkit.Serve(r.Auth.Require(c.access), testkit.Bearer(c.token)); strings.Contains(got.Body, want) || strings.Contains(strings.Join(got.Header["Www-Authenticate"], ""), "requirement") {
			t.Errorf("%v: the caller is told %v", c.access, got)
		}
	}
}
