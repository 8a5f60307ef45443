package sink

import (
	"bytes"
	"context"
	"encoding/json"
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
// fragment. Where gaps lie outside of any fragment, it is named by the fragment before them, with -after behind the number, or
// -end if they are requests that no frame answers.
func (w *Writer) Gaps(ctx context.Context, after media.Place, gaps []media.Gap) error {
	s := w.sink
	if s.ledger == nil || len(gaps) == 0 {
		return nil
	}
	f := &media.Fragment{Stream: gaps[0].Stream, Number: gaps[0].FragmentNumber, ProducerTime: gaps[0].ProducerTime}
	switch {
	case f.Number != "":
	case gaps[0].Reason == media.GapNoFrame:
		f.Number, f.ProducerTime, f.ServerTime = after.Number+"-"+endPart, after.ProducerTime, after.ServerTime
	default:
		f.Number, f.ProducerTime, f.ServerTime = after.Number+"-"+afterPart, after.ProducerTime, after.ServerTime
	}
	part := ledgerPart{key: s.ledger.Part(f, s.config.Name, w.runID)}
	if part.key == w.ledger.key {
		part = w.ledger
	}
	var lines bytes.Buffer
	encoder := json.NewEncoder(&lines)
	encoder.SetEscapeHTML(false)
	for _, g := range gaps {
		g.Sink = s.config.Name
		if err := encoder.Encode(g); err != nil {
			return fmt.Errorf("encode gap: %w", err)
		}
	}
	part.lines = append(part.lines, lines.Bytes()...)
	w.ledger = part
	if err := w.put(ctx, part.key, part.lines, PutOptions{ContentType: partContentType}); err != nil {
		return fmt.Errorf("write ledger: %w", err)
	}
	return nil
}
