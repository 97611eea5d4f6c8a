package clerkauth_test

import (
	"bytes"
	"context"
	"crypto/rand"
	"fmt"
	"log/slog"
	"net/http"
	"runtime/debug"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"net/http/httptest"
	"slices"

	"encoding/json"

	"github.com/clerkauth/clerkauth"
	"github.com/clerkauth/clerkauth/clerkauthtest"
	"github.com/clerkauth/clerkauth/internal/testkit"
)

// TestMachineCallCounts counts the calls to Clerk, in virtual time.
func TestMachineCallCounts(t *testing.T) {
	t.Run("10,000 requests with 100 keys in a minute", testkit.Bubble(func(t *testing.T) {
		r := testkit.NewMachineRig(t)
		guard := r.Auth.Require(testkit.AnyCredential)
		var keys []string
		for range 100 {
			keys = append(keys, r.Server.CreateAPIKey(r.User).Token)
		}
		for i := range 10_000 {
			if got := testkit.Serve(guard, testkit.Bearer(keys[i%len(keys)])); !got.Entered {
				t.Fatal(got)
			}
			time.Sleep(time.Minute / 10_000)
		}
		if n := r.Server.Requests(clerkauthtest.APIKeyVerify); n > 200 {
			t.Errorf("%d calls", n)
		}
	}))
	t.Run("1,000 first uses of one key at once", testkit.Bubble(func(t *testing.T) {
		network := &testkit.SlowTransport{Takes: time.Second}
		r := testkit.NewMachineRig(t, func(c *clerkauth.Config) {
			network.RoundTripper = c.Transport
			c.Transport = network
		})
		guard := r.Auth.Require(testkit.AnyCredential)
		var wg sync.WaitGroup
		for range 1000 {
			wg.Go(func() {
				if got := testkit.Serve(guard, testkit.Bearer(r.APIKey.Token)); !got.Entered {
					t.Error(got)
				}
			})
		}
		synctest.Wait()
		wg.Wait()
		if n := network.All.Load(); n != 1 {
			t.Errorf("%d calls", n)
		}
	}))
	t.Run("1,000 uses of one bad key", testkit.Bubble(func(t *testing.T) {
		r := testkit.NewMachineRig(t)
		guard := r.Auth.Require(testkit.AnyCredential)
		for range 1000 {
			if got := testkit.Serve(guard, testkit.Bearer("ak_unknown")); got.Status != 401 {
				t.Error(got)
			}
			time.Sleep(10 * time.Millisecond)
		}
		if n := r.Server.Requests(clerkauthtest.APIKeyVerify); n > 2 {
			t.Errorf("%d calls in 10 s", n)
		}
	}))
	t.Run("Retry-After is respected", testkit.Bubble(func(t *testing.T) {
		for status, most := range map[int]int{429: 1, 401: 4} { // in 20 s
			r := testkit.NewMachineRig(t)
			r.Server.Fail(clerkauthtest.APIKeyVerify, status)
			r.Server.RetryAfter(clerkauthtest.APIKeyVerify, 20)
			guard := r.Auth.Require(testkit.AnyCredential)
			for range 199 {
				if got := testkit.Serve(guard, testkit.Bearer(testkit.MadeUpKey())); got.Status != 503 {
					t.Error(got)
				}
				time.Sleep(100 * time.Millisecond)
			}
			if n := r.Server.Requests(clerkauthtest.APIKeyVerify); n > most {
				t.Errorf("%d: %d calls", status, n)
			}
		}
	}))
	t.Run("too many unseen keys do not affect a cached one", testkit.Bubble(func(t *testing.T) {
		limit := 0
		r := testkit.NewMachineRig(t, func(c *clerkauth.Config) {
			next := c.Transport
			c.Transport = testkit.RoundTripFunc(func(req *http.Request) (*http.Response, error) {
				if limit++; limit > 100 {
					return testkit.Answering(429, http.Header{"Retry-After": {"99999999999"}}, strings.NewReader(`{"errors":[{"code":"x"}]}`)).RoundTrip(req)
				}
				return next.RoundTrip(req)
			})
		})
		guard := r.Auth.Require(testkit.AnyCredential)
		if got := testkit.Serve(guard, testkit.Bearer(r.APIKey.Token)); !got.Entered {
			t.Fatal(got)
		}
		for i := range 150 {
			testkit.Serve(guard, testkit.Bearer(fmt.Sprintf("ak_unseen%d", i)))
			time.Sleep(66 * time.Millisecond)
		}
		if got := testkit.Serve(guard, testkit.Bearer("ak_unseen")); got.Status != 503 || got.Header.Get("Retry-After") < "50" {
			t.Errorf("an unseen key: %v", got)
		}
		limit = 0 // Clerk responds again
		time.Sleep(25 * time.Second)
		if got := testkit.Serve(guard, testkit.Bearer(r.APIKey.Token)); !got.Entered {
			t.Errorf("a key that was good before: %v", got)
		}
	}))
	t.Run("a bad machine's key is no concern of others", testkit.Bubble(func(t *testing.T) {
		r := testkit.NewMachineRig(t, func(c *clerkauth.Config) { c.Machines.SecretKey = clerkauth.NewSecret("ak_wrong") })
		guard := r.Auth.Require(testkit.AnyCredential)
		if got := testkit.Serve(guard, testkit.Bearer("mt_x")); got.Status != 503 || got.Reason() != string(clerkauth.ErrSecretKeyInvalid) {
			t.Error(got)
		}
		if got := testkit.Serve(guard, testkit.Bearer(r.APIKey.Token)); !got.Entered {
			t.Error(got)
		}
	}))
	t.Run("a caller who does not wait", testkit.Bubble(func(t *testing.T) {
		network := &testkit.SlowTransport{Takes: 2 * time.Second}
		r := testkit.NewMachineRig(t, func(c *clerkauth.Config) {
			network.RoundTripper = c.Transport
			c.Transport = network
		})
		guard := r.Auth.Require(testkit.AnyCredential)
		ctx, cancel := context.WithTimeout(t.Context(), time.Second)
		defer cancel()
		impatient := func(req *http.Request) { *req = *req.WithContext(ctx) }
		if got := testkit.Serve(guard, testkit.Bearer(r.APIKey.Token), impatient); got.Status != 503 {
			t.Error(got)
		}
		if got := testkit.Serve(guard, testkit.Bearer(r.APIKey.Token)); !got.Entered { // the call outlived its first caller
			t.Error(got)
		}
		if n := network.All.Load(); n != 1 {
			t.Errorf("%d calls", n)
		}
	}))
}

