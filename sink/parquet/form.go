// Package parquet is the form of sinks of type parquet: tables whose rows are samples, with the image and its record. DuckDB, Spark, Athena and
// Daft read them, and Hugging Face shows the column image as pictures.
//
// Images are the first column of each row group and are written as they come, each as a page of its own. So an open file needs memory for the
// records of one row group, and none for images.
package parquet

import (
	"github.com/kvsframes/kvsframes/decode"
	"github.com/kvsframes/kvsframes/setting"
	"github.com/kvsframes/kvsframes/sink"
)

// Form is the form of a sink of type parquet.
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
