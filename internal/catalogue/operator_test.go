package catalogue

import (
	"bytes"
	"fmt"
	"log/slog"
	"net/http"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/clerk/clerk-sdk-go/v2/user"

	"github.com/clerkauth/clerkauth"
	"github.com/clerkauth/clerkauth/clerkauthtest"
	"github.com/clerkauth/clerkauth/internal/testkit"
)

// This row tests what is logged about invalid configurations that look like errors
// of callers.
var _ = addRows(rows{
	"272/lasting_mistakes": func(t *testing.T) {
		t.Run("public set in an outage", testkit.Bubble(publicSetInAnOutage))
		t.Run("public set for an unknown id", testkit.Bubble(publicSetForAnUnknownID))
		t.Run("public set out of reach", testkit.Bubble(publicSetOutOfReach))
		t.Run("calls while the public set hangs", testkit.Bubble(callsWhileThePublicSetHangs))
		t.Run("nothing to compare", testkit.Bubble(nothingToCompare))
		t.Run("wrong clock", wrongClock)
		t.Run("parties", testkit.Bubble(partiesNotConfigured))
		t.Run("issuer", testkit.Bubble(proxiedIssuer))
		t.Run("another issuer with its own key", testkit.Bubble(issuerWithItsOwnKey))
		t.Run("unknown keys for every caller", testkit.Bubble(unknownKeysForEveryCaller))
		t.Run("no token yet", testkit.Bubble(noTokenYet))
	},
})

// logging returns a change that makes an Authenticator log to b.
func logging(b *bytes.Buffer) func(*clerkauth.Config) {
	return func(c *clerkauth.Config) { c.Logger = slog.New(slog.NewTextHandler(b, nil)) }
}

func publicSetInAnOutage(t *testing.T) {
	for name, how := range outages {
		r := testkit.NewRig(t)
		r.Server.Fail(clerkauthtest.BackendJWKS, how)
		r.Want(t, r.Jane.Token(), 200, "")
		r.Want(t, r.Jane.Token(clerkauthtest.WithKeyID("ins_unknown")), 401, clerkauth.ErrUnknownKey)
		r.Server.AddKey()
		if r.Want(t, r.Jane.Token(), 200, ""); t.Failed() {
			t.Fatal(name)
		}
	}
}

func publicSetForAnUnknownID(t *testing.T) {
	r := testkit.NewRig(t)
	r.Want(t, r.Jane.Token(), 200, "")
	if n := r.Server.Requests(clerkauthtest.FrontendJWKS); n != 0 {
		t.Errorf("%d public fetches for a key that the Backend API has", n)
	}
	serveKeys(r, clerkauthtest.FrontendJWKS, publicKeys{testkit.KeyID: &testkit.Key().PublicKey, "ins_public": &testkit.OtherKey().PublicKey})
	token := func() string {
		return r.Jane.Token(clerkauthtest.SignedBy(testkit.OtherKey()), clerkauthtest.WithKeyID("ins_public"))
	}
	for range 3 {
		r.Want(t, token(), 200, "")
		r.Want(t, r.Jane.Token(), 200, "")
	}
	for range 3 {
		r.Want(t, r.Jane.Token(clerkauthtest.WithKeyID("ins_unknown")), 401, clerkauth.ErrUnknownKey)
		time.Sleep(30 * time.Second)
	}
	if n := r.Server.Requests(clerkauthtest.FrontendJWKS); n != 2 {
		t.Errorf("%d public fetches, want one for each of two ids", n)
	}
	// A key that only the public set has is refreshed and withdrawn as well.
	r.Server.Answer(clerkauthtest.FrontendJWKS, 200, "application/json", string(testkit.KeySet(testkit.JWK(testkit.KeyID, &testkit.Key().PublicKey, nil))))
	time.Sleep(5 * time.Minute)
	r.Want(t, token(), 401, clerkauth.ErrUnknownKey)
	r.Want(t, r.Jane.Token(), 200, "")
}

