package route

import (
	"errors"
	"regexp/syntax"
	"strings"
)

// sequence is one form of a pattern's path as a list of segments, of which a trie is built.
// A pattern with optional parts has several.
type sequence struct {
	segs []piece
	tail tail
	// prefix is what the segment after segs begins with, if tail is glued.
	prefix string
}

// piece is a segment: literal text, any text, or what an expression matches.
type piece struct {
	text string
	any  bool
	expr []node // nil, or the nodes of the segment
}

type tail uint8

const (
	ends  tail = iota // the path ends after the segments; an empty last one is a slash
	rest              // a slash and anything follow: /{rest...}, /(.*)
	glued             // text and anything follow: /dashboard(.*)
)

// maxSequences is to how many forms a pattern is expanded. A pattern with more forms is
// matched by its regular expression.
const maxSequences = 32

var errUnanchored = errors.New("must begin with /: a match in the middle of a path would say nothing about its beginning")

// sequences returns all forms of a path, or nil if they cannot be enumerated.
func sequences(nodes []node) ([]sequence, error) {
	if !strings.HasPrefix(sample(nodes), "/") {
		return nil, errUnanchored
	}
	var all []sequence
	for _, flat := range expand(nodes) {
		if len(flat) > 0 && (flat[0].kind != literal || flat[0].text[0] != '/') {
			return nil, errUnanchored
		}
		s, ok := newSequence(flat)
		if !ok {
			return nil, nil
		}
		all = append(all, s)
	}
	return all, nil
}

// expand enumerates the choices of groups and of alternatives of literals. It returns nil if
// a part repeats, or if there are too many forms.
func expand(nodes []node) [][]node {
	forms := [][]node{nil}
	for _, n := range nodes {
		var choices [][]node
		switch {
		case n.kind == custom && isWords(n.text):
			for _, word := range strings.Split(n.text, "|") {
				choices = append(choices, []node{{kind: literal, text: word}})
			}
		case n.kind != group:
			choices = [][]node{{n}}
		case n.op == 0 || n.op == '?':
			if choices = expand(n.sub); choices == nil {
				return nil
			}
			if n.op == '?' {
				choices = append(choices, []node{})
			}
		default:
			return nil
		}
		if len(forms)*len(choices) > maxSequences {
			return nil
		}
		var next [][]node
		for _, f := range forms {
			for _, c := range choices {
				next = append(next, append(f[:len(f):len(f)], c...))
			}
		}
		forms = next
	}
	return forms
}

// isWords reports whether source is an alternative of literals: api|trpc.
func isWords(source string) bool {
	for _, word := range strings.Split(source, "|") {
		if word == "" || strings.Trim(word, "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789-_~") != "" {
			return false
		}
	}
	return true
}

// newSequence cuts nodes without groups at their slashes.
func newSequence(nodes []node) (s sequence, ok bool) {
	if len(nodes) == 0 { // all parts are optional
		return sequence{segs: []piece{{}}}, true
	}
	var seg []node // the current segment
	for i, n := range nodes {
		switch n.kind {
		case literal:
			for j, text := range strings.Split(n.text, "/") {
				if j > 0 && (i > 0 || j > 1) { // not the path's first slash
					s.segs = append(s.segs, newPiece(seg))
					seg = nil
				}
				if text != "" {
					seg = append(seg, node{kind: literal, text: text})
				}
			}
		case anything:
			if i != len(nodes)-1 {
				return s, false
			}
			s.tail = rest
			if len(seg) > 0 {
				p := newPiece(seg)
				if s.tail, s.prefix = glued, p.text; p.any || p.expr != nil {
					return s, false
				}
			}
			return s, true
		default:
			if n.kind == custom && crossesSlash(n.text) {
				return s, false
			}
			seg = append(seg, n)
		}
	}
	s.segs = append(s.segs, newPiece(seg))
	return s, true
}

func newPiece(seg []node) piece {
	p := piece{}
	for _, n := range seg {
		if n.kind != literal {
			if len(seg) == 1 && n.kind == segment {
				return piece{any: true}
			}
			return piece{expr: seg}
		}
		p.text += n.text
	}
	return p
}

// crossesSlash reports whether some match of a regular expression may contain a slash.
func crossesSlash(source string) bool {
	re, err := syntax.Parse(source, flags)
	if err != nil {
		return true
	}
	prog, err := syntax.Compile(re.Simplify())
	if err != nil {
		return true
	}
	for i := range prog.Inst {
		if consumes(&prog.Inst[i]) && prog.Inst[i].MatchRune('/') {
			return true
		}
	}
	return false
}

// opensSiblings returns the wildcard that follows a literal without a slash, so that the
// pattern also matches siblings of the path that it seems to name: /dashboard(.*) matches
// /dashboardx. It returns "" if there is none.
func opensSiblings(nodes []node, before byte) (wildcard string, last byte) {
	for _, n := range nodes {
		switch n.kind {
		case literal:
			before = n.text[len(n.text)-1]
			continue
		case anything:
			if before != '/' {
				return "(.*)", 0
			}
		case segment:
			if isAlphanumeric(before) {
				return ":" + n.name, 0
			}
		case custom:
			if before != '/' && n.text[0] != '/' && crossesSlash(n.text) {
				return "(" + n.text + ")", 0
			}
		case group:
			if wildcard, last = opensSiblings(n.sub, before); wildcard != "" {
				return wildcard, 0
			}
			// The group may be absent, so that the character before it counts, too. Of
			// the two, the one that is not a slash is the worse.
			if before == '/' || before == 0 {
				before = last
			}
			continue
		}
		before = 0
	}
	return "", before
}
