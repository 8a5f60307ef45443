package sink

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io/fs"
	"slices"
	"sync"

	"github.com/kvsframes/kvsframes/media"
)

// Writer writes the images of one stream, an object each, and a manifest part for each fragment. It is
// a pipeline.Sink, whose contract says in which order its methods are called. All writers of a sink
// may be used at once.
type Writer struct {
	sink *Sink

	mu      sync.Mutex
	records map[string][]media.Record // by the number of the fragment, until that ends
}

// NewWriter returns a writer for one stream.
func (s *Sink) NewWriter() *Writer { return &Writer{sink: s, records: map[string][]media.Record{}} }

// Name returns the sink's name.
func (w *Writer) Name() string { return w.sink.Name() }

// MaxInFlight returns the largest number of Writes that have an effect at once.
func (w *Writer) MaxInFlight() int { return w.sink.MaxInFlight() }

// Write stores an image under its key; it is durable when Write returns nil. When an object of that
// key is there already, if_exists decides: overwrite replaces it, fail returns an error that is
// ErrExist, and skip leaves it alone. Write neither keeps nor changes img.Data. An error means that
// there is no record of the image, not that there is no object.
func (w *Writer) Write(ctx context.Context, img media.Image) error {
	record, err := w.sink.write(ctx, img)
	if err != nil {
		return err
	}
	w.mu.Lock()
	defer w.mu.Unlock()
	w.records[img.FragmentNumber] = append(w.records[img.FragmentNumber], record)
	return nil
}

// EndFragment writes the manifest part of a fragment and reports the fragment before it returns.
func (w *Writer) EndFragment(ctx context.Context, f *media.Fragment, durable func(media.Receipt)) error {
	w.mu.Lock()
	records := w.records[f.Number]
	delete(w.records, f.Number)
	w.mu.Unlock()
	if err := w.sink.writePart(ctx, f, records); err != nil {
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

// Finish has nothing to do: every fragment that has ended is durable.
func (w *Writer) Finish(context.Context) error { return nil }

// Abandon has nothing to do: images of a fragment that has not ended stay as objects without a
// record, which the next run writes again.
func (w *Writer) Abandon() error { return nil }

// write stores an image when the sink has a place free, and returns the record that says so. With
// if_exists: skip and an object that is there already the record is marked as Skipped, and as
// Differs unless the object holds just this image.
func (s *Sink) write(ctx context.Context, img media.Image) (media.Record, error) {
	select {
	case s.slots <- struct{}{}:
	case <-ctx.Done():
		return media.Record{}, ctx.Err()
	}
	defer func() { <-s.slots }()

	sum := sha256.Sum256(img.Data)
	record := media.Record{
		FrameInfo: img.FrameInfo,
		Sink:      s.config.Name,
		Key:       s.path.Image(img, s.runID),
		Format:    img.Format,
		Width:     img.Width,
		Height:    img.Height,
		Bytes:     int64(len(img.Data)),
		SHA256:    hex.EncodeToString(sum[:]),
		Concealed: img.Concealed,
		Answers:   img.Answers,
		Label:     img.Label,
		Tags:      img.Tags,
	}
	err := s.place(ctx, &record, img)
	if err != nil {
		return media.Record{}, fmt.Errorf("write image: %w", err)
	}
	s.log.DebugContext(ctx, "wrote image", "key", record.Key, "bytes", len(img.Data), "skipped", record.Skipped, "differs", record.Differs)
	return record, nil
}

// maxVanished is how often an object may be there when it is written and gone when it is looked at.
const maxVanished = 3

// place puts an image, or notes in its record what is there instead.
func (s *Sink) place(ctx context.Context, record *media.Record, img media.Image) error {
	opts := PutOptions{
		ContentType: img.ContentType,
		Metadata:    metadata(s.config.Destination.Metadata, img, s.runID),
		IfAbsent:    s.config.Destination.IfExists != IfExistsOverwrite,
	}
	var err error
	for range maxVanished {
		err = s.put(ctx, record.Key, img.Data, opts)
		if s.config.Destination.IfExists != IfExistsSkip || !errors.Is(err, ErrExist) {
			return err
		}
		var same bool
		same, err = s.store.Holds(ctx, record.Key, img.Data)
		if !errors.Is(err, fs.ErrNotExist) {
			record.Skipped, record.Differs = true, !same
			return err
		}
	}
	return err
}

// writePart writes the manifest part of a fragment whose images are all durable: a line for each
// record that does not differ from its object. Without a line, or with a sink without manifest, there
// is no part. A part that is there already is replaced, because the new one says what this run asked
// for, unless an object differs: then it may be the part of that object, and stays. With if_exists:
// fail a part that is there is an error that is ErrExist.
func (s *Sink) writePart(ctx context.Context, f *media.Fragment, records []media.Record) error {
	whole := slices.DeleteFunc(slices.Clone(records), func(r media.Record) bool { return r.Differs })
	if s.manifest == nil || len(whole) == 0 {
		return nil
	}
	part, err := encodePart(whole, s.digest)
	if err != nil {
		return fmt.Errorf("write manifest: %w", err)
	}
	key := s.manifest.Part(f, s.config.Name, s.runID)
	partial := len(whole) < len(records)
	err = s.put(ctx, key, part, PutOptions{
		ContentType: partContentType,
		IfAbsent:    partial || s.config.Destination.IfExists == IfExistsFail,
	})
	if partial && errors.Is(err, ErrExist) {
		s.log.WarnContext(ctx, "left a manifest part as it was: it may name objects that were there already and differ", "key", key, "records", len(whole))
		return nil
	}
	if err != nil {
		return fmt.Errorf("write manifest: %w", err)
	}
	s.log.DebugContext(ctx, "wrote manifest", "key", key, "records", len(whole))
	return nil
}
