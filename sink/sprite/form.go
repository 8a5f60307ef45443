// Package sprite is the form of sinks of type sprite: sheets of small pictures in rows, as players of video show them over their time line. Beside
// each sheet are the cues for players, in WebVTT, and the times and frames of the tiles, in JSON.
package sprite

import (
	"github.com/kvsframes/kvsframes/decode"
	"github.com/kvsframes/kvsframes/setting"
	"github.com/kvsframes/kvsframes/sink"
)

const (
	// maxSide is the largest width and height of a sheet in pixels: that of JPEG.
	maxSide = 65535
	// maxPixels is the largest number of pixels of a sheet with more than one tile. They take 16 MiB of memory, and browsers on
	// phones show as many.
	maxPixels = 1 << 22
)

// Form is the form of a sink of type sprite.
type Form struct {
	Format  decode.Format `key:"format" only:"jpeg|png" doc:"The form of the sheet." example:"png"`
	Quality int           `key:"quality" with:"format=jpeg" range:"1..100" doc:"The quality of JPEG, on the scale of the IJG." example:"60"`
	Columns int           `key:"columns" range:"1..1000" doc:"How many tiles a row has at most."`
	Group   sink.Group    `key:"group"`
}

// DefaultForm returns the form of a sink that sets only its type.
func DefaultForm() Form {
	image := decode.DefaultFileForm()
	return Form{Format: image.Format, Quality: image.Quality, Columns: 10, Group: sink.DefaultGroup()}
}

// Validate implements decode.Form.
func (f Form) Validate() error { return setting.Check(f, DefaultForm()) }

// CheckResize returns what is wrong with the size of tiles: a *setting.Error whose path starts below a sink, or nil.
func (f Form) CheckResize(r decode.Resize) error {
	var p setting.Problems
	switch {
	case r.Width == 0 && r.Height == 0:
		p.Add("resize", "a sheet has small pictures: want a width or a height, such as {width: 160}")
	case r.Width*f.Columns > maxSide:
		p.Add("columns", "%d tiles of %d pixels are wider than an image can be: want at most %d pixels in a row", f.Columns, r.Width, maxSide)
	case r.Width*r.Height > maxPixels:
		p.Add("resize", "a tile of %dx%d pixels is larger than a sheet: want at most %d pixels", r.Width, r.Height, maxPixels)
	}
	return p.Err()
}

// Ask implements decode.Form: tiles are encoded as a part of their sheet.
func (f Form) Ask(o *decode.Output) {
	decode.RawForm{Format: decode.FormatNone, PixelFormat: decode.PixelRGB24}.Ask(o)
}

// Ext implements decode.Form.
func (f Form) Ext() string { return f.Format.Ext() }

// Groups returns how tiles are put together.
func (f Form) Groups() sink.Groups { return sink.Groups{Group: f.Group, Layout: layout{f}} }
