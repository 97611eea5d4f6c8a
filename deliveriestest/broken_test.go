package deliveriestest_test

import (
	"context"
	"crypto/rand"
	"errors"
	"os"
	"os/exec"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/clerkauth/clerkauth"
	"github.com/clerkauth/clerkauth/deliveriestest"
)

// flaws maps each flaw of a store to the test that has to find it.
var flaws = map[string]string{
	"":                               "",
	"renews no lease":                "a_claim_lasts_as_long_as_its_handler",
	"nil although not remembered":    "an_outage_while_a_handler_runs",
	"released later":                 "a_release_is_over_when_Once_returns",
	"released later after a panic":   "a_release_is_over_when_Once_returns",
	"releases another's claim":       "a_claim_that_is_lost_while_its_handler_runs",
	"overwrites another's claim":     "a_claim_that_is_lost_while_its_handler_runs",
	"nil although the claim is lost": "a_claim_that_is_lost_while_its_handler_runs",
	"uses a late claim":              "a_claim_that_comes_too_late",
	"handled in an outage":           "an_outage_while_a_handler_runs",
	"in flight after the call":       "a_delivery_is_handled_once",
	"in flight after a failure":      "a_failure_releases",
	"calls without a claim":          "nothing_is_handled_that_cannot_be_remembered",
}

// flawVariable gives the store of TestStore that flaw.
const flawVariable = "CLERKAUTH_TEST_FLAW"

const lease = 300 * time.Millisecond

// TestStore runs the suite against a store with leases.
func TestStore(t *testing.T) {
	flaw := os.Getenv(flawVariable)
	memory := &memory{keys: make(map[string]entry)}
	open := func(*testing.T) clerkauth.Deliveries { return &store{memory: memory, flaw: flaw} }
	deliveriestest.Run(t, open, deliveriestest.Copies(50), deliveriestest.Lease(lease),
		deliveriestest.Peer(func(*testing.T, clerkauth.Deliveries) clerkauth.Deliveries { return &store{memory: memory, flaw: flaw} }),
		deliveriestest.Outage(func(_ *testing.T, d clerkauth.Deliveries) func() {
			memory.set(func() { memory.down = true })
			return func() { memory.set(func() { memory.down = false }) }
		}),
		deliveriestest.Forget(func(_ *testing.T, _ clerkauth.Deliveries, id string) {
			memory.set(func() { delete(memory.keys, id) })
		}),
		deliveriestest.Delay(func(_ *testing.T, d clerkauth.Deliveries) func() {
			s, held := d.(*store), make(chan struct{})
			s.held = held
			return func() { close(held) }
		}))
}

// TestSuiteFindsFlaws runs TestStore in processes of its own.
func TestSuiteFindsFlaws(t *testing.T) {
	for flaw, test := range flaws {
		t.Run(flaw, func(t *testing.T) {
			t.Parallel()
			tests := "^TestStore$"
			if test != "" {
				tests += "/^" + test + "$" // the other tests are slow
			}
			cmd := exec.CommandContext(t.Context(), os.Args[0], "-test.run", tests, "-test.v") //nolint:gosec // this binary
			cmd.Env = append(os.Environ(), flawVariable+"="+flaw)
			out, err := cmd.CombinedOutput()
			var exit *exec.ExitError
			if err != nil && !errors.As(err, &exit) {
				t.Fatal(err)
			}
			if found := strings.Contains(string(out), "--- FAIL: TestStore/"+test+" "); (err != nil) != (flaw != "") || found != (flaw != "") {
				t.Errorf("%q is to be found by %q: %v\n%s", flaw, test, err, out)
			}
		})
	}
}

// memory is the state that stores share, like a Redis server.
type memory struct {
	mu   sync.Mutex
	keys map[string]entry
	down bool
}

type entry struct {
	holder string // "done": handled
	until  time.Time
}

var errDown = errors.New("the memory cannot be reached")

func (m *memory) set(change func()) {
	m.mu.Lock()
	defer m.mu.Unlock()
	change()
}

// swap sets the holder of a key if it is free or held by one of from, and returns
// the holder.
func (m *memory) swap(id, to string, keep time.Duration, from ...string) (holder string, err error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.down {
		return "", errDown
	}
	e, ok := m.keys[id]
	if ok && time.Now().After(e.until) {
		ok = false
	}
	if ok {
		taken := true
		for _, holder := range from {
			taken = taken && e.holder != holder && holder != "any holder"
		}
		if taken {
			return e.holder, nil
		}
	}
	if to == "" {
		delete(m.keys, id)
	} else {
		m.keys[id] = entry{to, time.Now().Add(keep)}
	}
	return to, nil
}

// store is a Deliveries with leases, and at most one flaw.
type store struct {
	memory *memory
	flaw   string
	held   chan struct{} // if not nil, the response to a claim waits for it
}

func (s *store) Once(ctx context.Context, id string, handle func(context.Context) error) error {
	token, began := rand.Text(), time.Now()
	holder, err := s.memory.swap(id, token, lease, token)
	if s.held != nil {
		<-s.held
	}
	switch {
	case err != nil && s.flaw == "calls without a claim":
		return errors.Join(handle(ctx), err)
	case err != nil:
		return err
	case holder == "done":
		return clerkauth.ErrHandled
	case holder != token:
		return clerkauth.ErrInFlight
	case time.Since(began) > lease && s.flaw != "uses a late claim":
		return errors.New("the claim came too late")
	}
	stop, stopped := make(chan struct{}), make(chan struct{})
	go func() {
		defer close(stopped)
		for {
			select {
			case <-stop:
				return
			case <-time.After(lease / 4):
			}
			if s.flaw != "renews no lease" && s.flaw != "uses a late claim" {
				_, _ = s.memory.swap(id, token, lease, token)
			}
		}
	}()
	ended := false
	settle := func(err error) error {
		close(stop)
		<-stopped
		if err != nil || !ended {
			s.release(id, token, ended)
			if s.flaw == "in flight after a failure" && err != nil {
				return errors.Join(err, clerkauth.ErrInFlight)
			}
			return err
		}
		return s.remember(id, token)
	}
	defer func() {
		if !ended {
			_ = settle(nil)
		}
	}()
	err = handle(ctx)
	ended = true
	return settle(err)
}

func (s *store) release(id, token string, ended bool) {
	from := token
	if s.flaw == "releases another's claim" {
		from = "any holder"
	}
	if s.flaw == "released later" || s.flaw == "released later after a panic" && !ended {
		go func() { _, _ = s.memory.swap(id, "", 0, from) }()
		return
	}
	_, _ = s.memory.swap(id, "", 0, from)
}

func (s *store) remember(id, token string) error {
	from := token
	if s.flaw == "overwrites another's claim" {
		from = "any holder"
	}
	holder, err := s.memory.swap(id, "done", 48*time.Hour, from)
	switch {
	case s.flaw == "in flight after the call":
		return clerkauth.ErrInFlight
	case err != nil && s.flaw == "nil although not remembered":
		return nil
	case err != nil && s.flaw == "handled in an outage":
		return clerkauth.ErrHandled
	case err != nil:
		return err
	case holder != "done" && s.flaw != "nil although the claim is lost":
		return errors.New("the claim was lost")
	}
	return nil
}
