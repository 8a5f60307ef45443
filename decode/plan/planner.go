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
	// samplers has an entry for each output: nil for type timestamps, whose samplers are in stamps.
	samplers []Sampler
	stamps   []*stampSampler
	// onlyKeys reports whether all outputs only ever want key frames.
	onlyKeys bool
	held     held
	past     past
	stream   string
	// sets are the parameter sets in force after the last fragment; behind are the NAL units after its last picture.
	sets   setsInForce
	behind [][]byte
	// fragments and pictures count those planned so far.
	fragments, pictures int
	// like is how long the last fragment was.
	like span
	marker
	catchUp catchUp
}

// held lists plans that cannot be completed until the next frame (or End) shows which frame is nearest to a requested time.
type held struct {
	// finish completes these plans, in order.
	finish []func()
	// abandon gives up those whose frames may be wanted.
	abandon []func()
	// steps is the number of fragments that came after the first of them, lost ones included.
	steps int
	// starts is the Entry of the first fragment's first picture.
	starts Entry
}

// MaxLookahead is the largest number of later fragments that a plan waits for before it is complete. A pipeline must have room for
// that many fragments behind one that waits.
const MaxLookahead = 32

// NewPlanner returns the planner of one stream. Plans name the outputs by their index in outputs. The samples must be valid
// (see Sample.Validate).
func NewPlanner(skip SkipFrame, outputs []Output) *Planner {
	p := &Planner{
		skip: skip, outputs: outputs, onlyKeys: skip != SkipNone,
		marker: marker{muted: make([]string, len(outputs))}, catchUp: catchUp{before: make([]CaughtUp, len(outputs))},
	}
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
	p.catchUp.turned = false
	p.fragments++
	pl := &Plan{hold: newHold(f.Recycle)}
	p.begin(f)
	defer p.note(f, pl)
	pl.Track, pl.hasVideo = f.VideoTrack()
	reader, packets := p.frames(pl, f)
	if len(pl.Frames) == 0 { // it decides nothing, but counts towards MaxLookahead
		if f.Cut {
			p.Lost()
		} else {
			p.release(false)
		}
		return pl
	}
	order := pl.number()
	p.pictures, p.like = p.pictures+len(order), pl.span(order)
	within := p.sample(pl, f, p.candidates(order, pl))
	keysOnly := p.keysOnly(f, pl)
	pl.KeysOnly = p.allOf(keysOnly)
	if len(within) == 0 && p.mayChain(pl) { // its decoder may be needed, so it cannot be skipped
		p.settle()
	}
	p.release(len(within) > 0 || !p.undecided())
	finish := func() {
		if keysOnly != nil {
			pl.leaveOut(f, within, p.outputs, keysOnly)
		}
		pl.collect(within)
		p.link(pl, f, &references{track: pl.Track, reader: reader, packets: packets})
	}
	switch waits := len(p.held.finish) > 0; {
	case waits: // an earlier plan waits for a frame, and this fragment has none
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
	p.held.abandon = append(p.held.abandon, func() {
		pl.undecided = true
		close(pl.decided)
		pl.GiveUp()
	})
	return pl
}

// frames sets the plan's frames from the fragment's blocks, and returns their packets.
func (p *Planner) frames(pl *Plan, f *media.Fragment) (*nalReader, [][]byte) {
	if !pl.hasVideo {
		return nil, nil
	}
	var payloads [][]byte
	for _, b := range f.Blocks {
		if b.Track == pl.Track.Number && b.Size > 0 { // libav skips empty blocks
			pl.blocks = append(pl.blocks, b)
			payloads = append(payloads, f.MKV[b.Offset:b.Offset+b.Size])
		}
	}
	// CodecPrivate is a part of the fragment's media, which the plan may outlive.
	pl.Track.CodecPrivate = bytes.Clone(pl.Track.CodecPrivate)
	p.sets.begin(pl.Track)
	begin, changed := p.sets.list(), p.sets.inBand
	if changed {
		p.before.Codec, p.before.CodecData, p.before.Sets = p.sets.codecID, []byte(p.sets.codecData), begin
	}
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

// cloneNALs copies the NAL units after a fragment's last picture, up to 1 MiB.
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

// mayChain reports whether pl may belong to a chain, where it must be decoded for the next fragment even if no frame is wanted.
func (p *Planner) mayChain(pl *Plan) bool {
	return p.past.chained || pl.Pictures[0].Entry == EntryNone || len(p.held.finish) > 0 && p.held.starts == EntryNone
}

// undecided reports whether the next frame decides whether the latest one is wanted.
func (p *Planner) undecided() bool {
	return slices.ContainsFunc(p.stamps, (*stampSampler).undecided)
}

// release completes the plans that are held if decided is set, or if the first has waited for MaxLookahead fragments.
func (p *Planner) release(decided bool) {
	if len(p.held.finish) == 0 {
		return
	}
	if p.held.steps++; !decided {
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
	p.answers.Lock()
	defer p.answers.Unlock()
	for _, s := range p.stamps {
		s.settle()
	}
}

// Lost records that a fragment is missing between the last planned one and the next.
func (p *Planner) Lost() {
	p.release(false)
	if len(p.held.finish) > 0 {
		p.held.finish = append(p.held.finish, p.past.forget)
		return
	}
	p.past.forget()
}

// End ends the stream. It completes all plans, and returns a gap for each request that no frame answers.
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

// Close releases what the planner keeps for later fragments. It must be called for a stream that is abandoned before End.
func (p *Planner) Close() { p.past.forget() }
