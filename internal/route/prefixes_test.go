package route

import (
	"net/url"
	"testing"
)

// TestPrefixes: a path is below a prefix if one of its readings is, ignoring case, and gets
// the sets of all prefixes above it.
func TestPrefixes(t *testing.T) {
	var p Prefixes[uint8]
	if _, below := p.Below(&url.URL{Path: "/admin"}); below {
		t.Error("the zero value holds a path")
	}
	p.Add("/admin/{id}", 1)
	p.Add("/Admin/keys/", 2)
	p.Add("example.com/a%20b", 4)
	for target, want := range map[string]struct {
		set   uint8
		below bool
	}{
		"/":               {},
		"/administrators": {},
		"/admin":          {1, true},
		"/ADMIN/x/y":      {1, true},
		"/%61dmin":        {1, true},
		"/x/../admin/1":   {1, true},
		"/admin/keys":     {3, true},
		"/admin/keysx":    {1, true},
		"/a%20b/c":        {4, true},
		"/x%00":           {0, true}, // it cannot be read
	} {
		u, err := url.ParseRequestURI(target)
		if err != nil {
			t.Fatal(err)
		}
		if set, below := p.Below(u); set != want.set || below != want.below {
			t.Errorf("%s: %d, %v, want %+v", target, set, below, want)
		}
	}
}
