//go:build cgo

package decode

import (
	"fmt"

	"github.com/asticode/go-astiav"
)

// How many of each a worker keeps: enough for a few sinks over a few streams.
const (
	keptScalers  = 16
	keptAreas    = 48 // one for luma and one or two for chroma, of each size
	keptPictures = 16
)

// pictureKey identifies a picture that a worker draws into.
type pictureKey struct {
	use    string
	w, h   int
	format astiav.PixelFormat
}

// renderer turns decoded frames into the pictures that sinks ask for. It belongs
// to one worker and keeps its tables and buffers for frames of the same size.
type renderer struct {
	config Config
	// track is what the container states about the frames that are rendered.
	track facts
	// fieldPictures reports whether a frame that libav marks as interlaced is one field. H.265 codes each field
	// as a picture (pic_struct of its timing SEI), and frames of two fields are not distinguished.
	fieldPictures bool
	areas         lru[areaKey, areaPlan]
	scalers       lru[scalerKey, scaler]
	pictures      lru[pictureKey, frame]
	scratch       scratch
	// luma is memory for small pictures.
	luma []byte
}

func newRenderer(cfg Config) *renderer {
	return &renderer{
		config:   cfg,
		areas:    lru[areaKey, areaPlan]{limit: keptAreas},
		scalers:  lru[scalerKey, scaler]{limit: keptScalers},
		pictures: lru[pictureKey, frame]{limit: keptPictures},
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

// target is a picture that was rendered for one output, before it is encoded.
// It belongs to the renderer and is valid until the next call.
type target struct {
	frame
	w, h int
	// color is the colorimetry of the YCbCr formats and of gray.
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

// render crops, scales, turns and converts a decoded frame as o asks.
func (r *renderer) render(f frame, o Output) (target, error) {
	src, err := r.describe(f)
	if err != nil {
		return target{}, err
	}
	if o.raw() && o.Format != FormatYUV4MPEG && o.Resize.Width == 0 && o.Resize.Height == 0 {
		src.w = src.view.w // raw frames that are not resized keep their pixels, square or not
	}
	w, h := src.orientation.size(src.w, src.h)
	if w > maxSide || h > maxSide {
		return target{}, fmt.Errorf("frame of %dx%d square pixels is too large, the largest side is %d", w, h, maxSide)
	}
	g := o.Resize.geometry(w, h)
	if g.w > maxSide || g.h > maxSide { // a side may follow from the other one
		return target{}, fmt.Errorf("image of %dx%d pixels is too large, the largest side is %d", g.w, g.h, maxSide)
	}
	format := astiav.PixelFormatYuv420P
	switch {
	case o.Format == FormatPNG:
		format = astiav.PixelFormatRgb24
	case o.raw():
		format = pixelFormats[o.PixelFormat]
	}
	t, err := r.draw(src, g, format, o.Format == FormatJPEG)
	if err != nil {
		return target{}, err
	}
	if g.padded() {
		return r.pad(t, g, format, o)
	}
	return t, nil
}

// draw renders the crop of src at the inner size: it scales and turns planes, and converts
// them to the format.
func (r *renderer) draw(src decoded, g geometry, format astiav.PixelFormat, jpeg bool) (target, error) {
	t := target{w: g.inner.w, h: g.inner.h, color: src.color}
	planar := astiav.PixelFormatYuv444P
	switch format {
	case astiav.PixelFormatYuv420P, astiav.PixelFormatNv12:
		planar = astiav.PixelFormatYuv420P
	case astiav.PixelFormatGray8:
		planar = astiav.PixelFormatGray8
	}
	w, h := src.orientation.size(t.w, t.h)
	p, holder, err := r.scale(src, src.orientation.source(g.crop, src.w, src.h), w, h, planar)
	if err == nil && src.orientation != (orientation{}) {
		p, holder, err = r.turn(p, t, planar, src.orientation)
	}
	if err != nil {
		return target{}, err
	}
	ready := format == planar
	switch {
	// The JPEG encoder converts a picture to JFIF's colorimetry by itself; a canvas has it from the start.
	case jpeg && t.color != jfif && (holder.Frame == nil || g.padded()):
		ready, t.color = false, jfif
	case format == astiav.PixelFormatGray8 && !t.color.full:
		ready, t.color.full = false, true
	}
	if ready && holder.Frame != nil {
		t.frame = holder
		return t, nil
	}
	if t.frame, err = r.picture("drawn", t.w, t.h, format); err != nil {
		return target{}, err
	}
	r.finish(t, p, format, src.color)
	return t, nil
}

// finish converts planes with the colorimetry from to the picture of t.
func (r *renderer) finish(t target, p planes, format astiav.PixelFormat, from colorimetry) {
	switch format {
	case astiav.PixelFormatRgb24, astiav.PixelFormatBgr24:
		r.scratch.toRGB(planesOf(t.frame, 1)[0], p, from.toRGB(), format == astiav.PixelFormatBgr24)
		return
	case astiav.PixelFormatNv12:
		out := planesOf(t.frame, 2)
		copyPlane(out[0], p[0])
		interleave(out[1], p[1], p[2])
		return
	}
	out := planesOf(t.frame, len(p))
	switch {
	case from == t.color:
		for i := range p {
			copyPlane(out[i], p[i])
		}
	case format == astiav.PixelFormatGray8:
		stretch(out[0], p[0], conversion(from, t.color))
	default:
		r.scratch.convert(out, p, conversion(from, t.color))
	}
}

// turn turns and mirrors planes into a picture of t's size.
func (r *renderer) turn(p planes, t target, format astiav.PixelFormat, o orientation) (planes, frame, error) {
	f, err := r.picture("turned", t.w, t.h, format)
	if err != nil {
		return nil, frame{}, err
	}
	out := planesOf(f, len(p))
	for i := range p {
		turn(out[i], p[i], o)
	}
	return out, f, nil
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

// background returns a colour in libav's order of components.
func background(rgb RGB, format astiav.PixelFormat, c colorimetry) [4]uint32 {
	color := c.ycc(rgb)
	if format == astiav.PixelFormatRgb24 || format == astiav.PixelFormatBgr24 {
		color = rgb
	}
	return [4]uint32{uint32(color[0]), uint32(color[1]), uint32(color[2]), 255}
}
