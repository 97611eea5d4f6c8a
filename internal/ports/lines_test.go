package ports

import (
	"fmt"
	"os"
	"strings"
	"testing"
)

// TestLines logs how many lines of each port are about authentication.
func TestLines(t *testing.T) {
	total := 0
	var out strings.Builder
	for _, port := range []struct{ file, title string }{
		{"cookie.go", "header or cookie"},
		{"native.go", "native app, no azp"},
		{"database.go", "check in a database, with an outage"},
		{"metadata.go", "role from metadata"},
		{"websocket.go", "websocket, beside another user's cookie"},
		{"cron.go", "cron route with its own secret"},
		{"organization.go", "organization membership"},
		{"ownkeys.go", "own API keys beside Clerk's"},
		{"fiber.go", "fiber v2, optional user"},
		{"grpc.go", "gRPC, role"},
		{"lambda.go", "Lambda"},
		{"webhook.go", "webhook that synchronizes users"},
	} {
		n := authLines(t, port.file)
		total += n
		fmt.Fprintf(&out, "%3d  %s (%s)\n", n, port.title, port.file)
	}
	t.Logf("lines of code about authentication\n%s%3d  in all\n", out.String(), total)
}

// authLines counts the lines of code between the comments "auth" and "end" of a file.
func authLines(t *testing.T, file string) (n int) {
	text, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	inside := false
	for line := range strings.Lines(string(text)) {
		switch line = strings.TrimSpace(line); {
		case line == "// auth":
			inside = true
		case line == "// end":
			inside = false
		case inside && line != "" && !strings.HasPrefix(line, "//"):
			n++
		}
	}
	if n == 0 || inside {
		t.Errorf("%s has no lines between the comments", file)
	}
	return n
}
