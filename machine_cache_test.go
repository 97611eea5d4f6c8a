package clerkauth_test

import (
	"bytes"
	"errors"
	"fmt"
	"log/slog"
	"net/http"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/clerkauth/clerkauth"
	"github.com/clerkauth/clerkauth/clerkauthtest"
	"github.com/clerkauth/clerkauth/internal/testkit"
)

// TestSharedAnswersAreNoOlder: a revocation is seen within the configured TTL,
// whichever replica called Clerk, however long the store keeps values and whatever
// the clocks show.
func TestSharedAnswersAreNoOlder(t *testing.T) {
	testkit.Bubble(func(t *testing.T) {
		store := &testkit.MachineCache{Values: map[string][]byte{}}
		r := testkit.NewMachineRig(t)
		clock := time.Duration(0) // how far a replica's clock is ahead
		replica := func(ttl time.Duration) *clerkauth.Authenticator {
			return testkit.NewAuth(t, r.Server, testkit.AcceptAll, func(c *clerkauth.Config) {
				c.Machines.Cache, c.Machines.CacheTTL = store, ttl
				c.Now = func() time.Time { return time.Now().Add(clock) }
			})
		}
		allows := func(auth *clerkauth.Authenticator, c *clerkauthtest.Credential) bool {
			return testkit.Serve(auth.Require(testkit.AnyCredential), testkit.Bearer(c.Token)).Entered
		}
		for _, credential := range []*clerkauthtest.Credential{r.APIKey, r.M2M, r.OAuth} {
			before := r.Server.Requests(clerkauthtest.TokenVerify)
			for range 2 {
				if !allows(replica(0), credential) {
					t.Errorf("a good %s is refused", credential.Kind)
				}
				synctest.Wait() // requests do not wait for the store
			}
			if n := r.Server.Requests(clerkauthtest.TokenVerify) - before; n != 1 {
				t.Fatalf("%s: %d calls", credential.Kind, n)
			}
			r.Server.Revoke(credential)
			time.Sleep(10 * time.Second)
			if allows(replica(5*time.Second), credential) {
				t.Error("a replica with a shorter TTL believes an older answer")
			}
			time.Sleep(19 * time.Second)
			last := replica(0)
			if !allows(last, credential) {
				t.Error("it is verified again too early")
			}
			time.Sleep(time.Second) // 30 s after the call to Clerk, 1 s after the store's
			if allows(last, credential) || allows(replica(0), credential) {
				t.Error("a revocation is not seen after 30 s")
			}
		}
		for _, keep := range store.Kept {
			if keep <= 0 || keep > 30*time.Second {
				t.Errorf("it is kept for %v", keep)
			}
		}
		// The age of a value from the future is unknown.
		key := r.Server.CreateAPIKey(r.User)
		clock = time.Hour
		if !allows(replica(0), key) {
			t.Fatal("a good key is refused")
		}
		synctest.Wait()
		r.Server.Revoke(key)
		clock = 0
		if allows(replica(0), key) {
			t.Error("an answer of the future is believed")
		}
	})(t)
}

// TestStoreThatFails: a store that is unavailable, slow or broken delays a request
// by at most a second, and changes no decision.
func TestStoreThatFails(t *testing.T) {
	for name, store := range map[string]*testkit.MachineCache{
		"away": {Err: errors.New("away")}, "slow": {Takes: time.Hour}, "broken": {Panics: true}, "deaf": {Hangs: make(chan struct{})},
	} {
		t.Run(name, testkit.Bubble(func(t *testing.T) {
			store.Values = map[string][]byte{}
			if store.Hangs != nil {
				store.Hangs = make(chan struct{}) // of this bubble
				defer close(store.Hangs)
			}
			var logged bytes.Buffer
			r := testkit.NewMachineRig(t, func(c *clerkauth.Config) {
				c.Machines.Cache, c.Logger = store, slog.New(slog.NewTextHandler(&logged, nil))
			})
			guard := r.Auth.Require(testkit.AnyCredential)
			began := time.Now()
			if got := testkit.Serve(guard, testkit.Bearer(r.APIKey.Token)); !got.Entered || time.Since(began) > time.Second {
				t.Errorf("%v after %v", got, time.Since(began))
			}
			if got := testkit.Serve(guard, testkit.Bearer("ak_unknown")); got.Status != 401 {
				t.Error(got)
			}
			if n := strings.Count(logged.String(), "level=WARN"); n != 1 || strings.Contains(logged.String(), r.APIKey.Token) {
				t.Errorf("log is %q", logged.String())
			}
		}))
	}
}

