package catalogue

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"net/http"
	"net/http/httptest"
	"regexp"
	"slices"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/clerkauth/clerkauth"
	"github.com/clerkauth/clerkauth/clerkauthtest"
	"github.com/clerkauth/clerkauth/internal/testkit"
)

// These rows test which caller a guard decides about, and what a refusal reveals.
var _ = addRows(rows{
	"250/oracles_when_hidden":             hiddenHasNoOracle,
	"250/what_is_not_hidden":              notHidden,
	"252/identity_of_the_innermost_guard": identityOfTheInnermostGuard,
	"263/identity_of_another_credential":  identityOfAnotherCredential,
	"267/handmade_identity":               handmadeIdentity,
	"268/organization_ids_are_no_slugs":   organizationIDsAreNoSlugs,
})

// answerOf returns the whole response of h as text.
func answerOf(h http.Handler, r *http.Request) string {
	w := httptest.NewRecorder()
	h.ServeHTTP(w, r)
	return fmt.Sprintf("%d %q %q", w.Code, w.Header(), w.Body)
}

// hiddenHasNoOracle compares the responses of guarded routes with those of a path
// without a route, for every caller without access.
func hiddenHasNoOracle(t *testing.T) {
	// notThere responds like a router that inspects requests.
	notThere := func(w http.ResponseWriter, r *http.Request) {
		who := clerkauth.FromContext(r.Context())
		w.Header().Set("X-Router", "yes")
		w.WriteHeader(http.StatusNotFound)
		fmt.Fprintf(w, "nothing here for %q %q %v", who.TokenType, who.Subject, who.Err())
	}
	for name, notFound := range map[string]http.Handler{"http.NotFound": nil, "the router's own": http.HandlerFunc(notThere)} {
		t.Run(name, func(t *testing.T) {
			r := testkit.NewMachineRig(t, func(c *clerkauth.Config) {
				c.HideUnauthorized, c.NotFound = true, notFound
				c.ErrorHandler = func(_ http.ResponseWriter, _ *http.Request, err *clerkauth.Error) { t.Errorf("ErrorHandler: %v", err) }
			})
			others := clerkauth.AnyOf(clerkauth.Role("owner"), clerkauth.Token(clerkauth.APIKey, clerkauth.Scope("all")),
				clerkauth.Token(clerkauth.M2MToken, clerkauth.Scope("all")), clerkauth.AllOf(clerkauth.Role("owner"), clerkauth.ReverifiedStrict))
			reached := func(w http.ResponseWriter, req *http.Request) { t.Errorf("%s %s was reached", req.Method, req.URL) }
			open := func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(http.StatusNoContent) }

			mux := r.Auth.NewServeMux()
			mux.HandleFunc("GET /open", clerkauth.Public, open)
			guarded := []string{"GET /admin", "/files/", "POST /form", "GET /orgs/{org}/x", "DELETE /any", "/two/{$}", "hidden.example.com/x"}
			for _, pattern := range guarded {
				mux.HandleFunc(pattern, others, reached)
			}
			protect, err := r.Auth.Protect(clerkauth.Rules{"/admin/{rest...}": others, "/files/{rest...}": others, "POST /form": others, "/orgs/{org}/x": others, "/{rest...}": clerkauth.Public})
			if err != nil {
				t.Fatal(err)
			}
			// The router behind Protect.
			router := http.HandlerFunc(func(w http.ResponseWriter, req *http.Request) {
				switch {
				case req.URL.Path == "/open":
					open(w, req)
				case notFound != nil:
					notFound.ServeHTTP(w, req)
				default:
					http.NotFound(w, req)
				}
			})

			const unknown = "a browser that is not known"
			callers := map[string]string{
				"signed out": "", unknown: "", "without the right": r.Jane.Token(), "pending": r.Jane.Token(clerkauthtest.WithClaim("sts", "pending")),
				"a key without the scope": r.APIKey.Token, "a machine without the scope": r.M2M.JWT(), "another kind": r.OAuth.Token,
				"another issuer's bearer": "ghp_012345678901234567890123456789",
			}
			methods := []string{"GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS", "TRACE", "CONNECT", "PROPFIND", "get"}
			accepts := []string{"", "*/*", "application/json", "text/html,application/xhtml+xml"}
			paths := map[string][]string{
				"ServeMux": {
					"/admin", "/admin/", "/admin/x", "//admin", "/x/../admin", "/%61dmin", "/ADMIN/../admin", "/files/", "/files", "/files/a/b", "/files//a", "/files/../files/a",
					"/form", "/form/", "/orgs/acme/x", "/orgs/acme", "/orgs/acme/", "/any", "/two/", "/two", "/two/x",
					// These paths have no route either.
					"//nothing", "/x/../nothing", "/nothing/", "/nothing//x", "/./nothing", "/",
				},
				"Protect": {"/admin", "/admin/x", "//admin", "/x/../admin", "/%61dmin", "/ADMIN", "/files/a/b", "/files", "/orgs/acme/x"},
			}
			compared, renewed := 0, 0
			for where, h := range map[string]http.Handler{"ServeMux": mux, "Protect": protect(router)} {
				for caller, token := range callers {
					for _, method := range methods {
						for _, accept := range accepts {
							for _, destination := range []string{"", "document", "iframe", "empty"} {
								request := func(host, path string) *http.Request {
									req := httptest.NewRequest(http.MethodGet, "http://"+host+"/", nil)
									req.Method, req.URL.Path, req.URL.Host, req.URL.Scheme = method, path, "", ""
									if decoded := strings.ReplaceAll(path, "%61", "a"); decoded != path {
										req.URL.Path, req.URL.RawPath = decoded, path
									}
									req.RequestURI = path
									testkit.Bearer(token)(req)
									if caller != unknown {
										testkit.KnownBrowser(req)
									}
									for name, value := range map[string]string{"Accept": accept, "Sec-Fetch-Dest": destination} {
										if value != "" {
											req.Header.Set(name, value)
										}
									}
									return req
								}
								answer := func(host, path string) string {
									return ownPath.ReplaceAllString(answerOf(h, request(host, path)), "")
								}
								want := answer("app.example.com", "/nothing")
								renews := caller == unknown && strings.HasPrefix(want, "307 ") && strings.Contains(want, "/v1/client/handshake?")
								if renews != (caller == unknown && method == "GET" && (destination == "document" || destination == "iframe" || destination == "" && strings.HasPrefix(accept, "text/html"))) {
									t.Fatalf("%s, %s, Accept %q, %q: %s", where, method, accept, destination, want)
								}
								if renews {
									renewed++
								} else if !strings.HasPrefix(want, "404 ") || notFound != nil && !strings.Contains(want, "nothing here") || notFound == nil && !strings.Contains(want, "404 page not found") || strings.Contains(want, "Location") {
									t.Fatalf("%s, %s, %s: where nothing is: %s", where, caller, method, want)
								}
								for _, path := range paths[where] {
									compared++
									if got := answer("app.example.com", path); got != want {
										t.Fatalf("%s, %s: %s %s, Accept %q, %q:\n got %s\nwant %s", where, caller, method, path, accept, destination, got, want)
									}
								}
								if where == "ServeMux" && !renews { // there is no way back to other hosts
									for _, host := range []string{"hidden.example.com", "HIDDEN.example.com", "hidden.example.com.", "hidden.example.com:80", "nothing.example.com.", "nothing.example.com:80"} {
										if got := answer(host, "/x"); got != want {
											t.Fatalf("%s, %s: %s of %s:\n got %s\nwant %s", where, caller, method, host, got, want)
										}
									}
								}
							}
						}
					}
				}
			}
			if t.Logf("%d responses", compared); renewed == 0 {
				t.Error("no browser had to renew its cookies")
			}
			// The control: the public route is there.
			for where, h := range map[string]http.Handler{"ServeMux": mux, "Protect": protect(router)} {
				if got := answerOf(h, httptest.NewRequest(http.MethodGet, "/open", nil)); !strings.HasPrefix(got, "204 ") {
					t.Errorf("%s: open: %s", where, got)
				}
			}
			// An invalid token receives the same response as a valid one.
			bad := httptest.NewRequest(http.MethodGet, "/admin", nil)
			testkit.Bearer("x.y.z")(bad)
			nothing := bad.Clone(t.Context())
			nothing.URL.Path = "/nothing"
			if got, want := answerOf(mux, bad), answerOf(mux, nothing); got != want {
				t.Errorf("ServeMux, a bad token: %s, want %s", got, want)
			}
		})
	}
}

