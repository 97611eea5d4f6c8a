package main

import (
	"maps"
	"net"
	"net/http"
	"net/url"
	"slices"
	"strings"

	"github.com/gofiber/fiber/v3"

	"github.com/clerkauth/clerkauth"
)

// hostLayout is what an application does for which host, and the rules that say
// the same.
type hostLayout struct {
	name string
	// routes are what handlers stand behind the hosts that a router knows: the
	// name of a handler, see answer. rest is that of all other hosts.
	routes map[string]string
	rest   string
	// rules are for all ports that a router takes for the same host, except where
	// a pattern names one; true is for everybody.
	rules map[string]bool
	// any and all are patterns that guard, and that open, the same.
	any, all []string
	// benign are hosts whose ordinary requests are open by the rules.
	benign []string
	// ports: routes are told apart by their ports.
	ports bool
}

// The hosts of the layouts. Letters of kiosk have cases beyond ASCII's.
const (
	adminHost = "admin.example.com"
	kioskHost = "kiosk.example.com"
	wwwHost   = "www.example.com"
)

var hostLayouts = []hostLayout{
	{
		name:   "open by default, two hosts guarded",
		routes: map[string]string{adminHost: secret, kioskHost: secret},
		rest:   public,
		rules:  map[string]bool{"/{rest...}": true, adminHost + "/{rest...}": false, kioskHost + "/{rest...}": false},
		any:    []string{adminHost + "/{rest...}", kioskHost + "/(.*)"},
		benign: []string{wwwHost, wwwHost + ":8080", "localhost", "localhost:8080", "127.0.0.1:8080", "[::1]:8080", "[::1]", "other.example.org", "x-1.example.com:443", "admin.example.org", "xn--bcher-kva.example", "WWW.Example.COM",
			"my_service:8080", "app:3000", "app", "10.0.0.7", "www.example.com."},
	},
	{
		name:   "guarded by default, hosts opened",
		routes: map[string]string{wwwHost: public, "localhost:8080": public, "[::1]:8080": public, kioskHost: public},
		rest:   secret,
		rules: map[string]bool{
			wwwHost + "/{rest...}": true, kioskHost + "/(.*)": true, "localhost:8080/{$}": true, "localhost:8080/{rest...}": true,
			"[::1]:8080/{rest...}": true,
		},
		all:    []string{wwwHost + "/{rest...}", kioskHost + "/(.*)", "localhost:8080/{rest...}", "[::1]:8080/{rest...}"},
		benign: []string{wwwHost, kioskHost, "localhost:8080", "[::1]:8080"},
	},
	{
		name:   "a path opened on a guarded host, a method guarded on an open one",
		routes: map[string]string{adminHost: login, wwwHost: posts},
		rest:   public,
		rules: map[string]bool{
			"/{rest...}": true, adminHost + "/{rest...}": false, adminHost + "/login": true,
			"POST " + wwwHost + "/{rest...}": false, "PUT " + wwwHost + "/{rest...}": false, "DELETE " + wwwHost + "/{rest...}": false,
			"PATCH " + wwwHost + "/{rest...}": false,
		},
		benign: []string{adminHost, wwwHost, "localhost:8080", "[::1]:8080"},
	},
	{
		name:   "open by default, a host with a port guarded",
		routes: map[string]string{adminHost + ":8443": secret},
		rest:   public,
		rules:  map[string]bool{"/{rest...}": true, adminHost + ":8443/{rest...}": false},
		any:    []string{adminHost + ":8443/{rest...}"},
		benign: []string{adminHost, adminHost + ":443", wwwHost + ":8443", "localhost:8080", "[::1]:8080"},
		ports:  true,
	},
	{
		name:   "a port opened on a guarded host",
		routes: map[string]string{adminHost + ":8443": public},
		rest:   secret,
		rules:  map[string]bool{adminHost + ":8443/{rest...}": true, adminHost + "/{rest...}": false},
		all:    []string{adminHost + ":8443/{rest...}"},
		benign: []string{adminHost + ":8443"},
		ports:  true,
	},
}

// Handlers of the layouts, beside secret and public.
const (
	login = "login" // /login is public, all else secret
	posts = "posts" // what asks for something is public, what changes something secret
)

func (h handlers) answer(what string) http.Handler {
	switch what {
	case secret:
		return h.secret()
	case public:
		return h.public()
	}
	closed, open := h.secret(), h.public()
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		next := closed
		if isOpen(what, r.Method, r.URL.Path) {
			next = open
		}
		next.ServeHTTP(w, r)
	})
}

func isOpen(what, method, path string) bool {
	switch what {
	case login:
		return path == "/login"
	case posts:
		return !slices.Contains([]string{"POST", "PUT", "PATCH", "DELETE"}, method)
	}
	return what == public
}

