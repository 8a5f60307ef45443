package plan

import (
	"context"
	"sync"
)

// Decoder is a decoder that one fragment of a chain hands to the next.
type Decoder interface {
	// Free frees the decoder. It is called if no fragment takes it.
	Free()
}

// Link hands the decoder of one fragment to the next.
type Link struct {
	done chan struct{} // closed by Give

	mu      sync.Mutex
	decoder Decoder
	// given reports whether Give was called, released whether no fragment will take the decoder.
	given, released bool
}

func newLink() *Link { return &Link{done: make(chan struct{})} }

// Give hands a decoder to the next fragment, which owns it from then on; nil means none. Only the first call has an effect.
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

// GiveUp leaves the next fragment without a decoder, unless Give was called before.
func (l *Link) GiveUp() { l.Give(nil) }

// take waits for the decoder, which then belongs to the caller.
func (l *Link) take(ctx context.Context) (Decoder, error) {
	select {
	case <-ctx.Done():
		// If a decoder is given later, Give frees it.
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

// release records that no fragment takes the decoder, which is freed now or when it is given.
func (l *Link) release() {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.released = true
	if l.decoder != nil {
		l.decoder.Free()
		l.decoder = nil
	}
}
