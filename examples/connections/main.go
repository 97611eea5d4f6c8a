// Command connections authenticates callers of websockets, event streams, GraphQL
// subscriptions, functions and queues, where there is no request with an Authorization
// header or where the connection outlives its token. It is its own client, with a local
// Clerk instance.
//
//	go run .   connect in every way, with valid and with invalid tokens, in an outage, and
//	           until a token expires; print what happens, and exit 0 or 1
package main

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/http"
	"os"
	"os/signal"
	"time"

	"github.com/clerkauth/clerkauth"
	"github.com/clerkauth/clerkauth/internal/example"
)

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt)
	err := run(ctx, "127.0.0.1:0")
	stop()
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
}

func run(ctx context.Context, addr string) error {
	listener, err := new(net.ListenConfig).Listen(ctx, "tcp", addr)
	if err != nil {
		return err
	}
	clerk, err := example.Local(listener.Addr(), "http://"+listener.Addr().String())
	if err != nil {
		return errors.Join(err, listener.Close())
	}
	defer clerk.Close()
	return demonstrate(ctx, os.Stdout, clerk, listener, new(net.Dialer).DialContext)
}

// configure returns the configuration. For your own instance, begin with
// clerkauth.FromEnv().
func configure(c clerkauth.Config) clerkauth.Config {
	c.Credential = fromSubprotocol
	c.Accept = []clerkauth.TokenType{clerkauth.SessionToken, clerkauth.APIKey} // API keys are for the queue
	return c
}

// newServer returns the server. Routes are Unchecked if callers authenticate later, in a
// message.
func newServer(auth *clerkauth.Authenticator) http.Handler {
	graphql := graph(auth)
	mux := auth.NewServeMux()
	mux.HandleFunc("GET /chat", clerkauth.Unchecked, chat(auth))
	mux.HandleFunc("GET /echo", clerkauth.SignedIn, echo)
	mux.HandleFunc("GET /feed", clerkauth.SignedIn, feed)
	mux.Handle("GET /graphql", clerkauth.Unchecked, graphql)
	mux.Handle("POST /graphql", clerkauth.SignedIn, graphql)
	return mux
}

// serve serves h on listener until stop is called.
func serve(h http.Handler, listener net.Listener) (stop func()) {
	server := &http.Server{Handler: h, ReadHeaderTimeout: 5 * time.Second}
	served := make(chan struct{})
	go func() {
		defer close(served)
		_ = server.Serve(listener) // http.ErrServerClosed
	}()
	return func() {
		_ = server.Close()
		<-served
	}
}
