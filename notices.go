package clerkauth

import (
	"context"
	"log/slog"
	"sync/atomic"
	"time"
)

// notice is a condition that an operator has to correct: one that looks like invalid
// credentials, request by request, and does not end by itself.
type notice int

const (
	noticeSecretKey        notice = iota // Clerk rejects the secret key
	noticeMachineCache                   // the MachineCache fails
	noticeForeignSecret                  // the secret key belongs to another instance
	noticePublicKeySet                   // the public key set cannot be compared with the secret key's
	noticeClock                          // this machine's clock or Clerk's is wrong
	noticeIssuer                         // tokens of the instance have another issuer
	noticeUnknownKey                     // no token is signed with a key of the instance
	noticeNoParty                        // tokens have no azp
	noticeParty                          // tokens have an azp that is not configured
	noticeNoToken                        // callers send the text of a missing value for a token
	noticeNoAudience                     // OAuth tokens have no audience
	noticeUndescribed                    // a route outside of all described resources accepts OAuth tokens
	noticeWebhookSignature               // no signature of a webhook delivery matches
	noticeWebhookBody                    // the body of a webhook delivery was read or changed before
	noticeWebhookClock                   // the timestamp of a webhook delivery is far from now
	noticeWebhookEndpoint                // two webhook endpoints share a store
	noticeCount
)

// notices logs conditions for the operator, each at most once a minute, with the number of
// times that it occurred since. It is safe for concurrent use.
type notices struct {
	log  *slog.Logger
	now  func() time.Time
	told [noticeCount]struct {
		at    atomic.Int64 // when it was logged last, in Unix nanoseconds; 0 for never
		count atomic.Uint64
	}
}

func newNotices(log *slog.Logger, now func() time.Time) *notices {
	return &notices{log: log, now: now}
}

// tell counts a condition, and logs it with attrs unless it was logged within the last
// minute. The message says what to look at. It and attrs must not hold credentials or
// claims.
func (n *notices) tell(what notice, level slog.Level, message string, attrs ...any) {
	if count, due := n.met(what); due {
		n.log.Log(context.Background(), level, "clerkauth: "+message, append(attrs, "count", count)...)
	}
}

// met counts a condition. It reports whether to log it now, and how often it occurred
// since it was logged last.
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