// hostForms are what is made of a host: most are none, or not quite the same.
// Each must not contain a second %s.
var hostForms = strings.Fields(`
%s %s:80 %s:1 %s: %s:443 %s:8080 %s:8443 %s:08443 %s:+80 %s:-1 %s:99999 %s:0 %s:a %s:80. %s:. %s:8%30 %s:%38443
%s:80:90 %s:: %s:] %s:80] %s:[ %s:[] %s:80:8443 %s:8443: %s:8443:80 %s:: %s:::: %s:8443.
%s. %s.. %s... %s.:80 %s..:80 %s.:8443 %s..:8443 %s.:80:90 %s.:
[%s] [%s]:80 [%s]:8443 [%s %s] %s]:80 [[%s]] [%s]: [%s]:8443:80 [::1]%s [::1]:80%s
%s%%20 %s%%2e %s%%00 %s%%3a80 %s%%3A8443 %s+ %s,evil %s;x %s&x %s=x %s~ %s! %s'x %s(x) %s*
.%s *.%s evil.%s evil@%s evil:x@%s %s@evil.example %s:80@evil.example :%s :80:%s evil.example:%s evil,%s _%s -%s %s_ %s- %s.evil.example
xn--%s %s/ %s/x %s?x %s#x %s\x \%s //%s http://%s %s,%s: {%s} "%s" <%s> %s|x %s^x %s$
`)

// rawHosts are whole hosts.
var rawHosts = []string{
	"", ".", ":", ":80", ":8443", "[]", "[", "]", "[::1]", "[::1]:8080", "[::1]:8080:80", "[::1]:8081", "[::1]8080", "[::1]:", "[::1]:08080", "[::1].:8080",
	"[0:0:0:0:0:0:0:1]:8080", "[::1%25lo]:8080", "[::1%lo]:8080", "::1", "::1:8080", "[::1]:8080.", "[::1]]:8080", "[[::1]]:8080", "[::1]@evil:8080", "[::ffff:127.0.0.1]:8080",
	"localhost", "localhost:8080", "localhost.:8080", "LOCALHOST:8080", "localhost:80", "localhost:8080:80", "localhost:08080", "localhost:8080.", "localhost:", "localhost::8080", "localhost:80:8080",
	"127.0.0.1:8080", "127.1:8080", "0x7f.1", "other.example.org", "other.example.org:443", "example.com", "com", "admin", "admin.example", "admin.example.org", "www.admin.example.com",
	"a b", "a\tb", "%61dmin.example.com", "%41dmin.example.com:80", "admin%2eexample.com", "admin..example.com", "admin.example.com.evil",
	"admin\u3002example\u3002com", "\uff41dmin.example.com", "\u212aiosk.example.com", "kio\u017fk.example.com", "kiosk.example.com\u200b", "k\u0131osk.example.com",
	"xn--dmin-53c.example.com", "xn--admin.example.com", "xn--bcher-kva.example", "xn--kiosk-.example.com", "xn--admin-.example.com", "\xe0dmin.example.com",
	"*", "*.example.com", "-", "_", "$", "1", "x-1.example.com:443",
	// Two lines, and one that is folded.
	wwwHost + "\r\nHost: " + adminHost, adminHost + "\r\nHost: " + wwwHost, wwwHost + "\r\n " + adminHost, wwwHost + ",\r\n\t" + adminHost, wwwHost + "\r\nhost: " + wwwHost,
	wwwHost + "\r\nHost : " + adminHost, wwwHost + "\r\nX-Forwarded-Host: " + adminHost, wwwHost + "\r\nForwarded: host=" + adminHost, wwwHost + "\r\nX-Forwarded-Port: 8443",
	adminHost + "\r\nX-Forwarded-Host: " + wwwHost, adminHost + "\r\nX-Original-Host: " + wwwHost + "\r\nX-Host: " + wwwHost,
}

// hosts are all hosts to send in the Host header.
var hosts = func() []string {
	var list []string
	for _, host := range []string{adminHost, wwwHost, "KIOSK.example.com"} {
		for _, form := range hostForms {
			list = append(list, strings.NewReplacer("%s", host, "%%", "%").Replace(form))
		}
		list = append(list, " "+host, host+" ", "\t"+host+"\t", host+" :80", host+" x", host+"\x00", host+"\x0b", host+"\x7f")
	}
	for _, host := range []string{kioskHost, "Admin.example.com", "ADMIN.EXAMPLE.COM", "WWW.example.com", "www.example.coM"} {
		list = append(list, host, host+":80", host+":8443", host+".", host+".:80", host+":80:90", host+"::")
	}
	list = append(list, rawHosts...)
	slices.Sort(list)
	return slices.Compact(list)
}()

