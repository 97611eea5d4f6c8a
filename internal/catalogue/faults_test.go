package catalogue

import (
	"errors"
	"fmt"
	"net/http"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/clerkauth/clerkauth"
	"github.com/clerkauth/clerkauth/clerkauthtest"
	"github.com/clerkauth/clerkauth/internal/testkit"
)

// These tests run whole servers against failing keys and a failing Backend API, in
// virtual time.

func bubble(t *testing.T, f func(*testing.T)) { testkit.Bubble(f)(t) }

func TestFirstRequestsShareOneFetch(t *testing.T) {
	bubble(t, func(t *testing.T) {
		r := testkit.NewRig(t, testkit.SlowKeys(time.Second))
		token := r.Jane.Token()
		var all sync.WaitGroup
		for range 1000 {
			all.Go(func() { testkit.WantReply(t, testkit.Serve(r.Identified(), testkit.Bearer(token)), 200, "") })
		}
		all.Wait()
		if n := r.Fetches(); n != 1 {
			t.Errorf("%d fetches, want 1", n)
		}
	})
}

// TestUnknownKeysShareABurst starts without keys, so that the first fetch for the
// known keys also counts as one for the unknown ones.
func TestUnknownKeysShareABurst(t *testing.T) {
	bubble(t, func(t *testing.T) {
		r := testkit.NewRig(t, testkit.SlowKeys(100*time.Millisecond))
		good := r.Jane.Token()
		var all sync.WaitGroup
		for i := range 10_000 {
			all.Go(func() {
				time.Sleep(time.Duration(i) * 100 * time.Microsecond)
				testkit.WantReply(t, testkit.Serve(r.Identified(), testkit.Bearer(testkit.WithKeyID(good, fmt.Sprint("ins_", i)))), 401, clerkauth.ErrUnknownKey)
				if i%1000 == 0 {
					testkit.WantReply(t, testkit.Serve(r.Identified(), testkit.Bearer(good)), 200, "")
				}
			})
		}
		all.Wait()
		if n := r.Fetches(); n != unknownBurst {
			t.Errorf("%d fetches, want %d", n, unknownBurst)
		}
	})
}

// outages are the ways in which the key endpoints fail.
var outages = map[string]int{
	"500": 500, "404": 404, "429": 429, "401": 401, "hang": clerkauthtest.Hang, "slow": clerkauthtest.SlowBody, "garbage": clerkauthtest.Garbage,
	"cut": clerkauthtest.Cut, "redirect": clerkauthtest.Redirect,
}

func TestOutage(t *testing.T) {
	for name, how := range outages {
		t.Run(name, func(t *testing.T) {
			bubble(t, func(t *testing.T) {
				r := testkit.NewRig(t)
				token := r.Jane.Token(testkit.LongLived)
				testkit.WantReply(t, testkit.Serve(r.Identified(), testkit.Bearer(token)), 200, "")
				good := time.Now()
				r.Server.Fail(clerkauthtest.JWKS, how)
				for time.Since(good) < time.Hour {
					testkit.WantReply(t, testkit.Serve(r.Identified(), testkit.Bearer(token)), 200, "")
					time.Sleep(10 * time.Second)
				}
				if n := r.Fetches(); n < 100 || n > 600 { // from two sources, every 15 to 30 s
					t.Errorf("%d fetches in an hour", n)
				}
				for range 10 {
					got := testkit.WantReply(t, testkit.Serve(r.Identified(), testkit.Bearer(token)), 503, "")
					if seconds, err := strconv.Atoi(got.Header.Get("Retry-After")); err != nil || seconds < 1 || seconds > 30 {
						t.Errorf("Retry-After is %q", got.Header.Get("Retry-After"))
					}
					// On public routes the caller is anonymous, with the reason in Err.
					public := testkit.Serve(func(http.Handler) http.Handler {
						return r.Auth.Handler(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
							who := clerkauth.FromContext(r.Context())
							fmt.Fprint(w, who.SignedIn(), errors.Is(who.Err(), clerkauth.ErrUnavailable))
						}))
					}, testkit.Bearer(token))
					if public.Status != 200 || public.Body != "false true" {
						t.Errorf("public: %v", public)
					}
					testkit.WantReply(t, testkit.Serve(r.Identified()), 401, clerkauth.ErrTokenMissing)
					testkit.WantReply(t, testkit.Serve(r.Identified(), testkit.Bearer("x")), 401, clerkauth.ErrTokenInvalid)
					time.Sleep(time.Minute)
				}
				r.Server.Heal(clerkauthtest.JWKS)
				time.Sleep(30 * time.Second)
				testkit.WantReply(t, testkit.Serve(r.Identified(), testkit.Bearer(token)), 200, "")
			})
		})
	}
}

