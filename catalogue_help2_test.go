package clerkauth_test

import (
	"runtime"
	"testing"
	"time"
)

// atMost polls until there are no more than n goroutines.
func atMost(t *testing.T, n int) {
	t.Helper()
	for deadline := time.Now().Add(10 * time.Second); runtime.NumGoroutine() > n; runtime.Gosched() {
		if time.Now().After(deadline) {
			stacks := make([]byte, 1<<18)
			t.Fatalf("%d goroutines, want no more than %d:\n%s", runtime.NumGoroutine(), n, stacks[:runtime.Stack(stacks, true)])
		}
	}
}
