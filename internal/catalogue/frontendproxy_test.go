package catalogue

import (
	"encoding/json"
	"fmt"
	"io"
	"log/slog"
	"maps"
	"net"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/clerkauth/clerkauth"
	"github.com/clerkauth/clerkauth/clerkauthtest"
	"github.com/clerkauth/clerkauth/internal/testkit"
)

var _ = addRows(rows{
	"289/methods_of_a_proxy":        methodsOfAProxy,
	"289/paths_of_a_proxy":          pathsOfAProxy,
	"289/headers_of_a_proxy":        headersOfAProxy,
	"289/cookies_of_a_proxy":        cookiesOfAProxy,
	"289/addresses_of_a_proxy":      addressesOfAProxy,
	"289/redirects_of_a_proxy":      redirectsOfAProxy,
	"289/secret_of_a_proxy":         secretOfAProxy,
	"289/foreign_key_of_a_proxy":    foreignKeyOfAProxy,
	"289/proxy_url_that_is_guarded": proxyURLThatIsGuarded,
	"289/proxy_without_its_config":  proxyWithoutItsConfig,
})

// frontendHost is where proxies reach the Frontend API.
const frontendHost = "frontend-api.clerk.dev"

// frontend is a server with a proxy of the Frontend API in front of Handler, and a Frontend
// API that records what it receives.
type frontend struct {
	*testkit.Rig
	server *httptest.Server
	log    *testkit.Log
	api    *httptest.Server
	real   *http.Transport

	mu      sync.Mutex
	respond http.HandlerFunc // for the Frontend API, if it is not nil
	got     []received
	hosts   map[string]int // that were called
}

// received is a request as the Frontend API gets it.
type received struct {
	method, target, host string
	header               http.Header
	body                 string
	trailer              http.Header
}

func newFrontend(t *testing.T, change ...func(*clerkauth.Config)) *frontend {
	t.Helper()
	f := &frontend{log: &testkit.Log{}, real: &http.Transport{}, hosts: map[string]int{}}
	t.Cleanup(f.real.CloseIdleConnections)
	f.api = httptest.NewUnstartedServer(http.HandlerFunc(f.record))
	f.api.Config.ErrorLog = testkit.NoLog
	f.api.Start()
	t.Cleanup(f.api.Close)
	f.Rig = testkit.NewRig(t, append([]func(*clerkauth.Config){func(c *clerkauth.Config) {
		c.FrontendURL = ""
		c.Browser.ProxyURL = "/__clerk"
		c.Transport = f.transport(c.Transport)
		c.Logger = slog.New(slog.NewTextHandler(f.log, nil))
	}}, change...)...)
	proxy, err := f.Auth.FrontendAPIProxy()
	if err != nil {
		t.Fatal(err)
	}
	passedOn := http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) { fmt.Fprintf(w, "hello %s", r.URL.Path) })
	f.server = testkit.NewServer(t, proxy(f.Auth.Handler(passedOn)))
	return f
}

// transport carries requests for the Frontend API to that of f, and all others on.
func (f *frontend) transport(next http.RoundTripper) http.RoundTripper {
	return testkit.RoundTripFunc(func(r *http.Request) (*http.Response, error) {
		f.mu.Lock()
		f.hosts[r.URL.Host]++
		f.mu.Unlock()
		if r.URL.Host != frontendHost {
			return next.RoundTrip(r)
		}
		own, u := r.WithContext(r.Context()), *r.URL
		u.Scheme, u.Host = "http", f.api.Listener.Addr().String()
		own.URL = &u
		return f.real.RoundTrip(own)
	})
}

func (f *frontend) record(w http.ResponseWriter, r *http.Request) {
	body, _ := io.ReadAll(r.Body)
	f.mu.Lock()
	f.got = append(f.got, received{r.Method, r.RequestURI, r.Host, r.Header, string(body), r.Trailer})
	respond := f.respond
	f.mu.Unlock()
	if respond != nil {
		respond(w, r)
		return
	}
	fmt.Fprintf(w, "frontend %s", r.URL.Path)
}

// answers makes the Frontend API respond by h.
func (f *frontend) answers(h http.HandlerFunc) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.respond = h
}

// taken returns what the Frontend API received since the last call.
func (f *frontend) taken() []received {
	f.mu.Lock()
	defer f.mu.Unlock()
	got := f.got
	f.got = nil
	return got
}

// send sends a request, byte for byte, and returns the responses and what of it the
// Frontend API received.
func (f *frontend) send(t *testing.T, line string, headers ...string) (testkit.Reply, []received) {
	t.Helper()
	return f.raw(t, request(line, append([]string{"Host: app.example.com"}, headers...)...))
}

func (f *frontend) raw(t *testing.T, raw string) (testkit.Reply, []received) {
	t.Helper()
	replies := testkit.Exchange(t, f.server, raw)
	if len(replies) != 1 {
		t.Fatalf("%.200q: %d replies", raw, len(replies))
	}
	return replies[0], f.taken()
}

