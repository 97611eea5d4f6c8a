package catalogue

import (
	"context"
	"errors"
	"io"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"testing"
	"time"
	"unsafe"

	"github.com/clerkauth/clerkauth"
	"github.com/clerkauth/clerkauth/clerkauthtest"
	"github.com/clerkauth/clerkauth/internal/testkit"
)

var _ = addRows(rows{
	"285/configured_credential":          configuredCredential,
	"285/credential_of_another_site":     credentialOfAnotherSite,
	"285/identity_of_another_credential": identityOfAnotherOwnCredential,
	"286/identity_of_CheckToken":         testkit.Bubble(identityOfCheckToken),
	"285/request_that_changes":           requestThatChanges,
	"286/memory_that_is_reused":          memoryThatIsReused,
	"286/tokens_of_another_resource":     tokensOfAnotherResource,
	"286/requirements_of_CheckToken":     requirementsOfCheckToken,
})

const ownHeader = "X-Token"

// fromHeader is a Config.Credential that reads a header of the application's own.
func fromOwnHeader(c *clerkauth.Config) {
	c.Credential = func(r *http.Request) string { return r.Header.Get(ownHeader) }
}

func own(token string) func(*http.Request) {
	return func(r *http.Request) { r.Header.Set(ownHeader, token) }
}

func setHeader(name, value string) func(*http.Request) {
	return func(r *http.Request) { r.Header.Set(name, value) }
}

