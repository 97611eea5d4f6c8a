package main

import (
	"net/http"
	"net/url"
	"strings"

	"github.com/clerkauth/clerkauth/internal/route"
)

// decide returns 0 for a request to be let through, or a status.
type decide func(method, host string, u *url.URL) int

// guard is something that stands between a request and the protected handler.
// Nobody is signed in here, so what it lets through is public.
type guard struct {
	name   string
	decide decide
	// outer stands in front of the router. It is made of decide if it is nil.
	outer middle
	// handler stands at the handler.
	handler middle
	netHTTP bool // for net/http alone
	// only names the setup that the guard is for, if it replaces the router.
	only  string
	build func(handlers) http.Handler
	// naive guards are there to be bypassed: they show what the others hold.
	naive bool
	// opens: an ordinary request that reaches something public is to reach it in
	// spite of the guard.
	opens bool
}

// guards returns the guards to try in front of s in a shape.
func (s setup) guards(sh shape) []*guard {
	mount := s.mount
	list := []*guard{
		{name: "rules, signed in by default", opens: true, decide: rules(mount, map[string]bool{
			"/admin": false, "/admin/{rest...}": false, "/public": true, "/public/{rest...}": true,
			"/robots.txt": true, "/favicon.ico": true, "/assets/{rest...}": true,
		})},
		{name: "rules, open by name", opens: true, decide: rules(mount, map[string]bool{
			"/{rest...}": false, "/robots": false, "/favicon": false, "/public/{rest...}": true,
			"/robots.txt": true, "/favicon.ico": true, "/assets/{rest...}": true,
		})},
		{name: "rules, open by default", opens: true, decide: rules(mount, map[string]bool{
			"/{rest...}": true, "/admin/{rest...}": false,
		})},
		{name: "rules in Clerk's grammar", opens: true, decide: rules(mount, map[string]bool{
			"/(.*)": true, "/admin(.*)": false,
		})},
		{name: "prefix of URL.Path", naive: true, opens: true, decide: func(_, _ string, u *url.URL) int {
			if strings.HasPrefix(u.Path, mount+"/admin") {
				return http.StatusUnauthorized
			}
			return 0
		}},
	}
	switch sh {
	case static, params, files: // where one path is all there is
		list = append(list, &guard{name: "rules, one path", opens: true, decide: rules(mount, map[string]bool{
			"/{rest...}": true, "/admin/users": false,
		})})
		fallthrough
	case detail:
		list = append(list, &guard{name: "rules, one parameter", opens: true, decide: rules(mount, map[string]bool{
			"/{rest...}": true, s.oneParameter(): false,
		})})
	}
	if mount == "" {
		list = append(list,
			&guard{name: "matcher, any", opens: true, decide: matches("/admin(.*)")},
			&guard{name: "matcher, all", opens: true, decide: matchesNot("/public/:path*", "/robots.txt", "/favicon.ico", "/assets/(.*)")},
		)
	}
	return append(list, &guard{name: "at the handler", opens: behindRoutes(sh),
		handler: func(http.Handler) http.Handler {
			return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) { w.WriteHeader(http.StatusUnauthorized) })
		}})
}

// behindRoutes are the shapes that have a handler of their own for what is
// public.
func behindRoutes(s shape) bool { return s == static || s == subtree || s == detail }

// rules guards by a table: true is for everybody.
func rules(mount string, list map[string]bool) decide {
	t, err := route.NewTable(list, route.Options[bool]{Open: func(open bool) bool { return open }, Mount: mount})
	if err != nil {
		panic(err) // the rules are in this file
	}
	return func(method, host string, u *url.URL) int {
		found, err := t.Lookup(method, host, u)
		switch {
		case err != nil:
			return http.StatusBadRequest
		case !route.Open(found):
			return http.StatusUnauthorized
		}
		return 0
	}
}

// matches guards what matches a pattern.
func matches(patterns ...string) decide {
	m := newMatcher(patterns)
	return func(method, host string, u *url.URL) int {
		if any, _ := m.Any(method, host, u); any {
			return http.StatusUnauthorized
		}
		return 0
	}
}

// matchesNot guards all but what matches a pattern.
func matchesNot(patterns ...string) decide {
	m := newMatcher(patterns)
	return func(method, host string, u *url.URL) int {
		if all, _ := m.All(method, host, u); all {
			return 0
		}
		return http.StatusUnauthorized
	}
}

func newMatcher(patterns []string) *route.Matcher {
	m, err := route.NewMatcher(patterns...)
	if err != nil {
		panic(err)
	}
	return m
}

// handlers are those of an application with the guard at the handler, if that is
// where g stands.
func (g *guard) handlers() handlers {
	if g == nil {
		return handlers{}
	}
	return handlers{protect: g.handler}
}

// middleware is the guard in front of a router. It does nothing if g is nil, or
// stands at the handler.
func (g *guard) middleware() middle {
	switch {
	case g != nil && g.outer != nil:
		return g.outer
	case g == nil || g.decide == nil:
		return func(next http.Handler) http.Handler { return next }
	}
	return func(next http.Handler) http.Handler {
		return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			if status := g.decide(r.Method, r.Host, r.URL); status != 0 {
				w.WriteHeader(status)
				return
			}
			next.ServeHTTP(w, r)
		})
	}
}
