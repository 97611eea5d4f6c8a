package postgres

import (
	"context"
	"sync"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgxpool"
)

// watcher detects lost claims, for all handlers of a store in one goroutine and with
// one connection. The goroutine exists while handlers run, the connection from the
// first poll on. The connection is not one of the pool's, which may all be in use, or
// lost like the claim's.
type watcher struct {
	pool  *pgxpool.Pool
	lease time.Duration

	mu     sync.Mutex
	claims map[*watched]struct{}
	stop   context.CancelFunc // of the goroutine, while there are claims
	ended  chan struct{}      // closed when the last goroutine has ended
}

// watched is a claim: a lock, and the process of the server that must hold it.
type watched struct {
	pid  int32
	lock int64
	lost func()
}

func newWatcher(pool *pgxpool.Pool, lease time.Duration) *watcher {
	ended := make(chan struct{})
	close(ended)
	return &watcher{pool: pool, lease: lease, claims: make(map[*watched]struct{}), ended: ended}
}

// watch calls lost when the claim is lost, perhaps more than once, until end is called.
// A poll that is in progress then may still call it.
func (w *watcher) watch(pid int32, lock int64, lost func()) (end func()) {
	c := &watched{pid, lock, lost}
	w.mu.Lock()
	defer w.mu.Unlock()
	w.claims[c] = struct{}{}
	if w.stop == nil {
		ctx, stop := context.WithCancel(context.Background())
		before, ended := w.ended, make(chan struct{})
		w.stop, w.ended = stop, ended
		go func() {
			defer close(ended)
			<-before
			w.run(ctx)
		}()
	}
	return func() { w.forget(c) }
}

// forget removes c. With the last claim it ends the goroutine, and waits for it.
func (w *watcher) forget(c *watched) {
	w.mu.Lock()
	delete(w.claims, c)
	if len(w.claims) > 0 {
		w.mu.Unlock()
		return
	}
	w.stop()
	w.stop = nil
	ended := w.ended
	w.mu.Unlock()
	<-ended
}

// run polls all claims at intervals of a thirtieth of the lease. While the server cannot
// be reached, handlers are bounded by the lease.
func (w *watcher) run(ctx context.Context) {
	tick := time.NewTicker(w.lease / 30)
	defer tick.Stop()
	var conn *pgx.Conn
	hangUp := func() {
		if conn != nil {
			closing, cancel := context.WithTimeout(context.Background(), time.Second)
			_ = conn.Close(closing)
			cancel()
			conn = nil
		}
	}
	defer func() { hangUp() }()
	for {
		select {
		case <-ctx.Done():
			return
		case <-tick.C:
		}
		if conn == nil {
			conn = w.connect(ctx)
		}
		if conn != nil && w.poll(ctx, conn) != nil {
			hangUp()
		}
	}
}

// connect returns a connection, or nil if that fails.
func (w *watcher) connect(ctx context.Context) *pgx.Conn {
	ctx, cancel := context.WithTimeout(ctx, w.lease/10)
	defer cancel()
	config := w.pool.Config()
	if before := config.BeforeConnect; before != nil && before(ctx, config.ConnConfig) != nil {
		return nil
	}
	conn, err := pgx.ConnectConfig(ctx, config.ConnConfig)
	if err != nil {
		return nil
	}
	return conn
}

// lostSQL returns the places, in the arrays, of processes that do not hold their lock.
// Advisory locks are per database.
const lostSQL = `SELECT coalesce(array_agg(claim.place), '{}') FROM unnest($1::int[], $2::bigint[]) WITH ORDINALITY AS claim (pid, lock, place)
WHERE NOT EXISTS (SELECT FROM pg_locks held WHERE held.locktype = 'advisory' AND held.granted AND held.pid = claim.pid
	AND held.objsubid = 1 AND (held.classid::bigint << 32) | held.objid::bigint = claim.lock)`

// poll asks the server which of the current claims are lost.
func (w *watcher) poll(ctx context.Context, conn *pgx.Conn) error {
	ctx, cancel := context.WithTimeout(ctx, w.lease/10)
	defer cancel()
	w.mu.Lock()
	claims := make([]*watched, 0, len(w.claims))
	pids, locks := make([]int32, 0, len(w.claims)), make([]int64, 0, len(w.claims))
	for c := range w.claims {
		claims, pids, locks = append(claims, c), append(pids, c.pid), append(locks, c.lock)
	}
	w.mu.Unlock()
	var lost []int
	if err := conn.QueryRow(ctx, lostSQL, pids, locks).Scan(&lost); err != nil {
		return err
	}
	for _, place := range lost {
		claims[place-1].lost()
	}
	return nil
}
