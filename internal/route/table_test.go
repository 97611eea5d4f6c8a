package route

import (
	"fmt"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"testing"
)

// tableOf returns a table in which the value of a rule is its name; those that begin
// with "public" are open.
func tableOf(t testing.TB, mount string, rules map[string]string) *Table[string] {
	t.Helper()
	table, err := NewTable(rules, Options[string]{Default: "default", Open: isPublic, Mount: mount})
	if err != nil {
		t.Fatal(err)
	}
	return table
}

func isPublic(value string) bool { return strings.HasPrefix(value, "public") }

// lookup returns the values that a request has to meet, sorted, or "refused".
func lookup(t testing.TB, table *Table[string], method, host, at string) string {
	t.Helper()
	rules, err := table.Lookup(method, host, target(t, at))
	if err != nil {
		return "refused"
	}
	var values []string
	for _, r := range rules {
		values = append(values, r.Value)
	}
	slices.Sort(values)
	return strings.Join(values, " ")
}

type lookups struct{ method, target, want string }

func expect(t *testing.T, table *Table[string], list []lookups) {
	t.Helper()
	for _, a := range list {
		if got := lookup(t, table, a.method, "app.example.com", a.target); got != a.want {
			t.Errorf("%s %s: %q, want %q", a.method, a.target, got, a.want)
		}
	}
}

func TestTheMostSpecificRuleWins(t *testing.T) {
	expect(t, tableOf(t, "", map[string]string{
		"/{rest...}":                "all",
		"/admin/{rest...}":          "admin",
		"/admin/health":             "public health",
		"/admin/users/{id}":         "user",
		"/admin/roles/me":           "me",
		"/admin/roles/:id":          "role",
		"GET /admin/users/{id}":     "get user",
		"/dashboard(.*)":            "dashboard",
		"/dashboard/reports/:path*": "reports",
	}), []lookups{
		{"GET", "/", "all"},
		{"GET", "/x/y", "all"},
		{"GET", "/admin/x", "admin"},
		{"GET", "/admin/health", "public health"},
		{"GET", "/admin/health/x", "admin"},
		{"POST", "/admin/users/7", "user"},
		{"GET", "/admin/users/7", "get user"},
		{"HEAD", "/admin/users/7", "get user"},
		{"POST", "/admin/roles/me", "me"},
		{"POST", "/admin/roles/you", "role"},
		{"GET", "/dashboardx", "dashboard"},
		{"GET", "/dashboard/reports", "reports"},
		{"GET", "/dashboard/reports/1", "reports"},
		{"GET", "/dashboard/reportsx", "dashboard"},
	})
}

func TestAllReadingsCount(t *testing.T) {
	expect(t, tableOf(t, "", map[string]string{
		"/admin/{rest...}":  "admin",
		"/admin/health":     "public health",
		"/staff/{rest...}":  "staff",
		"/public/{rest...}": "public",
		"/users/{id}":       "user",
	}), []lookups{
		{"GET", "/public/a%2Fb", "public"},
		{"GET", "/public/x;v=1", "public"},
		{"GET", "/public/../admin/x", "admin public"},
		{"GET", "/admin/../staff/x", "admin staff"},
		{"GET", "/staff/..%2fadmin", "admin default staff"},
		{"GET", "/admin/health/", "admin"},
		{"GET", "/admin/healt%68", "admin public health"},
		{"GET", "/admin//health", "admin default public health"}, // some routers see /health
		{"GET", "/admin/health;x", "admin public health"},
		{"GET", "/%75sers/a%2Fb", "default user"}, // ServeMux decodes segment by segment
		{"GET", "/elsewhere", "default"},
	})
}

func TestProtectingRulesFoldCase(t *testing.T) {
	expect(t, tableOf(t, "", map[string]string{
		"/{rest...}":       "public all",
		"/Admin/{rest...}": "admin",
		"/Glued(.*)":       "glued",
		"/x/:id([a-f]+)":   "hex",
		"/Docs/{rest...}":  "public docs",
		"/kelvin":          "k",
		"/x/ä":             "umlaut",
		"/x/Σ":             "sigma",
	}), []lookups{
		{"GET", "/admin/x", "admin"},
		{"GET", "/ADMIN/X", "admin"},
		{"GET", "/gluedX", "glued"},
		{"GET", "/GLUED/x", "glued"},
		{"GET", "/X/ABC", "hex"},
		{"GET", "/Docs/a", "public docs"},
		{"GET", "/docs/a", "public all"},
		{"GET", "/KELVIN", "k"},
		{"GET", "/%E2%84%AAelvin", "k"},          // the Kelvin sign is a k
		{"GET", "/kelv%C4%B1n", "public all"},    // a dotless i is not an i
		{"GET", "/%EF%BD%8Belvin", "public all"}, // a full-width k is not a k
		{"GET", "/doc%C5%BF/x", "public all"},    // an open rule does not fold case
		{"GET", "/x/%C3%84", "umlaut"},           // Ä
		{"GET", "/x/%CF%82", "sigma"},            // ς
	})
}

