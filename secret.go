package clerkauth

import (
	"fmt"
	"io"
	"log/slog"
)

// Secret is a string that does not print: with any verb of fmt, in logs, and in JSON it
// is "[redacted]". The zero value is no secret. It is safe for concurrent use.
type Secret struct {
	// value is a pointer, so that fmt does not find the string by reflection in a
	// struct that holds a Secret in an unexported field: methods are not called there.
	value *string
}

// NewSecret returns s as a Secret. It returns the zero value for "", so that the value
// of an environment variable can be passed whether it is set or not.
func NewSecret(s string) Secret {
	if s == "" {
		return Secret{}
	}
	return Secret{&s}
}

// IsZero reports whether there is no secret.
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

// MarshalText returns what String returns, for encoding/json and others.
func (s Secret) MarshalText() ([]byte, error) { return []byte(s.String()), nil }

// LogValue returns what String returns.
func (s Secret) LogValue() slog.Value { return slog.StringValue(s.String()) }
