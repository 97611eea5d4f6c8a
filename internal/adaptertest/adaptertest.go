// Package adaptertest holds the adapters of frameworks that speak HTTP to one set
// of rules. It is here once so that no adapter can be tested for less than another.
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

// Framework is what an adapter has to show of itself.
type Framework struct {
	// Serve starts an app in the framework, until the test ends, and returns
	// its address: http://host:port.
	Serve func(t *testing.T, a App) string
	// Require calls the adapter's. What that returns is the framework's own.
	Require func(auth *clerkauth.Authenticator, demands ...clerkauth.Access)
}

// Run runs every rule as a subtest.
func Run(t *testing.T, f Framework) {
	for _, rule := range []struct {
		name string
		test func(*testing.T, Framework)
	}{
		{"LikeNetHTTP", likeNetHTTP},
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

// App says what Serve puts together: these routes, each of whose handlers answers
// with what Witness says, after a middleware that recovers from panics.
//
//	GET /               public
//	GET /dashboard      signed in; behind the guard stands a middleware that writes X-Later
//	DELETE /orgs/{slug} role org:admin in the organization of that slug
//	POST /invoices      Invoices
//	GET /forged         signed in; before the guard somebody puts Forged in the context
//	GET /panic          signed in; the handler panics
//	GET /admin/users    in a group for the role org:admin, as are the next
//	GET /admin/{rest}   anything below
//	GET /orgs/{slug}/x  in a group for the organization of that slug
type App struct {
	Auth     *clerkauth.Authenticator
	Witness  *Witness
	Identify bool // Identify stands before all routes
	CORS     bool // and before that the framework's own CORS middleware, for Origin
}

// Invoices is who may write invoices: users with a permission, and API keys with a
// scope.
var Invoices = clerkauth.AnyOf(clerkauth.Permission("org:invoices:create"), clerkauth.Token(clerkauth.APIKey, clerkauth.Scope("invoices:create")))

// Origin is the one whose pages an App with CORS lets read answers.
const Origin = "https://app.example.com"

// NewApp returns an app with Identify, and the instance whose users it serves.
func NewApp(t *testing.T) (App, *clerkauthtest.Server) {
	t.Helper()
	srv := clerkauthtest.NewServer(t)
	config := srv.Config()
	config.Accept = []clerkauth.TokenType{clerkauth.SessionToken, clerkauth.APIKey}
	return App{Auth: NewAuth(t, config), Witness: &Witness{}, Identify: true}, srv
}

// NewAuth is [clerkauth.New] for configurations that are right.
func NewAuth(t *testing.T, config clerkauth.Config) *clerkauth.Authenticator {
	t.Helper()
	auth, err := clerkauth.New(config)
	if err != nil {
		t.Fatal(err)
	}
	return auth
}

// Forged is what somebody who is not the library says about the caller.
func Forged(ctx context.Context) context.Context {
	return clerkauth.NewContext(ctx, clerkauth.Auth{UserID: "user_forged", OrgID: "org_1", OrgRole: "org:admin"})
}

// Witness is in every handler, and keeps what it saw there.
type Witness struct {
	mu   sync.Mutex
	seen []Sight
}

// Sight is a call of a handler: its context, and who was calling then.
type Sight struct {
	Ctx  context.Context
	User string
}

// Say notes that a handler was reached and returns what it answers.
func (w *Witness) Say(ctx context.Context, slug string) string {
	who := clerkauth.FromContext(ctx)
	w.mu.Lock()
	defer w.mu.Unlock()
	w.seen = append(w.seen, Sight{ctx, strings.Clone(who.UserID)})
	return fmt.Sprintf("%s user=%s org=%s slug=%s err=%v", who.TokenType, who.UserID, who.OrgSlug, slug, who.Err())
}

// Take returns what was seen since it was asked last.
func (w *Witness) Take() []Sight {
	w.mu.Lock()
	defer w.mu.Unlock()
	seen := w.seen
	w.seen = nil
	return seen
}

// Bearer returns the header line with a token of s.
func Bearer(s *clerkauthtest.Session, opts ...clerkauthtest.TokenOption) string {
	return "Authorization: Bearer " + s.Token(opts...)
}

// Send makes a request on a connection of its own, with the header lines and the
// target as they are given: http.Client would mend them. The answer's body has
// been read.
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
