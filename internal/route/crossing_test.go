package route

import (
	"fmt"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"
)

// anyPattern returns a random pattern in either grammar.
func anyPattern(r *rand.Rand) string {
	pick := func(list ...string) string { return list[r.IntN(len(list))] }
	text := pick("", "", "", "", "GET ", "POST ", "HEAD ") + pick("", "", "", "a.example", "a.example:80", "a.example:81", "b.example")
	if r.IntN(3) == 0 {
		for i := range r.IntN(4) {
			text += "/" + pick("a", "b", "ab", "A", "k", fmt.Sprintf("{n%d}", i))
		}
		return text + pick("/{$}", "/{rest...}", "/x")
	}
	for i := range r.IntN(3) {
		text += pick("/a", "/b", "/ab", "/K", "{/a}?", fmt.Sprintf("/:n%d", i), fmt.Sprintf("/a-:n%d", i), fmt.Sprintf("/:n%d-b", i), "/(a|b)", `/(\d+)`, "/([^A-Z]+)", "/([^a-f/]+)",
			fmt.Sprintf("{/:n%d}?", i), fmt.Sprintf("/x{a:n%d}", i), "/a.([a-k]*)", "{/b}*")
	}
	return text + pick("/(.*)", "/:p*", "/:p+", "/:p?", "/a(.*)", "/ab(.*)", "/:p", "/:p(a|b)", `/:x(\d+)(.*)`, "/(.*)/b", "/b(.*)", "/a{-:p}?", "/(a?!b)", "/(.+)")
}

// build returns an index of these rules and the errors of its pairs, comparing all
// pairs or those that pairsToCompare returns.
func build(t *testing.T, texts []string, open []bool, all bool) (*index, string) {
	t.Helper()
	ix := &index{open: open, methods: map[string]bool{}, narrower: make(pairs, len(texts)), enclosed: make(pairs, len(texts))}
	for _, text := range texts {
		p, err := Parse(text)
		if err != nil {
			t.Fatal(err)
		}
		ix.patterns = append(ix.patterns, p)
	}
	var wrong []string
	list, err := ix.pairsToCompare()
	if err != nil {
		t.Fatal(err)
	}
	for i := range ix.patterns {
		for j := range i {
			if !all && !list.holds(int32(i), int32(j)) {
				continue
			}
			if err := ix.compare(j, i); err != nil {
				wrong = append(wrong, fmt.Sprintf("%s and %s %v", texts[j], texts[i], err))
			}
		}
	}
	ix.narrower.sort()
	ix.enclosed.sort()
	return ix, strings.Join(wrong, "\n")
}

// TestPairsToCompareAreAllThatMatter: few of many pairs are compared, and comparing
// all finds no more errors.
func TestPairsToCompareAreAllThatMatter(t *testing.T) {
	r := rand.New(rand.NewPCG(3, 4))
	sets := 300
	if testing.Short() {
		sets = 60
	}
	compared, possible, contradictions := 0, 0, 0
	for range sets {
		var texts []string
		var open []bool
		for len(texts) < 12 {
			text := anyPattern(r)
			if _, err := Parse(text); err == nil && !slices.Contains(texts, text) {
				texts, open = append(texts, text), append(open, r.IntN(3) == 0)
			}
		}
		few, wrongOfFew := build(t, texts, open, false)
		full, wrongOfAll := build(t, texts, open, true)
		if wrongOfFew != wrongOfAll {
			t.Fatalf("%q\n%s\n\nbut of all pairs\n%s", texts, wrongOfFew, wrongOfAll)
		}
		for i := range texts {
			if !slices.Equal(few.narrower[i], full.narrower[i]) || !slices.Equal(few.enclosed[i], full.enclosed[i]) {
				t.Fatalf("%q: %s: within %v and %v, of all pairs %v and %v", texts, texts[i], few.narrower[i], few.enclosed[i], full.narrower[i], full.enclosed[i])
			}
		}
		compared += few.work.comparisons
		possible += full.work.comparisons
		contradictions += strings.Count(wrongOfAll, "\n")
	}
	t.Logf("%d comparisons in place of %d, %d contradictions", compared, possible, contradictions)
	if compared == possible || contradictions == 0 {
		t.Error("the test shows nothing")
	}
}

// TestConstructionIsLinear: the work of building a table grows with the number of
// rules, not with its square.
func TestConstructionIsLinear(t *testing.T) {
	for _, c := range []struct {
		pattern string
		open    bool
		rules   int
	}{
		{"/api/{tenant}/r%d", false, 1000},
		{"/api/:id/r%d(.*)", false, 1000},
		{"/api/{tenant}/r%d", true, 200},
		{"/api/:id/r%d/:path*", true, 200},
		{"/api/:id/r%d-:name", false, 200},
		{"/api/:id/:name-r%d", false, 200},
		{`/api/:id(\d+)/r%d`, false, 200},
		{"/api/:id/(r%d[a-z]*)", false, 200},
		{"/r%d/{a}/{b}", false, 200},
		{"/r%d{/:a}?/:b", true, 200},
		{"/r%d/{rest...}", false, 200},
		{"GET /{a}/r%d", false, 200},
		{"t%d.example.com/{rest...}", false, 200},
		{"t%d.example.com:8080/:path*", true, 200},
	} {
		cost := func(n int) work {
			rules := map[string]bool{"/{rest...}": false}
			for i := range n {
				rules[fmt.Sprintf(c.pattern, i)] = c.open
			}
			table, err := NewTable(rules, Options[bool]{Open: func(open bool) bool { return open }})
			if err != nil {
				t.Fatalf("%d times %s: %v", n, c.pattern, err)
			}
			return table.index.work
		}
		one, two := cost(c.rules), cost(2*c.rules)
		if 2*two.comparisons > 5*one.comparisons || 2*two.states > 5*one.states {
			t.Errorf("%s: %+v for %d rules, %+v for %d", c.pattern, one, c.rules, two, 2*c.rules)
		}
	}
}

// TestTooManyPairs: rules that may all overlap are an error that says what to do.
func TestTooManyPairs(t *testing.T) {
	rules := map[string]bool{}
	for i := range 700 {
		rules[fmt.Sprintf("/:a/([xy]*%d)", i)] = false
	}
	if _, err := NewTable(rules, Options[bool]{}); err == nil || !strings.Contains(err.Error(), "or one rule in place of many") {
		t.Errorf("%.300v", err)
	}
	if _, err := NewTable(map[string]bool{"/{a}/b": false, "/a/{b}": false}, Options[bool]{}); err == nil || strings.Contains(err.Error(), "in place of many") {
		t.Errorf("%v", err)
	}
}

func TestManyContradictionsAreReportedInPart(t *testing.T) {
	rules := map[string]bool{}
	for i := range 20 {
		rules[fmt.Sprintf("/{a}/r%d", i)] = false
		rules[fmt.Sprintf("/r%d/{b}", i)] = false
	}
	_, err := NewTable(rules, Options[bool]{})
	if err == nil || strings.Count(err.Error(), "neither is") != maxErrors || !strings.Contains(err.Error(), "and more rules contradict each other") {
		t.Errorf("%.300v", err)
	}
}
