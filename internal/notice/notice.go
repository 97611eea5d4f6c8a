// Package notice logs lasting conditions for the operator of a program, not once for each
// request that meets them.
package notice

import (
	"context"
	"log/slog"
	"sync/atomic"
	"time"
)

// Log logs conditions, which are numbered from 0, each at most once a minute, with the
// number of times that it occurred since. It is safe for concurrent use.
type Log struct {
	log  *slog.Logger
	now  func() time.Time
	seen []condition
}

type condition struct {
	at    atomic.Int64 // when it was logged last, in Unix nanoseconds; 0 for never
	count atomic.Uint64
}

// New returns a Log for that many conditions.
func New(log *slog.Logger, now func() time.Time, conditions int) *Log {
	return &Log{log, now, make([]condition, conditions)}
}

// Tell counts a condition, and logs it with attrs unless it was logged within the last
// minute. The message says what to look at. It and attrs must not hold credentials or
// claims.
func (l *Log) Tell(what int, level slog.Level, message string, attrs ...any) {
	if count, due := l.Due(what); due {
		l.log.Log(context.Background(), level, "clerkauth: "+message, append(attrs, "count", count)...)
	}
}

// Due counts a condition. It reports whether to log it now, and how often it occurred
// since it was logged last.
func (l *Log) Due(what int) (count uint64, due bool) {
	c := &l.seen[what]
	c.count.Add(1)
	now, last := l.now().UnixNano(), c.at.Load()
	recent := last != 0 && now-last >= 0 && now-last < int64(time.Minute)
	if recent || !c.at.CompareAndSwap(last, now) {
		return 0, false
	}
	return c.count.Swap(0), true
}
