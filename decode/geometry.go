package decode

// rect is a part of a picture, in pixels.
type rect struct{ x, y, w, h int }

// geometry describes how a picture of one size becomes an image of another: the crop is
// scaled to the size of inner, which lies on a canvas of w x h.
type geometry struct {
	crop  rect
	inner rect
	w, h  int
}

// padded reports whether there is canvas around the picture.
func (g geometry) padded() bool { return g.inner != rect{0, 0, g.w, g.h} }

// geometry returns the geometry of the image for a source of sw x sh pixels.
func (r Resize) geometry(sw, sh int) geometry {
	w, h := r.box(sw, sh)
	whole := rect{0, 0, sw, sh}
	switch r.Fit {
	case FitStretch:
		if !r.Upscale {
			w, h = min(w, sw), min(h, sh)
		}
		return geometry{crop: whole, inner: rect{0, 0, w, h}, w: w, h: h}
	case FitCover:
		return r.cover(sw, sh, w, h)
	case FitPad:
		iw, ih := r.within(sw, sh, w, h)
		// The inner picture starts at an even pixel, so that chroma samples of
		// 4:2:0 formats are whole.
		return geometry{crop: whole, inner: rect{(w - iw) / 2 &^ 1, (h - ih) / 2 &^ 1, iw, ih}, w: w, h: h}
	default:
		w, h = r.within(sw, sh, w, h)
		return geometry{crop: whole, inner: rect{0, 0, w, h}, w: w, h: h}
	}
}

// box returns the requested size. A side of 0 follows from the aspect ratio.
func (r Resize) box(sw, sh int) (w, h int) {
	switch {
	case r.Width == 0 && r.Height == 0:
		return sw, sh
	case r.Width == 0:
		return scaled(sw, r.Height, sh), r.Height
	case r.Height == 0:
		return r.Width, scaled(sh, r.Width, sw)
	default:
		return r.Width, r.Height
	}
}

// within returns the largest size of the source's aspect ratio in a box of w x h.
func (r Resize) within(sw, sh, w, h int) (int, int) {
	if !r.Upscale && sw <= w && sh <= h {
		return sw, sh
	}
	if r.Width == 0 || r.Height == 0 { // the box has the aspect ratio already
		return w, h
	}
	if int64(sw)*int64(h) > int64(w)*int64(sh) { // wider than the box
		return w, min(h, scaled(sh, w, sw))
	}
	return min(w, scaled(sw, h, sh)), h
}

// cover crops the source around its centre to the aspect ratio of w x h. Without
// upscaling, a box larger than the source shrinks and keeps its aspect ratio.
func (r Resize) cover(sw, sh, w, h int) geometry {
	crop := rect{0, 0, sw, sh}
	if int64(sw)*int64(h) > int64(w)*int64(sh) {
		crop.w = min(sw, scaled(w, sh, h))
	} else {
		crop.h = min(sh, scaled(h, sw, w))
	}
	crop.x, crop.y = (sw-crop.w)/2&^1, (sh-crop.h)/2&^1
	if !r.Upscale && (crop.w < w || crop.h < h) {
		w, h = crop.w, crop.h
	}
	return geometry{crop: crop, inner: rect{0, 0, w, h}, w: w, h: h}
}

// scaled returns n*num/den, rounded to the nearest and at least 1.
func scaled(n, num, den int) int {
	return max(1, int((int64(n)*int64(num)*2+int64(den))/(int64(den)*2)))
}

// orientation is how a picture must be turned: rows become columns if swap, then it is
// mirrored from left to right and from top to bottom.
type orientation struct{ swap, flipX, flipY bool }

// size returns the size of a turned picture of w x h.
func (o orientation) size(w, h int) (int, int) {
	if o.swap {
		return h, w
	}
	return w, h
}

// source returns the part of a picture of w x h that becomes r when it is turned.
func (o orientation) source(r rect, w, h int) rect {
	w, h = o.size(w, h)
	if o.flipX {
		r.x = w - r.x - r.w
	}
	if o.flipY {
		r.y = h - r.y - r.h
	}
	if o.swap {
		r = rect{r.y, r.x, r.h, r.w}
	}
	return r
}

// widest is the largest ratio of a pixel's sides that is plausible.
const widest = 16

// squared returns the width in square pixels of a row of w pixels with the aspect ratio num:den.
func squared(w, num, den int) int {
	if num <= 0 || den <= 0 || num > widest*den || den > widest*num {
		return w
	}
	return scaled(w, num, den)
}
