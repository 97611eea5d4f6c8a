// Command api is a JSON API that accepts sessions and API keys, with a rate limit for
// each API key and a local Clerk instance. The part to copy is server.go.
//
//	go run .          serve, and print curl lines with live tokens and keys
//	go run . -check   make those requests, compare the responses, and exit 0 or 1
package main

import (
	"time"

	"github.com/clerkauth/clerkauth"
	"github.com/clerkauth/clerkauth/clerkauthtest"
	"github.com/clerkauth/clerkauth/internal/example"
)

var program = example.Program{Configure: configure, Handler: handler, Requests: newRequests}

func main() { example.Main(program) }

func configure(c *clerkauth.Config) {
	c.Accept = []clerkauth.TokenType{clerkauth.SessionToken, clerkauth.APIKey}
}

// newRequests returns the requests to try.
func newRequests(clerk *clerkauthtest.Server) []example.Request {
	jane := clerk.CreateUser("jane@example.com")
	session := clerk.SignIn(jane).Token(clerkauthtest.ExpiresIn(12 * time.Hour)) // Clerk's are valid for a minute
	key := clerk.CreateAPIKey(jane, "reports:read", "reports:write").Token
	reader := clerk.CreateAPIKey(jane, "reports:read").Token
	busy := clerk.CreateAPIKey(clerk.CreateOrganization("acme"), "reports:read").Token
	lost := clerk.CreateAPIKey(jane, "reports:read")
	clerk.Revoke(lost)
	oauth := clerk.CreateOAuthToken(jane, "client_1", "reports:read").Token
	report := `{"title":"sales"}`
	return []example.Request{
		{Shows: "reports require a credential", Method: "GET", Path: "/reports", Want: 401},
		{Shows: "jane writes a report", Method: "POST", Path: "/reports", Token: session, Body: report, Want: 201},
		{Shows: "her program writes another with an API key", Method: "POST", Path: "/reports", Token: key, Body: report, Want: 201},
		{Shows: "and lists both", Method: "GET", Path: "/reports", Token: key, Want: 200},
		{Shows: "a key with the scope reports:read reads", Method: "GET", Path: "/reports", Token: reader, Want: 200},
		{Shows: "but does not write", Method: "POST", Path: "/reports", Token: reader, Body: report, Want: 403},
		{Shows: "a revoked key is rejected", Method: "GET", Path: "/reports", Token: lost.Token, Want: 401},
		{Shows: "so is a key that Clerk does not know", Method: "GET", Path: "/reports", Token: "ak_made_up", Want: 401},
		{Shows: "and an OAuth token, which the API does not accept", Method: "GET", Path: "/reports", Token: oauth, Want: 401},
		{Shows: "an API key is not a user", Method: "GET", Path: "/me", Token: key, Want: 401},
		{Shows: "jane is a user", Method: "GET", Path: "/me", Token: session, Want: 200},
		{Shows: "acme's key makes a request", Method: "GET", Path: "/reports", Token: busy, Want: 200},
		{Shows: "and another", Method: "GET", Path: "/reports", Token: busy, Want: 200},
		{Shows: "and another", Method: "GET", Path: "/reports", Token: busy, Want: 200},
		{Shows: "and one too many", Method: "GET", Path: "/reports", Token: busy, Want: 429},
		{Shows: "other keys have limits of their own", Method: "GET", Path: "/reports", Token: reader, Want: 200},
		{Shows: "users have none", Method: "GET", Path: "/reports", Token: session, Want: 200},
	}
}
