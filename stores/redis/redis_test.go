package redis

import (
	"context"
	"errors"
	"os"
	"runtime"
	"strings"
	"sync"
	"testing"
	"time"

	goredis "github.com/redis/go-redis/v9"
	"github.com/redis/go-redis/v9/logging"

	"github.com/clerkauth/clerkauth"
	"github.com/clerkauth/clerkauth/deliveriestest"
	"github.com/clerkauth/clerkauth/internal/storetest"
)

func TestMain(m *testing.M) {
	logging.Disable() // it would tell of every server that is away
	status := storetest.Main(m, func(_ context.Context, address string, lease time.Duration) (storetest.Store, error) {
		client := connect(address)
		store, err := NewDeliveries(client, Options{Lease: lease})
		return storetest.Store{Deliveries: store, Close: func() { _ = client.Close() }}, err
	})
	if running != nil {
		running.Close()
	}
	os.Exit(status)
}

func connect(socket string) *goredis.Client {
	return goredis.NewClient(&goredis.Options{Network: "unix", Addr: socket, DialerRetries: 1})
}

var running *storetest.Server

// server returns the Redis that all tests share, after it has been started.
func server(t *testing.T) *storetest.Server {
	t.Helper()
	if running == nil {
		s, err := storetest.NewRedis(func(ctx context.Context, socket string) error {
			client := connect(socket)
			defer client.Close()
			return client.Ping(ctx).Err()
		})
		if err != nil {
			t.Fatal(err)
		}
		running = s
	}
	return running
}

// newStore returns a Deliveries with a client of its own. What it keeps is gone after the
// test.
func newStore(t *testing.T, o Options) *Deliveries {
	t.Helper()
	client := connect(server(t).Socket())
	t.Cleanup(func() {
		_ = client.Close()
		other := connect(server(t).Socket())
		defer other.Close()
		if err := other.FlushAll(context.WithoutCancel(t.Context())).Err(); err != nil {
			t.Error(err)
		}
	})
	s, err := NewDeliveries(client, o)
	if err != nil {
		t.Fatal(err)
	}
	return s
}

func TestDeliveries(t *testing.T) {
	open := func(t *testing.T) clerkauth.Deliveries { return newStore(t, Options{}) }
	deliveriestest.Run(t, open,
		deliveriestest.Peer(func(t *testing.T, _ clerkauth.Deliveries) clerkauth.Deliveries { return open(t) }),
		deliveriestest.Crash(func(t *testing.T, store clerkauth.Deliveries, id string) {
			s := store.(*Deliveries)
			c := claim{Deliveries: s, key: s.prefix + id, token: "of a process that died"}
			if err := c.take(t.Context()); err != nil {
				t.Fatal(err)
			}
		}, func(t *testing.T, store clerkauth.Deliveries, id string) {
			s := store.(*Deliveries)
			if left := s.client.PTTL(t.Context(), s.prefix+id).Val(); left <= 50*time.Second || left > time.Minute {
				t.Errorf("the lease runs out in %v", left)
			}
			pass(t, s, s.prefix+id, time.Minute)
		}),
		deliveriestest.Later(func(t *testing.T, store clerkauth.Deliveries, d time.Duration) {
			s := store.(*Deliveries)
			for _, key := range s.client.Keys(t.Context(), s.prefix+"*").Val() {
				pass(t, s, key, d)
			}
		}),
		deliveriestest.Outage(func(t *testing.T, _ clerkauth.Deliveries) func() {
			server(t).Crash()
			return func() {
				if err := server(t).Start(); err != nil {
					t.Fatal(err)
				}
			}
		}))
}

// pass has key grow older.
func pass(t *testing.T, s *Deliveries, key string, d time.Duration) {
	t.Helper()
	left := s.client.PTTL(t.Context(), key).Val()
	if err := s.client.PExpire(t.Context(), key, left-d).Err(); err != nil {
		t.Fatal(err)
	}
}

func TestOptions(t *testing.T) {
	client := goredis.NewClient(&goredis.Options{})
	defer client.Close()
	for _, o := range []Options{{}, {Prefix: "x"}, {Lease: time.Second}, {Remember: 36 * time.Hour}} {
		if s, err := NewDeliveries(client, o); s == nil || err != nil {
			t.Errorf("%+v: %v", o, err)
		}
	}
	if _, err := NewDeliveries(nil, Options{Lease: -1, Remember: 35 * time.Hour}); err == nil ||
		!strings.Contains(err.Error(), "client") || !strings.Contains(err.Error(), "lease") || !strings.Contains(err.Error(), "remember") {
		t.Errorf("error = %v", err)
	}
}

func TestPrefixesAreApart(t *testing.T) {
	one, other := newStore(t, Options{Prefix: "one:"}), newStore(t, Options{Prefix: "other:"})
	for _, s := range []*Deliveries{one, other} {
		if err := s.Once(t.Context(), "msg_1", func(context.Context) error { return nil }); err != nil {
			t.Errorf("%s%v", s.prefix, err)
		}
		if left := s.client.TTL(t.Context(), s.prefix+"msg_1").Val(); left < 7*24*time.Hour-time.Minute || left > 7*24*time.Hour {
			t.Errorf("it is remembered for %v", left)
		}
	}
}

// eventually waits until holds does.
func eventually(t *testing.T, what string, holds func() bool) {
	t.Helper()
	for deadline := time.Now().Add(20 * time.Second); !holds(); time.Sleep(5 * time.Millisecond) {
		if time.Now().After(deadline) {
			t.Fatal("not within 20 seconds: " + what)
		}
	}
}

