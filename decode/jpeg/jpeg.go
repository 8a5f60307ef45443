//go:build cgo

// Package jpeg writes pictures with 4:2:0 chroma as baseline JPEGs, as small as those of libavcodec and in half of the time.
// Every pixel is handled in C with vector instructions, if the processor has them; the bytes are the same everywhere.
//
//	encoder := jpeg.NewEncoder()
//	defer encoder.Close()
//	data, err := encoder.Encode(jpeg.FromPlanes(width, height, luma, cb, cr), 85, nil)
//
// Samples have the colorimetry of JFIF: BT.601 with 256 levels. A picture of another colorimetry can be converted while it is
// encoded, one row of macroblocks at a time (see [Picture]).
package jpeg

/*
#cgo CFLAGS: -O3
#include "jpeg.h"
*/
import "C"

import (
	"errors"
	"fmt"
	"runtime"
	"unsafe"
)

// maxSide is the largest width and height of a JPEG in pixels.
const maxSide = 65535

// sampledRows is about how many rows of macroblocks a picture's Huffman tables are computed
// from. All rows of a small picture are used.
const sampledRows = 8

// keptBytes is the largest buffer that is kept for the next picture.
const keptBytes = 8 << 20

// LumaRows is the number of rows of luma in a row of macroblocks; those of chroma are half as many.
const LumaRows = 16

var (
	errMemory = errors.New("no memory for a JPEG")
	errShort  = errors.New("a plane is shorter than its part of the picture")
)

// Plane is a plane of samples of one byte.
type Plane struct {
	// Data begins with the first sample. Stride is the distance between two rows in bytes.
	Data   []byte
	Stride int
}

// Rows is a row of macroblocks: 16 rows of luma and 8 of each chroma, or what is left at the bottom of the picture.
type Rows struct {
	// Planes are luma, Cb and Cr.
	Planes [3]Plane
	// Ahead is memory that is read soon and should be prefetched: the same planes, or those that the next row is converted from.
	Ahead [3]Plane
}

// Picture is a picture to encode.
type Picture struct {
	// Width and Height are its size in pixels, 1 to 65535.
	Width, Height int
	// Rows returns row y of macroblocks, counted from 0. The encoder may ask for a row twice, and does not use a row after it has
	// asked for another one.
	Rows func(y int) Rows
}

// FromPlanes returns the picture that complete planes hold.
func FromPlanes(width, height int, luma, cb, cr Plane) Picture {
	return Picture{Width: width, Height: height, Rows: func(y int) Rows {
		var r Rows
		for i, p := range [3]Plane{luma, cb, cr} {
			at := min(sideOf(i)*y*p.Stride, len(p.Data))
			r.Planes[i] = Plane{p.Data[at:], p.Stride}
		}
		r.Ahead = r.Planes
		return r
	}}
}

// sideOf returns the side of a macroblock in plane i.
func sideOf(i int) int {
	if i == 0 {
		return LumaRows
	}
	return LumaRows / 2
}

// Encoder writes JPEGs. It reuses memory, and must be used by one goroutine at a time.
type Encoder struct {
	scan  C.kvsf_jpeg_scan
	plain plainness
}

// plainness selects the vector instructions that are left out, for tests: 0 none, 1 all, 2 those of AVX-512.
type plainness = C.int

// NewEncoder returns an encoder, which must be closed.
func NewEncoder() *Encoder { return &Encoder{} }

// Close frees the encoder's memory.
func (e *Encoder) Close() { C.kvsf_jpeg_free(&e.scan) }

// Encode returns p as a JPEG of a quality of 1 to 100, in newly allocated memory, with extra segments (such as APP1) after its JFIF header.
func (e *Encoder) Encode(p Picture, quality int, segments []byte) ([]byte, error) {
	if min(p.Width, p.Height) < 1 || max(p.Width, p.Height) > maxSide || quality < 1 || quality > 100 {
		return nil, fmt.Errorf("a picture of %dx%d pixels at quality %d cannot be a JPEG", p.Width, p.Height, quality)
	}
	defer func() {
		if e.scan.capacity > keptBytes {
			C.kvsf_jpeg_free(&e.scan)
		}
	}()
	q := quantisersAt(quality)
	var t C.kvsf_jpeg_tables
	setQuantisers(&t, &q)
	huffman, err := e.huffman(p, &t)
	if err != nil {
		return nil, err
	}
	setCodes(&t, &huffman)
	C.kvsf_jpeg_begin(&e.scan)
	for y := range p.rows() {
		err := p.row(y, func(r *C.kvsf_jpeg_row, h C.int) error {
			return inMemory(C.kvsf_jpeg_put_row(r, C.int(p.Width), h, &t, e.plain, &e.scan))
		})
		if err != nil {
			return nil, err
		}
	}
	if err := inMemory(C.kvsf_jpeg_end(&e.scan)); err != nil {
		return nil, err
	}
	scan := unsafe.Slice((*byte)(unsafe.Pointer(e.scan.data)), int(e.scan.size))
	header := header(p.Width, p.Height, &q, &huffman, segments)
	out := make([]byte, 0, len(header)+len(scan)+2)
	out = append(append(out, header...), scan...)
	return append(out, 0xff, 0xd9), nil
}

