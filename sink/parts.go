package sink

import (
	"context"
	"errors"
	"sync"
	"time"

	"github.com/kvsframes/kvsframes/media"
)

// parts writes the manifest parts of fragments whose images are durable, and reports the fragments. With manifest.every a part has those of a cell
// of the grid, and they are reported when it is written. Its methods are called one after the other.
type parts struct {
	w     *Writer
	every time.Duration // 0: each fragment has a part
	open  *part         // nil for none
	// waiting are the fragments that wait for the open part, in order, and next is what is durable of the one after them.
	waiting []waiting
	next    media.Split
	// came is when the latest records came.
	came time.Time
	// completed is the number of parts so far that may have several fragments.
	completed int
}

// part is a manifest part that gets the records of several fragments.
type part struct {
	first media.Fragment // without its media
	cell  int64          // of the grid
	last  time.Time      // that of the latest fragment
	until string         // its number
	began time.Time      // when its first fragment came
	lines []byte
	// partial reports whether images have no record, since other ones were kept in their place.
	partial bool
}

// waiting is a fragment that waits for its part.
type waiting struct {
	durable func(media.Receipt)
	receipt media.Receipt
}

// fullLines is the size in bytes at which a part of several fragments ends, unless those that belong together have more.
const fullLines = 8 << 20

func newParts(w *Writer) *parts {
	p := &parts{w: w}
	if w.sink.manifest != nil {
		p.every = w.sink.config.Manifest.Every
	}
	return p
}

// add takes fragments that have ended and whose images are durable, in order. No part ends between them: those of a group are taken together, since
// a run can continue only where a group ends. next is what is durable of the fragment after them, and following has the times of that; nil if they are not
// known. ends states that the part ends with them.
func (p *parts) add(ctx context.Context, all []ended, next media.Split, following *media.Fragment, ends bool) error {
	if p.every == 0 || len(all) == 0 {
		return p.each(ctx, all, next)
	}
	var lines []byte
	var first *media.Fragment // that has lines
	partial := false
	for _, e := range all {
		more, without, err := p.w.lines(e)
		if err != nil {
			return err
		}
		if first == nil && len(more) > 0 {
			first = e.fragment
		}
		lines, partial = append(lines, more...), partial || without
	}
	clock := p.w.sink.config.Clock
	if p.ends(all[0].fragment, len(lines)) {
		if err := p.complete(ctx); err != nil {
			return err
		}
	}
	if p.open == nil && first == nil { // nothing holds them back
		report(waitingOf(all), next)
		return nil
	}
	if p.open == nil {
		p.open = &part{began: time.Now(), cell: media.Cell(first.At(clock), p.every), first: media.Fragment{
			Stream: first.Stream, Number: first.Number, ProducerTime: first.ProducerTime, ServerTime: first.ServerTime, Tags: first.Tags,
		}}
	}
	if len(lines) > 0 {
		p.came = time.Now()
	}
	o := p.open
	latest := all[len(all)-1].fragment
	o.last, o.until = latest.At(clock), latest.Number
	o.lines, o.partial = append(o.lines, lines...), o.partial || partial
	p.waiting, p.next = append(p.waiting, waitingOf(all)...), next
	if ends || following != nil && p.ends(following, 0) {
		return p.complete(ctx)
	}
	return nil
}

// ends reports whether the open part ends before a fragment with so many bytes of lines.
func (p *parts) ends(f *media.Fragment, size int) bool {
	o, at := p.open, f.At(p.w.sink.config.Clock)
	return o != nil && (o.last.Sub(at) > time.Second || // smaller steps back are rounding
		media.Cell(at, p.every) > o.cell || len(o.lines)+size > fullLines || tooLate(o.first.ServerTime, f.ServerTime, p.w.border.part))
}

