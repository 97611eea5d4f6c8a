package testkit

import (
	"context"
	"crypto/hmac"
	"crypto/sha256"
	"encoding/base64"
	"fmt"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"sync"
	"testing"

	"github.com/clerkauth/clerkauth"
	"github.com/clerkauth/clerkauth/clerkauthtest"
)

// WebhookURL is where deliveries are sent.
const WebhookURL = "https://app.example.com/webhooks/clerk"

// The vector that Standard Webhooks and Svix's libraries share.
const (
	VectorSecret    = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw"
	VectorID        = "msg_p5jXN8AQM9LWM0D4loKWxJek"
	VectorTime      = 1614265330
	VectorBody      = `{"test": 2432232314}`
	VectorSignature = "v1,g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE="
)

// WebhookInstance is the instance of Clerk, in memory, that sends deliveries to
// every WebhookRig.
var WebhookInstance = sync.OnceValue(newWebhookInstance)

// OtherWebhookInstance is an instance whose webhook secret no WebhookRig has.
var OtherWebhookInstance = sync.OnceValue(newWebhookInstance)

func newWebhookInstance() *clerkauthtest.Server {
	srv, err := clerkauthtest.Start(clerkauthtest.InMemory())
	if err != nil {
		panic(err)
	}
	return srv
}

// WebhookRig is a Webhook with the instance that sends to it.
type WebhookRig struct {
	*clerkauth.Webhook
	TB     testing.TB
	Server *clerkauthtest.Server
	Log    *Log // what the Webhook logs, at every level
}

// NewWebhookRig returns a WebhookRig; changes edit the Webhook's configuration.
func NewWebhookRig(tb testing.TB, changes ...func(*clerkauth.WebhookConfig)) *WebhookRig {
	tb.Helper()
	h := &WebhookRig{TB: tb, Server: WebhookInstance(), Log: new(Log)}
	c := h.Server.WebhookConfig()
	c.Now = nil
	c.Logger = slog.New(slog.NewTextHandler(h.Log, &slog.HandlerOptions{Level: slog.LevelDebug}))
	for _, change := range changes {
		change(&c)
	}
	var err error
	if h.Webhook, err = clerkauth.NewWebhook(c); err != nil {
		tb.Fatal(err)
	}
	return h
}

// Received returns a client's request as a server sees it.
func Received(r *http.Request) *http.Request {
	seen := httptest.NewRequestWithContext(r.Context(), r.Method, r.URL.String(), r.Body)
	seen.Header = r.Header
	return seen
}

// Serve returns the response to a request.
func (h *WebhookRig) Serve(r *http.Request) *httptest.ResponseRecorder {
	w := httptest.NewRecorder()
	h.ServeHTTP(w, r)
	return w
}

// Deliver sends one copy, checks the response's header and body, and returns its
// status.
func (h *WebhookRig) Deliver(d *clerkauthtest.Delivery) int {
	h.TB.Helper()
	return h.DeliverFor(context.Background(), d)
}

// DeliverFor is Deliver for a sender that waits until ctx ends.
func (h *WebhookRig) DeliverFor(ctx context.Context, d *clerkauthtest.Delivery) int {
	h.TB.Helper()
	w := h.Serve(Received(d.Request(WebhookURL).WithContext(ctx)))
	if got := w.Header().Get("Cache-Control"); got != "no-store" {
		h.TB.Errorf("Cache-Control is %q", got)
	}
	if retry := w.Header().Get("Retry-After"); (retry != "") != (w.Code == http.StatusServiceUnavailable) {
		h.TB.Errorf("%d with Retry-After %q", w.Code, retry)
	}
	if w.Code == http.StatusNoContent {
		if w.Body.Len() != 0 {
			h.TB.Errorf("204 with %q", w.Body)
		}
	} else if want := fmt.Sprintf(`{"status":%d,"title":%q,"type":"about:blank"}`+"\n", w.Code, http.StatusText(w.Code)); w.Body.String() != want ||
		w.Header().Get("Content-Type") != "application/problem+json" {
		h.TB.Errorf("%v %q, want %q", w.Header(), w.Body, want)
	}
	return w.Code
}

// UserCreated returns a new delivery. Its payload must appear in no log.
func (h *WebhookRig) UserCreated() *clerkauthtest.Delivery {
	return h.Server.NewDelivery("user.created", `{"id":"user_secret","first_name":"Jane"}`)
}

// Want fails the test unless a copy receives that status.
func (h *WebhookRig) Want(what string, d *clerkauthtest.Delivery, status int) {
	h.TB.Helper()
	if got := h.Deliver(d); got != status {
		h.TB.Errorf("%s: %d, want %d", what, got, status)
	}
}

// Secrets returns each text as a Secret.
func Secrets(texts ...string) (list []clerkauth.Secret) {
	for _, text := range texts {
		list = append(list, clerkauth.NewSecret(text))
	}
	return list
}

// Sign returns the signature of these bytes with VectorSecret. It is the reference
// for the tests of signatures.
func Sign(id, stamp, body string) string {
	key, err := base64.StdEncoding.DecodeString(VectorSecret[len("whsec_"):])
	if err != nil {
		panic(err)
	}
	mac := hmac.New(sha256.New, key)
	mac.Write([]byte(id + "." + stamp + "." + body))
	return "v1," + base64.StdEncoding.EncodeToString(mac.Sum(nil))
}

// DeliveriesFunc is a [clerkauth.Deliveries] that is a function.
type DeliveriesFunc func(ctx context.Context, id string, handle func(context.Context) error) error

// Once calls f.
func (f DeliveriesFunc) Once(ctx context.Context, id string, handle func(context.Context) error) error {
	return f(ctx, id, handle)
}

// NewDeliveries returns a minimal [clerkauth.Deliveries], which never forgets a
// delivery.
func NewDeliveries() clerkauth.Deliveries {
	var mu sync.Mutex
	handled := map[string]bool{} // false: in flight
	return DeliveriesFunc(func(ctx context.Context, id string, handle func(context.Context) error) error {
		mu.Lock()
		done, known := handled[id]
		if !known {
			handled[id] = false
		}
		mu.Unlock()
		switch {
		case done:
			return clerkauth.ErrHandled
		case known:
			return clerkauth.ErrInFlight
		}
		ok := false
		defer func() { // whatever handle does
			mu.Lock()
			defer mu.Unlock()
			if handled[id] = ok; !ok {
				delete(handled, id)
			}
		}()
		err := handle(ctx)
		ok = err == nil
		return err
	})
}