func TestClaimIsRenewed(t *testing.T) {
	s := newStore(t, Options{Prefix: t.Name(), Lease: 3 * time.Second})
	renewals := 0
	err := s.Once(t.Context(), "", func(ctx context.Context) error {
		last := time.Hour
		eventually(t, "the claim is renewed", func() bool {
			left := s.client.PTTL(ctx, t.Name()).Val()
			if left > last {
				renewals++
			}
			last = left
			return renewals >= 4
		})
		return ctx.Err()
	})
	if err != nil {
		t.Error(err)
	}
	buf := make([]byte, 1<<20)
	if stacks := string(buf[:runtime.Stack(buf, true)]); strings.Contains(stacks, ").renew") {
		t.Error("the claim is being renewed after Once returned")
	}
}

func TestClaimLostToAnother(t *testing.T) {
	s := newStore(t, Options{Prefix: t.Name(), Lease: time.Second})
	for _, other := range []string{"of another", "done"} {
		for _, heeds := range []bool{true, false} {
			err := s.Once(t.Context(), "", func(ctx context.Context) error {
				s.client.Set(t.Context(), t.Name(), other, time.Minute)
				select {
				case <-ctx.Done():
				case <-time.After(20 * time.Second):
					t.Error("the handler is not told")
				}
				if cause := context.Cause(ctx); !errors.Is(cause, ErrLeaseLost) {
					t.Errorf("cause = %v", cause)
				}
				if heeds {
					return ctx.Err()
				}
				return nil
			})
			switch {
			case heeds && (!errors.Is(err, ErrLeaseLost) || !errors.Is(err, context.Canceled)),
				!heeds && other != "done" && !errors.Is(err, ErrLeaseLost),
				!heeds && other == "done" && err != nil: // both handled it, and it is known
				t.Errorf("%s, heeds: %t: error = %v", other, heeds, err)
			}
			if held := s.client.Get(t.Context(), t.Name()).Val(); held != other {
				t.Errorf("%s, heeds: %t: the other's claim is now %q", other, heeds, held)
			}
			s.client.Del(t.Context(), t.Name())
		}
	}
}

func TestForgottenClaimIsMadeAgain(t *testing.T) {
	s := newStore(t, Options{Prefix: t.Name(), Lease: 3 * time.Second})
	err := s.Once(t.Context(), "", func(ctx context.Context) error {
		s.client.FlushAll(ctx)
		s.client.ScriptFlush(ctx)
		eventually(t, "the claim is there again", func() bool { return s.client.Exists(ctx, t.Name()).Val() == 1 })
		return ctx.Err()
	})
	if held := s.client.Get(t.Context(), t.Name()).Val(); err != nil || held != "done" {
		t.Error(err, held)
	}
}

// TestClaimRunsOutWhileRedisIsAway looks at a handler that nobody can vouch for any
// more: it has to stop before another may begin.
func TestClaimRunsOutWhileRedisIsAway(t *testing.T) {
	s := newStore(t, Options{Prefix: t.Name(), Lease: time.Second})
	err := s.Once(t.Context(), "", func(ctx context.Context) error {
		server(t).Crash()
		select {
		case <-ctx.Done():
		case <-time.After(20 * time.Second):
			t.Error("the handler is not told")
		}
		if err := server(t).Start(); err != nil {
			t.Error(err)
		}
		return context.Cause(ctx)
	})
	if !errors.Is(err, ErrLeaseLost) {
		t.Error(err)
	}
	ran := false
	eventually(t, "the next copy is handled", func() bool {
		return s.Once(t.Context(), "", func(context.Context) error { ran = true; return nil }) == nil
	})
	if !ran {
		t.Error("the next copy was not handled")
	}
}

func TestHandledWhileRedisIsAway(t *testing.T) {
	s := newStore(t, Options{Prefix: t.Name()})
	var back sync.WaitGroup
	err := s.Once(t.Context(), "", func(context.Context) error {
		server(t).Crash()
		back.Go(func() {
			time.Sleep(300 * time.Millisecond) // while Once tries to remember
			if err := server(t).Start(); err != nil {
				t.Error(err)
			}
		})
		return nil
	})
	back.Wait()
	if err != nil {
		t.Error(err)
	}
	if err := s.Once(t.Context(), "", func(context.Context) error { return nil }); !errors.Is(err, clerkauth.ErrHandled) {
		t.Error(err)
	}
}

func TestClosedClientIsNotWaitedFor(t *testing.T) {
	s := newStore(t, Options{Prefix: t.Name()})
	began := time.Now()
	err := s.Once(t.Context(), "", func(context.Context) error { return s.client.Close() })
	if !errors.Is(err, goredis.ErrClosed) || time.Since(began) > 20*time.Second {
		t.Errorf("after %v: %v", time.Since(began), err)
	}
	if err := s.Once(t.Context(), "", func(context.Context) error { t.Error("called"); return nil }); !errors.Is(err, goredis.ErrClosed) {
		t.Error(err)
	}
}

func TestCopiesFromTwoProcesses(t *testing.T) {
	storetest.Copies(t, server(t).Socket(), 1000)
}

// TestKill kills processes in the middle of deliveries. Those that ended just
// before Redis knew are handled again: the store cannot know, and says so.
func TestKill(t *testing.T) {
	deliveries, kills := 20, 5
	if storetest.Full() {
		deliveries, kills = 300, 200
	}
	storetest.Kill(t, server(t).Socket(), 3*time.Second, deliveries, kills)
}

func TestOutage(t *testing.T) {
	deliveries, outages := 50, 2
	if storetest.Full() {
		deliveries, outages = 1000, 20
	}
	// A claim that Redis wrote down, but had no time to answer, is in the way of the
	// delivery until its lease is over.
	const lease = 5 * time.Second
	if _, again := storetest.Outage(t, server(t), server(t).Socket(), lease, deliveries, outages); again != 0 {
		t.Errorf("%d handlers ran again after they had ended", again)
	}
}
