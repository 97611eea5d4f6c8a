package route

import (
	"strings"
	"testing"
)

func TestMatcher(t *testing.T) {
	m, err := NewMatcher("/dashboard(.*)", "/orgs/:slug", "/orgs/:slug/settings", "/docs", "GET /files/{id}", "admin.example.com/x", "PURGE /cache", "/a/:x/b")
	if err != nil {
		t.Fatal(err)
	}
	for _, c := range []struct {
		method, host, target string
		any, all             bool
	}{
		{"GET", "", "/dashboard", true, true},
		{"GET", "", "/dashboardx", true, true},
		{"GET", "", "/dashboard/a/b", true, true},
		{"GET", "", "/", false, false},
		// A trailing slash is ignored in Clerk's grammar.
		{"GET", "", "/orgs/acme/", true, true},
		{"GET", "", "/docs/", true, false},
		{"GET", "", "/orgs/", false, false},
		// Case.
		{"GET", "", "/DASHBOARD", true, false},
		// Readings.
		{"GET", "", "/x/../dashboard", true, false},
		{"GET", "", "/dashboard/../x", true, false},
		{"GET", "", "/dashboard/%2e%2e/dashboard", true, true},
		{"GET", "", "/%64ocs", true, false},
		// A wildcard that some routers match with nothing, in an unusual path.
		{"GET", "", "/a//b", true, false},
		{"GET", "", "/a/b", false, false},
		// Methods.
		{"GET", "", "/files/1", true, true},
		{"HEAD", "", "/files/1", true, true},
		{"POST", "", "/files/1", false, false},
		{"get", "", "/files/1", true, false},
		{"PURGE", "", "/cache", true, true},
		{"PURGE", "", "/files/1", false, false},
		// Hosts.
		{"GET", "admin.example.com", "/x", true, true},
		{"GET", "ADMIN.example.com.:80", "/x", true, false},
		{"GET", "app.example.com", "/x", false, false},
	} {
		u := target(t, c.target)
		any, err := m.Any(c.method, c.host, u)
		if any != c.any || err != nil {
			t.Errorf("%s %s%s: any is %v (%v)", c.method, c.host, c.target, any, err)
		}
		all, err := m.All(c.method, c.host, u)
		if all != c.all || err != nil {
			t.Errorf("%s %s%s: all is %v (%v)", c.method, c.host, c.target, all, err)
		}
	}
}

func TestMatcherErrorsAreJoined(t *testing.T) {
	_, err := NewMatcher("/a", "/b//", "c", "")
	for _, text := range []string{`"/b//"`, `"c"`, `""`} {
		if err == nil || !strings.Contains(err.Error(), text) {
			t.Errorf("%v does not contain %s", err, text)
		}
	}
}
