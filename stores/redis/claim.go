package redis

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"sync"
	"time"

	goredis "github.com/redis/go-redis/v9"

	"github.com/clerkauth/clerkauth"
)

// claim is the right to handle a delivery. Its key holds its token while it is
// held, and "done" when the delivery was handled; either is followed by the
// fingerprints of the endpoint.
type claim struct {
	*Deliveries
	key, token string
	until      time.Time // when the handler has to stop, unless the lease is renewed
}

const done = "done"

// value returns what the key holds: word and the endpoint.
func (c *claim) value(word string) string {
	return strings.Join(append([]string{word}, c.endpoint...), " ")
}

// judge returns what a key that is not this claim's says of the delivery.
func (c *claim) judge(held string) error {
	fields := strings.Fields(held)
	if len(fields) > 1 && len(c.endpoint) > 0 && !slices.ContainsFunc(fields[1:], func(f string) bool { return slices.Contains(c.endpoint, f) }) {
		return clerkauth.ErrOtherEndpoint
	}
	if len(fields) > 0 && fields[0] == done {
		return clerkauth.ErrHandled
	}
	return clerkauth.ErrInFlight
}

// takeScript makes the claim or renews it. That a claim of ours which Redis forgot
// is made again lets a handler survive the loss, and makes it safe that the client
// repeats a command whose answer it missed. A claim that is there is renewed when the
// memory is full, too: that needs none.
var takeScript = goredis.NewScript(`
local held = redis.call('GET', KEYS[1])
if held and held ~= ARGV[1] then return held end
if held then
	redis.call('PEXPIRE', KEYS[1], ARGV[2])
else
	redis.call('SET', KEYS[1], ARGV[1], 'PX', ARGV[2])
end
return ARGV[1]`)

func (c *claim) take(ctx context.Context) error {
	began := time.Now()
	value := c.value(c.token)
	held, err := takeScript.Run(ctx, c.client, []string{c.key}, value, c.lease.Milliseconds()).Text()
	switch {
	case err != nil:
		return failure("claim a delivery", err)
	case held != value:
		return c.judge(held)
	}
	// A tenth of the lease is left for the handler to notice that its context ended
	// before another begins.
	c.until = began.Add(c.lease - c.lease/10)
	return nil
}

// run calls handle, and renews the claim meanwhile.
func (c *claim) run(ctx context.Context, handle func(context.Context) error) error {
	settle := context.WithoutCancel(ctx)
	ctx, end := context.WithCancelCause(ctx)
	defer end(nil)
	over := time.AfterFunc(time.Until(c.until), func() { end(ErrLeaseLost) })
	defer over.Stop()
	// The answer may have come, or this process gone on, after the lease.
	if !time.Now().Before(c.until) {
		return errLate
	}
	var renewing sync.WaitGroup
	stop := make(chan struct{})
	// A renewal that came after the release would be a claim that nobody holds.
	defer renewing.Wait()
	defer close(stop)
	renewing.Go(func() { c.renew(settle, stop, over, end) })

	err := handle(ctx)
	if err != nil && errors.Is(context.Cause(ctx), ErrLeaseLost) {
		return fmt.Errorf("%w: %w", ErrLeaseLost, err)
	}
	return err
}

// renew renews the claim until stop is closed, and calls end when it is lost. When
// nobody can tell any more, over ends the handler's context.
func (c *claim) renew(ctx context.Context, stop <-chan struct{}, over *time.Timer, end context.CancelCauseFunc) {
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
		case errors.Is(err, clerkauth.ErrHandled), errors.Is(err, clerkauth.ErrInFlight), errors.Is(err, clerkauth.ErrOtherEndpoint):
			end(ErrLeaseLost)
			return
		}
		// Otherwise Redis is away, and may be back before the lease is over.
	}
}

// doneScript remembers that the delivery was handled, unless somebody else is
// handling it. Redis refuses commands that need memory when it has none left, but lets
// a script go on that has written before: what DEL gives back is what SET needs.
var doneScript = goredis.NewScript(`
local held = redis.call('GET', KEYS[1])
if held and held ~= ARGV[1] then return held end
redis.call('DEL', KEYS[1])
redis.call('SET', KEYS[1], ARGV[2], 'PX', ARGV[3])
return ARGV[2]`)

// done makes the claim good. While Redis is away or refuses it tries again, because
// what was handled and is not remembered is handled again.
func (c *claim) done(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(ctx, max(rememberTime, time.Until(c.until)))
	defer cancel()
	for pause := 20 * time.Millisecond; ; pause = min(2*pause, time.Second) {
		held, err := doneScript.Run(ctx, c.client, []string{c.key}, c.value(c.token), c.value(done), c.remember.Milliseconds()).Text()
		switch {
		case err == nil && errors.Is(c.judge(held), clerkauth.ErrHandled):
			return nil // by whomever it was remembered
		case err == nil:
			return ErrLeaseLost
		case errors.Is(err, goredis.ErrClosed):
			return failure("remember a delivery", err)
		}
		select {
		case <-time.After(pause):
		case <-ctx.Done():
			return failure("remember a delivery", err)
		}
	}
}

var releaseScript = goredis.NewScript(`
if redis.call('GET', KEYS[1]) == ARGV[1] then return redis.call('DEL', KEYS[1]) end
return 0`)

// release gives the claim back. Where that fails it runs out by itself.
func (c *claim) release(ctx context.Context) {
	ctx, cancel := context.WithTimeout(ctx, releaseTime)
	defer cancel()
	_ = releaseScript.Run(ctx, c.client, []string{c.key}, c.value(c.token)).Err()
}