// configuredCredential: the token is read where the function says, and in no other form
// than in an Authorization header.
func configuredCredential(t *testing.T) {
	r := testkit.NewMachineRig(t, fromOwnHeader)
	good, expired := r.Jane.Token(), r.Jane.Token(clerkauthtest.ExpiresIn(-time.Hour))
	noParty := r.Jane.Token(clerkauthtest.WithoutParty())
	cookie := func(value string) func(*http.Request) {
		return func(r *http.Request) { r.AddCookie(&http.Cookie{Name: "any", Value: value}) }
	}
	key := clerkauth.AnyOf(clerkauth.SignedIn, clerkauth.Token(clerkauth.APIKey))
	for name, c := range map[string]struct {
		edits  []func(*http.Request)
		status int
		reason clerkauth.Reason
	}{
		"good":                        {[]func(*http.Request){own(good)}, 200, ""},
		"an API key":                  {[]func(*http.Request){own(r.APIKey.Token)}, 200, ""},
		"none":                        {nil, 401, clerkauth.ErrTokenMissing},
		"expired":                     {[]func(*http.Request){own(expired)}, 401, clerkauth.ErrTokenExpired},
		"with its scheme":             {[]func(*http.Request){own("Bearer " + good)}, 401, clerkauth.ErrTokenInvalid},
		"with a space":                {[]func(*http.Request){own(good + " ")}, 401, clerkauth.ErrTokenInvalid},
		"two":                         {[]func(*http.Request){own(good + "," + good)}, 401, clerkauth.ErrTokenInvalid},
		"beside an Authorization":     {[]func(*http.Request){own(good), testkit.Bearer(expired)}, 401, clerkauth.ErrTokenExpired},
		"beside Basic":                {[]func(*http.Request){own(good), setHeader("Authorization", "Basic eDp5")}, 401, clerkauth.ErrTokenMissing},
		"beside an empty one":         {[]func(*http.Request){own(good), setHeader("Authorization", "")}, 401, clerkauth.ErrTokenMissing},
		"no azp":                      {[]func(*http.Request){own(noParty)}, 401, clerkauth.ErrTokenParty},
		"the Authorization is better": {[]func(*http.Request){own(expired), testkit.Bearer(good)}, 200, ""},
	} {
		t.Run(name, func(t *testing.T) {
			testkit.WantReply(t, testkit.Serve(r.Auth.Require(key), c.edits...), c.status, c.reason)
		})
	}

	// What a response depends on is not known, so that no cache may serve it to another.
	for vary, guard := range map[string]clerkauth.Middleware{"*": r.Auth.Handler, "Authorization, Cookie": testkit.NewRig(t).Auth.Handler} {
		if got := testkit.Serve(guard); strings.Join(got.Header["Vary"], ", ") != vary {
			t.Errorf("Vary is %q, want %q", got.Header["Vary"], vary)
		}
	}

	// A value that is in a cookie as well may have been sent by a browser.
	for missing, want := range map[clerkauth.MissingParty][2]int{
		clerkauth.RefuseMissing: {401, 401}, clerkauth.AllowMissingFromHeader: {200, 401}, clerkauth.AllowMissingFromCookie: {401, 200}, clerkauth.AllowMissing: {200, 200},
	} {
		auth := testkit.NewAuth(t, r.Server, fromOwnHeader, func(c *clerkauth.Config) { c.MissingParty = missing })
		for i, edits := range [][]func(*http.Request){{own(noParty)}, {own(noParty), cookie(noParty)}} {
			if got := testkit.Serve(auth.Require(), edits...); got.Status != want[i] {
				t.Errorf("MissingParty %d, in a cookie %t: %v", missing, i == 1, got)
			}
		}
		if got := testkit.Serve(auth.Require(), own(noParty), cookie(strings.Replace(noParty, ".", "%2E", 1))); got.Status != want[1] {
			t.Errorf("MissingParty %d, in a cookie, encoded: %v", missing, got)
		}
	}

	// A panic is the caller's to bear, on public routes, too, and tells nobody the token.
	var log testkit.Log
	panics := testkit.NewAuth(t, r.Server, func(c *clerkauth.Config) {
		c.Logger = slog.New(slog.NewTextHandler(&log, nil))
		c.Credential = func(*http.Request) string { panic(good) }
	})
	for _, guard := range []clerkauth.Middleware{panics.Require(), panics.Handler, panics.Require(clerkauth.Public)} {
		testkit.WantReply(t, testkit.Serve(guard), 401, clerkauth.ErrTokenInvalid)
	}
	testkit.WantReply(t, testkit.Serve(panics.Require(), testkit.Bearer(good)), 200, "")
	testkit.WantReply(t, testkit.Serve(panics.Require(clerkauth.Unchecked)), 200, "")
	testkit.WantReply(t, testkit.Serve(panics.Require(clerkauth.Optional)), 200, "")
	if out := log.String(); strings.Contains(out, good) || !strings.Contains(out, "panicked") {
		t.Errorf("logged %q", out)
	}

	// The body is the handler's.
	if got := testkit.Serve(r.Auth.Require(), own(good), func(r *http.Request) {
		r.Method, r.Body = http.MethodPost, io.NopCloser(strings.NewReader("the body"))
	}); !strings.Contains(got.Body, "the body") {
		t.Errorf("the body is gone: %v", got)
	}
	calls := 0
	counted := testkit.NewAuth(t, r.Server, func(c *clerkauth.Config) {
		c.Credential = func(r *http.Request) string { calls++; return r.Header.Get(ownHeader) }
	})
	testkit.Serve(counted.Require(), own(good))
	testkit.Serve(counted.Require(), testkit.Bearer(good))
	testkit.Serve(counted.Require(clerkauth.Unchecked), own(good))
	if calls != 1 {
		t.Errorf("one guard and one token: %d calls", calls)
	}
}