// publicSetOutOfReach: opaque credentials are not sent until the secret key is known
// to be of this instance; sessions do not depend on that.
func publicSetOutOfReach(t *testing.T) {
	for _, how := range []int{500, clerkauthtest.Hang, clerkauthtest.Garbage} {
		var logged bytes.Buffer
		r := testkit.NewMachineRig(t, logging(&logged))
		r.Server.Fail(clerkauthtest.FrontendJWKS, how)
		guard := r.Auth.Require(testkit.AnyCredential)
		start := time.Now()
		got := testkit.WantReply(t, testkit.Serve(guard, testkit.Bearer(r.APIKey.Token)), 503, clerkauth.ErrKeysUnavailable)
		if took := time.Since(start); took > 5*time.Second || got.Header.Get("Retry-After") == "" {
			t.Errorf("%d: %v after %v", how, got, took)
		}
		host := strings.TrimPrefix(r.Server.Issuer(), "https://")
		if s := logged.String(); !strings.Contains(s, host) || !strings.Contains(s, "reachable") || strings.Contains(s, r.APIKey.Token) {
			t.Errorf("%d: log is %q", how, s)
		}
		var all sync.WaitGroup
		for range 1000 {
			all.Go(func() {
				testkit.WantReply(t, testkit.Serve(guard, testkit.Bearer(r.OAuth.Token)), 503, clerkauth.ErrKeysUnavailable)
			})
		}
		all.Wait()
		if n := r.Server.Requests(clerkauthtest.TokenVerify); n != 0 {
			t.Errorf("%d: %d credentials were sent", how, n)
		}
		if n := r.Server.Requests(clerkauthtest.FrontendJWKS); n > 2 {
			t.Errorf("%d: %d fetches", how, n)
		}
		// Neither a forged token nor one that is rejected for another reason proves
		// anything.
		r.Want(t, r.Jane.Token(clerkauthtest.SignedBy(testkit.OtherKey())), 401, clerkauth.ErrTokenSignature)
		r.Want(t, r.Jane.Token(clerkauthtest.WithClaim("iss", "https://other.example")), 401, "")
		testkit.WantReply(t, testkit.Serve(guard, testkit.Bearer(r.APIKey.Token)), 503, clerkauth.ErrKeysUnavailable)
		// A session of the issuer does.
		start = time.Now()
		r.Want(t, r.Jane.Token(), 200, "")
		for _, token := range []string{r.APIKey.Token, r.M2M.Token, r.OAuth.Token} {
			testkit.WantReply(t, testkit.Serve(guard, testkit.Bearer(token)), 200, "")
		}
		if took := time.Since(start); took != 0 {
			t.Errorf("%d: they waited %v", how, took)
		}
		time.Sleep(10 * time.Second)
	}
	// The public set, once available, proves the same.
	r := testkit.NewMachineRig(t)
	r.Server.Fail(clerkauthtest.FrontendJWKS, 500)
	testkit.WantReply(t, testkit.Serve(r.Auth.Require(testkit.AnyCredential), testkit.Bearer(r.APIKey.Token)), 503, "")
	r.Server.Heal(clerkauthtest.FrontendJWKS)
	time.Sleep(time.Second)
	testkit.WantReply(t, testkit.Serve(r.Auth.Require(testkit.AnyCredential), testkit.Bearer(r.APIKey.Token)), 200, "")
	// If the Backend API is unavailable nothing can be verified in any case.
	r = testkit.NewMachineRig(t)
	r.Server.Fail(clerkauthtest.Backend, 500)
	testkit.WantReply(t, testkit.Serve(r.Auth.Require(testkit.AnyCredential), testkit.Bearer(r.APIKey.Token)), 503, clerkauth.ErrBackendUnavailable)
	r = testkit.NewMachineRig(t)
	r.Server.Fail(clerkauthtest.Backend, 401)
	testkit.WantReply(t, testkit.Serve(r.Auth.Require(testkit.AnyCredential), testkit.Bearer(r.APIKey.Token)), 503, clerkauth.ErrSecretKeyInvalid)
}

