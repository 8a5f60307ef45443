//go:build cgo

package decode

import (
	"context"
	"errors"

	"github.com/kvsframes/kvsframes/decode/h26x"
	"github.com/kvsframes/kvsframes/decode/plan"
	"github.com/kvsframes/kvsframes/media"
)

// worker decodes one fragment at a time, from its bytes to its images. It keeps
// what the next fragment can reuse.
type worker struct {
	config   Config
	decoders lru[decoderKey, keptDecoder]
	// room is the memory that the current fragment has for a decoder.
	room     *room
	picture  frame
	renderer *renderer
	encoder  *encoder
}

func newWorker(cfg Config) (*worker, error) {
	w := &worker{
		config:   cfg,
		decoders: lru[decoderKey, keptDecoder]{limit: keptDecoders},
		renderer: newRenderer(cfg),
	}
	var err error
	if w.picture, err = newFrame(); err != nil {
		return nil, err
	}
	if w.encoder, err = newEncoder(); err != nil {
		w.picture.free()
		return nil, err
	}
	return w, nil
}

func (w *worker) free() {
	w.decoders.free()
	w.renderer.free()
	w.encoder.free()
	w.picture.free()
}

// fragment decodes, renders and encodes the frames of f that pl wants. before is the decoder
// that continues with the fragment, or nil; the worker takes ownership of it. fragment is not
// called if nothing of f is needed.
func (w *worker) fragment(ctx context.Context, f *media.Fragment, pl *plan.Plan, before *continuous, outputs []Output, emit func(media.Image) error) (media.Outcome, error) {
	job := newJob(w, f, pl, outputs, emit)
	if len(f.Tracks) == 0 && len(f.Blocks) > 0 {
		return media.Outcome{Gaps: []media.Gap{job.gap(nil, 0, errNoTracks, nil)}}, nil
	}
	if len(pl.Frames) == 0 { // cut fragments and streams without video have a gap already
		return media.Outcome{}, nil
	}
	if err := w.decode(ctx, job, before); err != nil {
		return job.outcome(), err
	}
	err := job.finish()
	return job.outcome(), err
}

// decode decodes the fragment. It returns the error of the context or of emit, or the first error
// in the data if that ends the run. The job records all other errors in the data.
func (w *worker) decode(ctx context.Context, j *job, before *continuous) error {
	track := j.plan.Track
	if err := w.config.Refusal(j.plan); err != nil {
		if before != nil {
			before.Free()
		}
		return j.lose(j.plan.InOrder, err)
	}
	d := openHeader(j.fragment, track)
	defer d.free()
	w.renderer.track, w.renderer.fieldPictures = d.facts(), track.CodecID == h26x.HEVC
	feed := feeder{worker: w, plan: j.plan, mkv: j.fragment.MKV, byStream: j.plan.Form.ByStream, failed: j.failed, suspect: j.suspect, sent: j.sent, got: func(k int, f frame) error {
		if err := ctx.Err(); err != nil {
			return err
		}
		return j.got(k, f)
	}}
	open := func() (codec, error) { return openDecoder(track.CodecID, d.video, j.plan.Form, w.config.MaxPixels) }
	if j.plan.Chain != nil {
		return w.decodeChained(ctx, j, &feed, before, open)
	}
	return w.decodeAlone(j, &feed, open)
}

// decodeAlone decodes a fragment that needs no other, with a decoder that is kept as long as nothing is wrong. If a decoder that
// was used before finds damage, a new one decodes the fragment again, so that the result is always the
// same.
func (w *worker) decodeAlone(j *job, feed *feeder, open func() (codec, error)) error {
	track, form := j.plan.Track, j.plan.Form
	key := decoderKey{j.fragment.Stream, track.CodecID, form.CodecData, form.InBand, track.Width, track.Height, w.renderer.track}
	for j.used = true; ; {
		c, err := w.decoders.get(key, func(decoderKey) (keptDecoder, error) {
			j.used = false
			opened, err := open()
			if err != nil {
				return keptDecoder{}, err
			}
			return keptDecoder{opened, w.room.pass()}, nil
		})
		if err != nil {
			return j.lose(j.plan.InOrder, err)
		}
		w.room.free() // a kept decoder has its own
		feed.codec = c.codec
		err = feed.feed(0)
		if j.doubtful || form.Replaced {
			*w.room = *c.room.pass() // for the decoder that decodes the fragment again
			w.decoders.drop(key)
		} else {
			c.flush() // the next fragment finds the decoder empty
		}
		if !errors.Is(err, errDoubtful) {
			return err
		}
		j.again()
	}
}

// decodeChained decodes a fragment with the decoder of the previous one, or with a new one
// after the lead-up, and gives the decoder to the next fragment if that may need it.
func (w *worker) decodeChained(ctx context.Context, j *job, feed *feeder, c *continuous, open func() (codec, error)) error {
	chain := j.plan.Chain
	if c == nil {
		opened, err := open()
		if err != nil {
			return j.lose(j.plan.InOrder, err)
		}
		c = &continuous{keptDecoder: keptDecoder{opened, w.room.pass()}}
		if chain.After != nil { // the decoder was lost on its way
			j.missesPast()
		}
	}
	err := w.leadUp(ctx, c, chain.Lead)
	if c.tainted {
		j.missesPast()
	}
	feed.codec, feed.base = c.codec, c.base
	if err == nil {
		err = feed.feed(0)
	}
	if err != nil || chain.Next == nil {
		c.Free()
		return err
	}
	c.base += int64(len(j.plan.Frames))
	c.tainted = j.endTainted()
	chain.Next.Give(c)
	return nil
}

// leadUp decodes earlier fragments for the references in them. Their frames are dropped.
func (w *worker) leadUp(ctx context.Context, c *continuous, fragments []plan.Lead) error {
	for _, l := range fragments {
		pl := l.Whole()
		feed := feeder{
			worker: w, codec: c.codec, plan: pl, mkv: l.Media, byStream: true, base: c.base,
			got: func(k int, f frame) error {
				own, _ := f.damage()
				c.tainted = c.tainted || own && l.Matters(k)
				return ctx.Err()
			},
			suspect: func(k int, v verdict) {
				c.tainted = c.tainted || (v.uncovered || pl.Track.CodecID == h26x.HEVC) && l.Matters(k)
			},
			failed: func(int, error) error { c.tainted = true; return nil },
		}
		if err := feed.feed(l.From); err != nil {
			return err
		}
		c.base += int64(len(pl.Frames))
	}
	return nil
}
