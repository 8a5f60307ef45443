package plan

import (
	"hash/maphash"
	"maps"
	"slices"
	"time"

	"github.com/kvsframes/kvsframes/decode/h26x"
	"github.com/kvsframes/kvsframes/media"
)

// Ahead plans a fragment while it arrives: which pictures are certainly wanted, and what must be decoded for them. It plans in parts, each
// of which continues with the decoder of the part before. What is planned ahead counts only if it holds in the plan of the whole fragment.
//
// A frame's index is final when so many frames are there that no later one can be shown before it: the sequence declares how many pictures
// may follow one in the stream that they precede on the screen (see h26x.Reordering). Where outputs want frames whatever their order is, parts
// have frames whose indexes are not final yet; their images must wait.
//
// It plans only fragments that begin with a closed entry and are not damaged. Requested times look one frame ahead, and wait for the end of the
// fragment with its last frame. Other samplers that depend on what follows wait for that, and so does everything from the first frame on that is not
// as expected.
type Ahead struct {
	skip     SkipFrame
	onlyKeys bool
	sets     setsInForce
	outputs  []Output
	// samplers has a copy of the planner's sampler for each output, nil for one that waits for the end. eager reports whether none of them
	// depends on the order of the frames.
	samplers []Sampler
	stamps   []*stampSampler // copies of those for requested times
	eager    bool
	number   string
	// over reports whether nothing more is planned ahead.
	over bool
	// blocks is how many blocks of the fragment were looked at, keys how many of them are marked as key frames.
	blocks, keys int
	// order are the frames whose indexes are final, in presentation order, and told how many of them More has returned.
	order []int
	told  int
	// frames are what samplers have seen and asked, by frame: of the first sampled ones in the order in which they were seen.
	frames  map[int]*Frame
	sampled int
	// fed are the hashes of the packets that parts have, in decode order.
	fed  []uint64
	seed maphash.Seed
	link *Link
	// like is how long the fragment before was.
	like span
}

// span is how long a fragment is: in frames, and from its first frame to its last.
type span struct {
	frames int
	lasts  time.Duration
}

// span returns how long the fragment is, of which the order is that of presentation.
func (pl *Plan) span(order []int) span {
	n := len(order)
	return span{n, pl.Frames[order[n-1]].Info.PTS - pl.Frames[order[0]].Info.PTS}
}

// Final is a frame whose index has become final, and that no other output asks for.
type Final struct {
	// Frame is its place in the stream, from the start of the fragment.
	Frame int
	Info  media.FrameInfo
	// Outputs is the number of outputs that want it.
	Outputs int
}

// Ahead returns what plans the fragment that follows the last planned one, or nil if that cannot be planned before its end. It does so for
// the outputs that are not to wait. The planner must plan no other fragment before that one.
func (p *Planner) Ahead(waits func(output int) bool) *Ahead {
	late := p.catchUp.on || p.catchUp.watch.Late()
	resumed := slices.ContainsFunc(p.muted, func(after string) bool { return after != "" })
	fast := slices.ContainsFunc(p.outputs, func(o Output) bool { return o.Fast })
	if late || resumed || fast || p.skip == SkipNonRef || len(p.behind) > 0 {
		return nil
	}
	a := &Ahead{
		skip: p.skip, onlyKeys: p.onlyKeys, sets: p.sets, outputs: p.outputs,
		samplers: make([]Sampler, len(p.samplers)), frames: map[int]*Frame{}, seed: maphash.MakeSeed(), eager: true, like: p.like,
	}
	some := false
	for o, s := range p.samplers {
		if s == nil || waits(o) {
			continue
		}
		switch a.samplers[o] = copyOf(s); s.(type) {
		case allSampler, keySampler:
		default:
			a.eager = false
		}
		some = some || a.samplers[o] != nil
	}
	for _, s := range p.stamps {
		if !waits(s.output) {
			a.stamps, a.eager, some = append(a.stamps, s.ahead()), false, true
		}
	}
	if !some {
		return nil
	}
	return a
}

// copyOf returns a copy of a sampler that picks the same frames whether it sees them one by one or together; nil for any other.
func copyOf(s Sampler) Sampler {
	switch s := s.(type) {
	case allSampler, keySampler:
		return s
	case *strideSampler:
		c := *s
		return &c
	case *indexSampler:
		c := *s
		return &c
	case *gridSampler:
		c := *s
		return &c
	}
	return nil
}

