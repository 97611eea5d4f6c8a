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
	"github.com/rs/cors"

	"github.com/clerkauth/clerkauth"
)

// The scopes that a client may request from a user.
const (
	scopeRead  = "notes:read"
	scopeWrite = "notes:write"
)

// newServer returns an MCP server at base + "/mcp", whose tools keep notes for the user
// who granted access to the OAuth client.
func newServer(clerk *clerkauth.Authenticator, base string) (http.Handler, error) {
	n := &notes{of: make(map[string][]string)}
	tools := mcp.NewServer(&mcp.Implementation{Name: "notes", Version: "1.0.0"}, nil)
	mcp.AddTool(tools, &mcp.Tool{Name: "list_notes", Description: "Lists your notes."}, n.list)
	mcp.AddTool(tools, &mcp.Tool{Name: "add_note", Description: "Adds a note."}, n.add)
	handler := mcp.NewStreamableHTTPHandler(func(*http.Request) *mcp.Server { return tools }, nil)

	// A client that knows only the server's URL learns where to get a token.
	describe, err := clerk.ResourceMetadata(clerkauth.Resource{
		URL: base + "/mcp", Scopes: []string{scopeRead, scopeWrite}, Name: "Notes",
	})
	if err != nil {
		return nil, err
	}
	// Each tool requires its own scope, so the guard requires none. A client that it
	// rejects requests all scopes, and gets those that the user grants.
	mux := clerk.NewServeMux()
	mux.Handle("/mcp", clerkauth.Token(clerkauth.OAuthToken), withTokenInfo(handler))
	// CORS goes around everything: a preflight carries no token. Clients may run in pages
	// of any origin, such as that of the MCP inspector, because browsers send nothing to
	// this server by themselves that it accepts.
	pages := cors.New(cors.Options{
		AllowedOrigins: []string{"*"},
		AllowedMethods: []string{http.MethodGet, http.MethodPost, http.MethodDelete},
		AllowedHeaders: []string{"Authorization", "Content-Type", "Last-Event-ID", "Mcp-Protocol-Version", "Mcp-Session-Id"},
		ExposedHeaders: []string{"Mcp-Session-Id", "WWW-Authenticate"},
	})
	return pages.Handler(describe(mux)), nil
}

// withTokenInfo passes the caller to the MCP SDK, so that tools find it with each
// request, and the SDK rejects the use of a session by another user.
func withTokenInfo(next http.Handler) http.Handler {
	return auth.RequireBearerToken(func(ctx context.Context, _ string, _ *http.Request) (*auth.TokenInfo, error) {
		who := clerkauth.FromContext(ctx) // verified by the guard
		if who.TokenType != clerkauth.OAuthToken {
			return nil, auth.ErrInvalidToken
		}
		expires := who.ExpiresAt
		if expires.IsZero() {
			expires = time.Now().Add(time.Hour) // verified again with the next request
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

// caller returns the id of the user for whom a tool is called, or an error if the client
// was not granted scope.
func caller(req *mcp.CallToolRequest, scope string) (string, error) {
	extra := req.GetExtra()
	if extra == nil || extra.TokenInfo == nil || extra.TokenInfo.UserID == "" {
		return "", errors.New("the caller is unknown")
	}
	if !slices.Contains(extra.TokenInfo.Scopes, scope) {
		return "", errors.New("this tool needs the scope " + scope)
	}
	return extra.TokenInfo.UserID, nil
}
