package kvsframes

import (
	"cmp"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"maps"
	"slices"
	"strings"

	"github.com/kvsframes/kvsframes/config"
	"github.com/kvsframes/kvsframes/decode/plan"
	"github.com/kvsframes/kvsframes/media"
)

// checkpointVersion is the version of the form of checkpoints.
const checkpointVersion = 1

// saved is the JSON of a checkpoint.
type saved struct {
	Version int    `json:"version"`
	Stream  string `json:"stream"`
	Written string `json:"written"`
	// Source describes what is read (see source.Input).
	Source string `json:"source"`
	// RunID is that of the first run, whose keys the later ones continue.
	RunID string `json:"run_id"`
	// Fragments stands for the settings that determine which fragments are read.
	Fragments string `json:"fragments"`
	// First is the first fragment that was read. A later run begins with it whose sinks have no place yet.
	First media.Place `json:"first"`
	// Done reports whether the stream was read to an end that the settings name, and for which End stands: there will
	// be no more.
	Done bool   `json:"done"`
	End  string `json:"end"`
	// Times are those that the settings state relative to the start of a run.
	Times span `json:"times,omitzero"`
	// Sinks are the places of the sinks, by name. A sink that the settings do not name any more keeps its own.
	Sinks map[string]savedSink `json:"sinks"`
}

type savedSink struct {
	// Settings stands for the settings that the images, their names and their place depend on.
	Settings string     `json:"settings"`
	State    plan.State `json:"state"`
	// Split ends what is stored of the fragment after the place, of a sink that makes groups.
	Split media.Split `json:"split,omitzero"`
	// Ends is the last fragment of what is open, if nothing in the stream says so (see sink.Continuation).
	Ends string `json:"ends,omitzero"`
}

// settingsOf stands for all settings that the images of a sink, their names and their place depend on.
func (p *Pipeline) settingsOf(i int, s config.Sink) string {
	place, folders := s.Destination.Location.Place()
	h := sha256.New()
	fmt.Fprintf(h, "%s\n%s\n%q\n", p.Config.Pictures(s), place, folders)
	for _, r := range p.times[i] {
		if r.Fragment != "" {
			fmt.Fprintf(h, "%s %q\n", r.Place(), r.Label)
			continue
		}
		fmt.Fprintf(h, "%d %q\n", r.Time.UnixNano(), r.Label)
	}
	return hex.EncodeToString(h.Sum(nil)[:8])
}

// restartHint ends errors of checkpoints that do not fit.
const restartHint = "--restart reads from source.start_selector again, --ignore-checkpoint leaves the checkpoint as it is"

// read makes the state of the checkpoint that of the position, if it fits the settings and is not to be forgotten.
func (p *position) read(o RunOptions) error {
	data := p.held.State()
	if data == nil {
		p.blank = true
		return nil
	}
	var old saved
	err := json.Unmarshal(data, &old)
	if o.Restart {
		for _, s := range old.Sinks {
			if media.CompareNumbers(s.State.Place.Number, p.forgotten.Number) > 0 {
				p.forgotten = s.State.Place
			}
		}
		return nil
	}
	if err != nil {
		return fmt.Errorf("checkpoint %s cannot be read: %w (%s)", p.held.Name(), err, restartHint)
	}
	switch {
	case old.Version != checkpointVersion:
		return fmt.Errorf("checkpoint %s has version %d, and this program reads version %d (%s)", p.held.Name(), old.Version, checkpointVersion, restartHint)
	case old.Stream != p.now.Stream:
		return fmt.Errorf("checkpoint %s is that of stream %q, not of %q (%s)", p.held.Name(), old.Stream, p.now.Stream, restartHint)
	}
	if same := old.Fragments == p.now.Fragments && old.End == p.now.End; same && old.Done && !old.Times.equal(p.now.Times) {
		p.log.Info("the earlier times are read to their end; beginning with the present ones")
		return nil
	}
	p.restart(&old, o.RestartSinks)
	if differ := p.accept(&old); len(differ) > 0 && !o.AcceptChanges {
		return fmt.Errorf("checkpoint %s was written for other settings: %s has changed (--accept-changes continues with the new ones, %s)", p.held.Name(), strings.Join(differ, ", "), restartHint)
	}
	if old.End != p.now.End {
		old.End, old.Done, old.Times.To = p.now.End, false, p.now.Times.To
	}
	if old.Sinks == nil {
		old.Sinks = map[string]savedSink{}
	}
	p.now, p.anew = old, p.anew || old.First.Number != ""
	return nil
}

