package h26x

import (
	"cmp"
	"math/bits"
	"slices"
)

// HEVCSPS holds the parts of a sequence parameter set of H.265 that matter before decoding (ITU-T H.265, 7.3.2.2).
type HEVCSPS struct {
	size   pictureSize // the zero value if the set cannot be read
	level  uint32      // general_level_idc: 30 times the level's number
	planes bool        // separate_colour_plane_flag
	// CTBBits is the binary logarithm of the side of a coding tree block, leastBits that of the smallest coding block.
	CTBBits, leastBits int
	// OrderBits is the size in bits of slice_pic_order_cnt_lsb.
	OrderBits int
	// pictures is the capacity of the decoded picture buffer, including the current picture.
	pictures uint32
	// sao and motion report whether slice headers have flags for sample adaptive offset and for temporal prediction
	// of motion vectors.
	sao, motion bool
	shortTerm   []HEVCRefSet
	// longTermRefs reports whether slice headers may name long-term references; longTerm are those that they
	// name by an index.
	longTermRefs bool
	longTerm     []HEVCLongRef
}

// hevcPPS holds the parts of a picture parameter set that slice headers depend on (ITU-T H.265, 7.3.2.3).
type hevcPPS struct {
	sps uint32
	// active are the default sizes of the reference lists.
	active [2]uint32
	// extraBits is the number of reserved bits in each slice header.
	extraBits int

	dependent, output, chromaOffsets, chromaOffsetLists, entryPoints, acrossSlices bool
	deblockingOverride, deblockingOff, lists, extension                            bool
	// trailing reports whether data follows the end of the set, so that it cannot be a parameter set.
	trailing bool
}

// HEVCRef is a short-term reference. Delta is its picture order count less that of the picture that names it. Used reports
// whether that picture itself may refer to it, and not only later ones.
type HEVCRef struct {
	Delta int32
	Used  bool
}

// HEVCRefSet is a set of short-term references: those shown before the picture and those shown after it, each
// from the nearest to the farthest (7.4.8).
type HEVCRefSet struct{ Before, After []HEVCRef }

func (s HEVCRefSet) len() int { return len(s.Before) + len(s.After) }

// HEVCLongRef is a long-term reference. Order holds the low bits of its picture order count or, if Whole is set, its difference
// from that of the picture that names it. Used reports whether that picture itself may refer to it.
type HEVCLongRef struct {
	Order       int32
	Whole, Used bool
}

const (
	hevcMaxRefs      = 16 // the most pictures in a reference picture set (A.4.2)
	hevcMaxSets      = 64 // the most sets in a sequence parameter set (7.4.3.2.1)
	hevcMaxLongTerm  = 32
	hevcMaxOrderBits = 16
	hevcMaxCTBBits   = 6
	hevcLevelAt      = 12 // the offset of general_level_idc in a sequence parameter set
)

// ParseHEVCSPS reads a sequence parameter set and its id. ok reports whether the slice headers that refer to it can be read.
func ParseHEVCSPS(nal []byte) (id uint32, s HEVCSPS, ok bool) {
	if len(nal) < HEVCHeaderSize {
		return 0, s, false
	}
	b := BitReader{data: Unescape(nal[HEVCHeaderSize:], len(nal))}
	id, layers := b.hevcPicture(&s)
	for range layers {
		s.pictures = b.UE() + 1
		b.UE() // sps_max_num_reorder_pics
		b.UE() // sps_max_latency_increase_plus1
	}
	if b.short {
		s.size = pictureSize{}
	}
	s.leastBits = int(b.UE()) + 3
	s.CTBBits = s.leastBits + int(b.UE())
	for range 4 { // sizes and depths of transforms
		b.UE()
	}
	if enabled := b.Bit() == 1; enabled && b.Bit() == 1 {
		b.hevcScalingLists()
	}
	b.Bit() // amp_enabled_flag
	s.sao = b.Bit() == 1
	if b.Bit() == 1 { // pcm_enabled_flag
		b.Bits(8)
		b.UE()
		b.UE()
		b.Bit()
	}
	ok = b.hevcSets(&s)
	s.motion = b.Bit() == 1
	return id, s, ok && !b.short && !s.planes && s.size.chroma <= 3 && s.CTBBits <= hevcMaxCTBBits && s.size.sane()
}

