package decode

import (
	"context"
	"slices"
	"sync"
)

// queue admits the fragments of one stream to workers in stream order. Otherwise later fragments could occupy every
// worker while the oldest, which all output waits for, has none.
type queue struct {
	mu     sync.Mutex
	places []*place
}

// place is the place of one fragment in the queue.
type place struct {
	first chan struct{} // closed when no other is before it
}

// join returns a place at the end of the queue.
func (q *queue) join() *place {
	q.mu.Lock()
	defer q.mu.Unlock()
	p := &place{make(chan struct{})}
	if q.places = append(q.places, p); len(q.places) == 1 {
		close(p.first)
	}
	return p
}

// leave removes p from the queue. It does nothing if p is nil or was removed before.
func (q *queue) leave(p *place) {
	q.mu.Lock()
	defer q.mu.Unlock()
	i := slices.Index(q.places, p)
	if i < 0 {
		return
	}
	q.places = slices.Delete(q.places, i, i+1)
	if i == 0 && len(q.places) > 0 {
		close(q.places[0].first)
	}
}

// wait returns when p is the first of its queue, or with the context's error. A nil place does not wait.
func (p *place) wait(ctx context.Context) error {
	if p == nil {
		return nil
	}
	select {
	case <-ctx.Done():
		return ctx.Err()
	case <-p.first:
		return nil
	}
}
