package clerkauth

import (
	"errors"
	"log/slog"
	"strings"
	"sync/atomic"
	"time"

	"github.com/clerkauth/clerkauth/internal/jws"
	"github.com/clerkauth/clerkauth/internal/notice"
	"github.com/clerkauth/clerkauth/internal/weburl"
)

// operator logs conditions that an operator has to correct. It is safe for concurrent
// use.
type operator struct {
	*notice.Log
	verified    atomic.Int64  // the Unix minute in which a token was verified last
	partyFaults atomic.Uint32 // of tokens since noticeParty was logged
	clockLimit  time.Duration // how far apart this machine's clock and Clerk's may be
}

// sawVerified records that a token was verified.
func (o *operator) sawVerified(now time.Time) {
	// Stored once a minute, because all processors read it with each request.
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

// refused logs that a token was rejected, if the reason may be an invalid configuration.
// Reasons that anyone can cause with a token of their own making are logged only while no
// token is verified, or not at all.
func (a *core) refused(reason Reason) {
	switch reason {
	case ErrTokenFuture, ErrTokenEarly: // checked after the signature
		a.operator.reason(noticeClock, reason)
	case ErrTokenIssuer: // checked after the signature; see refusedIssuer
		a.operator.reason(noticeIssuer, reason)
	case ErrUnknownKey:
		if !a.operator.verifiedLately(a.now()) {
			a.operator.reason(noticeUnknownKey, reason)
		}
	}
}

// reason logs what the table of reasons says for the operator.
func (o *operator) reason(what int, reason Reason) {
	o.Tell(what, slog.LevelWarn, reasons[reason].operator, "reason", reason)
}

// refusedIssuer logs that a token has another issuer, if it is signed with a key of this
// instance: its key id alone proves nothing. It causes no fetch of keys.
func (a *core) refusedIssuer(t *jws.Token) {
	key := a.jwtKey
	if key == nil {
		key = a.keys.Cached(t.Header.KeyID)
	}
	if key != nil && t.Verify(key) == nil {
		a.operator.reason(noticeIssuer, ErrTokenIssuer)
	}
}

// refusedParty logs that a verified token was rejected for its authorized party.
func (a *core) refusedParty(fault partyFault) {
	if fault == partyMissing {
		a.operator.Tell(noticeNoParty, slog.LevelWarn,
			"tokens without azp are rejected: Config.MissingParty says where they are accepted, such as from native apps")
		return
	}
	a.operator.partyFaults.Or(uint32(fault))
	if count, due := a.operator.Due(noticeParty); due {
		differs := weburl.Difference(a.operator.partyFaults.Swap(0))
		a.log.Warn("clerkauth: "+reasons[ErrTokenParty].operator,
			"differs_in", differs.String(), "count", count)
	}
}

// refusedAudience logs that an OAuth token was rejected for its audience on a route with
// policy p, where all of them may be.
func (a *core) refusedAudience(fault audienceFault, p *policy) {
	switch fault {
	case audienceMissing:
		a.notices.Tell(noticeNoAudience, slog.LevelWarn, "an OAuth token was rejected because it has no audience: let clients name the resource when they request a token (RFC 8707), or, if Clerk provides none, set InsecureAnyAudience of the Resource, or no Config.Audience outside of resources")
	case audienceUndescribed:
		a.notices.Tell(noticeUndescribed, slog.LevelWarn, "an OAuth token was rejected on a route that is in no described resource: let the ResourceMetadata middleware wrap the route and describe it, or require Audience(…) in its Token", "access", p.String())
	}
}

// errNoTokenYet is the cause of rejecting the text of a missing value.
var errNoTokenYet = errors.New("the front end sent the request before it had a token, with the text of a missing value in its place")

// notYetToken returns errNoTokenYet for the text that programs make of a missing value,
// and nil for any other credential.
func notYetToken(credential string) error {
	for _, text := range []string{"undefined", "null", "NaN", "None", "nil", "true", "false", "[object Object]", "[object Promise]"} {
		if strings.EqualFold(credential, text) {
			return errNoTokenYet
		}
	}
	return nil
}

// tellNoToken logs a rejection whose cause is errNoTokenYet.
func (a *core) tellNoToken(err *Error) {
	if errors.Is(err, errNoTokenYet) {
		a.operator.Tell(noticeNoToken, slog.LevelWarn,
			"callers send the text of a missing JavaScript value in place of a token: the front end must await getToken before it sends requests")
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
	o.Tell(noticeClock, slog.LevelWarn, "the clocks of this machine and of Clerk differ, so that valid tokens are rejected: synchronize this machine's clock with a time server",
		"ahead", off.Round(time.Second))
}
