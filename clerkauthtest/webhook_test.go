package clerkauthtest_test

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/clerk/clerk-sdk-go/v2"

	"github.com/clerkauth/clerkauth"
	"github.com/clerkauth/clerkauth/clerkauthtest"
	"github.com/clerkauth/clerkauth/event"
)

// A handler is tested with an event that Clerk would send. In a test, t takes the
// place of tb.
func ExampleServer_Send() {
	tb := exampleTB{}
	srv := clerkauthtest.NewServer(tb, clerkauthtest.InMemory())

	hooks, err := clerkauth.NewWebhook(srv.WebhookConfig())
	if err != nil {
		fmt.Println(err)
		return
	}
	clerkauth.On(hooks, event.UserCreated, func(_ context.Context, e *event.Event[clerk.User]) error {
		fmt.Println("hello", e.Data.EmailAddresses[0].EmailAddress)
		return nil
	})

	jane := srv.CreateUser("jane@example.com")
	const hooksURL = "https://app.example.com/webhooks/clerk"
	delivery := srv.Send(tb, hooksURL, "user.created", jane, clerkauthtest.To(hooks))
	delivery.Send(tb, hooksURL, clerkauthtest.To(hooks)) // a second time: it is not handled again
	// Output:
	// hello jane@example.com
}

type exampleTB struct{}

func (exampleTB) Helper()                      {}
func (exampleTB) Cleanup(func())               {}
func (exampleTB) Fatalf(f string, args ...any) { panic(fmt.Sprintf(f, args...)) }

const hooksURL = "https://app.example.com/webhooks/clerk"

// endpoint responds with statuses in turn, repeating the last, and stores the
// requests.
type endpoint struct {
	mu       sync.Mutex
	statuses []int
	requests []*http.Request
	bodies   []string
}

func (e *endpoint) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	body, _ := io.ReadAll(r.Body)
	e.mu.Lock()
	defer e.mu.Unlock()
	e.requests = append(e.requests, r)
	e.bodies = append(e.bodies, string(body))
	status := e.statuses[0]
	if len(e.statuses) > 1 {
		e.statuses = e.statuses[1:]
	}
	if status/100 == 3 {
		w.Header().Set("Location", r.URL.String())
	}
	w.WriteHeader(status)
}

func TestSendIsAccepted(t *testing.T) {
	srv := clerkauthtest.NewServer(t, clerkauthtest.InMemory())
	hooks, err := clerkauth.NewWebhook(srv.WebhookConfig())
	if err != nil {
		t.Fatal(err)
	}
	jane := srv.CreateUser("jane@example.com")
	session := srv.SignIn(jane, clerkauthtest.InOrganization("acme", "org:admin"))
	var got []*event.Raw
	hooks.OnAny(func(_ context.Context, e *event.Raw) error {
		got = append(got, e)
		return nil
	})
	for _, payload := range []any{jane, session, `{"id":"x"}`, []byte(`{"id":"x"}`), json.RawMessage(`{"id":"x"}`), map[string]string{"id": "x"}, clerk.User{ID: "x"}} {
		d := srv.Send(t, hooksURL, "a.b", payload, clerkauthtest.To(hooks))
		e := got[len(got)-1]
		if e.DeliveryID != d.ID || !bytes.Equal(e.JSON, d.Body) || e.Type != "a.b" || e.ClientIP == "" || e.UserAgent == "" ||
			!strings.HasPrefix(e.InstanceID, "ins_") || time.Since(e.Timestamp).Abs() > time.Minute {
			t.Errorf("%+v", e)
		}
		var data struct {
			ID   string
			User struct{ ID string }
		}
		if err := json.Unmarshal(e.Data, &data); err != nil || data.ID == "" {
			t.Errorf("%s: %v", e.Data, err)
		}
		if s, ok := payload.(*clerkauthtest.Session); ok && (data.ID != s.ID || data.User.ID != jane.ID) {
			t.Errorf("%s", e.Data)
		}
	}
	srv.Send(t, hooksURL, "user.deleted", jane, clerkauthtest.To(hooks))
	if data := string(got[len(got)-1].Data); data != `{"id":"`+jane.ID+`","object":"user","deleted":true}` {
		t.Error(data)
	}
	if srv.Requests(clerkauthtest.Backend) != 0 {
		t.Error("making payloads counts as requests")
	}
}

func TestSendMistakesPanic(t *testing.T) {
	srv := clerkauthtest.NewServer(t, clerkauthtest.InMemory())
	other := clerkauthtest.NewServer(t, clerkauthtest.InMemory())
	for name, mistake := range map[string]func(){
		"no JSON":          func() { srv.NewDelivery("a.b", "{") },
		"no JSON at all":   func() { srv.NewDelivery("a.b", func() {}) },
		"another instance": func() { srv.NewDelivery("a.b", other.CreateUser("jane@example.com")) },
		"no URL":           func() { srv.NewDelivery("a.b", "{}").Request("http://[") },
	} {
		func() {
			defer func() {
				if recover() == nil {
					t.Errorf("%s: no panic", name)
				}
			}()
			mistake()
		}()
	}
}

