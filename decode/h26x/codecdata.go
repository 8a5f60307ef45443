package h26x

import (
	"encoding/binary"
)

// LengthSize returns the size in bytes of the length prefixes that codec data declares; 0 means
// Annex B.
func LengthSize(codecID string, p []byte) int {
	switch {
	// ISO/IEC 14496-15, 5.3.3.1: byte 4 of avcC, low two bits.
	case codecID == AVC && len(p) >= 7 && p[0] == 1:
		return int(p[4]&3) + 1
	// ISO/IEC 14496-15, 8.3.3.1: byte 21 of hvcC, low two bits.
	// Muxers wrote version 0 before the standard was finished.
	case codecID == HEVC && len(p) >= 23 && (p[0] == 1 || p[0] == 0 && !StartsAnnexB(p)):
		return int(p[21]&3) + 1
	}
	return 0
}

// CodecDataUnits returns the NAL units in codec data p (avcC, hvcC or a byte stream), most of them parameter sets. They are slices
// of p.
func CodecDataUnits(codecID string, p []byte) [][]byte {
	var sets [][]byte
	if LengthSize(codecID, p) == 0 {
		EachAnnexB(p, func(nal []byte) { sets = append(sets, nal) })
		return sets
	}
	// take reads n sets, each after its length.
	take := func(n int) bool {
		for range n {
			if len(p) < 2 {
				return false
			}
			size := int(binary.BigEndian.Uint16(p))
			if p = p[2:]; size > len(p) {
				return false
			}
			if size > 0 {
				sets = append(sets, p[:size])
			}
			p = p[size:]
		}
		return true
	}
	if codecID == HEVC { // ISO/IEC 14496-15, 8.3.3.1
		arrays := int(p[22])
		p = p[23:]
		for range arrays {
			if len(p) < 3 {
				break
			}
			n := int(binary.BigEndian.Uint16(p[1:]))
			if p = p[3:]; !take(n) {
				break
			}
		}
		return sets
	}
	// ISO/IEC 14496-15, 5.3.3.1
	n := int(p[5] & 0x1f)
	if p = p[6:]; take(n) && len(p) > 0 {
		n = int(p[0])
		p = p[1:]
		take(n)
	}
	return sets
}
