package decode

import (
	"errors"
	"fmt"
	"math"
	"strconv"
	"strings"

	"github.com/kvsframes/kvsframes/decode/plan"
	"github.com/kvsframes/kvsframes/media"
)

// Limits of what a configuration may ask for.
const (
	// MaxWorkers is the largest number of decoders.
	MaxWorkers = 1024
	// MaxSide is the largest side of an image in pixels (the limit of JPEG).
	MaxSide = 65535
)

// problems collects what is wrong under one key path.
type problems []error

func (p *problems) add(path, format string, args ...any) {
	*p = append(*p, &media.FieldError{Path: path, Problem: fmt.Sprintf(format, args...)})
}

// oneOf notes a value that is none of the allowed ones.
func oneOf[T ~string](p *problems, path string, value T, allowed ...T) {
	names := make([]string, len(allowed))
	for i, a := range allowed {
		if value == a {
			return
		}
		names[i] = string(a)
	}
	p.add(path, "%q is not one of %s", string(value), strings.Join(names, ", "))
}

// Validate returns all problems of c, joined; each is a *media.FieldError whose
// path starts below `decode`.
func (c Config) Validate() error {
	var p problems
	if c.Workers < 0 || c.Workers > MaxWorkers {
		p.add("workers", "%d is not within 0..%d", c.Workers, MaxWorkers)
	}
	oneOf(&p, "skip_frame", c.SkipFrame, plan.SkipAuto, plan.SkipNone, plan.SkipNonRef, plan.SkipNonKey)
	oneOf(&p, "on_error", c.OnError, OnErrorSkip, OnErrorFail)
	if c.MaxPixels < 1 || c.MaxPixels > math.MaxInt32 {
		p.add("max_pixels", "%d is not within 1..%d", c.MaxPixels, math.MaxInt32)
	}
	if c.MaxMemory < 1 {
		p.add("max_memory", "%s is not above 0", c.MaxMemory)
	}
	oneOf(&p, "concealed", c.Concealed, ConcealedKeep, ConcealedDrop)
	oneOf(&p, "deinterlace", c.Deinterlace, DeinterlaceAuto, DeinterlaceOff)
	oneOf(&p, "color.untagged_matrix", c.Color.UntaggedMatrix, MatrixAuto, MatrixBT601, MatrixBT709, MatrixBT2020)
	oneOf(&p, "color.untagged_range", c.Color.UntaggedRange, RangeLimited, RangeFull)
	return errors.Join(p...)
}

// Validate returns all problems of o, joined; each is a *media.FieldError whose
// path starts below a sink.
func (o Output) Validate() error {
	var p problems
	if err, ok := o.Sample.Validate().(interface{ Unwrap() []error }); ok {
		p = append(p, err.Unwrap()...)
	}
	o.Resize.check(&p)
	switch o.Format {
	case FormatJPEG:
		if o.Quality < 1 || o.Quality > 100 {
			p.add("quality", "%d is not within 1..100", o.Quality)
		}
	case FormatPNG:
	case FormatNone:
		oneOf(&p, "pixel_format", o.PixelFormat, PixelRGB24, PixelBGR24, PixelGray, PixelNV12, PixelYUV420P)
	default:
		oneOf(&p, "format", o.Format, FormatJPEG, FormatPNG, FormatNone)
	}
	return errors.Join(p...)
}

func (r Resize) check(p *problems) {
	if r.Width < 0 || r.Width > MaxSide {
		p.add("resize.width", "%d is not within 0..%d pixels", r.Width, MaxSide)
	}
	if r.Height < 0 || r.Height > MaxSide {
		p.add("resize.height", "%d is not within 0..%d pixels", r.Height, MaxSide)
	}
	oneOf(p, "resize.fit", r.Fit, FitContain, FitCover, FitPad, FitStretch)
}

// UnmarshalText reads #rrggbb.
func (c *RGB) UnmarshalText(text []byte) error {
	v, err := strconv.ParseUint(strings.TrimPrefix(string(text), "#"), 16, 32)
	if err != nil || len(text) != 7 || text[0] != '#' {
		return fmt.Errorf("%q is not a colour: write #rrggbb", text)
	}
	c[0], c[1], c[2] = uint8(v>>16), uint8(v>>8), uint8(v)
	return nil
}

// MarshalText writes #rrggbb.
func (c RGB) MarshalText() ([]byte, error) { return []byte(c.String()), nil }

// String returns #rrggbb.
func (c RGB) String() string { return fmt.Sprintf("#%02x%02x%02x", c[0], c[1], c[2]) }
