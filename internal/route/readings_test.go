package route

import (
	"errors"
	"net/url"
	"slices"
	"strings"
	"testing"
)

func target(t testing.TB, s string) *url.URL {
	t.Helper()
	u, err := url.ParseRequestURI(s)
	if err != nil {
		t.Fatal(err)
	}
	return u
}

func TestReadings(t *testing.T) {
	for _, c := range []struct{ name, target, wants string }{
		{"plain", "/admin/users", "/admin/users"},
		{"slash at the end", "/admin/", "/admin/"},
		{"encoded letter", "/%61dmin", "/admin /%61dmin"},
		{"encoded twice", "/%2561dmin", "/%61dmin /admin"},
		{"encoded slash", "/a%2Fb", "/a/b /a%2Fb"},
		{"encoded slash, encoded twice", "/a%252Fb%255Cc", `/a%2Fb%5Cc /a/b\c /a/b/c`},
		{"encoded slash in a decoded segment", "/%61/b%2Fc", "/a/b/c /%61/b%2Fc /a/b%2Fc"},
		{"encoded thrice", "/%252561", "/%2561 /%61 /a"},
		{"percent that encodes nothing behind one that does", "/%2561%25", "/%61% /a%"},
		{"double slash", "//a", "//a /a"},
		{"empty segment", "/a//b//c", "/a/b/c /b/c /b//c /c"},
		{"empty segment, encoded", "/a%2F/b", "/a//b /a/b /b"},
		{"double slash and dots", "//a/../b", "//a/../b /b /a/../b"},
		{"dots", "/a/./b/../c", "/a/./b/../c /a/c"},
		{"dots at the end", "/a/b/..", "/a/b/.. /a/ /a"},
		{"encoded dots", "/a/%2e%2e/b", "/a/../b /a/%2e%2e/b /b"},
		{"out of the root", "/../../a", "/../../a /a"},
		{"backslash", `/a%5c..%5cb`, `/a\..\b /a/../b /b`},
		{"parameter", "/a;v=1/b", "/a;v=1/b /a/b"},
		{"dots behind a parameter", "/x/..;/a", "/x/..;/a /x/../a /a"},
		{"dot at the end of a name", "/a./b", "/a./b /a/b"},
		{"space at the end of a name", "/a%20/b", "/a␠/b /a/b"},
		{"three dots", "/a/.../b", "/a/.../b /a//b /a/b"},
		{"badly encoded RawPath, which EscapedPath drops", "/x%2f|/../a", "/x/|/../a /x%2f|/../a /x/%7C/../a /a"},
		{"cleaned before it is decoded", "/;x=1%2fx/../a", "/;x=1/a /a"},
		{"fragment", "/a#b", "/a#b /a"},
		{"query", "/a?b=/c", "/a"},
		{"absolute form", "http://evil.example//a", "//a /a"},
	} {
		got, err := Readings(target(t, c.target))
		if err != nil {
			t.Errorf("%s: %v", c.name, err)
			continue
		}
		for _, want := range strings.Fields(c.wants) {
			if want = strings.ReplaceAll(want, "␠", " "); !slices.Contains(got, want) {
				t.Errorf("%s: %s is not read as %q, but as %q", c.name, c.target, want, got)
			}
		}
		if got[0] != target(t, c.target).Path {
			t.Errorf("%s: the first reading is %q", c.name, got[0])
		}
	}
}

func TestShortened(t *testing.T) {
	for _, c := range []struct{ path, want string }{
		{"/a/b", ""},
		{"/a/b/", ""},
		{"/a//b/c", "/c /b/c //b/c /a/ /a/c"},
		{"/a/b//c/d/e", "/e /d/e /c/d/e //c/d/e /b//c/d/e /a/b/ /a/d/e /a/b/e"},
		{"//a/b", "/b /a/b /"},
		{"/a//", "/ // /a/ /a/"},
		{"/a//b//c", "/c //c /b//c //b//c /a/ /a/c"},
	} {
		if got := strings.Join(shortened(c.path), " "); got != c.want {
			t.Errorf("%s: %s, want %s", c.path, got, c.want)
		}
		if got, want := slices.Sorted(slices.Values(shortened(c.path))), slices.Sorted(slices.Values(shortenedByHand(c.path))); !slices.Equal(got, want) {
			t.Errorf("%s: %q, by hand %q", c.path, got, want)
		}
	}
	if n := len(shortened(strings.Repeat("/a", 1000) + "/" + strings.Repeat("/b", 1000))); n > 2*maxShort+1 {
		t.Errorf("%d forms of a long path", n)
	}
}

