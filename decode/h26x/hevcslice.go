package h26x

import (
	"math/bits"
	"slices"
)

// HEVCSliceHeader holds the parts of the header of a slice segment of H.265 that determine its references (ITU-T H.265, 7.3.6.1).
type HEVCSliceHeader struct {
	// SPS is the sequence parameter set in force.
	SPS *HEVCSPS
	pps *hevcPPS

	// Unit is the nal_unit_type, First whether the segment is the first of its picture.
	Unit     byte
	temporal byte // TemporalId
	First    bool
	// Dependent reports whether the segment shares the header of the one before it: then the fields below are not set.
	Dependent bool
	kind      uint32 // slice_type
	// OrderLSB holds the low bits of the picture order count.
	OrderLSB int32
	// Set and LongTerm are the pictures that remain references.
	Set      HEVCRefSet
	LongTerm []HEVCLongRef
	// Lists are the entries of both reference lists, as indexes of the pictures that the slice may
	// refer to.
	Lists [2][]uint32

	// The bit positions in the header at which kind begins and ends, and at which the references end.
	kindAt, kindEnd, refsEnd int
}

// Kinds of slices (ITU-T H.265, table 7-7), which are not those of H.264.
const (
	hevcSliceB = 0
	hevcSliceP = 1
	hevcSliceI = 2
)

// IRAP reports whether the slice is of an intra random access point.
func (h *HEVCSliceHeader) IRAP() bool {
	return h.Unit >= HEVCTypeFirstIRAP && h.Unit <= HEVCTypeLastIRAP
}

// IDR reports whether the slice is of an IDR picture, whose header names no references.
func (h *HEVCSliceHeader) IDR() bool { return h.Unit == HEVCTypeIDR || h.Unit == HEVCTypeIDRNoLP }

// leads reports whether the slice is of a leading picture (RADL or RASL).
func (h *HEVCSliceHeader) leads() bool {
	return h.Unit >= hevcTypeRADL && h.Unit < hevcTypeFirstReserved
}

// Skipped reports whether the slice is of a leading picture that is not decoded if decoding begins
// with the picture that it leads (RASL).
func (h *HEVCSliceHeader) Skipped() bool {
	return h.Unit >= hevcTypeRASL && h.Unit < hevcTypeFirstReserved
}

// Counts reports whether the order counts of later pictures are relative to this one (8.3.1).
func (h *HEVCSliceHeader) Counts() bool {
	return h.temporal == 0 && !h.leads() && (h.Unit >= hevcTypeFirstReserved || h.Unit%2 == 1)
}

const (
	hevcTypeRADL          = 6 // and 7
	hevcTypeRASL          = 8 // and 9
	hevcTypeFirstReserved = 10
)

// HEVCSlice reads the header of a slice segment of H.265 up to the end of its references, which is the position of b.
func (r *HeaderReader) HEVCSlice(nal []byte) (h HEVCSliceHeader, b BitReader, ok bool) {
	if len(nal) < HEVCHeaderSize || nal[0]&1 != 0 || nal[1]>>3 != 0 || nal[1]&7 == 0 { // another layer
		return h, b, false
	}
	const longest = 512
	b = BitReader{data: Unescape(nal[HEVCHeaderSize:], longest)}
	h.Unit, h.temporal = nal[0]>>1, nal[1]&7-1
	h.First = b.Bit() == 1
	if h.IRAP() {
		b.Bit() // no_output_of_prior_pics_flag
	}
	if h.pps, ok = r.hevcPPS[b.UE()]; !ok {
		return h, b, false
	}
	if h.SPS, ok = r.hevcSPS[h.pps.sps]; !ok {
		return h, b, false
	}
	if !h.First {
		h.Dependent = h.pps.dependent && b.Bit() == 1
		b.Skip(h.SPS.addressBits())
	}
	if h.Dependent {
		return h, b, !b.short
	}
	b.Skip(h.pps.extraBits)
	h.kindAt = b.at
	h.kind = b.UE()
	h.kindEnd = b.at
	if h.pps.output {
		b.Bit()
	}
	ok = h.kind <= hevcSliceI && (h.IDR() || h.references(&b))
	h.refsEnd = b.at
	known := h.Unit < hevcTypeFirstReserved || h.Unit >= HEVCTypeFirstIRAP && h.Unit <= HEVCTypeCRA
	return h, b, ok && known && !b.short && (h.kind == hevcSliceI || h.readLists(&b))
}

// addressBits returns the size in bits of a slice segment's address.
func (s *HEVCSPS) addressBits() int {
	blocks := func(size uint32) uint32 { return (size + 1<<s.CTBBits - 1) >> s.CTBBits }
	return bits.Len32(blocks(s.size.width)*blocks(s.size.height) - 1)
}

