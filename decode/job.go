//go:build cgo

package decode

import (
	"errors"
	"fmt"

	"github.com/kvsframes/kvsframes/decode/h26x"
	"github.com/kvsframes/kvsframes/decode/plan"
	"github.com/kvsframes/kvsframes/media"
)

// job is one fragment on its way through a worker: what came out of the decoder, what is
// ready to go out, and what was lost.
type job struct {
	worker   *worker
	fragment *media.Fragment
	plan     *plan.Plan
	outputs  []Output
	emit     func(media.Image) error

	frames  []frameState // by packet
	decoded int
	// used: the decoder has decoded something else before; doubtful: something is wrong with what it gives.
	used, doubtful bool
	// drained: no frame comes any more.
	drained bool
	// passed is the number of packets whose pictures are known to be whole or not, as far
	// as later pictures may refer to them; taint is what is known of them.
	passed int
	taint  taint
	// next is the place in plan.inOrder whose images go out next.
	next      int
	concealed int
	gaps      []media.Gap
}

// frameState is what became of one packet.
type frameState struct {
	// sent: the packet was decoded.
	sent bool
	// out reports whether its frame came out, damaged that data of it was missing, suspect that this may be.
	out, damaged, suspect bool
	// tainted reports whether a picture which it may refer to is not whole.
	tainted bool
	// emitted: its turn is over.
	emitted bool
	// err is why there is no image, or the first reason.
	err    error
	images []media.Image
}

// taint reports whether the pictures that the next one may refer to are whole.
type taint struct {
	group int
	// The group's own pictures, the ones that lead it, and the ones of the group before.
	own, leading, before bool
	// refreshing reports whether a gradual refresh is under way and nothing of it was lost.
	refreshing bool
}

var (
	errNoPicture = errors.New("the decoder gave no picture")
	errConcealed = reason(media.GapConcealed, errors.New("data or a reference is missing, and concealed is drop"))
	errNoTracks  = errors.New("there are blocks and no description of their tracks")
	errTorn      = errors.New("the picture is damaged")

	// errDoubtful ends the decoding by a decoder that was used before.
	errDoubtful = errors.New("the fragment is damaged, and the decoder is not new")
)

func newJob(w *worker, f *media.Fragment, pl *plan.Plan, outputs []Output, emit func(media.Image) error) *job {
	j := &job{worker: w, fragment: f, plan: pl, outputs: outputs, emit: emit, frames: make([]frameState, len(pl.Frames))}
	for k := range j.frames {
		j.frames[k] = j.unsent(k)
	}
	return j
}

// unsent is what is known of a frame before its packet is decoded.
func (j *job) unsent(k int) frameState {
	cut := j.plan.Frames[k].Cut
	return frameState{damaged: cut, suspect: cut}
}

// missesPast notes that what precedes the fragment is not there or not whole.
func (j *job) missesPast() {
	j.taint.before = true
	j.taint.own = j.plan.Pictures[0].Entry == plan.EntryNone
}

// doubt notes that something is wrong. What libav makes of damage depends on what its memory holds, so from then on only what a new
// decoder gives is of use; what was emitted is, since nothing was wrong with it.
func (j *job) doubt() error {
	j.doubtful = true
	if j.used {
		return errDoubtful
	}
	return nil
}

// again begins anew, for a new decoder, behind what was emitted.
func (j *job) again() {
	for k := range j.frames {
		emitted := j.frames[k].emitted
		j.frames[k] = j.unsent(k)
		j.frames[k].emitted = emitted
	}
	j.used, j.doubtful = false, false
	j.decoded, j.passed, j.taint = 0, 0, taint{}
}

// failed notes that libav refused a packet. It returns an error when that ends the run.
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

// fatal returns an error when damage ends the run.
func (j *job) fatal(k int, err error) error {
	if j.worker.config.OnError != OnErrorFail {
		return nil
	}
	return fmt.Errorf("decode %s: %w", j.gap(&j.plan.Frames[k].Info, 1, err, nil), errDamaged)
}

