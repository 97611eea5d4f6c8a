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

// Named returns the type called name, whose payload is not decoded, for names from a
// configuration or a command line. It fails for a name that is not one of Names.
func Named(name string) (Type[json.RawMessage], error) {
	if slices.Contains(names, name) {
		return Type[json.RawMessage]{name}, nil
	}
	return Type[json.RawMessage]{}, fmt.Errorf("event: there is no type %.100q", name)
}
