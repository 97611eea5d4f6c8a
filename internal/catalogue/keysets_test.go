package catalogue

import (
	"bytes"
	"compress/gzip"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/base64"
	"encoding/pem"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"math/big"
	"net"
	"net/http"
	"net/http/httptest"
	"runtime"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/clerkauth/clerkauth"
	"github.com/clerkauth/clerkauth/clerkauthtest"
	"github.com/clerkauth/clerkauth/internal/testkit"
)

// These rows test responses of the key endpoints.
var _ = addRows(rows{
	"96/huge_key_set":             hugeKeySets,
	"97/compressed_key_set_bomb":  keySetThatIsABomb,
	"98/redirected_key_set":       redirectedKeySet,
	"99/slow_key_set":             testkit.Bubble(slowKeySet),
	"100/no_key_set":              testkit.Bubble(noKeySet),
	"101/key_set_refused":         testkit.Bubble(keySetRefused),
	"102/bad_certificate":         keySetBehindABadCertificate,
	"103/odd_jwt_keys":            jwtKeys,
	"104/first_requests_at_once":  testkit.Bubble(firstRequestsTogether),
	"105/two_tokens_in_an_outage": twoCredentialsInAnOutage,
})

// counted counts the bytes read of an endless body.
type counted struct {
	io.Reader
	n int64
}

func (c *counted) Read(p []byte) (int, error) {
	n, err := c.Reader.Read(p)
	c.n += int64(n)
	return n, err
}

func hugeKeySets(t *testing.T) {
	good := testkit.KeySet(testkit.JWK(testkit.KeyID, &testkit.Key().PublicKey, nil))
	spaces := func(n int) io.Reader { return io.LimitReader(roundReader(" "), int64(n)) }
	for what, body := range map[string]io.Reader{
		"100 MB":        io.MultiReader(spaces(100<<20), bytes.NewReader(good)),
		"100000 keys":   io.MultiReader(strings.NewReader(`{"keys":[`+strings.Repeat(`{"kty":"oct"},`, 100_000)), bytes.NewReader(good[len(`{"keys":[`):])),
		"kid of 10 MB":  io.MultiReader(strings.NewReader(`{"keys":[{"kid":"`), io.LimitReader(roundReader("k"), 10<<20), strings.NewReader(`"},`), bytes.NewReader(good[len(`{"keys":[`):])),
		"just over cap": io.MultiReader(spaces(512<<10-len(good)+1), bytes.NewReader(good)),
		"just the cap":  io.MultiReader(spaces(512<<10-len(good)), bytes.NewReader(good)),
	} {
		t.Run(what, func(t *testing.T) {
			served := &counted{Reader: body}
			r := testkit.NewRig(t, func(c *clerkauth.Config) {
				c.SecretKey = clerkauth.Secret{} // with one source the body is read once
				c.Transport = testkit.Answering(200, nil, served)
			})
			if what == "just the cap" {
				r.Want(t, r.Jane.Token(), 200, "")
				return
			}
			var before, after runtime.MemStats
			runtime.ReadMemStats(&before)
			r.Want(t, r.Jane.Token(), 503, clerkauth.ErrKeysUnavailable)
			runtime.ReadMemStats(&after)
			if served.n > 512<<10+1 {
				t.Errorf("%d bytes were read", served.n)
			}
			// The limit, doubled on the way there, and the cost of signing a token.
			if n := after.TotalAlloc - before.TotalAlloc; n > 8<<20 {
				t.Errorf("%d bytes were allocated in all", n)
			}
		})
	}
}

// roundReader repeats a string without end.
type roundReader string

func (s roundReader) Read(p []byte) (int, error) {
	for i := range p {
		p[i] = s[i%len(s)]
	}
	return len(p), nil
}

func gzipped(b []byte) []byte {
	var out bytes.Buffer
	z := gzip.NewWriter(&out)
	_, _ = z.Write(b)
	_ = z.Close()
	return out.Bytes()
}

