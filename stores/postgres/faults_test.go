package postgres

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgconn"
	"github.com/jackc/pgx/v5/pgxpool"

	"github.com/clerkauth/clerkauth"
	"github.com/clerkauth/clerkauth/clerkauthtest"
	"github.com/clerkauth/clerkauth/event"
	"github.com/clerkauth/clerkauth/internal/plain"
	"github.com/clerkauth/clerkauth/internal/storetest"
)

// proxied returns a store whose pool reaches PostgreSQL through a proxy.
func proxied(t *testing.T, o Options, settings string) (*Deliveries, *storetest.Proxy) {
	t.Helper()
	dir := filepath.Join(server(t).Dir, "p")
	if err := os.MkdirAll(dir, 0o755); err != nil { //nolint:gosec // for the server's user
		t.Fatal(err)
	}
	proxy, err := storetest.NewProxy(filepath.Join(dir, ".s.PGSQL.5432"), filepath.Join(server(t).Dir, ".s.PGSQL.5432"))
	if err != nil {
		t.Fatal(err)
	}
	pool, err := pgxpool.New(t.Context(), "host="+dir+" user=postgres dbname=postgres "+settings)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { proxy.Cut(); pool.Close(); proxy.Close() })
	s, err := NewDeliveries(pool, o)
	if err != nil {
		t.Fatal(err)
	}
	return s, proxy
}

// TestFaultLateClaim has the answers to claims come after their leases, while another
// process handles the deliveries.
func TestFaultLateClaim(t *testing.T) {
	const lease = time.Second
	other := newStore(t, Options{Lease: lease}, "pool_max_conns=20")
	s, proxy := proxied(t, Options{Lease: lease}, "pool_max_conns=10")
	const deliveries = 10
	var calls atomic.Int32
	var all, begun sync.WaitGroup
	release := make(chan struct{})
	begun.Add(deliveries)
	for n := range deliveries { // as many connections
		all.Go(func() {
			err := s.Once(t.Context(), fmt.Sprint("before_", n), func(context.Context) error { begun.Done(); <-release; return nil })
			if err != nil {
				t.Error(err)
			}
		})
	}
	begun.Wait()
	close(release)
	all.Wait()
	resume := proxy.Hold()
	for n := range deliveries {
		all.Go(func() {
			err := s.Once(t.Context(), fmt.Sprint("late_", n), func(ctx context.Context) error {
				calls.Add(1)
				return work(ctx, fmt.Sprint("late_", n))
			})
			if err == nil { // another has handled it
				t.Error("a claim that came too late was used")
			}
		})
	}
	time.Sleep(lease + lease/2)
	stuck := 0
	for n := range deliveries {
		id := fmt.Sprint("late_", n)
		for deadline := time.Now().Add(20 * time.Second); ; time.Sleep(10 * time.Millisecond) {
			err := other.Once(t.Context(), id, func(ctx context.Context) error { calls.Add(1); return work(ctx, id) })
			if err == nil || errors.Is(err, clerkauth.ErrHandled) {
				break
			}
			if time.Now().After(deadline) {
				t.Errorf("stuck: %v", err)
				stuck++
				break
			}
		}
	}
	resume()
	all.Wait()
	lost, doubled := 0, 0
	for n := range deliveries {
		switch rows := count(t, other, "work", fmt.Sprint("late_", n)); {
		case rows == 0:
			lost++
		case rows > 1:
			doubled++
		}
	}
	t.Logf("%d answers to claims after the lease: lost %d, stuck %d, doubled %d", deliveries, lost, stuck, doubled)
	if lost+doubled > 0 || int(calls.Load()) != deliveries {
		t.Errorf("%d calls", calls.Load())
	}
}

// slow is a process that stands still when it has been given a claim.
type slow struct{ pause time.Duration }

