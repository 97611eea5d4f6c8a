package csp

import (
	"errors"
	"slices"
	"strings"
	"testing"
)

const frontend = "https://clerk.example.com"

// sdk are the sources of the SDK's own in each directive that has some.
var sdk = map[string]string{
	"connect-src": frontend + " https://clerk-telemetry.com https://*.clerk-telemetry.com https://api.stripe.com https://maps.googleapis.com https://img.clerk.com https://*.protect.clerk.com:*",
	"form-action": frontend + " https://accounts.example.com",
	"frame-src":   "https://challenges.cloudflare.com https://*.js.stripe.com https://js.stripe.com https://hooks.stripe.com https://*.protect.clerk.com",
	"script-src":  frontend + " https://challenges.cloudflare.com https://*.js.stripe.com https://js.stripe.com https://maps.googleapis.com https://*.protect.clerk.com",
}

// expand replaces <name> in a policy by the SDK's sources.
func expand(policy string) string {
	for name, sources := range sdk {
		policy = strings.ReplaceAll(policy, "<"+name+">", sources)
	}
	return policy
}

func TestAdd(t *testing.T) {
	const (
		before = "connect-src 'self' <connect-src>; default-src 'self'; "
		middle = "form-action 'self' <form-action>; frame-src 'self' <frame-src>; img-src 'self' https://img.clerk.com; "
		script = "script-src 'self' 'unsafe-inline' <script-src>; "
		after  = "style-src 'self' 'unsafe-inline'; worker-src 'self' blob:"
		strict = "script-src 'self' <script-src> 'strict-dynamic' 'nonce-N'; "
		ours   = "form-action 'self' <form-action>"
	)
	type lists = map[string][]string
	for what, c := range map[string]struct {
		options Options
		there   []string
		want    []string
	}{
		"alone":  {want: []string{before + middle + script + after}},
		"empty":  {there: []string{" ; ,", ""}, want: []string{before + middle + script + after}},
		"strict": {options: Options{Strict: true}, want: []string{before + middle + strict + after}},
		"report": {options: Options{Report: true}, want: []string{before + middle + "report-to csp-endpoint; " + script + after}},
		"directives": {
			options: Options{Strict: true, Directives: lists{
				"default-src": {"NONE"}, "font-src": {"self", "https://fonts.example.com"}, "form-action": {"'none'"}, "img-src": {"data:", "self", "data:"},
				"script-src": {"wasm-unsafe-eval"}, "upgrade-insecure-requests": nil, "frame-ancestors": {"none"},
			}},
			want: []string{"connect-src 'self' <connect-src>; default-src 'none'; font-src 'self' https://fonts.example.com; form-action 'none'; frame-ancestors 'none'; " +
				"frame-src 'self' <frame-src>; img-src 'self' https://img.clerk.com data:; " +
				"script-src 'self' <script-src> 'strict-dynamic' 'wasm-unsafe-eval' 'nonce-N'; style-src 'self' 'unsafe-inline'; upgrade-insecure-requests; worker-src 'self' blob:"},
		},
		"for elements": {
			options: Options{Strict: true, Directives: lists{"script-src-elem": {"https://cdn.example.com"}, "style-src-elem": {"https://cdn.example.com"}}},
			want: []string{before + middle + strict + "script-src-elem 'self' <script-src> 'strict-dynamic' https://cdn.example.com 'nonce-N'; " +
				"style-src 'self' 'unsafe-inline'; style-src-elem 'self' 'unsafe-inline' https://cdn.example.com; worker-src 'self' blob:"},
		},
		"added to directives": {
			there: []string{"IMG-SRC https://cdn.example.com;script-src 'nonce-other';  style-src\t'self' ;default-src 'none'; img-src *; connect-src 'NONE'; frame-src; worker-src 'self'; frame-ancestors 'none'"},
			want: []string{"img-src https://cdn.example.com https://img.clerk.com; script-src 'nonce-other' <script-src>; style-src 'self' 'unsafe-inline'; default-src 'none'; " +
				"connect-src <connect-src>; frame-src <frame-src>; worker-src 'self' blob:; frame-ancestors 'none'; " + ours},
		},
		"added to what stands in": {
			there: []string{"default-src 'none'; child-src https://child.example.com; script-src 'self'"},
			want: []string{"default-src 'none'; child-src https://child.example.com; script-src 'self' <script-src>; connect-src <connect-src>; " + ours + "; " +
				"frame-src https://child.example.com <frame-src>; img-src https://img.clerk.com; style-src 'unsafe-inline'; worker-src https://child.example.com blob:"},
		},
		"workers that script-src decides about": {
			there: []string{"script-src 'self'; default-src *"},
			want: []string{"script-src 'self' <script-src>; default-src *; connect-src * <connect-src>; " + ours +
				"; frame-src * <frame-src>; img-src * https://img.clerk.com; style-src * 'unsafe-inline'; worker-src 'self' blob:"},
		},
		"workers that strict-dynamic allows": {
			there: []string{"script-src 'nonce-other' 'strict-dynamic'; default-src *"},
			want: []string{"script-src 'nonce-other' 'strict-dynamic' <script-src>; default-src *; connect-src * <connect-src>; " + ours +
				"; frame-src * <frame-src>; img-src * https://img.clerk.com; style-src * 'unsafe-inline'"},
		},
		"strict, added": {
			options: Options{Strict: true},
			there:   []string{"script-src 'self'; script-src-elem https://cdn.example.com; style-src-elem 'self'; default-src *; img-src *"},
			want: []string{"script-src 'self' <script-src> 'strict-dynamic' 'nonce-N'; script-src-elem https://cdn.example.com <script-src> 'strict-dynamic' 'nonce-N'; " +
				"style-src-elem 'self' 'unsafe-inline'; default-src *; img-src * https://img.clerk.com; connect-src * <connect-src>; " + ours + "; frame-src * <frame-src>; " +
				"style-src * 'unsafe-inline'; worker-src 'self' blob:"},
		},
		"none, added": {
			options: Options{Directives: lists{"frame-src": {"none"}, "img-src": {"none"}, "style-src": {"none"}}},
			there:   []string{"frame-src https://video.example.com; default-src 'self' https://cdn.example.com; img-src 'none'"},
			want: []string{"frame-src https://video.example.com; default-src 'self' https://cdn.example.com; img-src 'none'; " +
				"connect-src 'self' https://cdn.example.com <connect-src>; " + ours + "; script-src 'self' https://cdn.example.com <script-src>; style-src 'none'; " +
				"worker-src 'self' https://cdn.example.com blob:"},
		},
		"a report-to that is there": {
			options: Options{Report: true},
			there:   []string{"report-to other; frame-ancestors 'none'"},
			want:    []string{"report-to other; frame-ancestors 'none'; " + before + middle + script + after},
		},
		"beside a policy without sources": {
			there: []string{"frame-ancestors 'none'", "upgrade-insecure-requests, img-src https://cdn.example.com"},
			want: []string{"frame-ancestors 'none'", "upgrade-insecure-requests",
				"img-src https://cdn.example.com https://img.clerk.com; " + before + "form-action 'self' <form-action>; frame-src 'self' <frame-src>; " + script + after},
		},
		"several policies": {
			there: []string{"default-src 'self'", "img-src https://cdn.example.com; default-src https:"},
			want: []string{
				"default-src 'self'; connect-src 'self' <connect-src>; " + ours + "; frame-src 'self' <frame-src>; img-src 'self' https://img.clerk.com; " +
					"script-src 'self' <script-src>; style-src 'self' 'unsafe-inline'; worker-src 'self' blob:",
				"img-src https://cdn.example.com https://img.clerk.com; default-src https:; connect-src https: <connect-src>; frame-src https: <frame-src>; " +
					"script-src https: <script-src>; style-src https: 'unsafe-inline'; worker-src https: blob:"},
		},
		"several policies without default-src": {
			there: []string{"img-src 'self'", "font-src 'self'"},
			want: []string{"img-src 'self' https://img.clerk.com; connect-src 'self' <connect-src>; form-action 'self' <form-action>; frame-src 'self' <frame-src>; " + script + after,
				"font-src 'self'"},
		},
		"several policies, and a default-src that is asked for": {
			options: Options{Directives: lists{"default-src": {"none"}}},
			there:   []string{"img-src 'self'", "font-src 'self'"},
			want: []string{"img-src 'self' https://img.clerk.com; connect-src 'self' <connect-src>; default-src 'none'; form-action 'self' <form-action>; frame-src 'self' <frame-src>; " + script + after,
				"font-src 'self'"},
		},
	} {
		t.Run(what, func(t *testing.T) {
			c.options.Frontends, c.options.Pages = []string{frontend}, []string{"https://accounts.example.com"}
			there := slices.Clone(c.there)
			policy := New(c.options)
			for range 2 { // the second time must not see anything of the first
				got, reports := policy.Add(there, "N")
				for i := range c.want {
					if want := expand(c.want[i]); i >= len(got) || got[i] != want {
						t.Errorf("got  %q\nwant %q", got, want)
					}
				}
				if len(got) != len(c.want) || !slices.Equal(there, c.there) {
					t.Errorf("%d policies, from %q", len(got), there)
				}
				if reports != strings.Contains(strings.Join(got, ","), "csp-endpoint") {
					t.Errorf("reports: %v", reports)
				}
			}
		})
	}
}

