// Command grpc is a small gRPC service, with public and guarded methods and a local
// Clerk instance. The part to copy is server.go.
//
//	go run .          serve, and print commands that call it with live tokens
//	go run . -check   make those calls, compare the responses, and exit 0 or 1
package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"net"
	"os"
	"os/signal"
	"text/tabwriter"
	"time"

	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/credentials/insecure"
	"google.golang.org/grpc/metadata"
	"google.golang.org/grpc/status"
	"google.golang.org/protobuf/types/known/wrapperspb"

	"github.com/clerkauth/clerkauth"
	"github.com/clerkauth/clerkauth/clerkauthtest"
	"github.com/clerkauth/clerkauth/internal/example"
)

func main() {
	check := flag.Bool("check", false, "make the calls instead of printing them, and compare the responses")
	addr := flag.String("addr", "127.0.0.1:8080", "the address to listen on, or to call; -check uses any free port")
	var c call
	flag.StringVar(&c.method, "call", "", "call this method of a running server, and print the response")
	flag.StringVar(&c.message, "message", "", "with -call, the message")
	flag.StringVar(&c.token, "token", "", "with -call, the token")
	flag.Parse()
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt)
	var err error
	if c.method != "" {
		var answer string
		answer, err = c.send(ctx, *addr)
		fmt.Println(status.Code(err), answer)
	} else {
		err = run(ctx, *check, *addr, os.Stdout)
	}
	stop()
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
}

// run serves until ctx ends, or, if check is true, makes the calls and returns an error
// if a response is not the expected one.
func run(ctx context.Context, check bool, addr string, out io.Writer) error {
	if check {
		addr = "127.0.0.1:0"
	}
	listener, err := net.Listen("tcp", addr)
	if err != nil {
		return err
	}
	addr = listener.Addr().String()
	config, clerk, err := example.Instance(listener.Addr(), "https://app.example.com")
	if err == nil && check && clerk == nil {
		_, err = example.Local(listener.Addr(), "")
	}
	if err != nil {
		return errors.Join(err, listener.Close())
	}
	if clerk != nil {
		defer clerk.Close()
	}
	auth, err := clerkauth.New(config)
	if err != nil {
		return errors.Join(err, listener.Close())
	}

	server := newServer(auth)
	served := make(chan struct{})
	go func() {
		defer close(served)
		_ = server.Serve(listener)
	}()
	defer func() {
		server.Stop()
		<-served
	}()

	var calls []call
	if clerk != nil {
		calls = newCalls(clerk)
	}
	if check {
		return checkAll(ctx, out, addr, calls)
	}
	fmt.Fprintf(out, "serving on %s\n", addr)
	for _, c := range calls {
		fmt.Fprintf(out, "\n# %s: %s\ngo run . -addr %s -call %s -message '%s' -token '%s'\n", c.shows, c.want, addr, c.method, c.message, c.token)
	}
	fmt.Fprintln(out, "\npress Ctrl-C to stop")
	<-ctx.Done()
	return nil
}

// call is a call to try, and the code of its response.
type call struct {
	shows, method, message, token string
	want                          codes.Code
}

// newCalls returns the calls to try.
func newCalls(clerk *clerkauthtest.Server) []call {
	token := func(email, role string, permissions ...string) string {
		session := clerk.SignIn(clerk.CreateUser(email), clerkauthtest.InOrganization("acme", role, permissions...))
		return session.Token(clerkauthtest.ExpiresIn(12 * time.Hour)) // Clerk's are valid for a minute
	}
	admin := token("jane@example.com", "org:admin", "org:invoices:create")
	member := token("john@example.com", "org:member")
	return []call{
		{"the home page is public", homeMethod, "", "", codes.OK},
		{"the dashboard requires a session", dashboardMethod, "", "", codes.Unauthenticated},
		{"so do the other methods", deleteOrgMethod, "acme", "", codes.Unauthenticated},
		{"a credential of another kind is rejected", dashboardMethod, "", "cron-secret", codes.Unauthenticated},
		{"but is anonymous on a public method", homeMethod, "", "cron-secret", codes.OK},
		{"jane is signed in", dashboardMethod, "", admin, codes.OK},
		{"also on the home page", homeMethod, "", admin, codes.OK},
		{"she is an admin of acme", deleteOrgMethod, "acme", admin, codes.OK},
		{"but not of another organization", deleteOrgMethod, "other", admin, codes.PermissionDenied},
		{"she may create invoices", createInvoiceMethod, "", admin, codes.OK},
		{"john is signed in", dashboardMethod, "", member, codes.OK},
		{"but is not an admin", deleteOrgMethod, "acme", member, codes.PermissionDenied},
		{"and may not create invoices", createInvoiceMethod, "", member, codes.PermissionDenied},
	}
}

// checkAll makes the calls, prints a table of their expected and actual codes, and
// returns an error if one differs.
func checkAll(ctx context.Context, out io.Writer, addr string, calls []call) error {
	table := tabwriter.NewWriter(out, 0, 4, 2, ' ', 0)
	fmt.Fprintln(table, "CALL\tEXPECTED\tSEEN\t\tSHOWS")
	failed := 0
	for _, c := range calls {
		_, err := c.send(ctx, addr)
		verdict := "ok"
		if status.Code(err) != c.want {
			verdict = "FAILED"
			failed++
		}
		fmt.Fprintf(table, "%s %s\t%s\t%s\t%s\t%s\n", c.method, c.message, c.want, status.Code(err), verdict, c.shows)
	}
	if err := table.Flush(); err != nil {
		return err
	}
	fmt.Fprintf(out, "%d passed, %d failed\n", len(calls)-failed, failed)
	if failed > 0 {
		return errors.New("a response was not as expected")
	}
	return nil
}

// send makes the call and returns the text of the response.
func (c call) send(ctx context.Context, addr string) (string, error) {
	ctx, cancel := context.WithTimeout(ctx, 10*time.Second)
	defer cancel()
	conn, err := grpc.NewClient(addr, grpc.WithTransportCredentials(insecure.NewCredentials()))
	if err != nil {
		return "", err
	}
	defer func() { _ = conn.Close() }()
	if c.token != "" {
		ctx = metadata.AppendToOutgoingContext(ctx, "authorization", "Bearer "+c.token)
	}
	answer := new(text)
	err = conn.Invoke(ctx, c.method, wrapperspb.String(c.message), answer)
	return answer.Value, err
}
