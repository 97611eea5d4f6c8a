package route

import (
	"fmt"
	"maps"
	"regexp"
	"slices"
	"strings"
)

// crossing finds, by their segments, the patterns that may share a path with a given one,
// so that only few of the pairs of many rules are compared. It may find too many, but
// never too few: it uses the folded and wide form of patterns, and of a segment that is
// partly a wildcard the text around it.
type crossing struct {
	root   crossNode
	opaque []int32 // patterns without sequences
}

type crossNode struct {
	literals map[string]*crossNode
	any      *crossNode
	exprs    []*exprCross
	glued    map[string][]int32
	sorted   []string // the keys of literals and of glued, computed when all are inserted
	ends     []int32
	rests    []int32
}

// exprCross is a segment that is partly a wildcard, with the text that it begins and ends
// with.
type exprCross struct {
	source         string
	prefix, suffix string
	node           crossNode
}

func newExprCross(p piece) *exprCross {
	e := &exprCross{source: source(p.expr, folded)}
	prefix, _ := regexp.MustCompile(source(p.expr, asWritten)).LiteralPrefix()
	e.prefix = Fold(prefix)
	if last := p.expr[len(p.expr)-1]; last.kind == literal {
		e.suffix = Fold(last.text)
	}
	return e
}

// apart reports whether no segment matches both e and such a prefix and suffix.
func (e *exprCross) apart(prefix, suffix string) bool {
	return apart(e.prefix, prefix) || !strings.HasSuffix(e.suffix, suffix) && !strings.HasSuffix(suffix, e.suffix)
}

// trimmed returns a sequence's segments without a slash at its end: patterns guard paths
// with and without it.
func (s sequence) trimmed() []piece {
	if last := len(s.segs) - 1; s.tail == ends && last >= 0 && s.segs[last].isEmpty() {
		return s.segs[:last]
	}
	return s.segs
}

func (p piece) isEmpty() bool { return p.text == "" && !p.any && p.expr == nil }

func (c *crossing) insert(p *Pattern, id int32) {
	if p.routes == nil {
		c.opaque = append(c.opaque, id)
	}
	for _, s := range p.routes {
		n := &c.root
		for _, piece := range s.trimmed() {
			n = n.child(piece)
		}
		switch s.tail {
		case ends:
			n.ends = append(n.ends, id)
		case rest:
			n.rests = append(n.rests, id)
		case glued:
			if n.glued == nil {
				n.glued = map[string][]int32{}
			}
			prefix := Fold(s.prefix)
			n.glued[prefix] = append(n.glued[prefix], id)
		}
	}
}

func (n *crossNode) child(p piece) *crossNode {
	switch {
	case p.any:
		if n.any == nil {
			n.any = &crossNode{}
		}
		return n.any
	case p.expr != nil:
		made := newExprCross(p)
		for _, e := range n.exprs {
			if e.source == made.source {
				return &e.node
			}
		}
		n.exprs = append(n.exprs, made)
		return &made.node
	}
	text := Fold(p.text)
	if n.literals == nil {
		n.literals = map[string]*crossNode{}
	}
	if n.literals[text] == nil {
		n.literals[text] = &crossNode{}
	}
	return n.literals[text]
}

// find adds the numbers of patterns that may share a path with p, some of them
// more than once.
func (c *crossing) find(p *Pattern, add func([]int32)) {
	add(c.opaque)
	if p.routes == nil {
		c.root.below(add)
	}
	for _, s := range p.routes {
		c.root.find(s, s.trimmed(), add)
	}
}

