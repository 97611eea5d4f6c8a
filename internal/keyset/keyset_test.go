package keyset

import (
	"context"
	"crypto/rand"
	"crypto/rsa"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/go-jose/go-jose/v4"
)

// testKeys are generated once, because that is slow.
var testKeys = sync.OnceValue(func() []*rsa.PrivateKey {
	keys := make([]*rsa.PrivateKey, 3)
	for i := range keys {
		var err error
		if keys[i], err = rsa.GenerateKey(rand.Reader, 2048); err != nil {
			panic(err)
		}
	}
	return keys
})

func public(i int) *rsa.PublicKey { return &testKeys()[i].PublicKey }

// body returns a key set with the given keys.
func body(keys map[string]*rsa.PublicKey) []byte {
	var set jose.JSONWebKeySet
	for kid, key := range keys {
		set.Keys = append(set.Keys, jose.JSONWebKey{Key: key, KeyID: kid, Algorithm: "RS256", Use: "sig"})
	}
	b, err := json.Marshal(set)
	if err != nil {
		panic(err)
	}
	return b
}

var quiet = slog.New(slog.NewTextHandler(io.Discard, nil))

// endpoint is a key endpoint that takes 50 ms of virtual time to respond.
type endpoint struct {
	mu      sync.Mutex
	keys    map[string]*rsa.PublicKey
	raw     string // the body in place of keys
	err     error
	hang    bool
	fetches atomic.Int64
}

func (e *endpoint) set(kid string, key *rsa.PublicKey) {
	e.mu.Lock()
	defer e.mu.Unlock()
	e.keys = map[string]*rsa.PublicKey{kid: key}
}

func (e *endpoint) fail(err error) {
	e.mu.Lock()
	defer e.mu.Unlock()
	e.err = err
}

func (e *endpoint) source(ctx context.Context) ([]byte, error) {
	e.fetches.Add(1)
	e.mu.Lock()
	text, err, hang := body(e.keys), e.err, e.hang
	if e.raw != "" {
		text = []byte(e.raw)
	}
	e.mu.Unlock()
	if hang {
		<-ctx.Done()
		return nil, ctx.Err()
	}
	select {
	case <-time.After(50 * time.Millisecond):
	case <-ctx.Done():
		return nil, ctx.Err()
	}
	if err != nil {
		return nil, err
	}
	return text, nil
}

// bubble runs test in virtual time with an endpoint that has one key.
func bubble(t *testing.T, test func(t *testing.T, e *endpoint, s *Set)) {
	t.Helper()
	testKeys()
	synctest.Test(t, func(t *testing.T) {
		e := &endpoint{keys: map[string]*rsa.PublicKey{"a": public(0)}}
		test(t, e, New(Sources{Backend: e.source}, time.Now, quiet))
		time.Sleep(fetchTimeout)
		synctest.Wait()
	})
}

func (e *endpoint) want(t *testing.T, fetches int64) {
	t.Helper()
	synctest.Wait()
	if n := e.fetches.Load(); n != fetches {
		t.Errorf("%d fetches, want %d", n, fetches)
	}
}

func mustKey(t *testing.T, s *Set, kid string, want *rsa.PublicKey) {
	t.Helper()
	got, err := s.Key(t.Context(), kid)
	if err != nil {
		t.Fatalf("key %q: %v", kid, err)
	}
	if !same(got, want) {
		t.Fatalf("key %q is another one", kid)
	}
}

func mustFail(t *testing.T, s *Set, kid string, want error) {
	t.Helper()
	_, err := s.Key(t.Context(), kid)
	var away *UnavailableError
	if want == nil && !errors.As(err, &away) || want != nil && !errors.Is(err, want) {
		t.Fatalf("key %q: %v, want %v", kid, err, want)
	}
	if away != nil && away.RetryAfter < time.Second {
		t.Errorf("retry after %v", away.RetryAfter)
	}
}

// at moves virtual time to d after start.
func at(start time.Time, d time.Duration) { time.Sleep(time.Until(start.Add(d))) }