// ownPath is the part of a handshake's URL that says where the browser comes back to.
var ownPath = regexp.MustCompile(`redirect_url=[^&"]*`)

// notHidden: with HideUnauthorized, reverification and outages are still reported;
// without it, every refusal is.
func notHidden(t *testing.T) {
	hide := func(c *clerkauth.Config) { c.HideUnauthorized = true }
	r := testkit.NewRig(t, hide)
	stale := testkit.Bearer(r.Jane.Token(clerkauthtest.WithClaim("fva", []int{99, 99})))
	testkit.WantReply(t, testkit.Serve(r.Auth.Require(clerkauth.ReverifiedStrict), stale), 403, "")
	testkit.WantReply(t, testkit.Serve(r.Auth.Require(clerkauth.ReverifiedStrict, clerkauth.Role("owner")), stale), 404, "")
	failing := clerkauth.CheckFunc("store", func(context.Context, clerkauth.Auth) (bool, error) { return false, errors.New("away") })
	testkit.WantReply(t, testkit.Serve(r.Auth.Require(failing), testkit.Bearer(r.Jane.Token())), 503, clerkauth.ErrUnavailable)
	testkit.WantReply(t, testkit.Serve(r.Auth.Require(failing)), 404, "")
	testkit.WantReply(t, testkit.Serve(r.Auth.Require(clerkauth.Public), testkit.Bearer("x.y.z")), 401, clerkauth.ErrTokenInvalid)
	connect := func(r *http.Request) { r.Method = http.MethodConnect }
	testkit.WantReply(t, testkit.Serve(r.Auth.Require(), connect), 404, "")
	testkit.WantReply(t, testkit.Serve(r.Auth.Require(), connect, testkit.Bearer(r.Jane.Token())), 404, "")
	down := testkit.NewRig(t, hide)
	down.Server.Fail(clerkauthtest.JWKS, 500)
	testkit.WantReply(t, testkit.Serve(down.Auth.Require(), testkit.Bearer(down.Jane.Token())), 503, clerkauth.ErrKeysUnavailable)
	// Check returns the status 404 with the reason of the refusal.
	_, err := r.Auth.Check(httptest.NewRequest(http.MethodGet, "/", nil))
	var refusal *clerkauth.Error
	if !errors.As(err, &refusal) || refusal.Status != 404 || refusal.Reason != clerkauth.ErrTokenMissing || refusal.Challenge() != "" {
		t.Errorf("Check: %v", err)
	}
	shown := testkit.NewRig(t)
	testkit.WantReply(t, testkit.Serve(shown.Auth.Require(), testkit.AsPage), 303, "")
	testkit.WantReply(t, testkit.Serve(shown.Auth.Require(), testkit.AsUnknownPage), 307, "")
	testkit.WantReply(t, testkit.Serve(shown.Auth.Require()), 401, clerkauth.ErrTokenMissing)
}

