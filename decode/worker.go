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

func (w *worker) suits(*Stream) int { return 0 }

func (w *worker) dropOldest() bool { return w.decoders.dropOldest() }

func (w *worker) free() {
	w.decoders.free()
	w.renderer.free()
	w.encoder.free()
	w.picture.free()
}

// run implements executor.
func (w *worker) run(ctx context.Context, _ *Stream, what work, before plan.Decoder, room *room, a *account) error {
	w.room = room
	defer room.free()
	c, _ := before.(*continuous)
	give := func(c *continuous) { what.plan.Chain.Next.Give(c) }
	decoded, err := w.fragment(ctx, what, c, give, a)
	a.decoded = decoded
	return err
}

// fragment decodes, renders and encodes the frames that the plan wants, and returns how many were decoded. before is the decoder
// that continues with the fragment, or nil; the worker takes ownership of it. give takes the decoder if a
// later fragment needs it.
func (w *worker) fragment(ctx context.Context, what work, before *continuous, give func(*continuous), to results) (decoded int, err error) {
	job := newJob(w, what, to)
	next, err := w.decode(ctx, job, before)
	if next != nil {
		give(next)
	}
	if err == nil {
		err = job.finish()
	}
	return job.decoded, err
}

// decode decodes the fragment. It returns the error of the context or of the results, or the first error
// in the data if that ends the run. The job reports all other errors in the data.
func (w *worker) decode(ctx context.Context, j *job, before *continuous) (next *continuous, err error) {
	track := j.plan.Track
	d := openHeader(j.mkv, j.video)
	defer d.free()
	w.renderer.track, w.renderer.fieldPictures = d.facts(), track.CodecID == h26x.HEVC
	feed := j.feeder(ctx, j.plan.Form.ByStream)
	open := func() (codec, error) { return openDecoder(track.CodecID, d.video, j.plan.Form, w.config.MaxPixels) }
	if j.plan.Chain != nil {
		return w.decodeChained(ctx, j, &feed, before, open)
	}
	return nil, w.decodeAlone(j, &feed, open)
}

// decodeAlone decodes a fragment that needs no other, with a decoder that is kept as long as nothing is wrong. If a decoder that
// was used before finds damage, a new one decodes the fragment again, so that the result is always the
// same.
func (w *worker) decodeAlone(j *job, feed *feeder, open func() (codec, error)) error {
	track, form := j.plan.Track, j.plan.Form
	key := decoderKey{j.stream, track.CodecID, form.CodecData, form.InBand, track.Width, track.Height, w.renderer.track}
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
			return j.lose(err)
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
		if !errors.Is(err, errDoubtful) || j.plan.Ahead {
			return err
		}
		j.again()
	}
}

// decodeChained decodes a fragment with the decoder of the previous one, or with a new one after the lead-up, and returns the decoder
// if the next fragment may need it. If a decoder that continues finds damage, a new one is led up and decodes the fragment again, and
// the next fragment is led up, too: what libav makes of damage depends on all that a decoder has seen, and a run that begins here
// has not seen the pictures that no other refers to. Where the lead-up is with the caller, it returns errDoubtful.
func (w *worker) decodeChained(ctx context.Context, j *job, feed *feeder, c *continuous, open func() (codec, error)) (*continuous, error) {
	chain := j.plan.Chain
	leads, whole := chain.LeadUp()
	j.used = c != nil && whole
	for {
		var err error
		if c == nil {
			opened, failed := open()
			if failed != nil {
				return nil, j.lose(failed)
			}
			c = &continuous{keptDecoder: keptDecoder{opened, w.room.pass()}}
			if !whole {
				c.taint = pastMissing
			}
			err = w.leadUp(ctx, c, leads)
		}
		j.begin(0, c.taint)
		feed.codec, feed.base = c.codec, c.base
		if err == nil {
			err = feed.feed(0)
		}
		switch {
		case errors.Is(err, errDoubtful) && len(leads) > 0:
			*w.room = *c.room.pass()
			c.free()
			c = nil
			j.again()
			continue
		case err != nil || chain.Next == nil || j.doubtful && whole:
			c.Free()
			return nil, err
		}
		c.base += int64(len(j.plan.Frames))
		c.taint = j.end()
		return c, nil
	}
}

// leadUp decodes earlier fragments for the references in them. What is wrong with them is judged as when their pictures are wanted.
func (w *worker) leadUp(ctx context.Context, c *continuous, fragments []plan.Lead) error {
	for i, l := range fragments {
		whole := l.Whole()
		if i == 0 && whole.Pictures[l.From].Entry == plan.EntryNone {
			c.taint = pastMissing // until the refresh is done
		}
		j := newJob(w, work{mkv: l.Media, plan: whole}, unwanted{})
		j.begin(l.From, c.taint)
		feed := j.feeder(ctx, true)
		feed.codec, feed.base = c.codec, c.base
		if err := feed.feed(l.From); err != nil {
			return err
		}
		c.base += int64(len(j.plan.Frames))
		c.taint = j.end()
	}
	return nil
}

// unwanted are the results of a fragment of which nothing is wanted.
type unwanted struct{}

func (unwanted) image(int, int, media.Image) error { return nil }
func (unwanted) miss(int, error) error             { return nil }
func (unwanted) lose(error) error                  { return nil }
func (unwanted) fatal(int, error) error            { return nil }
