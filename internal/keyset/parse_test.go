package keyset

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/fips140"
	"crypto/rand"
	"crypto/rsa"
	"crypto/x509"
	"encoding/base64"
	"encoding/json"
	"encoding/pem"
	"fmt"
	"math/big"
	"strings"
	"testing"
)

// member returns a JWK of key with some members changed; a nil value removes one.
func member(kid string, key *rsa.PublicKey, change map[string]any) map[string]any {
	m := map[string]any{
		"kty": "RSA", "use": "sig", "alg": "RS256", "kid": kid,
		"n": base64.RawURLEncoding.EncodeToString(key.N.Bytes()),
		"e": base64.RawURLEncoding.EncodeToString(big.NewInt(int64(key.E)).Bytes()),
	}
	for name, value := range change {
		if m[name] = value; value == nil {
			delete(m, name)
		}
	}
	return m
}

func setOf(t testing.TB, members ...map[string]any) []byte {
	t.Helper()
	b, err := json.Marshal(map[string]any{"keys": members})
	if err != nil {
		t.Fatal(err)
	}
	return b
}

func encode(n *big.Int) string { return base64.RawURLEncoding.EncodeToString(n.Bytes()) }

// TestMalformedKeysAreSkipped: none of these is used, and none disables its neighbour.
func TestMalformedKeysAreSkipped(t *testing.T) {
	key := public(0)
	n := encode(key.N)
	short := shortKey(t)
	for name, change := range map[string]map[string]any{
		"use enc":             {"use": "enc"},
		"use of another type": {"use": 7},
		"key_ops encrypt":     {"key_ops": []string{"encrypt"}},
		"key_ops sign":        {"key_ops": []string{"sign"}},
		"key_ops a string":    {"key_ops": "verify"},
		"alg RSA-OAEP":        {"alg": "RSA-OAEP"},
		"alg RS512":           {"alg": "RS512"},
		"alg HS256":           {"alg": "HS256"},
		"alg null":            {"alg": json.RawMessage("null")},
		"kty oct":             {"kty": "oct", "k": "AAAA"},
		"kty EC":              {"kty": "EC"},
		"kty rsa":             {"kty": "rsa"},
		"kty missing":         {"kty": nil},
		"EC members":          {"crv": "P-256", "x": "AA", "y": "AA"},
		"private":             {"d": "AQAB"},
		"private prime":       {"p": "AQAB"},
		"kid missing":         {"kid": nil},
		"kid empty":           {"kid": ""},
		"kid a number":        {"kid": 7},
		"kid too long":        {"kid": strings.Repeat("x", maxKeyID+1)},
		"1024 bits":           {"n": encode(short.N)},
		"2047 bits":           {"n": encode(new(big.Int).Sub(new(big.Int).Lsh(big.NewInt(1), 2047), big.NewInt(1)))},
		"8193 bits":           {"n": encode(new(big.Int).Add(new(big.Int).Lsh(big.NewInt(1), 8192), big.NewInt(1)))},
		"a million bits":      {"n": strings.Repeat("_", 1<<20/6)},
		"n even":              {"n": encode(new(big.Int).Sub(key.N, big.NewInt(1)))},
		"n zero":              {"n": "AA"},
		"n missing":           {"n": nil},
		"n with leading zero": {"n": base64.RawURLEncoding.EncodeToString(append([]byte{0}, key.N.Bytes()...))},
		"n padded":            {"n": n + "=="},
		"n with line feed":    {"n": n[:9] + "\n" + n[9:]},
		"n not base64url":     {"n": "+/" + n[2:]},
		"e 1":                 {"e": "AQ"},
		"e 2":                 {"e": "Ag"},
		"e 4":                 {"e": "BA"},
		"e zero":              {"e": "AA"},
		"e empty":             {"e": ""},
		"e 2^31":              {"e": encode(new(big.Int).Lsh(big.NewInt(1), 31))},
		"e 2^31+1":            {"e": encode(new(big.Int).SetInt64(1<<31 + 1))},
		"e 2^64+1":            {"e": encode(new(big.Int).Add(new(big.Int).Lsh(big.NewInt(1), 64), big.NewInt(1)))},
		"e with leading zero": {"e": "AAEAAQ"},
	} {
		t.Run(name, func(t *testing.T) {
			keys, skipped, err := parseSet(setOf(t, member("bad", key, change), member("good", public(1), nil)))
			if err != nil || len(keys) != 1 || !same(keys["good"], public(1)) {
				t.Errorf("keys = %d, %v", len(keys), err)
			}
			if len(skipped) != 1 || skipped[0].place != 0 || skipped[0].reason == "" {
				t.Errorf("skipped = %v", skipped)
			}
			if _, _, err := parseSet(setOf(t, member("bad", key, change))); err == nil {
				t.Error("a set without a usable key is no set")
			}
		})
	}
}

