package route

import (
	"errors"
	"fmt"
	"regexp"
	"regexp/syntax"
	"strings"
)

// clerkParser parses the grammar of path-to-regexp 6, which Clerk's createRouteMatcher
// uses. Where the regular expressions of path-to-regexp look ahead, its patterns are a
// little wider: a parameter after several literal characters may contain these again.
type clerkParser struct {
	in    string
	i     int
	nodes []node
	text  string // decoded literal text since the last wildcard
	bare  bool   // text ends in a character that was not escaped
	names map[string]bool
}

// muxWildcard matches a wildcard of Go's grammar, which is a group of text in Clerk's.
var muxWildcard = regexp.MustCompile(`\{(?:[\pL_][\pL\d_]*(?:\.\.\.)?|\$)\}`)

func parseClerk(path string) ([]node, error) {
	if w := muxWildcard.FindString(path); w != "" {
		return nil, fmt.Errorf(`mixes two grammars: %s is net/http's, and "(", ":", "*" or a modifier is Clerk's; write :name and (.*), or {name} and {rest...}, throughout (and \: for a colon)`, w)
	}
	p := &clerkParser{in: path, names: map[string]bool{}}
	for p.i < len(p.in) {
		if err := p.next(); err != nil {
			return nil, err
		}
	}
	p.flush()
	nodes := openEnd(p.nodes)
	clean := sample(nodes)
	if strings.HasSuffix(path, "/") {
		clean = strings.TrimSuffix(clean, "/") // parse has checked it
	}
	return nodes, checkClean(clean)
}

// next parses one element.
func (p *clerkParser) next() error {
	switch c := p.in[p.i]; c {
	case ':', '(':
		prefix := ""
		if p.bare && (strings.HasSuffix(p.text, "/") || strings.HasSuffix(p.text, ".")) {
			prefix = p.text[len(p.text)-1:]
		}
		before := prefix
		if before == "" {
			before = p.text
		}
		w, err := p.wildcard(before)
		if err != nil {
			return err
		}
		op := p.modifier()
		if op == 0 {
			p.flush()
			p.nodes = append(p.nodes, *w)
			return nil
		}
		if op != '?' && prefix == "" {
			return errors.New("repeats a parameter that has no / or . before it: put it and what separates it in braces")
		}
		p.text = strings.TrimSuffix(p.text, prefix)
		p.flush()
		sub := []node{*w}
		if prefix != "" {
			sub = []node{{kind: literal, text: prefix}, *w}
		}
		p.nodes = append(p.nodes, node{kind: group, sub: sub, op: op})
	case '{':
		return p.braces()
	case '*':
		return errors.New(`holds a "*" that follows no parameter and no group: write (.*) for everything`)
	case ')', '}':
		return fmt.Errorf("holds a %q that closes nothing", c)
	default:
		return p.literal()
	}
	return nil
}

// literal consumes text up to the next special character.
func (p *clerkParser) literal() error {
	if p.in[p.i] == '\\' {
		if p.i+1 == len(p.in) || p.in[p.i+1] == '\\' || p.in[p.i+1] >= 0x80 {
			return errors.New("holds a backslash that escapes nothing")
		}
		p.text, p.bare = p.text+p.in[p.i+1:p.i+2], false
		p.i += 2
		return checkText(p.text)
	}
	n := strings.IndexAny(p.in[p.i:], `\:(){}*`)
	if n < 0 {
		n = len(p.in) - p.i
	}
	text, err := decodeLiteral(p.in[p.i : p.i+n])
	p.text, p.bare = p.text+text, true
	p.i += n
	return err
}

func (p *clerkParser) flush() {
	if p.text != "" {
		p.nodes = append(p.nodes, node{kind: literal, text: p.text})
		p.text = ""
	}
}

// modifier consumes a ?, * or + if one is next.
func (p *clerkParser) modifier() byte {
	if p.i < len(p.in) && strings.IndexByte("?*+", p.in[p.i]) >= 0 {
		p.i++
		return p.in[p.i-1]
	}
	return 0
}

// braces consumes {prefix :name suffix} with its modifier.
func (p *clerkParser) braces() error {
	p.flush()
	p.i++
	outer := p.nodes
	p.nodes = nil
	wildcards := 0
	for {
		if p.i == len(p.in) {
			return errors.New(`holds a "{" without "}"`)
		}
		c := p.in[p.i]
		if c == '}' {
			p.i++
			break
		}
		var err error
		switch c {
		case ':', '(':
			if wildcards++; wildcards > 1 {
				return errors.New("has two parameters in one group")
			}
			var w *node
			if w, err = p.wildcard(p.text); err == nil {
				p.flush()
				p.nodes = append(p.nodes, *w)
			}
		case '{', '*', ')':
			err = fmt.Errorf("holds a %q inside a group", c)
		default:
			err = p.literal()
		}
		if err != nil {
			return err
		}
	}
	p.flush()
	sub := p.nodes
	p.nodes = outer
	if len(sub) == 0 {
		return errors.New("holds an empty group")
	}
	op := p.modifier()
	if literal := len(sub) > 1 || sub[0].kind == literal; !literal && (op == '*' || op == '+') {
		return errors.New("repeats a parameter with nothing between its repetitions")
	}
	p.nodes = append(p.nodes, node{kind: group, sub: sub, op: op})
	return nil
}

