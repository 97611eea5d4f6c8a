package clerkauth

import (
	"fmt"
	"io"
	"log/slog"
)

// Secret is a string that does not print. It is kept behind a pointer, so that
// not even fmt finds it by reflection in a struct that holds a [Config] in an
// unexported field, where no method of ours would be asked.
//
// The zero value is no secret at all.
type Secret struct{ value *string }

// NewSecret returns s as a Secret. The empty string gives the zero value, so
// that an environment variable can be handed over as it is.
func NewSecret(s string) Secret {
	if s == "" {
		return Secret{}
	}
	return Secret{&s}
}

// IsZero tells whether there is no secret.
func (s Secret) IsZero() bool { return s.value == nil }

// reveal returns the secret itself.
func (s Secret) reveal() string {
	if s.value == nil {
		return ""
	}
	return *s.value
}

// String returns "[redacted]", or "" for the zero value.
func (s Secret) String() string {
	if s.value == nil {
		return ""
	}
	return "[redacted]"
}

// Format writes what String returns, whatever the verb.
func (s Secret) Format(f fmt.State, _ rune) { _, _ = io.WriteString(f, s.String()) }

// MarshalText writes what String returns, for encoding/json and others.
func (s Secret) MarshalText() ([]byte, error) { return []byte(s.String()), nil }

// LogValue logs what String returns.
func (s Secret) LogValue() slog.Value { return slog.StringValue(s.String()) }
