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
	// decided is the last fragment that was planned, in this run or the one that it continues.
	decided string
	// spans are the fragments of which only key frames were decoded, in order. The planner's answers guard decided and spans.
	spans []Span
}

// Span is consecutive fragments, by their numbers.
type Span struct {
	First string `json:"first"`
	// Last is empty while the span goes on.
	Last string `json:"last"`
}

// has reports whether the span contains a fragment.
func (s Span) has(number string) bool {
	return media.CompareNumbers(s.First, number) <= 0 && (s.Last == "" || media.CompareNumbers(number, s.Last) <= 0)
}

// maxSpans bounds the spans that are kept. The older ones lie far behind what may be read again.
const maxSpans = 1000

// CaughtUp states what a planner has decided about fragments that it has planned: a run that continues must decide the same about
// those that it plans again, since their images and their gaps may be stored. Its JSON goes into checkpoints.
type CaughtUp struct {
	// Decided is the last of these fragments.
	Decided string `json:"decided"`
	// KeysOnly are the fragments of which only key frames were decoded.
	KeysOnly []Span `json:"keys_only"`
}

// CatchUp makes the planner catch up when the fragments lie further than most behind the newest one of the stream for the given
// patience, or a minute if that is 0. Then only key frames are decoded, until the fragments lie at most half as far behind. The
// plans name the samples that this leaves out (see Plan.LeftOut). It must be called before Plan.
func (p *Planner) CatchUp(most, patience time.Duration) {
	p.catchUp.watch = lag.Watch{Max: most, Patience: patience}
}

// CaughtUp returns what was decided up to now about the fragments after a place. It may be called at any time, on any goroutine.
func (p *Planner) CaughtUp(after media.Place) CaughtUp {
	p.answers.Lock()
	defer p.answers.Unlock()
	done := func(s Span) bool { return s.Last != "" && media.CompareNumbers(s.Last, after.Number) <= 0 }
	return CaughtUp{Decided: p.catchUp.decided, KeysOnly: slices.DeleteFunc(slices.Clone(p.catchUp.spans), done)}
}

// ContinueCatchUp makes a new planner continue where another one was. It must be called before Plan.
func (p *Planner) ContinueCatchUp(from CaughtUp) {
	c := &p.catchUp
	c.decided, c.spans = from.Decided, slices.Clone(from.KeysOnly)
	c.on = len(c.spans) > 0 && c.spans[len(c.spans)-1].Last == ""
}

// Turned reports whether catching up began or ended with the last fragment. A program that keeps what CaughtUp returns stores it
// before any image of that fragment, so that a later run decides the same.
func (p *Planner) Turned() bool { return p.catchUp.turned }

// keysOnly decides whether only key frames of a fragment are decoded.
func (p *Planner) keysOnly(f *media.Fragment, pl *Plan) bool {
	c := &p.catchUp
	if c.decided != "" && media.CompareNumbers(f.Number, c.decided) <= 0 { // it is planned again
		return slices.ContainsFunc(c.spans, func(s Span) bool { return s.has(f.Number) })
	}
	p.answers.Lock()
	defer p.answers.Unlock()
	defer func() { c.decided = f.Number }()
	behind := time.Duration(f.MillisBehindNow) * time.Millisecond
	known := behind >= 0
	caughtUp := known && behind <= c.watch.Max/2 || c.watch.Max <= 0
	switch {
	case c.on && caughtUp && p.past.mayEnd(pl):
		c.on, c.turned = false, true
		c.spans[len(c.spans)-1].Last = c.decided
		c.watch.Reset()
	case !c.on && known && c.watch.Exceeded(behind):
		c.on, c.turned = true, true
		c.spans = append(c.spans[max(0, len(c.spans)+1-maxSpans):], Span{First: f.Number})
	}
	return c.on
}

// mayEnd reports whether a fragment loses nothing if catching up ends before it: the pictures that it refers to can still be decoded, or
// were missing anyway.
func (h *past) mayEnd(pl *Plan) bool {
	return pl.Pictures[0].Entry == EntryClosed || len(h.lead) > 0 || h.link != nil || !h.clean
}

// leaveOut drops the samples that are no key frames, and records them as gaps. within are the frames in presentation order.
func (pl *Plan) leaveOut(f *media.Fragment, within []int, outputs []Output) {
	asked, left := make([]int, len(outputs)), make([][]media.Gap, len(outputs))
	for _, k := range within {
		frame := &pl.Frames[k]
		for _, a := range frame.Outputs {
			asked[a.Output]++
			if !frame.Info.Key {
				left[a.Output] = appendLeftOut(left[a.Output], frame.Info, outputs[a.Output].Sink, a)
			}
		}
		if !frame.Info.Key {
			frame.Outputs = nil
		}
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
