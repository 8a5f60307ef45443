package jpeg

import "encoding/binary"

// quantTable holds the quantisers of a block's coefficients, in natural order.
type quantTable [64]uint8

// huffmanTables are those of luma and of chroma.
type huffmanTables struct{ dc, ac [2]huffmanTable }

// Quantisers at quality 50, and how coefficients are rounded.
//
// The tables of the Independent JPEG Group are made for viewing at a distance: they quantise
// high frequencies, most of all those of chroma, so coarsely that for an equal error they need
// a fifth more bytes. These rise slowly and are the same for luma and chroma. At the same
// quality, their mean error is about that of the IJG's.
const (
	// meanQuantiser is that of mean brightness, the same as the IJG's. A coarser one
	// would make bands in the sky visible.
	meanQuantiser = 16
	// lowQuantiser is the lowest of the others; each step of frequency adds stepQuantiser.
	lowQuantiser, stepQuantiser = 28, 2
	// roundingEighths is what is added before fractions are cut off, in eighths
	// of a step: a little less than half, since smaller levels take fewer bits.
	roundingEighths = 3
)

// quantisersAt returns the tables for a quality of 1..100, scaled as the IJG's library
// scales its own.
func quantisersAt(quality int) quantTable {
	percent := 200 - 2*quality
	if quality < 50 {
		percent = 5000 / quality
	}
	var t quantTable
	for i := range t {
		v := lowQuantiser + stepQuantiser*(i/8+i%8)
		if i == 0 {
			v = meanQuantiser
		}
		t[i] = uint8(min(max((v*percent+50)/100, 1), 255))
	}
	return t
}

// rounding returns what is added to coefficient i before it is divided by q, in 16ths.
func rounding(i int, q uint8) int {
	if i == 0 {
		return 8 * int(q)
	}
	return 2 * roundingEighths * int(q)
}

// countAll adds 1 to the count of each symbol that a baseline JPEG may contain, so that each
// has a code, and before that multiplies the counts, so that the addition hardly matters.
func countAll(dc *[16]uint32, ac *[256]uint32) {
	const weight = 4
	for size := range 12 {
		dc[size] = weight*dc[size] + 1
	}
	for run := range 16 {
		for size := 1; size <= 10; size++ {
			ac[run<<4|size] = weight*ac[run<<4|size] + 1
		}
	}
	const endOfBlock, sixteenZeros = 0x00, 0xf0
	ac[endOfBlock] = weight*ac[endOfBlock] + 1
	ac[sixteenZeros] = weight*ac[sixteenZeros] + 1
}

// zigzagOrder is the natural index of each coefficient, in the order of a JPEG (ITU-T T.81, figure A.6).
var zigzagOrder = [64]uint8{
	0, 1, 8, 16, 9, 2, 3, 10, 17, 24, 32, 25, 18, 11, 4, 5,
	12, 19, 26, 33, 40, 48, 41, 34, 27, 20, 13, 6, 7, 14, 21, 28,
	35, 42, 49, 56, 57, 50, 43, 36, 29, 22, 15, 23, 30, 37, 44, 51,
	58, 59, 52, 45, 38, 31, 39, 46, 53, 60, 61, 54, 47, 55, 62, 63,
}

// header returns everything before the entropy-coded bytes of a baseline JPEG
// with 4:2:0 chroma: a JFIF header, the given segments, tables, frame and scan headers.
func header(w, h int, q *quantTable, huffman *huffmanTables, segments []byte) []byte {
	b := make([]byte, 0, 1024+len(segments))
	segment := func(marker byte, body ...byte) {
		b = append(b, 0xff, marker)
		b = binary.BigEndian.AppendUint16(b, uint16(2+len(body)))
		b = append(b, body...)
	}
	b = append(b, 0xff, 0xd8)
	// Version 1.01, square pixels, no thumbnail.
	segment(0xe0, 'J', 'F', 'I', 'F', 0, 1, 1, 0, 0, 1, 0, 1, 0, 0)
	b = append(b, segments...)
	tables := []byte{0} // its number, 8 bits an entry
	for _, k := range zigzagOrder {
		tables = append(tables, q[k])
	}
	segment(0xdb, tables...)
	segment(0xc0, 8, byte(h>>8), byte(h), byte(w>>8), byte(w), 3,
		1, 0x22, 0, 2, 0x11, 0, 3, 0x11, 0)
	tables = tables[:0]
	for i := range huffman.dc {
		tables = huffman.dc[i].appendTo(append(tables, byte(i)))
		tables = huffman.ac[i].appendTo(append(tables, 0x10|byte(i)))
	}
	segment(0xc4, tables...)
	segment(0xda, 3, 1, 0x00, 2, 0x11, 3, 0x11, 0, 63, 0)
	return b
}
