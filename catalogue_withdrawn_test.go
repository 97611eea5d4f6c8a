package clerkauth_test

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
)

// These rows are about what is no longer, or never was, a key of the instance: sets
// that change, two sources that disagree, and a secret key of somebody else's.
var _ = addRows(rows{
	"253/sets_without_the_old_keys": func(t *testing.T) {
		t.Run("replaced whole", inBubble(setIsReplacedWhole))
		t.Run("none of use", inBubble(setWithoutUsableKeys))
		t.Run("no set", inBubble(noSetKeepsTheOldKeys))
		t.Run("one id", inBubble(oneIDIsDropped))
	},
	"287/withdrawn_from_one_of_two": func(t *testing.T) {
		t.Run("the Backend API", inBubble(withdrawnFromTheBackend))
		t.Run("the public set", inBubble(withdrawnFromThePublicSet))
	},
	"288/another_instances_secret_key": func(t *testing.T) {
		t.Run("nobody gets in", inBubble(anotherInstancesSecretKey))
		t.Run("found out before the first", inBubble(foundOutBeforeTheFirst))
		t.Run("by JWTKey", inBubble(anotherInstanceByJWTKey))
		t.Run("one key id", inBubble(anotherInstanceWithOurKeyID))
	},
})

// serving makes an endpoint serve exactly these keys.
func (r *rig) serving(at clerkauthtest.Endpoint, keys map[string]*rsa.PublicKey) {
	var list []map[string]any
	for kid, key := range keys {
		list = append(list, jwk(kid, key, nil))
	}
	r.srv.Answer(at, 200, "application/json", string(keySet(list...)))
}

type publicKeys = map[string]*rsa.PublicKey

func setIsReplacedWhole(t *testing.T) {
	r := newRig(t)
	old := r.jane.Token(long)
	r.want(t, old, 200, "")
	r.srv.SetKeySet(keySet(jwk("ins_new", &strangeKey().PublicKey, nil), jwk("ins_ec", &strangeKey().PublicKey, changes{"kty": "EC"})))
	time.Sleep(5 * time.Minute)
	r.want(t, old, 401, clerkauth.ErrUnknownKey)
	r.want(t, r.jane.Token(clerkauthtest.SignedBy(strangeKey()), clerkauthtest.WithKeyID("ins_new")), 200, "")
}

func setWithoutUsableKeys(t *testing.T) {
	for what, keys := range map[string][]map[string]any{
		"another type":  {{"kty": "EC", "kid": rigKeyID, "crv": "P-256", "x": "AA", "y": "AA"}},
		"private":       {jwk(rigKeyID, &rigKey().PublicKey, changes{"d": "AA"})},
		"twice":         {jwk(rigKeyID, &rigKey().PublicKey, nil), jwk(rigKeyID, &rigKey().PublicKey, nil)},
		"another use":   {jwk(rigKeyID, &rigKey().PublicKey, changes{"use": "enc"})},
		"without an id": {jwk(rigKeyID, &rigKey().PublicKey, changes{"kid": nil})},
	} {
		var logged bytes.Buffer
		r := newRig(t, func(c *clerkauth.Config) { c.Logger = slog.New(slog.NewTextHandler(&logged, nil)) })
		token := r.jane.Token(long)
		r.want(t, token, 200, "")
		r.srv.SetKeySet(keySet(keys...))
		time.Sleep(5 * time.Minute)
		for range 10 {
			r.want(t, token, 503, clerkauth.ErrKeysUnavailable)
			time.Sleep(10 * time.Second)
		}
		if s := logged.String(); !strings.Contains(s, "level=ERROR") || strings.Contains(s, rigKeyID) {
			t.Errorf("%s: log is %q", what, s)
		}
		r.srv.SetKeySet(nil)
		time.Sleep(time.Minute)
		if r.want(t, token, 200, ""); t.Failed() {
			t.Fatal(what)
		}
	}
}

