package clerkauth

import (
	"errors"
	"fmt"
	"net/http"
	"slices"
	"strings"

	"github.com/clerkauth/clerkauth/internal/claims"
)

// Access says who may call. It is [Public], [SignedIn], or what the functions of
// this package return; there are no others. It prints as what it asks for.
//
// Asking for more never allows more, and what a token does not say counts as
// not met.
type Access interface {
	fmt.Stringer
	// check tells whether a caller may call.
	check(q query) verdict
	// verify tells what is wrong with what is asked for, nil if nothing is.
	verify() error
	// callers returns the kinds of callers of whom some could be let in; inToken is
	// for parts of a [Token].
	callers(inToken bool) kinds
}

// query is what an Access is asked about.
type query struct {
	who Auth
	// request is nil outside of HTTP, as in [Auth.Has].
	request *http.Request
	// token says that a [Token] asks about a machine.
	token bool
	// checks are the answers of the application's checks so far; assume is the
	// outcome of those that have not been asked, forbidden or allowed.
	checks map[*check]bool
	assume outcome
}

// verdict is the answer of one Access about one caller.
type verdict struct {
	outcome  outcome
	reverify *reverification // what is asked for, where outcome is stale
	scopes   []string        // what a machine's token would have to have, and has not
	audience bool            // a machine's token is for somebody else
}

type outcome int

// Outcomes, from worst to best, so that the worst of several answers for all.
const (
	signedOut outcome = iota
	forbidden
	stale // would be allowed after verifying the sign-in again
	allowed
)

// basicAccess is the type of the constants below.
type basicAccess int

const (
	// Public lets anybody in.
	Public basicAccess = iota + 1
	// SignedIn lets in every user with a session.
	SignedIn
	// NotImpersonated lets in every user in whose name nobody else acts.
	NotImpersonated
)

// String returns "public", "signed in" or "not impersonated".
func (a basicAccess) String() string {
	switch a {
	case Public:
		return "public"
	case SignedIn:
		return "signed in"
	case NotImpersonated:
		return "not impersonated"
	default:
		return "nobody"
	}
}

func (a basicAccess) check(q query) verdict {
	switch {
	case a == Public:
		return verdict{outcome: allowed}
	case !q.who.SignedIn():
		return verdict{outcome: signedOut}
	case a == SignedIn, a == NotImpersonated && q.who.ActorID == "" && !q.who.session().Acted:
		return verdict{outcome: allowed}
	default:
		return verdict{outcome: forbidden}
	}
}

func (a basicAccess) verify() error {
	if a < Public || a > NotImpersonated {
		return errors.New("it is none of the constants")
	}
	return nil
}

func (a basicAccess) callers(bool) kinds {
	if a == Public {
		return everyone
	}
	return kindSession.set()
}

// demand is an Access that asks one thing of a session.
type demand struct {
	name    string // as it is printed, with what it asks for
	wrong   error  // why it can never be met
	inToken bool   // it may be asked of a machine, too, within a Token
	holds   func(query) bool
}

func (d demand) String() string { return d.name }

func (d demand) verify() error { return d.wrong }

func (d demand) callers(inToken bool) kinds {
	if inToken && d.inToken {
		return machines
	}
	return kindSession.set()
}

func (d demand) check(q query) verdict {
	switch {
	case q.token && d.inToken:
		if !q.who.machine() {
			return verdict{outcome: signedOut}
		}
	case !q.who.SignedIn():
		return verdict{outcome: signedOut}
	}
	switch {
	case d.wrong != nil || !d.holds(q):
		return verdict{outcome: forbidden}
	default:
		return verdict{outcome: allowed}
	}
}

// newDemand returns a demand for something that has a name.
func newDemand(what, name string, holds func(query) bool) demand {
	d := demand{name: what + " " + name, holds: holds}
	if strings.Trim(name, " ") == "" {
		d.wrong = fmt.Errorf("%s is empty: nobody can have it", what)
	}
	return d
}

// Role asks for a role in the active organization. The prefix may be left out:
// admin is org:admin.
func Role(role string) Access {
	d := newDemand("role", role, func(q query) bool {
		return q.who.OrgID != "" && q.who.OrgRole != "" && withOrg(q.who.OrgRole) == withOrg(role)
	})
	if d.wrong == nil && withOrg(role) == "org:" {
		d.wrong = errors.New("role is empty: nobody can have it")
	}
	return d
}

// Permission asks for a permission in the active organization, such as
// org:invoices:create. The prefix may be left out.
func Permission(permission string) Access {
	d := newDemand("permission", permission, func(q query) bool {
		return q.who.OrgID != "" && slices.Contains(q.who.session().Permissions(), withOrg(permission))
	})
	if d.wrong == nil && withOrg(permission) == "org:" {
		d.wrong = errors.New("permission is empty: nobody can have it")
	}
	return d
}

// withOrg gives a role or permission exactly one prefix.
func withOrg(s string) string {
	for strings.HasPrefix(s, "org:") {
		s = s[len("org:"):]
	}
	return "org:" + s
}

// Feature asks for a feature of the user's or the active organization's plan:
// "reports", or for one of the two alone "user:reports" or "org:reports".
func Feature(feature string) Access {
	return newBilling("feature", feature, func(s *claims.Session) claims.Scoped { return s.Features() })
}

// Plan asks for a plan of the user or the active organization: "pro", or for one
// of the two alone "user:pro" or "org:pro".
func Plan(plan string) Access {
	return newBilling("plan", plan, func(s *claims.Session) claims.Scoped { return s.Plans() })
}

func newBilling(what, asked string, claim func(*claims.Session) claims.Scoped) Access {
	scope, slug, scoped := strings.Cut(asked, ":")
	user, org := true, true
	if scoped {
		user = scope == "u" || scope == "user"
		org = scope == "o" || scope == "org" || scope == "organization"
	} else {
		slug = asked
	}
	d := newDemand(what, asked, func(q query) bool {
		has := claim(q.who.session())
		return has.Known && (user && slices.Contains(has.User, slug) || org && slices.Contains(has.Org, slug))
	})
	switch {
	case d.wrong != nil:
	case !user && !org:
		d.wrong = fmt.Errorf("%s %q: its scope must be user or org", what, asked)
	case slug == "" || strings.Contains(slug, ":"):
		d.wrong = fmt.Errorf("%s %q: nobody can have it: it must be a slug, or a scope, a colon and a slug", what, asked)
	}
	return d
}

// OrganizationParam asks that the organization named in the path is the active one;
// so a role in one organization opens nothing of another. A value that begins with
// org_ is compared with its id, any other with its slug, both case-sensitively. The
// parameter is the wildcard of that name as [http.Request.PathValue]
// gives it, so this is for guards behind routing, not for [Authenticator.Protect].
func OrganizationParam(name string) Access {
	d := newDemand("organization in path parameter", name, func(q query) bool {
		if q.request == nil || q.who.OrgID == "" {
			return false
		}
		// Ids and slugs are two name spaces: what looks like an id is never a slug.
		named := q.request.PathValue(name)
		if strings.HasPrefix(named, "org_") {
			return named == q.who.OrgID
		}
		return named != "" && named == q.who.OrgSlug
	})
	d.inToken = true
	return organizationParam{d, name}
}

// organizationParam has a type of its own, so that Protect can tell it, and a mux
// whether its pattern has the parameter.
type organizationParam struct {
	demand
	param string
}
