package testkit

import (
	"bufio"
	"encoding/binary"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"log"
	"net"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"github.com/clerkauth/clerkauth"
	"github.com/clerkauth/clerkauth/clerkauthtest"
)

// Reply is a response as the caller receives it.
type Reply struct {
	Status  int
	Header  http.Header
	Body    string
	Entered bool // the handler behind the guard was reached
}

// Reason returns the reason in a problem's body.
func (r Reply) Reason() string {
	var problem struct{ Reason string }
	_ = json.Unmarshal([]byte(r.Body), &problem)
	return problem.Reason
}

// Bearer adds a token to a request, unless it is "".
func Bearer(token string) func(*http.Request) {
	return func(r *http.Request) {
		if token != "" {
			r.Header.Set("Authorization", "Bearer "+token)
		}
	}
}

// AsPage makes a request one for a document from the application's own host, by a browser
// that the instance knows: in development, another one is sent through a handshake first.
func AsPage(r *http.Request) {
	AsUnknownPage(r)
	KnownBrowser(r)
}

// KnownBrowser adds the cookie that development instances know a browser by.
func KnownBrowser(r *http.Request) { r.AddCookie(&http.Cookie{Name: "__clerk_db_jwt", Value: "db"}) }

// AsUnknownPage is AsPage for a browser without cookies.
func AsUnknownPage(r *http.Request) {
	r.Host = "app.example.com"
	r.Header.Set("Accept", "text/html,application/xhtml+xml")
	r.Header.Set("Sec-Fetch-Dest", "document")
}

// Hello is the handler behind guards: it writes the caller, the method and the request's
// body.
func Hello(w http.ResponseWriter, r *http.Request) {
	body, _ := io.ReadAll(r.Body)
	fmt.Fprintf(w, "hello %s %s %s", clerkauth.FromContext(r.Context()).UserID, r.Method, body)
}

// NoContent is a handler that responds with 204.
func NoContent(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(http.StatusNoContent) }

// Serve sends a request through wrap, which guards Hello, and returns the response.
func Serve(wrap clerkauth.Middleware, edits ...func(*http.Request)) (out Reply) {
	h := wrap.Func(func(w http.ResponseWriter, r *http.Request) {
		out.Entered = true
		Hello(w, r)
	})
	r := httptest.NewRequest(http.MethodGet, "/guarded", nil)
	for _, edit := range edits {
		edit(r)
	}
	w := httptest.NewRecorder()
	h.ServeHTTP(w, r)
	out.Status, out.Header, out.Body = w.Code, w.Header(), w.Body.String()
	return out
}

// WantReply fails tb unless a reply has that status and, unless it is "", that
// reason. The handler must have been reached if and only if the status is 200.
func WantReply(tb testing.TB, got Reply, status int, reason clerkauth.Reason) Reply {
	tb.Helper()
	if got.Status != status || got.Entered != (status == http.StatusOK) || reason != "" && got.Reason() != string(reason) {
		tb.Errorf("%d %s (handler reached: %v), want %d %s", got.Status, strings.TrimSpace(got.Body), got.Entered, status, reason)
	}
	return got
}

// RedirectStatus is the status with which http.ServeMux redirects: 307, and 301 before
// Go 1.26.
var RedirectStatus = func() int {
	mux := http.NewServeMux()
	mux.Handle("/a/", http.NotFoundHandler())
	w := httptest.NewRecorder()
	mux.ServeHTTP(w, httptest.NewRequest("GET", "/a", nil))
	return w.Code
}()

// NoLog discards what servers log about clients that disconnect.
var NoLog = log.New(io.Discard, "", 0)

// NewServer serves h on loopback, HTTP/1.1 and HTTP/2 without TLS.
func NewServer(tb testing.TB, h http.Handler) *httptest.Server {
	tb.Helper()
	server := httptest.NewUnstartedServer(h)
	server.Config.ErrorLog = NoLog
	server.Config.Protocols = new(http.Protocols)
	server.Config.Protocols.SetHTTP1(true)
	server.Config.Protocols.SetUnencryptedHTTP2(true)
	server.Start()
	tb.Cleanup(server.Close)
	return server
}

// PathGuard is a server with rules by path in front of a handler that responds with 204
// to anything.
type PathGuard struct {
	Server  *httptest.Server
	Session *clerkauthtest.Session // an admin's
}

