package kvs

import (
	"context"
	"sync"
	"time"

	"github.com/kvsframes/kvsframes/media"
)

// quota holds back fragments that may be beyond the end of reading, so that no fragment is requested in vain.
// Lost fragments do not count. The zero value has no end.
type quota struct {
	// fragments and length are the limits, 0 is none; length is measured on clock from the first fragment that
	// arrives. past also admits the first fragment beyond the length.
	fragments int
	length    time.Duration
	clock     media.Clock
	past      bool

	mu sync.Mutex
	// asked is the number of fragments that were requested and not lost, open the number of those that have
	// not arrived.
	asked, open int
	// early are the first fragments, up to the one from which the length is measured.
	early []early
	fixed bool
	// beyond reports whether the fragment beyond the length was requested.
	beyond bool
	// change has an element after a fragment was settled.
	change chan struct{}
}

// early is a fragment from which the length may be measured.
type early struct {
	number string
	at     time.Time
	came   bool
}

func newQuota(r extent) *quota {
	return &quota{fragments: r.Fragments, length: r.Length, clock: r.Clock, past: r.Onward, change: make(chan struct{}, 1)}
}

// room returns how many fragments of a row may be requested now. It waits until at least one may, and returns
// 0 at the end.
func (q *quota) room(ctx context.Context, row []ArchivedFragment) (int, error) {
	for {
		n, open := q.count(row)
		if n > 0 || open == 0 {
			return n, nil
		}
		select {
		case <-q.change:
		case <-ctx.Done():
			return 0, ctx.Err()
		}
	}
}

func (q *quota) count(row []ArchivedFragment) (n, open int) {
	q.mu.Lock()
	defer q.mu.Unlock()
	if q.fragments > 0 {
		row = row[:min(len(row), max(0, q.fragments-q.asked))]
	}
	if q.length == 0 {
		return len(row), q.open
	}
	first := time.Time{}
	if len(q.early) > 0 {
		first = q.early[0].at
	}
	for _, f := range row {
		if first.IsZero() {
			first = f.at(q.clock)
		}
		if f.at(q.clock).Sub(first) >= q.length {
			if q.past && !q.beyond {
				n++
			}
			break
		}
		n++
	}
	if q.beyond {
		n = 0
	}
	return n, q.open
}

// ask records that fragments are requested.
func (q *quota) ask(row []ArchivedFragment) {
	q.mu.Lock()
	defer q.mu.Unlock()
	q.asked += len(row)
	q.open += len(row)
	for _, f := range row {
		if q.length == 0 {
			break
		}
		if !q.fixed {
			q.early = append(q.early, early{number: f.Number, at: f.at(q.clock)})
		}
		q.beyond = q.beyond || f.at(q.clock).Sub(q.early[0].at) >= q.length
	}
}

// settle records that a fragment has arrived or is lost.
func (q *quota) settle(number string, lost bool) {
	q.mu.Lock()
	defer q.mu.Unlock()
	q.open--
	if lost {
		q.asked--
	}
	for i := range q.early {
		if !q.fixed && q.early[i].number == number {
			if q.early[i].came = !lost; lost {
				q.early = append(q.early[:i], q.early[i+1:]...)
			}
			break
		}
	}
	if len(q.early) > 0 && q.early[0].came {
		q.early, q.fixed = q.early[:1:1], true
	}
	select {
	case q.change <- struct{}{}:
	default:
	}
}