func TestASlashAtTheEndDoesNotLeadPastARule(t *testing.T) {
	expect(t, tableOf(t, "", map[string]string{
		"/{rest...}":        "public all",
		"/admin/{rest...}":  "admin",
		"/exact":            "exact",
		"/slash/{$}":        "slash",
		"/users/{id}/posts": "posts",
		"/list":             "public list",
		"/list/{rest...}":   "entries",
		"/docs/{$}":         "public docs",
	}), []lookups{
		{"GET", "/admin", "admin public all"}, // fiber, chi's Mount
		{"GET", "/admin/", "admin"},
		{"GET", "/exact/", "exact public all"}, // fiber, chi's StripSlashes
		{"GET", "/slash", "public all slash"},
		{"GET", "/users//posts", "posts public all"}, // chi, gin, echo
		{"GET", "/users/1/posts/", "posts public all"},
		// A rule that is as specific for the path itself stands.
		{"GET", "/list", "public list"},
		{"GET", "/list/", "entries"},
		{"GET", "/docs/", "public docs"},
		{"GET", "/docs", "public all"},
	})
	// An open rule applies to its own path alone: not to one that a router would
	// redirect (CVE-2025-47910).
	expect(t, tableOf(t, "", map[string]string{
		"/hello/{rest...}": "public hello",
		"/exact":           "public exact",
	}), []lookups{
		{"GET", "/hello/", "public hello"},
		{"GET", "/hello/x", "public hello"},
		{"GET", "/hello", "default"},
		{"GET", "/exact", "public exact"},
		{"GET", "/exact/", "default"},
	})
	// Two rules for the one path of some router both apply.
	expect(t, tableOf(t, "", map[string]string{
		"/orgs":           "list",
		"/orgs/{rest...}": "entries",
	}), []lookups{
		{"GET", "/orgs", "list"},
		{"GET", "/orgs/", "entries list"},
		{"GET", "/orgs/1", "entries"},
	})
}

func TestMethods(t *testing.T) {
	expect(t, tableOf(t, "", map[string]string{
		"GET /a":           "public get",
		"POST /a":          "post",
		"GET /b":           "get",
		"HEAD /b":          "head",
		"/b":               "any",
		"PURGE /c":         "purge",
		"/api/{rest...}":   "api",
		"POST /api/orders": "orders",
	}), []lookups{
		{"GET", "/a", "public get"},
		{"HEAD", "/a", "public get"},
		{"POST", "/a", "post"},
		{"DELETE", "/a", "default post public get"},
		{"OPTIONS", "/a", "default post public get"},
		{"get", "/a", "default post public get"},
		{"FOO", "/a", "default post public get"},
		{"GET", "/b", "get"},
		{"HEAD", "/b", "head"},
		{"PUT", "/b", "any"},
		{"FOO", "/b", "any get head"},
		{"PURGE", "/c", "purge"},
		{"GET", "/c", "default purge"},
		{"PURGE", "/api/orders", "api"},
		{"GET", "/api/orders", "api"}, // the rule for POST does not apply to GET
		{"POST", "/api/orders", "orders"},
		{"post", "/api/orders", "api orders"},
		{"CONNECT", "/a", "refused"},
	})
}

