package route

import (
	"net/url"
	"slices"
	"strings"
	"testing"
)

func TestParseHost(t *testing.T) {
	for _, c := range []struct {
		host, name, port string
		plain            bool
	}{
		{"example.com", "example.com", "", true},
		{"example.com:8080", "example.com", "8080", true},
		{"Example.com", "example.com", "", false},
		{"example.com.", "example.com", "", false},
		{"example.com...:80", "example.com", "80", false},
		{"example.com:", "example.com", "", false},
		{"example.com:080", "example.com", "80", false},
		{"example.com:000", "example.com", "0", false},
		{"example.com:0", "example.com", "0", true},
		{"localhost", "localhost", "", true},
		{"a_b-c.example", "a_b-c.example", "", true},
		{"127.0.0.1:80", "127.0.0.1", "80", true},
		{"[::1]", "[::1]", "", true},
		{"[::1]:8080", "[::1]", "8080", true},
		{"[::1]:", "[::1]", "", false},
		{"[0:0::1]", "[::1]", "", false},
		{"[2001:DB8::1]", "[2001:db8::1]", "", false},
	} {
		h, plain, ok := parseHost(c.host)
		if !ok || h != (hostName{c.name, c.port}) || plain != c.plain {
			t.Errorf("%q: %q %v %v", c.host, h, plain, ok)
		}
	}
	for _, host := range []string{"", ":", ":80", ".", "...:80", ".a", "a..b", "a:80:90", "a::", "a:]", "a:80]", "a:x", "a: 80", "a b", "a/b", "a@b", "a%41", "[", "[]", "[::1", "::1]", "[::1]80", "[::1]:80:90",
		"[::1]]", "[[::1]]", "[::1%lo]", "[1.2.3.4]", "[a]", "é.example", "\u212a.example", "a\x00", "*.example.com"} {
		if h, _, ok := parseHost(host); ok {
			t.Errorf("%q is read as %q", host, h)
		}
	}
}

// readingsOf returns the readings of a host by their definition: as it is, cut at
// its first and last colon or behind its bracket, in lower case or not, with dots at
// its end or not; those that keep its port apart.
func readingsOf(host string) (keep, cut []string) {
	pieces := []string{host}
	if i := strings.IndexByte(host, ']'); strings.HasPrefix(host, "[") && i > 0 {
		pieces = append(pieces, host[:i+1])
	} else if i := strings.IndexByte(host, ':'); i >= 0 {
		pieces = append(pieces, host[:i], host[:strings.LastIndexByte(host, ':')])
	}
	for i, piece := range pieces {
		for _, s := range []string{piece, strings.ToLower(piece)} {
			dotless := strings.TrimRight(s, ".")
			if name, port, ok := strings.Cut(s, ":"); ok && s[0] != '[' {
				dotless = strings.TrimRight(name, ".") + ":" + port
			}
			for _, s := range []string{s, dotless} {
				if s == "" {
					continue
				}
				if cut = append(cut, s); i == 0 {
					keep = append(keep, s)
				}
			}
		}
	}
	return keep, cut
}

// TestHostReadings: a rule that guards applies if any reading of a host matches, and
// one that opens if all do.
func TestHostReadings(t *testing.T) {
	names := []string{"a.example", "b.example", "A.example", "a.example.", "b.Example..", "localhost", "[::1]", "[::2]"}
	ports := []string{"", ":", ":80", ":81", ":443", ":8080"}
	rules := []string{"a.example", "b.example", "a.example:80", "a.example:81", "localhost:8080", "localhost", "[::1]", "[::1]:8080"}
	requests, opened := 0, 0
	for _, rule := range rules {
		guarding := tableOf(t, "", map[string]string{rule + "/x": "guarded", "/{rest...}": "public"})
		opening := tableOf(t, "", map[string]string{rule + "/x": "public"})
		for _, name := range names {
			for _, port := range ports {
				for _, inURL := range []bool{false, true} {
					host := name + port
					u := &url.URL{Path: "/x"}
					if inURL {
						u.Scheme, u.Host = "ftp", host
					}
					keep, cut := readingsOf(host)
					readings := cut
					if h, _, _ := parseHost(rule); h.port != "" {
						readings = keep
					}
					any := slices.Contains(readings, rule)
					all := !slices.ContainsFunc(readings, func(s string) bool { return s != rule })
					// Browsers omit these ports.
					if bare, ok := strings.CutSuffix(rule, ":80"); ok && !strings.HasSuffix(strings.TrimRight(host, ":"), "]") {
						_, cut := readingsOf(strings.TrimSuffix(host, ":"))
						any = any || slices.Contains(cut, bare) && strings.TrimLeft(port, ":") == ""
					}
					requests++
					found, err := guarding.Lookup("GET", host, u)
					if err != nil || slices.ContainsFunc(found, func(r *Rule[string]) bool { return r.Value == "guarded" }) != any {
						t.Errorf("%s guards %q: %v (%v), want %v", rule, host, found, err, any)
					}
					found, err = opening.Lookup("GET", host, u)
					if err != nil || Open(found) != all {
						t.Errorf("%s opens %q: %v (%v), want %v", rule, host, Open(found), err, all)
					}
					if all {
						opened++
					}
				}
			}
		}
	}
	if opened != 2*len(rules) {
		t.Errorf("%d of %d requests are let in", opened, requests)
	}
}

func TestHostRulesDoNotAllocate(t *testing.T) {
	table := tableOf(t, "", map[string]string{"/{rest...}": "all", "admin.example.com/{rest...}": "admin", "[::1]:8080/{$}": "public", "www.example.com/{rest...}": "public www"})
	u := &url.URL{Path: "/x"}
	for _, host := range []string{"www.example.com", "admin.example.com", "app.example.com", "app.example.com:8080", "[::1]:8080", "[::2]:8080", ""} {
		if n := testing.AllocsPerRun(100, func() { _, _ = table.Lookup("GET", host, u) }); n != 0 {
			t.Errorf("%q: %v allocations", host, n)
		}
	}
}

func TestRelateHosts(t *testing.T) {
	for _, c := range []struct {
		a, b         string
		aOpen, bOpen bool
		want         relation
	}{
		{"", "", false, true, equal},
		{"", "a.b", true, true, contains},
		{"a.b", "", false, false, within},
		{"a.b", "c.d", false, false, disjoint},
		{"a.b", "a.b", false, true, equal},
		{"a.b:1", "a.b:1", false, true, equal},
		{"a.b:1", "a.b:2", false, false, disjoint},
		{"a.b", "a.b:1", false, false, contains},
		{"a.b", "a.b:1", false, true, contains},
		{"a.b", "a.b:1", true, false, disjoint},
		{"a.b", "a.b:1", true, true, disjoint},
		{"a.b", "a.b:80", true, false, contains},
		{"a.b:443", "a.b", false, true, within},
		{"a.b", "a.b:80", true, true, disjoint},
	} {
		a, _, _ := parseHost(c.a)
		b, _, _ := parseHost(c.b)
		if got := relateHosts(a, b, c.aOpen, c.bOpen); got != c.want {
			t.Errorf("%q and %q, open %v and %v: %v, want %v", c.a, c.b, c.aOpen, c.bOpen, got, c.want)
		}
	}
}
