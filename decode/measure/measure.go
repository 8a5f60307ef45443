//go:build cgo

package measure

/*
#cgo CFLAGS: -O3
#include "measure.h"
*/
import "C"

import (
	"errors"
	"math"
	"unsafe"
)

// coarsest is the largest factor of Shrink: so many samples of 16 bits, squared, add up to less than 1 << 31.
const coarsest = 181

var errPlane = errors.New("a plane that cannot be measured: wrong size, stride or depth")

// Plane is a plane of luma as it is decoded. It is only read.
type Plane struct {
	// Data begins with the first sample. Samples of 8 bits are bytes; those of 9 to 16 bits are words in the byte order of the machine.
	// Stride is the distance between two rows in bytes.
	Data   []byte
	Stride int
	// W and H are in samples.
	W, H int
	// Depth is in bits, 8 to 16.
	Depth int
	// Full is set if 0 is black and the largest value white. Otherwise these are 16 and 235, in 8 bits.
	Full bool
}

// Shrink returns the small picture of a plane, of the size that Size states. A pixel is the average of its samples; that is converted to full
// range, rounded once, and clipped. The caller owns the picture. It is an error if Data is shorter than W and H say, or if a side
// is longer than 57,920.
func Shrink(p Plane) (Picture, error) {
	w, h, factor := Size(p.W, p.H)
	size := 1
	if p.Depth > 8 {
		size = 2
	}
	if w == 0 || factor > coarsest || p.Depth < 8 || p.Depth > 16 || p.Stride < p.W*size || p.Stride%size != 0 ||
		len(p.Data) < p.W*size || (len(p.Data)-p.W*size)/p.Stride < p.H-1 {
		return Picture{}, errPlane
	}
	out := Picture{W: w, H: h, Pix: make([]byte, w*h)}
	C.kvsf_shrink(pixels(out), (*C.uint8_t)(unsafe.SliceData(p.Data)), C.ptrdiff_t(p.Stride), C.int(p.W), C.int(p.H), C.int(p.Depth), flag(p.Full), C.int(factor))
	return out, nil
}

// Black returns the percentage of pixels that are less than threshold. blackframe states the whole percents of it.
func Black(p Picture, threshold int) float64 {
	n := p.W * p.H
	if n == 0 {
		return 0
	}
	return float64(100*int(C.kvsf_below(pixels(p), C.int(n), C.int(threshold)))) / float64(n)
}

// Blur returns the mean width of the picture's edges in pixels, as blurdetect does with its default settings. It is 0 where no edge
// can be measured, as in a picture of one colour; ffmpeg has no number for that.
func Blur(p Picture) float64 {
	if p.W*p.H == 0 {
		return 0
	}
	buffer := make([]uint16, (5*p.W*p.H+1)/2)
	var e C.kvsf_edges
	C.kvsf_blur(pixels(p), C.int(p.W), C.int(p.H), unsafe.Pointer(unsafe.SliceData(buffer)), &e)
	// An edge across is measured in steps of 0.7 pixels.
	sum := 10*uint64(e.straight) + 7*uint64(e.diagonal)
	if sum < 20 {
		return 0
	}
	return float64(sum) / float64(10*uint64(e.count))
}

// Quality returns a score that is high for sharp and well exposed pictures: the root of the mean square of differences between neighbours, in
// levels of 256, times the root of the number of levels that the picture uses.
func Quality(p Picture) float64 {
	n := (p.W - 1) * (p.H - 1)
	if n <= 0 {
		return 0
	}
	sharp := math.Sqrt(float64(C.kvsf_gradients(pixels(p), C.int(p.W), C.int(p.H))) / float64(n))
	var count [256]C.uint32_t
	C.kvsf_levels(pixels(p), C.int(p.W*p.H), &count[0])
	var squares uint64
	for _, c := range count {
		squares += uint64(c) * uint64(c)
	}
	return sharp * float64(p.W*p.H) / math.Sqrt(float64(squares))
}

// Hash returns the dHash of a picture: of 9 x 8 cells, whether each is brighter than the next to the right, from the top left at the highest bit on.
func Hash(p Picture) (hash uint64) {
	if p.W*p.H == 0 {
		return 0
	}
	const columns, rows = 9, 8
	var sums [columns * rows]C.uint32_t
	C.kvsf_cells(pixels(p), C.int(p.W), C.int(p.H), columns, rows, &sums[0])
	for y := range rows {
		for x := range columns - 1 {
			hash <<= 1
			if sums[y*columns+x] > sums[y*columns+x+1] {
				hash |= 1
			}
		}
	}
	return hash
}

// pixels returns where the pixels of a picture begin. Too few of them are a mistake of the caller.
func pixels(p Picture) *C.uint8_t {
	_ = p.Pix[:p.W*p.H]
	return (*C.uint8_t)(unsafe.SliceData(p.Pix))
}

func flag(b bool) C.int {
	if b {
		return 1
	}
	return 0
}

// setPlainLoops makes all use the loops without vector instructions, for tests.
func setPlainLoops(plain bool) { C.kvsf_measure_plain = flag(plain) }
