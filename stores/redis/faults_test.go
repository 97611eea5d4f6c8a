package redis

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"path/filepath"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	goredis "github.com/redis/go-redis/v9"

	"github.com/clerkauth/clerkauth"
	"github.com/clerkauth/clerkauth/clerkauthtest"
	"github.com/clerkauth/clerkauth/deliveriestest"
	"github.com/clerkauth/clerkauth/event"
	"github.com/clerkauth/clerkauth/internal/plain"
	"github.com/clerkauth/clerkauth/internal/storetest"
)

// proxied returns a store whose client reaches Redis through a proxy.
func proxied(t *testing.T, o Options) (*Deliveries, *storetest.Proxy) {
	t.Helper()
	path := filepath.Join(server(t).Dir, "proxy")
	proxy, err := storetest.NewProxy(path, server(t).Socket())
	if err != nil {
		t.Fatal(err)
	}
	// A client that waits for its answers.
	client := goredis.NewClient(&goredis.Options{Network: "unix", Addr: path, DialerRetries: 1, ReadTimeout: time.Minute, PoolSize: 200})
	t.Cleanup(func() { _ = client.Close(); proxy.Close() })
	s, err := NewDeliveries(client, o)
	if err != nil {
		t.Fatal(err)
	}
	return s, proxy
}

// TestDeliveriesUnderFaults is the part of the suite that needs a short lease.
func TestDeliveriesUnderFaults(t *testing.T) {
	const lease = time.Second
	proxies := map[clerkauth.Deliveries]*storetest.Proxy{}
	open := func(t *testing.T) clerkauth.Deliveries {
		newStore(t, Options{}) // which clears up
		s, proxy := proxied(t, Options{Lease: lease})
		proxies[s] = proxy
		return s
	}
	deliveriestest.Run(t, open, deliveriestest.Lease(lease), deliveriestest.Copies(20),
		deliveriestest.Peer(func(t *testing.T, _ clerkauth.Deliveries) clerkauth.Deliveries {
			return newStore(t, Options{Lease: lease})
		}),
		deliveriestest.Forget(func(t *testing.T, _ clerkauth.Deliveries, id string) {
			client := connect(server(t).Socket())
			defer client.Close()
			if err := client.Del(t.Context(), defaultPrefix+id).Err(); err != nil {
				t.Fatal(err)
			}
		}),
		deliveriestest.Delay(func(_ *testing.T, store clerkauth.Deliveries) func() { return proxies[store].Hold() }),
		deliveriestest.Outage(func(t *testing.T, _ clerkauth.Deliveries) func() {
			server(t).Crash()
			return func() {
				if err := server(t).Start(); err != nil {
					t.Fatal(err)
				}
			}
		}))
}

// TestFaultMemoryFull fills Redis while handlers run: each is called once, and
// remembered. With the full set handlers outlast the default lease.
func TestFaultMemoryFull(t *testing.T) {
	o, handler := Options{Lease: 2 * time.Second}, 3*time.Second
	if storetest.Full() {
		o, handler = Options{}, 70*time.Second
	}
	s := newStore(t, o)
	const handlers = 20
	full := func(is bool) {
		limit := "0"
		if is {
			limit = "1" // a byte
		}
		if err := s.client.Do(t.Context(), "CONFIG", "SET", "maxmemory", limit).Err(); err != nil {
			t.Error(err)
		}
	}
	defer full(false)
	of := s.ForEndpoint([]string{"0123456789abcdef", "fedcba9876543210"})
	var calls, stuck atomic.Int32
	var all, begun sync.WaitGroup
	begun.Add(handlers)
	for n := range handlers {
		all.Go(func() {
			id := fmt.Sprint("msg_", n)
			err := of.Once(t.Context(), id, func(ctx context.Context) error {
				calls.Add(1)
				begun.Done()
				select {
				case <-time.After(handler):
				case <-ctx.Done():
				}
				return context.Cause(ctx)
			})
			if err != nil {
				stuck.Add(1)
				t.Error(err)
			}
		})
	}
	begun.Wait()
	full(true)
	err := of.Once(t.Context(), "msg_new", func(context.Context) error { t.Error("handled without a claim"); return nil })
	if err == nil || !strings.Contains(err.Error(), "raise maxmemory") {
		t.Error(err)
	}
	relief := time.AfterFunc(handler+15*time.Second, func() {
		t.Error("what was handled is not remembered while Redis is full")
		full(false)
	})
	all.Wait()
	relief.Stop()
	lost := 0
	for again := range 2 {
		for n := range handlers {
			err := of.Once(t.Context(), fmt.Sprint("msg_", n), func(context.Context) error { calls.Add(1); return nil })
			if !errors.Is(err, clerkauth.ErrHandled) {
				t.Errorf("a copy while Redis is full: %t: %v", again == 0, err)
				lost++
			}
		}
		full(false)
	}
	t.Logf("memory full while %d handlers run for %v: lost %d, stuck %d, doubled %d", handlers, handler, lost, stuck.Load(), calls.Load()-handlers)
	if calls.Load() != handlers {
		t.Errorf("%d handlers were called %d times", handlers, calls.Load())
	}
}

