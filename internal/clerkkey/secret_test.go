package clerkkey

import (
	"strings"
	"testing"
)

func TestCheckSecret(t *testing.T) {
	live, test := &Instance{Production: true}, &Instance{}
	for _, c := range []struct {
		key   string
		of    *Instance
		fails string
	}{
		{"sk_live_x", live, ""}, {"live_x", live, ""}, {"sk_test_x", test, ""}, {"test_x", nil, ""},
		{"sk_live_x", test, "different instances"}, {"sk_test_x", live, "different instances"}, {"live_x", test, "different instances"},
		{"pk_live_x", nil, "publishable"}, {"ak_x", nil, "machine's"}, {"sk_x", nil, "must look like"},
		{"sk_live_", nil, "the rest is missing"}, {"sk_live_a b", nil, "a space"}, {"sk_live_a\u00e9", nil, "another character"}, {"sk_live_...", nil, "placeholder"},
	} {
		if err := CheckSecret(c.key, c.of); (err != nil) != (c.fails != "") || err != nil && !strings.Contains(err.Error(), c.fails) {
			t.Errorf("%q: %v, want %q", c.key, err, c.fails)
		}
	}
}

func TestCheckMachineSecret(t *testing.T) {
	for key, fails := range map[string]string{"ak_x": "", "sk_live_x": "must look like", "ak_a b": "a space", "": "empty"} {
		if err := CheckMachineSecret(key); (err != nil) != (fails != "") || err != nil && !strings.Contains(err.Error(), fails) {
			t.Errorf("%q: %v, want %q", key, err, fails)
		}
	}
}