func TestHosts(t *testing.T) {
	table := tableOf(t, "", map[string]string{
		"/{rest...}":                       "all",
		"[::1]:8080/{rest...}":             "loopback",
		"app.example.com:8080/{rest...}":   "public app",
		"admin.example.com/{rest...}":      "admin",
		"docs.example.com/{rest...}":       "public docs",
		"POST docs.example.com/x":          "post",
		"admin.example.com/health":         "public health",
		"localhost/only/here":              "local",
		"DELETE Admin.example.com/thing/a": "delete",
	})
	for _, c := range []struct{ method, host, target, want string }{
		{"GET", "app.example.com", "/", "all"},
		{"GET", "admin.example.com", "/", "admin"},
		// A router that compares ports, case or dots sees another host.
		{"GET", "admin.example.com:8443", "/", "admin all"},
		{"GET", "ADMIN.example.com.", "/", "admin all"},
		{"GET", "docs.example.com", "/a", "public docs"},
		{"GET", "DOCS.example.com", "/a", "all"},
		{"GET", "docs.example.com.", "/a", "all"},
		{"POST", "docs.example.com", "/x", "post"},
		{"GET", "admin.example.com", "/health", "public health"},
		{"GET", "app.example.com", "/health", "all"},
		{"DELETE", "admin.example.com", "/thing/a", "delete"},
		{"GET", "localhost:8080", "/only/here", "all local"},
		{"GET", "[::1]:8080", "/only/here", "loopback"},
		{"GET", "[0::1]:8080", "/only/here", "all loopback"},
		{"GET", "app.example.com:8080", "/", "public app"},
		{"GET", "app.example.com:8081", "/", "all"},
		{"GET", "app.example.com:08080", "/", "all"},
		{"GET", "app.example.com:80:80", "/", "refused"},
		{"GET", "[::1]", "/only/here", "all"},
		{"GET", "", "/only/here", "all"},
	} {
		if got := lookup(t, table, c.method, c.host, c.target); got != c.want {
			t.Errorf("%s %s %s: %q, want %q", c.method, c.host, c.target, got, c.want)
		}
	}
}

func TestMount(t *testing.T) {
	rules := map[string]string{"/admin/{rest...}": "admin", "/public/{rest...}": "public", "/{$}": "public home"}
	expect(t, tableOf(t, "/app", rules), []lookups{
		{"GET", "/app/admin/x", "admin"},
		{"GET", "/app/public/x", "public"},
		{"GET", "/app", "public home"},
		{"GET", "/app/", "public home"},
		{"GET", "/admin/x", "default"},
		{"GET", "/public/x", "default"},
		{"GET", "/appx/public/x", "default"},
		{"GET", "/app/%61dmin/x", "admin default"},
		// Cleaned behind the prefix, or before it.
		{"GET", "/app/%2e%2e/admin/x", "admin default"},
		{"GET", "/app/../admin/x", "admin default"},
		{"GET", "/x/../app/admin/x", "admin default"},
		{"GET", "/public/../app/admin/x", "admin default"},
		{"GET", "//app/public/x", "default public"},
		{"GET", "/APP/admin/x", "admin default"},
		{"GET", "/APP/public/x", "default public"},
		{"GET", "/appadmin/x", "admin default"}, // http.StripPrefix makes admin/x of it, a file server /admin/x
		{"CONNECT", "/app/public/x", "refused"},
	})
	// With a mount that does not exist, or without one that does, nothing is open.
	for _, target := range []string{"/public/x", "/", "/admin/x"} {
		if got := lookup(t, tableOf(t, "/app", rules), "GET", "", target); got != "default" {
			t.Errorf("mount stated, %s: %s", target, got)
		}
		if got := lookup(t, tableOf(t, "", rules), "GET", "", "/app"+target); got != "default" {
			t.Errorf("mount not stated, /app%s: %s", target, got)
		}
	}
}

// TestMountInBothOrders: a table in front of http.StripPrefix with its mount, and
// one behind it without, agree on ordinary paths.
func TestMountInBothOrders(t *testing.T) {
	rules := map[string]string{"/admin/{rest...}": "admin", "/public/{rest...}": "public", "/{$}": "public home"}
	outer, inner := tableOf(t, "/app", rules), tableOf(t, "", rules)
	for _, path := range []string{"/", "/admin/x", "/public/x", "/x", "/admin/x/"} {
		var got string
		http.StripPrefix("/app", http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) {
			got = lookup(t, inner, r.Method, r.Host, r.URL.String())
		})).ServeHTTP(nil, &http.Request{Method: "GET", URL: target(t, "/app"+path)})
		if want := lookup(t, outer, "GET", "", "/app"+path); got != want {
			t.Errorf("%s: %q behind the prefix, %q in front of it", path, got, want)
		}
	}
}

