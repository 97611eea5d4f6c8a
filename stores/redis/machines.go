package redis

import (
	"context"
	"errors"
	"fmt"
	"time"

	goredis "github.com/redis/go-redis/v9"
)

const defaultMachinePrefix = "clerkauth:machine:"

// MachineOptions configures a MachineCache. The zero value is valid.
type MachineOptions struct {
	// Prefix begins every key. Programs with different secret keys may share one.
	// Defaults to "clerkauth:machine:".
	Prefix string
}

// MachineCache is a [clerkauth.MachineCache] in Redis: it shares Clerk's verifications
// of opaque machine credentials between processes. Redis stores digests of credentials,
// never a credential, and writing to Redis is not enough to forge an identity. Redis
// may lose entries at any time, so an eviction policy such as allkeys-lru is suitable.
// Make a MachineCache with [NewMachineCache]. It is safe for concurrent use.
type MachineCache struct {
	client goredis.UniversalClient
	prefix string
}

// NewMachineCache returns a MachineCache that uses client, and an error if client is
// nil. It does not close client. Set ContextTimeoutEnabled in the client's options:
// without it, go-redis waits for an unresponsive server for longer than the library
// waits for Get and Put.
func NewMachineCache(client goredis.UniversalClient, o MachineOptions) (*MachineCache, error) {
	if client == nil {
		return nil, fmt.Errorf("redis: options: %w", errNoClient)
	}
	if o.Prefix == "" {
		o.Prefix = defaultMachinePrefix
	}
	return &MachineCache{client, o.Prefix}, nil
}

var errNoClient = errors.New("the client is nil")

// maxValue is the maximum length of a value, as documented at clerkauth.MachineCache.
const maxValue = 64 << 10

// Get implements [clerkauth.MachineCache]. It reads at most 64 KiB of a value.
func (c *MachineCache) Get(ctx context.Context, key string) ([]byte, error) {
	value, err := c.client.GetRange(ctx, c.prefix+key, 0, maxValue-1).Bytes()
	if err != nil || len(value) == 0 {
		return nil, err // Redis returns an empty range for a key that does not exist
	}
	return value, nil
}

// Put implements [clerkauth.MachineCache].
func (c *MachineCache) Put(ctx context.Context, key string, value []byte, keep time.Duration) error {
	// An expiry of 0 would keep the value forever, and a millisecond is the shortest.
	if keep < time.Millisecond {
		return nil
	}
	return c.client.Set(ctx, c.prefix+key, value, keep).Err()
}
