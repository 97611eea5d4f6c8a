package testkit

import (
	"context"
	"fmt"
	"io"
	"net/http"
	"sync"
	"sync/atomic"
	"time"

	"github.com/clerkauth/clerkauth"
)

// RoundTripFunc is a transport that is a function.
type RoundTripFunc func(*http.Request) (*http.Response, error)

// RoundTrip calls f.
func (f RoundTripFunc) RoundTrip(r *http.Request) (*http.Response, error) { return f(r) }

// Answering returns a transport that responds to every request with that status,
// header and body, which may be long.
func Answering(status int, header http.Header, body io.Reader) http.RoundTripper {
	return RoundTripFunc(func(r *http.Request) (*http.Response, error) {
		return &http.Response{StatusCode: status, ProtoMajor: 1, ProtoMinor: 1, Header: header, Body: io.NopCloser(body), ContentLength: -1, Request: r}, nil
	})
}

// SlowKeys reduces a configuration to one source of keys, which responds after that
// time.
func SlowKeys(after time.Duration) func(*clerkauth.Config) {
	return func(c *clerkauth.Config) {
		next := c.Transport
		c.SecretKey = clerkauth.Secret{} // with two sources, the first may take half of the time
		c.Transport = RoundTripFunc(func(r *http.Request) (*http.Response, error) {
			select {
			case <-time.After(after):
				return next.RoundTrip(r)
			case <-r.Context().Done():
				return nil, r.Context().Err()
			}
		})
	}
}

// SlowTransport is a transport that takes some time to verify credentials and counts
// these requests: Now is how many are in flight, Most the maximum of Now, and All
// their total.
type SlowTransport struct {
	http.RoundTripper
	Takes          time.Duration
	Now, Most, All atomic.Int64
}

// RoundTrip waits and calls the next transport. Requests for keys do not wait.
func (s *SlowTransport) RoundTrip(r *http.Request) (*http.Response, error) {
	if r.Method == http.MethodGet { // of keys
		return s.RoundTripper.RoundTrip(r)
	}
	s.All.Add(1)
	n := s.Now.Add(1)
	defer s.Now.Add(-1)
	for most := s.Most.Load(); n > most && !s.Most.CompareAndSwap(most, n); most = s.Most.Load() {
	}
	select {
	case <-time.After(s.Takes):
	case <-r.Context().Done():
		return nil, r.Context().Err()
	}
	return s.RoundTripper.RoundTrip(r)
}

var madeUpKeys atomic.Int64

// MadeUpKey returns an API key that does not exist, a new one each time.
func MadeUpKey() string { return fmt.Sprint("ak_madeUp", madeUpKeys.Add(1)) }

// MachineCache is a [clerkauth.MachineCache] that never expires a value. Values must
// not be nil.
type MachineCache struct {
	mu     sync.Mutex
	Values map[string][]byte
	Kept   []time.Duration // for how long each value was to be kept
	Err    error           // the error that it returns
	Takes  time.Duration   // how long each call takes
	Panics bool
	Hangs  chan struct{} // it waits for this, whether or not its context ends
}

// Get returns the value of key.
func (m *MachineCache) Get(ctx context.Context, key string) ([]byte, error) {
	if err := m.wait(ctx); err != nil {
		return nil, err
	}
	m.mu.Lock()
	defer m.mu.Unlock()
	return m.Values[key], nil
}

// Put stores the value of key.
func (m *MachineCache) Put(ctx context.Context, key string, value []byte, keep time.Duration) error {
	if err := m.wait(ctx); err != nil {
		return err
	}
	m.mu.Lock()
	defer m.mu.Unlock()
	m.Values[key] = value
	m.Kept = append(m.Kept, keep)
	return nil
}

func (m *MachineCache) wait(ctx context.Context) error {
	if m.Panics {
		panic("broken")
	}
	if m.Hangs != nil {
		<-m.Hangs
	}
	select {
	case <-time.After(m.Takes):
		return m.Err
	case <-ctx.Done():
		return ctx.Err()
	}
}
