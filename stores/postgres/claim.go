package postgres

import (
	"cmp"
	"context"
	"errors"
	"fmt"

	"github.com/jackc/pgx/v5"

	"github.com/clerkauth/clerkauth"
)

// claim is the right to handle a delivery. It ends with its transaction.
type claim struct {
	*Deliveries
	tx  pgx.Tx
	id  string
	xid string // transaction id
	pid int32  // process id of the connection's server process
	// Settings of the connection when the delivery was claimed.
	role, searchPath string
}

// take claims a delivery until tx ends.
func (s *Deliveries) take(ctx context.Context, tx pgx.Tx, id string) (*claim, error) {
	if err := s.lockDelivery(ctx, tx, id); err != nil {
		return nil, err
	}
	c := &claim{Deliveries: s, tx: tx, id: id}
	switch err := tx.QueryRow(ctx, s.begin, id, s.endpoint).Scan(&c.xid, &c.pid, &c.role, &c.searchPath); {
	case errors.Is(err, pgx.ErrNoRows): // handled in the meantime, by some endpoint
		return nil, cmp.Or(s.lockDelivery(ctx, tx, id), clerkauth.ErrInFlight)
	case err != nil:
		return nil, failure("claim a delivery", err)
	}
	return c, nil
}

// lockDelivery takes the delivery's lock in tx. It returns nil if tx has it.
func (s *Deliveries) lockDelivery(ctx context.Context, tx pgx.Tx, id string) error {
	var state, lease string
	if err := tx.QueryRow(ctx, s.claim, id, s.lock(id), s.endpoint).Scan(&state, &lease); err != nil {
		return failure("claim a delivery", err)
	}
	switch state {
	case "handled":
		return clerkauth.ErrHandled
	case "of another endpoint":
		return clerkauth.ErrOtherEndpoint
	case "in flight":
		return clerkauth.ErrInFlight
	}
	return nil
}

// run calls handle, whose context is canceled if the claim is lost.
func (c *claim) run(ctx context.Context, handle func(context.Context) error) error {
	ctx, end := context.WithCancelCause(ctx)
	defer end(nil)
	defer c.watcher.watch(c.pid, c.lock(c.id), func() { end(ErrClaimLost) })()

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

// done marks the delivery handled in the transaction of its claim, and commits.
func (c *claim) done(ctx context.Context) error {
	if _, err := c.tx.Exec(ctx, restoreSQL, c.role, c.searchPath); err != nil {
		return failure("remember a delivery", err)
	}
	remembered, err := c.tx.Exec(ctx, c.remember, c.id, c.xid)
	switch {
	case err != nil:
		return failure("remember a delivery", err)
	case remembered.RowsAffected() == 0:
		return ErrClaimLost
	}
	if err := c.tx.Commit(ctx); err != nil {
		return failure("remember a delivery", err)
	}
	return nil
}
