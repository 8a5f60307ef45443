//go:build cgo

package decode

import (
	"context"
	"errors"
	"fmt"

	"github.com/kvsframes/kvsframes/decode/h26x"
	"github.com/kvsframes/kvsframes/decode/plan"
	"github.com/kvsframes/kvsframes/media"
)

// job is the decoding of one fragment by a worker: the frames that were decoded, and the images
// that are ready to be handed on.
type job struct {
	worker *worker
	work
	to results

	frames  []frameState // by packet
	decoded int
	// used reports whether the decoder has decoded another fragment before and a new one can take its place, doubtful whether its
	// output may be wrong.
	used, doubtful bool
	// inherits reports whether pictures before the fragment are known to be damaged.
	inherits bool
	// drained reports whether no more frames come.
	drained bool
	// passed is the number of packets whose damage, if any, is known and recorded in taint, for
	// later pictures that may refer to them.
	passed int
	taint  taint
	// next is the index in plan.InOrder of the frame that is emitted next.
	next int
	// eyes see the frames for outputs that choose by pixels, by output.
	eyes []eye
}

// frameState is the state of one packet.
type frameState struct {
	// sent reports whether the packet was decoded.
	sent bool
	// out reports whether its frame was decoded, damaged whether data of it is missing, suspect whether data may be missing, torn whether
	// data is missing whatever it refers to.
	out, damaged, suspect, torn bool
	// tainted reports whether a picture that it may refer to is damaged.
	tainted bool
	// emitted reports whether its images, if any, were emitted.
	emitted bool
	// err is the first reason why an image is missing.
	err    error
	images []outputImage
}

// outputImage is an image for an output.
type outputImage struct {
	output int
	media.Image
}

// taint records which of the pictures that the next one may refer to are damaged.
type taint struct {
	group int
	// The group's own pictures, its leading pictures, and the pictures of the group before.
	own, leading, before bool
	// refreshing reports whether a gradual refresh has begun and nothing of it is lost.
	refreshing bool
}

var (
	errNoPicture = errors.New("the decoder returned no picture")
	errConcealed = reason(media.GapConcealed, errors.New("data or a reference is missing, and concealed is drop"))
	errTorn      = errors.New("the picture is damaged")

	// errDoubtful stops a decoder that was used before, so that a new one decodes the fragment again.
	errDoubtful = errors.New("the fragment is damaged, and the decoder is not new")
)

// pastMissing is the taint where earlier pictures are missing.
var pastMissing = taint{own: true, leading: true, before: true}

func newJob(w *worker, what work, to results) *job {
	j := &job{worker: w, work: what, to: to, frames: make([]frameState, len(what.plan.Frames))}
	for k := range j.frames {
		j.frames[k] = j.unsent(k)
	}
	j.openEyes()
	return j
}

// feeder returns what decodes the fragment for the job, but for the decoder. byStream reports whether that was opened for a byte stream.
func (j *job) feeder(ctx context.Context, byStream bool) feeder {
	return feeder{worker: j.worker, plan: j.plan, mkv: j.mkv, byStream: byStream, failed: j.failed, suspect: j.suspect, sent: j.sent, spoiled: j.spoiled, got: func(k int, f frame) error {
		if err := ctx.Err(); err != nil {
			return err
		}
		return j.got(k, f)
	}}
}

// unsent returns the state of a packet before it is decoded.
func (j *job) unsent(k int) frameState {
	cut := j.plan.Frames[k].Cut
	return frameState{damaged: cut, suspect: cut, torn: cut}
}

// begin begins with packet from. before is the taint of the packets before it.
func (j *job) begin(from int, before taint) {
	j.passed, j.taint, j.inherits = from, before, before.own || before.leading || before.before
	if j.plan.Pictures[from].Entry != plan.EntryNone {
		j.taint = taint{before: before.own}
	}
	j.taint.group, j.taint.refreshing = j.plan.Frames[from].Group, false
}

