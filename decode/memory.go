package decode

import (
	"context"
	"slices"
	"sync"
)

// memory limits the memory that all decoders of a pool take together, by estimate. A fragment enters before it waits
// for a worker, and in stream order. So a fragment with a worker always has its memory, and none that has entered
// waits for one that has not.
type memory struct {
	limit int64

	mu sync.Mutex
	// used is the memory of all decoders, busy or kept; running is the number of fragments that have entered.
	used    int64
	running int
	// waiting has a channel for each fragment that waits to enter, in order; only the first may enter.
	waiting []chan struct{}
}

// enter waits until there is room for a decoder of size bytes, or until no other fragment is running: one that needs
// more than the limit runs alone. makeRoom frees an idle decoder, and reports whether there was one. A fragment that
// already has a decoder passes size 0 and does not wait. Each successful enter needs one leave; the room is freed
// separately.
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

// admit admits the first waiting fragment if there is room or, with alone, if no other fragment is running.
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

// wakeFirst makes the first waiting fragment check again. m.mu must be held.
func (m *memory) wakeFirst() {
	if len(m.waiting) == 0 {
		return
	}
	select {
	case m.waiting[0] <- struct{}{}:
	default: // it is already woken
	}
}

// leave records that a fragment is done. Its worker must be idle by then, so that its kept decoders can be freed.
func (m *memory) leave() {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.running--
	m.wakeFirst()
}

// spare returns room of size bytes without waiting, or nil if there is none. To the owner of own bytes there is always room if
// nobody else has any.
func (m *memory) spare(size, own int64) *room {
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.used+size > m.limit && m.used > own {
		return nil
	}
	m.used += size
	return &room{memory: m, size: size}
}

func (m *memory) give(size int64) {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.used -= size
	m.wakeFirst()
}

// room is the memory of one decoder. The zero value is no memory.
type room struct {
	memory *memory
	size   int64
}

// pass moves the room to a new owner.
func (r *room) pass() *room {
	passed := *r
	*r = room{}
	return &passed
}

// free frees the room. Only the first call has an effect.
func (r *room) free() {
	if r != nil && r.memory != nil {
		r.memory.give(r.size)
		*r = room{}
	}
}
