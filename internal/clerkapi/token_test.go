package clerkapi

import "testing"

func TestValidName(t *testing.T) {
	for s, want := range map[string]bool{
		"sess_2x": true, "my-template": true, "": false, ".": false, "..": false, "a/b": false, "a%2fb": false, "a b": false, "a\n": false, "\u00e9": false,
	} {
		if got := ValidName(s); got != want {
			t.Errorf("%q: %v", s, got)
		}
	}
}