// each writes a part for each fragment, several at once, and reports them.
func (p *parts) each(ctx context.Context, all []ended, next media.Split) error {
	failures := make([]error, len(all))
	var parts sync.WaitGroup
	for i, e := range all {
		leave, err := p.slot(ctx)
		if failures[i] = err; err != nil {
			break
		}
		parts.Go(func() {
			defer leave()
			lines, partial, err := p.w.lines(e)
			if err == nil {
				err = p.w.putPart(ctx, e.fragment, lines, partial)
			}
			failures[i] = err
		})
	}
	parts.Wait()
	if err := errors.Join(failures...); err != nil {
		return err
	}
	report(waitingOf(all), next)
	return nil
}

// slot waits until a part may be put. Without groups it does not wait for the images in progress, which come without end.
func (p *parts) slot(ctx context.Context) (leave func(), err error) {
	if p.w.group == nil {
		return func() {}, nil
	}
	return p.w.sink.leave, p.w.sink.enter(ctx)
}

// complete writes the open part, if there is one, and reports the fragments that wait for it.
func (p *parts) complete(ctx context.Context) error {
	if p.open == nil {
		return nil
	}
	leave, err := p.slot(ctx)
	if err != nil {
		return err
	}
	defer leave()
	if err := p.w.putPart(ctx, &p.open.first, p.open.lines, p.open.partial); err != nil {
		return err
	}
	all := p.waiting
	p.open, p.waiting = nil, nil
	p.completed++
	report(all, p.next)
	return nil
}

// waitingOf returns what remains of fragments until they are reported.
func waitingOf(all []ended) []waiting {
	out := make([]waiting, len(all))
	for i, e := range all {
		out[i].durable = e.durable
		if e.packed.skipped {
			out[i].receipt.Skipped = e.packed.images
		} else {
			out[i].receipt.Written = e.packed.images
		}
		for _, r := range e.records {
			if r.Skipped {
				out[i].receipt.Skipped++
			} else {
				out[i].receipt.Written++
			}
		}
	}
	return out
}

// report states that fragments are durable, and of the one after them the part before next. The checkpoint may be written between two
// receipts, but only the last one is a place to continue from.
func report(all []waiting, next media.Split) {
	for i, e := range all {
		if e.receipt.More = i < len(all)-1; !e.receipt.More {
			e.receipt.Next = next
		}
		e.durable(e.receipt)
	}
}

// single are the parts of a stream whose images are objects. Of a live stream, a timer ends the open part.
type single struct {
	*parts
	turns
}

// endFragment ends a fragment.
func (s *single) endFragment(ctx context.Context, e ended) error {
	if err := s.enter(ctx); err != nil {
		return err
	}
	defer s.leave()
	if err := s.w.emptyOutdated(ctx, e.fragment); err != nil {
		return err
	}
	if s.w.border.passes(e.fragment.Number) {
		if err := s.complete(ctx); err != nil {
			return err
		}
	}
	if err := s.add(ctx, []ended{e}, media.Split{}, nil, false); err != nil {
		return err
	}
	if s.w.sink.endless && len(e.records) > 0 {
		return s.tend(ctx)
	}
	return nil
}

// tend completes the open part of a live stream if no image has come for as long as a part may be. As with groups, the checkpoint has that border
// before. Otherwise tend sets the timer.
func (s *single) tend(ctx context.Context) error {
	if s.open == nil {
		return nil
	}
	if left := silence(s.every, s.w.border.part, s.open.began, s.came) - time.Since(s.came); left > 0 {
		s.after(ctx, left, s.tend)
		return nil
	}
	if err := s.w.border.end(ctx, s.open.until); err != nil {
		return err
	}
	return s.complete(ctx)
}

// finish completes the open part at the end of the stream.
func (s *single) finish(ctx context.Context) error {
	if err := s.enter(ctx); err != nil {
		return err
	}
	defer s.leave()
	defer s.stop()
	return s.complete(ctx)
}

// abandon leaves the open part to the next run.
func (s *single) abandon() { s.end() }
