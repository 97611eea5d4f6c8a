package introspect

import (
	"context"
	"crypto/hmac"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"hash"
	"sync"
	"time"
)

// Keys makes the keys under which the results for credentials are cached, and
// authenticates the values under them. It is safe for concurrent use.
type Keys struct {
	key  []byte    // of HMAC, derived from a secret key
	pool sync.Pool // of *digester
}

// digester is a state of HMAC and its buffers, for one credential at a time.
type digester struct {
	mac   hash.Hash
	input []byte
	sum   Key
}

// NewKeys returns Keys that are derived from a secret key.
func NewKeys(secret string) *Keys {
	// Hashed first, because FIPS mode requires keys of HMAC to have 112 bits.
	hashed := sha256.Sum256([]byte(secret))
	k := &Keys{key: mac(hashed[:], "clerkauth machine credentials, version 3")}
	k.pool.New = func() any { return &digester{mac: hmac.New(sha256.New, k.key)} }
	return k
}

// Digest returns the key for a credential. It is mac with the purpose "credential",
// without its allocations.
func (k *Keys) Digest(credential string) Key {
	d, _ := k.pool.Get().(*digester)
	d.input = append(append(d.input[:0], "credential\x00"...), credential...)
	d.mac.Reset()
	d.mac.Write(d.input)
	d.mac.Sum(d.sum[:0])
	key := d.sum
	clear(d.input)
	k.pool.Put(d)
	return key
}

// sign returns the authenticator of value under key.
func (k *Keys) sign(key Key, value []byte) []byte {
	return mac(k.key, "value", key[:], value)
}

// mac returns the HMAC-SHA-256 of a purpose and the parts after it.
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
	// sharedTimeout bounds one call to the shared cache, which delays the call to Clerk.
	sharedTimeout = 50 * time.Millisecond
	// sharedCalls bounds the calls at a time. Calls beyond it are not made.
	sharedCalls = 256
	// After sharedFailures failures the cache is bypassed for sharedPause. It takes
	// sharedSuccesses successes to make up for a failure, so that at most one call in
	// that many takes the 50 milliseconds of a failure.
	sharedFailures  = 5
	sharedSuccesses = 10
	sharedPause     = 5 * time.Second
	// maxShared is the size of the largest value in the store.
	maxShared = 64 << 10
)

// Store is a cache that several programs share.
type Store interface {
	Get(ctx context.Context, key string) ([]byte, error)
	Put(ctx context.Context, key string, value []byte, keep time.Duration) error
}

// Shared caches the results of calls in a Store that is not trusted and may fail: the
// call is made then. After several failures the store is bypassed: no request waits for
// it, and one call at a time probes whether it works again. A nil *Shared stores
// nothing.
type Shared[T any] struct {
	store    Store
	onFailed func(error)
	now      func() time.Time
	calls    chan struct{} // a semaphore

	mu       sync.Mutex
	failed   int       // sharedSuccesses for each failure, less one for each success
	bypassed time.Time // until then, and after it but for probes; zero if it works
	probing  bool
}

// NewShared returns a Shared that reports the failures of its store to onFailed.
func NewShared[T any](store Store, now func() time.Time, onFailed func(error)) *Shared[T] {
	return &Shared[T]{store: store, onFailed: onFailed, now: now, calls: make(chan struct{}, sharedCalls)}
}

// sharedValue is a value in the cache, before it is signed.
type sharedValue[T any] struct {
	Began  time.Time `json:"began"` // when the call began
	Result T         `json:"result"`
}

// Get returns the cached result under key and when the call for it began; ok is false if
// there is none.
func (c *Shared[T]) Get(by *Keys, key Key) (result T, began time.Time, ok bool) {
	signed := c.read(hex.EncodeToString(key[:]))
	if len(signed) < sha256.Size || len(signed) > maxShared {
		return result, time.Time{}, false
	}
	signature, value := signed[:sha256.Size], signed[sha256.Size:]
	var v sharedValue[T]
	if !hmac.Equal(signature, by.sign(key, value)) || json.Unmarshal(value, &v) != nil {
		return result, time.Time{}, false
	}
	if v.Began.After(c.now()) {
		return result, time.Time{}, false // by another clock, so its age is unknown
	}
	return v.Result, v.Began, true
}

// read returns the value under key, and waits for it unless the cache is bypassed.
func (c *Shared[T]) read(key string) []byte {
	var value []byte // not read before Get has returned
	done := c.use(func(ctx context.Context) (err error) {
		value, err = c.store.Get(ctx, key)
		return err
	})
	if done == nil || <-done != nil {
		return nil
	}
	return value
}

// Put stores a result until it expires. It does not wait for the store.
func (c *Shared[T]) Put(by *Keys, key Key, result T, began, until time.Time) {
	if c == nil {
		return
	}
	value, err := json.Marshal(sharedValue[T]{began, result})
	if err != nil || len(value) > maxShared-sha256.Size {
		return // its custom claims are too long
	}
	c.use(func(ctx context.Context) error {
		return c.store.Put(ctx, hex.EncodeToString(key[:]), append(by.sign(key, value), value...), until.Sub(c.now()))
	})
}

// use calls do in a goroutine of its own. It returns a channel that receives its error
// within sharedTimeout, even if do ignores its context; or nil if the caller is not to
// wait, because the cache is bypassed, has too many calls, or is being probed.
func (c *Shared[T]) use(do func(context.Context) error) <-chan error {
	bypass, probe := c.state()
	if bypass {
		return nil
	}
	select {
	case c.calls <- struct{}{}:
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
			<-c.calls
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

// state reports whether the cache is bypassed, and if not, whether this call is a probe,
// which ends with probed.
func (c *Shared[T]) state() (bypass, probe bool) {
	c.mu.Lock()
	defer c.mu.Unlock()
	switch {
	case c.bypassed.IsZero():
		return false, false
	case c.probing || time.Now().Before(c.bypassed):
		return true, false
	default:
		c.probing = true
		return false, true
	}
}

func (c *Shared[T]) probed(probe bool) {
	if probe {
		c.mu.Lock()
		c.probing = false
		c.mu.Unlock()
	}
}

// note counts and reports failures. While the cache is bypassed, only a probe that succeeds
// ends that.
func (c *Shared[T]) note(err error, probe bool) {
	c.mu.Lock()
	switch {
	case err == nil && probe:
		c.failed, c.bypassed = 0, time.Time{}
	case err == nil:
		c.failed = max(c.failed-1, 0)
	default:
		c.failed = min(c.failed+sharedSuccesses, sharedFailures*sharedSuccesses)
		if c.failed == sharedFailures*sharedSuccesses {
			c.bypassed = time.Now().Add(sharedPause)
		}
	}
	c.mu.Unlock()
	if err != nil {
		c.onFailed(err)
	}
}
