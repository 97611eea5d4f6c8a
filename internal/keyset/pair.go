package keyset

import (
	"context"
	"crypto/rsa"
	"errors"
	"log/slog"
	"sync/atomic"
	"time"
)

// Sources are the sources of an instance's keys. At least one of Backend and Public is
// required to fetch any.
type Sources struct {
	// Backend is the key set of the Backend API, which needs the secret key.
	Backend Source
	// Public is the key set of the Frontend API. If there are both, it is fetched while
	// the Backend API is unavailable, and once for each key id that the Backend API has
	// never published.
	Public Source
	// Pinned is a key of the instance with which Backend is compared instead of Public.
	Pinned *rsa.PublicKey
	// Foreign, if not nil, is called after each refresh while Backend is known to belong
	// to another instance.
	Foreign func()
}

// ErrForeign indicates that the secret key belongs to another instance than the public
// set or the pinned key.
var ErrForeign = errors.New("the secret key belongs to another instance")

// verdict says whether both sources belong to one instance.
type verdict int32

const (
	undecided verdict = iota
	common            // they do, or there is nothing to compare; final
	foreign           // they do not, and the Backend API's set is not used
)

// pair combines the two key sets that an instance publishes into one. A key that either
// has published and withdrawn is not used, whatever the other says. It is used by one
// refresh at a time; decided alone may be read at any time.
type pair struct {
	backend, public *sourceState // nil: there is none
	pinned          *rsa.PublicKey
	decided         atomic.Int32        // a verdict
	tried           map[string]struct{} // ids for which both were fetched
	log             *slog.Logger
	onForeign       func()
}

// maxTried bounds the ids in pair.tried.
const maxTried = 1024

func newPair(from Sources, log *slog.Logger) *pair {
	p := &pair{pinned: from.Pinned, tried: map[string]struct{}{}, log: log, onForeign: from.Foreign}
	if from.Backend != nil {
		p.backend = &sourceState{source: from.Backend}
	}
	if from.Public != nil {
		p.public = &sourceState{source: from.Public}
	}
	if p.backend == nil || p.public == nil && p.pinned == nil {
		p.decided.Store(int32(common))
	}
	return p
}

func (p *pair) verdict() verdict { return verdict(p.decided.Load()) }

// servedKey is a key that tokens are verified with.
type servedKey struct {
	key     *rsa.PublicKey
	at      time.Time // when the fetch began that it is from
	backend bool      // it is from the Backend API
}

// usable reports whether k may still be used while refreshes fail.
func (k servedKey) usable(now time.Time) bool {
	age := now.Sub(k.at)
	return k.key != nil && age >= 0 && age < maxStale
}

// need is what callers need a refresh to find out.
type need struct {
	kids    []string // the keys with these ids
	more    bool     // and with further ids
	compare bool     // whether both sources belong to one instance
}

// result is the result of a refresh.
type result struct {
	keys map[string]servedKey
	err  error // why there is no good set
	// backendErr and publicErr are the errors of the sources, nil as well for one that
	// was not fetched.
	backendErr, publicErr error
}

// refresh fetches the sources. It passes the keys of the first to early, unless the
// second, which did not fail last time, may have withdrawn some of them since. It calls
// needed after that, because more callers may have come.
func (p *pair) refresh(ctx context.Context, now time.Time, needed func() need, early func(map[string]servedKey, error)) result {
	first, second := p.backend, p.public
	if first == nil || p.verdict() == foreign && second != nil {
		first, second = second, first
	}
	firstErr := p.read(ctx, first, now, second != nil)
	responded := firstErr == nil || errors.Is(firstErr, errUnusable)
	if responded && !(second.due(now) && !second.failed) {
		early(p.merge(now), firstErr)
	}
	n := needed()
	var secondErr error
	readsSecond := second != nil && p.needsSecond(first, firstErr, second, now, n)
	if readsSecond {
		if secondErr = p.read(ctx, second, now, false); secondErr == nil {
			p.noteTried(n.kids)
		}
	}
	if err := p.compare(ctx, now); err != nil && secondErr == nil {
		secondErr = err
	}
	r := result{keys: p.merge(now), err: firstErr, backendErr: firstErr, publicErr: secondErr}
	if first != p.backend {
		r.backendErr, r.publicErr = secondErr, firstErr
	} else if readsSecond && secondErr == nil && !errors.Is(firstErr, errUnusable) {
		r.err = nil // the public set makes up for a failure of the Backend API
	}
	if p.verdict() == foreign {
		r.err = r.publicErr
		if p.onForeign != nil {
			p.onForeign()
		}
	}
	return r
}

