package catalogue

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"net/http/httptest"
	"os"
	"os/exec"
	"runtime"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/clerkauth/clerkauth"
	"github.com/clerkauth/clerkauth/deliveriestest"
	"github.com/clerkauth/clerkauth/event"
	"github.com/clerkauth/clerkauth/internal/testkit"
)

// These rows test stores of deliveries.
var _ = addRows(rows{
	"292/store_full_while_handlers_run": row292StoreIsFull,
	"293/claim_after_the_deadline":      row293LateClaim,
	"296/suite_fails_broken_stores":     row296BrokenStores,
	"298/two_endpoints_share_a_store":   row298SharedStore,
})

// row292StoreIsFull: nothing is acknowledged that the store does not keep, whether
// it cannot claim a delivery or cannot store it after the handler.
func row292StoreIsFull(t *testing.T) {
	full := errors.New("OOM user_secret")
	var before, after bool
	var results []clerkauth.WebhookResult
	memory := testkit.NewDeliveries()
	h := testkit.NewWebhookRig(t, func(c *clerkauth.WebhookConfig) {
		c.Observe = func(_ context.Context, o clerkauth.WebhookOutcome) { results = append(results, o.Result) }
		c.Deliveries = testkit.DeliveriesFunc(func(ctx context.Context, id string, handle func(context.Context) error) error {
			if before {
				return full
			}
			return memory.Once(ctx, id, func(ctx context.Context) error {
				if err := handle(ctx); err != nil || !after {
					return err
				}
				return full
			})
		})
	})
	calls := 0
	h.OnAny(func(context.Context, *event.Raw) error { calls++; return nil })
	d := h.UserCreated()
	before = true
	h.Want("no room to claim", d, 503)
	if calls != 0 {
		t.Error("it was handled without a claim")
	}
	before, after = false, true
	h.Want("no room to remember", d, 503)
	after = false
	h.Want("room", d, 204)
	h.Want("a copy", d, 204)
	if want := []clerkauth.WebhookResult{clerkauth.WebhookStoreFailed, clerkauth.WebhookStoreFailed, clerkauth.WebhookHandled, clerkauth.WebhookDuplicate}; !slices.Equal(results, want) || calls != 2 {
		t.Errorf("%v, %d calls", results, calls)
	}
}

// row293LateClaim: a claim that arrives after the deadline, and may have expired, is
// not used.
func row293LateClaim(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		memory := testkit.NewDeliveries()
		late := true
		h := testkit.NewWebhookRig(t, func(c *clerkauth.WebhookConfig) {
			c.Deliveries = testkit.DeliveriesFunc(func(ctx context.Context, id string, handle func(context.Context) error) error {
				return memory.Once(ctx, id, func(ctx context.Context) error {
					if late {
						time.Sleep(time.Minute)
					}
					return handle(ctx)
				})
			})
		})
		calls := 0
		h.OnAny(func(ctx context.Context, _ *event.Raw) error {
			if deadline, ok := ctx.Deadline(); !ok || time.Until(deadline) > 14*time.Second {
				t.Errorf("the handler's context ends at %v", deadline)
			}
			calls++
			return nil
		})
		d := h.UserCreated()
		h.Want("a late claim", d, 503)
		time.Sleep(time.Minute)
		synctest.Wait()
		if calls != 0 {
			t.Error("it was handled by a claim that came too late")
		}
		late = false
		h.Want("the next copy", d, 204)
		if calls != 1 || !strings.Contains(h.Log.String(), "too late") {
			t.Errorf("%d calls; %s", calls, h.Log)
		}
	})
}

// row296BrokenStores: some flaws are found here as well; package deliveriestest has
// all of them.
func row296BrokenStores(t *testing.T) {
	for flaw, found := range map[string]string{
		"":                  "",
		"renews no lease":   "a_claim_lasts_as_long_as_its_handler",
		"releases later":    "a_release_is_over_when_Once_returns",
		"in flight, called": "a_delivery_is_handled_once",
	} {
		cmd := exec.CommandContext(t.Context(), os.Args[0], "-test.run", "^TestDeliveriesWithFlaw$/^"+found+"$", "-test.v") //nolint:gosec // this binary
		cmd.Env = append(os.Environ(), hookFlaw+"="+flaw)
		out, err := cmd.CombinedOutput()
		if (err != nil) != (flaw != "") || flaw != "" && !strings.Contains(string(out), "--- FAIL: TestDeliveriesWithFlaw/"+found+" ") {
			t.Errorf("%q: %v\n%s", flaw, err, out)
		}
	}
}

const hookFlaw = "CLERKAUTH_TEST_FLAW"

