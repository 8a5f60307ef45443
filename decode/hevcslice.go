package decode

import (
	"math/bits"
	"slices"
)

// hevcSliceHeader is what is read of the header of a slice segment (ITU-T H.265, 7.3.6.1).
type hevcSliceHeader struct {
	sps *hevcSPSHeader
	pps *hevcPPSHeader

	unit     byte // nal_unit_type
	temporal byte // TemporalId
	first    bool // of its picture
	// dependent: the segment goes on with the header of the one before it, and nothing below is there.
	dependent bool
	kind      uint32 // slice_type
	orderLSB  int32
	set       hevcRefSet
	longTerm  []hevcLongRef
	// lists are the entries of the reference lists, as places in the pictures that the slice may
	// refer to.
	lists [2][]uint32

	// Where the kind of the slice begins and ends in the header, and where the references end.
	kindAt, kindEnd, refsEnd int
}

// Kinds of slices (ITU-T H.265, table 7-7), which are not those of H.264.
const (
	hevcSliceB = 0
	hevcSliceP = 1
	hevcSliceI = 2
)

// irap reports whether the slice is of an intra random access point.
func (h *hevcSliceHeader) irap() bool { return h.unit >= hevcReserved && h.unit <= hevcLastIRAP }

// idr reports whether the slice is of an IDR picture, whose header names no references.
func (h *hevcSliceHeader) idr() bool { return h.unit == hevcIDR || h.unit == hevcIDRNoLP }

// leads reports whether the slice is of a leading picture (RADL or RASL).
func (h *hevcSliceHeader) leads() bool { return h.unit >= hevcRADL && h.unit < hevcFirstReserved }

// skipped reports whether the slice is of a leading picture that is not decoded where decoding begins
// with the picture that it leads (RASL).
func (h *hevcSliceHeader) skipped() bool { return h.unit >= hevcRASL && h.unit < hevcFirstReserved }

// counts reports whether the order of later pictures is counted from this one (8.3.1).
func (h *hevcSliceHeader) counts() bool {
	return h.temporal == 0 && !h.leads() && (h.unit >= hevcFirstReserved || h.unit%2 == 1)
}

const (
	hevcRADL          = 6 // and 7
	hevcRASL          = 8 // and 9
	hevcFirstReserved = 10
)

// hevcSlice reads the header of a slice segment as far as its references go; b is left where they end.
func (r *references) hevcSlice(nal []byte) (h hevcSliceHeader, b bitReader, ok bool) {
	if len(nal) < hevcHeaderLen || nal[0]&1 != 0 || nal[1]>>3 != 0 || nal[1]&7 == 0 { // another layer
		return h, b, false
	}
	const longest = 512
	b = bitReader{data: unescape(nal[hevcHeaderLen:], longest)}
	h.unit, h.temporal = nal[0]>>1, nal[1]&7-1
	h.first = b.bit() == 1
	if h.irap() {
		b.bit() // no_output_of_prior_pics_flag
	}
	if h.pps, ok = r.hevcPPS[b.ue()]; !ok {
		return h, b, false
	}
	if h.sps, ok = r.hevcSPS[h.pps.sps]; !ok {
		return h, b, false
	}
	if !h.first {
		h.dependent = h.pps.dependent && b.bit() == 1
		b.skip(h.sps.addressBits())
	}
	if h.dependent {
		return h, b, !b.short
	}
	b.skip(h.pps.extraBits)
	h.kindAt = b.at
	h.kind = b.ue()
	h.kindEnd = b.at
	if h.pps.output {
		b.bit()
	}
	ok = h.kind <= hevcSliceI && (h.idr() || h.references(&b))
	h.refsEnd = b.at
	known := h.unit < hevcFirstReserved || h.unit >= hevcReserved && h.unit <= hevcCRA
	return h, b, ok && known && !b.short && (h.kind == hevcSliceI || h.readLists(&b))
}

// addressBits is the size of a slice segment's address.
func (s *hevcSPSHeader) addressBits() int {
	blocks := func(size uint32) uint32 { return (size + 1<<s.ctbBits - 1) >> s.ctbBits }
	return bits.Len32(blocks(s.size.width)*blocks(s.size.height) - 1)
}

// references reads the picture order count and the reference picture set.
func (h *hevcSliceHeader) references(b *bitReader) (ok bool) {
	s := h.sps
	h.orderLSB = int32(b.bits(s.orderBits))
	if b.bit() == 0 { // short_term_ref_pic_set_sps_flag
		if h.set, ok = b.hevcSet(s.shortTerm, true); !ok {
			return false
		}
	} else {
		i := 0
		if n := len(s.shortTerm); n > 1 {
			i = int(b.bits(bits.Len(uint(n - 1))))
		}
		if i >= len(s.shortTerm) {
			return false
		}
		h.set = s.shortTerm[i]
	}
	if s.longTermRefs && !h.longTermRefs(b) {
		return false
	}
	if s.motion {
		b.bit() // slice_temporal_mvp_enabled_flag
	}
	return !b.short
}

