package kvsframes

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"maps"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/kvsframes/kvsframes/checkpoint"
	"github.com/kvsframes/kvsframes/config"
	"github.com/kvsframes/kvsframes/decode"
	"github.com/kvsframes/kvsframes/decode/plan"
	"github.com/kvsframes/kvsframes/media"
	"github.com/kvsframes/kvsframes/pipeline"
	"github.com/kvsframes/kvsframes/sink/s3"
	"github.com/kvsframes/kvsframes/source"
)

// closeLimit bounds how long a checkpoint is written for the last time and released.
const closeLimit = 5 * time.Second

// position is the checkpoint of one stream during a run.
type position struct {
	held checkpoint.Checkpoint
	// stores are those of the outputs, in order; nil where what is put has reached the disk. unsynced are their errors: a store
	// that failed once may have lost images, so its output stays where it is.
	stores   []syncer
	unsynced []error
	log      *slog.Logger
	// reached reports whether the run has read all that the settings ask for.
	reached bool
	// forgotten is the last fragment that was delivered before the checkpoint was forgotten.
	forgotten media.Place
	// blank reports whether the checkpoint had no state: nothing of the stream was written before this run.
	blank bool
	// anew reports whether a run without a state reads again what this one has read.
	anew bool
	// wake makes keep write at once.
	wake chan struct{}
	// settings stand for those of each output, in order; names are its sink's.
	names, settings []string
	// passing are the sinks that write nothing durable: they have a place during the run, and none in the checkpoint.
	passing map[string]bool

	mu    sync.Mutex
	now   saved
	steps []reached // the latest that are durable, by output
	// planned are the latest steps, durable or not, by output.
	planned []*step
	moved   bool
	// unsaved counts the fragments that each output has delivered since the checkpoint was last written, and written is closed
	// when it is.
	unsaved []int
	written chan struct{}
	// kept are to be closed when it is written.
	kept []chan<- struct{}
	// saved is when the checkpoint was last written, or opened.
	saved time.Time
	// writing is held while the checkpoint is being written.
	writing sync.Mutex
}

// reached is what of a stream is durable at one sink.
type reached struct {
	*step // the latest whose fragment is; nil for none in this run
	// split ends what is durable of a later fragment.
	split media.Split
	// chosen is the state of the sink's Chooser after the fragment; nil without one.
	chosen json.Marshaler
}

// step is a fragment that was planned by one of the readers of a stream.
type step struct {
	mark *plan.Mark
	// outputs are the places of its planner's outputs in position.names.
	outputs []int
	// next is the number of the fragment that its reader planned after it; "" for none so far.
	next string
}

// state returns the state of an output after the step.
func (s *step) state(output int) plan.State { return s.mark.State(slices.Index(s.outputs, output)) }

// lacks reports whether the fragment is one for an output, and not only read again.
func (s *step) lacks(output int) bool { return s.mark.Lacks(slices.Index(s.outputs, output)) }

// catchUp returns what was decided up to now about the fragments after a place.
func (s *step) catchUp(output int, after media.Place) plan.CaughtUp {
	return s.mark.CaughtUp(slices.Index(s.outputs, output), after)
}

// age returns for how long the checkpoint has not been written although it has moved, 0 if it is up to date.
func (p *position) age(now time.Time) time.Duration {
	p.mu.Lock()
	defer p.mu.Unlock()
	if !p.moved {
		return 0
	}
	return max(0, now.Sub(p.saved))
}

// syncer is a store whose objects may be lost in a power cut until they are synced.
type syncer interface{ Sync() error }

// Keeps reports whether a run with the options has checkpoints, so that another one can continue it. Those of single fragments have one if the
// settings say so.
func (p *Pipeline) Keeps(o RunOptions) bool {
	c := p.Config.CheckpointType()
	if len(p.options.Fragments) > 0 {
		c = p.Config.Checkpoint.Type
	}
	return (c == config.CheckpointFile || c == config.CheckpointS3) && !o.IgnoreCheckpoint && p.options.Gaps == ""
}

