//go:build cgo

package decode

import (
	"fmt"

	"github.com/asticode/go-astiav"
)

// How many of each a worker keeps: enough for a few sinks over a few streams.
const (
	keptScalers  = 16
	keptPictures = 16
)

// pictureKey tells the pictures apart that a worker draws into, by their use.
type pictureKey struct {
	use    string
	w, h   int
	format astiav.PixelFormat
}

// renderer turns decoded frames into the pictures that sinks ask for. It belongs
// to one worker and keeps what it needs while sizes stay equal.
type renderer struct {
	color    Color
	scalers  kept[scalerKey, scaler]
	pictures kept[pictureKey, frame]
}

func newRenderer(c Color) *renderer {
	return &renderer{
		color:    c,
		scalers:  kept[scalerKey, scaler]{limit: keptScalers},
		pictures: kept[pictureKey, frame]{limit: keptPictures},
	}
}

func (r *renderer) free() {
	r.scalers.free()
	r.pictures.free()
}

func (r *renderer) picture(use string, w, h int, format astiav.PixelFormat) (frame, error) {
	return r.pictures.get(pictureKey{use, w, h, format}, func(k pictureKey) (frame, error) {
		return newPicture(k.w, k.h, k.format)
	})
}

// decoded describes a decoded frame in plain terms.
type decoded struct {
	frame
	format astiav.PixelFormat // without the full-range variants
	color  colorimetry
	rgb    bool
	w, h   int
}

// describe reads the frame's tags, and the settings for what is not tagged.
func (r *renderer) describe(f frame) decoded {
	s := decoded{frame: f, format: f.PixelFormat(), w: f.Width(), h: f.Height()}
	s.color.full = r.color.UntaggedRange == RangeFull
	switch f.ColorRange() {
	case astiav.ColorRangeJpeg:
		s.color.full = true
	case astiav.ColorRangeMpeg:
		s.color.full = false
	}
	switch s.format {
	case astiav.PixelFormatYuvj420P:
		s.format, s.color.full = astiav.PixelFormatYuv420P, true
	case astiav.PixelFormatYuvj422P:
		s.format, s.color.full = astiav.PixelFormatYuv422P, true
	case astiav.PixelFormatYuvj444P:
		s.format, s.color.full = astiav.PixelFormatYuv444P, true
	case astiav.PixelFormatGbrp, astiav.PixelFormatGbrp10Le, astiav.PixelFormatGbrp12Le:
		s.rgb = true
	}
	s.color.matrix = r.matrix(f.ColorSpace(), s.h)
	return s
}

func (r *renderer) matrix(tag astiav.ColorSpace, height int) Matrix {
	switch tag {
	case astiav.ColorSpaceBt709:
		return MatrixBT709
	case astiav.ColorSpaceBt470Bg, astiav.ColorSpaceSmpte170M, astiav.ColorSpaceFcc:
		return MatrixBT601
	case astiav.ColorSpaceBt2020Ncl, astiav.ColorSpaceBt2020Cl:
		return MatrixBT2020
	}
	switch m := r.color.UntaggedMatrix; {
	case m != MatrixAuto:
		return m
	case height >= 720:
		return MatrixBT709
	default:
		return MatrixBT601
	}
}

// swsMatrix returns libswscale's number of a matrix (SWS_CS_*).
func (c colorimetry) swsMatrix() int {
	switch c.matrix {
	case MatrixBT709:
		return 1
	case MatrixBT2020:
		return 9
	default:
		return 5
	}
}

// target is a picture that was rendered for one output, before it is encoded.
// It is the renderer's, and valid until the next call.
type target struct {
	frame
	w, h int
	// color holds for the YCbCr formats and for gray.
	color colorimetry
}

// pixelFormats are libav's names of the raw formats.
var pixelFormats = map[PixelFormat]astiav.PixelFormat{
	PixelRGB24:   astiav.PixelFormatRgb24,
	PixelBGR24:   astiav.PixelFormatBgr24,
	PixelGray:    astiav.PixelFormatGray8,
	PixelNV12:    astiav.PixelFormatNv12,
	PixelYUV420P: astiav.PixelFormatYuv420P,
}

