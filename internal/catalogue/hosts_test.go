package catalogue

import (
	"bytes"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"github.com/clerkauth/clerkauth"
	"github.com/clerkauth/clerkauth/clerkauthtest"
	"github.com/clerkauth/clerkauth/internal/testkit"
)

// These rows test hosts in rules, and patterns.
var _ = addRows(rows{
	"245/host_with_more_than_a_port": parts{"Protect": malformedHostsAndProtect, "mux": malformedHostsAndMux}.run,
	"246/url_of_another_host":        parts{"URL": otherURLHost, "HTTP_2": otherURLHostOverHTTP2}.run,
	"247/open_host":                  parts{"readings": openHosts, "weaker_rule": weakerHostRule, "warning": hostWarnings}.run,
	"248/negated_class":              negatedClasses,
	"249/two_more_readings":          parts{"extension": extensions, "empty_segment": emptySegments}.run,
	"256/many_rules":                 manyRules,
})

// hostGuard is a server with rules in front of a handler that responds with 204, and
// a session of an admin.
type hostGuard struct {
	handler http.Handler
	session *clerkauthtest.Session
}

func newHostGuard(t *testing.T, rules clerkauth.Rules, configure ...func(*clerkauth.Config)) hostGuard {
	t.Helper()
	srv := clerkauthtest.NewServer(t, clerkauthtest.InMemory())
	protect, err := testkit.NewAuth(t, srv, configure...).Protect(rules)
	if err != nil {
		t.Fatal(err)
	}
	return hostGuard{protect.Func(testkit.NoContent), srv.SignIn(srv.CreateUser("jane@example.com"), clerkauthtest.InOrganization("acme", "org:admin"))}
}

// serve returns the status for an anonymous caller, or for the admin.
func (g hostGuard) serve(host, path string, signedIn bool) int {
	r := hostRequest(host, path)
	if signedIn {
		g.session.Authorize(r)
	}
	rec := httptest.NewRecorder()
	g.handler.ServeHTTP(rec, r)
	return rec.Code
}

func hostRequest(host, path string) *http.Request {
	r := httptest.NewRequest(http.MethodGet, path, nil)
	r.Host = host
	return r
}

// malformedHosts returns hosts that are not valid but that some program reads as
// name.
func malformedHosts(name string) []string {
	return []string{name + ":80:90", name + "::", name + ":]", name + ":80]", name + ":x", name + ":-1", name + ":+80", name + ": 80", name + " ", name + "/x",
		"[" + name + "]", "[" + name + "]:80", "[" + name, name + "]", "user@" + name, "user:80@" + name, name + "@80", name + "#", name + "?", name + "\\", name + ",x",
		name + "%2e", "%61" + name[1:], "." + name, strings.Replace(name, ".", "..", 1), ".", "..:80", ":80", "[::1%25eth0]", "[::1%eth0]:80", "[::1]80", "[::1]:80:90", "[1.2.3.4]", "[]",
		"\u212aelvin.example", strings.Replace(name, "a", "\uff41", 1)}
}

// spellings returns spellings of a name that some programs take for it and others
// for another name.
func spellings(name string) []string {
	return []string{name + ":", name + ":0", name + ":1", name + ":80", name + ":080", name + ":99999", name + ":18446744073709551696",
		strings.ToUpper(name), name + ".", name + "..", name + "....:80", strings.ToUpper(name[:1]) + name[1:] + ".:443"}
}

// parts are the subtests of a row.
type parts rows

func (p parts) run(t *testing.T) {
	for name, part := range p {
		t.Run(name, part)
	}
}