// everything sends raw and returns all bytes that come back.
func everything(t *testing.T, server *httptest.Server, raw string) string {
	t.Helper()
	conn, err := net.Dial("tcp", server.Listener.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = conn.Close() }()
	_ = conn.SetDeadline(time.Now().Add(10 * time.Second))
	_, _ = io.WriteString(conn, raw)
	b, err := io.ReadAll(conn)
	if err != nil {
		t.Fatal(err)
	}
	return string(b)
}

// refusedByProxy fails the test unless a reply is an error in the form of the Frontend API.
func refusedByProxy(t *testing.T, what string, got testkit.Reply, status int, code string) {
	t.Helper()
	var body struct {
		Errors []struct{ Code, Message string }
	}
	err := json.Unmarshal([]byte(got.Body), &body)
	if got.Status != status || err != nil || len(body.Errors) != 1 || body.Errors[0].Code != code || body.Errors[0].Message == "" ||
		got.Header.Get("Cache-Control") != "no-store" || got.Header.Get("Content-Type") != "application/json" {
		t.Errorf("%.200q: %v, want %d %s", what, got, status, code)
	}
}

// methodsOfAProxy: a method that is answered with the request itself, or after which no
// request follows, is not forwarded.
func methodsOfAProxy(t *testing.T) {
	f := newFrontend(t)
	for _, method := range []string{"TRACE", "trace", "Trace", "TRACK", "DEBUG", "PROPFIND", "get", "QUERY", "CONNECT"} {
		got, sent := f.send(t, method+" /__clerk/v1/client")
		if refusedByProxy(t, method, got, 405, "proxy_method_not_allowed"); len(sent) != 0 || got.Header.Get("Allow") == "" {
			t.Errorf("%s: sent %v, Allow %q", method, sent, got.Header.Get("Allow"))
		}
	}
	for _, upgrade := range [][]string{
		{"Upgrade: websocket", "Connection: Upgrade"}, {"upgrade: h2c", "Connection: upgrade, HTTP2-Settings", "HTTP2-Settings: AAMAAABkAARAAAAAAAIAAAAA"},
		{"Upgrade: websocket"}, {"Upgrade:", "Connection: Upgrade"}, {"Upgrade: \u00fc", "Connection: Upgrade"},
	} {
		got, sent := f.raw(t, "GET /__clerk/v1/client HTTP/1.1\r\nHost: app.example.com\r\nConnection: close\r\n"+strings.Join(upgrade, "\r\n")+"\r\n\r\n")
		if refusedByProxy(t, upgrade[0], got, 400, "proxy_upgrade_not_allowed"); len(sent) != 0 {
			t.Errorf("%q: sent %v", upgrade, sent)
		}
	}
	if got := testkit.ExchangeHTTP2(t, f.server, [][2]string{{":method", "CONNECT"}, {":authority", "app.example.com:443"}}); strings.Contains(got, "frontend") || len(f.taken()) != 0 {
		t.Errorf("CONNECT by HTTP/2: %q", got)
	}
	for _, method := range []string{"GET", "POST", "PUT", "PATCH", "DELETE", "OPTIONS"} {
		got, sent := f.send(t, method+" /__clerk/v1/client?_method=PATCH", "X-A: b")
		if got.Status != 200 || got.Body != "frontend /v1/client" || len(sent) != 1 || sent[0].method != method || sent[0].target != "/v1/client?_method=PATCH" {
			t.Errorf("%s: %v, %v", method, got, sent)
		}
	}
	f.answers(func(http.ResponseWriter, *http.Request) { panic(http.ErrAbortHandler) })
	got, _ := f.send(t, "POST /__clerk/v1/client")
	refusedByProxy(t, "a connection that is closed", got, 502, "proxy_request_failed")
	// A protocol that nobody asked for.
	f.answers(func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Connection", "Upgrade")
		w.Header().Set("Upgrade", "websocket")
		w.WriteHeader(http.StatusSwitchingProtocols)
	})
	got, _ = f.send(t, "GET /__clerk/v1/client")
	refusedByProxy(t, "101", got, 502, "proxy_request_failed")
}

