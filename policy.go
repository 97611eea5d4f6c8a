package clerkauth

import (
	"errors"
	"fmt"
	"slices"
	"strings"

	"github.com/clerkauth/clerkauth/internal/claims"
)

// policy is a compiled [Access]: what it requires, and what follows from that. It is
// immutable and knows no Authenticator.
type policy struct {
	op    op
	name  string // what is required, as it is written
	value string // and as it is compared, where that differs
	wrong error  // why no caller can ever meet it or one of its parts, by itself

	user, org bool            // whose plan is meant, of a feature or a plan
	fresh     *reverification // of opReverified
	path      []string        // of opClaim
	texts     []string        // of opClaim: what its value may be
	token     kind            // of opToken
	scopes    []string        // that opScope and opToken name
	audiences []string        // that opToken names
	parts     []*policy       // of opAll, opAny and opToken

	// What follows, as compile finds it.
	callers  kinds     // of whom some could be allowed
	machines kinds     // the same, as a part of a Token
	tokens   []*policy // all of opToken in it, in the order written
	open     bool      // allows everybody
	checks   []*check  // all of the application's in it, each once, in the order written
	timed    bool      // depends on the time
}

// op is what a policy requires.
type op uint8

const (
	opNever op = iota
	opPublic
	opOptional
	opUnchecked
	opSignedIn
	opActiveOrganization
	opNotImpersonated
	opNotAgent
	opRole
	opPermission
	opFeature
	opPlan
	opReverified
	opOrganizationParam
	opClaim
	opScope
	opAudience
	opCheck
	opToken
	opAll
	opAny
)

// compile fills in what follows from what p requires.
func compile(p policy) *policy {
	switch p.op {
	case opPublic:
		p.callers, p.machines, p.open = everyone, machines, true
	case opOptional, opUnchecked:
		p.callers, p.open = everyone, true
	case opScope, opAudience:
		p.machines = machines
	case opCheck, opOrganizationParam, opClaim:
		p.callers, p.machines = kindSession.set(), machines
	case opToken:
		p.callers, p.tokens = p.token.set()&machines, []*policy{&p}
		for _, part := range p.parts {
			p.callers &= part.machines
		}
		p.machines = p.callers
	case opAll:
		p.callers, p.machines, p.open = everyone, machines, true
		for _, part := range p.parts {
			p.callers, p.machines, p.open = p.callers&part.callers, p.machines&part.machines, p.open && part.open
		}
	case opAny:
		sound, within := true, true
		for _, part := range p.parts {
			p.callers, p.machines, p.open = p.callers|part.callers, p.machines|part.machines, p.open || part.open
			sound, within = sound && part.callers != 0, within && part.machines != 0
		}
		// A part that no caller can meet is a mistake, even beside others.
		if !sound {
			p.callers, p.open = 0, false
		}
		if !within {
			p.machines = 0
		}
	case opNever:
	default:
		p.callers = kindSession.set()
	}
	p.timed = p.fresh != nil
	for _, part := range p.parts {
		p.tokens = append(p.tokens, part.tokens...)
		p.timed = p.timed || part.timed
		for _, c := range part.checks {
			if !slices.Contains(p.checks, c) {
				p.checks = append(p.checks, c)
			}
		}
	}
	p.open = p.open && p.wrong == nil && p.callers != 0
	return &p
}

// strictest returns the policy for a path that is read in several ways, with the
// policies of all of them: a caller has to meet every one.
func strictest(policies []*policy) *policy {
	open := policies[0]
	var rest []*policy
	for _, p := range policies {
		switch {
		case p.op == opUnchecked || p.op == opOptional:
			if open.op == opUnchecked {
				open = p
			}
		default:
			rest = append(rest, p)
		}
	}
	switch len(rest) {
	case 0:
		return open
	case 1:
		return rest[0]
	default:
		return compile(policy{op: opAll, parts: rest})
	}
}

// each calls visit for p and everything that it is composed of.
func (p *policy) each(visit func(*policy)) {
	visit(p)
	for _, part := range p.parts {
		part.each(visit)
	}
}

// possible returns why no caller could ever meet p, or nil.
func (p *policy) possible() error {
	if p.wrong != nil {
		return p.wrong
	}
	return p.unmet(false)
}

// unmet returns an error that names the part of p that no caller can meet; inToken is
// for parts of a Token.
func (p *policy) unmet(inToken bool) error {
	if p.callers != 0 && !inToken || p.machines != 0 && inToken {
		return nil
	}
	for _, part := range p.parts {
		if err := part.unmet(inToken || p.op == opToken); err != nil {
			return err
		}
	}
	return fmt.Errorf("%s: no caller is all of this: a machine is not a user, and a scope or an audience stands in a Token", p)
}

// named returns the kinds of machine credentials that p names.
func (p *policy) named() (all kinds) {
	for _, t := range p.tokens {
		all |= t.token.set()
	}
	return all
}

// takes returns the kinds of credentials that a route with p verifies, of those that
// are accepted at all: Public has a use for everybody, but requires no machine.
func (p *policy) takes(accept kinds) kinds {
	return p.callers & accept & (p.named() | kindSession.set())
}

// errNotAccepted is what is wrong with a policy that only credentials could meet which
// [Config.Accept] leaves out.
var errNotAccepted = errors.New("it needs a kind of credential that Config.Accept leaves out")

// validate returns why no caller could ever meet p where these kinds are accepted, or
// nil.
func (p *policy) validate(accept kinds) error {
	if err := p.possible(); err != nil {
		return err
	}
	if !p.open && p.takes(accept) == 0 {
		return fmt.Errorf("%s: %w", p, errNotAccepted)
	}
	return nil
}

// challengeScopes returns the scopes to name in a challenge: those of the first way in for an
// OAuth token.
func (p *policy) challengeScopes() []string {
	for _, t := range p.tokens {
		if t.token == kindOAuth {
			return t.scopes
		}
	}
	return nil
}

// needsAudience reports whether no machine meets p without an audience that it names.
func (p *policy) needsAudience() bool {
	switch p.op {
	case opAudience:
		return true
	case opToken, opAll:
		return slices.ContainsFunc(p.parts, (*policy).needsAudience)
	case opAny:
		return !slices.ContainsFunc(p.parts, func(part *policy) bool { return !part.needsAudience() })
	default:
		return false
	}
}

// missingParam returns the name of an OrganizationParam that p cannot be met without
// and that a pattern of http.ServeMux does not have, "" if there is none.
func (p *policy) missingParam(pattern string) string {
	switch p.op {
	case opOrganizationParam:
		if !strings.Contains(pattern, "{"+p.name+"}") && !strings.Contains(pattern, "{"+p.name+"...}") {
			return p.name
		}
	case opAll, opToken:
		for _, part := range p.parts {
			if missing := part.missingParam(pattern); missing != "" {
				return missing
			}
		}
	case opAny:
		missing := ""
		for _, part := range p.parts {
			if missing = part.missingParam(pattern); missing == "" {
				return ""
			}
		}
		return missing
	}
	return ""
}

// in reports whether what is required is on a user's or organization's list.
func (p *policy) in(list claims.Scoped) bool {
	return list.Known && (p.user && slices.Contains(list.User, p.value) || p.org && slices.Contains(list.Org, p.value))
}
