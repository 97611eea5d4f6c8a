package postgres

import (
	"context"
	"errors"
	"os"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgconn"
	"github.com/jackc/pgx/v5/pgxpool"

	"github.com/clerkauth/clerkauth"
	"github.com/clerkauth/clerkauth/deliveriestest"
	"github.com/clerkauth/clerkauth/internal/storetest"
)

func TestMain(m *testing.M) {
	status := storetest.Main(m, func(ctx context.Context, address string, lease time.Duration) (storetest.Store, error) {
		pool, err := pgxpool.New(ctx, address)
		if err != nil {
			return storetest.Store{}, err
		}
		store, err := NewDeliveries(pool, Options{Lease: lease})
		return storetest.Store{Deliveries: store, Work: work, Close: pool.Close}, err
	})
	if running != nil {
		running.Close()
	}
	os.Exit(status)
}

// work is what handlers do: another row each time.
func work(ctx context.Context, id string) error {
	_, err := Tx(ctx).Exec(ctx, "INSERT INTO work (id) VALUES ($1)", id)
	return err
}

var running *storetest.Server

// server returns the PostgreSQL that all tests share, after it has been started.
func server(t *testing.T) *storetest.Server {
	t.Helper()
	if running == nil {
		s, err := storetest.NewPostgres(func(ctx context.Context, address string) error {
			conn, err := pgx.Connect(ctx, address)
			if err != nil {
				return err
			}
			return conn.Close(ctx)
		})
		if err != nil {
			t.Fatal(err)
		}
		running = s
		store := newStore(t, Options{})
		if err := store.CreateTable(t.Context()); err != nil {
			t.Fatal(err)
		}
		exec(t, store, "CREATE TABLE work (id text NOT NULL)")
	}
	return running
}

// newStore returns a Deliveries with a pool of its own. What it and its handlers wrote is
// gone after the test.
func newStore(t *testing.T, o Options, settings ...string) *Deliveries {
	t.Helper()
	pool, err := pgxpool.New(t.Context(), server(t).Address()+" "+strings.Join(settings, " "))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		pool.Close()
		ctx := context.WithoutCancel(t.Context())
		conn, err := pgx.Connect(ctx, server(t).Address())
		if err != nil {
			t.Error(err)
			return
		}
		defer conn.Close(ctx)
		const sql = "DELETE FROM work; DELETE FROM clerkauth_deliveries; DROP TABLE IF EXISTS forgotten, crowd; DROP SCHEMA IF EXISTS hooks CASCADE"
		if _, err := conn.Exec(ctx, sql); err != nil {
			t.Error(err)
		}
	})
	s, err := NewDeliveries(pool, o)
	if err != nil {
		t.Fatal(err)
	}
	return s
}

func exec(t *testing.T, s *Deliveries, sql string, args ...any) {
	t.Helper()
	if _, err := s.pool.Exec(t.Context(), sql, args...); err != nil {
		t.Fatalf("%s: %v", sql, err)
	}
}

// count returns how many rows there are of id in table.
func count(t *testing.T, s *Deliveries, table, id string) (n int) {
	t.Helper()
	if err := s.pool.QueryRow(t.Context(), "SELECT count(*) FROM "+table+" WHERE id = $1", id).Scan(&n); err != nil {
		t.Fatal(err)
	}
	return n
}

func TestDeliveries(t *testing.T) {
	for name, settings := range map[string]string{
		"":                    "",
		"serializable":        "options='-c default_transaction_isolation=serializable'",
		"read-only":           "options='-c default_transaction_read_only=on'",
		"simple protocol":     "default_query_exec_mode=simple_protocol",
		"pool of two":         "pool_max_conns=2",
		"no prepared queries": "default_query_exec_mode=exec",
	} {
		t.Run(name, func(t *testing.T) { testDeliveries(t, settings) })
	}
}

