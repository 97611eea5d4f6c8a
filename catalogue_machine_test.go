package clerkauth_test

import (
	"bytes"
	"encoding/json"
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

	"github.com/clerkauth/clerkauth"
	"github.com/clerkauth/clerkauth/clerkauthtest"
)

var machineRows = map[int]func(*testing.T){
	199: scopesAreExact,
	230: oddCredentials,
	231: inBubble(floodOfUnknownKeys),
	232: backendAnswers,
	233: endedCredentials,
	234: func(t *testing.T) {
		t.Run("revocation", inBubble(revocationIsSeen))
		t.Run("keys", inBubble(cachesHoldNoCredential))
	},
	235: credentialsTravelInBodies,
}

// scopesAreExact: no scope is a part, a prefix or another case of another one.
func scopesAreExact(t *testing.T) {
	r := newMachineRig(t)
	guard := r.auth.Require(clerkauth.Token(clerkauth.OAuthToken, clerkauth.Scope("read"), clerkauth.Scope("write")))
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
		// Where the claim is of another type, nothing about the token is believed.
		{"scope", 7, 401}, {"scope", nil, 401}, {"scope", []string{"read", "write"}, 401}, {"scope", map[string]bool{"read": true, "write": true}, 401}, {"scp", []any{"read", "write", 7}, 401}, {"scp", true, 401},
	} {
		token := r.oauth.JWT(clerkauthtest.WithoutClaim("scope"), clerkauthtest.WithClaim(c.claim, c.scopes))
		if got := ask(guard, bearer(token)); got.status != c.status || got.entered != (c.status == 200) {
			t.Errorf("%s %v: %v", c.claim, c.scopes, got)
		}
	}
	// A list counts before a string, whatever is in either.
	if got := ask(guard, bearer(r.oauth.JWT(clerkauthtest.WithClaim("scp", []string{}), clerkauthtest.WithClaim("scope", "read write")))); got.status != 403 {
		t.Error(got)
	}
	for _, c := range []struct {
		scopes []string
		status int
	}{{[]string{"read", "", "write"}, 200}, {[]string{"read", "write"}, 200}, {[]string{"read write"}, 403}, {[]string{"READ", "write"}, 403}, {nil, 403}, {[]string{""}, 403}} {
		if got := ask(guard, bearer(r.srv.CreateOAuthToken(r.user, "client_1", c.scopes...).Token)); got.status != c.status {
			t.Errorf("opaque %q: %v", c.scopes, got)
		}
	}
}

// oddCredentials: what does not look like a credential is sent to nobody.
func oddCredentials(t *testing.T) {
	r := newMachineRig(t)
	guard := r.auth.Require(forAll)
	for _, token := range []string{
		"ak_", "ak_" + strings.Repeat("a", 1<<20), "ak_" + strings.Repeat("a", 513), "ak_../", "ak_..%2f", "ak_a.b", "ak_a.b.c", "ak_\r\n", "ak_x\r\nX: y", "ak_a b", "ak_a\x00",
		"mt_", "mt_ключ", "mt_é", "mt_\xff", "mt_a=", "oat_", "oat_\x00", "oat_a\x00", "oat_a/b", "oat_a+b", "oat_\u200b", "oat_a\"", "ak_a,ak_b", "ak_ a", "mt_a~",
	} {
		if got := ask(guard, bearer(token)); got.status != 401 || got.entered {
			t.Errorf("%.20q: %v", token, got)
		}
	}
	for _, token := range []string{"AK_a", "Ak_a", "ak-a", "ak", "at_a", "mt.a", "oat"} { // of no kind
		if got := ask(guard, bearer(token)); got.status != 401 || got.reason() != string(clerkauth.ErrTokenInvalid) {
			t.Errorf("%q: %v", token, got)
		}
	}
	if n := r.srv.Requests(clerkauthtest.Backend); n != 0 {
		t.Errorf("%d calls", n)
	}
	if got := ask(guard, bearer("ak_a")); got.status != 401 || r.srv.Requests(clerkauthtest.APIKeyVerify) != 1 {
		t.Errorf("the control: %v", got)
	}
}

var madeUpKeys atomic.Int64

// madeUpKey returns an API key that nobody has, and another one each time.
func madeUpKey() string { return fmt.Sprint("ak_madeUp", madeUpKeys.Add(1)) }

// laggard is a transport that takes its time, and counts what is under way.
type laggard struct {
	http.RoundTripper
	takes          time.Duration
	now, most, all atomic.Int64
}

