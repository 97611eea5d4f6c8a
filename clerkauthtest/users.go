package clerkauthtest

import (
	"bytes"
	"encoding/json"
	"time"
)

// User is a user of the instance.
type User struct {
	ID    string // user_…
	Email string // "" if they signed up with a phone number
	Phone string // such as +15555550100, or ""

	srv                     *Server
	firstName, lastName     string
	public, private, unsafe json.RawMessage
	banned                  bool
	createdAt, updatedAt    time.Time
	lastSignInAt            time.Time // zero: never
}

// UserOption configures a user.
type UserOption func(*User)

// Name sets the user's first and last name, which may be empty. Defaults to none.
func Name(first, last string) UserOption {
	return func(u *User) { u.firstName, u.lastName = first, last }
}

// PhoneNumber sets the user's phone number, such as +15555550100. Defaults to none.
func PhoneNumber(number string) UserOption { return func(u *User) { u.Phone = number } }

// PublicMetadata sets the user's public metadata, which only the Backend API writes: a
// value that encoding/json marshals to an object. Session tokens do not contain it unless
// [Claims] adds it. Defaults to none.
func PublicMetadata(metadata any) UserOption {
	object := mustObject("metadata", metadata)
	return func(u *User) { u.public = object }
}

// PrivateMetadata sets the user's private metadata, which only the Backend API reads, as
// PublicMetadata does.
func PrivateMetadata(metadata any) UserOption {
	object := mustObject("metadata", metadata)
	return func(u *User) { u.private = object }
}

// UnsafeMetadata sets the user's unsafe metadata, which users write themselves, as
// PublicMetadata does.
func UnsafeMetadata(metadata any) UserOption {
	object := mustObject("metadata", metadata)
	return func(u *User) { u.unsafe = object }
}

// mustObject returns value as a JSON object.
func mustObject(what string, value any) json.RawMessage {
	object := mustJSON(value)
	if !bytes.HasPrefix(object, []byte("{")) {
		panic("clerkauthtest: " + what + " must marshal to a JSON object")
	}
	return object
}

// CreateUser creates a user.
func (s *Server) CreateUser(email string, opts ...UserOption) *User {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.createUser(email, opts...)
}

// createUser is CreateUser. The caller holds mu.
func (s *Server) createUser(email string, opts ...UserOption) *User {
	now := s.Now()
	u := &User{
		ID: "user_" + randomText(), Email: email, srv: s, createdAt: now, updatedAt: now,
		public: json.RawMessage("{}"), private: json.RawMessage("{}"), unsafe: json.RawMessage("{}"),
	}
	for _, option := range opts {
		option(u)
	}
	s.users[u.ID] = u
	return u
}

// Ban bans the user, as Clerk's Backend API and dashboard do: their sessions are revoked,
// and SignIn panics. Session tokens that were issued are valid until they expire, for a
// minute. Only the user in the Backend API tells that they are banned.
func (u *User) Ban() { u.setBanned(true) }

// Unban lifts the ban. The sessions stay revoked.
func (u *User) Unban() { u.setBanned(false) }

func (u *User) setBanned(banned bool) {
	now := u.srv.Now()
	u.srv.mu.Lock()
	defer u.srv.mu.Unlock()
	u.banned, u.updatedAt = banned, now
	if !banned {
		return
	}
	for _, session := range u.srv.sessions {
		if session.User == u && session.ended == "" {
			session.ended = "revoked"
		}
	}
}
