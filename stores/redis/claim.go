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

// claim is the right to handle a delivery. The value of its key is the claim's token
// while the delivery is in flight and "done" when it was handled, followed by the
// endpoint's fingerprints.
type claim struct {
	*Deliveries
	key, token string
	until      time.Time // when the handler's context ends, unless the lease is renewed
}

const done = "done"

// value returns a value for the key: word, followed by the endpoint's fingerprints.
func (c *claim) value(word string) string {
	return strings.Join(append([]string{word}, c.endpoint...), " ")
}

// stateOf returns the error for a key whose value is held, not this claim's.
func (c *claim) stateOf(held string) error {
	fields := strings.Fields(held)
	if len(fields) > 1 && len(c.endpoint) > 0 && !slices.ContainsFunc(fields[1:], func(f string) bool { return slices.Contains(c.endpoint, f) }) {
		return clerkauth.ErrOtherEndpoint
	}
	if len(fields) > 0 && fields[0] == done {
		return clerkauth.ErrHandled
	}
	return clerkauth.ErrInFlight
}

// takeScript makes or renews the claim. It also makes a claim again that Redis lost, so
// the handler can continue. It is idempotent, so the client may retry a command whose
// response was lost. Renewing an existing claim needs no memory, so it works when the
// memory is full.
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
		return c.stateOf(held)
	}
	// The last tenth of the lease is the time that a handler has to notice that its
	// context ended before another handler begins.
	c.until = began.Add(c.lease - c.lease/10)
	return nil
}

// run calls handle and renews the claim while it runs.
func (c *claim) run(ctx context.Context, handle func(context.Context) error) error {
	settle := context.WithoutCancel(ctx)
	ctx, end := context.WithCancelCause(ctx)
	defer end(nil)
	over := time.AfterFunc(time.Until(c.until), func() { end(ErrLeaseLost) })
	defer over.Stop()
	// The response may have arrived, or this process resumed, after the lease.
	if !time.Now().Before(c.until) {
		return errLate
	}
	var renewing sync.WaitGroup
	stop := make(chan struct{})
	// A renewal after the release would make an abandoned claim.
	defer renewing.Wait()
	defer close(stop)
	renewing.Go(func() { c.renew(settle, stop, over, end) })

	err := handle(ctx)
	if err != nil && errors.Is(context.Cause(ctx), ErrLeaseLost) {
		return fmt.Errorf("%w: %w", ErrLeaseLost, err)
	}
	return err
}

// renew renews the claim until stop is closed, and calls end when it is lost. If
// renewals fail, over ends the handler's context before the lease does.
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
		// After other errors Redis may become available before the lease ends.
	}
}

// doneScript marks the delivery handled, unless another claim exists. When its memory
// is full, Redis rejects a command that needs memory, but not in a script that has
// already written: so DEL comes first, and frees what SET needs.
var doneScript = goredis.NewScript(`
local held = redis.call('GET', KEYS[1])
if held and held ~= ARGV[1] then return held end
redis.call('DEL', KEYS[1])
redis.call('SET', KEYS[1], ARGV[2], 'PX', ARGV[3])
return ARGV[2]`)

// done marks the delivery handled. It retries while Redis is unavailable or rejects the
// write, because the delivery would be handled again otherwise.
func (c *claim) done(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(ctx, max(rememberTime, time.Until(c.until)))
	defer cancel()
	for pause := 20 * time.Millisecond; ; pause = min(2*pause, time.Second) {
		held, err := doneScript.Run(ctx, c.client, []string{c.key}, c.value(c.token), c.value(done), c.remember.Milliseconds()).Text()
		switch {
		case err == nil && errors.Is(c.stateOf(held), clerkauth.ErrHandled):
			return nil // marked by this claim or by another
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

// release deletes the claim. If that fails, the claim expires with its lease.
func (c *claim) release(ctx context.Context) {
	ctx, cancel := context.WithTimeout(ctx, releaseTime)
	defer cancel()
	_ = releaseScript.Run(ctx, c.client, []string{c.key}, c.value(c.token)).Err()
}
