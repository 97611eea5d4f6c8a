package hint

import (
	"slices"
	"strings"
	"testing"
)

func TestOf(t *testing.T) {
	for value, want := range map[string]string{
		"":               "it is empty",
		" \t":            "it is blank",
		`"pk_live_x"`:    "begins with a quotation mark",
		"\u201epk":       "begins with a quotation mark",
		"pk_live_x'":     "ends with a quotation mark",
		"pk_live_x\n":    "ends in a line break",
		`pk_live_x\n`:    "ends in a line break",
		" pk_live_x":     "begins or ends with a space",
		"\ufeffpk_live":  "byte order mark",
		"KEY=pk_live_x":  "variable's name",
		"export KEY = x": "variable's name",
		"bearer x":       "begins with Bearer",
		"${KEY}":         "nothing was filled in",
		"$KEY":           "nothing was filled in",
		"{{ key }}":      "nothing was filled in",
		"pk_live_...":    "placeholder",
		"pk_live_\u2026": "placeholder",
		"<key>":          "placeholder",
		"pk_live_***":    "placeholder",
	} {
		if got := Of(value); !strings.Contains(got, want) {
			t.Errorf("Of(%q) = %q, want %q in it", value, got, want)
		}
	}
	for _, value := range []string{"pk_live_abc", "https://app.example.com", "bearer", "sk_live_a=b"} {
		if got := Of(value); got != "" {
			t.Errorf("Of(%q) = %q, want nothing", value, got)
		}
	}
}

func TestError(t *testing.T) {
	for _, c := range []struct{ value, otherwise, want string }{
		{"x", "", "wrong"},
		{"x", "copy it again", "wrong: copy it again"},
		{"", "copy it again", "wrong: it is empty"},
	} {
		if got := Error("wrong", c.value, c.otherwise).Error(); got != c.want {
			t.Errorf("Error(%q, %q) = %q, want %q", c.value, c.otherwise, got, c.want)
		}
	}
}

func TestQuoteAndMask(t *testing.T) {
	secrets := []string{
		"sk_live_abc", "AK_abc", "mt_abc", "oat_abc", "whsec_abc", "live_abc", "-----BEGIN PUBLIC KEY-----",
		"https://user:password@example.com", "Bearer x", "eyJhbGciOi", "a\nb", strings.Repeat("x", 101),
	}
	for _, value := range secrets {
		if got := Quote(value); got != "(not shown)" {
			t.Errorf("Quote(%q) = %s", value, got)
		}
	}
	if got := Quote("https://example.com"); got != `"https://example.com"` {
		t.Errorf("Quote of a URL = %s", got)
	}
	list := []string{"https://example.com", "sk_live_abc"}
	if got := Mask(list); !slices.Equal(got, []string{"https://example.com", "(not shown)"}) || list[1] != "sk_live_abc" {
		t.Errorf("Mask = %q, list is now %q", got, list)
	}
}
