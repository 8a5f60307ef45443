package sink

import (
	"context"
	"fmt"
	"log/slog"
	"sync/atomic"

	"github.com/kvsframes/kvsframes/internal/logging"
)

// Options holds New's optional settings.
type Options struct {
	// RunID is the value of {run_id}; it is needed when a path has that token.
	RunID string
	// Config goes into every record: 8 hex digits that stand for all settings that the
	// pictures and their names depend on.
	Config string
	// Log gets what happens to single objects, at level debug. Nil is silent.
	Log *slog.Logger
}

// Sink names, writes and records the images of one sink, an object each. Each stream has a Writer of
// its own; all of them together keep to the sink's max_in_flight.
type Sink struct {
	config   Config
	store    Store
	runID    string
	digest   string // see Options.Config
	log      *slog.Logger
	path     *Template
	manifest *Template // nil: no manifest
	slots    chan struct{}

	objects, bytes atomic.Int64
}

// New returns a sink that writes to store. The caller closes the store, if it has
// to be closed, after the last call of the last writer.
func New(config Config, store Store, opts Options) (*Sink, error) {
	if err := config.Validate(); err != nil {
		return nil, fmt.Errorf("set up sink %q: %w", config.Name, err)
	}
	s := &Sink{config: config, store: store, runID: opts.RunID, digest: opts.Config, log: logging.OrSilent(opts.Log)}
	s.log = s.log.With("sink", config.Name)
	var err error
	if s.path, err = ParsePath(config.Path); err != nil {
		return nil, fmt.Errorf("set up sink %q: path: %w", config.Name, err)
	}
	if config.Manifest.Format != ManifestNone {
		if s.manifest, err = ParseManifestPath(config.Manifest.Path); err != nil {
			return nil, fmt.Errorf("set up sink %q: manifest.path: %w", config.Name, err)
		}
	}
	if s.runID == "" && (s.path.Distinguishes().Runs || s.manifest != nil && s.manifest.Distinguishes().Runs) {
		return nil, fmt.Errorf("set up sink %q: a path has {run_id}, and the run has no id", config.Name)
	}
	s.slots = make(chan struct{}, s.MaxInFlight())
	return s, nil
}

// Name returns the sink's name.
func (s *Sink) Name() string { return s.config.Name }

// MaxInFlight returns the largest number of images that are written at once, those of all writers
// together; more of them wait. It is 1 when keys do not tell frames apart, because the last
// image written then has to be the last one given.
func (s *Sink) MaxInFlight() int {
	if !s.path.Distinguishes().Frames {
		return 1
	}
	return s.config.Destination.MaxInFlight
}

// Written returns the number of objects that the sink has put, manifest parts too, and
// the sum of their sizes in bytes.
func (s *Sink) Written() (objects, bytes int64) { return s.objects.Load(), s.bytes.Load() }

// put puts an object and counts it.
func (s *Sink) put(ctx context.Context, key string, body []byte, opts PutOptions) error {
	err := s.store.Put(ctx, key, body, opts)
	if err == nil {
		s.objects.Add(1)
		s.bytes.Add(int64(len(body)))
	}
	return err
}
