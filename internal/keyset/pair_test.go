package keyset

import (
	"context"
	"crypto/rsa"
	"errors"
	"fmt"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"
)

// sites are the two key endpoints of an instance.
type sites struct {
	backend, public *endpoint
	told            atomic.Int64 // how often Foreign was called
}

type keysOf map[string]*rsa.PublicKey

func (e *endpoint) serve(keys keysOf) {
	e.mu.Lock()
	defer e.mu.Unlock()
	e.keys = keys
}

func (e *endpoint) stop(hang bool) {
	e.mu.Lock()
	defer e.mu.Unlock()
	e.hang = hang
}

// pairBubble runs test in virtual time with a set of both sources, which serve these
// keys.
func pairBubble(t *testing.T, backend, frontend keysOf, test func(*testing.T, *sites, *Set)) {
	t.Helper()
	testKeys()
	synctest.Test(t, func(t *testing.T) {
		at := &sites{backend: &endpoint{keys: backend}, public: &endpoint{keys: frontend}}
		from := Sources{Backend: at.backend.source, Public: at.public.source, Foreign: func() { at.told.Add(1) }}
		test(t, at, New(from, time.Now, quiet))
		time.Sleep(fetchTimeout)
		synctest.Wait()
	})
}

func TestPublicSetIsFetchedWhenNeeded(t *testing.T) {
	a, ab := keysOf{"a": public(0)}, keysOf{"a": public(0), "b": public(1)}
	t.Run("not for what the backend has", func(t *testing.T) {
		pairBubble(t, a, a, func(t *testing.T, at *sites, s *Set) {
			for range 20 {
				mustKey(t, s, "a", public(0))
				time.Sleep(time.Minute)
			}
			at.public.want(t, 0)
		})
	})
	t.Run("in the backend's outage", func(t *testing.T) {
		for _, hang := range []bool{false, true} {
			pairBubble(t, a, ab, func(t *testing.T, at *sites, s *Set) {
				at.backend.fail(errors.New("down"))
				at.backend.stop(hang)
				mustKey(t, s, "a", public(0))
				mustKey(t, s, "b", public(1))
				mustFail(t, s, "x", ErrUnknownKey)
			})
		}
	})
	t.Run("once for an id that the backend never had", func(t *testing.T) {
		pairBubble(t, a, ab, func(t *testing.T, at *sites, s *Set) {
			mustKey(t, s, "a", public(0))
			mustKey(t, s, "b", public(1))
			mustKey(t, s, "b", public(1))
			at.public.want(t, 1)
			mustFail(t, s, "x", ErrUnknownKey)
			at.public.want(t, 2)
			for range 5 {
				time.Sleep(unknownInterval)
				mustFail(t, s, "x", ErrUnknownKey) // both were fetched for it
			}
			at.public.want(t, 2)
		})
	})
	t.Run("both fail", func(t *testing.T) {
		pairBubble(t, a, a, func(t *testing.T, at *sites, s *Set) {
			first := errors.New("first")
			at.backend.fail(first)
			at.public.fail(errors.New("second"))
			_, err := s.Key(t.Context(), "a")
			if !errors.Is(err, first) {
				t.Errorf("%v, want the backend's error", err)
			}
		})
	})
}

// TestHangingPublicSetDelaysNoRequest: a request for a key that the backend has does not
// wait for the other source.
func TestHangingPublicSetDelaysNoRequest(t *testing.T) {
	a := keysOf{"a": public(0)}
	pairBubble(t, a, a, func(t *testing.T, at *sites, s *Set) {
		at.public.stop(true)
		proof := make(chan error)
		go func() { proof <- s.Prove(t.Context()) }()
		synctest.Wait()
		before := time.Now()
		mustKey(t, s, "a", public(0))
		if took := time.Since(before); took != 50*time.Millisecond {
			t.Errorf("it took %v, want the backend's 50 ms", took)
		}
		if err := <-proof; err == nil || errors.Is(err, ErrForeign) {
			t.Errorf("proof: %v", err)
		}
	})
	pairBubble(t, a, a, func(t *testing.T, at *sites, s *Set) {
		if err := s.Prove(t.Context()); err != nil {
			t.Fatal(err)
		}
		at.public.stop(true)
		for i, most := range []time.Duration{fetchTimeout, 50 * time.Millisecond, 50 * time.Millisecond} {
			time.Sleep(ttl)
			before := time.Now()
			mustKey(t, s, "a", public(0)) // known
			if took := time.Since(before); took > patience {
				t.Errorf("a known key took %v", took)
			}
			time.Sleep(ttl)
			before = time.Now()
			kid := fmt.Sprint("rotated", i)
			at.backend.serve(keysOf{"a": public(0), kid: public(1)})
			mustKey(t, s, kid, public(1))
			if took := time.Since(before); took > most {
				t.Errorf("a rotated key took %v", took)
			}
			time.Sleep(fetchTimeout)
		}
	})
}

