// Package event holds the types of Clerk's webhook events, each with the type of
// what it tells:
//
//	clerkauth.On(hooks, event.UserCreated, func(ctx context.Context, e *event.Event[clerk.User]) error {
//		return db.InsertUser(ctx, e.DeliveryID, e.Data)
//	})
//
// A handler for another payload does not compile. Payloads are clerk-sdk-go's types
// where those hold all that Clerk sends, and types of this package that embed them
// where they do not. Times in payloads are milliseconds since 1970, as there.
//
// What Clerk adds does no harm: fields that are not known here are left out of the
// payload, but stand in the JSON that every event keeps, and types that are not
// known here reach handlers of any event.
package event

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"math"
	"time"
	"unicode/utf8"

	"github.com/clerkauth/clerkauth/internal/unixtime"
)

// ErrMalformed is the error of what is no event, or none of the type asked for. An
// error that wraps it tells field names and types, and no values.
var ErrMalformed = errors.New("event: malformed")

// Type is a type of events whose payload is a T. The types that Clerk has are
// variables of this package; the zero value is none.
type Type[T any] struct{ name string }

// Name returns the type's name, such as user.created.
func (t Type[T]) Name() string { return t.name }

// Event is an event with the payload T.
type Event[T any] struct {
	Raw // its Data is the payload as JSON

	// Data is the payload: the user, session or whatever else it is that something
	// happened to, as it was when it happened. Events may overtake each other: an
	// older one than what is known already is told by the payload's updated_at.
	Data T
}

// Raw is an event whose payload has not been looked at.
type Raw struct {
	// DeliveryID is the svix-id: the same in every copy of a delivery, and in no
	// other. It is "" where Parse was given no delivery.
	DeliveryID string
	// Type is the event's type, such as user.created. It may be one that this
	// package does not know.
	Type string
	// InstanceID is the Clerk instance, ins_…; "" if it is not told.
	InstanceID string
	// Timestamp is when it happened; zero if that is not told.
	Timestamp time.Time
	// ClientIP and UserAgent are those of the request that caused the event, as
	// Clerk saw them; "" if they are not told.
	ClientIP, UserAgent string
	// Data is the payload as JSON; nil if there is none.
	Data json.RawMessage
	// JSON is the whole event as it was signed.
	JSON []byte
}

// Parse reads an event. Its signature must have been verified before, which
// clerkauth.Webhook does. Text must be valid UTF-8 and one JSON object whose member
// names are unique and of which type is a string that is not empty; the error is
// ErrMalformed otherwise. Whatever else is odd is as if it were not told.
func Parse(text []byte) (*Raw, error) {
	members, err := object(text)
	if err != nil {
		return nil, fmt.Errorf("%w: it is not a JSON object", ErrMalformed)
	}
	e := &Raw{JSON: text, Data: members["data"]}
	read(members["type"], &e.Type)
	if e.Type == "" {
		return nil, fmt.Errorf("%w: it has no type", ErrMalformed)
	}
	read(members["instance_id"], &e.InstanceID)
	var stamp float64
	read(members["timestamp"], &stamp)
	e.Timestamp = moment(stamp)
	var attributes, request map[string]json.RawMessage
	read(members["event_attributes"], &attributes)
	read(attributes["http_request"], &request)
	read(request["client_ip"], &e.ClientIP)
	read(request["user_agent"], &e.UserAgent)
	return e, nil
}

// object reads the members of a JSON object. encoding/json's own way would take a
// Type for a type, and the last of two.
func object(text []byte) (map[string]json.RawMessage, error) {
	if !utf8.Valid(text) || !json.Valid(text) {
		return nil, ErrMalformed
	}
	d := json.NewDecoder(bytes.NewReader(text))
	if start, err := d.Token(); err != nil || start != json.Delim('{') {
		return nil, ErrMalformed
	}
	members := map[string]json.RawMessage{}
	for d.More() {
		token, err := d.Token()
		name, ok := token.(string)
		if err != nil || !ok || members[name] != nil {
			return nil, ErrMalformed
		}
		var value json.RawMessage
		if err := d.Decode(&value); err != nil {
			return nil, ErrMalformed
		}
		members[name] = value
	}
	return members, nil
}

// read reads a value of the right type, and leaves to as it is otherwise.
func read[T any](value json.RawMessage, to *T) {
	var v T
	if json.Unmarshal(value, &v) == nil {
		*to = v
	}
}

// moment reads a timestamp: in milliseconds, as Clerk sends it, or in seconds, as its
// documentation shows it.
func moment(stamp float64) time.Time {
	if stamp <= 0 || stamp > math.MaxInt64/2 {
		return time.Time{}
	}
	return unixtime.Read(int64(stamp))
}

// Decode reads the payload of e, which must be of type t. Fields that a T does not
// have are left out. The error is ErrMalformed: a field of another type than a T's
// is nothing to go on with.
func (t Type[T]) Decode(e *Raw) (*Event[T], error) {
	if t.name == "" || e.Type != t.name {
		return nil, fmt.Errorf("%w: it is not of type %q", ErrMalformed, t.name)
	}
	if len(e.Data) == 0 || string(e.Data) == "null" {
		return nil, fmt.Errorf("%w: there is no data in a %s", ErrMalformed, t.name)
	}
	typed := &Event[T]{Raw: *e}
	err := json.Unmarshal(e.Data, &typed.Data)
	if wrong := (*json.UnmarshalTypeError)(nil); errors.As(err, &wrong) {
		return nil, fmt.Errorf("%w: data.%s of a %s is not a %s", ErrMalformed, wrong.Field, t.name, wrong.Type)
	}
	if err != nil {
		return nil, fmt.Errorf("%w: the data of a %s cannot be read", ErrMalformed, t.name)
	}
	return typed, nil
}
