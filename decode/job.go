//go:build cgo

package decode

import (
	"errors"
	"fmt"
	"time"

	"github.com/kvsframes/kvsframes/media"
)

// job is one fragment on its way through a worker: what came out of the decoder, what is
// ready to go out, and what was lost.
type job struct {
	worker   *worker
	fragment *media.Fragment
	plan     *plan
	outputs  []Output
	emit     func(media.Image) error

	frames  []frameState // by packet
	decoded int
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
	// out says that its frame came out, damaged that data of it was missing, suspect that this may be.
	out, damaged, suspect bool
	// tainted says that a picture which it may refer to is not whole.
	tainted bool
	// err is why there is no image, or the first reason.
	err    error
	images []media.Image
}

// taint says whether the pictures that the next one may refer to are whole.
type taint struct {
	group int
	// The group's own pictures, the ones that lead it, and the ones of the group before.
	own, leading, before bool
	// refreshing says that a gradual refresh is under way and nothing of it was lost.
	refreshing bool
}

var (
	errNoPicture = errors.New("the decoder gave no picture")
	errConcealed = errors.New("data or a reference is missing, and concealed is drop")
	errTorn      = errors.New("the picture is damaged")
)

func newJob(w *worker, f *media.Fragment, pl *plan, outputs []Output, emit func(media.Image) error) *job {
	return &job{worker: w, fragment: f, plan: pl, outputs: outputs, emit: emit, frames: make([]frameState, len(pl.frames))}
}

// missesPast notes that what precedes the fragment is not there or not whole.
func (j *job) missesPast() {
	j.taint.before = true
	j.taint.own = j.plan.pics[0].entry == entryNone
}

// failed notes that libav refused a packet. It returns an error when that ends the run.
func (j *job) failed(k int, err error) error {
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
	return fmt.Errorf("decode %s: %w", j.gap(j.plan.frames[k].info.Index, 1, err.Error()), errDamaged)
}

// lose notes that a whole fragment gives nothing, for one reason.
func (j *job) lose(packets []int, err error) error {
	for _, k := range packets {
		j.frames[k].err = err
	}
	j.next = len(j.plan.inOrder)
	g := j.gap(media.WholeFragment, len(packets), err.Error()+j.unanswered(packets...))
	if errors.Is(err, errTooManyReferences) {
		g.Reason = media.GapUnsupported
	}
	j.gaps = append(j.gaps, g)
	if j.worker.config.OnError == OnErrorFail {
		return fmt.Errorf("decode %s: %w", g, errDamaged)
	}
	return nil
}

func (j *job) gap(index, lost int, reason string) media.Gap {
	return media.Gap{
		Stream: j.fragment.Stream, FragmentNumber: j.fragment.Number,
		FrameIndex: index, Reason: media.GapDamaged, Detail: reason, FramesLost: lost,
	}
}

// got renders and encodes one decoded frame for each output that wants it.
func (j *job) got(k int, f frame) error {
	s := &j.frames[k]
	if s.out { // a second field or a damaged stream: one packet is one frame
		return nil
	}
	s.out = true
	if j.plan.frames[k].bare != nil {
		return nil // there is nothing to see
	}
	j.decoded++
	own, referred := f.damage()
	s.damaged = s.damaged || own || referred && !j.plan.pics[k].intra
	planned := &j.plan.frames[k]
	if len(planned.outputs) == 0 {
		return nil
	}
	if own {
		if err := j.fatal(k, errTorn); err != nil {
			return err
		}
	}
	if j.drops(s.damaged || planned.broken) {
		return nil
	}
	s.images = make([]media.Image, 0, len(planned.outputs))
	for _, a := range planned.outputs {
		o := j.outputs[a.output]
		img, err := j.image(f, o, planned.info)
		if err != nil {
			s.err = fmt.Errorf("for sink %s: %w", o.Sink, err)
			continue
		}
		img.Answers = a.answers
		s.images = append(s.images, img)
	}
	return nil
}

// drops says whether a picture that is concealed is one too few.
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
	j.frames[k].sent = true
	return j.release()
}

// suspect notes that something may be wrong with a packet. H.264's decoder says of a picture that
// comes out whether it had to conceal anything; H.265's does not.
func (j *job) suspect(k int) {
	s := &j.frames[k]
	s.suspect = true
	s.damaged = s.damaged || j.plan.track.CodecID == codecHEVC && !j.plan.frames[k].broken
}

