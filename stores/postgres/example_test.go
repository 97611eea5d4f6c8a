package postgres_test

import (
	"context"
	"log"
	"net/http"
	"os"

	"github.com/jackc/pgx/v5/pgxpool"

	"github.com/clerkauth/clerkauth"
	"github.com/clerkauth/clerkauth/event"
	"github.com/clerkauth/clerkauth/stores/postgres"
)

func Example() {
	ctx := context.Background()
	pool, err := pgxpool.New(ctx, os.Getenv("DATABASE_URL"))
	if err != nil {
		log.Fatal(err)
	}
	store, err := postgres.NewDeliveries(pool, postgres.Options{})
	if err != nil {
		log.Fatal(err)
	}
	if err := store.CreateTable(ctx); err != nil { // or run what store.Schema() returns
		log.Fatal(err)
	}
	hooks, err := clerkauth.NewWebhook(clerkauth.WebhookConfig{
		Secrets:    []clerkauth.Secret{clerkauth.NewSecret(os.Getenv("CLERK_WEBHOOK_SIGNING_SECRET"))},
		Deliveries: store,
	})
	if err != nil {
		log.Fatal(err)
	}
	clerkauth.On(hooks, event.UserDeleted, func(ctx context.Context, e *event.Event[event.Deleted]) error {
		// Committed together with the id of the delivery, or not at all.
		_, err := postgres.Tx(ctx).Exec(ctx, "DELETE FROM users WHERE id = $1", e.Data.ID)
		return err
	})
	http.Handle("POST /webhooks/clerk", hooks)
}
