package event

import (
	"encoding/json"
	"fmt"
	"slices"
)

// names are the names of all types, in the order of their declaration.
var names []string

func newType[T any](name string) Type[T] {
	names = append(names, name)
	return Type[T]{name}
}

// Names returns the names of all types, sorted.
func Names() []string { return slices.Sorted(slices.Values(names)) }

// Custom returns the type called name with a T as payload: for types that this package does
// not know, such as those that Clerk adds, and for payload types of your own:
//
//	clerkauth.On(hooks, event.Custom[Payload]("apiKey.created"), func(ctx context.Context, e *event.Event[Payload]) error { … })
//
// Payloads are decoded by encoding/json. For a type that this package knows, a handler
// takes the place of the one with the usual payload. The type of "" is the zero value.
func Custom[T any](name string) Type[T] { return Type[T]{name} }

// Named returns the type called name, whose payload is not decoded, for names from a
// configuration or a command line. It fails for a name that is not one of Names.
func Named(name string) (Type[json.RawMessage], error) {
	if slices.Contains(names, name) {
		return Type[json.RawMessage]{name}, nil
	}
	return Type[json.RawMessage]{}, fmt.Errorf("event: there is no type %.100q", name)
}
