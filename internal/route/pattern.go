package route

import (
	"errors"
	"fmt"
	"strings"
)

// Pattern is a parsed pattern: [METHOD ][HOST]/path, the path in one of two
// grammars.
//
// Go's, as in [net/http.ServeMux]: literal segments, {name} for one segment,
// {name...} for the rest of the path, {$} for the end behind a slash.
//
// Clerk's, which is path-to-regexp 6: :name for one segment or a part of one,
// (regexp) and :name(regexp), {…} around a group, ?, * and + behind any of
// these, \ before a character that stands for itself.
//
// A path is in Clerk's grammar if it holds "(", ":" or "*", or a group with a
// modifier ("}?", "}+"). Literals are written decoded or percent-encoded, and
// are compared decoded.
type Pattern struct {
	text   string
	method string // "" is any
	host   string // lower case, without port; "" is any
	nodes  []node
	clerk  bool // in Clerk's grammar
	root   bool // all of the path is optional, so that / is what is left of it
	// routes are the nodes as lists of segments, for a trie, or nil if there is no
	// such form.
	routes []sequence

	lang  [2]*automaton // of the paths that it matches: as written, and folded
	reach *automaton    // of the paths that it protects: folded and wide
}

// Parse reads a pattern. What belongs to neither grammar, to both, or can never
// match, is an error that names the pattern, the mistake and a way out: a rule
// that matches less than its author thinks is a hole.
func Parse(pattern string) (*Pattern, error) {
	p := &Pattern{text: pattern}
	if err := p.parse(); err != nil {
		return nil, fmt.Errorf("pattern %q: %w", pattern, err)
	}
	return p, nil
}

// String returns the pattern as it was written.
func (p *Pattern) String() string { return p.text }

// Method returns the method that the pattern names, or "".
func (p *Pattern) Method() string { return p.method }

// Host returns the host that the pattern names, in lower case, or "".
func (p *Pattern) Host() string { return p.host }

func (p *Pattern) parse() error {
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
		rest = "/(.*)" // every path begins with a slash: this is no suffix match
	}
	i := strings.IndexByte(rest, '/')
	if i < 0 {
		return errors.New("has no path: begin it with /")
	}
	if strings.HasPrefix(rest, "{/") {
		i = 0 // a group that may be absent, not a host
	}
	var err error
	if p.host, err = parseHost(rest[:i]); err != nil {
		return err
	}
	if rest = rest[i:]; strings.HasSuffix(rest, "/") {
		return fmt.Errorf("ends in /, which routers read in two ways: write %s for this path alone, or %s for everything below",
			rest+"{$}", rest+"{rest...}")
	}
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

// compile derives from the nodes what matching and comparing need.
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
	p.reach, err = newAutomaton(p.source(folded | wide))
	return err
}

// isClerk tells the grammars apart.
func isClerk(path string) bool {
	return strings.ContainsAny(path, "(:*") || strings.Contains(path, "}?") || strings.Contains(path, "}+")
}

// standardMethods are those that routers know by name (RFC 9110 section 9, and
// PATCH). CONNECT is missing: no request with it gets as far as a rule.
var standardMethods = []string{"GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS", "TRACE"}

func checkMethod(method string) error {
	for _, c := range []byte(method) {
		// The characters of a token, RFC 9110 section 5.6.2.
		if !isAlphanumeric(c) && !strings.ContainsRune("!#$%&'*+-.^_`|~", rune(c)) {
			return fmt.Errorf("%q is no method", method)
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

// parseHost accepts a host name as net/http's patterns have it: without a port,
// since the port is cut from a request's host before they are compared. A name
// without a dot is taken for a path whose first slash was forgotten.
func parseHost(host string) (string, error) {
	switch {
	case host == "":
		return "", nil
	case strings.HasSuffix(host, ":") || strings.Contains(host, "(") || strings.Contains(host, "{"):
		return "", errors.New("must begin with /")
	case strings.Contains(host, ":"):
		return "", errors.New("hosts are compared without their port: leave it out")
	}
	for _, label := range strings.Split(host, ".") {
		if label == "" || strings.Trim(label, "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789-_") != "" {
			return "", fmt.Errorf("%q before the first / is no host name: begin a path with /", host)
		}
	}
	if !strings.Contains(host, ".") && host != "localhost" {
		return "", fmt.Errorf("must begin with /, or with a host that has a dot in it (%q has none)", host)
	}
	return lower(host), nil
}

func isAlphanumeric(c byte) bool {
	return 'a' <= c && c <= 'z' || 'A' <= c && c <= 'Z' || '0' <= c && c <= '9'
}

// lower folds ASCII letters alone. File systems and some routers take Admin for
// admin; none takes the Kelvin sign for a k.
func lower(s string) string {
	for i := range len(s) {
		if 'A' <= s[i] && s[i] <= 'Z' {
			b := []byte(s)
			lowerBytes(b)
			return string(b)
		}
	}
	return s
}

func lowerBytes(b []byte) {
	for i, c := range b {
		if 'A' <= c && c <= 'Z' {
			b[i] = c + 'a' - 'A'
		}
	}
}