// TestStartDuringAnOutage: keys that are unavailable at the start are fetched when
// they become available.
func TestStartDuringAnOutage(t *testing.T) {
	for name, how := range outages {
		bubble(t, func(t *testing.T) {
			r := testkit.NewRig(t)
			r.Server.Fail(clerkauthtest.JWKS, how)
			for range 100 {
				if testkit.WantReply(t, testkit.Serve(r.Identified(), testkit.Bearer(r.Jane.Token())), 503, ""); t.Failed() {
					t.Fatal(name)
				}
				time.Sleep(time.Second)
			}
			r.Server.Heal(clerkauthtest.JWKS)
			time.Sleep(30 * time.Second)
			testkit.WantReply(t, testkit.Serve(r.Identified(), testkit.Bearer(r.Jane.Token())), 200, "")
			// One working source suffices.
			r.Server.Fail(clerkauthtest.BackendJWKS, how)
			r.Auth = testkit.NewAuth(t, r.Server)
			testkit.WantReply(t, testkit.Serve(r.Identified(), testkit.Bearer(r.Jane.Token())), 200, "")
		})
	}
}

// TestWithdrawnKeyIsRefusedInTime: a withdrawn key is rejected in time, however
// often it is used, and whether or not other keys are in use.
func TestWithdrawnKeyIsRefusedInTime(t *testing.T) {
	const ttl = 5 * time.Minute
	for _, every := range []time.Duration{time.Second, time.Minute, 3 * time.Minute, 4 * time.Minute, 5*time.Minute - time.Second, 50 * time.Minute} {
		bubble(t, func(t *testing.T) {
			r := testkit.NewRig(t)
			old := r.Jane.Token(testkit.LongLived)
			r.Server.AddKey()
			kept := r.Jane.Token(testkit.LongLived)
			testkit.WantReply(t, testkit.Serve(r.Identified(), testkit.Bearer(old)), 200, "")
			time.Sleep(every) // the refresh may come at any time after the withdrawal
			r.Server.WithdrawKey(testkit.KeyID)
			withdrawn := time.Now()
			for time.Since(withdrawn) < ttl {
				testkit.Serve(r.Identified(), testkit.Bearer(old))
				testkit.WantReply(t, testkit.Serve(r.Identified(), testkit.Bearer(kept)), 200, "")
				time.Sleep(min(every, ttl-time.Since(withdrawn)))
			}
			for range 10 {
				if testkit.WantReply(t, testkit.Serve(r.Identified(), testkit.Bearer(old)), 401, clerkauth.ErrUnknownKey); t.Failed() {
					t.Fatalf("used every %v, %v after it was withdrawn", every, time.Since(withdrawn))
				}
				testkit.WantReply(t, testkit.Serve(r.Identified(), testkit.Bearer(kept)), 200, "")
				time.Sleep(every)
			}
		})
	}
}

// TestReplacedKey: another key under the same id is found at once, with at most one
// fetch in 30 s however many bad signatures arrive.
func TestReplacedKey(t *testing.T) {
	bubble(t, func(t *testing.T) {
		r := testkit.NewRig(t)
		old := r.Jane.Token(testkit.LongLived)
		testkit.WantReply(t, testkit.Serve(r.Identified(), testkit.Bearer(old)), 200, "")
		time.Sleep(time.Second) // a set fetched in this instant would not be fetched again
		r.Server.ReplaceKey()
		testkit.WantReply(t, testkit.Serve(r.Identified(), testkit.Bearer(r.Jane.Token())), 200, "")
		for range 1000 {
			testkit.WantReply(t, testkit.Serve(r.Identified(), testkit.Bearer(old)), 401, clerkauth.ErrTokenSignature)
			time.Sleep(60 * time.Millisecond)
		}
		if n := r.Fetches(); n > 2+2 {
			t.Errorf("%d fetches in a minute", n)
		}
	})
}

