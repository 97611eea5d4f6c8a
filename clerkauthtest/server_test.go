package clerkauthtest_test

import (
	"context"
	"crypto/rand"
	"crypto/rsa"
	"errors"
	"fmt"
	"net/http"
	"runtime"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/clerkauth/clerkauth"
	"github.com/clerkauth/clerkauth/clerkauthtest"
	"github.com/clerkauth/clerkauth/internal/testkit"
)

// mustVerify returns the Auth of token.
func mustVerify(t *testing.T, auth *clerkauth.Authenticator, token string) clerkauth.Auth {
	t.Helper()
	who, err := auth.VerifyToken(t.Context(), token)
	if err != nil {
		t.Fatalf("VerifyToken: %v", err)
	}
	return who
}

// refused fails the test unless token is rejected for that reason.
func refused(t *testing.T, auth *clerkauth.Authenticator, token string, reason clerkauth.Reason) {
	t.Helper()
	if _, err := auth.VerifyToken(t.Context(), token); !errors.Is(err, reason) {
		t.Errorf("VerifyToken: %v, want %v", err, reason)
	}
}

func signIn(srv *clerkauthtest.Server, opts ...clerkauthtest.SessionOption) *clerkauthtest.Session {
	return srv.SignIn(srv.CreateUser("jane+clerk_test@example.com"), opts...)
}

func TestConfig(t *testing.T) {
	for name, opts := range map[string][]clerkauthtest.Option{
		"loopback":  nil,
		"in memory": {clerkauthtest.InMemory()},
	} {
		t.Run(name, func(t *testing.T) {
			srv := clerkauthtest.NewServer(t, opts...)
			session := signIn(srv)
			for name, change := range map[string]func(*clerkauth.Config){
				"as it is":        func(*clerkauth.Config) {},
				"without secret":  func(c *clerkauth.Config) { c.SecretKey = clerkauth.Secret{} },
				"only the secret": func(c *clerkauth.Config) { c.PublishableKey, c.FrontendURL, c.Issuers = "", "", []string{srv.Issuer()} },
				"JWTKey":          func(c *clerkauth.Config) { c.JWTKey = srv.JWTKey() },
			} {
				t.Run(name, func(t *testing.T) {
					who := mustVerify(t, testkit.NewAuth(t, srv, change), session.Token())
					if who.UserID != session.User.ID || who.SessionID != session.ID {
						t.Errorf("it is %s in %s", who.UserID, who.SessionID)
					}
				})
			}
			if n := srv.Requests(clerkauthtest.BackendJWKS); n != 2 {
				t.Errorf("%d requests for the Backend API's keys, want 2", n)
			}
			if n := srv.Requests(clerkauthtest.FrontendJWKS); n != 1 {
				t.Errorf("%d requests for the Frontend API's keys, want 1", n)
			}
		})
	}
}

func TestServersDiffer(t *testing.T) {
	a, b := clerkauthtest.NewServer(t), clerkauthtest.NewServer(t)
	for what, f := range map[string]func(*clerkauthtest.Server) string{
		"issuer":          (*clerkauthtest.Server).Issuer,
		"publishable key": (*clerkauthtest.Server).PublishableKey,
		"secret key":      (*clerkauthtest.Server).SecretKey,
		"key":             (*clerkauthtest.Server).JWTKey,
		"key id":          (*clerkauthtest.Server).KeyID,
	} {
		if f(a) == f(b) {
			t.Errorf("two servers have one %s", what)
		}
	}
	refused(t, testkit.NewAuth(t, a), signIn(b).Token(), clerkauth.ErrTokenIssuer)
	refused(t, testkit.NewAuth(t, a), signIn(b).Token(clerkauthtest.WithClaim("iss", a.Issuer())), clerkauth.ErrUnknownKey)
}

