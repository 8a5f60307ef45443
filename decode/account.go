//go:build cgo

package decode

import (
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/kvsframes/kvsframes/decode/plan"
	"github.com/kvsframes/kvsframes/media"
)

// account hands on what comes of one fragment, and records what does not. A fragment may be decoded more than once: what one
// try has handed on, the next does not hand on again.
type account struct {
	fragment *media.Fragment
	plan     *plan.Plan
	outputs  []Output
	onError  OnError
	emit     func(media.Image) error
	// ahead is what was decoded while the fragment arrived, and is not handed on again; nil is nothing.
	ahead *aheadImages

	// at is how far this try is, reached how far any try was.
	at, reached progress
	// lost reports whether all frames that are left have no image.
	lost               bool
	decoded, concealed int
	// missed are the frames that lack images, in presentation order.
	missed []missedFrame
}

// missedFrame is a frame of which images are missing.
type missedFrame struct {
	k   int // its packet
	err error
	// images are the outputs that have their image of it all the same.
	images []int
	// together reports whether it is one of the frames that are lost together, after all others.
	together bool
}

// progress is a place in the results of a fragment.
type progress struct {
	// frame is the index of the last frame in plan.InOrder, -1 before the first.
	frame int
	// missed reports whether images of it are missing, images is the number of its outputs that are done.
	missed bool
	images int
}

var (
	errNoTracks = errors.New("there are blocks but no description of their tracks")
	// errDamaged is the cause when on_error is fail and a fragment cannot be decoded.
	errDamaged = errors.New("fragment is damaged and on_error is fail")
	// errNonsense is the error for results that do not fit the plan.
	errNonsense = errors.New("the decoder's answer makes no sense")
)

func newAccount(f *media.Fragment, pl *plan.Plan, outputs []Output, onError OnError, emit func(media.Image) error) *account {
	a := &account{fragment: f, plan: pl, outputs: outputs, onError: onError, emit: emit, reached: progress{frame: -1}}
	a.begin()
	return a
}

// begin begins a try.
func (a *account) begin() { a.at, a.lost, a.decoded = progress{frame: -1}, false, 0 }

// step moves on to frame k: the one that this try is at, or the next.
func (a *account) step(k int) error {
	order := a.plan.InOrder
	if a.at.frame >= 0 && order[a.at.frame] == k {
		return nil
	}
	if next := a.at.frame + 1; a.lost || !a.complete() || next >= len(order) || order[next] != k {
		return errNonsense
	}
	a.at = progress{frame: a.at.frame + 1}
	return nil
}

// complete reports whether each image of the last frame is there, or known to be missing.
func (a *account) complete() bool { return a.at.complete(a.plan) }

func (p progress) complete(pl *plan.Plan) bool {
	return p.frame < 0 || p.missed || p.images == len(pl.Frames[pl.InOrder[p.frame]].Outputs)
}

// settled reports whether this try has told what became of each frame.
func (a *account) settled() bool {
	return a.lost || a.complete() && a.at.frame == len(a.plan.InOrder)-1
}

// image implements results.
func (a *account) image(k, output int, img media.Image) error {
	if err := a.step(k); err != nil {
		return err
	}
	asked := a.plan.Frames[k].Outputs
	i := slices.IndexFunc(asked, func(o plan.Asked) bool { return o.Output == output })
	if i < a.at.images {
		return errNonsense
	}
	if i > a.at.images && !a.at.missed {
		return errNonsense
	}
	a.at.images = i + 1
	switch {
	case a.at.frame < a.reached.frame || a.at.frame == a.reached.frame && a.at.images <= a.reached.images:
		return nil // an earlier try has handed it on
	case a.at.frame > a.reached.frame:
		a.reached = progress{frame: a.at.frame}
	}
	if a.reached.missed = a.reached.missed || a.at.missed; img.Concealed && a.reached.images == 0 {
		a.concealed++
	}
	if a.reached.images = a.at.images; a.reached.missed {
		last := &a.missed[len(a.missed)-1]
		last.images = append(last.images, output)
	}
	if a.ahead.has(k, output) {
		return nil
	}
	img.Tags, img.Arrived = a.fragment.Tags, a.ahead.arrivedAt(a.plan.LastBlock(k))
	img.Answers, img.Label = asked[i].Answer()
	return a.emit(img)
}

// miss implements results.
func (a *account) miss(k int, err error) error {
	if err := a.step(k); err != nil {
		return err
	}
	if a.at.missed || a.at.images > 0 {
		return errNonsense
	}
	a.at.missed = true
	switch {
	case a.at.frame < a.reached.frame || a.at.frame == a.reached.frame && a.reached.missed:
		return nil
	case a.at.frame > a.reached.frame:
		a.reached = progress{frame: a.at.frame}
	}
	a.reached.missed = true
	a.missed = append(a.missed, missedFrame{k: k, err: err, images: a.delivered(k, a.reached.images)})
	return a.fatal(k, err)
}

