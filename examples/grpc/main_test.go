package main

import (
	"context"
	"io"
	"strings"
	"testing"

	"google.golang.org/grpc/codes"

	"github.com/clerkauth/clerkauth/internal/example/exampletest"
)

func TestLocalInstance(t *testing.T) {
	exampletest.Local(t, func(ctx context.Context, addr string) error { return run(ctx, false, addr, io.Discard) })
}

func TestCheck(t *testing.T) {
	exampletest.Unset(t)
	var out strings.Builder
	if err := run(t.Context(), true, "", &out); err != nil || !strings.HasSuffix(out.String(), "\n13 passed, 0 failed\n") {
		t.Errorf("%v\n%s", err, out.String())
	}
}

func TestCheckCanFail(t *testing.T) {
	var out strings.Builder
	wrong := []call{{"nothing listens there", homeMethod, "", "", codes.OK}}
	if err := checkAll(t.Context(), &out, "127.0.0.1:1", wrong); err == nil || !strings.Contains(out.String(), "FAILED") {
		t.Errorf("%v\n%s", err, out.String())
	}
}

// TestServes waits for the last line that is printed, and stops the server.
func TestServes(t *testing.T) {
	exampletest.Unset(t)
	ctx, stop := context.WithCancel(t.Context())
	defer stop()
	in, out := io.Pipe()
	done := make(chan error, 1)
	go func() {
		done <- run(ctx, false, "127.0.0.1:0", out)
		out.Close()
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
	if n := strings.Count(text.String(), "\ngo run . -addr "); n != 13 {
		t.Errorf("%d lines were printed\n%s", n, text.String())
	}
}
