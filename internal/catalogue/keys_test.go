package catalogue

import (
	"bytes"
	"context"
	"crypto/fips140"
	"crypto/rand"
	"crypto/rsa"
	"encoding/base64"
	"fmt"
	"log/slog"
	"math/big"
	"net/http"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/clerkauth/clerkauth"
	"github.com/clerkauth/clerkauth/clerkauthtest"
	"github.com/clerkauth/clerkauth/internal/testkit"
)

// These rows test where keys come from and which are used. Row 83 is a measurement.
var _ = addRows(rows{
	"81/flood_of_unknown_kids":       testkit.Bubble(unknownKeyFlood),
	"82/one_unknown_kid_at_once":     testkit.Bubble(unknownKeyTogether),
	"84/withdrawn_key_used_seldom":   testkit.Bubble(withdrawnKeyUsedSeldom),
	"85/withdrawn_key_in_an_outage":  testkit.Bubble(withdrawnKeyInAnOutage),
	"86/refresh_without_the_old_key": withdrawnKeyIsGoneWithTheRefresh,
	"87/one_kid_at_two_instances":    twoInstancesWithOneKeyID,
	"88/duplicate_kid":               twoKeysWithOneID,
	"89/symmetric_and_private_keys":  privateAndSymmetricKeys,
	"90/keys_of_other_types":         keysOfOtherTypes,
	"91/keys_for_other_uses":         keysForOtherUses,
	"92/keys_of_odd_sizes":           keysOfUnusualSizes,
	"93/odd_exponents":               invalidExponents,
	"94/odd_moduli":                  invalidModuli,
	"95/roca_key":                    rocaKey,
})

func unknownKeyFlood(t *testing.T) {
	r := testkit.NewRig(t)
	good := r.Jane.Token(clerkauthtest.ExpiresIn(time.Hour))
	r.Want(t, good, 200, "")
	for i := range 10_000 {
		r.Want(t, testkit.WithKeyID(good, fmt.Sprint("ins_", i)), 401, clerkauth.ErrUnknownKey)
		if i%100 == 0 {
			r.Want(t, good, 200, "")
		}
		time.Sleep(100 * time.Microsecond)
	}
	if n := r.Refreshes(); n != 1+unknownBurst {
		t.Errorf("%d fetches, want the first and a burst for all of the flood", n)
	}
	for i := range 270 { // shorter than the interval of other refreshes
		time.Sleep(time.Second)
		r.Want(t, testkit.WithKeyID(good, fmt.Sprint("ins_later_", i)), 401, clerkauth.ErrUnknownKey)
	}
	if n := r.Refreshes(); n != 1+unknownBurst+9 {
		t.Errorf("%d fetches, want one in 30 s", n)
	}
	// While the fetch that a flood has caused hangs, requests with known keys do not
	// wait.
	r.Server.Fail(clerkauthtest.JWKS, clerkauthtest.Hang)
	time.Sleep(30 * time.Second)
	var pending sync.WaitGroup
	pending.Go(func() { r.Want(t, testkit.WithKeyID(good, "ins_x"), 503, clerkauth.ErrKeysUnavailable) })
	synctest.Wait()
	start := time.Now()
	r.Want(t, good, 200, "")
	if d := time.Since(start); d != 0 {
		t.Errorf("a known key waited %v", d)
	}
	pending.Wait()
}

