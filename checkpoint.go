package kvsframes

import (
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/kvsframes/kvsframes/checkpoint"
	"github.com/kvsframes/kvsframes/config"
	"github.com/kvsframes/kvsframes/decode"
	"github.com/kvsframes/kvsframes/decode/plan"
	"github.com/kvsframes/kvsframes/media"
	"github.com/kvsframes/kvsframes/setting"
)

// checkpointVersion is the version of the form of checkpoints.
const checkpointVersion = 1

// checkpointEvery is how often a checkpoint is written while it moves, unless the settings set it.
const checkpointEvery = time.Second

// saved is the JSON of a checkpoint.
type saved struct {
	Version int    `json:"version"`
	Stream  string `json:"stream"`
	Written string `json:"written"`
	// RunID is that of the first run, whose keys the later ones continue.
	RunID string `json:"run_id"`
	// Fragments stands for the settings that determine which fragments are read.
	Fragments string `json:"fragments"`
	// Done reports whether the stream was read to an end that the settings name, and for which End stands: there will
	// be no more.
	Done bool   `json:"done"`
	End  string `json:"end"`
	// Sinks are the places of the sinks, by name. A sink that the settings do not name any more keeps its own.
	Sinks map[string]savedSink `json:"sinks"`
}

type savedSink struct {
	// Settings stands for the settings that the images, their names and their place depend on.
	Settings string     `json:"settings"`
	State    plan.State `json:"state"`
}

// position is the checkpoint of one stream during a run.
type position struct {
	file   *checkpoint.File
	stores []syncer
	log    *slog.Logger
	// reached reports whether the run has read all that the settings ask for.
	reached bool
	// settings stand for those of each output, in order; names are its sink's.
	names, settings []string

	mu    sync.Mutex
	now   saved
	steps []*step // the latest that is durable, by output; nil for none in this run
	moved bool
	// saved is when the checkpoint was last written, or opened.
	saved time.Time
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

// keepsPosition reports whether runs of the pipeline have checkpoints.
func (p *Pipeline) keepsPosition(o RunOptions) bool {
	return p.Config.Checkpoint.Type == config.CheckpointFile && !o.IgnoreCheckpoint && len(p.options.Fragments) == 0
}

// openPosition takes over the checkpoint of a stream. It returns nil if the settings ask for none.
func (st *stages) openPosition(stream string, o RunOptions) (*position, error) {
	c := st.pipeline.Config
	if !st.pipeline.keepsPosition(o) {
		return nil, nil
	}
	path := c.Checkpoint.File(st.pipeline.options.Path, stream)
	file, err := checkpoint.Open(path)
	if err != nil {
		return nil, fmt.Errorf("%w (checkpoint.path sets another place, checkpoint.type: none does without)", err)
	}
	p := &position{file: file, log: o.Log.With("stream", stream), steps: make([]*step, len(c.Sinks)), saved: time.Now()}
	for i, s := range c.Sinks {
		p.names = append(p.names, s.Name)
		p.settings = append(p.settings, st.pipeline.settingsOf(i, s))
		if s, ok := st.stores[i].(syncer); ok {
			p.stores = append(p.stores, s)
		}
	}
	p.now = saved{Version: checkpointVersion, Stream: stream, RunID: st.runID, Fragments: c.Fragments(), End: c.End(), Sinks: map[string]savedSink{}}
	for i, name := range p.names { // each begins at the beginning
		p.now.Sinks[name] = savedSink{Settings: p.settings[i]}
	}
	if err := p.read(path, o); err != nil {
		return nil, errors.Join(err, file.Close())
	}
	return p, nil
}

// settingsOf stands for all settings that the images of a sink, their names and their place depend on.
func (p *Pipeline) settingsOf(i int, s config.Sink) string {
	place, folders := s.Destination.Location.Place()
	h := sha256.New()
	fmt.Fprintf(h, "%s\n%s\n%q\n", p.Config.Pictures(s), place, folders)
	for _, r := range p.times[i] {
		fmt.Fprintf(h, "%d %q\n", r.Time.UnixNano(), r.Label)
	}
	return hex.EncodeToString(h.Sum(nil)[:8])
}

// restartHint ends errors of checkpoints that do not fit.
const restartHint = "--restart reads from source.start_selector again, --ignore-checkpoint leaves the checkpoint as it is"

// read reads the checkpoint and checks that it fits the settings.
func (p *position) read(path string, o RunOptions) error {
	data, err := p.file.Read()
	if err != nil || data == nil || o.Restart {
		return err
	}
	var old saved
	d := json.NewDecoder(bytes.NewReader(data))
	if err := d.Decode(&old); err != nil {
		return fmt.Errorf("checkpoint %s cannot be read: %w (%s)", path, err, restartHint)
	}
	switch {
	case old.Version != checkpointVersion:
		return fmt.Errorf("checkpoint %s has version %d, and this program reads version %d (%s)", path, old.Version, checkpointVersion, restartHint)
	case old.Stream != p.now.Stream:
		return fmt.Errorf("checkpoint %s is that of stream %q, not of %q (%s)", path, old.Stream, p.now.Stream, restartHint)
	}
	if differ := p.accept(&old); len(differ) > 0 && !o.AcceptChanges {
		return fmt.Errorf("checkpoint %s was written with other settings of %s (--accept-changes continues with the new ones, %s)", path, strings.Join(differ, " and "), restartHint)
	}
	if old.End != p.now.End {
		old.End, old.Done = p.now.End, false
	}
	if old.Sinks == nil {
		old.Sinks = map[string]savedSink{}
	}
	p.now = old
	return nil
}

// accept makes a checkpoint one of the present settings, and returns what they have changed. A sink that has changed continues at its
// place, and its sampler remembers nothing.
func (p *position) accept(old *saved) (changed []string) {
	if old.Fragments != p.now.Fragments {
		changed = append(changed, "source")
		old.Fragments, old.Done = p.now.Fragments, false
	}
	for i, name := range p.names {
		if s, ok := old.Sinks[name]; ok && s.Settings != p.settings[i] {
			changed = append(changed, "sink "+name)
			s.Settings, s.State.Sampler = p.settings[i], plan.SamplerState{}
			old.Sinks[name] = s
		}
	}
	return changed
}

// states returns where the outputs are, in order. A sink that is new begins where the one that is furthest on is.
func (p *position) states() []plan.State {
	p.mu.Lock()
	defer p.mu.Unlock()
	states := make([]plan.State, len(p.names))
	var furthest plan.State
	for i, name := range p.names {
		if states[i] = p.now.Sinks[name].State; p.steps[i] != nil {
			states[i] = p.steps[i].state(i)
		}
		if media.CompareNumbers(states[i].Place.Number, furthest.Place.Number) > 0 {
			furthest = states[i]
		}
	}
	for i, name := range p.names {
		if _, known := p.now.Sinks[name]; !known {
			states[i] = plan.State{Place: furthest.Place, Fragments: furthest.Fragments, Lead: furthest.Lead}
			p.now.Sinks[name] = savedSink{Settings: p.settings[i], State: states[i]}
			p.log.Info("a new sink begins where the others are", "sink", name, "after", furthest.Place.Number)
		}
	}
	return states
}

// next returns the number of the fragment after an output's last one, or "" if it is not known.
func (p *position) next(output int) string {
	p.mu.Lock()
	defer p.mu.Unlock()
	if s := p.steps[output]; s != nil {
		return s.next
	}
	return ""
}

// lowest returns the place of the output that is least far on, without a number if one is at the beginning.
func lowest(states []plan.State) media.Place {
	return slices.MinFunc(states, func(a, b plan.State) int { return media.CompareNumbers(a.Place.Number, b.Place.Number) }).Place
}

// track makes the checkpoint follow the planner of a reader, and tells the reader where that is.
func (p *position) track(r *reader, planner *decode.Stream) func() func(sink string) {
	last := &step{}
	return func() func(string) {
		s := &step{mark: planner.Mark(), outputs: r.sinks}
		r.pass(s.mark.Place())
		p.mu.Lock()
		last.next = s.mark.Place().Number
		p.mu.Unlock()
		last = s
		if !s.mark.IsNew() {
			return nil
		}
		return func(sink string) { p.durable(slices.Index(p.names, sink), s) }
	}
}

// durable notes that a sink has all images up to a step.
func (p *position) durable(output int, s *step) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if s.mark.IsFor(slices.Index(s.outputs, output)) {
		p.steps[output], p.moved = s, true
	}
}

