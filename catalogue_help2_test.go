package clerkauth_test

import (
	"bufio"
	"crypto/rand"
	"crypto/rsa"
	"encoding/base64"
	"encoding/binary"
	"encoding/json"
	"fmt"
	"io"
	"log"
	"log/slog"
	"maps"
	"math/big"
	"net"
	"net/http"
	"net/http/httptest"
	"runtime"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/clerkauth/clerkauth"
	"github.com/clerkauth/clerkauth/clerkauthtest"
)

// inBubble runs f in virtual time, and then until every fetch has ended by itself.
func inBubble(f func(*testing.T)) func(*testing.T) {
	return func(t *testing.T) {
		synctest.Test(t, func(t *testing.T) {
			f(t)
			time.Sleep(10 * time.Second)
		})
	}
}

// rig is a Clerk instance in memory, an Authenticator for it, and the session of
// a user who is an admin of an organization there.
type rig struct {
	srv  *clerkauthtest.Server
	auth *clerkauth.Authenticator
	jane *clerkauthtest.Session
}

const rigKeyID = "ins_rig"

// RSA keys take their time, so instances share them.
var rigKey, strangeKey = sync.OnceValue(newRSAKey), sync.OnceValue(newRSAKey)

func newRSAKey() *rsa.PrivateKey {
	key, err := rsa.GenerateKey(rand.Reader, 2048)
	if err != nil {
		panic(err)
	}
	return key
}

// newRig makes a rig; change edits the Authenticator's configuration.
func newRig(tb testing.TB, change ...func(*clerkauth.Config)) *rig {
	tb.Helper()
	srv := clerkauthtest.NewServer(tb, clerkauthtest.InMemory(), clerkauthtest.SigningKey(rigKeyID, rigKey()))
	jane := srv.SignIn(srv.CreateUser("jane@example.com"), clerkauthtest.InOrganization("acme", "org:admin"))
	return &rig{srv, newAuthFor(tb, srv, change...), jane}
}

// newAuthFor returns an Authenticator for srv that logs nowhere.
func newAuthFor(tb testing.TB, srv *clerkauthtest.Server, change ...func(*clerkauth.Config)) *clerkauth.Authenticator {
	tb.Helper()
	config := srv.Config()
	config.Logger = slog.New(slog.DiscardHandler)
	for _, c := range change {
		c(&config)
	}
	auth, err := clerkauth.New(config)
	if err != nil {
		tb.Fatal(err)
	}
	return auth
}

// reply is what a caller gets.
type reply struct {
	status  int
	header  http.Header
	body    string
	entered bool // the handler behind the guard was reached
}

// reason is the reason in a problem's body.
func (r reply) reason() string {
	var problem struct{ Reason string }
	_ = json.Unmarshal([]byte(r.body), &problem)
	return problem.Reason
}

// bearer puts a token into a request; "" puts nothing.
func bearer(token string) func(*http.Request) {
	return func(r *http.Request) {
		if token != "" {
			r.Header.Set("Authorization", "Bearer "+token)
		}
	}
}

// asPage makes a request one for a document, from the app's own host.
func asPage(r *http.Request) {
	r.Host = "app.example.com"
	r.Header.Set("Accept", "text/html,application/xhtml+xml")
	r.Header.Set("Sec-Fetch-Dest", "document")
}

// hello is the handler behind guards: it says to whom, how and what he has said.
func hello(w http.ResponseWriter, r *http.Request) {
	said, _ := io.ReadAll(r.Body)
	fmt.Fprintf(w, "hello %s %s %s", clerkauth.FromContext(r.Context()).UserID, r.Method, said)
}

// ask sends a request through wrap, behind which is hello.
func ask(wrap clerkauth.Middleware, edits ...func(*http.Request)) (out reply) {
	h := wrap.Func(func(w http.ResponseWriter, r *http.Request) {
		out.entered = true
		hello(w, r)
	})
	r := httptest.NewRequest(http.MethodGet, "/guarded", nil)
	for _, edit := range edits {
		edit(r)
	}
	w := httptest.NewRecorder()
	h.ServeHTTP(w, r)
	out.status, out.header, out.body = w.Code, w.Header(), w.Body.String()
	return out
}

