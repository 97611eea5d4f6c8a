package catalogue

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/clerkauth/clerkauth"
	"github.com/clerkauth/clerkauth/event"
	"github.com/clerkauth/clerkauth/internal/testkit"
)

// These rows test what is logged about webhooks.
var _ = addRows(rows{
	"272/webhook":                       row272WebhookMistakes,
	"299/codes_of_stores_and_databases": row299Codes,
})

// row272WebhookMistakes: a delivery that is rejected although its headers are well
// formed and current is logged for the operator, once a minute with a count; the
// sender learns nothing.
func row272WebhookMistakes(t *testing.T) {
	for name, test := range map[string]struct {
		request func(h *testkit.WebhookRig) *http.Request
		want    string
	}{
		"wrong secret": {func(h *testkit.WebhookRig) *http.Request {
			return testkit.Received(testkit.OtherWebhookInstance().NewDelivery("user.created", `{"id":"user_secret"}`).Request(testkit.WebhookURL))
		}, "signing secret"},
		"changed": {func(h *testkit.WebhookRig) *http.Request {
			r := testkit.Received(h.UserCreated().Request(testkit.WebhookURL))
			body, _ := io.ReadAll(r.Body)
			r.Body = io.NopCloser(strings.NewReader(string(body) + "\n"))
			return r
		}, "changes the body"},
		"decoded and re-encoded": {func(h *testkit.WebhookRig) *http.Request {
			r := testkit.Received(h.UserCreated().Request(testkit.WebhookURL))
			r.Body = io.NopCloser(hookReencoded(t, r.Body))
			return r
		}, "decodes and re-encodes"},
		"not JSON": {func(h *testkit.WebhookRig) *http.Request {
			r := testkit.Received(h.UserCreated().Request(testkit.WebhookURL))
			r.Body = io.NopCloser(strings.NewReader("user_secret=1"))
			return r
		}, "decodes, reformats or changes"},
		"read before, with a length": {func(h *testkit.WebhookRig) *http.Request {
			r := testkit.Received(h.UserCreated().Request(testkit.WebhookURL))
			r.ContentLength, _ = io.Copy(io.Discard, r.Body)
			return r
		}, "although they have a Content-Length"},
		"closed before, with a length": {func(h *testkit.WebhookRig) *http.Request {
			r := testkit.Received(h.UserCreated().Request(testkit.WebhookURL))
			r.Body, r.ContentLength = io.NopCloser(hookClosedBody{}), 7
			return r
		}, "although they have a Content-Length"},
		"read before": {func(h *testkit.WebhookRig) *http.Request {
			r := testkit.Received(h.UserCreated().Request(testkit.WebhookURL))
			_, _ = io.ReadAll(r.Body)
			return r
		}, "reads or closes the body"},
		"closed before": {func(h *testkit.WebhookRig) *http.Request {
			r := testkit.Received(h.UserCreated().Request(testkit.WebhookURL))
			r.Body = io.NopCloser(hookClosedBody{})
			return r
		}, "reads or closes the body"},
		"cut": {func(h *testkit.WebhookRig) *http.Request {
			r := testkit.Received(h.UserCreated().Request(testkit.WebhookURL))
			r.Body = io.NopCloser(io.MultiReader(strings.NewReader("{"), hookCutBody{}))
			return r
		}, "ReadTimeout"},
		"no event": {func(h *testkit.WebhookRig) *http.Request {
			d := h.UserCreated()
			r := d.Request(testkit.WebhookURL)
			r.Body = io.NopCloser(strings.NewReader("[]"))
			signed := hookSignedBy(h.Server.WebhookSecret(), d.ID, "[]")
			r.Header = signed
			return testkit.Received(r)
		}, "not events of Clerk"},
		"wrong clock": {func(h *testkit.WebhookRig) *http.Request {
			r := testkit.Received(h.UserCreated().Request(testkit.WebhookURL))
			r.Header.Set("Svix-Timestamp", "1514265330")
			return r
		}, "clock"},
	} {
		now := time.Now()
		if name == "no event" {
			now = time.Unix(testkit.VectorTime, 0)
		}
		h := testkit.NewWebhookRig(t, func(c *clerkauth.WebhookConfig) { c.Now = func() time.Time { return now } })
		h.OnAny(func(context.Context, *event.Raw) error { t.Error("it was handled"); return nil })
		warnings := func() (lines []string) {
			for line := range strings.Lines(h.Log.String()) {
				if strings.Contains(line, "level=WARN") {
					lines = append(lines, line)
				}
			}
			return lines
		}
		send := func() {
			if w := h.Serve(test.request(h)); w.Code != 400 || w.Body.String() != `{"status":400,"title":"Bad Request","type":"about:blank"}`+"\n" {
				t.Errorf("%s: %d %s", name, w.Code, w.Body)
			}
		}
		for range 3 {
			send()
		}
		if lines := warnings(); len(lines) != 1 || !strings.Contains(lines[0], test.want) || !strings.Contains(lines[0], "count=1") {
			t.Errorf("%s: %q", name, lines)
		}
		now = now.Add(time.Minute)
		send()
		if lines := warnings(); len(lines) != 2 || !strings.Contains(lines[1], "count=3") {
			t.Errorf("%s, a minute later: %q", name, lines)
		}
		if log := h.Log.String(); strings.Contains(log, "user_secret") || strings.Contains(log, "v1,") || strings.Contains(log, "whsec_"+h.Server.WebhookSecret()[6:]) {
			t.Error(log)
		}
	}
	// Malformed deliveries may come from anyone and are not logged.
	h := testkit.NewWebhookRig(t)
	for _, name := range []string{"Svix-Id", "Svix-Timestamp", "Svix-Signature"} {
		for _, value := range []string{"", "."} {
			r := testkit.Received(h.UserCreated().Request(testkit.WebhookURL))
			r.Header.Set(name, value)
			if value == "" {
				r.Header.Del(name)
			}
			if name == "Svix-Signature" && value != "" {
				r.Header.Add(name, value)
			}
			h.Serve(r)
		}
	}
	if log := h.Log.String(); strings.Contains(log, "level=WARN") {
		t.Error(log)
	}
}

