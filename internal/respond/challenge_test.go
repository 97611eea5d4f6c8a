package respond

import "testing"

func TestChallenge(t *testing.T) {
	for want, c := range map[string]Challenge{
		`Bearer`:                       {},
		`Bearer error="invalid_token"`: {Error: "invalid_token"},
		`Bearer scope="a b"`:           {Scopes: []string{"a", "b"}},
		`Bearer error="insufficient_scope", error_description="it lacks one", scope="a", resource_metadata="https://example.com/x"`: {
			"insufficient_scope", "it lacks one", []string{"a"}, "https://example.com/x",
		},
	} {
		if got := c.String(); got != want {
			t.Errorf("%+v: %s, want %s", c, got, want)
		}
	}
}