// callsWhileThePublicSetHangs: a comparison that is not possible does not delay the
// application's own calls beyond a bound.
func callsWhileThePublicSetHangs(t *testing.T) {
	r := testkit.NewRig(t)
	who, err := r.Auth.VerifyToken(t.Context(), r.Jane.Token())
	if err != nil {
		t.Fatal(err)
	}
	r.Server.Fail(clerkauthtest.FrontendJWKS, clerkauthtest.Hang)
	for i := range 3 {
		start := time.Now()
		if _, err := r.Auth.GetToken(t.Context(), who, ""); err != nil || time.Since(start) > 3*time.Second {
			t.Errorf("call %d: %v after %v", i, err, time.Since(start))
		}
		if _, err := user.NewClient(r.Auth.ClerkConfig()).Get(t.Context(), who.UserID); err != nil {
			t.Errorf("call %d: %v", i, err)
		}
	}
}

func nothingToCompare(t *testing.T) {
	r := testkit.NewMachineRig(t)
	auth := testkit.NewAuth(t, r.Server, func(c *clerkauth.Config) {
		c.PublishableKey, c.FrontendURL, c.Issuers = "", "", []string{r.Server.Issuer()}
		c.Accept = []clerkauth.TokenType{clerkauth.APIKey}
	})
	testkit.WantReply(t, testkit.Serve(auth.Require(clerkauth.Token(clerkauth.APIKey)), testkit.Bearer(r.APIKey.Token)), 200, "")
	if n := r.Server.Requests(clerkauthtest.JWKS); n != 0 {
		t.Errorf("%d fetches", n)
	}
	// The machine's own key is not compared.
	auth = testkit.NewAuth(t, r.Server, func(c *clerkauth.Config) {
		c.SecretKey, c.Machines.SecretKey = clerkauth.Secret{}, clerkauth.NewSecret(r.Here.SecretKey)
		c.Accept = []clerkauth.TokenType{clerkauth.M2MToken}
	})
	testkit.WantReply(t, testkit.Serve(auth.Require(clerkauth.Token(clerkauth.M2MToken)), testkit.Bearer(r.M2M.Token)), 200, "")
}

// logCount returns how often a warning or error with that text was logged.
func logCount(b *bytes.Buffer, text string) int {
	n := 0
	for line := range strings.Lines(b.String()) {
		if (strings.Contains(line, "level=WARN") || strings.Contains(line, "level=ERROR")) && strings.Contains(line, text) {
			n++
		}
	}
	return n
}

func wrongClock(t *testing.T) {
	for _, off := range []time.Duration{-time.Hour, -30 * time.Second, 30 * time.Second, time.Hour} {
		t.Run(off.String(), testkit.Bubble(func(t *testing.T) {
			var logged bytes.Buffer
			r := testkit.NewRig(t, logging(&logged), func(c *clerkauth.Config) {
				clerk := c.Now
				c.Now = func() time.Time { return clerk().Add(off) }
			})
			for range 30 {
				r.Want(t, r.Jane.Token(clerkauthtest.WithoutClaim("nbf")), map[bool]int{true: 401, false: 200}[off < 0 || off > time.Minute], "")
				time.Sleep(time.Second)
			}
			if n := logCount(&logged, "clock"); n != 1 {
				t.Errorf("it was logged %d times: %s", n, logged.String())
			}
		}))
	}
	t.Run("answer of a cache", testkit.Bubble(func(t *testing.T) {
		var logged bytes.Buffer
		r := testkit.NewRig(t, logging(&logged), func(c *clerkauth.Config) {
			next := c.Transport
			c.Transport = testkit.RoundTripFunc(func(req *http.Request) (*http.Response, error) {
				resp, err := next.RoundTrip(req)
				if err == nil {
					resp.Header.Set("Age", "600")
					resp.Header.Set("Date", time.Now().Add(-10*time.Minute).UTC().Format(http.TimeFormat))
				}
				return resp, err
			})
		})
		r.Want(t, r.Jane.Token(), 200, "")
		if logged.Len() > 0 {
			t.Error(logged.String())
		}
	}))
	t.Run("right", testkit.Bubble(func(t *testing.T) {
		var logged bytes.Buffer
		r := testkit.NewRig(t, logging(&logged), func(c *clerkauth.Config) {
			clerk := c.Now
			c.Now = func() time.Time { return clerk().Add(3 * time.Second) }
		})
		r.Want(t, r.Jane.Token(), 200, "")
		r.Want(t, r.Jane.Token(clerkauthtest.ExpiresIn(-time.Hour)), 401, clerkauth.ErrTokenExpired)
		if logged.Len() > 0 {
			t.Error(logged.String())
		}
	}))
}

