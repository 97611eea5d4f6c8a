package main

import (
	"encoding/json"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/clerkauth/clerkauth"
	"github.com/clerkauth/clerkauth/clerkauthtest"
	"github.com/clerkauth/clerkauth/internal/example/exampletest"
)

func TestProgram(t *testing.T) { exampletest.Run(t, program, 17) }

// TestLimitIsPerKey: a key that rests may ask again, and what is remembered about
// keys does not grow.
func TestLimitIsPerKey(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		clerk := clerkauthtest.NewServer(t, clerkauthtest.InMemory())
		config := clerk.Config()
		configure(&config)
		auth, err := clerkauth.New(config)
		if err != nil {
			t.Fatal(err)
		}
		api := handler(auth)
		get := func(key *clerkauthtest.Credential) (int, string) {
			w, r := httptest.NewRecorder(), httptest.NewRequest(http.MethodGet, "/reports", nil)
			key.Authorize(r)
			api.ServeHTTP(w, r)
			return w.Code, w.Header().Get("Retry-After")
		}
		key := clerk.CreateAPIKey(clerk.CreateUser("jane@example.com"), "reports:read")
		for i, want := range []int{200, 200, 200, 429, 429} {
			if got, after := get(key); got != want || (after != "") != (want == 429) {
				t.Errorf("request %d: %d", i, got)
			}
		}
		time.Sleep(time.Second)
		for i, want := range []int{200, 429} {
			if got, _ := get(key); got != want {
				t.Errorf("a second later, request %d: %d", i, got)
			}
		}
	})
	l := &limits{perSecond: 1, burst: 1, keys: make(map[string]*limit)}
	now := time.Now()
	for i := range 10_000 {
		l.of(strings.Repeat("k", i%1000), now.Add(time.Duration(i)*time.Second))
	}
	if len(l.keys) > 130 {
		t.Errorf("%d keys are remembered", len(l.keys))
	}
}

// TestReportsAreTheirOwners: a user and her program share reports, others see none.
func TestReportsAreTheirOwners(t *testing.T) {
	clerk := clerkauthtest.NewServer(t)
	config := clerk.Config()
	configure(&config)
	auth, err := clerkauth.New(config)
	if err != nil {
		t.Fatal(err)
	}
	api := handler(auth)
	jane, john := clerk.CreateUser("jane@example.com"), clerk.CreateUser("john@example.com")
	key := clerk.CreateAPIKey(jane, "reports:read", "reports:write")
	send := func(authorize func(*http.Request), method, body string) *httptest.ResponseRecorder {
		w, r := httptest.NewRecorder(), httptest.NewRequest(method, "/reports", strings.NewReader(body))
		authorize(r)
		api.ServeHTTP(w, r)
		return w
	}
	session := func(u *clerkauthtest.User) func(*http.Request) {
		return func(r *http.Request) { clerk.SignIn(u).Authorize(r) }
	}
	if w := send(session(jane), "POST", `{"title":"hers"}`); w.Code != 201 {
		t.Fatal(w.Code)
	}
	if w := send(key.Authorize, "POST", `{"title":"its"}`); w.Code != 201 || !strings.Contains(w.Body.String(), key.ID) || strings.Contains(w.Body.String(), key.Token) {
		t.Fatal(w.Code, w.Body)
	}
	if w := send(key.Authorize, "POST", `{}`); w.Code != 400 {
		t.Error(w.Code)
	}
	for name, c := range map[string]struct {
		authorize func(*http.Request)
		want      int
	}{"jane": {session(jane), 2}, "her program": {key.Authorize, 2}, "john": {session(john), 0}, "his program": {clerk.CreateAPIKey(john, "reports:read").Authorize, 0}} {
		var got struct{ Reports []report }
		if w := send(c.authorize, "GET", ""); json.Unmarshal(w.Body.Bytes(), &got) != nil || len(got.Reports) != c.want {
			t.Errorf("%s: %d %s", name, w.Code, w.Body)
		}
	}
}
