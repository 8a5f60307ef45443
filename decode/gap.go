//go:build cgo

package decode

import (
	"fmt"
	"strings"
	"time"

	"github.com/kvsframes/kvsframes/media"
)

// lose records that all wanted frames of the fragment, packets, are lost for one reason.
func (j *job) lose(packets []int, err error) error {
	if len(packets) == 0 { // no frame was wanted
		return nil
	}
	for _, k := range packets {
		j.frames[k].err = err
	}
	j.next = len(j.plan.InOrder)
	g := j.gap(nil, len(packets), err, j.unanswered(packets...))
	j.gaps = append(j.gaps, g)
	if j.worker.config.OnError == OnErrorFail {
		return fmt.Errorf("decode %s: %w", g, errDamaged)
	}
	return nil
}

// gap returns a gap of the fragment: from the frame first on or, if first is nil, the whole fragment.
func (j *job) gap(first *media.FrameInfo, lost int, err error, unanswered []time.Time) media.Gap {
	g := media.Gap{
		Stream: j.fragment.Stream, FragmentNumber: j.fragment.Number, ProducerTime: j.fragment.ProducerTime,
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

// unanswered returns the times that lost frames would have answered.
func (j *job) unanswered(packets ...int) (times []time.Time) {
	for _, k := range packets {
		for _, a := range j.plan.Frames[k].Outputs {
			at, _ := a.Answer()
			times = append(times, at...)
		}
	}
	return times
}

// miss records a lost frame. It shares a gap with its neighbours that were lost for the same reason.
func (j *job) miss(k int, err error) {
	g := j.gap(&j.plan.Frames[k].Info, 1, err, j.unanswered(k))
	if n := len(j.gaps) - 1; n >= 0 {
		if last := &j.gaps[n]; last.FrameIndex+last.FramesLost == g.FrameIndex && last.Detail == g.Detail {
			last.FramesLost++
			return
		}
	}
	j.gaps = append(j.gaps, g)
}

// outcome returns the number of decoded frames, and the gaps.
func (j *job) outcome() media.Outcome {
	if len(j.gaps) == 1 && j.plan.Samples > 0 && j.gaps[0].FramesLost == j.plan.Samples {
		j.gaps[0].FrameIndex = media.WholeFragment
	}
	return media.Outcome{FramesDecoded: j.decoded, FramesConcealed: j.concealed, Gaps: j.gaps}
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
