package catalogue

import (
	"bytes"
	"context"
	"encoding/base64"
	"encoding/json"
	"errors"
	"io"
	"net/http"
	"net/http/httptest"
	"runtime"
	"strings"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"slices"
	"sync"

	"github.com/clerk/clerk-sdk-go/v2"
	"github.com/clerkauth/clerkauth"
	"github.com/clerkauth/clerkauth/clerkauthtest"
	"github.com/clerkauth/clerkauth/event"
	"github.com/clerkauth/clerkauth/internal/testkit"
)

// These rows test the handling of authentic deliveries, and deliveries that no
// handler receives.
var _ = addRows(rows{
	"219/webhook_methods":                row219Methods,
	"220/replayed_delivery":              row220Replay,
	"221/copies_at_once":                 row221Concurrent,
	"222/failing_handlers":               row222Failures,
	"223/slow_handlers":                  row223SlowHandlers,
	"224/delivery_store_limits":          row224Store,
	"225/rotated_webhook_secrets":        row225Rotation,
	"226/odd_webhook_secrets":            row226Secrets,
	"227/no_webhook_secret":              row227NoSecret,
	"228/odd_events":                     row228Events,
	"259/handlers_that_overwrite":        row259OverwrittenEvent,
	"295/context_outlives_the_request":   row295ContextOutlivesRequest,
	"300/one_goroutine_for_each_handler": row300CostOfAHandler,
})

func row219Methods(t *testing.T) {
	r := newHookRow(t)
	for _, method := range []string{"GET", "HEAD", "PUT", "PATCH", "DELETE", "OPTIONS", "TRACE", "CONNECT", "post", "POSTS", "X"} {
		req := httptest.NewRequestWithContext(t.Context(), http.MethodPost, testkit.WebhookURL, strings.NewReader(hookBody))
		req.Method, req.Header = method, hookSigned(hookBody)
		if w := r.Serve(req); w.Code != http.StatusMethodNotAllowed || w.Header().Get("Allow") != http.MethodPost {
			t.Errorf("%s: %d %v", method, w.Code, w.Header())
		}
	}
	if r.handled != 0 {
		t.Error("it was handled")
	}
}

func row220Replay(t *testing.T) {
	r := newHookRow(t)
	h := hookSigned(hookBody)
	r.accepts("the first", h, hookBody)
	for range 3 {
		if got := r.deliver(h, hookBody); got != http.StatusNoContent || r.handled != 1 {
			t.Errorf("a copy: %d, handled %d times", got, r.handled)
		}
	}
	// The id identifies a delivery, not the signature or the payload: Svix signs each
	// attempt anew, and two updates of a user are two deliveries.
	again := hookSignedBy(testkit.VectorSecret, h.Get("Svix-Id"), hookBody+" ")
	if got := r.deliver(again, hookBody+" "); got != http.StatusNoContent || r.handled != 1 {
		t.Errorf("another attempt: %d, handled %d times", got, r.handled)
	}
	r.accepts("another delivery of the same", hookSigned(hookBody), hookBody)
}

func row221Concurrent(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		h := testkit.NewWebhookRig(t)
		var running, calls atomic.Int32
		h.OnAny(func(context.Context, *event.Raw) error {
			if running.Add(1) != 1 {
				t.Error("two at a time")
			}
			defer running.Add(-1)
			calls.Add(1)
			time.Sleep(time.Second)
			return nil
		})
		attempts := h.UserCreated().Send(t, testkit.WebhookURL, clerkauthtest.To(h), clerkauthtest.Copies(100), clerkauthtest.Sleep(time.Sleep))
		for i, a := range attempts {
			if want := map[bool]int{true: 503, false: 204}[i < 100]; a.Status != want && (i >= 100 || a.Status != 204) {
				t.Errorf("copy %d: %d", i, a.Status)
			}
		}
		if calls.Load() != 1 || len(attempts) != 199 {
			t.Errorf("%d calls, %d attempts", calls.Load(), len(attempts))
		}
	})
}

// hookAllocates returns how many bytes do allocates.
func hookAllocates(do func()) uint64 {
	var before, after runtime.MemStats
	runtime.ReadMemStats(&before)
	do()
	runtime.ReadMemStats(&after)
	return after.TotalAlloc - before.TotalAlloc
}

// closing records whether it was closed.
type closing struct {
	io.Reader
	closed bool
}

func (c *closing) Close() error {
	c.closed = true
	return nil
}

