package clerkauth_test

import (
	"context"
	"fmt"
	"log"
	"net/http"
	"net/http/httptest"
	"os"
	"testing"

	"github.com/clerk/clerk-sdk-go/v2"
	"github.com/clerk/clerk-sdk-go/v2/user"

	"github.com/clerkauth/clerkauth"
	"github.com/clerkauth/clerkauth/clerkauthtest"
)

func home(w http.ResponseWriter, _ *http.Request) { fmt.Fprintln(w, "home") }

func deleteOrg(w http.ResponseWriter, r *http.Request) { fmt.Fprintln(w, r.PathValue("slug")) }

func dashboard(w http.ResponseWriter, r *http.Request) {
	who := clerkauth.FromContext(r.Context()) // Auth, by value; signed out is its zero value
	fmt.Fprintln(w, who.UserID, who.OrgSlug, who.Has(clerkauth.Permission("org:invoices:create")))
}

// From the environment to a guarded server.
func Example() {
	auth, err := clerkauth.New(clerkauth.FromEnv()) // every error in the configuration, joined in one
	if err != nil {
		log.Fatal(err)
	}
	mux := http.NewServeMux()
	mux.HandleFunc("GET /{$}", home)
	mux.Handle("GET /dashboard", auth.Require().Func(dashboard)) // any signed-in user
	mux.Handle("DELETE /orgs/{slug}", auth.Require(              // an admin of the organization in the path
		clerkauth.Role("org:admin"), clerkauth.OrganizationParam("slug")).Func(deleteOrg))
	log.Fatal(http.ListenAndServe(":8080", auth.Handler(mux))) // authenticates requests
}

// A mux on which no route can be registered without its access.
func ExampleAuthenticator_NewServeMux() {
	srv, err := clerkauthtest.Start(clerkauthtest.InMemory())
	if err != nil {
		log.Fatal(err)
	}
	auth, err := clerkauth.New(srv.Config())
	if err != nil {
		log.Fatal(err)
	}

	mux := auth.NewServeMux()
	mux.HandleFunc("GET /{$}", clerkauth.Public, home)
	mux.HandleFunc("GET /dashboard/", clerkauth.SignedIn, dashboard)
	mux.HandleFunc("DELETE /orgs/{slug}", clerkauth.AllOf(clerkauth.Role("org:admin"), clerkauth.OrganizationParam("slug")), deleteOrg)
	err = mux.WriteTable(os.Stdout) // the access table of the whole server, for review and for golden tests
	if err != nil {
		log.Fatal(err)
	}
	// Output:
	// METHOD  PATTERN       ACCESS                                                  HANDLER
	// GET     /dashboard/   signed in                                               clerkauth_test.dashboard
	// DELETE  /orgs/{slug}  role org:admin and organization in path parameter slug  clerkauth_test.deleteOrg
	// GET     /{$}          public                                                  clerkauth_test.home
}

// Rules by path, in front of a router of any kind.
func ExampleAuthenticator_Protect() {
	srv, err := clerkauthtest.Start(clerkauthtest.InMemory())
	if err != nil {
		log.Fatal(err)
	}
	auth, err := clerkauth.New(srv.Config())
	if err != nil {
		log.Fatal(err)
	}
	var router http.Handler = http.HandlerFunc(home)

	protect, err := auth.Protect(clerkauth.Rules{
		"/{$}":                     clerkauth.Public,
		"POST /api/webhooks/clerk": clerkauth.Unchecked,
		"/admin/{rest...}":         clerkauth.Role("org:admin"),
		"/dashboard(.*)":           clerkauth.SignedIn, // Clerk's own grammar, as in their docs
	})
	if err != nil {
		log.Fatal(err)
	}
	handler := protect(router)

	for _, target := range []string{"/", "/dashboard", "/x/../", "/%2e%2e/admin/users"} {
		rec := httptest.NewRecorder()
		handler.ServeHTTP(rec, httptest.NewRequest("GET", target, nil))
		fmt.Println(target, rec.Code)
	}
	// Output:
	// / 200
	// /dashboard 401
	// /x/../ 401
	// /%2e%2e/admin/users 401
}

// Matchers take the place of createRouteMatcher.
func ExampleNewMatcher() {
	m, err := clerkauth.NewMatcher("/dashboard(.*)", "/orgs/:slug/(.*)")
	if err != nil {
		log.Fatal(err)
	}
	for _, target := range []string{"/dashboard/x", "//dashboard", "/public"} {
		r := httptest.NewRequest("GET", target, nil)
		fmt.Println(target, m.Any(r), m.All(r)) // guard with Any, open with All
	}
	// Output:
	// /dashboard/x true true
	// //dashboard true false
	// /public false false
}