// TestTwoInstancesOfOneHost: two Authenticators in one process with the same host,
// issuer and key id but different keys are told apart by the source of their keys
// alone.
func TestTwoInstancesOfOneHost(t *testing.T) {
	bubble(t, func(t *testing.T) {
		one, two := testkit.NewRig(t), testkit.NewRig(t)
		two.Server.SetKeySet(testkit.KeySet(testkit.JWK(testkit.KeyID, &testkit.OtherKey().PublicKey, nil)))
		two.Auth = testkit.NewAuth(t, one.Server, func(c *clerkauth.Config) {
			c.SecretKey = clerkauth.NewSecret(two.Server.SecretKey())
			c.Transport = testkit.RoundTripFunc(func(r *http.Request) (*http.Response, error) {
				r = r.Clone(r.Context())
				r.URL.Host = strings.TrimPrefix(two.Server.URL, "https://")
				return two.Server.Transport().RoundTrip(r)
			})
		})
		for range 100 { // repeated: no cache may be shared later either
			ofOne, ofTwo := one.Jane.Token(), one.Jane.Token(clerkauthtest.SignedBy(testkit.OtherKey()))
			testkit.WantReply(t, testkit.Serve(one.Identified(), testkit.Bearer(ofOne)), 200, "")
			testkit.WantReply(t, testkit.Serve(two.Identified(), testkit.Bearer(ofTwo)), 200, "")
			testkit.WantReply(t, testkit.Serve(one.Identified(), testkit.Bearer(ofTwo)), 401, clerkauth.ErrTokenSignature)
			testkit.WantReply(t, testkit.Serve(two.Identified(), testkit.Bearer(ofOne)), 401, clerkauth.ErrTokenSignature)
			// Neither guard accepts the other's identity.
			testkit.WantReply(t, testkit.Serve(func(next http.Handler) http.Handler { return one.Auth.Handler(two.Auth.Require()(next)) }, testkit.Bearer(ofOne)), 401, clerkauth.ErrTokenSignature)
			time.Sleep(time.Minute)
		}
	})
}

// TestClockJumps sets the clock forward and back.
func TestClockJumps(t *testing.T) {
	for _, jump := range []time.Duration{time.Second, time.Hour, 10 * 365 * 24 * time.Hour, -time.Second, -time.Hour, -10 * 365 * 24 * time.Hour} {
		bubble(t, func(t *testing.T) {
			r := testkit.NewRig(t)
			// While the clock is wrong keys are unavailable; when it is right they are
			// fetched.
			r.Server.Advance(jump)
			r.Server.Fail(clerkauthtest.JWKS, 500)
			testkit.WantReply(t, testkit.Serve(r.Identified(), testkit.Bearer(r.Jane.Token())), 503, "")
			r.Server.Advance(-jump)
			r.Server.Heal(clerkauthtest.JWKS)
			time.Sleep(5 * time.Minute)
			testkit.WantReply(t, testkit.Serve(r.Identified(), testkit.Bearer(r.Jane.Token())), 200, "")
			// With fetched keys.
			r.Server.Advance(jump)
			testkit.WantReply(t, testkit.Serve(r.Identified(), testkit.Bearer(r.Jane.Token())), 200, "")
			old := r.Jane.Token(testkit.LongLived)
			r.Server.RotateKeys()
			for range 6 {
				testkit.WantReply(t, testkit.Serve(r.Identified(), testkit.Bearer(r.Jane.Token())), 200, "")
				time.Sleep(time.Minute)
			}
			if testkit.WantReply(t, testkit.Serve(r.Identified(), testkit.Bearer(old)), 401, clerkauth.ErrUnknownKey); t.Failed() {
				t.Fatal(jump)
			}
		})
	}
}

// TestClientsThatCancelLeaveNothing runs in real time, on loopback.
func TestClientsThatCancelLeaveNothing(t *testing.T) {
	t.Run("HTTP/1.1", func(t *testing.T) { cancelWhileWaiting(t, &http.Client{Transport: &http.Transport{}}, 200) })
	t.Run("HTTP/2", func(t *testing.T) { cancelWhileWaiting(t, testkit.HTTP2Client(t), 1000) })
}