func noSetKeepsTheOldKeys(t *testing.T) {
	for _, body := range []string{`{"keys":[]}`, `{}`, `[]`, ``, `<html>`, `{"keys":[{"kty":"EC","kid":"a"}`, `{"keys":[],"keys":[{"kty":"EC"}]}`} {
		r := newRig(t)
		token := r.jane.Token(long)
		r.want(t, token, 200, "")
		r.srv.SetKeySet([]byte(body))
		if body == "" {
			r.srv.Answer(clerkauthtest.JWKS, 200, "", "")
		}
		time.Sleep(59 * time.Minute)
		if r.want(t, token, 200, ""); t.Failed() {
			t.Fatalf("%q", body)
		}
		time.Sleep(2 * time.Minute)
		r.want(t, token, 503, clerkauth.ErrKeysUnavailable)
	}
}

// oneIDIsDropped: and it is not taken from the other source, which does not know.
func oneIDIsDropped(t *testing.T) {
	neighbour := jwk("ins_neighbour", &strangeKey().PublicKey, nil)
	ours := jwk(rigKeyID, &rigKey().PublicKey, nil)
	for what, odd := range map[string][]map[string]any{
		"private": {jwk(rigKeyID, &rigKey().PublicKey, changes{"d": "AA"})}, "twice": {ours, ours}, "two keys": {ours, jwk(rigKeyID, &strangeKey().PublicKey, nil)},
	} {
		for _, warm := range []bool{false, true} {
			r := newRig(t)
			if warm {
				r.want(t, r.jane.Token(), 200, "")
			}
			r.srv.Answer(clerkauthtest.BackendJWKS, 200, "application/json", string(keySet(append(odd, neighbour)...)))
			time.Sleep(5 * time.Minute)
			r.want(t, r.jane.Token(), 401, clerkauth.ErrUnknownKey)
			r.want(t, r.jane.Token(clerkauthtest.SignedBy(strangeKey()), clerkauthtest.WithKeyID("ins_neighbour")), 200, "")
			r.srv.Fail(clerkauthtest.BackendJWKS, 500)
			time.Sleep(5 * time.Minute)
			if r.want(t, r.jane.Token(), 401, clerkauth.ErrUnknownKey); t.Failed() {
				t.Fatal(what, warm)
			}
		}
	}
}

func withdrawnFromTheBackend(t *testing.T) {
	both := publicKeys{rigKeyID: &rigKey().PublicKey, "ins_kept": &strangeKey().PublicKey}
	kept := publicKeys{"ins_kept": &strangeKey().PublicKey}
	r := newRig(t)
	r.serving(clerkauthtest.JWKS, both)
	gone := r.jane.Token(long)
	stays := r.jane.Token(long, clerkauthtest.SignedBy(strangeKey()), clerkauthtest.WithKeyID("ins_kept"))
	r.want(t, gone, 200, "")
	r.serving(clerkauthtest.BackendJWKS, kept)
	time.Sleep(5 * time.Minute)
	r.want(t, gone, 401, clerkauth.ErrUnknownKey)
	r.want(t, stays, 200, "")
	// Nor in an outage, when the public set is all there is.
	r.srv.Fail(clerkauthtest.BackendJWKS, 500)
	for range 30 {
		time.Sleep(5 * time.Minute)
		r.want(t, gone, 401, clerkauth.ErrUnknownKey)
		r.want(t, stays, 200, "")
	}
}

func withdrawnFromThePublicSet(t *testing.T) {
	both := publicKeys{rigKeyID: &rigKey().PublicKey, "ins_kept": &strangeKey().PublicKey}
	kept := publicKeys{"ins_kept": &strangeKey().PublicKey}
	r := newRig(t)
	r.serving(clerkauthtest.JWKS, both)
	gone := r.jane.Token(long)
	stays := r.jane.Token(long, clerkauthtest.SignedBy(strangeKey()), clerkauthtest.WithKeyID("ins_kept"))
	r.srv.Fail(clerkauthtest.BackendJWKS, 500)
	r.want(t, gone, 200, "") // by the public set
	r.serving(clerkauthtest.BackendJWKS, both)
	r.serving(clerkauthtest.FrontendJWKS, kept)
	time.Sleep(5 * time.Minute)
	for range 10 {
		r.want(t, gone, 401, clerkauth.ErrUnknownKey)
		r.want(t, stays, 200, "")
		time.Sleep(5 * time.Minute)
	}
}

// mixed is a program with the publishable key of one instance and the secret key of
// another.
type mixed struct {
	ours, theirs *machineRig
	auth         *clerkauth.Authenticator
	log          *bytes.Buffer
}

