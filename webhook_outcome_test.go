package clerkauth_test

import (
	"context"
	"errors"
	"net/http"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/clerkauth/clerkauth"
	"github.com/clerkauth/clerkauth/event"
	"github.com/clerkauth/clerkauth/internal/testkit"
	"github.com/clerkauth/clerkauth/internal/webhook"
)

// TestWebhookOutcomes: every request is observed once, with its outcome.
func TestWebhookOutcomes(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var seen []clerkauth.WebhookOutcome
		var store error
		memory := webhook.NewMemory(time.Now, 100, webhook.Errors{Handled: clerkauth.ErrHandled, InFlight: clerkauth.ErrInFlight})
		h := testkit.NewWebhookRig(t, func(c *clerkauth.WebhookConfig) {
			c.Observe = func(_ context.Context, o clerkauth.WebhookOutcome) { seen = append(seen, o); panic("user_secret") }
			c.Deliveries = testkit.DeliveriesFunc(func(ctx context.Context, id string, handle func(context.Context) error) error {
				if store != nil {
					return store
				}
				return memory.Once(ctx, id, handle)
			})
		})
		d := h.UserCreated()
		expect := func(result clerkauth.WebhookResult, status int, known bool) {
			t.Helper()
			want := clerkauth.WebhookOutcome{Result: result, Status: status}
			if known {
				want.Type, want.DeliveryID = "user.created", d.ID
			}
			if len(seen) != 1 || seen[0] != want {
				t.Errorf("observed %+v, want %+v", seen, want)
			}
			seen = nil
		}
		send := func(result clerkauth.WebhookResult, status int) {
			t.Helper()
			h.Want(string(result), d, status)
			expect(result, status, true)
		}
		send(clerkauth.WebhookIgnored, 204)
		var handle func(context.Context) error
		h.OnAny(func(ctx context.Context, _ *event.Raw) error { return handle(ctx) })
		handle = func(context.Context) error { return errors.New("wrong") }
		send(clerkauth.WebhookHandlerFailed, 500)
		store = errors.New("away")
		send(clerkauth.WebhookStoreFailed, 503)
		store = nil
		handle = func(context.Context) error { time.Sleep(time.Minute); return nil }
		send(clerkauth.WebhookLate, 503)
		send(clerkauth.WebhookInFlight, 503)
		time.Sleep(time.Minute)
		send(clerkauth.WebhookDuplicate, 204)
		d = h.UserCreated()
		handle = func(context.Context) error { return nil }
		send(clerkauth.WebhookHandled, 204)

		for status, change := range map[int]func(*http.Request){
			400: func(r *http.Request) { r.Header.Del("Svix-Id") },
			405: func(r *http.Request) { r.Method = http.MethodGet },
			413: func(r *http.Request) { r.ContentLength = 2 << 20 },
		} {
			r := testkit.Received(d.Request(testkit.WebhookURL))
			change(r)
			if w := h.Serve(r); w.Code != status {
				t.Errorf("%d, want %d", w.Code, status)
			}
			expect(clerkauth.WebhookRefused, status, false)
		}
		if log := h.Log.String(); !strings.Contains(log, "Observe failed") || strings.Contains(log, "user_secret") {
			t.Error(log)
		}
	})
}
