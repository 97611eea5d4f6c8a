package clerkauthtest_test

import (
	"context"
	"fmt"
	"log"
	"net/http"
	"net/http/httptest"
	"time"

	"github.com/clerk/clerk-sdk-go/v2/user"

	"github.com/clerkauth/clerkauth"
	"github.com/clerkauth/clerkauth/clerkauthtest"
)

// A server is tested against an instance of its own. In a test, NewServer(t) takes
// the place of Start and Close.
func Example() {
	srv, err := clerkauthtest.Start()
	if err != nil {
		fmt.Println(err)
		return
	}
	defer srv.Close()

	auth, err := clerkauth.New(srv.Config())
	if err != nil {
		fmt.Println(err)
		return
	}
	handler := auth.Require(clerkauth.Permission("org:invoices:create")).Func(func(w http.ResponseWriter, r *http.Request) {
		fmt.Fprintln(w, "welcome to", clerkauth.FromContext(r.Context()).OrgSlug)
	})
	request := func(session *clerkauthtest.Session) {
		req := httptest.NewRequest(http.MethodPost, "/invoices", nil)
		if session != nil {
			session.Authorize(req)
		}
		w := httptest.NewRecorder()
		handler.ServeHTTP(w, req)
		fmt.Println(w.Code)
	}

	jane := srv.CreateUser("jane@example.com")
	request(nil)
	request(srv.SignIn(jane))
	request(srv.SignIn(jane, clerkauthtest.InOrganization("acme", "org:clerk", "org:invoices:create")))
	// Output:
	// 401
	// 403
	// 200
}

func ExampleServer_Fail() {
	srv, err := clerkauthtest.Start(clerkauthtest.InMemory())
	if err != nil {
		fmt.Println(err)
		return
	}
	defer srv.Close()
	auth, err := clerkauth.New(srv.Config())
	if err != nil {
		fmt.Println(err)
		return
	}
	handler := auth.Require().Func(func(http.ResponseWriter, *http.Request) {})
	session := srv.SignIn(srv.CreateUser("jane@example.com"))
	request := func() {
		req := httptest.NewRequest(http.MethodGet, "/", nil)
		session.Authorize(req)
		w := httptest.NewRecorder()
		handler.ServeHTTP(w, req)
		fmt.Println(w.Code)
	}

	srv.Fail(clerkauthtest.JWKS, http.StatusServiceUnavailable)
	request() // no session can be verified without keys
	srv.Heal(clerkauthtest.JWKS)
	srv.Advance(time.Minute)
	request()
	srv.Fail(clerkauthtest.JWKS, http.StatusServiceUnavailable)
	request() // the keys are cached
	// Output:
	// 503
	// 200
	// 200
}

// A program for development, beside the one that is deployed, needs no account at Clerk.
func ExampleSession_ListenAndServe() {
	newServer := func(auth *clerkauth.Authenticator) http.Handler { return auth.Require().Func(http.NotFound) }

	srv, err := clerkauthtest.Start()
	if err != nil {
		log.Fatal(err)
	}
	auth, err := clerkauth.New(srv.Config())
	if err != nil {
		log.Fatal(err)
	}
	jane := srv.CreateUser("jane@example.com", clerkauthtest.Name("Jane", "Doe"))
	session := srv.SignIn(jane, clerkauthtest.InOrganization("acme", "org:admin"))
	log.Fatal(session.ListenAndServe("localhost:8080", newServer(auth)))
}

// Handlers that read users with clerk-sdk-go find those of the instance.
func ExampleServer_CreateUser() {
	srv, err := clerkauthtest.Start(clerkauthtest.InMemory())
	if err != nil {
		log.Fatal(err)
	}
	auth, err := clerkauth.New(srv.Config())
	if err != nil {
		log.Fatal(err)
	}
	jane := srv.CreateUser("jane@example.com", clerkauthtest.Name("Jane", "Doe"),
		clerkauthtest.PublicMetadata(map[string]any{"role": "admin"}))

	u, err := user.NewClient(auth.ClerkConfig()).Get(context.Background(), jane.ID)
	fmt.Println(*u.FirstName, string(u.PublicMetadata), u.Banned, err)
	// Output: Jane {"role":"admin"} false <nil>
}

// The requests of a signed-in browser have cookies.
func ExampleSession_SetCookies() {
	srv, err := clerkauthtest.Start(clerkauthtest.InMemory(), clerkauthtest.Production("clerk.example.com"))
	if err != nil {
		log.Fatal(err)
	}
	session := srv.SignIn(srv.CreateUser("jane+clerk_test@example.com"))

	req := httptest.NewRequest(http.MethodGet, "/dashboard", nil)
	session.SetCookies(req)
	for _, c := range req.Cookies() {
		fmt.Println(c.Name)
	}
	// Output:
	// __client_uat
	// __client_uat_naoXFJnI
	// __refresh_naoXFJnI
	// __session
	// __session_naoXFJnI
}
