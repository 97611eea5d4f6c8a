package clerkauth

import (
	"context"
	"crypto/hmac"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"time"

	"github.com/clerkauth/clerkauth/internal/introspect"
)

// MachineCache keeps what Clerk said about opaque credentials where all replicas
// of a program find it, so that one of them asks for all; see
// [Config.MachineCache]. It is a cache: it may lose anything at any time, and when
// it fails, Clerk is asked.
//
// Keys are digests (HMAC-SHA-256), never credentials. Values are authenticated
// with the secret key that was asked with, so that who can write to the store
// cannot make up an identity, and programs with different keys may share one. They
// are not encrypted: whom a credential is for, its scopes and its claims can be read
// there.
//
// A revocation is seen as late as [Config.MachineTTL] says, and by as much later as
// the clocks of replicas differ.
type MachineCache interface {
	// Get returns the value that was put there under key, nil if there is none. It
	// and Put should return when ctx ends; they are not waited for longer.
	Get(ctx context.Context, key string) ([]byte, error)
	// Put keeps value under key, for that long at most.
	Put(ctx context.Context, key string, value []byte, keep time.Duration) error
}

// seal is a key, derived from a secret key, for digests of credentials and for
// what is kept under them.
type seal []byte

func newSeal(secret Secret) seal {
	// Hashed first: a key of HMAC has at least 112 bits in FIPS mode.
	key := sha256.Sum256([]byte(secret.reveal()))
	return mac(key[:], "clerkauth machine credentials, version 2")
}

func (s seal) digest(credential string) introspect.Key {
	return introspect.Key(mac(s, "credential", []byte(credential)))
}

// sign returns what authenticates value under key.
func (s seal) sign(key introspect.Key, value []byte) []byte {
	return mac(s, "value", key[:], value)
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

// sharedTimeout bounds a question to the shared cache: Clerk is asked after it.
const sharedTimeout = 250 * time.Millisecond

// sharedCache is a [MachineCache] that is not trusted.
type sharedCache struct {
	store   MachineCache
	notices *notices
	now     func() time.Time
	places  chan struct{} // of those who use the store
}

// sharedPlaces is how many questions there are at a time to the store. With all of
// them taken by a store that hangs, Clerk is asked at once.
const sharedPlaces = 512

// sharedValue is what is kept.
type sharedValue struct {
	Asked   time.Time `json:"asked"`
	Machine machine   `json:"machine"`
}

// get returns what is known about a credential of that type, and when it was asked
// for; nil if nothing is.
func (c *sharedCache) get(ctx context.Context, by seal, key introspect.Key, kind TokenType) (m *machine, asked time.Time) {
	sealed, err := c.try(ctx, func(ctx context.Context) ([]byte, error) {
		return c.store.Get(ctx, hex.EncodeToString(key[:]))
	})
	if err != nil || len(sealed) < sha256.Size || len(sealed) > maxAnswer {
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

// put keeps what Clerk said until it may no longer be repeated.
func (c *sharedCache) put(ctx context.Context, by seal, key introspect.Key, m *machine, asked, until time.Time) {
	if c == nil {
		return
	}
	value, err := json.Marshal(sharedValue{asked, *m})
	if err != nil || len(value) > maxAnswer-sha256.Size {
		return // claims are what Clerk wrote; others fit
	}
	_, _ = c.try(ctx, func(ctx context.Context) ([]byte, error) {
		return nil, c.store.Put(ctx, hex.EncodeToString(key[:]), append(by.sign(key, value), value...), until.Sub(c.now()))
	})
}

var errStoreBusy = errors.New("too much is asked of it, or it does not end when its context does")

// try uses the store, and waits no longer for it than sharedTimeout, whether it
// heeds its context or not. That it fails, or panics, is told.
func (c *sharedCache) try(ctx context.Context, use func(context.Context) ([]byte, error)) ([]byte, error) {
	ctx, cancel := context.WithTimeout(ctx, sharedTimeout)
	defer cancel()
	type result struct {
		value []byte
		err   error
	}
	done := make(chan result, 1)
	select {
	case c.places <- struct{}{}:
		go func() {
			r := result{err: errors.New("it panicked")}
			defer func() {
				if p := recover(); p != nil {
					r.err = fmt.Errorf("it panicked with a %T", p)
				}
				<-c.places
				done <- r
			}()
			r.value, r.err = use(ctx)
		}()
	default:
		done <- result{err: errStoreBusy}
	}
	var r result
	select {
	case r = <-done:
	case <-ctx.Done():
		r.err = ctx.Err()
	}
	if r.err != nil {
		c.failed(r.err)
		return nil, r.err
	}
	return r.value, nil
}

// failed tells that the store failed.
func (c *sharedCache) failed(err error) {
	c.notices.tell(noticeMachineCache, slog.LevelWarn, "the shared cache of machine credentials failed; Clerk is asked instead", "error", err)
}
