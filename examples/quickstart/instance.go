package main

import (
	"fmt"
	"net/http"
	"os"
	"time"

	"github.com/clerkauth/clerkauth"
	"github.com/clerkauth/clerkauth/clerkauthtest"
)

// tokenLife is how long the printed tokens are valid. Clerk's own are valid for a minute
// and renewed by its frontend SDKs.
const tokenLife = 12 * time.Hour

// instance returns the configuration of the Clerk instance to use, the requests to try,
// and a function that closes the instance. It is your own instance if the environment
// has one of its keys, otherwise a local one.
func instance(base string) (clerkauth.Config, []request, func(), error) {
	for _, name := range []string{"CLERK_PUBLISHABLE_KEY", "CLERK_SECRET_KEY", "CLERK_JWT_KEY"} {
		if os.Getenv(name) != "" {
			return clerkauth.FromEnv(), withoutTokens(), func() {}, nil
		}
	}
	clerk, err := clerkauthtest.Start(clerkauthtest.Origin(base))
	if err != nil {
		return clerkauth.Config{}, nil, nil, err
	}
	jane := clerk.CreateUser("jane@example.com")
	john := clerk.CreateUser("john@example.com")
	admin := clerk.SignIn(jane, clerkauthtest.InOrganization("acme", "org:admin", "org:invoices:create"))
	member := clerk.SignIn(john, clerkauthtest.InOrganization("acme", "org:member"), clerkauthtest.FactorAges(45, -1))
	config := clerk.Config()
	config.Browser.SignInURL = signInPath
	return config, withTokens(tokens{
		admin:   admin.Token(clerkauthtest.ExpiresIn(tokenLife)),
		member:  member.Token(clerkauthtest.ExpiresIn(tokenLife)),
		expired: admin.Token(issued(clerk.Now().Add(-time.Hour))...),
		foreign: admin.Token(clerkauthtest.ExpiresIn(tokenLife), clerkauthtest.WithClaim("azp", "https://evil.example")),
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
paste one of the curl lines that the quickstart printed.`)
}

// tokens are session tokens of the local instance.
type tokens struct {
	admin, member    string
	expired, foreign string
}

// withoutTokens returns the requests that need no session token.
func withoutTokens() []request {
	return []request{
		{"the home page is public", "GET", "/", "", 200},
		{"the dashboard requires a session", "GET", "/dashboard", "", 401},
		{"so do the other routes", "DELETE", "/orgs/acme", "", 401},
		{"a credential of another kind is rejected", "GET", "/dashboard", "cron-secret", 401},
		{"but is anonymous on a public route", "GET", "/", "cron-secret", 200},
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
