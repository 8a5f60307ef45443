package pipeline

import (
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"slices"
	"sync"
	"time"

	"golang.org/x/sync/errgroup"

	"github.com/kvsframes/kvsframes/internal/logging"
	"github.com/kvsframes/kvsframes/media"
)

// Stream is one stream with its stages. The planner makes images for each of the sinks, which serve only this
// run.
type Stream struct {
	// Name is the name of the stream in messages.
	Name    string
	Source  Source
	Planner Planner
	Sinks   []Sink
}

// Options holds Run's optional settings.
type Options struct {
	// Log receives messages for the user; nil is silent.
	Log *slog.Logger
	// Meter counts during the run; nil is none.
	Meter *Meter
	// Account collects the results, which can be read during the run; nil makes the run use its own.
	Account *Account
	// FragmentsInFlight is the largest number of fragments that are being decoded or wait for a decoder. The
	// minimum is 2, since one fragment may wait for the next.
	FragmentsInFlight int
	// FragmentBytes bounds the total size of these fragments: the source is not read while they exceed it.
	// Less than 1 means 128 MiB. Two fragments may exceed it.
	FragmentBytes int64
	// Planned, if it is not nil, is called after each Plan, and tells what is known of the fragment. With it a program knows where a
	// later run continues.
	Planned func() Planned
	// Interrupted, if it is not nil, is called with the error that ends the source, which may be io.EOF. It returns true
	// if a later run continues the stream. It has then ended the planner in its own way: Run does not call the
	// planner's End. Sinks that have not reported all fragments are abandoned, since the later run completes their objects.
	Interrupted func(err error) bool
	// Completes reports whether sinks complete their open objects in any case, because the later run cannot read these fragments again.
	Completes bool
	// Aside holds contexts by the names of sinks: when one ends, its sink leaves the run. The run then ends the sink's calls
	// and abandons it, as if it had failed, but this is no failure: another run continues the stream for the sink.
	Aside map[string]context.Context
	// Ahead decodes fragments while they arrive, for sinks that are Forgetters and take several images at once. The Planner must be an
	// Advance, and the Source tell what has arrived (see media.WithArrivals).
	Ahead bool
	// BacklogBytes bounds the total size of the images that wait for their sinks or are being written. Less
	// than 1 means 16 MiB. One image may exceed it.
	BacklogBytes int64
}

// Planned is what is known of a fragment that was planned.
type Planned struct {
	// Durable is called for each sink when that has reported the fragment: in stream order, on any goroutine, and without
	// blocking. It is nil for a fragment that other runs have delivered to all sinks.
	Durable func(sink string, r media.Receipt)
	// Lacks reports whether a sink lacks the fragment: if not, other runs have delivered it, with its gaps. Nil means that all do.
	Lacks func(sink string) bool
	// First reports whether no other run counts the fragment.
	First bool
}

func (o Options) withDefaults() Options {
	o.Log = logging.OrSilent(o.Log)
	if o.Meter == nil {
		o.Meter = &Meter{}
	}
	if o.Account == nil {
		o.Account = NewAccount()
	}
	o.FragmentsInFlight = max(o.FragmentsInFlight, 2)
	if o.FragmentBytes < 1 {
		o.FragmentBytes = 128 << 20
	}
	if o.BacklogBytes < 1 {
		o.BacklogBytes = 16 << 20
	}
	return o
}

// ErrAside is the error of a run whose last sink has left it.
var ErrAside = errors.New("the sink has left the run")

// leastUndelivered is the number of fragments that may be on their way to the sinks at once, at least: enough to hide
// the latency of an object store. As many may be behind the oldest that still decodes, and a planner may look as
// far ahead (see Planner.MaxLookahead).
const leastUndelivered = 64

// undelivered returns the number of fragments that may be on their way to the sinks at once. It grows with those that are
// decoded, none of which may wait for a place.
func undelivered(inFlight int) int { return max(leastUndelivered, 2*inFlight) }

// Run reads the stream to its end. Fragments are decoded in parallel; their images go to the sinks, and a
// fragment counts when every sink has reported it as durable. Run closes the source, lets each sink finish or
// abandon its open objects, and returns when every goroutine that it started has ended.
//
// A sink that leaves (see Options.Aside) does not count as failed. If no other is left, the error is ErrAside. Nor does a sink with the error
// media.ErrReaderClosed, which is then that of the run.
//
// Run returns an error before it reads anything if the planner makes no images for a sink, or images for no sink, or
// looks too far ahead. If the source fails, the run ends when all fragments that it returned are durable. If a sink
// fails, only that sink stops: the others continue, and its error is part of the run's error. If the last sink or
// another stage fails, or the context is cancelled, the run ends at once, and the summary counts what was durable by
// then.
func Run(ctx context.Context, s Stream, o Options) (Summary, error) {
	r := newRun(s, o.withDefaults())
	r.Account.hold(r.load)
	defer r.Account.hold(nil)
	err := r.check()
	if err == nil {
		err = r.carry(ctx)
	}
	for _, out := range r.outlets {
		out.abandon(r.Log)
	}
	r.Account.source(s.Source)
	if closeErr := s.Source.Close(); err == nil && closeErr != nil {
		err = fmt.Errorf("close source: %w", closeErr)
	}
	return r.Account.Summary(), err
}

