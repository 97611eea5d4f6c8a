package redis

import (
	"context"
	"errors"
	"fmt"
	"time"

	goredis "github.com/redis/go-redis/v9"
)

const defaultMachinePrefix = "clerkauth:machine:"

// MachineOptions says how a MachineCache works. The zero value is fine.
type MachineOptions struct {
	// Prefix begins every key. Empty means "clerkauth:machine:". Programs with
	// different secret keys may share one.
	Prefix string
}

// MachineCache is a [clerkauth.MachineCache] in Redis: what one process was told
// about an opaque machine credential, the others need not ask. Redis sees digests
// of credentials, never one of them, and who can write to it cannot make up an
// identity. It may forget anything at any time: an eviction policy such as
// allkeys-lru is fine.
type MachineCache struct {
	client goredis.UniversalClient
	prefix string
}

// NewMachineCache returns a MachineCache that works through client, which remains
// the caller's to close. Set ContextTimeoutEnabled in its options: without it,
// go-redis waits for a server that hangs for longer than anybody waits for the
// answer.
func NewMachineCache(client goredis.UniversalClient, o MachineOptions) (*MachineCache, error) {
	if client == nil {
		return nil, fmt.Errorf("redis: options: %w", errNoClient)
	}
	if o.Prefix == "" {
		o.Prefix = defaultMachinePrefix
	}
	return &MachineCache{client, o.Prefix}, nil
}

var errNoClient = errors.New("there is no client")

// maxValue is how long a value is that a MachineCache is given, at most.
const maxValue = 64 << 10

// Get implements [clerkauth.MachineCache]. It reads no more of a value than one of
// ours may have.
func (c *MachineCache) Get(ctx context.Context, key string) ([]byte, error) {
	value, err := c.client.GetRange(ctx, c.prefix+key, 0, maxValue-1).Bytes()
	if err != nil || len(value) == 0 {
		return nil, err // Redis has no range of what it does not have
	}
	return value, nil
}

// Put implements [clerkauth.MachineCache].
func (c *MachineCache) Put(ctx context.Context, key string, value []byte, keep time.Duration) error {
	// Redis takes 0 for ever, and a millisecond is the least it keeps.
	if keep < time.Millisecond {
		return nil
	}
	return c.client.Set(ctx, c.prefix+key, value, keep).Err()
}
