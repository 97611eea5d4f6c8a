package clerkauth

import (
	"errors"
	"fmt"
	"slices"
	"strings"
)

// AllOf asks for every one of the given demands.
func AllOf(demands ...Access) Access { return allOf(slices.Clone(demands)) }

// AnyOf asks for at least one of the given demands. Where none is met, the
// refusal is that of the one that came closest: a sign-in to be verified again
// before a lack of rights.
func AnyOf(demands ...Access) Access { return anyOf(slices.Clone(demands)) }

type allOf []Access

func (l allOf) String() string { return join(l, " and ") }

func (l allOf) verify() error { return verifyEach(l) }

func (l allOf) callers(inToken bool) kinds { some, _ := reach(l, inToken); return some }

// check returns the worst verdict. A sign-in to be verified again is only asked
// of who would be let in after it.
func (l allOf) check(q query) verdict {
	worst := verdict{outcome: allowed}
	for _, a := range l {
		if v := a.check(q); v.outcome < worst.outcome {
			worst = v
		}
	}
	return worst
}

type anyOf []Access

func (l anyOf) String() string { return join(l, " or ") }

func (l anyOf) verify() error { return verifyEach(l) }

func (l anyOf) callers(inToken bool) kinds { some, _ := reach(l, inToken); return some }

// check returns the best verdict.
func (l anyOf) check(q query) verdict {
	best := verdict{outcome: signedOut}
	for _, a := range l {
		if v := a.check(q); v.outcome > best.outcome {
			best = v
		}
	}
	return best
}

// join prints parts, composed ones in parentheses.
func join(parts []Access, word string) string {
	texts := make([]string, len(parts))
	for i, a := range parts {
		switch a.(type) {
		case allOf, anyOf:
			texts[i] = "(" + a.String() + ")"
		case token:
			texts[i] = a.String()
			if strings.Contains(texts[i], " ") {
				texts[i] = "(" + texts[i] + ")"
			}
		default:
			texts[i] = a.String()
		}
	}
	return strings.Join(texts, word)
}

// verifyEach returns what is wrong with any of parts. That there are none is
// wrong, too: nobody can tell whether everybody or nobody was meant.
func verifyEach(parts []Access) error {
	if len(parts) == 0 {
		return errors.New("access asks for nothing: name at least one demand")
	}
	var wrong []error
	for i, a := range parts {
		if a == nil {
			wrong = append(wrong, fmt.Errorf("demand %d is nil: use Public for everybody, SignedIn for every user", i+1))
		} else {
			wrong = append(wrong, a.verify())
		}
	}
	return errors.Join(wrong...)
}

// open tells whether a lets everybody in.
func open(a Access) bool {
	return possible(a) == nil && a.check(query{}).outcome == allowed
}

// walk calls visit for a and everything that it is composed of.
func walk(a Access, visit func(Access)) {
	visit(a)
	var parts []Access
	switch l := a.(type) {
	case allOf:
		parts = l
	case anyOf:
		parts = l
	case token:
		parts = l.checks
	}
	for _, part := range parts {
		walk(part, visit)
	}
}
