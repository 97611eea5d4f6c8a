package main

import (
	"context"
	"errors"
	"net/http"
	"slices"
	"sync"
	"time"

	"github.com/modelcontextprotocol/go-sdk/auth"
	"github.com/modelcontextprotocol/go-sdk/mcp"

	"github.com/clerkauth/clerkauth"
)

// Scopes that a client may ask a user for.
const (
	scopeRead  = "notes:read"
	scopeWrite = "notes:write"
)

// newServer returns an MCP server at base + "/mcp", whose tools keep notes for the
// user who has granted an OAuth client access to them.
func newServer(clerk *clerkauth.Authenticator, base string) (http.Handler, error) {
	n := &notes{of: make(map[string][]string)}
	tools := mcp.NewServer(&mcp.Implementation{Name: "notes", Version: "1.0.0"}, nil)
	mcp.AddTool(tools, &mcp.Tool{Name: "list_notes", Description: "Lists your notes."}, n.list)
	mcp.AddTool(tools, &mcp.Tool{Name: "add_note", Description: "Adds a note."}, n.add)
	handler := mcp.NewStreamableHTTPHandler(func(*http.Request) *mcp.Server { return tools }, nil)

	// Who knows nothing but the server's URL finds out where to get a token.
	describe, err := clerk.ResourceMetadata(clerkauth.Resource{
		URL: base + "/mcp", Scopes: []string{scopeRead, scopeWrite}, Name: "Notes",
	})
	if err != nil {
		return nil, err
	}
	// The scopes are asked for by the tools, one by one. A client that is refused here
	// asks the user for all of them, and gets what the user grants.
	mux := clerk.NewServeMux()
	mux.Handle("/mcp", clerkauth.Token(clerkauth.OAuthToken), tellTools(handler))
	return describe(mux), nil
}

// tellTools hands on who is calling in the MCP SDK's own way, so that tools find it
// with each request, and no user can go on with another one's session.
func tellTools(next http.Handler) http.Handler {
	return auth.RequireBearerToken(func(ctx context.Context, _ string, _ *http.Request) (*auth.TokenInfo, error) {
		who := clerkauth.FromContext(ctx) // verified by the guard
		if who.TokenType != clerkauth.OAuthToken {
			return nil, auth.ErrInvalidToken
		}
		expires := who.ExpiresAt
		if expires.IsZero() {
			expires = time.Now().Add(time.Hour) // asked about again with the next request
		}
		return &auth.TokenInfo{UserID: who.UserID, Scopes: who.Scopes(), Expiration: expires}, nil
	}, nil)(next)
}

// notes are kept by user.
type notes struct {
	mu sync.Mutex
	of map[string][]string
}

type addParams struct {
	Text string `json:"text" jsonschema:"what to note"`
}

type listResult struct {
	Notes []string `json:"notes"`
}

func (n *notes) list(_ context.Context, req *mcp.CallToolRequest, _ struct{}) (*mcp.CallToolResult, listResult, error) {
	user, err := caller(req, scopeRead)
	if err != nil {
		return nil, listResult{}, err
	}
	n.mu.Lock()
	defer n.mu.Unlock()
	return nil, listResult{append([]string{}, n.of[user]...)}, nil
}

func (n *notes) add(_ context.Context, req *mcp.CallToolRequest, params addParams) (*mcp.CallToolResult, listResult, error) {
	user, err := caller(req, scopeWrite)
	if err != nil {
		return nil, listResult{}, err
	}
	n.mu.Lock()
	defer n.mu.Unlock()
	n.of[user] = append(n.of[user], params.Text)
	return nil, listResult{slices.Clone(n.of[user])}, nil
}

// caller returns the user for whom a tool is called, if the client was granted that
// scope.
func caller(req *mcp.CallToolRequest, scope string) (string, error) {
	extra := req.GetExtra()
	if extra == nil || extra.TokenInfo == nil || extra.TokenInfo.UserID == "" {
		return "", errors.New("nobody is calling")
	}
	if !slices.Contains(extra.TokenInfo.Scopes, scope) {
		return "", errors.New("this tool needs the scope " + scope)
	}
	return extra.TokenInfo.UserID, nil
}