func malformedHostsAndProtect(t *testing.T) {
	g := newHostGuard(t, clerkauth.Rules{"/{rest...}": clerkauth.Public, "admin.example.com/{rest...}": clerkauth.Role("org:admin")})
	for host, want := range map[string]int{"www.example.com": 204, "www.example.com:8080": 204, "": 204, "admin.example.com": 401} {
		if got := g.serve(host, "/x", false); got != want {
			t.Errorf("%q: %d, want %d", host, got, want)
		}
	}
	for _, host := range spellings("admin.example.com") {
		if got := g.serve(host, "/x", false); got != 401 {
			t.Errorf("%q: %d, want 401", host, got)
		}
		if got := g.serve(host, "/x", true); got != 204 {
			t.Errorf("%q for the admin: %d", host, got)
		}
	}
	for _, host := range malformedHosts("admin.example.com") {
		if got := g.serve(host, "/x", true); got != 400 {
			t.Errorf("%q: %d, want 400", host, got)
		}
	}
	// Rules without hosts do not check the host.
	g = newHostGuard(t, clerkauth.Rules{"/{rest...}": clerkauth.Public})
	for _, host := range append(malformedHosts("admin.example.com"), spellings("admin.example.com")...) {
		if got := g.serve(host, "/x", false); got != 204 {
			t.Errorf("no rule for a host, %q: %d", host, got)
		}
	}
}

func malformedHostsAndMux(t *testing.T) {
	a := testkit.NewAuth(t, clerkauthtest.NewServer(t, clerkauthtest.InMemory()))
	mux, hostless := a.NewServeMux(), a.NewServeMux()
	mux.HandleFunc("/", clerkauth.Public, testkit.NoContent)
	hostless.HandleFunc("/", clerkauth.Public, testkit.NoContent)
	mux.HandleFunc("admin.example.com/", clerkauth.SignedIn, testkit.NoContent)
	mux.HandleFunc("docs.example.com/", clerkauth.Public, testkit.NoContent)
	serve := func(mux http.Handler, host string) int {
		rec := httptest.NewRecorder()
		mux.ServeHTTP(rec, hostRequest(host, "/x"))
		return rec.Code
	}
	for host, want := range map[string]int{"": 204, "www.example.com": 204, "WWW.example.com.:80": 204, "[::1]:8080": 204, "docs.example.com:80": 204, "Docs.example.com": 204,
		"admin.example.com": 401, "admin.example.com:8080": 401} {
		if got := serve(mux, host); got != want {
			t.Errorf("%q: %d, want %d", host, got, want)
		}
	}
	for _, host := range malformedHosts("admin.example.com") {
		if got := serve(mux, host); got != 400 {
			t.Errorf("%q: %d, want 400", host, got)
		}
		if got := serve(hostless, host); got != 204 {
			t.Errorf("no pattern with a host, %q: %d", host, got)
		}
	}
	for _, host := range spellings("admin.example.com") {
		if got := serve(mux, host); got != 400 && got != 401 {
			t.Errorf("%q: %d, want 400 or 401", host, got)
		}
	}
	for pattern, message := range map[string]string{"admin.example.com:80/": "write admin.example.com", "GET Admin.example.com/": "write admin.example.com",
		"GET\tadmin.example.com./": "write admin.example.com", "[::1]/": "leave the host out"} {
		func() {
			defer func() {
				if e := fmt.Sprint(recover()); !strings.Contains(e, message) {
					t.Errorf("%q panics with %s", pattern, e)
				}
			}()
			a.NewServeMux().HandleFunc(pattern, clerkauth.SignedIn, testkit.NoContent)
		}()
	}
}

