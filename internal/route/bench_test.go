package route

import (
	"fmt"
	"net/http"
	"net/url"
	"testing"
)

// fiftyRules returns the rules of a medium-sized application, and its routes.
func fiftyRules() (rules map[string]bool, routes []string) {
	rules = map[string]bool{}
	for _, thing := range []string{"users", "orgs", "invoices", "projects", "reports", "teams", "files", "jobs", "keys", "hooks", "events", "plans"} {
		for _, p := range []string{
			"GET /api/v1/%s",
			"POST /api/v1/%s",
			"/api/v1/%s/{id}",
			"/api/v1/%s/{id}/settings/{rest...}",
		} {
			p = fmt.Sprintf(p, thing)
			rules[p] = false
			routes = append(routes, p)
		}
	}
	for _, p := range []string{"/{$}", "/static/{rest...}"} {
		rules[p] = true
		routes = append(routes, p)
	}
	return rules, routes
}

func fiftyRuleTable(tb testing.TB) *Table[bool] {
	rules, _ := fiftyRules()
	t, err := NewTable(rules, Options[bool]{Open: func(open bool) bool { return open }})
	if err != nil {
		tb.Fatal(err)
	}
	return t
}

var benchPaths = []struct{ name, path string }{
	{"literal", "/api/v1/reports"},
	{"wildcard", "/api/v1/users/42"},
	{"deep", "/api/v1/projects/prj_2NNEqL2nrIRdJ194ndJqAHwEfxC/settings/members"},
	{"public", "/static/app.js"},
	{"none", "/about"},
}

func BenchmarkLookup(b *testing.B) {
	t := fiftyRuleTable(b)
	for _, c := range benchPaths {
		b.Run(c.name, func(b *testing.B) {
			u := &url.URL{Path: c.path}
			b.ReportAllocs()
			for b.Loop() {
				if _, err := t.Lookup("GET", "app.example.com", u); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
}

func BenchmarkServeMux(b *testing.B) {
	mux := http.NewServeMux()
	_, routes := fiftyRules()
	for _, p := range routes {
		mux.Handle(p, http.NotFoundHandler())
	}
	for _, c := range benchPaths {
		b.Run(c.name, func(b *testing.B) {
			r := &http.Request{Method: "GET", Host: "app.example.com", URL: &url.URL{Path: c.path}}
			b.ReportAllocs()
			for b.Loop() {
				mux.Handler(r)
			}
		})
	}
}

func BenchmarkHostile(b *testing.B) {
	t := fiftyRuleTable(b)
	u, err := url.ParseRequestURI("/public/..%2f;x=1/%2561pi/v1//users%20")
	if err != nil {
		b.Fatal(err)
	}
	b.ReportAllocs()
	for b.Loop() {
		if _, err := t.Lookup("GET", "app.example.com", u); err != nil {
			b.Fatal(err)
		}
	}
}

func BenchmarkNewTable(b *testing.B) {
	rules, _ := fiftyRules()
	for b.Loop() {
		if _, err := NewTable(rules, Options[bool]{}); err != nil {
			b.Fatal(err)
		}
	}
}

func BenchmarkNewTableOf2000(b *testing.B) {
	for _, pattern := range []string{"/api/{tenant}/r%d", "/api/:id/r%d(.*)"} {
		b.Run(pattern, func(b *testing.B) {
			rules := map[string]bool{}
			for i := range 2000 {
				rules[fmt.Sprintf(pattern, i)] = false
			}
			for b.Loop() {
				if _, err := NewTable(rules, Options[bool]{}); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
}
