//go:build cgo

package decode

import (
	"cmp"
	"context"
	"errors"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/kvsframes/kvsframes/decode/plan"
	"github.com/kvsframes/kvsframes/media"
)

// arrival implements media.Arrival.
type arrival struct {
	stream       *Stream
	plan         *plan.Ahead
	name, number string // of the stream, and of the fragment
	// outputs are those of the stream, without EXIF: an image gets it when its index is final.
	outputs []Output
	// again makes the sinks forget the images, which then are handed on again.
	again func(context.Context) error

	mu sync.Mutex
	// pieces are the parts that wait to be decoded, closed reports whether no more come. final are the frames with final indexes whose images
	// were not handed on yet, in presentation order.
	pieces []piece
	final  []plan.Final
	closed bool
	change chan struct{} // has room for one
	// waiting are the decoded images by frame. Decode alone uses them.
	waiting map[int][]outputImage
	// done is closed when nothing more is handed on; images is what was.
	done   chan struct{}
	images *aheadImages
	// same reports whether the whole fragment has the media that was decoded.
	same bool
}

// piece is a part of a fragment, with as much of the fragment's media as the decoder must know.
type piece struct {
	plan     *plan.Plan
	fragment *media.Fragment
	from     int // the index in the fragment of the part's first frame
}

// aheadImages are the images that were handed on before the fragment's end. Nil is none.
type aheadImages struct {
	given   map[aheadImage]media.FrameInfo
	decoded int
	// arrived is when the last byte of each block of the video track was there.
	arrived []time.Time
}

type aheadImage struct{ frame, output int }

func (i *aheadImages) has(k, output int) bool {
	if i == nil {
		return false
	}
	_, ok := i.given[aheadImage{k, output}]
	return ok
}

// arrivedAt returns when the last byte of a frame was there, by the last of its blocks; zero if that is not known.
func (i *aheadImages) arrivedAt(block int) time.Time {
	if i == nil || block >= len(i.arrived) {
		return time.Time{}
	}
	return i.arrived[block]
}

// all reports whether they are all images that a plan wants, and there are any.
func (i *aheadImages) all(pl *plan.Plan) bool {
	if i == nil || len(i.given) == 0 {
		return false
	}
	wanted := 0
	for _, k := range pl.InOrder {
		wanted += len(pl.Frames[k].Outputs)
	}
	return wanted == len(i.given)
}

// Ahead begins to decode the fragment that follows the last planned one, while it arrives, for the sinks that take images before the
// fragment's end. It returns nil if all wait for that. Plan must be called for no other fragment before it, but Lost may.
//
// Of the arrival, More and Close are called on the goroutine that calls Plan, and Decode on another. When
// the whole fragment shows that images were wrong that were handed on, again is called, which makes the sinks forget all of its images.
func (s *Stream) Ahead(f *media.Fragment, takes func(sink string) bool, again func(context.Context) error) media.Arrival {
	a := s.planner.Ahead(func(output int) bool { return s.choosers[output] != nil || !takes(s.outputs[output].Sink) })
	if a == nil {
		return nil
	}
	s.arriving = &arrival{
		stream: s, plan: a, name: f.Stream, number: f.Number, again: again, change: make(chan struct{}, 1), done: make(chan struct{}),
		images: &aheadImages{given: map[aheadImage]media.FrameInfo{}}, waiting: map[int][]outputImage{}, outputs: slices.Clone(s.outputs),
	}
	for i := range s.arriving.outputs {
		s.arriving.outputs[i].EXIF = false
	}
	return s.arriving
}

// More states how far the fragment has arrived. It does not wait.
func (a *arrival) More(f *media.Fragment) { a.more(f, false) }

