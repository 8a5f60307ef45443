package plan

import "sync/atomic"

// hold counts who needs the media of a fragment, and recycles it when nobody does any more.
type hold struct {
	users   atomic.Int32
	recycle func()
}

// newHold returns a hold with one user. recycle may be nil.
func newHold(recycle func()) *hold {
	h := &hold{recycle: recycle}
	h.users.Store(1)
	return h
}

// take adds a user.
func (h *hold) take() { h.users.Add(1) }

// drop takes a user away.
func (h *hold) drop() {
	if h.users.Add(-1) == 0 && h.recycle != nil {
		h.recycle()
	}
}
