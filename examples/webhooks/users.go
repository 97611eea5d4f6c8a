package main

import (
	"context"
	"time"

	"github.com/clerk/clerk-sdk-go/v2"

	"github.com/clerkauth/clerkauth"
	"github.com/clerkauth/clerkauth/event"
)

// users keeps a table of the instance's users in step with Clerk. Deliveries may
// come late and overtake each other, so a row says as of when it is true, and
// nothing older overwrites it. A user who was deleted leaves a row without a name
// behind, since what comes after it must not bring him back.
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

// subscribe says which events are of interest.
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
		e.Data.ID, primaryEmail(e.Data), name(e.Data), e.Data.UpdatedAt)
}

func (u users) delete(ctx context.Context, e *event.Event[event.Deleted]) error {
	return u.db.exec(ctx, `
INSERT INTO users (id, email, name, updated_at, deleted) VALUES ($1, '', '', $2, true)
ON CONFLICT (id) DO UPDATE SET email = '', name = '', updated_at = excluded.updated_at, deleted = true`,
		e.Data.ID, e.Timestamp.UnixMilli())
}

func primaryEmail(u clerk.User) string {
	for _, address := range u.EmailAddresses {
		if u.PrimaryEmailAddressID != nil && address.ID == *u.PrimaryEmailAddressID {
			return address.EmailAddress
		}
	}
	return ""
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

// rememberEnded is how long ended sessions are remembered: longer than any token of
// them, which live for a minute.
const rememberEnded = time.Hour

func (u users) endSession(ctx context.Context, e *event.Event[event.Session]) error {
	now := time.Now()
	if err := u.db.exec(ctx, "DELETE FROM ended_sessions WHERE ended_at < $1", now.Add(-rememberEnded).Unix()); err != nil {
		return err
	}
	return u.db.exec(ctx, "INSERT INTO ended_sessions (id, ended_at) VALUES ($1, $2) ON CONFLICT DO NOTHING", e.Data.ID, now.Unix())
}

// sessionLives is for clerkauth.CheckFunc: it refuses sessions that were ended,
// although their tokens are good for a minute more. The database knows, because a
// delivery reaches one process alone. While it does not answer, callers get 503.
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