// TestFaultRefusedWrites has Redis refuse writes when handlers end, as it does when it
// cannot save, for longer than the lease.
func TestFaultRefusedWrites(t *testing.T) {
	s := newStore(t, Options{Lease: time.Second})
	replica := func(of ...any) {
		if err := s.client.Do(t.Context(), append([]any{"REPLICAOF"}, of...)...).Err(); err != nil {
			t.Fatal(err)
		}
	}
	defer replica("NO", "ONE")
	calls := 0
	var healed sync.WaitGroup
	err := s.Once(t.Context(), "msg_refused", func(context.Context) error {
		calls++
		replica("127.0.0.1", "1") // of a server that is not there: read-only
		healed.Go(func() {
			time.Sleep(3 * time.Second)
			err := s.Once(t.Context(), "msg_refused", func(context.Context) error { t.Error("handled again"); return nil })
			if !errors.Is(err, clerkauth.ErrInFlight) {
				t.Errorf("a copy while it cannot be remembered: %v", err)
			}
			err = s.Once(t.Context(), "msg_other", func(context.Context) error { t.Error("handled without a claim"); return nil })
			if err == nil || !strings.Contains(err.Error(), "replica") {
				t.Error(err)
			}
			replica("NO", "ONE")
		})
		return nil
	})
	healed.Wait()
	if err != nil || calls != 1 {
		t.Errorf("%v, %d calls", err, calls)
	}
	if err := s.Once(t.Context(), "msg_refused", func(context.Context) error { return nil }); !errors.Is(err, clerkauth.ErrHandled) {
		t.Error(err)
	}
}

// TestFaultLateClaim has the answers to claims come after their leases, while another
// process handles the deliveries.
func TestFaultLateClaim(t *testing.T) {
	o := Options{Lease: time.Second}
	other := newStore(t, o)
	s, proxy := proxied(t, o)
	deliveries := 10
	if storetest.Full() {
		deliveries = 100
	}
	if err := s.Once(t.Context(), "msg_before", func(context.Context) error { return nil }); err != nil { // Redis knows the scripts
		t.Fatal(err)
	}
	var connected []*goredis.Conn // as many as there are deliveries, whose claims are sent then
	for range deliveries {
		conn := s.client.(*goredis.Client).Conn()
		if err := conn.Ping(t.Context()).Err(); err != nil {
			t.Fatal(err)
		}
		connected = append(connected, conn)
	}
	for _, conn := range connected {
		_ = conn.Close()
	}
	resume := proxy.Hold()
	var calls, late atomic.Int32
	var all sync.WaitGroup
	for n := range deliveries {
		all.Go(func() {
			err := s.Once(t.Context(), fmt.Sprint("msg_", n), func(context.Context) error { calls.Add(1); return nil })
			if errors.Is(err, ErrLeaseLost) {
				late.Add(1)
			} else if !errors.Is(err, clerkauth.ErrHandled) {
				t.Error(err)
			}
		})
	}
	stuck, deadline := 0, time.Now().Add(time.Minute)
	time.Sleep(o.Lease + o.Lease/2)
	for n := range deliveries {
		for done := false; !done; time.Sleep(10 * time.Millisecond) {
			err := other.Once(t.Context(), fmt.Sprint("msg_", n), func(context.Context) error { calls.Add(1); return nil })
			done = err == nil || errors.Is(err, clerkauth.ErrHandled)
			if time.Now().After(deadline) {
				t.Errorf("stuck: %v", err)
				stuck++
				break
			}
		}
	}
	resume()
	all.Wait()
	t.Logf("%d answers to claims after the lease (%d found so): lost 0, stuck %d, doubled %d", deliveries, late.Load(), stuck, int(calls.Load())-deliveries)
	if int(calls.Load()) != deliveries || int(late.Load()) != deliveries {
		t.Errorf("%d calls", calls.Load())
	}
}

