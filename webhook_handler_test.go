package clerkauth_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"runtime"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/clerk/clerk-sdk-go/v2"

	"github.com/clerkauth/clerkauth"
	"github.com/clerkauth/clerkauth/clerkauthtest"
	"github.com/clerkauth/clerkauth/event"
)

const hooksURL = "https://app.example.com/webhooks/clerk"

// Instances of Clerk in memory, one that is believed and one that is not.
var hookServer, hookStranger = sync.OnceValue(newHookServer), sync.OnceValue(newHookServer)

func newHookServer() *clerkauthtest.Server {
	srv, err := clerkauthtest.Start(clerkauthtest.InMemory())
	if err != nil {
		panic(err)
	}
	return srv
}

// hookLog is a log that may be read while it is written.
type hookLog struct {
	mu   sync.Mutex
	text bytes.Buffer
}

func (l *hookLog) Write(p []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.text.Write(p)
}

func (l *hookLog) String() string {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.text.String()
}

// hookTest is a Webhook with the instance that sends to it, in memory.
type hookTest struct {
	*clerkauth.Webhook
	t   *testing.T
	srv *clerkauthtest.Server
	log *hookLog
}

func newHooks(t *testing.T, changes ...func(*clerkauth.WebhookConfig)) *hookTest {
	t.Helper()
	h := &hookTest{t: t, srv: hookServer(), log: new(hookLog)}
	c := h.srv.WebhookConfig()
	c.Now = nil
	c.Logger = slog.New(slog.NewTextHandler(h.log, &slog.HandlerOptions{Level: slog.LevelDebug}))
	for _, change := range changes {
		change(&c)
	}
	var err error
	if h.Webhook, err = clerkauth.NewWebhook(c); err != nil {
		t.Fatal(err)
	}
	return h
}

// hookReceived returns a request as a server sees it.
func hookReceived(r *http.Request) *http.Request {
	seen := httptest.NewRequestWithContext(r.Context(), r.Method, r.URL.String(), r.Body)
	seen.Header = r.Header
	return seen
}

// serve has a request answered.
func (h *hookTest) serve(r *http.Request) *httptest.ResponseRecorder {
	w := httptest.NewRecorder()
	h.ServeHTTP(w, r)
	return w
}

// deliver sends one copy and returns the status, having looked at the rest of the
// answer.
func (h *hookTest) deliver(d *clerkauthtest.Delivery) int {
	h.t.Helper()
	return h.deliverFor(context.Background(), d)
}

func (h *hookTest) deliverFor(ctx context.Context, d *clerkauthtest.Delivery) int {
	h.t.Helper()
	w := h.serve(hookReceived(d.Request(hooksURL).WithContext(ctx)))
	if got := w.Header().Get("Cache-Control"); got != "no-store" {
		h.t.Errorf("Cache-Control is %q", got)
	}
	if retry := w.Header().Get("Retry-After"); (retry != "") != (w.Code == http.StatusServiceUnavailable) {
		h.t.Errorf("%d with Retry-After %q", w.Code, retry)
	}
	if w.Code == http.StatusNoContent {
		if w.Body.Len() != 0 {
			h.t.Errorf("204 with %q", w.Body)
		}
	} else if want := fmt.Sprintf(`{"status":%d,"title":%q,"type":"about:blank"}`+"\n", w.Code, http.StatusText(w.Code)); w.Body.String() != want ||
		w.Header().Get("Content-Type") != "application/problem+json" {
		h.t.Errorf("%v %q, want %q", w.Header(), w.Body, want)
	}
	return w.Code
}

func (h *hookTest) userCreated() *clerkauthtest.Delivery {
	return h.srv.NewDelivery("user.created", `{"id":"user_secret","first_name":"Jane"}`)
}

// want holds that a copy is answered with that status.
func (h *hookTest) want(what string, d *clerkauthtest.Delivery, status int) {
	h.t.Helper()
	if got := h.deliver(d); got != status {
		h.t.Errorf("%s: %d, want %d", what, got, status)
	}
}

