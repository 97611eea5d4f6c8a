package keyset

import (
	"context"
	"crypto/rsa"
	"crypto/sha256"
	"errors"
	"log/slog"
	"sync/atomic"
	"time"
)

// Sources are the places where an instance publishes its keys. At least one of
// Backend and Public is needed.
type Sources struct {
	// Backend is the key set of the Backend API, which is asked with the secret key.
	Backend Source
	// Public is the key set of the Frontend API. With both, it is asked while the
	// Backend API cannot be, and once for a key id that the Backend API never had.
	Public Source
	// Pinned is a key of the instance that stands for Public when it is found out
	// whether Backend is of the same instance.
	Pinned *rsa.PublicKey
	// Foreign, if not nil, is called by each refresh that finds Backend to be of
	// another instance, or has found so earlier.
	Foreign func()
}

// ErrForeign says that the secret key is of another instance than the public set,
// or than the pinned key.
var ErrForeign = errors.New("the secret key is of another instance")

// verdict says whether both sources are of one instance.
type verdict int32

const (
	undecided verdict = iota
	common            // they are, or there is nothing to compare; final
	foreign           // they are not: the Backend API's set is not used
)

// pair makes one set of keys of the two that an instance publishes. A key that
// either has held and dropped is withdrawn, whatever the other says. It is used by
// one refresh at a time; decided alone may be read at any time.
type pair struct {
	backend, public *origin // nil: there is none
	pinned          *rsa.PublicKey
	decided         atomic.Int32        // a verdict
	tried           map[string]struct{} // ids that both have been asked for
	log             *slog.Logger
	tell            func()
}

// maxTried is how many of those are remembered.
const maxTried = 1024

func newPair(from Sources, log *slog.Logger) *pair {
	p := &pair{pinned: from.Pinned, tried: map[string]struct{}{}, log: log, tell: from.Foreign}
	if from.Backend != nil {
		p.backend = &origin{source: from.Backend}
	}
	if from.Public != nil {
		p.public = &origin{source: from.Public}
	}
	if p.backend == nil || p.public == nil && p.pinned == nil {
		p.decided.Store(int32(common))
	}
	return p
}

func (p *pair) verdict() verdict { return verdict(p.decided.Load()) }

// held is a key of the set that is served.
type held struct {
	key     *rsa.PublicKey
	at      time.Time // when the fetch began that gave it
	backend bool      // by the Backend API
}

// usable reports whether h may still be relied upon while refreshes fail.
func (h held) usable(now time.Time) bool {
	age := now.Sub(h.at)
	return h.key != nil && age >= 0 && age < MaxStale
}

// asks is what is expected of a refresh.
type asks struct {
	kids    []string // that are waited for
	many    bool     // there are more of them
	compare bool     // whether both sources are of one instance
}

// result is what a refresh came to.
type result struct {
	keys map[string]held
	err  error // there is no good set
	// backendErr and publicErr are why a source gave none; nil, too, if it was not
	// asked.
	backendErr, publicErr error
	publicRead            bool // the public set was asked, and answered
}

// refresh asks the sources. What the first has answered goes to early, unless the
// second, which answered last time, is to be looked at for what it has dropped. What
// is expected is asked for after that: those who wait may have become more.
func (p *pair) refresh(ctx context.Context, now time.Time, expected func() asks, early func(map[string]held, error)) result {
	first, second := p.backend, p.public
	if first == nil || p.verdict() == foreign && second != nil {
		first, second = second, first
	}
	firstErr := p.read(ctx, first, now, second != nil)
	answered := firstErr == nil || errors.Is(firstErr, errUnusable)
	if answered && !(second.old(now) && !second.failed) {
		early(p.merge(now), firstErr)
	}
	asked := expected()
	var secondErr error
	asksSecond := second != nil && p.needs(first, firstErr, second, now, asked)
	if asksSecond {
		if secondErr = p.read(ctx, second, now, false); secondErr == nil {
			p.askedOnce(asked.kids)
		}
	}
	if e := p.compare(ctx, now); e != nil && secondErr == nil {
		secondErr = e
	}
	r := result{keys: p.merge(now), err: firstErr, backendErr: firstErr, publicErr: secondErr}
	r.publicRead = asksSecond && secondErr == nil
	if first != p.backend {
		r.backendErr, r.publicErr, r.publicRead = secondErr, firstErr, firstErr == nil
	}
	if r.publicRead && first == p.backend && !errors.Is(firstErr, errUnusable) {
		r.err = nil // one source is as good as both
	}
	if p.verdict() == foreign {
		r.err = r.publicErr
		if p.tell != nil {
			p.tell()
		}
	}
	return r
}

// needs reports whether second is to be asked as well.
func (p *pair) needs(first *origin, firstErr error, second *origin, now time.Time, asked asks) bool {
	if second.old(now) {
		return true // what it has dropped since is withdrawn
	}
	if p.verdict() == foreign {
		return false
	}
	if firstErr != nil && !errors.Is(firstErr, errUnusable) || asked.compare && p.verdict() == undecided || asked.many {
		return true
	}
	for _, kid := range asked.kids {
		if _, tried := p.tried[kid]; !tried && !first.hadID(kid) {
			return true
		}
	}
	return false
}

// askedOnce remembers that both sources have answered for kids.
func (p *pair) askedOnce(kids []string) {
	for _, kid := range kids {
		if len(p.tried) >= maxTried {
			clear(p.tried)
		}
		p.tried[kid] = struct{}{}
	}
}

