package main

import (
	"context"
	"errors"
	"net/http"
	"strings"
	"time"

	"github.com/99designs/gqlgen/graphql/handler"
	"github.com/99designs/gqlgen/graphql/handler/transport"

	"github.com/clerkauth/clerkauth"
)

// closeGraphQLUnauthorized is the close code after which clients of the protocol
// graphql-transport-ws do not connect again by themselves.
const closeGraphQLUnauthorized = 4401

// graph serves GraphQL with gqlgen: queries by POST, which a guard is in front of, and
// subscriptions by websocket, which authenticate in their connection_init message.
func graph(auth *clerkauth.Authenticator) http.Handler {
	server := handler.New(schema{})
	server.AddTransport(transport.Websocket{InitFunc: connect(auth), InitTimeout: 10 * time.Second})
	server.AddTransport(transport.POST{})
	return server
}

// connect authenticates a connection. The client sends {"authorization": "Bearer …"} in
// its connectionParams. When the token expires, gqlgen completes the connection's
// subscriptions and closes it (1000): the client subscribes again, with a new token.
func connect(auth *clerkauth.Authenticator) transport.WebsocketInitFunc {
	return func(ctx context.Context, payload transport.InitPayload) (context.Context, *transport.InitPayload, error) {
		ctx, err := auth.CheckToken(ctx, strings.TrimPrefix(payload.Authorization(), "Bearer "))
		switch {
		case errors.Is(err, clerkauth.ErrUnavailable):
			return transport.WithWebsocketCloseCode(ctx, closeTryAgainLater), nil, err
		case err != nil:
			return transport.WithWebsocketCloseCode(ctx, closeGraphQLUnauthorized), nil, err
		}
		ctx, stop := context.WithDeadline(ctx, clerkauth.FromContext(ctx).ExpiresAt)
		context.AfterFunc(ctx, stop)
		return ctx, nil, nil
	}
}