// references reads the picture order count and the reference picture set.
func (h *HEVCSliceHeader) references(b *BitReader) (ok bool) {
	s := h.SPS
	h.OrderLSB = int32(b.Bits(s.OrderBits))
	if b.Bit() == 0 { // short_term_ref_pic_set_sps_flag
		if h.Set, ok = b.hevcSet(s.shortTerm, true); !ok {
			return false
		}
	} else {
		i, ok := b.index(len(s.shortTerm))
		if !ok {
			return false
		}
		h.Set = s.shortTerm[i]
	}
	if s.longTermRefs && !h.longTermRefs(b) {
		return false
	}
	if s.motion {
		b.Bit() // slice_temporal_mvp_enabled_flag
	}
	return !b.short
}

// index reads an index of a list of n entries, and reports whether there is such an entry.
func (b *BitReader) index(n int) (i int, ok bool) {
	i = int(b.Bits(bits.Len(uint(max(0, n-1)))))
	return i, i < n
}

// longTermRefs reads the long-term part of the reference picture set. Whole order counts are coded relative to
// that of the slice, of which only the low bits are known here, so the result stays relative.
func (h *HEVCSliceHeader) longTermRefs(b *BitReader) bool {
	s := h.SPS
	named := uint32(0)
	if len(s.longTerm) > 0 {
		named = b.UE()
	}
	explicit := b.UE()
	if named > hevcMaxRefs || explicit > hevcMaxRefs {
		return false
	}
	msb := int32(0)
	for i := range named + explicit {
		var r HEVCLongRef
		if i < named {
			at, ok := b.index(len(s.longTerm))
			if !ok {
				return false
			}
			r = s.longTerm[at]
		} else {
			r = HEVCLongRef{Order: int32(b.Bits(s.OrderBits)), Used: b.Bit() == 1}
		}
		if i == 0 || i == named {
			msb = 0
		}
		if r.Whole = b.Bit() == 1; r.Whole { // delta_poc_msb_present_flag
			msb += int32(b.bits16())
			if msb > 1<<14 {
				return false
			}
			r.Order -= msb<<s.OrderBits + h.OrderLSB
		}
		h.LongTerm = append(h.LongTerm, r)
	}
	return h.Set.len()+len(h.LongTerm) <= hevcMaxRefs && !b.short
}

// Usable returns the number of pictures that the slice may refer to (NumPicTotalCurr).
func (h *HEVCSliceHeader) Usable() int {
	n := 0
	for _, refs := range [][]HEVCRef{h.Set.Before, h.Set.After} {
		for _, r := range refs {
			if r.Used {
				n++
			}
		}
	}
	for _, r := range h.LongTerm {
		if r.Used {
			n++
		}
	}
	return n
}

// readLists reads the sizes of the reference lists and their modifications (7.3.6.2).
func (h *HEVCSliceHeader) readLists(b *BitReader) bool {
	if h.SPS.sao {
		b.Bit()
		if h.SPS.size.chroma != 0 {
			b.Bit()
		}
	}
	lists := 1
	if h.kind == hevcSliceB {
		lists = 2
	}
	override := b.Bit() == 1
	usable := h.Usable()
	for l := range lists {
		n := h.pps.active[l]
		if override {
			n = b.UE() + 1
		}
		if n > hevcMaxRefs || n == 0 || usable == 0 {
			return false
		}
		h.Lists[l] = make([]uint32, n)
		for i := range h.Lists[l] {
			h.Lists[l][i] = uint32(i % usable)
		}
	}
	if !h.pps.lists || usable < 2 {
		return !b.short
	}
	for l := range lists {
		if b.Bit() == 0 {
			continue
		}
		for i := range h.Lists[l] {
			if h.Lists[l][i] = b.Bits(bits.Len(uint(usable - 1))); int(h.Lists[l][i]) >= usable {
				return false
			}
		}
	}
	return !b.short
}

// WithoutData returns the first slice segment of a picture as one of intra blocks that has no data: a decoder keeps the
// picture as a reference, and stops decoding at once. b is what HEVCSlice returned with h.
func (h *HEVCSliceHeader) WithoutData(nal []byte, b *BitReader) []byte {
	var w BitWriter
	w.Copy(b.data, 0, h.kindAt)
	for _, bit := range []byte{0, 1, 1} { // slice_type I
		w.Bit(bit)
	}
	w.Copy(b.data, h.kindEnd, h.refsEnd)
	for _, f := range []struct {
		present bool
		bit     byte
	}{
		{h.SPS.sao, 0},
		{h.SPS.sao && h.SPS.size.chroma != 0, 0},
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
		if f.present {
			w.Bit(f.bit)
		}
	}
	// No arithmetic code begins with ones (9.3.2.5).
	return slices.Concat(nal[:HEVCHeaderSize], Escape(append(w.data, 0xff, 0xff, 0xff)))
}
