package ebml

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"iter"
)

// Element is one element that is in memory as a whole.
type Element struct {
	ID uint32
	// Data is the payload; it aliases the input.
	Data []byte
	// Offset is the offset of Data in the input.
	Offset int
}

// Elements returns the elements in b, one level deep. It ends with an error at an element that is malformed,
// has no known size, or does not fit into b.
func Elements(b []byte) iter.Seq2[Element, error] {
	return func(yield func(Element, error) bool) {
		for at := 0; at < len(b); {
			h, err := ParseHeader(b[at:])
			if errors.Is(err, io.ErrUnexpectedEOF) {
				err = errors.New("element header runs past the end of its parent")
			}
			begin := at + h.Len
			switch {
			case err != nil:
			case h.Size == UnknownSize:
				err = fmt.Errorf("element %#x of unknown size", h.ID)
			case h.Size > int64(len(b)-begin):
				err = fmt.Errorf("element %#x size (%d) runs past the end of its parent, %d left", h.ID, h.Size, len(b)-begin)
			}
			if err != nil {
				yield(Element{Offset: at}, err)
				return
			}
			at = begin + int(h.Size)
			if !yield(Element{ID: h.ID, Data: b[begin:at:at], Offset: begin}, nil) {
				return
			}
		}
	}
}

// Find returns the elements of Elements that lie at a path: those with its last ID, inside of those with the one before it, and
// so on. Their Offset is that in their parent.
func Find(b []byte, path ...uint32) iter.Seq2[Element, error] {
	return func(yield func(Element, error) bool) { find(b, path, yield) }
}

func find(b []byte, path []uint32, yield func(Element, error) bool) (more bool) {
	for e, err := range Elements(b) {
		switch {
		case err != nil || e.ID == path[0] && len(path) == 1:
			more = yield(e, err)
		case e.ID == path[0]:
			more = find(e.Data, path[1:], yield)
		default:
			continue
		}
		if !more {
			return false
		}
	}
	return true
}

// Uint decodes an unsigned integer payload of up to 8 bytes, big endian. Without bytes it is 0 (RFC 8794,
// section 7.2).
func Uint(data []byte) (uint64, error) {
	if len(data) > 8 {
		return 0, fmt.Errorf("integer of %d bytes, maximum is 8", len(data))
	}
	var v uint64
	for _, c := range data {
		v = v<<8 | uint64(c)
	}
	return v, nil
}

// String decodes a string payload, cut at its first NUL byte: writers may pad with NUL bytes (RFC 8794, section 13).
func String(data []byte) string {
	if i := bytes.IndexByte(data, 0); i >= 0 {
		data = data[:i]
	}
	return string(data)
}