// absolutes are targets that name a host by themselves; they are sent with hosts
// that agree and others that do not.
var absolutes = strings.Fields(`
http://%s/a http://%s HTTP://%s/a hTTp://%s:80/a https://%s/a http://%s:/a http://%s:8443/a http://%s.:80/a http://%s:80:90/a http://%s::/a http://%s:]/a
http://user@%s/a http://user:pass@%s:80/a http://%s@evil.example/a http://evil.example@%s/a http://@%s/a ws://%s/a x://%s/a x+y://%s/a
http://%s./a http://%s../a http://[%s]/a http://%s%%20/a http://%s%%2e/a http://%s#x http://%s/a#x http://%s?x http://%s\evil.example/a http://\%s/a http://%s\@evil.example/a
http:///%s/a http:/a http:/a?%s x:/a?%s file:/a?%s http:a?%s //%s/a ///%s/a /%s/a :80/a?%s x:?%s http://?%s http://:80/a?%s https:/login?%s http:/login?%s http:///login?%s
http://kio%%C5%%BFk.example.com/a?%s http://%%E2%%84%%AAiosk.example.com/a?%s http://admin%%E3%%80%%82example.com/a?%s http://%%EF%%BD%%81dmin.example.com/a?%s
http://%s%%E2%%80%%8B/a http://%s%%C2%%AD/a http://%s%%EF%%BC%%9A80/a http://%s%%EF%%BC%%8E/a http://%%61dmin.example.com/a?%s http://%s%%00/a http://%s:%%38443/a
http://[::1]:8080/a?%s http://localhost:8080/?%s http://[::1%%25lo]:8080/a?%s http://[%s%%25x]/a http://[::1%%25%s]/a http://[::1]%s/a
`)

// hostTargets are all that is sent to the applications of a layout.
func (l hostLayout) targets() []target {
	var list []target
	add := func(method, path, host string) { list = append(list, target{method: method, path: path, host: host}) }
	for _, host := range hosts {
		add("GET", "/a", host)
	}
	for _, host := range []string{adminHost, wwwHost, "localhost:8080", adminHost + ":8443"} {
		for _, method := range []string{"HEAD", "POST", "PUT", "DELETE", "PATCH", "OPTIONS", "TRACE", "get", "post", "FOO", "CONNECT"} {
			add(method, "/a", host)
			add(method, "/a", host+":80:90")
			add(method, "http://"+host+"/a", host)
		}
		add("CONNECT", host, host)
		add("CONNECT", adminHost+":443", host)
		add("OPTIONS", "*", host)
		for _, path := range strings.Fields("/ //a /./a /%61 /login/ /login/../a /LOGIN /%6cogin /login%2f..%2fa /login;x /login.html //login /x/../login /login? /login/x") {
			add("GET", path, host)
		}
		list = append(list, target{method: "GET", path: "/a", host: host, old: true})
	}
	// The target and the header name a host each.
	for _, hosts := range [][2]string{
		{adminHost, wwwHost}, {wwwHost, adminHost}, {wwwHost, wwwHost}, {"ADMIN.example.com", wwwHost}, {adminHost, "localhost:8080"}, {"localhost:8080", adminHost}, {kioskHost, wwwHost + ":80"},
	} {
		for _, form := range absolutes {
			add("GET", strings.NewReplacer("%s", hosts[0], "%%", "%").Replace(form), hosts[1])
		}
		add("POST", "http://"+hosts[0]+"/a", hosts[1])
		list = append(list, target{method: "GET", path: "http://" + hosts[0] + "/a", old: true})
	}
	list = append(list, target{method: "GET", path: "/a", old: true}, target{method: "GET", path: "//" + wwwHost + "/a", old: true}, target{method: "GET", path: "http:/a", old: true})
	for _, host := range l.benign {
		list = append(list,
			target{method: "GET", path: "/login", host: host, benign: true},
			target{method: "HEAD", path: "/login", host: host, benign: true},
			target{method: "GET", path: "http://" + host + "/login", host: host, benign: true},
			target{method: "GET", path: "/login?next=//" + adminHost, host: host, benign: true},
		)
		if l.routes[host] == login {
			continue
		}
		for _, path := range strings.Fields("/ /robots.txt /favicon.ico /assets/app.min.js /a%20b /v1/caf%C3%A9") {
			list = append(list, target{method: "GET", path: path, host: host, benign: true})
		}
	}
	return list
}

// hostSetup is a router that knows hosts, with its options.
type hostSetup struct {
	name  string
	build func(l hostLayout, h handlers) http.Handler
	app   func(l hostLayout, h handlers, g *guard) *fiber.App
	// ports: it tells ports apart.
	ports bool
	mount string
}

// hostScenes are all routers in all layouts that they can have.
func hostScenes() []scene {
	var list []scene
	for _, s := range hostSetups() {
		for _, l := range hostLayouts {
			if l.ports && !s.ports {
				continue
			}
			list = append(list, s.scene(l))
		}
	}
	return list
}

