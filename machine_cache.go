package clerkauth

import (
	"context"
	"time"
)

// MachineCache is a cache for the results of verifying opaque credentials that all
// replicas of a program share; see [MachineConfig.Cache]. It may lose entries at any time,
// and while it fails, credentials are verified with Clerk. It must be safe for concurrent
// use.
//
// Keys are digests (HMAC-SHA-256), never credentials. Values are authenticated with a key
// derived from the secret key, so that write access to the store does not allow anyone to
// make up an identity, and programs with different secret keys may share one store. They
// are not encrypted: subjects, scopes and claims of credentials can be read there.
//
// A revocation may go unnoticed for [MachineConfig.CacheTTL], plus the difference between
// the clocks of the replicas.
type MachineCache interface {
	// Get returns the value that was stored under key, or nil if there is none. Stored
	// values have at most 64 KiB; of a longer one Get need not read the rest. Get and Put
	// should return when ctx ends, after 50 milliseconds. Slower calls count as failures,
	// and after several failures neither is called for 5 seconds.
	Get(ctx context.Context, key string) ([]byte, error)
	// Put stores value under key for at most the duration keep.
	Put(ctx context.Context, key string, value []byte, keep time.Duration) error
}
