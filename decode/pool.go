//go:build cgo

package decode

import (
	"context"
	"fmt"
	"log/slog"
	"runtime"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"github.com/kvsframes/kvsframes/decode/pick"
	"github.com/kvsframes/kvsframes/decode/plan"
	"github.com/kvsframes/kvsframes/internal/logging"
	"github.com/kvsframes/kvsframes/media"
)

// Pool decodes the fragments of all streams: as many at once as it has workers,
// each on one core.
type Pool struct {
	config Config
	log    *slog.Logger
	idle   *crew
	memory memory
	// processes are those that fragments are decoded in; nil if this one decodes them.
	processes *processes
	// decoded is the number of fragments that had a worker, and busy for how long, in nanoseconds.
	decoded, busy atomic.Int64

	mu sync.Mutex
	// streams are those that have not ended: they may hold a decoder.
	streams map[*Stream]struct{}
}

// NewPool starts a pool. It must be closed. Zero values in cfg are defaults, and a nil log is silent.
func NewPool(cfg Config, log *slog.Logger) (*Pool, error) { return newPool(cfg, log, childMark) }

func newPool(cfg Config, log *slog.Logger, mark string) (*Pool, error) {
	cfg = cfg.withDefaults()
	if err := cfg.Validate(); err != nil {
		return nil, fmt.Errorf("configure decode: %w", err)
	}
	if cfg.Workers == 0 {
		cfg.Workers = runtime.GOMAXPROCS(0)
	}
	p := &Pool{config: cfg, log: logging.OrSilent(log), idle: newCrew(cfg.Workers), memory: memory{limit: int64(cfg.MaxMemory)}, streams: map[*Stream]struct{}{}}
	if err := p.isolate(mark); err != nil {
		return nil, fmt.Errorf("decode.isolation: %w", err)
	}
	for n := range cfg.Workers {
		if p.processes != nil {
			p.idle.put(&isolated{all: p.processes})
			continue
		}
		w, err := newWorker(cfg)
		if err != nil {
			p.config.Workers = n
			p.Close()
			return nil, fmt.Errorf("start decoder: %w", err)
		}
		p.idle.put(w)
	}
	return p, nil
}

// Stats is what a pool has done, and what it uses now.
type Stats struct {
	// Fragments is the number of fragments that had a worker, Busy for how long they had it together. That includes the waits for
	// sinks whose images have no room.
	Fragments int64
	Busy      time.Duration
	// Memory is that of all decoders, by estimate, and MaxMemory what it may be.
	Memory, MaxMemory int64
	// Died is the number of child processes that died of a fragment, Ended that of those that something else has ended.
	Died, Ended int64
}

// Stats returns the state of the pool. It may be called at any time.
func (p *Pool) Stats() Stats {
	s := Stats{Fragments: p.decoded.Load(), Busy: time.Duration(p.busy.Load()), MaxMemory: p.memory.limit}
	p.memory.mu.Lock()
	s.Memory = p.memory.used
	p.memory.mu.Unlock()
	if p.processes != nil {
		s.Died, s.Ended = p.processes.died.Load(), p.processes.ended.Load()
	}
	return s
}

// Workers returns the number of fragments that are decoded at once.
func (p *Pool) Workers() int { return p.config.Workers }

