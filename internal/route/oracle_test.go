package route

import (
	"fmt"
	"maps"
	"math/rand/v2"
	"net/url"
	"regexp"
	"slices"
	"strings"
	"testing"
)

// The oracle decides in the slow and obvious way: a hand-written regular expression
// for each pattern, and containment by enumeration of all paths of a small world. It
// shares no code with the package.

// oraclePattern is a pattern with independent regular expressions for its paths.
type oraclePattern struct {
	method, path string
	exact, wide  string // regular expressions
}

func (o oraclePattern) text() string { return strings.TrimSpace(o.method + " " + o.path) }

// world holds every path of up to three of a few segments, with and without a
// trailing slash. It distinguishes all patterns that the generator makes.
var world = func() []string {
	segments := []string{"a", "b", "A", "1", "2", "ax", ""}
	paths := []string{"/", "/zz"}
	level := []string{""}
	for range 3 {
		var next []string
		for _, p := range level {
			for _, s := range segments {
				next = append(next, p+"/"+s)
			}
		}
		paths = append(paths, next...)
		level = next
	}
	for _, p := range slices.Clone(paths) {
		paths = append(paths, p+"/", p+"/zz", p+"/b")
	}
	slices.Sort(paths)
	return slices.Compact(paths)
}()

func randomPattern(r *rand.Rand) oraclePattern {
	o := oraclePattern{method: []string{"", "", "", "", "GET", "POST", "HEAD", "PURGE"}[r.IntN(8)]}
	depth := r.IntN(3)
	if r.IntN(2) == 0 { // Go's grammar
		for i := range depth {
			if s := []string{"a", "b", "1", "{}"}[r.IntN(4)]; s == "{}" {
				o.path += fmt.Sprintf("/{n%d}", i)
				o.exact += "/[^/]+"
				o.wide += "/[^/]*"
			} else {
				o.path, o.exact, o.wide = o.path+"/"+s, o.exact+"/"+s, o.wide+"/"+s
			}
		}
		tail := r.IntN(4)
		if depth == 0 {
			tail %= 2 // there is no empty pattern
		}
		switch tail {
		case 0:
			o.path, o.exact, o.wide = o.path+"/{$}", o.exact+"/", o.wide+"/?"
		case 1:
			o.path, o.exact, o.wide = o.path+"/{rest...}", o.exact+"/.*", o.wide+"(/.*)?"
		default:
			o.wide += "/?"
		}
		return o
	}
	for i := range depth {
		switch r.IntN(5) {
		case 0:
			o.path, o.exact, o.wide = o.path+"/a", o.exact+"/a", o.wide+"/a"
		case 1:
			o.path += fmt.Sprintf("/:n%d", i)
			o.exact += "/[^/]+"
			o.wide += "/[^/]*"
		case 2:
			o.path, o.exact, o.wide = o.path+"/(a|b)", o.exact+"/(a|b)", o.wide+"/(a|b)"
		case 3:
			o.path, o.exact, o.wide = o.path+`/(\d+)`, o.exact+`/\d+`, o.wide+`/\d+`
		case 4:
			o.path += fmt.Sprintf("/a:n%d", i)
			o.exact += "/a[^/]+"
			o.wide += "/a[^/]*"
		}
	}
	switch r.IntN(6) {
	case 0:
		o.path, o.exact, o.wide = o.path+"/(.*)", o.exact+"/.*", o.wide+"(/.*)?"
	case 1:
		o.path, o.exact, o.wide = o.path+"/:p*", o.exact+"(/.*)?", o.wide+"(/.*)?"
	case 2:
		o.path, o.exact, o.wide = o.path+"/:p?", o.exact+"(/[^/]+)?", o.wide+"(/[^/]*)?/?"
	case 3:
		o.path, o.exact, o.wide = o.path+"/a(.*)", o.exact+"/a.*", o.wide+"/a.*"
	case 4:
		o.path, o.exact, o.wide = o.path+"{/b}*", o.exact+"(/b)*", o.wide+"(/b)*/?"
	case 5:
		o.path, o.exact, o.wide = o.path+"/(b|1)?", o.exact+"(/(b|1))?", o.wide+"(/(b|1))?/?"
	}
	if depth == 0 {
		o.exact += "|/" // the rest of a path that is optional as a whole
		if strings.Contains(o.path, "a(") {
			o.exact = "/a.*"
		}
	}
	return o
}