// checkpointOf returns where the checkpoint of a stream is. Each list of single fragments, or of frames of them, has its own.
func (p *Pipeline) checkpointOf(stream string) string {
	if list := p.fragments(); len(list) > 0 {
		for _, r := range p.options.Frames {
			list = append(list, r.Place())
		}
		sum := sha256.Sum256([]byte(strings.Join(list, " ")))
		stream += "-fragments-" + hex.EncodeToString(sum[:4])
	}
	return p.Config.Checkpoint.PathOf(p.options.Path, stream)
}

// openCheckpoints finds out whether checkpoints can be kept where the settings say, before anything is read.
func (p *Pipeline) openCheckpoints(ctx context.Context, st *stages, o RunOptions) error {
	if !p.Keeps(o) {
		return nil
	}
	c := p.Config.Checkpoint
	if p.Config.CheckpointType() == config.CheckpointS3 {
		store, err := s3.Open(ctx, c.S3())
		if err != nil {
			return fmt.Errorf("checkpoint: %w", err)
		}
		st.checkpoint = func(stream string) checkpoint.Store {
			return checkpoint.NewLease(store.Object(p.checkpointOf(stream)), o.CheckpointTerm, o.Log)
		}
		return nil
	}
	within, _, _ := strings.Cut(p.checkpointOf("{stream}"), "{stream}")
	if err := checkpoint.CheckFolder(filepath.Dir(within + "x")); err != nil {
		return fmt.Errorf("%w (%s)", err, placeHint)
	}
	st.checkpoint = func(stream string) checkpoint.Store { return checkpoint.NewFile(p.checkpointOf(stream)) }
	return nil
}

// placeHint ends errors of a place that does not keep checkpoints.
const placeHint = "checkpoint.path sets another place, checkpoint.type: none does without"

// openPosition takes over the checkpoint of a stream. It returns nil if the settings ask for none.
func (st *stages) openPosition(ctx context.Context, in source.Input, o RunOptions) (*position, error) {
	c, stream := st.pipeline.Config, in.Stream
	if st.checkpoint == nil {
		st.pipeline.span().log(o.Log.With("stream", stream), "reading between times")
		return nil, nil
	}
	held, err := st.checkpoint(stream).Acquire(ctx, false)
	owned := errors.As(err, new(*checkpoint.OwnedError))
	if err != nil && !owned && o.Restart { // what cannot be read is forgotten, too
		held, err = st.checkpoint(stream).Acquire(ctx, true)
	}
	switch {
	case owned:
		return nil, fmt.Errorf("another run reads stream %s: %w", stream, err)
	case err != nil:
		return nil, fmt.Errorf("%w (%s; %s)", err, restartHint, placeHint)
	}
	from, isKVS := c.Source.KVS()
	p := &position{
		held: held, anew: !isKVS || from.Mode != source.ModeLive || from.StartSelector.Type != source.StartNow, wake: make(chan struct{}, 1),
		log: o.Log.With("stream", stream), saved: time.Now(), written: make(chan struct{}), steps: make([]reached, len(c.Sinks)),
		planned: make([]*step, len(c.Sinks)), unsaved: make([]int, len(c.Sinks)), unsynced: make([]error, len(c.Sinks)),
		passing: map[string]bool{},
	}
	for i, s := range c.Sinks {
		p.names = append(p.names, s.Name)
		p.settings = append(p.settings, st.pipeline.settingsOf(i, s))
		if s.Destination.Appends() {
			p.passing[s.Name] = true
		}
		store, _ := st.stores[i].(syncer)
		p.stores = append(p.stores, store)
	}
	p.now = saved{Version: checkpointVersion, Stream: stream, RunID: st.runID, Fragments: c.Fragments(), End: c.End(), Times: st.pipeline.span(), Sinks: map[string]savedSink{}}
	if in.Identity != nil {
		p.now.Source = in.Identity(ctx)
	}
	for i, name := range p.names { // each begins at the beginning
		p.now.Sinks[name] = savedSink{Settings: p.settings[i]}
	}
	err = p.read(o)
	st.pipeline.setSpan(stream, p.now.Times)
	fresh := held.State() == nil || p.now.Written == "" && !o.Restart
	if err == nil && fresh { // names have the run's ID, and the next run continues it and the times, however soon this one ends
		err = p.save(ctx, slices.Clone(p.steps), false)
	}
	if err != nil {
		return nil, errors.Join(err, p.release(ctx))
	}
	if now := st.pipeline.span(); now.equal(p.now.Times) {
		now.log(p.log, "reading between times")
	} else {
		p.now.Times.log(p.log, "reading between the times of the first start")
	}
	return p, nil
}