func unknownKeyTogether(t *testing.T) {
	r := testkit.NewRig(t, testkit.SlowKeys(3*time.Second))
	good := r.Jane.Token()
	r.Want(t, good, 200, "")
	for _, rotated := range []bool{false, true} {
		token, want := testkit.WithKeyID(good, "ins_none"), 401
		if rotated { // the control: the id of a new key
			r.Server.AddKey()
			token, want = r.Jane.Token(clerkauthtest.ExpiresIn(time.Hour)), 200
		}
		time.Sleep(30 * time.Second)
		before := r.Fetches()
		ctx, cancel := context.WithTimeout(t.Context(), time.Second)
		first := make(chan testkit.Reply)
		go func() {
			first <- testkit.Serve(r.Auth.Require(), testkit.Bearer(token), func(r *http.Request) { *r = *r.WithContext(ctx) })
		}()
		synctest.Wait() // until the caller waits for the fetch
		var others sync.WaitGroup
		for range 1000 {
			others.Go(func() { r.Want(t, token, want, "") })
		}
		testkit.WantReply(t, <-first, 503, clerkauth.ErrKeysUnavailable)
		others.Wait()
		cancel()
		if n := r.Fetches() - before; n != 1 {
			t.Errorf("%d fetches, want 1", n)
		}
	}
}

func withdrawnKeyUsedSeldom(t *testing.T) {
	r := testkit.NewRig(t)
	old := r.Jane.Token(clerkauthtest.ExpiresIn(48 * time.Hour))
	r.Server.AddKey()
	kept := r.Jane.Token(clerkauthtest.ExpiresIn(48 * time.Hour))
	r.Want(t, old, 200, "")
	r.Server.WithdrawKey(testkit.KeyID)
	for range 24 {
		time.Sleep(50 * time.Minute)
		r.Want(t, old, 401, clerkauth.ErrUnknownKey)
		r.Want(t, kept, 200, "")
	}
}

func withdrawnKeyInAnOutage(t *testing.T) {
	r := testkit.NewRig(t)
	gone := r.Jane.Token(clerkauthtest.ExpiresIn(48 * time.Hour))
	r.Server.AddKey()
	last := r.Jane.Token(clerkauthtest.ExpiresIn(48 * time.Hour))
	r.Want(t, gone, 200, "")
	r.Server.WithdrawKey(testkit.KeyID)
	time.Sleep(5 * time.Minute)
	r.Want(t, last, 200, "")
	good := time.Now() // when the last good set, without the key, was fetched
	r.Server.WithdrawKey(r.Server.KeyID())
	r.Server.Fail(clerkauthtest.JWKS, 500)
	for time.Since(good) < time.Hour {
		r.Want(t, last, 200, "")
		r.Want(t, gone, 503, clerkauth.ErrKeysUnavailable)
		time.Sleep(time.Minute)
	}
	r.Want(t, last, 503, clerkauth.ErrKeysUnavailable)
	r.Server.AddKey()
	r.Server.Heal(clerkauthtest.JWKS)
	time.Sleep(time.Minute)
	r.Want(t, last, 401, clerkauth.ErrUnknownKey)
}

func withdrawnKeyIsGoneWithTheRefresh(t *testing.T) {
	r := testkit.NewRig(t)
	old := r.Jane.Token()
	r.Want(t, old, 200, "")
	r.Server.RotateKeys()
	r.Want(t, old, 200, "") // the keys have not been fetched since
	r.Want(t, r.Jane.Token(), 200, "")
	r.Want(t, old, 401, clerkauth.ErrUnknownKey)
}

func twoInstancesWithOneKeyID(t *testing.T) {
	one, two := testkit.NewRig(t), testkit.NewRig(t)
	two.Server.SetKeySet(testkit.KeySet(testkit.JWK(testkit.KeyID, &testkit.OtherKey().PublicKey, nil)))
	signed := clerkauthtest.SignedBy(testkit.OtherKey())
	for range 2 { // before and after the keys are fetched
		one.Want(t, one.Jane.Token(), 200, "")
		two.Want(t, two.Jane.Token(signed), 200, "")
		one.Want(t, two.Jane.Token(signed, clerkauthtest.WithClaim("iss", one.Server.Issuer())), 401, clerkauth.ErrTokenSignature)
		two.Want(t, one.Jane.Token(clerkauthtest.WithClaim("iss", two.Server.Issuer())), 401, clerkauth.ErrTokenSignature)
	}
}

