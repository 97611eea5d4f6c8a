package main

import (
	"context"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"github.com/modelcontextprotocol/go-sdk/mcp"

	"github.com/clerkauth/clerkauth"
	"github.com/clerkauth/clerkauth/clerkauthtest"
	"github.com/clerkauth/clerkauth/internal/example/exampletest"
)

func TestLocalInstance(t *testing.T) {
	exampletest.Local(t, func(ctx context.Context, addr string) error { return run(ctx, false, addr, io.Discard) })
}

func TestCheck(t *testing.T) {
	var out strings.Builder
	if err := run(t.Context(), true, "", &out); err != nil || !strings.HasSuffix(out.String(), "\n0 failed\n") {
		t.Errorf("%v\n%s", err, out.String())
	}
	if n := strings.Count(out.String(), "\n"); n != 9 {
		t.Errorf("%d lines were printed", n)
	}
}

// server serves the example with an instance of its own.
func server(t *testing.T) (*clerkauthtest.Server, string) {
	t.Helper()
	late := http.NewServeMux() // the server has to know its own URL
	web := httptest.NewServer(late)
	t.Cleanup(web.Close)
	config, clerk, err := configure(web.Listener.Addr(), web.URL)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(clerk.Close)
	auth, err := clerkauth.New(config)
	if err != nil {
		t.Fatal(err)
	}
	handler, err := newServer(auth, web.URL)
	if err != nil {
		t.Fatal(err)
	}
	late.Handle("/", handler)
	return clerk, web.URL
}

// TestOnlyTokensForThisServerOpenIt: no other kind of credential, and no token that
// another server was given.
func TestOnlyTokensForThisServerOpenIt(t *testing.T) {
	clerk, base := server(t)
	jane := clerk.CreateUser("jane@example.com")
	ours := clerk.CreateOAuthToken(jane, "client_1", scopeRead)
	ours.SetAudience(base + "/mcp")
	theirs := clerk.CreateOAuthToken(jane, "client_1", scopeRead)
	theirs.SetAudience("https://other.example.com/mcp")
	for name, c := range map[string]struct {
		token string
		want  int
	}{
		"nothing": {"", 401}, "a session": {clerk.SignIn(jane).Token(), 401}, "an API key": {clerk.CreateAPIKey(jane, scopeRead).Token, 401},
		"another server's": {theirs.Token, 401}, "another server's JWT": {theirs.JWT(), 401}, "nobody's": {clerk.CreateOAuthToken(jane, "client_1", scopeRead).Token, 401},
		"ours": {ours.Token, 200}, "our JWT": {ours.JWT(), 200},
	} {
		body := strings.NewReader(`{"jsonrpc":"2.0","id":1,"method":"initialize","params":{"protocolVersion":"2025-06-18","capabilities":{},"clientInfo":{"name":"x","version":"1"}}}`)
		req, err := http.NewRequestWithContext(t.Context(), http.MethodPost, base+"/mcp", body)
		if err != nil {
			t.Fatal(err)
		}
		req.Header.Set("Content-Type", "application/json")
		req.Header.Set("Accept", "application/json, text/event-stream")
		if c.token != "" {
			req.Header.Set("Authorization", "Bearer "+c.token)
		}
		resp, err := http.DefaultClient.Do(req)
		if err != nil {
			t.Fatal(err)
		}
		text, _ := io.ReadAll(resp.Body)
		resp.Body.Close()
		if resp.StatusCode != c.want {
			t.Errorf("%s: %d %s", name, resp.StatusCode, text)
		}
		challenge := resp.Header.Get("WWW-Authenticate")
		if named := strings.Contains(challenge, `resource_metadata="`+base+`/.well-known/oauth-protected-resource/mcp"`); named != (c.want == 401) {
			t.Errorf("%s: WWW-Authenticate is %q", name, challenge)
		}
	}
}

// TestRevokedClientIsOut: after what it was granted has been revoked, a client in
// the middle of a session has to ask again.
func TestRevokedClientIsOut(t *testing.T) {
	clerk, base := server(t)
	clerk.Consent(clerk.CreateUser("jane@example.com"))
	session, err := connect(t.Context(), base)
	if err != nil {
		t.Fatal(err)
	}
	defer session.Close()
	if got := use(t.Context(), session, "list_notes", nil); got != `{"notes":[]}` {
		t.Fatal(got)
	}
	clerk.Consent(nil)
	clerk.Answer(clerkauthtest.OAuthVerify, 404, "application/json", `{"errors":[{"code":"resource_not_found","message":"not found"}]}`)
	clerk.Advance(31 * time.Second)
	if _, err := session.CallTool(t.Context(), &mcp.CallToolParams{Name: "list_notes"}); err == nil || !strings.Contains(err.Error(), "access_denied") {
		t.Error(err)
	}
}