func otherURLHost(t *testing.T) {
	a := testkit.NewAuth(t, clerkauthtest.NewServer(t, clerkauthtest.InMemory()))
	rules := clerkauth.Rules{"/{rest...}": clerkauth.Public}
	protect, err := a.Protect(rules)
	if err != nil {
		t.Fatal(err)
	}
	mux := a.NewServeMux()
	mux.HandleFunc("/", clerkauth.Public, testkit.NoContent)
	m, err := clerkauth.NewMatcher("/{rest...}")
	if err != nil {
		t.Fatal(err)
	}
	for _, c := range []struct {
		host, scheme, url string
		same              bool
	}{
		{"www.example.com", "https", "admin.example.com", false},
		{"www.example.com", "", "admin.example.com", false},
		{"", "https", "admin.example.com", false},
		{"www.example.com", "https", "www.example.com:8443", false},
		{"www.example.com", "https", "www.example.com:80", false},
		{"www.example.com:8080", "http", "www.example.com", false},
		{"www.example.com", "https", "www.example.com.", false},
		{"kelvin.example", "http", "\u212aelvin.example", false},
		{"www.example.com", "https", "www.example.com", true},
		{"www.example.com", "https", "WWW.example.com:443", true},
		{"www.example.com:80", "HTTP", "www.example.com", true},
		{"www.example.com:8080", "http", "www.example.com:8080", true},
		{"[::1]:8080", "http", "[::1]:8080", true},
		{"www.example.com:1:2", "http", "www.example.com:1:2", true}, // no rule has a host
	} {
		r := hostRequest(c.host, "/x")
		r.URL.Scheme, r.URL.Host = c.scheme, c.url
		want := map[bool]int{false: 400, true: 204}[c.same]
		for name, h := range map[string]http.Handler{"Protect": protect.Func(testkit.NoContent), "mux": mux} {
			rec := httptest.NewRecorder()
			if h.ServeHTTP(rec, r); rec.Code != want {
				t.Errorf("%s, %s with %s://%s: %d, want %d", name, c.host, c.scheme, c.url, rec.Code, want)
			}
		}
		if !m.Any(r) || m.All(r) != c.same {
			t.Errorf("%s with %s://%s: Any %v, All %v", c.host, c.scheme, c.url, m.Any(r), m.All(r))
		}
		rec := httptest.NewRecorder()
		if a.Require(clerkauth.Public).Func(testkit.NoContent).ServeHTTP(rec, r); rec.Code != 204 {
			t.Errorf("Require is concerned: %d", rec.Code)
		}
	}
}

func otherURLHostOverHTTP2(t *testing.T) {
	a := testkit.NewAuth(t, clerkauthtest.NewServer(t, clerkauthtest.InMemory()))
	protect, err := a.Protect(clerkauth.Rules{"/{rest...}": clerkauth.Public})
	if err != nil {
		t.Fatal(err)
	}
	server := httptest.NewUnstartedServer(protect.Func(testkit.NoContent))
	server.Config.Protocols = new(http.Protocols)
	server.Config.Protocols.SetUnencryptedHTTP2(true)
	server.Start()
	defer server.Close()
	for _, c := range []struct {
		authority, path string
		status          byte // as in HPACK's static table
	}{
		{"www.example.com", "/x", 0x89},
		{"www.example.com", "https://www.example.com/x", 0x89},
		{"www.example.com", "https://admin.example.com/x", 0x8c},
	} {
		got, answered := http2Status(t, server.Listener.Addr().String(), c.authority, c.path)
		if !answered && c.path != "/x" {
			continue // from Go 1.27 on net/http itself rejects an absolute :path
		}
		if got != c.status {
			t.Errorf("%s at %s: status %#x, want %#x", c.path, c.authority, got, c.status)
		}
	}
}

// http2Status sends a GET over HTTP/2 with any :path, and returns the first byte of
// the response's header block. It reports whether there is a response rather than a
// reset stream or a closed connection.
func http2Status(t *testing.T, addr, authority, path string) (status byte, answered bool) {
	t.Helper()
	conn, err := net.Dial("tcp", addr)
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	_ = conn.SetDeadline(time.Now().Add(10 * time.Second))
	var block []byte
	for _, field := range [][2]string{{":method", "GET"}, {":scheme", "https"}, {":authority", authority}, {":path", path}} {
		block = append(block, 0, byte(len(field[0]))) // a literal that is not indexed, RFC 7541 section 6.2.2
		block = append(append(append(block, field[0]...), byte(len(field[1]))), field[1]...)
	}
	const settings, headers, reset, goAway = 4, 1, 3, 7
	hello := append([]byte("PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"), 0, 0, 0, settings, 0, 0, 0, 0, 0)
	hello = append(append(hello, 0, 0, byte(len(block)), headers, 5 /* END_STREAM, END_HEADERS */, 0, 0, 0, 1), block...)
	if _, err := conn.Write(hello); err != nil {
		t.Fatal(err)
	}
	for {
		var frame [9]byte
		if _, err := io.ReadFull(conn, frame[:]); err != nil {
			t.Fatal(err)
		}
		body := make([]byte, int(frame[0])<<16|int(frame[1])<<8|int(frame[2]))
		if _, err := io.ReadFull(conn, body); err != nil {
			t.Fatal(err)
		}
		switch frame[3] {
		case headers:
			return body[0], true
		case reset, goAway:
			return 0, false
		}
	}
}

