package route

import (
	"errors"
	"fmt"
	"maps"
	"net/url"
	"slices"
	"strings"
)

// Rule is a rule of a [Table].
type Rule[T any] struct {
	Pattern string // as it was written; "" for the default
	Value   T
	Open    bool // admits every caller
}

// Options configure a [Table].
type Options[T any] struct {
	// Default is the value for paths without a rule.
	Default T
	// Open reports whether a value admits every caller. Patterns of such rules match
	// exactly. Those of others also match what some router takes for a path: another
	// case, one slash more or less at the end, empty segments, names without their
	// extension, hosts with a port. Defaults to none.
	Open func(T) bool
	// Mount is a prefix of paths that a handler behind the table removes before its
	// router, as [net/http.StripPrefix] does. Rules are for what follows it, and paths
	// without it get the default. If the prefix is removed in front of the table, it
	// must not be set. Defaults to "".
	Mount string
}

// Table holds values by pattern, and finds those that a request has to meet. It is safe for
// concurrent use.
type Table[T any] struct {
	rules []Rule[T]    // sorted by pattern; the default is last
	alone [][]*Rule[T] // alone[i] holds rules[i]: the result for nearly all requests
	index *index
}

// NewTable returns a table. The error joins everything that is wrong with rules: patterns
// that cannot be parsed; two rules for the same paths, or that overlap without one
// containing the other, so that neither is the more specific one; rules that no path
// reaches; open rules whose pattern also matches siblings of the path it names, or that
// never open anything.
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

// Lookup returns all rules that a request has to meet, at least one. They depend on its
// method and target, and, if rules name hosts, on host, which is the request's Host. The
// error is a *[Refusal]. The caller must not change the result.
//
// For each reading of the path the most specific rule applies, or the default if there is
// none. A GET rule applies to HEAD. If no rule for a path is for the request's method, the
// default and all rules for that path apply, and so do all of them for a method that is
// neither HTTP's nor named by a rule: routers treat it differently. The same holds for the
// host, if rules name hosts.
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

// OtherPorts returns the open rules that name one of hosts not as browsers do, without its
// port or with a port that browsers omit, so that they open no request to it. The values
// are patterns that do.
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

// Open reports whether all rules admit every caller. It is false if there are none.
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
