package decode

import (
	"bytes"
	"cmp"
	"context"
	"slices"
	"sort"
	"sync/atomic"

	"github.com/kvsframes/kvsframes/media"
)

// plan says what is wanted of one fragment and which packets must be decoded for
// it. It is pure data: made in stream order, used by any worker.
type plan struct {
	// track is the video track; hasVideo is false when there is none.
	track    media.Track
	hasVideo bool
	// frames are the frames of the video track in decode order, one an access unit.
	frames []plannedFrame
	// samples is the number of frames that at least one output wants.
	samples int
	// inOrder holds the packets of the wanted frames, in presentation order.
	inOrder []int
	// form is how the packets must be handed to the decoder.
	form packetForm
	// lengthSize is the size in bytes of the length prefixes of the packets' NAL units, 0 for start codes.
	lengthSize int
	// begin are the parameter sets that the fragment begins with.
	begin [][]byte
	// chain is what the fragment has to do with the ones around it; nil when it is
	// decoded by itself.
	chain *chainPlan
	// refresh is the fragment's gradual refresh.
	refresh refresh
	// decided is closed when the rest of the plan is made; nil if it is made already. A
	// request for a time after the last frame is decided by the frame that comes next.
	decided chan struct{}
	// footprint is an estimate of what the decoder takes, in bytes.
	footprint int64
	// refused is why the fragment cannot be decoded, nil if it can.
	refused error
	// nothing reports whether nothing has to be done, whatever is decided; then the rest is the planner's.
	nothing bool
	// done counts who is done with such a plan: the planner that has made it, and who gave it up.
	done *atomic.Int32

	// hold counts who needs the fragment's media.
	hold *hold

	// blocks are those of the video track.
	blocks []media.Block
	pics   []picture
}

