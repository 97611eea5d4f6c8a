package main

import (
	"context"

	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"
	"google.golang.org/protobuf/types/known/wrapperspb"

	"github.com/clerkauth/clerkauth"
	clerkgrpc "github.com/clerkauth/clerkauth/adapters/grpc"
)

// The names of the methods. Generated code has constants for them.
const (
	homeMethod          = "/shop.v1.Shop/Home"
	dashboardMethod     = "/shop.v1.Shop/Dashboard"
	deleteOrgMethod     = "/shop.v1.Shop/DeleteOrg"
	createInvoiceMethod = "/shop.v1.Shop/CreateInvoice"
)

// newServer returns the API. A method without a rule requires a signed-in user.
func newServer(auth *clerkauth.Authenticator) *grpc.Server {
	unary, stream := clerkgrpc.Interceptors(auth, clerkgrpc.Rules{
		homeMethod:          clerkauth.Public,
		deleteOrgMethod:     clerkauth.Role("org:admin"),
		createInvoiceMethod: clerkauth.Permission("org:invoices:create"),
	})
	server := grpc.NewServer(grpc.UnaryInterceptor(unary), grpc.StreamInterceptor(stream))
	// Generated code has a function for this.
	server.RegisterService(&grpc.ServiceDesc{ServiceName: "shop.v1.Shop", HandlerType: (*any)(nil), Methods: []grpc.MethodDesc{
		{MethodName: "Home", Handler: method(homeMethod, home)},
		{MethodName: "Dashboard", Handler: method(dashboardMethod, dashboard)},
		{MethodName: "DeleteOrg", Handler: method(deleteOrgMethod, deleteOrg)},
		{MethodName: "CreateInvoice", Handler: method(createInvoiceMethod, createInvoice)},
	}}, nil)
	return server
}

// text is the message that every method takes and returns.
type text = wrapperspb.StringValue

func home(ctx context.Context, _ *text) (*text, error) {
	if who := clerkauth.FromContext(ctx); who.SignedIn() {
		return wrapperspb.String("hello, " + who.UserID), nil
	}
	return wrapperspb.String("hello, stranger"), nil
}

func dashboard(ctx context.Context, _ *text) (*text, error) {
	who := clerkauth.FromContext(ctx)
	return wrapperspb.String(who.UserID + " is " + who.OrgRole + " in " + who.OrgSlug), nil
}

// deleteOrg compares the organization in the message with the active one, of which the
// caller is an admin. Rules do not see messages.
func deleteOrg(ctx context.Context, slug *text) (*text, error) {
	if slug.Value != clerkauth.FromContext(ctx).OrgSlug {
		return nil, status.Error(codes.PermissionDenied, "that is not your active organization")
	}
	return wrapperspb.String("deleted " + slug.Value), nil
}

func createInvoice(ctx context.Context, _ *text) (*text, error) {
	return wrapperspb.String("an invoice of " + clerkauth.FromContext(ctx).OrgSlug), nil
}

// method returns a handler like the ones in generated code.
func method(name string, h func(context.Context, *text) (*text, error)) grpc.MethodHandler {
	return func(_ any, ctx context.Context, decode func(any) error, interceptor grpc.UnaryServerInterceptor) (any, error) {
		in := new(text)
		if err := decode(in); err != nil {
			return nil, err
		}
		if interceptor == nil {
			return h(ctx, in)
		}
		return interceptor(ctx, in, &grpc.UnaryServerInfo{FullMethod: name}, func(ctx context.Context, in any) (any, error) {
			return h(ctx, in.(*text))
		})
	}
}
