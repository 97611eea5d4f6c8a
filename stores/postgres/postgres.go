// Package postgres remembers in PostgreSQL which webhook deliveries were handled,
// in the transaction in which handlers do their work: both are committed, or
// neither is, so that every delivery takes effect exactly once.
//
//	store, err := postgres.NewDeliveries(pool, postgres.Options{})
//	…
//	err = store.CreateTable(ctx) // or run what store.Schema() returns
//	…
//	hooks, err := clerkauth.NewWebhook(clerkauth.WebhookConfig{Secrets: secrets, Deliveries: store})
//	…
//	clerkauth.On(hooks, event.UserDeleted, func(ctx context.Context, e *event.Event[event.Deleted]) error {
//		_, err := postgres.Tx(ctx).Exec(ctx, "DELETE FROM users WHERE id = $1", e.Data.ID)
//		return err
//	})
//
// What a handler does elsewhere, such as sending mail, happens again when its
// process dies, or the commit fails, after it did that.
//
// A delivery waits for a connection of the pool while all are taken, for as long as
// its sender does. Handlers that ignore the end of their context keep theirs.
//
// Behind PgBouncer in transaction mode, set the pool's DefaultQueryExecMode to
// pgx.QueryExecModeExec or QueryExecModeSimpleProtocol: with the default, prepared
// statements of one server are looked for at another (SQLSTATE 42P05 or 26000).
package postgres

import (
	"context"
	"crypto/sha256"
	"encoding/binary"
	"errors"
	"fmt"
	"regexp"
	"strings"
	"sync"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgxpool"

	"github.com/clerkauth/clerkauth"
)

const (
	defaultTable = "clerkauth_deliveries"
	defaultLease = time.Minute
	minLease     = time.Second
	maxLease     = 24 * time.Hour
	// defaultRemember covers what somebody sends again by hand after an endpoint
	// was away for days. Svix itself stops after 28 hours.
	defaultRemember = 7 * 24 * time.Hour
	minRemember     = 36 * time.Hour
	// settleTime is how long committing or rolling back may take.
	settleTime = 10 * time.Second
)

// Options says how a Deliveries works. The zero value is fine for one endpoint.
type Options struct {
	// Table is where handled deliveries are remembered, perhaps with its schema:
	// "hooks.deliveries". Svix gives a message the same id at every endpoint that
	// it is sent to, so two endpoints that share a database need two tables: with one,
	// the second is refused with clerkauth.ErrOtherEndpoint. All processes of one must
	// write its table in one way, with its schema or without. Defaults to
	// "clerkauth_deliveries".
	Table string

	// Lease is how long a handler may run. Its context ends then. A tenth later the
	// server ends a transaction that is silent, so that others may handle the
	// delivery. That matters when a machine is gone: of a process that died the
	// server knows at once. Zero means a minute; less than a second or more than a day
	// is an error.
	Lease time.Duration

	// Remember is how long it is known that a delivery was handled. Older rows are
	// deleted as new ones come. Zero means 7 days; less than 36 hours is an error,
	// since Svix sends for 28.
	Remember time.Duration
}

// Deliveries is a [clerkauth.EndpointDeliveries] in PostgreSQL. It is safe for concurrent
// use.
type Deliveries struct {
	pool                           *pgxpool.Pool
	schema, claim, begin, remember string // SQL
	table                          string // quoted
	lockSpace                      string
	lease                          time.Duration
	endpoint                       string // fingerprints, separated by spaces
	running                        *flights
	watcher                        *watcher
}

// flights are the deliveries that this process is handling.
type flights struct {
	mu  sync.Mutex
	ids map[string]bool
}

var tableName = regexp.MustCompile(`\A(?:[a-z_][a-z0-9_]{0,49}\.)?[a-z_][a-z0-9_]{0,49}\z`)