// oracle decides as a Table does.
type oracle struct {
	rules []oracleRule
}

type oracleRule struct {
	name, method           string
	open                   bool
	matches, matchesFolded map[string]bool // the paths of the world that the pattern matches
	takes                  map[string]bool // and those that a router may take for one of them
}

// oracleSets caches the paths of the world by pattern.
var oracleSets = map[string]oracleRule{}

func newOracle(patterns map[string]oraclePattern, open map[string]bool) *oracle {
	o := &oracle{}
	for name, p := range patterns {
		r, ok := oracleSets[p.path]
		if !ok {
			r = oracleRule{matches: inWorld("(?s)", p.exact), matchesFolded: inWorld("(?is)", p.exact), takes: inWorld("(?is)", p.wide)}
			oracleSets[p.path] = r
		}
		r.name, r.method, r.open = name, p.method, open[name]
		o.rules = append(o.rules, r)
	}
	return o
}

func inWorld(flags, source string) map[string]bool {
	re := regexp.MustCompile(flags + `\A(?:` + source + `)\z`)
	in := map[string]bool{}
	for _, path := range world {
		if re.MatchString(path) {
			in[path] = true
		}
	}
	return in
}

func subset(a, b map[string]bool) bool {
	for x := range a {
		if !b[x] {
			return false
		}
	}
	return true
}

func meet(a, b map[string]bool) bool {
	for x := range a {
		if b[x] {
			return true
		}
	}
	return false
}

func forMethod(rule, method string) bool {
	return rule == "" || rule == method || rule == "GET" && method == "HEAD"
}

// narrower reports whether every request of a is one of b.
func (a oracleRule) narrower(b oracleRule) bool {
	pa, pb := a.matchesFolded, b.matchesFolded
	if a.open && b.open {
		pa, pb = a.matches, b.matches
	}
	methods := b.method == "" || a.method != "" && forMethod(b.method, a.method)
	return methods && subset(pa, pb)
}

// mistakes returns why a table of these rules must be rejected, or "".
func (o *oracle) mistakes() string {
	for i, a := range o.rules {
		under := map[string]bool{}
		for j, b := range o.rules {
			if i == j {
				continue
			}
			pa, pb := a.matchesFolded, b.matchesFolded
			if a.open && b.open {
				pa, pb = a.matches, b.matches
			}
			methods := a.method == "" || b.method == "" || forMethod(a.method, b.method) || forMethod(b.method, a.method)
			if methods && meet(pa, pb) && a.narrower(b) == b.narrower(a) {
				return a.name + " overlaps " + b.name
			}
			if a.method == b.method && !(a.open && b.open) && subset(a.takes, b.takes) && subset(b.takes, a.takes) {
				return a.name + " is taken for " + b.name
			}
			if a.method == b.method && b.narrower(a) {
				maps.Copy(under, b.matchesFolded)
			}
		}
		if subset(a.matchesFolded, under) {
			return a.name + " is never reached"
		}
	}
	return ""
}

