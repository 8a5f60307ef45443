package sink

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io/fs"
	"log/slog"
	"slices"
	"sync/atomic"

	"github.com/kvsframes/kvsframes/internal/logging"
	"github.com/kvsframes/kvsframes/media"
)

// Options holds New's optional settings.
type Options struct {
	// RunID is the value of {run_id}. It is required when a path has that token.
	RunID string
	// Config is written to every record: a digest, 8 hex digits, of the settings that affect the pictures and
	// their names.
	Config string
	// Endless reports whether the streams are live. Then the sink retries after temporary failures of the
	// store without limit, unless the settings have one (see Destination.RetryFor).
	Endless bool
	// Log receives failures of the store and, at level debug, messages about single objects. Nil is silent.
	Log *slog.Logger
}

// Sink names, writes and records the images of one sink, each as an object. Each stream has its own Writer;
// all writers together observe the sink's max_in_flight.
type Sink struct {
	config   Config
	store    Store
	runID    string
	digest   string // see Options.Config
	endless  bool   // see Options.Endless
	log      *slog.Logger
	trouble  trouble
	path     *Template
	manifest *Template // nil: no manifest
	ledger   *Template // nil: no ledger
	slots    chan struct{}
	keeper   *keeper // nil: nothing is removed

	objects, bytes atomic.Int64
}

// New returns a sink that writes to store. The caller closes the store, if it needs closing, after the last
// call of the last writer.
func New(config Config, store Store, opts Options) (*Sink, error) {
	if err := config.Validate(); err != nil {
		return nil, fmt.Errorf("set up sink %q: %w", config.Name, err)
	}
	s := &Sink{config: config, store: store, runID: opts.RunID, digest: opts.Config, endless: opts.Endless, log: logging.OrSilent(opts.Log)}
	s.log = s.log.With("sink", config.Name)
	s.trouble.log = s.log
	// The settings are valid, and so are their templates.
	s.path, _ = ParsePath(config.Path)
	templates := []*Template{s.path}
	for name, path := range config.parts() {
		t, _ := ParseManifestPath(path)
		if templates = append(templates, t); name == ledgerPath {
			s.ledger = t
		} else {
			s.manifest = t
		}
	}
	if s.runID == "" && slices.ContainsFunc(templates, func(t *Template) bool { return t.Distinguishes().Runs }) {
		return nil, fmt.Errorf("set up sink %q: a path has {run_id}, and the run has no id", config.Name)
	}
	s.slots = make(chan struct{}, s.inFlight())
	if config.keep() != (Keep{}) {
		s.keeper = &keeper{busy: map[fragmentKey]bool{}}
	}
	return s, nil
}

// Name returns the sink's name.
func (s *Sink) Name() string { return s.config.Name }

// MaxInFlight returns the largest number of images that all writers together write at once; further images
// wait. It is 1 when keys do not distinguish frames, because the last image given must then be the last one
// written, and when images follow each other in objects or in a pipe, which need an order.
func (s *Sink) MaxInFlight() int {
	if s.config.Groups != nil || s.config.Destination.Appends() {
		return 1
	}
	return s.inFlight()
}

// inFlight returns how many calls of the store may be in progress.
func (s *Sink) inFlight() int {
	if !s.path.Distinguishes().Frames {
		return 1
	}
	return s.config.Destination.MaxInFlight
}