// TestMachineSecretsStaySecret: keys, credentials and claims appear in no response,
// log or error, whatever Clerk responds.
func TestMachineSecretsStaySecret(t *testing.T) { testkit.Bubble(machineSecrets)(t) }

func machineSecrets(t *testing.T) {
	var logged bytes.Buffer
	var config clerkauth.Config
	machine := "ak_" + rand.Text()
	r := testkit.NewMachineRig(t, func(c *clerkauth.Config) {
		c.Logger = slog.New(slog.NewTextHandler(&logged, &slog.HandlerOptions{Level: slog.LevelDebug}))
		c.Machines.SecretKey = clerkauth.NewSecret(machine)
		c.ErrorHandler = func(w http.ResponseWriter, _ *http.Request, err *clerkauth.Error) {
			http.Error(w, fmt.Sprintf("%v %+v %#v %v", err, err, err, err.Unwrap()), err.Status)
		}
		config = *c
	})
	claim := rand.Text()
	r.APIKey.SetClaims(map[string]any{"private": claim})
	secrets := []string{machine, r.Server.SecretKey(), r.APIKey.Token, r.M2M.Token, r.OAuth.Token, claim}
	fmt.Fprintf(&logged, "%v %+v %#v %v %+v %#v", config, config, config, r.Auth, r.Auth, r.Auth)
	slog.New(slog.NewTextHandler(&logged, nil)).Info("configuration", "config", config, "auth", r.Auth)
	for _, c := range []int{0, 200, 401, 404, 429, 500, clerkauthtest.Cut, clerkauthtest.Garbage, clerkauthtest.Redirect} {
		// Clerk's response quotes everything that it received.
		if c >= 200 {
			r.Server.Answer(clerkauthtest.TokenVerify, c, "application/json", testkit.JSON(map[string]any{"errors": []any{map[string]any{"code": "x", "message": strings.Join(secrets, " ")}}, "id": secrets}))
		} else if c != 0 {
			r.Server.Fail(clerkauthtest.TokenVerify, c)
		}
		for _, credential := range []*clerkauthtest.Credential{r.APIKey, r.M2M, r.OAuth} {
			for _, token := range []string{credential.Token, credential.JWT(clerkauthtest.ExpiresIn(-time.Hour), clerkauthtest.WithClaim("private", claim))} {
				for _, access := range []clerkauth.Access{testkit.AnyCredential, clerkauth.SignedIn, clerkauth.Token(clerkauth.APIKey, clerkauth.Scope("missing"))} {
					got := testkit.Serve(r.Auth.Require(access), testkit.Bearer(token))
					fmt.Fprintf(&logged, "%v %v", got.Header, got.Body)
				}
			}
		}
		r.Server.Heal(clerkauthtest.TokenVerify)
		time.Sleep(61 * time.Second)
	}
	for _, secret := range secrets {
		if i := strings.Index(logged.String(), secret); i >= 0 {
			t.Errorf("a secret is told: …%.200q", logged.String()[max(0, i-100):])
		}
	}
}