// want sends token to a guard with these demands. The status must be that one,
// the handler reached for 200 alone, and the reason that one unless it is "".
func (r *rig) want(t *testing.T, token string, status int, reason clerkauth.Reason, demands ...clerkauth.Access) reply {
	t.Helper()
	return wantReply(t, ask(r.auth.Require(demands...), bearer(token)), status, reason)
}

func wantReply(t *testing.T, got reply, status int, reason clerkauth.Reason) reply {
	t.Helper()
	if got.status != status || got.entered != (status == http.StatusOK) || reason != "" && got.reason() != string(reason) {
		t.Errorf("%d %s (handler reached: %v), want %d %s", got.status, strings.TrimSpace(got.body), got.entered, status, reason)
	}
	return got
}

// fetches is how often the instance was asked for its keys.
func (r *rig) fetches() int { return r.srv.Requests(clerkauthtest.JWKS) }

// refreshes is how often keys were fetched: each time the Backend API's set is asked
// for first.
func (r *rig) refreshes() int { return r.srv.Requests(clerkauthtest.BackendJWKS) }

// withKeyID returns token under another key id, its signature as it was: for
// tokens that are refused before anything is verified.
func withKeyID(token, kid string) string {
	_, rest, _ := strings.Cut(token, ".")
	header, err := json.Marshal(map[string]string{"alg": "RS256", "typ": "JWT", "kid": kid})
	if err != nil {
		panic(err)
	}
	return base64.RawURLEncoding.EncodeToString(header) + "." + rest
}

// jwk returns a key of a set, changed as told; a nil value removes a member.
func jwk(kid string, key *rsa.PublicKey, change map[string]any) map[string]any {
	m := map[string]any{"kty": "RSA", "use": "sig", "alg": "RS256", "kid": kid, "n": uintOf(key.N), "e": uintOf(big.NewInt(int64(key.E)))}
	maps.Copy(m, change)
	maps.DeleteFunc(m, func(_ string, v any) bool { return v == nil })
	return m
}

// uintOf is a Base64urlUInt (RFC 7518 section 2).
func uintOf(n *big.Int) string { return base64.RawURLEncoding.EncodeToString(n.Bytes()) }

// keySet is the body of a key set.
func keySet(keys ...map[string]any) []byte {
	b, err := json.Marshal(map[string]any{"keys": keys})
	if err != nil {
		panic(err)
	}
	return b
}

// roundTripper is a transport that is a function.
type roundTripper func(*http.Request) (*http.Response, error)

func (f roundTripper) RoundTrip(r *http.Request) (*http.Response, error) { return f(r) }

// slowly lets the one source of keys there is answer after that time.
func slowly(after time.Duration) func(*clerkauth.Config) {
	return func(c *clerkauth.Config) {
		next := c.Transport
		c.SecretKey = clerkauth.Secret{} // of two sources, the first has half of the time
		c.Transport = roundTripper(func(r *http.Request) (*http.Response, error) {
			select {
			case <-time.After(after):
				return next.RoundTrip(r)
			case <-r.Context().Done():
				return nil, r.Context().Err()
			}
		})
	}
}

// answering is a transport on which everything is answered like that, from a body
// that may be long.
func answering(status int, header http.Header, body io.Reader) http.RoundTripper {
	return roundTripper(func(r *http.Request) (*http.Response, error) {
		return &http.Response{StatusCode: status, ProtoMajor: 1, ProtoMinor: 1, Header: header, Body: io.NopCloser(body), ContentLength: -1, Request: r}, nil
	})
}

// quiet takes what servers say about clients that went away.
var quiet = log.New(io.Discard, "", 0)

