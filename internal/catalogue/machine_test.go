package catalogue

import (
	"bytes"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"crypto/sha256"
	"encoding/hex"
	"testing/synctest"

	"github.com/clerkauth/clerkauth"
	"github.com/clerkauth/clerkauth/clerkauthtest"
	"github.com/clerkauth/clerkauth/internal/testkit"
)

// These rows test machine credentials.
var _ = addRows(rows{
	"199/inexact_scopes":        scopesAreExact,
	"230/malformed_credentials": malformedCredentials,
	"231/flood_of_made_up_keys": testkit.Bubble(floodOfUnknownKeys),
	"232/backend_answers":       backendAnswers,
	"233/ended_credentials":     endedCredentials,
	"234/revoked_while_cached": func(t *testing.T) {
		t.Run("revocation", testkit.Bubble(revocationIsSeen))
		t.Run("keys", testkit.Bubble(cachesHoldNoCredential))
	},
	"235/credential_in_url": credentialsTravelInBodies,
})

// scopesAreExact: no scope matches a part, a prefix or another case of another one.
func scopesAreExact(t *testing.T) {
	r := testkit.NewMachineRig(t)
	guard := r.Auth.Require(clerkauth.Token(clerkauth.OAuthToken, clerkauth.Scope("read"), clerkauth.Scope("write")))
	for _, c := range []struct {
		claim  string
		scopes any
		status int
	}{
		{"scope", "read write", 200}, {"scope", "write read", 200}, {"scope", "  read   write ", 200}, {"scope", "read read write", 200},
		{"scp", []string{"read", "write"}, 200}, {"scp", "read write", 200},
		{"scope", "read", 403}, {"scope", "read:all write", 403}, {"scope", "READ write", 403}, {"scope", "read,write", 403}, {"scope", "read\twrite", 403},
		{"scope", "read\u00a0write", 403}, {"scope", "", 403}, {"scp", []string{}, 403}, {"scp", []string{"read write"}, 403}, {"scp", []string{"readwrite"}, 403},
		{"scopes", "read write", 403}, {"permissions", []string{"read", "write"}, 403},
		// If the claim is of another type the token is rejected.
		{"scope", 7, 401}, {"scope", nil, 401}, {"scope", []string{"read", "write"}, 401}, {"scope", map[string]bool{"read": true, "write": true}, 401}, {"scp", []any{"read", "write", 7}, 401}, {"scp", true, 401},
	} {
		token := r.OAuth.JWT(clerkauthtest.WithoutClaim("scope"), clerkauthtest.WithClaim(c.claim, c.scopes))
		if got := testkit.Serve(guard, testkit.Bearer(token)); got.Status != c.status || got.Entered != (c.status == 200) {
			t.Errorf("%s %v: %v", c.claim, c.scopes, got)
		}
	}
	// A list takes precedence over a string, whatever either contains.
	if got := testkit.Serve(guard, testkit.Bearer(r.OAuth.JWT(clerkauthtest.WithClaim("scp", []string{}), clerkauthtest.WithClaim("scope", "read write")))); got.Status != 403 {
		t.Error(got)
	}
	for _, c := range []struct {
		scopes []string
		status int
	}{{[]string{"read", "", "write"}, 200}, {[]string{"read", "write"}, 200}, {[]string{"read write"}, 403}, {[]string{"READ", "write"}, 403}, {nil, 403}, {[]string{""}, 403}} {
		if got := testkit.Serve(guard, testkit.Bearer(r.Server.CreateOAuthToken(r.User, "client_1", c.scopes...).Token)); got.Status != c.status {
			t.Errorf("opaque %q: %v", c.scopes, got)
		}
	}
}