func (a *arrival) more(f *media.Fragment, whole bool) {
	a.note(f)
	from := a.plan.Fed()
	pl, final := a.plan.More(f, whole)
	a.mu.Lock()
	defer a.mu.Unlock()
	a.final = append(a.final, final...)
	if pl != nil {
		head := *f
		head.MKV, head.Blocks, head.Recycle = f.MKV[:f.Blocks[0].Offset], nil, nil
		a.pieces = append(a.pieces, piece{pl, &head, from})
	}
	a.wake()
}

// note records when the blocks of the video track have arrived that are new.
func (a *arrival) note(f *media.Fragment) {
	now, n := time.Now(), plan.VideoBlocks(f)
	a.mu.Lock()
	defer a.mu.Unlock()
	for len(a.images.arrived) < n {
		a.images.arrived = append(a.images.arrived, now)
	}
}

// Close states that no more of the fragment arrives, and that it is not planned, unless Plan was called for it. Decode then returns when it
// has decoded what has arrived.
func (a *arrival) Close() {
	if a.stream.arriving == a {
		a.stream.arriving = nil
	}
	a.plan.Close()
	a.mu.Lock()
	defer a.mu.Unlock()
	a.closed = true
	a.wake()
}

func (a *arrival) wake() {
	select {
	case a.change <- struct{}{}:
	default:
	}
}

// next waits for more to do: a part to decode, if there is one, or images to hand on. ok is false when no more comes.
func (a *arrival) next(ctx context.Context, handed int) (p *piece, ok bool, err error) {
	for {
		a.mu.Lock()
		closed, more := a.closed, len(a.final) > handed
		if len(a.pieces) > 0 {
			p, more = &a.pieces[0], true
			a.pieces = a.pieces[1:]
		}
		a.mu.Unlock()
		if more || closed {
			return p, more, nil
		}
		select {
		case <-ctx.Done():
			return nil, false, ctx.Err()
		case <-a.change:
		}
	}
}

// Decode decodes what arrives, and calls emit for each image, in presentation order, until Close is called. Its error is emit's or the
// context's. What cannot be decoded is left for the end of the fragment.
func (a *arrival) Decode(ctx context.Context, emit func(media.Image) error) error {
	defer close(a.done)
	defer a.drop()
	over := false
	for handed, known := 0, 0; ; {
		p, ok, err := a.next(ctx, known)
		if err != nil || !ok {
			return err
		}
		if p != nil && !over {
			err = a.decode(ctx, *p)
			over = errors.Is(err, errDoubtful)
		}
		switch {
		case over && err != nil:
			a.stream.pool.log.Debug("the rest of a fragment is decoded at its end", "stream", a.name, "fragment", a.number, "reason", err)
		case over && p != nil:
			p.plan.GiveUp()
		case err != nil:
			return err
		}
		if handed, known, err = a.hand(handed, emit); err != nil {
			return err
		}
	}
}

// hand hands on the images that are decoded and whose indexes are final, in presentation order: those of all final frames after the first
// handed ones. It returns how many were handed on by now, and how many final frames it knows of.
func (a *arrival) hand(handed int, emit func(media.Image) error) (now, known int, err error) {
	a.mu.Lock()
	final := a.final
	a.mu.Unlock()
	for ; handed < len(final); handed++ {
		f := final[handed]
		images := a.waiting[f.Frame]
		if len(images) < f.Outputs {
			break
		}
		delete(a.waiting, f.Frame)
		for _, img := range images {
			img.FrameInfo = f.Info
			if o := a.stream.outputs[img.output]; o.EXIF {
				if img.Data, err = o.complete(img.Data, img.Image); err != nil {
					return handed, len(final), err
				}
			}
			if err := emit(img.Image); err != nil {
				return handed, len(final), err
			}
			a.images.given[aheadImage{f.Frame, img.output}] = f.Info
		}
	}
	return handed, len(final), nil
}

// drop gives up the parts that are left.
func (a *arrival) drop() {
	a.mu.Lock()
	defer a.mu.Unlock()
	for _, p := range a.pieces {
		p.plan.GiveUp()
	}
	a.pieces = nil
}

