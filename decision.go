package clerkauth

import (
	"net/http"
	"slices"
	"strings"
	"time"

	"github.com/clerkauth/clerkauth/internal/resource"
)

// evaluation is everything that a decision depends on. Deciding reads no clock and runs
// no check of the application's: both are left to the caller of decide.
type evaluation struct {
	policy  *policy
	who     Auth
	request *http.Request // nil outside of HTTP, as in [Auth.Has]
	now     time.Time     // if the policy depends on it
	answers answers       // of the application's checks so far

	accept    kinds          // credentials that the program accepts
	audience  []string       // Config.Audience
	place     resource.Place // of a machine's request among described resources
	described bool           // there are described resources
}

// answers are what the application's checks returned, in the order of the policy's checks.
type answers struct {
	few    [32]answer
	many   []answer // in place of few, where there are more
	failed error    // of the last check that had no answer
}

type answer uint8

const (
	notGiven answer = iota
	notMet
	met
)

// answer adds the answer of a check.
func (e *evaluation) answer(c *check, isMet bool, err error) {
	a := notMet
	if err != nil {
		e.answers.failed = err
	} else if isMet {
		a = met
	}
	i := slices.Index(e.policy.checks, c)
	if n := len(e.policy.checks); n <= len(e.answers.few) {
		e.answers.few[i] = a
	} else {
		if e.answers.many == nil {
			e.answers.many = make([]answer, n)
		}
		e.answers.many[i] = a
	}
}

// answerOf returns the answer of a check.
func (e *evaluation) answerOf(c *check) answer {
	i := slices.Index(e.policy.checks, c)
	switch {
	case len(e.policy.checks) <= len(e.answers.few):
		return e.answers.few[i]
	case e.answers.many != nil:
		return e.answers.many[i]
	default:
		return notGiven
	}
}

// verdict is the result of evaluating a policy.
type verdict struct {
	outcome outcome
	by      *policy // the requirement that it is due to; nil if allowed
}

type outcome int

// Outcomes, from worst to best, so that the worst of several is that of all.
const (
	signedOut outcome = iota
	forbidden
	stale // would be allowed after verifying the sign-in again
	allowed
)

// decision is the answer to a evaluation about a request: allowed, refused, or open until
// check has answered.
type decision struct {
	refusal  *Error
	by       *policy // the requirement that refused: the whole policy if not one of its parts
	check    *check
	audience audienceFault // why the refusal may be a mistake of the operator's
}

// decide decides whether the caller in s may call a route. A machine's credential has
// been verified before, if the policy has a use for its kind.
func decide(s *State, e *evaluation) decision {
	if e.who.machine() {
		if refusal, fault := e.checkAudience(); refusal != nil {
			return decision{refusal: refusal, by: e.policy, audience: fault}
		}
	}
	reason := s.reason()
	if reason != nil && reason.Reason == ErrCrossSite && !e.policy.open {
		return decision{refusal: reason, by: e.policy}
	}
	if s.bearer && s.machine == nil && reason != nil && !e.policy.open && !e.policy.takes(e.accept).has(kindSession) {
		return decision{refusal: newError(ErrTokenType, nil), by: e.policy} // whatever else may be wrong with it
	}
	if s.bad && e.policy.op != opOptional {
		return decision{refusal: reason, by: e.policy}
	}
	v, check, failed := e.settle()
	switch {
	case check != nil:
		return decision{check: check}
	case failed != nil:
		return decision{refusal: newError(ErrUnavailable, checkError{failed}), by: e.policy}
	case v.outcome == allowed:
		return decision{}
	case v.outcome == signedOut && reason != nil:
		return decision{refusal: reason, by: e.policy}
	default:
		return decision{refusal: v.refusal(), by: v.by}
	}
}

// refusal returns the error of a verdict about the bearer of a valid credential.
func (v verdict) refusal() *Error {
	switch {
	case v.outcome == stale:
		return newError(ErrReverification, nil)
	case v.outcome == forbidden && len(v.by.scopes) > 0:
		return newError(ErrScope, nil)
	case v.outcome == forbidden:
		return newError(ErrForbidden, nil)
	case v.by.op == opAudience:
		return newError(ErrTokenClaims, nil)
	default:
		return newError(ErrTokenType, nil)
	}
}

// settle returns the verdict of the policy, or the next of the application's checks
// that it depends on. They are run in the order written. After one has failed, all that
// counts is whether the caller is allowed without it: failed is its error where they are
// not.
func (e *evaluation) settle() (v verdict, next *check, failed error) {
	if len(e.policy.checks) > 0 {
		worst := signedOut // outcomes from here down make no difference
		if failed = e.answers.failed; failed != nil {
			worst = stale
		}
		if next = e.undecidedWithin(e.policy, false, worst, allowed); next != nil {
			return verdict{}, next, nil
		}
	}
	if v = e.evaluate(e.policy, false, forbidden); v.outcome == allowed {
		failed = nil
	}
	return v, nil, failed
}