// spoiled reports whether pictures before packet k, which is sent next, are damaged.
func (j *job) spoiled(k int) bool {
	if j.plan.Pictures[k].Entry != plan.EntryNone && j.plan.Frames[k].Group == j.taint.group { // the job begins with it
		return j.taint.before
	}
	return j.taint.own
}

// doubt records that something is wrong. What libav makes of damage depends on the content of its memory, so from now on only the
// output of a new decoder can be used, and nothing is decoded ahead. Images that were emitted before are correct.
func (j *job) doubt() error {
	j.doubtful = true
	if j.used || j.plan.Ahead {
		return errDoubtful
	}
	return nil
}

// again resets the job for a new decoder. Frames that were emitted are not emitted again.
func (j *job) again() {
	for k := range j.frames {
		emitted := j.frames[k].emitted
		j.frames[k] = j.unsent(k)
		j.frames[k].emitted = emitted
	}
	j.used, j.doubtful = false, false
	j.decoded, j.passed, j.taint = 0, 0, taint{}
	j.openEyes()
}

// failed records that libav refused a packet. It returns an error if that ends the run.
func (j *job) failed(k int, err error) error {
	if err := j.doubt(); err != nil {
		return err
	}
	s := &j.frames[k]
	s.damaged, s.suspect = true, true
	if s.err == nil {
		s.err = fmt.Errorf("decode: %w", err)
	}
	return j.fatal(k, s.err)
}

// fatal returns an error if damage ends the run.
func (j *job) fatal(k int, err error) error {
	if j.worker.config.OnError != OnErrorFail {
		return nil
	}
	return j.to.fatal(k, err)
}

// got renders and encodes one decoded frame for each output that wants it.
func (j *job) got(k int, f frame) error {
	s := &j.frames[k]
	if s.out { // a packet is one frame: this is a second field, or damage
		return nil
	}
	s.out = true
	if j.plan.Frames[k].HeaderOnly != nil {
		return nil // the frame has no content
	}
	j.decoded++
	own, referred := f.damage()
	if own || referred && !j.inherits || s.suspect {
		if err := j.doubt(); err != nil {
			return err
		}
	}
	s.torn = s.torn || own
	s.damaged = s.damaged || own || referred && !j.plan.Pictures[k].Intra
	planned := &j.plan.Frames[k]
	if len(planned.Outputs) == 0 {
		return nil
	}
	seen := j.see(k, f)
	if s.emitted {
		return nil
	}
	if own {
		if err := j.fatal(k, errTorn); err != nil {
			return err
		}
	}
	if j.drops(s.damaged || planned.Broken) {
		return nil
	}
	s.images = make([]outputImage, 0, len(planned.Outputs))
	for i, a := range planned.Outputs {
		o := j.outputs[a.Output]
		var m *media.Measured
		if seen != nil {
			m = seen[i].measured
		}
		if m != nil && seen[i].hopeless {
			s.images = append(s.images, outputImage{a.Output, media.Image{FrameInfo: planned.Info, Sink: o.Sink, Measured: m}})
			continue
		}
		img, err := j.image(f, o, planned.Info)
		img.Measured = m
		if err != nil {
			s.err = fmt.Errorf("for sink %s: %w", o.Sink, err)
			continue
		}
		s.images = append(s.images, outputImage{a.Output, img})
	}
	return nil
}

// drops reports whether a picture is dropped because it is concealed.
func (j *job) drops(concealed bool) bool {
	return concealed && j.worker.config.Concealed == ConcealedDrop
}

func (j *job) image(f frame, o Output, info media.FrameInfo) (media.Image, error) {
	t, err := j.worker.renderer.render(f, o)
	if err != nil {
		return media.Image{}, err
	}
	return j.worker.encoder.encode(t, o, info)
}