func TestWebhookHandlesTypedEvents(t *testing.T) {
	h := newHooks(t)
	jane := h.srv.CreateUser("jane@example.com")
	var order []string
	clerkauth.On(h.Webhook, event.UserCreated, func(_ context.Context, e *event.Event[clerk.User]) error {
		order = append(order, "created "+e.Data.ID)
		if e.Type != "user.created" || !strings.HasPrefix(e.DeliveryID, "msg_") || e.ClientIP == "" || e.UserAgent == "" || e.InstanceID == "" ||
			time.Since(e.Timestamp).Abs() > time.Minute || e.Data.EmailAddresses[0].EmailAddress != "jane@example.com" ||
			!bytes.Contains(e.Raw.Data, []byte("jane@example.com")) || !bytes.Contains(e.JSON, e.Raw.Data) {
			t.Errorf("%+v", e)
		}
		e.Type = "changed" // which is nobody else's concern
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
	h.want("without a handler", h.srv.NewDelivery("user.updated", jane), 204)
	h.OnAny(func(_ context.Context, e *event.Raw) error {
		order = append(order, "any "+e.Type)
		return nil
	})
	for _, name := range []string{"user.created", "user.deleted", "user.updated", "something.new"} {
		h.want(name, h.srv.NewDelivery(name, jane), 204)
	}
	h.want("revoked", h.srv.NewDelivery("session.revoked", h.srv.SignIn(jane)), 204)
	want := []string{"created " + jane.ID, "any user.created", "deleted " + jane.ID, "any user.deleted", "any user.updated", "any something.new",
		"revoked " + jane.ID, "any session.revoked"}
	if !slices.Equal(order, want) {
		t.Errorf("%q", order)
	}
}

func TestWebhookPanicsOnMistakes(t *testing.T) {
	type user = event.Event[clerk.User]
	handle := func(context.Context, *user) error { return nil }
	anyHandle := func(context.Context, *event.Raw) error { return nil }
	for name, mistake := range map[string]func(*clerkauth.Webhook){
		"a second On":    func(w *clerkauth.Webhook) { clerkauth.On(w, event.UserCreated, handle) },
		"a second OnAny": func(w *clerkauth.Webhook) { w.OnAny(anyHandle) },
		"no handler":     func(w *clerkauth.Webhook) { clerkauth.On(w, event.UserUpdated, nil) },
		"no type":        func(w *clerkauth.Webhook) { clerkauth.On(w, event.Type[clerk.User]{}, handle) },
	} {
		h := newHooks(t)
		clerkauth.On(h.Webhook, event.UserCreated, handle)
		h.OnAny(anyHandle)
		if why := hookPanic(func() { mistake(h.Webhook) }); !strings.HasPrefix(why, "clerkauth: On") {
			t.Errorf("%s: %q", name, why)
		}
	}
	if why := hookPanic(func() { newHooks(t).OnAny(nil) }); !strings.HasPrefix(why, "clerkauth: OnAny") {
		t.Errorf("OnAny(nil): %q", why)
	}
}

func hookPanic(f func()) (why string) {
	defer func() { why = fmt.Sprint(recover()) }()
	f()
	return ""
}

func TestWebhookFailuresAreSentAgain(t *testing.T) {
	h := newHooks(t)
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
		"a nil panic":  func() error { panic(nil) }, //nolint:govet // somebody will
		"a dead end":   func() error { runtime.Goexit(); return nil },
		"a typed text": func() error { return event.ErrMalformed },
	} {
		calls = 0
		d := h.userCreated()
		for range 2 {
			fail = f
			h.want(name, d, 500)
		}
		fail = func() error { return nil }
		for range 3 {
			h.want("after "+name, d, 204)
		}
		if calls != 3 {
			t.Errorf("%s: the handler was called %d times, want 3", name, calls)
		}
	}
	if log := h.log.String(); strings.Contains(log, "user_secret") || strings.Contains(log, "Jane") || !strings.Contains(log, "panic of type string at ") ||
		!strings.Contains(log, "webhook_handler_test.go") || !strings.Contains(log, "*fmt.wrapError: *errors.errorString") || !strings.Contains(log, "type=user.created delivery=msg_") {
		t.Error(log)
	}
}

func TestWebhookTellsOnErrorWhy(t *testing.T) {
	wrong := errors.New("wrong")
	var told []error
	h := newHooks(t, func(c *clerkauth.WebhookConfig) {
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
		h.deliver(h.userCreated())
	}
	h.OnAny(func(_ context.Context, e *event.Raw) error {
		e.Type, e.DeliveryID = "changed", "" // which is nobody else's concern
		return wrong
	})
	h.want("the second handler", h.srv.NewDelivery("user.created", "{}"), 500)
	told = told[:3]
	h.want("a payload of another kind", h.srv.NewDelivery("user.created", `{"id":4711471147114711}`), 500)
	h.want("without a payload", h.srv.NewDelivery("user.created", `null`), 500)
	if len(told) != 5 || !errors.Is(told[0], wrong) || !errors.Is(told[1], wrong) || !strings.Contains(told[2].Error(), "panic of type int") ||
		!errors.Is(told[3], event.ErrMalformed) || !errors.Is(told[4], event.ErrMalformed) {
		t.Error(told)
	}
	if log := h.log.String(); strings.Contains(log, "4711471147114711") || !strings.Contains(log, "data.id of a user.created") || !strings.Contains(log, "OnError failed") {
		t.Error(log)
	}
}

// A copy in flight is neither handled nor acknowledged.
func TestWebhookCopyInFlight(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		h := newHooks(t)
		finish := make(chan error)
		calls := 0
		clerkauth.On(h.Webhook, event.UserCreated, func(context.Context, *event.Event[clerk.User]) error {
			calls++
			return <-finish
		})
		d := h.userCreated()
		for _, result := range []error{errors.New("wrong"), nil} {
			first := make(chan int)
			go func() { first <- h.deliver(d) }()
			synctest.Wait()
			for range 3 {
				h.want("a copy in flight", d, 503)
			}
			finish <- result
			if got, want := <-first, map[bool]int{true: 204, false: 500}[result == nil]; got != want {
				t.Errorf("the first copy: %d, want %d", got, want)
			}
		}
		h.want("a copy of what was handled", d, 204)
		if calls != 2 {
			t.Errorf("%d calls", calls)
		}
	})
}

