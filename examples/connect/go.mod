module github.com/clerkauth/clerkauth/examples/connect

go 1.26.0

require (
	connectrpc.com/connect v1.21.1
	github.com/clerkauth/clerkauth v0.0.0
	github.com/clerkauth/clerkauth/adapters/connect v0.0.0
	google.golang.org/protobuf v1.36.12
)

require (
	github.com/clerk/clerk-sdk-go/v2 v2.7.0 // indirect
	github.com/go-jose/go-jose/v3 v3.0.5 // indirect
	github.com/go-jose/go-jose/v4 v4.1.9 // indirect
	github.com/google/uuid v1.6.0 // indirect
	github.com/svix/svix-webhooks v1.99.1 // indirect
	golang.org/x/crypto v0.58.0 // indirect
	golang.org/x/net v0.62.0 // indirect
	google.golang.org/genproto/googleapis/rpc v0.0.0-20260817212433-ac3dfec99bb1 // indirect
)

replace github.com/clerkauth/clerkauth => ../..

replace github.com/clerkauth/clerkauth/adapters/connect => ../../adapters/connect
