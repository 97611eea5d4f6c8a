// Package deliveriestest tests implementations of [clerkauth.Deliveries]: that no webhook
// delivery is lost, handled concurrently, or handled again.
//
//	func TestDeliveries(t *testing.T) {
//		deliveriestest.Run(t, func(t *testing.T) clerkauth.Deliveries { return redis.NewDeliveries(client(t)) },
//			deliveriestest.Peer(func(t *testing.T, _ clerkauth.Deliveries) clerkauth.Deliveries { return redis.NewDeliveries(client(t)) }))
//	}
package deliveriestest

import (
	"context"
	"crypto/rand"
	"testing"
	"time"

	"github.com/clerkauth/clerkauth"
)

// Option tells [Run] how to do to a store what the interface has no method for. Tests
// whose option is missing are skipped.
type Option func(*suite)

// Peer opens a second store on the memory of store, as another process would. All tests
// then send copies to both.
func Peer(open func(t *testing.T, store clerkauth.Deliveries) clerkauth.Deliveries) Option {
	return func(s *suite) { s.peer = open }
}

// Crash tests the claim of a process that died. Leave claims id in store as such a process
// leaves it behind, and expire makes the claim's lease expire. A store whose claims end
// with their process does not need it.
func Crash(leave, expire func(t *testing.T, store clerkauth.Deliveries, id string)) Option {
	return func(s *suite) { s.leave, s.expire = leave, expire }
}

// Later tests for how long handled deliveries are remembered. Pass makes d pass for
// store, by its clock or by changing the times that it keeps.
func Later(pass func(t *testing.T, store clerkauth.Deliveries, d time.Duration)) Option {
	return func(s *suite) { s.pass = pass }
}

// Outage tests deliveries while the memory of store, such as a database, is unreachable.
// Cut makes it unreachable and returns a function that undoes this.
func Outage(cut func(t *testing.T, store clerkauth.Deliveries) (heal func())) Option {
	return func(s *suite) { s.cut = cut }
}

// Lease sets how long the leases of stores are. Handlers outlast them in the tests of
// leases, which take a few times d. Defaults to a second. A store without leases does not
// need it.
func Lease(d time.Duration) Option {
	return func(s *suite) { s.lease, s.leaseSet = d, true }
}

// Forget tests a delivery whose claim is lost while its handler runs. Claim removes the
// claim of id from store, as if its lease had expired, and nothing else.
func Forget(claim func(t *testing.T, store clerkauth.Deliveries, id string)) Option {
	return func(s *suite) { s.forget = claim }
}

// Delay tests a claim of which a store learns too late. Hold makes the memory of store
// execute commands, but hold its responses back until resume is called. The store is used
// for nothing else.
func Delay(hold func(t *testing.T, store clerkauth.Deliveries) (resume func())) Option {
	return func(s *suite) { s.hold = hold }
}

// Copies sets how many copies of one delivery arrive at the same time in the tests of
// concurrency. Defaults to 1,000.
func Copies(n int) Option {
	return func(s *suite) { s.copies = n }
}

// Run tests the stores that open returns, one for each test. They may share a memory: no
// two tests use the same id. Each test must end within a minute. A store must be able to
// respond while a handler of its own runs, so that one with a pool needs at least two
// connections.
func Run(t *testing.T, open func(t *testing.T) clerkauth.Deliveries, opts ...Option) {
	s := suite{copies: 1000, lease: time.Second}
	for _, option := range opts {
		option(&s)
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			if missing := test.needs != nil && !test.needs(&s); missing {
				t.Skip("this rule needs an Option that Run was not given")
			}
			ctx, cancel := context.WithTimeout(t.Context(), patience)
			defer cancel()
			k := &kit{T: t, ctx: ctx, suite: s, first: open(t)}
			k.second = k.first
			if s.peer != nil {
				k.second = s.peer(t, k.first)
			}
			test.run(k)
		})
	}
}

// patience is the deadline of each test.
const patience = time.Minute

type suite struct {
	peer          func(*testing.T, clerkauth.Deliveries) clerkauth.Deliveries
	leave, expire func(*testing.T, clerkauth.Deliveries, string)
	pass          func(*testing.T, clerkauth.Deliveries, time.Duration)
	cut, hold     func(*testing.T, clerkauth.Deliveries) func()
	forget        func(*testing.T, clerkauth.Deliveries, string)
	copies        int
	lease         time.Duration
	leaseSet      bool
}

var tests = []struct {
	name  string
	run   func(*kit)
	needs func(*suite) bool
}{
	{"a delivery is handled once", handledOnce, nil},
	{"ids are told apart", idsApart, nil},
	{"a copy in flight is told so", inFlight, nil},
	{"a failure releases", failureReleases, nil},
	{"a handler may return our own errors", ownErrors, nil},
	{"a panic releases and goes on", panicReleases, nil},
	{"the end of a goroutine releases", goexitReleases, nil},
	{"the context is the handler's", contextArrives, nil},
	{"a handler that heeds the end of its context releases", cancelReleases, nil},
	{"a handler that ignores the end of its context keeps the claim", overrunKeepsClaim, nil},
	{"success after the end of the context is remembered or not", lateSuccess, nil},
	{"of many copies one is handled", manyCopies, nil},
	{"many copies of a delivery that fails at first", manyFailures, nil},
	{"many deliveries at once", manyDeliveries, nil},
	{"the claim of a process that died runs out", crash, func(s *suite) bool { return s.leave != nil }},
	{"what was handled is remembered for 36 hours", remembered, func(s *suite) bool { return s.pass != nil }},
	{"nothing is handled that cannot be remembered", outage, func(s *suite) bool { return s.cut != nil }},
	{"a release is over when Once returns", releasesAtOnce, nil},
	{"a claim lasts as long as its handler", outlastsLease, nil},
	{"an outage while a handler runs", outageInFlight, func(s *suite) bool { return s.cut != nil }},
	{"a claim that is lost while its handler runs", lostInFlight, func(s *suite) bool { return s.forget != nil }},
	{"a claim that comes too late", lateClaim, func(s *suite) bool { return s.hold != nil }},
}

// newID returns an id in the form of Svix's.
func newID() string { return "msg_" + rand.Text() }
