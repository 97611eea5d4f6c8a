package clerkauth

import (
	"context"
	"crypto/hmac"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"hash"
	"log/slog"
	"sync"
	"time"

	"github.com/clerkauth/clerkauth/internal/introspect"
)

// MachineCache keeps what Clerk said about opaque credentials where all replicas
// of a program find it, so that one of them asks for all; see
// [MachineConfig.Cache]. It is a cache: it may lose anything at any time, and when
// it fails, Clerk is asked.
//
// Keys are digests (HMAC-SHA-256), never credentials. Values are authenticated
// with the secret key that was asked with, so that who can write to the store
// cannot make up an identity, and programs with different keys may share one. They
// are not encrypted: whom a credential is for, its scopes and its claims can be read
// there.
//
// A revocation is seen as late as [MachineConfig.CacheTTL] says, and by as much later as
// the clocks of replicas differ.
type MachineCache interface {
	// Get returns the value that was put there under key, nil if there is none. No
	// value that was put there is longer than 64 KiB: of one that is, Get need not read
	// more. It and Put should return when ctx ends, after 50 milliseconds; they are
	// not waited for longer, and after some failures not used for 5 seconds.
	Get(ctx context.Context, key string) ([]byte, error)
	// Put keeps value under key, for that long at most.
	Put(ctx context.Context, key string, value []byte, keep time.Duration) error
}

// seal is a key, derived from a secret key, for digests of credentials and for
// what is kept under them.
type seal struct {
	key   []byte
	ready sync.Pool // of *digester: states of HMAC with that key
}

// digester digests credentials, one at a time.
type digester struct {
	mac   hash.Hash
	input []byte
	sum   introspect.Key
}

func newSeal(secret Secret) *seal {
	// Hashed first: a key of HMAC has at least 112 bits in FIPS mode.
	hashed := sha256.Sum256([]byte(secret.reveal()))
	s := &seal{key: mac(hashed[:], "clerkauth machine credentials, version 2")}
	s.ready.New = func() any { return &digester{mac: hmac.New(sha256.New, s.key)} }
	return s
}

// digest is mac of a credential.
func (s *seal) digest(credential string) introspect.Key {
	d, _ := s.ready.Get().(*digester)
	d.input = append(append(d.input[:0], "credential\x00"...), credential...)
	d.mac.Reset()
	d.mac.Write(d.input)
	d.mac.Sum(d.sum[:0])
	key := d.sum
	clear(d.input)
	s.ready.Put(d)
	return key
}

// sign returns what authenticates value under key.
func (s *seal) sign(key introspect.Key, value []byte) []byte {
	return mac(s.key, "value", key[:], value)
}

// mac is HMAC-SHA-256 of a purpose and what it is for.
func mac(key []byte, purpose string, parts ...[]byte) []byte {
	h := hmac.New(sha256.New, key)
	h.Write([]byte(purpose))
	h.Write([]byte{0})
	for _, part := range parts {
		h.Write(part)
	}
	return h.Sum(nil)
}

const (
	// sharedTimeout bounds one use of the shared cache: Clerk is asked after it.
	sharedTimeout = 50 * time.Millisecond
	// sharedPlaces is how many uses there are at a time. Those beyond it do without.
	sharedPlaces = 256
	// sharedFailures is after how many failures, and sharedPause for how long, the cache
	// is passed by. It takes sharedSuccesses to make up for one: so many share the 50
	// milliseconds that a failure may take.
	sharedFailures  = 5
	sharedSuccesses = 10
	sharedPause     = 5 * time.Second
)

// sharedCache is a [MachineCache] that is neither trusted nor relied upon: whatever
// it does, Clerk is asked instead. While it fails it is passed by: nobody waits for
// it, and one use at a time finds out whether it works again.
type sharedCache struct {
	store   MachineCache
	notices *notices
	now     func() time.Time
	places  chan struct{}

	mu      sync.Mutex
	failed  int       // sharedSuccesses for each failure, less one for each success
	resting time.Time // it is passed by until then, and after it but for probes
	probing bool
}

func newSharedCache(store MachineCache, n *notices, now func() time.Time) *sharedCache {
	return &sharedCache{store: store, notices: n, now: now, places: make(chan struct{}, sharedPlaces)}
}

// sharedValue is what is kept.
type sharedValue struct {
	Asked   time.Time `json:"asked"`
	Machine machine   `json:"machine"`
}