func keySetThatIsABomb(t *testing.T) {
	good := gzipped(testkit.KeySet(testkit.JWK(testkit.KeyID, &testkit.Key().PublicKey, nil)))
	bomb := bytes.Repeat(gzipped(make([]byte, 1<<20)), 1024) // a gibibyte
	var body []byte
	server := testkit.NewServer(t, http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Content-Encoding", "gzip")
		_, _ = w.Write(body)
	}))
	transport := &http.Transport{}
	defer transport.CloseIdleConnections()
	for status, served := range map[int][]byte{200: good, 503: bomb} {
		body = served
		r := testkit.NewRig(t, func(c *clerkauth.Config) {
			c.BackendURL, c.FrontendURL, c.Transport = server.URL, server.URL, transport
		})
		var before, after runtime.MemStats
		runtime.ReadMemStats(&before)
		r.Want(t, r.Jane.Token(), status, "")
		runtime.ReadMemStats(&after)
		if n := after.TotalAlloc - before.TotalAlloc; n > 16<<20 {
			t.Errorf("%d: %d bytes were allocated in all", status, n)
		}
	}
}

func redirectedKeySet(t *testing.T) {
	for _, status := range []int{301, 302, 303, 307, 308} {
		for _, target := range []string{"http://api.example/v1/jwks", "https://evil.example/v1/jwks", "https://169.254.169.254/latest", "/v1/jwks", "//evil.example"} {
			var mu sync.Mutex
			requested := map[string]int{}
			r := testkit.NewRig(t, func(c *clerkauth.Config) {
				c.BackendURL, c.FrontendURL = "https://api.example", "https://api.example"
				c.Transport = testkit.RoundTripFunc(func(r *http.Request) (*http.Response, error) {
					mu.Lock()
					defer mu.Unlock()
					requested[r.URL.String()]++
					return testkit.Answering(status, http.Header{"Location": {target}}, http.NoBody).RoundTrip(r)
				})
			})
			r.Want(t, r.Jane.Token(), 503, clerkauth.ErrKeysUnavailable)
			// Each of the two sources is requested once: a redirect is not followed.
			if len(requested) != 2 || requested["https://api.example/v1/jwks"] != 1 || requested["https://api.example/.well-known/jwks.json"] != 1 {
				t.Errorf("%d to %s: requests: %v", status, target, requested)
			}
		}
	}
}

func slowKeySet(t *testing.T) {
	for _, how := range []int{clerkauthtest.Hang, clerkauthtest.SlowBody, clerkauthtest.Cut} {
		cold, warm := testkit.NewRig(t), testkit.NewRig(t)
		known := warm.Jane.Token(clerkauthtest.ExpiresIn(time.Hour))
		warm.Want(t, known, 200, "")
		cold.Server.Fail(clerkauthtest.JWKS, how)
		warm.Server.Fail(clerkauthtest.JWKS, how)
		start := time.Now()
		cold.Want(t, cold.Jane.Token(), 503, clerkauth.ErrKeysUnavailable)
		if d := time.Since(start); d > 5*time.Second {
			t.Errorf("it took %v", d)
		}
		start = time.Now()
		for time.Since(start) < 59*time.Minute {
			before := time.Now()
			warm.Want(t, known, 200, "")
			if d := time.Since(before); d != 0 {
				t.Errorf("%v after the fetch a known key waited %v", time.Since(start), d)
			}
			time.Sleep(10 * time.Second)
		}
		if warm.Fetches() < 10 {
			t.Errorf("only %d fetches were tried", warm.Fetches())
		}
	}
}

func noKeySet(t *testing.T) {
	good := string(testkit.KeySet(testkit.JWK(testkit.KeyID, &testkit.Key().PublicKey, nil)))
	for what, body := range map[string]string{
		"html": "<html>sign in to our network</html>", "empty": "", "null": "null", "no keys": "{}", "keys null": `{"keys":null}`,
		"keys empty": `{"keys":[]}`, "keys an object": `{"keys":{}}`, "truncated": good[:len(good)-1], "list": "[" + good + "]",
		"duplicate keys": good[:len(good)-1] + `,"keys":[]}`, "duplicate keys, escaped": good[:len(good)-1] + `,"\u006beys":[]}`,
		"text behind": good + "{}", "Keys": strings.Replace(good, "keys", "Keys", 1), "not UTF-8": strings.Replace(good, "sig", "s\xffg", 1),
	} {
		cold, warm := testkit.NewRig(t), testkit.NewRig(t)
		known := warm.Jane.Token(clerkauthtest.ExpiresIn(time.Hour))
		warm.Want(t, known, 200, "")
		cold.Server.SetKeySet([]byte(body))
		warm.Server.SetKeySet([]byte(body))
		cold.Want(t, cold.Jane.Token(), 503, clerkauth.ErrKeysUnavailable)
		for range 2 { // a fetch fails; the next one is not due yet
			warm.Want(t, testkit.WithKeyID(known, "ins_unknown"), 503, clerkauth.ErrKeysUnavailable)
		}
		warm.Want(t, known, 200, "")
		time.Sleep(59 * time.Minute)
		warm.Want(t, known, 200, "")
		time.Sleep(time.Minute)
		if got := warm.Want(t, known, 503, clerkauth.ErrKeysUnavailable); t.Failed() {
			t.Fatalf("%s: %v", what, got)
		}
	}
}

