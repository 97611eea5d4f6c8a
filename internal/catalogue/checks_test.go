package catalogue

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"reflect"
	"strings"
	"testing"

	"github.com/clerkauth/clerkauth"
	"github.com/clerkauth/clerkauth/clerkauthtest"
	"github.com/clerkauth/clerkauth/internal/testkit"
)

// These rows test functions passed to CheckFunc.
var _ = addRows(rows{
	"257/checks_run_last":              checksRunLast,
	"257/checks_that_nobody_waits_for": checksOfCanceledRequests,
	"276/check_whose_store_is_away":    checkWhoseStoreIsAway,
})

// secretText must appear in no log and no response.
const secretText = "password=hunter2"

var errStore = errors.New(secretText)

// scripted makes checks with given results: t and f, e for an error, p for a panic.
// called lists those that were called, in order.
type scripted struct{ called string }

func (s *scripted) check(name, answer byte) clerkauth.Access {
	return clerkauth.CheckFunc(string(name), func(context.Context, clerkauth.Auth) (bool, error) {
		s.called += string(name)
		switch answer {
		case 'p':
			panic(secretText)
		case 'e':
			return true, errStore // a result beside an error is ignored
		}
		return answer == 't', nil
	})
}

func checksRunLast(t *testing.T) {
	var logged bytes.Buffer
	r := testkit.NewRig(t, func(c *clerkauth.Config) { c.Logger = slog.New(slog.NewTextHandler(&logged, nil)) })
	member := testkit.Bearer(r.Jane.Token(clerkauthtest.WithClaim("fva", []int{99, 99})))
	yes, no, stale := clerkauth.Role("admin"), clerkauth.Role("owner"), clerkauth.ReverifiedStrict
	broken := func(answers string) bool { return strings.ContainsAny(answers, "ep") }
	for i := range 64 {
		answers := string([]byte{"tfep"[i%4], "tfep"[i/4%4], "tfep"[i/16]})
		// In an AllOf they run up to the first that is not met, in an AnyOf up to the
		// first that is met.
		all, anyOf := "abc", "abc"
		if at := strings.IndexAny(answers, "fep"); at >= 0 {
			all = all[:at+1]
		}
		if at := strings.IndexByte(answers, 't'); at >= 0 {
			anyOf = anyOf[:at+1]
		}
		ofAll := map[bool]int{true: 200, false: 403}[answers == "ttt"]
		if broken(answers[len(all)-1 : len(all)]) {
			ofAll = 503
		}
		ofAny := 403
		switch {
		case strings.Contains(answers, "t"):
			ofAny = 200
		case broken(answers):
			ofAny = 503
		}
		for name, c := range map[string]struct {
			access func(a, b, c clerkauth.Access) clerkauth.Access
			edit   func(*http.Request)
			status int
			called string
		}{
			"all of them":           {func(a, b, c clerkauth.Access) clerkauth.Access { return clerkauth.AllOf(a, b, c) }, member, ofAll, all},
			"all, in two":           {func(a, b, c clerkauth.Access) clerkauth.Access { return clerkauth.AllOf(clerkauth.AllOf(a, b), c) }, member, ofAll, all},
			"all and what is met":   {func(a, b, c clerkauth.Access) clerkauth.Access { return clerkauth.AllOf(a, yes, b, c) }, member, ofAll, all},
			"all and what is not":   {func(a, b, c clerkauth.Access) clerkauth.Access { return clerkauth.AllOf(a, b, c, no) }, member, 403, ""},
			"what is not, and all":  {func(a, b, c clerkauth.Access) clerkauth.Access { return clerkauth.AllOf(no, a, b, c) }, member, 403, ""},
			"all or what is met":    {func(a, b, c clerkauth.Access) clerkauth.Access { return clerkauth.AnyOf(clerkauth.AllOf(a, b, c), yes) }, member, 200, ""},
			"all or what is not":    {func(a, b, c clerkauth.Access) clerkauth.Access { return clerkauth.AnyOf(clerkauth.AllOf(a, b, c), no) }, member, ofAll, all},
			"any of them":           {func(a, b, c clerkauth.Access) clerkauth.Access { return clerkauth.AnyOf(a, b, c) }, member, ofAny, anyOf},
			"any, in two":           {func(a, b, c clerkauth.Access) clerkauth.Access { return clerkauth.AnyOf(a, clerkauth.AnyOf(b, c)) }, member, ofAny, anyOf},
			"any and what is not":   {func(a, b, c clerkauth.Access) clerkauth.Access { return clerkauth.AllOf(clerkauth.AnyOf(a, b, c), no) }, member, 403, ""},
			"any or Public":         {func(a, b, c clerkauth.Access) clerkauth.Access { return clerkauth.AnyOf(a, b, c, clerkauth.Public) }, member, 200, ""},
			"all, anonymous":        {func(a, b, c clerkauth.Access) clerkauth.Access { return clerkauth.AllOf(a, b, c) }, testkit.Bearer(""), 401, ""},
			"any, anonymous":        {func(a, b, c clerkauth.Access) clerkauth.Access { return clerkauth.AnyOf(a, b, c) }, testkit.Bearer(""), 401, ""},
			"any, of a bad token":   {func(a, b, c clerkauth.Access) clerkauth.Access { return clerkauth.AnyOf(a, b, c) }, testkit.Bearer("x.y.z"), 401, ""},
			"any, of another token": {func(a, b, c clerkauth.Access) clerkauth.Access { return clerkauth.AnyOf(a, b, c) }, testkit.Bearer("ak_1"), 401, ""},
			"any, by CONNECT":       {func(a, b, c clerkauth.Access) clerkauth.Access { return clerkauth.AnyOf(a, b, c) }, func(r *http.Request) { member(r); r.Method = http.MethodConnect }, 400, ""},
			"any or an old sign-in": {func(a, b, c clerkauth.Access) clerkauth.Access { return clerkauth.AnyOf(a, stale, b, c) }, member, max(ofAny, 403), anyOf},
			"all and an old sign-in": {func(a, b, c clerkauth.Access) clerkauth.Access { return clerkauth.AllOf(a, stale, b, c) }, member,
				map[bool]int{true: ofAll, false: 403}[ofAll == 503], all},
		} {
			if name == "any or an old sign-in" && ofAny == 200 {
				c.status = 200
			}
			logged.Reset()
			s := &scripted{}
			access := c.access(s.check('a', answers[0]), s.check('b', answers[1]), s.check('c', answers[2]))
			got := testkit.Serve(r.Auth.Require(access), c.edit)
			if got.Status != c.status || got.Entered != (c.status == 200) || s.called != c.called {
				t.Errorf("%s, with results %s: %d, called %q; want %d, %q", name, answers, got.Status, s.called, c.status, c.called)
			}
			fails := 0
			for i := range c.called {
				if broken(answers[i : i+1]) {
					fails++
				}
			}
			log := logged.String()
			if n := strings.Count(log, "level=ERROR"); n != fails || strings.Contains(log+got.Body, secretText) || strings.Contains(log, r.Jane.User.ID) {
				t.Errorf("%s, which say %s: %d lines for %d failures: %s", name, answers, n, fails, log)
			}
			if (got.Header.Get("Retry-After") != "") != (got.Status == 503) {
				t.Errorf("%s, which say %s: Retry-After %q", name, answers, got.Header.Get("Retry-After"))
			}
			if name == "all and an old sign-in" && strings.Contains(got.Body, "reverification-error") != (answers == "ttt") {
				t.Errorf("%s, which say %s: %s", name, answers, got.Body)
			}
		}
		// In Has, a check that fails is not met, and none is called if the result does not
		// depend on it.
		who, err := r.Auth.VerifyToken(t.Context(), r.Jane.Token())
		if err != nil {
			t.Fatal(err)
		}
		silently(t, func() {
			s := &scripted{}
			list := []clerkauth.Access{s.check('a', answers[0]), s.check('b', answers[1]), s.check('c', answers[2])}
			if got := who.Has(list...); got != (ofAll == 200) || s.called != all {
				t.Errorf("Has all, with results %s: %v, called %q", answers, got, s.called)
			}
			s.called = ""
			if got := who.Has(clerkauth.AnyOf(list...)); got != (ofAny == 200) || s.called != anyOf {
				t.Errorf("Has any, with results %s: %v, called %q", answers, got, s.called)
			}
			s.called = ""
			if got := who.Has(append(list, no)...); got || s.called != "" {
				t.Errorf("Has all and what is not met: %v, called %q", got, s.called)
			}
		})
	}
	// A check in two places is called once.
	for answer, status := range map[byte]int{'t': 200, 'f': 403, 'e': 503, 'p': 503} {
		s := &scripted{}
		twice := s.check('a', answer)
		got := testkit.Serve(r.Auth.Require(clerkauth.AllOf(twice, clerkauth.AnyOf(twice, no), twice)), member)
		if got.Status != status || s.called != "a" {
			t.Errorf("twice, with result %c: %d, called %q", answer, got.Status, s.called)
		}
	}
}

