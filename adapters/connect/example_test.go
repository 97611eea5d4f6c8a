package clerkconnect_test

import (
	"context"
	"fmt"
	"net/http"
	"net/http/httptest"
	"strings"

	"connectrpc.com/connect"
	"google.golang.org/protobuf/types/known/emptypb"
	"google.golang.org/protobuf/types/known/wrapperspb"

	"github.com/clerkauth/clerkauth"
	clerkconnect "github.com/clerkauth/clerkauth/adapters/connect"
	"github.com/clerkauth/clerkauth/clerkauthtest"
)

func Example() {
	clerk, err := clerkauthtest.Start() // a Clerk instance of its own
	if err != nil {
		panic(err)
	}
	defer clerk.Close()
	auth, err := clerkauth.New(clerk.Config()) // in a program, clerkauth.FromEnv()
	if err != nil {
		panic(err)
	}

	const whoAmI, refund = "/shop.v1.Shop/WhoAmI", "/shop.v1.Shop/Refund" // generated code has constants for them
	guard := clerkconnect.Require(auth, clerkconnect.Rules{refund: clerkauth.Role("org:admin")})
	handler := func(ctx context.Context, _ *connect.Request[emptypb.Empty]) (*connect.Response[wrapperspb.StringValue], error) {
		return connect.NewResponse(wrapperspb.String(clerkauth.FromContext(ctx).OrgRole)), nil
	}
	mux := http.NewServeMux()
	mux.Handle(whoAmI, connect.NewUnaryHandler(whoAmI, handler, guard))
	mux.Handle(refund, connect.NewUnaryHandler(refund, handler, guard))

	jane := clerk.CreateUser("jane@example.com")
	session := clerk.SignIn(jane, clerkauthtest.InOrganization("acme", "org:member"))
	for _, signedIn := range []bool{false, true} {
		for _, procedure := range []string{whoAmI, refund} {
			req := httptest.NewRequest("POST", procedure, strings.NewReader("{}"))
			req.Header.Set("Content-Type", "application/json")
			if signedIn {
				session.Authorize(req)
			}
			rec := httptest.NewRecorder()
			mux.ServeHTTP(rec, req)
			body, _, _ := strings.Cut(rec.Body.String(), `,"details"`) // an ErrorInfo, for programs
			fmt.Println(procedure, rec.Code, body)
		}
	}
	// Output:
	// /shop.v1.Shop/WhoAmI 401 {"code":"unauthenticated","message":"clerkauth: send a token as Authorization: Bearer (session-token-and-uat-missing)"
	// /shop.v1.Shop/Refund 401 {"code":"unauthenticated","message":"clerkauth: send a token as Authorization: Bearer (session-token-and-uat-missing)"
	// /shop.v1.Shop/WhoAmI 200 "org:member"
	// /shop.v1.Shop/Refund 403 {"code":"permission_denied","message":"clerkauth: you are signed in, but not allowed to do this (forbidden)"
}
