package main

import (
	"context"
	"fmt"
	"net/http"
	"net/url"

	"github.com/modelcontextprotocol/go-sdk/auth"
	"github.com/modelcontextprotocol/go-sdk/mcp"
	"github.com/modelcontextprotocol/go-sdk/oauthex"
)

// connect connects a client of the MCP SDK that knows only the server's URL: it is
// rejected, reads where to get a token, registers itself, sends the user to the
// authorization server, and connects again with a token.
func connect(ctx context.Context, base string) (*mcp.ClientSession, error) {
	const callback = "http://127.0.0.1:9/callback" // where a client would listen
	oauth, err := auth.NewAuthorizationCodeHandler(&auth.AuthorizationCodeHandlerConfig{
		DynamicClientRegistrationConfig: &auth.DynamicClientRegistrationConfig{Metadata: &oauthex.ClientRegistrationMetadata{
			ClientName:              "a client of notes",
			RedirectURIs:            []string{callback},
			TokenEndpointAuthMethod: "none",
		}},
		AuthorizationCodeFetcher: browse,
	})
	if err != nil {
		return nil, err
	}
	client := mcp.NewClient(&mcp.Implementation{Name: "client", Version: "1.0.0"}, nil)
	return client.Connect(ctx, &mcp.StreamableClientTransport{Endpoint: base + "/mcp", OAuthHandler: oauth, DisableStandaloneSSE: true}, nil)
}

// browse is the user's browser: it opens the page of the authorization server. The local
// instance consents at once and redirects back with a code.
func browse(ctx context.Context, args *auth.AuthorizationArgs) (*auth.AuthorizationResult, error) {
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, args.URL, nil)
	if err != nil {
		return nil, err
	}
	browser := &http.Client{CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }}
	resp, err := browser.Do(req)
	if err != nil {
		return nil, err
	}
	defer resp.Body.Close()
	back, err := url.Parse(resp.Header.Get("Location"))
	if err != nil {
		return nil, err
	}
	answer := back.Query()
	if answer.Get("code") == "" {
		return nil, fmt.Errorf("access was not granted: %s", answer.Get("error"))
	}
	return &auth.AuthorizationResult{Code: answer.Get("code"), State: answer.Get("state"), Iss: answer.Get("iss")}, nil
}
