package h26x

// AVCSPS holds the parts of a sequence parameter set of H.264 that matter before decoding (ITU-T H.264, 7.3.2.1.1).
type AVCSPS struct {
	size pictureSize // the zero value if the set cannot be read
	// level is level_idc: ten times the level's number. lowLevel is constraint_set3_flag, which turns level 1.1 into 1b.
	level    uint32
	lowLevel bool
	// chroma reports whether there are weights for chroma (ChromaArrayType is not 0), separate whether each colour is
	// coded like a separate picture.
	chroma, separate bool
	// FramesOnly reports whether no picture consists of fields.
	FramesOnly bool
	// OrderBits is the size in bits of pic_order_cnt_lsb, frameNumBits that of frame_num.
	frameNumBits, OrderBits int
	// OrderType is pic_order_cnt_type.
	OrderType uint32
	// References is max_num_ref_frames, the number of reference pictures that a decoder keeps.
	References uint32
	// Gaps reports whether frame_num may jump.
	Gaps    bool
	reorder reorder
}

// avcPPS holds the parts of a picture parameter set that slice headers depend on (ITU-T H.264, 7.3.2.2).
type avcPPS struct {
	sps uint32
	// active are the default sizes of the reference lists.
	active [2]uint32

	cabac, orderDelta, weighted, weightedB, deblocking bool
	// trailing reports whether data follows the end of the set, so that it cannot be a parameter set.
	trailing bool
}

// ParseAVCSPS reads a sequence parameter set and its id. ok reports whether the slice headers that refer to it can be read: only
// those of frames coded in one layer, with picture order counts of type 0 or 2.
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
	if b.short { // the unread part may allow fields
		s.FramesOnly, s.frameNumBits, s.size = false, 0, pictureSize{}
	}
	const mostBits, mostReferences = 16, 16
	ok = !b.short && s.FramesOnly && !s.separate && s.OrderType != 1 && s.frameNumBits <= mostBits && s.OrderBits <= mostBits && s.References <= mostReferences
	s.reorder = b.reorder(s.FramesOnly)
	return id, s, ok
}

// scalingLists skips the scaling lists of a sequence (7.3.2.1.1.1).
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

// parseAVCPPS reads a picture parameter set and its id. ok reports whether the slice headers that refer to it can be read.
func parseAVCPPS(nal []byte) (id uint32, p avcPPS, ok bool) {
	b := BitReader{data: Unescape(nal[1:], len(nal))}
	id, p.sps = b.UE(), b.UE()
	p.cabac = b.Bit() == 1
	p.orderDelta = b.Bit() == 1
	sliceGroups := b.UE() + 1
	p.active = [2]uint32{b.UE() + 1, b.UE() + 1}
	p.weighted = b.Bit() == 1
	p.weightedB = b.Bits(2) == 1 // 2: the weights are derived from order counts
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
		p.trailing = end.trailing()
	}
	return id, p, !b.short && sliceGroups == 1 && !redundant
}
