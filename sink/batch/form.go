// Package batch is the form of sinks of type batch: the raw frames of a group in one object, as an array of NumPy whose first dimension
// counts the frames, or as a yuv4mpeg video.
package batch

import (
	"cmp"

	"github.com/kvsframes/kvsframes/decode"
	"github.com/kvsframes/kvsframes/setting"
	"github.com/kvsframes/kvsframes/sink"
)

// Form is the form of a sink of type batch.
type Form struct {
	Format decode.Format `key:"format" only:"npy|yuv4mpeg" doc:"The form of the object: npy is one array, with the records beside it as .jsonl, yuv4mpeg is a video." example:"yuv4mpeg"`
	// PixelFormat is rgb24 in an array and yuv420p in a video unless it is set.
	PixelFormat decode.PixelFormat `key:"pixel_format,optional" doc:"The layout of the pixels: rgb24, bgr24 or gray in npy, where rgb24 is the default; yuv420p or gray in yuv4mpeg, where yuv420p is." example:"gray"`
	Layout      decode.Layout      `key:"layout" with:"format=npy" doc:"The order of the dimensions: hwc is rows, columns, channels; gray has rows and columns alone." example:"chw"`
	Normalize   decode.Normalize   `key:"normalize"`
	Group       sink.Group         `key:"group"`
}

// DefaultForm returns the form of a sink that sets only its type.
func DefaultForm() Form {
	return Form{Format: decode.FormatNPY, Layout: decode.LayoutHWC, Group: sink.DefaultGroup()}
}

// Validate implements decode.Form.
func (f Form) Validate() error {
	var p setting.Problems
	p.Check("", f, DefaultForm())
	if f.Format == decode.FormatNPY {
		p.AddBelow("", f.raw().Validate())
		return p.Err()
	}
	if f.PixelFormat != "" && f.PixelFormat != decode.PixelYUV420P && f.PixelFormat != decode.PixelGray {
		p.Add("pixel_format", "is %s, and yuv4mpeg holds yuv420p or gray", f.PixelFormat)
	}
	if len(f.Normalize.Mean)+len(f.Normalize.Std) > 0 {
		p.Add("normalize", "belongs to format npy, and the format is %s", f.Format)
	}
	return p.Err()
}

// raw returns the form of single frames.
func (f Form) raw() decode.RawForm {
	return decode.RawForm{Format: f.Format, PixelFormat: cmp.Or(f.PixelFormat, decode.PixelRGB24), Layout: f.Layout, Normalize: f.Normalize}
}

// Ask implements decode.Form.
func (f Form) Ask(o *decode.Output) {
	if f.Format == decode.FormatNPY {
		f.raw().Ask(o)
		return
	}
	o.Format, o.PixelFormat = f.Format, cmp.Or(f.PixelFormat, decode.PixelYUV420P)
}

// Ext implements decode.Form.
func (f Form) Ext() string { return f.Groups().Layout.Ext() }

// Groups returns how frames are put together.
func (f Form) Groups() sink.Groups {
	if f.Format == decode.FormatYUV4MPEG {
		return sink.Groups{Group: f.Group, Layout: video{}}
	}
	return sink.Groups{Group: f.Group, Layout: array{}}
}
