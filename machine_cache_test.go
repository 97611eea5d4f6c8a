package clerkauth_test

import (
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/hex"
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
)

// sharedMap is a MachineCache that forgets nothing, whatever it is told.
type sharedMap struct {
	mu     sync.Mutex
	values map[string][]byte
	kept   []time.Duration
	err    error         // what it fails with
	takes  time.Duration // how long it takes
	panics bool
	hangs  chan struct{} // it waits for that, whatever becomes of its context
}

func (m *sharedMap) Get(ctx context.Context, key string) ([]byte, error) {
	if err := m.wait(ctx); err != nil {
		return nil, err
	}
	m.mu.Lock()
	defer m.mu.Unlock()
	return m.values[key], nil
}

func (m *sharedMap) Put(ctx context.Context, key string, value []byte, keep time.Duration) error {
	if err := m.wait(ctx); err != nil {
		return err
	}
	m.mu.Lock()
	defer m.mu.Unlock()
	m.values[key] = value
	m.kept = append(m.kept, keep)
	return nil
}

func (m *sharedMap) wait(ctx context.Context) error {
	if m.panics {
		panic("odd")
	}
	if m.hangs != nil {
		<-m.hangs
	}
	select {
	case <-time.After(m.takes):
		return m.err
	case <-ctx.Done():
		return ctx.Err()
	}
}

// TestSharedAnswersAreNoOlder: a revocation is seen as late as the configured TTL,
// whoever asked Clerk, whatever the store keeps, and whatever the clocks say.
func TestSharedAnswersAreNoOlder(t *testing.T) {
	inBubble(func(t *testing.T) {
		store := &sharedMap{values: map[string][]byte{}}
		r := newMachineRig(t)
		clock := time.Duration(0) // by which a replica's is ahead
		replica := func(ttl time.Duration) *clerkauth.Authenticator {
			return newAuthFor(t, r.srv, acceptAll, func(c *clerkauth.Config) {
				c.Machines.Cache, c.Machines.CacheTTL = store, ttl
				c.Now = func() time.Time { return time.Now().Add(clock) }
			})
		}
		admits := func(auth *clerkauth.Authenticator, c *clerkauthtest.Credential) bool {
			return ask(auth.Require(forAll), bearer(c.Token)).entered
		}
		for _, credential := range []*clerkauthtest.Credential{r.key, r.m2m, r.oauth} {
			before := r.srv.Requests(clerkauthtest.TokenVerify)
			for range 2 {
				if !admits(replica(0), credential) {
					t.Errorf("a good %s is refused", credential.Kind)
				}
				synctest.Wait() // nobody waits for the store
			}
			if n := r.srv.Requests(clerkauthtest.TokenVerify) - before; n != 1 {
				t.Fatalf("%s: %d calls", credential.Kind, n)
			}
			r.srv.Revoke(credential)
			time.Sleep(10 * time.Second)
			if admits(replica(5*time.Second), credential) {
				t.Error("a replica with a shorter TTL believes an older answer")
			}
			time.Sleep(19 * time.Second)
			last := replica(0)
			if !admits(last, credential) {
				t.Error("it is asked about again too early")
			}
			time.Sleep(time.Second) // 30 s after Clerk was asked, 1 s after the store was
			if admits(last, credential) || admits(replica(0), credential) {
				t.Error("a revocation is not seen after 30 s")
			}
		}
		for _, keep := range store.kept {
			if keep <= 0 || keep > 30*time.Second {
				t.Errorf("it is kept for %v", keep)
			}
		}
		// What was asked in our future is of no known age.
		key := r.srv.CreateAPIKey(r.user)
		clock = time.Hour
		if !admits(replica(0), key) {
			t.Fatal("a good key is refused")
		}
		synctest.Wait()
		r.srv.Revoke(key)
		clock = 0
		if admits(replica(0), key) {
			t.Error("an answer of the future is believed")
		}
	})(t)
}

// cachesHoldNoCredential: what is remembered is found by a digest of all of a
// credential, so nothing of it can be read there, and none passes for another.
func cachesHoldNoCredential(t *testing.T) {
	store := &sharedMap{values: map[string][]byte{}}
	r := newMachineRig(t, func(c *clerkauth.Config) { c.Machines.Cache = store })
	guard := r.auth.Require(forAll)
	if got := ask(guard, bearer(r.key.Token)); !got.entered {
		t.Fatal(got)
	}
	key := r.key.Token
	for _, other := range []string{key[:len(key)-1], key + "x", key[:len(key)-1] + "_", "ak__" + key[4:], key[:32], strings.ToUpper(key[:10]) + key[10:]} {
		if got := ask(guard, bearer(other)); got.entered {
			t.Errorf("a credential of %d bytes passes for one of %d", len(other), len(key))
		}
	}
	synctest.Wait()
	if len(store.values) == 0 {
		t.Fatal("nothing is kept")
	}
	for name, value := range store.values {
		digest, err := hex.DecodeString(name)
		if err != nil || len(digest) != sha256.Size {
			t.Errorf("%q is no digest", name)
		}
		kept := name + string(digest) + string(value)
		for i := range len(key) - 8 {
			if piece := key[i : i+8]; strings.Contains(kept, piece) || strings.Contains(kept, hex.EncodeToString([]byte(piece))) {
				t.Fatal("a piece of the credential is kept")
			}
		}
	}
}