func TestExtension(t *testing.T) {
	for _, c := range []struct{ path, want string }{
		{"/a/b", ""},
		{"/a.b/c", ""},
		{"/a/b.json", "/a/b"},
		{"/a/b.tar.gz", "/a/b.tar /a/b"},
		{"/a/b.json/", "/a/b/"},
		{"/a/b..json", "/a/b"},
		{"/a/b .json", "/a/b"},
		{"/a/.json", "/a/"},
		{"/a/.json/", "/a/"},
		{"/.env", "/"},
		{"/.", "/"},
	} {
		var got []string
		cuts, end := extension(c.path)
		for _, cut := range cuts {
			if cut > 0 {
				got = append(got, string(without(nil, c.path, cut, end)))
			}
		}
		if strings.Join(got, " ") != c.want {
			t.Errorf("%s: %q, want %s", c.path, got, c.want)
		}
	}
}

// TestReadingsOfHonestPaths: legitimate paths with unusual characters are read, and
// have few readings.
func TestReadingsOfHonestPaths(t *testing.T) {
	for _, s := range []string{
		"/files/a%2Fb", "/x;v=1", "/c%2B%2B", "/50%25", "/caf%C3%A9", "/日本", "/a%20b.txt", "/a+b", "/@user",
		"/mail/a@b.example", "/a,b", "/search/100%25%20sure", "/v1.2.3", "/.well-known/openid-configuration",
		"/files/report%20(1).pdf", "/wiki/It's", "/a:b", "/%E2%9C%93", "/users/user_2NNEqL2nrIRdJ194ndJqAHwEfxC/",
	} {
		got, err := Readings(target(t, s))
		if err != nil || len(got) > 4 {
			t.Errorf("%s: %q %v", s, got, err)
		}
	}
}

// TestReadingsOfPathsInPaths: paths that contain URLs have at most a quarter of the
// permitted number of readings.
func TestReadingsOfPathsInPaths(t *testing.T) {
	for _, s := range []string{
		"/img/https://host/x.png", "/img/https%3A%2F%2Fhost%2Fa%2520b.png", "/proxy/https://u:p@host:80/a//b/./c;v=1?x", "/web/2020/https://a.b/c/../d//e",
		"/r/https%3A%2F%2Fa%2Fb%3Fu%3Dhttps%253A%252F%252Fc%252Fd", "/files/a//b.tar.gz/", "/x/;jsessionid=1//a;v=1/b%20c.",
	} {
		if got, err := Readings(target(t, s)); err != nil || len(got) > maxReadings/4 {
			t.Errorf("%s: %d readings (%v)", s, len(got), err)
		}
	}
}

