package h26x

import "slices"

// AVCSPS is what is read of a sequence parameter set (ITU-T H.264, 7.3.2.1.1).
type AVCSPS struct {
	size pictureSize // nothing where the set cannot be read
	// level is level_idc: ten times the level's number. lowLevel is constraint_set3_flag, which makes 1b of level 1.1.
	level    uint32
	lowLevel bool
	// chroma: there are weights for chroma (ChromaArrayType is not 0). separate: each colour is
	// coded like a picture of its own.
	chroma, separate bool
	// FramesOnly: there are no fields.
	FramesOnly bool
	// The sizes in bits of frame_num and pic_order_cnt_lsb.
	frameNumBits, OrderBits int
	OrderType               uint32
	// References is max_num_ref_frames. gaps: frame_num may jump.
	References uint32
	Gaps       bool
}

// AVCPPS is what is read of a picture parameter set (ITU-T H.264, 7.3.2.2).
type AVCPPS struct {
	sps uint32
	// active are the default sizes of the reference lists.
	active [2]uint32

	cabac, orderDelta, weighted, weightedB, deblocking bool
	// goesOn: where the set should end, something else goes on, so it is none.
	goesOn bool
}

// ParseAVCSPS returns ok only for a set whose slice headers can be read.
func ParseAVCSPS(nal []byte) (id uint32, s AVCSPS, ok bool) {
	b := BitReader{data: Unescape(nal[1:], len(nal))}
	profile := b.Bits(8)
	b.Bits(3) // constraint flags
	s.lowLevel = b.Bit() == 1
	b.Bits(4)
	s.level = b.Bits(8)
	id = b.UE()
	s.chroma, s.size.chroma, s.size.depth = true, 1, 8
	switch profile {
	case 100, 110, 122, 244, 44, 83, 86, 118, 128, 134, 135, 138, 139:
		format := b.UE()
		s.chroma, s.size.chroma = format != 0, format
		s.separate = format == 3 && b.Bit() == 1
		s.size.depth = max(b.UE(), b.UE()) + 8
		b.Bit()
		if b.Bit() == 1 {
			b.scalingLists(format)
		}
	}
	s.frameNumBits = int(b.UE()) + 4
	s.OrderType = b.UE()
	switch s.OrderType {
	case 0:
		s.OrderBits = int(b.UE()) + 4
	case 1:
		b.Bit() // delta_pic_order_always_zero_flag
		b.SE()  // offset_for_non_ref_pic
		b.SE()  // offset_for_top_to_bottom_field
		for range min(b.UE(), 255) {
			b.SE() // offset_for_ref_frame
		}
	}
	s.References = b.UE()
	s.Gaps = b.Bit() == 1
	const macroblock, mostSide = 16, 1 << 16
	s.size.width, s.size.height = macroblock*(min(b.UE(), mostSide)+1), macroblock*(min(b.UE(), mostSide)+1)
	if s.FramesOnly = b.Bit() == 1; !s.FramesOnly {
		s.size.height *= 2
	}
	if b.short { // what is not known may have fields
		s.FramesOnly, s.frameNumBits, s.size = false, 0, pictureSize{}
	}
	const mostBits, mostReferences = 16, 16
	ok = !b.short && s.FramesOnly && !s.separate && s.OrderType != 1 && s.frameNumBits <= mostBits && s.OrderBits <= mostBits && s.References <= mostReferences
	return id, s, ok
}

// scalingLists passes over the scaling lists of a sequence (7.3.2.1.1.1).
func (b *BitReader) scalingLists(chromaFormat uint32) {
	lists := 8
	if chromaFormat == 3 {
		lists = 12
	}
	for i := range lists {
		if b.Bit() == 0 {
			continue
		}
		size := 64
		if i < 6 {
			size = 16
		}
		last, next := int32(8), int32(8)
		for range size {
			if next != 0 {
				next = (last + b.SE()) & 0xff
			}
			if next != 0 {
				last = next
			}
		}
	}
}