// malformedCredentials: text that is not of a credential's form is not sent to
// Clerk.
func malformedCredentials(t *testing.T) {
	r := testkit.NewMachineRig(t)
	guard := r.Auth.Require(testkit.AnyCredential)
	for _, token := range []string{
		"ak_", "ak_" + strings.Repeat("a", 1<<20), "ak_" + strings.Repeat("a", 513), "ak_../", "ak_..%2f", "ak_a.b", "ak_a.b.c", "ak_\r\n", "ak_x\r\nX: y", "ak_a b", "ak_a\x00",
		"mt_", "mt_ключ", "mt_é", "mt_\xff", "mt_a=", "oat_", "oat_\x00", "oat_a\x00", "oat_a/b", "oat_a+b", "oat_\u200b", "oat_a\"", "ak_a,ak_b", "ak_ a", "mt_a~",
	} {
		if got := testkit.Serve(guard, testkit.Bearer(token)); got.Status != 401 || got.Entered {
			t.Errorf("%.20q: %v", token, got)
		}
	}
	for _, token := range []string{"AK_a", "Ak_a", "ak-a", "ak", "at_a", "mt.a", "oat"} { // of no kind
		if got := testkit.Serve(guard, testkit.Bearer(token)); got.Status != 401 || got.Reason() != string(clerkauth.ErrTokenInvalid) {
			t.Errorf("%q: %v", token, got)
		}
	}
	if n := r.Server.Requests(clerkauthtest.Backend); n != 0 {
		t.Errorf("%d calls", n)
	}
	if got := testkit.Serve(guard, testkit.Bearer("ak_a")); got.Status != 401 || r.Server.Requests(clerkauthtest.APIKeyVerify) != 1 {
		t.Errorf("the control: %v", got)
	}
}

// floodOfUnknownKeys: made-up keys are verified a few at a time and the rest receive
// Retry-After; neither sessions nor keys that were verified before wait.
func floodOfUnknownKeys(t *testing.T) {
	network := &testkit.SlowTransport{Takes: 50 * time.Millisecond}
	r := testkit.NewMachineRig(t, func(c *clerkauth.Config) {
		network.RoundTripper = c.Transport
		c.Transport = network
	})
	guard := r.Auth.Require(testkit.AnyCredential)
	session := r.Jane.Token(clerkauthtest.ExpiresIn(time.Hour))
	for _, token := range []string{session, r.APIKey.Token} {
		if got := testkit.Serve(guard, testkit.Bearer(token)); !got.Entered {
			t.Fatal(got)
		}
	}
	time.Sleep(31 * time.Second) // the key has to be verified again, amid the flood
	network.All.Store(0)
	network.Most.Store(0)
	var wg sync.WaitGroup
	var refused, busy atomic.Int64
	const keys = 10_000
	for i := range keys {
		wg.Go(func() {
			time.Sleep(time.Duration(i) * time.Second / keys)
			switch got := testkit.Serve(guard, testkit.Bearer(testkit.MadeUpKey())); {
			case got.Entered:
				t.Error("a key that was made up is good")
			case got.Status == 401:
				refused.Add(1)
			case got.Status == 503 && got.Header.Get("Retry-After") != "":
				busy.Add(1)
			default:
				t.Error(got)
			}
		})
	}
	var waits []time.Duration
	for range 100 {
		time.Sleep(10 * time.Millisecond)
		began := time.Now()
		if got := testkit.Serve(guard, testkit.Bearer(session)); !got.Entered {
			t.Error(got)
		}
		waits = append(waits, time.Since(began))
	}
	began := time.Now()
	if got := testkit.Serve(guard, testkit.Bearer(r.APIKey.Token)); !got.Entered || time.Since(began) > network.Takes {
		t.Errorf("a key that was good: %v after %v", got, time.Since(began))
	}
	wg.Wait()
	slices.Sort(waits)
	t.Logf("%d keys in a second: %d looked up, %d at a time, %d told to come back; sessions waited for %v (p99)",
		keys, network.All.Load(), network.Most.Load(), busy.Load(), waits[98])
	if network.Most.Load() > 32 || network.All.Load() > 1000 || refused.Load()+busy.Load() != keys || waits[98] != 0 {
		t.Errorf("%d at a time, %d refused, %d busy", network.Most.Load(), refused.Load(), busy.Load())
	}
	// Afterwards a single key is verified again.
	if got := testkit.Serve(guard, testkit.Bearer("ak_afterwards")); got.Status != 401 {
		t.Error(got)
	}
}