// run is one run of one stream.
type run struct {
	Stream
	Options
	backlog   *backlog
	fragments chan struct{} // one place for every fragment in flight
	bytes     *byteGate
	order     chan *item // from read to deliver
	outlets   []*outlet  // one for each sink
	unsettled tail
	// arriving is the fragment that is decoded while it arrives; nil for none. number counts the items. The goroutine that reads uses both.
	arriving *arriving
	number   uint64
	// began is when the run was made. Durations are differences of the time since then, which reads one clock, where time.Now reads two.
	began time.Time
	// continues reports whether a later run continues the stream. It is set before the last fragment ends.
	continues bool
}

// item is one fragment on its way, or the gaps in its place.
type item struct {
	fragment *media.Fragment
	gaps     []media.Gap
	after    media.Place // the last fragment before
	lane     lane
	planned  Planned          // see Options
	again    bool             // other runs have delivered the fragment
	counts   bool             // no other run counts the fragment
	writes   []sync.WaitGroup // Writes in progress, by sink
	pending  *pending
	// chosen are the states of Choosers after the fragment, by sink.
	chosen []json.Marshaler
}

func newRun(s Stream, o Options) *run {
	r := &run{
		Stream:    s,
		Options:   o,
		began:     time.Now(),
		backlog:   newBacklog(o.BacklogBytes),
		fragments: make(chan struct{}, o.FragmentsInFlight),
		bytes:     &byteGate{limit: o.FragmentBytes, change: make(chan struct{}, 1)},
		order:     make(chan *item, undelivered(o.FragmentsInFlight)),
	}
	r.unsettled.settle, r.unsettled.sinks = r.settle, len(s.Sinks)
	for i, sink := range s.Sinks {
		out := newOutlet(i, sink, cap(r.order))
		out.meter = o.Meter.sink(sink.Name())
		if p, ok := s.Planner.(Choosing); ok {
			if c := p.Chooser(sink.Name()); c != nil {
				out.choice = &choice{Chooser: c}
			}
		}
		r.outlets = append(r.outlets, out)
		r.Account.images(sink.Name(), 0, 0)
	}
	return r
}

// load returns what the run holds.
func (r *run) load() (l Load) {
	r.bytes.mu.Lock()
	l.Fragments, l.MaxFragments = r.bytes.used, r.bytes.limit
	r.bytes.mu.Unlock()
	r.backlog.mu.Lock()
	defer r.backlog.mu.Unlock()
	l.Images, l.MaxImages = r.backlog.used, r.backlog.limit
	return l
}

// check returns an error if the stages do not match.
func (r *run) check() error {
	if ahead := r.Planner.MaxLookahead(); ahead >= leastUndelivered {
		return fmt.Errorf("set up stream %s: the planner looks %d fragments ahead, maximum is %d", r.Name, ahead, leastUndelivered-1)
	}
	planned := r.Planner.Sinks()
	named := map[string]bool{}
	for _, s := range r.Sinks {
		name := s.Name()
		switch {
		case named[name]:
			return fmt.Errorf("set up stream %s: two sinks are named %q", r.Name, name)
		case !slices.Contains(planned, name):
			return fmt.Errorf("set up stream %s: the planner makes no images for sink %q", r.Name, name)
		}
		named[name] = true
	}
	for _, name := range planned {
		if !named[name] {
			return fmt.Errorf("set up stream %s: the planner makes images for sink %q, which does not exist", r.Name, name)
		}
	}
	return nil
}

// carry runs the stages until the stream has ended or one of them fails.
func (r *run) carry(parent context.Context) error {
	group, ctx := errgroup.WithContext(parent)
	for _, out := range r.outlets {
		out.ctx, out.stop = context.WithCancel(ctx)
		defer out.stop()
		if leave := r.Aside[out.sink.Name()]; leave != nil {
			defer context.AfterFunc(leave, func() { _ = out.fail(ctx, "leave the run", ErrAside) })()
		}
	}
	var readErr error
	group.Go(func() error {
		defer close(r.order)
		readErr = r.read(ctx, group)
		return nil
	})
	group.Go(func() error { return r.deliver(ctx, group) })
	for _, out := range r.outlets {
		group.Go(func() error { return r.endFragments(ctx, out) })
	}
	err := cmp.Or(group.Wait(), readErr)
	failed := r.Account.Failures().err()
	switch {
	case failed == nil:
		return err
	case err == nil, errors.As(err, new(*SinkError)):
		return failed
	case parent.Err() != nil:
		return err
	}
	return fmt.Errorf("%w; %w", err, failed)
}