// pathsOfAProxy: whatever the path is, the host is the Frontend API's.
func pathsOfAProxy(t *testing.T) {
	f := newFrontend(t)
	for _, rest := range []string{
		"//evil.example/steal", "///evil.example", "//evil.example%2fsteal", "/%2fevil.example", "/%2F%2Fevil.example/x", `/\evil.example`, `/\\evil.example/x`, "/%5cevil.example",
		"/%5C%5Cevil.example", "/..", "/../admin", "/../../admin", "/v1/..", "/v1/../x", "/v1/../../admin", "/.", "/./v1", "/v1/./x", "/%2e%2e/admin", "/%2E%2E/", "/.%2e/x", "/%2e",
		"/..%2fadmin", "/..%5cadmin", "/v1%2f..%2fx", "/%252e%252e/admin", "/%252f%252fevil.example", "/..;/admin", "/..;a=b/admin", "/.;/x", "//", "/v1//client", "/v1/client//",
		"/%00", "/v1/%0d%0aHost:%20evil.example", "/v1/%0aX", "/%7f", "/%09", "/%ff", "/%c0%ae%c0%ae/x", "/%e0%80%ae/", "/v1%3fx", "/v1%23x", "/v1/%25",
	} {
		got, sent := f.send(t, "GET /__clerk"+rest)
		if refusedByProxy(t, rest, got, 400, "proxy_path_mismatch"); len(sent) != 0 {
			t.Errorf("%s: sent %v", rest, sent)
		}
	}
	// Not the proxy's, and so those of the application.
	for _, target := range []string{
		"/", "/__clerkx", "/__clerk.evil.example/x", "/__clerk@evil.example", "/__clerk:80", "/__CLERK/v1/client", "/%5f_clerk/v1/client", "//__clerk/v1/client", "/x/__clerk/v1/client",
		"/__clerk%2fv1/client", "/__clerk;x/v1", "/x/../__clerk/v1", "//evil.example/__clerk/v1", `/__clerk\v1`, "http://frontend-api.clerk.dev/v1/client",
	} {
		if got, sent := f.send(t, "GET "+target, "X-A: b"); got.Status == 200 && !got.Entered || len(sent) != 0 {
			t.Errorf("%s: %v, sent %v", target, got, sent)
		}
	}
	for target, want := range map[string]string{
		"/__clerk":                                   "/",
		"/__clerk/":                                  "/",
		"/__clerk?a=b":                               "/?a=b",
		"/__clerk/v1/client":                         "/v1/client",
		"/__clerk/v1/client/":                        "/v1/client/",
		"/__clerk/v1/me?x=//evil.example&y=%2e":      "/v1/me?x=//evil.example&y=%2e",
		"/__clerk/v1?a;b=%zz&%":                      "/v1?a;b=%zz&%",
		"/__clerk/v1?a#@evil.example/":               "/v1?a%23@evil.example/",
		"/__clerk/@evil.example/x":                   "/@evil.example/x",
		"/__clerk/:80@evil.example":                  "/:80@evil.example",
		"/__clerk/.evil.example":                     "/.evil.example",
		"/__clerk/http:":                             "/http:",
		"/__clerk/npm/@clerk/clerk-js@6/dist/x.js":   "/npm/@clerk/clerk-js@6/dist/x.js",
		"/__clerk/npm/%40clerk/x%20y":                "/npm/%40clerk/x%20y",
		"/__clerk/.well-known/jwks.json":             "/.well-known/jwks.json",
		"/__clerk/%61/%C3%BC":                        "/%61/%C3%BC",
		"http://evil.example/__clerk/v1/client":      "/v1/client",
		"https://a:b@evil.example/__clerk/v1/client": "/v1/client",
	} {
		got, sent := f.send(t, "GET "+target)
		if got.Status != 200 || len(sent) != 1 || sent[0].target != want || sent[0].host != frontendHost {
			t.Errorf("%s: %v, sent %+v, want %s", target, got, sent, want)
		}
	}
	// What HTTP/1 has no room for comes by HTTP/2.
	for path, want := range map[string]string{
		"/__clerk/v1/x?a HTTP/1.1":      "/v1/x?a%20HTTP/1.1",
		"/__clerk/v1/x?\u00fc":          "/v1/x?%C3%BC",
		"/__clerk/v1/a b":               "/v1/a%20b",
		"/__clerk//evil.example/x":      "",
		"/__clerk/v1/../../x":           "",
		"/__clerk/v1/x?a\r\nHost: evil": "",
		"/__clerk/v1/x\r\nHost: evil":   "",
	} {
		testkit.ExchangeHTTP2(t, f.server, [][2]string{{":method", "GET"}, {":scheme", "http"}, {":authority", "app.example.com"}, {":path", path}})
		sent := f.taken()
		if want == "" && len(sent) != 0 || want != "" && (len(sent) != 1 || sent[0].target != want || sent[0].host != frontendHost) {
			t.Errorf("%q: sent %+v, want %q", path, sent, want)
		}
	}
	for _, hosts := range [][]string{{"Host: a", "Host: b"}, {"Host: evil.example/x"}, {"X-A: b"}} {
		if got, sent := f.raw(t, request("GET /__clerk/v1/client", hosts...)); got.Status != 400 || len(sent) != 0 {
			t.Errorf("%q: %v, sent %v", hosts, got, sent)
		}
	}
	if _, sent := f.raw(t, request("GET /__clerk/v1/client", "Host: evil.example")); len(sent) != 1 || sent[0].host != frontendHost || sent[0].header.Get("X-Forwarded-Host") != "app.example.com" {
		t.Errorf("another host: sent %v", sent)
	}
	if got, sent := f.send(t, "GET /__clerk/v1/client", "X-A: "+strings.Repeat("a", 2<<20)); got.Status != 431 || len(sent) != 0 {
		t.Errorf("a header of 2 MiB: %d, sent %d", got.Status, len(sent))
	}
	for host := range f.hosts {
		if host != frontendHost && host != strings.TrimPrefix(f.Server.Issuer(), "https://") {
			t.Errorf("called %s", host)
		}
	}
}

