package main

import (
	"context"
	"errors"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"

	"github.com/clerkauth/clerkauth/internal/example/exampletest"
	"github.com/clerkauth/clerkauth/internal/storetest"
)

// clean takes away what the environment says.
func clean(t *testing.T) {
	t.Helper()
	exampletest.Unset(t)
	t.Setenv("DATABASE_URL", "")
}

func TestLocalInstance(t *testing.T) {
	clean(t)
	exampletest.Local(t, func(ctx context.Context, addr string) error {
		return run(ctx, []string{"-addr", addr}, io.Discard)
	})
}

func check(t *testing.T, args ...string) {
	t.Helper()
	var out strings.Builder
	if err := run(t.Context(), append(args, "-check"), &out); err != nil || !strings.Contains(out.String(), "16 passed, 0 failed") {
		t.Errorf("%v\n%s", err, out.String())
	}
}

func TestCheckWithSQLite(t *testing.T) {
	clean(t)
	check(t)
	file := t.TempDir() + "/users.db"
	check(t, "-sqlite", file)
	check(t, "-sqlite", file) // with what is there already
}

func TestCheckWithPostgres(t *testing.T) {
	clean(t)
	server, err := storetest.NewPostgres(func(ctx context.Context, address string) error {
		conn, err := pgx.Connect(ctx, address)
		if err != nil {
			return err
		}
		return conn.Close(ctx)
	})
	if err != nil {
		t.Fatal(err)
	}
	defer server.Close()
	t.Setenv("DATABASE_URL", server.Address())
	check(t)
	check(t)
}

func TestCheckCanFail(t *testing.T) {
	clean(t)
	deaf := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(http.StatusNoContent) }))
	defer deaf.Close()
	in, err := newInstance(deaf.Listener.Addr(), deaf.URL)
	if err != nil {
		t.Fatal(err)
	}
	defer in.close()
	db, err := open(t.Context(), "", "")
	if err != nil {
		t.Fatal(err)
	}
	defer db.close()
	var out strings.Builder
	if err := in.check(t.Context(), &out, users{db}); !errors.Is(err, errCheck) || !strings.Contains(out.String(), "FAILED") {
		t.Errorf("error %v\n%s", err, out.String())
	}
}

func TestServe(t *testing.T) {
	clean(t)
	ctx, stop := context.WithTimeout(t.Context(), time.Minute)
	defer stop()
	reader, out := io.Pipe()
	done := make(chan error, 1)
	go func() {
		err := run(ctx, []string{"-addr", "127.0.0.1:0"}, out)
		_ = out.Close()
		done <- err
	}()
	said := make([]byte, 0, 4096)
	for !strings.Contains(string(said), "answered 204\n") {
		buf := make([]byte, 512)
		n, err := reader.Read(buf)
		said = append(said, buf[:n]...)
		if err != nil {
			t.Fatalf("%v\n%s", err, said)
		}
	}
	go func() { _, _ = io.Copy(io.Discard, reader) }()
	_, rest, _ := strings.Cut(string(said), "users are listed on ")
	url, _, _ := strings.Cut(rest, ",")
	resp, err := http.Get(url)
	if err != nil {
		t.Fatal(err)
	}
	body, err := io.ReadAll(resp.Body)
	resp.Body.Close()
	if err != nil || !strings.Contains(string(body), "<td>Ada<td>") {
		t.Errorf("%v\n%s", err, body)
	}
	http.DefaultClient.CloseIdleConnections()
	stop()
	if err := <-done; err != nil {
		t.Error(err)
	}
}

func TestOwnInstance(t *testing.T) {
	clean(t)
	t.Setenv("CLERK_WEBHOOK_SIGNING_SECRET", "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw")
	err := run(t.Context(), []string{"-addr", "127.0.0.1:0"}, io.Discard)
	if err == nil || !strings.Contains(err.Error(), "PublishableKey") {
		t.Errorf("error = %v", err)
	}
	t.Setenv("CLERK_PUBLISHABLE_KEY", "pk_test_YS5iJA")
	t.Setenv("CLERK_AUTHORIZED_PARTIES", "http://localhost:3000")
	ctx, stop := context.WithCancel(t.Context())
	defer stop()
	out := writer(func(p []byte) {
		if strings.Contains(string(p), "press") {
			stop()
		}
	})
	if err := run(ctx, []string{"-addr", "127.0.0.1:0", "-sqlite", t.TempDir() + "/users.db"}, out); err != nil {
		t.Error(err)
	}
}

type writer func([]byte)

func (w writer) Write(p []byte) (int, error) {
	w(p)
	return len(p), nil
}