func TestGoodKeysAreUsed(t *testing.T) {
	for name, change := range map[string]map[string]any{
		"as Clerk publishes it": {},
		"without use and alg":   {"use": nil, "alg": nil},
		"key_ops verify":        {"key_ops": []string{"verify"}, "use": nil},
		"e 3":                   {"e": "Aw"},
		"unknown members":       {"x5c": []string{"not a certificate"}, "x-note": map[string]any{"a": 1}},
	} {
		keys, _, err := parseSet(setOf(t, member("a", public(0), change)))
		if err != nil || keys["a"] == nil || keys["a"].N.Cmp(public(0).N) != 0 {
			t.Errorf("%s: %v", name, err)
		}
	}
}

func TestTwoKeysOfOneIDAreNone(t *testing.T) {
	for name, duplicate := range map[string]map[string]any{"good duplicate": nil, "bad duplicate": {"use": "enc"}} {
		for range 2 { // the order does not matter
			keys, _, err := parseSet(setOf(t, member("a", public(0), nil), member("a", public(1), duplicate), member("b", public(2), nil)))
			if err != nil || keys["a"] != nil || keys["b"] == nil {
				t.Errorf("%s: %d keys, %v", name, len(keys), err)
			}
			keys, _, err = parseSet(setOf(t, member("a", public(1), duplicate), member("a", public(0), nil), member("a", public(2), nil)))
			if err == nil || keys["a"] != nil {
				t.Errorf("%s: a third duplicate brought the id back", name)
			}
		}
	}
}

func TestSetsThatAreNone(t *testing.T) {
	good := string(setOf(t, member("a", public(0), nil)))
	for name, body := range map[string]string{
		"html":            "<html></html>",
		"empty":           "",
		"empty object":    "{}",
		"keys null":       `{"keys":null}`,
		"keys empty":      `{"keys":[]}`,
		"keys an object":  `{"keys":{}}`,
		"truncated":       good[:len(good)-5],
		"duplicate keys":  `{"keys":[],` + good[1:],
		"other case":      strings.Replace(good, "keys", "Keys", 1),
		"an array":        "[" + good + "]",
		"members not one": `{"keys":[1,"x",null,[]]}`,
	} {
		if keys, _, err := parseSet([]byte(body)); err == nil || keys != nil {
			t.Errorf("%s: %d keys, %v", name, len(keys), err)
		}
	}
}

// shortKey returns a key of 1024 bits, which FIPS mode would not generate.
func shortKey(t *testing.T) (key *rsa.PrivateKey) {
	t.Helper()
	fips140.WithoutEnforcement(func() {
		var err error
		if key, err = rsa.GenerateKey(rand.Reader, 1024); err != nil {
			t.Fatal(err)
		}
	})
	return key
}

// bigKey returns a public key of that many bits without a private half.
func bigKey(bits int) *rsa.PublicKey {
	n := new(big.Int).SetBit(big.NewInt(1), bits-1, 1)
	return &rsa.PublicKey{N: n, E: 65537}
}

func bigDER(bits int) []byte {
	der, err := x509.MarshalPKIXPublicKey(bigKey(bits))
	if err != nil {
		panic(err)
	}
	return der
}

