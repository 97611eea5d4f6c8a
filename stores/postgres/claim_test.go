package postgres

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"

	"github.com/clerkauth/clerkauth"
)

// TestConnectionLostInHandler looks at a handler that runs on without its lock.
func TestConnectionLostInHandler(t *testing.T) {
	s := newStore(t, Options{Lease: 10 * time.Second})
	id := "connection lost"
	err := s.Once(t.Context(), id, func(ctx context.Context) error {
		exec(t, s, "SELECT pg_terminate_backend($1)", Tx(ctx).Conn().PgConn().PID())
		if err := s.Once(ctx, id, func(context.Context) error { return nil }); !errors.Is(err, clerkauth.ErrInFlight) {
			t.Error(err)
		}
		<-ctx.Done() // it is told, and long before the lease is over
		if cause := context.Cause(ctx); !errors.Is(cause, ErrClaimLost) {
			t.Errorf("cause = %v", cause)
		}
		return ctx.Err()
	})
	if !errors.Is(err, ErrClaimLost) || !errors.Is(err, context.Canceled) || count(t, s, "clerkauth_deliveries", id) != 0 {
		t.Errorf("error = %v", err)
	}
	// The server takes a moment to notice that the session is gone.
	eventually(t, "the next copy is handled", func() bool {
		err := s.Once(t.Context(), id, func(context.Context) error { return nil })
		if err != nil && !errors.Is(err, clerkauth.ErrInFlight) {
			t.Error(err)
		}
		return err == nil
	})
}

// TestLease has a process fall silent, as one does whose machine is gone.
func TestLease(t *testing.T) {
	s, other := newStore(t, Options{Lease: 3 * time.Second}), newStore(t, Options{})
	id := "silent"
	err := s.Once(t.Context(), id, func(ctx context.Context) error {
		began := time.Now() // the server counts from its answer to the last statement
		if err := work(ctx, id); err != nil {
			t.Error(err)
		}
		eventually(t, "another process handles it", func() bool {
			err := other.Once(t.Context(), id, func(context.Context) error { return nil })
			if err != nil && !errors.Is(err, clerkauth.ErrInFlight) {
				t.Error(err)
			}
			return err == nil
		})
		if took := time.Since(began); ctx.Err() == nil || took < 3*time.Second {
			t.Errorf("another process handled it after %v, and the context's error is %v", took, ctx.Err())
		}
		return nil
	})
	if err == nil || count(t, s, "work", id) != 0 || count(t, s, "clerkauth_deliveries", id) != 1 {
		t.Errorf("error = %v, %d rows", err, count(t, s, "work", id))
	}
}

// TestClaimIsSeenByOthers looks at what tells whether a claim was lost, for locks of
// either sign.
func TestClaimIsSeenByOthers(t *testing.T) {
	s := newStore(t, Options{})
	negative := 0
	for n := range 20 {
		id := fmt.Sprint("seen ", n)
		if s.lock(id) < 0 {
			negative++
		}
		var pid uint32
		held := func() bool {
			var lost []int
			err := s.pool.QueryRow(t.Context(), lostSQL, []int32{int32(pid), 0}, []int64{s.lock(id), 1}).Scan(&lost)
			if err != nil || !slices.Contains(lost, 2) {
				t.Fatal(lost, err)
			}
			return !slices.Contains(lost, 1)
		}
		err := s.Once(t.Context(), id, func(ctx context.Context) error {
			pid = Tx(ctx).Conn().PgConn().PID()
			if !held() {
				t.Errorf("%s: the claim is taken for lost", id)
			}
			return ctx.Err()
		})
		if err != nil || held() {
			t.Errorf("%s: %v, and it is still held", id, err)
		}
	}
	if negative == 0 || negative == 20 {
		t.Error("the ids are not of both kinds")
	}
}

