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

// Answering returns a transport that answers every request with that status, header and
// body, which may be long.
func Answering(status int, header http.Header, body io.Reader) http.RoundTripper {
	return RoundTripFunc(func(r *http.Request) (*http.Response, error) {
		return &http.Response{StatusCode: status, ProtoMajor: 1, ProtoMinor: 1, Header: header, Body: io.NopCloser(body), ContentLength: -1, Request: r}, nil
	})
}

// SlowKeys leaves a configuration one source of keys, which answers after that time.
func SlowKeys(after time.Duration) func(*clerkauth.Config) {
	return func(c *clerkauth.Config) {
		next := c.Transport
		c.SecretKey = clerkauth.Secret{} // of two sources, the first has half of the time
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

// SlowTransport is a transport that takes its time for verifying credentials, and counts
// the requests: Now are under way, Most were at one time, All have been made.
type SlowTransport struct {
	http.RoundTripper
	Takes          time.Duration
	Now, Most, All atomic.Int64
}

// RoundTrip waits and hands on. Requests for keys do not wait.
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

// MadeUpKey returns an API key that nobody has, and another one each time.
func MadeUpKey() string { return fmt.Sprint("ak_madeUp", madeUpKeys.Add(1)) }

// MachineCache is a [clerkauth.MachineCache] that forgets nothing, whatever it is told.
// Values must not be nil.
type MachineCache struct {
	mu     sync.Mutex
	Values map[string][]byte
	Kept   []time.Duration // for how long each value was to be kept
	Err    error           // what it fails with
	Takes  time.Duration   // how long it takes
	Panics bool
	Hangs  chan struct{} // it waits for that, whatever becomes of its context
}

// Get returns a value.
func (m *MachineCache) Get(ctx context.Context, key string) ([]byte, error) {
	if err := m.wait(ctx); err != nil {
		return nil, err
	}
	m.mu.Lock()
	defer m.mu.Unlock()
	return m.Values[key], nil
}

// Put stores a value.
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
		panic("odd")
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
