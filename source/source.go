// Package source holds what reads streams as fragments: the contract Source, sources of files,
// and what turns many sessions of a service into one stream.
//
// Most programs open a stream with kvs.Open (package source/kvs), or files with OpenFiles:
//
//	files := source.FileConfig{Paths: []string{"*.mkv"}}
//	inputs, err := source.OpenFiles(source.Config{Origin: files}, os.Stdin, nil)
//	...
//	src, err := inputs[0].Open(ctx)
//
// and read it until io.EOF. Functions such as WithEnd, WithTags and Until return a Source that
// changes another one. To read from a service of one's own, implement Source, or implement Dialer
// and let NewLive make one stream of its sessions. Package source/payload cuts bytes into
// fragments.
package source

import (
	"context"

	"github.com/kvsframes/kvsframes/media"
)

// Source yields the fragments of one stream, in stream order. It is used by one
// goroutine at a time, except for Stats.
type Source interface {
	// Next returns the next fragment. It returns io.EOF when the stream has
	// ended cleanly, and keeps returning it. It returns a *media.GapError when
	// one fragment is lost and the stream continues; any other error ends the
	// stream. A cancelled context ends a waiting Next at once with the
	// context's error.
	Next(ctx context.Context) (*media.Fragment, error)
	// Stats returns how far the source has come. It may be called while Next is at work.
	Stats() Stats
	// Close releases connections and files. It may be called at any time, and more than
	// once.
	Close() error
}

// Stats tell how far a source has come and how its service behaves.
type Stats = media.SourceStats

// Reach tells whether the service that a source reads answers, and since when.
type Reach = media.Reach

// UnfinishedError is the error of a Next whose context ended inside a fragment. Whoever ends
// the stream then takes what came of the fragment from here, so that it is not lost in
// silence; a later Next would read it again.
type UnfinishedError struct {
	// Fragment is the fragment as far as it came; nil when nothing of it can be used.
	Fragment *media.Fragment
	// Gap stands for the fragment when nothing of it can be used.
	Gap *media.GapError
	// Err states what was being done, and wraps the context's error.
	Err error
}

// Error implements error.
func (e *UnfinishedError) Error() string { return e.Err.Error() }

// Unwrap returns Err.
func (e *UnfinishedError) Unwrap() error { return e.Err }

// result is one answer of Next.
type result struct {
	fragment *media.Fragment
	err      error
}
