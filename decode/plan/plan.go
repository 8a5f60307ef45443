// Package plan decides which frames of a stream are wanted, and which packets must be decoded for them. It reads headers
// alone, decodes nothing, and is pure Go.
//
// A [Planner] sees the fragments of one stream in order and makes a [Plan] of each. It alone holds what samplers
// remember from one fragment to the next:
//
//	planner := plan.NewPlanner(plan.SkipAuto, []plan.Output{{Sink: "thumbs", Sample: sample}})
//	for fragment := range fragments {
//		p := planner.Plan(fragment)
//		...
//	}
//	gaps := planner.End()
//
// What an output wants is a [Sample]: all frames, key frames, every nth, a grid in time, the frames for a list of
// times, or frames by their number.
package plan

import (
	"bytes"
	"cmp"
	"context"
	"slices"
	"sort"
	"sync/atomic"

	"github.com/kvsframes/kvsframes/decode/h26x"
	"github.com/kvsframes/kvsframes/media"
	"github.com/kvsframes/kvsframes/setting"
)

// Plan says what is wanted of one fragment and which packets must be decoded for
// it. It is pure data: made in stream order, used by any worker.
type Plan struct {
	// Track is the video track; hasVideo is false when there is none.
	Track    media.Track
	hasVideo bool
	// Frames are the frames of the video track in decode order, one an access unit.
	Frames []Frame
	// Samples is the number of frames that at least one output wants.
	Samples int
	// InOrder holds the packets of the wanted frames, in presentation order.
	InOrder []int
	// Form is how the packets must be handed to the decoder.
	Form Form
	// LengthSize is the size in bytes of the length prefixes of the packets' NAL units, 0 for start codes.
	LengthSize int
	// begin are the parameter sets that the fragment begins with.
	begin [][]byte
	// Chain is what the fragment has to do with the ones around it; nil when it is
	// decoded by itself.
	Chain *Chain
	// Refresh is the fragment's gradual refresh.
	Refresh Refresh
	// decided is closed when the rest of the plan is made; nil if it is made already. A
	// request for a time after the last frame is decided by the frame that comes next.
	decided chan struct{}
	// Footprint is an estimate of what the decoder takes, in bytes.
	Footprint int64
	// Refused is why the fragment cannot be decoded, nil if it can.
	Refused error
	// Skipped reports whether no frame of this fragment can be wanted. Only the planner still needs it, for bookkeeping.
	Skipped bool
	// owners counts how many of {planner, caller} have let go of a plan whose rest is made later; the second one releases its chain.
	owners *atomic.Int32

	// hold counts who needs the fragment's media.
	hold *hold

	// blocks are those of the video track.
	blocks   []media.Block
	Pictures []Picture
}

// Wait returns when the plan is made.
func (pl *Plan) Wait(ctx context.Context) error {
	if pl.decided == nil {
		return nil
	}
	select {
	case <-ctx.Done():
		return ctx.Err()
	case <-pl.decided:
		return nil
	}
}

// Pending reports whether the rest of the plan is not made yet, so that which of its frames are wanted is not known.
func (pl *Plan) Pending() bool {
	if pl.decided == nil {
		return false
	}
	select {
	case <-pl.decided:
		return false
	default:
		return true
	}
}

// Release lets go of the fragment's media, which is recycled when nobody needs it any more.
func (pl *Plan) Release() { pl.hold.drop() }

// GiveUp lets go of what the plan holds beside its own fragment. It is called once, instead of decoding the fragment, and may be
// called before the rest of the plan is made.
func (pl *Plan) GiveUp() {
	if pl.owners != nil && pl.owners.Add(1) < 2 || pl.Chain == nil {
		return
	}
	pl.ReleaseLeads()
	// Nobody takes the decoder that waits for the fragment, and none follows.
	if pl.Chain.After != nil {
		pl.Chain.After.release()
	}
	if pl.Chain.Next != nil {
		pl.Chain.Next.GiveUp()
	}
}

