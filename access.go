package clerkauth

import (
	"errors"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/clerkauth/clerkauth/internal/claims"
)

// Access says who may call. It is [Public], [SignedIn], or what the functions of
// this package return; there are no others. It prints as what it asks for.
//
// Asking for more never allows more, and what a token does not say counts as
// not met.
type Access interface {
	fmt.Stringer
	// check tells whether who may call.
	check(who Auth) verdict
	// verify tells why nobody could ever be let in, nil if somebody could.
	verify() error
}

// verdict is the answer of one Access about one caller.
type verdict struct {
	outcome  outcome
	reverify *reverification // what is asked for, where outcome is stale
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
)

// String returns "public" or "signed in".
func (a basicAccess) String() string {
	switch a {
	case Public:
		return "public"
	case SignedIn:
		return "signed in"
	default:
		return "nobody"
	}
}

func (a basicAccess) check(who Auth) verdict {
	switch {
	case a == Public:
		return verdict{outcome: allowed}
	case a != SignedIn:
		return verdict{outcome: forbidden}
	case who.SignedIn():
		return verdict{outcome: allowed}
	default:
		return verdict{outcome: signedOut}
	}
}

func (a basicAccess) verify() error {
	if a != Public && a != SignedIn {
		return errors.New("it is neither Public nor SignedIn")
	}
	return nil
}

// demand is an Access that asks one thing of a session.
type demand struct {
	name  string // as it is printed, with what it asks for
	wrong error  // why it can never be met
	holds func(Auth) bool
}

func (d demand) String() string { return d.name }

func (d demand) verify() error { return d.wrong }

func (d demand) check(who Auth) verdict {
	switch {
	case !who.SignedIn():
		return verdict{outcome: signedOut}
	case d.wrong != nil || !d.holds(who):
		return verdict{outcome: forbidden}
	default:
		return verdict{outcome: allowed}
	}
}

// newDemand returns a demand for something that has a name.
func newDemand(what, name string, holds func(Auth) bool) demand {
	d := demand{name: what + " " + name, holds: holds}
	if strings.Trim(name, " ") == "" {
		d.wrong = fmt.Errorf("%s is empty: nobody can have it", what)
	}
	return d
}

// Role asks for a role in the active organization. The prefix may be left out:
// admin is org:admin.
func Role(role string) Access {
	d := newDemand("role", role, func(who Auth) bool {
		return who.OrgID != "" && who.OrgRole != "" && withOrg(who.OrgRole) == withOrg(role)
	})
	if d.wrong == nil && withOrg(role) == "org:" {
		d.wrong = errors.New("role is empty: nobody can have it")
	}
	return d
}

