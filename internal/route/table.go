package route

import (
	"errors"
	"fmt"
	"maps"
	"net/url"
	"slices"
	"strings"
)

// Rule is a line of a [Table].
type Rule[T any] struct {
	Pattern string // as it was written; "" for the default
	Value   T
	Open    bool // lets everybody in
}

// Options are what a [Table] needs to know beside its rules.
type Options[T any] struct {
	// Default is the value for a path that no rule is about.
	Default T
	// Open reports whether a value lets everybody in. Patterns of such rules
	// match exactly what they say; those of others also what some router takes
	// for it: other case, one slash more or less at the end, empty segments, names
	// without their extension, hosts with a port. nil means that none does.
	Open func(T) bool
	// Mount is a prefix of every path, that something behind the table removes
	// before its router looks ([net/http.StripPrefix]): rules are about what is
	// behind it, and a path without it gets the default. It is not to be set
	// where the prefix is removed in front of the table.
	Mount string
}

// Table holds values by pattern, and finds those that a request has to meet. It
// does not change, and is safe for concurrent use.
type Table[T any] struct {
	rules []Rule[T]    // sorted by pattern; the default is last
	alone [][]*Rule[T] // alone[i] is rules[i]: the answer for nearly all requests
	index *index
}

// NewTable builds a table. All mistakes are reported in one error: patterns that
// cannot be parsed; two rules for the same paths, or that overlap without one
// containing the other, so that none is the more specific; rules that no path
// reaches; open rules whose pattern also matches siblings of what it names, or
// that never let anybody in.
func NewTable[T any](rules map[string]T, o Options[T]) (*Table[T], error) {
	open := o.Open
	if open == nil {
		open = func(T) bool { return false }
	}
	t := &Table[T]{}
	var patterns []*Pattern
	var isOpen []bool
	var errs []error
	for _, text := range slices.Sorted(maps.Keys(rules)) {
		p, err := Parse(text)
		if err != nil {
			errs = append(errs, err)
			continue
		}
		value := rules[text]
		patterns, isOpen = append(patterns, p), append(isOpen, open(value))
		t.rules = append(t.rules, Rule[T]{text, value, open(value)})
	}
	t.rules = append(t.rules, Rule[T]{"", o.Default, open(o.Default)})
	for i := range t.rules {
		t.alone = append(t.alone, []*Rule[T]{&t.rules[i]})
	}
	if err := checkMount(o.Mount); err != nil {
		errs = append(errs, err)
	}
	var err error
	if t.index, err = newIndex(patterns, isOpen, o.Mount); err != nil {
		errs = append(errs, err)
	}
	if len(errs) > 0 {
		return nil, errors.Join(errs...)
	}
	return t, nil
}

// Rules returns all rules, sorted by pattern, and the default last.
func (t *Table[T]) Rules() []Rule[T] { return slices.Clone(t.rules) }

// Lookup returns the rules that a request has to meet, all of them; at least
// one. They come from its method and target; host, which is the request's Host,
// is looked at for rules that name one. The error is a *[Refusal]. What is
// returned belongs to the table.
//
// For each reading of the path the most specific rule counts, or the default if
// there is none. A GET rule counts for HEAD. A method that no rule about a path
// allows for has to meet the default and all rules about that path, and so has
// one that neither HTTP nor any rule knows: routers differ in what they make of
// it. The same goes for the host, where rules name hosts.
func (t *Table[T]) Lookup(method, host string, u *url.URL) ([]*Rule[T], error) {
	var buf [8]int32
	ids, err := t.index.lookup(method, host, u, buf[:0])
	if err != nil {
		return nil, err
	}
	if len(ids) == 1 {
		return t.alone[ids[0]], nil
	}
	rules := make([]*Rule[T], len(ids))
	for i, id := range ids {
		rules[i] = &t.rules[id]
	}
	return rules, nil
}

// OtherPorts returns the open rules that name one of hosts otherwise than browsers
// do, without the port that it has or with one that they leave out, so that the
// rule opens nothing there; and for each the pattern that does.
func (t *Table[T]) OtherPorts(hosts []string) map[string]string {
	better := map[string]string{}
	for i, p := range t.index.patterns {
		for _, text := range hosts {
			h, _, ok := parseHost(text)
			differs := p.host.port == "" && h.port != "" || isDefault(p.host.port) && h.port == ""
			if !ok || !t.index.open[i] || h.name != p.host.name || !differs {
				continue
			}
			if with := p.at(h); !slices.ContainsFunc(t.index.patterns, func(q *Pattern) bool { return q.at(q.host) == with }) {
				better[p.text] = with
			}
		}
	}
	return better
}

// Open reports whether every one of rules lets everybody in.
func Open[T any](rules []*Rule[T]) bool {
	for _, r := range rules {
		if !r.Open {
			return false
		}
	}
	return len(rules) > 0
}

func checkMount(mount string) error {
	if mount == "" {
		return nil
	}
	text, err := decodeLiteral(mount)
	if err == nil && text != mount {
		err = errors.New("is compared decoded: write it so")
	}
	if err == nil && (mount[0] != '/' || strings.HasSuffix(mount, "/")) {
		err = errors.New("must begin with / and not end with it")
	}
	if err == nil {
		err = checkClean(mount)
	}
	if err != nil {
		return fmt.Errorf("mount %q: %w", mount, err)
	}
	return nil
}
