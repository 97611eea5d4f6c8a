package clerkauth

import (
	"fmt"

	"github.com/clerkauth/clerkauth/internal/hint"
)

// mistakes collects what is wrong with a configuration.
type mistakes []error

// add records that field is wrong, unless err is nil.
func (m *mistakes) add(field string, err error) {
	if err != nil {
		*m = append(*m, fmt.Errorf("%s: %w", field, err))
	}
}

// explained is hint.Error.
func explained(text, value, otherwise string) error { return hint.Error(text, value, otherwise) }