func newMixed(t *testing.T) *mixed {
	t.Helper()
	m := &mixed{ours: newMachineRig(t), theirs: newMachineRig(t), log: &bytes.Buffer{}}
	m.theirs.srv.RotateKeys()
	m.configure(t, func(*clerkauth.Config) {})
	return m
}

func (m *mixed) configure(t *testing.T, change func(*clerkauth.Config)) {
	t.Helper()
	m.auth = newAuthFor(t, m.ours.srv, func(c *clerkauth.Config) {
		c.Logger = slog.New(slog.NewTextHandler(m.log, nil))
		c.Accept = []clerkauth.TokenType{clerkauth.SessionToken, clerkauth.APIKey, clerkauth.M2MToken, clerkauth.OAuthToken}
		c.SecretKey, c.BackendURL = clerkauth.NewSecret(m.theirs.srv.SecretKey()), m.theirs.srv.URL
		c.Transport = roundTripper(func(r *http.Request) (*http.Response, error) {
			if "https://"+r.URL.Host == m.theirs.srv.URL {
				return m.theirs.srv.Transport().RoundTrip(r)
			}
			return m.ours.srv.Transport().RoundTrip(r)
		})
		change(c)
	})
}

// refused holds that no opaque credential of theirs or ours is let in, and that none
// is sent anywhere.
func (m *mixed) refused(t *testing.T) {
	t.Helper()
	guard := m.auth.Require(forAll)
	for _, of := range []*machineRig{m.theirs, m.ours} {
		for _, token := range []string{of.key.Token, of.m2m.Token, of.oauth.Token} {
			if got := wantReply(t, ask(guard, bearer(token)), 503, clerkauth.ErrSecretKeyInvalid); got.header.Get("Retry-After") == "" {
				t.Error("there is no Retry-After")
			}
		}
	}
	if n := m.theirs.srv.Requests(clerkauthtest.TokenVerify) + m.ours.srv.Requests(clerkauthtest.TokenVerify); n != 0 {
		t.Errorf("%d credentials were sent", n)
	}
	if s := m.log.String(); !strings.Contains(s, "level=ERROR") || !strings.Contains(s, "another instance") || strings.Contains(s, "sk_test_") {
		t.Errorf("log is %q", s)
	}
}

func anotherInstancesSecretKey(t *testing.T) {
	m := newMixed(t)
	jane, theirs := m.ours.srv.SignIn(m.ours.user), m.theirs.srv.SignIn(m.theirs.user)
	guard := m.auth.Require()
	// Sessions are those of the publishable key, whoever comes first.
	wantReply(t, ask(guard, bearer(jane.Token())), 200, "")
	wantReply(t, ask(guard, bearer(theirs.Token(clerkauthtest.WithClaim("iss", m.ours.srv.Issuer())))), 401, clerkauth.ErrUnknownKey)
	m.refused(t)
	// What is asked on a caller's behalf fails, too, and is not sent.
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
	if n := m.theirs.srv.Requests(clerkauthtest.Backend &^ clerkauthtest.BackendJWKS); n != 0 {
		t.Errorf("%d calls", n)
	}
	// Not a fetch a request, however many there are.
	fetches := m.theirs.srv.Requests(clerkauthtest.JWKS) + m.ours.srv.Requests(clerkauthtest.JWKS)
	var all sync.WaitGroup
	for range 1000 {
		all.Go(func() { m.refusedOne(t) })
	}
	all.Wait()
	if n := m.theirs.srv.Requests(clerkauthtest.JWKS) + m.ours.srv.Requests(clerkauthtest.JWKS); n != fetches {
		t.Errorf("%d more fetches", n-fetches)
	}
	// For a day: sessions go on, others do not, and it is told once a minute at most.
	m.log.Reset()
	for range 24 * 6 {
		wantReply(t, ask(guard, bearer(jane.Token())), 200, "")
		for range 10 {
			m.refusedOne(t)
		}
		time.Sleep(10 * time.Minute)
	}
	if n := strings.Count(m.log.String(), "another instance"); n < 24*6-1 || n > 24*6*2 {
		t.Errorf("it was told %d times", n)
	}
	if !strings.Contains(m.log.String(), "count=1") {
		t.Error("there is no count")
	}
}

