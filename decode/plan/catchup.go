package plan

import (
	"slices"
	"time"

	"github.com/kvsframes/kvsframes/internal/lag"
	"github.com/kvsframes/kvsframes/media"
)

// catchUp decides in which fragments only key frames are decoded, because the stream is read too far behind.
type catchUp struct {
	watch lag.Watch
	// on reports whether only key frames of the next fragments are decoded. turned reports whether that began or ended with the
	// last fragment.
	on, turned bool
	// decided is the last fragment that this planner has decided about. spans are those of which only key frames are decoded; the
	// last one goes on while on is set. The planner's answers guard both.
	decided string
	spans   []Span
	// before is what the planners before this one have decided, by output.
	before []CaughtUp
}

// Span is consecutive fragments, by their numbers: those after one, up to another.
type Span struct {
	After string `json:"after"`
	Last  string `json:"last"`
}

// has reports whether the span contains a fragment.
func (s Span) has(number string) bool {
	return media.CompareNumbers(s.After, number) < 0 && media.CompareNumbers(number, s.Last) <= 0
}

// maxSpans bounds the spans that are kept. The older ones lie far behind what may be read again.
const maxSpans = 1000

// CaughtUp states what planners have decided about fragments to catch up, for one output. A later planner must decide the same about
// those that it plans again, since their images and their gaps may be stored.
type CaughtUp struct {
	// Decided is the last fragment that is decided.
	Decided string `json:"decided"`
	// KeysOnly are the fragments of which only key frames are decoded.
	KeysOnly []Span `json:"keys_only"`
	// On reports whether this goes on after Decided.
	On bool `json:"on"`
}

// CatchUp makes the planner catch up when the fragments lie further than most behind the newest one of the stream for the given
// patience, or a minute if that is 0. Then only key frames are decoded, until the fragments lie at most half as far behind. The
// plans name the samples that this leaves out (see Plan.LeftOut). It must be called before Plan.
func (p *Planner) CatchUp(most, patience time.Duration) {
	p.catchUp.watch = lag.Watch{Max: most, Patience: patience}
}

// Turned reports whether catching up began with the last fragment, or ended before it. A program that keeps states stores them before any image of
// that fragment (see Mark.CaughtUp), so that a later run decides the same.
func (p *Planner) Turned() (began, ended bool) {
	return p.catchUp.turned && p.catchUp.on, p.catchUp.turned && !p.catchUp.on
}

// CaughtUp returns what was decided up to now about the fragments after a place, for an output. It may be called at any time, on any
// goroutine.
func (m *Mark) CaughtUp(output int, after media.Place) CaughtUp {
	m.planner.answers.Lock()
	defer m.planner.answers.Unlock()
	return m.planner.catchUp.state(output, after.Number)
}

// state returns what was decided for an output about the fragments after one.
func (c *catchUp) state(output int, after string) CaughtUp {
	state := c.before[output]
	known := state.Decided
	state.KeysOnly = slices.Clone(state.KeysOnly)
	if media.CompareNumbers(c.decided, known) > 0 {
		state.Decided, state.On = c.decided, c.on
		for i, s := range c.spans {
			if i == len(c.spans)-1 && c.on {
				s.Last = c.decided
			}
			if media.CompareNumbers(s.After, known) < 0 {
				s.After = known
			}
			state.KeysOnly = append(state.KeysOnly, s)
		}
	}
	state.KeysOnly = slices.DeleteFunc(state.KeysOnly, func(s Span) bool {
		return media.CompareNumbers(s.Last, after) <= 0 || media.CompareNumbers(s.Last, s.After) <= 0
	})
	return state
}

// resume makes a new planner continue for an output.
func (c *catchUp) resume(output int, from CaughtUp) {
	c.before[output] = from
	c.on = c.on || from.On
}

// unused reports whether the planner never has to catch up.
func (c *catchUp) unused() bool {
	return c.watch.Max <= 0 && !c.on && !slices.ContainsFunc(c.before, func(b CaughtUp) bool { return len(b.KeysOnly) > 0 })
}

