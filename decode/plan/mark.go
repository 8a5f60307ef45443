package plan

import (
	"encoding/json"
	"fmt"
	"slices"
	"sort"
	"sync"
	"time"

	"github.com/kvsframes/kvsframes/media"
)

// State is what a later planner needs to continue for one output after a fragment. Its JSON goes into checkpoints.
type State struct {
	// Place is the fragment. Later fragments are for the next planner.
	Place media.Place `json:"place"`
	// Fragments is the number of wanted fragments from the first one up to Place.
	Fragments int `json:"fragments"`
	// Sampler is the state of the output's sampler after the fragment.
	Sampler SamplerState `json:"sampler"`
	// Chosen is what the output's Chooser remembers after the fragment. The planner does not use it.
	Chosen json.RawMessage `json:"chosen,omitempty"`
	// Lead is where reading begins again.
	Lead LeadStart `json:"lead"`
	// CaughtUp is what was decided about fragments after Place to catch up.
	CaughtUp CaughtUp `json:"caught_up,omitzero"`
}

// LeadStart is where a reader must begin to decode the fragments that follow a place: what those refer to may be in
// fragments before it.
type LeadStart struct {
	// Progress is where reading begins. A source begins there.
	media.Progress
	// Codec and CodecData are those in force there, and Sets the parameter sets, of which some came with packets. They are
	// empty when the codec data has all sets.
	Codec     string   `json:"codec,omitempty"`
	CodecData []byte   `json:"codec_data,omitempty"`
	Sets      [][]byte `json:"sets,omitempty"`
	// Behind are the NAL units after the last picture of After.
	Behind [][]byte `json:"behind,omitempty"`
}

// SamplerState is what a sampler remembers from one fragment to the next. Each sampler uses the fields that it needs.
type SamplerState struct {
	// Latest is the time of the latest frame.
	Latest time.Time `json:"latest,omitzero"`
	// Skip is the number of frames up to the next sample.
	Skip int `json:"skip,omitempty"`
	// Seen is the number of frames so far.
	Seen int64 `json:"seen,omitempty"`
	// Next is the first request, in order of time, that the frames so far do not decide, and Answered are the answered
	// ones, as ranges from one index on and before another.
	Next     int      `json:"next,omitempty"`
	Answered [][2]int `json:"answered,omitempty"`
}

// Stateful is a Sampler that a later run can continue with.
type Stateful interface {
	Sampler
	// State returns what the sampler remembers.
	State() SamplerState
	// Restore makes the sampler remember what State returned.
	Restore(SamplerState)
}

// stateless is the part of a sampler that remembers nothing.
type stateless struct{}

// State implements Stateful.
func (stateless) State() SamplerState { return SamplerState{} }

// Restore implements Stateful.
func (stateless) Restore(SamplerState) {}

// State implements Stateful.
func (s *strideSampler) State() SamplerState { return SamplerState{Skip: s.next} }

// Restore implements Stateful.
func (s *strideSampler) Restore(from SamplerState) { s.next = max(0, from.Skip) }

// State implements Stateful.
func (s *indexSampler) State() SamplerState { return SamplerState{Seen: s.seen} }

// Restore implements Stateful.
func (s *indexSampler) Restore(from SamplerState) {
	s.seen = from.Seen
	s.next = sort.Search(len(s.at), func(i int) bool { return s.at[i] >= s.seen })
}

// State implements Stateful.
func (s *gridSampler) State() SamplerState { return SamplerState{Latest: s.prev} }

// Restore implements Stateful.
func (s *gridSampler) Restore(from SamplerState) { s.prev = from.Latest }

// restore makes the sampler continue. The latest frame has no picture any more: all requests that it answers are answered.
func (s *stampSampler) restore(from SamplerState) {
	for _, r := range from.Answered {
		for i := max(0, r[0]); i < min(r[1], len(s.requests)); i++ {
			s.requests[i].answered = true
		}
	}
	if s.next = min(max(0, from.Next), len(s.requests)); !from.Latest.IsZero() {
		s.last, s.lastAt = &Frame{}, from.Latest
	}
}

