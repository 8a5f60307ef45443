package pipeline

import (
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"slices"
	"sync"
	"time"

	"golang.org/x/sync/errgroup"

	"github.com/kvsframes/kvsframes/media"
)

// outlet passes a run's images and the ends of fragments to one sink.
type outlet struct {
	sink  Sink
	index int
	// ctx is the context of the sink's calls. It ends with the run, or earlier, by stop, when the sink fails.
	ctx  context.Context
	stop context.CancelFunc
	// places has one place for each Write that may be in progress. In a sink that takes one call at a time,
	// EndFragment uses the single place too.
	places chan struct{}
	ended  chan *item // fragments whose last Write has begun, in order
	// reports is the number of fragments that the sink has reported. The run's tail protects it.
	reports int64
	// closed reports whether the sink has finished or was abandoned.
	closed bool
	// choice decides which images the sink gets; nil for all.
	choice *choice
	// meter counts what the sink gets.
	meter *sinkMeter

	mu      sync.Mutex
	failure *SinkError     // the first failure
	writing sync.WaitGroup // Writes in progress; none begins after a failure
}

func newOutlet(index int, sink Sink, undelivered int) *outlet {
	return &outlet{
		sink: sink, index: index,
		places: make(chan struct{}, max(1, sink.MaxInFlight())), ended: make(chan *item, undelivered),
	}
}

// ordered reports whether images go to the sink in the order of the stream.
func (o *outlet) ordered() bool { return o.serial() || o.choice != nil }

// serial reports whether the sink takes one call at a time.
func (o *outlet) serial() bool { return cap(o.places) == 1 }

// enter waits for a free place. It returns false when the sink has failed or the run has ended.
func (o *outlet) enter() bool {
	select {
	case <-o.ctx.Done():
		return false
	case o.places <- struct{}{}:
		return true
	}
}

func (o *outlet) leave() { <-o.places }

// outletOf returns the outlet of the sink that images are for.
func (r *run) outletOf(sink string) (*outlet, error) {
	i := slices.IndexFunc(r.outlets, func(o *outlet) bool { return o.sink.Name() == sink })
	if i < 0 {
		return nil, fmt.Errorf("deliver image: no sink is named %q", sink)
	}
	return r.outlets[i], nil
}

// emit passes on a new image. A sink that takes several calls at once gets it as soon as a place is free,
// whichever fragment it belongs to. Images for a sink that takes one call at a time, or chooses, wait in the lane of their
// fragment. Images for a failed sink are dropped.
func (r *run) emit(ctx context.Context, group *errgroup.Group, it *item, img media.Image) error {
	o, err := r.outletOf(img.Sink)
	if err != nil || o.ctx.Err() != nil {
		return cmp.Or(err, ctx.Err())
	}
	if o.ordered() {
		return r.backlog.put(ctx, &it.lane, img)
	}
	const least = 4 << 10 // bounds the number of goroutines for tiny images
	size := max(least, int64(len(img.Data)))
	if err := r.backlog.admit(ctx, &it.lane, size); err != nil {
		return err
	}
	it.writes[o.index].Add(1)
	group.Go(func() error {
		defer it.writes[o.index].Done()
		defer r.backlog.release(&it.lane, size)
		if !o.enter() {
			return ctx.Err()
		}
		return r.write(ctx, o, img)
	})
	return nil
}

// write passes an image to its sink, and then frees the place that the caller entered. After a failed Write the
// place stays taken: only Abandon may follow an error.
func (r *run) write(ctx context.Context, o *outlet, img media.Image) error {
	if !o.begin() {
		return ctx.Err()
	}
	defer o.writing.Done()
	before := time.Since(r.began)
	if err := o.sink.Write(o.ctx, img); err != nil {
		return o.fail(ctx, "write to sink "+img.Sink, err)
	}
	o.leave()
	o.meter.writes.observe(time.Since(r.began) - before)
	if !img.Arrived.IsZero() && !o.ordered() {
		now := time.Now()
		r.Meter.Arrival.observe(now.Sub(img.Arrived))
		r.Meter.Capture.observe(now.Sub(img.ProducerTime))
	}
	return nil
}

