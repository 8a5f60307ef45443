package sink

import (
	"context"
	"time"

	"github.com/kvsframes/kvsframes/media"
	"github.com/kvsframes/kvsframes/setting"
)

// IfExists states what happens when an object with the same key exists.
type IfExists string

// The values of if_exists.
const (
	IfExistsOverwrite IfExists = "overwrite"
	IfExistsSkip      IfExists = "skip"
	IfExistsFail      IfExists = "fail"
)

// Values returns the values of if_exists.
func (IfExists) Values() []string {
	return setting.Texts(IfExistsOverwrite, IfExistsSkip, IfExistsFail)
}

// Location is the part of a Destination that depends on its type: where the objects are. An implementation
// is a struct whose fields are the keys of the type (see package setting), such as Directory and sink/s3.Config.
type Location interface {
	// Validate returns all problems of the keys, joined. Each is a *setting.Error whose path starts below
	// `destination`.
	Validate() error
	// Place returns the name of the file system or bucket that holds the objects, and the folders above all
	// keys. Two locations with the same name can hold the same object.
	Place() (name string, folders []string)
	// Check returns an error, if possible a *setting.Error, when this machine lacks what Open needs. It
	// changes nothing, contacts no server, and does not repeat the problems that Validate returns.
	Check(ctx context.Context) error
	// Open returns a store of the objects. The caller closes it if it is an io.Closer.
	Open(ctx context.Context) (Store, error)
}

// Appender is a Location that is one sequence of bytes, such as standard output, and has no objects: samples follow each other in the order of
// the stream, without names, manifest and ledger. Its Store appends what is put and what is written, at once, and is given one body at a time.
// After an error for which Passing returns true it continues where it was. It returns media.ErrReaderClosed when nobody reads any more.
type Appender interface {
	Location
	// Appends does nothing.
	Appends()
}

// Appends reports whether samples follow each other in one sequence of bytes.
func (d Destination) Appends() bool {
	_, ok := d.Location.(Appender)
	return ok
}

// Prober is a Location that is on a server.
type Prober interface {
	// Probe asks the server whether objects can be put, and also read if reads is set. It leaves no object. An error names the permission
	// that is missing. note describes what a sink can do without, "" for nothing.
	Probe(ctx context.Context, reads bool) (note string, err error)
}

// Describer is a Location whose objects carry user metadata.
type Describer interface {
	// Metadata returns the metadata of an image of the run runID, with names in lower case.
	Metadata(img media.Image, runID string) map[string]string
}

// Destination is the `destination` part of a sink.
type Destination struct {
	// Location holds the keys that depend on the type of the destination.
	Location Location `block:"type" doc:"Where objects are written: file is a folder, s3 a bucket, stdout a pipe in which samples follow each other." example:"s3"`
	IfExists IfExists `key:"if_exists" doc:"What happens where an object of that name exists: overwrite; skip, which keeps the object, and records it if it is the same; or fail." example:"skip"`
	// MaxInFlight is the largest number of objects written at once.
	MaxInFlight int                  `key:"max_in_flight" range:"1..1024" doc:"How many objects are written at once." example:"64"`
	RetryFor    setting.AutoDuration `key:"retry_for" doc:"How long temporary failures (no server, a full disk) are retried: auto is without limit for live streams, else 15m." example:"1h"`
	_           struct{}             `later:"command ack restart"`
}

// ManifestFormat is the format of a manifest part.
type ManifestFormat string

// The formats of a manifest.
const (
	ManifestNone  ManifestFormat = "none"
	ManifestJSONL ManifestFormat = "jsonl"
)

// Values returns the formats of a manifest.
func (ManifestFormat) Values() []string { return setting.Texts(ManifestNone, ManifestJSONL) }

// Later returns the formats that are reserved for a later version.
func (ManifestFormat) Later() []string { return []string{"parquet"} }

// Manifest is the `manifest` part of a sink.
type Manifest struct {
	Format ManifestFormat `key:"format" doc:"The form of the manifest: none, or jsonl, a line for each image." example:"none"`
	Every  time.Duration  `key:"every" range:"0s.." doc:"The distance of the points of a grid from the Unix epoch on: the first fragment at or after each of them begins a part; 0s makes one for each fragment with an image." example:"10m"`
	Path   string         `key:"path" doc:"The name of each part, with path tokens: those of the first fragment in it that has an image, and none of a frame." example:"\"{stream}/manifest/{sink}/dt={producer_date}/{fragment_number}.jsonl\""`
}

// Ledger is the `ledger` part of a sink: the record of what it did not get.
type Ledger struct {
	Path string `key:"path,optional" doc:"The name of each part, one for each fragment with a gap, with path tokens; empty writes no ledger." example:"\"{stream}/gaps/{fragment_number}.jsonl\""`
}

// Config holds the settings for naming, writing and recording images.
type Config struct {
	// Name is the sink's name in keys, records and messages.
	Name string `key:"name"`
	// Path is the template of an image's key.
	Path        string      `key:"path"`
	Destination Destination `key:"destination"`
	Manifest    Manifest    `key:"manifest"`
	Ledger      Ledger      `key:"ledger"`

	// OverwriteExplicit reports whether the settings contain `if_exists: overwrite`, rather than leaving it to
	// the default. Only then may frames share the key of Path: each image replaces the previous one.
	OverwriteExplicit bool
	// Ext is the extension of all objects of the sink, or "" when it is unknown. It lets Conflicts tell a sink
	// of JPEG images from one of raw frames.
	Ext string
	// Clock is the clock of the grids of Groups and Manifest.
	Clock media.Clock
	// Groups puts several images into one object; nil makes an object for each.
	Groups *Groups
}

// MostOpen returns how much media may lie in a group and a part of the manifest that are not complete, at most. The place of the sink is before that: a
// run that continues reads it again.
func (c Config) MostOpen() (most time.Duration) {
	if c.Destination.Appends() {
		return 0
	}
	if c.Groups != nil {
		most = c.Groups.Every
	}
	if c.Manifest.Format != ManifestNone {
		most += c.Manifest.Every
	}
	return most
}

// DefaultConfig returns the settings of a sink for which only the name is set.
func DefaultConfig() Config {
	return Config{
		Path: "{stream}/{producer_time}_{fragment_number}_{frame_index}.{ext}",
		Destination: Destination{
			Location:    DefaultDirectory(),
			IfExists:    IfExistsOverwrite,
			MaxInFlight: 16,
		},
		Manifest: Manifest{
			Format: ManifestJSONL,
			Path:   "{stream}/manifest/{sink}/{fragment_number}.jsonl",
		},
		Ledger: Ledger{Path: "{stream}/gaps/{sink}/{fragment_number}.jsonl"},
	}
}