func TestFirstRequestsShareOneFetch(t *testing.T) {
	bubble(t, func(t *testing.T, e *endpoint, s *Set) {
		var wg sync.WaitGroup
		for range 1000 {
			wg.Go(func() { mustKey(t, s, "a", public(0)) })
		}
		wg.Wait()
		e.want(t, 1)
	})
}

// TestUnknownIDsCostABurst: a flood of unknown ids causes three fetches, one of
// which is that of a cold start, and one more in 30 s.
func TestUnknownIDsCostABurst(t *testing.T) {
	for _, warm := range []bool{false, true} {
		bubble(t, func(t *testing.T, e *endpoint, s *Set) {
			fetches := int64(unknownBurst)
			if warm {
				mustKey(t, s, "a", public(0))
				fetches++
			}
			var wg sync.WaitGroup
			for i := range 10000 {
				wg.Go(func() {
					time.Sleep(time.Duration(i) * 100 * time.Microsecond)
					mustFail(t, s, fmt.Sprint("x", i), ErrUnknownKey)
				})
			}
			wg.Wait()
			e.want(t, fetches)
			for i := range 7 {
				time.Sleep(unknownInterval)
				for j := range 10 {
					mustFail(t, s, fmt.Sprint("y", i, j), ErrUnknownKey)
				}
				e.want(t, fetches+int64(i)+1)
			}
		})
	}
}

func TestKnownKeysDoNotWaitForUnknownOnes(t *testing.T) {
	bubble(t, func(t *testing.T, e *endpoint, s *Set) {
		mustKey(t, s, "a", public(0))
		e.mu.Lock()
		e.hang = true
		e.mu.Unlock()
		done := make(chan struct{})
		go func() { mustFail(t, s, "x", nil); close(done) }()
		synctest.Wait()
		before := time.Now()
		for range 100 {
			mustKey(t, s, "a", public(0))
		}
		if !time.Now().Equal(before) {
			t.Error("a known key waited")
		}
		<-done
		if took := time.Since(before); took != fetchTimeout {
			t.Errorf("the fetch took %v, want its deadline", took)
		}
	})
}

func TestRotationIsSeenAtOnce(t *testing.T) {
	bubble(t, func(t *testing.T, e *endpoint, s *Set) {
		mustKey(t, s, "a", public(0))
		e.set("b", public(1))
		mustKey(t, s, "b", public(1))
		// The new set replaces the old one as a whole, so a withdrawn key is unknown.
		mustFail(t, s, "a", ErrUnknownKey)
		e.want(t, 3)
	})
}

// TestRepeatedUnknownIDDelaysNoRotation: a client that repeats one bad token leaves
// the last fetch of the burst to others.
func TestRepeatedUnknownIDDelaysNoRotation(t *testing.T) {
	bubble(t, func(t *testing.T, e *endpoint, s *Set) {
		mustKey(t, s, "a", public(0))
		for i := range 300 {
			for range 10 {
				mustFail(t, s, "stale", ErrUnknownKey)
				if _, ok := s.Replaced(t.Context(), "a", public(0)); ok {
					t.Fatal("the same key counts as replaced")
				}
			}
			if i%100 == 99 {
				e.mu.Lock()
				e.keys[fmt.Sprint("new", i)] = public(1)
				e.mu.Unlock()
				mustKey(t, s, fmt.Sprint("new", i), public(1))
			}
			time.Sleep(time.Second)
		}
		if n := e.fetches.Load(); n > 1+unknownBurst+300/30+2 {
			t.Errorf("%d fetches in 5 minutes", n)
		}
	})
}