// answeredBy returns the requests that frames of the first fragments answer, n in number, as ranges.
func (s *stampSampler) answeredBy(n int) (ranges [][2]int) {
	for i, r := range s.requests {
		switch last := len(ranges) - 1; {
		case !r.answered || r.by > n:
		case last >= 0 && ranges[last][1] == i:
			ranges[last][1]++
		default:
			ranges = append(ranges, [2]int{i, i + 1})
		}
	}
	return ranges
}

// Resume makes a new planner continue where another one was, for each output at its own place: the output of index i continues after
// states[i]. A state whose Place has no number is that of an output that begins with the first fragment. The planner must then
// be given all fragments after the earliest LeadStart (see Earliest). It must be called before Plan.
func (p *Planner) Resume(states []State) error {
	for o, s := range states {
		p.muted[o] = s.Place.Number
		p.catchUp.resume(o, s.CaughtUp)
		if s.Place.Number == "" {
			continue
		}
		switch sampler := p.samplers[o].(type) {
		case nil:
			p.stamp(o).restore(s.Sampler)
		case Stateful:
			sampler.Restore(s.Sampler)
		default:
			return fmt.Errorf("the sampler of sink %s cannot continue where another run was", p.outputs[o].Sink)
		}
	}
	lead := Earliest(states)
	p.lead, p.candidate, p.wanted, p.behind = lead, lead, lead.Wanted, lead.Behind
	p.last, p.first, p.begun = lead.After, lead.First, lead.Begun
	if lead.Codec != "" {
		p.sets.begin(media.Track{CodecID: lead.Codec, CodecPrivate: lead.CodecData})
		for _, nal := range lead.Sets {
			p.sets.put(nal)
		}
	}
	return nil
}

// stamp returns the sampler of an output of type timestamps, nil for another.
func (p *Planner) stamp(output int) *stampSampler {
	i := slices.IndexFunc(p.stamps, func(s *stampSampler) bool { return s.output == output })
	if i < 0 {
		return nil
	}
	return p.stamps[i]
}

// Earliest returns where a reader begins that serves outputs at all of these places.
func Earliest(states []State) LeadStart {
	var lead LeadStart
	begun := true // all outputs have
	for _, s := range states {
		switch {
		case s.Place.Number == "":
			begun = false
		case lead.First.Number == "" || s.Lead.Wanted < lead.Wanted:
			lead = s.Lead
		}
	}
	if !begun {
		return LeadStart{Progress: media.Progress{First: lead.First}}
	}
	return lead
}

// Mark is where a planner is after a fragment.
type Mark struct {
	planner  *Planner
	place    media.Place
	fragment int // ordinal
	wanted   int // fragments up to this one
	lead     LeadStart
	samplers []SamplerState // by output
	muted    []bool         // by output: the fragment was none of its own
	partial  bool           // the end of the run cut the fragment
}

// Mark returns where the planner is after the last Plan.
func (p *Planner) Mark() *Mark {
	m := &Mark{planner: p, place: p.last, fragment: p.fragments, wanted: p.wanted, lead: p.lead, samplers: make([]SamplerState, len(p.outputs)), muted: p.mutedNow, partial: p.partial}
	for o, s := range p.samplers {
		if s, ok := s.(Stateful); ok {
			m.samplers[o] = s.State()
		}
	}
	for _, s := range p.stamps {
		m.samplers[s.output] = SamplerState{Next: s.next}
		if s.last != nil {
			m.samplers[s.output].Latest = s.lastAt
		}
	}
	return m
}

// Place returns the mark's fragment.
func (m *Mark) Place() media.Place { return m.place }

// IsFor reports whether an output may continue after the mark's fragment. It may not if it continued after a later one, and if the
// run's end lies inside the fragment: a run with a later end reads the rest.
func (m *Mark) IsFor(output int) bool { return !m.partial && m.Lacks(output) }

