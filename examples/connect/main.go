// Command connect is a small Connect API, with public and guarded procedures and a
// local Clerk instance. The part to copy is server.go.
//
//	go run .          serve, and print curl lines with live tokens
//	go run . -check   make those requests, compare the responses, and exit 0 or 1
package main

import (
	"github.com/clerkauth/clerkauth/clerkauthtest"
	"github.com/clerkauth/clerkauth/internal/example"
)

var program = example.Program{Handler: newServer, Requests: newRequests}

func main() { example.Main(program) }

// newRequests returns the requests to try.
func newRequests(clerk *clerkauthtest.Server) []example.Request {
	admin, member := example.Tokens(clerk)
	return []example.Request{
		{Shows: "the home page is public", Method: "POST", Path: homeProcedure, Body: "{}", Want: 200},
		{Shows: "the dashboard requires a session", Method: "POST", Path: dashboardProcedure, Body: "{}", Want: 401},
		{Shows: "so do the other procedures", Method: "POST", Path: deleteOrgProcedure, Body: `"acme"`, Want: 401},
		{Shows: "a credential of another kind is rejected", Method: "POST", Path: dashboardProcedure, Token: "cron-secret", Body: "{}", Want: 401},
		{Shows: "but is anonymous on a public procedure", Method: "POST", Path: homeProcedure, Token: "cron-secret", Body: "{}", Want: 200},
		{Shows: "jane is signed in", Method: "POST", Path: dashboardProcedure, Token: admin, Body: "{}", Want: 200},
		{Shows: "also on the home page", Method: "POST", Path: homeProcedure, Token: admin, Body: "{}", Want: 200},
		{Shows: "she is an admin of acme", Method: "POST", Path: deleteOrgProcedure, Token: admin, Body: `"acme"`, Want: 200},
		{Shows: "but not of another organization", Method: "POST", Path: deleteOrgProcedure, Token: admin, Body: `"other"`, Want: 403},
		{Shows: "she may create invoices", Method: "POST", Path: createInvoiceProcedure, Token: admin, Body: "{}", Want: 200},
		{Shows: "john is signed in", Method: "POST", Path: dashboardProcedure, Token: member, Body: "{}", Want: 200},
		{Shows: "but is not an admin", Method: "POST", Path: deleteOrgProcedure, Token: member, Body: `"acme"`, Want: 403},
		{Shows: "and may not create invoices", Method: "POST", Path: createInvoiceProcedure, Token: member, Body: "{}", Want: 403},
	}
}
