package route

import (
	"net/url"
	"slices"
	"strings"
)

// index is a [Table] without its values: rules are numbers, in the order of
// patterns; the number behind them is the default.
type index struct {
	patterns []*Pattern
	open     []bool
	mount    string
	methods  map[string]bool // that a pattern names
	hosts    bool            // a pattern names one

	protects trie // the rules that are not open
	opens    trie // those that are

	// narrower: the paths, methods and hosts of one rule are within another's.
	// broader: more than the paths that one protects are protected by another.
	narrower, broader matrix
}

// matrix says of which pairs of rules something holds.
type matrix [][]uint64

func newMatrix(n int) matrix {
	m := make(matrix, n)
	for i := range m {
		m[i] = make([]uint64, (n+63)/64)
	}
	return m
}

func (m matrix) set(i, j int)          { m[i][j/64] |= 1 << (j % 64) }
func (m matrix) holds(i, j int32) bool { return m[i][j/64]>>(j%64)&1 == 1 }

// newIndex builds an index and checks the rules against each other.
func newIndex(patterns []*Pattern, open []bool, mount string) (*index, error) {
	ix := &index{
		patterns: patterns,
		open:     open,
		mount:    mount,
		methods:  map[string]bool{},
		protects: trie{folded: true},
		narrower: newMatrix(len(patterns)),
		broader:  newMatrix(len(patterns)),
	}
	for i, p := range patterns {
		ix.methods[p.method] = p.method != ""
		ix.hosts = ix.hosts || p.host != ""
		if open[i] {
			ix.opens.insert(p, int32(i))
		} else {
			ix.protects.insert(p, int32(i))
		}
	}
	return ix, ix.check()
}

// query is the part of a request, beside its path, that rules are chosen by.
type query struct {
	method  string
	known   bool // HTTP or a rule knows the method
	host    string
	lowHost string
}

// lookup appends to ids the rules that a request has to meet, each once.
func (ix *index) lookup(method, host string, u *url.URL, ids []int32) ([]int32, error) {
	if err := refuse(method, u); err != nil {
		return nil, err
	}
	q := query{method: method, known: isStandard(method) || ix.methods[method]}
	if ix.hosts {
		q.host = withoutPort(host)
		q.lowHost = strings.TrimSuffix(lower(q.host), ".")
	}
	if ordinary(u) {
		if path, ok := cutMount(u.Path, ix.mount); ok {
			return ix.judge(&q, path, ids), nil
		}
		if ix.mount != "" && !strings.HasPrefix(lower(u.Path), lower(ix.mount)) {
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
		ids = ix.judge(&q, path, ids)
	}
	return ids, nil
}

// fallback is the number of the default.
func (ix *index) fallback() int32 { return int32(len(ix.patterns)) }

// unmounted returns the readings of what is behind the mount. Whether that is
// removed before or after a path is cleaned is not known here, so readings are
// taken on both sides of it. A reading outside of the mount gets the default. So
// does one that only begins like it, in another case or in the middle of a
// segment, beside the rules for what http.StripPrefix would make of it.
func (ix *index) unmounted(list []string, ids []int32) (inner []string, _ []int32, err error) {
	for _, s := range list {
		if _, ok := cutMount(s, ix.mount); !ok {
			ids = addID(ids, ix.fallback())
		}
		if strings.HasPrefix(lower(s), lower(ix.mount)) {
			inner, _ = add(inner, "/"+strings.TrimPrefix(s[len(ix.mount):], "/"))
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

// judge appends the rules for one reading of the path.
//
// What a router takes for a path, beside what the path says, counts too: /admin
// is answered by the handler of /admin/* in some, and /users/ by that of /users.
// A rule that is met only in this way is left out where a rule for the path
// itself is the more specific one: /orgs may be public while /orgs/{rest...} is
// not.
func (ix *index) judge(q *query, path string, ids []int32) []int32 {
	var room [16]hit
	var text [128]byte
	b := append(text[:0], path...)
	hits := ix.opens.find(b, room[:0])
	hits = slices.DeleteFunc(hits, func(h hit) bool { return h.fit != exact })
	lowerBytes(b)
	hits = ix.protects.find(b, hits)
	if ix.hosts {
		hits = slices.DeleteFunc(hits, func(h hit) bool { return !ix.host(q, h.id) })
	}

	own := false // a rule for this very path and method
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

// takesMethod reports whether a pattern for one method, "" for any, is for
// another. A GET pattern is for HEAD too, as in net/http.
func takesMethod(pattern, method string) bool {
	return pattern == "" || pattern == method || pattern == "GET" && method == "HEAD"
}

// host reports whether a rule is for the host. Open rules compare it exactly.
func (ix *index) host(q *query, id int32) bool {
	h := ix.patterns[id].host
	return h == "" || h == q.host || h == q.lowHost && !ix.open[id]
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

// outranked reports whether a rule for the path itself is about fewer paths than
// h protects.
func (ix *index) outranked(q *query, h hit, hits []hit) bool {
	for _, other := range hits {
		if other.fit == exact && ix.takes(q, other.id) && ix.broader.holds(h.id, other.id) {
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

// withoutPort cuts the port off a Host header, as net/http does.
func withoutPort(host string) string {
	if i := strings.LastIndexByte(host, ':'); i >= 0 && !strings.HasSuffix(host, "]") {
		return host[:i]
	}
	return host
}