// Lacks reports whether an output lacks the mark's fragment: it does not if it continued after it or a later one.
func (m *Mark) Lacks(output int) bool { return !m.muted[output] }

// IsNew reports whether the mark's fragment is one for any output: it is not if it is only read again.
func (m *Mark) IsNew() bool { return slices.Contains(m.muted, false) }

// State returns the state of an output after the mark's fragment, which must be decided by then (see Plan.Pending). It may be
// called at any time, on any goroutine.
func (m *Mark) State(output int) State {
	s := State{Place: m.place, Fragments: m.wanted, Sampler: m.samplers[output], Lead: m.lead}
	m.planner.answers.Lock()
	defer m.planner.answers.Unlock()
	s.CaughtUp = m.planner.catchUp.state(output, m.place.Number)
	if stamps := m.planner.stamp(output); stamps != nil {
		s.Sampler.Answered = stamps.answeredBy(m.fragment)
	}
	return s
}

// marker is the part of a planner that marks need.
type marker struct {
	// last is the fragment planned last, first the first one and begun the first wanted one.
	last, first, begun media.Place
	// partial reports whether the last fragment has frames after the end of the run.
	partial bool
	// wanted is the number of wanted fragments so far.
	wanted int
	// before is the place before the last fragment. lead is where a later reader begins, candidate where it may begin once
	// another entry has followed.
	before, lead, candidate LeadStart
	// age is the number of fragments since candidate.
	age int
	// muted are the fragments after which outputs begin, by output; "" is at once. mutedNow reports which of them the last
	// fragment was not for. Marks share it: each fragment has another.
	muted    []string
	mutedNow []bool
	// answers guards the requests of stamps and the decisions to catch up, which marks read.
	answers sync.Mutex
}

// begin records that a fragment is about to be planned.
func (p *Planner) begin(f *media.Fragment) {
	if p.first == (media.Place{}) {
		p.first = f.Place()
	}
	p.before = LeadStart{Progress: media.Progress{After: p.last, First: p.first, Wanted: p.wanted, Begun: p.begun}, Behind: p.behind}
	p.unmute(f.Number)
}

// note records a fragment that was just planned.
func (p *Planner) note(f *media.Fragment, pl *Plan) {
	p.last = f.Place()
	p.partial = !f.Until.IsZero() && slices.ContainsFunc(pl.Frames, func(frame Frame) bool { return !frame.Info.At(f.Clock).Before(f.Until) })
	if !f.Unwanted {
		if p.wanted++; p.wanted == 1 {
			p.begun = p.last
		}
	}
	p.age++
	entry := slices.ContainsFunc(pl.Pictures, func(picture Picture) bool { return picture.Entry != EntryNone })
	switch {
	case p.lead.First.Number == "", len(pl.Pictures) > 0 && pl.Pictures[0].Entry == EntryClosed:
		p.lead, p.candidate, p.age = p.before, p.before, 0
	case entry, p.age >= maxLeadFragments: // so that a reader begins twice as many before, at most
		p.lead, p.candidate, p.age = p.candidate, p.before, 0
	}
}

// unmute finds out which outputs a fragment is not for.
func (p *Planner) unmute(number string) {
	p.mutedNow = make([]bool, len(p.muted))
	for o, after := range p.muted {
		switch {
		case after == "":
		case number == after:
			p.mutedNow[o], p.muted[o] = true, ""
		case media.CompareNumbers(number, after) > 0: // that one is gone
			p.muted[o] = ""
		default:
			p.mutedNow[o] = true
		}
	}
}

// skips reports whether the fragment that is being planned is not for an output.
func (p *Planner) skips(output int) bool { return p.mutedNow[output] }

// Interrupt ends the planner in place of End, for a later one that continues: what the next fragment would decide stays undecided.
// Wait returns media.ErrUndecided for such plans.
func (p *Planner) Interrupt() {
	for _, giveUp := range p.held.abandon {
		giveUp()
	}
	p.held = held{}
	p.past.forget()
}
