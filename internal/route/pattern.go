package route

import (
	"errors"
	"fmt"
	"strings"
)

// Pattern is a parsed pattern, [METHOD ][HOST]/path, with the path in one of two grammars.
//
// Go's, as in [net/http.ServeMux]: literal segments, {name} for one segment, {name...} for
// the rest of the path, {$} for the end after a slash.
//
// Clerk's, which is path-to-regexp 6: :name for one segment or a part of one, (regexp) and
// :name(regexp), {…} around a group, ?, * and + after any of these, \ before a literal
// special character.
//
// A path is in Clerk's grammar if it contains "(", ":" or "*", or a group with a modifier
// ("}?", "}+"). Literals may be written decoded or percent-encoded, and are compared
// decoded.
type Pattern struct {
	text   string
	method string // "" is any
	host   hostName
	path   string // as it was written
	nodes  []node
	clerk  bool // in Clerk's grammar
	root   bool // all of the path is optional, so that it also matches /
	// routes are the nodes as lists of segments, for a trie, or nil if there is no
	// such form.
	routes []sequence

	lang  [2]*automaton // of the paths that it matches: as written, and folded
	reach *automaton    // of the paths that it guards: folded and wide
	work  work          // of checkForms
}

// Parse parses a pattern. It rejects what belongs to neither grammar, to both, or can never
// match, because a rule that matches less than its author thinks is a vulnerability. The
// error names the pattern, what is wrong, and how to write it.
//
// It also rejects a pattern that ends in /, which matches everything below in net/http, and
// this path only in Clerk's matcher.
func Parse(pattern string) (*Pattern, error) { return parse(pattern, false) }

// at returns the pattern for another host.
func (p *Pattern) at(host hostName) string {
	return strings.TrimLeft(p.method+" ", " ") + host.String() + p.path
}

// parse is Parse. If slash is true, a pattern may end in /, and matches this path only.
func parse(pattern string, slash bool) (*Pattern, error) {
	p := &Pattern{text: pattern}
	if err := p.parse(slash); err != nil {
		return nil, fmt.Errorf("pattern %q: %w", pattern, err)
	}
	return p, nil
}

// String returns the pattern as it was written.
func (p *Pattern) String() string { return p.text }

func (p *Pattern) parse(slash bool) error {
	if p.text == "" {
		return errors.New("is empty, and would match nothing")
	}
	rest := p.text
	if i := strings.IndexAny(rest, " \t"); i >= 0 {
		p.method, rest = rest[:i], strings.TrimLeft(rest[i+1:], " \t")
		if err := checkMethod(p.method); err != nil {
			return err
		}
	}
	if rest == "(.*)" {
		rest = "/(.*)" // every path begins with a slash, so this matches all of them
	}
	i := strings.IndexByte(rest, '/')
	if i < 0 {
		if _, plain, ok := parseHost(rest); ok && plain && strings.Contains(rest, ":") {
			return fmt.Errorf("has no path: write %s/{$} for this host's first page, or %s/{rest...} for all of it", rest, rest)
		}
		return errors.New("has no path: begin it with /")
	}
	if strings.HasPrefix(rest[i:], "//") && strings.HasSuffix(rest[:i], ":") {
		return errors.New("must begin with / or a host: leave out the scheme")
	}
	if strings.HasPrefix(rest, "{/") {
		i = 0 // a group that may be absent, not a host
	}
	var err error
	if p.host, err = parsePatternHost(rest[:i]); err != nil {
		return err
	}
	if strings.HasSuffix(rest, "/") && !slash {
		return fmt.Errorf("ends in /, which routers read in two ways: write %s for this path alone, or %s for everything below",
			rest+"{$}", rest+"{rest...}")
	}
	rest = rest[i:]
	p.path = rest
	if isClerk(rest) {
		p.clerk = true
		p.nodes, err = parseClerk(rest)
	} else {
		p.nodes, err = parseServeMux(rest)
	}
	if err != nil {
		return err
	}
	return p.compile()
}

// compile derives from the nodes what is needed to match and to compare the pattern.
func (p *Pattern) compile() error {
	var err error
	p.root = anchored(source(p.nodes, asWritten)).MatchString("")
	if p.routes, err = sequences(p.nodes); err != nil {
		return err
	}
	for i, mode := range []mode{asWritten, folded} {
		if p.lang[i], err = newAutomaton(p.source(mode)); err != nil {
			return err
		}
	}
	if p.reach, err = newAutomaton(p.source(folded | wide)); err != nil {
		return err
	}
	return p.checkForms()
}

// checkForms returns an error unless the pattern guards whatever it matches: unless its
// paths are among those of its folded form, and these among those it guards.
func (p *Pattern) checkForms() error {
	forms := []*automaton{p.lang[asWritten], p.lang[folded], p.reach}
	for i, form := range forms[:2] {
		switch rel, _, err := p.work.relate(form, forms[i+1]); {
		case err != nil:
			return errors.New("is too intricate to check: write a shorter expression, or several patterns")
		case rel != equal && rel != within:
			return errors.New("means something else in the other case of letters: write the letters of its expressions in both cases, [Aa]")
		}
	}
	return nil
}

// isClerk reports whether a path is in Clerk's grammar.
func isClerk(path string) bool {
	return strings.ContainsAny(path, "(:*") || strings.Contains(path, "}?") || strings.Contains(path, "}+")
}

// standardMethods are the methods of RFC 9110 section 9, and PATCH. CONNECT is not among
// them: requests with it are refused.
var standardMethods = []string{"GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS", "TRACE"}

func checkMethod(method string) error {
	for _, c := range []byte(method) {
		// The characters of a token, RFC 9110 section 5.6.2.
		if !isAlphanumeric(c) && !strings.ContainsRune("!#$%&'*+-.^_`|~", rune(c)) {
			return fmt.Errorf("%q is not a method", method)
		}
	}
	upper := strings.ToUpper(method)
	if method == "" || upper == "CONNECT" {
		return fmt.Errorf("a rule for the method %q is never asked: CONNECT is refused whatever the path", method)
	}
	if method != upper {
		return fmt.Errorf("methods are case-sensitive: write %s", upper)
	}
	return nil
}

func isStandard(method string) bool {
	for _, m := range standardMethods {
		if m == method {
			return true
		}
	}
	return false
}

func isAlphanumeric(c byte) bool {
	return 'a' <= c && c <= 'z' || 'A' <= c && c <= 'Z' || '0' <= c && c <= '9'
}

// lower returns s with ASCII letters in lower case. Hosts and schemes have no others.
func lower(s string) string {
	for i := range len(s) {
		if 'A' <= s[i] && s[i] <= 'Z' {
			b := []byte(s)
			for i, c := range b {
				if 'A' <= c && c <= 'Z' {
					b[i] += 'a' - 'A'
				}
			}
			return string(b)
		}
	}
	return s
}
