package source

import (
	"context"
	"sync"
)

// relay is what a Source that reads several others, one after the other, keeps of them: the
// current one, and what the ones before have counted. Its methods may be called by several
// goroutines.
type relay struct {
	life context.Context // ends when the relay is closed; a signal, not the context of a call
	end  context.CancelFunc

	mu      sync.Mutex
	current Source // nil between two
	before  int64  // the bytes that the former ones read
}

func newRelay() *relay {
	r := &relay{}
	r.life, r.end = context.WithCancel(context.Background())
	return r
}

// closed reports whether the relay was closed.
func (r *relay) closed() bool { return r.life.Err() != nil }

// source returns the current source, nil between two.
func (r *relay) source() Source {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.current
}

// use makes src the current source and reports whether it did: once the relay is closed it
// closes src instead.
func (r *relay) use(src Source) bool {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.closed() {
		_ = src.Close() // nothing of it was wanted
		return false
	}
	r.current = src
	return true
}

// leave closes the current source, if there is one, and keeps its count of bytes.
func (r *relay) leave() {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.current == nil {
		return
	}
	_ = r.current.Close() // an error would not matter: the source is given up
	r.before += r.current.Stats().BytesRead
	r.current = nil
}

// stats returns the current source's counts, with the bytes of all.
func (r *relay) stats() Stats {
	r.mu.Lock()
	defer r.mu.Unlock()
	var stats Stats
	if r.current != nil {
		stats = r.current.Stats()
	}
	stats.BytesRead += r.before
	return stats
}

// close closes the relay and the current source.
func (r *relay) close() error {
	r.end()
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.current == nil {
		return nil
	}
	return r.current.Close()
}
