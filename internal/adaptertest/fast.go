package adaptertest

import (
	"bufio"
	"bytes"
	"context"
	"crypto/tls"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/clerkauth/clerkauth"
	"github.com/clerkauth/clerkauth/clerkauthtest"
	"github.com/clerkauth/clerkauth/event"
)

// Fast is the adapter of a framework on fasthttp, whose requests are not net/http's.
type Fast struct {
	// Serve serves an app with the framework until the test ends, over TLS if config
	// is not nil, and returns its address: host:port. GET /open is public. All methods
	// of /orgs/{slug}, and of every other path, require the requirements.
	Serve func(t *testing.T, option string, config *tls.Config, auth *clerkauth.Authenticator, requirements ...clerkauth.Access) string
	// Options are names of the framework's options for Serve.
	Options []string
	// Webhook serves hooks at /webhooks/clerk for all methods until the test ends, with
	// or without bodies as streams, and returns its address: host:port.
	Webhook func(t *testing.T, hooks *clerkauth.Webhook, streams bool) string
	// Rejects are the malformed requests that fasthttp rejects by itself.
	Rejects []string
}

// RunFast runs every rule for frameworks on fasthttp as a subtest.
func RunFast(t *testing.T, f Fast) {
	for _, rule := range []struct {
		name string
		test func(*testing.T, Fast)
	}{
		{"RequestIsAsInNetHTTP", requestIsAsInNetHTTP},
		{"RequestIsACopy", requestIsACopy},
		{"MalformedRequests", malformedRequests},
		{"TLS", returnsToTLS},
		{"WebhookIsAsInNetHTTP", webhookIsAsInNetHTTP},
	} {
		t.Run(rule.name, func(t *testing.T) { rule.test(t, f) })
	}
}

// dump returns what a guard reads of a request.
func dump(r *http.Request) string {
	header := r.Header.Clone()
	if cookies := header["Cookie"]; cookies != nil {
		header["Cookie"] = []string{strings.Join(cookies, "; ")} // fasthttp's are one line (RFC 9113 section 8.2.3 allows it)
	}
	header.Del("Content-Length") // fasthttp has it where there is no body
	return fmt.Sprintf("%s %#v %q %s %s %d.%d %q tls=%v", r.Method, *r.URL, r.RequestURI, r.Host, r.Proto, r.ProtoMajor, r.ProtoMinor,
		header, r.TLS != nil)
}

// requestIsAsInNetHTTP sends the same bytes to the framework and to net/http. Guards must
// read the same in both, and what net/http rejects must reach no handler.
func requestIsAsInNetHTTP(t *testing.T, f Fast) {
	_, srv := NewApp(t)
	token := srv.SignIn(srv.CreateUser("jane@example.com")).Token()
	config := srv.Config()
	config.ErrorHandler = func(w http.ResponseWriter, r *http.Request, err *clerkauth.Error) {
		w.WriteHeader(err.Status)
		fmt.Fprint(w, dump(r))
	}
	auth := NewAuth(t, config)
	nobody := clerkauth.CheckFunc("nobody", func(context.Context, clerkauth.Auth) (bool, error) { return false, nil })
	netHTTP := httptest.NewServer(auth.Require(nobody).Func(func(http.ResponseWriter, *http.Request) {}))
	defer netHTTP.Close()
	for _, option := range f.Options {
		address := f.Serve(t, option, nil, auth, nobody)
		for _, message := range []string{
			"GET / HTTP/1.1\nHost: app.example.com",
			"GET /a?b=c%20d&e HTTP/1.1\nHost: app.example.com:8080",
			"DELETE //a//b/../%2e%2e/%2f;c?d HTTP/1.1\nHost: a",
			"GET http://other.example/a HTTP/1.1\nHost: app.example.com",
			"GET http://other.example HTTP/1.1\nHost: app.example.com",
			"GET / HTTP/1.0\nHost: a",
			"HEAD / HTTP/1.1\nHost: a",
			"GET / HTTP/1.1\nhost: a\nACCEPT: b\nx-y_z: c\nX-Y_Z: d\nUser-Agent: e\nContent-Type: f\nReferer: ",
			"GET / HTTP/1.1\nHost: a\nCookie: b=c; d=e\nCookie: b=f",
			"GET / HTTP/1.1\nHost: a\nAuthorization: Bearer " + token,
			"GET / HTTP/1.1\nHost: a\nauthorization: Bearer " + token,
			"GET / HTTP/1.1\nHost: a\nAuthorization: Bearer " + token + "\nAuthorization: Bearer " + token,
			"GET / HTTP/1.1\nHost: a\nAuthorization: Bearer " + token + "\naUTHORIZATION: ",
			"GET / HTTP/1.1\nHost: a\nAuthorization: Bearer\t" + token,
			"GET / HTTP/1.1\nHost: a\nAuthorization:   Bearer " + token + "  ",
			"GET / HTTP/1.1\nHost: a\nAuthorization : Bearer " + token,
			"GET / HTTP/1.1\nHost: a\nAuthori zation: Bearer " + token,
			"GET /%zz HTTP/1.1\nHost: a",
			"GET /% HTTP/1.1\nHost: a",
			"GET a/b HTTP/1.1\nHost: a",
			"GET http://[ HTTP/1.1\nHost: a",
		} {
			message = strings.ReplaceAll(message, "\n", "\r\n") + "\r\nConnection: close\r\n\r\n"
			want, wantBody := sendRaw(t, netHTTP.Listener.Addr().String(), message)
			got, gotBody := sendRaw(t, address, message)
			if got.StatusCode != want.StatusCode || gotBody != wantBody && got.StatusCode != http.StatusBadRequest {
				t.Errorf("%s: %.80q:\ngot  %d %s\nwant %d %s", option, message, got.StatusCode, gotBody, want.StatusCode, wantBody)
			}
		}
	}
}