// backendAnswers: the Backend API's response decides whether a failure is the
// caller's, the configuration's or an outage; it is never an entry.
func backendAnswers(t *testing.T) {
	const notFound = `{"errors":[{"code":"resource_not_found","message":"not found"}]}`
	good := map[string]any{"object": "api_key", "id": "ak_1", "subject": "user_1", "scopes": []string{}, "revoked": false, "expired": false, "expiration": nil, "created_at": 1}
	for name, c := range map[string]struct {
		status     int
		mediaType  string
		body       string
		how        int // if not 0, for Fail
		retryAfter int
		want       int
		reason     clerkauth.Reason
		wait       string
	}{
		"the secret key is bad":            {status: 401, body: `{"errors":[{"code":"clerk_key_invalid"}]}`, want: 503, reason: clerkauth.ErrSecretKeyInvalid},
		"the secret key is bad, as text":   {status: 401, mediaType: "text/plain", body: "no", want: 503, reason: clerkauth.ErrSecretKeyInvalid},
		"forbidden":                        {status: 403, body: notFound, want: 503, reason: clerkauth.ErrBackendUnavailable},
		"not found":                        {status: 404, body: notFound, want: 401, reason: clerkauth.ErrTokenInvalid},
		"not found, in another charset":    {status: 404, mediaType: "application/json; charset=utf-8", body: notFound, want: 401, reason: clerkauth.ErrTokenInvalid},
		"another server's 404":             {status: 404, mediaType: "text/html", body: "<h1>404</h1>", want: 503, reason: clerkauth.ErrBackendUnavailable},
		"a 404 without a body":             {status: 404, want: 503, reason: clerkauth.ErrBackendUnavailable},
		"a 404 without errors":             {status: 404, body: `{"errors":[]}`, want: 503, reason: clerkauth.ErrBackendUnavailable},
		"a 404 in a list":                  {status: 404, body: `[]`, want: 503, reason: clerkauth.ErrBackendUnavailable},
		"bad request":                      {status: 400, body: notFound, want: 503, reason: clerkauth.ErrBackendUnavailable},
		"conflict":                         {status: 409, body: notFound, want: 503, reason: clerkauth.ErrBackendUnavailable},
		"unprocessable":                    {status: 422, body: notFound, want: 503, reason: clerkauth.ErrBackendUnavailable},
		"too many requests":                {status: 429, body: notFound, retryAfter: 20, want: 503, reason: clerkauth.ErrBackendUnavailable, wait: "20"},
		"too many requests, for long":      {status: 429, body: notFound, retryAfter: 9999, want: 503, reason: clerkauth.ErrBackendUnavailable, wait: "60"},
		"too many requests, no word when":  {status: 429, body: notFound, want: 503, reason: clerkauth.ErrBackendUnavailable, wait: "1"},
		"an error":                         {status: 500, body: notFound, want: 503, reason: clerkauth.ErrBackendUnavailable},
		"an error, as HTML":                {status: 502, mediaType: "text/html", body: "<h1>502</h1>", want: 503, reason: clerkauth.ErrBackendUnavailable},
		"away":                             {status: 503, want: 503, reason: clerkauth.ErrBackendUnavailable},
		"HTML":                             {status: 200, mediaType: "text/html", body: "<h1>welcome</h1>", want: 503, reason: clerkauth.ErrBackendUnavailable},
		"nothing":                          {status: 200, want: 503, reason: clerkauth.ErrBackendUnavailable},
		"no content":                       {status: 204, want: 503, reason: clerkauth.ErrBackendUnavailable},
		"null":                             {status: 200, body: "null", want: 503, reason: clerkauth.ErrBackendUnavailable},
		"a list":                           {status: 200, body: "[" + testkit.JSON(good) + "]", want: 503, reason: clerkauth.ErrBackendUnavailable},
		"half of it":                       {status: 200, body: testkit.JSON(good)[:60], want: 503, reason: clerkauth.ErrBackendUnavailable},
		"more than it":                     {status: 200, body: testkit.JSON(good) + "{}", want: 503, reason: clerkauth.ErrBackendUnavailable},
		"a name twice":                     {status: 200, body: `{"revoked":true,` + testkit.JSON(good)[1:], want: 503, reason: clerkauth.ErrBackendUnavailable},
		"a name twice, in another case":    {status: 200, body: `{"Revoked":true,` + testkit.JSON(good)[1:], want: 503, reason: clerkauth.ErrBackendUnavailable},
		"scopes of another type":           {status: 200, body: strings.Replace(testkit.JSON(good), `"scopes":[]`, `"scopes":"all"`, 1), want: 503, reason: clerkauth.ErrBackendUnavailable},
		"an endless answer":                {status: 200, body: strings.TrimSuffix(testkit.JSON(good), "}") + `,"claims":"` + strings.Repeat("a", 1<<17) + `"}`, want: 503, reason: clerkauth.ErrBackendUnavailable},
		"a status of success that is none": {status: 304, body: testkit.JSON(good), want: 503, reason: clerkauth.ErrBackendUnavailable},
		"several choices":                  {status: 300, body: testkit.JSON(good), want: 503, reason: clerkauth.ErrBackendUnavailable},
		"it hangs":                         {how: clerkauthtest.Hang, want: 503, reason: clerkauth.ErrBackendUnavailable},
		"it hangs in the body":             {how: clerkauthtest.SlowBody, want: 503, reason: clerkauth.ErrBackendUnavailable},
		"it stops in the body":             {how: clerkauthtest.Cut, want: 503, reason: clerkauth.ErrBackendUnavailable},
		"it redirects":                     {how: clerkauthtest.Redirect, want: 503, reason: clerkauth.ErrBackendUnavailable},
		"it is good":                       {status: 200, body: testkit.JSON(good), want: 200},
		"it is good, in another charset":   {status: 200, mediaType: "application/json; charset=utf-8", body: testkit.JSON(good), want: 200},
	} {
		t.Run(name, testkit.Bubble(func(t *testing.T) {
			var logged bytes.Buffer
			r := testkit.NewMachineRig(t, func(c *clerkauth.Config) { c.Logger = slog.New(slog.NewTextHandler(&logged, nil)) })
			if c.how != 0 {
				r.Server.Fail(clerkauthtest.TokenVerify, c.how)
			} else {
				if c.mediaType == "" {
					c.mediaType = "application/json"
				}
				r.Server.Answer(clerkauthtest.TokenVerify, c.status, c.mediaType, c.body)
			}
			r.Server.RetryAfter(clerkauthtest.TokenVerify, c.retryAfter)
			guard := r.Auth.Require(testkit.AnyCredential)
			began := time.Now()
			got := testkit.Serve(guard, testkit.Bearer(r.APIKey.Token))
			if got.Status != c.want || got.Entered != (c.want == 200) || got.Reason() != string(c.reason) {
				t.Errorf("%v, want %d %s", got, c.want, c.reason)
			}
			if took := time.Since(began); took > 3*time.Second {
				t.Errorf("it took %v", took)
			}
			if (got.Header.Get("Retry-After") != "") != (c.want == 503) || c.wait != "" && got.Header.Get("Retry-After") != c.wait {
				t.Errorf("Retry-After is %q", got.Header.Get("Retry-After"))
			}
			if loud := strings.Contains(logged.String(), "level=ERROR"); loud != (c.reason == clerkauth.ErrSecretKeyInvalid) {
				t.Errorf("log is %q", logged.String())
			}
			for _, text := range []string{logged.String(), got.Body, fmt.Sprint(got.Header)} {
				if strings.Contains(text, r.APIKey.Token) || strings.Contains(text, r.Server.SecretKey()) {
					t.Error("a secret is told")
				}
			}
			// Public routes and sessions are not affected.
			if got := testkit.Serve(r.Auth.Handler, testkit.Bearer(r.APIKey.Token)); !got.Entered {
				t.Error(got)
			}
			if got := testkit.Serve(guard, testkit.Bearer(r.Jane.Token())); !got.Entered {
				t.Error(got)
			}
			// It recovers by itself.
			r.Server.Heal(clerkauthtest.TokenVerify)
			time.Sleep(61 * time.Second)
			if got := testkit.Serve(guard, testkit.Bearer(r.APIKey.Token)); !got.Entered {
				t.Errorf("afterwards: %v", got)
			}
		}))
	}
}

