package clerkauth_test

import (
	"context"
	"testing"

	"github.com/clerk/clerk-sdk-go/v2"

	"github.com/clerkauth/clerkauth"
	"github.com/clerkauth/clerkauth/event"
	"github.com/clerkauth/clerkauth/internal/testkit"
)

// TestWebhookCustomTypes: events are handled by name, whether package event knows it or not.
func TestWebhookCustomTypes(t *testing.T) {
	type payload struct {
		ID string `json:"id"`
	}
	h := testkit.NewWebhookRig(t)
	var got []string
	handle := func(_ context.Context, e *event.Event[payload]) error {
		got = append(got, e.Type+" "+e.Data.ID)
		return nil
	}
	clerkauth.On(h.Webhook, event.Custom[payload]("apiKey.created"), handle)
	clerkauth.On(h.Webhook, event.Custom[payload]("user.created"), handle)
	h.Want("a type that is not known", h.Server.NewDelivery("apiKey.created", `{"id":"ak_1"}`), 204)
	h.Want("a payload type of one's own", h.UserCreated(), 204)
	h.Want("a payload that does not fit", h.Server.NewDelivery("apiKey.created", `{"id":7}`), 500)
	if len(got) != 2 || got[0] != "apiKey.created ak_1" || got[1] != "user.created user_secret" {
		t.Errorf("%q", got)
	}
	for what, register := range map[string]func(){
		"a second handler": func() {
			clerkauth.On(h.Webhook, event.UserCreated, func(context.Context, *event.Event[clerk.User]) error { return nil })
		},
		"no name": func() { clerkauth.On(h.Webhook, event.Custom[payload](""), handle) },
	} {
		func() {
			defer func() {
				if recover() == nil {
					t.Errorf("%s was registered", what)
				}
			}()
			register()
		}()
	}
}
