package ebml

import "math/bits"

// AppendID appends an element ID in its own length.
func AppendID(dst []byte, id uint32) []byte {
	for shift := (bits.Len32(id) - 1) / 8 * 8; shift >= 0; shift -= 8 {
		dst = append(dst, byte(id>>shift))
	}
	return dst
}

// AppendSize appends an element size in its shortest form. UnknownSize has the 8-byte form with all bits set,
// which KVS uses for a Segment. EBML has no sizes from 2^56-1 up.
func AppendSize(dst []byte, size int64) []byte {
	if size == UnknownSize {
		return append(dst, 0x01, 0xFF, 0xFF, 0xFF, 0xFF, 0xFF, 0xFF, 0xFF)
	}
	n := 1
	for n < 8 && size >= 1<<(7*n)-1 {
		n++ // all ones would mean unknown
	}
	v := uint64(size) | 1<<(7*n)
	for shift := 8 * (n - 1); shift >= 0; shift -= 8 {
		dst = append(dst, byte(v>>shift))
	}
	return dst
}

// AppendHeader appends the ID and the size of an element.
func AppendHeader(dst []byte, id uint32, size int64) []byte {
	return AppendSize(AppendID(dst, id), size)
}

// AppendElement appends an element with its payload.
func AppendElement(dst []byte, id uint32, payload []byte) []byte {
	return append(AppendHeader(dst, id, int64(len(payload))), payload...)
}

// AppendUint appends an unsigned integer element in the fewest bytes, at least one.
func AppendUint(dst []byte, id uint32, v uint64) []byte {
	n := max(1, (bits.Len64(v)+7)/8)
	dst = AppendHeader(dst, id, int64(n))
	for shift := 8 * (n - 1); shift >= 0; shift -= 8 {
		dst = append(dst, byte(v>>shift))
	}
	return dst
}

// AppendString appends a string element.
func AppendString(dst []byte, id uint32, v string) []byte {
	return append(AppendHeader(dst, id, int64(len(v))), v...)
}