// enter waits until fewer calls than inFlight are in progress. The caller must then call leave.
func (s *Sink) enter(ctx context.Context) error {
	select {
	case s.slots <- struct{}{}:
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}

func (s *Sink) leave() { <-s.slots }

// Written returns the number and the total size in bytes of the objects that the sink has put, with
// manifest parts.
func (s *Sink) Written() (objects, bytes int64) { return s.objects.Load(), s.bytes.Load() }

// put puts an object and counts it. It retries after temporary failures. A put that failed may have written its
// object all the same; if the next put finds this object, that is not an error.
func (w *Writer) put(ctx context.Context, key string, body []byte, opts PutOptions) error {
	s := w.sink
	opts.Confirm = w.confirm
	err := s.persist(ctx, func(again bool) error {
		err := s.store.Put(ctx, key, body, opts)
		if !again && !w.continued || !errors.Is(err, ErrExist) {
			return err
		}
		same, lookErr := s.store.Holds(ctx, key, body)
		switch {
		case same:
			return nil
		case lookErr != nil && Passing(lookErr):
			return lookErr
		}
		return err
	})
	if err == nil {
		s.objects.Add(1)
		s.bytes.Add(int64(len(body)))
	}
	return err
}

// write stores an image when fewer than MaxInFlight writes are in progress, and returns its record. If
// if_exists is skip and an object exists already, the record is marked as Skipped, and as Differs unless the
// object equals the image.
func (w *Writer) write(ctx context.Context, img media.Image) (media.Record, error) {
	s := w.sink
	if err := s.enter(ctx); err != nil {
		return media.Record{}, err
	}
	defer s.leave()
	if s.config.Destination.Appends() {
		if err := w.follow(img); err != nil {
			return media.Record{}, err
		}
	}
	record := w.record(img, s.path.Image(img, w.runID))
	err := w.place(ctx, &record, img)
	if err != nil {
		return media.Record{}, fmt.Errorf("write image: %w", err)
	}
	s.log.DebugContext(ctx, "wrote image", "key", record.Key, "bytes", len(img.Data), "skipped", record.Skipped, "differs", record.Differs)
	return record, nil
}

// record returns the record of an image in the object of a key.
func (w *Writer) record(img media.Image, key string) media.Record {
	sum := sha256.Sum256(img.Data)
	return media.Record{
		FrameInfo: img.FrameInfo,
		Sink:      w.sink.config.Name,
		Key:       key,
		Format:    img.Format,
		Width:     img.Width,
		Height:    img.Height,
		Shape:     img.Shape,
		Bytes:     int64(len(img.Data)),
		SHA256:    hex.EncodeToString(sum[:]),
		Concealed: img.Concealed,
		Answers:   img.Answers,
		Label:     img.Label,
		Tags:      img.Tags,
		Scores:    img.Scores,
	}
}

// options returns what the store is told of an object that is described by an image.
func (w *Writer) options(img media.Image) PutOptions {
	opts := PutOptions{ContentType: img.ContentType, Confirm: w.confirm}
	if d, ok := w.sink.config.Destination.Location.(Describer); ok {
		opts.Metadata = d.Metadata(img, w.runID)
	}
	return opts
}

// maxVanished is how often place accepts that an existing object disappears before it can be compared.
const maxVanished = 3

// place puts an image, or marks its record if an object exists already.
func (w *Writer) place(ctx context.Context, record *media.Record, img media.Image) error {
	s := w.sink
	opts := w.options(img)
	opts.IfAbsent = s.config.Destination.IfExists != IfExistsOverwrite
	var err error
	for range maxVanished {
		err = w.put(ctx, record.Key, img.Data, opts)
		if s.config.Destination.IfExists != IfExistsSkip || !errors.Is(err, ErrExist) {
			return err
		}
		var same bool
		same, err = s.holds(ctx, record.Key, img.Data)
		if !errors.Is(err, fs.ErrNotExist) {
			record.Skipped, record.Differs = true, !same
			return err
		}
	}
	return err
}

// holds reports whether an object of the store is body (see Store.Holds). It waits for trouble that passes.
func (s *Sink) holds(ctx context.Context, key string, body []byte) (same bool, err error) {
	err = s.persist(ctx, func(bool) (err error) {
		same, err = s.store.Holds(ctx, key, body)
		return err
	})
	return same, err
}

// lines returns a line of a manifest part for each record of a fragment that does not differ from its object. partial reports whether there
// are others.
func (w *Writer) lines(e ended) (lines []byte, partial bool, err error) {
	if w.sink.manifest == nil {
		return nil, false, nil
	}
	whole := slices.DeleteFunc(slices.Clone(e.records), func(r media.Record) bool { return r.Differs })
	lines, err = encodePart(whole, w.sink.digest)
	if err == nil && !e.packed.differs {
		lines, err = e.packed.unpack(lines)
	}
	if err != nil {
		return nil, false, fmt.Errorf("write manifest: %w", err)
	}
	return lines, len(whole) < len(e.records) || e.packed.differs, nil
}

// putPart writes a manifest part, which begins with fragment f, and whose images are all durable. It writes none without lines. It replaces an
// existing part, because the new one describes what this run requested. But if an object differs, so that the part is partial, the existing one may
// describe that object, and stays. With if_exists: fail, an existing part is an error that is ErrExist.
func (w *Writer) putPart(ctx context.Context, f *media.Fragment, lines []byte, partial bool) error {
	s := w.sink
	if len(lines) == 0 {
		return nil
	}
	key := s.manifest.Part(f, s.config.Name, w.runID)
	err := w.put(ctx, key, lines, PutOptions{
		ContentType: LinesContentType,
		IfAbsent:    partial || s.config.Destination.IfExists == IfExistsFail,
	})
	if partial && errors.Is(err, ErrExist) {
		s.log.WarnContext(ctx, "kept an existing manifest part: it may describe existing objects that differ", "key", key)
		return nil
	}
	if err != nil {
		return fmt.Errorf("write manifest: %w", err)
	}
	s.log.DebugContext(ctx, "wrote manifest", "key", key, "bytes", len(lines))
	return nil
}