// hevcPicture reads the beginning of a sequence parameter set, up to the sizes of the decoded picture buffer. layers is the number
// of sub-layers that have such sizes.
func (b *BitReader) hevcPicture(s *HEVCSPS) (id uint32, layers int) {
	subLayers := b.hevcLevels()
	if b.short {
		return 0, 0
	}
	s.level = uint32(b.data[hevcLevelAt])
	id = b.UE()
	s.size.chroma = b.UE()
	s.planes = s.size.chroma == 3 && b.Bit() == 1
	s.size.width, s.size.height = b.UE(), b.UE()
	if b.Bit() == 1 { // conformance_window_flag
		for range 4 {
			b.UE()
		}
	}
	s.size.depth = max(b.UE(), b.UE()) + 8
	s.OrderBits = int(b.UE()) + 4
	if b.Bit() == 0 { // sps_sub_layer_ordering_info_present_flag
		return id, 1
	}
	return id, 1 + subLayers
}

// blocksFit reports whether the sizes of blocks are valid, and that of the picture is a multiple of the smallest (ITU-T H.265,
// 7.4.3.2.1).
func (s *HEVCSPS) blocksFit() bool {
	rest := uint32(1)<<s.leastBits - 1
	return s.CTBBits <= hevcMaxCTBBits && s.leastBits <= s.CTBBits && s.size.width&rest == 0 && s.size.height&rest == 0
}

// hevcSets reads the reference picture sets that slice headers name by an index.
func (b *BitReader) hevcSets(s *HEVCSPS) bool {
	sets := b.UE()
	if sets > hevcMaxSets || s.OrderBits > hevcMaxOrderBits {
		return false
	}
	for range sets {
		set, ok := b.hevcSet(s.shortTerm, false)
		if !ok {
			return false
		}
		s.shortTerm = append(s.shortTerm, set)
	}
	if s.longTermRefs = b.Bit() == 1; !s.longTermRefs {
		return true
	}
	n := b.UE()
	if n > hevcMaxLongTerm {
		return false
	}
	for range n {
		s.longTerm = append(s.longTerm, HEVCLongRef{Order: int32(b.Bits(s.OrderBits)), Used: b.Bit() == 1})
	}
	return true
}

// hevcSet reads a short-term reference picture set, which may be coded as the difference from an
// earlier one in sets (7.3.7). A slice header states which one.
func (b *BitReader) hevcSet(sets []HEVCRefSet, slice bool) (set HEVCRefSet, ok bool) {
	if len(sets) > 0 && b.Bit() == 1 {
		back := uint32(1)
		if slice {
			back += b.UE()
		}
		if back > uint32(len(sets)) {
			return set, false
		}
		set = b.hevcPredicted(sets[len(sets)-int(back)])
	} else {
		before, after := b.UE(), b.UE()
		if before > hevcMaxRefs || after > hevcMaxRefs {
			return set, false
		}
		set.Before, set.After = b.hevcDeltas(int(before), -1), b.hevcDeltas(int(after), 1)
	}
	return set, !b.short && set.len() <= hevcMaxRefs
}

func (b *BitReader) hevcDeltas(n int, sign int32) []HEVCRef {
	refs := make([]HEVCRef, n)
	delta := int32(0)
	for i := range refs {
		delta += sign * (int32(b.bits16()) + 1)
		refs[i] = HEVCRef{delta, b.Bit() == 1}
	}
	return refs
}

// hevcPredicted reads a set that is coded as the difference from another (7.4.8).
func (b *BitReader) hevcPredicted(from HEVCRefSet) (set HEVCRefSet) {
	negative := b.Bit() == 1
	delta := int32(b.bits16()) + 1
	if negative {
		delta = -delta
	}
	for _, r := range append(slices.Concat(from.Before, from.After), HEVCRef{}) {
		used := b.Bit() == 1
		if !used && b.Bit() == 0 { // use_delta_flag
			continue
		}
		switch r = (HEVCRef{r.Delta + delta, used}); {
		case r.Delta < 0:
			set.Before = append(set.Before, r)
		case r.Delta > 0:
			set.After = append(set.After, r)
		}
	}
	slices.SortFunc(set.Before, func(a, b HEVCRef) int { return cmp.Compare(b.Delta, a.Delta) })
	slices.SortFunc(set.After, func(a, b HEVCRef) int { return cmp.Compare(a.Delta, b.Delta) })
	return set
}

