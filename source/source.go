// Package source turns bytes into fragments: it splits GetMedia payloads and
// plain MKV files, and holds the contract of everything that yields fragments.
package source

import (
	"context"

	"github.com/kvsframes/kvsframes/media"
)

// Source yields the fragments of one stream, in stream order. It is used by one
// goroutine at a time.
type Source interface {
	// Next returns the next fragment. It returns io.EOF when the stream has
	// ended cleanly, and keeps returning it. It returns a *media.GapError when
	// one fragment is lost and the stream goes on; any other error ends the
	// stream. A cancelled context ends a waiting Next at once with the
	// context's error.
	Next(ctx context.Context) (*media.Fragment, error)
	// BytesRead is the number of payload bytes read so far. It may be called
	// while Next is at work.
	BytesRead() int64
	// Close releases connections and files. It may be called on any path, twice
	// too.
	Close() error
}

// result is one answer of Next.
type result struct {
	fragment *media.Fragment
	err      error
}
