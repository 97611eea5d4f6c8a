package clerkauth_test

import (
	"context"
	"fmt"
	"log"
	"net/http"
	"net/http/httptest"
	"os"

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

	hooks, err := clerkauth.NewWebhook(srv.WebhookConfig()) // in production: clerkauth.WebhookFromEnv()
	if err != nil {
		fmt.Println(err)
		return
	}
	users := map[string]string{}
	clerkauth.On(hooks, event.UserCreated, func(_ context.Context, e *event.Event[clerk.User]) error {
		users[e.Data.ID] = event.PrimaryEmail(e.Data)
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

// userTable is a table of email addresses by user id.
type userTable map[string]string

func (t userTable) InsertUser(_ context.Context, id, email string) error {
	t[id] = email
	return nil
}

// mountWebhooks inserts the users that Clerk creates into db.
func mountWebhooks(mux *http.ServeMux, db userTable) {
	hooks, err := clerkauth.NewWebhook(clerkauth.WebhookFromEnv()) // CLERK_WEBHOOK_SIGNING_SECRET
	if err != nil {
		log.Fatal(err)
	}
	clerkauth.On(hooks, event.UserCreated, func(ctx context.Context, e *event.Event[clerk.User]) error {
		return db.InsertUser(ctx, e.Data.ID, event.PrimaryEmail(e.Data)) // an error: 500, and Svix sends it again
	})
	mux.Handle("POST /webhooks/clerk", hooks)
}

// The variable holds the new and the old signing secret while it is rotated.
func ExampleWebhookFromEnv() {
	srv, err := clerkauthtest.Start(clerkauthtest.InMemory())
	if err != nil {
		fmt.Println(err)
		return
	}
	defer srv.Close()
	_ = os.Setenv("CLERK_WEBHOOK_SIGNING_SECRET", "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw, "+srv.WebhookSecret())
	defer os.Unsetenv("CLERK_WEBHOOK_SIGNING_SECRET")

	mux, db := http.NewServeMux(), userTable{}
	mountWebhooks(mux, db)

	jane := srv.CreateUser("jane@example.com")
	w := httptest.NewRecorder()
	mux.ServeHTTP(w, srv.NewDelivery("user.created", jane).Request("https://app.example.com/webhooks/clerk"))
	fmt.Println(w.Code, db[jane.ID])
	// Output: 204 jane@example.com
}