// newWire serves h on loopback, HTTP/1.1 and HTTP/2 without TLS.
func newWire(tb testing.TB, h http.Handler) *httptest.Server {
	tb.Helper()
	server := httptest.NewUnstartedServer(h)
	server.Config.ErrorLog = quiet
	server.Config.Protocols = new(http.Protocols)
	server.Config.Protocols.SetHTTP1(true)
	server.Config.Protocols.SetUnencryptedHTTP2(true)
	server.Start()
	tb.Cleanup(server.Close)
	return server
}

// exchange sends raw to a server, byte for byte, and reads every answer until the
// server closes the connection, which raw has to ask for.
func exchange(t *testing.T, server *httptest.Server, raw string) []reply {
	t.Helper()
	conn, err := net.Dial("tcp", server.Listener.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = conn.Close() }()
	_ = conn.SetDeadline(time.Now().Add(10 * time.Second))
	if _, err := io.WriteString(conn, raw); err != nil {
		t.Fatal(err)
	}
	method, _, _ := strings.Cut(raw, " ")
	var replies []reply
	for in := bufio.NewReader(conn); ; {
		if _, err := in.Peek(1); err != nil {
			return replies
		}
		resp, err := http.ReadResponse(in, &http.Request{Method: method})
		if err != nil {
			t.Fatalf("%v in the answer to %q", err, raw)
		}
		body, err := io.ReadAll(resp.Body)
		if err != nil {
			t.Fatal(err)
		}
		replies = append(replies, reply{resp.StatusCode, resp.Header, string(body), strings.Contains(string(body), "hello ")})
	}
}

// atMost polls until there are no more than n goroutines.
func atMost(t *testing.T, n int) {
	t.Helper()
	for deadline := time.Now().Add(10 * time.Second); runtime.NumGoroutine() > n; runtime.Gosched() {
		if time.Now().After(deadline) {
			stacks := make([]byte, 1<<18)
			t.Fatalf("%d goroutines, want no more than %d:\n%s", runtime.NumGoroutine(), n, stacks[:runtime.Stack(stacks, true)])
		}
	}
}

// exchangeHTTP2 sends one request of these fields, whatever they are, in frames
// that are written by hand (RFC 9113, RFC 7541 section 6.2.2), and returns the
// body of the answer.
func exchangeHTTP2(t *testing.T, server *httptest.Server, fields [][2]string) string {
	t.Helper()
	var block []byte
	for _, field := range fields {
		block = append(block, 0) // literal, not indexed
		for _, s := range field {
			if len(s) < 127 {
				block = append(block, byte(len(s)))
			} else {
				block = binary.AppendUvarint(append(block, 127), uint64(len(s)-127))
			}
			block = append(block, s...)
		}
	}
	frame := func(kind, flags byte, stream uint32, payload []byte) []byte {
		head := binary.BigEndian.AppendUint32(nil, uint32(len(payload))<<8|uint32(kind))
		return append(binary.BigEndian.AppendUint32(append(head, flags), stream), payload...)
	}
	conn, err := net.Dial("tcp", server.Listener.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = conn.Close() }()
	_ = conn.SetDeadline(time.Now().Add(10 * time.Second))
	const data, headers, reset, settings, goAway, endStream, endHeaders = 0, 1, 3, 4, 7, 1, 4
	_, _ = io.WriteString(conn, "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n")
	_, _ = conn.Write(frame(settings, 0, 0, nil))
	_, _ = conn.Write(frame(headers, endStream|endHeaders, 1, block))
	var body []byte
	for head := make([]byte, 9); ; {
		if _, err := io.ReadFull(conn, head); err != nil {
			t.Fatalf("%v after %q", err, body)
		}
		payload := make([]byte, binary.BigEndian.Uint32(head)>>8)
		if _, err := io.ReadFull(conn, payload); err != nil {
			t.Fatal(err)
		}
		kind, flags := head[3], head[4]
		if kind == data {
			body = append(body, payload...)
		}
		if kind == reset || kind == goAway || (kind == data || kind == headers) && flags&endStream != 0 {
			return string(body)
		}
	}
}
