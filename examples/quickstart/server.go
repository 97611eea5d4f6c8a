package main

import (
	"encoding/json"
	"fmt"
	"net/http"
	"time"

	"github.com/clerkauth/clerkauth"
)

// newServer returns the server. It is the part to copy into your own program: routes,
// and their requirements.
func newServer(auth *clerkauth.Authenticator) http.Handler {
	mux := http.NewServeMux()

	// Public. If the caller is signed in, home knows it.
	mux.HandleFunc("GET /{$}", home)

	// Any signed-in user.
	mux.Handle("GET /dashboard", auth.Require().Func(whoami))

	// A role in the active organization, which the path names, or a permission there.
	mux.Handle("DELETE /orgs/{slug}", auth.Require(clerkauth.Role("org:admin"), clerkauth.OrganizationParam("slug")).Func(deleteOrg))
	mux.Handle("POST /invoices", auth.Require(clerkauth.Permission("org:invoices:create")).Func(createInvoice))

	// A second factor verified in the last ten minutes, or the first of a user without.
	mux.Handle("POST /email", auth.Require(clerkauth.ReverifiedStrict).Func(whoami))

	return auth.Handler(mux)
}

func home(w http.ResponseWriter, r *http.Request) {
	who := clerkauth.FromContext(r.Context())
	if !who.SignedIn() {
		fmt.Fprintln(w, "hello, stranger")
		return
	}
	fmt.Fprintln(w, "hello,", who.UserID)
}

func whoami(w http.ResponseWriter, r *http.Request) {
	who := clerkauth.FromContext(r.Context())
	writeJSON(w, map[string]any{
		"user": who.UserID, "session": who.SessionID, "expires": who.ExpiresAt.Format(time.RFC3339),
		"organization": who.OrgSlug, "role": who.OrgRole, "permissions": who.Permissions(),
	})
}

func deleteOrg(w http.ResponseWriter, r *http.Request) {
	who := clerkauth.FromContext(r.Context())
	writeJSON(w, map[string]any{"deleted": who.OrgSlug, "by": who.UserID})
}

func createInvoice(w http.ResponseWriter, r *http.Request) {
	who := clerkauth.FromContext(r.Context())
	writeJSON(w, map[string]any{"invoice": 1, "organization": who.OrgSlug, "by": who.UserID})
}

func writeJSON(w http.ResponseWriter, body any) {
	w.Header().Set("Content-Type", "application/json")
	// An error means that the connection is closed.
	_ = json.NewEncoder(w).Encode(body)
}
