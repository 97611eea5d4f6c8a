package postgres

import (
	"context"
	"errors"

	"github.com/jackc/pgx/v5"
)

type txKey struct{}

// Tx returns the transaction in which a handler does its work, or nil if ctx is not the
// context of a handler called by a [Deliveries]. The store commits it when the handler
// returns nil. Its Commit returns an error, and after its Rollback the delivery fails.
// Begin, and so pgx.BeginFunc, makes a savepoint. If the handler ends the transaction
// in another way, through Conn or in SQL, the delivery fails with [ErrClaimLost].
//
// The transaction must not be used after the handler has returned, and is not safe for
// concurrent use.
func Tx(ctx context.Context) pgx.Tx {
	if tx, ok := ctx.Value(txKey{}).(*handlerTx); ok {
		return tx
	}
	return nil
}

var (
	errCommit     = errors.New("postgres: the transaction of a delivery is committed by the store, when the handler returns nil")
	errRolledBack = errors.New("postgres: the handler rolled back the transaction of its delivery")
)

// handlerTx is a transaction that the handler cannot end, because the claim to the
// delivery would end with it.
type handlerTx struct {
	pgx.Tx
	rolledBack bool
}

func (*handlerTx) Commit(context.Context) error { return errCommit }

func (tx *handlerTx) Rollback(context.Context) error {
	tx.rolledBack = true
	return nil
}