// wantKey serves these keys beside a good one of id "neighbour" and requires the
// status and reason for a token that key has signed. The neighbour must always be
// usable.
func wantKey(t *testing.T, what string, key *rsa.PrivateKey, status int, reason clerkauth.Reason, keys ...map[string]any) {
	t.Helper()
	t.Run(what, func(t *testing.T) {
		r := testkit.NewRig(t)
		r.Server.SetKeySet(testkit.KeySet(append(keys, testkit.JWK("neighbour", &testkit.OtherKey().PublicKey, nil))...))
		var token string
		fips140.WithoutEnforcement(func() { token = r.Jane.Token(clerkauthtest.SignedBy(key)) })
		r.Want(t, token, status, reason)
		r.Want(t, r.Jane.Token(clerkauthtest.SignedBy(testkit.OtherKey()), clerkauthtest.WithKeyID("neighbour")), 200, "")
	})
}

type changes map[string]any

func twoKeysWithOneID(t *testing.T) {
	a, b := testkit.JWK(testkit.KeyID, &testkit.Key().PublicKey, nil), testkit.JWK(testkit.KeyID, &testkit.NewKey().PublicKey, nil)
	unusable := testkit.JWK(testkit.KeyID, &testkit.Key().PublicKey, changes{"kty": "EC"})
	for i, keys := range [][]map[string]any{{a, b}, {b, a}, {a, b, a}, {a, a}, {a, unusable}, {unusable, a}, {a, unusable, a}} {
		wantKey(t, fmt.Sprint("twice ", i), testkit.Key(), 401, clerkauth.ErrUnknownKey, keys...)
	}
	wantKey(t, "once", testkit.Key(), 200, "", a)
}

// privateAndSymmetricKeys: the page lists the whole set as rejected; only the key
// is, with a warning in the log, because one bad key must not disable the others.
func privateAndSymmetricKeys(t *testing.T) {
	public := &testkit.Key().PublicKey
	rsaKey := testkit.JWK(testkit.KeyID, public, nil)
	wantKey(t, "oct", testkit.Key(), 401, clerkauth.ErrUnknownKey, map[string]any{"kty": "oct", "kid": testkit.KeyID, "k": "AAAA", "alg": "RS256"})
	wantKey(t, "oct of the same id", testkit.Key(), 401, clerkauth.ErrUnknownKey, rsaKey, map[string]any{"kty": "oct", "kid": testkit.KeyID, "k": "AAAA"})
	wantKey(t, "oct of another id", testkit.Key(), 200, "", rsaKey, map[string]any{"kty": "oct", "kid": "ins_oct", "k": "AAAA"})
	for _, member := range []string{"d", "p", "q", "dp", "dq", "qi", "oth", "k"} {
		wantKey(t, member, testkit.Key(), 401, clerkauth.ErrUnknownKey, testkit.JWK(testkit.KeyID, public, changes{member: "c2VjcmV0"}))
	}
	var logged bytes.Buffer
	r := testkit.NewRig(t, func(c *clerkauth.Config) { c.Logger = slog.New(slog.NewTextHandler(&logged, nil)) })
	r.Server.SetKeySet(testkit.KeySet(rsaKey, testkit.JWK("ins_private", public, changes{"d": "c2VjcmV0"})))
	r.Want(t, r.Jane.Token(), 200, "")
	if !strings.Contains(logged.String(), "private members") || strings.Contains(logged.String(), "c2VjcmV0") {
		t.Errorf("log is %q", logged.String())
	}
}

