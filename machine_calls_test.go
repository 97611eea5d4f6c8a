package clerkauth_test

import (
	"bytes"
	"context"
	"crypto/rand"
	"fmt"
	"log/slog"
	"net/http"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/clerkauth/clerkauth"
	"github.com/clerkauth/clerkauth/clerkauthtest"
)

// TestMachineCallCounts: how often Clerk is asked, in virtual time.
func TestMachineCallCounts(t *testing.T) {
	t.Run("10,000 requests with 100 keys in a minute", inBubble(func(t *testing.T) {
		r := newMachineRig(t)
		guard := r.auth.Require(forAll)
		var keys []string
		for range 100 {
			keys = append(keys, r.srv.CreateAPIKey(r.user).Token)
		}
		for i := range 10_000 {
			if got := ask(guard, bearer(keys[i%len(keys)])); !got.entered {
				t.Fatal(got)
			}
			time.Sleep(time.Minute / 10_000)
		}
		if n := r.srv.Requests(clerkauthtest.APIKeyVerify); n > 200 {
			t.Errorf("%d calls", n)
		}
	}))
	t.Run("1,000 first uses of one key at once", inBubble(func(t *testing.T) {
		network := &laggard{takes: time.Second}
		r := newMachineRig(t, func(c *clerkauth.Config) {
			network.RoundTripper = c.Transport
			c.Transport = network
		})
		guard := r.auth.Require(forAll)
		var wg sync.WaitGroup
		for range 1000 {
			wg.Go(func() {
				if got := ask(guard, bearer(r.key.Token)); !got.entered {
					t.Error(got)
				}
			})
		}
		synctest.Wait()
		wg.Wait()
		if n := network.all.Load(); n != 1 {
			t.Errorf("%d calls", n)
		}
	}))
	t.Run("1,000 uses of one bad key", inBubble(func(t *testing.T) {
		r := newMachineRig(t)
		guard := r.auth.Require(forAll)
		for range 1000 {
			if got := ask(guard, bearer("ak_unknown")); got.status != 401 {
				t.Error(got)
			}
			time.Sleep(10 * time.Millisecond)
		}
		if n := r.srv.Requests(clerkauthtest.APIKeyVerify); n > 2 {
			t.Errorf("%d calls in 10 s", n)
		}
	}))
	t.Run("Clerk asks for a break", inBubble(func(t *testing.T) {
		for status, most := range map[int]int{429: 1, 401: 4} { // in 20 s
			r := newMachineRig(t)
			r.srv.Fail(clerkauthtest.APIKeyVerify, status)
			r.srv.RetryAfter(clerkauthtest.APIKeyVerify, 20)
			guard := r.auth.Require(forAll)
			for range 199 {
				if got := ask(guard, bearer(madeUpKey())); got.status != 503 {
					t.Error(got)
				}
				time.Sleep(100 * time.Millisecond)
			}
			if n := r.srv.Requests(clerkauthtest.APIKeyVerify); n > most {
				t.Errorf("%d: %d calls", status, n)
			}
		}
	}))
	t.Run("who asks too much is not asked for others", inBubble(func(t *testing.T) {
		limit := 0
		r := newMachineRig(t, func(c *clerkauth.Config) {
			next := c.Transport
			c.Transport = roundTripper(func(req *http.Request) (*http.Response, error) {
				if limit++; limit > 100 {
					return answering(429, http.Header{"Retry-After": {"99999999999"}}, strings.NewReader(`{"errors":[{"code":"x"}]}`)).RoundTrip(req)
				}
				return next.RoundTrip(req)
			})
		})
		guard := r.auth.Require(forAll)
		if got := ask(guard, bearer(r.key.Token)); !got.entered {
			t.Fatal(got)
		}
		for i := range 150 {
			ask(guard, bearer(fmt.Sprintf("ak_stranger%d", i)))
			time.Sleep(66 * time.Millisecond)
		}
		if got := ask(guard, bearer("ak_stranger")); got.status != 503 || got.header.Get("Retry-After") < "50" {
			t.Errorf("a stranger: %v", got)
		}
		limit = 0 // Clerk would answer again
		time.Sleep(25 * time.Second)
		if got := ask(guard, bearer(r.key.Token)); !got.entered {
			t.Errorf("a key that was good before: %v", got)
		}
	}))
	t.Run("a bad machine's key is no concern of others", inBubble(func(t *testing.T) {
		r := newMachineRig(t, func(c *clerkauth.Config) { c.Machines.SecretKey = clerkauth.NewSecret("ak_wrong") })
		guard := r.auth.Require(forAll)
		if got := ask(guard, bearer("mt_x")); got.status != 503 || got.reason() != string(clerkauth.ErrSecretKeyInvalid) {
			t.Error(got)
		}
		if got := ask(guard, bearer(r.key.Token)); !got.entered {
			t.Error(got)
		}
	}))
	t.Run("a caller who does not wait", inBubble(func(t *testing.T) {
		network := &laggard{takes: 2 * time.Second}
		r := newMachineRig(t, func(c *clerkauth.Config) {
			network.RoundTripper = c.Transport
			c.Transport = network
		})
		guard := r.auth.Require(forAll)
		ctx, cancel := context.WithTimeout(t.Context(), time.Second)
		defer cancel()
		impatient := func(req *http.Request) { *req = *req.WithContext(ctx) }
		if got := ask(guard, bearer(r.key.Token), impatient); got.status != 503 {
			t.Error(got)
		}
		if got := ask(guard, bearer(r.key.Token)); !got.entered { // the call went on without him
			t.Error(got)
		}
		if n := network.all.Load(); n != 1 {
			t.Errorf("%d calls", n)
		}
	}))
}

