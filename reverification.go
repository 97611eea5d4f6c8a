package clerkauth

import (
	"errors"
	"fmt"
	"time"
)

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

func (p preset) check(q query) verdict { return p.asked().check(q) }

func (p preset) callers(bool) kinds { return kindSession.set() }

func (p preset) verify() error { return p.asked().verify() }

// String names the level and the age, or Clerk's name for both.
func (r reverification) String() string {
	if r.preset != "" {
		return "reverified " + r.preset
	}
	return "reverified " + string(r.level) + " within " + r.age.String()
}

func (r reverification) callers(bool) kinds { return kindSession.set() }

func (r reverification) verify() error {
	switch {
	case r.level != FirstFactor && r.level != SecondFactor && r.level != MultiFactor:
		return fmt.Errorf("reverification level %q is none of the constants", string(r.level))
	case r.age <= 0:
		return errors.New("reverification age must be more than 0: nobody is that quick")
	}
	return nil
}

func (r reverification) check(q query) verdict {
	switch {
	case !q.who.SignedIn():
		return verdict{outcome: signedOut}
	case r.verify() != nil:
		return verdict{outcome: forbidden}
	case !r.fresh(q.who):
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
