// Package deliveriestest tests implementations of [clerkauth.Deliveries]: what
// every store has to do so that no webhook delivery is lost, handled twice at a
// time, or handled again.
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

// Option tells Run how to do to a store what the interface has no method for. What
// needs an option that is not given is not tested.
type Option func(*suite)

// Peer makes a second store on what the first remembers, as another process has
// it. Every test then sends copies to both.
func Peer(open func(t *testing.T, store clerkauth.Deliveries) clerkauth.Deliveries) Option {
	return func(s *suite) { s.peer = open }
}

// Crash tests what becomes of the claim of a process that dies. Leave has id
// claimed in store the way such a process leaves it behind, and expire lets that
// claim's lease run out. A store whose claims end at once when a process dies has
// no use for it.
func Crash(leave, expire func(t *testing.T, store clerkauth.Deliveries, id string)) Option {
	return func(s *suite) { s.leave, s.expire = leave, expire }
}

// Later tests for how long is remembered. It has d pass for store: by its clock, or
// by changing the times in what it keeps.
func Later(pass func(t *testing.T, store clerkauth.Deliveries, d time.Duration)) Option {
	return func(s *suite) { s.pass = pass }
}

// Outage tests what becomes of deliveries while what store keeps its memory in
// cannot be reached. Cut severs it, and returns what heals it.
func Outage(cut func(t *testing.T, store clerkauth.Deliveries) (heal func())) Option {
	return func(s *suite) { s.cut = cut }
}

// Lease says that the stores which open returns have leases of d, a second unless
// told, which handlers outlast in the tests of leases: these take a few times d. A
// store without leases has no use for it.
func Lease(d time.Duration) Option {
	return func(s *suite) { s.lease, s.told = d, true }
}

// Forget tests what becomes of a delivery whose claim is lost while its handler runs.
// It takes id's claim away, as if its lease had run out, and nothing else.
func Forget(claim func(t *testing.T, store clerkauth.Deliveries, id string)) Option {
	return func(s *suite) { s.forget = claim }
}

// Delay tests what becomes of a claim of which a store learns too late. It has what
// store keeps its memory in do what it is asked, and holds its answers back until
// resume is called. The store that it is given is used for nothing else.
func Delay(hold func(t *testing.T, store clerkauth.Deliveries) (resume func())) Option {
	return func(s *suite) { s.hold = hold }
}

// Copies sets how many copies of one delivery come at the same time in the tests
// of concurrency. It is 1,000 unless told.
func Copies(n int) Option {
	return func(s *suite) { s.copies = n }
}

// Run tests the stores that open returns, one for each test. They may share what
// they remember: no two tests use the same id. Nothing needs a store to answer in
// less than patience, which is generous, and a store must be able to answer while
// a handler of its runs: one with a pool needs two connections or more.
func Run(t *testing.T, open func(t *testing.T) clerkauth.Deliveries, opts ...Option) {
	s := suite{copies: 1000, lease: time.Second}
	for _, option := range opts {
		option(&s)
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			if missing := test.needs != nil && !test.needs(&s); missing {
				t.Skip("the option for it is not given")
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

// patience is how long a test may take.
const patience = time.Minute

type suite struct {
	peer          func(*testing.T, clerkauth.Deliveries) clerkauth.Deliveries
	leave, expire func(*testing.T, clerkauth.Deliveries, string)
	pass          func(*testing.T, clerkauth.Deliveries, time.Duration)
	cut, hold     func(*testing.T, clerkauth.Deliveries) func()
	forget        func(*testing.T, clerkauth.Deliveries, string)
	copies        int
	lease         time.Duration
	told          bool // the lease
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

// newID returns an id as Svix makes them.
func newID() string { return "msg_" + rand.Text() }
