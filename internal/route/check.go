package route

import (
	"errors"
	"fmt"
	"net/url"
	"strings"
)

// maxErrors is how many contradictions between rules are reported.
const maxErrors = 100

// check compares the rules with each other, records which are more specific, and returns
// everything that is wrong with them.
func (ix *index) check() error {
	var errs []error
	for i, p := range ix.patterns {
		ix.work.add(p.work)
		if ix.open[i] {
			errs = append(errs, checkSiblings(p))
		}
	}
	errs = append(errs, ix.checkPairs())
	ix.narrower.sort()
	ix.enclosed.sort()
	under := make(pairs, len(ix.patterns))
	for i, list := range ix.narrower {
		for _, j := range list {
			under.set(int(j), i)
		}
	}
	for i := range ix.patterns {
		errs = append(errs, ix.checkReached(i, under[i]))
	}
	if err := errors.Join(errs...); err != nil {
		return err // lookups would be meaningless
	}
	for i := range ix.patterns {
		errs = append(errs, ix.checkOpen(i))
	}
	return errors.Join(errs...)
}

// checkPairs compares all rules that may match the same request.
func (ix *index) checkPairs() error {
	list, err := ix.pairsToCompare()
	if err != nil {
		return err
	}
	var errs []error
	for i, others := range list {
		for _, j := range others {
			err := ix.compare(int(j), i)
			if err == nil {
				continue
			}
			if len(errs) == maxErrors {
				return errors.Join(append(errs, errors.New("and more rules contradict each other like these"))...)
			}
			errs = append(errs, fmt.Errorf("rules %q and %q %w", ix.patterns[j], ix.patterns[i], err))
		}
	}
	return errors.Join(errs...)
}

// checkSiblings rejects an open pattern that also matches siblings of the path it names.
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

// compare records how two rules relate. It fails if neither is the more specific one.
func (ix *index) compare(i, j int) error {
	p, q := ix.patterns[i], ix.patterns[j]
	rest := combine(relateMethods(p.method, q.method), relateHosts(p.host, q.host, ix.open[i], ix.open[j]))
	if rest == disjoint {
		return nil
	}
	form := folded
	if ix.open[i] && ix.open[j] {
		form = asWritten
	}
	paths, shared, err := ix.work.relate(p.lang[form], q.lang[form])
	if err != nil {
		return fmt.Errorf("are %w: write one of them simpler", err)
	}
	switch combine(rest, paths) {
	case equal:
		return errors.New("are for the same requests: keep one")
	case overlap:
		return fmt.Errorf("are both for %s, and neither is the more specific one: widen one until it holds the other, or narrow it until they are apart", lower(shared))
	case within:
		ix.narrower.set(i, j)
	case contains:
		ix.narrower.set(j, i)
	}
	paths, _, err = ix.work.relate(p.reach, q.reach)
	if err != nil {
		return fmt.Errorf("are %w: write one of them simpler", err)
	}
	switch paths {
	case equal:
		if rest == equal && !(ix.open[i] && ix.open[j]) {
			return errors.New("differ by a slash at the end, which some routers do not look at: keep one")
		}
	case within:
		ix.enclosed.set(i, j)
	case contains:
		ix.enclosed.set(j, i)
	}
	return nil
}

// combine returns how two products of sets relate, given how their factors do.
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

// relateNames relates two names, where "" stands for all names.
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

// relateMethods is relateNames for methods, where GET includes HEAD.
func relateMethods(a, b string) relation {
	switch {
	case a == "GET" && b == "HEAD":
		return contains
	case a == "HEAD" && b == "GET":
		return within
	}
	return relateNames(a, b)
}

// prefix returns the folded text that all paths of the pattern begin with.
func (p *Pattern) prefix() string {
	if p.nodes[0].kind != literal {
		return ""
	}
	return Fold(p.nodes[0].text)
}

// apart reports whether no path begins with both texts. For most pairs of rules this saves
// the comparison of their automata.
func apart(a, b string) bool {
	n := min(len(a), len(b))
	return a[:n] != b[:n]
}

// checkReached rejects a rule if more specific rules, which are narrower, match all of its
// paths.
func (ix *index) checkReached(i int, narrower []int32) error {
	p := ix.patterns[i]
	var names, sources []string
	path, left := witness(p)
	for _, j := range narrower {
		if q := ix.patterns[j]; q.method == p.method && q.host == p.host {
			names = append(names, fmt.Sprintf("%q", q))
			sources = append(sources, q.source(folded))
			left = left && !q.lang[folded].accepts(path)
		}
	}
	if len(sources) == 0 || left {
		return nil
	}
	all, err := newAutomaton(strings.Join(sources, "|"))
	if err != nil {
		return fmt.Errorf("rule %q: %w", p, err)
	}
	switch rel, _, err := ix.work.relate(p.lang[folded], all); {
	case err != nil:
		return fmt.Errorf("rule %q and the more specific ones are %w: write them simpler", p, err)
	case rel == equal:
		return fmt.Errorf("rule %q is never reached: all its paths fall under %s", p, strings.Join(names, ", "))
	}
	return nil
}

// witness returns a path that a pattern matches, and that patterns with literal text in
// place of its wildcards hardly ever match. ok is false if it finds none.
func witness(p *Pattern) (path string, ok bool) {
	path = sampleWith(p.nodes, "\U000FFFFD")
	return path, strings.HasPrefix(path, "/") && p.lang[folded].accepts(path)
}

// checkOpen rejects an open rule for one path that does not open that path, because the
// path has other readings, or because other rules guard what routers take it for.
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
	ids, err := ix.lookup(method, p.host.String(), &url.URL{Path: ix.mount + path}, nil)
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