func partiesNotConfigured(t *testing.T) {
	var logged bytes.Buffer
	r := testkit.NewRig(t, logging(&logged), func(c *clerkauth.Config) {
		c.AuthorizedParties = []string{"https://app.example.com", "http://localhost:3000", "https://www.shop.example"}
	})
	for range 60 { // a minute
		for _, party := range []string{"http://app.example.com", "https://shop.example", "http://localhost:3001", "https://jane.evil.example"} {
			r.Want(t, r.Jane.Token(clerkauthtest.WithClaim("azp", party)), 401, clerkauth.ErrTokenParty)
		}
		time.Sleep(time.Second)
	}
	r.Want(t, r.Jane.Token(clerkauthtest.WithClaim("azp", "https://jane.evil.example")), 401, clerkauth.ErrTokenParty)
	s := logged.String()
	if logCount(&logged, "AuthorizedParties") != 2 || !strings.Contains(s, `differs_in=scheme count=1`) || !strings.Contains(s, `differs_in="scheme, www., port, host" count=240`) {
		t.Errorf("log is %q", s)
	}
	if strings.Contains(s, "jane.evil") || strings.Contains(s, r.Jane.User.ID) {
		t.Error("a claim is in the log")
	}
	// Tokens signed by another key are not counted.
	logged.Reset()
	time.Sleep(2 * time.Minute)
	r.Want(t, r.Jane.Token(clerkauthtest.SignedBy(testkit.OtherKey()), clerkauthtest.WithClaim("azp", "https://evil.example")), 401, clerkauth.ErrTokenSignature)
	if logCount(&logged, "AuthorizedParties") != 0 {
		t.Error(logged.String())
	}
}

func proxiedIssuer(t *testing.T) {
	var logged bytes.Buffer
	r := testkit.NewRig(t, logging(&logged))
	r.Want(t, r.Jane.Token(), 200, "")
	for range 100 {
		r.Want(t, r.Jane.Token(clerkauthtest.WithClaim("iss", "https://app.example.com/__clerk")), 401, clerkauth.ErrTokenIssuer)
	}
	if logCount(&logged, "ProxyURL") != 1 || strings.Contains(logged.String(), "__clerk") {
		t.Errorf("log is %q", logged.String())
	}
	machines := testkit.NewMachineRig(t, logging(&logged))
	testkit.WantReply(t, testkit.Serve(machines.Auth.Require(testkit.AnyCredential), testkit.Bearer(machines.APIKey.JWT(clerkauthtest.WithClaim("iss", machines.Server.Issuer())))), 200, "")
	testkit.WantReply(t, testkit.Serve(machines.Auth.Require(testkit.AnyCredential), testkit.Bearer(machines.APIKey.JWT(clerkauthtest.WithClaim("iss", "https://app.example.com/__clerk")))), 401, clerkauth.ErrTokenIssuer)
	if logCount(&logged, "ProxyURL") != 2 {
		t.Errorf("log is %q", logged.String())
	}
}