// endedCredentials: the members of a response decide, whatever its status.
func endedCredentials(t *testing.T) {
	now := time.Now().UnixMilli()
	good := map[string]map[string]any{
		"ak_":  {"object": "api_key", "subject": "user_1"},
		"mt_":  {"object": "machine_to_machine_token", "subject": "mch_1"},
		"oat_": {"object": "clerk_idp_oauth_access_token", "subject": "user_1", "client_id": "client_1"},
	}
	for name, c := range map[string]struct {
		member string
		value  any
		want   int
	}{
		"good": {"id", "x_1", 200}, "revoked": {"revoked", true, 401}, "expired": {"expired", true, 401},
		"expiration past": {"expiration", now - 1, 401}, "expiration in 1970": {"expiration", 0, 401}, "expiration before": {"expiration", -1, 401}, "expiration in the year 1": {"expiration", -62135596800, 401}, "in milliseconds": {"expiration", -62135596800000, 401}, "expiration ahead": {"expiration", now + 60_000, 200},
		"expiration past, in seconds": {"expiration", now/1000 - 1, 401}, "expiration ahead, in seconds": {"expiration", now/1000 + 60, 200},
		"no id": {"id", "", 401}, "id null": {"id", nil, 401}, "malformed id": {"id", "x\r\n1", 401}, "long id": {"id", strings.Repeat("x", 300), 401},
		"no subject": {"subject", "", 401}, "subject null": {"subject", nil, 401}, "malformed subject": {"subject", "user 1", 401},
		"no object": {"object", "", 401}, "a user": {"object", "user", 401}, "object null": {"object", nil, 401},
	} {
		for prefix, base := range good {
			r := testkit.NewMachineRig(t)
			answer := map[string]any{"id": "x_1", "scopes": []string{"a"}, "revoked": false, "expired": false, "expiration": nil, "created_at": 1, "updated_at": 1}
			for k, v := range base {
				answer[k] = v
			}
			answer[c.member] = c.value
			r.Server.Answer(clerkauthtest.TokenVerify, 200, "application/json", testkit.JSON(answer))
			got := testkit.Serve(r.Auth.Require(testkit.AnyCredential), testkit.Bearer(prefix+"x"))
			if got.Status != c.want || got.Entered != (c.want == 200) {
				t.Errorf("%s, %s: %v", prefix, name, got)
			}
			if prefix == "ak_" {
				continue
			}
			// A response about another kind is not one about this credential.
			answer["object"] = "api_key"
			r.Server.Answer(clerkauthtest.TokenVerify, 200, "application/json", testkit.JSON(answer))
			if got := testkit.Serve(r.Auth.Require(testkit.AnyCredential), testkit.Bearer(prefix+"y")); got.Entered {
				t.Errorf("%s: an API key's answer is taken for it", prefix)
			}
		}
	}
	// The subject has to be of the credential's kind.
	for prefix, subject := range map[string]string{"mt_": "user_1", "oat_": "mch_1"} {
		r := testkit.NewMachineRig(t)
		r.Server.Answer(clerkauthtest.TokenVerify, 200, "application/json", testkit.JSON(map[string]any{"object": good[prefix]["object"], "id": "x_1", "subject": subject, "revoked": false, "expired": false}))
		if got := testkit.Serve(r.Auth.Require(testkit.AnyCredential), testkit.Bearer(prefix+"x")); got.Status != 401 {
			t.Errorf("%s for %s: %v", prefix, subject, got)
		}
	}
	// The local instance responds likewise.
	r := testkit.NewMachineRig(t)
	r.Server.ShowEnded(true)
	r.Server.Revoke(r.APIKey)
	r.Server.Expire(r.M2M)
	r.Server.Revoke(r.OAuth)
	for _, c := range []*clerkauthtest.Credential{r.APIKey, r.M2M, r.OAuth} {
		if got := testkit.Serve(r.Auth.Require(testkit.AnyCredential), testkit.Bearer(c.Token)); got.Status != 401 {
			t.Errorf("%s: %v", c.Kind, got)
		}
	}
}

