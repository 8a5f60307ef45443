// Package pipeline carries fragments of one stream from a source through the
// decode stage to the sinks, in order and within bounds. It declares what it
// needs of the stages and imports none of them.
package pipeline

import (
	"context"

	"github.com/kvsframes/kvsframes/media"
)

// Source yields the fragments of one stream, in order (see source.Source).
type Source interface {
	Next(ctx context.Context) (*media.Fragment, error)
	BytesRead() int64
	Close() error
}

// Planner decides, in stream order, what is wanted of a fragment. The function
// that it returns does the work: it may run at the same time as others, calls emit for every image, in
// presentation order, on the goroutine it was called on and never after it has returned, and
// stops with emit's error. It blocks while all decoders are busy. An error ends the run; what is merely missing is in the outcome.
type Planner interface {
	Plan(f *media.Fragment) func(ctx context.Context, emit func(media.Image) error) (media.Outcome, error)
}

// Sink writes the images of one sink (see sink.Sink).
type Sink interface {
	// Name is the sink's name.
	Name() string
	// MaxInFlight is the largest number of Writes to have under way at once.
	MaxInFlight() int
	// Write makes one image durable. Several goroutines may call it at once.
	Write(ctx context.Context, img media.Image) (media.Record, error)
	// Commit writes the manifest part of a fragment whose images are all
	// durable. records are in presentation order and not empty. It is called for one fragment
	// after the other.
	Commit(ctx context.Context, f *media.Fragment, records []media.Record) error
}
