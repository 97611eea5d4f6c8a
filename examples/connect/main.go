// Command connect is a small API of Connect, with public and guarded procedures and
// a Clerk instance of its own. The part to copy is server.go.
//
//	go run .          serve, and print curl lines with live tokens
//	go run . -check   make those requests, compare, and exit 0 or 1
package main

import (
	"github.com/clerkauth/clerkauth/clerkauthtest"
	"github.com/clerkauth/clerkauth/internal/example"
)

var program = example.Program{Handler: newServer, Requests: newRequests}

func main() { example.Main(program) }

// newRequests returns what shows who may do what.
func newRequests(clerk *clerkauthtest.Server) []example.Request {
	admin, member := example.Tokens(clerk)
	return []example.Request{
		{Shows: "anybody may see the home page", Method: "POST", Path: homeProcedure, Body: "{}", Want: 200},
		{Shows: "the dashboard wants a session", Method: "POST", Path: dashboardProcedure, Body: "{}", Want: 401},
		{Shows: "so do the guarded procedures", Method: "POST", Path: deleteOrgProcedure, Body: `"acme"`, Want: 401},
		{Shows: "a credential of another kind is refused", Method: "POST", Path: dashboardProcedure, Token: "cron-secret", Body: "{}", Want: 401},
		{Shows: "and is nobody's where anybody may come", Method: "POST", Path: homeProcedure, Token: "cron-secret", Body: "{}", Want: 200},
		{Shows: "jane is signed in", Method: "POST", Path: dashboardProcedure, Token: admin, Body: "{}", Want: 200},
		{Shows: "and known on the home page", Method: "POST", Path: homeProcedure, Token: admin, Body: "{}", Want: 200},
		{Shows: "she is an admin", Method: "POST", Path: deleteOrgProcedure, Token: admin, Body: `"acme"`, Want: 200},
		{Shows: "of acme alone", Method: "POST", Path: deleteOrgProcedure, Token: admin, Body: `"other"`, Want: 403},
		{Shows: "and may create invoices", Method: "POST", Path: createInvoiceProcedure, Token: admin, Body: "{}", Want: 200},
		{Shows: "john is signed in", Method: "POST", Path: dashboardProcedure, Token: member, Body: "{}", Want: 200},
		{Shows: "but no admin", Method: "POST", Path: deleteOrgProcedure, Token: member, Body: `"acme"`, Want: 403},
		{Shows: "without that permission", Method: "POST", Path: createInvoiceProcedure, Token: member, Body: "{}", Want: 403},
	}
}
