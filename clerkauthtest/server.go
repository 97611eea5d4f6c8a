// Package clerkauthtest is a Clerk instance for tests, and for trying things out without
// an account: it has keys, users, organizations, sessions, machines and API keys, issues
// the tokens that Clerk would, and serves the parts of Clerk's Backend and Frontend API
// that package clerkauth calls or sends browsers to, and the users, organizations and
// memberships that handlers read with clerk-sdk-go.
//
//	srv := clerkauthtest.NewServer(t)
//	auth, err := clerkauth.New(srv.Config())
//	…
//	jane := srv.CreateUser("jane@example.com", clerkauthtest.Name("Jane", "Doe"))
//	srv.SignIn(jane, clerkauthtest.InOrganization("acme", "org:admin")).Authorize(req)
//
// [Session.Auth] returns the caller for tests of a handler alone, and
// [Session.ListenAndServe] runs a server for development, with one user signed in.
// It can be made to fail ([Server.Fail]), to change its keys ([Server.RotateKeys]) and to
// move its clock ([Server.Advance]). With [InMemory] it works inside a bubble of
// testing/synctest.
//
// # Browsers
//
// [Session.SetCookies] makes a request that of a signed-in browser. A real browser signs
// in on the page at [Server.SignInURL], which the Config of a Server that listens names as
// the application's, with an email address with +clerk_test in it, or a phone number such
// as +1 (555) 555-0100, and the code 424242. [Server.SignUpURL] and [Server.AccountURL] are
// pages to sign up, and to choose an organization and sign out. The page returns to the
// application, which [Origin] names, and the application's first request is answered with
// a handshake that gives the browser its cookies:
//
//	srv, err := clerkauthtest.Start(clerkauthtest.Origin("http://localhost:8080"))
//	…
//	auth, err := clerkauth.New(srv.Config())
//	…
//	log.Fatal(http.ListenAndServe("localhost:8080", auth.Handler(mux)))
//
// Handshakes are those of a development instance, or with [Production] those of a live
// one. Tokens of handshakes have no azp, because a navigation has no Origin header, and
// [clerkauth.Config.MissingParty] decides about them; pages that fetch a token name their
// origin. Nonces are valid once, for a minute, and refresh tokens until the session ends
// ([WithoutRefreshTokens]). Redirects lead to loopback, to the application's origin and,
// for a live instance, to https below its domain and those of its [Satellites].
//
// A Server knows who may sign in on the page only by what is typed there: whoever reaches
// it can be anybody. It listens on loopback and refuses requests that name another host.
//
// Keys and secrets are random for each Server, which listens on loopback only. Methods
// panic on invalid arguments, such as a malformed permission.
package clerkauthtest

import (
	"crypto/rand"
	"encoding/base64"
	"errors"
	"fmt"
	"math/big"
	"net/http"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"github.com/clerkauth/clerkauth"
)

// TB is the part of a *testing.T, *testing.B or *testing.F that this package needs.
type TB interface {
	Helper()
	Cleanup(func())
	Fatalf(format string, args ...any)
}

// Server is a Clerk instance. Make one with [NewServer] or [Start]. It is safe for
// concurrent use.
type Server struct {
	// URL is the URL of both APIs: on loopback, or, in memory, with the host in the
	// publishable key.
	URL string

	host       string // of the Frontend API, as the publishable key says
	secret     string
	origin     string
	production bool
	satellites []string // domains
	inMemory   bool
	noRefresh  bool
	// forceOrganization makes sessions of browsers pending until an organization is chosen.
	forceOrganization bool

	mux       *http.ServeMux
	transport http.RoundTripper
	close     func()
	closed    atomic.Bool
	offset    atomic.Int64 // of our clock, in nanoseconds

	mu            sync.Mutex // guards the fields below, and what they refer to
	keys          []signingKey
	signing       signingKey
	keySet        []byte // served instead of keys, if not nil
	users         map[string]*User
	organizations map[string]*Organization // by slug
	memberships   []*membership            // in the order in which they were created
	sessions      map[string]*Session
	clients       map[string]*client // by the value of their cookie
	devBrowsers   map[string]*client
	payloads      map[string]payload // of handshakes, by nonce
	links         map[string]link    // between hosts of the Frontend API, by token
	templates     map[string]map[string]any
	machines      []*Machine
	credentials   []*Credential // in the order in which they were created
	showEnded     bool
	oauth         authorization
	faults        map[Endpoint]int
	answers       map[Endpoint]response
	retryAfter    map[Endpoint]int
	requests      map[Endpoint]int
}

