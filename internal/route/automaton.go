package route

import (
	"errors"
	"regexp/syntax"
	"slices"
	"unicode"
)

// automaton is a regular expression whose states can be followed step by step, so that
// two of them can be compared for all paths: a guess at which is the more specific one
// would be a vulnerability. It is not safe for concurrent use.
type automaton struct {
	prog  *syntax.Prog
	start state // after the slash that every path begins with

	seen []uint32 // of each instruction, the last round of closure that reached it
	turn uint32
}

// state is the set of instructions that an automaton can be at after some text.
type state struct {
	pcs    []uint32 // of the instructions that take the next character, sorted
	accept bool
}

// dead reports whether no text leads from s to a match. Every instruction of a pattern's
// automaton leads to a match: see describesText.
func (s state) dead() bool { return len(s.pcs) == 0 && !s.accept }

// flags are the grammar of the expressions in patterns. A dot matches line terminators,
// as the wildcards of routers do.
const flags = syntax.Perl | syntax.DotNL

func newAutomaton(source string) (*automaton, error) {
	re, err := syntax.Parse(source, flags)
	if err != nil {
		return nil, err
	}
	prog, err := syntax.Compile(re.Simplify())
	if err != nil {
		return nil, err
	}
	a := &automaton{prog: prog, seen: make([]uint32, len(prog.Inst))}
	a.start = a.step(a.closure([]uint32{uint32(prog.Start)}), '/')
	return a, nil
}

func consumes(i *syntax.Inst) bool {
	switch i.Op {
	case syntax.InstRune, syntax.InstRune1, syntax.InstRuneAny, syntax.InstRuneAnyNotNL:
		return true
	}
	return false
}

// closure follows pcs as far as no character is consumed.
func (a *automaton) closure(pcs []uint32) state {
	var s state
	a.turn++
	for len(pcs) > 0 {
		pc := pcs[len(pcs)-1]
		pcs = pcs[:len(pcs)-1]
		if a.seen[pc] == a.turn {
			continue
		}
		a.seen[pc] = a.turn
		switch i := &a.prog.Inst[pc]; i.Op {
		case syntax.InstMatch:
			s.accept = true
		case syntax.InstAlt, syntax.InstAltMatch:
			pcs = append(pcs, i.Out, i.Arg)
		case syntax.InstCapture, syntax.InstNop:
			pcs = append(pcs, i.Out)
		default:
			if consumes(i) {
				s.pcs = append(s.pcs, pc)
			}
		}
	}
	slices.Sort(s.pcs)
	return s
}

func (a *automaton) step(s state, r rune) state {
	var next []uint32
	for _, pc := range s.pcs {
		if i := &a.prog.Inst[pc]; i.MatchRune(r) {
			next = append(next, i.Out)
		}
	}
	return a.closure(next)
}

// accepts reports whether the automaton matches a path.
func (a *automaton) accepts(path string) bool {
	s := a.start
	for _, r := range path[1:] {
		if s = a.step(s, r); s.dead() {
			return false
		}
	}
	return s.accept
}

// cuts appends the characters at which the next state changes: all characters from one of
// them up to the next one lead from s to the same state.
func (a *automaton) cuts(s state, cuts []rune) []rune {
	for _, pc := range s.pcs {
		runes := a.prog.Inst[pc].Rune
		if len(runes) == 1 { // one character, and its other cases if so flagged
			first := runes[0]
			for r := first; ; {
				cuts = append(cuts, r, r+1)
				if r = unicode.SimpleFold(r); r == first {
					break
				}
			}
		}
		for i := 0; i+1 < len(runes); i += 2 {
			cuts = append(cuts, runes[i], runes[i+1]+1)
		}
	}
	return cuts
}

// relation is how two sets relate to each other.
type relation uint8

const (
	disjoint relation = iota
	equal
	within   // the first is a proper subset of the second
	contains // the second is a proper subset of the first
	overlap  // they share elements, and neither contains the other
)

// maxStates and maxSize bound the comparison of two patterns: the number of states, and
// of instructions in them. Realistic patterns need a few hundred states of a few
// instructions each.
const (
	maxStates = 20_000
	maxSize   = 100 * maxStates
)

var errUndecided = errors.New("too intricate to compare")

// work counts the work of comparing patterns.
type work struct{ comparisons, states int }

func (w *work) add(other work) {
	w.comparisons += other.comparisons
	w.states += other.states
}

// relate compares the paths of two automata. shared is a path that both match, if there is
// one.
func (w *work) relate(a, b *automaton) (rel relation, shared string, err error) {
	w.comparisons++
	type pair struct {
		a, b state
		path string
	}
	var both, onlyA, onlyB bool
	size := 0
	seen := map[string]bool{}
	queue := []pair{{a.start, b.start, "/"}}
	var cuts []rune
	var key []byte
	for len(queue) > 0 && !(both && onlyA && onlyB) {
		p := queue[0]
		queue = queue[1:]
		w.states++
		switch {
		case p.a.accept && p.b.accept:
			if !both {
				both, shared = true, p.path
			}
		case p.a.accept:
			onlyA = true
		case p.b.accept:
			onlyB = true
		}
		cuts = append(cuts[:0], 0)
		cuts = a.cuts(p.a, cuts)
		cuts = b.cuts(p.b, cuts)
		slices.Sort(cuts)
		cuts = append(slices.Compact(cuts), 'x')
		slices.SortFunc(cuts, readable)
		for _, r := range cuts {
			if r > unicode.MaxRune {
				continue
			}
			next := pair{a: a.step(p.a, r), b: b.step(p.b, r)}
			switch {
			case next.a.dead() && next.b.dead():
				continue
			case next.b.dead():
				onlyA = true
				continue
			case next.a.dead():
				onlyB = true
				continue
			}
			if key = next.b.key(next.a.key(key[:0])); seen[string(key)] {
				continue
			}
			seen[string(key)] = true
			if size += len(next.a.pcs) + len(next.b.pcs); len(seen) > maxStates || size > maxSize {
				return 0, "", errUndecided
			}
			next.path = p.path + string(r)
			queue = append(queue, next)
		}
	}
	switch {
	case !both:
		return disjoint, "", nil
	case onlyA && onlyB:
		return overlap, shared, nil
	case onlyA:
		return contains, shared, nil
	case onlyB:
		return within, shared, nil
	}
	return equal, shared, nil
}

// readable orders characters for a readable example: x first, then ASCII with lower-case
// letters first, then the rest.
func readable(a, b rune) int {
	rank := func(r rune) rune {
		switch {
		case r == 'x':
			return -unicode.MaxRune
		case r < unicode.MaxASCII:
			return -r
		}
		return r
	}
	return int(rank(a) - rank(b))
}

func (s state) key(b []byte) []byte {
	for _, pc := range s.pcs {
		b = append(b, byte(pc), byte(pc>>8), byte(pc>>16))
	}
	if s.accept {
		return append(b, 0xff, 0xff, 0xff, 1)
	}
	return append(b, 0xff, 0xff, 0xff, 0)
}