// identityOfTheInnermostGuard nests all pairs and triples of some guards.
func identityOfTheInnermostGuard(t *testing.T) {
	r := testkit.NewMachineRig(t)
	type route struct {
		access clerkauth.Access
		takes  []clerkauth.TokenType
		open   bool
	}
	key, m2m, oauth := clerkauth.Token(clerkauth.APIKey), clerkauth.Token(clerkauth.M2MToken), clerkauth.Token(clerkauth.OAuthToken)
	routes := []route{
		{clerkauth.Public, []clerkauth.TokenType{clerkauth.SessionToken}, true},
		{clerkauth.SignedIn, []clerkauth.TokenType{clerkauth.SessionToken}, false},
		{key, []clerkauth.TokenType{clerkauth.APIKey}, false},
		{clerkauth.AnyOf(clerkauth.SignedIn, key), []clerkauth.TokenType{clerkauth.SessionToken, clerkauth.APIKey}, false},
		{clerkauth.AnyOf(key, m2m), []clerkauth.TokenType{clerkauth.APIKey, clerkauth.M2MToken}, false},
		{clerkauth.AnyOf(clerkauth.Public, oauth, key), []clerkauth.TokenType{clerkauth.SessionToken, clerkauth.OAuthToken, clerkauth.APIKey}, true},
		{testkit.AnyCredential, []clerkauth.TokenType{clerkauth.SessionToken, clerkauth.APIKey, clerkauth.M2MToken, clerkauth.OAuthToken}, false},
	}
	for kind, token := range map[clerkauth.TokenType]string{"": "", clerkauth.SessionToken: r.Jane.Token(), clerkauth.APIKey: r.APIKey.Token, clerkauth.M2MToken: r.M2M.JWT(), clerkauth.OAuthToken: r.OAuth.Token} {
		for i := range len(routes) * len(routes) * len(routes) {
			nest := []route{routes[i%len(routes)], routes[i/len(routes)%len(routes)], routes[i/len(routes)/len(routes)]}
			enters := 0
			for _, guard := range nest {
				if !guard.open && !slices.Contains(guard.takes, kind) {
					break
				}
				enters++
			}
			seen := 0
			var h http.Handler = http.HandlerFunc(func(http.ResponseWriter, *http.Request) {})
			for depth, guard := range slices.Backward(nest) {
				next := h
				h = r.Auth.Require(guard.access)(http.HandlerFunc(func(w http.ResponseWriter, req *http.Request) {
					seen++
					want := clerkauth.TokenType("")
					if slices.Contains(guard.takes, kind) {
						want = kind
					}
					who := clerkauth.FromContext(req.Context())
					if state := r.Auth.Authenticate(req); who.TokenType != want || (who.Subject == "") != (want == "") || who.SignedIn() != (want == clerkauth.SessionToken) || state.Auth().TokenType != want {
						t.Errorf("%q in %v, behind %d: %q %q, and Authenticate returned %q", kind, nest, depth, who.TokenType, who.Subject, state.Auth().TokenType)
					}
					next.ServeHTTP(w, req)
				}))
			}
			req := httptest.NewRequest(http.MethodGet, "/", nil)
			testkit.Bearer(token)(req)
			w := httptest.NewRecorder()
			if h.ServeHTTP(w, req); seen != enters || enters < len(nest) && w.Code != 401 {
				t.Fatalf("%q in %v: passes %d guards, want %d: %d", kind, nest, seen, enters, w.Code)
			}
		}
	}
}

