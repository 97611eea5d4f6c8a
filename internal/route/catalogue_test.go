package route

import (
	"net/http"
	"net/url"
	"strings"
	"testing"
)

// TestCatalogue looks up unusual spellings of a path. The admin subtree is
// protected, the public one is open, and everything else has the default rule.
func TestCatalogue(t *testing.T) {
	rules := map[string]string{
		"/admin":            "protected",
		"/admin/{rest...}":  "protected",
		"/public":           "public",
		"/public/{rest...}": "public",
	}
	more := map[string]func(*testing.T){
		"181/opaque_targets_and_connect": func(t *testing.T) {
			table := tableOf(t, "", rules)
			for _, u := range []*url.URL{{Host: "host:443"}, {Path: "//admin/users"}, {Path: "/public/../admin"}, {Path: "/public/x"}} {
				if _, err := table.Lookup(http.MethodConnect, "host:443", u); err != errConnect {
					t.Errorf("CONNECT %s: %v", u, err)
				}
			}
		},
		"182/siblings_of_a_prefix": func(t *testing.T) {
			// Clerk's (.*) matches siblings: it may protect, but not open.
			table := tableOf(t, "", map[string]string{"/admin(.*)": "protected"})
			expect(t, table, []lookups{{"GET", "/administrator", "protected"}, {"GET", "/admin", "protected"}})
			if _, err := NewTable(map[string]string{"/public(.*)": "public"}, Options[string]{Open: isPublic}); err == nil {
				t.Error("siblings can be opened")
			}
		},
	}
	for row, c := range map[string]struct{ want, targets string }{
		"163/repeated_slashes":              {"protected", "//admin/users ///admin///users /admin//users"},
		"164/dot_segments":                  {"protected", "/./admin/users /admin/./users /admin/users/."},
		"165/parent_segments":               {"protected", "/x/../admin/users /public/../admin/users /public/x/../../admin/users /../admin/users"},
		"166/encoded_parent_segments":       {"protected", "/public/%2e%2e/admin/users /public/.%2e/admin/users /public/%2E%2E/%61dmin/users"},
		"167/encoded_slash_behind_parent":   {"protected", "/public/..%2fadmin/users /public%2f..%2fadmin%2fusers"},
		"168/encoded_letters":               {"protected", "/%61dmin/users /%61%64%6d%69%6e/users /adm%69n/user%73"},
		"169/encoded_slashes":               {"protected", "/admin%2fusers /%2fadmin/users /admin/users%2f"},
		"170/backslashes_in_path":           {"protected", `/admin%5cusers /admin\users /public/..%5cadmin`},
		"171/path_parameters":               {"protected", "/admin;x/users /admin/..;/users /public/..;/admin/users /admin/users;jsessionid=1"},
		"172/trailing_dots_and_spaces":      {"protected", "/admin/users. /admin./users /admin/users%20 /admin%20/users"},
		"173/controls_in_path":              {"refused", "/admin/users%00 /admin%00/users /admin%0a/users /admin/users%09"},
		"174/other_letter_case":             {"protected", "/ADMIN/users /Admin/Users"},
		"175/unicode_lookalikes":            {"default", "/%EF%BD%81dmin /admin%EF%BC%8Fusers /a%CC%80dmin /adm%C4%B1n /adm%C4%B0n/users"},
		"176/double_encoding":               {"protected", "/%2561dmin/users /public/%252e%252e/admin"},
		"177/overlong_utf8":                 {"refused", "/%c0%ae%c0%ae/admin /admin%c0%afusers /%ff"},
		"178/malformed_escapes":             {"400 by net/http", "/admin% /admin%zz /%u0061dmin"},
		"179/invalid_raw_path":              {"protected", `/public%2f|/../admin/users /public%2fx/../admin/a\b`},
		"180/absolute_form":                 {"protected", "http://evil.example/admin/users http://evil.example//admin"},
		"181/opaque_targets_and_connect":    {"refused", "http:admin/users *"},
		"182/siblings_of_a_prefix":          {"default", "/administrator /admin-public /admins/x /publicity"},
		"187/redirect_below_guarded_routes": {"protected", "/admin /admin/"},
	} {
		t.Run("row="+row, func(t *testing.T) {
			table := tableOf(t, "", rules)
			for _, s := range strings.Fields(c.targets) {
				u, err := url.ParseRequestURI(s)
				if c.want == "400 by net/http" {
					if err == nil {
						t.Errorf("%s is parsed", s)
					}
					continue
				}
				if err != nil {
					t.Fatal(err)
				}
				for _, method := range []string{"GET", "POST", "get", "FOO"} {
					var got string
					if found, err := table.Lookup(method, "evil.example", u); err != nil {
						got = "refused"
					} else if Open(found) {
						got = "public"
					} else {
						got = "default"
						for _, r := range found {
							if r.Value == "protected" {
								got = r.Value
							}
						}
					}
					if got != c.want {
						t.Errorf("%s %s: %s, want %s", method, s, got, c.want)
					}
				}
			}
			if rest := more[row]; rest != nil {
				rest(t)
			}
		})
	}
	t.Run("row=183/malformed_patterns", func(t *testing.T) {
		for _, pattern := range []string{"admin", "/admin/", "/admin*", "^/admin", "", "/a{", "/:id("} {
			if _, err := Parse(pattern); err == nil {
				t.Errorf("%q is accepted", pattern)
			}
		}
		if _, err := NewMatcher(); err == nil {
			t.Error("an empty list of patterns is accepted")
		}
	})
	t.Run("row=184/wildcards_and_line_terminators", func(t *testing.T) {
		m, err := NewMatcher(`/x/:id(\d+)`, "/a/(.+)(.*)")
		if err != nil {
			t.Fatal(err)
		}
		for s, want := range map[string]bool{
			"/x/1":    true,
			"/y/x/1":  false,
			"/x/1/y":  false,
			"/x/1%20": true, // read as /x/1, too
			"/a/" + strings.Repeat("%E2%80%A8", 3) + strings.Repeat("a", 10<<10): true,
		} {
			if got, err := m.Any("GET", "", target(t, s)); got != want || err != nil {
				t.Errorf("%.20s: %v %v", s, got, err)
			}
		}
	})
	t.Run("row=185/guard_around_strip_prefix", func(t *testing.T) { TestMount(t) })
	t.Run("row=188/open_rule_within_guarded_subtree", func(t *testing.T) {
		expect(t, tableOf(t, "", map[string]string{"/admin/{rest...}": "protected", "/admin/health": "public health"}), []lookups{
			{"GET", "/admin/health", "public health"},
			{"GET", "/admin/health/", "protected"},
			{"GET", "/admin/x/../health", "protected public health"},
			{"GET", "/admin/health/..", "default protected"},
			{"GET", "/admin/health%2f..%2fusers", "protected"},
			{"GET", "/ADMIN/health", "protected"},
		})
	})
}
