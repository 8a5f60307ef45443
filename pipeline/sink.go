package pipeline

import (
	"context"
	"sync"

	"github.com/kvsframes/kvsframes/media"
)

// Sink stores the images of one stream, and reports each fragment whose images are all durable (see
// sink.Writer). An object may hold one image, or those of many fragments: then a fragment is reported when the
// last object with one of its images is complete.
//
// A run calls a sink in this order:
//
//  1. Write, for each image: up to MaxInFlight calls at once, which may include later fragments.
//  2. EndFragment, for each fragment in stream order, with or without images, when all Writes of its images
//     have returned: one call after the other, but concurrently with Writes of later fragments.
//  3. Finish, once, at the end of the stream, when all other calls have returned. If a call of the sink fails,
//     or the run fails or is cancelled before that, Abandon is called instead, also once. It is, too, if a later run
//     continues the stream and the sink has not reported all fragments.
//
// If MaxInFlight is 1, calls never overlap, and all are in stream order.
//
// After an error of Write, EndFragment or Finish the contexts of the sink's other calls end, and only Abandon
// is called. The run continues for the other sinks, and returns the error at its end. A sink does its own
// retries. When a context ends, a call that waits returns the context's error. A sink whose reader wants no more returns
// media.ErrReaderClosed, and leaves the run without having failed.
//
// A process can end at any point, and the next one may read the same fragments again. So a sink makes only
// whole objects visible, and their names depend only on the images in them: writing a fragment again produces
// the same objects.
type Sink interface {
	// Name returns the name in the Sink field of the images.
	Name() string
	// MaxInFlight returns the largest number of concurrent Writes, at least 1.
	MaxInFlight() int
	// Write takes one image, which then belongs to the sink. The run counts img.Data in Options.BacklogBytes
	// until Write returns; a sink that keeps it longer, or keeps objects open, limits its own memory. The image
	// need not be durable when Write returns.
	Write(ctx context.Context, img media.Image) error
	// EndFragment states that no more images of f follow. It does not wait for later images. The sink calls
	// durable once, as soon as all images of f are durable and recorded: before EndFragment returns, or on any
	// goroutine until Finish or Abandon returns. It reports fragments in the order of EndFragment, one after the
	// other, and never after Abandon was called. durable does not block.
	EndFragment(ctx context.Context, f *media.Fragment, durable func(media.Receipt)) error
	// Finish completes the open objects. When it returns nil, all fragments have been reported.
	Finish(ctx context.Context) error
	// Abandon discards the open objects, so that nothing of them becomes visible or stays behind. It is called
	// after a context has ended, and limits its waits itself.
	Abandon() error
}

// GapSink is a Sink that also records what it does not get.
type GapSink interface {
	Sink
	// Gaps records gaps of one place in the stream, in stream order: those of a fragment right before its EndFragment. after is
	// the last fragment before the place, without a number for none; gaps have the fragment's number, or none if they lie
	// outside of any. When it returns nil, the record is durable. It counts as a call of EndFragment.
	Gaps(ctx context.Context, after media.Place, gaps []media.Gap) error
}

// Forgetter is a Sink that takes images before the end of their fragment, if it takes several at once.
type Forgetter interface {
	Sink
	// Forget drops what is known of the images of a fragment that were written: they are written again, or the fragment does not end. No
	// Write of them is in progress.
	Forget(stream, number string)
}

// NewFuncSink returns a sink that passes each image to write, which returns when the image is stored. Up to
// maxInFlight calls run at once; with 1 or less, calls do not overlap and images arrive in stream order. A
// fragment counts as delivered when write has returned nil for all of its images. The sink serves one run of
// one stream.
func NewFuncSink(name string, maxInFlight int, write func(ctx context.Context, img media.Image) error) Sink {
	return &funcSink{name: name, maxInFlight: max(1, maxInFlight), write: write, written: map[string]int{}}
}

type funcSink struct {
	name        string
	maxInFlight int
	write       func(context.Context, media.Image) error

	mu      sync.Mutex
	written map[string]int // images by fragment number, until the fragment ends
}

func (s *funcSink) Name() string     { return s.name }
func (s *funcSink) MaxInFlight() int { return s.maxInFlight }

func (s *funcSink) Write(ctx context.Context, img media.Image) error {
	if err := s.write(ctx, img); err != nil {
		return err
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	s.written[img.FragmentNumber]++
	return nil
}

func (s *funcSink) EndFragment(_ context.Context, f *media.Fragment, durable func(media.Receipt)) error {
	s.mu.Lock()
	n := s.written[f.Number]
	delete(s.written, f.Number)
	s.mu.Unlock()
	durable(media.Receipt{Written: n})
	return nil
}

// Forget implements Forgetter.
func (s *funcSink) Forget(_, number string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	delete(s.written, number)
}

func (s *funcSink) Finish(context.Context) error { return nil }
func (s *funcSink) Abandon() error               { return nil }