func (s slow) TraceQueryStart(ctx context.Context, _ *pgx.Conn, q pgx.TraceQueryStartData) context.Context {
	return context.WithValue(ctx, slow{}, strings.Contains(q.SQL, "INSERT INTO"))
}

func (s slow) TraceQueryEnd(ctx context.Context, _ *pgx.Conn, _ pgx.TraceQueryEndData) {
	if ctx.Value(slow{}) == true {
		time.Sleep(s.pause)
	}
}

func TestClaimOfAProcessThatStoodStill(t *testing.T) {
	newStore(t, Options{}) // which clears up
	config, err := pgxpool.ParseConfig(server(t).Address())
	if err != nil {
		t.Fatal(err)
	}
	config.ConnConfig.Tracer = slow{1020 * time.Millisecond}
	pool, err := pgxpool.NewWithConfig(t.Context(), config)
	if err != nil {
		t.Fatal(err)
	}
	defer pool.Close()
	s, err := NewDeliveries(pool, Options{Lease: time.Second})
	if err != nil {
		t.Fatal(err)
	}
	err = s.Once(t.Context(), "stood still", func(context.Context) error { t.Error("called"); return nil })
	if !errors.Is(err, ErrClaimLost) || !strings.Contains(plain.Describe(err), "after its lease") {
		t.Error(err)
	}
}

// TestFaultManyHandlers counts the connections that watching over claims costs.
func TestFaultManyHandlers(t *testing.T) {
	const handlers = 40
	lease, handler := time.Second, 600*time.Millisecond
	if storetest.Full() {
		lease, handler = 5*time.Second, 4500*time.Millisecond
	}
	newStore(t, Options{}) // which clears up
	for _, mode := range []string{"", "default_query_exec_mode=simple_protocol", "default_query_exec_mode=exec"} {
		s, proxy := proxied(t, Options{Lease: lease}, fmt.Sprintf("pool_max_conns=%d %s", handlers, mode))
		var all sync.WaitGroup
		var failed atomic.Int32
		for n := range handlers {
			all.Go(func() {
				id := fmt.Sprint("many_", mode, n)
				err := s.Once(t.Context(), id, func(ctx context.Context) error {
					select {
					case <-time.After(handler):
					case <-ctx.Done():
					}
					if ctx.Err() != nil {
						return context.Cause(ctx)
					}
					return work(ctx, id)
				})
				if err != nil {
					failed.Add(1)
					t.Error(err)
				}
			})
		}
		all.Wait()
		doubled := 0
		for n := range handlers {
			if count(t, s, "work", fmt.Sprint("many_", mode, n)) != 1 {
				doubled++
			}
		}
		t.Logf("%d handlers of %v, lease %v, %q: %d connections; lost %d, stuck 0, doubled %d", handlers, handler, lease, mode, proxy.Accepted(), failed.Load(), doubled)
		// One for each handler and one that watches, which is replaced when the server, busy
		// with starting a process for each of them, does not answer within a tenth of the lease.
		if n := proxy.Accepted(); n > handlers+handlers/4 || doubled > 0 {
			t.Errorf("%d connections", n)
		}
		// The watcher works in every mode.
		err := s.Once(t.Context(), "many_lost", func(ctx context.Context) error {
			exec(t, s, "SELECT pg_terminate_backend($1)", Tx(ctx).Conn().PgConn().PID())
			<-ctx.Done()
			return context.Cause(ctx)
		})
		if !errors.Is(err, ErrClaimLost) {
			t.Errorf("%q: %v", mode, err)
		}
		proxy.Cut()
		s.pool.Close()
		proxy.Close()
	}
}

