// Package redis is for programs that run as more than one process: [Deliveries]
// remembers in Redis which webhook deliveries were handled, and [MachineCache] what
// Clerk said about machine credentials.
//
//	store, err := redis.NewDeliveries(client, redis.Options{})
//	…
//	hooks, err := clerkauth.NewWebhook(clerkauth.WebhookConfig{Secrets: secrets, Deliveries: store})
//
// A delivery is handled by one process at a time, and once, unless the process
// dies between its handler's end and the moment when Redis knows of it: write
// handlers that bear a second run, or use package postgres, which knows no such
// moment.
//
// What Redis forgets is handled again if it comes again: set maxmemory-policy to
// noeviction and turn the append-only file on. A crash of Redis forgets up to two
// seconds nevertheless, unless appendfsync is set to always, and a failover to a
// replica may forget the last moments in any case.
//
// While Redis takes no new keys, because its memory is full, it cannot save to disk
// or the connection leads to a replica, deliveries are answered with 503 before any
// handler is called. A handler that runs when the memory becomes full is remembered
// nevertheless. What Redis refuses for other reasons is tried again until it is
// remembered, somebody else claims the delivery, or 10 minutes have passed: only
// then, or if the process ends before, a delivery may be handled a second time.
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
	// defaultRemember covers what somebody sends again by hand after an endpoint
	// was away for days. Svix itself stops after 28 hours.
	defaultRemember = 7 * 24 * time.Hour
	minRemember     = 36 * time.Hour
	// releaseTime is how long releasing a claim may take.
	releaseTime = 5 * time.Second
	// rememberTime is for how long remembering is tried. While Redis takes no writes,
	// nobody else can claim the delivery either.
	rememberTime = 10 * time.Minute
)

// Options says how a Deliveries works. The zero value is fine for one endpoint.
type Options struct {
	// Prefix begins every key. Svix gives a message the same id at every
	// endpoint that it is sent to, so two endpoints that share a Redis need two
	// prefixes: with one, the second is refused with clerkauth.ErrOtherEndpoint.
	// Defaults to "clerkauth:delivery:".
	Prefix string

	// Lease is how long a claim that nobody holds any more keeps the delivery from
	// being handled: that of a process that died, or that Redis made while the
	// connection broke. That of a running handler is renewed. Zero means a minute;
	// less than a second is an error.
	Lease time.Duration

	// Remember is how long it is known that a delivery was handled. Zero means 7
	// days; less than 36 hours is an error, since Svix sends for 28.
	Remember time.Duration
}

// Deliveries is a [clerkauth.EndpointDeliveries] in Redis. It is safe for concurrent use.
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

// start reports whether id was not running.
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

// NewDeliveries returns a Deliveries that works through client, which remains the caller's to
// close, after the last delivery. Do not give it a Ring: that looks in another
// place when a server is away, and finds nothing there.
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
		wrong = append(wrong, fmt.Errorf("a lease of %v is shorter than %v", s.lease, minLease))
	}
	if s.remember < minRemember {
		wrong = append(wrong, fmt.Errorf("to remember for %v is shorter than %v", s.remember, minRemember))
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
	// While a claim is being made good its key may be gone: this process still knows.
	if s.running.has(id) {
		return clerkauth.ErrInFlight
	}
	c := &claim{Deliveries: s, key: s.prefix + id, token: rand.Text()}
	if err := c.take(ctx); err != nil {
		return err
	}
	// Whatever becomes of ctx, the claim is kept, and released or made good.
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
