// Package postgres stores in PostgreSQL which webhook deliveries were handled. It
// does so in the transaction in which handlers do their work: both are committed or
// neither is, so every delivery takes effect exactly once.
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
// Effects of a handler outside of the transaction, such as sending mail, are repeated
// if the process dies or the commit fails after them.
//
// A handler holds a connection of the pool until it returns. While all connections are
// in use, further deliveries wait for one until their context ends.
//
// Behind PgBouncer in transaction mode, set the pool's DefaultQueryExecMode to
// pgx.QueryExecModeExec or QueryExecModeSimpleProtocol: with the default, a statement
// prepared on one server connection is executed on another (SQLSTATE 42P05 or 26000).
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
	// defaultRemember covers deliveries that are replayed by hand after an endpoint was
	// down for days. Svix itself retries for 28 hours.
	defaultRemember = 7 * 24 * time.Hour
	minRemember     = 36 * time.Hour
	// settleTime bounds committing or rolling back.
	settleTime = 10 * time.Second
)

// Options configures a Deliveries. The zero value is valid, for one endpoint.
type Options struct {
	// Table is the table of handled deliveries, optionally qualified with its schema:
	// "hooks.deliveries". Svix gives a message the same id at every endpoint that it is
	// sent to, so endpoints that share a database need a table each: with the same one,
	// the second endpoint's deliveries fail with clerkauth.ErrOtherEndpoint. All
	// processes of an endpoint must spell Table the same way, with the schema or
	// without. Defaults to "clerkauth_deliveries".
	Table string

	// Lease is how long a handler may run before its context ends. The server ends a
	// transaction that is idle for longer than the lease and a tenth, so that another
	// process can handle the delivery. That matters if a machine or its network fails:
	// the server notices the end of a process at once. Defaults to a minute; the minimum
	// is a second, the maximum a day.
	Lease time.Duration

	// Remember is how long a handled delivery is remembered. New deliveries delete
	// older rows. Defaults to 7 days; the minimum is 36 hours, since Svix retries for
	// 28.
	Remember time.Duration
}

// Deliveries is a [clerkauth.EndpointDeliveries] in PostgreSQL. Make it with
// [NewDeliveries]. It is safe for concurrent use.
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

