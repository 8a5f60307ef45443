package sink

import (
	"context"
	"sync"

	"github.com/kvsframes/kvsframes/media"
)

// Writer writes the images of one stream, each as an object, and a manifest part for each fragment. It is a
// pipeline.Sink, whose contract states the order of calls. All writers of a sink may be used at once.
type Writer struct {
	sink *Sink
	// runID is the value of {run_id}, continued whether another run has begun to write the stream.
	runID     string
	continued bool
	// confirm returns nil while the run may write the stream; nil if it always may.
	confirm func(context.Context) error
	ledger  ledgerParts
	// from is the number of the fragment after which the writer continues, and last the last one that has ended. The ledger of
	// the next fragments, reach in number, may have outdated parts.
	from  string
	last  media.Fragment
	reach int

	mu      sync.Mutex
	records map[string][]media.Record // by the number of the fragment, until that ends
}

// NewWriter returns a writer for one stream.
func (s *Sink) NewWriter() *Writer {
	return &Writer{sink: s, runID: s.runID, records: map[string][]media.Record{}, ledger: ledgerParts{}}
}

// Continue returns a writer for one stream of which another run, with this ID, has written a part. Objects that are there
// already, byte for byte, may be its own: they are no error, whatever if_exists is. The store calls
// confirm before it writes (see PutOptions): it returns an error when another run has begun to write the stream.
//
// The stream continues after a place. The other run may have written some of what follows: parts of the ledger that are no longer so
// are emptied. A nil place means that it has not.
func (s *Sink) Continue(after *media.Place, runID string, confirm func(context.Context) error) *Writer {
	w := s.NewWriter()
	w.runID, w.continued, w.confirm = runID, true, confirm
	if after != nil {
		w.reach, w.from = mostBeyond, after.Number
		w.last = media.Fragment{Number: after.Number, ProducerTime: after.ProducerTime, ServerTime: after.ServerTime}
	}
	return w
}

// Name returns the sink's name.
func (w *Writer) Name() string { return w.sink.Name() }

// MaxInFlight returns the largest number of useful concurrent calls of Write.
func (w *Writer) MaxInFlight() int { return w.sink.MaxInFlight() }

// Write stores an image under its key; the image is durable when Write returns nil. If an object of that
// key exists, if_exists decides: overwrite replaces it, fail returns an error that is ErrExist, and skip
// keeps it. Write neither keeps nor changes img.Data. An error means that the image has no record, not that
// it has no object.
func (w *Writer) Write(ctx context.Context, img media.Image) error {
	record, err := w.write(ctx, img)
	if err != nil {
		return err
	}
	w.mu.Lock()
	defer w.mu.Unlock()
	w.records[img.FragmentNumber] = append(w.records[img.FragmentNumber], record)
	return nil
}

// EndFragment writes the manifest part of a fragment. It calls durable for the fragment before it returns.
func (w *Writer) EndFragment(ctx context.Context, f *media.Fragment, durable func(media.Receipt)) error {
	w.mu.Lock()
	records := w.records[f.Number]
	delete(w.records, f.Number)
	w.mu.Unlock()
	if err := w.writePart(ctx, f, records); err != nil {
		return err
	}
	if err := w.emptyOutdated(ctx, f); err != nil {
		return err
	}
	var receipt media.Receipt
	for _, r := range records {
		if r.Skipped {
			receipt.Skipped++
		} else {
			receipt.Written++
		}
	}
	durable(receipt)
	return nil
}

// Finish does nothing: every fragment that has ended is durable.
func (w *Writer) Finish(context.Context) error { return nil }

// Abandon does nothing: the images of an unfinished fragment stay as objects without a record, and the next
// run writes them again.
func (w *Writer) Abandon() error { return nil }