// A handler that heeds its context has 14 s.
func TestWebhookHandlerHasADeadline(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		h := newHooks(t)
		var heed = true
		clerkauth.On(h.Webhook, event.UserCreated, func(ctx context.Context, _ *event.Event[clerk.User]) error {
			if !heed {
				return nil
			}
			<-ctx.Done()
			return ctx.Err()
		})
		d := h.userCreated()
		began := time.Now()
		h.want("until the deadline", d, 500)
		if took := time.Since(began); took != 14*time.Second {
			t.Errorf("answered after %v", took)
		}
		heed = false
		h.want("after it", d, 204)
	})
}

// A handler that ignores its context keeps its claim until it returns, however
// often Svix sends the delivery again, and what it returns then counts.
func TestWebhookHandlerIgnoresItsDeadline(t *testing.T) {
	for _, result := range []error{nil, errors.New("wrong")} {
		synctest.Test(t, func(t *testing.T) {
			h := newHooks(t)
			var running, calls atomic.Int32
			clerkauth.On(h.Webhook, event.UserCreated, func(context.Context, *event.Event[clerk.User]) error {
				if running.Add(1) > 1 {
					t.Error("two at a time")
				}
				defer running.Add(-1)
				if calls.Add(1) > 1 {
					return nil
				}
				time.Sleep(time.Hour)
				return result
			})
			d := h.userCreated()
			began := time.Now()
			h.want("the first copy", d, 503)
			if took := time.Since(began); took <= 14*time.Second || took >= 15*time.Second {
				t.Errorf("answered after %v, which Svix does not wait for", took)
			}
			for time.Since(began) < 59*time.Minute {
				h.want("a copy meanwhile", d, 503)
				time.Sleep(time.Minute)
			}
			time.Sleep(2 * time.Minute)
			h.want("a copy after it", d, 204)
			if got, want := calls.Load(), map[bool]int32{true: 1, false: 2}[result == nil]; got != want {
				t.Errorf("%d calls, want %d", got, want)
			}
			if log := h.log.String(); !strings.Contains(log, "runs past its deadline") {
				t.Error(log)
			}
		})
	}
}

func TestWebhookSenderHangsUp(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		h := newHooks(t)
		var calls int
		clerkauth.On(h.Webhook, event.UserCreated, func(ctx context.Context, _ *event.Event[clerk.User]) error {
			if calls++; calls > 1 {
				return nil
			}
			<-ctx.Done()
			return context.Cause(ctx)
		})
		d := h.userCreated()
		ctx, cancel := context.WithCancel(context.Background())
		time.AfterFunc(time.Second, cancel)
		began := time.Now()
		if got := h.deliverFor(ctx, d); got < 500 || time.Since(began) != time.Second {
			t.Errorf("%d after %v", got, time.Since(began))
		}
		if got := h.deliverFor(ctx, d); got < 500 || calls != 1 {
			t.Errorf("who is gone already: %d, %d calls", got, calls)
		}
		h.want("a copy after it", d, 204)
	})
}

// hookSlowBody takes its time for every byte.
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
		h := newHooks(t)
		h.OnAny(func(context.Context, *event.Raw) error {
			t.Error("it was handled for nobody")
			return nil
		})
		r := hookReceived(h.userCreated().Request(hooksURL))
		body, _ := io.ReadAll(r.Body)
		r.Body = io.NopCloser(&hookSlowBody{body})
		if w := h.serve(r); w.Code != 503 {
			t.Error(w.Code)
		}
	})
}
