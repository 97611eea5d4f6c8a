package route

import (
	"net/url"
	"slices"
	"strings"
)

// index is a [Table] without its values. Rules are numbers in the order of patterns, and
// the number after the last one is the default.
type index struct {
	patterns []*Pattern
	open     []bool
	mount    string
	methods  map[string]bool // that patterns name

	all   tries             // the rules for all hosts
	named map[string]*tries // the rules for one host, by its name; nil if there are none

	// narrower holds if the paths, methods and hosts of one rule are within another's,
	// and enclosed if the paths that one guards are within those that another guards.
	narrower, enclosed pairs

	work work // of building the index
}

// tries hold the rules that guard, and those that open.
type tries struct{ protects, opens trie }

// pairs is a relation between rules. It lists, for each first rule, the second ones in
// order.
type pairs [][]int32

func (p pairs) set(i, j int) { p[i] = append(p[i], int32(j)) }

func (p pairs) sort() {
	for _, list := range p {
		slices.Sort(list)
	}
}

func (p pairs) holds(i, j int32) bool {
	if list := p[i]; len(list) > 8 {
		_, found := slices.BinarySearch(list, j)
		return found
	}
	return slices.Contains(p[i], j)
}

// newIndex builds an index and checks the rules against each other.
func newIndex(patterns []*Pattern, open []bool, mount string) (*index, error) {
	ix := &index{
		patterns: patterns,
		open:     open,
		mount:    mount,
		methods:  map[string]bool{},
		all:      tries{protects: trie{folded: true}},
		narrower: make(pairs, len(patterns)),
		enclosed: make(pairs, len(patterns)),
	}
	for i, p := range patterns {
		ix.methods[p.method] = p.method != ""
		t := &ix.all
		if p.host.name != "" {
			if ix.named == nil {
				ix.named = map[string]*tries{}
			}
			if ix.named[p.host.name] == nil {
				ix.named[p.host.name] = &tries{protects: trie{folded: true}}
			}
			t = ix.named[p.host.name]
		}
		if open[i] {
			t.opens.insert(p, int32(i))
		} else {
			t.protects.insert(p, int32(i))
		}
	}
	return ix, ix.check()
}

// query is what rules are chosen by, besides the path.
type query struct {
	method string
	known  bool // the method is one of HTTP's, or a rule names it
	host   hostQuery
	named  *tries // the rules for the host, or nil
}

// lookup appends to ids the rules that a request has to meet, each once.
func (ix *index) lookup(method, host string, u *url.URL, ids []int32) ([]int32, error) {
	if err := check(method, host, u); err != nil {
		return nil, err
	}
	q := query{method: method, known: isStandard(method) || ix.methods[method]}
	if ix.named != nil {
		var err error
		if q.host, err = newHostQuery(host, u); err != nil {
			return nil, err
		}
		q.named = ix.named[q.host.name]
	}
	if ordinary(u) {
		if path, ok := cutMount(u.Path, ix.mount); ok {
			return ix.read(&q, path, ids), nil
		}
		if _, ok := cutFolded(u.Path, ix.mount); !ok {
			return append(ids, ix.fallback()), nil
		}
	}
	list, err := Readings(u)
	if err != nil {
		return nil, err
	}
	if ix.mount != "" {
		if list, ids, err = ix.unmounted(list, ids); err != nil {
			return nil, err
		}
	}
	for _, path := range list {
		ids = ix.read(&q, path, ids)
	}
	return ids, nil
}

// fallback returns the number of the default.
func (ix *index) fallback() int32 { return int32(len(ix.patterns)) }

// unmounted returns the readings of what follows the mount. Paths may be cleaned before or
// after the mount is removed, so readings are taken before and after. A reading outside the
// mount gets the default. A reading that begins like the mount, but in another case or not
// at the end of a segment, gets the default and the rules for what follows.
func (ix *index) unmounted(list []string, ids []int32) (inner []string, _ []int32, err error) {
	for _, s := range list {
		if _, ok := cutMount(s, ix.mount); !ok {
			ids = addID(ids, ix.fallback())
		}
		if after, ok := cutFolded(s, ix.mount); ok {
			inner, _ = add(inner, "/"+strings.TrimPrefix(after, "/"))
		}
	}
	inner, err = closed(inner)
	return inner, ids, err
}

// cutMount removes mount from path, at the end of a segment.
func cutMount(path, mount string) (string, bool) {
	if mount == "" {
		return path, true
	}
	after, ok := strings.CutPrefix(path, mount)
	if after == "" {
		return "/", ok
	}
	return after, ok && after[0] == '/'
}

// read appends the rules for one reading of the path, and the guarding rules for what some
// routers serve for it: see extension and shortened.
func (ix *index) read(q *query, path string, ids []int32) []int32 {
	var room [16]hit
	var text [128]byte
	hits := ix.find(q, append(text[:0], path...), room[:0])
	ids = ix.chooseForHost(q, hits, ids)
	if strings.Contains(path, ".") || strings.Contains(path, "//") {
		ids = ix.readMore(q, path, hits, ids)
	}
	return ids
}

// readMore appends the guarding rules for what some routers serve for path.
func (ix *index) readMore(q *query, path string, hits []hit, ids []int32) []int32 {
	var text [128]byte
	cuts, end := extension(path)
	for _, cut := range cuts {
		if cut == 0 {
			continue
		}
		var room [16]hit
		there := ix.find(q, without(text[:0], path, cut, end), room[:0])
		if !ix.byName(q, path, cut, hits, there) {
			ids = ix.addGuards(q, there, hits, ids)
		}
	}
	if up, ok := upward(path); ok {
		var room [16]hit
		ids = ix.addGuards(q, ix.find(q, []byte(up), room[:0]), hits, ids)
	}
	for _, short := range shortened(path) {
		var room [16]hit
		ids = ix.addGuards(q, ix.find(q, append(text[:0], short...), room[:0]), nil, ids)
	}
	return ids
}