func TestReplacedKeyIsFound(t *testing.T) {
	bubble(t, func(t *testing.T, e *endpoint, s *Set) {
		mustKey(t, s, "a", public(0))
		if _, ok := s.Replaced(t.Context(), "a", public(0)); ok {
			t.Error("the same key counts as replaced")
		}
		e.want(t, 1) // the set is recent enough
		time.Sleep(justFetched)
		if _, ok := s.Replaced(t.Context(), "a", public(0)); ok {
			t.Error("the same key counts as replaced")
		}
		e.want(t, 2)
		e.set("a", public(1))
		if _, ok := s.Replaced(t.Context(), "a", public(0)); ok {
			t.Error("the throttle was passed")
		}
		e.want(t, 2)
		time.Sleep(unknownInterval)
		key, ok := s.Replaced(t.Context(), "a", public(0))
		if !ok || !same(key, public(1)) {
			t.Error("the new key was not found")
		}
		e.want(t, 3)
		// A request that still holds the old key needs no fetch.
		if _, ok := s.Replaced(t.Context(), "a", public(0)); !ok {
			t.Error("the new key was not found again")
		}
		e.want(t, 3)
	})
}

func TestRefreshAheadDelaysNoRequest(t *testing.T) {
	bubble(t, func(t *testing.T, e *endpoint, s *Set) {
		start := time.Now()
		mustKey(t, s, "a", public(0))
		for d := refreshAfter; d < time.Hour; d += 10 * time.Second {
			at(start, d)
			before := time.Now()
			mustKey(t, s, "a", public(0))
			if !time.Now().Equal(before) {
				t.Fatalf("a request waited after %v", d)
			}
		}
		synctest.Wait()
		if n := e.fetches.Load(); n < 12 || n > 16 {
			t.Errorf("%d fetches in an hour, want one each four minutes", n)
		}
	})
}

func TestWithdrawnKeyIsRefusedWithinTTL(t *testing.T) {
	bubble(t, func(t *testing.T, e *endpoint, s *Set) {
		start := time.Now()
		mustKey(t, s, "a", public(0))
		e.set("b", public(1))
		for d := time.Second; ; d += time.Second {
			at(start, d)
			if _, err := s.Key(t.Context(), "a"); errors.Is(err, ErrUnknownKey) {
				break
			}
			if d > ttl {
				t.Fatal("a withdrawn key was used beyond the ttl")
			}
		}
	})
}

func TestWithdrawnKeyUsedSeldomIsRefused(t *testing.T) {
	bubble(t, func(t *testing.T, e *endpoint, s *Set) {
		mustKey(t, s, "a", public(0))
		e.set("b", public(1))
		time.Sleep(50 * time.Minute)
		mustFail(t, s, "a", ErrUnknownKey)
	})
}

func TestOutage(t *testing.T) {
	bubble(t, func(t *testing.T, e *endpoint, s *Set) {
		start := time.Now()
		mustKey(t, s, "a", public(0))
		e.fail(errors.New("down"))
		// Under traffic, known keys stay valid for an hour after the last successful
		// fetch.
		for d := time.Minute; d < maxStale; d += time.Second {
			at(start, d)
			mustKey(t, s, "a", public(0))
		}
		at(start, maxStale)
		mustFail(t, s, "a", nil)
		mustFail(t, s, "x", nil)
		synctest.Wait()
		tries := e.fetches.Load()
		if tries > 56*60/int64(maxBackoff/2/time.Second) {
			t.Errorf("%d tries during the outage", tries)
		}
		// The next success ends the outage, at the latest after the backoff.
		e.fail(nil)
		time.Sleep(maxBackoff)
		mustKey(t, s, "a", public(0))
	})
}

func TestOutageOfAnIdleServer(t *testing.T) {
	bubble(t, func(t *testing.T, e *endpoint, s *Set) {
		mustKey(t, s, "a", public(0))
		e.mu.Lock()
		e.hang = true
		e.mu.Unlock()
		time.Sleep(10 * time.Minute)
		before := time.Now()
		mustKey(t, s, "a", public(0))
		if took := time.Since(before); took != patience {
			t.Errorf("the first request took %v", took)
		}
		for range 10 { // while that fetch hangs
			mustKey(t, s, "a", public(0))
		}
		if took := time.Since(before); took != patience {
			t.Errorf("the requests behind it took %v", took-patience)
		}
		time.Sleep(fetchTimeout) // the refresh has failed
		for range 300 {
			time.Sleep(time.Second)
			before := time.Now()
			mustKey(t, s, "a", public(0))
			if !time.Now().Equal(before) {
				t.Fatal("a later request waited")
			}
		}
		time.Sleep(fetchTimeout)
	})
}

