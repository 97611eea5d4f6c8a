// Command huma is a small API whose operations are described with huma, on net/http's
// ServeMux, with public and guarded operations and a local Clerk instance. The part to
// copy is server.go.
//
//	go run .          serve, and print curl lines with live tokens
//	go run . -check   make those requests, compare the responses, and exit 0 or 1
package main

import "github.com/clerkauth/clerkauth/internal/example"

var program = example.Program{Handler: newServer, Requests: example.Routes}

func main() { example.Main(program) }
