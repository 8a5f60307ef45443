package sink

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"sync"

	"github.com/kvsframes/kvsframes/media"
)

// Writer writes the images of one stream, each as an object or in groups (see Config.Groups), and a manifest part for each
// fragment. It is a pipeline.Sink, whose contract states the order of calls. All writers of a sink may be used at once.
type Writer struct {
	sink *Sink
	// runID is the value of {run_id}, continued whether another run has begun to write the stream.
	runID     string
	continued bool
	// confirm returns nil while the run may write the stream; nil if it always may.
	confirm func(context.Context) error
	ledger  ledgerParts
	parts   *parts
	border  border
	// group makes the objects; nil if each image is an object, and single then ends the fragments.
	group  *group
	single *single
	// before is the image before the next one, without its data, where they follow each other in one sequence of bytes.
	before media.Image
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
	w := &Writer{sink: s, runID: s.runID, records: map[string][]media.Record{}, ledger: ledgerParts{}}
	w.parts = newParts(w)
	if s.config.Groups != nil {
		w.group = &group{Groups: s.config.Groups, turns: newTurns(s.log), w: w, clock: s.config.Clock, appends: s.config.Destination.Appends()}
	} else {
		w.single = &single{parts: w.parts, turns: newTurns(s.log)}
	}
	return w
}

// Continuation is what a Writer must know to continue what another run has written of a stream.
type Continuation struct {
	// RunID is the ID of that run.
	RunID string
	// Confirm returns an error when another run has begun to write the stream. The store calls it before it writes (see PutOptions).
	Confirm func(context.Context) error
	// After is the place after which the stream continues. The other run may have written some of what follows: parts of the ledger
	// that are no longer so are emptied. Nil means that it has not.
	After *media.Place
	// Split is the last Receipt's Next.
	Split media.Split
	// Ends is the number of the last fragment in what was open, of groups and of the manifest, as far as KeepEnd was told and no Receipt of that
	// fragment has come since; "" for none.
	Ends string
	// KeepEnd has a later run know of Ends, before it returns nil. Nil if there is no later run.
	KeepEnd func(ctx context.Context, number string) error
}

// Continue returns a writer for one stream of which another run has written a part. Objects that are there
// already, byte for byte, may be its own: they are no error, whatever if_exists is.
func (s *Sink) Continue(c Continuation) *Writer {
	w := s.NewWriter()
	w.runID, w.continued, w.confirm = c.RunID, true, c.Confirm
	w.border.ends, w.border.keep = c.Ends, c.KeepEnd
	if w.group != nil {
		w.group.split = c.Split
	}
	if c.After != nil {
		w.reach, w.from = mostBeyond, c.After.Number
		w.last = media.Fragment{Number: c.After.Number, ProducerTime: c.After.ProducerTime, ServerTime: c.After.ServerTime}
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
// it has no object. In groups the image is durable when its fragment is reported.
func (w *Writer) Write(ctx context.Context, img media.Image) error {
	write := w.write
	if w.group != nil {
		write = w.group.write
	}
	w.sink.keeper.begin(img.Stream, img.FragmentNumber)
	record, err := write(ctx, img)
	if err != nil {
		return err
	}
	w.mu.Lock()
	defer w.mu.Unlock()
	w.records[img.FragmentNumber] = append(w.records[img.FragmentNumber], record)
	return nil
}

// Recall notes the record of an image that is stored already, for Replace.
func (w *Writer) Recall(img media.Image) {
	record := w.record(img, w.sink.path.Image(img, w.runID))
	w.mu.Lock()
	defer w.mu.Unlock()
	w.records[img.FragmentNumber] = append(w.records[img.FragmentNumber], record)
}

// Replace replaces the manifest part of a fragment, if there is one, by one that has the records of the images that were recalled and no others.
// It stands in for EndFragment.
func (w *Writer) Replace(ctx context.Context, f *media.Fragment) error {
	w.mu.Lock()
	records := w.records[f.Number]
	delete(w.records, f.Number)
	w.mu.Unlock()
	s := w.sink
	if s.manifest == nil {
		return nil
	}
	part, err := encodePart(records, s.digest)
	if err != nil {
		return fmt.Errorf("replace manifest: %w", err)
	}
	key := s.manifest.Part(f, s.config.Name, w.runID)
	same, err := s.holds(ctx, key, part)
	if errors.Is(err, fs.ErrNotExist) || err == nil && same {
		return nil
	}
	if err == nil {
		err = w.put(ctx, key, part, PutOptions{ContentType: LinesContentType})
	}
	if err != nil {
		return fmt.Errorf("replace manifest: %w", err)
	}
	return nil
}

// EndFragment writes the manifest part of a fragment. It calls durable for the fragment before it returns, unless a group is open, or a part that may
// get more fragments: then the call that completes it does both.
func (w *Writer) EndFragment(ctx context.Context, f *media.Fragment, durable func(media.Receipt)) error {
	w.mu.Lock()
	for i := range w.records[f.Number] { // an image may have been made before its fragment's tags were there
		w.records[f.Number][i].Tags = f.Tags
	}
	ended := ended{fragment: f, records: w.records[f.Number], durable: func(r media.Receipt) {
		w.sink.keeper.end(f.Stream, f.Number)
		durable(r)
	}}
	delete(w.records, f.Number)
	w.mu.Unlock()
	if w.group != nil {
		return w.group.endFragment(ctx, ended)
	}
	return w.single.endFragment(ctx, ended)
}

// Forget drops the records of a fragment that has not ended: its images are written again, or it does not end.
func (w *Writer) Forget(stream, number string) {
	w.mu.Lock()
	defer w.mu.Unlock()
	delete(w.records, number)
	w.sink.keeper.end(stream, number)
}

// ended is a fragment that has ended. Its images have these records; those that wait for their group are packed.
type ended struct {
	fragment *media.Fragment
	records  []media.Record
	packed   packed
	durable  func(media.Receipt)
}

// isOpen reports whether a group or a part is open: fragments are not reported until it is complete.
func (w *Writer) isOpen() bool { return w.parts.open != nil || w.group != nil && w.group.open != nil }

// completed returns the number of objects that held fragments back and are complete.
func (w *Writer) completed() int {
	if w.parts.every > 0 || w.group == nil {
		return w.parts.completed
	}
	return w.group.completed
}

// Finish completes the open group and the open part of the manifest.
func (w *Writer) Finish(ctx context.Context) error {
	if w.group != nil {
		return w.group.finish(ctx)
	}
	return w.single.finish(ctx)
}

// Abandon discards what is open, which the next run makes again. Images that are objects stay, without a record, and the next
// run writes them again.
func (w *Writer) Abandon() error {
	if w.group != nil {
		return w.group.abandon()
	}
	w.single.abandon()
	return nil
}