func (m *mixed) refusedOne(t *testing.T) {
	wantReply(t, ask(m.auth.Require(forAll), bearer(m.theirs.key.Token)), 503, clerkauth.ErrSecretKeyInvalid)
}

// foundOutBeforeTheFirst: no session has come by.
func foundOutBeforeTheFirst(t *testing.T) {
	m := newMixed(t)
	m.refused(t)
	called := newMixed(t)
	if _, err := user.NewClient(called.auth.ClerkConfig()).Get(t.Context(), called.theirs.user.ID); !errors.Is(err, clerkauth.ErrSecretKeyInvalid) {
		t.Errorf("Get: %v", err)
	}
	// The control: the right secret key.
	r := newMachineRig(t)
	for _, token := range []string{r.key.Token, r.m2m.Token, r.oauth.Token} {
		wantReply(t, ask(r.auth.Require(forAll), bearer(token)), 200, "")
	}
	if n := r.srv.Requests(clerkauthtest.BackendJWKS); n != 1 {
		t.Errorf("%d fetches", n)
	}
}

func anotherInstanceByJWTKey(t *testing.T) {
	m := newMixed(t)
	m.configure(t, func(c *clerkauth.Config) { c.JWTKey = m.ours.srv.JWTKey() })
	wantReply(t, ask(m.auth.Require(), bearer(m.ours.srv.SignIn(m.ours.user).Token())), 200, "")
	if n := m.theirs.srv.Requests(clerkauthtest.JWKS) + m.ours.srv.Requests(clerkauthtest.JWKS); n != 0 {
		t.Errorf("%d fetches for a session", n)
	}
	m.refused(t)
	if n := m.ours.srv.Requests(clerkauthtest.JWKS); n != 0 {
		t.Errorf("%d fetches of the public set", n)
	}
	// The control: the secret key of JWTKey's instance.
	r := newMachineRig(t)
	auth := newAuthFor(t, r.srv, func(c *clerkauth.Config) {
		c.JWTKey, c.Accept = r.srv.JWTKey(), []clerkauth.TokenType{clerkauth.APIKey}
	})
	for range 100 {
		wantReply(t, ask(auth.Require(clerkauth.Token(clerkauth.APIKey)), bearer(r.key.Token)), 200, "")
	}
	if n := r.srv.Requests(clerkauthtest.JWKS); n != 1 {
		t.Errorf("%d fetches", n)
	}
}

// anotherInstanceWithOurKeyID: an id is not a key.
func anotherInstanceWithOurKeyID(t *testing.T) {
	m := newMixed(t)
	m.theirs.srv.Answer(clerkauthtest.BackendJWKS, 200, "application/json", string(keySet(jwk(m.ours.srv.KeyID(), &strangeKey().PublicKey, nil))))
	jane := m.ours.srv.SignIn(m.ours.user)
	forged := jane.Token(clerkauthtest.SignedBy(strangeKey()))
	m.refused(t)
	wantReply(t, ask(m.auth.Require(), bearer(jane.Token())), 200, "")
	wantReply(t, ask(m.auth.Require(), bearer(forged)), 401, clerkauth.ErrTokenSignature)
	if s := fmt.Sprint(m.log); strings.Contains(s, jane.User.ID) {
		t.Error("the log names a user")
	}
	// Nor is a session that JWTKey verified a proof for a key of that id.
	asked := 0
	m.configure(t, func(c *clerkauth.Config) {
		network := c.Transport
		c.JWTKey = m.ours.srv.JWTKey()
		c.Transport = roundTripper(func(r *http.Request) (*http.Response, error) {
			if strings.HasSuffix(r.URL.Path, "/jwks") {
				if asked++; asked > 1 {
					return nil, errors.New("away")
				}
			}
			return network.RoundTrip(r)
		})
	})
	for range 3 {
		wantReply(t, ask(m.auth.Require(forAll), bearer(m.theirs.key.Token)), 503, "")
		wantReply(t, ask(m.auth.Require(), bearer(jane.Token())), 200, "")
	}
	if n := m.theirs.srv.Requests(clerkauthtest.TokenVerify); n != 0 {
		t.Errorf("%d credentials were sent", n)
	}
}