func keysOfOtherTypes(t *testing.T) {
	public := &testkit.Key().PublicKey
	for what, change := range map[string]changes{
		"EC":              {"kty": "EC", "crv": "P-256", "x": "AA", "y": "AA", "n": nil, "e": nil},
		"RSA with crv":    {"crv": "P-256"},
		"RSA with x, y":   {"x": "AA", "y": "AA"},
		"rsa":             {"kty": "rsa"},
		"no kty":          {"kty": nil},
		"kty of no type":  {"kty": 7},
		"kty in brackets": {"kty": []string{"RSA"}},
	} {
		wantKey(t, what, testkit.Key(), 401, clerkauth.ErrUnknownKey, testkit.JWK(testkit.KeyID, public, change))
	}
	wantKey(t, "control", testkit.Key(), 200, "", testkit.JWK(testkit.KeyID, public, nil))
}

func keysForOtherUses(t *testing.T) {
	public := &testkit.Key().PublicKey
	for what, change := range map[string]changes{
		"use enc":         {"use": "enc"},
		"use null":        {"use": struct{}{}},
		"key_ops encrypt": {"key_ops": []string{"encrypt"}},
		"key_ops empty":   {"key_ops": []string{}},
		"alg RSA-OAEP":    {"alg": "RSA-OAEP"},
		"alg RS512":       {"alg": "RS512"},
		"alg rs256":       {"alg": "rs256"},
	} {
		wantKey(t, what, testkit.Key(), 401, clerkauth.ErrUnknownKey, testkit.JWK(testkit.KeyID, public, change))
	}
	for what, change := range map[string]changes{
		"neither":        {"use": nil, "alg": nil},
		"no use":         {"use": nil},
		"no alg":         {"alg": nil},
		"key_ops verify": {"key_ops": []string{"verify"}},
		"unknown member": {"x5t#S256": "AA", "n2": 7},
	} {
		wantKey(t, what, testkit.Key(), 200, "", testkit.JWK(testkit.KeyID, public, change))
	}
}

// keysOfUnusualSizes: the reason shows that a key is not used; with one that is, the
// signature would be the reason.
func keysOfUnusualSizes(t *testing.T) {
	t.Setenv("GODEBUG", "rsa1024min=0") // only the package's own bounds apply
	for _, bits := range []int{512, 1024, 2047} {
		var key *rsa.PrivateKey
		fips140.WithoutEnforcement(func() { // FIPS mode does not generate such keys
			var err error
			if key, err = rsa.GenerateKey(rand.Reader, bits); err != nil {
				t.Fatal(err)
			}
		})
		wantKey(t, fmt.Sprint(bits), key, 401, clerkauth.ErrUnknownKey, testkit.JWK(testkit.KeyID, &key.PublicKey, nil))
	}
	for bits, reason := range map[int]clerkauth.Reason{
		4096: clerkauth.ErrTokenSignature, 8193: clerkauth.ErrUnknownKey, 16_385: clerkauth.ErrUnknownKey, 1_048_576: clerkauth.ErrUnknownKey,
	} {
		n := new(big.Int).SetBit(big.NewInt(1), bits-1, 1)
		wantKey(t, fmt.Sprint(bits), testkit.Key(), 401, reason, testkit.JWK(testkit.KeyID, &rsa.PublicKey{N: n, E: 3}, nil))
	}
	wantKey(t, "control", testkit.Key(), 200, "", testkit.JWK(testkit.KeyID, &testkit.Key().PublicKey, nil))
}

