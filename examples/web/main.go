// Command web is a site with pages that a server renders: it signs people in, keeps them
// signed in, and has an area for each organization. The part to copy is internal/site.
//
//	go run ./examples/web   serve, with a local Clerk instance, at http://localhost:8080
//
// With CLERK_PUBLISHABLE_KEY, CLERK_SECRET_KEY and CLERK_AUTHORIZED_PARTIES set it uses
// your own instance.
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
	"github.com/clerkauth/clerkauth/clerkauthtest"
	"github.com/clerkauth/clerkauth/examples/web/internal/site"
	"github.com/clerkauth/clerkauth/internal/example"
)

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	err := run(ctx, os.Args[1:], os.Stdout)
	stop()
	if err != nil {
		fmt.Fprintln(os.Stderr, "web:", err)
		os.Exit(1)
	}
}

// run serves until ctx ends.
func run(ctx context.Context, args []string, out io.Writer) error {
	flags := flag.NewFlagSet("web", flag.ContinueOnError)
	flags.SetOutput(out)
	addr := flags.String("addr", "localhost:8080", "the address to listen on")
	htmx := flags.String("htmx", "", "the file htmx.min.js; without it pages work as usual")
	if err := flags.Parse(args); err != nil {
		if errors.Is(err, flag.ErrHelp) {
			return nil
		}
		return err
	}
	listener, err := net.Listen("tcp", *addr)
	if err != nil {
		return fmt.Errorf("%w (choose another address with -addr)", err)
	}
	_, port, err := net.SplitHostPort(listener.Addr().String())
	if err != nil {
		return errors.Join(err, listener.Close())
	}
	origin := "http://localhost:" + port
	config, clerk, err := example.Instance(listener.Addr(), origin)
	if err != nil {
		return errors.Join(err, listener.Close())
	}
	if clerk != nil {
		defer clerk.Close()
		populate(clerk)
	}
	handler, err := newHandler(config, *htmx)
	if err != nil {
		return errors.Join(err, listener.Close())
	}

	server := &http.Server{Handler: handler, ReadHeaderTimeout: 5 * time.Second}
	served := make(chan error, 1)
	go func() { served <- server.Serve(listener) }()
	defer func() {
		deadline, cancel := context.WithTimeout(context.Background(), 5*time.Second)
		defer cancel()
		_ = server.Shutdown(deadline)
	}()
	if clerk == nil {
		fmt.Fprintf(out, "serving on %s\n", listener.Addr())
	} else {
		fmt.Fprintf(out, "open %s\nsign in as %s or %s with the code 424242, or sign up\n", origin, jane, john)
	}
	fmt.Fprintln(out, "press Ctrl-C to stop")
	select {
	case err := <-served:
		return err
	case <-ctx.Done():
		fmt.Fprintln(out, "\nbye")
		return nil
	}
}

func newHandler(config clerkauth.Config, htmx string) (http.Handler, error) {
	var script []byte
	if htmx != "" {
		var err error
		if script, err = os.ReadFile(htmx); err != nil { //nolint:gosec // whoever starts the program names it
			return nil, err
		}
	}
	site.Configure(&config)
	auth, err := clerkauth.New(config)
	if err != nil {
		return nil, err
	}
	return site.New(auth, script)
}

// Users of the local instance.
const (
	jane = "jane+clerk_test@example.com"
	john = "john+clerk_test@example.com"
)

// populate adds users and organizations to the local instance.
func populate(clerk *clerkauthtest.Server) {
	first, second := clerk.CreateUser(jane, clerkauthtest.Name("Jane", "Doe")), clerk.CreateUser(john, clerkauthtest.Name("John", "Roe"))
	acme, birch := clerk.CreateOrganization("acme"), clerk.CreateOrganization("birch")
	acme.AddMember(first, "org:admin")
	acme.AddMember(second, "org:member")
	birch.AddMember(first, "org:member")
}