// NewDeliveries returns a Deliveries that works through pool, which remains the caller's to close.
// A handler holds one of its connections for as long as it runs; give handlers that
// use the pool beside [Tx] another one, or they may wait for each other.
func NewDeliveries(pool *pgxpool.Pool, o Options) (*Deliveries, error) {
	if o.Table == "" {
		o.Table = defaultTable
	}
	if o.Lease == 0 {
		o.Lease = defaultLease
	}
	if o.Remember == 0 {
		o.Remember = defaultRemember
	}
	var wrong []error
	if pool == nil {
		wrong = append(wrong, errors.New("there is no pool"))
	}
	if !tableName.MatchString(o.Table) {
		wrong = append(wrong, fmt.Errorf("table %q must be a name in lower case, perhaps with its schema", o.Table))
	}
	if o.Lease < minLease {
		wrong = append(wrong, fmt.Errorf("a lease of %v is shorter than %v", o.Lease, minLease))
	}
	if o.Lease > maxLease {
		wrong = append(wrong, fmt.Errorf("a lease of %v is longer than %v", o.Lease, maxLease))
	}
	if o.Remember < minRemember {
		wrong = append(wrong, fmt.Errorf("to remember for %v is shorter than %v", o.Remember, minRemember))
	}
	if err := errors.Join(wrong...); err != nil {
		return nil, fmt.Errorf("postgres: options: %w", err)
	}
	name := strings.Split(o.Table, ".")
	table := pgx.Identifier(name).Sanitize()
	index := pgx.Identifier{name[len(name)-1] + "_handled_at"}.Sanitize()
	return &Deliveries{
		pool:      pool,
		table:     table,
		schema:    fmt.Sprintf(schemaSQL, table, index),
		claim:     fmt.Sprintf(claimSQL, table, (o.Lease + o.Lease/10).Milliseconds()),
		begin:     fmt.Sprintf(beginSQL, table, int64(o.Remember.Seconds())),
		remember:  fmt.Sprintf(rememberSQL, table),
		lockSpace: o.Table,
		lease:     o.Lease,
		running:   &flights{ids: make(map[string]bool)},
		watcher:   newWatcher(pool, o.Lease),
	}, nil
}

const schemaSQL = `CREATE TABLE IF NOT EXISTS %[1]s (
	id         text PRIMARY KEY,
	handled_at timestamptz NOT NULL DEFAULT now(), -- or -infinity: not yet
	endpoint   text NOT NULL DEFAULT ''            -- fingerprints of its secrets
);
ALTER TABLE %[1]s ADD COLUMN IF NOT EXISTS endpoint text NOT NULL DEFAULT '';
CREATE INDEX IF NOT EXISTS %[2]s ON %[1]s (handled_at);
`

// Schema returns the SQL that makes the store's table. It may be run again.
func (s *Deliveries) Schema() string { return s.schema }

// CreateTable makes the store's table if there is none. Any number of processes may
// call it at the same time.
func (s *Deliveries) CreateTable(ctx context.Context) error {
	err := pgx.BeginFunc(ctx, s.pool, func(tx pgx.Tx) error {
		// Two at a time would fail, in spite of IF NOT EXISTS.
		if _, err := tx.Exec(ctx, "SELECT pg_advisory_xact_lock($1)", s.lock("")); err != nil {
			return err
		}
		// Whoever may use a table need not have the right to make one.
		var there bool
		if err := tx.QueryRow(ctx, completeSQL, s.table).Scan(&there); err != nil || there {
			return err
		}
		_, err := tx.Exec(ctx, s.schema)
		return err
	})
	if err != nil {
		return failure("create the table", err)
	}
	return nil
}

// completeSQL asks whether the table is there, with all its columns.
const completeSQL = `SELECT EXISTS (SELECT FROM pg_attribute WHERE attrelid = to_regclass($1) AND attname = 'endpoint' AND NOT attisdropped)`

// claimSQL tells whether the delivery is ours to handle. What claims it is a lock
// that ends with the transaction, however that ends. Whoever asks for it does not
// wait, as he would for another's uncommitted row. The server ends a transaction
// that is silent for longer than the lease and a tenth of it, the time that a handler
// has to notice that its context ended before another begins.
const claimSQL = `SELECT CASE
	WHEN EXISTS (SELECT FROM %[1]s WHERE id = $1 AND handled_at > '-infinity' AND (endpoint = '' OR $3 = ''
		OR string_to_array(endpoint, ' ') && string_to_array($3, ' '))) THEN 'handled'
	WHEN EXISTS (SELECT FROM %[1]s WHERE id = $1 AND handled_at > '-infinity') THEN 'of another endpoint'
	WHEN pg_try_advisory_xact_lock($2) THEN 'claimed'
	ELSE 'in flight' END, set_config('idle_in_transaction_session_timeout', '%[2]d', true)`