// ParseAVCPPS returns ok only for a set whose slice headers can be read.
func ParseAVCPPS(nal []byte) (id uint32, p AVCPPS, ok bool) {
	b := BitReader{data: Unescape(nal[1:], len(nal))}
	id, p.sps = b.UE(), b.UE()
	p.cabac = b.Bit() == 1
	p.orderDelta = b.Bit() == 1
	sliceGroups := b.UE() + 1
	p.active = [2]uint32{b.UE() + 1, b.UE() + 1}
	p.weighted = b.Bit() == 1
	p.weightedB = b.Bits(2) == 1 // 2: the weights follow from the pictures' order
	b.SE()                       // pic_init_qp_minus26
	b.SE()                       // pic_init_qs_minus26
	b.SE()                       // chroma_qp_index_offset
	p.deblocking = b.Bit() == 1
	b.Bit() // constrained_intra_pred_flag
	redundant := b.Bit() == 1
	end := b
	end.Bit()                               // transform_8x8_mode_flag
	if sliceGroups == 1 && end.Bit() == 0 { // pic_scaling_matrix_present_flag
		end.SE() // second_chroma_qp_index_offset
		p.goesOn = end.goesOn()
	}
	return id, p, !b.short && sliceGroups == 1 && !redundant
}

// AVCSliceHeader is what is read of a slice header (ITU-T H.264, 7.3.3).
type AVCSliceHeader struct {
	SPS AVCSPS

	IDR, Referred, First bool
	Kind                 uint32 // slice_type modulo 5
	FrameNum             int32
	OrderLSB, OrderDelta int32
	// Active is num_ref_idx_active of both lists, 0 where there is no list.
	Active [2]uint32
	// Changes are the modifications of the lists, as differences of picture numbers.
	Changes [2][]int32
	// Adaptive reports whether unmarked (differences of picture numbers) replaces the sliding window.
	Adaptive bool
	Unmarked []int32
	// LongTerm: there is more about long-term references, or about all (reset).
	LongTerm, Reset bool
}

// Kinds of slices (ITU-T H.264, table 7-6).
const (
	AVCSliceP = 0
	AVCSliceB = 1
	AVCSliceI = 2
)

// maxActive is the most entries of a reference list (ITU-T H.264, 7.4.3).
const maxActive = 32

// MaxNum is MaxFrameNum (7.4.2.1.1).
func (h *AVCSliceHeader) MaxNum() int32 { return 1 << h.SPS.frameNumBits }

// Number is the PicNum of a reference (8.2.4.1).
func (h *AVCSliceHeader) Number(frameNum int32) int32 {
	if frameNum > h.FrameNum {
		return frameNum - h.MaxNum()
	}
	return frameNum
}

// slice reads the header of a slice, and returns the unit with no more than that: its data
// is such that a decoder which is given it knows at once that it is none.
func (r *HeaderReader) AVCSlice(nal []byte) (h AVCSliceHeader, head []byte, ok bool) {
	const usual, longest = 64, 2048 // the latter with both weight tables
	if h, head, ok = r.sliceWithin(nal, usual); !ok && len(nal) > usual {
		h, head, ok = r.sliceWithin(nal, longest)
	}
	return h, head, ok
}

