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
	"slices"
	"sync"
	"unsafe"
)

// coarsest is the largest factor of Shrink, for which its sums and their scale have room.
const coarsest = 181

var errPlane = errors.New("a plane that cannot be measured: wrong size, stride or depth")

// scratch holds memory that Blur uses.
var scratch = sync.Pool{New: func() any { return new([]byte) }}

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

// Shrink returns the small picture of a plane, of the size that Size states. A pixel is the average of samples of its block: of those of two rows,
// at a quarter and at three quarters of the block's height, or of all if it has less than four. The average is converted to full range, rounded
// once, and clipped. The picture is written to buf if that has room for it, and is the caller's. It is an error if Data is shorter than W and
// H say, or if a side is longer than 57,920.
func Shrink(buf []byte, p Plane) (Picture, error) {
	w, h, factor := Size(p.W, p.H)
	size := 1
	if p.Depth > 8 {
		size = 2
	}
	if w == 0 || factor > coarsest || p.Depth < 8 || p.Depth > 16 || p.Stride < p.W*size || p.Stride%size != 0 ||
		len(p.Data) < p.W*size || (len(p.Data)-p.W*size)/p.Stride < p.H-1 {
		return Picture{}, errPlane
	}
	out := Picture{W: w, H: h, Pix: slices.Grow(buf[:0], w*h)[:w*h]}
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

// absolute returns the sum of absolute differences of two pictures of one size.
func absolute(a, b Picture) uint64 {
	return uint64(C.kvsf_absolute(pixels(a), pixels(b), C.ptrdiff_t(a.W*a.H)))
}

// Blur returns the mean width of the picture's edges in pixels, as blurdetect does with its default settings. It is 0 where no edge
// can be measured, as in a picture of one colour; ffmpeg has no number for that.
func Blur(p Picture) float64 {
	if p.W*p.H == 0 {
		return 0
	}
	buffer := scratch.Get().(*[]byte)
	defer scratch.Put(buffer)
	if size := int(C.kvsf_blur_scratch(C.int(p.W), C.int(p.H))); len(*buffer) < size {
		*buffer = make([]byte, size)
	}
	var e C.kvsf_edges
	C.kvsf_blur(pixels(p), C.int(p.W), C.int(p.H), unsafe.Pointer(unsafe.SliceData(*buffer)), &e)
	// An edge across is measured in steps of 0.7 pixels.
	sum := 10*uint64(e.straight) + 7*uint64(e.diagonal)
	if sum < 20 {
		return 0
	}
	return float64(sum) / float64(10*uint64(e.count))
}

// Quality returns a score, 0 to 1442, that is higher for sharp and well exposed pictures than for the same ones blurred, faded, too bright or mixed with
// others. It is the root of the mean square of differences between neighbours, in levels of 256, times the fourth root of the number of levels that the
// picture makes use of: 1 divided by the sum of squares of the parts of pixels that have each level.
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
	levels := float64(p.W*p.H) * float64(p.W*p.H) / float64(squares)
	return sharp * math.Sqrt(math.Sqrt(levels))
}

// Hash returns 63 bits by which pictures that look alike can be told from others: for each of the 8 x 8 lowest frequencies of the discrete cosine
// transform (of 16 x 16 cells), but for the mean, whether its wave has an amplitude of more than a quarter of a level. So what there is of a flat wall or of the night but noise
// is no bit. The bit of frequency u along a row and v along a column is bit 8*v+u.
func Hash(p Picture) (hash uint64) {
	if p.W*p.H == 0 {
		return 0
	}
	const cells, frequencies = C.KVSF_CELLS, 8
	var means [cells * cells]C.int32_t
	C.kvsf_cells(&means[0], pixels(p), C.int(p.W), C.int(p.H))
	for v := range frequencies {
		var row [cells]int64
		for y := range cells {
			for x := range cells {
				row[x] += int64(means[y*cells+x]) * cosine(v*(2*y+1))
			}
		}
		for u := range frequencies {
			sum := int64(0)
			for x := range cells {
				sum += row[x] * cosine(u*(2*x+1))
			}
			// Means are in 16ths of a level, each cosine is in 4096ths, and a wave of one level adds up to half of the cells along each axis
			// along which it changes.
			quarter := int64(16 * 4096 * 4096 * (cells * cells / 4) / 4)
			if u == 0 || v == 0 {
				quarter *= 2
			}
			if u+v > 0 && sum > quarter {
				hash |= 1 << (frequencies*v + u)
			}
		}
	}
	return hash
}

// cosine returns the cosine of n/32 half turns in 4096ths.
func cosine(n int) int64 {
	n &= 63
	if n > 32 {
		n = 64 - n
	}
	if n > 16 {
		return -quarterWave[32-n]
	}
	return quarterWave[n]
}

// quarterWave is round(4096 * cos(pi * i / 32)).
var quarterWave = [17]int64{4096, 4076, 4017, 3920, 3784, 3612, 3406, 3166, 2896, 2598, 2276, 1931, 1567, 1189, 799, 401, 0}

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

// The sets of loops: without vector instructions, and with those of x86-64.
const (
	loopsPlain  = C.PLAIN
	loopsAVX2   = C.AVX2
	loopsAVX512 = C.AVX512
)

// setLoops makes all use these loops at most, for tests.
func setLoops(most int) { C.kvsf_measure_most = C.int(most) }
