package catalogue

import (
	"encoding/json"
	"fmt"
	"maps"
	"net/http"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/clerkauth/clerkauth"
	"github.com/clerkauth/clerkauth/clerkauthtest"
	"github.com/clerkauth/clerkauth/internal/testkit"
)

// These rows test Clerk's responses about credentials, and how often it is called.
var _ = addRows(rows{
	"260/no_that_is_none":  testkit.Bubble(answersThatSayNo),
	"261/yes_that_is_none": answersThatSayYes,
	"266/made_up_keys_beside_good_ones": func(t *testing.T) {
		for _, replicas := range []int{1, 4, 10} {
			t.Run(fmt.Sprintf("%d_replicas", replicas), testkit.Bubble(func(t *testing.T) { budgets(t, replicas, 100/replicas) }))
		}
		t.Run("pace", testkit.Bubble(eachKindHasItsPace))
		t.Run("10_replicas_that_get_100_each", testkit.Bubble(func(t *testing.T) { budgets(t, 10, 100) }))
	},
})

// eachKind maps the prefix of each kind of opaque credential to a good response
// about a made-up one.
var eachKind = map[string]map[string]any{
	"ak_":  goodAnswer("api_key", "user_1"),
	"mt_":  goodAnswer("machine_to_machine_token", "mch_1"),
	"oat_": goodAnswer("clerk_idp_oauth_access_token", "user_1"),
}

func goodAnswer(object, subject string) map[string]any {
	return map[string]any{
		"object": object, "id": "x_1", "subject": subject, "scopes": []string{"a"},
		"revoked": false, "expired": false, "expiration": nil, "created_at": 1, "updated_at": 1,
	}
}