// TestOnlyMethodAndTargetCount: only method and target decide, except for a host
// that a rule names.
func TestOnlyMethodAndTargetCount(t *testing.T) {
	table := tableOf(t, "", map[string]string{"/admin/{rest...}": "admin", "/public/{rest...}": "public"})
	for _, u := range []*url.URL{
		target(t, "/admin/x?path=/public/x"),
		target(t, "/admin/x?/../../public/x"),
		target(t, "http://public/admin/x"),
		{Path: "/admin/x", Host: "public", Scheme: "https", RawQuery: "x=/public/", Fragment: "/public/x", User: url.User("public")},
	} {
		for _, host := range []string{"", "public", "/public/x", "public:80"} {
			if u.Host != "" {
				host = u.Host // another one is rejected
			}
			rules, err := table.Lookup("GET", host, u)
			if err != nil || len(rules) != 1 || rules[0].Value != "admin" {
				t.Errorf("%s with host %q: %v %v", u, host, rules, err)
			}
		}
	}
}

func TestTableErrors(t *testing.T) {
	for _, c := range []struct {
		name     string
		rules    map[string]string
		mount    string
		messages []string
	}{
		{"overlap", map[string]string{"/a/{x}": "1", "/{y}/b": "2"}, "",
			[]string{`rules "/a/{x}" and "/{y}/b" are both for /a/b, and neither is the more specific one`}},
		{"overlap with an example", map[string]string{"/{a}/b/{c}": "1", "/{x}/{y}/z": "2"}, "",
			[]string{"are both for /x/b/z"}},
		{"overlap of path and method", map[string]string{"GET /a/{x}": "1", "/a/b": "2"}, "",
			[]string{`"/a/b" and "GET /a/{x}" are both for /a/b`}},
		{"overlap of host and path", map[string]string{"example.com/{rest...}": "1", "/a": "2"}, "",
			[]string{"neither is the more specific one"}},
		{"overlap across grammars", map[string]string{"/a(.*)": "1", "/{y}/b": "2"}, "",
			[]string{"neither is the more specific one"}},
		{"duplicate", map[string]string{"/a/{x}": "1", "/a/{y}": "2"}, "",
			[]string{"are for the same requests: keep one"}},
		{"duplicate across grammars", map[string]string{"/a/{rest...}": "1", "/a/(.*)": "1"}, "",
			[]string{"are for the same requests"}},
		{"duplicate but for spaces", map[string]string{"GET /a": "1", "GET  /a": "1"}, "",
			[]string{"are for the same requests"}},
		{"duplicate but for case", map[string]string{"/Admin": "1", "/admin": "public"}, "",
			[]string{"are for the same requests"}},
		{"duplicate but for encoding", map[string]string{"/caf%C3%A9": "1", "/café": "1"}, "",
			[]string{"are for the same requests"}},
		{"duplicate but for a slash", map[string]string{"/a": "1", "/a/{$}": "public"}, "",
			[]string{"differ by a slash at the end"}},
		{"unreachable", map[string]string{"/a/(x|y)": "1", "/a/x": "2", "/a/y": "3"}, "",
			[]string{`rule "/a/(x|y)" is never reached: all its paths fall under "/a/x", "/a/y"`}},
		{"siblings", map[string]string{"/docs(.*)": "public"}, "",
			[]string{`rule "/docs(.*)": (.*) behind other text also opens siblings`, `write "/docs/:path*"`}},
		{"siblings of a number", map[string]string{`/docs/:x(\d+)(.*)`: "public"}, "",
			[]string{"(.*) behind other text also opens siblings"}},
		{"siblings by an expression", map[string]string{"/docs(.+)": "public"}, "",
			[]string{"opens siblings"}},
		{"siblings by an optional group", map[string]string{"/docs{-(.*)}?": "public"}, "",
			[]string{"opens siblings"}},
		{"siblings of a part", map[string]string{"/v1/items:batch": "public"}, "",
			[]string{"opens siblings"}},
		{"never open", map[string]string{"/file.": "public"}, "",
			[]string{`rule "/file." never lets anybody in: /file. is also read as a path without a rule`}},
		{"never open next to another rule", map[string]string{"/a;b": "public", "/a": "1"}, "",
			[]string{"never lets anybody in"}},
		{"everything at once", map[string]string{"": "1", "/a/": "1", "/x*": "1", "/b": "1", "/B": "2", "/docs(.*)": "public"}, "app",
			[]string{`pattern "": is empty`, `pattern "/a/"`, `pattern "/x*"`, `rules "/B" and "/b"`, `rule "/docs(.*)"`, `mount "app"`}},
		{"mount with a slash", nil, "/app/", []string{"not end with it"}},
		{"mount encoded", nil, "/a%20b", []string{"compared decoded"}},
		{"mount not clean", nil, "/a/../b", []string{`".."`}},
	} {
		_, err := NewTable(c.rules, Options[string]{Open: isPublic, Mount: c.mount})
		if err == nil {
			t.Errorf("%s: no error", c.name)
			continue
		}
		for _, text := range c.messages {
			if !strings.Contains(err.Error(), text) {
				t.Errorf("%s: %q does not contain %q", c.name, err, text)
			}
		}
	}
}

