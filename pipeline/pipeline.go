package pipeline

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"sync"

	"golang.org/x/sync/errgroup"

	"github.com/kvsframes/kvsframes/media"
)

// Stream is one stream with its stages.
type Stream struct {
	Name    string
	Source  Source
	Planner Planner
	Sinks   []Sink
}

// Options bound a run.
type Options struct {
	// Log receives what the user should know. It must not be nil.
	Log *slog.Logger
	// Meter counts along; nil is none.
	Meter *Meter
	// Account is where the run's summary comes about; nil is one of the run's own.
	Account *Account
	// FragmentsInFlight is the number of fragments that are decoded or wait for
	// it; below 2 is 2, since one may wait for the next.
	FragmentsInFlight int
	// FragmentBytes is the size of those fragments above which none is read;
	// below 1 is 128 MiB. Two fragments may exceed it.
	FragmentBytes int64
	// BacklogBytes is the size of the images that wait for their sinks; below 1
	// is 16 MiB. One image may exceed it.
	BacklogBytes int64
}

func (o Options) withDefaults() Options {
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

// maxUncommitted is the number of fragments whose images are on their way to the
// sinks at once: enough to hide the latency of an object store. As many may be behind the
// oldest that still decodes: more than a planner may wait for (see Planner.Plan).
const maxUncommitted = 64

// Run reads the stream to its end. Fragments are decoded side by side and
// committed in order: first the images, then the manifest parts. It closes the
// source, and returns when every goroutine that it started is gone.
//
// A source that fails ends the run after all that it gave is committed. A stage
// that fails, or a cancelled context, ends the run at once; then the summary counts what was
// committed until then.
func Run(ctx context.Context, s Stream, o Options) (Summary, error) {
	r := newRun(s, o.withDefaults())
	group, ctx := errgroup.WithContext(ctx)
	var readErr error
	group.Go(func() error {
		defer close(r.order)
		readErr = r.read(ctx, group)
		return nil
	})
	group.Go(func() error {
		defer close(r.uncommitted)
		return r.deliver(ctx, group)
	})
	group.Go(func() error { return r.commit(ctx) })
	err := group.Wait()
	if err == nil {
		err = readErr
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
	backlog     *backlog
	fragments   chan struct{} // a place for every fragment in flight
	bytes       *byteGate
	order       chan *item // from read to deliver
	uncommitted chan *item // from deliver to commit
	writes      []chan struct{}
	sinks       map[string]int
}

// item is one fragment on its way, or the gap that is there instead of one.
type item struct {
	fragment *media.Fragment
	gaps     []media.Gap
	lane     lane
	records  [][]*media.Record // by sink, in presentation order
	writes   sync.WaitGroup
	// failed is the first failed write. It is read after writes is done.
	failed     error
	failedOnce sync.Once
}

func newRun(s Stream, o Options) *run {
	r := &run{
		Stream:      s,
		Options:     o,
		backlog:     newBacklog(o.BacklogBytes),
		fragments:   make(chan struct{}, o.FragmentsInFlight),
		bytes:       &byteGate{limit: o.FragmentBytes, change: make(chan struct{}, 1)},
		order:       make(chan *item, maxUncommitted),
		uncommitted: make(chan *item, maxUncommitted),
		sinks:       map[string]int{},
	}
	for i, sink := range s.Sinks {
		r.sinks[sink.Name()] = i
		r.writes = append(r.writes, make(chan struct{}, max(1, sink.MaxInFlight())))
		r.Account.images(sink.Name(), 0, 0)
	}
	return r
}

// read takes fragments from the source, plans them in order and starts their
// decoding. Its error is the source's.
func (r *run) read(ctx context.Context, group *errgroup.Group) error {
	for number := uint64(1); ; number++ {
		select {
		case <-ctx.Done():
			return ctx.Err()
		case r.fragments <- struct{}{}:
		}
		if err := r.bytes.wait(ctx); err != nil {
			return err
		}
		before := r.Source.BytesRead()
		it, err := r.next(ctx)
		r.Meter.BytesRead.Add(r.Source.BytesRead() - before)
		r.Account.source(r.Source)
		if err != nil {
			if ctx.Err() != nil {
				return ctx.Err()
			}
			if endErr := r.end(ctx, number); endErr != nil {
				return endErr
			}
			if errors.Is(err, io.EOF) {
				return nil
			}
			return fmt.Errorf("read stream %s: %w", r.Name, err)
		}
		it.lane.number = number
		it.records = make([][]*media.Record, len(r.Sinks))
		r.start(ctx, group, it)
		if err := r.queue(ctx, it); err != nil {
			return err
		}
	}
}

// queue hands an item to deliver.
func (r *run) queue(ctx context.Context, it *item) error {
	select {
	case <-ctx.Done():
		return ctx.Err()
	case r.order <- it:
		return nil
	}
}

// end tells the planner that nothing more is read, however the source ended, and notes what
// it misses.
func (r *run) end(ctx context.Context, number uint64) error {
	gaps := r.Planner.End()
	if len(gaps) == 0 {
		return nil
	}
	it := &item{gaps: gaps, lane: lane{number: number, ended: true}}
	it.records = make([][]*media.Record, len(r.Sinks))
	return r.queue(ctx, it)
}

// next reads one fragment, or the gap in its place.
func (r *run) next(ctx context.Context) (*item, error) {
	f, err := r.Source.Next(ctx)
	if gap := (*media.GapError)(nil); errors.As(err, &gap) {
		return &item{gaps: []media.Gap{gap.Gap}}, nil
	}
	if err != nil {
		return nil, err
	}
	it := &item{fragment: f}
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

// start plans the fragment and decodes it in a goroutine of its own.
func (r *run) start(ctx context.Context, group *errgroup.Group, it *item) {
	if it.fragment == nil {
		r.Planner.Lost()
		r.backlog.end(&it.lane, media.Outcome{})
		<-r.fragments
		return
	}
	r.Account.begin(it.fragment)
	work := r.Planner.Plan(it.fragment)
	size := int64(len(it.fragment.MKV))
	// The plan holds on to as much of the media as it needs.
	it.fragment = withoutMedia(it.fragment)
	r.bytes.add(size, 1)
	group.Go(func() error {
		out, err := work(ctx, func(img media.Image) error { return r.backlog.put(ctx, &it.lane, img) })
		if err != nil {
			return err
		}
		r.backlog.end(&it.lane, out)
		r.bytes.add(-size, -1)
		<-r.fragments
		return nil
	})
}

// withoutMedia returns the fragment as far as the sinks need it, so that its bytes do not stay
// in memory until it is committed.
func withoutMedia(f *media.Fragment) *media.Fragment {
	bare := *f
	bare.MKV, bare.Blocks, bare.Tracks = nil, nil, nil
	return &bare
}

// deliver starts the writes of all images, fragment after fragment.
func (r *run) deliver(ctx context.Context, group *errgroup.Group) error {
	for it := range r.order {
		for {
			img, ok, err := r.backlog.take(ctx, &it.lane)
			if err != nil {
				return err
			}
			if !ok {
				break
			}
			if err := r.write(ctx, group, it, img); err != nil {
				return err
			}
		}
		select {
		case <-ctx.Done():
			return ctx.Err()
		case r.uncommitted <- it:
		}
	}
	return ctx.Err()
}

// write hands one image to its sink, when that has a place free.
func (r *run) write(ctx context.Context, group *errgroup.Group, it *item, img media.Image) error {
	i, ok := r.sinks[img.Sink]
	if !ok {
		return fmt.Errorf("deliver image: no sink is named %q", img.Sink)
	}
	select {
	case <-ctx.Done():
		return ctx.Err()
	case r.writes[i] <- struct{}{}:
	}
	record := new(media.Record)
	it.records[i] = append(it.records[i], record)
	it.writes.Add(1)
	group.Go(func() error {
		defer it.writes.Done()
		defer func() { <-r.writes[i] }()
		defer r.backlog.release(&it.lane, int64(len(img.Data)))
		written, err := r.Sinks[i].Write(ctx, img)
		if err != nil {
			err = &SinkError{Sink: img.Sink, Op: "write to sink " + img.Sink, Err: err}
			it.failedOnce.Do(func() { it.failed = err })
			return err
		}
		*record = written
		if !written.Skipped {
			r.Meter.sink(img.Sink).Add(1)
		}
		return nil
	})
	return nil
}

// maxLoggedGaps is the number of gaps of one fragment, or of the end of a stream, that are logged
// one by one.
const maxLoggedGaps = 100

// commit ends fragments in order: when all images of one are durable, its
// manifest parts are written and it counts.
func (r *run) commit(ctx context.Context) error {
	for it := range r.uncommitted {
		it.writes.Wait()
		if it.failed != nil {
			return it.failed
		}
		if err := ctx.Err(); err != nil {
			return err
		}
		if err := r.commitItem(ctx, it); err != nil {
			return err
		}
	}
	return nil
}

func (r *run) commitItem(ctx context.Context, it *item) error {
	for i, sink := range r.Sinks {
		records := make([]media.Record, len(it.records[i]))
		skipped := 0
		for n, record := range it.records[i] {
			records[n] = *record
			if record.Skipped {
				skipped++
			}
		}
		if len(records) == 0 {
			continue
		}
		if err := sink.Commit(ctx, it.fragment, records); err != nil {
			return &SinkError{Sink: sink.Name(), Op: fmt.Sprintf("commit fragment %s to sink %s", it.fragment.Number, sink.Name()), Err: err}
		}
		r.Account.images(sink.Name(), len(records)-skipped, skipped)
	}
	gaps := append(it.gaps, it.lane.outcome.Gaps...)
	for i, g := range gaps {
		if i == maxLoggedGaps {
			r.Log.Warn("more gaps: the summary counts them", "stream", r.Name, "gaps", len(gaps)-i)
			break
		}
		r.Log.Warn("gap", "stream", r.Name, "fragment", g.FragmentNumber, "from_frame", g.FrameIndex, "frames_lost", g.FramesLost, "reason", g.Reason, "detail", g.Detail)
	}
	r.Account.commit(it.fragment, it.lane.outcome, gaps)
	r.Meter.Gaps.Add(int64(len(gaps)))
	if it.fragment != nil {
		r.Meter.Fragments.Add(1)
		r.Meter.FramesDecoded.Add(int64(it.lane.outcome.FramesDecoded))
	}
	return nil
}

// byteGate lets fragments in while those in flight are small enough together. One alone
// never shuts it, since it may wait for the next.
type byteGate struct {
	mu          sync.Mutex
	limit, used int64
	fragments   int
	change      chan struct{} // holds a token when used has shrunk
}

func (g *byteGate) add(bytes int64, fragments int) {
	g.mu.Lock()
	g.used += bytes
	g.fragments += fragments
	g.mu.Unlock()
	select {
	case g.change <- struct{}{}:
	default:
	}
}

// wait returns when less than the limit is in use, or one fragment. One goroutine may wait.
func (g *byteGate) wait(ctx context.Context) error {
	for {
		g.mu.Lock()
		room := g.used < g.limit || g.fragments <= 1
		g.mu.Unlock()
		if room {
			return nil
		}
		select {
		case <-ctx.Done():
			return ctx.Err()
		case <-g.change:
		}
	}
}