// TestProofWaitsForOneFetch: Prove, called during a fetch that does not compare the
// sources, waits no longer than one fetch may take.
func TestProofWaitsForOneFetch(t *testing.T) {
	a := keysOf{"a": public(0)}
	pairBubble(t, a, a, func(t *testing.T, at *sites, s *Set) {
		mustKey(t, s, "a", public(0))
		at.public.stop(true)
		unknown := make(chan error)
		go func() {
			_, err := s.Key(t.Context(), "made up")
			unknown <- err
		}()
		time.Sleep(time.Second)
		before := time.Now()
		var away *UnavailableError
		if err := s.Prove(t.Context()); !errors.As(err, &away) || !away.Public {
			t.Errorf("proof: %v", err)
		}
		if took := time.Since(before); took > fetchTimeout {
			t.Errorf("it took %v", took)
		}
		<-unknown
		time.Sleep(fetchTimeout) // the proof's own fetch ends
	})
}

// TestKeyRotatedWhileTheOtherSourceHangs: a fetch whose first source was read before
// a token arrived does not decide about that token's key.
func TestKeyRotatedWhileTheOtherSourceHangs(t *testing.T) {
	pairBubble(t, keysOf{"a": public(0)}, keysOf{"a": public(0)}, func(t *testing.T, at *sites, s *Set) {
		mustKey(t, s, "a", public(0))
		at.public.stop(true)
		pending := make(chan error)
		go func() {
			_, err := s.Key(t.Context(), "made up")
			pending <- err
		}()
		time.Sleep(time.Second)
		at.backend.serve(keysOf{"a": public(0), "b": public(1)})
		mustKey(t, s, "b", public(1))
		if err := <-pending; !errors.Is(err, ErrUnknownKey) {
			t.Error(err)
		}
	})
}

// TestWithdrawnByEither: a key that one source has dropped is not taken from the
// other.
func TestWithdrawnByEither(t *testing.T) {
	ab := func() keysOf { return keysOf{"a": public(0), "b": public(1)} }
	b := func() keysOf { return keysOf{"b": public(1)} }
	t.Run("the backend", func(t *testing.T) {
		pairBubble(t, ab(), ab(), func(t *testing.T, at *sites, s *Set) {
			mustKey(t, s, "a", public(0))
			at.backend.serve(b())
			time.Sleep(ttl)
			mustFail(t, s, "a", ErrUnknownKey)
			at.backend.fail(errors.New("down"))
			time.Sleep(ttl)
			mustKey(t, s, "b", public(1)) // from the public set
			mustFail(t, s, "a", ErrUnknownKey)
			at.backend.fail(nil)
			at.backend.serve(ab()) // the source that dropped it has it again
			time.Sleep(ttl)
			mustKey(t, s, "a", public(0))
		})
	})
	t.Run("the public set", func(t *testing.T) {
		pairBubble(t, ab(), ab(), func(t *testing.T, at *sites, s *Set) {
			mustFail(t, s, "x", ErrUnknownKey) // both are read
			mustKey(t, s, "a", public(0))
			at.public.serve(b())
			time.Sleep(ttl)
			mustFail(t, s, "a", ErrUnknownKey)
			mustKey(t, s, "b", public(1))
		})
	})
	t.Run("replaced under its id", func(t *testing.T) {
		pairBubble(t, keysOf{"a": public(0)}, keysOf{"a": public(0)}, func(t *testing.T, at *sites, s *Set) {
			mustFail(t, s, "x", ErrUnknownKey)
			at.backend.serve(keysOf{"a": public(1)})
			time.Sleep(ttl)
			mustKey(t, s, "a", public(1))
			at.backend.fail(errors.New("down"))
			time.Sleep(ttl)
			mustKey(t, s, "a", public(1)) // not the old one that the public set still has
		})
	})
	t.Run("made unusable", func(t *testing.T) {
		pairBubble(t, keysOf{"b": public(1)}, ab(), func(t *testing.T, at *sites, s *Set) {
			at.backend.raw = `{"keys":[{"kty":"RSA","kid":"a","n":"AA","e":"AQAB","d":"AA"},` + string(body(b()))[len(`{"keys":[`):]
			mustKey(t, s, "b", public(1))
			mustFail(t, s, "a", ErrUnknownKey)
			at.public.want(t, 0)
			at.backend.fail(errors.New("down"))
			time.Sleep(ttl)
			mustFail(t, s, "a", ErrUnknownKey)
		})
	})
}

