package catalogue

import (
	"bytes"
	"compress/flate"
	"crypto"
	"crypto/ecdsa"
	"crypto/ed25519"
	"crypto/elliptic"
	"crypto/hmac"
	"crypto/rand"
	"crypto/rsa"
	"crypto/sha256"
	"crypto/x509"
	"encoding/base64"
	"encoding/pem"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync/atomic"
	"testing"

	"github.com/go-jose/go-jose/v4"

	"github.com/clerkauth/clerkauth"
	"github.com/clerkauth/clerkauth/clerkauthtest"
	"github.com/clerkauth/clerkauth/internal/testkit"
)

// These rows test a token's header. The signature is the instance's own unless a row
// says otherwise, so that only the header can be the reason; and an invalid header
// is rejected before a key is fetched.
var _ = addRows(rows{
	"1/alg_none":                  headerAlgorithmNone,
	"2/alg_none_in_odd_case":      headerAlgorithms(`"None"`, `"NONE"`, `"noNE"`, `"nOnE"`),
	"3/alg_almost_RS256":          headerAlgorithms(`"rs256"`, `"Rs256"`, `"RS256 "`, `" RS256"`, `"RS256\u0000"`, `"RS２56"`),
	"4/alg_of_another_type":       headerAlgorithms(`null`, `0`, `true`, `["RS256"]`, `{"alg":"RS256"}`, `""`, ``),
	"5/hmac_with_the_public_key":  headerSymmetric,
	"6/other_algorithms":          headerOtherAlgorithms,
	"7/wrong_signature_scheme":    headerWrongPrimitive,
	"8/embedded_attacker_key":     headerAttackersKey,
	"9/embedded_key_members":      headerKeyMembers,
	"10/key_address_in_token":     headerKeyAddresses,
	"11/critical_extension":       headerCritical,
	"12/unencoded_payload":        headerUnencoded,
	"13/compressed_payload":       headerCompressed,
	"14/duplicate_header_members": headerDuplicates,
	"15/folded_header_names":      headerFolded,
})

func headerAlgorithmNone(t *testing.T) {
	r := newTokenRow(t)
	for what, header := range map[string]string{"alone": `{"alg":"none"}`, "among others": `{"alg":"none","kid":"$kid","typ":"JWT"}`} {
		token := r.under(header)
		r.refuses(what+", signed", token, clerkauth.ErrTokenAlgorithm)
		r.refuses(what+", not signed", token[:strings.LastIndexByte(token, '.')+1], clerkauth.ErrTokenAlgorithm)
	}
	r.fetched(0)
	r.accepts("control", r.under(`{"alg":"RS256","kid":"$kid","typ":"JWT"}`))
}

// headerAlgorithms returns a row for these values of alg; "" stands for a header
// without it.
func headerAlgorithms(values ...string) func(*testing.T) {
	header := func(alg string) string {
		if alg != "" {
			alg = `"alg":` + alg + `,`
		}
		return `{` + alg + `"kid":"$kid","typ":"JWT"}`
	}
	return func(t *testing.T) {
		r := newTokenRow(t)
		for _, alg := range values {
			r.refuses("alg "+alg, r.under(header(alg)), clerkauth.ErrTokenAlgorithm)
		}
		r.fetched(0)
		r.accepts("control", r.under(header(`"RS256"`)))
	}
}

func headerSymmetric(t *testing.T) {
	r := newTokenRow(t)
	public := &r.srv.Key().PublicKey
	spki, err := x509.MarshalPKIXPublicKey(public)
	if err != nil {
		t.Fatal(err)
	}
	text := pem.EncodeToMemory(&pem.Block{Type: "PUBLIC KEY", Bytes: spki})
	jwk := testkit.JSON(jose.JSONWebKey{Key: public, KeyID: r.srv.KeyID(), Algorithm: "RS256", Use: "sig"})
	input := tokenBase64(r.keyID(`{"alg":"HS256","kid":"$kid","typ":"JWT"}`)) + "." + tokenBase64(r.payload())
	for what, secret := range map[string][]byte{
		"PEM":                      text,
		"PEM without last newline": bytes.TrimSuffix(text, []byte("\n")),
		"SubjectPublicKeyInfo":     spki,
		"PKCS #1":                  x509.MarshalPKCS1PublicKey(public),
		"modulus":                  public.N.Bytes(),
		"JWK":                      []byte(jwk),
	} {
		mac := hmac.New(sha256.New, secret)
		mac.Write([]byte(input))
		r.refuses(what, input+"."+tokenBase64(mac.Sum(nil)), clerkauth.ErrTokenAlgorithm)
	}
	r.fetched(0)
	r.accepts("control", r.under(`{"alg":"RS256","kid":"$kid","typ":"JWT"}`))
}

