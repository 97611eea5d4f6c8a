package catalogue

import (
	"context"
	"crypto/hmac"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/clerkauth/clerkauth"
	"github.com/clerkauth/clerkauth/clerkauthtest"
	"github.com/clerkauth/clerkauth/internal/testkit"
)

// These rows test caches of machine credentials.
var _ = addRows(rows{
	"291/cache_that_fails": func(t *testing.T) {
		for name, store := range map[string]func() *faultyCache{
			"none":            func() *faultyCache { return nil },
			"hangs":           func() *faultyCache { return &faultyCache{gets: hangs, puts: hangs} },
			"hangs for ever":  func() *faultyCache { return &faultyCache{gets: deaf, puts: deaf} },
			"refuses":         func() *faultyCache { return &faultyCache{gets: refuses, puts: refuses} },
			"is too slow":     func() *faultyCache { return &faultyCache{gets: slow(200), puts: slow(200)} },
			"is slow":         func() *faultyCache { return &faultyCache{gets: slow(40), puts: slow(40)} },
			"hangs on Put":    func() *faultyCache { return &faultyCache{puts: deaf} },
			"works and fails": func() *faultyCache { return &faultyCache{gets: sometimes, puts: sometimes} },
		} {
			for _, rate := range []int{500, 1000} {
				for _, fresh := range []int{100, 1500} {
					t.Run(fmt.Sprintf("%s/%d_a_second/%d_new", name, rate, fresh), testkit.Bubble(func(t *testing.T) {
						faultyCacheRefusesNone(t, store(), rate, fresh, name == "is slow")
					}))
				}
			}
		}
		t.Run("failures among successes", testkit.Bubble(failuresAmongSuccesses))
		t.Run("probes", testkit.Bubble(oneProbeAtATime))
	},
	"297/huge_value": testkit.Bubble(hugeValues),
})

// faultyCache is a MachineCache whose methods first call a fault.
type faultyCache struct {
	gets, puts func(ctx context.Context, n int64) error
	calls      atomic.Int64
	now, most  atomic.Int64 // concurrent calls
	values     sync.Map
}

func (c *faultyCache) fault(ctx context.Context, fault func(context.Context, int64) error) error {
	n := c.now.Add(1)
	defer c.now.Add(-1)
	for most := c.most.Load(); n > most && !c.most.CompareAndSwap(most, n); most = c.most.Load() {
	}
	if n := c.calls.Add(1); fault != nil {
		return fault(ctx, n)
	}
	return nil
}

func (c *faultyCache) Get(ctx context.Context, key string) ([]byte, error) {
	if err := c.fault(ctx, c.gets); err != nil {
		return nil, err
	}
	value, _ := c.values.Load(key)
	text, _ := value.([]byte)
	return text, nil
}

func (c *faultyCache) Put(ctx context.Context, key string, value []byte, _ time.Duration) error {
	err := c.fault(ctx, c.puts)
	if err == nil {
		c.values.Store(key, value)
	}
	return err
}

func hangs(ctx context.Context, _ int64) error { <-ctx.Done(); return ctx.Err() }

// deaf hangs for longer than any caller waits and ignores its context.
func deaf(context.Context, int64) error { time.Sleep(9 * time.Second); return errors.New("it hung") }

func refuses(context.Context, int64) error { return errors.New("connection refused") }

// slow returns a fault that takes so many milliseconds.
func slow(takes time.Duration) func(context.Context, int64) error {
	return func(ctx context.Context, _ int64) error {
		select {
		case <-time.After(takes * time.Millisecond):
			return nil
		case <-ctx.Done():
			return ctx.Err()
		}
	}
}

func sometimes(ctx context.Context, n int64) error {
	if n%3 == 0 {
		return nil
	}
	return hangs(ctx, n)
}

// faultyCacheRefusesNone: 1,500 valid keys, fresh of which are new, are used rate
// times a second for 4 s; Clerk responds within 20 ms.
func faultyCacheRefusesNone(t *testing.T, store *faultyCache, rate, fresh int, patient bool) {
	const keys, takes = 1500, 20 * time.Millisecond
	network := &testkit.SlowTransport{Takes: takes}
	r := testkit.NewMachineRig(t, func(c *clerkauth.Config) {
		network.RoundTripper = c.Transport
		c.Transport = network
		if store != nil {
			c.Machines.Cache = store
		}
	})
	guard := r.Auth.Require(testkit.AnyCredential)
	var tokens []string
	for i := range keys {
		tokens = append(tokens, r.Server.CreateAPIKey(r.User).Token)
		if i >= fresh {
			if got := testkit.Serve(guard, testkit.Bearer(tokens[i])); !got.Entered {
				t.Fatal(i, got)
			}
		}
	}
	time.Sleep(31 * time.Second) // verified keys have to be verified again
	var wg sync.WaitGroup
	var let, refused, longest, late atomic.Int64
	began := time.Now()
	for i := range 4 * rate {
		wg.Go(func() {
			at := time.Now()
			if got := testkit.Serve(guard, testkit.Bearer(tokens[i%keys])); got.Entered {
				let.Add(1)
			} else {
				refused.Add(1)
				t.Logf("%v after %v", got.Status, time.Since(at))
			}
			of := &longest
			if at.Sub(began) > time.Second {
				of = &late
			}
			for took, most := int64(time.Since(at)), of.Load(); took > most && !of.CompareAndSwap(most, took); most = of.Load() {
			}
		})
		time.Sleep(time.Second / time.Duration(rate))
	}
	wg.Wait()
	t.Logf("%d let in, %d refused; the longest took %v, %v after the first second; the store was used %d times",
		let.Load(), refused.Load(), time.Duration(longest.Load()), time.Duration(late.Load()), calls(store))
	if took := time.Duration(late.Load()); took > takes+5*time.Millisecond && !patient {
		t.Errorf("a request took %v while the store was bypassed", took)
	}
	if refused.Load() != 0 {
		t.Errorf("%d good credentials are refused", refused.Load())
	}
}

