// Package measure computes what the samplers scene and best, and the filters black, blur and duplicate, decide by: numbers of
// a small luma picture. Where ffmpeg has such a number, it is the same for the same picture: those of the filters blackframe,
// scdet and blurdetect.
//
//	picture, err := measure.Shrink(nil, measure.Plane{Data: luma, Stride: stride, W: 1920, H: 1080, Depth: 8})
//	if measure.Black(picture, 32) >= 98 || measure.Blur(picture) > 6 {
//		// not this one
//	}
//
// All numbers come from integers and from operations that IEEE 754 rounds exactly, so they are the same on every processor.
// What compares two pictures builds without cgo; what reads one does not.
package measure

import (
	"math"
	"math/bits"
)

// longest is the greatest width and height of a Picture that Shrink makes.
const longest = 320

// Picture is a small luma picture: rows of W bytes without padding, from the top, 0 for black and 255 for white.
type Picture struct {
	W, H int
	Pix  []byte
}

// Size returns what Shrink makes of w x h samples: a picture of sw x sh pixels, each for a block of factor x factor samples, or of fewer
// at the right and at the bottom. It is the least factor that makes the longer side 320 or less.
func Size(w, h int) (sw, sh, factor int) {
	if w <= 0 || h <= 0 {
		return 0, 0, 1
	}
	factor = (max(w, h)-1)/longest + 1
	return (w-1)/factor + 1, (h-1)/factor + 1, factor
}

// Difference returns the mean absolute difference of the pixels of two pictures in percent of 256 levels, which scdet calls
// mafd. It is 100, more than two pictures of one size can differ by, if their sizes are not equal.
func Difference(a, b Picture) float64 {
	if a.W != b.W || a.H != b.H {
		return 100
	}
	n := a.W * a.H
	if n == 0 {
		return 0
	}
	return float64(absolute(a, b)) * 100 / float64(n) / 256
}

// Scene returns scdet's score of a picture, 0 to 100, from its Difference to the picture before it and from the Difference of that one to
// the one before: the lesser of the first and of their distance. So steady motion has low scores however fast it is.
// For the second picture of a stream, before is 0.
func Scene(mafd, before float64) float64 {
	return min(mafd, math.Abs(mafd-before))
}

// Distance returns in how many of its 64 bits one Hash differs from another.
func Distance(a, b uint64) int { return bits.OnesCount64(a ^ b) }
