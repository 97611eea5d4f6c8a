package clerkgrpc_test

import (
	"context"
	"fmt"
	"net"

	"google.golang.org/grpc"
	"google.golang.org/grpc/credentials/insecure"
	"google.golang.org/grpc/health"
	healthpb "google.golang.org/grpc/health/grpc_health_v1"
	"google.golang.org/grpc/metadata"
	"google.golang.org/grpc/status"

	"github.com/clerkauth/clerkauth"
	clerkgrpc "github.com/clerkauth/clerkauth/adapters/grpc"
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

	unary, stream := clerkgrpc.Interceptors(auth, clerkgrpc.Rules{
		healthpb.Health_Check_FullMethodName: clerkauth.Public,
		healthpb.Health_List_FullMethodName:  clerkauth.Role("org:admin"),
	})
	server := grpc.NewServer(grpc.UnaryInterceptor(unary), grpc.StreamInterceptor(stream))
	healthpb.RegisterHealthServer(server, health.NewServer())
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		panic(err)
	}
	go server.Serve(listener)
	defer server.Stop()

	conn, err := grpc.NewClient(listener.Addr().String(), grpc.WithTransportCredentials(insecure.NewCredentials()))
	if err != nil {
		panic(err)
	}
	defer conn.Close()
	client := healthpb.NewHealthClient(conn)
	jane := clerk.CreateUser("jane@example.com")
	admin := clerk.SignIn(jane, clerkauthtest.InOrganization("acme", "org:admin"))
	member := clerk.SignIn(jane, clerkauthtest.InOrganization("acme", "org:member"))
	with := func(s *clerkauthtest.Session) context.Context {
		return metadata.AppendToOutgoingContext(context.Background(), "authorization", "Bearer "+s.Token())
	}

	_, err = client.Check(context.Background(), &healthpb.HealthCheckRequest{})
	fmt.Println("anybody checks:", status.Code(err))
	_, err = client.List(context.Background(), &healthpb.HealthListRequest{})
	fmt.Println("anybody lists:", status.Code(err))
	_, err = client.List(with(member), &healthpb.HealthListRequest{})
	fmt.Println("a member lists:", status.Code(err))
	_, err = client.List(with(admin), &healthpb.HealthListRequest{})
	fmt.Println("an admin lists:", status.Code(err))
	// Output:
	// anybody checks: OK
	// anybody lists: Unauthenticated
	// a member lists: PermissionDenied
	// an admin lists: OK
}
