// Package ebml reads and writes the elements of EBML, the binary markup under Matroska (RFC 8794): an ID, a size, and
// that many bytes.
//
//	+-----------------+-------------------------+------------------+
//	| id, 1..4 bytes  | size, 1..8 bytes        | payload          |
//	+-----------------+-------------------------+------------------+
//
// The number of leading zero bits in the first byte of an ID or a size is the number of bytes that follow. A
// size whose value bits are all ones is unknown: the element ends where its parent ends, or before an element
// that it cannot contain. The caller, who knows the schema, decides that.
//
// Of Matroska the package names the IDs and writes two structures. It does not know what they mean.
package ebml

import (
	"errors"
	"io"
	"math/bits"
)

// UnknownSize is the Size of an element that does not declare one.
const UnknownSize int64 = -1

// MaxHeader is the length of the longest element header, in bytes.
const MaxHeader = 4 + 8

// Errors for a header that is not valid EBML.
var (
	ErrID   = errors.New("invalid element id")
	ErrSize = errors.New("invalid element size")
)

// Header is the ID and the size of one element.
type Header struct {
	// ID is the element ID with its length marker, as in specifications.
	ID uint32
	// Size is the length of the payload in bytes, or UnknownSize.
	Size int64
	// Len is the length of the header itself in bytes.
	Len int
}

// ParseHeader reads the header at the start of b. It returns io.ErrUnexpectedEOF when b ends inside it, ErrID
// or ErrSize when it is not valid.
func ParseHeader(b []byte) (Header, error) {
	id, n, err := parseID(b)
	if err != nil {
		return Header{}, err
	}
	size, m, err := ParseSize(b[n:])
	if err != nil {
		return Header{}, err
	}
	return Header{ID: id, Size: size, Len: n + m}, nil
}

// parseID reads an element ID and returns its length.
func parseID(b []byte) (uint32, int, error) {
	if len(b) == 0 {
		return 0, 0, io.ErrUnexpectedEOF
	}
	n := bits.LeadingZeros8(b[0]) + 1
	if n > 4 {
		return 0, 0, ErrID
	}
	if len(b) < n {
		return 0, 0, io.ErrUnexpectedEOF
	}
	var id uint32
	for _, c := range b[:n] {
		id = id<<8 | uint32(c)
	}
	// Value bits that are all zeros or all ones are reserved.
	mask := uint32(1)<<(7*n) - 1
	if v := id & mask; v == 0 || v == mask {
		return 0, 0, ErrID
	}
	return id, n, nil
}

// ParseSize reads a number of variable length, an element size or the track number in a block, and returns its
// length in bytes. It returns UnknownSize when all value bits are set.
func ParseSize(b []byte) (int64, int, error) {
	if len(b) == 0 {
		return 0, 0, io.ErrUnexpectedEOF
	}
	n := bits.LeadingZeros8(b[0]) + 1
	if n > 8 {
		return 0, 0, ErrSize
	}
	if len(b) < n {
		return 0, 0, io.ErrUnexpectedEOF
	}
	var v uint64
	for _, c := range b[:n] {
		v = v<<8 | uint64(c)
	}
	mask := uint64(1)<<(7*n) - 1
	if v &= mask; v == mask {
		return UnknownSize, n, nil
	}
	return int64(v), n, nil
}