func identityOfAnotherCredential(t *testing.T) {
	var looks atomic.Int64 // fetches look, too
	r := testkit.NewMachineRig(t)
	r.Auth = testkit.NewAuth(t, r.Server, testkit.AcceptAll, func(c *clerkauth.Config) { c.Now = func() time.Time { looks.Add(1); return r.Server.Now() } })
	joe := r.Server.SignIn(r.Server.CreateUser("joe@example.com"))
	same := r.Jane.Token()
	for what, c := range map[string]struct {
		lines   []string
		status  int // of SignedIn
		subject string
		open    int // of Public
	}{
		"the same":          {[]string{"Bearer " + same}, 200, r.Jane.User.ID, 200},
		"another scheme":    {[]string{"Basic YTpi"}, 401, "", 200},
		"the same, spelled": {[]string{"bearer " + same}, 200, r.Jane.User.ID, 200},
		"another user":      {[]string{"Bearer " + joe.Token()}, 200, joe.User.ID, 200},
		"garbage":           {[]string{"Bearer x.y.z"}, 401, "", 401},
		"longer":            {[]string{"Bearer " + same + "x"}, 401, "", 401},
		"shorter":           {[]string{"Bearer " + same[:len(same)-1]}, 401, "", 401},
		"none":              {nil, 401, "", 200},
		"an empty line":     {[]string{""}, 401, "", 200},
		"twice the same":    {[]string{"Bearer " + same, "Bearer " + same}, 401, "", 401},
		"with garbage":      {[]string{"Bearer " + same, "Bearer x"}, 401, "", 401},
		"a key":             {[]string{"Bearer " + r.APIKey.Token}, 401, "", 200},
		"another issuer's":  {[]string{"Bearer ghp_0123456789"}, 401, "", 200},
	} {
		for outerName, outer := range map[string]clerkauth.Middleware{"Handler": r.Auth.Handler, "SignedIn": r.Auth.Require(), "Public": r.Auth.Require(clerkauth.Public), "all": r.Auth.Require(testkit.AnyCredential)} {
			testkit.Serve(func(http.Handler) http.Handler {
				return outer.Func(func(_ http.ResponseWriter, req *http.Request) {
					inner := req.Clone(req.Context())
					inner.Header["Authorization"] = c.lines
					if c.lines == nil {
						inner.Header.Del("Authorization")
					}
					change := func(req *http.Request) { *req = *inner }
					who := ""
					see := func(guard clerkauth.Middleware) testkit.Reply {
						who = ""
						return testkit.Serve(func(next http.Handler) http.Handler {
							return guard.Func(func(w http.ResponseWriter, req *http.Request) {
								who = clerkauth.FromContext(req.Context()).Subject
								next.ServeHTTP(w, req)
							})
						}, change)
					}
					if got := see(r.Auth.Require()); got.Status != c.status || who != c.subject {
						t.Errorf("%s in %s: %d, %q", what, outerName, got.Status, who)
					}
					for _, open := range []clerkauth.Middleware{r.Auth.Require(clerkauth.Public), r.Auth.Handler} {
						if got := see(open); got.Status != c.open || who != c.subject {
							t.Errorf("%s in %s, open: %d, %q", what, outerName, got.Status, who)
						}
					}
					ctx, err := r.Auth.Check(inner)
					if (err == nil) != (c.status == 200) || err == nil && clerkauth.FromContext(ctx).Subject != c.subject {
						t.Errorf("%s in %s: Check: %v", what, outerName, err)
					}
					if who := r.Auth.Authenticate(inner).Auth(); who.Subject != c.subject {
						t.Errorf("%s in %s: Authenticate: %q", what, outerName, who.Subject)
					}
				})
			}, testkit.Bearer(same))
		}
	}
	// With an equal token nothing is verified again, and nothing is allocated.
	testkit.Serve(func(http.Handler) http.Handler {
		return r.Auth.Require().Func(func(_ http.ResponseWriter, req *http.Request) {
			inner := req.Clone(req.Context())
			inner.Header.Set("Authorization", "Bearer "+strings.Clone(same))
			looks.Store(0)
			if n := testing.AllocsPerRun(10, func() {
				if r.Auth.Authenticate(inner).Auth().UserID != r.Jane.User.ID {
					t.Error("the caller is another one")
				}
			}); n != 0 || looks.Load() != 0 {
				t.Errorf("%v allocations, and %d looks at the clock", n, looks.Load())
			}
		})
	}, testkit.Bearer(same))
	// A machine credential other than that of the outer guard is verified again.
	testkit.Serve(func(http.Handler) http.Handler {
		return r.Auth.Require(testkit.AnyCredential).Func(func(_ http.ResponseWriter, req *http.Request) {
			for token, status := range map[string]int{r.APIKey.Token: 200, r.APIKey.Token + "x": 401, r.M2M.Token: 401, same: 401, "": 401} {
				inner := req.Clone(req.Context())
				inner.Header.Del("Authorization")
				testkit.Bearer(token)(inner)
				if got := testkit.Serve(r.Auth.Require(clerkauth.Token(clerkauth.APIKey)), func(req *http.Request) { *req = *inner }); got.Status != status {
					t.Errorf("%.3s inside of a key's guard: %v", token, got)
				}
			}
		})
	}, testkit.Bearer(r.APIKey.Token))
}