// wait returns when the plan is made.
func (pl *plan) wait(ctx context.Context) error {
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

// giveUp reports whether the fragment is not decoded, whether its plan is made already or later.
func (pl *plan) giveUp() {
	if pl.done.Add(1) < 2 || pl.chain == nil {
		return
	}
	// Nobody takes the decoder that waits for the fragment, and none follows.
	if pl.chain.after != nil {
		pl.chain.after.release()
	}
	if pl.chain.next != nil {
		pl.chain.next.giveUp()
	}
}

// packetForm says how the packets and the codec data of a fragment fit together.
type packetForm struct {
	// codecData is what the decoder gets as codec data.
	codecData string
	// byStream: codec data and packets go to the decoder as a byte stream, with start codes.
	byStream bool
	// inBand names the parameter sets in the packets, replaced that they take the place of others.
	inBand   string
	replaced bool
	// blocks is what the pictures consist of.
	blocks blocks
}

// plannedFrame is one frame of the video track.
type plannedFrame struct {
	info media.FrameInfo
	// last is the frame's last block.
	last int
	// packet is decoded in that block's place when it is not nil; with tail, it ends with a NAL unit that
	// may be a part of a slice, and may be none (see accessUnit).
	packet, tail []byte
	// cut reports whether the picture's only slice is known to be cut: of a few bytes at its end decoders make something
	// without complaint.
	cut bool
	// feed reports whether the packet must go to the decoder.
	feed bool
	// bare is fed in the packet's place when it is not nil: no wanted picture refers to this one, and the
	// decoder must know no more than that there was one.
	bare []byte
	// fast reports whether the loop filter may be left out.
	fast bool
	// group is the number of the frame's group of pictures.
	group int
	// leads: pictures that are shown later do not refer to this one, although it comes
	// before them in the stream.
	leads bool
	// disposable: no other picture refers to this one.
	disposable bool
	// broken: something that the picture may refer to is not there.
	broken bool
	// outputs are the outputs that want the frame, in their order.
	outputs []asked
}

// asked reports whether an output wants a frame.
type asked struct {
	// output is its index.
	output int
	// answers are the requests that the frame answers, for type timestamps.
	answers []stampRequest
}

// ask notes that an output wants the frame, as the answer to some request.
func (f *plannedFrame) ask(output int, answers ...stampRequest) {
	i, found := slices.BinarySearchFunc(f.outputs, output, func(a asked, o int) int { return cmp.Compare(a.output, o) })
	if !found {
		f.outputs = slices.Insert(f.outputs, i, asked{output: output})
	}
	f.outputs[i].answers = append(f.outputs[i].answers, answers...)
}

// planner makes the plans of one stream. It alone holds the sampling state.
type planner struct {
	skip    SkipFrame
	outputs []Output
	// samplers are those of the outputs, nil for type timestamps, which are in stamps.
	samplers []sampler
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

// held is what waits for the next frame, since that decides about the latest plan.
type held struct {
	// finish makes the rest of that plan and of those that follow it, in order.
	finish []func()
	// steps is the number of fragments that have come since, or were lost.
	steps int
	// starts says how the fragment of that plan starts.
	starts entry
}

// maxHeld is how many fragments without a wanted frame a plan waits for (see Stream.MaxLookahead).
const maxHeld = 32

func newPlanner(skip SkipFrame, outputs []Output) *planner {
	p := &planner{skip: skip, outputs: outputs, onlyKeys: skip != SkipNone}
	for i, o := range outputs {
		p.samplers = append(p.samplers, newSampler(o.Sample))
		p.onlyKeys = p.onlyKeys && (skip == SkipNonKey || o.Sample.Type == SampleKeyframes)
		if o.Sample.Type == SampleTimestamps {
			p.stamps = append(p.stamps, newStampSampler(i, o))
		}
	}
	return p
}

// plan decides what is wanted of f. It must be called once for each fragment of
// the stream, in order.
func (p *planner) plan(f *media.Fragment) *plan {
	p.stream = f.Stream
	p.fragments++
	pl := &plan{hold: newHold(f.Recycle)}
	pl.track, pl.hasVideo = f.VideoTrack()
	reader, packets := p.frames(pl, f)
	if len(pl.frames) == 0 { // it decides nothing, and its place is needed for what does
		p.without(f)
		return pl
	}
	p.pictures += len(pl.frames)
	order := presentationOrder(pl.frames)
	for index, k := range order {
		pl.frames[k].info.Index = index
	}
	within := p.sample(pl, f, p.candidates(order, pl))
	if len(within) == 0 && p.mayGoOn(pl) { // it would have to wait for the one that waits
		p.settle()
	}
	p.release(len(within) > 0 || !p.undecided())
	finish := func() {
		pl.collect(within)
		p.link(pl, f, &references{track: pl.track, reader: reader, packets: packets})
	}
	switch waits := len(p.held.finish) > 0; {
	case waits: // for a frame, which this fragment does not have
		pl.nothing = true
		p.held.finish = append(p.held.finish, finish)
		return pl
	case len(within) == 0 || !p.undecided():
		finish()
		return pl
	}
	p.held.starts = pl.pics[0].entry
	pl.decided, pl.done = make(chan struct{}), new(atomic.Int32)
	p.held.finish = append(p.held.finish, func() {
		finish()
		close(pl.decided)
		pl.giveUp()
	})
	return pl
}

// frames makes the frames of a fragment's blocks, and returns their packets.
func (p *planner) frames(pl *plan, f *media.Fragment) (*nalReader, [][]byte) {
	if !pl.hasVideo {
		return nil, nil
	}
	var payloads [][]byte
	for _, b := range f.Blocks {
		if b.Track == pl.track.Number && b.Size > 0 { // a block of no bytes is no frame, and libav passes over it
			pl.blocks = append(pl.blocks, b)
			payloads = append(payloads, f.MKV[b.Offset:b.Offset+b.Size])
		}
	}
	// The plan may outlive the fragment's media, of which this is a part.
	pl.track.CodecPrivate = bytes.Clone(pl.track.CodecPrivate)
	p.sets.begin(pl.track)
	begin, changed := p.sets.list(), p.sets.inBand
	reader := newNALReader(pl.track, begin, payloads)
	units, behind := reader.assemble(pl.blocks, payloads, p.behind, &p.sets)
	p.behind = cloneNALs(behind)
	packets := make([][]byte, len(units))
	pl.frames = make([]plannedFrame, len(units))
	for k, u := range units {
		packets[k] = u.packet
		pl.frames[k] = plannedFrame{info: frameInfo(f, u), last: u.last, tail: u.tail, cut: u.cut}
		if u.made {
			pl.frames[k].packet = u.packet
		}
	}
	pl.pics = reader.pictures(packets)
	pl.footprint = footprint(pl.track, slices.Concat(begin, reader.sets.inBand))
	pl.form, pl.lengthSize, pl.begin = formOf(pl.track, &reader, changed), reader.lengthSize, begin
	if pl.track.CodecID == codecHEVC && reader.codec != "" && !hasVPS(begin) && !hasVPS(reader.sets.inBand) {
		pl.refused = errNoVPS
	}
	if pl.refused == nil {
		pl.refused = tooManyReferences(reader.codec, slices.Concat(begin, reader.sets.inBand))
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
func (p *planner) without(f *media.Fragment) {
	if f.Cut {
		p.lost()
		return
	}
	p.release(false)
}

// formOf returns how packets of the form that the reader found are decoded: as they are, when the codec data
// is of the same form and holds the parameter sets in force. H.265's sets are always changed (see withoutReordering).
func formOf(t media.Track, r *nalReader, changed bool) packetForm {
	form := packetForm{codecData: string(t.CodecPrivate), inBand: r.sets.digest(), replaced: r.sets.replaced()}
	form.blocks = blocksOf(t.CodecID, r.sets.begin, r.sets.inBand)
	if told := lengthSize(t); r.codec != "" && (told != r.lengthSize || changed || r.codec == codecHEVC) {
		form.useByteStream(r.sets.begin)
	}
	return form
}

// useByteStream makes the decoder begin with parameter sets other than those of the codec data.
func (form *packetForm) useByteStream(sets [][]byte) {
	form.codecData, form.byStream = string(annexB(sets)), true
}

// packet returns what is decoded of frame k, in the fragment's media.
func (pl *plan) packet(mkv []byte, k int) []byte {
	f := &pl.frames[k]
	switch b := pl.blocks[f.last]; {
	case f.bare != nil:
		return f.bare
	case f.packet != nil:
		return f.packet
	default:
		return mkv[b.Offset : b.Offset+b.Size]
	}
}

// mayGoOn reports whether the decoder of a fragment may have to go on to the next although no frame of it is wanted.
func (p *planner) mayGoOn(pl *plan) bool {
	return p.past.chained || pl.pics[0].entry == entryNone || len(p.held.finish) > 0 && p.held.starts == entryNone
}

// undecided reports whether the next frame decides about the latest one.
func (p *planner) undecided() bool {
	return slices.ContainsFunc(p.stamps, func(s *stampSampler) bool {
		from, to := s.waiting()
		return from < to
	})
}

// release ends the plans that are held. Wanted frames after them have decided the first; without
// any it goes on waiting for a while.
func (p *planner) release(frames bool) {
	if len(p.held.finish) == 0 {
		return
	}
	if p.held.steps++; !frames {
		if p.held.steps < maxHeld {
			return
		}
		p.settle()
	}
	for _, finish := range p.held.finish {
		finish()
	}
	p.held = held{}
}

func (p *planner) settle() {
	for _, s := range p.stamps {
		s.settle()
	}
}

// lost reports whether a fragment is missing between the last one and the next.
func (p *planner) lost() {
	p.release(false)
	if len(p.held.finish) > 0 {
		p.held.finish = append(p.held.finish, p.past.forget)
		return
	}
	p.past.forget()
}

// end decides what is undecided, since no fragment comes any more, and returns a gap for
// each request that no frame answers.
func (p *planner) end() []media.Gap {
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

// presentationOrder returns the frames' indexes ordered by presentation
// timestamp; equal ones keep their order.
func presentationOrder(frames []plannedFrame) []int {
	order := make([]int, len(frames))
	for i := range order {
		order[i] = i
	}
	sort.SliceStable(order, func(a, b int) bool { return frames[order[a]].info.PTS < frames[order[b]].info.PTS })
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
func (p *planner) candidates(order []int, pl *plan) []int {
	var kept []int
	for _, k := range order {
		if p.skip == SkipNonRef && pl.pics[k].disposable || p.skip == SkipNonKey && !pl.frames[k].info.Key {
			continue
		}
		kept = append(kept, k)
	}
	return kept
}

// sample asks every output which of the candidates it wants, and returns those that
// they may want. Frames outside of the fragment's bounds are no samples; an interval's grid
// sees them all the same, since the first frame within follows on them.
func (p *planner) sample(pl *plan, f *media.Fragment, kept []int) (within []int) {
	within = slices.DeleteFunc(slices.Clone(kept), func(k int) bool { return !wanted(f, pl.frames[k].info) })
	for o, s := range p.samplers {
		if s == nil {
			continue
		}
		shown := within
		if _, grid := s.(*gridSampler); grid {
			shown = kept
		}
		seen := make([]candidate, len(shown))
		for i, k := range shown {
			info := pl.frames[k].info
			seen[i] = candidate{at: info.At(p.outputs[o].Sample.Clock), key: info.Key}
		}
		for i, picked := range s.pick(seen, timing{pl.track.DefaultDuration, f.TimeScale}) {
			if frame := &pl.frames[shown[i]]; picked && wanted(f, frame.info) {
				frame.ask(o)
			}
		}
	}
	for _, s := range p.stamps {
		for _, k := range within {
			frame := &pl.frames[k]
			s.see(frame, frame.info.At(p.outputs[s.output].Sample.Clock), f.TimeScale)
		}
	}
	return within
}

// collect notes which of the frames are samples.
func (pl *plan) collect(within []int) {
	for _, k := range within {
		if len(pl.frames[k].outputs) > 0 {
			pl.inOrder = append(pl.inOrder, k)
		}
	}
	pl.samples = len(pl.inOrder)
}

// wanted reports whether a frame lies within its fragment's bounds.
func wanted(f *media.Fragment, info media.FrameInfo) bool {
	at := info.At(f.Clock)
	return !f.Unwanted && !(at.Before(f.From) || !f.Until.IsZero() && !at.Before(f.Until))
}
