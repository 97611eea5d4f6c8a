package route

import (
	"net/url"
	"slices"
	"strings"
	"testing"
)

// matchesPath reports whether the pattern matches path, by its trie and by its
// regular expression, which must agree. As in path-to-regexp, one more slash at the
// end is ignored in Clerk's grammar.
func matchesPath(t *testing.T, p *Pattern, path string) bool {
	t.Helper()
	var tr trie
	tr.insert(p, 0)
	hits := tr.find([]byte(path), nil)
	byTrie := len(hits) == 1 && hits[0].fit == exact
	if byRegexp := anchored(p.source(asWritten)).MatchString(path); byTrie != byRegexp {
		t.Fatalf("%s on %q: trie %v, regular expression %v", p, path, byTrie, byRegexp)
	}
	return byTrie || p.clerk && len(hits) == 1 && hits[0].fit == extraSlash
}

func TestPatterns(t *testing.T) {
	for _, c := range []struct{ pattern, matches, not string }{
		// net/http's grammar.
		{"/", "", ""}, // an error: see TestPatternErrors
		{"/{$}", "/", "/a //"},
		{"/dashboard", "/dashboard", "/dashboard/ /Dashboard /dashboardx /x/dashboard /"},
		{"/a/{$}", "/a/", "/a /a/b"},
		{"/users/{id}", "/users/1 /users/a%20b", "/users /users/ /users/1/2 /users/1/"},
		{"/users/{id}/posts/{n}", "/users/1/posts/2", "/users/1/posts /users//posts/2"},
		{"/files/{rest...}", "/files/ /files/a /files/a/b/ /files//", "/files /filesx"},
		{"/{rest...}", "/ /a /a/b", ""},
		{"/日本", "/日本", "/日"},
		{"/%E6%97%A5%E6%9C%AC", "/日本", "/%E6%97%A5%E6%9C%AC"},
		{"/c%2B%2B", "/c++", "/c"},
		{"/$metadata", "/$metadata", "/"},
		{"/.well-known/x", "/.well-known/x", "/well-known/x"},
		{"GET /a", "/a", "/b"},
		{"example.com/a", "/a", "/b"},
		// Clerk's grammar.
		{"/dashboard(.*)", "/dashboard /dashboard/ /dashboardx /dashboard/a/b", "/dash /x/dashboard"},
		{"/dashboard/(.*)", "/dashboard/ /dashboard/a/b", "/dashboard /dashboardx"},
		{"/dashboard/:path*", "/dashboard /dashboard/ /dashboard/a /dashboard/a/b/", "/dashboardx"},
		{"/dashboard/:path+", "/dashboard/a /dashboard/a/b", "/dashboard /dashboard/"},
		{"(.*)", "/ /a /a/b", ""},
		{"/(.*)", "/ /a /a/b", ""},
		{"/:path*", "/ /a /a/b", ""},
		{"/orgs/:slug", "/orgs/a /orgs/a/", "/orgs /orgs/ /orgs/a/b"},
		{"/orgs/:slug/(.*)", "/orgs/a/ /orgs/a/b/c", "/orgs/a /orgs//b"},
		{"/orgs/:slug(.*)", "/orgs/ /orgs/a /orgs/a/b", "/orgs"},
		{"/orgs/:slug([^/]+)", "/orgs/a", "/orgs/ /orgs/a/b"},
		{`/users/:id(\d+)`, "/users/1 /users/22/", "/users/a /users/1a /users/١"},
		{"/users/:id?", "/users /users/ /users/1", "/users/1/2"},
		{"/:id?", "/ /a", "/a/b"},
		{"/users/:ids+", "/users/1 /users/1/2", "/users"},
		{"/:a/:b", "/x/y /x/y/", "/x /x/y/z"},
		{"/:a-:b", "/x-y", "/xy /x-"},
		{"/file.:ext", "/file.js", "/filexjs /file.tar.gz"},
		{"/file.:ext?", "/file /file.js", "/file."},
		{"/a{/b}?/c", "/a/c /a/b/c", "/a/b"},
		{"/a{/b}+", "/a/b /a/b/b/", "/a"},
		{"/a{/:x-}*", "/a /a/b- /a/b-/c-/", "/a/b"},
		{"{/b}+", "/b /b/ /b/b", "/ // /bb"},
		{`/file\.:ext?`, "/file. /file.js", "/file /filejs"},
		{"{/:lang}?/about", "/about /en/about", "/about/en /en/fr/about"},
		{"/(api|trpc)(.*)", "/api /apix /trpc/a", "/other/api"},
		{"/(a|b)/c", "/a/c /b/c/", "/c/c /ab/c"},
		{"/v(1|2)/x", "/v1/x /v2/x", "/v/x /v3/x"},
		{"/a/(.+)", "/a/b /a/b/c", "/a/"},
		{"/api/v:version", "/api/v1 /api/vv2", "/api/v /api/v1/x"},
		{`/a\:b`, "/a:b /a:b/", "/ab"},
		{"/(a?!b)", "/a!b /!b", "/ab /b"},
		{`/x/:x(\d+)(.*)`, "/x/1 /x/12/y /x/1y", "/x/y /x/"},
		{"localhost:8080/a", "/a", "/b"},
		{"[::1]:8080/a", "/a", "/b"},
		{"/a/:1", "/a/b", "/a"},
		{"GET /dashboard(.*)", "/dashboard/x", "/x"},
		{"POST example.com/orgs/:slug", "/orgs/a", "/orgs"},
	} {
		if c.pattern == "/" {
			continue
		}
		p, err := Parse(c.pattern)
		if err != nil {
			t.Error(err)
			continue
		}
		for _, path := range strings.Fields(c.matches) {
			if !matchesPath(t, p, path) {
				t.Errorf("%s does not match %s", p, path)
			}
		}
		for _, path := range strings.Fields(c.not) {
			if matchesPath(t, p, path) {
				t.Errorf("%s matches %s", p, path)
			}
		}
	}
}

