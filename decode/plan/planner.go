package plan

import (
	"bytes"
	"slices"
	"sync/atomic"

	"github.com/kvsframes/kvsframes/decode/h26x"
	"github.com/kvsframes/kvsframes/media"
)

// Planner makes the plans of one stream. It alone holds the sampling state.
type Planner struct {
	skip    SkipFrame
	outputs []Output
	// samplers are those of the outputs, nil for type timestamps, which are in stamps.
	samplers []Sampler
	stamps   []*stampSampler
	// onlyKeys reports whether no output ever wants another frame than a key frame.
	onlyKeys bool
	held     held
	past     past
	stream   string
	// sets are the parameter sets at the end of the last fragment, behind the NAL units behind its last picture.
	sets   setsInForce
	behind [][]byte
	// fragments and pictures count what was planned.
	fragments, pictures int
}

// held lists plans that cannot be completed until the next frame (or End) shows which frame is nearest to a requested time.
type held struct {
	// finish completes these plans, in order.
	finish []func()
	// steps is the number of fragments that came after the first of them, lost ones included.
	steps int
	// starts is the entry that the first fragment starts with.
	starts Entry
}

// MaxLookahead is the largest number of later fragments that a plan waits for before it is complete. The pipeline that carries the
// fragments must have room for as many behind one that waits.
const MaxLookahead = 32

// NewPlanner returns the planner of one stream. Plans name the outputs by their index in outputs. The samples must be valid
// (see Sample.Validate).
func NewPlanner(skip SkipFrame, outputs []Output) *Planner {
	p := &Planner{skip: skip, outputs: outputs, onlyKeys: skip != SkipNone}
	for i, o := range outputs {
		p.samplers = append(p.samplers, o.Sample.NewSampler())
		_, keys := o.Sample.Rule.(Keyframes)
		p.onlyKeys = p.onlyKeys && (skip == SkipNonKey || keys)
		if rule, ok := o.Sample.Rule.(Timestamps); ok {
			p.stamps = append(p.stamps, newStampSampler(i, o.Sink, rule))
		}
	}
	return p
}

// Plan decides which frames of f are wanted and what must be decoded for them. It must be called once for each fragment of
// the stream, in order. A later call, or Lost or End, completes a plan that is Pending. The plan keeps the fragment's media until
// Release, and it must be decoded or given up (see GiveUp).
func (p *Planner) Plan(f *media.Fragment) *Plan {
	p.stream = f.Stream
	p.fragments++
	pl := &Plan{hold: newHold(f.Recycle)}
	pl.Track, pl.hasVideo = f.VideoTrack()
	reader, packets := p.frames(pl, f)
	if len(pl.Frames) == 0 { // it decides nothing, and its place is needed for what does
		p.without(f)
		return pl
	}
	p.pictures += len(pl.Frames)
	order := presentationOrder(pl.Frames)
	for index, k := range order {
		pl.Frames[k].Info.Index = index
	}
	within := p.sample(pl, f, p.candidates(order, pl))
	if len(within) == 0 && p.mayGoOn(pl) { // it would have to wait for the one that waits
		p.settle()
	}
	p.release(len(within) > 0 || !p.undecided())
	finish := func() {
		pl.collect(within)
		p.link(pl, f, &references{track: pl.Track, reader: reader, packets: packets})
	}
	switch waits := len(p.held.finish) > 0; {
	case waits: // for a frame, which this fragment does not have
		pl.Skipped = true
		p.held.finish = append(p.held.finish, finish)
		return pl
	case len(within) == 0 || !p.undecided():
		finish()
		return pl
	}
	p.held.starts = pl.Pictures[0].Entry
	pl.decided, pl.owners = make(chan struct{}), new(atomic.Int32)
	p.held.finish = append(p.held.finish, func() {
		finish()
		close(pl.decided)
		pl.GiveUp()
	})
	return pl
}

