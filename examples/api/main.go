// Command api is a JSON API that takes users' sessions and API keys side by side,
// each API key at its own rate. It has a Clerk instance of its own. The part to copy
// is server.go.
//
//	go run .          serve, and print curl lines with live tokens and keys
//	go run . -check   make those requests, compare, and exit 0 or 1
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

// newRequests returns what shows who may do what.
func newRequests(clerk *clerkauthtest.Server) []example.Request {
	jane := clerk.CreateUser("jane@example.com")
	session := clerk.SignIn(jane).Token(clerkauthtest.ExpiresIn(12 * time.Hour)) // Clerk's live for a minute
	key := clerk.CreateAPIKey(jane, "reports:read", "reports:write").Token
	reader := clerk.CreateAPIKey(jane, "reports:read").Token
	busy := clerk.CreateAPIKey(clerk.CreateOrganization("acme"), "reports:read").Token
	lost := clerk.CreateAPIKey(jane, "reports:read")
	clerk.Revoke(lost)
	oauth := clerk.CreateOAuthToken(jane, "client_1", "reports:read").Token
	report := `{"title":"sales"}`
	return []example.Request{
		{Shows: "reports want somebody", Method: "GET", Path: "/reports", Want: 401},
		{Shows: "jane writes one", Method: "POST", Path: "/reports", Token: session, Body: report, Want: 201},
		{Shows: "her program writes another", Method: "POST", Path: "/reports", Token: key, Body: report, Want: 201},
		{Shows: "and lists both", Method: "GET", Path: "/reports", Token: key, Want: 200},
		{Shows: "a key to read reads", Method: "GET", Path: "/reports", Token: reader, Want: 200},
		{Shows: "and does not write", Method: "POST", Path: "/reports", Token: reader, Body: report, Want: 403},
		{Shows: "a key that was lost is refused", Method: "GET", Path: "/reports", Token: lost.Token, Want: 401},
		{Shows: "so is one that was made up", Method: "GET", Path: "/reports", Token: "ak_made_up", Want: 401},
		{Shows: "and an OAuth token, which nobody asked for", Method: "GET", Path: "/reports", Token: oauth, Want: 401},
		{Shows: "a key is no user", Method: "GET", Path: "/me", Token: key, Want: 401},
		{Shows: "jane is", Method: "GET", Path: "/me", Token: session, Want: 200},
		{Shows: "acme's key asks once", Method: "GET", Path: "/reports", Token: busy, Want: 200},
		{Shows: "and once more", Method: "GET", Path: "/reports", Token: busy, Want: 200},
		{Shows: "and once more", Method: "GET", Path: "/reports", Token: busy, Want: 200},
		{Shows: "that was too often", Method: "GET", Path: "/reports", Token: busy, Want: 429},
		{Shows: "which is no concern of other keys", Method: "GET", Path: "/reports", Token: reader, Want: 200},
		{Shows: "or of users", Method: "GET", Path: "/reports", Token: session, Want: 200},
	}
}