// get returns what is known about a credential of that type, and when it was asked
// for; nil if nothing is.
func (c *sharedCache) get(by *seal, key introspect.Key, kind TokenType) (m *machine, asked time.Time) {
	sealed := c.read(hex.EncodeToString(key[:]))
	if len(sealed) < sha256.Size || len(sealed) > maxAnswer {
		return nil, time.Time{}
	}
	signature, value := sealed[:sha256.Size], sealed[sha256.Size:]
	var v sharedValue
	if !hmac.Equal(signature, by.sign(key, value)) || json.Unmarshal(value, &v) != nil || v.Machine.Type != kind {
		return nil, time.Time{}
	}
	if v.Asked.After(c.now()) {
		return nil, time.Time{} // by another clock; how old it is cannot be told
	}
	return &v.Machine, v.Asked
}

// read returns what the store has under key, and waits for it unless it is passed by.
func (c *sharedCache) read(key string) []byte {
	var value []byte // not to be touched before done says that Get is
	done := c.use(func(ctx context.Context) (err error) {
		value, err = c.store.Get(ctx, key)
		return err
	})
	if done == nil || <-done != nil {
		return nil
	}
	return value
}

// put keeps what Clerk said until it may no longer be repeated. Nobody waits for it.
func (c *sharedCache) put(by *seal, key introspect.Key, m *machine, asked, until time.Time) {
	if c == nil {
		return
	}
	value, err := json.Marshal(sharedValue{asked, *m})
	if err != nil || len(value) > maxAnswer-sha256.Size {
		return // claims are what Clerk wrote; others fit
	}
	c.use(func(ctx context.Context) error {
		return c.store.Put(ctx, hex.EncodeToString(key[:]), append(by.sign(key, value), value...), until.Sub(c.now()))
	})
}

// use calls do in its own time, and returns a channel on which comes what became of
// it, after sharedTimeout at the latest, whether do heeds its context or not. It
// returns nil if there is nothing to wait for: the store is passed by, or too much is
// asked of it, or this use finds out whether it works again.
func (c *sharedCache) use(do func(context.Context) error) <-chan error {
	passed, probe := c.passed()
	if passed {
		return nil
	}
	select {
	case c.places <- struct{}{}:
	default:
		c.probed(probe)
		return nil
	}
	done := make(chan error, 1)
	end := func(err error) {
		c.note(err, probe)
		done <- err
	}
	ctx, cancel := context.WithTimeout(context.Background(), sharedTimeout)
	timer := time.AfterFunc(sharedTimeout, func() { end(context.DeadlineExceeded) })
	go func() {
		err := errors.New("it panicked")
		defer func() {
			if p := recover(); p != nil {
				err = fmt.Errorf("it panicked with a %T", p)
			}
			cancel()
			<-c.places
			if timer.Stop() {
				end(err)
			}
			c.probed(probe)
		}()
		err = do(ctx)
	}()
	if probe {
		return nil
	}
	return done
}

// passed reports whether the store is passed by, and if not, whether the use that
// asks is a probe, which ends with probed.
func (c *sharedCache) passed() (passed, probe bool) {
	c.mu.Lock()
	defer c.mu.Unlock()
	switch {
	case c.resting.IsZero():
		return false, false
	case c.probing || time.Now().Before(c.resting):
		return true, false
	default:
		c.probing = true
		return false, true
	}
}

func (c *sharedCache) probed(probe bool) {
	if probe {
		c.mu.Lock()
		c.probing = false
		c.mu.Unlock()
	}
}

// note counts failures, less successes, and tells of them. Only a probe ends a rest.
func (c *sharedCache) note(err error, probe bool) {
	c.mu.Lock()
	switch {
	case err == nil && probe:
		c.failed, c.resting = 0, time.Time{}
	case err == nil:
		c.failed = max(c.failed-1, 0)
	default:
		c.failed = min(c.failed+sharedSuccesses, sharedFailures*sharedSuccesses)
		if c.failed == sharedFailures*sharedSuccesses {
			c.resting = time.Now().Add(sharedPause)
		}
	}
	c.mu.Unlock()
	if err != nil {
		c.notices.tell(noticeMachineCache, slog.LevelWarn, "the shared cache of machine credentials failed; Clerk is asked instead", "error", err)
	}
}