// read takes fragments from the source, plans them in order and starts decoding them. Its error is the source's.
func (r *run) read(ctx context.Context, group *errgroup.Group) error {
	defer r.drop(ctx)
	telling := r.telling(ctx, group)
	for {
		select {
		case <-ctx.Done():
			return ctx.Err()
		case r.fragments <- struct{}{}:
		}
		if err := r.bytes.wait(ctx); err != nil {
			return err
		}
		before := r.Source.Stats().BytesRead
		it, err := r.next(ctx, telling)
		r.Meter.BytesRead.Add(r.Source.Stats().BytesRead - before)
		r.Account.source(r.Source)
		if err != nil {
			if ctx.Err() != nil {
				return ctx.Err()
			}
			if endErr := r.end(ctx, err); endErr != nil {
				return endErr
			}
			if errors.Is(err, io.EOF) {
				return nil
			}
			return fmt.Errorf("read stream %s: %w", r.Name, err)
		}
		r.start(ctx, group, it)
		if err := r.queue(ctx, it); err != nil {
			return err
		}
	}
}

// queue passes an item to deliver.
func (r *run) queue(ctx context.Context, it *item) error {
	select {
	case <-ctx.Done():
		return ctx.Err()
	case r.order <- it:
		return nil
	}
}

// end calls the planner's End, however the source ended, and queues the gaps that it returns.
func (r *run) end(ctx context.Context, why error) error {
	if r.continues = r.Interrupted != nil && r.Interrupted(why); r.continues {
		return nil
	}
	gaps := r.Planner.End()
	if len(gaps) == 0 {
		return nil
	}
	for i := range gaps { // a planner that got no fragment does not know it
		gaps[i].Stream = r.Name
	}
	return r.queue(ctx, r.item(lane{ended: true}, gaps))
}

// item returns a new item.
func (r *run) item(l lane, gaps []media.Gap) *item {
	r.number++
	l.number = r.number
	return &item{gaps: gaps, lane: l, writes: make([]sync.WaitGroup, len(r.outlets))}
}

// next reads one fragment, or the gap in its place. The source tells what arrives meanwhile.
func (r *run) next(ctx, telling context.Context) (*item, error) {
	f, err := r.Source.Next(telling)
	if gap := (*media.GapError)(nil); errors.As(err, &gap) {
		if number := gap.Gap.FragmentNumber; number != "" && r.isArriving(number) {
			r.drop(ctx)
		}
		return r.item(lane{}, []media.Gap{gap.Gap}), nil
	}
	if err != nil {
		return nil, err
	}
	it := r.itemOf(ctx, f)
	if f.Cut {
		g := media.Gap{Stream: f.Stream, FragmentNumber: f.Number, FrameIndex: media.WholeFragment, ProducerTime: f.ProducerTime, Reason: media.GapCut, Detail: "the payload ended inside the fragment"}
		if f.CutBlock {
			g.FramesLost = 1
		}
		if f.Damage != "" {
			g.Reason, g.Detail = media.GapDamaged, f.Damage
		}
		it.gaps = append(it.gaps, g)
	}
	if f.MillisBehindNow >= 0 {
		r.Meter.MillisBehind.Store(f.MillisBehindNow)
	}
	return it, nil
}

// start plans the fragment and decodes it in a new goroutine.
func (r *run) start(ctx context.Context, group *errgroup.Group, it *item) {
	if it.fragment == nil {
		r.Planner.Lost()
		r.backlog.end(&it.lane, media.Outcome{})
		<-r.fragments
		return
	}
	work := r.Planner.Plan(it.fragment)
	if it.counts = true; r.Planned != nil {
		it.planned = r.Planned()
		it.counts, it.again = it.planned.First, it.planned.Durable == nil
	}
	if it.counts {
		r.Account.begin(it.fragment)
	}
	size := int64(len(it.fragment.MKV))
	// The plan keeps the part of the media that it needs.
	it.fragment = withoutMedia(it.fragment)
	r.bytes.add(size, 1)
	group.Go(func() error {
		out, err := work(ctx, func(img media.Image) error { return r.emit(ctx, group, it, img) })
		if it.lane.undecided = errors.Is(err, media.ErrUndecided); err != nil && !it.lane.undecided {
			return err
		}
		r.Account.decoded(out.FramesDecoded)
		r.backlog.end(&it.lane, out)
		r.bytes.add(-size, -1)
		<-r.fragments
		return nil
	})
}

// withoutMedia returns a copy of the fragment with what the sinks need, so that its media does not stay in memory
// until the fragment is durable.
func withoutMedia(f *media.Fragment) *media.Fragment {
	bare := *f
	bare.MKV, bare.Blocks, bare.Tracks, bare.Recycle = nil, nil, nil, nil
	return &bare
}
