//go:build cgo

package decode

/*
#include "jpeg.h"
*/
import "C"

import (
	"errors"
	"unsafe"
)

// sampledRows is about how many rows of macroblocks are looked at to make a picture's
// Huffman tables. A small picture has no more, and is looked at whole.
const sampledRows = 8

// keptBytes is the largest buffer that is kept for the next picture.
const keptBytes = 8 << 20

var errJPEGMemory = errors.New("no memory for a JPEG")

// jpegEncoder writes 4:2:0 pictures as baseline JPEGs.
type jpegEncoder struct {
	buffer C.kvsf_jpeg_buffer
	plain  plainness
}

// plainness is which vector instructions are left out, for tests: 0 none, 1 all, 2 those of AVX-512.
type plainness = C.int

func newJPEGEncoder() *jpegEncoder {
	openObjects.Add(1)
	return &jpegEncoder{}
}

func (e *jpegEncoder) free() {
	C.kvsf_jpeg_free(&e.buffer)
	openObjects.Add(-1)
}

// encode returns the JPEG of a frame of yuv420p, whose colours are in terms of from, with extra segments after its JFIF header.
func (e *jpegEncoder) encode(f frame, from colorimetry, q *quantTable, segments []byte) ([]byte, error) {
	defer func() {
		if e.buffer.capacity > keptBytes {
			C.kvsf_jpeg_free(&e.buffer)
		}
	}()
	var t C.kvsf_jpeg_tables
	setQuantisers(&t, q)
	if from != jfif {
		t.convert, t.matrix = 1, conversion(from, jfif).c()
	}
	huffman, err := e.huffman(f, &t)
	if err != nil {
		return nil, err
	}
	setCodes(&t, &huffman)
	if C.kvsf_jpeg_scan(f.UnsafePointer(), &t, e.plain, &e.buffer) == 0 {
		return nil, errJPEGMemory
	}
	scan := unsafe.Slice((*byte)(unsafe.Pointer(e.buffer.data)), int(e.buffer.size))
	header := jpegHeader(f.Width(), f.Height(), q, &huffman, segments)
	out := make([]byte, 0, len(header)+len(scan)+2)
	out = append(append(out, header...), scan...)
	return append(out, 0xff, 0xd9), nil
}

// huffman returns the tables for a picture: exactly the best ones if it is
// small, else those of a sample of its rows, in which every symbol has a code.
func (e *jpegEncoder) huffman(f frame, t *C.kvsf_jpeg_tables) (h huffmanTables, err error) {
	step := max(1, (f.Height()+15)/16/sampledRows)
	var c C.kvsf_jpeg_counts
	if C.kvsf_jpeg_count(f.UnsafePointer(), t, C.int(step), e.plain, &e.buffer, &c) == 0 {
		return h, errJPEGMemory
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

// setCodes writes the codes with the room for the bits that follow each.
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