func handmadeIdentity(t *testing.T) {
	r := testkit.NewMachineRig(t)
	jane, err := r.Auth.VerifyToken(t.Context(), r.Jane.Token())
	if err != nil {
		t.Fatal(err)
	}
	joe := r.Server.SignIn(r.Server.CreateUser("joe@example.com"))
	ctx, err := r.Auth.Check(func() *http.Request {
		req := httptest.NewRequest(http.MethodGet, "/", nil)
		testkit.Bearer(r.APIKey.Token)(req)
		return req
	}(), clerkauth.Token(clerkauth.APIKey))
	if err != nil {
		t.Fatal(err)
	}
	machine := clerkauth.FromContext(ctx)
	change := func(who clerkauth.Auth, f func(*clerkauth.Auth)) clerkauth.Auth { f(&who); return who }
	before := r.Server.Requests(clerkauthtest.Backend)
	for what, who := range map[string]clerkauth.Auth{
		"anonymous":               {},
		"by hand":                 {UserID: jane.UserID, SessionID: jane.SessionID},
		"by hand, whole":          {TokenType: clerkauth.SessionToken, Subject: jane.UserID, UserID: jane.UserID, SessionID: jane.SessionID, SessionStatus: clerkauth.SessionActive},
		"from a context of tests": clerkauth.FromContext(clerkauth.NewContext(t.Context(), clerkauth.Auth{UserID: jane.UserID, SessionID: jane.SessionID})),
		"another's session":       change(jane, func(a *clerkauth.Auth) { a.SessionID = joe.ID }),
		"another's, whole":        change(jane, func(a *clerkauth.Auth) { a.SessionID, a.UserID, a.Subject = joe.ID, joe.User.ID, joe.User.ID }),
		"another user":            change(jane, func(a *clerkauth.Auth) { a.UserID = joe.User.ID }),
		"no session":              change(jane, func(a *clerkauth.Auth) { a.SessionID = "" }),
		"a machine":               machine,
		"a machine as a user": change(machine, func(a *clerkauth.Auth) {
			a.TokenType, a.UserID, a.SessionID = clerkauth.SessionToken, jane.UserID, jane.SessionID
		}),
		"a user as a machine": change(jane, func(a *clerkauth.Auth) { a.TokenType = clerkauth.APIKey }),
	} {
		if token, err := r.Auth.GetToken(t.Context(), who, ""); token != "" || !errors.Is(err, clerkauth.ErrUnauthenticated) {
			t.Errorf("%s: %q, %v", what, token, err)
		}
	}
	if n := r.Server.Requests(clerkauthtest.Backend) - before; n != 0 {
		t.Errorf("%d requests", n)
	}
	if token, err := r.Auth.GetToken(t.Context(), jane, ""); token == "" || err != nil {
		t.Errorf("verified: %v", err)
	}
}