// begin counts a Write, and reports whether it may begin.
func (o *outlet) begin() bool {
	o.mu.Lock()
	defer o.mu.Unlock()
	if o.failure != nil {
		return false
	}
	o.writing.Add(1)
	return true
}

// fail records that the sink failed at op, and ends its other calls. If the run has ended, which is then the
// probable cause, fail returns the error.
func (o *outlet) fail(ctx context.Context, op string, err error) error {
	failure := &SinkError{Sink: o.sink.Name(), Op: op, Err: err}
	if ctx.Err() != nil {
		return failure
	}
	o.mu.Lock()
	defer o.mu.Unlock()
	if o.failure == nil {
		o.failure = failure
		o.stop()
	}
	return nil
}

// deliver starts the writes that need an order, fragment by fragment, and ends each fragment at the sinks. From the
// first fragment on that was undecided when the stream was interrupted, it delivers nothing: a later run does.
func (r *run) deliver(ctx context.Context, group *errgroup.Group) error {
	interrupted := false
	var last media.Place
	for it := range r.order {
		if err := r.deliverImages(ctx, group, it, interrupted); err != nil {
			return err
		}
		if interrupted = interrupted || it.lane.undecided; interrupted {
			continue
		}
		if it.after = last; it.fragment != nil {
			last = it.fragment.Place()
		}
		if err := r.endItem(ctx, it); err != nil {
			return err
		}
	}
	if err := ctx.Err(); err != nil { // the contexts of the sinks end a moment later: nothing is finished until then
		return err
	}
	for _, out := range r.outlets {
		if c := out.choice; c != nil && (!r.continues || r.Completes) {
			last := c.End()
			out.meter.leftOut(last.Filtered)
			if err := r.decide(ctx, group, out, last.Earlier); err != nil {
				return err
			}
		}
		close(out.ended)
	}
	return ctx.Err()
}

// deliverImages starts the writes of what is in a fragment's lane, or drops it, and returns when the fragment is decoded.
func (r *run) deliverImages(ctx context.Context, group *errgroup.Group, it *item, drop bool) error {
	for {
		img, ok, err := r.backlog.take(ctx, &it.lane)
		if err != nil || !ok {
			return err
		}
		if drop {
			r.backlog.release(&it.lane, int64(len(img.Data)))
			continue
		}
		if err := r.choose(ctx, group, it, img); err != nil {
			return err
		}
	}
}

// endItem ends a fragment at the sinks.
func (r *run) endItem(ctx context.Context, it *item) error {
	p, outcome := newPending(it.fragment), it.lane.outcome
	p.gaps, p.decoded, p.concealed = append(it.gaps, outcome.Gaps...), outcome.FramesDecoded, outcome.FramesConcealed
	p.durable, p.again, p.counts = it.planned.Durable, it.again, it.counts
	it.pending = p
	if p.again {
		p.gaps = nil // which were reported then
	}
	r.logGaps(p)
	r.unsettled.push(p)
	it.chosen = make([]json.Marshaler, len(r.outlets))
	for _, out := range r.outlets {
		if !out.postpone(it) {
			r.endAt(out, it)
		}
	}
	r.unsettled.done(p)
	return ctx.Err()
}

// endAt ends a fragment, or what is in its place, at one sink.
func (r *run) endAt(out *outlet, it *item) {
	if out.serial() && !out.enter() { // its place passes on to EndFragment
		return
	}
	select {
	case <-out.ctx.Done():
	case out.ended <- it:
	}
}

// writeNext passes the next image of a lane to its sink, when the previous Write has returned, or a place is free. release gives
// its room in the backlog back.
func (r *run) writeNext(ctx context.Context, group *errgroup.Group, o *outlet, it *item, img media.Image, release func()) error {
	if !o.enter() {
		release()
		return ctx.Err()
	}
	it.writes[o.index].Add(1)
	group.Go(func() error {
		defer it.writes[o.index].Done()
		defer release()
		return r.write(ctx, o, img)
	})
	return nil
}