// silently discards what is logged to slog's default logger while f runs.
func silently(t *testing.T, f func()) {
	t.Helper()
	before := slog.Default()
	defer slog.SetDefault(before)
	slog.SetDefault(slog.New(slog.DiscardHandler))
	f()
}

// checksOfCanceledRequests: an error because the caller disconnected is not logged;
// a timeout of the store's own is.
func checksOfCanceledRequests(t *testing.T) {
	var logged bytes.Buffer
	r := testkit.NewRig(t, func(c *clerkauth.Config) { c.Logger = slog.New(slog.NewTextHandler(&logged, nil)) })
	type key struct{}
	ctx, cancel := context.WithCancel(context.WithValue(t.Context(), key{}, "the request's"))
	in := func(ctx context.Context) func(*http.Request) {
		return func(r *http.Request) { *r = *r.WithContext(ctx) }
	}
	waits := clerkauth.CheckFunc("waits", func(ctx context.Context, _ clerkauth.Auth) (bool, error) {
		if ctx.Value(key{}) != "the request's" {
			t.Error("it is not the request's context")
		}
		cancel()
		<-ctx.Done()
		return false, ctx.Err()
	})
	testkit.WantReply(t, testkit.Serve(r.Auth.Require(waits), in(ctx), testkit.Bearer(r.Jane.Token())), 503, clerkauth.ErrUnavailable)
	if logged.Len() > 0 {
		t.Errorf("of a canceled request: %s", &logged)
	}
	gaveUp := clerkauth.CheckFunc("gave up", func(context.Context, clerkauth.Auth) (bool, error) { return false, context.DeadlineExceeded })
	testkit.WantReply(t, testkit.Serve(r.Auth.Require(gaveUp), testkit.Bearer(r.Jane.Token())), 503, clerkauth.ErrUnavailable)
	if !strings.Contains(logged.String(), "level=ERROR") || !strings.Contains(logged.String(), "gave up") {
		t.Errorf("of a store that gave up: %s", &logged)
	}
	who, err := r.Auth.VerifyToken(t.Context(), r.Jane.Token())
	if err != nil {
		t.Fatal(err)
	}
	if !who.Has(clerkauth.CheckFunc("background", func(ctx context.Context, _ clerkauth.Auth) (bool, error) { return ctx == context.Background(), nil })) {
		t.Error("in Has it is not context.Background()")
	}
}

