package decode

import (
	"cmp"
	"fmt"
	"strconv"
	"strings"

	"github.com/kvsframes/kvsframes/setting"
)

// maxSide is the largest side of an image in pixels (the limit of JPEG).
const maxSide = 65535

// Validate returns all problems of c, joined; each is a *setting.Error whose path
// starts below `decode`.
func (c Config) Validate() error { return setting.Check(c, DefaultConfig()) }

// Validate returns all problems of o, joined; each is a *setting.Error whose path starts
// below a sink.
func (o Output) Validate() error {
	var p setting.Problems
	p.AddBelow("sample", o.Sample.Validate())
	p.AddBelow("filters", o.Filters.Validate())
	p.Check("resize", o.Resize, DefaultResize())
	switch {
	case o.Format == FormatYUV4MPEG && o.PixelFormat != PixelYUV420P && o.PixelFormat != PixelGray:
		p.Add("pixel_format", "is %s, and yuv4mpeg holds yuv420p or gray", o.PixelFormat)
	case o.Format == FormatYUV4MPEG:
	case o.raw():
		p.AddBelow("", RawForm{Format: o.Format, PixelFormat: o.PixelFormat, Layout: cmp.Or(o.Layout, LayoutHWC), Normalize: o.Normalize}.Validate())
	default:
		p.AddBelow("", ImageForm{FileForm: FileForm{Format: o.Format, Quality: o.Quality}}.Validate())
	}
	return p.Err()
}

// raw reports whether o asks for raw frames.
func (o *Output) raw() bool {
	return o.Format == FormatNone || o.Format == FormatNPY || o.Format == FormatYUV4MPEG
}

// UnmarshalText reads a number such as 0.485.
func (n *Number) UnmarshalText(text []byte) error {
	v, err := strconv.ParseFloat(string(text), 64)
	if *n = Number(v); err != nil || !n.finite() {
		return fmt.Errorf("%q is not a number such as 0.485", text)
	}
	return nil
}

func (n Number) finite() bool { return n-n == 0 }

// Syntax describes the values, for error messages.
func (Number) Syntax() string { return "a number such as 0.485" }

// Pattern returns a regular expression for the texts that UnmarshalText reads, for the JSON Schema.
func (Number) Pattern() string { return `^[+-]?([0-9]+\.?[0-9]*|\.[0-9]+)([eE][+-]?[0-9]+)?$` }

// MarshalText writes the shortest decimal that reads as the same number.
func (n Number) MarshalText() ([]byte, error) {
	if !n.finite() {
		return nil, fmt.Errorf("%v is not a number such as 0.485", float32(n))
	}
	return strconv.AppendFloat(nil, float64(n), 'g', -1, 32), nil
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

// Syntax describes the values, for error messages.
func (RGB) Syntax() string { return "a colour such as \"#000000\"" }

// Pattern returns a regular expression for the texts that UnmarshalText reads, for the JSON Schema.
func (RGB) Pattern() string { return "^#[0-9a-fA-F]{6}$" }

// MarshalText writes #rrggbb.
func (c RGB) MarshalText() ([]byte, error) { return []byte(c.String()), nil }

// String returns #rrggbb.
func (c RGB) String() string { return fmt.Sprintf("#%02x%02x%02x", c[0], c[1], c[2]) }
