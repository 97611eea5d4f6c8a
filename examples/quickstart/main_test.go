package main

import (
	"context"
	"fmt"
	"io"
	"net/http"
	"os/exec"
	"strings"
	"testing"
	"time"

	"github.com/clerkauth/clerkauth/internal/example/exampletest"
)

func TestCheck(t *testing.T) {
	exampletest.Unset(t)
	var out strings.Builder
	if err := run(t.Context(), []string{"-check"}, &out); err != nil {
		t.Errorf("%v\n%s", err, out.String())
	}
	if !strings.Contains(out.String(), "17 passed, 0 failed") {
		t.Errorf("output:\n%s", out.String())
	}
}

func TestCheckCanFail(t *testing.T) {
	srv := &http.Server{}
	defer srv.Close()
	var out strings.Builder
	wrong := []request{{"nothing listens there", "GET", "/", token{}, 200}}
	if err := checkAll(t.Context(), &out, "http://127.0.0.1:1", wrong); err == nil || !strings.Contains(out.String(), "FAILED") {
		t.Errorf("error %v\n%s", err, out.String())
	}
}

func TestOwnKeysAreUsed(t *testing.T) {
	exampletest.Unset(t)
	t.Setenv("CLERK_PUBLISHABLE_KEY", "pk_test_YS5iJA")
	t.Setenv("CLERK_AUTHORIZED_PARTIES", "http://localhost:3000")
	var out strings.Builder
	if err := run(t.Context(), []string{"-check"}, &out); err != nil || !strings.Contains(out.String(), "5 passed, 0 failed") {
		t.Errorf("%v\n%s", err, out.String())
	}
	t.Setenv("CLERK_AUTHORIZED_PARTIES", "")
	if err := run(t.Context(), []string{"-check"}, &out); err == nil || !strings.Contains(err.Error(), "AuthorizedParties") {
		t.Errorf("error = %v", err)
	}
}

// TestPrintedLinesWork pastes every printed line into a shell.
func TestPrintedLinesWork(t *testing.T) {
	exampletest.Unset(t)
	curl, err := exec.LookPath("curl")
	if err != nil {
		t.Log("curl is not installed: the printed lines are checked for their form alone")
	}
	ctx, stop := context.WithCancel(t.Context())
	out := &lines{found: make(chan string, 1000)}
	done := make(chan error, 1)
	go func() { done <- run(ctx, []string{"-addr", "127.0.0.1:0"}, out) }()
	checked, want, variables := 0, "", ""
	for line := range out.found {
		if strings.HasPrefix(line, "press") {
			break
		}
		if strings.HasPrefix(line, "# ") {
			want = line[strings.LastIndex(line, " ")+1:]
		}
		if name, _, ok := strings.Cut(line, "='"); ok && name == strings.ToUpper(name) {
			variables += line + "\n"
		}
		if strings.HasPrefix(line, "curl ") {
			if len(line) > 100 {
				t.Errorf("a line of %d bytes: %.80s", len(line), line)
			}
			checked++
			if curl == "" {
				continue
			}
			line = strings.Replace(line, "curl -i", curl+" -s -o /dev/null -w '%{http_code}'", 1)
			b, err := exec.CommandContext(ctx, "sh", "-c", variables+line).Output()
			if got := string(b); err != nil || got != want {
				t.Errorf("%v: %s instead of %s: %.80s", err, got, want, line)
			}
		}
	}
	if tokens := strings.Count(variables, "\n"); checked != 17 || tokens != 4 {
		t.Errorf("%d lines and %d tokens were printed", checked, tokens)
	}
	stop()
	select {
	case err := <-done:
		if err != nil {
			t.Error(err)
		}
	case <-time.After(10 * time.Second):
		t.Error("the server did not stop")
	}
}

// lines hands over what is printed, line by line.
type lines struct {
	rest  string
	found chan string
}

func (l *lines) Write(p []byte) (int, error) {
	l.rest += string(p)
	for {
		line, rest, ok := strings.Cut(l.rest, "\n")
		if !ok {
			return len(p), nil
		}
		l.rest = rest
		l.found <- line
	}
}

func TestLocalInstance(t *testing.T) {
	exampletest.Local(t, func(ctx context.Context, addr string) error {
		return run(ctx, []string{"-addr", addr}, io.Discard)
	})
	t.Setenv("CLERK_SECRET_KEY", "sk_test_0123456789")
	if err := run(t.Context(), []string{"-dev", "-addr", "127.0.0.1:0"}, io.Discard); err == nil || !strings.Contains(err.Error(), "unset") {
		t.Errorf("-dev: %v", err)
	}
}

func TestDevelopmentIsOnLoopbackAlone(t *testing.T) {
	exampletest.Unset(t)
	for _, addr := range []string{":0", "0.0.0.0:0", "example.com:80"} {
		var out strings.Builder
		if err := run(t.Context(), []string{"-dev", "-addr", addr}, &out); err == nil || !strings.Contains(err.Error(), "loopback") {
			t.Errorf("%s: %v", addr, err)
		}
	}
}

func Example_printAll() {
	var out strings.Builder
	printAll(&out, "http://127.0.0.1:8080", withoutTokens()[:2])
	fmt.Print(out.String())
	// Output:
	// serving on http://127.0.0.1:8080
	//
	// # the home page is public: 200
	// curl -i http://127.0.0.1:8080/
	//
	// # the dashboard requires a session: 401
	// curl -i http://127.0.0.1:8080/dashboard
	//
	// # signed in: run `await Clerk.session.getToken()` in the console of one of your pages; the token is valid for a minute
	// TOKEN='<token>'
	// curl -i -H "Authorization: Bearer $TOKEN" http://127.0.0.1:8080/dashboard
	//
	// press Ctrl-C to stop
}