func row222Failures(t *testing.T) {
	for what, fail := range map[string]func() error{"an error": func() error { return errors.New("wrong") }, "a panic": func() error { panic("wrong") }} {
		h := testkit.NewWebhookRig(t)
		calls := 0
		h.OnAny(func(context.Context, *event.Raw) error {
			if calls++; calls <= 2 {
				return fail()
			}
			return nil
		})
		// The shared instance's clock does not move.
		attempts := h.UserCreated().Send(t, testkit.WebhookURL, clerkauthtest.To(h), clerkauthtest.Sleep(func(time.Duration) {}))
		if len(attempts) != 3 || attempts[0].Status != 500 || attempts[1].Status != 500 || calls != 3 {
			t.Errorf("%s: %+v, %d calls", what, attempts, calls)
		}
		calls = 0
		r := testkit.Received(h.UserCreated().Request(testkit.WebhookURL))
		body := &closing{Reader: r.Body}
		r.Body = body
		if w := h.Serve(r); w.Code != 500 || !body.closed {
			t.Errorf("%s: %d, the body was closed: %t", what, w.Code, body.closed)
		}
	}
}

func row223SlowHandlers(t *testing.T) {
	t.Run("heeds", handlerHeedsItsDeadline)
	t.Run("ignores", handlerIgnoresItsDeadline)
	t.Run("hung up", senderHangsUp)
	// On the wire, a delivery without a response in time is sent again.
	synctest.Test(t, func(t *testing.T) {
		h := testkit.NewWebhookRig(t)
		calls := 0
		h.OnAny(func(ctx context.Context, _ *event.Raw) error {
			calls++
			if calls == 1 {
				time.Sleep(20 * time.Second) // until after the second attempt
			}
			return ctx.Err()
		})
		attempts := h.UserCreated().Send(t, testkit.WebhookURL, clerkauthtest.To(h), clerkauthtest.Sleep(time.Sleep))
		if len(attempts) != 3 || attempts[0].Status != 503 || attempts[1].Status != 503 || calls != 2 {
			t.Errorf("%+v, %d calls", attempts, calls)
		}
	})
}

func row224Store(t *testing.T) {
	away := errors.New("the store is away")
	var down atomic.Bool
	down.Store(true)
	memory := testkit.NewDeliveries()
	h := testkit.NewWebhookRig(t, func(c *clerkauth.WebhookConfig) {
		c.Deliveries = testkit.DeliveriesFunc(func(ctx context.Context, id string, handle func(context.Context) error) error {
			if down.Load() {
				return away
			}
			return memory.Once(ctx, id, handle)
		})
	})
	calls := 0
	h.OnAny(func(context.Context, *event.Raw) error {
		calls++
		return nil
	})
	d := h.UserCreated()
	attempts := d.Send(t, testkit.WebhookURL, clerkauthtest.To(h), clerkauthtest.Tries(3), clerkauthtest.Sleep(func(time.Duration) {}))
	if attempts[2].Status != 503 || calls != 0 {
		t.Errorf("without a store: %+v, %d calls", attempts, calls)
	}
	down.Store(false)
	h.Want("afterwards", d, 204)
	h.Want("once more", d, 204)
	if calls != 1 {
		t.Errorf("%d calls", calls)
	}
}

func row225Rotation(t *testing.T) {
	const newer = "whsec_dmVjdG9yc19zaWduaW5nX3NlY3JldF8zMmJ5dGVzX18="
	both := hookSignedBy(newer, "msg_both", hookBody)
	both["Svix-Signature"][0] += " " + hookSignedBy(testkit.VectorSecret, "msg_both", hookBody).Get("Svix-Signature")
	for _, c := range []struct {
		name           string
		secrets        []string
		old, new, both bool
	}{
		{"new and old", []string{newer, testkit.VectorSecret}, true, true, true},
		{"old and new", []string{testkit.VectorSecret, newer}, true, true, true},
		{"new alone", []string{newer}, false, true, true},
		{"old alone", []string{testkit.VectorSecret}, true, false, true},
	} {
		w := newHookRow(t, c.secrets...)
		for what, got := range map[string]bool{
			"the old":  c.old == (w.Verify(hookSigned(hookBody), []byte(hookBody)) == nil),
			"the new":  c.new == (w.Verify(hookSignedBy(newer, "msg_new", hookBody), []byte(hookBody)) == nil),
			"both":     c.both == (w.Verify(both, []byte(hookBody)) == nil),
			"a body's": w.Verify(both, []byte(hookBody+" ")) != nil,
		} {
			if !got {
				t.Errorf("%s: signed with %s", c.name, what)
			}
		}
	}
}

