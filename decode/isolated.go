//go:build cgo

package decode

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"github.com/kvsframes/kvsframes/decode/plan"
	"github.com/kvsframes/kvsframes/internal/sandbox"
	"github.com/kvsframes/kvsframes/internal/wait"
	"github.com/kvsframes/kvsframes/media"
)

// processes starts the child processes of a pool. Where one is about to be replaced, another is started ahead.
type processes struct {
	launcher *sandbox.Launcher
	mark     string
	limit    int64 // of each one's memory
	memory   *memory
	log      *slog.Logger
	layers   sandbox.Layers
	idle     *crew
	patience func(work) patience
	// grace is how long a process may take to end after its connection has.
	grace time.Duration

	// wanted has a request for each process that a worker may wait for, and one more; spare gives them out.
	wanted chan struct{}
	spare  chan *process
	cancel context.CancelFunc
	filler sync.WaitGroup

	// died is the number of processes that died of a fragment, ended that of those that something else has ended.
	died, ended atomic.Int64

	mu sync.Mutex
	// held are the processes of chains whose next fragment has not come yet, the oldest first.
	held []*heldProcess
}

// What a process may take and is counted as, in bytes. A decoder's picture has at most 38 bytes for each pixel, and rendering needs a few copies.
const (
	processLimit = 1 << 30
	pixelLimit   = 64
	processSize  = 25 << 20
)

// newProcesses starts the first process, and fails if that is not possible.
func newProcesses(mark string, workers int, maxPixels int64, m *memory, log *slog.Logger) (*processes, error) {
	ps := &processes{
		launcher: sandbox.NewLauncher(), mark: mark, limit: processLimit + pixelLimit*maxPixels, memory: m, log: log, patience: patienceFor, grace: 5 * time.Second,
		wanted: make(chan struct{}, workers+1), spare: make(chan *process),
	}
	first, err := startProcess(ps.launcher, ps.mark, ps.limit)
	if err != nil {
		ps.launcher.Close()
		return nil, err
	}
	ps.layers = first.layers
	ctx, cancel := context.WithCancel(context.Background())
	ps.cancel = cancel
	ps.filler.Go(func() { ps.fill(ctx, first) })
	return ps, nil
}

// fill gives out p, and starts another for each request.
func (ps *processes) fill(ctx context.Context, p *process) {
	for failures := 0; ; {
		if p == nil {
			var err error
			if failures == 0 {
				select {
				case <-ctx.Done():
					return
				case <-ps.wanted:
				}
			}
			if p, err = startProcess(ps.launcher, ps.mark, ps.limit); err != nil {
				ps.log.Warn("cannot start a decoder; trying again", "error", err)
				if wait.Sleep(ctx, wait.Backoff(firstPause, mostPause, failures, 4)) != nil {
					return
				}
				failures++
				continue
			}
			failures = 0
		}
		select {
		case <-ctx.Done():
			p.kill()
			return
		case ps.spare <- p:
			p = nil
		}
	}
}

// get returns a new process.
func (ps *processes) get(ctx context.Context) (*process, error) {
	select {
	case p := <-ps.spare:
		return p, nil
	default:
		ps.prepare()
	}
	select {
	case <-ctx.Done():
		return nil, ctx.Err()
	case p := <-ps.spare:
		return p, nil
	}
}

// prepare has a process started ahead.
func (ps *processes) prepare() {
	select {
	case ps.wanted <- struct{}{}:
	default:
	}
}

func (ps *processes) close() {
	for ps.dropHeld() {
	}
	ps.cancel()
	ps.filler.Wait()
	ps.launcher.Close()
}

// heldProcess is a process whose decoder continues with the next fragment of a chain.
type heldProcess struct {
	owner   *processes
	process *process
	extra   *room // of the process itself
}

// hold keeps a process for the next fragment, or ends it and returns nil if there is no memory for it: then the next fragment is
// led up.
func (ps *processes) hold(p *process) *heldProcess {
	extra := ps.memory.spare(processSize, p.room.size)
	if extra == nil {
		p.kill()
		return nil
	}
	h := &heldProcess{ps, p, extra}
	ps.mu.Lock()
	defer ps.mu.Unlock()
	ps.held = append(ps.held, h)
	return h
}

// claim takes the process, or returns nil if it was ended to make room.
func (h *heldProcess) claim() *process {
	h.owner.mu.Lock()
	defer h.owner.mu.Unlock()
	i := slices.Index(h.owner.held, h)
	if i < 0 {
		return nil
	}
	h.owner.held = slices.Delete(h.owner.held, i, i+1)
	h.extra.free()
	return h.process
}

// Free implements plan.Decoder. An idle worker without a process gets it.
func (h *heldProcess) Free() {
	p := h.claim()
	switch {
	case p == nil:
	case p.tasks >= mostTasks:
		p.kill()
		h.owner.prepare()
	case !h.owner.idle.adopt(p):
		p.kill()
	}
}