func openHosts(t *testing.T) {
	g := newHostGuard(t, clerkauth.Rules{"www.example.com/{rest...}": clerkauth.Public, "localhost:8080/{rest...}": clerkauth.Public, "[::1]:8080/{$}": clerkauth.Public,
		"[::1]/{$}": clerkauth.Public, "127.0.0.1:8080/{$}": clerkauth.Public, "www.example.com/admin": clerkauth.Role("org:admin"), "app.example.com:8443/{rest...}": clerkauth.Role("org:admin")})
	for host, want := range map[string]int{"www.example.com": 204, "localhost:8080": 204, "[::1]:8080": 204, "[::1]": 204, "127.0.0.1:8080": 204,
		"localhost": 401, "localhost:": 401, "localhost:08080": 401, "localhost:8081": 401, "LOCALHOST:8080": 401, "localhost.:8080": 401,
		"[0::1]:8080": 401, "[::1]:08080": 401, "[::1]:": 401, "[::1]:80": 401, "127.0.0.1": 401, "127.0.0.1.:8080": 401, "": 401,
		"localhost:8080:8080": 400, "[::1%25lo]:8080": 400, "::1": 400} {
		if got := g.serve(host, "/", false); got != want {
			t.Errorf("%q: %d, want %d", host, got, want)
		}
	}
	for _, host := range spellings("www.example.com") {
		if got := g.serve(host, "/", false); got != 401 {
			t.Errorf("%q: %d, want 401", host, got)
		}
		if got := g.serve(host, "/", true); got != 204 {
			t.Errorf("%q, signed in: %d", host, got)
		}
	}
	// The URL's host has to match exactly as well.
	for name, want := range map[string]int{"www.example.com": 204, "www.example.com:443": 401, "WWW.example.com": 401} {
		r := hostRequest("www.example.com", "/")
		r.URL.Scheme, r.URL.Host = "https", name
		rec := httptest.NewRecorder()
		if g.handler.ServeHTTP(rec, r); rec.Code != want {
			t.Errorf("URL for %s: %d, want %d", name, rec.Code, want)
		}
	}
	// A rule that guards a host covers every port and spelling.
	member := newHostGuard(t, clerkauth.Rules{"/{rest...}": clerkauth.Public, "[2001:db8::1]/{rest...}": clerkauth.Role("org:owner"), "a.example:443/{rest...}": clerkauth.Role("org:owner"),
		"b.example:8443/{rest...}": clerkauth.Role("org:owner")})
	for host, want := range map[string]int{"[2001:db8::1]": 403, "[2001:DB8:0::1]": 403, "[2001:db8::1]:": 403, "[2001:db8::1]:1": 403, "[2001:db8::2]": 204,
		"a.example": 403, "A.example.": 403, "a.example:443": 403, "a.example:0443": 403, "a.example:8443": 204,
		"b.example:8443": 403, "B.example..:08443": 403, "b.example": 204, "b.example:443": 204} {
		if got := member.serve(host, "/", true); got != want {
			t.Errorf("guarded %q: %d, want %d", host, got, want)
		}
	}
}

// weakerHostRule: a router that takes another spelling for another host serves the
// routes of all hosts, so the rules for these are required as well.
func weakerHostRule(t *testing.T) {
	g := newHostGuard(t, clerkauth.Rules{"/{rest...}": clerkauth.Role("org:owner"), "app.example.com/{rest...}": clerkauth.SignedIn, "app.example.com:8443/{rest...}": clerkauth.SignedIn})
	for host, want := range map[string]int{"app.example.com": 204, "app.example.com:8443": 204, "app.example.com:1": 403, "APP.example.com": 403, "app.example.com.": 403, "x.example.com": 403} {
		if got := g.serve(host, "/x", true); got != want {
			t.Errorf("%q: %d, want %d", host, got, want)
		}
	}
}

