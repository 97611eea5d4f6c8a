package clerkauth

import (
	"errors"
	"fmt"
	"time"
)

// ReverificationLevel names the factors that a user must have verified recently.
type ReverificationLevel string

const (
	// FirstFactor requires the first factor, such as a password.
	FirstFactor ReverificationLevel = "first_factor"
	// SecondFactor requires the second factor, or the first of a user who has no
	// second.
	SecondFactor ReverificationLevel = "second_factor"
	// MultiFactor requires both, or the first of a user who has no second.
	MultiFactor ReverificationLevel = "multi_factor"
)

// reverification is how recently which factors must have been verified.
type reverification struct {
	preset string // its name, if it is one of Clerk's
	level  ReverificationLevel
	age    time.Duration
}

// Reverified requires that the user has verified the factors of that level less than
// age ago. The refusal is the one that Clerk's browser SDKs answer with a dialog
// (https://clerk.com/docs/guides/secure/reverification).
//
// The ages in a token are those of the moment it was minted; the time since then
// is added.
func Reverified(level ReverificationLevel, age time.Duration) Access {
	p := policy{op: opReverified, name: string(level) + " within " + age.String(), fresh: &reverification{level: level, age: age}}
	switch {
	case level != FirstFactor && level != SecondFactor && level != MultiFactor:
		p.wrong = fmt.Errorf("reverification level %q is none of the constants", string(level))
	case age <= 0:
		p.wrong = errors.New("reverification age must be more than 0")
	}
	return compile(p)
}

// preset is the type of Clerk's named reverification levels.
type preset int

// Clerk's named requirements of a recent sign-in; see [Reverified] for others.
const (
	// ReverifiedStrictMFA requires both factors within 10 minutes.
	ReverifiedStrictMFA preset = iota + 1
	// ReverifiedStrict requires the second factor within 10 minutes.
	ReverifiedStrict
	// ReverifiedModerate requires the second factor within an hour.
	ReverifiedModerate
	// ReverifiedLax requires the second factor within a day.
	ReverifiedLax
)

var presetPolicies = [...]*policy{
	ReverifiedStrictMFA: presetPolicy("strict_mfa", MultiFactor, 10*time.Minute),
	ReverifiedStrict:    presetPolicy("strict", SecondFactor, 10*time.Minute),
	ReverifiedModerate:  presetPolicy("moderate", SecondFactor, time.Hour),
	ReverifiedLax:       presetPolicy("lax", SecondFactor, 24*time.Hour),
}

func presetPolicy(name string, level ReverificationLevel, age time.Duration) *policy {
	return compile(policy{op: opReverified, name: name, fresh: &reverification{name, level, age}})
}

func (p preset) policy() *policy {
	if p < ReverifiedStrictMFA || p > ReverifiedLax {
		return noConstant
	}
	return presetPolicies[p]
}

// String returns "reverified" and Clerk's name of the level.
func (p preset) String() string { return p.policy().String() }

// met reports whether the factors were verified recently enough, -1 being the age of a
// factor that the user does not have.
func (r *reverification) met(who *Auth, now time.Time) bool {
	ages := who.session().Ages
	if !ages.Known || who.proof.since.IsZero() {
		return false
	}
	passed := max(now.Sub(who.proof.since), 0)
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

// metadata is the requirement as Clerk's browser SDKs read it in a refusal.
func (r *reverification) metadata() any {
	if r.preset != "" {
		return r.preset
	}
	return map[string]any{"level": r.level, "afterMinutes": r.age.Minutes()}
}
