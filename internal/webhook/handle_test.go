package webhook_test

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"net/http/httptest"
	"runtime"
	"strings"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/clerk/clerk-sdk-go/v2"

	"github.com/clerkauth/clerkauth"
	"github.com/clerkauth/clerkauth/clerkauthtest"
	"github.com/clerkauth/clerkauth/event"
	"github.com/clerkauth/clerkauth/internal/testkit"
)

func TestWebhookJudgesItsStore(t *testing.T) {
	lost := errors.New("connection lost to user_secret")
	for name, c := range map[string]struct {
		store         testkit.DeliveriesFunc
		fail          bool
		status, calls int
	}{
		"handled":        {func(ctx context.Context, _ string, h func(context.Context) error) error { return h(ctx) }, false, 204, 1},
		"failed":         {func(ctx context.Context, _ string, h func(context.Context) error) error { return h(ctx) }, true, 500, 1},
		"handled before": {func(context.Context, string, func(context.Context) error) error { return clerkauth.ErrHandled }, false, 204, 0},
		"wrapped": {func(context.Context, string, func(context.Context) error) error {
			return fmt.Errorf("store: %w", clerkauth.ErrHandled)
		}, false, 204, 0},
		"in flight": {func(context.Context, string, func(context.Context) error) error { return clerkauth.ErrInFlight }, false, 503, 0},
		"away":      {func(context.Context, string, func(context.Context) error) error { return lost }, false, 503, 0},
		"away afterwards": {func(ctx context.Context, _ string, h func(context.Context) error) error {
			return errors.Join(h(ctx), lost)
		}, false, 503, 1},
		"both fail": {func(ctx context.Context, _ string, h func(context.Context) error) error {
			return errors.Join(h(ctx), lost)
		}, true, 500, 1},
		"neither calls nor returns an error": {func(context.Context, string, func(context.Context) error) error { return nil }, false, 503, 0},
		"swallows the failure": {func(ctx context.Context, _ string, h func(context.Context) error) error {
			_ = h(ctx)
			return nil
		}, true, 500, 1},
		"calls, and returns that it was handled before": {func(ctx context.Context, _ string, h func(context.Context) error) error {
			_ = h(ctx)
			return clerkauth.ErrHandled
		}, false, 503, 1},
		"calls, and returns that it is in flight": {func(ctx context.Context, _ string, h func(context.Context) error) error {
			_ = h(ctx)
			return clerkauth.ErrInFlight
		}, false, 503, 1},
		"panics": {func(context.Context, string, func(context.Context) error) error { panic(lost) }, false, 500, 0},
		"panics afterwards": {func(ctx context.Context, _ string, h func(context.Context) error) error {
			_ = h(ctx)
			panic(lost)
		}, false, 500, 1},
		"has it end a goroutine": {func(ctx context.Context, _ string, h func(context.Context) error) error {
			ended := make(chan struct{})
			go func() {
				defer close(ended)
				_ = h(context.WithValue(ctx, hookKey{}, "end"))
			}()
			<-ended
			return nil
		}, false, 503, 1},
		"ends its goroutine": {func(context.Context, string, func(context.Context) error) error { runtime.Goexit(); return nil }, false, 500, 0},
	} {
		t.Run(name, func(t *testing.T) {
			h := testkit.NewWebhookRig(t, func(cfg *clerkauth.WebhookConfig) { cfg.Deliveries = c.store })
			calls := 0
			h.OnAny(func(ctx context.Context, _ *event.Raw) error {
				calls++
				if ctx.Value(hookKey{}) != nil {
					runtime.Goexit()
				}
				if c.fail {
					return errors.New("user_secret")
				}
				return nil
			})
			h.Want(name, h.UserCreated(), c.status)
			if calls != c.calls {
				t.Errorf("%d calls", calls)
			}
			if strings.Contains(h.Log.String(), "user_secret") {
				t.Error(h.Log)
			}
		})
	}
}

type hookKey struct{}

func TestWebhookHandlerSeesTheStoresContext(t *testing.T) {
	h := testkit.NewWebhookRig(t, func(c *clerkauth.WebhookConfig) {
		c.Deliveries = testkit.DeliveriesFunc(func(ctx context.Context, id string, handle func(context.Context) error) error {
			if !strings.HasPrefix(id, "msg_") {
				t.Error(id)
			}
			return handle(context.WithValue(ctx, hookKey{}, "transaction"))
		})
	})
	clerkauth.On(h.Webhook, event.UserCreated, func(ctx context.Context, _ *event.Event[clerk.User]) error {
		if ctx.Value(hookKey{}) != "transaction" {
			t.Error("the store's context is lost")
		}
		return nil
	})
	h.Want("a delivery", h.UserCreated(), 204)
}

// TestWebhookSparesTheStore: an event without a handler does not reach the store,
// and neither does a delivery that is not authentic.
func TestWebhookSparesTheStore(t *testing.T) {
	h := testkit.NewWebhookRig(t, func(c *clerkauth.WebhookConfig) {
		c.Deliveries = testkit.DeliveriesFunc(func(context.Context, string, func(context.Context) error) error {
			t.Error("the store was called")
			return nil
		})
	})
	h.Want("an event without a handler", h.UserCreated(), 204)
	h.OnAny(func(context.Context, *event.Raw) error { return nil })
	d := h.UserCreated()
	r := d.Request(testkit.WebhookURL)
	d.Body = append(d.Body, ' ')
	r.Body = d.Request(testkit.WebhookURL).Body
	if w := h.Serve(testkit.Received(r)); w.Code != 400 {
		t.Error(w.Code)
	}
}

// TestWebhookThousandCopies sends the copies at once: the handler completes once,
// and no copy is acknowledged before it has.
func TestWebhookThousandCopies(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		h := testkit.NewWebhookRig(t)
		var calls, completed atomic.Int32
		clerkauth.On(h.Webhook, event.UserCreated, func(context.Context, *event.Event[clerk.User]) error {
			if calls.Add(1) == 1 {
				time.Sleep(time.Second)
				return errors.New("at first it fails")
			}
			time.Sleep(time.Second)
			completed.Add(1)
			return nil
		})
		early := http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			rec := httptest.NewRecorder()
			h.ServeHTTP(rec, r)
			if rec.Code == http.StatusNoContent && completed.Load() != 1 {
				t.Error("a copy is acknowledged before it is handled")
			}
			w.WriteHeader(rec.Code)
		})
		attempts := h.UserCreated().Send(t, testkit.WebhookURL, clerkauthtest.To(early), clerkauthtest.Copies(1000), clerkauthtest.Sleep(time.Sleep))
		counts := map[int]int{}
		for _, a := range attempts {
			counts[a.Status]++
		}
		if calls.Load() != 2 || completed.Load() != 1 || counts[204] != 1000 || counts[500] != 1 || counts[503] != 1000+999-1 {
			t.Errorf("%d calls, %d completed, answers %v", calls.Load(), completed.Load(), counts)
		}
	})
}
