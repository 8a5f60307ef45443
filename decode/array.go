//go:build cgo

package decode

import (
	"encoding/binary"
	"math"
	"unsafe"

	"github.com/kvsframes/kvsframes/internal/npy"
)

// shape returns the shape of the array that a raw frame of w x h pixels is: rows, columns and channels of packed pixels, or rows and
// columns of one plane in which the chroma planes follow luma as further rows (half a row each, or a pair of samples). A picture
// of an odd size does not fill such rows and is one row of bytes. Other images are no arrays and have no shape.
func (o *Output) shape(w, h int) []int {
	switch {
	case !o.raw():
		return nil
	case o.PixelFormat == PixelNV12 || o.PixelFormat == PixelYUV420P:
		if w%2 == 0 && h%2 == 0 {
			return []int{h * 3 / 2, w}
		}
		return []int{w*h + 2*((w+1)/2)*((h+1)/2)}
	case o.Format == FormatNPY && o.PixelFormat == PixelGray:
		return []int{h, w}
	case o.Layout == LayoutCHW:
		return []int{o.PixelFormat.channels(), h, w}
	}
	return []int{h, w, o.PixelFormat.channels()}
}

// sampleType returns NumPy's name of the type of an array's samples.
func (o *Output) sampleType() string {
	if o.Normalize.asked() {
		return npy.Float32
	}
	return npy.Uint8
}

// sampleSize returns the size of an array's sample, in bytes.
func (o *Output) sampleSize() int {
	if o.Normalize.asked() {
		return 4
	}
	return 1
}

// array returns an npy file of packed pixels.
func array(p plane, o Output, shape []int) []byte {
	w, h, channels := int(p.w), int(p.h), o.PixelFormat.channels()
	data := make([]byte, npy.HeaderSize+w*h*channels*o.sampleSize())
	copy(data, npy.Header(o.sampleType(), shape...))
	out, tables := data[npy.HeaderSize:], o.Normalize.tables()
	for y := range h {
		row := unsafe.Slice((*byte)(unsafe.Add(unsafe.Pointer(p.data), y*int(p.stride))), w*channels)
		if o.Layout != LayoutCHW && tables == nil {
			copy(out[y*len(row):], row)
			continue
		}
		for c := range channels {
			at, step := y*w*channels+c, channels
			if o.Layout == LayoutCHW {
				at, step = (c*h+y)*w, 1
			}
			for x := c; x < len(row); x, at = x+channels, at+step {
				if tables == nil {
					out[at] = row[x]
				} else {
					binary.LittleEndian.PutUint32(out[4*at:], math.Float32bits(tables[c][row[x]]))
				}
			}
		}
	}
	return data
}

// tables returns, for each channel, what becomes of each value of a sample; nil if samples are not normalized.
func (n Normalize) tables() [][256]float32 {
	if !n.asked() {
		return nil
	}
	tables := make([][256]float32, len(n.Mean))
	for c := range tables {
		for x := range tables[c] {
			scaled := float32(x) / 255 // each step is rounded to single precision, as torch rounds it
			tables[c][x] = float32(scaled-float32(n.Mean[c])) / float32(n.Std[c])
		}
	}
	return tables
}