// sendRaw sends a message unchanged on a connection of its own.
func sendRaw(t *testing.T, address, message string) (*http.Response, string) {
	t.Helper()
	conn, err := net.Dial("tcp", address)
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	return exchange(t, conn, bufio.NewReader(conn), message)
}

// SendOn makes a GET request with header lines on a connection that remains open, and
// returns the response and its body.
func SendOn(t *testing.T, conn net.Conn, path, header string) (*http.Response, string) {
	t.Helper()
	return exchange(t, conn, bufio.NewReader(conn), "GET "+path+" HTTP/1.1\r\nHost: a\r\n"+header+"\r\n\r\n")
}

// exchange sends a message and reads the response.
func exchange(t *testing.T, conn net.Conn, from *bufio.Reader, message string) (*http.Response, string) {
	t.Helper()
	if err := conn.SetDeadline(time.Now().Add(30 * time.Second)); err != nil {
		t.Fatal(err)
	}
	if _, err := io.WriteString(conn, message); err != nil {
		t.Fatal(err)
	}
	method, _, _ := strings.Cut(message, " ")
	resp, err := http.ReadResponse(from, &http.Request{Method: method})
	if err != nil {
		t.Fatalf("%.80q: %v", message, err)
	}
	defer resp.Body.Close()
	body, err := io.ReadAll(resp.Body)
	if err != nil {
		t.Fatal(err)
	}
	return resp, string(body)
}

// requestIsACopy keeps requests, and reads them again after fasthttp has reused their
// memory.
func requestIsACopy(t *testing.T, f Fast) {
	_, srv := NewApp(t)
	type kept struct {
		r    *http.Request
		then string
	}
	var all []kept // by one connection: one request at a time
	look := func(r *http.Request) string { return dump(r) + r.PathValue("slug") + r.RemoteAddr }
	config := srv.Config()
	config.ErrorHandler = func(w http.ResponseWriter, r *http.Request, _ *clerkauth.Error) {
		all = append(all, kept{r, strings.Clone(look(r))})
		w.WriteHeader(http.StatusForbidden)
	}
	conn, err := net.Dial("tcp", f.Serve(t, f.Options[0], nil, NewAuth(t, config)))
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	reader := bufio.NewReader(conn)
	for i := range 10 {
		c := strings.Repeat(string(rune('a'+i)), 8)
		exchange(t, conn, reader, fmt.Sprintf("%s /orgs/%s?%s HTTP/1.1\r\nHost: %s\r\nX-%s: %s\r\nCookie: %s=%s\r\nAuthorization: %s\r\n\r\n",
			[]string{"GET", "PUT"}[i%2], c, c, c, c, c, c, c, c))
	}
	if len(all) != 10 {
		t.Fatalf("%d requests were seen", len(all))
	}
	for _, k := range all {
		if now := look(k.r); now != k.then || !strings.Contains(now, k.r.PathValue("slug")+"?") {
			t.Errorf("the request has become\n%s\nfrom\n%s", now, k.then)
		}
	}
}

