// Package lag finds out when a live stream is read too far behind its newest fragment.
package lag

import (
	"cmp"
	"time"
)

// patience is how long a stream may be further behind than it should, by default: a burst of work is no lag.
const patience = time.Minute

// Watch observes the distance of a reader from the newest fragment of its stream.
type Watch struct {
	// Max is the distance that is never too much; 0 is no limit.
	Max time.Duration
	// Patience is how long the distance may be larger; 0 is a minute.
	Patience time.Duration

	since time.Time // when the distance was found to be larger; zero when it is not
}

// Exceeded records the present distance, and reports whether it has been larger than Max for Patience.
func (w *Watch) Exceeded(behind time.Duration) bool {
	now := time.Now()
	switch {
	case w.Max <= 0 || behind <= w.Max:
		w.since = time.Time{}
		return false
	case w.since.IsZero():
		w.since = now
	}
	return now.Sub(w.since) >= cmp.Or(w.Patience, patience)
}

// Late reports whether the distance was larger than Max when it was recorded last.
func (w *Watch) Late() bool { return !w.since.IsZero() }

// Reset forgets what was observed.
func (w *Watch) Reset() { w.since = time.Time{} }