// headersOfAProxy: what the secret key makes believable comes from the proxy alone.
func headersOfAProxy(t *testing.T) {
	f := newFrontend(t)
	own := http.Header{
		"Clerk-Secret-Key":  {f.Server.SecretKey()},
		"Clerk-Proxy-Url":   {"https://app.example.com/__clerk"},
		"X-Forwarded-For":   {"127.0.0.1"},
		"X-Forwarded-Host":  {"app.example.com"},
		"X-Forwarded-Proto": {"https"},
		"Accept-Encoding":   {"identity"},
	}
	for _, lines := range [][]string{
		{"Clerk-Secret-Key: sk_live_other", "Clerk-Proxy-Url: https://evil.example", "Clerk-Anything: x"},
		{"clerk-secret-key: sk_live_other", "CLERK-PROXY-URL: https://evil.example"},
		{"Clerk_Secret_Key: sk_live_other", "CLERK_PROXY_URL: https://evil.example", "Clerk.Secret.Key: x", "Clerk-Secret_Key: x", "Clerk~Secret~Key: x"},
		{"X-Forwarded-For: 198.51.100.7", "X-Forwarded-Host: evil.example", "X-Forwarded-Proto: http", "X-Forwarded-Port: 1", "X-Forwarded: x", "X-Forwarded-Anything: x"},
		{"X_Forwarded_For: 198.51.100.7", "x-forwarded_host: evil.example"},
		{"Forwarded: for=198.51.100.7;host=evil.example", "X-Real-Ip: 198.51.100.7", "CF-Connecting-IP: 198.51.100.7", "True-Client-Ip: 198.51.100.7", "X-Client-Ip: 198.51.100.7"},
		{"X-Original-Url: /x", "X-Rewrite-Url: /x", "X-HTTP-Method-Override: TRACE", "X-Method-Override: TRACE", "X-Host: evil.example"},
		{"Connection: Clerk-Secret-Key, Clerk-Proxy-Url, X-Forwarded-For, X-Forwarded-Host, Host, Cookie"},
		{"Connection: close, clerk-secret-key", "Keep-Alive: timeout=5", "Proxy-Authorization: Basic eDp5", "Proxy-Connection: keep-alive", "Proxy: http://evil.example", "TE: trailers", "Trailer: Clerk-Secret-Key"},
		{"Expect: 100-continue", "Range: bytes=0-9", "If-Range: x", "Accept-Encoding: gzip, br", "HTTP2-Settings: x"},
		{"X-Amzn-Oidc-Data: x", "X-Goog-Iap-Jwt-Assertion: x", "Cf-Access-Jwt-Assertion: x", "X-Ms-Client-Principal: x", "X-Auth-Request-Email: x"},
		{"Authorization: Basic eDp5"}, {"Authorization: Bearer a", "Authorization: Bearer b"}, {"Authorization: Digest username=x, realm=y"}, {"Authorization: Negotiate abc"},
		{"Referer: javascript:alert(1)"}, {"Referer: x"}, {"Referer: https://a.example", "Referer: https://b.example"},
	} {
		got, sent := f.send(t, "GET /__clerk/v1/client", lines...)
		if got.Status != 200 || len(sent) != 1 {
			t.Errorf("%q: %v, sent %v", lines, got, sent)
			continue
		}
		if !maps.EqualFunc(sent[0].header, own, slices.Equal) {
			t.Errorf("%q: sent %v", lines, sent[0].header)
		}
	}
	// What browsers and Clerk's SDKs send stays, a Referer up to its origin.
	for line, want := range map[string]string{
		"Authorization: Bearer eyJ.a.b":                         "",
		"Authorization: eyJ.a.b":                                "",
		"Referer: https://app.example.com/reset?token=secret#x": "Referer: https://app.example.com/",
		"Referer: https://user:pw@app.example.com/reset":        "Referer: https://app.example.com/",
		"Origin: https://app.example.com":                       "",
		"User-Agent: Mozilla/5.0":                               "",
		"Sec-Fetch-Site: same-origin":                           "",
		"Accept-Language: de":                                   "",
		"If-None-Match: \"a\"":                                  "",
		"X-Mobile: 1":                                           "",
		"Access-Control-Request-Headers: authorization":         "",
		"Content-Type: application/x-www-form-urlencoded":       "",
	} {
		name, value, _ := strings.Cut(strings.TrimSpace(want), ": ")
		if want == "" {
			name, value, _ = strings.Cut(line, ": ")
		}
		if _, sent := f.send(t, "GET /__clerk/v1/client", line); len(sent) != 1 || !slices.Equal(sent[0].header.Values(name), []string{value}) {
			t.Errorf("%q: sent %v", line, sent)
		}
	}
	// A trailer is a header that comes late.
	_, sent := f.send(t, "POST /__clerk/v1/client", "Transfer-Encoding: chunked", "Trailer: Clerk-Secret-Key, X-Forwarded-For\r\nConnection: close\r\n\r\n3\r\na=b\r\n0\r\nClerk-Secret-Key: sk_live_other\r\nX-Forwarded-For: 198.51.100.7\r\n\r\nX: y")
	if len(sent) != 1 || sent[0].body != "a=b" || len(sent[0].trailer) != 0 || !slices.Equal(sent[0].header["Clerk-Secret-Key"], own["Clerk-Secret-Key"]) {
		t.Errorf("trailers: sent %+v", sent)
	}
	// Of the response, too, and what is about another origin.
	f.answers(func(w http.ResponseWriter, _ *http.Request) {
		for name, value := range map[string]string{
			"Connection": "X-Internal", "X-Internal": "x", "Keep-Alive": "timeout=5", "Proxy-Authenticate": "Basic", "Alt-Svc": `h3=":443"`, "Strict-Transport-Security": "max-age=31536000; includeSubDomains",
			"Clear-Site-Data": "*", "Service-Worker-Allowed": "/", "Trailer": "X-Late",
		} {
			w.Header().Set(name, value)
		}
		w.Header().Set("X-Country", "DE")
		w.Header().Set("Cache-Control", "public, max-age=60")
		w.Header()["Set-Cookie"] = []string{"__client=a; Path=/; HttpOnly", "__client_uat=1; Domain=example.com; Path=/", "__client_uat_x=1, 2; Expires=Wed, 21 Oct 2037 07:28:00 GMT"}
		_, _ = io.WriteString(w, "ok")
		w.Header().Set("X-Late", "x")
	})
	got, _ := f.send(t, "GET /__clerk/v1/client")
	for _, name := range []string{"X-Internal", "Keep-Alive", "Proxy-Authenticate", "Alt-Svc", "Strict-Transport-Security", "Clear-Site-Data", "Service-Worker-Allowed", "Trailer", "X-Late"} {
		if got.Header[name] != nil {
			t.Errorf("response has %s: %q", name, got.Header[name])
		}
	}
	if got.Body != "ok" || got.Header.Get("X-Country") != "DE" || got.Header.Get("Cache-Control") != "public, max-age=60" || len(got.Header["Set-Cookie"]) != 3 ||
		got.Header["Set-Cookie"][2] != "__client_uat_x=1, 2; Expires=Wed, 21 Oct 2037 07:28:00 GMT" {
		t.Errorf("response: %v", got)
	}
}

