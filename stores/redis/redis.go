// Package redis is for programs that run as more than one process: [Store]
// remembers in Redis which webhook deliveries were handled, and [MachineCache] what
// Clerk said about machine credentials.
//
//	store, err := redis.New(client, redis.Options{})
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
package redis

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
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
	// settleTime is how long releasing a claim may take, and remembering at least.
	settleTime = 5 * time.Second
)

// ErrLeaseLost says that the claim of a running handler ran out, because Redis
// was away for too long or forgot it, and that another process may have begun to
// handle the delivery. It ends the handler's context, as its cause.
var ErrLeaseLost = errors.New("redis: the claim to the delivery was lost")

// Options says how a Store works. The zero value is fine for one endpoint.
type Options struct {
	// Prefix begins every key. Svix gives a message the same id at every
	// endpoint that it is sent to, so two endpoints that share a Redis need two
	// prefixes. Empty means "clerkauth:delivery:".
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

// Store is a [clerkauth.Deliveries] in Redis.
type Store struct {
	client          goredis.UniversalClient
	prefix          string
	lease, remember time.Duration
}

// New returns a Store that works through client, which remains the caller's to
// close, after the last delivery. Do not give it a Ring: that looks in another
// place when a server is away, and finds nothing there.
func New(client goredis.UniversalClient, o Options) (*Store, error) {
	s := &Store{client: client, prefix: o.Prefix, lease: o.Lease, remember: o.Remember}
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

// Once implements [clerkauth.Deliveries].
func (s *Store) Once(ctx context.Context, id string, handle func(context.Context) error) error {
	c := &claim{Store: s, key: s.prefix + id, token: rand.Text()}
	if err := c.take(ctx); err != nil {
		return err
	}
	// Whatever becomes of ctx, the claim is kept, and released or made good.
	settle := context.WithoutCancel(ctx)
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

// claim is the right to handle a delivery. Its key holds its token while it is
// held, and "done" when the delivery was handled.
type claim struct {
	*Store
	key, token string
	until      time.Time // when the handler has to stop, unless the lease is renewed
}

// takeScript makes the claim or renews it. That a claim of ours which Redis forgot
// is made again lets a handler survive the loss, and makes it safe that the client
// repeats a command whose answer it missed.
var takeScript = goredis.NewScript(`
local held = redis.call('GET', KEYS[1])
if held and held ~= ARGV[1] then return held end
redis.call('SET', KEYS[1], ARGV[1], 'PX', ARGV[2])
return ARGV[1]`)

func (c *claim) take(ctx context.Context) error {
	began := time.Now()
	held, err := takeScript.Run(ctx, c.client, []string{c.key}, c.token, c.lease.Milliseconds()).Text()
	switch {
	case err != nil:
		return fmt.Errorf("redis: claim a delivery: %w", err)
	case held == "done":
		return clerkauth.ErrHandled
	case held != c.token:
		return clerkauth.ErrInFlight
	}
	// A tenth of the lease is left for the handler to notice that its context ended
	// before another begins.
	c.until = began.Add(c.lease - c.lease/10)
	return nil
}

// run calls handle, and renews the claim meanwhile.
func (c *claim) run(ctx context.Context, handle func(context.Context) error) error {
	var renewing sync.WaitGroup
	stop := make(chan struct{})
	settle := context.WithoutCancel(ctx)
	ctx, end := context.WithCancelCause(ctx)
	defer end(nil)
	// A renewal that came after the release would be a claim that nobody holds.
	defer renewing.Wait()
	defer close(stop)
	renewing.Go(func() { c.renew(settle, stop, end) })

	err := handle(ctx)
	if err != nil && errors.Is(context.Cause(ctx), ErrLeaseLost) {
		return fmt.Errorf("%w: %w", ErrLeaseLost, err)
	}
	return err
}

// renew renews the claim until stop is closed, and calls end when it is lost or
// nobody can tell any more.
func (c *claim) renew(ctx context.Context, stop <-chan struct{}, end context.CancelCauseFunc) {
	over := time.AfterFunc(time.Until(c.until), func() { end(ErrLeaseLost) })
	defer over.Stop()
	tick := time.NewTicker(c.lease / 3)
	defer tick.Stop()
	for {
		select {
		case <-stop:
			return
		case <-tick.C:
		}
		switch err := c.take(ctx); {
		case err == nil:
			over.Reset(time.Until(c.until))
		case errors.Is(err, clerkauth.ErrHandled), errors.Is(err, clerkauth.ErrInFlight):
			end(ErrLeaseLost)
			return
		}
		// Otherwise Redis is away, and may be back before the lease is over.
	}
}

// doneScript remembers that the delivery was handled, unless somebody else is
// handling it.
var doneScript = goredis.NewScript(`
local held = redis.call('GET', KEYS[1])
if held and held ~= ARGV[1] and held ~= 'done' then return 0 end
redis.call('SET', KEYS[1], 'done', 'PX', ARGV[2])
return 1`)

// done makes the claim good. While Redis is away it tries again until the lease is
// over, because what was handled and is not remembered is handled again.
func (c *claim) done(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(ctx, max(settleTime, time.Until(c.until)))
	defer cancel()
	for pause := 20 * time.Millisecond; ; pause = min(2*pause, time.Second) {
		kept, err := doneScript.Run(ctx, c.client, []string{c.key}, c.token, c.remember.Milliseconds()).Bool()
		switch {
		case err == nil && kept:
			return nil
		case err == nil:
			return ErrLeaseLost
		case errors.Is(err, goredis.ErrClosed):
			return fmt.Errorf("redis: remember a delivery: %w", err)
		}
		select {
		case <-time.After(pause):
		case <-ctx.Done():
			return fmt.Errorf("redis: remember a delivery: %w", err)
		}
	}
}

var releaseScript = goredis.NewScript(`
if redis.call('GET', KEYS[1]) == ARGV[1] then return redis.call('DEL', KEYS[1]) end
return 0`)

// release gives the claim back. Where that fails it runs out by itself.
func (c *claim) release(ctx context.Context) {
	ctx, cancel := context.WithTimeout(ctx, settleTime)
	defer cancel()
	_ = releaseScript.Run(ctx, c.client, []string{c.key}, c.token).Err()
}
