//go:build cgo

package decode

import (
	"context"
	"fmt"

	"github.com/kvsframes/kvsframes/media"
)

// worker decodes one fragment at a time, from its bytes to its images. It keeps
// what the next fragment can use again.
type worker struct {
	maxPixels int64
	decoders  kept[decoderKey, codec]
	packet    packet
	picture   frame
	renderer  *renderer
	encoder   *encoder
}

func newWorker(cfg Config) (*worker, error) {
	w := &worker{
		maxPixels: cfg.MaxPixels,
		decoders:  kept[decoderKey, codec]{limit: keptDecoders},
		renderer:  newRenderer(cfg),
	}
	var err error
	if w.packet, err = newPacket(); err != nil {
		return nil, err
	}
	if w.picture, err = newFrame(); err != nil {
		w.packet.free()
		return nil, err
	}
	if w.encoder, err = newEncoder(); err != nil {
		w.picture.free()
		w.packet.free()
		return nil, err
	}
	return w, nil
}

func (w *worker) free() {
	w.decoders.free()
	w.renderer.free()
	w.encoder.free()
	w.picture.free()
	w.packet.free()
}

// fragment decodes, renders and encodes what pl wants of f.
func (w *worker) fragment(ctx context.Context, f *media.Fragment, pl *plan, outputs []Output, emit func(media.Image) error) (media.Outcome, error) {
	job := &job{worker: w, fragment: f, plan: pl, outputs: outputs, emit: emit, ready: map[int][]media.Image{}, seen: make([]bool, len(pl.frames))}
	if !pl.hasVideo || len(pl.frames) == 0 {
		if !f.Cut { // what was cut off is a gap already
			job.fail(fmt.Errorf("no video in the fragment"))
			return job.outcome(), nil
		}
		return media.Outcome{}, nil
	}
	if pl.samples == 0 {
		return media.Outcome{}, nil
	}
	if err := w.decode(ctx, job); err != nil {
		return media.Outcome{}, err
	}
	if err := job.flush(len(pl.inOrder)); err != nil {
		return media.Outcome{}, err
	}
	return job.outcome(), nil
}

// decode runs the decoder over the fragment. The error is the context's or emit's; what the
// data caused is in the job.
func (w *worker) decode(ctx context.Context, j *job) error {
	track := j.plan.track
	if err := supported(track); err != nil {
		j.fail(err)
		return nil
	}
	if pixels := int64(track.Width) * int64(track.Height); pixels > w.maxPixels {
		j.fail(fmt.Errorf("picture of %dx%d pixels is too large, max_pixels is %d", track.Width, track.Height, w.maxPixels))
		return nil
	}
	d, err := newDemuxer(j.fragment.MKV)
	if err != nil {
		j.fail(err)
		return nil
	}
	defer d.free()
	if w.renderer.track, err = trackFacts(d.video); err != nil {
		j.fail(err)
		return nil
	}
	key := decoderKey{track.CodecID, string(track.CodecPrivate), track.Width, track.Height, w.renderer.track}
	c, err := w.decoders.get(key, func(decoderKey) (codec, error) { return openDecoder(d.video, w.maxPixels) })
	if err != nil {
		j.fail(err)
		return nil
	}
	got := func(k int, f frame) error {
		if err := ctx.Err(); err != nil {
			return err
		}
		return j.got(k, f)
	}
	return w.decodeAll(c, d, j.plan, got, j.fail)
}

// job is one fragment on its way through a worker.
type job struct {
	worker   *worker
	fragment *media.Fragment
	plan     *plan
	outputs  []Output
	emit     func(media.Image) error

	decoded  int
	seen     []bool // by packet: the frame came out
	next     int    // the place in plan.inOrder whose images go out next
	ready    map[int][]media.Image
	rendered int
	firstErr error
}

// fail notes the first thing that went wrong.
func (j *job) fail(err error) {
	if j.firstErr == nil {
		j.firstErr = err
	}
}

// got renders and encodes one decoded frame for each output that wants it, and
// emits the images whose turn has come.
func (j *job) got(k int, f frame) error {
	if j.seen[k] { // a second field or a damaged stream: one packet is one frame
		return nil
	}
	j.seen[k] = true
	j.decoded++
	planned := j.plan.frames[k]
	if len(planned.outputs) == 0 {
		return nil
	}
	images := make([]media.Image, 0, len(planned.outputs))
	for _, o := range planned.outputs {
		img, err := j.image(f, j.outputs[o], planned.info)
		if err != nil {
			j.fail(fmt.Errorf("frame %d for %s: %w", planned.info.Index, j.outputs[o].Sink, err))
			continue
		}
		images = append(images, img)
	}
	if len(images) == len(planned.outputs) {
		j.rendered++
	}
	j.ready[k] = images
	return j.release()
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

// release emits the images that nothing earlier can come before any more.
func (j *job) release() error {
	end := j.next
	for end < len(j.plan.inOrder) && j.ready[j.plan.inOrder[end]] != nil {
		end++
	}
	return j.flush(end)
}

// flush emits all images before place end of the presentation order.
func (j *job) flush(end int) error {
	for ; j.next < end; j.next++ {
		k := j.plan.inOrder[j.next]
		for _, img := range j.ready[k] {
			if err := j.emit(img); err != nil {
				return err
			}
		}
		delete(j.ready, k)
	}
	return nil
}

// outcome counts what came out, and names what did not.
func (j *job) outcome() media.Outcome {
	out := media.Outcome{FramesDecoded: j.decoded}
	lost := j.plan.samples - j.rendered
	if lost == 0 && (j.firstErr == nil || j.plan.samples > 0) {
		return out
	}
	reason := "the decoder gave no picture"
	if j.firstErr != nil {
		reason = j.firstErr.Error()
	}
	if lost > 0 && lost < j.plan.samples {
		reason = fmt.Sprintf("%d of %d sampled frames, first: %s", lost, j.plan.samples, reason)
	}
	out.Gaps = []media.Gap{{
		Stream: j.fragment.Stream, FragmentNumber: j.fragment.Number,
		FrameIndex: media.WholeFragment, Reason: reason, FramesLost: lost,
	}}
	return out
}