// revocationIsSeen: a revocation is seen after CacheTTL at the latest, an expiration
// at once.
func revocationIsSeen(t *testing.T) {
	for _, c := range []struct {
		ttl, seen time.Duration
	}{{0, 30 * time.Second}, {5 * time.Second, 5 * time.Second}, {5 * time.Minute, 5 * time.Minute}, {clerkauth.AskEveryTime, 0}} {
		r := testkit.NewMachineRig(t, func(config *clerkauth.Config) { config.Machines.CacheTTL = c.ttl })
		guard := r.Auth.Require(testkit.AnyCredential)
		for _, credential := range []*clerkauthtest.Credential{r.APIKey, r.M2M, r.OAuth} {
			if got := testkit.Serve(guard, testkit.Bearer(credential.Token)); !got.Entered {
				t.Fatal(got)
			}
			r.Server.Revoke(credential)
			if c.seen > 0 {
				time.Sleep(c.seen - time.Millisecond)
				if got := testkit.Serve(guard, testkit.Bearer(credential.Token)); !got.Entered {
					t.Errorf("TTL %v: it is verified again too early: %v", c.ttl, got)
				}
				time.Sleep(time.Millisecond)
			}
			if got := testkit.Serve(guard, testkit.Bearer(credential.Token)); got.Status != 401 {
				t.Errorf("TTL %v: a revocation is not seen: %v", c.ttl, got)
			}
		}
		soon := r.Server.CreateAPIKey(r.User)
		soon.SetExpiration(time.Now().Add(time.Second))
		if got := testkit.Serve(guard, testkit.Bearer(soon.Token)); !got.Entered {
			t.Error(got)
		}
		time.Sleep(time.Second)
		if got := testkit.Serve(guard, testkit.Bearer(soon.Token)); got.Status != 401 {
			t.Errorf("TTL %v: it outlives its expiration: %v", c.ttl, got)
		}
		// A credential that becomes valid is accepted soon.
		late := &clerkauthtest.Credential{Token: "ak_late"}
		if got := testkit.Serve(guard, testkit.Bearer(late.Token)); got.Status != 401 {
			t.Error(got)
		}
		r.Server.Answer(clerkauthtest.APIKeyVerify, 200, "application/json", `{"object":"api_key","id":"ak_1","subject":"user_1","revoked":false,"expired":false}`)
		time.Sleep(5 * time.Second)
		if got := testkit.Serve(guard, testkit.Bearer(late.Token)); !got.Entered {
			t.Error(got)
		}
	}
}