// TestKeyOfThePublicSetAlone: a key that only the public set has is refreshed like
// others.
func TestKeyOfThePublicSetAlone(t *testing.T) {
	a, ab := keysOf{"a": public(0)}, keysOf{"a": public(0), "b": public(1)}
	pairBubble(t, a, ab, func(t *testing.T, at *sites, s *Set) {
		mustKey(t, s, "b", public(1))
		at.public.serve(a)
		time.Sleep(ttl)
		mustFail(t, s, "b", ErrUnknownKey)
		at.public.serve(keysOf{"a": public(0), "c": public(2)})
		mustKey(t, s, "c", public(2))
		at.public.fail(errors.New("down"))
		for start := time.Now(); time.Since(start) < maxStale-time.Minute; time.Sleep(time.Minute) {
			mustKey(t, s, "c", public(2))
		}
		time.Sleep(time.Minute)
		if _, err := s.Key(t.Context(), "c"); err == nil {
			t.Error("it was used for longer than an hour after its source was read")
		}
		mustKey(t, s, "a", public(0))
	})
}

func TestSetsOfTwoInstances(t *testing.T) {
	ours, theirs := keysOf{"ins_a": public(0)}, keysOf{"ins_b": public(1)}
	for name, theirs := range map[string]keysOf{"other id": theirs, "same id, other modulus": {"ins_a": public(1)}, "other id, same modulus": {"ins_b": public(0)}} {
		t.Run(name, func(t *testing.T) {
			pairBubble(t, theirs, ours, func(t *testing.T, at *sites, s *Set) {
				if err := s.Prove(t.Context()); !errors.Is(err, ErrForeign) {
					t.Fatal(err)
				}
				mustKey(t, s, "ins_a", public(0))
				if _, ok := theirs["ins_b"]; ok {
					mustFail(t, s, "ins_b", ErrUnknownKey)
				}
				if at.told.Load() == 0 {
					t.Error("Foreign was not called")
				}
				backend := at.backend.fetches.Load()
				for range 1000 {
					if !s.Foreign(t.Context()) {
						t.Fatal("not called foreign")
					}
					if err := s.Prove(t.Context()); !errors.Is(err, ErrForeign) {
						t.Fatal(err)
					}
				}
				at.backend.want(t, backend)
				// Its set is not used in an outage either.
				at.public.fail(errors.New("down"))
				time.Sleep(maxStale)
				mustFail(t, s, "ins_b", nil)
				mustFail(t, s, "ins_a", nil)
			})
		})
	}
	t.Run("found out by a session", func(t *testing.T) {
		pairBubble(t, theirs, ours, func(t *testing.T, at *sites, s *Set) {
			mustKey(t, s, "ins_a", public(0))
			before := at.public.fetches.Load()
			if err := s.Prove(t.Context()); !errors.Is(err, ErrForeign) {
				t.Fatal(err)
			}
			at.public.want(t, before)
		})
	})
	t.Run("corrected", func(t *testing.T) {
		pairBubble(t, theirs, ours, func(t *testing.T, at *sites, s *Set) {
			if err := s.Prove(t.Context()); !errors.Is(err, ErrForeign) {
				t.Fatal(err)
			}
			at.backend.serve(ours)
			time.Sleep(refreshAfter)
			_ = s.Prove(t.Context()) // no session is required
			time.Sleep(time.Second)
			if err := s.Prove(t.Context()); err != nil {
				t.Fatal(err)
			}
		})
	})
}

