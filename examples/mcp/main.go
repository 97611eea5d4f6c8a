// Command mcp is a server of the Model Context Protocol whose tools require scopes. It
// is protected as an OAuth resource server (RFC 9728), with a local Clerk instance as
// the authorization server. The part to copy is server.go.
//
//	go run .          serve, for any MCP client, at the printed URL
//	go run . -check   let a client obtain tokens and use the tools, and exit 0 or 1
//
// With CLERK_PUBLISHABLE_KEY and CLERK_SECRET_KEY set it uses your own instance.
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
	"strings"
	"time"

	"github.com/modelcontextprotocol/go-sdk/mcp"

	"github.com/clerkauth/clerkauth"
	"github.com/clerkauth/clerkauth/clerkauthtest"
	"github.com/clerkauth/clerkauth/internal/example"
)

func main() {
	check := flag.Bool("check", false, "let a client use the tools, and compare the responses")
	addr := flag.String("addr", "127.0.0.1:8080", "the address to listen on; -check uses any free port")
	flag.Parse()
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt)
	err := run(ctx, *check, *addr, os.Stdout)
	stop()
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
}

// run serves until ctx ends, or, if check is true, uses the tools and returns an error if
// a response is not the expected one.
func run(ctx context.Context, check bool, addr string, out io.Writer) error {
	if check {
		addr = "127.0.0.1:0"
	}
	listener, err := net.Listen("tcp", addr)
	if err != nil {
		return err
	}
	base := "http://" + listener.Addr().String()
	config, clerk, err := configure(listener.Addr(), base)
	if err == nil && check && clerk == nil {
		_, err = example.Local(listener.Addr(), base)
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
	handler, err := newServer(auth, base)
	if err != nil {
		return errors.Join(err, listener.Close())
	}
	server := &http.Server{Handler: handler, ReadHeaderTimeout: 5 * time.Second}
	served := make(chan struct{})
	go func() {
		defer close(served)
		_ = server.Serve(listener) // http.ErrServerClosed
	}()
	defer func() {
		_ = server.Close()
		<-served
	}()
	if check {
		return checkAll(ctx, out, base, clerk)
	}
	fmt.Fprintf(out, "an MCP server is at %s/mcp\n\n# the challenge says where the metadata is: 401\ncurl -i -X POST %s/mcp\n", base, base)
	fmt.Fprintf(out, "curl %s/.well-known/oauth-protected-resource/mcp\n\npress Ctrl-C to stop\n", base)
	<-ctx.Done()
	return nil
}

// configure returns the configuration for your instance, or for a local one, in which
// jane grants every scope that a client requests.
func configure(listener net.Addr, base string) (clerkauth.Config, *clerkauthtest.Server, error) {
	config, clerk, err := example.Instance(listener, base)
	if err != nil {
		return config, nil, err
	}
	if clerk != nil {
		clerk.Consent(clerk.CreateUser("jane@example.com"))
		// Reject tokens for other servers. With your own instance, check that its tokens
		// have an audience before you require one.
		config.Audience = []string{base + "/mcp"}
	}
	config.Accept = []clerkauth.TokenType{clerkauth.OAuthToken}
	config.InsecureAnyParty, config.AuthorizedParties = true, nil // no browser presents tokens here
	return config, clerk, nil
}

// checkAll uses the tools as clients with different grants, and prints the responses.
func checkAll(ctx context.Context, out io.Writer, base string, clerk *clerkauthtest.Server) error {
	ctx, cancel := context.WithTimeout(ctx, time.Minute)
	defer cancel()
	failed := 0
	expect := func(shows string, seen, want string) {
		verdict := "ok"
		if !strings.Contains(seen, want) || (want == "") != (seen == "") {
			verdict = "FAILED"
			failed++
		}
		fmt.Fprintf(out, "%-6s %s: %s\n", verdict, shows, strings.TrimSpace(seen))
	}

	jane, john := clerk.CreateUser("jane@example.com"), clerk.CreateUser("john@example.com")
	clerk.Consent(nil)
	_, err := connect(ctx, base)
	expect("a user who denies access gives no token", fmt.Sprint(err), "access_denied")

	clerk.Consent(jane)
	for _, form := range []string{"opaque", "JWT"} {
		if form == "JWT" {
			clerk.JWTAccessTokens()
		}
		session, err := connect(ctx, base)
		if err != nil {
			return fmt.Errorf("%s tokens: %w", form, err)
		}
		expect(form+": jane adds a note", use(ctx, session, "add_note", map[string]any{"text": "buy milk"}), "buy milk")
		expect(form+": and lists it", use(ctx, session, "list_notes", nil), "buy milk")
		_ = session.Close()
	}

	clerk.Consent(john, scopeRead)
	session, err := connect(ctx, base)
	if err != nil {
		return err
	}
	expect("john grants reading only, and sees none of her notes", use(ctx, session, "list_notes", nil), `{"notes":[]}`)
	expect("so that client may not add notes", use(ctx, session, "add_note", map[string]any{"text": "x"}), "needs the scope notes:write")
	_ = session.Close()

	clerk.Consent(john, "other")
	if session, err = connect(ctx, base); err != nil {
		return err
	}
	expect("a client without the scope may not read", use(ctx, session, "list_notes", nil), "needs the scope notes:read")
	_ = session.Close()
	fmt.Fprintf(out, "%d failed\n", failed)
	if failed > 0 {
		return errors.New("a response was not as expected")
	}
	return nil
}

// use calls a tool and returns the text of its result, or of the error.
func use(ctx context.Context, session *mcp.ClientSession, tool string, params map[string]any) string {
	result, err := session.CallTool(ctx, &mcp.CallToolParams{Name: tool, Arguments: params})
	if err != nil {
		return err.Error()
	}
	var text strings.Builder
	for _, content := range result.Content {
		if t, ok := content.(*mcp.TextContent); ok {
			text.WriteString(t.Text)
		}
	}
	return text.String()
}