// cookiesOfAProxy: the application's cookies are not for Clerk.
func cookiesOfAProxy(t *testing.T) {
	f := newFrontend(t)
	for line, want := range map[string]string{
		"Cookie: __session=a.b.c; app=1; __session_x1=d; __client=e; __client_uat=1; __client_uat_x=2; __refresh_x=f; __clerk_db_jwt=g; __dev_session=h; csrf=2": "__session=a.b.c; __session_x1=d; __client=e; __client_uat=1; __client_uat_x=2; __refresh_x=f; __clerk_db_jwt=g; __dev_session=h",
		"Cookie: app=1":                  "",
		"Cookie: app=__session=x":        "",
		"Cookie: app=\"__session=x\"":    "",
		"Cookie: app=\"a; __session=x\"": "__session=x\"", // as servers split it
		"Cookie: app=1, __session=x":     "",
		"Cookie: x__session=1; _session=2; __Session=3; __SESSION=4; session=5": "",
		"Cookie: __Host-app=1; __Secure-app=2":                                  "",
		"Cookie: app=1\r\nCookie: __session=a\r\nCookie: app=2; __client=b":     "__session=a; __client=b",
		"Cookie: ;;; =x; ; __session":                                           "__session",
		"Cookie: __session=a=b=\"c\", d":                                        "__session=a=b=\"c\", d",
		"Cookie: __session=a;app=1;__session=b":                                 "__session=a; __session=b",
	} {
		_, sent := f.send(t, "GET /__clerk/v1/client", line)
		if len(sent) != 1 || strings.Join(sent[0].header["Cookie"], "\n") != want {
			t.Errorf("%q: sent %q, want %q", line, sent[0].header["Cookie"], want)
		}
	}
}

// addressesOfAProxy: the client's address is the peer's, or what a trusted proxy says.
func addressesOfAProxy(t *testing.T) {
	direct, behindOne := newFrontend(t), newFrontend(t, loopback)
	for lines, want := range map[string]string{
		"X-A: b":                        "127.0.0.1",
		"X-Forwarded-For: 198.51.100.7": "198.51.100.7",
		"X-Forwarded-For: 203.0.113.9, 198.51.100.7":                            "198.51.100.7",
		"X-Forwarded-For: 198.51.100.7, 127.0.0.1":                              "198.51.100.7",
		"X-Forwarded-For: 203.0.113.9\r\nX-Forwarded-For: 198.51.100.7":         "198.51.100.7",
		"X-Forwarded-For: 198.51.100.7, evil":                                   "127.0.0.1",
		"X-Forwarded-For: 198.51.100.7\r\nForwarded: for=203.0.113.9":           "127.0.0.1",
		"X-Forwarded-For: 2001:db8::7":                                          "2001:db8::7",
		"CF-Connecting-IP: 203.0.113.9\r\nX-Real-IP: 203.0.113.9\r\nX-A: 1":     "127.0.0.1",
		"X-Forwarded-Host: evil.example\r\nX-Forwarded-Proto: http\r\nX-B: 127": "127.0.0.1",
	} {
		for f, want := range map[*frontend]string{direct: "127.0.0.1", behindOne: want} {
			_, sent := f.send(t, "GET /__clerk/v1/client", lines)
			if len(sent) != 1 || !slices.Equal(sent[0].header["X-Forwarded-For"], []string{want}) ||
				sent[0].header.Get("X-Forwarded-Host") != "app.example.com" || sent[0].header.Get("X-Forwarded-Proto") != "https" {
				t.Errorf("%q: sent %v, want %s", lines, sent, want)
			}
		}
	}
}