// TestDeliveriesWithFlaw is run by row 296, in a process of its own.
func TestDeliveriesWithFlaw(t *testing.T) {
	flaw, given := os.LookupEnv(hookFlaw)
	if !given {
		return
	}
	const lease = 50 * time.Millisecond
	memory := testkit.NewDeliveries()
	var mu sync.Mutex
	claims := map[string]time.Time{}
	deliveriestest.Run(t, func(*testing.T) clerkauth.Deliveries {
		return testkit.DeliveriesFunc(func(ctx context.Context, id string, handle func(context.Context) error) error {
			switch flaw {
			case "renews no lease":
				mu.Lock()
				lapsed := claims[id].Before(time.Now())
				claims[id] = time.Now().Add(lease)
				mu.Unlock()
				if !lapsed {
					return clerkauth.ErrInFlight
				}
				return handle(ctx)
			case "releases later":
				result := make(chan error, 1)
				go func() {
					_ = memory.Once(ctx, id, func(ctx context.Context) error {
						err := handle(ctx)
						result <- err
						runtime.Gosched()
						return err
					})
					select {
					case result <- clerkauth.ErrInFlight:
					default:
					}
				}()
				return <-result
			case "in flight, called":
				if err := memory.Once(ctx, id, handle); err != nil {
					return err
				}
				return clerkauth.ErrInFlight
			}
			return memory.Once(ctx, id, handle)
		})
	}, deliveriestest.Lease(lease), deliveriestest.Copies(50))
}

// hookEndpoints is a store that distinguishes endpoints.
type hookEndpoints struct {
	clerkauth.Deliveries
	mu   sync.Mutex
	done map[string][]string
}

func (s *hookEndpoints) ForEndpoint(fingerprints []string) clerkauth.Deliveries {
	return testkit.DeliveriesFunc(func(ctx context.Context, id string, handle func(context.Context) error) error {
		s.mu.Lock()
		defer s.mu.Unlock()
		if known, ok := s.done[id]; ok {
			if slices.ContainsFunc(known, func(f string) bool { return slices.Contains(fingerprints, f) }) {
				return clerkauth.ErrHandled
			}
			return fmt.Errorf("store: %w", clerkauth.ErrOtherEndpoint)
		}
		if err := handle(ctx); err != nil {
			return err
		}
		s.done[id] = fingerprints
		return nil
	})
}

