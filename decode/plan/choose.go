package plan

import (
	"slices"
	"sort"

	"github.com/kvsframes/kvsframes/media"
)

// number gives the frames their indexes, by presentation timestamp; equal ones keep their order. It returns the frames in this order.
func (pl *Plan) number() []int {
	order := inDecodeOrder(len(pl.Frames))
	sort.SliceStable(order, func(a, b int) bool { return pl.Frames[order[a]].Info.PTS < pl.Frames[order[b]].Info.PTS })
	for index, k := range order {
		pl.Frames[k].Info.Index = index
	}
	return order
}

// inDecodeOrder returns n frames in decode order.
func inDecodeOrder(n int) []int {
	order := make([]int, n)
	for k := range order {
		order[k] = k
	}
	return order
}

func frameInfo(f *media.Fragment, u accessUnit) media.FrameInfo {
	info := media.FrameInfo{
		Stream:         f.Stream,
		FragmentNumber: f.Number,
		PTS:            u.at,
		ProducerTime:   f.ProducerTime.Add(u.at),
		Key:            u.key,
	}
	if !f.ServerTime.IsZero() {
		info.ServerTime = f.ServerTime.Add(u.at)
	}
	return info
}

// candidates returns the frames that samplers may pick, in presentation order. skip_frame
// excludes the others if it is nonref or nonkey. It reuses the memory of order.
func (p *Planner) candidates(order []int, pl *Plan) []int {
	return slices.DeleteFunc(order, func(k int) bool {
		return p.skip == SkipNonRef && pl.Pictures[k].disposable || p.skip == SkipNonKey && !pl.Frames[k].Info.Key
	})
}

// sample asks every output which of the candidates it wants, and returns those within the
// fragment's bounds: only they can be samples. A gridSampler also sees the others, because
// its choice depends on the previous frame.
func (p *Planner) sample(pl *Plan, f *media.Fragment, kept []int) (within []int) {
	within = slices.DeleteFunc(slices.Clone(kept), func(k int) bool { return !Within(f, pl.Frames[k].Info) })
	for o, s := range p.samplers {
		if s == nil || p.skips(o) {
			continue
		}
		shown := within
		if _, grid := s.(*gridSampler); grid {
			shown = kept
		}
		seen := make([]Candidate, len(shown))
		for i, k := range shown {
			info := pl.Frames[k].Info
			seen[i] = Candidate{At: info.At(p.outputs[o].Sample.Clock), Key: info.Key}
		}
		windows, _ := s.(windowSampler)
		for i, picked := range s.Pick(seen, Timing{pl.Track.DefaultDuration, f.TimeScale}) {
			if frame := &pl.Frames[shown[i]]; picked && Within(f, frame.Info) {
				w := windows.window
				frame.ask(o).Begins = w > 0 && i > 0 && media.Cell(seen[i].At, w) != media.Cell(seen[i-1].At, w)
			}
		}
	}
	p.answers.Lock()
	defer p.answers.Unlock()
	for _, s := range p.stamps {
		if s.fragment = p.fragments; p.skips(s.output) {
			continue
		}
		clock := p.outputs[s.output].Sample.Clock
		frames := make([]*Frame, len(within))
		for i, k := range within {
			frames[i] = &pl.Frames[k]
			s.see(frames[i], frames[i].Info.At(clock), f.TimeScale)
		}
		s.place(frames, clock, Timing{pl.Track.DefaultDuration, f.TimeScale})
	}
	return within
}

// collect records which of the frames are samples. It takes over the memory of within.
func (pl *Plan) collect(within []int) {
	pl.InOrder = slices.DeleteFunc(within, func(k int) bool { return len(pl.Frames[k].Outputs) == 0 })
	pl.Samples = len(pl.InOrder)
}

// Within reports whether a frame lies within its fragment's bounds, so that it may be a sample.
func Within(f *media.Fragment, info media.FrameInfo) bool {
	at := info.At(f.Clock)
	return !f.Unwanted && !(at.Before(f.From) || !f.Until.IsZero() && !at.Before(f.Until))
}
