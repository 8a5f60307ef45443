//go:build cgo

package decode

import (
	"strconv"

	"github.com/asticode/go-astiav"
)

// axes returns the scaling of plane p of s to an image of w x h pixels, in which a sample of
// chroma covers 1<<subsampled pixels. The crop is in square pixels, before the picture is turned.
func (s decoded) axes(p int, crop rect, w, h, subsampled int) (x, y axis) {
	pl := s.planes[p]
	x = axis{off: s.view.x*s.w + crop.x*s.view.w, size: crop.w * s.view.w, unit: s.w, dst: w, step: 1, samples: int(pl.w)}
	y = axis{off: s.view.y*s.h + crop.y*s.view.h, size: crop.h * s.view.h, unit: s.h, dst: h, step: 1, samples: int(pl.h)}
	if p > 0 {
		x.unit, y.unit = x.unit<<s.chromaX, y.unit<<s.chromaY
		x.step, y.step = 1<<subsampled, 1<<subsampled
	}
	return x.reduced(), y.reduced()
}

// scale scales the crop of src to w x h planes of the format, which is gray8, yuv420p or
// yuv444p. The frame holds the planes; it is the zero value if some are parts of src.
func (r *renderer) scale(src decoded, crop rect, w, h int, format astiav.PixelFormat) (planes, frame, error) {
	n, subsampled := 3, 0
	switch format {
	case astiav.PixelFormatGray8:
		n = 1
	case astiav.PixelFormatYuv420P:
		subsampled = 1
	}
	if src.passes(crop, w, h) && src.format == format {
		return src.planes[:n], src.frame, nil
	}
	holder, err := r.picture("scaled", w, h, format)
	if err != nil {
		return nil, frame{}, err
	}
	out, own := planesOf(holder, n), holder
	for p := range out {
		if p >= len(src.planes) { // a grey picture has no chroma
			setPlane(out[p], 128)
			continue
		}
		x, y := src.axes(p, crop, w, h, subsampled)
		if p > 0 && subsampled == 0 && src.chromaX == 1 && src.chromaLeft && x.shrinks() {
			x = x.shifted(1).reduced()
		}
		view, err := r.scalePlane(src, p, out[p], x, y)
		if err != nil {
			return nil, frame{}, err
		}
		if view.data != out[p].data {
			out[p], own = view, frame{}
		}
	}
	return out, own, nil
}

// passes reports whether the frame can be used unchanged.
func (s decoded) passes(crop rect, w, h int) bool {
	whole := rect{0, 0, s.frame.Width(), s.frame.Height()}
	return s.depth == 8 && s.field == bothFields && s.view == whole && s.w == whole.w &&
		crop == whole && w == whole.w && h == whole.h
}

// scalePlane scales plane p of src to dst and returns dst. If nothing has to be changed, it
// returns a part of src instead.
func (r *renderer) scalePlane(src decoded, p int, dst plane, x, y axis) (plane, error) {
	pl := src.planes[p]
	if src.field != bothFields && pl.h > 1 {
		second := src.field == bottomField
		// If the image has no more lines than the field, the other lines are not needed.
		if fy := y.field(second).reduced(); x.shrinks() && fy.shrinks() {
			return dst, r.shrink(dst, lines(pl, int(src.field-topField)), src, x, fy)
		}
		f, err := r.picture("field", src.frame.Width(), src.lines, src.format)
		if err != nil {
			return plane{}, err
		}
		whole := planesOf(f, p+1)[p]
		pl.h = min(pl.h, whole.h)
		oneField(whole, pl, second, src.depth)
		pl = whole
	}
	switch {
	case x.same() && y.same():
		view := part(pl, x.off/x.unit, y.off/y.unit, x.count(), y.count(), src.sampleSize())
		if src.depth == 8 {
			return view, nil
		}
		narrow(dst, view, src.depth, src.color.full)
		return dst, nil
	case x.shrinks() && y.shrinks():
		return dst, r.shrink(dst, pl, src, x, y)
	}
	if src.depth > 8 {
		f, err := r.picture("narrow"+strconv.Itoa(p), int(pl.w), int(pl.h), astiav.PixelFormatGray8)
		if err != nil {
			return plane{}, err
		}
		narrowed := planesOf(f, 1)[0]
		narrow(narrowed, pl, src.depth, src.color.full)
		pl = narrowed
	}
	return dst, r.enlarge(p, dst, pl, src, x, y)
}

func (s decoded) sampleSize() int {
	if s.depth > 8 {
		return 2
	}
	return 1
}

// shrink scales pl to dst by averaging areas.
func (r *renderer) shrink(dst, pl plane, src decoded, x, y axis) error {
	plan, err := r.areas.get(areaKey{x, y, src.depth, src.color.full}, newAreaPlan)
	if err != nil {
		return err
	}
	first, end := x.covers()
	r.scratch.area(dst, part(pl, first, 0, end-first, int(pl.h), src.sampleSize()), plan)
	return nil
}

// enlarge scales plane p, of bytes, if the area scaler does not support one of the directions.
func (r *renderer) enlarge(p int, dst, pl plane, src decoded, x, y axis) error {
	// The luma of a picture of twice the size doubles, too, but its samples lie differently from those of chroma.
	if p > 0 && src.chromaX == 1 && x.doubles() && (y.same() || y.doubles()) {
		from := part(pl, x.off/x.unit, y.off/y.unit, (x.count()+1)/2, int(dst.h), 1)
		if from.h = min(dst.h, pl.h); y.doubles() {
			from.h = (dst.h + 1) / 2
		}
		r.scratch.double(dst, from, src.chromaLeft, y.doubles())
		return nil
	}
	x0, x1 := x.covers()
	y0, y1 := y.covers()
	c, err := r.scalers.get(scalerKey{x1 - x0, y1 - y0, astiav.PixelFormatGray8, int(dst.w), int(dst.h), astiav.PixelFormatGray8}, newScaler)
	if err != nil {
		return err
	}
	return c.plane(dst, part(pl, x0, y0, x1-x0, y1-y0, 1))
}
