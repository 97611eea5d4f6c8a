package exampletest

import (
	"context"
	"strings"
	"testing"
	"time"

	"github.com/clerkauth/clerkauth/internal/example"
)

// Local tests that a program starts a local Clerk instance only if no variable of Clerk's
// is set and it listens on loopback, and that otherwise it says what is missing. run runs
// the program, which listens on addr, until ctx ends.
func Local(t *testing.T, run func(ctx context.Context, addr string) error) {
	t.Helper()
	for _, c := range []struct{ variable, addr, want string }{
		{"", ":0", "loopback"},
		{"", "0.0.0.0:0", "set CLERK_PUBLISHABLE_KEY"},
		{"CLERK_SECRET_KEY=sk_test_0123456789", "127.0.0.1:0", "CLERK_"},
		{"CLERK_PUBLISHABLE_KEY=pk_test_broken", "127.0.0.1:0", "CLERK_"},
		{"CLERK_AUTHORIZED_PARTIES=http://localhost:8080", "127.0.0.1:0", "CLERK_"},
		{"NEXT_PUBLIC_CLERK_PUBLISHABLE_KEY=pk_test_broken", "127.0.0.1:0", "CLERK_"},
		{"CLERK_API_URL=http://127.0.0.1:1", ":0", "CLERK_"},
	} {
		t.Run(c.variable+" "+c.addr, func(t *testing.T) {
			Unset(t)
			if name, value, ok := strings.Cut(c.variable, "="); ok {
				t.Setenv(name, value)
			}
			ctx, stop := context.WithTimeout(t.Context(), 20*time.Second)
			defer stop()
			err := run(ctx, c.addr)
			if err == nil || !strings.Contains(strings.ReplaceAll(err.Error(), "PublishableKey", "CLERK_PUBLISHABLE_KEY"), c.want) {
				t.Errorf("error = %v, which does not say %q", err, c.want)
			}
		})
	}
}

// Unset takes Clerk's variables away.
func Unset(t *testing.T) {
	t.Helper()
	for name := example.Configured(); name != ""; name = example.Configured() {
		t.Setenv(name, "")
	}
}