func organizationIDsAreNoSlugs(t *testing.T) {
	r := testkit.NewMachineRig(t)
	acme := r.Server.CreateOrganization("acme")
	in := func(id, slug any) string {
		o := map[string]any{"id": id, "rol": "admin"}
		if slug != nil {
			o["slg"] = slug
		}
		return r.Jane.Token(clerkauthtest.WithClaim("o", o))
	}
	of := clerkauth.OrganizationParam("org")
	access := clerkauth.AnyOf(of, clerkauth.Token(clerkauth.APIKey, of))
	mux := r.Auth.NewServeMux()
	plain := http.NewServeMux()
	for pattern := range maps.Keys(map[string]bool{"/orgs/{org}": true, "/orgs/{org}/x": true, "/rest/{org...}": true}) {
		mux.HandleFunc(pattern, access, testkit.NoContent)
		plain.Handle(pattern, r.Auth.Require(access).Func(testkit.NoContent))
	}
	for _, c := range []struct {
		token, segment string
		want           int
	}{
		{in("org_1", "org_victim"), "org_victim", 403}, {in("org_1", "org_victim"), "org_1", 204}, {in("org_1", "org_victim"), "%6frg_victim", 403},
		{in("org_1", "org_victim"), "org%5fvictim", 403}, {in("org_1", "org_victim"), "org%5F1", 204}, {in("org_1", "org_victim"), "ORG_victim", 403}, {in("org_1", "org_victim"), "Org_1", 403},
		{in("org_1", "acme"), "acme", 204}, {in("org_1", "acme"), "%61cme", 204}, {in("org_1", "acme"), "Acme", 403}, {in("org_1", "acme"), "org_1", 204}, {in("org_1", "acme"), "org_", 403},
		{in("org_1", "acme"), "acme%20", 403}, {in("org_1", "acme"), "acme%00", 403}, {in("org_1", "acme"), "%2561cme", 403}, {in("org_1", "acme"), "org_1%2F", 403},
		{in("org_1", "ORG_2"), "ORG_2", 204}, {in("org_1", "ORG_2"), "org_2", 403}, {in("org_1", "org_"), "org_", 403}, {in("org_1", "org"), "org", 204},
		{in("org_1", nil), "acme", 403}, {in("org_1", ""), "acme", 403}, {in("org_1", nil), "org_1", 204},
		// An id that does not look like one is not taken for a slug either.
		{in("acme", "other"), "acme", 403}, {in("acme", "other"), "other", 204},
		{in("", "acme"), "acme", 403}, {in(7, "acme"), "acme", 403}, {r.Jane.Token(clerkauthtest.WithoutClaim("o")), "acme", 403}, {"", "acme", 401},
		{r.Server.CreateAPIKey(acme).Token, acme.ID, 204}, {r.Server.CreateAPIKey(acme).Token, "acme", 403}, {r.Server.CreateAPIKey(acme).Token, "org_victim", 403},
	} {
		for where, h := range map[string]http.Handler{"ServeMux": mux, "http.ServeMux": plain} {
			for _, path := range []string{"/orgs/" + c.segment, "/orgs/" + c.segment + "/x", "/rest/" + c.segment} {
				req := httptest.NewRequest(http.MethodGet, path, nil)
				testkit.Bearer(c.token)(req)
				w := httptest.NewRecorder()
				if h.ServeHTTP(w, req); w.Code != c.want {
					who, _ := r.Auth.VerifyToken(t.Context(), c.token)
					t.Errorf("%s: %s in %q, %q: %d, want %d", where, path, who.OrgID, who.OrgSlug, w.Code, c.want)
				}
			}
		}
	}
}