// Close waits for the fragments under way and frees all of libav's memory. The
// pool must not be used after it.
func (p *Pool) Close() {
	for range p.config.Workers {
		e, _ := p.idle.take(context.Background(), nil)
		e.free()
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	for s := range p.streams {
		s.planner.Close()
	}
	if p.processes != nil {
		p.processes.close()
	}
}

// Stream plans and decodes the fragments of one stream for a set of outputs.
type Stream struct {
	pool    *Pool
	outputs []Output
	planner *plan.Planner
	queue   queue
	// settings are what a child process must know of the stream.
	settings []byte
	// choosers choose the images of outputs, by output; nil for those that get all.
	choosers []*pick.Chooser
	// arriving is the fragment that is decoded while it arrives; nil for none.
	arriving *arrival
}

// Stream returns the decode stage of one stream. All outputs share one decode. Zero values in an output are defaults.
func (p *Pool) Stream(outputs []Output) (*Stream, error) {
	outputs = slices.Clone(outputs)
	for i, o := range outputs {
		o = o.withDefaults()
		if err := o.Validate(); err != nil {
			return nil, fmt.Errorf("configure output %s: %w", o.Sink, err)
		}
		outputs[i] = o
	}
	s := &Stream{pool: p, outputs: outputs, planner: plan.NewPlanner(p.config.SkipFrame, requested(outputs...)), settings: settingsOf(p.config, outputs)}
	for _, o := range outputs {
		s.choosers = append(s.choosers, pick.New(o.Sample, o.Filters))
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	p.streams[s] = struct{}{}
	return s, nil
}

// Plan decides which frames of f are wanted, and returns the work function that decodes them. It must be called for every
// fragment of the stream, in order, from one goroutine at a time.
//
//   - The work function must be called once, on any goroutine, at the same time as others.
//   - It waits for a free worker; earlier fragments of the stream get one first.
//   - It may block until a later Plan (at most MaxLookahead fragments on) or End is called.
//   - It calls emit for each image, in presentation order and by output where one frame serves several, on its own goroutine and
//     never after it has returned. It stops with emit's error or the context's.
//   - What could not be decoded is in the outcome; it is an error only if on_error is fail.
func (s *Stream) Plan(f *media.Fragment) func(ctx context.Context, emit func(media.Image) error) (media.Outcome, error) {
	pl := s.planner.Plan(f)
	if began, ended := s.planner.Turned(); began {
		s.pool.log.Warn("too far behind, only key frames are decoded", "stream", f.Stream, "fragment", f.Number, "behind_ms", f.MillisBehindNow)
	} else if ended {
		s.pool.log.Info("no longer too far behind, all frames are decoded again", "stream", f.Stream, "fragment", f.Number)
	}
	ahead := s.arrived(f, pl)
	release := func() {} // of the fragment's media
	if !pl.Pending() {
		whole := f
		if !pl.Skipped {
			release = sync.OnceFunc(pl.Release)
		}
		if f = pl.Needed(f); f != whole {
			release()
		}
	}
	var turn *place // nil for a fragment that emits nothing, which need not wait
	if len(pl.Frames) > 0 && !pl.Skipped {
		turn = s.queue.join()
	}
	return func(ctx context.Context, emit func(media.Image) error) (media.Outcome, error) {
		defer s.queue.leave(turn)
		err := pl.Wait(ctx)
		var given *aheadImages
		var renumbered []media.Gap
		if err == nil {
			given, renumbered, err = ahead.settle(ctx, pl)
		}
		switch {
		case pl.Skipped:
			return media.Outcome{Gaps: renumbered}, err
		case err != nil:
			pl.GiveUp()
			return media.Outcome{}, err
		case given.all(pl):
			pl.GiveUp()
			release()
			return media.Outcome{FramesDecoded: given.decoded, Gaps: pl.LeftOut}, nil
		}
		defer pl.ReleaseLeads()
		if pl.Idle() {
			release()
			return media.Outcome{Gaps: append(renumbered, pl.LeftOut...)}, nil
		}
		next := pl.Next()
		if next != nil {
			defer next.GiveUp()
		}
		before, err := decoderBefore(ctx, pl)
		if err != nil {
			return media.Outcome{}, err
		}
		e, room, err := s.executor(ctx, turn, pl, before)
		if err != nil {
			return media.Outcome{}, err
		}
		defer s.pool.memory.leave()
		defer s.pool.idle.put(e)
		defer release()
		began := time.Now()
		outcome, err := s.decode(ctx, e, f, pl, before, room, given, emit)
		s.pool.decoded.Add(1)
		s.pool.busy.Add(int64(time.Since(began)))
		outcome.Gaps = slices.Concat(renumbered, outcome.Gaps, pl.LeftOut)
		return outcome, err
	}
}

// decoderBefore returns the decoder that continues with a fragment, or nil if there is none, or it was ended to make room.
func decoderBefore(ctx context.Context, pl *plan.Plan) (plan.Decoder, error) {
	before, err := pl.Before(ctx)
	if h, ok := before.(*heldProcess); ok {
		before = nil
		if p := h.claim(); p != nil {
			before = p
		}
	}
	return before, err
}

// decode decodes a fragment of which something is needed, and hands on all but what was given. It takes ownership of before and room.
func (s *Stream) decode(ctx context.Context, e executor, f *media.Fragment, pl *plan.Plan, before plan.Decoder, room *room, given *aheadImages, emit func(media.Image) error) (media.Outcome, error) {
	a := newAccount(f, pl, s.outputs, s.pool.config.OnError, emit)
	a.ahead = given
	if len(f.Tracks) == 0 && len(f.Blocks) > 0 {
		room.free()
		return media.Outcome{Gaps: []media.Gap{a.gap(nil, 0, errNoTracks, nil)}}, nil
	}
	if len(pl.Frames) == 0 { // cut fragments and streams without video have a gap already
		room.free()
		return media.Outcome{}, nil
	}
	if err := s.pool.config.Refusal(pl); err != nil {
		room.free()
		if before != nil {
			before.Free()
		}
		err = a.lose(err)
		return a.outcome(), err
	}
	err := e.run(ctx, s, newWork(f, pl, s.outputs), before, room, a)
	return a.outcome(), err
}

// executor waits for the fragment's turn, for room for its decoder unless before continues, and for an idle executor. The caller must give them back. After
// an error, before is freed.
func (s *Stream) executor(ctx context.Context, turn *place, pl *plan.Plan, before plan.Decoder) (_ executor, _ *room, err error) {
	size := pl.Footprint
	if before != nil {
		size = 0 // the decoder has its room
		defer func() {
			if err != nil {
				before.Free()
			}
		}()
	}
	if err := turn.wait(ctx); err != nil {
		return nil, nil, err
	}
	room, err := s.pool.memory.enter(ctx, size, s.pool.dropKept)
	if err != nil {
		return nil, nil, err
	}
	e, err := s.pool.idle.take(ctx, s)
	if err != nil {
		room.free()
		s.pool.memory.leave()
		return nil, nil, err
	}
	s.queue.leave(turn)
	return e, room, nil
}

// dropKept frees a decoder that is kept for a later fragment, and reports whether there was one.
func (p *Pool) dropKept() bool {
	return p.idle.dropKept() || p.processes != nil && p.processes.dropHeld()
}

// MaxLookahead returns how many later fragments a work function may wait for.
func (s *Stream) MaxLookahead() int { return plan.MaxLookahead }

// Sinks returns the names of the sinks that the outputs make images for.
func (s *Stream) Sinks() []string {
	names := make([]string, len(s.outputs))
	for i, o := range s.outputs {
		names[i] = o.Sink
	}
	return names
}

// Lost records that a fragment is missing between the last planned one and the next. Like Plan, it
// must be called in order, from one goroutine at a time.
func (s *Stream) Lost() { s.planner.Lost() }

// End ends the stream. It must be called once, after the last call of Plan: work functions may wait
// for it, and it frees a decoder that continues from fragment to fragment. It returns a gap for each
// requested time that no frame answers.
func (s *Stream) End() []media.Gap {
	s.ended()
	return s.planner.End()
}

// Interrupt ends the stream in place of End, for a later run that continues it. A work function that waits for a later
// fragment to decide what is wanted returns media.ErrUndecided.
func (s *Stream) Interrupt() {
	s.ended()
	s.planner.Interrupt()
}

func (s *Stream) ended() {
	s.pool.mu.Lock()
	defer s.pool.mu.Unlock()
	delete(s.pool.streams, s)
}

// Resume makes the stream continue where another one was: each output after the place of its state, in the order of the
// outputs (see plan.Planner.Resume). It must be called before Plan.
func (s *Stream) Resume(states []plan.State) error {
	for i, c := range s.choosers {
		if c == nil {
			continue
		}
		if err := c.Restore(states[i].Chosen); err != nil {
			return err
		}
	}
	return s.planner.Resume(states)
}

// Chooser returns what chooses the images of a sink: the images that the work functions emit are all that may be chosen. It is nil if
// the sink gets every image.
func (s *Stream) Chooser(sink string) media.Chooser {
	if i := s.outputOf(sink); i >= 0 && s.choosers[i] != nil {
		return s.choosers[i]
	}
	return nil
}

// outputOf returns the output of a sink, -1 for none.
func (s *Stream) outputOf(sink string) int {
	return slices.IndexFunc(s.outputs, func(o Output) bool { return o.Sink == sink })
}

// CatchUp makes the stream catch up when it is further behind than most (see plan.Planner.CatchUp). It must be called before Plan.
func (s *Stream) CatchUp(most, patience time.Duration) { s.planner.CatchUp(most, patience) }

// Turned reports whether catching up began or ended with the last Plan (see plan.Planner.Turned).
func (s *Stream) Turned() (began, ended bool) { return s.planner.Turned() }

// Mark returns where the stream is after the last Plan. Its State methods may be called later.
func (s *Stream) Mark() *plan.Mark { return s.planner.Mark() }

// requested returns what the planner must know about outputs.
func requested(outputs ...Output) []plan.Output {
	asked := make([]plan.Output, len(outputs))
	for i, o := range outputs {
		asked[i] = plan.Output{Sink: o.Sink, Sample: o.Sample, Fast: o.Fast}
	}
	return asked
}