// keysOnly decides, for each output, whether only key frames of a fragment are decoded. It returns nil if that is so for none.
func (p *Planner) keysOnly(f *media.Fragment, pl *Plan) []bool {
	c := &p.catchUp
	if c.unused() {
		return nil
	}
	keysOnly, undecided := make([]bool, len(p.outputs)), []int(nil)
	for o, b := range c.before {
		switch {
		case p.skips(o):
		case media.CompareNumbers(f.Number, b.Decided) > 0:
			undecided = append(undecided, o)
		default:
			keysOnly[o] = slices.ContainsFunc(b.KeysOnly, func(s Span) bool { return s.has(f.Number) })
		}
	}
	if len(undecided) > 0 {
		p.turn(f, pl)
	}
	for _, o := range undecided {
		keysOnly[o] = c.on
	}
	if !slices.Contains(keysOnly, true) {
		return nil
	}
	return keysOnly
}

// allOf reports whether the fragment that is being planned has only key frames for all outputs that it is for.
func (p *Planner) allOf(keysOnly []bool) bool {
	for o, only := range keysOnly {
		if !only && !p.skips(o) {
			return false
		}
	}
	return keysOnly != nil
}

// turn begins or ends catching up before a fragment, if it is time.
func (p *Planner) turn(f *media.Fragment, pl *Plan) {
	p.answers.Lock()
	defer p.answers.Unlock()
	c := &p.catchUp
	if c.on && c.decided == "" { // it began with the planner before
		c.spans = append(c.spans, Span{After: p.last.Number})
	}
	known, behind := f.MillisBehindNow >= 0, time.Duration(f.MillisBehindNow)*time.Millisecond
	caughtUp := known && behind <= c.watch.Max/2 || c.watch.Max <= 0
	switch {
	case c.on && caughtUp && p.past.mayEnd(pl):
		c.on, c.turned = false, true
		c.spans[len(c.spans)-1].Last = p.last.Number
		c.watch.Reset()
	case !c.on && known && c.watch.Exceeded(behind):
		c.on, c.turned = true, true
		c.spans = append(c.spans[max(0, len(c.spans)+1-maxSpans):], Span{After: p.last.Number})
	}
	c.decided = f.Number
}

// mayEnd reports whether a fragment loses nothing if catching up ends before it: the pictures that it refers to can still be decoded, or
// were missing anyway.
func (h *past) mayEnd(pl *Plan) bool {
	return pl.Pictures[0].Entry == EntryClosed || len(h.lead) > 0 || h.link != nil || !h.clean
}

// leaveOut drops the samples that are no key frames, of some outputs, and records them as gaps. within are the frames in presentation
// order.
func (pl *Plan) leaveOut(f *media.Fragment, within []int, outputs []Output, from []bool) {
	asked, left := make([]int, len(outputs)), make([][]media.Gap, len(outputs))
	for _, k := range within {
		frame := &pl.Frames[k]
		frame.Outputs = slices.DeleteFunc(frame.Outputs, func(a Asked) bool {
			asked[a.Output]++
			leaves := from[a.Output] && !frame.Info.Key
			if leaves {
				left[a.Output] = appendLeftOut(left[a.Output], frame.Info, outputs[a.Output].Sink, a)
			}
			return leaves
		})
	}
	for o, gaps := range left {
		if len(gaps) == 1 && gaps[0].FramesLost == asked[o] {
			gaps[0].FrameIndex, gaps[0].ProducerTime = media.WholeFragment, f.ProducerTime
		}
		pl.LeftOut = append(pl.LeftOut, gaps...)
	}
}

// appendLeftOut adds a frame to the gaps of an output. It shares a gap with the frame before it.
func appendLeftOut(gaps []media.Gap, info media.FrameInfo, sink string, a Asked) []media.Gap {
	n := len(gaps) - 1
	if n < 0 || gaps[n].FrameIndex+gaps[n].FramesLost != info.Index {
		gaps = append(gaps, media.Gap{
			Stream: info.Stream, FragmentNumber: info.FragmentNumber, FrameIndex: info.Index, Sink: sink,
			ProducerTime: info.ProducerTime, Reason: media.GapLeftOut, Detail: "left out to catch up",
		})
		n++
	}
	gaps[n].FramesLost++
	at, _ := a.Answer()
	gaps[n].AskedFor = append(gaps[n].AskedFor, at...)
	return gaps
}