// headerOtherAlgorithms: Clerk's SDKs accept RS384 and RS512 from an instance's key;
// this package does not, because Clerk signs with RS256 alone.
func headerOtherAlgorithms(t *testing.T) {
	r := newTokenRow(t)
	curve, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	_, edwards, err := ed25519.GenerateKey(rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	sign := func(alg jose.SignatureAlgorithm, key any) string {
		signer, err := jose.NewSigner(jose.SigningKey{Algorithm: alg, Key: key},
			(&jose.SignerOptions{}).WithType("JWT").WithHeader("kid", r.srv.KeyID()))
		if err != nil {
			t.Fatal(err)
		}
		jws, err := signer.Sign(r.payload())
		if err != nil {
			t.Fatal(err)
		}
		token, err := jws.CompactSerialize()
		if err != nil {
			t.Fatal(err)
		}
		return token
	}
	for _, alg := range []jose.SignatureAlgorithm{jose.RS384, jose.RS512, jose.PS256, jose.PS512} {
		r.refuses(string(alg)+" of another key", sign(alg, tokenAttacker()), clerkauth.ErrTokenAlgorithm)
		r.refuses(string(alg)+" of the instance's key", sign(alg, r.srv.Key()), clerkauth.ErrTokenAlgorithm)
	}
	r.refuses("ES256", sign(jose.ES256, curve), clerkauth.ErrTokenAlgorithm)
	r.refuses("EdDSA", sign(jose.EdDSA, edwards), clerkauth.ErrTokenAlgorithm)
	r.fetched(0)
	r.accepts("control", sign(jose.RS256, r.srv.Key()))
}

func headerWrongPrimitive(t *testing.T) {
	r := newTokenRow(t)
	r.refuses("PS256 signed as RS256", r.under(`{"alg":"PS256","kid":"$kid"}`), clerkauth.ErrTokenAlgorithm)
	r.fetched(0)
	input := tokenBase64(r.header("")) + "." + tokenBase64(r.payload())
	digest := sha256.Sum256([]byte(input))
	signature, err := rsa.SignPSS(rand.Reader, r.srv.Key(), crypto.SHA256, digest[:], nil)
	if err != nil {
		t.Fatal(err)
	}
	r.refuses("RS256 signed as PS256", input+"."+tokenBase64(signature), clerkauth.ErrTokenSignature)
	r.accepts("control", r.signed(input))
}

// headerAttackersKey: the token is rejected for carrying a key at all, so the reason
// is not an unknown key.
func headerAttackersKey(t *testing.T) {
	r := newTokenRow(t)
	jwk := jose.JSONWebKey{Key: &tokenAttacker().PublicKey, KeyID: r.srv.KeyID(), Algorithm: "RS256", Use: "sig"}
	r.refuses("with its key", r.token(clerkauthtest.WithHeader("jwk", jwk), clerkauthtest.SignedBy(tokenAttacker())), clerkauth.ErrTokenInvalid)
	r.fetched(0)
	r.refuses("without its key", r.token(clerkauthtest.SignedBy(tokenAttacker())), clerkauth.ErrTokenSignature)
	r.accepts("control", r.token())
}

func headerKeyMembers(t *testing.T) {
	r := newTokenRow(t)
	key := jose.JSONWebKey{Key: &r.srv.Key().PublicKey}
	thumbprint := sha256.Sum256([]byte("x"))
	for name, value := range map[string]string{
		"jwk": testkit.JSON(key), "jku": `"https://api.clerk.com/v1/jwks"`, "x5u": `"https://api.clerk.com/x"`,
		"x5c": `["` + base64.StdEncoding.EncodeToString(x509.MarshalPKCS1PublicKey(&r.srv.Key().PublicKey)) + `"]`,
		"x5t": `"` + tokenBase64(thumbprint[:20]) + `"`, "x5t#S256": `"` + tokenBase64(thumbprint[:]) + `"`,
	} {
		r.refuses(name, r.with(`,"`+name+`":`+value), clerkauth.ErrTokenInvalid)
		r.refuses(name+" null", r.with(`,"`+name+`":null`), clerkauth.ErrTokenInvalid)
	}
	r.fetched(0)
	r.accepts("a member that means nothing", r.with(`,"x5":"x"`))
}

func headerKeyAddresses(t *testing.T) {
	var calls atomic.Int32
	sink := httptest.NewServer(http.HandlerFunc(func(http.ResponseWriter, *http.Request) { calls.Add(1) }))
	defer sink.Close()
	r := newTokenRow(t, func(c *clerkauth.Config) {
		next := c.Transport
		c.Transport = testkit.RoundTripFunc(func(req *http.Request) (*http.Response, error) {
			if u := req.URL.String(); u != c.BackendURL+"/v1/jwks" && u != c.FrontendURL+"/.well-known/jwks.json" {
				calls.Add(1)
			}
			return next.RoundTrip(req)
		})
	})
	for _, address := range []string{"http://169.254.169.254/latest/meta-data", "https://evil.example/keys", sink.URL} {
		for _, name := range []string{"jku", "x5u"} {
			what := name + " " + address
			r.refuses(what, r.with(`,"`+name+`":"`+address+`"`), clerkauth.ErrTokenInvalid)
			r.refuses(what+" of the attacker", r.token(clerkauthtest.WithHeader(name, address), clerkauthtest.SignedBy(tokenAttacker())), clerkauth.ErrTokenInvalid)
		}
	}
	r.fetched(0)
	if n := calls.Load(); n != 0 {
		t.Errorf("%d calls to an address in a token", n)
	}
	r.accepts("control", r.with(`,"address":"`+sink.URL+`"`))
}

func headerCritical(t *testing.T) {
	r := newTokenRow(t)
	for _, members := range []string{`"crit":["exp"]`, `"crit":["x"],"x":1`, `"crit":[]`, `"crit":"b64"`, `"crit":null`, `"cr\u0069t":["x"],"x":1`} {
		r.refuses(members, r.with(","+members), clerkauth.ErrTokenInvalid)
	}
	r.fetched(0)
	r.accepts("control", r.with(`,"x":1`))
}

// headerUnencoded: RFC 7797 is not supported.
func headerUnencoded(t *testing.T) {
	r := newTokenRow(t)
	for _, members := range []string{`,"b64":false,"crit":["b64"]`, `,"b64":false`, `,"b64":true`} {
		input := tokenBase64(r.header(members)) + "."
		r.refuses(members+" with a dot in the payload", r.signed(input+string(r.payload())), clerkauth.ErrTokenInvalid)
		r.refuses(members+" with a plain payload", r.signed(input+"payload"), clerkauth.ErrTokenInvalid)
		r.refuses(members+" with an encoded payload", r.with(members), clerkauth.ErrTokenInvalid)
		signed := r.signed(input + string(r.payload()))
		r.refuses(members+" with a detached payload", input+signed[strings.LastIndexByte(signed, '.'):], clerkauth.ErrTokenInvalid)
	}
	r.fetched(0)
	r.accepts("control", r.with(`,"b65":false`))
}

func headerCompressed(t *testing.T) {
	r := newTokenRow(t)
	// A deflate block that inflates to 1 MiB, repeated: it refers to nothing before it.
	const mib = 1 << 20
	var piece bytes.Buffer
	w, err := flate.NewWriter(&piece, flate.BestCompression)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := w.Write(make([]byte, mib)); err != nil {
		t.Fatal(err)
	}
	if err := w.Flush(); err != nil {
		t.Fatal(err)
	}
	if n, _ := io.Copy(io.Discard, flate.NewReader(bytes.NewReader(bytes.Repeat(piece.Bytes(), 3)))); n != 3*mib {
		t.Fatalf("three pieces inflate to %d bytes", n)
	}
	for what, pieces := range map[string]int{"1 GiB": 1024, "of the longest token that is read": 10_000 / piece.Len()} {
		bomb := r.srv.SignRaw(r.header(`,"zip":"DEF"`), bytes.Repeat(piece.Bytes(), pieces))
		r.refuses(what, bomb, clerkauth.ErrTokenInvalid)
		if n := tokenAllocated(func() { _, _ = r.cold.auth.VerifyToken(t.Context(), bomb) }); n > mib {
			t.Errorf("%s: %d bytes were allocated", what, n)
		}
	}
	r.refuses("claims not compressed", r.with(`,"zip":"DEF"`), clerkauth.ErrTokenInvalid)
	r.fetched(0)
	r.accepts("control", r.with(`,"zap":"DEF"`))
}

func headerDuplicates(t *testing.T) {
	r := newTokenRow(t)
	for _, header := range []string{
		`{"alg":"none","alg":"RS256","kid":"$kid"}`, `{"alg":"RS256","alg":"none","kid":"$kid"}`, `{"alg":"RS256","alg":"RS256","kid":"$kid"}`,
		`{"alg":"RS256","kid":"ins_x","kid":"$kid"}`, `{"alg":"RS256","kid":"$kid","x":1,"x":1}`, `{"alg":"RS256","kid":"$kid","x":{"y":1,"y":1}}`,
	} {
		r.refuses(header, r.under(header), clerkauth.ErrTokenInvalid)
	}
	r.fetched(0)
	r.accepts("control", r.under(`{"alg":"RS256","kid":"$kid","x":{"x":1}}`))
}

func headerFolded(t *testing.T) {
	r := newTokenRow(t)
	r.refuses("escaped duplicate", r.under(`{"alg":"RS256","al\u0067":"none","kid":"$kid"}`), clerkauth.ErrTokenInvalid)
	r.refuses("escaped duplicate, equal", r.under(`{"alg":"RS256","al\u0067":"RS256","kid":"$kid"}`), clerkauth.ErrTokenInvalid)
	for _, header := range []string{`{"Alg":"RS256","kid":"$kid"}`, `{"ALG":"RS256","alg":"none","kid":"$kid"}`} {
		r.refuses(header, r.under(header), clerkauth.ErrTokenAlgorithm)
	}
	r.fetched(0)
	// K is the Kelvin sign, which folds to k.
	for _, header := range []string{
		`{"al\u0067":"RS256","kid":"$kid"}`, `{"alg":"RS256","ALG":"none","kid":"$kid"}`, `{"ALG":"none","alg":"RS256","kid":"$kid"}`,
		`{"alg":"RS256","kid":"$kid","KID":"ins_x","\u212aid":"ins_x","Crit":["x"],"CAT":"x","Typ":"x"}`,
	} {
		r.accepts(header, r.under(header))
	}
}