// find adds the patterns below n that may share a path with s, whose remaining segments
// are segs.
func (n *crossNode) find(s sequence, segs []piece, add func([]int32)) {
	add(n.rests)
	if len(segs) == 0 {
		switch s.tail {
		case ends:
			add(n.ends)
			// A wildcard may match the empty segment after a slash at the end.
			n.each("", "", false, func(next *crossNode) {
				add(next.ends)
				add(next.rests)
			})
		case rest:
			n.below(add)
		case glued:
			prefix := Fold(s.prefix)
			n.begin(prefix, add)
			n.each(prefix, "", true, func(next *crossNode) { next.below(add) })
		}
		return
	}
	next := func(child *crossNode) { child.find(s, segs[1:], add) }
	switch p := segs[0]; {
	case !p.any && p.expr == nil:
		text := Fold(p.text)
		if child := n.literals[text]; child != nil {
			next(child)
		}
		n.each(text, text, false, next)
		for i := range len(text) {
			add(n.glued[text[:i+1]])
		}
	default:
		var prefix, suffix string
		if p.expr != nil {
			e := newExprCross(p)
			prefix, suffix = e.prefix, e.suffix
		}
		n.begin(prefix, add)
		n.each(prefix, suffix, true, next)
		if len(segs) == 1 && s.tail != glued {
			add(n.ends) // it may match the empty segment, too
		}
	}
}

// begin adds the glued patterns at n whose text is a prefix of prefix, or begins with it.
func (n *crossNode) begin(prefix string, add func([]int32)) {
	for i := range len(prefix) {
		add(n.glued[prefix[:i]])
	}
	for _, text := range n.from(prefix) {
		add(n.glued[text])
	}
}

// each calls next with every node that a segment with that prefix and suffix may lead to
// from n. literals says whether to include those of literal text.
func (n *crossNode) each(prefix, suffix string, literals bool, next func(*crossNode)) {
	if literals {
		for _, text := range n.from(prefix) {
			if child := n.literals[text]; child != nil && strings.HasSuffix(text, suffix) {
				next(child)
			}
		}
	}
	if n.any != nil {
		next(n.any)
	}
	for _, e := range n.exprs {
		if !e.apart(prefix, suffix) {
			next(&e.node)
		}
	}
}

// from returns the texts of literals and of glued patterns that begin with
// prefix.
func (n *crossNode) from(prefix string) []string {
	if n.sorted == nil {
		n.sorted = slices.Sorted(maps.Keys(n.literals))
		n.sorted = slices.AppendSeq(n.sorted, maps.Keys(n.glued))
		slices.Sort(n.sorted)
		n.sorted = slices.Compact(n.sorted)
	}
	i, _ := slices.BinarySearch(n.sorted, prefix)
	j := i
	for j < len(n.sorted) && strings.HasPrefix(n.sorted[j], prefix) {
		j++
	}
	return n.sorted[i:j]
}

// below adds all patterns from n on.
func (n *crossNode) below(add func([]int32)) {
	add(n.ends)
	add(n.rests)
	for _, ids := range n.glued {
		add(ids)
	}
	n.each("", "", true, func(next *crossNode) { next.below(add) })
}

// maxPairs bounds how many pairs of rules are compared.
const maxPairs = 200_000

// pairsToCompare returns for each rule the earlier rules that it may share a request with.
func (ix *index) pairsToCompare() (pairs, error) {
	byHost := map[string]*crossing{"": {}}
	for i, p := range ix.patterns {
		c := byHost[p.host.name]
		if c == nil {
			c = &crossing{}
			byHost[p.host.name] = c
		}
		c.insert(p, int32(i))
	}
	list, count := make(pairs, len(ix.patterns)), 0
	seen := make([]int, len(ix.patterns)) // the last rule that found each
	for i, p := range ix.patterns {
		all := p.host.name != "" // add later rules, too
		add := func(found []int32) {
			for _, id := range found {
				j := int(id)
				if seen[j] == i+1 || j == i || j > i && !all || apart(p.prefix(), ix.patterns[j].prefix()) {
					continue
				}
				seen[j] = i + 1
				list.set(max(i, j), min(i, j))
				count++
			}
		}
		// A rule for one host shares no request with rules for others, and is compared
		// with all rules for any host.
		byHost[""].find(p, add)
		if all {
			all = false
			byHost[p.host.name].find(p, add)
		}
		if count > maxPairs {
			return nil, fmt.Errorf("the rules up to %q may be for the same paths in more than %d pairs: write text in place of wildcards at the beginning of patterns, or one rule in place of many", p, maxPairs)
		}
	}
	list.sort()
	return list, nil
}