// NewDeliveries returns a Deliveries that uses pool, or every error in o joined in
// one. It does not close pool. A handler holds a connection of pool until it returns:
// handlers that need a connection besides [Tx] should take it from another pool, or
// they may deadlock.
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
		wrong = append(wrong, errors.New("the pool is nil"))
	}
	if !tableName.MatchString(o.Table) {
		wrong = append(wrong, fmt.Errorf("invalid table %q: use a lower-case name, optionally with its schema", o.Table))
	}
	if o.Lease < minLease {
		wrong = append(wrong, fmt.Errorf("invalid lease %v: the minimum is %v", o.Lease, minLease))
	}
	if o.Lease > maxLease {
		wrong = append(wrong, fmt.Errorf("invalid lease %v: the maximum is %v", o.Lease, maxLease))
	}
	if o.Remember < minRemember {
		wrong = append(wrong, fmt.Errorf("invalid time to remember %v: the minimum is %v", o.Remember, minRemember))
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

// Schema returns the SQL that creates the store's table, or adds to an older one what
// it lacks. It may be run any number of times.
func (s *Deliveries) Schema() string { return s.schema }

// CreateTable creates the store's table if it does not exist, and adds columns that an
// older one lacks. Any number of processes may call it at the same time.
func (s *Deliveries) CreateTable(ctx context.Context) error {
	err := pgx.BeginFunc(ctx, s.pool, func(tx pgx.Tx) error {
		// In spite of IF NOT EXISTS, one of two concurrent calls could fail.
		if _, err := tx.Exec(ctx, "SELECT pg_advisory_xact_lock($1)", s.lock("")); err != nil {
			return err
		}
		// A user may have rights on the table but not the right to create one.
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

// completeSQL returns whether the table exists with all its columns.
const completeSQL = `SELECT EXISTS (SELECT FROM pg_attribute WHERE attrelid = to_regclass($1) AND attname = 'endpoint' AND NOT attisdropped)`

// claimSQL claims the delivery if it was not handled and is not in flight. The claim is
// an advisory lock, which ends with the transaction, however that ends. Unlike on the
// uncommitted row of another transaction, a claim never waits on it. The server ends a
// transaction that is idle for longer than the lease and a tenth: the tenth is the time
// that a handler has to notice that its context ended before another begins.
const claimSQL = `SELECT CASE
	WHEN EXISTS (SELECT FROM %[1]s WHERE id = $1 AND handled_at > '-infinity' AND (endpoint = '' OR $3 = ''
		OR string_to_array(endpoint, ' ') && string_to_array($3, ' '))) THEN 'handled'
	WHEN EXISTS (SELECT FROM %[1]s WHERE id = $1 AND handled_at > '-infinity') THEN 'of another endpoint'
	WHEN pg_try_advisory_xact_lock($2) THEN 'claimed'
	ELSE 'in flight' END, set_config('idle_in_transaction_session_timeout', '%[2]d', true)`

// beginSQL writes a row for a delivery that is not handled yet. So a user without the
// right to write it fails before the handler does anything, and a handler that commits
// by itself does not mark the delivery handled. It returns no row if the delivery was
// handled between the moments when claimSQL read the table and when it locked. It also
// deletes a few expired rows: more than one, so that their number decreases, and none
// that another transaction is deleting.
const beginSQL = `WITH forgotten AS (
	DELETE FROM %[1]s WHERE id IN (
		SELECT id FROM %[1]s WHERE handled_at < now() - interval '%[2]d seconds' AND id <> $1
		ORDER BY handled_at LIMIT 10 FOR UPDATE SKIP LOCKED))
INSERT INTO %[1]s AS row (id, handled_at, endpoint) VALUES ($1, '-infinity', $2)
ON CONFLICT (id) DO UPDATE SET handled_at = '-infinity', endpoint = $2 WHERE row.handled_at = '-infinity'
RETURNING txid_current()::text, pg_backend_pid(), current_setting('role'), current_setting('search_path')`

// restoreSQL resets the role and the search path, which a handler may have changed, so
// that the store and the connection's next user find the same table as before.
const restoreSQL = `SELECT set_config('role', $1, false), set_config('search_path', $2, false)`

// rememberSQL marks the delivery handled, if this is the transaction that claimed it.
const rememberSQL = `UPDATE %[1]s SET handled_at = now() WHERE id = $1 AND txid_current()::text = $2`

// ForEndpoint implements [clerkauth.EndpointDeliveries].
func (s *Deliveries) ForEndpoint(fingerprints []string) clerkauth.Deliveries {
	own := *s
	own.endpoint = strings.Join(fingerprints, " ")
	return &own
}

// Once implements [clerkauth.Deliveries]. The context of handle carries a transaction
// at READ COMMITTED, which [Tx] returns. It is committed if handle returns nil and
// rolled back otherwise. If its connection is lost, other processes can claim the
// delivery at once: handle's context is canceled soon after, with the cause
// [ErrClaimLost], and nothing written in the transaction takes effect.
func (s *Deliveries) Once(ctx context.Context, id string, handle func(context.Context) error) error {
	if s.runs(id) {
		return clerkauth.ErrInFlight // without acquiring a connection
	}
	tx, err := s.pool.BeginTx(ctx, pgx.TxOptions{IsoLevel: pgx.ReadCommitted, AccessMode: pgx.ReadWrite})
	if err != nil {
		return failure("claim a delivery", err)
	}
	defer func() { _ = settle(ctx, tx.Rollback) }() // after a commit there is nothing to roll back
	// The lease begins before the claim does, so that it ends here before it ends at the
	// server.
	limited, cancel := context.WithTimeout(ctx, s.lease)
	defer cancel()
	c, err := s.take(ctx, tx, id)
	if err != nil {
		return err
	}
	// The response may have arrived, or this process resumed, after the lease.
	if ctx.Err() != nil {
		return failure("claim a delivery", context.Cause(ctx))
	}
	if over, _ := limited.Deadline(); !time.Now().Before(over) {
		return errLate
	}
	// A handler whose connection was lost may still run, without the lock. This set
	// keeps the process from running a second one.
	if !s.start(id) {
		return clerkauth.ErrInFlight
	}
	defer s.end(id)
	if err := c.run(limited, handle); err != nil {
		return err
	}
	return settle(ctx, c.done)
}

// settle calls end with a context that outlives ctx by settleTime, so that a transaction
// is ended even if ctx is done.
func settle(ctx context.Context, end func(context.Context) error) error {
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), settleTime)
	defer cancel()
	return end(ctx)
}

// lock returns the key of the advisory lock for id. If two ids have the same key, one
// is in flight while the other is.
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