// TestFaultSharedTable has two endpoints share a table.
func TestFaultSharedTable(t *testing.T) {
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
		w.OnAny(func(ctx context.Context, e *event.Raw) error { calls[n]++; return work(ctx, e.DeliveryID) })
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
			endpoints[n%2].ServeHTTP(w, d.Request("https://app.example.com/hooks"))
			switch {
			case n%2 == 1 && w.Code == http.StatusNoContent && calls[1] == before:
				lost++
			case n%2 == 1 && w.Code == http.StatusServiceUnavailable:
				told++
			case w.Code != http.StatusNoContent:
				t.Error(w.Code)
			}
		}
		exactlyOnce(t, []string{first.ID})
	}
	t.Logf("two endpoints, one table, %d deliveries to each: lost %d, refused and told %d, doubled %d", deliveries, lost, told, calls[0]-deliveries)
	if lost != 0 || told != 2*deliveries || calls[0] != deliveries || !strings.Contains(logged.String(), "table or prefix of its own") {
		t.Errorf("calls %v; %s", calls, logged.String())
	}
}

func TestEndpointsAreToldApart(t *testing.T) {
	s := newStore(t, Options{})
	old, both, swapped := s.ForEndpoint([]string{"aa"}), s.ForEndpoint([]string{"aa", "bb"}), s.ForEndpoint([]string{"bb"})
	for n, step := range []struct {
		store clerkauth.Deliveries
		id    string
		want  error
	}{
		{old, "1", nil}, {both, "1", clerkauth.ErrHandled}, {swapped, "1", clerkauth.ErrOtherEndpoint}, {s, "1", clerkauth.ErrHandled},
		{both, "2", nil}, {old, "2", clerkauth.ErrHandled}, {swapped, "2", clerkauth.ErrHandled}, {s.ForEndpoint([]string{"cc"}), "2", clerkauth.ErrOtherEndpoint},
		{s, "3", nil}, {old, "3", clerkauth.ErrHandled},
	} {
		err := step.store.Once(t.Context(), step.id, func(context.Context) error { return nil })
		if !errors.Is(err, step.want) {
			t.Errorf("step %d: %v", n, err)
		}
	}
}

// TestTableOfAnEarlierVersion has a table without the newest column.
func TestTableOfAnEarlierVersion(t *testing.T) {
	s := newStore(t, Options{Table: "crowd"})
	exec(t, s, "CREATE TABLE crowd (id text PRIMARY KEY, handled_at timestamptz NOT NULL DEFAULT now()); INSERT INTO crowd (id) VALUES ('old')")
	err := s.Once(t.Context(), "new", func(context.Context) error { t.Error("called"); return nil })
	if text := plain.Describe(err); !strings.Contains(text, "SQLSTATE 42703") || !strings.Contains(text, "CreateTable") {
		t.Error(text)
	}
	if err := s.CreateTable(t.Context()); err != nil {
		t.Fatal(err)
	}
	if err := s.ForEndpoint([]string{"aa"}).Once(t.Context(), "old", nil); !errors.Is(err, clerkauth.ErrHandled) {
		t.Error(err)
	}
	if err := s.Once(t.Context(), "new", func(context.Context) error { return nil }); err != nil {
		t.Error(err)
	}
}

// TestErrorsSayWhatToDo looks at what is logged of the server's errors: the SQLSTATE
// and what to do, and nothing that the server quotes.
func TestErrorsSayWhatToDo(t *testing.T) {
	s := newStore(t, Options{})
	exec(t, s, `CREATE ROLE reader; CREATE TABLE crowd (LIKE clerkauth_deliveries INCLUDING ALL, CONSTRAINT short CHECK (length(id) < 3))`)
	defer exec(t, s, "DROP OWNED BY reader; DROP ROLE reader")
	for name, test := range map[string]struct {
		store *Deliveries
		want  []string
	}{
		"no table":   {newStore(t, Options{Table: "missing"}), []string{"SQLSTATE 42P01", "CreateTable"}},
		"no schema":  {newStore(t, Options{Table: "missing.x"}), []string{"SQLSTATE 42P01", "CreateTable"}},
		"no right":   {newStore(t, Options{}, "options='-c role=reader'"), []string{"SQLSTATE 42501", "grant SELECT"}},
		"constraint": {newStore(t, Options{Table: "crowd"}), []string{"SQLSTATE 23514", `constraint "short"`}},
	} {
		err := test.store.Once(t.Context(), "msg_secret", func(context.Context) error { t.Error("called"); return nil })
		text := plain.Describe(err)
		for _, want := range append(test.want, "postgres: claim a delivery: ") {
			if !strings.Contains(text, want) {
				t.Errorf("%s: %q does not say %q", name, text, want)
			}
		}
		if strings.Contains(text, "msg_secret") {
			t.Error(text)
		}
	}
	nowhere, err := pgxpool.New(t.Context(), "host=/nowhere user=postgres")
	if err != nil {
		t.Fatal(err)
	}
	defer nowhere.Close()
	away, err := NewDeliveries(nowhere, Options{})
	if err != nil {
		t.Fatal(err)
	}
	if text := plain.Describe(away.Once(t.Context(), "x", nil)); !strings.Contains(text, "cannot be reached") || !strings.Contains(text, "no such file") {
		t.Error(text)
	}
}

