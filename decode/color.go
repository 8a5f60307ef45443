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

// yuvMatrix turns YCbCr of one colorimetry into another's. Grey stays grey in both, so
// chroma does not depend on luma, and luma takes from chroma only what the two
// matrices differ by. With u and v counted from their middle:
//
//	y' = yGain*y + yFromU*u + yFromV*v + yBase
//	u' = uFromU*u + uFromV*v
//	v' = vFromU*u + vFromV*v
//
// in the fixed point of color.c: yGain has gainBits fraction bits, weights of chroma have
// weightBits, and yBase, which counts from level 128 and rounds, has levelBits.
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

// base returns an offset of luma in levels, with half a level to round and half of the last
// bit, since color.c drops what is below it.
func base(f float64) int16 {
	return int16(math.Round((f-128)*(1<<levelBits) + 1<<(levelBits-1) + 0.5))
}

// chroma returns what a unit of Cb adds to blue, and of Cr to red, and what each adds to green.
func (c colorimetry) chroma() (blue, red, greenU, greenV float64) {
	kr, kb := c.luma()
	blue, red = 2*(1-kb), 2*(1-kr)
	kg := 1 - kr - kb
	return blue, red, -kb / kg * blue, -kr / kg * red
}

// conversion returns the matrix that turns from into to.
func conversion(from, to colorimetry) yuvMatrix {
	tr, tb := to.luma()
	// Red, green and blue per unit of the old chroma at luma 0, then the new luma and chroma.
	blue, red, greenU, greenV := from.chroma()
	rgb := [2][3]float64{{0, greenU, blue}, {red, greenV, 0}}
	var y, u, v [2]float64
	for i, c := range rgb {
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

// rgbMatrix turns YCbCr into RGB, in the same fixed point. Of the weights of v in red and of
// u in blue, which are 1 to 3, it holds what is above 1.
type rgbMatrix struct {
	yGain                                uint16
	base, rFromV, gFromU, gFromV, bFromU int16
}

func (c colorimetry) toRGB() rgbMatrix {
	blue, red, greenU, greenV := c.chroma()
	black, luma, chroma := c.levels()
	return rgbMatrix{
		yGain: gain(255 / luma), base: base(-black * 255 / luma),
		rFromV: weight(255/chroma*red - 1), gFromU: weight(255 / chroma * greenU),
		gFromV: weight(255 / chroma * greenV), bFromU: weight(255/chroma*blue - 1),
	}
}