// Form says how the packets and the codec data of a fragment fit together.
type Form struct {
	// CodecData is what the decoder gets as codec data.
	CodecData string
	// ByStream: codec data and packets go to the decoder as a byte stream, with start codes.
	ByStream bool
	// InBand names the parameter sets in the packets, replaced that they take the place of others.
	InBand   string
	Replaced bool
	// Blocks is what the pictures consist of.
	Blocks Blocks
}

// Frame is one frame of the video track.
type Frame struct {
	Info media.FrameInfo
	// last is the frame's last block.
	last int
	// packet is decoded in that block's place when it is not nil; with tail, it ends with a NAL unit that
	// may be a part of a slice, and may be none (see accessUnit).
	packet, tail []byte
	// Cut reports whether the picture's only slice is known to be cut: of a few bytes at its end decoders make something
	// without complaint.
	Cut bool
	// Feed reports whether the packet must go to the decoder.
	Feed bool
	// HeaderOnly is fed instead of the packet when it is not nil: no wanted picture refers to this one, and the
	// decoder must know no more than that there was one.
	HeaderOnly []byte
	// Fast reports whether the loop filter may be left out.
	Fast bool
	// Group is the number of the frame's group of pictures.
	Group int
	// Leads: pictures that are shown later do not refer to this one, although it comes
	// before them in the stream.
	Leads bool
	// Disposable: no other picture refers to this one.
	Disposable bool
	// Broken: something that the picture may refer to is not there.
	Broken bool
	// Outputs are the outputs that want the frame, in their order.
	Outputs []Asked
}

// Asked reports whether an output wants a frame.
type Asked struct {
	// Output is its index.
	Output int
	// answers are the requests that the frame answers, for type timestamps.
	answers []stampRequest
}

// ask notes that an output wants the frame, as the answer to some request.
func (f *Frame) ask(output int, answers ...stampRequest) {
	i, found := slices.BinarySearchFunc(f.Outputs, output, func(a Asked, o int) int { return cmp.Compare(a.Output, o) })
	if !found {
		f.Outputs = slices.Insert(f.Outputs, i, Asked{Output: output})
	}
	f.Outputs[i].answers = append(f.Outputs[i].answers, answers...)
}

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
	// finish makes the rest of that plan and of those that follow it, in order.
	finish []func()
	// steps is the number of fragments that have come since, or were lost.
	steps int
	// starts says how the fragment of that plan starts.
	starts Entry
}

// MaxLookahead is the most fragments for which a plan waits to be made, if they have no wanted frame. Whoever carries the
// fragments must have room for as many behind one that waits.
const MaxLookahead = 32

// NewPlanner returns the planner of one stream for a set of outputs. Frames name their outputs by their place in outputs.
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

// Plan decides what is wanted of f. It must be called once for each fragment of
// the stream, in order.
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

// formOf returns how packets of the form that the reader found are decoded: as they are, when the codec data
// is of the same form and holds the parameter sets in force. H.265's sets are always changed (see withoutReordering).
func formOf(t media.Track, r *nalReader, changed bool) Form {
	form := Form{CodecData: string(t.CodecPrivate), InBand: r.sets.digest(), Replaced: r.sets.replaced()}
	form.Blocks = blocksOf(t.CodecID, r.sets.begin, r.sets.inBand)
	if told := h26x.LengthSize(t.CodecID, t.CodecPrivate); r.codec != "" && (told != r.lengthSize || changed || r.codec == h26x.HEVC) {
		form.useByteStream(r.sets.begin)
	}
	return form
}

// useByteStream makes the decoder begin with parameter sets other than those of the codec data.
func (form *Form) useByteStream(sets [][]byte) {
	form.CodecData, form.ByStream = string(h26x.AnnexB(sets)), true
}