// credentialOfAnotherSite: what a browser may send by itself is believed where it comes
// from this site or an authorized party.
func credentialOfAnotherSite(t *testing.T) {
	r := testkit.NewMachineRig(t, fromOwnHeader)
	anyParty := testkit.NewAuth(t, r.Server, fromOwnHeader, testkit.AnyParty)
	good, host := r.Jane.Token(), "api.example.com"
	upgrade := setHeader("Upgrade", "websocket")
	method := func(m string) func(*http.Request) { return func(r *http.Request) { r.Method = m } }
	origin := func(o string) func(*http.Request) { return setHeader("Origin", o) }
	site := func(s string) func(*http.Request) { return setHeader("Sec-Fetch-Site", s) }
	party := r.Server.Origin()
	type edits = []func(*http.Request)
	for name, c := range map[string]struct {
		edits     edits
		in, anyIn bool // with AuthorizedParties, and with InsecureAnyParty
	}{
		"GET":                              {edits{method("GET")}, true, true},
		"GET of another site":              {edits{method("GET"), site("cross-site"), origin("https://evil.example")}, true, true},
		"POST of a program":                {edits{method("POST")}, true, true},
		"POST of this origin":              {edits{method("POST"), site("same-origin"), origin("https://" + host)}, true, true},
		"POST of the address bar":          {edits{method("POST"), site("none")}, true, true},
		"POST of another site":             {edits{method("POST"), site("cross-site"), origin("https://evil.example")}, false, false},
		"POST of a sibling":                {edits{method("POST"), site("same-site"), origin("https://www.example.com")}, false, false},
		"POST of a party":                  {edits{method("POST"), site("cross-site"), origin(party)}, true, false},
		"POST of an old browser, own":      {edits{method("POST"), origin("https://" + host)}, true, true},
		"POST of an old browser, other":    {edits{method("POST"), origin("https://evil.example")}, false, false},
		"DELETE of another site":           {edits{method("DELETE"), site("cross-site"), origin("null")}, false, false},
		"websocket of this origin":         {edits{method("GET"), upgrade, origin("https://" + host)}, true, true},
		"websocket of a party":             {edits{method("GET"), upgrade, origin(party)}, true, false},
		"websocket of another site":        {edits{method("GET"), upgrade, origin("https://evil.example")}, false, false},
		"websocket of a party's lookalike": {edits{method("GET"), upgrade, origin(party + ".evil.example")}, false, false},
		"websocket of null":                {edits{method("GET"), upgrade, origin("null")}, false, false},
		"websocket without Origin":         {edits{method("GET"), upgrade}, false, false},
		"websocket of two Origins":         {edits{method("GET"), upgrade, func(r *http.Request) { r.Header["Origin"] = []string{party, party} }}, false, false},
		"upgrade, empty":                   {edits{method("GET"), setHeader("Upgrade", "")}, false, false},
	} {
		for which, auth := range map[string]*clerkauth.Authenticator{"parties": r.Auth, "any": anyParty} {
			in := c.in
			if which == "any" {
				in = c.anyIn
			}
			all := append(edits{func(r *http.Request) { r.Host = host }, own(good)}, c.edits...)
			got := testkit.Serve(auth.Require(), all...)
			if in {
				testkit.WantReply(t, got, 200, "")
			} else if got.Status != 403 || got.Reason() != string(clerkauth.ErrCrossSite) || got.Header.Get("WWW-Authenticate") != "" {
				t.Errorf("%s, %s: %v", name, which, got)
			}
			for way, guard := range map[string]clerkauth.Middleware{"Handler": auth.Handler, "Public": auth.Require(clerkauth.Public), "Optional": auth.Require(clerkauth.Optional)} {
				if got := testkit.Serve(guard, all...); got.Status != 200 || strings.Contains(got.Body, r.Jane.User.ID) != in {
					t.Errorf("%s, %s, %s: %v", name, which, way, got)
				}
			}
			// A bearer is not sent by a browser alone, and where nothing is read nothing is judged.
			testkit.WantReply(t, testkit.Serve(auth.Require(), append(all, testkit.Bearer(good))...), 200, "")
			testkit.WantReply(t, testkit.Serve(auth.Require(clerkauth.Unchecked), all...), 200, "")
		}
	}
	// It counts on routes for machines, too, and is hidden where refusals are.
	key := clerkauth.Token(clerkauth.APIKey)
	evil := edits{own(r.APIKey.Token), method("POST"), site("cross-site"), origin("https://evil.example")}
	testkit.WantReply(t, testkit.Serve(r.Auth.Require(key), evil...), 403, clerkauth.ErrCrossSite)
	hidden := testkit.NewAuth(t, r.Server, testkit.AcceptAll, fromOwnHeader, func(c *clerkauth.Config) { c.HideUnauthorized = true })
	if got := testkit.Serve(hidden.Require(key), evil...); got.Status != 404 {
		t.Errorf("hidden: %v", got)
	}
	req := httptest.NewRequest("POST", "/", nil)
	for _, e := range evil {
		e(req)
	}
	if err := r.Auth.Authenticate(req).Err(); !errors.Is(err, clerkauth.ErrCrossSite) || !errors.Is(err, clerkauth.ErrForbidden) {
		t.Errorf("Authenticate: %v", err)
	}
}