// Option configures a new Server.
type Option func(*Server)

// InMemory makes a Server that listens on nothing and runs no goroutine. It is reached
// through [Server.Transport] only, which its Config holds. A goroutine that waits for it
// in a bubble of testing/synctest is durably blocked, so that virtual time advances.
func InMemory() Option { return func(s *Server) { s.inMemory = true } }

// Origin sets the origin of the application whose users sign in, which is the azp of
// their tokens. Defaults to https://app.example.com.
func Origin(origin string) Option { return func(s *Server) { s.origin = origin } }

// Production makes the instance a live one, whose keys begin with pk_live_ and sk_live_:
// the results of handshakes are in cookies instead of URLs, and there are no dev browsers.
// host is that of its Frontend API, such as clerk.example.com; the application is at
// example.com or below, and cookies that both use are for that domain. Browsers need a
// way to the Server under that name. Defaults to a development instance with a random
// host.
func Production(host string) Option {
	if domain := domainOf(host); domain == host || !strings.Contains(domain, ".") {
		panic("clerkauthtest: " + host + " must look like clerk.example.com")
	}
	return func(s *Server) { s.host, s.production = host, true }
}

// WithoutRefreshTokens makes the instance issue no refresh tokens: what is done about an
// expired session token is then a handshake in any case. Defaults to issuing them, as
// Clerk does.
func WithoutRefreshTokens() Option { return func(s *Server) { s.noRefresh = true } }

// ForceOrganizationSelection makes sessions pending that start on the sign-in and sign-up
// pages, until the user has chosen an active organization, as Clerk does where personal
// accounts are disabled. Defaults to not doing so.
func ForceOrganizationSelection() Option { return func(s *Server) { s.forceOrganization = true } }

// NewServer starts a Server and closes it when the test ends.
func NewServer(tb TB, opts ...Option) *Server {
	tb.Helper()
	s, err := Start(opts...)
	if err != nil {
		tb.Fatalf("%v", err)
	}
	tb.Cleanup(s.Close)
	return s
}

// Start starts a Server outside a test. Close it after use.
func Start(opts ...Option) (*Server, error) {
	s := &Server{
		host:          randomHost(),
		origin:        "https://app.example.com",
		mux:           http.NewServeMux(),
		close:         func() {},
		users:         make(map[string]*User),
		organizations: make(map[string]*Organization),
		sessions:      make(map[string]*Session),
		clients:       make(map[string]*client),
		devBrowsers:   make(map[string]*client),
		payloads:      make(map[string]payload),
		links:         make(map[string]link),
		templates:     make(map[string]map[string]any),
		faults:        make(map[Endpoint]int),
		oauth:         newAuthorization(),
		answers:       make(map[Endpoint]response),
		retryAfter:    make(map[Endpoint]int),
		requests:      make(map[Endpoint]int),
	}
	for _, option := range opts {
		option(s)
	}
	s.secret = "sk_" + s.kind() + "_" + randomText() + randomText()
	if s.signing.private == nil {
		s.signing = newKey()
	}
	s.keys = []signingKey{s.signing}
	s.routes()
	if s.inMemory {
		s.URL = s.Issuer()
		s.transport = memory{s}
		return s, nil
	}
	if err := s.listen(); err != nil {
		return nil, fmt.Errorf("clerkauthtest: %w", err)
	}
	return s, nil
}

// Close closes the Server and ends every request to it. It may be called more than once.
func (s *Server) Close() {
	if s.closed.CompareAndSwap(false, true) {
		s.close()
	}
}

