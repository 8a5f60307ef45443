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
	decode.FileForm
	Group sink.Group `key:"group"`
}

// DefaultForm returns the form of a sink that sets only its type.
func DefaultForm() Form { return Form{decode.DefaultFileForm(), sink.DefaultGroup()} }

// Validate implements decode.Form.
func (f Form) Validate() error { return setting.Check(f, DefaultForm()) }

// Ext implements decode.Form.
func (f Form) Ext() string { return layout{}.Ext() }

// Groups returns how images are put together.
func (f Form) Groups() sink.Groups { return sink.Groups{Group: f.Group, Layout: layout{}} }
