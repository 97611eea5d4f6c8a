package main

import (
	"context"
	"errors"
	"net/http"

	"github.com/ogen-go/ogen/ogenerrors"

	"github.com/clerkauth/clerkauth"
	"github.com/clerkauth/clerkauth/examples/ogen/api"
)

// access is what operations require beyond a signed-in user.
var access = map[api.OperationName]clerkauth.Access{
	api.DeleteOrgOperation: clerkauth.Role("org:admin"),
}

// newServer returns the API. Handler authenticates requests for all operations, and
// rejects invalid tokens for those without a security requirement, too.
func newServer(auth *clerkauth.Authenticator) http.Handler {
	server, err := api.NewServer(operations{}, security{}, api.WithErrorHandler(respond))
	if err != nil {
		panic(err)
	}
	return auth.Handler(server)
}

// security authorizes requests for operations with a security requirement.
type security struct{}

func (security) HandleClerk(ctx context.Context, operation api.OperationName, _ api.Clerk) (context.Context, error) {
	who := clerkauth.FromContext(ctx)
	if err := who.Err(); err != nil {
		return nil, err
	}
	if !who.SignedIn() {
		return nil, clerkauth.ErrUnauthenticated
	}
	if required := access[operation]; required != nil && !who.Has(required) {
		return nil, clerkauth.ErrForbidden
	}
	return ctx, nil
}

// respond writes the response to a request that failed.
func respond(ctx context.Context, w http.ResponseWriter, r *http.Request, err error) {
	switch {
	case errors.Is(err, clerkauth.ErrForbidden):
		http.Error(w, "you are not allowed to do this", http.StatusForbidden)
	case errors.Is(err, clerkauth.ErrUnavailable):
		w.Header().Set("Retry-After", "1")
		http.Error(w, "try again", http.StatusServiceUnavailable)
	case ogenerrors.ErrorCode(err) == http.StatusUnauthorized:
		w.Header().Set("WWW-Authenticate", "Bearer")
		http.Error(w, "sign in first", http.StatusUnauthorized)
	default:
		ogenerrors.DefaultErrorHandler(ctx, w, r, err)
	}
}

type operations struct{}

func (operations) Home(ctx context.Context) (string, error) {
	if who := clerkauth.FromContext(ctx); who.SignedIn() {
		return "hello, " + who.UserID, nil
	}
	return "hello, stranger", nil
}

func (operations) Dashboard(ctx context.Context) (*api.Caller, error) {
	who := clerkauth.FromContext(ctx)
	return &api.Caller{User: who.UserID, Organization: who.OrgSlug}, nil
}

// DeleteOrg compares the organization in the path with the active one, of which the
// caller is an admin: security handlers do not see parameters.
func (operations) DeleteOrg(ctx context.Context, params api.DeleteOrgParams) (*api.Caller, error) {
	who := clerkauth.FromContext(ctx)
	if params.Slug != who.OrgSlug {
		return nil, clerkauth.ErrForbidden
	}
	return &api.Caller{User: who.UserID, Organization: params.Slug}, nil
}
