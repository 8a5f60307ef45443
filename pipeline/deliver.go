package pipeline

import (
	"context"
	"fmt"
	"log/slog"
	"slices"
	"sync"
	"sync/atomic"

	"golang.org/x/sync/errgroup"

	"github.com/kvsframes/kvsframes/media"
)

// outlet passes a run's images and the ends of fragments to one sink.
type outlet struct {
	sink  Sink
	index int
	// places has one place for each Write that may be in progress. In a sink that takes one call at a time,
	// EndFragment uses the single place too.
	places chan struct{}
	ended  chan *item // fragments whose last Write has begun, in order
	// fragments counts the calls of EndFragment, reports the fragments that the sink has reported.
	fragments, reports atomic.Int64
	finished           bool
}

// share is the part of one item that goes to one sink.
type share struct {
	writes sync.WaitGroup
	// failed is the first failed Write. It is set before writes is done.
	failed atomic.Pointer[SinkError]
}

func newOutlet(index int, sink Sink) *outlet {
	return &outlet{
		sink: sink, index: index,
		places: make(chan struct{}, max(1, sink.MaxInFlight())), ended: make(chan *item, maxUndelivered),
	}
}

// serial reports whether the sink takes one call at a time.
func (o *outlet) serial() bool { return cap(o.places) == 1 }

// enter waits for a free place.
func (o *outlet) enter(ctx context.Context) error {
	select {
	case <-ctx.Done():
		return ctx.Err()
	case o.places <- struct{}{}:
		return nil
	}
}

func (o *outlet) leave() { <-o.places }

// emit passes on a new image. A sink that takes several calls at once gets it as soon as a place is free,
// whichever fragment it belongs to. Images for a sink that takes one call at a time wait in the lane of their
// fragment.
func (r *run) emit(ctx context.Context, group *errgroup.Group, it *item, img media.Image) error {
	i := slices.IndexFunc(r.outlets, func(o *outlet) bool { return o.sink.Name() == img.Sink })
	if i < 0 {
		return fmt.Errorf("deliver image: no sink is named %q", img.Sink)
	}
	if r.outlets[i].serial() {
		return r.backlog.put(ctx, &it.lane, img)
	}
	const least = 4 << 10 // bounds the number of goroutines for tiny images
	size := max(least, int64(len(img.Data)))
	if err := r.backlog.admit(ctx, &it.lane, size); err != nil {
		return err
	}
	it.shares[i].writes.Add(1)
	group.Go(func() error {
		defer it.shares[i].writes.Done()
		defer r.backlog.release(&it.lane, size)
		if err := r.outlets[i].enter(ctx); err != nil {
			return err
		}
		return r.write(ctx, it, i, img)
	})
	return nil
}

// write passes an image to its sink, the ith, and then frees the place that the caller entered. After a failed
// Write the place stays taken: only Abandon may follow an error.
func (r *run) write(ctx context.Context, it *item, i int, img media.Image) error {
	err := r.outlets[i].sink.Write(ctx, img)
	if err == nil {
		r.outlets[i].leave()
		return nil
	}
	failed := &SinkError{Sink: img.Sink, Op: "write to sink " + img.Sink, Err: err}
	it.shares[i].failed.CompareAndSwap(nil, failed)
	return failed
}

// deliver starts the writes that need an order, fragment by fragment, and ends each fragment at the sinks.
func (r *run) deliver(ctx context.Context, group *errgroup.Group) error {
	for it := range r.order {
		it.pending = newPending(it.fragment, len(r.outlets))
		r.unsettled.push(it.pending)
		if err := r.deliverItem(ctx, group, it); err != nil {
			return err
		}
		r.unsettled.done(it.pending)
	}
	for _, out := range r.outlets {
		close(out.ended)
	}
	return ctx.Err()
}

// deliverItem starts the writes of a fragment's lane, and then ends the fragment at the sinks.
func (r *run) deliverItem(ctx context.Context, group *errgroup.Group, it *item) error {
	for {
		img, ok, err := r.backlog.take(ctx, &it.lane)
		if err != nil {
			return err
		}
		if !ok {
			break
		}
		if err := r.writeNext(ctx, group, it, img); err != nil {
			return err
		}
	}
	p, outcome := it.pending, it.lane.outcome
	p.gaps, p.decoded, p.concealed = append(it.gaps, outcome.Gaps...), outcome.FramesDecoded, outcome.FramesConcealed
	r.logGaps(p)
	if it.fragment == nil {
		return nil
	}
	for _, out := range r.outlets {
		if out.serial() { // EndFragment inherits its place
			if err := out.enter(ctx); err != nil {
				return err
			}
		}
		select {
		case <-ctx.Done():
			return ctx.Err()
		case out.ended <- it:
		}
	}
	return nil
}

// writeNext passes the next image of a lane to its sink, when the previous Write has returned.
func (r *run) writeNext(ctx context.Context, group *errgroup.Group, it *item, img media.Image) error {
	i := slices.IndexFunc(r.outlets, func(o *outlet) bool { return o.sink.Name() == img.Sink })
	if err := r.outlets[i].enter(ctx); err != nil {
		return err
	}
	it.shares[i].writes.Add(1)
	group.Go(func() error {
		defer it.shares[i].writes.Done()
		defer r.backlog.release(&it.lane, int64(len(img.Data)))
		return r.write(ctx, it, i, img)
	})
	return nil
}

// run ends fragments in order, each when all Writes of its images have returned, and finishes the sink after
// the last one. report returns the function that the sink calls when a fragment is durable.
func (o *outlet) run(ctx context.Context, report func(*outlet, *pending) func(media.Receipt)) error {
	for {
		select {
		case <-ctx.Done():
			return ctx.Err()
		case it, more := <-o.ended:
			if err := ctx.Err(); err != nil {
				return err
			}
			if !more {
				return o.finish(ctx)
			}
			if err := o.endFragment(ctx, it, report(o, it.pending)); err != nil {
				return err
			}
		}
	}
}

func (o *outlet) endFragment(ctx context.Context, it *item, durable func(media.Receipt)) error {
	part := &it.shares[o.index]
	part.writes.Wait()
	if failed := part.failed.Load(); failed != nil {
		return failed
	}
	if err := ctx.Err(); err != nil {
		return err
	}
	if err := o.sink.EndFragment(ctx, it.fragment, durable); err != nil {
		return &SinkError{Sink: o.sink.Name(), Op: fmt.Sprintf("commit fragment %s to sink %s", it.fragment.Number, o.sink.Name()), Err: err}
	}
	if o.serial() {
		o.leave()
	}
	return nil
}

func (o *outlet) finish(ctx context.Context) error {
	err := o.sink.Finish(ctx)
	if missing := o.fragments.Load() - o.reports.Load(); err == nil && missing > 0 {
		err = fmt.Errorf("%d fragments were not reported as durable", missing)
	}
	if err != nil {
		return &SinkError{Sink: o.sink.Name(), Op: "finish sink " + o.sink.Name(), Err: err}
	}
	o.finished = true
	return nil
}

// abandon discards the sink's open objects, unless the sink has finished. No other call of the sink is in
// progress.
func (o *outlet) abandon(log *slog.Logger) {
	if o.finished {
		return
	}
	if err := o.sink.Abandon(); err != nil {
		log.Warn("open objects of a sink could not be removed", "sink", o.sink.Name(), "error", err)
	}
}