func checkWhoseStoreIsAway(t *testing.T) {
	var logged bytes.Buffer
	r := testkit.NewMachineRig(t, func(c *clerkauth.Config) { c.Logger = slog.New(slog.NewTextHandler(&logged, nil)) })
	away := clerkauth.CheckFunc("owner", func(context.Context, clerkauth.Auth) (bool, error) {
		return false, fmt.Errorf("query of %s: %w", secretText, errStore)
	})
	yes, no := clerkauth.Role("admin"), clerkauth.Role("owner")
	never := clerkauth.CheckFunc("never", testkit.Predicate(func(clerkauth.Auth) bool { return false }))
	for name, c := range map[string]struct {
		access clerkauth.Access
		token  string
		status int
		told   bool
	}{
		"alone":                {away, r.Jane.Token(), 503, true},
		"false":                {never, r.Jane.Token(), 403, false},
		"beside false":         {clerkauth.AllOf(away, never), r.Jane.Token(), 503, true},
		"behind false":         {clerkauth.AllOf(never, away), r.Jane.Token(), 403, false},
		"or false":             {clerkauth.AnyOf(never, away), r.Jane.Token(), 503, true},
		"or another way":       {clerkauth.AnyOf(away, clerkauth.CheckFunc("yes", testkit.Predicate(func(clerkauth.Auth) bool { return true }))), r.Jane.Token(), 200, true},
		"or a role":            {clerkauth.AnyOf(away, yes), r.Jane.Token(), 200, false},
		"or no role":           {clerkauth.AnyOf(away, no), r.Jane.Token(), 503, true},
		"and no role":          {clerkauth.AllOf(away, no), r.Jane.Token(), 403, false},
		"anonymous":            {away, "", 401, false},
		"of a key":             {clerkauth.Token(clerkauth.APIKey, away), r.APIKey.Token, 503, true},
		"of a key, lacking":    {clerkauth.Token(clerkauth.APIKey, away, clerkauth.Scope("all")), r.APIKey.Token, 403, false},
		"of a key, or a scope": {clerkauth.Token(clerkauth.APIKey, clerkauth.AnyOf(away, clerkauth.Scope("reports:read"))), r.APIKey.Token, 200, false},
		"of another kind":      {clerkauth.AnyOf(yes, clerkauth.Token(clerkauth.APIKey, away)), r.Jane.Token(), 200, false},
	} {
		for where, guard := range map[string]clerkauth.Middleware{"Require": r.Auth.Require(c.access), "in Handler": r.Identified(c.access)} {
			logged.Reset()
			got := testkit.Serve(guard, testkit.Bearer(c.token))
			if got.Status != c.status || got.Entered != (c.status == 200) || (got.Status == 503) != (got.Header.Get("Retry-After") != "") {
				t.Errorf("%s, %s: %v", name, where, got)
			}
			log := logged.String()
			if told := strings.Contains(log, "level=ERROR") && strings.Contains(log, "owner"); told != c.told || strings.Contains(log+got.Body, secretText) {
				t.Errorf("%s, %s: logged %q", name, where, log)
			}
		}
		req := httptest.NewRequest(http.MethodGet, "/", nil)
		testkit.Bearer(c.token)(req)
		ctx, err := r.Auth.Check(req, c.access)
		if (err == nil) != (c.status == 200) || errors.Is(err, clerkauth.ErrUnavailable) != (c.status == 503) || errors.Is(err, errStore) != (c.status == 503) {
			t.Errorf("%s: Check: %v", name, err)
		}
		if err != nil && (strings.Contains(err.Error(), secretText) || !reflect.DeepEqual(ctx, req.Context())) {
			t.Errorf("%s: Check: %v", name, err)
		}
	}
}
