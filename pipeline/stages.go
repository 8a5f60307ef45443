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
	// Next returns the next fragment, io.EOF at the clean end, or a
	// *media.GapError for a fragment that is lost while the stream goes on.
	Next(ctx context.Context) (*media.Fragment, error)
	// BytesRead is the number of payload bytes read so far.
	BytesRead() int64
	// Close releases what the source holds.
	Close() error
}

// Planner is the decode stage of one stream.
type Planner interface {
	// Plan decides what is wanted of f; it is called in stream order. The
	// function that it returns does the work, at the same time as others. It
	// waits while all decoders are busy, calls emit for every image in
	// presentation order, on the goroutine it was called on and never after it
	// has returned, and stops with emit's error. Its own error ends the run;
	// what is merely missing is in the outcome. It may wait for later calls of the
	// planner's: for that of the next fragment, for 32 of them when nothing is wanted of
	// those in between, which do not wait themselves, and for End. Of several that wait for a
	// decoder the oldest gets it.
	Plan(f *media.Fragment) func(ctx context.Context, emit func(media.Image) error) (media.Outcome, error)
	// Lost tells the stage that a fragment is missing between the last one that was planned and
	// the next.
	Lost()
	// End tells the stage that no fragment follows. It is called once, unless the run is given
	// up, and returns what was asked for and is not there.
	End() []media.Gap
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
	// durable. The records are in presentation order and at least one. It is
	// called for one fragment after the other.
	Commit(ctx context.Context, f *media.Fragment, records []media.Record) error
}
