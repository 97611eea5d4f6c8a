module github.com/clerkauth/clerkauth/examples/echov4

go 1.26.0

require (
	github.com/clerkauth/clerkauth v0.0.0
	github.com/clerkauth/clerkauth/adapters/echov4 v0.0.0
	github.com/labstack/echo/v4 v4.16.0
)

require (
	github.com/clerk/clerk-sdk-go/v2 v2.7.0 // indirect
	github.com/go-jose/go-jose/v3 v3.0.5 // indirect
	github.com/go-jose/go-jose/v4 v4.1.9 // indirect
	github.com/google/uuid v1.6.0 // indirect
	github.com/labstack/gommon v0.5.0 // indirect
	github.com/mattn/go-colorable v0.1.15 // indirect
	github.com/mattn/go-isatty v0.0.22 // indirect
	github.com/svix/svix-webhooks v1.99.1 // indirect
	github.com/valyala/bytebufferpool v1.0.0 // indirect
	github.com/valyala/fasttemplate v1.2.2 // indirect
	golang.org/x/crypto v0.58.0 // indirect
	golang.org/x/net v0.62.0 // indirect
	golang.org/x/sys v0.49.0 // indirect
	golang.org/x/text v0.43.0 // indirect
	golang.org/x/time v0.15.0 // indirect
)

replace github.com/clerkauth/clerkauth => ../..

replace github.com/clerkauth/clerkauth/adapters/echov4 => ../../adapters/echov4