// keySetRefused: with both sources, the first one's response is the reason.
func keySetRefused(t *testing.T) {
	for _, c := range []struct {
		status, retryAfter int
		reason             clerkauth.Reason
		wait               string // in our Retry-After
	}{
		{401, 0, clerkauth.ErrSecretKeyInvalid, "1"},
		{404, 0, clerkauth.ErrKeysUnavailable, "1"},
		{429, 60, clerkauth.ErrKeysUnavailable, "60"},
		{429, 65535, clerkauth.ErrKeysUnavailable, "300"}, // at most 5 minutes
		{500, 0, clerkauth.ErrKeysUnavailable, "1"},
		{503, 20, clerkauth.ErrKeysUnavailable, "20"},
	} {
		var logged bytes.Buffer
		r := testkit.NewRig(t)
		r.Auth = testkit.NewAuth(t, r.Server, func(c *clerkauth.Config) { c.Logger = slog.New(slog.NewTextHandler(&logged, nil)) })
		r.Server.Fail(clerkauthtest.JWKS, c.status)
		r.Server.RetryAfter(clerkauthtest.JWKS, c.retryAfter)
		token := r.Jane.Token(clerkauthtest.ExpiresIn(time.Hour))
		got := r.Want(t, token, 503, c.reason)
		if got.Header.Get("Retry-After") != c.wait {
			t.Errorf("%d: Retry-After is %s, want %s", c.status, got.Header.Get("Retry-After"), c.wait)
		}
		if s := logged.String(); !strings.Contains(s, "level=WARN") || !strings.Contains(s, fmt.Sprint(c.status)) || strings.Contains(s+got.Body, "sk_test_") {
			t.Errorf("%d: log is %q", c.status, s)
		}
		for range 100 { // requests for ten seconds
			r.Want(t, token, 503, c.reason)
			time.Sleep(100 * time.Millisecond)
		}
		most := 2 * 8 // two sources, with a growing interval
		if c.retryAfter > 0 {
			most = 2
		}
		if n := r.Fetches(); n > most {
			t.Errorf("%d: %d fetches in 10 s", c.status, n)
		}
		r.Server.Heal(clerkauthtest.JWKS)
		time.Sleep(5 * time.Minute)
		r.Want(t, token, 200, "")
	}
	// A secret key that Clerk rejects is logged though the public set is used in its
	// place, at most once a minute.
	loud := func(s string) int { return strings.Count(s, "level=ERROR") }
	var wrong bytes.Buffer
	w := testkit.NewRig(t)
	w.Auth = testkit.NewAuth(t, w.Server, func(c *clerkauth.Config) {
		c.Logger, c.SecretKey = slog.New(slog.NewTextHandler(&wrong, nil)), clerkauth.NewSecret("sk_test_ofAnotherInstance")
	})
	for i := range 4 { // the second one is within a minute of the first
		time.Sleep(time.Duration(min(i, 1)) * 40 * time.Second)
		w.Want(t, w.Jane.Token(clerkauthtest.ExpiresIn(time.Hour)), 200, "")
		w.Want(t, w.Jane.Token(clerkauthtest.WithKeyID("ins_unknown"), clerkauthtest.ExpiresIn(time.Hour)), 401, clerkauth.ErrUnknownKey)
	}
	if s := wrong.String(); loud(s) != 2 || !strings.Contains(s, "CLERK_SECRET_KEY") || strings.Contains(s, "sk_test_") {
		t.Errorf("log is %q", s)
	}
	// The endpoint's text about the secret key is not passed on.
	var logged bytes.Buffer
	r := testkit.NewRig(t)
	r.Auth = testkit.NewAuth(t, r.Server, func(c *clerkauth.Config) {
		c.Logger = slog.New(slog.NewTextHandler(&logged, nil))
		c.Transport = testkit.Answering(401, nil, strings.NewReader(`{"errors":[{"code":"clerk_key_invalid","message":"`+r.Server.SecretKey()+`"}]}`))
	})
	_, err := r.Auth.VerifyToken(t.Context(), r.Jane.Token())
	if s := logged.String() + fmt.Sprintf("%v %+v %#v", err, err, err); !errors.Is(err, clerkauth.ErrSecretKeyInvalid) || strings.Contains(s, "sk_test_") {
		t.Error(s)
	}
}