func TestColdStartDuringAnOutage(t *testing.T) {
	bubble(t, func(t *testing.T, e *endpoint, s *Set) {
		e.fail(errors.New("down"))
		mustFail(t, s, "a", nil)
		for range 1000 {
			mustFail(t, s, "a", nil)
		}
		e.want(t, 1)
		e.fail(nil)
		time.Sleep(minBackoff)
		mustKey(t, s, "a", public(0))
	})
}

func TestUnknownIDDuringAnOutageIsNotCalledUnknown(t *testing.T) {
	bubble(t, func(t *testing.T, e *endpoint, s *Set) {
		mustKey(t, s, "a", public(0))
		e.fail(errors.New("down"))
		mustFail(t, s, "x", nil)
		mustFail(t, s, "x", nil)
		e.want(t, 2)
	})
}

// laterError is the error of a source with a Retry-After.
type laterError time.Duration

func (e laterError) Error() string             { return "too many requests" }
func (e laterError) RetryAfter() time.Duration { return time.Duration(e) }

func TestRetryAfterIsHonoured(t *testing.T) {
	bubble(t, func(t *testing.T, e *endpoint, s *Set) {
		e.fail(laterError(90 * time.Second))
		mustFail(t, s, "a", nil)
		time.Sleep(89 * time.Second)
		mustFail(t, s, "a", nil)
		e.want(t, 1)
		e.fail(nil)
		time.Sleep(time.Second)
		mustKey(t, s, "a", public(0))
	})
}

func TestFetchOutlivesItsFirstCaller(t *testing.T) {
	bubble(t, func(t *testing.T, e *endpoint, s *Set) {
		ctx, cancel := context.WithCancel(t.Context())
		var wg sync.WaitGroup
		wg.Go(func() {
			if _, err := s.Key(ctx, "a"); !errors.Is(err, context.Canceled) {
				t.Errorf("cancelled caller got %v", err)
			}
		})
		synctest.Wait()
		wg.Go(func() { mustKey(t, s, "a", public(0)) })
		synctest.Wait()
		cancel()
		wg.Wait()
		e.want(t, 1)
	})
}

func TestClockThatGoesBackCausesAFetch(t *testing.T) {
	e := &endpoint{keys: map[string]*rsa.PublicKey{"a": public(0)}}
	var offset atomic.Int64
	s := New(Sources{Backend: func(ctx context.Context) ([]byte, error) {
		e.fetches.Add(1)
		return body(e.keys), nil
	}}, func() time.Time { return time.Unix(1790000000+offset.Load(), 0) }, quiet)
	for i, o := range []int64{0, -3600, -3600 + 3600*24*3650} {
		offset.Store(o)
		mustKey(t, s, "a", public(0))
		if n := e.fetches.Load(); n != int64(i+1) {
			t.Errorf("after a clock step of %d s: %d fetches", o, n)
		}
	}
}

// TestClockThatGoesBackDelaysNoRequest: if the clock goes back while a fetch hangs,
// a request for a known key waits no longer than before.
func TestClockThatGoesBackDelaysNoRequest(t *testing.T) {
	testKeys()
	synctest.Test(t, func(t *testing.T) {
		e := &endpoint{keys: map[string]*rsa.PublicKey{"a": public(0)}}
		var back time.Duration
		s := New(Sources{Backend: e.source}, func() time.Time { return time.Now().Add(-back) }, quiet)
		mustKey(t, s, "a", public(0))
		e.mu.Lock()
		e.hang = true
		e.mu.Unlock()
		time.Sleep(ttl + 2*time.Minute)
		mustKey(t, s, "a", public(0))
		back = time.Minute
		start := time.Now()
		mustKey(t, s, "a", public(0))
		if took := time.Since(start); took > patience {
			t.Errorf("it took %v", took)
		}
		time.Sleep(fetchTimeout)
		synctest.Wait()
	})
}

