package decode

import (
	"context"
	"slices"
	"sync"
)

// line is where the fragments of one stream wait for workers, in their order. Out of it all workers
// could be with later fragments, whose images nobody takes before those of the oldest.
type line struct {
	mu     sync.Mutex
	places []*place
}

// place is that of one fragment.
type place struct {
	first chan struct{} // closed when no other is before it
}

// join takes the last place.
func (l *line) join() *place {
	l.mu.Lock()
	defer l.mu.Unlock()
	p := &place{make(chan struct{})}
	if l.places = append(l.places, p); len(l.places) == 1 {
		close(p.first)
	}
	return p
}

// leave gives a place up; nil, or one that was given up, is none.
func (l *line) leave(p *place) {
	l.mu.Lock()
	defer l.mu.Unlock()
	i := slices.Index(l.places, p)
	if i < 0 {
		return
	}
	l.places = slices.Delete(l.places, i, i+1)
	if i == 0 && len(l.places) > 0 {
		close(l.places[0].first)
	}
}

// wait returns when nobody is before p. The nil place waits for nobody.
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
