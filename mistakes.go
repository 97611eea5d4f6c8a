package clerkauth

import "fmt"

// mistakes collects what is wrong with a configuration.
type mistakes []error

// add records that field is wrong, unless err is nil.
func (m *mistakes) add(field string, err error) {
	if err != nil {
		*m = append(*m, fmt.Errorf("%s: %w", field, err))
	}
}