func calls(store *faultyCache) int64 {
	if store == nil {
		return 0
	}
	return store.calls.Load()
}

// failuresAmongSuccesses: a store whose reads never return is bypassed even if its
// writes succeed, and so is one that fails half of the time.
func failuresAmongSuccesses(t *testing.T) {
	alternating := func(ctx context.Context, n int64) error {
		if n%2 == 0 {
			return nil
		}
		return hangs(ctx, n)
	}
	for name, store := range map[string]*faultyCache{"reads hang": {gets: hangs}, "half of them hang": {gets: alternating, puts: alternating}} {
		r := testkit.NewMachineRig(t, func(c *clerkauth.Config) { c.Machines.Cache = store })
		guard := r.Auth.Require(testkit.AnyCredential)
		late, began := 0, time.Now()
		const requests = 200
		for range requests { // in 20 s and more
			at := time.Now()
			if got := testkit.Serve(guard, testkit.Bearer(r.Server.CreateAPIKey(r.User).Token)); !got.Entered {
				t.Errorf("%s: %v", name, got)
			}
			if time.Since(at) > 5*time.Millisecond {
				late++
			}
			time.Sleep(100 * time.Millisecond)
		}
		if late > requests/5 {
			t.Errorf("%s: %d of %d requests waited, in %v", name, late, requests, time.Since(began))
		}
	}
}

// oneProbeAtATime: while a store fails, one use every few seconds probes it, without
// a request waiting for that; when it works it is used again.
func oneProbeAtATime(t *testing.T) {
	network := &testkit.SlowTransport{Takes: 20 * time.Millisecond}
	store := &faultyCache{gets: refuses, puts: refuses}
	r := testkit.NewMachineRig(t, func(c *clerkauth.Config) {
		network.RoundTripper = c.Transport
		c.Transport, c.Machines.Cache = network, store
	})
	use := func(guard clerkauth.Middleware, token string, most time.Duration) {
		began := time.Now()
		if got := testkit.Serve(guard, testkit.Bearer(token)); !got.Entered || time.Since(began) > most {
			t.Errorf("%v after %v", got, time.Since(began))
		}
	}
	guard := r.Auth.Require(testkit.AnyCredential)
	for range 10 {
		use(guard, r.Server.CreateAPIKey(r.User).Token, time.Second)
	}
	store.gets, store.puts = deaf, deaf
	before := store.calls.Load()
	for range 200 { // in 20 s and more
		use(guard, r.Server.CreateAPIKey(r.User).Token, 25*time.Millisecond)
		time.Sleep(80 * time.Millisecond)
	}
	if n := store.calls.Load() - before; n < 1 || n > 4 || store.most.Load() > 1 {
		t.Errorf("%d probes in 20 s, %d at a time", n, store.most.Load())
	}
	store.gets, store.puts = nil, nil
	time.Sleep(20 * time.Second)
	for range 20 {
		use(guard, r.Server.CreateAPIKey(r.User).Token, 25*time.Millisecond)
		time.Sleep(time.Second)
	}
	made := network.All.Load()
	use(guard, r.APIKey.Token, 25*time.Millisecond)
	synctest.Wait()
	other := testkit.NewAuth(t, r.Server, testkit.AcceptAll, func(c *clerkauth.Config) { c.Transport, c.Machines.Cache = network, store })
	use(other.Require(testkit.AnyCredential), r.APIKey.Token, 25*time.Millisecond)
	if n := network.All.Load() - made; n != 1 {
		t.Errorf("%d calls for two replicas that share a store which works again", n)
	}
}

// hugeValues: a value longer than any that was stored is not read, even if its MAC
// is valid.
func hugeValues(t *testing.T) {
	store := &faultyCache{}
	r := testkit.NewMachineRig(t, func(c *clerkauth.Config) { c.Machines.Cache = store })
	calls := func() int {
		before := r.Server.Requests(clerkauthtest.APIKeyVerify)
		auth := testkit.NewAuth(t, r.Server, testkit.AcceptAll, func(c *clerkauth.Config) { c.Machines.Cache = store })
		if got := testkit.Serve(auth.Require(testkit.AnyCredential), testkit.Bearer(r.APIKey.Token)); !got.Entered {
			t.Error(got)
		}
		synctest.Wait()
		return r.Server.Requests(clerkauthtest.APIKeyVerify) - before
	}
	mac := func(key []byte, parts ...string) []byte {
		h := hmac.New(sha256.New, key)
		h.Write([]byte(strings.Join(parts, "\x00")))
		return h.Sum(nil)
	}
	hashed := sha256.Sum256([]byte(r.Server.SecretKey()))
	macKey := mac(hashed[:], "clerkauth machine credentials, version 3", "")
	for _, c := range []struct{ length, calls int }{{0, 0}, {64 << 10, 0}, {64<<10 + 1, 1}, {200 << 20, 1}} {
		store.values.Clear()
		if n := calls(); n != 1 {
			t.Fatalf("%d calls", n)
		}
		store.values.Range(func(key, value any) bool {
			name, _ := key.(string)
			text, _ := value.([]byte)
			digest, err := hex.DecodeString(name)
			if err != nil {
				t.Fatal(err)
			}
			padded := string(text[sha256.Size:]) + strings.Repeat(" ", max(c.length-len(text), 0))
			store.values.Store(key, append(mac(macKey, "value", string(digest)+padded), padded...))
			return true
		})
		if n := calls(); n != c.calls {
			t.Errorf("of %d bytes: %d calls, want %d", c.length, n, c.calls)
		}
	}
}