// identityOfAnotherOwnCredential: a guard inside of another does not believe it if the
// request presents something else by then.
func identityOfAnotherOwnCredential(t *testing.T) {
	r := testkit.NewMachineRig(t, fromOwnHeader)
	john := r.Server.SignIn(r.Server.CreateUser("john@example.com"))
	change := func(edit func(*http.Request)) clerkauth.Middleware {
		return func(next http.Handler) http.Handler {
			return http.HandlerFunc(func(w http.ResponseWriter, req *http.Request) {
				req.Header = req.Header.Clone()
				edit(req)
				next.ServeHTTP(w, req)
			})
		}
	}
	for name, c := range map[string]struct {
		edit func(*http.Request)
		user string // "" for nobody
	}{
		"the same":              {func(*http.Request) {}, r.Jane.User.ID},
		"another's":             {own(john.Token()), john.User.ID},
		"none":                  {func(r *http.Request) { r.Header.Del(ownHeader) }, ""},
		"another's as a bearer": {testkit.Bearer(john.Token()), john.User.ID},
		"the same as a bearer": {func(req *http.Request) {
			req.Header.Set("Authorization", "Bearer "+req.Header.Get(ownHeader))
			req.Header.Del(ownHeader)
		}, r.Jane.User.ID},
		"an invalid one": {own("x.y.z"), ""},
	} {
		guard := func(next http.Handler) http.Handler { return r.Auth.Handler(change(c.edit)(r.Auth.Require()(next))) }
		got := testkit.Serve(guard, own(r.Jane.Token()))
		if got.Entered != (c.user != "") || c.user != "" && !strings.Contains(got.Body, c.user) {
			t.Errorf("%s: %v", name, got)
		}
	}
}

