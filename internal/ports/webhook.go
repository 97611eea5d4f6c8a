package ports

import (
	"context"
	"net/http"

	"github.com/clerk/clerk-sdk-go/v2"

	"github.com/clerkauth/clerkauth"
	"github.com/clerkauth/clerkauth/event"
)

// users is a table of the application's own. Put does nothing if there is a newer row, or if
// the user was deleted: deliveries may arrive out of order.
type users interface {
	Put(ctx context.Context, id, email string, updatedAt int64) error
	Delete(ctx context.Context, id string) error
}

// newWebhookServer returns a server that keeps users as Clerk has them.
func newWebhookServer(c clerkauth.WebhookConfig, db users) (http.Handler, error) {
	// auth
	hooks, err := clerkauth.NewWebhook(c)
	if err != nil {
		return nil, err
	}
	put := func(ctx context.Context, e *event.Event[clerk.User]) error {
		return db.Put(ctx, e.Data.ID, event.PrimaryEmail(e.Data), e.Data.UpdatedAt)
	}
	clerkauth.On(hooks, event.UserCreated, put)
	clerkauth.On(hooks, event.UserUpdated, put)
	clerkauth.On(hooks, event.UserDeleted, func(ctx context.Context, e *event.Event[event.Deleted]) error {
		return db.Delete(ctx, e.Data.ID)
	})
	// end
	mux := http.NewServeMux()
	mux.Handle("POST /webhooks/clerk", hooks)
	return mux, nil
}
