// Package npy writes the header of NumPy's array files, format 1.0 (NumPy Enhancement Proposal 1).
package npy

import (
	"encoding/binary"
	"fmt"
	"strings"
)

// HeaderSize is the size of every header, in bytes. It is a multiple of 64, so that the samples of a mapped file are aligned, and it does not
// depend on the shape, so that a header can be written again in place when the number of rows is known.
const HeaderSize = 128

// The types of samples, as NumPy describes them: bytes, and little-endian float32.
const (
	Uint8   = "|u1"
	Float32 = "<f4"
)

// Header returns the header of a file that holds an array of the type and shape in C order: its samples follow, the last dimension running
// fastest. It panics if the text of the shape is too long; four dimensions of 12 digits each fit.
func Header(sample string, shape ...int) []byte {
	var sizes strings.Builder
	for i, n := range shape {
		if i > 0 {
			sizes.WriteByte(' ')
		}
		fmt.Fprintf(&sizes, "%d,", n) // with the comma that Python needs after a single one
	}
	dict := fmt.Sprintf("{'descr': '%s', 'fortran_order': False, 'shape': (%s), }", sample, &sizes)
	const begin = "\x93NUMPY\x01\x00"
	const room = HeaderSize - len(begin) - 2
	if len(dict) >= room {
		panic(fmt.Sprintf("npy: the shape %v does not fit into the header", shape))
	}
	h := append(make([]byte, 0, HeaderSize), begin...)
	h = binary.LittleEndian.AppendUint16(h, uint16(room))
	return fmt.Appendf(h, "%-*s\n", room-1, dict)
}
