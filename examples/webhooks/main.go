// Command webhooks synchronizes a table of users with Clerk, and lists them. It handles
// deliveries that arrive twice, at the same time, late and out of order.
//
//	go run .          serve, while a local Clerk instance sends events
//	go run . -check   send such deliveries, compare the list, and exit 0 or 1
//
// The table is in PostgreSQL if DATABASE_URL is set, otherwise in an embedded SQLite: in
// the file named by -sqlite, or in memory. With CLERK_WEBHOOK_SIGNING_SECRET,
// CLERK_PUBLISHABLE_KEY and CLERK_AUTHORIZED_PARTIES set it receives your own
// instance's events, at /webhooks/clerk.
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
	"github.com/clerkauth/clerkauth/internal/example"
)

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	err := run(ctx, os.Args[1:], os.Stdout)
	stop()
	if err != nil {
		fmt.Fprintln(os.Stderr, "webhooks:", err)
		os.Exit(1)
	}
}

// run serves until ctx ends, or, with -check, performs the steps and returns an error if
// a result is not the expected one.
func run(ctx context.Context, args []string, out io.Writer) error {
	flags := flag.NewFlagSet("webhooks", flag.ContinueOnError)
	flags.SetOutput(out)
	check := flags.Bool("check", false, "have a local instance send repeated, late and forged deliveries, and compare the list")
	addr := flags.String("addr", "127.0.0.1:8080", "the address to listen on; -check uses any free port")
	file := flags.String("sqlite", "", "the file of the SQLite database; in memory if empty")
	if err := flags.Parse(args); err != nil {
		if errors.Is(err, flag.ErrHelp) {
			return nil
		}
		return err
	}
	if *check {
		*addr = "127.0.0.1:0"
	}
	listener, err := net.Listen("tcp", *addr)
	if err != nil {
		return fmt.Errorf("%w (choose another address with -addr)", err)
	}
	base := "http://" + listener.Addr().String()

	db, err := open(ctx, os.Getenv("DATABASE_URL"), *file)
	if err != nil {
		return errors.Join(err, listener.Close())
	}
	defer db.close()
	in, err := newInstance(listener.Addr(), base)
	if err == nil && *check && in.local == nil {
		_, err = example.Local(listener.Addr(), base)
	}
	if err != nil {
		return errors.Join(err, listener.Close())
	}
	defer in.close()
	in.webhook.Deliveries = db.deliveries()
	auth, err := clerkauth.New(in.config)
	hooks, hooksErr := clerkauth.NewWebhook(in.webhook)
	if err := errors.Join(err, hooksErr); err != nil {
		return errors.Join(err, listener.Close())
	}

	u := users{db}
	server := &http.Server{Handler: newServer(auth, hooks, u), ReadHeaderTimeout: 5 * time.Second, ReadTimeout: 10 * time.Second}
	served := make(chan error, 1)
	go func() { served <- server.Serve(listener) }()
	defer func() {
		deadline, cancel := context.WithTimeout(context.Background(), 5*time.Second)
		defer cancel()
		_ = server.Shutdown(deadline)
	}()

	if *check {
		return in.check(ctx, out, u)
	}
	fmt.Fprintf(out, "users are listed on %s/, deliveries received on %s\npress Ctrl-C to stop\n", base, in.hooksURL)
	played := make(chan struct{})
	ctx, stop := context.WithCancel(ctx)
	defer func() { stop(); <-played }()
	go func() {
		defer close(played)
		in.play(ctx, out)
	}()
	select {
	case err := <-served:
		return err
	case <-ctx.Done():
		fmt.Fprintln(out, "bye")
		return nil
	}
}
