package main

import (
	"context"
	"database/sql"
	"strings"

	"github.com/jackc/pgx/v5/pgxpool"
	_ "modernc.org/sqlite" // without cgo

	"github.com/clerkauth/clerkauth"
	"github.com/clerkauth/clerkauth/stores/postgres"
)

// database is implemented by both databases.
type database interface {
	exec(ctx context.Context, sql string, args ...any) error
	query(ctx context.Context, row func(scan func(...any) error) error, sql string, args ...any) error
	// deliveries returns the store of handled deliveries, or nil for one in memory.
	deliveries() clerkauth.Deliveries
	close()
}

// open opens PostgreSQL at url, or, if url is "", SQLite in file, or in memory if that
// is "", too.
func open(ctx context.Context, url, file string) (database, error) {
	var db database
	var err error
	if url != "" {
		db, err = openPostgres(ctx, url)
	} else {
		db, err = openSQLite(file)
	}
	if err != nil {
		return nil, err
	}
	if err := db.exec(ctx, usersSQL); err != nil {
		db.close()
		return nil, err
	}
	return db, nil
}

type postgresDB struct {
	pool  *pgxpool.Pool
	store *postgres.Deliveries
}

func openPostgres(ctx context.Context, url string) (*postgresDB, error) {
	pool, err := pgxpool.New(ctx, url)
	if err != nil {
		return nil, err
	}
	store, err := postgres.NewDeliveries(pool, postgres.Options{})
	if err == nil {
		err = store.CreateTable(ctx)
	}
	if err != nil {
		pool.Close()
		return nil, err
	}
	return &postgresDB{pool, store}, nil
}

// exec executes sql in the transaction of the delivery that is being handled, if there is
// one, so that it is committed together with the delivery's id.
func (p *postgresDB) exec(ctx context.Context, sql string, args ...any) error {
	if tx := postgres.Tx(ctx); tx != nil {
		_, err := tx.Exec(ctx, sql, args...)
		return err
	}
	_, err := p.pool.Exec(ctx, sql, args...)
	return err
}

func (p *postgresDB) query(ctx context.Context, row func(func(...any) error) error, sql string, args ...any) error {
	rows, err := p.pool.Query(ctx, sql, args...)
	if err != nil {
		return err
	}
	defer rows.Close()
	for rows.Next() {
		if err := row(rows.Scan); err != nil {
			return err
		}
	}
	return rows.Err()
}

func (p *postgresDB) deliveries() clerkauth.Deliveries { return p.store }

func (p *postgresDB) close() { p.pool.Close() }

type sqliteDB struct{ db *sql.DB }

func openSQLite(file string) (*sqliteDB, error) {
	if file == "" {
		file = ":memory:"
	}
	db, err := sql.Open("sqlite", file)
	if err != nil {
		return nil, err
	}
	db.SetMaxOpenConns(1) // in memory, every connection is a database of its own
	return &sqliteDB{db}, nil
}

// exec accepts PostgreSQL's placeholders ($1) in place of SQLite's (?1).
func (s *sqliteDB) exec(ctx context.Context, sql string, args ...any) error {
	_, err := s.db.ExecContext(ctx, strings.ReplaceAll(sql, "$", "?"), args...)
	return err
}

func (s *sqliteDB) query(ctx context.Context, row func(func(...any) error) error, sql string, args ...any) error {
	rows, err := s.db.QueryContext(ctx, strings.ReplaceAll(sql, "$", "?"), args...)
	if err != nil {
		return err
	}
	defer func() { _ = rows.Close() }() // Err returns the error
	for rows.Next() {
		if err := row(rows.Scan); err != nil {
			return err
		}
	}
	return rows.Err()
}

// deliveries returns nil: deliveries are remembered in memory. One that is handled again
// after a restart changes nothing, because it is not newer than its row.
func (s *sqliteDB) deliveries() clerkauth.Deliveries { return nil }

func (s *sqliteDB) close() { _ = s.db.Close() }
