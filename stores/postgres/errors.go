package postgres

import (
	"errors"
	"fmt"

	"github.com/jackc/pgx/v5/pgconn"

	"github.com/clerkauth/clerkauth/internal/plain"
)

// ErrClaimLost says that the transaction of a running handler ended before the
// handler did, because the connection was lost or the handler ended it in SQL, and
// that another process may have begun to handle the delivery. It ends the handler's
// context, as its cause, as soon as the server says so, which it is asked every
// thirtieth of the lease.
var ErrClaimLost error = plain.New(errors.New("postgres: the claim to the delivery was lost with its transaction"))

var errLate = plain.Wrap("postgres: the answer to the claim came after its lease: look at the network, and at processes that stand still", ErrClaimLost)

// advice is what to do about errors of the server, by SQLSTATE or its first two
// characters, the class.
var advice = map[string]string{
	"42P01": "there is no such table: call Deliveries.CreateTable, or run what Deliveries.Schema returns",
	"3F000": "there is no such schema: create it, then call Deliveries.CreateTable",
	"42703": "the table lacks a column: call Deliveries.CreateTable, or run what Deliveries.Schema returns",
	"42501": "the user lacks a right: grant SELECT, INSERT, UPDATE and DELETE on the table, and USAGE on its schema",
	"42P05": "behind PgBouncer in transaction mode, set DefaultQueryExecMode to exec or simple_protocol",
	"26000": "behind PgBouncer in transaction mode, set DefaultQueryExecMode to exec or simple_protocol",
	"42P10": "id is not the table's primary key: make the table as Deliveries.Schema says",
	"25006": "this server is read-only: connect to the primary, with target_session_attrs=read-write",
	"25P02": "the handler went on after a statement of its transaction had failed: return that error, or use a savepoint",
	"25P03": "the handler's transaction was silent for longer than the lease",
	"3D000": "there is no such database",
	"23":    "a constraint refuses it: look at constraints and triggers that Deliveries.Schema does not have, and at deferred ones of the handler's tables",
	"28":    "the server does not accept this user: look at its password and pg_hba.conf",
	"53":    "the server lacks connections, memory or disk space",
	"57":    "the server is shutting down or ended the connection: this passes",
	"08":    "the connection was lost",
}

// failure returns err with what was being done and what to do about it. Its text may
// be logged, with the SQLSTATE; the text of err is left out then, which may quote
// values. Names of constraints are none.
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
