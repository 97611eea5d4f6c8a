// Command fiberv2 is a small API on the framework fiber v2, with public and guarded
// routes and a local Clerk instance. The part to copy is server.go.
//
//	go run .          serve, and print curl lines with live tokens
//	go run . -check   make those requests, compare the responses, and exit 0 or 1
package main

import (
	"errors"
	"net"
	"time"

	"github.com/clerkauth/clerkauth"
	"github.com/clerkauth/clerkauth/internal/example"
)

var program = example.Program{Serve: serve, Requests: example.Routes}

func main() { example.Main(program) }

func serve(auth *clerkauth.Authenticator, listener net.Listener) (stop func() error) {
	app := newServer(auth)
	served := make(chan struct{})
	go func() {
		defer close(served)
		_ = app.Listener(listener)
	}()
	return func() error {
		err := app.ShutdownWithTimeout(5 * time.Second)
		if closed := listener.Close(); !errors.Is(closed, net.ErrClosed) { // if it was not serving yet
			err = errors.Join(err, closed)
		}
		<-served
		return err
	}
}