// redirectsOfAProxy: redirects are the browser's to follow, those to the Frontend API at
// the proxy.
func redirectsOfAProxy(t *testing.T) {
	f := newFrontend(t)
	const proxy = "https://app.example.com/__clerk"
	for location, want := range map[string]string{
		"https://frontend-api.clerk.dev/v1/x?a=b#c":           proxy + "/v1/x?a=b#c",
		"https://FRONTEND-API.clerk.dev:443/v1/x":             proxy + "/v1/x",
		"http://frontend-api.clerk.dev/":                      proxy + "/",
		"https://frontend-api.clerk.dev":                      proxy,
		"https://frontend-api.clerk.dev//evil.example/%2e%2e": proxy + "//evil.example/%2e%2e",
		"/v1/x?y":                       proxy + "/v1/x?y",
		"x":                             proxy + "/v1/client/x",
		"//frontend-api.clerk.dev/v1":   proxy + "/v1",
		"https://app.example.com/after": "",
		"https://evil.example/":         "",
		"//evil.example/":               "",
		"https://frontend-api.clerk.dev.evil.example/":  "",
		"https://frontend-api.clerk.dev:8443/":          "",
		"https://frontend-api.clerk.dev@evil.example/":  "",
		"https://evil.example@frontend-api.clerk.dev/":  "",
		"https://evil.example/?https://" + frontendHost: "",
		"myapp://callback?rotating_token_nonce=x":       "",
		"mailto:x@frontend-api.clerk.dev":               "",
		"https://frontend-api.clerk.dev/%zz":            "",
		"":                                              "",
	} {
		if want == "" {
			want = location
		}
		for _, status := range []int{301, 302, 303, 307, 308, 201} {
			f.answers(func(w http.ResponseWriter, _ *http.Request) {
				w.Header()["Location"] = []string{location}
				w.Header().Add("Set-Cookie", "__client=a")
				w.WriteHeader(status)
			})
			got, sent := f.send(t, "GET /__clerk/v1/client/handshake")
			if got.Status != status || len(sent) != 1 || got.Header.Get("Location") != want || got.Header.Get("Set-Cookie") != "__client=a" {
				t.Errorf("%d %s: %v, sent %d, want %s", status, location, got, len(sent), want)
			}
		}
	}
	for host := range f.hosts {
		if strings.Contains(host, "evil") {
			t.Errorf("called %s", host)
		}
	}
}