func invalidExponents(t *testing.T) {
	power := func(n uint, plus int64) string {
		return testkit.Base64URLUint(new(big.Int).Add(new(big.Int).Lsh(big.NewInt(1), n), big.NewInt(plus)))
	}
	for what, e := range map[string]any{
		"1": "AQ", "2": "Ag", "4": "BA", "0": "AA", "2^31": power(31, 0), "2^31+1": power(31, 1), "2^32+1": power(32, 1), "2^64+1": power(64, 1),
		"empty": "", "leading zeros": "AAABAAE", "padded": "AQAB==", "stray bits": "AR", "number": 65537, "missing": nil,
	} {
		wantKey(t, what, testkit.Key(), 401, clerkauth.ErrUnknownKey, testkit.JWK(testkit.KeyID, &testkit.Key().PublicKey, changes{"e": e}))
	}
	wantKey(t, "3", testkit.Key(), 401, clerkauth.ErrTokenSignature, testkit.JWK(testkit.KeyID, &testkit.Key().PublicKey, changes{"e": "Aw"}))
	wantKey(t, "2^31-1", testkit.Key(), 401, clerkauth.ErrTokenSignature, testkit.JWK(testkit.KeyID, &testkit.Key().PublicKey, changes{"e": power(31, -1)}))
	wantKey(t, "65537", testkit.Key(), 200, "", testkit.JWK(testkit.KeyID, &testkit.Key().PublicKey, changes{"e": "AQAB"}))
}

// invalidModuli: with its highest bit set, as in this key, a modulus looks negative
// if it is read as two's complement. It is valid.
func invalidModuli(t *testing.T) {
	key := &testkit.Key().PublicKey
	n := testkit.Base64URLUint(key.N)
	for what, n := range map[string]any{
		"even":         testkit.Base64URLUint(new(big.Int).Sub(key.N, big.NewInt(1))),
		"0":            "AA",
		"empty":        "",
		"missing":      nil,
		"number":       7,
		"leading zero": base64.RawURLEncoding.EncodeToString(append([]byte{0}, key.N.Bytes()...)),
		"stray bits":   n[:len(n)-1] + map[byte]string{'A': "B", 'Q': "R", 'g': "h", 'w': "x"}[n[len(n)-1]],
		"padded":       base64.URLEncoding.EncodeToString(key.N.Bytes()),
		"line break":   n[:40] + "\r\n" + n[40:],
		"space":        n + " ",
		"base64":       "+/" + n[2:],
	} {
		wantKey(t, what, testkit.Key(), 401, clerkauth.ErrUnknownKey, testkit.JWK(testkit.KeyID, key, changes{"n": n}))
	}
	if key.N.Bit(2047) != 1 {
		t.Error("the control's highest bit is not set")
	}
	wantKey(t, "control", testkit.Key(), 200, "", testkit.JWK(testkit.KeyID, key, nil))
}

// rocaKey shows a documented limit (SECURITY.md): a key with the ROCA flaw
// (CVE-2017-15361), whose primes are powers of 65537 modulo a primorial, is accepted
// like any other. Clerk generates the keys, not an attacker.
func rocaKey(t *testing.T) {
	m := big.NewInt(1) // the product of the first 126 primes
	for p, count := int64(2), 0; count < 126; p++ {
		if big.NewInt(p).ProbablyPrime(0) {
			m.Mul(m, big.NewInt(p))
			count++
		}
	}
	e := big.NewInt(65537)
	prime := func(exponent int64) *big.Int {
		p := new(big.Int).Exp(e, big.NewInt(exponent), m)
		p.Add(p, new(big.Int).Mul(m, new(big.Int).Div(new(big.Int).Lsh(big.NewInt(3), 1022), m)))
		for !p.ProbablyPrime(8) {
			p.Add(p, m)
		}
		return p
	}
	p, q := prime(1_000_003), prime(2_000_003)
	one := big.NewInt(1)
	phi := new(big.Int).Mul(new(big.Int).Sub(p, one), new(big.Int).Sub(q, one))
	key := &rsa.PrivateKey{
		PublicKey: rsa.PublicKey{N: new(big.Int).Mul(p, q), E: 65537},
		D:         new(big.Int).ModInverse(e, phi),
		Primes:    []*big.Int{p, q},
	}
	key.Precompute()
	if err := key.Validate(); err != nil || key.N.BitLen() != 2048 {
		t.Fatalf("%d bits, %v", key.N.BitLen(), err)
	}
	wantKey(t, "ROCA", key, 200, "", testkit.JWK(testkit.KeyID, &key.PublicKey, nil))
}
