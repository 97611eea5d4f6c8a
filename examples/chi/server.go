package main

import (
	"fmt"
	"net/http"

	"github.com/go-chi/chi/v5"

	"github.com/clerkauth/clerkauth"
)

// newServer returns the API. The library's middleware works with chi unchanged:
// Handler for all routes, Require for one route (With) or for a group (Use).
func newServer(auth *clerkauth.Authenticator) http.Handler {
	r := chi.NewRouter()
	r.Use(auth.Handler)
	r.Get("/", home)
	r.With(auth.Require()).Get("/dashboard", dashboard)
	r.With(auth.Require(clerkauth.Permission("org:invoices:create"))).Post("/invoices", createInvoice)
	r.Route("/orgs/{slug}", func(r chi.Router) {
		r.Use(auth.Require(clerkauth.Role("org:admin"), clerkauth.OrganizationParam("slug")))
		r.Delete("/", deleteOrg)
	})
	return r
}

func home(w http.ResponseWriter, r *http.Request) {
	if who := clerkauth.FromContext(r.Context()); who.SignedIn() {
		fmt.Fprintln(w, "hello,", who.UserID)
		return
	}
	fmt.Fprintln(w, "hello, stranger")
}

func dashboard(w http.ResponseWriter, r *http.Request) {
	who := clerkauth.FromContext(r.Context())
	fmt.Fprintln(w, who.UserID, who.OrgSlug, who.OrgRole, who.Permissions())
}

func deleteOrg(w http.ResponseWriter, r *http.Request) {
	fmt.Fprintln(w, "deleted", clerkauth.FromContext(r.Context()).OrgSlug) // the organization in the path
}

func createInvoice(w http.ResponseWriter, r *http.Request) {
	fmt.Fprintln(w, "an invoice of", clerkauth.FromContext(r.Context()).OrgSlug)
}