func TestSigningKey(t *testing.T) {
	key, err := rsa.GenerateKey(rand.Reader, 2048)
	if err != nil {
		t.Fatal(err)
	}
	a := clerkauthtest.NewServer(t, clerkauthtest.InMemory(), clerkauthtest.SigningKey("ins_one", key))
	b := clerkauthtest.NewServer(t, clerkauthtest.InMemory(), clerkauthtest.SigningKey("ins_one", key))
	if a.KeyID() != "ins_one" || a.Key() != key {
		t.Error("the key is another one")
	}
	mustVerify(t, testkit.NewAuth(t, a), signIn(a).Token())
	refused(t, testkit.NewAuth(t, a), signIn(b).Token(), clerkauth.ErrTokenIssuer)
}

func TestOrigin(t *testing.T) {
	if got := clerkauthtest.NewServer(t, clerkauthtest.InMemory()).Origin(); got != "https://app.example.com" {
		t.Errorf("without the option it is %s", got)
	}
	srv := clerkauthtest.NewServer(t, clerkauthtest.InMemory(), clerkauthtest.Origin("https://shop.example.org"))
	mustVerify(t, testkit.NewAuth(t, srv), signIn(srv).Token())
	if got := claimsOf(t, srv, signIn(srv).Token())["azp"]; got != "https://shop.example.org" || got != srv.Origin() {
		t.Errorf("azp is %v", got)
	}
}

func TestAdvance(t *testing.T) {
	srv := clerkauthtest.NewServer(t, clerkauthtest.InMemory())
	auth := testkit.NewAuth(t, srv)
	token := signIn(srv).Token()
	mustVerify(t, auth, token)
	srv.Advance(2 * time.Minute)
	refused(t, auth, token, clerkauth.ErrTokenExpired)
	srv.Advance(-time.Hour)
	refused(t, auth, token, clerkauth.ErrTokenEarly)
	srv.Advance(time.Hour - 2*time.Minute)
	mustVerify(t, auth, token)
}

func TestNowFollowsVirtualTime(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		srv := clerkauthtest.NewServer(t, clerkauthtest.InMemory())
		srv.Advance(time.Hour)
		start := time.Now()
		time.Sleep(time.Minute)
		if got := srv.Now().Sub(start); got != time.Hour+time.Minute {
			t.Errorf("the clock is %v ahead", got)
		}
	})
}

// recorder is a TB that records the failures of a server.
type recorder struct {
	cleanups []func()
	failure  string
}

func (*recorder) Helper()                     {}
func (r *recorder) Cleanup(f func())          { r.cleanups = append(r.cleanups, f) }
func (r *recorder) Fatalf(f string, a ...any) { r.failure = fmt.Sprintf(f, a...) }

func TestClose(t *testing.T) {
	for name, opts := range map[string][]clerkauthtest.Option{
		"loopback":  nil,
		"in memory": {clerkauthtest.InMemory()},
	} {
		t.Run(name, func(t *testing.T) {
			var tb recorder
			srv := clerkauthtest.NewServer(&tb, opts...)
			if tb.failure != "" || len(tb.cleanups) != 1 {
				t.Fatalf("failure %q, %d cleanups", tb.failure, len(tb.cleanups))
			}
			client := &http.Client{Transport: srv.Transport()}
			get := func() error {
				resp, err := client.Get(srv.URL + "/.well-known/jwks.json")
				if err == nil {
					_ = resp.Body.Close()
				}
				return err
			}
			if err := get(); err != nil {
				t.Fatal(err)
			}
			tb.cleanups[0]()
			srv.Close()
			if get() == nil {
				t.Error("it answers after Close")
			}
		})
	}
}