// TestAnswersAreAsOldAsTheQuestion: the TTL counts from the start of a call, because
// the key may have been revoked while Clerk responded.
func TestAnswersAreAsOldAsTheQuestion(t *testing.T) {
	testkit.Bubble(func(t *testing.T) {
		network := &testkit.SlowTransport{Takes: 2 * time.Second}
		r := testkit.NewMachineRig(t, func(c *clerkauth.Config) {
			network.RoundTripper = c.Transport
			c.Transport, c.Machines.CacheTTL = network, 5*time.Second
		})
		guard := r.Auth.Require(testkit.AnyCredential)
		for i, want := range []int64{1, 1, 2} {
			if got := testkit.Serve(guard, testkit.Bearer(r.APIKey.Token)); !got.Entered || network.All.Load() != want {
				t.Errorf("%d: %v, %d calls", i, got, network.All.Load())
			}
			time.Sleep(1500 * time.Millisecond) // 3.5 s and 5 s after the call began
		}
	})(t)
}

// TestSharedAnswersNeedNoSlot: a replica that has just started accepts keys
// that other replicas have verified, however many made-up keys it receives and
// whatever Clerk responds about them.
func TestSharedAnswersNeedNoSlot(t *testing.T) {
	testkit.Bubble(func(t *testing.T) {
		store := &testkit.MachineCache{Values: map[string][]byte{}}
		network := &testkit.SlowTransport{Takes: 2 * time.Second}
		share := func(c *clerkauth.Config) { c.Machines.Cache = store }
		r := testkit.NewMachineRig(t, share, func(c *clerkauth.Config) {
			network.RoundTripper = c.Transport
			c.Transport = network
		})
		other := testkit.NewAuth(t, r.Server, testkit.AcceptAll, share)
		if got := testkit.Serve(other.Require(testkit.AnyCredential), testkit.Bearer(r.APIKey.Token)); !got.Entered {
			t.Fatal(got)
		}
		synctest.Wait()
		guard := r.Auth.Require(testkit.AnyCredential)
		var wg sync.WaitGroup
		for i := range 100 {
			wg.Go(func() { testkit.Serve(guard, testkit.Bearer(fmt.Sprintf("ak_unseen%d", i))) })
		}
		synctest.Wait()
		if got := testkit.Serve(guard, testkit.Bearer(r.APIKey.Token)); !got.Entered {
			t.Errorf("beside unseen keys: %v", got)
		}
		wg.Wait()
		second := r.Server.CreateAPIKey(r.User)
		if got := testkit.Serve(other.Require(testkit.AnyCredential), testkit.Bearer(second.Token)); !got.Entered {
			t.Fatal(got)
		}
		synctest.Wait()
		r.Server.Fail(clerkauthtest.TokenVerify, 429)
		testkit.Serve(guard, testkit.Bearer("ak_unseen"))
		if got := testkit.Serve(guard, testkit.Bearer(second.Token)); !got.Entered {
			t.Errorf("in a pause: %v", got)
		}
	})(t)
}

// TestClockGoesBackDuringVerification: a result of unknown age is used once.
func TestClockGoesBackDuringVerification(t *testing.T) {
	store := &testkit.MachineCache{Values: map[string][]byte{}}
	now := time.Now()
	r := testkit.NewMachineRig(t, func(c *clerkauth.Config) {
		next := c.Transport
		c.Machines.Cache = store
		c.Now = func() time.Time { return now }
		c.Transport = testkit.RoundTripFunc(func(req *http.Request) (*http.Response, error) {
			now = now.Add(-time.Hour)
			return next.RoundTrip(req)
		})
	})
	if got := testkit.Serve(r.Auth.Require(testkit.AnyCredential), testkit.Bearer(r.APIKey.Token)); !got.Entered || len(store.Values) != 0 {
		t.Errorf("%v, %d are kept", got, len(store.Values))
	}
	r.Server.Revoke(r.APIKey)
	now = now.Add(50 * time.Minute)
	if got := testkit.Serve(r.Auth.Require(testkit.AnyCredential), testkit.Bearer(r.APIKey.Token)); got.Entered {
		t.Error("50 minutes after its revocation a key is let in")
	}
}
