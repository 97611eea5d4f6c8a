// Package example is shared by the example programs. Each of them serves on loopback,
// with a local Clerk instance, and prints requests to try, or makes those requests
// itself. With Clerk's variables in the environment it serves your own instance.
package example

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
	"strings"
	"text/tabwriter"
	"time"

	"github.com/clerkauth/clerkauth"
	"github.com/clerkauth/clerkauth/clerkauthtest"
)

// Program is an example program.
type Program struct {
	// Configure changes the configuration, unless it is nil.
	Configure func(*clerkauth.Config)
	// Handler returns the handler to serve. It is not used if Serve is set.
	Handler func(*clerkauth.Authenticator) http.Handler
	// Serve serves without net/http until stop is called. Nil means to serve Handler.
	Serve func(*clerkauth.Authenticator, net.Listener) (stop func() error)
	// Requests returns the requests to try with a local instance.
	Requests func(*clerkauthtest.Server) []Request
}

// Request is a request to try, and the status of its response.
type Request struct {
	Shows, Method, Path, Token string
	Body                       string // JSON
	Want                       int
}

// Main runs p as a command.
func Main(p Program) {
	check := flag.Bool("check", false, "make the requests instead of printing them, and compare the responses")
	addr := flag.String("addr", "127.0.0.1:8080", "the address to listen on; -check uses any free port")
	flag.Parse()
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt)
	err := p.Run(ctx, *check, *addr, os.Stdout)
	stop()
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
}

// Run serves until ctx ends, or, if check is true, makes the requests and returns an
// error if a response is not the expected one.
func (p Program) Run(ctx context.Context, check bool, addr string, out io.Writer) (err error) {
	if check {
		addr = "127.0.0.1:0"
	}
	listener, err := new(net.ListenConfig).Listen(ctx, "tcp", addr)
	if err != nil {
		return err
	}
	base := "http://" + listener.Addr().String()
	config, clerk, err := Instance(listener.Addr(), base)
	if err == nil && check && clerk == nil {
		_, err = Local(listener.Addr(), base)
	}
	if err != nil {
		return errors.Join(err, listener.Close())
	}
	if clerk != nil {
		defer clerk.Close()
	}
	if p.Configure != nil {
		p.Configure(&config)
	}
	auth, err := clerkauth.New(config)
	if err != nil {
		return errors.Join(err, listener.Close())
	}
	serve := p.Serve
	if serve == nil {
		serve = p.serveHTTP
	}
	stop := serve(auth, listener)
	defer func() { err = errors.Join(err, stop()) }()

	var requests []Request
	if clerk != nil {
		requests = p.Requests(clerk)
	}
	if check {
		return Check(ctx, out, base, requests)
	}
	fmt.Fprintf(out, "serving on %s\n", base)
	for _, r := range requests {
		fmt.Fprintf(out, "\n# %s: %d\n%s\n", r.Shows, r.Want, r.curl(base))
	}
	fmt.Fprintln(out, "\npress Ctrl-C to stop")
	<-ctx.Done()
	return nil
}

func (p Program) serveHTTP(auth *clerkauth.Authenticator, listener net.Listener) (stop func() error) {
	server := &http.Server{Handler: p.Handler(auth), ReadHeaderTimeout: 5 * time.Second}
	served := make(chan struct{})
	go func() {
		defer close(served)
		_ = server.Serve(listener) // http.ErrServerClosed
	}()
	return func() error {
		err := server.Close()
		<-served
		return err
	}
}

// Tokens returns tokens of an admin and of a member of the organization acme. They are
// valid for 12 hours, long enough to copy them.
func Tokens(clerk *clerkauthtest.Server) (admin, member string) {
	token := func(email, role string, permissions ...string) string {
		session := clerk.SignIn(clerk.CreateUser(email), clerkauthtest.InOrganization("acme", role, permissions...))
		return session.Token(clerkauthtest.ExpiresIn(12 * time.Hour)) // Clerk's are valid for a minute
	}
	return token("jane@example.com", "org:admin", "org:invoices:create"), token("john@example.com", "org:member")
}

// Routes returns requests to the routes that the example of every router has.
func Routes(clerk *clerkauthtest.Server) []Request {
	admin, member := Tokens(clerk)
	return []Request{
		{"the home page is public", "GET", "/", "", "", 200},
		{"the dashboard requires a session", "GET", "/dashboard", "", "", 401},
		{"so do the other routes", "DELETE", "/orgs/acme", "", "", 401},
		{"a credential of another kind is rejected", "GET", "/dashboard", "cron-secret", "", 401},
		{"but is anonymous on a public route", "GET", "/", "cron-secret", "", 200},
		{"jane is signed in", "GET", "/dashboard", admin, "", 200},
		{"also on the home page", "GET", "/", admin, "", 200},
		{"she is an admin of acme", "DELETE", "/orgs/acme", admin, "", 200},
		{"but not of another organization", "DELETE", "/orgs/other", admin, "", 403},
		{"she may create invoices", "POST", "/invoices", admin, "", 200},
		{"john is signed in", "GET", "/dashboard", member, "", 200},
		{"but is not an admin", "DELETE", "/orgs/acme", member, "", 403},
		{"and may not create invoices", "POST", "/invoices", member, "", 403},
	}
}

// curl returns r as a command for a shell.
func (r Request) curl(base string) string {
	line := "curl -i -X " + r.Method
	if r.Body != "" {
		line += " -H 'Content-Type: application/json' -d '" + r.Body + "'"
	}
	if r.Token != "" {
		line += " -H 'Authorization: Bearer " + r.Token + "'"
	}
	return line + " " + base + r.Path
}

// Check makes the requests, prints a table of their expected and actual statuses, and
// returns an error if one differs.
func Check(ctx context.Context, out io.Writer, base string, requests []Request) error {
	client := &http.Client{Timeout: 10 * time.Second, Transport: new(http.Transport)}
	defer client.CloseIdleConnections()
	table := tabwriter.NewWriter(out, 0, 4, 2, ' ', 0)
	fmt.Fprintln(table, "REQUEST\tEXPECTED\tSEEN\t\tSHOWS")
	failed := 0
	for _, r := range requests {
		seen, err := r.send(ctx, client, base)
		verdict := "ok"
		if err != nil || seen != r.Want {
			verdict = "FAILED"
			failed++
		}
		fmt.Fprintf(table, "%s %s\t%d\t%d\t%s\t%s\n", r.Method, r.Path, r.Want, seen, verdict, r.Shows)
	}
	if err := table.Flush(); err != nil {
		return err
	}
	fmt.Fprintf(out, "%d passed, %d failed\n", len(requests)-failed, failed)
	if failed > 0 {
		return errors.New("a response was not as expected")
	}
	return nil
}

// send makes the request and returns the status of the response.
func (r Request) send(ctx context.Context, client *http.Client, base string) (int, error) {
	req, err := http.NewRequestWithContext(ctx, r.Method, base+r.Path, strings.NewReader(r.Body))
	if err != nil {
		return 0, err
	}
	if r.Body != "" {
		req.Header.Set("Content-Type", "application/json")
	}
	if r.Token != "" {
		req.Header.Set("Authorization", "Bearer "+r.Token)
	}
	resp, err := client.Do(req)
	if err != nil {
		return 0, err
	}
	return resp.StatusCode, resp.Body.Close()
}