func TestParsePEM(t *testing.T) {
	key := public(0)
	spki, err := x509.MarshalPKIXPublicKey(key)
	if err != nil {
		t.Fatal(err)
	}
	block := func(label string, der []byte) string {
		return string(pem.EncodeToMemory(&pem.Block{Type: label, Bytes: der}))
	}
	public := block("PUBLIC KEY", spki)
	pkcs1 := block("RSA PUBLIC KEY", x509.MarshalPKCS1PublicKey(key))
	for name, text := range map[string]string{
		"LF":                       public,
		"CRLF":                     strings.ReplaceAll(public, "\n", "\r\n"),
		"CR":                       strings.ReplaceAll(public, "\n", "\r"),
		`literal \n`:               strings.ReplaceAll(public, "\n", `\n`),
		`literal \r\n`:             strings.ReplaceAll(public, "\n", `\r\n`),
		"one line":                 strings.ReplaceAll(public, "\n", ""),
		"spaces for lines":         strings.ReplaceAll(public, "\n", " "),
		"white space around":       "  \n" + public + "\n ",
		"indented":                 strings.ReplaceAll(public, "\n", "\n    "),
		"base64 alone":             base64.StdEncoding.EncodeToString(spki),
		"base64 of PKCS #1 alone":  base64.StdEncoding.EncodeToString(x509.MarshalPKCS1PublicKey(key)),
		"PKCS #1":                  pkcs1,
		`PKCS #1 with literal \n`:  strings.ReplaceAll(pkcs1, "\n", `\n`),
		"without the last newline": strings.TrimSpace(public),
	} {
		if got, err := ParsePEM(text); err != nil || !same(got, key) {
			t.Errorf("%s: %v", name, err)
		}
	}
	if got, err := ParsePEM(block("PUBLIC KEY", bigDER(8192))); err != nil || got.N.BitLen() != 8192 {
		t.Errorf("8192 bits: %v", err)
	}

	ec, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	ecDER, _ := x509.MarshalPKIXPublicKey(&ec.PublicKey)
	shortDER, _ := x509.MarshalPKIXPublicKey(&shortKey(t).PublicKey)
	private, _ := x509.MarshalPKCS8PrivateKey(testKeys()[0])
	for name, c := range map[string]struct{ text, message string }{
		"spaces":                  {"   ", "base64"},
		"trailing garbage":        {public + "x", "one PEM block"},
		"leading garbage":         {"x" + public, "one PEM block"},
		"two blocks":              {public + public, "one PEM block"},
		"EC key":                  {block("PUBLIC KEY", ecDER), "not an RSA key"},
		"private key":             {block("PRIVATE KEY", private), "private key"},
		"PKCS #1 private key":     {block("RSA PRIVATE KEY", x509.MarshalPKCS1PrivateKey(testKeys()[0])), "private key"},
		"certificate":             {block("CERTIFICATE", spki), "certificate"},
		"other block":             {block("SSH", spki), "neither"},
		"labels that differ":      {strings.Replace(public, "END PUBLIC", "END RSA PUBLIC", 1), "different labels"},
		"SPKI called PKCS #1":     {block("RSA PUBLIC KEY", spki), "no RSA public key"},
		"PKCS #1 called SPKI":     {block("PUBLIC KEY", x509.MarshalPKCS1PublicKey(key)), "no RSA public key"},
		"bytes behind":            {block("PUBLIC KEY", append(append([]byte{}, spki...), 0)), "no RSA public key"},
		"1024 bits":               {block("PUBLIC KEY", shortDER), "1024 bits"},
		"8193 bits":               {block("PUBLIC KEY", bigDER(8193)), "8193 bits"},
		"16384 bits, PKCS #1":     {block("RSA PUBLIC KEY", x509.MarshalPKCS1PublicKey(bigKey(16384))), "16384 bits"},
		"base64 of 8193 bits":     {base64.StdEncoding.EncodeToString(bigDER(8193)), "8193 bits"},
		"in quotes":               {`"` + strings.TrimSpace(public) + `"`, "one PEM block"},
		"cut":                     {public[:len(public)/2], "one PEM block"},
		"not a key":               {"pk_test_abc", "base64"},
		"JSON":                    {`{"kty":"RSA"}`, "base64"},
		"private key without BEG": {base64.StdEncoding.EncodeToString(private), "no RSA public key"},
	} {
		_, err := ParsePEM(c.text)
		if err == nil || !strings.Contains(err.Error(), c.message) {
			t.Errorf("%s: error %v does not contain %q", name, err, c.message)
		}
	}
}

// FuzzParseSet: every accepted key is within the bounds and has an id that is unique
// in its set.
func FuzzParseSet(f *testing.F) {
	f.Add(setOf(f, member("a", public(0), nil), member("b", public(1), nil)))
	f.Add(setOf(f, member("a", public(0), map[string]any{"e": "Aw"}), member("a", public(1), nil)))
	f.Add([]byte(`{"keys":[{"kty":"RSA","kid":"a","n":"AA","e":"AQAB"}]}`))
	f.Fuzz(func(t *testing.T, body []byte) {
		keys, _, err := parseSet(body)
		if err != nil && len(keys) > 0 || err == nil && len(keys) == 0 {
			t.Fatalf("%d keys and error %v", len(keys), err)
		}
		var loose struct {
			Keys []struct {
				Kid any `json:"kid"`
				D   any `json:"d"`
			} `json:"keys"`
		}
		if len(keys) > 0 {
			if err := json.Unmarshal(body, &loose); err != nil {
				t.Fatal(err)
			}
		}
		for kid, key := range keys {
			if bits := key.N.BitLen(); bits < 2048 || bits > 8192 || key.E < 3 || key.E%2 == 0 {
				t.Fatalf("kept a key of %d bits, exponent %d", bits, key.E)
			}
			n := 0
			for _, k := range loose.Keys {
				if fmt.Sprint(k.Kid) == kid {
					n++
				}
			}
			if n != 1 {
				t.Fatalf("kept a key whose id stands in the set %d times", n)
			}
		}
	})
}

// TestLargestKey: keys up to the documented bound are used.
func TestLargestKey(t *testing.T) {
	n := new(big.Int).Sub(new(big.Int).Lsh(big.NewInt(1), maxBits), big.NewInt(1))
	keys, skipped, err := parseSet(setOf(t, member("a", public(0), map[string]any{"n": encode(n)})))
	if err != nil || len(skipped) != 0 || keys["a"] == nil || keys["a"].N.Cmp(n) != 0 || keys["a"].E != public(0).E {
		t.Errorf("%v, %v", skipped, err)
	}
}