// decode decodes one part, whose images then wait. It returns errDoubtful if anything is wrong.
func (a *arrival) decode(ctx context.Context, p piece) error {
	s := a.stream
	if next := p.plan.Next(); next != nil {
		defer next.GiveUp()
	}
	before, err := decoderBefore(ctx, p.plan)
	switch {
	case err != nil:
		return err
	case before == nil && p.plan.Chain != nil && p.plan.Chain.After != nil, s.pool.config.Refusal(p.plan) != nil:
		if before != nil {
			before.Free()
		}
		return errDoubtful
	}
	e, room, err := s.executor(ctx, nil, p.plan, before)
	if err != nil {
		return err
	}
	defer s.pool.memory.leave()
	defer s.pool.idle.put(e)
	k := map[int]int{} // the part's frames, by index
	for _, i := range p.plan.InOrder {
		k[p.plan.Frames[i].Info.Index] = p.from + i
	}
	account := newAccount(p.fragment, p.plan, a.outputs, OnErrorSkip, func(img media.Image) error {
		if img.Concealed {
			return errDoubtful
		}
		frame, output := k[img.Index], s.outputOf(img.Sink)
		a.mu.Lock()
		img.Arrived = a.images.arrivedAt(p.plan.LastBlock(frame - p.from))
		a.mu.Unlock()
		a.waiting[frame] = append(a.waiting[frame], outputImage{output, img})
		return nil
	})
	err = e.run(ctx, s, newWork(p.fragment, p.plan, a.outputs), before, room, account)
	a.images.decoded += account.decoded
	if err == nil && len(account.missed) > 0 {
		return errDoubtful
	}
	return err
}

// arrived ends the arrival of a fragment that is planned, and returns it; nil for a fragment that was not decoded ahead.
func (s *Stream) arrived(f *media.Fragment, pl *plan.Plan) *arrival {
	a := s.arriving
	if a == nil {
		return nil
	}
	same := a.number == f.Number
	if same && a.plan.Fed() > 0 && !f.Cut && f.Recycle == nil { // parts may be decoded after the media is released
		a.more(f, true) // with the decoder that has what came before
	}
	a.Close()
	if !same {
		return nil
	}
	a.note(f)
	a.same = a.plan.SameMedia(pl, f)
	return a
}

// settle waits until nothing more is decoded ahead, and returns what was, if it holds in the whole fragment's plan. Otherwise it makes the sinks
// forget all of it, and returns a gap for each image that is no longer true.
func (a *arrival) settle(ctx context.Context, pl *plan.Plan) (*aheadImages, []media.Gap, error) {
	if a == nil {
		return nil, nil, nil
	}
	select {
	case <-ctx.Done():
		return nil, nil, ctx.Err()
	case <-a.done:
	}
	holds := a.same || len(a.images.given) == 0
	var gaps []media.Gap
	for i, info := range a.images.given {
		if a.plan.Holds(pl, i.frame, i.output) {
			continue
		}
		holds = false
		gaps = append(gaps, media.Gap{
			Stream: info.Stream, Sink: a.stream.outputs[i.output].Sink, FragmentNumber: info.FragmentNumber, FrameIndex: info.Index, ProducerTime: info.ProducerTime,
			Reason: media.GapRenumbered, Detail: "the end of the fragment gave its frames other names: it was delivered again",
		})
	}
	if holds {
		return a.images, nil, nil
	}
	slices.SortFunc(gaps, func(a, b media.Gap) int { return cmp.Or(strings.Compare(a.Sink, b.Sink), a.FrameIndex-b.FrameIndex) })
	a.stream.pool.log.Warn("the end of a fragment contradicts what was delivered before: it is delivered again", "stream", a.name, "fragment", a.number, "images", len(a.images.given))
	return &aheadImages{arrived: a.images.arrived}, gaps, a.again(ctx)
}
