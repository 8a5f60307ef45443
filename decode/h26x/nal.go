// Package h26x reads the parts of H.264 and H.265 that are useful before decoding: NAL units, parameter sets,
// slice headers and SEI messages. It decodes no picture, does no I/O and needs only the standard library.
//
// A packet is the data of one access unit, either as a byte stream with start codes (Annex B) or with a length before each NAL
// unit (AVCC, HVCC); LengthSize returns which of the two the codec data declares. [EachNAL] splits a packet, [NALType] returns the
// type of a unit, [ParseAVCSPS] and its siblings read parameter sets, and a [HeaderReader] reads slice headers:
//
//	headers := h26x.NewHeaderReader(h26x.AVC, h26x.CodecDataUnits(h26x.AVC, avcC)...)
//	h26x.EachNAL(packet, h26x.LengthSize(h26x.AVC, avcC), func(nal []byte) {
//		if h26x.IsSlice(h26x.AVC, nal) {
//			header, _, ok := headers.AVCSlice(nal)
//			...
//		}
//	})
//
// Names of H.264 begin with AVC, those of H.265 with HEVC. Codecs are identified by their ids in Matroska. A NAL unit that is passed
// to a function must have at least one byte; its content may be anything. Parsers check every size before they use it,
// and report with ok whether the unit could be read.
package h26x

import (
	"bytes"
	"encoding/binary"
)

// The codecs, by their ids in Matroska (RFC 9559 and the Matroska codec registry).
const (
	AVC  = "V_MPEG4/ISO/AVC"
	HEVC = "V_MPEGH/ISO/HEVC"
)

// Types of NAL units (ITU-T H.264, table 7-1).
const (
	AVCTypeSlice = 1
	AVCTypeIDR   = 5
	AVCTypeSEI   = 6
	AVCTypeSPS   = 7
	AVCTypePPS   = 8
	// Higher types are reserved, or slices of extensions.
	avcTypeLastKnown = 21
)

// Types of NAL units (ITU-T H.265, table 7-1).
const (
	HEVCTypeFirstIRAP = 16 // lower types are pictures that are no random access points
	HEVCTypeIDR       = 19
	HEVCTypeIDRNoLP   = 20
	HEVCTypeCRA       = 21
	HEVCTypeLastIRAP  = 23
	HEVCTypeLastVCL   = 31
	HEVCTypeVPS       = 32
	HEVCTypeSPS       = 33
	HEVCTypePPS       = 34
	HEVCTypeEOS       = 36 // end of sequence
	HEVCTypeEOB       = 37 // end of bitstream
	HEVCHeaderSize    = 2
)

// IsAVCIntraSlice reports whether a slice is of type I or SI (ITU-T H.264, 7.3.3 and table 7-6).
func IsAVCIntraSlice(nal []byte) bool {
	kind, known := avcSliceKind(nal)
	return known && (kind == AVCSliceI || kind == avcSliceSI)
}

// avcSliceKind reads what kind a slice of H.264 is. It reports false if the slice ends before that.
func avcSliceKind(nal []byte) (kind uint32, known bool) {
	b := bitsOf(nal[1:])
	b.UE() // first_mb_in_slice
	kind = b.UE() % 5
	return kind, !b.short
}

// EachNAL calls f for every NAL unit of a packet, and reports whether the packet
// was well-formed. It does not call f for empty units. size is the size of the length
// prefixes in bytes, or 0 for Annex B.
func EachNAL(packet []byte, size int, f func(nal []byte)) bool {
	if size == 0 {
		return EachAnnexB(packet, f)
	}
	for len(packet) > 0 {
		if len(packet) < size {
			return false
		}
		var prefix [4]byte
		copy(prefix[4-size:], packet)
		n := binary.BigEndian.Uint32(prefix[:])
		packet = packet[size:]
		if n == 0 || uint64(n) > uint64(len(packet)) {
			return false
		}
		f(packet[:n])
		packet = packet[n:]
	}
	return true
}

// WellFormed reports whether a packet is a sequence of NAL units with length prefixes of size bytes.
func WellFormed(packet []byte, size int) bool {
	return len(packet) > 0 && EachNAL(packet, size, func([]byte) {})
}

// StartCode precedes each NAL unit of a byte stream. It must not be changed.
var StartCode = []byte{0, 0, 1}

// StartsAnnexB reports whether a packet begins with a start code, with any number of zero bytes before it.
func StartsAnnexB(packet []byte) bool {
	code := bytes.TrimLeft(packet, "\x00")
	return len(packet)-len(code) >= 2 && len(code) > 0 && code[0] == 1
}

// EachAnnexB calls f for each NAL unit of a byte stream (ITU-T H.264, Annex B), without
// the zero bytes after it, and reports whether there was one.
func EachAnnexB(packet []byte, f func(nal []byte)) bool {
	at := bytes.Index(packet, StartCode)
	found := false
	for at >= 0 {
		packet = packet[at+len(StartCode):]
		end := len(packet)
		if at = bytes.Index(packet, StartCode); at >= 0 {
			end = at
		}
		if nal := bytes.TrimRight(packet[:end], "\x00"); len(nal) > 0 {
			found = true
			f(nal)
		}
	}
	return found
}

// AppendNAL appends a NAL unit to a packet, with a length prefix of size bytes, or a start code if size is 0.
func AppendNAL(packet []byte, size int, nal []byte) []byte {
	if size == 0 {
		return append(append(append(packet, 0), StartCode...), nal...)
	}
	for i := size - 1; i >= 0; i-- {
		packet = append(packet, byte(len(nal)>>(8*i)))
	}
	return append(packet, nal...)
}

// NALType returns the nal_unit_type of a NAL unit, which must not be empty.
func NALType(codec string, nal []byte) byte {
	if codec == HEVC {
		return nal[0] >> 1 & 0x3f
	}
	return nal[0] & 0x1f
}

// AnnexB returns NAL units as a byte stream.
func AnnexB(nals [][]byte) []byte {
	var out []byte
	for _, nal := range nals {
		out = AppendNAL(out, 0, nal)
	}
	return out
}

// FirstSlice reports whether a NAL unit, which must be a slice, is the first of its picture.
func FirstSlice(codec string, nal []byte) bool {
	if codec == HEVC {
		return len(nal) <= HEVCHeaderSize || nal[HEVCHeaderSize]&0x80 != 0 // first_slice_segment_in_pic_flag
	}
	return len(nal) < 2 || nal[1]&0x80 != 0 // first_mb_in_slice is 0
}

// IsSlice reports whether a NAL unit holds a part of a picture (of the base layer, in H.265).
func IsSlice(codec string, nal []byte) bool {
	t := NALType(codec, nal)
	if codec == HEVC {
		return t <= HEVCTypeLastVCL && nal[0]&1 == 0 && (len(nal) < HEVCHeaderSize || nal[1]>>3 == 0)
	}
	return t >= AVCTypeSlice && t <= AVCTypeIDR
}