// dropHeld ends the process that has been held the longest, and reports whether there was one.
func (ps *processes) dropHeld() bool {
	ps.mu.Lock()
	if len(ps.held) == 0 {
		ps.mu.Unlock()
		return false
	}
	h := ps.held[0]
	ps.mu.Unlock()
	if p := h.claim(); p != nil {
		p.kill()
	}
	return true
}

// isolated is an executor that decodes in a child process.
type isolated struct {
	all *processes
	p   *process // nil before the first fragment, and after one that was replaced
}

func (e *isolated) suits(s *Stream) int {
	switch {
	case e.p == nil:
		return 1
	case e.p.stream == s:
		return 2
	}
	return 0
}

func (e *isolated) dropOldest() bool {
	if e.p == nil || e.p.room.size == 0 {
		return false
	}
	e.free()
	return true
}

func (e *isolated) free() {
	if e.p != nil {
		e.p.kill()
		e.p = nil
	}
}

// The pauses before a fragment is tried again whose process died of something else.
const (
	firstPause = time.Second / 4
	mostPause  = time.Minute
)

// mostFaults is how many processes one fragment may kill.
const mostFaults = 2

// run implements executor.
func (e *isolated) run(ctx context.Context, s *Stream, what work, before plan.Decoder, room *room, a *account) error {
	defer room.free()
	p := e.p
	if continuing, ok := before.(*process); ok {
		p = continuing
	} else {
		e.p = nil
	}
	for faults, failures := 0, 0; ; {
		if p == nil {
			var err error
			if p, err = e.all.get(ctx); err != nil {
				return err
			}
			before = nil
		}
		if before == nil {
			p.room.free()
			p.room = room.pass()
		}
		err := e.try(ctx, s, p, what, before != nil, a)
		if err == nil {
			return nil
		}
		*room = *p.room.pass()
		p.kill()
		p, before = nil, nil
		var d *death
		switch died := errors.As(err, &d); {
		case what.plan.Ahead && died:
			return fmt.Errorf("%w: %s", errDoubtful, d.how)
		case what.plan.Ahead || !died && !errors.Is(err, errDoubtful):
			return err
		case !died:
			continue
		}
		log := e.all.log.With("stream", what.stream, "fragment", a.fragment.Number, "death", d.how)
		if d.passing {
			e.all.ended.Add(1)
			log.Warn("the decoder was ended by something else; trying again")
			if err := wait.Sleep(ctx, wait.Backoff(firstPause, mostPause, failures, 4)); err != nil {
				return err
			}
			failures++
			continue
		}
		e.all.died.Add(1)
		if faults++; faults == mostFaults {
			log.Error("the decoder died of a fragment again; it is left out")
			what.plan.Spoil()
			return a.lose(reason(media.GapDecoder, fmt.Errorf("the decoder died of the fragment twice: %s", d.how)))
		}
		log.Warn("the decoder died of a fragment; trying once more")
	}
}

// try decodes a fragment with p, and keeps or replaces p unless there is an error.
func (e *isolated) try(ctx context.Context, s *Stream, p *process, what work, continues bool, a *account) error {
	h := head{Flag: p.stream != s, Goes: continues}
	if p.stream != s {
		p.wipe()
		p.stream = s
	}
	if !what.plan.Ahead || !continues { // the parts of a fragment are one task
		p.tasks++
	}
	a.begin()
	marked := a.concealed + len(a.missed)
	goes, wrong, err := p.decode(ctx, what.task(p.in[:0:len(p.in)], s.settings, continues), h, a, e.all.patience(what), e.all.grace)
	if err != nil {
		return err
	}
	switch next := what.plan.Next(); {
	case goes:
		if d := e.all.hold(p); d != nil {
			next.Give(d)
		}
	case e.p != nil:
		p.kill()
	case wrong || a.concealed+len(a.missed) > marked || p.tasks >= mostTasks:
		p.kill()
		e.all.prepare()
	default:
		e.p = p
	}
	return nil
}

// patienceFor allows many times what decoding and encoding take on a slow processor.
func patienceFor(what work) patience {
	const perByte, perFrame = 25 * time.Nanosecond, 10 * time.Millisecond
	frames, images := 0, 0
	if what.plan.Chain != nil {
		for _, l := range what.plan.Chain.Lead {
			frames += l.Frames()
		}
	}
	for _, f := range what.plan.Frames {
		if f.Feed {
			frames++
			images += len(f.Outputs)
		}
	}
	// A decoder's memory holds four pictures at least.
	cpu := 20*time.Second + time.Duration(frames+images)*(perFrame+perByte*time.Duration(what.plan.Footprint)/4)
	return patience{cpu: cpu, wall: time.Minute + 20*cpu}
}

// settingsOf returns what processes must know of a pool and of a stream.
func settingsOf(c Config, outputs []Output) []byte {
	s := settings{Config: c}
	for _, o := range outputs {
		s.Outputs = append(s.Outputs, childOutput{o.Sink, o.Resize, o.Format, o.Quality, o.PixelFormat, o.Layout, o.Normalize, o.needs})
	}
	text, err := json.Marshal(s)
	if err != nil { // texts and numbers
		panic(err)
	}
	return text
}