// More plans what f has more than before, which is the fragment as far as it has arrived, or whole. It returns a plan of the next part, or nil
// if there is nothing to decode, and the frames that have become final, in presentation order.
func (a *Ahead) More(f *media.Fragment, whole bool) (*Plan, []Final) {
	if a.over || !a.grows(f) && !whole {
		return nil, nil
	}
	if a.number == "" {
		a.number = f.Number
		a.stamps = slices.DeleteFunc(a.stamps, func(s *stampSampler) bool { return s.asksFor(f.Number) })
	}
	pl, packets, order := a.read(f, whole)
	if pl == nil {
		return nil, nil
	}
	if known := len(a.order); len(order) < known || !slices.Equal(order[:known], a.order) { // an index that was final is another
		a.over = true
		return nil, nil
	}
	seen := order
	if a.eager {
		seen = inDecodeOrder(len(pl.Frames))
	}
	a.sample(pl, f, seen)
	a.order = slices.Clone(order)
	decided := len(order)
	if decided > a.told && slices.ContainsFunc(a.stamps, (*stampSampler).undecided) { // by the frame that follows
		decided--
	}
	var final []Final
	for ; a.told < decided; a.told++ {
		k := order[a.told]
		a.frames[k].Info.Index = pl.Frames[k].Info.Index
		final = append(final, Final{k, pl.Frames[k].Info, len(a.frames[k].Outputs)})
	}
	return a.part(pl, f, packets), final
}

// grows reports whether the fragment has new blocks that may matter.
func (a *Ahead) grows(f *media.Fragment) bool {
	track, ok := f.VideoTrack()
	if !ok || track.Encoded || f.Number != a.number && a.number != "" {
		a.over = true
		return false
	}
	blocks, keys := VideoBlocks(f), 0
	for _, b := range f.Blocks {
		if b.Track == track.Number && b.Key {
			keys++
		}
	}
	grown := blocks > a.blocks && (!a.onlyKeys || keys > a.keys)
	a.blocks, a.keys = blocks, keys
	return grown
}

// read reads the frames that are there, and returns their packets, and those whose indexes are final in the order in which they are shown.
func (a *Ahead) read(f *media.Fragment, whole bool) (pl *Plan, packets [][]byte, order []int) {
	scratch := &Planner{sets: a.sets}
	scratch.sets.sets = maps.Clone(a.sets.sets)
	pl = &Plan{hold: newHold(nil)}
	pl.Track, pl.hasVideo = f.VideoTrack()
	reader, packets := scratch.frames(pl, f)
	if len(pl.Frames) == 0 {
		return nil, nil, nil
	}
	odd := reader.codec == "" || pl.Refused != nil || pl.Form.Replaced || pl.Form.Blocks.Fields || pl.Pictures[0].Entry != EntryClosed
	if a.over = odd; odd {
		return nil, nil, nil
	}
	order = pl.number()
	pl.groups()
	(&lostFrames{}).mark(pl, &references{track: pl.Track, reader: reader, packets: packets})
	depth, known := a.depth(f, pl, reader)
	if a.over = !known; !known {
		return nil, nil, nil
	}
	if whole {
		depth = 0
	}
	return pl, packets, order[:max(0, len(order)-depth)]
}

// depth returns how many pictures of the fragment may precede a picture in the stream that they follow on the screen.
func (a *Ahead) depth(f *media.Fragment, pl *Plan, reader *nalReader) (depth int, known bool) {
	units := h26x.CodecDataUnits(pl.Track.CodecID, pl.Track.CodecPrivate)
	if pl.Track.CodecID == h26x.AVC {
		units = append(units, pl.begin...)
	}
	first := pl.blocks[0]
	h26x.EachNAL(f.MKV[first.Offset:first.Offset+first.Size], reader.lengthSize, func(nal []byte) { units = append(units, nal) })
	return h26x.Reordering(pl.Track.CodecID, units)
}

// sample asks the samplers for frames that they have not seen: those after the first sampled ones.
func (a *Ahead) sample(pl *Plan, f *media.Fragment, seen []int) {
	for ; a.sampled < len(seen); a.sampled++ {
		k := seen[a.sampled]
		frame := &Frame{Info: pl.Frames[k].Info}
		a.frames[k] = frame
		if a.skip == SkipNonKey && !frame.Info.Key {
			continue
		}
		within := Within(f, frame.Info)
		for o, s := range a.samplers {
			grid, isGrid := s.(*gridSampler)
			if s == nil || !within && !isGrid {
				continue
			}
			c := Candidate{At: frame.Info.At(a.outputs[o].Sample.Clock), Key: frame.Info.Key}
			if isGrid && (grid.prev.IsZero() || c.At.Before(grid.prev)) { // the frames that follow decide
				a.samplers[o] = nil
				continue
			}
			if s.Pick([]Candidate{c}, Timing{pl.Track.DefaultDuration, f.TimeScale})[0] && within {
				frame.ask(o)
			}
		}
		for _, s := range a.stamps {
			if within {
				s.see(frame, frame.Info.At(a.outputs[s.output].Sample.Clock), f.TimeScale)
			}
		}
	}
}

// together is how many frames are decoded at once before a wanted one arrives. A decoder that has its pictures in the cache is faster, and
// the wanted frame waits for fewer.
const together = 8

