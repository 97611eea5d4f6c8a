// Package redis shares state between the processes of a program through Redis:
// [Deliveries] stores which webhook deliveries were handled, and [MachineCache] caches
// Clerk's verifications of machine credentials.
//
//	store, err := redis.NewDeliveries(client, redis.Options{})
//	…
//	hooks, err := clerkauth.NewWebhook(clerkauth.WebhookConfig{Secrets: secrets, Deliveries: store})
//
// A delivery is handled by one process at a time, and once, unless the process dies
// after its handler has returned and before Redis has stored that. Handlers must
// therefore be idempotent. Package postgres has no such window.
//
// A delivery whose key Redis loses is handled again if Svix redelivers it: set
// maxmemory-policy to noeviction and turn on the append-only file. Even so, a crash of
// Redis loses up to two seconds of writes unless appendfsync is always, and a failover
// to a replica may lose the last ones in any case.
//
// While Redis accepts no new keys, because its memory is full, it cannot save to disk
// or the connection leads to a replica, deliveries get 503 before any handler is called.
// If the memory becomes full while a handler runs, the delivery is remembered
// nevertheless. Writes that Redis rejects for other reasons are retried until they
// succeed, another process claims the delivery, or 10 minutes have passed. Only after
// that, or if the process ends before, may the delivery be handled a second time.
package redis

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"slices"
	"sync"
	"time"

	goredis "github.com/redis/go-redis/v9"

	"github.com/clerkauth/clerkauth"
)

const (
	defaultPrefix = "clerkauth:delivery:"
	defaultLease  = time.Minute
	minLease      = time.Second
	// defaultRemember covers deliveries that are replayed by hand after an endpoint was
	// down for days. Svix itself retries for 28 hours.
	defaultRemember = 7 * 24 * time.Hour
	minRemember     = 36 * time.Hour
	// releaseTime bounds releasing a claim.
	releaseTime = 5 * time.Second
	// rememberTime is how long remembering is retried. While Redis accepts no writes, no
	// other process can claim the delivery either.
	rememberTime = 10 * time.Minute
)

// Options configures a Deliveries. The zero value is valid, for one endpoint.
type Options struct {
	// Prefix begins every key. Svix gives a message the same id at every endpoint that
	// it is sent to, so endpoints that share a Redis need a prefix each: with the same
	// one, the second endpoint's deliveries fail with clerkauth.ErrOtherEndpoint.
	// Defaults to "clerkauth:delivery:".
	Prefix string

	// Lease is how long an abandoned claim blocks a delivery: one of a process that
	// died, or one whose confirmation a broken connection lost. Claims of running
	// handlers are renewed. Defaults to a minute; the minimum is a second.
	Lease time.Duration

	// Remember is how long a handled delivery is remembered. Defaults to 7 days; the
	// minimum is 36 hours, since Svix retries for 28.
	Remember time.Duration
}

// Deliveries is a [clerkauth.EndpointDeliveries] in Redis. Make it with
// [NewDeliveries]. It is safe for concurrent use.
type Deliveries struct {
	client          goredis.UniversalClient
	prefix          string
	lease, remember time.Duration
	endpoint        []string // fingerprints
	running         *flights
}

// flights are the deliveries that this process is handling.
type flights struct {
	mu  sync.Mutex
	ids map[string]bool
}

func (f *flights) has(id string) bool {
	f.mu.Lock()
	defer f.mu.Unlock()
	return f.ids[id]
}

// start adds id and reports whether it was absent.
func (f *flights) start(id string) bool {
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.ids[id] {
		return false
	}
	f.ids[id] = true
	return true
}

func (f *flights) end(id string) {
	f.mu.Lock()
	defer f.mu.Unlock()
	delete(f.ids, id)
}

// NewDeliveries returns a Deliveries that uses client, or every error in o joined in
// one. It does not close client, which must stay open until the last delivery has been
// handled. Client must not be a Ring: when a server is down, a Ring uses another one,
// which does not have the keys.
func NewDeliveries(client goredis.UniversalClient, o Options) (*Deliveries, error) {
	s := &Deliveries{client: client, prefix: o.Prefix, lease: o.Lease, remember: o.Remember, running: &flights{ids: make(map[string]bool)}}
	if s.prefix == "" {
		s.prefix = defaultPrefix
	}
	if s.lease == 0 {
		s.lease = defaultLease
	}
	if s.remember == 0 {
		s.remember = defaultRemember
	}
	var wrong []error
	if client == nil {
		wrong = append(wrong, errNoClient)
	}
	if s.lease < minLease {
		wrong = append(wrong, fmt.Errorf("invalid lease %v: the minimum is %v", s.lease, minLease))
	}
	if s.remember < minRemember {
		wrong = append(wrong, fmt.Errorf("invalid time to remember %v: the minimum is %v", s.remember, minRemember))
	}
	if err := errors.Join(wrong...); err != nil {
		return nil, fmt.Errorf("redis: options: %w", err)
	}
	return s, nil
}

// ForEndpoint implements [clerkauth.EndpointDeliveries].
func (s *Deliveries) ForEndpoint(fingerprints []string) clerkauth.Deliveries {
	own := *s
	own.endpoint = slices.Clone(fingerprints)
	return &own
}

// Once implements [clerkauth.Deliveries].
func (s *Deliveries) Once(ctx context.Context, id string, handle func(context.Context) error) error {
	// The key of a delivery that is being remembered may have expired. This process does
	// not handle such a delivery again.
	if s.running.has(id) {
		return clerkauth.ErrInFlight
	}
	c := &claim{Deliveries: s, key: s.prefix + id, token: rand.Text()}
	if err := c.take(ctx); err != nil {
		return err
	}
	// The claim is renewed, and released or fulfilled, even if ctx is done.
	settle := context.WithoutCancel(ctx)
	if !s.running.start(id) {
		c.release(settle)
		return clerkauth.ErrInFlight
	}
	defer s.running.end(id)
	handled := false
	defer func() {
		if !handled { // an error, a panic, or the end of the goroutine
			c.release(settle)
		}
	}()
	if err := c.run(ctx, handle); err != nil {
		return err
	}
	handled = true
	return c.done(settle)
}
