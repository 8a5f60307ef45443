// Package source reads streams as fragments. It has the interface Source, sources of files, and the code that
// combines many sessions of a service into one stream.
//
// Most programs open a stream with kvs.Open (package source/kvs), or files with OpenFiles:
//
//	files := source.FileConfig{Paths: []string{"*.mkv"}}
//	inputs, err := source.OpenFiles(source.Config{Origin: files}, os.Stdin, nil)
//	...
//	src, err := inputs[0].Open(ctx)
//
// and read it until io.EOF. Functions such as WithEnd, WithTags and Until return a Source that changes another
// one. To read from another service, implement Source, or implement Dialer and let NewLive combine its sessions
// into one stream. Package source/payload cuts bytes into fragments.
package source

import (
	"context"

	"github.com/kvsframes/kvsframes/media"
)

// Source returns the fragments of one stream, in stream order. One goroutine at a time uses it, except for Stats and
// Close.
type Source interface {
	// Next returns the next fragment. It returns io.EOF when the stream has ended cleanly, and keeps returning
	// it. It returns a *media.GapError when one fragment is lost and the stream continues; any other error ends
	// the stream. A cancelled context ends a waiting Next at once with the context's error.
	Next(ctx context.Context) (*media.Fragment, error)
	// Stats returns the progress of the source. It may be called while Next is running.
	Stats() Stats
	// Close releases connections and files. It may be called at any time, and more than once.
	Close() error
}

// Stats describes the progress of a source and the state of its service.
type Stats = media.SourceStats

// Reach states whether the service that a source reads answers, and since when.
type Reach = media.Reach

// UnfinishedError is the error of a Next whose context ended inside a fragment. A caller that ends the stream
// takes the partial fragment from here, so that it is not lost silently; a later Next would read the fragment
// again.
type UnfinishedError struct {
	// Fragment is the part of the fragment that arrived; nil when it cannot be used.
	Fragment *media.Fragment
	// Gap describes the fragment when no part of it can be used.
	Gap *media.GapError
	// Err describes the operation, and wraps the context's error.
	Err error
}

// Error implements error.
func (e *UnfinishedError) Error() string { return e.Err.Error() }

// Unwrap returns Err.
func (e *UnfinishedError) Unwrap() error { return e.Err }

// result is one result of Next.
type result struct {
	fragment *media.Fragment
	err      error
}
