package claims

import (
	"strings"
	"testing"
)

func TestCheckCustom(t *testing.T) {
	for _, c := range []struct {
		path, values []string
		fails        string
	}{
		{[]string{"metadata", "role"}, []string{"admin"}, ""},
		{[]string{"metadata", "sub"}, []string{"x"}, ""},
		{nil, []string{"x"}, "empty name"},
		{[]string{"metadata", ""}, []string{"x"}, "empty name"},
		{[]string{"org_role"}, []string{"admin"}, "use Role"},
		{[]string{"o", "rol"}, []string{"admin"}, "use Role"},
		{[]string{"user", "unsafe_metadata", "role"}, []string{"admin"}, "public metadata"},
		{[]string{"unsafeMetadata"}, []string{"x"}, "public metadata"},
		{[]string{"plan"}, nil, "name the values"},
		{[]string{"plan"}, []string{"pro", ""}, "none of them empty"},
	} {
		if err := CheckCustom(c.path, c.values); (err != nil) != (c.fails != "") || err != nil && !strings.Contains(err.Error(), c.fails) {
			t.Errorf("%q, %q: %v, want %q", c.path, c.values, err, c.fails)
		}
	}
}