// finish emits what is left, when no frame comes any more.
func (j *job) finish() error {
	j.drained = true
	return j.release()
}

// resolved reports whether it is known what became of a packet.
func (j *job) resolved(k int) bool {
	return j.drained || j.frames[k].sent || !j.plan.frames[k].feed
}

// release emits, in presentation order, the images of which everything is known.
func (j *job) release() error {
	for j.passed < len(j.frames) && j.resolved(j.passed) {
		j.pass(j.passed)
		j.passed++
	}
	for ; j.next < len(j.plan.inOrder); j.next++ {
		k := j.plan.inOrder[j.next]
		if k >= j.passed || !j.resolved(k) {
			break
		}
		if err := j.emitFrame(k); err != nil {
			return err
		}
	}
	return nil
}

// pass takes a picture into what is known of the ones that later pictures refer to.
func (j *job) pass(k int) {
	planned, s, t := j.plan.frames[k], &j.frames[k], &j.taint
	if planned.group != t.group {
		*t = taint{group: planned.group, before: t.own}
	}
	if k == j.plan.refresh.from {
		t.refreshing = true
	}
	if k == j.plan.refresh.done && t.refreshing {
		t.own = false
	}
	if !j.plan.pics[k].intra {
		s.tainted = t.own || planned.leads && (t.leading || t.before)
	}
	if !planned.feed || planned.disposable || planned.bare != nil {
		return
	}
	lost := s.damaged || s.suspect && !s.out || !s.sent
	// Where the past is missing libav has to guess, which is not a loss of this picture's data.
	t.refreshing = t.refreshing && (!lost || planned.broken)
	bad := lost || s.tainted || planned.broken
	if planned.leads {
		t.leading = t.leading || bad
	} else {
		t.own = t.own || bad
	}
}

// endTainted says, at the end, whether pictures that the next fragment may refer to are
// not whole.
func (j *job) endTainted() bool {
	for ; j.passed < len(j.frames); j.passed++ {
		j.pass(j.passed)
	}
	return j.taint.own
}

// emitFrame emits the images of one frame, or notes why there are none.
func (j *job) emitFrame(k int) error {
	s, planned := &j.frames[k], j.plan.frames[k]
	concealed := s.damaged || s.tainted || planned.broken
	switch {
	case !s.out && s.err == nil:
		s.err = errNoPicture
	case s.out && j.drops(concealed):
		s.err, s.images = errConcealed, nil
	case s.out && len(s.images) == len(planned.outputs):
		s.err = nil // what libav refused of it is concealed
	}
	if s.err != nil {
		j.miss(planned.info.Index, s.err.Error()+j.unanswered(k))
		if err := j.fatal(k, s.err); err != nil {
			return err
		}
	}
	if concealed && len(s.images) > 0 {
		j.concealed++
	}
	images := s.images
	s.images = nil
	for _, img := range images {
		img.Concealed = concealed
		if err := j.emit(img); err != nil {
			return err
		}
	}
	return nil
}

// unanswered names the times that lost frames would have answered.
func (j *job) unanswered(packets ...int) string {
	var times []time.Time
	for _, k := range packets {
		for _, a := range j.plan.frames[k].outputs {
			times = append(times, a.answers...)
		}
	}
	if len(times) == 0 {
		return ""
	}
	return "; no frame for " + named(times)
}

// miss notes a lost frame: in one gap with its neighbours that were lost for the same reason.
func (j *job) miss(index int, reason string) {
	if n := len(j.gaps) - 1; n >= 0 {
		if g := &j.gaps[n]; g.FrameIndex+g.FramesLost == index && g.Detail == reason {
			g.FramesLost++
			return
		}
	}
	j.gaps = append(j.gaps, j.gap(index, 1, reason))
}

// outcome counts what came out, and names what did not.
func (j *job) outcome() media.Outcome {
	if len(j.gaps) == 1 && j.plan.samples > 0 && j.gaps[0].FramesLost == j.plan.samples {
		j.gaps[0].FrameIndex = media.WholeFragment
	}
	return media.Outcome{FramesDecoded: j.decoded, FramesConcealed: j.concealed, Gaps: j.gaps}
}
