package main

import (
	"context"
	"net/http"

	"github.com/danielgtaylor/huma/v2"
	"github.com/danielgtaylor/huma/v2/adapters/humago"

	"github.com/clerkauth/clerkauth"
)

// newServer returns the API. Handler authenticates requests for all operations; guard
// authorizes those for one.
func newServer(auth *clerkauth.Authenticator) http.Handler {
	mux := http.NewServeMux()
	config := huma.DefaultConfig("Shop", "1.0.0")
	config.Components.SecuritySchemes = map[string]*huma.SecurityScheme{
		"clerk": {Type: "http", Scheme: "bearer", BearerFormat: "JWT"},
	}
	api := humago.New(mux, config)
	huma.Get(api, "/", home) // for ServeMux, also every path without a route
	huma.Get(api, "/dashboard", dashboard, guard(auth))
	huma.Post(api, "/invoices", createInvoice, guard(auth, clerkauth.Permission("org:invoices:create")))
	huma.Delete(api, "/orgs/{slug}", deleteOrg, guard(auth, clerkauth.Role("org:admin"), clerkauth.OrganizationParam("slug")))
	return auth.Handler(mux)
}

// guard requires the requirements for an operation, before huma reads its input, and
// describes that in the OpenAPI document.
func guard(auth *clerkauth.Authenticator, requirements ...clerkauth.Access) func(*huma.Operation) {
	require := auth.Require(requirements...)
	return func(operation *huma.Operation) {
		operation.Security = []map[string][]string{{"clerk": {}}}
		operation.Middlewares = append(operation.Middlewares, func(ctx huma.Context, next func(huma.Context)) {
			r, w := humago.Unwrap(ctx)
			require.Func(func(_ http.ResponseWriter, r *http.Request) {
				next(huma.WithContext(ctx, r.Context()))
			}).ServeHTTP(w, r.WithContext(ctx.Context()))
		})
	}
}

type output[T any] struct{ Body T }

type caller struct {
	User         string   `json:"user"`
	Organization string   `json:"organization"`
	Role         string   `json:"role"`
	Permissions  []string `json:"permissions"`
}

func home(ctx context.Context, _ *struct{}) (*output[string], error) {
	if who := clerkauth.FromContext(ctx); who.SignedIn() {
		return &output[string]{"hello, " + who.UserID}, nil
	}
	return &output[string]{"hello, stranger"}, nil
}

func dashboard(ctx context.Context, _ *struct{}) (*output[caller], error) {
	who := clerkauth.FromContext(ctx)
	return &output[caller]{caller{who.UserID, who.OrgSlug, who.OrgRole, who.Permissions()}}, nil
}

func createInvoice(ctx context.Context, _ *struct{}) (*output[string], error) {
	return &output[string]{"an invoice of " + clerkauth.FromContext(ctx).OrgSlug}, nil
}

func deleteOrg(_ context.Context, input *struct {
	Slug string `path:"slug"`
}) (*output[string], error) {
	return &output[string]{"deleted " + input.Slug}, nil
}
