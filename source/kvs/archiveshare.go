package kvs

import (
	"sync"
	"time"

	"github.com/kvsframes/kvsframes/source"
)

// known is what is known of the extent of an archive, and how far it was read. Several goroutines may call its methods.
type known struct {
	mu              sync.Mutex
	first, at, last time.Time
}

// listed records when the last fragment begins.
func (k *known) listed(last time.Time) {
	k.mu.Lock()
	defer k.mu.Unlock()
	k.last = last
}

// read records that a fragment was read.
func (k *known) read(at time.Time) {
	k.mu.Lock()
	defer k.mu.Unlock()
	if k.first.IsZero() {
		k.first = at
	}
	k.at = at
}

// share returns the part that was read, 0 while the last fragment is not known.
func (k *known) share() float64 {
	k.mu.Lock()
	defer k.mu.Unlock()
	return source.End{Timestamp: k.last}.Share(k.first, k.at, 0)
}