// Tokens also arrive by other ways than HTTP.
func ExampleAuthenticator_VerifyToken() {
	srv, err := clerkauthtest.Start(clerkauthtest.InMemory())
	if err != nil {
		log.Fatal(err)
	}
	auth, err := clerkauth.New(srv.Config())
	if err != nil {
		log.Fatal(err)
	}
	token := srv.SignIn(srv.CreateUser("jane@example.com")).Token()

	who, err := auth.VerifyToken(context.Background(), token)
	fmt.Println(who.SignedIn(), err)
	_, err = auth.VerifyToken(context.Background(), "not a token")
	fmt.Println(err)
	// Output:
	// true <nil>
	// clerkauth: the credential is malformed, unknown or revoked (token-invalid)
}

// Custom claims are decoded from the token that was verified.
func ExampleClaimsAs() {
	type MyClaims struct {
		Nickname string `json:"nickname"`
	}
	handler := func(w http.ResponseWriter, r *http.Request) {
		claims, err := clerkauth.ClaimsAs[MyClaims](clerkauth.FromContext(r.Context()))
		fmt.Fprintln(w, claims.Nickname, err)
	}

	srv, err := clerkauthtest.Start(clerkauthtest.InMemory())
	if err != nil {
		log.Fatal(err)
	}
	auth, err := clerkauth.New(srv.Config())
	if err != nil {
		log.Fatal(err)
	}
	req := httptest.NewRequest("GET", "/", nil)
	srv.SignIn(srv.CreateUser("jane@example.com")).Authorize(req, clerkauthtest.WithClaim("nickname", "jj"))
	rec := httptest.NewRecorder()
	auth.Require().Func(handler).ServeHTTP(rec, req)
	fmt.Print(rec.Body)
	// Output: jj <nil>
}

// Some roles are not in an organization, but in metadata of the user that the instance's
// settings add to session tokens.
func ExampleClaim() {
	srv, err := clerkauthtest.Start(clerkauthtest.InMemory())
	if err != nil {
		log.Fatal(err)
	}
	auth, err := clerkauth.New(srv.Config())
	if err != nil {
		log.Fatal(err)
	}
	mux := http.NewServeMux()
	mux.Handle("GET /admin", auth.Require(clerkauth.Claim("metadata.role", "admin", "owner")).Func(home))

	for _, role := range []string{"owner", "member"} {
		req := httptest.NewRequest("GET", "/admin", nil)
		srv.SignIn(srv.CreateUser("jane@example.com"), clerkauthtest.Claims(map[string]any{"metadata": map[string]any{"role": role}})).Authorize(req)
		rec := httptest.NewRecorder()
		mux.ServeHTTP(rec, req)
		fmt.Println(role, rec.Code)
	}
	// Output:
	// owner 200
	// member 403
}

// Credentials of every kind also arrive by other ways than HTTP.
func ExampleAuthenticator_CheckToken() {
	srv, err := clerkauthtest.Start(clerkauthtest.InMemory())
	if err != nil {
		log.Fatal(err)
	}
	config := srv.Config()
	config.Accept = []clerkauth.TokenType{clerkauth.SessionToken, clerkauth.APIKey}
	auth, err := clerkauth.New(config)
	if err != nil {
		log.Fatal(err)
	}
	token := srv.CreateAPIKey(srv.CreateUser("jane@example.com")).Token
	ctx := context.Background()

	ctx, err = auth.CheckToken(ctx, token, clerkauth.AnyOf(clerkauth.SignedIn, clerkauth.Token(clerkauth.APIKey)))
	fmt.Println(clerkauth.FromContext(ctx).TokenType, err)
	_, err = auth.VerifyToken(ctx, token) // sessions alone
	fmt.Println(err)
	// Output:
	// api_key <nil>
	// clerkauth: a token of this kind is not accepted here (token-type-mismatch)
}

// The rest of Clerk's Backend API is clerk-sdk-go's, with our key and deadline.
func ExampleAuthenticator_ClerkConfig() {
	srv, err := clerkauthtest.Start()
	if err != nil {
		log.Fatal(err)
	}
	defer srv.Close()
	auth, err := clerkauth.New(srv.Config())
	if err != nil {
		log.Fatal(err)
	}
	jane := srv.CreateUser("jane@example.com")
	ctx := context.Background()

	u, err := user.NewClient(auth.ClerkConfig()).Get(ctx, jane.ID) // clerk-sdk-go with our key, deadline and transport
	fmt.Println(u.ID == jane.ID, err)
	// Output: true <nil>
}

// Handlers written for clerk-sdk-go go on working.
func ExampleAuthenticator_Require_sdk() {
	legacy := func(w http.ResponseWriter, r *http.Request) {
		claims, ok := clerk.SessionClaimsFromContext(r.Context())
		fmt.Fprintln(w, ok, claims.HasRole("org:admin"))
	}

	srv, err := clerkauthtest.Start(clerkauthtest.InMemory())
	if err != nil {
		log.Fatal(err)
	}
	auth, err := clerkauth.New(srv.Config())
	if err != nil {
		log.Fatal(err)
	}
	req := httptest.NewRequest("GET", "/", nil)
	srv.SignIn(srv.CreateUser("jane@example.com"), clerkauthtest.InOrganization("acme", "org:admin")).Authorize(req)
	rec := httptest.NewRecorder()
	auth.Require().Func(legacy).ServeHTTP(rec, req)
	fmt.Print(rec.Body)
	// Output: true true
}