func TestRefusals(t *testing.T) {
	for _, c := range []struct {
		name   string
		method string
		url    *url.URL
		want   error
	}{
		{"CONNECT", "CONNECT", target(t, "/admin"), errConnect},
		{"no URL", "GET", nil, errTarget},
		{"opaque", "GET", &url.URL{Scheme: "http", Opaque: "admin/users"}, errTarget},
		{"opaque beside a path", "GET", &url.URL{Opaque: "x", Path: "/admin"}, errTarget},
		{"empty", "GET", &url.URL{}, errTarget},
		{"asterisk", "OPTIONS", &url.URL{Path: "*"}, errTarget},
		{"no slash", "GET", &url.URL{Path: "admin"}, errTarget},
		{"no slash in the encoded form", "GET", &url.URL{Path: "/admin", RawPath: "admin"}, errTarget},
		{"NUL", "GET", target(t, "/admin%00"), errControl},
		{"newline", "GET", target(t, "/admin%0a/users"), errControl},
		{"tab", "GET", target(t, "/admin/users%09"), errControl},
		{"DEL", "GET", target(t, "/admin%7f"), errControl},
		{"control character, encoded twice", "GET", target(t, "/admin%250a"), errControl},
		{"control character behind a reading", "GET", target(t, "/a%25252e%25250d"), errControl},
		{"overlong dots", "GET", target(t, "/%c0%ae%c0%ae/admin"), errUTF8},
		{"overlong slash", "GET", target(t, "/admin%c0%afusers"), errUTF8},
		{"stray byte", "GET", target(t, "/%ff"), errUTF8},
		{"surrogate", "GET", target(t, "/%ed%a0%80"), errUTF8},
		{"encoded 70 times", "GET", target(t, "/"+strings.Repeat("%25", 1)+strings.Repeat("25", 70)+"61"), errReadings},
		{"every trick at once", "GET", target(t, `/a/b/../../c/./d//e%2f%2e%2e%5cf;x./g%2520h`), errReadings},
		{"long and with many readings", "GET", target(t, "/"+strings.Repeat("a;b/", maxBytes/4)), errReadings},
	} {
		var ref *Refusal
		table, err := NewTable(map[string]bool{"/{rest...}": true}, Options[bool]{Open: func(open bool) bool { return open }})
		if err != nil {
			t.Fatal(err)
		}
		if _, err := table.Lookup(c.method, "", c.url); err != c.want || !errors.As(err, &ref) {
			t.Errorf("%s: table: %v, want %v", c.name, err, c.want)
		}
		m, err := NewMatcher("/{rest...}")
		if err != nil {
			t.Fatal(err)
		}
		if any, err := m.Any(c.method, "", c.url); !any || err != c.want {
			t.Errorf("%s: any: %v %v, want %v", c.name, any, err, c.want)
		}
		if all, err := m.All(c.method, "", c.url); all || err != c.want {
			t.Errorf("%s: all: %v %v, want %v", c.name, all, err, c.want)
		}
	}
}

func TestLongOrdinaryPathsAreServed(t *testing.T) {
	m, err := NewMatcher(`/a/:id(\w+)`, "/b/{rest...}")
	if err != nil {
		t.Fatal(err)
	}
	for _, path := range []string{"/a/" + strings.Repeat("x", 10<<10), "/b/" + strings.Repeat("x/", 1<<20), "/b/" + strings.Repeat("x ", 10<<10)} {
		if all, err := m.All("GET", "", &url.URL{Path: path}); !all || err != nil {
			t.Errorf("%.10s…: %v %v", path, all, err)
		}
	}
}

// FuzzOrdinary: the shortcut for ordinary paths returns the same result as the
// general case.
func FuzzOrdinary(f *testing.F) {
	for _, s := range []string{"/", "/a/b", "/a/", "/a.b/.c", "/a./b", "/a/..", "//a", "/a;b", "/%61", "/a@b:c,d=e+f&g$h", "/é", "/a b"} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, s string) {
		u, err := url.ParseRequestURI(s)
		if err != nil || checkTarget("GET", u) != nil || !ordinary(u) {
			return
		}
		got, err := Readings(u)
		if len(u.Path) > maxBytes && err == errReadings {
			return
		}
		if err != nil || len(got) != 1 || got[0] != u.Path || u.EscapedPath() != u.Path {
			t.Errorf("%q counts as ordinary, but has the readings %q (%v)", s, got, err)
		}
	})
}

// FuzzReadingsAreClosed: every step that a program behind a guard may take leads
// from one reading to another.
func FuzzReadingsAreClosed(f *testing.F) {
	for _, s := range []string{"/a/%2e%2e/b", "/x%2f|/../a", "/;x=1%2fx/../a", "/a%5c..%5c%252e", "/a. /b%20"} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, s string) {
		u, err := url.ParseRequestURI(s)
		if err != nil {
			return
		}
		list, err := Readings(u)
		if err != nil {
			return
		}
		for _, form := range []string{u.Path, u.EscapedPath(), u.RawPath} {
			if form != "" && u.RawPath != "" && !slices.Contains(list, form) {
				t.Errorf("%q lacks the form %q", s, form)
			}
		}
		for _, reading := range list {
			if reading[0] != '/' {
				t.Errorf("%q has the reading %q", s, reading)
			}
			for i, step := range steps {
				if next := step(reading); !slices.Contains(list, next) {
					t.Errorf("%q lacks %q, step %d from %q", s, next, i, reading)
				}
			}
			if next, err := url.PathUnescape(reading); err == nil && !slices.Contains(list, next) {
				t.Errorf("%q lacks %q, %q decoded by net/url", s, next, reading)
			}
		}
	})
}
