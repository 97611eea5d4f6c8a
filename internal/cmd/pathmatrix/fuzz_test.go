package main

import (
	"bufio"
	"bytes"
	"fmt"
	"math/rand/v2"
	"net/http"
	"net/url"
	"strings"
	"sync"
	"testing"

	"github.com/valyala/fasthttp"
)

// application is a setup in one shape, behind rules, in this process.
type application struct {
	name      string
	protected string // the pattern of the one rule that protects, or the layout
	decide    decide // by the rules
	inside    bool   // the rules are inside the router, and may see another path
	http      http.Handler
	fiber     fastApp
}

// ruleSet has one rule that protects and a public one for everything else, so that
// only the readings of the path protect. It is for shapes whose routes are all under
// that rule.
type ruleSet struct {
	protected string
	shapes    []shape
}

func (s setup) ruleSets() []ruleSet {
	return []ruleSet{
		{"/admin/{rest...}", shapes},
		{"/admin/users", []shape{static, params, files}},
		{s.oneParameter(), []shape{detail}},
	}
}

var applications = sync.OnceValue(func() []application {
	var list []application
	for _, s := range setups() {
		for _, set := range s.ruleSets() {
			decision := rules(s.mount, map[string]bool{"/{rest...}": true, set.protected: false})
			g := &guard{decide: remembered(s.mount+" "+set.protected, decision)}
			for _, sh := range set.shapes {
				a := application{name: fmt.Sprintf("%s %c", s.name, sh), protected: set.protected, decide: g.decide, inside: s.inside}
				if s.app != nil {
					a.fiber = s.app(sh, handlers{}, g)
				} else {
					a.http = s.build(sh, handlers{}, g.middleware())
				}
				list = append(list, a)
			}
		}
	}
	return list
})

// hostApplications are the layouts of hosts on all routers that support them.
var hostApplications = sync.OnceValue(func() []application {
	var list []application
	guards := map[string]*guard{}
	for _, s := range hostSetups() {
		for _, l := range hostLayouts {
			if !s.can(l) {
				continue
			}
			if s.names {
				l = l.withoutAddresses()
			}
			key := fmt.Sprint(s.mount, s.names, l.name)
			if guards[key] == nil {
				guards[key] = &guard{decide: remembered(key, rules(s.mount, l.rules))}
			}
			a := application{name: s.name, protected: l.name, decide: guards[key].decide}
			a.http, a.fiber = s.scene(l).start(guards[key])
			list = append(list, a)
		}
	}
	return list
})

// memory caches the decisions of guards about the current request: most applications
// see the same path.
var memory = map[[7]string]int{}

func remembered(name string, next decide) decide {
	return func(method, host string, u *url.URL) int {
		if u.Opaque != "" {
			return next(method, host, u)
		}
		key := [7]string{name, method, host, u.Scheme, u.Host, u.Path, u.RawPath}
		status, ok := memory[key]
		if !ok {
			status = next(method, host, u)
			memory[key] = status
		}
		return status
	}
}

// silent is a logger for fasthttp, which logs every missing file.
type silent struct{}

func (silent) Printf(string, ...any) {}

// recorder is a ResponseWriter that is reused.
type recorder struct {
	header http.Header
	body   bytes.Buffer
	status int
}

func (w *recorder) Header() http.Header         { return w.header }
func (w *recorder) Write(p []byte) (int, error) { return w.body.Write(p) }
func (w *recorder) WriteHeader(status int)      { w.status = status }

// serveHTTP returns the reply to r, which is not changed. A router's panic ends the
// request, as in net/http's server: gorilla's StrictSlash panics on a query that it
// cannot parse.
func (a application) serveHTTP(r *http.Request, w *recorder) (rep reply) {
	clear(w.header)
	w.body.Reset()
	w.status = http.StatusOK
	r2, u := *r, *r.URL
	r2.URL = &u
	defer func() {
		recover()
		rep = newReply(w.status, w.header.Get(marker), -1, w.body.Bytes())
	}()
	a.http.ServeHTTP(w, &r2)
	return rep
}

// serveFast returns fiber's reply to raw, or none if raw is not a request.
func (a application) serveFast(raw []byte) (rep reply) {
	var req fasthttp.Request
	if req.Read(bufio.NewReader(bytes.NewReader(raw))) != nil {
		return rep
	}
	var ctx fasthttp.RequestCtx
	ctx.Init(&req, nil, silent{})
	a.fiber.Handler()(&ctx)
	return newReply(ctx.Response.StatusCode(), string(ctx.Response.Header.Peek(marker)), -1, ctx.Response.Body())
}

// check sends t to applications, and fails the test if it passes the rules and
// reaches the protected handler. It returns how many times it reached another
// handler.
func check(tb testing.TB, t target, list []application) (passed int) {
	tb.Helper()
	clear(memory)
	raw := request(t)
	r, err := http.ReadRequest(bufio.NewReader(bytes.NewReader(raw)))
	if err != nil {
		return 0 // net/http responds with 400, and so does the guard in fiber
	}
	return checkRequest(tb, t, r, raw, list)
}

// checkRequest is check for a parsed request.
func checkRequest(tb testing.TB, t target, r *http.Request, raw []byte, list []application) (passed int) {
	tb.Helper()
	w := &recorder{header: http.Header{}}
	for _, a := range list {
		if !a.inside && a.decide(r.Method, r.Host, r.URL) != 0 {
			continue // the guard refuses it
		}
		var rep reply
		switch {
		case a.fiber != nil && raw == nil:
			continue // fasthttp supports HTTP/1.1 alone
		case a.fiber != nil:
			rep = a.serveFast(raw)
		default:
			rep = a.serveHTTP(r, w)
		}
		switch rep.reached {
		case secret:
			tb.Errorf("%s: %s reaches the protected handler past the rules for %s", a.name, t, a.protected)
		case public, other:
			passed++
		}
	}
	return passed
}