// hookReencoded returns a JSON body with the same values in other bytes.
func hookReencoded(t *testing.T, body io.Reader) io.Reader {
	t.Helper()
	var v any
	if err := json.NewDecoder(body).Decode(&v); err != nil {
		t.Fatal(err)
	}
	text, err := json.MarshalIndent(v, "", "\t")
	if err != nil {
		t.Fatal(err)
	}
	return bytes.NewReader(text)
}

type hookClosedBody struct{}

func (hookClosedBody) Read([]byte) (int, error) { return 0, http.ErrBodyReadAfterClose }

type hookCutBody struct{}

func (hookCutBody) Read([]byte) (int, error) { return 0, io.ErrUnexpectedEOF }

type hookSQLError struct{}

func (hookSQLError) Error() string { return `insert of "user_secret" failed` }

func (hookSQLError) SQLState() string { return "23505" }

type hookRedisError string

func (e hookRedisError) Error() string { return string(e) }

func (hookRedisError) RedisError() {}

// row299Codes: an error of a store or of a handler's database is logged by its code,
// without its text.
func row299Codes(t *testing.T) {
	for _, test := range []struct {
		err  error
		want string
	}{
		{fmt.Errorf("user_secret: %w", hookSQLError{}), "SQLSTATE 23505"},
		{errors.Join(hookSQLError{}, errors.New("user_secret")), "SQLSTATE 23505"},
		{hookRedisError("MISCONF cannot write user_secret"), "Redis error MISCONF"},
		{fmt.Errorf("user_secret: %w", context.DeadlineExceeded), "context deadline exceeded"},
	} {
		for _, failing := range []string{"store", "handler"} {
			h := testkit.NewWebhookRig(t, func(c *clerkauth.WebhookConfig) {
				c.Deliveries = testkit.DeliveriesFunc(func(ctx context.Context, _ string, handle func(context.Context) error) error {
					if failing == "store" {
						return test.err
					}
					return handle(ctx)
				})
			})
			h.OnAny(func(context.Context, *event.Raw) error { return test.err })
			h.Want(failing, h.UserCreated(), map[string]int{"store": 503, "handler": 500}[failing])
			if log := h.Log.String(); !strings.Contains(log, failing+" failed") || !strings.Contains(log, test.want) || strings.Contains(log, "user_secret") {
				t.Error(log)
			}
		}
	}
	// A store that called the handler and returns that it did not has failed.
	for _, lie := range []error{clerkauth.ErrHandled, clerkauth.ErrInFlight} {
		h := testkit.NewWebhookRig(t, func(c *clerkauth.WebhookConfig) {
			c.Deliveries = testkit.DeliveriesFunc(func(ctx context.Context, _ string, handle func(context.Context) error) error {
				_ = handle(ctx)
				return lie
			})
		})
		h.OnAny(func(context.Context, *event.Raw) error { return nil })
		h.Want("a store that lies", h.UserCreated(), 503)
		if log := h.Log.String(); !strings.Contains(log, "store failed") || !strings.Contains(log, "said that it did not") {
			t.Error(log)
		}
	}
}
