package decode

import "github.com/kvsframes/kvsframes/setting"

// Form holds the keys that depend on the type of a sink: they define its objects. ImageForm
// and RawForm are the forms.
type Form interface {
	// Validate returns all problems of the keys, joined, each a *setting.Error whose path
	// starts below a sink.
	Validate() error
	// Ask sets the fields of o that the form determines.
	Ask(o *Output)
	// Ext returns the extension of the objects' names.
	Ext() string
}

// ImageForm is the form of sinks of type image: files that image viewers open.
type ImageForm struct {
	Format Format `key:"format" only:"jpeg|png"`
	// Quality is that of JPEG, see Output.
	Quality int `key:"quality" with:"format=jpeg" range:"1..100"`
	// EXIF and Fast are those of Output.
	EXIF bool `key:"exif"`
	Fast bool `key:"fast"`
}

// DefaultImageForm returns the form of a sink that sets none.
func DefaultImageForm() ImageForm { return ImageForm{Format: FormatJPEG, Quality: 80, EXIF: true} }

// Validate implements Form.
func (f ImageForm) Validate() error { return setting.Check(f, DefaultImageForm()) }

// Ask implements Form.
func (f ImageForm) Ask(o *Output) {
	o.Format, o.EXIF, o.Fast = f.Format, f.EXIF, f.Fast
	if f.Format == FormatJPEG {
		o.Quality = f.Quality
	}
}

// Ext implements Form.
func (f ImageForm) Ext() string {
	if f.Format == FormatPNG {
		return "png"
	}
	return "jpg"
}

// RawForm is the form of sinks of type raw: the pixels of a frame, and nothing else.
type RawForm struct {
	Format      Format      `key:"format" only:"none"`
	PixelFormat PixelFormat `key:"pixel_format,optional,required"`
}

// DefaultRawForm returns the form of a sink that sets only its type, raw.
func DefaultRawForm() RawForm { return RawForm{Format: FormatNone, PixelFormat: PixelRGB24} }

// Validate implements Form.
func (f RawForm) Validate() error { return setting.Check(f, DefaultRawForm()) }

// Ask implements Form.
func (f RawForm) Ask(o *Output) { o.Format, o.PixelFormat = f.Format, f.PixelFormat }

// Ext implements Form.
func (f RawForm) Ext() string { return string(f.PixelFormat) }
