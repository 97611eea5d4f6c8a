module github.com/clerkauth/clerkauth/examples/api

go 1.26.0

require (
	github.com/clerkauth/clerkauth v0.0.0
	golang.org/x/time v0.15.0
)

require (
	github.com/clerk/clerk-sdk-go/v2 v2.7.0 // indirect
	github.com/go-jose/go-jose/v3 v3.0.5 // indirect
	github.com/go-jose/go-jose/v4 v4.1.9 // indirect
	github.com/google/uuid v1.6.0 // indirect
	github.com/svix/svix-webhooks v1.99.1 // indirect
	golang.org/x/crypto v0.58.0 // indirect
	golang.org/x/net v0.62.0 // indirect
)

replace github.com/clerkauth/clerkauth => ../..
