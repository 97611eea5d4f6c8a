package route

import (
	"bytes"
	"regexp"
	"slices"
	"strings"
)

// trie finds the patterns that match a path by walking its segments once. It is either
// folded, for rules that guard, or as written, for rules that open: Admin may reach what is
// behind admin, so a rule for one of them guards both, and opens only itself.
type trie struct {
	folded bool
	root   trieNode
	opaque []opaque // patterns without sequences, tried one by one
	forked bool     // some pattern has several sequences
}

type trieNode struct {
	literals map[string]*trieNode
	any      *trieNode
	exprs    []exprNode
	glued    map[string][]int32 // patterns that match a prefix and everything after it
	lengths  []int              // of the prefixes in glued
	ends     []pathEnd
	rests    []int32 // patterns that match a slash and everything after it
}

type exprNode struct {
	source      string
	prefix      []byte // of every match
	exact, wide *regexp.Regexp
	node        *trieNode
}

type pathEnd struct {
	id    int32
	slash bool // the pattern ends in a slash: one more is not another spelling of it
}

type opaque struct {
	exact, wide *regexp.Regexp
	id          int32
}

// match is how closely a pattern fits a path. All but exact are what some router takes for
// a match, and apply to rules that guard.
type match uint8

const (
	exact match = iota
	// extraSlash means that the path ends in a slash that the pattern does not have.
	extraSlash
	// emptySegment means that a wildcard matches an empty segment.
	emptySegment
	// noSlash means that the path lacks the slash before the pattern's end or rest:
	// /admin for /admin/{rest...}.
	noSlash
)

// hit is a pattern that matches.
type hit struct {
	id  int32
	fit match
	// maybe means that only some readings of the host are the pattern's.
	maybe bool
}

// insert adds a pattern under a number that find will return.
func (t *trie) insert(p *Pattern, id int32) {
	m := asWritten
	if t.folded {
		m = folded
	}
	if p.routes == nil {
		t.opaque = append(t.opaque, opaque{anchored(p.source(m)), anchored(p.source(m | wide)), id})
	}
	t.forked = t.forked || len(p.routes) > 1
	for _, s := range p.routes {
		n := &t.root
		for _, piece := range s.segs {
			n = n.child(piece, m)
		}
		switch s.tail {
		case ends:
			last := s.segs[len(s.segs)-1]
			n.ends = append(n.ends, pathEnd{id, last.text == "" && !last.any && last.expr == nil})
		case rest:
			n.rests = append(n.rests, id)
		case glued:
			prefix := m.fold(s.prefix) // as are the paths that are passed to find
			if n.glued == nil {
				n.glued = map[string][]int32{}
			}
			if !slices.Contains(n.lengths, len(prefix)) {
				n.lengths = append(n.lengths, len(prefix))
			}
			n.glued[prefix] = append(n.glued[prefix], id)
		}
	}
}

// child returns the node after a segment, and makes it if necessary.
func (n *trieNode) child(p piece, m mode) *trieNode {
	switch {
	case p.any:
		if n.any == nil {
			n.any = &trieNode{}
		}
		return n.any
	case p.expr != nil:
		text := source(p.expr, m)
		for _, e := range n.exprs {
			if e.source == text {
				return e.node
			}
		}
		e := exprNode{text, nil, anchored(text), anchored(source(p.expr, m|wide)), &trieNode{}}
		if first := p.expr[0]; first.kind == literal {
			e.prefix = []byte(m.fold(first.text))
		}
		n.exprs = append(n.exprs, e)
		return e.node
	}
	text := m.fold(p.text)
	if n.literals == nil {
		n.literals = map[string]*trieNode{}
	}
	if n.literals[text] == nil {
		n.literals[text] = &trieNode{}
	}
	return n.literals[text]
}

// fold folds text if paths are matched folded.
func (m mode) fold(text string) string {
	if m&folded != 0 {
		return Fold(text)
	}
	return text
}

// find appends the patterns that match path, each once and with its closest fit. If the
// trie is folded, path must be.
func (t *trie) find(path []byte, hits []hit) []hit {
	before := len(hits)
	hits = t.root.find(path, exact, hits)
	if t.forked {
		hits = closest(hits, before)
	}
	for _, o := range t.opaque {
		switch text := string(path); {
		case o.exact.MatchString(text):
			hits = append(hits, hit{id: o.id, fit: exact})
		case len(text) > 2 && o.exact.MatchString(strings.TrimSuffix(text, "/")):
			hits = append(hits, hit{id: o.id, fit: extraSlash})
		case o.wide.MatchString(text):
			hits = append(hits, hit{id: o.id, fit: noSlash})
		}
	}
	return hits
}

// closest keeps, of several hits of one pattern in hits[from:], the closest one.
func closest(hits []hit, from int) []hit {
	kept := hits[:from]
next:
	for _, h := range hits[from:] {
		for i := from; i < len(kept); i++ {
			if kept[i].id == h.id {
				kept[i].fit = min(kept[i].fit, h.fit)
				continue next
			}
		}
		kept = append(kept, h)
	}
	return kept
}

// find continues at n with the rest of the path, which is empty or begins with a slash. fit
// is how closely the segments so far were matched.
func (n *trieNode) find(left []byte, fit match, hits []hit) []hit {
	if len(left) == 0 {
		for _, e := range n.ends {
			hits = append(hits, hit{id: e.id, fit: fit})
		}
		for _, id := range n.rests {
			hits = append(hits, hit{id: id, fit: noSlash})
		}
		if slash := n.literals[""]; slash != nil {
			for _, e := range slash.ends {
				hits = append(hits, hit{id: e.id, fit: noSlash})
			}
		}
		return hits
	}
	for _, id := range n.rests {
		hits = append(hits, hit{id: id, fit: fit})
	}
	left = left[1:]
	if len(left) == 0 {
		for _, e := range n.ends {
			if !e.slash {
				hits = append(hits, hit{id: e.id, fit: max(fit, extraSlash)})
			}
		}
	} else {
		for _, length := range n.lengths {
			if length <= len(left) {
				for _, id := range n.glued[string(left[:length])] {
					hits = append(hits, hit{id: id, fit: fit})
				}
			}
		}
	}
	segment, next := left, []byte(nil)
	if i := bytes.IndexByte(left, '/'); i >= 0 {
		segment, next = left[:i], left[i:]
	}
	if child := n.literals[string(segment)]; child != nil {
		hits = child.find(next, fit, hits)
	}
	if n.any != nil {
		if len(segment) > 0 {
			hits = n.any.find(next, fit, hits)
		} else {
			hits = n.any.find(next, max(fit, emptySegment), hits)
		}
	}
	for _, e := range n.exprs {
		// The copy keeps path on the caller's stack: []byte escapes into a regexp.
		if !bytes.HasPrefix(segment, e.prefix) {
			continue
		}
		switch text := string(segment); {
		case e.exact.MatchString(text):
			hits = e.node.find(next, fit, hits)
		case e.wide.MatchString(text):
			hits = e.node.find(next, max(fit, emptySegment), hits)
		}
	}
	return hits
}
