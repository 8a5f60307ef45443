package sink

import (
	"context"
	"errors"
	"fmt"
	"io/fs"

	"github.com/kvsframes/kvsframes/media"
)

// The ends of the names of ledger parts that belong to no fragment: of a hole after the fragment that is named, and of
// requests that no frame of the stream answers, after its last one.
const (
	afterPart    = "after"
	endPart      = "end"
	repairedPart = "repaired"
)

// fullPart is the size in bytes from which a part of the ledger gets no more lines. A part is written again for each line.
const fullPart = 16 << 10

// ledgerPart is a part of the ledger that may get more lines. The parts of one place are numbered.
type ledgerPart struct {
	name   string // the number of the fragment in the name of the first part
	number int    // from 1
	lines  []byte
}

// ledgerParts are the latest parts of each kind, by the ends of their names: the places of one kind follow each other.
type ledgerParts map[string]*ledgerPart

// at returns the part of a place, which is new unless the last one of its kind had the same place.
func (l ledgerParts) at(name, end string) *ledgerPart {
	if l[end] == nil || l[end].name != name {
		l[end] = &ledgerPart{name: name, number: 1}
	}
	return l[end]
}

// partName returns what stands for the number of the fragment in the name of a part.
func partName(name string, number int) string {
	if number == 1 {
		return name
	}
	return fmt.Sprintf("%s-%d", name, number)
}

// Gaps writes a part of the ledger: a line for each gap, as media.Gap writes itself, with the sink's name. A part is named by the
// fragment. Where gaps lie outside of any fragment, as holes do, it is named by the fragment before them, with -after behind the
// number, or -end if they are requests that no frame answers. Further parts of a place have -2, -3 and so on behind that.
func (w *Writer) Gaps(ctx context.Context, after media.Place, gaps []media.Gap) error {
	s := w.sink
	if s.ledger == nil || len(gaps) == 0 {
		return nil
	}
	f, end := &media.Fragment{Stream: gaps[0].Stream, Number: gaps[0].FragmentNumber, ProducerTime: gaps[0].ProducerTime}, ""
	// The number of a conflict has a part already.
	if f.Number == "" || gaps[0].Until.Number != "" || gaps[0].Reason == media.GapConflict || gaps[0].Reason == media.GapNoFrame {
		end = afterPart
		if gaps[0].Reason == media.GapNoFrame {
			end = endPart
		}
		if gaps[0].Until.Number != "" && f.Number != after.Number { // a hole with which the run begins
			after = media.Place{Number: f.Number, ProducerTime: f.ProducerTime}
		}
		f.Number, f.ProducerTime, f.ServerTime = after.Number+"-"+end, after.ProducerTime, after.ServerTime
	}
	part := w.ledger.at(f.Number, end)
	for len(gaps) > 0 {
		if len(part.lines) >= fullPart {
			part.number++
			part.lines = part.lines[:0]
		}
		for len(gaps) > 0 && len(part.lines) < fullPart {
			line, err := jsonLines(gaps[:1], func(g media.Gap) any {
				g.Sink = s.config.Name
				return g
			})
			if err != nil {
				return fmt.Errorf("write ledger: %w", err)
			}
			part.lines, gaps = append(part.lines, line...), gaps[1:]
		}
		f.Number = partName(part.name, part.number)
		if err := w.put(ctx, s.ledger.Part(f, s.config.Name, w.runID), part.lines, PutOptions{ContentType: LinesContentType}); err != nil {
			return fmt.Errorf("write ledger: %w", err)
		}
	}
	return nil
}

// Repaired records that the gaps of one fragment, or of one hole, are closed. It writes a part of its own, with -repaired behind the number in the
// name of the gaps' first part. Their own lines stay.
func (w *Writer) Repaired(ctx context.Context, gaps []media.Gap) error {
	s := w.sink
	if s.ledger == nil || len(gaps) == 0 {
		return nil
	}
	f := &media.Fragment{Stream: gaps[0].Stream, Number: gaps[0].FragmentNumber, ProducerTime: gaps[0].ProducerTime}
	if gaps[0].Until.Number != "" {
		f.Number += "-" + afterPart
	}
	f.Number += "-" + repairedPart
	lines, err := jsonLines(gaps, func(g media.Gap) any {
		g.Sink, g.Reason, g.Detail = s.config.Name, media.GapRepaired, string(g.Reason)+": "+g.Detail
		return g
	})
	if err == nil {
		err = w.put(ctx, s.ledger.Part(f, s.config.Name, w.runID), lines, PutOptions{ContentType: LinesContentType})
	}
	if err != nil {
		return fmt.Errorf("write ledger: %w", err)
	}
	return nil
}

// mostBeyond is the number of fragments beyond its checkpoint of which a run may have written parts.
const mostBeyond = 512

// emptyOutdated empties the parts of the ledger for a fragment that has ended, and for the place before it, that an earlier run has
// written and this one has not: what was cut then may have been whole now. Stores need not be able to delete.
func (w *Writer) emptyOutdated(ctx context.Context, f *media.Fragment) error {
	if w.sink.ledger == nil || w.reach == 0 || w.from != "" && media.CompareNumbers(f.Number, w.from) <= 0 {
		return nil
	}
	if !w.isOpen() || w.completed() > 1 { // an earlier run had two open objects that are not in the checkpoint, at most, and what follows them
		w.reach--
	}
	before := w.last
	w.last = media.Fragment{Stream: f.Stream, Number: f.Number, ProducerTime: f.ProducerTime, ServerTime: f.ServerTime}
	if err := w.emptyParts(ctx, w.last, ""); err != nil {
		return err
	}
	before.Stream, before.Number = f.Stream, before.Number+"-"+afterPart
	return w.emptyParts(ctx, before, afterPart)
}

// emptyParts empties the parts of one place and kind that follow those of this run.
func (w *Writer) emptyParts(ctx context.Context, f media.Fragment, end string) error {
	s, name, number := w.sink, f.Number, 1
	if p := w.ledger[end]; p != nil && p.name == name {
		number = p.number + 1
	}
	for ; ; number++ {
		f.Number = partName(name, number)
		key := s.ledger.Part(&f, s.config.Name, w.runID)
		empty, err := s.holds(ctx, key, nil)
		switch {
		case errors.Is(err, fs.ErrNotExist):
			return nil
		case ctx.Err() != nil:
			return ctx.Err()
		case err != nil: // it may write, but not look
			s.log.DebugContext(ctx, "cannot look for outdated parts of the ledger", "key", key, "error", err)
			w.reach = 0
			return nil
		case empty:
			continue
		}
		if err := w.put(ctx, key, nil, PutOptions{ContentType: LinesContentType}); err != nil {
			return fmt.Errorf("empty ledger: %w", err)
		}
		s.log.InfoContext(ctx, "emptied a part of the ledger that is no longer so", "key", key)
	}
}
