package event

import (
	"encoding/json"
	"fmt"
	"slices"
	"strings"
	"unicode"
)

// names are those of all types, in the order in which they are declared.
var names []string

func newType[T any](name string) Type[T] {
	names = append(names, name)
	return Type[T]{name}
}

// Names returns the names of all types, sorted.
func Names() []string { return slices.Sorted(slices.Values(names)) }

// Named returns the type of that name, with its payload left as JSON: for names
// that come from configuration or a command line. For a name that is not known, the
// error suggests the one that may be meant.
func Named(name string) (Type[json.RawMessage], error) {
	if slices.Contains(names, name) {
		return Type[json.RawMessage]{name}, nil
	}
	return Type[json.RawMessage]{}, fmt.Errorf("event: there is no type %.100q%s", name, suggestion(name))
}

// suggestion asks whether another name was meant: one of the same letters, or the
// one that the fewest changes lead to, if they are few.
func suggestion(name string) string {
	if len(name) > 100 {
		return ""
	}
	wanted := letters(name)
	best, changes := "", 1+len(wanted)/3
	for _, known := range Names() {
		if d := distance(wanted, letters(known)); d < changes {
			best, changes = known, d
		}
	}
	if best == "" {
		return ""
	}
	return fmt.Sprintf(": did you mean %q?", best)
}

// letters leaves out what names are spelled differently by.
func letters(name string) string {
	return strings.Map(func(c rune) rune {
		if !unicode.IsLetter(c) {
			return -1
		}
		return unicode.ToLower(c)
	}, name)
}

// distance is the number of letters to insert, delete or replace (Levenshtein).
func distance(a, b string) int {
	row := make([]int, len(b)+1)
	for j := range row {
		row[j] = j
	}
	for i := range len(a) {
		above := row[0]
		row[0] = i + 1
		for j := range len(b) {
			cost := above
			if a[i] != b[j] {
				cost++
			}
			above = row[j+1]
			row[j+1] = min(cost, row[j]+1, above+1)
		}
	}
	return row[len(b)]
}