var errClosed = errors.New("clerkauthtest: the server is closed")

// Config returns a configuration for [clerkauth.New] that trusts this instance and the
// application's origin. Session tokens without an azp are accepted in cookies, because
// those of handshakes have none, as at Clerk: a navigation has no Origin header to take it
// from. Unless the Server is in memory, people sign in and up on its own pages. A test may
// change the configuration.
func (s *Server) Config() clerkauth.Config {
	config := clerkauth.Config{
		PublishableKey:    s.PublishableKey(),
		SecretKey:         clerkauth.NewSecret(s.secret),
		AuthorizedParties: []string{s.origin},
		MissingParty:      clerkauth.AllowMissingFromCookie,
		BackendURL:        s.URL,
		FrontendURL:       s.URL,
		Transport:         s.transport,
		Now:               s.Now,
	}
	if !s.inMemory {
		config.Browser.SignInURL, config.Browser.SignUpURL = s.SignInURL(), s.SignUpURL()
	}
	return config
}

// Transport returns a transport to the Server: the only one if it is in memory, otherwise
// an [http.Transport] whose connections end with the Server.
func (s *Server) Transport() http.RoundTripper { return s.transport }

// PublishableKey returns the instance's pk_test_… key, or pk_live_… of one in production.
func (s *Server) PublishableKey() string {
	return "pk_" + s.kind() + "_" + base64.RawStdEncoding.EncodeToString([]byte(s.host+"$"))
}

// kind is how the instance's keys name it.
func (s *Server) kind() string {
	if s.production {
		return "live"
	}
	return "test"
}

// SecretKey returns the instance's sk_test_… key, or sk_live_… of one in production.
func (s *Server) SecretKey() string { return s.secret }

// Issuer returns the iss of the instance's tokens.
func (s *Server) Issuer() string { return "https://" + s.host }

// Origin returns the origin of the application whose users sign in.
func (s *Server) Origin() string { return s.origin }

// Now returns the time of the instance's clock: that of time.Now, plus what it was
// advanced by.
func (s *Server) Now() time.Time {
	return time.Now().Add(time.Duration(s.offset.Load()))
}

// Advance moves the instance's clock forward, or back if d is negative. It does not wait,
// and no timer fires.
func (s *Server) Advance(d time.Duration) { s.offset.Add(int64(d)) }

// randomHost returns a host in the form of those of Clerk's development instances. There
// are so many that no two servers share one, and with it an issuer.
func randomHost() string {
	return fmt.Sprintf("%s-%s%s-%d.clerk.accounts.dev", pick(adjectives), pick(colours), pick(animals), 10+number(90))
}

var (
	adjectives = []string{"able", "brave", "calm", "clever", "cosy", "eager", "early", "fair", "fond", "free",
		"gentle", "glad", "happy", "jolly", "keen", "kind", "lively", "lucky", "merry", "mild", "modest", "neat",
		"noble", "patient", "polite", "proud", "quick", "quiet", "sharp", "smart", "steady", "warm"}
	colours = []string{"amber", "ash", "azure", "black", "blue", "bronze", "brown", "copper", "coral", "cream",
		"gold", "green", "grey", "indigo", "ivory", "jade", "lilac", "lime", "mint", "navy", "olive", "opal",
		"pearl", "pink", "plum", "red", "rose", "ruby", "silver", "teal", "violet", "white"}
	animals = []string{"ant", "badger", "bat", "bear", "bee", "crane", "crow", "deer", "dove", "duck", "eagle",
		"finch", "fox", "frog", "goat", "hare", "hawk", "heron", "lark", "lynx", "mole", "moth", "mouse", "otter",
		"owl", "robin", "seal", "snail", "swan", "toad", "wolf", "wren"}
)

func pick(words []string) string { return words[number(len(words))] }

func number(below int) int64 {
	return atRandom(func() int64 {
		n, err := rand.Int(rand.Reader, big.NewInt(int64(below)))
		if err != nil {
			panic(err) // crypto/rand never fails
		}
		return n.Int64()
	})
}
