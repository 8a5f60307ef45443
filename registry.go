package kvsframes

import (
	"maps"
	"slices"
	"sync"
)

// registry holds something of each stream that is being run. The zero value is empty. Several goroutines may use it.
type registry[T any] struct {
	mu  sync.Mutex
	all map[string]T
}

// add adds what belongs to a stream, until done is called.
func (r *registry[T]) add(stream string, of T) (done func()) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.all == nil {
		r.all = map[string]T{}
	}
	r.all[stream] = of
	return func() {
		r.mu.Lock()
		defer r.mu.Unlock()
		delete(r.all, stream)
	}
}

// each calls f for each stream, in the order of their names. f must not use the registry.
func (r *registry[T]) each(f func(stream string, of T)) {
	r.mu.Lock()
	defer r.mu.Unlock()
	for _, stream := range slices.Sorted(maps.Keys(r.all)) {
		f(stream, r.all[stream])
	}
}
