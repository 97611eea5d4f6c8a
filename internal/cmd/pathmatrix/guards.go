package main

import (
	"net/http"
	"net/url"
	"strings"

	"github.com/clerkauth/clerkauth/internal/route"
)

// decide returns 0 to pass a request on, or a status.
type decide func(method, host string, u *url.URL) int

// guard protects the handler. All callers are anonymous, so a guard must pass on only
// public requests.
type guard struct {
	name   string
	decide decide
	// outer wraps the router. If it is nil, it is made from decide.
	outer middle
	// handler wraps the handler.
	handler middle
	netHTTP bool // for net/http alone
	// only names the setup that the guard is for, if it replaces the router.
	only  string
	build func(handlers) http.Handler
	// naive guards can be bypassed: they show that the requests are attacks.
	naive bool
	// opens guards must pass on ordinary requests to public handlers.
	opens bool
}

// guards returns the guards to test with s in a shape.
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
	case static, params, files: // of which one path is protected
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

// behindRoutes reports whether the shape has a separate handler for public routes.
func behindRoutes(s shape) bool { return s == static || s == subtree || s == detail }

// rules guards by a table, in which true means public.
func rules(mount string, list map[string]bool) decide {
	t, err := route.NewTable(list, route.Options[bool]{Open: func(open bool) bool { return open }, Mount: mount})
	if err != nil {
		panic(err) // the rules are constant
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

// matches guards paths that match a pattern.
func matches(patterns ...string) decide {
	m := newMatcher(patterns)
	return func(method, host string, u *url.URL) int {
		if any, _ := m.Any(method, host, u); any {
			return http.StatusUnauthorized
		}
		return 0
	}
}

// matchesNot guards paths that match no pattern.
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

// handlers returns the handlers of an application, wrapped by g if that guards handlers.
func (g *guard) handlers() handlers {
	if g == nil {
		return handlers{}
	}
	return handlers{protect: g.handler}
}

// middleware returns the guard as middleware around a router. It does nothing if g is nil
// or guards handlers.
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
