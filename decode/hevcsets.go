package decode

import (
	"cmp"
	"math/bits"
	"slices"
)

// hevcSPSHeader is what is read of a sequence parameter set (ITU-T H.265, 7.3.2.2).
type hevcSPSHeader struct {
	size   pictureSize // nothing where the set cannot be read
	level  uint32      // general_level_idc: 30 times the level's number
	planes bool        // separate_colour_plane_flag
	// ctbBits is log2 of the size of a coding tree block, leastBits that of the smallest coding block.
	ctbBits, leastBits int
	// orderBits is the size in bits of slice_pic_order_cnt_lsb.
	orderBits int
	// pictures is the most that the decoded picture buffer holds, the current one included.
	pictures uint32
	// sao and motion: slice headers have flags for sample adaptive offset and for temporal prediction
	// of motion vectors.
	sao, motion bool
	shortTerm   []hevcRefSet
	// longTermRefs: slice headers may name long-term references; longTerm are those that they
	// name by a number.
	longTermRefs bool
	longTerm     []hevcLongRef
}

// hevcPPSHeader is what is read of a picture parameter set (ITU-T H.265, 7.3.2.3).
type hevcPPSHeader struct {
	sps uint32
	// active are the default sizes of the reference lists.
	active [2]uint32
	// extraBits is the number of reserved bits in each slice header.
	extraBits int

	dependent, output, chromaOffsets, chromaOffsetLists, entryPoints, acrossSlices bool
	deblockingOverride, deblockingOff, lists, extension                            bool
	// goesOn: where the set should end, something else goes on, so it is none.
	goesOn bool
}

// hevcRef is a short-term reference: the difference between its picture order count and that of
// the picture which names it. used tells that the picture itself may refer to it, not only later ones.
type hevcRef struct {
	delta int32
	used  bool
}

// hevcRefSet are short-term references: those shown before the picture, then those shown after it, each
// from the nearest to the farthest (7.4.8).
type hevcRefSet struct{ before, after []hevcRef }

func (s hevcRefSet) len() int { return len(s.before) + len(s.after) }

// hevcLongRef is a long-term reference: its picture order count, or the low bits of it if whole is not set.
type hevcLongRef struct {
	order       int32
	whole, used bool
}

const (
	hevcMaxRefs      = 16 // the most pictures in a reference picture set (A.4.2)
	hevcMaxSets      = 64 // the most sets in a sequence parameter set (7.4.3.2.1)
	hevcMaxLongTerm  = 32
	hevcMaxOrderBits = 16
	hevcMaxCTBBits   = 6
	hevcLevelAt      = 12 // where general_level_idc stands in a sequence parameter set
)

// readHEVCSPS returns ok only for a set whose slice headers can be read.
func readHEVCSPS(nal []byte) (id uint32, s hevcSPSHeader, ok bool) {
	if len(nal) < hevcHeaderLen {
		return 0, s, false
	}
	b := bitReader{data: unescape(nal[hevcHeaderLen:], len(nal))}
	subLayers := b.hevcLevels()
	if b.short {
		return 0, s, false
	}
	s.level = uint32(b.data[hevcLevelAt])
	id = b.ue()
	s.size.chroma = b.ue()
	s.planes = s.size.chroma == 3 && b.bit() == 1
	s.size.width, s.size.height = b.ue(), b.ue()
	if b.bit() == 1 { // conformance_window_flag
		for range 4 {
			b.ue()
		}
	}
	s.size.depth = max(b.ue(), b.ue()) + 8
	s.orderBits = int(b.ue()) + 4
	layers := 1
	if b.bit() == 1 { // sps_sub_layer_ordering_info_present_flag
		layers += subLayers
	}
	for range layers {
		s.pictures = b.ue() + 1
		b.ue() // sps_max_num_reorder_pics
		b.ue() // sps_max_latency_increase_plus1
	}
	if b.short {
		s.size = pictureSize{}
	}
	s.leastBits = int(b.ue()) + 3
	s.ctbBits = s.leastBits + int(b.ue())
	for range 4 { // sizes and depths of transforms
		b.ue()
	}
	if enabled := b.bit() == 1; enabled && b.bit() == 1 {
		b.hevcScalingLists()
	}
	b.bit() // amp_enabled_flag
	s.sao = b.bit() == 1
	if b.bit() == 1 { // pcm_enabled_flag
		b.bits(8)
		b.ue()
		b.ue()
		b.bit()
	}
	ok = b.hevcSets(&s)
	s.motion = b.bit() == 1
	return id, s, ok && !b.short && !s.planes && s.size.chroma <= 3 && s.ctbBits <= hevcMaxCTBBits && s.size.sane()
}

// blocksFit reports whether the sizes of blocks are such as there are, and the picture is a number of them (ITU-T H.265,
// 7.4.3.2.1).
func (s *hevcSPSHeader) blocksFit() bool {
	rest := uint32(1)<<s.leastBits - 1
	return s.ctbBits <= hevcMaxCTBBits && s.leastBits <= s.ctbBits && s.size.width&rest == 0 && s.size.height&rest == 0
}

// hevcSets reads the reference picture sets that slice headers name by a number.
func (b *bitReader) hevcSets(s *hevcSPSHeader) bool {
	sets := b.ue()
	if sets > hevcMaxSets || s.orderBits > hevcMaxOrderBits {
		return false
	}
	for range sets {
		set, ok := b.hevcSet(s.shortTerm, false)
		if !ok {
			return false
		}
		s.shortTerm = append(s.shortTerm, set)
	}
	if s.longTermRefs = b.bit() == 1; !s.longTermRefs {
		return true
	}
	n := b.ue()
	if n > hevcMaxLongTerm {
		return false
	}
	for range n {
		s.longTerm = append(s.longTerm, hevcLongRef{order: int32(b.bits(s.orderBits)), used: b.bit() == 1})
	}
	return true
}

