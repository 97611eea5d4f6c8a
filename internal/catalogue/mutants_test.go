package catalogue

import (
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"github.com/clerkauth/clerkauth"
	"github.com/clerkauth/clerkauth/clerkauthtest"
)

// machineRequest returns an Authenticator that accepts API keys and a request with
// one that has the scope invoices:read.
func machineRequest(t *testing.T) (*clerkauth.Authenticator, *http.Request) {
	t.Helper()
	srv := clerkauthtest.NewServer(t)
	config := srv.Config()
	config.Accept = []clerkauth.TokenType{clerkauth.SessionToken, clerkauth.APIKey}
	auth, err := clerkauth.New(config)
	if err != nil {
		t.Fatal(err)
	}
	r := httptest.NewRequest(http.MethodGet, "/", nil)
	r.Header.Set("Authorization", "Bearer "+srv.CreateAPIKey(srv.CreateUser("jane@example.com"), "invoices:read").Token)
	return auth, r
}

// TestScopesStandInTokens: a scope is a requirement inside a Token. Alone, or beside
// one, it is never met, whatever the credential's scopes.
func TestScopesStandInTokens(t *testing.T) {
	auth, r := machineRequest(t)
	ctx, err := auth.Check(r, clerkauth.Token(clerkauth.APIKey))
	if err != nil {
		t.Fatal(err)
	}
	who := clerkauth.FromContext(ctx)
	read, other := clerkauth.Scope("invoices:read"), clerkauth.Scope("invoices:create")
	in := func(checks ...clerkauth.Access) clerkauth.Access { return clerkauth.Token(clerkauth.APIKey, checks...) }
	for _, test := range []struct {
		rule   string
		access clerkauth.Access
		has    bool
	}{
		{"within", in(read), true},
		{"within an AnyOf within", in(clerkauth.AnyOf(other, read)), true},
		{"within an AllOf within", in(clerkauth.AllOf(read)), true},
		{"another within", in(other), false},
		{"of another kind", clerkauth.Token(clerkauth.M2MToken, read), false},
		{"alone", read, false},
		{"alone in an AnyOf", clerkauth.AnyOf(read), false},
		{"alone in an AllOf", clerkauth.AllOf(read), false},
		{"beside a Token in an AllOf", clerkauth.AllOf(in(), read), false},
		{"beside a Token that is not met", clerkauth.AnyOf(in(other), read), false},
	} {
		if who.Has(test.access) != test.has {
			t.Errorf("%s: Has(%s) = %v", test.rule, test.access, !test.has)
		}
	}
	if who.Has(in(), read) {
		t.Error("a scope beside a Token is met")
	}
	if user := (clerkauth.Auth{UserID: "user_1"}); user.Has(read) {
		t.Error("a user has a scope")
	}
	if _, err := auth.Check(r, read); err == nil {
		t.Error("a scope alone lets in")
	}
}

// TestCheckTellsTheChallenge: the error of a refused Check has the challenge that a
// guard would send.
func TestCheckTellsTheChallenge(t *testing.T) {
	auth, machine := machineRequest(t)
	anonymous := httptest.NewRequest(http.MethodGet, "/", nil)
	bad := anonymous.Clone(t.Context())
	bad.Header.Set("Authorization", "Bearer e30")
	for name, test := range map[string]struct {
		r      *http.Request
		access clerkauth.Access
		begins string
	}{
		"anonymous":    {anonymous, clerkauth.SignedIn, "Bearer"},
		"a bad token":  {bad, clerkauth.SignedIn, `Bearer error="invalid_token"`},
		"lacks scopes": {machine, clerkauth.Token(clerkauth.APIKey, clerkauth.Scope("invoices:create")), `Bearer error="insufficient_scope"`},
	} {
		_, err := auth.Check(test.r, test.access)
		refusal, ok := err.(*clerkauth.Error) //nolint:errorlint // that is its type
		if !ok {
			t.Fatalf("%s: %v", name, err)
		}
		w := httptest.NewRecorder()
		auth.Require(test.access).Func(func(http.ResponseWriter, *http.Request) {}).ServeHTTP(w, test.r)
		if got := refusal.Challenge(); !strings.HasPrefix(got, test.begins) || got != w.Header().Get("WWW-Authenticate") {
			t.Errorf("%s: %q, and a guard sends %q", name, got, w.Header().Get("WWW-Authenticate"))
		}
	}
	if got := (&clerkauth.Error{Reason: clerkauth.ErrTokenExpired}).Challenge(); got != "" {
		t.Errorf("of an error made by hand: %q", got)
	}
}

// hiddenBy is the ResponseWriter of a framework with its own not-found response.
type hiddenBy struct {
	*httptest.ResponseRecorder
	calls int
}

func (w *hiddenBy) NotFound() { w.calls++ }

// TestHiddenRefusalsAreTheFrameworks: the NotFound method of a framework's
// ResponseWriter is called if a refusal is hidden, before anything is written, and
// only then.
func TestHiddenRefusalsAreTheFrameworks(t *testing.T) {
	srv := clerkauthtest.NewServer(t)
	session := srv.SignIn(srv.CreateUser("jane@example.com"), clerkauthtest.InOrganization("acme", "org:member"))
	for _, test := range []struct {
		rule   string
		hide   bool
		token  string
		accept string
		access clerkauth.Access
		hidden bool
	}{
		{"anonymous", true, "", "", clerkauth.SignedIn, true},
		{"a person", true, "", "text/html", clerkauth.SignedIn, true},
		{"a bad token", true, "e30", "", clerkauth.SignedIn, true},
		{"no role", true, session.Token(), "", clerkauth.Role("org:admin"), true},
		{"a sign-in too old", true, session.Token(clerkauthtest.WithClaim("fva", []int{600, 600})), "", clerkauth.ReverifiedStrict, false},
		{"let in", true, session.Token(), "", clerkauth.SignedIn, false},
		{"a bad token on a public route", true, "e30", "", clerkauth.Public, false},
		{"not hidden", false, "", "", clerkauth.SignedIn, false},
	} {
		config := srv.Config()
		config.HideUnauthorized = test.hide
		config.ErrorHandler = func(w http.ResponseWriter, _ *http.Request, err *clerkauth.Error) {
			if test.hidden {
				t.Errorf("%s: the ErrorHandler is called", test.rule)
			}
			w.WriteHeader(err.Status)
		}
		auth, err := clerkauth.New(config)
		if err != nil {
			t.Fatal(err)
		}
		r := httptest.NewRequest(http.MethodGet, "/", nil)
		if test.token != "" {
			r.Header.Set("Authorization", "Bearer "+test.token)
		}
		r.Header.Set("Accept", test.accept)
		w := &hiddenBy{ResponseRecorder: httptest.NewRecorder()}
		auth.Require(test.access).Func(func(http.ResponseWriter, *http.Request) {}).ServeHTTP(w, r)
		if (w.calls == 1) != test.hidden || test.hidden && (len(w.Header()) > 0 || w.Body.Len() > 0) {
			t.Errorf("%s: NotFound called %d times, wrote %q %q", test.rule, w.calls, w.Header(), w.Body)
		}
	}
}