// TestCloseEndsRequests: Close ends requests that hang, and leaves no goroutine.
func TestCloseEndsRequests(t *testing.T) {
	before := runtime.NumGoroutine()
	srv, err := clerkauthtest.Start()
	if err != nil {
		t.Fatal(err)
	}
	srv.Fail(clerkauthtest.FrontendJWKS, clerkauthtest.Hang)
	srv.Fail(clerkauthtest.Users, clerkauthtest.SlowBody)
	client := &http.Client{Transport: srv.Transport()}
	var wg sync.WaitGroup
	for range 4 {
		wg.Go(func() {
			if resp, err := client.Get(srv.URL + "/.well-known/jwks.json"); err == nil {
				t.Error("it answered")
				_ = resp.Body.Close()
			}
		})
		wg.Go(func() {
			resp, err := client.Get(srv.URL + "/v1/users/user_1")
			if err != nil {
				return // closed before the header
			}
			defer func() { _ = resp.Body.Close() }()
			if _, err := resp.Body.Read(make([]byte, 1<<20)); err == nil {
				_, _ = resp.Body.Read(make([]byte, 1<<20))
			}
		})
	}
	for srv.Requests(clerkauthtest.FrontendJWKS|clerkauthtest.Users) < 8 {
		runtime.Gosched()
	}
	srv.Close()
	wg.Wait()
	for deadline := time.Now().Add(5 * time.Second); runtime.NumGoroutine() > before; runtime.Gosched() {
		if time.Now().After(deadline) {
			stacks := make([]byte, 1<<16)
			t.Fatalf("goroutines are left:\n%s", stacks[:runtime.Stack(stacks, true)])
		}
	}
}

func TestInMemoryStartsNothing(t *testing.T) {
	before := runtime.NumGoroutine()
	srv := clerkauthtest.NewServer(t, clerkauthtest.InMemory())
	if after := runtime.NumGoroutine(); after > before {
		t.Errorf("%d goroutines, %d before", after, before)
	}
	if !strings.HasPrefix(srv.URL, "https://") || srv.URL != srv.Issuer() {
		t.Errorf("URL is %s", srv.URL)
	}
}

func TestInMemoryServesNoOtherHost(t *testing.T) {
	srv := clerkauthtest.NewServer(t, clerkauthtest.InMemory())
	for _, url := range []string{"https://example.com/", strings.Replace(srv.URL, "https", "http", 1) + "/"} {
		req, err := http.NewRequestWithContext(t.Context(), http.MethodGet, url, nil)
		if err != nil {
			t.Fatal(err)
		}
		if resp, err := srv.Transport().RoundTrip(req); err == nil {
			t.Errorf("%s: %s", url, resp.Status)
		}
	}
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, srv.URL+"/.well-known/jwks.json", nil)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := srv.Transport().RoundTrip(req); !errors.Is(err, context.Canceled) {
		t.Errorf("cancelled: %v", err)
	}
}

// TestConcurrency exercises the race detector.
func TestConcurrency(t *testing.T) {
	srv := clerkauthtest.NewServer(t)
	auth := testkit.NewAuth(t, srv, func(c *clerkauth.Config) { c.JWTKey = "" })
	org := srv.CreateOrganization("acme")
	session := signIn(srv, clerkauthtest.InOrganization("acme", "admin"))
	var wg sync.WaitGroup
	for i := range 8 {
		wg.Go(func() {
			for range 20 {
				_, _ = auth.VerifyToken(t.Context(), session.Token())
				_, _ = auth.GetToken(t.Context(), clerkauth.Auth{UserID: "user_1", SessionID: session.ID}, "")
				srv.CreateTemplate("t", map[string]any{"i": i})
				org.SetRole("admin", fmt.Sprintf("org:f%d:read", i))
				org.SetFeatures("reports")
				org.SetPlans("pro")
				srv.Fail(clerkauthtest.JWKS, 500)
				srv.RetryAfter(clerkauthtest.JWKS, 1)
				srv.Heal(clerkauthtest.JWKS)
				srv.SetKeySet([]byte("{}"))
				srv.SetKeySet(nil)
				srv.WithdrawKey("ins_none")
				srv.Advance(time.Second)
				_, _ = srv.Requests(clerkauthtest.Backend), srv.JWTKey()
				browserOf(t, srv, session)
				_ = signIn(srv, clerkauthtest.InOrganization(fmt.Sprint("o", i), "admin")).TemplateToken("t", nil)
			}
			if i < 2 { // generating a key is slow
				srv.AddKey()
				srv.ReplaceKey()
				srv.RotateKeys()
			}
		})
	}
	wg.Wait()
}