// secretOfAProxy: the secret key is in no response and in no log, whatever the Frontend API
// does with the request.
func secretOfAProxy(t *testing.T) {
	f := newFrontend(t)
	secret := f.Server.SecretKey()
	pieces := func(w http.ResponseWriter, sizes ...int) {
		rest := secret
		for _, n := range sizes {
			_, _ = io.WriteString(w, rest[:n])
			_ = http.NewResponseController(w).Flush()
			rest = rest[n:]
		}
		_, _ = io.WriteString(w, rest+"\nafter")
	}
	for what, respond := range map[string]http.HandlerFunc{
		"in a header": func(w http.ResponseWriter, r *http.Request) {
			w.Header().Set("X-Echo", "key "+r.Header.Get("Clerk-Secret-Key"))
		},
		"in a header's name": func(w http.ResponseWriter, r *http.Request) {
			w.Header()["X-"+r.Header.Get("Clerk-Secret-Key")] = []string{"x"}
		},
		"in a cookie": func(w http.ResponseWriter, r *http.Request) {
			w.Header().Add("Set-Cookie", "a=b")
			w.Header().Add("Set-Cookie", "a="+secret)
		},
		"in a redirect": func(w http.ResponseWriter, r *http.Request) {
			http.Redirect(w, r, "https://x.example/?"+secret, http.StatusFound)
		},
		"in a trailer": func(w http.ResponseWriter, r *http.Request) {
			_, _ = io.WriteString(w, "ok")
			w.Header().Set(http.TrailerPrefix+"X-Echo", secret)
		},
		"in a trailer that is announced": func(w http.ResponseWriter, _ *http.Request) {
			w.Header().Set("Trailer", "X-Echo")
			_, _ = io.WriteString(w, "ok")
			w.Header().Set("X-Echo", secret)
		},
		"in early hints": func(w http.ResponseWriter, r *http.Request) {
			w.Header().Set("X-Echo", secret)
			w.WriteHeader(http.StatusEarlyHints)
			w.Header().Del("X-Echo")
		},
		"in a body": func(w http.ResponseWriter, r *http.Request) { _ = r.Header.Write(w) },
		"in a body with its length": func(w http.ResponseWriter, r *http.Request) {
			w.Header().Set("Content-Length", fmt.Sprint(len(secret)))
			_, _ = io.WriteString(w, secret)
		},
		"in two pieces":         func(w http.ResponseWriter, _ *http.Request) { pieces(w, 20) },
		"in pieces of one byte": func(w http.ResponseWriter, _ *http.Request) { pieces(w, slices.Repeat([]int{1}, len(secret))...) },
		"after its own beginning": func(w http.ResponseWriter, _ *http.Request) {
			_, _ = io.WriteString(w, "sk_sk_tsk_test_")
			pieces(w, 1, 2)
		},
		"far behind": func(w http.ResponseWriter, _ *http.Request) {
			_, _ = io.WriteString(w, strings.Repeat("x", 100_000))
			pieces(w)
		},
		"in an error": func(w http.ResponseWriter, _ *http.Request) { http.Error(w, secret, 500) },
	} {
		f.answers(respond)
		conn := everything(t, f.server, request("GET /__clerk/v1/client", "Host: app.example.com"))
		if len(f.taken()) != 1 || strings.Contains(conn, secret) || strings.Contains(conn, secret[:len(secret)-1]) {
			t.Errorf("%s: %.300q", what, conn)
		}
	}
	if strings.Contains(f.log.String(), secret) || strings.Count(f.log.String(), "contained the secret key") != 1 {
		t.Errorf("log: %s", f.log)
	}
	// What only looks like it passes.
	f.answers(func(w http.ResponseWriter, _ *http.Request) { _, _ = io.WriteString(w, secret[:len(secret)-1]) })
	if got, _ := f.send(t, "GET /__clerk/v1/client"); got.Body != secret[:len(secret)-1] {
		t.Errorf("a body that ends like it begins: %q", got.Body)
	}
	if text := fmt.Sprintf("%+v %#v", f.server.Config.Handler, f.Auth); strings.Contains(text, secret) {
		t.Error("the handler prints it")
	}
}

// foreignKeyOfAProxy: a secret key of another instance is not sent.
func foreignKeyOfAProxy(t *testing.T) {
	other := clerkauthtest.NewServer(t, clerkauthtest.InMemory())
	f := newFrontend(t, func(c *clerkauth.Config) {
		c.SecretKey, c.BackendURL = clerkauth.NewSecret(other.SecretKey()), other.URL
		next := c.Transport
		c.Transport = testkit.RoundTripFunc(func(r *http.Request) (*http.Response, error) {
			if "https://"+r.URL.Host == other.Issuer() {
				return other.Transport().RoundTrip(r)
			}
			return next.RoundTrip(r)
		})
	})
	for range 3 {
		got, sent := f.send(t, "GET /__clerk/v1/client")
		if refusedByProxy(t, "foreign", got, 503, "proxy_configuration_error"); len(sent) != 0 || got.Header.Get("Retry-After") == "" {
			t.Errorf("sent %v, Retry-After %q", sent, got.Header.Get("Retry-After"))
		}
	}
	if log := f.log.String(); strings.Count(log, "belongs to another instance") != 1 || strings.Contains(log, other.SecretKey()) {
		t.Errorf("log: %s", log)
	}
}

