// Package exchange makes the calls to Clerk in which something that a browser brought is
// exchanged for cookies. It bounds them, because clients can make up what they bring.
package exchange

import (
	"context"
	"hash/maphash"
	"sync"
	"time"
)

// Outcome is the result of a call to Clerk.
type Outcome struct {
	Lines []string // of Set-Cookie
	Code  string   // Clerk's code of an error, "" if there was none
	Away  bool     // Clerk could not be reached, fails or limits the rate
}

const (
	// refusedFor is how long it is remembered that something is not exchanged, or not any
	// longer: as long as the cookie with a nonce lives.
	refusedFor = time.Minute
	maxRefused = 1024
	// maxCalls is how many calls of a kind are under way at a time, because
	// clients can make up what is exchanged. patience is how long others wait for one to end.
	maxCalls = 64
	patience = 5 * time.Second
)

// notFound is Clerk's code for what it does not know, or not any longer.
const notFound = "resource_not_found"

// The kinds of exchanges.
const (
	Nonces    = "nonce"
	Refreshes = "refresh"
)

// Group makes calls that exchange something for cookies. Requests that bring the same
// thing at one time share a call. A nonce is sent once, because Clerk exchanges it once. The
// zero value is ready to use.
type Group struct {
	once sync.Once
	seed maphash.Seed
	free map[string]chan struct{} // by kind, with room for the calls under way

	mu      sync.Mutex
	calls   map[string]*call   // by kind and secret, while they are under way
	refused map[uint64]refusal // by a hash of them
}

type call struct {
	done    chan struct{}
	outcome Outcome
}

type refusal struct {
	code  string
	until time.Time
}

// Share returns the outcome of exchange for a secret of that kind, or that of the same call by
// another request, which it waits for until ctx is done.
func (e *Group) Share(ctx context.Context, kind, secret string, now time.Time, exchange func() Outcome) Outcome {
	e.once.Do(func() {
		e.seed = maphash.MakeSeed()
		e.free = map[string]chan struct{}{Nonces: make(chan struct{}, maxCalls), Refreshes: make(chan struct{}, maxCalls)}
		e.calls, e.refused = map[string]*call{}, map[uint64]refusal{}
	})
	secret = kind + " " + secret
	key := maphash.String(e.seed, secret)
	e.mu.Lock()
	if r, ok := e.refused[key]; ok && now.Before(r.until) {
		e.mu.Unlock()
		return Outcome{Code: r.code}
	}
	if other := e.calls[secret]; other != nil {
		e.mu.Unlock()
		select {
		case <-other.done:
			return other.outcome
		case <-ctx.Done():
			return Outcome{Away: true}
		}
	}
	own := &call{done: make(chan struct{}), outcome: Outcome{Away: true}}
	e.calls[secret] = own
	e.mu.Unlock()
	defer func() { // if exchange panics, too
		e.mu.Lock()
		delete(e.calls, secret)
		switch code := own.outcome.Code; {
		case own.outcome.Away:
		case code != "":
			e.remember(key, refusal{code, now.Add(refusedFor)}, now)
		case kind == Nonces: // it is exchanged once
			e.remember(key, refusal{notFound, now.Add(refusedFor)}, now)
		}
		e.mu.Unlock()
		close(own.done)
	}()
	timer := time.NewTimer(patience)
	defer timer.Stop()
	select {
	case e.free[kind] <- struct{}{}:
		defer func() { <-e.free[kind] }()
		own.outcome = exchange()
	case <-timer.C:
	}
	return own.outcome
}

// remember notes that what has that key is not exchanged. There is room for the latest.
func (e *Group) remember(key uint64, r refusal, now time.Time) {
	for other, old := range e.refused {
		if len(e.refused) < maxRefused && now.Before(old.until) {
			continue
		}
		delete(e.refused, other)
	}
	e.refused[key] = r
}
