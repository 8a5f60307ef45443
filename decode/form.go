package decode

import (
	"fmt"
	"iter"

	"github.com/kvsframes/kvsframes/setting"
)

// Form holds the keys that depend on the type of a sink: they define its objects. ImageForm
// and RawForm are the forms of single images.
type Form interface {
	// Validate returns all problems of the keys, joined, each a *setting.Error whose path
	// starts below a sink.
	Validate() error
	// Ask sets the fields of o that the form determines.
	Ask(o *Output)
	// Ext returns the extension of the objects' names.
	Ext() string
}

// FileForm holds the keys of images that image viewers open, whether each is an object or a part of one.
type FileForm struct {
	Format Format `key:"format" only:"jpeg|png" doc:"The form of images." example:"png"`
	// Quality is that of JPEG, see Output.
	Quality int `key:"quality" with:"format=jpeg" range:"1..100" doc:"The quality of JPEG, on the scale of the IJG." example:"90"`
	// EXIF is that of Output.
	EXIF bool `key:"exif" doc:"Whether capture time, stream and fragment are written into images." example:"false"`
}

// DefaultFileForm returns the keys of a sink that sets none.
func DefaultFileForm() FileForm { return FileForm{Format: FormatJPEG, Quality: 80, EXIF: true} }

// Ask sets the fields of o that the keys determine.
func (f FileForm) Ask(o *Output) {
	o.Format, o.EXIF = f.Format, f.EXIF
	if f.Format == FormatJPEG {
		o.Quality = f.Quality
	}
}

// ImageForm is the form of sinks of type image: each image is an object.
type ImageForm struct {
	FileForm
	// Fast is that of Output.
	Fast bool `key:"fast" doc:"Whether decoding leaves out the loop filter where no other sink needs the picture." example:"true"`
}

// DefaultImageForm returns the form of a sink that sets none.
func DefaultImageForm() ImageForm { return ImageForm{FileForm: DefaultFileForm()} }

// Validate implements Form.
func (f ImageForm) Validate() error { return setting.Check(f, DefaultImageForm()) }

// Ask implements Form.
func (f ImageForm) Ask(o *Output) {
	f.FileForm.Ask(o)
	o.Fast = f.Fast
}

// Ext implements Form.
func (f ImageForm) Ext() string { return f.Format.Ext() }

// RawForm is the form of sinks of type raw: the pixels of a frame, bare or as an array of NumPy.
type RawForm struct {
	Format      Format      `key:"format" only:"none|npy" doc:"The form of a frame: none is bare pixels without padding, npy an array of NumPy." example:"npy"`
	PixelFormat PixelFormat `key:"pixel_format,optional,required" doc:"The layout of the pixels: rgb24, bgr24 and gray in npy, any without it." example:"gray"`
	Layout      Layout      `key:"layout" with:"format=npy" doc:"The order of the dimensions: hwc is rows, columns, channels; gray has rows and columns alone." example:"chw"`
	Normalize   Normalize   `key:"normalize"`
}

// DefaultRawForm returns the form of a sink that sets only its type, raw.
func DefaultRawForm() RawForm {
	return RawForm{Format: FormatNone, PixelFormat: PixelRGB24, Layout: LayoutHWC}
}

// Validate implements Form.
func (f RawForm) Validate() error {
	var p setting.Problems
	p.Check("", f, DefaultRawForm())
	switch {
	case f.Format == FormatNPY && (f.PixelFormat == PixelNV12 || f.PixelFormat == PixelYUV420P):
		p.Add("pixel_format", "%s has planes of two sizes, which are no array of rows, columns and channels: want rgb24, bgr24 or gray; "+
			"or format none, whose bytes have the shape that their record states", f.PixelFormat)
	case f.Format == FormatNPY:
		f.Normalize.check(&p, f.PixelFormat)
	default:
		for name, list := range f.Normalize.lists() {
			if len(list) > 0 {
				p.Add("normalize."+name, "belongs to format npy, and the format is %s", f.Format)
			}
		}
	}
	return p.Err()
}

// check notes what is wrong with the numbers of an array of some pixel format.
func (n Normalize) check(p *setting.Problems, format PixelFormat) {
	if !n.asked() {
		return
	}
	for name, list := range n.lists() {
		path := "normalize." + name
		if channels := format.channels(); len(list) != channels {
			p.Add(path, "has %d entries, want one for each channel: %s has %d", len(list), format, channels)
			continue
		}
		for i, x := range list {
			if _, err := x.MarshalText(); err != nil {
				p.Add(fmt.Sprintf("%s[%d]", path, i), "%v", err)
			} else if name == "std" && x <= 0 {
				p.Add(fmt.Sprintf("%s[%d]", path, i), "%v is not above 0: samples are divided by it", x)
			}
		}
	}
}

// lists yields the lists by their keys.
func (n Normalize) lists() iter.Seq2[string, []Number] {
	return func(yield func(string, []Number) bool) {
		_ = yield("mean", n.Mean) && yield("std", n.Std)
	}
}

// channels returns the number of samples of a pixel.
func (f PixelFormat) channels() int {
	if f == PixelGray {
		return 1
	}
	return 3
}

// Ask implements Form.
func (f RawForm) Ask(o *Output) {
	o.Format, o.PixelFormat = f.Format, f.PixelFormat
	if f.Format == FormatNPY {
		o.Layout, o.Normalize = f.Layout, f.Normalize
	}
}

// Ext implements Form.
func (f RawForm) Ext() string {
	if f.Format == FormatNPY {
		return "npy"
	}
	return string(f.PixelFormat)
}