// render crops, scales and converts a decoded frame as o asks.
func (r *renderer) render(f frame, o Output) (target, error) {
	src := r.describe(f)
	if src.w > MaxSide || src.h > MaxSide {
		return target{}, fmt.Errorf("frame of %dx%d pixels is too large, the largest side is %d", src.w, src.h, MaxSide)
	}
	g := o.Resize.geometry(src.w, src.h)
	format := astiav.PixelFormatYuv420P
	switch o.Format {
	case FormatNone:
		format = pixelFormats[o.PixelFormat]
	case FormatPNG:
		format = astiav.PixelFormatRgb24
	}
	if src.rgb { // what is computed from RGB is computed for the target's terms
		src.color = jfif
	}
	t, err := r.scale(src, g, format)
	if err != nil {
		return target{}, err
	}
	if o.Format == FormatJPEG && t.color != jfif {
		if t, err = r.toJFIF(t); err != nil {
			return target{}, err
		}
	}
	if g.inner != (rect{0, 0, g.w, g.h}) {
		return r.pad(t, g, format, o)
	}
	return t, nil
}

// scale brings the crop of src to the inner size and the format. A frame that
// has both already passes as it is.
func (r *renderer) scale(src decoded, g geometry, format astiav.PixelFormat) (target, error) {
	t := target{frame: src.frame, w: g.inner.w, h: g.inner.h, color: src.color}
	if src.format == format && g.crop == (rect{0, 0, g.inner.w, g.inner.h}) && src.w == g.inner.w && src.h == g.inner.h {
		return t, nil
	}
	packedRGB := format == astiav.PixelFormatRgb24 || format == astiav.PixelFormatBgr24
	s, err := r.scalers.get(scalerKey{
		sw: g.crop.w, sh: g.crop.h, sf: src.format,
		dw: t.w, dh: t.h, df: format,
		matrix: src.color.swsMatrix(), full: src.color.full,
		// Between two YCbCr formats libswscale only scales: colour is ours.
		dstMatrix: src.color.swsMatrix(), dstFull: src.color.full || packedRGB,
	}, newScaler)
	if err != nil {
		return target{}, err
	}
	if t.frame, err = r.picture("scaled", t.w, t.h, format); err != nil {
		return target{}, err
	}
	return t, s.scale(t.frame, src.frame, g.crop)
}

// toJFIF turns 4:2:0 planes into the colorimetry of JPEG.
func (r *renderer) toJFIF(t target) (target, error) {
	f, err := r.picture("converted", t.w, t.h, astiav.PixelFormatYuv420P)
	if err != nil {
		return target{}, err
	}
	f.convert(t.frame, conversion(t.color, jfif))
	return target{frame: f, w: t.w, h: t.h, color: jfif}, nil
}

// pad puts the picture on a canvas of the background colour.
func (r *renderer) pad(t target, g geometry, format astiav.PixelFormat, o Output) (target, error) {
	canvas, err := r.picture("canvas", g.w, g.h, format)
	if err != nil {
		return target{}, err
	}
	if err := canvas.fill(background(o.Resize.Background, format, t.color)); err != nil {
		return target{}, err
	}
	canvas.paste(t.frame, g.inner.x, g.inner.y)
	return target{frame: canvas, w: g.w, h: g.h, color: t.color}, nil
}

// background returns a colour by libav's order of components.
func background(rgb RGB, format astiav.PixelFormat, c colorimetry) [4]uint32 {
	switch format {
	case astiav.PixelFormatRgb24, astiav.PixelFormatBgr24:
		return [4]uint32{uint32(rgb[0]), uint32(rgb[1]), uint32(rgb[2]), 255}
	}
	ycc := c.ycc(rgb)
	return [4]uint32{uint32(ycc[0]), uint32(ycc[1]), uint32(ycc[2]), 255}
}
