package clerkauth

import (
	"errors"
	"fmt"
	"slices"
	"strings"

	"github.com/clerkauth/clerkauth/internal/claims"
)

// Access is a requirement on the caller, such as [SignedIn] or the result of [Role].
// It cannot be implemented outside this package. String describes the requirement.
//
// An Access holds its compiled policy, which depends on no [Authenticator]: it may be
// made once and used by several, is immutable, and is safe for concurrent use.
// Requiring more never allows more, and a claim that a token lacks counts as not met.
type Access interface {
	fmt.Stringer
	policy() *policy
}

func (p *policy) policy() *policy { return p }

// basicAccess is the type of the constants below.
type basicAccess int

// Requirements that need no argument. What a user has to have is required with
// [Role], [Permission], [Feature], [Plan], [Claim] and [Reverified], of a machine with
// [Token], and several of them are combined with [AllOf] and [AnyOf]. From open to
// strict: Unchecked, Optional, Public, SignedIn.
const (
	// Public allows everybody. An invalid session token is rejected nevertheless.
	Public basicAccess = iota + 1
	// Optional allows everybody. A caller with an invalid credential is anonymous;
	// [Auth.Err] returns the reason. It stands alone, outside of [AllOf] and [AnyOf].
	Optional
	// Unchecked allows everybody and reads no credential: the caller is anonymous. It is
	// for health checks, and for routes with secrets of their own, such as those of cron
	// jobs and webhooks. It stands alone, outside of [AllOf] and [AnyOf]. A Handler around
	// it decides first, and rejects an invalid session token.
	Unchecked
	// SignedIn requires a user with a session.
	SignedIn
	// ActiveOrganization requires a session with an active organization, whichever it
	// is. See [OrganizationParam] for the one that the path names.
	ActiveOrganization
	// NotImpersonated requires a session without an actor ("act") claim.
	NotImpersonated
	// NotAgent requires a session in which no agent acts in the user's name: its actors,
	// if it has any, are people, and could be read. See [Actor].
	NotAgent
)

var basicPolicies = [...]*policy{
	Public:             compile(policy{op: opPublic, name: "public"}),
	Optional:           compile(policy{op: opOptional, name: "optional"}),
	Unchecked:          compile(policy{op: opUnchecked, name: "unchecked"}),
	SignedIn:           compile(policy{op: opSignedIn, name: "signed in"}),
	ActiveOrganization: compile(policy{op: opActiveOrganization, name: "active organization"}),
	NotImpersonated:    compile(policy{op: opNotImpersonated, name: "not impersonated"}),
	NotAgent:           compile(policy{op: opNotAgent, name: "not an agent"}),
}

var noConstant = compile(policy{name: "none of the constants", wrong: errors.New("it is none of the constants")})

func (a basicAccess) policy() *policy {
	if a < Public || a > NotAgent {
		return noConstant
	}
	return basicPolicies[a]
}

// String returns the name in words, such as "signed in".
func (a basicAccess) String() string { return a.policy().String() }

// Role requires a role in the active organization. The prefix may be left out: admin
// is org:admin.
func Role(role string) Access {
	return compile(policy{op: opRole, name: role, value: withoutOrg(role), wrong: checkName("role", role, withoutOrg(role))})
}

// Permission requires a permission in the active organization, such as
// org:invoices:create. The prefix may be left out.
func Permission(permission string) Access {
	return compile(policy{op: opPermission, name: permission, value: withoutOrg(permission), wrong: checkName("permission", permission, withoutOrg(permission))})
}

// withoutOrg returns a role or permission without its prefix, however often that is
// repeated.
func withoutOrg(s string) string {
	for strings.HasPrefix(s, "org:") {
		s = s[len("org:"):]
	}
	return s
}

// checkName returns an error if name is blank, or if value, as which it is compared, is
// empty.
func checkName(what, name, value string) error {
	if strings.Trim(name, " ") == "" || value == "" {
		return fmt.Errorf("%s is empty: no caller can have it", what)
	}
	return nil
}

// Feature requires a feature of the user's or the active organization's plan:
// "reports", or of one of the two alone "user:reports" or "org:reports".
func Feature(feature string) Access { return billing(opFeature, "feature", feature) }

// Plan requires a plan of the user or the active organization: "pro", or of one of the
// two alone "user:pro" or "org:pro".
func Plan(plan string) Access { return billing(opPlan, "plan", plan) }

func billing(op op, what, name string) Access {
	p := policy{op: op, name: name, value: name, user: true, org: true}
	if scope, slug, scoped := strings.Cut(name, ":"); scoped {
		p.value = slug
		p.user = scope == "u" || scope == "user"
		p.org = scope == "o" || scope == "org" || scope == "organization"
	}
	p.wrong = checkName(what, name, name)
	switch {
	case p.wrong != nil:
	case !p.user && !p.org:
		p.wrong = fmt.Errorf("%s %q: its scope must be user or org", what, name)
	case p.value == "" || strings.Contains(p.value, ":"):
		p.wrong = fmt.Errorf("%s %q: no caller can have it: it must be a slug, or a scope, a colon and a slug", what, name)
	}
	return compile(p)
}

// OrganizationParam requires that the organization named in the path is the active
// one, so that a role in one organization opens nothing of another. A value that begins
// with org_ is compared with its id, any other with its slug, both case-sensitively. The
// parameter is the wildcard of that name as [http.Request.PathValue] returns it, so this
// is for guards behind routing, not for [Authenticator.Protect].
func OrganizationParam(name string) Access {
	return compile(policy{op: opOrganizationParam, name: name, wrong: checkName("organization in path parameter", name, name)})
}