func hostWarnings(t *testing.T) {
	for name, c := range map[string]struct {
		rules  clerkauth.Rules
		origin string
		want   []string
	}{
		"no port, origin with one": {clerkauth.Rules{"GET localhost/{$}": clerkauth.Public, "localhost/docs/:path*": clerkauth.Public}, "http://localhost:8080",
			[]string{`write="GET localhost:8080/{$}"`, `write=localhost:8080/docs/:path*`}},
		"an address":                     {clerkauth.Rules{"[::1]/{$}": clerkauth.Public}, "http://[::1]:8080", []string{"write=[::1]:8080/{$}"}},
		"a port that browsers leave out": {clerkauth.Rules{"www.example.com:443/{$}": clerkauth.Public}, "https://www.example.com", []string{"write=www.example.com/{$}"}},
		"port":                           {clerkauth.Rules{"localhost:8080/{$}": clerkauth.Public}, "http://localhost:8080", nil},
		"both":                           {clerkauth.Rules{"localhost:8080/{$}": clerkauth.Public, "localhost/{$}": clerkauth.Public}, "http://localhost:8080", nil},
		"guarding":                       {clerkauth.Rules{"localhost/{$}": clerkauth.SignedIn}, "http://localhost:8080", nil},
		"another host":                   {clerkauth.Rules{"www.example.com/{$}": clerkauth.Public}, "http://localhost:8080", nil},
		"origin without it":              {clerkauth.Rules{"www.example.com/{$}": clerkauth.Public}, "https://www.example.com", nil},
		"no host":                        {clerkauth.Rules{"/{$}": clerkauth.Public}, "http://localhost:8080", nil},
	} {
		for field, set := range map[string]func(*clerkauth.Config){
			"PublicOrigin": func(c2 *clerkauth.Config) { c2.Browser.PublicOrigin = c.origin },
			"party":        func(c2 *clerkauth.Config) { c2.AuthorizedParties = append(c2.AuthorizedParties, c.origin) },
		} {
			var log bytes.Buffer
			newHostGuard(t, c.rules, set, func(c *clerkauth.Config) { c.Logger = slog.New(slog.NewTextHandler(&log, nil)) })
			if got := strings.Count(log.String(), "level=WARN"); got != len(c.want) {
				t.Errorf("%s, %s: %d warnings: %s", name, field, got, &log)
			}
			for _, text := range c.want {
				if !strings.Contains(log.String(), text) {
					t.Errorf("%s, %s: %q is not in %s", name, field, text, &log)
				}
			}
		}
	}
}