// FuzzPattern: the trie and the regular expression of any valid pattern agree, and
// it can be a rule of a table.
func FuzzPattern(f *testing.F) {
	for _, pattern := range []string{
		"/a/([^A-Z]+)", "/x{a:b}/[^k]", "localhost:8080/ſ", "/a/{b}/{c...}", "GET x.y/{$}", "/a(.*)", "/:a/:b-:c", "/a{/:x}*", "/a/:x?", `/(\d+)`, "/(a|b)/x{.:y}?", "/a/(.+)b",
	} {
		for _, path := range []string{"/a/b", "/", "/a/b/c/", "/A//b", "/a/\u212a"} {
			f.Add(pattern, path)
		}
	}
	f.Fuzz(func(t *testing.T, pattern, path string) {
		p, err := Parse(pattern)
		if err != nil || !strings.HasPrefix(path, "/") || checkReading(path) != nil {
			return
		}
		matches := matchesPath(t, p, path)
		table, err := NewTable(map[string]bool{pattern: false}, Options[bool]{})
		if err != nil {
			t.Fatal(err)
		}
		method := p.method
		if method == "" {
			method = "GET"
		}
		rules, err := table.Lookup(method, p.host.String(), &url.URL{Path: path})
		if err == nil && matches && !slices.ContainsFunc(rules, func(r *Rule[bool]) bool { return r.Pattern == pattern }) {
			t.Errorf("%q does not protect %q", pattern, path)
		}
	})
}

func TestWildcardsCrossLineTerminators(t *testing.T) {
	for _, pattern := range []string{"/a(.*)", "/a/(.*)", "/a/:p*", "/a/:id", "/a/{id}", "/a/{rest...}", "/a/:p(.+)", "/a/:p([^/]+)"} {
		p, err := Parse(pattern)
		if err != nil {
			t.Fatal(err)
		}
		for _, path := range []string{"/a/x\ny", "/a/\r", "/a/x\u2028y", "/a/\u2029", "/a/\n\n"} {
			if !matchesPath(t, p, path) {
				t.Errorf("%s does not match %q", p, path)
			}
		}
	}
}

func TestPatternParts(t *testing.T) {
	p, err := Parse("POST  App.Example.com/orgs/{slug}")
	if err != nil {
		t.Fatal(err)
	}
	if p.method != "POST" || p.host.String() != "app.example.com" || p.String() != "POST  App.Example.com/orgs/{slug}" {
		t.Errorf("method %q, host %q, text %q", p.method, p.host, p)
	}
}