// TestMachineSecretsStaySecret: neither keys nor credentials nor claims are in what
// anybody gets to see, whatever Clerk answers.
func TestMachineSecretsStaySecret(t *testing.T) { inBubble(machineSecrets)(t) }

func machineSecrets(t *testing.T) {
	var logged bytes.Buffer
	var config clerkauth.Config
	machine := "ak_" + rand.Text()
	r := newMachineRig(t, func(c *clerkauth.Config) {
		c.Logger = slog.New(slog.NewTextHandler(&logged, &slog.HandlerOptions{Level: slog.LevelDebug}))
		c.Machines.SecretKey = clerkauth.NewSecret(machine)
		c.ErrorHandler = func(w http.ResponseWriter, _ *http.Request, err *clerkauth.Error) {
			http.Error(w, fmt.Sprintf("%v %+v %#v %v", err, err, err, err.Unwrap()), err.Status)
		}
		config = *c
	})
	claim := rand.Text()
	r.key.SetClaims(map[string]any{"private": claim})
	secrets := []string{machine, r.srv.SecretKey(), r.key.Token, r.m2m.Token, r.oauth.Token, claim}
	fmt.Fprintf(&logged, "%v %+v %#v %v %+v %#v", config, config, config, r.auth, r.auth, r.auth)
	slog.New(slog.NewTextHandler(&logged, nil)).Info("configuration", "config", config, "auth", r.auth)
	for _, c := range []int{0, 200, 401, 404, 429, 500, clerkauthtest.Cut, clerkauthtest.Garbage, clerkauthtest.Redirect} {
		// Clerk quotes everything that it was sent.
		if c >= 200 {
			r.srv.Answer(clerkauthtest.TokenVerify, c, "application/json", mustJSON(map[string]any{"errors": []any{map[string]any{"code": "x", "message": strings.Join(secrets, " ")}}, "id": secrets}))
		} else if c != 0 {
			r.srv.Fail(clerkauthtest.TokenVerify, c)
		}
		for _, credential := range []*clerkauthtest.Credential{r.key, r.m2m, r.oauth} {
			for _, token := range []string{credential.Token, credential.JWT(clerkauthtest.ExpiresIn(-time.Hour), clerkauthtest.WithClaim("private", claim))} {
				for _, access := range []clerkauth.Access{forAll, clerkauth.SignedIn, clerkauth.Token(clerkauth.APIKey, clerkauth.Scope("missing"))} {
					got := ask(r.auth.Require(access), bearer(token))
					fmt.Fprintf(&logged, "%v %v", got.header, got.body)
				}
			}
		}
		r.srv.Heal(clerkauthtest.TokenVerify)
		time.Sleep(61 * time.Second)
	}
	for _, secret := range secrets {
		if i := strings.Index(logged.String(), secret); i >= 0 {
			t.Errorf("a secret is told: …%.200q", logged.String()[max(0, i-100):])
		}
	}
}