// keep writes the checkpoint while it moves, until ctx ends.
func (p *position) keep(ctx context.Context, every setting.AutoDuration) {
	d, set := every.Get()
	if !set {
		d = checkpointEvery
	}
	ticker := time.NewTicker(max(time.Millisecond, d))
	defer ticker.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case <-ticker.C:
		}
		if err := p.write(false); err != nil {
			p.log.WarnContext(ctx, "the checkpoint could not be written, which is tried again", "error", err)
		}
	}
}

// write writes the checkpoint if it has moved, or is done, when all that it covers outlives a power cut.
func (p *position) write(done bool) error {
	p.mu.Lock()
	steps, moved := slices.Clone(p.steps), p.moved || done != p.now.Done
	p.moved = false
	p.mu.Unlock()
	if !moved {
		return nil
	}
	err := p.save(steps, done)
	p.mu.Lock()
	defer p.mu.Unlock()
	if err != nil {
		p.moved = true
	} else {
		p.saved = time.Now()
	}
	return err
}

func (p *position) save(steps []*step, done bool) error {
	for _, s := range p.stores {
		if err := s.Sync(); err != nil {
			return fmt.Errorf("sync the images before the checkpoint: %w", err)
		}
	}
	p.mu.Lock()
	for i, s := range steps {
		if s != nil {
			p.now.Sinks[p.names[i]] = savedSink{Settings: p.settings[i], State: s.state(i)}
		}
	}
	p.now.Done, p.now.Written = done, media.Timestamp(time.Now())
	data, err := json.Marshal(p.now)
	p.mu.Unlock()
	if err != nil {
		return fmt.Errorf("write checkpoint: %w", err)
	}
	return p.file.Write(append(data, '\n'))
}

// close writes the checkpoint for the last time and gives it back.
func (p *position) close(done bool) error {
	return errors.Join(p.write(done), p.file.Close())
}
