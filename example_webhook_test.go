package clerkauth_test

import (
	"context"
	"fmt"
	"net/http"
	"net/http/httptest"

	"github.com/clerk/clerk-sdk-go/v2"

	"github.com/clerkauth/clerkauth"
	"github.com/clerkauth/clerkauth/clerkauthtest"
	"github.com/clerkauth/clerkauth/event"
)

// A table of users is kept in step with Clerk. clerkauthtest sends in tests what
// Clerk sends in production.
func ExampleOn() {
	srv, err := clerkauthtest.Start(clerkauthtest.InMemory())
	if err != nil {
		fmt.Println(err)
		return
	}
	defer srv.Close()

	hooks, err := clerkauth.NewWebhook(clerkauth.WebhookConfig{
		Secrets: []clerkauth.Secret{clerkauth.NewSecret(srv.WebhookSecret())}, // os.Getenv("CLERK_WEBHOOK_SIGNING_SECRET")
		Now:     srv.Now,
	})
	if err != nil {
		fmt.Println(err)
		return
	}
	users := map[string]string{}
	clerkauth.On(hooks, event.UserCreated, func(_ context.Context, e *event.Event[clerk.User]) error {
		users[e.Data.ID] = e.Data.EmailAddresses[0].EmailAddress
		return nil // acknowledged; an error would have it sent again
	})
	clerkauth.On(hooks, event.UserDeleted, func(_ context.Context, e *event.Event[event.Deleted]) error {
		delete(users, e.Data.ID)
		return nil
	})
	mux := http.NewServeMux()
	mux.Handle("POST /webhooks/clerk", hooks)

	jane, john := srv.CreateUser("jane@example.com"), srv.CreateUser("john@example.com")
	for _, d := range []*clerkauthtest.Delivery{
		srv.NewDelivery("user.created", jane),
		srv.NewDelivery("user.created", john),
		srv.NewDelivery("user.deleted", john),
	} {
		w := httptest.NewRecorder()
		mux.ServeHTTP(w, d.Request("https://app.example.com/webhooks/clerk"))
		fmt.Println(w.Code)
	}
	fmt.Println(len(users), users[jane.ID])
	// Output:
	// 204
	// 204
	// 204
	// 1 jane@example.com
}
