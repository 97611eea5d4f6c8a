package postgres

import (
	"context"
	"errors"

	"github.com/jackc/pgx/v5"
)

type txKey struct{}

// Tx returns the transaction of the delivery that is being handled, in which its
// handler does its work, or nil if ctx is not that of a handler which a [Deliveries]
// called. The store commits it when the handler returns nil: its Commit is an
// error, and after its Rollback the delivery counts as failed. Begin makes a
// savepoint, as pgx.BeginFunc does with it; its Conn knows nothing of all that, and
// a handler that ends the transaction there, or in SQL, has failed with
// [ErrClaimLost]. Do not use it when the handler has returned, nor in two goroutines
// at a time.
func Tx(ctx context.Context) pgx.Tx {
	if tx, ok := ctx.Value(txKey{}).(*handlerTx); ok {
		return tx
	}
	return nil
}

var (
	errCommit     = errors.New("postgres: the store commits the transaction of a delivery, when its handler returns nil")
	errRolledBack = errors.New("postgres: the handler rolled the transaction of its delivery back")
)

// handlerTx is a transaction that its handler cannot end, because the claim to the
// delivery ends with it.
type handlerTx struct {
	pgx.Tx
	rolledBack bool
}

func (*handlerTx) Commit(context.Context) error { return errCommit }

func (tx *handlerTx) Rollback(context.Context) error {
	tx.rolledBack = true
	return nil
}
