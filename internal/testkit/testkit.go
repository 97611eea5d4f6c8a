// Package testkit holds what the tests of several packages share: instances of Clerk
// with an Authenticator (Rig, MachineRig) or a Webhook (WebhookRig) for them, requests
// and their replies, keys, transports, stores, and a log that can be read.
//
// Only tests import it.
package testkit

import (
	"bytes"
	"context"
	"encoding/json"
	"math/rand/v2"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/clerkauth/clerkauth"
)

// Bubble returns f to be run in virtual time. The test ends when every fetch has
// ended.
func Bubble(f func(*testing.T)) func(*testing.T) {
	return func(t *testing.T) {
		synctest.Test(t, func(t *testing.T) {
			f(t)
			time.Sleep(10 * time.Second)
		})
	}
}

// MustPanic fails tb unless f panics.
func MustPanic(tb testing.TB, what string, f func()) {
	tb.Helper()
	defer func() {
		if recover() == nil {
			tb.Errorf("%q: it does not panic", what)
		}
	}()
	f()
}

// Predicate returns a function for [clerkauth.CheckFunc] that never returns an
// error.
func Predicate(f func(clerkauth.Auth) bool) func(context.Context, clerkauth.Auth) (bool, error) {
	return func(_ context.Context, who clerkauth.Auth) (bool, error) { return f(who), nil }
}

// Pick returns one of the words.
func Pick(r *rand.Rand, words ...string) string { return words[r.IntN(len(words))] }

// JSON returns v as JSON. It panics if that is not possible.
func JSON(v any) string {
	text, err := json.Marshal(v)
	if err != nil {
		panic(err)
	}
	return string(text)
}

// Log is a log that may be read while it is written. Its zero value is empty.
type Log struct {
	mu   sync.Mutex
	text bytes.Buffer
}

// Write appends p.
func (l *Log) Write(p []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.text.Write(p)
}

// String returns what was written so far.
func (l *Log) String() string {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.text.String()
}
