package jws

import (
	"crypto/rand"
	"crypto/rsa"
	"encoding/base64"
	"errors"
	"strings"
	"sync"
	"testing"

	"github.com/go-jose/go-jose/v4"
)

var testKey = sync.OnceValue(func() *rsa.PrivateKey {
	key, err := rsa.GenerateKey(rand.Reader, 2048)
	if err != nil {
		panic(err)
	}
	return key
})

// sign returns a token signed by go-jose.
func sign(t testing.TB, payload string) string {
	t.Helper()
	signer, err := jose.NewSigner(jose.SigningKey{Algorithm: jose.RS256, Key: testKey()},
		(&jose.SignerOptions{}).WithType("JWT").WithHeader("kid", "ins_1").WithHeader("cat", "cl_x"))
	if err != nil {
		t.Fatal(err)
	}
	jws, err := signer.Sign([]byte(payload))
	if err != nil {
		t.Fatal(err)
	}
	token, err := jws.CompactSerialize()
	if err != nil {
		t.Fatal(err)
	}
	return token
}

// read parses a token, checks its header and returns its payload.
func read(token string) (Token, string, error) {
	t, err := Parse(token)
	if err != nil {
		return t, "", err
	}
	payload, err := t.Text()
	if err == nil {
		err = t.CheckHeader()
	}
	return t, payload, err
}

func b64(s string) string { return base64.RawURLEncoding.EncodeToString([]byte(s)) }

func TestParseReadsTheHeader(t *testing.T) {
	tok, payload, err := read(sign(t, `{"sub":"user_1"}`))
	if err != nil {
		t.Fatal(err)
	}
	h := tok.Header
	if h.KeyID != "ins_1" || h.Type != "JWT" || !h.HasType || h.Category != "cl_x" || !h.HasCat {
		t.Errorf("header = %+v", h)
	}
	if payload != `{"sub":"user_1"}` {
		t.Errorf("payload = %q", payload)
	}
	if err := tok.Verify(&testKey().PublicKey); err != nil {
		t.Error(err)
	}
}

func TestParseRefusesTheForm(t *testing.T) {
	good := sign(t, `{"sub":"user_1"}`)
	parts := strings.Split(good, ".")
	last := good[len(good)-1]
	bumped := good[:len(good)-1] + string(map[byte]byte{'A': 'B', 'Q': 'R', 'g': 'h', 'w': 'x'}[last])
	for name, token := range map[string]string{
		"empty":                 "",
		"dot":                   ".",
		"two dots":              "..",
		"three dots":            "...",
		"no dot":                "a",
		"two parts":             parts[0] + "." + parts[1],
		"four parts":            good + ".x",
		"trailing dot":          good + ".",
		"leading dot":           "." + good,
		"empty header":          "." + parts[1] + "." + parts[2],
		"empty payload":         parts[0] + ".." + parts[2],
		"empty signature":       parts[0] + "." + parts[1] + ".",
		"padding":               good + "=",
		"padded header":         parts[0] + "=." + parts[1] + "." + parts[2],
		"stray bits":            bumped,
		"line feed behind":      good + "\n",
		"carriage return":       parts[0] + "\r." + parts[1] + "." + parts[2],
		"line feed inside":      parts[0] + "." + parts[1][:8] + "\n" + parts[1][8:] + "." + parts[2],
		"space":                 good + " ",
		"standard alphabet":     parts[0] + "." + parts[1] + "." + "+/" + parts[2][2:],
		"question mark":         parts[0][:4] + "?" + parts[0][4:] + "." + parts[1] + "." + parts[2],
		"full-width letter":     "ｅ" + good[1:],
		"impossible length":     parts[0] + "." + parts[1] + "." + parts[2] + "AAA",
		"longer than the limit": good + strings.Repeat("A", MaxLen),
		"json serialisation":    `{"payload":"` + parts[1] + `","signatures":[]}`,
	} {
		want := ErrMalformed
		if len(token) <= MaxLen && strings.Count(token, ".") != 2 {
			want = ErrParts
		}
		if _, _, err := read(token); !errors.Is(err, want) {
			t.Errorf("%s: %v, want %v", name, err, want)
		}
	}
}

func TestParseRefusesTheHeader(t *testing.T) {
	for _, header := range []string{
		`[]`, `null`, `"x"`, `1`, `{} {}`, `{}garbage`, "\ufeff{}", `{"alg":"RS256","x":"\ud800"}`, "{\"alg\":\"RS256\",\"x\":\"\xff\"}",
		`{"alg":"none","alg":"RS256"}`, `{"alg":"RS256","al\u0067":"none"}`,
		`{"alg":"RS256","crit":["exp"]}`, `{"alg":"RS256","crit":[]}`, `{"alg":"RS256","crit":null}`,
		`{"alg":"RS256","b64":false}`, `{"alg":"RS256","b64":true}`, `{"alg":"RS256","zip":"DEF"}`, `{"alg":"RS256","enc":"A128GCM"}`,
		`{"alg":"RS256","jwk":{}}`, `{"alg":"RS256","jku":"https://evil.example"}`, `{"alg":"RS256","x5u":"https://evil.example"}`,
		`{"alg":"RS256","x5c":[]}`, `{"alg":"RS256","x5t":"x"}`, `{"alg":"RS256","x5t#S256":"x"}`,
	} {
		if _, _, err := read(b64(header) + "." + b64(`{}`) + ".AAAA"); !errors.Is(err, ErrMalformed) {
			t.Errorf("header %q: %v, want ErrMalformed", header, err)
		}
	}
}