// issuerWithItsOwnKey: tokens of another issuer, signed by a key of its own, are not
// logged, whatever key id they have.
func issuerWithItsOwnKey(t *testing.T) {
	for _, pinned := range []bool{false, true} {
		var logged bytes.Buffer
		r := testkit.NewMachineRig(t)
		r.Auth = testkit.NewAuth(t, r.Server, testkit.AcceptAll, logging(&logged), func(c *clerkauth.Config) {
			if pinned {
				c.JWTKey = r.Server.JWTKey()
			}
		})
		r.Want(t, r.Jane.Token(), 200, "")
		foreign := []clerkauthtest.TokenOption{clerkauthtest.WithClaim("iss", "https://accounts.example.com"), clerkauthtest.SignedBy(testkit.OtherKey())}
		for _, token := range []string{r.Jane.Token(foreign...), r.APIKey.JWT(foreign...), r.M2M.JWT(foreign...), r.OAuth.JWT(foreign...)} {
			testkit.WantReply(t, testkit.Serve(r.Auth.Require(testkit.AnyCredential), testkit.Bearer(token)), 401, clerkauth.ErrTokenIssuer)
		}
		if logCount(&logged, "issuer") != 0 {
			t.Errorf("pinned %v: log is %q", pinned, logged.String())
		}
	}
}

func unknownKeysForEveryCaller(t *testing.T) {
	var logged bytes.Buffer
	r := testkit.NewRig(t, logging(&logged))
	unknown := func() {
		t.Helper()
		r.Want(t, r.Jane.Token(clerkauthtest.WithKeyID("ins_unknown")), 401, clerkauth.ErrUnknownKey)
	}
	for range 100 {
		unknown()
	}
	if logCount(&logged, "front end") != 1 || strings.Contains(logged.String(), "ins_unknown") {
		t.Errorf("log is %q", logged.String())
	}
	// Machines are treated like other callers.
	logged.Reset()
	machines := testkit.NewMachineRig(t, logging(&logged))
	testkit.WantReply(t, testkit.Serve(machines.Auth.Require(testkit.AnyCredential), testkit.Bearer(testkit.WithKeyID(machines.M2M.JWT(), "ins_unknown"))), 401, clerkauth.ErrUnknownKey)
	if logCount(&logged, "front end") != 1 {
		t.Errorf("log is %q", logged.String())
	}
	time.Sleep(time.Minute)
	logged.Reset()
	testkit.WantReply(t, testkit.Serve(machines.Auth.Require(testkit.AnyCredential), testkit.Bearer(machines.M2M.JWT())), 200, "")
	testkit.WantReply(t, testkit.Serve(machines.Auth.Require(testkit.AnyCredential), testkit.Bearer(testkit.WithKeyID(machines.M2M.JWT(), "ins_unknown"))), 401, clerkauth.ErrUnknownKey)
	if logCount(&logged, "front end") != 0 {
		t.Error(logged.String())
	}
	// If other callers are verified, it is an error of that caller alone.
	logged.Reset()
	for range 300 {
		r.Want(t, r.Jane.Token(), 200, "")
		unknown()
		time.Sleep(time.Second)
	}
	if logCount(&logged, "front end") != 0 {
		t.Error(logged.String())
	}
}

func noTokenYet(t *testing.T) {
	var logged bytes.Buffer
	r := testkit.NewRig(t, logging(&logged))
	for _, text := range []string{"undefined", "null", "NaN", "[object Promise]", "[object Object]", "Undefined"} {
		got := r.Want(t, text, 401, clerkauth.ErrTokenInvalid)
		other := r.Want(t, "x"+text, 401, clerkauth.ErrTokenInvalid)
		if got.Body != other.Body || fmt.Sprint(got.Header) != fmt.Sprint(other.Header) {
			t.Errorf("%s: a caller learns more: %s", text, got.Body)
		}
		if strings.Contains(text, " ") {
			continue
		}
		if _, err := r.Auth.VerifyToken(t.Context(), text); err == nil || !strings.Contains(err.Error(), "before it had a token") {
			t.Errorf("%s: %v", text, err)
		}
		if _, err := r.Auth.VerifyToken(t.Context(), text+"x"); err == nil || strings.Contains(err.Error(), "before it had a token") {
			t.Errorf("%sx: %v", text, err)
		}
	}
	if logCount(&logged, "getToken") != 1 {
		t.Errorf("log is %q", logged.String())
	}
}