// NewPathGuard returns a PathGuard. Unless it is nil, wrap is applied around the
// rules.
func NewPathGuard(tb testing.TB, rules clerkauth.Rules, wrap func(http.Handler) http.Handler, options ...clerkauth.ProtectOption) PathGuard {
	tb.Helper()
	srv := clerkauthtest.NewServer(tb, clerkauthtest.InMemory())
	protect, err := NewAuth(tb, srv).Protect(rules, options...)
	if err != nil {
		tb.Fatal(err)
	}
	h := protect(http.HandlerFunc(NoContent))
	if wrap != nil {
		h = wrap(h)
	}
	g := PathGuard{httptest.NewServer(h), srv.SignIn(srv.CreateUser("jane@example.com"), clerkauthtest.InOrganization("acme", "org:admin"))}
	tb.Cleanup(g.Server.Close)
	return g
}

// Raw sends a request line as it is and returns the status.
func (g PathGuard) Raw(tb testing.TB, method, target string, signedIn bool, header ...string) int {
	tb.Helper()
	conn, err := net.Dial("tcp", g.Server.Listener.Addr().String())
	if err != nil {
		tb.Fatal(err)
	}
	defer conn.Close()
	_ = conn.SetDeadline(time.Now().Add(10 * time.Second))
	if signedIn {
		header = append(header, "Authorization: Bearer "+g.Session.Token())
	}
	_, err = fmt.Fprintf(conn, "%s %s HTTP/1.1\r\nHost: app.example.com\r\nConnection: close\r\n%s\r\n", method, target, strings.Join(append(header, ""), "\r\n"))
	if err != nil {
		tb.Fatal(err)
	}
	resp, err := http.ReadResponse(bufio.NewReader(conn), nil)
	if err != nil {
		if errors.Is(err, io.EOF) || errors.Is(err, io.ErrUnexpectedEOF) {
			return 0
		}
		tb.Fatal(err)
	}
	defer resp.Body.Close()
	return resp.StatusCode
}

// Exchange sends raw to a server, byte for byte, and reads all replies until the
// server closes the connection. The last request of raw has to contain "Connection:
// close".
func Exchange(tb testing.TB, server *httptest.Server, raw string) []Reply {
	tb.Helper()
	conn, err := net.Dial("tcp", server.Listener.Addr().String())
	if err != nil {
		tb.Fatal(err)
	}
	defer func() { _ = conn.Close() }()
	_ = conn.SetDeadline(time.Now().Add(10 * time.Second))
	if _, err := io.WriteString(conn, raw); err != nil {
		tb.Fatal(err)
	}
	method, _, _ := strings.Cut(raw, " ")
	var replies []Reply
	for in := bufio.NewReader(conn); ; {
		if _, err := in.Peek(1); err != nil {
			return replies
		}
		resp, err := http.ReadResponse(in, &http.Request{Method: method})
		if err != nil {
			tb.Fatalf("%v in the answer to %q", err, raw)
		}
		body, err := io.ReadAll(resp.Body)
		if err != nil {
			tb.Fatal(err)
		}
		replies = append(replies, Reply{resp.StatusCode, resp.Header, string(body), strings.Contains(string(body), "hello ")})
	}
}

// HTTP2Client returns a client that uses HTTP/2 alone, without TLS.
func HTTP2Client(tb testing.TB) *http.Client {
	tb.Helper()
	transport := &http.Transport{Protocols: new(http.Protocols)}
	transport.Protocols.SetUnencryptedHTTP2(true)
	tb.Cleanup(transport.CloseIdleConnections)
	return &http.Client{Transport: transport}
}

// ExchangeHTTP2 sends one request with these fields, valid or not, in frames that
// are written by hand (RFC 9113, RFC 7541 section 6.2.2), and returns the body of
// the response.
func ExchangeHTTP2(tb testing.TB, server *httptest.Server, fields [][2]string) string {
	tb.Helper()
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
		tb.Fatal(err)
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
			tb.Fatalf("%v after %q", err, body)
		}
		payload := make([]byte, binary.BigEndian.Uint32(head)>>8)
		if _, err := io.ReadFull(conn, payload); err != nil {
			tb.Fatal(err)
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