// track makes the checkpoint follow the planner of a reader, and tells the reader where that is. When catching up begins or ends with a
// fragment, the checkpoint is written before any image of it: a later run leaves out the same frames. ctx ends its waits.
func (p *position) track(ctx context.Context, r *reader, planner *decode.Stream) func() pipeline.Planned {
	last := &step{}
	return func() pipeline.Planned {
		s := &step{mark: planner.Mark(), outputs: r.sinks}
		r.pass(s.mark.Place())
		p.mu.Lock()
		last.next = s.mark.Place().Number
		for _, i := range s.outputs {
			p.planned[i] = s
		}
		began, ended := planner.Turned()
		turned := began || ended
		p.moved = p.moved || turned
		if p.now.First.Number == "" {
			p.now.First, p.moved = s.mark.Place(), true
			p.hurry()
		}
		p.mu.Unlock()
		if turned {
			p.tryWrite(ctx)
		}
		p.limit(ctx, r.stop)
		last = s
		if !s.mark.IsNew() {
			return pipeline.Planned{}
		}
		first := r.first && media.CompareNumbers(s.mark.Place().Number, r.counted) > 0
		return pipeline.Planned{
			Durable: func(sink string, r media.Receipt) {
				p.durable(slices.Index(p.names, sink), reached{s, r.Next, r.Chosen}, r.More)
			},
			Lacks: func(sink string) bool { return s.lacks(slices.Index(p.names, sink)) },
			First: first,
		}
	}
}

// durable notes what a sink has. more reports whether it has more that belongs to it: a run cannot continue there (see media.Receipt).
func (p *position) durable(output int, r reached, more bool) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if !r.mark.IsFor(slices.Index(r.outputs, output)) {
		return
	}
	p.unsaved[output]++
	if more {
		return
	}
	p.steps[output], p.moved = r, true
	if p.unsaved[output] >= maxUnsaved { // limit may have asked too early, between the receipts
		p.hurry()
	}
}

// keepEnd has the checkpoint say with which fragment what is open of an output ends, before it returns nil.
func (p *position) keepEnd(ctx context.Context, output int, number string) error {
	kept := make(chan struct{})
	p.mu.Lock()
	s := p.now.Sinks[p.names[output]]
	s.Ends = number
	p.now.Sinks[p.names[output]] = s
	p.kept, p.moved = append(p.kept, kept), true
	p.hurry()
	p.mu.Unlock()
	select {
	case <-kept:
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}

// hurry makes keep write at once.
func (p *position) hurry() {
	select {
	case p.wake <- struct{}{}:
	default: // it is about to
	}
}

// maxUnsaved is the number of fragments that a sink may have delivered beyond the checkpoint before no more are read. With those that are
// on their way then, a run that is killed repeats 256 fragments, on a machine with up to 63 workers.
const maxUnsaved = 128

// limit waits until no sink is too far beyond the checkpoint, or one of the contexts ends.
func (p *position) limit(ctx, stop context.Context) {
	for {
		p.mu.Lock()
		far, written := slices.Max(p.unsaved) >= maxUnsaved, p.written
		p.mu.Unlock()
		if !far {
			return
		}
		p.hurry()
		select {
		case <-ctx.Done():
			return
		case <-stop.Done():
			return
		case <-written:
		}
	}
}

// keep writes the checkpoint while it moves, until ctx ends.
func (p *position) keep(ctx context.Context, every time.Duration) {
	ticker := time.NewTicker(max(time.Millisecond, every))
	defer ticker.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case <-ticker.C:
		case <-p.wake:
		}
		p.tryWrite(ctx)
	}
}

