package clerkauth_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"runtime"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/clerk/clerk-sdk-go/v2"

	"net/http/httptest"
	"sync"

	"github.com/clerkauth/clerkauth"
	"github.com/clerkauth/clerkauth/clerkauthtest"
	"github.com/clerkauth/clerkauth/event"
	"github.com/clerkauth/clerkauth/internal/testkit"
)

func TestWebhookHandlesTypedEvents(t *testing.T) {
	h := testkit.NewWebhookRig(t)
	jane := h.Server.CreateUser("jane@example.com")
	var order []string
	clerkauth.On(h.Webhook, event.UserCreated, func(_ context.Context, e *event.Event[clerk.User]) error {
		order = append(order, "created "+e.Data.ID)
		if e.Type != "user.created" || !strings.HasPrefix(e.DeliveryID, "msg_") || e.ClientIP == "" || e.UserAgent == "" || e.InstanceID == "" ||
			time.Since(e.Timestamp).Abs() > time.Minute || e.Data.EmailAddresses[0].EmailAddress != "jane@example.com" ||
			!bytes.Contains(e.Raw.Data, []byte("jane@example.com")) || !bytes.Contains(e.JSON, e.Raw.Data) {
			t.Errorf("%+v", e)
		}
		e.Type = "changed" // handlers own their copy
		return nil
	})
	clerkauth.On(h.Webhook, event.UserDeleted, func(_ context.Context, e *event.Event[event.Deleted]) error {
		order = append(order, "deleted "+e.Data.ID)
		return nil
	})
	clerkauth.On(h.Webhook, event.SessionRevoked, func(_ context.Context, e *event.Event[event.Session]) error {
		order = append(order, "revoked "+e.Data.User.ID)
		return nil
	})
	h.Want("without a handler", h.Server.NewDelivery("user.updated", jane), 204)
	h.OnAny(func(_ context.Context, e *event.Raw) error {
		order = append(order, "any "+e.Type)
		return nil
	})
	for _, name := range []string{"user.created", "user.deleted", "user.updated", "something.new"} {
		h.Want(name, h.Server.NewDelivery(name, jane), 204)
	}
	h.Want("revoked", h.Server.NewDelivery("session.revoked", h.Server.SignIn(jane)), 204)
	want := []string{"created " + jane.ID, "any user.created", "deleted " + jane.ID, "any user.deleted", "any user.updated", "any something.new",
		"revoked " + jane.ID, "any session.revoked"}
	if !slices.Equal(order, want) {
		t.Errorf("%q", order)
	}
}

func TestWebhookPanicsOnInvalidUse(t *testing.T) {
	type user = event.Event[clerk.User]
	handle := func(context.Context, *user) error { return nil }
	anyHandle := func(context.Context, *event.Raw) error { return nil }
	for name, mistake := range map[string]func(*clerkauth.Webhook){
		"a second On":    func(w *clerkauth.Webhook) { clerkauth.On(w, event.UserCreated, handle) },
		"a second OnAny": func(w *clerkauth.Webhook) { w.OnAny(anyHandle) },
		"no handler":     func(w *clerkauth.Webhook) { clerkauth.On(w, event.UserUpdated, nil) },
		"no type":        func(w *clerkauth.Webhook) { clerkauth.On(w, event.Type[clerk.User]{}, handle) },
	} {
		h := testkit.NewWebhookRig(t)
		clerkauth.On(h.Webhook, event.UserCreated, handle)
		h.OnAny(anyHandle)
		if why := hookPanic(func() { mistake(h.Webhook) }); !strings.HasPrefix(why, "clerkauth: On") {
			t.Errorf("%s: %q", name, why)
		}
	}
	if why := hookPanic(func() { testkit.NewWebhookRig(t).OnAny(nil) }); !strings.HasPrefix(why, "clerkauth: OnAny") {
		t.Errorf("OnAny(nil): %q", why)
	}
}

func hookPanic(f func()) (why string) {
	defer func() { why = fmt.Sprint(recover()) }()
	f()
	return ""
}

func TestWebhookFailuresAreSentAgain(t *testing.T) {
	h := testkit.NewWebhookRig(t)
	var fail func() error
	calls := 0
	clerkauth.On(h.Webhook, event.UserCreated, func(context.Context, *event.Event[clerk.User]) error {
		calls++
		return fail()
	})
	for name, f := range map[string]func() error{
		"an error":     func() error { return errors.New("user_secret") },
		"our errors":   func() error { return fmt.Errorf("user_secret: %w", clerkauth.ErrHandled) },
		"in flight":    func() error { return clerkauth.ErrInFlight },
		"a panic":      func() error { panic("user_secret") },
		"an abort":     func() error { panic(http.ErrAbortHandler) },
		"an index":     func() error { return errors.New(strings.Fields("user_secret")[7]) },
		"a nil panic":  func() error { panic(nil) }, //nolint:govet // a handler may
		"a dead end":   func() error { runtime.Goexit(); return nil },
		"a typed text": func() error { return event.ErrMalformed },
	} {
		calls = 0
		d := h.UserCreated()
		for range 2 {
			fail = f
			h.Want(name, d, 500)
		}
		fail = func() error { return nil }
		for range 3 {
			h.Want("after "+name, d, 204)
		}
		if calls != 3 {
			t.Errorf("%s: the handler was called %d times, want 3", name, calls)
		}
	}
	if log := h.Log.String(); strings.Contains(log, "user_secret") || strings.Contains(log, "Jane") || !strings.Contains(log, "panic of type string at ") ||
		!strings.Contains(log, "webhook_handler_test.go") || !strings.Contains(log, "*fmt.wrapError: *errors.errorString") || !strings.Contains(log, "type=user.created delivery=msg_") {
		t.Error(log)
	}
}