// frames makes the frames of a fragment's blocks, and returns their packets.
func (p *Planner) frames(pl *Plan, f *media.Fragment) (*nalReader, [][]byte) {
	if !pl.hasVideo {
		return nil, nil
	}
	var payloads [][]byte
	for _, b := range f.Blocks {
		if b.Track == pl.Track.Number && b.Size > 0 { // a block of no bytes is no frame, and libav passes over it
			pl.blocks = append(pl.blocks, b)
			payloads = append(payloads, f.MKV[b.Offset:b.Offset+b.Size])
		}
	}
	// The plan may outlive the fragment's media, of which this is a part.
	pl.Track.CodecPrivate = bytes.Clone(pl.Track.CodecPrivate)
	p.sets.begin(pl.Track)
	begin, changed := p.sets.list(), p.sets.inBand
	reader := newNALReader(pl.Track, begin, payloads)
	units, behind := reader.assemble(pl.blocks, payloads, p.behind, &p.sets)
	p.behind = cloneNALs(behind)
	packets := make([][]byte, len(units))
	pl.Frames = make([]Frame, len(units))
	for k, u := range units {
		packets[k] = u.packet
		pl.Frames[k] = Frame{Info: frameInfo(f, u), last: u.last, tail: u.tail, Cut: u.cut}
		if u.made {
			pl.Frames[k].packet = u.packet
		}
	}
	pl.Pictures = reader.pictures(packets)
	pl.Footprint = h26x.DecoderMemory(pl.Track.CodecID, pl.Track.Width, pl.Track.Height, slices.Concat(begin, reader.sets.inBand))
	pl.Form, pl.LengthSize, pl.begin = formOf(pl.Track, &reader, changed), reader.lengthSize, begin
	if pl.Track.CodecID == h26x.HEVC && reader.codec != "" && !hasVPS(begin) && !hasVPS(reader.sets.inBand) {
		pl.Refused = errNoVPS
	}
	if pl.Refused == nil {
		pl.Refused = h26x.CheckReferences(reader.codec, slices.Concat(begin, reader.sets.inBand))
	}
	return &reader, packets
}

// cloneNALs copies what stands behind the last picture of a fragment, as far as it is of a sensible size.
func cloneNALs(nals [][]byte) [][]byte {
	const most = 1 << 20
	var out [][]byte
	size := 0
	for _, nal := range nals {
		if size += len(nal); size > most {
			break
		}
		out = append(out, bytes.Clone(nal))
	}
	return out
}

// without notes a fragment without frames.
func (p *Planner) without(f *media.Fragment) {
	if f.Cut {
		p.Lost()
		return
	}
	p.release(false)
}

// mayGoOn reports whether the decoder of a fragment may have to continue to the next although no frame of it is wanted.
func (p *Planner) mayGoOn(pl *Plan) bool {
	return p.past.chained || pl.Pictures[0].Entry == EntryNone || len(p.held.finish) > 0 && p.held.starts == EntryNone
}

// undecided reports whether the next frame decides about the latest one.
func (p *Planner) undecided() bool {
	return slices.ContainsFunc(p.stamps, func(s *stampSampler) bool {
		from, to := s.waiting()
		return from < to
	})
}

// release ends the plans that are held. Wanted frames after them have decided the first; without
// any it waits for up to MaxLookahead fragments.
func (p *Planner) release(frames bool) {
	if len(p.held.finish) == 0 {
		return
	}
	if p.held.steps++; !frames {
		if p.held.steps < MaxLookahead {
			return
		}
		p.settle()
	}
	for _, finish := range p.held.finish {
		finish()
	}
	p.held = held{}
}

func (p *Planner) settle() {
	for _, s := range p.stamps {
		s.settle()
	}
}

// Lost tells the planner that a fragment is missing between the last one that was planned and the next.
func (p *Planner) Lost() {
	p.release(false)
	if len(p.held.finish) > 0 {
		p.held.finish = append(p.held.finish, p.past.forget)
		return
	}
	p.past.forget()
}

// End tells the planner that no fragment follows. It completes all plans, and returns a gap for each request that no frame
// answers.
func (p *Planner) End() []media.Gap {
	p.settle()
	p.release(true)
	p.past.forget()
	var gaps []media.Gap
	if p.fragments > 0 && p.pictures == 0 {
		gaps = append(gaps, media.Gap{Stream: p.stream, FrameIndex: media.WholeFragment, Reason: media.GapNoVideo, Detail: "there is no video in the stream"})
	}
	for _, s := range p.stamps {
		gaps = append(gaps, s.misses(p.stream)...)
	}
	for o, s := range p.samplers {
		if s, ok := s.(*indexSampler); ok {
			gaps = append(gaps, s.misses(p.stream, p.outputs[o].Sink)...)
		}
	}
	return gaps
}

// Close releases what the planner keeps for the next fragment, when none is planned any more. It is not needed after End.
func (p *Planner) Close() { p.past.forget() }
