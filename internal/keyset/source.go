package keyset

import (
	"context"
	"crypto/rsa"
	"crypto/sha256"
	"errors"
	"time"
)

// sourceState is a source and the keys that it has published. All methods but read and
// remember may be called on nil, a source that has published nothing.
type sourceState struct {
	source   Source
	keys     map[string]*rsa.PublicKey // as of the last read that succeeded
	at       time.Time                 // when that began; zero if there was none
	failed   bool                      // the last read failed
	pastIDs  map[string]bool           // ids of all keys that were published, usable or not
	pastKeys map[keyID]bool            // all usable keys that were published
}

// keyID is a key's id and a digest of its modulus.
type keyID struct {
	kid     string
	modulus [sha256.Size]byte
}

func modulusOf(key *rsa.PublicKey) [sha256.Size]byte { return sha256.Sum256(key.N.Bytes()) }

// maxHistory bounds the keys that are remembered of a source. Sets hold a few keys, and a
// new one every few months.
const maxHistory = 10_000

// read fetches the set. A good set replaces the keys as a whole, and so does one without
// a usable key (errUnusable); any other error leaves them as they were.
func (o *sourceState) read(ctx context.Context, now time.Time) ([]skippedKey, error) {
	body, err := o.source(ctx)
	if err != nil {
		return nil, err
	}
	keys, skipped, err := parseSet(body)
	if err != nil && !errors.Is(err, errUnusable) {
		return skipped, err
	}
	for kid, key := range keys {
		if old := o.keys[kid]; old != nil && same(old, key) {
			keys[kid] = old // what crypto/rsa has computed for it stays of use
		}
	}
	o.keys, o.at = keys, now
	o.remember(skipped)
	return skipped, err
}

// remember adds the current keys to those that were ever published.
func (o *sourceState) remember(skipped []skippedKey) {
	if o.pastIDs == nil || len(o.pastIDs) > maxHistory || len(o.pastKeys) > maxHistory {
		o.pastIDs, o.pastKeys = map[string]bool{}, map[keyID]bool{}
	}
	for kid, key := range o.keys {
		o.pastIDs[kid] = true
		o.pastKeys[keyID{kid, modulusOf(key)}] = true
	}
	for _, s := range skipped {
		if s.kid != "" {
			o.pastIDs[s.kid] = true
		}
	}
}

// due reports whether o was read before and has to be read again.
func (o *sourceState) due(now time.Time) bool {
	if o == nil || o.at.IsZero() {
		return false
	}
	age := now.Sub(o.at)
	return age < 0 || age >= refreshAfter
}

// published reports whether o has ever published a key with that id.
func (o *sourceState) published(kid string) bool { return o != nil && o.pastIDs[kid] }

// withdrew reports whether o has withdrawn that key, or all keys with its id.
func (o *sourceState) withdrew(kid string, key *rsa.PublicKey) bool {
	if o == nil {
		return false
	}
	own := o.keys[kid]
	return own == nil && o.pastIDs[kid] || own != nil && !same(own, key) && o.pastKeys[keyID{kid, modulusOf(key)}]
}

// serve adds o's keys to set, except those that other has withdrawn, and returns set.
func (o *sourceState) serve(set map[string]servedKey, other *sourceState, now time.Time, backend bool) map[string]servedKey {
	if set == nil {
		set = map[string]servedKey{}
	}
	if o == nil {
		return set
	}
	for kid, key := range o.keys {
		k := servedKey{key, o.at, backend}
		if !k.usable(now) || other.withdrew(kid, key) {
			continue
		}
		switch before, ok := set[kid]; {
		case ok && same(before.key, key):
			before.at = latest(before.at, o.at)
			set[kid] = before
		case !ok || o.at.After(before.at):
			set[kid] = k
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
