package clerkauth

import (
	"time"

	"github.com/clerkauth/clerkauth/internal/claims"
)

// Actor is a party that acts in a user's name, as the "act" claim of a token describes it
// (RFC 8693 section 4.1): a person who impersonates the user, or an agent. The zero value
// means that no party does. An Actor whose claim could not be read is not the zero value, but
// has neither id nor type.
type Actor struct {
	// ID is the actor's id, such as user_…; "" if the claim has none.
	ID string
	// Type is the kind of actor, such as "agent"; "" or "user" for a person.
	Type string

	of *claims.Actor
}

func newActor(of *claims.Actor) Actor {
	if of == nil {
		return Actor{}
	}
	return Actor{of.ID, of.Type, of}
}

// Agent reports whether the actor is an agent, not a person.
func (a Actor) Agent() bool { return a.Type == claims.AgentType }

// Chain returns the actors behind a, who acted before it, the most recent first. It is
// empty if there are none.
func (a Actor) Chain() []Actor {
	var chain []Actor
	if a.of != nil {
		for behind := a.of.Behind; behind != nil; behind = behind.Behind {
			chain = append(chain, newActor(behind))
		}
	}
	return chain
}

// notAgent reports whether no one acts in the caller's session, or people alone do.
func (a *Auth) notAgent() bool {
	if s := a.session(); s.Acted {
		return s.Acting != nil && s.Acting.IsPerson()
	}
	return a.Actor.Type == "" || a.Actor.Type == claims.PersonType
}

// FactorAges returns how long ago the user verified the first and the second factor. An
// age is negative if the user does not have that factor. ok is false if the token does
// not say, as of a machine.
func (a Auth) FactorAges() (first, second time.Duration, ok bool) {
	ages := a.session().Ages
	if !ages.Known || a.proof.since.IsZero() {
		return 0, 0, false
	}
	passed := max(a.proof.now().Sub(a.proof.since), 0)
	age := func(minutes float64) time.Duration {
		if minutes < 0 {
			return -1
		}
		return time.Duration(min(minutes*float64(time.Minute), float64(maxFactorAge))) + passed
	}
	return age(ages.First), age(ages.Second), true
}

// maxFactorAge is the largest age that is distinguished from larger ones.
const maxFactorAge = 100 * 365 * 24 * time.Hour
