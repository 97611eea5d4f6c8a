package redis

import (
	"context"
	"io"
	"net"
	"net/http"
	"path/filepath"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	goredis "github.com/redis/go-redis/v9"

	"github.com/clerkauth/clerkauth"
	"github.com/clerkauth/clerkauth/clerkauthtest"
	"github.com/clerkauth/clerkauth/internal/storetest"
)

// slowClerk answers after 20 ms.
type slowClerk struct{ http.RoundTripper }

func (s slowClerk) RoundTrip(r *http.Request) (*http.Response, error) {
	time.Sleep(20 * time.Millisecond)
	return s.RoundTripper.RoundTrip(r)
}

// slowProxy is in front of a server, and holds back what comes from it for as long as
// delay says, in nanoseconds.
func slowProxy(t *testing.T, socket string, delay *atomic.Int64) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), "p")
	listener, err := net.Listen("unix", path)
	if err != nil {
		t.Fatal(err)
	}
	var open sync.WaitGroup
	t.Cleanup(func() { _ = listener.Close(); open.Wait() })
	open.Go(func() {
		for {
			client, err := listener.Accept()
			if err != nil {
				return
			}
			server, err := net.Dial("unix", socket)
			if err != nil {
				_ = client.Close()
				continue
			}
			open.Go(func() { _, _ = io.Copy(server, client); _ = server.Close() })
			open.Go(func() {
				defer client.Close()
				for buf := make([]byte, 64<<10); ; {
					n, err := server.Read(buf)
					if err != nil {
						return
					}
					time.Sleep(time.Duration(delay.Load()))
					if _, err := client.Write(buf[:n]); err != nil {
						return
					}
				}
			})
		}
	})
	return path
}

// TestOutageOfTheMachineCache: while Clerk is well, no good credential is refused for
// a Redis that is stopped, killed or slow, and few requests take longer for it.
func TestOutageOfTheMachineCache(t *testing.T) {
	const rate = 500 // with 1,500 keys
	lasts, drivers := 500*time.Millisecond, []bool{true}
	if storetest.Full() {
		lasts, drivers = 4*time.Second, []bool{true, false}
	}
	for _, c := range []struct {
		server      string
		begin, heal func(*storetest.Server, *atomic.Int64) error
	}{
		{"works", func(*storetest.Server, *atomic.Int64) error { return nil }, func(*storetest.Server, *atomic.Int64) error { return nil }},
		{
			"is stopped", func(s *storetest.Server, _ *atomic.Int64) error { s.Suspend(); return nil },
			func(s *storetest.Server, _ *atomic.Int64) error { s.Resume(); return nil },
		},
		{
			"is killed", func(s *storetest.Server, _ *atomic.Int64) error { s.Crash(); return nil },
			func(s *storetest.Server, _ *atomic.Int64) error { return s.Start() },
		},
		{
			"is slow", func(_ *storetest.Server, delay *atomic.Int64) error { delay.Store(int64(time.Second)); return nil },
			func(_ *storetest.Server, delay *atomic.Int64) error { delay.Store(0); return nil },
		},
	} {
		for _, heeds := range drivers {
			s, err := storetest.NewRedis(func(ctx context.Context, socket string) error {
				client := connect(socket)
				defer client.Close()
				return client.Ping(ctx).Err()
			})
			if err != nil {
				t.Fatal(err)
			}
			var delay atomic.Int64
			client := goredis.NewClient(&goredis.Options{Network: "unix", Addr: slowProxy(t, s.Socket(), &delay), ContextTimeoutEnabled: heeds})
			refused, longest := outage(t, client, rate, lasts,
				func() error { return c.begin(s, &delay) }, func() error { return c.heal(s, &delay) })
			_ = client.Close()
			s.Close()
			t.Logf("Redis %s (context heeded: %v): good credentials refused %d; the longest request took %v, %v a second after it began",
				c.server, heeds, refused, longest[0], longest[1])
			if refused != 0 {
				t.Errorf("%d good credentials are refused", refused)
			}
		}
	}
}

// outage uses new keys at that rate, for so long while Redis is well, while it is not
// after begin, and after heal. It returns how many were refused, and how long the
// longest requests took.
func outage(t *testing.T, client goredis.UniversalClient, rate int, lasts time.Duration, begin, heal func() error) (refused int64, longest [2]time.Duration) {
	t.Helper()
	srv := clerkauthtest.NewServer(t, clerkauthtest.InMemory())
	cache, err := NewMachineCache(client, MachineOptions{})
	if err != nil {
		t.Fatal(err)
	}
	config := srv.Config()
	config.Accept = []clerkauth.TokenType{clerkauth.APIKey}
	config.Machines.Cache, config.Transport = cache, slowClerk{config.Transport}
	auth, err := clerkauth.New(config)
	if err != nil {
		t.Fatal(err)
	}
	user := srv.CreateUser("jane@example.com")
	var bad atomic.Int64
	var took [2]atomic.Int64
	for phase, change := range []func() error{func() error { return nil }, begin, heal} {
		if err := change(); err != nil {
			t.Fatal(err)
		}
		var keys []*clerkauthtest.Credential
		for range 1500 {
			keys = append(keys, srv.CreateAPIKey(user, "read"))
		}
		var wg sync.WaitGroup
		began := time.Now()
		for i := 0; time.Since(began) < lasts; i++ {
			wg.Go(func() {
				at := time.Now()
				if !admits(auth, keys[i%len(keys)]) {
					bad.Add(1)
				}
				if phase != 1 {
					return
				}
				late := 0
				if at.Sub(began) > time.Second {
					late = 1
				}
				for n, most := int64(time.Since(at)), took[late].Load(); n > most && !took[late].CompareAndSwap(most, n); most = took[late].Load() {
				}
			})
			time.Sleep(time.Until(began.Add(time.Duration(i) * time.Second / time.Duration(rate))))
		}
		wg.Wait()
	}
	return bad.Load(), [2]time.Duration{time.Duration(took[0].Load()), time.Duration(took[1].Load())}
}
