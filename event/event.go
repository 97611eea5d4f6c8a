// Package event holds the types of Clerk's webhook events, each with the type of its
// payload:
//
//	clerkauth.On(hooks, event.UserCreated, func(ctx context.Context, e *event.Event[clerk.User]) error {
//		return db.InsertUser(ctx, e.DeliveryID, e.Data)
//	})
//
// A handler for another payload does not compile. Payloads are types of clerk-sdk-go
// where these have all fields that Clerk sends, and otherwise types of this package that
// embed them. Users are the exception: their payload is the clerk.User that the rest of a
// program has, and FullUser returns the fields that it lacks. Times in payloads are in
// milliseconds since 1970.
//
// No field of Clerk's published schema is lost, apart from deprecated ones. New fields and
// types do no harm: fields that this package does not know are in the JSON of every event,
// and events of types that it does not know are passed to the handler for any event. Custom
// makes types for them.
package event

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"math"
	"time"
	"unicode/utf8"

	"github.com/clerk/clerk-sdk-go/v2"

	"github.com/clerkauth/clerkauth/internal/unixtime"
)

// ErrMalformed indicates that a text is not an event, or not one of the expected type.
// Errors that wrap it contain names and types of fields, and no values.
var ErrMalformed = errors.New("event: malformed")

// Type is a type of events whose payload is a T. Clerk's types are variables of this
// package. The zero value is not a type.
type Type[T any] struct{ name string }

// Name returns the type's name, such as user.created.
func (t Type[T]) Name() string { return t.name }

// Event is an event whose payload is decoded as a T.
type Event[T any] struct {
	Raw // its Data is the payload as JSON

	// Data is the payload: the user, session or other object as it was when the event
	// occurred. Events may arrive out of order; compare the payload's updated_at.
	Data T
}

// Raw is an event whose payload is not decoded.
type Raw struct {
	// DeliveryID is the svix-id, which all copies of a delivery share and no other
	// delivery has. It is "" after Parse.
	DeliveryID string
	// Type is the event's type, such as user.created. This package may not know it.
	Type string
	// InstanceID is the id of the Clerk instance, ins_…, or "" if it is unknown.
	InstanceID string
	// Timestamp is when the event occurred, or zero if that is unknown.
	Timestamp time.Time
	// ClientIP and UserAgent are those of the request that caused the event, as Clerk
	// received it, or "" if they are unknown.
	ClientIP, UserAgent string
	// Data is the payload as JSON, or nil if there is none.
	Data json.RawMessage
	// JSON is the whole event as it was signed.
	JSON []byte
}

// Parse parses an event whose signature has been verified, as clerkauth.Webhook does. The
// error is ErrMalformed unless text is valid UTF-8 and one JSON object whose member names
// are unique and whose type is a non-empty string. Other members of the wrong type are
// treated as absent.
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

// object returns the members of a JSON object. Unlike json.Unmarshal into a struct, it
// does not accept Type for type, nor the last of two.
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

// read sets to from value, unless value is of another type.
func read[T any](value json.RawMessage, to *T) {
	var v T
	if json.Unmarshal(value, &v) == nil {
		*to = v
	}
}

// moment returns the time of a timestamp: in milliseconds, as Clerk sends it, or in
// seconds, as in its documentation.
func moment(stamp float64) time.Time {
	if stamp <= 0 || stamp > math.MaxInt64/2 {
		return time.Time{}
	}
	return unixtime.Read(int64(stamp))
}

// Decode decodes the payload of e, which must be of type t. It ignores members that a T
// has no field for. The error is ErrMalformed if e is of another type, has no payload, or
// has one with a member that does not fit its field.
func (t Type[T]) Decode(e *Raw) (*Event[T], error) {
	if t.name == "" || e.Type != t.name {
		return nil, fmt.Errorf("%w: it is not of type %q", ErrMalformed, t.name)
	}
	if len(e.Data) == 0 || string(e.Data) == "null" {
		return nil, fmt.Errorf("%w: there is no data in a %s", ErrMalformed, t.name)
	}
	typed := &Event[T]{Raw: *e}
	err := decode(e.Data, &typed.Data)
	if wrong := (*json.UnmarshalTypeError)(nil); errors.As(err, &wrong) {
		return nil, fmt.Errorf("%w: data.%s of a %s is not a %s", ErrMalformed, wrong.Field, t.name, wrong.Type)
	}
	if err != nil {
		return nil, fmt.Errorf("%w: the data of a %s cannot be read", ErrMalformed, t.name)
	}
	return typed, nil
}

// decode decodes a payload. A clerk.User that does not fit may be the part of a User that
// does: the SDK has a type for SAML connections, whose form Clerk's schema leaves open.
func decode(payload []byte, to any) error {
	err := json.Unmarshal(payload, to)
	if user, ok := to.(*clerk.User); ok && err != nil {
		var full User
		if json.Unmarshal(payload, &full) == nil {
			*user, err = full.User, nil
		}
	}
	return err
}