// sent records that a packet was sent, and emits the images whose turn has come.
func (j *job) sent(k int) error {
	s := &j.frames[k]
	s.sent = true
	if s.suspect || !s.out && j.plan.Frames[k].HeaderOnly == nil {
		if err := j.doubt(); err != nil {
			return err
		}
	}
	return j.release()
}

// suspect records that something may be wrong with a packet. The H.264 decoder reports for each picture
// whether it had to conceal anything; the H.265 decoder does not.
func (j *job) suspect(k int, v verdict) {
	s := &j.frames[k]
	s.suspect, s.torn = true, s.torn || v.uncovered
	s.damaged = s.damaged || v.uncovered || j.plan.Track.CodecID == h26x.HEVC && !j.plan.Frames[k].Broken
}

// lose records that all wanted frames are lost for one reason.
func (j *job) lose(err error) error {
	j.next = len(j.plan.InOrder)
	return j.to.lose(err)
}

// finish emits the remaining images, after the last frame.
func (j *job) finish() error {
	j.drained = true
	return j.release()
}

// resolved reports whether the state of packet k is final.
func (j *job) resolved(k int) bool {
	return j.drained || j.frames[k].sent || !j.plan.Frames[k].Feed
}

// release emits, in presentation order, the images of frames whose state is final.
func (j *job) release() error {
	for j.passed < len(j.frames) && j.resolved(j.passed) {
		j.propagate(j.passed)
		j.passed++
	}
	for ; j.next < len(j.plan.InOrder); j.next++ {
		k := j.plan.InOrder[j.next]
		if k >= j.passed || !j.resolved(k) {
			break
		}
		if err := j.emitFrame(k); err != nil {
			return err
		}
	}
	return nil
}

// propagate records whether picture k is intact, for the pictures that may reference it.
func (j *job) propagate(k int) {
	planned, s, t := j.plan.Frames[k], &j.frames[k], &j.taint
	if planned.Group != t.group {
		*t = taint{group: planned.Group, before: t.own}
	}
	if k == j.plan.Refresh.From {
		t.refreshing = true
	}
	if k == j.plan.Refresh.Done { // what follows it and is shown before it may refer to what was there before the refresh
		t.own, t.leading, t.before = t.own && !t.refreshing, t.own, false
	}
	if !j.plan.Pictures[k].Intra {
		s.tainted = t.own || planned.Leads && (t.leading || t.before)
	}
	if !planned.Feed || planned.Disposable || planned.HeaderOnly != nil {
		return
	}
	lost := s.damaged || s.suspect && !s.out || !s.sent
	// If earlier pictures are missing libav has to guess, but what a refresh needs of this picture may be there.
	t.refreshing = t.refreshing && (!lost || planned.Broken && s.out && !s.torn)
	bad := lost || s.tainted || planned.Broken
	if planned.Leads {
		t.leading = t.leading || bad
	} else {
		t.own = t.own || bad
	}
}

// end returns, after the last packet, which of the pictures that the next fragment may refer to are damaged.
func (j *job) end() taint {
	for ; j.passed < len(j.frames); j.passed++ {
		j.propagate(j.passed)
	}
	return j.taint
}

// emitFrame emits the images of one frame, or records why there are none.
func (j *job) emitFrame(k int) error {
	s, planned := &j.frames[k], j.plan.Frames[k]
	concealed := s.damaged || s.tainted || planned.Broken
	switch {
	case !s.out && s.err == nil:
		s.err = errNoPicture
	case s.out && j.drops(concealed):
		s.err, s.images = errConcealed, nil
	case s.out && len(s.images) == len(planned.Outputs):
		s.err = nil // libav refused a part of the picture, and concealed it
	}
	if s.err != nil {
		if err := j.to.miss(k, s.err); err != nil {
			return err
		}
	}
	images := s.images
	s.images, s.emitted = nil, true
	for _, img := range images {
		img.Concealed = concealed
		if err := j.to.image(k, img.output, img.Image); err != nil {
			return err
		}
	}
	return nil
}