// addGuards appends the guarding rules for the path of hits, except those that match the
// path of known exactly: whether these apply has been decided.
func (ix *index) addGuards(q *query, hits, known []hit, ids []int32) []int32 {
	var room [8]int32
	for _, id := range ix.chooseForHost(q, hits, room[:0]) {
		if id != ix.fallback() && !ix.open[id] && !matches(known, id) {
			ids = addID(ids, id)
		}
	}
	return ids
}

// byName reports whether a path is opened by a rule that matches it neither without its
// extension nor with another one, so that the rule is for this name: /robots.txt.
func (ix *index) byName(q *query, path string, cut int, hits, without []hit) bool {
	for _, h := range hits {
		if ix.open[h.id] && ix.takes(q, h.id) && !matches(without, h.id) && !ix.beaten(q, h, hits) {
			var room [16]hit
			other := ix.find(q, append([]byte(path[:cut]), ".\U000FFFFD"...), room[:0])
			return !matches(other, h.id)
		}
	}
	return false
}

// matches reports whether a rule matches the path of hits exactly.
func matches(hits []hit, id int32) bool {
	for _, h := range hits {
		if h.id == id && h.fit == exact {
			return true
		}
	}
	return false
}

// find appends the rules that match path, the open ones among them exactly. It changes
// path.
func (ix *index) find(q *query, path []byte, hits []hit) []hit {
	hits = onlyExact(ix.all.opens.find(path, hits))
	if q.named != nil {
		return ix.findNamed(q, path, hits)
	}
	return ix.all.protects.find(foldBytes(path), hits)
}

// findNamed is find for a host that has rules of its own. hits are the open rules for all
// hosts.
func (ix *index) findNamed(q *query, path []byte, hits []hit) []hit {
	found := len(hits)
	hits = onlyExact(q.named.opens.find(path, hits))
	kept := hits[:found]
	for _, h := range hits[found:] {
		if q.host.opens(ix.patterns[h.id].host) {
			kept = append(kept, h)
		}
	}
	path = foldBytes(path)
	hits = ix.all.protects.find(path, kept)
	found = len(hits)
	hits = q.named.protects.find(path, hits)
	kept = hits[:found]
	for _, h := range hits[found:] {
		if some, all := q.host.guards(ix.patterns[h.id].host); some {
			h.maybe = !all
			kept = append(kept, h)
		}
	}
	return kept
}

func onlyExact(hits []hit) []hit {
	kept := hits[:0]
	for _, h := range hits {
		if h.fit == exact {
			kept = append(kept, h)
		}
	}
	return kept
}

// chooseForHost appends the rules for one reading of the path, and for all readings of the
// host. Rules for some reading of the host only are added to those that apply without
// them.
func (ix *index) chooseForHost(q *query, hits []hit, ids []int32) []int32 {
	if q.named != nil && slices.ContainsFunc(hits, func(h hit) bool { return h.maybe }) {
		var room [16]hit
		sure := room[:0]
		for _, h := range hits {
			if !h.maybe {
				sure = append(sure, h)
			}
		}
		ids = ix.choose(q, sure, ids)
	}
	return ix.choose(q, hits, ids)
}

// choose appends the rules for one reading of path and host.
//
// Some routers serve a path with the handler of a similar one: /admin with that of
// /admin/*, and /users/ with that of /users. Rules for these apply, too, unless a rule for
// the path itself is the more specific one: /orgs may be public while /orgs/{rest...} is
// not.
func (ix *index) choose(q *query, hits []hit, ids []int32) []int32 {
	own := false // there is a rule for this path and method
	for _, h := range hits {
		if h.fit == exact && ix.takes(q, h.id) && !ix.beaten(q, h, hits) {
			ids, own = addID(ids, h.id), true
		}
	}
	if !own {
		ids = addID(ids, ix.fallback())
	}
	for _, h := range hits {
		switch takes := ix.takes(q, h.id); {
		case takes && h.fit != exact && !ix.beaten(q, h, hits) && !ix.outranked(q, h, hits):
			ids = addID(ids, h.id)
		case !takes && (!own || !q.known):
			ids = addID(ids, h.id)
		}
	}
	return ids
}

func (ix *index) takes(q *query, id int32) bool {
	return takesMethod(ix.patterns[id].method, q.method)
}

// takesMethod reports whether a pattern for a method, or for any if that is "", matches
// another. A GET pattern matches HEAD too, as in net/http.
func takesMethod(pattern, method string) bool {
	return pattern == "" || pattern == method || pattern == "GET" && method == "HEAD"
}

// beaten reports whether a more specific rule matches the path equally well.
func (ix *index) beaten(q *query, h hit, hits []hit) bool {
	for _, other := range hits {
		if (other.fit == exact) == (h.fit == exact) && ix.takes(q, other.id) && ix.narrower.holds(other.id, h.id) {
			return true
		}
	}
	return false
}

// outranked reports whether a rule for the path itself guards fewer paths than h does.
func (ix *index) outranked(q *query, h hit, hits []hit) bool {
	for _, other := range hits {
		if other.fit == exact && ix.takes(q, other.id) && ix.enclosed.holds(other.id, h.id) {
			return true
		}
	}
	return false
}

func addID(ids []int32, id int32) []int32 {
	if slices.Contains(ids, id) {
		return ids
	}
	return append(ids, id)
}