// needsSecond reports whether second has to be fetched as well as first.
func (p *pair) needsSecond(first *sourceState, firstErr error, second *sourceState, now time.Time, n need) bool {
	if second.due(now) {
		return true // it may have withdrawn keys
	}
	if p.verdict() == foreign {
		return false
	}
	if firstErr != nil && !errors.Is(firstErr, errUnusable) || n.compare && p.verdict() == undecided || n.more {
		return true
	}
	for _, kid := range n.kids {
		if _, tried := p.tried[kid]; !tried && !first.published(kid) {
			return true
		}
	}
	return false
}

// noteTried records that both sources were fetched for kids.
func (p *pair) noteTried(kids []string) {
	for _, kid := range kids {
		if len(p.tried) >= maxTried {
			clear(p.tried)
		}
		p.tried[kid] = struct{}{}
	}
}

// read fetches o, in half of the time that is left if leaveTime is set for another. A
// panic on what the source responded with is an error of that fetch.
func (p *pair) read(ctx context.Context, o *sourceState, now time.Time, leaveTime bool) (err error) {
	defer func() {
		if recover() != nil {
			err = errors.New("reading the key set panicked")
		}
	}()
	if deadline, ok := ctx.Deadline(); ok && leaveTime {
		var cancel context.CancelFunc
		ctx, cancel = context.WithTimeout(ctx, time.Until(deadline)/2)
		defer cancel()
	}
	o.failed = true
	skipped, err := o.read(ctx, now)
	o.failed = err != nil
	if len(skipped) > 0 {
		p.log.Warn("clerkauth: keys in the key set of the instance are not used",
			"keys", len(skipped), "first_place", skipped[0].place, "first_reason", skipped[0].reason)
	}
	return err
}

// compare finds out whether both sources belong to one instance, once both were read.
// Before it decides that they do not, it fetches both again, because keys may have been
// rotated in between. It returns the error of the public set in that.
func (p *pair) compare(ctx context.Context, now time.Time) error {
	if p.verdict() == common || len(p.backend.keys) == 0 || p.pinned == nil && len(p.public.keys) == 0 {
		return nil
	}
	if p.shareKey() {
		p.decided.Store(int32(common))
		return nil
	}
	if p.verdict() == foreign {
		return nil
	}
	if answered := p.read(ctx, p.backend, now, p.pinned == nil) == nil; !answered {
		return nil
	}
	if p.pinned == nil {
		if err := p.read(ctx, p.public, now, false); err != nil {
			return err
		}
	}
	if p.shareKey() {
		p.decided.Store(int32(common))
	} else {
		p.decided.Store(int32(foreign))
	}
	return nil
}

// shareKey reports whether there is a key that both sources have published.
func (p *pair) shareKey() bool {
	for id := range p.backend.pastKeys {
		switch {
		case p.pinned != nil:
			if id.modulus == modulusOf(p.pinned) {
				return true
			}
		case p.public.pastKeys[id]:
			return true
		}
	}
	return false
}

// merge returns the keys of both sources except those that either has withdrawn. Of two
// keys with one id it returns the one that was read later, and the Backend API's if both
// were read in one refresh.
func (p *pair) merge(now time.Time) map[string]servedKey {
	if p.verdict() == foreign {
		if p.public == nil {
			return map[string]servedKey{}
		}
		return p.public.serve(nil, nil, now, false)
	}
	return p.public.serve(p.backend.serve(nil, p.public, now, true), p.backend, now, false)
}