// leads reports whether an output will want a frame that has not arrived, if the fragment is as long as the one before: then what that frame may refer
// to is decoded now, and not when it is there.
func (a *Ahead) leads(pl *Plan, f *media.Fragment) bool {
	for o, s := range a.samplers {
		switch s := s.(type) {
		case *strideSampler:
			if a.sampled+s.next < a.like.frames {
				return true
			}
		case *gridSampler:
			end := pl.Frames[0].Info.At(a.outputs[o].Sample.Clock).Add(a.like.lasts)
			if !s.prev.IsZero() && s.grid.cell(end, f.TimeScale) > s.grid.cell(s.prev, f.TimeScale) {
				return true
			}
		}
	}
	return false
}

// part returns a plan of the packets up to the last one that is certainly wanted, or that leads to one, from where the last part ended.
func (a *Ahead) part(pl *Plan, f *media.Fragment, packets [][]byte) *Plan {
	final := make([]bool, len(pl.Frames))
	for _, k := range a.order[:a.told] {
		final[k] = true
	}
	from, to, known := len(a.fed), len(a.fed), len(a.fed)
	for ; known < len(final) && (final[known] || a.eager); known++ {
		if len(a.frames[known].Outputs) > 0 {
			to = known + 1
		}
	}
	if known-from >= together && a.leads(pl, f) {
		to = known
	}
	if from == to {
		return nil
	}
	part := &Plan{
		Track: pl.Track, hasVideo: true, Ahead: true, Form: pl.Form, LengthSize: pl.LengthSize, begin: pl.begin, Footprint: pl.Footprint,
		Refresh: Refresh{-1, -1}, Frames: slices.Clone(pl.Frames[from:to]), Pictures: slices.Clone(pl.Pictures[from:to]), hold: newHold(nil),
	}
	alone := a.onlyKeys && pl.keysAlone()
	for i := range part.Frames {
		k, frame, picture := from+i, &part.Frames[i], &part.Pictures[i]
		if frame.Broken || frame.Cut || frame.tail != nil {
			a.over = true
			return nil
		}
		frame.packet, frame.Outputs = packets[k], slices.Clone(a.frames[k].Outputs)
		disposable := picture.disposable && pl.Track.CodecID == h26x.AVC // the layers of H.265 that follow are not known
		frame.Feed = len(frame.Outputs) > 0 || !alone && (!disposable || picture.sets)
		if len(frame.Outputs) > 0 {
			part.InOrder = append(part.InOrder, i)
		}
		a.fed = append(a.fed, maphash.Bytes(a.seed, packets[k]))
	}
	slices.SortFunc(part.InOrder, func(i, j int) int { return part.Frames[i].Info.Index - part.Frames[j].Info.Index })
	part.Samples = len(part.InOrder)
	if !alone {
		part.Form.useByteStream(part.begin)
		part.Chain = &Chain{After: a.link, Next: newLink()}
		a.link = part.Chain.Next
	}
	return part
}

// Close states that no part follows. The decoder of the last one is freed.
func (a *Ahead) Close() {
	a.over = true
	if a.link != nil {
		a.link.release()
		a.link = nil
	}
}

// Fed returns the number of the fragment's frames that the parts had.
func (a *Ahead) Fed() int { return len(a.fed) }

// SameMedia reports whether the parts were made of the media that the whole fragment has. It must be called before the media is released.
func (a *Ahead) SameMedia(pl *Plan, f *media.Fragment) bool {
	if len(pl.Frames) < len(a.fed) {
		return false
	}
	for k, fed := range a.fed {
		if maphash.Bytes(a.seed, pl.whole(f.MKV, k)) != fed {
			return false
		}
	}
	return true
}

// Holds reports whether an output wants frame k of the whole fragment, as it was planned ahead. The plan must be complete (see Plan.Wait).
func (a *Ahead) Holds(pl *Plan, k, output int) bool {
	if k >= len(pl.Frames) {
		return false
	}
	asked, wanted := pl.Asked(k, output)
	i, _ := a.frames[k].search(output)
	times, label := asked.Answer()
	ours, ourLabel := a.frames[k].Outputs[i].Answer()
	return wanted && !pl.Frames[k].Broken && sameFrame(pl.Frames[k].Info, a.frames[k].Info) && label == ourLabel && slices.EqualFunc(times, ours, time.Time.Equal)
}

// sameFrame reports whether two frames have the same name and the same times.
func sameFrame(a, b media.FrameInfo) bool {
	return a.Stream == b.Stream && a.FragmentNumber == b.FragmentNumber && a.Index == b.Index && a.PTS == b.PTS && a.Key == b.Key &&
		a.ProducerTime.Equal(b.ProducerTime) && a.ServerTime.Equal(b.ServerTime)
}
