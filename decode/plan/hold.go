package plan

import "sync/atomic"

// hold counts the users of a fragment's media, and recycles the media after the last one.
type hold struct {
	users   atomic.Int32
	recycle func()
	// spoiled reports whether the fragment kills decoders.
	spoiled atomic.Bool
}

// newHold returns a hold with one user. recycle may be nil.
func newHold(recycle func()) *hold {
	h := &hold{recycle: recycle}
	h.users.Store(1)
	return h
}

// take adds a user.
func (h *hold) take() { h.users.Add(1) }

// drop removes a user.
func (h *hold) drop() {
	if h.users.Add(-1) == 0 && h.recycle != nil {
		h.recycle()
	}
}