// identityOfCheckToken: it is believed by guards of its own Authenticator, in requests that
// present nothing, and as long as the credential is valid.
func identityOfCheckToken(t *testing.T) {
	r := testkit.NewMachineRig(t)
	other := testkit.NewAuth(t, r.Server, testkit.AcceptAll)
	headers := testkit.NewAuth(t, r.Server, testkit.AcceptAll, fromOwnHeader)
	john := r.Server.SignIn(r.Server.CreateUser("john@example.com"))
	all := testkit.AnyCredential
	serve := func(auth *clerkauth.Authenticator, ctx context.Context, edits ...func(*http.Request)) testkit.Reply {
		return testkit.Serve(auth.Require(all), append([]func(*http.Request){func(r *http.Request) { *r = *r.WithContext(ctx) }}, edits...)...)
	}
	for _, auth := range []*clerkauth.Authenticator{r.Auth, headers} {
		ctx, err := auth.CheckToken(t.Context(), r.Jane.Token(), all)
		if err != nil {
			t.Fatal(err)
		}
		if who := clerkauth.FromContext(ctx); who.UserID != r.Jane.User.ID {
			t.Errorf("%+v", who)
		}
		testkit.WantReply(t, serve(auth, ctx), 200, "")
		testkit.WantReply(t, serve(auth, ctx, setHeader("Cookie", "__session="+john.Token())), 200, "")
		testkit.WantReply(t, serve(other, ctx), 401, clerkauth.ErrTokenMissing)
		if got := serve(auth, ctx, testkit.Bearer(john.Token())); !strings.Contains(got.Body, john.User.ID) {
			t.Errorf("beside another's bearer: %v", got)
		}
		testkit.WantReply(t, serve(auth, ctx, testkit.Bearer("x.y.z")), 401, clerkauth.ErrTokenInvalid)
		testkit.WantReply(t, serve(auth, ctx, setHeader("Authorization", "Basic eDp5")), 401, clerkauth.ErrTokenMissing)
	}
	ctx, err := headers.CheckToken(t.Context(), r.Jane.Token(), all)
	if err != nil {
		t.Fatal(err)
	}
	if got := serve(headers, ctx, own(john.Token())); !strings.Contains(got.Body, john.User.ID) {
		t.Errorf("beside another's own header: %v", got)
	}

	// In time: a session until it expires, opaque credentials until they are revoked and the
	// cache forgets.
	inside := func(auth *clerkauth.Authenticator) clerkauth.Middleware {
		return func(next http.Handler) http.Handler { return auth.Handler(auth.Require(all)(auth.Require(all)(next))) }
	}
	session, err := r.Auth.CheckToken(t.Context(), r.Jane.Token(), all)
	if err != nil {
		t.Fatal(err)
	}
	key, err := r.Auth.CheckToken(t.Context(), r.APIKey.Token, all)
	if err != nil {
		t.Fatal(err)
	}
	in := func(ctx context.Context) testkit.Reply {
		return testkit.Serve(inside(r.Auth), func(r *http.Request) { *r = *r.WithContext(ctx) })
	}
	testkit.WantReply(t, in(session), 200, "")
	testkit.WantReply(t, in(key), 200, "")
	r.Server.Revoke(r.APIKey)
	time.Sleep(64 * time.Second) // a session token lives for a minute, and 5 seconds of skew
	testkit.WantReply(t, in(session), 200, "")
	testkit.WantReply(t, in(key), 401, clerkauth.ErrTokenInvalid)
	time.Sleep(2 * time.Second)
	testkit.WantReply(t, in(session), 401, clerkauth.ErrTokenExpired)

	// The same without a request.
	if _, err := r.Auth.CheckToken(session, "", all); !errors.Is(err, clerkauth.ErrTokenExpired) {
		t.Errorf("an expired session without a request: %v", err)
	}
	if _, err := r.Auth.CheckToken(key, "", all); !errors.Is(err, clerkauth.ErrTokenInvalid) {
		t.Errorf("a revoked key without a request: %v", err)
	}
	fresh, err := r.Auth.CheckToken(session, r.Jane.Token(), all)
	if err != nil {
		t.Fatal(err)
	}
	again, err := r.Auth.CheckToken(fresh, "", clerkauth.Role("admin"))
	if err != nil || clerkauth.FromContext(again).UserID != r.Jane.User.ID {
		t.Errorf("a fresh one: %v", err)
	}
	if _, err := other.CheckToken(fresh, "", all); !errors.Is(err, clerkauth.ErrTokenMissing) {
		t.Errorf("another Authenticator: %v", err)
	}
	var ofRequest context.Context
	testkit.Serve(func(http.Handler) http.Handler {
		return r.Auth.Require().Func(func(_ http.ResponseWriter, r *http.Request) { ofRequest = r.Context() })
	}, testkit.Bearer(r.Jane.Token()))
	if _, err := r.Auth.CheckToken(ofRequest, "", all); !errors.Is(err, clerkauth.ErrTokenMissing) {
		t.Errorf("the identity of a request, without it: %v", err)
	}
}