// endFragments ends the fragments of a sink in order, each when all Writes of its images have returned, and
// finishes the sink after the last one. It returns nil when the sink has failed and other sinks remain.
func (r *run) endFragments(ctx context.Context, o *outlet) error {
	for !o.closed {
		select {
		case <-o.ctx.Done():
		case it, more := <-o.ended:
			if more && it.fragment != nil {
				it.writes[o.index].Wait()
			}
			if o.ctx.Err() == nil {
				if err := r.endFragment(ctx, o, it); err != nil {
					return err
				}
			}
		}
		if err := ctx.Err(); err != nil {
			return err
		}
		if o.ctx.Err() != nil {
			return r.withdraw(o)
		}
	}
	return nil
}

// endFragment ends a fragment of a sink or, if it is nil, finishes the sink.
func (r *run) endFragment(ctx context.Context, o *outlet, it *item) error {
	if it == nil {
		return r.finish(ctx, o)
	}
	name := o.sink.Name()
	if s, ok := o.sink.(GapSink); ok {
		gaps := slices.DeleteFunc(slices.Clone(it.pending.gaps), func(g media.Gap) bool { return g.Sink != "" && g.Sink != name })
		if lacks := it.planned.Lacks; len(gaps) > 0 && (lacks == nil || lacks(name)) {
			if err := s.Gaps(o.ctx, it.after, gaps); err != nil {
				return o.fail(ctx, "record gaps of sink "+name, err)
			}
		}
	}
	if it.fragment != nil {
		if err := o.sink.EndFragment(o.ctx, it.fragment, r.report(o, it.pending, it.chosen[o.index])); err != nil {
			return o.fail(ctx, fmt.Sprintf("commit fragment %s to sink %s", it.fragment.Number, name), err)
		}
	}
	if o.serial() {
		o.leave()
	}
	return nil
}

// finish finishes a sink whose fragments have all ended. If a later run can read the stream again, that one completes what is open.
func (r *run) finish(ctx context.Context, o *outlet) error {
	if r.continues && !r.Completes && r.unsettled.missing(o) > 0 {
		o.abandon(r.Log)
		return nil
	}
	err := o.sink.Finish(o.ctx)
	if missing := r.unsettled.missing(o); err == nil && missing > 0 {
		err = fmt.Errorf("%d fragments were not reported as durable", missing)
	}
	if err != nil {
		return o.fail(ctx, "finish sink "+o.sink.Name(), err)
	}
	o.closed = true
	return nil
}

// withdraw abandons a sink that has failed or left, so that nothing waits for it. It returns the failure if no other sink
// remains.
func (r *run) withdraw(o *outlet) error {
	o.writing.Wait()
	o.abandon(r.Log)
	failure := o.failure
	closed := errors.Is(failure, media.ErrReaderClosed)
	aside := closed || errors.Is(failure, ErrAside)
	left := r.unsettled.withdraw(o, aside, func(reported int) {
		if !aside {
			r.Account.fail(failure, reported)
		}
	})
	if closed {
		r.Log.Info("the reader of a sink has closed the pipe: the sink ends", "stream", r.Name, "sink", failure.Sink)
	}
	switch {
	case left == 0:
		return failure
	case aside:
		return nil
	}
	r.Log.Error("sink failed; the others continue", "stream", r.Name, "sink", failure.Sink, "fragment", failure.Fragment, "error", failure)
	return nil
}

// abandon discards the sink's open objects, unless it is closed. No other call of the sink is in progress.
func (o *outlet) abandon(log *slog.Logger) {
	if o.closed {
		return
	}
	o.closed = true
	if err := o.sink.Abandon(); err != nil {
		log.Warn("open objects of a sink could not be removed", "sink", o.sink.Name(), "error", err)
	}
}