// bits16 reads an Exp-Golomb code of at most 15 bits, the limit for differences of picture order counts.
func (b *BitReader) bits16() uint32 {
	v := b.UE()
	b.short = b.short || bits.Len32(v) > 15
	return v & 0x7fff
}

// hevcScalingLists skips scaling lists (7.3.4).
func (b *BitReader) hevcScalingLists() {
	for size := range 4 {
		step := 1
		if size == 3 {
			step = 3
		}
		for matrix := 0; matrix < 6; matrix += step {
			if b.Bit() == 0 { // scaling_list_pred_mode_flag
				b.UE()
				continue
			}
			if size > 1 {
				b.SE()
			}
			for range min(64, 1<<(4+2*size)) {
				b.SE()
			}
		}
	}
}

// parseHEVCPPS reads a picture parameter set and its id. ok reports whether the slice headers that refer to it can be read.
func parseHEVCPPS(nal []byte) (id uint32, p hevcPPS, ok bool) {
	if len(nal) < HEVCHeaderSize {
		return 0, p, false
	}
	b := BitReader{data: Unescape(nal[HEVCHeaderSize:], len(nal))}
	id, p.sps = b.UE(), b.UE()
	p.dependent, p.output = b.Bit() == 1, b.Bit() == 1
	p.extraBits = int(b.Bits(3))
	b.Bits(2) // sign_data_hiding_enabled_flag, cabac_init_present_flag
	p.active = [2]uint32{b.UE() + 1, b.UE() + 1}
	b.SE()  // init_qp_minus26
	b.Bit() // constrained_intra_pred_flag
	skips := b.Bit() == 1
	if b.Bit() == 1 { // cu_qp_delta_enabled_flag
		b.UE()
	}
	b.SE() // pps_cb_qp_offset
	b.SE() // pps_cr_qp_offset
	p.chromaOffsets = b.Bit() == 1
	b.Bits(3) // weights, transquant_bypass_enabled_flag
	tiles, wavefronts := b.Bit() == 1, b.Bit() == 1
	p.entryPoints = tiles || wavefronts
	if tiles && !b.hevcTiles() {
		return id, p, false
	}
	p.acrossSlices = b.Bit() == 1
	if b.Bit() == 1 { // deblocking_filter_control_present_flag
		p.deblockingOverride, p.deblockingOff = b.Bit() == 1, b.Bit() == 1
		if !p.deblockingOff {
			b.SE()
			b.SE()
		}
	}
	if b.Bit() == 1 {
		b.hevcScalingLists()
	}
	p.lists = b.Bit() == 1
	b.UE() // log2_parallel_merge_level_minus2
	p.extension = b.Bit() == 1
	if b.Bit() == 1 { // pps_extension_present_flag
		ranges := b.Bit() == 1
		if b.Bits(7) != 0 { // extensions for layers, depth, screen content and others
			return id, p, false
		}
		if ranges {
			if skips {
				b.UE()
			}
			b.Bit() // cross_component_prediction_enabled_flag
			p.chromaOffsetLists = b.Bit() == 1
		}
	} else {
		p.trailing = b.trailing()
	}
	return id, p, !b.short
}

// hevcTiles skips the sizes of tiles.
func (b *BitReader) hevcTiles() bool {
	columns, rows := b.UE(), b.UE()
	const most = 1 << 10 // more than any level allows (A.4.1)
	if columns > most || rows > most {
		return false
	}
	if b.Bit() == 0 { // uniform_spacing_flag
		for range columns + rows {
			b.UE()
		}
	}
	b.Bit() // loop_filter_across_tiles_enabled_flag
	return true
}