func negatedClasses(t *testing.T) {
	for _, c := range []struct{ pattern, paths string }{
		{"/files/([^A-Z]+)", "/files/abc /files/ABC /files/aBc /files/1 /files/%C4%B1"},
		{"/files/([^a-z]+)", "/files/abc /files/ABC /files/aBc"},
		{"/x/([^a-f]+)", "/x/abc /x/ABC /x/xyz /x/XYZ /x/F"},
		{"/u/:id([^A-Z/]+)", "/u/bob /u/BOB /u/b%C5%BF /u/%E2%84%AA"},
		{"/n/:id([^k]+)", "/n/k /n/K /n/%E2%84%AA /n/x"},
		{"/k", "/k /K /%E2%84%AA"},
		{"/ſtaff/{rest...}", "/staff/x /STAFF/x /%C5%BFtaff/x"},
		{"/m{a:id}", "/max /maA /mAa /MAA"},
		{`/d/(\W+)`, "/d/--"},
	} {
		g := newHostGuard(t, clerkauth.Rules{"/{rest...}": clerkauth.Public, c.pattern: clerkauth.SignedIn})
		m, err := clerkauth.NewMatcher(c.pattern)
		if err != nil {
			t.Fatal(err)
		}
		for _, path := range strings.Fields(c.paths) {
			if got := g.serve("example.com", path, false); got != 401 {
				t.Errorf("%s, %s: %d, want 401", c.pattern, path, got)
			}
			if r := hostRequest("example.com", path); !m.Any(r) {
				t.Errorf("%s: Any(%s) is false, All is %v", c.pattern, path, m.All(r))
			}
		}
	}
	hosted := newHostGuard(t, clerkauth.Rules{"/{rest...}": clerkauth.Public, "admin.example.com/kiosk": clerkauth.SignedIn})
	if got := hosted.serve("admin.example.com", "/%E2%84%AAIO%C5%BF%E2%84%AA", false); got != 401 {
		t.Errorf("under a host: %d", got)
	}
	// Letters that only look alike are different letters.
	g := newHostGuard(t, clerkauth.Rules{"/{rest...}": clerkauth.Public, "/kin": clerkauth.SignedIn})
	for path, want := range map[string]int{"/kin": 401, "/KIN": 401, "/%E2%84%AAin": 401, "/k%C4%B1n": 204, "/k%C4%B0n": 204, "/%EF%BD%8Bin": 204} {
		if got := g.serve("example.com", path, false); got != want {
			t.Errorf("%s: %d, want %d", path, got, want)
		}
	}
}

func extensions(t *testing.T) {
	g := newHostGuard(t, clerkauth.Rules{
		"/{rest...}":        clerkauth.Public,
		"/admin/users":      clerkauth.Role("org:owner"),
		"/reports/{id}":     clerkauth.Role("org:owner"),
		"POST /orders":      clerkauth.Role("org:owner"),
		"/inbox/{$}":        clerkauth.Role("org:owner"),
		"/panel/{rest...}":  clerkauth.Role("org:owner"),
		"/robots":           clerkauth.Role("org:owner"),
		"/robots.txt":       clerkauth.Public,
		"/favicon":          clerkauth.Role("org:owner"),
		"/favicon.ico":      clerkauth.Public,
		"/docs/{page}":      clerkauth.Role("org:owner"),
		"/docs/:page.html":  clerkauth.Public,
		"/file":             clerkauth.Role("org:owner"),
		"/file.:ext":        clerkauth.Public,
		"/assets/{rest...}": clerkauth.Public,
		"/assets/app":       clerkauth.Role("org:owner"),
	})
	for path, want := range map[string]int{
		"/admin/users": 403, "/admin/users.json": 403, "/admin/users.x": 403, "/admin/users.": 403, "/admin/users.tar.gz": 403, "/ADMIN/Users.JSON": 403,
		"/admin/users..json": 403, "/admin/users%2ejson": 403, "/admin/users.json/": 403, "/admin/users%20.json": 403, "/admin/users.json;v=1": 403, "/admin/users;v=1.json": 403,
		"/admin//users.json": 403, "/x/../admin/users.json": 403, "/admin/users.%6ason": 403, "/inbox/.json": 403, "/inbox.json": 403, "/panel.json": 403,
		"/reports/1.pdf": 403, "/orders.json": 204,
		// Other names, and other paths.
		"/admin/users2.json": 204, "/admin/users/x.json": 204, "/admin/usersjson": 204, "/admin.d/users": 204, "/x.json": 204, "/.well-known/x": 204,
		// A file that is public by its name stays public.
		"/robots.txt": 204, "/favicon.ico": 204, "/docs/intro.html": 204, "/assets/main.min.js": 204, "/assets/app.d/x.js": 204, "/assets/css/app.css": 204,
		"/robots.json": 403, "/favicon.png": 403, "/docs/intro.txt": 403,
		// A rule in between without an extension makes no guarded name public.
		"/assets/app.min.js": 403, "/file.js": 403,
	} {
		if got := g.serve("example.com", path, true); got != want {
			t.Errorf("%s: %d, want %d", path, got, want)
		}
	}
	// The default does not apply to names without their extension.
	g = newHostGuard(t, clerkauth.Rules{"/robots.txt": clerkauth.Public, "/favicon.ico": clerkauth.Public, "/assets/{rest...}": clerkauth.Public, "/{page}": clerkauth.SignedIn,
		"/site/:file([^/]+\\.css)": clerkauth.Public, "/site/{file}": clerkauth.SignedIn,
		"/wiki/{page}": clerkauth.SignedIn, "/wiki/:page.:ext": clerkauth.Public, "/free/:page.:ext": clerkauth.Public})
	for path, want := range map[string]int{"/robots.txt": 204, "/favicon.ico": 204, "/assets/app.min.js": 204, "/assets/js/app.min.js": 204, "/site/main.min.css": 204,
		"/wiki/a.txt": 204, "/wiki/a": 401, "/free/a.txt": 204, "/free/a": 401,
		"/site/main.js": 401, "/about.html": 401, "/humans.txt": 401} {
		if got := g.serve("example.com", path, false); got != want {
			t.Errorf("%s: %d, want %d", path, got, want)
		}
	}
}

