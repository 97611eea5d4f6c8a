package route

import (
	"fmt"
	"regexp"
	"strings"
)

// Capture finds parameters in paths as they were sent, by the rules of path-to-regexp,
// which Clerk's organization sync uses: nothing is decoded, letters match in either case,
// and a slash at the end is optional. Two spellings of a path may therefore have different
// results; it must not decide what is allowed.
type Capture struct {
	expr  *regexp.Regexp
	names []string // of the groups of expr
	// separators are what stands between the values of a parameter that may be repeated.
	separators map[string]string
}

// NewCapture returns a Capture for a pattern of a path, in either grammar.
func NewCapture(pattern string) (*Capture, error) {
	p, err := parse(pattern, true)
	if err != nil {
		return nil, err
	}
	if p.method != "" || !strings.HasPrefix(pattern, "/") && !strings.HasPrefix(pattern, "(") && !strings.HasPrefix(pattern, "{") {
		return nil, fmt.Errorf("pattern %q: must be a path, without a method and a host", pattern)
	}
	c := &Capture{names: []string{""}, separators: map[string]string{}}
	var b strings.Builder
	for _, n := range p.nodes {
		c.write(&b, n)
	}
	c.expr, err = regexp.Compile(`(?is)\A` + b.String() + `/?\z`)
	if err != nil {
		return nil, fmt.Errorf("pattern %q: %w", pattern, err)
	}
	return c, nil
}

func (c *Capture) write(b *strings.Builder, n node) {
	if n.kind == group {
		c.writeGroup(b, n)
		return
	}
	if n.name != "" {
		b.WriteByte('(')
		c.names = append(c.names, n.name)
	}
	switch n.kind {
	case segment:
		b.WriteString("[^/#?]+?")
	default:
		n.write(b, asWritten)
	}
	if n.name != "" {
		b.WriteByte(')')
	}
}

// writeGroup writes a group. One that may be repeated around a parameter captures all of
// it, to be split at what separates its values.
func (c *Capture) writeGroup(b *strings.Builder, n node) {
	repeated := n.op == '*' || n.op == '+'
	if repeated {
		for i, sub := range n.sub {
			if sub.name == "" {
				continue
			}
			before, after := "", ""
			if i > 0 {
				before = n.sub[i-1].text
			}
			if i+1 < len(n.sub) {
				after = n.sub[i+1].text
			}
			c.names = append(c.names, sub.name)
			c.separators[sub.name] = after + before
			b.WriteByte('(')
			n.write(b, asWritten)
			b.WriteByte(')')
			return
		}
	}
	b.WriteString("(?:")
	for _, sub := range n.sub {
		c.write(b, sub)
	}
	b.WriteByte(')')
	if n.op != 0 {
		b.WriteByte(n.op)
	}
}

// Capture returns the parameters that path has, and reports whether it matches. The values
// of one that is repeated are joined by commas.
func (c *Capture) Capture(path string) (params map[string]string, ok bool) {
	match := c.expr.FindStringSubmatch(path)
	if match == nil {
		return nil, false
	}
	params = map[string]string{}
	for i, name := range c.names[1:] {
		value := match[i+1]
		if separator, repeated := c.separators[name]; repeated && separator != "" {
			value = strings.ReplaceAll(strings.Trim(value, separator), separator, ",")
		}
		params[name] = value
	}
	return params, true
}
