package decode

import "math"

// colorimetry says how YCbCr values stand for colours.
type colorimetry struct {
	matrix Matrix // never auto
	full   bool
}

// jfif is the colorimetry of every JPEG (JPEG File Interchange Format 1.02:
// CCIR 601, 256 levels).
var jfif = colorimetry{matrix: MatrixBT601, full: true}

// luma returns the weights of red and blue in luma (ITU-R BT.601-7 2.5.1, BT.709-6
// 3.2, BT.2020-2 table 4).
func (c colorimetry) luma() (kr, kb float64) {
	switch c.matrix {
	case MatrixBT709:
		return 0.2126, 0.0722
	case MatrixBT2020:
		return 0.2627, 0.0593
	default:
		return 0.299, 0.114
	}
}

// levels returns the value of black and the spans of luma and chroma, of 255.
func (c colorimetry) levels() (black, luma, chroma float64) {
	if c.full {
		return 0, 255, 255
	}
	return 16, 219, 224
}

// ycc returns an RGB colour in these terms.
func (c colorimetry) ycc(rgb RGB) [3]uint8 {
	kr, kb := c.luma()
	r, g, b := float64(rgb[0])/255, float64(rgb[1])/255, float64(rgb[2])/255
	y := kr*r + (1-kr-kb)*g + kb*b
	black, luma, chroma := c.levels()
	level := func(v float64) uint8 { return uint8(math.Round(min(max(v, 0), 255))) }
	return [3]uint8{
		level(black + luma*y),
		level(128 + chroma*(b-y)/(2*(1-kb))),
		level(128 + chroma*(r-y)/(2*(1-kr))),
	}
}

// yuvShift is the number of fraction bits of a yuvMatrix.
const yuvShift = 14

// yuvMatrix turns YCbCr of one colorimetry into another's, in fixed point. Grey
// stays grey in both, so chroma does not depend on luma, and luma takes from
// chroma only what the two matrices differ by:
//
//	y' = (yGain*y + yFromU*u + yFromV*v + yBase) >> yuvShift
//	u' = (uFromU*u + uFromV*v + uBase) >> yuvShift
//	v' = (vFromU*u + vFromV*v + vBase) >> yuvShift
type yuvMatrix struct {
	yGain, yFromU, yFromV, yBase int32
	uFromU, uFromV, uBase        int32
	vFromU, vFromV, vBase        int32
}

// conversion returns the matrix that turns from into to.
func conversion(from, to colorimetry) yuvMatrix {
	fr, fb := from.luma()
	tr, tb := to.luma()
	fg, tg := 1-fr-fb, 1-tr-tb
	// Per unit of the old chroma, at luma 0: red, green and blue, then the new
	// luma and chroma.
	red := [2]float64{0, 2 * (1 - fr)}
	blue := [2]float64{2 * (1 - fb), 0}
	green := [2]float64{-fb / fg * blue[0], -fr / fg * red[1]}
	var y, u, v [2]float64
	for i := range y {
		y[i] = tr*red[i] + tg*green[i] + tb*blue[i]
		u[i] = (blue[i] - y[i]) / (2 * (1 - tb))
		v[i] = (red[i] - y[i]) / (2 * (1 - tr))
	}
	black, luma, chroma := from.levels()
	newBlack, newLuma, newChroma := to.levels()
	fixed := func(f float64) int32 { return int32(math.Round(f * (1 << yuvShift))) }
	m := yuvMatrix{
		yGain: fixed(newLuma / luma), yFromU: fixed(newLuma / chroma * y[0]), yFromV: fixed(newLuma / chroma * y[1]),
		uFromU: fixed(newChroma / chroma * u[0]), uFromV: fixed(newChroma / chroma * u[1]),
		vFromU: fixed(newChroma / chroma * v[0]), vFromV: fixed(newChroma / chroma * v[1]),
	}
	// The offsets, and half a level to round.
	m.yBase = fixed(newBlack+0.5) - m.yGain*int32(black) - 128*(m.yFromU+m.yFromV)
	m.uBase = fixed(128+0.5) - 128*(m.uFromU+m.uFromV)
	m.vBase = fixed(128+0.5) - 128*(m.vFromU+m.vFromV)
	return m
}

// grayTable returns the full-range value of each luma value.
func (c colorimetry) grayTable() [256]uint8 {
	black, luma, _ := c.levels()
	var t [256]uint8
	for i := range t {
		t[i] = uint8(math.Round(min(max((float64(i)-black)*255/luma, 0), 255)))
	}
	return t
}