// answersThatSayNo: a credential is refused if Clerk responds, in its documented
// form, that it does not exist. Any other response is an outage of that credential
// alone, for 5 s; an outage of Clerk or an error of our secret key is not cached
// with the credential.
func answersThatSayNo(t *testing.T) {
	const unknown = `{"errors":[{"code":"resource_not_found"}]}`
	for _, c := range []struct {
		status     int
		body       string
		want       int
		remembered bool
	}{
		{404, `{"errors":[{"code":"resource_not_found","message":"not found"}]}`, 401, true},
		{404, `{"errors":[{"code":"api_key_not_found"}],"clerk_trace_id":"x"}`, 401, true},
		{404, `{"errors":[{"code":"not_found"}]}`, 401, true},
		{404, `{"errors":[{"code":"x"},{"code":"resource_not_found"}]}`, 401, true},
		{404, `{"errors":[]}`, 503, true}, {404, `{}`, 503, true}, {404, ``, 503, true}, {404, `null`, 503, true}, {404, `[]`, 503, true},
		{404, `<h1>404</h1>`, 503, true}, {404, `"resource_not_found"`, 503, true}, {404, `{"errors":"resource_not_found"}`, 503, true},
		{404, `{"errors":null}`, 503, true}, {404, `{"errors":{"code":"resource_not_found"}}`, 503, true}, {404, `{"errors":["resource_not_found"]}`, 503, true},
		{404, `{"errors":[{"code":"x"}]}`, 503, true}, {404, `{"errors":[{"code":"host_unknown"}]}`, 503, true},
		{404, `{"errors":[{"code":"resource_not_found_yet"}]}`, 503, true}, {404, `{"errors":[{"code":"RESOURCE_NOT_FOUND"}]}`, 503, true},
		{404, `{"errors":[{"message":"resource_not_found"}]}`, 503, true}, {404, `{"errors":[{"code":null}]}`, 503, true}, {404, `{"errors":[{"code":404}]}`, 503, true},
		{404, `{"Errors":[{"code":"resource_not_found"}]}`, 503, true}, {404, `{"errors":[{"Code":"resource_not_found"}]}`, 503, true},
		{404, `{"error":{"code":"resource_not_found"}}`, 503, true}, {404, `{"code":"resource_not_found"}`, 503, true},
		{404, `{"errors":[{"code":"resource_not_found"},7]}`, 503, true}, {404, `{"errors":[],"errors":[{"code":"resource_not_found"}]}`, 503, true},
		{404, `{"errors":[{"code":"x","code":"resource_not_found"}]}`, 503, true}, {404, `{"errors":[{"code":"resource_not_found"}]}x`, 503, true},
		{400, unknown, 503, true}, {403, unknown, 503, true}, {405, unknown, 503, true}, {409, unknown, 503, true}, {410, unknown, 503, true}, {422, unknown, 503, true},
		{301, unknown, 503, true}, {304, unknown, 503, true}, {200, unknown, 503, true}, {204, ``, 503, true}, {200, `<h1>hotel</h1>`, 503, true},
		{500, unknown, 503, false}, {502, `<h1>502</h1>`, 503, false}, {503, ``, 503, false},
	} {
		for prefix, good := range eachKind {
			r := testkit.NewMachineRig(t)
			guard := r.Auth.Require(testkit.AnyCredential)
			r.Server.Answer(clerkauthtest.TokenVerify, c.status, "application/json", c.body)
			reason := map[int]clerkauth.Reason{401: clerkauth.ErrTokenInvalid, 503: clerkauth.ErrBackendUnavailable}[c.want]
			calls := func(token string, status int) int {
				before := r.Server.Requests(clerkauthtest.TokenVerify)
				got := testkit.Serve(guard, testkit.Bearer(token))
				if got.Status != status || status == c.want && got.Reason() != string(reason) || (got.Header.Get("Retry-After") != "") != (got.Status == 503) {
					t.Errorf("%s: %d %s: %v", prefix, c.status, c.body, got)
				}
				return r.Server.Requests(clerkauthtest.TokenVerify) - before
			}
			first := calls(prefix+"first", c.want)
			r.Server.Answer(clerkauthtest.TokenVerify, 200, "application/json", testkit.JSON(good))
			if n := calls(prefix+"second", 200); first != 1 || n != 1 {
				t.Errorf("%s: %d %s: %d calls, and %d for another", prefix, c.status, c.body, first, n)
			}
			if c.remembered {
				time.Sleep(5*time.Second - time.Millisecond)
				if n := calls(prefix+"first", c.want); n != 0 {
					t.Errorf("%s: %d %s: %d calls within 5 s", prefix, c.status, c.body, n)
				}
				time.Sleep(time.Millisecond)
			}
			if n := calls(prefix+"first", 200); n != 1 {
				t.Errorf("%s: %d %s: %d calls afterwards", prefix, c.status, c.body, n)
			}
		}
	}
}

// answersThatSayYes: a credential is accepted if every required member of the
// response is present and of its type.
func answersThatSayYes(t *testing.T) {
	r := testkit.NewMachineRig(t)
	now := r.Server.Now().UnixMilli()
	absent := new(int)
	for _, c := range []struct {
		member string
		values []any
		want   int
	}{
		{"revoked", []any{absent, nil, "false", 0, []any{}, map[string]any{}, ""}, 503},
		{"expired", []any{absent, nil, "false", 0, []any{}, map[string]any{}, ""}, 503},
		{"revoked", []any{true}, 401},
		{"expired", []any{true}, 401},
		{"expired", []any{false}, 200},
		{"object", []any{7, true, []any{"api_key"}, map[string]any{}}, 503},
		{"id", []any{7, true, []any{"x_1"}, map[string]any{}}, 503},
		{"subject", []any{7, true, []any{"user_1"}, map[string]any{}}, 503},
		{"object", []any{absent, nil, "", "user", "API_KEY", "api_key "}, 401},
		{"id", []any{absent, nil, "", "x 1", "x\u0000", strings.Repeat("x", 300)}, 401},
		{"subject", []any{absent, nil, "", "user 1"}, 401},
		{"expiration", []any{"never", "1", true, false, 1.5, 1e300, json.Number("99999999999999999999"), []any{}, map[string]any{"at": 1}}, 503},
		{"expiration", []any{0, -1, now - 1, now}, 401},
		{"expiration", []any{absent, nil, now + 60_000}, 200},
		{"scopes", []any{"a", 7, true, map[string]any{"a": true}, []any{7}, []any{[]any{"a"}}}, 503},
		{"scopes", []any{absent, nil, []any{}, []any{"a", "b"}}, 200},
		{"created_at", []any{"1", true, 1.5, []any{}}, 503},
		{"created_at", []any{absent, nil, 0, now}, 200},
		{"type", []any{7}, 503}, {"name", []any{7}, 503}, {"client_id", []any{7}, 503}, {"updated_at", []any{"1"}, 503},
		{"Revoked", []any{false, true, nil}, 503}, {"REVOKED", []any{false}, 503}, {"eXpired", []any{false}, 503}, {"expi\u0052ation", []any{nil}, 503}, {"\u017fubject", []any{"user_1"}, 503},
		{"unheard_of", []any{7, nil, map[string]any{"revoked": true}}, 200},
	} {
		for prefix, good := range eachKind {
			for i, value := range c.values {
				answer := maps.Clone(good)
				if value == absent {
					delete(answer, c.member)
				} else {
					answer[c.member] = value
				}
				auth := testkit.NewAuth(t, r.Server, testkit.AcceptAll)
				r.Server.Answer(clerkauthtest.TokenVerify, 200, "application/json", testkit.JSON(answer))
				if got := testkit.Serve(auth.Require(testkit.AnyCredential), testkit.Bearer(prefix+"x")); got.Status != c.want || got.Entered != (c.want == 200) {
					t.Errorf("%s with %s %d, %v: %v", prefix, c.member, i, value, got)
				}
			}
		}
	}
}