// TestAddAgain: a policy that is added to itself stays.
func TestAddAgain(t *testing.T) {
	policy := New(Options{Frontends: []string{frontend}, Strict: true, Report: true, Directives: map[string][]string{"font-src": {"data:"}}})
	once, _ := policy.Add(nil, "N")
	twice, reports := policy.Add(once, "N")
	if !slices.Equal(once, twice) || reports {
		t.Errorf("%q\n%q", once, twice)
	}
}

func TestCheck(t *testing.T) {
	for _, c := range []struct {
		name   string
		values []string
		wrong  []string
	}{
		{"img-src", []string{"data:", "https://*.example.com:*/path/", "self", "'self'", "*"}, nil},
		{"script-src", []string{"'sha256-abc='", "'UNSAFE-EVAL'"}, nil},
		{"script-src", []string{"'none'"}, nil},
		{"sandbox", nil, nil},
		{"sandbox", []string{"allow-forms"}, nil},
		{"upgrade-insecure-requests", nil, nil},
		{"frame-ancestors", []string{"none"}, nil},
		{"require-trusted-types-for", []string{"'script'"}, nil},
		{"image-src", []string{"self"}, []string{"no such directive"}},
		{"IMG-SRC", []string{"self"}, []string{"lower case"}},
		{"img-src ", []string{"self"}, []string{"no such directive"}},
		{"img-src *; script-src", []string{"self"}, []string{"no such directive"}},
		{"", []string{"self"}, []string{"no such directive"}},
		{"report-to", []string{"x"}, []string{"set ReportTo"}},
		{"img-src", nil, []string{"no value"}},
		{"upgrade-insecure-requests", []string{"x"}, []string{"takes no value"}},
		{"img-src", []string{"self", "none"}, []string{"stands alone"}},
		{"img-src", []string{""}, []string{"empty"}},
		{"img-src", []string{"a;script-src *"}, []string{"semicolon"}},
		{"img-src", []string{"a,script-src"}, []string{"comma"}},
		{"img-src", []string{"a b"}, []string{"spaces"}},
		{"img-src", []string{"a\r"}, []string{"line breaks"}},
		{"img-src", []string{"a\n"}, []string{"line breaks"}},
		{"img-src", []string{"a\x00"}, []string{"ASCII"}},
		{"img-src", []string{"bücher.example"}, []string{"ASCII"}},
		{"script-src", []string{"'self"}, []string{"quotation marks"}},
		{"script-src", []string{"self'"}, []string{"quotation marks"}},
		{"script-src", []string{"'"}, []string{"quotation marks"}},
		{"script-src", []string{"''none''"}, []string{"quotation marks"}},
		{"script-src", []string{"'NONCE-abc'"}, []string{"set Strict"}},
		{"img-src", []string{"a;", "", "none"}, []string{"semicolon", "empty", "stands alone"}},
	} {
		err := errors.Join(Check(c.name, c.values)...)
		if (err == nil) != (c.wrong == nil) {
			t.Errorf("%s %q: %v", c.name, c.values, err)
		}
		for _, wrong := range c.wrong {
			if err != nil && !strings.Contains(err.Error(), wrong) {
				t.Errorf("%s %q: %v, want %q", c.name, c.values, err, wrong)
			}
		}
	}
}

func TestCheckReportTo(t *testing.T) {
	for url, want := range map[string]bool{
		"https://reports.example.com": true, "https://o1.example.com/api/1/security/?key=abc": true, "/reports": true,
		"": false, "reports": false, "//reports.example.com": false, "http://reports.example.com": false, "https://": false,
		"https://user@reports.example.com": false, `/"`: false, `/\reports.example.com`: false, "/a b": false, "/a\r\nb": false,
		"/ü": false, "javascript:alert(1)": false, "https:/reports": false, "/%zz": false,
	} {
		if err := CheckReportTo(url); (err == nil) != want {
			t.Errorf("%q: %v", url, err)
		}
	}
}