// beginSQL writes a row that says that the delivery is not handled yet: whoever has
// no right to remember it finds out before its handler does anything, and a handler
// that commits by itself has handled nothing. No row comes back if the delivery was
// handled between claimSQL's look at the table and its lock. It also forgets a few
// that are too old: more than one, so that they become fewer, and none that somebody
// else is forgetting.
const beginSQL = `WITH forgotten AS (
	DELETE FROM %[1]s WHERE id IN (
		SELECT id FROM %[1]s WHERE handled_at < now() - interval '%[2]d seconds' AND id <> $1
		ORDER BY handled_at LIMIT 10 FOR UPDATE SKIP LOCKED))
INSERT INTO %[1]s AS row (id, handled_at, endpoint) VALUES ($1, '-infinity', $2)
ON CONFLICT (id) DO UPDATE SET handled_at = '-infinity', endpoint = $2 WHERE row.handled_at = '-infinity'
RETURNING txid_current()::text, pg_backend_pid(), current_setting('role'), current_setting('search_path')`

// restoreSQL takes back what a handler may have set for its work, or for good: the
// store's table is the one that it had before, for the connection's next user, too.
const restoreSQL = `SELECT set_config('role', $1, false), set_config('search_path', $2, false)`

// rememberSQL remembers the delivery, if this is the transaction that claimed it.
const rememberSQL = `UPDATE %[1]s SET handled_at = now() WHERE id = $1 AND txid_current()::text = $2`

// ForEndpoint implements [clerkauth.EndpointDeliveries].
func (s *Deliveries) ForEndpoint(fingerprints []string) clerkauth.Deliveries {
	own := *s
	own.endpoint = strings.Join(fingerprints, " ")
	return &own
}

// Once implements [clerkauth.Deliveries]. The context of handle carries the
// transaction, at READ COMMITTED, that [Tx] returns. It is committed when handle
// returns nil and rolled back otherwise. When the transaction is lost with its
// connection, the server lets others handle the delivery at once, so handle's context
// ends soon after, with [ErrClaimLost]; nothing that was written in it takes effect.
func (s *Deliveries) Once(ctx context.Context, id string, handle func(context.Context) error) error {
	if s.runs(id) {
		return clerkauth.ErrInFlight // without waiting for a connection
	}
	tx, err := s.pool.BeginTx(ctx, pgx.TxOptions{IsoLevel: pgx.ReadCommitted, AccessMode: pgx.ReadWrite})
	if err != nil {
		return failure("claim a delivery", err)
	}
	defer func() { _ = settle(ctx, tx.Rollback) }() // after a commit there is nothing to roll back
	// The lease counts from before the claim, so that it is over here first.
	limited, cancel := context.WithTimeout(ctx, s.lease)
	defer cancel()
	c, err := s.take(ctx, tx, id)
	if err != nil {
		return err
	}
	// The answer may have come, or this process gone on, after the lease.
	if ctx.Err() != nil {
		return failure("claim a delivery", context.Cause(ctx))
	}
	if over, _ := limited.Deadline(); !time.Now().Before(over) {
		return errLate
	}
	// A handler whose connection is lost goes on without the lock, so this process
	// keeps a claim of its own.
	if !s.start(id) {
		return clerkauth.ErrInFlight
	}
	defer s.end(id)
	if err := c.run(limited, handle); err != nil {
		return err
	}
	return settle(ctx, c.done)
}

// settle brings a transaction to its end, even if ctx has come to its own.
func settle(ctx context.Context, end func(context.Context) error) error {
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), settleTime)
	defer cancel()
	return end(ctx)
}

// lock returns the key of the advisory lock for id. Two ids with one key would
// delay each other, no more.
func (s *Deliveries) lock(id string) int64 {
	sum := sha256.Sum256([]byte(s.lockSpace + "\x00" + id))
	return int64(binary.BigEndian.Uint64(sum[:])) //nolint:gosec // any 64 bits do
}

func (s *Deliveries) runs(id string) bool {
	s.running.mu.Lock()
	defer s.running.mu.Unlock()
	return s.running.ids[id]
}

func (s *Deliveries) start(id string) bool {
	s.running.mu.Lock()
	defer s.running.mu.Unlock()
	if s.running.ids[id] {
		return false
	}
	s.running.ids[id] = true
	return true
}

func (s *Deliveries) end(id string) {
	s.running.mu.Lock()
	defer s.running.mu.Unlock()
	delete(s.running.ids, id)
}
