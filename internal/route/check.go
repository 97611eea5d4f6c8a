package route

import (
	"errors"
	"fmt"
	"net/url"
	"strings"
)

// check looks for mistakes in the rules, records which is more specific than
// which, and returns all mistakes.
func (ix *index) check() error {
	var errs []error
	for i, p := range ix.patterns {
		if ix.open[i] {
			errs = append(errs, checkSiblings(p))
		}
		for j, other := range ix.patterns[:i] {
			if err := ix.compare(j, i); err != nil {
				errs = append(errs, fmt.Errorf("rules %q and %q %w", other, p, err))
			}
		}
	}
	for i := range ix.patterns {
		errs = append(errs, ix.checkReached(i))
	}
	if err := errors.Join(errs...); err != nil {
		return err // the answers of the index mean nothing
	}
	for i := range ix.patterns {
		errs = append(errs, ix.checkOpen(i))
	}
	return errors.Join(errs...)
}

// checkSiblings reports a wildcard that opens more than what it is behind.
func checkSiblings(p *Pattern) error {
	wildcard, _ := opensSiblings(p.nodes, 0)
	if wildcard == "" {
		return nil
	}
	better := "put a slash before it"
	if text, ok := strings.CutSuffix(p.text, "(.*)"); ok && wildcard == "(.*)" {
		better = fmt.Sprintf("write %q", text+"/:path*")
	}
	return fmt.Errorf("rule %q: %s behind other text also opens siblings, as /docs(.*) opens /docsx: %s", p, wildcard, better)
}

// compare records how two rules lie to each other.
func (ix *index) compare(i, j int) error {
	p, q := ix.patterns[i], ix.patterns[j]
	if apart(p.prefix(), q.prefix()) {
		return nil
	}
	ask := combine(relateMethods(p.method, q.method), relateNames(p.host, q.host))
	if ask == disjoint {
		return nil
	}
	form := folded
	if ix.open[i] && ix.open[j] {
		form = asWritten
	}
	paths, shared, err := relate(p.lang[form], q.lang[form])
	if err != nil {
		return fmt.Errorf("are %w: write one of them simpler", err)
	}
	switch combine(ask, paths) {
	case equal:
		return errors.New("are for the same requests: keep one")
	case overlap:
		return fmt.Errorf("are both for %s, and neither is the more specific one: widen one until it holds the other, or narrow it until they are apart", lower(shared))
	case within:
		ix.narrower.set(i, j)
	case contains:
		ix.narrower.set(j, i)
	}
	paths, _, err = relate(p.reach, q.reach)
	if err != nil {
		return fmt.Errorf("are %w: write one of them simpler", err)
	}
	switch paths {
	case equal:
		if ask == equal && !(ix.open[i] && ix.open[j]) {
			return errors.New("differ by a slash at the end, which some routers do not look at: keep one")
		}
	case within:
		ix.broader.set(j, i)
	case contains:
		ix.broader.set(i, j)
	}
	return nil
}

// combine relates two products from how their factors relate.
func combine(a, b relation) relation {
	switch {
	case a == disjoint || b == disjoint:
		return disjoint
	case a == equal || a == b:
		return b
	case b == equal:
		return a
	}
	return overlap
}

// relateNames relates two names of which "" is all.
func relateNames(a, b string) relation {
	switch {
	case a == b:
		return equal
	case a == "":
		return contains
	case b == "":
		return within
	}
	return disjoint
}

// relateMethods does the same for methods, where GET is also for HEAD.
func relateMethods(a, b string) relation {
	switch {
	case a == "GET" && b == "HEAD":
		return contains
	case a == "HEAD" && b == "GET":
		return within
	}
	return relateNames(a, b)
}

// prefix is the text that all paths of the pattern begin with, folded.
func (p *Pattern) prefix() string {
	if p.nodes[0].kind != literal {
		return ""
	}
	return lower(p.nodes[0].text)
}

// apart reports whether no path begins with both texts. It spares most pairs of
// rules the comparison of their automata.
func apart(a, b string) bool {
	n := min(len(a), len(b))
	return a[:n] != b[:n]
}

// checkReached reports a rule whose every path falls under more specific rules.
func (ix *index) checkReached(i int) error {
	p := ix.patterns[i]
	var names, sources []string
	for j, q := range ix.patterns {
		if q.method == p.method && q.host == p.host && ix.narrower.holds(int32(j), int32(i)) {
			names = append(names, fmt.Sprintf("%q", q))
			sources = append(sources, q.source(folded))
		}
	}
	if len(sources) == 0 {
		return nil
	}
	all, err := newAutomaton(strings.Join(sources, "|"))
	if err != nil {
		return fmt.Errorf("rule %q: %w", p, err)
	}
	switch rel, _, err := relate(p.lang[folded], all); {
	case err != nil:
		return fmt.Errorf("rule %q and the more specific ones are %w: write them simpler", p, err)
	case rel == equal:
		return fmt.Errorf("rule %q is never reached: all its paths fall under %s", p, strings.Join(names, ", "))
	}
	return nil
}

// checkOpen reports an open rule for one path that does not open that path,
// because the path has other readings, or other rules protect what routers take
// for it.
func (ix *index) checkOpen(i int) error {
	p := ix.patterns[i]
	if !ix.open[i] || len(p.nodes) != 1 || p.nodes[0].kind != literal {
		return nil
	}
	methods := []string{p.method}
	if p.method == "" {
		methods = standardMethods
	}
	var err error
	for _, method := range methods {
		if err = ix.checkOpenTo(p, method); err == nil {
			return nil
		}
	}
	return err
}

func (ix *index) checkOpenTo(p *Pattern, method string) error {
	path := p.nodes[0].text
	ids, err := ix.lookup(method, p.host, &url.URL{Path: ix.mount + path}, nil)
	if err != nil {
		return fmt.Errorf("rule %q: %w", p, err)
	}
	for _, id := range ids {
		switch {
		case id == ix.fallback():
			return fmt.Errorf("rule %q never lets anybody in: %s is also read as a path without a rule", p, path)
		case !ix.open[id]:
			return fmt.Errorf("rule %q never lets anybody in: routers take %s for a path of rule %q", p, path, ix.patterns[id])
		}
	}
	return nil
}