// TestHandlerEndsTheTransactionInSQL: what a handler does to its transaction behind
// the store's back never makes an event count as handled that was not.
func TestHandlerEndsTheTransactionInSQL(t *testing.T) {
	s := newStore(t, Options{})
	errHandler := errors.New("handler")
	for _, sql := range []string{"COMMIT", "ROLLBACK", "ROLLBACK; BEGIN", "COMMIT; BEGIN", "COMMIT AND CHAIN", "ROLLBACK AND CHAIN"} {
		for _, result := range []error{nil, errHandler} {
			for name, run := range map[string]func(context.Context, pgx.Tx) error{
				"transaction": func(ctx context.Context, tx pgx.Tx) error { _, err := tx.Exec(ctx, sql); return err },
				"connection":  func(ctx context.Context, tx pgx.Tx) error { _, err := tx.Conn().Exec(ctx, sql); return err },
			} {
				id := fmt.Sprint(sql, result, name)
				err := s.Once(t.Context(), id, func(ctx context.Context) error {
					if err := run(ctx, Tx(ctx)); err != nil {
						t.Fatal(err)
					}
					return result
				})
				want := result
				if want == nil {
					want = ErrClaimLost
				}
				if !errors.Is(err, want) {
					t.Errorf("%s: %v", id, err)
				}
				if err := s.Once(t.Context(), id, func(context.Context) error { return nil }); err != nil {
					t.Errorf("%s, the next copy: %v", id, err)
				}
				again := func(context.Context) error { t.Errorf("%s: handled again", id); return nil }
				if err := s.Once(t.Context(), id, again); !errors.Is(err, clerkauth.ErrHandled) {
					t.Errorf("%s, the last copy: %v", id, err)
				}
			}
		}
	}
}

// TestHandlerChangesSettings: a handler may work in another schema, or as somebody
// else, without any say in where its delivery is remembered.
func TestHandlerChangesSettings(t *testing.T) {
	s := newStore(t, Options{})
	exec(t, s, `CREATE SCHEMA hooks; CREATE TABLE hooks.clerkauth_deliveries (LIKE public.clerkauth_deliveries INCLUDING ALL);
		CREATE TABLE hooks.work (id text); CREATE ROLE tenant; GRANT USAGE ON SCHEMA hooks TO tenant; GRANT INSERT ON hooks.work TO tenant`)
	defer exec(t, s, "DROP OWNED BY tenant; DROP ROLE tenant")
	for n, sql := range []string{
		"SET LOCAL search_path = hooks", "SET LOCAL search_path = ''", "SET LOCAL ROLE tenant", "SET LOCAL search_path = hooks; SET LOCAL ROLE tenant",
		"SET search_path = hooks", "SET ROLE tenant",
	} {
		id := fmt.Sprint("setting ", n)
		err := s.Once(t.Context(), id, func(ctx context.Context) error {
			_, err := Tx(ctx).Exec(ctx, sql+"; INSERT INTO hooks.work VALUES ('"+id+"')")
			return err
		})
		if err != nil || count(t, s, "public.clerkauth_deliveries", id) != 1 || count(t, s, "hooks.clerkauth_deliveries", id) != 0 || count(t, s, "hooks.work", id) != 1 {
			t.Errorf("%s: %v", sql, err)
		}
		again := func(context.Context) error { t.Errorf("%s: handled again", sql); return nil }
		if err := s.Once(t.Context(), id, again); !errors.Is(err, clerkauth.ErrHandled) {
			t.Errorf("%s, the next copy: %v", sql, err)
		}
	}
}

// TestWhoCannotRememberHandlesNothing: a right that is missing shows before a
// handler has done anything.
func TestWhoCannotRememberHandlesNothing(t *testing.T) {
	s := newStore(t, Options{})
	exec(t, s, "CREATE ROLE reader")
	defer exec(t, s, "DROP OWNED BY reader; DROP ROLE reader")
	all := []string{"SELECT", "INSERT", "UPDATE", "DELETE"}
	for _, missing := range append(all, "") {
		exec(t, s, "REVOKE ALL ON clerkauth_deliveries FROM reader")
		for _, right := range all {
			if right != missing {
				exec(t, s, "GRANT "+right+" ON clerkauth_deliveries TO reader")
			}
		}
		called := false
		err := newStore(t, Options{}, "options='-c role=reader'").Once(t.Context(), "rights"+missing, func(context.Context) error { called = true; return nil })
		if (err == nil) != (missing == "") || called != (missing == "") {
			t.Errorf("without %q: called: %v, error: %v", missing, called, err)
		}
	}
}

// TestClaimIsWatchedWithAFullPool: the pool's connections may all be taken.
func TestClaimIsWatchedWithAFullPool(t *testing.T) {
	s, other := newStore(t, Options{Lease: 10 * time.Second}, "pool_max_conns=1"), newStore(t, Options{})
	err := s.Once(t.Context(), "full", func(ctx context.Context) error {
		exec(t, other, "SELECT pg_terminate_backend($1)", Tx(ctx).Conn().PgConn().PID())
		<-ctx.Done()
		return context.Cause(ctx)
	})
	if !errors.Is(err, ErrClaimLost) {
		t.Error(err)
	}
}