func (s hostSetup) scene(l hostLayout) scene {
	targets := l.targets()
	if s.mount != "" {
		for i, t := range targets {
			if strings.HasPrefix(t.path, "/") {
				targets[i].path = s.mount + t.path
			} else if before, after, ok := strings.Cut(t.path, "/a"); ok {
				targets[i].path = before + s.mount + "/a" + after
			}
		}
	}
	return scene{part: hostPart, setup: s.name, layout: l.name, targets: targets, guards: s.guards(l),
		start: func(g *guard) (http.Handler, *fiber.App) {
			h := g.handlers()
			switch {
			case g != nil && g.build != nil:
				return g.build(h), nil
			case s.app == nil:
				return g.middleware()(s.build(l, h)), nil
			case g != nil && g.decide == nil:
				g = nil
			}
			return nil, s.app(l, h, g)
		}}
}

// guards are those of a layout that can stand in front of s, or in its place.
func (s hostSetup) guards(l hostLayout) []*guard {
	list := []*guard{
		{name: "rules", opens: true, decide: rules(s.mount, l.rules)},
		{name: "at the handler", opens: true, handler: func(http.Handler) http.Handler {
			return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) { w.WriteHeader(http.StatusUnauthorized) })
		}},
		{name: "the Host header alone", naive: true, opens: true, decide: l.simple},
	}
	if len(l.any) > 0 && s.mount == "" {
		list = append(list, &guard{name: "matcher, any", opens: true, decide: matches(l.any...)})
	}
	if len(l.all) > 0 && s.mount == "" {
		list = append(list, &guard{name: "matcher, all", opens: true, decide: matchesNot(l.all...)})
	}
	if s.app != nil {
		return list
	}
	access := clerkauth.Rules{}
	for pattern, open := range l.rules {
		access[pattern] = accessOf(open)
	}
	list = append(list,
		&guard{name: "Protect", opens: true, outer: protect(access, s.mount)},
		&guard{name: "Require", opens: true, handler: middle(authenticator().Require())},
	)
	if s.mount != "" {
		return list
	}
	if len(l.any) > 0 {
		m := newClerkMatcher(l.any)
		list = append(list, &guard{name: "Matcher.Any", opens: true, outer: requireIf(m.Any)})
	}
	if len(l.all) > 0 {
		m := newClerkMatcher(l.all)
		list = append(list, &guard{name: "Matcher.All", opens: true, outer: requireIf(func(r *http.Request) bool { return !m.All(r) })})
	}
	if s.name == "ServeMux" {
		list = append(list, &guard{name: "NewServeMux", opens: true, build: l.clerkMux})
	}
	return list
}

func accessOf(open bool) clerkauth.Access {
	if open {
		return clerkauth.Public
	}
	return clerkauth.SignedIn
}

func newClerkMatcher(patterns []string) *clerkauth.Matcher {
	m, err := clerkauth.NewMatcher(patterns...)
	if err != nil {
		panic(err)
	}
	return m
}

// requireIf lets in who is signed in, where guarded says so, and everybody
// elsewhere.
func requireIf(guarded func(*http.Request) bool) middle {
	return func(next http.Handler) http.Handler {
		closed := authenticator().Require()(next)
		return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			if guarded(r) {
				closed.ServeHTTP(w, r)
				return
			}
			next.ServeHTTP(w, r)
		})
	}
}

// clerkMux is the layout on our mux.
func (l hostLayout) clerkMux(h handlers) http.Handler {
	m := authenticator().NewServeMux()
	for _, host := range append(slices.Sorted(maps.Keys(l.routes)), "") {
		what, ok := l.routes[host]
		if !ok {
			what = l.rest
		}
		host = muxHost(host)
		switch what {
		case login:
			m.Handle(host+"/login", clerkauth.Public, h.public())
			m.Handle(host+"/", clerkauth.SignedIn, h.secret())
		case posts:
			for _, method := range []string{"POST", "PUT", "PATCH", "DELETE"} {
				m.Handle(method+" "+host+"/", clerkauth.SignedIn, h.secret())
			}
			m.Handle(host+"/", clerkauth.Public, h.public())
		default:
			m.Handle(host+"/", accessOf(what == public), h.answer(what))
		}
	}
	return m
}

// muxHost is how a host is written in a pattern of ServeMux, which sees none
// with its port.
func muxHost(host string) string {
	if name, _, err := net.SplitHostPort(host); err == nil {
		return name
	}
	return host
}

// simple compares the Host header with the hosts of the layout.
func (l hostLayout) simple(method, host string, u *url.URL) int {
	what, ok := l.routes[host]
	if !ok {
		what = l.rest
	}
	if isOpen(what, method, u.Path) {
		return 0
	}
	return http.StatusUnauthorized
}