// tryWrite writes the checkpoint if it has moved. An error is tried again later.
func (p *position) tryWrite(ctx context.Context) {
	if err := p.write(ctx, false); err != nil && ctx.Err() == nil {
		p.log.WarnContext(ctx, "the checkpoint could not be written, which is tried again", "error", err)
	}
}

// lost calls giveUp as soon as another run owns the checkpoint, until ctx ends.
func (p *position) lost(ctx context.Context, giveUp context.CancelCauseFunc) {
	select {
	case <-ctx.Done():
	case <-p.held.Lost():
		giveUp(p.held.Confirm(ctx))
	}
}

// write writes the checkpoint if it has moved, or is done, when all that it covers outlives a power cut.
func (p *position) write(ctx context.Context, done bool) error {
	p.writing.Lock()
	defer p.writing.Unlock()
	p.mu.Lock()
	steps, moved := slices.Clone(p.steps), p.moved || done != p.now.Done
	covers, kept := slices.Clone(p.unsaved), len(p.kept)
	p.moved = false
	p.mu.Unlock()
	if !moved {
		return nil
	}
	err := p.save(ctx, steps, done)
	p.mu.Lock()
	defer p.mu.Unlock()
	if err != nil {
		p.moved = true
	} else {
		p.saved, p.anew = time.Now(), true
		for i, n := range covers {
			p.unsaved[i] -= n
		}
		for _, c := range p.kept[:kept] {
			close(c)
		}
		p.kept = slices.Delete(p.kept, 0, kept)
		close(p.written)
		p.written = make(chan struct{})
	}
	return err
}

// covers reports whether a later run reads all that this one has read and not delivered.
func (p *position) covers() bool {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.anew
}

// sync makes the images of an output outlive a power cut.
func (p *position) sync(ctx context.Context, output int) error {
	store, failed := p.stores[output], p.unsynced[output]
	if failed != nil || store == nil {
		return failed
	}
	err := store.Sync()
	if err != nil {
		err = fmt.Errorf("sync the images of sink %s before the checkpoint: %w", p.names[output], err)
		p.unsynced[output] = err
		p.log.ErrorContext(ctx, "a sink may have lost images: the next run continues where the checkpoint is", "error", err)
	}
	return err
}

func (p *position) save(ctx context.Context, steps []reached, done bool) error {
	for i := range p.stores {
		if p.sync(ctx, i) != nil {
			steps[i], done = reached{}, false
		}
	}
	p.mu.Lock()
	for i, name := range p.names {
		if _, known := p.now.Sinks[name]; known {
			p.now.Sinks[name] = p.sink(i, steps[i])
		}
	}
	p.now.Done, p.now.Written = done, media.Timestamp(time.Now())
	lasting := p.now
	lasting.Sinks = maps.Clone(p.now.Sinks)
	p.dropPassing(lasting.Sinks)
	data, err := json.Marshal(lasting)
	p.mu.Unlock()
	if err != nil {
		return fmt.Errorf("write checkpoint: %w", err)
	}
	return p.held.Save(ctx, data)
}

// close writes the checkpoint for the last time and gives it back, also when ctx has ended.
func (p *position) close(ctx context.Context, done bool) error {
	limited, cancel := context.WithTimeout(context.WithoutCancel(ctx), closeLimit)
	defer cancel()
	err := p.write(limited, done)
	return errors.Join(append(p.unsynced, err, p.held.Release(limited))...)
}

// release gives the checkpoint back as it is, also when ctx has ended.
func (p *position) release(ctx context.Context) error {
	limited, cancel := context.WithTimeout(context.WithoutCancel(ctx), closeLimit)
	defer cancel()
	return p.held.Release(limited)
}
