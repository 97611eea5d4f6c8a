package main

import (
	"context"
	"io"
	"net/http"
	"os"
	"strings"
	"testing"

	"github.com/clerkauth/clerkauth/internal/example/exampletest"
)

func TestLocalInstance(t *testing.T) {
	exampletest.Local(t, func(ctx context.Context, addr string) error {
		return run(ctx, []string{"-addr", addr}, io.Discard)
	})
}

// TestServes requests the page at the address that is printed, and stops the server.
func TestServes(t *testing.T) {
	exampletest.Unset(t)
	htmx := t.TempDir() + "/htmx.min.js"
	if err := os.WriteFile(htmx, []byte("// htmx"), 0o600); err != nil {
		t.Fatal(err)
	}
	ctx, stop := context.WithCancel(t.Context())
	defer stop()
	reader, out := io.Pipe()
	done := make(chan error, 1)
	go func() {
		done <- run(ctx, []string{"-addr", "localhost:0", "-htmx", htmx}, out)
		_ = out.Close()
	}()
	var text strings.Builder
	for b := make([]byte, 4096); !strings.HasSuffix(text.String(), "stop\n"); {
		n, err := reader.Read(b)
		text.Write(b[:n])
		if err != nil {
			t.Fatalf("%v: %v\n%s", err, <-done, text.String())
		}
	}
	go func() { _, _ = io.Copy(io.Discard, reader) }()
	_, rest, _ := strings.Cut(text.String(), "open ")
	base, _, _ := strings.Cut(rest, "\n")
	client := &http.Client{Transport: &http.Transport{DisableKeepAlives: true}}
	for path, want := range map[string]string{"/": "stay with you", "/static/htmx.js": "// htmx", "/static/style.css": "body"} {
		resp, err := client.Get(base + path)
		if err != nil {
			t.Fatal(err)
		}
		body, err := io.ReadAll(resp.Body)
		resp.Body.Close()
		if err != nil || resp.StatusCode != http.StatusOK || !strings.Contains(string(body), want) {
			t.Errorf("%s: %d %v\n%s", path, resp.StatusCode, err, body)
		}
	}
	stop()
	if err := <-done; err != nil {
		t.Error(err)
	}
}
