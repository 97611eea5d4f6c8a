package route

import (
	"errors"
	"fmt"
	"net/url"
	"regexp"
	"strings"
)

// node is a part of a pattern's path. Patterns of both grammars are parsed to lists of
// nodes.
type node struct {
	kind kind
	text string // literal: the decoded text; custom: the regular expression
	fold string // custom: the folded regular expression
	name string // of a wildcard, if it has one
	// except is a character that a segment excludes besides the slash, or 0.
	except byte
	sub    []node // of a group
	op     byte   // of a group: '?', '*', '+', or 0 for once
}

type kind uint8

const (
	literal  kind = iota
	segment       // a path segment or a part of one: not empty, without a slash
	anything      // everything that follows, including slashes and line terminators
	custom        // what a regular expression in the pattern matches
	group         // sub, repeated as op says
)

// mode is which paths a pattern's regular expression matches.
type mode uint8

const (
	asWritten mode = 0
	// folded matches letters in either case: see Fold.
	folded mode = 1
	// wide also matches what routers take for such a path: with or without the slash at
	// its end (fiber, chi's StripSlashes and Mount), and with an empty segment for a
	// wildcard (echo, gin, chi).
	wide mode = 2
)

// source returns the regular expression of the pattern's paths, without anchors.
func (p *Pattern) source(m mode) string {
	nodes, end := p.nodes, ""
	if m&wide != 0 {
		nodes, end = withoutSlash(nodes)
	}
	if p.root {
		end += "|/"
	}
	return source(nodes, m) + end
}

func source(nodes []node, m mode) string {
	var b strings.Builder
	for _, n := range nodes {
		n.write(&b, m)
	}
	return b.String()
}

// withoutSlash splits off the end of a pattern that its wide form makes optional: the slash
// of {$}, the slash and the rest after it, or nothing.
func withoutSlash(nodes []node) (front []node, end string) {
	last, end := len(nodes)-1, "/?"
	if last > 0 && nodes[last].kind == anything {
		last, end = last-1, "(?:/.*)?"
	}
	n := nodes[last]
	if n.kind != literal || !strings.HasSuffix(n.text, "/") {
		return nodes, "/?"
	}
	n.text = strings.TrimSuffix(n.text, "/")
	return append(nodes[:last:last], n), end
}

func (n node) write(b *strings.Builder, m mode) {
	switch n.kind {
	case literal:
		for _, r := range n.text {
			if all := orbit(r); m&folded != 0 && len(all) > 1 {
				b.WriteString("[" + string(all) + "]") // letters: none is special in a class
			} else {
				b.WriteString(regexp.QuoteMeta(string(r)))
			}
		}
	case segment:
		b.WriteString("[^/")
		// Another spelling of an excluded letter is not excluded.
		if n.except != 0 && (m&folded == 0 || len(orbit(rune(n.except))) == 1) {
			b.WriteString(regexp.QuoteMeta(string(n.except)))
		}
		if m&wide != 0 {
			b.WriteString("]*")
		} else {
			b.WriteString("]+")
		}
	case anything:
		b.WriteString(".*")
	case custom:
		if m&folded != 0 {
			b.WriteString("(?:" + n.fold + ")")
		} else {
			b.WriteString("(?:" + n.text + ")")
		}
	case group:
		b.WriteString("(?:")
		for _, s := range n.sub {
			s.write(b, m)
		}
		b.WriteByte(')')
		if n.op != 0 {
			b.WriteByte(n.op)
		}
	}
}

// anchored compiles source to match whole strings. Wildcards match line terminators, as
// those of routers do.
func anchored(source string) *regexp.Regexp {
	return regexp.MustCompile(`(?s)\A(?:` + source + `)\z`)
}

// decodeLiteral returns the text of a literal part of a pattern, with percent-encoding
// decoded, because paths are compared decoded. Only characters that a path can contain
// unencoded (pchar, RFC 3986 section 3.3) and non-ASCII ones may be written unencoded, so
// that a regular expression or a URL is not taken for a path.
func decodeLiteral(text string) (string, error) {
	for i := 0; i < len(text); i++ { //nolint:intrange // i is moved on
		switch c := text[i]; {
		case c == '?':
			return "", errors.New(`holds a "?": queries are not matched, and as a modifier it must follow a parameter or a group`)
		case c == '+':
			return "", errors.New(`holds a "+" that follows no parameter and no group: write %2B for a plus sign`)
		case c >= 0x80, isAlphanumeric(c), strings.IndexByte("-._~!$&'()*,;=:@/%", c) >= 0:
		default:
			return "", fmt.Errorf("holds %q, which is not written bare in a path: a pattern is not a regular expression", c)
		}
	}
	decoded, err := url.PathUnescape(text)
	if err != nil {
		return "", errors.New("holds a % that begins no percent-encoding: write %25 for a percent sign")
	}
	if strings.Count(decoded, "/") != strings.Count(text, "/") || strings.Contains(decoded, `\`) {
		return "", errors.New("holds an encoded slash or a backslash: it would be read as the end of a segment")
	}
	return decoded, checkText(decoded)
}

// checkText rejects literals that requests are refused for.
func checkText(text string) error {
	if checkReading(text) != nil {
		return errors.New("holds a control character, or is not UTF-8: such requests are refused")
	}
	return nil
}

// checkClean rejects literals that routers remove when they clean a path.
func checkClean(path string) error {
	for i, s := range strings.Split(path, "/") {
		if i > 0 && s == "" {
			return errors.New("holds //, which routers make one slash: write one")
		}
		if s == "." || s == ".." {
			return fmt.Errorf("holds the segment %q, which routers resolve: write the path it leads to", s)
		}
	}
	return nil
}