// hookSecret returns a secret with a key of n bytes.
func hookSecret(n int) string {
	return "whsec_" + base64.StdEncoding.EncodeToString(bytes.Repeat([]byte{' '}, n))
}

func row226Secrets(t *testing.T) {
	for _, secret := range []string{"", " ", "whsec_", "whsec_!!", "whsec_====", "MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw", "WHSEC_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw",
		"whsk_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw", "whpk_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw", "whsec_c2hvcnQ=", hookSecret(23), hookSecret(0),
		strings.TrimSuffix(hookSecret(25), "A==") + "B==", // one that decodes to the same
		testkit.VectorSecret + "\n", testkit.VectorSecret + " ", " " + testkit.VectorSecret, testkit.VectorSecret + "\r\n", testkit.VectorSecret[:20] + "\n" + testkit.VectorSecret[20:], testkit.VectorSecret + "=", testkit.VectorSecret[:len(testkit.VectorSecret)-1],
		`"` + testkit.VectorSecret + `"`, testkit.VectorSecret + "," + testkit.VectorSecret, "whsec_" + testkit.VectorSecret, strings.ReplaceAll("whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLa+/", "+/", "-_")} {
		for _, secrets := range [][]string{{secret}, {testkit.VectorSecret, secret}, {secret, testkit.VectorSecret}} {
			w, err := clerkauth.NewWebhook(clerkauth.WebhookConfig{Secrets: testkit.Secrets(secrets...)})
			if err == nil || w != nil {
				t.Errorf("%q is a secret", secret)
			} else if len(secret) > 12 && strings.Contains(err.Error(), secret[6:12]) {
				t.Errorf("the error tells the secret: %v", err)
			}
		}
	}
	for _, n := range []int{24, 25, 32, 64, 200} {
		if _, err := clerkauth.NewWebhook(clerkauth.WebhookConfig{Secrets: []clerkauth.Secret{clerkauth.NewSecret(hookSecret(n))}}); err != nil {
			t.Errorf("%d bytes: %v", n, err)
		}
	}
}

func row227NoSecret(t *testing.T) {
	for _, secrets := range [][]string{nil, {}, {""}} {
		w, err := clerkauth.NewWebhook(clerkauth.WebhookConfig{Secrets: testkit.Secrets(secrets...)})
		if err == nil || w != nil {
			t.Errorf("%q: verification is off", secrets)
		}
	}
}

func row228Events(t *testing.T) {
	r := newHookRow(t)
	for what, body := range map[string]string{
		"an array": "[]", "null": "null", "a number": "7", "a string": `"user.created"`, "false": "false", "nothing": "", "a space": " ", "no type": "{}", "a type that is none": `{"type":7}`,
		"a null type": `{"type":null}`, "an empty type": `{"type":""}`, "two types": `{"type":"user.created","type":"user.deleted"}`, "two types, one escaped": `{"type":"user.created","\u0074ype":"user.deleted"}`,
		"truncated": `{"type":"user.created"`, "two values": `{"type":"user.created"}{}`, "no UTF-8": "{\"type\":\"\xff\"}", "a comma": `{"type":"user.created",}`,
		"10,000 arrays": strings.Repeat("[", 10_000), "10,000 arrays inside": `{"type":"user.created","data":` + strings.Repeat("[", 10_000) + strings.Repeat("]", 10_000) + "}",
		"1,000,000 arrays": strings.Repeat("[", 1_000_000),
	} {
		r.refuses(what, hookSigned(body), body)
	}
	for what, body := range map[string]string{
		"an unknown type": `{"type":"something.new","data":[]}`, "no data": `{"type":"user.created"}`, "more than we know": `{"type":"user.created","data":{"x":1},"x":{"type":7}}`,
		"depth": `{"type":"user.created","data":` + strings.Repeat("[", 1_000) + strings.Repeat("]", 1_000) + "}",
	} {
		r.accepts(what, hookSigned(body), body)
	}
	unhandled := testkit.NewWebhookRig(t)
	unhandled.Want("an event without a handler", unhandled.Server.NewDelivery("something.new", "{}"), 204)
}