func (r *HeaderReader) sliceWithin(nal []byte, most int) (h AVCSliceHeader, head []byte, ok bool) {
	b := BitReader{data: Unescape(nal[1:], most)}
	h.IDR, h.Referred = nal[0]&0x1f == AVCTypeIDR, nal[0]&0x60 != 0
	h.First = b.UE() == 0
	h.Kind = b.UE() % 5
	pps, ok := r.pps[b.UE()]
	if !ok || h.Kind > AVCSliceI {
		return h, nil, false
	}
	if h.SPS, ok = r.sps[pps.sps]; !ok {
		return h, nil, false
	}
	h.FrameNum = int32(b.Bits(h.SPS.frameNumBits))
	if h.IDR {
		b.UE() // idr_pic_id
	}
	if h.SPS.OrderType == 0 {
		h.OrderLSB = int32(b.Bits(h.SPS.OrderBits))
		if pps.orderDelta {
			h.OrderDelta = b.SE()
		}
	}
	if h.lists(&b, pps) && h.weights(&b, pps) && h.marking(&b) {
		if pps.cabac && h.Kind != AVCSliceI {
			b.UE() // cabac_init_idc
		}
		b.SE() // slice_qp_delta
		if pps.deblocking && b.UE() != 1 {
			b.SE()
			b.SE()
		}
		return h, append([]byte{nal[0]}, Escape(b.withoutData())...), !b.short
	}
	return h, nil, false
}

// lists reads the sizes of the reference lists and what changes them (7.3.3.1).
func (h *AVCSliceHeader) lists(b *BitReader, pps AVCPPS) bool {
	if h.Kind == AVCSliceI {
		return true
	}
	lists := 1
	if h.Kind == AVCSliceB {
		lists = 2
		b.Bit() // direct_spatial_mv_pred_flag
	}
	override := b.Bit() == 1
	for l := range lists {
		h.Active[l] = pps.active[l]
		if override {
			h.Active[l] = b.UE() + 1
		}
		if h.Active[l] > maxActive || h.Active[l] == 0 {
			return false
		}
	}
	for l := range lists {
		if b.Bit() == 0 {
			continue
		}
		for {
			idc := b.UE()
			if idc == 3 {
				break
			}
			if idc > 2 || b.short || len(h.Changes[l]) > maxActive {
				return false
			}
			if idc == 2 {
				h.LongTerm = true
				b.UE()
				continue
			}
			difference := int32(b.UE()) + 1
			if idc == 0 {
				difference = -difference
			}
			h.Changes[l] = append(h.Changes[l], difference)
		}
	}
	return !b.short
}

// weights passes over the table of weights (7.3.3.2).
func (h *AVCSliceHeader) weights(b *BitReader, pps AVCPPS) bool {
	if !(h.Kind == AVCSliceP && pps.weighted || h.Kind == AVCSliceB && pps.weightedB) {
		return true
	}
	b.UE()
	if h.SPS.chroma {
		b.UE()
	}
	for _, n := range h.Active {
		for range n {
			if b.Bit() == 1 {
				b.SE()
				b.SE()
			}
			if h.SPS.chroma && b.Bit() == 1 {
				for range 4 {
					b.SE()
				}
			}
		}
	}
	return !b.short
}

// marking reads how references are marked (7.3.3.3).
func (h *AVCSliceHeader) marking(b *BitReader) bool {
	if !h.Referred {
		return true
	}
	if h.IDR {
		b.Bit() // no_output_of_prior_pics_flag
		h.LongTerm = b.Bit() == 1
		return true
	}
	if h.Adaptive = b.Bit() == 1; !h.Adaptive {
		return true
	}
	for {
		operation := b.UE()
		switch {
		case operation == 0:
			return !b.short
		case operation > 6 || b.short || len(h.Unmarked) > maxActive:
			return false
		case operation == 1:
			h.Unmarked = append(h.Unmarked, int32(b.UE())+1)
			continue
		case operation == 3:
			b.UE()
		}
		if h.LongTerm, h.Reset = true, h.Reset || operation == 5; operation != 5 {
			b.UE()
		}
	}
}

// withoutData returns what was read of a slice, followed by ones: no arithmetic code begins with them (9.3.1.2).
func (b *BitReader) withoutData() []byte {
	out := slices.Clone(b.data[:min(len(b.data), (b.at+7)/8)])
	if left := b.at % 8; left != 0 && len(out) > 0 {
		out[len(out)-1] |= 0xff >> left
	}
	return append(out, 0xff, 0xff, 0xff)
}