func keySetBehindABadCertificate(t *testing.T) {
	r := testkit.NewRig(t)
	authority, authorityKey := certificate(t, nil, nil, nil)
	pool := x509.NewCertPool()
	pool.AddCert(authority)
	for what, c := range map[string]struct {
		change func(*x509.Certificate)
		trust  *x509.CertPool
		status int
	}{
		"good":               {func(*x509.Certificate) {}, pool, 200},
		"expired":            {func(c *x509.Certificate) { c.NotAfter = time.Now().Add(-time.Hour) }, pool, 503},
		"of another host":    {func(c *x509.Certificate) { c.IPAddresses = nil; c.DNSNames = []string{"api.clerk.com"} }, pool, 503},
		"of no trusted root": {func(*x509.Certificate) {}, x509.NewCertPool(), 503},
	} {
		cert, key := certificate(t, authority, authorityKey, c.change)
		server := httptest.NewUnstartedServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
			_, _ = w.Write(testkit.KeySet(testkit.JWK(testkit.KeyID, &testkit.Key().PublicKey, nil)))
		}))
		server.TLS = &tls.Config{Certificates: []tls.Certificate{{Certificate: [][]byte{cert.Raw}, PrivateKey: key}}}
		server.Config.ErrorLog = testkit.NoLog
		server.StartTLS()
		transport := &http.Transport{TLSClientConfig: &tls.Config{RootCAs: c.trust}}
		r.Auth = testkit.NewAuth(t, r.Server, func(c *clerkauth.Config) {
			c.BackendURL, c.FrontendURL, c.Transport = server.URL, server.URL, transport
		})
		if got := r.Want(t, r.Jane.Token(), c.status, ""); t.Failed() {
			t.Errorf("%s: %v", what, got)
		}
		transport.CloseIdleConnections()
		server.Close()
	}
}

// certificate returns a certificate for 127.0.0.1, signed by that authority or by
// itself.
func certificate(t *testing.T, authority *x509.Certificate, by *ecdsa.PrivateKey, change func(*x509.Certificate)) (*x509.Certificate, *ecdsa.PrivateKey) {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	c := &x509.Certificate{
		SerialNumber: big.NewInt(1), Subject: pkix.Name{CommonName: "test"}, NotBefore: time.Now().Add(-24 * time.Hour), NotAfter: time.Now().Add(time.Hour),
		IPAddresses: []net.IP{net.IPv4(127, 0, 0, 1)}, BasicConstraintsValid: true, IsCA: authority == nil,
	}
	if authority == nil {
		authority, by = c, key
	} else {
		change(c)
	}
	der, err := x509.CreateCertificate(rand.Reader, c, authority, &key.PublicKey, by)
	if err != nil {
		t.Fatal(err)
	}
	if c, err = x509.ParseCertificate(der); err != nil {
		t.Fatal(err)
	}
	return c, key
}

