package sink

import (
	"context"
	"fmt"

	"github.com/kvsframes/kvsframes/media"
)

// The ends of the names of ledger parts that belong to no fragment: of a hole after the fragment that is named, and of
// requests that no frame of the stream answers, after its last one.
const (
	afterPart = "after"
	endPart   = "end"
)

// ledgerPart is the part of the ledger that was written last. More gaps of the same place are added to it.
type ledgerPart struct {
	key   string
	lines []byte
}

// Gaps writes a part of the ledger: a line for each gap, as media.Gap writes itself, with the sink's name. A part is named by the
// fragment. Where gaps lie outside of any fragment, as holes do, it is named by the fragment before them, with -after behind the
// number, or -end if they are requests that no frame answers.
func (w *Writer) Gaps(ctx context.Context, after media.Place, gaps []media.Gap) error {
	s := w.sink
	if s.ledger == nil || len(gaps) == 0 {
		return nil
	}
	f := &media.Fragment{Stream: gaps[0].Stream, Number: gaps[0].FragmentNumber, ProducerTime: gaps[0].ProducerTime}
	if f.Number == "" || gaps[0].Until.Number != "" {
		end := afterPart
		if gaps[0].Reason == media.GapNoFrame {
			end = endPart
		}
		f.Number, f.ProducerTime, f.ServerTime = after.Number+"-"+end, after.ProducerTime, after.ServerTime
	}
	lines, err := jsonLines(gaps, func(g media.Gap) any {
		g.Sink = s.config.Name
		return g
	})
	if err != nil {
		return fmt.Errorf("write ledger: %w", err)
	}
	part := ledgerPart{key: s.ledger.Part(f, s.config.Name, w.runID)}
	if part.key == w.ledger.key {
		part = w.ledger
	}
	part.lines = append(part.lines, lines...)
	w.ledger = part
	if err := w.put(ctx, part.key, part.lines, PutOptions{ContentType: partContentType}); err != nil {
		return fmt.Errorf("write ledger: %w", err)
	}
	return nil
}
