// Command echo is a small API on the framework echo (v5), with public and guarded
// routes and a Clerk instance of its own. The part to copy is server.go.
//
//	go run .          serve, and print curl lines with live tokens
//	go run . -check   make those requests, compare, and exit 0 or 1
package main

import (
	"cmp"
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"os/signal"
	"text/tabwriter"
	"time"

	"github.com/clerkauth/clerkauth"
	"github.com/clerkauth/clerkauth/clerkauthtest"
)

func main() {
	check := flag.Bool("check", false, "make the requests that are printed otherwise, and compare the answers")
	addr := flag.String("addr", "127.0.0.1:8080", "where to listen; with -check any free port is taken")
	flag.Parse()
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt)
	err := run(ctx, *check, *addr, os.Stdout)
	stop()
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
}

// run serves until ctx ends, or checks and returns.
func run(ctx context.Context, check bool, addr string, out io.Writer) (err error) {
	if check {
		addr = "127.0.0.1:0"
	}
	listener, err := net.Listen("tcp", addr)
	if err != nil {
		return err
	}
	base := "http://" + listener.Addr().String()
	clerk, err := clerkauthtest.Start(clerkauthtest.Origin(base))
	if err != nil {
		return errors.Join(err, listener.Close())
	}
	defer clerk.Close()
	auth, err := clerkauth.New(clerk.Config()) // for your own instance: clerkauth.FromEnv()
	if err != nil {
		return errors.Join(err, listener.Close())
	}

	server := &http.Server{Handler: newServer(auth), ReadHeaderTimeout: 5 * time.Second}
	served := make(chan struct{})
	go func() {
		defer close(served)
		_ = server.Serve(listener) // http.ErrServerClosed
	}()
	defer func() {
		err = cmp.Or(err, server.Close())
		<-served
	}()

	requests := newRequests(clerk)
	if check {
		return checkAll(ctx, out, base, requests)
	}
	fmt.Fprintf(out, "serving on %s\n", base)
	for _, r := range requests {
		fmt.Fprintf(out, "\n# %s: %d\n%s\n", r.shows, r.want, r.curl(base))
	}
	fmt.Fprintln(out, "\npress Ctrl-C to stop")
	<-ctx.Done()
	return nil
}

// request is one thing to try, and the status that answers it.
type request struct {
	shows, method, path, token string
	want                       int
}

// newRequests returns what shows who may do what.
func newRequests(clerk *clerkauthtest.Server) []request {
	token := func(email, role string, permissions ...string) string {
		session := clerk.SignIn(clerk.CreateUser(email), clerkauthtest.InOrganization("acme", role, permissions...))
		return session.Token(clerkauthtest.ExpiresIn(12 * time.Hour)) // Clerk's live for a minute; nobody types that fast
	}
	admin := token("jane@example.com", "org:admin", "org:invoices:create")
	member := token("john@example.com", "org:member")
	return []request{
		{"anybody may see the home page", "GET", "/", "", 200},
		{"the dashboard wants a session", "GET", "/dashboard", "", 401},
		{"so do the guarded routes", "DELETE", "/orgs/acme", "", 401},
		{"what is no token is refused", "GET", "/dashboard", "not-a-token", 401},
		{"even where anybody may come", "GET", "/", "not-a-token", 401},
		{"jane is signed in", "GET", "/dashboard", admin, 200},
		{"and known on the home page", "GET", "/", admin, 200},
		{"she is an admin", "DELETE", "/orgs/acme", admin, 200},
		{"of acme alone", "DELETE", "/orgs/other", admin, 403},
		{"and may create invoices", "POST", "/invoices", admin, 200},
		{"john is signed in", "GET", "/dashboard", member, 200},
		{"but no admin", "DELETE", "/orgs/acme", member, 403},
		{"without that permission", "POST", "/invoices", member, 403},
	}
}

// curl returns r as a line to paste into a shell.
func (r request) curl(base string) string {
	line := "curl -i -X " + r.method
	if r.token != "" {
		line += " -H 'Authorization: Bearer " + r.token + "'"
	}
	return line + " " + base + r.path
}

// checkAll makes the requests and prints a table of what was expected and seen.
func checkAll(ctx context.Context, out io.Writer, base string, requests []request) error {
	client := &http.Client{Timeout: 10 * time.Second, Transport: new(http.Transport)}
	defer client.CloseIdleConnections()
	table := tabwriter.NewWriter(out, 0, 4, 2, ' ', 0)
	fmt.Fprintln(table, "REQUEST\tEXPECTED\tSEEN\t\tSHOWS")
	failed := 0
	for _, r := range requests {
		seen, err := r.send(ctx, client, base)
		verdict := "ok"
		if err != nil || seen != r.want {
			verdict = "FAILED"
			failed++
		}
		fmt.Fprintf(table, "%s %s\t%d\t%d\t%s\t%s\n", r.method, r.path, r.want, seen, verdict, r.shows)
	}
	if err := table.Flush(); err != nil {
		return err
	}
	fmt.Fprintf(out, "%d passed, %d failed\n", len(requests)-failed, failed)
	if failed > 0 {
		return errors.New("an answer was not as expected")
	}
	return nil
}

// send makes the request and returns the status of the answer.
func (r request) send(ctx context.Context, client *http.Client, base string) (int, error) {
	req, err := http.NewRequestWithContext(ctx, r.method, base+r.path, nil)
	if err != nil {
		return 0, err
	}
	if r.token != "" {
		req.Header.Set("Authorization", "Bearer "+r.token)
	}
	resp, err := client.Do(req)
	if err != nil {
		return 0, err
	}
	return resp.StatusCode, resp.Body.Close()
}
