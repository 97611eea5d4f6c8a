package route

import (
	"fmt"
	"net/http"
	"net/url"
	"strings"
	"testing"
)

// TestCatalogue takes the odd ways to write a path one by one. The admin subtree
// is protected, the public one is open, and everything else falls under the
// default.
func TestCatalogue(t *testing.T) {
	rules := map[string]string{
		"/admin":            "protected",
		"/admin/{rest...}":  "protected",
		"/public":           "public",
		"/public/{rest...}": "public",
	}
	more := map[int]func(*testing.T){
		181: func(t *testing.T) {
			table := tableOf(t, "", rules)
			for _, u := range []*url.URL{{Host: "host:443"}, {Path: "//admin/users"}, {Path: "/public/../admin"}, {Path: "/public/x"}} {
				if _, err := table.Lookup(http.MethodConnect, "host:443", u); err != errConnect {
					t.Errorf("CONNECT %s: %v", u, err)
				}
			}
		},
		182: func(t *testing.T) {
			// Clerk's (.*) matches siblings: fine to protect with, no way to open.
			table := tableOf(t, "", map[string]string{"/admin(.*)": "protected"})
			expect(t, table, []asked{{"GET", "/administrator", "protected"}, {"GET", "/admin", "protected"}})
			if _, err := NewTable(map[string]string{"/public(.*)": "public"}, Options[string]{Open: isPublic}); err == nil {
				t.Error("siblings can be opened")
			}
		},
	}
	for row, c := range map[int]struct{ want, targets string }{
		163: {"protected", "//admin/users ///admin///users /admin//users"},
		164: {"protected", "/./admin/users /admin/./users /admin/users/."},
		165: {"protected", "/x/../admin/users /public/../admin/users /public/x/../../admin/users /../admin/users"},
		166: {"protected", "/public/%2e%2e/admin/users /public/.%2e/admin/users /public/%2E%2E/%61dmin/users"},
		167: {"protected", "/public/..%2fadmin/users /public%2f..%2fadmin%2fusers"},
		168: {"protected", "/%61dmin/users /%61%64%6d%69%6e/users /adm%69n/user%73"},
		169: {"protected", "/admin%2fusers /%2fadmin/users /admin/users%2f"},
		170: {"protected", `/admin%5cusers /admin\users /public/..%5cadmin`},
		171: {"protected", "/admin;x/users /admin/..;/users /public/..;/admin/users /admin/users;jsessionid=1"},
		172: {"protected", "/admin/users. /admin./users /admin/users%20 /admin%20/users"},
		173: {"refused", "/admin/users%00 /admin%00/users /admin%0a/users /admin/users%09"},
		174: {"protected", "/ADMIN/users /Admin/Users"},
		175: {"default", "/%EF%BD%81dmin /admin%EF%BC%8Fusers /a%CC%80dmin /adm%C4%B1n /adm%C4%B0n/users"},
		176: {"protected", "/%2561dmin/users /public/%252e%252e/admin"},
		177: {"refused", "/%c0%ae%c0%ae/admin /admin%c0%afusers /%ff"},
		178: {"400 by net/http", "/admin% /admin%zz /%u0061dmin"},
		179: {"protected", `/public%2f|/../admin/users /public%2fx/../admin/a\b`},
		180: {"protected", "http://evil.example/admin/users http://evil.example//admin"},
		181: {"refused", "http:admin/users *"},
		182: {"default", "/administrator /admin-public /admins/x /publicity"},
		187: {"protected", "/admin /admin/"},
	} {
		t.Run(fmt.Sprintf("row=%d", row), func(t *testing.T) {
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
	t.Run("row=183", func(t *testing.T) {
		for _, pattern := range []string{"admin", "/admin/", "/admin*", "^/admin", "", "/a{", "/:id("} {
			if _, err := Parse(pattern); err == nil {
				t.Errorf("%q is accepted", pattern)
			}
		}
		if _, err := NewMatcher(); err == nil {
			t.Error("an empty list of patterns is accepted")
		}
	})
	t.Run("row=184", func(t *testing.T) {
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
	t.Run("row=185", func(t *testing.T) { TestMount(t) })
	t.Run("row=188", func(t *testing.T) {
		expect(t, tableOf(t, "", map[string]string{"/admin/{rest...}": "protected", "/admin/health": "public health"}), []asked{
			{"GET", "/admin/health", "public health"},
			{"GET", "/admin/health/", "protected"},
			{"GET", "/admin/x/../health", "protected public health"},
			{"GET", "/admin/health/..", "default protected"},
			{"GET", "/admin/health%2f..%2fusers", "protected"},
			{"GET", "/ADMIN/health", "protected"},
		})
	})
}
