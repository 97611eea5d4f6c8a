// Package exampletest tests example programs.
package exampletest

import (
	"context"
	"fmt"
	"io"
	"strings"
	"testing"

	"github.com/clerkauth/clerkauth/internal/example"
)

// Run tests that p serves, and that it has that many requests and responds to them as
// documented.
func Run(t *testing.T, p example.Program, requests int) {
	t.Helper()
	Unset(t)
	t.Run("checks", func(t *testing.T) {
		var out strings.Builder
		if err := p.Run(t.Context(), true, "", &out); err != nil || !strings.HasSuffix(out.String(), fmt.Sprintf("\n%d passed, 0 failed\n", requests)) {
			t.Errorf("%v\n%s", err, out.String())
		}
	})
	t.Run("can fail", func(t *testing.T) {
		var out strings.Builder
		wrong := []example.Request{{Shows: "nothing listens there", Method: "GET", Path: "/", Want: 200}}
		if err := example.Check(t.Context(), &out, "http://127.0.0.1:1", wrong); err == nil || !strings.Contains(out.String(), "FAILED") {
			t.Errorf("%v\n%s", err, out.String())
		}
	})
	t.Run("serves", func(t *testing.T) { serves(t, p, requests) })
	Local(t, func(ctx context.Context, addr string) error { return p.Run(ctx, false, addr, io.Discard) })
	t.Run("checks with a local instance alone", func(t *testing.T) {
		t.Setenv("CLERK_PUBLISHABLE_KEY", "pk_test_YS5iJA")
		t.Setenv("CLERK_AUTHORIZED_PARTIES", "http://localhost:8080")
		if err := p.Run(t.Context(), true, "", io.Discard); err == nil || !strings.Contains(err.Error(), "unset") {
			t.Errorf("error = %v", err)
		}
	})
}

// serves waits for the last line of output, and stops the server.
func serves(t *testing.T, p example.Program, requests int) {
	t.Helper()
	ctx, stop := context.WithCancel(t.Context())
	defer stop()
	in, out := io.Pipe()
	done := make(chan error, 1)
	go func() {
		done <- p.Run(ctx, false, "127.0.0.1:0", out)
		_ = out.Close()
	}()
	var text strings.Builder
	for b := make([]byte, 4096); !strings.HasSuffix(text.String(), "stop\n"); {
		n, err := in.Read(b)
		text.Write(b[:n])
		if err != nil {
			t.Fatalf("%v: %v\n%s", err, <-done, text.String())
		}
	}
	stop()
	if err := <-done; err != nil {
		t.Error(err)
	}
	if n := strings.Count(text.String(), "\ncurl -i -X "); n != requests {
		t.Errorf("%d requests printed\n%s", n, text.String())
	}
}