// requirementsOfCheckToken: it decides as Require does, without a request.
func requirementsOfCheckToken(t *testing.T) {
	r := testkit.NewMachineRig(t)
	good, expired := r.Jane.Token(), r.Jane.Token(clerkauthtest.ExpiresIn(-time.Hour))
	request := clerkauth.CheckRequest("request", func(*http.Request, clerkauth.Auth) (bool, error) { return true, nil })
	type list = []clerkauth.Access
	for name, c := range map[string]struct {
		token        string
		requirements list
		want         error
	}{
		"a session":                 {good, nil, nil},
		"a role":                    {good, list{clerkauth.Role("admin")}, nil},
		"another role":              {good, list{clerkauth.Role("owner")}, clerkauth.ErrForbidden},
		"nothing":                   {"", nil, clerkauth.ErrTokenMissing},
		"nothing, public":           {"", list{clerkauth.Public}, nil},
		"expired":                   {expired, nil, clerkauth.ErrTokenExpired},
		"expired, public":           {expired, list{clerkauth.Public}, clerkauth.ErrTokenExpired},
		"expired, optional":         {expired, list{clerkauth.Optional}, nil},
		"expired, unchecked":        {expired, list{clerkauth.Unchecked}, nil},
		"with a scheme":             {"Bearer " + good, nil, clerkauth.ErrTokenInvalid},
		"an API key for a session":  {r.APIKey.Token, nil, clerkauth.ErrTokenType},
		"an API key":                {r.APIKey.Token, list{clerkauth.Token(clerkauth.APIKey)}, nil},
		"a machine's token":         {r.M2M.Token, list{clerkauth.Token(clerkauth.M2MToken)}, nil},
		"an OAuth token":            {r.OAuth.Token, list{clerkauth.Token(clerkauth.OAuthToken)}, nil},
		"either":                    {r.APIKey.Token, list{clerkauth.AnyOf(clerkauth.SignedIn, clerkauth.Token(clerkauth.APIKey))}, nil},
		"of a path":                 {good, list{clerkauth.OrganizationParam("org")}, clerkauth.ErrForbidden},
		"of a request":              {good, list{request}, clerkauth.ErrForbidden},
		"of a request or a session": {good, list{clerkauth.AnyOf(request, clerkauth.SignedIn)}, nil},
		"what none can meet":        {good, list{clerkauth.AllOf(clerkauth.SignedIn, clerkauth.Token(clerkauth.APIKey))}, clerkauth.ErrForbidden},
	} {
		outer := clerkauth.NewContext(t.Context(), clerkauth.Auth{UserID: "user_outer"})
		ctx, err := r.Auth.CheckToken(outer, c.token, c.requirements...)
		if !errors.Is(err, c.want) || c.want == nil && err != nil {
			t.Errorf("%s: %v, want %v", name, err, c.want)
		}
		who := clerkauth.FromContext(ctx)
		if c.want != nil && who.UserID != "user_outer" || c.want == nil && who.UserID == "user_outer" {
			t.Errorf("%s: the context is for %+v", name, who)
		}
	}
}

// requestThatChanges: where a request came from is part of what an identity belongs to, and
// checks see the caller that they are asked about.
func requestThatChanges(t *testing.T) {
	r := testkit.NewMachineRig(t, fromOwnHeader)
	evil := []func(*http.Request){own(r.Jane.Token()), setHeader("Sec-Fetch-Site", "cross-site"), setHeader("Origin", "https://evil.example")}
	override := func(next http.Handler) http.Handler {
		return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			r.Method = http.MethodDelete
			next.ServeHTTP(w, r)
		})
	}
	inside := func(next http.Handler) http.Handler { return r.Auth.Handler(override(r.Auth.Require()(next))) }
	testkit.WantReply(t, testkit.Serve(inside, evil...), 403, clerkauth.ErrCrossSite)

	// Without a Host, no origin is this server's own.
	for _, origin := range []string{"null", "file://", "about:blank", "https://evil.example"} {
		for _, method := range []string{"POST", "GET"} {
			got := testkit.Serve(r.Auth.Require(), own(r.Jane.Token()), setHeader("Origin", origin), func(r *http.Request) { r.Host, r.Method = "", method })
			testkit.WantReply(t, got, 403, clerkauth.ErrCrossSite)
		}
	}
	testkit.WantReply(t, testkit.Serve(r.Auth.Require(), own(r.Jane.Token()), func(r *http.Request) { r.Host, r.Method = "", "POST" }), 200, "")

	// The caller that a check gets is the one in its context.
	john := r.Server.SignIn(r.Server.CreateUser("john@example.com"))
	var users []string
	note := func(who clerkauth.Auth, ctx context.Context) (bool, error) {
		users = append(users, who.UserID, clerkauth.FromContext(ctx).UserID)
		return true, nil
	}
	checks := clerkauth.AllOf(
		clerkauth.CheckFunc("context", func(ctx context.Context, who clerkauth.Auth) (bool, error) { return note(who, ctx) }),
		clerkauth.CheckRequest("request", func(r *http.Request, who clerkauth.Auth) (bool, error) { return note(who, r.Context()) }),
	)
	other := func(next http.Handler) http.Handler {
		return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			own(john.Token())(r)
			next.ServeHTTP(w, r)
		})
	}
	for _, guard := range []clerkauth.Middleware{
		func(next http.Handler) http.Handler { return r.Auth.Handler(other(r.Auth.Require(checks)(next))) },
		func(next http.Handler) http.Handler { return other(r.Auth.Require(checks)(next)) },
	} {
		users = nil
		testkit.WantReply(t, testkit.Serve(guard, own(r.Jane.Token())), 200, "")
		if len(users) != 4 || slices.ContainsFunc(users, func(id string) bool { return id != john.User.ID }) {
			t.Errorf("checks see %v, want %s", users, john.User.ID)
		}
	}
}