func emptySegments(t *testing.T) {
	g := newHostGuard(t, clerkauth.Rules{
		"/{rest...}":         clerkauth.Public,
		"/admin/users":       clerkauth.Role("org:owner"),
		"/x/{a}/{b}/{c}":     clerkauth.Role("org:owner"),
		"/secret/{a}/{b...}": clerkauth.Role("org:owner"),
		"/orgs/acme/{user}":  clerkauth.Role("org:owner"),
		"/teams/{team}":      clerkauth.Role("org:owner"),
	})
	for path, want := range map[string]int{
		// A router of /:a/:b matches the last two segments, or some in front of the empty
		// one.
		"/public//x/admin/users": 403, "/public//admin/users": 403, "/public//x/y/z/admin/users": 403, "/public//x/admin/users/": 403, "/public//x/ADMIN/users": 403,
		"//x/admin/users": 403, "/public/%2Fx/admin/users": 403, "/public%2F%2Fx/admin/users": 403, `/public/%5Cx/admin/users`: 403, "/public/.//x/admin/users": 403,
		"/q/x/a//c": 403, "/orgs/other//x/acme/1": 403, "/teams//x/y": 403, "/public/y//secret/1/2": 403,
		"/public/x/admin/users": 204, "/public//y": 204, "/public/x//": 204,
	} {
		if got := g.serve("example.com", path, true); got != want {
			t.Errorf("%s: %d, want %d", path, got, want)
		}
	}
	// The default applies to the path behind an empty segment.
	g = newHostGuard(t, clerkauth.Rules{"/img/{rest...}": clerkauth.Public})
	for path, want := range map[string]int{"/img/a/b": 204, "/img/https:/host/x": 204, "/img/https://host/x": 401, "/img/https%3A%2F%2Fhost/x": 401} {
		if got := g.serve("example.com", path, false); got != want {
			t.Errorf("%s: %d, want %d", path, got, want)
		}
	}
	// A long path with empty segments is read or refused quickly.
	for _, path := range []string{"/img/" + strings.Repeat("x//", 20), "/img/" + strings.Repeat("//", 10<<10), "/img//" + strings.Repeat("x/", 10<<10)} {
		if got := g.serve("example.com", path, false); got != 400 && got != 401 {
			t.Errorf("%.20s: %d", path, got)
		}
	}
}

// manyRules: Protect ends; package route counts the states of its construction.
func manyRules(t *testing.T) {
	a := testkit.NewAuth(t, clerkauthtest.NewServer(t, clerkauthtest.InMemory()))
	for _, pattern := range []string{"/api/{tenant}/r%d", "/api/:id/r%d(.*)"} {
		rules := clerkauth.Rules{}
		for i := range 2000 {
			rules[fmt.Sprintf(pattern, i)] = clerkauth.SignedIn
		}
		if _, err := a.Protect(rules); err != nil {
			t.Errorf("%s: %v", pattern, err)
		}
	}
}