// BenchmarkSessionsBesideMadeUpKeys prints how long requests with a session take, at
// the median and at the 99th percentile, with and without a flood of made-up API
// keys beside them, about each of which Clerk takes 50 ms to answer.
func BenchmarkSessionsBesideMadeUpKeys(b *testing.B) {
	for name, made := range map[string]int{"alone": 0, "beside 10,000 keys a second": 10_000} {
		b.Run(name, func(b *testing.B) {
			r := testkit.NewMachineRig(b, func(c *clerkauth.Config) {
				c.Transport = &testkit.SlowTransport{RoundTripper: c.Transport, Takes: 50 * time.Millisecond}
			})
			handler := r.Auth.Require(testkit.AnyCredential).Func(func(http.ResponseWriter, *http.Request) {})
			send := func(token string) {
				req := httptest.NewRequest(http.MethodGet, "/", nil)
				testkit.Bearer(token)(req)
				handler.ServeHTTP(httptest.NewRecorder(), req)
			}
			session := r.Jane.Token(clerkauthtest.ExpiresIn(time.Hour))
			send(session)
			done, stopped := make(chan struct{}), make(chan struct{})
			go func() {
				defer close(stopped)
				tick := time.NewTicker(10 * time.Millisecond)
				defer tick.Stop()
				for {
					select {
					case <-done:
						return
					case <-tick.C:
						for range made / 100 {
							go send(testkit.MadeUpKey())
						}
					}
				}
			}()
			var took []time.Duration
			for b.Loop() {
				began := time.Now()
				send(session)
				took = append(took, time.Since(began))
			}
			close(done)
			<-stopped
			slices.Sort(took)
			b.ReportMetric(float64(took[len(took)/2].Microseconds()), "µs-p50")
			b.ReportMetric(float64(took[len(took)*99/100].Microseconds()), "µs-p99")
		})
	}
}

