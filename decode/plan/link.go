package plan

import (
	"context"
	"sync"
)

// Decoder is what a chain hands from fragment to fragment.
type Decoder interface {
	// Free frees the decoder, when no fragment takes it.
	Free()
}

// Link hands the decoder of one fragment to the next.
type Link struct {
	done chan struct{} // closed by give

	mu      sync.Mutex
	decoder Decoder
	// given reports whether give was called, released that nobody takes the decoder.
	given, released bool
}

func newLink() *Link { return &Link{done: make(chan struct{})} }

// Give hands a decoder on. Only the first call counts.
func (l *Link) Give(decoder Decoder) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.given {
		return
	}
	if l.released && decoder != nil {
		decoder.Free()
		decoder = nil
	}
	l.decoder, l.given = decoder, true
	close(l.done)
}

// GiveUp records that there is no decoder to go on with, unless one was given.
func (l *Link) GiveUp() { l.Give(nil) }

// take waits for the decoder, which is then the caller's.
func (l *Link) take(ctx context.Context) (Decoder, error) {
	select {
	case <-ctx.Done():
		// Whoever gives it later finds that nobody wants it.
		l.release()
		return nil, ctx.Err()
	case <-l.done:
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	decoder := l.decoder
	l.decoder = nil
	return decoder, nil
}

// release records that nobody takes the decoder.
func (l *Link) release() {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.released = true
	if l.decoder != nil {
		l.decoder.Free()
		l.decoder = nil
	}
}