func TestPatternErrors(t *testing.T) {
	for _, c := range []struct{ pattern, message string }{
		{"", "is empty"},
		{"/", "write /{$} for this path alone, or /{rest...} for everything below"},
		{"/admin/", "write /admin/{$} for this path alone, or /admin/{rest...} for everything below"},
		{"/orgs/:slug/", "ends in /"},
		{"admin", "has no path"},
		{"admin/users", "must begin with /"},
		{"https://app.example.com/x", "leave out the scheme"},
		{"http://localhost:8080/", "leave out the scheme"},
		{"localhost:8080", "write localhost:8080/{$}"},
		{"localhost:8080/", "write localhost:8080/{$}"},
		{"GET app.example.com/admin/", "write app.example.com/admin/{$}"},
		{"example.com:http/x", "is not a host name"},
		{"example.com:0/x", "is not a port"},
		{"example.com:65536/x", "is not a port"},
		{"example.com:080/x", "write example.com:80"},
		{"example.com./x", "write example.com"},
		{"example..com/x", "is not a host name"},
		{"user@example.com/x", "is not a host name"},
		{"[::1/x", "is not a host name"},
		{"[0:0::1]:80/x", "write [::1]:80"},
		{"[fe80::1%25eth0]/x", "is not a host name"},
		{"[a-z]/x", "is not a host name"},
		{"/a/{...}", "is not a name"},
		{"/(x[ab]*a[ab]{18})", "too intricate to check: write a shorter expression"},
		{"ex ample.com/x", "methods are case-sensitive"},
		{"^/admin", "is not a host name"},
		{"GET", "has no path"},
		{"get /a", "write GET"},
		{"G@T /a", "is not a method"},
		{" /a", "is never asked"},
		{"CONNECT /a", "CONNECT is refused"},
		{"/a b", "is not a method"},
		{"/admin*", `holds a "*" that follows no parameter`},
		{"/*", `holds a "*"`},
		{"/a?b", `holds a "?"`},
		{"/a+", "write %2B"},
		{"/x?y=1", `holds a "?"`},
		{"/a#b", "holds '#'"},
		{"/[", "not a regular expression"},
		{"/a|b", "not a regular expression"},
		{"/a)", `holds a ")"`},
		{"/a{", "is not a wildcard"},
		{"/a}", "is not a wildcard"},
		{"/a{b}", "is not a wildcard"},
		{"/{}", "is not a wildcard"},
		{"/{a-b}", "is not a name"},
		{"/{a}/{a}", "two wildcards named"},
		{"/{$}/a", "must be at the end"},
		{"/{a...}/b", "must be at the end"},
		{"/a/../b", `holds the segment ".."`},
		{"/a/.", `holds the segment "."`},
		{"/a/%2e%2e/b", `holds the segment ".."`},
		{"/a//b", "holds //"},
		{"/a%2Fb", "encoded slash"},
		{`/a%5Cb`, "backslash"},
		{`/a\b`, "not a regular expression"},
		{"/a%zz", "begins no percent-encoding"},
		{"/a%00", "control character"},
		{"/a%ff", "not UTF-8"},
		{"/orgs/{slug}/(.*)", "mixes two grammars"},
		{"/items/{id}:archive", "mixes two grammars"},
		{"/a(.*)/{$}", "mixes two grammars"},
		{"/(.*)/{rest...}", "mixes two grammars"},
		{"/a(", `holds a "(" without ")"`},
		{"/:id(", `holds a "(" without ")"`},
		{"/a/()", "empty ()"},
		{"/a/:", `holds a ":" without a name`},
		{"/:a:b", "has nothing between"},
		{"/:a/:a", "two parameters named"},
		{"/a:b+", "repeats a parameter"},
		{"/((?!public).*)", "write rules instead"},
		{"/(?!public)", "write rules instead"},
		{"/(?<name>x)", "begins a group with ?"},
		{"/((?<=a)b)", "write rules instead"},
		{"/a/(?:x)", "begins a group with ?"},
		{"/((a)b)", "group inside a group"},
		{"/(^a)", "anchor"},
		{"/(a$)", "anchor"},
		{`/(a\b)`, `\b`},
		{`/(\1)`, `\1`},
		{"/([^\\s\\S])", "empty character class"},
		{"/([])a])", "read differently"},
		{"/(a**)", "bad regular expression"},
		{"/a{/b(x)", `"{" without "}"`},
		{"/a{/b(x)(y)}?", "two parameters in one group"},
		{"/a{}?", "empty group"},
		{"/a{(x)}*", "repeats a parameter with nothing between"},
		{"/a{/(b*)}?c}", "closes nothing"},
		{`/a(b)\`, "escapes nothing"},
		{"/a/{/b}?", "holds //"},
		{"{/a}?b", "must begin with /"},
	} {
		_, err := Parse(c.pattern)
		switch {
		case err == nil:
			t.Errorf("%q is accepted", c.pattern)
		case !strings.Contains(err.Error(), c.message) || !strings.HasPrefix(err.Error(), "pattern "):
			t.Errorf("%q: error %q does not contain %q", c.pattern, err, c.message)
		}
	}
}
