package clerkauth_test

import (
	"crypto"
	"crypto/fips140"
	"crypto/rand"
	"crypto/rsa"
	"crypto/sha256"
	"crypto/x509"
	"encoding/json"
	"encoding/pem"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"github.com/go-jose/go-jose/v4"

	"github.com/clerkauth/clerkauth"
)

// benchSet is a session token as Clerk mints it, of about 1 KB, and what is
// needed to verify it in three ways.
type benchSet struct {
	token  string
	key    *rsa.PublicKey
	digest [32]byte
	sig    []byte
	auth   *clerkauth.Authenticator
}

func newBenchSet(b testing.TB) benchSet {
	b.Helper()
	key, err := rsa.GenerateKey(rand.Reader, 2048)
	if err != nil {
		b.Fatal(err)
	}
	now := time.Now().Unix()
	payload, err := json.Marshal(map[string]any{
		"azp": "https://app.example.com", "exp": now + 43200, "iat": now, "nbf": now - 10, "iss": "https://clerk.example.com",
		"jti": "8f4e2c9b0a1d3e5f6a7b", "sid": "sess_2zXn6k1QvM0pLr8TdYwB4cJhUfE", "sub": "user_2zXn6iHqV3sNaG7oKxPl9RmDtWy", "sts": "active",
		"v": 2, "fva": []int{3, -1}, "fea": "o:invoices,o:reports,u:beta,o:projects", "pla": "u:free,o:pro",
		"o":    map[string]any{"id": "org_2zXn7AbCdEfGhIjKlMnOpQrStUv", "slg": "acme", "rol": "admin", "per": "read,create,update,delete", "fpm": "15,3,7"},
		"note": strings.Repeat("n", 120),
	})
	if err != nil {
		b.Fatal(err)
	}
	signer, err := jose.NewSigner(jose.SigningKey{Algorithm: jose.RS256, Key: jose.JSONWebKey{Key: key, KeyID: "ins_2zXn5QrStUvWxYzAbCdEfGhIjKl"}},
		(&jose.SignerOptions{}).WithType("JWT").WithHeader("cat", "cl_B7d4PD111AAA"))
	if err != nil {
		b.Fatal(err)
	}
	jws, err := signer.Sign(payload)
	if err != nil {
		b.Fatal(err)
	}
	s := benchSet{key: &key.PublicKey}
	if s.token, err = jws.CompactSerialize(); err != nil {
		b.Fatal(err)
	}
	s.digest = sha256.Sum256([]byte(s.token[:strings.LastIndexByte(s.token, '.')]))
	s.sig = jws.Signatures[0].Signature
	der, err := x509.MarshalPKIXPublicKey(&key.PublicKey)
	if err != nil {
		b.Fatal(err)
	}
	s.auth, err = clerkauth.New(clerkauth.Config{
		PublishableKey:    "pk_live_Y2xlcmsuZXhhbXBsZS5jb20k",
		JWTKey:            string(pem.EncodeToMemory(&pem.Block{Type: "PUBLIC KEY", Bytes: der})),
		AuthorizedParties: []string{"https://app.example.com"},
	})
	if err != nil {
		b.Fatal(err)
	}
	return s
}

// BenchmarkUnseenToken compares the cost of a session token that was not seen
// before: the RSA operation alone, this package, and go-jose in its place (which
// does less: it checks no claim). The middleware's cost includes the context.
func BenchmarkUnseenToken(b *testing.B) {
	s := newBenchSet(b)
	b.Run("rsa.VerifyPKCS1v15", func(b *testing.B) {
		b.ReportAllocs()
		for b.Loop() {
			if rsa.VerifyPKCS1v15(s.key, crypto.SHA256, s.digest[:], s.sig) != nil {
				b.Fatal("signature")
			}
		}
	})
	b.Run("VerifyToken", func(b *testing.B) {
		b.ReportAllocs()
		for b.Loop() {
			if _, err := s.auth.VerifyToken(b.Context(), s.token); err != nil {
				b.Fatal(err)
			}
		}
	})
	b.Run("Require", func(b *testing.B) {
		n := 0
		h := s.auth.Require().Func(func(_ http.ResponseWriter, r *http.Request) {
			if clerkauth.FromContext(r.Context()).UserID != "" {
				n++
			}
		})
		r := httptest.NewRequest("GET", "/", nil)
		r.Header.Set("Authorization", "Bearer "+s.token)
		w := httptest.NewRecorder()
		b.ReportAllocs()
		for b.Loop() {
			h.ServeHTTP(w, r)
		}
		if n == 0 {
			b.Fatal("the handler was not reached")
		}
	})
	b.Run("go-jose", func(b *testing.B) {
		b.ReportAllocs()
		for b.Loop() {
			jws, err := jose.ParseSignedCompact(s.token, []jose.SignatureAlgorithm{jose.RS256})
			if err != nil {
				b.Fatal(err)
			}
			payload, err := jws.Verify(s.key)
			if err != nil {
				b.Fatal(err)
			}
			var claims map[string]json.RawMessage
			if json.Unmarshal(payload, &claims) != nil {
				b.Fatal("claims")
			}
		}
	})
}

// TestVerificationAllocates: the number of allocations is bounded for any token, in
// particular for garbage, which every caller can send.
func TestVerificationAllocates(t *testing.T) {
	s := newBenchSet(t)
	guard := s.auth.Require().Func(func(http.ResponseWriter, *http.Request) {})
	r := httptest.NewRequest("GET", "/", nil)
	r.Header.Set("Authorization", "Bearer "+s.token)
	w := httptest.NewRecorder()
	inRSA := 0.0 // in the RSA operation, more than usual
	if fips140.Enabled() {
		inRSA = 1
	}
	for name, c := range map[string]struct {
		token string // "" for a request with a valid one
		most  float64
	}{
		"valid, VerifyToken": {s.token, 15 + inRSA}, "valid, Require": {"", 17 + inRSA},
		"garbage": {"not-a-token", 1}, "1 MB of dots": {strings.Repeat(".", 1<<20), 1}, "alg none": {"eyJhbGciOiJub25lIn0.e30.", 2},
	} {
		n := testing.AllocsPerRun(50, func() {
			if c.token == "" {
				guard.ServeHTTP(w, r)
			} else {
				_, _ = s.auth.VerifyToken(t.Context(), c.token)
			}
		})
		if n > c.most {
			t.Errorf("%s: %v allocations, want at most %v", name, n, c.most)
		}
	}
}

// BenchmarkRefusedToken measures a token that is rejected before any key is looked
// up.
func BenchmarkRefusedToken(b *testing.B) {
	s := newBenchSet(b)
	for name, token := range map[string]string{"garbage": "not-a-token", "1 MB of dots": strings.Repeat(".", 1<<20), "alg none": "eyJhbGciOiJub25lIn0.e30."} {
		b.Run(name, func(b *testing.B) {
			b.ReportAllocs()
			for b.Loop() {
				if _, err := s.auth.VerifyToken(b.Context(), token); err == nil {
					b.Fatal("accepted")
				}
			}
		})
	}
}
