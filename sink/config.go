package sink

import (
	"context"

	"github.com/kvsframes/kvsframes/media"
	"github.com/kvsframes/kvsframes/setting"
)

// IfExists is what happens when an object of the same key is already there.
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

// Location is the part of a Destination that belongs to its type: where the objects are.
// An implementation is a struct whose fields are the keys of the type (see package
// setting); Directory is one, sink/s3.Config another.
type Location interface {
	// Validate returns all problems of the keys, joined, each a *setting.Error whose path
	// starts below `destination`.
	Validate() error
	// Place returns the name of what holds the objects, and the folders in it that all keys
	// are below. Two locations whose places have the same name can hold the same object.
	Place() (name string, folders []string)
	// Check returns an error, if possible a *setting.Error, when this machine lacks what
	// Open needs. It changes nothing and asks no server, and leaves to Validate what that
	// reports.
	Check(ctx context.Context) error
	// Open returns a store of the objects. The caller closes it if it is an io.Closer.
	Open(ctx context.Context) (Store, error)
}

// Describer is a Location whose objects carry user metadata.
type Describer interface {
	// Metadata returns the metadata of an image of the run runID, names in lower case.
	Metadata(img media.Image, runID string) map[string]string
}

// Destination is the `destination` part of a sink.
type Destination struct {
	// Location is what belongs to the type of the destination.
	Location Location `block:"type"`
	IfExists IfExists `key:"if_exists"`
	// MaxInFlight is the largest number of objects written at once.
	MaxInFlight int `key:"max_in_flight" range:"1..1024"`
	// RetryFor is how long trouble that may pass is waited for.
	RetryFor RetryFor `key:"retry_for"`
	_        struct{} `later:"command ack restart"`
}

// ManifestFormat is the form of a manifest part.
type ManifestFormat string

// The forms of a manifest.
const (
	ManifestNone  ManifestFormat = "none"
	ManifestJSONL ManifestFormat = "jsonl"
)

// Values returns the forms of a manifest.
func (ManifestFormat) Values() []string { return setting.Texts(ManifestNone, ManifestJSONL) }

// Later returns the forms that are reserved for a later version.
func (ManifestFormat) Later() []string { return []string{"parquet"} }

// Manifest is the `manifest` part of a sink.
type Manifest struct {
	Format ManifestFormat `key:"format"`
	_      struct{}       `later:"every"`
	// Path is the template of a part's key, one part a fragment.
	Path string `key:"path"`
}

// Config is what a sink needs to name, write and record images.
type Config struct {
	// Name is how keys, records and messages call the sink.
	Name string `key:"name"`
	// Path is the template of an image's key.
	Path        string      `key:"path"`
	Destination Destination `key:"destination"`
	Manifest    Manifest    `key:"manifest"`

	// OverwriteExplicit reports whether `if_exists: overwrite` was written out, and is
	// not just the default. Only then may Path be one that cannot tell two
	// frames apart: each image replaces the one before it.
	OverwriteExplicit bool
	// Ext is the extension of all images of the sink if it is known, or "". With
	// it Conflicts can tell a sink of JPEG from one of raw frames.
	Ext string
}

// DefaultConfig returns the settings of a sink of which only the name is set.
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
	}
}