// shares is the number of shares that the applications are dealt into: each run of
// the fuzz target tries one.
const shares = 64

var dealt = sync.OnceValue(func() (list [shares][]application) {
	for i, a := range applications() {
		list[i%shares] = append(list[i%shares], a)
	}
	return list
})

// FuzzPath: a request that reaches the protected handler is one that the rules
// protect or refuse.
func FuzzPath(f *testing.F) {
	for i, t := range targets() {
		f.Add(t.method, t.path, uint8(i))
		f.Add(t.method, "/app"+t.path, uint8(i))
	}
	f.Add("GET", "/app/admin/?#%x", uint8(0x25)) // gorilla panics
	f.Fuzz(func(t *testing.T, method, path string, part uint8) {
		check(t, target{method: method, path: path, host: appHost}, dealt()[part%shares])
	})
}

// checkHost is check for a request of HTTP/1.1 and for one of HTTP/2, whose target
// may have another host than :authority.
func checkHost(tb testing.TB, t target, list []application) (passed int) {
	tb.Helper()
	if !strings.ContainsAny(t.host, "\r\n") { // net/http and fasthttp reject two Host lines
		passed = check(tb, t, list)
	}
	clear(memory)
	u, err := url.ParseRequestURI(t.path)
	if err != nil {
		return passed
	}
	r := &http.Request{Method: t.method, URL: u, RequestURI: t.path, Host: t.host, Header: http.Header{}, Body: http.NoBody, Proto: "HTTP/2.0", ProtoMajor: 2}
	return passed + checkRequest(tb, t, r, nil, list)
}

// FuzzHost is FuzzPath for hosts.
func FuzzHost(f *testing.F) {
	for i, host := range hosts {
		f.Add("GET", "/a", host, uint8(i))
	}
	for i, t := range hostLayouts[0].targets() {
		if i%7 == 0 {
			f.Add(t.method, t.path, t.host, uint8(i))
		}
	}
	f.Fuzz(func(t *testing.T, method, path, host string, part uint8) {
		list := hostApplications()
		n := len(list)/8 + 1 // an eighth of them at a time
		from := int(part%8) * n
		checkHost(t, target{method: method, path: path, host: host}, list[min(from, len(list)):min(from+n, len(list))])
	})
}

// hostPieces are the pieces of unusual hosts.
var hostPieces = strings.Fields(`admin.example.com admin.example.com kiosk.example.com www.example.com www.example.com localhost [::1] admin . example .com
	: : : . . .. 80 80 8080 8443 :8443 :8080 [ ] [ ] %25 %3a %2e @ / \ # ? , ; _ - * xn-- 0 + A ADMIN.example.com K ſ Kiosk.example.com 。 ａ`)

// TestComposedHosts tries hosts, and absolute targets, of random pieces.
func TestComposedHosts(t *testing.T) {
	r := rand.New(rand.NewPCG(5, 6))
	n := 6_000
	if testing.Short() {
		n = 1_000
	}
	compose := func() (host string) {
		for range 1 + r.IntN(4) {
			host += hostPieces[r.IntN(len(hostPieces))]
		}
		return host
	}
	passed := 0
	for range n {
		try := target{method: []string{"GET", "GET", "HEAD", "POST", "get", "FOO"}[r.IntN(6)], path: []string{"/a", "/login", "//a", "/"}[r.IntN(4)], host: compose()}
		switch r.IntN(4) {
		case 0:
			try.path = "http://" + compose() + try.path
		case 1:
			try.path = "http://" + try.host + try.path
		}
		passed += checkHost(t, try, hostApplications())
		if t.Failed() {
			return
		}
	}
	if passed < n {
		t.Errorf("%d requests reach another handler: nearly everything is refused, which proves nothing", passed)
	}
	t.Logf("%d hosts, %d times another handler than the protected one", n, passed)
}

// pieces are the pieces of unusual paths.
var pieces = strings.Fields(`/ / / / // admin admin admin users users users public public x app app
	%61dmin %2561dmin a%64min ADMIN user%73 %2575sers ..  .. . %2e %2e%2e %252e%252e .%2e
	%2f %2F %252f %5c \ %255c ; ;x ;x=1 %3b . .. %20 %09 %2520 | " ^ %7c # ? ?x=/admin %23 %3f + : @ * %
	%00 %0a %C3%A9 %ff index legacy http: http:// evil.example`)

// TestComposedPaths tries paths of random pieces, which reach further than changed
// bytes do.
func TestComposedPaths(t *testing.T) {
	r := rand.New(rand.NewPCG(3, 4))
	n := 3_000
	if testing.Short() {
		n = 500
	}
	passed := 0
	for range n {
		path := "/"
		if r.IntN(3) == 0 {
			path = "/app/"
		}
		for range 1 + r.IntN(9) {
			path += pieces[r.IntN(len(pieces))]
		}
		passed += check(t, target{method: []string{"GET", "GET", "GET", "HEAD", "POST", "get", "FOO"}[r.IntN(7)], path: path, host: appHost}, applications())
		if t.Failed() {
			return
		}
	}
	if passed < n {
		t.Errorf("%d requests reach another handler: nearly everything is refused, which proves nothing", passed)
	}
	t.Logf("%d paths, %d times another handler than the protected one", n, passed)
}