// jwtKeys: PKCS #1 and literal
//
//	are accepted as well. The key id of a token does not matter, and nothing is
//
// fetched.
func jwtKeys(t *testing.T) {
	public := &testkit.Key().PublicKey
	block := func(label string, der []byte, err error) string {
		if err != nil {
			t.Fatal(err)
		}
		return string(pem.EncodeToMemory(&pem.Block{Type: label, Bytes: der}))
	}
	must := func(der []byte, err error) ([]byte, error) { return der, err }
	spki, _ := must(x509.MarshalPKIXPublicKey(public))
	good := block("PUBLIC KEY", spki, nil)
	pkcs1 := block("RSA PUBLIC KEY", x509.MarshalPKCS1PublicKey(public), nil)
	ec, ecKey := certificate(t, nil, nil, nil)
	ecSPKI, err := x509.MarshalPKIXPublicKey(&ecKey.PublicKey)
	ecBlock := block("PUBLIC KEY", ecSPKI, err)
	pkcs8, err := x509.MarshalPKCS8PrivateKey(testkit.Key())
	private := block("PRIVATE KEY", pkcs8, err)
	for what, text := range map[string]string{
		"LF": good, "CRLF": strings.ReplaceAll(good, "\n", "\r\n"), `literal \n`: strings.ReplaceAll(good, "\n", `\n`),
		"base64 alone": base64.StdEncoding.EncodeToString(spki), "PKCS #1": pkcs1, "spaces around": "\n " + good + " \n",
	} {
		r := testkit.NewRig(t, func(c *clerkauth.Config) { c.JWTKey = text })
		for _, token := range []string{
			r.Jane.Token(), r.Jane.Token(clerkauthtest.WithKeyID("ins_other")), r.Jane.Token(clerkauthtest.WithoutHeader("kid")), r.Jane.Token(clerkauthtest.WithHeader("kid", 7)),
		} {
			r.Want(t, token, 200, "")
		}
		r.Want(t, r.Jane.Token(clerkauthtest.SignedBy(testkit.OtherKey())), 401, clerkauth.ErrTokenSignature)
		if t.Failed() || r.Fetches() != 0 {
			t.Errorf("%s: %d fetches", what, r.Fetches())
		}
	}
	for what, text := range map[string]string{
		"text before": "x" + good, "text behind": good + "x", "two blocks": good + good, "two blocks, two types": good + pkcs1,
		"EC": ecBlock, "private PKCS #8": private, "private PKCS #1": block("RSA PRIVATE KEY", x509.MarshalPKCS1PrivateKey(testkit.Key()), nil),
		"certificate": block("CERTIFICATE", ec.Raw, nil), "labels swapped": strings.ReplaceAll(good, "PUBLIC", "RSA PUBLIC"),
		"empty block": "-----BEGIN PUBLIC KEY-----\n-----END PUBLIC KEY-----\n", "space": " ", "truncated": good[:len(good)/2], "headers": strings.Replace(good, "-----\n", "-----\nA: b\n\n", 1),
	} {
		c := testkit.Config()
		c.JWTKey = text
		if _, err := clerkauth.New(c); err == nil || !strings.Contains(err.Error(), "JWTKey") {
			t.Errorf("%s: %v", what, err)
		}
	}
	c := testkit.Config()
	c.PublishableKey, c.SecretKey, c.JWTKey, c.Issuers = "", clerkauth.Secret{}, "", []string{"https://clerk.example.com"}
	if _, err := clerkauth.New(c); err == nil {
		t.Error("empty: no error for a configuration without keys")
	}
}

func firstRequestsTogether(t *testing.T) {
	panics := func(c *clerkauth.Config) {
		next := c.Transport
		c.SecretKey = clerkauth.Secret{} // one source, requested once
		c.Transport = testkit.RoundTripFunc(func(r *http.Request) (*http.Response, error) {
			_, _ = next.RoundTrip(r)
			panic("a malformed response")
		})
	}
	for status, how := range map[int]func(*clerkauth.Config){200: testkit.SlowKeys(3 * time.Second), 503: panics} {
		r := testkit.NewRig(t, how)
		token := r.Jane.Token()
		var all sync.WaitGroup
		for range 1000 {
			all.Go(func() { r.Want(t, token, status, "") })
		}
		all.Wait()
		if n := r.Fetches(); n != 1 {
			t.Errorf("%d: %d fetches, want 1", status, n)
		}
	}
}

func twoCredentialsInAnOutage(t *testing.T) {
	r := testkit.NewRig(t)
	r.Server.Fail(clerkauthtest.JWKS, 500)
	token := r.Jane.Token()
	mux := http.NewServeMux()
	mux.HandleFunc("/public", func(w http.ResponseWriter, r *http.Request) { fmt.Fprint(w, clerkauth.FromContext(r.Context()).Err()) })
	mux.Handle("/guarded", r.Auth.Require().Func(func(w http.ResponseWriter, _ *http.Request) { fmt.Fprint(w, "hello") }))
	server := testkit.NewServer(t, r.Auth.Handler(mux))
	for path, want := range map[string]int{"/public": 200, "/guarded": 503} {
		var all sync.WaitGroup
		for range 50 {
			all.Go(func() {
				request := "GET " + path + " HTTP/1.1\r\nHost: app.example.com\r\nConnection: close\r\nAuthorization: Bearer " + token + "\r\n"
				if got := testkit.Exchange(t, server, request+"Authorization: Bearer "+token+"\r\n\r\n"); len(got) != 1 || got[0].Status != 401 {
					t.Errorf("two: %v", got)
				}
				if got := testkit.Exchange(t, server, request+"\r\n"); len(got) != 1 || got[0].Status != want || strings.Contains(got[0].Body, "hello") {
					t.Errorf("one: %v", got)
				}
			})
		}
		all.Wait()
	}
}