// rotating returns a source whose keys change after a number of responses.
func rotating(answers ...keysOf) Source {
	var n atomic.Int64
	return func(context.Context) ([]byte, error) {
		i := min(int(n.Add(1)), len(answers))
		return body(answers[i-1]), nil
	}
}

func TestRotationIsNoOtherInstance(t *testing.T) {
	one, two, three := keysOf{"1": public(0)}, keysOf{"2": public(1)}, keysOf{"3": public(2)}
	for name, c := range map[string]struct {
		backend, public Source
		want            error
	}{
		"between both answers":        {rotating(one, two), rotating(two), nil},
		"one behind a cache":          {rotating(two), rotating(one, two), nil},
		"the backend had it earlier":  {rotating(one, two), rotating(one), nil},
		"the public set had it":       {rotating(one), rotating(one, three), nil},
		"never":                       {rotating(one, two), rotating(three), ErrForeign},
		"both afresh, and no answer":  {rotating(one), once(body(two)), nil},
		"a set without a key of use":  {constant(`{"keys":[{"kid":"1","kty":"EC"}]}`), rotating(two), nil},
		"the public set has none":     {rotating(one), constant(`{"keys":[{"kid":"1","kty":"EC"}]}`), nil},
		"an empty list is no verdict": {constant(`{"keys":[]}`), rotating(two), nil},
	} {
		s := New(Sources{Backend: c.backend, Public: c.public}, time.Now, quiet)
		_, _ = s.Key(t.Context(), "1")
		err := s.Prove(t.Context())
		if errors.Is(err, ErrForeign) != (c.want != nil) {
			t.Errorf("%s: %v", name, err)
		}
	}
}

func constant(text string) Source {
	return func(context.Context) ([]byte, error) { return []byte(text), nil }
}

// once returns a source that responds only once.
func once(text []byte) Source {
	var n atomic.Int64
	return func(context.Context) ([]byte, error) {
		if n.Add(1) > 1 {
			return nil, errors.New("down")
		}
		return text, nil
	}
}

func TestProofWithoutThePublicSet(t *testing.T) {
	a := keysOf{"a": public(0)}
	pairBubble(t, a, a, func(t *testing.T, at *sites, s *Set) {
		at.public.fail(errors.New("blocked"))
		fails := func() *UnavailableError {
			t.Helper()
			var away *UnavailableError
			if err := s.Prove(t.Context()); !errors.As(err, &away) || !away.Public || away.RetryAfter < time.Second {
				t.Fatalf("%v", err)
			}
			return away
		}
		fails()
		at.public.want(t, 1)
		for range 1000 {
			fails()
		}
		at.public.want(t, 1) // until it is time to try again
		if s.Foreign(t.Context()) {
			t.Error("called foreign without a comparison")
		}
		mustKey(t, s, "a", public(0))
		mustFail(t, s, "x", ErrUnknownKey) // by the backend's set
		fails()
		s.Witness("x")
		fails()
		s.Witness("a")
		before := time.Now()
		for range 1000 {
			if err := s.Prove(t.Context()); err != nil {
				t.Fatal(err)
			}
		}
		if time.Since(before) != 0 {
			t.Error("it waited")
		}
		// The public set, once available, decides.
		at.public.fail(nil)
		at.public.serve(keysOf{"z": public(2)})
		time.Sleep(maxBackoff)
		_ = s.Prove(t.Context())
		time.Sleep(time.Second)
		if err := s.Prove(t.Context()); !errors.Is(err, ErrForeign) {
			t.Errorf("%v", err)
		}
	})
}

