package clerkauth

import (
	"errors"
	"log/slog"
	"strings"
	"sync/atomic"
	"time"

	"github.com/clerkauth/clerkauth/internal/jws"
)

// operator is told of lasting mistakes, which look like bad callers request by
// request. It is safe for concurrent use.
type operator struct {
	*notices
	verified    atomic.Int64  // the minute in which a token was verified last
	partyFaults atomic.Uint32 // of tokens since noticeParty was logged
	clockLimit  time.Duration // how far Clerk's clock may be from ours
}

// sawVerified notes that a token was verified.
func (o *operator) sawVerified(now time.Time) {
	// Stored once a minute: all processors read it with each request.
	if minute := now.Unix() / 60; o.verified.Load() != minute {
		o.verified.Store(minute)
	}
}

// verifiedLately reports whether a token was verified within the last one or two
// minutes.
func (o *operator) verifiedLately(now time.Time) bool {
	since := now.Unix()/60 - o.verified.Load()
	return since >= 0 && since <= 1
}

// refused tells of a token that is refused for a reason that may be a mistake in the
// configuration. Reasons that a stranger can bring about with a token of their own
// making are told only while nobody is verified, or not at all.
func (a *core) refused(reason Reason) {
	switch reason {
	case ErrTokenFuture, ErrTokenEarly: // judged after the signature
		a.operator.tell(noticeClock, slog.LevelWarn, "tokens are of the future: set this machine's clock by a time server",
			"reason", reason)
	case ErrTokenIssuer: // judged after the signature; see refusedIssuer for before
		a.tellIssuer()
	case ErrUnknownKey:
		if !a.operator.verifiedLately(a.now()) {
			a.operator.tell(noticeUnknownKey, slog.LevelWarn,
				"no token is signed with a key of this instance: compare the publishable and secret keys with those of the front end",
				"reason", reason)
		}
	}
}

// refusedIssuer tells of a token of another issuer if a key of this instance has
// signed it: anybody can write such a key's id. No key is fetched for that.
func (a *core) refusedIssuer(t *jws.Token) {
	key := a.jwtKey
	if key == nil {
		key = a.keys.Cached(t.Header.KeyID)
	}
	if key != nil && t.Verify(key) == nil {
		a.tellIssuer()
	}
}

func (a *core) tellIssuer() {
	a.operator.tell(noticeIssuer, slog.LevelWarn,
		"tokens of this instance's keys name another issuer: if its Frontend API is behind a proxy or a domain of yours, set Browser.ProxyURL (CLERK_PROXY_URL) or name it in Issuers",
		"reason", ErrTokenIssuer)
}

// refusedParty tells of a verified token whose party is not accepted.
func (a *core) refusedParty(fault partyFault) {
	if fault == partyMissing {
		a.operator.tell(noticeNoParty, slog.LevelWarn,
			"tokens carry no azp and are refused: Config.MissingParty says from where they are accepted, such as native apps")
		return
	}
	a.operator.partyFaults.Or(uint32(fault))
	if count, due := a.operator.met(noticeParty); due {
		differs := partyFault(a.operator.partyFaults.Swap(0))
		a.log.Warn("clerkauth: tokens were issued to a party that AuthorizedParties does not list: add the origin of those pages, as their address bar shows it",
			"differs_in", differs.String(), "count", count)
	}
}

// refusedAudience tells of an OAuth token that was refused on a route with policy p for
// its audience, as all of them may be.
func (a *core) refusedAudience(fault audienceFault, p *policy) {
	switch fault {
	case audienceMissing:
		a.notices.tell(noticeNoAudience, slog.LevelWarn, "an OAuth token was refused because it has no audience: let clients name the resource when they ask for a token (RFC 8707), or, if Clerk tells none, set InsecureAnyAudience of the Resource, or no Config.Audience outside of resources")
	case audienceUndescribed:
		a.notices.tell(noticeUndescribed, slog.LevelWarn, "an OAuth token was refused on a route that is in no described resource: let the ResourceMetadata middleware wrap the route and describe it, or require Audience(…) in its Token", "access", p.String())
	}
}

// errNoTokenYet is the cause of a refusal of what no front end means to send.
var errNoTokenYet = errors.New("the front end asked before it had a token, and sent the text of a missing value")

// notYetToken returns errNoTokenYet for the text that JavaScript makes of a value
// that is not there, or not there yet, and nil for everything else.
func notYetToken(credential string) error {
	for _, text := range []string{"undefined", "null", "NaN", "None", "nil", "true", "false", "[object Object]", "[object Promise]"} {
		if strings.EqualFold(credential, text) {
			return errNoTokenYet
		}
	}
	return nil
}

// tellNoToken tells of a refusal whose cause is errNoTokenYet.
func (a *core) tellNoToken(err *Error) {
	if errors.Is(err, errNoTokenYet) {
		a.operator.tell(noticeNoToken, slog.LevelWarn,
			"callers send the text of a missing JavaScript value in the place of a token: their front end has to wait for getToken before it asks")
	}
}

// compareClock logs that the Date of one of Clerk's responses is too far from the time
// between before and after, in which it was written.
func (o *operator) compareClock(date, before, after time.Time) {
	var off time.Duration
	switch {
	case date.Before(before.Add(-o.clockLimit)):
		off = before.Sub(date)
	case date.After(after.Add(o.clockLimit)):
		off = after.Sub(date)
	default:
		return
	}
	o.tell(noticeClock, slog.LevelWarn, "the clocks of this machine and of Clerk differ, so that valid tokens are rejected: synchronize this machine's clock with a time server",
		"ahead", off.Round(time.Second))
}