func (s *laggard) RoundTrip(r *http.Request) (*http.Response, error) {
	if r.Method == http.MethodGet { // of keys
		return s.RoundTripper.RoundTrip(r)
	}
	s.all.Add(1)
	n := s.now.Add(1)
	defer s.now.Add(-1)
	for most := s.most.Load(); n > most && !s.most.CompareAndSwap(most, n); most = s.most.Load() {
	}
	select {
	case <-time.After(s.takes):
	case <-r.Context().Done():
		return nil, r.Context().Err()
	}
	return s.RoundTripper.RoundTrip(r)
}

// floodOfUnknownKeys: who makes up keys has them looked up a few at a time, the rest
// are told to come back, and neither sessions nor keys that were seen before wait.
func floodOfUnknownKeys(t *testing.T) {
	network := &laggard{takes: 50 * time.Millisecond}
	r := newMachineRig(t, func(c *clerkauth.Config) {
		network.RoundTripper = c.Transport
		c.Transport = network
	})
	guard := r.auth.Require(forAll)
	session := r.jane.Token(clerkauthtest.ExpiresIn(time.Hour))
	for _, token := range []string{session, r.key.Token} {
		if got := ask(guard, bearer(token)); !got.entered {
			t.Fatal(got)
		}
	}
	time.Sleep(31 * time.Second) // the key has to be asked about again, amidst it all
	network.all.Store(0)
	network.most.Store(0)
	var wg sync.WaitGroup
	var refused, busy atomic.Int64
	const keys = 10_000
	for i := range keys {
		wg.Go(func() {
			time.Sleep(time.Duration(i) * time.Second / keys)
			switch got := ask(guard, bearer(madeUpKey())); {
			case got.entered:
				t.Error("a key that was made up is good")
			case got.status == 401:
				refused.Add(1)
			case got.status == 503 && got.header.Get("Retry-After") != "":
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
		if got := ask(guard, bearer(session)); !got.entered {
			t.Error(got)
		}
		waits = append(waits, time.Since(began))
	}
	began := time.Now()
	if got := ask(guard, bearer(r.key.Token)); !got.entered || time.Since(began) > network.takes {
		t.Errorf("a key that was good: %v after %v", got, time.Since(began))
	}
	wg.Wait()
	slices.Sort(waits)
	t.Logf("%d keys in a second: %d looked up, %d at a time, %d told to come back; sessions waited for %v (p99)",
		keys, network.all.Load(), network.most.Load(), busy.Load(), waits[98])
	if network.most.Load() > 32 || network.all.Load() > 1000 || refused.Load()+busy.Load() != keys || waits[98] != 0 {
		t.Errorf("%d at a time, %d refused, %d busy", network.most.Load(), refused.Load(), busy.Load())
	}
	// Then it is over.
	if got := ask(guard, bearer("ak_afterwards")); got.status != 401 {
		t.Error(got)
	}
}

// backendAnswers: what the Backend API answers decides between the caller's fault,
// ours, and nobody's, and never lets in.
func backendAnswers(t *testing.T) {
	const notFound = `{"errors":[{"code":"resource_not_found","message":"not found"}]}`
	good := map[string]any{"object": "api_key", "id": "ak_1", "subject": "user_1", "scopes": []string{}, "revoked": false, "expired": false, "expiration": nil, "created_at": 1}
	for name, c := range map[string]struct {
		status     int
		mediaType  string
		body       string
		how        int // else Fail
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
		"a list":                           {status: 200, body: "[" + mustJSON(good) + "]", want: 503, reason: clerkauth.ErrBackendUnavailable},
		"half of it":                       {status: 200, body: mustJSON(good)[:60], want: 503, reason: clerkauth.ErrBackendUnavailable},
		"more than it":                     {status: 200, body: mustJSON(good) + "{}", want: 503, reason: clerkauth.ErrBackendUnavailable},
		"a name twice":                     {status: 200, body: `{"revoked":true,` + mustJSON(good)[1:], want: 503, reason: clerkauth.ErrBackendUnavailable},
		"a name twice, in another case":    {status: 200, body: `{"Revoked":true,` + mustJSON(good)[1:], want: 503, reason: clerkauth.ErrBackendUnavailable},
		"odd types":                        {status: 200, body: strings.Replace(mustJSON(good), `"scopes":[]`, `"scopes":"all"`, 1), want: 503, reason: clerkauth.ErrBackendUnavailable},
		"an endless answer":                {status: 200, body: strings.TrimSuffix(mustJSON(good), "}") + `,"claims":"` + strings.Repeat("a", 1<<17) + `"}`, want: 503, reason: clerkauth.ErrBackendUnavailable},
		"a status of success that is none": {status: 304, body: mustJSON(good), want: 503, reason: clerkauth.ErrBackendUnavailable},
		"several choices":                  {status: 300, body: mustJSON(good), want: 503, reason: clerkauth.ErrBackendUnavailable},
		"it hangs":                         {how: clerkauthtest.Hang, want: 503, reason: clerkauth.ErrBackendUnavailable},
		"it hangs in the body":             {how: clerkauthtest.SlowBody, want: 503, reason: clerkauth.ErrBackendUnavailable},
		"it stops in the body":             {how: clerkauthtest.Cut, want: 503, reason: clerkauth.ErrBackendUnavailable},
		"it redirects":                     {how: clerkauthtest.Redirect, want: 503, reason: clerkauth.ErrBackendUnavailable},
		"it is good":                       {status: 200, body: mustJSON(good), want: 200},
		"it is good, in another charset":   {status: 200, mediaType: "application/json; charset=utf-8", body: mustJSON(good), want: 200},
	} {
		t.Run(name, inBubble(func(t *testing.T) {
			var logged bytes.Buffer
			r := newMachineRig(t, func(c *clerkauth.Config) { c.Logger = slog.New(slog.NewTextHandler(&logged, nil)) })
			if c.how != 0 {
				r.srv.Fail(clerkauthtest.TokenVerify, c.how)
			} else {
				if c.mediaType == "" {
					c.mediaType = "application/json"
				}
				r.srv.Answer(clerkauthtest.TokenVerify, c.status, c.mediaType, c.body)
			}
			r.srv.RetryAfter(clerkauthtest.TokenVerify, c.retryAfter)
			guard := r.auth.Require(forAll)
			began := time.Now()
			got := ask(guard, bearer(r.key.Token))
			if got.status != c.want || got.entered != (c.want == 200) || got.reason() != string(c.reason) {
				t.Errorf("%v, want %d %s", got, c.want, c.reason)
			}
			if took := time.Since(began); took > 3*time.Second {
				t.Errorf("it took %v", took)
			}
			if (got.header.Get("Retry-After") != "") != (c.want == 503) || c.wait != "" && got.header.Get("Retry-After") != c.wait {
				t.Errorf("Retry-After is %q", got.header.Get("Retry-After"))
			}
			if loud := strings.Contains(logged.String(), "level=ERROR"); loud != (c.reason == clerkauth.ErrSecretKeyInvalid) {
				t.Errorf("log is %q", logged.String())
			}
			for _, text := range []string{logged.String(), got.body, fmt.Sprint(got.header)} {
				if strings.Contains(text, r.key.Token) || strings.Contains(text, r.srv.SecretKey()) {
					t.Error("a secret is told")
				}
			}
			// Public routes are public, and sessions are not concerned.
			if got := ask(r.auth.Handler, bearer(r.key.Token)); !got.entered {
				t.Error(got)
			}
			if got := ask(guard, bearer(r.jane.Token())); !got.entered {
				t.Error(got)
			}
			// It heals by itself.
			r.srv.Heal(clerkauthtest.TokenVerify)
			time.Sleep(61 * time.Second)
			if got := ask(guard, bearer(r.key.Token)); !got.entered {
				t.Errorf("afterwards: %v", got)
			}
		}))
	}
}

func mustJSON(v any) string {
	text, err := json.Marshal(v)
	if err != nil {
		panic(err)
	}
	return string(text)
}

// endedCredentials: what Clerk says about a credential is read, whatever the status
// with which it says so.
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
		"no id": {"id", "", 401}, "id null": {"id", nil, 401}, "odd id": {"id", "x\r\n1", 401}, "long id": {"id", strings.Repeat("x", 300), 401},
		"no subject": {"subject", "", 401}, "subject null": {"subject", nil, 401}, "odd subject": {"subject", "user 1", 401},
		"no object": {"object", "", 401}, "a user": {"object", "user", 401}, "object null": {"object", nil, 401},
	} {
		for prefix, base := range good {
			r := newMachineRig(t)
			answer := map[string]any{"id": "x_1", "scopes": []string{"a"}, "revoked": false, "expired": false, "expiration": nil, "created_at": 1, "updated_at": 1}
			for k, v := range base {
				answer[k] = v
			}
			answer[c.member] = c.value
			r.srv.Answer(clerkauthtest.TokenVerify, 200, "application/json", mustJSON(answer))
			got := ask(r.auth.Require(forAll), bearer(prefix+"x"))
			if got.status != c.want || got.entered != (c.want == 200) {
				t.Errorf("%s, %s: %v", prefix, name, got)
			}
			if prefix == "ak_" {
				continue
			}
			// An answer about another kind is no answer about this one.
			answer["object"] = "api_key"
			r.srv.Answer(clerkauthtest.TokenVerify, 200, "application/json", mustJSON(answer))
			if got := ask(r.auth.Require(forAll), bearer(prefix+"y")); got.entered {
				t.Errorf("%s: an API key's answer is taken for it", prefix)
			}
		}
	}
	// Whom it is for is of the kind.
	for prefix, subject := range map[string]string{"mt_": "user_1", "oat_": "mch_1"} {
		r := newMachineRig(t)
		r.srv.Answer(clerkauthtest.TokenVerify, 200, "application/json", mustJSON(map[string]any{"object": good[prefix]["object"], "id": "x_1", "subject": subject, "revoked": false, "expired": false}))
		if got := ask(r.auth.Require(forAll), bearer(prefix+"x")); got.status != 401 {
			t.Errorf("%s for %s: %v", prefix, subject, got)
		}
	}
	// The local instance says so, too.
	r := newMachineRig(t)
	r.srv.ShowEnded(true)
	r.srv.Revoke(r.key)
	r.srv.Expire(r.m2m)
	r.srv.Revoke(r.oauth)
	for _, c := range []*clerkauthtest.Credential{r.key, r.m2m, r.oauth} {
		if got := ask(r.auth.Require(forAll), bearer(c.Token)); got.status != 401 {
			t.Errorf("%s: %v", c.Kind, got)
		}
	}
}

// revocationIsSeen: after MachineTTL at the latest, and an expiration at once.
func revocationIsSeen(t *testing.T) {
	for _, c := range []struct {
		ttl, seen time.Duration
	}{{0, 30 * time.Second}, {5 * time.Second, 5 * time.Second}, {5 * time.Minute, 5 * time.Minute}, {clerkauth.AskEveryTime, 0}} {
		r := newMachineRig(t, func(config *clerkauth.Config) { config.Machines.CacheTTL = c.ttl })
		guard := r.auth.Require(forAll)
		for _, credential := range []*clerkauthtest.Credential{r.key, r.m2m, r.oauth} {
			if got := ask(guard, bearer(credential.Token)); !got.entered {
				t.Fatal(got)
			}
			r.srv.Revoke(credential)
			if c.seen > 0 {
				time.Sleep(c.seen - time.Millisecond)
				if got := ask(guard, bearer(credential.Token)); !got.entered {
					t.Errorf("TTL %v: it is asked about again too early: %v", c.ttl, got)
				}
				time.Sleep(time.Millisecond)
			}
			if got := ask(guard, bearer(credential.Token)); got.status != 401 {
				t.Errorf("TTL %v: a revocation is not seen: %v", c.ttl, got)
			}
		}
		soon := r.srv.CreateAPIKey(r.user)
		soon.SetExpiration(time.Now().Add(time.Second))
		if got := ask(guard, bearer(soon.Token)); !got.entered {
			t.Error(got)
		}
		time.Sleep(time.Second)
		if got := ask(guard, bearer(soon.Token)); got.status != 401 {
			t.Errorf("TTL %v: it outlives its expiration: %v", c.ttl, got)
		}
		// One that is good after it was not is let in soon.
		late := &clerkauthtest.Credential{Token: "ak_late"}
		if got := ask(guard, bearer(late.Token)); got.status != 401 {
			t.Error(got)
		}
		r.srv.Answer(clerkauthtest.APIKeyVerify, 200, "application/json", `{"object":"api_key","id":"ak_1","subject":"user_1","revoked":false,"expired":false}`)
		time.Sleep(5 * time.Second)
		if got := ask(guard, bearer(late.Token)); !got.entered {
			t.Error(got)
		}
	}
}

// credentialsTravelInBodies: never in a path or a query, whatever is in them.
func credentialsTravelInBodies(t *testing.T) {
	var seen []string
	r := newMachineRig(t, func(c *clerkauth.Config) {
		next := c.Transport
		c.Transport = roundTripper(func(req *http.Request) (*http.Response, error) {
			if req.Method == http.MethodGet { // of keys
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
		ask(r.auth.Require(forAll), bearer(token))
	}
	base := r.srv.URL
	if want := []string{
		"POST " + base + `/api_keys/verify {"secret":"ak_x-1_y"}`,
		"POST " + base + `/m2m_tokens/verify {"token":"mt_x-1_y"}`,
		"POST " + base + `/oauth_applications/access_tokens/verify {"access_token":"oat_x-1_y"}`,
	}; !slices.Equal(seen, want) {
		t.Errorf("%q", seen)
	}
}