// evaluate returns the verdict of p. Checks without an answer come to assume, which is
// forbidden or allowed. inToken is for parts of a Token.
func (e *evaluation) evaluate(p *policy, inToken bool, assume outcome) verdict {
	switch p.op {
	case opPublic, opOptional, opUnchecked:
		return verdict{outcome: allowed}
	case opAll:
		return e.worst(p.parts, inToken, assume)
	case opAny:
		best := verdict{signedOut, p}
		for _, part := range p.parts {
			if v := e.evaluate(part, inToken, assume); v.outcome > best.outcome {
				best = v
			}
		}
		return best
	case opToken:
		if e.who.TokenType != TokenType(p.name) {
			return verdict{signedOut, p}
		}
		v := e.worst(p.parts, true, assume)
		if v.outcome == forbidden && len(v.by.scopes) > 0 {
			v.by = p // all scopes that it takes (RFC 6750 section 3.1)
		}
		return v
	default:
		if o := e.outcome(p, inToken, assume); o != allowed {
			return verdict{o, p}
		}
		return verdict{outcome: allowed}
	}
}

// worst returns the worst verdict of parts: a sign-in to be verified again is required
// only of a caller who would be allowed after it.
func (e *evaluation) worst(parts []*policy, inToken bool, assume outcome) verdict {
	worst := verdict{outcome: allowed}
	for _, part := range parts {
		if v := e.evaluate(part, inToken, assume); v.outcome < worst.outcome {
			worst = v
		}
	}
	return worst
}

// outcome returns the outcome of a policy without parts.
func (e *evaluation) outcome(p *policy, inToken bool, assume outcome) outcome {
	who := &e.who
	if inToken && p.machines != 0 {
		if !who.machine() {
			return signedOut
		}
	} else if p.callers == 0 || !who.SignedIn() {
		return signedOut
	}
	isMet := false
	switch p.op {
	case opSignedIn:
		isMet = true
	case opNotImpersonated:
		isMet = who.Actor == (Actor{}) && !who.session().Acted
	case opActiveOrganization:
		isMet = who.OrgID != ""
	case opNotAgent:
		isMet = who.notAgent()
	case opClaim:
		isMet = who.claims(p.path, p.texts)
	case opRole:
		isMet = who.OrgID != "" && who.OrgRole != "" && withoutOrg(who.OrgRole) == p.value
	case opPermission:
		isMet = who.OrgID != "" && hasPermission(who.session().Permissions(), p.value)
	case opFeature:
		isMet = p.in(who.session().Features())
	case opPlan:
		isMet = p.in(who.session().Plans())
	case opReverified:
		if !p.fresh.met(who, e.now) {
			return stale
		}
		isMet = true
	case opOrganizationParam:
		isMet = e.names(p.name)
	case opScope:
		isMet = who.HasScope(p.name)
	case opAudience:
		if !isFor(who, p.name) {
			return signedOut
		}
		isMet = true
	case opCheck:
		if p.checks[0].ofRequest && e.request == nil {
			return forbidden
		}
		a := e.answerOf(p.checks[0])
		isMet = a == met || a == notGiven && assume == allowed
	}
	if !isMet {
		return forbidden
	}
	return allowed
}

// hasPermission reports whether list holds permission behind its one prefix.
func hasPermission(list []string, permission string) bool {
	for _, held := range list {
		if name, ok := strings.CutPrefix(held, "org:"); ok && name == permission {
			return true
		}
	}
	return false
}

// names reports whether the organization in that path parameter is the active one. Ids
// and slugs are two name spaces: what looks like an id is never a slug.
func (e *evaluation) names(parameter string) bool {
	if e.request == nil || e.who.OrgID == "" {
		return false
	}
	named := e.request.PathValue(parameter)
	if strings.HasPrefix(named, "org_") {
		return named == e.who.OrgID
	}
	return named != "" && named == e.who.OrgSlug
}

// undecided returns the first check in p, in the order written, that has no answer and
// on which the outcome depends; nil if there is none. Outcomes up to low are as good as
// low, and those from high on as good as high.
func (e *evaluation) undecided(p *policy, inToken bool, low, high outcome) *check {
	switch p.op {
	case opCheck:
		return p.checks[0] // an answer would have made the outcome the same
	case opToken: // its kind is the caller's, or the outcome would be the same
		return e.undecidedOfAll(p, true, low, high)
	case opAll:
		return e.undecidedOfAll(p, inToken, low, high)
	case opAny: // the best counts
		for i, part := range p.parts {
			bound := low
			for j, other := range p.parts {
				if i != j {
					bound = max(bound, e.evaluate(other, inToken, forbidden).outcome)
				}
			}
			if c := e.undecidedWithin(part, inToken, bound, high); c != nil {
				return c
			}
		}
	}
	return nil
}

// undecidedOfAll is undecided where the worst part counts: none can be better than the
// best of the others.
func (e *evaluation) undecidedOfAll(p *policy, inToken bool, low, high outcome) *check {
	for i, part := range p.parts {
		bound := high
		for j, other := range p.parts {
			if i != j {
				bound = min(bound, e.evaluate(other, inToken, allowed).outcome)
			}
		}
		if c := e.undecidedWithin(part, inToken, low, bound); c != nil {
			return c
		}
	}
	return nil
}

// undecidedWithin is undecided for a part whose outcome may differ between low and
// high.
func (e *evaluation) undecidedWithin(p *policy, inToken bool, low, high outcome) *check {
	within := func(o outcome) outcome { return max(low, min(o, high)) }
	if low >= high || within(e.evaluate(p, inToken, forbidden).outcome) == within(e.evaluate(p, inToken, allowed).outcome) {
		return nil
	}
	return e.undecided(p, inToken, low, high)
}