// lose implements results.
func (a *account) lose(err error) error {
	a.lost = true
	next := progress{frame: a.reached.frame + 1}
	if !a.reached.complete(a.plan) {
		next = a.reached
	}
	left := a.plan.InOrder[next.frame:]
	if len(left) == 0 { // no frame was wanted
		return nil
	}
	for _, k := range left {
		a.missed = append(a.missed, missedFrame{k: k, err: err, images: a.delivered(k, next.images), together: true})
		next.images = 0
	}
	a.reached = progress{frame: len(a.plan.InOrder) - 1, missed: true}
	return a.failed(a.gap(nil, len(left), err, nil))
}

// delivered returns the outputs of the first images of frame k.
func (a *account) delivered(k, images int) (outputs []int) {
	for _, asked := range a.plan.Frames[k].Outputs[:images] {
		outputs = append(outputs, asked.Output)
	}
	return outputs
}

// fatal implements results.
func (a *account) fatal(k int, err error) error {
	return a.failed(a.gap(&a.plan.Frames[k].Info, 1, err, nil))
}

// failed returns the error that a gap is if damage ends the run.
func (a *account) failed(g media.Gap) error {
	if a.onError != OnErrorFail {
		return nil
	}
	return fmt.Errorf("decode %s: %w", g, errDamaged)
}

// gap returns a gap of the fragment: from the frame first on or, if first is nil, the whole fragment.
func (a *account) gap(first *media.FrameInfo, lost int, err error, unanswered []time.Time) media.Gap {
	g := media.Gap{
		Stream: a.fragment.Stream, FragmentNumber: a.fragment.Number, ProducerTime: a.fragment.ProducerTime,
		FrameIndex: media.WholeFragment, FramesLost: lost, AskedFor: unanswered, Reason: reasonOf(err), Detail: err.Error(),
	}
	if first != nil {
		g.FrameIndex, g.ProducerTime = first.Index, first.ProducerTime
	}
	if len(unanswered) > 0 {
		g.Detail += "; no frame for " + named(unanswered)
	}
	return g
}

// outcome returns the number of decoded frames, and the gaps.
func (a *account) outcome() media.Outcome {
	return media.Outcome{FramesDecoded: a.decoded, FramesConcealed: a.concealed, Gaps: a.gaps()}
}

// gaps returns the gaps of the fragment, without a sink if they are the same for all. A sink's gaps depend on what that one asked for
// alone: a later run may read the fragment for fewer of them.
func (a *account) gaps() (gaps []media.Gap) {
	if len(a.missed) == 0 {
		return nil
	}
	of := make([][]media.Gap, len(a.outputs))
	same := true
	for o := range a.outputs {
		of[o] = a.gapsOf(o)
		same = same && slices.EqualFunc(of[0], of[o], func(a, b media.Gap) bool {
			return a.FrameIndex == b.FrameIndex && a.FramesLost == b.FramesLost && a.Detail == b.Detail
		})
	}
	if same {
		return of[0]
	}
	for o, output := range a.outputs {
		for _, g := range of[o] {
			g.Sink = output.Sink
			gaps = append(gaps, g)
		}
	}
	return gaps
}

// gapsOf returns the gaps of one output. Frames that follow each other and are lost for the same reason share one.
func (a *account) gapsOf(output int) (gaps []media.Gap) {
	var rest []time.Time // the requests of the frames that are lost together, which are lost in number
	var why error
	lost := 0
	for _, m := range a.missed {
		asked, wanted := a.plan.Asked(m.k, output)
		if !wanted || slices.Contains(m.images, output) || a.ahead.has(m.k, output) {
			continue
		}
		times, _ := asked.Answer()
		if m.together {
			rest, lost, why = append(rest, times...), lost+1, m.err
			continue
		}
		g := a.gap(&a.plan.Frames[m.k].Info, 1, m.err, times)
		if last := len(gaps) - 1; last >= 0 && gaps[last].FrameIndex+gaps[last].FramesLost == g.FrameIndex && gaps[last].Detail == g.Detail {
			gaps[last].FramesLost++
			continue
		}
		gaps = append(gaps, g)
	}
	if lost > 0 {
		gaps = append(gaps, a.gap(nil, lost, why, rest))
	}
	if len(gaps) == 1 && gaps[0].FramesLost == a.plan.Wanted(output) {
		gaps[0].FrameIndex = media.WholeFragment
	}
	return gaps
}

// named lists times for a message, at most the first ten of them.
func named(times []time.Time) string {
	const most = 10
	var text []string
	for _, t := range times[:min(most, len(times))] {
		text = append(text, t.UTC().Format(time.RFC3339Nano))
	}
	if n := len(times) - most; n > 0 {
		return fmt.Sprintf("%s and %d more", strings.Join(text, ", "), n)
	}
	return strings.Join(text, ", ")
}