// TestPublicSetComesBeforeAWitness: the public set decides if it is available.
func TestPublicSetComesBeforeAWitness(t *testing.T) {
	pairBubble(t, keysOf{"a": public(0)}, keysOf{"z": public(2)}, func(t *testing.T, at *sites, s *Set) {
		mustKey(t, s, "a", public(0))
		s.Witness("a")
		if err := s.Prove(t.Context()); !errors.Is(err, ErrForeign) {
			t.Errorf("%v", err)
		}
	})
}

func TestProofIsOneFetch(t *testing.T) {
	a := keysOf{"a": public(0)}
	for _, keys := range []keysOf{a, {"z": public(2)}} {
		pairBubble(t, a, keys, func(t *testing.T, at *sites, s *Set) {
			var all sync.WaitGroup
			for i := range 1000 {
				all.Go(func() {
					time.Sleep(time.Duration(i) * time.Millisecond)
					if err := s.Prove(t.Context()); (err != nil) != (keys["z"] != nil) {
						t.Error(err)
					}
				})
			}
			all.Wait()
			if b, p := at.backend.fetches.Load(), at.public.fetches.Load(); b > 2 || p > 2 {
				t.Errorf("%d and %d fetches", b, p)
			}
		})
	}
	pairBubble(t, a, a, func(t *testing.T, at *sites, s *Set) {
		at.backend.stop(true)
		ctx, cancel := context.WithTimeout(t.Context(), time.Second)
		defer cancel()
		before := time.Now()
		if err := s.Prove(ctx); !errors.Is(err, context.DeadlineExceeded) || time.Since(before) != time.Second {
			t.Errorf("%v after %v", err, time.Since(before))
		}
	})
}

func TestProofByAPinnedKey(t *testing.T) {
	for name, c := range map[string]struct {
		source Source
		err    error
		other  bool
	}{
		"held":        {source: rotating(keysOf{"a": public(1), "b": public(0)})},
		"not held":    {source: rotating(keysOf{"a": public(1)}), err: ErrForeign},
		"held then":   {source: rotating(keysOf{"a": public(0)}, keysOf{"a": public(1)})},
		"held afresh": {source: rotating(keysOf{"a": public(1)}, keysOf{"a": public(0)})},
		"unreachable": {source: func(context.Context) ([]byte, error) { return nil, errors.New("down") }, other: true},
	} {
		s := New(Sources{Backend: c.source, Pinned: public(0)}, time.Now, quiet)
		err := s.Prove(t.Context())
		var away *UnavailableError
		if c.other && (!errors.As(err, &away) || away.Public) || !c.other && !errors.Is(err, c.err) {
			t.Errorf("%s: %v", name, err)
		}
	}
}

func TestNothingToCompare(t *testing.T) {
	for name, from := range map[string]Sources{"backend alone": {Backend: constant("")}, "public alone": {Public: constant("")}, "none": {Pinned: public(0)}} {
		if err := New(from, time.Now, quiet).Prove(t.Context()); err != nil {
			t.Errorf("%s: %v", name, err)
		}
	}
}

// TestPointersOfUnchangedKeysStay: an unchanged key keeps its pointer over
// refreshes, and from one source to the other.
func TestPointersOfUnchangedKeysStay(t *testing.T) {
	a := keysOf{"a": public(0)}
	pairBubble(t, a, a, func(t *testing.T, at *sites, s *Set) {
		first, err := s.Key(t.Context(), "a")
		if err != nil {
			t.Fatal(err)
		}
		for i := range 10 {
			at.backend.fail(map[bool]error{true: errors.New("down")}[i%2 == 1])
			time.Sleep(ttl)
			if key, err := s.Key(t.Context(), "a"); err != nil || key != first {
				t.Errorf("%v, %v", key, err)
			}
		}
	})
}

func TestHistoryIsBounded(t *testing.T) {
	o := &sourceState{}
	for i := range 3 * maxHistory / 100 {
		o.keys = keysOf{}
		for j := range 100 {
			o.keys[fmt.Sprint(i, "-", j)] = public(0)
		}
		o.remember(nil)
	}
	if len(o.pastIDs) > maxHistory+100 || len(o.pastKeys) > maxHistory+100 {
		t.Errorf("%d ids, %d keys", len(o.pastIDs), len(o.pastKeys))
	}
}
