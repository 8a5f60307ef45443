package decode

import "slices"

// avcSPSHeader is what is read of a sequence parameter set (ITU-T H.264, 7.3.2.1.1).
type avcSPSHeader struct {
	size pictureSize // nothing where the set cannot be read
	// level is level_idc: ten times the level's number. lowLevel is constraint_set3_flag, which makes 1b of level 1.1.
	level    uint32
	lowLevel bool
	// chroma: there are weights for chroma (ChromaArrayType is not 0). separate: each colour is
	// coded like a picture of its own.
	chroma, separate bool
	// framesOnly: there are no fields.
	framesOnly bool
	// The sizes in bits of frame_num and pic_order_cnt_lsb.
	frameNumBits, orderBits int
	orderType               uint32
	// references is max_num_ref_frames. gaps: frame_num may jump.
	references uint32
	gaps       bool
}

// avcPPSHeader is what is read of a picture parameter set (ITU-T H.264, 7.3.2.2).
type avcPPSHeader struct {
	sps uint32
	// active are the default sizes of the reference lists.
	active [2]uint32

	cabac, orderDelta, weighted, weightedB, deblocking bool
	// goesOn: where the set should end, something else goes on, so it is none.
	goesOn bool
}

// readSPS returns ok only for a set whose slice headers can be read.
func readSPS(nal []byte) (id uint32, s avcSPSHeader, ok bool) {
	b := bitReader{data: unescape(nal[1:], len(nal))}
	profile := b.bits(8)
	b.bits(3) // constraint flags
	s.lowLevel = b.bit() == 1
	b.bits(4)
	s.level = b.bits(8)
	id = b.ue()
	s.chroma, s.size.chroma, s.size.depth = true, 1, 8
	switch profile {
	case 100, 110, 122, 244, 44, 83, 86, 118, 128, 134, 135, 138, 139:
		format := b.ue()
		s.chroma, s.size.chroma = format != 0, format
		s.separate = format == 3 && b.bit() == 1
		s.size.depth = max(b.ue(), b.ue()) + 8
		b.bit()
		if b.bit() == 1 {
			b.scalingLists(format)
		}
	}
	s.frameNumBits = int(b.ue()) + 4
	s.orderType = b.ue()
	switch s.orderType {
	case 0:
		s.orderBits = int(b.ue()) + 4
	case 1:
		b.bit() // delta_pic_order_always_zero_flag
		b.se()  // offset_for_non_ref_pic
		b.se()  // offset_for_top_to_bottom_field
		for range min(b.ue(), 255) {
			b.se() // offset_for_ref_frame
		}
	}
	s.references = b.ue()
	s.gaps = b.bit() == 1
	const macroblock, mostSide = 16, 1 << 16
	s.size.width, s.size.height = macroblock*(min(b.ue(), mostSide)+1), macroblock*(min(b.ue(), mostSide)+1)
	if s.framesOnly = b.bit() == 1; !s.framesOnly {
		s.size.height *= 2
	}
	if b.short { // what is not known may have fields
		s.framesOnly, s.frameNumBits, s.size = false, 0, pictureSize{}
	}
	const mostBits, mostReferences = 16, 16
	ok = !b.short && s.framesOnly && !s.separate && s.orderType != 1 && s.frameNumBits <= mostBits && s.orderBits <= mostBits && s.references <= mostReferences
	return id, s, ok
}

// scalingLists passes over the scaling lists of a sequence (7.3.2.1.1.1).
func (b *bitReader) scalingLists(chromaFormat uint32) {
	lists := 8
	if chromaFormat == 3 {
		lists = 12
	}
	for i := range lists {
		if b.bit() == 0 {
			continue
		}
		size := 64
		if i < 6 {
			size = 16
		}
		last, next := int32(8), int32(8)
		for range size {
			if next != 0 {
				next = (last + b.se()) & 0xff
			}
			if next != 0 {
				last = next
			}
		}
	}
}

// readPPS returns ok only for a set whose slice headers can be read.
func readPPS(nal []byte) (id uint32, p avcPPSHeader, ok bool) {
	b := bitReader{data: unescape(nal[1:], len(nal))}
	id, p.sps = b.ue(), b.ue()
	p.cabac = b.bit() == 1
	p.orderDelta = b.bit() == 1
	sliceGroups := b.ue() + 1
	p.active = [2]uint32{b.ue() + 1, b.ue() + 1}
	p.weighted = b.bit() == 1
	p.weightedB = b.bits(2) == 1 // 2: the weights follow from the pictures' order
	b.se()                       // pic_init_qp_minus26
	b.se()                       // pic_init_qs_minus26
	b.se()                       // chroma_qp_index_offset
	p.deblocking = b.bit() == 1
	b.bit() // constrained_intra_pred_flag
	redundant := b.bit() == 1
	end := b
	end.bit()                               // transform_8x8_mode_flag
	if sliceGroups == 1 && end.bit() == 0 { // pic_scaling_matrix_present_flag
		end.se() // second_chroma_qp_index_offset
		p.goesOn = end.goesOn()
	}
	return id, p, !b.short && sliceGroups == 1 && !redundant
}

// avcSliceHeader is what is read of a slice header (ITU-T H.264, 7.3.3).
type avcSliceHeader struct {
	sps avcSPSHeader

	idr, referred, first bool
	kind                 uint32 // slice_type modulo 5
	frameNum             int32
	orderLSB, orderDelta int32
	// active is num_ref_idx_active of both lists, 0 where there is no list.
	active [2]uint32
	// changes are the modifications of the lists, as differences of picture numbers.
	changes [2][]int32
	// adaptive reports whether unmarked (differences of picture numbers) replaces the sliding window.
	adaptive bool
	unmarked []int32
	// longTerm: there is more about long-term references, or about all (reset).
	longTerm, reset bool
}