// TestFaultSharedPrefix has two endpoints share a prefix.
func TestFaultSharedPrefix(t *testing.T) {
	s := newStore(t, Options{})
	var logged strings.Builder
	lost, told, calls := 0, 0, [2]int{}
	var endpoints [2]*clerkauth.Webhook
	var senders [2]*clerkauthtest.Server
	for n := range endpoints {
		senders[n] = clerkauthtest.NewServer(t, clerkauthtest.InMemory())
		c := senders[n].WebhookConfig()
		c.Deliveries, c.Now, c.Logger = s, nil, slog.New(slog.NewTextHandler(&logged, nil))
		w, err := clerkauth.NewWebhook(c)
		if err != nil {
			t.Fatal(err)
		}
		w.OnAny(func(context.Context, *event.Raw) error { calls[n]++; return nil })
		endpoints[n] = w
	}
	const deliveries = 50
	for range deliveries {
		first := senders[0].NewDelivery("user.updated", `{"id":"user_1"}`)
		second := senders[1].NewDelivery("user.updated", `{"id":"user_1"}`)
		second.ID = first.ID
		for n, d := range []*clerkauthtest.Delivery{first, second, first, second} {
			before := calls[n%2]
			w := httptest.NewRecorder()
			r := d.Request("https://app.example.com/hooks")
			endpoints[n%2].ServeHTTP(w, r)
			switch {
			case n%2 == 1 && w.Code == http.StatusNoContent && calls[1] == before:
				lost++
			case n%2 == 1 && w.Code == http.StatusServiceUnavailable:
				told++
			case w.Code != http.StatusNoContent:
				t.Error(w.Code)
			}
		}
	}
	t.Logf("two endpoints, one prefix, %d deliveries to each: lost %d, refused and told %d, doubled %d", deliveries, lost, told, calls[0]-deliveries)
	if lost != 0 || told != 2*deliveries || calls[0] != deliveries || !strings.Contains(logged.String(), "prefix of its own") {
		t.Errorf("calls %v; %s", calls, logged.String())
	}
}

func TestEndpointsAreToldApart(t *testing.T) {
	s := newStore(t, Options{})
	old, both, swapped := s.ForEndpoint([]string{"aa"}), s.ForEndpoint([]string{"aa", "bb"}), s.ForEndpoint([]string{"bb"})
	ask := func(d clerkauth.Deliveries, id string) error {
		return d.Once(t.Context(), id, func(context.Context) error { return nil })
	}
	for n, step := range []struct {
		store clerkauth.Deliveries
		id    string
		want  error
	}{
		{old, "1", nil}, {both, "1", clerkauth.ErrHandled}, {swapped, "1", clerkauth.ErrOtherEndpoint}, {s, "1", clerkauth.ErrHandled},
		{both, "2", nil}, {old, "2", clerkauth.ErrHandled}, {swapped, "2", clerkauth.ErrHandled}, {s.ForEndpoint([]string{"cc"}), "2", clerkauth.ErrOtherEndpoint},
		{s, "3", nil}, {old, "3", clerkauth.ErrHandled},
	} {
		if err := ask(step.store, step.id); !errors.Is(err, step.want) {
			t.Errorf("step %d: %v", n, err)
		}
	}
	err := old.Once(t.Context(), "4", func(context.Context) error {
		if err := ask(newStore(t, Options{}).ForEndpoint([]string{"bb"}), "4"); !errors.Is(err, clerkauth.ErrOtherEndpoint) {
			t.Error(err)
		}
		return nil
	})
	if err != nil {
		t.Error(err)
	}
}

// TestErrorsSayWhatToDo looks at what is logged of Redis's errors: the code and what
// to do, and nothing that Redis quotes.
func TestErrorsSayWhatToDo(t *testing.T) {
	s := newStore(t, Options{})
	ask := func(s *Deliveries, id string) string {
		return plain.Describe(s.Once(t.Context(), id, func(context.Context) error { t.Error("called"); return nil }))
	}
	if err := s.client.LPush(t.Context(), defaultPrefix+"msg_list", "x").Err(); err != nil {
		t.Fatal(err)
	}
	if err := s.client.Do(t.Context(), "ACL", "SETUSER", "poor", "on", "nopass", "+evalsha", "+eval", "+get", "~*").Err(); err != nil {
		t.Fatal(err)
	}
	defer s.client.Do(context.WithoutCancel(t.Context()), "ACL", "DELUSER", "poor")
	as := func(user, password string) *Deliveries {
		client := goredis.NewClient(&goredis.Options{Network: "unix", Addr: server(t).Socket(), Username: user, Password: password})
		t.Cleanup(func() { _ = client.Close() })
		other, err := NewDeliveries(client, Options{})
		if err != nil {
			t.Fatal(err)
		}
		return other
	}
	nowhere := goredis.NewClient(&goredis.Options{Network: "unix", Addr: "/nowhere", DialerRetries: 1})
	defer nowhere.Close()
	away, err := NewDeliveries(nowhere, Options{})
	if err != nil {
		t.Fatal(err)
	}
	for name, test := range map[string]struct {
		text string
		want []string
	}{
		"another's key": {ask(s, "msg_list"), []string{"Redis error WRONGTYPE", "another prefix"}},
		"no right":      {ask(as("poor", "x"), "msg_secret"), []string{"the user needs"}},
		"no user":       {ask(as("nobody", "secret"), "msg_secret"), []string{"Redis error WRONGPASS", "password"}},
		"away":          {ask(away, "msg_secret"), []string{"cannot be reached", "no such file"}},
		"read-only":     {plain.Describe(failure("x", goredis.ErrClosed)), []string{"redis: x"}},
	} {
		for _, want := range test.want {
			if !strings.Contains(test.text, want) {
				t.Errorf("%s: %q does not say %q", name, test.text, want)
			}
		}
		if strings.Contains(test.text, "secret") {
			t.Error(test.text)
		}
	}
}