func TestAlgorithmIsRS256ByteForByte(t *testing.T) {
	for _, alg := range []string{
		`"none"`, `"None"`, `"noNE"`, `"rs256"`, `"RS256 "`, `" RS256"`, `"RS256\u0000"`, `"RS２56"`, `null`, `0`, `true`,
		`["RS256"]`, `{"alg":"RS256"}`, `""`, `"HS256"`, `"RS384"`, `"RS512"`, `"PS256"`, `"ES256"`, `"EdDSA"`,
	} {
		tok, err := Parse(b64(`{"alg":`+alg+`}`) + "." + b64(`{}`) + ".AAAA")
		if err != nil {
			t.Errorf("alg %s: %v", alg, err)
			continue
		}
		if !errors.Is(tok.CheckAlgorithm(), ErrAlgorithm) || !errors.Is(tok.Verify(&testKey().PublicKey), ErrAlgorithm) {
			t.Errorf("alg %s passed", alg)
		}
	}
	for _, header := range []string{`{}`, `{"Alg":"RS256"}`, `{"ALG":"RS256"}`} {
		tok, err := Parse(b64(header) + "." + b64(`{}`) + ".AAAA")
		if err != nil || !errors.Is(tok.CheckAlgorithm(), ErrAlgorithm) {
			t.Errorf("header %s passed", header)
		}
	}
	tok, err := Parse(b64(`{"al\u0067":"RS256"}`) + "." + b64(`{}`) + ".AAAA")
	if err != nil || tok.CheckAlgorithm() != nil {
		t.Error("an escaped name is the same name")
	}
}

// FuzzCompact compares the reader and verifier with go-jose: what is accepted here
// is accepted there with the same payload, and has only one spelling.
func FuzzCompact(f *testing.F) {
	good := sign(f, `{"sub":"user_1"}`)
	f.Add(good)
	f.Add(good + "=")
	f.Add(good[:len(good)-4])
	f.Add(b64(`{"alg":"none"}`) + "." + b64(`{}`) + ".")
	f.Add(strings.Repeat(".", 1000))
	key := &testKey().PublicKey
	f.Fuzz(func(t *testing.T, token string) {
		tok, ours, err := read(token)
		if err != nil {
			return
		}
		signature, err := strictEncoding.DecodeString(tok.signature)
		parts := strings.Split(token, ".")
		if err != nil || len(parts) != 3 || parts[1] != b64(ours) || parts[2] != b64(string(signature)) {
			t.Fatal("accepted a spelling that is not canonical")
		}
		verified := tok.Verify(key) == nil
		jws, err := jose.ParseSignedCompact(token, []jose.SignatureAlgorithm{jose.RS256})
		var theirs bool
		if err == nil {
			var payload []byte
			payload, err = jws.Verify(key)
			theirs = err == nil && string(payload) == ours
		}
		if verified && !theirs {
			t.Fatalf("accepted what go-jose refuses: %v", err)
		}
		if theirs && !verified {
			t.Fatal("refused, after parsing, what go-jose accepts")
		}
	})
}

// FuzzMutateSigned: no byte of a valid token can be changed.
func FuzzMutateSigned(f *testing.F) {
	good := sign(f, `{"sub":"user_1"}`)
	f.Add(0, byte('x'))
	f.Add(len(good)-1, byte('A'))
	key := &testKey().PublicKey
	f.Fuzz(func(t *testing.T, pos int, b byte) {
		if pos < 0 || pos >= len(good) || good[pos] == b {
			return
		}
		mutated := good[:pos] + string(rune(b)) + good[pos+1:]
		if mutated == good {
			return
		}
		if tok, _, err := read(mutated); err == nil && tok.Verify(key) == nil {
			t.Fatalf("byte %d can be %q", pos, b)
		}
	})
}

func TestRefusingDotsIsCheap(t *testing.T) {
	dots, long := strings.Repeat(".", 1<<20), strings.Repeat("A", 1<<20)
	for _, in := range []string{dots, long, dots[:MaxLen]} {
		if n := testing.AllocsPerRun(10, func() { _, _ = Parse(in) }); n > 1 {
			t.Errorf("refusing %d bytes took %v allocations", len(in), n)
		}
	}
}

func BenchmarkRefuseDots(b *testing.B) {
	dots := strings.Repeat(".", 1<<20)
	b.ReportAllocs()
	for b.Loop() {
		_, _ = Parse(dots)
	}
}