func TestWebhookTellsOnErrorWhy(t *testing.T) {
	wrong := errors.New("wrong")
	var told []error
	h := testkit.NewWebhookRig(t, func(c *clerkauth.WebhookConfig) {
		c.OnError = func(_ context.Context, e *event.Raw, err error) {
			if e.Type != "user.created" || e.DeliveryID == "" {
				t.Errorf("%+v", e)
			}
			if told = append(told, err); len(told) == 2 {
				panic("OnError")
			}
		}
	})
	var result func() error
	clerkauth.On(h.Webhook, event.UserCreated, func(context.Context, *event.Event[clerk.User]) error { return result() })
	for _, result = range []func() error{func() error { return wrong }, func() error { return wrong }, func() error { panic(7) }, func() error { return nil }} {
		h.Deliver(h.UserCreated())
	}
	h.OnAny(func(_ context.Context, e *event.Raw) error {
		e.Type, e.DeliveryID = "changed", "" // handlers own their copy
		return wrong
	})
	h.Want("the second handler", h.Server.NewDelivery("user.created", "{}"), 500)
	told = told[:3]
	h.Want("a payload of another kind", h.Server.NewDelivery("user.created", `{"id":4711471147114711}`), 500)
	h.Want("without a payload", h.Server.NewDelivery("user.created", `null`), 500)
	if len(told) != 5 || !errors.Is(told[0], wrong) || !errors.Is(told[1], wrong) || !strings.Contains(told[2].Error(), "panic of type int") ||
		!errors.Is(told[3], event.ErrMalformed) || !errors.Is(told[4], event.ErrMalformed) {
		t.Error(told)
	}
	if log := h.Log.String(); strings.Contains(log, "4711471147114711") || !strings.Contains(log, "data.id of a user.created") || !strings.Contains(log, "OnError failed") {
		t.Error(log)
	}
}

// TestWebhookCopyInFlight: a copy of a delivery in flight is neither handled nor
// acknowledged.
func TestWebhookCopyInFlight(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		h := testkit.NewWebhookRig(t)
		finish := make(chan error)
		calls := 0
		clerkauth.On(h.Webhook, event.UserCreated, func(context.Context, *event.Event[clerk.User]) error {
			calls++
			return <-finish
		})
		d := h.UserCreated()
		for _, result := range []error{errors.New("wrong"), nil} {
			first := make(chan int)
			go func() { first <- h.Deliver(d) }()
			synctest.Wait()
			for range 3 {
				h.Want("a copy in flight", d, 503)
			}
			finish <- result
			if got, want := <-first, map[bool]int{true: 204, false: 500}[result == nil]; got != want {
				t.Errorf("the first copy: %d, want %d", got, want)
			}
		}
		h.Want("a copy of what was handled", d, 204)
		if calls != 2 {
			t.Errorf("%d calls", calls)
		}
	})
}

// hookSlowBody takes a second for each byte.
type hookSlowBody struct{ rest []byte }

func (b *hookSlowBody) Read(p []byte) (int, error) {
	if len(b.rest) == 0 {
		return 0, io.EOF
	}
	time.Sleep(time.Second)
	p[0] = b.rest[0]
	b.rest = b.rest[1:]
	return 1, nil
}

func TestWebhookSlowBodyIsNotBegun(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		h := testkit.NewWebhookRig(t)
		h.OnAny(func(context.Context, *event.Raw) error {
			t.Error("it was handled after the deadline")
			return nil
		})
		r := testkit.Received(h.UserCreated().Request(testkit.WebhookURL))
		body, _ := io.ReadAll(r.Body)
		r.Body = io.NopCloser(&hookSlowBody{body})
		if w := h.Serve(r); w.Code != 503 {
			t.Error(w.Code)
		}
	})
}

func TestWebhookRefusalsAreLoggedForTheOperator(t *testing.T) {
	h := testkit.NewWebhookRig(t)
	d := h.UserCreated()
	r := testkit.Received(d.Request(testkit.WebhookURL))
	r.Header.Set("Svix-Timestamp", "1614265330")
	h.Serve(r)
	other := testkit.OtherWebhookInstance().NewDelivery("user.created", "{}")
	h.Want("of another instance", other, 400)
	log := h.Log.String()
	if !strings.Contains(log, "check the clock") || !strings.Contains(log, "check the secret") || strings.Contains(log, d.ID) || strings.Contains(log, "v1,") {
		t.Error(log)
	}
}

// TestWebhookOnLoopback: a server survives its handlers' panics, and ends everything
// that it began.
func TestWebhookOnLoopback(t *testing.T) {
	h := testkit.NewWebhookRig(t)
	var mu sync.Mutex
	failures := 2
	h.OnAny(func(context.Context, *event.Raw) error {
		mu.Lock()
		defer mu.Unlock()
		if failures--; failures >= 0 {
			panic("user_secret")
		}
		return nil
	})
	mux := http.NewServeMux()
	mux.Handle("POST /webhooks/clerk", h)
	server := httptest.NewServer(mux)
	defer server.Close()
	attempts := h.UserCreated().Send(t, server.URL+"/webhooks/clerk", clerkauthtest.Copies(4), clerkauthtest.Sleep(func(time.Duration) {}))
	if last := attempts[len(attempts)-1]; !last.Accepted() || len(attempts) < 5 {
		t.Errorf("%+v", attempts)
	}
}

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