// row298SharedStore: if two endpoints share a store, no delivery is acknowledged
// that its own endpoint did not handle, and none is handled twice while a secret is
// rotated.
func row298SharedStore(t *testing.T) {
	const older, newer, another = testkit.VectorSecret, "whsec_dmVjdG9yc19zaWduaW5nX3NlY3JldF8zMmJ5dGVzX18=", "whsec_c3RyYW5nZXJzX3NpZ25pbmdfc2VjcmV0XzMyYnl0ZXM="
	for name, newStore := range map[string]func() clerkauth.Deliveries{
		"a store that knows ids alone": func() clerkauth.Deliveries {
			memory := testkit.NewDeliveries()
			return testkit.DeliveriesFunc(func(ctx context.Context, id string, handle func(context.Context) error) error {
				if len(id) > 160 || strings.Trim(id, "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789_-.") != "" {
					t.Errorf("the id %q", id)
				}
				return memory.Once(ctx, id, handle)
			})
		},
		"a store that tells endpoints apart": func() clerkauth.Deliveries { return &hookEndpoints{done: make(map[string][]string)} },
	} {
		store := newStore()
		_, tells := store.(clerkauth.EndpointDeliveries)
		share := func(c *clerkauth.WebhookConfig) {
			c.Deliveries = store
			c.Now = func() time.Time { return time.Unix(testkit.VectorTime, 0) }
		}
		calls := map[string]int{}
		endpoint := func(endpoint string, secrets ...string) *testkit.WebhookRig {
			h := testkit.NewWebhookRig(t, share, func(c *clerkauth.WebhookConfig) { c.Secrets = testkit.Secrets(secrets...) })
			h.OnAny(func(context.Context, *event.Raw) error { calls[endpoint]++; return nil })
			return h
		}
		deliver := func(h *testkit.WebhookRig, id string, secrets ...string) int {
			header := hookSignedBy(secrets[0], id, hookBody)
			for _, s := range secrets[1:] {
				header["Svix-Signature"][0] += " " + hookSignedBy(s, id, hookBody).Get("Svix-Signature")
			}
			r := httptest.NewRequestWithContext(t.Context(), http.MethodPost, testkit.WebhookURL, strings.NewReader(hookBody))
			r.Header = header
			return h.Serve(r).Code
		}
		long := strings.Repeat("m", 128)
		for _, id := range []string{"msg_shared", long} {
			clear(calls)
			one, other := endpoint("one", older), endpoint("other", another)
			if got := deliver(one, id, older); got != 204 || calls["one"] != 1 {
				t.Errorf("%s: the first endpoint: %d, %v", name, got, calls)
			}
			for range 3 {
				if got := deliver(other, id, another); got == 204 && calls["other"] != 1 || got != 204 && got != 503 {
					t.Errorf("%s: the second endpoint: %d, %v", name, got, calls)
				}
			}
			if log := other.Log.String(); tells && (strings.Count(log, "level=ERROR") != 1 || !strings.Contains(log, "a table or prefix of its own") || calls["other"] != 0) {
				t.Errorf("%s: %v %s", name, calls, log)
			}
		}
		// A rotation in steps, with the list in any order.
		for n, both := range [][]string{{newer, older}, {older, newer}} {
			clear(calls)
			first, second, third := fmt.Sprint("msg_first", n), fmt.Sprint("msg_second", n), fmt.Sprint("msg_third", n)
			for step, status := range []int{
				deliver(endpoint("it", older), first, older),
				deliver(endpoint("it", both...), first, newer, older),
				deliver(endpoint("it", both...), second, newer, older),
				deliver(endpoint("it", older), second, newer, older), // a replica without the new secret
				deliver(endpoint("it", newer), second, newer),
				deliver(endpoint("it", newer), third, newer),
				deliver(endpoint("it", both...), third, newer, older),
			} {
				if status != 204 {
					t.Errorf("%s: %q, step %d: %d", name, both, step, status)
				}
			}
			if calls["it"] != 3 {
				t.Errorf("%s: rotation: %d calls for three deliveries", name, calls["it"])
			}
		}
		// If a secret is replaced at once, no handled delivery is lost; at worst it is
		// reported or handled again.
		deliver(endpoint("x", older), "msg_swapped", older)
		if got := deliver(endpoint("y", newer), "msg_swapped", newer); got == 204 && calls["y"] != 1 {
			t.Errorf("%s: %d, %v", name, got, calls)
		}
	}
	t.Run("fingerprints", func(t *testing.T) {
		var ids []string
		h := testkit.NewWebhookRig(t, func(c *clerkauth.WebhookConfig) {
			c.Secrets = []clerkauth.Secret{clerkauth.NewSecret(older), clerkauth.NewSecret(older), clerkauth.NewSecret(newer)}
			c.Now = func() time.Time { return time.Unix(testkit.VectorTime, 0) }
			c.Deliveries = testkit.DeliveriesFunc(func(ctx context.Context, id string, handle func(context.Context) error) error {
				ids = append(ids, id)
				return handle(ctx)
			})
		})
		h.OnAny(func(context.Context, *event.Raw) error { return nil })
		r := httptest.NewRequestWithContext(t.Context(), http.MethodPost, testkit.WebhookURL, strings.NewReader(hookBody))
		r.Header = hookSignedBy(newer, "msg_1", hookBody)
		if w := h.Serve(r); w.Code != 204 || len(ids) != 2 {
			t.Errorf("%d, %q", w.Code, ids)
		}
		for _, id := range ids {
			if !strings.HasPrefix(id, "msg_1.") || strings.Contains(older+newer, id[6:]) {
				t.Error(id)
			}
		}
	})
	t.Run("in flight and failing", row298NestedClaims)
}

// row298NestedClaims: during a rotation a delivery has two claims, which are
// released and kept together.
func row298NestedClaims(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		memory := testkit.NewDeliveries()
		secrets := []string{testkit.WebhookInstance().WebhookSecret(), testkit.OtherWebhookInstance().WebhookSecret()}
		replica := func(secrets ...string) *testkit.WebhookRig {
			return testkit.NewWebhookRig(t, func(c *clerkauth.WebhookConfig) { c.Deliveries, c.Secrets = memory, testkit.Secrets(secrets...) })
		}
		before, between := replica(secrets[0]), replica(secrets...)
		var running atomic.Int32
		finish := make(chan error)
		for _, h := range []*testkit.WebhookRig{before, between} {
			h.OnAny(func(context.Context, *event.Raw) error {
				if running.Add(1) != 1 {
					t.Error("two at a time")
				}
				defer running.Add(-1)
				return <-finish
			})
		}
		d := before.UserCreated()
		for n, result := range []error{errors.New("wrong"), nil} {
			first, second := before, between
			if n == 0 {
				first, second = between, before
			}
			answer := make(chan int)
			go func() { answer <- first.Deliver(d) }()
			synctest.Wait()
			second.Want("a copy at another replica", d, 503)
			finish <- result
			if got := <-answer; got != map[bool]int{true: 204, false: 500}[result == nil] {
				t.Error(got)
			}
		}
		before.Want("a copy", d, 204)
		between.Want("a copy", d, 204)
	})
}
