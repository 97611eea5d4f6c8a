package clerkauth

import (
	"context"
	"log/slog"
	"sync/atomic"
	"time"
)

// notice is a lasting condition that an operator has to do something about: one
// that looks like bad callers, request by request, and does not end by itself.
type notice int

const (
	noticeSecretKey        notice = iota // Clerk does not accept the secret key
	noticeMachineCache                   // the MachineCache fails
	noticeForeignSecret                  // the secret key is of another instance
	noticePublicKeySet                   // it cannot be compared with the secret key's
	noticeClock                          // our clock or Clerk's is wrong
	noticeIssuer                         // tokens of the instance name another issuer
	noticeUnknownKey                     // no token is of a key of the instance
	noticeNoParty                        // tokens name no party
	noticeParty                          // tokens name a party that nobody configured
	noticeNoToken                        // callers send what is not even meant to be a token
	noticeNoAudience                     // OAuth tokens have no audience
	noticeUndescribed                    // a route takes OAuth tokens outside of every described resource
	noticeWebhookSignature               // no signature of a webhook delivery matches
	noticeWebhookBody                    // the body of a webhook delivery was read or changed before
	noticeWebhookClock                   // the timestamp of a webhook delivery is far from now
	noticeWebhookEndpoint                // two webhook endpoints share a store
	noticeCount
)

// notices logs conditions for the operator. Each is logged at most once a minute,
// with how often it was met since. It is safe for concurrent use.
type notices struct {
	log  *slog.Logger
	now  func() time.Time
	told [noticeCount]struct {
		at    atomic.Int64 // when it was logged last, in nanoseconds; 0 for never
		count atomic.Uint64
	}
}

func newNotices(log *slog.Logger, now func() time.Time) *notices {
	return &notices{log: log, now: now}
}

// tell counts a condition, and logs it with attrs unless it was logged within the
// last minute. A message says what to look at; it and attrs hold no credential and
// no claim.
func (n *notices) tell(what notice, level slog.Level, message string, attrs ...any) {
	if count, due := n.met(what); due {
		n.log.Log(context.Background(), level, "clerkauth: "+message, append(attrs, "count", count)...)
	}
}

// met counts a condition and reports whether it is to be logged now, and how often
// it was met since it was last.
func (n *notices) met(what notice) (count uint64, due bool) {
	t := &n.told[what]
	t.count.Add(1)
	now, last := n.now().UnixNano(), t.at.Load()
	recent := last != 0 && now-last >= 0 && now-last < int64(time.Minute)
	if recent || !t.at.CompareAndSwap(last, now) {
		return 0, false
	}
	return t.count.Swap(0), true
}