func inMemory(ok C.int) error {
	if ok == 0 {
		return errMemory
	}
	return nil
}

// rows returns the number of rows of macroblocks.
func (p Picture) rows() int { return (p.Height + LumaRows - 1) / LumaRows }

// row calls use with row y, and with the number of rows of samples from it to the bottom of the picture.
func (p Picture) row(y int, use func(r *C.kvsf_jpeg_row, h C.int) error) error {
	rows := p.Rows(y)
	var pin runtime.Pinner
	defer pin.Unpin()
	var r C.kvsf_jpeg_row
	for i, plane := range rows.Planes {
		w, h := p.Width, p.Height
		if i > 0 {
			w, h = (w+1)/2, (h+1)/2
		}
		h = min(h-sideOf(i)*y, sideOf(i))
		if plane.Stride < w || len(plane.Data) < (h-1)*plane.Stride+w {
			return errShort
		}
		data, ahead := unsafe.SliceData(plane.Data), unsafe.SliceData(rows.Ahead[i].Data)
		pin.Pin(data)
		if ahead != nil {
			pin.Pin(ahead)
		}
		r.data[i], r.stride[i] = (*C.uint8_t)(data), C.ptrdiff_t(plane.Stride)
		r.ahead[i], r.ahead_stride[i] = (*C.uint8_t)(ahead), C.ptrdiff_t(rows.Ahead[i].Stride)
	}
	return use(&r, C.int(p.Height-LumaRows*y))
}

// huffman returns the tables for a picture: the optimal ones if it is small, else
// those for a sample of its rows, with a code for every symbol.
func (e *Encoder) huffman(p Picture, t *C.kvsf_jpeg_tables) (h huffmanTables, err error) {
	step := max(1, p.rows()/sampledRows)
	var c C.kvsf_jpeg_counts
	C.kvsf_jpeg_begin(&e.scan)
	for y := step / 2; y < p.rows(); y += step {
		err := p.row(y, func(r *C.kvsf_jpeg_row, h C.int) error {
			C.kvsf_jpeg_count_row(r, C.int(p.Width), h, t, e.plain, &e.scan, &c)
			return nil
		})
		if err != nil {
			return h, err
		}
	}
	for i := range h.dc {
		dc := (*[16]uint32)(unsafe.Pointer(&c.dc[i]))
		ac := (*[256]uint32)(unsafe.Pointer(&c.ac[i]))
		if step > 1 {
			countAll(dc, ac)
		}
		h.dc[i], h.ac[i] = newHuffmanTable(dc[:]), newHuffmanTable(ac[:])
	}
	return h, nil
}

func setQuantisers(t *C.kvsf_jpeg_tables, q *quantTable) {
	for i, v := range q {
		at := i%8*8 + i/8 // rows become columns
		t.reciprocal[at] = C.uint16_t((4096 + int(v)/2) / int(v))
		t.bias[at] = C.uint16_t(rounding(i, v))
	}
}

// setCodes stores each code, shifted to make room for its extra bits.
func setCodes(t *C.kvsf_jpeg_tables, h *huffmanTables) {
	entry := func(code uint32, length, extra int) C.uint32_t {
		return C.uint32_t(code<<extra<<5 | uint32(length+extra))
	}
	for i := range h.dc {
		h.dc[i].codes(func(symbol uint8, code uint32, length int) {
			t.dc[i][symbol] = entry(code, length, int(symbol))
		})
		h.ac[i].codes(func(symbol uint8, code uint32, length int) {
			t.ac[i][symbol] = entry(code, length, int(symbol&15))
		})
	}
}
