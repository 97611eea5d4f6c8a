package postgres

import (
	"errors"
	"fmt"

	"github.com/jackc/pgx/v5/pgconn"

	"github.com/clerkauth/clerkauth/internal/plain"
)

// ErrClaimLost indicates that the transaction of a running handler ended before the
// handler did, because its connection was lost or the handler ended it in SQL. Another
// process may be handling the delivery. It is the cause of the cancellation of the
// handler's context, which follows when the server confirms the loss; the server is
// polled at intervals of a thirtieth of the lease.
var ErrClaimLost error = plain.New(errors.New("postgres: the claim to the delivery was lost with its transaction"))

var errLate = plain.Wrap("postgres: the response to the claim came after its lease: check the network, and whether processes are suspended", ErrClaimLost)

// advice says what to do about the server's errors, by SQLSTATE or by its class, the
// first two characters.
var advice = map[string]string{
	"42P01": "the table does not exist: call Deliveries.CreateTable, or run what Deliveries.Schema returns",
	"3F000": "the schema does not exist: create it, then call Deliveries.CreateTable",
	"42703": "the table lacks a column: call Deliveries.CreateTable, or run what Deliveries.Schema returns",
	"42501": "the user lacks a right: grant SELECT, INSERT, UPDATE and DELETE on the table, and USAGE on its schema",
	"42P05": "behind PgBouncer in transaction mode, set DefaultQueryExecMode to exec or simple_protocol",
	"26000": "behind PgBouncer in transaction mode, set DefaultQueryExecMode to exec or simple_protocol",
	"42P10": "id is not the table's primary key: create the table with Deliveries.Schema",
	"25006": "this server is read-only: connect to the primary, with target_session_attrs=read-write",
	"25P02": "the handler continued after a statement of its transaction had failed: return that error, or use a savepoint",
	"25P03": "the handler's transaction was idle for longer than the lease",
	"3D000": "the database does not exist",
	"23":    "a constraint is violated: check constraints and triggers that Deliveries.Schema does not have, and deferred ones of the handler's tables",
	"28":    "the server rejects this user: check its password and pg_hba.conf",
	"53":    "the server lacks connections, memory or disk space",
	"57":    "the server is shutting down or ended the connection: this is temporary",
	"08":    "the connection was lost",
}

// failure returns err with the operation that failed and advice. Its text may be
// logged, with the SQLSTATE: it leaves out the text of err, which may quote values, but
// not the names of constraints, which do not.
func failure(doing string, err error) error {
	text := "postgres: " + doing
	var refused *pgconn.PgError
	var connecting *pgconn.ConnectError
	switch {
	case errors.As(err, &refused):
		what := advice[refused.Code]
		if what == "" && len(refused.Code) == 5 {
			what = advice[refused.Code[:2]]
		}
		if what != "" {
			text += ": " + what
		}
		if refused.ConstraintName != "" {
			text += fmt.Sprintf(" (constraint %q)", refused.ConstraintName)
		}
	case errors.As(err, &connecting):
		text += ": the server cannot be reached"
	}
	return plain.Wrap(text, err)
}