// clerkLimit is Clerk's rate limit for an instance, in front of its Backend API:
// 1,000 calls in 10 s for everything that uses the secret key.
type clerkLimit struct {
	http.RoundTripper
	takes time.Duration

	mu      sync.Mutex
	left    float64
	at      time.Time
	calls   int
	refused int
}

const clerkCalls, clerkPeriod = 1000, 10 * time.Second

func (l *clerkLimit) RoundTrip(r *http.Request) (*http.Response, error) {
	l.mu.Lock()
	now := time.Now()
	l.left = min(l.left+now.Sub(l.at).Seconds()*clerkCalls/clerkPeriod.Seconds(), clerkCalls)
	l.at = now
	l.calls++
	limited := l.left < 1
	if limited {
		l.refused++
	} else {
		l.left--
	}
	l.mu.Unlock()
	time.Sleep(l.takes)
	if limited {
		return testkit.Answering(429, http.Header{"Retry-After": {"1"}}, strings.NewReader(`{"errors":[{"code":"too_many_requests"}]}`)).RoundTrip(r)
	}
	return l.RoundTripper.RoundTrip(r)
}

// tally counts the outcomes of one sort of request.
type tally struct{ let, refused, busy atomic.Int64 }

func (c *tally) count(got testkit.Reply) {
	switch {
	case got.Entered:
		c.let.Add(1)
	case got.Status == 401:
		c.refused.Add(1)
	default:
		c.busy.Add(1)
	}
}

func (c *tally) String() string {
	return fmt.Sprintf("%d let in, %d refused, %d put off", c.let.Load(), c.refused.Load(), c.busy.Load())
}

