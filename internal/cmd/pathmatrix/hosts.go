package main

import (
	"maps"
	"net"
	"net/http"
	"net/url"
	"slices"
	"strings"

	"github.com/clerkauth/clerkauth"
)

// hostLayout maps hosts to handlers, and has equivalent rules.
type hostLayout struct {
	name string
	// routes maps the router's hosts to names of handlers, see answer. rest is the handler
	// of all other hosts.
	routes map[string]string
	rest   string
	// rules apply to all ports of a host, except where a pattern has one; true means
	// public.
	rules map[string]bool
	// any and all are equivalent patterns that guard, and that open.
	any, all []string
	// benign are hosts whose ordinary requests are open by the rules.
	benign []string
	// ports reports whether routes differ by port.
	ports bool
}

// The hosts of the layouts. Letters of kiosk have cases outside of ASCII.
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

// Handlers of the layouts, besides secret and public.
const (
	login = "login" // /login is public, any other path secret
	posts = "posts" // safe methods are public, others secret
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

// withoutAddresses returns l without hosts that are addresses in brackets.
func (l hostLayout) withoutAddresses() hostLayout {
	address := func(host string) bool { return strings.HasPrefix(host, "[") }
	l.routes, l.rules = maps.Clone(l.routes), maps.Clone(l.rules)
	maps.DeleteFunc(l.routes, func(host, _ string) bool { return address(host) })
	maps.DeleteFunc(l.rules, func(pattern string, _ bool) bool { return address(pattern) })
	l.all = slices.DeleteFunc(slices.Clone(l.all), address)
	return l
}

// hostSetup is a router that matches hosts, with its options.
type hostSetup struct {
	name  string
	build func(l hostLayout, h handlers) http.Handler
	app   func(l hostLayout, h handlers, g *guard) fastApp
	// ports reports whether the router distinguishes ports.
	ports bool
	mount string
	// names reports whether the router cuts hosts at any colon, and so cannot match [::1].
	names bool
	// own reports whether the router matches spellings of a host that ServeMux does not: in
	// another case, or with a final dot.
	own bool
}

// hostScenes returns scenes of all routers in all layouts that they support.
func hostScenes() []scene {
	var list []scene
	for _, s := range hostSetups() {
		for _, l := range hostLayouts {
			if s.can(l) {
				list = append(list, s.scene(l))
			}
		}
	}
	return list
}

// can reports whether s supports a layout.
func (s hostSetup) can(l hostLayout) bool { return s.ports || !l.ports }

func (s hostSetup) scene(l hostLayout) scene {
	if s.names {
		l = l.withoutAddresses()
	}
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
		start: func(g *guard) (http.Handler, fastApp) {
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

// guards returns the guards of a layout that can wrap or replace s.
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
	if !s.own && !l.ports && len(l.any) > 0 {
		list = append(list, &guard{name: "NewServeMux in front", opens: true, outer: l.muxInFront})
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

// requireIf requires a signed-in user for requests for which guarded returns true.
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

// clerkMux returns our mux with the layout.
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

// muxInFront guards next with our mux, for layouts that are open by default and routers
// that match the same spellings of a host.
func (l hostLayout) muxInFront(next http.Handler) http.Handler {
	m := authenticator().NewServeMux()
	for host := range l.routes {
		m.Handle(host+"/", clerkauth.SignedIn, next)
	}
	m.Handle("/", clerkauth.Public, next)
	return m
}

// muxHost returns a host for a pattern of ServeMux, which ignores ports.
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