// credentialsTravelInBodies: credentials are sent in a body, never in a path or a
// query.
func credentialsTravelInBodies(t *testing.T) {
	var seen []string
	r := testkit.NewMachineRig(t, func(c *clerkauth.Config) {
		next := c.Transport
		c.Transport = testkit.RoundTripFunc(func(req *http.Request) (*http.Response, error) {
			if req.Method == http.MethodGet { // for keys
				return next.RoundTrip(req)
			}
			body, err := io.ReadAll(req.Body)
			if err != nil {
				return nil, err
			}
			req.Body = io.NopCloser(bytes.NewReader(body))
			seen = append(seen, req.Method+" "+req.URL.String()+" "+string(body))
			if strings.Contains(fmt.Sprint(req.Header), "x-1_y") {
				t.Error("a credential is in a header")
			}
			return next.RoundTrip(req)
		})
	})
	for _, token := range []string{"ak_x-1_y", "mt_x-1_y", "oat_x-1_y"} {
		testkit.Serve(r.Auth.Require(testkit.AnyCredential), testkit.Bearer(token))
	}
	base := r.Server.URL
	if want := []string{
		"POST " + base + `/api_keys/verify {"secret":"ak_x-1_y"}`,
		"POST " + base + `/m2m_tokens/verify {"token":"mt_x-1_y"}`,
		"POST " + base + `/oauth_applications/access_tokens/verify {"access_token":"oat_x-1_y"}`,
	}; !slices.Equal(seen, want) {
		t.Errorf("%q", seen)
	}
}

// cachesHoldNoCredential: cache keys are digests of the whole credential, so no part
// of it can be read there, and no credential is taken for another.
func cachesHoldNoCredential(t *testing.T) {
	store := &testkit.MachineCache{Values: map[string][]byte{}}
	r := testkit.NewMachineRig(t, func(c *clerkauth.Config) { c.Machines.Cache = store })
	guard := r.Auth.Require(testkit.AnyCredential)
	if got := testkit.Serve(guard, testkit.Bearer(r.APIKey.Token)); !got.Entered {
		t.Fatal(got)
	}
	key := r.APIKey.Token
	for _, other := range []string{key[:len(key)-1], key + "x", key[:len(key)-1] + "_", "ak__" + key[4:], key[:32], strings.ToUpper(key[:10]) + key[10:]} {
		if got := testkit.Serve(guard, testkit.Bearer(other)); got.Entered {
			t.Errorf("a credential of %d bytes passes for one of %d", len(other), len(key))
		}
	}
	synctest.Wait()
	if len(store.Values) == 0 {
		t.Fatal("nothing is kept")
	}
	for name, value := range store.Values {
		digest, err := hex.DecodeString(name)
		if err != nil || len(digest) != sha256.Size {
			t.Errorf("%q is no digest", name)
		}
		kept := name + string(digest) + string(value)
		for i := range len(key) - 8 {
			if piece := key[i : i+8]; strings.Contains(kept, piece) || strings.Contains(kept, hex.EncodeToString([]byte(piece))) {
				t.Fatal("a piece of the credential is kept")
			}
		}
	}
}
