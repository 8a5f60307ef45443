package h26x

import (
	"bytes"
)

// Unescape returns at most n bytes of a NAL unit's payload without the emulation
// prevention bytes (ITU-T H.264, 7.3.1).
func Unescape(nal []byte, n int) []byte {
	out := make([]byte, 0, min(n, len(nal)))
	zeros := 0
	for _, b := range nal {
		if len(out) == n {
			break
		}
		if zeros >= 2 && b == 3 {
			zeros = 0
			continue
		}
		zeros = zeroRun(zeros, b)
		out = append(out, b)
	}
	return out
}

// Escape returns a payload with the emulation prevention bytes that Unescape removes.
func Escape(payload []byte) []byte {
	out := make([]byte, 0, len(payload)+len(payload)/2)
	zeros := 0
	for _, b := range payload {
		if zeros >= 2 && b <= 3 {
			out = append(out, 3)
			zeros = 0
		}
		zeros = zeroRun(zeros, b)
		out = append(out, b)
	}
	return out
}

// zeroRun returns the length of a run of zero bytes after b, given its length before b.
func zeroRun(run int, b byte) int {
	if b != 0 {
		return 0
	}
	return run + 1
}

// BitReader reads Exp-Golomb codes.
type BitReader struct {
	data  []byte
	at    int  // in bits
	short bool // the data ended inside a code
}

// NewBitReader returns a reader of a payload without emulation prevention bytes (see Unescape).
func NewBitReader(payload []byte) *BitReader { return &BitReader{data: payload} }

// Pos returns how many bits were read so far.
func (b *BitReader) Pos() int { return b.at }

// bitsOf returns a reader of the first bytes of a NAL unit's payload.
func bitsOf(nal []byte) BitReader {
	const head = 16
	return BitReader{data: Unescape(nal, head)}
}

// Bit reads one bit; after the end of the payload it is 0.
func (b *BitReader) Bit() uint32 {
	if b.at >= 8*len(b.data) {
		b.short = true
		return 0
	}
	v := b.data[b.at/8] >> (7 - b.at%8) & 1
	b.at++
	return uint32(v)
}

// Bits reads an unsigned number of n bits.
func (b *BitReader) Bits(n int) (v uint32) {
	for range n {
		v = v<<1 | b.Bit()
	}
	return v
}

// UE reads an unsigned Exp-Golomb code (ITU-T H.264, 9.1).
func (b *BitReader) UE() uint32 {
	zeros := 0
	for b.Bit() == 0 {
		if zeros++; b.short || zeros > 31 {
			b.short = true
			return 0
		}
	}
	v := uint32(1)
	for range zeros {
		v = v<<1 | b.Bit()
	}
	return v - 1
}

// SE reads a signed Exp-Golomb code (ITU-T H.264, 9.1.1).
func (b *BitReader) SE() int32 {
	v := b.UE()
	if v&1 == 1 {
		return int32(v/2) + 1
	}
	return -int32(v / 2)
}

// trailing reports whether data follows that was not read, other than a few bytes that some muxers append.
func (b *BitReader) trailing() bool {
	const junk = 8 // bytes
	return len(bytes.TrimRight(b.data, "\x00")) > b.at/8+1+junk
}

// Skip skips n bits.
func (b *BitReader) Skip(n int) {
	if b.at += n; b.at > 8*len(b.data) {
		b.short = true
	}
}

// BitWriter collects bits.
type BitWriter struct {
	data []byte
	at   int // in bits
}

// Bytes returns the bits written so far. The last byte is filled with zeros.
func (w *BitWriter) Bytes() []byte { return w.data }

// Bit writes one bit, 0 or 1.
func (w *BitWriter) Bit(v byte) {
	if w.at%8 == 0 {
		w.data = append(w.data, 0)
	}
	w.data[w.at/8] |= v << (7 - w.at%8)
	w.at++
}

// Copy appends the bits of data from position from up to, but not including, position to.
func (w *BitWriter) Copy(data []byte, from, to int) {
	for at := from; at < to && at < 8*len(data); at++ {
		w.Bit(data[at/8] >> (7 - at%8) & 1)
	}
}
