package decode

import (
	"context"
	"slices"
	"sync"
)

// memory is what all decoders of a pool may take together, by estimate. A fragment enters before it waits for a
// worker, and in the order of its stream, so that the holder of a worker has what it needs, and
// those that wait are never ones that others wait for.
type memory struct {
	limit int64

	mu sync.Mutex
	// used is what decoders take, at work or kept; running counts the fragments that have entered.
	used    int64
	running int
	// waiting are those that want to enter, in order; only the first may.
	waiting []chan struct{}
}

// enter waits until there is room for a decoder of size bytes, or nobody else is at work: a fragment that needs more
// than all runs alone rather than never. makeRoom frees decoders that nobody uses, and reports whether it
// could. A fragment that brings its decoder needs no room and does not wait. Each enter that succeeds needs one leave, and
// the room is given back by itself.
func (m *memory) enter(ctx context.Context, size int64, makeRoom func() bool) (*room, error) {
	if size == 0 {
		m.mu.Lock()
		defer m.mu.Unlock()
		m.running++
		return &room{}, nil
	}
	wake := make(chan struct{}, 1)
	m.mu.Lock()
	m.waiting = append(m.waiting, wake)
	m.mu.Unlock()
	defer m.stopWaiting(wake)
	for {
		first, in := m.admit(wake, size, false)
		for first && !in && makeRoom() {
			_, in = m.admit(wake, size, false)
		}
		if first && !in {
			_, in = m.admit(wake, size, true)
		}
		if in {
			return &room{memory: m, size: size}, nil
		}
		select {
		case <-ctx.Done():
			return nil, ctx.Err()
		case <-wake:
		}
	}
}

// admit lets the first of those that wait in if there is room, or alone if nobody is at work.
func (m *memory) admit(wake chan struct{}, size int64, alone bool) (first, in bool) {
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.waiting[0] != wake {
		return false, false
	}
	if m.used+size > m.limit && !(alone && m.running == 0) {
		return true, false
	}
	m.used += size
	m.running++
	return true, true
}

func (m *memory) stopWaiting(wake chan struct{}) {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.waiting = slices.DeleteFunc(m.waiting, func(w chan struct{}) bool { return w == wake })
	m.wakeFirst()
}

// wakeFirst has the first of those that wait look again. The lock is held.
func (m *memory) wakeFirst() {
	if len(m.waiting) == 0 {
		return
	}
	select {
	case m.waiting[0] <- struct{}{}:
	default: // it will look anyway
	}
}

// leave notes that a fragment is done. Its worker is idle by then, so that what it keeps can be freed.
func (m *memory) leave() {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.running--
	m.wakeFirst()
}

func (m *memory) give(size int64) {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.used -= size
	m.wakeFirst()
}

// room is the memory of one decoder. The zero value is none.
type room struct {
	memory *memory
	size   int64
}

// pass hands the room on, to an owner that lives longer.
func (r *room) pass() *room {
	passed := *r
	*r = room{}
	return &passed
}

// free gives the room back. Only the first call counts.
func (r *room) free() {
	if r != nil && r.memory != nil {
		r.memory.give(r.size)
		*r = room{}
	}
}