// TestRulesThatGoTogether: rules that applications combine are not rejected.
func TestRulesThatGoTogether(t *testing.T) {
	for _, rules := range []map[string]string{
		{"/docs": "public", "/docs/{$}": "public", "/docs/{rest...}": "1"},
		{"/docs": "public", "/docs/{rest...}": "public"},
		{"/{page}": "public", "/admin/{rest...}": "1"},
		{"/users": "1", "/users/{id}": "2", "/users/{id}/{rest...}": "3"},
		{"/{$}": "public", "/{rest...}": "1"},
		{"/{$}": "public", "/:org": "1", "/:org/(.*)": "2"},
		{"/orgs/:slug": "1", "/orgs/:slug/(.*)": "2"},
		{"/orgs/:slug": "public", "/orgs/:slug/(.*)": "2"},
		{"/sign-in/:path*": "public", "/sign-up/:path*": "public", "/dashboard(.*)": "1", "/dashboard-public": "public"},
		{"GET /a": "public", "POST /a": "1", "/a": "2", "HEAD /a": "public"},
		{"GET /a": "1", "/a": "public"},
		{"/docs(/.*)?": "public", "/v(1|2)/x": "public", "/a/:name(.*)": "public", "/file.:ext": "public"},
		{"/Docs": "public", "/docs": "public"},
		{"/(api|trpc)(.*)": "1", "/api/webhooks/clerk": "public", "/trpc/x": "2"},
		{"/:id(\\d+)": "1", "/:name([a-z]+)": "2"},
		nil,
	} {
		if _, err := NewTable(rules, Options[string]{Open: isPublic}); err != nil {
			t.Errorf("%v: %v", rules, err)
		}
	}
}

func TestPatternsTooIntricateToCompare(t *testing.T) {
	_, err := NewTable(map[string]string{
		"/(x[abc]*a[abc]{12})": "1",
		"/(x[abc]*c[abc]{8})":  "2",
	}, Options[string]{})
	if err == nil || !strings.Contains(err.Error(), "are too intricate to compare: write one of them simpler") {
		t.Errorf("error %v", err)
	}
}

func TestRulesTooIntricateToCheck(t *testing.T) {
	_, err := NewTable(map[string]string{
		"/([abxyz]+)":           "1",
		"/(x[ab]*a[ab]{12})":    "2",
		"/(y[ab]*a[ab]{12})":    "3",
		"/(z[ab]*a[ab]{12})":    "4",
		"/(other[ab]*a[ab]{3})": "5",
	}, Options[string]{})
	if err == nil || !strings.Contains(err.Error(), `rule "/([abxyz]+)" and the more specific ones are too intricate to compare: write them simpler`) {
		t.Errorf("error %v", err)
	}
	_, err = NewTable(map[string]string{"/(x[ab]*a[ab]{18})": "1"}, Options[string]{})
	if err == nil || !strings.Contains(err.Error(), "is too intricate to check: write a shorter expression, or several patterns") {
		t.Errorf("error %v", err)
	}
}

func TestNoRules(t *testing.T) {
	table, err := NewTable(nil, Options[string]{Default: "default"})
	if err != nil {
		t.Fatal(err)
	}
	expect(t, table, []lookups{{"GET", "/", "default"}, {"GET", "/a/../b", "default"}, {"GET", "/%00", "refused"}})
	if Open([]*Rule[string]{}) {
		t.Error("no rules at all count as open")
	}
}

func TestRulesAreListed(t *testing.T) {
	table := tableOf(t, "", map[string]string{"/b": "1", "/a": "public"})
	if got, want := fmt.Sprint(table.rules), "[{/a public true} {/b 1 false} { default false}]"; got != want {
		t.Errorf("%s, want %s", got, want)
	}
}

func TestLookupOfOrdinaryPathsDoesNotAllocate(t *testing.T) {
	table := fiftyRuleTable(t)
	for _, c := range benchPaths {
		u := &url.URL{Path: c.path}
		if n := testing.AllocsPerRun(100, func() { _, _ = table.Lookup("GET", "app.example.com", u) }); n != 0 {
			t.Errorf("%s: %v allocations", c.path, n)
		}
	}
}
