package clerkauth_test

import (
	"net/http/httptest"
	"strings"
	"testing"

	"github.com/clerkauth/clerkauth"
)

func TestMatcherAnyGuardsAllOpens(t *testing.T) {
	m, err := clerkauth.NewMatcher("/dashboard(.*)", "/orgs/:slug/(.*)", "GET /files/{rest...}")
	if err != nil {
		t.Fatal(err)
	}
	for _, c := range []struct {
		method, target string
		anyOf, all     bool
	}{
		{"GET", "/dashboard", true, true},
		{"GET", "/dashboard/x", true, true},
		{"POST", "/orgs/acme/x", true, true},
		{"GET", "/orgs/acme", false, false},
		{"GET", "/files/x", true, true},
		{"HEAD", "/files/x", true, true},
		{"POST", "/files/x", false, false},
		{"GET", "/", false, false},
		{"GET", "/DASHBOARD", true, false},
		{"GET", "//dashboard", true, false},
		{"GET", "/x/../dashboard", true, false},
		{"GET", "/dashboard/../x", true, false},
		{"GET", "/dashboard/%2e%2e/x", true, false},
		{"GET", "/%64ashboard", true, false},
		{"GET", "/x?y=/dashboard", false, false},
		{"GET", "/x%00", true, false},
		{"CONNECT", "/dashboard", true, false},
	} {
		r := httptest.NewRequest("GET", c.target, nil)
		r.Method = c.method
		if got := m.Any(r); got != c.anyOf {
			t.Errorf("Any(%s %s) = %v", c.method, c.target, got)
		}
		if got := m.All(r); got != c.all {
			t.Errorf("All(%s %s) = %v", c.method, c.target, got)
		}
	}
}

// TestMatcherTakesCreateRouteMatchersPlace: a matcher agrees with createRouteMatcher
// on ordinary paths.
func TestMatcherTakesCreateRouteMatchersPlace(t *testing.T) {
	for _, c := range []struct{ pattern, matches, not string }{
		{"/", "/", "/x /x/"},
		{"/a/b/", "/a/b/", "/a/b /a/b/c /a"},
		{"/orgs/:slug/", "/orgs/acme/", "/orgs/acme /orgs/ /orgs/acme/x"},
		{"GET /", "/", "/x"},
		{`/x/:id(\d+)(.*)`, "/x/1 /x/12/y /x/1y", "/x/y /x/ /x"},
		{"/(a?!b)", "/a!b /!b", "/ab /b /a"},
		{"/dashboard", "/dashboard /dashboard/", "/dashboard.json /dashboardx"},
		{"(.*)", "/ /x /x/y.z", ""},
	} {
		m, err := clerkauth.NewMatcher(c.pattern)
		if err != nil {
			t.Error(err)
			continue
		}
		for _, path := range strings.Fields(c.matches) {
			if r := httptest.NewRequest("GET", path, nil); !m.Any(r) {
				t.Errorf("%s does not match %s", c.pattern, path)
			}
		}
		for _, path := range strings.Fields(c.not) {
			if r := httptest.NewRequest("GET", path, nil); m.Any(r) || m.All(r) {
				t.Errorf("%s matches %s: Any %v, All %v", c.pattern, path, m.Any(r), m.All(r))
			}
		}
	}
	for pattern, message := range map[string]string{"/a/{...}": "is not a name for a wildcard", "//": "holds //", "/a//": "holds //", "/(x[ab]*a[ab]{18})": "too intricate to check"} {
		if _, err := clerkauth.NewMatcher(pattern); err == nil || !strings.Contains(err.Error(), message) {
			t.Errorf("%s: %v", pattern, err)
		}
	}
}

func TestNewMatcherReportsEveryError(t *testing.T) {
	_, err := clerkauth.NewMatcher("/ok", "admin", "/x//", "/((?!public).*)", "")
	if err == nil {
		t.Fatal("accepted")
	}
	for _, want := range []string{`"admin"`, `"/x//"`, "(?!public)", `""`} {
		if !strings.Contains(err.Error(), want) {
			t.Errorf("%s is not in: %v", want, err)
		}
	}
}