func (o *oracle) lookup(method, path string) []string {
	known := slices.Contains([]string{"GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS", "TRACE"}, method)
	matches := func(r oracleRule) bool { return r.open && r.matches[path] || !r.open && r.matchesFolded[path] }
	best := func(in func(oracleRule) bool) (out []oracleRule) {
		for _, r := range o.rules {
			beaten := false
			for _, s := range o.rules {
				beaten = beaten || in(s) && s.name != r.name && s.narrower(r)
			}
			if in(r) && !beaten {
				out = append(out, r)
			}
		}
		return out
	}
	set := map[string]bool{}
	own := best(func(r oracleRule) bool { return matches(r) && forMethod(r.method, method) })
	for _, r := range own {
		set[r.name] = true
	}
	if len(own) == 0 {
		set[""] = true
	}
	for _, r := range best(func(r oracleRule) bool {
		return !r.open && !matches(r) && r.takes[path] && forMethod(r.method, method)
	}) {
		outranked := false
		for _, s := range o.rules {
			if matches(s) && forMethod(s.method, method) {
				outranked = outranked || subset(s.takes, r.takes) && !subset(r.takes, s.takes)
			}
		}
		if !outranked {
			set[r.name] = true
		}
	}
	for _, r := range o.rules {
		known = known || r.method == method
	}
	for _, r := range o.rules {
		if !forMethod(r.method, method) && (matches(r) || !r.open && r.takes[path]) && (len(own) == 0 || !known) {
			set[r.name] = true
		}
	}
	return slices.Sorted(maps.Keys(set))
}

// shortenedByHand returns the beginning and the end of a path before and behind its
// first empty segment, of as many segments as are in front, and every end.
func shortenedByHand(path string) (list []string) {
	segments := strings.Split(path, "/")[1:]
	empty := slices.Index(segments[:len(segments)-1], "")
	if empty < 0 {
		return nil
	}
	for i := 1; i < len(segments); i++ {
		list = append(list, "/"+strings.Join(segments[i:], "/"))
	}
	list = append(list, strings.Join(append([]string{""}, segments[:empty+1]...), "/"))
	for i := 1; i <= empty; i++ {
		list = append(list, strings.Join(slices.Concat([]string{""}, segments[:i], segments[len(segments)-(empty+1-i):]), "/"))
	}
	return list
}

func TestTableAgreesWithTheOracle(t *testing.T) {
	r := rand.New(rand.NewPCG(1, 2))
	sets := 2000
	if testing.Short() {
		sets = 400
	}
	built, looked := 0, 0
	for range sets {
		patterns, rules := map[string]oraclePattern{}, map[string]bool{}
		for range 1 + r.IntN(5) {
			p := randomPattern(r)
			patterns[p.text()] = p
			rules[p.text()] = r.IntN(3) == 0
		}
		o := newOracle(patterns, rules)
		table, err := NewTable(rules, Options[bool]{Open: func(open bool) bool { return open }})
		if err != nil {
			if o.mistakes() == "" && !strings.Contains(err.Error(), "opens siblings") && !strings.Contains(err.Error(), "never lets anybody in") {
				t.Fatalf("%v: %v, but the oracle sees no mistake", rules, err)
			}
			continue
		}
		if mistake := o.mistakes(); mistake != "" {
			t.Fatalf("%v: no error, but for the oracle, %s", rules, mistake)
		}
		built++
		for range 100 {
			path := world[r.IntN(len(world))]
			for _, method := range []string{"GET", "HEAD", "POST", "DELETE", "PURGE", "get"} {
				looked++
				u := &url.URL{Path: path}
				readings, err := Readings(u)
				if err != nil {
					t.Fatal(err)
				}
				want := map[string]bool{}
				for _, reading := range readings {
					for _, name := range o.lookup(method, reading) {
						want[name] = true
					}
					// Guards apply to the paths that an empty segment leads to.
					for _, short := range shortenedByHand(reading) {
						for _, name := range o.lookup(method, short) {
							if name != "" && !rules[name] {
								want[name] = true
							}
						}
					}
				}
				got := map[string]bool{}
				found, err := table.Lookup(method, "", u)
				if err != nil {
					t.Fatal(err)
				}
				for _, rule := range found {
					got[rule.Pattern] = true
				}
				if !maps.Equal(got, want) {
					t.Fatalf("%v\n%s %s: %q, the oracle returned %q", rules, method, path,
						slices.Sorted(maps.Keys(got)), slices.Sorted(maps.Keys(want)))
				}
			}
		}
	}
	t.Logf("%d sets of rules, %d of them without mistakes, %d look-ups", sets, built, looked)
}