func testDeliveries(t *testing.T, settings string) {
	var dying pgx.Tx // of a process that dies
	open := func(t *testing.T) clerkauth.Deliveries { return newStore(t, Options{}, settings) }
	deliveriestest.Run(t, open,
		deliveriestest.Peer(func(t *testing.T, _ clerkauth.Deliveries) clerkauth.Deliveries { return open(t) }),
		deliveriestest.Crash(func(t *testing.T, store clerkauth.Deliveries, id string) {
			s := store.(*Deliveries)
			conn, err := pgx.Connect(t.Context(), server(t).Address())
			if err != nil {
				t.Fatal(err)
			}
			if dying, err = conn.Begin(t.Context()); err != nil {
				t.Fatal(err)
			}
			if _, err := s.take(t.Context(), dying, id); err != nil {
				t.Fatal(err)
			}
		}, func(t *testing.T, store clerkauth.Deliveries, _ string) {
			// The kernel closes the sockets of the dead.
			if err := dying.Conn().PgConn().Conn().Close(); err != nil {
				t.Fatal(err)
			}
			s := store.(*Deliveries)
			eventually(t, "the server notices", func() bool {
				var n int
				err := s.pool.QueryRow(t.Context(), "SELECT count(*) FROM pg_locks WHERE locktype = 'advisory'").Scan(&n)
				return err == nil && n == 0
			})
		}),
		deliveriestest.Later(func(t *testing.T, store clerkauth.Deliveries, d time.Duration) {
			conn, err := pgx.Connect(t.Context(), server(t).Address())
			if err != nil {
				t.Fatal(err)
			}
			defer conn.Close(t.Context())
			if _, err := conn.Exec(t.Context(), "UPDATE clerkauth_deliveries SET handled_at = handled_at - make_interval(secs => $1)", d.Seconds()); err != nil {
				t.Fatal(err)
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

// eventually waits until holds does.
func eventually(t *testing.T, what string, holds func() bool) {
	t.Helper()
	for deadline := time.Now().Add(20 * time.Second); !holds(); time.Sleep(5 * time.Millisecond) {
		if time.Now().After(deadline) {
			t.Fatal("not within 20 seconds: " + what)
		}
	}
}

func TestOptions(t *testing.T) {
	pool, err := pgxpool.New(t.Context(), "host=/nowhere")
	if err != nil {
		t.Fatal(err)
	}
	defer pool.Close()
	for _, o := range []Options{{}, {Table: "x"}, {Table: "hooks.deliveries_2"}, {Lease: time.Second}, {Remember: 36 * time.Hour}} {
		if s, err := NewDeliveries(pool, o); s == nil || err != nil {
			t.Errorf("%+v: %v", o, err)
		}
	}
	for _, table := range []string{`x"`, "x;", "a.b.c", ".x", "x.", "X", "x y", "1x", strings.Repeat("x", 51), "x\n"} {
		if _, err := NewDeliveries(pool, Options{Table: table}); err == nil || !strings.Contains(err.Error(), "table") {
			t.Errorf("%q: %v", table, err)
		}
	}
	if _, err := NewDeliveries(pool, Options{Lease: 25 * time.Hour}); err == nil || !strings.Contains(err.Error(), "lease") {
		t.Error(err)
	}
	if _, err := NewDeliveries(nil, Options{Lease: -1, Remember: 35 * time.Hour}); err == nil ||
		!strings.Contains(err.Error(), "pool") || !strings.Contains(err.Error(), "lease") || !strings.Contains(err.Error(), "remember") {
		t.Errorf("error = %v", err)
	}
}

func TestCreateTable(t *testing.T) {
	one := newStore(t, Options{})
	exec(t, one, "CREATE SCHEMA hooks")
	var all sync.WaitGroup
	for range 2 {
		s := newStore(t, Options{Table: "hooks.deliveries"})
		for range 10 {
			all.Go(func() {
				if err := s.CreateTable(t.Context()); err != nil {
					t.Error(err)
				}
			})
		}
	}
	all.Wait()
	other := newStore(t, Options{Table: "hooks.deliveries"})
	for _, s := range []*Deliveries{one, other} { // an id may come to two endpoints
		if err := s.Once(t.Context(), "msg_table", func(context.Context) error { return nil }); err != nil {
			t.Error(err)
		}
		exec(t, s, s.Schema())
	}
	if n := count(t, other, "hooks.deliveries", "msg_table"); n != 1 {
		t.Errorf("%d rows", n)
	}
	exec(t, one, "CREATE ROLE reader LOGIN; GRANT SELECT, INSERT, DELETE, UPDATE ON clerkauth_deliveries TO reader; REVOKE CREATE ON SCHEMA public FROM PUBLIC")
	defer exec(t, one, "DROP OWNED BY reader; DROP ROLE reader; GRANT CREATE ON SCHEMA public TO PUBLIC")
	if s := newStore(t, Options{}, "options='-c role=reader'"); s.CreateTable(t.Context()) != nil || newStore(t, Options{Table: "mine"}, "options='-c role=reader'").CreateTable(t.Context()) == nil {
		t.Error("who may use the table and make none does not get along with it")
	}
	if s := newStore(t, Options{Table: "missing"}); s.Once(t.Context(), "x", nil) == nil {
		t.Error("it works without a table")
	}
}

func TestHandlerSharesTheTransaction(t *testing.T) {
	s := newStore(t, Options{})
	errHandler, errAborted := errors.New("handler"), errors.New("aborted")
	try := func(id string, handle func(context.Context, pgx.Tx) error) error {
		return s.Once(t.Context(), id, func(ctx context.Context) error {
			if err := work(ctx, id); err != nil {
				t.Error(err)
			}
			return handle(ctx, Tx(ctx))
		})
	}
	for _, test := range []struct {
		id     string
		handle func(context.Context, pgx.Tx) error
		want   error // nil: committed
	}{
		{"returns", func(context.Context, pgx.Tx) error { return nil }, nil},
		{"fails", func(context.Context, pgx.Tx) error { return errHandler }, errHandler},
		{"commits", func(ctx context.Context, tx pgx.Tx) error { return tx.Commit(ctx) }, errCommit},
		{"rolls back", func(ctx context.Context, tx pgx.Tx) error {
			if err := tx.Rollback(ctx); err != nil {
				return err
			}
			// It is still nobody else's to handle.
			err := newStore(t, Options{}).Once(ctx, "rolls back", func(context.Context) error { return nil })
			if !errors.Is(err, clerkauth.ErrInFlight) {
				t.Error(err)
			}
			return nil
		}, errRolledBack},
		{"savepoint", func(ctx context.Context, tx pgx.Tx) error {
			failed := pgx.BeginFunc(ctx, tx, func(tx pgx.Tx) error {
				if _, err := tx.Exec(ctx, "INSERT INTO work (id) VALUES ('savepoint')"); err != nil {
					t.Error(err)
				}
				return errHandler
			})
			if !errors.Is(failed, errHandler) {
				t.Error(failed)
			}
			return nil
		}, nil},
		{"swallows", func(ctx context.Context, tx pgx.Tx) error {
			if _, err := tx.Exec(ctx, "SELECT 1/0"); err == nil {
				t.Error("no error")
			}
			return nil
		}, errAborted},
	} {
		want := 0
		if test.want == nil {
			want = 1
		}
		err := try(test.id, test.handle)
		if aborted := new(pgconn.PgError); errors.As(err, &aborted) && aborted.Code == "25P02" { // in_failed_sql_transaction
			err = errAborted
		}
		if !errors.Is(err, test.want) {
			t.Errorf("%s: %v", test.id, err)
		}
		if rows, remembered := count(t, s, "work", test.id), count(t, s, "clerkauth_deliveries", test.id); rows != want || remembered != want {
			t.Errorf("%s: %d rows, %d remembered", test.id, rows, remembered)
		}
	}
	func() {
		defer func() { _ = recover() }()
		_ = try("panics", func(context.Context, pgx.Tx) error { panic("handler") })
	}()
	if rows := count(t, s, "work", "panics"); rows != 0 {
		t.Errorf("%d rows after a panic", rows)
	}
	if Tx(t.Context()) != nil {
		t.Error("there is a transaction without a delivery")
	}
	if n := s.pool.Stat().AcquiredConns(); n != 0 {
		t.Errorf("%d connections are not given back", n)
	}
}

func TestOldRowsAreForgotten(t *testing.T) {
	s := newStore(t, Options{Table: "forgotten"})
	if err := s.CreateTable(t.Context()); err != nil {
		t.Fatal(err)
	}
	exec(t, s, "INSERT INTO forgotten SELECT 'old' || n, now() - interval '7 days 1 minute' FROM generate_series(1, 35) n")
	exec(t, s, "INSERT INTO forgotten SELECT 'new' || n, now() - interval '6 days 23 hours' FROM generate_series(1, 5) n")
	for _, id := range []string{"a", "b", "c", "d"} {
		if err := s.Once(t.Context(), id, func(context.Context) error { return nil }); err != nil {
			t.Fatal(err)
		}
	}
	var rest string
	err := s.pool.QueryRow(t.Context(), "SELECT string_agg(id, ' ' ORDER BY id) FROM forgotten").Scan(&rest)
	if want := "a b c d new1 new2 new3 new4 new5"; err != nil || rest != want {
		t.Errorf("%v: %s instead of %s", err, rest, want)
	}
}

// TestManyForgetTogether has many deliveries come when there is much to forget: none
// waits for another's, or fails over it.
func TestManyForgetTogether(t *testing.T) {
	s := newStore(t, Options{Table: "crowd"}, "pool_max_conns=20")
	if err := s.CreateTable(t.Context()); err != nil {
		t.Fatal(err)
	}
	exec(t, s, "INSERT INTO crowd SELECT 'old' || n, now() - interval '8 days' FROM generate_series(1, 200) n")
	ctx, cancel := context.WithTimeout(t.Context(), 20*time.Second)
	defer cancel()
	var all sync.WaitGroup
	var arrived atomic.Int32
	together := make(chan struct{})
	for n := range 20 {
		all.Go(func() {
			err := s.Once(ctx, "crowd"+string(rune('a'+n)), func(ctx context.Context) error {
				if arrived.Add(1) == 20 {
					close(together) // all have their transaction open
				}
				select {
				case <-together:
					return nil
				case <-ctx.Done():
					return ctx.Err()
				}
			})
			if err != nil {
				t.Error(err)
			}
		})
	}
	all.Wait()
	var n int
	if err := s.pool.QueryRow(t.Context(), "SELECT count(*) FROM crowd").Scan(&n); err != nil || n != 20 {
		t.Errorf("%v: %d rows", err, n)
	}
}

func TestCopiesFromTwoProcesses(t *testing.T) {
	storetest.Copies(t, server(t).Address(), 1000)
}

// TestKill kills processes in the middle of deliveries.
func TestKill(t *testing.T) {
	deliveries, kills := 20, 5
	if storetest.Full() {
		deliveries, kills = 300, 200
	}
	ids, _ := storetest.Kill(t, server(t).Address(), 0, deliveries, kills)
	exactlyOnce(t, ids)
}

func TestOutage(t *testing.T) {
	deliveries, outages := 50, 2
	if storetest.Full() {
		deliveries, outages = 1000, 20
	}
	ids, _ := storetest.Outage(t, server(t), server(t).Address(), 0, deliveries, outages)
	exactlyOnce(t, ids)
}

// exactlyOnce counts the rows that handlers wrote.
func exactlyOnce(t *testing.T, ids []string) {
	t.Helper()
	s := newStore(t, Options{})
	for _, id := range ids {
		if rows, remembered := count(t, s, "work", id), count(t, s, "clerkauth_deliveries", id); rows != 1 || remembered != 1 {
			t.Errorf("%s: %d rows, %d remembered", id, rows, remembered)
		}
	}
}
