package testkit

import (
	"log/slog"
	"maps"
	"net/http"
	"testing"
	"time"

	"github.com/clerkauth/clerkauth"
	"github.com/clerkauth/clerkauth/clerkauthtest"
)

// Rig is an instance of Clerk in memory, an Authenticator for it, and the session of a
// user who is an admin of an organization there.
type Rig struct {
	Server *clerkauthtest.Server
	Auth   *clerkauth.Authenticator
	Jane   *clerkauthtest.Session
}

// NewRig returns a Rig; change edits the Authenticator's configuration.
func NewRig(tb testing.TB, change ...func(*clerkauth.Config)) *Rig {
	tb.Helper()
	srv := clerkauthtest.NewServer(tb, clerkauthtest.InMemory(), clerkauthtest.SigningKey(KeyID, Key()))
	jane := srv.SignIn(srv.CreateUser("jane@example.com"), clerkauthtest.InOrganization("acme", "org:admin"))
	return &Rig{srv, NewAuth(tb, srv, change...), jane}
}

// NewAuth returns an Authenticator for srv whose log is discarded; change edits its
// configuration.
func NewAuth(tb testing.TB, srv *clerkauthtest.Server, change ...func(*clerkauth.Config)) *clerkauth.Authenticator {
	tb.Helper()
	config := srv.Config()
	config.Logger = slog.New(slog.DiscardHandler)
	for _, c := range change {
		c(&config)
	}
	auth, err := clerkauth.New(config)
	if err != nil {
		tb.Fatal(err)
	}
	return auth
}

// Want sends token to a guard with these requirements and fails tb unless the status
// is that one and, unless it is "", the reason is that one. The handler must have
// been reached if and only if the status is 200.
func (r *Rig) Want(tb testing.TB, token string, status int, reason clerkauth.Reason, requirements ...clerkauth.Access) Reply {
	tb.Helper()
	return WantReply(tb, Serve(r.Auth.Require(requirements...), Bearer(token)), status, reason)
}

// Identified returns a guard inside Handler, the usual arrangement of servers.
func (r *Rig) Identified(requirements ...clerkauth.Access) clerkauth.Middleware {
	return func(next http.Handler) http.Handler { return r.Auth.Handler(r.Auth.Require(requirements...)(next)) }
}

// Fetches returns the number of requests for the instance's keys.
func (r *Rig) Fetches() int { return r.Server.Requests(clerkauthtest.JWKS) }

// Refreshes returns how often keys were fetched: each fetch requests the Backend
// API's set first.
func (r *Rig) Refreshes() int { return r.Server.Requests(clerkauthtest.BackendJWKS) }

// MachineRig is a Rig with machine credentials of every kind, all of which its
// Authenticator accepts.
type MachineRig struct {
	*Rig
	User       *clerkauthtest.User
	Here, Peer *clerkauthtest.Machine // the program under test, and the one that calls it
	APIKey     *clerkauthtest.Credential
	M2M        *clerkauthtest.Credential
	OAuth      *clerkauthtest.Credential
}

// NewMachineRig returns a MachineRig; change edits the Authenticator's
// configuration.
func NewMachineRig(tb testing.TB, change ...func(*clerkauth.Config)) *MachineRig {
	tb.Helper()
	r := &MachineRig{Rig: NewRig(tb, append([]func(*clerkauth.Config){AcceptAll}, change...)...)}
	r.User = r.Server.CreateUser("owner@example.com")
	r.Here, r.Peer = r.Server.CreateMachine("here"), r.Server.CreateMachine("peer")
	r.APIKey = r.Server.CreateAPIKey(r.User, "reports:read", "reports:write")
	r.M2M = r.Peer.Token(r.Here)
	r.OAuth = r.Server.CreateOAuthToken(r.User, "client_1", "notes:read")
	return r
}

// AcceptAll makes a configuration accept credentials of every kind.
func AcceptAll(c *clerkauth.Config) {
	c.Accept = []clerkauth.TokenType{clerkauth.SessionToken, clerkauth.APIKey, clerkauth.M2MToken, clerkauth.OAuthToken}
}

// AnyParty makes a configuration accept tokens for every party.
func AnyParty(c *clerkauth.Config) { c.AuthorizedParties, c.InsecureAnyParty = nil, true }

// AnyCredential is a requirement that every authenticated caller satisfies.
var AnyCredential = clerkauth.AnyOf(clerkauth.SignedIn, clerkauth.Token(clerkauth.APIKey), clerkauth.Token(clerkauth.M2MToken), clerkauth.Token(clerkauth.OAuthToken))

// LongLived gives a token a lifetime longer than any test.
var LongLived = clerkauthtest.ExpiresIn(365 * 24 * time.Hour)

// Organization gives a token an active organization whose claim has these members.
func Organization(members map[string]any) clerkauthtest.TokenOption {
	o := map[string]any{"id": "org_1", "slg": "acme"}
	maps.Copy(o, members)
	return clerkauthtest.WithClaim("o", o)
}