func TestSendFollowsSvixsSchedule(t *testing.T) {
	srv := clerkauthtest.NewServer(t, clerkauthtest.InMemory())
	e := &endpoint{statuses: []int{500, 302, 404, 503, 199, 410, 301, 202}}
	began := srv.Now()
	attempts := srv.NewDelivery("a.b", "{}").Send(t, hooksURL, clerkauthtest.To(e))
	var after time.Duration
	for i, wait := range []time.Duration{0, 5 * time.Second, 5 * time.Minute, 30 * time.Minute, 2 * time.Hour, 5 * time.Hour, 10 * time.Hour, 10 * time.Hour} {
		after += wait
		a, r := attempts[i], e.requests[i]
		if early := a.At.Sub(began) - after; early < 0 || early > time.Minute {
			t.Errorf("attempt %d was made after %v, want %v", i, a.At.Sub(began), after)
		}
		if a.Accepted() != (i == 7) || a.Err != nil {
			t.Errorf("attempt %d: %+v", i, a)
		}
		if r.Header.Get("Svix-Id") != e.requests[0].Header.Get("Svix-Id") || e.bodies[i] != e.bodies[0] ||
			r.Header.Get("Svix-Timestamp") != fmt.Sprint(a.At.Unix()) || i > 0 && r.Header.Get("Svix-Signature") == e.requests[i-1].Header.Get("Svix-Signature") ||
			r.Method != http.MethodPost || r.Host != "app.example.com" || r.URL.Path != "/webhooks/clerk" || r.RequestURI == "" {
			t.Errorf("attempt %d: %+v", i, r)
		}
	}
	if len(attempts) != 8 || len(e.requests) != 8 {
		t.Errorf("%d attempts, %d requests", len(attempts), len(e.requests))
	}
}

// failing is a TB that records its failure.
type failing struct{ why string }

func (*failing) Helper()                        {}
func (*failing) Cleanup(func())                 {}
func (f *failing) Fatalf(s string, args ...any) { f.why = fmt.Sprintf(s, args...) }

func TestSendFailsTheTest(t *testing.T) {
	srv := clerkauthtest.NewServer(t, clerkauthtest.InMemory())
	var f failing
	attempts := srv.NewDelivery("a.b", "{}").Send(&f, hooksURL, clerkauthtest.To(&endpoint{statuses: []int{500}}))
	if len(attempts) != 8 || !strings.Contains(f.why, "status 500") {
		t.Errorf("%d attempts, then %q", len(attempts), f.why)
	}
	f.why = ""
	for tries := range 10 {
		attempts = srv.NewDelivery("a.b", "{}").Send(&f, hooksURL, clerkauthtest.To(&endpoint{statuses: []int{500}}), clerkauthtest.Tries(tries))
		if len(attempts) != min(tries, 8) || f.why != "" {
			t.Errorf("%d tries: %d attempts, then %q", tries, len(attempts), f.why)
		}
	}
	attempts = srv.NewDelivery("a.b", "{}").Send(&f, hooksURL, clerkauthtest.Tries(1), clerkauthtest.To(http.HandlerFunc(func(http.ResponseWriter, *http.Request) { panic("wrong") })))
	if attempts[0].Err == nil || attempts[0].Status != 0 || attempts[0].Accepted() {
		t.Errorf("%+v", attempts)
	}
}

func TestSendCopies(t *testing.T) {
	srv := clerkauthtest.NewServer(t, clerkauthtest.InMemory())
	statuses := append(slices.Repeat([]int{503}, 70), 204)
	e := &endpoint{statuses: statuses}
	attempts := srv.NewDelivery("a.b", "{}").Send(t, hooksURL, clerkauthtest.To(e), clerkauthtest.Copies(50))
	counts := map[int]int{}
	for _, a := range attempts {
		counts[a.Status]++
	}
	if counts[503] != 70 || counts[204] != 50 || attempts[49].At.Equal(attempts[50].At) {
		t.Errorf("%v", counts)
	}
}

// TestSendOverTheNetwork sends to a real server, which redirects at first.
func TestSendOverTheNetwork(t *testing.T) {
	srv := clerkauthtest.NewServer(t, clerkauthtest.InMemory())
	e := &endpoint{statuses: []int{307, 204}}
	server := httptest.NewServer(e)
	attempts := srv.NewDelivery("a.b", "{}").Send(t, server.URL+"/hooks", clerkauthtest.Copies(3))
	if len(attempts) != 4 {
		t.Errorf("%+v", attempts)
	}
	server.Close()
	attempts = srv.NewDelivery("a.b", "{}").Send(t, server.URL+"/hooks", clerkauthtest.Tries(2))
	if len(attempts) != 2 || attempts[0].Err == nil {
		t.Errorf("%+v", attempts)
	}
}

// TestSendDoesNotWaitForever: Send gives up on a handler when Svix would.
func TestSendDoesNotWaitForever(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		srv := clerkauthtest.NewServer(t, clerkauthtest.InMemory())
		slow := http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) {
			<-r.Context().Done()
			time.Sleep(time.Second)
		})
		began := time.Now()
		attempts := srv.NewDelivery("a.b", "{}").Send(t, hooksURL, clerkauthtest.To(slow), clerkauthtest.Tries(2), clerkauthtest.Sleep(time.Sleep))
		if !errors.Is(attempts[0].Err, context.DeadlineExceeded) || time.Since(began) != 35*time.Second {
			t.Errorf("%+v after %v", attempts, time.Since(began))
		}
		time.Sleep(time.Minute) // until the abandoned handlers end
	})
}
