// Package adaptertest tests the adapters of HTTP frameworks by one set of rules, so
// that all of them meet the same requirements.
package adaptertest

import (
	"bufio"
	"bytes"
	"context"
	"fmt"
	"io"
	"net"
	"net/http"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/clerkauth/clerkauth"
	"github.com/clerkauth/clerkauth/clerkauthtest"
)

// Framework is the adapter to test.
type Framework struct {
	// Serve serves an app with the framework until the test ends, and returns its
	// address: http://host:port.
	Serve func(t *testing.T, a App) string
	// Require calls the adapter's Require and drops its result, whose type depends on
	// the framework.
	Require func(auth *clerkauth.Authenticator, requirements ...clerkauth.Access)
}

// Run runs every rule as a subtest.
func Run(t *testing.T, f Framework) {
	for _, rule := range []struct {
		name string
		test func(*testing.T, Framework)
	}{
		{"LikeNetHTTP", likeNetHTTP},
		{"BrowsersLikeNetHTTP", browsersLikeNetHTTP},
		{"HiddenIsTheFrameworksNotFound", hiddenIsTheFrameworksNotFound},
		{"ImpossibleAccessPanicsAtRegistration", impossibleAccessPanicsAtRegistration},
		{"PathsAreNotCompared", pathsAreNotCompared},
		{"CORSLetsPreflightsAloneThrough", corsLetsPreflightsAloneThrough},
		{"PanicsAreTheFrameworks", panicsAreTheFrameworks},
		{"CallersAreNotMixedUp", callersAreNotMixedUp},
	} {
		t.Run(rule.name, func(t *testing.T) { rule.test(t, f) })
	}
}

// App describes what Serve serves: these routes, behind a middleware that recovers
// from panics. Each handler responds with the result of Witness.Say.
//
//	GET /               public
//	GET /dashboard      signed in; a middleware behind the guard writes X-Later
//	DELETE /orgs/{slug} role org:admin in the organization of that slug
//	POST /invoices      Invoices
//	GET /forged         signed in; a middleware before the guard applies Forged
//	GET /panic          signed in; the handler panics
//	GET /admin/users    in a group that requires the role org:admin
//	GET /admin/{rest}   in the same group; any other path below /admin
//	GET /orgs/{slug}/x  in a group that requires the organization of that slug
//
// And these, whose handlers first add the headers of the query by SetHeaders:
//
//	GET /headers        public
//	GET /unchecked      Unchecked
//	GET /guarded        signed in, by two guards
//	GET /stream         signed in; the body is flushed in between
//	GET /empty          signed in; status 204, and nothing is written
//	GET /error          signed in; an error of the framework's, status 418
//	POST /form          signed in
//	POST /sign-out      SignOut, and, if it returns true, a redirect to / by status 303
type App struct {
	Auth     *clerkauth.Authenticator
	Witness  *Witness
	Identify bool // put the adapter's Identify before all routes
	CORS     bool // put the framework's CORS middleware, for Origin, before that
}

// Invoices requires a user with a permission, or an API key with a scope.
var Invoices = clerkauth.AnyOf(clerkauth.Permission("org:invoices:create"), clerkauth.Token(clerkauth.APIKey, clerkauth.Scope("invoices:create")))

// Origin is the origin that an App with CORS allows.
const Origin = "https://app.example.com"

// NewApp returns an app with Identify, and the Clerk instance that it uses.
func NewApp(t *testing.T) (App, *clerkauthtest.Server) {
	t.Helper()
	srv := clerkauthtest.NewServer(t)
	config := srv.Config()
	config.Accept = []clerkauth.TokenType{clerkauth.SessionToken, clerkauth.APIKey}
	return App{Auth: NewAuth(t, config), Witness: &Witness{}, Identify: true}, srv
}

// NewAuth is [clerkauth.New] for valid configurations: an error fails the test.
func NewAuth(t *testing.T, config clerkauth.Config) *clerkauth.Authenticator {
	t.Helper()
	auth, err := clerkauth.New(config)
	if err != nil {
		t.Fatal(err)
	}
	return auth
}

// Forged returns a context with an identity that the library did not verify.
func Forged(ctx context.Context) context.Context {
	return clerkauth.NewContext(ctx, clerkauth.Auth{UserID: "user_forged", OrgID: "org_1", OrgRole: "org:admin"})
}

// Witness records the calls of handlers. It is safe for concurrent use.
type Witness struct {
	mu   sync.Mutex
	seen []Sight
}

// Sight is a call of a handler: its context, and the caller at that time.
type Sight struct {
	Ctx  context.Context
	User string
}

// Say records the call of a handler and returns its response.
func (w *Witness) Say(ctx context.Context, slug string) string {
	who := clerkauth.FromContext(ctx)
	w.mu.Lock()
	defer w.mu.Unlock()
	w.seen = append(w.seen, Sight{ctx, strings.Clone(who.UserID)})
	return fmt.Sprintf("%s user=%s org=%s slug=%s err=%v", who.TokenType, who.UserID, who.OrgSlug, slug, who.Err())
}

// Take returns the calls since the last Take.
func (w *Witness) Take() []Sight {
	w.mu.Lock()
	defer w.mu.Unlock()
	seen := w.seen
	w.seen = nil
	return seen
}

// Bearer returns a header line with a token of s.
func Bearer(s *clerkauthtest.Session, opts ...clerkauthtest.TokenOption) string {
	return "Authorization: Bearer " + s.Token(opts...)
}

// Send makes a request on a connection of its own and returns the response and its
// body. Header lines and target are sent unchanged, whereas http.Client would correct
// them.
func Send(t *testing.T, base, method, target string, header []string, body string) (*http.Response, string) {
	t.Helper()
	address := strings.TrimPrefix(base, "http://")
	conn, err := net.Dial("tcp", address)
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	if err := conn.SetDeadline(time.Now().Add(30 * time.Second)); err != nil {
		t.Fatal(err)
	}
	var b bytes.Buffer
	fmt.Fprintf(&b, "%s %s HTTP/1.1\r\nHost: %s\r\nConnection: close\r\n", method, target, address)
	for _, line := range header {
		b.WriteString(line + "\r\n")
	}
	if body != "" {
		fmt.Fprintf(&b, "Content-Length: %d\r\n", len(body))
	}
	b.WriteString("\r\n" + body)
	if _, err := conn.Write(b.Bytes()); err != nil {
		t.Fatal(err)
	}
	resp, err := http.ReadResponse(bufio.NewReader(conn), &http.Request{Method: method})
	if err != nil {
		t.Fatalf("%s %s: %v", method, target, err)
	}
	defer resp.Body.Close()
	answer, err := io.ReadAll(resp.Body)
	if err != nil {
		t.Fatalf("%s %s: %v", method, target, err)
	}
	return resp, string(answer)
}
