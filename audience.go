package clerkauth

import (
	"slices"

	"github.com/clerkauth/clerkauth/internal/weburl"
)

// isFor reports whether a machine's credential was issued for the resource with that
// URL.
func isFor(who *Auth, url string) bool {
	return who.proof != nil && slices.ContainsFunc(who.proof.audience, func(aud string) bool { return weburl.SameResource(aud, url) })
}

// audienceFault is why an OAuth token that is refused for its audience may be a mistake
// of the operator's.
type audienceFault int

const (
	audienceMissing     audienceFault = iota + 1 // it has none, as all of them may
	audienceUndescribed                          // the route is in no described resource
)

// checkAudience returns an error if a machine's credential was issued for another
// resource than the route's. Each guard checks it, for each has its own route.
func (e *evaluation) checkAudience() (*Error, audienceFault) {
	of, outside := tokenTypes[e.who.TokenType], false
	if of == kindOAuth {
		if e.place.Unreadable {
			return newError(ErrRequestTarget, nil), 0
		}
		required := e.audience
		for _, resource := range e.place.In {
			if resource.AnyAudience {
				continue
			}
			required = nil
			if !isFor(&e.who, resource.URL) {
				return e.wrongAudience()
			}
		}
		if len(required) > 0 && !slices.ContainsFunc(e.who.proof.audience, func(aud string) bool { return slices.Contains(required, aud) }) {
			return e.wrongAudience()
		}
		outside = len(e.place.In) == 0 && e.described
	}
	// What the route itself requires is checked with its policy; but where there is no
	// other way in, it is wrong for everybody.
	named, fits, optional := false, false, false
	for _, t := range e.policy.tokens {
		if t.token == of {
			named = named || len(t.audiences) > 0
			fits = fits || slices.ContainsFunc(t.audiences, func(url string) bool { return isFor(&e.who, url) })
			optional = optional || !t.needsAudience()
		}
	}
	switch {
	case outside && !named:
		return newError(ErrTokenClaims, nil), audienceUndescribed
	case (outside || !optional && named) && !fits:
		return e.wrongAudience()
	}
	return nil, 0
}

// wrongAudience is the refusal of a credential that is for another resource.
func (e *evaluation) wrongAudience() (*Error, audienceFault) {
	if len(e.who.proof.audience) == 0 && e.who.TokenType == OAuthToken {
		return newError(ErrTokenClaims, nil), audienceMissing
	}
	return newError(ErrTokenClaims, nil), 0
}
