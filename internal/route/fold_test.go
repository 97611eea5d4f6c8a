package route

import (
	"math/rand/v2"
	"net/url"
	"regexp"
	"slices"
	"strings"
	"testing"
	"unicode"
	"unicode/utf8"
)

func TestFold(t *testing.T) {
	for _, c := range []struct {
		a, b string
		same bool
	}{
		{"Admin", "aDMIN", true},
		{"kelvin", "\u212aelvin", true},
		{"staff", "\u017ftaFF", true},
		{"ä", "Ä", true},
		{"σ", "ς", true},
		{"i", "\u0131", false}, // without a dot
		{"i", "\u0130", false}, // with one
		{"a", "\uff41", false}, // full-width
		{"ß", "ss", false},     // two letters
		{"a", "a\u0300", false},
		{"日本", "日本", true},
		{"\xffA", "\xffa", true}, // invalid UTF-8 is rejected earlier; it must not panic here
	} {
		if got := Fold(c.a) == Fold(c.b); got != c.same {
			t.Errorf("%q and %q: %v", c.a, c.b, got)
		}
		if len(Fold(c.a)) > len(c.a) || len(Fold(c.b)) > len(c.b) {
			t.Errorf("%q or %q grows", c.a, c.b)
		}
		if after, ok := cutFolded(c.a+"/x", c.b); utf8.ValidString(c.a) && (ok != c.same || ok && after != "/x") {
			t.Errorf("%q is cut off %q: %q %v", c.b, c.a, after, ok)
		}
	}
	for r := range rune(unicode.MaxRune + 1) {
		for _, c := range orbit(r) {
			if foldRune(c) != foldRune(r) || utf8.RuneLen(foldRune(r)) > utf8.RuneLen(r) && utf8.ValidRune(r) {
				t.Fatalf("%U and %U: %U and %U", r, c, foldRune(r), foldRune(c))
			}
		}
	}
}

// TestFoldedExpressions: a folded expression matches a text if the expression
// matches one of its spellings.
func TestFoldedExpressions(t *testing.T) {
	letters := []rune("akKsSfFz1-.\u212a\u017fäÄσςΣ\u0131é")
	r := rand.New(rand.NewPCG(5, 6))
	for _, source := range []string{
		"a", "K", "ſ", "[^A-Z]+", "[^a-z]", "[^a-f]+", "[^A-Z/]+", "[^k]", "[^K]s", `\w+`, `\W+`, `\d*`, "(?:a|K)+", "[a-f]{2}", "[^äÄ]", "[Σσ]", ".+", "[^\u212a]", "s?k?a",
		"[Kk]", "[^Kk]", "[^Kk\u212a]", "(?:[^a-y]|z)k", "a(?:b|[^c-z])",
	} {
		folded, err := foldedSource(source)
		if err != nil {
			t.Fatal(err)
		}
		re, byFold := anchored(source), anchored(folded)
		for range 500 {
			text := make([]rune, r.IntN(4))
			for i := range text {
				text[i] = letters[r.IntN(len(letters))]
			}
			want := spelledLike(re, nil, text)
			if got := byFold.MatchString(string(text)); got != want {
				t.Fatalf("%s, folded to %s: %q is matched %v", source, folded, string(text), got)
			}
			if got := byFold.MatchString(Fold(string(text))); got != want {
				t.Fatalf("%s: %q is matched %v once it is folded", source, string(text), got)
			}
		}
	}
}

// spelledLike reports whether re matches a spelling of text that begins with done.
func spelledLike(re *regexp.Regexp, done, text []rune) bool {
	if len(text) == 0 {
		return re.MatchString(string(done))
	}
	return slices.ContainsFunc(orbit(text[0]), func(c rune) bool {
		return spelledLike(re, append(done[:len(done):len(done)], c), text[1:])
	})
}

// unusualPath returns a path of pieces that have several readings.
func unusualPath(r *rand.Rand) string {
	pieces := []string{"/", "/", "/", "a", "b", "ab", "A", "B", "k", "K", "%E2%84%AA", "\u212a", "1", "12", "-", "--b", "a-", "x", "xa", "a.k", ".", "..", "%2e", "%2f", "%5c", ";x", "%20", "%25",
		"%61", "%41", "é", "É", "!b", "%C5%BF", ".json"}
	var b strings.Builder
	b.WriteString("/")
	for range r.IntN(8) {
		b.WriteString(pieces[r.IntN(len(pieces))])
	}
	return b.String()
}

// TestAllImpliesAny: whatever All matches, Any does, and a rule that guards applies.
func TestAllImpliesAny(t *testing.T) {
	r := rand.New(rand.NewPCG(7, 8))
	n, all := 60_000, 0
	if testing.Short() {
		n = 10_000
	}
	hosts := []string{"", "a.example", "a.example:80", "A.example.", "a.example:81", "b.example", "x.example", "a.example:", "a.example:1:2"}
	for i := 0; i < n; {
		text := anyPattern(r)
		m, err := NewMatcher(text)
		if err != nil {
			continue
		}
		table, err := NewTable(map[string]bool{text: false}, Options[bool]{})
		if err != nil {
			t.Fatal(err)
		}
		p := table.index.patterns[0]
		byFold := anchored(p.source(folded))
		for range 40 {
			i++
			method, host, path := []string{"GET", "POST", "HEAD", "get", "X"}[r.IntN(5)], hosts[r.IntN(len(hosts))], unusualPath(r)
			u, err := url.ParseRequestURI(path)
			if err != nil {
				continue
			}
			// A rule applies to every path that its folded expression matches.
			if rules, err := table.Lookup(method, host, u); err == nil && takesMethod(p.method, method) {
				readings, _ := Readings(u)
				query, _ := newHostQuery(host, u)
				guards, _ := query.guards(p.host)
				if guards && slices.ContainsFunc(readings, byFold.MatchString) && !slices.ContainsFunc(rules, func(r *Rule[bool]) bool { return r.Pattern == text }) {
					t.Fatalf("%s: %s %s%s: a reading matches, but the rule does not count", text, method, host, path)
				}
			}
			every, _ := m.All(method, host, u)
			some, _ := m.Any(method, host, u)
			if !every {
				continue
			}
			all++
			if !some {
				t.Fatalf("%s: %s %s%s: all readings match, but not any", text, method, host, path)
			}
			if rules, err := table.Lookup(method, host, u); err == nil && !slices.ContainsFunc(rules, func(r *Rule[bool]) bool { return r.Pattern == text }) {
				t.Fatalf("%s: %s %s%s: all readings match, but the rule does not count", text, method, host, path)
			}
		}
	}
	if t.Logf("%d of %d requests match", all, n); all < n/100 {
		t.Error("the test shows little")
	}
}

// TestFormsThatLackSomethingAreRefused: a pattern is rejected if its folded or its
// wide form matches less than the pattern itself.
func TestFormsThatLackSomethingAreRefused(t *testing.T) {
	for fold, ok := range map[string]bool{`[\x00-\x{10FFFF}]+`: true, "(?i:[^A-Z]+)": false, "[^a-z]+": false} {
		p := &Pattern{nodes: []node{{kind: literal, text: "/"}, {kind: custom, text: "[^A-Z]+", fold: fold}}}
		if err := p.compile(); (err == nil) != ok || err != nil && !strings.Contains(err.Error(), "write the letters of its expressions in both cases") {
			t.Errorf("%s: %v", fold, err)
		}
	}
}
