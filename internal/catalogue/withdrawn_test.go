package catalogue

import (
	"bytes"
	"crypto/rsa"
	"errors"
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

// These rows test keys that are not, or not any more, the instance's: sets that
// change, two sources that disagree, and a secret key of another instance.
var _ = addRows(rows{
	"253/sets_without_the_old_keys": func(t *testing.T) {
		t.Run("replaced whole", testkit.Bubble(setIsReplacedWhole))
		t.Run("none of use", testkit.Bubble(setWithoutUsableKeys))
		t.Run("no set", testkit.Bubble(noSetKeepsTheOldKeys))
		t.Run("one id", testkit.Bubble(oneIDIsDropped))
	},
	"287/withdrawn_from_one_of_two": func(t *testing.T) {
		t.Run("the Backend API", testkit.Bubble(withdrawnFromTheBackend))
		t.Run("the public set", testkit.Bubble(withdrawnFromThePublicSet))
	},
	"288/another_instances_secret_key": func(t *testing.T) {
		t.Run("no caller enters", testkit.Bubble(anotherInstancesSecretKey))
		t.Run("found out before the first", testkit.Bubble(foundOutBeforeTheFirst))
		t.Run("by JWTKey", testkit.Bubble(anotherInstanceByJWTKey))
		t.Run("one key id", testkit.Bubble(anotherInstanceWithOurKeyID))
	},
})

// serveKeys makes an endpoint serve exactly these keys.
func serveKeys(r *testkit.Rig, at clerkauthtest.Endpoint, keys map[string]*rsa.PublicKey) {
	var list []map[string]any
	for kid, key := range keys {
		list = append(list, testkit.JWK(kid, key, nil))
	}
	r.Server.Answer(at, 200, "application/json", string(testkit.KeySet(list...)))
}

type publicKeys = map[string]*rsa.PublicKey

func setIsReplacedWhole(t *testing.T) {
	r := testkit.NewRig(t)
	old := r.Jane.Token(testkit.LongLived)
	r.Want(t, old, 200, "")
	r.Server.SetKeySet(testkit.KeySet(testkit.JWK("ins_new", &testkit.OtherKey().PublicKey, nil), testkit.JWK("ins_ec", &testkit.OtherKey().PublicKey, changes{"kty": "EC"})))
	time.Sleep(5 * time.Minute)
	r.Want(t, old, 401, clerkauth.ErrUnknownKey)
	r.Want(t, r.Jane.Token(clerkauthtest.SignedBy(testkit.OtherKey()), clerkauthtest.WithKeyID("ins_new")), 200, "")
}

func setWithoutUsableKeys(t *testing.T) {
	for what, keys := range map[string][]map[string]any{
		"another type":  {{"kty": "EC", "kid": testkit.KeyID, "crv": "P-256", "x": "AA", "y": "AA"}},
		"private":       {testkit.JWK(testkit.KeyID, &testkit.Key().PublicKey, changes{"d": "AA"})},
		"twice":         {testkit.JWK(testkit.KeyID, &testkit.Key().PublicKey, nil), testkit.JWK(testkit.KeyID, &testkit.Key().PublicKey, nil)},
		"another use":   {testkit.JWK(testkit.KeyID, &testkit.Key().PublicKey, changes{"use": "enc"})},
		"without an id": {testkit.JWK(testkit.KeyID, &testkit.Key().PublicKey, changes{"kid": nil})},
	} {
		var logged bytes.Buffer
		r := testkit.NewRig(t, func(c *clerkauth.Config) { c.Logger = slog.New(slog.NewTextHandler(&logged, nil)) })
		token := r.Jane.Token(testkit.LongLived)
		r.Want(t, token, 200, "")
		r.Server.SetKeySet(testkit.KeySet(keys...))
		time.Sleep(5 * time.Minute)
		for range 10 {
			r.Want(t, token, 503, clerkauth.ErrKeysUnavailable)
			time.Sleep(10 * time.Second)
		}
		if s := logged.String(); !strings.Contains(s, "level=ERROR") || strings.Contains(s, testkit.KeyID) {
			t.Errorf("%s: log is %q", what, s)
		}
		r.Server.SetKeySet(nil)
		time.Sleep(time.Minute)
		if r.Want(t, token, 200, ""); t.Failed() {
			t.Fatal(what)
		}
	}
}

func noSetKeepsTheOldKeys(t *testing.T) {
	for _, body := range []string{`{"keys":[]}`, `{}`, `[]`, ``, `<html>`, `{"keys":[{"kty":"EC","kid":"a"}`, `{"keys":[],"keys":[{"kty":"EC"}]}`} {
		r := testkit.NewRig(t)
		token := r.Jane.Token(testkit.LongLived)
		r.Want(t, token, 200, "")
		r.Server.SetKeySet([]byte(body))
		if body == "" {
			r.Server.Answer(clerkauthtest.JWKS, 200, "", "")
		}
		time.Sleep(59 * time.Minute)
		if r.Want(t, token, 200, ""); t.Failed() {
			t.Fatalf("%q", body)
		}
		time.Sleep(2 * time.Minute)
		r.Want(t, token, 503, clerkauth.ErrKeysUnavailable)
	}
}

// oneIDIsDropped: an id whose key is unusable or ambiguous in one source is not
// taken from the other.
func oneIDIsDropped(t *testing.T) {
	neighbour := testkit.JWK("ins_neighbour", &testkit.OtherKey().PublicKey, nil)
	ours := testkit.JWK(testkit.KeyID, &testkit.Key().PublicKey, nil)
	for what, unusable := range map[string][]map[string]any{
		"private": {testkit.JWK(testkit.KeyID, &testkit.Key().PublicKey, changes{"d": "AA"})}, "twice": {ours, ours}, "two keys": {ours, testkit.JWK(testkit.KeyID, &testkit.OtherKey().PublicKey, nil)},
	} {
		for _, warm := range []bool{false, true} {
			r := testkit.NewRig(t)
			if warm {
				r.Want(t, r.Jane.Token(), 200, "")
			}
			r.Server.Answer(clerkauthtest.BackendJWKS, 200, "application/json", string(testkit.KeySet(append(unusable, neighbour)...)))
			time.Sleep(5 * time.Minute)
			r.Want(t, r.Jane.Token(), 401, clerkauth.ErrUnknownKey)
			r.Want(t, r.Jane.Token(clerkauthtest.SignedBy(testkit.OtherKey()), clerkauthtest.WithKeyID("ins_neighbour")), 200, "")
			r.Server.Fail(clerkauthtest.BackendJWKS, 500)
			time.Sleep(5 * time.Minute)
			if r.Want(t, r.Jane.Token(), 401, clerkauth.ErrUnknownKey); t.Failed() {
				t.Fatal(what, warm)
			}
		}
	}
}

func withdrawnFromTheBackend(t *testing.T) {
	both := publicKeys{testkit.KeyID: &testkit.Key().PublicKey, "ins_kept": &testkit.OtherKey().PublicKey}
	kept := publicKeys{"ins_kept": &testkit.OtherKey().PublicKey}
	r := testkit.NewRig(t)
	serveKeys(r, clerkauthtest.JWKS, both)
	gone := r.Jane.Token(testkit.LongLived)
	stays := r.Jane.Token(testkit.LongLived, clerkauthtest.SignedBy(testkit.OtherKey()), clerkauthtest.WithKeyID("ins_kept"))
	r.Want(t, gone, 200, "")
	serveKeys(r, clerkauthtest.BackendJWKS, kept)
	time.Sleep(5 * time.Minute)
	r.Want(t, gone, 401, clerkauth.ErrUnknownKey)
	r.Want(t, stays, 200, "")
	// Not even in an outage, when the public set is the only one.
	r.Server.Fail(clerkauthtest.BackendJWKS, 500)
	for range 30 {
		time.Sleep(5 * time.Minute)
		r.Want(t, gone, 401, clerkauth.ErrUnknownKey)
		r.Want(t, stays, 200, "")
	}
}

func withdrawnFromThePublicSet(t *testing.T) {
	both := publicKeys{testkit.KeyID: &testkit.Key().PublicKey, "ins_kept": &testkit.OtherKey().PublicKey}
	kept := publicKeys{"ins_kept": &testkit.OtherKey().PublicKey}
	r := testkit.NewRig(t)
	serveKeys(r, clerkauthtest.JWKS, both)
	gone := r.Jane.Token(testkit.LongLived)
	stays := r.Jane.Token(testkit.LongLived, clerkauthtest.SignedBy(testkit.OtherKey()), clerkauthtest.WithKeyID("ins_kept"))
	r.Server.Fail(clerkauthtest.BackendJWKS, 500)
	r.Want(t, gone, 200, "") // with the public set
	serveKeys(r, clerkauthtest.BackendJWKS, both)
	serveKeys(r, clerkauthtest.FrontendJWKS, kept)
	time.Sleep(5 * time.Minute)
	for range 10 {
		r.Want(t, gone, 401, clerkauth.ErrUnknownKey)
		r.Want(t, stays, 200, "")
		time.Sleep(5 * time.Minute)
	}
}

// mixed is a program with the publishable key of one instance and the secret key of
// another.
type mixed struct {
	ours, theirs *testkit.MachineRig
	auth         *clerkauth.Authenticator
	log          *bytes.Buffer
}

func newMixed(t *testing.T) *mixed {
	t.Helper()
	m := &mixed{ours: testkit.NewMachineRig(t), theirs: testkit.NewMachineRig(t), log: &bytes.Buffer{}}
	m.theirs.Server.RotateKeys()
	m.configure(t, func(*clerkauth.Config) {})
	return m
}

func (m *mixed) configure(t *testing.T, change func(*clerkauth.Config)) {
	t.Helper()
	m.auth = testkit.NewAuth(t, m.ours.Server, func(c *clerkauth.Config) {
		c.Logger = slog.New(slog.NewTextHandler(m.log, nil))
		c.Accept = []clerkauth.TokenType{clerkauth.SessionToken, clerkauth.APIKey, clerkauth.M2MToken, clerkauth.OAuthToken}
		c.SecretKey, c.BackendURL = clerkauth.NewSecret(m.theirs.Server.SecretKey()), m.theirs.Server.URL
		c.Transport = testkit.RoundTripFunc(func(r *http.Request) (*http.Response, error) {
			if "https://"+r.URL.Host == m.theirs.Server.URL {
				return m.theirs.Server.Transport().RoundTrip(r)
			}
			return m.ours.Server.Transport().RoundTrip(r)
		})
		change(c)
	})
}

// refused requires that no opaque credential of either instance is accepted, and
// that none is sent to Clerk.
func (m *mixed) refused(t *testing.T) {
	t.Helper()
	guard := m.auth.Require(testkit.AnyCredential)
	for _, of := range []*testkit.MachineRig{m.theirs, m.ours} {
		for _, token := range []string{of.APIKey.Token, of.M2M.Token, of.OAuth.Token} {
			if got := testkit.WantReply(t, testkit.Serve(guard, testkit.Bearer(token)), 503, clerkauth.ErrSecretKeyInvalid); got.Header.Get("Retry-After") == "" {
				t.Error("there is no Retry-After")
			}
		}
	}
	if n := m.theirs.Server.Requests(clerkauthtest.TokenVerify) + m.ours.Server.Requests(clerkauthtest.TokenVerify); n != 0 {
		t.Errorf("%d credentials were sent", n)
	}
	if s := m.log.String(); !strings.Contains(s, "level=ERROR") || !strings.Contains(s, "another instance") || strings.Contains(s, "sk_test_") {
		t.Errorf("log is %q", s)
	}
}

func anotherInstancesSecretKey(t *testing.T) {
	m := newMixed(t)
	jane, theirs := m.ours.Server.SignIn(m.ours.User), m.theirs.Server.SignIn(m.theirs.User)
	guard := m.auth.Require()
	// Sessions belong to the publishable key's instance, whichever is verified first.
	testkit.WantReply(t, testkit.Serve(guard, testkit.Bearer(jane.Token())), 200, "")
	testkit.WantReply(t, testkit.Serve(guard, testkit.Bearer(theirs.Token(clerkauthtest.WithClaim("iss", m.ours.Server.Issuer())))), 401, clerkauth.ErrUnknownKey)
	m.refused(t)
	// Calls on a caller's behalf fail as well, and are not sent.
	who, err := m.auth.VerifyToken(t.Context(), jane.Token())
	if err != nil {
		t.Fatal(err)
	}
	if _, err := m.auth.GetToken(t.Context(), who, ""); !errors.Is(err, clerkauth.ErrSecretKeyInvalid) {
		t.Errorf("GetToken: %v", err)
	}
	if _, err := user.NewClient(m.auth.ClerkConfig()).Get(t.Context(), who.UserID); !errors.Is(err, clerkauth.ErrSecretKeyInvalid) {
		t.Errorf("Get: %v", err)
	}
	if n := m.theirs.Server.Requests(clerkauthtest.Backend &^ clerkauthtest.BackendJWKS); n != 0 {
		t.Errorf("%d calls", n)
	}
	// Requests do not cause fetches, however many there are.
	fetches := m.theirs.Server.Requests(clerkauthtest.JWKS) + m.ours.Server.Requests(clerkauthtest.JWKS)
	var all sync.WaitGroup
	for range 1000 {
		all.Go(func() { m.refusedOne(t) })
	}
	all.Wait()
	if n := m.theirs.Server.Requests(clerkauthtest.JWKS) + m.ours.Server.Requests(clerkauthtest.JWKS); n != fetches {
		t.Errorf("%d more fetches", n-fetches)
	}
	// For a day: sessions are accepted, opaque credentials are not, and this is logged
	// once a minute at most.
	m.log.Reset()
	for range 24 * 6 {
		testkit.WantReply(t, testkit.Serve(guard, testkit.Bearer(jane.Token())), 200, "")
		for range 10 {
			m.refusedOne(t)
		}
		time.Sleep(10 * time.Minute)
	}
	if n := strings.Count(m.log.String(), "another instance"); n < 24*6-1 || n > 24*6*2 {
		t.Errorf("it was logged %d times", n)
	}
	if !strings.Contains(m.log.String(), "count=1") {
		t.Error("there is no count")
	}
}

func (m *mixed) refusedOne(t *testing.T) {
	testkit.WantReply(t, testkit.Serve(m.auth.Require(testkit.AnyCredential), testkit.Bearer(m.theirs.APIKey.Token)), 503, clerkauth.ErrSecretKeyInvalid)
}

// foundOutBeforeTheFirst: the secret key is recognised before any session was
// verified.
func foundOutBeforeTheFirst(t *testing.T) {
	m := newMixed(t)
	m.refused(t)
	called := newMixed(t)
	if _, err := user.NewClient(called.auth.ClerkConfig()).Get(t.Context(), called.theirs.User.ID); !errors.Is(err, clerkauth.ErrSecretKeyInvalid) {
		t.Errorf("Get: %v", err)
	}
	// The control: the right secret key.
	r := testkit.NewMachineRig(t)
	for _, token := range []string{r.APIKey.Token, r.M2M.Token, r.OAuth.Token} {
		testkit.WantReply(t, testkit.Serve(r.Auth.Require(testkit.AnyCredential), testkit.Bearer(token)), 200, "")
	}
	if n := r.Server.Requests(clerkauthtest.BackendJWKS); n != 1 {
		t.Errorf("%d fetches", n)
	}
}

func anotherInstanceByJWTKey(t *testing.T) {
	m := newMixed(t)
	m.configure(t, func(c *clerkauth.Config) { c.JWTKey = m.ours.Server.JWTKey() })
	testkit.WantReply(t, testkit.Serve(m.auth.Require(), testkit.Bearer(m.ours.Server.SignIn(m.ours.User).Token())), 200, "")
	if n := m.theirs.Server.Requests(clerkauthtest.JWKS) + m.ours.Server.Requests(clerkauthtest.JWKS); n != 0 {
		t.Errorf("%d fetches for a session", n)
	}
	m.refused(t)
	if n := m.ours.Server.Requests(clerkauthtest.JWKS); n != 0 {
		t.Errorf("%d fetches of the public set", n)
	}
	// The control: the secret key of JWTKey's instance.
	r := testkit.NewMachineRig(t)
	auth := testkit.NewAuth(t, r.Server, func(c *clerkauth.Config) {
		c.JWTKey, c.Accept = r.Server.JWTKey(), []clerkauth.TokenType{clerkauth.APIKey}
	})
	for range 100 {
		testkit.WantReply(t, testkit.Serve(auth.Require(clerkauth.Token(clerkauth.APIKey)), testkit.Bearer(r.APIKey.Token)), 200, "")
	}
	if n := r.Server.Requests(clerkauthtest.JWKS); n != 1 {
		t.Errorf("%d fetches", n)
	}
}

// anotherInstanceWithOurKeyID: the same key id does not make the same key.
func anotherInstanceWithOurKeyID(t *testing.T) {
	m := newMixed(t)
	m.theirs.Server.Answer(clerkauthtest.BackendJWKS, 200, "application/json", string(testkit.KeySet(testkit.JWK(m.ours.Server.KeyID(), &testkit.OtherKey().PublicKey, nil))))
	jane := m.ours.Server.SignIn(m.ours.User)
	forged := jane.Token(clerkauthtest.SignedBy(testkit.OtherKey()))
	m.refused(t)
	testkit.WantReply(t, testkit.Serve(m.auth.Require(), testkit.Bearer(jane.Token())), 200, "")
	testkit.WantReply(t, testkit.Serve(m.auth.Require(), testkit.Bearer(forged)), 401, clerkauth.ErrTokenSignature)
	if s := fmt.Sprint(m.log); strings.Contains(s, jane.User.ID) {
		t.Error("the log names a user")
	}
	// A session verified with JWTKey does not prove a key of that id either.
	requests := 0
	m.configure(t, func(c *clerkauth.Config) {
		network := c.Transport
		c.JWTKey = m.ours.Server.JWTKey()
		c.Transport = testkit.RoundTripFunc(func(r *http.Request) (*http.Response, error) {
			if strings.HasSuffix(r.URL.Path, "/jwks") {
				if requests++; requests > 1 {
					return nil, errors.New("away")
				}
			}
			return network.RoundTrip(r)
		})
	})
	for range 3 {
		testkit.WantReply(t, testkit.Serve(m.auth.Require(testkit.AnyCredential), testkit.Bearer(m.theirs.APIKey.Token)), 503, "")
		testkit.WantReply(t, testkit.Serve(m.auth.Require(), testkit.Bearer(jane.Token())), 200, "")
	}
	if n := m.theirs.Server.Requests(clerkauthtest.TokenVerify); n != 0 {
		t.Errorf("%d credentials were sent", n)
	}
}