// memoryThatIsReused: what CheckToken was given is the caller's to write to afterwards.
func memoryThatIsReused(t *testing.T) {
	r := testkit.NewMachineRig(t)
	john := r.Server.CreateUser("john@example.com")
	first, second := r.Server.CreateAPIKey(r.User).Token, r.Server.CreateAPIKey(john).Token
	memory := []byte(first)
	ctx, err := r.Auth.CheckToken(t.Context(), unsafe.String(&memory[0], len(memory)), testkit.AnyCredential)
	if err != nil {
		t.Fatal(err)
	}
	copy(memory, second)
	got := testkit.Serve(r.Auth.Require(testkit.AnyCredential), func(r *http.Request) { *r = *r.WithContext(ctx) })
	if !got.Entered || strings.Contains(got.Body, john.ID) {
		t.Errorf("after the memory was written to: %v", got)
	}
}

// tokensOfAnotherResource: CheckToken decides about audiences as a guard does, in the
// context of a request inside a resource and outside of all.
func tokensOfAnotherResource(t *testing.T) {
	r := testkit.NewMachineRig(t)
	const mine, other = "https://api.example.com/mcp", "https://evil.example/mcp"
	describe, err := r.Auth.ResourceMetadata(clerkauth.Resource{URL: mine})
	if err != nil {
		t.Fatal(err)
	}
	inside := t.Context()
	describe(http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) { inside = r.Context() })).ServeHTTP(httptest.NewRecorder(), httptest.NewRequest("GET", "/mcp", nil))
	oauth, audience := clerkauth.Token(clerkauth.OAuthToken), clerkauth.Token(clerkauth.OAuthToken, clerkauth.Audience(mine))
	for name, c := range map[string]struct {
		audience string
		ctx      context.Context
		access   clerkauth.Access
		in       bool
	}{
		"another's, outside":           {other, t.Context(), oauth, false},
		"another's, inside":            {other, inside, oauth, false},
		"mine, inside":                 {mine, inside, oauth, true},
		"mine, outside":                {mine, t.Context(), oauth, false},
		"mine, outside, required":      {mine, t.Context(), audience, true},
		"another's, outside, required": {other, t.Context(), audience, false},
	} {
		token := r.Server.CreateOAuthToken(r.User, "client_1")
		token.SetAudience(c.audience)
		for form, text := range map[string]string{"opaque": token.Token, "JWT": token.JWT()} {
			if _, err := r.Auth.CheckToken(c.ctx, text, c.access); (err == nil) != c.in {
				t.Errorf("%s, %s: %v", name, form, err)
			}
		}
	}
}
