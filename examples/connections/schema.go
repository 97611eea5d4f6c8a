package main

import (
	"context"
	"encoding/json"
	"time"

	"github.com/99designs/gqlgen/graphql"
	"github.com/vektah/gqlparser/v2"
	"github.com/vektah/gqlparser/v2/ast"
	"github.com/vektah/gqlparser/v2/gqlerror"

	"github.com/clerkauth/clerkauth"
)

// schema is what gqlgen generates from a schema and its resolvers, written by hand for
// these two fields. Every operation has the one field that its type has.
type schema struct{}

var parsed = gqlparser.MustLoadSchema(&ast.Source{Name: "schema.graphqls", Input: `
	type Query { me: ID! }
	type Subscription { ticks: ID! }
`})

func (schema) Schema() *ast.Schema { return parsed }

func (schema) Complexity(context.Context, string, string, int, map[string]any) (int, bool) {
	return 0, false
}

// Exec returns the results of an operation: the caller's id, for a subscription once a
// second. Resolvers find the caller with FromContext.
func (schema) Exec(ctx context.Context) graphql.ResponseHandler {
	operation := graphql.GetOperationContext(ctx).Operation
	sent := false
	return func(ctx context.Context) *graphql.Response {
		switch {
		case operation.Operation == ast.Subscription && sent:
			select {
			case <-ctx.Done():
				return nil
			case <-time.After(time.Second):
			}
		case sent:
			return nil
		}
		sent = true
		data := make(map[string]string)
		for _, selection := range operation.SelectionSet {
			field, ok := selection.(*ast.Field)
			if !ok {
				return &graphql.Response{Errors: gqlerror.List{gqlerror.Errorf("fragments are not supported")}}
			}
			data[field.Alias] = clerkauth.FromContext(ctx).UserID
		}
		text, err := json.Marshal(data)
		if err != nil {
			return &graphql.Response{Errors: gqlerror.List{gqlerror.Wrap(err)}}
		}
		return &graphql.Response{Data: text}
	}
}
