// Package pipeline carries the fragments of one stream from a source through the decode stage to
// sinks, in order and within bounds. It declares what it needs of these stages and imports none of
// them.
//
// A program puts a [Stream] together and calls [Run], which returns when the source has ended, a
// stage has failed or the context is cancelled. Package source has the sources, package decode the
// planner, and package sink the sink that names images and writes them to a folder or a bucket. For
// a sink of one's own [NewFuncSink] takes a function that gets each image; [Sink] is the whole
// contract, which also fits objects that hold the images of many fragments.
package pipeline

import (
	"context"

	"github.com/kvsframes/kvsframes/media"
)

// Source yields the fragments of one stream, in order (see source.Source).
type Source interface {
	// Next returns the next fragment, io.EOF at the clean end, or a
	// *media.GapError for a fragment that is lost when the stream continues.
	Next(ctx context.Context) (*media.Fragment, error)
	// Stats returns how far the source has come.
	Stats() media.SourceStats
	// Close releases what the source holds.
	Close() error
}

// Planner is the decode stage of one stream. A run calls its methods from one goroutine at a time.
type Planner interface {
	// Sinks returns the names of the sinks that the planner makes images for.
	Sinks() []string
	// MaxLookahead returns how many fragments beyond its own a work function may wait for
	// (see Plan).
	MaxLookahead() int
	// Plan decides which frames of f are wanted. It is called in stream order. The work function that it
	// returns decodes the fragment, at the same time as those of other fragments:
	//
	//   - The work function is called once, on a goroutine of its own.
	//   - It waits for a free decoder. The oldest fragment that waits gets the next one.
	//   - It calls emit for each image, in presentation order, on the goroutine that it was called
	//     on and never after it has returned. It stops with emit's error.
	//   - The work function may block until a later Plan (at most MaxLookahead fragments on) or
	//     End is called. The fragments in between do not block, and a lost fragment counts as one.
	//   - Its error ends the run. What is merely missing is a gap in the outcome.
	Plan(f *media.Fragment) func(ctx context.Context, emit func(media.Image) error) (media.Outcome, error)
	// Lost tells the planner that a fragment is missing between the last one that was planned and
	// the next.
	Lost()
	// End tells the planner that no fragment follows. It is called once, unless the run is given
	// up, and returns a gap for each request that no frame answers.
	End() []media.Gap
}
