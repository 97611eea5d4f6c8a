package main

import (
	"fmt"
	"io"
	"net"
	"net/http"
	"time"

	"github.com/clerkauth/clerkauth"
	"github.com/clerkauth/clerkauth/clerkauthtest"
	"github.com/clerkauth/clerkauth/internal/example"
)

// tokenLife is how long the printed tokens are valid. Clerk's own are valid for a minute
// and renewed by its frontend SDKs.
const tokenLife = 12 * time.Hour

// instance returns the configuration of the Clerk instance to use, the requests to try,
// and a function that closes the instance. It is your own instance if the environment
// has one of its variables, otherwise a local one.
func instance(listener net.Addr) (clerkauth.Config, []request, func(), error) {
	config, clerk, err := example.Instance(listener, "http://"+listener.String())
	if err != nil {
		return clerkauth.Config{}, nil, nil, err
	}
	if clerk == nil {
		return config, withoutTokens(), func() {}, nil
	}
	jane := clerk.CreateUser("jane@example.com")
	john := clerk.CreateUser("john@example.com")
	admin := clerk.SignIn(jane, clerkauthtest.InOrganization("acme", "org:admin", "org:invoices:create"))
	member := clerk.SignIn(john, clerkauthtest.InOrganization("acme", "org:member"), clerkauthtest.FactorAges(45, -1))
	config.Browser.SignInURL = signInPath
	return config, withTokens(tokens{
		admin:   token{"JANE", admin.Token(clerkauthtest.ExpiresIn(tokenLife))},
		member:  token{"JOHN", member.Token(clerkauthtest.ExpiresIn(tokenLife))},
		expired: token{"EXPIRED", admin.Token(issued(clerk.Now().Add(-time.Hour))...)},
		foreign: token{"FOREIGN", admin.Token(clerkauthtest.ExpiresIn(tokenLife), clerkauthtest.WithClaim("azp", "https://evil.example"))},
	}), clerk.Close, nil
}

// issued returns options for a token that was issued at then and valid for a minute.
func issued(then time.Time) []clerkauthtest.TokenOption {
	return []clerkauthtest.TokenOption{
		clerkauthtest.WithClaim("iat", then.Unix()),
		clerkauthtest.WithClaim("nbf", then.Unix()),
		clerkauthtest.WithClaim("exp", then.Add(time.Minute).Unix()),
	}
}

// signInPath is where the local instance sends browsers to sign in.
const signInPath = "/sign-in"

// signInPage replaces Clerk's sign-in page, which a local instance does not have.
func signInPage(w http.ResponseWriter, _ *http.Request) {
	w.Header().Set("Content-Type", "text/html; charset=utf-8")
	fmt.Fprintln(w, `<!doctype html><title>Sign in</title><p>You are not signed in, so the server sent you here.
<p>With your own Clerk keys this is Clerk's sign-in page. The local instance signs in with bearer tokens:
paste the curl lines that the quickstart printed, or run it with -dev to be signed in here.`)
}

// develop serves at addr, on loopback alone, to a browser in which jane is signed in, with a
// local instance, until serving fails.
func develop(addr string, out io.Writer) error {
	if name := example.Configured(); name != "" {
		return fmt.Errorf("-dev is for a local Clerk instance: unset %s", name)
	}
	clerk, err := clerkauthtest.Start()
	if err != nil {
		return err
	}
	defer clerk.Close()
	auth, err := clerkauth.New(clerk.Config())
	if err != nil {
		return err
	}
	jane := clerk.CreateUser("jane@example.com", clerkauthtest.Name("Jane", "Doe"))
	session := clerk.SignIn(jane, clerkauthtest.InOrganization("acme", "org:admin", "org:invoices:create"))
	fmt.Fprintf(out, "jane is signed in, and an admin of acme, at http://%s\n", addr)
	return session.ListenAndServe(addr, newServer(auth))
}

// token is a session token of the local instance, or another credential.
type token struct {
	variable string // of the shell, which holds value; "" for a short one
	value    string // "": none
}

// tokens are the session tokens in requests.
type tokens struct {
	admin, member    token
	expired, foreign token
}

// withoutTokens returns the requests that need no session token.
func withoutTokens() []request {
	return []request{
		{"the home page is public", "GET", "/", token{}, 200},
		{"the dashboard requires a session", "GET", "/dashboard", token{}, 401},
		{"so do the other routes", "DELETE", "/orgs/acme", token{}, 401},
		{"a credential of another kind is rejected", "GET", "/dashboard", token{value: "cron-secret"}, 401},
		{"but is anonymous on a public route", "GET", "/", token{value: "cron-secret"}, 200},
	}
}

// withTokens returns all requests.
func withTokens(t tokens) []request {
	return append(withoutTokens(),
		request{"jane is signed in", "GET", "/dashboard", t.admin, 200},
		request{"also on the home page", "GET", "/", t.admin, 200},
		request{"she is an admin of acme", "DELETE", "/orgs/acme", t.admin, 200},
		request{"but not of another organization", "DELETE", "/orgs/other", t.admin, 403},
		request{"she may create invoices", "POST", "/invoices", t.admin, 200},
		request{"she signed in recently", "POST", "/email", t.admin, 200},
		request{"john is signed in", "GET", "/dashboard", t.member, 200},
		request{"but is not an admin", "DELETE", "/orgs/acme", t.member, 403},
		request{"may not create invoices", "POST", "/invoices", t.member, 403},
		request{"and signed in 45 minutes ago", "POST", "/email", t.member, 403},
		request{"an expired token is rejected", "GET", "/dashboard", t.expired, 401},
		request{"so is a token for another site", "GET", "/dashboard", t.foreign, 401},
	)
}