// Token requires a machine credential of that kind, [APIKey], [M2MToken] or
// [OAuthToken], that meets every check: [Scope], [Audience], [CheckFunc] and
// [OrganizationParam] (of an organization's API key), and combinations of them with
// [AllOf] and [AnyOf]. Without checks, any valid credential of the kind will do.
//
//	clerkauth.AnyOf(clerkauth.SignedIn, clerkauth.Token(clerkauth.APIKey, clerkauth.Scope("reports:write")))
//
// Credentials of a kind that no Token on a route names, or that [Config.Accept]
// leaves out, are not verified there, and open nothing.
func Token(kind TokenType, checks ...Access) Access {
	p := policy{op: opToken, name: string(kind), token: tokenTypes[kind], parts: policiesOf(checks)}
	if p.token == 0 || p.token == kindSession {
		p.wrong = fmt.Errorf("token kind %q is none of APIKey, M2MToken and OAuthToken", p.name)
	} else if len(checks) > 0 {
		p.wrong = checkParts(p.parts)
	}
	p.each(func(part *policy) {
		switch part.op {
		case opScope:
			if !slices.Contains(p.scopes, part.name) {
				p.scopes = append(p.scopes, part.name)
			}
		case opAudience:
			p.audiences = append(p.audiences, part.name)
		}
	})
	return compile(p)
}

// Scope requires that a machine credential has that scope, compared exactly (RFC 6749
// section 3.3). It stands in a [Token] and nowhere else, because a scope of one kind
// says nothing about another; see [Auth.HasScope] for handlers.
func Scope(name string) Access {
	return compile(policy{op: opScope, name: name, scopes: []string{name}, wrong: claims.CheckScope(name)})
}

// Audience requires that a machine credential was issued for the resource with that
// URL (RFC 8707): that its audience holds the URL, one trailing slash aside. Like
// [Scope], it stands in a [Token] and nowhere else. The audience of a JWT is its aud
// claim; opaque OAuth tokens have one if Clerk names it, other opaque credentials have
// none.
//
// Inside a resource that [Authenticator.ResourceMetadata] describes, the resource's own
// URL is required of OAuth tokens without it.
func Audience(url string) Access {
	p := policy{op: opAudience, name: url}
	if url == "" || strings.ContainsFunc(url, func(c rune) bool { return c <= ' ' || c == 0x7f }) {
		p.wrong = fmt.Errorf("audience %q is none: it must be a URL", url)
	}
	return compile(p)
}

// AllOf requires every one of the given requirements.
func AllOf(requirements ...Access) Access { return compose(opAll, requirements) }

// AnyOf requires at least one of the given requirements. Where none is met, the
// refusal is that of the one that came closest: a sign-in to be verified again before a
// lack of rights.
func AnyOf(requirements ...Access) Access { return compose(opAny, requirements) }

func compose(op op, requirements []Access) *policy {
	p := policy{op: op, parts: policiesOf(requirements)}
	p.wrong = checkParts(p.parts)
	return compile(p)
}

// missing stands for an Access that is nil.
var missing = compile(policy{name: "nil", wrong: errors.New("it is nil: use Public for everybody, SignedIn for every user")})

func policyOf(a Access) *policy {
	if a == nil {
		return missing
	}
	return a.policy()
}

func policiesOf(list []Access) []*policy {
	policies := make([]*policy, len(list))
	for i, a := range list {
		policies[i] = policyOf(a)
	}
	return policies
}

// required returns the policy of a route with the given requirements: SignedIn if
// there are none.
func required(requirements []Access) *policy {
	switch len(requirements) {
	case 0:
		return SignedIn.policy()
	case 1:
		return policyOf(requirements[0])
	default:
		return compose(opAll, requirements)
	}
}

// checkParts returns what is wrong with any of parts. That there are none is wrong,
// too: it does not say whether everybody or no one was meant.
func checkParts(parts []*policy) error {
	if len(parts) == 0 {
		return errors.New("access requires nothing: name at least one requirement")
	}
	var wrong []error
	for i, part := range parts {
		switch {
		case part == missing:
			wrong = append(wrong, fmt.Errorf("requirement %d: %w", i+1, part.wrong))
		case part.op == opOptional || part.op == opUnchecked:
			wrong = append(wrong, fmt.Errorf("requirement %d: %s stands alone: it cannot be part of another", i+1, part))
		default:
			wrong = append(wrong, part.wrong)
		}
	}
	return errors.Join(wrong...)
}

// nouns are what requirements with a name are called.
var nouns = [...]string{
	opRole: "role ", opPermission: "permission ", opFeature: "feature ", opPlan: "plan ", opScope: "scope ", opAudience: "audience ",
	opOrganizationParam: "organization in path parameter ", opClaim: "claim ", opCheck: "check ", opReverified: "reverified ", opAny: "",
}

// String describes the requirement, such as "role org:admin" or
// "api_key with scope reports:write".
func (p *policy) String() string {
	switch p.op {
	case opAll:
		return join(p.parts, " and ")
	case opAny:
		return join(p.parts, " or ")
	case opToken:
		if len(p.parts) == 0 {
			return p.name
		}
		return p.name + " with " + join(p.parts, " and ")
	default:
		return nouns[p.op] + p.name
	}
}

// join describes parts, composed ones in parentheses.
func join(parts []*policy, word string) string {
	texts := make([]string, len(parts))
	for i, part := range parts {
		texts[i] = part.String()
		if part.op == opAll || part.op == opAny || part.op == opToken && len(part.parts) > 0 {
			texts[i] = "(" + texts[i] + ")"
		}
	}
	return strings.Join(texts, word)
}