// proxyURLThatIsGuarded: rules must leave requests for a proxy on this server alone.
func proxyURLThatIsGuarded(t *testing.T) {
	const write = `"/__clerk/{rest...}": clerkauth.Unchecked`
	type rules = clerkauth.Rules
	for what, c := range map[string]struct {
		proxy, public string
		rules         rules
		mount         string
		wrong         string
	}{
		"by default":          {"/__clerk", "", nil, "", write},
		"public":              {"/__clerk", "", rules{"/{rest...}": clerkauth.Public}, "", write},
		"optional":            {"/__clerk", "", rules{"/__clerk/{rest...}": clerkauth.Optional}, "", write},
		"one method":          {"/__clerk", "", rules{"GET /__clerk/{rest...}": clerkauth.Unchecked}, "", write},
		"one part":            {"/__clerk/", "", rules{"/__clerk/v1/{rest...}": clerkauth.Unchecked}, "", write},
		"another host":        {"/__clerk", "", rules{"x.example/__clerk/{rest...}": clerkauth.Unchecked}, "", write},
		"at PublicOrigin":     {"https://app.example.com/__clerk", "https://app.example.com", nil, "", write},
		"below the mount":     {"/app/__clerk", "", nil, "/app", write},
		"unchecked":           {"/__clerk", "", rules{"/__clerk/{rest...}": clerkauth.Unchecked}, "", ""},
		"unchecked, its host": {"/__clerk", "", rules{"app.example.com/__clerk/{rest...}": clerkauth.Unchecked}, "", ""},
		"unchecked, Clerk's":  {"/__clerk", "", rules{"/__clerk/:path*": clerkauth.Unchecked}, "", ""},
		"unchecked, mounted":  {"/app/__clerk", "", rules{"/__clerk/{rest...}": clerkauth.Unchecked}, "/app", ""},
		"on another server":   {"https://clerk-proxy.example.com/__clerk", "https://app.example.com", nil, "", ""},
		"perhaps elsewhere":   {"https://app.example.com/__clerk", "", nil, "", ""},
		"without a path":      {"/", "", nil, "", ""},
		"beside the mount":    {"/__clerk", "", nil, "/app", ""},
	} {
		auth := testkit.NewRig(t, func(config *clerkauth.Config) {
			config.Browser.ProxyURL, config.Browser.PublicOrigin = c.proxy, c.public
		}).Auth
		var options []clerkauth.ProtectOption
		if c.mount != "" {
			options = append(options, clerkauth.Mount(c.mount))
		}
		_, err := auth.Protect(c.rules, options...)
		if c.wrong == "" && err != nil || c.wrong != "" && (err == nil || !strings.Contains(err.Error(), "Browser.ProxyURL") || !strings.Contains(err.Error(), c.wrong)) {
			t.Errorf("%s: %v", what, err)
		}
	}
	// Where a router is outside, the proxy works as the handler of an unchecked route, and
	// no credential is looked at.
	f := newFrontend(t)
	proxy, err := f.Auth.FrontendAPIProxy()
	if err != nil {
		t.Fatal(err)
	}
	mux := f.Auth.NewServeMux()
	mux.Handle("/", clerkauth.SignedIn, http.HandlerFunc(testkit.Hello))
	mux.Handle("/__clerk/", clerkauth.Unchecked, proxy(http.NotFoundHandler()))
	protect, err := f.Auth.Protect(rules{"/__clerk/{rest...}": clerkauth.Unchecked})
	if err != nil {
		t.Fatal(err)
	}
	for what, h := range map[string]http.Handler{"mux": mux, "rules": protect(proxy(http.NotFoundHandler()))} {
		for target, want := range map[string]int{"/__clerk/v1/client": 200, "/other": 401} {
			r := httptest.NewRequest(http.MethodGet, target, nil)
			r.Header.Set("Authorization", "Bearer "+f.Jane.Token(clerkauthtest.WithClaim("iss", "x"))+"x")
			w := httptest.NewRecorder()
			if h.ServeHTTP(w, r); w.Code != want {
				t.Errorf("%s, %s: %d %s", what, target, w.Code, w.Body)
			}
		}
	}
}

// proxyWithoutItsConfig: nothing is proxied without a secret key, a path and an instance.
func proxyWithoutItsConfig(t *testing.T) {
	for what, c := range map[string]struct {
		change func(*clerkauth.Config)
		wrong  []string
	}{
		"complete":                 {func(*clerkauth.Config) {}, nil},
		"no secret key":            {func(c *clerkauth.Config) { c.SecretKey = clerkauth.Secret{} }, []string{"SecretKey"}},
		"no proxy URL":             {func(c *clerkauth.Config) { c.Browser.ProxyURL = "" }, []string{"Browser.ProxyURL: it is missing"}},
		"a proxy URL without path": {func(c *clerkauth.Config) { c.Browser.ProxyURL = "https://app.example.com" }, []string{"Browser.ProxyURL: it has no path"}},
		"the root":                 {func(c *clerkauth.Config) { c.Browser.ProxyURL = "/" }, []string{"Browser.ProxyURL: it has no path"}},
		"no instance": {func(c *clerkauth.Config) { c.Issuers, c.PublishableKey = []string{"https://clerk.example.com"}, "" },
			[]string{"PublishableKey"}},
		"the proxy itself": {func(c *clerkauth.Config) { c.FrontendURL = "https://app.example.com/__clerk/" }, []string{"FrontendURL: it is the proxy"}},
		"nothing": {func(c *clerkauth.Config) {
			c.Issuers, c.PublishableKey, c.SecretKey, c.Browser.ProxyURL = []string{"https://clerk.example.com"}, "", clerkauth.Secret{}, ""
		}, []string{"Browser.ProxyURL", "PublishableKey", "SecretKey"}},
	} {
		config := testkit.Config()
		config.Logger, config.Browser.ProxyURL, config.FrontendURL = slog.New(slog.DiscardHandler), "/__clerk", "https://clerk.example.com"
		c.change(&config)
		auth, err := clerkauth.New(config)
		if err != nil {
			t.Fatalf("%s: %v", what, err)
		}
		proxy, err := auth.FrontendAPIProxy()
		if (err == nil) != (c.wrong == nil) || (proxy == nil) != (err != nil) {
			t.Errorf("%s: %v", what, err)
		}
		for _, wrong := range c.wrong {
			if !strings.Contains(fmt.Sprint(err), wrong) {
				t.Errorf("%s: %v, want %s", what, err, wrong)
			}
		}
	}
}
