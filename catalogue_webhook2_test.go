package clerkauth_test

import (
	"bytes"
	"context"
	"encoding/base64"
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

	"github.com/clerkauth/clerkauth"
	"github.com/clerkauth/clerkauth/clerkauthtest"
	"github.com/clerkauth/clerkauth/event"
	"github.com/clerkauth/clerkauth/internal/testkit"
)

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
	// It is the id that counts, not the signature or the payload: Svix signs each
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

// closing notices that it was closed.
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
		// The shared instance's clock stays where it is.
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
	t.Run("heeds", TestWebhookHandlerHasADeadline)
	t.Run("ignores", TestWebhookHandlerIgnoresItsDeadline)
	t.Run("hung up", TestWebhookSenderHangsUp)
	// On the wire, what is not answered in time is sent again and told so.
	synctest.Test(t, func(t *testing.T) {
		h := testkit.NewWebhookRig(t)
		calls := 0
		h.OnAny(func(ctx context.Context, _ *event.Raw) error {
			calls++
			if calls == 1 {
				time.Sleep(20 * time.Second) // done when the second attempt is over
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
	t.Run("bounded", TestDeliveriesInMemoryAreBounded)
	away := errors.New("the store is away")
	var down atomic.Bool
	down.Store(true)
	memory := clerkauth.NewMemoryDeliveries(time.Now, 10)
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

// hookSecret is a secret with a key of n bytes.
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
	nobody := testkit.NewWebhookRig(t)
	nobody.Want("nobody's event", nobody.Server.NewDelivery("something.new", "{}"), 204)
}