// Packet returns what is decoded of frame k, in the fragment's media.
func (pl *Plan) Packet(mkv []byte, k int) []byte {
	f := &pl.Frames[k]
	switch b := pl.blocks[f.last]; {
	case f.HeaderOnly != nil:
		return f.HeaderOnly
	case f.packet != nil:
		return f.packet
	default:
		return mkv[b.Offset : b.Offset+b.Size]
	}
}

// mayGoOn reports whether the decoder of a fragment may have to go on to the next although no frame of it is wanted.
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
// any it goes on waiting for a while.
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

// Lost reports whether a fragment is missing between the last one and the next.
func (p *Planner) Lost() {
	p.release(false)
	if len(p.held.finish) > 0 {
		p.held.finish = append(p.held.finish, p.past.forget)
		return
	}
	p.past.forget()
}

// End decides what is undecided, since no fragment comes any more, and returns a gap for
// each request that no frame answers.
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

// Close lets go of what the next fragment might need, when none is planned any more.
func (p *Planner) Close() { p.past.forget() }

// presentationOrder returns the frames' indexes ordered by presentation
// timestamp; equal ones keep their order.
func presentationOrder(frames []Frame) []int {
	order := make([]int, len(frames))
	for i := range order {
		order[i] = i
	}
	sort.SliceStable(order, func(a, b int) bool { return frames[order[a]].Info.PTS < frames[order[b]].Info.PTS })
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

// candidates returns the frames that samplers may pick, in presentation order: a
// skip_frame of nonref or nonkey takes the others out of the stream.
func (p *Planner) candidates(order []int, pl *Plan) []int {
	var kept []int
	for _, k := range order {
		if p.skip == SkipNonRef && pl.Pictures[k].disposable || p.skip == SkipNonKey && !pl.Frames[k].Info.Key {
			continue
		}
		kept = append(kept, k)
	}
	return kept
}

// sample asks every output which of the candidates it wants, and returns those that
// they may want. Frames outside of the fragment's bounds are no samples; an interval's grid
// sees them all the same, since the first frame within follows on them.
func (p *Planner) sample(pl *Plan, f *media.Fragment, kept []int) (within []int) {
	within = slices.DeleteFunc(slices.Clone(kept), func(k int) bool { return !Within(f, pl.Frames[k].Info) })
	for o, s := range p.samplers {
		if s == nil {
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
		for i, picked := range s.Pick(seen, Timing{pl.Track.DefaultDuration, f.TimeScale}) {
			if frame := &pl.Frames[shown[i]]; picked && Within(f, frame.Info) {
				frame.ask(o)
			}
		}
	}
	for _, s := range p.stamps {
		for _, k := range within {
			frame := &pl.Frames[k]
			s.see(frame, frame.Info.At(p.outputs[s.output].Sample.Clock), f.TimeScale)
		}
	}
	return within
}

// collect notes which of the frames are samples.
func (pl *Plan) collect(within []int) {
	for _, k := range within {
		if len(pl.Frames[k].Outputs) > 0 {
			pl.InOrder = append(pl.InOrder, k)
		}
	}
	pl.Samples = len(pl.InOrder)
}

// Within reports whether a frame lies within its fragment's bounds, and may be a sample.
func Within(f *media.Fragment, info media.FrameInfo) bool {
	at := info.At(f.Clock)
	return !f.Unwanted && !(at.Before(f.From) || !f.Until.IsZero() && !at.Before(f.Until))
}

// SkipFrame says which frames the decoder may leave out.
type SkipFrame string

// The values of skip_frame. Auto leaves out the most that still gives every
// sampled frame.
const (
	SkipAuto   SkipFrame = "auto"
	SkipNone   SkipFrame = "none"
	SkipNonRef SkipFrame = "nonref"
	SkipNonKey SkipFrame = "nonkey"
)

// Values returns the values of skip_frame.
func (SkipFrame) Values() []string { return setting.Texts(SkipAuto, SkipNone, SkipNonRef, SkipNonKey) }