// Permission asks for a permission in the active organization, such as
// org:invoices:create. The prefix may be left out.
func Permission(permission string) Access {
	d := newDemand("permission", permission, func(who Auth) bool {
		return who.OrgID != "" && slices.Contains(who.session().Permissions(), withOrg(permission))
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
	d := newDemand(what, asked, func(who Auth) bool {
		has := claim(who.session())
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

// ReverificationLevel says which factors must have been verified lately.
type ReverificationLevel string

const (
	// FirstFactor asks for the first factor, such as a password.
	FirstFactor ReverificationLevel = "first_factor"
	// SecondFactor asks for the second factor, or for the first of a user who
	// has no second.
	SecondFactor ReverificationLevel = "second_factor"
	// MultiFactor asks for both, or for the first of a user who has no second.
	MultiFactor ReverificationLevel = "multi_factor"
)

// reverification is an Access that asks for a fresh sign-in.
type reverification struct {
	preset string // its name, if it is one of Clerk's
	level  ReverificationLevel
	age    time.Duration
}

// Reverified asks that the user has verified the factors of that level less than
// age ago. The refusal is the one that Clerk's browser SDKs answer with a dialog
// (https://clerk.com/docs/guides/secure/reverification).
//
// The ages in a token are those of the moment it was minted; the time since then
// is added.
func Reverified(level ReverificationLevel, age time.Duration) Access {
	return reverification{level: level, age: age}
}

// preset is the type of Clerk's named reverification demands.
type preset int

const (
	// ReverifiedStrictMFA asks for both factors within 10 minutes.
	ReverifiedStrictMFA preset = iota + 1
	// ReverifiedStrict asks for the second factor within 10 minutes.
	ReverifiedStrict
	// ReverifiedModerate asks for the second factor within an hour.
	ReverifiedModerate
	// ReverifiedLax asks for the second factor within a day.
	ReverifiedLax
)

func (p preset) asked() reverification {
	switch p {
	case ReverifiedStrictMFA:
		return reverification{"strict_mfa", MultiFactor, 10 * time.Minute}
	case ReverifiedStrict:
		return reverification{"strict", SecondFactor, 10 * time.Minute}
	case ReverifiedModerate:
		return reverification{"moderate", SecondFactor, time.Hour}
	case ReverifiedLax:
		return reverification{"lax", SecondFactor, 24 * time.Hour}
	default:
		return reverification{}
	}
}

// String names the preset.
func (p preset) String() string { return p.asked().String() }

func (p preset) check(who Auth) verdict { return p.asked().check(who) }

func (p preset) verify() error { return p.asked().verify() }

// String names the level and the age, or Clerk's name for both.
func (r reverification) String() string {
	if r.preset != "" {
		return "reverified " + r.preset
	}
	return "reverified " + string(r.level) + " within " + r.age.String()
}

func (r reverification) verify() error {
	switch {
	case r.level != FirstFactor && r.level != SecondFactor && r.level != MultiFactor:
		return fmt.Errorf("reverification level %q is none of the constants", string(r.level))
	case r.age <= 0:
		return errors.New("reverification age must be more than 0: nobody is that quick")
	}
	return nil
}

func (r reverification) check(who Auth) verdict {
	switch {
	case !who.SignedIn():
		return verdict{outcome: signedOut}
	case r.verify() != nil:
		return verdict{outcome: forbidden}
	case !r.fresh(who):
		return verdict{outcome: stale, reverify: &r}
	default:
		return verdict{outcome: allowed}
	}
}

// fresh applies the level to the ages of the factors, -1 being a factor that the
// user does not have.
func (r reverification) fresh(who Auth) bool {
	ages := who.session().Ages
	if !ages.Known || who.proof.since.IsZero() {
		return false
	}
	passed := max(who.proof.now().Sub(who.proof.since), 0)
	fresh := func(minutes float64) bool {
		return minutes >= 0 && minutes*float64(time.Minute)+float64(passed) < float64(r.age)
	}
	switch {
	case r.level == FirstFactor || ages.Second == -1:
		return fresh(ages.First)
	case r.level == SecondFactor:
		return fresh(ages.Second)
	default:
		return fresh(ages.First) && fresh(ages.Second)
	}
}

// metadata is the demand as Clerk's browser SDKs read it in a refusal.
func (r reverification) metadata() any {
	if r.preset != "" {
		return r.preset
	}
	return map[string]any{"level": r.level, "afterMinutes": r.age.Minutes()}
}

// all is met by who meets each of its parts.
type all []Access

func (l all) String() string {
	parts := make([]string, len(l))
	for i, a := range l {
		parts[i] = a.String()
	}
	return strings.Join(parts, " and ")
}

func (l all) verify() error {
	var wrong []error
	for i, a := range l {
		if a == nil {
			wrong = append(wrong, errors.New("access "+strconv.Itoa(i+1)+" is nil"))
		} else {
			wrong = append(wrong, a.verify())
		}
	}
	return errors.Join(wrong...)
}

// check returns the worst verdict. A sign-in to be verified again is only asked
// of who would be let in after it.
func (l all) check(who Auth) verdict {
	worst := verdict{outcome: allowed}
	for _, a := range l {
		if v := a.check(who); v.outcome < worst.outcome {
			worst = v
		}
	}
	return worst
}