// malformedRequests sends what net/http rejects: guards reject it where fasthttp does not.
func malformedRequests(t *testing.T, f Fast) {
	a, _ := NewApp(t)
	address := f.Serve(t, f.Options[0], nil, a.Auth, clerkauth.Public)
	for rule, head := range map[string]string{
		"two hosts":          "HTTP/1.1\r\nHost: a\r\nhost: b\r\n",
		"no host":            "HTTP/1.1\r\n",
		"a space in a name":  "HTTP/1.1\r\nHost: a\r\nX Y: 1\r\n",
		"an unknown version": "HTTP/9.9\r\nHost: a\r\n",
	} {
		open := http.StatusOK
		if slices.Contains(f.Rejects, rule) {
			open = http.StatusBadRequest
		}
		for path, status := range map[string]int{"/open": open, "/guarded": http.StatusBadRequest} {
			resp, _ := sendRaw(t, address, "GET "+path+" "+head+"Connection: close\r\n\r\n")
			if resp.StatusCode != status {
				t.Errorf("%s: %s: status %d", rule, path, resp.StatusCode)
			}
		}
	}
}

// returnsToTLS: a guard redirects people back to https, which the request came by.
func returnsToTLS(t *testing.T, f Fast) {
	_, srv := NewApp(t)
	secure := httptest.NewUnstartedServer(nil) // for its certificate
	secure.StartTLS()
	defer secure.Close()
	config := srv.Config()
	config.AuthorizedParties, config.InsecureAnyParty = nil, true
	address := f.Serve(t, f.Options[0], secure.TLS, NewAuth(t, config))
	client := secure.Client()
	defer client.CloseIdleConnections()
	client.CheckRedirect = func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }
	req, err := http.NewRequest("GET", "https://"+address+"/dashboard", nil)
	if err != nil {
		t.Fatal(err)
	}
	req.Header.Set("Accept", "text/html")
	req.Header.Set("Cookie", "__clerk_db_jwt=db") // of a browser that the instance knows
	resp, err := client.Do(req)
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	to, err := resp.Location()
	if err != nil {
		t.Fatal(err)
	}
	if back := to.Query().Get("redirect_url"); resp.StatusCode != 303 || back != "https://"+address+"/dashboard" {
		t.Errorf("status %d, return URL %q", resp.StatusCode, back)
	}
}

// NewHooks returns a webhook endpoint of srv's.
func NewHooks(t *testing.T, srv *clerkauthtest.Server) *clerkauth.Webhook {
	t.Helper()
	hooks, err := clerkauth.NewWebhook(clerkauth.WebhookConfig{Secrets: []clerkauth.Secret{clerkauth.NewSecret(srv.WebhookSecret())}, Now: srv.Now})
	if err != nil {
		t.Fatal(err)
	}
	return hooks
}

// webhookIsAsInNetHTTP makes deliveries, and compares a refusal with net/http's.
func webhookIsAsInNetHTTP(t *testing.T, f Fast) {
	srv := clerkauthtest.NewServer(t)
	hooks := NewHooks(t, srv)
	handled := 0
	hooks.OnAny(func(context.Context, *event.Raw) error { handled++; return nil })
	jane := srv.CreateUser("jane@example.com")
	for _, streams := range []bool{false, true} {
		base := "http://" + f.Webhook(t, hooks, streams)
		for _, test := range []struct {
			rule, method string
			change       func(header map[string][]string, body []byte) []byte
			status       int
		}{
			{"a delivery is handled", "POST", func(_ map[string][]string, body []byte) []byte { return body }, 204},
			{"another body is rejected", "POST", func(_ map[string][]string, body []byte) []byte { return append(body, ' ') }, 400},
			{"another signature is rejected", "POST", func(h map[string][]string, body []byte) []byte { h["Svix-Signature"] = []string{"v1,x"}; return body }, 400},
			{"another method is rejected", "PUT", func(_ map[string][]string, body []byte) []byte { return body }, 405},
		} {
			r := srv.NewDelivery("user.created", jane).Request(base + "/webhooks/clerk")
			var body bytes.Buffer
			if _, err := body.ReadFrom(r.Body); err != nil {
				t.Fatal(err)
			}
			sent := test.change(r.Header, body.Bytes())
			var lines []string
			for name := range r.Header {
				lines = append(lines, name+": "+r.Header.Get(name))
			}
			was := handled
			got, gotBody := Send(t, base, test.method, "/webhooks/clerk", lines, string(sent))
			if got.StatusCode != test.status || (handled > was) != (test.status == 204) {
				t.Errorf("streams %v, %s: status %d, handled %d", streams, test.rule, got.StatusCode, handled-was)
			}
			want := httptest.NewRecorder()
			hooks.ServeHTTP(want, httptest.NewRequest("PUT", "/", nil))
			if test.status == 405 && (gotBody != want.Body.String() || got.Header.Get("Allow") != "POST" || got.Header.Get("Cache-Control") != "no-store") {
				t.Errorf("streams %v, %s: %q %q", streams, test.rule, got.Header, gotBody)
			}
		}
	}
}
