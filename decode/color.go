package decode

import "math"

// colorimetry is the relation of YCbCr values to colours.
type colorimetry struct {
	matrix Matrix // never auto
	full   bool
}

// jfif is the colorimetry of every JPEG (JPEG File Interchange Format 1.02:
// CCIR 601, 256 levels).
var jfif = colorimetry{matrix: MatrixBT601, full: true}

// Matrices that only tags of streams name, not settings (ITU-T H.273, table 4).
const (
	matrixFCC   Matrix = "fcc"
	matrix240M  Matrix = "smpte240m"
	matrixYCgCo Matrix = "ycgco"
)

// lumaWeights are the weights of red and blue in luma (ITU-R BT.601-7 2.5.1, BT.709-6
// 3.2, BT.2020-2 table 4, ITU-T H.273 8.3).
var lumaWeights = map[Matrix][2]float64{
	MatrixBT601:  {0.299, 0.114},
	MatrixBT709:  {0.2126, 0.0722},
	MatrixBT2020: {0.2627, 0.0593},
	matrix240M:   {0.212, 0.087},
	matrixFCC:    {0.30, 0.11},
	matrixYCgCo:  {0.25, 0.25},
}

// luma returns the weights of red and blue in luma.
func (c colorimetry) luma() (kr, kb float64) {
	weights := lumaWeights[c.matrix]
	return weights[0], weights[1]
}

// levels returns the value of black and the spans of luma and chroma, of 255.
func (c colorimetry) levels() (black, luma, chroma float64) {
	if c.full {
		return 0, 255, 255
	}
	return 16, 219, 224
}

// ycc converts an RGB colour to YCbCr.
func (c colorimetry) ycc(rgb RGB) [3]uint8 {
	kr, kb := c.luma()
	r, g, b := float64(rgb[0])/255, float64(rgb[1])/255, float64(rgb[2])/255
	y := kr*r + (1-kr-kb)*g + kb*b
	u, v := (b-y)/(2*(1-kb)), (r-y)/(2*(1-kr))
	if c.matrix == matrixYCgCo {
		u, v = g-y, (r-b)/2
	}
	black, luma, chroma := c.levels()
	level := func(v float64) uint8 { return uint8(math.Round(min(max(v, 0), 255))) }
	return [3]uint8{level(black + luma*y), level(128 + chroma*u), level(128 + chroma*v)}
}

// yuvMatrix converts YCbCr from one colorimetry to another. Grey stays grey, so chroma
// does not depend on luma, and luma depends on chroma only where the two matrices
// differ. With u and v relative to their middle:
//
//	y' = yGain*y + yFromU*u + yFromV*v + yBase
//	u' = uFromU*u + uFromV*v
//	v' = vFromU*u + vFromV*v
//
// in the fixed point of color.c: yGain has gainBits fraction bits, weights of chroma have
// weightBits, and yBase, which is relative to level 128 and includes rounding, has levelBits.
// The layout is that of kvsf_matrix.
type yuvMatrix struct {
	yGain                  uint16
	yFromU, yFromV, yBase  int16
	uFromU, uFromV, vFromU int16
	vFromV                 int16
}

const (
	gainBits   = 15
	weightBits = 14
	levelBits  = 6
)

func gain(f float64) uint16  { return uint16(math.Round(f * (1 << gainBits))) }
func weight(f float64) int16 { return int16(math.Round(f * (1 << weightBits))) }

// base converts an offset of luma in levels. It adds half a level for rounding, and half of the
// last bit because color.c truncates.
func base(f float64) int16 {
	return int16(math.Round((f-128)*(1<<levelBits) + 1<<(levelBits-1) + 0.5))
}

// chroma returns what a unit of the first chroma (Cb, or Cg) and of the second adds to red, green and blue.
func (c colorimetry) chroma() [2][3]float64 {
	if c.matrix == matrixYCgCo {
		return [2][3]float64{{-1, 1, -1}, {1, 0, -1}}
	}
	kr, kb := c.luma()
	blue, red := 2*(1-kb), 2*(1-kr)
	kg := 1 - kr - kb
	return [2][3]float64{{0, -kb / kg * blue, blue}, {red, -kr / kg * red, 0}}
}

// conversion returns the matrix that converts from one colorimetry to another.
func conversion(from, to colorimetry) yuvMatrix {
	tr, tb := to.luma()
	// The new luma and chroma per unit of the old chroma at luma 0.
	var y, u, v [2]float64
	for i, c := range from.chroma() {
		y[i] = tr*c[0] + (1-tr-tb)*c[1] + tb*c[2]
		u[i] = (c[2] - y[i]) / (2 * (1 - tb))
		v[i] = (c[0] - y[i]) / (2 * (1 - tr))
	}
	if from.matrix == to.matrix {
		y, u, v = [2]float64{}, [2]float64{1, 0}, [2]float64{0, 1}
	}
	black, luma, chroma := from.levels()
	newBlack, newLuma, newChroma := to.levels()
	return yuvMatrix{
		yGain: gain(newLuma / luma), yFromU: weight(newLuma / chroma * y[0]), yFromV: weight(newLuma / chroma * y[1]),
		yBase:  base(newBlack - black*newLuma/luma),
		uFromU: weight(newChroma / chroma * u[0]), uFromV: weight(newChroma / chroma * u[1]),
		vFromU: weight(newChroma / chroma * v[0]), vFromV: weight(newChroma / chroma * v[1]),
	}
}

// rgbMatrix converts YCbCr to RGB, in the same fixed point. rFromV and bFromU are 1 to 3 and
// stored less 1. If mixed is set, both chromas contribute to all three colours, all weights
// are below 2, and none is stored less 1 (YCgCo).
type rgbMatrix struct {
	yGain                                uint16
	base, rFromV, gFromU, gFromV, bFromU int16
	mixed                                bool
	rFromU, bFromV                       int16
}

func (c colorimetry) toRGB() rgbMatrix {
	per := c.chroma()
	black, luma, chroma := c.levels()
	m := rgbMatrix{
		yGain: gain(255 / luma), base: base(-black * 255 / luma),
		gFromU: weight(255 / chroma * per[0][1]), gFromV: weight(255 / chroma * per[1][1]),
		rFromU: weight(255 / chroma * per[0][0]), bFromV: weight(255 / chroma * per[1][2]),
	}
	over := 1.0
	if m.mixed = m.rFromU != 0 || m.bFromV != 0; m.mixed {
		over = 0
	}
	m.rFromV, m.bFromU = weight(255/chroma*per[1][0]-over), weight(255/chroma*per[0][2]-over)
	return m
}