// hevcSet reads a short-term reference picture set, which may be told by its difference from one
// of those before it (7.3.7). A slice header says from which.
func (b *bitReader) hevcSet(sets []hevcRefSet, slice bool) (set hevcRefSet, ok bool) {
	if len(sets) > 0 && b.bit() == 1 {
		back := uint32(1)
		if slice {
			back += b.ue()
		}
		if back > uint32(len(sets)) {
			return set, false
		}
		set = b.hevcPredicted(sets[len(sets)-int(back)])
	} else {
		before, after := b.ue(), b.ue()
		if before > hevcMaxRefs || after > hevcMaxRefs {
			return set, false
		}
		set.before, set.after = b.hevcDeltas(int(before), -1), b.hevcDeltas(int(after), 1)
	}
	return set, !b.short && set.len() <= hevcMaxRefs
}

func (b *bitReader) hevcDeltas(n int, sign int32) []hevcRef {
	refs := make([]hevcRef, n)
	delta := int32(0)
	for i := range refs {
		delta += sign * (int32(b.bits16()) + 1)
		refs[i] = hevcRef{delta, b.bit() == 1}
	}
	return refs
}

// hevcPredicted reads a set that is told by its difference from another (7.4.8).
func (b *bitReader) hevcPredicted(from hevcRefSet) (set hevcRefSet) {
	negative := b.bit() == 1
	delta := int32(b.bits16()) + 1
	if negative {
		delta = -delta
	}
	for _, r := range append(slices.Concat(from.before, from.after), hevcRef{}) {
		used := b.bit() == 1
		if !used && b.bit() == 0 { // use_delta_flag
			continue
		}
		switch r = (hevcRef{r.delta + delta, used}); {
		case r.delta < 0:
			set.before = append(set.before, r)
		case r.delta > 0:
			set.after = append(set.after, r)
		}
	}
	slices.SortFunc(set.before, func(a, b hevcRef) int { return cmp.Compare(b.delta, a.delta) })
	slices.SortFunc(set.after, func(a, b hevcRef) int { return cmp.Compare(a.delta, b.delta) })
	return set
}

// bits16 reads an Exp-Golomb code of a number of at most 15 bits, as differences of picture order counts are.
func (b *bitReader) bits16() uint32 {
	v := b.ue()
	b.short = b.short || bits.Len32(v) > 15
	return v & 0x7fff
}

// hevcScalingLists passes over scaling lists (7.3.4).
func (b *bitReader) hevcScalingLists() {
	for size := range 4 {
		step := 1
		if size == 3 {
			step = 3
		}
		for matrix := 0; matrix < 6; matrix += step {
			if b.bit() == 0 { // scaling_list_pred_mode_flag
				b.ue()
				continue
			}
			if size > 1 {
				b.se()
			}
			for range min(64, 1<<(4+2*size)) {
				b.se()
			}
		}
	}
}

// readHEVCPPS returns ok only for a set whose slice headers can be read.
func readHEVCPPS(nal []byte) (id uint32, p hevcPPSHeader, ok bool) {
	if len(nal) < hevcHeaderLen {
		return 0, p, false
	}
	b := bitReader{data: unescape(nal[hevcHeaderLen:], len(nal))}
	id, p.sps = b.ue(), b.ue()
	p.dependent, p.output = b.bit() == 1, b.bit() == 1
	p.extraBits = int(b.bits(3))
	b.bits(2) // sign_data_hiding_enabled_flag, cabac_init_present_flag
	p.active = [2]uint32{b.ue() + 1, b.ue() + 1}
	b.se()  // init_qp_minus26
	b.bit() // constrained_intra_pred_flag
	skips := b.bit() == 1
	if b.bit() == 1 { // cu_qp_delta_enabled_flag
		b.ue()
	}
	b.se() // pps_cb_qp_offset
	b.se() // pps_cr_qp_offset
	p.chromaOffsets = b.bit() == 1
	b.bits(3) // weights, transquant_bypass_enabled_flag
	tiles, wavefronts := b.bit() == 1, b.bit() == 1
	p.entryPoints = tiles || wavefronts
	if tiles && !b.hevcTiles() {
		return id, p, false
	}
	p.acrossSlices = b.bit() == 1
	if b.bit() == 1 { // deblocking_filter_control_present_flag
		p.deblockingOverride, p.deblockingOff = b.bit() == 1, b.bit() == 1
		if !p.deblockingOff {
			b.se()
			b.se()
		}
	}
	if b.bit() == 1 {
		b.hevcScalingLists()
	}
	p.lists = b.bit() == 1
	b.ue() // log2_parallel_merge_level_minus2
	p.extension = b.bit() == 1
	if b.bit() == 1 { // pps_extension_present_flag
		ranges := b.bit() == 1
		if b.bits(7) != 0 { // layers, depth, screen content and what comes after them
			return id, p, false
		}
		if ranges {
			if skips {
				b.ue()
			}
			b.bit() // cross_component_prediction_enabled_flag
			p.chromaOffsetLists = b.bit() == 1
		}
	} else {
		p.goesOn = b.goesOn()
	}
	return id, p, !b.short
}

// hevcTiles passes over the sizes of tiles.
func (b *bitReader) hevcTiles() bool {
	columns, rows := b.ue(), b.ue()
	const most = 1 << 10 // more than any level allows (A.4.1)
	if columns > most || rows > most {
		return false
	}
	if b.bit() == 0 { // uniform_spacing_flag
		for range columns + rows {
			b.ue()
		}
	}
	b.bit() // loop_filter_across_tiles_enabled_flag
	return true
}
