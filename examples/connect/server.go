package main

import (
	"context"
	"errors"
	"net/http"

	"connectrpc.com/connect"
	"google.golang.org/protobuf/types/known/emptypb"
	"google.golang.org/protobuf/types/known/wrapperspb"

	"github.com/clerkauth/clerkauth"
	clerkconnect "github.com/clerkauth/clerkauth/adapters/connect"
)

// The names of the procedures. Generated code has constants for them.
const (
	homeProcedure          = "/shop.v1.Shop/Home"
	dashboardProcedure     = "/shop.v1.Shop/Dashboard"
	deleteOrgProcedure     = "/shop.v1.Shop/DeleteOrg"
	createInvoiceProcedure = "/shop.v1.Shop/CreateInvoice"
)

// newServer returns the API. A procedure without a rule requires a signed-in user.
func newServer(auth *clerkauth.Authenticator) http.Handler {
	guard := clerkconnect.Require(auth, clerkconnect.Rules{
		homeProcedure:          clerkauth.Public,
		deleteOrgProcedure:     clerkauth.Role("org:admin"),
		createInvoiceProcedure: clerkauth.Permission("org:invoices:create"),
	})
	mux := http.NewServeMux()
	mux.Handle(homeProcedure, connect.NewUnaryHandlerSimple(homeProcedure, home, guard))
	mux.Handle(dashboardProcedure, connect.NewUnaryHandlerSimple(dashboardProcedure, dashboard, guard))
	mux.Handle(deleteOrgProcedure, connect.NewUnaryHandlerSimple(deleteOrgProcedure, deleteOrg, guard))
	mux.Handle(createInvoiceProcedure, connect.NewUnaryHandlerSimple(createInvoiceProcedure, createInvoice, guard))
	return mux
}

func home(ctx context.Context, _ *emptypb.Empty) (*wrapperspb.StringValue, error) {
	if who := clerkauth.FromContext(ctx); who.SignedIn() {
		return wrapperspb.String("hello, " + who.UserID), nil
	}
	return wrapperspb.String("hello, stranger"), nil
}

func dashboard(ctx context.Context, _ *emptypb.Empty) (*wrapperspb.StringValue, error) {
	who := clerkauth.FromContext(ctx)
	return wrapperspb.String(who.UserID + " is " + who.OrgRole + " in " + who.OrgSlug), nil
}

// deleteOrg compares the organization in the message with the active one, of which the
// caller is an admin. Rules do not see messages.
func deleteOrg(ctx context.Context, slug *wrapperspb.StringValue) (*emptypb.Empty, error) {
	if slug.Value != clerkauth.FromContext(ctx).OrgSlug {
		return nil, connect.NewError(connect.CodePermissionDenied, errors.New("that is not your active organization"))
	}
	return &emptypb.Empty{}, nil
}

func createInvoice(ctx context.Context, _ *emptypb.Empty) (*wrapperspb.StringValue, error) {
	return wrapperspb.String("an invoice of " + clerkauth.FromContext(ctx).OrgSlug), nil
}
