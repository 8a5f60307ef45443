package source

import (
	"context"
	"sync"
)

// relay holds the current one of several sources that a Source reads one after the other, and the counts of the
// previous ones. Several goroutines may call its methods.
type relay struct {
	life context.Context // ends when the relay is closed; a signal, not the context of a call
	end  context.CancelFunc

	mu      sync.Mutex
	current Source // nil between two
	before  int64  // the bytes that the previous sources read
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

// use makes src the current source and returns true. If the relay is closed, it closes src and returns false.
func (r *relay) use(src Source) bool {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.closed() {
		_ = src.Close() // it is not used
		return false
	}
	r.current = src
	return true
}

// leave closes the current source, if any, and keeps its count of bytes.
func (r *relay) leave() {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.current == nil {
		return
	}
	_ = r.current.Close() // the error does not matter: the source is not used any more
	r.before += r.current.Stats().BytesRead
	r.current = nil
}

// stats returns the counts of the current source, with the bytes of all sources.
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
