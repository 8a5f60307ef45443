// Package webdataset is the form of sinks of type webdataset: tar files that loaders of training data read as they are. Each sample is an
// image and a JSON file of the same name, one after the other. Beside each tar is an index for NVIDIA DALI.
//
// Names are those of USTAR, since some readers know no other headers. They are ASCII, and have no dot before the extension: readers of
// webdataset take what follows the first dot of a base name for the extension.
package webdataset

import (
	"github.com/kvsframes/kvsframes/decode"
	"github.com/kvsframes/kvsframes/setting"
	"github.com/kvsframes/kvsframes/sink"
)

// Form is the form of a sink of type webdataset.
type Form struct {
	Format  decode.Format `key:"format" only:"jpeg|png"`
	Quality int           `key:"quality" with:"format=jpeg" range:"1..100"`
	EXIF    bool          `key:"exif"`
	Group   sink.Group    `key:"group"`
}

// DefaultForm returns the form of a sink that sets only its type.
func DefaultForm() Form {
	image := decode.DefaultImageForm()
	return Form{Format: image.Format, Quality: image.Quality, EXIF: image.EXIF, Group: sink.DefaultGroup()}
}

// Validate implements decode.Form.
func (f Form) Validate() error { return setting.Check(f, DefaultForm()) }

// Ask implements decode.Form.
func (f Form) Ask(o *decode.Output) {
	decode.ImageForm{Format: f.Format, Quality: f.Quality, EXIF: f.EXIF}.Ask(o)
}

// Ext implements decode.Form.
func (f Form) Ext() string { return layout{}.Ext() }

// Groups returns how images are put together.
func (f Form) Groups() sink.Groups { return sink.Groups{Group: f.Group, Layout: layout{}} }
