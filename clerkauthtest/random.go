package clerkauthtest

import (
	"crypto/rand"
	"sync"
)

// randomness is held while something is made at random. In FIPS mode a generator
// that is asked by several at once begins with measuring real time, of which there is
// none in a bubble of testing/synctest; so does the first one, which begins here.
var (
	randomness sync.Mutex
	_          = rand.Text()
)

// atRandom returns what generate does, for one at a time.
func atRandom[T any](generate func() T) T {
	randomness.Lock()
	defer randomness.Unlock()
	return generate()
}

// randomText is rand.Text, for one at a time.
func randomText() string { return atRandom(rand.Text) }
