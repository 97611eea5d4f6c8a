package postgres

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"time"

	"github.com/jackc/pgx/v5"

	"github.com/clerkauth/clerkauth"
)

// ErrClaimLost says that the transaction of a running handler ended before the
// handler did, because the connection was lost or the handler ended it in SQL, and
// that another process may have begun to handle the delivery. It ends the handler's
// context, as its cause, as soon as the server says so, which it is asked every
// thirtieth of the lease.
var ErrClaimLost = errors.New("postgres: the claim to the delivery was lost with its transaction")

// claim is the right to handle a delivery, which lasts as long as a transaction.
type claim struct {
	*Store
	tx  pgx.Tx
	id  string
	xid string // of the transaction
	pid int32  // of the server's process
	// What was set when the delivery was claimed.
	role, searchPath string
}

// take claims a delivery until tx ends.
func (s *Store) take(ctx context.Context, tx pgx.Tx, id string) (*claim, error) {
	var state, lease string
	if err := tx.QueryRow(ctx, s.claim, id, s.lock(id)).Scan(&state, &lease); err != nil {
		return nil, fmt.Errorf("postgres: claim a delivery: %w", err)
	}
	switch state {
	case "handled":
		return nil, clerkauth.ErrHandled
	case "in flight":
		return nil, clerkauth.ErrInFlight
	}
	c := &claim{Store: s, tx: tx, id: id}
	switch err := tx.QueryRow(ctx, s.begin, id).Scan(&c.xid, &c.pid, &c.role, &c.searchPath); {
	case errors.Is(err, pgx.ErrNoRows):
		return nil, clerkauth.ErrHandled
	case err != nil:
		return nil, fmt.Errorf("postgres: claim a delivery: %w", err)
	}
	return c, nil
}

// run calls handle, and looks after the claim meanwhile.
func (c *claim) run(ctx context.Context, handle func(context.Context) error) error {
	ctx, end := context.WithCancelCause(ctx)
	var watching sync.WaitGroup
	defer watching.Wait()
	defer end(nil)
	watching.Go(func() { c.watch(ctx, end) })

	tx := &handlerTx{Tx: c.tx}
	err := handle(context.WithValue(ctx, txKey{}, tx))
	switch {
	case err != nil && errors.Is(context.Cause(ctx), ErrClaimLost):
		return fmt.Errorf("%w: %w", ErrClaimLost, err)
	case err == nil && tx.rolledBack:
		return errRolledBack
	}
	return err
}

// heldSQL tells whether a server's process still holds a lock.
const heldSQL = `SELECT EXISTS (SELECT FROM pg_locks WHERE locktype = 'advisory' AND granted AND pid = $1
	AND objsubid = 1 AND (classid::bigint << 32) | objid::bigint = $2)`

// watch calls end when the claim is lost. While nobody can tell, the lease is what
// bounds the handler.
func (c *claim) watch(ctx context.Context, end context.CancelCauseFunc) {
	tick := time.NewTicker(c.lease / 30)
	defer tick.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case <-tick.C:
		}
		if held, err := c.held(ctx); err == nil && !held {
			end(ErrClaimLost)
			return
		}
	}
}

// held asks the server. It has a connection of its own for that: the claim's is the
// handler's, and those of the pool may all be taken, or as dead as that one.
func (c *claim) held(ctx context.Context) (held bool, err error) {
	ctx, cancel := context.WithTimeout(ctx, c.lease/10)
	defer cancel()
	config := c.pool.Config()
	if before := config.BeforeConnect; before != nil {
		if err := before(ctx, config.ConnConfig); err != nil {
			return false, err
		}
	}
	conn, err := pgx.ConnectConfig(ctx, config.ConnConfig)
	if err != nil {
		return false, err
	}
	defer func() { _ = conn.Close(ctx) }()
	err = conn.QueryRow(ctx, heldSQL, c.pid, c.lock(c.id)).Scan(&held)
	return held, err
}

// done remembers the delivery in the transaction of its claim, and commits.
func (c *claim) done(ctx context.Context) error {
	if _, err := c.tx.Exec(ctx, restoreSQL, c.role, c.searchPath); err != nil {
		return fmt.Errorf("postgres: remember a delivery: %w", err)
	}
	remembered, err := c.tx.Exec(ctx, c.remember, c.id, c.xid)
	switch {
	case err != nil:
		return fmt.Errorf("postgres: remember a delivery: %w", err)
	case remembered.RowsAffected() == 0:
		return ErrClaimLost
	}
	if err := c.tx.Commit(ctx); err != nil {
		return fmt.Errorf("postgres: remember a delivery: %w", err)
	}
	return nil
}
