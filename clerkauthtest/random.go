package clerkauthtest

import (
	"crypto/rand"
	"sync"
)

// randomness is held while random values are generated. In FIPS mode a generator begins
// by measuring real time, which does not advance in a bubble of testing/synctest: the
// first one, which is used here, and more of them if callers are concurrent.
var (
	randomness sync.Mutex
	_          = rand.Text()
)

// atRandom calls generate, for one caller at a time.
func atRandom[T any](generate func() T) T {
	randomness.Lock()
	defer randomness.Unlock()
	return generate()
}

// randomText is rand.Text, for one caller at a time.
func randomText() string { return atRandom(rand.Text) }
