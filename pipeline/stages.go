// Package pipeline passes the fragments of one stream from a source through the decode stage to sinks, in order
// and with bounded memory. It declares the interfaces of these stages and imports none of them.
//
// A program fills in a [Stream] and calls [Run], which returns when the source has ended, a stage has failed or
// the context is cancelled. Package source provides sources, package decode the planner, and package sink the
// sink that names images and writes them to a folder or a bucket. For a custom sink [NewFuncSink] takes a
// function that receives each image; [Sink] is the whole contract, which also allows objects that hold the
// images of many fragments.
package pipeline

import (
	"context"

	"github.com/kvsframes/kvsframes/media"
)

// Source returns the fragments of one stream, in order (see source.Source).
type Source interface {
	// Next returns the next fragment, io.EOF at the clean end, or a *media.GapError for a fragment that is lost
	// when the stream continues.
	Next(ctx context.Context) (*media.Fragment, error)
	// Stats returns the progress of the source.
	Stats() media.SourceStats
	// Close releases the source's resources.
	Close() error
}

// Planner is the decode stage of one stream. A run calls its methods from one goroutine at a time.
type Planner interface {
	// Sinks returns the names of the sinks for which the planner makes images.
	Sinks() []string
	// MaxLookahead returns how many fragments beyond its own a work function may wait for (see Plan).
	MaxLookahead() int
	// Plan decides which frames of f are wanted. It is called in stream order. It returns a work function that
	// decodes the fragment, concurrently with those of other fragments:
	//
	//   - The work function is called once, on its own goroutine.
	//   - It waits for a free decoder. The oldest waiting fragment gets the next one.
	//   - It calls emit for each image, in presentation order, on the goroutine that it was called on and never
	//     after it has returned. It stops when emit returns an error, and returns that error.
	//   - It may block until a later Plan (at most MaxLookahead fragments later) or End is called. The fragments
	//     in between do not block, and a lost fragment counts as one.
	//   - Its error ends the run. Missing frames are gaps in the outcome instead.
	Plan(f *media.Fragment) func(ctx context.Context, emit func(media.Image) error) (media.Outcome, error)
	// Lost states that a fragment is missing between the last planned one and the next.
	Lost()
	// End states that no fragment follows. It is called once, unless the run is abandoned, and returns a gap for
	// each request that no frame answers.
	End() []media.Gap
}

// Choosing is a Planner some of whose images are chosen after they were decoded.
type Choosing interface {
	Planner
	// Chooser returns what chooses the images of a sink, or nil if the sink gets all of them.
	Chooser(sink string) media.Chooser
}

// Advance is a Planner that can decode a fragment while it arrives.
type Advance interface {
	Planner
	// Ahead begins to decode the fragment that follows the last planned one, as far as it has arrived: for the sinks that take images
	// before the fragment's end. It returns nil if there is nothing to do before that. The work function of the fragment's Plan emits
	// the images that are left. If the whole fragment contradicts what was emitted ahead, it first calls again, which makes the sinks
	// forget all images of the fragment, and then emits all of them.
	Ahead(f *media.Fragment, takes func(sink string) bool, again func(context.Context) error) media.Arrival
}