// read asks o, for half of the time that is left if another is to be asked after it.
// A panic on what came back is a failed fetch, not the end of the server.
func (p *pair) read(ctx context.Context, o *origin, now time.Time, leaveTime bool) (err error) {
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
	odd, err := o.read(ctx, now)
	o.failed = err != nil
	if len(odd) > 0 {
		p.log.Warn("clerkauth: keys of the instance's key set are not used",
			"keys", len(odd), "first_place", odd[0].place, "first_reason", odd[0].reason)
	}
	return err
}

// compare finds out whether both sources are of one instance, as soon as both have
// been read. Before they are called foreign both are asked afresh, because keys may
// have been rotated between the two answers. It returns why the public set could not
// be had then.
func (p *pair) compare(ctx context.Context, now time.Time) error {
	if p.verdict() == common || len(p.backend.keys) == 0 || p.pinned == nil && len(p.public.keys) == 0 {
		return nil
	}
	if p.share() {
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
	if p.share() {
		p.decided.Store(int32(common))
	} else {
		p.decided.Store(int32(foreign))
	}
	return nil
}

// share reports whether there is a key that both sources hold or have held.
func (p *pair) share() bool {
	for id := range p.backend.had {
		switch {
		case p.pinned != nil:
			if id.modulus == modulusOf(p.pinned) {
				return true
			}
		case p.public.had[id]:
			return true
		}
	}
	return false
}

// merge returns the keys of both sources but those that either has withdrawn. Of two
// keys of one id the one that was read later counts, the Backend API's if both were.
func (p *pair) merge(now time.Time) map[string]held {
	if p.verdict() == foreign {
		if p.public == nil {
			return map[string]held{}
		}
		return p.public.serve(nil, nil, now, false)
	}
	return p.public.serve(p.backend.serve(nil, p.public, now, true), p.backend, now, false)
}

// origin is a source, what it held when it was last read, and what it has held.
type origin struct {
	source Source
	keys   map[string]*rsa.PublicKey
	at     time.Time       // when the last good fetch began; zero for never
	failed bool            // the last fetch was not good
	ids    map[string]bool // that it has held, usable or not
	had    map[keyID]bool  // keys that it has held
}

// keyID is a key's id and a digest of its modulus.
type keyID struct {
	kid     string
	modulus [sha256.Size]byte
}

func modulusOf(key *rsa.PublicKey) [sha256.Size]byte { return sha256.Sum256(key.N.Bytes()) }

// maxHistory bounds what is remembered of a source. Sets hold a few keys, and a new
// one every few months.
const maxHistory = 10_000

// read asks the source. A good set replaces the one before it whole, and so does one
// of which no key is usable (errUnusable); any other error leaves it as it was.
func (o *origin) read(ctx context.Context, now time.Time) ([]skipped, error) {
	body, err := o.source(ctx)
	if err != nil {
		return nil, err
	}
	keys, odd, err := parseSet(body)
	if err != nil && !errors.Is(err, errUnusable) {
		return odd, err
	}
	for kid, key := range keys {
		if old := o.keys[kid]; old != nil && same(old, key) {
			keys[kid] = old // what was computed for it stays of use
		}
	}
	o.keys, o.at = keys, now
	o.remember(odd)
	return odd, err
}

// remember adds what is held now to what was ever held.
func (o *origin) remember(odd []skipped) {
	if o.ids == nil || len(o.ids) > maxHistory || len(o.had) > maxHistory {
		o.ids, o.had = map[string]bool{}, map[keyID]bool{}
	}
	for kid, key := range o.keys {
		o.ids[kid] = true
		o.had[keyID{kid, modulusOf(key)}] = true
	}
	for _, s := range odd {
		if s.kid != "" {
			o.ids[s.kid] = true
		}
	}
}

// old reports whether o was read before, and is to be read again.
func (o *origin) old(now time.Time) bool {
	if o == nil || o.at.IsZero() {
		return false
	}
	age := now.Sub(o.at)
	return age < 0 || age >= refreshAfter
}

// hadID reports whether o holds or has held a key of that id.
func (o *origin) hadID(kid string) bool { return o != nil && o.ids[kid] }

// withdrew reports whether o has dropped that key, or its id altogether.
func (o *origin) withdrew(kid string, key *rsa.PublicKey) bool {
	if o == nil {
		return false
	}
	own := o.keys[kid]
	return own == nil && o.ids[kid] || own != nil && !same(own, key) && o.had[keyID{kid, modulusOf(key)}]
}

// serve adds o's keys to set, but those that other has withdrawn, and returns it.
func (o *origin) serve(set map[string]held, other *origin, now time.Time, backend bool) map[string]held {
	if set == nil {
		set = map[string]held{}
	}
	if o == nil {
		return set
	}
	for kid, key := range o.keys {
		h := held{key, o.at, backend}
		if !h.usable(now) || other.withdrew(kid, key) {
			continue
		}
		switch before, ok := set[kid]; {
		case ok && same(before.key, key):
			before.at = latest(before.at, o.at)
			set[kid] = before
		case !ok || o.at.After(before.at):
			set[kid] = h
		}
	}
	return set
}

func latest(a, b time.Time) time.Time {
	if a.After(b) {
		return a
	}
	return b
}
