package postgres

import (
	"cmp"
	"context"
	"errors"
	"fmt"

	"github.com/jackc/pgx/v5"

	"github.com/clerkauth/clerkauth"
)

// claim is the right to handle a delivery, which lasts as long as a transaction.
type claim struct {
	*Deliveries
	tx  pgx.Tx
	id  string
	xid string // of the transaction
	pid int32  // of the server's process
	// What was set when the delivery was claimed.
	role, searchPath string
}

// take claims a delivery until tx ends.
func (s *Deliveries) take(ctx context.Context, tx pgx.Tx, id string) (*claim, error) {
	if err := s.ask(ctx, tx, id); err != nil {
		return nil, err
	}
	c := &claim{Deliveries: s, tx: tx, id: id}
	switch err := tx.QueryRow(ctx, s.begin, id, s.endpoint).Scan(&c.xid, &c.pid, &c.role, &c.searchPath); {
	case errors.Is(err, pgx.ErrNoRows): // handled meanwhile, by some endpoint
		return nil, cmp.Or(s.ask(ctx, tx, id), clerkauth.ErrInFlight)
	case err != nil:
		return nil, failure("claim a delivery", err)
	}
	return c, nil
}

// ask asks for the claim to a delivery, and returns nil if it was given.
func (s *Deliveries) ask(ctx context.Context, tx pgx.Tx, id string) error {
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

// run calls handle, and looks after the claim meanwhile.
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

// done remembers the delivery in the transaction of its claim, and commits.
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