// TestStoreThatFails: a store that is away, slow or broken costs a moment, and lets
// nobody in or out.
func TestStoreThatFails(t *testing.T) {
	for name, store := range map[string]*sharedMap{
		"away": {err: errors.New("away")}, "slow": {takes: time.Hour}, "broken": {panics: true}, "deaf": {hangs: make(chan struct{})},
	} {
		t.Run(name, inBubble(func(t *testing.T) {
			store.values = map[string][]byte{}
			if store.hangs != nil {
				store.hangs = make(chan struct{}) // of this bubble
				defer close(store.hangs)
			}
			var logged bytes.Buffer
			r := newMachineRig(t, func(c *clerkauth.Config) {
				c.Machines.Cache, c.Logger = store, slog.New(slog.NewTextHandler(&logged, nil))
			})
			guard := r.auth.Require(forAll)
			began := time.Now()
			if got := ask(guard, bearer(r.key.Token)); !got.entered || time.Since(began) > time.Second {
				t.Errorf("%v after %v", got, time.Since(began))
			}
			if got := ask(guard, bearer("ak_unknown")); got.status != 401 {
				t.Error(got)
			}
			if n := strings.Count(logged.String(), "level=WARN"); n != 1 || strings.Contains(logged.String(), r.key.Token) {
				t.Errorf("log is %q", logged.String())
			}
		}))
	}
}

// TestAnswersAreAsOldAsTheQuestion: while Clerk took its time, the key may have been
// revoked.
func TestAnswersAreAsOldAsTheQuestion(t *testing.T) {
	inBubble(func(t *testing.T) {
		network := &laggard{takes: 2 * time.Second}
		r := newMachineRig(t, func(c *clerkauth.Config) {
			network.RoundTripper = c.Transport
			c.Transport, c.Machines.CacheTTL = network, 5*time.Second
		})
		guard := r.auth.Require(forAll)
		for i, want := range []int64{1, 1, 2} {
			if got := ask(guard, bearer(r.key.Token)); !got.entered || network.all.Load() != want {
				t.Errorf("%d: %v, %d calls", i, got, network.all.Load())
			}
			time.Sleep(1500 * time.Millisecond) // 3.5 s and 5 s after the question
		}
	})(t)
}

// TestSharedAnswersComeBeforeThePlaces: a replica that has just been started lets in
// whom others know, however many strangers ask and whatever Clerk says about it.
func TestSharedAnswersComeBeforeThePlaces(t *testing.T) {
	inBubble(func(t *testing.T) {
		store := &sharedMap{values: map[string][]byte{}}
		network := &laggard{takes: 2 * time.Second}
		share := func(c *clerkauth.Config) { c.Machines.Cache = store }
		r := newMachineRig(t, share, func(c *clerkauth.Config) {
			network.RoundTripper = c.Transport
			c.Transport = network
		})
		other := newAuthFor(t, r.srv, acceptAll, share)
		if got := ask(other.Require(forAll), bearer(r.key.Token)); !got.entered {
			t.Fatal(got)
		}
		synctest.Wait()
		guard := r.auth.Require(forAll)
		var wg sync.WaitGroup
		for i := range 100 {
			wg.Go(func() { ask(guard, bearer(fmt.Sprintf("ak_stranger%d", i))) })
		}
		synctest.Wait()
		if got := ask(guard, bearer(r.key.Token)); !got.entered {
			t.Errorf("beside strangers: %v", got)
		}
		wg.Wait()
		second := r.srv.CreateAPIKey(r.user)
		if got := ask(other.Require(forAll), bearer(second.Token)); !got.entered {
			t.Fatal(got)
		}
		synctest.Wait()
		r.srv.Fail(clerkauthtest.TokenVerify, 429)
		ask(guard, bearer("ak_stranger"))
		if got := ask(guard, bearer(second.Token)); !got.entered {
			t.Errorf("in a pause: %v", got)
		}
	})(t)
}

// TestClockGoesBackWhileClerkIsAsked: an answer whose age cannot be told is given once.
func TestClockGoesBackWhileClerkIsAsked(t *testing.T) {
	store := &sharedMap{values: map[string][]byte{}}
	now := time.Now()
	r := newMachineRig(t, func(c *clerkauth.Config) {
		next := c.Transport
		c.Machines.Cache = store
		c.Now = func() time.Time { return now }
		c.Transport = roundTripper(func(req *http.Request) (*http.Response, error) {
			now = now.Add(-time.Hour)
			return next.RoundTrip(req)
		})
	})
	if got := ask(r.auth.Require(forAll), bearer(r.key.Token)); !got.entered || len(store.values) != 0 {
		t.Errorf("%v, %d are kept", got, len(store.values))
	}
	r.srv.Revoke(r.key)
	now = now.Add(50 * time.Minute)
	if got := ask(r.auth.Require(forAll), bearer(r.key.Token)); got.entered {
		t.Error("50 minutes after its revocation a key is let in")
	}
}
