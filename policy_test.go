package clerkauth

import (
	"context"
	"encoding/base64"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"github.com/clerkauth/clerkauth/internal/claims"
	"github.com/clerkauth/clerkauth/internal/response"
)

// TestPolicyFollowsFromAccess: the kinds of caller that a policy accepts follow from
// its parts.
func TestPolicyFollowsFromAccess(t *testing.T) {
	check := CheckFunc("c", func(context.Context, Auth) (bool, error) { return true, nil })
	session, key, oauth := kindSession.set(), kindAPIKey.set(), kindOAuth.set()
	for _, c := range []struct {
		access Access
		callers, named,
		takes kinds
		open bool
	}{
		{Public, everyone, 0, session, true},
		{SignedIn, session, 0, session, false},
		{Role("admin"), session, 0, session, false},
		{check, session, 0, session, false},
		{Token(APIKey), key, key, key, false},
		{Token(APIKey, check), key, key, key, false},
		{AnyOf(SignedIn, Token(APIKey, Scope("a"))), session | key, key, session | key, false},
		{AnyOf(Token(OAuthToken), Token(APIKey)), key | oauth, key | oauth, key | oauth, false},
		{AllOf(Public, AnyOf(SignedIn, Token(APIKey))), session | key, key, session | key, false},
		{AllOf(Public, Public), everyone, 0, session, true},
		{AnyOf(Public, Token(APIKey)), everyone, key, session | key, true},
		{AnyOf(Public, SignedIn), everyone, 0, session, true},
	} {
		p := c.access.policy()
		if err := p.validate(everyone); err != nil {
			t.Errorf("%v: %v", c.access, err)
		}
		if p.callers != c.callers || p.named() != c.named || p.takes(everyone) != c.takes || p.open != c.open {
			t.Errorf("%v: callers %b, named %b, takes %b, open %t", c.access, p.callers, p.named(), p.takes(everyone), p.open)
		}
	}
}

// TestPolicyThatNoneCanMeet: a policy that can never be satisfied is found when it
// is compiled, and refuses every caller.
func TestPolicyThatNoneCanMeet(t *testing.T) {
	for text, access := range map[string]Access{
		"role is empty":              Role("org:"),
		"permission is empty":        AllOf(SignedIn, Permission(" ")),
		"must be user or org":        Feature("team:x"),
		"must be a slug":             Plan("org:"),
		"none of the constants":      Public - 1,
		"is nil":                     AnyOf(SignedIn, nil),
		"requires nothing":           AllOf(),
		"a machine is not a user":    AllOf(SignedIn, Token(APIKey)),
		"stands in a Token":          AnyOf(SignedIn, Scope("a")),
		"audience":                   AnyOf(SignedIn, AllOf(SignedIn, Audience("https://a.example"))),
		"signed in: no caller":       Token(APIKey, SignedIn),
		"none of APIKey":             Token(SessionToken),
		"scope \"a b\"":              Token(APIKey, Scope("a b")),
		"must be a URL":              Token(OAuthToken, Audience("")),
		"reverification level":       Reverified("third_factor", time.Hour),
		"age must be more than 0":    Reverified(FirstFactor, 0),
		"has no function":            CheckFunc("c", nil),
		"Config.Accept leaves out":   Token(M2MToken),
		"organization in path param": OrganizationParam(""),
	} {
		p := access.policy()
		err := p.validate(kindSession.set() | kindAPIKey.set() | kindOAuth.set())
		if err == nil || !strings.Contains(err.Error(), text) {
			t.Errorf("%v: %v, want %q", access, err, text)
		}
		if p.open {
			t.Errorf("%v is open", access)
		}
	}
}

// TestAccessAllocates: Has with a constant or an Access made before does not
// allocate, nor does a guard inside of another one, whose response writer it finds. Check
// allocates no more than that.
func TestAccessAllocates(t *testing.T) {
	met := func(context.Context, Auth) (bool, error) { return true, nil }
	state := testUser(func(s *claims.Session) { s.Org.Role = "org:admin" })
	state.who.proof.now = func() time.Time { return time.Unix(1_790_000_000, 0) }
	auth, err := New(Config{PublishableKey: "pk_test_" + base64.StdEncoding.EncodeToString([]byte("a.example$")), AuthorizedParties: []string{"https://a.example"},
		Accept: []TokenType{SessionToken, M2MToken}, Now: state.who.proof.now, Logger: slog.New(slog.DiscardHandler)})
	if err != nil {
		t.Fatal(err)
	}
	r := auth.core.with(httptest.NewRequest("GET", "/", nil), &state, &presented{})
	next := http.HandlerFunc(func(http.ResponseWriter, *http.Request) {})
	var out response.Writer // as the outermost guard makes it
	out.Init(discard{http.Header{"Vary": {"Authorization, Cookie"}}})
	w := out.ResponseWriter()
	for _, access := range []Access{
		Public, SignedIn, NotImpersonated, ReverifiedLax, Role("admin"), Reverified(FirstFactor, time.Hour), CheckFunc("c", met),
		AnyOf(Token(M2MToken, Scope("mch_1")), AllOf(SignedIn, Role("admin"), CheckFunc("a", met), CheckFunc("b", met))),
	} {
		if n := testing.AllocsPerRun(100, func() { state.who.Has(access) }); n > 0 {
			t.Errorf("Has(%v): %v allocations", access, n)
		}
		guard := auth.Require(access)(next)
		required := testing.AllocsPerRun(100, func() { guard.ServeHTTP(w, r) })
		checked := testing.AllocsPerRun(100, func() {
			if _, err := auth.Check(r, access); err != nil {
				t.Error(err)
			}
		})
		if required > 0 || checked > required {
			t.Errorf("%v: a guard allocates %v times, Check %v times", access, required, checked)
		}
	}
}

// discard is a ResponseWriter that discards the response.
type discard struct{ header http.Header }

func (w discard) Header() http.Header         { return w.header }
func (w discard) Write(p []byte) (int, error) { return len(p), nil }
func (w discard) WriteHeader(int)             {}
