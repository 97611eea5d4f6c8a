package main

import (
	"fmt"
	"net/http"

	"github.com/gorilla/mux"

	"github.com/clerkauth/clerkauth"
)

// newServer returns the API. The library's middleware works with gorilla unchanged
// around a handler, and converted to mux.MiddlewareFunc for a subrouter.
func newServer(auth *clerkauth.Authenticator) http.Handler {
	r := mux.NewRouter()
	r.Use(pathValues)
	r.HandleFunc("/", home).Methods("GET")
	r.Handle("/dashboard", auth.Require().Func(dashboard)).Methods("GET")
	r.Handle("/invoices", auth.Require(clerkauth.Permission("org:invoices:create")).Func(createInvoice)).Methods("POST")
	org := r.PathPrefix("/orgs/{slug}").Subrouter()
	org.Use(mux.MiddlewareFunc(auth.Require(clerkauth.Role("org:admin"), clerkauth.OrganizationParam("slug"))))
	org.HandleFunc("", deleteOrg).Methods("DELETE")
	return auth.Handler(r)
}

// pathValues sets gorilla's route variables as path values of the request, where
// OrganizationParam reads them.
func pathValues(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		for name, value := range mux.Vars(r) {
			r.SetPathValue(name, value)
		}
		next.ServeHTTP(w, r)
	})
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
