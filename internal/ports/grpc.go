package ports

import (
	"google.golang.org/grpc"
	"google.golang.org/grpc/health"
	healthpb "google.golang.org/grpc/health/grpc_health_v1"

	"github.com/clerkauth/clerkauth"
	clerkgrpc "github.com/clerkauth/clerkauth/adapters/grpc"
)

// newGRPCServer returns a gRPC server with a method for admins.
func newGRPCServer(c clerkauth.Config) (*grpc.Server, error) {
	// auth
	auth, err := clerkauth.New(c)
	if err != nil {
		return nil, err
	}
	unary, stream := clerkgrpc.Interceptors(auth, clerkgrpc.Rules{
		healthpb.Health_Check_FullMethodName: clerkauth.Role("org:admin"),
	})
	server := grpc.NewServer(grpc.UnaryInterceptor(unary), grpc.StreamInterceptor(stream))
	// end
	healthpb.RegisterHealthServer(server, health.NewServer())
	return server, nil
}