// restart forgets the places of some sinks, which begin again with the first fragment.
func (p *position) restart(old *saved, sinks []string) {
	for _, name := range sinks {
		if i := slices.Index(p.names, name); i >= 0 && old.Sinks != nil {
			old.Sinks[name], old.Done = savedSink{Settings: p.settings[i]}, false
		}
	}
}

// accept makes a checkpoint one of the present settings, and returns what they have changed. A sink that has changed continues at its
// place, and its sampler remembers nothing.
func (p *position) accept(old *saved) (changed []string) {
	if old.Fragments != p.now.Fragments {
		changed = append(changed, "source")
		old.Fragments, old.Done, old.Times = p.now.Fragments, false, p.now.Times
	}
	if known := old.Source != "" && p.now.Source != ""; known && old.Source != p.now.Source {
		changed = append(changed, fmt.Sprintf("what is read, which was %q and is %q", old.Source, p.now.Source))
		old.Source, old.Done = p.now.Source, false
	}
	old.Source = cmp.Or(p.now.Source, old.Source)
	p.dropPassing(old.Sinks) // the sink had another destination then
	for i, name := range p.names {
		if s, ok := old.Sinks[name]; ok && s.Settings != p.settings[i] {
			changed = append(changed, "sink "+name)
			s.Settings, s.State.Sampler, s.State.Chosen, s.Split, s.Ends = p.settings[i], plan.SamplerState{}, nil, media.Split{}, ""
			old.Sinks[name] = s
		}
	}
	return changed
}

// dropPassing removes the places of sinks that write nothing durable.
func (p *position) dropPassing(sinks map[string]savedSink) {
	maps.DeleteFunc(sinks, func(name string, _ savedSink) bool { return p.passing[name] })
}

// states returns where the outputs are, in order. A sink that is new begins where the one that is furthest on is.
func (p *position) states() []plan.State {
	p.mu.Lock()
	defer p.mu.Unlock()
	states := make([]plan.State, len(p.names))
	var furthest plan.State
	for i := range p.names {
		states[i] = p.sink(i, p.steps[i]).State
		if states[i].Lead.First.Number == "" {
			states[i].Lead.First = p.now.First
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

// continued returns the place after which earlier readers may have written objects of an output; nil if there was none.
func (p *position) continued(output int) *media.Place {
	place := p.states()[output].Place
	if p.blank && place.Number == "" {
		return nil
	}
	return &place
}

// sink returns what a checkpoint says of an output that has come so far. The caller holds the lock.
func (p *position) sink(output int, durable reached) savedSink {
	s := p.now.Sinks[p.names[output]]
	if s.Settings = p.settings[output]; durable.step != nil {
		s.State, s.Split = durable.state(output), durable.split
		if durable.chosen != nil {
			s.State.Chosen, _ = durable.chosen.MarshalJSON() // of numbers, which are finite
		}
	}
	if media.CompareNumbers(s.State.Place.Number, s.Ends) >= 0 {
		s.Ends = ""
	}
	if latest := p.planned[output]; latest != nil { // perhaps of another reader, which decides about what follows
		s.State.CaughtUp = latest.catchUp(output, s.State.Place)
	}
	return s
}

// split returns where the group begins with which an output continues.
func (p *position) split(output int) media.Split {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.sink(output, p.steps[output]).Split
}

// ends returns the last fragment of what is open of an output, "" unless keepEnd was told.
func (p *position) ends(output int) string {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.sink(output, p.steps[output]).Ends
}

// next returns the number of the fragment after an output's last one, or "" if it is not known.
func (p *position) next(output int) string {
	p.mu.Lock()
	defer p.mu.Unlock()
	if s := p.steps[output].step; s != nil {
		return s.next
	}
	return ""
}

// lowest returns the place of the output that is least far on, without a number if one is at the beginning.
func lowest(states []plan.State) media.Place {
	return slices.MinFunc(states, func(a, b plan.State) int { return media.CompareNumbers(a.Place.Number, b.Place.Number) }).Place
}