func TestDashboard(t *testing.T) {
	srv := clerkauthtest.NewServer(t) // a Clerk instance of your own: keys, users, tokens
	auth, err := clerkauth.New(srv.Config())
	if err != nil {
		t.Fatal(err)
	}
	jane := srv.CreateUser("jane+clerk_test@example.com")
	req := httptest.NewRequest("GET", "/dashboard", nil)
	srv.SignIn(jane, clerkauthtest.InOrganization("acme", "org:admin")).Authorize(req)

	rec := httptest.NewRecorder()
	auth.Require().Func(dashboard).ServeHTTP(rec, req)
	if rec.Code != http.StatusOK {
		t.Errorf("got %d: %s", rec.Code, rec.Body)
	}
}

func TestDashboardHandlerAlone(t *testing.T) {
	ctx := clerkauth.NewContext(t.Context(), clerkauth.Auth{UserID: "user_1"}) // no token at all
	rec := httptest.NewRecorder()
	dashboard(rec, httptest.NewRequestWithContext(ctx, "GET", "/dashboard", nil))
	if got := rec.Body.String(); got != "user_1  false\n" {
		t.Errorf("got %q", got)
	}
}

func TestDashboardHandlerAloneWithPermissions(t *testing.T) {
	srv := clerkauthtest.NewServer(t, clerkauthtest.InMemory())
	auth, err := clerkauth.New(srv.Config())
	if err != nil {
		t.Fatal(err)
	}
	jane := srv.CreateUser("jane+clerk_test@example.com", clerkauthtest.Name("Jane", "Doe"))
	session := srv.SignIn(jane, clerkauthtest.InOrganization("acme", "org:admin", "org:invoices:create"))
	ctx := clerkauth.NewContext(t.Context(), session.Auth(auth))

	rec := httptest.NewRecorder()
	dashboard(rec, httptest.NewRequestWithContext(ctx, "GET", "/dashboard", nil))
	if got := rec.Body.String(); got != jane.ID+" acme true\n" {
		t.Errorf("got %q", got)
	}
}

// A route may accept machines beside users, or machines alone.
func ExampleToken() {
	srv, err := clerkauthtest.Start(clerkauthtest.InMemory())
	if err != nil {
		log.Fatal(err)
	}
	config := srv.Config()
	config.Accept = []clerkauth.TokenType{clerkauth.SessionToken, clerkauth.APIKey, clerkauth.OAuthToken}
	auth, err := clerkauth.New(config)
	if err != nil {
		log.Fatal(err)
	}
	report := func(w http.ResponseWriter, r *http.Request) {
		who := clerkauth.FromContext(r.Context())
		fmt.Fprint(w, who.TokenType, " ", who.HasScope("reports:write"))
	}

	mux := auth.NewServeMux()
	mux.HandleFunc("POST /reports", clerkauth.AnyOf(clerkauth.SignedIn, clerkauth.Token(clerkauth.APIKey, clerkauth.Scope("reports:write"))), report)
	mux.HandleFunc("/mcp", clerkauth.Token(clerkauth.OAuthToken, clerkauth.Scope("notes:read")), report)
	describe, err := auth.ResourceMetadata(clerkauth.Resource{URL: "https://api.example.com/mcp", Scopes: []string{"notes:read"}})
	if err != nil {
		log.Fatal(err)
	}
	handler := describe(mux) // an MCP client that knows only the URL finds out where to get a token

	jane := srv.CreateUser("jane@example.com")
	key := srv.CreateAPIKey(jane, "reports:write")
	for _, path := range []string{"/reports", "/mcp"} {
		req, w := httptest.NewRequest("POST", path, nil), httptest.NewRecorder()
		key.Authorize(req)
		handler.ServeHTTP(w, req)
		fmt.Println(path, w.Code)
	}
	// Output:
	// /reports 200
	// /mcp 401
}

// A server that renders pages, and signs people out without JavaScript.
func ExampleAuthenticator_SignOut() {
	config := clerkauth.FromEnv()
	config.MissingParty = clerkauth.AllowMissingFromCookie // Clerk cannot name an origin in tokens of handshakes
	auth, err := clerkauth.New(config)
	if err != nil {
		log.Fatal(err)
	}
	mux := auth.NewServeMux()
	mux.HandleFunc("POST /sign-out", clerkauth.Public, func(w http.ResponseWriter, r *http.Request) {
		if auth.SignOut(w, r) { // revokes the session and removes the cookies
			http.Redirect(w, r, "/", http.StatusSeeOther)
		}
	})
	log.Fatal(http.ListenAndServe(":8080", mux))
}