// got renders and encodes one decoded frame for each output that wants it.
func (j *job) got(k int, f frame) error {
	s := &j.frames[k]
	if s.out { // a second field or a damaged stream: one packet is one frame
		return nil
	}
	s.out = true
	if j.plan.Frames[k].HeaderOnly != nil {
		return nil // there is nothing to see
	}
	j.decoded++
	own, referred := f.damage()
	if own || referred || s.suspect {
		if err := j.doubt(); err != nil {
			return err
		}
	}
	s.damaged = s.damaged || own || referred && !j.plan.Pictures[k].Intra
	planned := &j.plan.Frames[k]
	if len(planned.Outputs) == 0 || s.emitted {
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
	s.images = make([]media.Image, 0, len(planned.Outputs))
	for _, a := range planned.Outputs {
		o := j.outputs[a.Output]
		img, err := j.image(f, o, planned.Info)
		if err != nil {
			s.err = fmt.Errorf("for sink %s: %w", o.Sink, err)
			continue
		}
		img.Answers, img.Label = a.Answer()
		s.images = append(s.images, img)
	}
	return nil
}

// drops reports whether a picture that is concealed is one too few.
func (j *job) drops(concealed bool) bool {
	return concealed && j.worker.config.Concealed == ConcealedDrop
}

func (j *job) image(f frame, o Output, info media.FrameInfo) (media.Image, error) {
	t, err := j.worker.renderer.render(f, o)
	if err != nil {
		return media.Image{}, err
	}
	img, err := j.worker.encoder.encode(t, o, info)
	img.Tags = j.fragment.Tags
	return img, err
}

// sent notes that one more packet was sent, and emits the images whose turn has come.
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

// suspect records that something may be wrong with a packet. H.264's decoder reports of a picture that
// comes out whether it had to conceal anything; H.265's does not.
func (j *job) suspect(k int, v verdict) {
	s := &j.frames[k]
	s.suspect = true
	s.damaged = s.damaged || v.uncovered || j.plan.Track.CodecID == h26x.HEVC && !j.plan.Frames[k].Broken
}

// finish emits what is left, when no frame comes any more.
func (j *job) finish() error {
	j.drained = true
	return j.release()
}

// resolved reports whether it is known what became of a packet.
func (j *job) resolved(k int) bool {
	return j.drained || j.frames[k].sent || !j.plan.Frames[k].Feed
}

// release emits, in presentation order, the images of which everything is known.
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
	if k == j.plan.Refresh.Done && t.refreshing {
		t.own = false
	}
	if !j.plan.Pictures[k].Intra {
		s.tainted = t.own || planned.Leads && (t.leading || t.before)
	}
	if !planned.Feed || planned.Disposable || planned.HeaderOnly != nil {
		return
	}
	lost := s.damaged || s.suspect && !s.out || !s.sent
	// Where the past is missing libav has to guess, which is not a loss of this picture's data.
	t.refreshing = t.refreshing && (!lost || planned.Broken)
	bad := lost || s.tainted || planned.Broken
	if planned.Leads {
		t.leading = t.leading || bad
	} else {
		t.own = t.own || bad
	}
}

// endTainted reports, at the end, whether pictures that the next fragment may refer to are
// not whole.
func (j *job) endTainted() bool {
	for ; j.passed < len(j.frames); j.passed++ {
		j.propagate(j.passed)
	}
	return j.taint.own
}

// emitFrame emits the images of one frame, or notes why there are none.
func (j *job) emitFrame(k int) error {
	s, planned := &j.frames[k], j.plan.Frames[k]
	concealed := s.damaged || s.tainted || planned.Broken
	switch {
	case !s.out && s.err == nil:
		s.err = errNoPicture
	case s.out && j.drops(concealed):
		s.err, s.images = errConcealed, nil
	case s.out && len(s.images) == len(planned.Outputs):
		s.err = nil // what libav refused of it is concealed
	}
	if s.err != nil {
		j.miss(k, s.err)
		if err := j.fatal(k, s.err); err != nil {
			return err
		}
	}
	if concealed && len(s.images) > 0 {
		j.concealed++
	}
	images := s.images
	s.images, s.emitted = nil, true
	for _, img := range images {
		img.Concealed = concealed
		if err := j.emit(img); err != nil {
			return err
		}
	}
	return nil
}
