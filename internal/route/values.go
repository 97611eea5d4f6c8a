package route

import (
	"regexp"
	"sync"
)

// capture is a pattern's regular expression with a group for each named
// wildcard, made when it is first asked for: most patterns only ever match.
type capture struct {
	once  sync.Once
	re    *regexp.Regexp
	names []string
}

// Values returns what the named wildcards of the pattern stand for in path, as it
// is written there, and whether the pattern matches path: ASCII letters in either
// case, a slash more at the end or not. A wildcard in an absent group is absent.
func (p *Pattern) Values(path string) (map[string]string, bool) {
	p.capture.once.Do(func() {
		p.capture.re = anchored(source(p.nodes, folded|captured) + "/?")
		p.capture.names = names(p.nodes, nil)
	})
	found := p.capture.re.FindStringSubmatchIndex(path)
	if found == nil {
		return nil, false
	}
	values := make(map[string]string, len(p.capture.names))
	for i, name := range p.capture.names {
		if start, end := found[2*i+2], found[2*i+3]; start >= 0 {
			values[name] = path[start:end]
		}
	}
	return values, true
}

// names appends the names of wildcards in the order of their captures.
func names(nodes []node, list []string) []string {
	for _, n := range nodes {
		if n.name != "" {
			list = append(list, n.name)
		}
		list = names(n.sub, list)
	}
	return list
}