// longTermRefs reads the long-term part of the reference picture set. Orders that are whole are told by their
// difference from the slice's, of which the low bits alone are known here: they are completed by hevcOrders.add.
func (h *hevcSliceHeader) longTermRefs(b *bitReader) bool {
	s := h.sps
	named := uint32(0)
	if len(s.longTerm) > 0 {
		named = b.ue()
	}
	told := b.ue()
	if named > hevcMaxRefs || told > hevcMaxRefs {
		return false
	}
	msb := int32(0)
	for i := range named + told {
		var r hevcLongRef
		if i < named {
			at := 0
			if n := len(s.longTerm); n > 1 {
				at = int(b.bits(bits.Len(uint(n - 1))))
			}
			if at >= len(s.longTerm) {
				return false
			}
			r = s.longTerm[at]
		} else {
			r = hevcLongRef{order: int32(b.bits(s.orderBits)), used: b.bit() == 1}
		}
		if i == 0 || i == named {
			msb = 0
		}
		if r.whole = b.bit() == 1; r.whole { // delta_poc_msb_present_flag
			msb += int32(b.bits16())
			if msb > 1<<14 {
				return false
			}
			r.order -= msb<<s.orderBits + h.orderLSB
		}
		h.longTerm = append(h.longTerm, r)
	}
	return h.set.len()+len(h.longTerm) <= hevcMaxRefs && !b.short
}

// usable is the number of pictures that the slice may refer to (NumPicTotalCurr).
func (h *hevcSliceHeader) usable() int {
	n := 0
	for _, refs := range [][]hevcRef{h.set.before, h.set.after} {
		for _, r := range refs {
			if r.used {
				n++
			}
		}
	}
	for _, r := range h.longTerm {
		if r.used {
			n++
		}
	}
	return n
}

// readLists reads the sizes of the reference lists and what changes them (7.3.6.2).
func (h *hevcSliceHeader) readLists(b *bitReader) bool {
	if h.sps.sao {
		b.bit()
		if h.sps.size.chroma != 0 {
			b.bit()
		}
	}
	lists := 1
	if h.kind == hevcSliceB {
		lists = 2
	}
	override := b.bit() == 1
	usable := h.usable()
	for l := range lists {
		n := h.pps.active[l]
		if override {
			n = b.ue() + 1
		}
		if n > hevcMaxRefs || n == 0 || usable == 0 {
			return false
		}
		h.lists[l] = make([]uint32, n)
		for i := range h.lists[l] {
			h.lists[l][i] = uint32(i % usable)
		}
	}
	if !h.pps.lists || usable < 2 {
		return !b.short
	}
	for l := range lists {
		if b.bit() == 0 {
			continue
		}
		for i := range h.lists[l] {
			if h.lists[l][i] = b.bits(bits.Len(uint(usable - 1))); int(h.lists[l][i]) >= usable {
				return false
			}
		}
	}
	return !b.short
}

// withoutData returns the first slice segment of a picture as one of intra blocks that has no data: a decoder takes the
// picture for a reference, and finds at once that there is nothing to decode. b has read the references of h.
func (h *hevcSliceHeader) withoutData(nal []byte, b *bitReader) []byte {
	var w bitWriter
	w.copy(b.data, 0, h.kindAt)
	for _, bit := range []byte{0, 1, 1} { // slice_type I
		w.bit(bit)
	}
	w.copy(b.data, h.kindEnd, h.refsEnd)
	for _, f := range []struct {
		there bool
		bit   byte
	}{
		{h.sps.sao, 0},
		{h.sps.sao && h.sps.size.chroma != 0, 0},
		{true, 1},                // slice_qp_delta 0
		{h.pps.chromaOffsets, 1}, // 0
		{h.pps.chromaOffsets, 1},
		{h.pps.chromaOffsetLists, 0},
		{h.pps.deblockingOverride, 0},
		{h.pps.acrossSlices && !h.pps.deblockingOff, 0},
		{h.pps.entryPoints, 1}, // none
		{h.pps.extension, 1},   // of no bytes
		{true, 1},              // byte_alignment
	} {
		if f.there {
			w.bit(f.bit)
		}
	}
	// No arithmetic code begins with ones (9.3.2.5).
	return slices.Concat(nal[:hevcHeaderLen], escape(append(w.data, 0xff, 0xff, 0xff)))
}
