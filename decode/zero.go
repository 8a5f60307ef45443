//go:build cgo

package decode

import (
	"cmp"

	"github.com/kvsframes/kvsframes/decode/pick"
	"github.com/kvsframes/kvsframes/decode/plan"
	"github.com/kvsframes/kvsframes/media"
)

// withDefaults returns c with zero values replaced by defaults, so that a program sets only what it wants to change.
func (c Config) withDefaults() Config {
	d := DefaultConfig()
	c.Isolation = cmp.Or(c.Isolation, d.Isolation)
	c.SkipFrame, c.OnError = cmp.Or(c.SkipFrame, d.SkipFrame), cmp.Or(c.OnError, d.OnError)
	c.MaxPixels, c.MaxMemory = cmp.Or(c.MaxPixels, d.MaxPixels), cmp.Or(c.MaxMemory, d.MaxMemory)
	c.Concealed, c.Deinterlace = cmp.Or(c.Concealed, d.Concealed), cmp.Or(c.Deinterlace, d.Deinterlace)
	c.Color.UntaggedMatrix = cmp.Or(c.Color.UntaggedMatrix, d.Color.UntaggedMatrix)
	c.Color.UntaggedRange = cmp.Or(c.Color.UntaggedRange, d.Color.UntaggedRange)
	return c
}

// withDefaults returns o with zero values replaced by defaults: every frame, in its own size, as a JPEG, or as raw pixels if there
// is a pixel format.
func (o Output) withDefaults() Output {
	if o.Sample.Rule == nil {
		o.Sample.Rule = plan.All{}
	}
	o.Sample.Clock = cmp.Or(o.Sample.Clock, media.ClockProducer)
	o.needs = pick.NeedsOf(o.Sample, o.Filters)
	o.Resize.Fit = cmp.Or(o.Resize.Fit, DefaultResize().Fit)
	switch {
	case o.Format == "" && o.PixelFormat != "":
		o.Format = FormatNone
	case o.Format == "":
		o.Format = FormatJPEG
	}
	if o.Format == FormatJPEG {
		o.Quality = cmp.Or(o.Quality, DefaultImageForm().Quality)
	}
	if o.Format == FormatNPY {
		o.PixelFormat, o.Layout = cmp.Or(o.PixelFormat, PixelRGB24), cmp.Or(o.Layout, LayoutHWC)
	}
	return o
}