// wildcard consumes :name, :name(regexp) or (regexp). before is the literal text in front
// of it. As in path-to-regexp, a parameter does not contain the single character that
// separates it from what precedes it, so that /file.:ext does not match /file.tar.gz.
func (p *clerkParser) wildcard(before string) (*node, error) {
	w := &node{kind: segment}
	if p.in[p.i] == ':' {
		start := p.i + 1
		for p.i++; p.i < len(p.in) && (isAlphanumeric(p.in[p.i]) || p.in[p.i] == '_'); p.i++ {
		}
		if w.name = p.in[start:p.i]; w.name == "" {
			return nil, errors.New(`holds a ":" without a name: write \: for a colon`)
		}
		if p.names[w.name] {
			return nil, fmt.Errorf("has two parameters named %q", w.name)
		}
		p.names[w.name] = true
	}
	if p.i == len(p.in) || p.in[p.i] != '(' {
		if before == "" && len(p.nodes) > 0 {
			return nil, fmt.Errorf("has nothing between :%s and the parameter before it", w.name)
		}
		if len(before) == 1 && before != "/" {
			w.except = before[0]
		}
		return w, nil
	}
	source, err := p.parenthesis()
	if err != nil {
		return nil, err
	}
	switch source {
	case ".*":
		w.kind = anything
	case "[^/]+", "[^/]+?":
	default:
		w.kind, w.text = custom, source
		if err = checkCustom(source); err == nil {
			w.fold, err = foldedSource(source)
		}
	}
	return w, err
}

// parenthesis consumes a regular expression in parentheses.
func (p *clerkParser) parenthesis() (string, error) {
	depth, start := 0, p.i+1
	for ; p.i < len(p.in); p.i++ {
		switch p.in[p.i] {
		case '\\':
			p.i++
		case '(':
			depth++
		case ')':
			if depth--; depth == 0 {
				p.i++
				if source := p.in[start : p.i-1]; source != "" {
					return source, nil
				}
				return "", errors.New("holds an empty ()")
			}
		}
	}
	return "", errors.New(`holds a "(" without ")"`)
}

// checkCustom accepts regular expressions that mean the same in JavaScript and in Go, and
// that describe a part of a path without looking at what surrounds it.
func checkCustom(source string) error {
	for i := 0; i < len(source); i++ {
		rest := source[i:]
		switch {
		case rest[0] == '\\':
			i++
			if i < len(source) && isAlphanumeric(source[i]) && strings.IndexByte("dDwWsS", source[i]) < 0 || i < len(source) && source[i] >= 0x80 {
				return fmt.Errorf(`uses \%c, which is not supported in a pattern`, source[i])
			}
		case strings.HasPrefix(rest, "(?!") || strings.HasPrefix(rest, "(?=") || strings.HasPrefix(rest, "?!") && i == 0 || strings.HasPrefix(rest, "(?<"):
			return errors.New("looks ahead or behind, or names a group: write rules instead, the narrower of two wins, and what has no rule is protected")
		case rest[0] == '?' && i == 0:
			return errors.New("begins a group with ?")
		case rest[0] == '(' && !strings.HasPrefix(rest, "(?:"):
			return errors.New("has a group inside a group: write (?:…)")
		case strings.HasPrefix(rest, "[]"), strings.HasPrefix(rest, "[^]"), strings.HasPrefix(rest, "[:"):
			return errors.New("has a character class that Go and JavaScript read differently: escape what is special in it")
		}
	}
	re, err := syntax.Parse(source, flags)
	if err != nil {
		return fmt.Errorf("has a bad regular expression: %w", err)
	}
	if !describesText(re) {
		return errors.New("holds an anchor, a word boundary or an empty character class: a pattern is anchored as it is")
	}
	return nil
}

// describesText reports whether every part of re can match some text, and none depends on
// what surrounds it.
func describesText(re *syntax.Regexp) bool {
	switch re.Op {
	case syntax.OpNoMatch, syntax.OpBeginLine, syntax.OpEndLine, syntax.OpBeginText, syntax.OpEndText,
		syntax.OpWordBoundary, syntax.OpNoWordBoundary:
		return false
	case syntax.OpCharClass:
		return len(re.Rune) > 0
	}
	for _, sub := range re.Sub {
		if !describesText(sub) {
			return false
		}
	}
	return true
}

// openEnd rewrites a repeated segment at the end of a path, /:path* and /:path+, as a
// wildcard for the whole subtree. A trie can hold that form, and a double slash in the
// subtree does not lead out of it.
func openEnd(nodes []node) []node {
	last := len(nodes) - 1
	if last < 0 {
		return nodes
	}
	n := nodes[last]
	if n.kind != group || n.op != '*' && n.op != '+' || len(n.sub) != 2 ||
		n.sub[0].kind != literal || n.sub[0].text != "/" || n.sub[1].kind != segment {
		return nodes
	}
	slash, name := n.sub[0], n.sub[1].name
	below := node{kind: group, op: '?', sub: []node{slash, {kind: anything, name: name}}}
	if n.op == '*' {
		return append(nodes[:last:last], below)
	}
	below.sub[1].name = ""
	return append(nodes[:last:last], slash, n.sub[1], below)
}

// sample returns a path that resembles those the pattern matches, with x for wildcards.
func sample(nodes []node) string { return sampleWith(nodes, "x") }

func sampleWith(nodes []node, wildcard string) string {
	s := ""
	for _, n := range nodes {
		switch n.kind {
		case literal:
			s += n.text
		case group:
			s += sampleWith(n.sub, wildcard)
		default:
			s += wildcard
		}
	}
	return s
}
