// Command quickstart is a server with public and guarded routes. Without Clerk keys in
// the environment it starts a local Clerk instance:
//
//	go run ./examples/quickstart          serve, and print live tokens and curl lines that use them
//	go run ./examples/quickstart -check   make those requests, compare the responses, and exit 0 or 1
//	go run ./examples/quickstart -dev     serve to a browser in which a user is signed in
//
// With CLERK_PUBLISHABLE_KEY and CLERK_AUTHORIZED_PARTIES set it uses your own instance.
package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"os/signal"
	"syscall"
	"time"

	"github.com/clerkauth/clerkauth"
)

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	err := run(ctx, os.Args[1:], os.Stdout)
	stop()
	if err != nil {
		fmt.Fprintln(os.Stderr, "quickstart:", err)
		os.Exit(1)
	}
}

// run serves until ctx ends, or, with -check, makes the requests and returns an error if
// a response is not the expected one.
func run(ctx context.Context, args []string, out io.Writer) error {
	flags := flag.NewFlagSet("quickstart", flag.ContinueOnError)
	flags.SetOutput(out)
	check := flags.Bool("check", false, "make the requests instead of printing them, and compare the responses")
	addr := flags.String("addr", "127.0.0.1:8080", "the address to listen on; -check uses any free port")
	dev := flags.Bool("dev", false, "sign a user of a local instance in to every browser; on loopback alone")
	if err := flags.Parse(args); err != nil {
		if errors.Is(err, flag.ErrHelp) {
			return nil
		}
		return err
	}
	switch {
	case *check:
		*addr = "127.0.0.1:0"
	case *dev:
		return develop(*addr, out)
	}
	listener, err := net.Listen("tcp", *addr)
	if err != nil {
		return fmt.Errorf("%w (choose another address with -addr)", err)
	}
	base := "http://" + listener.Addr().String()

	config, requests, closeClerk, err := instance(listener.Addr())
	if err != nil {
		return errors.Join(err, listener.Close())
	}
	defer closeClerk()
	auth, err := clerkauth.New(config)
	if err != nil {
		return errors.Join(err, listener.Close())
	}

	mux := http.NewServeMux()
	mux.Handle("/", newServer(auth))
	mux.HandleFunc("GET "+signInPath, signInPage)
	server := &http.Server{Handler: mux, ReadHeaderTimeout: 5 * time.Second}
	served := make(chan error, 1)
	go func() { served <- server.Serve(listener) }()
	defer func() {
		deadline, cancel := context.WithTimeout(context.Background(), 5*time.Second)
		defer cancel()
		_ = server.Shutdown(deadline)
	}()

	if *check {
		return checkAll(ctx, out, base, requests)
	}
	printAll(out, base, requests)
	select {
	case err := <-served:
		return err
	case <-ctx.Done():
		fmt.Fprintln(out, "\nbye")
		return nil
	}
}