// handlerHeedsItsDeadline: a handler that heeds its context has 14 s.
func handlerHeedsItsDeadline(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		h := testkit.NewWebhookRig(t)
		var heed = true
		clerkauth.On(h.Webhook, event.UserCreated, func(ctx context.Context, _ *event.Event[clerk.User]) error {
			if !heed {
				return nil
			}
			<-ctx.Done()
			return ctx.Err()
		})
		d := h.UserCreated()
		began := time.Now()
		h.Want("until the deadline", d, 500)
		if took := time.Since(began); took != 14*time.Second {
			t.Errorf("answered after %v", took)
		}
		heed = false
		h.Want("after it", d, 204)
	})
}

// handlerIgnoresItsDeadline: a handler that ignores its context keeps its claim
// until it returns, however often Svix sends the delivery again; then its result
// counts.
func handlerIgnoresItsDeadline(t *testing.T) {
	for _, result := range []error{nil, errors.New("wrong")} {
		synctest.Test(t, func(t *testing.T) {
			h := testkit.NewWebhookRig(t)
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
			d := h.UserCreated()
			began := time.Now()
			h.Want("the first copy", d, 503)
			if took := time.Since(began); took <= 14*time.Second || took >= 15*time.Second {
				t.Errorf("answered after %v, which Svix does not wait for", took)
			}
			for time.Since(began) < 59*time.Minute {
				h.Want("a copy meanwhile", d, 503)
				time.Sleep(time.Minute)
			}
			time.Sleep(2 * time.Minute)
			h.Want("a copy after it", d, 204)
			if got, want := calls.Load(), map[bool]int32{true: 1, false: 2}[result == nil]; got != want {
				t.Errorf("%d calls, want %d", got, want)
			}
			if log := h.Log.String(); !strings.Contains(log, "runs past its deadline") {
				t.Error(log)
			}
		})
	}
}

func senderHangsUp(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		h := testkit.NewWebhookRig(t)
		var calls int
		clerkauth.On(h.Webhook, event.UserCreated, func(ctx context.Context, _ *event.Event[clerk.User]) error {
			if calls++; calls > 1 {
				return nil
			}
			<-ctx.Done()
			return context.Cause(ctx)
		})
		d := h.UserCreated()
		ctx, cancel := context.WithCancel(context.Background())
		time.AfterFunc(time.Second, cancel)
		began := time.Now()
		if got := h.DeliverFor(ctx, d); got < 500 || time.Since(began) != time.Second {
			t.Errorf("%d after %v", got, time.Since(began))
		}
		if got := h.DeliverFor(ctx, d); got < 500 || calls != 1 {
			t.Errorf("who is gone already: %d, %d calls", got, calls)
		}
		h.Want("a copy after it", d, 204)
	})
}

func row259OverwrittenEvent(t *testing.T) {
	var atEnd string
	h := testkit.NewWebhookRig(t, func(c *clerkauth.WebhookConfig) {
		c.OnError = func(_ context.Context, e *event.Raw, _ error) { atEnd = string(e.JSON) + string(e.Data) }
	})
	clerkauth.On(h.Webhook, event.UserCreated, func(_ context.Context, e *event.Event[clerk.User]) error {
		clear(e.JSON)
		clear(e.Raw.Data)
		e.Type = "x"
		return nil
	})
	var seen string
	h.OnAny(func(_ context.Context, e *event.Raw) error {
		seen = e.Type + string(e.JSON) + string(e.Data)
		clear(e.JSON)
		clear(e.Data)
		return errors.New("wrong")
	})
	d := h.UserCreated()
	h.Want("a delivery", d, 500)
	if want := "user.created" + string(d.Body); !strings.HasPrefix(seen, want) || !strings.Contains(seen[len(want):], "user_secret") {
		t.Errorf("OnAny saw %q", seen)
	}
	if !strings.HasPrefix(atEnd, string(d.Body)) || !strings.Contains(atEnd[len(d.Body):], "user_secret") {
		t.Errorf("OnError saw %q", atEnd)
	}
	// The same for a payload that is JSON itself, and for a handler that leaves it alone.
	for _, overwrite := range []bool{true, false} {
		h := testkit.NewWebhookRig(t)
		clerkauth.On(h.Webhook, event.Custom[json.RawMessage]("user.created"), func(_ context.Context, e *event.Event[json.RawMessage]) error {
			if overwrite {
				clear(e.Data)
				e.Raw = event.Raw{}
			}
			return nil
		})
		h.OnAny(func(_ context.Context, e *event.Raw) error { seen = string(e.JSON) + string(e.Data); return nil })
		d := h.UserCreated()
		h.Want("JSON as a payload", d, 204)
		if !strings.HasPrefix(seen, string(d.Body)) || !strings.Contains(seen[len(d.Body):], "user_secret") {
			t.Errorf("overwritten: %t: OnAny saw %q", overwrite, seen)
		}
	}
}