// Kinds of slices (ITU-T H.264, table 7-6).
const (
	sliceP = 0
	sliceB = 1
	sliceI = 2
)

// maxActive is the most entries of a reference list (ITU-T H.264, 7.4.3).
const maxActive = 32

// maxNum is MaxFrameNum (7.4.2.1.1).
func (h *avcSliceHeader) maxNum() int32 { return 1 << h.sps.frameNumBits }

// number is the PicNum of a reference (8.2.4.1).
func (h *avcSliceHeader) number(r refPicture) int32 {
	if r.frameNum > h.frameNum {
		return r.frameNum - h.maxNum()
	}
	return r.frameNum
}

// slice reads the header of a slice, and returns the unit with no more than that: its data
// is such that a decoder which is given it knows at once that it is none.
func (r *references) slice(nal []byte) (h avcSliceHeader, head []byte, ok bool) {
	const usual, longest = 64, 2048 // the latter with both weight tables
	if h, head, ok = r.sliceWithin(nal, usual); !ok && len(nal) > usual {
		h, head, ok = r.sliceWithin(nal, longest)
	}
	return h, head, ok
}

func (r *references) sliceWithin(nal []byte, most int) (h avcSliceHeader, head []byte, ok bool) {
	b := bitReader{data: unescape(nal[1:], most)}
	h.idr, h.referred = nal[0]&0x1f == avcIDR, nal[0]&0x60 != 0
	h.first = b.ue() == 0
	h.kind = b.ue() % 5
	pps, ok := r.pps[b.ue()]
	if !ok || h.kind > sliceI {
		return h, nil, false
	}
	if h.sps, ok = r.sps[pps.sps]; !ok {
		return h, nil, false
	}
	h.frameNum = int32(b.bits(h.sps.frameNumBits))
	if h.idr {
		b.ue() // idr_pic_id
	}
	if h.sps.orderType == 0 {
		h.orderLSB = int32(b.bits(h.sps.orderBits))
		if pps.orderDelta {
			h.orderDelta = b.se()
		}
	}
	if h.lists(&b, pps) && h.weights(&b, pps) && h.marking(&b) {
		if pps.cabac && h.kind != sliceI {
			b.ue() // cabac_init_idc
		}
		b.se() // slice_qp_delta
		if pps.deblocking && b.ue() != 1 {
			b.se()
			b.se()
		}
		return h, append([]byte{nal[0]}, escape(b.withoutData())...), !b.short
	}
	return h, nil, false
}

// lists reads the sizes of the reference lists and what changes them (7.3.3.1).
func (h *avcSliceHeader) lists(b *bitReader, pps avcPPSHeader) bool {
	if h.kind == sliceI {
		return true
	}
	lists := 1
	if h.kind == sliceB {
		lists = 2
		b.bit() // direct_spatial_mv_pred_flag
	}
	override := b.bit() == 1
	for l := range lists {
		h.active[l] = pps.active[l]
		if override {
			h.active[l] = b.ue() + 1
		}
		if h.active[l] > maxActive || h.active[l] == 0 {
			return false
		}
	}
	for l := range lists {
		if b.bit() == 0 {
			continue
		}
		for {
			idc := b.ue()
			if idc == 3 {
				break
			}
			if idc > 2 || b.short || len(h.changes[l]) > maxActive {
				return false
			}
			if idc == 2 {
				h.longTerm = true
				b.ue()
				continue
			}
			difference := int32(b.ue()) + 1
			if idc == 0 {
				difference = -difference
			}
			h.changes[l] = append(h.changes[l], difference)
		}
	}
	return !b.short
}

// weights passes over the table of weights (7.3.3.2).
func (h *avcSliceHeader) weights(b *bitReader, pps avcPPSHeader) bool {
	if !(h.kind == sliceP && pps.weighted || h.kind == sliceB && pps.weightedB) {
		return true
	}
	b.ue()
	if h.sps.chroma {
		b.ue()
	}
	for _, n := range h.active {
		for range n {
			if b.bit() == 1 {
				b.se()
				b.se()
			}
			if h.sps.chroma && b.bit() == 1 {
				for range 4 {
					b.se()
				}
			}
		}
	}
	return !b.short
}

// marking reads how references are marked (7.3.3.3).
func (h *avcSliceHeader) marking(b *bitReader) bool {
	if !h.referred {
		return true
	}
	if h.idr {
		b.bit() // no_output_of_prior_pics_flag
		h.longTerm = b.bit() == 1
		return true
	}
	if h.adaptive = b.bit() == 1; !h.adaptive {
		return true
	}
	for {
		operation := b.ue()
		switch {
		case operation == 0:
			return !b.short
		case operation > 6 || b.short || len(h.unmarked) > maxActive:
			return false
		case operation == 1:
			h.unmarked = append(h.unmarked, int32(b.ue())+1)
			continue
		case operation == 3:
			b.ue()
		}
		if h.longTerm, h.reset = true, h.reset || operation == 5; operation != 5 {
			b.ue()
		}
	}
}

// withoutData returns what was read of a slice, followed by ones: no arithmetic code begins with them (9.3.1.2).
func (b *bitReader) withoutData() []byte {
	out := slices.Clone(b.data[:min(len(b.data), (b.at+7)/8)])
	if left := b.at % 8; left != 0 && len(out) > 0 {
		out[len(out)-1] |= 0xff >> left
	}
	return append(out, 0xff, 0xff, 0xff)
}