func TestClockThatGoesBackEndsABackoff(t *testing.T) {
	failing := errors.New("down")
	var offset atomic.Int64
	s := New(Sources{Backend: func(context.Context) ([]byte, error) {
		if failing != nil {
			return nil, failing
		}
		return body(map[string]*rsa.PublicKey{"a": public(0)}), nil
	}}, func() time.Time { return time.Unix(1790000000+offset.Load(), 0) }, quiet)
	mustFail(t, s, "a", nil)
	failing = nil
	mustFail(t, s, "a", nil) // backing off
	offset.Store(-3600)
	mustKey(t, s, "a", public(0))
}

func TestPanicWhileReadingIsAFailedFetch(t *testing.T) {
	s := New(Sources{Backend: func(context.Context) ([]byte, error) { panic("boom") }}, time.Now, quiet)
	mustFail(t, s, "a", nil)
}

func TestConcurrentUseDuringRotations(t *testing.T) {
	bubble(t, func(t *testing.T, e *endpoint, s *Set) {
		var wg sync.WaitGroup
		for i := range 100 {
			wg.Go(func() {
				for range 50 {
					_, _ = s.Key(t.Context(), string(rune('a'+i%3)))
					_, _ = s.Replaced(t.Context(), "a", public(0))
					time.Sleep(time.Duration(i) * time.Second)
				}
			})
		}
		wg.Go(func() {
			for i := range 300 {
				e.set(string(rune('a'+i%2)), public(i%3))
				if i%20 == 0 {
					e.fail(errors.New("down"))
				} else {
					e.fail(nil)
				}
				time.Sleep(10 * time.Second)
			}
		})
		wg.Wait()
	})
}

// TestKeyThatAnotherRequestFetched: a key that was fetched between a request's look
// at the set and its lock is used.
func TestKeyThatAnotherRequestFetched(t *testing.T) {
	bubble(t, func(t *testing.T, e *endpoint, s *Set) {
		before := s.now()
		mustKey(t, s, "a", public(0))
		for range 2 {
			key, err := s.fetchKey(t.Context(), "a", before.Add(time.Second))
			if err != nil || !same(key, public(0)) {
				t.Fatalf("%v, %v", key, err)
			}
			if !s.mu.TryLock() {
				t.Fatal("the lock is still held")
			}
			s.mu.Unlock()
		}
		e.want(t, 1)
	})
}

// TestSetWithoutUsableKeysWithdraws: a set without usable keys replaces the old one;
// an empty set is an error.
func TestSetWithoutUsableKeysWithdraws(t *testing.T) {
	for name, c := range map[string]struct {
		body      string
		withdrawn bool
	}{
		"empty list":   {`{"keys":[]}`, false},
		"no set":       {`<html>`, false},
		"no RSA key":   {`{"keys":[{"kty":"EC","kid":"b","crv":"P-256","x":"AA","y":"AA"}]}`, true},
		"private":      {`{"keys":[{"kty":"RSA","kid":"a","n":"AA","e":"AQAB","d":"AA"}]}`, true},
		"no object":    {`{"keys":[7]}`, true},
		"without kids": {`{"keys":[{"kty":"RSA","n":"AA","e":"AQAB"}]}`, true},
	} {
		bubble(t, func(t *testing.T, e *endpoint, s *Set) {
			mustKey(t, s, "a", public(0))
			e.mu.Lock()
			e.raw = c.body
			e.mu.Unlock()
			time.Sleep(ttl)
			if c.withdrawn {
				for range 20 { // the backoff alone limits the fetches
					mustFail(t, s, "a", nil)
					time.Sleep(maxBackoff / 2)
				}
			} else {
				mustKey(t, s, "a", public(0))
			}
			if t.Failed() {
				t.Fatal(name)
			}
			e.mu.Lock()
			e.raw = ""
			e.mu.Unlock()
			time.Sleep(maxBackoff)
			mustKey(t, s, "a", public(0))
		})
	}
}