// hookRequestContext is a request's context on a server that reuses its memory: it
// must not be used after the request.
type hookRequestContext struct {
	context.Context
	t    *testing.T
	over bool // without a lock, so that the race detector reports late readers
}

func (c *hookRequestContext) use(what string) {
	if c.over {
		c.t.Errorf("%s after the request", what)
	}
}

func (c *hookRequestContext) Deadline() (time.Time, bool) {
	c.use("Deadline")
	return c.Context.Deadline()
}

func (c *hookRequestContext) Done() <-chan struct{} { c.use("Done"); return c.Context.Done() }

func (c *hookRequestContext) Err() error { c.use("Err"); return c.Context.Err() }

func (c *hookRequestContext) Value(key any) any { c.use("Value"); return c.Context.Value(key) }

func row295ContextOutlivesRequest(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var results []clerkauth.WebhookResult
		h := testkit.NewWebhookRig(t, func(c *clerkauth.WebhookConfig) {
			c.OnError = func(ctx context.Context, _ *event.Raw, _ error) { _ = ctx.Value(hookKey{}) }
			c.Observe = func(ctx context.Context, o clerkauth.WebhookOutcome) {
				if ctx.Value(hookKey{}) != "of the request" {
					t.Error("Observe has another context")
				}
				results = append(results, o.Result)
			}
		})
		ended := make(chan error, 1)
		h.OnAny(func(ctx context.Context, e *event.Raw) error {
			if ctx.Value(hookKey{}) != nil {
				t.Error("a handler sees a value of the request's context")
			}
			<-ctx.Done()
			time.Sleep(time.Minute) // long after the response
			derived, cancel := context.WithTimeout(context.WithValue(ctx, hookKey{}, 1), time.Hour)
			defer cancel()
			ended <- errors.Join(derived.Err(), context.Cause(ctx))
			return errors.New("wrong")
		})
		serve := func(ctx context.Context) int {
			request := &hookRequestContext{Context: context.WithValue(ctx, hookKey{}, "of the request"), t: t}
			r := testkit.Received(h.UserCreated().Request(testkit.WebhookURL))
			w := h.Serve(r.WithContext(request))
			request.over = true
			return w.Code
		}
		if got := serve(t.Context()); got != 503 {
			t.Error(got)
		}
		if err := <-ended; !errors.Is(err, context.DeadlineExceeded) {
			t.Error(err)
		}
		// The sender disconnects: the handler's context ends with the same cause.
		wrong := errors.New("hung up")
		ctx, hangUp := context.WithCancelCause(t.Context())
		time.AfterFunc(time.Second, func() { hangUp(wrong) })
		if got := serve(ctx); got != 503 {
			t.Error(got)
		}
		if err := <-ended; !errors.Is(err, wrong) {
			t.Error(err)
		}
		synctest.Wait()
		if !slices.Equal(results, []clerkauth.WebhookResult{clerkauth.WebhookLate, clerkauth.WebhookLate}) {
			t.Error(results)
		}
	})
}

// row300CostOfAHandler: a handler costs its goroutine, and the store one call.
func row300CostOfAHandler(t *testing.T) {
	const handlers = 40
	synctest.Test(t, func(t *testing.T) {
		memory := testkit.NewDeliveries()
		var storeCalls atomic.Int32
		h := testkit.NewWebhookRig(t, func(c *clerkauth.WebhookConfig) {
			c.Deliveries = testkit.DeliveriesFunc(func(ctx context.Context, id string, handle func(context.Context) error) error {
				storeCalls.Add(1)
				return memory.Once(ctx, id, handle)
			})
		})
		h.OnAny(func(context.Context, *event.Raw) error { time.Sleep(4500 * time.Millisecond); return nil })
		before := runtime.NumGoroutine()
		var all sync.WaitGroup
		for range handlers {
			d := h.UserCreated()
			all.Go(func() { h.Want("a delivery", d, 204) })
		}
		time.Sleep(time.Second)
		synctest.Wait()
		if n := runtime.NumGoroutine() - before; n > 2*handlers+8 || storeCalls.Load() != handlers {
			t.Errorf("%d handlers have %d goroutines, and called the store %d times", handlers, n, storeCalls.Load())
		}
		all.Wait()
	})
}

// hookKey is a context key.
type hookKey struct{}
