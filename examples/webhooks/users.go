package main

import (
	"context"
	"time"

	"github.com/clerk/clerk-sdk-go/v2"

	"github.com/clerkauth/clerkauth"
	"github.com/clerkauth/clerkauth/event"
)

// users synchronizes a table of the instance's users with Clerk. Deliveries may arrive
// late and out of order, so every row has the time of its data, and older data do not
// overwrite it. The row of a deleted user remains, without a name, so that a later
// delivery does not create the user again.
type users struct{ db database }

const usersSQL = `
CREATE TABLE IF NOT EXISTS users (
	id         text PRIMARY KEY,
	email      text NOT NULL,
	name       text NOT NULL,
	updated_at bigint NOT NULL, -- Clerk's, in milliseconds
	deleted    boolean NOT NULL
);
CREATE TABLE IF NOT EXISTS ended_sessions (
	id       text PRIMARY KEY,
	ended_at bigint NOT NULL -- in seconds
);`

// subscribe registers the handlers of events.
func (u users) subscribe(hooks *clerkauth.Webhook) {
	clerkauth.On(hooks, event.UserCreated, u.put)
	clerkauth.On(hooks, event.UserUpdated, u.put)
	clerkauth.On(hooks, event.UserDeleted, u.delete)
	clerkauth.On(hooks, event.SessionRevoked, u.endSession)
	clerkauth.On(hooks, event.SessionRemoved, u.endSession)
	clerkauth.On(hooks, event.SessionEnded, u.endSession)
}

func (u users) put(ctx context.Context, e *event.Event[clerk.User]) error {
	return u.db.exec(ctx, `
INSERT INTO users (id, email, name, updated_at, deleted) VALUES ($1, $2, $3, $4, false)
ON CONFLICT (id) DO UPDATE SET email = excluded.email, name = excluded.name, updated_at = excluded.updated_at
WHERE NOT users.deleted AND users.updated_at <= excluded.updated_at`,
		e.Data.ID, event.PrimaryEmail(e.Data), name(e.Data), e.Data.UpdatedAt)
}

func (u users) delete(ctx context.Context, e *event.Event[event.Deleted]) error {
	return u.db.exec(ctx, `
INSERT INTO users (id, email, name, updated_at, deleted) VALUES ($1, '', '', $2, true)
ON CONFLICT (id) DO UPDATE SET email = '', name = '', updated_at = excluded.updated_at, deleted = true`,
		e.Data.ID, e.Timestamp.UnixMilli())
}

func name(u clerk.User) string {
	switch {
	case u.FirstName != nil && u.LastName != nil:
		return *u.FirstName + " " + *u.LastName
	case u.FirstName != nil:
		return *u.FirstName
	case u.LastName != nil:
		return *u.LastName
	}
	return ""
}

// user is a row of the table.
type user struct{ ID, Email, Name string }

func (u users) list(ctx context.Context) ([]user, error) {
	var all []user
	err := u.db.query(ctx, func(scan func(...any) error) error {
		var one user
		err := scan(&one.ID, &one.Email, &one.Name)
		all = append(all, one)
		return err
	}, "SELECT id, email, name FROM users WHERE NOT deleted ORDER BY email, id")
	return all, err
}

// rememberEnded is how long ended sessions are remembered: longer than their tokens are
// valid, which is a minute.
const rememberEnded = time.Hour

func (u users) endSession(ctx context.Context, e *event.Event[event.Session]) error {
	now := time.Now()
	if err := u.db.exec(ctx, "DELETE FROM ended_sessions WHERE ended_at < $1", now.Add(-rememberEnded).Unix()); err != nil {
		return err
	}
	return u.db.exec(ctx, "INSERT INTO ended_sessions (id, ended_at) VALUES ($1, $2) ON CONFLICT DO NOTHING", e.Data.ID, now.Unix())
}

// sessionLives is for clerkauth.CheckFunc. It reports whether the session has not ended:
// tokens of ended sessions are valid for up to a minute more. Ended sessions are in the
// database because a delivery reaches only one process. While the database is
// unavailable, callers get 503.
func (u users) sessionLives(ctx context.Context, who clerkauth.Auth) (bool, error) {
	ctx, cancel := context.WithTimeout(ctx, time.Second)
	defer cancel()
	ended := false
	err := u.db.query(ctx, func(func(...any) error) error {
		ended = true
		return nil
	}, "SELECT 1 FROM ended_sessions WHERE id = $1", who.SessionID)
	return !ended, err
}