// TestRememberedCredentialAllocates: serving an opaque credential whose verification
// is cached allocates at most nine times.
func TestRememberedCredentialAllocates(t *testing.T) {
	r := testkit.NewMachineRig(t)
	h := r.Auth.Require(clerkauth.Token(clerkauth.APIKey)).Func(func(http.ResponseWriter, *http.Request) {})
	req := httptest.NewRequest(http.MethodGet, "/", nil)
	r.APIKey.Authorize(req)
	w := httptest.NewRecorder()
	if n := testing.AllocsPerRun(50, func() { h.ServeHTTP(w, req) }); n > 9 && !raced() {
		t.Errorf("%v allocations", n)
	}
}

// BenchmarkRememberedCredential measures an opaque credential whose verification is
// cached: alone, and on several processors at once.
func BenchmarkRememberedCredential(b *testing.B) {
	r := testkit.NewMachineRig(b)
	h := r.Auth.Require(clerkauth.Token(clerkauth.APIKey)).Func(func(http.ResponseWriter, *http.Request) {})
	serve := func(next func() bool) {
		req := httptest.NewRequest(http.MethodGet, "/", nil)
		r.APIKey.Authorize(req)
		w := httptest.NewRecorder()
		for next() {
			h.ServeHTTP(w, req)
		}
		if w.Code != http.StatusOK {
			b.Error(w.Code)
		}
	}
	b.Run("one", func(b *testing.B) {
		b.ReportAllocs()
		serve(b.Loop)
	})
	b.Run("many", func(b *testing.B) {
		b.ReportAllocs()
		b.RunParallel(func(pb *testing.PB) { serve(pb.Next) })
	})
}

// FuzzAnswer: whatever the Backend API responds about a key, the key is accepted if
// and only if the response states every property of a valid key.
func FuzzAnswer(f *testing.F) {
	const good = `{"object":"api_key","id":"ak_1","subject":"user_1","scopes":["a"],"claims":{"x":1},"revoked":false,"expired":false,"expiration":null,"created_at":1}`
	for _, seed := range []string{good, "", "null", "[]", "{}", strings.Replace(good, "false", "true", 1), strings.Replace(good, "null", "1", 1), strings.Replace(good, "null", "99999999999999", 1), good + "x", `{"id":"ak_2",` + good[1:]} {
		f.Add(200, seed)
		f.Add(404, seed)
	}
	srv := clerkauthtest.NewServer(f, clerkauthtest.InMemory(), clerkauthtest.SigningKey(testkit.KeyID, testkit.Key()))
	f.Fuzz(func(t *testing.T, status int, body string) {
		if status < 200 || status > 599 {
			return
		}
		srv.Answer(clerkauthtest.APIKeyVerify, status, "application/json", body)
		got := testkit.Serve(testkit.NewAuth(t, srv, testkit.AcceptAll).Require(clerkauth.Token(clerkauth.APIKey)), testkit.Bearer("ak_fuzz"))
		var response struct {
			Object, ID, Subject string
			Revoked, Expired    *bool
			Expiration          *int64
		}
		is := func(b *bool, want bool) bool { return b != nil && *b == want }
		// It may be accepted only if an independent reading of the response accepts it,
		// too.
		readable := json.Unmarshal([]byte(body), &response) == nil
		ok := readable && status < 300 && response.Object == "api_key" && response.ID != "" && response.Subject != "" && is(response.Revoked, false) && is(response.Expired, false) &&
			(response.Expiration == nil || *response.Expiration > srv.Now().UnixMilli())
		if got.Entered && !ok || got.Status != 200 && got.Status != 401 && got.Status != 503 || body == good && status == 200 && !got.Entered {
			t.Errorf("%d %q: %v", status, body, got)
		}
	})
}

// raced reports whether the race detector is on, under which a sync.Pool loses what it
// holds.
func raced() bool {
	info, ok := debug.ReadBuildInfo()
	return ok && slices.Contains(info.Settings, debug.BuildSetting{Key: "-race", Value: "true"})
}