// budgets: during a flood of 100 made-up API keys a second, credentials that were
// seen before are never refused and new ones of other kinds are accepted, however
// many replicas share Clerk's limit; also if each replica receives that flood.
func budgets(t *testing.T, replicas, each int) {
	limit := &clerkLimit{takes: 20 * time.Millisecond, left: clerkCalls, at: time.Now()}
	r := testkit.NewMachineRig(t)
	var guards []clerkauth.Middleware
	for range replicas {
		auth := testkit.NewAuth(t, r.Server, testkit.AcceptAll, func(c *clerkauth.Config) {
			if limit.RoundTripper == nil {
				limit.RoundTripper = c.Transport
			}
			c.Transport = limit
		})
		guards = append(guards, auth.Require(testkit.AnyCredential))
	}
	var known []string
	for range 20 {
		known = append(known, r.Server.CreateAPIKey(r.User).Token, r.Server.CreateAPIKey(r.User).Token, r.Server.CreateAPIKey(r.User).Token,
			r.Peer.Token(r.Here).Token, r.Server.CreateOAuthToken(r.User, "client_1").Token)
	}
	for i, guard := range guards {
		for _, token := range known {
			if got := testkit.Serve(guard, testkit.Bearer(token)); !got.Entered {
				t.Fatal(i, got)
			}
			time.Sleep(5 * time.Millisecond) // spread out: simultaneous starts are another test
		}
	}
	warm := limit.calls

	var wg sync.WaitGroup
	var made, seen, fresh tally
	const lasts = 60
	for second := range lasts {
		for i := range 100 {
			guard := guards[i%replicas]
			for j := range each * replicas / 100 {
				guard := guards[(i+j)%replicas]
				wg.Go(func() { made.count(testkit.Serve(guard, testkit.Bearer(testkit.MadeUpKey()))) })
			}
			token, at := known[(i*7+second)%100], guards[(i+second)%replicas]
			wg.Go(func() { seen.count(testkit.Serve(at, testkit.Bearer(token))) })
			if i%20 == 0 {
				token := r.Peer.Token(r.Here).Token
				wg.Go(func() { fresh.count(testkit.Serve(guard, testkit.Bearer(token))) })
			}
			time.Sleep(10 * time.Millisecond)
		}
	}
	wg.Wait()
	t.Logf("%d s, %d replicas: made-up API keys, %d a second to each: %v; credentials that were seen: %v; new M2M tokens: %v; %d calls to Clerk, %d of them over its limit",
		lasts, replicas, each, &made, &seen, &fresh, limit.calls-warm, limit.refused)
	if made.let.Load() != 0 || seen.refused.Load()+fresh.refused.Load() != 0 {
		t.Error("a credential is taken for another")
	}
	if n := seen.busy.Load(); n != 0 {
		t.Errorf("%d requests with credentials that were seen are put off", n)
	}
	// Where ten replicas share Clerk's limit, one in a hundred may be told to retry; in a
	// flood ten times as large, a few more.
	most := int64(0)
	switch {
	case each*replicas > 100:
		most = 15
	case replicas == 10:
		most = 3
	}
	if n := fresh.busy.Load(); n > most {
		t.Errorf("%d requests with new M2M tokens are put off", n)
	}
}

// eachKindHasItsPace: 8 unseen credentials of a kind are verified in the first
// second and about one more in each following second, none while Clerk's Retry-After
// lasts, and half as many afterwards; other kinds are not affected.
func eachKindHasItsPace(t *testing.T) {
	r := testkit.NewMachineRig(t)
	guard := r.Auth.Require(testkit.AnyCredential)
	var wg sync.WaitGroup
	flood := func(seconds int) (calls []int) {
		for range seconds {
			before := r.Server.Requests(clerkauthtest.APIKeyVerify)
			for range 100 {
				wg.Go(func() { testkit.Serve(guard, testkit.Bearer(testkit.MadeUpKey())) })
				time.Sleep(10 * time.Millisecond)
			}
			calls = append(calls, r.Server.Requests(clerkauthtest.APIKeyVerify)-before)
		}
		return calls
	}
	for i, n := range flood(12) {
		if n < 7+i || n > 9+i {
			t.Errorf("%d calls in second %d", n, i)
		}
	}
	r.Server.Fail(clerkauthtest.APIKeyVerify, 429)
	r.Server.RetryAfter(clerkauthtest.APIKeyVerify, 5)
	if n := flood(1)[0]; n > 1 {
		t.Errorf("%d calls after too many", n)
	}
	r.Server.Heal(clerkauthtest.APIKeyVerify)
	if got := testkit.Serve(guard, testkit.Bearer(r.M2M.Token)); !got.Entered {
		t.Errorf("a new token of another kind: %v", got)
	}
	calls := flood(6)
	if n := calls[0] + calls[1] + calls[2]; n != 0 {
		t.Errorf("%d calls while there are to be none", n)
	}
	if n := calls[5]; n < 7 || n > 13 {
		t.Errorf("%d calls a second afterwards, about 20 were too many", n)
	}
	wg.Wait()
}