// TestFaultPgBouncer has the store work through PgBouncer in transaction mode, with
// the protocols that are documented for it, and say what to do with the default one.
func TestFaultPgBouncer(t *testing.T) {
	direct := newStore(t, Options{})
	bouncer, err := storetest.NewPgBouncer(server(t), func(ctx context.Context, address string) error {
		conn, err := pgx.Connect(ctx, address)
		if err != nil {
			return err
		}
		return conn.Close(ctx)
	})
	if err != nil {
		t.Fatal(err)
	}
	if bouncer == nil {
		t.Log("pgbouncer is not installed: only what is said of its errors is looked at")
	} else {
		defer bouncer.Close()
		for _, mode := range []string{"exec", "simple_protocol"} {
			pool, err := pgxpool.New(t.Context(), bouncer.Address()+" pool_max_conns=20 default_query_exec_mode="+mode)
			if err != nil {
				t.Fatal(err)
			}
			s, err := NewDeliveries(pool, Options{Lease: 2 * time.Second})
			if err != nil {
				t.Fatal(err)
			}
			if err := s.CreateTable(t.Context()); err != nil {
				t.Error(err)
			}
			of := s.ForEndpoint([]string{"aa"})
			var all sync.WaitGroup
			var ids []string
			for n := range 200 {
				id := fmt.Sprint("bounced_", mode, n/2)
				if n%2 == 0 {
					ids = append(ids, id)
				}
				all.Go(func() {
					for t.Context().Err() == nil {
						err := of.Once(t.Context(), id, func(ctx context.Context) error { return work(ctx, id) })
						if err == nil || errors.Is(err, clerkauth.ErrHandled) {
							return
						}
						if !errors.Is(err, clerkauth.ErrInFlight) {
							t.Errorf("%s: %v", mode, err)
							return
						}
					}
				})
			}
			all.Wait()
			exactlyOnce(t, ids)
			err = s.Once(t.Context(), "bounced_lost", func(ctx context.Context) error {
				var pid int32
				if err := Tx(ctx).QueryRow(ctx, "SELECT pg_backend_pid()").Scan(&pid); err != nil {
					return err
				}
				exec(t, direct, "SELECT pg_terminate_backend($1)", pid)
				<-ctx.Done()
				return context.Cause(ctx)
			})
			if !errors.Is(err, ErrClaimLost) {
				t.Errorf("%s: %v", mode, err)
			}
			pool.Close()
			t.Logf("PgBouncer, %s: %d deliveries, two copies of each: lost 0, doubled 0", mode, len(ids))
		}
	}
	for _, code := range []string{"42P05", "26000"} {
		if text := plain.Describe(failure("claim a delivery", &pgconn.PgError{Code: code, Message: "msg_secret"})); !strings.Contains(text, "PgBouncer") ||
			!strings.Contains(text, code) || strings.Contains(text, "msg_secret") {
			t.Error(text)
		}
	}
}
