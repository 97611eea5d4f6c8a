module github.com/clerkauth/clerkauth/internal/ports

go 1.26.0

require (
	github.com/aws/aws-lambda-go v1.55.1
	github.com/clerk/clerk-sdk-go/v2 v2.7.0
	github.com/clerkauth/clerkauth v0.0.0
	github.com/clerkauth/clerkauth/adapters/fiberv2 v0.0.0
	github.com/clerkauth/clerkauth/adapters/grpc v0.0.0
	github.com/coder/websocket v1.8.15
	github.com/gofiber/fiber/v2 v2.52.15
	github.com/gorilla/websocket v1.5.3
	google.golang.org/grpc v1.85.0
)

require (
	github.com/andybalholm/brotli v1.1.0 // indirect
	github.com/go-jose/go-jose/v3 v3.0.5 // indirect
	github.com/go-jose/go-jose/v4 v4.1.9 // indirect
	github.com/google/uuid v1.6.0 // indirect
	github.com/klauspost/compress v1.17.9 // indirect
	github.com/mattn/go-colorable v0.1.13 // indirect
	github.com/mattn/go-isatty v0.0.20 // indirect
	github.com/mattn/go-runewidth v0.0.16 // indirect
	github.com/rivo/uniseg v0.2.0 // indirect
	github.com/svix/svix-webhooks v1.99.1 // indirect
	github.com/valyala/bytebufferpool v1.0.0 // indirect
	github.com/valyala/fasthttp v1.51.0 // indirect
	github.com/valyala/tcplisten v1.0.0 // indirect
	golang.org/x/crypto v0.58.0 // indirect
	golang.org/x/net v0.62.0 // indirect
	golang.org/x/sys v0.49.0 // indirect
	golang.org/x/text v0.43.0 // indirect
	google.golang.org/genproto/googleapis/rpc v0.0.0-20260817212433-ac3dfec99bb1 // indirect
	google.golang.org/protobuf v1.36.12 // indirect
)

replace github.com/clerkauth/clerkauth => ../..

replace github.com/clerkauth/clerkauth/adapters/fiberv2 => ../../adapters/fiberv2

replace github.com/clerkauth/clerkauth/adapters/grpc => ../../adapters/grpc
